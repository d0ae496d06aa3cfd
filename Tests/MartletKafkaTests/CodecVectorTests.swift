import MartletLog
import Testing

@testable import MartletKafka

@Suite("Kafka codec: the bytes of another implementation")
struct CodecVectorTests {
    static let types: [String: any KafkaPart.Type] = {
        var types: [String: any KafkaPart.Type] = [:]
        for type in everyMessage { types["\(type)"] = type }
        types["ConsumerProtocolSubscription"] = ConsumerProtocolSubscription.self
        types["ConsumerProtocolAssignment"] = ConsumerProtocolAssignment.self
        return types
    }()

    @Test("read and written again, byte for byte", arguments: CodecVector.all)
    func sameBytes(vector: CodecVector) throws {
        let type = try #require(Self.types[vector.name])
        if let data = type as? any KafkaData.Type {
            for version in vector.versions.clamped(to: data.versions) { try expectSame(data, vector, version) }
        }
        if let message = type as? any KafkaMessage.Type {
            for version in message.versions where vector.versions.contains(version) { try expectSame(message, vector, version) }
        }
    }

    private func expectSame<Message: KafkaMessage>(_ type: Message.Type, _ vector: CodecVector, _ version: Int16) throws {
        let (message, end) = try type.decodedWithEnd(vector.bytes.slice, version: version)
        #expect(end == vector.bytes.count, "version \(version)")
        #expect(try message.encoded(version: version) == vector.bytes, "version \(version)")
    }

    private func expectSame<Data: KafkaData>(_ type: Data.Type, _ vector: CodecVector, _ version: Int16) throws {
        let prefix = [UInt8(version >> 8), UInt8(version)]
        #expect(try type.init(versioned: prefix + vector.bytes).versioned(version) == prefix + vector.bytes, "version \(version)")
    }

    /// The first version that kio knows, where Martlet offers lower ones, which Kafka 4 dropped.
    static let lowest: [ApiKey: Int16] = [.produce: 3, .createTopics: 2, .deleteTopics: 1]

    @Test("there are such bytes for every version offered to clients", arguments: ApiKey.allCases)
    func coverage(key: ApiKey) {
        for type in [key.requestType, key.responseType] {
            let covered = CodecVector.all.filter { $0.name == "\(type)" }
            for version in key.advertised where version >= Self.lowest[key, default: 0] {
                #expect(covered.contains { $0.versions.contains(version) }, "\(type) version \(version)")
            }
        }
    }

    @Test("fields mean what they are called")
    func meaning() throws {
        // Transactional id null, acks −1, timeout 1500 ms, topic "tp", partition 3, records of four bytes.
        let produce = bytes(hex: "00 ffff 000005dc 02 03 7470 02 00000003 05 deadbeef 00 00 00")
        let request = try ProduceRequest.decoded(produce.slice, version: 9)
        #expect(request.transactionalId == nil && request.acks == -1 && request.timeoutMs == 1500)
        #expect(request.topicData.map(\.name) == ["tp"])
        #expect(request.topicData[0].partitionData[0].index == 3)
        #expect(request.topicData[0].partitionData[0].records?.bytes.elementsEqual([0xDE, 0xAD, 0xBE, 0xEF]) == true)
        // Throttle 0, no error, session 7, topic "t": partition 1, error 3, high watermark 10, stable 9, start 2, aborted
        // (producer 5 from 6), preferred replica −1, no records.
        let fetch = bytes(
            hex: """
                00000000 0000 00000007 00000001 0001 74 00000001 00000001 0003 000000000000000a 0000000000000009 0000000000000002
                00000001 0000000000000005 0000000000000006 ffffffff ffffffff
                """)
        let response = try FetchResponse.decoded(fetch.slice, version: 11)
        let partition = response.responses[0].partitions[0]
        #expect(response.sessionId == 7 && partition.partitionIndex == 1)
        #expect(ErrorCode(rawValue: partition.errorCode) == .unknownTopicOrPartition)
        #expect(partition.highWatermark == 10 && partition.lastStableOffset == 9 && partition.logStartOffset == 2)
        #expect(partition.abortedTransactions == [.init(producerId: 5, firstOffset: 6)])
        #expect(partition.preferredReadReplica == -1 && partition.records == nil)
    }

    @Test("Produce 12 equals 11, TxnOffsetCommit 5 equals 4")
    func laterVersions() throws {
        var random = RandomValues(seed: 12)
        for _ in 0..<20 {
            let produce = ProduceRequest(random: &random, version: 12)
            #expect(try produce.encoded(version: 12) == produce.encoded(version: 11))
            let commit = TxnOffsetCommitRequest(random: &random, version: 5)
            #expect(try commit.encoded(version: 5) == commit.encoded(version: 4))
        }
        #expect(ApiKey.produce.versions == 0...12 && ApiKey.txnOffsetCommit.versions == 0...5)
    }
}

@Suite("Kafka codec: keys and codes")
struct CodecTableTests {
    @Test("what is advertised, number by number")
    func advertised() {
        let expected = """
            Produce 0-12, Fetch 4-12, ListOffsets 1-7, Metadata 0-12, OffsetCommit 2-9, OffsetFetch 1-9, FindCoordinator 0-4, \
            JoinGroup 0-9, Heartbeat 0-4, LeaveGroup 0-5, SyncGroup 0-5, DescribeGroups 0-5, ListGroups 0-5, SaslHandshake 0-1, \
            ApiVersions 0-4, CreateTopics 0-7, DeleteTopics 0-6, DeleteRecords 0-2, InitProducerId 0-5, \
            OffsetForLeaderEpoch 2-4, AddPartitionsToTxn 0-3, AddOffsetsToTxn 0-3, EndTxn 0-5, TxnOffsetCommit 0-5, \
            DescribeAcls 1-3, CreateAcls 1-3, DeleteAcls 1-3, DescribeConfigs 1-4, AlterConfigs 0-2, DescribeLogDirs 1-4, \
            SaslAuthenticate 0-2, CreatePartitions 0-3, DeleteGroups 0-2, IncrementalAlterConfigs 0-1, OffsetDelete 0-0, \
            DescribeClientQuotas 0-1, AlterClientQuotas 0-1, DescribeCluster 0-1, DescribeProducers 0-0, \
            DescribeTransactions 0-0, ListTransactions 0-0, ConsumerGroupHeartbeat 0-1, ConsumerGroupDescribe 0-1
            """
        let found = ApiKey.allCases.map { "\($0.name) \($0.advertised.lowerBound)-\($0.advertised.upperBound)" }
        #expect(found.joined(separator: ", ") == expected)
        #expect(ApiVersionsResponse.advertised.map(\.apiKey) == ApiKey.allCases.map(\.rawValue).sorted())
    }

    @Test("every advertised version can be read and written", arguments: ApiKey.allCases)
    func known(key: ApiKey) {
        #expect(key.requestType.versions.contains(key.advertised.lowerBound))
        #expect(key.requestType.versions.contains(key.advertised.upperBound))
        #expect(key.requestType.versions == key.responseType.versions)
        #expect("\(key.requestType)" == key.name + "Request" && "\(key.responseType)" == key.name + "Response")
    }

    @Test("error codes have Kafka's numbers, names and retriability")
    func errorCodes() throws {
        let known = try goldenLines("error-codes.txt")
        for words in known {
            guard let code = ErrorCode(rawValue: try #require(Int16(words[0]))) else { continue }
            #expect(code.name == words[1])
            #expect(code.isRetriable == (words[2] == "1"), "\(code)")
        }
        let numbers = Set(known.compactMap { Int16($0[0]) })
        for code in ErrorCode.allCases {
            #expect(numbers.contains(code.rawValue), "\(code)")
            #expect(code.message.isEmpty == (code == .noError), "\(code)")
        }
        #expect(Set(ErrorCode.allCases.map(\.rawValue)) == Set(Int16(-1)...129))
    }
}
