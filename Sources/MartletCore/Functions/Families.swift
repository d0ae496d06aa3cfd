private let notYet = SQLError(.featureNotSupported, "function is not available")
enum Arithmetic {
    static func evaluate(_ f: ScalarFunction, _ a: [Value], _ c: EvaluationContext) throws(SQLError) -> Value { throw notYet }
}
enum Logic {
    static func evaluate(_ f: ScalarFunction, _ a: [Value]) throws(SQLError) -> Value { throw notYet }
}
enum Mathematics {
    static func evaluate(_ f: ScalarFunction, _ a: [Value]) throws(SQLError) -> Value { throw notYet }
}
enum Strings {
    static func evaluate(_ f: ScalarFunction, _ a: [Value], _ c: EvaluationContext) throws(SQLError) -> Value { throw notYet }
}
enum DatesAndTimes {
    static func evaluate(_ f: ScalarFunction, _ a: [Value], _ c: EvaluationContext) throws(SQLError) -> Value { throw notYet }
}
enum Documents {
    static func evaluate(_ f: ScalarFunction, _ a: [Value], _ c: EvaluationContext) throws(SQLError) -> Value { throw notYet }
}
