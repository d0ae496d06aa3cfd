/// One SQL value with its type: what constants, scalar functions and results are made of.
///
/// Dates count days and times microseconds as the house does everywhere: `timestamp` and `timestamptz` from
/// 1970-01-01 UTC with `Int64.max` = infinity and `Int64.min` = -infinity, `date` likewise with `Int32`, `time` from
/// midnight. Equality and hashing follow SQL's notion of "not distinct": 1.0 = 1.00, NaN = NaN, -0 = 0, NULL = NULL;
/// values of different types are never equal here (the binder casts first).
package enum Value: Sendable {
    case null
    case boolean(Bool)
    case smallint(Int16)
    case integer(Int32)
    case bigint(Int64)
    case real(Float)
    case double(Double)
    case numeric(Decimal)
    case text(String)
    case bytea([UInt8])
    case date(Int32)
    case time(Int64)
    case timestamp(Int64)
    case timestamptz(Int64)
    case interval(Interval)
    /// PostgreSQL's canonical text of the document: keys ordered by length, then bytes; one space after `:` and `,`.
    case jsonb(String)
    case uuid(UUIDValue)
    case array(ArrayValue)
    case structure(StructureValue)
}

extension Value {
    /// The value's own type; `unknown` for NULL, `numeric` without limits.
    package var type: DataType {
        switch self {
        case .null: .unknown
        case .boolean: .boolean
        case .smallint: .smallint
        case .integer: .integer
        case .bigint: .bigint
        case .real: .real
        case .double: .double
        case .numeric: .plainNumeric
        case .text: .text
        case .bytea: .bytea
        case .date: .date
        case .time: .time
        case .timestamp: .timestamp
        case .timestamptz: .timestamptz
        case .interval: .interval
        case .jsonb: .jsonb
        case .uuid: .uuid
        case .array(let value): .array(value.element)
        case .structure(let value): .structure(value.fields)
        }
    }

    package var isNull: Bool { if case .null = self { true } else { false } }
}

extension Value: Hashable {
    package static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.boolean(let a), .boolean(let b)): a == b
        case (.smallint(let a), .smallint(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.bigint(let a), .bigint(let b)): a == b
        case (.real(let a), .real(let b)): a == b || (a.isNaN && b.isNaN)
        case (.double(let a), .double(let b)): a == b || (a.isNaN && b.isNaN)
        case (.numeric(let a), .numeric(let b)): a == b
        case (.text(let a), .text(let b)): sameBytes(a, b)
        case (.bytea(let a), .bytea(let b)): a == b
        case (.date(let a), .date(let b)): a == b
        case (.time(let a), .time(let b)): a == b
        case (.timestamp(let a), .timestamp(let b)): a == b
        case (.timestamptz(let a), .timestamptz(let b)): a == b
        case (.interval(let a), .interval(let b)): a == b
        case (.jsonb(let a), .jsonb(let b)): JSONDocument.areEqual(a, b)
        case (.uuid(let a), .uuid(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.structure(let a), .structure(let b)): a == b
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .boolean(let value): hasher.combine(value)
        case .smallint(let value): hasher.combine(value)
        case .integer(let value): hasher.combine(value)
        case .bigint(let value): hasher.combine(value)
        case .real(let value): hasher.combine(value.isNaN ? Float.nan.bitPattern : (value + 0).bitPattern)
        case .double(let value): hasher.combine(value.isNaN ? Double.nan.bitPattern : (value + 0).bitPattern)
        case .numeric(let value): hasher.combine(value)
        case .text(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .bytea(let value): hasher.combine(value)
        case .date(let value): hasher.combine(value)
        case .time(let value): hasher.combine(value)
        case .timestamp(let value): hasher.combine(value)
        case .timestamptz(let value): hasher.combine(value)
        case .interval(let value): hasher.combine(value)
        case .jsonb(let value): JSONDocument.hash(value, into: &hasher)
        case .uuid(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .structure(let value): hasher.combine(value)
        }
    }

    /// Text is compared byte by byte; Swift's `==` would take canonically equivalent strings for equal.
    private static func sameBytes(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }
}

/// Sixteen bytes, most significant first; ordered as PostgreSQL orders uuid (memcmp).
package struct UUIDValue: Hashable, Comparable, Sendable {
    /// Bytes 0–7 and 8–15 as big-endian numbers.
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func < (left: UUIDValue, right: UUIDValue) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    package var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - UInt64($0 % 8) * 8)) }
    }

    /// All forms PostgreSQL reads: upper case, in braces, hyphens after any group of four digits.
    package init?(text: String) {
        var digits = 0
        var words: (UInt64, UInt64) = (0, 0)
        var bytes = Array(text.utf8)[...]
        if bytes.first == UInt8(ascii: "{") {
            guard bytes.last == UInt8(ascii: "}") else { return nil }
            bytes = bytes.dropFirst().dropLast()
        }
        var wasHyphen = true
        for byte in bytes {
            if byte == UInt8(ascii: "-") {
                if wasHyphen || digits % 4 != 0 || digits == 32 { return nil }
                wasHyphen = true
                continue
            }
            guard digits < 32, let nibble = Hexadecimal.value(of: byte) else { return nil }
            wasHyphen = false
            if digits < 16 { words.0 = words.0 << 4 | UInt64(nibble) } else { words.1 = words.1 << 4 | UInt64(nibble) }
            digits += 1
        }
        guard digits == 32 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    package var text: String {
        var result: [UInt8] = []
        result.reserveCapacity(36)
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { result.append(UInt8(ascii: "-")) }
            result.append(Hexadecimal.digit(byte >> 4))
            result.append(Hexadecimal.digit(byte & 15))
        }
        return String(decoding: result, as: UTF8.self)
    }
}

package enum Hexadecimal {
    package static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }

    /// Two lower-case digits.
    package static func pair(_ byte: UInt8) -> String {
        String(decoding: [digit(byte >> 4), digit(byte & 15)], as: UTF8.self)
    }

    /// The lower-case digit of a number below 16.
    package static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? nibble &+ 0x30 : nibble &+ 0x57 }
}
