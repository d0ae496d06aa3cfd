internal import MartletCore
internal import MartletSQL

/// `martlet_*`: what the database knows of its own work.
enum MartletViews {
    static let tables: [SystemTable] = [
        SystemTable("pg_catalog.martlet_views", "name:t kind:t rows:l bytes:l definition:t") { facts in
            let sizes = facts.database.sizes()
            return facts.catalog.all.compactMap { object in
                guard object.isStored else { return nil }
                let size = sizes[object.id] ?? (0, 0)
                return [
                    .text(object.name), .text(object.noun), .bigint(Int64(size.rows)), .bigint(Int64(size.bytes)), .text(object.text),
                ]
            }
        },
        SystemTable("pg_catalog.martlet_sources", "name:t connector:t columns:i watermark_column:t definition:t") { facts in
            facts.catalog.sources.map { source in
                [
                    .text(source.name), .text(source.connector), .integer(Int32(clamping: source.columns.count)),
                    source.watermark.map { .text(source.columns[$0.column].name) } ?? .null, .text(source.text),
                ]
            }
        },
        SystemTable("pg_catalog.martlet_sinks", "name:t connector:t is_append_only:b definition:t") { facts in
            facts.catalog.all.compactMap { object in
                guard case .sink(let sink) = object.kind else { return nil }
                return [.text(sink.name), .text(sink.connector), .boolean(sink.isAppendOnly), .text(sink.text)]
            }
        },
        SystemTable("pg_catalog.martlet_commits", "tick:l") { facts in [[.bigint(Int64(clamping: facts.database.visible.tick))]] },
    ]
}

extension Database {
    /// Rows and about the bytes of each relation that is kept.
    func sizes() -> [RelationID: (rows: Int, bytes: Int)] {
        visible.locked { content in content.stores.mapValues { ($0.rowCount, $0.memoryBytes) } }
    }
}
