internal import MartletCore

/// From the rows that a call gathered, in order, to its result.
enum Fold {
    /// One distinct row, and how often it came.
    struct Row {
        let arguments: [Value]
        /// Keys of ORDER BY.
        let sort: [Value]
        let count: Int64

        init(arguments: [Value], sort: [Value], count: Int64) {
            self.arguments = arguments
            self.sort = sort
            self.count = count
        }

        /// From the bytes of `Column.encode`.
        init?(_ item: [UInt8], _ shape: GatherShape, count: Int64) {
            self.count = count
            guard let flag = item.first else { return nil }
            if flag == 0 {
                arguments = [.null]
                sort = []
                return
            }
            let value = item.withUnsafeBufferPointer { ValueCodec.decode(UnsafeBufferPointer(rebasing: $0.dropFirst()), as: shape.argument) }
            guard let value else { return nil }
            if shape.options.packed > 0, case .structure(let structure) = value {
                arguments = Array(structure.values.prefix(shape.options.packed))
                sort = Array(structure.values.dropFirst(shape.options.packed))
            } else {
                arguments = [value]
                sort = []
            }
        }
    }

    /// By the keys of ORDER BY, then by the arguments, so that ties come out the same whatever came first.
    static func compare(_ left: Row, _ right: Row, _ shape: GatherShape) -> Int {
        if !left.sort.isEmpty {
            for (at, order) in shape.options.order.enumerated() {
                let compared = order.compare(left.sort[at], right.sort[at])
                if compared != 0 { return compared }
            }
        } else if let order = shape.options.order.first {
            let compared = order.compare(left.arguments[0], right.arguments[0])
            if compared != 0 { return compared }
        }
        for (a, b) in zip(left.arguments, right.arguments) {
            let compared = Value.compare(a, b)
            if compared != 0 { return compared }
        }
        return 0
    }

    static func result(_ shape: GatherShape, _ given: [Row]) throws(SQLError) -> Value {
        var rows = given
        if shape.options.isDistinct { rows = distinct(rows) }
        // One-word values come ascending.
        if shape.kind == .words, let order = shape.options.order.first, order.isDescending { rows.reverse() }
        switch shape.function {
        case .sum, .avg: return try sum(rows, shape)
        case .stringAgg: return try joined(rows)
        case .arrayAgg: return try array(rows, shape)
        case .jsonbAgg: return try documents(rows)
        case .jsonbObjectAgg: return try object(rows)
        case .firstValue, .anyValue: return rows.first?.arguments.first ?? .null
        case .lastValue: return rows.last?.arguments.first ?? .null
        case .argMin, .argMax:
            guard let first = rows.first, let key = first.sort.first, !key.isNull else { return .null }
            return first.arguments.first ?? .null
        case .mode:
            return mode(rows)
        case .percentileCont, .percentileDisc: return try Percentiles.result(rows, shape)
        case .varPop, .varSamp, .stddevPop, .stddevSamp: return try deviation(rows, shape)
        case .covarPop, .covarSamp, .corr, .regrCount, .regrAverageX, .regrAverageY, .regrSumXX, .regrSumYY, .regrSumXY,
            .regrSlope, .regrIntercept, .regrR2:
            return try regression(rows, shape)
        case .bitXor:
            var bits: Int64?
            for row in rows { bits = (bits ?? 0) ^ (integer(row.arguments[0]) ?? 0) }
            return bits.map { integerValue($0, shape.result) } ?? .null
        case .countAll, .count, .min, .max, .boolAnd, .boolOr, .bitAnd, .bitOr, .approxCountDistinct, .approxPercentile:
            return .null
        }
    }

    /// The value that comes most often, the first of several; equal values count together whatever their digits.
    private static func mode(_ rows: [Row]) -> Value {
        var best = (value: Value.null, count: Int64(0))
        var current = (value: Value.null, count: Int64(0))
        for row in rows where !row.arguments[0].isNull {
            if current.count > 0, Value.compare(current.value, row.arguments[0]) == 0 {
                current.count += row.count
            } else {
                current = (row.arguments[0], row.count)
            }
            if current.count > best.count { best = current }
        }
        return best.value
    }

    static func integer(_ value: Value) -> Int64? {
        switch value {
        case .smallint(let number): Int64(number)
        case .integer(let number): Int64(number)
        case .bigint(let number): number
        default: nil
        }
    }

    static func integerValue(_ number: Int64, _ type: DataType) -> Value {
        switch type {
        case .smallint: .smallint(Int16(truncatingIfNeeded: number))
        case .integer: .integer(Int32(truncatingIfNeeded: number))
        default: .bigint(number)
        }
    }

    /// Rows that are equal in their arguments are neighbours; the first stands for all of them.
    private static func distinct(_ rows: [Row]) -> [Row] {
        var kept: [Row] = []
        for row in rows {
            if let last = kept.last, last.arguments == row.arguments { continue }
            kept.append(Row(arguments: row.arguments, sort: row.sort, count: 1))
        }
        return kept
    }

    // MARK: - Sums over distinct values

    private static func sum(_ rows: [Row], _ shape: GatherShape) throws(SQLError) -> Value {
        guard !rows.isEmpty else { return .null }
        let isAverage = shape.function == .avg
        return try withTemporaryWords(IntervalSum.words) { words throws(SQLError) in
            switch shape.argument {
            case .real, .double:
                for row in rows {
                    if case .double(let value) = row.arguments[0] { DoubleSum.add(value, row.count, words) }
                    if case .real(let value) = row.arguments[0] { DoubleSum.add(Double(value), row.count, words) }
                }
                let total = try DoubleSum.result(words)
                if isAverage { return .double(total / Double(DoubleSum.count(words))) }
                return shape.result == .real ? .real(Float(total)) : .double(total)
            case .interval:
                for row in rows { if case .interval(let value) = row.arguments[0] { IntervalSum.add(value, row.count, words) } }
                return .interval(try isAverage ? IntervalSum.average(words) : IntervalSum.result(words))
            default:
                for row in rows {
                    if case .numeric(let value) = row.arguments[0] {
                        DecimalSum.add(value, row.count, words)
                    } else if let value = integer(row.arguments[0]) {
                        DecimalSum.add(Decimal(value), row.count, words)
                    }
                }
                let total = try DecimalSum.result(words)
                if isAverage { return .numeric(try total.divided(by: Decimal(DecimalSum.count(words)))) }
                guard shape.result == .bigint else { return .numeric(total) }
                guard let small = total.int64 else { throw SQLError.outOfRange(.bigint) }
                return .bigint(small)
            }
        }
    }

    private static func withTemporaryWords(
        _ count: Int, _ body: (UnsafeMutablePointer<UInt64>) throws(SQLError) -> Value
    ) throws(SQLError) -> Value {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        words.initialize(repeating: 0, count: count)
        defer { words.deallocate() }
        return try body(words)
    }

    private static func deviation(_ rows: [Row], _ shape: GatherShape) throws(SQLError) -> Value {
        let function = shape.function
        let isSample = function == .varSamp || function == .stddevSamp
        let isVariance = function == .varPop || function == .varSamp
        if shape.result == .double {
            return try withTemporaryWords(DoubleMoments.words) { words throws(SQLError) in
                for row in rows {
                    if case .double(let value) = row.arguments[0] { DoubleMoments.add(value, row.count, words) }
                    if case .real(let value) = row.arguments[0] { DoubleMoments.add(Double(value), row.count, words) }
                }
                return DoubleMoments.deviation(words, isSample: isSample, isVariance: isVariance).map { .double($0) } ?? .null
            }
        }
        var moments = NumericMoments()
        for row in rows {
            if case .numeric(let value) = row.arguments[0] {
                moments.add(value, weight: row.count)
            } else if let value = integer(row.arguments[0]) {
                moments.add(Decimal(value), weight: row.count)
            }
        }
        return try moments.deviation(isSample: isSample, isVariance: isVariance).map { .numeric($0) } ?? .null
    }

    private static func regression(_ rows: [Row], _ shape: GatherShape) throws(SQLError) -> Value {
        try withTemporaryWords(Regression.words) { words throws(SQLError) in
            for row in rows {
                guard case .double(let y) = row.arguments[0], case .double(let x) = row.arguments[1] else { continue }
                Regression.add(y, x, row.count, words)
            }
            return Regression.result(shape.function, words)
        }
    }

    // MARK: - Collections

    /// Bytes of a result; PostgreSQL's limit is 1 GB.
    private static let bytesMax = 256 << 20
    private static let tooLarge = SQLError(.programLimitExceeded, "the result of an aggregate is too large")

    /// Each value behind its own separator, but for the first.
    private static func joined(_ rows: [Row]) throws(SQLError) -> Value {
        var output: [UInt8] = []
        var isBytes = false
        var isFirst = true
        for row in rows {
            guard let value = bytes(row.arguments[0], &isBytes) else { continue }
            let separator = bytes(row.arguments[1], &isBytes) ?? []
            for _ in 0..<row.count {
                if !isFirst { output += separator }
                isFirst = false
                output += value
                guard output.count <= bytesMax else { throw tooLarge }
            }
        }
        if isFirst { return .null }
        return isBytes ? .bytea(output) : .text(String(decoding: output, as: UTF8.self))
    }

    private static func bytes(_ value: Value, _ isBytes: inout Bool) -> [UInt8]? {
        switch value {
        case .text(let text): return Array(text.utf8)
        case .bytea(let bytes):
            isBytes = true
            return bytes
        default: return nil
        }
    }

    private static func repeated(_ rows: [Row]) throws(SQLError) -> [Value] {
        var values: [Value] = []
        for row in rows {
            guard values.count + Int(clamping: row.count) <= ArrayValue.elementsMax / 8 else { throw tooLarge }
            for _ in 0..<row.count { values.append(row.arguments[0]) }
        }
        return values
    }

    private static func array(_ rows: [Row], _ shape: GatherShape) throws(SQLError) -> Value {
        guard !rows.isEmpty, case .array(let element) = shape.result else { return .null }
        let values = try repeated(rows)
        let isNested = shape.options.packed > 0 ? rows.contains { if case .array = $0.arguments[0] { true } else { false } } : shape.argument.element != nil
        guard isNested else { return .array(ArrayValue(element, values)) }
        var elements: [Value] = []
        var inner: [ArrayValue.Dimension]?
        for value in values {
            guard case .array(let part) = value else { throw SQLError(.nullValueNotAllowed, "cannot accumulate null arrays") }
            if part.dimensions.isEmpty { throw SQLError(.arraySubscriptError, "cannot accumulate empty arrays") }
            guard inner == nil || inner == part.dimensions else {
                throw SQLError(.arraySubscriptError, "cannot accumulate arrays of different dimensionality")
            }
            inner = part.dimensions
            elements += part.values
        }
        return .array(ArrayValue(element, [.init(count: Int32(clamping: values.count))] + (inner ?? []), elements))
    }

    /// The arguments are documents already.
    private static func documents(_ rows: [Row]) throws(SQLError) -> Value {
        guard !rows.isEmpty else { return .null }
        var output = "["
        for value in try repeated(rows) {
            if output.utf8.count > 1 { output += ", " }
            if case .jsonb(let text) = value { output += text } else { output += "null" }
            guard output.utf8.count <= bytesMax else { throw tooLarge }
        }
        return .jsonb(output + "]")
    }

    /// Of equal keys the last counts.
    private static func object(_ rows: [Row]) throws(SQLError) -> Value {
        guard !rows.isEmpty else { return .null }
        var members: [JSONNode.Member] = []
        for row in rows {
            guard case .text(let key) = row.arguments[0] else {
                throw SQLError(.invalidParameterValue, "field name must not be null")
            }
            let value: JSONNode = if case .jsonb(let text) = row.arguments[1] { try JSONNode(text: text) } else { .null }
            members.append(JSONNode.Member(key: key, value: value))
        }
        return .jsonb(JSONNode.object(of: members).text)
    }
}

/// percentile_cont and percentile_disc over sorted rows.
enum Percentiles {
    static func result(_ rows: [Fold.Row], _ shape: GatherShape) throws(SQLError) -> Value {
        guard let fraction = shape.options.constants.first, !fraction.isNull else { return .null }
        // NULLs do not count.
        let rows = rows.filter { !$0.arguments[0].isNull }
        var ends: [Int64] = []
        var total: Int64 = 0
        for row in rows {
            total += row.count
            ends.append(total)
        }
        /// The value at a 0-based place.
        func value(at place: Int64) -> Value {
            var (low, high) = (0, ends.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if ends[middle] > place { high = middle } else { low = middle + 1 }
            }
            return rows[low].arguments[0]
        }
        func one(_ fraction: Value) throws(SQLError) -> Value {
            guard case .double(let p) = fraction else { return .null }
            guard p >= 0, p <= 1 else {
                throw SQLError(.numericValueOutOfRange, "percentile value \(FloatText.text(p)) is not between 0 and 1")
            }
            if total == 0 { return .null }
            guard shape.function == .percentileCont else { return value(at: max(Int64((p * Double(total)).rounded(.up)), 1) - 1) }
            let place = p * Double(total - 1)
            let (first, second) = (Int64(place.rounded(.down)), Int64(place.rounded(.up)))
            let low = value(at: first)
            return first == second ? low : try between(low, value(at: second), place - Double(first))
        }
        guard case .array(let fractions) = fraction else { return try one(fraction) }
        if total == 0 { return .null }
        var answers: [Value] = []
        for fraction in fractions.values { answers.append(try one(fraction)) }
        return .array(ArrayValue(shape.result.element ?? shape.argument, fractions.dimensions, answers))
    }

    private static func between(_ low: Value, _ high: Value, _ part: Double) throws(SQLError) -> Value {
        switch (low, high) {
        case (.double(let a), .double(let b)): return .double(a + part * (b - a))
        case (.interval, .interval):
            let context = EvaluationContext.utc
            let difference = try ScalarFunction.subtract.evaluate([high, low], result: .interval, context: context)
            let step = try ScalarFunction.multiply.evaluate([difference, .double(part)], result: .interval, context: context)
            return try ScalarFunction.add.evaluate([low, step], result: .interval, context: context)
        default: return low
        }
    }
}
