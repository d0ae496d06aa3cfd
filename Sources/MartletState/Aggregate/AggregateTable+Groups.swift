package import MartletColumns
internal import MartletCore

/// Groups one by one, for owners who give them names of their own. Not for tables that tell changes.
extension AggregateTable {
    /// The numbers of the groups with the keys of rows `0 ..< count`, made where they are new.
    package func groups(_ keys: [Column], count: Int) -> [Int] { rows.numbers(keys, count: count).map { Int($0) } }

    /// The keys of the groups that are there, of a table with one key of type BIGINT.
    package var liveKeys: [Int64] {
        (0..<rows.count).filter { rows.isLive($0) }.map { rows[$0].load(fromByteOffset: KeyLayout.keys, as: Int64.self) }
    }

    /// Adds what group `gone` has to group `kept`.
    package func join(_ gone: Int, to kept: Int) { join(gone, of: self, to: kept) }

    /// Adds what a group of another table, of the same layout, has to group `kept`.
    package func join(_ gone: Int, of other: AggregateTable, to kept: Int) {
        let (source, target) = (other.rows[gone], rows[kept])
        target.assumingMemoryBound(to: Int64.self).pointee &+= source.load(as: Int64.self)
        for accumulator in layout.accumulators { merge(accumulator, target, accumulator, source) }
    }

    /// Takes groups out; their numbers go to later ones.
    package func remove(_ groups: [Int]) {
        precondition(layout.mark == nil, "a table that tells changes forgets groups by itself")
        for group in groups {
            releaseTexts(of: rows[group])
            releaseObjects(of: rows[group])
            // What it owned is named no longer.
            rows.reset(rows[group])
            rows.remove(rows[group])
        }
    }
}
