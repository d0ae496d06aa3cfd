import MartletCore
import MartletLog
import MartletTestKit
import Testing

@testable import MartletEngine

private struct NoLines: LogSink {
    func write(line: UnsafeRawBufferPointer) {}
}

/// A tick of more than one commit, over a real log that writes its pieces one by one.
@Suite("A tick that is too large for one commit")
struct LargeTickTests {
    private let disk = SimulatedDisk(seed: 1)
    private static let partitions: Int32 = 2
    /// Of the tick, by partition, in order.
    private static let expected = [["0", "2", "4", "6"], ["1", "3", "5", "7"]]

    private func open() throws -> Log {
        let clock = SimulatedClock()
        var options = LogOptions()
        options.journalFileBytes = 256 << 10
        options.journalBytesMin = 1 << 20
        options.journalBytesMax = 4 << 20
        // A group takes one piece of a tick.
        options.journalGroupBytesMax = 8 << 10
        options.commitBytesMax = 12 << 10
        let surroundings = LogSurroundings(
            disk: disk, clock: clock, entropy: SeededEntropy(seed: 1), logger: StructuredLog(clock: clock, sink: NoLines()),
            metrics: MetricsRegistry())
        return try Log.open(".", surroundings, options)
    }

    private static let name = MartletEngine.TickLog.topicPrefix + "p"

    private func ticks(_ log: Log) throws -> MartletEngine.TickLog {
        MartletEngine.TickLog(log, topic: try #require(log.topic(named: LargeTickTests.name)))
    }

    private func output(_ log: Log) throws -> [TopicPartition] {
        let topic = try #require(log.topic(named: "out"))
        return (0..<LargeTickTests.partitions).map { TopicPartition(topic: topic.id, partition: $0) }
    }

    private func batch(_ value: String, padding: Int) throws -> ByteSlice {
        let builder = RecordBatchBuilder()
        Array(value.utf8).withUnsafeBytes { value in
            Array(repeating: 0x20 as UInt8, count: padding).withUnsafeBytes { builder.append(timestamp: 0, key: $0, value: value) }
        }
        return try builder.finish().withUnsafeBytes { ByteSlice(copying: $0) }
    }

    /// What the tick writes: eight batches, none of which shares a piece with another.
    private func appends(_ log: Log) throws -> [Append] {
        let partitions = try output(log)
        return try (0..<8).map { Append(partitions[$0 % 2], try batch("\($0)", padding: 5_000)) }
    }

    private func values(_ log: Log, _ isolation: Isolation) throws -> [[String]] {
        try output(log).map { partition in
            var found: [String] = []
            var next: Int64 = 0
            while true {
                let data = try log.readFromDisk(partition, from: next, maxBytes: 1 << 20, isolation: isolation)
                guard data.nextOffset > next else { return found }
                var visible = CommittedBatches(aborted: data.abortedTransactions)
                for slice in data.slices {
                    for range in try RecordBatch.split(slice.bytes) {
                        let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[range])
                        guard try visible.admits(batch) else { continue }
                        var reader = try RecordBatchReader(batch)
                        while let record = try reader.next() { found.append(String(decoding: record.copy.value ?? [], as: UTF8.self)) }
                    }
                }
                next = data.nextOffset
            }
        }
    }

    /// A log with the two topics, and a tick handed to it of which nothing is written yet.
    private func begin() throws -> (log: Log, sequence: UInt64) {
        let log = try open()
        _ = try log.createTopic("out", partitions: LargeTickTests.partitions, overrides: [:])
        _ = try log.createTopic(LargeTickTests.name, partitions: 1, overrides: MartletEngine.TickLog.settings)
        while try log.writeGroup() {}
        let ticks = try ticks(log)
        var commit = try ticks.commit(TickRecord(tick: 1, machine: [1, 2, 3]), try appends(log), millis: 0)
        let done = try #require(try ticks.advance(&commit))
        #expect(done.position == 1)
        return (log, done.sequence)
    }

    @Test("its output is seen as a whole, when its last piece is durable")
    func whole() throws {
        let (log, sequence) = try begin()
        var seenInPart = 0
        while try log.writeGroup() {
            guard log.publishedSequence < sequence else { break }
            #expect(try values(log, .readCommitted) == [[], []])
            if try values(log, .readUncommitted) != [[], []] { seenInPart += 1 }
        }
        #expect(seenInPart > 2, "the tick was written at once")
        #expect(try values(log, .readCommitted) == LargeTickTests.expected)
    }

    @Test("what a crash leaves of it is never seen, and what comes after it is", arguments: 2..<6)
    func torn(groups: Int) throws {
        let log = try begin().log
        for _ in 0..<groups { _ = try log.writeGroup() }
        #expect(try values(log, .readUncommitted) != [[], []])
        disk.crash()

        let again = try open()
        let ticks = try ticks(again)
        #expect(try ticks.abandonOpen())
        while try again.writeGroup() {}
        #expect(try values(again, .readCommitted) == [[], []])
        var commit = try ticks.commit(TickRecord(tick: 1, machine: [1, 2, 3]), try appends(again), millis: 0)
        _ = try #require(try ticks.advance(&commit))
        while try again.writeGroup() {}
        #expect(try values(again, .readCommitted) == LargeTickTests.expected)
    }
}
