package import MartletCore

/// What clients send in binary: 22P03 or 08P01 where the bytes are no value of the type.
extension BinaryValue {
    package static func read(_ bytes: UnsafeRawBufferPointer, as type: DataType) throws(SQLError) -> Value {
        var reader = MessageReader(bytes)
        let value = try read(&reader, type)
        guard reader.isAtEnd else { throw SQLError(.invalidBinaryRepresentation, "incorrect binary data format") }
        return value
    }

    private static func read(_ reader: inout MessageReader, _ type: DataType) throws(SQLError) -> Value {
        switch type {
        case .boolean: return .boolean(try reader.uint8() != 0)
        case .smallint: return .smallint(Int16(bitPattern: try reader.uint16()))
        case .integer: return .integer(Int32(bitPattern: try reader.uint32()))
        case .bigint: return .bigint(try reader.int64())
        case .real: return .real(Float(bitPattern: try reader.uint32()))
        case .double: return .double(Double(bitPattern: UInt64(bitPattern: try reader.int64())))
        case .numeric(let precision, let scale):
            let value = try numeric(&reader)
            guard precision != nil else { return .numeric(value) }
            return try Value.numeric(value).cast(to: .numeric(precision: precision, scale: scale))
        case .text, .unknown: return .text(try MessageReader.text(reader.rest()))
        case .bytea: return .bytea([UInt8](reader.rest()))
        case .date: return .date(try days(Int32(bitPattern: try reader.uint32())))
        case .time:
            let micros = try reader.int64()
            guard micros >= 0, micros <= Calendar.microsPerDay else {
                throw SQLError(.datetimeFieldOverflow, "time out of range")
            }
            return .time(micros)
        case .timestamp: return .timestamp(try micros(try reader.int64()))
        case .timestamptz: return .timestamptz(try micros(try reader.int64()))
        case .interval:
            let micros = try reader.int64()
            let days = Int32(bitPattern: try reader.uint32())
            return .interval(Interval(months: Int32(bitPattern: try reader.uint32()), days: days, micros: micros))
        case .jsonb:
            // JSON itself, which drivers also send where they were told of jsonb, has no version in front; none begins with 1
            // and a brace, a bracket, a quote or a letter behind it, so that the byte decides.
            var text = reader.rest()
            if text.first == 1 { text = UnsafeRawBufferPointer(rebasing: text.dropFirst()) }
            return try Value.text(try MessageReader.text(text)).cast(to: .jsonb)
        case .uuid:
            let high = UInt64(bitPattern: try reader.int64())
            return .uuid(UUIDValue(high: high, low: UInt64(bitPattern: try reader.int64())))
        case .array(let element): return .array(try array(&reader, of: element))
        case .structure(let fields): return .structure(try structure(&reader, fields))
        }
    }

    private static func days(_ value: Int32) throws(SQLError) -> Int32 {
        if value == .max || value == .min { return value }
        // 4714-11-24 BC to 5874897-12-31, in days since 2000.
        guard value >= -2_451_545, value < 2_145_031_949 else { throw SQLError(.datetimeFieldOverflow, "date out of range") }
        return value + epochDays
    }

    private static func micros(_ value: Int64) throws(SQLError) -> Int64 {
        if value == .max || value == .min { return value }
        // 4714-11-24 BC to 294276-12-31, in microseconds since 2000.
        guard value >= -211_813_488_000_000_000, value < 9_223_371_331_200_000_000 - epochMicros else {
            throw SQLError(.datetimeFieldOverflow, "timestamp out of range")
        }
        return value + epochMicros
    }

    /// By way of its text, so that rounding and limits are those of a literal. At most 4 × 32,768 digits on either side.
    private static func numeric(_ reader: inout MessageReader) throws(SQLError) -> Decimal {
        func invalid(_ what: String) -> SQLError {
            SQLError(.invalidBinaryRepresentation, "invalid \(what) in external \"numeric\" value")
        }
        let count = Int(try reader.uint16())
        let weight = Int(Int16(bitPattern: try reader.uint16()))
        let sign = try reader.uint16()
        let scale = Int(try reader.uint16())
        guard count <= 16_384 else { throw invalid("length") }
        guard scale <= 16_383 else { throw invalid("scale") }
        switch sign {
        case 0xC000: return .nan
        case 0xD000: return .infinity
        case 0xF000: return .negativeInfinity
        case 0, 0x4000: break
        default: throw invalid("sign")
        }
        var text: [UInt8] = sign == 0x4000 ? [UInt8(ascii: "-")] : []
        var groups: [UInt16] = []
        for _ in 0..<count {
            let group = try reader.uint16()
            guard group < 10_000 else { throw invalid("digit") }
            groups.append(group)
        }
        func append(_ group: UInt16) {
            for unit: UInt16 in [1000, 100, 10, 1] { text.append(UInt8(group / unit % 10) + 0x30) }
        }
        if weight < 0 { text.append(UInt8(ascii: "0")) }
        if weight >= 0 { for index in 0...weight { append(index < count ? groups[index] : 0) } }
        if scale > 0 {
            text.append(UInt8(ascii: "."))
            let point = text.count
            var index = weight + 1
            while text.count - point < scale {
                append(index >= 0 && index < count ? groups[index] : 0)
                index += 1
            }
            // What lies behind the display scale is cut off, as numeric_recv does.
            text.removeLast(text.count - point - scale)
        }
        guard let value = Decimal(text: String(decoding: text, as: UTF8.self)) else {
            throw SQLError(.numericValueOutOfRange, "value overflows numeric format")
        }
        return value
    }

    private static func array(_ reader: inout MessageReader, of element: DataType) throws(SQLError) -> ArrayValue {
        let count = Int32(bitPattern: try reader.uint32())
        guard count >= 0, Int(count) <= ArrayValue.dimensionsMax else {
            throw SQLError(
                .programLimitExceeded, "number of array dimensions (\(count)) exceeds the maximum allowed (\(ArrayValue.dimensionsMax))")
        }
        guard try reader.uint32() <= 1 else { throw SQLError(.invalidBinaryRepresentation, "invalid array flags") }
        let identifier = try reader.uint32()
        guard identifier == TypeIdentifier.of(element) || TypeIdentifier.type(identifier)?.withoutModifiers == element.withoutModifiers
        else {
            throw SQLError(
                .datatypeMismatch,
                "binary data has array element type \(identifier) instead of expected \(TypeIdentifier.of(element)) (\(element.sqlName))")
        }
        var dimensions: [ArrayValue.Dimension] = []
        // Every element takes at least the four bytes of its length, so what is there bounds what is allocated.
        let elementsMax = reader.remaining / 4
        var elements = count == 0 ? 0 : 1
        for _ in 0..<count {
            let size = Int32(bitPattern: try reader.uint32())
            let lower = Int32(bitPattern: try reader.uint32())
            guard size >= 0, !lower.addingReportingOverflow(size).overflow else {
                throw SQLError(.arraySubscriptError, "array dimensions or bounds are out of range")
            }
            elements *= Int(size)
            guard elements <= elementsMax else { throw WireError.malformed("insufficient data left in message") }
            dimensions.append(ArrayValue.Dimension(lower: lower, count: size))
        }
        var values: [Value] = []
        values.reserveCapacity(elements)
        for _ in 0..<elements { values.append(try sized(&reader, element)) }
        return ArrayValue(element.withoutModifiers, dimensions, values)
    }

    private static func structure(_ reader: inout MessageReader, _ fields: [StructureField]) throws(SQLError) -> StructureValue {
        let count = Int32(bitPattern: try reader.uint32())
        guard Int(count) == fields.count else {
            throw SQLError(.datatypeMismatch, "wrong number of columns: \(count), expected \(fields.count)")
        }
        var values: [Value] = []
        for field in fields {
            _ = try reader.uint32()
            values.append(try sized(&reader, field.type))
        }
        return StructureValue(fields, values)
    }

    /// A value behind its length; −1: NULL.
    private static func sized(_ reader: inout MessageReader, _ type: DataType) throws(SQLError) -> Value {
        let length = Int32(bitPattern: try reader.uint32())
        return length == -1 ? .null : try read(try reader.bytes(Int(length)), as: type)
    }
}

extension MessageReader {
    mutating func int64() throws(SQLError) -> Int64 {
        let high = Int64(Int32(bitPattern: try uint32()))
        return high << 32 | Int64(try uint32())
    }
}
