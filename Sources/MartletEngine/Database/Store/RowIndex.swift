internal import MartletState

/// Numbers of rows by the hash of what they are looked up by. Several rows may share a hash: the caller compares. One thread
/// at a time.
final class RowIndex {
    private var index = GroupIndex()
    private(set) var count = 0

    deinit { index.deallocate() }

    var memoryBytes: Int { index.memoryBytes }

    func insert(_ hash: UInt64, row: UInt32) {
        index.insert(hash, id: Int(row))
        count += 1
    }

    /// The first row of that hash, among those put in and not taken out, that `matches`.
    @inline(__always)
    func first(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        index.first(hash) { matches(UInt32(truncatingIfNeeded: $0)) }.map { UInt32(truncatingIfNeeded: $0) }
    }

    /// Brings what a search looks at first into the cache.
    @inline(__always)
    func prefetch(_ hash: UInt64) { index.prefetch(hash) }

    /// How many rows of that hash match.
    func count(_ hash: UInt64, where matches: (UInt32) -> Bool) -> Int {
        var found = 0
        _ = first(hash) { row in
            if matches(row) { found += 1 }
            return false
        }
        return found
    }

    /// Takes out a row that is there.
    func remove(_ hash: UInt64, row: UInt32) {
        index.remove(hash, id: Int(row))
        count -= 1
    }

    /// Makes room for so many rows, in an index without any.
    func reserve(_ rows: Int) {
        index.deallocate()
        index = GroupIndex(reserving: rows)
    }

    /// Puts in rows numbered from `first` on, by their hashes; nil: there is none.
    func insert(from first: Int, count: Int, _ hash: (Int) -> UInt64?) {
        index.insert(first..<first + count) { row in
            guard let hash = hash(row &- first) else { return nil }
            self.count &+= 1
            return UInt32(truncatingIfNeeded: hash &>> 32)
        }
    }

    func clear() {
        index.clear()
        count = 0
    }
}
