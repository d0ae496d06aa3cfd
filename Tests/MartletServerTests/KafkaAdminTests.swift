import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform
import MartletServer
import Testing

@Suite("Kafka clients look after the server")
struct KafkaAdminTests {
    @Test("topics are made, described in every version, extended, deleted; validate_only changes nothing")
    func topics() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        var request = CreateTopicsRequest(topics: [
            CreateTopicsRequest.CreatableTopic(name: "defaults", numPartitions: -1, replicationFactor: -1),
            CreateTopicsRequest.CreatableTopic(
                name: "assigned", numPartitions: -1, replicationFactor: -1,
                assignments: [
                    CreateTopicsRequest.CreatableReplicaAssignment(partitionIndex: 1, brokerIds: [1]),
                    CreateTopicsRequest.CreatableReplicaAssignment(partitionIndex: 0, brokerIds: [1]),
                ]),
            CreateTopicsRequest.CreatableTopic(name: "..", numPartitions: 1, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: "a/b", numPartitions: 1, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: String(repeating: "n", count: 250), numPartitions: 1, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: "zero\0", numPartitions: 1, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: "none", numPartitions: 0, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: "many", numPartitions: 1, replicationFactor: 3),
            CreateTopicsRequest.CreatableTopic(
                name: "odd", numPartitions: 1, replicationFactor: 1,
                configs: [CreateTopicsRequest.CreatableTopicConfig(name: "retention.ms", value: "soon")]),
            CreateTopicsRequest.CreatableTopic(name: "twice", numPartitions: 1, replicationFactor: 1),
            CreateTopicsRequest.CreatableTopic(name: "twice", numPartitions: 2, replicationFactor: 1),
        ])
        let expected: [(String, ErrorCode)] = [
            ("defaults", .noError), ("assigned", .noError), ("..", .invalidTopicException), ("a/b", .invalidTopicException),
            (String(repeating: "n", count: 250), .invalidTopicException), ("zero\0", .invalidTopicException), ("none", .invalidPartitions),
            ("many", .invalidReplicationFactor), ("odd", .invalidConfig), ("twice", .invalidRequest),
        ]
        for isDry in [true, false] {
            request.validateOnly = isDry
            let response: CreateTopicsResponse = try client.ask(.createTopics, 7, request)
            #expect(response.topics.map(\.name) == expected.map(\.0))
            for (topic, expectation) in zip(response.topics, expected) {
                #expect(topic.errorCode == expectation.1.rawValue, "\(topic.name): \(topic.errorMessage ?? "")")
            }
            #expect(response.topics[0].numPartitions == 4 && response.topics[1].numPartitions == 2)
            #expect((response.topics[0].topicId == .zero) == isDry)
            let all: MetadataResponse = try client.ask(.metadata, 9, MetadataRequest(topics: nil))
            #expect(all.topics.map(\.name) == (isDry ? [] : ["assigned", "defaults"]))
        }
        for version in ApiKey.metadata.advertised {
            let response: MetadataResponse = try client.ask(
                .metadata, version, MetadataRequest(topics: [MetadataRequest.MetadataRequestTopic(name: "assigned")]))
            let topic = try #require(response.topics.first)
            #expect(topic.errorCode == 0 && topic.partitions.map(\.partitionIndex) == [0, 1])
            #expect(topic.partitions.allSatisfy { $0.leaderId == 1 && $0.replicaNodes == [1] && $0.isrNodes == [1] })
            #expect(response.brokers.first?.port == Int32(fixture.server.address.port))
        }
        let again: CreateTopicsResponse = try client.ask(
            .createTopics, 7,
            CreateTopicsRequest(topics: [CreateTopicsRequest.CreatableTopic(name: "defaults", numPartitions: 1, replicationFactor: 1)]))
        #expect(again.topics[0].errorCode == ErrorCode.topicAlreadyExists.rawValue)
        let extended: CreatePartitionsResponse = try client.ask(
            .createPartitions, 3,
            CreatePartitionsRequest(topics: [
                CreatePartitionsRequest.CreatePartitionsTopic(name: "assigned", count: 3, assignments: nil),
                CreatePartitionsRequest.CreatePartitionsTopic(name: "defaults", count: 4, assignments: nil),
                CreatePartitionsRequest.CreatePartitionsTopic(name: "missing", count: 4, assignments: nil),
            ]))
        #expect(
            extended.results.map(\.errorCode) == [
                0, ErrorCode.invalidPartitions.rawValue, ErrorCode.unknownTopicOrPartition.rawValue,
            ])
        let deleted: DeleteTopicsResponse = try client.ask(
            .deleteTopics, 6,
            DeleteTopicsRequest(topics: [
                DeleteTopicsRequest.DeleteTopicState(name: "assigned"), DeleteTopicsRequest.DeleteTopicState(name: "missing"),
                DeleteTopicsRequest.DeleteTopicState(topicId: TopicID(high: 1, low: 2)),
            ]))
        #expect(
            deleted.responses.map(\.errorCode) == [
                0, ErrorCode.unknownTopicOrPartition.rawValue, ErrorCode.unknownTopicId.rawValue,
            ])
    }

    @Test("a topic that is asked for is made, with num.partitions, unless the client or the server says no")
    func autoCreation() throws {
        let fixture = try KafkaFixture([("num.partitions", "7")])
        let client = try fixture.client()
        let asked = { (name: String, may: Bool) in
            MetadataRequest(topics: [MetadataRequest.MetadataRequestTopic(name: name)], allowAutoTopicCreation: may)
        }
        var response: MetadataResponse = try client.ask(.metadata, 9, asked("x", false))
        #expect(response.topics[0].errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        response = try client.ask(.metadata, 9, asked("x", true))
        #expect(response.topics[0].errorCode == 0 && response.topics[0].partitions.count == 7)
        response = try client.ask(.metadata, 9, asked("bad name", true))
        #expect(response.topics[0].errorCode == ErrorCode.invalidTopicException.rawValue)
        // Changed while running, and kept.
        let change = IncrementalAlterConfigsRequest.AlterableConfig(name: "auto.create.topics.enable", configOperation: 0, value: "false")
        let altered: IncrementalAlterConfigsResponse = try client.ask(
            .incrementalAlterConfigs, 1,
            IncrementalAlterConfigsRequest(resources: [
                IncrementalAlterConfigsRequest.AlterConfigsResource(resourceType: 4, resourceName: "1", configs: [change])
            ]))
        #expect(altered.responses[0].errorCode == 0)
        response = try client.ask(.metadata, 9, asked("y", true))
        #expect(response.topics[0].errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        try fixture.restart()
        response = try fixture.client().ask(.metadata, 9, asked("y", true))
        #expect(response.topics[0].errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        response = try fixture.client().ask(.metadata, 9, asked("x", true))
        #expect(response.topics[0].partitions.count == 7)
    }

    @Test("every setting is described with its default, documentation and sources; changes take effect and are checked")
    func configs() throws {
        let fixture = try KafkaFixture([("log.retention.ms", "12345")])
        try fixture.createTopic("t")
        let client = try fixture.client()
        func describe(_ type: Int8, _ name: String) throws -> DescribeConfigsResponse.DescribeConfigsResult {
            let response: DescribeConfigsResponse = try client.ask(
                .describeConfigs, 4,
                DescribeConfigsRequest(
                    resources: [
                        DescribeConfigsRequest.DescribeConfigsResource(resourceType: type, resourceName: name, configurationKeys: nil)
                    ], includeSynonyms: true, includeDocumentation: true))
            return try #require(response.results.first)
        }
        func alter(_ name: String, _ operation: Int8, _ value: String?, type: Int8 = 2, resource: String = "t") throws -> ErrorCode? {
            let response: IncrementalAlterConfigsResponse = try client.ask(
                .incrementalAlterConfigs, 1,
                IncrementalAlterConfigsRequest(resources: [
                    IncrementalAlterConfigsRequest.AlterConfigsResource(
                        resourceType: type, resourceName: resource,
                        configs: [
                            IncrementalAlterConfigsRequest.AlterableConfig(name: name, configOperation: operation, value: value)
                        ])
                ]))
            return ErrorCode(rawValue: response.responses[0].errorCode)
        }
        let topic = try describe(2, "t")
        #expect(topic.configs.count == TopicSetting.all.count)
        #expect(topic.configs.allSatisfy { $0.documentation?.isEmpty == false && $0.synonyms.last?.source == 5 && $0.configType > 0 })
        let retention = topic.configs.first { $0.name == "retention.ms" }
        #expect(retention?.value == "12345" && retention?.configSource == 4)
        let broker = try describe(4, "1")
        #expect(broker.configs.contains { $0.name == "num.partitions" && $0.value == "4" && !$0.readOnly && $0.configSource == 5 })
        #expect(broker.configs.contains { $0.name == "log.retention.ms" && $0.value == "12345" && $0.readOnly })
        #expect(broker.configs.allSatisfy { $0.documentation?.isEmpty == false })
        #expect(try describe(2, "none").errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        #expect(try describe(4, "2").errorCode == ErrorCode.invalidRequest.rawValue)
        #expect(try describe(99, "x").errorCode == ErrorCode.invalidRequest.rawValue)

        #expect(try alter("retention.ms", 0, "777") == .noError)
        #expect(try alter("cleanup.policy", 2, "compact") == .noError)
        #expect(try describe(2, "t").configs.first { $0.name == "cleanup.policy" }?.value == "delete,compact")
        #expect(try alter("cleanup.policy", 3, "delete") == .noError)
        #expect(try describe(2, "t").configs.first { $0.name == "cleanup.policy" }?.value == "compact")
        #expect(try describe(2, "t").configs.first { $0.name == "retention.ms" }?.configSource == 1)
        #expect(try alter("retention.ms", 1, nil) == .noError)
        #expect(try describe(2, "t").configs.first { $0.name == "retention.ms" }?.value == "12345")
        #expect(try alter("retention.ms", 0, "soon") == .invalidConfig)
        #expect(try alter("no.such.setting", 0, "1") == .invalidConfig)
        #expect(try alter("retention.ms", 2, "1") == .invalidConfig)
        #expect(try alter("node.id", 0, "1", type: 4, resource: "7") == .invalidRequest)
        #expect(try alter("max.connections", 0, "1", type: 4, resource: "1") == .invalidRequest)
        #expect(try alter("num.partitions", 0, "9", type: 4, resource: "") == .noError)
        #expect(try describe(4, "1").configs.first { $0.name == "num.partitions" }?.configSource == 3)
        // The old call replaces all.
        let replaced: AlterConfigsResponse = try client.ask(
            .alterConfigs, 2,
            AlterConfigsRequest(resources: [
                AlterConfigsRequest.AlterConfigsResource(
                    resourceType: 2, resourceName: "t",
                    configs: [AlterConfigsRequest.AlterableConfig(name: "max.message.bytes", value: "5000")])
            ]))
        #expect(replaced.responses[0].errorCode == 0)
        let set = try describe(2, "t").configs.filter { $0.configSource == 1 }
        #expect(set.map(\.name) == ["max.message.bytes"])
    }

    @Test("records are deleted up to an offset; earliest, latest and times are found")
    func offsets() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        for index in 0..<5 { _ = try client.produce("t", try batch(["v\(index)"], timestamp: 1000 + Int64(index) * 100)) }
        func offset(_ timestamp: Int64, version: Int16 = 7) throws -> (offset: Int64, timestamp: Int64, error: Int16) {
            let response: ListOffsetsResponse = try client.ask(
                .listOffsets, version,
                ListOffsetsRequest(
                    replicaId: -1,
                    topics: [
                        ListOffsetsRequest.ListOffsetsTopic(
                            name: "t", partitions: [ListOffsetsRequest.ListOffsetsPartition(partitionIndex: 0, timestamp: timestamp)])
                    ]))
            let part = try #require(response.topics.first?.partitions.first)
            return (part.offset, part.timestamp, part.errorCode)
        }
        for version in ApiKey.listOffsets.advertised {
            #expect(try offset(-2, version: version) == (0, -1, 0))
            #expect(try offset(-1, version: version) == (5, -1, 0))
            #expect(try offset(1150, version: version) == (2, 1200, 0))
        }
        #expect(try offset(-3) == (4, 1400, 0))
        #expect(try offset(9_999_999) == (-1, -1, 0))
        #expect(try offset(-9).error == ErrorCode.unsupportedVersion.rawValue)
        func delete(_ offset: Int64, _ number: Int32 = 0) throws -> DeleteRecordsResponse.DeleteRecordsPartitionResult {
            let response: DeleteRecordsResponse = try client.ask(
                .deleteRecords, 2,
                DeleteRecordsRequest(topics: [
                    DeleteRecordsRequest.DeleteRecordsTopic(
                        name: "t", partitions: [DeleteRecordsRequest.DeleteRecordsPartition(partitionIndex: number, offset: offset)])
                ]))
            return try #require(response.topics.first?.partitions.first)
        }
        #expect(try delete(3).lowWatermark == 3)
        #expect(try offset(-2).offset == 3)
        #expect(try client.fetch("t", from: 0).errorCode == ErrorCode.offsetOutOfRange.rawValue)
        #expect(try client.fetch("t", from: 3).values == ["v3", "v4"])
        #expect(try delete(99).errorCode == ErrorCode.offsetOutOfRange.rawValue)
        #expect(try delete(0, 5).errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        #expect(try delete(-1).lowWatermark == 5)
        let epoch: OffsetForLeaderEpochResponse = try client.ask(
            .offsetForLeaderEpoch, 4,
            OffsetForLeaderEpochRequest(topics: [
                OffsetForLeaderEpochRequest.OffsetForLeaderTopic(
                    topic: "t", partitions: [OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition: 0, leaderEpoch: 0)])
            ]))
        #expect(epoch.topics[0].partitions[0].endOffset == 5)
    }

    @Test("a group commits offsets that survive a restart, and its lag is on the metrics page")
    func groups() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        for _ in 0..<3 { _ = try client.produce("t", try batch(["v"])) }
        var join = JoinGroupRequest(groupId: "g", sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, protocolType: "consumer")
        join.protocols = [JoinGroupRequest.JoinGroupRequestProtocol(name: "range", metadata: [0, 1, 0, 0, 0, 0, 0, 0, 0, 0])]
        let first: JoinGroupResponse = try client.ask(.joinGroup, 5, join)
        #expect(first.errorCode == ErrorCode.memberIdRequired.rawValue && !first.memberId.isEmpty)
        join.memberId = first.memberId
        let joined: JoinGroupResponse = try client.ask(.joinGroup, 5, join)
        #expect(joined.errorCode == 0 && joined.leader == first.memberId && joined.members.count == 1)
        let assignment = SyncGroupRequest.SyncGroupRequestAssignment(memberId: first.memberId, assignment: [1, 2, 3])
        let synced: SyncGroupResponse = try client.ask(
            .syncGroup, 3,
            SyncGroupRequest(groupId: "g", generationId: joined.generationId, memberId: first.memberId, assignments: [assignment]))
        #expect(synced.errorCode == 0 && synced.assignment == [1, 2, 3])
        let committed: OffsetCommitResponse = try client.ask(
            .offsetCommit, 7,
            OffsetCommitRequest(
                groupId: "g", generationIdOrMemberEpoch: joined.generationId, memberId: first.memberId,
                topics: [
                    OffsetCommitRequest.OffsetCommitRequestTopic(
                        name: "t",
                        partitions: [
                            OffsetCommitRequest.OffsetCommitRequestPartition(
                                partitionIndex: 0, committedOffset: 1, committedMetadata: "note")
                        ])
                ]))
        #expect(committed.topics[0].partitions[0].errorCode == 0)
        #expect(
            eventually(seconds: 15) {
                let page = fixture.metrics.renderPrometheus()
                return page.contains("kafka_consumergroup_lag{group=\"g\",topic=\"t\",partition=\"0\"} 2\n")
                    && page.contains("kafka_consumergroup_lag_seconds{group=\"g\"")
            })
        let page = fixture.metrics.renderPrometheus()
        #expect(page.contains("martlet_kafka_requests_total{api=\"Produce\"} 3\n"))
        #expect(page.contains("martlet_kafka_errors_total{api=\"JoinGroup\",error=\"MEMBER_ID_REQUIRED\"} 1\n"))
        #expect(page.contains("martlet_kafka_produced_records_total 3\n"))
        try fixture.restart()
        let again = try fixture.client()
        for version in ApiKey.offsetFetch.advertised {
            var request = OffsetFetchRequest()
            if version >= 8 {
                request.groups = [
                    OffsetFetchRequest.OffsetFetchRequestGroup(
                        groupId: "g", topics: [OffsetFetchRequest.OffsetFetchRequestTopics(name: "t", partitionIndexes: [0])])
                ]
            } else {
                request.groupId = "g"
                request.topics = [OffsetFetchRequest.OffsetFetchRequestTopic(name: "t", partitionIndexes: [0])]
            }
            let response: OffsetFetchResponse = try again.ask(.offsetFetch, version, request)
            let offset = version >= 8
                ? response.groups[0].topics[0].partitions[0].committedOffset : response.topics[0].partitions[0].committedOffset
            #expect(offset == 1)
        }
        let listed: ListGroupsResponse = try again.ask(.listGroups, 5, ListGroupsRequest())
        #expect(listed.groups.map(\.groupId) == ["g"])
    }

    @Test("quotas are kept, described by filter, and survive a restart")
    func quotas() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        func alter(_ entity: [(String, String?)], _ key: String, _ value: Double?) throws -> Int16 {
            let operation = AlterClientQuotasRequest.OpData(key: key, value: value ?? 0, remove: value == nil)
            let response: AlterClientQuotasResponse = try client.ask(
                .alterClientQuotas, 1,
                AlterClientQuotasRequest(entries: [
                    AlterClientQuotasRequest.EntryData(
                        entity: entity.map { AlterClientQuotasRequest.EntityData(entityType: $0.0, entityName: $0.1) }, ops: [operation])
                ]))
            return response.entries[0].errorCode
        }
        #expect(try alter([("client-id", "a")], "consumer_byte_rate", 1000) == 0)
        #expect(try alter([("client-id", nil)], "producer_byte_rate", 2000) == 0)
        #expect(try alter([("user", "u"), ("client-id", "a")], "request_percentage", 50) == 0)
        #expect(try alter([("client-id", "a")], "nonsense", 1) == ErrorCode.invalidRequest.rawValue)
        #expect(try alter([("planet", "a")], "consumer_byte_rate", 1) == ErrorCode.invalidRequest.rawValue)
        #expect(try alter([("client-id", "a")], "consumer_byte_rate", -1) == ErrorCode.invalidRequest.rawValue)
        #expect(try alter([], "consumer_byte_rate", 1) == ErrorCode.invalidRequest.rawValue)
        func describe(_ components: [(String, Int8, String?)], strict: Bool = false) throws -> Int {
            let response: DescribeClientQuotasResponse = try fixture.client().ask(
                .describeClientQuotas, 1,
                DescribeClientQuotasRequest(
                    components: components.map {
                        DescribeClientQuotasRequest.ComponentData(entityType: $0.0, matchType: $0.1, match: $0.2)
                    }, strict: strict))
            return response.entries?.count ?? -1
        }
        for _ in 0..<2 {
            #expect(try describe([]) == 3)
            #expect(try describe([("client-id", 0, "a")]) == 2)
            #expect(try describe([("client-id", 0, "a")], strict: true) == 1)
            #expect(try describe([("client-id", 1, nil)]) == 1)
            #expect(try describe([("client-id", 2, nil)]) == 3)
            #expect(try describe([("user", 2, nil)]) == 1)
            try fixture.restart()
        }
        #expect(try describe([("client-id", 5, nil)]) == -1)
        let again = try fixture.client()
        let removed: AlterClientQuotasResponse = try again.ask(
            .alterClientQuotas, 1,
            AlterClientQuotasRequest(entries: [
                AlterClientQuotasRequest.EntryData(
                    entity: [AlterClientQuotasRequest.EntityData(entityType: "client-id", entityName: nil)],
                    ops: [AlterClientQuotasRequest.OpData(key: "producer_byte_rate", remove: true)])
            ]))
        #expect(removed.entries[0].errorCode == 0)
        #expect(try describe([]) == 2)
    }

    @Test("without authorizer and SASL, their APIs say so")
    func security() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        let acls: DescribeAclsResponse = try client.ask(.describeAcls, 3, DescribeAclsRequest())
        #expect(acls.errorCode == 0 && acls.resources.isEmpty)
        let creation: CreateAclsResponse = try client.ask(
            .createAcls, 3, CreateAclsRequest(creations: [CreateAclsRequest.AclCreation(resourceName: "t")]))
        #expect(creation.results.map(\.errorCode) == [ErrorCode.securityDisabled.rawValue])
        let handshake: SaslHandshakeResponse = try client.ask(.saslHandshake, 1, SaslHandshakeRequest(mechanism: "PLAIN"))
        #expect(handshake.errorCode == ErrorCode.unsupportedSaslMechanism.rawValue && handshake.mechanisms.isEmpty)
        let authentication: SaslAuthenticateResponse = try client.ask(.saslAuthenticate, 2, SaslAuthenticateRequest(authBytes: [1]))
        #expect(authentication.errorCode == ErrorCode.illegalSaslState.rawValue)
    }

    @Test("the server's settings are checked before it starts")
    func settings() throws {
        #expect(throws: BrokerConfigurationError.self) { try BrokerConfiguration([("no.such", "1")]) }
        #expect(throws: BrokerConfigurationError.self) { try BrokerConfiguration([("num.partitions", "many")]) }
        #expect(throws: BrokerConfigurationError.self) { try BrokerConfiguration([("num.partitions", "0")]) }
        #expect(throws: BrokerConfigurationError.self) { try BrokerConfiguration([("log.cleanup.policy", "shred")]) }
        let configuration = try BrokerConfiguration([("num.partitions", "3"), ("log.segment.bytes", "4194304")])
        #expect(configuration.int(.partitions) == 3)
        #expect(configuration.logOptions().topicDefaults == ["segment.bytes": "4194304"])
        for setting in BrokerSetting.all {
            #expect(setting.objection(to: setting.defaultValue) == nil, "\(setting.name)")
            #expect(!setting.documentation.isEmpty)
        }
        #expect(BrokerSetting.Name.allCases.allSatisfy { BrokerSetting.named($0.rawValue) != nil })
    }
}
