package import MartletCore

/// Reads what `StateWriter` wrote, pulling as it goes. Every read is bounded by what is there: bytes that are not a state,
/// or not this one, are a `StateError` that names the place, before anything is made of them. One thread.
package final class StateReader {
    private let pull: (UnsafeMutableRawBufferPointer) throws(SQLError) -> Int
    private let piece: UnsafeMutableRawBufferPointer
    private var position = 0
    private var available = 0
    private var pieces: UInt64 = 0
    /// Of the stream: where the current piece's payload begins.
    private var pieceStart: UInt64 = 0
    private var pulled: UInt64 = 0
    private var hasBegun = false
    private var hasEnded = false
    /// Of the frame, once something has been read.
    private(set) var version = SavedFormat.version
    /// What was written so long ago has none to go on to.
    package var hasSections: Bool { version > SavedFormat.versionMin }
    private var beginsSection = false
    /// Work that may wait until more has been read, and be done side by side with other such work.
    private var waiting: [() -> Void] = []
    package private(set) var keepsLater = false
    /// Counted bytes that lie in more than one piece.
    private let scratch = ByteSink(capacity: 64)

    /// - Parameter pull: puts the state's next bytes into the buffer, as many as it likes but 0 only at the end.
    package init(_ pull: @escaping (UnsafeMutableRawBufferPointer) throws(SQLError) -> Int) {
        self.pull = pull
        piece = .allocate(byteCount: SavedFormat.pieceBytesMax, alignment: 64)
    }

    package convenience init(_ bytes: [UInt8]) {
        var taken = 0
        self.init { (buffer: UnsafeMutableRawBufferPointer) throws(SQLError) in
            let count = min(buffer.count, bytes.count - taken)
            bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<taken + count])) }
            taken += count
            return count
        }
    }

    deinit { piece.deallocate() }

    // MARK: Work for later

    /// Calls `work` now, or leaves it to whoever keeps such work. Nothing that is read meanwhile relies on it.
    package func later(_ work: @escaping () -> Void) {
        if keepsLater { waiting.append(work) } else { work() }
    }

    /// What `body` leaves for later waits for `takeLater`; what it leaves when it throws is forgotten.
    package func keepingLater(_ body: () throws(StateError) -> Void) throws(StateError) {
        let (kept, count) = (keepsLater, waiting.count)
        keepsLater = true
        defer { keepsLater = kept }
        do throws(StateError) {
            try body()
        } catch {
            waiting.removeLast(max(waiting.count - count, 0))
            throw error
        }
    }

    /// What `body` reads is needed at once.
    package func keepingNothing(_ body: () throws(StateError) -> Void) throws(StateError) {
        let kept = keepsLater
        keepsLater = false
        defer { keepsLater = kept }
        try body()
    }

    /// Pieces of work that wait, which are now the caller's. They know nothing of each other: any thread may do any of them.
    package func takeLater() -> [() -> Void] {
        defer { waiting = [] }
        return waiting
    }

    /// An error at this place.
    package func error(_ text: String) -> StateError {
        StateError("saved state, byte \(pieceStart + UInt64(position)): \(text)")
    }

    package func read<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type = Number.self) throws(StateError) -> Number {
        let count = MemoryLayout<Number>.size
        if available - position >= count {
            defer { position += count }
            return Number(littleEndian: piece.loadUnaligned(fromByteOffset: position, as: Number.self))
        }
        return try readAcross()
    }

    private func readAcross<Number: FixedWidthInteger & BitwiseCopyable>() throws(StateError) -> Number {
        var number: Number = 0
        for byte in 0..<MemoryLayout<Number>.size {
            if position == available { try nextPiece() }
            number |= Number(truncatingIfNeeded: piece[position]) << Number(byte * 8)
            position += 1
        }
        return number
    }

    package func readFlag() throws(StateError) -> Bool {
        switch try read(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw error("neither true nor false")
        }
    }

    /// A number that says how many of something follow, each of at least `bytesEach` bytes in memory; at most `max`.
    package func readCount(max: Int) throws(StateError) -> Int {
        let count = try read(UInt64.self)
        guard count <= UInt64(Swift.max(max, 0)) else { throw error("\(count) where at most \(max) can be") }
        return Int(count)
    }

    /// Counted bytes, at most `max`.
    package func readBytes(max: Int = 1 << 32) throws(StateError) -> [UInt8] {
        var left = try readCount(max: max)
        var bytes: [UInt8] = []
        // Memory grows with what is really there.
        while left > 0 {
            if position == available { try nextPiece() }
            let part = min(left, available - position)
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: piece[position..<position + part]))
            position += part
            left -= part
        }
        return bytes
    }

    /// Counted bytes, which `body` may look at while it runs.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws(StateError) -> Result) throws(StateError) -> Result {
        let count = try readCount(max: 1 << 32)
        if count <= available - position {
            defer { position += count }
            return try body(UnsafeRawBufferPointer(rebasing: piece[position..<position + count]))
        }
        scratch.clear()
        while scratch.count < count {
            if position == available { try nextPiece() }
            let part = min(count - scratch.count, available - position)
            scratch.append(UnsafeRawBufferPointer(rebasing: piece[position..<position + part]))
            position += part
        }
        return try body(scratch.bytes)
    }

    package func readText() throws(StateError) -> String { String(decoding: try readBytes(), as: UTF8.self) }

    /// Numbers written as an array.
    package func readNumbers<Number: FixedWidthInteger & BitwiseCopyable>(
        _: Number.Type = Number.self, max: Int = 1 << 32
    ) throws(StateError) -> [Number] {
        let count = try readCount(max: max)
        var numbers: [Number] = []
        numbers.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count { numbers.append(try read()) }
        return numbers
    }

    /// Fills memory with bytes whose count is known.
    package func readRaw(into target: UnsafeMutableRawBufferPointer) throws(StateError) {
        var filled = 0
        while filled < target.count {
            if position == available { try nextPiece() }
            let part = min(target.count - filled, available - position)
            UnsafeMutableRawBufferPointer(rebasing: target[filled..<filled + part])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[position..<position + part]))
            filled += part
            position += part
        }
    }

    /// Passes what `begin` wrote.
    package func expect(_ name: String) throws(StateError) {
        let place = pieceStart + UInt64(position)
        let found = String(decoding: try readBytes(max: 1 << 16), as: UTF8.self)
        guard found == name else {
            throw StateError("saved state, byte \(place): \"\(name)\" expected, \"\(found)\" found")
        }
    }

    /// Passes over what is left of this section, to what `StateWriter.beginSection` stands before next. A state of a
    /// version without sections, or without another one, is refused.
    package func skipToSection() throws(StateError) {
        guard hasSections else { throw error("a part that cannot be read, in a version in which parts cannot be passed over") }
        repeat { try nextPiece() } while !beginsSection
    }

    /// Makes sure that all has been read, and that the state is whole.
    package func finish() throws(StateError) {
        guard position == available else { throw error("more than was expected") }
        do throws(StateError) {
            try nextPiece()
        } catch {
            if hasEnded { return }
            throw error
        }
        throw error("more than was expected")
    }

    // MARK: - Pieces

    private func nextPiece() throws(StateError) {
        if !hasBegun { try readHeader() }
        guard !hasEnded else { throw error("the state ends here, and more was expected") }
        var prefix = SIMD2<UInt32>(0, 0)
        try withUnsafeMutableBytes(of: &prefix) { bytes throws(StateError) in try fill(bytes) }
        let word = UInt32(littleEndian: prefix[0])
        beginsSection = hasSections && word & SavedFormat.sectionFlag != 0
        let length = beginsSection ? word & ~SavedFormat.sectionFlag : word
        guard length <= SavedFormat.pieceBytesMax else { throw damaged("a piece of \(length) bytes") }
        let payload = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(length)])
        available = 0
        position = 0
        let start = pulled
        try fill(payload)
        guard StateWriter.checksum(UnsafeRawBufferPointer(payload), number: pieces, length: word) == UInt32(littleEndian: prefix[1]) else {
            throw StateError("saved state, bytes \(start)–\(pulled): the checksum does not fit; they are damaged")
        }
        pieces += 1
        pieceStart = start
        available = Int(length)
        if length == 0 {
            hasEnded = true
            throw error("the state ends here, and more was expected")
        }
    }

    private func readHeader() throws(StateError) {
        var header = SIMD4<UInt32>(repeating: 0)
        try withUnsafeMutableBytes(of: &header) { bytes throws(StateError) in try fill(bytes) }
        hasBegun = true
        let magic = withUnsafeBytes(of: header) { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard magic == SavedFormat.magic else { throw StateError("not a saved state") }
        let checksum = withUnsafeBytes(of: header) { crc32c(UnsafeRawBufferPointer(rebasing: $0[..<12])) }
        guard checksum == UInt32(littleEndian: header[3]) else { throw damaged("its header") }
        version = UInt32(littleEndian: header[2])
        guard (SavedFormat.versionMin...SavedFormat.version).contains(version) else {
            throw StateError("saved state of version \(version); this program reads versions up to \(SavedFormat.version)")
        }
    }

    private func damaged(_ what: String) -> StateError { StateError("saved state, byte \(pulled): \(what) is damaged") }

    private func fill(_ target: UnsafeMutableRawBufferPointer) throws(StateError) {
        var filled = 0
        while filled < target.count {
            let count: Int
            do throws(SQLError) {
                count = try pull(UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
            } catch {
                throw StateError("saved state, byte \(pulled): \(error.message)")
            }
            guard count > 0, count <= target.count - filled else {
                throw StateError("saved state, byte \(pulled): it ends early")
            }
            filled += count
            pulled += UInt64(count)
        }
    }
}

extension StateError {
    /// For those whose callers are statements and drivers.
    package var asSQLError: SQLError { refusal ?? SQLError(.dataCorrupted, description) }
}
