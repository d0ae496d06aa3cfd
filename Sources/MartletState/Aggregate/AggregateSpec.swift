package import MartletCore

/// One aggregate of a table.
package struct AggregateSpec: Hashable, Sendable {
    package var function: AggregateFunction
    /// nil for count(*).
    package var argumentType: DataType?
    package var resultType: DataType
    /// Calls of one number are given the same argument and the same filter, and share what they can (sum and avg of
    /// one column are one sum). nil: shares with nobody.
    package var input: Int?
    /// False promises that no filter is ever given: count(*) then is the group's weight and costs nothing.
    package var isFiltered: Bool

    package init(
        function: AggregateFunction, argumentType: DataType?, resultType: DataType, input: Int? = nil,
        isFiltered: Bool = true
    ) {
        self.function = function
        self.argumentType = argumentType
        self.resultType = resultType
        self.input = input
        self.isFiltered = isFiltered
    }

    /// PostgreSQL's result type, or nil where the function does not take the type.
    package static func resultType(_ function: AggregateFunction, of argument: DataType?) -> DataType? {
        guard let argument else { return function == .countAll ? .bigint : nil }
        switch function {
        case .countAll: return nil
        case .count: return .bigint
        case .sum:
            switch argument {
            case .smallint, .integer: return .bigint
            case .bigint, .numeric: return .plainNumeric
            case .real: return .real
            case .double: return .double
            case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid, .unknown:
                return nil
            }
        case .avg:
            switch argument {
            case .smallint, .integer, .bigint, .numeric: return .plainNumeric
            case .real, .double: return .double
            case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid, .unknown:
                return nil
            }
        case .min, .max:
            switch argument {
            case .boolean, .jsonb, .unknown: return nil
            case .smallint, .integer, .bigint, .real, .double, .numeric, .text, .bytea, .date, .time, .timestamp,
                .timestamptz, .interval, .uuid:
                return argument.withoutModifiers
            }
        }
    }
}
