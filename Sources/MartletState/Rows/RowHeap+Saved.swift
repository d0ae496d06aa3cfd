internal import MartletColumns

extension RowHeap {
    func save(into writer: StateWriter) {
        writer.write(layout, rowBytes: store.rowBytes)
        SavedRows.save(store, RowShape(views: layout.viewOffsets), into: writer)
        writer.write(free)
    }

    /// Slots and the order of reuse stay as they were. The owner's words are as they were written, for the owner to judge. The
    /// answer: which slots are there.
    func restore(from reader: StateReader) throws(StateError) -> [Bool] {
        precondition(store.count == 0, "a heap that has rows")
        try reader.expect(layout, rowBytes: store.rowBytes)
        let restored = try SavedRows.restore(into: &store, RowShape(views: layout.viewOffsets), from: reader)
        for (heap, rows) in restored.heaps { texts.adopt(heap, rows: rows) }
        let isFree: [Bool]
        (free, isFree) = try reader.readFree(of: store.count)
        if index != nil {
            reader.later { [self] in
                index?.deallocate()
                var made = GroupIndex(reserving: count)
                made.insert(0..<store.count) { id in isFree[id] ? nil : store[id].load(fromByteOffset: KeyLayout.tag, as: UInt32.self) }
                index = made
            }
        }
        return isFree.map { !$0 }
    }
}

extension RowGroups {
    /// Makes sure, once keys and rows are restored, that every row that is there stands in its key's chain, and that chains
    /// have no ends but theirs: whoever walks them relies on it. O(rows).
    func check(isLive: [Bool], _ reader: StateReader) throws(StateError) {
        var linked = 0
        for slot in isLive.indices where isLive[slot] {
            linked += 1
            let meta = rows.meta(UInt32(slot))
            let key = Int(meta[1] & 0xFFFF_FFFF)
            guard keys.isLive(key) else { throw reader.error("row \(slot) has no key") }
            let (next, previous) = (Int(meta[0] & 0xFFFF_FFFF), Int(meta[0] &>> 32))
            // With every link answered by its opposite, no chain can run into itself.
            if next != 0 {
                guard next <= isLive.count, isLive[next - 1], rows.meta(UInt32(next - 1))[0] &>> 32 == UInt64(slot + 1),
                    rows.meta(UInt32(next - 1))[1] & 0xFFFF_FFFF == UInt64(key)
                else { throw reader.error("row \(slot) is followed by one that does not follow it") }
            }
            if previous == 0 {
                guard head(keys[key]) == UInt32(slot + 1) else { throw reader.error("row \(slot) is in no chain") }
            } else {
                guard previous <= isLive.count, isLive[previous - 1],
                    rows.meta(UInt32(previous - 1))[0] & 0xFFFF_FFFF == UInt64(slot + 1)
                else { throw reader.error("row \(slot) follows one that it does not follow") }
            }
        }
        for id in 0..<keys.count where keys.isLive(id) {
            let head = Int(head(keys[id]))
            if head == 0 { continue }
            guard head <= isLive.count, isLive[head - 1], rows.meta(UInt32(head - 1))[0] &>> 32 == 0, key(of: UInt32(head - 1)) == id
            else { throw reader.error("key \(id) has a chain that is not its own") }
        }
    }
}
