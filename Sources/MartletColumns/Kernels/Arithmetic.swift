internal import MartletCore

/// Arithmetic over whole columns.
///
/// Each kernel computes every row without branches and notes in one flag whether any row is suspect (overflow, division
/// by zero, infinity out of finite numbers). Only then the suspect rows are computed again by the scalar definition,
/// which also words the error. NULL rows hold zero and are computed along; what they give is wiped at the end.
extension Kernels {
    static func arithmetic(_ call: Call, _ constants: [Column?]) -> Kernel? {
        switch call.function {
        case .add, .subtract, .multiply, .divide, .modulo: break
        case .negate: return negation(call)
        default: return nil
        }
        guard call.types.count == 2, call.types[0].withoutModifiers == call.types[1].withoutModifiers else { return nil }
        let function = call.function
        switch call.types[0] {
        case .smallint: return integers(function, Int16.self, constants)
        case .integer: return integers(function, Int32.self, constants)
        case .bigint: return integers(function, Int64.self, constants)
        case .real: return floats(function, Float.self)
        case .double: return floats(function, Double.self)
        case .numeric: return decimals(function)
        case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid, .array, .structure, .unknown:
            return nil
        }
    }

    /// Computes `operation` for all rows, and those for which `isSuspect` holds once more by the scalar definition.
    @inline(__always)
    static func checked<Left: BitwiseCopyable, Right: BitwiseCopyable, Answer: BitwiseCopyable>(
        _ call: Call, _ arguments: [Vector], _ frame: Frame, _: Left.Type, _: Right.Type, _: Answer.Type,
        _ operation: (Left, Right) -> Answer, isSuspect: (Left, Right, Answer) -> Bool
    ) -> Column {
        let count = frame.count
        let result = Column(call.result, capacity: count)
        result.count = count
        let (first, second) = (arguments[0], arguments[1])
        let left = first.column.values(Left.self)
        let right = second.column.values(Right.self)
        let answers = result.values(Answer.self)
        var suspects: UInt8 = 0
        combine(left, isConstant: first.isConstant, right, isConstant: second.isConstant, count, into: answers) {
            let answer = operation($0, $1)
            suspects |= isSuspect($0, $1, answer) ? 1 : 0
            return answer
        }
        result.finishStrict(arguments)
        if suspects != 0 {
            for row in 0..<count where !result.isNull(row) {
                if isSuspect(left[first.row(row)], right[second.row(row)], answers[row]) {
                    call.settle(row, arguments, frame, into: result)
                }
            }
        }
        return result
    }

    // MARK: - Integers

    private static func integers<Integer: FixedWidthInteger & SignedInteger & BitwiseCopyable>(
        _ function: ScalarFunction, _ type: Integer.Type, _ constants: [Column?]
    ) -> Kernel? {
        switch function {
        case .add:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 &+ $1 } isSuspect: { a, b, sum in
                    (a ^ sum) & (b ^ sum) < 0
                }
            }
        case .subtract:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 &- $1 } isSuspect: { a, b, difference in
                    (a ^ b) & (a ^ difference) < 0
                }
            }
        case .multiply:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 &* $1 } isSuspect: { a, b, _ in
                    a.multipliedReportingOverflow(by: b).overflow
                }
            }
        case .divide, .modulo:
            if let divisor = constants[1], divisor.validity == nil, let magic = DivisionByConstant(divisor) {
                return divisionByConstant(function, type, magic)
            }
            let isDivision = function == .divide
            return { call, arguments, frame in
                // 0 and -1 stand out: the one is an error, the other overflows for the least number.
                checked(call, arguments, frame, type, type, type) { a, b in
                    let isPlain = b != 0 && b != -1
                    let divisor = isPlain ? b : 1
                    let (quotient, remainder) = a.quotientAndRemainder(dividingBy: divisor)
                    return isDivision ? quotient : remainder
                } isSuspect: { _, b, _ in
                    b == 0 || b == -1
                }
            }
        default: return nil
        }
    }

    private static func divisionByConstant<Integer: FixedWidthInteger & SignedInteger & BitwiseCopyable>(
        _ function: ScalarFunction, _ type: Integer.Type, _ magic: DivisionByConstant
    ) -> Kernel {
        let isDivision = function == .divide
        return { call, arguments, frame in
            if isDivision {
                checked(call, arguments, frame, type, type, type) { a, _ in
                    Integer(truncatingIfNeeded: magic.quotient(Int64(a)))
                } isSuspect: { _, _, _ in
                    false
                }
            } else {
                checked(call, arguments, frame, type, type, type) { a, _ in
                    Integer(truncatingIfNeeded: Int64(a) &- magic.quotient(Int64(a)) &* magic.divisor)
                } isSuspect: { _, _, _ in
                    false
                }
            }
        }
    }

    // MARK: - Floating point

    private static func floats<Number: BinaryFloatingPoint & BitwiseCopyable>(
        _ function: ScalarFunction, _ type: Number.Type
    ) -> Kernel? {
        switch function {
        case .add:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 + $1 } isSuspect: { _, _, sum in
                    !(sum.magnitude <= .greatestFiniteMagnitude)
                }
            }
        case .subtract:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 - $1 } isSuspect: { _, _, difference in
                    !(difference.magnitude <= .greatestFiniteMagnitude)
                }
            }
        case .multiply:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 * $1 } isSuspect: { a, b, product in
                    let isOver = !(product.magnitude <= .greatestFiniteMagnitude)
                    let isUnder = (product == 0) && (a != 0) && (b != 0)
                    return isOver || isUnder
                }
            }
        case .divide:
            return { call, arguments, frame in
                checked(call, arguments, frame, type, type, type) { $0 / $1 } isSuspect: { a, b, quotient in
                    let isOver = !(quotient.magnitude <= .greatestFiniteMagnitude)
                    let isUnder = (quotient == 0) && (a != 0)
                    return isOver || isUnder || b == 0
                }
            }
        default: return nil
        }
    }

    private static func negation(_ call: Call) -> Kernel? {
        switch call.types.first {
        case .smallint: return negation(Int16.self)
        case .integer: return negation(Int32.self)
        case .bigint: return negation(Int64.self)
        case .double: return floatNegation(Double.self)
        case .real: return floatNegation(Float.self)
        default: return nil
        }
    }

    private static func negation<Integer: FixedWidthInteger & SignedInteger & BitwiseCopyable>(
        _ type: Integer.Type
    ) -> Kernel {
        { call, arguments, frame in
            unary(call, arguments, frame, type, type) { 0 &- $0 } isSuspect: { value, _ in value == Integer.min }
        }
    }

    private static func floatNegation<Number: BinaryFloatingPoint & BitwiseCopyable>(_ type: Number.Type) -> Kernel {
        { call, arguments, frame in
            unary(call, arguments, frame, type, type) { -$0 } isSuspect: { _, _ in false }
        }
    }

    /// `checked` for one argument.
    @inline(__always)
    static func unary<Argument: BitwiseCopyable, Answer: BitwiseCopyable>(
        _ call: Call, _ arguments: [Vector], _ frame: Frame, _: Argument.Type, _: Answer.Type, at index: Int = 0,
        _ operation: (Argument) -> Answer, isSuspect: (Argument, Answer) -> Bool
    ) -> Column {
        let count = frame.count
        let result = Column(call.result, capacity: count)
        result.count = count
        let values = arguments[index].column.values(Argument.self)
        let answers = result.values(Answer.self)
        var suspects: UInt8 = 0
        for row in 0..<count {
            let answer = operation(values[row])
            answers[row] = answer
            suspects |= isSuspect(values[row], answer) ? 1 : 0
        }
        result.finishStrict(arguments)
        if suspects != 0 {
            for row in 0..<count where !result.isNull(row) && isSuspect(values[row], answers[row]) {
                call.settle(row, arguments, frame, into: result)
            }
        }
        return result
    }
}

/// Division of 64-bit numbers by a constant as a multiplication and shifts (Warren, Hacker's Delight, section 10-1:
/// signed division by divisors ≥ 2 and ≤ -2).
struct DivisionByConstant {
    let divisor: Int64
    private let multiplier: Int64
    private let shift: Int64
    /// Added `value` times: the multiplier is two's complement of a 65-bit number where its sign differs from the divisor's.
    private let correction: Int64

    /// Nil for 0, 1 and -1, which need no multiplication or are an error.
    init?(_ column: Column) {
        switch column.physical {
        case .int16: self.init(Int64(column.int16s[0]))
        case .int32: self.init(Int64(column.int32s[0]))
        case .int64: self.init(column.int64s[0])
        default: return nil
        }
    }

    init?(_ divisor: Int64) {
        guard divisor > 1 || divisor < -1 else { return nil }
        let two63: UInt64 = 1 << 63
        let magnitude = divisor.magnitude
        let limit = two63 + (divisor < 0 ? 1 : 0)
        let bound = limit - 1 - limit % magnitude
        var power: Int64 = 63
        var (quotientBound, remainderBound) = two63.quotientAndRemainder(dividingBy: bound)
        var (quotient, remainder) = two63.quotientAndRemainder(dividingBy: magnitude)
        var delta: UInt64 = 0
        repeat {
            power += 1
            quotientBound = quotientBound &* 2
            remainderBound = remainderBound &* 2
            if remainderBound >= bound {
                quotientBound &+= 1
                remainderBound &-= bound
            }
            quotient = quotient &* 2
            remainder = remainder &* 2
            if remainder >= magnitude {
                quotient &+= 1
                remainder &-= magnitude
            }
            delta = magnitude &- remainder
        } while quotientBound < delta || (quotientBound == delta && remainderBound == 0)
        let unsigned = Int64(bitPattern: quotient &+ 1)
        multiplier = divisor < 0 ? 0 &- unsigned : unsigned
        shift = power - 64
        correction = divisor > 0 && multiplier < 0 ? 1 : (divisor < 0 && multiplier > 0 ? -1 : 0)
        self.divisor = divisor
    }

    /// Towards zero.
    @inline(__always)
    func quotient(_ value: Int64) -> Int64 {
        var high = value.multipliedFullWidth(by: multiplier).high &+ value &* correction
        high = high &>> shift
        return high &+ Int64(bitPattern: UInt64(bitPattern: high) &>> 63)
    }
}
