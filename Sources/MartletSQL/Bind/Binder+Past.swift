internal import MartletCore

/// `t FOR SYSTEM_TIME AS OF time` with a time of its own, in a query that is carried out once: `t` as it was then.
extension Binder {
    mutating func past(_ name: ObjectName, at time: ExpressionSyntax) throws(SQLError) -> Plan {
        if Self.isClock(time) {
            guard isContinuous else { return try relation(name) }
            throw .notSupported(
                "FOR SYSTEM_TIME AS OF outside of a join", at: name.position,
                hint: "It stands on the right of a join: … JOIN t FOR SYSTEM_TIME AS OF PROCTIME() ON …")
        }
        guard !isContinuous else {
            throw SQLError(
                .featureNotSupported, "FOR SYSTEM_TIME AS OF a fixed time in a continuous query", at: time.position,
                hint: "The past is for queries that are carried out once; views take JOIN t FOR SYSTEM_TIME AS OF PROCTIME(), or of a time of the rows.")
        }
        let entry = try relationWithPast(name)
        depend(on: entry.name)
        let past = PastRelation(relation: entry.name, micros: try instant(time))
        return try counted(.relation(name: past.name, fields: entry.fields), at: name.position)
    }

    /// Whether the time is a constant, and not the clock's alone, which in a join is a lookup.
    func isInstant(_ time: ExpressionSyntax) -> Bool {
        if Self.isClock(time) { return false }
        // Bound to see what comes of it; the binder itself learns nothing.
        var trial = self
        trial.isContinuous = false
        trial.outerBlocks = []
        let block = Block(scope: Scope())
        block.clause = .constant
        return (try? trial.bind(time, block))?.expression.literalValue != nil
    }

    /// `PROCTIME()`, `now()` and the like by themselves.
    static func isClock(_ time: ExpressionSyntax) -> Bool {
        guard case .call(let call) = time.kind, call.arguments.isEmpty else { return false }
        return ["proctime", "now", "current_timestamp"].contains(call.name.last.text)
    }

    private mutating func relationWithPast(_ name: ObjectName) throws(SQLError) -> RelationEntry {
        func refused(_ what: String, hint: String) -> SQLError {
            SQLError(.wrongObjectType, "\(what) cannot be read FOR SYSTEM_TIME AS OF a time", at: name.position, hint: hint)
        }
        if name.parts.count == 1, commonTables.contains(where: { $0.name == name.last.text }) {
            throw refused("WITH query \"\(name.last.text)\"", hint: "Say it of the tables that the query reads.")
        }
        let entry = try self.entry(name)
        switch entry.kind {
        case .table(let table) where !table.isSequence: return entry
        case .materializedView: return entry
        case .view: throw refused("view \"\(name.last.text)\"", hint: "Say it of the tables and materialized views that the view reads.")
        case .table, .source, .lateTable, .deadLetters, .system, .sink:
            throw refused("\(entry.noun) \"\(name.last.text)\"", hint: "Tables and materialized views have a past.")
        }
    }

    /// Microseconds since 1970 of a time, a text of one, or a number of seconds since 1970; nil: NULL.
    private mutating func instant(_ time: ExpressionSyntax) throws(SQLError) -> Int64? {
        let block = Block(scope: Scope())
        block.clause = .constant
        var bound = try bind(time, block)
        switch bound.type.withoutModifiers {
        case .unknown, .text, .timestamptz, .timestamp, .date:
            bound = try coerce(bound, to: .timestamptz, at: time.position, context: bound.type == .text ? .explicit : .assignment)
        case .smallint, .integer, .bigint, .numeric, .real, .double:
            bound = try resolved("to_timestamp", [bound], [time.position], isOperator: false, at: time.position)
        default:
            throw SQLError(
                .datatypeMismatch, "FOR SYSTEM_TIME AS OF takes a time, not type \(bound.type.sqlName)", at: time.position,
                hint: "For example TIMESTAMP '2026-01-31 12:00:00', now() - INTERVAL '10 minutes', or seconds since 1970.")
        }
        switch bound.expression.literalValue {
        case .timestamptz(let micros)?: return micros
        case .null?: return nil
        default:
            throw SQLError(
                .invalidParameterValue, "the time of FOR SYSTEM_TIME AS OF must be a constant", at: time.position,
                hint: "For a time of the rows write it on the right of a join: … JOIN t FOR SYSTEM_TIME AS OF l.ts ON …")
        }
    }
}
