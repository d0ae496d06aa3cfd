internal import CMartletVector

/// How often each of some 64-bit words was counted: open addressing with linear probing, in slots of 8 bytes, or 16 where
/// counts are kept. Made for millions of values in one group as for three values in each of millions.
///
/// The order of `forEach` is the order of hashes, and must not be seen.
struct WordCounts {
    /// Whether words are counted, or only known to be there.
    let isCounting: Bool
    /// Entries: words whose count is not 0.
    private(set) var count = 0
    /// Entries whose count is above 0.
    private(set) var positive = 0

    /// nil: nothing came yet. A free slot holds 0.
    private var words: UnsafeMutablePointer<Int64>?
    private var counts: UnsafeMutablePointer<Int64>?
    private var mask = 0
    /// Of the word 0, which no slot can hold.
    private var zero: Int64 = 0

    private static let slotsMin = 8

    init(isCounting: Bool) { self.isCounting = isCounting }

    /// The owner calls this once, at its end.
    func deallocate() {
        if let words { StateMemory.release(words, slotBytes(mask + 1)) }
        if let counts { StateMemory.release(counts, slotBytes(mask + 1)) }
    }

    private func slotBytes(_ slots: Int) -> Int { slots * 8 }

    var memoryBytes: Int { words == nil ? 0 : slotBytes(mask + 1) * (isCounting ? 2 : 1) }

    // MARK: - Counting

    /// Adds to a word's count, which goes at 0. Where words are not counted, `weight` is not negative, and above 0 puts the
    /// word in.
    mutating func add(_ word: Int64, _ weight: Int64) {
        if weight == 0 { return }
        if word == 0 {
            let old = zero
            zero = isCounting ? zero &+ weight : 1
            note(old, zero)
            return
        }
        guard let words else {
            grow(to: WordCounts.slotsMin)
            return add(word, weight)
        }
        var at = home(word)
        while words[at] != word {
            if words[at] == 0 {
                // Three quarters full at the most.
                if (count + 1) * 4 > (mask + 1) * 3 {
                    grow(to: (mask + 1) * 2)
                    return add(word, weight)
                }
                words[at] = word
                counts?[at] = weight
                note(0, isCounting ? weight : 1)
                return
            }
            at = (at &+ 1) & mask
        }
        guard let counts else { return }
        let old = counts[at]
        counts[at] = old &+ weight
        note(old, counts[at])
        if counts[at] == 0 { close(at) }
    }

    /// Asks for the slot where a word is, or would be.
    func prefetch(_ word: Int64) {
        guard let words else { return }
        martlet_prefetch(words + home(word))
        if let counts { martlet_prefetch(counts + home(word)) }
    }

    private mutating func note(_ old: Int64, _ new: Int64) {
        count += (new != 0 ? 1 : 0) - (old != 0 ? 1 : 0)
        positive += (new > 0 ? 1 : 0) - (old > 0 ? 1 : 0)
    }

    /// Adds another's counts.
    mutating func merge(_ other: WordCounts) {
        // In the order of hashes a small table would fill from one end.
        let needed = max(count, other.count)
        var slots = max(mask + 1, WordCounts.slotsMin)
        while needed * 4 > slots * 3 { slots *= 2 }
        if words == nil || slots > mask + 1 { grow(to: slots) }
        other.forEach { add($0, $1) }
    }

    func forEach(_ body: (_ word: Int64, _ count: Int64) -> Void) {
        if zero != 0 { body(0, zero) }
        guard let words else { return }
        for at in 0...mask where words[at] != 0 { body(words[at], counts?[at] ?? 1) }
    }

    /// Words and counts, the least word first.
    var sorted: [(word: Int64, count: Int64)] {
        var all: [(word: Int64, count: Int64)] = []
        all.reserveCapacity(count)
        forEach { all.append(($0, $1)) }
        return all.sorted { $0.word < $1.word }
    }

    // MARK: - Slots

    /// Both halves of a product, folded, as in `Hash`.
    @inline(__always)
    private func home(_ word: Int64) -> Int {
        let product = (UInt64(bitPattern: word) ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
        return Int(truncatingIfNeeded: product.high ^ product.low) & mask
    }

    /// Frees a slot; those behind it move up where they may, so that no grave is left.
    private func close(_ slot: Int) {
        guard let words, let counts else { return }
        var hole = slot
        var at = (hole &+ 1) & mask
        while words[at] != 0 {
            if (at &- home(words[at])) & mask >= (at &- hole) & mask {
                words[hole] = words[at]
                counts[hole] = counts[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        words[hole] = 0
    }

    private mutating func grow(to slots: Int) {
        let (oldWords, oldCounts, oldSlots) = (words, counts, mask + 1)
        let newWords = StateMemory.allocate(slotBytes(slots), zeroed: true).assumingMemoryBound(to: Int64.self)
        let newCounts =
            isCounting ? StateMemory.allocate(slotBytes(slots), zeroed: true).assumingMemoryBound(to: Int64.self) : nil
        (words, counts, mask) = (newWords, newCounts, slots - 1)
        guard let oldWords else { return }
        for from in 0..<oldSlots where oldWords[from] != 0 {
            var at = home(oldWords[from])
            while newWords[at] != 0 { at = (at &+ 1) & mask }
            newWords[at] = oldWords[from]
            if let newCounts, let oldCounts { newCounts[at] = oldCounts[from] }
        }
        StateMemory.release(oldWords, slotBytes(oldSlots))
        if let oldCounts { StateMemory.release(oldCounts, slotBytes(oldSlots)) }
    }
}
