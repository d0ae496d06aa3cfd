internal import MartletCore

/// The window functions of FROM.
enum WindowCall: String, CaseIterable {
    case tumble, hop, cumulate, session

    /// Names, in order; Flink's.
    var arguments: [String] {
        switch self {
        case .tumble: ["data", "timecol", "size", "offset"]
        case .hop: ["data", "timecol", "slide", "size", "offset"]
        case .cumulate: ["data", "timecol", "step", "size", "offset"]
        case .session: ["data", "timecol", "gap"]
        }
    }

    func usage(at position: Int) -> SQLError {
        switch self {
        case .tumble:
            .syntaxError(
                "TUMBLE takes a relation, a time column and a size", at: position,
                hint: "For example TUMBLE(payments, ts, INTERVAL '1 minute').")
        case .hop:
            .syntaxError(
                "HOP takes a relation, a time column, a hop and a size", at: position,
                hint: "For example HOP(payments, ts, INTERVAL '10 seconds', INTERVAL '1 minute').")
        case .cumulate:
            .syntaxError(
                "CUMULATE takes a relation, a time column, a step and a size", at: position,
                hint: "For example CUMULATE(payments, ts, INTERVAL '1 hour', INTERVAL '1 day').")
        case .session:
            .syntaxError(
                "SESSION takes a relation, a time column and a gap", at: position,
                hint: "For example SESSION(clicks PARTITION BY site, visitor, ts, INTERVAL '5 minutes').")
        }
    }
}

/// The arguments of a call over a relation, PARTITION BY set apart.
///
/// Behind `PARTITION BY a` stand more keys and then the other arguments, all between commas. The columns that follow at once are
/// keys, but for the last of them: that is the time, unless the time is given elsewhere (before, by its name, as DESCRIPTOR).
struct PartitionedCall {
    private(set) var keys: [ExpressionSyntax] = []
    private(set) var arguments: [ExpressionSyntax] = []
    /// Of PARTITION BY; nil: there is none.
    private(set) var position: Int?

    init(_ given: [ExpressionSyntax]) {
        let isTimeMarked = given.contains { argument in
            switch argument.kind {
            case .descriptor: true
            case .named(let label, _): label.text == "timecol"
            default: false
            }
        }
        var rest = given[...]
        while let argument = rest.popFirst() {
            guard case .named(let label, let value) = argument.kind, label.text == "partition", case .row(let items) = value.kind else {
                arguments.append(argument)
                continue
            }
            position = position ?? label.position
            keys += items
            let columns = rest.prefix { if case .name = $0.kind { true } else { false } }
            let isTimeGiven = isTimeMarked || arguments.count > 1
            let more = isTimeGiven ? columns[...] : columns.dropLast()
            keys += more
            rest = rest.dropFirst(more.count)
        }
    }
}

extension FromSyntax.Function {
    /// Over a relation, its first argument; never lateral.
    var isWindow: Bool { WindowCall(rawValue: name.last.text) != nil || name.last.text == "gap_fill" }
}

extension Binder {
    mutating func function(_ call: FromSyntax.Function) throws(SQLError) -> (Plan, Scope) {
        let name = call.name
        if name.last.text == "gap_fill" { return try gapFill(call) }
        guard let kind = WindowCall(rawValue: name.last.text) else {
            if Self.rowFunctions.contains(name.last.text) || !ScalarFunction.overloads(named: name.last.text).isEmpty
                || !catalog.functions(named: name.last.text).isEmpty || Self.clockNames.contains(name.last.text)
                || Self.recordFunctions.contains(name.last.text)
            {
                return try tableFunction(nil, call)
            }
            let near = Suggestion.nearest(to: name.last.text, among: WindowCall.allCases.map(\.rawValue))
            throw SQLError(
                .undefinedFunction, "table function \(name.text) does not exist", at: name.position,
                hint: near.map { "Perhaps you meant the function \"\($0)\"." })
        }
        return try window(name, kind, call.arguments, call.alias)
    }

    /// TUMBLE(relation, time, size [, offset]), HOP(relation, time, hop, size [, offset]), CUMULATE(relation, time, step,
    /// size [, offset]) and SESSION(relation [PARTITION BY …], time, gap), also by Flink's names.
    private mutating func window(
        _ name: ObjectName, _ kind: WindowCall, _ given: [ExpressionSyntax], _ alias: AliasSyntax?
    ) throws(SQLError) -> (Plan, Scope) {
        let call = PartitionedCall(given)
        if let position = call.position, kind != .session {
            throw .syntaxError("\(kind.rawValue.uppercasedASCII) takes no PARTITION BY", at: position)
        }
        let slots = try windowSlots(kind, call.arguments, name)
        guard let data = slots[0], let time = slots[1], let third = slots[2] else { throw kind.usage(at: name.position) }
        var (plan, scope) = try windowInput(data, usage: kind.usage(at: name.position))
        if let alias {
            (_, scope) = try aliased(plan, AliasSyntax(name: alias.name, columns: []), default: "")
        }
        let ordinal = try timeColumn(time, scope)
        let type = scope.columns[ordinal].type
        var partition: [Int] = []
        for key in call.keys {
            guard case .name(let parts) = key.kind else {
                throw SQLError(.invalidParameterValue, "a session's PARTITION BY takes columns", at: key.position, hint: "Compute it in a subquery.")
            }
            partition.append(try scope.resolve(parts))
        }

        // The new columns cover columns of the same name.
        for index in scope.columns.indices where scope.columns[index].name == "window_start" || scope.columns[index].name == "window_end" {
            scope.columns[index].isHidden = true
        }
        var fields = plan.fields
        let owner = scope.relations.first ?? ""
        for column in ["window_start", "window_end"] {
            fields.append(Field(name: column, type: type))
            scope.columns.append(Scope.Column(relation: owner, name: column, type: type))
        }
        if let alias {
            guard alias.columns.count <= scope.columns.count else {
                throw SQLError(
                    .invalidColumnReference,
                    "table \"\(alias.name.text)\" has \(scope.columns.count) columns available but \(alias.columns.count) columns specified",
                    at: alias.name.position)
            }
            for (index, column) in alias.columns.enumerated() { scope.columns[index].name = column.text }
        }
        if kind == .session {
            let session = SessionWindow(partition: partition, gap: try length(third, "the gap"))
            plan = .session(plan, time: ordinal, session, fields: fields)
        } else {
            plan = .window(plan, time: ordinal, try shape(kind, slots, third, name), fields: fields)
        }
        return (try counted(plan, at: name.position), scope)
    }

    /// The arguments by place: those written by name where they belong.
    private func windowSlots(
        _ kind: WindowCall, _ arguments: [ExpressionSyntax], _ name: ObjectName
    ) throws(SQLError) -> [ExpressionSyntax?] {
        let order = kind.arguments
        var slots = [ExpressionSyntax?](repeating: nil, count: order.count)
        for (index, argument) in arguments.enumerated() {
            if case .named(let label, let value) = argument.kind {
                guard let slot = order.firstIndex(of: label.text), slots[slot] == nil else {
                    throw .syntaxError(
                        "\(kind.rawValue.uppercasedASCII) has no argument \"\(label.text)\" here", at: label.position,
                        hint: "Its arguments are \(order.joined(separator: ", ")).")
                }
                slots[slot] = value
            } else {
                guard index < slots.count, slots[index] == nil else { throw kind.usage(at: name.position) }
                slots[index] = argument
            }
        }
        return slots
    }

    private mutating func shape(
        _ kind: WindowCall, _ slots: [ExpressionSyntax?], _ third: ExpressionSyntax, _ name: ObjectName
    ) throws(SQLError) -> HopWindow {
        let hop = try length(third, kind == .tumble ? "the size" : kind == .hop ? "the hop" : "the step")
        var size = hop
        if kind != .tumble {
            guard let fourth = slots[3] else { throw kind.usage(at: name.position) }
            size = try length(fourth, "the size")
            if kind == .cumulate, size % hop != 0 {
                throw SQLError(.invalidParameterValue, "the size of CUMULATE must be a multiple of its step", at: fourth.position)
            }
            guard size / hop <= 10_000 else {
                throw SQLError(
                    .invalidParameterValue, "a row may belong to at most 10000 windows of \(kind.rawValue.uppercasedASCII)", at: fourth.position)
            }
        }
        var offset: Int64 = 0
        let period = kind == .cumulate ? size : hop
        if let last = slots[kind.arguments.count - 1] {
            offset = try micros(last, "the offset") % period
            if offset < 0 { offset += period }
        }
        return HopWindow(size: size, hop: hop, offset: offset, isCumulative: kind == .cumulate)
    }

    mutating func windowInput(_ data: ExpressionSyntax, usage: SQLError) throws(SQLError) -> (Plan, Scope) {
        switch data.kind {
        case .name(let parts):
            guard parts.count <= 3 else { throw usage }
            let name = ObjectName(parts: parts)
            let plan = try relation(name)
            return (plan, Scope(relation: name.last.text, fields: plan.fields))
        case .table(let name):
            let plan = try relation(name)
            return (plan, Scope(relation: name.last.text, fields: plan.fields))
        case .subquery(let query):
            let plan = try self.query(query)
            return (plan, Scope(relation: "", fields: plan.fields))
        default: throw usage
        }
    }

    func timeColumn(_ syntax: ExpressionSyntax, _ scope: Scope) throws(SQLError) -> Int {
        let parts: [Identifier]
        switch syntax.kind {
        case .name(let name): parts = name
        case .descriptor(let names) where names.count == 1: parts = names
        default:
            throw SQLError(.invalidParameterValue, "the time of a window must be a column", at: syntax.position, hint: "Compute it in a subquery.")
        }
        let ordinal = try scope.resolve(parts)
        let type = scope.columns[ordinal].type
        guard type == .timestamp || type == .timestamptz else {
            throw SQLError(
                .datatypeMismatch, "the time of a window must be a timestamp, but \"\(scope.columns[ordinal].name)\" is of type \(type.sqlName)",
                at: syntax.position)
        }
        return ordinal
    }

    /// A constant interval of fixed length, positive, in microseconds.
    mutating func length(_ syntax: ExpressionSyntax, _ what: String) throws(SQLError) -> Int64 {
        let value = try micros(syntax, what)
        guard value > 0 else { throw SQLError(.invalidParameterValue, "\(what) of a window must be positive", at: syntax.position) }
        return value
    }

    /// A constant interval without months, in microseconds.
    mutating func micros(_ syntax: ExpressionSyntax, _ what: String) throws(SQLError) -> Int64 {
        guard case .interval(let interval) = try constant(syntax, as: .interval, what) else {
            throw SQLError(.invalidParameterValue, "\(what) must not be null", at: syntax.position)
        }
        guard let micros = interval.fixedMicros else {
            throw SQLError(
                .invalidParameterValue, "\(what) must be an interval of fixed length", at: syntax.position,
                hint: "Months and years have no fixed length; use days, hours, minutes or seconds.")
        }
        return micros
    }
}
