import MartletCore
import MartletState
import MartletTestKit
import Testing

@testable import MartletEngine

/// Files of checkpoints and records of ticks, as a start finds them.
@Suite("Checkpoints and tick records")
struct CheckpointTests {
    private let disk = SimulatedDisk(seed: 1)
    private var store: CheckpointStore { CheckpointStore(disk, directory: "checkpoints/p") }

    private func write(tick: UInt64, position: Int64, state: [UInt8]) throws {
        let draft = try store.begin(
            CheckpointHeader(tick: tick, position: position, topic: "t", takenAt: 7, shards: 2, definition: "SELECT 1"))
        try state.withUnsafeBytes { try draft.put($0) }
        try draft.complete([("s", SinkMark(tick: tick, detail: [1, 2]))])
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        let file = try disk.open(path, .read)
        var bytes = [UInt8](repeating: 0, count: Int(try file.facts().size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(bytes.prefix(count))
    }

    private func replace(_ path: String, _ bytes: [UInt8]) throws {
        let file = try disk.open(path, .replace)
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    }

    @Test("a checkpoint says what was put into it, and survives power failure as soon as it is complete")
    func whole() throws {
        try write(tick: 12, position: 5, state: [9, 8, 7])
        disk.crash()
        let path = try #require(try store.files().first)
        let found = try store.open(path, isVerified: true)
        #expect(found.header == CheckpointHeader(tick: 12, position: 5, topic: "t", takenAt: 7, shards: 2, definition: "SELECT 1"))
        #expect(found.marks.map(\.name) == ["s"])
        #expect(found.marks.map(\.mark) == [SinkMark(tick: 12, detail: [1, 2])])
    }

    @Test("every bit that is not as it was, and every byte that is missing, is noticed")
    func damage() throws {
        try write(tick: 3, position: 1, state: Array(0..<40))
        let path = try #require(try store.files().first)
        let good = try bytes(path)
        for place in good.indices {
            var bad = good
            bad[place] ^= 1 << UInt8(place % 8)
            try replace(path, bad)
            #expect(throws: StateError.self, "byte \(place)") { try store.open(path, isVerified: true) }
        }
        for length in good.indices {
            try replace(path, Array(good.prefix(length)))
            #expect(throws: StateError.self, "\(length) bytes") { try store.open(path, isVerified: true) }
        }
        try replace(path, good)
        _ = try store.open(path, isVerified: true)
    }

    @Test("two are kept, and the ticks topic may begin where the older one needs it")
    func two() throws {
        for tick in 1...4 { try write(tick: UInt64(tick), position: Int64(tick) * 10, state: []) }
        #expect(try store.prune() == 30)
        #expect(try store.files().map { try store.open($0, isVerified: true).header.tick } == [4, 3])
        try store.removeAll()
        #expect(try store.files() == [])
    }

    @Test("a tick's record reads as it was written; anything else is an error")
    func records() throws {
        let record = TickRecord(
            tick: 300, marks: [("a", SinkMark(tick: 299, detail: [])), ("b", SinkMark(tick: 1, detail: [1, 2, 3]))], machine: [5, 6, 7])
        let sink = ByteSink()
        record.encode(into: sink)
        #expect(try TickRecord(decoding: sink.bytes) == record)
        let good = Array(sink.bytes)
        for length in good.indices {
            #expect(throws: StateError.self, "\(length) bytes") {
                try good.prefix(length).withUnsafeBytes { try TickRecord(decoding: $0) }
            }
        }
        #expect(throws: StateError.self) { try (good + [0]).withUnsafeBytes { try TickRecord(decoding: $0) } }
        // A count that cannot be true ends with the bytes, not with memory.
        let lies: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        #expect(throws: StateError.self) { try lies.withUnsafeBytes { try TickRecord(decoding: $0) } }
    }
}
