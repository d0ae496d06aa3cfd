internal import MartletCore

/// COPY's binary format: a signature, flags, an extension to skip; then per row a count of fields (−1: the end) and each
/// field behind its length (−1: NULL).
extension CopyReader {
    static let signature: [UInt8] = [0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00]

    /// Returns how many bytes are done with: whole rows only.
    func takeBinary(_ bytes: UnsafeRawBufferPointer, to target: any CopyRowTarget) throws(SQLError) -> Int {
        var start = 0
        if !hasSignature {
            guard let after = try header(bytes) else { return 0 }
            hasSignature = true
            start = after
        }
        while !isEnded, let end = try binaryRow(bytes, start) {
            start = end
            if isEnded { return bytes.count }
            rows += 1
            try give(bytes, to: target)
        }
        return start
    }

    /// nil: not all there yet.
    private func header(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> Int? {
        guard bytes.prefix(CopyReader.signature.count).elementsEqual(CopyReader.signature.prefix(bytes.count)) else {
            throw SQLError(CopyReader.badFormat, "COPY file signature not recognized")
        }
        let fixed = CopyReader.signature.count + 8
        guard bytes.count >= fixed else { return nil }
        let flags = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: fixed - 8, as: UInt32.self))
        // The upper half are critical to understand; object identifiers (bit 16) are long gone from PostgreSQL too.
        guard flags & 0xFFFF_0000 == 0 else { throw SQLError(CopyReader.badFormat, "unrecognized critical flags in COPY file header") }
        let more = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: fixed - 4, as: Int32.self))
        guard more >= 0, more <= 1 << 16 else { throw SQLError(CopyReader.badFormat, "invalid COPY file header (wrong length)") }
        return bytes.count >= fixed + Int(more) ? fixed + Int(more) : nil
    }

    /// Fills `ranges` and returns where the row ends; nil where it is not all there.
    private func binaryRow(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(SQLError) -> Int? {
        guard bytes.count - start >= 2 else { return nil }
        let count = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: Int16.self))
        if count == -1 {
            isEnded = true
            return start + 2
        }
        guard count >= 0 else { throw SQLError(CopyReader.badFormat, "row field count is \(count)") }
        ranges.removeAll(keepingCapacity: true)
        var at = start + 2
        for _ in 0..<count {
            guard bytes.count - at >= 4 else { return nil }
            let length = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self))
            at += 4
            if length == -1 {
                ranges.append(FieldRange(start: at, end: at, isNull: true))
                continue
            }
            guard length >= 0 else { throw SQLError(CopyReader.badFormat, "invalid field size") }
            guard bytes.count - at >= Int(length) else { return nil }
            ranges.append(FieldRange(start: at, end: at + Int(length), isNull: false))
            at += Int(length)
        }
        return at
    }
}
