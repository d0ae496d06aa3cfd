internal import MartletColumns
internal import MartletCore

/// Invariants: every record becomes a row or a rejection, in order and without overlap; the framer, whatever the size of
/// the reads, gives the parser the same records as the whole input at once; what is accepted is read back the same when it
/// is written as CSV, and the same again when it is written as JSON.
func fuzzCSV(_ input: UnsafeRawBufferPointer) {
    guard input.count > 1, let base = input.baseAddress else { return }
    // The first byte chooses the size of the reads; the rest is the input, passed through the framer for its byte order mark.
    let readBytes = Int(input[0]) + 1
    let bytes = UnsafeRawBufferPointer(start: base + 1, count: input.count - 1)
    let whole = CSVRecords(bytes, readsOf: bytes.count, blockBytes: bytes.count + 1)
    let framed = CSVRecords(bytes, readsOf: readBytes, blockBytes: 64)
    if whole.rows != framed.rows || whole.refused != framed.refused {
        print("whole:", whole, "framed:", framed, separator: "\n")
        preconditionFailure("the size of the reads changes the outcome")
    }
    checkRoundTrips(whole)
}

private let names = ["s", "i", "d", "t", "m", "b"]
private let types: [DataType] = [.text, .bigint, .double, .timestamptz, .plainNumeric, .boolean]
private let schema = ParseSchema(columns: zip(names, types).map { ParseColumn($0, $1) })

private struct CSVRecords {
    var rows: [[String]] = []
    var refused: [String] = []
    var batches: [Batch] = []

    init(_ bytes: UnsafeRawBufferPointer, readsOf readBytes: Int, blockBytes: Int) {
        let options = CSVOptions(hasHeader: false, fieldNames: names)
        guard let parser = try? CSVRowParser(schema: schema, options: options) else {
            preconditionFailure("the schema is a good one")
        }
        var framer = RecordFramer(.csv(delimiter: options.delimiter), blockBytes: blockBytes)
        var line = 0
        var at = 0
        while at < bytes.count {
            let space = framer.space()
            let count = min(readBytes, space.count, bytes.count - at)
            space.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[at..<(at + count)]))
            at += count
            take(framer.received(count), parser, &line)
        }
        take(framer.finish(), parser, &line)
    }

    private mutating func take(_ block: RecordFramer.Block?, _ parser: CSVRowParser, _ line: inout Int) {
        guard let block else { return }
        let rowsMax = block.end - block.start + 1
        let columns = schema.makeColumns(rows: rowsMax)
        let origins = OriginBlock(source: 0, partition: 0, heap: block.heap, capacity: rowsMax, ingestedAt: 0)
        guard
            let progress = try? parser.parse(
                block.heap, from: block.start, to: block.end, rowsMax: rowsMax, firstOffset: Int64(line), into: columns,
                origins: origins)
        else { preconditionFailure("without a header nothing can be missing") }
        precondition(progress.position == block.end, "a block is read to its end")
        precondition(origins.count + progress.rejected.count <= progress.lines, "one outcome a record")
        for row in 0..<origins.count {
            rows.append(["\(origins.offsets[row])"] + columns.map { "\($0.value(at: row))" })
        }
        for record in progress.rejected {
            precondition(record.start >= block.start && record.start + record.length <= block.end, "within the block")
            refused.append("\(line + record.line) \(record.reason) \(record.column) \(record.length)")
        }
        line += progress.lines
        batches.append(Batch(count: origins.count, columns: columns))
    }
}

private func checkRoundTrips(_ records: CSVRecords) {
    let table = ByteSink()
    let lines = ByteSink()
    for batch in records.batches {
        CSVRowWriter(names: names, types: types).write(batch, into: table)
        JSONRowWriter(names: names, types: types).write(batch, into: lines)
    }
    if table.isEmpty { return }
    let expected = records.rows.map { $0.dropFirst() }
    let again = CSVRecords(table.bytes, readsOf: table.count, blockBytes: table.count + 1)
    if !again.refused.isEmpty || again.rows.map({ $0.dropFirst() }) != expected {
        print("written:", expected, "read:", again.rows, again.refused, separator: "\n")
        preconditionFailure("CSV is read back as written")
    }
    let heap = ByteHeap(capacity: lines.count)
    _ = heap.append(lines.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), count: lines.count)
    let columns = schema.makeColumns(rows: expected.count)
    let origins = OriginBlock(source: 0, partition: 0, heap: heap, capacity: expected.count, ingestedAt: 0)
    guard let parser = try? JSONRowParser(schema: schema) else { preconditionFailure("the schema is a good one") }
    let progress = parser.parse(
        heap, from: 0, to: heap.used, rowsMax: expected.count, firstOffset: 0, into: columns, origins: origins)
    if !progress.rejected.isEmpty {
        print("written:", expected, "refused:", progress.rejected.map(\.message), lines.text, separator: "\n")
        preconditionFailure("JSON is read back as written")
    }
    for row in 0..<expected.count {
        precondition(columns.map { "\($0.value(at: row))" } == Array(expected[row]), "JSON is read back as written")
    }
}
