internal import MartletCore

// MARK: Nodes that make rows of rows

extension Pruning {
    static func prunedRows(_ plan: Plan, _ needed: Set<Int>) -> (plan: Plan, places: [Int: Int]) {
        switch plan {
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            let width = input.fields.count
            var wanted = needed.filter { $0 < width }
            for list in lists { list.forEachColumn { wanted.insert($0) } }
            let (below, inner) = pruned(input, needed: wanted)
            var places = inner
            let belowFields = below.fields
            for extra in width..<fields.count { places[extra] = belowFields.count + extra - width }
            return (
                .unnested(
                    below, lists: lists.map { $0.moved(inner) }, isOuter: isOuter, hasOrdinality: hasOrdinality,
                    fields: belowFields + fields.suffix(fields.count - width)), places
            )
        case .lookup(let left, let right, let lookup, let condition, let fields):
            let width = left.fields.count
            let wanted = needed.union(condition.columns).union(lookup.columns)
            let (newLeft, lefts) = pruned(left, needed: wanted.filter { $0 < width })
            let (newRight, rights) = pruned(right, needed: Set(wanted.lazy.filter { $0 >= width }.map { $0 - width }))
            let newWidth = newLeft.fields.count
            var all = lefts
            for (old, new) in rights { all[old + width] = new + newWidth }
            var newFields = newLeft.fields + newRight.fields
            for (old, new) in all { newFields[new].name = fields[old].name }
            let moved = lookup.mapped { $0.moved(all) }
            return (.lookup(newLeft, newRight, moved, condition: condition.moved(all), fields: newFields), all)
        case .changelog(let input, let key, let fields):
            // A row's change is a change of all of it.
            let width = fields.count - 2
            let (below, inner) = pruned(input, needed: Set(0..<width))
            var places = inner
            let belowFields = below.fields
            places[width] = belowFields.count
            places[width + 1] = belowFields.count + 1
            return (.changelog(below, key: key.map { inner[$0] ?? 0 }, fields: belowFields + fields.suffix(2)), places)
        case .stamped(let input, let fields):
            let width = fields.count - 1
            let (below, inner) = pruned(input, needed: needed.filter { $0 < width })
            var places = inner
            let belowFields = below.fields
            places[width] = belowFields.count
            return (.stamped(below, fields: belowFields + fields.suffix(1)), places)
        default: return (plan, Dictionary(uniqueKeysWithValues: plan.fields.indices.map { ($0, $0) }))
        }
    }
}
