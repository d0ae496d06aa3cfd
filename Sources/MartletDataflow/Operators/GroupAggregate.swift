package import MartletColumns
package import MartletCore
package import MartletState

/// Groups by key, at the shard that owns the key. Two ways to speak:
/// - on change: at the end of each tick, for each group that changed, the old row with weight −1 and the new with +1;
/// - when closed: once, when the watermark has passed the group's time key.
///
/// A group with a time key is forgotten once the watermark has passed it; groups of one time share a table, so that
/// forgetting costs one deallocation.
package final class GroupAggregate: Operator {
    /// Which key is event time, and when the watermark has passed it.
    package struct TimeKey: Sendable {
        /// Ordinal among the keys.
        package var key: Int
        package var allowedLateness: Int64
        /// The key is a window's end, so that rows of the group lie strictly before it.
        package var isExclusive: Bool

        package init(key: Int, allowedLateness: Int64, isExclusive: Bool) {
            self.key = key
            self.allowedLateness = allowedLateness
            self.isExclusive = isExclusive
        }

        func isPassed(_ time: Int64, by watermark: Watermark) -> Bool {
            let limit = watermark.delayed(by: allowedLateness)
            return isExclusive ? time <= limit : time < limit
        }
    }

    package enum Emission: Sendable { case onChange, onClose }

    private let layout: GroupLayout
    private let tableLayout: AggregateLayout
    private let timeKey: TimeKey?
    private let emission: Emission
    /// What shards have aggregated by themselves, to be merged by the owners of the keys.
    private let parts: GroupExchange?
    private let view: Int
    private let context: ShardContext

    /// By time key; under 0 where there is none.
    private var tables: [Int64: AggregateTable] = [:]
    /// Of the calls to which a withdrawn value is lost (min, max): their values by group, where rows may be taken back.
    private var histories: [Int64: PartitionTable] = [:]
    /// Columns of the input that histories keep, each once.
    private let historyColumns: [Int]
    private let historyTypes: [DataType]
    private var changed: Set<Int64> = []
    private var earliest = Int64.max

    /// - Parameters:
    ///   - isChanging: rows of the input may be taken back.
    ///   - parts: of `PartialGroups`; without a time key, and for rows that only come.
    package init(
        _ layout: GroupLayout, timeKey: TimeKey?, emission: Emission, isChanging: Bool = false, parts: GroupExchange? = nil, view: Int,
        context: ShardContext
    ) {
        precondition(parts == nil || timeKey == nil && !isChanging, "parts of groups with a time key, or of rows that change")
        self.parts = parts
        self.layout = layout
        var kept: [Int] = []
        var types: [DataType] = []
        if isChanging {
            for (call, spec) in layout.calls.enumerated() where spec.needsHistory {
                let needed = [(layout.arguments[call], spec.argumentType ?? .unknown), (layout.filters[call], .boolean)]
                for case (let column?, let type) in needed where !kept.contains(column) {
                    kept.append(column)
                    types.append(type)
                }
            }
        }
        historyColumns = kept
        historyTypes = types
        tableLayout = AggregateLayout(
            keys: layout.keys, calls: layout.calls, tracksChanges: emission == .onChange || !kept.isEmpty)
        self.timeKey = timeKey
        self.emission = emission
        self.view = view
        self.context = context
        // Without keys there is one row from the beginning, at the shard that gets all rows.
        if layout.keys.isEmpty, context.shard == 0 { table(0).ensureGlobalGroup() }
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        guard let timeKey else {
            update(0, batch, rows: nil)
            return
        }
        let times = batch.columns[timeKey.key]
        var selections: [Int64: Selection] = [:]
        for row in 0..<batch.count {
            let time = times.isNull(row) ? Int64.max : times.int64s[row]
            let selection = selections[time] ?? Selection(capacity: batch.count)
            selections[time] = selection
            selection.indexes[selection.count] = Int32(truncatingIfNeeded: row)
            selection.count &+= 1
        }
        for time in selections.keys.sorted() {
            update(time, batch, rows: selections.count == 1 ? nil : selections[time])
        }
    }

    private func update(_ time: Int64, _ batch: Batch, rows: Selection?) {
        table(time).update(
            keys: layout.keys.indices.map { batch.columns[$0] }, rows: rows, count: batch.count,
            arguments: layout.arguments.map { $0.map { batch.columns[$0] } },
            filters: layout.filters.map { $0.map { batch.columns[$0] } }, weights: batch.weights)
        if !historyColumns.isEmpty { remember(time, rows.map { batch.gather($0) } ?? batch) }
    }

    // MARK: - Values that may be withdrawn

    private func remember(_ time: Int64, _ batch: Batch) {
        let keys = layout.keys.indices.map { batch.columns[$0] }
        let history = histories[time] ?? newHistory()
        histories[time] = history
        let columns = keys + historyColumns.map { batch.columns[$0] }
        let numbers = history.numbers(keys, count: batch.count)
        history.apply(columns, partitions: numbers, weights: batch.weights)
    }

    private func newHistory() -> PartitionTable {
        PartitionTable(partition: layout.keys, rows: layout.keys + historyTypes, isChanging: true)
    }

    /// Finds least and greatest values again where one was withdrawn.
    private func recall(_ time: Int64) {
        guard let history = histories[time], let table = tables[time] else { return }
        let (keys, count) = table.takeWithdrawn()
        guard count > 0 else { return }
        let rows = history.rows(of: history.numbers(keys, count: count))
        func column(_ place: Int?) -> Column? {
            place.flatMap { historyColumns.firstIndex(of: $0) }.map { rows.columns[layout.keys.count + $0] }
        }
        table.restore(
            keys: Array(rows.columns.prefix(layout.keys.count)), count: rows.slots.count,
            arguments: layout.arguments.map { column($0) }, filters: layout.filters.map { column($0) })
    }

    // MARK: - Saving

    /// Tables and histories by time.
    package func save(into writer: StateWriter) {
        writer.write(UInt64(tables.count))
        for (time, table) in tables.sorted(by: { $0.key < $1.key }) {
            writer.write(time)
            table.save(into: writer)
            writer.write(histories[time] != nil)
            histories[time]?.save(into: writer)
        }
        writer.write(changed.sorted())
    }

    package var awaited: Watermark? {
        guard emission == .onClose, let timeKey, earliest < .max else { return nil }
        return (timeKey.isExclusive ? earliest : earliest + 1).delayed(by: 0 - timeKey.allowedLateness)
    }

    package var stateSize: StateSize {
        let groups = tables.values.reduce(.none) { $0 + StateSize(rows: $1.groupCount, bytes: $1.memoryBytes) }
        return histories.values.reduce(groups) { $0 + StateSize(rows: 0, bytes: $1.memoryBytes) }
    }

    package func restore(from reader: StateReader) throws(StateError) {
        tables = [:]
        histories = [:]
        for _ in 0..<(try reader.readCount(max: 1 << 40)) {
            let time: Int64 = try reader.read()
            guard tables[time] == nil, timeKey != nil || time == 0 else { throw reader.error("groups of a time that cannot be") }
            let table = AggregateTable(tableLayout)
            try table.restore(from: reader)
            tables[time] = table
            if try reader.readFlag() {
                let history = newHistory()
                try history.restore(from: reader)
                histories[time] = history
            }
        }
        changed = Set(try reader.readNumbers(Int64.self))
        guard changed.allSatisfy({ tables[$0] != nil }) else { throw reader.error("a change of groups that are not there") }
        earliest = tables.keys.min() ?? .max
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? GroupAggregate else { preconditionFailure("another operator") }
        if move.isFirst { (tables, histories, changed, earliest) = ([:], [:], [], .max) }
        for (time, theirs) in other.tables.sorted(by: { $0.key < $1.key }) {
            let table = tables[time] ?? AggregateTable(tableLayout)
            table.adopt(theirs, move.share)
            guard table.groupCount > 0 else { continue }
            tables[time] = table
            earliest = min(earliest, time)
            guard let remembered = other.histories[time] else { continue }
            let history = histories[time] ?? newHistory()
            histories[time] = history
            history.adopt(remembered, move.share)
        }
        changed.formUnion(other.changed.filter { tables[$0] != nil })
    }

    /// The table of a time, which is about to change.
    private func table(_ time: Int64) -> AggregateTable {
        if emission == .onChange { changed.insert(time) }
        if let known = tables[time] { return known }
        let table = AggregateTable(tableLayout)
        tables[time] = table
        earliest = min(earliest, time)
        return table
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        guard let timeKey else {
            if emission == .onClose, watermark == .end, let table = tables[0] {
                recall(0)
                tables[0] = nil
                emitAll(table, into: output)
            }
            return
        }
        if emission == .onChange { emitChanges(into: output) }
        guard watermark == .end || timeKey.isPassed(earliest, by: watermark) else { return }
        for time in tables.keys.filter({ watermark == .end || timeKey.isPassed($0, by: watermark) }).sorted() {
            if emission == .onClose, let table = tables[time] {
                recall(time)
                emitAll(table, into: output)
            }
            tables[time] = nil
            histories[time] = nil
        }
        earliest = tables.keys.min() ?? .max
    }

    package func flush(into output: any Output) {
        if let parts { merge(parts) }
        if emission == .onChange { emitChanges(into: output) }
    }

    /// Without keys all is the first shard's.
    private func merge(_ parts: GroupExchange) {
        if layout.keys.isEmpty, context.shard > 0 { return }
        let (shard, count) = layout.keys.isEmpty ? (0, 1) : (context.shard, context.shardCount)
        for from in 0..<parts.parts.count {
            if let part = parts.parts[from] { table(0).merge(from: part, shard: shard, of: count) }
        }
    }

    private func emitAll(_ table: AggregateTable, into output: any Output) {
        let groups = layout.keys.isEmpty ? Array(0..<table.groupCount) : table.liveGroups
        var from = 0
        while from < groups.count, !context.isStopped {
            let part = Array(groups[from..<min(from + 4096, groups.count)])
            let errors = RowErrors()
            let columns = table.emit(part, errors: errors)
            send(Batch(count: part.count, columns: columns), errors, into: output)
            from += part.count
        }
    }

    private func emitChanges(into output: any Output) {
        for time in changed.sorted() {
            recall(time)
            guard let changes = tables[time]?.takeChanges() else { continue }
            send(changes.batch, changes.errors, into: output)
        }
        changed = []
    }

    private func send(_ batch: Batch, _ errors: RowErrors, into output: any Output) {
        var good = batch
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            good = batch.without(errors)
        }
        if good.count > 0 { output.emit(good) }
    }
}

/// How the columns of a grouped aggregation's input lie: keys first, then arguments and filters.
package struct GroupLayout: Sendable {
    package var keys: [DataType]
    package var calls: [AggregateSpec]
    package var arguments: [Int?]
    package var filters: [Int?]

    package init(keys: [DataType], calls: [AggregateSpec], arguments: [Int?], filters: [Int?]) {
        self.keys = keys
        self.calls = calls
        self.arguments = arguments
        self.filters = filters
    }
}
