internal import Glibc
internal import MartletCore

/// What a row knows of the values that are no finite numbers: how many NaN, Infinity and -Infinity it holds, so that
/// the sum depends neither on their order nor on what was withdrawn since.
enum Specials {
    enum Kind { case nan, infinity, negativeInfinity }

    /// `words` of a `DecimalSum` or `DoubleSum`.
    static func add(_ kind: Kind, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        let counts = UnsafeMutableRawPointer(words + 3).assumingMemoryBound(to: Int32.self)
        let weight = Int32(truncatingIfNeeded: weight)
        switch kind {
        case .nan: counts[1] &+= weight
        case .infinity: counts[2] &+= weight
        case .negativeInfinity: counts[3] &+= weight
        }
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        let counts = UnsafeMutableRawPointer(words + 3).assumingMemoryBound(to: Int32.self)
        let others = UnsafeRawPointer(other + 3).assumingMemoryBound(to: Int32.self)
        for at in 1...3 { counts[at] &+= others[at] }
    }

    /// What they make of the sum; nil: there are none.
    static func result(_ words: UnsafePointer<UInt64>) -> Kind? {
        let counts = UnsafeRawPointer(words + 3).assumingMemoryBound(to: Int32.self)
        if counts[1] != 0 || (counts[2] != 0 && counts[3] != 0) { return .nan }
        if counts[2] != 0 { return .infinity }
        return counts[3] != 0 ? .negativeInfinity : nil
    }
}

/// Words: coefficient (2), count, scale (16 bits) and overflow (16 bits) with the count of NaN, counts of ±Infinity.
///
/// Exact: the coefficient has 128 bits at the largest scale seen; where that does not hold, the overflow mark stays and
/// the result is an error.
enum DecimalSum {
    @inline(__always)
    static func add(_ value: Decimal, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        words[2] &+= UInt64(bitPattern: weight)
        if value.isSpecial {
            Specials.add(value.isNaN ? .nan : (value.isNegative ? .negativeInfinity : .infinity), weight, words)
            return
        }
        let (amount, isOver) = value.coefficient.multipliedReportingOverflow(by: Int128(weight))
        if isOver { overflow(words) }
        add(amount, scale: UInt16(value.scale), words)
    }

    @inline(__always)
    private static func add(_ amount: Int128, scale: UInt16, _ words: UnsafeMutablePointer<UInt64>) {
        let scales = UnsafeMutableRawPointer(words + 3).assumingMemoryBound(to: UInt16.self)
        var amount = amount
        if scales[0] != scale { align(&amount, scale, words) }
        let (sum, isOver) = Words.int128(words).addingReportingOverflow(amount)
        if isOver { overflow(words) }
        Words.store(sum, words)
    }

    @inline(never)
    private static func align(_ amount: inout Int128, _ scale: UInt16, _ words: UnsafeMutablePointer<UInt64>) {
        let scales = UnsafeMutableRawPointer(words + 3).assumingMemoryBound(to: UInt16.self)
        if scale < scales[0] {
            amount = shifted(amount, by: scales[0] - scale, words)
        } else {
            Words.store(shifted(Words.int128(words), by: scale - scales[0], words), words)
            scales[0] = scale
        }
    }

    private static func shifted(_ value: Int128, by digits: UInt16, _ words: UnsafeMutablePointer<UInt64>) -> Int128 {
        var value = value
        for _ in 0..<digits {
            let (product, isOver) = value.multipliedReportingOverflow(by: 10)
            if isOver { overflow(words) }
            value = product
        }
        return value
    }

    private static func overflow(_ words: UnsafeMutablePointer<UInt64>) {
        UnsafeMutableRawPointer(words + 3).assumingMemoryBound(to: UInt16.self)[1] = 1
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        let scales = UnsafeRawPointer(other + 3).assumingMemoryBound(to: UInt16.self)
        words[2] &+= other[2]
        if scales[1] != 0 { overflow(words) }
        add(Words.int128(other), scale: scales[0], words)
        Specials.merge(words, other)
    }

    static func count(_ words: UnsafePointer<UInt64>) -> Int64 { Int64(bitPattern: words[2]) }

    static func result(_ words: UnsafePointer<UInt64>) throws(SQLError) -> Decimal {
        if let special = Specials.result(words) {
            switch special {
            case .nan: return .nan
            case .infinity: return .infinity
            case .negativeInfinity: return .negativeInfinity
            }
        }
        let scales = UnsafeRawPointer(words + 3).assumingMemoryBound(to: UInt16.self)
        if scales[1] != 0 { throw Sums.numericOverflow }
        return try Sums.decimal(Words.int128(words), scale: UInt8(truncatingIfNeeded: scales[0]))
    }
}

/// Words: sum, its error, count, count of NaN (upper half), counts of ±Infinity.
///
/// The sum is the unevaluated sum of two doubles, about 106 bits: rounding it to one double gives the same result in
/// whatever order and grouping the values came, which plain addition would not. (Dekker 1971; two-sum: Knuth.)
enum DoubleSum {
    @inline(__always)
    static func add(_ value: Double, _ words: UnsafeMutablePointer<UInt64>) {
        words[2] &+= 1
        if value.isFinite { accumulate(value, words) } else { addSpecial(value, 1, words) }
    }

    static func add(_ value: Double, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        words[2] &+= UInt64(bitPattern: weight)
        guard value.isFinite else {
            addSpecial(value, weight, words)
            return
        }
        let factor = Double(weight)
        let product = value * factor
        accumulate(product, words)
        // What the product was rounded by.
        if product.isFinite { accumulate((-product).addingProduct(value, factor), words) }
    }

    @inline(never)
    private static func addSpecial(_ value: Double, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        Specials.add(value.isNaN ? .nan : (value < 0 ? .negativeInfinity : .infinity), weight, words)
    }

    @inline(__always)
    private static func accumulate(_ value: Double, _ words: UnsafeMutablePointer<UInt64>) {
        let high = Double(bitPattern: words[0])
        let (sum, error) = twoSum(high, value)
        let low = Double(bitPattern: words[1]) + error
        let total = sum + low
        words[0] = total.bitPattern
        words[1] = (low - (total - sum)).bitPattern
    }

    @inline(__always)
    private static func twoSum(_ a: Double, _ b: Double) -> (Double, Double) {
        let sum = a + b
        let part = sum - a
        return (sum, (a - (sum - part)) + (b - part))
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        words[2] &+= other[2]
        accumulate(Double(bitPattern: other[0]), words)
        accumulate(Double(bitPattern: other[1]), words)
        Specials.merge(words, other)
    }

    static func count(_ words: UnsafePointer<UInt64>) -> Int64 { Int64(bitPattern: words[2]) }

    static func result(_ words: UnsafePointer<UInt64>) throws(SQLError) -> Double {
        if let special = Specials.result(words) {
            switch special {
            case .nan: return .nan
            case .infinity: return .infinity
            case .negativeInfinity: return -.infinity
            }
        }
        let sum = Double(bitPattern: words[0])
        // Finite values whose sum is not: the error term is then no number.
        if !sum.isFinite { throw Sums.floatOverflow }
        return sum + Double(bitPattern: words[1])
    }
}

enum Sums {
    static let numericOverflow = SQLError(
        .numericValueOutOfRange, "value overflows numeric format",
        detail: "A numeric value has at most \(Decimal.precisionMax) digits here.")
    static let floatOverflow = SQLError(.numericValueOutOfRange, "value out of range: overflow")

    /// 10^38
    private static let limit: Int128 = 100_000_000_000_000_000_000_000_000_000_000_000_000

    static func decimal(_ coefficient: Int128, scale: UInt8) throws(SQLError) -> Decimal {
        if coefficient >= limit || coefficient <= -limit { throw numericOverflow }
        return Decimal(coefficient: coefficient, scale: scale)
    }
}
