internal import MartletCore

extension Plan {
    /// Sets of output columns whose values together no two rows share, as far as that is known.
    func keys(in catalog: any CatalogReader) -> [[Int]] {
        switch self {
        case .relation(let name, _):
            guard case .table(let table)? = catalog.relation(named: name)?.kind else { return [] }
            return table.uniqueKeys.map(\.columns).filter { $0.allSatisfy { table.columns[$0].isNotNull } || table.primaryKey == $0 }
        case .view(let name, _):
            guard case .materializedView(let view)? = catalog.relation(named: name)?.kind else { return [] }
            let key = view.plan.uniqueColumns
            return key.isEmpty ? [] : [key]
        case .filter(let input, _): return input.keys(in: catalog)
        case .project(let input, let expressions, _):
            return input.keys(in: catalog).compactMap { key in
                let places = key.compactMap { column in expressions.firstIndex { $0.columnOrdinal == column } }
                return places.count == key.count ? places : nil
            }
        default:
            let key = uniqueColumns
            return key.isEmpty ? [] : [key]
        }
    }

    /// Output columns whose values together no two rows share, where the plan's shape says so; empty: unknown.
    package var uniqueColumns: [Int] {
        switch self {
        case .aggregate(_, let keys, _, _, _): return Array(keys.indices)
        case .filter(let input, _), .emitOnWindowClose(let input): return input.uniqueColumns
        case .project(let input, let expressions, _):
            var places: [Int] = []
            for key in input.uniqueColumns {
                guard let at = expressions.firstIndex(where: { $0.columnOrdinal == key }) else { return [] }
                places.append(at)
            }
            return places
        case .source, .relation, .view, .recursive, .window, .over, .session, .join, .temporal, .repeated, .unionAll, .values, .unnested, .lookup,
            .changelog, .stamped:
            return []
        }
    }
}
