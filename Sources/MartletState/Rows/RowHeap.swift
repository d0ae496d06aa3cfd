internal import Glibc
internal import MartletColumns
package import MartletCore

/// Whole rows, kept until they are taken out: what joins and ordered partitions stand on. A row has a number (its
/// slot), a weight, and words of the owner's own. Rows never move; a slot that became free goes to a later row.
///
/// Rows lie row-wise (a header, then 8-byte words as in `KeyLayout`), so that reading a whole row costs one or two
/// cache misses. With an index, identical rows share a slot and a deletion finds its row in O(1); without, every
/// insertion is a row of its own. One thread at a time.
package final class RowHeap {
    package let types: [DataType]
    let layout: KeyLayout
    var store: RowStore
    var index: GroupIndex?
    var free: [UInt32] = []
    var texts = KeptTexts()
    /// Offset of the owner's words in a row.
    let metaOffset: Int
    private let metaWords: Int
    /// Words at which strings begin.
    let textWords: [Int]

    package init(_ types: [DataType], metaWords: Int, isIndexed: Bool) {
        self.types = types
        self.metaWords = metaWords
        layout = KeyLayout(types)
        textWords = layout.fields.filter { $0.physical == .view }.map(\.word)
        metaOffset = layout.bytes
        store = RowStore(rowBytes: layout.bytes + metaWords * 8)
        index = isIndexed ? GroupIndex() : nil
    }

    deinit {
        store.deallocate()
        index?.deallocate()
    }

    /// Rows that are there.
    package var count: Int { store.count - free.count }

    /// Bytes that are resident, about.
    package var memoryBytes: Int { store.memoryBytes + (index?.memoryBytes ?? 0) + texts.memoryBytes }

    @inline(__always)
    subscript(slot: UInt32) -> UnsafeMutableRawPointer { store[Int(slot)] }

    @inline(__always)
    func weight(_ slot: UInt32) -> UnsafeMutablePointer<Int64> { store[Int(slot)].assumingMemoryBound(to: Int64.self) }

    @inline(__always)
    func meta(_ slot: UInt32) -> UnsafeMutablePointer<UInt64> {
        (store[Int(slot)] + metaOffset).assumingMemoryBound(to: UInt64.self)
    }

    // MARK: - Putting in

    /// What became of the rows of a batch.
    struct Applied {
        var slots: [UInt32]
        /// The slot was made for this row.
        var isNew: [Bool]
        /// The slot's weight before this row was added: the same row may stand in a batch several times.
        var before: [Int64]
    }

    /// Adds each row's weight to its slot (nil: +1 each), making slots where needed; new slots' words are zero. A slot
    /// whose weight came to 0 stays until `remove`. `columns` as `types` has them. The row hashes are computed where
    /// there is an index.
    func apply(_ columns: [Column], count: Int, weights: Column?) -> Applied {
        var applied = Applied(slots: [], isNew: [], before: [])
        guard count > 0 else { return applied }
        applied.slots.reserveCapacity(count)
        applied.isNew.reserveCapacity(count)
        applied.before.reserveCapacity(count)
        let scratch = BlockScratch(keyWords: layout.words, rows: count)
        let hashes = index == nil ? [] : Hash.rows(columns, count: count)
        var start = 0
        while start < count {
            let block = min(BlockScratch.rows, count - start)
            let images = layout.images(columns, start, block, scratch)
            for at in 0..<block {
                let weight = weights?.int64s[start + at] ?? 1
                let words = images.words + at * layout.words
                let nulls = images.nulls?[at] ?? 0
                let hash = index == nil ? 0 : hashes[start + at]
                if let known = find(hash, words, nulls) {
                    applied.before.append(self.weight(known).pointee)
                    self.weight(known).pointee += weight
                    applied.slots.append(known)
                    applied.isNew.append(false)
                } else {
                    applied.slots.append(insert(hash, words, nulls, weight))
                    applied.isNew.append(true)
                    applied.before.append(0)
                }
            }
            start += block
        }
        withExtendedLifetime(columns) {}
        return applied
    }

    private func find(_ hash: UInt64, _ words: UnsafePointer<UInt64>, _ nulls: UInt16) -> UInt32? {
        guard let index else { return nil }
        let layout = layout
        let store = store
        let found = index.first(hash) { id in
            let row = store[id]
            guard row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) == nulls else { return false }
            return layout.areIdentical(words, (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self))
        }
        return found.map { UInt32(truncatingIfNeeded: $0) }
    }

    /// A new row of these words, in a slot of its own.
    func insert(_ hash: UInt64, _ words: UnsafePointer<UInt64>, _ nulls: UInt16, _ weight: Int64) -> UInt32 {
        let id: Int
        let row: UnsafeMutableRawPointer
        if let old = free.popLast() {
            id = Int(old)
            row = store[id]
        } else {
            id = store.count
            row = store.append()
        }
        row.storeBytes(of: weight, as: Int64.self)
        row.storeBytes(of: UInt32(truncatingIfNeeded: hash &>> 32), toByteOffset: KeyLayout.tag, as: UInt32.self)
        // With the flags behind them, which nobody uses here: no byte of a row is left as it was found.
        row.storeBytes(of: UInt32(nulls), toByteOffset: KeyLayout.nulls, as: UInt32.self)
        let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
        key.update(from: words, count: layout.words)
        texts.keep(row, id: id, textWords)
        memset(row + metaOffset, 0, metaWords * 8)
        index?.insert(hash, id: id)
        return UInt32(truncatingIfNeeded: id)
    }

    // MARK: - Taking out

    /// Frees a slot.
    func remove(_ slot: UInt32) {
        let row = store[Int(slot)]
        if index != nil {
            let hash = UInt64(row.load(fromByteOffset: KeyLayout.tag, as: UInt32.self)) &<< 32
            index?.remove(hash, id: Int(slot))
        }
        texts.release(row, textWords, of: store)
        free.append(slot)
    }

    // MARK: - Reading

    /// Column `column` of the rows in `slots`, in their order. Long strings are not copied.
    func gather(_ columns: Range<Int>, _ slots: [UInt32]) -> [Column] {
        let pointers = slots.map { store[Int($0)] }
        return pointers.withUnsafeBufferPointer { rows in
            columns.map { column in
                guard let base = rows.baseAddress else { return Column(types[column], capacity: 0) }
                return layout.column(column, of: base, count: rows.count, heaps: texts.heaps)
            }
        }
    }
}

extension KeyLayout {
    /// Whether two rows look the same, digits included: unlike `areEqualLoosely`, 1.0 is not 1.00.
    @inline(__always)
    func areIdentical(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>) -> Bool {
        for field in fields {
            if field.physical == .view {
                let a = StringView(head: left[field.word], tail: left[field.word + 1])
                if !(a == StringView(head: right[field.word], tail: right[field.word + 1])) { return false }
            } else {
                for word in field.word..<field.word + field.words where left[word] != right[word] { return false }
            }
        }
        if let nullWord {
            for word in nullWord..<words where left[word] != right[word] { return false }
        }
        return true
    }
}
