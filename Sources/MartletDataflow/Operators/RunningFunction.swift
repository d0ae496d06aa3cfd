internal import MartletColumns
package import MartletCore
package import MartletState

/// A function of OVER (… ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), or of an earlier row.
package enum RunningFunction: Sendable, Equatable {
    case lag(distance: Int, defaultValue: Value)
    case rowNumber
    case rank
    case denseRank
    /// With an argument: its values that are not NULL; without: rows.
    case count
    case sum
    case min
    case max
    case firstValue
    case lastValue
    /// Any other aggregate.
    case aggregate(AggregateSpec)
}

/// The state of one running function in one partition.
struct RunningState {
    private let function: RunningFunction
    private var count: Int64 = 0
    private var rank: Int64 = 0
    private var table: AggregateTable?
    private var value: Value = .null
    /// The last `distance` values, oldest first, as a ring.
    private var earlier: [Value] = []
    private var oldest = 0

    init(_ function: RunningFunction) {
        self.function = function
    }

    /// The function's value at the next row.
    ///
    /// - Parameter isPeer: the row sorts equal to the one before it.
    mutating func next(_ argument: Value?, isPeer: Bool, result: DataType) throws(SQLError) -> Value {
        switch function {
        case .lag(let distance, let defaultValue):
            return lag(argument ?? .null, distance: distance, defaultValue: defaultValue)
        case .rowNumber:
            count += 1
            return .bigint(count)
        case .rank:
            count += 1
            if !isPeer { rank = count }
            return .bigint(rank)
        case .denseRank:
            if !isPeer { rank += 1 }
            return .bigint(rank)
        case .aggregate(let spec): return try aggregate(spec, argument)
        case .count:
            if argument.map({ !$0.isNull }) ?? true { count += 1 }
            return .bigint(count)
        case .sum:
            try add(argument ?? .null, result)
        case .min:
            if let argument, !argument.isNull, value.isNull || Value.compare(argument, value) < 0 { value = argument }
        case .max:
            if let argument, !argument.isNull, value.isNull || Value.compare(argument, value) > 0 { value = argument }
        case .firstValue:
            if count == 0 { value = argument ?? .null }
            count = 1
        case .lastValue:
            value = argument ?? .null
        }
        return value
    }

    func save(into writer: StateWriter) {
        writer.write(count)
        writer.write(rank)
        writer.write(value)
        writer.write(UInt64(earlier.count))
        for value in earlier { writer.write(value) }
        writer.write(Int64(oldest))
        writer.write(table != nil)
        table?.save(into: writer)
    }

    /// Into one just made for the same function.
    mutating func restore(from reader: StateReader) throws(StateError) {
        count = try reader.read()
        rank = try reader.read()
        value = try reader.readValue()
        for _ in 0..<(try reader.readCount(max: 1 << 40)) { earlier.append(try reader.readValue()) }
        let place: Int64 = try reader.read()
        guard place >= 0, place < max(earlier.count, 1) else { throw reader.error("a place among earlier rows that is none") }
        oldest = Int(place)
        guard try reader.readFlag() else { return }
        guard case .aggregate(let spec) = function else { throw reader.error("an aggregate of a function that is none") }
        let table = AggregateTable(keys: [], calls: [spec])
        try table.restore(from: reader)
        self.table = table
    }

    private mutating func lag(_ argument: Value, distance: Int, defaultValue: Value) -> Value {
        if distance == 0 { return argument }
        if earlier.count < distance {
            earlier.append(argument)
            return defaultValue
        }
        let found = earlier[oldest]
        earlier[oldest] = argument
        oldest = (oldest + 1) % distance
        return earlier.count == distance ? found : defaultValue
    }

    private mutating func aggregate(_ spec: AggregateSpec, _ argument: Value?) throws(SQLError) -> Value {
        let table = table ?? AggregateTable(keys: [], calls: [spec])
        self.table = table
        let column = spec.argumentType.map { Column($0, [argument ?? .null]) }
        table.update(keys: [], count: 1, arguments: [column], filters: [nil])
        let errors = RowErrors()
        let result = table.emit(0..<1, errors: errors)[0].value(at: 0)
        if let error = errors.error(at: 0) { throw error }
        return result
    }

    private mutating func add(_ argument: Value, _ result: DataType) throws(SQLError) {
        guard !argument.isNull else { return }
        let term = try argument.cast(to: result, explicit: true, zone: .utc)
        value =
            value.isNull ? term : try ScalarFunction.add.evaluate([value, term], result: result, context: .utc)
    }
}
