internal import MartletColumns
internal import MartletCore

/// Rows that come to a table by themselves: from its connector, or from a sink into it. They enter the table with the tick
/// after the one that made them, as a statement's would, except that a key that is there is overwritten.
extension TableState {
    /// What changes with weights come to for this table, as it is now. The store's lock is held.
    func merged(_ batch: Batch) -> TableWrite {
        var write = TableWrite(table: id)
        let rows = (0..<batch.count).filter { (batch.weights?.int64s[$0] ?? 1) > 0 }
        let gone = (0..<batch.count).filter { (batch.weights?.int64s[$0] ?? 1) < 0 }
        guard isKeyed else {
            let removed = batch.rows(gone)
            let hashes = Hash.rows(removed.columns, count: removed.count)
            let seen = KeyLog(types: types, lookup: lookup)
            var kept: [Int] = []
            for row in 0..<removed.count where isThere(removed, row, hashes[row], staged: seen) {
                kept.append(row)
                seen.note(removed.rows([row]), isPresent: false, replaces: false)
            }
            if !kept.isEmpty { write.removed = [removed.rows(kept)] }
            if !rows.isEmpty { write.inserted = [batch.rows(rows)] }
            return write
        }
        // The last row of each key counts; one that only leaves, leaves.
        let keys = batch.rows(gone + rows)
        let hashes = Hash.rows(lookup.map { keys.columns[$0] }, count: keys.count)
        let index = RowIndex()
        var last: [Int] = []
        for row in (0..<keys.count).reversed() {
            let isThere = index.first(hashes[row]) { other in
                lookup.allSatisfy { keys.columns[$0].equals(row, keys.columns[$0], Int(other)) }
            } != nil
            if isThere { continue }
            index.insert(hashes[row], row: UInt32(truncatingIfNeeded: row))
            last.append(row)
        }
        let now = last.reversed().compactMap { currentRow(keys, $0, hashes[$0]) }
        write.removed = now
        let inserted = last.reversed().filter { $0 >= gone.count }
        if !inserted.isEmpty { write.inserted = [keys.rows(inserted)] }
        return write
    }

    /// The row that has the key of this one, as of now.
    private func currentRow(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Batch? {
        let none = KeyLog(types: types, lookup: lookup)
        if let word = newestWord(batch, row, hash, staged: none) {
            guard word.isPresent else { return nil }
            return Batch(count: 1, columns: word.columns.map { $0.slice(word.row, 1) })
        }
        return store.row(of: lookup.map { batch.columns[$0].slice(row, 1) })
    }
}
