internal import MartletCore

/// Statements of a session: each syntax to its bound form.
extension Binder {
    /// `own`: the statement's text; `text`: the whole one, into which positions point.
    mutating func session(_ syntax: SessionSyntax, own: String, text: [UInt8]) throws(SQLError) -> BoundStatement {
        switch syntax {
        case .createTable(let create):
            if let skipped = try existing(create.name, create.ifNotExists) { return skipped }
            return .session(try table(create, text: own))
        case .createSequence(let create):
            if let skipped = try existing(create.name, create.ifNotExists) { return skipped }
            return .session(.createTable(try sequence(create, text: own), rows: nil))
        case .insert(let insert): return .session(.insert(try self.insert(insert)))
        case .update(let update): return .session(.update(try self.update(update)))
        case .delete(let delete): return .session(.delete(try self.delete(delete)))
        case .truncate(let names, let restartsIdentity):
            var tables: [String] = []
            for name in names {
                let table = try changedTable(name, "truncate")
                if !tables.contains(table.name) { tables.append(table.name) }
            }
            return .session(.truncate(tables, restartsIdentity: restartsIdentity))
        case .drop(let drop): return .session(try self.drop(drop))
        case .alter(let alter): return .session(try self.alter(alter))
        case .createIndex(let create): return try index(create, text: own)
        case .createSchema(let name, let ifNotExists):
            guard !catalog.hasSchema(name.text) else {
                return try taken("schema", name, SQLState("42P06"), ifNotExists)
            }
            guard !name.text.contains(".") else {
                throw SQLError(.invalidName, "a schema's name may not contain a dot", at: name.position)
            }
            if name.text.hasPrefix("pg_") {
                throw SQLError(
                    SQLState("42939"), "unacceptable schema name \"\(name.text)\"", at: name.position,
                    detail: "The prefix \"pg_\" is reserved for system schemas.")
            }
            return .session(.createSchema(name.text, ifNotExists: ifNotExists))
        case .createDatabase(let name, let ifNotExists):
            guard name.text != catalog.databaseName, !catalog.hasObject(.database, named: name.text) else {
                return try taken("database", name, SQLState("42P04"), ifNotExists)
            }
            return .session(.createDatabase(name.text, ifNotExists: ifNotExists))
        case .createPipeline(let name, let ifNotExists):
            guard !catalog.hasObject(.pipeline, named: name.text) else { return try taken("pipeline", name, .duplicateObject, ifNotExists) }
            return .session(.createPipeline(name.text, ifNotExists: ifNotExists))
        case .createType(let name, let fields):
            let canonical = try objectName(name)
            guard !catalog.hasObject(.type, named: canonical), DataType(sqlName: name.last.text) == nil else {
                throw SQLError(.duplicateObject, "type \"\(name.last.text)\" already exists", at: name.position)
            }
            var parts: [StructureField] = []
            for field in fields {
                guard !parts.contains(where: { $0.name == field.name.text }) else {
                    throw SQLError(.duplicateColumn, "column \"\(field.name.text)\" specified more than once", at: field.name.position)
                }
                parts.append(StructureField(name: field.name.text, type: try dataType(field.type)))
            }
            return .session(.createType(canonical, .structure(parts)))
        case .createFunction(let create):
            if create.ifNotExists, !catalog.functions(named: try objectName(create.name)).isEmpty {
                return .skipped(notice: "function \"\(create.name.last.text)\" already exists, skipping")
            }
            return .session(.createFunction(try function(create, text: own)))
        case .createSubscription(let create): return try subscription(create, text: own)
        case .comment(let kind, let name, let column, let comment):
            return .session(try self.comment(kind, name, column, comment))
        case .show(let show): return .session(.show(try self.show(show)))
        case .use(let name):
            if name.text == catalog.databaseName { return .session(.accepted(tag: "USE", notice: nil)) }
            if catalog.hasObject(.database, named: name.text) {
                throw .notSupported("another database than the one connected to", at: name.position, hint: "Connect to it, or SET search_path.")
            }
            throw SQLError(.invalidCatalogName, "database \"\(name.text)\" does not exist", at: name.position)
        case .describe(let name): return .session(.describe(try entry(name).name))
        case .analyze(let kind, let name): return .session(.analyze(kind, try entry(name).name))
        case .copy(let copy): return .session(.copy(try self.copy(copy)))
        case .prepare(let name, let types, let statement):
            var bound: [DataType] = []
            for type in types { bound.append(try dataType(type)) }
            return .session(
                .prepare(name: name.text, types: bound, text: String(decoding: text[statement.start..<statement.end], as: UTF8.self)))
        case .execute(let name, let arguments): return .session(.execute(name: name.text, arguments: try constants(arguments)))
        case .declareCursor(let name, let options, let query):
            return .session(.declareCursor(name: name.text, options, try boundQuery(query)))
        case .declareSubscriptionCursor(let name, let cursor):
            return .session(.declareSubscriptionCursor(try subscriptionCursor(name, cursor)))
        case .subscribe(let subscribe): return .session(.subscribe(try self.subscribe(subscribe)))
        case .plain(let statement): return .session(statement)
        }
    }

    private func taken(_ kind: String, _ name: Identifier, _ state: SQLState, _ ifNotExists: Bool) throws(SQLError) -> BoundStatement {
        guard ifNotExists else { throw SQLError(state, "\(kind) \"\(name.text)\" already exists", at: name.position) }
        return .skipped(notice: "\(kind) \"\(name.text)\" already exists, skipping")
    }

    private mutating func constants(_ arguments: [ExpressionSyntax]) throws(SQLError) -> [TypedValue] {
        var values: [TypedValue] = []
        for argument in arguments {
            let block = Block(scope: Scope())
            block.clause = .constant
            let bound = try bind(argument, block)
            guard let value = bound.expression.literalValue else {
                throw SQLError(.invalidParameterValue, "an argument of EXECUTE must be a constant", at: argument.position)
            }
            values.append(TypedValue(value: value, type: bound.type))
        }
        return values
    }

    // MARK: Parameters

    func set(_ set: SetSyntax) throws(SQLError) -> BoundStatement {
        let parameter = set.name.text.lowercasedASCII
        func statement(_ notice: String?) -> BoundStatement {
            .set(SetStatement(name: parameter, value: set.value, isLocal: set.isLocal, notice: notice))
        }
        // A qualified name is the user's own (PostgreSQL's custom options).
        if parameter == "all", set.value == nil { return statement(nil) }
        if SessionParameters.known.contains(parameter) || parameter.contains(".") { return statement(nil) }
        if SessionParameters.isWithoutEffect(parameter) { return statement("parameter \"\(parameter)\" has no effect") }
        let near = Suggestion.nearest(to: parameter, among: SessionParameters.known)
        throw SQLError(
            .undefinedObject, "unrecognized configuration parameter \"\(set.name.text)\"", at: set.name.position,
            hint: near.map { "Perhaps you meant the parameter \"\($0)\"." })
    }

    // MARK: DROP and COMMENT

    private func drop(_ syntax: DropSyntax) throws(SQLError) -> SessionStatement {
        var drop = DropStatement(kind: syntax.kind, names: [], ifExists: syntax.ifExists, isCascade: syntax.isCascade, notices: [])
        for name in syntax.names {
            if let canonical = try dropped(name, syntax) {
                if !drop.names.contains(canonical) { drop.names.append(canonical) }
            } else {
                drop.notices.append("\(syntax.kind.rawValue) \"\(name.text)\" does not exist, skipping")
            }
        }
        return .drop(drop)
    }

    /// The canonical name of what is to go; nil: it is not there, and need not be.
    private func dropped(_ name: ObjectName, _ syntax: DropSyntax) throws(SQLError) -> String? {
        let kind = syntax.kind
        let state: SQLState
        switch kind {
        case .table, .sequence, .view, .materializedView, .source, .sink:
            if let entry = try found(name) {
                if entry.objectKind == kind { return entry.name }
                throw SQLError(
                    .wrongObjectType, "\"\(name.last.text)\" is not a \(kind.rawValue)", at: name.position,
                    hint: entry.objectKind.map { "Use DROP \($0.rawValue.uppercasedASCII) to remove a \($0.rawValue)." })
            }
            state = .undefinedTable
        case .schema:
            if catalog.hasSchema(name.text), !CatalogNames.builtInSchemas.contains(name.text) { return name.text }
            if CatalogNames.builtInSchemas.contains(name.text) {
                throw SQLError(SQLState("2BP01"), "cannot drop schema \(name.text) because it is required by the database system", at: name.position)
            }
            state = .invalidSchemaName
        case .function:
            let canonical = try objectName(name)
            if !catalog.functions(named: canonical).isEmpty { return canonical }
            state = .undefinedFunction
        case .database:
            if name.text == catalog.databaseName {
                throw SQLError(.objectInUse, "cannot drop the currently open database", at: name.position)
            }
            if catalog.hasObject(.database, named: name.text) { return name.text }
            state = .invalidCatalogName
        case .index, .type, .subscription, .pipeline, .connection, .secret, .column:
            let canonical = kind == .pipeline ? name.text : try objectName(name)
            if catalog.hasObject(kind, named: canonical) { return canonical }
            state = .undefinedObject
        }
        guard syntax.ifExists else {
            throw SQLError(state, "\(kind.rawValue) \"\(name.text)\" does not exist", at: name.position)
        }
        return nil
    }

    private func comment(_ kind: ObjectKind?, _ name: ObjectName, _ column: Identifier?, _ text: String?) throws(SQLError) -> SessionStatement {
        switch kind {
        case nil, .table, .sequence, .view, .materializedView, .source, .sink:
            let entry = try entry(name)
            if let kind, entry.objectKind != kind {
                throw SQLError(.wrongObjectType, "\"\(name.last.text)\" is not a \(kind.rawValue)", at: name.position)
            }
            if let column, !entry.fields.contains(where: { $0.name == column.text }) {
                throw SQLError(
                    .undefinedColumn, "column \"\(column.text)\" of relation \"\(name.last.text)\" does not exist", at: column.position)
            }
            return .comment(entry.objectKind ?? .table, name: entry.name, column: column?.text, text: text)
        case .some(let kind): return .comment(kind, name: name.text, column: nil, text: text)
        }
    }

    // MARK: Indexes, functions, subscriptions

    private mutating func index(_ create: CreateIndexSyntax, text: String) throws(SQLError) -> BoundStatement {
        let entry = try entry(create.table)
        switch entry.kind {
        case .table, .materializedView: break
        case .source, .view, .lateTable, .deadLetters, .system, .sink:
            throw SQLError(.wrongObjectType, "cannot create index on \(entry.noun) \"\(create.table.last.text)\"", at: create.table.position)
        }
        var columns: [Int] = []
        var names: [String] = []
        let block = Block(scope: Scope(relation: create.table.last.text, fields: entry.fields))
        for item in create.columns {
            let bound = try bind(item, block)
            if let ordinal = bound.expression.columnOrdinal {
                columns.append(ordinal)
                names.append(entry.fields[ordinal].name)
            } else {
                names.append("expr")
            }
        }
        let own = CatalogNames.parts(entry.name)
        if create.isUnique { try checkMayBeUnique(create, entry, columns) }
        let name = create.name?.text ?? ([own.name] + names + ["idx"]).joined(separator: "_")
        let canonical = CatalogNames.canonical(schema: own.schema, name: name)
        if catalog.hasObject(.index, named: canonical) {
            return try taken("relation", create.name ?? Identifier(text: name, position: create.position), .duplicateTable, create.ifNotExists)
        }
        return .session(
            .createIndex(
                IndexDefinition(
                    name: canonical, table: entry.name, columns: columns, isUnique: create.isUnique, ifNotExists: create.ifNotExists, text: text)))
    }

    /// A unique index is a UNIQUE constraint by another name.
    private func checkMayBeUnique(_ create: CreateIndexSyntax, _ entry: RelationEntry, _ columns: [Int]) throws(SQLError) {
        guard case .table(let table) = entry.kind else {
            throw .notSupported("a unique index on a \(entry.noun)", at: create.table.position, hint: "Its rows are what its query gives.")
        }
        if table.source != nil { throw .notSupported("a unique index on a table with a connector", at: create.table.position) }
        guard columns.count == create.columns.count, Set(columns).count == columns.count else {
            throw .notSupported("a unique index over anything but different columns", at: create.position)
        }
        if let name = create.name, table.checks.contains(where: { $0.name == name.text }) || table.uniqueKeys.contains(where: { $0.name == name.text }) {
            throw SQLError(.duplicateTable, "relation \"\(name.text)\" already exists", at: name.position)
        }
    }

    private mutating func subscription(_ create: CreateSubscriptionSyntax, text: String) throws(SQLError) -> BoundStatement {
        let name = try objectName(create.name)
        if catalog.hasObject(.subscription, named: name) {
            return try taken("subscription", create.name.last, .duplicateObject, create.ifNotExists)
        }
        let relation = try followed(create.relation)
        var options = try Options(create.options, known: ["retention"], of: "a subscription")
        let retention = try options.duration("retention") ?? 86_400_000_000
        try options.finish([])
        return .session(
            .createSubscription(
                SubscriptionDefinition(
                    name: name, relation: relation.name, retention: retention, ifNotExists: create.ifNotExists, text: text)))
    }

    /// A relation whose changes can be followed.
    private func followed(_ name: ObjectName) throws(SQLError) -> RelationEntry {
        let entry = try entry(name)
        switch entry.kind {
        case .table, .materializedView: return entry
        case .source, .view, .lateTable, .deadLetters, .system, .sink:
            throw SQLError(
                .wrongObjectType, "the changes of \(entry.noun) \"\(name.last.text)\" cannot be followed", at: name.position,
                hint: "Materialized views and tables have changes.")
        }
    }

    private func subscriptionCursor(_ name: Identifier, _ syntax: SubscriptionCursorSyntax) throws(SQLError) -> SubscriptionCursor {
        var cursor = SubscriptionCursor(name: name.text, subscription: nil, relation: nil, start: .now)
        switch syntax.start {
        case .now, .proctime: cursor.start = .now
        case .begin: cursor.start = .begin
        case .since(let millis): cursor.start = .time(millis * 1000)
        case .tick(let tick): cursor.start = .tick(tick)
        case .full: cursor.start = .full
        }
        if let subscription = syntax.subscription {
            let canonical = try objectName(subscription)
            guard catalog.hasObject(.subscription, named: canonical) else {
                throw SQLError(.undefinedObject, "subscription \"\(subscription.text)\" does not exist", at: subscription.position)
            }
            cursor.subscription = canonical
        } else if let relation = syntax.relation {
            cursor.relation = try followed(relation).name
        }
        return cursor
    }

    private func subscribe(_ syntax: SubscribeSyntax) throws(SQLError) -> SubscribeStatement {
        let entry = try followed(syntax.relation)
        var options = try Options(syntax.options, known: ["snapshot", "progress", "since"], of: "SUBSCRIBE")
        var subscribe = SubscribeStatement(relation: entry.name, fields: entry.fields, hasSnapshot: true, hasProgress: false, since: nil)
        if let snapshot = try options.flag("snapshot") { subscribe.hasSnapshot = snapshot }
        if let progress = try options.flag("progress") { subscribe.hasProgress = progress }
        if let since = options.take("since") {
            guard let tick = Int64(since.text), tick >= 0 else {
                throw SQLError(.invalidParameterValue, "option \"since\" must be the number of a tick", at: since.position)
            }
            subscribe.since = tick
            subscribe.hasSnapshot = false
        }
        try options.finish([])
        return subscribe
    }

    // MARK: SHOW and COPY

    private func show(_ syntax: ShowSyntax) throws(SQLError) -> ShowStatement {
        switch syntax {
        case .objects(let listing, let schema, let pattern):
            if let schema, !catalog.hasSchema(schema.text) {
                throw SQLError(.invalidSchemaName, "schema \"\(schema.text)\" does not exist", at: schema.position)
            }
            return .objects(listing, schema: schema?.text, pattern: pattern)
        case .columns(let name): return .columns(try entry(name).name)
        case .indexes(let name): return .indexes(try entry(name).name)
        case .create(let kind, let name):
            switch kind {
            case .table, .sequence, .view, .materializedView, .source, .sink:
                let entry = try entry(name)
                guard entry.objectKind == kind else {
                    throw SQLError(.wrongObjectType, "\"\(name.last.text)\" is not a \(kind.rawValue)", at: name.position)
                }
                return .create(kind, entry.name)
            case .function, .index, .subscription: return .create(kind, try objectName(name))
            case .schema, .database, .type, .pipeline, .connection, .secret, .column:
                throw .notSupported("SHOW CREATE \(kind.rawValue.uppercasedASCII)", at: name.position)
            }
        }
    }

    private mutating func copy(_ syntax: CopySyntax) throws(SQLError) -> CopyStatement {
        switch syntax.source {
        case .query(let query):
            let bound = try boundQuery(query)
            return CopyStatement(kind: .to(bound), options: syntax.options, fields: bound.fields)
        case .table(let name, let columns):
            guard syntax.isFrom else {
                let entry = try entry(name)
                if case .view = entry.kind {
                    throw SQLError(
                        .wrongObjectType, "cannot copy from view \"\(name.last.text)\"", at: name.position,
                        hint: "Try the COPY (SELECT ...) TO variant.")
                }
                let items: [SelectItemSyntax] = columns.map {
                    $0.map { name in
                        .expression(ExpressionSyntax(kind: .name([name]), position: name.position, depth: 1), alias: nil)
                    }
                } ?? [.all(position: name.position)]
                let select = SelectSyntax(
                    distinct: .no, items: items, from: [.relation(name, nil)], condition: nil, groupBy: [], having: nil, windows: [],
                    position: name.position)
                let bound = try boundQuery(QuerySyntax(with: [], body: .select(select), position: name.position))
                return CopyStatement(kind: .to(bound), options: syntax.options, fields: bound.fields)
            }
            let table = try changedTable(name, "copy to")
            let (targets, row) = try copiedRow(table, columns, at: name.position)
            let fields = targets.map { table.fields[$0] }
            return CopyStatement(kind: .from(table: table.name, columns: targets, row: row), options: syntax.options, fields: fields)
        }
    }
}

/// The parameters of sessions.
package enum SessionParameters {
    /// Those that mean something, or that every driver sets.
    package static let known = [
        "application_name", "bytea_output", "client_encoding", "client_min_messages", "datestyle", "default_transaction_isolation",
        "default_transaction_read_only", "extra_float_digits", "idle_in_transaction_session_timeout", "intervalstyle", "lock_timeout",
        "search_path", "standard_conforming_strings", "statement_memory_limit", "statement_timeout", "timezone", "transaction_isolation",
        "transaction_read_only", "background_ddl",
        "row_security", "idle_session_timeout", "default_with_oids", "xmloption", "check_function_bodies", "synchronous_commit",
    ]

    /// Other engines' settings, and PostgreSQL's about how it plans: accepted and said to have no effect.
    package static func isWithoutEffect(_ name: String) -> Bool {
        let prefixes = ["streaming_", "rw_", "batch_", "sink_", "source_", "backfill_", "enable_", "jit", "max_parallel", "force_", "background_"]
        if prefixes.contains(where: name.hasPrefix) || name.hasSuffix("_rate_limit") { return true }
        return [
            "query_mode", "visibility_mode", "query_epoch", "create_compaction_group_for_mv", "work_mem", "maintenance_work_mem",
            "random_page_cost", "geqo", "cursor_tuple_fraction", "plan_cache_mode", "default_statistics_target", "server_encoding",
            "parallel_setup_cost", "tcp_keepalives_idle", "implicit_flush", "distribution_mode", "bypass_cluster_limits", "log_statement",
            "allow_drop_cascade", "dml_wait_persistence", "upsert_dml",
            "license_key",
        ].contains(name)
    }
}
