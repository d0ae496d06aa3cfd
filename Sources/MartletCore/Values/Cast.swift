/// Which casts exist, and the reading of values from text.
package enum Cast {
    /// Where a cast is applied: anywhere, on storing into a column, or only where it is written.
    package enum Context: Int, Comparable, Sendable {
        case implicit, assignment, explicit
        package static func < (left: Context, right: Context) -> Bool { left.rawValue < right.rawValue }
    }

    /// PostgreSQL's pg_cast, and its rule that every type reads from and prints to text: to text on assignment, from
    /// text where written. An untyped literal becomes anything anywhere.
    package static func isAllowed(from source: DataType, to target: DataType, context: Context) -> Bool {
        let (source, target) = (source.withoutModifiers, target.withoutModifiers)
        if source == target || source == .unknown { return true }
        guard let needed = contextNeeded(from: source, to: target) else { return false }
        return context >= needed
    }

    private static func contextNeeded(from source: DataType, to target: DataType) -> Context? {
        if target == .text || target == .unknown { return .assignment }
        if source == .text { return .explicit }
        switch (source, target) {
        case (.smallint, .integer), (.smallint, .bigint), (.integer, .bigint): return .implicit
        case (.bigint, .integer), (.bigint, .smallint), (.integer, .smallint): return .assignment
        case (.smallint, .numeric), (.integer, .numeric), (.bigint, .numeric): return .implicit
        case (.smallint, .real), (.integer, .real), (.bigint, .real), (.numeric, .real): return .implicit
        case (.smallint, .double), (.integer, .double), (.bigint, .double), (.numeric, .double), (.real, .double):
            return .implicit
        case (.numeric, .smallint), (.numeric, .integer), (.numeric, .bigint): return .assignment
        case (.real, .smallint), (.real, .integer), (.real, .bigint), (.real, .numeric): return .assignment
        case (.double, .smallint), (.double, .integer), (.double, .bigint), (.double, .numeric), (.double, .real):
            return .assignment
        case (.boolean, .integer), (.integer, .boolean): return .explicit
        case (.date, .timestamp), (.date, .timestamptz), (.timestamp, .timestamptz), (.time, .interval):
            return .implicit
        case (.timestamp, .date), (.timestamp, .time), (.timestamptz, .date), (.timestamptz, .timestamp),
            (.timestamptz, .time), (.interval, .time):
            return .assignment
        case (.jsonb, .boolean), (.jsonb, .smallint), (.jsonb, .integer), (.jsonb, .bigint), (.jsonb, .real),
            (.jsonb, .double), (.jsonb, .numeric):
            return .explicit
        case (.array(let from), .array(let to)):
            if from == to || from == .unknown { return .implicit }
            return contextNeeded(from: from, to: to)
        case (.structure(let from), .structure(let to)):
            // Field by field; names do not matter.
            guard from.count == to.count else { return nil }
            var needed = Context.assignment
            for (left, right) in zip(from, to) where left.type != right.type && left.type != .unknown {
                guard let own = contextNeeded(from: left.type, to: right.type) else { return nil }
                needed = max(needed, own)
            }
            return needed
        default: return nil
        }
    }

    static func notAllowed(_ source: DataType, _ target: DataType) -> SQLError {
        SQLError(.cannotCoerce, "cannot cast type \(source.sqlName) to \(target.withoutModifiers.sqlName)")
    }
}

// MARK: - From text

extension Cast {
    /// What the input function of `type` makes of `text`.
    static func read(_ text: String, as type: DataType, context: EvaluationContext) throws(SQLError) -> Value {
        switch type {
        case .boolean: return .boolean(try readBoolean(text))
        case .smallint: return .smallint(try readInteger(text, type))
        case .integer: return .integer(try readInteger(text, type))
        case .bigint: return .bigint(try readInteger(text, type))
        case .real: return .real(try readFloat(text, type))
        case .double: return .double(try readFloat(text, type))
        case .numeric: return .numeric(try readDecimal(text))
        case .text, .unknown: return .text(text)
        case .bytea: return .bytea(try readBytes(text))
        case .date: return .date(try DateTimeText.date(text, context: context))
        case .time: return .time(try DateTimeText.time(text, context: context))
        case .timestamp: return .timestamp(try DateTimeText.timestamp(text, isZoned: false, context: context))
        case .timestamptz: return .timestamptz(try DateTimeText.timestamp(text, isZoned: true, context: context))
        case .interval: return .interval(try Interval(text: text))
        case .jsonb: return .jsonb(try JSONDocument.canonical(text))
        case .uuid:
            guard let value = UUIDValue(text: text) else { throw .invalidText(text, for: .uuid) }
            return .uuid(value)
        case .array(let element): return .array(try ArrayValue(text: text, element: element, context: context))
        case .structure(let fields): return .structure(try StructureValue(text: text, fields: fields, context: context))
        }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

    private static func trimmed(_ text: String) -> Substring.UTF8View {
        var view = text[...].utf8
        while let first = view.first, isBlank(first) { view = view.dropFirst() }
        while let last = view.last, isBlank(last) { view = view.dropLast() }
        return view
    }

    /// Any unambiguous beginning of true, false, yes, no; on, off, 1, 0.
    private static func readBoolean(_ text: String) throws(SQLError) -> Bool {
        let word = String(decoding: trimmed(text).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
        if !word.isEmpty {
            if "true".hasPrefix(word) || "yes".hasPrefix(word) || word == "on" || word == "1" { return true }
            if "false".hasPrefix(word) || "no".hasPrefix(word) || word == "off" || word == "of" || word == "0" { return false }
        }
        throw .invalidText(text, for: .boolean)
    }

    private static func readInteger<T: FixedWidthInteger & SignedInteger>(
        _ text: String, _ type: DataType
    ) throws(SQLError) -> T {
        var digits = trimmed(text)
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard !digits.isEmpty else { throw .invalidText(text, for: type) }
        var value: T = 0
        for byte in digits {
            let digit = byte &- 0x30
            guard digit < 10 else { throw .invalidText(text, for: type) }
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) =
                isNegative ? product.subtractingReportingOverflow(T(digit)) : product.addingReportingOverflow(T(digit))
            if overflows || overflowsToo { throw .textOutOfRange(text, for: type) }
            value = sum
        }
        return value
    }

    static func readFloat<T: BinaryFloatingPoint & LosslessStringConvertible>(
        _ text: String, _ type: DataType
    ) throws(SQLError) -> T {
        let word = String(decoding: trimmed(text).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
        switch word {
        case "nan": return .nan
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        default: break
        }
        let isPlain = word.utf8.allSatisfy { $0 &- 0x30 < 10 || "+-.epxabcdf".utf8.contains($0) }
        guard isPlain, let value = T(word) else { throw .invalidText(text, for: type) }
        let mantissa = word.utf8.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "p") }
        let isUnderflow = value == 0 && mantissa.contains { $0 > 0x30 && $0 <= 0x39 }
        if value.isInfinite || isUnderflow {
            throw SQLError(
                .numericValueOutOfRange,
                "\"\(String(decoding: Array(trimmed(text)), as: UTF8.self))\" is out of range for type \(type.sqlName)")
        }
        return value
    }

    private static func readDecimal(_ text: String) throws(SQLError) -> Decimal {
        var copy = text
        let result: Result<Decimal, Decimal.ParseError> = copy.withUTF8 { bytes in
            Result { () throws(Decimal.ParseError) in try Decimal.parse(bytes) }
        }
        switch result {
        case .success(let value): return value
        case .failure(.invalid): throw .invalidText(text, for: .plainNumeric)
        case .failure(.overflow): throw Decimal.overflow
        }
    }

    /// `\x` and hexadecimal digits, or the escape format: `\\`, `\ooo`, all else itself.
    static func readBytes(_ text: String) throws(SQLError) -> [UInt8] {
        let input = Array(text.utf8)
        if input.starts(with: "\\x".utf8) { return try readHexadecimal(input[2...]) }
        return try readEscaped(input)
    }

    static func readHexadecimal(_ input: ArraySlice<UInt8>) throws(SQLError) -> [UInt8] {
        var output: [UInt8] = []
        var high: UInt8?
        for (index, byte) in zip(input.indices, input) {
            if byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D, high == nil { continue }
            guard let nibble = Hexadecimal.value(of: byte) else {
                // The whole character, which may be several bytes.
                let rest = String(decoding: input[index...], as: UTF8.self)
                throw SQLError(
                    .invalidParameterValue, "invalid hexadecimal digit: \"\(rest.unicodeScalars.first.map(String.init) ?? "")\"")
            }
            if let first = high {
                output.append(first << 4 | nibble)
                high = nil
            } else {
                high = nibble
            }
        }
        if high != nil { throw SQLError(.invalidParameterValue, "invalid hexadecimal data: odd number of digits") }
        return output
    }

    static func readEscaped(_ input: [UInt8]) throws(SQLError) -> [UInt8] {
        var output: [UInt8] = []
        var index = 0
        while index < input.count {
            let byte = input[index]
            if byte != UInt8(ascii: "\\") {
                output.append(byte)
                index += 1
            } else if index + 1 < input.count, input[index + 1] == UInt8(ascii: "\\") {
                output.append(byte)
                index += 2
            } else if index + 3 < input.count, input[index + 1] &- 0x30 < 4, input[index + 2] &- 0x30 < 8,
                input[index + 3] &- 0x30 < 8
            {
                output.append((input[index + 1] &- 0x30) << 6 | (input[index + 2] &- 0x30) << 3 | (input[index + 3] &- 0x30))
                index += 4
            } else {
                throw SQLError(.invalidTextRepresentation, "invalid input syntax for type bytea")
            }
        }
        return output
    }
}
