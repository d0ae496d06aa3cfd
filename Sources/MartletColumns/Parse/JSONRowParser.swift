internal import CMartletSimdjson
internal import CMartletVector
internal import Glibc

/// Rows from NDJSON, by prediction. What is accepted and refused: docs/formats/json.md.
///
/// Between one value and the next a record has structure: `,"price":`, with whatever white space its producer writes.
/// Records of one producer repeat these *literals* in the same order, so the parser remembers for each literal which
/// ones came after it and compares 32 bytes at once, instead of looking for quotes, colons and names. The end of the
/// record, `}` and line feed, is a literal like any other: there is no separate pass for lines. What was not predicted
/// takes the general way (`JSONRowParser+General`) once and is predicted from then on.
///
/// Everything is checked: JSON's grammar everywhere, also in what is skipped; UTF-8 for the whole block before, or line
/// by line if the block fails. Of duplicate members the last counts; missing ones and `null` are NULL.
///
/// For one thread at a time. Reads up to 64 bytes past the end of what it is given.
package final class JSONRowParser {
    let limits: ParseLimits
    let target: RowTarget
    var chain: LiteralChain
    let nodes: ObjectTree
    var days = DayCache()
    /// The field a failure is about, and what is wrong with it, where `ScanFailure` alone does not say.
    var fieldFailure: (field: String, message: String)?

    /// Throws where two columns have one path, or one column's path leads through another column.
    package init(schema: ParseSchema, limits: ParseLimits = ParseLimits()) throws(ParseSchemaError) {
        self.limits = limits
        target = RowTarget(schema: schema)
        nodes = try ObjectTree(schema: schema)
        chain = LiteralChain()
    }

    /// Parses the records in `heap[start..<end]`, one a line, appending rows after `origins.count` to `columns` until
    /// there are `rowsMax` or no more records; the last record may lack its line feed.
    ///
    /// String values without escapes are views into `heap`, which the columns keep alive. Record `n` (blank and refused
    /// lines count) has offset `firstOffset + n`. `end` must be where the heap's content ends, or come after a line feed.
    package func parse(
        _ heap: ByteHeap, from start: Int, to end: Int, rowsMax: Int, firstOffset: Int64, into columns: [Column],
        origins: OriginBlock
    ) -> ParseProgress {
        precondition(start >= 0 && start <= end && end <= heap.used, "a range of the heap")
        precondition(heap.capacity < Int(UInt32.max), "origins count bytes in 32 bits")
        var progress = ParseProgress(position: start, lines: 0, rejected: [])
        let rowsMax = min(rowsMax, origins.capacity)
        if start == end || origins.count >= rowsMax { return progress }
        var sentinelEnd = end
        if heap.base[end - 1] != Ascii.lineFeed {
            precondition(end == heap.used, "a block of records ends in a line feed or where the heap's content ends")
            heap.base[end] = Ascii.lineFeed
            sentinelEnd += 1
        }
        target.begin(columns, heap: heap, row: origins.count, rowsMax: rowsMax)
        parseLines(heap, to: sentinelEnd, rowsMax: rowsMax, firstOffset: firstOffset, origins: origins, &progress)
        progress.position = min(progress.position, end)
        origins.count = target.row
        target.end()
        return progress
    }

    private func parseLines(
        _ heap: ByteHeap, to end: Int, rowsMax: Int, firstOffset: Int64, origins: OriginBlock,
        _ progress: inout ParseProgress
    ) {
        let base = UnsafePointer(heap.base)
        let stop = base + end
        var p = base + progress.position
        let isBlockUTF8 = isValidUTF8(p, count: stop - p)
        let target = self.target
        var line = 0
        while p < stop, target.row < rowsMax {
            let lineStart = p
            if p.pointee <= Ascii.space {
                let first = skipBlanks(p)
                if first.pointee == Ascii.lineFeed {
                    p = first + 1
                    line &+= 1
                    continue
                }
            }
            do throws(ScanFailure) {
                target.beginRow()
                p = try parseRecord(p)
                let length = p - lineStart - 1
                if length > limits.recordBytesMax { throw ScanFailure(lineStart, "", reason: .tooLong) }
                if !isBlockUTF8 { try checkUTF8(lineStart, count: length) }
                let row = target.row
                origins.starts[row] = UInt32(truncatingIfNeeded: lineStart - base)
                origins.lengths[row] = UInt32(truncatingIfNeeded: length)
                origins.offsets[row] = firstOffset &+ Int64(line)
                target.finishRow()
            } catch {
                p = reject(error, base: base, lineStart: lineStart, stop: stop, line: line, &progress)
            }
            line &+= 1
        }
        progress.position = p - base
        progress.lines = line
    }

    /// Past the record at `start` and its line feed, with the row's values stored.
    @inline(__always)
    private func parseRecord(_ start: Bytes) throws(ScanFailure) -> Bytes {
        let target = self.target
        let slots = target.slots
        let row = target.row
        let stamp = target.stamp
        // Kept here and not in `target`, where every store to a column might seem to change it.
        var seen = 0
        var p = start
        var entry = chain.start
        while true {
            let next = entry.pointee.next
            if next.pointee.matches(p) {
                p += next.pointee.length
                entry = next
            } else {
                let alternative = entry.pointee.alternative
                if alternative.pointee.matches(p) {
                    p += alternative.pointee.length
                    entry = alternative
                } else {
                    entry = try advance(&p, from: entry)
                }
            }
            let index = entry.pointee.index
            switch entry.pointee.action {
            case .end:
                target.seen = seen
                return p
            case .leave: break
            case .enter:
                target.seen = seen
                entry = try enter(&p, entry)
                seen = target.seen
            case .skip: p = try skipValue(p, depth: entry.pointee.depth, depthMax: limits.depthMax)
            case .bigint:
                slots[index].mark(stamp, row, &seen)
                if let value = scanPlainInteger(&p) {
                    slots[index].put(value, row)
                } else {
                    p = try readValue(p, entry)
                }
            case .integer:
                slots[index].mark(stamp, row, &seen)
                var end = p
                if let value = scanPlainInteger(&end), let narrow = Int32(exactly: value) {
                    slots[index].put(narrow, row)
                    p = end
                } else {
                    p = try readValue(p, entry)
                }
            case .text:
                slots[index].mark(stamp, row, &seen)
                if p.pointee == Ascii.quote {
                    let end = stringStop(p + 1)
                    if end.pointee == Ascii.quote {
                        slots[index].put(makeView(p + 1, count: end - p - 1), row)
                        p = end + 1
                        break
                    }
                }
                p = try readValue(p, entry)
            case .timestamp, .timestamptz:
                slots[index].mark(stamp, row, &seen)
                var end = p + 1
                if p.pointee == Ascii.quote,
                    let micros = scanTimestamp(
                        &end, end: Ascii.quote, zoned: entry.pointee.action == .timestamptz, days: &days)
                {
                    slots[index].put(micros, row)
                    p = end
                } else {
                    p = try readValue(p, entry)
                }
            case .double:
                slots[index].mark(stamp, row, &seen)
                if let value = scanPlainDouble(&p) {
                    slots[index].put(value, row)
                } else {
                    p = try readValue(p, entry)
                }
            case .numeric:
                slots[index].mark(stamp, row, &seen)
                if let value = scanPlainDecimal(&p) {
                    target.putDecimal(Int128(value.mantissa), scale: UInt8(truncatingIfNeeded: value.scale), index)
                } else {
                    p = try readValue(p, entry)
                }
            case .other:
                slots[index].mark(stamp, row, &seen)
                p = try readValue(p, entry)
            }
        }
    }

    private func checkUTF8(_ start: Bytes, count: Int) throws(ScanFailure) {
        if martlet_utf8_is_valid(start, count) { return }
        throw ScanFailure(start + validUTF8Prefix(start, count: count), "invalid UTF-8", reason: .invalidUTF8)
    }

    /// Notes why the record at `lineStart` is none, and answers the start of the next.
    @inline(never)
    private func reject(
        _ failure: ScanFailure, base: Bytes, lineStart: Bytes, stop: Bytes, line: Int, _ progress: inout ParseProgress
    ) -> Bytes {
        target.abandonRow()
        let lineEnd = Bytes(memchr(lineStart, Int32(Ascii.lineFeed), stop - lineStart)!.assumingMemoryBound(to: UInt8.self))
        let hasReturn = lineEnd > lineStart && (lineEnd - 1).pointee == Ascii.carriageReturn
        var failure = failure
        let length = lineEnd - lineStart - (hasReturn ? 1 : 0)
        if length > limits.recordBytesMax {
            progress.rejected.append(
                .tooLong(length, limits, start: lineStart - base, line: line, rowsBefore: target.row))
            fieldFailure = nil
            return lineEnd + 1
        }
        if !martlet_utf8_is_valid(lineStart, length) {
            // A broken encoding explains whatever else was found, and is what to look for.
            failure = ScanFailure(
                lineStart + validUTF8Prefix(lineStart, count: length), "invalid UTF-8", reason: .invalidUTF8)
            fieldFailure = nil
        }
        progress.rejected.append(
            RejectedRecord(
                start: lineStart - base, length: length, line: line, column: failure.at - lineStart + 1,
                field: fieldFailure?.field, reason: failure.reason,
                message: fieldFailure?.message ?? failure.message.description, rowsBefore: target.row))
        fieldFailure = nil
        return lineEnd + 1
    }
}

/// Whether the bytes are UTF-8. Nearly all input is ASCII, which is told several times faster.
func isValidUTF8(_ start: Bytes, count: Int) -> Bool {
    martlet_is_ascii(start, count) || martlet_utf8_is_valid(start, count)
}

/// How many bytes from `start` are whole, valid UTF-8 characters. For messages: one validation per bisection step.
func validUTF8Prefix(_ start: Bytes, count: Int) -> Int {
    var low = 0
    var high = count
    // Bytes before `low` are valid; a prefix cut within a character is invalid, so widen by up to three bytes.
    while high - low > 8 {
        let middle = (low + high) / 2
        let cut = (0..<4).first { martlet_utf8_is_valid(start + low, middle + $0 - low) }
        if let cut { low = middle + cut } else { high = middle }
    }
    while low < count, let width = (1...4).first(where: { low + $0 <= count && martlet_utf8_is_valid(start + low, $0) }) {
        low += width
    }
    return low
}
