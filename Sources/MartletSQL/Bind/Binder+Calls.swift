internal import MartletCore

/// Function calls: scalar functions by Core's signatures, aggregates, window functions, and the clocks.
extension Binder {
    static let clockNames: Set<String> = [
        "now", "current_timestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "localtimestamp", "current_date",
        "localtime",
    ]

    /// Functions whose result has the type of their first argument, a composite one.
    static let recordFunctions: Set<String> = ["jsonb_populate_record", "json_populate_record"]

    static let overNames: Set<String> = [
        "lag", "lead", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "first_value", "last_value", "nth_value",
    ]

    mutating func call(_ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        if !catalog.functionsAreBuiltIn, call.over == nil, let bound = try userCall(call, block) { return bound }
        let name = try functionName(call.name)
        if name == "make_interval", call.arguments.contains(where: \.isNamed) { return try interval(ofNamed: call, block) }
        if Self.rowFunctions.contains(name), call.over == nil, !call.isStar { return try setCall(name, call, block) }
        // The usual case first, and out of the way of the frame that the others need.
        if call.over == nil, call.filter == nil, !call.isStar, !call.isDistinct, call.orderBy.isEmpty, call.withinGroup.isEmpty, !call.ignoresNulls,
            !ScalarFunction.overloads(named: name).isEmpty
        {
            return try scalar(name, call, block)
        }
        return try specialCall(name, call, block)
    }

    /// `make_interval(days => 3)`: parts that are not named are 0.
    @inline(never)
    private mutating func interval(ofNamed call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        let names = ["years", "months", "weeks", "days", "hours", "mins", "secs"]
        var parts = names.map { _ in ExpressionSyntax(kind: .integer("0"), position: call.position, depth: 1) }
        var given: Set<Int> = []
        for (place, argument) in call.arguments.enumerated() {
            var at = place
            var value = argument
            if case .named(let name, let inner) = argument.kind {
                guard let named = names.firstIndex(of: name.text) else {
                    throw SQLError(.undefinedFunction, "function make_interval has no argument named \"\(name.text)\"", at: name.position)
                }
                (at, value) = (named, inner)
            } else if !given.isSubset(of: 0..<place) {
                throw .syntaxError("positional argument cannot follow named argument", at: argument.position)
            }
            guard at < parts.count, given.insert(at).inserted else {
                throw .syntaxError("argument name \"\(at < names.count ? names[at] : "")\" used more than once", at: argument.position)
            }
            parts[at] = value
        }
        var positional = call
        positional.arguments = parts
        return try scalar("make_interval", positional, block)
    }

    @inline(never)
    private mutating func specialCall(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        let isAggregate = Self.aggregateNames.contains(name)
        if name == "grouping", call.over == nil { return try grouping(call, block) }
        if call.ignoresNulls, call.over == nil || !["first_value", "last_value", "nth_value", "lag", "lead"].contains(name) {
            throw .notSupported("IGNORE NULLS of \(name)\(call.over == nil ? " without OVER" : "")", at: call.position)
        }
        if let over = call.over {
            guard isAggregate || Self.overNames.contains(name) else {
                throw SQLError(
                    .wrongObjectType, "OVER specified, but \(name) is not a window function nor an aggregate function", at: call.position)
            }
            return try overCall(name, call, over, block)
        }
        // first_value and last_value are both.
        if isAggregate { return try aggregate(name, call, block) }
        if Self.overNames.contains(name) {
            throw SQLError(.wrongObjectType, "window function \(name) requires an OVER clause", at: call.position)
        }
        if let word = call.isStar ? "*" : call.isDistinct ? "DISTINCT" : call.filter != nil ? "FILTER" : call.orderBy.isEmpty ? nil : "ORDER BY" {
            throw SQLError(
                .wrongObjectType, "\(word) specified, but \(name) is not an aggregate function", at: call.position)
        }
        if let clock = try self.clock(name, call, block) { return clock }
        return try scalar(name, call, block)
    }

    /// Functions live in no schema but pg_catalog.
    func functionName(_ name: ObjectName) throws(SQLError) -> String {
        guard name.parts.count > 1 else { return name.last.text }
        guard name.parts.count == 2, name.parts[0].text == "pg_catalog" || name.parts[0].text == "information_schema" else {
            throw SQLError(.invalidSchemaName, "schema \"\(name.parts[name.parts.count - 2].text)\" does not exist", at: name.position)
        }
        return name.last.text
    }

    @inline(never)
    private mutating func scalar(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        let isGuarded = name == "coalesce"
        if isGuarded { guardDepth += 1 }
        defer { if isGuarded { guardDepth -= 1 } }
        var arguments: [Bound] = []
        for argument in call.arguments { arguments.append(try bind(argument, block)) }
        if name == "pg_typeof", arguments.count == 1, arguments[0].parameter == nil {
            let type = arguments[0].registered ?? arguments[0].type.withoutModifiers.sqlName
            return Bound(.literal(.text(type), .text))
        }
        if Self.recordFunctions.contains(name), arguments.count == 2, case .structure = arguments[0].type {
            let document = try coerce(arguments[1], to: .jsonb, at: call.arguments[1].position)
            return try folded(
                .call(.jsonRecord, [arguments[0].expression, document.expression], arguments[0].type.withoutModifiers),
                size: arguments[0].size + document.size + 1, at: call.position)
        }
        // A type's name as a function is a cast: text(x), int8(x), date(ts).
        if ScalarFunction.overloads(named: name).isEmpty, arguments.count == 1, let type = DataType(sqlName: name), type != .unknown {
            return try coerce(arguments[0], to: type, at: call.position, context: .explicit)
        }
        do {
            let bound = try resolved(name, arguments, call.arguments.map(\.position), isOperator: false, at: call.position)
            if case .call(.volatile, _, _) = bound.expression { try checkVolatile(name, block, at: call.position) }
            return bound
        } catch {
            guard error.state == .undefinedFunction || error.state == .ambiguousFunction else { throw error }
            throw reworded(error, name)
        }
    }

    /// What answers differently each time has no place in what is computed again and must come to the same.
    private func checkVolatile(_ name: String, _ block: Block, at position: Int) throws(SQLError) {
        if block.clause == .generated { throw SQLError(SQLState("42P17"), "generation expression is not immutable", at: position) }
        guard isContinuous else { return }
        throw .notSupported(
            "\(name)() in a continuous query", at: position,
            hint: "A view must come to the same rows whenever it is computed. Let rows have the value as they are inserted: DEFAULT \(name)(…).")
    }

    /// PostgreSQL puts the name before the verb for functions: "function f(integer) does not exist".
    @inline(never)
    private func reworded(_ error: SQLError, _ name: String) -> SQLError {
        var error = error
        for verb in ["does not exist", "is not unique"] where error.message.hasPrefix("function \(verb): ") {
            error.message = "function \(error.message.dropFirst("function \(verb): ".count)) \(verb)"
        }
        if error.state == .undefinedFunction, ScalarFunction.overloads(named: name).isEmpty {
            let names = ScalarFunction.names.filter { $0.utf8.first.map(isIdentifierStart) ?? false && !$0.contains(" ") }
            if let near = Suggestion.nearest(to: name, among: names + Self.aggregateNames.sorted() + Self.overNames.sorted()) {
                error.hint = "Perhaps you meant the function \"\(near)\"."
            }
        }
        return error
    }

    /// now() and its kin: the statement's time. In a query that lives on they would be a moving condition.
    @inline(never)
    private func clock(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound? {
        let zoned = Value.timestamptz(context.now)
        let type: DataType
        switch name {
        case "now", "current_timestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp": type = .timestamptz
        case "localtimestamp": type = .timestamp
        case "current_date": type = .date
        case "localtime": type = .time
        case "proctime":
            if isContinuous, !clockIsColumn, call.arguments.isEmpty {
                guard block.clause == .select || block.clause == .groupBy else {
                    throw .notSupported("PROCTIME() in \(block.clause.rawValue)", at: call.position, hint: "Give it a name in a subquery's select list.")
                }
                block.usesClock = true
                return Bound(.column(Block.stampBase, .timestamptz))
            }
            type = .timestamptz
        case "current_time": throw .notSupported(name.uppercasedASCII, at: call.position)
        default: return nil
        }
        guard call.arguments.isEmpty else { return nil }
        if clockIsColumn {
            return try coerce(Bound(.column(TableColumn.now, .timestamptz)), to: type, at: call.position, context: .explicit)
        }
        if isContinuous, block.clause == .condition {
            return try coerce(Bound(.column(Block.now, .timestamptz)), to: type, at: call.position, context: .explicit)
        }
        if isContinuous { throw movingClock(name, type, block, at: call.position) }
        let value = type == .timestamptz ? zoned : try locating(call.position) { () throws(SQLError) in
            try zoned.cast(to: type, explicit: true, context: context)
        }
        return Bound(.literal(value, type))
    }

    /// The error of a clock where it would have to change rows that stand, with what may be meant in its place.
    private func movingClock(_ name: String, _ type: DataType, _ block: Block, at position: Int) -> SQLError {
        let shown = ["now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"].contains(name) ? "\(name)()" : name
        var hint = "In WHERE \(shown) may be compared with a time of the rows; elsewhere use their event time."
        if block.clause == .select || block.clause == .groupBy {
            let stamp = type == .timestamptz ? "PROCTIME()" : "PROCTIME()::\(type.sqlName.split(separator: " ")[0])"
            hint =
                block.input?.isAppendOnly(in: catalog) ?? true
                ? "Write \(stamp) for the time at which a row came, which stays with it, or ask for \(shown) when the view is read."
                : "Ask for \(shown) when the view is read. The time at which a row came can be a column of its table: DEFAULT now()."
        }
        return SQLError(
            .featureNotSupported, "\(shown) in a continuous query is not supported", at: position,
            detail: "It is another value at each moment: all rows of the view would have to change all the time.", hint: hint)
    }

    /// GROUPING(a, b): a bit for each argument that the row's grouping leaves out, the last one lowest.
    @inline(never)
    private mutating func grouping(_ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard (1...31).contains(call.arguments.count), !call.isStar else {
            throw SQLError(.tooManyArguments, "GROUPING must have fewer than 32 arguments", at: call.position)
        }
        guard block.clause.allowsAggregates else {
            throw SQLError(.groupingError, "grouping operations are not allowed in \(block.clause.rawValue)", at: call.position)
        }
        let outer = block.clause
        block.clause = .aggregate
        defer { block.clause = outer }
        var arguments: [Expression] = []
        for argument in call.arguments { arguments.append(try bind(argument, block).expression) }
        block.groupings.append((arguments, call.position))
        return Bound(.column(Block.groupingBase + block.groupings.count - 1, .integer))
    }
}
