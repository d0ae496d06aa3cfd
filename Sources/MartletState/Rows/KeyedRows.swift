internal import CMartletVector
internal import Glibc
internal import MartletColumns
internal import MartletCore

/// Rows found by their key: what aggregates, and everything else with a state per key, stand on.
///
/// Rows are numbered in the order in which their keys first came, and are read in that order, so that hashes and
/// addresses never show. One thread writes; while nobody writes, any number may read.
final class KeyedRows {
    let layout: KeyLayout
    /// What a new row starts as.
    private let template: UnsafeMutableRawPointer
    var store: RowStore
    var index = GroupIndex()
    /// Long strings in keys.
    var texts = KeptTexts()
    /// Words at which strings begin.
    let textWords: [Int]
    /// Numbers of rows that were taken out, for reuse, the last first.
    var free: [UInt32] = []

    /// `template`: the bytes behind header and key.
    init(_ layout: KeyLayout, template rest: [UInt8] = []) {
        self.layout = layout
        textWords = layout.fields.filter { $0.physical == .view }.map(\.word)
        // A row that nearly fills cache lines gets whole ones, and never straddles.
        let used = (layout.bytes + rest.count + 7) & ~7
        let bytes = used % 64 == 56 ? used + 8 : used
        let template = StateMemory.allocate(bytes, zeroed: true)
        rest.withUnsafeBytes { if let base = $0.baseAddress { memcpy(template + layout.bytes, base, rest.count) } }
        self.template = template
        store = RowStore(rowBytes: bytes)
    }

    deinit {
        StateMemory.release(template, store.rowBytes)
        store.deallocate()
        index.deallocate()
    }

    /// Rows ever numbered, those taken out included.
    var count: Int { store.count }

    /// Rows that are there.
    var liveCount: Int { store.count - free.count }

    var memoryBytes: Int { store.memoryBytes + index.memoryBytes + texts.memoryBytes }

    @inline(__always)
    subscript(id: Int) -> UnsafeMutableRawPointer { store[id] }

    /// Forgets all rows.
    func clear() {
        store.clear(keptBytes: 1 << 16)
        index.clear()
        texts = KeptTexts()
        free = []
    }

    /// The weight of a row that was taken out.
    static let takenOut = Int64.min

    /// Takes a row out; its number goes to a later key. Pointers to it are void.
    func remove(_ row: UnsafeMutableRawPointer) {
        let hash = UInt64(row.load(fromByteOffset: KeyLayout.tag, as: UInt32.self)) &<< 32
        guard let id = index.first(hash, where: { store[$0] == row }) else {
            preconditionFailure("a row that is not in the table")
        }
        index.remove(hash, id: id)
        texts.release(row, textWords, of: store)
        row.storeBytes(of: KeyedRows.takenOut, as: Int64.self)
        free.append(UInt32(truncatingIfNeeded: id))
    }

    /// Copies the values behind header and key of a new row over those of `row`.
    func reset(_ row: UnsafeMutableRawPointer) {
        memcpy(row + layout.bytes, template + layout.bytes, store.rowBytes - layout.bytes)
        row.storeBytes(of: 0, toByteOffset: KeyLayout.flags, as: UInt16.self)
    }

    // MARK: - Find or insert

    /// The rows of `count` keys, made where they are new. `hashes[i]`: only the upper half counts.
    func find(
        _ images: KeyImages, _ hashes: UnsafePointer<UInt64>, count: Int,
        into targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, ids: UnsafeMutablePointer<UInt32>? = nil
    ) {
        switch layout.fields.count == 1 ? layout.fields[0].physical : nil {
        case .int64, .int32, .int16, .bool, .double, .float:
            find(OneWord.self, images, hashes, count, targets, ids)
        case .view where layout.fields[0].type != .jsonb && !layout.fields[0].type.isNested: find(OneText.self, images, hashes, count, targets, ids)
        default: find(AnyKey.self, images, hashes, count, targets, ids)
        }
    }

    /// Three passes over a few rows at a time, so that the misses of each overlap: ask for the slots, find rows whose
    /// hash fits and ask for them, compare keys. What the passes do not settle is looked up by itself, in order.
    private func find<Shape: KeyShape>(
        _: Shape.Type, _ images: KeyImages, _ hashes: UnsafePointer<UInt64>, _ count: Int,
        _ targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ ids: UnsafeMutablePointer<UInt32>?
    ) {
        var start = 0
        while start < count {
            let end = min(start &+ KeyedRows.passRows, count)
            if isCached {
                findCached(Shape.self, images, hashes, start, end, targets, ids)
            } else {
                for at in start..<end { prefetchSlot(hashes[at]) }
                guess(hashes, start, end, targets, ids)
                if Shape.hasBytes { prefetchBytes(start, end, targets) }
                settle(Shape.self, images, hashes, start, end, targets, ids)
            }
            start = end
        }
    }

    /// Whether rows and slots nearly fit into the first-level cache, so that one pass is the fastest.
    private var isCached: Bool {
        index.segmentMask == 0 && store.count &* store.rowBytes &+ index.segments.pointee.mask &* 8 < 1 << 17
    }

    /// One pass over a table of one segment.
    private func findCached<Shape: KeyShape>(
        _: Shape.Type, _ images: KeyImages, _ hashes: UnsafePointer<UInt64>, _ start: Int, _ end: Int,
        _ targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ ids: UnsafeMutablePointer<UInt32>?
    ) {
        let layout = layout
        let step = layout.words
        let nullBits = images.nulls
        var slots = index.segments.pointee.slots
        var mask = index.segments.pointee.mask
        var store = store
        for at in start..<end {
            let words = images.words + at &* step
            let nulls = nullBits == nil ? 0 : nullBits.unsafelyUnwrapped[at]
            let upper = hashes[at] & 0xFFFF_FFFF_0000_0000
            var position = GroupIndex.position(hashes[at] &>> 32, mask)
            while true {
                let slot = slots[position]
                // The row's number where the tags agree; 2^32 or more where they differ or the slot is free.
                let number = (slot ^ upper) &- 1
                if number < 0xFFFF_FFFF {
                    let id = Int(truncatingIfNeeded: number)
                    let row = store[id]
                    let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
                    if row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) == nulls,
                        Shape.areEqual(words, key, layout)
                    {
                        targets[at] = row
                        if let ids { ids[at] = UInt32(truncatingIfNeeded: id) }
                        break
                    }
                } else if slot == 0 {
                    let id = insert(hashes[at], words, nulls)
                    slots = index.segments.pointee.slots
                    mask = index.segments.pointee.mask
                    store = self.store
                    targets[at] = store[id]
                    if let ids { ids[at] = UInt32(truncatingIfNeeded: id) }
                    if index.segmentMask != 0 {
                        settleRest(Shape.self, images, hashes, at &+ 1, end, targets, ids)
                        return
                    }
                    break
                }
                position = (position &+ 1) & mask
            }
        }
    }

    /// What is left of a block in which the table was split.
    private func settleRest<Shape: KeyShape>(
        _: Shape.Type, _ images: KeyImages, _ hashes: UnsafePointer<UInt64>, _ start: Int, _ end: Int,
        _ targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ ids: UnsafeMutablePointer<UInt32>?
    ) {
        guess(hashes, start, end, targets, ids)
        settle(Shape.self, images, hashes, start, end, targets, ids)
    }

    /// Rows of a pass: what they need stays in the first-level cache.
    private static let passRows = 128

    @inline(__always)
    private func prefetchSlot(_ hash: UInt64) {
        let segment = index.segment(hash)
        martlet_prefetch(segment.pointee.slots + GroupIndex.position(hash &>> 32, segment.pointee.mask))
    }

    /// The first row whose hash has the same upper half: the right one nearly always. The template where there is none.
    private func guess(
        _ hashes: UnsafePointer<UInt64>, _ start: Int, _ end: Int,
        _ targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ ids: UnsafeMutablePointer<UInt32>?
    ) {
        let (index, store, template) = (index, store, template)
        for at in start..<end {
            let tag = hashes[at] &>> 32
            let segment = index.segment(hashes[at])
            let slots = segment.pointee.slots
            let mask = segment.pointee.mask
            var position = GroupIndex.position(tag, mask)
            var slot = slots[position]
            while slot &>> 32 != tag, slot != 0 {
                position = (position &+ 1) & mask
                slot = slots[position]
            }
            let id = Int(truncatingIfNeeded: slot & 0xFFFF_FFFF) &- 1
            let row = slot == 0 ? template : store[id]
            martlet_prefetch(row)
            targets[at] = row
            if let ids { ids[at] = UInt32(truncatingIfNeeded: id) }
        }
    }

    private func prefetchBytes(_ start: Int, _ end: Int, _ targets: UnsafePointer<UnsafeMutableRawPointer>) {
        for at in start..<end {
            // Of a short string this asks for some address, which does no harm.
            let key = (targets[at] + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
            martlet_prefetch(UnsafeRawPointer(bitPattern: UInt(key[1])))
        }
    }

    private func settle<Shape: KeyShape>(
        _: Shape.Type, _ images: KeyImages, _ hashes: UnsafePointer<UInt64>, _ start: Int, _ end: Int,
        _ targets: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ ids: UnsafeMutablePointer<UInt32>?
    ) {
        let layout = layout
        let step = layout.words
        let template = template
        for at in start..<end {
            let words = images.words + at &* step
            let nulls = images.nulls.map { $0[at] } ?? 0
            let row = targets[at]
            let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
            if row != template, row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) == nulls,
                Shape.areEqual(words, key, layout)
            {
                continue
            }
            let id = lookUp(Shape.self, words, nulls, hashes[at])
            targets[at] = store[id]
            if let ids { ids[at] = UInt32(truncatingIfNeeded: id) }
        }
    }

    /// The number of the key's row, made if it is new.
    @inline(never)
    private func lookUp<Shape: KeyShape>(
        _: Shape.Type, _ words: UnsafePointer<UInt64>, _ nulls: UInt16, _ hash: UInt64
    ) -> Int {
        let tag = hash &>> 32
        let segment = index.segment(hash)
        let slots = segment.pointee.slots
        let mask = segment.pointee.mask
        var position = GroupIndex.position(tag, mask)
        while slots[position] != 0 {
            if slots[position] &>> 32 == tag {
                let id = Int(truncatingIfNeeded: slots[position] & 0xFFFF_FFFF) &- 1
                let key = (store[id] + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
                if store[id].load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) == nulls,
                    Shape.areEqual(words, key, layout)
                {
                    return id
                }
            }
            position = (position &+ 1) & mask
        }
        return insert(hash, words, nulls)
    }

    /// Adds a row for a key that is absent.
    private func insert(_ hash: UInt64, _ words: UnsafePointer<UInt64>, _ nulls: UInt16) -> Int {
        let id: Int
        let row: UnsafeMutableRawPointer
        if let old = free.popLast() {
            id = Int(old)
            row = store[id]
        } else {
            id = store.count
            row = store.append()
        }
        memcpy(row, template, store.rowBytes)
        row.storeBytes(of: UInt32(truncatingIfNeeded: hash &>> 32), toByteOffset: KeyLayout.tag, as: UInt32.self)
        row.storeBytes(of: nulls, toByteOffset: KeyLayout.nulls, as: UInt16.self)
        (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self).update(from: words, count: layout.words)
        texts.keep(row, id: id, textWords)
        index.insert(hash, id: id)
        return id
    }

    // MARK: - Reading keys

    /// Key column `key` of the given rows. Long strings are not copied: the column keeps the table's bytes alive.
    func keyColumn(_ key: Int, of rows: UnsafePointer<UnsafeMutableRawPointer>, count: Int) -> Column {
        layout.column(key, of: rows, count: count, heaps: texts.heaps)
    }
}

/// How keys compare, so that the search loop is compiled for each of the hot shapes.
private protocol KeyShape {
    /// Whether keys may have bytes outside of the row.
    static var hasBytes: Bool { get }
    static func areEqual(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>, _ layout: KeyLayout) -> Bool
}

private enum OneWord: KeyShape {
    static var hasBytes: Bool { false }
    @inline(__always)
    static func areEqual(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>, _ layout: KeyLayout) -> Bool {
        left[0] == right[0]
    }
}

private enum OneText: KeyShape {
    static var hasBytes: Bool { true }
    @inline(__always)
    static func areEqual(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>, _ layout: KeyLayout) -> Bool {
        if left[0] != right[0] { return false }
        let length = Int(truncatingIfNeeded: left[0] & 0xFFFF_FFFF)
        // All ones where the bytes are inline; the compiler makes a branch of `?:`.
        let mask = (length &- StringView.inlineCapacity &- 1) &>> 63
        // Up to 16 bytes are two words, chosen without a branch on where they are, as in `Hash`.
        let a = start(left, mask)
        let b = start(right, mask)
        if length <= 16 {
            let last = (4 & mask) | ((length &- 8) & ~mask)
            let first = a.loadUnaligned(as: UInt64.self) ^ b.loadUnaligned(as: UInt64.self)
            let second = a.loadUnaligned(fromByteOffset: last, as: UInt64.self)
                ^ b.loadUnaligned(fromByteOffset: last, as: UInt64.self)
            return first | second == 0
        }
        return memcmp(a, b, length) == 0
    }

    @inline(__always)
    private static func start(_ words: UnsafePointer<UInt64>, _ mask: Int) -> UnsafeRawPointer {
        let inline = Int(bitPattern: words) &+ 4
        let outside = Int(truncatingIfNeeded: words[1])
        return UnsafeRawPointer(bitPattern: (inline & mask) | (outside & ~mask)).unsafelyUnwrapped
    }
}

private enum AnyKey: KeyShape {
    static var hasBytes: Bool { false }
    @inline(__always)
    static func areEqual(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>, _ layout: KeyLayout) -> Bool {
        for word in 0..<layout.words where left[word] != right[word] { return layout.areEqualLoosely(left, right) }
        return true
    }
}
