internal import MartletCore

/// Statements: what CREATE defines, SET and SHOW, EXPLAIN.
extension Binder {
    /// `text` is the whole text, for the definitions' own.
    mutating func statement(_ syntax: StatementSyntax, text: [UInt8]) throws(SQLError) -> BoundStatement {
        let own = String(decoding: text[syntax.start..<syntax.end], as: UTF8.self)
        switch syntax.kind {
        case .createSource(let create):
            if let skipped = try existing(create.name, create.ifNotExists) { return skipped }
            return .createSource(try source(create, text: own))
        case .createView(let create):
            if create.replaces {
                try checkMayReplace(create)
            } else if let skipped = try existing(create.name, create.ifNotExists) {
                return skipped
            }
            let view = try view(create, text: own)
            return create.isMaterialized ? .createMaterializedView(view) : .createView(view)
        case .createSink(let create):
            if let skipped = try existing(create.name, create.ifNotExists) { return skipped }
            return .createSink(try sink(create, text: own))
        case .select(let query): return .select(try boundQuery(query))
        case .explain(let inner, let options):
            if options.analyze { return .session(.explainAnalyze(try statement(inner, text: text), options)) }
            return .explain(try explain(inner, text: text))
        case .set(let set): return try self.set(set)
        case .show(let name): return .show(name: name.text)
        case .session(let session): return try self.session(session, own: own, text: text)
        }
    }

    /// The statement to give back where IF NOT EXISTS finds the name taken.
    func existing(_ name: ObjectName, _ ifNotExists: Bool) throws(SQLError) -> BoundStatement? {
        let relation = try objectName(name)
        guard catalog.relation(named: relation) != nil else { return nil }
        guard ifNotExists else {
            throw SQLError(.duplicateTable, "relation \"\(name.last.text)\" already exists", at: name.last.position)
        }
        return .skipped(notice: "relation \"\(name.last.text)\" already exists, skipping")
    }

    private func checkMayReplace(_ create: CreateViewSyntax) throws(SQLError) {
        guard let entry = catalog.relation(named: try objectName(create.name)) else { return }
        let kind: ObjectKind = create.isMaterialized ? .materializedView : .view
        guard entry.objectKind == kind else {
            throw SQLError(.wrongObjectType, "\"\(create.name.last.text)\" is not a \(kind.rawValue)", at: create.name.position)
        }
    }

    private mutating func explain(_ syntax: StatementSyntax, text: [UInt8]) throws(SQLError) -> String {
        switch try statement(syntax, text: text) {
        case .select(let query): return query.explain(in: catalog)
        case .createView(let view): return view.plan.explain()
        case .createMaterializedView(let view): return view.plan.explain(in: catalog)
        case .createSink(let sink): return sink.plan.explain(in: catalog)
        case .createSource(let source):
            return Plan.source(name: source.name, columns: Array(source.columns.indices), fields: source.fields).explain()
        case .session(.insert(let insert)): return "Insert into \(insert.table)\n" + indented(insert.rows)
        case .session(.update(let update)): return "Update \(update.table)\n" + indented(update.rows)
        case .session(.delete(let delete)): return "Delete from \(delete.table)\n" + indented(delete.rows)
        case .session(.declareCursor(_, _, let query)): return query.explain(in: catalog)
        case .session(.createIndex(let index)): return "Index on \(index.table), without effect: rows are found by the keys that there are"
        case .session(.createTable(let table, .some(let rows))): return "Create table \(table.name)\n" + indented(rows)
        case .explain, .set, .show, .skipped, .session:
            throw .syntaxError("EXPLAIN takes a query, INSERT, UPDATE, DELETE or a CREATE statement with a query", at: syntax.start)
        }
    }

    private func indented(_ plan: Plan) -> String {
        plan.explain(in: catalog, isContinuous: false).split(separator: "\n").map { "  " + $0 }.joined(separator: "\n")
    }

    // MARK: CREATE VIEW

    private mutating func view(_ create: CreateViewSyntax, text: String) throws(SQLError) -> ViewDefinition {
        isContinuous = true
        var retention: Int64?
        for option in create.options {
            if option.name.text == "retention_seconds", create.isMaterialized {
                retention = try Self.retention(option)
                continue
            }
            guard Self.viewOptions.contains(option.name.text) || SessionParameters.isWithoutEffect(option.name.text) else {
                throw SQLError(.invalidParameterValue, "unknown option \"\(option.name.text)\" of a view", at: option.name.position)
            }
            notices.append("option \"\(option.name.text)\" has no effect")
        }
        if let emit = create.query.emitOnWindowClose, !create.isMaterialized {
            throw .notSupported(
                "EMIT ON WINDOW CLOSE in a plain view", at: emit, hint: "Use CREATE MATERIALIZED VIEW, which keeps what was emitted.")
        }
        var plan = try query(create.query, isTop: true)
        plan = try renamed(plan, create.columns, what: "view \"\(create.name.text)\"", at: create.name.position)
        let fields = plan.fields
        try checkColumnNames(fields, at: create.query.position)
        // A plain view is put into other queries; what they need of it is optimised there.
        if create.isMaterialized { plan = try continuous(plan, create.query) } else { plan = Optimiser.simplified(plan, context) }
        let position = try objectName(create.name)
        var view = ViewDefinition(
            name: position, plan: plan, fields: fields, isAppendOnly: plan.isAppendOnly(in: catalog),
            eventTimeColumns: plan.eventTimeColumns(in: catalog).sorted())
        view.pipeline = create.pipeline?.text
        view.dependencies = dependencies
        view.ifNotExists = create.ifNotExists
        view.replaces = create.replaces
        view.retention = retention
        if create.replaces, dependencies.contains(position) {
            throw SQLError(
                SQLState("42P17"), "infinite recursion detected in rules for relation \"\(create.name.last.text)\"", at: create.name.position)
        }
        view.text = text
        return view
    }

    /// Other engines' options of views, about where and how fast they run.
    private static let viewOptions: Set<String> = ["parallelism", "resource_group", "snapshot_backfill"]

    func checkColumnNames(_ fields: [Field], at position: Int) throws(SQLError) {
        var seen: Set<String> = []
        for field in fields where !seen.insert(field.name).inserted {
            throw SQLError(
                .duplicateColumn, "column \"\(field.name)\" specified more than once", at: position, hint: "Give it another name with AS.")
        }
        if fields.isEmpty { throw SQLError(.invalidTableDefinition, "a view needs at least one column", at: position) }
    }

    /// Optimises the plan of a query that lives on and checks that it can be kept up to date.
    private mutating func continuous(_ plan: Plan, _ query: QuerySyntax) throws(SQLError) -> Plan {
        let optimised = try self.optimised(plan, at: query.position)
        try ContinuousCheck(catalog: catalog).check(optimised, query)
        return optimised
    }

    func optimised(_ plan: Plan, at position: Int) throws(SQLError) -> Plan {
        guard !plan.readsUnknownColumns else {
            throw .notSupported(
                "this combination of subqueries, aggregates and set-returning functions", at: position,
                hint: "Compute parts of it in subqueries in FROM.")
        }
        return try locating(position) { () throws(SQLError) in try Optimiser(catalog: catalog, context: context, isContinuous: isContinuous).optimised(plan) }
    }

    // MARK: CREATE SINK

    private mutating func sink(_ create: CreateSinkSyntax, text: String) throws(SQLError) -> SinkDefinition {
        isContinuous = true
        var plan: Plan
        switch create.input {
        case .relation(let name): plan = try relation(name)
        case .query(let query):
            plan = try self.query(query, isTop: true)
            try checkColumnNames(plan.fields, at: query.position)
        }
        if case .query(let query) = create.input {
            plan = try continuous(plan, query)
        } else {
            plan = try optimised(plan, at: create.position)
        }
        let target = try create.table.map { (name) throws(SQLError) in try changedTable(name, "insert into") }
        var uniqueColumns = plan.uniqueColumns
        if case .relation(let name) = create.input, let entry = try found(name) {
            switch entry.kind {
            case .table(let table): uniqueColumns = table.primaryKey
            case .materializedView(let view): uniqueColumns = view.plan.uniqueColumns
            case .source, .view, .lateTable, .deadLetters, .system, .sink: break
            }
        }
        if let target, !target.checks.isEmpty || !target.uniques.isEmpty {
            throw .notSupported(
                "a sink into a table with CHECK or UNIQUE", at: create.position,
                hint: "What must not be seen is left out by the query's WHERE; a primary key makes rows unique.")
        }
        if let target { plan = try rows(plan, into: target, columns: create.columns, at: create.position) }
        var options = try Options(
            create.options, known: ["connector", "type", "primary_key", "ignore_delete", "force_append_only"], of: "a sink")
        let connector = target == nil ? try connector(&options, forSource: false, at: create.position) : "table"
        var sink = SinkDefinition(
            name: try objectName(create.name), plan: plan, connector: connector, isAppendOnly: plan.isAppendOnly(in: catalog))
        let typePosition = options.remaining["type"]?.position
        sink.type = try options.choice("type", SinkType.self)
        sink.ignoresDeletes = try options.flag("ignore_delete") ?? false
        // The same by RisingWave's name, which stands beside type = 'append-only' there.
        if try options.flag("force_append_only") ?? false { sink.ignoresDeletes = true }
        if sink.type == .appendOnly, !sink.isAppendOnly, !sink.ignoresDeletes {
            throw SQLError(
                .invalidParameterValue, "the rows of sink \"\(sink.name)\" change, so it cannot be append-only", at: typePosition ?? create.position,
                hint: "Leave type out to write changes, or let the view end in EMIT ON WINDOW CLOSE, so that each row is written once.")
        }
        if let key = options.take("primary_key") { sink.primaryKey = try primaryKey(key, plan.fields) }
        // Without one, what is known to be unique.
        if sink.primaryKey.isEmpty, target == nil, sink.type == .upsert { sink.primaryKey = uniqueColumns }
        if sink.type == .upsert, sink.primaryKey.isEmpty {
            throw SQLError(
                .invalidParameterValue, "an upsert sink needs a primary key", at: typePosition ?? create.position,
                hint: "Add primary_key = 'column, …'.")
        }
        (sink.format, sink.encode) = try format(create.format, forSource: false)
        if sink.format != .plain, sink.primaryKey.isEmpty {
            throw SQLError(
                .invalidParameterValue, "FORMAT \(sink.format.rawValue.uppercasedASCII) needs a primary key", at: create.format?.position ?? create.position,
                hint: "Add primary_key = 'column, …'.")
        }
        let known = ConnectorOptions.all[connector]
        try options.finish(target == nil ? known?.sink : [], prefixes: known?.prefixes ?? [])
        sink.options = options.remaining
        sink.table = target?.name
        sink.pipeline = create.pipeline?.text
        sink.dependencies = dependencies
        sink.ifNotExists = create.ifNotExists
        sink.text = text
        return sink
    }

    private func primaryKey(_ option: OptionValue, _ fields: [Field]) throws(SQLError) -> [Int] {
        var key: [Int] = []
        for part in option.text.split(separator: ",") {
            let name = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            guard let ordinal = fields.firstIndex(where: { $0.name == name }) else {
                let near = Suggestion.nearest(to: name, among: fields.map(\.name))
                throw SQLError(
                    .undefinedColumn, "column \"\(name)\" of the primary key does not exist", at: option.position,
                    hint: near.map { "Perhaps you meant the column \"\($0)\"." })
            }
            key.append(ordinal)
        }
        return key
    }

    func connector(_ options: inout Options, forSource: Bool, at position: Int) throws(SQLError) -> String {
        let names = ConnectorOptions.names(forSource: forSource)
        guard let option = options.take("connector") else {
            throw SQLError(
                .invalidParameterValue, "a \(forSource ? "source" : "sink") needs a connector", at: position,
                hint: "Add WITH (connector = …), one of \(names.joined(separator: ", ")).")
        }
        let name = option.text.lowercasedASCII
        guard names.contains(name) else {
            let near = Suggestion.nearest(to: name, among: names)
            throw SQLError(
                .invalidParameterValue, "there is no \(forSource ? "source" : "sink") connector \"\(option.text)\"", at: option.position,
                hint: near.map { "Perhaps you meant \"\($0)\"." } ?? "It is one of \(names.joined(separator: ", ")).")
        }
        return name
    }
}
