import MartletCore

/// Values and texts at the edges of every type, chosen by a seed: what a stream may carry at its worst.
struct RandomValues {
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func below(_ bound: UInt64) -> UInt64 { random.next() % bound }

    mutating func pick<T>(_ choices: [T]) -> T { choices[Int(below(UInt64(choices.count)))] }

    mutating func integer(_ bits: Int) -> Int64 {
        let raw = Int64(bitPattern: random.next()) >> (64 - bits)
        switch below(6) {
        case 0: return Int64(below(20)) - 10
        case 1: return bits == 64 ? .max : (1 << (bits - 1)) - 1
        case 2: return bits == 64 ? .min : -(1 << (bits - 1))
        case 3: return raw >> Int64(below(UInt64(bits - 1)))
        default: return raw
        }
    }

    mutating func double() -> Double {
        switch below(6) {
        case 0: return pick([.nan, .infinity, -.infinity, 0, -0.0, 1, -1, 0.5])
        case 1: return Double(bitPattern: random.next())
        case 2: return pick([.greatestFiniteMagnitude, .leastNonzeroMagnitude, 9.3e18, -9.3e18, 2e9, 1e5])
        default: return Double(integer(32)) / 64
        }
    }

    mutating func decimal() -> Decimal {
        if below(10) == 0 { return pick([.nan, .infinity, .negativeInfinity, .zero, .one]) }
        let high = Int128(Int64(bitPattern: random.next()))
        let coefficient = (high << 64 | Int128(random.next())) >> Int128(below(126))
        let limit = Int128(99_999_999_999_999_999) * 1_000_000_000_000_000_000_000 + 999_999_999_999_999_999_999
        return Decimal(coefficient: max(-limit, min(limit, coefficient)), scale: UInt8(below(39)))
    }

    static let words = [
        "", "a", "abc", "äöü日本語🙂", "%_\\", "\\", "it's", "day", "hour", "epoch", "timezone", "UTC", "Europe/Berlin", "+02", "hex",
        "base64", "escape", "UTF8", "latin1", "YYYY-MM-DD HH24:MI:SS.US TZ", "FM999,990.099", "99.99", "S9", "{a,0}", "{", "0", "NaN",
        "2024-02-29 12:34:56.789+02", "infinity", "P1Y2M", "1 day ago", "9223372036854775807 us", "[1, {\"a\": null}]", "\u{0}", "e\u{301}", " ",
    ]

    mutating func text() -> String {
        switch below(4) {
        case 0: return pick(RandomValues.words) + pick(RandomValues.words)
        case 1:
            var bytes = Array(pick(RandomValues.words).utf8)
            for _ in 0..<below(4) {
                let position = Int(below(UInt64(bytes.count + 1)))
                bytes.insert(pick(Array("0123456789-+:.TZPe,/ \"\\%{}[]ymdhs\u{1}".utf8)), at: position)
            }
            return String(decoding: bytes, as: UTF8.self)
        default: return pick(RandomValues.words)
        }
    }

    mutating func micros() -> Int64 {
        switch below(4) {
        case 0: return pick([.max, .min, .max - 1, Calendar.timestampMin, 0, -1, 951_826_062_123_456])
        case 1: return max(Calendar.timestampMin, integer(64))
        default: return integer(56)
        }
    }

    mutating func document(depth: Int = 3) -> JSONNode {
        switch below(depth > 0 ? 7 : 4) {
        case 0: return pick([.null, .boolean(true), .boolean(false)])
        case 1: return .number(String(integer(64)))
        case 2: return .number(pick(["0", "1.50", "-0.001", "123456789012345678901234567890.5"]))
        case 3: return .string(text())
        case 4, 5: return .array((0..<below(4)).map { _ in document(depth: depth - 1) })
        default:
            return .object(of: (0..<below(4)).map { _ in JSONNode.Member(key: text(), value: document(depth: depth - 1)) })
        }
    }

    /// Of up to three dimensions, now and then with other bounds.
    private mutating func array(_ element: DataType) -> ArrayValue {
        var dimensions: [ArrayValue.Dimension] = []
        var count = 1
        for _ in 0..<below(4) {
            dimensions.append(.init(lower: below(6) == 0 ? Int32(integer(5)) : 1, count: Int32(below(3) + 1)))
            count *= Int(dimensions[dimensions.count - 1].count)
        }
        return ArrayValue(element.withoutModifiers, dimensions, dimensions.isEmpty ? [] : (0..<count).map { _ in value(element) })
    }

    mutating func value(_ type: DataType) -> Value {
        if below(12) == 0 { return .null }
        switch type {
        case .boolean: return .boolean(random.next() & 1 == 0)
        case .smallint: return .smallint(Int16(integer(16)))
        case .integer: return .integer(Int32(integer(32)))
        case .bigint: return .bigint(integer(64))
        case .real: return .real(Float(double()))
        case .double: return .double(double())
        case .numeric: return .numeric(decimal())
        case .text, .unknown: return .text(text())
        case .bytea: return .bytea((0..<below(9)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        case .date:
            return .date(pick([.max, .min, Calendar.dateMin, Calendar.dateMax, 0, Int32(integer(20)), Int32(integer(20))]))
        case .time: return .time(pick([0, Calendar.microsPerDay, Int64(below(UInt64(Calendar.microsPerDay)))]))
        case .timestamp: return .timestamp(micros())
        case .timestamptz: return .timestamptz(micros())
        case .interval: return .interval(Interval(months: Int32(integer(32)), days: Int32(integer(32)), micros: integer(64)))
        case .jsonb: return .jsonb(document().text)
        case .uuid: return .uuid(UUIDValue(high: random.next(), low: random.next()))
        case .array(let element): return .array(array(element))
        case .structure(let fields): return .structure(StructureValue(fields, fields.map { value($0.type) }))
        }
    }
}
