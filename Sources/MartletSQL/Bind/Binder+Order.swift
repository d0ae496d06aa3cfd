internal import MartletCore

/// ORDER BY, LIMIT and OFFSET, and DISTINCT ON, which needs an order too.
extension Binder {
    /// A query's rows with its sort keys over them; columns behind `width` are there for the keys alone.
    struct Ordered {
        var plan: Plan
        var keys: [SortKey]
        var width: Int

        /// The plan's columns that are shown.
        var shown: Plan {
            guard plan.fields.count > width else { return plan }
            let fields = Array(plan.fields[..<width])
            return .project(plan, fields.enumerated().map { .column($0.offset, $0.element.type) }, fields)
        }
    }

    /// The answer to a query at hand: sorted and cut by whoever reads it.
    mutating func boundQuery(_ syntax: QuerySyntax) throws(SQLError) -> BoundQuery {
        var ordered = try inCommonTables(syntax) { (binder) throws(SQLError) in try binder.ordered(syntax) }
        if syntax.locksRows { notices.append("rows are not locked: a transaction whose rows another one changes meanwhile ends with 40001") }
        ordered.plan = try settled(ordered.plan, at: syntax.position)
        try checkHeight(ordered.plan, at: syntax.position)
        if syntax.emitOnWindowClose != nil { ordered.plan = .emitOnWindowClose(ordered.plan) }
        var limit = try syntax.limit.flatMap { (limit) throws(SQLError) in try rowCount(limit, "LIMIT") }
        let offset = try syntax.offset.flatMap { (offset) throws(SQLError) in try rowCount(offset, "OFFSET") } ?? 0
        if syntax.hasTies, let last = limit {
            try checkTies(syntax)
            ordered.plan = ranked(ordered, last, showing: ordered.plan.fields.count)
            limit = nil
        }
        let plan = try optimised(ordered.plan, at: syntax.position)
        return BoundQuery(plan: plan, fields: Array(plan.fields[..<ordered.width]), order: ordered.keys, limit: limit, offset: offset)
    }

    mutating func ordered(_ syntax: QuerySyntax) throws(SQLError) -> Ordered {
        if case .select(let select) = syntax.body { return try self.select(select, orderBy: syntax.orderBy) }
        let plan = try body(syntax.body)
        guard !syntax.orderBy.isEmpty else { return Ordered(plan: plan, keys: [], width: plan.fields.count) }
        let settled = try self.settled(plan, at: syntax.position)
        let block = Block(scope: Scope(relation: "", fields: settled.fields))
        block.clause = .orderBy
        var keys: [SortKey] = []
        for item in syntax.orderBy {
            var key = try typed(item.expression, block).expression
            if case .integer(let digits) = item.expression.kind {
                let place = try outputPlace(digits, of: settled.fields.count, "ORDER BY", at: item.expression.position)
                key = .column(place, settled.fields[place].type)
            }
            if !block.aggregates.isEmpty || !block.overs.isEmpty || !block.subqueries.isEmpty {
                throw .notSupported("this ORDER BY", at: item.expression.position, hint: "Give the expression a name in the select list.")
            }
            keys.append(SortKey(expression: key, descending: item.descending, nullsFirst: item.nullsFirst ?? item.descending))
        }
        return Ordered(plan: settled, keys: keys, width: settled.fields.count)
    }

    /// An integer in GROUP BY, ORDER BY or DISTINCT ON: a place in the select list, from 1.
    func outputPlace(_ digits: String, of count: Int, _ clause: String, at position: Int) throws(SQLError) -> Int {
        guard let place = Int(digits), place >= 1, place <= count else {
            throw SQLError(.invalidColumnReference, "\(clause) position \(digits) is not in select list", at: position)
        }
        return place - 1
    }

    /// The output an item of ORDER BY or DISTINCT ON means: by place, by its name, by its expression, or a new one behind them.
    mutating func outputIndex(
        _ item: ExpressionSyntax, _ clause: String, _ outputs: inout [Output], shown: Int, mayAdd: Bool, _ block: Block
    ) throws(SQLError) -> Int {
        if case .integer(let digits) = item.kind { return try outputPlace(digits, of: shown, clause, at: item.position) }
        if case .name(let parts) = item.kind, parts.count == 1 {
            let matches = outputs[..<shown].indices.filter { outputs[$0].alias == parts[0].text }
            if let first = matches.first {
                guard matches.allSatisfy({ outputs[$0].expression == outputs[first].expression }) else {
                    throw SQLError(.ambiguousColumn, "\(clause) \"\(parts[0].text)\" is ambiguous", at: item.position)
                }
                return first
            }
        }
        switch item.kind {
        case .string, .number, .boolean: throw SQLError(.syntaxError, "non-integer constant in \(clause)", at: item.position)
        default: break
        }
        block.clause = .orderBy
        let expression = try typed(item, block).expression
        if let index = outputs.firstIndex(where: { $0.expression == expression }) { return index }
        guard mayAdd else {
            throw SQLError(
                .invalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list", at: item.position)
        }
        outputs.append(Output(name: "?column?", expression: expression, position: item.position, alias: nil))
        return outputs.count - 1
    }

    /// ORDER BY … LIMIT n OFFSET m inside a query that lives on: the rows by their number in that order.
    mutating func limited(_ ordered: Ordered, _ syntax: QuerySyntax) throws(SQLError) -> Plan {
        let limit = try syntax.limit.flatMap { (limit) throws(SQLError) in try rowCount(limit, "LIMIT") }
        let skipped = try syntax.offset.flatMap { (offset) throws(SQLError) in try rowCount(offset, "OFFSET") } ?? 0
        // One row is not cut, so that an aggregate stays in sight.
        if skipped == 0, (limit ?? 1) > 0, !syntax.hasTies, ordered.shown.isSingleRow { return ordered.shown }
        guard limit != nil || skipped > 0 else { return ordered.shown }
        let position = (syntax.limit ?? syntax.offset)?.position ?? syntax.position
        let plan = ordered.plan
        let fields = Array(plan.fields[..<ordered.width])
        guard limit != 0 else { return .values([], fields: fields) }
        if syntax.hasTies, let limit {
            try checkTies(syntax)
            return try counted(ranked(ordered, limit, showing: ordered.width), 2, at: position)
        }
        let (last, overflow) = (limit ?? .max).addingReportingOverflow(skipped)
        let number = OverCall(function: .rowNumber, arguments: [], type: .bigint)
        let over = Plan.over(
            plan, partition: [], order: ordered.keys, calls: [number],
            limit: limit == nil || overflow ? nil : RankLimit(function: .rowNumber, rank: last),
            fields: plan.fields + [Field(name: "row_number", type: .bigint)])
        let isBehind = Expression.call(.greater, [.column(plan.fields.count, .bigint), .literal(.bigint(skipped), .bigint)], .boolean)
        let rows = skipped == 0 ? over : Plan.filter(over, isBehind)
        let columns = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        return try counted(.project(rows, columns, fields), 3, at: position)
    }

    private func checkTies(_ syntax: QuerySyntax) throws(SQLError) {
        if syntax.orderBy.isEmpty { throw .syntaxError("WITH TIES cannot be specified without ORDER BY clause", at: syntax.limit?.position ?? syntax.position) }
        if let offset = syntax.offset { throw .notSupported("OFFSET beside WITH TIES", at: offset.position) }
    }

    /// FETCH … WITH TIES: the rows whose rank in the order is at most `last`.
    private func ranked(_ ordered: Ordered, _ last: Int64, showing width: Int) -> Plan {
        let given = ordered.plan.fields
        let rank = OverCall(function: .rank, arguments: [], type: .bigint)
        let over = Plan.over(
            ordered.plan, partition: [], order: ordered.keys, calls: [rank], limit: RankLimit(function: .rank, rank: last),
            fields: given + [Field(name: "rank", type: .bigint)])
        let fields = Array(given[..<width])
        return .project(over, fields.enumerated().map { .column($0.offset, $0.element.type) }, fields)
    }

    /// nil: NULL, which is no limit.
    private mutating func rowCount(_ syntax: ExpressionSyntax, _ what: String) throws(SQLError) -> Int64? {
        guard case .bigint(let count) = try constant(syntax, as: .bigint, what) else { return nil }
        guard count >= 0 else {
            throw SQLError(SQLState(what == "LIMIT" ? "2201W" : "2201X"), "\(what) must not be negative", at: syntax.position)
        }
        return count
    }

    /// DISTINCT ON: the first row of each group, by the order.
    mutating func firstRows(_ plan: Plan, on places: [Int], _ keys: [SortKey], at position: Int) throws(SQLError) -> Plan {
        let fields = plan.fields
        let number = OverCall(function: .rowNumber, arguments: [], type: .bigint)
        let over = Plan.over(
            plan, partition: places.map { .column($0, fields[$0].type) }, order: keys, calls: [number],
            limit: RankLimit(function: .rowNumber, rank: 1), fields: fields + [Field(name: "row_number", type: .bigint)])
        return try counted(.project(over, fields.enumerated().map { .column($0.offset, $0.element.type) }, fields), 2, at: position)
    }
}

extension BoundQuery {
    /// The plan, under a line for what is done to its rows at the end, and what is to be known of it.
    package func explain(in catalog: any CatalogReader = SQLCatalog()) -> String {
        let names = plan.fields.map(\.name)
        var parts: [String] = []
        if !order.isEmpty {
            parts.append("Sort by " + order.map { $0.expression.sql(names) + ($0.descending ? " DESC" : "") }.joined(separator: ", "))
        }
        if let limit { parts.append("Limit \(limit)") }
        if offset > 0 { parts.append("Offset \(offset)") }
        var tree = plan.explain(rows: catalog.rowCount(of:))
        if !parts.isEmpty { tree = parts.joined(separator: ", ") + "\n" + tree.split(separator: "\n").map { "  " + $0 + "\n" }.joined() }
        return tree + plan.notes(in: catalog, isContinuous: false).map { $0 + "\n" }.joined()
    }
}
