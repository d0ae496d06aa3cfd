/// `+ - * / %`, signs and bits, on numbers and on points and spans of time.
enum Arithmetic {
    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard let first = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
        if arguments.count == 1 { return try unary(function, first) }
        guard arguments.count == 2 else { throw Evaluation.wrongArguments(function, arguments) }
        let second = arguments[1]
        switch (first, second) {
        case (.smallint(let a), .smallint(let b)): return .smallint(try integers(function, a, b, .smallint))
        case (.integer(let a), .integer(let b)): return .integer(try integers(function, a, b, .integer))
        case (.bigint(let a), .bigint(let b)): return .bigint(try integers(function, a, b, .bigint))
        case (.real(let a), .real(let b)): return .real(try floats(function, a, b))
        case (.double(let a), .double(let b)): return .double(try floats(function, a, b))
        case (.numeric(let a), .numeric(let b)): return .numeric(try decimals(function, a, b))
        case (.smallint(let a), .integer(let b)):
            return .smallint(Int16(truncatingIfNeeded: shift(function, Int32(a), by: b, bits: 32)))
        case (.bigint(let a), .integer(let b)): return .bigint(shift(function, a, by: b, bits: 64))
        default: return try times(function, first, second, context)
        }
    }

    private static func unary(_ function: ScalarFunction, _ value: Value) throws(SQLError) -> Value {
        switch (function, value) {
        case (.identity, _): return value
        case (.negate, .smallint(let a)): return .smallint(try subtract(0, a, .smallint))
        case (.negate, .integer(let a)): return .integer(try subtract(0, a, .integer))
        case (.negate, .bigint(let a)): return .bigint(try subtract(0, a, .bigint))
        case (.negate, .real(let a)): return .real(-a)
        case (.negate, .double(let a)): return .double(-a)
        case (.negate, .numeric(let a)): return .numeric(a.negated)
        case (.negate, .interval(let a)): return .interval(try a.negated())
        case (.bitNot, .smallint(let a)): return .smallint(~a)
        case (.bitNot, .integer(let a)): return .integer(~a)
        case (.bitNot, .bigint(let a)): return .bigint(~a)
        default: throw Evaluation.wrongArguments(function, [value])
        }
    }

    private static func subtract<T: FixedWidthInteger>(_ a: T, _ b: T, _ type: DataType) throws(SQLError) -> T {
        let (result, overflows) = a.subtractingReportingOverflow(b)
        if overflows { throw .outOfRange(type) }
        return result
    }

    private static func integers<T: FixedWidthInteger & SignedInteger>(
        _ function: ScalarFunction, _ a: T, _ b: T, _ type: DataType
    ) throws(SQLError) -> T {
        let result: (partialValue: T, overflow: Bool)
        switch function {
        case .add: result = a.addingReportingOverflow(b)
        case .subtract: result = a.subtractingReportingOverflow(b)
        case .multiply: result = a.multipliedReportingOverflow(by: b)
        case .divide:
            if b == 0 { throw .divisionByZero }
            result = a.dividedReportingOverflow(by: b)
        case .modulo:
            if b == 0 { throw .divisionByZero }
            return b == -1 ? 0 : a % b
        case .bitAnd: return a & b
        case .bitOr: return a | b
        case .bitXor: return a ^ b
        case .shiftLeft, .shiftRight:
            return T(truncatingIfNeeded: shift(function, a, by: Int32(truncatingIfNeeded: b), bits: Int32(T.bitWidth)))
        default: throw Evaluation.wrongArguments(function, [])
        }
        if result.overflow { throw .outOfRange(type) }
        return result.partialValue
    }

    /// The distance counts modulo the width, as the processor (and so PostgreSQL) does it.
    private static func shift<T: FixedWidthInteger>(_ function: ScalarFunction, _ a: T, by b: Int32, bits: Int32) -> T {
        let distance = T(truncatingIfNeeded: b & (bits - 1))
        return function == .shiftLeft ? a &<< distance : a &>> distance
    }

    private static func floats<T: BinaryFloatingPoint>(_ function: ScalarFunction, _ a: T, _ b: T) throws(SQLError) -> T {
        let result: T
        switch function {
        case .add: result = a + b
        case .subtract: result = a - b
        case .multiply:
            result = a * b
            if result == 0, a != 0, b != 0 { throw Value.floatUnderflow }
        case .divide:
            if b == 0, !a.isNaN { throw .divisionByZero }
            result = a / b
            if result == 0, a != 0, !b.isInfinite { throw Value.floatUnderflow }
        default: throw Evaluation.wrongArguments(function, [])
        }
        if result.isInfinite, !a.isInfinite, !b.isInfinite { throw Value.floatOverflow }
        return result
    }

    private static func decimals(_ function: ScalarFunction, _ a: Decimal, _ b: Decimal) throws(SQLError) -> Decimal {
        switch function {
        case .add: return try a.adding(b)
        case .subtract: return try a.subtracting(b)
        case .multiply: return try a.multiplied(by: b)
        case .divide: return try a.divided(by: b)
        case .modulo: return try a.remainder(dividingBy: b)
        default: throw Evaluation.wrongArguments(function, [])
        }
    }

    // MARK: - Time

    private static func times(
        _ function: ScalarFunction, _ first: Value, _ second: Value, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch (function, first, second) {
        case (.add, .date(let days), .integer(let count)), (.add, .integer(let count), .date(let days)):
            return .date(try move(days, Int64(count)))
        case (.subtract, .date(let days), .integer(let count)): return .date(try move(days, -Int64(count)))
        case (.subtract, .date(let a), .date(let b)):
            if [a, b].contains(where: { $0 == .max || $0 == .min }) {
                throw SQLError(.datetimeFieldOverflow, "cannot subtract infinite dates")
            }
            return .integer(a &- b)
        case (.add, .date(let days), .interval(let span)), (.add, .interval(let span), .date(let days)):
            return .timestamp(try Timestamps.adding(span, to: Value.midnight(days)))
        case (.subtract, .date(let days), .interval(let span)):
            return .timestamp(try Timestamps.adding(span.negated(), to: Value.midnight(days)))
        case (.add, .date(let days), .time(let time)), (.add, .time(let time), .date(let days)):
            return .timestamp(try Timestamps.adding(Interval(micros: time), to: Value.midnight(days)))

        case (.add, .timestamp(let micros), .interval(let span)), (.add, .interval(let span), .timestamp(let micros)):
            return .timestamp(try Timestamps.adding(span, to: micros))
        case (.subtract, .timestamp(let micros), .interval(let span)):
            return .timestamp(try Timestamps.adding(span.negated(), to: micros))
        case (.add, .timestamptz(let micros), .interval(let span)),
            (.add, .interval(let span), .timestamptz(let micros)):
            return .timestamptz(try Timestamps.adding(span, to: micros, zone: context.zone))
        case (.subtract, .timestamptz(let micros), .interval(let span)):
            return .timestamptz(try Timestamps.adding(span.negated(), to: micros, zone: context.zone))
        case (.subtract, .timestamp(let a), .timestamp(let b)), (.subtract, .timestamptz(let a), .timestamptz(let b)):
            return .interval(try Timestamps.subtracting(b, from: a))

        case (.add, .time(let time), .interval(let span)), (.add, .interval(let span), .time(let time)):
            return .time(wrap(time, span.micros))
        case (.subtract, .time(let time), .interval(let span)): return .time(wrap(time, 0 &- span.micros % Calendar.microsPerDay))
        case (.subtract, .time(let a), .time(let b)): return .interval(Interval(micros: a &- b))

        case (.add, .interval(let a), .interval(let b)): return .interval(try a.adding(b))
        case (.subtract, .interval(let a), .interval(let b)): return .interval(try a.subtracting(b))
        case (.multiply, .interval(let span), .double(let factor)), (.multiply, .double(let factor), .interval(let span)):
            return .interval(try span.multiplied(by: factor))
        case (.divide, .interval(let span), .double(let divisor)): return .interval(try span.divided(by: divisor))
        default: throw Evaluation.wrongArguments(function, [first, second])
        }
    }

    private static func move(_ days: Int32, _ count: Int64) throws(SQLError) -> Int32 {
        if days == .max || days == .min { return days }
        let result = Int64(days) + count
        guard result >= Int64(Calendar.dateMin), result <= Int64(Calendar.dateMax) else {
            throw SQLError(.datetimeFieldOverflow, "date out of range")
        }
        return Int32(result)
    }

    /// A time of day goes round.
    private static func wrap(_ time: Int64, _ micros: Int64) -> Int64 {
        Calendar.floorDivide(time + micros % Calendar.microsPerDay, Calendar.microsPerDay).remainder
    }
}

/// What the function families share.
enum Evaluation {
    /// A call that no signature allows: the binder's mistake, told instead of trapped.
    static func wrongArguments(_ function: ScalarFunction, _ arguments: [Value]) -> SQLError {
        SQLError(
            .undefinedFunction,
            "function \(function.rawValue)(\(arguments.map(\.type.sqlName).joined(separator: ", "))) does not exist")
    }
}
