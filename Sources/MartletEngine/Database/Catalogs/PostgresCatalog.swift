internal import MartletCore
internal import MartletSQL

/// pg_catalog: what psql, drivers and tools ask of it. Object ids hold within one server's life and between restarts.
enum PostgresCatalog {
    static let tables: [SystemTable] = relations + columns + names + settings

    private static func text(_ text: String?) -> Value { text.map { .text($0) } ?? .null }

    // MARK: Relations

    /// A relation as pg_class shows it, the system's own included.
    private struct Shown {
        var oid: Int32
        var schema: String
        var name: String
        var fields: [Field]
        var kind: String
        var object: CatalogObject?
    }

    private static func shown(_ catalog: DatabaseCatalog) -> [Shown] {
        let own = catalog.all.map { object -> Shown in
            let (schema, name) = CatalogNames.parts(object.name)
            let kind =
                switch object.kind {
                case .table(let table): table.isSequence ? "S" : "r"
                case .side, .source, .sink: "r"
                case .view: "v"
                case .materializedView: "m"
                }
            return Shown(oid: object.oid, schema: schema, name: name, fields: object.fields, kind: kind, object: object)
        }
        let system = SystemTable.all.enumerated().compactMap { at, table -> Shown? in
            let (schema, name) = CatalogNames.parts(table.name)
            if schema == CatalogNames.unlistedSchema { return nil }
            return Shown(
                oid: SystemOID.systemTable + Int32(truncatingIfNeeded: at), schema: schema, name: name, fields: table.fields.filter { $0.name != SystemTable.ownColumn },
                kind: schema == "pg_catalog" ? "r" : "v", object: nil)
        }
        return own + system
    }

    /// An index: that of a primary key or a UNIQUE constraint, or one that was declared.
    private struct ShownIndex {
        var oid: Int32
        var name: String
        var table: CatalogObject
        var columns: [Int]
        var isPrimary: Bool
        var isUnique: Bool
        var isConstraint = false
    }

    private static func shownIndexes(_ catalog: DatabaseCatalog) -> [ShownIndex] {
        let keys = catalog.all.compactMap { object -> ShownIndex? in
            guard case .table = object.kind, !object.key.isEmpty else { return nil }
            return ShownIndex(
                oid: SystemOID.keyIndex + object.oid, name: CatalogNames.parts(object.name).name + "_pkey", table: object,
                columns: object.key, isPrimary: true, isUnique: true, isConstraint: true)
        }
        let uniques = catalog.all.flatMap { object -> [ShownIndex] in
            (object.table?.uniques ?? []).enumerated().map { at, unique in
                ShownIndex(
                    oid: SystemOID.constraint(of: object, at), name: unique.name, table: object, columns: unique.columns, isPrimary: false,
                    isUnique: true, isConstraint: true)
            }
        }
        let declared = catalog.indexes.enumerated().compactMap { at, index -> ShownIndex? in
            catalog[index.table].map {
                ShownIndex(
                    oid: SystemOID.index(at), name: CatalogNames.parts(index.name).name, table: $0,
                    columns: index.columns, isPrimary: false, isUnique: index.isUnique)
            }
        }
        return keys + uniques + declared
    }

    /// The checks of all tables.
    private static func shownChecks(_ catalog: DatabaseCatalog) -> [(oid: Int32, table: CatalogObject, check: CheckConstraint)] {
        catalog.all.flatMap { object -> [(oid: Int32, table: CatalogObject, check: CheckConstraint)] in
            guard let table = object.table else { return [] }
            return table.checks.enumerated().map { at, check in
                (SystemOID.constraint(of: object, table.uniques.count + at), object, check)
            }
        }
    }

    /// A constraint as it stands in CREATE TABLE; nil: there is none of that number.
    static func constraint(_ oid: Int32, _ catalog: DatabaseCatalog) -> String? {
        if let index = shownIndexes(catalog).first(where: { $0.oid == oid && $0.isConstraint }) {
            let columns = index.columns.map { index.table.fields[$0].name }
            return "\(index.isPrimary ? "PRIMARY KEY" : "UNIQUE") (\(columns.joined(separator: ", ")))"
        }
        return shownChecks(catalog).first { $0.oid == oid }.map { "CHECK (\($0.check.condition.sql($0.table.fields.map(\.name))))" }
    }

    /// What clients call a relation by number; nil: there is none of that name.
    static func oid(ofRelation name: String, _ catalog: DatabaseCatalog) -> Int32? {
        shown(catalog).first { CatalogNames.canonical(schema: $0.schema, name: $0.name) == name }?.oid
    }

    static func relationName(_ oid: Int32, _ catalog: DatabaseCatalog) -> String? {
        if let found = shown(catalog).first(where: { $0.oid == oid }) {
            return found.schema == "pg_catalog" ? found.name : CatalogNames.canonical(schema: found.schema, name: found.name)
        }
        return shownIndexes(catalog).first { $0.oid == oid }?.name
    }

    /// The columns of an index, and the statement that would make it.
    static func index(_ oid: Int32, _ catalog: DatabaseCatalog) -> (columns: [String], definition: String)? {
        guard let index = shownIndexes(catalog).first(where: { $0.oid == oid }) else { return nil }
        let columns = index.columns.map { index.table.fields[$0].name }
        let (schema, table) = CatalogNames.parts(index.table.name)
        let unique = index.isUnique ? "UNIQUE " : ""
        return (columns, "CREATE \(unique)INDEX \(index.name) ON \(schema).\(table) USING btree (\(columns.joined(separator: ", ")))")
    }

    private static let relations: [SystemTable] = [
        SystemTable(
            "pg_catalog.pg_class",
            "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o reltablespace:o relpages:i "
                + "reltuples:f relallvisible:i reltoastrelid:o relhasindex:b relisshared:b relpersistence:t relkind:t relnatts:s "
                + "relchecks:s relhasrules:b relhastriggers:b relhassubclass:b relrowsecurity:b relforcerowsecurity:b "
                + "relispopulated:b relreplident:t relispartition:b relrewrite:o reloptions:T relacl:T"
        ) { facts in
            let indexes = shownIndexes(facts.catalog)
            func row(
                _ oid: Int32, _ name: String, _ schema: String, _ kind: String, _ columns: Int, _ isIndexed: Bool, checks: Int = 0
            ) -> [Value] {
                [
                    .integer(oid), .text(name), .integer(SystemOID.schema(schema, facts.catalog)), .integer(0), .integer(0),
                    .integer(SystemOID.owner), .integer(kind == "i" ? SystemOID.btree : kind == "v" ? 0 : SystemOID.heap), .integer(oid),
                    .integer(0), .integer(0), .real(-1), .integer(0), .integer(0), .boolean(isIndexed), .boolean(false), .text("p"),
                    .text(kind), .smallint(Int16(clamping: columns)), .smallint(Int16(clamping: checks)), .boolean(false), .boolean(false), .boolean(false),
                    .boolean(false), .boolean(false), .boolean(true), .text("d"), .boolean(false), .integer(0), .null, .null,
                ]
            }
            return shown(facts.catalog).map { shown in
                row(shown.oid, shown.name, shown.schema, shown.kind, shown.fields.count, indexes.contains { $0.table.oid == shown.oid },
                    checks: shown.object?.table?.checks.count ?? 0)
            }
                + indexes.map { row($0.oid, $0.name, CatalogNames.parts($0.table.name).schema, "i", $0.columns.count, false) }
        },
        SystemTable(
            "pg_catalog.pg_index",
            "indexrelid:o indrelid:o indnatts:s indnkeyatts:s indisunique:b indnullsnotdistinct:b indisprimary:b indisexclusion:b "
                + "indimmediate:b indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b indkey:S "
                + "indcollation:O indclass:O indoption:S indexprs:t indpred:t"
        ) { facts in
            shownIndexes(facts.catalog).map { index in
                let count = Int16(clamping: index.columns.count)
                let keys = index.columns.map { Value.smallint(Int16(clamping: $0 + 1)) }
                return [
                    .integer(index.oid), .integer(index.table.oid), .smallint(count), .smallint(count), .boolean(index.isUnique),
                    .boolean(false), .boolean(index.isPrimary), .boolean(false), .boolean(true), .boolean(false), .boolean(true),
                    .boolean(false), .boolean(true), .boolean(true), .boolean(false), .array(ArrayValue(.smallint, keys)),
                    .array(ArrayValue(.integer, keys.map { _ in .integer(0) })), .array(ArrayValue(.integer, keys.map { _ in .integer(0) })),
                    .array(ArrayValue(.smallint, keys.map { _ in .smallint(0) })), .null, .null,
                ]
            }
        },
        SystemTable(
            "pg_catalog.pg_constraint",
            "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o conindid:o "
                + "conparentid:o confrelid:o confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:s connoinherit:b "
                + "conkey:S confkey:S conpfeqop:O conbin:t"
        ) { facts in
            func row(_ oid: Int32, _ name: String, _ kind: String, _ table: CatalogObject, _ columns: [Int], index: Int32) -> [Value] {
                let keys = columns.map { Value.smallint(Int16(clamping: $0 + 1)) }
                let schema = SystemOID.schema(CatalogNames.parts(table.name).schema, facts.catalog)
                return [
                    .integer(oid), .text(name), .integer(schema), .text(kind), .boolean(false), .boolean(false), .boolean(true),
                    .integer(table.oid), .integer(0), .integer(index), .integer(0), .integer(0), .text(" "), .text(" "), .text(" "),
                    .boolean(true), .smallint(0), .boolean(kind != "c"), .array(ArrayValue(.smallint, keys)), .null, .null, .null,
                ]
            }
            let keys = shownIndexes(facts.catalog).filter(\.isConstraint).map {
                row($0.oid, $0.name, $0.isPrimary ? "p" : "u", $0.table, $0.columns, index: $0.oid)
            }
            return keys + shownChecks(facts.catalog).map { oid, table, check in
                row(oid, check.name, "c", table, check.condition.columns.filter { $0 < table.fields.count }.sorted(), index: 0)
            }
        },
        SystemTable(
            "pg_catalog.pg_tables",
            "schemaname:t tablename:t tableowner:t tablespace:t hasindexes:b hasrules:b hastriggers:b rowsecurity:b") {
            facts in
            shown(facts.catalog).filter { $0.kind == "r" }.map {
                [
                    .text($0.schema), .text($0.name), .text("martlet"), .null, .boolean(!($0.object?.key.isEmpty ?? true)), .boolean(false),
                    .boolean(false), .boolean(false),
                ]
            }
        },
        SystemTable("pg_catalog.pg_views", "schemaname:t viewname:t viewowner:t definition:t") { facts in
            shown(facts.catalog).filter { $0.kind == "v" }.map { [.text($0.schema), .text($0.name), .text("martlet"), text($0.object?.text)] }
        },
        SystemTable(
            "pg_catalog.pg_matviews",
            "schemaname:t matviewname:t matviewowner:t tablespace:t hasindexes:b ispopulated:b definition:t") {
            facts in
            shown(facts.catalog).filter { $0.kind == "m" }.map {
                [.text($0.schema), .text($0.name), .text("martlet"), .null, .boolean(false), .boolean(true), text($0.object?.text)]
            }
        },
        SystemTable("pg_catalog.pg_indexes", "schemaname:t tablename:t indexname:t tablespace:t indexdef:t") { facts in
            shownIndexes(facts.catalog).map { index in
                let (schema, table) = CatalogNames.parts(index.table.name)
                let definition = PostgresCatalog.index(index.oid, facts.catalog)?.definition
                return [.text(schema), .text(table), .text(index.name), .null, text(definition)]
            }
        },
    ]

    // MARK: Columns and types

    private static func attributes(_ oid: Int32, _ fields: [Field], _ table: TableDefinition?) -> [[Value]] {
        fields.enumerated().map { at, field in
            let type = PostgresType.oid(of: field.type)
            let length = PostgresType.all.first { $0.oid == type }?.length ?? -1
            let column = table?.columns[at]
            let isNotNull = table?.primaryKey.contains(at) ?? false || column?.isNotNull ?? false
            let hasDefault = column?.defaultValue != nil || column?.generated != nil
            let identity = column?.identity.map { $0.isAlways ? "a" : "d" } ?? ""
            let start: [Value] = [
                .integer(oid), .text(field.name), .integer(type), .integer(-1), .smallint(length), .smallint(Int16(clamping: at + 1)),
                .integer(0), .integer(-1), .integer(PostgresType.modifier(of: field.type)), .boolean(false), .text("i"), .text("p"), .text(""),
            ]
            let end: [Value] = [
                .boolean(isNotNull), .boolean(hasDefault), .boolean(false), .text(identity), .text(column?.generated == nil ? "" : "s"),
                .boolean(false), .boolean(true), .smallint(0), .integer(field.type == .text ? 100 : 0), .null, .null, .null,
            ]
            return start + end
        }
    }

    private static let columns: [SystemTable] = [
        SystemTable(
            "pg_catalog.pg_attribute",
            "attrelid:o attname:t atttypid:o attstattarget:i attlen:s attnum:s attndims:i attcacheoff:i atttypmod:i attbyval:b attalign:t "
                + "attstorage:t attcompression:t attnotnull:b atthasdef:b atthasmissing:b attidentity:t attgenerated:t attisdropped:b "
                + "attislocal:b attinhcount:s attcollation:o attacl:T attoptions:T attfdwoptions:T"
        ) { facts in
            let relations = shown(facts.catalog).map { attributes($0.oid, $0.fields, $0.object?.table) }
            let indexes = shownIndexes(facts.catalog).map { index in attributes(index.oid, index.columns.map { index.table.fields[$0] }, nil) }
            return Array((relations + indexes).joined())
        },
        SystemTable("pg_catalog.pg_attrdef", "oid:o adrelid:o adnum:s adbin:t") { facts in
            facts.catalog.all.flatMap { object -> [[Value]] in
                guard case .table(let table) = object.kind else { return [] }
                return table.columns.enumerated().compactMap { at, column in
                    (column.defaultValue ?? column.generated).map {
                        [.integer(object.oid &* 2048 &+ Int32(at)), .integer(object.oid), .smallint(Int16(clamping: at + 1)), .text($0.sql(object.fields.map(\.name)))]
                    }
                }
            }
        },
        SystemTable(
            "pg_catalog.pg_type",
            "oid:o typname:t typnamespace:o typowner:o typlen:s typbyval:b typtype:t typcategory:t typispreferred:b typisdefined:b "
                + "typdelim:t typrelid:o typsubscript:t typelem:o typarray:o typinput:o typoutput:o typreceive:o typsend:o typmodin:t "
                + "typmodout:t typanalyze:t typalign:t typstorage:t typnotnull:b typbasetype:o typtypmod:i typndims:i typcollation:o "
                + "typdefaultbin:t typdefault:t typacl:T"
        ) { _ in
            PostgresType.all.map { type in
                [
                    .integer(type.oid), .text(type.name), .integer(SystemOID.catalogSchema), .integer(SystemOID.owner), .smallint(type.length),
                    .boolean(type.length > 0 && type.length <= 8), .text(type.category == "P" ? "p" : "b"), .text(type.category),
                    .boolean(type.name == "text" || type.name == "float8" || type.name == "timestamptz"), .boolean(true), .text(","), .integer(0),
                    .text(type.element == 0 ? "-" : "array_subscript_handler"), .integer(type.element), .integer(type.array),
                    // Those of arrays are known by their numbers (`'array_in'::regproc`), the others are nobody's.
                    .integer(type.element == 0 ? 0 : 750), .integer(type.element == 0 ? 0 : 751), .integer(type.element == 0 ? 0 : 2400),
                    .integer(type.element == 0 ? 0 : 2401), .text("-"), .text("-"), .text("-"), .text("i"), .text(type.length == -1 ? "x" : "p"), .boolean(false),
                    .integer(0), .integer(-1), .integer(0), .integer(type.category == "S" ? 100 : 0), .null, .null, .null,
                ]
            }
        },
    ]

    // MARK: Names

    private static let names: [SystemTable] = [
        SystemTable("pg_catalog.pg_namespace", "oid:o nspname:t nspowner:o nspacl:T") { facts in
            facts.catalog.sql.schemaNames.map {
                [.integer(SystemOID.schema($0, facts.catalog)), .text($0), .integer(SystemOID.owner), .null]
            }
        },
        SystemTable("pg_catalog.pg_am", "oid:o amname:t amhandler:t amtype:t") { _ in
            [
                [.integer(SystemOID.heap), .text("heap"), .text("heap_tableam_handler"), .text("t")],
                [.integer(SystemOID.btree), .text("btree"), .text("bthandler"), .text("i")],
            ]
        },
        SystemTable("pg_catalog.pg_description", "objoid:o classoid:o objsubid:i description:t") { facts in
            let system = SystemTable.all.enumerated().flatMap { at, table -> [[Value]] in
                guard !table.comment.isEmpty else { return [] }
                return ([table.comment] + table.columnComments).enumerated().map {
                    [.integer(SystemOID.systemTable + Int32(truncatingIfNeeded: at)), .integer(1259), .integer(Int32($0)), .text($1)]
                }
            }
            return system + facts.catalog.all.flatMap { object -> [[Value]] in
                let columns = [nil] + object.fields.map { Optional($0.name) }
                return columns.enumerated().compactMap { at, column in
                    facts.catalog.comment(on: object.name, column: column).map {
                        [.integer(object.oid), .integer(1259), .integer(Int32(at)), .text($0)]
                    }
                }
            }
        },
        SystemTable(
            "pg_catalog.pg_proc",
            "oid:o proname:t pronamespace:o proowner:o prolang:o procost:f prorows:f provariadic:o prokind:t prosecdef:b proleakproof:b "
                + "proisstrict:b proretset:b provolatile:t proparallel:t pronargs:s pronargdefaults:s prorettype:o proargtypes:O "
                + "proallargtypes:O proargmodes:T proargnames:T proargdefaults:t prosrc:t probin:t prosqlbody:t proconfig:T proacl:T"
        ) { facts in
            facts.catalog.sql.allFunctions.enumerated().map { at, function in
                let (schema, name) = CatalogNames.parts(function.name)
                let types = function.parameterTypes.map { Value.integer(PostgresType.oid(of: $0)) }
                return [
                    .integer(SystemOID.function + Int32(at)), .text(name), .integer(SystemOID.schema(schema, facts.catalog)),
                    .integer(SystemOID.owner), .integer(SystemOID.sql), .real(100), .real(0), .integer(0), .text("f"), .boolean(false),
                    .boolean(false), .boolean(false), .boolean(false), .text("v"), .text("u"), .smallint(Int16(clamping: types.count)),
                    .smallint(0), .integer(PostgresType.oid(of: function.result)), .array(ArrayValue(.integer, types)), .null, .null, .null, .null,
                    .text(function.text), .null, .null, .null, .null,
                ]
            }
        },
        SystemTable("pg_catalog.pg_cursors", "name:t statement:t is_holdable:b is_binary:b is_scrollable:b creation_time:z") { facts in
            (facts.session?.cursors ?? []).map { cursor in
                [
                    .text(cursor.name), .text(cursor.text), .boolean(cursor.isHeld), .boolean(false), .boolean(true),
                    .timestamptz(cursor.madeMicros),
                ]
            }
        },
        SystemTable(
            "pg_catalog.pg_stat_activity",
            """
            datid:l datname:t pid:i leader_pid:i usesysid:l usename:t application_name:t client_addr:t client_hostname:t client_port:i \
            backend_start:z xact_start:z query_start:z state_change:z wait_event_type:t wait_event:t state:t backend_xid:l backend_xmin:l \
            query_id:l query:t backend_type:t
            """
        ) { facts in
            facts.database.ledger.sessions.map { session in
                let now = Value.timestamptz(session.sinceMicros)
                return [
                    .bigint(Int64(SystemOID.database)), .text(session.client.database), .integer(session.client.processID), .null,
                    .bigint(Int64(SystemOID.owner)), .text(session.client.user), .text(session.client.parameters["application_name"] ?? ""),
                    .null, .null, .null, .timestamptz(session.openedMicros), session.state == "idle" ? .null : now,
                    session.statements > 0 ? now : .null, now, .null, .null, .text(session.state), .null, .null, .null, .text(session.statement),
                    .text("client backend"),
                ]
            }
        },
        SystemTable(
            "pg_catalog.pg_prepared_statements",
            "name:t statement:t prepare_time:z parameter_types:O from_sql:b generic_plans:l custom_plans:l"
        ) { facts in
            (facts.session?.statements ?? []).map { statement in
                let types = statement.parameterTypes.map { Value.integer(PostgresType.oid(of: $0)) }
                return [
                    .text(statement.name), .text(statement.text), .timestamptz(statement.madeMicros), .array(ArrayValue(.integer, types)),
                    .boolean(statement.isFromSQL), .bigint(0), .bigint(0),
                ]
            }
        },
        SystemTable(
            "pg_catalog.pg_language",
            "oid:o lanname:t lanowner:o lanispl:b lanpltrusted:b lanplcallfoid:o laninline:o lanvalidator:o lanacl:T") {
            _ in
            [[
                .integer(SystemOID.sql), .text("sql"), .integer(SystemOID.owner), .boolean(false), .boolean(true), .integer(0), .integer(0),
                .integer(0), .null,
            ]]
        },
        SystemTable(
            "pg_catalog.pg_database",
            "oid:o datname:t datdba:o encoding:i datlocprovider:t datistemplate:b datallowconn:b datconnlimit:i datfrozenxid:i datminmxid:i "
                + "dattablespace:o datcollate:t datctype:t daticulocale:t daticurules:t datcollversion:t datacl:T"
        ) { facts in
            [[
                .integer(SystemOID.database), .text(facts.catalog.sql.databaseName), .integer(SystemOID.owner), .integer(6), .text("c"),
                .boolean(false), .boolean(true), .integer(-1), .integer(0), .integer(0), .integer(1663), .text("C.UTF-8"), .text("C.UTF-8"),
                .null, .null, .null, .null,
            ]]
        },
        SystemTable(
            "pg_catalog.pg_roles",
            "oid:o rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b rolconnlimit:i "
                + "rolpassword:t rolvaliduntil:z rolbypassrls:b rolconfig:T"
        ) { _ in
            [[
                .integer(SystemOID.owner), .text("martlet"), .boolean(true), .boolean(true), .boolean(true), .boolean(true), .boolean(true),
                .boolean(false), .integer(-1), .null, .null, .boolean(true), .null,
            ]]
        },
        SystemTable(
            "pg_catalog.pg_user",
            "usename:t usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:z useconfig:T") { _ in
            [[
                .text("martlet"), .integer(SystemOID.owner), .boolean(true), .boolean(true), .boolean(false), .boolean(true), .null, .null, .null,
            ]]
        },
        SystemTable("pg_catalog.pg_tablespace", "oid:o spcname:t spcowner:o spcacl:T spcoptions:T") { _ in
            [[.integer(1663), .text("pg_default"), .integer(SystemOID.owner), .null, .null]]
        },
        SystemTable(
            "pg_catalog.pg_collation",
            "oid:o collname:t collnamespace:o collowner:o collprovider:t collisdeterministic:b collencoding:i collcollate:t "
                + "collctype:t") {
            _ in
            [[
                .integer(100), .text("default"), .integer(SystemOID.catalogSchema), .integer(SystemOID.owner), .text("d"), .boolean(true),
                .integer(-1), .text("C"), .text("C"),
            ]]
        },
    ]

    private static let settings: [SystemTable] = [
        SystemTable(
            "pg_catalog.pg_settings",
            "name:t setting:t unit:t category:t short_desc:t extra_desc:t context:t vartype:t source:t min_val:t max_val:t enumvals:T "
                + "boot_val:t reset_val:t sourcefile:t sourceline:i pending_restart:b"
        ) { facts in
            facts.parameters.all.map { name, value in
                [
                    .text(name), .text(value), .null, .text(""), .text(""), .null, .text("user"), .text("string"), .text("default"), .null, .null,
                    .null, .text(value), .text(value), .null, .null, .boolean(false),
                ]
            }
        },
    ]
}

extension CatalogObject {
    var table: TableDefinition? { if case .table(let table) = kind { table } else { nil } }
    var sink: SinkDefinition? { if case .sink(let sink) = kind { sink } else { nil } }
}
