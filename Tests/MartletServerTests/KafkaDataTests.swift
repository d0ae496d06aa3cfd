import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform
import MartletServer
import Testing

@Suite("Kafka clients produce and fetch")
struct KafkaDataTests {
    @Test("what is produced in each version is fetched in each version, with every codec")
    func roundTrip() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        var expected: [String] = []
        for version in ApiKey.produce.advertised where version >= 3 {
            for codec in Compression.allCases {
                let values = ["a\(version)", codec.name]
                let answer = try client.produce("t", version: version, try batch(values, compression: codec))
                if codec == .zstd, version < 7 {
                    #expect(answer.errorCode == ErrorCode.unsupportedCompressionType.rawValue)
                    continue
                }
                #expect(answer.errorCode == 0 && answer.baseOffset == Int64(expected.count))
                expected += values
            }
        }
        for version in ApiKey.fetch.advertised {
            let answer = try client.fetch("t", version: version)
            #expect(try answer.values == expected)
            #expect(answer.highWatermark == Int64(expected.count) && answer.lastStableOffset == answer.highWatermark)
        }
    }

    @Test("versions of Produce before 3 are refused in their own form")
    func oldProduce() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        for version: Int16 in 0...2 {
            #expect(try client.produce("t", version: version, try batch(["x"])).errorCode == ErrorCode.unsupportedVersion.rawValue)
        }
    }

    @Test("each partition of a request is judged on its own")
    func perPartition() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t", partitions: 2, ["max.message.bytes": "1000"])
        try fixture.createTopic("compacted", ["cleanup.policy": "compact"])
        var corrupt = copied(try batch(["x"]))
        corrupt[65] ^= 1
        let two = copied(try batch(["x"])) + copied(try batch(["y"]))
        let parts: [(String, Int32, ByteSlice?, ErrorCode)] = [
            ("t", 0, try batch(["fine"]), .noError),
            ("t", 1, corrupt.withUnsafeBytes { ByteSlice(copying: $0) }, .corruptMessage),
            ("t", 2, try batch(["x"]), .unknownTopicOrPartition),
            ("t", -1, try batch(["x"]), .unknownTopicOrPartition),
            ("t", 0, two.withUnsafeBytes { ByteSlice(copying: $0) }, .invalidRecord),
            ("t", 0, nil, .invalidRecord),
            ("t", 0, try batch([String(repeating: "y", count: 2000)]), .messageTooLarge),
            ("nothing", 0, try batch(["x"]), .unknownTopicOrPartition),
            ("bad/name", 0, try batch(["x"]), .invalidTopicException),
            ("compacted", 0, try batch(["no key"]), .invalidRecord),
            ("compacted", 0, try batch(["keyed"], key: "k"), .noError),
        ]
        let request = ProduceRequest(
            acks: -1, timeoutMs: 1000,
            topicData: parts.map { name, number, records, _ in
                ProduceRequest.TopicProduceData(
                    name: name, partitionData: [ProduceRequest.PartitionProduceData(index: number, records: records)])
            })
        let client = try fixture.client()
        let response: ProduceResponse = try client.ask(.produce, 9, request)
        for (answer, part) in zip(response.responses.flatMap(\.partitionResponses), parts) {
            #expect(answer.errorCode == part.3.rawValue, "\(part.0) \(part.1): \(answer.errorMessage ?? "")")
        }
        #expect(try client.fetch("t").values == ["fine"])
        #expect(try client.fetch("compacted").values == ["keyed"])
    }

    @Test("a topic's compression.type and level are those of its batches, whatever the producer chose")
    func topicCompression() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        let values = (0..<400).map { "value \($0 % 37) of \($0 * 7919 % 1009)" }
        func stored(_ type: String, _ settings: [String: String] = [:]) throws -> [(compression: Compression?, bytes: Int)] {
            let name = "t-\(type)-\(settings.count)"
            try fixture.createTopic(name, ["compression.type": type].merging(settings) { $1 })
            for codec in Compression.allCases { try #expect(client.produce(name, try batch(values, compression: codec)).errorCode == 0) }
            let fetched = try client.fetch(name, maxBytes: 1 << 20)
            #expect(try fetched.values == [[String]](repeating: values, count: Compression.allCases.count).flatMap { $0 })
            return try (fetched.records ?? []).flatMap { slice in
                defer { withExtendedLifetime(slice) {} }
                return try RecordBatch.split(slice.bytes).map { range in
                    (try RecordBatchHeader(reading: UnsafeRawBufferPointer(rebasing: slice.bytes[range])).compression, range.count)
                }
            }
        }
        #expect(try stored("producer").map(\.compression) == Compression.allCases)
        for codec in Compression.allCases {
            let type = codec == .none ? "uncompressed" : codec.name
            let batches = try stored(type)
            #expect(batches.map(\.compression) == [Compression?](repeating: codec, count: Compression.allCases.count), "\(type)")
            guard [.gzip, .lz4, .zstd].contains(codec) else { continue }
            let fast = try stored(type, ["compression.\(type).level": "1"])
            let small = try stored(type, ["compression.\(type).level": type == "zstd" ? "19" : "9", "retention.ms": "-1"])
            if codec == .lz4 { continue }  // 9 is its default, which stands for the fast compressor.
            #expect(small[0].bytes < fast[0].bytes, "\(type)")
        }
    }

    @Test("every record at fault is named (KIP-467), for the client to send the others again")
    func recordErrors() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("compacted", ["cleanup.policy": "compact"])
        let client = try fixture.client()
        let builder = RecordBatchBuilder(compression: .lz4)
        for at in 0..<30 { builder.append(Record(timestamp: -1, key: at % 10 == 3 ? nil : Array("k".utf8), value: [])) }
        let bytes = try builder.finish()
        let answer = try client.produce("compacted", bytes.withUnsafeBytes { ByteSlice(copying: $0) })
        #expect(answer.errorCode == ErrorCode.invalidRecord.rawValue)
        #expect(answer.recordErrors.map(\.batchIndex) == [3, 13, 23])
        #expect(answer.errorMessage?.contains("record 3 of the batch") == true)
        #expect(try client.produce("compacted", try batch(["keyed"], key: "k")).recordErrors.isEmpty)
    }

    @Test("acks: 0 is not answered, and ends the connection on an error; 2 is refused")
    func acks() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        try client.send(.produce, 9, produceRequest("t", acks: 0, try batch(["silent"])))
        #expect(try client.produce("t", acks: 1, try batch(["next"])).baseOffset == 1)
        #expect(try client.produce("t", acks: 2, try batch(["x"])).errorCode == ErrorCode.invalidRequiredAcks.rawValue)
        try client.send(.produce, 9, produceRequest("missing", acks: 0, try batch(["x"])))
        #expect(client.isClosed())
        #expect(try fixture.client().fetch("t").values == ["silent", "next"])
    }

    @Test("a repeated batch gets its first offset; a gap and a stale epoch are refused")
    func idempotence() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        let producer: InitProducerIdResponse = try client.ask(.initProducerId, 4, InitProducerIdRequest(transactionalId: nil))
        let id = producer.producerId
        #expect(producer.errorCode == 0 && id >= 0 && producer.producerEpoch == 0)
        let first = try batch(["a", "b"], producer: (id, 0, 0))
        #expect(try client.produce("t", first).baseOffset == 0)
        #expect(try client.produce("t", try batch(["a", "b"], producer: (id, 0, 0))).baseOffset == 0)
        #expect(try client.produce("t", try batch(["c"], producer: (id, 0, 2))).baseOffset == 2)
        #expect(try client.produce("t", try batch(["z"], producer: (id, 0, 7))).errorCode == ErrorCode.outOfOrderSequenceNumber.rawValue)
        #expect(try client.produce("t", try batch(["d"], producer: (id, 1, 0))).baseOffset == 3)
        #expect(try client.produce("t", try batch(["e"], producer: (id, 0, 3))).errorCode == ErrorCode.invalidProducerEpoch.rawValue)
        #expect(try client.fetch("t").values == ["a", "b", "c", "d"])
    }

    @Test("decompression bombs are refused in every codec, and memory stays", arguments: Compression.allCases.filter { $0 != .none })
    func bombs(codec: Compression) throws {
        // 1 MiB of records may not become more than 4 MiB.
        let fixture = try KafkaFixture([("max.record.bytes", "1048576")])
        try fixture.createTopic("t")
        let client = try fixture.client()
        let bomb = try batch([String](repeating: String(repeating: "0", count: 1_000_000), count: 8), compression: codec)
        #expect(bomb.count < 1_000_000)
        let answer = try client.produce("t", bomb)
        #expect(answer.errorCode == ErrorCode.messageTooLarge.rawValue, "\(answer.errorMessage ?? "")")
        #expect(try client.produce("t", try batch(["fine"], compression: codec)).errorCode == 0)
    }

    // MARK: Fetch

    @Test("a poll waits for data, and not a moment longer than it should")
    func longPoll() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t", partitions: 2)
        let reader = try fixture.client()
        let writer = try fixture.client()
        let clock = SystemClock()
        var start = clock.monotonicNanos()
        #expect(try reader.fetch("t", wait: 150).values.isEmpty)
        #expect(clock.monotonicNanos() - start >= 145_000_000)
        start = clock.monotonicNanos()
        let number = try reader.send(.fetch, 12, fetchRequest("t", [0, 1], wait: 20_000))
        clock.sleep(nanos: 30_000_000)
        #expect(try writer.produce("t", to: 1, try batch(["wake"])).errorCode == 0)
        let response: FetchResponse = try reader.receive(.fetch, 12, to: number)
        #expect(try response.responses[0].partitions.flatMap { try $0.values } == ["wake"])
        #expect(clock.monotonicNanos() - start < 5_000_000_000)
        // Two batches together reach what one alone does not.
        let size = Int32(try batch(["wake"]).count)
        let waiting = try reader.send(.fetch, 12, fetchRequest("t", [0, 1], wait: 20_000, minBytes: size + 1))
        clock.sleep(nanos: 30_000_000)
        _ = try writer.produce("t", to: 0, try batch(["wake"]))
        let both: FetchResponse = try reader.receive(.fetch, 12, to: waiting)
        #expect(both.responses[0].partitions.allSatisfy { !($0.records ?? []).isEmpty })
    }

    @Test("whole batches, the first even if larger than asked for; an offset inside a batch gets all of it")
    func wholeBatches() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t", partitions: 2)
        let client = try fixture.client()
        let large = String(repeating: "x", count: 10_000)
        _ = try client.produce("t", try batch([large, "second"]))
        _ = try client.produce("t", try batch(["third"]))
        _ = try client.produce("t", to: 1, try batch([large]))
        #expect(try client.fetch("t", maxBytes: 100).values == [large, "second"])
        #expect(try client.fetch("t", from: 1, maxBytes: 1).values == [large, "second"])
        #expect(try client.fetch("t", from: 2, maxBytes: 1).values == ["third"])
        #expect(try client.fetch("t").values == [large, "second", "third"])
        // Only one partition may stretch the answer.
        let both: FetchResponse = try client.ask(.fetch, 12, fetchRequest("t", [0, 1], maxBytes: 100))
        #expect(both.responses[0].partitions.filter { !($0.records ?? []).isEmpty }.count == 1)
        #expect(both.responses[0].partitions.allSatisfy { $0.errorCode == 0 && $0.highWatermark > 0 })
    }

    @Test("no partition starves where an answer has no room for all")
    func fairness() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t", partitions: 5)
        let client = try fixture.client()
        let value = String(repeating: "x", count: 1000)
        for number: Int32 in 0..<5 {
            for _ in 0..<10 { _ = try client.produce("t", to: number, try batch([value])) }
        }
        var seen: Set<Int32> = []
        for _ in 0..<10 {
            let response: FetchResponse = try client.ask(.fetch, 12, fetchRequest("t", Array(0..<5), maxBytes: 2500))
            for part in response.responses[0].partitions where !(part.records ?? []).isEmpty { seen.insert(part.partitionIndex) }
        }
        #expect(seen.count == 5)
    }

    @Test("offsets out of range, unknown partitions, sessions and leader epochs have their errors")
    func fetchErrors() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        _ = try client.produce("t", try batch(["a"]))
        let start = SystemClock().monotonicNanos()
        #expect(try client.fetch("t", from: 5, wait: 10_000).errorCode == ErrorCode.offsetOutOfRange.rawValue)
        #expect(try client.fetch("t", from: -1, wait: 10_000).errorCode == ErrorCode.offsetOutOfRange.rawValue)
        #expect(try client.fetch("t", 7, wait: 10_000).errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        #expect(try client.fetch("none", wait: 10_000).errorCode == ErrorCode.unknownTopicOrPartition.rawValue)
        var request = fetchRequest("t", wait: 10_000)
        request.topics[0].partitions[0].currentLeaderEpoch = 3
        var response: FetchResponse = try client.ask(.fetch, 12, request)
        #expect(response.responses[0].partitions[0].errorCode == ErrorCode.unknownLeaderEpoch.rawValue)
        request = fetchRequest("t")
        request.sessionId = 5
        request.sessionEpoch = 1
        response = try client.ask(.fetch, 12, request)
        #expect(response.errorCode == ErrorCode.fetchSessionIdNotFound.rawValue)
        // Gives the session up.
        request.sessionEpoch = -1
        response = try client.ask(.fetch, 12, request)
        #expect(response.errorCode == 0 && response.responses.count == 1)
        request.sessionId = 0
        request.sessionEpoch = 0
        response = try client.ask(.fetch, 12, request)
        #expect(response.errorCode == 0 && response.sessionId == 0 && response.responses.count == 1)
        // None of them waited.
        #expect(SystemClock().monotonicNanos() - start < 5_000_000_000)
    }

    // MARK: Transactions

    @Test("an open transaction is invisible to read_committed; its abort is told from the same view as its records")
    func transactions() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        let begun: InitProducerIdResponse = try client.ask(
            .initProducerId, 4, InitProducerIdRequest(transactionalId: "x", transactionTimeoutMs: 60_000))
        #expect(begun.errorCode == 0)
        let producer = (id: begun.producerId, epoch: begun.producerEpoch)
        #expect(try addPartition(client, producer) == 0)
        var request = produceRequest("t", try batch(["secret"], producer: (producer.id, producer.epoch, 0), isTransactional: true))
        request.transactionalId = "x"
        let produced: ProduceResponse = try client.ask(.produce, 9, request)
        #expect(produced.responses[0].partitionResponses[0].errorCode == 0)
        _ = try client.produce("t", try batch(["plain"]))
        #expect(try client.fetch("t", isolation: 1).values == [])
        #expect(try client.fetch("t").values == ["secret", "plain"])
        let end: EndTxnResponse = try client.ask(
            .endTxn, 3, EndTxnRequest(transactionalId: "x", producerId: producer.id, producerEpoch: producer.epoch, committed: false))
        #expect(end.errorCode == 0)
        let committed = try client.fetch("t", isolation: 1)
        #expect(committed.abortedTransactions?.map(\.firstOffset) == [0])
        #expect(committed.lastStableOffset == committed.highWatermark)
        #expect(try client.fetch("t").abortedTransactions == nil)
        // A batch that belongs to no transaction of the coordinator's is refused.
        request = produceRequest("t", try batch(["late"], producer: (producer.id, producer.epoch, 1), isTransactional: true))
        request.transactionalId = "x"
        let late: ProduceResponse = try client.ask(.produce, 9, request)
        #expect(late.responses[0].partitionResponses[0].errorCode == ErrorCode.invalidTxnState.rawValue)
        request.transactionalId = nil
        request.topicData[0].partitionData[0].records = try batch(["x"], producer: (producer.id, producer.epoch, 1), isTransactional: true)
        let nameless: ProduceResponse = try client.ask(.produce, 9, request)
        #expect(nameless.responses[0].partitionResponses[0].errorCode == ErrorCode.invalidTxnState.rawValue)
    }

    private func addPartition(_ client: KafkaTestClient, _ producer: (id: Int64, epoch: Int16)) throws -> Int16 {
        var request = AddPartitionsToTxnRequest()
        request.v3AndBelowTransactionalId = "x"
        request.v3AndBelowProducerId = producer.id
        request.v3AndBelowProducerEpoch = producer.epoch
        request.v3AndBelowTopics = [AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name: "t", partitions: [0])]
        let response: AddPartitionsToTxnResponse = try client.ask(.addPartitionsToTxn, 3, request)
        return response.resultsByTopicV3AndBelow[0].resultsByPartition[0].partitionErrorCode
    }

    // MARK: Quotas

    @Test("a client over its quota is answered first and then not read from; others are not held up")
    func muting() throws {
        let fixture = try KafkaFixture([("quota.window.num", "2")])
        try fixture.createTopic("t")
        let admin = try fixture.client()
        let entity = [AlterClientQuotasRequest.EntityData(entityType: "client-id", entityName: "greedy")]
        let operations = [AlterClientQuotasRequest.OpData(key: "producer_byte_rate", value: 10_000)]
        let altered: AlterClientQuotasResponse = try admin.ask(
            .alterClientQuotas, 1,
            AlterClientQuotasRequest(entries: [AlterClientQuotasRequest.EntryData(entity: entity, ops: operations)]))
        #expect(altered.entries[0].errorCode == 0)
        let greedy = try fixture.client(id: "greedy")
        let clock = SystemClock()
        let start = clock.monotonicNanos()
        let response: ProduceResponse = try greedy.ask(
            .produce, 9, produceRequest("t", try batch([String(repeating: "x", count: 30_000)])))
        let answered = clock.monotonicNanos() - start
        // 30,000 bytes in a window of one complete second: 2 s too many.
        #expect((1_900...2_100).contains(response.throttleTimeMs), "\(response.throttleTimeMs)")
        #expect(answered < 1_500_000_000)
        let number = try greedy.send(.metadata, 9, MetadataRequest())
        let _: MetadataResponse = try fixture.client(id: "modest").ask(.metadata, 9, MetadataRequest())
        #expect(clock.monotonicNanos() - start < 1_800_000_000)
        let _: MetadataResponse = try greedy.receive(.metadata, 9, to: number)
        #expect(clock.monotonicNanos() - start >= Int64(response.throttleTimeMs) * 1_000_000)
    }
}
