package import MartletColumns
internal import MartletCore

extension AggregateTable {
    /// Keys, then results, of the groups numbered `range`, a row for each. Results that cannot be given (overflow) are
    /// NULL and noted in `errors`, by row of the answer.
    package func emit(_ range: Range<Int>, errors: RowErrors) -> [Column] {
        precondition(range.lowerBound >= 0 && range.upperBound <= groupCount, "groups outside of the table")
        return columns(of: range.map { rows[$0] }, errors: errors)
    }

    /// The same for the groups of these numbers.
    package func emit(_ groups: [Int], errors: RowErrors) -> [Column] {
        columns(of: groups.map { rows[$0] }, errors: errors)
    }

    /// Makes the one row of a table without keys, which SQL shows although no row came.
    package func ensureGlobalGroup() {
        guard layout.keys.fields.isEmpty, groupCount == 0 else { return }
        let scratch = BlockScratch(keyWords: 0, rows: 1)
        Hash.rows([], count: 1, into: scratch.hashes)
        rows.find(KeyImages(words: scratch.words, nulls: nil), scratch.hashes, count: 1, into: scratch.targets)
        if layout.mark != nil { keepImages(scratch.targets, 1) }
    }

    /// `isOld`: the rows are images of before this tick, for which objects answer what they last said.
    func columns(of pointers: [UnsafeMutableRawPointer], isOld: Bool = false, errors: RowErrors) -> [Column] {
        let fields = layout.keys.fields
        return pointers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, buffer.count > 0 else {
                return fields.map { Column($0.type, capacity: 0) }
                    + layout.calls.map { Column($0.resultType, capacity: 0) }
            }
            var columns = fields.indices.map { rows.keyColumn($0, of: base, count: buffer.count) }
            for (call, output) in zip(layout.calls, layout.outputs) {
                columns.append(results(call, output, base, buffer.count, isOld: isOld, errors))
            }
            return columns
        }
    }

    private func results(
        _ call: AggregateSpec, _ output: AggregateLayout.Output, _ rows: UnsafePointer<UnsafeMutableRawPointer>,
        _ count: Int, isOld: Bool, _ errors: RowErrors
    ) -> Column {
        let column = Column(call.resultType, capacity: count)
        switch output {
        case .weight: counts(column, rows, count, offset: KeyLayout.weight)
        case .count(let offset): counts(column, rows, count, offset: offset)
        case .extreme(let accumulator): extremes(call, accumulator, column, rows, count, errors)
        case .gathered(let accumulator, let shape) where shape.isNumber:
            numbers(accumulator, column, rows, count, isOld: isOld)
        case .sum, .average, .computed, .gathered, .unsupported:
            for at in 0..<count {
                do throws(SQLError) {
                    column.append(try result(call, output, rows[at], isOld: isOld))
                } catch {
                    errors.add(at, error)
                    column.append(.null)
                }
            }
        }
        return column
    }

    private func counts(
        _ column: Column, _ rows: UnsafePointer<UnsafeMutableRawPointer>, _ count: Int, offset: Int
    ) {
        column.count = count
        for at in 0..<count { column.int64s[at] = rows[at].load(fromByteOffset: offset, as: Int64.self) }
    }

    /// How many values groups have.
    private func numbers(
        _ accumulator: Accumulator, _ column: Column, _ rows: UnsafePointer<UnsafeMutableRawPointer>, _ count: Int, isOld: Bool
    ) {
        column.count = count
        let (numbers, isKept) = (column.int64s, layout.mark != nil)
        for at in 0..<count {
            let reference = rows[at].load(fromByteOffset: accumulator.offset, as: UInt.self)
            guard let object = UnsafeRawPointer(bitPattern: reference) else {
                numbers[at] = 0
                continue
            }
            numbers[at] = Unmanaged<GatheredWords>.fromOpaque(object)._withUnsafeGuaranteedRef { $0.number(isOld: isOld, isKept: isKept) }
        }
    }

    // MARK: - Sums and averages

    private func result(
        _ call: AggregateSpec, _ output: AggregateLayout.Output, _ row: UnsafeMutableRawPointer, isOld: Bool
    ) throws(SQLError) -> Value {
        switch output {
        case .sum(let accumulator): return try sum(call, accumulator, UnsafePointer(accumulator.words(row)))
        case .computed(let accumulator): return try accumulator.computed(call, UnsafePointer(accumulator.words(row)))
        case .gathered(let accumulator, let shape): return try gathered(shape, accumulator, row, isOld: isOld)
        case .average(let accumulator): return try average(accumulator, UnsafePointer(accumulator.words(row)))
        case .unsupported:
            throw SQLError(
                .undefinedFunction,
                "function \(call.function.rawValue)(\(call.argumentType?.sqlName ?? "")) does not exist")
        case .weight, .count, .extreme: return .null
        }
    }

    private func gathered(
        _ shape: GatherShape, _ accumulator: Accumulator, _ row: UnsafeMutableRawPointer, isOld: Bool
    ) throws(SQLError) -> Value {
        guard let object = Gathered.at(accumulator.words(row)) else {
            // Nothing came: what an empty group gives.
            return try shape.make().result(shape)
        }
        if isOld, let shown = object.shown { return try shown.get() }
        let result = Result { () throws(SQLError) in try object.result(shape) }
        if layout.mark != nil { object.shown = result }
        return try result.get()
    }

    private func sum(
        _ call: AggregateSpec, _ accumulator: Accumulator, _ words: UnsafePointer<UInt64>
    ) throws(SQLError) -> Value {
        if words[2] == 0 { return .null }
        switch accumulator.kind {
        case .integerSum:
            let sum = Words.int128(words)
            guard case .bigint = call.resultType else { return .numeric(try Sums.decimal(sum, scale: 0)) }
            guard let small = Int64(exactly: sum) else { throw SQLError.outOfRange(.bigint) }
            return .bigint(small)
        case .decimalSum: return .numeric(try DecimalSum.result(words))
        case .doubleSum:
            let sum = try DoubleSum.result(words)
            guard case .real = call.resultType else { return .double(sum) }
            let narrow = Float(sum)
            if narrow.isInfinite && !sum.isInfinite { throw Sums.floatOverflow }
            return .real(narrow)
        default: return .null
        }
    }

    private func average(_ accumulator: Accumulator, _ words: UnsafePointer<UInt64>) throws(SQLError) -> Value {
        if words[2] == 0 { return .null }
        let count = Int64(bitPattern: words[2])
        switch accumulator.kind {
        case .integerSum:
            return .numeric(try Sums.decimal(Words.int128(words), scale: 0).divided(by: Decimal(count)))
        case .decimalSum: return .numeric(try DecimalSum.result(words).divided(by: Decimal(count)))
        case .doubleSum: return .double(try DoubleSum.result(words) / Double(count))
        default: return .null
        }
    }

    // MARK: - Least and greatest

    private func extremes(
        _ call: AggregateSpec, _ accumulator: Accumulator, _ column: Column,
        _ rows: UnsafePointer<UnsafeMutableRawPointer>, _ count: Int, _ errors: RowErrors
    ) {
        column.count = count
        for at in 0..<count {
            let row = rows[at]
            let flags = accumulator.flags(row).pointee
            if flags & accumulator.withdrawn != 0 {
                errors.add(at, AggregateTable.withdrawal(call.function))
                column.setNull(at)
            } else if flags & accumulator.seen == 0 {
                column.setNull(at)
            } else {
                put(UnsafePointer(accumulator.words(row)), column, at)
            }
        }
    }

    private func put(_ words: UnsafePointer<UInt64>, _ column: Column, _ at: Int) {
        switch column.physical {
        case .bool: column.bools[at] = UInt8(truncatingIfNeeded: words[0])
        case .int16: column.int16s[at] = Int16(truncatingIfNeeded: words[0])
        case .int32: column.int32s[at] = Int32(truncatingIfNeeded: words[0])
        case .int64: column.int64s[at] = Int64(bitPattern: words[0])
        case .float: column.floats[at] = Float(Double(bitPattern: words[0]))
        case .double: column.doubles[at] = Double(bitPattern: words[0])
        case .decimal: column.setDecimal(at, Words.decimal(words))
        case .view:
            // The row's copy may be replaced: the column gets its own.
            column.views[at] = StringView(head: words[0], tail: words[1]).withBytes { column.store($0) }
        case .interval: column.intervals[at] = Words.interval(words)
        case .uuid: column.uuids[at] = UUIDValue(high: words[0], low: words[1])
        }
    }

    static func withdrawal(_ function: AggregateFunction) -> SQLError {
        SQLError(
            .featureNotSupported, "\(function.rawValue) of a relation with deletions is not available",
            detail: "A value that it had taken in was withdrawn.")
    }
}
