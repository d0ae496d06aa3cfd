package import MartletCore

/// Single values in and out of columns: constants, tests and the row-by-row paths. Not for hot loops.
extension Column {
    @inline(__always) package var intervals: UnsafeMutablePointer<Interval> {
        data.assumingMemoryBound(to: Interval.self)
    }

    /// UUIDs lie as two native 64-bit words, the more significant first.
    @inline(__always) package var uuids: UnsafeMutablePointer<UUIDValue> {
        data.assumingMemoryBound(to: UUIDValue.self)
    }

    /// A column of `values`, each NULL or of `type`.
    package convenience init(_ type: DataType, _ values: [Value]) {
        self.init(type, capacity: values.count)
        for value in values { append(value) }
    }

    /// `count` rows of one value.
    package static func constant(_ value: Value, type: DataType, count: Int) -> Column {
        let column = Column(type, capacity: count)
        guard count > 0 else { return column }
        column.append(value)
        column.repeatFirst(count)
        return column
    }

    /// Makes all of `count` rows equal to row 0. `count` ≤ capacity.
    func repeatFirst(_ count: Int) {
        self.count = count
        switch physical.stride {
        case 1: bools.update(repeating: bools[0], count: count)
        case 2: int16s.update(repeating: int16s[0], count: count)
        case 4: int32s.update(repeating: int32s[0], count: count)
        case 8: int64s.update(repeating: int64s[0], count: count)
        default: views.update(repeating: views[0], count: count)
        }
        if let scales { scales.update(repeating: scales[0], count: count) }
        if validity != nil { mutableValidity().update(repeating: mutableValidity()[0], count: count) }
    }

    /// Appends a value of the column's type, or NULL; a value of another type is a broken invariant.
    package func append(_ value: Value) {
        reserve(count + 1)
        count += 1
        set(count - 1, value)
    }

    /// Writes the value of `row` < count, which must not be NULL already unless `value` is.
    func set(_ row: Int, _ value: Value) {
        switch value {
        case .null: setNull(row)
        case .boolean(let value) where physical == .bool: bools[row] = value ? 1 : 0
        case .smallint(let value) where physical == .int16: int16s[row] = value
        case .integer(let value) where physical == .int32: int32s[row] = value
        case .date(let value) where physical == .int32: int32s[row] = value
        case .bigint(let value) where physical == .int64: int64s[row] = value
        case .time(let value) where physical == .int64: int64s[row] = value
        case .timestamp(let value) where physical == .int64: int64s[row] = value
        case .timestamptz(let value) where physical == .int64: int64s[row] = value
        case .real(let value) where physical == .float: floats[row] = value
        case .double(let value) where physical == .double: doubles[row] = value
        case .numeric(let value) where physical == .decimal: setDecimal(row, value)
        case .text(var value) where physical == .view: views[row] = value.withUTF8 { store($0) }
        case .jsonb(var value) where physical == .view: views[row] = value.withUTF8 { store($0) }
        case .bytea(let value) where physical == .view:
            views[row] = value.withUnsafeBufferPointer { store($0) }
        case .array, .structure:
            precondition(physical == .view && type.isNested, "a nested value for a column of type \(type)")
            views[row] = ValueCodec.encode(value).withUnsafeBufferPointer { store($0) }
        case .interval(let value) where physical == .interval: intervals[row] = value
        case .uuid(let value) where physical == .uuid: uuids[row] = value
        default: preconditionFailure("a value of type \(value.type) for a column of type \(type)")
        }
    }

    @inline(__always)
    package func setDecimal(_ row: Int, _ value: Decimal) {
        coefficients[row] = value.coefficient
        scales.unsafelyUnwrapped[row] = value.scale
    }

    @inline(__always)
    package func decimal(_ row: Int) -> Decimal {
        Decimal(coefficient: coefficients[row], scale: scales.unsafelyUnwrapped[row])
    }

    /// The value at `row` < count.
    package func value(at row: Int) -> Value {
        precondition(row >= 0 && row < count, "row \(row) of \(count)")
        if isNull(row) { return .null }
        switch type {
        case .boolean: return .boolean(bools[row] != 0)
        case .smallint: return .smallint(int16s[row])
        case .integer: return .integer(int32s[row])
        case .bigint: return .bigint(int64s[row])
        case .real: return .real(floats[row])
        case .double: return .double(doubles[row])
        case .numeric: return .numeric(decimal(row))
        case .text, .unknown: return .text(views[row].string)
        case .bytea: return .bytea(views[row].withBytes { Array($0) })
        case .date: return .date(int32s[row])
        case .time: return .time(int64s[row])
        case .timestamp: return .timestamp(int64s[row])
        case .timestamptz: return .timestamptz(int64s[row])
        case .interval: return .interval(intervals[row])
        case .jsonb: return .jsonb(views[row].string)
        case .uuid: return .uuid(uuids[row])
        case .array, .structure:
            guard let value = views[row].withBytes({ ValueCodec.decode($0, as: type) }) else {
                preconditionFailure("a column of type \(type) holds other bytes")
            }
            return value
        }
    }

    package var allValues: [Value] { (0..<count).map { value(at: $0) } }
}
