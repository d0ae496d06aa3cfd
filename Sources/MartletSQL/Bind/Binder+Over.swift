internal import MartletCore

/// Calls with OVER: the window's definition, its frame, and the functions that exist only there.
extension Binder {
    @inline(never)
    mutating func overCall(_ name: String, _ call: CallSyntax, _ over: OverSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard block.clause.allowsOver else {
            if block.clause == .over { throw SQLError(.windowingError, "window function calls cannot be nested", at: call.position) }
            let place = block.clause == .aggregate ? "aggregate function calls cannot contain window function calls"
                : "window functions are not allowed in \(block.clause.rawValue)"
            throw SQLError(block.clause == .aggregate ? .groupingError : .windowingError, place, at: call.position)
        }
        let isAggregate = Self.aggregateNames.contains(name) && !Self.overNames.contains(name)
        if call.filter != nil, !isAggregate {
            throw .notSupported("FILTER for window functions that are not aggregates", at: call.position)
        }
        let outer = block.clause
        block.clause = .over
        defer { block.clause = outer }

        let definition = try overDefinition(over, block)
        var bound = try isAggregate ? overAggregate(name, call, block) : overFunction(name, call, block)
        var partition: [Expression] = []
        for key in definition.partition { partition.append(try typed(key, block).expression) }
        var order: [SortKey] = []
        for item in definition.order {
            let key = try typed(item.expression, block)
            order.append(SortKey(expression: key.expression, descending: item.descending, nullsFirst: item.nullsFirst ?? item.descending))
        }
        bound.ignoresNulls = call.ignoresNulls
        if bound.function.readsFrame { bound.frame = try frame(definition, order) }
        let entry = BoundOver(call: bound, partition: partition, order: order, position: call.position)
        block.overs.append(entry)
        return Bound(.column(Block.overBase + block.overs.count - 1, bound.type))
    }

    /// Puts a named window's definition in.
    private func overDefinition(_ over: OverSyntax, _ block: Block) throws(SQLError) -> OverSyntax {
        guard let name = over.name else { return over }
        guard var base = block.windows[name.text] else {
            let near = Suggestion.nearest(to: name.text, among: block.windows.keys.sorted())
            throw SQLError(
                .undefinedObject, "window \"\(name.text)\" does not exist", at: name.position,
                hint: near.map { "Perhaps you meant the window \"\($0)\"." })
        }
        if base.name != nil {
            // Of the windows before it only: none is its own origin.
            let known = block.windows
            block.windows[name.text] = nil
            defer { block.windows = known }
            base = try overDefinition(base, block)
        }
        if !over.partition.isEmpty {
            throw SQLError(.windowingError, "cannot override PARTITION BY clause of window \"\(name.text)\"", at: name.position)
        }
        if !over.order.isEmpty {
            if !base.order.isEmpty {
                throw SQLError(.windowingError, "cannot override ORDER BY clause of window \"\(name.text)\"", at: name.position)
            }
            base.order = over.order
        }
        if over.frame != nil { base.frame = over.frame }
        return base
    }

    // MARK: Frames

    /// Without a frame: up to the current row's peers, which without an order are all rows.
    private mutating func frame(_ over: OverSyntax, _ order: [SortKey]) throws(SQLError) -> WindowFrame {
        guard let syntax = over.frame else { return order.isEmpty ? .whole : .standard }
        let unit: WindowFrame.Unit
        switch syntax.unit {
        case .rows: unit = .rows
        case .range: unit = .range
        case .groups: unit = .groups
        case .session: return try session(syntax, order)
        }
        if unit == .groups, order.isEmpty {
            throw SQLError(.windowingError, "GROUPS mode requires an ORDER BY clause", at: syntax.position)
        }
        let start = try bound(syntax.start, unit, order, syntax.position)
        let end = try syntax.end.map { (bound) throws(SQLError) in try self.bound(bound, unit, order, syntax.position) } ?? .currentRow
        try checkFrame(start, end, at: syntax.position)
        return WindowFrame(unit: unit, start: start, end: end, exclusion: syntax.exclusion)
    }

    private mutating func session(_ syntax: FrameSyntax, _ order: [SortKey]) throws(SQLError) -> WindowFrame {
        guard case .preceding(let gap) = syntax.start else { return .standard }
        guard order.count == 1, !order[0].descending, [.timestamp, .timestamptz].contains(order[0].expression.type) else {
            throw SQLError(.windowingError, "a SESSION frame needs ORDER BY one timestamp, ascending", at: syntax.position)
        }
        let micros = try micros(gap, "the gap of a session")
        guard micros >= 0 else { throw SQLError(.invalidFrameOffset, "the gap of a session must not be negative", at: gap.position) }
        return WindowFrame(unit: .session, start: .preceding(micros), end: .following(micros))
    }

    private func checkFrame(_ start: WindowFrame.Bound, _ end: WindowFrame.Bound, at position: Int) throws(SQLError) {
        var problem: String?
        switch (start, end) {
        case (.unboundedFollowing, _): problem = "frame start cannot be UNBOUNDED FOLLOWING"
        case (_, .unboundedPreceding): problem = "frame end cannot be UNBOUNDED PRECEDING"
        case (.currentRow, .preceding): problem = "frame starting from current row cannot have preceding rows"
        case (.following, .preceding), (.following, .currentRow):
            problem = "frame starting from following row cannot have preceding rows"
        default: break
        }
        if let problem { throw SQLError(.windowingError, problem, at: position) }
    }

    private mutating func bound(
        _ syntax: FrameSyntax.Bound, _ unit: WindowFrame.Unit, _ order: [SortKey], _ position: Int
    ) throws(SQLError) -> WindowFrame.Bound {
        switch syntax {
        case .unboundedPreceding: return .unboundedPreceding
        case .currentRow: return .currentRow
        case .unboundedFollowing: return .unboundedFollowing
        case .preceding(let offset): return .preceding(try distance(offset, unit, order, position))
        case .following(let offset): return .following(try distance(offset, unit, order, position))
        }
    }

    private mutating func distance(
        _ syntax: ExpressionSyntax, _ unit: WindowFrame.Unit, _ order: [SortKey], _ position: Int
    ) throws(SQLError) -> Int64 {
        let value: Int64
        if unit == .range {
            guard order.count == 1 else {
                throw SQLError(
                    .windowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column", at: position)
            }
            switch order[0].expression.type {
            case .timestamp, .timestamptz: value = try micros(syntax, "the offset of a frame")
            case .smallint, .integer, .bigint: value = try integer(syntax)
            case let type:
                throw .notSupported("RANGE with an offset over a column of type \(type.sqlName)", at: position)
            }
        } else {
            value = try integer(syntax)
        }
        guard value >= 0 else {
            throw SQLError(.invalidFrameOffset, "frame offset must not be negative", at: syntax.position)
        }
        return value
    }

    private mutating func integer(_ syntax: ExpressionSyntax) throws(SQLError) -> Int64 {
        guard case .bigint(let rows) = try constant(syntax, as: .bigint, "the offset of a frame") else {
            throw SQLError(.invalidFrameOffset, "frame offset must not be null", at: syntax.position)
        }
        return rows
    }

    // MARK: Functions

    @inline(never)
    private mutating func overAggregate(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> OverCall {
        let (function, argument, type) = try aggregateArgument(name, call, block)
        var over = OverCall(function: .aggregate(function), arguments: argument.map { [$0] } ?? [], type: type)
        if let condition = call.filter { over.filter = try boolean(condition, "FILTER", block).expression }
        return over
    }

    @inline(never)
    private mutating func overFunction(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> OverCall {
        switch name {
        case "lag", "lead": return try shifted(name, call, block)
        case "first_value", "last_value", "nth_value", "ntile": return try placed(name, call, block)
        default: break
        }
        guard call.arguments.isEmpty, !call.isStar else {
            throw SQLError(.undefinedFunction, "function \(name) with arguments does not exist", at: call.position)
        }
        switch name {
        case "row_number": return OverCall(function: .rowNumber, arguments: [], type: .bigint)
        case "rank": return OverCall(function: .rank, arguments: [], type: .bigint)
        case "dense_rank": return OverCall(function: .denseRank, arguments: [], type: .bigint)
        case "percent_rank": return OverCall(function: .percentRank, arguments: [], type: .double)
        default: return OverCall(function: .cumeDist, arguments: [], type: .double)
        }
    }

    /// first_value, last_value, nth_value and ntile.
    private mutating func placed(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> OverCall {
        let wanted = name == "nth_value" ? 2 : 1
        guard call.arguments.count == wanted, !call.isStar else {
            throw SQLError(
                .undefinedFunction, "function \(name) with \(call.arguments.count) arguments does not exist", at: call.position)
        }
        if name == "ntile" {
            let parts = try positive(call.arguments[0], "argument of ntile must be greater than zero", .invalidNtileArgument)
            return OverCall(function: .ntile, arguments: [], distance: parts, type: .integer)
        }
        let value = try typed(call.arguments[0], block)
        switch name {
        case "first_value": return OverCall(function: .firstValue, arguments: [value.expression], type: value.type)
        case "last_value": return OverCall(function: .lastValue, arguments: [value.expression], type: value.type)
        default:
            let place = try positive(call.arguments[1], "argument of nth_value must be greater than zero", .invalidNthValueArgument)
            return OverCall(function: .nthValue, arguments: [value.expression], distance: place, type: value.type)
        }
    }

    private mutating func positive(_ syntax: ExpressionSyntax, _ problem: String, _ state: SQLState) throws(SQLError) -> Int {
        guard case .integer(let value) = try constant(syntax, as: .integer, "the argument"), value > 0 else {
            throw SQLError(state, problem, at: syntax.position)
        }
        return Int(value)
    }

    @inline(never)
    private mutating func shifted(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> OverCall {
        guard (1...3).contains(call.arguments.count), !call.isStar else {
            throw SQLError(
                .undefinedFunction, "function \(name) with \(call.arguments.count) arguments does not exist", at: call.position,
                hint: "\(name) takes a value, and optionally a distance in rows and a default.")
        }
        var value = try typed(call.arguments[0], block)
        var distance = 1
        if call.arguments.count > 1 {
            guard case .integer(let rows) = try constant(call.arguments[1], as: .integer, "the distance of \(name)"), rows >= 0, rows <= 100_000 else {
                throw SQLError(
                    .invalidParameterValue, "the distance of \(name) must be between 0 and 100000", at: call.arguments[1].position)
            }
            distance = Int(rows)
        }
        var defaultValue = Value.null
        if call.arguments.count > 2 {
            let bound = try bind(call.arguments[2], block)
            guard let common = DataType.common([value.type, bound.type]) else {
                throw Self.noCommonType(name, [value.type, bound.type], call.arguments[2].position)
            }
            value = try coerce(value, to: common, at: call.arguments[0].position)
            guard let constant = try coerce(bound, to: common, at: call.arguments[2].position).expression.literalValue else {
                throw .notSupported("a default of \(name) that is not constant", at: call.arguments[2].position)
            }
            defaultValue = constant
        }
        return OverCall(
            function: name == "lag" ? .lag : .lead, arguments: [value.expression], distance: distance, defaultValue: defaultValue,
            type: value.type)
    }
}
