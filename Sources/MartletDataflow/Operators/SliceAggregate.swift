package import MartletColumns
package import MartletCore
package import MartletState

/// A window whose rows are complete on one shard, as the slices that make it up.
struct ClosedWindow {
    var end: Int64
    var parts: [AggregateTable]
}

/// Where the partial aggregates of closed windows wait between two stages. A slot is written by its shard in the
/// first stage, and read by all in the second.
package final class WindowExchange {
    let closed: PerShard<[ClosedWindow]>

    package init(shards: Int) {
        closed = PerShard(shards, [])
    }
}

/// How the columns of a windowed aggregation lie: time first, then keys, arguments and filters.
package struct WindowAggregateLayout: Sendable {
    package var keys: [DataType]
    package var calls: [AggregateSpec]
    /// Column of each call's argument and filter, if any.
    package var arguments: [Int?]
    package var filters: [Int?]

    package init(keys: [DataType], calls: [AggregateSpec], arguments: [Int?], filters: [Int?]) {
        self.keys = keys
        self.calls = calls
        self.arguments = arguments
        self.filters = filters
    }

    package var time: Int { 0 }
    var keyColumns: Range<Int> { 1..<(1 + keys.count) }
}

/// The first half of EMIT ON WINDOW CLOSE: aggregates a shard's own rows by slice and key, before any exchange, so
/// that only one row per key and window crosses. Judges lateness, row by row, by the row's own partition.
///
/// A row late for some of its windows but not for all is kept in a slice of its own, that only the later windows use.
package final class SliceAggregate: Operator {
    private struct SliceKey: Hashable {
        var start: Int64
        /// Ends of windows before this one do not use the slice.
        var firstEnd: Int64
    }

    /// A slice that rows of the current batch fall into.
    private struct Bucket {
        var key: SliceKey
        /// Rows with times in [start, end) and a judged watermark below `closes` belong here.
        var end: Int64
        var closes: Int64
        var rows: Selection
    }

    private let shape: WindowShape
    private let layout: WindowAggregateLayout
    private let allowedLateness: Int64
    private let exchange: WindowExchange
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext

    private let tableLayout: AggregateLayout
    private var slices: [SliceKey: AggregateTable] = [:]
    /// Slices by start, for closing.
    private var keysByStart: [Int64: [SliceKey]] = [:]
    /// Ends of the windows that have rows and are not closed.
    private var pending = WindowEnds()
    private var closing: [ClosedWindow] = []

    package init(
        _ shape: WindowShape, layout: WindowAggregateLayout, allowedLateness: Int64, exchange: WindowExchange, view: Int,
        countsSourceRows: Bool, context: ShardContext
    ) {
        self.shape = shape
        self.layout = layout
        tableLayout = AggregateLayout(keys: layout.keys, calls: layout.calls)
        self.allowedLateness = allowedLateness
        self.exchange = exchange
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let buckets = distribute(batch)
        let keys = layout.keyColumns.map { batch.columns[$0] }
        let arguments = layout.arguments.map { $0.map { batch.columns[$0] } }
        let filters = layout.filters.map { $0.map { batch.columns[$0] } }
        for bucket in buckets {
            let table = table(for: bucket.key)
            let all = bucket.rows.count == batch.count
            table.update(
                keys: keys, rows: all ? nil : bucket.rows, count: batch.count, arguments: arguments, filters: filters,
                weights: batch.weights)
            if countsSourceRows { context.counters[view].counted += UInt64(bucket.rows.count) }
        }
    }

    /// Sorts the rows into slices; late ones go to the late rows.
    private func distribute(_ batch: Batch) -> [Bucket] {
        let column = batch.columns[layout.time]
        let times = column.int64s
        let stamps = batch.watermarks?.int64s
        var buckets: [Bucket] = []
        var current = 0
        for row in 0..<batch.count {
            let time = times[row]
            let judged = (stamps?[row] ?? .start).delayed(by: allowedLateness)
            if current < buckets.count, time >= buckets[current].key.start, time < buckets[current].end,
                judged < buckets[current].closes
            {
                let rows = buckets[current].rows
                rows.indexes[rows.count] = Int32(truncatingIfNeeded: row)
                rows.count &+= 1
                continue
            }
            if column.isNull(row) || !shape.isCovered(time) {
                if countsSourceRows { context.counters[view].filtered += 1 }
                continue
            }
            if shape.lastWindowEnd(time) <= judged {
                context.addLate(batch, row, eventTime: time, view: view, countsSourceRows: countsSourceRows)
                continue
            }
            current = bucket(for: time, judged: judged, in: &buckets, capacity: batch.count)
            let rows = buckets[current].rows
            rows.indexes[rows.count] = Int32(truncatingIfNeeded: row)
            rows.count &+= 1
        }
        return buckets
    }

    private func bucket(for time: Int64, judged: Int64, in buckets: inout [Bucket], capacity: Int) -> Int {
        let start = shape.sliceStart(time)
        let earliestEnd = shape.firstWindowEnd(time)
        var key = SliceKey(start: start, firstEnd: earliestEnd)
        if judged >= earliestEnd {
            // The first window end above `judged` in the hop's grid.
            let passed = (judged &- earliestEnd) / shape.hop &+ 1
            key.firstEnd = earliestEnd &+ passed &* shape.hop
        }
        if let at = buckets.firstIndex(where: { $0.key == key }) { return at }
        // In a late slice `closes` admits nobody through the short cut: each such row is judged by itself.
        buckets.append(
            Bucket(
                key: key, end: start &+ shape.slice, closes: key.firstEnd == earliestEnd ? earliestEnd : .min,
                rows: Selection(capacity: capacity)))
        return buckets.count - 1
    }

    private func table(for key: SliceKey) -> AggregateTable {
        if let table = slices[key] { return table }
        let table = AggregateTable(tableLayout)
        slices[key] = table
        keysByStart[key.start, default: []].append(key)
        var end = key.firstEnd
        let last = shape.lastWindowEnd(key.start)
        while end <= last {
            pending.insert(end)
            end &+= shape.hop
        }
        return table
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        let limit = watermark.delayed(by: allowedLateness)
        while let end = pending.popFirst(upTo: limit) { closing.append(close(end)) }
    }

    private func close(_ end: Int64) -> ClosedWindow {
        var parts: [AggregateTable] = []
        var start = end &- shape.size
        while start < end {
            for key in keysByStart[start] ?? [] where key.firstEnd <= end {
                if let table = slices[key] { parts.append(table) }
            }
            if shape.lastWindowEnd(start) <= end {
                for key in keysByStart.removeValue(forKey: start) ?? [] { slices[key] = nil }
            }
            start &+= shape.slice
        }
        return ClosedWindow(end: end, parts: parts)
    }

    package func flush(into output: any Output) {
        exchange.closed[context.shard] = closing
        closing = []
    }

    /// Slices by start and, within one, in the order in which they were made: the order in which windows merge them.
    package func save(into writer: StateWriter) {
        writer.write(UInt64(slices.count))
        for start in keysByStart.keys.sorted() {
            for key in keysByStart[start] ?? [] {
                writer.write(key.start)
                writer.write(key.firstEnd)
                slices[key]?.save(into: writer)
            }
        }
        writer.write(pending.all)
    }

    package var awaited: Watermark? { pending.first.map { $0.delayed(by: 0 - allowedLateness) } }

    package var stateSize: StateSize {
        slices.values.reduce(.none) { $0 + StateSize(rows: $1.groupCount, bytes: $1.memoryBytes) }
    }

    package func restore(from reader: StateReader) throws(StateError) {
        for _ in 0..<(try reader.readCount(max: 1 << 40)) {
            let key = SliceKey(start: try reader.read(), firstEnd: try reader.read())
            guard slices[key] == nil, key.firstEnd > key.start else { throw reader.error("a slice that cannot be") }
            let table = AggregateTable(tableLayout)
            try table.restore(from: reader)
            slices[key] = table
            keysByStart[key.start, default: []].append(key)
        }
        for end in try reader.readNumbers(Int64.self) { pending.insert(end) }
    }

    /// Whose rows a slice has does not matter: windows merge the slices of all shards.
    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? SliceAggregate else { preconditionFailure("another operator") }
        guard move.isHeir else { return }
        for start in other.keysByStart.keys.sorted() {
            for key in other.keysByStart[start] ?? [] {
                guard let theirs = other.slices[key] else { continue }
                if let mine = slices[key] {
                    mine.merge(from: theirs)
                } else {
                    slices[key] = theirs
                    keysByStart[start, default: []].append(key)
                }
            }
        }
        for end in other.pending.all { pending.insert(end) }
    }
}

/// The second half: merges what the shards have for each closed window, each shard its own keys, and emits the results.
package final class FinishWindows: StatelessOperator {
    private let shape: WindowShape
    private let layout: WindowAggregateLayout
    private let exchange: WindowExchange
    private let timeType: DataType
    /// What each output column is, in order.
    private let outputs: [WindowOutput]
    private let tableLayout: AggregateLayout
    private let view: Int
    private let context: ShardContext

    package init(
        _ shape: WindowShape, layout: WindowAggregateLayout, exchange: WindowExchange, timeType: DataType,
        outputs: [WindowOutput], view: Int, context: ShardContext
    ) {
        self.shape = shape
        self.layout = layout
        tableLayout = AggregateLayout(keys: layout.keys, calls: layout.calls)
        self.exchange = exchange
        self.timeType = timeType
        self.outputs = outputs
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {}

    package func flush(into output: any Output) {
        var parts: [Int64: [AggregateTable]] = [:]
        for shard in 0..<exchange.closed.count {
            for window in exchange.closed[shard] { parts[window.end, default: []] += window.parts }
        }
        for end in parts.keys.sorted() { emit(end, parts[end]!, into: output) }
    }

    private func emit(_ end: Int64, _ parts: [AggregateTable], into output: any Output) {
        let whole: AggregateTable
        if context.shardCount == 1, parts.count == 1 {
            whole = parts[0]
        } else {
            whole = AggregateTable(tableLayout)
            for part in parts { whole.merge(from: part, shard: context.shard, of: context.shardCount) }
        }
        var from = 0
        while from < whole.groupCount {
            let to = min(from + 4096, whole.groupCount)
            emit(whole, from..<to, end: end, into: output)
            from = to
        }
    }

    private func emit(_ table: AggregateTable, _ groups: Range<Int>, end: Int64, into output: any Output) {
        let errors = RowErrors()
        let columns = table.emit(groups, errors: errors)
        let all = outputs.map { kind in
            switch kind {
            case .key(let at): columns[at]
            case .result(let at): columns[layout.keys.count + at]
            case .windowStart: Column.constant(.instant(end &- shape.size, timeType), type: timeType, count: groups.count)
            case .windowEnd: Column.constant(.instant(end, timeType), type: timeType, count: groups.count)
            }
        }
        var batch = Batch(count: groups.count, columns: all)
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            batch = batch.without(errors)
        }
        output.emit(batch)
    }
}

/// An output column of a windowed aggregation.
package enum WindowOutput: Sendable {
    /// Key by its place among the keys that are not the window's bounds.
    case key(Int)
    case windowStart
    case windowEnd
    case result(Int)
}
