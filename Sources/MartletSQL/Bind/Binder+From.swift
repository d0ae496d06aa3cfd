internal import MartletCore

/// The FROM clause: relations, subqueries and window functions over them.
extension Binder {
    /// The plan of the FROM list and the columns it offers, one to one. No FROM is one row without columns.
    mutating func from(_ items: [FromSyntax], at position: Int) throws(SQLError) -> (Plan, Scope) {
        guard let first = items.first else { return (try counted(.values([[]], fields: []), at: position), Scope()) }
        if items.count > 1 { throw .notSupported("a join", at: self.position(of: items[1]), hint: "FROM takes one relation.") }
        return try item(first)
    }

    private func position(of item: FromSyntax) -> Int {
        switch item {
        case .relation(let name, _), .function(let name, _, _): name.position
        case .subquery(_, _, let position): position
        case .join(let join): join.position
        }
    }

    private mutating func item(_ syntax: FromSyntax) throws(SQLError) -> (Plan, Scope) {
        switch syntax {
        case .relation(let name, let alias):
            let plan = try relation(name)
            return try aliased(plan, alias, default: name.last.text)
        case .subquery(let query, let alias, _):
            let outerGuard = guardDepth
            guardDepth = 0
            defer { guardDepth = outerGuard }
            return try aliased(try self.query(query), alias, default: "")
        case .function(let name, let arguments, let alias): return try function(name, arguments, alias)
        case .join(let join): throw .notSupported(join.kind.rawValue, at: join.position)
        }
    }

    private mutating func aliased(_ plan: Plan, _ alias: AliasSyntax?, default name: String) throws(SQLError) -> (Plan, Scope) {
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
        switch entry.kind {
        case .source:
            return try counted(.source(name: entry.name, columns: Array(entry.fields.indices), fields: entry.fields), at: name.position)
        case .materializedView: return try counted(.view(name: entry.name, fields: entry.fields), at: name.position)
        case .lateTable, .deadLetters: return try counted(.relation(name: entry.name, fields: entry.fields), at: name.position)
        case .view(let view): return try counted(view.plan, view.plan.nodeCount, at: name.position)
        case .sink:
            throw SQLError(.wrongObjectType, "\"\(entry.name)\" is a sink and cannot be read", at: name.position)
        }
    }

    func entry(_ name: ObjectName) throws(SQLError) -> RelationEntry {
        let relation = name.last.text
        let isInSchema = (try? objectName(name)) != nil
        if isInSchema, let entry = catalog.relation(named: relation) { return entry }
        let near = Suggestion.nearest(to: relation, among: catalog.relationNames + commonTables.map(\.name))
        throw SQLError(
            .undefinedTable, "relation \"\(name.text)\" does not exist", at: name.position,
            hint: near.map { "Perhaps you meant the relation \"\($0)\"." })
    }

    /// The one schema is `public`, the one database `dev`.
    func objectName(_ name: ObjectName) throws(SQLError) -> String {
        let parts = name.parts
        if parts.count >= 2, parts[parts.count - 2].text != "public" {
            let schema = parts[parts.count - 2]
            throw SQLError(.invalidSchemaName, "schema \"\(schema.text)\" does not exist", at: schema.position)
        }
        if parts.count == 3, parts[0].text != "dev" {
            throw .notSupported("a reference to another database", at: parts[0].position)
        }
        return name.last.text
    }

    // MARK: Window functions

    private mutating func function(_ name: ObjectName, _ arguments: [ExpressionSyntax], _ alias: AliasSyntax?) throws(SQLError) -> (Plan, Scope) {
        switch name.last.text {
        case "tumble", "hop": return try window(name, arguments, alias, isHop: name.last.text == "hop")
        case "cumulate", "session", "gap_fill", "generate_series", "unnest", "table":
            throw .notSupported(name.last.text.uppercasedASCII, at: name.position)
        default:
            let near = Suggestion.nearest(to: name.last.text, among: ["tumble", "hop"])
            throw SQLError(
                .undefinedFunction, "table function \(name.text) does not exist", at: name.position,
                hint: near.map { "Perhaps you meant the function \"\($0)\"." })
        }
    }

    /// TUMBLE(relation, time, size [, offset]) and HOP(relation, time, hop, size [, offset]), also by Flink's names.
    private mutating func window(
        _ name: ObjectName, _ arguments: [ExpressionSyntax], _ alias: AliasSyntax?, isHop: Bool
    ) throws(SQLError) -> (Plan, Scope) {
        let order = isHop ? ["data", "timecol", "slide", "size", "offset"] : ["data", "timecol", "size", "offset"]
        var slots = [ExpressionSyntax?](repeating: nil, count: order.count)
        for (index, argument) in arguments.enumerated() {
            if case .named(let label, let value) = argument.kind {
                guard let slot = order.firstIndex(of: label.text), slots[slot] == nil else {
                    throw .syntaxError("\(name.last.text.uppercasedASCII) has no argument \"\(label.text)\" here", at: label.position, hint: "Its arguments are \(order.joined(separator: ", ")).")
                }
                slots[slot] = value
            } else {
                guard index < slots.count, slots[index] == nil else { throw usage(name, isHop) }
                slots[index] = argument
            }
        }
        guard let data = slots[0], let time = slots[1], let third = slots[2] else { throw usage(name, isHop) }
        var (plan, scope) = try windowInput(data, usage: usage(name, isHop))
        if let alias {
            (_, scope) = try aliased(plan, AliasSyntax(name: alias.name, columns: []), default: "")
        }
        let ordinal = try timeColumn(time, scope)
        let type = scope.columns[ordinal].type

        let hop = try length(third, isHop ? "the hop" : "the size")
        var size = hop
        if isHop {
            guard let fourth = slots[3] else { throw usage(name, isHop) }
            size = try length(fourth, "the size")
            guard size % hop == 0 else {
                throw SQLError(.invalidParameterValue, "the size of HOP must be a multiple of its hop", at: fourth.position)
            }
            guard size / hop <= 10_000 else {
                throw SQLError(.invalidParameterValue, "a row may belong to at most 10000 windows of HOP", at: fourth.position)
            }
        }
        var offset: Int64 = 0
        if let last = slots[order.count - 1] {
            offset = try micros(last, "the offset") % hop
            if offset < 0 { offset += hop }
        }

        // The new columns cover columns of the same name.
        for index in scope.columns.indices where scope.columns[index].name == "window_start" || scope.columns[index].name == "window_end" {
            scope.columns[index].isHidden = true
        }
        var fields = plan.fields
        let owner = scope.relations.first ?? ""
        for column in ["window_start", "window_end"] {
            fields.append(Field(name: column, type: type))
            scope.columns.append(Scope.Column(relation: owner, name: column, type: type))
        }
        if let alias {
            guard alias.columns.count <= scope.columns.count else {
                throw SQLError(
                    .invalidColumnReference,
                    "table \"\(alias.name.text)\" has \(scope.columns.count) columns available but \(alias.columns.count) columns specified",
                    at: alias.name.position)
            }
            for (index, column) in alias.columns.enumerated() { scope.columns[index].name = column.text }
        }
        plan = try counted(
            .window(plan, time: ordinal, HopWindow(size: size, hop: hop, offset: offset), fields: fields), at: name.position)
        return (plan, scope)
    }

    private func usage(_ name: ObjectName, _ isHop: Bool) -> SQLError {
        .syntaxError(
            isHop ? "HOP takes a relation, a time column, a hop and a size" : "TUMBLE takes a relation, a time column and a size",
            at: name.position,
            hint: isHop
                ? "For example HOP(payments, ts, INTERVAL '10 seconds', INTERVAL '1 minute')."
                : "For example TUMBLE(payments, ts, INTERVAL '1 minute').")
    }

    private mutating func windowInput(_ data: ExpressionSyntax, usage: SQLError) throws(SQLError) -> (Plan, Scope) {
        switch data.kind {
        case .name(let parts):
            guard parts.count <= 3 else { throw usage }
            let name = ObjectName(parts: parts)
            let plan = try relation(name)
            return (plan, Scope(relation: name.last.text, fields: plan.fields))
        case .table(let name):
            let plan = try relation(name)
            return (plan, Scope(relation: name.last.text, fields: plan.fields))
        case .subquery(let query):
            let plan = try self.query(query)
            return (plan, Scope(relation: "", fields: plan.fields))
        default: throw usage
        }
    }

    private func timeColumn(_ syntax: ExpressionSyntax, _ scope: Scope) throws(SQLError) -> Int {
        let parts: [Identifier]
        switch syntax.kind {
        case .name(let name): parts = name
        case .descriptor(let names) where names.count == 1: parts = names
        default:
            throw SQLError(.invalidParameterValue, "the time of a window must be a column", at: syntax.position, hint: "Compute it in a subquery.")
        }
        let ordinal = try scope.resolve(parts)
        let type = scope.columns[ordinal].type
        guard type == .timestamp || type == .timestamptz else {
            throw SQLError(
                .datatypeMismatch, "the time of a window must be a timestamp, but \"\(scope.columns[ordinal].name)\" is of type \(type.sqlName)",
                at: syntax.position)
        }
        return ordinal
    }

    /// A constant interval of fixed length, positive, in microseconds.
    private mutating func length(_ syntax: ExpressionSyntax, _ what: String) throws(SQLError) -> Int64 {
        let value = try micros(syntax, what)
        guard value > 0 else { throw SQLError(.invalidParameterValue, "\(what) of a window must be positive", at: syntax.position) }
        return value
    }

    /// A constant interval without months, in microseconds.
    mutating func micros(_ syntax: ExpressionSyntax, _ what: String) throws(SQLError) -> Int64 {
        guard case .interval(let interval) = try constant(syntax, as: .interval, what) else {
            throw SQLError(.invalidParameterValue, "\(what) must not be null", at: syntax.position)
        }
        guard let micros = interval.fixedMicros else {
            throw SQLError(
                .invalidParameterValue, "\(what) must be an interval of fixed length", at: syntax.position,
                hint: "Months and years have no fixed length; use days, hours, minutes or seconds.")
        }
        return micros
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
