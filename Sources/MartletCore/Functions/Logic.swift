/// Comparison, three-valued logic and the conditional functions.
enum Logic {
    static func evaluate(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        switch function {
        case .and: return connective(arguments, deciding: false)
        case .or: return connective(arguments, deciding: true)
        case .coalesce: return arguments.first { !$0.isNull } ?? .null
        case .greatest: return extreme(arguments) { $0 > 0 }
        case .least: return extreme(arguments) { $0 < 0 }
        default: break
        }
        guard let first = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
        switch function {
        case .isNull: return .boolean(first.isNull)
        case .isNotNull: return .boolean(!first.isNull)
        case .isTrue: return .boolean(first == .boolean(true))
        case .isNotTrue: return .boolean(first != .boolean(true))
        case .isFalse: return .boolean(first == .boolean(false))
        case .isNotFalse: return .boolean(first != .boolean(false))
        case .not:
            guard case .boolean(let value) = first else { throw Evaluation.wrongArguments(function, arguments) }
            return .boolean(!value)
        default: break
        }
        guard arguments.count == 2 else { throw Evaluation.wrongArguments(function, arguments) }
        let second = arguments[1]
        let order = Value.compare(first, second)
        switch function {
        case .equal: return .boolean(order == 0)
        case .notEqual: return .boolean(order != 0)
        case .less: return .boolean(order < 0)
        case .lessOrEqual: return .boolean(order <= 0)
        case .greater: return .boolean(order > 0)
        case .greaterOrEqual: return .boolean(order >= 0)
        case .isDistinctFrom: return .boolean(order != 0)
        case .isNotDistinctFrom: return .boolean(order == 0)
        case .nullif: return !first.isNull && !second.isNull && order == 0 ? .null : first
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    /// AND (`deciding` false) and OR (`deciding` true) of any number of operands; NULL is unknown.
    private static func connective(_ arguments: [Value], deciding: Bool) -> Value {
        var sawNull = false
        for argument in arguments {
            if argument.isNull { sawNull = true } else if argument == .boolean(deciding) { return argument }
        }
        return sawNull ? .null : .boolean(!deciding)
    }

    /// NULLs are passed over.
    private static func extreme(_ arguments: [Value], _ isBetter: (Int) -> Bool) -> Value {
        var best = Value.null
        for argument in arguments where !argument.isNull {
            if best.isNull || isBetter(Value.compare(argument, best)) { best = argument }
        }
        return best
    }
}
