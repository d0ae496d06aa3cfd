package import MartletColumns
package import MartletCore
package import MartletState

/// OVER for rows that may come in any order and be taken back, Top-N, and sessions: keeps each partition's rows; where a
/// tick touched a partition, its results before and after are compared, and the difference is emitted. With a time to
/// wait for, results leave once instead, when the watermark has passed it.
///
/// Results before are computed again rather than kept: they follow from the rows alone, ties being ordered by content.
/// A partition costs O(n log n) for n rows whenever it is touched; with a limit on the rank, n is the limit.
package final class OverPartitions: Operator {
    /// What says that rows are final.
    package enum Completion: Sendable {
        case never
        /// This column (one of the partition's) passed by the watermark, held back by `delay`.
        case column(Int, delay: Int64, isExclusive: Bool)
        /// The call whose result is the end of the row's session.
        case session(call: Int, delay: Int64)
    }

    package struct Layout: Sendable {
        package var types: [DataType]
        /// Columns that are passed on: the first ones.
        package var width: Int
        package var partition: [Int]
        package var order: [SortedRelease.Order]
        package var calls: [OverFunctionCall]
        /// Calls whose results are passed on, in order.
        package var shown: [Int]
        /// Only rows for which the call's result (a rank) is at most the limit.
        package var limit: (call: Int, rank: Int64)?
        package var completion: Completion
        package var isChanging: Bool
        package var emission: GroupAggregate.Emission

        package init(
            types: [DataType], width: Int, partition: [Int], order: [SortedRelease.Order], calls: [OverFunctionCall],
            shown: [Int], limit: (call: Int, rank: Int64)?, completion: Completion, isChanging: Bool,
            emission: GroupAggregate.Emission
        ) {
            self.types = types
            self.width = width
            self.partition = partition
            self.order = order
            self.calls = calls
            self.shown = shown
            self.limit = limit
            self.completion = completion
            self.isChanging = isChanging
            self.emission = emission
        }

        /// Rows beyond the limit will never be within it, so they are not kept.
        var forgetsBeyondLimit: Bool {
            limit != nil && !isChanging && calls.allSatisfy { [.rowNumber, .rank, .denseRank].contains($0.kind) }
        }

        /// A tick takes back rows that fell out of the limit, and gives those that came into it, one by one.
        package var replacesRows: Bool { forgetsBeyondLimit && shown.isEmpty && emission == .onChange }
    }

    private let layout: Layout
    private let view: Int
    private let context: ShardContext
    private let table: PartitionTable
    private var pending: [Batch] = []
    private var watermark: Watermark = .start
    /// Partitions by the time at which something of theirs may be final.
    private var due: [Int64: Set<UInt32>] = [:]
    private var times = WindowEnds()

    package init(_ layout: Layout, view: Int, context: ShardContext) {
        self.layout = layout
        self.view = view
        self.context = context
        table = PartitionTable(
            partition: layout.partition.map { layout.types[$0] }, rows: layout.types, isChanging: layout.isChanging)
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        pending.append(batch)
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        apply(into: output)
        self.watermark = watermark
        complete(into: output)
    }

    package func flush(into output: any Output) {
        guard !pending.isEmpty else { return }
        apply(into: output)
        complete(into: output)
    }

    /// What is due stands in the order of time; `times` has the same ones.
    package func save(into writer: StateWriter) {
        table.save(into: writer)
        writer.write(watermark)
        writer.write(UInt64(due.count))
        for (end, partitions) in due.sorted(by: { $0.key < $1.key }) {
            writer.write(end)
            writer.write(partitions.sorted())
        }
    }

    package var awaited: Watermark? {
        guard layout.emission == .onClose, let end = times.first else { return nil }
        switch layout.completion {
        case .never: return nil
        case .column(_, let delay, let isExclusive): return (isExclusive || end == .max ? end : end + 1).delayed(by: 0 - delay)
        case .session(_, let delay): return (end == .max ? end : end + 1).delayed(by: 0 - delay)
        }
    }

    package var stateSize: StateSize { StateSize(rows: table.rowCount, bytes: table.memoryBytes) }

    package func restore(from reader: StateReader) throws(StateError) {
        try table.restore(from: reader)
        watermark = try reader.read()
        for _ in 0..<(try reader.readCount(max: 1 << 40)) {
            let end: Int64 = try reader.read()
            let partitions = try reader.readNumbers(UInt32.self)
            // A partition that is gone may still be named: it has nothing that is due then.
            guard due[end] == nil, partitions.allSatisfy({ table.wasPartition($0) }) else {
                throw reader.error("a partition that is due and is none")
            }
            due[end] = Set(partitions)
            times.insert(end)
        }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? OverPartitions else { preconditionFailure("another operator") }
        let numbers = table.adopt(other.table, move.share)
        watermark = max(watermark, other.watermark)
        for (end, partitions) in other.due {
            let moved = partitions.compactMap { numbers[Int($0)] }
            if moved.isEmpty { continue }
            due[end, default: []].formUnion(moved)
            times.insert(end)
        }
    }

    // MARK: - Changes

    private func apply(into output: any Output) {
        let batches = pending
        pending = []
        guard let delta = Consolidation.net(batches) else { return }
        let numbers = table.numbers(layout.partition.map { delta.columns[$0] }, count: delta.count)
        var seen: Set<UInt32> = []
        let touched = numbers.filter { seen.insert($0).inserted }
        if layout.replacesRows {
            let fresh = Set(table.apply(delta.columns, partitions: numbers, weights: nil))
            if let new = results(touched) { replace(new, fresh, into: output) }
            return
        }
        var changes: [Batch] = []
        if layout.emission == .onChange, let old = results(touched)?.batch { changes.append(old.weighted(-1)) }
        // Where the last row goes the partition's number does too; the rows that come keep it.
        table.apply(delta.columns, partitions: numbers, weights: delta.weights)
        guard let new = results(touched) else {
            if let net = Consolidation.net(changes) { output.emit(net) }
            return
        }
        note(new)
        if layout.emission == .onChange {
            changes.append(new.batch.weighted(1))
            if let net = Consolidation.net(changes) { output.emit(net) }
        }
        if !new.beyond.isEmpty { table.remove(new.beyond) }
    }

    /// Top-N of rows that only come, whose rank nobody sees: new rows within the limit come out, and older ones that fell
    /// out of it are taken back; the others stay as they are.
    private func replace(_ new: Results, _ fresh: Set<UInt32>, into output: any Output) {
        note(new)
        let gone = new.beyond.indices.filter { !fresh.contains(new.beyond[$0]) }
        let come = new.slots.indices.filter { fresh.contains(new.slots[$0]) }
        if !gone.isEmpty, let beyond = new.beyondRows { output.emit(beyond.gather(Selection(gone)).weighted(-1)) }
        if !come.isEmpty { output.emit(new.batch.gather(Selection(come)).weighted(1)) }
        table.remove(new.beyond)
    }

    private struct Results {
        var batch: Batch
        var slots: [UInt32]
        var partitions: [UInt32]
        /// All calls' results.
        var values: [Column]
        /// Slots of rows that the limit leaves out for good, and the rows.
        var beyond: [UInt32]
        var beyondRows: Batch?
    }

    /// The results of some partitions; nil: they have no rows.
    private func results(_ numbers: [UInt32]) -> Results? {
        let rows = table.rows(of: numbers)
        guard !rows.slots.isEmpty else { return nil }
        var permutation = Array(rows.slots.indices)
        let places = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($0.element, $0.offset) })
        let place = rows.partitions.map { places[$0] ?? 0 }
        let (columns, order) = (rows.columns, layout.order)
        permutation.sort(in: context) { left, right in
            if place[left] != place[right] { return place[left] < place[right] }
            return OrderedPartitions.precedes(columns, order, left, right)
        }
        let ordered = OrderedPartitions(columns, permutation: permutation, partitions: rows.partitions, order: order, isStopped: { [context] in context.isStopped })
        let errors = RowErrors()
        let values = layout.calls.map { ordered.evaluate($0, errors: errors) }
        var batch = Batch(count: ordered.count, columns: ordered.columns.prefix(layout.width) + layout.shown.map { values[$0] })
        var slots = permutation.map { rows.slots[$0] }
        var partitions = permutation.map { rows.partitions[$0] }
        var all = values
        var beyond: [UInt32] = []
        var beyondRows: Batch?
        var kept = Array(0..<batch.count)
        if let limit = layout.limit {
            let ranks = values[limit.call].int64s
            kept = kept.filter { ranks[$0] <= limit.rank }
            if layout.forgetsBeyondLimit {
                let out = (0..<batch.count).filter { ranks[$0] > limit.rank }
                beyond = out.map { slots[$0] }
                if !out.isEmpty { beyondRows = batch.gather(Selection(out)) }
            }
        }
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            kept = kept.filter { !errors.contains($0) }
        }
        if kept.count < batch.count {
            let selection = Selection(kept)
            batch = batch.gather(selection)
            all = values.map { $0.gather(selection) }
            slots = kept.map { slots[$0] }
            partitions = kept.map { partitions[$0] }
        }
        return Results(batch: batch, slots: slots, partitions: partitions, values: all, beyond: beyond, beyondRows: beyondRows)
    }

    // MARK: - Completion

    /// When each row of some results is final; nil: never.
    private func ends(_ results: Results) -> (column: Column, delay: Int64, isExclusive: Bool)? {
        switch layout.completion {
        case .never: nil
        case .column(let column, let delay, let isExclusive): (results.batch.columns[column], delay, isExclusive)
        case .session(let call, let delay): (results.values[call], delay, false)
        }
    }

    private func note(_ results: Results) {
        guard let (column, _, _) = ends(results) else { return }
        for row in results.partitions.indices {
            let end = column.isNull(row) ? Int64.max : column.int64s[row]
            if due[end, default: []].insert(results.partitions[row]).inserted { times.insert(end) }
        }
    }

    private func complete(into output: any Output) {
        let delay: Int64
        let isExclusive: Bool
        switch layout.completion {
        case .never: return
        case .column(_, let held, let exclusive): (delay, isExclusive) = (held, exclusive)
        case .session(_, let held): (delay, isExclusive) = (held, false)
        }
        let limit = watermark.delayed(by: delay)
        guard limit != .start else { return }
        // Times up to this are passed.
        let last = limit == .end || isExclusive ? limit : limit - 1
        var numbers: Set<UInt32> = []
        while let end = times.popFirst(upTo: last) { numbers.formUnion(due.removeValue(forKey: end) ?? []) }
        guard !numbers.isEmpty, let results = results(numbers.sorted()), let (column, _, _) = ends(results) else { return }
        let final = (0..<results.batch.count).filter { (column.isNull($0) ? .max : column.int64s[$0]) <= last }
        if layout.emission == .onClose, !final.isEmpty { output.emit(results.batch.gather(Selection(final))) }
        let gone = Set(final.map { results.slots[$0] })
        table.remove(gone.sorted())
        if gone.count < results.slots.count {
            var rest = results
            let selection = Selection((0..<results.batch.count).filter { !gone.contains(results.slots[$0]) })
            rest.batch = results.batch.gather(selection)
            rest.values = results.values.map { $0.gather(selection) }
            rest.partitions = selection.rows.map { results.partitions[$0] }
            note(rest)
        }
    }
}

extension Batch {
    /// The same rows, each with this weight.
    func weighted(_ weight: Int64) -> Batch {
        Batch(count: count, columns: columns, weights: .constant(.bigint(weight), type: .bigint, count: count))
    }
}
