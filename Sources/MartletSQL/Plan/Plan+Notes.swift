internal import MartletCore

/// What a plan's tree does not show: what is not read, what is computed once for several, and what grows without bound.
extension Plan {
    /// The plan as text, followed by what is to be known of it.
    ///
    /// - Parameter isContinuous: it lives on, as a view's or a sink's.
    package func explain(in catalog: any CatalogReader, isContinuous: Bool = true) -> String {
        explain(rows: catalog.rowCount(of:)) + notes(in: catalog, isContinuous: isContinuous).map { $0 + "\n" }.joined()
    }

    /// A line each, without their ends.
    package func notes(in catalog: any CatalogReader, isContinuous: Bool = true) -> [String] {
        var notes = unparsedFields(in: catalog)
        guard isContinuous else { return notes }
        notes += sharedWork(in: catalog)
        notes += knownViews(in: catalog)
        return notes + unboundedState(in: catalog).map { "State without bound: \($0)" }
    }

    // MARK: What is not read

    /// Fields of records that are passed over as bytes. A watermark's column is read in any case.
    private func unparsedFields(in catalog: any CatalogReader) -> [String] {
        var read: [String: Set<Int>] = [:]
        forEachNode { plan in
            if case .source(let name, let columns, _) = plan { read[name, default: []].formUnion(columns) }
        }
        return relationNames.compactMap { name in
            guard let columns = read[name], case .source(let source)? = catalog.relation(named: name)?.kind, source.encode.encoding != .bytes else {
                return nil
            }
            let passed = source.columns.indices.filter { at in
                source.columns[at].role == .field && !source.columns[at].isDropped && !columns.contains(at) && source.watermark?.column != at
            }
            if passed.isEmpty { return nil }
            return "Not parsed of \(quoted(name)): " + passed.map { quoted(source.columns[$0].name) }.joined(separator: ", ")
        }
    }

    // MARK: What is computed once

    /// How aggregations are spread over slices and shards; the rules are those of the engine's lowering.
    private func sharedWork(in catalog: any CatalogReader, onClose: Bool = false) -> [String] {
        var notes: [String] = []
        switch self {
        case .emitOnWindowClose(let input): return input.sharedWork(in: catalog, onClose: true)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            if onClose, window != nil, case .window(let rows, let time, let hop, _) = input, rows.isAppendOnly(in: catalog, onClose: true),
                rows.eventTimeColumns(in: catalog).contains(time)
            {
                notes += Plan.slices(of: hop)
            } else if !onClose, input.isAppendOnly(in: catalog) {
                let times = input.eventTimeColumns(in: catalog)
                if !keys.contains(where: { ($0.followedTime?.column).map(times.contains) ?? false }) {
                    let names = Plan.aggregate(input, keys: keys, calls: calls, window: window, fields: fields).keyNames
                    notes.append(
                        "In two phases: rows of one \(names) in a tick become one on the shard that reads them, and meet at their owner")
                }
            }
        default: break
        }
        return notes + inputs.flatMap { $0.sharedWork(in: catalog, onClose: onClose) }
    }

    private static func slices(of hop: HopWindow) -> [String] {
        func text(_ micros: Int64) -> String { Value.interval(Interval(micros: micros)).text }
        let slice = greatestCommonDivisor(hop.size, hop.hop)
        if hop.hop == hop.size || slice <= 0 { return [] }
        let windows = hop.size / hop.hop + (hop.size % hop.hop == 0 ? 0 : 1)
        return ["Slices of \(text(slice)) are aggregated once, before rows change shards, for the windows that share each (up to \(windows))"]
    }

    private static func greatestCommonDivisor(_ first: Int64, _ second: Int64) -> Int64 {
        var (a, b) = (first, second)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    private var keyNames: String {
        guard case .aggregate(_, let keys, _, _, let fields) = self, !keys.isEmpty else { return "group" }
        return fields.prefix(keys.count).map { quoted($0.name) }.joined(separator: ", ")
    }

    /// Views that are looked at for what they compute already.
    private static let viewsLookedAt = 256

    /// Parts that a materialized view computes already, so that reading the view would share them.
    package func knownViews(in catalog: any CatalogReader) -> [String] {
        let parts = costlyParts
        if parts.isEmpty { return [] }
        var known: [Plan: String] = [:]
        for name in catalog.relationNames.sorted().prefix(Plan.viewsLookedAt) {
            guard case .materializedView(let view)? = catalog.relation(named: name)?.kind else { continue }
            let plan = view.plan.unnamed
            if known[plan] == nil { known[plan] = name }
        }
        var told: Set<String> = []
        return parts.compactMap { part, onClose in
            let plan = part.unnamed
            guard let name = known[onClose ? .emitOnWindowClose(plan) : plan], told.insert(name).inserted else { return nil }
            return "Materialized view \(quoted(name)) computes this already, and can be read instead: \(part.title)"
        }
    }

    /// From the top down, what has state of its own, and whether it waits for its windows' ends.
    private var costlyParts: [(plan: Plan, onClose: Bool)] {
        var parts: [(plan: Plan, onClose: Bool)] = []
        func visit(_ plan: Plan, onClose: Bool, _ depth: Int) {
            // Comparing a part takes as long as it is large.
            guard parts.count < 32, depth < 100 else { return }
            if case .emitOnWindowClose(let input) = plan { return visit(input, onClose: true, depth + 1) }
            if plan.hasState { parts.append((plan, onClose)) }
            for input in plan.inputs { visit(input, onClose: onClose, depth + 1) }
        }
        visit(self, onClose: false, 0)
        return parts
    }

    private var hasState: Bool {
        switch self {
        case .aggregate, .over, .join, .session, .lookup: true
        case .project(let input, _, _), .filter(let input, _): input.hasState
        default: false
        }
    }

    // MARK: What grows

    /// What would grow for as long as rows come: one sentence per node, from the top down.
    package func unboundedState(in catalog: any CatalogReader, onClose: Bool = false) -> [String] {
        var notes: [String] = []
        switch self {
        case .emitOnWindowClose(let input): return input.unboundedState(in: catalog, onClose: true)
        case .join(let left, let right, _, let condition, _):
            let bound = JoinCondition(condition, leftWidth: left.fields.count)
                .bound(left.eventTimeColumns(in: catalog), right.eventTimeColumns(in: catalog))
            let moving = [left, right].filter { $0.grows(in: catalog) }
            if bound == nil, !moving.isEmpty {
                let each = moving.map { "\(Plan.stateBytes($0.fields))" }.joined(separator: " and ")
                notes.append("the join keeps every row of \(moving.count == 2 ? "both inputs" : "one input"), about \(each) bytes each")
            }
        case .aggregate(let input, let keys, _, _, let fields):
            let times = input.eventTimeColumns(in: catalog)
            let isTimed = keys.contains { ($0.followedTime?.column).map(times.contains) ?? false }
            if !keys.isEmpty, input.grows(in: catalog), !isTimed {
                notes.append("the aggregation keeps a group for each \(keyNames), about \(Plan.stateBytes(fields)) bytes each")
            }
        case .over(let input, let partition, let order, _, let limit, _):
            let times = input.eventTimeColumns(in: catalog)
            func isTime(_ expression: Expression?) -> Bool { expression?.columnOrdinal.map(times.contains) ?? false }
            let isBound = partition.contains(where: isTime) || onClose && isTime(order.first?.expression)
            if input.grows(in: catalog), !isBound {
                let count = input.isAppendOnly(in: catalog, onClose: onClose) ? limit?.rank : nil
                let what = count.map { $0 == 1 ? "one row a partition" : "\($0) rows a partition" } ?? "every row"
                notes.append("OVER keeps \(what), about \(Plan.stateBytes(input.fields)) bytes each")
            }
        case .source, .relation, .view, .recursive, .filter, .project, .window, .session, .temporal, .repeated, .unionAll, .values, .unnested, .lookup,
            .changelog, .stamped:
            break
        }
        return notes + inputs.flatMap { $0.unboundedState(in: catalog, onClose: onClose) }
    }

    /// About what a row takes where it is kept: its values, a place in an index, and what links it to its key.
    private static func stateBytes(_ fields: [Field]) -> Int {
        fields.reduce(40) { sum, field in
            switch field.type {
            case .boolean, .smallint, .integer, .bigint, .real, .double, .date, .time, .timestamp, .timestamptz: sum + 8
            // Long values lie outside of the row, and are not known here.
            default: sum + 24
            }
        }
    }

    /// Whether rows keep coming that nothing takes back: a source's, those of what only grows from one. A table, and a view whose
    /// rows change, are as large as somebody made them.
    private func grows(in catalog: any CatalogReader) -> Bool {
        switch self {
        case .source: true
        case .view(let name, _):
            if case .materializedView(let view)? = catalog.relation(named: name)?.kind {
                view.isAppendOnly && view.plan.grows(in: catalog)
            } else {
                false
            }
        case .relation(let name, _):
            if case .table(let table)? = catalog.relation(named: name)?.kind { table.source != nil && table.primaryKey.isEmpty } else { false }
        case .temporal(_, _, let until) where until != nil: false
        default: inputs.contains { $0.grows(in: catalog) }
        }
    }

    private func forEachNode(_ visit: (Plan) -> Void) {
        var open = [self]
        while let plan = open.popLast() {
            visit(plan)
            open += plan.inputs
        }
    }
}
