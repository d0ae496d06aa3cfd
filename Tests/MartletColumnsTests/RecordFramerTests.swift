import MartletColumns
import MartletCore
import Testing

@Suite("Framing records")
struct RecordFramerTests {
    /// The records (JSON lines or CSV records) and overlong ones that come out when the input comes in reads of `size`.
    private func frame(
        _ bytes: [UInt8], _ format: RecordFramer.Format, readsOf size: Int, blockBytes: Int = 64, recordBytesMax: Int = 1000
    ) -> (text: [UInt8], overlong: [String], offsets: Bool) {
        var framer = RecordFramer(format, recordBytesMax: recordBytesMax, blockBytes: blockBytes)
        var text: [UInt8] = []
        var overlong: [String] = []
        var offsetsFit = true
        func take(_ block: RecordFramer.Block?) {
            guard let block else { return }
            if let long = block.overlong {
                overlong.append("\(long.length):\(long.inputOffset)")
                offsetsFit = offsetsFit && bytes[Int(long.inputOffset)] == long.head.base[0]
            }
            for at in block.start..<block.end {
                text.append(block.heap.base[at])
                offsetsFit = offsetsFit && bytes[Int(block.inputOffset) + at - block.start] == block.heap.base[at]
            }
        }
        var at = 0
        while at < bytes.count {
            let space = framer.space()
            #expect(space.count > 0)
            let count = min(size, space.count, bytes.count - at)
            for index in 0..<count { space[index] = bytes[at + index] }
            at += count
            take(framer.received(count))
        }
        take(framer.finish())
        return (text, overlong, offsetsFit)
    }

    @Test("every cut of the reads gives the same records", arguments: [1, 2, 3, 5, 31, 64, 1000])
    func cuts(size: Int) {
        var lines: [UInt8] = [0xEF, 0xBB, 0xBF]
        for row in 0..<50 { lines += Array("{\"n\":\(row),\"s\":\"\(String(repeating: "x", count: row * 3))\"}\n".utf8) }
        lines += Array("{\"last\":1}".utf8)
        let framed = frame(lines, .lines, readsOf: size)
        #expect(framed.text == Array(lines.dropFirst(3)))
        #expect(framed.overlong == [])
        #expect(framed.offsets)
    }

    @Test("a record over the limit is dropped and reported, its neighbours are not", arguments: [1, 7, 64])
    func overlong(size: Int) {
        let long = String(repeating: "y", count: 1500)
        let text = "a\n\(long)\nb\n\(long)\n\(long)\nc\n\(long)"
        let framed = frame(Array(text.utf8), .lines, readsOf: size)
        #expect(framed.overlong == ["1500:2", "1500:1505", "1500:3006", "1500:4509"])
        #expect(String(decoding: framed.text, as: UTF8.self) == "a\nb\nc\n")
        #expect(framed.offsets)
    }

    @Test("memory stays bounded while a hundred megabytes go by")
    func bounded() {
        var framer = RecordFramer(.lines, recordBytesMax: 1 << 20, blockBytes: 1 << 16)
        var largest = 0
        for _ in 0..<1600 {
            let space = framer.space()
            largest = max(largest, space.count)
            space.initializeMemory(as: UInt8.self, repeating: 0x78)
            #expect(framer.received(min(space.count, 1 << 16)) == nil)
        }
        #expect(largest <= 4 << 20)
        let last = framer.finish()
        #expect(last?.overlong?.head.used == RecordFramer.overlongBytesKept)
        #expect(last?.overlong?.length ?? 0 >= 100 << 20)
    }

    @Test("CSV records keep their line feeds, at every cut", arguments: [1, 2, 3, 17, 64, 1000])
    func quoted(size: Int) throws {
        var text = "a,b\n"
        for row in 0..<40 {
            text += "\(row),\"line\nfeed \"\"\(row)\"\", and more\"\r\n\(row),plain \"quote\" \(row)\n\"\",\"\"\n"
        }
        let schema = ParseSchema(columns: [ParseColumn("a", .text), ParseColumn("b", .text)])
        let whole = try parseCSV(Array(text.utf8), schema)
        #expect(whole.rows.count == 120)
        var framer = RecordFramer(.csv(delimiter: 0x2C), blockBytes: 64)
        let parser = try CSVRowParser(schema: schema, options: CSVOptions())
        var parsed = Parsed()
        let bytes = Array(text.utf8)
        var at = 0
        func take(_ block: RecordFramer.Block?) throws {
            guard let block, block.end > block.start else { return }
            let columns = schema.makeColumns(rows: 1000)
            let origins = OriginBlock(source: 0, partition: 0, heap: block.heap, capacity: 1000, ingestedAt: 0)
            let progress = try parser.parse(
                block.heap, from: block.start, to: block.end, rowsMax: 1000, firstOffset: Int64(parsed.lines),
                into: columns, origins: origins)
            #expect(progress.position == block.end)
            parsed.add(columns, origins, progress, block.heap)
        }
        while at < bytes.count {
            let space = framer.space()
            let count = min(size, space.count, bytes.count - at)
            for index in 0..<count { space[index] = bytes[at + index] }
            at += count
            try take(framer.received(count))
        }
        try take(framer.finish())
        #expect(parsed.rows == whole.rows)
        #expect(parsed.offsets == whole.offsets)
        #expect(parsed.reasons == [])
    }
}
