internal import MartletCore

/// CREATE SEQUENCE: a counter, kept as a table that has nothing but it.
extension Binder {
    mutating func sequence(_ create: CreateSequenceSyntax, text: String) throws(SQLError) -> TableDefinition {
        var type = DataType.bigint
        if let given = create.type { type = try dataType(given) }
        let whole: ClosedRange<Int64>
        switch type {
        case .smallint: whole = Int64(Int16.min)...Int64(Int16.max)
        case .integer: whole = Int64(Int32.min)...Int64(Int32.max)
        case .bigint: whole = .min ... .max
        default: throw SQLError(.invalidParameterValue, "sequence type must be smallint, integer, or bigint", at: create.position)
        }
        var counter = create.counter
        // Upwards from 1, downwards from -1, unless it says otherwise.
        let isUpwards = counter.increment > 0
        let least = create.least ?? (isUpwards ? 1 : whole.lowerBound)
        let most = create.most ?? (isUpwards ? whole.upperBound : -1)
        guard whole.contains(least), whole.contains(most) else {
            throw SQLError(.invalidParameterValue, "MINVALUE or MAXVALUE is out of range for sequence data type \(type.sqlName)", at: create.position)
        }
        guard least < most else {
            throw SQLError(.invalidParameterValue, "MINVALUE (\(least)) must be less than MAXVALUE (\(most))", at: create.position)
        }
        counter.bounds = least...most
        counter.start = create.start ?? (isUpwards ? least : most)
        guard counter.bounds.contains(counter.start) else {
            let isLess = counter.start < least
            throw SQLError(
                .invalidParameterValue,
                "START value (\(counter.start)) cannot be \(isLess ? "less than MINVALUE (\(least))" : "greater than MAXVALUE (\(most))")", at: create.position)
        }
        var last = TableColumn(name: "last_value", type: .bigint, isNotNull: true)
        last.identity = counter
        let others = [TableColumn(name: "log_cnt", type: .bigint, isNotNull: true), TableColumn(name: "is_called", type: .boolean, isNotNull: true)]
        var table = TableDefinition(name: try objectName(create.name), columns: [last] + others)
        table.isSequence = true
        table.ifNotExists = create.ifNotExists
        table.text = text
        return table
    }
}
