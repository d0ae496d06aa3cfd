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
extension TimeZone {
    package init?(fixedName: String) { return nil }
    static func offsetText(_ s: Int32) -> String { "" }
    struct PosixRule: Hashable, Sendable {}
    /// Seconds east of UTC at an instant (microseconds since 1970-01-01 UTC).
    package func offset(at micros: Int64) -> Int32 { firstOffset }
    /// The instant that local clocks show as `micros`.
    package func instant(local micros: Int64) -> Int64 { micros - Int64(firstOffset) * 1_000_000 }
    /// Reads a TZif file's bytes.
    package init?(name: String, tzif: [UInt8]) { return nil }
}
/// Parsing and writing of points in time for the hot paths.
package enum Timestamps {
    /// RFC 3339 and ISO forms; UTC where no offset is given; nil where the fast path does not know the form.
    package static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Int64? { nil }
    /// Writes `2026-01-01T00:00:00.123`; at most 32 bytes; returns how many.
    package static func write(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int { 0 }
    /// The same with `Z` behind.
    package static func writeUTC(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int { 0 }
    package static func writeDate(_ days: Int32, into target: UnsafeMutablePointer<UInt8>) -> Int { 0 }
    package static func writeTime(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int { 0 }
}
extension Decimal: Hashable, Comparable {
    package static func == (a: Decimal, b: Decimal) -> Bool { a.coefficient == b.coefficient && a.scale == b.scale }
    package func hash(into hasher: inout Hasher) { hasher.combine(0) }
    package static func < (a: Decimal, b: Decimal) -> Bool { a.coefficient < b.coefficient }
    /// Exact sum with the larger of the scales; 22003 beyond 38 digits.
    package func adding(_ o: Decimal) throws(SQLError) -> Decimal { self }
    package func subtracting(_ o: Decimal) throws(SQLError) -> Decimal { self }
    package func multiplied(by o: Decimal) throws(SQLError) -> Decimal { self }
    package func divided(by o: Decimal) throws(SQLError) -> Decimal { self }
    package func remainder(dividingBy o: Decimal) throws(SQLError) -> Decimal { self }
    package var negated: Decimal { self }
    package var magnitude: Decimal { self }
    /// To `scale` digits behind the point, half away from zero; `scale` may be negative.
    package func rounded(to scale: Int) throws(SQLError) -> Decimal { self }
    package func truncated(to scale: Int) -> Decimal { self }
    package init?(text: String) { return nil }
    package init?(_ bytes: UnsafeBufferPointer<UInt8>) { return nil }
    package var text: String { "" }
    package init(_ double: Double) throws(SQLError) { throw notYet }
    package var double: Double { 0 }
    /// Rounded half away from zero; nil outside of Int64 or special.
    package var int64: Int64? { nil }
    /// Enforces `numeric(precision, scale)`.
    package func limited(precision: Int, scale: Int) throws(SQLError) -> Decimal { self }
}
extension Interval {
    /// PostgreSQL's interval input.
    package init(text: String) throws(SQLError) { throw notYet }
    package var text: String { "" }
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
/// PostgreSQL's float8out/float4out layout: shortest digits that read back the same.
package enum FloatText {
    package static func text(_ value: Double) -> String { "" }
    package static func text(_ value: Float) -> String { "" }
    package static func write(_ value: Double, into target: UnsafeMutablePointer<UInt8>) -> Int { 0 }
}
