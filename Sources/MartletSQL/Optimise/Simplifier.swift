internal import MartletCore

/// Local rewrites that change no result: constants evaluated, logic flattened. Each constructor takes simplified operands.
enum Simplifier {
    /// The value of a cast or call over literals; nil for anything else. Throws what evaluation throws.
    static func constantValue(of expression: Expression, _ context: EvaluationContext) throws(SQLError) -> Value? {
        switch expression {
        case .cast(.literal(let value, _), let type, let explicit):
            return try value.cast(to: type, explicit: explicit, context: context)
        case .call(let function, let arguments, let type):
            // NULL decides a strict function whatever the others are.
            if function.isStrict, arguments.contains(where: { $0.literalValue?.isNull == true }) { return .null }
            // A series may be long: whoever reads it takes it value by value.
            if function == .generateSeries || function == .volatile { return nil }
            var values: [Value] = []
            values.reserveCapacity(arguments.count)
            for argument in arguments {
                guard case .literal(let value, _) = argument else { return nil }
                values.append(value)
            }
            return try function.evaluate(values, result: type, context: context)
        case .column, .literal, .cast, .and, .or, .not, .isNull, .conditional, .coalesce, .inList: return nil
        }
    }

    static func and(_ operands: [Expression]) -> Expression { chain(operands, isAnd: true) }
    static func or(_ operands: [Expression]) -> Expression { chain(operands, isAnd: false) }

    /// Flattens nested chains of the same kind, drops the neutral constant, is the absorbing one where it occurs.
    private static func chain(_ operands: [Expression], isAnd: Bool) -> Expression {
        var result: [Expression] = []
        result.reserveCapacity(operands.count)
        var isAbsorbed = false
        func add(_ operand: Expression) {
            switch operand {
            case .and(let inner) where isAnd: for each in inner { add(each) }
            case .or(let inner) where !isAnd: for each in inner { add(each) }
            case .literal(.boolean(let value), _):
                if value != isAnd { isAbsorbed = true }
            default: result.append(operand)
            }
        }
        for operand in operands { add(operand) }
        if isAbsorbed { return .literal(.boolean(!isAnd), .boolean) }
        if result.isEmpty { return .literal(.boolean(isAnd), .boolean) }
        if result.count == 1 { return result[0] }
        return isAnd ? .and(result) : .or(result)
    }

    static func not(_ operand: Expression) -> Expression {
        switch operand {
        case .literal(.boolean(let value), _): .literal(.boolean(!value), .boolean)
        case .literal(.null, _): .literal(.null, .boolean)
        case .not(let inner): inner
        default: .not(operand)
        }
    }

    static func isNull(_ operand: Expression) -> Expression {
        if case .literal(let value, _) = operand { return .literal(.boolean(value.isNull), .boolean) }
        return .isNull(operand)
    }

    static func inList(_ operand: Expression, _ values: [Value]) -> Expression {
        if case .literal(let value, _) = operand {
            return value.isNull ? .literal(.null, .boolean) : .literal(.boolean(values.contains(value)), .boolean)
        }
        var seen: Set<Value> = []
        return .inList(operand, values.filter { seen.insert($0).inserted })
    }

    /// Drops branches that are never taken and everything after one that always is.
    static func conditional(_ branches: [ConditionalBranch], otherwise: Expression, _ type: DataType) -> Expression {
        var kept: [ConditionalBranch] = []
        for branch in branches {
            switch branch.condition {
            case .literal(.boolean(true), _):
                return kept.isEmpty ? branch.result : .conditional(branches: kept, otherwise: branch.result, type)
            case .literal(.boolean(false), _), .literal(.null, _): continue
            default: kept.append(branch)
            }
        }
        return kept.isEmpty ? otherwise : .conditional(branches: kept, otherwise: otherwise, type)
    }

    static func coalesce(_ operands: [Expression], _ type: DataType) -> Expression {
        var kept: [Expression] = []
        for operand in operands {
            guard case .literal(let value, _) = operand else {
                kept.append(operand)
                continue
            }
            if value.isNull { continue }
            kept.append(operand)
            break
        }
        if kept.isEmpty { return .literal(.null, type) }
        return kept.count == 1 ? kept[0] : .coalesce(kept, type)
    }

    /// All of the above, bottom up. An error of a constant is left for run time, where only rows that need it see it.
    static func simplified(_ expression: Expression, _ context: EvaluationContext) -> Expression {
        let rebuilt = (try? expression.mapChildren { (child) throws(SQLError) in simplified(child, context) }) ?? expression
        switch rebuilt {
        case .column, .literal: return rebuilt
        case .and(let operands): return and(operands)
        case .or(let operands): return or(operands)
        case .not(let operand): return not(operand)
        case .isNull(let operand): return isNull(operand)
        case .inList(let operand, let values): return inList(operand, values)
        case .coalesce(let operands, let type): return coalesce(operands, type)
        case .conditional(let branches, let otherwise, let type): return conditional(branches, otherwise: otherwise, type)
        case .cast, .call:
            if let value = try? constantValue(of: rebuilt, context) { return .literal(value, rebuilt.type) }
            return rebuilt
        }
    }
}
