internal import CMartletVector
internal import Glibc

/// What to do with the value after a literal.
enum LiteralAction: UInt8 {
    /// The record is over; the literal held its line feed.
    case end
    /// An object that columns were taken from is over.
    case leave
    /// The value is an object with columns in it.
    case enter
    /// The value is not wanted.
    case skip
    // The value goes to a column: the types with a fast way of their own, and the others.
    case bigint, integer, double, numeric, text, timestamp, timestamptz
    case other

    init(_ kind: ValueKind) {
        switch kind {
        case .bigint: self = .bigint
        case .integer: self = .integer
        case .double: self = .double
        case .numeric: self = .numeric
        case .text: self = .text
        case .timestamp: self = .timestamp
        case .timestamptz: self = .timestamptz
        case .boolean, .smallint, .real, .limitedNumeric, .bytea, .date, .time, .interval, .jsonb, .uuid, .nested:
            self = .other
        }
    }
}

/// A run of structure between two values, and what it means.
struct Literal {
    static let lengthMax = 64
    /// `lengthMax` bytes, zero after `length`.
    var bytes: UnsafeMutablePointer<UInt8>
    var length: Int
    /// The bits of the first 32 bytes that count, and what they must compare to (unequal to any comparison: never).
    var mask: UInt32
    var wanted: UInt32
    var tailMask: UInt32
    var action: LiteralAction
    /// Whether an object's first member (or end) comes next.
    var opens: Bool
    /// The column, or for `enter` the node.
    var index: Int
    /// The object that the literal belongs to, the object whose members come next, and how deep a value here is nested
    /// (a member of the record: 1).
    var node: Int
    var after: Int
    var depth: Int
    /// The literals that last came after this one.
    var next: UnsafeMutablePointer<Literal>
    var alternative: UnsafeMutablePointer<Literal>

    /// Whether the text at `p` goes on with this literal. Reads 64 bytes.
    @inline(__always)
    func matches(_ p: Bytes) -> Bool {
        if martlet_equal32(p, bytes) & mask != wanted { return false }
        if _fastPath(tailMask == 0) { return true }
        return martlet_equal32(p + 32, bytes + 32) & tailMask == tailMask
    }
}

/// The literals met so far, linked by what follows what.
///
/// Bounded: at `capacity` literals nothing is learned until enough records have passed that starting over is worth it.
/// So records without a common shape cost the general way and no memory.
struct LiteralChain: ~Copyable {
    static let capacity = 256
    private static let tableSize = 1024

    /// Stands for the place before a record.
    let start: UnsafeMutablePointer<Literal>
    /// Takes the place of a literal that is not learned; nothing follows it.
    let transient: UnsafeMutablePointer<Literal>
    /// Matches nothing.
    private let never: UnsafeMutablePointer<Literal>
    private let entries: UnsafeMutablePointer<Literal>
    private let texts: UnsafeMutablePointer<UInt8>
    /// Entry number + 1 by hash; 0: free.
    private let table: UnsafeMutablePointer<UInt16>
    private var count = 0
    /// General advances since the chain was full.
    private var refused = 0

    init() {
        // Three special entries before the learned ones.
        let all = UnsafeMutablePointer<Literal>.allocate(capacity: LiteralChain.capacity + 3)
        texts = .allocate(capacity: (LiteralChain.capacity + 1) * Literal.lengthMax)
        memset(texts, 0, (LiteralChain.capacity + 1) * Literal.lengthMax)
        table = .allocate(capacity: LiteralChain.tableSize)
        memset(table, 0, LiteralChain.tableSize * 2)
        never = all
        start = all + 1
        transient = all + 2
        entries = all + 3
        let blank = Literal(
            bytes: texts + LiteralChain.capacity * Literal.lengthMax, length: 0, mask: 0, wanted: 1, tailMask: 0,
            action: .skip, opens: false, index: 0, node: 0, after: 0, depth: 1, next: never, alternative: never)
        never.initialize(to: blank)
        start.initialize(to: blank)
        start.pointee.opens = true
        transient.initialize(to: blank)
    }

    deinit {
        never.deallocate()
        texts.deallocate()
        table.deallocate()
    }

    /// The literal of these bytes met before among the members of `node`, linked as what follows `previous`.
    @inline(__always)
    func recall(
        _ from: Bytes, _ to: Bytes, node: Int, after previous: UnsafeMutablePointer<Literal>
    ) -> UnsafeMutablePointer<Literal>? {
        let length = to - from
        if length > Literal.lengthMax { return nil }
        var place = LiteralChain.place(from, length, node)
        while table[place] != 0 {
            let known = entries + Int(table[place] &- 1)
            if known.pointee.length == length, known.pointee.node == node, known.pointee.matches(from) {
                link(known, after: previous)
                return known
            }
            place = (place &+ 1) % LiteralChain.tableSize
        }
        return nil
    }

    /// Where in the table to look first. `from` has 8 readable bytes.
    @inline(__always)
    private static func place(_ from: Bytes, _ length: Int, _ node: Int) -> Int {
        let unused = UInt64(max(64 &- 8 &* length, 0))
        let head = load64(from) &<< unused
        let tail = length > 8 ? load64(from + (length &- 8)) : 0
        let seed = UInt64(truncatingIfNeeded: length &+ node &* 64)
        let mixed = (head ^ (tail &* 0x9E37_79B9_7F4A_7C15) ^ seed) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: (mixed ^ mixed &>> 32) % UInt64(tableSize))
    }

    /// The literal of these bytes, which `recall` does not know, linked as what follows `previous`. `meaning` has action, index and context.
    mutating func learn(
        _ from: Bytes, _ to: Bytes, after previous: UnsafeMutablePointer<Literal>, meaning: Literal
    ) -> UnsafeMutablePointer<Literal> {
        let length = to - from
        if length > Literal.lengthMax { return forget(meaning) }
        var place = LiteralChain.place(from, length, meaning.node)
        while table[place] != 0 { place = (place + 1) % LiteralChain.tableSize }
        guard count < LiteralChain.capacity else {
            refused += 1
            if refused > 100_000 { startOver() }
            return forget(meaning)
        }
        let made = entries + count
        made.initialize(to: meaning)
        made.pointee.bytes = texts + count * Literal.lengthMax
        memset(made.pointee.bytes, 0, Literal.lengthMax)
        memcpy(made.pointee.bytes, from, length)
        made.pointee.length = length
        made.pointee.mask = LiteralChain.ones(min(length, 32))
        made.pointee.wanted = made.pointee.mask
        made.pointee.tailMask = LiteralChain.ones(max(length - 32, 0))
        made.pointee.next = never
        made.pointee.alternative = never
        count += 1
        table[place] = UInt16(count)
        link(made, after: previous)
        return made
    }

    /// The meaning without the prediction.
    func forget(_ meaning: Literal) -> UnsafeMutablePointer<Literal> {
        let never = transient.pointee.next
        transient.pointee = meaning
        transient.pointee.next = never
        transient.pointee.alternative = never
        return transient
    }

    /// A meaning to be filled in by the caller.
    var blank: Literal { never.pointee }

    private func link(_ literal: UnsafeMutablePointer<Literal>, after previous: UnsafeMutablePointer<Literal>) {
        if previous == transient { return }
        previous.pointee.alternative = previous.pointee.next
        previous.pointee.next = literal
    }

    private mutating func startOver() {
        memset(table, 0, LiteralChain.tableSize * 2)
        count = 0
        refused = 0
        start.pointee.next = never
        start.pointee.alternative = never
    }

    private static func ones(_ count: Int) -> UInt32 { count >= 32 ? ~0 : (1 << UInt32(count)) &- 1 }
}
