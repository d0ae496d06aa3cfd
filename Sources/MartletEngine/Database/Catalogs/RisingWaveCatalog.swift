internal import MartletCore
internal import MartletSQL

/// `rw_catalog`: the relations by which users of RisingWave, and their tools (dbt, SQLMesh), list what is there. They are found
/// by name, with the schema or without, and are in no list, so that PostgreSQL's clients see what they know.
enum RisingWaveCatalog {
    static let tables: [SystemTable] = relations + surroundings

    /// What relations of all kinds begin with, and end with.
    private static let first = "id:i name:t schema_id:i owner:i "

    private static func start(_ oid: Int32, _ canonical: String, _ facts: SystemFacts) -> [Value] {
        let (schema, name) = CatalogNames.parts(canonical)
        return [.integer(oid), .text(name), .integer(SystemOID.schema(schema, facts.catalog)), .integer(SystemOID.owner)]
    }

    /// - Parameter columns: those between the first four, and the definition and the access list.
    /// - Parameter own: their values; nil: the object is not listed here.
    private static func objects(
        _ name: String, _ columns: String, _ own: @escaping @Sendable (CatalogObject) -> [Value]?
    ) -> SystemTable {
        SystemTable("rw_catalog.\(name)", "\(first)\(columns) definition:t acl:T") { facts in
            facts.catalog.all.compactMap { object in own(object).map { start(object.oid, object.name, facts) + $0 + [.text(object.text), .null] } }
        }
    }

    private static let relations: [SystemTable] = [
        objects("rw_relations", "relation_type:t") { $0.objectKind == .sequence ? nil : [.text($0.noun)] },
        objects("rw_tables", "append_only:b") { $0.objectKind == .table ? [.boolean($0.isAppendOnly)] : nil },
        objects("rw_materialized_views", "append_only:b") { $0.objectKind == .materializedView ? [.boolean($0.isAppendOnly)] : nil },
        objects("rw_views", "") { $0.objectKind == .view ? [] : nil },
        objects("rw_sources", "connector:t columns:T format:t row_encode:t append_only:b") { object in
            guard let source = object.source else { return nil }
            return [
                .text(source.connector), .array(ArrayValue(.text, object.fields.map { .text($0.name) })), .text(source.format.rawValue.uppercased()),
                .text(source.encode.encoding.rawValue.uppercased()), .boolean(object.isAppendOnly),
            ]
        },
        objects("rw_sinks", "connector:t sink_type:t") { object in
            guard case .sink(let sink) = object.kind else { return nil }
            let type = sink.type ?? (sink.isAppendOnly ? .appendOnly : .upsert)
            return [.text(sink.connector), .text(type == .appendOnly ? "APPEND_ONLY" : "UPSERT")]
        },
        SystemTable("rw_catalog.rw_indexes", "\(first)primary_table_id:i key_columns:S include_columns:S definition:t acl:T") { facts in
            facts.catalog.indexes.enumerated().compactMap { at, index in
                guard let table = facts.catalog[index.table] else { return nil }
                let columns = index.columns.map { Value.smallint(Int16(clamping: $0 + 1)) }
                return start(SystemOID.index(at), index.name, facts) + [
                    .integer(table.oid), .array(ArrayValue(.smallint, columns)), .array(ArrayValue(.smallint, [])), .text(index.text), .null,
                ]
            }
        },
        SystemTable(
            "rw_catalog.rw_columns",
            "relation_id:i name:t position:i is_hidden:b is_primary_key:b is_distribution_key:b is_generated:b is_nullable:b data_type:t type_oid:i"
        ) { facts in
            facts.catalog.all.filter { $0.objectKind != .sequence }.flatMap { object in
                object.fields.enumerated().map { at, field in
                    let column = object.table?.columns[at]
                    let isKey = object.table?.primaryKey.contains(at) ?? false
                    return [
                        .integer(object.oid), .text(field.name), .integer(Int32(clamping: at + 1)), .boolean(false), .boolean(isKey), .boolean(isKey),
                        .boolean(column?.generated != nil), .boolean(!(isKey || column?.isNotNull ?? false)), .text(field.type.sqlName),
                        .integer(PostgresType.oid(of: field.type)),
                    ]
                }
            }
        },
    ]

    private static let surroundings: [SystemTable] = [
        SystemTable("rw_catalog.rw_schemas", "id:i name:t owner:i acl:T") { facts in
            facts.catalog.sql.schemaNames.map { [.integer(SystemOID.schema($0, facts.catalog)), .text($0), .integer(SystemOID.owner), .null] }
        },
        SystemTable("rw_catalog.rw_databases", "id:i name:t owner:i acl:T") { facts in
            facts.catalog.sql.databaseNames.enumerated().map { at, name in
                [.integer(SystemOID.database + Int32(clamping: at)), .text(name), .integer(SystemOID.owner), .null]
            }
        },
        SystemTable("rw_catalog.rw_users", "id:i name:t is_super:b can_create_db:b can_create_user:b can_login:b") { _ in
            [[.integer(SystemOID.owner), .text("martlet"), .boolean(true), .boolean(true), .boolean(true), .boolean(true)]]
        },
        SystemTable("rw_catalog.rw_functions", "\(first)type:t language:t definition:t acl:T") { facts in
            facts.catalog.sql.allFunctions.enumerated().map { at, function in
                start(SystemOID.function + Int32(clamping: at), function.name, facts) + [.text("scalar"), .text("sql"), .text(function.text), .null]
            }
        },
        SystemTable("rw_catalog.rw_subscriptions", "\(first)definition:t acl:T") { facts in
            facts.catalog.subscriptions.values.sorted { $0.name < $1.name }.enumerated().map { at, subscription in
                start(SystemOID.subscription + Int32(clamping: at), subscription.name, facts) + [.text(subscription.text), .null]
            }
        },
        SystemTable("rw_catalog.rw_ddl_progress", "ddl_id:l ddl_statement:t progress:t") { facts in
            (facts.observation?.jobs ?? []).map { job in
                let text = job.unit.objects.lazy.compactMap { facts.catalog.objects[$0]?.text }.first ?? ""
                return [.bigint(Int64(job.unit.id)), .text(text), .text("\(job.done * 100 / max(job.total, 1))%")]
            }
        },
        SystemTable("rw_catalog.rw_connections", "\(first)type:t provider:t acl:T"),
        SystemTable("rw_catalog.rw_secrets", "\(first)acl:T"),
    ]
}
