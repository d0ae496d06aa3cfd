internal import MartletCore
internal import MartletSQL

/// information_schema, as the SQL standard has it.
enum InformationSchema {
    private static func tableType(_ object: CatalogObject) -> String {
        switch object.kind {
        case .table, .side, .source, .sink: "BASE TABLE"
        case .view: "VIEW"
        case .materializedView: "MATERIALIZED VIEW"
        }
    }

    static let tables: [SystemTable] = [
        SystemTable(
            "information_schema.tables",
            "table_catalog:t table_schema:t table_name:t table_type:t self_referencing_column_name:t reference_generation:t "
                + "user_defined_type_catalog:t user_defined_type_schema:t user_defined_type_name:t is_insertable_into:t is_typed:t commit_action:t"
        ) { facts in
            facts.catalog.all.filter { $0.objectKind != .sequence }.map { object in
                let (schema, name) = CatalogNames.parts(object.name)
                var isTable = false
                if case .table = object.kind { isTable = true }
                return [
                    .text(facts.catalog.sql.databaseName), .text(schema), .text(name), .text(tableType(object)), .null, .null, .null, .null, .null,
                    .text(isTable ? "YES" : "NO"), .text("NO"), .null,
                ]
            }
        },
        SystemTable(
            "information_schema.columns",
            "table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:i column_default:t is_nullable:t data_type:t "
                + "character_maximum_length:i character_octet_length:i numeric_precision:i numeric_precision_radix:i numeric_scale:i "
                + "datetime_precision:i interval_type:t collation_name:t domain_name:t udt_catalog:t udt_schema:t udt_name:t is_identity:t "
                + "is_generated:t generation_expression:t is_updatable:t"
        ) { facts in
            let database = Value.text(facts.catalog.sql.databaseName)
            return facts.catalog.all.filter { $0.objectKind != .sequence }.flatMap { object -> [[Value]] in
                let (schema, name) = CatalogNames.parts(object.name)
                var table: TableDefinition?
                if case .table(let definition) = object.kind { table = definition }
                return object.fields.enumerated().map { at, field in
                    let column = table?.columns[at]
                    let isNotNull = column?.isNotNull ?? false || table?.primaryKey.contains(at) ?? false
                    let bare = field.type.withoutModifiers
                    var precision: (Int32?, Int32?) = (nil, nil)
                    if case .numeric(let digits, let scale) = field.type { precision = (digits.map { Int32($0) }, scale.map { Int32($0) }) }
                    let type = PostgresType.all.first { $0.oid == PostgresType.oid(of: field.type) }?.name ?? "text"
                    let isNested = field.type.isNested
                    return [
                        database, .text(schema), .text(name), .text(field.name), .integer(Int32(at + 1)),
                        column?.defaultValue.map { .text($0.sql([])) } ?? .null, .text(isNotNull ? "NO" : "YES"),
                        .text(isNested ? "ARRAY" : bare.sqlName), .null, .null, precision.0.map { .integer($0) } ?? .null,
                        precision.0 == nil ? .null : .integer(10), precision.1.map { .integer($0) } ?? .null, .null, .null, .null, .null, database,
                        .text("pg_catalog"), .text(type), .text(column?.identity == nil ? "NO" : "YES"), .text(column?.generated == nil ? "NEVER" : "ALWAYS"),
                        column?.generated.map { .text($0.sql(object.fields.map(\.name))) } ?? .null, .text(table == nil ? "NO" : "YES"),
                    ]
                }
            }
        },
        SystemTable(
            "information_schema.schemata",
            "catalog_name:t schema_name:t schema_owner:t default_character_set_catalog:t default_character_set_schema:t "
                + "default_character_set_name:t sql_path:t") {
            facts in
            facts.catalog.sql.schemaNames.map {
                [.text(facts.catalog.sql.databaseName), .text($0), .text("martlet"), .null, .null, .null, .null]
            }
        },
        SystemTable(
            "information_schema.views",
            "table_catalog:t table_schema:t table_name:t view_definition:t check_option:t is_updatable:t is_insertable_into:t") {
            facts in
            facts.catalog.all.compactMap { object in
                guard case .view(let view) = object.kind else { return nil }
                let (schema, name) = CatalogNames.parts(object.name)
                return [
                    .text(facts.catalog.sql.databaseName), .text(schema), .text(name), .text(view.text), .text("NONE"), .text("NO"), .text("NO"),
                ]
            }
        },
        SystemTable(
            "information_schema.table_constraints",
            "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t constraint_type:t "
                + "is_deferrable:t initially_deferred:t enforced:t"
        ) { facts in
            facts.catalog.all.flatMap { object -> [[Value]] in
                guard let table = object.table else { return [] }
                let (schema, name) = CatalogNames.parts(object.name)
                let database = Value.text(facts.catalog.sql.databaseName)
                let keys = table.uniqueKeys.map { ($0.name, $0.columns == table.primaryKey ? "PRIMARY KEY" : "UNIQUE") }
                return (keys + table.checks.map { ($0.name, "CHECK") }).map { constraint, kind in
                    [
                        database, .text(schema), .text(constraint), database, .text(schema), .text(name), .text(kind), .text("NO"), .text("NO"),
                        .text("YES"),
                    ]
                }
            }
        },
        SystemTable(
            "information_schema.key_column_usage",
            "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t column_name:t "
                + "ordinal_position:i position_in_unique_constraint:i"
        ) { facts in
            facts.catalog.all.flatMap { object -> [[Value]] in
                guard let table = object.table else { return [] }
                let (schema, name) = CatalogNames.parts(object.name)
                let database = Value.text(facts.catalog.sql.databaseName)
                return table.uniqueKeys.flatMap { key in
                    key.columns.enumerated().map { at, column in
                        [
                            database, .text(schema), .text(key.name), database, .text(schema), .text(name), .text(object.fields[column].name),
                            .integer(Int32(at + 1)), .null,
                        ]
                    }
                }
            }
        },
        SystemTable("information_schema.enabled_roles", "role_name:t") { _ in [[.text("martlet")]] },
    ]
}
