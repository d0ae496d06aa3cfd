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
    /// DISTINCT, ORDER BY, packed arguments, constants.
    package var options: AggregateOptions
    /// Rows may be withdrawn (negative weights): least, greatest and first values then keep all values instead of one.
    /// Without it a withdrawal from them is an error of the group.
    package var takesWithdrawals: Bool

    package init(
        function: AggregateFunction, argumentType: DataType?, resultType: DataType, input: Int? = nil,
        isFiltered: Bool = true, options: AggregateOptions = AggregateOptions(), takesWithdrawals: Bool = false
    ) {
        self.options = options
        self.takesWithdrawals = takesWithdrawals
        self.function = function
        self.argumentType = argumentType
        self.resultType = resultType
        self.input = input
        self.isFiltered = isFiltered
    }

    /// count(x), whose number other accumulators of the same input know too.
    var isPlainCount: Bool { function == .count && !options.isDistinct }

    /// PostgreSQL's result type, or nil where the function does not take the type.
    package static func resultType(_ function: AggregateFunction, of argument: DataType?) -> DataType? {
        guard let argument else { return function == .countAll ? .bigint : nil }
        return AggregateFunction.resolve(function.rawValue, [argument])?.result
    }
}
