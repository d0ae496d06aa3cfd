internal import MartletCore

/// Values from text in PostgreSQL's forms: CSV fields, and what JSON writes as strings or in rare ways. Fast for the
/// forms that machines write; the rest goes through Core's casts, so that there is one truth.
///
/// Every function may rely on 64 readable bytes after the text, but not on what they hold.
extension RowTarget {
    /// Reads `text` as PostgreSQL's input for the column's type. `marked` and valid before.
    func storeText(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        switch slots[index].kind {
        case .text: try storeString(text, index)
        case .smallint, .integer, .bigint:
            // `1.0` is no integer in PostgreSQL's text.
            let isWhole = text.isPlainNumber && !text.contains { $0 == Ascii.point || $0 | 0x20 == 0x65 }
            if isWhole { return try storeNumber(text, index) }
            try storeThroughCore(text, index)
        case .real, .double:
            if text.isPlainNumber { return try storeNumber(text, index) }
            try storeThroughCore(text, index)
        case .boolean, .numeric, .limitedNumeric: try storeThroughCore(text, index)
        case .date, .time, .timestamp, .timestamptz:
            guard text.isTimeText else { throw invalid(text, index) }
            if let era = text.withoutNegativeYear {
                return try store(castThroughCore(era, index), index)
            }
            try storeThroughCore(text, index)
        case .bytea, .interval, .jsonb, .uuid, .nested: try storeThroughCore(text, index)
        }
    }

    /// TEXT. The view points at `text`, which must live in a heap of the column.
    func storeString(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        guard let start = text.baseAddress, text.count > 0 else { return slots[index].put(StringView.empty, row) }
        slots[index].put(makeView(start, count: text.count), row)
    }

    /// Reads a number of JSON's grammar.
    func storeNumber(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        switch slots[index].kind {
        case .smallint:
            guard let value = Int16(exactly: try ScannedNumber(text).integer()) else { throw outOfRange(index) }
            slots[index].put(value, row)
        case .integer:
            guard let value = Int32(exactly: try ScannedNumber(text).integer()) else { throw outOfRange(index) }
            slots[index].put(value, row)
        case .bigint: slots[index].put(try ScannedNumber(text).integer(), row)
        case .double: slots[index].put(try readDouble(text), row)
        case .real: slots[index].put(try readFloat(text), row)
        case .numeric, .limitedNumeric: try storeThroughCore(text, index)
        case .timestamp, .timestamptz:
            let number = try ScannedNumber(text).integer()
            guard let micros = schema.columns[index].timestampHandling.micros(number),
                micros >= Calendar.timestampMin, micros < .max
            else { throw outOfRange(index) }
            slots[index].put(micros, row)
        case .boolean, .text, .bytea, .date, .time, .interval, .jsonb, .uuid, .nested:
            try storeThroughCore(text, index)
        }
    }

    func putDecimal(_ coefficient: Int128, scale: UInt8, _ index: Int) {
        slots[index].put(coefficient, row)
        slots[index].scales?[row] = scale
    }

    /// The one truth: Core's cast from text.
    func storeThroughCore(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        try store(castThroughCore(String(decoding: text, as: UTF8.self), index), index)
    }

    private func castThroughCore(_ text: String, _ index: Int) throws(FieldFailure) -> Value {
        do throws(SQLError) {
            return try Value.text(text).cast(to: schema.columns[index].type, explicit: false)
        } catch {
            let isRange = error.state == .numericValueOutOfRange || error.state == .datetimeFieldOverflow
            throw FieldFailure(
                reason: isRange ? .outOfRange : .invalidValue, message: shortened(error.message))
        }
    }

    /// Puts a value of the column's type.
    func store(_ value: Value, _ index: Int) throws(FieldFailure) {
        switch value {
        case .null: setNull(index)
        case .boolean(let value): slots[index].put(value ? 1 as UInt8 : 0, row)
        case .smallint(let value): slots[index].put(value, row)
        case .integer(let value): slots[index].put(value, row)
        case .bigint(let value): slots[index].put(value, row)
        case .real(let value): slots[index].put(value, row)
        case .double(let value): slots[index].put(value, row)
        case .numeric(let value): putDecimal(value.coefficient, scale: value.scale, index)
        case .text(let value), .jsonb(let value):
            var copy = value
            copy.withUTF8 { storeCopy($0, index) }
        case .bytea(let value): value.withUnsafeBufferPointer { storeCopy($0, index) }
        case .array, .structure: ValueCodec.encode(value).withUnsafeBufferPointer { storeCopy($0, index) }
        case .date(let value): slots[index].put(value, row)
        case .time(let value), .timestamp(let value), .timestamptz(let value): slots[index].put(value, row)
        case .interval(let value):
            let at = slots[index].data + row &* MemoryLayout<Interval>.stride
            at.bindMemory(to: Interval.self, capacity: 1).initialize(to: value)
        case .uuid(let value):
            let at = slots[index].data + row &* MemoryLayout<UUIDValue>.stride
            at.bindMemory(to: UUIDValue.self, capacity: 1).initialize(to: value)
        }
    }

    /// Copies bytes to where they outlive the parse, and views them.
    func storeCopy(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return slots[index].put(StringView.empty, row) }
        if bytes.count <= StringView.inlineCapacity {
            slots[index].put(StringView(start, count: bytes.count), row)
            return
        }
        let target = scratchSpace(bytes.count)
        target.update(from: start, count: bytes.count)
        keepScratch(bytes.count)
        slots[index].put(StringView(target, count: bytes.count), row)
    }

    func outOfRange(_ index: Int) -> FieldFailure {
        FieldFailure(
            reason: .outOfRange,
            message: "the number is out of range for type \(schema.columns[index].type.withoutModifiers.sqlName)")
    }

    func invalid(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> FieldFailure {
        let shown = shortened(String(decoding: text, as: UTF8.self))
        let name = schema.columns[index].type.withoutModifiers.sqlName
        return FieldFailure(reason: .invalidValue, message: "invalid input syntax for type \(name): \"\(shown)\"")
    }
}

/// Error messages quote input, which may be as long as a record.
func shortened(_ text: String) -> String {
    text.utf8.count <= 200 ? text : String(text.prefix(160)) + "…"
}

extension UnsafeBufferPointer<UInt8> {
    /// JSON's grammar for numbers, a leading `+` and zeros in front allowed as PostgreSQL does.
    var isPlainNumber: Bool {
        var at = 0
        func digits() -> Bool {
            let first = at
            while at < count, Ascii.isDigit(self[at]) { at += 1 }
            return at > first
        }
        if at < count, self[at] == Ascii.minus || self[at] == Ascii.plus { at += 1 }
        guard digits() else { return false }
        if at < count, self[at] == Ascii.point {
            at += 1
            guard digits() else { return false }
        }
        if at < count, self[at] | 0x20 == 0x65 {
            at += 1
            if at < count, self[at] == Ascii.minus || self[at] == Ascii.plus { at += 1 }
            guard digits() else { return false }
        }
        return at == count
    }

    /// Has a digit or says infinity: `now`, `today` and the like are no data.
    var isTimeText: Bool {
        if contains(where: Ascii.isDigit) { return true }
        let text = String(decoding: self.prefix(32), as: UTF8.self).lowercased()
        return text.contains("infinity")
    }

    /// ISO 8601 counts years through 0 and below, and so does the JSON writer; PostgreSQL's text says BC. `-0043-03-15…`
    /// and `0000-…` as PostgreSQL reads them; nil for any other text.
    var withoutNegativeYear: String? {
        let isNegative = first == Ascii.minus
        let digits = dropFirst(isNegative ? 1 : 0).prefix { Ascii.isDigit($0) }
        guard digits.count >= 4, digits.count <= 6, digits.endIndex < count, self[digits.endIndex] == Ascii.minus,
            let year = Int(String(decoding: digits, as: UTF8.self)), isNegative || year == 0
        else { return nil }
        let era = String(year + 1)
        let padded = String(repeating: "0", count: Swift.max(0, 4 - era.count)) + era
        return padded + String(decoding: self[digits.endIndex...], as: UTF8.self) + " BC"
    }
}
