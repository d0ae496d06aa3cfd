import MartletCore
import MartletLog
import MartletTestKit
import Synchronization
import Testing

@Suite("Log")
struct LogTests {
    @Test("a batch is read once its group is durable, from memory, from segments, and after a restart")
    func endToEnd() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        #expect(
            fixture.produce(partition, logBatch(["a", "b"])) == .appended(baseOffset: 0, logAppendMillis: -1, logStartOffset: 0))
        #expect(try fixture.values(partition) == [], "what is not durable is not to be seen")
        #expect(fixture.log.status(partition)?.highWatermark == 0)
        try fixture.group()
        #expect(try fixture.values(partition) == ["a", "b"])
        try fixture.checkpoint()
        #expect(try fixture.values(partition) == ["a", "b"])
        try fixture.reopen()
        #expect(try fixture.values(partition) == ["a", "b"], "from segments")
        fixture.produce(partition, logBatch(["c"]))
        try fixture.group()
        try fixture.reopen()
        #expect(try fixture.values(partition) == ["a", "b", "c"], "from segments and the journal")
        try fixture.log.close()
        try fixture.reopen()
        #expect(try fixture.values(partition) == ["a", "b", "c"])
        #expect(fixture.log.topic(named: "t")?.partitions == 1)
        #expect(fixture.lines.all.contains { $0.contains("recovery: journal read") && $0.contains("\"commits\":0") })
    }

    @Test("what was appended and not synced is gone after a power failure, and nothing was told of it")
    func unsynced() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let told = Mutex<[String]>([])
        fixture.produce(partition, logBatch(["a"]))
        try fixture.group()
        let (_, sequence) = fixture.log.produce([Append(partition, logBatch(["b"]))])
        fixture.log.whenDurable(sequence) { told.withLock { $0.append("b") } }
        try fixture.reopen()
        #expect(told.withLock { $0 } == [])
        #expect(try fixture.values(partition) == ["a"])
        #expect(fixture.produce(partition, logBatch(["c"])) == .appended(baseOffset: 1, logAppendMillis: -1, logStartOffset: 0))
    }

    @Test("who waits is told after the sync, in order of sequences, and at once for what is durable")
    func waiters() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let told = Mutex<[Int]>([])
        let published = Mutex<[[TopicPartition]]>([])
        _ = fixture.log.addPublishListener { partitions in
            published.withLock { $0.append(partitions) }
            told.withLock { $0.append(0) }
        }
        let first = fixture.log.produce([Append(partition, logBatch(["a"]))]).sequence
        let second = fixture.log.produce([Append(partition, logBatch(["b"]))]).sequence
        #expect(second == first + 1)
        fixture.log.whenDurable(second) { told.withLock { $0.append(2) } }
        fixture.log.whenDurable(first) { told.withLock { $0.append(1) } }
        #expect(told.withLock { $0 } == [])
        try fixture.group()
        #expect(told.withLock { $0 } == [0, 1, 2], "readers first")
        #expect(published.withLock { $0 } == [[partition]])
        fixture.log.whenDurable(first) { told.withLock { $0.append(3) } }
        fixture.log.whenDurable(0) { told.withLock { $0.append(4) } }
        #expect(told.withLock { $0 } == [0, 1, 2, 3, 4])
    }

    @Test("a fetch inside a batch gives the whole batch, and the first batch even if it alone is too large")
    func wholeBatches() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["a", "b", "c"]))
        fixture.produce(partition, logBatch(["d", "e"]))
        try fixture.group()
        for round in ["memory", "segments"] {
            let inside = try fixture.read(partition, from: 1, maxBytes: 1)
            #expect(inside.slices.count == 1 && inside.nextOffset == 3, "\(round)")
            #expect(try RecordBatchHeader(reading: inside.slices[0].bytes).baseOffset == 0, "\(round)")
            let all = try fixture.read(partition, from: 4)
            #expect(try RecordBatchHeader(reading: all.slices[0].bytes).baseOffset == 3, "\(round)")
            #expect(all.nextOffset == 5, "\(round)")
            try fixture.checkpoint()
            try fixture.reopen()
        }
        #expect(throws: LogError.offsetOutOfRange(requested: 6, start: 0, end: 5)) { try fixture.read(partition, from: 6) }
        #expect(throws: LogError.unknownPartition) {
            try fixture.read(TopicPartition(topic: partition.topic, partition: 1), from: 0)
        }
    }

    @Test("reads go through memory and segments without a gap, whatever was evicted")
    func eviction() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        var expected: [String] = []
        for round in 0..<60 {
            let values = (0..<5).map { "\(round)-\($0)-" + String(repeating: "x", count: 400) }
            expected += values
            #expect(
                fixture.produce(partition, logBatch(values))
                    == .appended(baseOffset: Int64(round * 5), logAppendMillis: -1, logStartOffset: 0))
            try fixture.group()
            while try fixture.log.flush() {}
            if round % 7 == 0 { #expect(try fixture.values(partition, maxBytes: 5_000) == expected) }
        }
        #expect(try fixture.values(partition) == expected)
        if case .needsDisk = try fixture.log.readTail(partition, from: 0, maxBytes: 100, isolation: .readUncommitted) {
        } else {
            Issue.record("64 KiB of memory hold more than 100 KiB")
        }
        try fixture.reopen()
        #expect(try fixture.values(partition) == expected)
    }

    @Test("the ring is used again and again; a full one throttles, and goes on when the flusher has caught up")
    func fullRing() throws {
        var options = LogFixture.smallOptions()
        options.unwrittenBytesMax = 64 << 20
        options.tailBytesMax = 64 << 20
        let fixture = try LogFixture(options: options)
        let partition = try fixture.topic()
        var accepted = 0
        var throttled = 0
        for _ in 0..<300 {
            switch fixture.produce(partition, logBatch([String(repeating: "v", count: 5_000)])) {
            case .appended: accepted += 1
            case .refused(.throttled): throttled += 1
            case let other: Issue.record("\(other)")
            }
            try fixture.group()
            if throttled > 0 && throttled % 3 == 0 { while try fixture.log.flush() {} }
        }
        #expect(throttled > 0, "2 MB do not fit into 128 KiB")
        #expect(accepted > 100, "\(accepted) of 300 came in")
        #expect(try fixture.values(partition).count == accepted)
        try fixture.reopen()
        #expect(try fixture.values(partition).count == accepted)
    }
}
