import MartletKafka
import MartletLog
import MartletPlatform

/// What went wrong with a server, in words for a user.
struct TopicError: Error, CustomStringConvertible {
    var message: String
    var description: String { message }

    init(_ message: String) { self.message = message }

    /// `what` was refused with this code; the server's own words, where it has any, say more.
    init(_ what: String, _ code: Int16, _ words: String? = nil) {
        let known = ErrorCode(rawValue: code)
        let name = known?.name ?? "error \(code)"
        let detail = words ?? known?.message ?? ""
        message = "\(what): \(detail.isEmpty ? name : "\(detail) (\(name))")"
    }
}

/// A Kafka client for commands: one request at a time, to one server or, where there are more, to the one that leads a
/// partition.
final class TopicClient {
    static let timeoutNanos: Int64 = 60_000_000_000
    private static let software = "martlet"

    private struct Link {
        var stream: TCPClient
        var versions: [ApiKey: ClosedRange<Int16>]
    }

    private let address: ListenAddress
    private var first: Link
    private var leaders: [Int32: Link] = [:]
    private var brokers: [Int32: ListenAddress] = [:]
    private var correlation: Int32 = 0

    init(_ address: ListenAddress) throws {
        self.address = address
        first = try TopicClient.connect(address)
    }

    private static func connect(_ address: ListenAddress) throws -> Link {
        let stream = try TCPClient(address, timeoutNanos: timeoutNanos)
        var link = Link(stream: stream, versions: [:])
        let request = ApiVersionsRequest(clientSoftwareName: software, clientSoftwareVersion: CommandLineTool.version)
        var response: ApiVersionsResponse = try exchange(request, .apiVersions, version: 3, correlation: 0, on: link)
        if response.errorCode == ErrorCode.unsupportedVersion.rawValue {
            response = try exchange(ApiVersionsRequest(), .apiVersions, version: 0, correlation: 0, on: link)
        }
        guard response.errorCode == 0 else { throw TopicError("\(address) does not say what it speaks", response.errorCode) }
        for entry in response.apiKeys where entry.minVersion <= entry.maxVersion {
            if let key = ApiKey(rawValue: entry.apiKey) { link.versions[key] = entry.minVersion...entry.maxVersion }
        }
        return link
    }

    /// Asks any server, in the highest version that both speak, at most `newest`.
    func ask<Request: KafkaMessage, Response: KafkaMessage>(
        _ key: ApiKey, newest: Int16 = .max, _ body: (Int16) -> Request
    ) throws -> Response {
        try ask(key, newest: newest, on: first, body)
    }

    /// As `ask`, of the server that leads a partition.
    func ask<Request: KafkaMessage, Response: KafkaMessage>(
        leader: Int32, _ key: ApiKey, newest: Int16 = .max, _ body: (Int16) -> Request
    ) throws -> Response {
        guard brokers.count > 1, let place = brokers[leader] else { return try ask(key, newest: newest, on: first, body) }
        let link = try leaders[leader] ?? TopicClient.connect(place)
        leaders[leader] = link
        return try ask(key, newest: newest, on: link, body)
    }

    private func ask<Request: KafkaMessage, Response: KafkaMessage>(
        _ key: ApiKey, newest: Int16, on link: Link, _ body: (Int16) -> Request
    ) throws -> Response {
        let known = key.advertised
        guard let theirs = link.versions[key], theirs.lowerBound <= known.upperBound, known.lowerBound <= theirs.upperBound else {
            throw TopicError("\(address) does not speak \(key.name) in a version that this program knows")
        }
        let version = min(theirs.upperBound, known.upperBound, max(newest, theirs.lowerBound))
        correlation &+= 1
        return try TopicClient.exchange(body(version), key, version: version, correlation: correlation, on: link)
    }

    private static func exchange<Request: KafkaMessage, Response: KafkaMessage>(
        _ request: Request, _ key: ApiKey, version: Int16, correlation: Int32, on link: Link
    ) throws -> Response {
        let header = RequestHeader(apiKey: key.rawValue, apiVersion: version, correlationId: correlation, clientId: software)
        for piece in try encodeRequest(request, header: header).pieces {
            try link.stream.send(piece.bytes)
            withExtendedLifetime(piece) {}
        }
        let response = try ReceivedResponse(try receive(link.stream))
        guard response.correlationId == correlation else { throw TopicError("an answer to another request came") }
        // ApiVersions may be answered in version 0 whatever was asked.
        if key == .apiVersions, version > 0, let plain: Response = try? response.body(to: key, version: version) { return plain }
        return try response.body(to: key, version: key == .apiVersions ? 0 : version)
    }

    private static func receive(_ stream: TCPClient) throws -> ByteSlice {
        var prefix = [UInt8](repeating: 0, count: 4)
        guard try prefix.withUnsafeMutableBytes({ bytes throws in try stream.receiveAll(into: bytes) }) else {
            throw TopicError("the server closed the connection")
        }
        let length = prefix.reduce(0) { $0 << 8 | Int($1) }
        guard length <= 1 << 30 else { throw TopicError("the server sent what is no answer of Kafka's protocol") }
        let chunk = ByteChunk(capacity: length) { (memory: UnsafeMutableRawBufferPointer) in memory.count }
        guard try stream.receiveAll(into: chunk.bytesBeforeSharing) else { throw TopicError("the server closed the connection") }
        return ByteSlice(chunk)
    }

    // MARK: What several commands need

    /// Topics by name; all if none are named. Creates nothing. Learns where the brokers are.
    func topics(_ names: [String]?) throws -> [MetadataResponse.MetadataResponseTopic] {
        let response: MetadataResponse = try ask(.metadata) { version in
            var request = MetadataRequest(topics: names.map { $0.map { MetadataRequest.MetadataRequestTopic(name: $0) } })
            if version >= 4 { request.allowAutoTopicCreation = false }
            if version == 0 { request.topics = request.topics ?? [] }
            return request
        }
        for broker in response.brokers {
            if let port = UInt16(exactly: broker.port) { brokers[broker.nodeId] = ListenAddress(host: broker.host, port: port) }
        }
        return response.topics
    }

    /// One topic that has to be there.
    func topic(_ name: String) throws -> MetadataResponse.MetadataResponseTopic {
        guard let topic = try topics([name]).first else { throw TopicError("the server says nothing of topic \"\(name)\"") }
        guard topic.errorCode == 0 else { throw TopicError("topic \"\(name)\"", topic.errorCode) }
        return topic
    }

    /// Offsets by timestamp (−1 the end, −2 the beginning) of a topic's partitions.
    func offsets(
        _ topic: MetadataResponse.MetadataResponseTopic, _ questions: [Int32: Int64], isCommitted: Bool = false
    ) throws -> [Int32: Int64] {
        var found: [Int32: Int64] = [:]
        let leaders = Dictionary(topic.partitions.map { ($0.partitionIndex, $0.leaderId) }, uniquingKeysWith: { $1 })
        let byLeader = Dictionary(grouping: questions.keys.sorted()) { leaders[$0] ?? -1 }
        for (leader, partitions) in byLeader.sorted(by: { $0.key < $1.key }) {
            let response: ListOffsetsResponse = try ask(leader: leader, .listOffsets) { version in
                var request = ListOffsetsRequest(replicaId: -1)
                if version >= 2, isCommitted { request.isolationLevel = 1 }
                request.topics = [
                    ListOffsetsRequest.ListOffsetsTopic(
                        name: topic.name ?? "",
                        partitions: partitions.map {
                            ListOffsetsRequest.ListOffsetsPartition(partitionIndex: $0, timestamp: questions[$0] ?? -1)
                        })
                ]
                return request
            }
            for part in response.topics.flatMap(\.partitions) {
                guard part.errorCode == 0 else {
                    throw TopicError("partition \(part.partitionIndex) of \(topic.name ?? "")", part.errorCode)
                }
                found[part.partitionIndex] = part.offset
            }
        }
        return found
    }
}
