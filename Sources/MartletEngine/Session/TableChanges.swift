internal import MartletColumns
internal import MartletCore
internal import MartletState

/// What a transaction has done to one table so far, net: stored rows that it takes out, rows of its own.
/// A value: a savepoint keeps a copy.
struct TableChanges {
    private(set) var removed: [Batch] = []
    private(set) var inserted: [Batch] = []

    var isEmpty: Bool { removed.isEmpty && inserted.isEmpty }

    mutating func insert(_ rows: Batch) {
        guard rows.count > 0 else { return }
        let own = Batch(count: rows.count, columns: rows.columns)
        if removed.isEmpty {
            inserted.append(own)
        } else {
            settle(adding: own)
        }
    }

    /// Rows that are there, stored or own.
    mutating func remove(_ rows: Batch) {
        guard rows.count > 0 else { return }
        let gone = Batch(count: rows.count, columns: rows.columns)
        if inserted.isEmpty {
            removed.append(gone)
        } else {
            settle(adding: gone.weighted(-1))
        }
    }

    /// What removed and put in is the same has not happened.
    private mutating func settle(adding batch: Batch) {
        let all = removed.map { $0.weighted(-1) } + inserted.map { $0.weighted(1) } + [batch.weights == nil ? batch.weighted(1) : batch]
        removed = []
        inserted = []
        guard let net = Consolidation.net(all).map({ Consolidation.repeated($0) }), let weights = net.weights else { return }
        let gone = (0..<net.count).filter { weights.int64s[$0] < 0 }
        let own = (0..<net.count).filter { weights.int64s[$0] > 0 }
        if !gone.isEmpty { removed = [net.rows(gone)] }
        if !own.isEmpty { inserted = [net.rows(own)] }
    }

    /// The table as the transaction sees it.
    func over(_ snapshot: StoreSnapshot) -> StoreSnapshot {
        if isEmpty { return snapshot }
        guard let gone = Batch.joined(removed) else { return StoreSnapshot(snapshot.batches + inserted) }
        let left = RowBag(gone)
        var kept: [Batch] = []
        for batch in snapshot.batches {
            let hashes = Hash.rows(batch.columns, count: batch.count)
            let places = (0..<batch.count).filter { !left.take(batch, $0, hashes[$0]) }
            kept.append(places.count == batch.count ? batch : batch.rows(places))
        }
        return StoreSnapshot(kept + inserted)
    }
}

/// Rows to be met once each.
final class RowBag {
    private let rows: Batch
    private let index = RowIndex()

    init(_ rows: Batch) {
        self.rows = rows
        let hashes = Hash.rows(rows.columns, count: rows.count)
        for row in 0..<rows.count { index.insert(hashes[row], row: UInt32(truncatingIfNeeded: row)) }
    }

    /// Whether the row is one of them; if so it is taken out.
    func take(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Bool {
        guard index.count > 0 else { return false }
        let found = index.first(hash) { other in zip(rows.columns, batch.columns).allSatisfy { $0.equals(Int(other), $1, row) } }
        guard let found else { return false }
        index.remove(hash, row: found)
        return true
    }
}

/// Rows found by their key, each once: the last wins or the first.
final class KeyedBatch {
    private let key: [Int]
    private(set) var columns: [Column]
    private let index = RowIndex()
    private(set) var count = 0

    init(types: [DataType], key: [Int]) {
        self.key = key
        columns = types.map { Column($0, capacity: 16) }
    }

    convenience init(types: [DataType], key: [Int], _ batches: [Batch]) {
        self.init(types: types, key: key)
        for batch in batches { add(batch) }
    }

    /// Rows of keys that are not there yet.
    func add(_ batch: Batch) {
        for (column, given) in zip(columns, batch.columns) { column.append(rowsOf: given, from: 0, count: batch.count) }
        let hashes = Hash.rows(key.map { batch.columns[$0] }, count: batch.count)
        for row in 0..<batch.count { index.insert(hashes[row], row: UInt32(truncatingIfNeeded: count + row)) }
        count += batch.count
    }

    /// Where the row of the same key as `row` stands.
    func find(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Int? {
        index.first(hash) { other in key.allSatisfy { columns[$0].equals(Int(other), batch.columns[$0], row) } }.map(Int.init)
    }

    /// Another row of the same key in the place of one.
    func replace(_ place: Int, with row: Batch) {
        columns = zip(columns, row.columns).map { old, new in
            let column = Column(old.type, capacity: count)
            column.append(rowsOf: old, from: 0, count: place)
            column.append(rowsOf: new, from: 0, count: 1)
            column.append(rowsOf: old, from: place + 1, count: count - place - 1)
            return column
        }
    }

    var batch: Batch { Batch(count: count, columns: columns) }
}
