internal import MartletCore

/// Joins with what another relation held at a time, and a relation's changes as rows.
extension Binder {
    /// `left JOIN t FOR SYSTEM_TIME AS OF time ON …`: by the clock (`PROCTIME()`) a lookup, by a time of the left rows the latest
    /// version up to it.
    mutating func version(
        _ left: (Plan, Scope), _ name: ObjectName, _ alias: AliasSyntax?, at time: ExpressionSyntax, _ syntax: JoinSyntax
    ) throws(SQLError) -> (Plan, Scope) {
        guard syntax.kind == .inner || syntax.kind == .left else {
            throw .notSupported("\(syntax.kind.rawValue) with FOR SYSTEM_TIME AS OF", at: syntax.position, hint: "Use JOIN or LEFT JOIN.")
        }
        guard case .on(let conditionSyntax) = syntax.condition else {
            throw .syntaxError("a join with FOR SYSTEM_TIME AS OF needs ON", at: syntax.position)
        }
        let right = try aliased(try relation(name), alias, default: name.last.text)
        let scope = try beside(left.1, right.1, at: syntax.position)
        let condition = try joinCondition(conditionSyntax, scope)
        let (plan, fields) = (left.0, left.0.fields + right.0.fields)
        let isOuter = syntax.kind == .left
        if Self.isClock(time) {
            let parts = JoinCondition(condition, leftWidth: plan.fields.count)
            guard !parts.keys.isEmpty else {
                throw .notSupported("a lookup without an equality of columns of both sides", at: conditionSyntax.position)
            }
            return (try counted(.lookup(plan, right.0, Lookup(isOuter: isOuter), condition: condition, fields: fields), at: syntax.position), scope)
        }
        let block = Block(scope: left.1)
        block.clause = .join
        let moment = try bind(time, block)
        guard right.0.isAppendOnly(in: catalog), let column = right.0.eventTimeColumns(in: catalog).min() else {
            throw .notSupported(
                "FOR SYSTEM_TIME AS OF a time of the rows, of \"\(name.last.text)\"", at: time.position,
                hint: "It needs a relation that only grows and has a watermark, by which its versions are told apart.")
        }
        let stamp = Bound(.column(plan.fields.count + column, right.0.fields[column].type))
        let isEarlier = try resolved("<=", [stamp, moment], [time.position, time.position], isOperator: true, at: time.position).expression
        if case .call(.lessOrEqual, let operands, _) = isEarlier,
            let found = try nearest(
                plan, right.0, condition, Nearest(left: operands[1], right: operands[0], isBackward: true, isStrict: false), isOuter: isOuter,
                at: syntax.position)
        {
            return (found, scope)
        }
        return (
            try latest(
                plan, right.0, Simplifier.and(Optimiser.conjuncts(condition) + [isEarlier]), by: stamp.expression, descending: true,
                isOuter: isOuter, at: syntax.position), scope
        )
    }

    /// ASOF JOIN: of the right rows that match by equality, the nearest one by the condition's one inequality.
    mutating func asof(_ left: (Plan, Scope), _ right: (Plan, Scope), _ syntax: JoinSyntax) throws(SQLError) -> (Plan, Scope) {
        guard case .on(let conditionSyntax) = syntax.condition else {
            throw .syntaxError("ASOF JOIN needs ON", at: syntax.position)
        }
        let scope = try beside(left.1, right.1, at: syntax.position)
        let condition = try joinCondition(conditionSyntax, scope)
        let width = left.0.fields.count
        var nearest: Nearest?
        var equalities: [Expression] = []
        for conjunct in Optimiser.conjuncts(condition) {
            guard case .call(let function, let operands, _) = conjunct, operands.count == 2 else { throw Self.asofUsage(conditionSyntax) }
            let isRightFirst = operands[0].columns.allSatisfy { $0 >= width } && !operands[0].columns.isEmpty
            let by = isRightFirst ? operands[0] : operands[1]
            let from = isRightFirst ? operands[1] : operands[0]
            guard by.columns.allSatisfy({ $0 >= width }), from.columns.allSatisfy({ $0 < width }) else { throw Self.asofUsage(conditionSyntax) }
            let isStrict = function == .greater || function == .less
            switch function {
            case .equal: equalities.append(conjunct)
            case .greater where nearest == nil, .greaterOrEqual where nearest == nil:
                nearest = Nearest(left: from, right: by, isBackward: !isRightFirst, isStrict: isStrict)
            case .less where nearest == nil, .lessOrEqual where nearest == nil:
                nearest = Nearest(left: from, right: by, isBackward: isRightFirst, isStrict: isStrict)
            default: throw Self.asofUsage(conditionSyntax)
            }
        }
        guard let nearest else { throw Self.asofUsage(conditionSyntax) }
        let isOuter = syntax.kind == .asofLeft
        if let found = try self.nearest(left.0, right.0, Simplifier.and(equalities), nearest, isOuter: isOuter, at: syntax.position) {
            return (found, scope)
        }
        return (
            try latest(
                left.0, right.0, condition, by: nearest.right, descending: nearest.isBackward, isOuter: isOuter, at: syntax.position),
            scope
        )
    }

    /// A join of its own kind, where equalities of both sides' columns are all that is asked besides; else nil.
    private mutating func nearest(
        _ left: Plan, _ right: Plan, _ condition: Expression, _ nearest: Nearest, isOuter: Bool, at position: Int
    ) throws(SQLError) -> Plan? {
        let parts = JoinCondition(condition, leftWidth: left.fields.count)
        guard parts.rest.isEmpty, !parts.keys.isEmpty, nearest.left.type.withoutModifiers == nearest.right.type.withoutModifiers else { return nil }
        let lookup = Lookup(isOuter: isOuter, nearest: nearest)
        return try counted(.lookup(left, right, lookup, condition: condition, fields: left.fields + right.fields), at: position)
    }

    private static func asofUsage(_ condition: ExpressionSyntax) -> SQLError {
        SQLError(
            .invalidParameterValue, "the condition of ASOF JOIN is equalities and one inequality between both sides", at: condition.position,
            hint: "For example ON l.key = r.key AND l.ts >= r.ts.")
    }

    /// Each left row with the first of its matches in an order, ties by all of the right row's columns. Equal left rows are counted,
    /// and come out as often at the end.
    private mutating func latest(
        _ left: Plan, _ right: Plan, _ condition: Expression, by key: Expression, descending: Bool, isOuter: Bool, at position: Int
    ) throws(SQLError) -> Plan {
        let width = left.fields.count
        let columns = left.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        let times = Field(name: "times", type: .bigint)
        let counts = AggregateCall(function: .countAll, argument: nil, filter: nil, type: .bigint)
        let distinct = Plan.aggregate(left, keys: columns, calls: [counts], window: nil, fields: left.fields + [times])
        func moved(_ expression: Expression) -> Expression { expression.renumbered { $0 >= width ? $0 + 1 : $0 } }
        let fields = left.fields + [times] + right.fields
        let join = Plan.join(distinct, right, isOuter ? .left : .inner, condition: moved(condition), fields: fields)
        let rest = right.fields.enumerated().map {
            SortKey(expression: .column(width + 1 + $0.offset, $0.element.type), descending: false, nullsFirst: false)
        }
        let number = OverCall(function: .rowNumber, arguments: [], type: .bigint)
        let first = Plan.over(
            join, partition: columns, order: [SortKey(expression: moved(key), descending: descending, nullsFirst: false)] + rest, calls: [number],
            limit: RankLimit(function: .rowNumber, rank: 1), fields: fields + [Field(name: "row_number", type: .bigint)])
        let repeated = Plan.repeated(first, times: .column(width, .bigint))
        let shown = columns + right.fields.enumerated().map { Expression.column(width + 1 + $0.offset, $0.element.type) }
        return try counted(.project(repeated, shown, left.fields + right.fields), 5, at: position)
    }

    // MARK: Changes as rows

    /// `WITH x AS CHANGELOG FROM v`.
    mutating func changelog(_ name: ObjectName) throws(SQLError) -> (Plan, Scope) {
        let input = try relation(name)
        let key: [Int] =
            switch try entry(name).kind {
            case .table(let table): table.primaryKey
            case .materializedView(let view): view.plan.uniqueColumns
            case .source, .view, .lateTable, .deadLetters, .system, .sink: input.uniqueColumns
            }
        let fields = input.fields + [Field(name: "changelog_op", type: .smallint), Field(name: "_changelog_row_id", type: .bigint)]
        guard fields.count <= SQLLimits.columnsMax else { throw tooManyColumns(at: name.position) }
        return (try counted(.changelog(input, key: key, fields: fields), at: name.position), Scope(relation: name.last.text, fields: fields))
    }
}
