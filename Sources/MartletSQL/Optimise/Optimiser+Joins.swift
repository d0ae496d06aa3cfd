internal import MartletCore

/// Conditions around joins, and ranks that make a Top-N.
extension Optimiser {
    /// A join under `conditions` over its output. What only one side knows goes to that side, where that changes nothing;
    /// what both know joins an inner join's own condition.
    func pushedJoin(
        _ left: Plan, _ right: Plan, _ given: JoinType, _ condition: Expression, _ fields: [Field], _ conditions: [Expression]
    ) -> Plan {
        let width = left.fields.count
        let type = Self.narrowed(given, conditions, width)
        var lefts: [Expression] = []
        var rights: [Expression] = []
        var own: [Expression] = []
        var above: [Expression] = []
        func isLeft(_ condition: Expression) -> Bool { !condition.columns.isEmpty && condition.columns.allSatisfy { $0 < width } }
        func isRight(_ condition: Expression) -> Bool { !condition.columns.isEmpty && condition.columns.allSatisfy { $0 >= width } }
        // ON: a side whose every row must come out keeps its rows.
        for conjunct in Self.conjuncts(condition) {
            if isLeft(conjunct), type == .inner || type == .right || type == .semi {
                lefts.append(conjunct)
            } else if isRight(conjunct), type == .inner || type == .left || type == .semi || type == .anti {
                rights.append(conjunct)
            } else {
                own.append(conjunct)
            }
        }
        for conjunct in conditions {
            if isLeft(conjunct), type != .right, type != .full {
                lefts.append(conjunct)
            } else if isRight(conjunct), type == .inner || type == .right {
                rights.append(conjunct)
            } else if type == .inner {
                own.append(conjunct)
            } else {
                above.append(conjunct)
            }
        }
        let rightConditions = rights.map { $0.renumbered { $0 - width } }
        let join = Plan.join(
            pushed(left, lefts), pushed(right, rightConditions), type, condition: Simplifier.and(own), fields: fields)
        return Self.filtered(join, above)
    }

    /// The join that is left where the conditions refuse rows with NULLs for a side.
    private static func narrowed(_ type: JoinType, _ conditions: [Expression], _ width: Int) -> JoinType {
        let refusesLeft = conditions.contains { refusesNulls($0) { $0 < width } }
        let refusesRight = conditions.contains { refusesNulls($0) { $0 >= width } }
        switch type {
        case .left: return refusesRight ? .inner : .left
        case .right: return refusesLeft ? .inner : .right
        case .full:
            if refusesLeft && refusesRight { return .inner }
            return refusesLeft ? .left : refusesRight ? .right : .full
        case .inner, .semi, .anti: return type
        }
    }

    /// Whether a condition is never true where all the columns that `isOf` names are NULL.
    private static func refusesNulls(_ condition: Expression, _ isOf: (Int) -> Bool) -> Bool {
        func isColumn(_ expression: Expression) -> Bool {
            switch expression {
            case .column(let ordinal, _): isOf(ordinal)
            case .cast(let operand, _, _): isColumn(operand)
            default: false
            }
        }
        switch condition {
        case .call(let function, let operands, _):
            return [.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual].contains(function) && operands.contains(where: isColumn)
        case .not(.isNull(let operand)): return isColumn(operand)
        case .inList(let operand, _): return isColumn(operand)
        default: return false
        }
    }

    // MARK: Top-N

    /// Takes conditions such as `rn <= 3` into the limit of the OVER node that counts; answers those that are left.
    static func withoutRanks(_ conditions: [Expression], width: Int, _ calls: [OverCall], limit: inout RankLimit?) -> [Expression] {
        var kept: [Expression] = []
        for condition in conditions {
            guard let (call, rank, isExact) = rank(condition), call >= width, calls[call - width].function.isRank, rank >= 1 else {
                kept.append(condition)
                continue
            }
            let function = calls[call - width].function
            if let known = limit {
                if known.function != function {
                    kept.append(condition)
                    continue
                }
                limit = RankLimit(function: function, rank: min(known.rank, rank))
            } else {
                limit = RankLimit(function: function, rank: rank)
            }
            if isExact && rank > 1 { kept.append(condition) }
        }
        return kept
    }

    /// The column, the greatest value it may have, and whether it must have just that.
    private static func rank(_ condition: Expression) -> (column: Int, rank: Int64, isExact: Bool)? {
        guard case .call(let function, let operands, _) = condition, operands.count == 2 else { return nil }
        func integer(_ expression: Expression) -> Int64? {
            switch expression.literalValue {
            case .integer(let value): Int64(value)
            case .bigint(let value): value
            case .smallint(let value): Int64(value)
            default: nil
            }
        }
        let isForward = operands[0].columnOrdinal != nil
        guard let column = operands[isForward ? 0 : 1].columnOrdinal, let value = integer(operands[isForward ? 1 : 0]), value < .max else {
            return nil
        }
        switch function {
        case .equal: return (column, value, true)
        case .lessOrEqual where isForward, .greaterOrEqual where !isForward: return (column, value, false)
        case .less where isForward, .greater where !isForward: return (column, value - 1, false)
        default: return nil
        }
    }
}
