package import MartletColumns
package import MartletCore

/// Numbers the keys of a stream: key → 0, 1, 2 … in the order in which they first came. For operators that keep their
/// own state per key in arrays. One thread at a time. 2^32 keys at most.
package final class KeyIndex {
    let rows: KeyedRows

    package init(keys: [DataType]) { rows = KeyedRows(KeyLayout(keys)) }

    package var count: Int { rows.count }

    package var memoryBytes: Int { rows.memoryBytes }

    /// The numbers of the keys of rows `0 ..< count`, new keys included. `hashes` as of `Hash.rows(keys)`, if at hand.
    /// O(count).
    package func find(
        _ keys: [Column], hashes: UnsafePointer<UInt64>? = nil, count: Int, into ids: UnsafeMutablePointer<UInt32>
    ) {
        let layout = rows.layout
        let scratch = BlockScratch(keyWords: layout.words, rows: count)
        let own = hashes == nil ? Hash.rows(keys, count: count) : []
        var start = 0
        while start < count {
            let block = min(BlockScratch.rows, count - start)
            let images = layout.images(keys, start, block, scratch)
            own.withUnsafeBufferPointer { own in
                guard let hashes = hashes ?? own.baseAddress else { return }
                rows.find(images, hashes + start, count: block, into: scratch.targets, ids: ids + start)
            }
            start += block
        }
        withExtendedLifetime(keys) {}
    }

    /// The keys numbered `range`, column by column.
    package func keys(_ range: Range<Int>) -> [Column] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "keys outside of the index")
        let pointers = range.map { rows[$0] }
        return pointers.withUnsafeBufferPointer { pointers in
            rows.layout.fields.indices.map { key in
                guard let base = pointers.baseAddress else { return Column(rows.layout.fields[key].type, capacity: 0) }
                return rows.keyColumn(key, of: base, count: pointers.count)
            }
        }
    }

    package func clear() { rows.clear() }

    package func save(into writer: StateWriter) { rows.save(into: writer) }

    package func restore(from reader: StateReader) throws(StateError) { _ = try rows.restore(from: reader) }
}
