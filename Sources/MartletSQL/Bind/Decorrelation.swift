internal import MartletCore

/// A subquery that may read columns of the query around it, made into a plan that does not: the conditions that read them
/// are taken out, to be the condition of a join.
struct Subquery {
    /// Without references to the outside.
    var plan: Plan
    /// The subquery's own columns.
    var fields: [Field]
    /// What the subquery gives, over outer columns (`Block.outerBase` + ordinal) and the plan's.
    var outputs: [Expression]
    /// What must hold between an outer row and the plan's, in the same terms.
    var correlations: [Expression]
    /// Outer columns (without `Block.outerBase`) whose values the plan is run beside; it has a placeholder for them.
    var domain: [(ordinal: Int, type: DataType)] = []
    /// The outputs where no row came, of an aggregate that has a row even then.
    var nothing: [Expression]?

    var isCorrelated: Bool { !correlations.isEmpty || outputs.contains { $0.columns.contains { Block.isNear($0) } } }

    /// Ordinals of the columns that it reads of the query directly around.
    var nearColumns: Set<Int> {
        let read = (outputs + correlations + (nothing ?? [])).flatMap(\.columns).filter { Block.isNear($0) }.map { $0 - Block.outerBase }
        return Set(read + domain.map(\.ordinal))
    }

    private static func placed(_ expression: Expression, _ width: Int) -> Expression {
        expression.renumbered {
            if Block.isNear($0) { return $0 - Block.outerBase }
            // A column of a query further out is one level nearer there.
            return Block.isOuter($0) ? $0 - Block.levelStride : $0 + width
        }
    }

    /// The join's condition, the outer side having `width` columns.
    func conditions(_ width: Int) -> [Expression] { correlations.map { Self.placed($0, width) } }

    /// The results, over the join's columns, of a left join: an aggregate has a value where nothing matched.
    func resultsOrNothing(_ width: Int) -> [Expression] {
        guard let nothing else { return results(width, isOptional: true) }
        let isMatched = Expression.not(.isNull(.column(width + plan.fields.count - 1, .boolean)))
        return zip(results(width, isOptional: true), nothing).map { result, nothing in
            if nothing.literalValue.map({ $0.isNull }) ?? false { return result }
            return .conditional(
                branches: [ConditionalBranch(condition: isMatched, result: result)], otherwise: Self.placed(nothing, width), result.type)
        }
    }

    /// The results, over the join's columns. `isOptional`: a row without a match gives NULLs.
    func results(_ width: Int, isOptional: Bool) -> [Expression] {
        outputs.map { output in
            let placed = Self.placed(output, width)
            if !isOptional || output.columnOrdinal.map({ !Block.isNear($0) }) ?? false { return placed }
            let isMatched = Expression.not(.isNull(.column(width + plan.fields.count - 1, .boolean)))
            return .conditional(
                branches: [ConditionalBranch(condition: isMatched, result: placed)], otherwise: .literal(.null, placed.type), placed.type)
        }
    }

    /// Columns of queries further out, left in the plan, as seen from the query around it.
    mutating func bringNearer() {
        plan = plan.mapExpressions { expression in
            expression.renumbered { Block.isOuter($0) && !Block.isNear($0) ? $0 - Block.levelStride : $0 }
        }
    }

    /// A column of TRUE at the end of the plan, by which a join's result shows whether there was a match.
    mutating func addMarker() {
        let fields = plan.fields
        plan = .project(
            plan, fields.enumerated().map { .column($0.offset, $0.element.type) } + [.literal(.boolean(true), .boolean)],
            fields + [Field(name: "matched", type: .boolean)])
    }
}

/// Takes what reads outer columns out of a plan, from the top down.
struct Decorrelation {
    let position: Int

    /// By conditions taken out where that will do, else beside the values that it reads.
    static func subquery(_ plan: Plan, at position: Int) throws(SQLError) -> Subquery {
        var subquery: Subquery
        do throws(SQLError) {
            subquery = try pulledSubquery(plan, at: position)
        } catch {
            guard error.state == .featureNotSupported, let spread = try Spreading.subquery(plan, at: position) else { throw error }
            subquery = spread
        }
        subquery.bringNearer()
        return subquery
    }

    private static func pulledSubquery(_ plan: Plan, at position: Int) throws(SQLError) -> Subquery {
        let work = Decorrelation(position: position)
        // The topmost projection may compute with outer columns, or raise an error for what no outer row asks: it is done behind
        // the join.
        if case .project(let input, let expressions, let fields) = plan, expressions.contains(where: { work.isOuter($0) || $0.asksForOneRow }) {
            let (below, conditions) = try work.pulled(input)
            return Subquery(plan: below, fields: fields, outputs: expressions, correlations: conditions)
        }
        if case .values(let rows, let fields) = plan, rows.count == 1, rows[0].contains(where: work.isOuter) {
            return Subquery(plan: .values([[]], fields: []), fields: fields, outputs: rows[0], correlations: [])
        }
        let (below, conditions) = try work.pulled(plan)
        let fields = plan.fields
        return Subquery(
            plan: below, fields: fields, outputs: fields.enumerated().map { .column($0.offset, $0.element.type) },
            correlations: conditions)
    }

    private func isOuter(_ expression: Expression) -> Bool { expression.columns.contains { Block.isNear($0) } }

    private func reads(_ plan: Plan) -> Bool {
        var found = false
        _ = plan.mapExpressions { expression in
            found = found || isOuter(expression)
            return expression
        }
        return found
    }

    private func refused(_ what: String) -> SQLError {
        .notSupported(
            "a correlated subquery with \(what)", at: position,
            hint: "Compare columns of both queries in the subquery's WHERE, or write it as a join.")
    }

    /// The plan without outer references, its own columns first, and the conditions taken out of it.
    private func pulled(_ plan: Plan) throws(SQLError) -> (plan: Plan, conditions: [Expression]) {
        guard reads(plan) else { return (plan, []) }
        switch plan {
        case .filter(let input, let condition):
            let (below, conditions) = try pulled(input)
            let conjuncts = Optimiser.conjuncts(condition)
            let kept = Optimiser.filtered(below, conjuncts.filter { !isOuter($0) })
            return (kept, conditions + conjuncts.filter(isOuter))
        case .project(let input, let expressions, let fields):
            if expressions.contains(where: isOuter) { throw refused("outer columns in a nested select list") }
            let (below, conditions) = try pulled(input)
            var all = expressions
            var names = fields
            let given = below.fields
            let moved = conditions.map { condition in
                condition.renumbered { ordinal in
                    if Block.isOuter(ordinal) { return ordinal }
                    let column = Expression.column(ordinal, given[ordinal].type)
                    if let known = all.firstIndex(of: column) { return known }
                    all.append(column)
                    names.append(given[ordinal])
                    return all.count - 1
                }
            }
            return (.project(below, all, names), moved)
        case .aggregate(let input, let keys, let calls, _, let fields):
            return try pulledAggregate(input, keys, calls, fields)
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            if (partition + order.map(\.expression) + calls.flatMap(\.operands)).contains(where: isOuter) {
                throw refused("outer columns in OVER")
            }
            let (below, conditions) = try pulled(input)
            let pairs = try equalities(conditions, "OVER, other than by equality")
            let given = below.fields
            let width = fields.count - calls.count
            let over = Plan.over(
                below, partition: partition + pairs.map(\.inner), order: order, calls: calls, limit: limit,
                fields: given + fields.suffix(calls.count))
            return try ordered(
                over, Array(0..<width) + Array(given.count..<given.count + calls.count), fields, pairs.map(\.outer), pairs.map(\.inner))
        case .join(let left, let right, let type, let condition, let fields):
            return try pulledJoin(left, right, type, condition, fields)
        case .source, .relation, .view, .window, .session, .temporal, .repeated, .unionAll, .values, .unnested, .lookup, .changelog,
            .stamped, .recursive, .emitOnWindowClose:
            throw refused("outer columns below a set operation, a window or the like")
        }
    }

    /// Conditions of the form outer = inner.
    private func equalities(_ conditions: [Expression], _ what: String) throws(SQLError) -> [(outer: Expression, inner: Expression)] {
        var pairs: [(outer: Expression, inner: Expression)] = []
        for condition in conditions {
            guard case .call(.equal, let operands, _) = condition, operands.count == 2 else { throw refused(what) }
            func isOuterOnly(_ expression: Expression) -> Bool { expression.columns.allSatisfy { Block.isNear($0) } }
            if isOuterOnly(operands[0]), !isOuter(operands[1]) {
                pairs.append((operands[0], operands[1]))
            } else if isOuterOnly(operands[1]), !isOuter(operands[0]) {
                pairs.append((operands[1], operands[0]))
            } else {
                throw refused(what)
            }
        }
        return pairs
    }

    /// An aggregate per outer row is one per value of what the outer row is compared with.
    private func pulledAggregate(
        _ input: Plan, _ keys: [Expression], _ calls: [AggregateCall], _ fields: [Field]
    ) throws(SQLError) -> (plan: Plan, conditions: [Expression]) {
        if (keys + calls.flatMap(\.operands)).contains(where: isOuter) { throw refused("outer columns in an aggregate") }
        let (below, conditions) = try pulled(input)
        let pairs = try equalities(conditions, "an aggregate, other than by equality")
        let all = keys + pairs.map(\.inner)
        let names = Array(fields.prefix(keys.count)) + pairs.map { Field(name: "key", type: $0.inner.type) } + fields.suffix(calls.count)
        let aggregate = Plan.aggregate(below, keys: all, calls: calls, window: nil, fields: names)
        let order = Array(0..<keys.count) + Array(all.count..<all.count + calls.count)
        let extra = pairs.indices.map { Expression.column(keys.count + $0, pairs[$0].inner.type) }
        return try ordered(aggregate, order, fields, pairs.map(\.outer), extra)
    }

    /// `plan`'s columns at `own`, then those that the conditions `outer = inner` need.
    private func ordered(
        _ plan: Plan, _ own: [Int], _ fields: [Field], _ outer: [Expression], _ inner: [Expression]
    ) throws(SQLError) -> (plan: Plan, conditions: [Expression]) {
        let given = plan.fields
        let columns = own.map { Expression.column($0, given[$0].type) }
        let names = fields + inner.map { Field(name: "key", type: $0.type) }
        let conditions = zip(outer, inner).enumerated().map { at, pair in
            Expression.call(.equal, [pair.0, .column(own.count + at, pair.1.type)], .boolean)
        }
        return (.project(plan, columns + inner, names), conditions)
    }

    private func pulledJoin(
        _ left: Plan, _ right: Plan, _ type: JoinType, _ condition: Expression, _ fields: [Field]
    ) throws(SQLError) -> (plan: Plan, conditions: [Expression]) {
        let readsRight = reads(right)
        if readsRight, type != .inner { throw refused("outer columns on the inner side of an outer join") }
        let own = Optimiser.conjuncts(condition)
        if own.contains(where: isOuter), type != .inner { throw refused("outer columns in the condition of an outer join") }
        if type == .right || type == .full { throw refused("outer columns below a right or full join") }
        let (newLeft, lefts) = try pulled(left)
        let (newRight, rights) = try pulled(right)
        let (width, newWidth) = (left.fields.count, newLeft.fields.count)
        let shifted = own.map { $0.renumbered { Block.isOuter($0) || $0 < width ? $0 : $0 - width + newWidth } }
        let isLeftOnly = type == .semi || type == .anti
        let all = newLeft.fields + (isLeftOnly ? [] : newRight.fields)
        let join = Plan.join(newLeft, newRight, type, condition: Simplifier.and(shifted.filter { !isOuter($0) }), fields: all)
        let conditions = lefts + rights.map { $0.renumbered { Block.isOuter($0) ? $0 : $0 + newWidth } } + shifted.filter(isOuter)
        // The node's own columns first.
        var places = Array(0..<width)
        if !isLeftOnly { places += Array(newWidth..<newWidth + right.fields.count) }
        let rest = all.indices.filter { !places.contains($0) }
        let order = places + rest
        var back: [Int: Int] = [:]
        for (new, old) in order.enumerated() { back[old] = new }
        let names = fields + rest.map { all[$0] }
        return (
            .project(join, order.map { .column($0, all[$0].type) }, names),
            conditions.map { $0.renumbered { Block.isOuter($0) ? $0 : back[$0] ?? $0 } }
        )
    }
}

extension Expression {
    fileprivate var asksForOneRow: Bool {
        if case .call(.oneRow, _, _) = self { return true }
        return children.contains(where: \.asksForOneRow)
    }
}

extension Plan {
    /// Never more than one row.
    var isSingleRow: Bool {
        switch self {
        case .aggregate(_, let keys, _, _, _): keys.isEmpty
        case .filter(let input, _), .project(let input, _, _), .temporal(let input, _, _): input.isSingleRow
        case .values(let rows, _): rows.count <= 1
        case .over(_, let partition, _, _, let limit, _): partition.isEmpty && limit == RankLimit(function: .rowNumber, rank: 1)
        case .source, .relation, .view, .recursive, .window, .session, .join, .repeated, .unionAll, .unnested, .lookup, .changelog, .stamped,
            .emitOnWindowClose:
            false
        }
    }

    /// What a projection over an aggregate without keys gives where no row came, column by column; nil: this is no such plan.
    func valuesOfNothing(_ context: EvaluationContext) -> [Expression]? {
        guard case .project(.aggregate(_, let keys, let calls, _, _), let expressions, _) = self, keys.isEmpty else { return nil }
        let empty = calls.map { call -> Expression in
            call.function.countsNothing ? .literal(.bigint(0), .bigint) : .literal(.null, call.type)
        }
        return expressions.map { Simplifier.simplified($0.substituting(empty), context) }
    }

    /// The same value of a scalar subquery without HAVING: NULL where HAVING would leave no row. So it can still be told from
    /// one over no rows at all, for which HAVING may hold.
    var withoutHaving: Plan {
        guard case .project(.filter(let below, let condition), let expressions, let fields) = self,
            case .aggregate(_, let keys, _, _, _) = below, keys.isEmpty, expressions.allSatisfy({ $0.type != .unknown })
        else { return self }
        let values = expressions.map { value in
            Expression.conditional(
                branches: [ConditionalBranch(condition: condition, result: value)], otherwise: .literal(.null, value.type), value.type)
        }
        return .project(below, values, fields)
    }
}

extension AggregateFunction {
    /// Over no rows it is 0, not NULL.
    var countsNothing: Bool { self == .count || self == .countAll || self == .regrCount || self == .approxCountDistinct }
}
