import MartletCore
import MartletLog
import MartletTestKit
import Testing

@Suite("The catalog of topics")
struct LogCatalogTests {
    @Test("a topic is to be seen when its creation is durable; its name is taken at once")
    func creation() throws {
        let fixture = try LogFixture()
        let (topic, sequence) = try fixture.log.createTopic("orders", partitions: 3, overrides: ["retention.ms": "1000"])
        #expect(topic.partitions == 3 && topic.configuration.retentionMillis == 1000)
        #expect(fixture.log.topic(named: "orders") == nil)
        #expect(throws: LogError.topicExists("orders")) { try fixture.log.createTopic("orders", partitions: 1) }
        #expect(throws: LogError.topicExists("orders")) { try fixture.log.validateTopic("orders", partitions: 1) }
        try fixture.group()
        #expect(fixture.log.publishedSequence == sequence)
        #expect(fixture.log.topic(named: "orders") == topic)
        #expect(fixture.log.topic(id: topic.id) == topic)
        try fixture.reopen()
        #expect(fixture.log.topics() == [topic])
        try fixture.checkpoint()
        try fixture.reopen()
        #expect(fixture.log.topics() == [topic])
    }

    @Test(
        "names that are no topic names are refused",
        arguments: ["", ".", "..", "a/b", "a\0b", "ä", "a b", String(repeating: "x", count: 250)])
    func badNames(name: String) throws {
        let fixture = try LogFixture()
        #expect(throws: LogError.invalidTopicName(name)) { try fixture.log.createTopic(name, partitions: 1) }
    }

    @Test("names of 249 characters of the allowed kinds, and sensible numbers of partitions, are taken")
    func goodNames() throws {
        let fixture = try LogFixture()
        let long = String(repeating: "y", count: 249)
        for name in ["a.b_c-D9", long, "..."] { _ = try fixture.log.createTopic(name, partitions: 1) }
        try fixture.group()
        #expect(fixture.log.topics().map(\.name) == ["...", "a.b_c-D9", long])
        for count in [0, -1, Log.partitionsMax + 1] as [Int32] {
            #expect(throws: LogError.invalidPartitionCount(count)) { try fixture.log.createTopic("n", partitions: count) }
        }
    }

    @Test("a deleted topic refuses appends at once, goes when that is durable, and its files after it")
    func deletion() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic("gone")
        fixture.produce(partition, logBatch(["a"]))
        try fixture.checkpoint()
        #expect(try fixture.disk.list("./topics") == [partition.topic.hexadecimal])
        _ = try fixture.log.deleteTopic(partition.topic)
        #expect(fixture.produce(partition, logBatch(["b"])) == .refused(.unknownPartition))
        #expect(fixture.log.topic(named: "gone") != nil, "a crash now would bring it back")
        while try fixture.log.flush() {}
        #expect(try fixture.disk.list("./topics") != [], "the deletion is not durable")
        try fixture.group()
        #expect(fixture.log.topic(named: "gone") == nil)
        #expect(throws: LogError.unknownPartition) { try fixture.read(partition, from: 0) }
        while try fixture.log.flush() {}
        #expect(try fixture.disk.list("./topics") == [])
        let again = try fixture.topic("gone")
        #expect(again.topic != partition.topic, "a topic made again has another id")
        #expect(try fixture.values(again) == [])
        try fixture.reopen()
        #expect(fixture.log.topics().map(\.id) == [again.topic])
        #expect(throws: LogError.unknownTopic) { try fixture.log.deleteTopic(partition.topic) }
    }

    @Test("files that a crash kept from being removed go after the next start")
    func orphans() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["a"]))
        try fixture.checkpoint()
        _ = try fixture.log.deleteTopic(partition.topic)
        try fixture.group()
        try fixture.reopen()
        #expect(try fixture.disk.list("./topics") != [])
        while try fixture.log.flush() {}
        #expect(try fixture.disk.list("./topics") == [])
    }

    @Test("partitions are added, never taken away")
    func partitions() throws {
        let fixture = try LogFixture()
        let first = try fixture.topic()
        _ = try fixture.log.addPartitions(first.topic, total: 3)
        #expect(fixture.log.topic(id: first.topic)?.partitions == 1)
        #expect(fixture.log.status(TopicPartition(topic: first.topic, partition: 2)) == nil)
        try fixture.group()
        #expect(fixture.log.topic(id: first.topic)?.partitions == 3)
        fixture.produce(TopicPartition(topic: first.topic, partition: 2), logBatch(["a"]))
        try fixture.group()
        try fixture.reopen()
        #expect(try fixture.values(TopicPartition(topic: first.topic, partition: 2)) == ["a"])
        #expect(throws: LogError.invalidPartitionCount(3)) { try fixture.log.addPartitions(first.topic, total: 3) }
        #expect(throws: LogError.unknownTopic) { try fixture.log.addPartitions(.zero, total: 3) }
    }

    @Test("a topic's settings change as a whole, in force when durable, and survive")
    func alter() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic(overrides: ["retention.ms": "5"])
        _ = try fixture.log.alterTopic(partition.topic, overrides: ["segment.bytes": "1000"])
        #expect(fixture.log.topic(id: partition.topic)?.configuration.retentionMillis == 5)
        try fixture.group()
        for _ in 0..<2 {
            let configuration = fixture.log.topic(id: partition.topic)?.configuration
            #expect(configuration?.overrides == ["segment.bytes": "1000"])
            #expect(configuration?.retentionMillis == 604_800_000)
            try fixture.checkpoint()
            try fixture.reopen()
        }
        #expect(throws: LogError.invalidConfiguration(name: "retention.years", detail: "there is no such topic setting")) {
            try fixture.log.alterTopic(partition.topic, overrides: ["retention.years": "5"])
        }
    }

    @Test("deleted records are out of range when that is durable, and go with their segments")
    func deleteRecords() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic(overrides: ["segment.bytes": "300"])
        for index in 0..<10 { fixture.produce(partition, logBatch(["\(index)" + String(repeating: "x", count: 100)])) }
        try fixture.checkpoint()
        let bytes = try #require(fixture.log.status(partition)?.bytes)
        let (start, _) = try fixture.log.deleteRecords(partition, before: 7)
        #expect(start == 7)
        #expect(try fixture.values(partition).count == 10)
        try fixture.group()
        #expect(fixture.log.status(partition)?.logStartOffset == 7)
        #expect(throws: LogError.offsetOutOfRange(requested: 6, start: 7, end: 10)) { try fixture.read(partition, from: 6) }
        #expect(try fixture.values(partition, from: 7).count == 3)
        while try fixture.log.clean() {}
        #expect(try #require(fixture.log.status(partition)?.bytes) < bytes)
        try fixture.reopen()
        #expect(fixture.log.status(partition)?.logStartOffset == 7)
        #expect(try fixture.log.deleteRecords(partition, before: 3).logStartOffset == 7, "never back")
        #expect(throws: LogError.offsetOutOfRange(requested: 11, start: 7, end: 10)) {
            try fixture.log.deleteRecords(partition, before: 11)
        }
    }

    @Test("retention removes old segments, moves the start, and tells readers")
    func retention() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic(overrides: ["segment.bytes": "300", "retention.ms": "3600000"])
        let start = fixture.clock.wallMicros() / 1_000
        for index in 0..<10 {
            fixture.produce(
                partition, logBatch(["\(index)" + String(repeating: "x", count: 100)], timestamp: start + Int64(index) * 1_000_000))
        }
        try fixture.checkpoint()
        fixture.clock.advance(nanos: 8_000_000_000_000)
        while try fixture.log.clean() {}
        let status = try #require(fixture.log.status(partition))
        #expect(status.logStartOffset > 0 && status.logStartOffset < 8, "\(status)")
        #expect(try fixture.values(partition, from: status.logStartOffset).count == 10 - Int(status.logStartOffset))
        try fixture.reopen()
        #expect(fixture.log.status(partition)?.logStartOffset == status.logStartOffset)
        #expect(fixture.log.status(partition)?.highWatermark == 10)
    }

    @Test("a compacted topic keeps the last record of each key, and its offsets")
    func compaction() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic(overrides: [
            "cleanup.policy": "compact", "segment.bytes": "400", "min.cleanable.dirty.ratio": "0.01",
        ])
        let builder = RecordBatchBuilder()
        for index in 0..<40 {
            builder.append(Record(timestamp: 1, key: [UInt8(index % 3)], value: Array("\(index)".utf8)))
            let sink = ByteSink()
            try builder.finish(into: sink)
            fixture.produce(partition, ByteSlice(copying: sink.bytes))
        }
        try fixture.checkpoint()
        #expect(try fixture.records(partition).count == 40)
        while try fixture.log.compact() {}
        // Not only after a restart: memory had them all.
        let records = try fixture.records(partition)
        try fixture.reopen()
        #expect(try fixture.records(partition) == records)
        #expect(records.count < 20, "\(records.count) of 40 are left")
        for record in records { #expect(record.value == Array("\(record.offset)".utf8)) }
        let last = Dictionary(records.map { ($0.key ?? [], $0.offset) }, uniquingKeysWith: max)
        #expect(last == [[0]: 39, [1]: 37, [2]: 38])
        #expect(fixture.log.status(partition)?.highWatermark == 40)
    }
}
