internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Who and what there is: ApiVersions, Metadata, DescribeCluster, FindCoordinator.
extension KafkaBroker {
    /// This server's number. Kafka's clients take −1 for "none", and 0 for "unset" in some places.
    static let nodeID: Int32 = 1
    /// All operations on a resource of that kind that an unrestricted client may do, as Kafka's bits; the protocol's
    /// smallest number says that it was not asked for.
    static let clusterOperations: Int32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
    static let topicOperations: Int32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11
    static let groupOperations: Int32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11

    func apiVersions(_ request: KafkaRequest) throws(KafkaError) {
        var response = ApiVersionsResponse(apiKeys: ApiVersionsResponse.advertised)
        guard ApiKey.apiVersions.advertised.contains(request.version) else {
            // A client of the future: it tries again with what it finds here.
            response.errorCode = ErrorCode.unsupportedVersion.rawValue
            return request.answer(response, version: 0)
        }
        let body: ApiVersionsRequest = try request.body()
        if request.version >= 3 {
            guard isSoftwareName(body.clientSoftwareName), isSoftwareName(body.clientSoftwareVersion) else {
                return request.answer(ApiVersionsResponse(errorCode: ErrorCode.invalidRequest.rawValue))
            }
            logger.debug(
                "a client has connected",
                [
                    "client": .string("\(request.connection.stream.peerAddress)"), "name": .string(body.clientSoftwareName),
                    "version": .string(body.clientSoftwareVersion),
                ])
            // Before version 4 a feature that may be at level 0 cannot be told (KIP-1022).
            let supported = [("group.version", 0, 1), ("transaction.version", 0, 2)]
            if request.version >= 4 {
                response.supportedFeatures = supported.map { name, least, most in
                    ApiVersionsResponse.SupportedFeatureKey(name: name, minVersion: Int16(least), maxVersion: Int16(most))
                }
            }
            response.finalizedFeaturesEpoch = 0
            response.finalizedFeatures = supported.map { name, _, most in
                ApiVersionsResponse.FinalizedFeatureKey(name: name, maxVersionLevel: Int16(most), minVersionLevel: Int16(most))
            }
        }
        request.answer(response)
    }

    /// Kafka's rule for what a client calls itself.
    private func isSoftwareName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let isLetter = { (byte: UInt8) in (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) }
        guard let first = bytes.first, let last = bytes.last, isLetter(first), isLetter(last) else { return false }
        return bytes.allSatisfy { isLetter($0) || $0 == 45 || $0 == 46 }
    }

    /// Where a client that came in through this connection finds the server.
    func advertised(to connection: KafkaConnection) -> ListenAddress { advertisedAddress ?? connection.stream.localAddress }

    func metadata(_ request: KafkaRequest) throws(KafkaError) {
        let body: MetadataRequest = try request.body()
        let address = advertised(to: request.connection)
        var response = MetadataResponse(
            brokers: [MetadataResponse.MetadataResponseBroker(nodeId: KafkaBroker.nodeID, host: address.host, port: Int32(address.port))],
            clusterId: clusterID, controllerId: KafkaBroker.nodeID)
        if body.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = KafkaBroker.clusterOperations }
        let includesOperations = body.includeTopicAuthorizedOperations
        // Version 0 has no null: no topics means all.
        guard let asked = body.topics, request.version > 0 || !asked.isEmpty else {
            response.topics = log.topics().map { described($0, includesOperations) }
            return request.answer(response)
        }
        var sequence: UInt64 = 0
        let mayCreate = body.allowAutoTopicCreation && configuration.bool(.autoCreateTopics)
        for topic in asked {
            let (answer, needed) = described(topic, request.version, mayCreate: mayCreate, includesOperations)
            response.topics.append(answer)
            sequence = max(sequence, needed)
        }
        answer(request, response, whenDurable: sequence)
    }

    private func described(
        _ asked: MetadataRequest.MetadataRequestTopic, _ version: Int16, mayCreate: Bool, _ includesOperations: Bool
    ) -> (MetadataResponse.MetadataResponseTopic, UInt64) {
        guard let name = asked.name else {
            if let topic = log.topic(id: asked.topicId) { return (described(topic, includesOperations), 0) }
            return (
                MetadataResponse.MetadataResponseTopic(
                    errorCode: ErrorCode.unknownTopicId.rawValue, name: version >= 12 ? nil : "", topicId: asked.topicId), 0
            )
        }
        if let topic = log.topic(named: name) { return (described(topic, includesOperations), 0) }
        var missing = MetadataResponse.MetadataResponseTopic(errorCode: ErrorCode.unknownTopicOrPartition.rawValue, name: name)
        guard isTopicName(name) else {
            missing.errorCode = ErrorCode.invalidTopicException.rawValue
            return (missing, 0)
        }
        guard !isOwnTopic(name) else {
            missing.errorCode = ErrorCode.topicAuthorizationFailed.rawValue
            return (missing, 0)
        }
        guard mayCreate else { return (missing, 0) }
        do throws(LogError) {
            let created = try log.createTopic(name, partitions: Int32(configuration.int(.partitions)))
            logger.info("topic created for a client that asked for it", ["topic": .string(name)])
            topicsMayHaveChanged(at: created.sequence)
            return (described(created.topic, includesOperations), created.sequence)
        } catch {
            // Somebody else is creating it right now; the client asks again.
            if case .topicExists = error { missing.errorCode = ErrorCode.leaderNotAvailable.rawValue } else {
                missing.errorCode = ErrorCode(error).rawValue
            }
            return (missing, 0)
        }
    }

    private func described(_ topic: Topic, _ includesOperations: Bool) -> MetadataResponse.MetadataResponseTopic {
        var answer = MetadataResponse.MetadataResponseTopic(name: topic.name, topicId: topic.id, isInternal: topic.isInternal)
        answer.partitions = (0..<topic.partitions).map { number in
            MetadataResponse.MetadataResponsePartition(
                partitionIndex: number, leaderId: KafkaBroker.nodeID, leaderEpoch: 0, replicaNodes: [KafkaBroker.nodeID],
                isrNodes: [KafkaBroker.nodeID])
        }
        if includesOperations { answer.topicAuthorizedOperations = KafkaBroker.topicOperations }
        return answer
    }

    func describeCluster(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeClusterRequest = try request.body()
        var response = DescribeClusterResponse(clusterId: clusterID, controllerId: KafkaBroker.nodeID)
        guard body.endpointType == 1 else {
            response.errorCode = ErrorCode.unsupportedEndpointType.rawValue
            response.errorMessage = "there are no controllers to be described, only brokers"
            response.controllerId = -1
            if request.version >= 1 { response.endpointType = body.endpointType }
            return request.answer(response)
        }
        let address = advertised(to: request.connection)
        response.brokers = [
            DescribeClusterResponse.DescribeClusterBroker(brokerId: KafkaBroker.nodeID, host: address.host, port: Int32(address.port))
        ]
        if body.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = KafkaBroker.clusterOperations }
        request.answer(response)
    }

    /// Everything is coordinated here.
    func findCoordinator(_ request: KafkaRequest) throws(KafkaError) {
        let body: FindCoordinatorRequest = try request.body()
        let address = advertised(to: request.connection)
        let isKnownKind = body.keyType == 0 || body.keyType == 1
        let error: ErrorCode = isKnownKind ? .noError : .invalidRequest
        guard request.version >= 4 else {
            var response = FindCoordinatorResponse(errorCode: error.rawValue, errorMessage: isKnownKind ? nil : "no such kind of key")
            response.nodeId = isKnownKind ? KafkaBroker.nodeID : -1
            response.host = isKnownKind ? address.host : ""
            response.port = isKnownKind ? Int32(address.port) : -1
            return request.answer(response)
        }
        request.answer(
            FindCoordinatorResponse(
                coordinators: body.coordinatorKeys.map { key in
                    FindCoordinatorResponse.Coordinator(
                        key: key, nodeId: isKnownKind ? KafkaBroker.nodeID : -1, host: isKnownKind ? address.host : "",
                        port: isKnownKind ? Int32(address.port) : -1, errorCode: error.rawValue,
                        errorMessage: isKnownKind ? nil : "no such kind of key")
                }))
    }
}
