internal import MartletCore

/// The bytes of a journal (docs/formats/journal.md).
///
/// A file is a row of groups, each starting on a block of 4 KiB. What a group is, its header says; a header that is not
/// exactly what was written is none (own CRC). All numbers are little-endian.
enum JournalFormat {
    static let blockBytes = 4096
    static let headerBytes = 128
    /// "MARTLETJ"
    static let magic: UInt64 = 0x4A54_454C_5452_414D
    static let version: UInt16 = 1
    /// Where the body's checksum is; it is seeded with the checksum of all header bytes before it, so a body never
    /// matches another group's header.
    static let bodyCheckOffset = 60
    static let headerCheckOffset = 124
    /// A record's frame is at most a length (5), a chain (10) and a part (5).
    static let frameBytesMax = 20

    /// `bytes` rounded up to blocks.
    static func padded(_ bytes: Int) -> Int { (bytes &+ (blockBytes &- 1)) & ~(blockBytes &- 1) }
}

/// Whose file it is: random at creation, in every header, so that no file of another journal and no payload is ever
/// taken for a group.
package struct JournalIdentity: Sendable, Hashable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package var description: String { TopicID(high: high, low: low).hexadecimal }
}

/// The head of a group: the first 128 bytes of its first block.
struct GroupHeader: Equatable, Sendable {
    enum Kind: UInt8, Sendable {
        /// The first block of a file that was never used. No group.
        case blank = 0
        case group = 1
        /// The first group after an opening: repeats the last valid one, which may or may not be durable.
        case opening = 2
    }

    var kind: Kind
    var version: UInt16 = JournalFormat.version
    /// Bytes of the body, behind the header; zeros follow to the end of the block.
    var bodyBytes: UInt32 = 0
    var identity: JournalIdentity
    /// How many times files had been taken into use when this one was. One file's groups share it.
    var lap: UInt64 = 0
    /// Every group has a number of its own, which only grows; one more than the one before unless this is an opening.
    var number: UInt64 = 0
    /// Of the first record, or what the next record will have where there is none.
    var firstSequence: UInt64 = 0
    /// Records with a sequence: complete ones and ends of chains.
    var recordCount: UInt32 = 0
    var bodyCheck: UInt32 = 0
    /// The highest group known to be durable when this was written.
    var syncedGroup: UInt64 = 0
    /// The highest sequence known to be durable when this was written.
    var syncedSequence: UInt64 = 0
    /// Of an opening: it stands for the groups from this number on. Otherwise `number`.
    var restatedGroup: UInt64 = 0
    /// The first group with a part of a chain that is open at this group's start. `number` if there is none.
    var chainFloor: UInt64 = 0

    /// What the next record has.
    var nextSequence: UInt64 { firstSequence &+ UInt64(recordCount) }
    var totalBytes: Int { JournalFormat.headerBytes &+ Int(bodyBytes) }

    /// Writes the header into the first 128 of `bytes`. `bodyCheck` is computed from `body`.
    mutating func encode(into bytes: UnsafeMutableRawBufferPointer, body: UnsafeRawBufferPointer) {
        let head = UnsafeMutableRawBufferPointer(rebasing: bytes[..<JournalFormat.headerBytes])
        head.initializeMemory(as: UInt8.self, repeating: 0)
        func put<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number, at offset: Int) {
            head.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
        }
        put(JournalFormat.magic, at: 0)
        put(version, at: 8)
        put(kind.rawValue, at: 10)
        put(bodyBytes, at: 12)
        put(identity.high, at: 16)
        put(identity.low, at: 24)
        put(lap, at: 32)
        put(number, at: 40)
        put(firstSequence, at: 48)
        put(recordCount, at: 56)
        bodyCheck = Self.bodyCheck(head: UnsafeRawBufferPointer(head), body: body)
        put(bodyCheck, at: JournalFormat.bodyCheckOffset)
        put(syncedGroup, at: 64)
        put(syncedSequence, at: 72)
        put(restatedGroup, at: 80)
        put(chainFloor, at: 88)
        let covered = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(head)[..<JournalFormat.headerCheckOffset])
        put(crc32c(covered), at: JournalFormat.headerCheckOffset)
    }

    /// nil unless `bytes` start with a whole header whose checksum is right and whose numbers a journal can come to.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> GroupHeader? {
        guard bytes.count >= JournalFormat.headerBytes else { return nil }
        func get<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as _: Number.Type = Number.self) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard get(0) == JournalFormat.magic else { return nil }
        let covered = UnsafeRawBufferPointer(rebasing: bytes[..<JournalFormat.headerCheckOffset])
        guard get(JournalFormat.headerCheckOffset) == crc32c(covered), let kind = Kind(rawValue: bytes[10]) else { return nil }
        let header = GroupHeader(
            kind: kind, version: get(8), bodyBytes: get(12), identity: JournalIdentity(high: get(16), low: get(24)), lap: get(32),
            number: get(40), firstSequence: get(48), recordCount: get(56), bodyCheck: get(JournalFormat.bodyCheckOffset),
            syncedGroup: get(64), syncedSequence: get(72), restatedGroup: get(80), chainFloor: get(88))
        return header.isPlausible ? header : nil
    }

    /// No journal comes to numbers this high; so what follows can calculate with them.
    private static let numberMax: UInt64 = 1 << 62

    private var isPlausible: Bool {
        kind == .blank
            || number > 0 && number < Self.numberMax && lap < Self.numberMax && firstSequence > 0
                && firstSequence < Self.numberMax && restatedGroup > 0 && restatedGroup <= number && chainFloor <= number
    }

    /// Whether `group`, which starts with this header, has the body that it was written with.
    func isIntact(_ group: UnsafeRawBufferPointer) -> Bool {
        guard group.count >= totalBytes else { return false }
        let body = UnsafeRawBufferPointer(rebasing: group[JournalFormat.headerBytes..<totalBytes])
        return Self.bodyCheck(head: group, body: body) == bodyCheck
    }

    private static func bodyCheck(head: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) -> UInt32 {
        crc32c(body, seed: crc32c(UnsafeRawBufferPointer(rebasing: head[..<JournalFormat.bodyCheckOffset])))
    }
}

/// One frame of a group's body.
struct JournalFrame {
    enum Kind: UInt64 {
        /// A complete record.
        case whole = 0
        /// A part of a chain, not its last.
        case part = 1
        /// The last part: from here on the chain is one record.
        case end = 2
        /// The chain will have no end.
        case abandoned = 3
    }

    var kind: Kind
    /// Of the kinds that belong to one. Unique among the chains since an opening.
    var chain: UInt64 = 0
    /// Parts count from 0; an end is counted too.
    var part: UInt64 = 0
    var payload: UnsafeRawBufferPointer

    /// Has a sequence.
    var isRecord: Bool { kind == .whole || kind == .end }

    /// The frame at the reader's place, which lies in a body whose checksum was right.
    static func read(_ reader: inout ByteReader) throws(ByteError) -> JournalFrame {
        let start = reader.offset
        let word = try reader.readVarUInt64()
        let length = word &>> 2
        let kind = Kind(rawValue: word & 3)!  // All four values of two bits are cases.
        guard length <= UInt64(reader.remaining) else {
            throw .badLength(offset: start, length: Int64(clamping: length))
        }
        var frame = JournalFrame(kind: kind, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        if kind != .whole {
            frame.chain = try reader.readVarUInt64()
            frame.part = try reader.readVarUInt64()
        }
        frame.payload = try reader.read(Int(length))
        return frame
    }
}

/// The bytes of a variable-length number.
func varintBytes(_ value: UInt64) -> Int { max(1, (70 &- value.leadingZeroBitCount) / 7) }
