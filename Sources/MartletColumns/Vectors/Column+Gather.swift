internal import Glibc
package import MartletCore

/// Moving rows between columns. O(rows moved); bytes of long strings stay where they are unless `detached`.
extension Column {
    /// The rows named by `selection`, in its order.
    package func gather(_ selection: Selection) -> Column {
        gather(selection.indexes, count: selection.count)
    }

    package func gather(_ rows: UnsafePointer<Int32>, count: Int) -> Column {
        let result = Column(type, capacity: count)
        result.gatherIn(self, rows, count)
        return result
    }

    /// Rows `start ..< start + count`, copied.
    package func slice(_ start: Int, _ count: Int) -> Column {
        precondition(start >= 0 && count >= 0 && start + count <= self.count, "slice outside of the column")
        let result = Column(type, capacity: count)
        result.append(rowsOf: self, from: start, count: count)
        return result
    }

    /// A copy that keeps no foreign heap alive: long strings are copied.
    package func detached() -> Column {
        let result = Column(type, capacity: count)
        result.append(rowsOf: self, from: 0, count: count, detached: true)
        return result
    }

    /// Appends rows `start ..< start + count` of a column of the same physical type. `detached` copies long strings, so
    /// that the other column's heaps are not kept alive.
    package func append(rowsOf other: Column, from start: Int, count added: Int, detached: Bool = false) {
        precondition(other.physical == physical && start >= 0 && start + added <= other.count, "rows that do not fit")
        guard added > 0 else { return }
        reserve(count + added)
        let stride = physical.stride
        memcpy(data + count * stride, other.data + start * stride, added * stride)
        if let scales, let theirs = other.scales { memcpy(scales + count, theirs + start, added) }
        appendValidity(added) { other.validity.map { $0 + start } }
        finishAppend(of: other, added: added, detached: detached)
    }

    /// Appends the rows of `other` that `rows` names.
    package func append(rowsOf other: Column, _ rows: Selection, detached: Bool = false) {
        precondition(other.physical == physical, "columns of different types")
        guard rows.count > 0 else { return }
        let picked = other.gather(rows)
        append(rowsOf: picked, from: 0, count: picked.count, detached: detached)
    }

    private func appendValidity(_ added: Int, _ theirs: () -> UnsafeMutablePointer<UInt8>?) {
        if let theirs = theirs() {
            memcpy(mutableValidity() + count, theirs, added)
        } else if validity != nil {
            memset(mutableValidity() + count, 1, added)
        }
    }

    private func finishAppend(of other: Column, added: Int, detached: Bool) {
        let first = count
        count += added
        guard physical == .view else { return }
        guard detached else {
            keepAlive(other.heaps)
            return
        }
        let views = views
        for row in first..<count where !views[row].isInline {
            views[row] = store(UnsafeBufferPointer(start: views[row].pointer, count: views[row].count))
        }
    }

    /// Adds heaps that are not held yet (only the latest ones are compared, so that this stays O(1) per heap).
    package func keepAlive(_ more: [ByteHeap]) {
        if heaps.isEmpty {
            heaps = more
            return
        }
        for heap in more where !heaps.suffix(16).contains(where: { $0 === heap }) { heaps.append(heap) }
    }

    private func gatherIn(_ source: Column, _ rows: UnsafePointer<Int32>, _ count: Int) {
        self.count = count
        switch physical.stride {
        case 1: pick(source.bools, rows, count, into: bools)
        case 2: pick(source.int16s, rows, count, into: int16s)
        case 4: pick(source.int32s, rows, count, into: int32s)
        case 8: pick(source.int64s, rows, count, into: int64s)
        default: pick(source.views, rows, count, into: views)
        }
        if let scales, let theirs = source.scales { pick(theirs, rows, count, into: scales) }
        if physical == .view { heaps = source.heaps }
        guard let theirs = source.validity else { return }
        var all: UInt8 = 1
        for at in 0..<count { all &= theirs[Int(rows[at])] }
        if all == 0 { pick(theirs, rows, count, into: mutableValidity()) }
    }

    /// Writes the rows of `part` to the rows of this column that `rows` names (all below `count`).
    func scatter(_ part: Column, to rows: UnsafePointer<Int32>) {
        let added = part.count
        switch physical.stride {
        case 1: place(part.bools, rows, added, into: bools)
        case 2: place(part.int16s, rows, added, into: int16s)
        case 4: place(part.int32s, rows, added, into: int32s)
        case 8: place(part.int64s, rows, added, into: int64s)
        default: place(part.views, rows, added, into: views)
        }
        if let scales, let theirs = part.scales { place(theirs, rows, added, into: scales) }
        if physical == .view { keepAlive(part.heaps) }
        if let theirs = part.validity {
            place(theirs, rows, added, into: mutableValidity())
        } else if validity != nil {
            let mine = mutableValidity()
            for at in 0..<added { mine[Int(rows[at])] = 1 }
        }
    }

    /// `count` NULL rows.
    package static func nulls(_ type: DataType, count: Int) -> Column {
        let column = Column(type, capacity: count)
        column.count = count
        memset(column.data, 0, count * column.physical.stride)
        memset(column.mutableValidity(), 0, count)
        if let scales = column.scales { memset(scales, 0, count) }
        return column
    }

    /// Zeroes the values of NULL rows, as every column promises.
    func zeroNulls() {
        guard let validity else { return }
        switch physical.stride {
        case 1: mask(bools, validity, count) { UInt8(truncatingIfNeeded: $0) }
        case 2: mask(values(UInt16.self), validity, count) { UInt16(truncatingIfNeeded: $0) }
        case 4: mask(values(UInt32.self), validity, count) { UInt32(truncatingIfNeeded: $0) }
        case 8: mask(values(UInt64.self), validity, count) { $0 }
        default:
            let words = values(SIMD2<UInt64>.self)
            for row in 0..<count where validity[row] == 0 { words[row] = .zero }
        }
        if let scales { for row in 0..<count { scales[row] &= 0 &- validity[row] } }
    }

    /// NULL where either is NULL; called on a result before its values are final.
    func takeValidity(of other: Column) {
        guard let theirs = other.validity else { return }
        let hadNone = validity == nil
        let mine = mutableValidity()
        if hadNone {
            memcpy(mine, theirs, count)
        } else {
            for row in 0..<count { mine[row] &= theirs[row] }
        }
    }
}

@inline(__always)
private func pick<Element: BitwiseCopyable>(
    _ source: UnsafePointer<Element>, _ rows: UnsafePointer<Int32>, _ count: Int,
    into target: UnsafeMutablePointer<Element>
) {
    for at in 0..<count { target[at] = source[Int(rows[at])] }
}

@inline(__always)
private func place<Element: BitwiseCopyable>(
    _ source: UnsafePointer<Element>, _ rows: UnsafePointer<Int32>, _ count: Int,
    into target: UnsafeMutablePointer<Element>
) {
    for at in 0..<count { target[Int(rows[at])] = source[at] }
}

@inline(__always)
private func mask<Element: FixedWidthInteger & BitwiseCopyable>(
    _ values: UnsafeMutablePointer<Element>, _ validity: UnsafePointer<UInt8>, _ count: Int,
    _ widen: (UInt64) -> Element
) {
    for row in 0..<count { values[row] &= 0 &- widen(UInt64(validity[row])) }
}
