internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Looking into the server: DescribeLogDirs, DescribeProducers; and what there is of security: the access and SASL APIs,
/// answered as by a Kafka without authorizer and without SASL.
extension KafkaBroker {
    func describeLogDirs(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeLogDirsRequest = try request.body()
        let wanted = body.topics.map { asked in
            Dictionary(asked.map { ($0.topic, Set($0.partitions)) }, uniquingKeysWith: { $0.union($1) })
        }
        let topics = log.topics()
        let log = log
        let options = options
        let loop = loop
        nonisolated(unsafe) let request = request
        // The file system is asked for its space, and may be slow to say.
        pool.run {
            var result = DescribeLogDirsResponse.DescribeLogDirsResult(logDir: options.directory)
            for topic in topics {
                guard let partitions = wanted == nil ? Set(0..<topic.partitions) : wanted?[topic.name] else { continue }
                var described = DescribeLogDirsResponse.DescribeLogDirsTopic(name: topic.name)
                for number in partitions.sorted() where number >= 0 && number < topic.partitions {
                    guard let status = log.status(TopicPartition(topic: topic.id, partition: number)) else { continue }
                    described.partitions.append(
                        DescribeLogDirsResponse.DescribeLogDirsPartition(partitionIndex: number, partitionSize: status.bytes))
                }
                if !described.partitions.isEmpty { result.topics.append(described) }
            }
            if let space = options.space() {
                result.totalBytes = space.total
                result.usableBytes = space.usable
            }
            let response = DescribeLogDirsResponse(results: [result])
            loop.post { request.answer(response) }
        }
    }

    func describeProducers(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeProducersRequest = try request.body()
        var response = DescribeProducersResponse()
        for topic in body.topics {
            var answered = DescribeProducersResponse.TopicResponse(name: topic.name)
            for number in topic.partitionIndexes {
                var part = DescribeProducersResponse.PartitionResponse(partitionIndex: number)
                switch partition(topic.name, number) {
                case .failure(let refusal): part.errorCode = refusal.code.rawValue
                case .success(let key):
                    do throws(LogError) {
                        part.activeProducers = try log.producers(of: key).map { producer in
                            DescribeProducersResponse.ProducerState(
                                producerId: producer.producerID, producerEpoch: Int32(producer.producerEpoch),
                                lastSequence: producer.lastSequence, lastTimestamp: producer.lastMillis,
                                coordinatorEpoch: producer.coordinatorEpoch, currentTxnStartOffset: producer.transactionStartOffset)
                        }
                    } catch {
                        part.errorCode = ErrorCode(error).rawValue
                        part.errorMessage = "\(error)"
                    }
                }
                answered.partitions.append(part)
            }
            response.topics.append(answered)
        }
        request.answer(response)
    }

    // MARK: Access rules

    private static let noAuthorizer = "no authorizer is configured: everybody may do everything"

    /// Without an authorizer there are no rules, which is no error.
    func describeAcls(_ request: KafkaRequest) throws(KafkaError) {
        _ = try request.body(DescribeAclsRequest.self)
        request.answer(DescribeAclsResponse(errorMessage: nil))
    }

    func createAcls(_ request: KafkaRequest) throws(KafkaError) {
        let body: CreateAclsRequest = try request.body()
        let result = CreateAclsResponse.AclCreationResult(
            errorCode: ErrorCode.securityDisabled.rawValue, errorMessage: KafkaBroker.noAuthorizer)
        request.answer(CreateAclsResponse(results: body.creations.map { _ in result }))
    }

    func deleteAcls(_ request: KafkaRequest) throws(KafkaError) {
        let body: DeleteAclsRequest = try request.body()
        let result = DeleteAclsResponse.DeleteAclsFilterResult(
            errorCode: ErrorCode.securityDisabled.rawValue, errorMessage: KafkaBroker.noAuthorizer)
        request.answer(DeleteAclsResponse(filterResults: body.filters.map { _ in result }))
    }

    // MARK: SASL

    func saslHandshake(_ request: KafkaRequest) throws(KafkaError) {
        _ = try request.body(SaslHandshakeRequest.self)
        // No mechanism is offered: the list is empty.
        request.answer(SaslHandshakeResponse(errorCode: ErrorCode.unsupportedSaslMechanism.rawValue))
    }

    func saslAuthenticate(_ request: KafkaRequest) throws(KafkaError) {
        _ = try request.body(SaslAuthenticateRequest.self)
        request.answer(
            SaslAuthenticateResponse(
                errorCode: ErrorCode.illegalSaslState.rawValue,
                errorMessage: "SaslAuthenticate follows a handshake, and this listener has no SASL"))
    }
}
