internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// Settings of topics and of the server: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
extension KafkaBroker {
    /// Kafka's numbers for kinds of resources.
    private enum Resource {
        static let topic: Int8 = 2
        static let broker: Int8 = 4
    }

    /// Kafka's numbers for what IncrementalAlterConfigs does to a value.
    private enum Operation: Int8 { case set = 0, delete, append, subtract }

    private struct Change {
        var name: String
        var operation: Operation
        var value: String?
    }

    // MARK: Describe

    func describeConfigs(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeConfigsRequest = try request.body()
        request.answer(DescribeConfigsResponse(results: body.resources.map { describe($0, body, request.version) }))
    }

    private func describe(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource, _ body: DescribeConfigsRequest, _ version: Int16
    ) -> DescribeConfigsResponse.DescribeConfigsResult {
        var result = DescribeConfigsResponse.DescribeConfigsResult(
            errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName)
        switch described(resource) {
        case .failure(let refusal):
            result.errorCode = refusal.code.rawValue
            result.errorMessage = refusal.text
        case .success(let entries):
            let wanted = resource.configurationKeys.map { Set($0) }
            result.configs = entries.filter { wanted?.contains($0.name) ?? true }.map { entry in
                var entry = entry
                if !body.includeSynonyms { entry.synonyms = [] }
                if !body.includeDocumentation { entry.documentation = nil }
                return entry
            }
        }
        return result
    }

    private func described(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource
    ) -> Result<[DescribeConfigsResponse.DescribeConfigsResourceResult], KafkaRefusal> {
        switch resource.resourceType {
        case Resource.topic:
            guard isTopicName(resource.resourceName) else {
                return .failure(KafkaRefusal(.invalidTopicException, "\"\(resource.resourceName)\" is not a topic name"))
            }
            guard let topic = log.topic(named: resource.resourceName) else {
                return .failure(KafkaRefusal(.unknownTopicOrPartition, "there is no topic \"\(resource.resourceName)\""))
            }
            return .success(topic.configuration.values().map(described))
        case Resource.broker:
            guard resource.resourceName == "\(KafkaBroker.nodeID)" || resource.resourceName.isEmpty else {
                return .failure(KafkaRefusal(.invalidRequest, "this is broker \(KafkaBroker.nodeID), not \"\(resource.resourceName)\""))
            }
            return .success(describedBroker(onlyCluster: resource.resourceName.isEmpty))
        default:
            return .failure(KafkaRefusal(.invalidRequest, "resources of type \(resource.resourceType) have no settings here"))
        }
    }

    private func described(_ value: TopicConfiguration.Value) -> DescribeConfigsResponse.DescribeConfigsResourceResult {
        var entry = DescribeConfigsResponse.DescribeConfigsResourceResult(
            name: value.setting.name, value: value.value, configSource: Int8(value.source.rawValue),
            configType: Int8(value.setting.kind.rawValue), documentation: value.setting.documentation)
        if value.source == .topic {
            entry.synonyms.append(
                DescribeConfigsResponse.DescribeConfigsSynonym(name: value.setting.name, value: value.value, source: 1))
        }
        if let given = configuration.given[value.setting.brokerName] {
            entry.synonyms.append(
                DescribeConfigsResponse.DescribeConfigsSynonym(name: value.setting.brokerName, value: given, source: 4))
        }
        entry.synonyms.append(
            DescribeConfigsResponse.DescribeConfigsSynonym(
                name: value.setting.brokerName, value: value.setting.defaultValue, source: 5))
        return entry
    }

    private func describedBroker(onlyCluster: Bool) -> [DescribeConfigsResponse.DescribeConfigsResourceResult] {
        if onlyCluster {
            return configuration.changedForCluster.sorted { $0.key < $1.key }.map { name, value in
                DescribeConfigsResponse.DescribeConfigsResourceResult(
                    name: name, value: value, configSource: 3, configType: Int8((BrokerSetting.named(name)?.kind ?? .string).rawValue),
                    documentation: BrokerSetting.named(name)?.documentation)
            }
        }
        var entries = BrokerSetting.all.map { setting in
            let (value, source) = configuration.value(of: setting)
            var entry = DescribeConfigsResponse.DescribeConfigsResourceResult(
                name: setting.name, value: value, readOnly: !setting.isDynamic, configSource: source,
                configType: Int8(setting.kind.rawValue), documentation: setting.documentation)
            let layers: [(Int8, String?)] = [
                (2, setting.isDynamic ? configuration.changedForBroker[setting.name] : nil),
                (3, setting.isDynamic ? configuration.changedForCluster[setting.name] : nil),
                (4, configuration.given[setting.name]), (5, setting.defaultValue),
            ]
            for (source, value) in layers {
                if let value {
                    entry.synonyms.append(
                        DescribeConfigsResponse.DescribeConfigsSynonym(name: setting.name, value: value, source: source))
                }
            }
            return entry
        }
        entries += [("broker.id", "\(KafkaBroker.nodeID)"), ("node.id", "\(KafkaBroker.nodeID)"), ("log.dirs", options.directory)].map {
            DescribeConfigsResponse.DescribeConfigsResourceResult(
                name: $0, value: $1, readOnly: true, configSource: 4, configType: Int8(TopicSetting.Kind.string.rawValue),
                documentation: "Given by how this server was started.")
        }
        return entries.sorted { $0.name < $1.name }
    }

    // MARK: Alter

    func alterConfigs(_ request: KafkaRequest) throws(KafkaError) {
        let body: AlterConfigsRequest = try request.body()
        var response = AlterConfigsResponse()
        var durable: UInt64 = 0
        for resource in body.resources {
            var answer = AlterConfigsResponse.AlterConfigsResourceResponse(
                errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName)
            // The old form replaces everything: what is not named goes back to its default.
            let changes = resource.configs.map { Change(name: $0.name, operation: $0.value == nil ? .delete : .set, value: $0.value) }
            switch alter(resource.resourceType, resource.resourceName, changes, replacesAll: true, validateOnly: body.validateOnly) {
            case .success(let sequence): durable = max(durable, sequence)
            case .failure(let refusal):
                answer.errorCode = refusal.code.rawValue
                answer.errorMessage = refusal.text
            }
            response.responses.append(answer)
        }
        answer(request, response, whenDurable: durable)
    }

    func incrementalAlterConfigs(_ request: KafkaRequest) throws(KafkaError) {
        let body: IncrementalAlterConfigsRequest = try request.body()
        var response = IncrementalAlterConfigsResponse()
        var durable: UInt64 = 0
        for resource in body.resources {
            var answer = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName)
            var changes: [Change] = []
            var unknown: Int8?
            for entry in resource.configs {
                guard let operation = Operation(rawValue: entry.configOperation) else {
                    unknown = entry.configOperation
                    continue
                }
                changes.append(Change(name: entry.name, operation: operation, value: entry.value))
            }
            let outcome: Result<UInt64, KafkaRefusal> =
                if let unknown {
                    .failure(KafkaRefusal(.invalidRequest, "there is no operation \(unknown) on a setting"))
                } else if Set(changes.map(\.name)).count < changes.count {
                    .failure(KafkaRefusal(.invalidRequest, "a setting is named twice"))
                } else {
                    alter(resource.resourceType, resource.resourceName, changes, replacesAll: false, validateOnly: body.validateOnly)
                }
            switch outcome {
            case .success(let sequence): durable = max(durable, sequence)
            case .failure(let refusal):
                answer.errorCode = refusal.code.rawValue
                answer.errorMessage = refusal.text
            }
            response.responses.append(answer)
        }
        answer(request, response, whenDurable: durable)
    }

    private func alter(
        _ type: Int8, _ name: String, _ changes: [Change], replacesAll: Bool, validateOnly: Bool
    ) -> Result<UInt64, KafkaRefusal> {
        switch type {
        case Resource.topic where isOwnTopic(name): return .failure(KafkaRefusal(.topicAuthorizationFailed, ownTopicText(name)))
        case Resource.topic: return alterTopic(name, changes, replacesAll: replacesAll, validateOnly: validateOnly)
        case Resource.broker: return alterBroker(name, changes, replacesAll: replacesAll, validateOnly: validateOnly)
        default: return .failure(KafkaRefusal(.invalidRequest, "resources of type \(type) have no settings here"))
        }
    }

    private func alterTopic(
        _ name: String, _ changes: [Change], replacesAll: Bool, validateOnly: Bool
    ) -> Result<UInt64, KafkaRefusal> {
        guard let topic = log.topic(named: name) else {
            let code: ErrorCode = isTopicName(name) ? .unknownTopicOrPartition : .invalidTopicException
            return .failure(KafkaRefusal(code, "there is no topic \"\(name)\""))
        }
        var overrides = replacesAll ? [:] : topic.configuration.overrides
        for change in changes {
            guard let setting = TopicSetting.named(change.name) else {
                return .failure(KafkaRefusal(.invalidConfig, "there is no topic setting \"\(change.name)\""))
            }
            let current = topic.configuration.values().first { $0.setting.name == change.name }?.value ?? ""
            switch applied(change, to: current, isList: setting.kind == .list) {
            case .failure(let refusal): return .failure(refusal)
            case .success(let value): overrides[change.name] = value
            }
        }
        do throws(LogError) {
            if validateOnly {
                _ = try TopicConfiguration(overrides: overrides, serverDefaults: topic.configuration.serverDefaults)
                return .success(0)
            }
            return .success(try log.alterTopic(topic.id, overrides: overrides))
        } catch {
            return .failure(KafkaRefusal(error))
        }
    }

    private func alterBroker(
        _ name: String, _ changes: [Change], replacesAll: Bool, validateOnly: Bool
    ) -> Result<UInt64, KafkaRefusal> {
        guard name.isEmpty || name == "\(KafkaBroker.nodeID)" else {
            return .failure(KafkaRefusal(.invalidRequest, "this is broker \(KafkaBroker.nodeID), not \"\(name)\""))
        }
        let former = name.isEmpty ? configuration.changedForCluster : configuration.changedForBroker
        var values = replacesAll ? [:] : former
        for change in changes {
            let setting = BrokerSetting.named(change.name)
            let current = former[change.name] ?? setting.map { configuration.value(of: $0).value } ?? ""
            switch applied(change, to: current, isList: setting?.kind == .list) {
            case .failure(let refusal): return .failure(refusal)
            case .success(let value):
                if let setting, let value {
                    guard setting.isDynamic else {
                        return .failure(KafkaRefusal(.invalidRequest, "\(change.name) cannot be changed while the server runs"))
                    }
                    if let objection = setting.objection(to: value) {
                        return .failure(KafkaRefusal(.invalidConfig, "\(change.name): \"\(value)\" \(objection)"))
                    }
                }
                values[change.name] = value
            }
        }
        if validateOnly { return .success(0) }
        return keep(values, former: former, forCluster: name.isEmpty)
    }

    private func keep(_ values: [String: String], former: [String: String], forCluster: Bool) -> Result<UInt64, KafkaRefusal> {
        let prefix = forCluster ? "cluster/" : "broker/"
        var entries: [EntryChange] = []
        for name in Set(values.keys).union(former.keys).sorted() where values[name] != former[name] {
            entries.append(EntryChange(.configuration, key: Array((prefix + name).utf8), value: values[name].map { Array($0.utf8) }))
        }
        do throws(LogError) {
            let sequence = entries.isEmpty ? 0 : try log.commit(Commit(entries: entries)).sequence
            configuration.change(
                broker: forCluster ? configuration.changedForBroker : values,
                cluster: forCluster ? values : configuration.changedForCluster)
            return .success(sequence)
        } catch {
            return .failure(KafkaRefusal(error))
        }
    }

    /// What was changed while a former process ran.
    func loadConfiguration() {
        var broker: [String: String] = [:]
        var cluster: [String: String] = [:]
        for entry in log.entries(.configuration) {
            let name = String(decoding: entry.key, as: UTF8.self)
            let value = String(decoding: entry.value, as: UTF8.self)
            if name.hasPrefix("broker/") { broker[String(name.dropFirst(7))] = value }
            if name.hasPrefix("cluster/") { cluster[String(name.dropFirst(8))] = value }
        }
        configuration.change(broker: broker, cluster: cluster)
    }

    /// The new value; nil is the default's.
    private func applied(_ change: Change, to current: String, isList: Bool) -> Result<String?, KafkaRefusal> {
        switch change.operation {
        case .delete: return .success(nil)
        case .set:
            guard let value = change.value else { return .failure(KafkaRefusal(.invalidConfig, "\(change.name) is set to nothing")) }
            return .success(value)
        case .append, .subtract:
            guard isList else {
                return .failure(KafkaRefusal(.invalidConfig, "\(change.name) is no list that could be added to or taken from"))
            }
            let parts = TopicSetting.list(change.value ?? "")
            var list = TopicSetting.list(current)
            list.removeAll { parts.contains($0) }
            if change.operation == .append { list += parts }
            return .success(list.joined(separator: ","))
        }
    }
}
