import MartletCore
import MartletPostgres
import Testing

@Suite("COPY's formats")
struct CopyTests {
    private final class Rows: CopyRowTarget {
        var rows: [[String?]] = []
        func row(_ fields: CopyFields) throws(SQLError) {
            rows.append((0..<fields.count).map { index in fields[index].map { String(decoding: $0, as: UTF8.self) } })
        }
    }

    static let csvFormat: CopyFormat = {
        var format = CopyFormat()
        format.kind = .csv
        format.delimiter = UInt8(ascii: ",")
        format.null = ""
        return format
    }()

    /// In pieces of `size` bytes.
    private func read(_ text: String, _ format: CopyFormat, size: Int) throws(SQLError) -> [[String?]] {
        let target = Rows()
        let reader = CopyReader(format, rowBytesMax: 64)
        let sink = ByteSink()
        sink.append(text: text)
        var start = 0
        while start < sink.count {
            let end = min(start + size, sink.count)
            try reader.feed(UnsafeRawBufferPointer(rebasing: sink.bytes[start..<end]), to: target)
            start = end
        }
        try reader.finish(to: target)
        return target.rows
    }

    @Test("text: escapes, NULL, the end mark, a last line without its end", arguments: [1, 2, 3, 7, 1000])
    func text(size: Int) throws {
        let rows = try read("a\\tb\t\\N\r\n\\x41\\102\\\\\t\\\n\n\t\nlast\tline", CopyFormat(), size: size)
        #expect(rows == [["a\tb", nil], ["AB\\", "\n"], ["", ""], ["last", "line"]])
        #expect(try read("1\n\\.\n2\n", CopyFormat(), size: size) == [["1"]])
    }

    @Test("CSV: quotes, line feeds in them, NULL and the empty text, a header", arguments: [1, 2, 3, 7, 1000])
    func csv(size: Int) throws {
        let rows = try read("a,\"b,\"\"c\n\"\n,\"\"\r\n\"x\"y,z\n", Self.csvFormat, size: size)
        #expect(rows == [["a", "b,\"c\n"], [nil, ""], ["xy", "z"]])
        var format = Self.csvFormat
        format.hasHeader = true
        format.escape = UInt8(ascii: "\\")
        #expect(try read("h,i\n\"a\\\"b\",c\n", format, size: size) == [["a\"b", "c"]])
        #expect(throws: SQLError(CopyReader.badFormat, "unterminated CSV quoted field")) { try read("a,\"b", Self.csvFormat, size: size) }
    }

    @Test("a row without an end is refused once it is too long")
    func tooLong() {
        #expect(throws: SQLError.self) { try read(String(repeating: "x", count: 100), CopyFormat(), size: 10) }
    }

    @Test("binary: what is written is read, however it is cut", arguments: [1, 5, 1000])
    func binary(size: Int) throws {
        var format = CopyFormat()
        format.kind = .binary
        let sink = ByteSink()
        CopyWriter.writeSignature(to: sink)
        for _ in 0..<3 {
            sink.append(big: Int16(2))
            BinaryValue.writeSized(.text("ab"), to: sink)
            BinaryValue.writeSized(.null, to: sink)
        }
        let whole = sink.count
        CopyWriter(format).writeTrailer(rows: 3, to: sink)
        func read(_ count: Int) throws(SQLError) -> [[String?]] {
            let target = Rows()
            let reader = CopyReader(format)
            var start = 0
            while start < count {
                let end = min(start + size, count)
                try reader.feed(UnsafeRawBufferPointer(rebasing: sink.bytes[start..<end]), to: target)
                start = end
            }
            try reader.finish(to: target)
            return target.rows
        }
        #expect(try read(sink.count) == [["ab", nil], ["ab", nil], ["ab", nil]])
        #expect(try read(whole).count == 3)
        #expect(throws: SQLError(CopyReader.badFormat, "unexpected EOF in COPY data")) { try read(whole - 1) }
        #expect(throws: SQLError(CopyReader.badFormat, "COPY file signature not recognized")) { try read(5) }
    }

    @Test("what is written in text and CSV is read back the same", arguments: [CopyFormat(), csvFormat])
    func roundTrip(format: CopyFormat) throws {
        var random = Xoshiro256(seed: 6)
        let pieces = ["a", "\t", "\n", "\r", "\\", "\"", ",", "\\N", "\\.", "é", "", "NULL", "\u{1}", "b"]
        for _ in 0..<300 {
            let cells: [String?] = (0..<3).map { _ in
                random.below(5) == 0 ? nil : (0..<random.below(4)).map { _ in pieces[random.below(pieces.count)] }.joined()
            }
            let sink = ByteSink()
            let writer = CopyWriter(format)
            for (index, cell) in cells.enumerated() {
                writer.divide(index, sink)
                if let cell {
                    let start = sink.count
                    sink.append(text: cell)
                    writer.finishCell(start, isOnly: false, in: sink)
                } else {
                    writer.writeNull(to: sink)
                }
            }
            sink.append(UInt8(ascii: "\n"))
            #expect(try read(sink.text, format, size: 5) == [cells])
        }
    }
}
