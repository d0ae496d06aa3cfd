internal import Glibc
internal import MartletCore

/// Two doubles whose unevaluated sum is the number: about 106 bits, as in `DoubleSum`.
struct DoubleDouble {
    var high: Double
    var low: Double

    init(_ high: Double, _ low: Double = 0) {
        self.high = high
        self.low = low
    }

    init(_ words: UnsafePointer<UInt64>) { self.init(Double(bitPattern: words[0]), Double(bitPattern: words[1])) }

    func store(_ words: UnsafeMutablePointer<UInt64>) {
        words[0] = high.bitPattern
        words[1] = low.bitPattern
    }

    private static func sum(_ a: Double, _ b: Double) -> (Double, Double) {
        let sum = a + b
        let part = sum - a
        return (sum, (a - (sum - part)) + (b - part))
    }

    static func + (left: DoubleDouble, right: DoubleDouble) -> DoubleDouble {
        var (high, error) = sum(left.high, right.high)
        let (low, lowError) = sum(left.low, right.low)
        error += low
        (high, error) = sum(high, error)
        error += lowError
        let (top, rest) = sum(high, error)
        return DoubleDouble(top, rest)
    }

    static prefix func - (value: DoubleDouble) -> DoubleDouble { DoubleDouble(-value.high, -value.low) }

    /// The exact product of two doubles, in two.
    static func product(_ a: Double, _ b: Double) -> DoubleDouble {
        let product = a * b
        return DoubleDouble(product, (-product).addingProduct(a, b))
    }

    static func * (left: DoubleDouble, right: DoubleDouble) -> DoubleDouble {
        let main = product(left.high, right.high)
        let cross = left.high * right.low + left.low * right.high
        let (top, rest) = sum(main.high, main.low + cross)
        return DoubleDouble(top, rest)
    }

    static func / (left: DoubleDouble, right: Double) -> DoubleDouble {
        let first = left.high / right
        let rest = left + -product(first, right)
        let second = rest.high / right
        let (top, low) = sum(first, second)
        return DoubleDouble(top, low)
    }

    var value: Double { high + low }
}

/// Words: a `DoubleSum` (5), then the sum of squares (2).
enum DoubleMoments {
    static let words = 7

    static func add(_ value: Double, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        DoubleSum.add(value, weight, words)
        guard value.isFinite else { return }
        (DoubleDouble(words + 5) + DoubleDouble.product(value, value) * DoubleDouble(Double(weight))).store(words + 5)
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        DoubleSum.merge(words, other)
        (DoubleDouble(words + 5) + DoubleDouble(other + 5)).store(words + 5)
    }

    /// Σx² − (Σx)² ÷ n; what is left of cancelling is nought where the values are all alike.
    static func centred(_ squares: DoubleDouble, _ left: DoubleDouble, _ right: DoubleDouble, _ scale: Double, _ count: Double) -> Double {
        let difference = (squares + -(left * right / count)).value
        // Below the sums' own error.
        return difference.magnitude <= scale * 0x1p-98 ? 0 : difference
    }

    static func deviation(_ words: UnsafePointer<UInt64>, isSample: Bool, isVariance: Bool) -> Double? {
        let count = DoubleSum.count(words)
        if count <= (isSample ? 1 : 0) { return nil }
        if Specials.result(words) != nil { return .nan }
        let sum = DoubleDouble(words)
        let squares = DoubleDouble(words + 5)
        let sxx = max(centred(squares, sum, sum, squares.high, Double(count)), 0)
        let variance = sxx / Double(isSample ? count - 1 : count)
        return isVariance ? variance : sqrt(variance)
    }
}

/// Words: count, then a `DoubleSum` of x and one of y (5 each), then Σx², Σy², Σxy over finite numbers (2 each).
enum Regression {
    static let words = 17
    private static let (x, y, xx, yy, xy) = (1, 6, 11, 13, 15)

    static func add(_ y: Double, _ x: Double, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        words[0] &+= UInt64(bitPattern: weight)
        DoubleSum.add(x, weight, words + Self.x)
        DoubleSum.add(y, weight, words + Self.y)
        let times = DoubleDouble(Double(weight))
        if x.isFinite { accumulate(DoubleDouble.product(x, x) * times, words + xx) }
        if y.isFinite { accumulate(DoubleDouble.product(y, y) * times, words + yy) }
        if x.isFinite, y.isFinite { accumulate(DoubleDouble.product(x, y) * times, words + xy) }
    }

    private static func accumulate(_ value: DoubleDouble, _ words: UnsafeMutablePointer<UInt64>) {
        (DoubleDouble(words) + value).store(words)
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        words[0] &+= other[0]
        DoubleSum.merge(words + x, other + x)
        DoubleSum.merge(words + y, other + y)
        for at in [xx, yy, xy] { accumulate(DoubleDouble(other + at), words + at) }
    }

    static func result(_ function: AggregateFunction, _ words: UnsafePointer<UInt64>) -> Value {
        let count = Int64(bitPattern: words[0])
        if function == .regrCount { return .bigint(count) }
        if count < (function == .covarSamp ? 2 : 1) { return .null }
        let n = Double(count)
        let (sumX, sumY) = (DoubleDouble(words + x), DoubleDouble(words + y))
        let (isXSpecial, isYSpecial) = (Specials.result(words + x) != nil, Specials.result(words + y) != nil)
        switch function {
        case .regrAverageX: return .double(isXSpecial ? special(words + x) : (sumX / n).value)
        case .regrAverageY: return .double(isYSpecial ? special(words + y) : (sumY / n).value)
        default: break
        }
        let (squaresX, squaresY, products) = (DoubleDouble(words + xx), DoubleDouble(words + yy), DoubleDouble(words + xy))
        let sxx = isXSpecial ? .nan : max(DoubleMoments.centred(squaresX, sumX, sumX, squaresX.high, n), 0)
        let syy = isYSpecial ? .nan : max(DoubleMoments.centred(squaresY, sumY, sumY, squaresY.high, n), 0)
        let sxy = isXSpecial || isYSpecial
            ? .nan : DoubleMoments.centred(products, sumX, sumY, sqrt(squaresX.high) * sqrt(squaresY.high), n)
        switch function {
        case .covarPop: return .double(sxy / n)
        case .covarSamp: return .double(sxy / (n - 1))
        case .corr: return sxx == 0 || syy == 0 ? .null : .double(sxy / sqrt(sxx * syy))
        case .regrSumXX: return .double(sxx)
        case .regrSumYY: return .double(syy)
        case .regrSumXY: return .double(sxy)
        case .regrSlope: return sxx == 0 ? .null : .double(sxy / sxx)
        case .regrIntercept: return sxx == 0 ? .null : .double((sumY.value - sumX.value * sxy / sxx) / n)
        default: return sxx == 0 ? .null : syy == 0 ? .double(1) : .double(sxy * sxy / (sxx * syy))
        }
    }

    private static func special(_ words: UnsafePointer<UInt64>) -> Double {
        switch Specials.result(words) {
        case .infinity: .infinity
        case .negativeInfinity: -.infinity
        case .nan, nil: .nan
        }
    }
}

/// Words: sum of integers (2), count, sum of their squares (3).
enum IntegerMoments {
    static let words = 6

    @inline(__always)
    static func add(_ value: Int64, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        Words.store(Words.int128(words) &+ Int128(value) &* Int128(weight), words)
        words[2] &+= UInt64(bitPattern: weight)
        let square = value.magnitude.multipliedFullWidth(by: value.magnitude)
        let low = square.low.multipliedFullWidth(by: weight.magnitude)
        let high = square.high.multipliedFullWidth(by: weight.magnitude)
        let (middle, isCarry) = low.high.addingReportingOverflow(high.low)
        addSquares(low.low, middle, high.high &+ (isCarry ? 1 : 0), isNegative: weight < 0, words)
    }

    /// 192 bits, modulo their range.
    private static func addSquares(
        _ a: UInt64, _ b: UInt64, _ c: UInt64, isNegative: Bool, _ words: UnsafeMutablePointer<UInt64>
    ) {
        let parts = isNegative ? [~a, ~b, ~c] : [a, b, c]
        var carry: UInt64 = isNegative ? 1 : 0
        for at in 0..<3 {
            let (first, isOver) = words[3 + at].addingReportingOverflow(parts[at])
            let (second, isOverToo) = first.addingReportingOverflow(carry)
            words[3 + at] = second
            carry = (isOver ? 1 : 0) + (isOverToo ? 1 : 0)
        }
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        Words.store(Words.int128(words) &+ Words.int128(other), words)
        words[2] &+= other[2]
        addSquares(other[3], other[4], other[5], isNegative: false, words)
    }

    static func moments(_ words: UnsafePointer<UInt64>) -> NumericMoments {
        NumericMoments(count: Int64(bitPattern: words[2]), sum: Words.int128(words), squares: [words[3], words[4], words[5]])
    }
}

/// Words: months, days, microseconds (2), count.
enum IntervalSum {
    static let words = 5

    static func add(_ value: Interval, _ weight: Int64, _ words: UnsafeMutablePointer<UInt64>) {
        words[0] &+= UInt64(bitPattern: Int64(value.months) &* weight)
        words[1] &+= UInt64(bitPattern: Int64(value.days) &* weight)
        Words.store(Words.int128(words + 2) &+ Int128(value.micros) &* Int128(weight), words + 2)
        words[4] &+= UInt64(bitPattern: weight)
    }

    static func merge(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        words[0] &+= other[0]
        words[1] &+= other[1]
        Words.store(Words.int128(words + 2) &+ Words.int128(other + 2), words + 2)
        words[4] &+= other[4]
    }

    static func result(_ words: UnsafePointer<UInt64>) throws(SQLError) -> Interval {
        guard let months = Int32(exactly: Int64(bitPattern: words[0])), let days = Int32(exactly: Int64(bitPattern: words[1])),
            let micros = Int64(exactly: Words.int128(words + 2))
        else { throw SQLError(.datetimeFieldOverflow, "interval out of range") }
        return Interval(months: months, days: days, micros: micros)
    }

    static func average(_ words: UnsafePointer<UInt64>) throws(SQLError) -> Interval {
        let count = Double(Int64(bitPattern: words[4]))
        let answer = try ScalarFunction.divide.evaluate(
            [.interval(result(words)), .double(count)], result: .interval, context: .utc)
        guard case .interval(let interval) = answer else { throw SQLError.divisionByZero }
        return interval
    }
}
