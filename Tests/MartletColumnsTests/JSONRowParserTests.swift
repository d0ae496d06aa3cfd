import MartletColumns
import MartletCore
import Testing

@Suite("JSON rows")
struct JSONRowParserTests {
    let bid = [
        ParseColumn("bidder", .bigint), ParseColumn("price", .bigint), ParseColumn("date_time", .timestamptz),
    ]

    @Test("predicted, reordered, missing, extra and duplicate members")
    func members() throws {
        let text = """
            {"auction":1,"bidder":2,"price":3,"date_time":"2026-01-01T00:00:00.123Z","extra":"x"}
            {"auction":1,"bidder":4,"price":5,"date_time":"2026-01-01T00:00:01.000Z","extra":"y"}
            {"price":7,"bidder":6}
            {"date_time":null,"price":9,"bidder":8,"new":{"a":[1,2,{"b":"}"}]}}
            {"bidder":1,"bidder":2,"price":3,"price":null,"date_time":null,"date_time":"1970-01-01T00:00:00Z"}
            {}
            {"auction":1,"bidder":-10,"price":0,"date_time":"2026-01-01T00:00:02.5Z","extra":""}
            """
        let parsed = try parseJSON(Array(text.utf8), ParseSchema(columns: bid))
        #expect(parsed.reasons == [])
        let start: Int64 = 1_767_225_600_000_000
        #expect(
            parsed.rows == [
                [.bigint(2), .bigint(3), .timestamptz(start + 123_000)],
                [.bigint(4), .bigint(5), .timestamptz(start + 1_000_000)],
                [.bigint(6), .bigint(7), .null],
                [.bigint(8), .bigint(9), .null],
                [.bigint(2), .null, .timestamptz(0)],
                [.null, .null, .null],
                [.bigint(-10), .bigint(0), .timestamptz(start + 2_500_000)],
            ])
        #expect(parsed.texts == text.split(separator: "\n").map(String.init))
        #expect(parsed.offsets == [0, 1, 2, 3, 4, 5, 6])
    }

    @Test("white space of every legal kind, CRLF, blank lines, no final line feed")
    func blanks() throws {
        let text = "\n { \"a\" : 1 , \"b\":\t\"x\" } \r\n\r\n  \n{\"a\":2,\"b\":\"y\"}\r\n{\"a\": 3, \"b\": \"z\"}"
        let parsed = try parseJSON(text, ParseColumn("a", .integer), ParseColumn("b", .text))
        #expect(parsed.reasons == [])
        #expect(
            parsed.rows == [
                [.integer(1), .text("x")], [.integer(2), .text("y")], [.integer(3), .text("z")],
            ])
        #expect(parsed.offsets == [1, 4, 5])
        #expect(parsed.lines == 6)

        // Blanks where the prediction has none: after the colon of wanted, skipped and nested members.
        let o = ParseColumn(path: ["o", "x"], type: .bigint)
        let mixed = try parseJSON(
            "{\"a\":1,\"c\":[],\"o\":{\"x\":2}}\n{\"a\": 3,\"c\": [],\"o\": {\"x\": 4} }\n", ParseColumn("a", .bigint), o)
        #expect(mixed.rows == [[.bigint(1), .bigint(2)], [.bigint(3), .bigint(4)]])
    }

    @Test("names with escapes are names")
    func escapedNames() throws {
        let parsed = try parseJSON(
            "{\"\\u0061\":1}\n{\"a\\\"b\":2}\n", ParseColumn("a", .bigint), ParseColumn("a\"b", .bigint))
        #expect(parsed.rows == [[.bigint(1), .null], [.null, .bigint(2)]])
    }

    @Test("strings of every length around the vector widths, with and without escapes")
    func strings() throws {
        for length in 0...100 {
            let plain = String((0..<length).map { Character(Unicode.Scalar(UInt8(97 + $0 % 26))) })
            for text in [plain, plain + "ä€😀", plain + "\\n" + plain, plain + "\\u00e4\\ud83d\\ude00"] {
                let expected = text.replacing("\\n", with: "\n").replacing("\\u00e4\\ud83d\\ude00", with: "ä😀")
                let parsed = try parseJSON("{\"s\":\"\(text)\",\"n\":1}\n", ParseColumn("s", .text), ParseColumn("n", .bigint))
                #expect(parsed.rows == [[.text(expected), .bigint(1)]])
            }
        }
        let escapes = try parseJSON(#"{"s":"\"\\\/\b\f\n\r\t\u0041"}"#, ParseColumn("s", .text))
        #expect(escapes.rows == [[.text("\"\\/\u{8}\u{C}\n\r\tA")]])
    }

    @Test("nested paths")
    func nested() throws {
        let columns = [
            ParseColumn(path: ["a", "b"], type: .bigint), ParseColumn(path: ["a", "c", "d"], type: .text),
            ParseColumn("e", .bigint),
        ]
        let text = """
            {"a":{"b":1,"c":{"d":"x","z":[]},"y":2},"e":3}
            {"a":{"b":4,"c":{"d":"y","z":[]},"y":2},"e":5}
            {"a":null,"e":6}
            {"a":{},"e":7}
            {"e":8}
            {"a":{"b":1},"a":{"c":{"d":"w"}}}
            {"a":{"b":1},"a":null}
            {"a":{"c":null,"b":9}}
            """
        let parsed = try parseJSON(Array(text.utf8), ParseSchema(columns: columns))
        #expect(parsed.reasons == [])
        #expect(
            parsed.rows == [
                [.bigint(1), .text("x"), .bigint(3)], [.bigint(4), .text("y"), .bigint(5)], [.null, .null, .bigint(6)],
                [.null, .null, .bigint(7)], [.null, .null, .bigint(8)], [.null, .text("w"), .null],
                [.null, .null, .null], [.bigint(9), .null, .null],
            ])
        let wrong = try parseJSON("{\"a\":1}\n{\"a\":{\"b\":true}}\n{\"a\":{\"b\":1}", columns[0])
        #expect(wrong.reasons == [.wrongType, .wrongType, .invalidJSON])
        #expect(wrong.rejected.map(\.field) == ["a", "a.b", nil])
        #expect(throws: ParseSchemaError.self) {
            try JSONRowParser(schema: ParseSchema(columns: [ParseColumn("a", .jsonb), ParseColumn(path: ["a", "b"], type: .text)]))
        }
    }

    static let broken: [(String, RejectReason, Int)] = [
        ("[]", .invalidJSON, 1), ("1", .invalidJSON, 1), ("null", .invalidJSON, 1), ("{", .invalidJSON, 2),
        ("{\"n\"", .invalidJSON, 5), ("{\"n\":", .invalidJSON, 6), ("{\"n\":1", .invalidJSON, 7),
        ("{\"n\":1,", .invalidJSON, 8), ("{\"n\":1,}", .invalidJSON, 8), ("{\"n\":1}}", .invalidJSON, 8),
        ("{\"n\":1} x", .invalidJSON, 9), ("{\"n\" 1}", .invalidJSON, 6), ("{n:1}", .invalidJSON, 2),
        ("{\"n\":01}", .invalidJSON, 6), ("{\"n\":-}", .invalidJSON, 6), ("{\"n\":1.}", .invalidJSON, 8),
        ("{\"n\":1e}", .invalidJSON, 8), ("{\"n\":+1}", .invalidJSON, 6), ("{\"n\":.5}", .invalidJSON, 6),
        ("{\"n\":NaN}", .invalidJSON, 6), ("{\"n\":tru}", .invalidJSON, 6), ("{\"x\":truee}", .invalidJSON, 10),
        ("{\"s\":\"", .invalidJSON, 7), ("{\"s\":\"a\\x\"}", .invalidJSON, 8), ("{\"s\":\"\\u12g4\"}", .invalidJSON, 11),
        ("{\"s\":\"\\ud800\"}", .invalidJSON, 7), ("{\"s\":\"\\udc00\"}", .invalidJSON, 7),
        ("{\"s\":\"\\ud800\\ud800\"}", .invalidJSON, 7), ("{\"s\":\"a\tb\"}", .invalidJSON, 8),
        ("{\"x\":[1,]}", .invalidJSON, 9), ("{\"x\":[1 2]}", .invalidJSON, 9), ("{\"x\":{\"a\":1,}}", .invalidJSON, 13),
        ("{\"x\":[}", .invalidJSON, 7), ("{\"x\":01}", .invalidJSON, 6), ("{\"x\":\"\\q\"}", .invalidJSON, 7),
        ("{\"n\":1}{\"n\":2}", .invalidJSON, 8), ("{\"n\":1,\"n\"}", .invalidJSON, 11), ("{,}", .invalidJSON, 2),
        ("\u{0}", .invalidJSON, 1), ("{\"s\":\"\u{0}\"}", .invalidJSON, 7), ("{\"n\":1}\u{0}", .invalidJSON, 8),
        ("{\"n\":\"1\"}", .wrongType, 6), ("{\"n\":true}", .wrongType, 6), ("{\"n\":[]}", .wrongType, 6),
        ("{\"n\":1.5}", .wrongType, 6), ("{\"n\":9223372036854775808}", .outOfRange, 6), ("{\"n\":1e19}", .outOfRange, 6),
        ("{\"s\":1}", .wrongType, 6), ("{\"s\":{}}", .wrongType, 6), ("{\"s\":\"\\u0000\"}", .invalidValue, 6),
    ]

    @Test("what is no record is refused, with the place", arguments: broken)
    func refused(text: String, reason: RejectReason, column: Int) throws {
        let good = "{\"n\":1,\"s\":\"a\"}\n"
        let parsed = try parseJSON(good + text + "\n" + good, ParseColumn("n", .bigint), ParseColumn("s", .text))
        #expect(parsed.reasons == [reason], "\(text)")
        #expect(parsed.rejected.first?.column == column, "\(text)")
        #expect(parsed.rejected.first?.line == 1)
        #expect(parsed.rejectedTexts == [text])
        // The rows around it are as if it had not been there, also where it had set values and NULLs before it broke.
        #expect(parsed.rows == [[.bigint(1), .text("a")], [.bigint(1), .text("a")]])
    }

    @Test("a refused row leaves no NULL behind")
    func refusedAfterNull() throws {
        let parsed = try parseJSON(
            "{\"n\":null,\"s\":1}\n{\"n\":5,\"s\":\"a\"}\n", ParseColumn("n", .bigint), ParseColumn("s", .text))
        #expect(parsed.rows == [[.bigint(5), .text("a")]])
        #expect(parsed.rejected.first?.field == "s")
    }

    @Test("invalid UTF-8 refuses its line alone")
    func encoding() throws {
        let good = Array("{\"s\":\"ä\"}\n".utf8)
        let bad: [[UInt8]] = [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]]
        for bytes in bad {
            for member in ["s", "x"] {
                let line = Array("{\"\(member)\":\"".utf8) + Array("abc".utf8) + bytes + Array("\"}\n".utf8)
                let parsed = try parseJSON(good + line + good, ParseSchema(columns: [ParseColumn("s", .text)]))
                #expect(parsed.reasons == [.invalidUTF8])
                #expect(parsed.rejected.first?.column == 10)
                #expect(parsed.rows.count == 2)
            }
        }
    }

    @Test("nesting up to the limit is skipped, a million levels are refused")
    func depth() throws {
        func line(_ levels: Int, open: String, close: String) -> String {
            "{\"x\":" + String(repeating: open, count: levels) + String(repeating: close, count: levels) + ",\"n\":1}\n"
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = open == "[" ? "" : "1"
            func text(_ levels: Int) -> String {
                "{\"x\":" + String(repeating: open, count: levels) + inner + String(repeating: close, count: levels) + ",\"n\":1}\n"
            }
            #expect(try parseJSON(text(127), ParseColumn("n", .bigint)).rows == [[.bigint(1)]])
            #expect(try parseJSON(text(128), ParseColumn("n", .bigint)).reasons == [.tooDeep])
            let deep = try parseJSON(text(1_000_000) + text(1), ParseColumn("n", .bigint))
            #expect(deep.reasons == [.tooDeep])
            #expect(deep.rows == [[.bigint(1)]])
        }
        let unclosed = String(repeating: "[", count: 1_000_000)
        #expect(try parseJSON("{\"x\":" + unclosed, ParseColumn("n", .bigint)).reasons == [.tooDeep])
        #expect(try parseJSON("{\"n\":" + unclosed, ParseColumn("n", .jsonb)).reasons == [.tooDeep])
        let asNull = String(repeating: "{\"a\":", count: 127) + "1" + String(repeating: "}", count: 127)
        #expect(try parseJSON("{\"n\":" + asNull + "}", ParseColumn("n", .jsonb)).rows.count == 1)
    }

    @Test("a record over the limit is refused for its length")
    func length() throws {
        let long = "{\"s\":\"" + String(repeating: "x", count: 200) + "\"}\n"
        let parsed = try parseJSON(
            Array((long + "{\"s\":\"a\"}\n" + long).utf8), ParseSchema(columns: [ParseColumn("s", .text)]),
            limits: ParseLimits(recordBytesMax: 100))
        #expect(parsed.reasons == [.tooLong, .tooLong])
        #expect(parsed.rows == [[.text("a")]])
    }

    @Test("results do not depend on how many rows a batch takes")
    func batches() throws {
        var text = ""
        for row in 0..<300 {
            switch row % 7 {
            case 3: text += "{\"n\":\(row),\"s\":oops}\n"
            case 5: text += "{\"s\":\"text number \(row) \\n\",\"n\":null}\n"
            case 6: text += "\n"
            default: text += "{\"n\":\(row),\"s\":\"\(row)\"}\n"
            }
        }
        let schema = ParseSchema(columns: [ParseColumn("n", .bigint), ParseColumn("s", .text)])
        let whole = try parseJSON(Array(text.utf8), schema, rowsMax: 10000)
        for rowsMax in [1, 2, 7, 64] {
            let parts = try parseJSON(Array(text.utf8), schema, rowsMax: rowsMax)
            #expect(parts.rows == whole.rows)
            #expect(parts.offsets == whole.offsets)
            #expect(parts.rejected.map(\.line) == whole.rejected.map(\.line))
            #expect(parts.lines == 300)
        }
    }

    @Test("more shapes than are remembered")
    func manyShapes() throws {
        var text = ""
        for row in 0..<2000 {
            text += "{\"k\(row % 700)\":\(row),\"n\":\(row),\"\(String(repeating: "long", count: 30))\":1}\n"
        }
        let parsed = try parseJSON(text, ParseColumn("n", .bigint))
        #expect(parsed.reasons == [])
        #expect(parsed.rows == (0..<2000).map { [.bigint(Int64($0))] })
    }
}
