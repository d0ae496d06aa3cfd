import MartletColumns
import MartletCore
import Testing

@Suite("CSV rows")
struct CSVRowParserTests {
    @Test("header in any order, quoting, line feeds in quotes, NULL and empty")
    func fields() throws {
        let text = "b,x,a\r\n1,skipped,one\r\n2,\"a, \"\"quoted\"\"\nthing\",\"two\nlines, and \"\"quotes\"\"\"\r\n,,\n3,,\"\"\n\n4,\" x \", spaced \n"
        let parsed = try parseCSV(text, ParseColumn("a", .text), ParseColumn("b", .bigint))
        #expect(parsed.reasons == [])
        #expect(
            parsed.rows == [
                [.text("one"), .bigint(1)], [.text("two\nlines, and \"quotes\""), .bigint(2)], [.null, .null],
                [.text(""), .bigint(3)], [.text(" spaced "), .bigint(4)],
            ])
        #expect(parsed.offsets == [1, 2, 3, 4, 6])
    }

    @Test("delimiters, no header, names that differ in case, no final line feed")
    func options() throws {
        let tabs = try parseCSV("a\tB\n1\t2", ParseColumn("b", .bigint), options: CSVOptions(delimiter: 9))
        #expect(tabs.rows == [[.bigint(2)]])
        let bare = CSVOptions(delimiter: UInt8(ascii: ";"), hasHeader: false, fieldNames: ["a", "b", "c"])
        #expect(try parseCSV("1;2;3\n4;5;6\n", ParseColumn("c", .bigint), options: bare).rows == [[.bigint(3)], [.bigint(6)]])
        #expect(throws: ParseSchemaError.self) { try parseCSV("a,b\n1,2\n", ParseColumn("c", .text)) }
        #expect(throws: ParseSchemaError.self) { try parseCSV("a,a\n1,2\n", ParseColumn("a", .text)) }
        #expect(throws: ParseSchemaError.self) { try parseCSV("a", ParseColumn("a", .text), options: CSVOptions(delimiter: 10)) }
        #expect(throws: ParseSchemaError.self) { try parseCSV("\"a", ParseColumn("a", .text)) }
    }

    @Test("values in PostgreSQL's text forms")
    func values() throws {
        let types: [(DataType, String, String)] = [
            (.boolean, "true", "t"), (.boolean, "off", "f"), (.smallint, "-5", "-5"), (.integer, "+7", "7"),
            (.bigint, "9223372036854775807", "9223372036854775807"), (.real, "1.5", "1.5"), (.double, "1e3", "1000"),
            (.double, "NaN", "NaN"), (.plainNumeric, "0.10", "0.10"), (.text, "x\"y", "x\"y"), (.bytea, "\\x0aff", "\\x0aff"),
            (.date, "2026-01-31", "2026-01-31"), (.time, "01:02", "01:02:00"),
            (.timestamp, "2013-12-02 21:15:00", "2013-12-02 21:15:00"), (.timestamp, "2013-12-02 21:15", "2013-12-02 21:15:00"),
            (.timestamptz, "2026-01-01T00:00:00Z", "2026-01-01 00:00:00+00"), (.interval, "1 day", "1 day"),
            (.jsonb, "\"{\"\"a\"\":1}\"", "{\"a\": 1}"), (.uuid, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ]
        for (type, text, expected) in types {
            let parsed = try parseCSV("v,n\n\(text),1\n", ParseColumn("v", type))
            #expect(parsed.rejected.map(\.message) == [])
            #expect(parsed.rows.map(shown) == [[expected]], "\(type) \(text)")
            #expect(try parseCSV("v,n\n,1\n", ParseColumn("v", type)).rows == [[.null]])
        }
    }

    static let broken: [(String, RejectReason, String?, Int)] = [
        ("1", .fieldCount, "b", 2), ("1,2,3", .fieldCount, nil, 5), ("1,2,", .fieldCount, nil, 5),
        ("x,2", .invalidValue, "a", 1), ("9223372036854775808,2", .outOfRange, "a", 1), ("1.0,2", .invalidValue, "a", 1),
        ("\"\",2", .invalidValue, "a", 1), ("1,\"x\"y", .invalidCSV, nil, 6), ("1,\u{0}", .invalidValue, nil, 3),
    ]

    @Test("what is no record is refused, with the place", arguments: broken)
    func refused(text: String, reason: RejectReason, field: String?, column: Int) throws {
        let parsed = try parseCSV("a,b\n1,x\n\(text)\n2,y\n", ParseColumn("a", .bigint), ParseColumn("b", .text))
        #expect(parsed.reasons == [reason], "\(text)")
        #expect(parsed.rejected.first?.field == field)
        #expect(parsed.rejected.first?.column == column)
        #expect(parsed.rejected.first?.line == 2)
        #expect(parsed.rejectedTexts == [text])
        #expect(parsed.rows == [[.bigint(1), .text("x")], [.bigint(2), .text("y")]])
    }

    @Test("invalid UTF-8, an unclosed quote")
    func endings() throws {
        let bytes = Array("a\nx\n".utf8) + [0x61, 0xFF, 0x0A] + Array("y\n\"open\nto the end".utf8)
        let parsed = try parseCSV(bytes, ParseSchema(columns: [ParseColumn("a", .text)]))
        #expect(parsed.reasons == [.invalidUTF8, .invalidCSV])
        #expect(parsed.rows == [[.text("x")], [.text("y")]])
        #expect(parsed.rejectedTexts.last == "\"open\nto the end")
    }
}
