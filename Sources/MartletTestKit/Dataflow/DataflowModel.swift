internal import MartletCore

/// What a case must come to, by the definitions alone (DESIGN, Dataflow): row by row, with no state to speak of, and no
/// line shared with the dataflow.
///
/// Where nothing idles, lateness depends on each partition's rows alone, and the model takes all of them as one tick
/// (`init(_:)`). Where partitions idle or rows are judged by the clock, it follows the ticks of a run (`init(_:log:)`).
package struct DataflowModel {
    private struct Judged {
        var row: ScriptedRow
        var source: Int
        var partition: Int
        var place: Int
        /// Everything earlier than this was promised not to come.
        var watermark: Int64
    }

    private struct Partition {
        var newest: Int64?
        var floor = Int64.min
        var isIdle = false
        var isFinished = false
        var activeAt: Int64
        var count = 0
    }

    private let item: DataflowCase
    private var judged: [Judged] = []
    private var outcome: DataflowOutcome
    /// Per source, after the last tick; Int64.max at the end of the input.
    package private(set) var watermarks: [Int64]

    /// - Parameter wallMicros: for `max_future_skew`.
    package init(_ item: DataflowCase, wallMicros: Int64 = 1_767_225_600_000_000) {
        let deliveries = item.sources.map { source in
            source.partitions.map { steps in
                var delivery = Delivery(isFinished: source.finishes)
                for step in steps {
                    switch step {
                    case .row(let row): delivery.rows.append(row)
                    case .unreadable: delivery.unreadable += 1
                    case .silence: break
                    }
                }
                return delivery
            }
        }
        self.init(item, log: [TickLog(nowNanos: 0, wallMicros: wallMicros, deliveries: deliveries)])
    }

    package init(_ item: DataflowCase, log: [TickLog]) {
        self.item = item
        outcome = DataflowOutcome(sources: item.sources.count, views: item.views.count)
        watermarks = Array(repeating: .min, count: item.sources.count)
        for source in item.sources.indices { judge(source, log) }
    }

    package func expected() -> DataflowOutcome {
        var result = outcome
        for (at, view) in item.views.enumerated() { result.views[at] = expected(view) }
        return result
    }

    // MARK: Watermarks

    private mutating func judge(_ source: Int, _ log: [TickLog]) {
        let script = item.sources[source]
        var partitions = script.partitions.map { _ in Partition(activeAt: 0) }
        var total = Int64.min
        var silence: (from: Int64, since: Int64, told: Int64)?
        for tick in log {
            for at in partitions.indices {
                for row in tick.deliveries[source][at].rows {
                    partitions[at].count += 1
                    guard let time = usable(row, script, tick.wallMicros) else {
                        outcome.sources[source].refused.append(row.id)
                        continue
                    }
                    if partitions[at].isIdle {
                        partitions[at].isIdle = false
                        partitions[at].floor = max(partitions[at].floor, total)
                    }
                    let own = partitions[at].newest.map { $0 - script.delay } ?? .min
                    judged.append(
                        Judged(
                            row: row, source: source, partition: at, place: partitions[at].count,
                            watermark: max(own, partitions[at].floor)))
                    partitions[at].newest = max(partitions[at].newest ?? .min, time)
                    partitions[at].activeAt = tick.nowNanos
                    outcome.sources[source].accepted += 1
                }
                outcome.sources[source].unreadable += tick.deliveries[source][at].unreadable
                if tick.deliveries[source][at].isFinished { partitions[at].isFinished = true }
            }
            if let timeout = script.idleTimeout {
                for at in partitions.indices where !partitions[at].isFinished {
                    if tick.nowNanos - partitions[at].activeAt >= timeout * 1000 { partitions[at].isIdle = true }
                }
            }
            let active = partitions.filter { !$0.isFinished && !$0.isIdle }
            if partitions.allSatisfy({ $0.isFinished }) {
                total = .max
            } else if let least = active.map({ max($0.floor, $0.newest.map { $0 - script.delay } ?? .min) }).min() {
                total = max(total, least)
            } else {
                // All that are left are silent: the furthest of them.
                let silent = partitions.filter { !$0.isFinished }
                let furthest = silent.map { max($0.floor, $0.newest.map { $0 - script.delay } ?? .min) }.max()
                total = max(total, furthest ?? .min)
            }
            let left = partitions.filter { !$0.isFinished }
            if left.isEmpty || left.contains(where: { !$0.isIdle }) {
                silence = nil
            } else {
                // With everybody silent event time goes on with the clock, in steps of an eighth of the silence.
                var quiet = silence ?? (total, left.map(\.activeAt).max() ?? 0, 0)
                let long = tick.nowNanos - quiet.since
                if quiet.from > .min, long > quiet.told, long - quiet.told >= quiet.told / 8 {
                    quiet.told = long
                    total = max(total, quiet.from + long / 1000)
                }
                silence = quiet
            }
        }
        watermarks[source] = total
        outcome.sources[source].refused.sort()
    }

    private func usable(_ row: ScriptedRow, _ script: SourceScript, _ wall: Int64) -> Int64? {
        // Beyond 2^62 µs a window's bounds might be no timestamps.
        guard let time = row.time, abs(time / 2) <= 1 << 61 else { return nil }
        if let skew = script.maxFutureSkew, time > wall + skew { return nil }
        return time
    }

    // MARK: Views

    private enum Verdict { case kept, filtered, dead }

    /// Three-valued logic by hand, and what 1000 / value comes to.
    private func verdict(_ view: ViewSpec, _ row: ScriptedRow) -> Verdict {
        switch view.predicate {
        case .all: break
        case .valueAtLeast(let bound):
            guard let value = row.value, value >= bound else { return .filtered }
        case .quotientAtLeast(let bound):
            guard let value = row.value else { return .filtered }
            if value == 0 { return .dead }
            if 1000 / value < bound { return .filtered }
        }
        return view.argument == .quotient && row.value == 0 ? .dead : .kept
    }

    private func argument(_ view: ViewSpec, _ row: ScriptedRow) -> Int64? {
        view.argument == .value ? row.value : row.value.map { 1000 / $0 }
    }

    private func keys(_ view: ViewSpec, _ row: ScriptedRow) -> [Value] {
        let number: Value = row.key.map { .bigint($0) } ?? .null
        let label: Value = row.label.map { .text($0) } ?? .null
        switch view.key {
        case .none: return []
        case .number: return [number]
        case .label: return [label]
        case .both: return [label, number]
        }
    }

    private func expected(_ view: ViewSpec) -> DataflowOutcome.View {
        var result = DataflowOutcome.View()
        var kept: [Judged] = []
        for each in judged {
            result.rowsIn += 1
            switch verdict(view, each.row) {
            case .filtered: result.filtered += 1
            case .dead: result.dead.append(each.row.id)
            case .kept: kept.append(each)
            }
        }
        switch view.shape {
        case .select:
            result.counted = kept.count
            for each in kept { result.add(columns(view, each.row)) }
        case .plain:
            result.counted = kept.count
            aggregate(view, kept.map { (keys(view, $0.row), $0.row) }, into: &result)
            // Without GROUP BY there is always one row.
            if view.key == .none, kept.isEmpty { result.add([.bigint(0), .bigint(0), .null, .null, .null, .bigint(0)]) }
        case .ordered: order(view, kept, into: &result) { _, _ in [] }
        case .running(let byValue): run(view, kept, byValue: byValue, into: &result)
        case .sliced(let window), .grouped(let window, onClose: true):
            windows(view, kept, window, onlyClosed: true, into: &result)
        case .grouped(let window, onClose: false): windows(view, kept, window, onlyClosed: false, into: &result)
        case .cascade(let window): cascade(view, kept, window, into: &result)
        }
        result.late.sort()
        result.dead.sort()
        return result
    }

    private func columns(_ view: ViewSpec, _ row: ScriptedRow) -> [Value] {
        [
            .timestamptz(row.time ?? 0), row.key.map { .bigint($0) } ?? .null,
            argument(view, row).map { .bigint($0) } ?? .null, .bigint(row.id),
        ]
    }

    /// count(*), count, sum, min, max, and count(*) over the rows above the filter's bound.
    private func aggregate(
        _ view: ViewSpec, _ rows: [(key: [Value], row: ScriptedRow)], into result: inout DataflowOutcome.View
    ) {
        var groups: [[Value]: [ScriptedRow]] = [:]
        for (key, row) in rows { groups[key, default: []].append(row) }
        for (key, members) in groups {
            let values = members.compactMap { argument(view, $0) }
            let sum = values.reduce(Int128(0)) { $0 + Int128($1) }
            let above = members.filter { ($0.value ?? .min) > ViewSpec.filterAbove }
            result.add(
                key + [
                    .bigint(Int64(members.count)), .bigint(Int64(values.count)),
                    values.isEmpty ? .null : .numeric(Decimal(coefficient: sum, scale: 0)),
                    values.min().map { .bigint($0) } ?? .null, values.max().map { .bigint($0) } ?? .null,
                    .bigint(Int64(above.count)),
                ])
        }
    }

    // MARK: Windows

    /// Starts of the windows that hold `time`: by trying all that come near.
    package static func windows(_ window: WindowSpec, of time: Int64) -> [Int64] {
        let first = (time - window.size - window.offset) / window.hop - 2
        let last = (time - window.offset) / window.hop + 2
        return (first...last).map { $0 * window.hop + window.offset }.filter { $0 <= time && time < $0 + window.size }
    }

    /// Which rows count in which windows: (start, row). Rows late for all go to the late ones, rows in none are filtered.
    private func admitted(
        _ view: ViewSpec, _ rows: [Judged], _ window: WindowSpec, into result: inout DataflowOutcome.View
    ) -> [(start: Int64, row: ScriptedRow)] {
        var counted: [(start: Int64, row: ScriptedRow)] = []
        for each in rows {
            let starts = DataflowModel.windows(window, of: each.row.time ?? 0)
            let open = starts.filter { $0 + window.size + view.allowedLateness > each.watermark }
            if starts.isEmpty {
                result.filtered += 1
            } else if open.isEmpty {
                result.late.append(each.row.id)
            } else {
                result.counted += 1
                counted += open.map { ($0, each.row) }
            }
        }
        return counted
    }

    private var watermark: Int64 { watermarks.min() ?? .max }

    private func isClosed(_ end: Int64, _ view: ViewSpec) -> Bool {
        watermark == .max || (watermark != .min && end + view.allowedLateness <= watermark)
    }

    private func windows(
        _ view: ViewSpec, _ rows: [Judged], _ window: WindowSpec, onlyClosed: Bool, into result: inout DataflowOutcome.View
    ) {
        let counted = admitted(view, rows, window, into: &result)
            .filter { !onlyClosed || isClosed($0.start + window.size, view) }
        aggregate(
            view, counted.map { ([.timestamptz($0.start), .timestamptz($0.start + window.size)] + keys(view, $0.row), $0.row) },
            into: &result)
    }

    private func cascade(
        _ view: ViewSpec, _ rows: [Judged], _ window: WindowSpec, into result: inout DataflowOutcome.View
    ) {
        var groups: [Int64: [[Value]: Int64]] = [:]
        for (start, row) in admitted(view, rows, window, into: &result) {
            groups[start + window.size, default: [:]][keys(view, row), default: 0] += 1
        }
        var previous = Value.null
        for end in groups.keys.sorted() {
            // A row leaves when the watermark is beyond it, not at it.
            guard watermark == .max || (watermark != .min && end + view.allowedLateness < watermark) else { break }
            let members = groups[end] ?? [:]
            let sum = Value.numeric(Decimal(members.values.reduce(0, +)))
            result.add([.timestamptz(end), .bigint(Int64(members.count)), sum, previous])
            previous = sum
        }
    }

    // MARK: Order

    /// Rows in the order of event time, then of `more`, then of their place in the source; late ones apart.
    private func order(
        _ view: ViewSpec, _ rows: [Judged], into result: inout DataflowOutcome.View,
        sorted: (Judged, Judged) -> Bool = { _, _ in false }, more: (Int, [Judged]) -> [Value]
    ) {
        var admitted: [Judged] = []
        for each in rows {
            let limit = each.watermark == .min ? .min : each.watermark - view.allowedLateness
            if each.row.time ?? 0 < limit {
                result.late.append(each.row.id)
            } else {
                result.counted += 1
                admitted.append(each)
            }
        }
        admitted.sort { precedes($0, $1, sorted) }
        for (at, each) in admitted.enumerated() {
            let time = each.row.time ?? 0
            guard watermark == .max || (watermark != .min && time + view.allowedLateness < watermark) else { continue }
            result.add(columns(view, each.row) + more(at, admitted))
        }
    }

    private func precedes(_ left: Judged, _ right: Judged, _ also: (Judged, Judged) -> Bool) -> Bool {
        if left.row.time != right.row.time { return left.row.time ?? 0 < right.row.time ?? 0 }
        if also(left, right) { return true }
        if also(right, left) { return false }
        return (left.source, left.partition, left.place) < (right.source, right.partition, right.place)
    }

    /// lag(value, 2), row_number, sum, count and max of the rows so far with the same key.
    private func run(_ view: ViewSpec, _ rows: [Judged], byValue: Bool, into result: inout DataflowOutcome.View) {
        // DESC puts NULL first.
        let above: (Judged, Judged) -> Bool = { left, right in
            guard byValue, let theirs = argument(view, right.row) else { return false }
            return argument(view, left.row).map { $0 > theirs } ?? true
        }
        order(view, rows, into: &result, sorted: above) { at, admitted in
            let before = admitted[...at].filter { $0.row.key == admitted[at].row.key }
            let values = before.map { argument(view, $0.row) }
            let known = values.compactMap { $0 }
            let lag: Value = values.count > 2 ? values[values.count - 3].map { .bigint($0) } ?? .null : .bigint(ViewSpec.lagDefault)
            return [
                lag, .bigint(Int64(values.count)),
                known.isEmpty ? .null : .numeric(Decimal(coefficient: known.reduce(Int128(0)) { $0 + Int128($1) }, scale: 0)),
                .bigint(Int64(known.count)), known.max().map { .bigint($0) } ?? .null,
            ]
        }
    }
}
