internal import MartletCore
internal import MartletSQL

/// What functions answer that ask the session or the catalog: `current_schema()`, `format_type(oid, int)`,
/// `pg_get_viewdef(oid)`, `'t'::regclass`.
struct SessionFunctions: CatalogFunctions {
    let facts: SystemFacts
    /// Of the session's statements.
    let limits: StatementLimits
    let drawn: DrawnNumbers

    func evaluate(_ name: String, _ arguments: [Value]) throws(SQLError) -> Value {
        if let value = try anew(name, arguments) { return value }
        if let value = session(name, arguments) { return value }
        if name == "current_setting" || name == "set_config" { return try setting(name, arguments) }
        for kind in CatalogFunctionTable.registered {
            if name == kind + "in" { return try identifier(kind, arguments) }
            if name == kind + "out" { return shownName(kind, arguments) }
        }
        if name.hasPrefix("to_reg") { return (try? identifier(String(name.dropFirst(3)), arguments)) ?? .null }
        if name == "pg_table_is_visible", let oid = arguments.first?.identifier { return .boolean(isVisible(oid)) }
        if name.hasPrefix("has_") || name == "pg_has_role" || name.hasSuffix("_is_visible") { return .boolean(true) }
        guard arguments.allSatisfy({ !$0.isNull }) else { return .null }
        return object(name, arguments)
    }

    // MARK: The session's own

    private func session(_ name: String, _ arguments: [Value]) -> Value? {
        let path = facts.parameters.searchPath.filter { facts.catalog.sql.hasSchema($0) }
        switch name {
        case "current_database", "current_catalog": return .text(facts.catalog.sql.databaseName)
        case "current_schema": return path.first.map { .text($0) } ?? .null
        case "current_schemas":
            var names = path
            if case .boolean(true)? = arguments.first { names.insert("pg_catalog", at: 0) }
            return .array(ArrayValue(.text, names.map { .text($0) }))
        case "current_user", "session_user", "user", "current_role": return .text(facts.client.user)
        case "version": return .text("PostgreSQL \(facts.parameters["server_version"] ?? "")")
        case "getdatabaseencoding", "pg_client_encoding", "pg_encoding_to_char": return .text("UTF8")
        case "pg_char_to_encoding": return .integer(6)
        case "pg_backend_pid": return .integer(facts.client.processID)
        case "pg_is_in_recovery", "pg_is_other_temp_schema", "pg_relation_is_publishable": return .boolean(false)
        case "pg_cancel_backend":
            let processID = arguments.first?.identifier ?? 0
            return .boolean(processID != 0 && facts.database.ledger.cancel(processID))
        case "pg_terminate_backend":
            let processID = arguments.first?.identifier ?? 0
            return .boolean(processID != 0 && facts.database.ledger.terminate(processID))
        case "pg_my_temp_schema": return .bigint(0)
        case "txid_current", "pg_current_xact_id": return .bigint(Int64(clamping: facts.database.visible.tick))
        // One session never has to wait for another's advisory lock: they hold nothing.
        case "pg_try_advisory_lock", "pg_advisory_unlock", "pg_try_advisory_xact_lock", "pg_try_advisory_lock_shared": return .boolean(true)
        case "pg_advisory_lock", "pg_advisory_xact_lock", "pg_advisory_lock_shared", "pg_advisory_unlock_all": return .text("")
        case "current_query", "inet_server_addr", "inet_client_addr", "inet_server_port", "inet_client_port", "pg_postmaster_start_time",
            "pg_conf_load_time":
            return .null
        default: return nil
        }
    }

    private func setting(_ name: String, _ arguments: [Value]) throws(SQLError) -> Value {
        guard case .text(let parameter)? = arguments.first else { return .null }
        if name == "set_config" { return arguments[1] }
        if let value = facts.parameters[parameter.lowercased()] { return .text(value) }
        if arguments.count > 1, case .boolean(true) = arguments[1] { return .null }
        throw SQLError(.undefinedObject, "unrecognized configuration parameter \"\(parameter)\"")
    }

    // MARK: Names and identifiers

    /// Whether a relation, or a key's index, is found without its schema.
    private func isVisible(_ oid: Int32) -> Bool {
        let number = Int64(oid) - (oid >= SystemOID.keyIndex && oid < SystemOID.systemTable ? Int64(SystemOID.keyIndex) : 0) - Int64(CatalogObject.firstOID)
        guard let raw = UInt32(exactly: number), let object = facts.catalog.objects[RelationID(raw)] else { return true }
        return facts.parameters.searchPath.contains(CatalogNames.parts(object.name).schema)
    }

    private func relation(_ name: String) -> RelationEntry? {
        if let entry = facts.catalog.sql.relation(named: name) { return entry }
        for schema in facts.parameters.searchPath + ["pg_catalog"] {
            if let entry = facts.catalog.sql.relation(named: CatalogNames.canonical(schema: schema, name: name)) { return entry }
        }
        let (schema, bare) = CatalogNames.parts(name)
        return facts.catalog.sql.relation(named: CatalogNames.canonical(schema: schema, name: bare))
    }

    private func identifier(_ kind: String, _ arguments: [Value]) throws(SQLError) -> Value {
        guard case .text(let written)? = arguments.first else { return .null }
        if let number = Int64(written) { return .bigint(number) }
        let name = String(written.filter { $0 != "\"" })
        switch kind {
        case "regclass":
            if let entry = relation(name), let oid = PostgresCatalog.oid(ofRelation: entry.name, facts.catalog) { return .bigint(Int64(oid)) }
            throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist")
        case "regtype":
            let name = name.hasPrefix("pg_catalog.") ? String(name.dropFirst("pg_catalog.".count)) : name
            if let oid = SessionFunctions.pseudoTypes[name] { return .bigint(oid) }
            if let type = PostgresType.all.first(where: { $0.name == name || $0.type?.sqlName == name }) { return .bigint(Int64(type.oid)) }
            throw SQLError(.undefinedObject, "type \"\(name)\" does not exist")
        case "regnamespace":
            if facts.catalog.sql.hasSchema(name) { return .bigint(Int64(SystemOID.schema(name, facts.catalog))) }
            throw SQLError(.invalidSchemaName, "schema \"\(name)\" does not exist")
        case "regrole": return .bigint(Int64(SystemOID.owner))
        case "regproc", "regprocedure":
            let wanted = String(name.prefix { $0 != "(" })
            let schema = ["public.", "pg_catalog."].first { wanted.hasPrefix($0) } ?? ""
            let bare = String(wanted.dropFirst(schema.count))
            if schema != "public.", let oid = SessionFunctions.typeFunctions[bare] { return .bigint(oid) }
            if let at = facts.catalog.sql.allFunctions.firstIndex(where: { $0.name == bare }) {
                return .bigint(Int64(SystemOID.function) + Int64(at))
            }
            throw SQLError(.undefinedFunction, "function \"\(name)\" does not exist")
        default: throw SQLError(.undefinedObject, "\(kind) \"\(name)\" does not exist")
        }
    }

    private func shownName(_ kind: String, _ arguments: [Value]) -> Value {
        guard let oid = arguments.first?.identifier else { return .null }
        switch kind {
        case "regclass": return .text(PostgresCatalog.relationName(oid, facts.catalog) ?? "\(oid)")
        case "regtype": return .text(PostgresType.all.first { $0.oid == oid }.map { $0.type?.sqlName ?? $0.name } ?? "\(oid)")
        case "regnamespace":
            return .text(facts.catalog.sql.schemaNames.first { SystemOID.schema($0, facts.catalog) == oid } ?? "\(oid)")
        case "regproc", "regprocedure":
            let at = Int(oid) - Int(SystemOID.function)
            let functions = facts.catalog.sql.allFunctions
            if let known = SessionFunctions.typeFunctions.first(where: { $0.value == Int64(oid) }) { return .text(known.key) }
            guard functions.indices.contains(at) else { return .text(oid == 0 ? "-" : "\(oid)") }
            let parameters = functions[at].parameterTypes.map(\.sqlName).joined(separator: ",")
            return .text(functions[at].name + (kind == "regproc" ? "" : "(\(parameters))"))
        case "regrole": return .text(oid == SystemOID.owner ? "martlet" : "\(oid)")
        default: return .text("\(oid)")
        }
    }

    /// Types of functions' results only.
    private static let pseudoTypes: [String: Int64] = [
        "record": 2249, "cstring": 2275, "any": 2276, "anyarray": 2277, "void": 2278, "trigger": 2279, "language_handler": 2280,
        "internal": 2281, "anyelement": 2283, "event_trigger": 3838,
    ]

    /// Functions of types that clients ask for by name.
    private static let typeFunctions: [String: Int64] = ["array_in": 750, "array_out": 751, "array_recv": 2400, "array_send": 2401]

    // MARK: Objects

    private func object(_ name: String, _ arguments: [Value]) -> Value {
        guard let oid = arguments.first?.identifier else {
            if name == "pg_get_expr" { return arguments[0] }
            if name == "pg_get_serial_sequence", case .text(let table) = arguments[0], case .text(let column) = arguments[1] {
                guard let object = relation(table).flatMap({ facts.catalog[$0.name] }), let sequence = object.identitySequence,
                    object.table?.columns.contains(where: { $0.name == column && $0.identity != nil }) == true
                else { return .null }
                return .text(CatalogNames.parts(object.name).schema + "." + sequence)
            }
            if name == "pg_database_size" { return .bigint(facts.database.sizes().reduce(0) { $0 + Int64($1.value.bytes) }) }
            return .null
        }
        let found = facts.catalog.all.first { $0.oid == oid }
        switch name {
        case "format_type":
            let type = PostgresType.all.first { $0.oid == oid }
            guard let shown = type?.type else { return .text(type?.name ?? "???") }
            if case .integer(let modifier)? = arguments.last, modifier >= 4, shown == .plainNumeric {
                return .text("numeric(\((modifier - 4) >> 16),\((modifier - 4) & 0x7FF))")
            }
            return .text(shown.sqlName)
        case "pg_get_userbyid": return .text("martlet")
        case "pg_tablespace_location": return .text("")
        case "pg_get_viewdef": return found.map { .text($0.queryText) } ?? .null
        case "pg_get_indexdef":
            guard let index = PostgresCatalog.index(oid, facts.catalog) else { return .null }
            if arguments.count > 1, case .integer(let column) = arguments[1], column > 0 {
                let ordinal = Int(column) - 1
                return ordinal < index.columns.count ? .text(index.columns[ordinal]) : .null
            }
            return .text(index.definition)
        case "pg_get_constraintdef":
            return PostgresCatalog.constraint(oid, facts.catalog).map { .text($0) } ?? .null
        case "obj_description":
            if let table = SystemTable.table(oid), !table.comment.isEmpty { return .text(table.comment) }
            return found.flatMap { facts.catalog.comment(on: $0.name, column: nil) }.map { .text($0) } ?? .null
        case "col_description":
            if let table = SystemTable.table(oid) {
                guard case .integer(let column) = arguments[1], table.columnComments.indices.contains(Int(column) - 1) else { return .null }
                return .text(table.columnComments[Int(column) - 1])
            }
            guard let found, case .integer(let column) = arguments[1], column > 0, Int(column) <= found.fields.count else { return .null }
            return facts.catalog.comment(on: found.name, column: found.fields[Int(column) - 1].name).map { .text($0) } ?? .null
        case "pg_table_size", "pg_relation_size", "pg_total_relation_size":
            return found.map { .bigint(Int64(facts.database.sizes()[$0.id]?.bytes ?? 0)) } ?? .null
        case "pg_indexes_size": return .bigint(0)
        case "pg_database_size": return .bigint(facts.database.sizes().reduce(0) { $0 + Int64($1.value.bytes) })
        case "pg_get_functiondef", "pg_get_function_sqlbody", "pg_get_function_arguments", "pg_get_function_identity_arguments",
            "pg_get_function_result":
            let at = Int(oid) - Int(SystemOID.function)
            let functions = facts.catalog.sql.allFunctions
            guard functions.indices.contains(at) else { return .null }
            switch name {
            case "pg_get_functiondef": return .text(functions[at].text)
            case "pg_get_function_result": return .text(functions[at].result.sqlName)
            case "pg_get_function_sqlbody": return .null
            default: return .text(functions[at].parameterTypes.map(\.sqlName).joined(separator: ", "))
            }
        default: return .null
        }
    }
}

extension Value {
    /// The number of an object; nil where this is none.
    fileprivate var identifier: Int32? {
        switch self {
        case .bigint(let number): Int32(exactly: number)
        case .integer(let number): number
        default: nil
        }
    }
}

extension CatalogObject {
    /// A view's query, as it was written.
    fileprivate var queryText: String {
        let words = text
        guard let found = words.range(ofWord: "AS") else { return words }
        return String(words[found...].drop(while: \.isWhitespace))
    }
}

extension String {
    /// Behind the first occurrence of a word that stands by itself, in any case.
    fileprivate func range(ofWord word: String) -> Index? {
        var at = startIndex
        var previous: Character = " "
        while at < endIndex {
            if previous.isWhitespace, self[at...].prefix(word.count).uppercased() == word {
                let end = index(at, offsetBy: word.count)
                if end == endIndex || self[end].isWhitespace || self[end] == "(" { return end }
            }
            previous = self[at]
            at = index(after: at)
        }
        return nil
    }
}
