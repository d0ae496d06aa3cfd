extension Value {
    package func cast(to type: DataType, explicit: Bool, zone: TimeZone) throws(SQLError) -> Value {
        try cast(to: type, explicit: explicit, context: EvaluationContext(zone: zone))
    }

    /// The value as another type, with PostgreSQL's rounding, text forms and errors. NULL stays NULL.
    ///
    /// Every cast that exists is carried out; whether the place allows it is the binder's question (`Cast.isAllowed`).
    /// `explicit` tells a written cast from an implied one.
    package func cast(
        to type: DataType, explicit: Bool = true, context: EvaluationContext = .utc
    ) throws(SQLError) -> Value {
        if isNull { return .null }
        let converted: Value
        do {
            converted = try self.converted(to: type, context)
        } catch {
            // A float beyond 38 digits does not fit the column either, which is the better thing to say.
            guard case .numeric(let precision?, let scale) = type, self.type.isFloat else { throw error }
            throw Decimal.fieldOverflow(precision: precision, scale: scale ?? 0)
        }
        if case .numeric(let precision?, let scale) = type, case .numeric(let value) = converted {
            return .numeric(try value.limited(precision: precision, scale: scale ?? 0))
        }
        return converted
    }

    private func converted(to type: DataType, _ context: EvaluationContext) throws(SQLError) -> Value {
        if self.type == type.withoutModifiers, !type.isNested { return self }
        switch (self, type) {
        case (.text(let text), _): return try Cast.read(text, as: type, context: context)
        // Unlike its output, a boolean's cast to text spells the word.
        case (.boolean(let value), .text): return .text(value ? "true" : "false")
        case (_, .text), (_, .unknown): return .text(text(in: context.zone))

        case (.boolean(let value), .integer): return .integer(value ? 1 : 0)
        case (.integer(let value), .boolean): return .boolean(value != 0)

        case (.smallint(let value), _): return try Value.convert(Int64(value), from: self.type, to: type)
        case (.integer(let value), _): return try Value.convert(Int64(value), from: self.type, to: type)
        case (.bigint(let value), _): return try Value.convert(value, from: self.type, to: type)
        case (.real(let value), _): return try Value.convert(value, to: type)
        case (.double(let value), _): return try Value.convert(value, to: type)
        case (.numeric(let value), _): return try Value.convert(value, to: type)

        case (.date(let days), .timestamp): return .timestamp(try Value.midnight(days))
        case (.date(let days), .timestamptz): return .timestamptz(try Value.instant(Value.midnight(days), context))
        case (.timestamp(let micros), .timestamptz): return .timestamptz(try Value.instant(micros, context))
        case (.timestamptz(let micros), .timestamp): return .timestamp(try Value.local(micros, context))
        case (.timestamp(let micros), .date): return .date(Value.day(of: micros))
        case (.timestamptz(let micros), .date): return .date(Value.day(of: try Value.local(micros, context)))
        case (.timestamp(let micros), .time): return Value.clock(of: micros)
        case (.timestamptz(let micros), .time): return Value.clock(of: try Value.local(micros, context))
        case (.time(let micros), .interval): return .interval(Interval(micros: micros))
        case (.interval(let interval), .time):
            return .time(Calendar.floorDivide(interval.micros, Calendar.microsPerDay).remainder)

        case (.array(let array), .array(let element)): return .array(try array.cast(to: element, context))
        case (.structure(let structure), .structure(let fields)): return .structure(try structure.cast(to: fields, context))

        case (.jsonb(let text), _): return try Value.convert(document: text, to: type)
        default: throw Cast.notAllowed(self.type, type)
        }
    }

    // MARK: - Numbers

    private static func convert(_ value: Int64, from source: DataType, to type: DataType) throws(SQLError) -> Value {
        switch type {
        case .smallint:
            guard let exact = Int16(exactly: value) else { throw .outOfRange(type) }
            return .smallint(exact)
        case .integer:
            guard let exact = Int32(exactly: value) else { throw .outOfRange(type) }
            return .integer(exact)
        case .bigint: return .bigint(value)
        case .real: return .real(Float(value))
        case .double: return .double(Double(value))
        case .numeric: return .numeric(Decimal(value))
        default: throw Cast.notAllowed(source, type)
        }
    }

    private static func convert(_ value: Double, to type: DataType) throws(SQLError) -> Value {
        switch type {
        case .smallint:
            guard let exact = Int16(exactly: value.rounded(.toNearestOrEven)) else { throw .outOfRange(type) }
            return .smallint(exact)
        case .integer:
            guard let exact = Int32(exactly: value.rounded(.toNearestOrEven)) else { throw .outOfRange(type) }
            return .integer(exact)
        case .bigint:
            guard let exact = Int64(exactly: value.rounded(.toNearestOrEven)) else { throw .outOfRange(type) }
            return .bigint(exact)
        case .real:
            let narrowed = Float(value)
            if narrowed.isInfinite, !value.isInfinite { throw floatOverflow }
            if narrowed == 0, value != 0 { throw floatUnderflow }
            return .real(narrowed)
        case .numeric: return .numeric(try Decimal(value))
        default: throw Cast.notAllowed(.double, type)
        }
    }

    static let floatOverflow = SQLError(.numericValueOutOfRange, "value out of range: overflow")
    static let floatUnderflow = SQLError(.numericValueOutOfRange, "value out of range: underflow")

    private static func convert(_ value: Float, to type: DataType) throws(SQLError) -> Value {
        switch type {
        case .double: return .double(Double(value))
        case .numeric: return .numeric(try Decimal(value))
        case .smallint, .integer, .bigint: return try convert(Double(value), to: type)
        default: throw Cast.notAllowed(.real, type)
        }
    }

    private static func convert(_ value: Decimal, to type: DataType) throws(SQLError) -> Value {
        switch type {
        case .smallint, .integer, .bigint:
            if value.isSpecial {
                throw SQLError(
                    .featureNotSupported, "cannot convert \(value.isNaN ? "NaN" : "infinity") to \(type.sqlName)")
            }
            guard let whole = value.int64 else { throw .outOfRange(type) }
            return try convert(whole, from: .plainNumeric, to: type)
        case .real:
            if value.isSpecial { return .real(Float(value.double)) }
            return .real(try Cast.readFloat(value.text, .real))
        case .double: return .double(value.double)
        default: throw Cast.notAllowed(.plainNumeric, type)
        }
    }

    // MARK: - Time

    /// The timestamp at which a day begins.
    static func midnight(_ days: Int32) throws(SQLError) -> Int64 {
        if days == .max { return .max }
        if days == .min { return .min }
        let (micros, overflows) = Int64(days).multipliedReportingOverflow(by: Calendar.microsPerDay)
        guard !overflows else { throw SQLError(.datetimeFieldOverflow, "date out of range for timestamp") }
        return micros
    }

    private static func instant(_ local: Int64, _ context: EvaluationContext) throws(SQLError) -> Int64 {
        guard let instant = context.zone.instant(local: local) else { throw Timestamps.overflow }
        return instant
    }

    private static func local(_ instant: Int64, _ context: EvaluationContext) throws(SQLError) -> Int64 {
        guard let local = context.zone.local(instant: instant) else { throw Timestamps.overflow }
        return local
    }

    static func day(of micros: Int64) -> Int32 {
        if micros == .max { return .max }
        if micros == .min { return .min }
        return Int32(Calendar.floorDivide(micros, Calendar.microsPerDay).quotient)
    }

    private static func clock(of micros: Int64) -> Value {
        if micros == .max || micros == .min { return .null }
        return .time(Calendar.floorDivide(micros, Calendar.microsPerDay).remainder)
    }

    // MARK: - Documents

    private static func convert(document text: String, to type: DataType) throws(SQLError) -> Value {
        let node = try JSONNode(text: text)
        func wrong() -> SQLError {
            let kind: String
            switch node {
            case .number: kind = "numeric"
            case .null, .boolean, .string, .array, .object: kind = node.typeName
            }
            return SQLError(.invalidParameterValue, "cannot cast jsonb \(kind) to type \(type.withoutModifiers.sqlName)")
        }
        if type == .boolean {
            guard case .boolean(let value) = node else { throw wrong() }
            return .boolean(value)
        }
        guard type.isNumeric else { throw Cast.notAllowed(.jsonb, type) }
        guard case .number(let digits) = node else { throw wrong() }
        let number = try Cast.read(digits, as: .plainNumeric, context: .utc)
        if case .numeric(let value) = number, !type.withoutModifiers.isPlainNumeric { return try convert(value, to: type) }
        return number
    }
}

extension DataType {
    var isPlainNumeric: Bool { if case .numeric = self { true } else { false } }
}
