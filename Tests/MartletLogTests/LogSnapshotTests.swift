import MartletCore
import MartletLog
import MartletTestKit
import Testing

@Suite("The metadata snapshot")
struct LogSnapshotTests {
    private func flip(_ fixture: LogFixture, _ path: String, bit: Int) throws {
        let file = try fixture.disk.open(path, .update)
        let chunk = try ByteChunk(capacity: 1) { (buffer) throws(IOError) in try file.read(into: buffer, at: Int64(bit / 8)) }
        chunk.bytesBeforeSharing[0] ^= 1 << UInt8(bit % 8)
        try file.write(chunk.bytes, at: Int64(bit / 8))
        try file.sync()
    }

    private func snapshots(_ fixture: LogFixture) throws -> [String] {
        try fixture.disk.list("./metadata").map { "./metadata/" + $0 }
    }

    private func filled() throws -> (LogFixture, TopicPartition) {
        let fixture = try LogFixture(options: LogFixture.tinyOptions())
        let partition = try fixture.topic("t", overrides: ["retention.ms": "-1"])
        fixture.produce(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0, transactional: true))
        _ = try fixture.log.commit(
            Commit(entries: [EntryChange(.group, key: [1], value: [2, 3])], fences: [ProducerFence(producerID: 1, epoch: 0)]))
        try fixture.checkpoint()
        return (fixture, partition)
    }

    @Test("two are kept; whichever bit of the newest is damaged, the older one and the journal give the same state")
    func everyBitOfTheNewest() throws {
        let (fixture, partition) = try filled()
        fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 0, sequence: 1, transactional: true))
        _ = try fixture.log.commit(Commit(entries: [EntryChange(.group, key: [4], value: [5])]))
        try fixture.checkpoint()
        let files = try snapshots(fixture)
        #expect(files.count == 2)
        let size = Int(try #require(try fixture.disk.stat(files[1])).size)
        for bit in 0..<(size * 8) {
            try flip(fixture, files[1], bit: bit)
            try fixture.reopen()
            #expect(try fixture.values(partition) == ["a", "b"], "bit \(bit)")
            #expect(fixture.log.entries(.group) == [Entry(key: [1], value: [2, 3]), Entry(key: [4], value: [5])], "bit \(bit)")
            #expect(fixture.log.status(partition)?.lastStableOffset == 0, "bit \(bit)")
            #expect(
                fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 0, sequence: 1, transactional: true))
                    == .duplicate(baseOffset: 1, logStartOffset: 0), "bit \(bit)")
            try flip(fixture, files[1], bit: bit)
        }
        #expect(fixture.lines.all.contains { $0.contains("a metadata snapshot is damaged") })
    }

    @Test("where no snapshot is whole the log is not opened, and the damage is named")
    func bothDamaged() throws {
        let (fixture, _) = try filled()
        for file in try snapshots(fixture) { try flip(fixture, file, bit: 100) }
        guard case .corrupt(let damage) = fixture.refusalOfReopening() else {
            Issue.record("the log opens without its state")
            return
        }
        #expect(damage.place.hasPrefix("./metadata/snapshot-"))
    }

    @Test("an older snapshot is refused where the journal no longer has what came after it")
    func tooOld() throws {
        let (fixture, partition) = try filled()
        // Round and round the ring.
        for _ in 0..<100 {
            fixture.produce(partition, logBatch([String(repeating: "x", count: 4_000)]))
            try fixture.checkpoint()
        }
        var files = try snapshots(fixture)
        try flip(fixture, files.removeLast(), bit: 77)
        // The one before is whole, and may still be enough; an old one from elsewhere is not.
        try fixture.reopen()
        #expect(try fixture.values(partition).count == 101)
    }

    @Test("a snapshot of a later version is refused, not taken for damage")
    func laterVersion() throws {
        let (fixture, _) = try filled()
        let path = try #require(try snapshots(fixture).last)
        let file = try fixture.disk.open(path, .update)
        let size = Int(try file.facts().size)
        let chunk = try ByteChunk(capacity: size) { (buffer) throws(IOError) in try file.read(into: buffer, at: 0) }
        let bytes = chunk.bytesBeforeSharing
        bytes[6] = 2
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<(size - 4)]))
        bytes.storeBytes(of: checksum.littleEndian, toByteOffset: size - 4, as: UInt32.self)
        try file.write(chunk.bytes, at: 0)
        try file.sync()
        guard case .unsupported(path, _) = fixture.refusalOfReopening() else {
            Issue.record("version 2 is read")
            return
        }
    }

    @Test("entries survive restarts and checkpoints, in order of their keys; removed ones are gone")
    func entries() throws {
        let fixture = try LogFixture()
        for key in [[3], [1, 2], [1], []] as [[UInt8]] {
            _ = try fixture.log.commit(
                Commit(entries: [EntryChange(.offset, key: key, value: key + [9]), EntryChange(.meta, key: key, value: [])]))
        }
        _ = try fixture.log.commit(
            Commit(entries: [EntryChange(.offset, key: [1], value: nil), EntryChange(.offset, key: [3], value: [0])]))
        try fixture.group()
        for _ in 0..<3 {
            #expect(
                fixture.log.entries(.offset) == [
                    Entry(key: [], value: [9]), Entry(key: [1, 2], value: [1, 2, 9]), Entry(key: [3], value: [0]),
                ])
            #expect(fixture.log.entries(.meta).map(\.key) == [[], [1], [1, 2], [3]])
            #expect(fixture.log.entry(.offset, key: [1]) == nil && fixture.log.entry(.offset, key: [3]) == [0])
            try fixture.reopen()
            try fixture.checkpoint()
        }
    }
}
