package import MartletColumns
package import MartletCore
package import MartletState

/// Aggregates over sessions, at the shard that owns the partition: a session is its running values, and leaves when the
/// watermark has passed its end. Rows only come, and not too late for their session (`AdmitInTime` sees to that).
package final class SessionAggregate: Operator {
    /// Columns of the input: partition, time, then arguments and filters.
    package struct Layout: Sendable {
        package var partition: [DataType]
        package var time: DataType
        /// Microseconds.
        package var gap: Int64
        package var calls: [AggregateSpec]
        package var arguments: [Int?]
        package var filters: [Int?]
        /// How far rows may lie behind the watermark, microseconds.
        package var delay: Int64
        package var outputs: [WindowOutput]

        package init(
            partition: [DataType], time: DataType, gap: Int64, calls: [AggregateSpec], arguments: [Int?], filters: [Int?], delay: Int64,
            outputs: [WindowOutput]
        ) {
            self.partition = partition
            self.time = time
            self.gap = gap
            self.calls = calls
            self.arguments = arguments
            self.filters = filters
            self.delay = delay
            self.outputs = outputs
        }
    }

    private let layout: Layout
    private let view: Int
    private let context: ShardContext
    private let sessions: SessionTable
    /// By the session's number.
    private let values: AggregateTable

    private static let piece = 4096

    package init(_ layout: Layout, view: Int, context: ShardContext) {
        self.layout = layout
        self.view = view
        self.context = context
        sessions = SessionTable(partition: layout.partition, gap: layout.gap)
        values = AggregateTable(keys: [.bigint], calls: layout.calls)
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let partition = layout.partition.indices.map { batch.columns[$0] }
        let times = batch.columns[layout.partition.count]
        let assigned = sessions.assign(partition, times: times.int64s, count: batch.count)
        withExtendedLifetime(times) {}
        values.update(
            keys: [assigned.sessions], count: batch.count, arguments: layout.arguments.map { $0.map { batch.columns[$0] } },
            filters: layout.filters.map { $0.map { batch.columns[$0] } })
        guard !assigned.merges.isEmpty else { return }
        let gone = groups(assigned.merges.map(\.gone))
        for (gone, kept) in zip(gone, groups(assigned.merges.map(\.kept))) { values.join(gone, to: kept) }
        values.remove(gone)
    }

    private func groups(_ sessions: [Int64]) -> [Int] {
        values.groups([Column(.bigint, sessions.map { .bigint($0) })], count: sessions.count)
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        let limit = watermark.delayed(by: layout.delay)
        guard limit != .start else { return }
        // A row at the end itself would still belong to the session.
        while let closed = sessions.close(upTo: limit == .end ? limit : limit - 1, most: SessionAggregate.piece) {
            emit(closed, into: output)
        }
    }

    private func emit(_ closed: SessionTable.Closed, into output: any Output) {
        let count = closed.starts.count
        let groups = values.groups([closed.sessions], count: count)
        let errors = RowErrors()
        let results = values.emit(groups, errors: errors)
        values.remove(groups)
        let columns = layout.outputs.map { kind in
            switch kind {
            case .key(let at): closed.partition[at]
            // Behind the number.
            case .result(let at): results[1 + at]
            case .windowStart: Column(layout.time, closed.starts.map { .instant($0, layout.time) })
            case .windowEnd: Column(layout.time, closed.ends.map { .instant($0, layout.time) })
            }
        }
        var batch = Batch(count: count, columns: columns)
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            batch = batch.without(errors)
        }
        if batch.count > 0 { output.emit(batch) }
    }

    package var stateSize: StateSize { StateSize(rows: sessions.count, bytes: sessions.memoryBytes + values.memoryBytes) }

    package var awaited: Watermark? {
        sessions.firstDue.map { ($0 == .max ? $0 : $0 + 1).delayed(by: 0 - layout.delay) }
    }

    package func save(into writer: StateWriter) {
        sessions.save(into: writer)
        values.save(into: writer)
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? SessionAggregate else { preconditionFailure("another operator") }
        let moved = sessions.adopt(other.sessions, move.share)
        let from = other.groups(moved.map(\.old))
        for (from, to) in zip(from, groups(moved.map(\.new))) { values.join(from, of: other.values, to: to) }
    }

    package func restore(from reader: StateReader) throws(StateError) {
        let used = try sessions.restore(from: reader)
        try values.restore(from: reader)
        let numbers = values.liveKeys
        guard numbers.allSatisfy({ used[$0] == true }), numbers.count == used.values.count(where: { $0 }) else {
            throw reader.error("sessions without values")
        }
    }
}
