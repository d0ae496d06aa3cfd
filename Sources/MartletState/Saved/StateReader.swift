/// A saved state that cannot be this one's.
package struct StateError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Reads what `StateWriter` wrote. Every read is bounded by what is there.
package final class StateReader {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package func read<Number: FixedWidthInteger>(_: Number.Type = Number.self) throws(StateError) -> Number {
        let count = MemoryLayout<Number>.size
        guard bytes.count - position >= count else { throw StateError("a saved state ends early, at byte \(position)") }
        defer { position += count }
        return bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Number.self)) }
    }

    package func readBytes() throws(StateError) -> ArraySlice<UInt8> {
        let count = try read(UInt64.self)
        guard count <= UInt64(bytes.count - position) else { throw StateError("a saved state ends early, at byte \(position)") }
        defer { position += Int(count) }
        return bytes[position..<position + Int(count)]
    }

    package var isAtEnd: Bool { position == bytes.count }
}
