internal import MartletCore

extension Plan {
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
