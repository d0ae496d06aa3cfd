internal import MartletCore

/// Comparisons: a byte per row.
extension Kernels {
    static func comparison(_ call: Call) -> Kernel? {
        switch call.function {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: break
        default: return nil
        }
        guard call.types.count == 2 else { return nil }
        let physical = PhysicalType(call.types[0])
        guard physical == PhysicalType(call.types[1]), [call.types[0], call.types[1]].allSatisfy({ $0 != .jsonb && !$0.isNested })
        else { return nil }
        let function = call.function
        switch physical {
        case .bool: return integers(function, UInt8.self)
        case .int16: return integers(function, Int16.self)
        case .int32: return integers(function, Int32.self)
        case .int64: return integers(function, Int64.self)
        case .float: return floats(function, Float.self)
        case .double: return floats(function, Double.self)
        case .decimal: return decimals(comparing: function)
        case .view: return texts(function)
        case .interval: return rows(function) { a, i, b, j in order(a.intervals[i], b.intervals[j]) }
        case .uuid: return rows(function) { a, i, b, j in order(a.uuids[i], b.uuids[j]) }
        }
    }

    /// Writes `operation` of every row; NULLs of the arguments follow.
    @inline(__always)
    private static func compare<Value: BitwiseCopyable>(
        _ arguments: [Vector], _ frame: Frame, _: Value.Type, _ operation: (Value, Value) -> Bool
    ) -> Column {
        let result = Column(.boolean, capacity: frame.count)
        result.count = frame.count
        let (first, second) = (arguments[0], arguments[1])
        combine(
            first.column.values(Value.self), isConstant: first.isConstant, second.column.values(Value.self),
            isConstant: second.isConstant, frame.count, into: result.bools
        ) { operation($0, $1) ? 1 : 0 }
        result.finishStrict(arguments)
        return result
    }

    private static func integers<Value: FixedWidthInteger & BitwiseCopyable>(
        _ function: ScalarFunction, _ type: Value.Type
    ) -> Kernel {
        switch function {
        case .equal: { _, arguments, frame in compare(arguments, frame, type) { $0 == $1 } }
        case .notEqual: { _, arguments, frame in compare(arguments, frame, type) { $0 != $1 } }
        case .less: { _, arguments, frame in compare(arguments, frame, type) { $0 < $1 } }
        case .lessOrEqual: { _, arguments, frame in compare(arguments, frame, type) { $0 <= $1 } }
        case .greater: { _, arguments, frame in compare(arguments, frame, type) { $0 > $1 } }
        default: { _, arguments, frame in compare(arguments, frame, type) { $0 >= $1 } }
        }
    }

    /// `x != x` is NaN, which equals itself and is above everything.
    private static func floats<Value: BinaryFloatingPoint & BitwiseCopyable>(
        _ function: ScalarFunction, _ type: Value.Type
    ) -> Kernel {
        switch function {
        case .equal: { _, arguments, frame in compare(arguments, frame, type) { ($0 == $1) || ($0 != $0 && $1 != $1) } }
        case .notEqual:
            { _, arguments, frame in compare(arguments, frame, type) { !(($0 == $1) || ($0 != $0 && $1 != $1)) } }
        case .less: { _, arguments, frame in compare(arguments, frame, type) { ($0 < $1) || ($1 != $1 && $0 == $0) } }
        case .lessOrEqual: { _, arguments, frame in compare(arguments, frame, type) { ($0 <= $1) || ($1 != $1) } }
        case .greater: { _, arguments, frame in compare(arguments, frame, type) { ($0 > $1) || ($0 != $0 && $1 == $1) } }
        default: { _, arguments, frame in compare(arguments, frame, type) { ($0 >= $1) || ($0 != $0) } }
        }
    }

    @inline(__always)
    static func holds(_ function: ScalarFunction, _ order: Int) -> Bool {
        switch function {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        default: order >= 0
        }
    }

    @inline(__always)
    private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
        left < right ? -1 : (left == right ? 0 : 1)
    }

    /// Row by row with a three-way order; rows with a NULL are not asked.
    private static func rows(
        _ function: ScalarFunction, _ order: @escaping (Column, Int, Column, Int) -> Int
    ) -> Kernel {
        { _, arguments, frame in
            let result = Column(.boolean, capacity: frame.count)
            result.count = frame.count
            let (first, second) = (arguments[0], arguments[1])
            for row in 0..<frame.count {
                let isNull = first.isNull(row) || second.isNull(row)
                let isTrue =
                    !isNull && holds(function, order(first.column, first.row(row), second.column, second.row(row)))
                result.bools[row] = isTrue ? 1 : 0
            }
            result.finishStrict(arguments)
            return result
        }
    }

    /// Numbers of one scale compare by coefficient.
    private static func decimals(comparing function: ScalarFunction) -> Kernel {
        rows(function) { a, i, b, j in
            guard let scale = a.scales?[i], let otherScale = b.scales?[j] else { return 0 }
            if scale == otherScale, scale <= Decimal.scaleMax { return order(a.coefficients[i], b.coefficients[j]) }
            return order(a.decimal(i), b.decimal(j))
        }
    }

    // MARK: - Text

    private static func texts(_ function: ScalarFunction) -> Kernel {
        switch function {
        case .equal, .notEqual:
            let isEqual = function == .equal
            return { _, arguments, frame in
                for (constant, other) in [(arguments[0], arguments[1]), (arguments[1], arguments[0])]
                where constant.isConstant && constant.column.views[0].isInline {
                    // A short constant equals a view iff all 16 bytes do.
                    let wanted = constant.column.views[0]
                    let result = Column(.boolean, capacity: frame.count)
                    result.count = frame.count
                    let views = other.column.views
                    let answers = result.bools
                    let unequal: UInt8 = isEqual ? 0 : 1
                    for row in 0..<frame.count {
                        let difference = (views[row].head ^ wanted.head) | (views[row].tail ^ wanted.tail)
                        answers[row] = (difference == 0 ? 1 : 0) ^ unequal
                    }
                    result.finishStrict(arguments)
                    return result
                }
                return compare(arguments, frame, StringView.self) { ($0 == $1) == isEqual }
            }
        default:
            return { _, arguments, frame in
                compare(arguments, frame, StringView.self) { holds(function, order($0, $1)) }
            }
        }
    }

    /// By bytes: the first four decide most.
    @inline(__always)
    private static func order(_ left: StringView, _ right: StringView) -> Int {
        let a = UInt32(truncatingIfNeeded: left.head &>> 32).byteSwapped
        let b = UInt32(truncatingIfNeeded: right.head &>> 32).byteSwapped
        // Bytes past the end are zero, and a run that ends is below one that goes on with a NUL: equal prefixes decide nothing.
        if a != b { return a < b ? -1 : 1 }
        return Int(StringView.compare(left, right))
    }
}
