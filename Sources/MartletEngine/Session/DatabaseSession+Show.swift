internal import MartletCore
internal import MartletSQL

/// SHOW and DESCRIBE, from the catalog that the transaction sees.
extension DatabaseSession {
    func show(_ statement: ShowStatement) throws(SQLError) -> any RowCursor {
        switch statement {
        case .objects(let listing, let schema, let pattern): return list(listing, schema: schema, pattern: pattern)
        case .columns(let name): return list(["Name", "Type", "Is Hidden", "Description"], try columns(name))
        case .indexes(let name): return list(["Name", "On", "Key", "Include", "Distributed By"], try indexes(name))
        case .create(.index, let name):
            guard let index = boundCatalog().indexes.first(where: { $0.name == name }) else { throw DatabaseSession.unknown(name) }
            return list(["Name", "Create Sql"], [[index.name, index.text]])
        case .create(.function, let name):
            let functions = boundCatalog().sql.functions(named: name)
            if functions.isEmpty { throw SQLError(.undefinedFunction, "function \"\(name)\" does not exist") }
            return list(["Name", "Create Sql"], functions.map { [$0.name, $0.text] })
        case .create(.subscription, let name):
            guard let subscription = boundCatalog().subscriptions[name] else { throw DatabaseSession.unknown(name) }
            return list(["Name", "Create Sql"], [[name, subscription.text]])
        case .create(_, let name):
            guard let object = boundCatalog()[name] else { throw DatabaseSession.unknown(name) }
            return list(["Name", "Create Sql"], [[object.name, object.text]])
        case .allParameters:
            return list(["name", "setting", "description"], parameters.all.map { [$0.name, $0.value, ""] }, tag: "SHOW")
        }
    }

    static func unknown(_ name: String) -> SQLError { SQLError(.undefinedTable, "relation \"\(name)\" does not exist") }

    private func list(_ listing: ShowStatement.Listing, schema: String?, pattern: String?) -> any RowCursor {
        let catalog = boundCatalog()
        let schemas = schema.map { [$0] } ?? parameters.searchPath
        func names(_ isWanted: (CatalogObject) -> Bool) -> [[String?]] {
            catalog.all.filter { schemas.contains(CatalogNames.parts($0.name).schema) && isWanted($0) }
                .map { CatalogNames.parts($0.name).name }.sorted().filter { matches($0, pattern) }.map { [$0] }
        }
        switch listing {
        case .tables: return list(["Name"], names { $0.table.map { !$0.isSequence } ?? false })
        case .views: return list(["Name"], names { if case .view = $0.kind { true } else { false } })
        case .materializedViews: return list(["Name"], names { if case .materializedView = $0.kind { true } else { false } })
        case .sources: return list(["Name"], names { if case .source = $0.kind { true } else { false } })
        case .sinks: return list(["Name"], names { if case .sink = $0.kind { true } else { false } })
        case .internalTables: return list(["Name"], names { if case .side = $0.kind { true } else { false } })
        case .schemas: return list(["Name"], catalog.sql.schemaNames.filter { matches($0, pattern) }.map { [$0] })
        case .databases: return list(["Name"], catalog.sql.databaseNames.filter { matches($0, pattern) }.map { [$0] })
        case .functions:
            let rows = catalog.sql.allFunctions.map { function -> [String?] in
                [
                    function.name, function.parameterTypes.map(\.sqlName).joined(separator: ", "), function.result.sqlName, "sql", nil,
                ]
            }
            return list(["Name", "Arguments", "Return Type", "Language", "Link"], rows)
        case .indexes: return list(["Name", "On", "Key"], catalog.indexes.map { [$0.name, $0.table, ""] })
        case .parameters: return list(["Name", "Setting"], parameters.all.map { [$0.name, $0.value] })
        case .cursors: return list(["Name"], cursors.keys.sorted().map { [$0] })
        case .subscriptionCursors: return list(["Name"], places.keys.sorted().map { [$0] })
        case .jobs:
            let jobs = database.observer.ask(signal) { database.surroundings.wake() }?.jobs ?? []
            let rows = jobs.map { job -> [String?] in
                let texts = job.unit.objects.compactMap { catalog.objects[$0]?.text }
                let percent = (Double(job.done) / Double(max(job.total, 1)) * 10_000).rounded(.down) / 100
                return ["\(job.unit.id)", texts.joined(separator: "; "), "FOREGROUND", "\(percent)%"]
            }
            return list(["Id", "Statement", "Create Type", "Progress"], rows)
        case .subscriptions:
            let all = catalog.subscriptions.values.filter { schemas.contains(CatalogNames.parts($0.name).schema) }
            return list(["Name"], all.map { CatalogNames.parts($0.name).name }.sorted().filter { matches($0, pattern) }.map { [$0] })
        case .pipelines: return list(["Name"], (["default"] + catalog.sql.pipelineNames).filter { matches($0, pattern) }.map { [$0] })
        case .connections, .secrets: return list(["Name"], [])
        case .cluster:
            let shards = database.options.shards
            return list(
                ["Id", "Addr", "State", "Parallelism", "Is Streaming", "Is Serving"], [["1", "localhost", "RUNNING", "\(shards)", "true", "true"]])
        case .processlist:
            let now = database.surroundings.clock.wallMicros()
            let rows = database.ledger.sessions.map { session -> [String?] in
                [
                    "\(session.number)", session.client.user, "\(session.client.processID)", session.client.database,
                    session.state == "active" ? "\((now - session.sinceMicros) / 1000)ms" : nil, session.state == "active" ? session.statement : nil,
                ]
            }
            return list(["Id", "User", "Pid", "Database", "Time", "Info"], rows)
        }
    }

    private func matches(_ name: String, _ pattern: String?) -> Bool {
        guard let pattern else { return true }
        return DatabaseSession.isLike(Array(name), Array(pattern))
    }

    /// LIKE, of names: % and _.
    static func isLike(_ name: [Character], _ pattern: [Character]) -> Bool {
        // Row by row: whether the pattern so far matches each beginning of the name.
        var reached = [true] + Array(repeating: false, count: name.count)
        for symbol in pattern {
            var next = Array(repeating: false, count: name.count + 1)
            for at in 0...name.count {
                if symbol == "%" {
                    next[at] = reached[at] || (at > 0 && next[at - 1])
                } else if at > 0, symbol == "_" || symbol == name[at - 1] {
                    next[at] = reached[at - 1]
                }
            }
            reached = next
        }
        return reached[name.count]
    }

    private func columns(_ name: String) throws(SQLError) -> [[String?]] {
        let catalog = boundCatalog()
        guard let entry = catalog.sql.relation(named: name) else { throw DatabaseSession.unknown(name) }
        return entry.fields.map { [$0.name, $0.type.sqlName, "false", catalog.comment(on: name, column: $0.name)] }
    }

    private func indexes(_ name: String) throws(SQLError) -> [[String?]] {
        let catalog = boundCatalog()
        guard let object = catalog[name] else { throw DatabaseSession.unknown(name) }
        return catalog.indexes.filter { $0.table == name }.map { index in
            [index.name, name, index.columns.map { object.fields[$0].name }.joined(separator: ", "), "", ""]
        }
    }

    func describe(_ name: String) throws(SQLError) -> any RowCursor {
        let catalog = boundCatalog()
        var rows = try columns(name)
        if let object = catalog[name], !object.key.isEmpty {
            rows.append(["primary key", object.key.map { object.fields[$0].name }.joined(separator: ", "), nil, nil])
        }
        for index in catalog.indexes where index.table == name {
            let columns = index.columns.compactMap { catalog[name]?.fields[$0].name }
            rows.append([index.name, "index(\(columns.joined(separator: ", ")))", nil, nil])
        }
        rows.append(["table description", CatalogNames.parts(name).name, nil, catalog.comment(on: name, column: nil)])
        return list(["Name", "Type", "Is Hidden", "Description"], rows)
    }
}

extension CatalogObject {
    /// The statement that made it.
    var text: String {
        switch kind {
        case .table(let table): table.text
        case .source(let source): source.text
        case .view(let view), .materializedView(let view): view.text
        case .sink(let sink): sink.text
        case .side(let source): "-- kept by the system for source \(source)"
        }
    }
}
