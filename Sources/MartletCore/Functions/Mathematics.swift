#if canImport(Glibc)
internal import Glibc
#endif

/// Mathematical functions of integers, doubles and decimals.
enum Mathematics {
    static let inputOutOfRange = SQLError(.numericValueOutOfRange, "input is out of range")

    static func evaluate(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        if function == .pi { return .double(.pi) }
        switch arguments.first {
        case .smallint(let value):
            guard function == .abs else { break }
            guard value != .min else { throw .outOfRange(.smallint) }
            return .smallint(value.magnitude == 0 ? 0 : Int16(value.magnitude))
        case .integer(let value):
            return .integer(try integer(function, value, arguments, .integer) { if case .integer(let b) = $0 { b } else { nil } })
        case .bigint(let value):
            if function == .factorial { return .numeric(try factorial(value)) }
            return .bigint(try integer(function, value, arguments, .bigint) { if case .bigint(let b) = $0 { b } else { nil } })
        case .real(let value):
            guard function == .abs else { break }
            return .real(value.magnitude)
        case .double(let value):
            if function == .widthBucket { return try widthBucket(value, arguments) }
            if arguments.count == 2, case .double(let second) = arguments[1] {
                return .double(try binary(function, value, second))
            }
            return .double(try unary(function, value))
        case .numeric(let value):
            return try decimal(function, value, arguments)
        default: break
        }
        throw Evaluation.wrongArguments(function, arguments)
    }

    // MARK: - Integers

    private static func integer<T: FixedWidthInteger & SignedInteger>(
        _ function: ScalarFunction, _ a: T, _ arguments: [Value], _ type: DataType, _ second: (Value) -> T?
    ) throws(SQLError) -> T {
        if function == .abs {
            guard a != .min else { throw .outOfRange(type) }
            return a < 0 ? -a : a
        }
        guard arguments.count == 2, let b = second(arguments[1]) else { throw Evaluation.wrongArguments(function, arguments) }
        var (x, y) = (a.magnitude, b.magnitude)
        while y != 0 { (x, y) = (y, x % y) }
        if function == .gcd {
            guard let result = T(exactly: x) else { throw .outOfRange(type) }
            return result
        }
        guard function == .lcm else { throw Evaluation.wrongArguments(function, arguments) }
        if a == 0 || b == 0 { return 0 }
        let (product, overflows) = (a.magnitude / x).multipliedReportingOverflow(by: b.magnitude)
        guard !overflows, let result = T(exactly: product) else { throw .outOfRange(type) }
        return result
    }

    /// As far as 38 digits reach: 33!.
    private static func factorial(_ value: Int64) throws(SQLError) -> Decimal {
        if value < 0 { throw SQLError(.numericValueOutOfRange, "factorial of a negative number is undefined") }
        guard value <= 33 else { throw Decimal.overflow }
        return Decimal(coefficient: (0..<value).reduce(Int128(1)) { $0 * Int128($1 + 1) }, scale: 0)
    }

    // MARK: - Doubles

    private static func unary(_ function: ScalarFunction, _ x: Double) throws(SQLError) -> Double {
        func bounded(_ result: Double) throws(SQLError) -> Double {
            if result.isInfinite, !x.isInfinite { throw Value.floatOverflow }
            return result
        }
        /// Periodic functions have no value at infinity.
        func finite(_ compute: (Double) -> Double) throws(SQLError) -> Double {
            if x.isInfinite { throw inputOutOfRange }
            return compute(x)
        }
        switch function {
        case .abs: return x.magnitude
        case .ceil: return x.rounded(.up)
        case .floor: return x.rounded(.down)
        case .round: return x.rounded(.toNearestOrEven)
        case .trunc: return x.rounded(.towardZero)
        case .sign: return x > 0 ? 1 : x < 0 ? -1 : 0
        case .sqrt:
            if x < 0 { throw SQLError(.invalidArgumentForPowerFunction, "cannot take square root of a negative number") }
            return x.squareRoot()
        case .cbrt: return Glibc.cbrt(x)
        case .exp:
            let result = Glibc.exp(x)
            if result == 0, !x.isInfinite { throw Value.floatUnderflow }
            return try bounded(result)
        case .ln, .log10:
            if x == 0 { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of zero") }
            if x < 0 { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of a negative number") }
            return function == .ln ? Glibc.log(x) : Glibc.log10(x)
        case .degrees: return try bounded(x / 0.0174532925199432957692)
        case .radians: return x * 0.0174532925199432957692
        case .sin: return try finite(Glibc.sin)
        case .cos: return try finite(Glibc.cos)
        case .tan: return try finite(Glibc.tan)
        case .cot: return try finite { 1 / Glibc.tan($0) }
        case .asin, .acos:
            if x < -1 || x > 1 { throw inputOutOfRange }
            return function == .asin ? Glibc.asin(x) : Glibc.acos(x)
        case .atan: return Glibc.atan(x)
        // These two tend to infinity without an error, as in PostgreSQL.
        case .sinh: return Glibc.sinh(x)
        case .cosh: return Glibc.cosh(x)
        case .tanh: return Glibc.tanh(x)
        default: throw Evaluation.wrongArguments(function, [.double(x)])
        }
    }

    private static func binary(_ function: ScalarFunction, _ x: Double, _ y: Double) throws(SQLError) -> Double {
        switch function {
        case .atan2: return Glibc.atan2(x, y)
        case .power:
            if x.isNaN { return y == 0 ? 1 : .nan }
            if y.isNaN { return x == 1 ? 1 : .nan }
            if x == 0, y < 0 {
                throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
            }
            if x < 0, y.isFinite, y != y.rounded(.down) {
                throw SQLError(
                    .invalidArgumentForPowerFunction,
                    "a negative number raised to a non-integer power yields a complex result")
            }
            let result = Glibc.pow(x, y)
            if x.isFinite, y.isFinite {
                if result.isInfinite { throw Value.floatOverflow }
                if result == 0, x != 0 { throw Value.floatUnderflow }
            }
            return result
        default: throw Evaluation.wrongArguments(function, [.double(x), .double(y)])
        }
    }

    private static func widthBucket(_ operand: Double, _ arguments: [Value]) throws(SQLError) -> Value {
        guard arguments.count == 4, case .double(let low) = arguments[1], case .double(let high) = arguments[2],
            case .integer(let count) = arguments[3]
        else { throw Evaluation.wrongArguments(.widthBucket, arguments) }
        func invalid(_ message: String) -> SQLError { SQLError(.invalidArgumentForWidthBucket, message) }
        if count <= 0 { throw invalid("count must be greater than zero") }
        if operand.isNaN || low.isNaN || high.isNaN { throw invalid("operand, lower bound, and upper bound cannot be NaN") }
        if low.isInfinite || high.isInfinite { throw invalid("lower and upper bounds must be finite") }
        if low == high { throw invalid("lower bound cannot equal upper bound") }
        let isBelow = low < high ? operand < low : operand > low
        let isAbove = low < high ? operand >= high : operand <= high
        if isBelow { return .integer(0) }
        if isAbove {
            guard count < .max else { throw .outOfRange(.integer) }
            return .integer(count + 1)
        }
        // Halved where the span would overflow.
        let span = high - low
        let share = span.isFinite ? (operand - low) / span : (operand / 2 - low / 2) / (high / 2 - low / 2)
        let bucket = (share * Double(count)).rounded(.down) + 1
        return .integer(Int32(min(max(bucket, 1), Double(count))))
    }

    // MARK: - Decimals

    private static func decimal(_ function: ScalarFunction, _ x: Decimal, _ arguments: [Value]) throws(SQLError) -> Value {
        func second() throws(SQLError) -> Decimal {
            guard arguments.count > 1, case .numeric(let y) = arguments[1] else {
                throw Evaluation.wrongArguments(function, arguments)
            }
            return y
        }
        func digits() throws(SQLError) -> Int {
            guard arguments.count > 1 else { return 0 }
            guard case .integer(let count) = arguments[1] else { throw Evaluation.wrongArguments(function, arguments) }
            return Int(max(-1000, min(count, 1000)))
        }
        switch function {
        case .abs: return .numeric(x.magnitude)
        case .ceil: return .numeric(x.isSpecial ? x : x.ceiling)
        case .floor: return .numeric(x.isSpecial ? x : x.floor)
        case .round: return .numeric(try x.rounded(to: try digits()))
        case .trunc: return .numeric(x.truncated(to: try digits()))
        case .sign: return .numeric(x.isNaN ? .nan : Decimal(Int64(x.coefficient.signum())))
        case .div: return .numeric(try whole(x, try second()))
        case .gcd: return .numeric(try gcd(x, try second()))
        case .lcm: return .numeric(try lcm(x, try second()))
        case .numericScale: return x.isSpecial ? .null : .integer(Int32(x.scale))
        case .minScale: return x.isSpecial ? .null : .integer(Int32(x.withoutTrailingZeros.scale))
        case .trimScale: return .numeric(x.withoutTrailingZeros)
        case .sqrt: return .numeric(try DecimalFunctions.squareRoot(x))
        case .exp: return .numeric(try DecimalFunctions.exponential(x))
        case .ln: return .numeric(try DecimalFunctions.logarithm(x))
        case .log10: return .numeric(try DecimalFunctions.logarithm(x, base: Decimal(10)))
        case .log: return .numeric(try DecimalFunctions.logarithm(try second(), base: x))
        case .power: return .numeric(try DecimalFunctions.power(x, try second()))
        case .widthBucket: return try widthBucket(x, arguments)
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    /// The quotient without its fraction.
    private static func whole(_ x: Decimal, _ y: Decimal) throws(SQLError) -> Decimal {
        if x.isSpecial || y.isSpecial {
            if x.isInfinite, !y.isSpecial || y.isNaN { return try x.divided(by: y) }
            return try x.divided(by: y).truncated(to: 0)
        }
        if y.isZero { throw .divisionByZero }
        let rest = try x.remainder(dividingBy: y)
        return try x.subtracting(rest).quotient(by: y, scale: 0)
    }

    private static func gcd(_ x: Decimal, _ y: Decimal) throws(SQLError) -> Decimal {
        if x.isSpecial || y.isSpecial { return .nan }
        var (a, b) = (x.magnitude, y.magnitude)
        while !b.isZero { (a, b) = (b, try a.remainder(dividingBy: b)) }
        return try a.rounded(to: Int(max(x.scale, y.scale)))
    }

    private static func lcm(_ x: Decimal, _ y: Decimal) throws(SQLError) -> Decimal {
        if x.isSpecial || y.isSpecial { return .nan }
        let scale = Int(max(x.scale, y.scale))
        if x.isZero || y.isZero { return try Decimal.zero.rounded(to: scale) }
        let common = try gcd(x, y)
        return try whole(x.magnitude, common).multiplied(by: y.magnitude).rounded(to: scale)
    }

    private static func widthBucket(_ operand: Decimal, _ arguments: [Value]) throws(SQLError) -> Value {
        guard arguments.count == 4, case .numeric(let low) = arguments[1], case .numeric(let high) = arguments[2],
            case .integer(let count) = arguments[3]
        else { throw Evaluation.wrongArguments(.widthBucket, arguments) }
        func invalid(_ message: String) -> SQLError { SQLError(.invalidArgumentForWidthBucket, message) }
        if count <= 0 { throw invalid("count must be greater than zero") }
        if operand.isNaN || low.isNaN || high.isNaN { throw invalid("operand, lower bound, and upper bound cannot be NaN") }
        if low.isInfinite || high.isInfinite { throw invalid("lower and upper bounds must be finite") }
        if low == high { throw invalid("lower bound cannot equal upper bound") }
        let ascends = low < high
        if ascends ? operand < low : operand > low { return .integer(0) }
        if ascends ? operand >= high : operand <= high {
            guard count < .max else { throw .outOfRange(.integer) }
            return .integer(count + 1)
        }
        let offset = try operand.subtracting(low).multiplied(by: Decimal(Int64(count)))
        let bucket = try whole(offset, try high.subtracting(low)).adding(.one)
        return .integer(Int32(clamping: min(bucket.int64 ?? 0, Int64(count))))
    }
}
