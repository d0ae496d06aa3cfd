internal import MartletColumns
internal import MartletCore

/// The readable rows of one table or view: a multiset in pages of columns, and an index by key.
///
/// A row's number is page · `pageRows` + place. New rows go to the last page, the *tail*; a full page's columns never change
/// again, so that a snapshot shares them and copies only the tail and the list of pages. Pages that are mostly taken out
/// give their rows to the tail. One thread at a time (`VisibleState` holds its lock).
final class RelationStore {
    static let pageRows = 4096

    let types: [DataType]
    /// What rows are found by: ordinals. All columns where rows may leave and no key is known; nil: they are never looked for.
    let lookup: [Int]?
    private var pages: [StorePage] = []
    private var tail = 0
    private var freePages: [Int] = []
    private let index = RowIndex()
    /// Rows by the columns of UNIQUE constraints; rows with NULL in one of them are left out.
    private let uniques: [(columns: [Int], index: RowIndex)]
    /// The column whose time says how long a row is kept; nil: for good.
    let expiry: Int?
    private(set) var rowCount = 0
    private var cached: StoreSnapshot?

    /// - Parameter uniques: columns in which no two rows are the same, besides `lookup`.
    init(types: [DataType], lookup: [Int]?, uniques: [[Int]] = [], expiry: Int? = nil) {
        self.types = types
        self.expiry = expiry
        self.lookup = lookup
        self.uniques = uniques.map { ($0, RowIndex()) }
        pages = [RelationStore.emptyPage(types)]
    }

    private static func emptyPage(_ types: [DataType]) -> StorePage {
        // Room for all rows at once, so that filling it moves nothing.
        StorePage(columns: types.map { Column($0, capacity: 64) }, count: 0, live: 0)
    }

    /// About the memory that rows and index take.
    var memoryBytes: Int {
        let perRow = types.reduce(0) { $0 + PhysicalType($1).stride }
        return pages.reduce(0) { $0 + $1.count * perRow } + index.memoryBytes
            + uniques.reduce(0) { $0 + $1.index.memoryBytes }
    }

    // MARK: Changes

    /// Rows with weights of ±1 (none: +1). A row taken out is one that is there.
    func apply(_ batch: Batch) {
        cached = nil
        guard let weights = batch.weights else { return append(batch) }
        var removed: [Int] = []
        var added: [Int] = []
        for row in 0..<batch.count {
            if weights.int64s[row] < 0 { removed.append(row) } else { added.append(row) }
        }
        // An old row leaves before its successor comes.
        if !removed.isEmpty { remove(batch.rows(removed)) }
        if !added.isEmpty { append(removed.isEmpty ? Batch(count: batch.count, columns: batch.columns) : batch.rows(added)) }
    }

    private func append(_ batch: Batch) {
        fill(from: batch) { page, first, count in
            if let lookup { enter(page, from: first, count: count, into: index, lookup) }
            for unique in uniques { enter(page, from: first, count: count, into: unique.index, unique.columns, leavingOutNulls: true) }
        }
        rowCount += batch.count
    }

    /// Puts rows into the tail, and says where they are.
    private func fill(from batch: Batch, _ filled: (_ page: Int, _ first: Int, _ count: Int) -> Void) {
        var start = 0
        while start < batch.count {
            if pages[tail].count == RelationStore.pageRows { openPage() }
            let count = min(batch.count - start, RelationStore.pageRows - pages[tail].count)
            for (column, given) in zip(pages[tail].columns, batch.columns) {
                column.append(rowsOf: given, from: start, count: count, detached: true)
            }
            let first = pages[tail].count
            pages[tail].count += count
            pages[tail].live += count
            noteTimes(tail, batch, from: start, count: count)
            filled(tail, first, count)
            start += count
        }
    }

    private func noteTimes(_ page: Int, _ batch: Batch, from start: Int, count: Int) {
        guard let expiry else { return }
        let times = batch.columns[expiry]
        for row in start..<start + count where !times.isNull(row) { pages[page].earliest = min(pages[page].earliest, times.int64s[row]) }
    }

    private func openPage() {
        let full = tail
        pages[full].columns = Column.kept(pages[full].columns)
        if let free = freePages.popLast() {
            tail = free
            pages[free] = RelationStore.emptyPage(types)
        } else {
            tail = pages.count
            pages.append(RelationStore.emptyPage(types))
        }
        if pages[full].live * 4 < pages[full].count { empty(full) }
    }

    private func enter(
        _ page: Int, from first: Int, count: Int, into index: RowIndex, _ columns: [Int], leavingOutNulls: Bool = false
    ) {
        let keys = columns.map { pages[page].columns[$0] }
        let hashes = Hash.rows(first == 0 ? keys : keys.map { $0.slice(first, count) }, count: count)
        hashes.withUnsafeBufferPointer { hashes in
            index.insert(from: Int(number(page, first)), count: count) { at in
                leavingOutNulls && keys.contains { $0.isNull(first + at) } ? nil : hashes[at]
            }
        }
    }

    /// Rows at `places` of a page, which are those of `rows`, are no longer found by UNIQUE constraints.
    private func leaveUniques(_ page: Int, _ places: [Int], _ rows: Batch) {
        for unique in uniques {
            let keys = unique.columns.map { rows.columns[$0] }
            let hashes = Hash.rows(keys, count: rows.count)
            for (at, place) in places.enumerated() where !keys.contains(where: { $0.isNull(at) }) {
                unique.index.remove(hashes[at], row: number(page, place))
            }
        }
    }

    private func number(_ page: Int, _ row: Int) -> UInt32 { UInt32(truncatingIfNeeded: page * RelationStore.pageRows + row) }

    private func remove(_ batch: Batch) {
        guard let lookup else { preconditionFailure("rows leave a relation that only grows") }
        let keys = lookup.map { batch.columns[$0] }
        let hashes = Hash.rows(keys, count: batch.count)
        for row in 0..<batch.count {
            if row % RelationStore.prefetchedRows == 0 {
                prefetch(hashes[row..<min(row + RelationStore.prefetchedRows, batch.count)], lookup)
            }
            guard let number = find(keys, row, hashes[row]) else { continue }
            let page = Int(number) / RelationStore.pageRows
            index.remove(hashes[row], row: number)
            if !uniques.isEmpty { leaveUniques(page, [Int(number) % RelationStore.pageRows], batch.rows([row])) }
            pages[page].delete(Int(number) % RelationStore.pageRows)
            rowCount -= 1
            if page != tail, pages[page].live * 4 < pages[page].count { empty(page) }
        }
    }

    /// Rows whose places are brought into the cache at a time.
    private static let prefetchedRows = 64

    /// Brings what `find` will look at into the cache, of some rows at once, so that their misses overlap.
    private func prefetch(_ hashes: ArraySlice<UInt64>, _ lookup: [Int]) {
        for hash in hashes { index.prefetch(hash) }
        for hash in hashes {
            guard let number = index.first(hash, where: { _ in true }) else { continue }
            let page = Int(number) / RelationStore.pageRows
            for ordinal in lookup { pages[page].columns[ordinal].prefetch(Int(number) % RelationStore.pageRows) }
        }
    }

    /// Moves what is left of a page to the tail.
    private func empty(_ page: Int) {
        let rest = pages[page]
        pages[page] = StorePage(columns: [], count: 0, live: 0)
        if let selection = rest.selection, selection.count > 0, let lookup {
            let rows = Batch(count: rest.count, columns: rest.columns).gather(selection)
            let hashes = Hash.rows(lookup.map { rows.columns[$0] }, count: rows.count)
            for at in 0..<rows.count { index.remove(hashes[at], row: number(page, Int(selection.indexes[at]))) }
            if !uniques.isEmpty { leaveUniques(page, (0..<rows.count).map { Int(selection.indexes[$0]) }, rows) }
            rowCount -= rows.count
            append(rows)
        }
        freePages.append(page)
    }

    /// Takes out all rows.
    func clear() {
        cached = nil
        pages = [RelationStore.emptyPage(types)]
        tail = 0
        freePages = []
        index.clear()
        for unique in uniques { unique.index.clear() }
        rowCount = 0
    }

    // MARK: Coming back

    /// Takes rows as they were saved, page by page, into a store that had none. They are found from `makeIndexes` on; until
    /// then nothing else may be changed.
    func restore(_ batch: Batch) {
        cached = nil
        rowCount += batch.count
        if batch.count * 4 >= RelationStore.pageRows, batch.count <= RelationStore.pageRows {
            pages.append(StorePage(columns: Column.kept(batch.columns), count: batch.count, live: batch.count))
            noteTimes(pages.count - 1, batch, from: 0, count: batch.count)
            return
        }
        fill(from: batch) { _, _, _ in }
    }

    func makeIndexes() {
        if lookup != nil { index.reserve(rowCount) }
        for (number, page) in pages.enumerated() {
            if let lookup { enter(number, from: 0, count: page.count, into: index, lookup) }
            for unique in uniques { enter(number, from: 0, count: page.count, into: unique.index, unique.columns, leavingOutNulls: true) }
        }
    }

    // MARK: Expiry

    /// The rows earlier than `limit`, for whoever takes them out; nil: there is none. Looks at pages that have such rows, and
    /// at one number of each other page.
    func expiring(before limit: Int64) -> Batch? {
        guard let expiry else { return nil }
        var found: [Batch] = []
        for page in pages.indices where pages[page].earliest < limit && pages[page].live > 0 {
            let times = pages[page].columns[expiry]
            var places: [Int] = []
            var earliest = Int64.max
            for row in 0..<pages[page].count where !pages[page].isDeleted(row) && !times.isNull(row) {
                if times.int64s[row] < limit { places.append(row) } else { earliest = min(earliest, times.int64s[row]) }
            }
            pages[page].earliest = earliest
            if !places.isEmpty { found.append(Batch(count: pages[page].count, columns: pages[page].columns).rows(places)) }
        }
        return Batch.joined(found)
    }

    // MARK: Reading

    private func find(_ keys: [Column], _ row: Int, _ hash: UInt64) -> UInt32? {
        guard let lookup else { return nil }
        return find(keys, row, hash, in: index, lookup)
    }

    @inline(__always)
    private func find(_ keys: [Column], _ row: Int, _ hash: UInt64, in index: RowIndex, _ columns: [Int]) -> UInt32? {
        index.first(hash) { number in
            let page = Int(number) / RelationStore.pageRows
            let place = Int(number) % RelationStore.pageRows
            for (ordinal, key) in zip(columns, keys) where !pages[page].columns[ordinal].equals(place, key, row) { return false }
            return true
        }
    }

    /// Whether the row is there, in every column, of a relation in which keys are unique. `hash`: of its key.
    func holds(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Bool {
        guard let lookup, let number = find(lookup.map { batch.columns[$0] }, row, hash) else { return false }
        let page = pages[Int(number) / RelationStore.pageRows]
        return zip(page.columns, batch.columns).allSatisfy { $0.equals(Int(number) % RelationStore.pageRows, $1, row) }
    }

    /// How many rows equal this one in what rows are found by.
    func matchCount(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Int {
        guard let lookup else { return 0 }
        return index.count(hash) { number in
            let columns = pages[Int(number) / RelationStore.pageRows].columns
            return lookup.allSatisfy { columns[$0].equals(Int(number) % RelationStore.pageRows, batch.columns[$0], row) }
        }
    }

    /// What finds rows by `columns`: `lookup`, or those of a UNIQUE constraint.
    private func index(of columns: [Int]) -> RowIndex? {
        columns == lookup ? index : uniques.first { $0.columns == columns }?.index
    }

    /// For each row of a batch, whether a row is there with the same values in `columns`, in which rows are unique.
    func contains(_ batch: Batch, by columns: [Int]) -> [Bool] {
        guard let index = index(of: columns) else { return Array(repeating: false, count: batch.count) }
        let keys = columns.map { batch.columns[$0] }
        let hashes = Hash.rows(keys, count: batch.count)
        return (0..<batch.count).map { find(keys, $0, hashes[$0], in: index, columns) != nil }
    }

    /// The rows there are that have the values of a batch's rows in `columns`, in which rows are unique, and where among them
    /// each one's stands.
    func rows(like batch: Batch, by columns: [Int]) -> (rows: Batch, places: [Int?]) {
        guard let index = index(of: columns) else { return (batch.slice(0, 0), Array(repeating: nil, count: batch.count)) }
        let keys = columns.map { batch.columns[$0] }
        let count = batch.count
        let hashes = Hash.rows(keys, count: count)
        let found = types.map { Column($0, capacity: 16) }
        var places: [Int?] = []
        var rows = 0
        for at in 0..<count {
            guard let number = find(keys, at, hashes[at], in: index, columns) else {
                places.append(nil)
                continue
            }
            let page = pages[Int(number) / RelationStore.pageRows]
            for (column, stored) in zip(found, page.columns) {
                column.append(rowsOf: stored, from: Int(number) % RelationStore.pageRows, count: 1, detached: true)
            }
            places.append(rows)
            rows += 1
        }
        return (Batch(count: rows, columns: found), places)
    }

    /// Where the row of one key stands: the columns are as they are until rows come or go. nil: there is none.
    func place(of key: [Column]) -> (columns: [Column], row: Int)? {
        var hash: UInt64 = 0
        Hash.rows(key, count: 1, into: &hash)
        guard let number = find(key, 0, hash) else { return nil }
        return (pages[Int(number) / RelationStore.pageRows].columns, Int(number) % RelationStore.pageRows)
    }

    /// The row of one key, as a batch: those of its columns, or all. nil: there is none.
    func row(of key: [Column], columns: [Int]? = nil) -> Batch? {
        guard let (stored, row) = place(of: key) else { return nil }
        let copies = (columns ?? Array(stored.indices)).map { ordinal in
            let copy = Column(types[ordinal], capacity: 1)
            copy.append(rowsOf: stored[ordinal], from: row, count: 1, detached: true)
            return copy
        }
        return Batch(count: 1, columns: copies)
    }

    func snapshot() -> StoreSnapshot {
        if let cached { return cached }
        var shown = pages
        let open = shown[tail]
        shown[tail].columns = open.columns.map { $0.slice(0, open.count) }
        let snapshot = StoreSnapshot(pages: shown, rowCount: rowCount)
        cached = snapshot
        return snapshot
    }
}

extension Batch {
    /// The rows at `places`, without weights.
    func rows(_ places: [Int]) -> Batch {
        let selection = Selection(capacity: places.count)
        for place in places {
            selection.indexes[selection.count] = Int32(truncatingIfNeeded: place)
            selection.count += 1
        }
        return Batch(count: places.count, columns: columns.map { $0.gather(selection) })
    }
}
