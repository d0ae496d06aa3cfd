#if canImport(Glibc)
internal import Glibc
#endif

/// Roots, powers and logarithms of decimals, correctly rounded at the scale PostgreSQL chooses (at most 38 digits).
///
/// Fixed-point numbers of 384 fraction bits (115 digits) carry the series, far more than the 38 digits of a result.
enum DecimalFunctions {
    private static let fractionBits = 384
    private static let unit = Natural.one << fractionBits

    /// A signed fixed-point number: magnitude ÷ 2^384.
    private struct Fixed {
        var magnitude: Natural
        var isNegative: Bool

        init(_ magnitude: Natural, isNegative: Bool = false) {
            self.magnitude = magnitude
            self.isNegative = isNegative && !magnitude.isZero
        }

        init(_ decimal: Decimal) {
            let scaled = Natural(decimal.coefficient.magnitude) << fractionBits
            self.init(
                scaled.quotientAndRemainder(dividingBy: Natural(PowersOfTen[Int(decimal.scale)])).quotient,
                isNegative: decimal.isNegative)
        }

        static func + (left: Fixed, right: Fixed) -> Fixed {
            if left.isNegative == right.isNegative { return Fixed(left.magnitude + right.magnitude, isNegative: left.isNegative) }
            return left.magnitude < right.magnitude
                ? Fixed(right.magnitude - left.magnitude, isNegative: right.isNegative)
                : Fixed(left.magnitude - right.magnitude, isNegative: left.isNegative)
        }

        static func * (left: Fixed, right: Fixed) -> Fixed {
            Fixed((left.magnitude * right.magnitude) >> fractionBits, isNegative: left.isNegative != right.isNegative)
        }

        static func / (left: Fixed, right: Fixed) -> Fixed {
            Fixed(
                (left.magnitude << fractionBits).quotientAndRemainder(dividingBy: right.magnitude).quotient,
                isNegative: left.isNegative != right.isNegative)
        }

        /// Rounded half away from zero to `scale` digits, fewer where 38 digits do not hold them.
        func decimal(scale wanted: Int) throws(SQLError) -> Decimal {
            var scale = max(0, min(wanted, 38))
            while true {
                let digits = (magnitude * Natural.powerOfTen(scale) + (unit >> 1)) >> fractionBits
                if let value = digits.uint128, value < PowersOfTen[38] {
                    return Decimal(coefficient: isNegative ? -Int128(value) : Int128(value), scale: UInt8(scale))
                }
                guard scale > 0 else { throw Decimal.overflow }
                scale -= 1
            }
        }
    }

    // MARK: - Square root

    static func squareRoot(_ x: Decimal) throws(SQLError) -> Decimal {
        if x.isNaN { return .nan }
        if x.isNegative { throw SQLError(.invalidArgumentForPowerFunction, "cannot take square root of a negative number") }
        if x.isInfinite { return x }
        let weight = (x.firstGroup.weight + 1) * 4 / 2 - 1
        var scale = min(max(16 - weight, Int(x.scale), 0), 38)
        // 38 digits in all.
        scale = min(scale, 38 - max(0, x.leadingExponent / 2 + 1))
        // One digit more than wanted, then rounded: the root is either exact or irrational, so no tie is missed.
        let shift = 2 * (scale + 1) - Int(x.scale)
        let radicand = Natural(x.coefficient.magnitude)
        let root =
            shift >= 0
            ? (radicand * Natural.powerOfTen(shift)).squareRoot()
            : radicand.quotientAndRemainder(dividingBy: Natural.powerOfTen(-shift)).quotient.squareRoot()
        let rounded = root.rounded(dividingBy: Natural(10))
        guard let digits = rounded.uint128, digits < PowersOfTen[38] else { throw Decimal.overflow }
        return Decimal(coefficient: Int128(digits), scale: UInt8(scale))
    }

    // MARK: - Exponential and logarithm

    static func exponential(_ x: Decimal) throws(SQLError) -> Decimal {
        if x.isSpecial { return x.isNaN ? .nan : x.isNegative ? .zero : .infinity }
        let weight = max(-2000, min(2000, x.double * 0.434294481903252))
        let scale = max(16 - Int(weight), Int(x.scale), 0)
        // e^88 has 39 digits; below e^-100 nothing is left at 38.
        if weight > 40 { throw Decimal.overflow }
        if weight < -100 { return Decimal(coefficient: 0, scale: UInt8(min(scale, 38))) }
        return try exponential(Fixed(x)).decimal(scale: scale)
    }

    /// e^x = 2^k · e^r with |r| ≤ ln 2 ÷ 2, the latter by its series.
    private static func exponential(_ x: Fixed) -> Fixed {
        let halves = (x.magnitude + (logarithmOfTwo.magnitude >> 1)).quotientAndRemainder(dividingBy: logarithmOfTwo.magnitude)
        let power = Int(halves.quotient.uint128 ?? 0)
        let turns = Fixed(Natural(UInt128(power)) * logarithmOfTwo.magnitude, isNegative: !x.isNegative)
        let rest = x + turns
        var sum = Fixed(unit)
        var term = Fixed(unit)
        var index: UInt128 = 1
        while !term.magnitude.isZero {
            term = term * rest
            term.magnitude = term.magnitude.quotientAndRemainder(dividingBy: Natural(index)).quotient
            sum = sum + term
            index += 1
        }
        return x.isNegative ? Fixed(sum.magnitude >> power) : Fixed(sum.magnitude << power)
    }

    private static let logarithmOfTwo: Fixed = {
        let third = Fixed(unit.quotientAndRemainder(dividingBy: Natural(3)).quotient)
        return doubled(areaTangent(third))
    }()

    private static func doubled(_ x: Fixed) -> Fixed { Fixed(x.magnitude << 1, isNegative: x.isNegative) }

    /// y + y³/3 + y⁵/5 + … for small |y|.
    private static func areaTangent(_ y: Fixed) -> Fixed {
        let square = y * y
        var power = y
        var sum = y
        var index: UInt128 = 3
        while !power.magnitude.isZero {
            power = power * square
            sum = sum + Fixed(power.magnitude.quotientAndRemainder(dividingBy: Natural(index)).quotient, isNegative: power.isNegative)
            index += 2
        }
        return sum
    }

    /// ln x = k · ln 2 + 2 · artanh((m − 1)/(m + 1)) with x = m · 2^k, m in [1/√2, √2) or so.
    private static func logarithm(_ x: Fixed) -> Fixed {
        // m in [0.5, 1), then doubled where it is below 0.75.
        var power = x.magnitude.bitWidth - fractionBits
        var m = power >= 0 ? Fixed(x.magnitude >> power) : Fixed(x.magnitude << -power)
        if m.magnitude < (unit >> 1) + (unit >> 2) {
            m = doubled(m)
            power -= 1
        }
        let series = doubled(areaTangent((m + Fixed(unit, isNegative: true)) / (m + Fixed(unit))))
        let turns = Fixed(Natural(UInt128(power.magnitude)) * logarithmOfTwo.magnitude, isNegative: power < 0)
        return series + turns
    }

    static func logarithm(_ x: Decimal) throws(SQLError) -> Decimal {
        try checkLogarithm(x)
        if x.isSpecial { return x }
        let scale = max(16 - estimatedWeight(x), Int(x.scale), 0)
        return try logarithm(Fixed(x)).decimal(scale: scale)
    }

    static func logarithm(_ x: Decimal, base: Decimal) throws(SQLError) -> Decimal {
        if x.isNaN || base.isNaN { return .nan }
        // Infinities first: a negative one outranks the other argument's zero.
        if x.isSpecial, x.isNegative { try checkLogarithm(x) }
        try checkLogarithm(base)
        try checkLogarithm(x)
        if x.isInfinite { return base.isInfinite ? .nan : .infinity }
        if base.isInfinite { return .zero }
        let divisor = logarithm(Fixed(base))
        if divisor.magnitude.isZero { throw .divisionByZero }
        let scale = max(16 - (estimatedWeight(x) - estimatedWeight(base)), Int(x.scale), Int(base.scale), 0)
        return try (logarithm(Fixed(x)) / divisor).decimal(scale: scale)
    }

    private static func checkLogarithm(_ x: Decimal) throws(SQLError) {
        if x.isNegative { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of a negative number") }
        if x.isZero { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of zero") }
    }

    /// PostgreSQL's `estimate_ln_dweight`: the decimal weight of ln x, from which scales follow.
    private static func estimatedWeight(_ x: Decimal) -> Int {
        if let distance = try? x.subtracting(.one), distance.magnitude <= Decimal(coefficient: 1, scale: 1) {
            if distance.isZero { return 0 }
            let (weight, digit) = distance.firstGroup
            return weight * 4 + Int(Glibc.log10(Double(digit)))
        }
        let approximate = Glibc.log(x.magnitude.double)
        return Int(Glibc.log10(approximate.magnitude))
    }

    // MARK: - Powers

    static func power(_ x: Decimal, _ y: Decimal) throws(SQLError) -> Decimal {
        if x.isSpecial || y.isSpecial { return try specialPower(x, y) }
        if x.isZero, y.isNegative {
            throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
        }
        let whole = y.truncated(to: 0)
        if whole == y, let exponent = whole.int64, let small = Int32(exactly: exponent) {
            return try integerPower(x, Int(small))
        }
        if x.isZero { return Decimal(coefficient: 0, scale: 16) }
        if x.isNegative {
            if whole != y {
                throw SQLError(
                    .invalidArgumentForPowerFunction,
                    "a negative number raised to a non-integer power yields a complex result")
            }
            let magnitude = try power(x.negated, y)
            return try whole.remainder(dividingBy: Decimal(2)).isZero ? magnitude : magnitude.negated
        }
        let weight = Glibc.log10(x.double) * y.double
        if weight > 40 { throw Decimal.overflow }
        let scale = max(16 - Int(max(weight, -2000)), Int(x.scale), Int(y.scale), 0)
        if weight < -60 { return Decimal(coefficient: 0, scale: UInt8(min(scale, 38))) }
        return try exponential(logarithm(Fixed(x)) * Fixed(y)).decimal(scale: scale)
    }

    /// Exact where the digits are few enough to write out, else through the logarithm.
    private static func integerPower(_ x: Decimal, _ exponent: Int) throws(SQLError) -> Decimal {
        let weight = x.isZero ? 0 : Double(exponent) * approximateLogarithm10(x)
        if weight > 40 { throw Decimal.overflow }
        let scale = min(max(16, Int(x.scale)), 38)
        if exponent == 0 { return try Decimal.one.rounded(to: scale) }
        if x.isZero || weight < -60 { return Decimal(coefficient: 0, scale: UInt8(scale)) }
        let isNegative = x.isNegative && exponent % 2 != 0
        let count = Int(exponent.magnitude)
        let digits = PowersOfTen.digits(x.coefficient.magnitude)
        let result: Fixed
        if count * max(digits, Int(x.scale)) <= 4000 {
            var power = Natural.one
            for _ in 0..<count { power = power * Natural(x.coefficient.magnitude) }
            let divisor = Natural.powerOfTen(count * Int(x.scale))
            let (top, bottom) = exponent > 0 ? (power, divisor) : (divisor, power)
            // Rounded at the end only: the tie-breaking digit must be exact.
            var kept = scale
            while true {
                let rounded = (top * Natural.powerOfTen(kept)).rounded(dividingBy: bottom)
                if let value = rounded.uint128, value < PowersOfTen[38] {
                    return Decimal(coefficient: isNegative ? -Int128(value) : Int128(value), scale: UInt8(kept))
                }
                guard kept > 0 else { throw Decimal.overflow }
                kept -= 1
            }
        }
        result = exponential(logarithm(Fixed(x.magnitude)) * Fixed(Decimal(Int64(exponent))))
        let magnitude = try result.decimal(scale: scale)
        return isNegative ? magnitude.negated : magnitude
    }

    private static func approximateLogarithm10(_ x: Decimal) -> Double { Glibc.log10(x.magnitude.double) }

    /// As the same power of doubles, which is what PostgreSQL follows here.
    private static func specialPower(_ x: Decimal, _ y: Decimal) throws(SQLError) -> Decimal {
        if x.isNaN { return y.isZero ? .one : .nan }
        if y.isNaN { return x == .one ? .one : .nan }
        if x.isZero, y.isNegative {
            throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
        }
        if x.isNegative, !y.isSpecial, y.truncated(to: 0) != y {
            throw SQLError(
                .invalidArgumentForPowerFunction,
                "a negative number raised to a non-integer power yields a complex result")
        }
        let result = Glibc.pow(x.double, y.double)
        if result.isInfinite { return result > 0 ? .infinity : .negativeInfinity }
        return result == 0 ? .zero : .one
    }
}
