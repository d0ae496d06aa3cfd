import Testing

import MartletCore

@Suite("Points in time as bytes")
struct TimestampTests {
    private func parse(_ text: String, appliesOffset: Bool = true) -> Int64? {
        var text = text
        return text.withUTF8 { Timestamps.parse($0, appliesOffset: appliesOffset) }
    }

    private func slow(_ text: String) -> Int64? {
        guard case .timestamptz(let micros)? = try? Value.text(text).cast(to: .timestamptz) else { return nil }
        return micros
    }

    @Test(
        "forms that machines write",
        arguments: [
            "2026-01-01T00:00:00.123Z", "2026-01-01 00:00:00.123", "2026-01-01", "2026-01-01T12:34", "2026-01-01T12:34:56+02:00",
            "2026-01-01T12:34:56-0530", "2026-01-01T12:34:56.123456+05", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29",
        ])
    func known(text: String) throws {
        let fast = try #require(parse(text))
        #expect(fast == slow(text))
    }

    @Test(
        "forms and errors left to the slow path",
        arguments: [
            "2023-02-29", "2026-13-01", "2026-00-01", "2026-01-32", "2026-01-01T24:00", "2026-01-01T12:60", "2026-01-01T12:34:60", "2026-01-01T12:34:56.",
            "2026-01-01T12:34:56.1234567Z", "2026-01-01X00:00", "2026-01-01T", "2026-1-1", "26-01-01", "", "2026-01-01T12:34:56+16:00", "2026-01-01T12:34:56Zx", "2026/01/01",
            "2026-01-0:", "0000-01-01",
        ])
    func unknown(text: String) { #expect(parse(text) == nil) }

    @Test("a timestamp ignores the offset")
    func offset() {
        #expect(parse("1970-01-01T00:00:00+02", appliesOffset: false) == 0)
        #expect(parse("1970-01-01T00:00:00+02") == -7_200_000_000)
    }

    @Test("any damage: the fast path never accepts what the slow one refuses, nor reads it differently")
    func damage() {
        var values = RandomValues(seed: 5)
        let alphabet = Array("0123456789-+:.TZ ".utf8)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = Array("2026-01-31T12:34:56.789+02:00".utf8)
            for _ in 0..<values.below(3) { bytes[Int(values.below(UInt64(bytes.count)))] = values.pick(alphabet) }
            let text = String(decoding: bytes.prefix(Int(values.below(UInt64(bytes.count + 1)))), as: UTF8.self)
            guard let fast = parse(text) else { continue }
            accepted += 1
            // The slow path tries the fast one first: a blank in front keeps it from that.
            #expect(slow(" " + text) == fast, "\(text)")
        }
        #expect(accepted > 1000)
    }

    @Test("JSON's form reads back")
    func written() {
        var values = RandomValues(seed: 3)
        for _ in 0..<5000 {
            let micros = values.integer(57)
            let text = Timestamps.text { Timestamps.writeUTC(micros, into: $0) }
            guard micros > -62_135_596_800_000_000, micros < 253_402_300_800_000_000 else { continue }
            #expect(parse(text) == micros, "\(text)")
        }
        #expect(Timestamps.text { Timestamps.write(0, into: $0) } == "1970-01-01T00:00:00.000")
        #expect(Timestamps.text { Timestamps.write(1_123_456, into: $0) } == "1970-01-01T00:00:01.123456")
        #expect(Timestamps.text { Timestamps.writeUTC(-1000, into: $0) } == "1969-12-31T23:59:59.999Z")
        #expect(Timestamps.text { Timestamps.write(.max, into: $0) } == "infinity")
        #expect(Timestamps.text { Timestamps.writeDate(0, into: $0) } == "1970-01-01")
    }

    @Test("days count both ways")
    func days() {
        for days in stride(from: -3_000_000, to: 3_000_000, by: 997) {
            let day = Calendar.day(days)
            #expect(Calendar.days(year: day.year, month: day.month, day: day.day) == days)
        }
    }

    @Test("damaged time zone files are refused")
    func damagedZone() {
        #expect(MartletCore.TimeZone(name: "x", tzif: []) == nil)
        var values = RandomValues(seed: 9)
        var bytes = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 39)
        for _ in 0..<5000 {
            bytes[Int(values.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: values.random.next())
            bytes.replaceSubrange(0..<5, with: "TZif2".utf8)
            _ = MartletCore.TimeZone(name: "x", tzif: bytes + bytes + Array("\nCET-1CEST,M3.5.0,M10.5.0/3\n".utf8))
        }
    }
}
