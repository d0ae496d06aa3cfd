import MartletColumns
import MartletCore

/// What a parser made of a text.
struct Parsed {
    var rows: [[Value]] = []
    var rejected: [RejectedRecord] = []
    /// The original bytes of the refused and of the accepted records, and the accepted ones' offsets.
    var rejectedTexts: [String] = []
    var texts: [String] = []
    var offsets: [Int64] = []
    var lines = 0

    var reasons: [RejectReason] { rejected.map(\.reason) }

    mutating func add(_ columns: [Column], _ origins: OriginBlock, _ progress: ParseProgress, _ heap: ByteHeap) {
        for row in 0..<origins.count {
            rows.append(columns.map { $0.value(at: row) })
            texts.append(String(decoding: origins.payload(row), as: UTF8.self))
            offsets.append(origins.offsets[row])
        }
        for record in progress.rejected {
            var moved = record
            moved.line += lines
            rejected.append(moved)
            let bytes = UnsafeBufferPointer(start: heap.base + record.start, count: record.length)
            rejectedTexts.append(String(decoding: bytes, as: UTF8.self))
        }
        lines += progress.lines
    }
}

func heap(of bytes: [UInt8]) -> ByteHeap {
    let heap = ByteHeap(capacity: bytes.count)
    _ = bytes.withUnsafeBufferPointer { $0.baseAddress.map { heap.append($0, count: bytes.count) } }
    return heap
}

/// Parses all of `text` in batches of `rowsMax`.
func parseJSON(
    _ bytes: [UInt8], _ schema: ParseSchema, rowsMax: Int = 1000, limits: ParseLimits = ParseLimits(),
    parser given: JSONRowParser? = nil
) throws -> Parsed {
    let parser = try given ?? JSONRowParser(schema: schema, limits: limits)
    let input = heap(of: bytes)
    var parsed = Parsed()
    var position = 0
    while position < bytes.count {
        let columns = schema.makeColumns(rows: rowsMax)
        let origins = OriginBlock(source: 0, partition: 0, heap: input, capacity: rowsMax, ingestedAt: 0)
        let progress = parser.parse(
            input, from: position, to: bytes.count, rowsMax: rowsMax, firstOffset: Int64(parsed.lines), into: columns,
            origins: origins)
        parsed.add(columns, origins, progress, input)
        position = progress.position
    }
    return parsed
}

func parseJSON(_ text: String, _ columns: ParseColumn..., rowsMax: Int = 1000) throws -> Parsed {
    try parseJSON(Array(text.utf8), ParseSchema(columns: columns), rowsMax: rowsMax)
}

func parseCSV(
    _ bytes: [UInt8], _ schema: ParseSchema, options: CSVOptions = CSVOptions(), rowsMax: Int = 1000
) throws -> Parsed {
    let parser = try CSVRowParser(schema: schema, options: options)
    let input = heap(of: bytes)
    var parsed = Parsed()
    var position = 0
    while position < bytes.count {
        let columns = schema.makeColumns(rows: rowsMax)
        let origins = OriginBlock(source: 0, partition: 0, heap: input, capacity: rowsMax, ingestedAt: 0)
        let progress = try parser.parse(
            input, from: position, to: bytes.count, rowsMax: rowsMax, firstOffset: Int64(parsed.lines), into: columns,
            origins: origins)
        parsed.add(columns, origins, progress, input)
        position = progress.position
    }
    return parsed
}

func parseCSV(_ text: String, _ columns: ParseColumn..., options: CSVOptions = CSVOptions()) throws -> Parsed {
    try parseCSV(Array(text.utf8), ParseSchema(columns: columns), options: options)
}

func numeric(_ text: String) -> Value { .numeric(Decimal(text: text)!) }

/// Values and their display scale: 1.50 is not 1.5.
func shown(_ values: [Value]) -> [String] { values.map { $0.isNull ? "NULL" : $0.text } }
