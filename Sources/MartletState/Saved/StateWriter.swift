package import MartletCore

/// Writes a state piece by piece: little-endian numbers and counted bytes, in an order that the reader knows. Memory is
/// bounded by one piece. What cannot be written any more is remembered as the failure and thrown by `finish`, so that what
/// saves itself need not look after every number. One thread.
package final class StateWriter {
    private let sink: (UnsafeRawBufferPointer) throws(SQLError) -> Void
    private var failure: SQLError?
    /// Room for a prefix, then a piece's payload.
    private let piece: UnsafeMutableRawBufferPointer
    private var used = SavedFormat.prefixBytes
    private var pieces: UInt64 = 0
    /// The next piece is the first of a section.
    private var beginsSection = false
    private var isFinished = false
    /// Payload bytes so far.
    package private(set) var byteCount: UInt64 = 0

    /// - Parameter sink: takes the state's bytes, in order and about a mebibyte at a time; they are valid during the call only.
    package init(_ sink: @escaping (UnsafeRawBufferPointer) throws(SQLError) -> Void) {
        self.sink = sink
        piece = .allocate(byteCount: SavedFormat.prefixBytes + SavedFormat.pieceBytesMax, alignment: 64)
        var header: [UInt8] = []
        header.reserveCapacity(SavedFormat.headerBytes)
        withUnsafeBytes(of: SavedFormat.magic.littleEndian) { header += $0 }
        withUnsafeBytes(of: SavedFormat.version.littleEndian) { header += $0 }
        withUnsafeBytes(of: header.withUnsafeBytes { crc32c($0) }.littleEndian) { header += $0 }
        header.withUnsafeBytes { send($0) }
    }

    deinit { piece.deallocate() }

    package func write<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        let count = MemoryLayout<Number>.size
        if piece.count - used < count { writeRaw(number) } else {
            piece.storeBytes(of: number.littleEndian, toByteOffset: used, as: Number.self)
            used += count
            byteCount += UInt64(count)
        }
    }

    private func writeRaw<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { writeRaw($0) }
    }

    package func write(_ flag: Bool) { write(flag ? 1 as UInt8 : 0) }

    /// Preceded by their count.
    package func write(_ raw: UnsafeRawBufferPointer) {
        write(UInt64(raw.count))
        writeRaw(raw)
    }

    package func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

    package func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }

    /// Numbers of one width, preceded by their count.
    package func write<Number: FixedWidthInteger & BitwiseCopyable>(_ numbers: [Number]) {
        write(UInt64(numbers.count))
        for number in numbers { write(number) }
    }

    /// Bytes whose count the reader knows.
    package func writeRaw(_ raw: UnsafeRawBufferPointer) {
        var rest = raw[...]
        while !rest.isEmpty {
            if used == piece.count { flush() }
            let part = rest.prefix(piece.count - used)
            UnsafeMutableRawBufferPointer(rebasing: piece[used..<used + part.count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            used += part.count
            byteCount += UInt64(part.count)
            rest = rest.dropFirst(part.count)
        }
    }

    /// Marks what follows, so that a reader that expects something else says so at the place.
    package func begin(_ name: String) { write(name) }

    /// What follows can be found by a reader that does not know, or cannot use, what came before (`StateReader.skipToSection`).
    package func beginSection() {
        flush()
        beginsSection = true
    }

    /// Sends what is left and the end. Nothing may be written after it.
    package func finish() throws(SQLError) {
        precondition(!isFinished, "a state ends once")
        isFinished = true
        flush()
        sendPiece(0)
        if let failure { throw failure }
    }

    private func flush() {
        guard used > SavedFormat.prefixBytes else { return }
        sendPiece(used - SavedFormat.prefixBytes)
        used = SavedFormat.prefixBytes
    }

    /// The checksum covers the piece's number and length too, so that a lost, repeated or swapped piece shows.
    private func sendPiece(_ count: Int) {
        let length = UInt32(truncatingIfNeeded: count) | (beginsSection ? SavedFormat.sectionFlag : 0)
        beginsSection = false
        let payload = UnsafeRawBufferPointer(rebasing: piece[SavedFormat.prefixBytes..<SavedFormat.prefixBytes + count])
        let checksum = StateWriter.checksum(payload, number: pieces, length: length)
        piece.storeBytes(of: length.littleEndian, toByteOffset: 0, as: UInt32.self)
        piece.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
        pieces += 1
        send(UnsafeRawBufferPointer(rebasing: piece[..<(SavedFormat.prefixBytes + count)]))
    }

    /// `length`: as it stands before the piece.
    static func checksum(_ payload: UnsafeRawBufferPointer, number: UInt64, length: UInt32) -> UInt32 {
        let head = SIMD2(number.littleEndian, UInt64(length).littleEndian)
        return crc32c(payload, seed: withUnsafeBytes(of: head) { crc32c($0) })
    }

    private func send(_ bytes: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        do throws(SQLError) {
            try sink(bytes)
        } catch {
            failure = error
        }
    }
}
