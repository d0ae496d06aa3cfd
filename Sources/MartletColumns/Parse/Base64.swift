/// BYTEA in JSON: base64 of RFC 4648, with or without padding, no line breaks.
extension RowTarget {
    func storeBase64(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        let space = scratchSpace(text.count / 4 * 3 + 3)
        guard let count = decodeBase64(text, into: space) else {
            throw FieldFailure(reason: .invalidValue, message: "invalid base64")
        }
        keepScratch(count)
        slots[index].put(StringView(space, count: count), row)
    }
}

/// Decodes into `target`, which has room for three bytes for every four begun; nil: not base64.
func decodeBase64(_ text: UnsafeBufferPointer<UInt8>, into target: UnsafeMutablePointer<UInt8>) -> Int? {
    var end = text.count
    if end % 4 == 0 {
        if end > 0, text[end - 1] == 0x3D { end -= 1 }
        if end > 0, end % 4 == 3, text[end - 1] == 0x3D { end -= 1 }
    }
    if end % 4 == 1 { return nil }
    var bits: UInt32 = 0
    var count = 0
    for at in 0..<end {
        guard let value = base64Value(text[at]) else { return nil }
        bits = bits << 6 | UInt32(value)
        if at % 4 == 0 { continue }
        // After 2, 3 and 4 characters there are 12, 18 and 24 bits, of which 8, 16 and 24 are out.
        let spare = UInt32(6 - 2 * (at % 4))
        target[count] = UInt8(truncatingIfNeeded: bits >> spare)
        count += 1
        bits &= (1 << spare) - 1
    }
    return bits == 0 ? count : nil
}

private func base64Value(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x41...0x5A: byte - 0x41
    case 0x61...0x7A: byte - 0x47
    case 0x30...0x39: byte + 4
    case 0x2B: 62
    case 0x2F: 63
    default: nil
    }
}
