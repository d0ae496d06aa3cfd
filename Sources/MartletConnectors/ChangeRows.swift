internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// FORMAT UPSERT and FORMAT DEBEZIUM: what a record says of a table's rows. A record makes lines for the JSON parser, each a
/// row that comes or goes.
///
/// Upsert: the value is the row of its key; a record without one (a tombstone) takes the row away. Where the primary key is
/// not all INCLUDE KEY, a tombstone's key columns are read from the record's key: an object, or one column's bare value.
/// Debezium: `after` comes for `c`, `r` and `u`, `before` goes for `u` and `d`, with or without the envelope of schema and
/// payload. Tombstones say nothing that the deletion before them has not said.
struct ChangeFormat {
    private let kind: RecordFormat
    /// The primary key's columns that are read from a record's text; empty: the key is what INCLUDE KEY gives.
    private let keyFields: [String]
    private let depthMax: Int

    /// Nil for FORMAT PLAIN.
    init?(_ definition: SourceDefinition, _ limits: ParseLimits) {
        guard definition.format != .plain else { return nil }
        kind = definition.format
        keyFields = definition.key.map { definition.columns[$0] }.filter { $0.role == .field }.map { $0.jsonPath?.first ?? $0.name }
        depthMax = limits.depthMax
    }

    /// A piece of text that is one row's JSON.
    struct Line {
        /// Where it stands in the record's value; nil: it is `made` instead.
        var range: Range<Int>?
        var made: [UInt8] = []
        var isDeletion: Bool
    }

    struct Refusal: Error {
        var code: String
        var message: String
    }

    /// What a record of `value` (in one line, followed by a line feed and 64 readable bytes) says; nil: it has no value.
    func lines(key: [UInt8]?, value: UnsafeBufferPointer<UInt8>?) throws(Refusal) -> [Line] {
        switch kind {
        case .plain: return []
        case .upsert:
            if let value { return [Line(range: 0..<value.count, isDeletion: false)] }
            return [Line(range: nil, made: try keyDocument(key), isDeletion: true)]
        case .debezium:
            guard let value, let start = value.baseAddress else { return [] }
            return try envelope(start, 0..<value.count)
        }
    }

    private func envelope(_ record: UnsafePointer<UInt8>, _ range: Range<Int>) throws(Refusal) -> [Line] {
        let members = try self.members(record, range)
        func member(_ name: String) -> Range<Int>? { members.last { $0.name == name }?.value }
        func isNull(_ value: Range<Int>) -> Bool { record[value.lowerBound] == UInt8(ascii: "n") }
        if let payload = member("payload"), member("op") == nil {
            return isNull(payload) ? [] : try envelope(record, payload)
        }
        guard let operation = member("op"), operation.count == 3, record[operation.lowerBound] == UInt8(ascii: "\"") else {
            throw Refusal(code: "invalid_envelope", message: "a change event needs \"op\" of one letter")
        }
        func row(_ name: String, isDeletion: Bool) throws(Refusal) -> Line {
            guard let value = member(name), record[value.lowerBound] == UInt8(ascii: "{") else {
                throw Refusal(code: "invalid_envelope", message: "a change event of this \"op\" needs \"\(name)\"")
            }
            return Line(range: value, isDeletion: isDeletion)
        }
        switch record[operation.lowerBound + 1] {
        case UInt8(ascii: "c"), UInt8(ascii: "r"): return [try row("after", isDeletion: false)]
        case UInt8(ascii: "d"): return [try row("before", isDeletion: true)]
        case UInt8(ascii: "u"):
            // Without `before` the row keeps its key, or the server was not told to say.
            let old = try member("before").flatMap { (value) throws(Refusal) in try isNull(value) ? nil : row("before", isDeletion: true) }
            return [old, try row("after", isDeletion: false)].compactMap { $0 }
        // A message of the application to itself.
        case UInt8(ascii: "m"): return []
        default: throw Refusal(code: "invalid_envelope", message: "a change event of an \"op\" that is none of c, r, u and d")
        }
    }

    private func members(_ record: UnsafePointer<UInt8>, _ range: Range<Int>) throws(Refusal) -> [JSONMembers.Member] {
        do throws(JSONMembers.Failure) {
            return try JSONMembers.of(record, range, depthMax: depthMax)
        } catch {
            throw Refusal(code: error.reason.rawValue, message: "byte \(error.at + 1): \(error.message)")
        }
    }

    /// A JSON object of the key's columns.
    private func keyDocument(_ key: [UInt8]?) throws(Refusal) -> [UInt8] {
        guard let key else { throw Refusal(code: "null_key", message: "a tombstone needs a key") }
        guard let field = keyFields.first else { return Array("{}".utf8) }
        let text = key.drop { $0 <= UInt8(ascii: " ") }
        if text.first == UInt8(ascii: "{") { return key.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 } }
        guard keyFields.count == 1 else {
            throw Refusal(code: "invalid_key", message: "the key has to be a JSON object of \(keyFields.joined(separator: ", "))")
        }
        let document = ByteSink()
        document.append("{")
        document.append(jsonString: Array(field.utf8))
        document.append(":")
        let isJSON = text.first == UInt8(ascii: "\"") || text.first.map { $0 == UInt8(ascii: "-") || (48...57).contains($0) } ?? false
        if isJSON { text.withUnsafeBytes { document.append($0) } } else { document.append(jsonString: key) }
        document.append("}")
        return Array(document.bytes).map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 }
    }
}

/// Records of changes on their way to rows with weights, in the records' order. A record of which any line is refused changes
/// nothing. Used by one shard's thread.
final class ChangeRows {
    private let format: ChangeFormat
    private let layout: ColumnLayout
    private let parser: RecordParser
    private let place: String
    private var heap: ByteHeap
    private var lines: [(offset: Int64, isDeletion: Bool, shift: Int)] = []
    private var frames: [RecordFrame] = []
    /// Among the delivered columns, those of the primary key.
    private let key: [Int]

    private static let heapBytes = 1 << 20

    init?(_ definition: SourceDefinition, _ columns: [Int], _ layout: ColumnLayout, place: String, limits: ParseLimits) throws(SQLError) {
        guard let format = ChangeFormat(definition, limits) else { return nil }
        guard definition.encode.encoding == .json else {
            throw SQLError(
                .featureNotSupported, "\"\(definition.name)\": FORMAT \(definition.format.rawValue.uppercased()) is read from JSON only",
                hint: "Use ENCODE JSON.")
        }
        self.format = format
        self.layout = layout
        self.place = place
        parser = try RecordParser(headless: definition, schema: layout.schema, limits: limits)
        heap = ByteHeap(capacity: ChangeRows.heapBytes)
        key = definition.key.compactMap { columns.firstIndex(of: $0) }
    }

    var isEmpty: Bool { lines.isEmpty }

    /// Whether what is held must be flushed before a record of so many bytes comes.
    func isFull(for count: Int) -> Bool { !lines.isEmpty && 2 * count + 256 > heap.free }

    /// Takes a record. `frame` is wanted where `ColumnLayout.includesFrame`.
    func add(offset: Int64, key: [UInt8]?, value: UnsafeRawBufferPointer?, frame: RecordFrame?) throws(ChangeFormat.Refusal) {
        if let value, !value.contains(where: { $0 > UInt8(ascii: " ") }) {
            throw ChangeFormat.Refusal(code: parser.emptyReason.rawValue, message: "the record's value is empty")
        }
        // A copy in one line, which may be scanned beyond its end.
        let copy = ByteHeap(capacity: (value?.count ?? 0) + 1)
        if let value, let start = value.baseAddress {
            _ = copy.append(start.assumingMemoryBound(to: UInt8.self), count: value.count)
            parser.joinLines(UnsafeMutableBufferPointer(start: copy.base, count: copy.used))
        }
        copy.base[copy.used] = UInt8(ascii: "\n")
        let made = try format.lines(key: key, value: value.map { UnsafeBufferPointer(start: UnsafePointer(copy.base), count: $0.count) })
        let bytes = made.reduce(0) { $0 + ($1.range?.count ?? $1.made.count) + 1 }
        if bytes > heap.free { heap = ByteHeap(capacity: max(ChangeRows.heapBytes, bytes)) }
        for line in made {
            if let range = line.range {
                _ = heap.append(UnsafePointer(copy.base) + range.lowerBound, count: range.count)
            } else {
                line.made.withUnsafeBufferPointer { if let start = $0.baseAddress { _ = heap.append(start, count: $0.count) } }
            }
            heap.base[heap.used] = UInt8(ascii: "\n")
            heap.used += 1
            lines.append((offset, line.isDeletion, line.range?.lowerBound ?? 0))
            if layout.includesFrame, let frame { frames.append(frame) }
        }
    }

    /// Delivers the rows of what was added; `refuse` is told of records that make none: offset, code, reason, field.
    func flush(
        source: Int, partition: Int32, rowsMax: Int, nanos: Int64, into receiver: any RecordReceiver,
        refuse: (Int64, String, String, String?) -> Void
    ) throws(SQLError) {
        guard !lines.isEmpty else { return }
        let columns = layout.schema.makeColumns(rows: lines.count)
        let block = OriginBlock(
            source: source, partition: partition, heap: heap, capacity: lines.count, ingestedAt: receiver.wallMicros)
        block.readAtNanos = nanos
        let progress = try parser.parse(
            heap, from: 0, to: heap.used, rowsMax: lines.count, firstOffset: 0, into: columns, origins: block, place: place)
        for column in columns { column.count = block.count }
        // By row: its line. Rows and lines are in the same order.
        let places = (0..<block.count).map { Int(block.offsets[$0]) }
        for row in 0..<block.count { block.offsets[row] = lines[places[row]].offset }
        let rows = layout.complete(columns, block, frames: frames.isEmpty ? [] : places.map { frames[$0] })
        var refused: Set<Int64> = []
        for record in progress.rejected {
            let line = lines[record.line]
            guard refused.insert(line.offset).inserted else { continue }
            refuse(line.offset, record.reason.rawValue, "byte \(line.shift + record.column): \(record.message)", record.field)
        }
        let kept = Selection(capacity: block.count)
        for row in 0..<block.count {
            let offset = lines[places[row]].offset
            if refused.contains(offset) { continue }
            if let missing = key.first(where: { rows[$0].isNull(row) }) {
                refused.insert(offset)
                refuse(offset, "null_key", "a column of the primary key is NULL", layout.name(of: missing))
                continue
            }
            kept.indexes[kept.count] = Int32(truncatingIfNeeded: row)
            kept.count += 1
        }
        deliver(Batch(count: block.count, columns: rows, origins: RowOrigins(block: block, rows: nil)), kept, places, refused, rowsMax, receiver)
        heap = ByteHeap(capacity: ChangeRows.heapBytes)
        lines.removeAll(keepingCapacity: true)
        frames.removeAll(keepingCapacity: true)
    }

    private func deliver(
        _ all: Batch, _ kept: Selection, _ places: [Int], _ refused: Set<Int64>, _ rowsMax: Int, _ receiver: any RecordReceiver
    ) {
        var at = 0
        while at < kept.count {
            let capacity = min(rowsMax, kept.count - at)
            let rows = Selection(capacity: capacity)
            let weights = Column(.bigint, capacity: capacity)
            while at < kept.count, rows.count < rowsMax {
                let line = lines[places[Int(kept.indexes[at])]]
                // The first of two lines was kept before the second was refused.
                if !refused.contains(line.offset) {
                    rows.indexes[rows.count] = kept.indexes[at]
                    rows.count += 1
                    weights.append(.bigint(line.isDeletion ? -1 : 1))
                }
                at += 1
            }
            guard rows.count > 0 else { continue }
            var batch = all.gather(rows)
            batch.weights = weights
            receiver.receive(batch)
        }
    }
}
