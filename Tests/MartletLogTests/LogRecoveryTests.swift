import MartletCore
import MartletLog
import MartletTestKit
import Testing

@Suite("Recovery")
struct LogRecoveryTests {
    private func options() -> LogOptions {
        var options = LogFixture.smallOptions()
        options.tailBytesMax = 1 << 10
        return options
    }

    private func value(_ number: Int) -> String { "\(number)-" + String(repeating: "x", count: 150) }

    @Test("a tail that is filled while segments already hold what comes next has no gap")
    func noGap() throws {
        let fixture = try LogFixture(options: options())
        let partition = try fixture.topic(overrides: ["segment.bytes": "600"])
        var expected: [String] = []
        func write(_ count: Int) throws {
            for _ in 0..<count {
                expected.append(value(expected.count))
                fixture.produce(partition, logBatch([expected.last!]))
                try fixture.group()
            }
        }
        try write(3)
        try fixture.checkpoint()
        // Segments that are sealed after the snapshot, and some batches that are in the journal alone.
        try write(12)
        while try fixture.log.flush() {}
        try write(2)
        for power in [false, true] {
            try fixture.reopen(power: power)
            for start in 0..<expected.count {
                #expect(try fixture.values(partition, from: Int64(start)) == Array(expected[start...]), "from \(start)")
            }
        }
    }

    @Test("a snapshot that was made while a partition's first files were not synced does not take them for durable")
    func fleetingSegments() throws {
        let fixture = try LogFixture(options: options())
        let partition = try fixture.topic()
        // A checkpoint begins, and waits for its last commit.
        _ = try fixture.log.commit(Commit(entries: [EntryChange(.meta, key: [1], value: [1])]))
        fixture.clock.advance(nanos: fixture.options.checkpointNanos)
        while try fixture.log.flush() {}
        // Meanwhile the partition gets its first files, for want of memory.
        for number in 0..<3 { fixture.produce(partition, logBatch([value(number)])) }
        try fixture.group()
        while try fixture.log.flush() {}
        try fixture.reopen(power: false)
        fixture.produce(partition, logBatch([value(3)]))
        try fixture.checkpoint()
        try fixture.reopen(power: true)
        #expect(try fixture.values(partition) == (0..<4).map(value))
    }

    @Test("a log starts while its disk is full, and serves what it has")
    func fullDisk() throws {
        let fixture = try LogFixture(options: options())
        let partition = try fixture.topic()
        for number in 0..<8 {
            fixture.produce(partition, logBatch([value(number)]))
            try fixture.group()
        }
        fixture.disk.capacityBytes = 0
        try fixture.reopen()
        #expect(try fixture.values(partition) == (0..<8).map(value))
        fixture.disk.capacityBytes = nil
        try fixture.checkpoint()
        try fixture.reopen()
        #expect(try fixture.values(partition) == (0..<8).map(value))
    }

    @Test("each step of a recovery is in the log")
    func steps() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["a"]))
        try fixture.checkpoint()
        try fixture.reopen()
        for step in ["metadata snapshot read", "journal read", "segments opened", "done"] {
            #expect(fixture.lines.all.contains { $0.contains("recovery: \(step)") }, "\(step)")
        }
    }
}
