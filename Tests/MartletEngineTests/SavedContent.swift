import MartletCore

/// A saved state's pieces, to be changed as another version of the program would have written them
/// (docs/formats/checkpoint.md).
struct SavedContent {
    private var version: UInt32 = 2
    private var pieces: [(isSection: Bool, payload: [UInt8])] = []

    private static let circuit: [UInt8] = [7, 0, 0, 0, 0, 0, 0, 0] + Array("circuit".utf8)

    init(_ state: [UInt8]) {
        var at = 16
        while at < state.count {
            let word = state.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
            let length = Int(word & ~(1 << 31))
            if length > 0 { pieces.append((word >> 31 == 1, Array(state[at + 8..<at + 8 + length]))) }
            at += 8 + length
        }
    }

    /// Gives units' circuits, by their order among the units (all of them unless said), the fingerprints of other graphs.
    mutating func alterPlans(of units: [Int]? = nil) {
        let sections = pieces.indices.filter { pieces[$0].isSection }.dropLast()
        for (unit, piece) in sections.enumerated() where units?.contains(unit) ?? true {
            guard let name = SavedContent.place(of: SavedContent.circuit, in: pieces[piece].payload) else {
                preconditionFailure("a unit without a circuit")
            }
            pieces[piece].payload[name + SavedContent.circuit.count + 4] ^= 1
        }
    }

    /// Every occurrence, by as many bytes.
    mutating func replace(_ old: String, with new: String) {
        precondition(old.utf8.count == new.utf8.count, "texts of one length")
        for piece in pieces.indices {
            while let at = SavedContent.place(of: Array(old.utf8), in: pieces[piece].payload) {
                pieces[piece].payload.replaceSubrange(at..<at + old.utf8.count, with: new.utf8)
            }
        }
    }

    mutating func forgetSections() {
        version = 1
        for piece in pieces.indices { pieces[piece].isSection = false }
    }

    private static func place(of part: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= part.count else { return nil }
        return (0...bytes.count - part.count).first { bytes[$0] == part[0] && bytes[$0..<$0 + part.count].elementsEqual(part) }
    }

    var state: [UInt8] {
        var bytes = Array("MRTSTATE".utf8)
        func append<Number: FixedWidthInteger>(_ number: Number) { withUnsafeBytes(of: number.littleEndian) { bytes += $0 } }
        append(version)
        append(bytes.withUnsafeBytes { crc32c($0) })
        for (number, piece) in (pieces + [(false, [])]).enumerated() {
            let word = UInt32(piece.payload.count) | (piece.isSection ? 1 << 31 : 0)
            append(word)
            let head = SIMD2(UInt64(number).littleEndian, UInt64(word).littleEndian)
            append(piece.payload.withUnsafeBytes { crc32c($0, seed: withUnsafeBytes(of: head) { crc32c($0) }) })
            bytes += piece.payload
        }
        return bytes
    }
}
