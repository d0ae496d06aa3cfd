internal import MartletColumns
internal import MartletCore

/// The rows of each key as a chain through a heap: put in and taken out in O(1), walked in O(rows of the key), the
/// latest first. The key's row in `keys` holds the head of the chain, so that one search serves to put in and to probe.
///
/// Words of the heap's rows: word 0 is next (low half) and previous (high half), as slot + 1, 0 for none; the low half of
/// word 1 is the number of the key's row; the high half, and further words, are the owner's.
struct RowGroups {
    let keys: KeyedRows
    let rows: RowHeap
    /// Of the head in the key's row: 4 bytes.
    private let headOffset: Int

    static let metaWords = 2
    /// Bytes behind a key that two chains take.
    static let headBytes = 8

    init(keys: KeyedRows, rows: RowHeap, chain: Int) {
        self.keys = keys
        self.rows = rows
        headOffset = keys.layout.bytes + chain * 4
    }

    /// The first slot of a key's chain, plus 1; 0: none.
    @inline(__always)
    func head(_ key: UnsafeMutableRawPointer) -> UInt32 { key.load(fromByteOffset: headOffset, as: UInt32.self) }

    /// What follows `slot`, plus 1; 0: nothing.
    @inline(__always)
    func next(_ slot: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: rows.meta(slot)[0]) }

    /// The number of the key's row.
    func key(of slot: UInt32) -> Int { Int(truncatingIfNeeded: rows.meta(slot)[1] & 0xFFFF_FFFF) }

    /// Puts a new slot at the head of its key's chain.
    @inline(__always)
    func link(_ slot: UInt32, key id: UInt32) {
        let key = keys[Int(id)]
        let first = head(key)
        let meta = rows.meta(slot)
        meta[0] = UInt64(first)
        meta[1] = (meta[1] & 0xFFFF_FFFF_0000_0000) | UInt64(id)
        if first != 0 {
            let second = rows.meta(first - 1)
            second[0] = (second[0] & 0xFFFF_FFFF) | UInt64(slot + 1) &<< 32
        }
        key.storeBytes(of: slot + 1, toByteOffset: headOffset, as: UInt32.self)
    }

    /// Takes a slot out of its chain and frees it; the key goes with its last row of all chains.
    func remove(_ slot: UInt32) {
        let meta = rows.meta(slot)
        let next = UInt32(truncatingIfNeeded: meta[0])
        let previous = UInt32(truncatingIfNeeded: meta[0] &>> 32)
        let key = keys[self.key(of: slot)]
        if previous == 0 {
            key.storeBytes(of: next, toByteOffset: headOffset, as: UInt32.self)
        } else {
            let before = rows.meta(previous - 1)
            before[0] = (before[0] & 0xFFFF_FFFF_0000_0000) | UInt64(next)
        }
        if next != 0 {
            let after = rows.meta(next - 1)
            after[0] = (after[0] & 0xFFFF_FFFF) | UInt64(previous) &<< 32
        }
        rows.remove(slot)
        let heads = key.loadUnaligned(fromByteOffset: keys.layout.bytes, as: UInt64.self)
        if heads == 0 { keys.remove(key) }
    }

    /// A key that was searched for and got no row: takes it out again. Does nothing where it is gone already.
    func removeIfUnused(_ id: UInt32) {
        let key = keys[Int(id)]
        let heads = key.loadUnaligned(fromByteOffset: keys.layout.bytes, as: UInt64.self)
        if heads == 0, key.load(as: Int64.self) != KeyedRows.takenOut { keys.remove(key) }
    }
}

extension KeyedRows {
    /// The numbers of keys as they are, `JoinTable.noKey` for those that are not there.
    func known(_ columns: [Column], _ hashes: [UInt64]) -> [UInt32] {
        var ids = [UInt32](repeating: JoinTable.noKey, count: hashes.count)
        guard liveCount > 0, !hashes.isEmpty else { return ids }
        let (layout, store, index) = (layout, store, index)
        let scratch = BlockScratch(keyWords: layout.words, rows: hashes.count)
        var start = 0
        while start < hashes.count {
            let block = min(BlockScratch.rows, hashes.count - start)
            let images = layout.images(columns, start, block, scratch)
            for at in 0..<block {
                let words = images.words + at * layout.words
                let nulls = images.nulls?[at] ?? 0
                let found = index.first(hashes[start + at]) { id in
                    let row = store[id]
                    guard row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) == nulls else { return false }
                    let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
                    for word in 0..<layout.words where words[word] != key[word] { return layout.areEqualLoosely(words, key) }
                    return true
                }
                if let found { ids[start + at] = UInt32(truncatingIfNeeded: found) }
            }
            start += block
        }
        withExtendedLifetime(columns) {}
        return ids
    }

    /// The numbers of the keys of rows `0 ..< count`, made where they are new.
    func numbers(_ columns: [Column], count: Int) -> [UInt32] {
        guard count > 0 else { return [] }
        return [UInt32](unsafeUninitializedCapacity: count) { ids, initialised in
            let hashes = Hash.rows(columns, count: count)
            let scratch = BlockScratch(keyWords: layout.words, rows: count)
            var start = 0
            while start < count {
                let block = min(BlockScratch.rows, count - start)
                let images = layout.images(columns, start, block, scratch)
                hashes.withUnsafeBufferPointer {
                    guard let hashes = $0.baseAddress, let ids = ids.baseAddress else { return }
                    find(images, hashes + start, count: block, into: scratch.targets, ids: ids + start)
                }
                start += block
            }
            initialised = count
            withExtendedLifetime(columns) {}
        }
    }
}
