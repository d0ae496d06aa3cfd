/// The values of `generate_series`, one after the other: as many as anybody takes.
package struct ValueSeries {
    private enum Course {
        case integers(next: Int64, stop: Int64, step: Int64, isShort: Bool)
        /// Numerics and points in time: by repeated addition, as PostgreSQL has it (a month is not a fixed length).
        case others(next: Value, stop: Value, step: Value, isRising: Bool)
        case atEnd
    }

    private var course: Course
    private let context: EvaluationContext

    /// - Parameter arguments: of the call: start, stop and, if given, step. Where one is NULL there are no values.
    package init(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) {
        self.context = context
        guard !arguments.contains(where: \.isNull) else {
            course = .atEnd
            return
        }
        switch (arguments[0], arguments[1]) {
        case (.integer(let start), .integer(let stop)):
            var step: Int64 = 1
            if arguments.count > 2, case .integer(let given) = arguments[2] { step = Int64(given) }
            course = try ValueSeries.integers(Int64(start), Int64(stop), step, isShort: true)
        case (.bigint(let start), .bigint(let stop)):
            var step: Int64 = 1
            if arguments.count > 2, case .bigint(let given) = arguments[2] { step = given }
            course = try ValueSeries.integers(start, stop, step, isShort: false)
        default:
            var zero = Value.interval(Interval(micros: 0))
            var step = Value.numeric(Decimal(1))
            if case .numeric = arguments[0] { zero = .numeric(Decimal(0)) }
            if arguments.count > 2 { step = arguments[2] }
            let sign = Value.compare(step, zero)
            guard sign != 0 else { throw ValueSeries.zeroStep }
            course = .others(next: arguments[0], stop: arguments[1], step: step, isRising: sign > 0)
        }
    }

    private static let zeroStep = SQLError(.invalidParameterValue, "step size cannot equal zero")

    private static func integers(_ start: Int64, _ stop: Int64, _ step: Int64, isShort: Bool) throws(SQLError) -> Course {
        guard step != 0 else { throw zeroStep }
        return .integers(next: start, stop: stop, step: step, isShort: isShort)
    }

    /// nil: there are no more.
    package mutating func next() throws(SQLError) -> Value? {
        switch course {
        case .atEnd: return nil
        case .integers(let value, let stop, let step, let isShort):
            guard step > 0 ? value <= stop : value >= stop else {
                course = .atEnd
                return nil
            }
            let (following, overflow) = value.addingReportingOverflow(step)
            course = overflow ? .atEnd : .integers(next: following, stop: stop, step: step, isShort: isShort)
            return isShort ? .integer(Int32(truncatingIfNeeded: value)) : .bigint(value)
        case .others(let value, let stop, let step, let isRising):
            let place = Value.compare(value, stop)
            guard isRising ? place <= 0 : place >= 0 else {
                course = .atEnd
                return nil
            }
            let following = try Arithmetic.evaluate(.add, [value, step], context)
            // Adding days and taking months may stand still.
            guard Value.compare(following, value) != 0 else {
                throw SQLError(.programLimitExceeded, "a series that does not go on: adding \(step.text) to \(value.text) changes nothing")
            }
            course = .others(next: following, stop: stop, step: step, isRising: isRising)
            return value
        }
    }
}
