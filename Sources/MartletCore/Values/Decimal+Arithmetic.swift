/// Powers of ten and 256-bit intermediates of exact decimal arithmetic.
enum PowersOfTen {
    /// 10^0 … 10^38; all fit.
    static let table: [UInt128] = {
        var powers: [UInt128] = [1]
        for _ in 1...38 { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()

    /// 10^`exponent`, 0 ≤ exponent ≤ 38.
    static subscript(exponent: Int) -> UInt128 { table[exponent] }

    /// How many decimal digits; 0 for zero.
    static func digits(_ value: UInt128) -> Int {
        if value == 0 { return 0 }
        // 1233/4096 approximates log10(2) from above closely enough for 128 bits.
        let guess = ((128 - value.leadingZeroBitCount) * 1233) >> 12
        return guess <= 38 && value >= table[guess] ? guess + 1 : guess
    }
}

/// An unsigned 256-bit number: what two 38-digit coefficients multiply to.
struct Wide: Comparable {
    var high: UInt128
    var low: UInt128

    init(_ left: UInt128, times right: UInt128) {
        (high, low) = left.multipliedFullWidth(by: right)
    }

    static func < (left: Wide, right: Wide) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// Nil where the product needs more than 256 bits.
    func multiplied(by factor: UInt128) -> Wide? {
        let upper = high.multipliedFullWidth(by: factor)
        guard upper.high == 0 else { return nil }
        var product = Wide(low, times: factor)
        let (sum, overflows) = product.high.addingReportingOverflow(upper.low)
        guard !overflows else { return nil }
        product.high = sum
        return product
    }

    func divided(by divisor: UInt128) -> (quotient: Wide, remainder: UInt128) {
        var quotient = self
        let upper = high.quotientAndRemainder(dividingBy: divisor)
        quotient.high = upper.quotient
        if upper.remainder == 0 {
            let lower = low.quotientAndRemainder(dividingBy: divisor)
            quotient.low = lower.quotient
            return (quotient, lower.remainder)
        }
        let lower = divisor.dividingFullWidth((upper.remainder, low))
        quotient.low = lower.quotient
        return (quotient, lower.remainder)
    }

    /// The quotient rounded half away from zero.
    func rounded(dividingBy divisor: UInt128) -> Wide {
        var (quotient, remainder) = divided(by: divisor)
        if remainder >= divisor - remainder {
            let (sum, carries) = quotient.low.addingReportingOverflow(1)
            quotient.low = sum
            if carries { quotient.high &+= 1 }
        }
        return quotient
    }
}

extension Decimal: Hashable, Comparable {
    package static func == (left: Decimal, right: Decimal) -> Bool {
        if left.scale == right.scale { return left.coefficient == right.coefficient }
        return compare(left, right) == 0
    }

    package static func < (left: Decimal, right: Decimal) -> Bool { compare(left, right) < 0 }

    package func hash(into hasher: inout Hasher) {
        let normal = withoutTrailingZeros
        hasher.combine(normal.coefficient)
        hasher.combine(normal.scale)
    }

    /// Negative, 0 or positive, in PostgreSQL's total order (NaN last and equal to itself).
    package static func compare(_ left: Decimal, _ right: Decimal) -> Int {
        if left.isSpecial || right.isSpecial { return left.specialRank - right.specialRank }
        if left.scale == right.scale || left.coefficient.signum() != right.coefficient.signum() {
            return left.coefficient < right.coefficient ? -1 : left.coefficient == right.coefficient ? 0 : 1
        }
        let difference = Int(left.scale) - Int(right.scale)
        let leftWide = Wide(left.coefficient.magnitude, times: difference < 0 ? PowersOfTen[-difference] : 1)
        let rightWide = Wide(right.coefficient.magnitude, times: difference > 0 ? PowersOfTen[difference] : 1)
        let order = leftWide < rightWide ? -1 : leftWide == rightWide ? 0 : 1
        return left.isNegative ? -order : order
    }

    private var specialRank: Int { !isSpecial ? 0 : isNaN ? 2 : coefficient > 0 ? 1 : -1 }
}

extension Decimal {
    package var negated: Decimal { Decimal(coefficient: -coefficient, scale: scale) }
    package var magnitude: Decimal { coefficient < 0 ? negated : self }

    /// The same value with the smallest scale that holds it.
    package var withoutTrailingZeros: Decimal {
        guard !isSpecial, scale > 0 else { return self }
        if coefficient == 0 { return .zero }
        var (rest, scale) = (coefficient, scale)
        while scale > 0 {
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
            if remainder != 0 { break }
            (rest, scale) = (quotient, scale - 1)
        }
        return Decimal(coefficient: rest, scale: scale)
    }

    /// The exact sum at the larger scale. A sum of more than 38 digits is rounded to 38 where only its fraction is too
    /// long, else it is 22003.
    package func adding(_ other: Decimal) throws(SQLError) -> Decimal {
        if isSpecial || other.isSpecial {
            if isNaN || other.isNaN || (isInfinite && other.isInfinite && coefficient != other.coefficient) { return .nan }
            return isInfinite ? self : other
        }
        if scale == other.scale {
            let (sum, overflows) = coefficient.addingReportingOverflow(other.coefficient)
            if !overflows, sum.magnitude < PowersOfTen[38] { return Decimal(coefficient: sum, scale: scale) }
        }
        // Aligned in 256 bits: 10^38 · 10^38 < 2^255.
        let target = Swift.max(scale, other.scale)
        let left = Wide(coefficient.magnitude, times: PowersOfTen[Int(target - scale)])
        let right = Wide(other.coefficient.magnitude, times: PowersOfTen[Int(target - other.scale)])
        if isNegative == other.isNegative {
            var sum = left
            let (low, carries) = left.low.addingReportingOverflow(right.low)
            sum.low = low
            sum.high = left.high &+ right.high &+ (carries ? 1 : 0)
            return try Decimal.fitted(sum, scale: Int(target), isNegative: isNegative)
        }
        var (larger, smaller, isNegative) = (left, right, isNegative)
        if left < right { (larger, smaller, isNegative) = (right, left, other.isNegative) }
        let (low, borrows) = larger.low.subtractingReportingOverflow(smaller.low)
        larger.high = larger.high &- smaller.high &- (borrows ? 1 : 0)
        larger.low = low
        return try Decimal.fitted(larger, scale: Int(target), isNegative: isNegative)
    }

    package func subtracting(_ other: Decimal) throws(SQLError) -> Decimal { try adding(other.negated) }

    /// The exact product; its scale is the sum of the scales. Beyond 38 digits as for `adding`.
    package func multiplied(by other: Decimal) throws(SQLError) -> Decimal {
        if isSpecial || other.isSpecial {
            let sign = coefficient.signum() * other.coefficient.signum()
            return isNaN || other.isNaN || sign == 0 ? .nan : sign > 0 ? .infinity : .negativeInfinity
        }
        let product = Wide(coefficient.magnitude, times: other.coefficient.magnitude)
        return try Decimal.fitted(
            product, scale: Int(scale) + Int(other.scale), isNegative: isNegative != other.isNegative)
    }

    /// The quotient, rounded half away from zero to the scale PostgreSQL chooses: at least 16 significant digits and
    /// no less than either operand's scale.
    package func divided(by other: Decimal) throws(SQLError) -> Decimal {
        if isSpecial || other.isSpecial {
            if isNaN || other.isNaN { return .nan }
            if isInfinite {
                if other.isInfinite { return .nan }
                if other.isZero { throw .divisionByZero }
                return isNegative != other.isNegative ? .negativeInfinity : .infinity
            }
            return .zero
        }
        if other.isZero { throw .divisionByZero }
        return try quotient(by: other, scale: Decimal.divisionScale(self, other))
    }

    /// The quotient at `wanted` digits behind the point (fewer where 38 digits do not hold them).
    func quotient(by other: Decimal, scale wanted: Int) throws(SQLError) -> Decimal {
        guard coefficient != 0 else { return Decimal(coefficient: 0, scale: UInt8(clamping: Swift.min(wanted, 38))) }
        let divisor = other.coefficient.magnitude
        // Leading digit's exponent of the quotient, at most one too high.
        let exponent = leadingExponent - other.leadingExponent
        var target = Swift.max(0, Swift.min(wanted, 38, 38 - Swift.max(exponent, 0)))
        while true {
            let shift = target - Int(scale) + Int(other.scale)
            let rounded: Wide
            if shift >= 0 {
                // |self| · 10^shift < divisor · 10^39, below 2^256.
                var numerator = Wide(coefficient.magnitude, times: PowersOfTen[Swift.min(shift, 38)])
                if shift > 38 {
                    guard let wider = numerator.multiplied(by: PowersOfTen[shift - 38]) else { throw Decimal.overflow }
                    numerator = wider
                }
                rounded = numerator.rounded(dividingBy: divisor)
            } else {
                // One division, so that nothing is rounded twice.
                let scaled = Wide(divisor, times: PowersOfTen[Swift.min(-shift, 38)])
                guard scaled.high == 0 else { return Decimal(coefficient: 0, scale: UInt8(target)) }
                rounded = Wide(coefficient.magnitude, times: 1).rounded(dividingBy: scaled.low)
            }
            if rounded.high == 0, rounded.low < PowersOfTen[38] {
                let signed = Int128(rounded.low)
                return Decimal(coefficient: isNegative != other.isNegative ? -signed : signed, scale: UInt8(target))
            }
            guard target > 0 else { throw Decimal.overflow }
            target -= 1
        }
    }

    /// The remainder of truncating division, with the dividend's sign and the larger scale.
    package func remainder(dividingBy other: Decimal) throws(SQLError) -> Decimal {
        if isSpecial || other.isSpecial {
            if isNaN || other.isNaN { return .nan }
            if isInfinite {
                if other.isZero { throw .divisionByZero }
                return .nan
            }
            return self
        }
        if other.isZero { throw .divisionByZero }
        let target = Swift.max(scale, other.scale)
        let left = Wide(coefficient.magnitude, times: PowersOfTen[Int(target - scale)])
        let right = Wide(other.coefficient.magnitude, times: PowersOfTen[Int(target - other.scale)])
        // Only one side was scaled up: if that is the divisor and it is that wide, the dividend is smaller.
        let rest = right.high != 0 ? left.low : left.divided(by: right.low).remainder
        return try Decimal.fitted(Wide(rest, times: 1), scale: Int(target), isNegative: isNegative)
    }

    /// To `target` digits behind the point, half away from zero; negative rounds before the point.
    package func rounded(to target: Int) throws(SQLError) -> Decimal {
        guard !isSpecial else { return self }
        let drop = Int(scale) - target
        if drop <= 0 {
            // Room for `target` digits, or as many as 38 digits leave.
            let digits = PowersOfTen.digits(coefficient.magnitude)
            let add = Swift.min(-drop, 38 - Int(scale), coefficient == 0 ? 38 : 38 - digits)
            guard add > 0 else { return self }
            return Decimal(coefficient: coefficient * Int128(PowersOfTen[add]), scale: scale + UInt8(add))
        }
        let kept = Swift.max(target, 0)
        guard drop <= 38 else { return Decimal(coefficient: 0, scale: UInt8(kept)) }
        let quotient = Wide(coefficient.magnitude, times: 1).rounded(dividingBy: PowersOfTen[drop]).low
        var result = Wide(quotient, times: 1)
        if target < 0 { result = Wide(quotient, times: PowersOfTen[Swift.min(-target, 38)]) }
        return try Decimal.fitted(result, scale: kept, isNegative: isNegative)
    }

    /// To `target` digits behind the point, towards zero; never adds digits beyond 38.
    package func truncated(to target: Int) -> Decimal {
        guard !isSpecial else { return self }
        let drop = Int(scale) - target
        if drop <= 0 { return (try? rounded(to: target)) ?? self }
        guard drop <= 38 else { return Decimal(coefficient: 0, scale: UInt8(Swift.max(target, 0))) }
        let quotient = coefficient / Int128(PowersOfTen[drop])
        if target >= 0 { return Decimal(coefficient: quotient, scale: UInt8(target)) }
        return Decimal(coefficient: quotient * Int128(PowersOfTen[Swift.min(-target, 38)]), scale: 0)
    }

    /// The largest whole number not above.
    package var floor: Decimal {
        let whole = truncated(to: 0)
        guard isNegative, whole != self else { return whole }
        return Decimal(coefficient: whole.coefficient - 1, scale: whole.scale)
    }

    package var ceiling: Decimal { negated.floor.negated }

    /// Enforces `numeric(precision, scale)`: rounds to `scale`, then 22003 unless the rest fits.
    package func limited(precision: Int, scale: Int) throws(SQLError) -> Decimal {
        if isNaN { return self }
        if isInfinite {
            throw SQLError(
                .numericValueOutOfRange, "numeric field overflow",
                detail: "A field with precision \(precision), scale \(scale) cannot hold an infinite value.")
        }
        guard leadingExponent < precision - scale || isZero else {
            throw Decimal.fieldOverflow(precision: precision, scale: scale)
        }
        let result = try rounded(to: scale)
        if result.coefficient.magnitude >= PowersOfTen[Swift.min(precision, 38)] {
            throw Decimal.fieldOverflow(precision: precision, scale: scale)
        }
        return result
    }

    static func fieldOverflow(precision: Int, scale: Int) -> SQLError {
        let bound = precision == scale ? "1" : "10^\(precision - scale)"
        return SQLError(
            .numericValueOutOfRange, "numeric field overflow",
            detail: "A field with precision \(precision), scale \(scale) must round to an absolute value less than \(bound).")
    }

    /// The exponent of ten of the first digit: 2 for 123.4, -2 for 0.05; 0 for zero.
    var leadingExponent: Int {
        coefficient == 0 ? 0 : PowersOfTen.digits(coefficient.magnitude) - 1 - Int(scale)
    }

    /// Drops digits behind the point until the coefficient has 38 digits and the scale is at most 38.
    static func fitted(_ value: Wide, scale: Int, isNegative: Bool) throws(SQLError) -> Decimal {
        if value.high == 0, value.low < PowersOfTen[38], scale <= 38 {
            let signed = Int128(value.low)
            return Decimal(coefficient: isNegative ? -signed : signed, scale: UInt8(scale))
        }
        // One division by the right power: rounding digit by digit would round twice.
        var drop = Swift.max(0, scale - 38)
        while drop <= scale {
            let first = Swift.min(drop, 38)
            var rounded = value
            if drop > 38 { rounded = rounded.divided(by: PowersOfTen[drop - 38]).quotient }
            rounded = rounded.rounded(dividingBy: PowersOfTen[first])
            if rounded.high == 0, rounded.low < PowersOfTen[38] {
                let signed = Int128(rounded.low)
                return Decimal(coefficient: isNegative ? -signed : signed, scale: UInt8(scale - drop))
            }
            drop += 1
        }
        throw overflow
    }

    /// PostgreSQL's `select_div_scale`: its digits come in groups of four, and the scale follows from the estimated
    /// group count of the quotient.
    static func divisionScale(_ left: Decimal, _ right: Decimal) -> Int {
        let (leftWeight, leftFirst) = left.firstGroup
        let (rightWeight, rightFirst) = right.firstGroup
        var quotientWeight = leftWeight - rightWeight
        if leftFirst <= rightFirst { quotientWeight -= 1 }
        return Swift.max(16 - quotientWeight * 4, Int(left.scale), Int(right.scale), 0)
    }

    /// The weight of the first non-zero base-10,000 digit and that digit; (0, 0) for zero.
    var firstGroup: (weight: Int, digit: Int) {
        guard coefficient != 0 else { return (0, 0) }
        let exponent = leadingExponent
        let weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4)
        let shift = Int(scale) + 4 * weight
        let magnitude = coefficient.magnitude
        if shift <= 0 { return (weight, Int(magnitude * PowersOfTen[-shift])) }
        return (weight, shift > 38 ? 0 : Int(magnitude / PowersOfTen[shift]))
    }
}
