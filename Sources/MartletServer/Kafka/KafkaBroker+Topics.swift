internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// Topics are made, extended and deleted: CreateTopics, CreatePartitions, DeleteTopics.
extension KafkaBroker {
    /// More than any machine of this kind serves well; it bounds what one request can ask for.
    static let topicPartitionsMax: Int32 = 100_000

    func createTopics(_ request: KafkaRequest) throws(KafkaError) {
        let body: CreateTopicsRequest = try request.body()
        var response = CreateTopicsResponse()
        var durable: UInt64 = 0
        var times: [String: Int] = [:]
        for topic in body.topics { times[topic.name, default: 0] += 1 }
        var answered: Set<String> = []
        for topic in body.topics where answered.insert(topic.name).inserted {
            var result = CreateTopicsResponse.CreatableTopicResult(name: topic.name, errorMessage: nil, configs: nil)
            let outcome: Result<(Topic, UInt64), KafkaRefusal> =
                times[topic.name, default: 0] > 1
                ? .failure(KafkaRefusal(.invalidRequest, "the topic is named twice in one request"))
                : create(topic, request.version, validateOnly: body.validateOnly)
            switch outcome {
            case .success(let (created, sequence)):
                durable = max(durable, sequence)
                if !body.validateOnly { result.topicId = created.id }
                result.numPartitions = created.partitions
                result.replicationFactor = 1
                result.configs = created.configuration.values().map { value in
                    CreateTopicsResponse.CreatableTopicConfigs(
                        name: value.setting.name, value: value.value, configSource: Int8(value.source.rawValue))
                }
            case .failure(let refusal):
                result.errorCode = refusal.code.rawValue
                result.errorMessage = refusal.text
            }
            response.topics.append(result)
        }
        if durable > 0 { topicsMayHaveChanged(at: durable) }
        answer(request, response, whenDurable: durable)
    }

    private func create(
        _ asked: CreateTopicsRequest.CreatableTopic, _ version: Int16, validateOnly: Bool
    ) -> Result<(Topic, UInt64), KafkaRefusal> {
        guard !isOwnTopic(asked.name) else { return .failure(KafkaRefusal(.topicAuthorizationFailed, ownTopicText(asked.name))) }
        let partitions: Int32
        switch partitionCount(asked, version) {
        case .success(let count): partitions = count
        case .failure(let refusal): return .failure(refusal)
        }
        var overrides: [String: String] = [:]
        for setting in asked.configs {
            guard let value = setting.value else {
                return .failure(KafkaRefusal(.invalidConfig, "\(setting.name) is set to nothing"))
            }
            overrides[setting.name] = value
        }
        do throws(LogError) {
            if validateOnly {
                return .success((try log.validateTopic(asked.name, partitions: partitions, overrides: overrides), 0))
            }
            let created = try log.createTopic(asked.name, partitions: partitions, overrides: overrides)
            logger.info("topic created", ["topic": .string(asked.name), "partitions": .int(Int64(partitions))])
            return .success((created.topic, created.sequence))
        } catch {
            return .failure(KafkaRefusal(error))
        }
    }

    /// From the number asked for, or from an assignment of replicas, of which there can only be this server's.
    private func partitionCount(_ asked: CreateTopicsRequest.CreatableTopic, _ version: Int16) -> Result<Int32, KafkaRefusal> {
        if !asked.assignments.isEmpty {
            guard asked.numPartitions == -1, asked.replicationFactor == -1 else {
                return .failure(KafkaRefusal(.invalidRequest, "an assignment of replicas goes without numbers of partitions and replicas"))
            }
            let numbers = asked.assignments.map(\.partitionIndex).sorted()
            guard numbers == Array(0..<Int32(clamping: numbers.count)),
                asked.assignments.allSatisfy({ $0.brokerIds == [KafkaBroker.nodeID] })
            else {
                return .failure(
                    KafkaRefusal(.invalidReplicaAssignment, "partitions count from 0, each with broker \(KafkaBroker.nodeID) alone"))
            }
            return .success(Int32(numbers.count))
        }
        // Before version 4 (KIP-464) there was no asking for the server's default.
        let mayDefault = version >= 4
        guard asked.replicationFactor == 1 || asked.replicationFactor == -1 && mayDefault else {
            return .failure(
                KafkaRefusal(.invalidReplicationFactor, "\(asked.replicationFactor) replicas, and there is one broker"))
        }
        let count = asked.numPartitions == -1 && mayDefault ? Int32(configuration.int(.partitions)) : asked.numPartitions
        guard count >= 1, count <= KafkaBroker.topicPartitionsMax else {
            return .failure(KafkaRefusal(.invalidPartitions, "\(count) partitions; 1 to \(KafkaBroker.topicPartitionsMax) are possible"))
        }
        return .success(count)
    }

    func createPartitions(_ request: KafkaRequest) throws(KafkaError) {
        let body: CreatePartitionsRequest = try request.body()
        var response = CreatePartitionsResponse()
        var durable: UInt64 = 0
        var times: [String: Int] = [:]
        for topic in body.topics { times[topic.name, default: 0] += 1 }
        var answered: Set<String> = []
        for topic in body.topics where answered.insert(topic.name).inserted {
            var result = CreatePartitionsResponse.CreatePartitionsTopicResult(name: topic.name)
            let outcome: Result<UInt64, KafkaRefusal> =
                times[topic.name, default: 0] > 1
                ? .failure(KafkaRefusal(.invalidRequest, "the topic is named twice in one request"))
                : extend(topic, validateOnly: body.validateOnly)
            switch outcome {
            case .success(let sequence): durable = max(durable, sequence)
            case .failure(let refusal):
                result.errorCode = refusal.code.rawValue
                result.errorMessage = refusal.text
            }
            response.results.append(result)
        }
        if durable > 0 { topicsMayHaveChanged(at: durable) }
        answer(request, response, whenDurable: durable)
    }

    private func extend(_ asked: CreatePartitionsRequest.CreatePartitionsTopic, validateOnly: Bool) -> Result<UInt64, KafkaRefusal> {
        guard let topic = log.topic(named: asked.name) else {
            return .failure(KafkaRefusal(.unknownTopicOrPartition, "there is no topic \"\(asked.name)\""))
        }
        guard !isOwnTopic(topic.name) else { return .failure(KafkaRefusal(.topicAuthorizationFailed, ownTopicText(topic.name))) }
        guard asked.count > topic.partitions, asked.count <= KafkaBroker.topicPartitionsMax else {
            return .failure(
                KafkaRefusal(
                    .invalidPartitions,
                    "the topic has \(topic.partitions) partitions, which can only become more, up to \(KafkaBroker.topicPartitionsMax)"))
        }
        if let assignments = asked.assignments {
            guard assignments.count == Int(asked.count - topic.partitions),
                assignments.allSatisfy({ $0.brokerIds == [KafkaBroker.nodeID] })
            else {
                return .failure(
                    KafkaRefusal(
                        .invalidReplicaAssignment, "one assignment for each new partition, with broker \(KafkaBroker.nodeID) alone"))
            }
        }
        do throws(LogError) {
            return .success(validateOnly ? 0 : try log.addPartitions(topic.id, total: asked.count))
        } catch {
            return .failure(KafkaRefusal(error))
        }
    }

    func deleteTopics(_ request: KafkaRequest) throws(KafkaError) {
        let body: DeleteTopicsRequest = try request.body()
        var response = DeleteTopicsResponse()
        var durable: UInt64 = 0
        let asked =
            request.version >= 6
            ? body.topics : body.topicNames.map { DeleteTopicsRequest.DeleteTopicState(name: $0, topicId: .zero) }
        for state in asked {
            var result = DeleteTopicsResponse.DeletableTopicResult(name: state.name, topicId: state.topicId)
            switch delete(state) {
            case .success(let (topic, sequence)):
                result.name = topic.name
                result.topicId = topic.id
                durable = max(durable, sequence)
                metrics.forget(topic: topic.name)
            case .failure(let refusal):
                result.errorCode = refusal.code.rawValue
                result.errorMessage = refusal.text
            }
            response.responses.append(result)
        }
        if durable > 0 { topicsMayHaveChanged(at: durable) }
        answer(request, response, whenDurable: durable)
    }

    private func delete(_ state: DeleteTopicsRequest.DeleteTopicState) -> Result<(Topic, UInt64), KafkaRefusal> {
        guard configuration.bool(.deleteTopics) else {
            return .failure(KafkaRefusal(.topicDeletionDisabled, "delete.topic.enable is false"))
        }
        if state.name != nil, state.topicId != .zero {
            return .failure(KafkaRefusal(.invalidRequest, "a topic is named by its name or by its id"))
        }
        let found = state.name.map { log.topic(named: $0) } ?? log.topic(id: state.topicId)
        guard let topic = found else {
            return .failure(KafkaRefusal(state.name == nil ? .unknownTopicId : .unknownTopicOrPartition, "there is no such topic"))
        }
        guard !isOwnTopic(topic.name) else { return .failure(KafkaRefusal(.topicAuthorizationFailed, ownTopicText(topic.name))) }
        do throws(LogError) {
            let sequence = try log.deleteTopic(topic.id)
            logger.info("topic deleted", ["topic": .string(topic.name)])
            return .success((topic, sequence))
        } catch {
            return .failure(KafkaRefusal(error))
        }
    }
}
