extension Decimal {
    package enum ParseError: Error { case invalid, overflow }

    /// Reads PostgreSQL's numeric syntax: sign, digits, point, exponent, NaN, Infinity; surrounding blanks allowed.
    ///
    /// The scale is what the text shows ("1.50" has 2, "1e-3" has 3). Digits behind the point that 38 digits do not
    /// hold are rounded away; `overflow` where the whole part has more than 38 digits.
    package static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(ParseError) -> Decimal {
        var index = 0
        var end = bytes.count
        while index < end, isBlank(bytes[index]) { index &+= 1 }
        while end > index, isBlank(bytes[end - 1]) { end &-= 1 }
        var isNegative = false
        if index < end, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            isNegative = bytes[index] == UInt8(ascii: "-")
            index &+= 1
        }
        guard index < end else { throw .invalid }
        if bytes[index] | 0x20 >= UInt8(ascii: "a") {
            return try special(bytes[index..<end], isNegative: isNegative, isSigned: index > 0)
        }

        var coefficient: UInt128 = 0
        var small: UInt64 = 0
        var scale = 0
        // Significant digits seen, and whole digits that did not fit.
        var digits = 0
        var isFraction = false
        var sawDigit = false
        var roundUp = false
        var isRounding = false
        var dropped = 0
        while index < end {
            let byte = bytes[index]
            let digit = byte &- 0x30
            if digit < 10 {
                sawDigit = true
                if digits < 18 {
                    small = small &* 10 &+ UInt64(digit)
                    if small != 0 { digits &+= 1 }
                    if isFraction { scale &+= 1 }
                } else if digits < 38 {
                    if digits == 18 { coefficient = UInt128(small) }
                    coefficient = coefficient &* 10 &+ UInt128(digit)
                    digits &+= 1
                    if isFraction { scale &+= 1 }
                } else {
                    if !isRounding {
                        roundUp = digit >= 5
                        isRounding = true
                    }
                    if !isFraction { dropped &+= 1 }
                }
            } else if byte == UInt8(ascii: "."), !isFraction {
                isFraction = true
            } else {
                break
            }
            index &+= 1
        }
        guard sawDigit else { throw .invalid }
        if digits <= 18 { coefficient = UInt128(small) }
        var exponent = dropped
        if index < end {
            guard bytes[index] | 0x20 == UInt8(ascii: "e") else { throw .invalid }
            exponent += try parseExponent(bytes, from: index + 1, to: end)
        }
        if roundUp { coefficient += 1 }
        if coefficient == 0 {
            let shown = Swift.max(0, Swift.min(scale - exponent, 38))
            return Decimal(coefficient: 0, scale: UInt8(shown))
        }
        return try scaled(coefficient, scale: scale - exponent, isNegative: isNegative)
    }

    /// `coefficient` ÷ 10^`scale` brought to a scale between 0 and 38.
    private static func scaled(
        _ coefficient: UInt128, scale: Int, isNegative: Bool
    ) throws(ParseError) -> Decimal {
        let wide: Wide
        if scale < 0 {
            guard -scale <= 38 else { throw .overflow }
            wide = Wide(coefficient, times: PowersOfTen[-scale])
        } else {
            guard scale <= 76 else { return Decimal(coefficient: 0, scale: 38) }
            wide = Wide(coefficient, times: 1)
        }
        do {
            return try fitted(wide, scale: Swift.max(scale, 0), isNegative: isNegative)
        } catch {
            throw .overflow
        }
    }

    private static func parseExponent(
        _ bytes: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int
    ) throws(ParseError) -> Int {
        var index = start
        var isNegative = false
        if index < end, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            isNegative = bytes[index] == UInt8(ascii: "-")
            index += 1
        }
        guard index < end else { throw .invalid }
        var exponent = 0
        while index < end {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { throw .invalid }
            exponent = Swift.min(exponent * 10 + Int(digit), 1_000_000)
            index += 1
        }
        return isNegative ? -exponent : exponent
    }

    private static func special(
        _ word: Slice<UnsafeBufferPointer<UInt8>>, isNegative: Bool, isSigned: Bool
    ) throws(ParseError) -> Decimal {
        guard word.count <= 8 else { throw .invalid }
        switch String(decoding: word.map { $0 | 0x20 }, as: UTF8.self) {
        case "nan" where !isSigned: return .nan
        case "inf", "infinity": return isNegative ? .negativeInfinity : .infinity
        default: throw .invalid
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

    /// Nil for anything that is not a number of at most 38 digits; `parse` tells the reasons apart.
    package init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let value = try? Decimal.parse(bytes) else { return nil }
        self = value
    }

    package init?(text: String) {
        var text = text
        guard let value = text.withUTF8({ Decimal($0) }) else { return nil }
        self = value
    }

    /// PostgreSQL's output: as many digits behind the point as the scale says, no exponent.
    package var text: String {
        if isSpecial { return isNaN ? "NaN" : coefficient > 0 ? "Infinity" : "-Infinity" }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Decimal.textBytesMax) { buffer in
            let target = buffer.baseAddress!
            return String(decoding: UnsafeBufferPointer(start: target, count: write(into: target)), as: UTF8.self)
        }
    }

    /// Sign, "0.", 38 digits; rounded up.
    package static let textBytesMax = 48

    /// Writes `text` as ASCII, at most `textBytesMax` bytes; returns how many.
    package func write(into target: UnsafeMutablePointer<UInt8>) -> Int {
        if isSpecial {
            var word = text
            return word.withUTF8 { bytes in
                for (index, byte) in bytes.enumerated() { target[index] = byte }
                return bytes.count
            }
        }
        var count = 0
        if coefficient < 0 {
            target[0] = UInt8(ascii: "-")
            count = 1
        }
        let magnitude = coefficient.magnitude
        let digits = Swift.max(PowersOfTen.digits(magnitude), Int(scale) + 1)
        let total = digits + (scale > 0 ? 1 : 0)
        var position = count + total - 1
        var fraction = Int(scale)
        var rest = magnitude
        var remaining = digits
        // Nineteen digits at a time: 64-bit division is many times cheaper than 128-bit.
        while remaining > 0 {
            var chunk: UInt64
            if rest >> 64 == 0 {
                chunk = UInt64(truncatingIfNeeded: rest)
                rest = 0
            } else {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10_000_000_000_000_000_000)
                chunk = UInt64(remainder)
                rest = quotient
            }
            var inChunk = rest == 0 ? remaining : Swift.min(19, remaining)
            remaining -= inChunk
            while inChunk > 0 {
                target[position] = 0x30 &+ UInt8(truncatingIfNeeded: chunk % 10)
                chunk /= 10
                position -= 1
                inChunk -= 1
                fraction -= 1
                if fraction == 0 {
                    target[position] = UInt8(ascii: ".")
                    position -= 1
                }
            }
        }
        count += total
        return count
    }
}

// MARK: - Other number types

extension Decimal {
    /// PostgreSQL's float8 → numeric: fifteen significant digits.
    package init(_ double: Double) throws(SQLError) { self = try Decimal.fromFloat(double, digits: 15) }

    /// PostgreSQL's float4 → numeric: six significant digits.
    package init(_ float: Float) throws(SQLError) { self = try Decimal.fromFloat(Double(float), digits: 6) }

    private static func fromFloat(_ value: Double, digits: Int) throws(SQLError) -> Decimal {
        if value.isNaN { return .nan }
        if value.isInfinite { return value > 0 ? .infinity : .negativeInfinity }
        guard let result = Decimal(text: FloatText.significant(value, digits: digits)) else { throw Decimal.overflow }
        return result
    }

    /// The nearest double.
    package var double: Double {
        if isSpecial { return isNaN ? .nan : coefficient > 0 ? .infinity : -.infinity }
        // Both exact (below 2^53, at most 10^19): one correctly rounded division.
        if coefficient.magnitude < 1 << 53, scale <= 19 {
            return Double(Int64(coefficient)) / Double(UInt64(PowersOfTen[Int(scale)]))
        }
        return Double(text) ?? .nan
    }

    /// The nearest whole number, half away from zero; nil outside of Int64 and for the special values.
    package var int64: Int64? {
        guard !isSpecial else { return nil }
        if scale == 0 { return Int64(exactly: coefficient) }
        let power = PowersOfTen[Int(scale)]
        let (quotient, remainder) = coefficient.magnitude.quotientAndRemainder(dividingBy: power)
        let rounded = remainder >= power - remainder ? quotient + 1 : quotient
        return Int64(exactly: coefficient < 0 ? -Int128(rounded) : Int128(rounded))
    }
}
