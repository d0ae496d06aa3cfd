package import MartletColumns
package import MartletCore
package import MartletState

/// The first row of each partition by an order: Top-1 of rows that only come, at the shard that owns the partition. One row of
/// each is kept; when one that precedes it comes, it is taken back, and the new one given. Rows of one place in the order are
/// ordered by content, so that the outcome depends on nothing but the rows.
package final class FirstRows: Operator {
    package struct Layout: Sendable {
        package var types: [DataType]
        /// Columns that are passed on: the first ones.
        package var width: Int
        package var partition: [Int]
        package var order: [SortedRelease.Order]

        package init(types: [DataType], width: Int, partition: [Int], order: [SortedRelease.Order]) {
            self.types = types
            self.width = width
            self.partition = partition
            self.order = order
        }
    }

    private let layout: Layout
    private let table: PartitionTable
    private var pending: [Batch] = []
    /// By the number of a partition: its place among the tick's, or -1.
    private var places: [Int32] = []

    package init(_ layout: Layout) {
        self.layout = layout
        table = PartitionTable(partition: layout.partition.map { layout.types[$0] }, rows: layout.types, isChanging: false)
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) { pending.append(batch) }

    package func flush(into output: any Output) {
        guard let rows = Consolidation.net(pending) else { return }
        pending = []
        let numbers = table.numbers(layout.partition.map { rows.columns[$0] }, count: rows.count)
        let firsts = firstsOfTick(rows, numbers)
        // Those that precede what was kept.
        var fresh: [Int] = []
        var owners: [UInt32] = []
        var gone: [UInt32] = []
        let kept = firsts.numbers.map { table.anyRow(of: $0) }
        let known = kept.compactMap(\.self)
        let columns = Dictionary(uniqueKeysWithValues: Set(layout.order.map(\.column)).map { ($0, table.column($0, known)) })
        var place = 0
        for (at, row) in firsts.rows.enumerated() {
            if let slot = kept[at] {
                defer { place += 1 }
                guard isBefore(rows, row, columns, place, slot) else { continue }
                gone.append(slot)
            }
            fresh.append(row)
            owners.append(firsts.numbers[at])
        }
        guard !fresh.isEmpty else { return }
        if !gone.isEmpty {
            let old = (0..<layout.width).map { table.column($0, gone) }
            output.emit(Batch(count: gone.count, columns: old).weighted(-1))
        }
        let new = fresh.count == rows.count ? rows : rows.gather(Selection(fresh))
        output.emit(Batch(count: new.count, columns: Array(new.columns.prefix(layout.width))).weighted(1))
        table.apply(new.columns, partitions: owners, weights: nil)
        table.remove(gone)
    }

    /// The first of the tick's rows of each partition, partitions in the order in which they came.
    private func firstsOfTick(_ rows: Batch, _ numbers: [UInt32]) -> (rows: [Int], numbers: [UInt32]) {
        var firsts: [Int] = []
        var partitions: [UInt32] = []
        for row in 0..<rows.count {
            let number = Int(numbers[row])
            if number >= places.count { places += Array(repeating: -1, count: max(number + 1 - places.count, places.count, 1024)) }
            let place = Int(places[number])
            if place < 0 {
                places[number] = Int32(truncatingIfNeeded: firsts.count)
                firsts.append(row)
                partitions.append(numbers[row])
            } else if OrderedPartitions.precedes(rows.columns, layout.order, row, firsts[place]) {
                firsts[place] = row
            }
        }
        for number in partitions { places[Int(number)] = -1 }
        return (firsts, partitions)
    }

    /// Whether a row of the tick precedes a kept one, whose values to order by are in row `place` of `columns`.
    private func isBefore(_ rows: Batch, _ row: Int, _ columns: [Int: Column], _ place: Int, _ slot: UInt32) -> Bool {
        for key in layout.order {
            guard let old = columns[key.column] else { continue }
            let order = key.compare(rows.columns[key.column], row, old, place)
            if order != 0 { return order < 0 }
        }
        for (at, column) in rows.columns.enumerated() {
            let order = column.compare(row, table.column(at, [slot]), 0)
            if order != 0 { return order < 0 }
        }
        return false
    }

    package var stateSize: StateSize { StateSize(rows: table.rowCount, bytes: table.memoryBytes + places.capacity * 4) }

    package func save(into writer: StateWriter) { table.save(into: writer) }

    package func restore(from reader: StateReader) throws(StateError) { try table.restore(from: reader) }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? FirstRows else { preconditionFailure("another operator") }
        table.adopt(other.table, move.share)
    }
}
