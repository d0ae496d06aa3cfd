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
/// A jsonb document: parsing to PostgreSQL's canonical text, and navigation.
package enum JSONDocument {
    static func areEqual(_ a: String, _ b: String) -> Bool { a == b }
    static func hashSeed(_ a: String) -> Int { 0 }
    /// The canonical jsonb text of a JSON text.
    package static func canonical(_ text: String) throws(SQLError) -> String { throw notYet }
}
/// Which casts exist and what they do.
package enum Cast {
    /// Where a cast is applied: anywhere, on storing into a column, or only where it is written.
    package enum Context: Int, Comparable, Sendable {
        case implicit, assignment, explicit
        package static func < (a: Context, b: Context) -> Bool { a.rawValue < b.rawValue }
    }
    package static func isAllowed(from: DataType, to: DataType, context: Context) -> Bool { from == to }
}
extension Value {
    /// The value as another type. NULL stays NULL.
    package func cast(to type: DataType, explicit: Bool = true, context: EvaluationContext = .utc) throws(SQLError) -> Value { throw notYet }
    package func cast(to type: DataType, explicit: Bool, zone: TimeZone) throws(SQLError) -> Value {
        try cast(to: type, explicit: explicit, context: EvaluationContext(zone: zone))
    }
    /// PostgreSQL's output text; empty for NULL.
    package func text(in zone: TimeZone) -> String { "" }
    package var text: String { text(in: .utc) }
    /// Order of two values of one type as ORDER BY has it, NULL last: negative, 0, positive.
    package static func compare(_ a: Value, _ b: Value) -> Int { 0 }
}
