extension Value {
    /// PostgreSQL's output text in UTC; empty for NULL.
    package var text: String { text(in: .utc) }

    /// PostgreSQL's output text, TIMESTAMPTZ shown in `zone` with its offset; empty for NULL.
    package func text(in zone: TimeZone) -> String {
        switch self {
        case .null: return ""
        case .boolean(let value): return value ? "t" : "f"
        case .smallint(let value): return String(value)
        case .integer(let value): return String(value)
        case .bigint(let value): return String(value)
        case .real(let value): return FloatText.text(value)
        case .double(let value): return FloatText.text(value)
        case .numeric(let value): return value.text
        case .text(let value): return value
        case .bytea(let bytes): return "\\x" + Hexadecimal.text(bytes)
        case .date(let days): return Timestamps.text { Timestamps.writeSQLDate(days, into: $0) }
        case .time(let micros): return Timestamps.text { Timestamps.writeTime(micros, into: $0) }
        case .timestamp(let micros): return Timestamps.text { Timestamps.writeSQL(micros, offset: nil, into: $0) }
        case .timestamptz(let micros):
            let offset = zone.offset(at: micros)
            return Timestamps.text { Timestamps.writeSQL(micros, offset: offset, into: $0) }
        case .interval(let value): return value.text
        case .jsonb(let text): return text
        case .uuid(let value): return value.text
        case .array(let value): return value.text(in: zone)
        case .structure(let value): return value.text(in: zone)
        }
    }

    /// The order of two values of one type as ORDER BY has it: negative, 0 or positive; NULL behind everything, NaN
    /// behind every number. Text is ordered by its bytes (collation "C").
    package static func compare(_ left: Value, _ right: Value) -> Int {
        func order<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }
        func order<T: BinaryFloatingPoint>(floats a: T, _ b: T) -> Int {
            if a.isNaN || b.isNaN { return (a.isNaN ? 1 : 0) - (b.isNaN ? 1 : 0) }
            return a < b ? -1 : a == b ? 0 : 1
        }
        func order(bytes a: some Sequence<UInt8>, _ b: some Sequence<UInt8>) -> Int {
            a.lexicographicallyPrecedes(b) ? -1 : a.elementsEqual(b) ? 0 : 1
        }
        switch (left, right) {
        case (.null, .null): return 0
        case (.null, _): return 1
        case (_, .null): return -1
        case (.boolean(let a), .boolean(let b)): return (a ? 1 : 0) - (b ? 1 : 0)
        case (.smallint(let a), .smallint(let b)): return order(a, b)
        case (.integer(let a), .integer(let b)): return order(a, b)
        case (.bigint(let a), .bigint(let b)): return order(a, b)
        case (.real(let a), .real(let b)): return order(floats: a, b)
        case (.double(let a), .double(let b)): return order(floats: a, b)
        case (.numeric(let a), .numeric(let b)): return Decimal.compare(a, b)
        case (.text(let a), .text(let b)): return order(bytes: a.utf8, b.utf8)
        case (.bytea(let a), .bytea(let b)): return order(bytes: a, b)
        case (.date(let a), .date(let b)): return order(a, b)
        case (.time(let a), .time(let b)): return order(a, b)
        case (.timestamp(let a), .timestamp(let b)): return order(a, b)
        case (.timestamptz(let a), .timestamptz(let b)): return order(a, b)
        case (.interval(let a), .interval(let b)): return order(a, b)
        case (.jsonb(let a), .jsonb(let b)): return JSONDocument.compare(a, b)
        case (.uuid(let a), .uuid(let b)): return order(a, b)
        case (.array(let a), .array(let b)): return ArrayValue.compare(a, b)
        case (.structure(let a), .structure(let b)): return StructureValue.compare(a, b)
        default: return order(left.typeRank, right.typeRank)
        }
    }

    /// Only to make the order of differing types total; the binder never compares such.
    private var typeRank: Int {
        switch self {
        case .null: 0
        case .boolean: 1
        case .smallint: 2
        case .integer: 3
        case .bigint: 4
        case .real: 5
        case .double: 6
        case .numeric: 7
        case .text: 8
        case .bytea: 9
        case .date: 10
        case .time: 11
        case .timestamp: 12
        case .timestamptz: 13
        case .interval: 14
        case .jsonb: 15
        case .uuid: 16
        case .array: 17
        case .structure: 18
        }
    }
}

extension Hexadecimal {
    package static func text(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            output.append(digit(byte >> 4))
            output.append(digit(byte & 15))
        }
        return String(decoding: output, as: UTF8.self)
    }
}
