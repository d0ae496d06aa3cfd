internal import MartletColumns

/// The strings of a table's rows that are too long for the rows: in blocks, each of which knows the rows whose strings it took.
///
/// What goes is counted by block. A block of which more than half is gone is emptied into the one that is filled, and let go: a
/// removal moves a block's strings at the most, and over time no more bytes than have gone. Bytes are never overwritten: columns
/// that were given out point into them, and keep their block.
struct KeptTexts {
    /// By address.
    private(set) var heaps: [ByteHeap] = []
    private var contents: [Contents] = []
    /// The block that is filled; -1: none is.
    private var open = -1
    /// Blocks to be emptied.
    private var due: [ByteHeap] = []
    private var heapBytes = 0
    private var ownerCount = 0

    private struct Contents {
        /// Those that had strings here; who of them still has is told by the addresses in the rows.
        var rows: [UInt32] = []
        var restored = 0..<0
        var goneBytes = 0
    }

    private static let blockBytesMin = 4096
    private static let blockBytesMax = 1 << 20

    /// Bytes allocated.
    var memoryBytes: Int { heapBytes + ownerCount * 4 }

    // MARK: - Putting in

    /// Copies the long strings of a row, so that they are the table's. `words`: those of its key at which strings begin.
    @inline(__always)
    mutating func keep(_ row: UnsafeMutableRawPointer, id: Int, _ words: [Int]) {
        let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
        for word in words {
            let view = StringView(head: key[word], tail: key[word + 1])
            if !view.isInline { key[word + 1] = keep(view, row: id) }
        }
    }

    /// Copies a string that is not inline; the answer is its second word in row `row`.
    @inline(__always)
    private mutating func keep(_ view: StringView, row: Int) -> UInt64 {
        if open >= 0, let at = heaps[open].append(view.pointer, count: view.count) {
            note(row)
            return UInt64(UInt(bitPattern: at))
        }
        return keepInNew(view, row: row)
    }

    private mutating func keepInNew(_ view: StringView, row: Int) -> UInt64 {
        if open >= 0, isMostlyGone(open) { due.append(heaps[open]) }
        let wanted = min(max(heapBytes, KeptTexts.blockBytesMin), KeptTexts.blockBytesMax)
        let heap = ByteHeap(kept: max(view.count, wanted))
        open = insert(heap, Contents())
        guard let at = heap.append(view.pointer, count: view.count) else { preconditionFailure("a new block is too small") }
        note(row)
        return UInt64(UInt(bitPattern: at))
    }

    private mutating func note(_ row: Int) {
        let row = UInt32(truncatingIfNeeded: row)
        if contents[open].rows.last == row { return }
        contents[open].rows.append(row)
        ownerCount += 1
    }

    /// Takes over a full block, whose strings are those of some rows.
    mutating func adopt(_ heap: ByteHeap, rows: Range<Int>) {
        let place = insert(heap, Contents(restored: rows))
        if open >= place { open += 1 }
    }

    private mutating func insert(_ heap: ByteHeap, _ content: Contents) -> Int {
        let place = heaps.isEmpty ? 0 : self.place(heap.base) + 1
        heaps.insert(heap, at: place)
        contents.insert(content, at: place)
        heapBytes += heap.capacity
        return place
    }

    /// The last block that does not begin behind an address; -1: all do.
    private func place(_ address: UnsafePointer<UInt8>) -> Int {
        var (low, high) = (0, heaps.count)
        while low < high {
            let middle = (low + high) / 2
            if UnsafePointer(heaps[middle].base) <= address { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    // MARK: - Taking out

    /// Lets go of the strings of a row, which has none then, and empties the blocks of which most is gone by now.
    @inline(__always)
    mutating func release(_ row: UnsafeMutableRawPointer, _ words: [Int], of store: RowStore) {
        let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
        for word in words {
            let view = StringView(head: key[word], tail: key[word + 1])
            key[word] = 0
            if !view.isInline { release(view) }
        }
        while let heap = due.popLast() { empty(heap, store, words) }
    }

    private mutating func release(_ view: StringView) {
        let place = place(view.pointer)
        let wasMostlyGone = isMostlyGone(place)
        contents[place].goneBytes += view.count
        if place != open, !wasMostlyGone, isMostlyGone(place) { due.append(heaps[place]) }
    }

    private func isMostlyGone(_ place: Int) -> Bool { contents[place].goneBytes * 2 > heaps[place].capacity }

    private mutating func empty(_ heap: ByteHeap, _ store: RowStore, _ words: [Int]) {
        let place = place(heap.base)
        let content = contents.remove(at: place)
        heaps.remove(at: place)
        if open > place { open -= 1 }
        heapBytes -= heap.capacity
        ownerCount -= content.rows.count
        // The strings are still read from the block.
        withExtendedLifetime(heap) {
            guard content.goneBytes < heap.used else { return }
            for row in content.rows { move(Int(row), from: heap, store, words) }
            for row in content.restored { move(row, from: heap, store, words) }
        }
    }

    private mutating func move(_ id: Int, from heap: ByteHeap, _ store: RowStore, _ words: [Int]) {
        let key = (store[id] + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
        for word in words {
            let view = StringView(head: key[word], tail: key[word + 1])
            if view.isInline || view.pointer < heap.base || view.pointer >= heap.base + heap.capacity { continue }
            key[word + 1] = keep(view, row: id)
        }
    }
}
