internal import CMartletVector

/// Finds a row's number by its key's hash: open addressing with linear probing over 8-byte slots.
///
/// A slot holds the upper 32 bits of the hash (the tag) and the row's number + 1; 0 is free. Position and segment come
/// from the tag alone, so that growing reads neither rows nor keys. Up to 2^17 slots there is one segment; beyond,
/// one for each of the 256 key groups, each growing by itself at its own fill, so that no growth moves more than about
/// 1/256 of the keys, and not all at once.
package struct GroupIndex {
    struct Segment {
        var slots: UnsafeMutablePointer<UInt64>
        var mask: Int
        var used: Int
        /// Grows beyond this many.
        var limit: Int
    }

    private(set) var segments: UnsafeMutablePointer<Segment>
    /// 0 or 255.
    private(set) var segmentMask = 0

    private static let slotsMin = 32
    private static let singleMax = 1 << 17
    private static let segmentCount = 256
    /// Bits 0–23 of the tag give the position (bits 24–31 the segment).
    private static let positionMask = (1 << 24) - 1

    package init() { self.init(reserving: 0) }

    /// With room for `count` keys.
    package init(reserving count: Int) {
        let isSingle = count <= GroupIndex.limit(GroupIndex.singleMax, number: 0)
        segmentMask = isSingle ? 0 : GroupIndex.segmentCount - 1
        segments = .allocate(capacity: segmentMask + 1)
        // Hashes fall evenly; six deviations cover what chance adds to a segment.
        let mean = count / GroupIndex.segmentCount
        let wanted = isSingle ? count : mean + 6 * Int(Double(mean).squareRoot())
        for number in 0...segmentMask {
            var slots = GroupIndex.slotsMin
            while GroupIndex.limit(slots, number: number) < wanted, slots <= GroupIndex.positionMask { slots *= 2 }
            (segments + number).initialize(to: GroupIndex.segment(slots, number: number))
        }
    }

    /// The owner calls this once, at its end.
    package func deallocate() {
        for number in 0...segmentMask { GroupIndex.release(segments[number]) }
        segments.deallocate()
    }

    private static func segment(_ slots: Int, number: Int) -> Segment {
        let memory = StateMemory.allocateIndex(slots * 8).assumingMemoryBound(to: UInt64.self)
        return Segment(slots: memory, mask: slots - 1, used: 0, limit: limit(slots, number: number))
    }

    /// Fills between 1/2 and 3/4, spread over the segments.
    private static func limit(_ slots: Int, number: Int) -> Int { slots / 2 + slots * ((number &* 149) & 255) / 1024 }

    private static func release(_ segment: Segment) { StateMemory.release(segment.slots, (segment.mask + 1) * 8) }

    @inline(__always)
    static func position(_ tag: UInt64, _ mask: Int) -> Int { Int(truncatingIfNeeded: tag) & mask & positionMask }

    /// The segment of a hash.
    @inline(__always)
    func segment(_ hash: UInt64) -> UnsafeMutablePointer<Segment> {
        segments + (Int(truncatingIfNeeded: hash &>> 56) & segmentMask)
    }

    /// Adds a row whose key is known to be absent, or may be there several times.
    package mutating func insert(_ hash: UInt64, id: Int) {
        let target = segment(hash)
        GroupIndex.place(target, (hash & 0xFFFF_FFFF_0000_0000) | UInt64(id + 1))
        if target.pointee.used > target.pointee.limit { grow(target) }
    }

    /// Adds rows as `insert` does; `tag`: the upper half of the hash of row `id`, nil where there is no row.
    package mutating func insert(_ ids: Range<Int>, tag: (Int) -> UInt32?) {
        var slots: [UInt64] = []
        slots.reserveCapacity(GroupIndex.passRows)
        var id = ids.lowerBound
        while id < ids.upperBound {
            // A few at a time, so that their misses overlap.
            while slots.count < GroupIndex.passRows, id < ids.upperBound {
                if let tag = tag(id) {
                    let slot = UInt64(tag) &<< 32 | UInt64(id &+ 1)
                    prefetch(slot)
                    slots.append(slot)
                }
                id &+= 1
            }
            for slot in slots { insert(slot, id: Int(truncatingIfNeeded: slot & 0xFFFF_FFFF) &- 1) }
            slots.removeAll(keepingCapacity: true)
        }
    }

    private static let passRows = 128

    /// Brings a hash's slots into the cache.
    @inline(__always)
    package func prefetch(_ hash: UInt64) {
        let segment = segment(hash)
        martlet_prefetch(segment.pointee.slots + GroupIndex.position(hash &>> 32, segment.pointee.mask))
    }

    private static func place(_ segment: UnsafeMutablePointer<Segment>, _ slot: UInt64) {
        let slots = segment.pointee.slots
        let mask = segment.pointee.mask
        var at = position(slot &>> 32, mask)
        while slots[at] != 0 { at = (at &+ 1) & mask }
        slots[at] = slot
        segment.pointee.used &+= 1
    }

    /// The first row with the hash's tag for which `isRight`; nil: none.
    @inline(__always)
    package func first(_ hash: UInt64, where isRight: (Int) -> Bool) -> Int? {
        let tag = hash &>> 32
        let segment = segment(hash)
        let slots = segment.pointee.slots
        let mask = segment.pointee.mask
        var position = GroupIndex.position(tag, mask)
        while slots[position] != 0 {
            if slots[position] &>> 32 == tag {
                let id = Int(truncatingIfNeeded: slots[position] & 0xFFFF_FFFF) &- 1
                if isRight(id) { return id }
            }
            position = (position &+ 1) & mask
        }
        return nil
    }

    /// Takes out the row numbered `id`, which is there under `hash`. Slots behind it move up where they may, so that
    /// no grave is left. O(length of the run).
    package mutating func remove(_ hash: UInt64, id: Int) {
        let segment = segment(hash)
        let slots = segment.pointee.slots
        let mask = segment.pointee.mask
        let wanted = (hash & 0xFFFF_FFFF_0000_0000) | UInt64(id + 1)
        var hole = GroupIndex.position(hash &>> 32, mask)
        while slots[hole] != wanted {
            precondition(slots[hole] != 0, "a row that is not in the index")
            hole = (hole &+ 1) & mask
        }
        var at = (hole &+ 1) & mask
        while slots[at] != 0 {
            let home = GroupIndex.position(slots[at] &>> 32, mask)
            // A slot may move up to any place from its home on.
            if (at &- home) & mask >= (at &- hole) & mask {
                slots[hole] = slots[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        slots[hole] = 0
        segment.pointee.used &-= 1
    }

    private mutating func grow(_ target: UnsafeMutablePointer<Segment>) {
        let old = target.pointee
        if segmentMask == 0, old.mask + 1 >= GroupIndex.singleMax {
            split(old)
            return
        }
        let wanted = (old.mask + 1) * 2
        // Past 2^24 slots positions repeat, and a segment only gets fuller (4 billion keys in all).
        guard wanted - 1 <= GroupIndex.positionMask else {
            precondition(old.used < old.mask, "more than 2^32 keys in one table")
            target.pointee.limit = old.mask - 1
            return
        }
        target.pointee = GroupIndex.segment(wanted, number: target - segments)
        for at in 0...old.mask where old.slots[at] != 0 { GroupIndex.place(target, old.slots[at]) }
        GroupIndex.release(old)
    }

    private mutating func split(_ old: Segment) {
        segments.deallocate()
        segments = .allocate(capacity: GroupIndex.segmentCount)
        segmentMask = GroupIndex.segmentCount - 1
        let size = (old.mask + 1) * 2 / GroupIndex.segmentCount
        for number in 0..<GroupIndex.segmentCount {
            (segments + number).initialize(to: GroupIndex.segment(size, number: number))
        }
        for at in 0...old.mask where old.slots[at] != 0 {
            let target = segment(old.slots[at])
            GroupIndex.place(target, old.slots[at])
            if target.pointee.used > target.pointee.limit { grow(target) }
        }
        GroupIndex.release(old)
    }

    /// Forgets all; a large index shrinks to the smallest.
    package mutating func clear() {
        if segmentMask == 0, segments.pointee.mask < 4096 {
            let only = segments.pointee
            only.slots.update(repeating: 0, count: only.mask + 1)
            segments.pointee.used = 0
            return
        }
        deallocate()
        self = GroupIndex()
    }

    package var memoryBytes: Int {
        (0...segmentMask).reduce(0) { $0 + (segments[$1].mask + 1) * 8 }
    }
}
