/// The type of a column, of a value or of an expression, named and promoted as PostgreSQL does.
///
/// `unknown` is the type of an untyped literal ('…' or NULL) until the binder gives it one.
package indirect enum DataType: Hashable, Sendable {
    case boolean
    case smallint
    case integer
    case bigint
    case real
    case double
    /// `precision` and `scale` limit what is stored; both absent means "as many digits as the value has" (at most 38).
    case numeric(precision: Int?, scale: Int?)
    case text
    case bytea
    case date
    case time
    case timestamp
    case timestamptz
    case interval
    case jsonb
    case uuid
    /// An array of any number of dimensions, as in PostgreSQL.
    case array(DataType)
    /// A composite value (`STRUCT<a INT, b TEXT>`, ROW): named fields in order.
    case structure([StructureField])
    case unknown
}

/// A field of a composite type.
package struct StructureField: Hashable, Sendable {
    package var name: String
    package var type: DataType

    package init(name: String, type: DataType) {
        self.name = name
        self.type = type
    }
}

extension DataType {
    /// NUMERIC without a limit: the type of every numeric expression.
    package static let plainNumeric = DataType.numeric(precision: nil, scale: nil)

    /// One of each type, `numeric` without limits; excludes `unknown`.
    package static let all: [DataType] = [
        .boolean, .smallint, .integer, .bigint, .real, .double, .plainNumeric, .text, .bytea, .date, .time,
        .timestamp, .timestamptz, .interval, .jsonb, .uuid,
    ]

    /// The type without its modifiers, as function results have it.
    package var withoutModifiers: DataType {
        switch self {
        case .numeric: .plainNumeric
        case .array(let element): .array(element.withoutModifiers)
        case .structure(let fields): .structure(fields.map { StructureField(name: $0.name, type: $0.type.withoutModifiers) })
        default: self
        }
    }

    /// The type of an array's elements, of whatever number of dimensions; nil for what is no array.
    package var element: DataType? {
        if case .array(let element) = self { element } else { nil }
    }

    /// The type of ROW(…): fields named f1, f2, …
    package static func record(_ types: [DataType]) -> DataType {
        .structure(types.enumerated().map { StructureField(name: "f\($0.offset + 1)", type: $0.element) })
    }

    /// Values of arrays and structures lie in columns as the bytes of `ValueCodec`.
    package var isNested: Bool {
        switch self {
        case .array, .structure: true
        default: false
        }
    }

    package var isNumeric: Bool {
        switch self {
        case .smallint, .integer, .bigint, .real, .double, .numeric: true
        case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid, .array, .structure,
            .unknown:
            false
        }
    }

    package var isInteger: Bool { self == .smallint || self == .integer || self == .bigint }

    package var isFloat: Bool { self == .real || self == .double }

    /// PostgreSQL's type categories (pg_type.typcategory), which steer overload resolution and UNION/CASE typing.
    package enum Category: Hashable, Sendable {
        case boolean, numeric, string, dateTime, timespan, user, array, composite, unknown
    }

    package var category: Category {
        switch self {
        case .boolean: .boolean
        case .smallint, .integer, .bigint, .real, .double, .numeric: .numeric
        case .text: .string
        case .date, .time, .timestamp, .timestamptz: .dateTime
        case .interval: .timespan
        case .bytea, .jsonb, .uuid: .user
        case .array: .array
        case .structure: .composite
        case .unknown: .unknown
        }
    }

    /// pg_type.typispreferred: the type a category falls back to when overloads tie.
    package var isPreferred: Bool {
        switch self {
        case .boolean, .double, .text, .timestamptz, .interval: true
        case .smallint, .integer, .bigint, .real, .numeric, .bytea, .date, .time, .timestamp, .jsonb, .uuid, .array, .structure,
            .unknown:
            false
        }
    }

    /// The wider of two numeric types, for arithmetic between them: integers widen, any float wins over numeric.
    /// Nil unless both are numeric.
    package static func promoted(_ left: DataType, _ right: DataType) -> DataType? {
        guard let leftRank = left.numericRank, let rightRank = right.numericRank else { return nil }
        if left.isFloat != right.isFloat {
            // real meets a wider exact type: PostgreSQL goes to double precision unless both are real.
            return .double
        }
        return (leftRank >= rightRank ? left : right).withoutModifiers
    }

    private var numericRank: Int? {
        switch self {
        case .smallint: 1
        case .integer: 2
        case .bigint: 3
        case .numeric: 4
        case .real: 5
        case .double: 6
        case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid, .array, .structure,
            .unknown:
            nil
        }
    }

    /// PostgreSQL's rule for UNION, CASE, COALESCE, GREATEST and VALUES (manual, section 10.5): the common type, or nil
    /// where the categories differ or no implicit conversion leads from one type to the other.
    package static func common(_ types: [DataType]) -> DataType? {
        guard let first = types.first(where: { $0 != .unknown }) else { return types.isEmpty ? nil : .text }
        if types.allSatisfy({ $0 == first }) { return first }
        var candidate = first.withoutModifiers
        for type in types where type != .unknown {
            let type = type.withoutModifiers
            if type == candidate { continue }
            if case .array(let a) = candidate, case .array(let b) = type {
                guard let element = common([a, b]) else { return nil }
                candidate = .array(element)
                continue
            }
            if type.category != candidate.category { return nil }
            if !candidate.isPreferred, Cast.isAllowed(from: candidate, to: type, context: .implicit),
                !Cast.isAllowed(from: type, to: candidate, context: .implicit)
            {
                candidate = type
            }
        }
        let reachable = types.allSatisfy { $0 == .unknown || Cast.isAllowed(from: $0, to: candidate, context: .implicit) }
        return reachable ? candidate : nil
    }
}

// MARK: - Names

extension DataType: CustomStringConvertible {
    package var description: String { sqlName }

    /// The name PostgreSQL's `format_type` gives: "double precision", "timestamp with time zone", "numeric(10,2)".
    package var sqlName: String {
        switch self {
        case .boolean: return "boolean"
        case .smallint: return "smallint"
        case .integer: return "integer"
        case .bigint: return "bigint"
        case .real: return "real"
        case .double: return "double precision"
        case .numeric(let precision, let scale):
            guard let precision else { return "numeric" }
            return "numeric(\(precision),\(scale ?? 0))"
        case .text: return "text"
        case .bytea: return "bytea"
        case .date: return "date"
        case .time: return "time without time zone"
        case .timestamp: return "timestamp without time zone"
        case .timestamptz: return "timestamp with time zone"
        case .interval: return "interval"
        case .jsonb: return "jsonb"
        case .uuid: return "uuid"
        case .array(let element): return element.sqlName + "[]"
        case .structure(let fields):
            if isAnonymousRecord { return "record" }
            return "struct<" + fields.map { "\($0.name) \($0.type.sqlName)" }.joined(separator: ", ") + ">"
        case .unknown: return "unknown"
        }
    }

    private var isAnonymousRecord: Bool {
        guard case .structure(let fields) = self else { return false }
        return fields.enumerated().allSatisfy { $0.element.name == "f\($0.offset + 1)" }
    }

    /// Reads any of PostgreSQL's names for a type, in any case and spacing; `modifiers` are the numbers in parentheses.
    ///
    /// Nil where the name is not a type or the modifiers do not fit. Length limits of `varchar(n)` and fractional
    /// digits of `timestamp(p)` are accepted only where they change nothing; the caller reports others.
    package init?(sqlName: String, modifiers: [Int] = []) {
        var words = ""
        var pending = false
        for byte in sqlName.utf8 {
            if byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) {
                pending = !words.isEmpty
                continue
            }
            if pending { words.append(" ") }
            pending = false
            words.unicodeScalars.append(Unicode.Scalar(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte))
        }
        if words.hasPrefix("pg_catalog.") { words = String(words.dropFirst(11)) }
        if words.hasSuffix("[]") {
            while words.hasSuffix("[]") { words = String(words.dropLast(2)) }
            guard let element = DataType(sqlName: words, modifiers: modifiers) else { return nil }
            self = .array(element)
            return
        }
        var modifiers = modifiers
        if let open = words.firstIndex(of: "("), let close = words[open...].firstIndex(of: ")") {
            guard modifiers.isEmpty else { return nil }
            for part in words[words.index(after: open)..<close].split(separator: ",") {
                guard let number = Int(part.drop(while: { $0 == " " }).prefix(while: { $0 != " " })) else { return nil }
                modifiers.append(number)
            }
            var name = words[..<open]
            while name.last == " " { name.removeLast() }
            words = String(name) + String(words[words.index(after: close)...])
        }
        guard let type = DataType.named[words] else { return nil }
        switch type {
        case .numeric:
            guard modifiers.count <= 2 else { return nil }
            guard let precision = modifiers.first else { break }
            let scale = modifiers.count == 2 ? modifiers[1] : 0
            guard precision >= 1, precision <= Decimal.precisionMax, scale >= 0, scale <= precision else { return nil }
            self = .numeric(precision: precision, scale: scale)
            return
        case .real, .double:
            // float(1…24) is real, float(25…53) double precision.
            guard words == "float", let bits = modifiers.first else {
                guard modifiers.isEmpty else { return nil }
                break
            }
            guard modifiers.count == 1, bits >= 1, bits <= 53 else { return nil }
            self = bits <= 24 ? .real : .double
            return
        case .text, .time, .timestamp, .timestamptz, .interval:
            guard modifiers.count <= 1 else { return nil }
        case .boolean, .smallint, .integer, .bigint, .bytea, .date, .jsonb, .uuid, .array, .structure, .unknown:
            guard modifiers.isEmpty else { return nil }
        }
        self = type
    }

    private static let named: [String: DataType] = [
        "boolean": .boolean, "bool": .boolean,
        "smallint": .smallint, "int2": .smallint,
        "integer": .integer, "int": .integer, "int4": .integer,
        "bigint": .bigint, "int8": .bigint,
        "real": .real, "float4": .real,
        "double precision": .double, "double": .double, "float8": .double, "float": .double,
        "numeric": .plainNumeric, "decimal": .plainNumeric, "dec": .plainNumeric,
        "text": .text, "varchar": .text, "string": .text, "character varying": .text,
        "bytea": .bytea, "bytes": .bytea,
        "date": .date,
        "time": .time, "time without time zone": .time,
        "timestamp": .timestamp, "timestamp without time zone": .timestamp,
        "timestamptz": .timestamptz, "timestamp with time zone": .timestamptz,
        "interval": .interval,
        "jsonb": .jsonb, "json": .jsonb,
        "uuid": .uuid,
        "unknown": .unknown,
    ]
}
