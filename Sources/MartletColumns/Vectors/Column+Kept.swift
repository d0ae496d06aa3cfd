internal import CMartletPager
internal import MartletCore

extension Column {
    /// Copies of full columns, of which all bytes, long strings included, lie together in one heap of kept bytes, so that they
    /// go out of memory, and come back, together.
    package static func kept(_ columns: [Column]) -> [Column] {
        let heap = ByteHeap(kept: columns.reduce(0) { $0 + $1.keptBytes })
        return columns.map { column in
            let copy = Column(column, in: heap) { bytes in
                defer { heap.used += aligned(bytes) }
                return heap.base + heap.used
            }
            if copy.physical == .view { copy.takeTexts(into: heap) }
            return copy
        }
    }

    private static func aligned(_ bytes: Int) -> Int { (bytes + 63) & ~63 }

    /// What a copy takes in a heap: values, validity, scales, long strings.
    private var keptBytes: Int {
        var bytes = Column.aligned(count * physical.stride)
        if validity != nil { bytes += Column.aligned(count) }
        if scales != nil { bytes += Column.aligned(count) }
        guard physical == .view else { return bytes }
        var texts = 0
        for row in 0..<count where !views[row].isInline { texts += views[row].count }
        return bytes + Column.aligned(texts)
    }

    private func takeTexts(into heap: ByteHeap) {
        let views = views
        heaps = [heap]
        for row in 0..<count where !views[row].isInline {
            guard let at = heap.append(UnsafePointer(views[row].pointer), count: views[row].count) else {
                preconditionFailure("a heap too small for what it was made for")
            }
            views[row] = StringView(at, count: views[row].count)
        }
        heap.used = Column.aligned(heap.used)
    }
}
