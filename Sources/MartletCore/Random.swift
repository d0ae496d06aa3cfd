/// Repeatable randomness: the same seed gives the same values on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014). Its state is a counter, so that value `n` of a seed is had without the ones
/// before: a generator makes event `n` from `(seed, n)` alone, in any order and on any shard.
package struct SplitMix64: Sendable, RandomNumberGenerator {
    @usableFromInline var state: UInt64

    @inlinable package init(seed: UInt64) { state = seed }

    @inlinable package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return SplitMix64.mix(state)
    }

    /// Value `n` (from 0) of the sequence of `seed`.
    @inlinable package static func at(_ seed: UInt64, _ n: UInt64) -> UInt64 {
        mix(seed &+ (n &+ 1) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// The generator of event `n`: as many values as the event needs, unrelated to its neighbours'.
    @inlinable package static func stream(_ seed: UInt64, _ n: UInt64) -> SplitMix64 {
        SplitMix64(seed: mix(at(seed, n) ^ 0xD1B5_4A32_D192_ED03))
    }

    /// A bijection that spreads every input bit over all output bits.
    @inlinable package static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }
}

/// xoshiro256** (Blackman, Vigna 2018): for long sequences.
package struct Xoshiro256: Sendable, RandomNumberGenerator {
    @usableFromInline var s0: UInt64
    @usableFromInline var s1: UInt64
    @usableFromInline var s2: UInt64
    @usableFromInline var s3: UInt64

    /// The state comes from SplitMix64, as the authors advise; it is never all zero.
    @inlinable package init(seed: UInt64) {
        var mixer = SplitMix64(seed: seed)
        s0 = mixer.next()
        s1 = mixer.next()
        s2 = mixer.next()
        s3 = mixer.next()
    }

    @inlinable package mutating func next() -> UInt64 {
        let product = s1 &* 5
        let result = ((product &<< 7) | (product &>> 57)) &* 9
        let shifted = s1 &<< 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = (s3 &<< 45) | (s3 &>> 19)
        return result
    }
}

extension RandomNumberGenerator {
    /// Uniform in `0 ..< bound` without bias (Lemire 2019: multiply, and reject the few values that would favour some
    /// results). `bound` is positive.
    @inlinable package mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a bound of 0 leaves nothing to choose from")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    /// Uniform in `0 ..< bound`; `bound` is positive.
    @inlinable package mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: below(UInt64(bound)))
    }

    /// Uniform in `range`, which must not be empty.
    @inlinable package mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        let span = UInt64(bitPattern: range.upperBound &- range.lowerBound)
        if span == .max { return Int64(bitPattern: next()) }
        return range.lowerBound &+ Int64(bitPattern: below(span &+ 1))
    }

    /// Uniform in [0, 1), 53 bits.
    @inlinable package mutating func unit() -> Double {
        Double(next() &>> 11) * 0x1p-53
    }

    /// True with probability `share`.
    @inlinable package mutating func chance(_ share: Double) -> Bool { unit() < share }
}
