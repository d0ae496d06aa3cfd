package import MartletColumns
package import MartletCore
package import MartletState

/// EMIT ON WINDOW CLOSE for functions of OVER that look at rows behind their own: `lead`, frames that end some rows or some
/// time later, sessions. Rows come in the order of event time (from `SortedRelease`); each leaves, with the results added, once
/// every row that its frames can take in has come. In a partition rows become final in their order, so what has left stands in
/// front; of that, rows are kept as far back as later frames reach.
package final class FinalFrames: Operator {
    package struct Layout: Sendable {
        package var types: [DataType]
        package var partition: [Int]
        /// The first is event time, ascending.
        package var order: [SortedRelease.Order]
        package var calls: [OverFunctionCall]
        /// How far behind the watermark rows may still come (µs).
        package var delay: Int64

        package init(types: [DataType], partition: [Int], order: [SortedRelease.Order], calls: [OverFunctionCall], delay: Int64) {
            self.types = types
            self.partition = partition
            self.order = order
            self.calls = calls
            self.delay = delay
        }
    }

    private let layout: Layout
    private let view: Int
    private let context: ShardContext
    private let table: PartitionTable
    /// Of each partition with rows: how many of them have left.
    private var emitted: [UInt32: Int] = [:]
    /// Partitions to be looked at in this tick.
    private var touched: Set<UInt32> = []
    /// Partitions by the time that must be passed before their next row is final.
    private var due: [Int64: Set<UInt32>] = [:]
    private var times = WindowEnds()
    private var watermark: Watermark = .start
    /// By gap, the rows of the session that was looked at last, as they are ordered in this flush.
    private var sessions: [Int64: ClosedRange<Int>] = [:]

    package init(_ layout: Layout, view: Int, context: ShardContext) {
        self.layout = layout
        self.view = view
        self.context = context
        table = PartitionTable(partition: layout.partition.map { layout.types[$0] }, rows: layout.types, isChanging: false)
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let numbers = table.numbers(layout.partition.map { batch.columns[$0] }, count: batch.count)
        table.apply(batch.columns, partitions: numbers, weights: nil)
        for number in numbers {
            touched.insert(number)
            if emitted[number] == nil { emitted[number] = 0 }
        }
    }

    package func advance(to watermark: Watermark, into output: any Output) { self.watermark = watermark }

    package func flush(into output: any Output) {
        let limit = watermark.delayed(by: layout.delay)
        if limit == .end { touched.formUnion(emitted.keys) }
        if limit != .start {
            while let end = times.popFirst(upTo: limit == .end ? limit : limit - 1) { touched.formUnion(due.removeValue(forKey: end) ?? []) }
        }
        guard !touched.isEmpty else { return }
        let numbers = touched.sorted()
        touched = []
        let rows = table.rows(of: numbers)
        guard !rows.slots.isEmpty else { return }
        let places = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($0.element, $0.offset) })
        let place = rows.partitions.map { places[$0] ?? 0 }
        let (columns, order) = (rows.columns, layout.order)
        var permutation = Array(rows.slots.indices)
        permutation.sort(in: context) { left, right in
            if place[left] != place[right] { return place[left] < place[right] }
            return OrderedPartitions.precedes(columns, order, left, right)
        }
        let ordered = OrderedPartitions(
            columns, permutation: permutation, partitions: rows.partitions, order: order, isStopped: { [context] in context.isStopped })
        sessions = [:]
        var leaving: [Int] = []
        var gone: [UInt32] = []
        for at in 0..<(ordered.starts.count - 1) {
            let range = ordered.starts[at]..<ordered.starts[at + 1]
            let number = rows.partitions[permutation[range.lowerBound]]
            let first = range.lowerBound + (emitted[number] ?? 0)
            var next = first
            while next < range.upperBound, limit == .end || isFinal(next, range, ordered, limit) { next += 1 }
            leaving += first..<next
            let kept = limit == .end ? range.upperBound : firstNeeded(by: next, range, ordered, limit)
            gone += (range.lowerBound..<kept).map { rows.slots[permutation[$0]] }
            emitted[number] = kept == range.upperBound ? nil : next - kept
            if next < range.upperBound, let end = awaitedTime(of: next, range, ordered), due[end, default: []].insert(number).inserted {
                times.insert(end)
            }
        }
        emit(Selection(leaving), of: ordered, into: output)
        if !gone.isEmpty { table.remove(gone.sorted()) }
    }

    /// The rows' results, in pieces of one batch's size.
    private func emit(_ leaving: Selection, of ordered: OrderedPartitions, into output: any Output) {
        guard leaving.count > 0 else { return }
        let errors = RowErrors()
        let results = layout.calls.map { ordered.evaluate($0, errors: errors) }
        var batch = Batch(count: leaving.count, columns: (ordered.columns + results).map { $0.gather(leaving) })
        if !errors.isEmpty {
            // Errors of rows that stay are met again when these leave.
            let own = RowErrors()
            for (at, row) in leaving.rows.enumerated() { if let error = errors.error(at: Int(row)) { own.add(at, error) } }
            if !own.isEmpty {
                context.reject(own, of: batch, view: view, countsSourceRows: false)
                batch = batch.without(own)
            }
        }
        var from = 0
        while from < batch.count {
            let part = min(4096, batch.count - from)
            output.emit(batch.slice(from, part))
            from += part
        }
    }

    // MARK: - What frames reach

    private func time(_ row: Int, _ ordered: OrderedPartitions) -> Int64 { ordered.columns[layout.order[0].column].int64s[row] }

    /// Whether all rows have come that the row's frames can take in; all earlier than `limit` have.
    private func isFinal(_ row: Int, _ range: Range<Int>, _ ordered: OrderedPartitions, _ limit: Watermark) -> Bool {
        for call in layout.calls {
            switch reach(of: call) {
            case .row: continue
            case .rows(let count): if count >= range.upperBound - row { return false }
            case .time(let length):
                let (end, overflow) = time(row, ordered).addingReportingOverflow(length)
                if overflow || end >= limit { return false }
            case .session(let gap): if time(sessionEnd(row, gap, range, ordered), ordered).addingReportingOverflow(gap).partialValue >= limit { return false }
            }
        }
        return true
    }

    /// The time that must be passed before the row is final, as far as that hangs on time; nil: it does not.
    private func awaitedTime(of row: Int, _ range: Range<Int>, _ ordered: OrderedPartitions) -> Int64? {
        layout.calls.compactMap { call -> Int64? in
            switch reach(of: call) {
            case .row, .rows: nil
            case .time(let length): time(row, ordered).addingReportingOverflow(length).partialValue
            case .session(let gap): time(sessionEnd(row, gap, range, ordered), ordered).addingReportingOverflow(gap).partialValue
            }
        }.max()
    }

    private enum Reach {
        case row
        case rows(Int)
        case time(Int64)
        case session(Int64)
    }

    /// How far behind a row a function looks.
    private func reach(of call: OverFunctionCall) -> Reach {
        if case .shifted(let steps, _) = call.kind { return steps > 0 ? .rows(steps) : .row }
        switch (call.frame.unit, call.frame.end) {
        case (.rows, .following(let count)): return .rows(Int(clamping: count))
        case (.range, .following(let length)): return .time(length)
        case (.session, .following(let gap)): return .session(gap)
        default: return .row
        }
    }

    /// The last row of a row's session. Asked for row by row, so the session is gone through once.
    private func sessionEnd(_ row: Int, _ gap: Int64, _ range: Range<Int>, _ ordered: OrderedPartitions) -> Int {
        if let known = sessions[gap], known.contains(row) { return known.upperBound }
        var last = row
        while last + 1 < range.upperBound, time(last + 1, ordered) &- time(last, ordered) <= gap { last += 1 }
        sessions[gap] = row...last
        return last
    }

    /// The first row that frames of `next`, the first row that stays, or of rows that are yet to come take in.
    private func firstNeeded(by next: Int, _ range: Range<Int>, _ ordered: OrderedPartitions, _ limit: Watermark) -> Int {
        var first = next
        func back(_ count: Int) { first = min(first, max(range.lowerBound, next - min(count, next - range.lowerBound))) }
        func since(_ start: Int64) { while first > range.lowerBound, time(first - 1, ordered) >= start { first -= 1 } }
        let now = next < range.upperBound ? time(next, ordered) : limit
        for call in layout.calls {
            if case .shifted(let steps, _) = call.kind {
                if steps < 0 { back(0 - steps) }
                continue
            }
            switch (call.frame.unit, call.frame.start) {
            case (.rows, .preceding(let count)): back(Int(clamping: count))
            case (.range, .preceding(let length)):
                let (start, overflow) = now.subtractingReportingOverflow(length)
                since(overflow ? .min : start)
            case (.range, .currentRow): since(now)
            case (.session, _):
                guard next < range.upperBound, case .following(let gap) = call.frame.end else { continue }
                var start = next
                while start > range.lowerBound, time(start, ordered) &- time(start - 1, ordered) <= gap { start -= 1 }
                first = min(first, start)
            case (_, .unboundedPreceding): first = range.lowerBound
            default: continue
            }
        }
        return first
    }

    // MARK: - State

    package var stateSize: StateSize { StateSize(rows: table.rowCount, bytes: table.memoryBytes) }

    package var awaited: Watermark? {
        guard let end = times.first else { return nil }
        return (end == .max ? end : end + 1).delayed(by: 0 - layout.delay)
    }

    /// What is due follows from the rows: every partition is looked at again after a restore.
    package func save(into writer: StateWriter) {
        table.save(into: writer)
        writer.write(watermark)
        writer.write(UInt64(emitted.count))
        for (number, count) in emitted.sorted(by: { $0.key < $1.key }) {
            writer.write(number)
            writer.write(UInt64(count))
        }
    }

    package func restore(from reader: StateReader) throws(StateError) {
        try table.restore(from: reader)
        watermark = try reader.read()
        for _ in 0..<(try reader.readCount(max: table.rowCount)) {
            let number: UInt32 = try reader.read()
            let count = try reader.readCount(max: table.rowCount)
            guard emitted[number] == nil, table.wasPartition(number), table.rows(of: [number]).slots.count >= count else {
                throw reader.error("rows that have left and were none")
            }
            emitted[number] = count
            touched.insert(number)
        }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? FinalFrames else { preconditionFailure("another operator") }
        let numbers = table.adopt(other.table, move.share)
        watermark = max(watermark, other.watermark)
        for (number, count) in other.emitted {
            guard let moved = numbers[Int(number)] else { continue }
            emitted[moved] = count
            touched.insert(moved)
        }
    }
}
