/// The APIs that Martlet speaks, by their numbers in the protocol.
package enum ApiKey: Int16, CaseIterable, Sendable, Hashable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case describeGroups = 15
    case listGroups = 16
    case saslHandshake = 17
    case apiVersions = 18
    case createTopics = 19
    case deleteTopics = 20
    case deleteRecords = 21
    case initProducerId = 22
    case offsetForLeaderEpoch = 23
    case addPartitionsToTxn = 24
    case addOffsetsToTxn = 25
    case endTxn = 26
    case txnOffsetCommit = 28
    case describeAcls = 29
    case createAcls = 30
    case deleteAcls = 31
    case describeConfigs = 32
    case alterConfigs = 33
    case describeLogDirs = 35
    case saslAuthenticate = 36
    case createPartitions = 37
    case deleteGroups = 42
    case incrementalAlterConfigs = 44
    case offsetDelete = 47
    case describeClientQuotas = 48
    case alterClientQuotas = 49
    case describeCluster = 60
    case describeProducers = 61
    case describeTransactions = 65
    case listTransactions = 66
    case consumerGroupHeartbeat = 68
    case consumerGroupDescribe = 69

    /// The versions that ApiVersions offers to clients. Some APIs have lower ones that Kafka 4 dropped, and higher ones that
    /// only brokers speak with each other or that need what Martlet does not have.
    package var advertised: ClosedRange<Int16> {
        switch self {
        // Below 3 nothing is served; without 0 in the range librdkafka takes the broker for one without compression.
        case .produce: 0...12
        case .fetch: 4...12
        case .listOffsets: 1...7
        case .metadata: 0...12
        case .offsetCommit: 2...9
        case .offsetFetch: 1...9
        case .findCoordinator: 0...4
        case .joinGroup: 0...9
        case .syncGroup: 0...5
        case .heartbeat: 0...4
        case .leaveGroup: 0...5
        case .describeGroups, .listGroups: 0...5
        case .saslHandshake: 0...1
        case .saslAuthenticate: 0...2
        case .apiVersions: 0...4
        case .createTopics: 0...7
        case .deleteTopics: 0...6
        case .deleteRecords: 0...2
        case .initProducerId: 0...5
        // Higher versions batch the transactions of several producers, from broker to broker.
        case .addPartitionsToTxn, .addOffsetsToTxn: 0...3
        case .endTxn, .txnOffsetCommit: 0...5
        case .offsetForLeaderEpoch: 2...4
        case .describeAcls, .createAcls, .deleteAcls: 1...3
        case .describeConfigs: 1...4
        case .alterConfigs: 0...2
        case .incrementalAlterConfigs: 0...1
        case .createPartitions: 0...3
        case .deleteGroups: 0...2
        case .offsetDelete: 0...0
        case .describeCluster: 0...1
        case .describeLogDirs: 1...4
        case .describeClientQuotas, .alterClientQuotas: 0...1
        case .consumerGroupHeartbeat, .consumerGroupDescribe: 0...1
        case .describeProducers, .describeTransactions, .listTransactions: 0...0
        }
    }

    /// The versions that the codec knows.
    package var versions: ClosedRange<Int16> { requestType.versions }

    package func isFlexible(_ version: Int16) -> Bool { requestType.isFlexible(version) }

    /// ApiVersions is answered behind the oldest header, since whoever asks cannot know yet what the broker speaks.
    package func hasFlexibleResponseHeader(_ version: Int16) -> Bool { self != .apiVersions && responseType.isFlexible(version) }

    /// The protocol's name, as in `OffsetCommit`; also the label of metrics.
    package var name: String {
        let text = "\(self)"
        return text.prefix(1).uppercased() + text.dropFirst()
    }
}

extension ApiVersionsResponse {
    /// All of `ApiKey.advertised`, in the order of the keys.
    package static let advertised: [ApiVersion] = ApiKey.allCases.map { key in
        ApiVersion(apiKey: key.rawValue, minVersion: key.advertised.lowerBound, maxVersion: key.advertised.upperBound)
    }
}
