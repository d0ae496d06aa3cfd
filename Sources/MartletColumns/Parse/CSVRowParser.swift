internal import CMartletSimdjson
internal import CMartletVector
internal import Glibc
internal import MartletCore

/// How a CSV file is laid out.
package struct CSVOptions: Sendable {
    package var delimiter: UInt8
    /// The first record names the fields.
    package var hasHeader: Bool
    /// Without a header: the names of all fields, in order.
    package var fieldNames: [String]

    package init(delimiter: UInt8 = UInt8(ascii: ","), hasHeader: Bool = true, fieldNames: [String] = []) {
        self.delimiter = delimiter
        self.hasHeader = hasHeader
        self.fieldNames = fieldNames
    }
}

/// Rows from CSV (RFC 4180): fields between delimiters, in quotes where they hold delimiters, line feeds or doubled
/// quotes. A quote that does not begin its field is a character like any other.
///
/// An empty field without quotes is NULL, with quotes the empty string. Values are read in PostgreSQL's text forms. A
/// record has exactly as many fields as the header. Blank lines are passed over. UTF-8 is checked, byte 0 refused.
///
/// One parser reads one input, since it keeps the header. For one thread at a time. Reads up to 64 bytes past the end.
package final class CSVRowParser {
    private let options: CSVOptions
    private let limits: ParseLimits
    private let target: RowTarget
    private var days = DayCache()
    /// For each field of a record the column it goes to, or -1; empty until the header is read.
    private var columnOfField: [Int] = []
    /// The names of the fields, for messages.
    package private(set) var fieldNames: [String] = []

    package init(schema: ParseSchema, options: CSVOptions, limits: ParseLimits = ParseLimits()) throws(ParseSchemaError) {
        self.options = options
        self.limits = limits
        target = RowTarget(schema: schema)
        if let nested = schema.columns.first(where: { $0.path.count != 1 }) {
            throw ParseSchemaError(message: "column \"\(nested.name)\" has a path of members, but CSV fields have plain names")
        }
        if [Ascii.quote, Ascii.lineFeed, Ascii.carriageReturn, 0].contains(options.delimiter) || options.delimiter >= 0x80 {
            throw ParseSchemaError(
                message: "a CSV delimiter is one ASCII character other than the quote and the line end")
        }
        if !options.hasHeader { try bind(options.fieldNames) }
    }

    /// As `JSONRowParser.parse`; the first call's first record is the header, where there is one. Counts records, not
    /// lines (a quoted field may hold line feeds); the header counts as one.
    ///
    /// Throws where the header lacks a column; the parser is of no use then.
    package func parse(
        _ heap: ByteHeap, from start: Int, to end: Int, rowsMax: Int, firstOffset: Int64, into columns: [Column],
        origins: OriginBlock
    ) throws(ParseSchemaError) -> ParseProgress {
        precondition(start >= 0 && start <= end && end <= heap.used, "a range of the heap")
        precondition(heap.capacity < Int(UInt32.max), "origins count bytes in 32 bits")
        var progress = ParseProgress(position: start, lines: 0, rejected: [])
        let rowsMax = min(rowsMax, origins.capacity)
        if start == end || origins.count >= rowsMax { return progress }
        var stop = end
        if heap.base[end - 1] != Ascii.lineFeed {
            precondition(end == heap.used, "a block of records ends in a line feed or where the heap's content ends")
            heap.base[end] = Ascii.lineFeed
            stop += 1
        }
        let base = UnsafePointer(heap.base)
        if columnOfField.isEmpty {
            let first = try readHeader(base + start, stop: base + stop)
            progress.position = first - base
            progress.lines = 1
        }
        target.begin(columns, heap: heap, row: origins.count, rowsMax: rowsMax)
        parseRecords(base, stop: base + stop, rowsMax: rowsMax, firstOffset: firstOffset, origins: origins, &progress)
        progress.position = min(progress.position, end)
        origins.count = target.row
        target.end()
        return progress
    }

    // MARK: - Header

    private func readHeader(_ start: Bytes, stop: Bytes) throws(ParseSchemaError) -> Bytes {
        var names: [String] = []
        var p = start
        while true {
            let field: Field
            do throws(ScanFailure) {
                field = try scanField(p, stop: stop)
            } catch {
                throw ParseSchemaError(message: "the CSV header is broken: \(error.message)")
            }
            if field.brokenAt != nil {
                throw ParseSchemaError(message: "the CSV header is broken: text after the closing quote of a field")
            }
            names.append(decoded(field))
            p = field.next
            if field.isLast { break }
        }
        try bind(names)
        return p
    }

    /// Finds each column's field: by its exact name, else by the only one that differs in case alone.
    private func bind(_ names: [String]) throws(ParseSchemaError) {
        var columns = [Int](repeating: -1, count: names.count)
        for (index, column) in target.schema.columns.enumerated() {
            let exact = names.indices.filter { names[$0] == column.name }
            let folded = exact.isEmpty ? names.indices.filter { lowered(names[$0]) == lowered(column.name) } : exact
            guard let field = folded.first else {
                throw ParseSchemaError(
                    message: "column \"\(column.name)\" is not in the CSV header",
                    hint: "The header has: \(shortened(names.joined(separator: ", "))).")
            }
            guard folded.count == 1, columns[field] == -1 else {
                throw ParseSchemaError(message: "more than one field of the CSV header is called \"\(column.name)\"")
            }
            columns[field] = index
        }
        columnOfField = columns
        fieldNames = names
    }

    private func lowered(_ name: String) -> [UInt8] { name.utf8.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }

    // MARK: - Records

    private func parseRecords(
        _ base: Bytes, stop: Bytes, rowsMax: Int, firstOffset: Int64, origins: OriginBlock,
        _ progress: inout ParseProgress
    ) {
        var p = base + progress.position
        let isClean = isValidUTF8(p, count: stop - p) && (stop == p || memchr(p, 0, stop - p) == nil)
        var line = progress.lines
        while p < stop, target.row < rowsMax {
            if let next = skipBlankLine(p) {
                p = next
                line &+= 1
                continue
            }
            target.beginRow()
            let recordStart = p
            var failure: ScanFailure?
            p = parseRecord(p, stop: stop, &failure)
            var length = p - recordStart - 1
            if length > 0, recordStart[length - 1] == Ascii.carriageReturn { length -= 1 }
            if !isClean { checkBytes(recordStart, count: length, &failure) }
            if length > limits.recordBytesMax {
                target.abandonRow()
                progress.rejected.append(
                    .tooLong(length, limits, start: recordStart - base, line: line, rowsBefore: target.row))
                failedField = nil
            } else if let failure {
                target.abandonRow()
                progress.rejected.append(
                    RejectedRecord(
                        start: recordStart - base, length: length, line: line, column: failure.at - recordStart + 1,
                        field: failedField?.field, reason: failure.reason,
                        message: failedField?.message ?? failure.message.description, rowsBefore: target.row))
                failedField = nil
            } else {
                let row = target.row
                origins.starts[row] = UInt32(truncatingIfNeeded: recordStart - base)
                origins.lengths[row] = UInt32(truncatingIfNeeded: length)
                origins.offsets[row] = firstOffset &+ Int64(line)
                target.seen = target.slotCount
                target.finishRow()
            }
            line &+= 1
        }
        progress.position = p - base
        progress.lines = line
    }

    private func skipBlankLine(_ p: Bytes) -> Bytes? {
        if p.pointee == Ascii.lineFeed { return p + 1 }
        return p.pointee == Ascii.carriageReturn && p[1] == Ascii.lineFeed ? p + 2 : nil
    }

    private var failedField: (field: String?, message: String)?

    /// Past the record at `start`, its values stored up to the first that fails; goes on to the record's end in any case.
    private func parseRecord(_ start: Bytes, stop: Bytes, _ failure: inout ScanFailure?) -> Bytes {
        var p = start
        var ordinal = 0
        let wanted = columnOfField.count
        while true {
            let field: Field
            do throws(ScanFailure) {
                field = try scanField(p, stop: stop)
            } catch {
                // The quote was never closed: everything after it is this record.
                failure = ScanFailure(p, error.message, reason: error.reason)
                failedField = ordinal < wanted ? (fieldNames[ordinal], error.message.description) : nil
                return stop
            }
            if let broken = field.brokenAt {
                if failure == nil {
                    failure = ScanFailure(broken, "text after the closing quote of a field", reason: .invalidCSV)
                }
            } else if ordinal < wanted {
                let index = columnOfField[ordinal]
                if index >= 0, failure == nil {
                    do throws(FieldFailure) {
                        try store(field, index)
                    } catch {
                        failure = ScanFailure(p, "", reason: error.reason)
                        failedField = (fieldNames[ordinal], error.message)
                    }
                }
            } else if ordinal == wanted, failure == nil {
                failure = ScanFailure(p, "", reason: .fieldCount)
                failedField = (nil, "the record has more than the header's \(wanted) fields")
            }
            ordinal += 1
            p = field.next
            if field.isLast { break }
        }
        if ordinal < wanted, failure == nil {
            failure = ScanFailure(p - 1, "", reason: .fieldCount)
            failedField = (fieldNames[ordinal], "the record has \(ordinal) fields, the header \(wanted)")
        }
        return p
    }

    private func checkBytes(_ start: Bytes, count: Int, _ failure: inout ScanFailure?) {
        if !martlet_utf8_is_valid(start, count) {
            failure = ScanFailure(start + validUTF8Prefix(start, count: count), "invalid UTF-8", reason: .invalidUTF8)
            failedField = nil
        } else if count > 0, let zero = memchr(start, 0, count) {
            failure = ScanFailure(
                Bytes(zero.assumingMemoryBound(to: UInt8.self)), "a zero byte is no text", reason: .invalidValue)
            failedField = nil
        }
    }

    // MARK: - Fields

    /// One field as it stands in the record.
    private struct Field {
        /// The content; of a quoted field what is between the quotes, with doubled quotes if `hasDoubled`.
        var start: Bytes
        var count: Int
        var isQuoted: Bool
        var hasDoubled: Bool
        /// Past the delimiter or line end.
        var next: Bytes
        var isLast: Bool
        /// Where text follows the closing quote.
        var brokenAt: Bytes?
    }

    @inline(__always)
    private func scanField(_ start: Bytes, stop: Bytes) throws(ScanFailure) -> Field {
        if start.pointee == Ascii.quote { return try scanQuoted(start, stop: stop) }
        var p = start
        while true {
            let found = martlet_match32(p, options.delimiter) | martlet_match32(p, Ascii.lineFeed)
            if found != 0 {
                p += found.trailingZeroBitCount
                break
            }
            p += 32
        }
        let isLast = p.pointee == Ascii.lineFeed
        var count = p - start
        if isLast, count > 0, (p - 1).pointee == Ascii.carriageReturn { count -= 1 }
        return Field(start: start, count: count, isQuoted: false, hasDoubled: false, next: p + 1, isLast: isLast)
    }

    private func scanQuoted(_ start: Bytes, stop: Bytes) throws(ScanFailure) -> Field {
        var p = start + 1
        var hasDoubled = false
        while true {
            let found = p < stop ? memchr(p, Int32(Ascii.quote), stop - p) : nil
            guard let found else {
                throw ScanFailure(stop, "a quoted field is not closed", reason: .invalidCSV)
            }
            p = Bytes(found.assumingMemoryBound(to: UInt8.self))
            if p[1] != Ascii.quote { break }
            hasDoubled = true
            p += 2
        }
        let count = p - start - 1
        let isReturn = p[1] == Ascii.carriageReturn && p[2] == Ascii.lineFeed
        var next = p + (isReturn ? 2 : 1)
        var brokenAt: Bytes?
        if next.pointee != Ascii.lineFeed, next.pointee != options.delimiter {
            // As the framer has it, the field goes on to the next delimiter or line end.
            brokenAt = next
            while next.pointee != Ascii.lineFeed, next.pointee != options.delimiter { next += 1 }
        }
        return Field(
            start: start + 1, count: count, isQuoted: true, hasDoubled: hasDoubled, next: next + 1,
            isLast: next.pointee == Ascii.lineFeed, brokenAt: brokenAt)
    }

    @inline(__always)
    private func store(_ field: Field, _ index: Int) throws(FieldFailure) {
        if field.count == 0, !field.isQuoted { return target.setNull(index) }
        let end = field.start + field.count
        var p = field.start
        switch target.slots[index].kind {
        case .text where !field.hasDoubled:
            target.slots[index].put(makeView(p, count: field.count), target.row)
            return
        case .bigint:
            if let value = scanPlainInteger(&p), p == end { return target.slots[index].put(value, target.row) }
        case .integer:
            if let value = scanPlainInteger(&p), p == end, let narrow = Int32(exactly: value) {
                return target.slots[index].put(narrow, target.row)
            }
        case .double:
            if let value = scanPlainDouble(&p), p == end { return target.slots[index].put(value, target.row) }
        case .numeric:
            if let value = scanPlainDecimal(&p), p == end {
                return target.putDecimal(
                    Int128(value.mantissa), scale: UInt8(truncatingIfNeeded: value.scale), index)
            }
        case .timestamp, .timestamptz:
            let isZoned = target.slots[index].kind == .timestamptz
            if field.count >= 19,
                let micros = scanTimestamp(&p, end: end.pointee, zoned: isZoned, days: &days), p == end + 1
            {
                return target.slots[index].put(micros, target.row)
            }
        case .date:
            if field.count == 10, let day = scanDate(p) { return target.slots[index].put(day, target.row) }
        case .text, .boolean, .smallint, .real, .limitedNumeric, .bytea, .time, .interval, .jsonb, .uuid, .nested: break
        }
        try storeSlowly(field, index)
    }

    @inline(never)
    private func storeSlowly(_ field: Field, _ index: Int) throws(FieldFailure) {
        var text = UnsafeBufferPointer(start: field.start, count: field.count)
        if field.hasDoubled {
            let space = target.scratchSpace(field.count)
            let count = undouble(field, into: space)
            target.keepScratch(count)
            text = UnsafeBufferPointer(start: space, count: count)
        }
        try target.storeText(text, index)
    }

    private func undouble(_ field: Field, into target: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        var at = 0
        while at < field.count {
            target[count] = field.start[at]
            at += field.start[at] == Ascii.quote ? 2 : 1
            count += 1
        }
        return count
    }

    private func decoded(_ field: Field) -> String {
        guard field.hasDoubled else {
            return String(decoding: UnsafeBufferPointer(start: field.start, count: field.count), as: UTF8.self)
        }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: field.count) { space in
            let count = undouble(field, into: space.baseAddress!)
            return String(decoding: UnsafeBufferPointer(rebasing: space[..<count]), as: UTF8.self)
        }
    }
}
