internal import MartletColumns
internal import MartletCore

/// Random typed values, NULLs and the edges of each type among them.
struct RandomValues {
    var random: Xoshiro256

    init(seed: UInt64) { random = Xoshiro256(seed: seed) }

    mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    static let words = [
        "", "a", "ab", "abc", "Abd", "hello world", "hello world!", "twelve bytes", "thirteen byte", "thirteen bytf",
        "thirteen bytes and more", "äöü", "naïve café, long enough", "%", "a%c", "x_y", "\\", "second", "hour", "day",
        "epoch", "month", "week", "0", "12", "-7", "YYYY-MM-DD", "Day HH12:MI AM", "HH24:MI:SS.US TZ",
    ]

    mutating func value(_ type: DataType, nulls: Int = 8) -> Value {
        if nulls > 0, below(nulls) == 0 { return .null }
        switch type {
        case .boolean: return .boolean(below(2) == 0)
        case .smallint:
            return .smallint(below(4) == 0 ? pick([.min, .max, 0, -1, 1]) : Int16(truncatingIfNeeded: below(2001) - 1000))
        case .integer:
            return .integer(below(4) == 0 ? pick([.min, .max, 0, -1, 1, 7]) : Int32(truncatingIfNeeded: below(20001) - 10000))
        case .bigint:
            if below(4) == 0 { return .bigint(pick([.min, .max, 0, -1, 1, 7, 123])) }
            return .bigint(below(3) == 0 ? Int64(bitPattern: random.next()) : Int64(below(200001) - 100000))
        case .real:
            return .real(below(4) == 0 ? pick([0, -0.0, .nan, .infinity, -.infinity, 3e38, 1e-38]) : Float(below(2001) - 1000) / 8)
        case .double:
            if below(4) == 0 { return .double(pick([0, -0.0, .nan, .infinity, -.infinity, 1e308, -1e308, 1e-308, 0.5, 1.5, 2.5])) }
            return .double(Double(below(2_000_001) - 1_000_000) / 64)
        case .numeric:
            if below(10) == 0 { return .numeric(pick([.nan, .infinity, .negativeInfinity, .zero, .one])) }
            let scale = below(6)
            if below(6) == 0 {
                let digits = Int128(truncatingIfNeeded: random.next()) * Int128(truncatingIfNeeded: random.next() >> 4)
                return .numeric(Decimal(coefficient: digits % 100_000_000_000_000_000_000_000_000_000_000_000, scale: UInt8(scale)))
            }
            return .numeric(Decimal(coefficient: Int128(below(2_000_001) - 1_000_000), scale: UInt8(scale)))
        case .text, .unknown: return .text(pick(RandomValues.words))
        case .bytea: return .bytea(Array(pick(RandomValues.words).utf8))
        case .date: return .date(below(6) == 0 ? pick([.max, .min, 0, -1, Calendar.dateMin, Calendar.dateMax]) : Int32(below(40001) - 10000))
        case .time: return .time(Int64(below(86_400)) * 1_000_000 + Int64(below(1_000_000)))
        case .timestamp: return .timestamp(instant())
        case .timestamptz: return .timestamptz(instant())
        case .interval:
            return .interval(Interval(
                months: Int32(below(3) == 0 ? below(30) - 15 : 0), days: Int32(below(61) - 30),
                micros: Int64(below(200_000) - 100_000) * 1_000_001))
        case .jsonb: return .jsonb(pick(["1", "1.0", "1.50", "{\"a\": 1.0}", "{\"a\": 1.00}", "[1, 2]", "\"1.0\"", "\"1.00\"", "null"]))
        case .array(let element): return .array(ArrayValue(element.withoutModifiers, (0..<below(4)).map { _ in value(element) }))
        case .structure(let fields): return .structure(StructureValue(fields, fields.map { value($0.type) }))
        case .uuid: return .uuid(UUIDValue(high: UInt64(below(3)), low: random.next() % 4))
        }
    }

    mutating func instant() -> Int64 {
        if below(8) == 0 { return pick([.max, .min, 0, -1, Calendar.timestampMin, .max - 1, -70_000_000_000_000_000]) }
        return Int64(below(4_000_000_000)) * 1_000_003 - 1_500_000_000_000_000
    }

    mutating func column(_ type: DataType, _ count: Int, nulls: Int = 8) -> Column {
        Column(type, (0..<count).map { _ in value(type, nulls: nulls) })
    }
}

/// What tells two values apart, digits and signs included: a stricter equality than SQL's.
func shown(_ value: Value) -> String {
    switch value {
    case .double(let number) where number == 0: "0"
    case .real(let number) where number == 0: "0"
    case .interval(let interval): "\(interval.months) \(interval.days) \(interval.micros)"
    case .null: "NULL"
    default: "\(value.type) \(value.text)"
    }
}

/// NULL rows are zero, as every kernel may rely on.
func nullsAreZero(_ column: Column) -> Bool {
    for row in 0..<column.count where column.isNull(row) {
        for byte in 0..<column.physical.stride where column.bools[row * column.physical.stride + byte] != 0 { return false }
    }
    return true
}
