internal import MartletColumns
internal import MartletCore

/// What ticks that are not durable yet do to the rows of a table: the newest word on each key (or, where rows have no
/// identity, each removal). Driver's thread only.
final class KeyLog {
    private let types: [DataType]
    private let lookup: [Int]
    private var columns: [Column]
    private var isPresent: [Bool] = []
    private let index = RowIndex()

    init(types: [DataType], lookup: [Int]) {
        self.types = types
        self.lookup = lookup
        columns = types.map { Column($0, capacity: 16) }
    }

    var count: Int { isPresent.count }

    /// Rows that are now there, or no longer.
    func note(_ batch: Batch, isPresent present: Bool, replaces: Bool) {
        let first = count
        for (column, given) in zip(columns, batch.columns) { column.append(rowsOf: given, from: 0, count: batch.count) }
        isPresent += repeatElement(present, count: batch.count)
        let hashes = Hash.rows(lookup.map { batch.columns[$0] }, count: batch.count)
        for row in 0..<batch.count {
            if replaces, let old = find(batch, row, hashes[row]) { index.remove(hashes[row], row: old) }
            index.insert(hashes[row], row: UInt32(truncatingIfNeeded: first + row))
        }
    }

    /// Takes over a later log.
    func append(_ later: KeyLog, replaces: Bool) {
        var start = 0
        while start < later.count {
            var end = start
            while end < later.count, later.isPresent[end] == later.isPresent[start] { end += 1 }
            let rows = Batch(count: end - start, columns: later.columns.map { $0.slice(start, end - start) })
            note(rows, isPresent: later.isPresent[start], replaces: replaces)
            start = end
        }
    }

    private func find(_ batch: Batch, _ row: Int, _ hash: UInt64) -> UInt32? {
        index.first(hash) { matches(batch, row, Int($0)) }
    }

    private func matches(_ batch: Batch, _ row: Int, _ own: Int) -> Bool {
        lookup.allSatisfy { columns[$0].equals(own, batch.columns[$0], row) }
    }

    /// The newest word on the key of a row: where its row stands, and whether it is there. nil: none.
    func newest(_ batch: Batch, _ row: Int, _ hash: UInt64) -> (columns: [Column], row: Int, isPresent: Bool)? {
        find(batch, row, hash).map { (columns, Int($0), isPresent[Int($0)]) }
    }

    /// How many rows equal to this one were noted.
    func matchCount(_ batch: Batch, _ row: Int, _ hash: UInt64) -> Int {
        index.count(hash) { matches(batch, row, Int($0)) }
    }
}
