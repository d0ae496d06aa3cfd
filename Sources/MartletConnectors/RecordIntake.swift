internal import Glibc
internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// Bytes of one partition → batches and dead letters. Keeps what is not yet a whole record for the next call, so that
/// records may be cut anywhere.
final class RecordIntake {
    private let definition: SourceDefinition
    private let ordinal: Int
    private let partition: Int32
    /// What messages call the partition: its path.
    private let place: String
    private let clock: any Clock
    private let columns: [Int]
    /// Where the parsed columns and the included ones stand among the delivered.
    private let layout: ColumnLayout
    private var parser: RecordParser
    private let limits = ParseLimits()

    /// The number of the next record (a line of NDJSON), from 0.
    private var nextRecord: Int64 = 0
    private var framer: RecordFramer
    /// For records that say what changes.
    private let changes: ChangeRows?

    init(
        _ definition: SourceDefinition, ordinal: Int, partition: Int, columns: [Int], place: String, clock: any Clock
    ) throws(SQLError) {
        self.definition = definition
        self.ordinal = ordinal
        self.partition = Int32(truncatingIfNeeded: partition)
        self.place = place
        self.clock = clock
        self.columns = columns
        layout = ColumnLayout(definition, columns)
        parser = try RecordParser(definition, schema: layout.schema, limits: limits)
        framer = RecordFramer(parser.framing, recordBytesMax: limits.recordBytesMax)
        changes = try ChangeRows(definition, columns, layout, place: place, limits: limits)
    }

    // MARK: Bytes in

    /// Where the next bytes go; never empty.
    func space() -> UnsafeMutableRawBufferPointer { framer.space() }

    /// `count` bytes were written into the space.
    func take(_ count: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        if let block = framer.received(count) { try parse(block, rows: rows, into: receiver) }
    }

    /// The input is at its end: what is left is the last record.
    func end(rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        if let block = framer.finish() { try parse(block, rows: rows, into: receiver) }
    }

    /// Another file begins.
    func restart() throws(SQLError) {
        nextRecord = 0
        parser = try RecordParser(definition, schema: layout.schema, limits: limits)
        framer = RecordFramer(parser.framing, recordBytesMax: limits.recordBytesMax)
    }

    // MARK: Places

    /// Where the next record begins, in bytes from the start of the input.
    var consumed: Int64 { framer.consumed }

    func save(into writer: StateWriter) {
        writer.write(consumed)
        writer.write(nextRecord)
        let names = parser.fieldNames
        writer.write(UInt64(names.count))
        for name in names { writer.write(name) }
    }

    /// Goes on at the place saved, with the bytes from `consumed` on.
    func restore(from reader: StateReader) throws(StateError) {
        let offset: Int64 = try reader.read()
        nextRecord = try reader.read()
        guard offset >= 0, nextRecord >= 0 else { throw reader.error("a place before the start of \(place)") }
        var names: [String] = []
        for _ in 0..<(try reader.readCount(max: 1 << 20)) { names.append(try reader.readText()) }
        // Behind its header the input has only the rows.
        if !names.isEmpty {
            do throws(SQLError) {
                parser = try RecordParser(definition, schema: layout.schema, limits: limits, header: names)
            } catch {
                throw reader.error(error.message)
            }
        }
        framer = RecordFramer(parser.framing, recordBytesMax: limits.recordBytesMax, inputOffset: offset)
    }

    // MARK: Records out

    private func parse(_ framed: RecordFramer.Block, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        let wall = receiver.wallMicros
        let nanos = clock.monotonicNanos()
        if let overlong = framed.overlong {
            receiver.reject(letter(overlong, wall))
            nextRecord += 1
        }
        if let changes { return try parseChanges(framed, changes, rows: rows, nanos: nanos, into: receiver) }
        var position = framed.start
        while position < framed.end {
            let columns = layout.schema.makeColumns(rows: rows)
            let block = OriginBlock(
                source: ordinal, partition: partition, heap: framed.heap, capacity: rows, ingestedAt: wall)
            block.readAtNanos = nanos
            let progress = try parser.parse(
                framed.heap, from: position, to: framed.end, rowsMax: rows, firstOffset: nextRecord, into: columns,
                origins: block, place: place)
            for record in progress.rejected { receiver.reject(letter(record, framed.heap, wall)) }
            position = progress.position
            nextRecord += Int64(progress.lines)
            guard block.count > 0 else { continue }
            for column in columns { column.count = block.count }
            receiver.receive(
                Batch(
                    count: block.count, columns: layout.complete(columns, block),
                    origins: RowOrigins(block: block, rows: nil)))
        }
    }

    /// Line by line: a line makes no row, one, or two.
    private func parseChanges(
        _ framed: RecordFramer.Block, _ changes: ChangeRows, rows: Int, nanos: Int64, into receiver: any RecordReceiver
    ) throws(SQLError) {
        let first = nextRecord
        var lines: [Range<Int>] = []
        func refuse(_ number: Int64, _ code: String, _ reason: String, _ field: String?) {
            let line = lines[Int(number - first)]
            let shown = min(line.count, RecordIntake.payloadBytesMax)
            receiver.reject(
                DeadLetter(
                    source: ordinal, partition: partition, offset: number, ingestedAt: receiver.wallMicros, reasonCode: code,
                    reason: "\(place):\(number + 1): \(reason)", field: field,
                    payload: Array(UnsafeBufferPointer(start: framed.heap.base + line.lowerBound, count: shown))))
        }
        func flush() throws(SQLError) {
            try changes.flush(
                source: ordinal, partition: partition, rowsMax: rows, nanos: nanos, into: receiver, refuse: refuse)
        }
        var start = framed.start
        while start < framed.end {
            let rest = UnsafeRawBufferPointer(start: framed.heap.base + start, count: framed.end - start)
            let count = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            let line = UnsafeRawBufferPointer(rebasing: rest[..<count])
            lines.append(start..<start + count)
            if line.contains(where: { $0 > UInt8(ascii: " ") }) {
                if changes.isFull(for: count) { try flush() }
                do throws(ChangeFormat.Refusal) {
                    try changes.add(offset: nextRecord, key: nil, value: line, frame: nil)
                } catch {
                    refuse(nextRecord, error.code, error.message, nil)
                }
            }
            nextRecord += 1
            start += count + 1
        }
        try flush()
    }

    private func letter(_ overlong: RecordFramer.Overlong, _ wall: Int64) -> DeadLetter {
        DeadLetter(
            source: ordinal, partition: partition, offset: nextRecord, ingestedAt: wall,
            reasonCode: RejectReason.tooLong.rawValue,
            reason: "\(place):\(nextRecord + 1):1: the record has \(overlong.length) bytes, more than \(limits.recordBytesMax)",
            field: nil, payload: Array(UnsafeBufferPointer(start: overlong.head.base, count: overlong.head.used)))
    }

    private func letter(_ record: RejectedRecord, _ heap: ByteHeap, _ wall: Int64) -> DeadLetter {
        let number = nextRecord + Int64(record.line)
        let shown = min(record.length, RecordIntake.payloadBytesMax)
        return DeadLetter(
            source: ordinal, partition: partition, offset: number, ingestedAt: wall, reasonCode: record.reason.rawValue,
            reason: "\(place):\(number + 1):\(record.column): \(record.message)", field: record.field,
            payload: Array(UnsafeBufferPointer(start: heap.base + record.start, count: shown)))
    }

    /// A longer record's dead letter has its beginning only.
    private static let payloadBytesMax = 1 << 20

    /// The records again, with all columns.
    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch {
        try Reread.rows(rows.count, definition, wanted: columns) { (places, isWhole) throws(SQLError) in
            let reader = try isWhole ? fullReader() : (layout, parser.again(definition, schema: layout.schema, limits: limits))
            return try reread(block, places.map { rows[$0] }, reader)
        }
    }

    private func reread(_ block: OriginBlock, _ rows: [Int], _ reader: (layout: ColumnLayout, parser: RecordParser)) throws(SQLError) -> Batch {
        let columns = reader.layout.schema.makeColumns(rows: rows.count)
        let origins = OriginBlock(
            source: ordinal, partition: partition, heap: block.heap, capacity: rows.count, ingestedAt: block.ingestedAt)
        for row in rows {
            let payload = block.payload(row)
            let copy = ByteHeap(capacity: payload.count)
            if let start = payload.baseAddress { _ = copy.append(start, count: payload.count) }
            _ = try reader.parser.parse(
                copy, from: 0, to: copy.used, rowsMax: rows.count, firstOffset: block.offsets[row], into: columns,
                origins: origins, place: place)
        }
        for column in columns { column.count = origins.count }
        return Batch(count: origins.count, columns: reader.layout.complete(columns, origins))
    }

    private var full: (layout: ColumnLayout, parser: RecordParser)?

    private func fullReader() throws(SQLError) -> (layout: ColumnLayout, parser: RecordParser) {
        if let full { return full }
        let layout = ColumnLayout(definition, Array(definition.columns.indices))
        let made = (layout, try parser.again(definition, schema: layout.schema, limits: limits))
        full = made
        return made
    }
}

/// Which delivered columns come from the record and which from its frame (INCLUDE).
struct ColumnLayout {
    let schema: ParseSchema
    /// For each delivered column: its place in the schema, or what to fill in.
    private let places: [Place]

    private enum Place {
        case parsed(Int)
        case included(SourceColumn)
    }

    private let names: [String]

    /// What a delivered column is called.
    func name(of delivered: Int) -> String { names[delivered] }

    /// Whether a delivered column comes from what only a topic's records have beside their value.
    let includesFrame: Bool

    init(_ definition: SourceDefinition, _ columns: [Int]) {
        var parsed: [ParseColumn] = []
        names = columns.map { definition.columns[$0].name }
        places = columns.map { ordinal in
            let column = definition.columns[ordinal]
            switch column.role {
            case .include: return .included(column)
            case .field:
                parsed.append(
                    ParseColumn(
                        path: column.jsonPath ?? [column.name], type: column.type,
                        timestampHandling: TimestampHandling(
                            rawValue: definition.encode.timestampHandling.rawValue) ?? .guess))
                return .parsed(parsed.count - 1)
            }
        }
        schema = ParseSchema(columns: parsed)
        includesFrame = columns.contains { ordinal in
            switch definition.columns[ordinal].role {
            case .include(.key), .include(.header), .include(.timestamp): true
            case .include(.offset), .include(.partition), .field: false
            }
        }
    }

    /// The parsed columns, with the included ones in their places. A file's records have no key and no headers; their
    /// timestamp is that of the reading. `frames` has one for each row of the block, or none at all.
    func complete(_ parsed: [Column], _ block: OriginBlock, frames: [RecordFrame] = []) -> [Column] {
        places.map { place in
            switch place {
            case .parsed(let at): return parsed[at]
            case .included(let included):
                let column = Column(included.type, capacity: block.count)
                for row in 0..<block.count {
                    column.append(value(included, block, row, frames.isEmpty ? nil : frames[row]))
                }
                return column
            }
        }
    }

    private func value(_ column: SourceColumn, _ block: OriginBlock, _ row: Int, _ frame: RecordFrame?) -> Value {
        guard case .include(let kind) = column.role else { return .null }
        switch kind {
        case .offset: return .bigint(block.offsets[row])
        case .partition: return .integer(block.partition)
        case .timestamp: return .instant(frame?.timestamp ?? block.ingestedAt, column.type)
        case .key: return frame?.key.map { .bytea($0) } ?? .null
        case .header:
            guard let frame else { return .null }
            guard let name = column.headerName else { return .jsonb(frame.headersJSON) }
            return frame.header(name).map { .bytea($0) } ?? .null
        }
    }
}
