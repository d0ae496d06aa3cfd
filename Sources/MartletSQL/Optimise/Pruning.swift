internal import MartletCore

/// Takes out columns that nobody reads, down to the source, so that only the needed ones are parsed.
enum Pruning {
    static func pruned(_ plan: Plan) -> Plan { pruned(plan, needed: Set(plan.fields.indices)).plan }

    /// `plan` without the columns not in `needed`, and where the remaining ones now stand (old ordinal → new).
    /// A node that cannot drop a column keeps it.
    static func pruned(_ plan: Plan, needed: Set<Int>) -> (plan: Plan, places: [Int: Int]) {
        switch plan {
        case .source(let name, let columns, let fields):
            let kept = needed.sorted()
            return (.source(name: name, columns: kept.map { columns[$0] }, fields: kept.map { fields[$0] }), places(kept))
        case .relation, .view, .recursive:
            return (plan, places(Array(plan.fields.indices)))
        case .filter(let input, let condition):
            let (below, places) = pruned(input, needed: needed.union(condition.columns))
            return (.filter(below, condition.moved(places)), places)
        case .project(let input, let expressions, let fields):
            let kept = needed.sorted()
            var wanted: Set<Int> = []
            for ordinal in kept { expressions[ordinal].forEachColumn { wanted.insert($0) } }
            let (below, inner) = pruned(input, needed: wanted)
            return (.project(below, kept.map { expressions[$0].moved(inner) }, kept.map { fields[$0] }), places(kept))
        case .window(let input, let time, let hop, let fields):
            let width = fields.count - 2
            let (below, inner) = pruned(input, needed: needed.filter { $0 < width }.union([time]))
            let newFields = below.fields + fields.suffix(2)
            var places = inner
            places[width] = newFields.count - 2
            places[width + 1] = newFields.count - 1
            return (.window(below, time: inner[time] ?? 0, hop, fields: newFields), places)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            // All keys stay: they say what a group is. Calls without readers go.
            let keptCalls = calls.indices.filter { needed.contains(keys.count + $0) }
            var wanted: Set<Int> = []
            for expression in keys + keptCalls.flatMap({ calls[$0].operands }) { expression.forEachColumn { wanted.insert($0) } }
            let (below, inner) = pruned(input, needed: wanted)
            let kept = Array(keys.indices) + keptCalls.map { $0 + keys.count }
            let newCalls = keptCalls.map { index in calls[index].mapped { $0.moved(inner) } }
            return (
                .aggregate(below, keys: keys.map { $0.moved(inner) }, calls: newCalls, window: window, fields: kept.map { fields[$0] }),
                places(kept)
            )
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            let width = fields.count - calls.count
            let keptCalls = calls.indices.filter { needed.contains(width + $0) }
            var wanted = needed.filter { $0 < width }
            if keptCalls.isEmpty, limit == nil { return pruned(input, needed: wanted) }
            for expression in partition + order.map(\.expression) + keptCalls.flatMap({ calls[$0].operands }) {
                expression.forEachColumn { wanted.insert($0) }
            }
            let (below, inner) = pruned(input, needed: wanted)
            let belowFields = below.fields
            var places = inner
            for (index, call) in keptCalls.enumerated() { places[width + call] = belowFields.count + index }
            return (
                .over(
                    below, partition: partition.map { $0.moved(inner) }, order: order.map { key in key.mapped { $0.moved(inner) } },
                    calls: keptCalls.map { index in calls[index].mapped { $0.moved(inner) } }, limit: limit, fields: belowFields + keptCalls.map { fields[width + $0] }),
                places
            )
        case .session(let input, let time, let session, let fields):
            let width = fields.count - 2
            let (below, inner) = pruned(input, needed: needed.filter { $0 < width }.union(session.partition + [time]))
            let newFields = below.fields + fields.suffix(2)
            var places = inner
            places[width] = newFields.count - 2
            places[width + 1] = newFields.count - 1
            let moved = SessionWindow(partition: session.partition.map { inner[$0] ?? 0 }, gap: session.gap)
            return (.session(below, time: inner[time] ?? 0, moved, fields: newFields), places)
        case .join(let left, let right, let type, let condition, let fields):
            return prunedJoin(left, right, type, condition, fields, needed)
        case .temporal(let input, let from, let until):
            let read = (from?.columns ?? []).union(until?.columns ?? [])
            let (below, places) = pruned(input, needed: needed.union(read))
            return (.temporal(below, from: from?.moved(places), until: until?.moved(places)), places)
        case .repeated(let input, let times):
            let (below, places) = pruned(input, needed: needed.union(times.columns))
            return (.repeated(below, times: times.moved(places)), places)
        case .unnested, .lookup, .changelog, .stamped: return prunedRows(plan, needed)
        case .unionAll(let arms, let fields):
            let kept = needed.sorted()
            let newFields = kept.map { fields[$0] }
            let newArms = arms.map { arm in
                let (below, inner) = pruned(arm, needed: needed)
                return selected(below, kept.map { inner[$0] ?? 0 }, newFields)
            }
            return (.unionAll(newArms, fields: newFields), places(kept))
        case .values(let rows, let fields):
            let kept = needed.sorted()
            return (.values(rows.map { row in kept.map { row[$0] } }, fields: kept.map { fields[$0] }), places(kept))
        case .emitOnWindowClose(let input):
            let (below, places) = pruned(input, needed: needed)
            return (.emitOnWindowClose(below), places)
        }
    }

    private static func prunedJoin(
        _ left: Plan, _ right: Plan, _ type: JoinType, _ condition: Expression, _ fields: [Field], _ needed: Set<Int>
    ) -> (plan: Plan, places: [Int: Int]) {
        let width = left.fields.count
        let wanted = needed.union(condition.columns)
        let (newLeft, lefts) = pruned(left, needed: wanted.filter { $0 < width })
        let (newRight, rights) = pruned(right, needed: Set(wanted.lazy.filter { $0 >= width }.map { $0 - width }))
        let newWidth = newLeft.fields.count
        var all = lefts
        for (old, new) in rights { all[old + width] = new + newWidth }
        let isLeftOnly = type == .semi || type == .anti
        // Names of the node's own where its fields were renamed.
        var newFields = newLeft.fields + (isLeftOnly ? [] : newRight.fields)
        for (old, new) in all where old < fields.count && new < newFields.count { newFields[new].name = fields[old].name }
        return (
            .join(newLeft, newRight, type, condition: condition.moved(all), fields: newFields), isLeftOnly ? lefts : all
        )
    }

    private static func places(_ kept: [Int]) -> [Int: Int] {
        Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($0.element, $0.offset) })
    }

    /// `plan`'s columns at `ordinals`, as a projection unless they are just all of them.
    private static func selected(_ plan: Plan, _ ordinals: [Int], _ fields: [Field]) -> Plan {
        let given = plan.fields
        if ordinals == Array(given.indices) { return plan }
        let expressions = ordinals.map { Expression.column($0, given[$0].type) }
        return .project(plan, expressions, zip(ordinals, fields).map { Field(name: $1.name, type: given[$0].type) })
    }
}

extension Expression {
    /// Columns at their new places.
    func moved(_ places: [Int: Int]) -> Expression { renumbered { places[$0] ?? $0 } }
}
