import MartletColumns
import MartletCore
import Testing

@Suite("Rows out")
struct RowWriterTests {
    static let values: [(DataType, Value, json: String, csv: String)] = [
        (.boolean, .boolean(true), "true", "true"), (.boolean, .boolean(false), "false", "false"),
        (.smallint, .smallint(-32768), "-32768", "-32768"), (.integer, .integer(2_147_483_647), "2147483647", "2147483647"),
        (.bigint, .bigint(.min), "-9223372036854775808", "-9223372036854775808"), (.bigint, .bigint(0), "0", "0"),
        (.real, .real(0.1), "0.1", "0.1"), (.double, .double(-0.0), "-0", "-0"), (.double, .double(1e300), "1e+300", "1e+300"),
        (.double, .double(.nan), "\"NaN\"", "NaN"), (.double, .double(-.infinity), "\"-Infinity\"", "-Infinity"),
        (.plainNumeric, .numeric(Decimal(text: "-0.070")!), "-0.070", "-0.070"),
        (.plainNumeric, .numeric(Decimal(text: "12345678901234567890123456789.12")!), "12345678901234567890123456789.12", "12345678901234567890123456789.12"),
        (.plainNumeric, .numeric(.nan), "\"NaN\"", "NaN"),
        (.text, .text(""), "\"\"", "\"\""), (.text, .text("a\"b\\c\n\u{1}ä/"), "\"a\\\"b\\\\c\\n\\u0001ä/\"", "\"a\"\"b\\c\n\u{1}ä/\""),
        (.text, .text("a,b"), "\"a,b\"", "\"a,b\""),
        (.bytea, .bytea([0, 1, 255]), "\"AAH/\"", "\\x0001ff"), (.bytea, .bytea([0]), "\"AA==\"", "\\x00"), (.bytea, .bytea([]), "\"\"", "\\x"),
        (.date, .date(20454), "\"2026-01-01\"", "2026-01-01"), (.time, .time(3_661_000_001), "\"01:01:01.000001\"", "01:01:01.000001"),
        (.timestamp, .timestamp(1_767_225_600_123_000), "\"2026-01-01T00:00:00.123\"", "2026-01-01 00:00:00.123"),
        (.timestamp, .timestamp(-1), "\"1969-12-31T23:59:59.999999\"", "1969-12-31 23:59:59.999999"),
        (.timestamptz, .timestamptz(1_767_225_600_000_000), "\"2026-01-01T00:00:00.000Z\"", "2026-01-01 00:00:00+00"),
        (.timestamptz, .timestamptz(.max), "\"infinity\"", "infinity"),
        (.timestamptz, .timestamptz(-210_866_198_400_000_000), "\"-4713-12-01T00:00:00.000Z\"", "4714-12-01 00:00:00+00 BC"),
        (.date, .date(-719_163), "\"0000-12-31\"", "0001-12-31 BC"), (.date, .date(1_000_000_000), "\"2739877-01-03\"", "2739877-01-03"),
        (.interval, .interval(Interval(months: 14, days: 3, micros: 1)), "\"1 year 2 mons 3 days 00:00:00.000001\"", "1 year 2 mons 3 days 00:00:00.000001"),
        (.jsonb, .jsonb("{\"a\": [1, \"x\"]}"), "{\"a\": [1, \"x\"]}", "\"{\"\"a\"\": [1, \"\"x\"\"]}\""),
        (.uuid, .uuid(UUIDValue(high: 0xA0EE_BC99_9C0B_4EF8, low: 0xBB6D_6BB9_BD38_0A11)), "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ]

    @Test("each type is written, and read back as it was", arguments: values)
    func roundTrip(type: DataType, value: Value, json: String, csv: String) throws {
        let batch = Batch(count: 2, columns: [Column(type, [value, .null]), Column(.bigint, [.bigint(1), .bigint(2)])])
        let sink = ByteSink()
        JSONRowWriter(names: ["v", "n"], types: [type, .bigint]).write(batch, into: sink)
        #expect(sink.text == "{\"v\":\(json),\"n\":1}\n{\"v\":null,\"n\":2}\n")
        let schema = ParseSchema(columns: [ParseColumn("v", type), ParseColumn("n", .bigint)])
        #expect(try parseJSON(Array(sink.bytes), schema).rows.map(shown) == [shown([value, .bigint(1)]), ["NULL", "2"]])

        let table = ByteSink()
        let writer = CSVRowWriter(names: ["v", "n"], types: [type, .bigint])
        writer.writeHeader(into: table)
        writer.write(batch, into: table)
        #expect(table.text == "v,n\n\(csv),1\n,2\n")
        #expect(try parseCSV(Array(table.bytes), schema).rows.map(shown) == [shown([value, .bigint(1)]), ["NULL", "2"]])
    }

    @Test("operations, selections, names that need escapes, no columns")
    func shapes() {
        let batch = Batch(
            count: 3, columns: [Column(.bigint, [.bigint(1), .bigint(2), .bigint(3)])],
            weights: Column(.bigint, [.bigint(1), .bigint(-1), .bigint(1)]))
        let chosen = Selection(capacity: 2)
        chosen.indexes[0] = 2
        chosen.indexes[1] = 1
        chosen.count = 2
        let sink = ByteSink()
        JSONRowWriter(names: ["a\"\n"], types: [.bigint], writesOperation: true).write(batch, selection: chosen, into: sink)
        #expect(sink.text == "{\"a\\\"\\n\":3,\"op\":\"insert\"}\n{\"a\\\"\\n\":2,\"op\":\"delete\"}\n")
        let table = ByteSink()
        let writer = CSVRowWriter(names: ["a,b"], types: [.bigint], delimiter: UInt8(ascii: ";"), writesOperation: true)
        writer.writeHeader(into: table)
        writer.write(batch, selection: chosen, into: table)
        #expect(table.text == "a,b;op\n3;insert\n2;delete\n")
        let empty = ByteSink()
        JSONRowWriter(names: [], types: []).write(Batch(count: 2, columns: []), into: empty)
        #expect(empty.text == "{}\n{}\n")
    }

    @Test("strings of every length and escape position")
    func strings() throws {
        for length in 0...80 {
            for at in [0, length / 2, max(length - 1, 0)] {
                var text = [UInt8](repeating: 0x61, count: length)
                if length > 0 { text[at] = [0x22, 0x5C, 0x0A, 0x1F, 0x7F][length % 5] }
                let string = String(decoding: text, as: UTF8.self)
                let sink = ByteSink()
                JSONRowWriter(names: ["s"], types: [.text])
                    .write(Batch(count: 1, columns: [Column(.text, [.text(string)])]), into: sink)
                #expect(try parseJSON(sink.text, ParseColumn("s", .text)).rows == [[.text(string)]])
            }
        }
    }

    @Test("timestamps over many days are as Core writes them")
    func timestamps() {
        var random = SplitMix64(seed: 5)
        var values: [Value] = []
        var expected = ""
        for _ in 0..<2000 {
            let micros = Int64(bitPattern: random.next()) % 100_000_000_000_000_000
            values.append(.timestamptz(micros))
            expected += "{\"t\":\"\(Timestamps.text { Timestamps.writeUTC(micros, into: $0) })\"}\n"
        }
        let sink = ByteSink()
        JSONRowWriter(names: ["t"], types: [.timestamptz])
            .write(Batch(count: values.count, columns: [Column(.timestamptz, values)]), into: sink)
        #expect(sink.text == expected)
    }
}
