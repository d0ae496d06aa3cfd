internal import MartletCore

extension Binder {
    /// A whole query; its plan has no untyped columns. `isTop`: EMIT ON WINDOW CLOSE may follow.
    mutating func query(_ syntax: QuerySyntax, isTop: Bool = false) throws(SQLError) -> Plan {
        let plan = try settled(try unsettled(syntax, isTop: isTop), at: syntax.position)
        try checkHeight(plan, at: syntax.position)
        return plan
    }

    /// The query with literals whose type nothing has settled yet, as the arms of a UNION have them.
    private mutating func unsettled(_ syntax: QuerySyntax, isTop: Bool) throws(SQLError) -> Plan {
        try checkStack(at: syntax.position)
        if let emit = syntax.emitOnWindowClose, !isTop {
            throw .notSupported(
                "EMIT ON WINDOW CLOSE inside a query", at: emit, hint: "It stands at the end of a materialized view's or a sink's query.")
        }
        let plan = try inCommonTables(syntax) { (binder) throws(SQLError) in
            // Without LIMIT an order means nothing here: rows of a relation have none.
            if syntax.limit == nil, syntax.offset == nil { return try binder.ordered(syntax).shown }
            var ordered = try binder.ordered(syntax)
            ordered.plan = try binder.settled(ordered.plan, at: syntax.position)
            return try binder.limited(ordered, syntax)
        }
        return syntax.emitOnWindowClose == nil ? plan : .emitOnWindowClose(plan)
    }

    /// Runs `bind` with the tables of the query's WITH in sight.
    mutating func inCommonTables<T>(
        _ syntax: QuerySyntax, _ bind: (inout Binder) throws(SQLError) -> T
    ) throws(SQLError) -> T {
        try inCommonTables(syntax.with, bind)
    }

    mutating func inCommonTables<T>(
        _ tables: [CommonTableSyntax], _ bind: (inout Binder) throws(SQLError) -> T
    ) throws(SQLError) -> T {
        let outer = commonTables
        defer { commonTables = outer }
        for table in tables {
            if tables.contains(where: { $0.name.text == table.name.text && $0.name.position < table.name.position }) {
                throw SQLError(
                    .duplicateAlias, "WITH query name \"\(table.name.text)\" specified more than once", at: table.name.position)
            }
            let before = planNodes
            let plan: Plan
            if let recursive = try recursion(table) {
                plan = recursive
            } else {
                plan = try named(try query(table.query), as: table)
            }
            commonTables.insert(CommonTable(name: table.name.text, plan: plan, nodes: planNodes - before), at: 0)
            // Counted where it is used.
            planNodes = before
        }
        return try bind(&self)
    }

    mutating func body(_ syntax: QueryBodySyntax) throws(SQLError) -> Plan {
        switch syntax {
        case .select(let select): return try self.select(select, orderBy: []).plan
        case .values(let rows, let position): return try values(rows, at: position)
        case .parenthesized(let query): return try unsettled(query, isTop: false)
        case .combined(let symbol, let all, let arms, let position):
            var plans: [Plan] = []
            for arm in arms { plans.append(try body(arm)) }
            if symbol != .union { return try compared(symbol, all: all, plans, arms, at: position) }
            let union = try self.union(plans, arms, symbol, at: position)
            return all ? union : try distinct(try settled(union, at: position), at: position)
        }
    }

    // MARK: UNION and VALUES

    /// INTERSECT and EXCEPT: how often each row stands in the first arm and in the others decides how often it comes out.
    private mutating func compared(
        _ symbol: SetOperator, all: Bool, _ arms: [Plan], _ syntax: [QueryBodySyntax], at position: Int
    ) throws(SQLError) -> Plan {
        let union = try settled(try self.union(arms, syntax, symbol, at: position), at: position)
        guard case .unionAll(let converted, let fields) = union else { return union }
        let width = fields.count
        var result = converted[0].renamed(fields)
        let columns = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        let mark = Field(name: "arm", type: .integer)
        for arm in converted.dropFirst() {
            let marked = [result, arm].enumerated().map { side, plan in
                Plan.project(plan, columns + [.literal(.integer(Int32(side)), .integer)], fields + [mark])
            }
            let both = Plan.unionAll(marked, fields: fields + [mark])
            let calls = (0...1).map { side in
                let isOfSide = Expression.call(.equal, [.column(width, .integer), .literal(.integer(Int32(side)), .integer)], .boolean)
                return AggregateCall(function: .countAll, argument: nil, filter: isOfSide, type: .bigint)
            }
            let counts = [Field(name: "first", type: .bigint), Field(name: "second", type: .bigint)]
            let counted = Plan.aggregate(both, keys: columns, calls: calls, window: nil, fields: fields + counts)
            result = Self.chosen(symbol, all: all, counted, width: width, columns, fields)
            _ = try self.counted(result, 6, at: position)
        }
        return result
    }

    private static func chosen(
        _ symbol: SetOperator, all: Bool, _ counted: Plan, width: Int, _ columns: [Expression], _ fields: [Field]
    ) -> Plan {
        let (first, second) = (Expression.column(width, .bigint), Expression.column(width + 1, .bigint))
        let zero = Expression.literal(.bigint(0), .bigint)
        func positive(_ count: Expression) -> Expression { .call(.greater, [count, zero], .boolean) }
        if !all {
            let other = symbol == .intersect ? positive(second) : Expression.call(.equal, [second, zero], .boolean)
            return .project(.filter(counted, .and([positive(first), other])), columns, fields)
        }
        let times: Expression =
            symbol == .intersect
            ? .call(.least, [first, second], .bigint)
            : .call(.greatest, [.call(.subtract, [first, second], .bigint), zero], .bigint)
        let rows = Plan.filter(.project(counted, columns + [times], fields + [Field(name: "times", type: .bigint)]), positive(.column(width, .bigint)))
        return .project(.repeated(rows, times: .column(width, .bigint)), columns, fields)
    }

    private mutating func union(_ arms: [Plan], _ syntax: [QueryBodySyntax], _ symbol: SetOperator, at position: Int) throws(SQLError) -> Plan {
        guard let first = arms.first else { return .values([], fields: []) }
        let width = first.fields.count
        var fields: [Field] = []
        if let odd = arms.firstIndex(where: { $0.fields.count != width }) {
            let place = syntax[odd].columnPosition(0) ?? position
            throw SQLError(.syntaxError, "each \(symbol.rawValue) query must have the same number of columns", at: place)
        }
        let types = arms.map { $0.fields.map(\.type) }
        for column in 0..<width {
            let candidates = types.map { $0[column] }
            if candidates.allSatisfy({ $0 == .unknown }) {
                fields.append(Field(name: first.fields[column].name, type: .unknown))
                continue
            }
            guard let common = DataType.common(candidates) else {
                let odd = candidates.firstIndex { DataType.common([candidates[0], $0]) == nil } ?? 0
                throw Self.noCommonType(symbol.rawValue, candidates, syntax[odd].columnPosition(column) ?? position)
            }
            fields.append(Field(name: first.fields[column].name, type: common))
        }
        var converted: [Plan] = []
        for (arm, syntax) in zip(arms, syntax) {
            let literal = arm.fields.firstIndex { $0.type == .unknown }
            let arm = try self.converted(arm, to: fields, at: literal.flatMap(syntax.columnPosition) ?? position)
            // The arms' own names mean nothing; where it costs no node they take the union's.
            switch arm {
            case .project, .values: converted.append(arm.renamed(zip(fields, arm.fields).map { Field(name: $0.name, type: $1.type) }))
            default: converted.append(arm)
            }
        }
        return try counted(.unionAll(converted, fields: fields), at: position)
    }

    /// `plan` with its columns brought to the types of `fields`.
    private mutating func converted(_ plan: Plan, to fields: [Field], at position: Int) throws(SQLError) -> Plan {
        let given = plan.fields
        if zip(given, fields).allSatisfy({ $0.type == $1.type }) { return plan }
        switch plan {
        case .project(let input, let expressions, _):
            var result: [Expression] = []
            for (expression, field) in zip(expressions, fields) {
                result.append(try coerce(Bound(expression), to: field.type, at: position).expression)
            }
            return .project(input, result, named(fields, as: given))
        case .values(let rows, _):
            var result: [[Expression]] = []
            for row in rows {
                var converted: [Expression] = []
                for (expression, field) in zip(row, fields) {
                    converted.append(try coerce(Bound(expression), to: field.type, at: position).expression)
                }
                result.append(converted)
            }
            return .values(result, fields: named(fields, as: given))
        case .unionAll(let arms, _):
            var result: [Plan] = []
            for arm in arms { result.append(try converted(arm, to: fields, at: position)) }
            return .unionAll(result, fields: named(fields, as: given))
        case .emitOnWindowClose(let input): return .emitOnWindowClose(try converted(input, to: fields, at: position))
        case .source, .relation, .view, .filter, .window, .session, .aggregate, .over, .join, .temporal, .repeated, .unnested, .lookup,
            .changelog, .stamped, .recursive:
            var result: [Expression] = []
            for (ordinal, field) in fields.enumerated() {
                result.append(try coerce(Bound(.column(ordinal, given[ordinal].type)), to: field.type, at: position).expression)
            }
            return try counted(.project(plan, result, named(fields, as: given)), at: position)
        }
    }

    private func named(_ fields: [Field], as names: [Field]) -> [Field] {
        zip(fields, names).map { Field(name: $1.name, type: $0.type) }
    }

    /// Columns that are still untyped become text.
    mutating func settled(_ plan: Plan, at position: Int) throws(SQLError) -> Plan {
        let fields = plan.fields
        guard fields.contains(where: { $0.type == .unknown }) else { return plan }
        return try converted(plan, to: fields.map { Field(name: $0.name, type: $0.type == .unknown ? .text : $0.type) }, at: position)
    }

    private mutating func values(_ rows: [[ExpressionSyntax]], at position: Int) throws(SQLError) -> Plan {
        let block = Block(scope: Scope())
        block.clause = .values
        let width = rows.first?.count ?? 0
        guard width <= SQLLimits.columnsMax else { throw tooManyColumns(at: position) }
        var bound: [[Bound]] = []
        bound.reserveCapacity(rows.count)
        for row in rows {
            guard row.count == width else {
                throw SQLError(.syntaxError, "VALUES lists must all be the same length", at: row.first?.position ?? position)
            }
            var items: [Bound] = []
            for item in row { items.append(try bind(item, block)) }
            bound.append(items)
        }
        var fields: [Field] = []
        for column in 0..<width {
            let types = bound.map { $0[column].type }
            guard types.contains(where: { $0 != .unknown }) else {
                fields.append(Field(name: "column\(column + 1)", type: .unknown))
                continue
            }
            guard let common = DataType.common(types) else { throw Self.noCommonType("VALUES", types, rows[0][column].position) }
            fields.append(Field(name: "column\(column + 1)", type: common))
        }
        var result: [[Expression]] = []
        result.reserveCapacity(bound.count)
        for (row, syntax) in zip(bound, rows) {
            var items: [Expression] = []
            for column in 0..<width {
                let type = fields[column].type
                items.append(type == .unknown ? row[column].expression : try coerce(row[column], to: type, at: syntax[column].position).expression)
            }
            result.append(items)
        }
        if !block.subqueries.isEmpty {
            // Each row beside what its subqueries give, which is one row.
            let given = try attached(.values([[]], fields: []), block, at: position)
            let arms = result.map { Plan.project(given, $0.map(block.resolved), fields) }
            return try counted(arms.count == 1 ? arms[0] : .unionAll(arms, fields: fields), arms.count * (1 + given.nodeCount), at: position)
        }
        return try counted(.values(result, fields: fields), at: position)
    }

    func tooManyColumns(at position: Int) -> SQLError {
        SQLError(.tooManyColumns, "target lists can have at most \(SQLLimits.columnsMax) entries", at: position)
    }

    // MARK: Shape of plans

    /// One row for each different row.
    mutating func distinct(_ plan: Plan, at position: Int) throws(SQLError) -> Plan {
        let fields = plan.fields
        let keys = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        return try counted(.aggregate(plan, keys: keys, calls: [], window: nil, fields: fields), at: position)
    }

    /// `plan` under other column names; fewer names than columns rename the first ones, more are an error.
    mutating func renamed(_ plan: Plan, _ names: [Identifier], what: String, at position: Int) throws(SQLError) -> Plan {
        guard !names.isEmpty else { return plan }
        var fields = plan.fields
        guard names.count <= fields.count else {
            throw SQLError(
                .invalidColumnReference, "\(what) has \(fields.count) columns available but \(names.count) columns specified",
                at: position)
        }
        for (index, name) in names.enumerated() { fields[index].name = name.text }
        return try counted(plan.renamed(fields), at: names[0].position)
    }

    /// Subqueries and views nest only so far; a loop, because what it guards against is recursion.
    func checkHeight(_ plan: Plan, at position: Int) throws(SQLError) {
        var level = [plan]
        var height = 0
        while !level.isEmpty {
            height += 1
            if height > SQLLimits.planDepthMax { throw .tooDeep(at: position) }
            level = level.flatMap(\.inputs)
        }
    }
}

extension QueryBodySyntax {
    /// Where an arm of a UNION writes its column; nil where that is not one place.
    func columnPosition(_ column: Int) -> Int? {
        switch self {
        case .select(let select):
            guard column < select.items.count else { return nil }
            switch select.items[column] {
            case .all(let position, _): return position
            case .allOf(let name, _): return name.position
            case .fields(let value): return value.position
            case .expression(let expression, _): return expression.position
            }
        case .values(let rows, _): return rows.first.flatMap { column < $0.count ? $0[column].position : nil }
        case .combined, .parenthesized: return nil
        }
    }
}

extension Plan {
    /// The same rows under other names.
    func renamed(_ fields: [Field]) -> Plan {
        switch self {
        case .project(let input, let expressions, _): .project(input, expressions, fields)
        case .values(let rows, _): .values(rows, fields: fields)
        case .unionAll(let arms, _): .unionAll(arms, fields: fields)
        case .aggregate(let input, let keys, let calls, let window, _): .aggregate(input, keys: keys, calls: calls, window: window, fields: fields)
        case .emitOnWindowClose(let input): .emitOnWindowClose(input.renamed(fields))
        case .source, .relation, .view, .filter, .window, .session, .over, .join, .temporal, .repeated, .unnested, .lookup, .changelog,
            .stamped, .recursive:
            .project(self, self.fields.enumerated().map { .column($0.offset, $0.element.type) }, fields)
        }
    }
}
