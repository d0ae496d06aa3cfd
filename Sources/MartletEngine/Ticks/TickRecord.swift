internal import MartletCore
internal import MartletState

/// How far a target outside the log had durably come, as of some moment: what a restart can build on.
package struct SinkMark: Sendable, Equatable {
    /// The last tick whose rows it surely has.
    package var tick: UInt64
    /// The target's own, such as the length of a file.
    package var detail: [UInt8]

    package init(tick: UInt64, detail: [UInt8] = []) {
        self.tick = tick
        self.detail = detail
    }
}

/// What the ticks topic holds of one tick: the machine's own record, and news of targets outside the log
/// (docs/formats/ticks.md has the bytes).
struct TickRecord: Equatable {
    static let version: UInt8 = 1

    var tick: UInt64
    /// By target's name, those that changed since the record before.
    var marks: [(name: String, mark: SinkMark)] = []
    /// What `TickMachine.step(replaying:)` takes.
    var machine: [UInt8]

    static func == (left: TickRecord, right: TickRecord) -> Bool {
        left.tick == right.tick && left.machine == right.machine && left.marks.elementsEqual(right.marks) { $0 == $1 }
    }

    func encode(into sink: ByteSink) {
        sink.append(TickRecord.version)
        sink.append(little: tick)
        TickRecord.encode(marks, into: sink)
        sink.append(run: machine)
    }

    init(tick: UInt64, marks: [(name: String, mark: SinkMark)] = [], machine: [UInt8]) {
        self.tick = tick
        self.marks = marks
        self.machine = machine
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(StateError) {
        var reader = ByteReader(bytes)
        let found: UInt8
        do throws(ByteError) {
            found = try reader.readUInt8()
            tick = try reader.readLittle()
            marks = try TickRecord.decodeMarks(from: &reader)
            machine = Array(try reader.readRun(limit: bytes.count))
        } catch {
            throw StateError("a damaged tick record: \(error)")
        }
        guard found == TickRecord.version else {
            throw StateError("a tick record of version \(found); this program reads version \(TickRecord.version)")
        }
        guard reader.isAtEnd else { throw StateError("a damaged tick record: bytes after its end") }
    }

    // MARK: Pieces

    private static let pieceVersion: UInt8 = 2

    /// The encoded record as one value, or, where it is longer than `bytesMax`, as several.
    static func pieces(_ record: ByteSink, of tick: UInt64, bytesMax: Int) -> [[UInt8]] {
        guard record.count > bytesMax else { return [Array(record.bytes)] }
        let count = (record.count + bytesMax - 1) / bytesMax
        return (0..<count).map { number in
            let piece = ByteSink(capacity: bytesMax + 32)
            piece.append(pieceVersion)
            piece.append(little: tick)
            piece.append(little: UInt32(number))
            piece.append(little: UInt32(count))
            piece.append(UnsafeRawBufferPointer(rebasing: record.bytes[(number * bytesMax)..<min((number + 1) * bytesMax, record.count)]))
            return Array(piece.bytes)
        }
    }

    private static func decoded(_ bytes: [UInt8]) throws(StateError) -> TickRecord {
        try bytes.withUnsafeBufferPointer { (bytes) throws(StateError) in try TickRecord(decoding: UnsafeRawBufferPointer(bytes)) }
    }

    /// Puts records together again.
    struct Pieces {
        private var bytes: [UInt8] = []
        private var tick: UInt64 = 0
        private var next: UInt32 = 0

        /// The record that is complete with this value; nil: more belongs to it.
        mutating func add(_ value: [UInt8]) throws(SQLError) -> TickRecord? {
            do throws(StateError) {
                guard value.first == TickRecord.pieceVersion else {
                    guard next == 0 else { throw StateError("a tick record without its end") }
                    return try TickRecord.decoded(value)
                }
                return try addPiece(value)
            } catch {
                throw SQLError(.dataCorrupted, "the ticks topic: \(error)")
            }
        }

        private mutating func addPiece(_ value: [UInt8]) throws(StateError) -> TickRecord? {
            let head = value.withUnsafeBytes { value -> (tick: UInt64, number: UInt32, count: UInt32)? in
                guard value.count > 17 else { return nil }
                return (
                    UInt64(littleEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt64.self)),
                    UInt32(littleEndian: value.loadUnaligned(fromByteOffset: 9, as: UInt32.self)),
                    UInt32(littleEndian: value.loadUnaligned(fromByteOffset: 13, as: UInt32.self))
                )
            }
            guard let head, head.number == next, head.count > head.number, next == 0 || head.tick == tick else {
                throw StateError("a tick record with a piece out of place")
            }
            bytes += value[17...]
            (tick, next) = (head.tick, next + 1)
            guard next == head.count else { return nil }
            defer { self = Pieces() }
            return try TickRecord.decoded(bytes)
        }
    }

    // MARK: Marks, which checkpoints have as well

    static func encode(_ marks: [(name: String, mark: SinkMark)], into sink: ByteSink) {
        sink.append(varint: UInt64(marks.count))
        for (name, mark) in marks {
            sink.append(run: Array(name.utf8))
            sink.append(little: mark.tick)
            sink.append(run: mark.detail)
        }
    }

    static func decodeMarks(from reader: inout ByteReader) throws(ByteError) -> [(name: String, mark: SinkMark)] {
        let count = try reader.readVarUInt64()
        var marks: [(name: String, mark: SinkMark)] = []
        // Each takes bytes, so that a count that is not true ends with them.
        var left = count
        while left > 0 {
            let name = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
            let tick = try reader.readLittle(UInt64.self)
            marks.append((name, SinkMark(tick: tick, detail: Array(try reader.readRun(limit: reader.remaining)))))
            left -= 1
        }
        return marks
    }
}

extension ByteSink {
    func append<Number: FixedWidthInteger>(little number: Number) {
        withUnsafeBytes(of: number.littleEndian) { append($0) }
    }

    func append(varint number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// Bytes behind their count.
    func append(run bytes: [UInt8]) {
        append(varint: UInt64(bytes.count))
        bytes.withUnsafeBytes { append($0) }
    }
}
