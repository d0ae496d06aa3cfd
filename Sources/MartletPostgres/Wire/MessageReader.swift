package import MartletCore

/// Reads a message's fields in order; whatever is not there is 08P01, never a trap.
package struct MessageReader {
    private var reader: ByteReader

    package init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    package var isAtEnd: Bool { reader.isAtEnd }
    package var remaining: Int { reader.remaining }

    private static let tooShort = WireError.malformed("insufficient data left in message")

    package mutating func uint8() throws(SQLError) -> UInt8 {
        do throws(ByteError) { return try reader.readUInt8() } catch { throw MessageReader.tooShort }
    }

    package mutating func uint16() throws(SQLError) -> UInt16 {
        do throws(ByteError) { return try reader.readBig() } catch { throw MessageReader.tooShort }
    }

    package mutating func uint32() throws(SQLError) -> UInt32 {
        do throws(ByteError) { return try reader.readBig() } catch { throw MessageReader.tooShort }
    }

    package mutating func skip(_ count: Int) throws(SQLError) {
        do throws(ByteError) { try reader.skip(count) } catch { throw MessageReader.tooShort }
    }

    /// The next `count` bytes, in place. A negative count is no count.
    package mutating func bytes(_ count: Int) throws(SQLError) -> UnsafeRawBufferPointer {
        do throws(ByteError) { return try reader.read(count) } catch { throw MessageReader.tooShort }
    }

    /// Whatever is left.
    package mutating func rest() -> UnsafeRawBufferPointer {
        // Never more than there is.
        (try? reader.read(reader.remaining)) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Bytes up to a zero byte, which must come, in place.
    package mutating func stringBytes() throws(SQLError) -> UnsafeRawBufferPointer {
        let rest = UnsafeRawBufferPointer(rebasing: reader.bytes[reader.offset...])
        guard let end = rest.firstIndex(of: 0) else { throw WireError.malformed("invalid string in message") }
        let text = UnsafeRawBufferPointer(rebasing: rest[..<end])
        try skip(end + 1)
        return text
    }

    /// A text that ends with a zero byte and must be UTF-8.
    package mutating func string() throws(SQLError) -> String { try MessageReader.text(try stringBytes()) }

    /// A count in two bytes, then so many items. The room a client can make us take is bounded by what it sent, since every
    /// item takes at least two bytes.
    package mutating func list<Item>(
        _ item: (inout MessageReader) throws(SQLError) -> Item
    ) throws(SQLError) -> [Item] {
        let count = try uint16()
        var items: [Item] = []
        items.reserveCapacity(min(Int(count), reader.remaining / 2))
        for _ in 0..<count { items.append(try item(&self)) }
        return items
    }

    /// Bytes as text; 22021 where they are not UTF-8 or hold a zero byte.
    package static func text(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw WireError.invalidEncoding(bytes)
        }
        return text
    }
}
