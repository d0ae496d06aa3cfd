import MartletColumns
import MartletCore
import Testing

@Suite("JSON values of every type")
struct JSONValueTests {
    static let accepted: [(DataType, String, String)] = [
        (.boolean, "true", "t"), (.boolean, "false", "f"),
        (.smallint, "-32768", "-32768"), (.smallint, "1e2", "100"), (.integer, "2147483647", "2147483647"),
        (.integer, "12.0", "12"), (.integer, "-0", "0"),
        (.bigint, "9223372036854775807", "9223372036854775807"), (.bigint, "-9223372036854775808", "-9223372036854775808"),
        (.bigint, "123456789012345678", "123456789012345678"), (.bigint, "1.5e1", "15"), (.bigint, "0e99999999999", "0"),
        (.bigint, "1000000000000000000000e-5", "10000000000000000"), (.bigint, "1.000000000000000000000000000", "1"),
        (.double, "0.1", "0.1"), (.double, "-0", "-0"), (.double, "-0.0", "-0"), (.double, "1e22", "1e+22"),
        (.double, "1.7976931348623157e308", "1.7976931348623157e+308"), (.double, "5e-324", "5e-324"),
        (.double, "9007199254740993", "9.007199254740992e+15"), (.double, "2.2250738585072011e-308", "2.225073858507201e-308"),
        (.double, "0.000001", "1e-06"), (.double, "0e999999", "0"), (.double, "123456789.123456789", "123456789.12345679"),
        (.double, "\"NaN\"", "NaN"), (.double, "\"-Infinity\"", "-Infinity"),
        (.real, "16777217", "1.6777216e+07"), (.real, "0.1", "0.1"), (.real, "3.4028235e38", "3.4028235e+38"),
        (.plainNumeric, "1.50", "1.50"), (.plainNumeric, "-0.007", "-0.007"), (.plainNumeric, "12345678901234567890.12", "12345678901234567890.12"),
        (.plainNumeric, "1e3", "1000"), (.plainNumeric, "\"2.50\"", "2.50"), (.plainNumeric, "\"NaN\"", "NaN"),
        (.numeric(precision: 5, scale: 2), "1.005", "1.01"),
        (.text, "\"\"", ""), (.text, "\"exactly 12 b\"", "exactly 12 b"), (.text, "\"thirteen byte\"", "thirteen byte"),
        (.bytea, "\"AAEC\"", "\\x000102"), (.bytea, "\"AA==\"", "\\x00"), (.bytea, "\"AA\"", "\\x00"), (.bytea, "\"\"", "\\x"),
        (.date, "\"2026-02-28\"", "2026-02-28"), (.time, "\"12:34:56.5\"", "12:34:56.5"),
        (.timestamp, "\"2026-01-01T00:00:00.123\"", "2026-01-01 00:00:00.123"),
        (.timestamp, "\"2026-01-01 00:00:00.123456\"", "2026-01-01 00:00:00.123456"),
        (.timestamp, "\"2026-01-01T00:00:00+02:00\"", "2026-01-01 00:00:00"),
        (.timestamp, "\"2026-01-01\"", "2026-01-01 00:00:00"),
        (.timestamp, "1767225600000", "2026-01-01 00:00:00"),
        (.timestamptz, "\"2026-01-01T00:00:00Z\"", "2026-01-01 00:00:00+00"),
        (.timestamptz, "\"2026-01-01T00:00:00+02:00\"", "2025-12-31 22:00:00+00"),
        (.timestamptz, "\"2026-01-01T00:00:00-0330\"", "2026-01-01 03:30:00+00"),
        (.timestamptz, "\"2026-01-01T00:00:00.1234567Z\"", "2026-01-01 00:00:00.123457+00"),
        (.timestamptz, "\"2026-01-01 00:00:00\"", "2026-01-01 00:00:00+00"),
        (.timestamptz, "1767225600", "2026-01-01 00:00:00+00"), (.timestamptz, "1767225600000000", "2026-01-01 00:00:00+00"),
        (.timestamptz, "\"infinity\"", "infinity"),
        (.interval, "\"1 day 02:00:00\"", "1 day 02:00:00"), (.interval, "\"PT5M\"", "00:05:00"),
        (.jsonb, "{\"b\":1, \"a\":[true,null,\"x\"],\"b\":2}", "{\"a\": [true, null, \"x\"], \"b\": 2}"),
        (.jsonb, "\"text\"", "\"text\""), (.jsonb, "1.50", "1.50"), (.jsonb, "false", "false"),
        (.uuid, "\"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ]

    @Test("accepted", arguments: accepted)
    func accept(type: DataType, json: String, expected: String) throws {
        // Twice, so that the second is predicted; in a wanted and in a skipped member.
        let line = "{\"v\":\(json),\"w\":\(json),\"n\":1}\n"
        let parsed = try parseJSON(line + line, ParseColumn("v", type), ParseColumn("n", .bigint))
        #expect(parsed.rejected.map(\.message) == [])
        #expect(parsed.rows.map { shown([$0[0]]) } == [[expected], [expected]])
        #expect(try parseJSON("{\"v\":null}", ParseColumn("v", type)).rows == [[.null]])
    }

    static let refused: [(DataType, String, RejectReason)] = [
        (.boolean, "1", .wrongType), (.boolean, "\"true\"", .wrongType),
        (.smallint, "32768", .outOfRange), (.integer, "-2147483649", .outOfRange), (.integer, "0.5", .wrongType),
        (.bigint, "-9223372036854775809", .outOfRange), (.bigint, "1e400", .outOfRange), (.bigint, "1e-1", .wrongType),
        (.bigint, "12345678901234567890123", .outOfRange),
        (.double, "1e309", .outOfRange), (.double, "1e-400", .outOfRange), (.double, "\"1\"", .wrongType),
        (.real, "1e39", .outOfRange), (.real, "true", .wrongType),
        (.plainNumeric, "true", .wrongType), (.plainNumeric, "\"abc\"", .invalidValue),
        (.plainNumeric, "1e100", .outOfRange), (.numeric(precision: 3, scale: 1), "100", .outOfRange),
        (.text, "true", .wrongType), (.text, "[]", .wrongType),
        (.bytea, "\"A\"", .invalidValue), (.bytea, "\"A*==\"", .invalidValue), (.bytea, "\"AB==\"", .invalidValue),
        (.date, "\"2026-02-29\"", .outOfRange), (.date, "5", .wrongType), (.date, "\"today\"", .invalidValue),
        (.time, "\"25:00:00\"", .outOfRange),
        (.timestamp, "\"2026-13-01T00:00:00\"", .outOfRange), (.timestamp, "\"yesterday\"", .invalidValue),
        (.timestamp, "\"2026-01-01T00:00:61\"", .outOfRange), (.timestamp, "true", .wrongType),
        (.timestamptz, "1e19", .outOfRange), (.timestamptz, "1.5", .wrongType), (.timestamptz, "\"\"", .invalidValue),
        (.interval, "\"1 parsec\"", .invalidValue), (.uuid, "\"123\"", .invalidValue), (.uuid, "1", .wrongType),
    ]

    @Test("refused, naming the field", arguments: refused)
    func refuse(type: DataType, json: String, reason: RejectReason) throws {
        let parsed = try parseJSON("{\"n\":1,\"v\":\(json)}\n{\"n\":2,\"v\":null}\n", ParseColumn("n", .bigint), ParseColumn("v", type))
        #expect(parsed.reasons == [reason], "\(parsed.rejected.first?.message ?? parsed.rows.description)")
        #expect(parsed.rejected.first?.field == "v")
        #expect(parsed.rows == [[.bigint(2), .null]])
    }

    @Test("epoch numbers by timestamp.handling")
    func epochs() throws {
        for (handling, number) in [(TimestampHandling.second, 1_767_225_600), (.milli, 1_767_225_600_000), (.micro, 1_767_225_600_000_000)] {
            let column = ParseColumn("t", .timestamptz, timestampHandling: handling)
            #expect(try parseJSON("{\"t\":\(number)}", column).rows == [[.timestamptz(1_767_225_600_000_000)]])
        }
        let overflowing = ParseColumn("t", .timestamptz, timestampHandling: .second)
        #expect(try parseJSON("{\"t\":9223372036854775}", overflowing).reasons == [.outOfRange])
    }

    @Test("the plain ways read numbers as the general ones do")
    func numbers() throws {
        var random = SplitMix64(seed: 11)
        for _ in 0..<3000 {
            let digits = Int(random.next() % 20) + 1
            var text = String((0..<digits).map { _ in Character(Unicode.Scalar(UInt8(48 + random.next() % 10))) })
            while text.count > 1, text.first == "0" { text.removeFirst() }
            if random.next() % 2 == 0 { text = "-" + text }
            let parsed = try parseJSON("{\"v\":\(text)}", ParseColumn("v", .bigint))
            if let value = Int64(text) {
                #expect(parsed.rows == [[.bigint(value)]])
            } else {
                #expect(parsed.reasons == [.outOfRange])
            }
            text += "." + String(random.next() % 1_000_000)
            if random.next() % 3 == 0 { text += "e\(Int(random.next() % 40) - 20)" }
            let double = try parseJSON("{\"v\":\(text)}", ParseColumn("v", .double))
            #expect(double.rows == [[.double(Double(text)!)]], "\(text)")
            let real = try parseJSON("{\"v\":\(text)}", ParseColumn("v", .real))
            #expect(real.rows == [[.real(Float(text)!)]], "\(text)")
            let exact = try parseJSON("{\"v\":\(text)}", ParseColumn("v", .plainNumeric))
            if let value = Decimal(text: text) {
                #expect(exact.rows.map(shown) == [[value.text]], "\(text)")
            } else {
                #expect(exact.reasons == [.outOfRange], "\(text)")
            }
        }
    }
}
