internal import CMartletVector
internal import Glibc

/// Cuts a stream of bytes into blocks of whole records, in bounded memory: what stands between a file (or socket) and a
/// parser.
///
/// ```
/// while let count = read(into: framer.space()) {      // 0 at the end of input
///     if let block = framer.received(count) { parse(block) }
/// }
/// if let block = framer.finish() { parse(block) }
/// ```
///
/// A record cut by the end of a read is carried over to the next block. A record longer than the limit is dropped as
/// its bytes come in, and reported with its beginning in the block that follows it. A byte order mark at the start of
/// the input is passed over. For one thread at a time; blocks may be handed to others.
package struct RecordFramer {
    package enum Format: Sendable {
        /// One record a line.
        case lines
        /// RFC 4180: line feeds within a quoted field belong to it.
        case csv(delimiter: UInt8)
    }

    /// Whole records, ready to be parsed.
    package struct Block {
        package var heap: ByteHeap
        package var start: Int
        package var end: Int
        /// Where byte `start` of the heap was in the input.
        package var inputOffset: Int64
        /// A record before these, refused for its length. The block may hold nothing else (`start == end`).
        package var overlong: Overlong?
    }

    /// A record that was too long: its first bytes and its full length. It counts as one record and line.
    package struct Overlong {
        package var head: ByteHeap
        package var length: Int64
        package var inputOffset: Int64
    }

    /// How many bytes of an overlong record are kept for its dead letter.
    package static let overlongBytesKept = 64 << 10

    private let format: Format
    private let recordBytesMax: Int
    private let blockBytes: Int
    private var heap: ByteHeap
    /// Bytes of `heap` that were looked at, and the end of the last whole record among them.
    private var scanned = 0
    private var wholeEnd = 0
    private var quoting = Quoting.fieldStart
    /// Where byte 0 of `heap` was in the input.
    private var inputOffset: Int64
    /// The overlong record whose end is being looked for, and one whose end was found, to be reported.
    private var skipping: Overlong?
    private var skipped: Overlong?
    private var isAtStart: Bool

    private enum Quoting { case fieldStart, plain, quoted, quoteInQuoted }

    /// - Parameters:
    ///   - blockBytes: what a block usually holds, and a read asks for.
    ///   - inputOffset: where the first byte is in the input; the start of a record.
    package init(_ format: Format, recordBytesMax: Int = 16 << 20, blockBytes: Int = 1 << 20, inputOffset: Int64 = 0) {
        self.inputOffset = inputOffset
        isAtStart = inputOffset == 0
        self.format = format
        self.recordBytesMax = max(recordBytesMax, 1)
        self.blockBytes = max(blockBytes, 64)
        heap = ByteHeap(capacity: self.blockBytes)
    }

    /// Where the first record that was not given away yet begins in the input.
    package var consumed: Int64 { skipping?.inputOffset ?? inputOffset + Int64(firstByte) }

    /// Where to put the next bytes of the input; never empty. Valid until `received`.
    package mutating func space() -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: heap.base + heap.used, count: heap.free)
    }

    /// Takes note of `count` bytes put into `space()`. Answers the whole records there are, if any.
    ///
    /// Answers early, with whatever is whole, so that a slow input is not held back.
    package mutating func received(_ count: Int) -> Block? {
        precondition(count >= 0 && count <= heap.free, "no more than the space given")
        heap.used += count
        if isAtStart { passByteOrderMark() }
        scan()
        if wholeEnd > firstByte || skipped != nil { return cut(at: wholeEnd) }
        if heap.used - firstByte > recordBytesMax { dropOverlong() }
        if heap.free == 0 { moveCarry(from: firstByte) }
        return nil
    }

    /// The input is over: what is left is the last record, complete or not.
    package mutating func finish() -> Block? {
        isAtStart = false
        if heap.used - firstByte > recordBytesMax { dropOverlong() }
        if skipping != nil { skipped = skipping }
        skipping = nil
        return heap.used > firstByte || skipped != nil ? cut(at: heap.used) : nil
    }

    /// A byte order mark is passed over by starting behind it.
    private var firstByte = 0

    private mutating func passByteOrderMark() {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let have = min(heap.used, 3)
        if !(0..<have).allSatisfy({ heap.base[$0] == mark[$0] }) {
            isAtStart = false
        } else if have == 3 {
            isAtStart = false
            firstByte = 3
            scanned = 3
            wholeEnd = 3
            quoting = .fieldStart
        }
    }

    /// Looks at what is new, for the last end of a record; while skipping, for the first.
    private mutating func scan() {
        if skipping != nil {
            guard let end = firstEnd() else {
                skipping!.length += Int64(heap.used - scanned)
                inputOffset += Int64(heap.used)
                heap.used = 0
                scanned = 0
                return
            }
            skipping!.length += Int64(end - 1 - scanned)
            skipped = skipping
            skipping = nil
            firstByte = end
            scanned = end
            wholeEnd = end
        }
        switch format {
        case .lines:
            var end = heap.used
            while end > scanned, heap.base[end - 1] != Ascii.lineFeed { end -= 1 }
            if end > scanned { wholeEnd = end }
        case .csv(let delimiter):
            var at = scanned
            while let end = recordEnd(&at, delimiter) { wholeEnd = end }
        }
        scanned = heap.used
    }

    /// Past the line feed that ends the record at `scanned`.
    private mutating func firstEnd() -> Int? {
        switch format {
        case .lines:
            guard let feed = memchr(heap.base + scanned, Int32(Ascii.lineFeed), heap.used - scanned) else { return nil }
            return UnsafeMutableRawPointer(heap.base).distance(to: feed) + 1
        case .csv(let delimiter):
            var at = scanned
            return recordEnd(&at, delimiter)
        }
    }

    /// Follows the quoting from `at` to the end of a record and answers where that is; nil: not yet there.
    private mutating func recordEnd(_ at: inout Int, _ delimiter: UInt8) -> Int? {
        let end = heap.used
        while at < end {
            switch quoting {
            case .fieldStart where heap.base[at] == Ascii.quote, .quoteInQuoted where heap.base[at] == Ascii.quote:
                quoting = .quoted
                at += 1
                continue
            case .quoted:
                at = find(from: at, to: end, Ascii.quote, Ascii.quote)
                if at < end {
                    quoting = .quoteInQuoted
                    at += 1
                }
                continue
            case .fieldStart, .plain, .quoteInQuoted: break
            }
            at = find(from: at, to: end, delimiter, Ascii.lineFeed)
            if at == end {
                quoting = .plain
                return nil
            }
            quoting = .fieldStart
            at += 1
            if heap.base[at - 1] == Ascii.lineFeed { return at }
        }
        return nil
    }

    /// The first of two bytes at or after `from`; `to` where there is none. May read 32 bytes past `to`.
    private func find(from: Int, to: Int, _ first: UInt8, _ second: UInt8) -> Int {
        var at = from
        while at < to {
            let found = martlet_match32(heap.base + at, first) | martlet_match32(heap.base + at, second)
            if found != 0 { return min(at + found.trailingZeroBitCount, to) }
            at += 32
        }
        return to
    }

    /// Gives away everything up to `end` and carries the rest over.
    private mutating func cut(at end: Int) -> Block {
        let block = Block(
            heap: heap, start: firstByte, end: end, inputOffset: inputOffset + Int64(firstByte), overlong: skipped)
        skipped = nil
        moveCarry(from: end)
        // The block's heap ends where its records do, so that a parser may put its sentinel there.
        block.heap.used = end
        return block
    }

    /// Starts a new heap with the bytes after `from` of the old.
    private mutating func moveCarry(from: Int) {
        let carry = heap.used - from
        let fresh = ByteHeap(capacity: max(blockBytes, carry * 2))
        memcpy(fresh.base, heap.base + from, carry)
        fresh.used = carry
        heap = fresh
        inputOffset += Int64(from)
        scanned = carry
        wholeEnd = 0
        firstByte = 0
    }

    /// The record at `firstByte` exceeds the limit before its end has come: keeps its head, drops what there is.
    private mutating func dropOverlong() {
        let have = heap.used - firstByte
        let kept = min(have, RecordFramer.overlongBytesKept)
        let head = ByteHeap(capacity: kept)
        _ = head.append(heap.base + firstByte, count: kept)
        skipping = Overlong(head: head, length: Int64(have), inputOffset: inputOffset + Int64(firstByte))
        inputOffset += Int64(heap.used)
        heap = ByteHeap(capacity: blockBytes)
        scanned = 0
        wholeEnd = 0
        firstByte = 0
    }
}
