package import MartletColumns
package import MartletCore

/// EMIT ON WINDOW CLOSE for plain rows and OVER: rows wait until the watermark has passed them and leave in the order
/// of event time, then of the remaining sort keys, with the results of running functions per partition added.
///
/// Rows that are equal in all sort keys leave in the order of their source position, so that the result depends
/// neither on batch sizes nor on shards.
package final class SortedRelease: Operator {
    package struct Layout: Sendable {
        /// Columns that pass through: the first ones.
        package var width: Int
        package var partition: [Int]
        /// The first is event time, ascending.
        package var order: [Order]
        package var calls: [Call]
        /// How far behind the watermark rows may still come (µs).
        package var slack: Int64

        package init(width: Int, partition: [Int], order: [Order], calls: [Call], slack: Int64) {
            self.slack = slack
            self.width = width
            self.partition = partition
            self.order = order
            self.calls = calls
        }
    }

    package struct Order: Sendable {
        package var column: Int
        package var descending: Bool
        package var nullsFirst: Bool

        package init(column: Int, descending: Bool, nullsFirst: Bool) {
            self.column = column
            self.descending = descending
            self.nullsFirst = nullsFirst
        }
    }

    package struct Call: Sendable {
        package var function: RunningFunction
        package var argument: Int?
        package var type: DataType

        package init(function: RunningFunction, argument: Int?, type: DataType) {
            self.function = function
            self.argument = argument
            self.type = type
        }
    }

    private struct Waiting {
        var time: Int64
        var position: (source: Int, partition: Int32, offset: Int64)
        var batch: Int
        var row: Int
    }

    private let layout: Layout
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext
    private var waiting: [Waiting] = []
    private var batches: [Int: (batch: Batch, left: Int)] = [:]
    private var nextBatch = 0
    private var partitions: [[Value]: [RunningState]] = [:]
    private var earliest = Int64.max

    package init(_ layout: Layout, view: Int, countsSourceRows: Bool, context: ShardContext) {
        self.layout = layout
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let times = batch.columns[layout.order[0].column]
        var kept = 0
        for row in 0..<batch.count {
            if times.isNull(row) {
                if countsSourceRows { context.counters[view].filtered += 1 }
                continue
            }
            let time = times.int64s[row]
            if let stamps = batch.watermarks, time < stamps.int64s[row].delayed(by: layout.slack) {
                context.addLate(batch, row, eventTime: time, view: view, countsSourceRows: countsSourceRows)
                continue
            }
            var position: (source: Int, partition: Int32, offset: Int64) = (0, 0, 0)
            if let origins = batch.origins {
                position = (origins.block.source, origins.block.partition, origins.block.offsets[origins.blockRow(row)])
            }
            waiting.append(
                Waiting(time: time, position: position, batch: nextBatch, row: row))
            earliest = min(earliest, time)
            kept += 1
        }
        if countsSourceRows { context.counters[view].counted += UInt64(kept) }
        if kept > 0 {
            batches[nextBatch] = (batch, kept)
            nextBatch += 1
        }
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        let limit = watermark.delayed(by: layout.slack)
        guard earliest < limit || limit == .end else { return }
        var leaving: [Waiting] = []
        var staying: [Waiting] = []
        earliest = .max
        for row in waiting {
            if row.time < limit || limit == .end {
                leaving.append(row)
            } else {
                staying.append(row)
                earliest = min(earliest, row.time)
            }
        }
        waiting = staying
        leaving.sort { precedes($0, $1) }
        var from = 0
        while from < leaving.count {
            let to = min(from + 4096, leaving.count)
            release(leaving[from..<to], into: output)
            from = to
        }
        for row in leaving {
            batches[row.batch]!.left -= 1
            if batches[row.batch]!.left == 0 { batches[row.batch] = nil }
        }
    }

    private func precedes(_ left: Waiting, _ right: Waiting) -> Bool {
        if left.time != right.time { return left.time < right.time }
        let a = batches[left.batch]!.batch
        let b = batches[right.batch]!.batch
        for order in layout.order.dropFirst() {
            let (ours, theirs) = (a.columns[order.column], b.columns[order.column])
            let place: Int
            switch (ours.isNull(left.row), theirs.isNull(right.row)) {
            case (true, true): place = 0
            case (true, false): place = order.nullsFirst ? -1 : 1
            case (false, true): place = order.nullsFirst ? 1 : -1
            case (false, false):
                let ascending = ours.compare(left.row, theirs, right.row)
                place = order.descending ? -ascending : ascending
            }
            if place != 0 { return place < 0 }
        }
        if left.position != right.position { return left.position < right.position }
        // Rows without a source position: by content.
        for column in 0..<layout.width {
            let place = a.columns[column].compare(left.row, b.columns[column], right.row)
            if place != 0 { return place < 0 }
        }
        return false
    }

    private func release(_ rows: ArraySlice<Waiting>, into output: any Output) {
        let columns = (0..<layout.width).map { column -> Column in
            let type = batches[rows.first!.batch]!.batch.columns[column].type
            let made = Column(type, capacity: rows.count)
            for row in rows { made.append(rowsOf: batches[row.batch]!.batch.columns[column], from: row.row, count: 1) }
            return made
        }
        let results = layout.calls.map { Column($0.type, capacity: rows.count) }
        let errors = RowErrors()
        for (at, row) in rows.enumerated() {
            let batch = batches[row.batch]!.batch
            let key = layout.partition.map { batch.columns[$0].value(at: row.row) }
            var states = partitions[key] ?? layout.calls.map { RunningState($0.function) }
            for (index, call) in layout.calls.enumerated() {
                let argument = call.argument.map { batch.columns[$0].value(at: row.row) }
                do throws(SQLError) {
                    results[index].append(try states[index].next(argument, result: call.type))
                } catch {
                    results[index].append(.null)
                    errors.add(at, error)
                }
            }
            if !layout.calls.isEmpty { partitions[key] = states }
        }
        var batch = Batch(count: rows.count, columns: columns + results)
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            batch = batch.without(errors)
        }
        if batch.count > 0 { output.emit(batch) }
    }
}
