package import MartletCore

/// Values as the wire's binary format has them (the `*send` and `*recv` functions of PostgreSQL's types).
package enum BinaryValue {
    /// 2000-01-01, from which PostgreSQL counts, in our days and microseconds since 1970.
    static let epochDays: Int32 = 10_957
    static let epochMicros: Int64 = 946_684_800_000_000

    /// Appends the value without its length. NULL, which has no bytes, is the caller's to tell.
    package static func write(_ value: Value, to sink: ByteSink) {
        switch value {
        case .null: break
        case .boolean(let value): sink.append(value ? 1 : 0)
        case .smallint(let value): sink.append(big: value)
        case .integer(let value): sink.append(big: value)
        case .bigint(let value): sink.append(big: value)
        case .real(let value): sink.append(big: value.bitPattern)
        case .double(let value): sink.append(big: value.bitPattern)
        case .numeric(let value): write(value, to: sink)
        case .text(let text): sink.append(text: text)
        case .bytea(let bytes): bytes.withUnsafeBytes { sink.append($0) }
        case .date(let days): sink.append(big: date(days))
        case .time(let micros): sink.append(big: micros)
        case .timestamp(let micros), .timestamptz(let micros): sink.append(big: timestamp(micros))
        case .interval(let value):
            sink.append(big: value.micros)
            sink.append(big: value.days)
            sink.append(big: value.months)
        case .jsonb(let text):
            // The version of the format.
            sink.append(1)
            sink.append(text: text)
        case .uuid(let value):
            sink.append(big: value.high)
            sink.append(big: value.low)
        case .array(let array): write(array, to: sink)
        case .structure(let structure):
            sink.append(big: Int32(clamping: structure.values.count))
            for (field, value) in zip(structure.fields, structure.values) {
                sink.append(big: TypeIdentifier.of(field.type))
                writeSized(value, to: sink)
            }
        }
    }

    /// The value behind its length in four bytes; −1 alone for NULL.
    package static func writeSized(_ value: Value, to sink: ByteSink) {
        if value.isNull { return sink.append(big: Int32(-1)) }
        sink.append(big: Int32(0))
        let start = sink.count
        write(value, to: sink)
        sink.overwrite(big: Int32(clamping: sink.count - start), at: start - 4)
    }

    /// Days since 2000; infinities stay what they are.
    package static func date(_ days: Int32) -> Int32 {
        if days == .max || days == .min { return days }
        let (value, overflows) = days.subtractingReportingOverflow(epochDays)
        return overflows ? .min &+ 1 : value
    }

    /// Microseconds since 2000; infinities stay what they are.
    package static func timestamp(_ micros: Int64) -> Int64 {
        if micros == .max || micros == .min { return micros }
        let (value, overflows) = micros.subtractingReportingOverflow(epochMicros)
        return overflows ? .min &+ 1 : value
    }

    /// Groups of four decimal digits, the most significant first, without zero groups at either end.
    private static func write(_ value: Decimal, to sink: ByteSink) {
        if value.isSpecial {
            sink.append(big: Int16(0))
            sink.append(big: Int16(0))
            sink.append(big: UInt16(value.isNaN ? 0xC000 : value.coefficient > 0 ? 0xD000 : 0xF000))
            // The scale means nothing here; PostgreSQL says 32 for infinities.
            return sink.append(big: UInt16(value.isNaN ? 0 : 32))
        }
        // 38 digits and a group torn by the point.
        withUnsafeTemporaryAllocation(of: Int16.self, capacity: 12) { groups in
            var count = 0
            var rest = value.coefficient.magnitude
            let fractionGroups = (Int(value.scale) + 3) / 4
            let torn = Int(value.scale) % 4
            if torn > 0 {
                let unit: UInt128 = torn == 1 ? 10 : torn == 2 ? 100 : 1000
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: unit)
                groups[0] = Int16(remainder * (10_000 / unit))
                count = 1
                rest = quotient
            }
            while rest > 0 {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10_000)
                groups[count] = Int16(remainder)
                count += 1
                rest = quotient
            }
            while count > 0, groups[count - 1] == 0 { count -= 1 }
            let weight = count == 0 ? 0 : count - fractionGroups - 1
            var first = 0
            while first < count, groups[first] == 0 { first += 1 }
            sink.append(big: Int16(count - first))
            sink.append(big: Int16(weight))
            sink.append(big: UInt16(value.isNegative ? 0x4000 : 0))
            sink.append(big: UInt16(value.scale))
            for index in stride(from: count - 1, through: first, by: -1) { sink.append(big: groups[index]) }
        }
    }

    private static func write(_ array: ArrayValue, to sink: ByteSink) {
        sink.append(big: Int32(array.dimensions.count))
        sink.append(big: Int32(array.values.contains(where: \.isNull) ? 1 : 0))
        sink.append(big: TypeIdentifier.of(array.element))
        for dimension in array.dimensions {
            sink.append(big: dimension.count)
            sink.append(big: dimension.lower)
        }
        for value in array.values { writeSized(value, to: sink) }
    }
}
