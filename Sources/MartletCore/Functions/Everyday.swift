internal import Glibc

/// Functions that take any type, and the rarer ones of mathematics and hashing.
enum Everyday {
    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .format:
            guard case .text(let pattern) = arguments.first else { return .null }
            var formatter = Formatter(pattern, arguments, context)
            return .text(try formatter.run())
        case .numNulls: return .integer(Int32(clamping: arguments.count(where: \.isNull)))
        case .numNonNulls: return .integer(Int32(clamping: arguments.count { !$0.isNull }))
        case .quoteNullable:
            return .text(arguments[0].isNull ? "NULL" : Strings.quotedLiteral(try text(arguments[0], context)))
        case .quoteAnyLiteral: return .text(Strings.quotedLiteral(try text(arguments[0], context)))
        case .typeOf: return .text(arguments[0].type.sqlName)
        case .toNumber:
            guard case .text(let text) = arguments[0], case .text(let format) = arguments[1] else { break }
            return try NumberFormat.parse(text, format).map { .numeric($0) } ?? .null
        case .widthBucketArray: return try bucket(arguments)
        case .sizePretty:
            if case .bigint(let bytes) = arguments[0] { return .text(prettySize(Int128(bytes))) }
            guard case .numeric(let bytes) = arguments[0] else { break }
            if bytes.isSpecial || bytes.magnitude < Decimal(10_240) { return .text("\(bytes.text) bytes") }
            return .text(prettySize(bytes.truncated(to: 0).coefficient))
        case .sha1, .sha224, .sha384, .sha512, .crc32, .crc32c, .setByte, .getBit, .setBit, .bitCount: return try bytes(function, arguments)
        default:
            guard case .double(let x) = arguments[0] else { break }
            var second = 0.0
            if arguments.count > 1, case .double(let y) = arguments[1] { second = y }
            return .double(try Degrees.evaluate(function, x, second))
        }
        throw Evaluation.wrongArguments(function, arguments)
    }

    /// A number of bytes in the unit that leaves fewer than 10,240 of it, rounded half away from zero.
    private static func prettySize(_ bytes: Int128) -> String {
        var size = bytes
        var units = ["bytes", "kB", "MB", "GB", "TB", "PB"][...]
        guard size.magnitude >= 10_240 else { return "\(size) bytes" }
        // One bit more than the unit, so that rounding happens once.
        size /= 512
        units.removeFirst()
        while units.count > 1, size.magnitude >= 20_480 - 1 {
            size /= 1024
            units.removeFirst()
        }
        return "\((size + size.signum()) / 2) \(units.first ?? "")"
    }

    /// The value cast to text, as `||` and quote_literal take it.
    private static func text(_ value: Value, _ context: EvaluationContext) throws(SQLError) -> String {
        guard case .text(let text) = try value.cast(to: .text, context: context) else { return "" }
        return text
    }

    private static func bytes(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        guard case .bytea(var bytes) = arguments[0] else { throw Evaluation.wrongArguments(function, arguments) }
        switch function {
        case .sha1: return .bytea(Digests.sha1(bytes))
        case .sha224: return .bytea(Digests.sha224(bytes))
        case .sha384: return .bytea(Digests.sha512(bytes, is384: true))
        case .sha512: return .bytea(Digests.sha512(bytes, is384: false))
        case .crc32: return .bigint(Int64(Digests.crc32(bytes)))
        case .crc32c: return .bigint(Int64(bytes.withUnsafeBytes { MartletCore.crc32c($0) }))
        case .bitCount: return .bigint(bytes.reduce(0) { $0 + Int64($1.nonzeroBitCount) })
        case .getBit, .setBit: return try bit(function, arguments, bytes)
        default:
            guard case .integer(let index) = arguments[1], case .integer(let new) = arguments[2] else {
                throw Evaluation.wrongArguments(function, arguments)
            }
            guard index >= 0, Int(index) < bytes.count else {
                throw SQLError(.arraySubscriptError, "index \(index) out of valid range, 0..\(bytes.count - 1)")
            }
            bytes[Int(index)] = UInt8(truncatingIfNeeded: new)
            return .bytea(bytes)
        }
    }

    /// Bits count from the lowest of the first byte.
    private static func bit(_ function: ScalarFunction, _ arguments: [Value], _ given: [UInt8]) throws(SQLError) -> Value {
        var bytes = given
        guard case .bigint(let index) = arguments[1] else { throw Evaluation.wrongArguments(function, arguments) }
        guard index >= 0, index / 8 < Int64(bytes.count) else {
            throw SQLError(.arraySubscriptError, "index \(index) out of valid range, 0..\(Int64(bytes.count) * 8 - 1)")
        }
        let (place, mask) = (Int(index / 8), UInt8(1) << UInt8(index % 8))
        guard function == .setBit else { return .integer(bytes[place] & mask == 0 ? 0 : 1) }
        guard case .integer(let new) = arguments[2], new == 0 || new == 1 else {
            throw SQLError(.invalidParameterValue, "new bit must be 0 or 1")
        }
        if new == 1 { bytes[place] |= mask } else { bytes[place] &= ~mask }
        return .bytea(bytes)
    }

    /// How many thresholds of an ascending array are not above the operand.
    private static func bucket(_ arguments: [Value]) throws(SQLError) -> Value {
        guard case .array(let thresholds) = arguments[1] else { throw Evaluation.wrongArguments(.widthBucketArray, arguments) }
        guard thresholds.dimensions.count <= 1 else {
            throw SQLError(.arraySubscriptError, "thresholds must be one-dimensional array")
        }
        guard !thresholds.values.contains(where: \.isNull) else {
            throw SQLError(.nullValueNotAllowed, "thresholds array must not contain NULLs")
        }
        var (low, high) = (0, thresholds.values.count)
        while low < high {
            let middle = (low + high) / 2
            if Value.compare(arguments[0], thresholds.values[middle]) < 0 { high = middle } else { low = middle + 1 }
        }
        return .integer(Int32(low))
    }
}

/// Trigonometry in degrees, exact at the multiples of 30, as PostgreSQL makes it: each function is scaled so that it is
/// right where the result is a round number. Also the inverse hyperbolic functions.
enum Degrees {
    private static let radians = Double.pi / 180
    private static let sin30 = Glibc.sin(30 * radians)
    private static let oneMinusCos60 = 1 - Glibc.cos(60 * radians)
    private static let asinHalf = Glibc.asin(0.5)
    private static let acosHalf = Glibc.acos(0.5)
    private static let atanOne = Glibc.atan(1.0)
    private static let tan45 = sinFirst(45) / cosFirst(45)
    private static let cot45 = cosFirst(45) / sinFirst(45)

    private static func sinLow(_ x: Double) -> Double { Glibc.sin(x * radians) / sin30 / 2 }
    private static func cosLow(_ x: Double) -> Double { 1 - (1 - Glibc.cos(x * radians)) / oneMinusCos60 / 2 }
    /// In the first quadrant.
    private static func sinFirst(_ x: Double) -> Double { x <= 30 ? sinLow(x) : cosLow(90 - x) }
    private static func cosFirst(_ x: Double) -> Double { x <= 60 ? cosLow(x) : sinLow(90 - x) }
    private static func asinFirst(_ x: Double) -> Double {
        x <= 0.5 ? Glibc.asin(x) / asinHalf * 30 : 90 - Glibc.acos(x) / acosHalf * 60
    }
    private static func acosFirst(_ x: Double) -> Double {
        x <= 0.5 ? 90 - Glibc.asin(x) / asinHalf * 30 : Glibc.acos(x) / acosHalf * 60
    }

    static func evaluate(_ function: ScalarFunction, _ x: Double, _ y: Double) throws(SQLError) -> Double {
        if x.isNaN || y.isNaN { return .nan }
        switch function {
        case .sind, .cosd, .tand, .cotd:
            guard x.isFinite else { throw Mathematics.inputOutOfRange }
            return turned(function, Glibc.fmod(x, 360))
        case .asind:
            guard x >= -1, x <= 1 else { throw Mathematics.inputOutOfRange }
            return x >= 0 ? asinFirst(x) : -asinFirst(-x)
        case .acosd:
            guard x >= -1, x <= 1 else { throw Mathematics.inputOutOfRange }
            return x >= 0 ? acosFirst(x) : 90 + asinFirst(-x)
        case .atand: return Glibc.atan(x) / atanOne * 45
        case .atan2d: return Glibc.atan2(x, y) / atanOne * 45
        case .asinh: return Glibc.asinh(x)
        case .acosh:
            guard x >= 1 else { throw Mathematics.inputOutOfRange }
            return Glibc.acosh(x)
        case .atanh:
            guard x >= -1, x <= 1 else { throw Mathematics.inputOutOfRange }
            return x == -1 ? -.infinity : x == 1 ? .infinity : Glibc.atanh(x)
        default: throw Evaluation.wrongArguments(function, [.double(x)])
        }
    }

    /// `x` is within ±360.
    private static func turned(_ function: ScalarFunction, _ given: Double) -> Double {
        var x = given
        var sign = 1.0
        switch function {
        case .sind:
            if x < 0 { (x, sign) = (-x, -sign) }
            if x > 180 { (x, sign) = (360 - x, -sign) }
            if x > 90 { x = 180 - x }
            return sign * sinFirst(x)
        case .cosd:
            if x < 0 { x = -x }
            if x > 180 { x = 360 - x }
            if x > 90 { (x, sign) = (180 - x, -sign) }
            return sign * cosFirst(x)
        default:
            if x < 0 { (x, sign) = (-x, -sign) }
            if x > 180 { (x, sign) = (360 - x, -sign) }
            if x > 90 { (x, sign) = (180 - x, -sign) }
            let quotient = function == .tand ? sinFirst(x) / cosFirst(x) / tan45 : cosFirst(x) / sinFirst(x) / cot45
            let answer = sign * quotient
            // Minus zero is no answer.
            return answer == 0 ? 0 : answer
        }
    }
}
