internal import MartletCore

/// Calls of aggregate functions: which function, over what, in which order.
extension Binder {
    static let aggregateNames = Set(AggregateFunction.names.keys)

    /// An aggregate of the block's grouping: a column of what GROUP BY gives.
    @inline(never)
    mutating func aggregate(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard block.clause.allowsAggregates else {
            if block.clause == .aggregate || block.clause == .filter && block.firstAggregate == nil {
                throw SQLError(.groupingError, "aggregate function calls cannot be nested", at: call.position)
            }
            throw SQLError(.groupingError, "aggregate functions are not allowed in \(block.clause.rawValue)", at: call.position)
        }
        if block.firstAggregate == nil { block.firstAggregate = call.position }
        let outer = block.clause
        block.clause = .aggregate
        defer { block.clause = outer }
        var aggregate = try aggregateCall(name, call, block)
        if let condition = call.filter {
            let bound = try boolean(condition, "FILTER", block)
            aggregate.filter = bound.expression.literalValue == .boolean(true) ? nil : bound.expression
        }
        let index: Int
        if let known = block.aggregates.prefix(64).firstIndex(of: aggregate) {
            index = known
        } else {
            index = block.aggregates.count
            block.aggregates.append(aggregate)
        }
        return Bound(.column(Block.aggregateBase + index, aggregate.type))
    }

    /// The function, its bound argument and PostgreSQL's result type, for places that know plain aggregates alone.
    @inline(never)
    mutating func aggregateArgument(
        _ name: String, _ call: CallSyntax, _ block: Block
    ) throws(SQLError) -> (AggregateFunction, Expression?, DataType) {
        let aggregate = try aggregateCall(name, call, block)
        guard aggregate.options == AggregateOptions() else {
            throw .notSupported("\(name) with several arguments, DISTINCT or an order of its own here", at: call.position)
        }
        return (aggregate.function, aggregate.argument, aggregate.type)
    }

    /// The call without its filter. Several arguments, and keys of ORDER BY, are packed into one structure.
    @inline(never)
    mutating func aggregateCall(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> AggregateCall {
        if call.isStar {
            guard name == "count" else { throw SQLError(.undefinedFunction, "function \(name)() does not exist", at: call.position) }
            return AggregateCall(function: .countAll, argument: nil, filter: nil, type: .bigint)
        }
        guard let function = AggregateFunction.names[name] else { throw noAggregate(name, [], call) }
        if function.isOrderedSet { return try orderedSet(name, function, call, block) }
        if !call.withinGroup.isEmpty {
            throw SQLError(
                .wrongObjectType, "\(name) is not an ordered-set aggregate, so it cannot have WITHIN GROUP", at: call.position)
        }
        var bound: [Bound] = []
        for argument in call.arguments { bound.append(try bind(argument, block)) }
        if name == "count", bound.isEmpty {
            throw SQLError(.wrongObjectType, "count(*) must be used to call a parameterless aggregate function", at: call.position)
        }
        if (function == .sum || function == .avg), bound.count == 1, bound[0].isUntyped {
            throw SQLError(
                .ambiguousFunction, "function \(name)(unknown) is not unique", at: call.position,
                hint: "Could not choose a best candidate function. You might need to add explicit type casts.")
        }
        guard let resolved = AggregateFunction.resolve(name, bound.map(\.type)) else { throw noAggregate(name, bound.map(\.type), call) }
        var arguments: [Expression] = []
        for (at, argument) in bound.enumerated() {
            let converted = try coerce(argument, to: resolved.arguments[at], at: call.arguments[at].position)
            arguments.append(try prepared(function, at, converted, call.arguments[at].position))
        }
        return try packed(function, resolved, arguments, call, block)
    }

    /// Documents are made before they are gathered, since making them depends on the session's zone.
    private func prepared(_ function: AggregateFunction, _ place: Int, _ argument: Bound, _ position: Int) throws(SQLError) -> Expression {
        switch function {
        case .jsonbAgg: return try document(argument, position)
        case .jsonbObjectAgg:
            if place == 1 { return try document(argument, position) }
            return try coerce(argument, to: .text, at: position, context: .explicit).expression
        default: return argument.expression
        }
    }

    private func document(_ argument: Bound, _ position: Int) throws(SQLError) -> Expression {
        if argument.type == .jsonb { return argument.expression }
        return try resolved("to_jsonb", [argument], [position], isOperator: false, at: position).expression
    }

    private mutating func packed(
        _ function: AggregateFunction, _ resolved: AggregateFunction.Resolved, _ arguments: [Expression], _ call: CallSyntax, _ block: Block
    ) throws(SQLError) -> AggregateCall {
        var options = AggregateOptions()
        options.isDistinct = call.isDistinct && !function.ignoresDistinct
        var values = arguments
        var keys: [Expression] = []
        switch function {
        case .argMin, .argMax:
            keys = [values.removeLast()]
            options.order = [AggregateOrder(isDescending: function == .argMax)]
        case .firstValue, .lastValue:
            if call.orderBy.isEmpty {
                throw SQLError(
                    .featureNotSupported, "\(function.rawValue) without ORDER BY is not supported", at: call.position,
                    hint: "Say which row comes first: \(function.rawValue)(… ORDER BY …).")
            }
        default: break
        }
        if function.hasOrder {
            for item in call.orderBy {
                let key = try typed(item.expression, block)
                if options.isDistinct, !values.contains(key.expression) {
                    throw SQLError(
                        .invalidColumnReference, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                        at: item.expression.position)
                }
                keys.append(key.expression)
                options.order.append(AggregateOrder(isDescending: item.descending, nullsFirst: item.nullsFirst ?? item.descending))
            }
        } else {
            for item in call.orderBy { _ = try typed(item.expression, block) }
        }
        // arg_min and arg_max look for their key among the parts.
        if values.count == 1, keys.isEmpty || keys == values && function != .argMin && function != .argMax {
            return AggregateCall(function: function, argument: values[0], filter: nil, type: resolved.result, options: options)
        }
        options.packed = values.count
        let fields = values + keys
        return AggregateCall(
            function: function, argument: .call(.makeRow, fields, .record(fields.map(\.type))), filter: nil, type: resolved.result,
            options: options)
    }

    // MARK: WITHIN GROUP

    /// mode, percentiles: constants in the parentheses, the values in WITHIN GROUP (ORDER BY …). approx_percentile also
    /// takes them as arguments: (value, fraction [, error]).
    private mutating func orderedSet(
        _ name: String, _ function: AggregateFunction, _ call: CallSyntax, _ block: Block
    ) throws(SQLError) -> AggregateCall {
        if call.isDistinct { throw SQLError(.featureNotSupported, "cannot use DISTINCT with WITHIN GROUP", at: call.position) }
        if !call.orderBy.isEmpty { throw SQLError(.syntaxError, "cannot use multiple ORDER BY clauses with WITHIN GROUP", at: call.position) }
        var direct = call.arguments
        var order = call.withinGroup
        if order.isEmpty {
            guard function == .approxPercentile, direct.count >= 2 else {
                throw SQLError(.wrongObjectType, "WITHIN GROUP is required for ordered-set aggregate \(name)", at: call.position)
            }
            order = [OrderSyntax(expression: direct.removeFirst(), descending: false, nullsFirst: nil)]
        }
        let wanted = function == .mode ? 0...0 : function == .approxPercentile ? 1...2 : 1...1
        guard wanted.contains(direct.count), order.count == 1 else {
            throw noAggregate(name, Array(repeating: .unknown, count: direct.count + order.count), call)
        }
        var options = AggregateOptions()
        var isList = false
        for (at, argument) in direct.enumerated() {
            let bound = try bind(argument, block)
            isList = at == 0 && bound.type.element != nil && function != .approxPercentile
            let converted = try coerce(bound, to: isList ? .array(.double) : .double, at: argument.position, context: .implicit)
            guard let value = converted.expression.literalValue else {
                throw .notSupported("a fraction of \(name) that is not a constant", at: argument.position)
            }
            options.constants.append(value)
        }
        let item = order[0]
        let value = try bind(item.expression, block)
        guard let resolved = AggregateFunction.resolve(name, [value.type]) else { throw noAggregate(name, [value.type], call) }
        if isList, resolved.result.element != nil {
            throw SQLError(.undefinedObject, "could not find array type for data type \(resolved.result.sqlName)", at: call.position)
        }
        let converted = try coerce(value, to: resolved.arguments[0], at: item.expression.position)
        options.order = [AggregateOrder(isDescending: item.descending)]
        let result: DataType = isList ? .array(resolved.result) : resolved.result
        return AggregateCall(function: function, argument: converted.expression, filter: nil, type: result, options: options)
    }

    private func noAggregate(_ name: String, _ types: [DataType], _ call: CallSyntax) -> SQLError {
        SQLError(
            .undefinedFunction, "function \(name)(\(types.map(\.withoutModifiers.sqlName).joined(separator: ", "))) does not exist",
            at: call.position,
            hint: "No function matches the given name and argument types. You might need to add explicit type casts.")
    }
}

extension AggregateFunction {
    /// ORDER BY inside of the call changes the result.
    fileprivate var hasOrder: Bool {
        switch self {
        case .stringAgg, .arrayAgg, .jsonbAgg, .jsonbObjectAgg, .firstValue, .lastValue: true
        default: false
        }
    }
}
