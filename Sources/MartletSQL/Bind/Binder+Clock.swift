internal import MartletCore

/// Conditions on now() in a query that lives on: rows come and go as time passes.
extension Binder {
    /// A filter whose conjuncts may compare something with now().
    mutating func temporal(_ plan: Plan, _ condition: Expression, at position: Int) throws(SQLError) -> Plan {
        let conjuncts = Optimiser.conjuncts(condition)
        let timed = conjuncts.filter { $0.columns.contains(Block.now) }
        if timed.isEmpty { return try counted(.filter(plan, condition), at: position) }
        var result = Optimiser.filtered(plan, conjuncts.filter { !$0.columns.contains(Block.now) })
        for conjunct in timed {
            if case .or(let operands) = conjunct {
                result = try alternatives(result, operands, at: position)
                continue
            }
            guard let (from, until) = span(conjunct) else {
                throw .notSupported(
                    "this condition on now()", at: position,
                    hint: "Compare a time of the row by <, <=, =, > or >= with now(), or with date_trunc() of it, plus or minus intervals.")
            }
            result = try counted(.temporal(result, from: from, until: until), at: position)
        }
        return result
    }

    /// `a OR b`, where one of them asks the clock: the rows for which the others hold stay whatever it says.
    private mutating func alternatives(_ plan: Plan, _ operands: [Expression], at position: Int) throws(SQLError) -> Plan {
        let timed = operands.filter { $0.columns.contains(Block.now) }
        let lasting = operands.filter { !$0.columns.contains(Block.now) }
        guard timed.count == 1, !lasting.isEmpty else {
            throw .notSupported("OR of several conditions on now()", at: position, hint: "Write a UNION of queries with one each.")
        }
        let lasts = Simplifier.or(lasting)
        let staying = Plan.filter(plan, .call(.isTrue, [lasts], .boolean))
        let moving = try temporal(.filter(plan, .call(.isNotTrue, [lasts], .boolean)), timed[0], at: position)
        return try counted(.unionAll([staying, moving], fields: plan.fields), at: position)
    }

    /// From when, and until when, a comparison with the clock holds.
    private func span(_ condition: Expression) -> (from: Expression?, until: Expression?)? {
        guard case .call(let function, let operands, _) = condition, operands.count == 2 else { return nil }
        let isSwapped = operands[0].columns.contains(Block.now)
        let (row, clock) = isSwapped ? (operands[1], operands[0]) : (operands[0], operands[1])
        guard !row.columns.contains(Block.now) else { return nil }
        // What is said of the clock: it is at least `row` or what follows it, or before one of them.
        guard let next = Self.following(row) else { return nil }
        func bound(_ value: Expression) -> Expression? { Self.solve(clock, value) }
        switch (function, isSwapped) {
        case (.less, false), (.greater, true): return bound(next).map { ($0, nil) }
        case (.lessOrEqual, false), (.greaterOrEqual, true): return bound(row).map { ($0, nil) }
        case (.greater, false), (.less, true): return bound(row).map { (nil, $0) }
        case (.greaterOrEqual, false), (.lessOrEqual, true): return bound(next).map { (nil, $0) }
        case (.equal, _):
            guard let from = bound(row), let until = bound(next) else { return nil }
            return (from, until)
        default: return nil
        }
    }

    /// The first value behind one; nil: values of its type do not follow each other.
    private static func following(_ value: Expression) -> Expression? {
        switch value.type {
        case .timestamp, .timestamptz: .call(.add, [value, .literal(.interval(Interval(micros: 1)), .interval)], value.type)
        case .date: .call(.add, [value, .literal(.integer(1), .integer)], .date)
        default: nil
        }
    }

    /// The instant from which on a rising function of now() is at least `value`: intervals are brought to its side, and where
    /// the clock is cut off, the first cut that is not below it counts. nil: it is no such function.
    private static func solve(_ clock: Expression, _ value: Expression) -> Expression? {
        guard clock.type == value.type else { return nil }
        switch clock {
        case .column(Block.now, _): return value
        case .cast(let inner, _, _):
            switch (inner.type, clock.type) {
            case (.timestamptz, .timestamp), (.timestamptz, .date), (.timestamp, .timestamptz), (.timestamp, .date):
                return solve(inner, .cast(value, inner.type, explicit: true))
            default: return nil
            }
        case .call(.dateTrunc, let operands, _):
            guard operands.count >= 2, case .literal(.text(let unit), _) = operands[0], let interval = try? Interval(text: unit.lowercasedASCII == "quarter" ? "3 months" : "1 \(unit)"),
                !operands.dropFirst(2).contains(where: { $0.columns.contains(Block.now) })
            else { return nil }
            return solve(operands[1], cut(operands, at: 1, value, by: .literal(.interval(interval), .interval)))
        case .call(.dateBin, let operands, _):
            guard operands.count == 3, operands[0].columns.isEmpty, operands[2].columns.isEmpty else { return nil }
            return solve(operands[1], cut(operands, at: 1, value, by: operands[0], .dateBin))
        case .call(let function, let operands, _) where operands.count == 2 && operands[1].type == .interval:
            guard function == .add || function == .subtract, !operands[1].columns.contains(Block.now), operands[0].type == clock.type
            else { return nil }
            return solve(operands[0], .call(function == .add ? .subtract : .add, [value, operands[1]], value.type))
        default: return nil
        }
    }

    /// The first cut at or behind `value`: behind the one below what is just before it.
    private static func cut(
        _ operands: [Expression], at place: Int, _ value: Expression, by length: Expression, _ function: ScalarFunction = .dateTrunc
    ) -> Expression {
        var operands = operands
        operands[place] = .call(.subtract, [value, .literal(.interval(Interval(micros: 1)), .interval)], value.type)
        return .call(.add, [.call(function, operands, value.type), length], value.type)
    }
}
