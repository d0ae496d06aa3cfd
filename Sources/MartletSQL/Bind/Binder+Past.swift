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
        let plan = try planWithPast(name).asOf(try instant(time))
        return try counted(plan, plan.nodeCount, at: name.position)
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

    /// Of tables and materialized views, and of plain views that read nothing else.
    private mutating func planWithPast(_ name: ObjectName) throws(SQLError) -> Plan {
        func refused(_ what: String, _ detail: String? = nil, hint: String) -> SQLError {
            SQLError(.wrongObjectType, "\(what) cannot be read FOR SYSTEM_TIME AS OF a time", at: name.position, detail: detail, hint: hint)
        }
        if name.parts.count == 1, commonTables.contains(where: { $0.name == name.last.text }) {
            throw refused("WITH query \"\(name.last.text)\"", hint: "Say it of the tables that the query reads.")
        }
        let entry = try self.entry(name)
        depend(on: entry.name)
        switch entry.kind {
        case .table(let table) where !table.isSequence: return .relation(name: entry.name, fields: entry.fields)
        case .materializedView: return .view(name: entry.name, fields: entry.fields)
        case .view(let view):
            for name in view.dependencies { depend(on: name) }
            if let reason = view.plan.withoutPast(in: catalog) {
                throw refused(
                    "view \"\(name.last.text)\"", "It has \(reason) in it.", hint: "Say it of the tables and materialized views that the view reads.")
            }
            return view.plan
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

extension Plan {
    /// The same of relations as they were. Microseconds since 1970; nil: the time was NULL.
    fileprivate func asOf(_ micros: Int64?) -> Plan {
        switch self {
        case .relation(let name, let fields), .view(let name, let fields):
            .relation(name: PastRelation(relation: name, micros: micros).name, fields: fields)
        default: mapInputs { $0.asOf(micros) }
        }
    }

    /// What in it is of now only; nil: nothing.
    fileprivate func withoutPast(in catalog: any CatalogReader) -> String? {
        switch self {
        case .source(let name, _, _): return "source \"\(name)\""
        case .relation(let name, _):
            guard let entry = catalog.relation(named: name) else { return "\"\(name)\"" }
            if case .table(let table) = entry.kind, !table.isSequence { return nil }
            return "\(entry.noun) \"\(name)\""
        case .temporal: return "a condition on now()"
        case .stamped: return "PROCTIME()"
        case .changelog: return "CHANGELOG"
        default: return inputs.lazy.compactMap { $0.withoutPast(in: catalog) }.first
        }
    }
}
