/// Functions whose answer lies in the session or the system catalogs: `current_schema()`, `format_type(oid, int)`,
/// `pg_get_viewdef(oid)`. Who runs sessions supplies them through `EvaluationContext.catalog`; without one they are NULL.
///
/// Object identifiers are BIGINT, names are TEXT. Called by any thread that evaluates expressions.
package protocol CatalogFunctions: Sendable {
    /// `name` is one of `CatalogFunctionTable`'s; arguments are of the types listed there, or NULL.
    func evaluate(_ name: String, _ arguments: [Value]) throws(SQLError) -> Value
}

/// What such functions there are. A call's first argument is the function's name, a literal that the binder puts there.
package enum CatalogFunctionTable {
    /// Kinds of objects that have a type of their own for their identifiers: `regclass` and so on. `NAMEin` finds the
    /// identifier of a name (42P01 or 42704 where there is none), `NAMEout` the name, or the number where it is nobody's.
    package static let registered = [
        "regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper", "regoperator", "regcollation", "regconfig",
    ]

    private static let oid = DataType.bigint

    /// Names, argument types, result type.
    package static let all: [(name: String, arguments: [DataType], result: DataType)] = {
        var all: [(name: String, arguments: [DataType], result: DataType)] = []
        func add(_ result: DataType, _ arguments: [DataType], _ names: String...) {
            for name in names { all.append((name, arguments, result)) }
        }
        add(
            .text, [], "current_database", "current_catalog", "current_schema", "current_user", "session_user", "user", "current_role", "version",
            "getdatabaseencoding", "pg_client_encoding", "current_query", "pg_advisory_unlock_all")
        add(.array(.text), [.boolean], "current_schemas")
        add(.integer, [], "pg_backend_pid", "inet_server_port", "inet_client_port")
        add(.text, [], "inet_server_addr", "inet_client_addr")
        add(.timestamptz, [], "pg_postmaster_start_time", "pg_conf_load_time")
        add(.boolean, [], "pg_is_in_recovery")
        add(oid, [], "pg_my_temp_schema", "txid_current", "pg_current_xact_id")
        add(.text, [.text], "current_setting")
        add(.text, [.text, .boolean], "current_setting")
        add(.text, [.text, .text, .boolean], "set_config")
        add(.boolean, [.integer], "pg_cancel_backend", "pg_terminate_backend")
        add(.boolean, [oid], "pg_try_advisory_lock", "pg_advisory_unlock", "pg_try_advisory_xact_lock", "pg_try_advisory_lock_shared")
        add(.text, [oid], "pg_advisory_lock", "pg_advisory_xact_lock", "pg_advisory_lock_shared")
        add(
            .boolean, [oid], "pg_table_is_visible", "pg_type_is_visible", "pg_function_is_visible", "pg_operator_is_visible", "pg_opclass_is_visible",
            "pg_opfamily_is_visible", "pg_conversion_is_visible", "pg_collation_is_visible", "pg_statistics_obj_is_visible",
            "pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible", "pg_ts_template_is_visible",
            "pg_relation_is_publishable", "pg_is_other_temp_schema")
        add(.text, [oid, .integer], "format_type")
        add(.text, [oid], "pg_get_userbyid", "pg_tablespace_location", "pg_get_functiondef", "pg_get_function_arguments")
        add(.text, [oid], "pg_get_function_identity_arguments", "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_partkeydef")
        add(.text, [oid], "pg_get_statisticsobjdef_columns", "pg_get_statisticsobjdef")
        add(.text, [.text, oid], "pg_get_expr")
        add(.text, [.text, oid, .boolean], "pg_get_expr")
        add(.text, [oid], "pg_get_viewdef", "pg_get_indexdef", "pg_get_constraintdef", "pg_get_ruledef", "pg_get_triggerdef")
        add(.text, [oid, .boolean], "pg_get_viewdef", "pg_get_constraintdef", "pg_get_ruledef", "pg_get_triggerdef")
        add(.text, [oid, .integer], "pg_get_viewdef")
        add(.text, [.text], "pg_get_viewdef")
        add(.text, [oid, .integer, .boolean], "pg_get_indexdef")
        add(.text, [.text, .text], "pg_get_serial_sequence")
        add(.text, [oid], "obj_description")
        add(.text, [oid, .text], "obj_description", "shobj_description")
        add(.text, [oid, .integer], "col_description")
        add(oid, [oid], "pg_table_size", "pg_relation_size", "pg_total_relation_size", "pg_indexes_size", "pg_database_size", "pg_tablespace_size")
        add(oid, [oid, .text], "pg_relation_size")
        add(oid, [.text], "pg_database_size", "to_regclass", "to_regtype", "to_regproc", "to_regnamespace", "to_regrole")
        add(.text, [.integer], "pg_encoding_to_char")
        add(.integer, [.text], "pg_char_to_encoding")
        for name in registered {
            add(oid, [.text], name + "in")
            add(.text, [oid], name + "out")
        }
        return all
    }()

    /// Functions that answer anew for each row, of a session alone: a view must come to the same rows whenever it is computed.
    package static let volatile: [(name: String, arguments: [DataType], result: DataType)] = [
        ("gen_random_uuid", [], .uuid), ("uuid_generate_v4", [], .uuid), ("random", [], .double), ("random", [.integer, .integer], .integer),
        ("random", [.bigint, .bigint], .bigint), ("pg_sleep", [.double], .text), ("nextval", [.text], .bigint),
        ("nextval", [.bigint], .bigint), ("currval", [.bigint], .bigint), ("setval", [.bigint, .bigint], .bigint),
        ("setval", [.bigint, .bigint, .boolean], .bigint), ("currval", [.text], .bigint), ("lastval", [], .bigint), ("setval", [.text, .bigint], .bigint), ("setval", [.text, .bigint, .boolean], .bigint),
    ]

    /// The next number of the identity column of the table whose canonical name is the argument. No name that can be written.
    package static let nextIdentity = "next identity"

    /// Whether the user may do something: (what, privilege) or (who, what, privilege), each by name or identifier.
    package static let privileges = [
        "has_database_privilege", "has_schema_privilege", "has_table_privilege", "has_any_column_privilege", "has_function_privilege",
        "has_sequence_privilege", "has_type_privilege", "has_tablespace_privilege", "has_language_privilege", "has_server_privilege",
        "has_foreign_data_wrapper_privilege", "pg_has_role", "has_column_privilege",
    ]
}

enum CatalogCalls {
    static func evaluate(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard case .text(let name) = arguments.first else { throw Evaluation.wrongArguments(.catalog, arguments) }
        return try context.catalog?.evaluate(name, Array(arguments.dropFirst())) ?? .null
    }

    /// NULL in, NULL out.
    static func evaluateVolatile(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard case .text(let name) = arguments.first else { throw Evaluation.wrongArguments(.volatile, arguments) }
        guard let catalog = context.catalog else { throw SQLError(.featureNotSupported, "\(name)() can only be called in a session") }
        if arguments.contains(where: \.isNull) { return .null }
        return try catalog.evaluate(name, Array(arguments.dropFirst()))
    }
}

extension OverloadTable.Builder {
    mutating func addCatalog() {
        for entry in CatalogFunctionTable.all {
            add(.catalog, [entry.name], entry.arguments.map { .exact($0) }, .exact(entry.result), .stable)
        }
        for entry in CatalogFunctionTable.volatile {
            add(.volatile, [entry.name], entry.arguments.map { .exact($0) }, .exact(entry.result), .volatile)
        }
        for name in CatalogFunctionTable.privileges {
            add(.catalog, [name], [.any, .exact(.text)], .exact(.boolean), .stable)
            add(.catalog, [name], [.any, .any, .exact(.text)], .exact(.boolean), .stable)
            if name == "has_column_privilege" { add(.catalog, [name], [.any, .any, .any, .exact(.text)], .exact(.boolean), .stable) }
        }
    }
}
