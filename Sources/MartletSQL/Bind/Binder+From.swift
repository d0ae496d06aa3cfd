internal import MartletCore

/// The FROM clause: relations, subqueries and window functions over them.
extension Binder {
    /// The plan of the FROM list and the columns it offers, one to one. No FROM is one row without columns.
    mutating func from(_ items: [FromSyntax], at position: Int) throws(SQLError) -> (Plan, Scope) {
        guard let first = items.first else { return (try counted(.values([[]], fields: []), at: position), Scope()) }
        var result = try item(first)
        for item in items.dropFirst() {
            if case .lateral(let query, let alias, let position) = item {
                result = try lateral(result, query, alias, nil, at: position)
            } else if case .function(let call) = item, !call.isWindow {
                result = try tableFunction(result, call)
            } else {
                result = try crossed(result, try self.item(item), at: self.position(of: item))
            }
        }
        return result
    }

    private func position(of item: FromSyntax) -> Int {
        switch item {
        case .relation(let name, _), .version(let name, _, _), .changelog(let name): name.position
        case .function(let call): call.name.position
        case .subquery(_, _, let position), .lateral(_, _, let position): position
        case .join(let join): join.position
        }
    }

    mutating func item(_ syntax: FromSyntax) throws(SQLError) -> (Plan, Scope) {
        switch syntax {
        case .relation(let name, let alias):
            let plan = try relation(name)
            return try aliased(plan, alias, default: name.last.text)
        case .version(let name, let alias, let time): return try aliased(try past(name, at: time), alias, default: name.last.text)
        case .changelog(let name): return try changelog(name)
        case .subquery(let query, let alias, _):
            let outerGuard = guardDepth
            guardDepth = 0
            defer { guardDepth = outerGuard }
            return try aliased(try self.query(query), alias, default: "")
        case .function(let call): return try function(call)
        case .join(let join): return try self.join(join)
        case .lateral(let query, let alias, let position): return try item(.subquery(query, alias, position: position))
        }
    }

    mutating func aliased(_ plan: Plan, _ alias: AliasSyntax?, default name: String) throws(SQLError) -> (Plan, Scope) {
        guard let alias else { return (plan, Scope(relation: name, fields: plan.fields)) }
        var fields = plan.fields
        guard alias.columns.count <= fields.count else {
            throw SQLError(
                .invalidColumnReference,
                "table \"\(alias.name.text)\" has \(fields.count) columns available but \(alias.columns.count) columns specified",
                at: alias.name.position)
        }
        for (index, column) in alias.columns.enumerated() { fields[index].name = column.text }
        return (plan, Scope(relation: alias.name.text, fields: fields))
    }

    /// A named relation's plan: common tables in sight first, then the catalog.
    mutating func relation(_ name: ObjectName) throws(SQLError) -> Plan {
        if name.parts.count == 1, let table = commonTables.first(where: { $0.name == name.last.text }) {
            return try counted(table.plan, table.nodes, at: name.position)
        }
        let entry = try entry(name)
        depend(on: entry.name)
        switch entry.kind {
        case .source(let source): return try read(source, at: name.position)
        case .materializedView: return try counted(.view(name: entry.name, fields: entry.fields), at: name.position)
        case .table, .lateTable, .deadLetters, .system:
            return try counted(.relation(name: entry.name, fields: entry.fields), at: name.position)
        case .view(let view):
            for name in view.dependencies { depend(on: name) }
            return try counted(view.plan, view.plan.nodeCount, at: name.position)
        case .sink:
            throw SQLError(.wrongObjectType, "\"\(entry.name)\" is a sink and cannot be read", at: name.position)
        }
    }

    /// A source's columns, those that are computed among them.
    private mutating func read(_ source: SourceDefinition, at position: Int) throws(SQLError) -> Plan {
        let fields = source.fields
        var plan = try counted(.source(name: source.name, columns: Array(fields.indices), fields: fields), at: position)
        let shown = source.shown
        guard shown.count != fields.count || !source.computed.isEmpty else { return plan }
        if isContinuous, source.computed.contains(where: { $0.expression.columns.contains(TableColumn.now) }) {
            plan = try counted(.stamped(plan, fields: fields + [Field(name: "proctime", type: .timestamptz)]), at: position)
        }
        let columns = shown.map { column -> Expression in
            switch column {
            case .record(let at): return .column(at, fields[at].type)
            case .computed(let at):
                let expression = source.computed[at].expression
                return isContinuous ? expression.renumbered { $0 == TableColumn.now ? fields.count : $0 } : atNow(expression)
            }
        }
        return try counted(.project(plan, columns, source.shownFields), at: position)
    }

    mutating func depend(on name: String) {
        if !dependencies.contains(name) { dependencies.append(name) }
    }

    func entry(_ name: ObjectName) throws(SQLError) -> RelationEntry {
        if let entry = try found(name) { return entry }
        let near = Suggestion.nearest(to: name.last.text, among: catalog.relationNames + commonTables.map(\.name))
        throw SQLError(
            .undefinedTable, "relation \"\(name.text)\" does not exist", at: name.position,
            hint: near.map { "Perhaps you meant the relation \"\($0)\"." })
    }

    /// The relation of that name; unqualified ones are looked for along the search path. A schema that is not there has none.
    func found(_ name: ObjectName) throws(SQLError) -> RelationEntry? {
        if name.parts.count > 1 {
            if name.parts.count == 3, name.parts[0].text != catalog.databaseName { throw otherDatabase(name) }
            return catalog.relation(named: CatalogNames.canonical(schema: name.parts[name.parts.count - 2].text, name: name.last.text))
        }
        for schema in catalog.searchPath + CatalogNames.lastSchemas {
            if let entry = catalog.relation(named: CatalogNames.canonical(schema: schema, name: name.last.text)) { return entry }
        }
        return nil
    }

    private func otherDatabase(_ name: ObjectName) -> SQLError {
        SQLError(
            .featureNotSupported, "cross-database references are not supported: \"\(name.text)\"", at: name.position,
            hint: "This is database \"\(catalog.databaseName)\".")
    }

    /// The canonical name of an object to be created.
    func objectName(_ name: ObjectName) throws(SQLError) -> String {
        let parts = name.parts
        if parts.count == 3, parts[0].text != catalog.databaseName { throw otherDatabase(name) }
        guard parts.count >= 2 else {
            return CatalogNames.canonical(schema: catalog.searchPath.first ?? CatalogNames.defaultSchema, name: name.last.text)
        }
        let schema = parts[parts.count - 2]
        guard catalog.hasSchema(schema.text) else {
            throw SQLError(.invalidSchemaName, "schema \"\(schema.text)\" does not exist", at: schema.position)
        }
        return CatalogNames.canonical(schema: schema.text, name: name.last.text)
    }
}

extension Interval {
    /// Days counted as 24 hours; nil with months or beyond 100,000 days, so that sums with times do not overflow.
    var fixedMicros: Int64? {
        let total = comparisonMicros
        let bound = Int128(100_000) * 86_400_000_000
        return months == 0 && total >= -bound && total <= bound ? Int64(total) : nil
    }
}
