/// An unsigned integer of any length: intermediates of the functions of decimals (roots, powers, logarithms), never of
/// hot paths. Little-endian 32-bit words without leading zeros; every operation is O(words²) at most.
struct Natural: Comparable {
    private(set) var words: [UInt32]

    init(_ value: UInt128) {
        words = (0..<4).map { UInt32(truncatingIfNeeded: value >> (UInt128($0) * 32)) }
        normalize()
    }

    /// The least significant word first.
    init(words: [UInt32]) {
        self.words = words
        normalize()
    }

    static let zero = Natural(0)
    static let one = Natural(1)

    static func powerOfTen(_ exponent: Int) -> Natural {
        var result = Natural.one
        var rest = exponent
        while rest > 0 {
            let step = min(rest, 38)
            result = result * Natural(PowersOfTen[step])
            rest -= step
        }
        return result
    }

    private mutating func normalize() { while words.last == 0 { words.removeLast() } }

    var isZero: Bool { words.isEmpty }
    var bitWidth: Int { words.isEmpty ? 0 : words.count * 32 - words[words.count - 1].leadingZeroBitCount }

    /// The value where it fits into 128 bits.
    var uint128: UInt128? {
        guard words.count <= 4 else { return nil }
        return words.reversed().reduce(UInt128(0)) { $0 << 32 | UInt128($1) }
    }

    static func < (left: Natural, right: Natural) -> Bool {
        if left.words.count != right.words.count { return left.words.count < right.words.count }
        for (a, b) in zip(left.words.reversed(), right.words.reversed()) where a != b { return a < b }
        return false
    }

    static func + (left: Natural, right: Natural) -> Natural {
        var result: [UInt32] = []
        var carry: UInt64 = 0
        for index in 0..<max(left.words.count, right.words.count) {
            let a = index < left.words.count ? UInt64(left.words[index]) : 0
            let b = index < right.words.count ? UInt64(right.words[index]) : 0
            let sum = a + b + carry
            result.append(UInt32(truncatingIfNeeded: sum))
            carry = sum >> 32
        }
        if carry > 0 { result.append(UInt32(carry)) }
        return Natural(words: result)
    }

    /// `left` ≥ `right`.
    static func - (left: Natural, right: Natural) -> Natural {
        var result: [UInt32] = []
        var borrow: Int64 = 0
        for index in 0..<left.words.count {
            let b = index < right.words.count ? Int64(right.words[index]) : 0
            var difference = Int64(left.words[index]) - b - borrow
            borrow = difference < 0 ? 1 : 0
            if difference < 0 { difference += 1 << 32 }
            result.append(UInt32(difference))
        }
        return Natural(words: result)
    }

    static func * (left: Natural, right: Natural) -> Natural {
        if left.isZero || right.isZero { return .zero }
        var result = [UInt32](repeating: 0, count: left.words.count + right.words.count)
        for (i, a) in left.words.enumerated() {
            var carry: UInt64 = 0
            for (j, b) in right.words.enumerated() {
                let sum = UInt64(a) * UInt64(b) + UInt64(result[i + j]) + carry
                result[i + j] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
            result[i + right.words.count] = UInt32(carry)
        }
        return Natural(words: result)
    }

    static func << (value: Natural, bits: Int) -> Natural {
        if value.isZero || bits == 0 { return value }
        let (whole, part) = (bits / 32, UInt64(bits % 32))
        var result = [UInt32](repeating: 0, count: whole)
        var carry: UInt64 = 0
        for word in value.words {
            let shifted = UInt64(word) << part | carry
            result.append(UInt32(truncatingIfNeeded: shifted))
            carry = shifted >> 32
        }
        result.append(UInt32(carry))
        return Natural(words: result)
    }

    static func >> (value: Natural, bits: Int) -> Natural {
        let (whole, part) = (bits / 32, UInt64(bits % 32))
        guard whole < value.words.count else { return .zero }
        var result: [UInt32] = []
        for index in whole..<value.words.count {
            let high = index + 1 < value.words.count ? UInt64(value.words[index + 1]) : 0
            result.append(UInt32(truncatingIfNeeded: (high << 32 | UInt64(value.words[index])) >> part))
        }
        return Natural(words: result)
    }

    /// Knuth, The Art of Computer Programming, volume 2, algorithm D. `divisor` is not zero.
    func quotientAndRemainder(dividingBy divisor: Natural) -> (quotient: Natural, remainder: Natural) {
        if self < divisor { return (.zero, self) }
        if divisor.words.count == 1 {
            let single = UInt64(divisor.words[0])
            var result = words
            var rest: UInt64 = 0
            for index in words.indices.reversed() {
                let part = rest << 32 | UInt64(words[index])
                result[index] = UInt32(part / single)
                rest = part % single
            }
            return (Natural(words: result), Natural(UInt128(rest)))
        }
        let shift = divisor.words[divisor.words.count - 1].leadingZeroBitCount
        let v = (divisor << shift).words
        var u = (self << shift).words
        while u.count <= words.count { u.append(0) }
        let n = v.count
        var result = [UInt32](repeating: 0, count: u.count - n)
        let (top, second) = (UInt64(v[n - 1]), UInt64(v[n - 2]))
        for j in result.indices.reversed() {
            let part = UInt64(u[j + n]) << 32 | UInt64(u[j + n - 1])
            var (guess, rest) = part.quotientAndRemainder(dividingBy: top)
            while guess >> 32 != 0 || guess * second > (rest << 32 | UInt64(u[j + n - 2])) {
                guess -= 1
                rest += top
                if rest >> 32 != 0 { break }
            }
            var borrow: Int64 = 0
            var carry: UInt64 = 0
            for i in 0..<n {
                let product = guess * UInt64(v[i]) + carry
                carry = product >> 32
                let difference = Int64(u[i + j]) - borrow - Int64(product & 0xFFFF_FFFF)
                u[i + j] = UInt32(truncatingIfNeeded: difference)
                borrow = difference < 0 ? 1 : 0
            }
            let difference = Int64(u[j + n]) - borrow - Int64(carry)
            u[j + n] = UInt32(truncatingIfNeeded: difference)
            if difference < 0 {
                // One too high: add the divisor back.
                guess -= 1
                var carry: UInt64 = 0
                for i in 0..<n {
                    let sum = UInt64(u[i + j]) + UInt64(v[i]) + carry
                    u[i + j] = UInt32(truncatingIfNeeded: sum)
                    carry = sum >> 32
                }
                u[j + n] = UInt32(truncatingIfNeeded: UInt64(u[j + n]) + carry)
            }
            result[j] = UInt32(guess)
        }
        return (Natural(words: result), Natural(words: Array(u[..<n])) >> shift)
    }

    /// The quotient rounded half up.
    func rounded(dividingBy divisor: Natural) -> Natural {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder + remainder < divisor ? quotient : quotient + .one
    }

    func squareRoot() -> Natural {
        if isZero { return .zero }
        // Newton's iteration from above decreases until it is exact.
        var guess = Natural.one << ((bitWidth + 1) / 2)
        while true {
            let next = (guess + quotientAndRemainder(dividingBy: guess).quotient) >> 1
            if next >= guess { return guess }
            guess = next
        }
    }
}
