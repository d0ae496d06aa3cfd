internal import MartletColumns
internal import MartletCore
internal import MartletState

/// What a transaction has done to one table so far: stored rows that it takes out, rows of its own.
/// A value: a savepoint keeps a copy. A statement costs what it changes, however much came before it.
struct TableChanges {
    /// Rows that came or went together. An object, so that copies of the changes know what they have in common.
    fileprivate final class Step {
        let rows: Batch
        let isRemoval: Bool

        init(_ rows: Batch, isRemoval: Bool) {
            self.rows = rows
            self.isRemoval = isRemoval
        }
    }

    /// Of the table that the rows are of (`CatalogObject.form`).
    let form: UInt32
    private var steps: [Step] = []
    private var hasRemovals = false
    /// Of all steps; beyond the limit they are made net.
    private var rowCount = 0
    private var rowLimit = TableChanges.rowLimitMin
    private let indexes = KeyedIndexes()

    private static let rowLimitMin = 4096

    init(form: UInt32 = 0) { self.form = form }

    /// Nothing was done; what was done may also come to nothing.
    var isUntouched: Bool { steps.isEmpty }

    mutating func insert(_ rows: Batch) { add(rows, isRemoval: false) }

    /// Rows that are there, stored or own.
    mutating func remove(_ rows: Batch) { add(rows, isRemoval: true) }

    private mutating func add(_ rows: Batch, isRemoval: Bool) {
        guard rows.count > 0 else { return }
        steps.append(Step(Batch(count: rows.count, columns: rows.columns), isRemoval: isRemoval))
        hasRemovals = hasRemovals || isRemoval
        rowCount += rows.count
        if hasRemovals, rowCount > rowLimit { settle() }
    }

    private mutating func settle() {
        let (removed, inserted) = net
        steps = removed.map { Step($0, isRemoval: true) } + inserted.map { Step($0, isRemoval: false) }
        hasRemovals = !removed.isEmpty
        rowCount = steps.reduce(0) { $0 + $1.rows.count }
        rowLimit = max(TableChanges.rowLimitMin, 2 * rowCount)
    }

    /// What it all comes to: what was removed and put in the same has not happened. O(rows).
    var net: (removed: [Batch], inserted: [Batch]) {
        if !hasRemovals { return ([], steps.map(\.rows)) }
        let weighted = steps.map { $0.rows.weighted($0.isRemoval ? -1 : 1) }
        guard let net = Consolidation.net(weighted).map({ Consolidation.repeated($0) }), let weights = net.weights else { return ([], []) }
        let gone = (0..<net.count).filter { weights.int64s[$0] < 0 }
        let own = (0..<net.count).filter { weights.int64s[$0] > 0 }
        return (gone.isEmpty ? [] : [net.rows(gone)], own.isEmpty ? [] : [net.rows(own)])
    }

    /// By columns in which rows are unique (those with NULL there are not to be asked for). O(rows of the steps since the last
    /// call for these columns).
    func keyed(_ key: [Int], _ types: [DataType]) -> KeyedChanges {
        let index = indexes.index(of: key)
        index.follow(steps, key, types)
        return index
    }

    /// The table as the transaction sees it.
    func over(_ snapshot: StoreSnapshot) -> StoreSnapshot {
        if isUntouched { return snapshot }
        let (removed, inserted) = net
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

/// What transactions look up their changes of one table by.
private final class KeyedIndexes {
    private var indexes: [(key: [Int], changes: KeyedChanges)] = []

    func index(of key: [Int]) -> KeyedChanges {
        if let known = indexes.first(where: { $0.key == key }) { return known.changes }
        indexes.append((key, KeyedChanges()))
        return indexes[indexes.count - 1].changes
    }
}

/// A transaction's changes of one table by key. Shared by copies of the changes: what one of them has and another has not is
/// noticed, and then all is taken in anew.
final class KeyedChanges {
    private var steps: [TableChanges.Step] = []
    /// Rows of the transaction's own, and stored ones that it has removed.
    private(set) var own = KeyedBatch(types: [], key: [])
    private(set) var gone = KeyedBatch(types: [], key: [])

    fileprivate func follow(_ now: [TableChanges.Step], _ key: [Int], _ types: [DataType]) {
        // Steps are only ever added behind what was there, so that the last one stands for all before it.
        let isContinued = steps.last.map { last in steps.count <= now.count && now[steps.count - 1] === last } ?? false
        if !isContinued {
            steps = []
            own = KeyedBatch(types: types, key: key)
            gone = KeyedBatch(types: types, key: key)
        }
        for step in now[steps.count...] {
            steps.append(step)
            if step.isRemoval { remove(step.rows, key) } else { own.add(step.rows) }
        }
    }

    private func remove(_ rows: Batch, _ key: [Int]) {
        let hashes = Hash.rows(key.map { rows.columns[$0] }, count: rows.count)
        let stored = (0..<rows.count).filter { !own.remove(rows, $0, hashes[$0]) }
        if !stored.isEmpty { gone.add(stored.count == rows.count ? rows : rows.rows(stored)) }
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

/// Rows found by their key, each once. A row's place stays the same when another row of its key replaces it.
final class KeyedBatch {
    private let key: [Int]
    private var columns: [Column]
    /// The row of `columns` that each place has.
    private var rows: [Int] = []
    private let index = RowIndex()
    private var stored = 0

    /// Places given out.
    var count: Int { rows.count }

    init(types: [DataType], key: [Int]) {
        self.key = key
        columns = types.map { Column($0, capacity: 16) }
    }

    /// Rows of keys that are not there.
    func add(_ batch: Batch) {
        let hashes = Hash.rows(key.map { batch.columns[$0] }, count: batch.count)
        for row in 0..<batch.count {
            index.insert(hashes[row], row: UInt32(truncatingIfNeeded: rows.count))
            rows.append(stored + row)
        }
        store(batch)
    }

    private func store(_ batch: Batch) {
        for (column, given) in zip(columns, batch.columns) { column.append(rowsOf: given, from: 0, count: batch.count) }
        stored += batch.count
    }

    /// Adds the rows of keys that are not there, a key's first one; gives them. nil: there are none.
    func addingNew(_ batch: Batch) -> Batch? {
        let firsts = batch.rows(batch.firsts(key))
        let hashes = Hash.rows(key.map { firsts.columns[$0] }, count: firsts.count)
        let new = (0..<firsts.count).filter { find(firsts, $0, hashes[$0]) == nil }
        if new.isEmpty { return nil }
        let added = firsts.rows(new)
        add(added)
        return added
    }

    /// Where the row of the same key as `row` stands.
    func find(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Int? {
        index.first(hash) { place in key.allSatisfy { columns[$0].equals(rows[Int(place)], batch.columns[$0], row) } }.map(Int.init)
    }

    /// Whether there was a row of the same key, which is found no longer.
    func remove(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Bool {
        guard let place = find(batch, row, hash) else { return false }
        index.remove(hash, row: UInt32(truncatingIfNeeded: place))
        return true
    }

    /// Another row of the same key in the place of one.
    func replace(_ place: Int, with row: Batch) {
        rows[place] = stored
        store(row)
    }

    /// The row at a place.
    func row(_ place: Int) -> Batch { Batch(count: stored, columns: columns).rows([rows[place]]) }

    /// The rows of all places.
    var batch: Batch {
        let all = Batch(count: stored, columns: columns)
        return rows.count == stored ? all : all.rows(rows)
    }
}
