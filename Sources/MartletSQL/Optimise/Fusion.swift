internal import MartletCore

/// Projections put into the expressions that read them.
enum Fusion {
    /// `expression` over the input of a projection of `inner`; nil where that would copy work or grow too large.
    static func substituted(_ expression: Expression, _ inner: [Expression], copiesAllowed: Bool = true) -> Expression? {
        guard isCheap([expression], inner, copiesAllowed: copiesAllowed) else { return nil }
        return expression.substituting(inner)
    }

    /// Without copies: what is not a column or a constant may be read once. With copies: only small expressions may be copied.
    static func isCheap(_ outer: [Expression], _ inner: [Expression], copiesAllowed: Bool) -> Bool {
        if inner.allSatisfy(\.isTrivial) { return true }
        var uses: [Int: Int] = [:]
        for expression in outer { expression.forEachColumn { uses[$0, default: 0] += 1 } }
        var isHigh = false
        for (ordinal, count) in uses where ordinal < inner.count && !inner[ordinal].isTrivial {
            if inner[ordinal].isVolatile { return false }
            if count > 1 {
                guard copiesAllowed, count <= 16, inner[ordinal].size(limit: 65) <= 64 else { return false }
            }
            isHigh = true
        }
        guard isHigh else { return true }
        let outerHeight = outer.lazy.map(\.height).max() ?? 0
        let innerHeight = uses.keys.lazy.filter { $0 < inner.count }.map { inner[$0].height }.max() ?? 0
        return outerHeight + innerHeight <= Optimiser.heightMax
    }

    /// project(project) → project; aggregate(project) → aggregate; over(project of columns) → over.
    static func fused(_ plan: Plan) -> Plan {
        let mapped = plan.mapInputs(fused)
        switch mapped {
        case .project(.project(let input, let inner, _), let outer, let fields):
            guard isCheap(outer, inner, copiesAllowed: false) else { return mapped }
            return refused(.project(input, outer.map { $0.substituting(inner) }, fields))
        case .project(.values(let rows, _), let outer, let fields):
            // Constant rows: only where nothing is computed twice.
            guard outer.allSatisfy(\.isTrivial), !rows.contains(where: { $0.contains(where: \.isVolatile) }) else { return mapped }
            return .values(rows.map { row in outer.map { $0.substituting(row) } }, fields: fields)
        case .aggregate(.project(let input, let inner, _), let keys, let calls, let window, let fields):
            let operands: [Expression] = keys + calls.flatMap { $0.operands }
            // Directly above a window the aggregate must see it, so small expressions may be copied.
            guard isCheap(operands, inner, copiesAllowed: input.isWindow) else { return mapped }
            let newKeys = keys.map { $0.substituting(inner) }
            // Two keys that became one expression, or a key that became a constant, are still keys.
            return .aggregate(
                input, keys: newKeys, calls: calls.map { call in call.mapped { $0.substituting(inner) } }, window: window, fields: fields)
        case .filter(.filter(let input, let inner), let outer):
            return .filter(input, Simplifier.and([inner, outer]))
        case .source, .relation, .view, .recursive, .filter, .project, .window, .session, .aggregate, .over, .join, .temporal, .repeated, .unionAll,
            .values, .unnested, .lookup, .changelog, .stamped, .emitOnWindowClose:
            return mapped
        }
    }

    /// The input of a fused projection may be a projection again.
    private static func refused(_ plan: Plan) -> Plan {
        guard case .project(.project(let input, let inner, _), let outer, let fields) = plan, isCheap(outer, inner, copiesAllowed: false) else {
            return plan
        }
        return refused(.project(input, outer.map { $0.substituting(inner) }, fields))
    }

    // MARK: Windows

    /// Names the keys of aggregates that are the bounds of the window node below.
    static func withWindows(_ plan: Plan) -> Plan {
        let mapped = plan.mapInputs(withWindows)
        guard case .aggregate(let input, let keys, let calls, _, let fields) = mapped, case .window(_, _, let shape, let inputFields) = input,
            !shape.isCumulative
        else {
            return mapped
        }
        func key(_ ordinal: Int) -> Int? {
            keys.firstIndex { $0.columnOrdinal == ordinal }
        }
        let start = key(inputFields.count - 2)
        let end = key(inputFields.count - 1)
        let window = start == nil && end == nil ? nil : AggregateWindow(startKey: start, endKey: end)
        return .aggregate(input, keys: keys, calls: calls, window: window, fields: fields)
    }

    /// Removes projections that give back their input; at the top only where the names agree too.
    static func withoutIdentity(_ plan: Plan, isTop: Bool) -> Plan {
        let inputIsTop = if case .emitOnWindowClose = plan { isTop } else { false }
        let mapped = plan.mapInputs { withoutIdentity($0, isTop: inputIsTop) }
        guard case .project(let input, let expressions, let fields) = mapped else { return mapped }
        let given = input.fields
        guard given.count == expressions.count, !isTop || given.map(\.name) == fields.map(\.name) else { return mapped }
        for (ordinal, expression) in expressions.enumerated() {
            guard case .column(ordinal, _) = expression else { return mapped }
        }
        return input
    }
}

extension Plan {
    var isWindow: Bool { if case .window = self { true } else { false } }
}
