internal import CMartletSimdjson
internal import MartletCore

/// Numbers from decimal text, eight digits a step.
///
/// The text is followed by a byte that is no digit, and by 8 readable bytes.

/// The bytes of `word` with ASCII digits mapped to 0–9, and how many of the first bytes are digits.
@inline(__always)
func leadingDigits(_ word: UInt64) -> (digits: UInt64, count: Int) {
    let digits = word ^ 0x3030_3030_3030_3030
    // 0x76 + 10 is 0x80: the high bit tells bytes above 9; bytes with the high bit set are none either.
    let others = (((digits & 0x7F7F_7F7F_7F7F_7F7F) &+ 0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
    return (digits, others.trailingZeroBitCount &>> 3)
}

/// The number that eight bytes 0–9 spell, first byte most significant.
@inline(__always)
func eightDigits(_ digits: UInt64) -> UInt64 {
    let pairs = (digits &* 2561) &>> 8 & 0x00FF_00FF_00FF_00FF
    let fours = (pairs &* 6_553_601) &>> 16 & 0x0000_FFFF_0000_FFFF
    return (fours &* 42_949_672_960_001) &>> 32
}

let powersOfTen: InlineArray<20, UInt64> = [
    1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
    100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
    10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
]

/// Appends the digits at `p` to `value` and moves past them; answers how many. Right for at most 19 digits in all.
@inline(__always)
func scanDigits(_ p: inout Bytes, appendingTo value: inout UInt64) -> Int {
    var total = 0
    while true {
        let (digits, count) = leadingDigits(load64(p))
        if count == 8 {
            value = value &* 100_000_000 &+ eightDigits(digits)
            p += 8
            total &+= 8
            continue
        }
        if count > 0 {
            value = value &* powersOfTen[unchecked: count] &+ eightDigits(digits &<< UInt64(64 &- 8 &* count))
            p += count
        }
        return total &+ count
    }
}

@inline(__always)
func skipDigits(_ start: Bytes) -> Bytes {
    var p = start
    while true {
        let count = leadingDigits(load64(p)).count
        p += count
        if count < 8 { return p }
    }
}

/// An integer of at most 18 digits with nothing after it that could belong to a number; nil: anything else.
@inline(__always)
func scanPlainInteger(_ p: inout Bytes) -> Int64? {
    var at = p
    let isNegative = at.pointee == Ascii.minus
    if isNegative { at += 1 }
    let first = at.pointee
    var value: UInt64 = 0
    let count = scanDigits(&at, appendingTo: &value)
    if count == 0 || count > 18 || (first == Ascii.zero && count > 1) { return nil }
    let next = at.pointee
    if next == Ascii.point || next | 0x20 == 0x65 { return nil }
    p = at
    return isNegative ? 0 &- Int64(bitPattern: value) : Int64(bitPattern: value)
}

/// A number without an exponent and with at most 18 digits: ±mantissa ÷ 10^scale.
struct PlainDecimal {
    var mantissa: Int64
    var scale: Int
    /// Said apart, for minus zero.
    var isNegative: Bool
}

@inline(__always)
func scanPlainDecimal(_ p: inout Bytes) -> PlainDecimal? {
    var at = p
    let isNegative = at.pointee == Ascii.minus
    if isNegative { at += 1 }
    let first = at.pointee
    var value: UInt64 = 0
    let whole = scanDigits(&at, appendingTo: &value)
    if whole == 0 || (first == Ascii.zero && whole > 1) { return nil }
    var scale = 0
    if at.pointee == Ascii.point {
        at += 1
        scale = scanDigits(&at, appendingTo: &value)
        if scale == 0 { return nil }
    }
    if whole &+ scale > 18 || at.pointee | 0x20 == 0x65 { return nil }
    p = at
    return PlainDecimal(mantissa: isNegative ? 0 &- Int64(bitPattern: value) : Int64(bitPattern: value), scale: scale,
        isNegative: isNegative)
}

/// Any number of JSON's grammar, as significant digits without zeros at the end.
struct ScannedNumber {
    var isNegative = false
    /// The first 19 significant digits at most.
    var mantissa: UInt64 = 0
    /// The value is ±mantissa × 10^exponent (if not truncated).
    var exponent = 0
    /// There were more significant digits than `mantissa` holds.
    var isTruncated = false

    /// Reads what `skipNumber` accepted (a leading `+` too, for text forms).
    init(_ text: UnsafeBufferPointer<UInt8>) {
        var digitCount = 0
        var pendingZeros = 0
        var isFraction = false
        var at = 0
        if text[at] == Ascii.minus || text[at] == Ascii.plus {
            isNegative = text[at] == Ascii.minus
            at += 1
        }
        while at < text.count {
            let byte = text[at]
            if byte == Ascii.point {
                isFraction = true
            } else if byte == Ascii.zero {
                if isFraction { exponent -= 1 }
                if mantissa != 0 { pendingZeros += 1 }
            } else if Ascii.isDigit(byte) {
                if isFraction { exponent -= 1 }
                if isTruncated || digitCount + pendingZeros + 1 > 19 {
                    isTruncated = true
                    pendingZeros += 1
                } else {
                    mantissa = mantissa &* powersOfTen[pendingZeros + 1] &+ UInt64(byte &- Ascii.zero)
                    digitCount += pendingZeros + 1
                    pendingZeros = 0
                }
            } else {
                break
            }
            at += 1
        }
        exponent += pendingZeros
        if at < text.count {
            exponent += ScannedNumber.exponent(UnsafeBufferPointer(rebasing: text[(at + 1)...]))
        }
        if mantissa == 0 { exponent = 0 }
    }

    /// The digits after `e`, kept within what can be added without overflow: a record's length bounds the rest.
    private static func exponent(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        var value = 0
        for byte in text where Ascii.isDigit(byte) { value = min(value * 10 + Int(byte &- Ascii.zero), 1 << 40) }
        return text.first == Ascii.minus ? -value : value
    }

    /// The value as a 64-bit integer where it is one.
    func integer() throws(FieldFailure) -> Int64 {
        if exponent < 0 { throw FieldFailure(reason: .wrongType, message: "a number with a fraction is not an integer") }
        let tooLarge = FieldFailure(reason: .outOfRange, message: "the number is out of range for type bigint")
        if isTruncated || exponent > 18 { throw tooLarge }
        let (size, overflows) = mantissa.multipliedReportingOverflow(by: powersOfTen[exponent])
        if overflows { throw tooLarge }
        if isNegative {
            guard size <= Int64.min.magnitude else { throw tooLarge }
            return 0 &- Int64(bitPattern: size)
        }
        guard let value = Int64(exactly: size) else { throw tooLarge }
        return value
    }
}

let doublePowersOfTen: InlineArray<23, Double> = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
]

/// A double where one rounding gives the right answer (Clinger's fast path: mantissa below 2^53 and a power of ten
/// that is exact).
@inline(__always)
func scanPlainDouble(_ p: inout Bytes) -> Double? {
    var at = p
    guard let plain = scanPlainDecimal(&at), plain.mantissa.magnitude <= 1 << 53 else { return nil }
    p = at
    if plain.mantissa == 0 { return plain.isNegative ? -0.0 : 0 }
    return Double(plain.mantissa) / doublePowersOfTen[unchecked: plain.scale]
}

/// Correctly rounded. PostgreSQL's rule for the ends of the range: neither infinity nor, from digits that are not all
/// zero, zero.
func readDouble(_ text: UnsafeBufferPointer<UInt8>) throws(FieldFailure) -> Double {
    var value = 0.0
    let digits = text.first == Ascii.plus ? UnsafeBufferPointer(rebasing: text.dropFirst()) : text
    guard martlet_parse_double(digits.baseAddress, digits.count, &value) else {
        if text.isZeroNumber { return text.first == Ascii.minus ? -0.0 : 0 }
        throw FieldFailure(reason: .outOfRange, message: "the number is out of range for type double precision")
    }
    return value
}

func readFloat(_ text: UnsafeBufferPointer<UInt8>) throws(FieldFailure) -> Float {
    var value: Float = 0
    let digits = text.first == Ascii.plus ? UnsafeBufferPointer(rebasing: text.dropFirst()) : text
    guard martlet_parse_float(digits.baseAddress, digits.count, &value) else {
        if text.isZeroNumber { return text.first == Ascii.minus ? -0.0 : 0 }
        throw FieldFailure(reason: .outOfRange, message: "the number is out of range for type real")
    }
    return value
}

extension UnsafeBufferPointer<UInt8> {
    /// No digit but 0 before the exponent, which may be as large as it likes.
    fileprivate var isZeroNumber: Bool { ScannedNumber(self).mantissa == 0 }
}
