internal import MartletColumns

extension KeyedRows {
    /// `rest`: what behind header and key is no plain number.
    func save(_ rest: RowShape = RowShape(), into writer: StateWriter) {
        writer.write(layout, rowBytes: store.rowBytes)
        SavedRows.save(store, shape(rest), into: writer)
        writer.write(free)
    }

    /// Numbers and the order of reuse stay as they were; the index is made again from the rows' hashes (`StateReader.later`). The answer: words
    /// that refer to objects, which are 0 now. When it throws, what the rows own is theirs.
    func restore(_ rest: RowShape = RowShape(), from reader: StateReader) throws(StateError) -> [(row: Int, reference: Int)] {
        clear()
        try reader.expect(layout, rowBytes: store.rowBytes)
        let restored = try SavedRows.restore(into: &store, shape(rest), from: reader)
        for (heap, rows) in restored.heaps { texts.adopt(heap, rows: rows) }
        let isFree: [Bool]
        (free, isFree) = try reader.readFree(of: store.count)
        for id in 0..<store.count where isFree[id] != (store[id].load(as: Int64.self) == KeyedRows.takenOut) {
            throw reader.error("row \(id) is both there and free")
        }
        reader.later { [self] in
            index.deallocate()
            index = GroupIndex(reserving: liveCount)
            index.insert(0..<store.count) { id in isFree[id] ? nil : store[id].load(fromByteOffset: KeyLayout.tag, as: UInt32.self) }
        }
        return restored.references
    }

    /// Whether a row of the number is there.
    func isLive(_ id: Int) -> Bool { id < store.count && store[id].load(as: Int64.self) != KeyedRows.takenOut }

    private func shape(_ rest: RowShape) -> RowShape {
        var shape = rest
        shape.views += layout.viewOffsets
        return shape
    }
}
