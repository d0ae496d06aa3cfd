internal import MartletColumns
internal import MartletCore

/// CSV in, JSON and CSV out, over the bids that the JSON figures parse.
func benchRows(_ report: Report) {
    let rows = report.rows
    guard report.wants("csv_parse") || report.wants("json_write") || report.wants("csv_write") else { return }
    let batches = parsedBatches(BidLines(rows: rows), passSchema)
    let names = passSchema.columns.map(\.name)
    let types = passSchema.columns.map(\.type)
    let sink = ByteSink(capacity: 1 << 20)

    func write(_ figure: String, _ body: @escaping (Batch) -> Void) {
        guard report.wants(figure) else { return }
        let time = report.medians([
            {
                for batch in batches {
                    sink.clear()
                    body(batch)
                }
            }
        ])[0]
        report.print(figure, seconds: time, rows: rows, value: time / Double(rows) * 1e9, unit: "ns/row")
    }
    let json = JSONRowWriter(names: names, types: types)
    write("json_write_pass") { json.write($0, into: sink) }
    let csv = CSVRowWriter(names: names, types: types)
    write("csv_write_pass") { csv.write($0, into: sink) }

    guard report.wants("csv_parse") else { return }
    let table = ByteSink(capacity: rows * 128)
    csv.writeHeader(into: table)
    for batch in batches { csv.write(batch, into: table) }
    let heap = ByteHeap(capacity: table.count)
    _ = heap.append(table.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), count: table.count)
    let time = report.medians([{ parseTable(heap, rows: rows) }])[0]
    report.print("csv_parse_pass", seconds: time, rows: rows, value: Double(heap.used) / time / 1e9, unit: "GB/s")
}

private func parsedBatches(_ lines: BidLines, _ schema: ParseSchema) -> [Batch] {
    let parser = try! JSONRowParser(schema: schema)
    var batches: [Batch] = []
    var position = 0
    while position < lines.heap.used {
        let columns = schema.makeColumns(rows: 4096)
        let origins = OriginBlock(source: 0, partition: 0, heap: lines.heap, capacity: 4096, ingestedAt: 0)
        position =
            parser.parse(
                lines.heap, from: position, to: lines.heap.used, rowsMax: 4096, firstOffset: 0, into: columns,
                origins: origins
            ).position
        batches.append(Batch(count: origins.count, columns: columns))
    }
    return batches
}

private func parseTable(_ heap: ByteHeap, rows: Int) {
    let parser = try! CSVRowParser(schema: passSchema, options: CSVOptions())
    var position = 0
    var total = 0
    while position < heap.used {
        let columns = passSchema.makeColumns(rows: 4096)
        let origins = OriginBlock(source: 0, partition: 0, heap: heap, capacity: 4096, ingestedAt: 0)
        var end = min(position + (1 << 20), heap.used)
        while heap.base[end - 1] != 0x0A { end -= 1 }
        position =
            try! parser.parse(
                heap, from: position, to: end, rowsMax: 4096, firstOffset: Int64(total), into: columns, origins: origins
            ).position
        total += origins.count
    }
    precondition(total == rows)
}
