internal import MartletCore
internal import MartletSQL

/// Sequences, as pg_catalog and information_schema show them: those that were created, and those of columns that number rows.
enum Sequences {
    private struct Shown {
        var object: CatalogObject
        var schema: String
        var name: String
        var counter: TableColumn.Identity
        var last: Int64?

        var least: Int64 { counter.bounds.lowerBound == .min && counter.increment > 0 ? 1 : counter.bounds.lowerBound }
        var most: Int64 { counter.bounds.upperBound == .max && counter.increment < 0 ? -1 : counter.bounds.upperBound }
    }

    private static func shown(_ facts: SystemFacts) -> [Shown] {
        facts.catalog.all.compactMap { object in
            guard let name = object.identitySequence, let counter = object.table?.columns.lazy.compactMap(\.identity).first else { return nil }
            return Shown(
                object: object, schema: CatalogNames.parts(object.name).schema, name: name, counter: counter,
                last: facts.database.identities.last(object.id))
        }
    }

    static let tables: [SystemTable] = [
        SystemTable(
            "pg_catalog.pg_sequence", "seqrelid:l seqtypid:l seqstart:l seqincrement:l seqmax:l seqmin:l seqcache:l seqcycle:b"
        ) { facts in
            shown(facts).filter { $0.object.objectKind == .sequence }.map { each in
                [
                    .integer(each.object.oid), .integer(PostgresType.oid(of: .bigint)), .bigint(each.counter.start), .bigint(each.counter.increment),
                    .bigint(each.most), .bigint(each.least), .bigint(1), .boolean(false),
                ]
            }
        },
        SystemTable(
            "pg_catalog.pg_sequences",
            "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:l min_value:l max_value:l increment_by:l cycle:b cache_size:l "
                + "last_value:l"
        ) { facts in
            shown(facts).map { each in
                [
                    .text(each.schema), .text(each.name), .text("martlet"), .text("bigint"), .bigint(each.counter.start), .bigint(each.least),
                    .bigint(each.most), .bigint(each.counter.increment), .boolean(false), .bigint(1), each.last.map { .bigint($0) } ?? .null,
                ]
            }
        },
        SystemTable(
            "information_schema.sequences",
            "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t numeric_precision:i numeric_precision_radix:i numeric_scale:i "
                + "start_value:t minimum_value:t maximum_value:t increment:t cycle_option:t"
        ) { facts in
            shown(facts).filter { $0.object.objectKind == .sequence }.map { each in
                [
                    .text(facts.catalog.sql.databaseName), .text(each.schema), .text(each.name), .text("bigint"), .integer(64), .integer(2), .integer(0),
                    .text("\(each.counter.start)"), .text("\(each.least)"), .text("\(each.most)"), .text("\(each.counter.increment)"), .text("NO"),
                ]
            }
        },
    ]
}
