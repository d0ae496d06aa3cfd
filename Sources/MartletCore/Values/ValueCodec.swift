/// Values as bytes whose meaning the type gives: how arrays and structures lie in columns and how aggregates keep the
/// values that they collect. Little-endian, no alignment. Equal values may differ in their bytes (1.0 and 1.00); the
/// bytes of `canonical` do not.
///
/// A value inside another is a byte (0 NULL, 1 present) and then: numbers and times at their width, NUMERIC as scale and
/// 16 bytes, strings as a 4-byte length and their bytes, an array as number of dimensions, lower bound and count (4 bytes
/// each) of each, then its elements, a structure as its fields.
package enum ValueCodec {
    /// The bytes of a value of the type that the reader will name; not NULL.
    package static func encode(_ value: Value, into output: inout [UInt8]) {
        switch value {
        case .null: break
        case .boolean(let flag): output.append(flag ? 1 : 0)
        case .smallint(let number): append(UInt16(bitPattern: number), to: &output)
        case .integer(let number), .date(let number): append(UInt32(bitPattern: number), to: &output)
        case .bigint(let number), .time(let number), .timestamp(let number), .timestamptz(let number):
            append(UInt64(bitPattern: number), to: &output)
        case .real(let number): append(number.bitPattern, to: &output)
        case .double(let number): append(number.bitPattern, to: &output)
        case .numeric(let number):
            output.append(number.scale)
            append(UInt128(bitPattern: number.coefficient), to: &output)
        case .text(let text), .jsonb(let text):
            append(UInt32(truncatingIfNeeded: text.utf8.count), to: &output)
            output += text.utf8
        case .bytea(let bytes):
            append(UInt32(truncatingIfNeeded: bytes.count), to: &output)
            output += bytes
        case .interval(let interval):
            append(UInt32(bitPattern: interval.months), to: &output)
            append(UInt32(bitPattern: interval.days), to: &output)
            append(UInt64(bitPattern: interval.micros), to: &output)
        case .uuid(let uuid):
            append(uuid.high, to: &output)
            append(uuid.low, to: &output)
        case .array(let array):
            output.append(UInt8(truncatingIfNeeded: array.dimensions.count))
            for dimension in array.dimensions {
                append(UInt32(bitPattern: dimension.lower), to: &output)
                append(UInt32(bitPattern: dimension.count), to: &output)
            }
            for element in array.values { encodeInner(element, into: &output) }
        case .structure(let structure):
            for field in structure.values { encodeInner(field, into: &output) }
        }
    }

    package static func encode(_ value: Value) -> [UInt8] {
        var output: [UInt8] = []
        encode(value, into: &output)
        return output
    }

    /// A value that may be NULL.
    package static func encodeInner(_ value: Value, into output: inout [UInt8]) {
        output.append(value.isNull ? 0 : 1)
        encode(value, into: &output)
    }

    @inline(__always)
    private static func append(_ word: some FixedWidthInteger, to output: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { output.append(contentsOf: $0) }
    }

    // MARK: - Reading

    /// The value that `bytes` hold, or nil where they are not exactly one value of the type.
    package static func decode(_ bytes: UnsafeBufferPointer<UInt8>, as type: DataType) -> Value? {
        var cursor = Cursor(bytes: bytes)
        guard let value = cursor.value(type), cursor.at == bytes.count else { return nil }
        return value
    }

    package static func decode(_ bytes: [UInt8], as type: DataType) -> Value? {
        bytes.withUnsafeBufferPointer { decode($0, as: type) }
    }

    private struct Cursor {
        let bytes: UnsafeBufferPointer<UInt8>
        var at = 0

        mutating func word<Word: FixedWidthInteger>(_: Word.Type) -> Word? {
            let count = MemoryLayout<Word>.size
            guard bytes.count - at >= count, let base = bytes.baseAddress else { return nil }
            let word = UnsafeRawPointer(base + at).loadUnaligned(as: Word.self)
            at += count
            return Word(littleEndian: word)
        }

        mutating func string() -> UnsafeBufferPointer<UInt8>? {
            guard let count = word(UInt32.self).map(Int.init), bytes.count - at >= count else { return nil }
            defer { at += count }
            return UnsafeBufferPointer(rebasing: bytes[at..<at + count])
        }

        mutating func inner(_ type: DataType) -> Value? {
            guard let flag = word(UInt8.self) else { return nil }
            return flag == 0 ? .null : value(type)
        }

        mutating func value(_ type: DataType) -> Value? {
            switch type {
            case .boolean: return word(UInt8.self).map { .boolean($0 != 0) }
            case .smallint: return word(UInt16.self).map { .smallint(Int16(bitPattern: $0)) }
            case .integer: return word(UInt32.self).map { .integer(Int32(bitPattern: $0)) }
            case .date: return word(UInt32.self).map { .date(Int32(bitPattern: $0)) }
            case .bigint: return word(UInt64.self).map { .bigint(Int64(bitPattern: $0)) }
            case .time: return word(UInt64.self).map { .time(Int64(bitPattern: $0)) }
            case .timestamp: return word(UInt64.self).map { .timestamp(Int64(bitPattern: $0)) }
            case .timestamptz: return word(UInt64.self).map { .timestamptz(Int64(bitPattern: $0)) }
            case .real: return word(UInt32.self).map { .real(Float(bitPattern: $0)) }
            case .double: return word(UInt64.self).map { .double(Double(bitPattern: $0)) }
            case .numeric:
                guard let scale = word(UInt8.self), let coefficient = word(UInt128.self) else { return nil }
                return .numeric(Decimal(coefficient: Int128(bitPattern: coefficient), scale: scale))
            case .text, .unknown: return string().map { .text(String(decoding: $0, as: UTF8.self)) }
            case .jsonb: return string().map { .jsonb(String(decoding: $0, as: UTF8.self)) }
            case .bytea: return string().map { .bytea(Array($0)) }
            case .interval:
                guard let months = word(UInt32.self), let days = word(UInt32.self), let micros = word(UInt64.self) else { return nil }
                return .interval(
                    Interval(months: Int32(bitPattern: months), days: Int32(bitPattern: days), micros: Int64(bitPattern: micros)))
            case .uuid:
                guard let high = word(UInt64.self), let low = word(UInt64.self) else { return nil }
                return .uuid(UUIDValue(high: high, low: low))
            case .array(let element): return array(element)
            case .structure(let fields):
                var values: [Value] = []
                for field in fields {
                    guard let value = inner(field.type) else { return nil }
                    values.append(value)
                }
                return .structure(StructureValue(fields, values))
            }
        }

        private mutating func array(_ element: DataType) -> Value? {
            guard let rank = word(UInt8.self), rank <= ArrayValue.dimensionsMax else { return nil }
            var dimensions: [ArrayValue.Dimension] = []
            var count = rank == 0 ? 0 : 1
            for _ in 0..<rank {
                guard let lower = word(UInt32.self), let extent = word(UInt32.self) else { return nil }
                dimensions.append(.init(lower: Int32(bitPattern: lower), count: Int32(bitPattern: extent)))
                let (product, isOver) = count.multipliedReportingOverflow(by: Int(extent))
                // Every element has a byte at least.
                guard !isOver, product <= bytes.count else { return nil }
                count = product
            }
            var values: [Value] = []
            values.reserveCapacity(count)
            for _ in 0..<count {
                guard let value = inner(element) else { return nil }
                values.append(value)
            }
            return .array(ArrayValue(element, dimensions, values))
        }
    }

    // MARK: - Equality

    /// Whether equal values of the type may differ in their bytes.
    package static func isLoose(_ type: DataType) -> Bool {
        switch type {
        case .real, .double, .numeric, .interval, .jsonb: true
        case .array(let element): isLoose(element)
        case .structure(let fields): fields.contains { isLoose($0.type) }
        case .boolean, .smallint, .integer, .bigint, .text, .bytea, .date, .time, .timestamp, .timestamptz, .uuid, .unknown: false
        }
    }

    /// The same for all values that are equal: one zero, one NaN, no trailing zeros, an interval as its length.
    package static func canonical(_ value: Value) -> Value {
        switch value {
        case .real(let number): return .real(number.isNaN ? .nan : number + 0)
        case .double(let number): return .double(number.isNaN ? .nan : number + 0)
        case .numeric(let number): return .numeric(number.isSpecial ? number : number.withoutTrailingZeros)
        case .interval(let interval):
            // As many months of 30 days as there are, then days: the same for all intervals of one length.
            var rest = interval.comparisonMicros
            let day = Int128(Calendar.microsPerDay)
            let months = Int32(clamping: rest / (30 * day))
            rest -= Int128(months) * 30 * day
            let days = Int32(clamping: rest / day)
            rest -= Int128(days) * day
            return .interval(Interval(months: months, days: days, micros: Int64(clamping: rest)))
        case .jsonb(let text): return .jsonb(JSONDocument.withoutTrailingZeros(text))
        case .array(let array): return .array(ArrayValue(array.element, array.dimensions, array.values.map(canonical)))
        case .structure(let structure): return .structure(StructureValue(structure.fields, structure.values.map(canonical)))
        case .null, .boolean, .smallint, .integer, .bigint, .text, .bytea, .date, .time, .timestamp, .timestamptz, .uuid: return value
        }
    }
}
