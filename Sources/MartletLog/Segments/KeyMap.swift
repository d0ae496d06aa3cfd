/// The latest offset of each key, for compaction: open addressing over 24-byte slots in memory of its own, within a bound.
///
/// Keys are known by 128 bits of SipHash under a secret that is drawn per run, so that nobody can make two keys meet; by
/// chance they do once in 2⁶⁴ keys or so, far rarer than a disk errs. For one thread.
final class KeyMap {
    private struct Slot {
        var high: UInt64
        var low: UInt64
        /// −1: free.
        var offset: Int64
    }

    private var slots: UnsafeMutablePointer<Slot>
    private var capacity = 1 << 10
    private let capacityMax: Int
    private(set) var count = 0
    private let secret: (UInt64, UInt64)

    /// `bytesMax` is what the map may take; while it grows it takes half as much again.
    init(bytesMax: Int, secret: (UInt64, UInt64)) {
        self.secret = secret
        var largest = 1 << 10
        while largest * 2 * MemoryLayout<Slot>.stride <= bytesMax { largest *= 2 }
        capacityMax = largest
        slots = KeyMap.allocate(capacity)
    }

    deinit { slots.deallocate() }

    /// No further keys should go in. Those of a batch that has begun may.
    var isFull: Bool { count >= capacityMax / 4 * 3 }

    /// Notes that `key` occurs at `offset`; offsets come in rising order.
    func set(_ key: UnsafeRawBufferPointer, _ offset: Int64) {
        if count >= capacity / 4 * 3 { grow() }
        let hash = sipHash128(key, secret)
        let slot = find(hash)
        if slot.pointee.offset < 0 { count += 1 }
        slot.pointee = Slot(high: hash.0, low: hash.1, offset: offset)
    }

    /// nil: the key did not occur.
    func latest(_ key: UnsafeRawBufferPointer) -> Int64? {
        let slot = find(sipHash128(key, secret))
        return slot.pointee.offset < 0 ? nil : slot.pointee.offset
    }

    private func find(_ hash: (UInt64, UInt64)) -> UnsafeMutablePointer<Slot> {
        var at = Int(truncatingIfNeeded: hash.0) & (capacity - 1)
        while slots[at].offset >= 0 && (slots[at].high != hash.0 || slots[at].low != hash.1) { at = (at + 1) & (capacity - 1) }
        return slots + at
    }

    private func grow() {
        let old = UnsafeMutableBufferPointer(start: slots, count: capacity)
        capacity *= 2
        slots = KeyMap.allocate(capacity)
        for slot in old where slot.offset >= 0 { find((slot.high, slot.low)).pointee = slot }
        old.deallocate()
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Slot> {
        let memory = UnsafeMutablePointer<Slot>.allocate(capacity: count)
        memory.initialize(repeating: Slot(high: 0, low: 0, offset: -1), count: count)
        return memory
    }
}

/// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein 2012, and its reference's 128-bit form).
func sipHash128(_ bytes: UnsafeRawBufferPointer, _ key: (UInt64, UInt64)) -> (UInt64, UInt64) {
    var v0 = key.0 ^ 0x736F_6D65_7073_6575
    var v1 = key.1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
    var v2 = key.0 ^ 0x6C79_6765_6E65_7261
    var v3 = key.1 ^ 0x7465_6462_7974_6573
    func round() {
        v0 &+= v1
        v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 &+= v3
        v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
        v0 &+= v3
        v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
        v2 &+= v1
        v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
        v2 = v2 &<< 32 | v2 &>> 32
    }
    func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }
    let whole = bytes.count & ~7
    var at = 0
    while at < whole {
        absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
        at += 8
    }
    var last = UInt64(truncatingIfNeeded: bytes.count) &<< 56
    for index in whole..<bytes.count { last |= UInt64(bytes[index]) &<< UInt64((index - whole) * 8) }
    absorb(last)
    v2 ^= 0xEE
    for _ in 0..<4 { round() }
    let first = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xDD
    for _ in 0..<4 { round() }
    return (first, v0 ^ v1 ^ v2 ^ v3)
}
