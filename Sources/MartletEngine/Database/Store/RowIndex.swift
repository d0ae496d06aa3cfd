/// Numbers of rows by the hash of what they are looked up by. Several rows may share a hash: the caller compares.
///
/// Open addressing with linear probing over 8-byte slots: upper half the hash's tag, lower half the row's number + 1; 0 is free.
/// Taking out moves followers back, so that there are no tombstones. One thread at a time.
final class RowIndex {
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask: Int
    private(set) var count = 0

    init() {
        mask = 63
        slots = RowIndex.allocate(64)
    }

    deinit { slots.deallocate() }

    var memoryBytes: Int { (mask + 1) * 8 }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<UInt64> {
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        slots.initialize(repeating: 0, count: count)
        return slots
    }

    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt64 { hash &>> 32 }

    @inline(__always)
    private func home(_ tag: UInt64) -> Int { Int(truncatingIfNeeded: tag) & mask }

    func insert(_ hash: UInt64, row: UInt32) {
        if (count + 1) * 10 > (mask + 1) * 7 { grow() }
        place(RowIndex.tag(hash) &<< 32 | UInt64(row) &+ 1)
        count += 1
    }

    private func place(_ slot: UInt64) {
        var at = home(slot &>> 32)
        while slots[at] != 0 { at = (at &+ 1) & mask }
        slots[at] = slot
    }

    private func grow() {
        let (old, size) = (slots, mask + 1)
        slots = RowIndex.allocate(size * 2)
        mask = size * 2 - 1
        for at in 0..<size where old[at] != 0 { place(old[at]) }
        old.deallocate()
    }

    /// The first row of that hash, among those put in and not taken out, that `matches`.
    @inline(__always)
    func first(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        let tag = RowIndex.tag(hash)
        var at = home(tag)
        while slots[at] != 0 {
            if slots[at] &>> 32 == tag {
                let row = UInt32(truncatingIfNeeded: slots[at] &- 1)
                if matches(row) { return row }
            }
            at = (at &+ 1) & mask
        }
        return nil
    }

    /// Takes out a row that is there.
    func remove(_ hash: UInt64, row: UInt32) {
        let wanted = RowIndex.tag(hash) &<< 32 | UInt64(row) &+ 1
        var at = home(wanted &>> 32)
        while slots[at] != wanted {
            precondition(slots[at] != 0, "a row that is not in the index")
            at = (at &+ 1) & mask
        }
        // Followers whose way from home leads over the gap move into it.
        var gap = at
        var next = (gap &+ 1) & mask
        while slots[next] != 0 {
            let distance = (next &- home(slots[next] &>> 32)) & mask
            if distance >= (next &- gap) & mask {
                slots[gap] = slots[next]
                gap = next
            }
            next = (next &+ 1) & mask
        }
        slots[gap] = 0
        count -= 1
    }

    func clear() {
        slots.deallocate()
        mask = 63
        slots = RowIndex.allocate(64)
        count = 0
    }
}

extension RowIndex {
    /// How many rows of that hash match.
    func count(_ hash: UInt64, where matches: (UInt32) -> Bool) -> Int {
        var found = 0
        _ = first(hash) { row in
            if matches(row) { found += 1 }
            return false
        }
        return found
    }
}
