internal import MartletColumns
internal import MartletCore
internal import MartletState

/// Random rows, and the aggregates computed over them the plain way: Swift dictionaries of `Value`s.
struct PlainAggregates {
    let keys: [DataType]
    let specs: [AggregateSpec]
    private(set) var order: [[Value]] = []
    private var inputs: [[Value]: [(arguments: [Value], weight: Int64)]] = [:]

    init(keys: [DataType], specs: [AggregateSpec]) {
        self.keys = keys
        self.specs = specs
    }

    /// `arguments[i]` is nil where call i's filter is not true.
    mutating func add(_ key: [Value], _ arguments: [Value?], weight: Int64 = 1) {
        if inputs[key] == nil {
            order.append(key)
            inputs[key] = []
        }
        inputs[key]?.append((arguments.map { $0 ?? .null }, weight))
    }

    func rows() -> [[Value]] { order.map { key in key + specs.indices.map { result($0, inputs[key]!) } } }

    private func result(_ call: Int, _ rows: [(arguments: [Value], weight: Int64)]) -> Value {
        let taken = rows.filter { !$0.arguments[call].isNull }
        let spec = specs[call]
        let count = taken.reduce(0) { $0 + $1.weight }
        switch spec.function {
        case .countAll, .count: return .bigint(count)
        case .sum, .avg:
            guard count != 0 else { return .null }
            var exact = Decimal.zero
            for row in taken {
                guard let value = number(row.arguments[call]) else { return .null }
                exact = try! exact.adding(try! value.multiplied(by: Decimal(row.weight)))
            }
            if spec.function == .avg {
                let average = try! exact.divided(by: Decimal(count))
                return spec.resultType == .double ? .double(exact.double / Double(count)) : .numeric(average)
            }
            return try! Value.numeric(exact).cast(to: spec.resultType)
        case .min: return taken.map { $0.arguments[call] }.min { Value.compare($0, $1) < 0 } ?? .null
        case .max: return taken.map { $0.arguments[call] }.max { Value.compare($0, $1) < 0 } ?? .null
        // Those have PostgreSQL's own answers: AggregateGoldenTests.
        default: return .null
        }
    }

    /// Doubles in tests are multiples of 1/64: exact as decimals, and so are their sums.
    private func number(_ value: Value) -> Decimal? {
        switch value {
        case .smallint(let value): Decimal(Int64(value))
        case .integer(let value): Decimal(Int64(value))
        case .bigint(let value): Decimal(value)
        case .numeric(let value): value
        case .real(let value): try? Decimal(Double(value))
        case .double(let value): try? Decimal(value)
        default: nil
        }
    }
}

struct RandomRows {
    var random: Xoshiro256

    init(seed: UInt64) { random = Xoshiro256(seed: seed) }

    mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

    /// One of about `kinds` values.
    mutating func value(_ type: DataType, kinds: Int, nulls: Int = 10) -> Value {
        if nulls > 0, below(nulls) == 0 { return .null }
        let n = below(kinds)
        switch type {
        case .boolean: return .boolean(n % 2 == 0)
        case .smallint: return .smallint(Int16(truncatingIfNeeded: n) - 50)
        case .integer: return .integer(Int32(n) * 1001 - 5000)
        case .bigint: return .bigint(Int64(n) &* 0x1234_5678_9ABC &- 77)
        case .real: return .real(Float(n) / 8 - 3)
        case .double: return .double(Double(n) / 64 - 3)
        case .numeric:
            // Equal numbers of different scales.
            let extra = below(3)
            let power: Int128 = [1, 10, 100][extra]
            return .numeric(Decimal(coefficient: (Int128(n) - 40) * 25 * power, scale: UInt8(2 + extra)))
        case .text, .unknown: return .text(n % 2 == 0 ? "k\(n)" : "a key of more than twelve bytes \(n)")
        case .bytea: return .bytea(Array("bytes of number \(n)".utf8))
        case .date: return .date(Int32(n) - 10)
        case .time: return .time(Int64(n) * 1_000_000)
        case .timestamp: return .timestamp(Int64(n) * 10_000_000)
        case .timestamptz: return .timestamptz(Int64(n) * 10_000_000)
        case .interval:
            return below(2) == 0 ? .interval(Interval(months: Int32(n))) : .interval(Interval(days: Int32(n) * 30))
        case .jsonb: return .jsonb(below(2) == 0 ? "{\"n\": \(n).50}" : "{\"n\": \(n).5}")
        case .uuid: return .uuid(UUIDValue(high: UInt64(n), low: UInt64(n) &* 77))
        case .array(let element): return .array(ArrayValue(element.withoutModifiers, (0..<n % 4).map { _ in value(element, kinds: kinds) }))
        case .structure(let fields): return .structure(StructureValue(fields, fields.map { value($0.type, kinds: kinds) }))
        }
    }
}

/// Rows in columns: keys, arguments, filters, weights.
struct RowSet {
    var keys: [[Value]] = []
    var arguments: [[Value]] = []
    var filters: [[Value]] = []
    var weights: [Int64] = []

    func column(_ type: DataType, _ rows: Range<Int>, _ value: (Int) -> Value) -> Column {
        Column(type, rows.map(value))
    }
}

func shown(_ value: Value) -> String {
    switch value {
    case .null: "NULL"
    case .double(let number) where number == 0: "0"
    case .real(let number) where number == 0: "0"
    default: value.text
    }
}

/// Equal as keys and results: scales of numbers may differ where groups hold equal numbers of different scales.
func sameRows(_ left: [[Value]], _ right: [[Value]]) -> Bool {
    left.count == right.count && zip(left, right).allSatisfy { $0 == $1 }
}

extension AggregateTable {
    func allRows() -> (rows: [[Value]], errors: RowErrors) {
        let errors = RowErrors()
        let columns = emit(0..<groupCount, errors: errors)
        return ((0..<groupCount).map { row in columns.map { $0.value(at: row) } }, errors)
    }
}
