/// Count, sum and sum of squares of exact numbers, without any rounding: what variance and standard deviation of NUMERIC
/// are computed from. Values may be taken away again; the result depends on the values alone.
package struct NumericMoments: Sendable {
    private var count: Int64 = 0
    /// |sum| and sum of squares in units of 10^-scale and 10^-2·scale.
    private var sum = Signed()
    private var squares = Signed()
    private var scale = 0
    /// NaN and infinities, each of which makes every result NaN.
    private var specials: Int64 = 0

    private struct Signed: Sendable {
        var magnitude = Natural.zero
        var isNegative = false

        mutating func add(_ other: Natural, negative: Bool) {
            if negative == isNegative {
                magnitude = magnitude + other
            } else if magnitude < other {
                (magnitude, isNegative) = (other - magnitude, negative)
            } else {
                magnitude = magnitude - other
            }
        }
    }

    package init() {}

    /// From sums kept elsewhere: of integers, and of their squares as words, the least significant first.
    package init(count: Int64, sum: Int128, squares words: [UInt64]) {
        self.count = count
        self.sum.add(Natural(sum.magnitude), negative: sum < 0)
        var total = Natural.zero
        for word in words.reversed() { total = (total << 64) + Natural(UInt128(word)) }
        squares.magnitude = total
    }

    /// All of it as words: count, specials and scale, signs, then the sum's digits behind their number, then the squares'.
    package var image: [UInt32] {
        var image: [UInt32] = []
        for number in [count, specials] {
            image += [UInt32(truncatingIfNeeded: number), UInt32(truncatingIfNeeded: number >> 32)]
        }
        image.append(UInt32(truncatingIfNeeded: scale))
        image.append((sum.isNegative ? 1 : 0) | (squares.isNegative ? 2 : 0))
        image.append(UInt32(truncatingIfNeeded: sum.magnitude.words.count))
        return image + sum.magnitude.words + squares.magnitude.words
    }

    /// From `image`; nil: those words are not one.
    package init?(image: [UInt32]) {
        guard image.count >= 7, image[4] <= 38, image[5] <= 3, Int(image[6]) <= image.count - 7 else { return nil }
        count = Int64(truncatingIfNeeded: UInt64(image[0]) | UInt64(image[1]) << 32)
        specials = Int64(truncatingIfNeeded: UInt64(image[2]) | UInt64(image[3]) << 32)
        scale = Int(image[4])
        let middle = 7 + Int(image[6])
        sum = Signed(magnitude: Natural(words: Array(image[7..<middle])), isNegative: image[5] & 1 != 0)
        squares = Signed(magnitude: Natural(words: Array(image[middle...])), isNegative: image[5] & 2 != 0)
    }

    package var isEmpty: Bool { count + specials == 0 }

    package mutating func add(_ value: Decimal, weight: Int64) {
        if value.isSpecial {
            specials += weight
            return
        }
        count += weight
        align(to: Int(value.scale))
        var amount = Natural(value.coefficient.magnitude)
        if Int(value.scale) < scale { amount = amount * Natural.powerOfTen(scale - Int(value.scale)) }
        let times = Natural(UInt128(weight.magnitude))
        sum.add(amount * times, negative: value.isNegative != (weight < 0))
        squares.add(amount * amount * times, negative: weight < 0)
    }

    package mutating func merge(_ other: NumericMoments) {
        var other = other
        align(to: other.scale)
        other.align(to: scale)
        count += other.count
        specials += other.specials
        sum.add(other.sum.magnitude, negative: other.sum.isNegative)
        squares.add(other.squares.magnitude, negative: other.squares.isNegative)
    }

    private mutating func align(to wanted: Int) {
        guard wanted > scale else { return }
        sum.magnitude = sum.magnitude * Natural.powerOfTen(wanted - scale)
        squares.magnitude = squares.magnitude * Natural.powerOfTen(2 * (wanted - scale))
        scale = wanted
    }

    /// PostgreSQL's numeric_stddev_internal: (N·Σx² − (Σx)²) ÷ N(N−1 or N), at the scale that its division chooses, and
    /// then the root at the same. nil: too few values.
    package func deviation(isSample: Bool, isVariance: Bool) throws(SQLError) -> Decimal? {
        let all = count + specials
        if all <= (isSample ? 1 : 0) { return nil }
        if specials != 0 { return .nan }
        let n = Natural(UInt128(count.magnitude))
        let (left, right) = (n * squares.magnitude, sum.magnitude * sum.magnitude)
        guard right < left else { return .zero }
        let numerator = left - right
        let divisor = n * Natural(UInt128((isSample ? count - 1 : count).magnitude))
        let ownScale = 2 * scale
        // PostgreSQL's numbers are digits of base 10000, four decimal ones, from the point on.
        let (topWeight, topDigit) = NumericMoments.leading(numerator, scale: ownScale)
        let (lowWeight, lowDigit) = NumericMoments.leading(divisor, scale: 0)
        var weight = topWeight - lowWeight
        if topDigit <= lowDigit { weight -= 1 }
        let wanted = min(max(16 - weight * 4, ownScale, 0), 1000)
        var value = NumericMoments.quotient(numerator, divisor, shift: wanted - ownScale)
        if !isVariance { value = NumericMoments.root(value, scale: wanted) }
        return try NumericMoments.decimal(value, scale: wanted)
    }

    /// Weight and value of the first digit of base 10000.
    private static func leading(_ value: Natural, scale: Int) -> (weight: Int, digit: Int) {
        let digits = decimalDigits(value)
        // Position of the leading decimal digit relative to the point: 0 is the units.
        let top = digits.count - 1 - scale
        let weight = top >= 0 ? top / 4 : -((-top + 3) / 4)
        let inGroup = top - weight * 4 + 1
        var digit = 0
        for at in 0..<inGroup { digit = digit * 10 + (at < digits.count ? Int(digits[at]) : 0) }
        return (weight, digit)
    }

    private static func decimalDigits(_ value: Natural) -> [UInt8] {
        var digits: [UInt8] = []
        var rest = value
        let step = Natural.powerOfTen(18)
        while !rest.isZero {
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: step)
            var part = UInt64(remainder.uint128 ?? 0)
            rest = quotient
            for _ in 0..<18 {
                digits.append(UInt8(part % 10))
                part /= 10
            }
        }
        while digits.last == 0 { digits.removeLast() }
        return digits.isEmpty ? [0] : digits.reversed()
    }

    private static func quotient(_ numerator: Natural, _ divisor: Natural, shift: Int) -> Natural {
        if shift >= 0 { return (numerator * Natural.powerOfTen(shift)).rounded(dividingBy: divisor) }
        return numerator.rounded(dividingBy: divisor * Natural.powerOfTen(-shift))
    }

    /// The root of value · 10^-scale in the same unit, rounded half up.
    private static func root(_ value: Natural, scale: Int) -> Natural {
        let scaled = value * Natural.powerOfTen(scale)
        let floor = scaled.squareRoot()
        // Half up: floor + 1/2 squared is floor² + floor + 1/4.
        return scaled < floor * floor + floor + .one ? floor : floor + .one
    }

    /// At most 38 digits, as every Decimal has.
    private static func decimal(_ value: Natural, scale: Int) throws(SQLError) -> Decimal {
        var scale = scale
        var value = value
        let count = decimalDigits(value).count
        let excess = max(count - Decimal.precisionMax, scale - Int(Decimal.scaleMax), 0)
        if excess > 0 {
            guard excess <= scale else { throw Decimal.overflow }
            value = value.rounded(dividingBy: Natural.powerOfTen(excess))
            scale -= excess
        }
        guard let small = value.uint128, small < PowersOfTen[38] else { throw Decimal.overflow }
        return Decimal(coefficient: Int128(small), scale: UInt8(scale))
    }
}
