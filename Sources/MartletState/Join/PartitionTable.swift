package import MartletColumns
package import MartletCore

/// Rows kept by partition, for functions that look at whole partitions. One thread.
package final class PartitionTable {
    let groups: RowGroups
    private let width: Int

    /// Rows as they are kept; a row of weight n stands n times.
    package struct Rows {
        package var columns: [Column]
        package var slots: [UInt32]
        /// The number of each row's partition.
        package var partitions: [UInt32]
    }

    /// - Parameter isChanging: rows may be taken back.
    package init(partition types: [DataType], rows: [DataType], isChanging: Bool) {
        width = rows.count
        groups = RowGroups(
            keys: KeyedRows(KeyLayout(types), template: Array(repeating: 0, count: RowGroups.headBytes)),
            rows: RowHeap(rows, metaWords: RowGroups.metaWords, isIndexed: isChanging), chain: 0)
    }

    package func save(into writer: StateWriter) {
        groups.keys.save(into: writer)
        groups.rows.save(into: writer)
    }

    /// Into a table without rows.
    package func restore(from reader: StateReader) throws(StateError) {
        _ = try groups.keys.restore(from: reader)
        let isLive = try groups.rows.restore(from: reader)
        try groups.check(isLive: isLive, reader)
    }

    /// Whether a partition has or had the number.
    package func wasPartition(_ number: UInt32) -> Bool { number < groups.keys.count }

    package var rowCount: Int { groups.rows.count }

    package var memoryBytes: Int { groups.keys.memoryBytes + groups.rows.memoryBytes }

    /// The numbers of the partitions of rows `0 ..< count`. A partition keeps its number while it has rows.
    package func numbers(_ partition: [Column], count: Int) -> [UInt32] { groups.keys.numbers(partition, count: count) }

    /// Adds weights to rows; rows of weight 0 go, and partitions without rows. The answer: the rows' slots.
    @discardableResult
    package func apply(_ columns: [Column], partitions numbers: [UInt32], weights: Column?) -> [UInt32] {
        let applied = groups.rows.apply(columns, count: numbers.count, weights: weights)
        var emptied: Set<UInt32> = []
        for row in numbers.indices {
            let slot = applied.slots[row]
            if applied.isNew[row] { groups.link(slot, key: numbers[row]) }
            if groups.rows.weight(slot).pointee == 0 { emptied.insert(slot) } else { emptied.remove(slot) }
        }
        remove(emptied.sorted())
        for number in numbers { groups.removeIfUnused(number) }
        return applied.slots
    }

    /// A row of a partition, if it has one.
    package func anyRow(of number: UInt32) -> UInt32? {
        let head = groups.head(groups.keys[Int(number)])
        return head == 0 ? nil : head - 1
    }

    /// A column of the rows in some slots.
    package func column(_ column: Int, _ slots: [UInt32]) -> Column { groups.rows.gather(column..<(column + 1), slots)[0] }

    /// The rows of some partitions, each named once; those that are gone are left out.
    package func rows(of partitions: [UInt32]) -> Rows {
        var slots: [UInt32] = []
        var numbers: [UInt32] = []
        for number in partitions {
            var slot = groups.head(groups.keys[Int(number)])
            while slot != 0 {
                for _ in 0..<max(groups.rows.weight(slot - 1).pointee, 0) {
                    slots.append(slot - 1)
                    numbers.append(number)
                }
                slot = groups.next(slot - 1)
            }
        }
        return Rows(columns: groups.rows.gather(0..<width, slots), slots: slots, partitions: numbers)
    }

    /// Takes rows out, each named once.
    package func remove(_ slots: [UInt32]) {
        for slot in slots { groups.remove(slot) }
    }
}
