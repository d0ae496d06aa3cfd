internal import MartletColumns
internal import MartletCore
internal import MartletState

/// Rows that come to a table by themselves: from its connector, or from a sink into it. They enter the table with the tick
/// after the one that made them, as a statement's would, except that a key that is there is overwritten.
extension TableState {
    /// What changes with weights come to for this table, as it is now: of a key's rows the last one counts. The store's lock
    /// is held.
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
        let keys = Batch(count: batch.count, columns: batch.columns)
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
        let inserted = last.reversed().filter { (batch.weights?.int64s[$0] ?? 1) > 0 }
        if !inserted.isEmpty { write.inserted = [keys.rows(inserted)] }
        return write
    }

    /// Changes of a view on their way into a keyed table: a row that leaves comes before the one that takes its place, wherever
    /// in the tick, and on whichever shard, each was.
    static func ordered(_ batches: [Batch]) -> [Batch] {
        guard let whole = Consolidation.net(batches), let weights = whole.weights else { return batches }
        let order = Selection(capacity: whole.count)
        for leaves in [true, false] {
            for row in 0..<whole.count where (weights.int64s[row] < 0) == leaves {
                order.indexes[order.count] = Int32(truncatingIfNeeded: row)
                order.count += 1
            }
        }
        return [whole.gather(order)]
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
