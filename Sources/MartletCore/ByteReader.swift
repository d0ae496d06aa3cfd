/// Bytes that are not what they claim to be: input, never a reason to trap.
package enum ByteError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `needed` bytes were to be read or written at `offset`, and only `available` are there.
    case outOfBounds(offset: Int, needed: Int, available: Int)
    /// The variable-length integer at `offset` does not end within its allowed bytes, or does not fit its type.
    case badVarint(offset: Int)
    /// A length read at `offset` is negative or above what is allowed.
    case badLength(offset: Int, length: Int64)

    package var description: String {
        switch self {
        case .outOfBounds(let offset, let needed, let available):
            "\(needed) bytes expected at offset \(offset), \(available) there"
        case .badVarint(let offset): "variable-length integer at offset \(offset) is too long"
        case .badLength(let offset, let length): "length \(length) at offset \(offset) is not allowed"
        }
    }
}

/// Reads numbers and runs of bytes, front to back, from memory that it does not own. Every read is checked against the
/// end and throws; the memory must outlive the reader and the pointers it gives out.
package struct ByteReader {
    package let bytes: UnsafeRawBufferPointer
    /// Where the next read starts.
    package private(set) var offset: Int

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        offset = 0
    }

    package var remaining: Int { bytes.count &- offset }
    package var isAtEnd: Bool { offset == bytes.count }

    /// Continues at `offset`, anywhere within the bytes.
    package mutating func seek(to offset: Int) throws(ByteError) {
        guard offset >= 0 && offset <= bytes.count else {
            throw .outOfBounds(offset: offset, needed: 0, available: bytes.count)
        }
        self.offset = offset
    }

    package mutating func skip(_ count: Int) throws(ByteError) { _ = try take(count) }

    /// The next `count` bytes, in place.
    package mutating func read(_ count: Int) throws(ByteError) -> UnsafeRawBufferPointer {
        let start = try take(count)
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start &+ count])
    }

    package mutating func readUInt8() throws(ByteError) -> UInt8 { bytes[try take(1)] }

    package mutating func readLittle<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type = Number.self) throws(ByteError) -> Number {
        let start = try take(MemoryLayout<Number>.size)
        return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: Number.self))
    }

    package mutating func readBig<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type = Number.self) throws(ByteError) -> Number {
        let start = try take(MemoryLayout<Number>.size)
        return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: Number.self))
    }

    /// Base-128, least significant group first, at most 5 bytes.
    package mutating func readVarUInt32() throws(ByteError) -> UInt32 {
        UInt32(truncatingIfNeeded: try readVarint(bits: 32))
    }

    /// Base-128, least significant group first, at most 10 bytes.
    package mutating func readVarUInt64() throws(ByteError) -> UInt64 { try readVarint(bits: 64) }

    /// Zigzag (0, −1, 1, −2 … as 0, 1, 2, 3 …), at most 5 bytes.
    package mutating func readVarInt32() throws(ByteError) -> Int32 {
        let raw = try readVarUInt32()
        return Int32(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    /// Zigzag, at most 10 bytes.
    package mutating func readVarInt64() throws(ByteError) -> Int64 {
        let raw = try readVarUInt64()
        return Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    /// A run of bytes behind its unsigned variable-length length, which is at most `limit`.
    package mutating func readRun(limit: Int) throws(ByteError) -> UnsafeRawBufferPointer {
        let start = offset
        let length = try readVarUInt64()
        guard length <= UInt64(max(limit, 0)) else {
            throw .badLength(offset: start, length: Int64(clamping: length))
        }
        return try read(Int(length))
    }

    private mutating func readVarint(bits: UInt64) throws(ByteError) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < bits {
            let byte = UInt64(try readUInt8())
            let group = byte & 0x7F
            // The last group has fewer than 7 bits left in the type; a bit beyond them does not fit.
            guard bits &- shift >= 7 || group &>> (bits &- shift) == 0 else { throw .badVarint(offset: start) }
            value |= group &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        throw .badVarint(offset: start)
    }

    /// Claims `count` bytes and returns where they start.
    private mutating func take(_ count: Int) throws(ByteError) -> Int {
        guard count >= 0 && count <= bytes.count &- offset else {
            throw .outOfBounds(offset: offset, needed: count, available: bytes.count &- offset)
        }
        defer { offset &+= count }
        return offset
    }
}

/// The reader's counterpart over memory of a fixed size, which it does not own. For output that grows see `ByteSink`.
package struct ByteWriter {
    package let bytes: UnsafeMutableRawBufferPointer
    /// Where the next write goes.
    package private(set) var offset: Int

    package init(_ bytes: UnsafeMutableRawBufferPointer) {
        self.bytes = bytes
        offset = 0
    }

    package var remaining: Int { bytes.count &- offset }
    package var written: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<offset]) }

    /// Continues at `offset`, as to fill in a length that is known only afterwards.
    package mutating func seek(to offset: Int) throws(ByteError) {
        guard offset >= 0 && offset <= bytes.count else {
            throw .outOfBounds(offset: offset, needed: 0, available: bytes.count)
        }
        self.offset = offset
    }

    package mutating func write(_ source: UnsafeRawBufferPointer) throws(ByteError) {
        let start = try take(source.count)
        guard source.count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start &+ source.count]).copyMemory(from: source)
    }

    package mutating func writeUInt8(_ value: UInt8) throws(ByteError) { bytes[try take(1)] = value }

    package mutating func writeLittle<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) throws(ByteError) {
        let start = try take(MemoryLayout<Number>.size)
        bytes.storeBytes(of: value.littleEndian, toByteOffset: start, as: Number.self)
    }

    package mutating func writeBig<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) throws(ByteError) {
        let start = try take(MemoryLayout<Number>.size)
        bytes.storeBytes(of: value.bigEndian, toByteOffset: start, as: Number.self)
    }

    package mutating func writeVarUInt64(_ value: UInt64) throws(ByteError) {
        var rest = value
        while rest >= 0x80 {
            try writeUInt8(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        try writeUInt8(UInt8(rest))
    }

    package mutating func writeVarUInt32(_ value: UInt32) throws(ByteError) { try writeVarUInt64(UInt64(value)) }

    package mutating func writeVarInt64(_ value: Int64) throws(ByteError) {
        try writeVarUInt64(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }

    package mutating func writeVarInt32(_ value: Int32) throws(ByteError) {
        try writeVarUInt32(UInt32(bitPattern: (value &<< 1) ^ (value &>> 31)))
    }

    private mutating func take(_ count: Int) throws(ByteError) -> Int {
        guard count >= 0 && count <= bytes.count &- offset else {
            throw .outOfBounds(offset: offset, needed: count, available: bytes.count &- offset)
        }
        defer { offset &+= count }
        return offset
    }
}
