internal import CMartletVector

/// Validating walks over JSON text that make no values: strings, numbers, whole values of any shape.
///
/// All of them rely on a sentinel: the text ends in a line feed, which no JSON token contains, and 64 readable bytes
/// follow it, so that blocks may be loaded without a bounds check.
typealias Bytes = UnsafePointer<UInt8>

/// Where and why a walk stopped.
struct ScanFailure: Error, @unchecked Sendable {
    // Sendable: thrown and caught within one call of the parser.
    var at: Bytes
    var reason: RejectReason
    var message: StaticString

    init(_ at: Bytes, _ message: StaticString, reason: RejectReason = .invalidJSON) {
        self.at = at
        self.reason = reason
        self.message = message
    }
}

enum Ascii {
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let tab: UInt8 = 0x09
    static let quote: UInt8 = 0x22
    static let backslash: UInt8 = 0x5C
    static let comma: UInt8 = 0x2C
    static let colon: UInt8 = 0x3A
    static let point: UInt8 = 0x2E
    static let plus: UInt8 = 0x2B
    static let minus: UInt8 = 0x2D
    static let zero: UInt8 = 0x30
    static let openBrace: UInt8 = 0x7B
    static let closeBrace: UInt8 = 0x7D
    static let openBracket: UInt8 = 0x5B
    static let closeBracket: UInt8 = 0x5D

    @inline(__always) static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    /// JSON's white space within a line.
    @inline(__always) static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab || byte == carriageReturn }
}

@inline(__always)
func skipBlanks(_ start: Bytes) -> Bytes {
    var p = start
    while Ascii.isBlank(p.pointee) { p += 1 }
    return p
}

/// The first byte at or after `start` that is `"`, `\` or below 0x20. Looks at 64 bytes a step, so that the lengths of
/// most strings cost no branch that could be predicted wrongly.
@inline(__always)
func stringStop(_ start: Bytes) -> Bytes {
    var p = start
    while true {
        let stops = martlet_string_stop64(p)
        if stops != 0 { return p + stops.trailingZeroBitCount }
        p += 64
    }
}

/// Past the closing quote of the string whose first content byte is at `start`; checks escapes and control characters.
/// UTF-8 is checked elsewhere, for whole blocks.
@inline(__always)
func skipString(_ start: Bytes) throws(ScanFailure) -> Bytes {
    let p = stringStop(start)
    if p.pointee == Ascii.quote { return p + 1 }
    return try skipEscapedString(p)
}

/// As `skipString`, from a byte at which the plain run stopped.
@inline(never)
func skipEscapedString(_ stop: Bytes) throws(ScanFailure) -> Bytes {
    var p = stop
    while true {
        switch p.pointee {
        case Ascii.quote: return p + 1
        case Ascii.backslash: p = try skipEscape(p)
        case Ascii.lineFeed: throw ScanFailure(p, "the line ends within a string")
        default: throw ScanFailure(p, "a control character within a string must be escaped")
        }
        p = stringStop(p)
    }
}

/// Past the escape whose backslash is at `p`. A surrogate must be one of a pair.
private func skipEscape(_ p: Bytes) throws(ScanFailure) -> Bytes {
    switch p[1] {
    case Ascii.quote, Ascii.backslash, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: return p + 2
    case 0x75:
        let unit = try hexUnit(p + 2)
        if unit & 0xF800 != 0xD800 { return p + 6 }
        guard unit < 0xDC00, p[6] == Ascii.backslash, p[7] == 0x75 else {
            throw ScanFailure(p, "a surrogate escape without its partner")
        }
        guard try hexUnit(p + 8) & 0xFC00 == 0xDC00 else {
            throw ScanFailure(p, "a surrogate escape without its partner")
        }
        return p + 12
    default: throw ScanFailure(p, "an unknown escape in a string")
    }
}

/// Four hexadecimal digits. Reads no byte past the first that is not one.
private func hexUnit(_ p: Bytes) throws(ScanFailure) -> UInt32 {
    var unit: UInt32 = 0
    for index in 0..<4 {
        guard let digit = hexDigit(p[index]) else { throw ScanFailure(p + index, "\\u needs four hexadecimal digits") }
        unit = unit << 4 | UInt32(digit)
    }
    return unit
}

@inline(__always)
func hexDigit(_ byte: UInt8) -> UInt8? {
    if Ascii.isDigit(byte) { return byte &- 0x30 }
    let letter = byte | 0x20
    return letter &- 0x61 < 6 ? letter &- 0x57 : nil
}

/// Writes the decoded content of a string that was found valid: `start` up to its closing quote. Answers the length,
/// which is never more than the encoded one.
func decodeString(_ start: Bytes, into target: UnsafeMutablePointer<UInt8>) -> Int {
    var p = start
    var out = target
    while true {
        let stop = stringStop(p)
        let run = stop - p
        out.update(from: p, count: run)
        out += run
        guard stop.pointee == Ascii.backslash else { return out - target }
        p = stop + 2
        switch stop[1] {
        case 0x62: out.pointee = 0x08
        case 0x66: out.pointee = 0x0C
        case 0x6E: out.pointee = 0x0A
        case 0x72: out.pointee = 0x0D
        case 0x74: out.pointee = 0x09
        case 0x75:
            var scalar = decodedUnit(p)
            p += 4
            if scalar & 0xFC00 == 0xD800 {
                scalar = 0x10000 &+ ((scalar & 0x3FF) << 10 | (decodedUnit(p + 2) & 0x3FF))
                p += 6
            }
            out = encodeUTF8(scalar, at: out)
            continue
        default: out.pointee = stop[1]
        }
        out += 1
    }
}

private func decodedUnit(_ p: Bytes) -> UInt32 {
    var unit: UInt32 = 0
    for index in 0..<4 { unit = unit << 4 | UInt32(hexDigit(p[index]) ?? 0) }
    return unit
}

private func encodeUTF8(_ scalar: UInt32, at target: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift & 0x3F)) }
    if scalar < 0x80 {
        target[0] = UInt8(truncatingIfNeeded: scalar)
        return target + 1
    }
    if scalar < 0x800 {
        target[0] = UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6)
        target[1] = tail(0)
        return target + 2
    }
    if scalar < 0x10000 {
        target[0] = UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12)
        target[1] = tail(6)
        target[2] = tail(0)
        return target + 3
    }
    target[0] = UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18)
    target[1] = tail(12)
    target[2] = tail(6)
    target[3] = tail(0)
    return target + 4
}

/// Past the number at `start`, by JSON's grammar. What may follow is the caller's business.
@inline(__always)
func skipNumber(_ start: Bytes) throws(ScanFailure) -> Bytes {
    var p = start
    if p.pointee == Ascii.minus { p += 1 }
    let first = p
    p = skipDigits(p)
    if p == first { throw ScanFailure(start, "a value is missing or of no JSON kind") }
    if first.pointee == Ascii.zero, p - first > 1 { throw ScanFailure(first, "a number must not start with 0") }
    if p.pointee == Ascii.point || p.pointee | 0x20 == 0x65 { return try skipFraction(p) }
    return p
}

@inline(never)
private func skipFraction(_ start: Bytes) throws(ScanFailure) -> Bytes {
    var p = start
    if p.pointee == Ascii.point {
        p += 1
        let first = p
        p = skipDigits(p)
        if p == first { throw ScanFailure(p, "a digit must follow the decimal point") }
    }
    if p.pointee | 0x20 == 0x65 {
        p += 1
        if p.pointee == Ascii.plus || p.pointee == Ascii.minus { p += 1 }
        let first = p
        p = skipDigits(p)
        if p == first { throw ScanFailure(p, "a digit must follow the exponent sign") }
    }
    return p
}

@inline(__always)
func load32(_ p: Bytes) -> UInt32 { UnsafeRawPointer(p).loadUnaligned(as: UInt32.self) }
@inline(__always)
func load64(_ p: Bytes) -> UInt64 { UnsafeRawPointer(p).loadUnaligned(as: UInt64.self) }

/// "true", "fals", "null" as little-endian words.
enum Word {
    static let `true`: UInt32 = 0x6575_7274
    static let fals: UInt32 = 0x736C_6166
    static let null: UInt32 = 0x6C6C_756E
}

/// Past `true`, `false` or `null` at `p`, else nil.
@inline(__always)
func skipLiteral(_ p: Bytes) -> Bytes? {
    let word = load32(p)
    if word == Word.null || word == Word.true { return p + 4 }
    if word == Word.fals, p[4] == 0x65 { return p + 5 }
    return nil
}

/// Past a value that is neither an object nor an array.
@inline(__always)
func skipScalar(_ p: Bytes) throws(ScanFailure) -> Bytes {
    if p.pointee == Ascii.quote { return try skipString(p + 1) }
    if Ascii.isDigit(p.pointee) || p.pointee == Ascii.minus { return try skipNumber(p) }
    guard let end = skipLiteral(p) else { throw ScanFailure(p, "a value is missing or of no JSON kind") }
    return end
}

/// Past the value at `start` and the blanks before it, with everything in it checked. `depth` counts the containers
/// already open.
///
/// A predicted literal may end in the colon where this record has blanks after it; so values begin with blanks.
@inline(__always)
func skipValue(_ start: Bytes, depth: Int, depthMax: Int) throws(ScanFailure) -> Bytes {
    let p = start.pointee > Ascii.space ? start : skipBlanks(start)
    if p.pointee == Ascii.openBrace || p.pointee == Ascii.openBracket {
        return try skipContainer(p, depth: depth, depthMax: depthMax)
    }
    return try skipScalar(p)
}

/// Past the object or array at `start`. A loop with one bit per open container: nesting costs no stack.
@inline(never)
func skipContainer(_ start: Bytes, depth: Int, depthMax: Int) throws(ScanFailure) -> Bytes {
    // Bit set: an object. 16 words are ParseLimits.depthLimit bits.
    var kinds = InlineArray<16, UInt64>(repeating: 0)
    var open = 0
    var p = start
    while true {
        // At a value.
        var isClosed = true
        if p.pointee == Ascii.openBrace || p.pointee == Ascii.openBracket {
            guard depth + open < depthMax, open < ParseLimits.depthLimit else {
                throw ScanFailure(p, "nested too deeply", reason: .tooDeep)
            }
            let isObject = p.pointee == Ascii.openBrace
            let bit: UInt64 = 1 << UInt64(open & 63)
            if isObject { kinds[open >> 6] |= bit } else { kinds[open >> 6] &= ~bit }
            open += 1
            p = skipBlanks(p + 1)
            if p.pointee == (isObject ? Ascii.closeBrace : Ascii.closeBracket) {
                open -= 1
                p += 1
            } else {
                if isObject { p = try skipKey(p) }
                isClosed = false
            }
        } else {
            p = try skipScalar(p)
        }
        // After a value: close what closes, up to a comma.
        while isClosed {
            if open == 0 { return p }
            p = skipBlanks(p)
            let isObject = kinds[(open - 1) >> 6] >> UInt64((open - 1) & 63) & 1 == 1
            if p.pointee == Ascii.comma {
                p = skipBlanks(p + 1)
                if isObject { p = try skipKey(p) }
                isClosed = false
            } else if p.pointee == (isObject ? Ascii.closeBrace : Ascii.closeBracket) {
                open -= 1
                p += 1
            } else {
                throw ScanFailure(p, isObject ? "expected ',' or '}'" : "expected ',' or ']'")
            }
        }
    }
}

/// Past a member's name and colon, at its value.
private func skipKey(_ start: Bytes) throws(ScanFailure) -> Bytes {
    guard start.pointee == Ascii.quote else { throw ScanFailure(start, "expected a member name in quotes") }
    let p = skipBlanks(try skipString(start + 1))
    guard p.pointee == Ascii.colon else { throw ScanFailure(p, "expected ':'") }
    return skipBlanks(p + 1)
}
