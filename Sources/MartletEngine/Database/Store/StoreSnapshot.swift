internal import MartletColumns
internal import MartletCore

/// Rows of one page of a store. Columns of a full page never change; deletions are noted beside them.
struct StorePage: Sendable {
    var columns: [Column]
    var count: Int
    /// One bit per row, set where the row was taken out; empty: none was.
    var deleted: [UInt64] = []
    /// Rows not taken out.
    var live: Int
    /// Where event time decides how long rows are kept: none of them is earlier.
    var earliest = Int64.max

    func isDeleted(_ row: Int) -> Bool { !deleted.isEmpty && deleted[row &>> 6] &>> UInt64(row & 63) & 1 == 1 }

    mutating func delete(_ row: Int) {
        if deleted.isEmpty { deleted = [UInt64](repeating: 0, count: (RelationStore.pageRows + 63) / 64) }
        deleted[row &>> 6] |= 1 &<< UInt64(row & 63)
        live -= 1
    }

    /// The rows that are there; nil: all of them.
    var selection: Selection? {
        if live == count { return nil }
        let selection = Selection(capacity: live)
        for row in 0..<count where !isDeleted(row) {
            selection.indexes[selection.count] = Int32(truncatingIfNeeded: row)
            selection.count += 1
        }
        return selection
    }

    var batch: Batch {
        let whole = Batch(count: count, columns: columns)
        return selection.map { whole.gather($0) } ?? whole
    }
}

/// The rows of a table or view as of one tick. A value: whoever holds it may read it for as long as he likes, on any thread.
struct StoreSnapshot: Sendable {
    private let pages: [StorePage]
    let rowCount: Int

    init(pages: [StorePage], rowCount: Int) {
        self.pages = pages
        self.rowCount = rowCount
    }

    /// Rows that some statement made, as of its own.
    init(_ batches: [Batch]) {
        pages = batches.map { StorePage(columns: $0.columns, count: $0.count, live: $0.count) }
        rowCount = batches.reduce(0) { $0 + $1.count }
    }

    var pageCount: Int { pages.count }

    /// The rows of one page; may be empty.
    func batch(_ page: Int) -> Batch { pages[page].batch }

    /// The pages whose batches are not empty.
    var pagesWithRows: [Int] { pages.indices.filter { pages[$0].live > 0 } }

    var batches: [Batch] { pages.lazy.filter { $0.live > 0 }.map(\.batch) }
}
