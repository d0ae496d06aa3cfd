package import MartletColumns
internal import MartletCore

/// What the changes of a tick come to.
package enum Consolidation {
    /// One batch of what `batches` (of the same columns) come to: rows that are the same, digits included, stand once,
    /// at the place of their first, with the sum of their weights; those of sum 0 are left out. Without weights anywhere
    /// the rows stay as they are. Origins and watermarks are dropped. nil: nothing is left. O(rows).
    package static func net(_ batches: [Batch]) -> Batch? {
        guard let first = batches.first else { return nil }
        if batches.count == 1, first.weights == nil { return first.count == 0 ? nil : first }
        let count = batches.reduce(0) { $0 + $1.count }
        guard count > 0 else { return nil }
        let columns = first.columns.indices.map { at in
            let column = Column(first.columns[at].type, capacity: count)
            for batch in batches { column.append(rowsOf: batch.columns[at], from: 0, count: batch.count) }
            return column
        }
        var whole = Batch(count: count, columns: columns)
        guard batches.contains(where: { $0.weights != nil }) else { return whole }
        let weights = Column(.bigint, capacity: count)
        for batch in batches {
            if let given = batch.weights {
                weights.append(rowsOf: given, from: 0, count: batch.count)
            } else {
                weights.append(rowsOf: Column.constant(.bigint(1), type: .bigint, count: batch.count), from: 0, count: batch.count)
            }
        }
        whole.weights = weights
        let isMixed = (0..<count).contains { weights.int64s[$0] < 0 }
        return isMixed ? cancelled(whole, weights) : whole
    }

    private static func cancelled(_ whole: Batch, _ weights: Column) -> Batch? {
        let count = whole.count
        let hashes = Hash.rows(whole.columns, count: count)
        var size = 16
        while size < count * 2 { size *= 2 }
        // Row + 1 of each slot; 0 is free.
        var slots = [Int32](repeating: 0, count: size)
        var order: [Int] = []
        let sums = Column(.bigint, capacity: count)
        sums.count = count
        for row in 0..<count {
            var at = Int(truncatingIfNeeded: hashes[row] &>> 20) & (size - 1)
            while true {
                let other = Int(slots[at]) - 1
                if other < 0 {
                    slots[at] = Int32(row + 1)
                    order.append(row)
                    sums.int64s[row] = weights.int64s[row]
                    break
                }
                if hashes[other] == hashes[row], isSame(whole.columns, row, other) {
                    sums.int64s[other] += weights.int64s[row]
                    break
                }
                at = (at + 1) & (size - 1)
            }
        }
        let kept = order.filter { sums.int64s[$0] != 0 }
        guard !kept.isEmpty else { return nil }
        // An old row leaves before its successor comes.
        let selection = Selection(kept)
        var net = Batch(count: kept.count, columns: whole.columns.map { $0.gather(selection) })
        net.weights = sums.gather(selection)
        return net
    }

    private static func isSame(_ columns: [Column], _ row: Int, _ other: Int) -> Bool {
        columns.allSatisfy { column in
            guard column.equals(row, column, other) else { return false }
            if let scales = column.scales, scales[row] != scales[other] { return false }
            return column.physical != .view || column.views[row] == column.views[other]
        }
    }

    /// Each row as often as its weight says, with weights of ±1 only.
    package static func repeated(_ batch: Batch) -> Batch {
        guard let weights = batch.weights, (0..<batch.count).contains(where: { weights.int64s[$0].magnitude != 1 }) else { return batch }
        var rows: [Int] = []
        var signs: [Value] = []
        for row in 0..<batch.count {
            let weight = weights.int64s[row]
            for _ in 0..<weight.magnitude {
                rows.append(row)
                signs.append(.bigint(weight < 0 ? -1 : 1))
            }
        }
        var result = Batch(count: rows.count, columns: batch.columns.map { $0.gather(Selection(rows)) })
        result.weights = Column(.bigint, signs)
        return result
    }
}
