internal import CMartletSimdjson
internal import MartletColumns
internal import MartletCore

/// Lines of Nexmark's bids, about 196 bytes each.
struct BidLines {
    let heap: ByteHeap
    let rows: Int

    enum Order { case usual, spaced, shuffled }

    init(rows: Int, order: Order = .usual) {
        var random = Xoshiro256(seed: 7)
        let sink = ByteSink(capacity: rows * 220)
        for row in 0..<rows {
            let channel = ["Google", "Facebook", "Baidu", "Apple", "channel-\(random.next() % 10000)"][Int(random.next() % 5)]
            let millis = row * 100 / 920
            let second = millis / 1000
            func pad(_ value: Int, _ width: Int) -> String {
                let text = String(value)
                return String(repeating: "0", count: max(width - text.count, 0)) + text
            }
            let time = "2026-01-01T\(pad(second / 3600 % 24, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2)).\(pad(millis % 1000, 3))Z"
            var members = [
                "\"auction\":\(1000 + random.next() % 20000)", "\"bidder\":\(1000 + random.next() % 6000)",
                "\"price\":\(random.next() % 10_000_000)", "\"channel\":\"\(channel)\"",
                "\"url\":\"https://www.nexmark.com/\(channel)/item.htm?query=1\"", "\"date_time\":\"\(time)\"",
            ]
            let length = members.reduce(2) { $0 + $1.utf8.count + 1 }
            members.append("\"extra\":\"\(String(repeating: "x", count: max(196 - length - 11, 0)))\"")
            if order == .shuffled { members.shuffle(using: &random) }
            let separator = order == .spaced ? ", " : ","
            if order == .spaced {
                members = members.map { member in
                    let colon = member.firstIndex(of: ":")!
                    return member[...colon] + " " + member[member.index(after: colon)...]
                }
            }
            sink.append(text: "{" + members.joined(separator: separator) + "}\n")
        }
        heap = ByteHeap(capacity: sink.count)
        _ = heap.append(sink.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), count: sink.count)
        self.rows = rows
    }
}

let windowSchema = ParseSchema(columns: [
    ParseColumn("bidder", .bigint), ParseColumn("price", .bigint), ParseColumn("date_time", .timestamptz),
])
let passSchema = ParseSchema(columns: [
    ParseColumn("auction", .bigint), ParseColumn("bidder", .bigint), ParseColumn("price", .bigint),
    ParseColumn("date_time", .timestamptz), ParseColumn("extra", .text),
])

/// Parses all of the lines in batches of 4,096 rows.
func parseAll(_ lines: BidLines, _ parser: JSONRowParser, _ schema: ParseSchema) {
    var position = 0
    var total = 0
    while position < lines.heap.used {
        let columns = schema.makeColumns(rows: 4096)
        let origins = OriginBlock(source: 0, partition: 0, heap: lines.heap, capacity: 4096, ingestedAt: 0)
        // A block of about a megabyte a call, cut at a line end.
        var end = min(position + (1 << 20), lines.heap.used)
        while lines.heap.base[end - 1] != 0x0A { end -= 1 }
        let progress = parser.parse(
            lines.heap, from: position, to: end, rowsMax: 4096, firstOffset: Int64(total), into: columns, origins: origins)
        precondition(progress.rejected.isEmpty)
        position = progress.position
        total += origins.count
    }
    precondition(total == lines.rows)
}

func benchJSON(_ report: Report) {
    let rows = report.rows
    func parse(_ figure: String, _ schema: ParseSchema, _ lines: BidLines, peers: Bool = false) {
        guard report.wants(figure) else { return }
        let parser = try! JSONRowParser(schema: schema)
        var bodies: [() -> Void] = [{ parseAll(lines, parser, schema) }]
        if peers {
            bodies.append { peer(lines, schema, ondemand: true) }
            bodies.append { peer(lines, schema, ondemand: false) }
        }
        let times = report.medians(bodies)
        let bytes = Double(lines.heap.used)
        for (index, engine) in ["martlet", "simdjson-ondemand", "simdjson-dom"].prefix(times.count).enumerated() {
            report.print(
                figure, engine: engine, seconds: times[index], rows: rows, value: bytes / times[index] / 1e9, unit: "GB/s",
                ratio: index == 0 ? nil : times[index] / times[0])
        }
    }
    guard report.wants("json_parse") else { return }
    let usual = BidLines(rows: rows)
    parse("json_parse_window", windowSchema, usual, peers: true)
    parse("json_parse_pass", passSchema, usual, peers: true)
    parse("json_parse_spaced", passSchema, BidLines(rows: rows, order: .spaced))
    parse("json_parse_shuffled", passSchema, BidLines(rows: rows, order: .shuffled))
}

private func peer(_ lines: BidLines, _ schema: ParseSchema, ondemand: Bool) {
    let names = schema.columns.map(\.name)
    var count = 0
    withCStrings(names) { pointers in
        if ondemand {
            _ = martlet_json_peer_ondemand(lines.heap.base, lines.heap.used, pointers.baseAddress, names.count, &count)
        } else {
            let parser = martlet_json_parser_create(128)
            _ = martlet_json_peer_dom(parser, lines.heap.base, lines.heap.used, pointers.baseAddress, names.count, &count)
            martlet_json_parser_destroy(parser)
        }
    }
    precondition(count == lines.rows)
}

private func withCStrings(_ names: [String], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Void) {
    let copies = names.map { name in
        let bytes = Array(name.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        copy.update(from: bytes, count: bytes.count)
        return copy
    }
    copies.map { Optional(UnsafePointer($0)) }.withUnsafeBufferPointer(body)
    for copy in copies { copy.deallocate() }
}
