internal import Glibc
internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletLog
internal import MartletSQL

/// Records of a topic partition → batches and dead letters. Values are copied one after another into a heap, a line each,
/// so that the parsers see what they see of a file; what the copy changes (a line feed within a JSON document becomes a
/// blank) is never shown: dead letters have the original bytes.
final class TopicRows {
    private let definition: SourceDefinition
    private let ordinal: Int
    private let partition: Int32
    private let place: String
    private let clock: any Clock
    private let columns: [Int]
    private let layout: ColumnLayout
    private let parser: RecordParser
    private let limits = ParseLimits()

    /// For records that say what changes; the rest is for those that are rows.
    private let changes: ChangeRows?
    private var heap: ByteHeap
    /// Of each line in the heap: the record's offset and, where an included column wants it, its frame.
    private var offsets: [Int64] = []
    private var frames: [RecordFrame] = []

    private static let heapBytes = 1 << 20

    init(
        _ definition: SourceDefinition, ordinal: Int, partition: Int32, columns: [Int], place: String, clock: any Clock
    ) throws(SQLError) {
        self.definition = definition
        self.ordinal = ordinal
        self.partition = partition
        self.place = place
        self.clock = clock
        self.columns = columns
        layout = ColumnLayout(definition, columns)
        parser = try RecordParser(headless: definition, schema: layout.schema, limits: limits)
        changes = try ChangeRows(definition, columns, layout, place: place, limits: limits)
        heap = ByteHeap(capacity: TopicRows.heapBytes)
    }

    // MARK: Records in

    /// Whether what is held must be flushed before this record fits.
    func isFull(for record: RecordView) -> Bool {
        if let changes { return changes.isFull(for: record.value?.count ?? record.key?.count ?? 0) }
        return !offsets.isEmpty && (record.value?.count ?? 0) + 1 > heap.free
    }

    /// Takes a record, or refuses it at once where no parser could make a row of it.
    func add(_ record: RecordView, into receiver: any RecordReceiver) {
        if let changes { return add(record, to: changes, into: receiver) }
        guard let value = record.value else {
            return receiver.reject(
                letter(record.copy, "null_value", "the record has no value; FORMAT PLAIN has no use for a tombstone", wall: receiver.wallMicros))
        }
        guard value.count <= limits.recordBytesMax else {
            return receiver.reject(
                letter(
                    record.copy, RejectReason.tooLong.rawValue, "the record has \(value.count) bytes, more than \(limits.recordBytesMax)", wall: receiver.wallMicros))
        }
        // The line-based parsers pass over blank lines; a record is never passed over.
        guard value.contains(where: { $0 > UInt8(ascii: " ") }) else {
            return receiver.reject(
                letter(record.copy, parser.emptyReason.rawValue, "the record's value is empty", wall: receiver.wallMicros))
        }
        if value.count + 1 > heap.free { heap = ByteHeap(capacity: max(TopicRows.heapBytes, value.count + 1)) }
        let target = UnsafeMutableRawPointer(heap.base + heap.used)
        target.copyMemory(from: value.baseAddress!, byteCount: value.count)
        if memchr(target, Int32(UInt8(ascii: "\n")), value.count) != nil {
            parser.joinLines(UnsafeMutableBufferPointer(start: heap.base + heap.used, count: value.count))
        }
        heap.base[heap.used + value.count] = UInt8(ascii: "\n")
        heap.used += value.count + 1
        offsets.append(record.offset)
        if layout.includesFrame { frames.append(RecordFrame(record)) }
    }

    private func add(_ record: RecordView, to changes: ChangeRows, into receiver: any RecordReceiver) {
        do throws(ChangeFormat.Refusal) {
            if let value = record.value, value.count > limits.recordBytesMax {
                throw ChangeFormat.Refusal(
                    code: RejectReason.tooLong.rawValue, message: "the record has \(value.count) bytes, more than \(limits.recordBytesMax)")
            }
            try changes.add(
                offset: record.offset, key: record.key.map { Array($0) }, value: record.value,
                frame: layout.includesFrame ? RecordFrame(record) : nil)
        } catch {
            receiver.reject(letter(record.copy, error.code, error.message, wall: receiver.wallMicros))
        }
    }

    // MARK: Rows out

    /// Delivers the rows of what was added. `originals` holds the batches they came from, for the bytes of dead letters.
    func flush(rowsMax: Int, originals: [ByteSlice], into receiver: any RecordReceiver) throws(SQLError) {
        if let changes {
            var rejected: [Rejected] = []
            defer { reject(rejected, originals, wall: receiver.wallMicros, into: receiver) }
            return try changes.flush(
                source: ordinal, partition: partition, rowsMax: rowsMax, nanos: clock.monotonicNanos(), into: receiver
            ) { offset, code, reason, field in
                rejected.append(Rejected(offset: offset, code: code, reason: reason, field: field))
            }
        }
        guard !offsets.isEmpty else { return }
        let wall = receiver.wallMicros
        let nanos = clock.monotonicNanos()
        var position = 0
        var line = 0
        while position < heap.used {
            let columns = layout.schema.makeColumns(rows: rowsMax)
            let block = OriginBlock(source: ordinal, partition: partition, heap: heap, capacity: rowsMax, ingestedAt: wall)
            block.readAtNanos = nanos
            let progress = try parser.parse(
                heap, from: position, to: heap.used, rowsMax: rowsMax, firstOffset: Int64(line), into: columns, origins: block,
                place: place)
            let rejected = progress.rejected.map {
                Rejected(
                    offset: offsets[line + $0.line], code: $0.reason.rawValue, reason: "byte \($0.column): \($0.message)", field: $0.field)
            }
            reject(rejected, originals, wall: wall, into: receiver)
            position = progress.position
            line += progress.lines
            guard block.count > 0 else { continue }
            var rowFrames: [RecordFrame] = []
            for row in 0..<block.count {
                let number = Int(block.offsets[row])
                block.offsets[row] = offsets[number]
                if layout.includesFrame { rowFrames.append(frames[number]) }
            }
            for column in columns { column.count = block.count }
            receiver.receive(
                Batch(
                    count: block.count, columns: layout.complete(columns, block, frames: rowFrames),
                    origins: RowOrigins(block: block, rows: nil)))
        }
        // Rows hold on to the heap: the next ones get another.
        heap = ByteHeap(capacity: TopicRows.heapBytes)
        offsets.removeAll(keepingCapacity: true)
        frames.removeAll(keepingCapacity: true)
    }

    private struct Rejected {
        var offset: Int64
        var code: String
        var reason: String
        var field: String?
    }

    /// All that are rejected at once: a batch may have nothing else in it, and is not to be searched for each of them.
    private func reject(_ rejected: [Rejected], _ originals: [ByteSlice], wall: Int64, into receiver: any RecordReceiver) {
        guard !rejected.isEmpty else { return }
        let found = TopicRows.records(at: Set(rejected.map(\.offset)).sorted()[...], in: originals)
        let records = Dictionary(found.map { ($0.offset, $0) }) { first, _ in first }
        for each in rejected {
            let original = records[each.offset] ?? Record(offset: each.offset, key: nil, value: nil)
            receiver.reject(letter(original, each.code, each.reason, field: each.field, wall: wall))
        }
    }

    /// Rows with all columns, of records that made rows before.
    func reread(_ records: [Record], block: OriginBlock) throws(SQLError) -> Batch {
        try Reread.rows(records.count, definition, wanted: columns) { (places, isWhole) throws(SQLError) in
            let layout = ColumnLayout(definition, isWhole ? Array(definition.columns.indices) : columns)
            return try reread(places.map { records[$0] }, block, layout)
        }
    }

    private func reread(_ records: [Record], _ block: OriginBlock, _ layout: ColumnLayout) throws(SQLError) -> Batch {
        let parser = try RecordParser(headless: definition, schema: layout.schema, limits: limits)
        let columns = layout.schema.makeColumns(rows: records.count)
        let origins = OriginBlock(
            source: ordinal, partition: partition, heap: block.heap, capacity: records.count, ingestedAt: block.ingestedAt)
        for record in records {
            let value = record.value ?? []
            let copy = ByteHeap(capacity: max(value.count, 1))
            value.withUnsafeBufferPointer { bytes in
                if let start = bytes.baseAddress { _ = copy.append(start, count: bytes.count) }
            }
            parser.joinLines(UnsafeMutableBufferPointer(start: copy.base, count: copy.used))
            _ = try parser.parse(
                copy, from: 0, to: copy.used, rowsMax: records.count, firstOffset: record.offset, into: columns,
                origins: origins, place: place)
        }
        for column in columns { column.count = origins.count }
        return Batch(count: origins.count, columns: layout.complete(columns, origins, frames: records.map { RecordFrame($0) }))
    }

    /// The records at `offsets`, which ascend, among whole batches; those that are not there are left out. Reads each batch once.
    static func records(at offsets: ArraySlice<Int64>, in slices: [ByteSlice]) -> [Record] {
        var wanted = offsets
        var found: [Record] = []
        for slice in slices {
            for range in (try? RecordBatch.split(slice.bytes)) ?? [] {
                let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[range])
                guard let header = try? RecordBatchHeader(reading: batch) else { continue }
                wanted = wanted.drop { $0 < header.baseOffset }
                guard let first = wanted.first, first <= header.lastOffset, var reader = try? RecordBatchReader(batch) else { continue }
                while wanted.first.map({ $0 <= header.lastOffset }) ?? false, let record = try? reader.next() {
                    wanted = wanted.drop { $0 < record.offset }
                    guard wanted.first == record.offset else { continue }
                    found.append(record.copy)
                    wanted.removeFirst()
                }
            }
        }
        return found
    }

    private func letter(_ record: Record, _ code: String, _ reason: String, field: String? = nil, wall: Int64) -> DeadLetter {
        var letter = DeadLetter(
            source: ordinal, partition: partition, offset: record.offset, ingestedAt: wall, reasonCode: code,
            reason: "\(place) offset \(record.offset): \(reason)", field: field, payload: record.value ?? [])
        letter.key = record.key
        letter.headers = record.headers.isEmpty ? nil : RecordFrame(record).headersJSON
        return letter
    }
}

/// What a record carries beside its value.
struct RecordFrame {
    var key: [UInt8]?
    var headers: [RecordHeader]
    /// Microseconds since 1970.
    var timestamp: Int64

    init(_ record: RecordView) {
        key = record.key.map { Array($0) }
        headers = record.headers.map { RecordHeader(key: Array($0.key), value: $0.value.map { Array($0) }) }
        timestamp = record.timestamp.multipliedReportingOverflow(by: 1000).partialValue
    }

    init(_ record: Record) {
        key = record.key
        headers = record.headers
        timestamp = record.timestamp.multipliedReportingOverflow(by: 1000).partialValue
    }

    /// The last header of a name, as it counts in Kafka's clients.
    func header(_ name: String) -> [UInt8]? { headers.last { $0.key.elementsEqual(name.utf8) }?.value }

    /// All headers: `[{"key":"a","value":"1"},{"key":"b","base64":"/w=="}]`, base64 where a value is no UTF-8.
    var headersJSON: String {
        let sink = ByteSink()
        sink.append("[")
        for (index, header) in headers.enumerated() {
            sink.append(index == 0 ? "{\"key\":" : ",{\"key\":")
            sink.append(jsonString: Array(String(decoding: header.key, as: UTF8.self).utf8))
            switch header.value {
            case nil: sink.append(",\"value\":null}")
            case .some(let value) where String(validating: value, as: UTF8.self) != nil:
                sink.append(",\"value\":")
                sink.append(jsonString: value)
                sink.append("}")
            case .some(let value):
                sink.append(",\"base64\":")
                value.withUnsafeBufferPointer { sink.append(base64: $0) }
                sink.append("}")
            }
        }
        sink.append("]")
        return String(decoding: sink.bytes, as: UTF8.self)
    }
}
