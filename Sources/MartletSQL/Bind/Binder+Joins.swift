internal import MartletCore

/// Joins in FROM.
extension Binder {
    /// One relation beside another, without a condition: their columns side by side.
    mutating func crossed(_ left: (Plan, Scope), _ right: (Plan, Scope), at position: Int) throws(SQLError) -> (Plan, Scope) {
        try joined(left, right, .inner, .literal(.boolean(true), .boolean), at: position)
    }

    private mutating func joined(
        _ left: (Plan, Scope), _ right: (Plan, Scope), _ type: JoinType, _ condition: Expression, at position: Int
    ) throws(SQLError) -> (Plan, Scope) {
        let fields = left.0.fields + right.0.fields
        guard fields.count <= SQLLimits.columnsMax else { throw tooManyColumns(at: position) }
        let plan = try counted(.join(left.0, right.0, type, condition: condition, fields: fields), at: position)
        return (plan, try beside(left.1, right.1, at: position))
    }

    /// Both scopes' columns, in order.
    func beside(_ left: Scope, _ right: Scope, at position: Int) throws(SQLError) -> Scope {
        var scope = left
        for relation in right.relations {
            if !relation.isEmpty, left.relations.contains(relation) {
                throw SQLError(.duplicateAlias, "table name \"\(relation)\" specified more than once", at: position)
            }
            scope.relations.append(relation)
        }
        scope.columns += right.columns
        return scope
    }

    mutating func join(_ syntax: JoinSyntax) throws(SQLError) -> (Plan, Scope) {
        let left = try item(syntax.left)
        if case .lateral(let query, let alias, let position) = syntax.right {
            return try lateral(left, query, alias, syntax, at: position)
        }
        if case .version(let name, let alias, let time) = syntax.right, !isInstant(time) {
            return try version(left, name, alias, at: time, syntax)
        }
        if case .function(let call) = syntax.right, !call.isWindow, syntax.kind == .inner || syntax.kind == .cross {
            let (plan, scope) = try tableFunction(left, call)
            guard case .on(let condition) = syntax.condition else { return (plan, scope) }
            return (try narrowed(try filtered(plan, by: condition, Block(scope: scope)), to: plan.fields, at: condition.position), scope)
        }
        if case .function(let call) = syntax.right, !call.isWindow, syntax.kind == .left,
            case .on(let condition) = syntax.condition, case .boolean(true) = condition.kind
        {
            return try tableFunction(left, call, isOuter: true)
        }
        let right = try item(syntax.right)
        let type: JoinType
        switch syntax.kind {
        case .inner, .cross: type = .inner
        case .left: type = .left
        case .right: type = .right
        case .full: type = .full
        case .asof, .asofLeft: return try asof(left, right, syntax)
        }
        switch syntax.condition {
        case .none: return try joined(left, right, type, .literal(.boolean(true), .boolean), at: syntax.position)
        case .on(let condition):
            return try joined(left, right, type, on: condition, at: syntax.position)
        case .using(let names): return try merged(left, right, type, names, at: syntax.position)
        case .natural:
            var names: [Identifier] = []
            for column in left.1.columns where column.isListed && !column.isMerged {
                if right.1.contains(column.name) { names.append(Identifier(text: column.name, position: syntax.position)) }
            }
            return try merged(left, right, type, names, at: syntax.position)
        }
    }

    mutating func joinCondition(_ condition: ExpressionSyntax, _ scope: Scope) throws(SQLError) -> Expression {
        let block = Block(scope: scope)
        block.clause = .join
        let bound = try boolean(condition, "JOIN/ON", block).expression
        guard block.subqueries.isEmpty else {
            throw .notSupported(
                "a subquery in the ON of this join", at: condition.position, hint: "Write it in WHERE, or compute it in a subquery in FROM.")
        }
        return bound
    }

    /// A join whose condition may hold subqueries: of an inner one that is a WHERE; those of an outer one stand beside its left rows.
    private mutating func joined(
        _ left: (Plan, Scope), _ right: (Plan, Scope), _ type: JoinType, on condition: ExpressionSyntax, at position: Int
    ) throws(SQLError) -> (Plan, Scope) {
        let scope = try beside(left.1, right.1, at: position)
        let block = Block(scope: scope)
        block.clause = .join
        let bound = try boolean(condition, "JOIN/ON", block).expression
        if block.subqueries.isEmpty { return try joined(left, right, type, bound, at: position) }
        if type == .inner {
            let crossed = try crossed(left, right, at: position).0
            return (try narrowed(try filtered(crossed, by: condition, Block(scope: scope)), to: crossed.fields, at: position), scope)
        }
        let width = left.0.fields.count
        guard block.subqueries.allSatisfy({ $0.subquery.nearColumns.allSatisfy { $0 < width } }) else {
            throw .notSupported(
                "a subquery in the ON of an outer join that reads its right side", at: condition.position,
                hint: "Compute it in a subquery in FROM, on that side.")
        }
        let wide = try attached(left.0, block, at: position)
        let more = wide.fields.count - width
        let moved = block.resolved(bound.renumbered { $0 >= width && $0 < Block.aggregateBase ? $0 + more : $0 })
        let fields = left.0.fields + right.0.fields
        let join = try counted(.join(wide, right.0, type, condition: moved, fields: wide.fields + right.0.fields), at: position)
        let columns = fields.enumerated().map { Expression.column($0.offset < width ? $0.offset : $0.offset + more, $0.element.type) }
        return (try counted(.project(join, columns, fields), at: position), scope)
    }

    /// Without what subqueries have put behind `fields`.
    private mutating func narrowed(_ plan: Plan, to fields: [Field], at position: Int) throws(SQLError) -> Plan {
        guard plan.fields.count > fields.count else { return plan }
        return try counted(.project(plan, fields.enumerated().map { .column($0.offset, $0.element.type) }, fields), at: position)
    }

    /// USING and NATURAL: the named columns stand once, first; of a full join each is the one that is there.
    private mutating func merged(
        _ left: (Plan, Scope), _ right: (Plan, Scope), _ type: JoinType, _ names: [Identifier], at position: Int
    ) throws(SQLError) -> (Plan, Scope) {
        var conditions: [Expression] = []
        var values: [Expression] = []
        let width = left.1.columns.count
        var taken: Set<Int> = []
        for name in names {
            let first = try usingColumn(name, left.1, "left")
            let second = try usingColumn(name, right.1, "right")
            let (a, b) = (
                Bound(.column(first, left.1.columns[first].type)), Bound(.column(second + width, right.1.columns[second].type))
            )
            conditions.append(try resolved("=", [a, b], [name.position, name.position], isOperator: true, at: name.position).expression)
            guard let common = DataType.common([a.type, b.type]) else {
                throw Self.noCommonType("JOIN/USING", [a.type, b.type], name.position)
            }
            let (x, y) = (
                try coerce(a, to: common, at: name.position).expression, try coerce(b, to: common, at: name.position).expression
            )
            values.append(type == .right ? y : type == .full ? .coalesce([x, y], common) : x)
            taken.formUnion([first, second + width])
        }
        let (plan, scope) = try joined(left, right, type, Simplifier.and(conditions), at: position)
        // The merged columns, then everything as it was; what was merged is found by its table's name alone.
        var merged = Scope()
        merged.relations = scope.relations
        merged.columns = zip(names, values).map { Scope.Column(relation: "", name: $0.text, type: $1.type) }
        for (ordinal, column) in scope.columns.enumerated() {
            var column = column
            if taken.contains(ordinal) { column.isMerged = true }
            merged.columns.append(column)
        }
        let fields = merged.columns.map { Field(name: $0.name, type: $0.type) }
        let all = plan.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        return (try counted(.project(plan, values + all, fields), at: position), merged)
    }

    private func usingColumn(_ name: Identifier, _ scope: Scope, _ side: String) throws(SQLError) -> Int {
        let found = scope.columns.indices.filter { scope.columns[$0].name == name.text && !scope.columns[$0].isHidden && !scope.columns[$0].isMerged }
        guard let first = found.first else {
            throw SQLError(
                .undefinedColumn, "column \"\(name.text)\" specified in USING clause does not exist in \(side) table", at: name.position)
        }
        guard found.count == 1 else {
            throw SQLError(
                .ambiguousColumn, "common column name \"\(name.text)\" appears more than once in \(side) table", at: name.position)
        }
        return first
    }

    // MARK: LATERAL

    /// `left JOIN LATERAL (…) ON …`, also with a comma.
    mutating func lateral(
        _ left: (Plan, Scope), _ query: QuerySyntax, _ alias: AliasSyntax?, _ syntax: JoinSyntax?, at position: Int
    ) throws(SQLError) -> (Plan, Scope) {
        let kind = syntax?.kind ?? .cross
        guard kind == .inner || kind == .cross || kind == .left else {
            throw SQLError(
                .invalidColumnReference, "a LATERAL subquery must be on the right of an inner or left join", at: position)
        }
        let outer = Block(scope: left.1)
        outer.clause = .join
        var subquery = try self.subquery(query, outer)
        subquery.ground(on: left.0)
        let width = left.0.fields.count
        let names = subquery.fields
        let (_, right) = try aliased(.values([], fields: names), alias, default: "")
        let scope = try beside(left.1, right, at: position)
        guard width == left.1.columns.count else { throw .notSupported("LATERAL here", at: position) }

        // An aggregate has a row for each row on the left, whether anything matched or not.
        let isOptional = kind == .left || subquery.nothing != nil
        var condition: Expression?
        if case .on(let written)? = syntax?.condition {
            let bound = try joinCondition(written, scope)
            if bound != .literal(.boolean(true), .boolean) { condition = bound }
        }
        var conditions = subquery.conditions(width)
        let isTested = kind == .left && condition != nil
        if isTested, subquery.nothing == nil, let condition {
            // What does not match by it does not match.
            let own = subquery.results(width, isOptional: false)
            conditions.append(condition.rewritingColumns { ordinal, type in ordinal < width ? .column(ordinal, type) : own[ordinal - width] })
        }
        let join = Plan.join(
            left.0, subquery.plan, isOptional ? .left : .inner, condition: Simplifier.and(conditions),
            fields: left.0.fields + subquery.plan.fields)
        let columns = left.0.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        var results = isOptional ? subquery.resultsOrNothing(width) : subquery.results(width, isOptional: false)
        if isTested, subquery.nothing != nil, let condition {
            let values = results
            let holds = condition.rewritingColumns { ordinal, type in ordinal < width ? .column(ordinal, type) : values[ordinal - width] }
            results = results.map {
                Simplifier.conditional([ConditionalBranch(condition: holds, result: $0)], otherwise: .literal(.null, $0.type), $0.type)
            }
        }
        let fields = left.0.fields + names
        var plan = try counted(.project(join, columns + results, fields), 2, at: position)
        if let condition, kind != .left { plan = try counted(.filter(plan, condition), at: position) }
        return (plan, scope)
    }
}
