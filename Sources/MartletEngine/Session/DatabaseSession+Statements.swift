internal import MartletColumns
internal import MartletCore
internal import MartletSQL

extension DatabaseSession {
    func carryOut(_ statement: SessionStatement, text: String) throws(SQLError) -> SQLOutcome {
        switch statement {
        case .insert(let insert): return try carryOut(insert)
        case .update(let update): return try carryOut(update)
        case .delete(let delete): return try carryOut(delete)
        case .truncate(let names, let restartsIdentity): return try truncate(names, restartsIdentity: restartsIdentity)
        case .createTable(let table, .some(let rows)): return try createTable(table, rows: rows, text: text)
        case .createTable, .drop, .alter, .createIndex, .createSchema, .createDatabase, .createFunction, .createPipeline, .createType,
            .createSubscription, .comment:
            return try define(text)
        case .transaction(let transaction): return try carryOut(transaction)
        case .flush, .wait:
            try commitChanges()
            _ = try request(.flush)
            return .done(tag: "FLUSH")
        case .show(let show): return .rows(try self.show(show))
        case .describe(let name): return .rows(try describe(name))
        case .explainAnalyze(let inner, _): return .rows(try analyze(inner, text: text))
        case .analyze(let kind, let name): return .rows(try analyzeRunning(kind, name))
        case .copy(let copy): return try carryOut(copy)
        case .prepare(let name, let types, let text):
            if statements[name] != nil {
                throw SQLError(SQLState("42P05"), "prepared statement \"\(name)\" already exists")
            }
            let prepared = try prepare(text, parameterTypes: types.map { $0 })
            (prepared as? SessionStatementText)?.isFromSQL = true
            statements[name] = prepared
            return .done(tag: "PREPARE")
        case .execute(let name, let arguments): return try executePrepared(name, arguments)
        case .deallocate(let name):
            guard let name else {
                statements = statements.filter { $0.key.isEmpty }
                return .done(tag: "DEALLOCATE ALL")
            }
            guard statements.removeValue(forKey: name) != nil else {
                throw SQLError(SQLState("26000"), "prepared statement \"\(name)\" does not exist")
            }
            return .done(tag: "DEALLOCATE")
        case .declareCursor(let name, let options, let query): return try declare(name, options, query, text: text)
        case .fetch(let fetch): return try self.fetch(fetch)
        case .closeCursor(let name): return try closeCursor(name)
        case .subscribe(let statement): return try subscribe(statement)
        case .declareSubscriptionCursor(let cursor): return try declare(cursor)
        case .cancelJobs(let numbers):
            _ = try request(.abandon(.jobs(numbers)))
            return .done(tag: "CANCEL JOBS")
        case .discard(let target):
            if target == .all {
                statements = [:]
                _ = try closeCursor(nil)
                parameters.resetAll()
            }
            if target == .all || target == .sequences { drawn.forget() }
            return .done(tag: "DISCARD \(target.rawValue.uppercased())")
        case .accepted(let tag, let message):
            if let message { notice(message) }
            return .done(tag: tag)
        }
    }

    private func createTable(_ table: TableDefinition, rows: Plan, text: String) throws(SQLError) -> SQLOutcome {
        let given = try self.rows(rows)
        let outcome = try define(text)
        guard let object = boundCatalog()[table.name], let batch = Batch.joined(given) else { return outcome }
        let placed = try insert(batch, into: object, table, nil)
        if !current.isExplicit { try commitChanges() }
        return .done(tag: "SELECT \(placed.count)")
    }

    private func executePrepared(_ name: String, _ arguments: [TypedValue]) throws(SQLError) -> SQLOutcome {
        guard let statement = statements[name] as? SessionStatementText else {
            throw SQLError(SQLState("26000"), "prepared statement \"\(name)\" does not exist")
        }
        guard arguments.count == statement.parameterTypes.count else {
            throw SQLError(
                .syntaxError, "wrong number of parameters for prepared statement \"\(name)\"",
                detail: "Expected \(statement.parameterTypes.count) parameters but got \(arguments.count).")
        }
        var values: [Value] = []
        for (argument, type) in zip(arguments, statement.parameterTypes) {
            values.append(try argument.value.isNull ? .null : argument.value.cast(to: type, explicit: false, zone: evaluation.zone))
        }
        return try execute(statement, parameters: values)
    }

    // MARK: Parameters

    func set(_ statement: SetStatement) throws(SQLError) -> SQLOutcome {
        if let message = statement.notice { notice(message) }
        if statement.name == "all" {
            parameters.resetAll()
            return .done(tag: "RESET")
        }
        if SessionParameters.fixed.contains(statement.name) {
            throw SQLError(SQLState("55P02"), "parameter \"\(statement.name)\" cannot be changed")
        }
        if let value = statement.value { try check(statement.name, value) }
        parameters.set(statement.name, statement.value)
        return .done(tag: statement.value == nil ? "RESET" : "SET")
    }

    private func check(_ name: String, _ value: String) throws(SQLError) {
        func invalid() -> SQLError {
            SQLError(.invalidParameterValue, "invalid value for parameter \"\(name)\": \"\(value)\"")
        }
        switch name {
        case "timezone": if database.options.evaluation.zone(named: value) == nil { throw invalid() }
        case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout":
            if SessionParameters.micros(value) == nil { throw invalid() }
        case "statement_memory_limit": if SessionParameters.bytes(value) == nil { throw invalid() }
        case "client_encoding":
            let known = ["utf8", "utf-8", "unicode", "sql_ascii"]
            if !known.contains(value.lowercased()) {
                throw SQLError(.featureNotSupported, "conversion between \(value) and UTF8 is not supported")
            }
        default: break
        }
    }

    func show(_ name: String) throws(SQLError) -> any RowCursor {
        let key = name.lowercased()
        guard let value = parameters[key] else {
            throw SQLError(.undefinedObject, "unrecognized configuration parameter \"\(name)\"")
        }
        return list([SessionParameters.reported[key] ?? key], [[value]], tag: "SHOW")
    }

    /// Texts as rows.
    func list(_ names: [String], _ rows: [[String?]], tag: String? = nil) -> any RowCursor {
        let fields = names.map { Field(name: $0, type: .text) }
        return BatchCursor(fields, rows: rows.map { $0.map { $0.map { .text($0) } ?? .null } }) { tag ?? "SELECT \($0)" }
    }

    func explanation(_ plan: String) -> any RowCursor {
        // Its last line ends like the others.
        let lines = plan.hasSuffix("\n") ? plan.dropLast() : plan[...]
        return list(["QUERY PLAN"], lines.split(separator: "\n", omittingEmptySubsequences: false).map { [String($0)] }, tag: "EXPLAIN")
    }

    /// The command tag of a definition that was skipped: its first words.
    static func tag(of text: String) -> String {
        let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == "\r" }.prefix(3).map { $0.uppercased() }
        return words.count == 3 && words[1] == "MATERIALIZED" ? words.joined(separator: " ") : words.prefix(2).joined(separator: " ")
    }

    /// The fields of a statement's rows; nil: it gives none.
    func fields(of statement: BoundStatement) throws(SQLError) -> [Field]? {
        switch statement {
        case .select(let query): return query.fields
        case .createSource, .createView, .createMaterializedView, .createSink, .skipped, .set: return nil
        case .explain: return [Field(name: "QUERY PLAN", type: .text)]
        case .show(let name): return try show(name).fields
        case .session(let session):
            switch session {
            case .insert(let insert): return insert.returning?.fields
            case .update(let update): return update.returning?.fields
            case .delete(let delete): return delete.returning?.fields
            case .show(let show): return try self.show(show).fields
            case .describe(let name): return try describe(name).fields
            case .explainAnalyze, .analyze: return [Field(name: "QUERY PLAN", type: .text)]
            case .execute(let name, _): return statements[name]?.fields
            case .fetch(let fetch): return fetch.isMove ? nil : places[fetch.cursor]?.fields ?? cursors[fetch.cursor]?.fields
            default: return nil
            }
        }
    }
}
