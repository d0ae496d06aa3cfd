internal import MartletCore

/// GAP_FILL(relation, time, step, LOCF(column) …, INTERPOLATE(column) … [PARTITION BY keys]): a row for each step between two rows of
/// a partition. It is made of what there is: each row learns of the next one (`lead`) and is repeated up to it (`generate_series`).
extension Binder {
    private enum Filling { case carried, interpolated }

    mutating func gapFill(_ call: FromSyntax.Function) throws(SQLError) -> (Plan, Scope) {
        let usage = SQLError.syntaxError(
            "GAP_FILL takes a relation, a time column, a step and LOCF(column) or INTERPOLATE(column)", at: call.name.position,
            hint: "For example GAP_FILL(readings PARTITION BY device, ts, INTERVAL '1 minute', LOCF(state), INTERPOLATE(value)).")
        let given = PartitionedCall(call.arguments)
        let arguments = given.arguments
        guard arguments.count >= 3 else { throw usage }
        let (input, own) = try windowInput(arguments[0], usage: usage)
        let scope = call.alias.map { Scope(relation: $0.name.text, fields: input.fields) } ?? own
        let time = try timeColumn(arguments[1], scope)
        let step = try length(arguments[2], "the step")
        var partition: [Int] = []
        for key in given.keys {
            guard case .name(let parts) = key.kind else {
                throw SQLError(.invalidParameterValue, "PARTITION BY of GAP_FILL takes columns", at: key.position, hint: "Compute it in a subquery.")
            }
            partition.append(try scope.resolve(parts))
        }
        var fillings: [Int: Filling] = [:]
        for argument in arguments.dropFirst(3) {
            guard case .call(let fill) = argument.kind, fill.arguments.count == 1, case .name(let parts) = fill.arguments[0].kind,
                fill.name.last.text == "locf" || fill.name.last.text == "interpolate"
            else { throw usage }
            let column = try scope.resolve(parts)
            let isInterpolated = fill.name.last.text == "interpolate"
            if isInterpolated, !scope.columns[column].type.isNumeric {
                throw SQLError(
                    .datatypeMismatch, "INTERPOLATE takes numbers, but \"\(scope.columns[column].name)\" is of type \(scope.columns[column].type.sqlName)",
                    at: argument.position)
            }
            fillings[column] = isInterpolated ? .interpolated : .carried
        }
        let plan = try counted(Self.filled(input, time: time, step: step, partition, fillings), 3, at: call.name.position)
        return try aliased(plan, call.alias, default: scope.relations.first ?? "")
    }

    private static func filled(
        _ input: Plan, time: Int, step: Int64, _ partition: [Int], _ fillings: [Int: Filling]
    ) -> Plan {
        let fields = input.fields
        let width = fields.count
        func column(_ ordinal: Int) -> Expression { .column(ordinal, fields[ordinal].type) }
        // Each row with the time, and the values to reach, of the next one.
        let reached = [time] + fillings.filter { $0.value == .interpolated }.keys.sorted()
        let leads = reached.map { OverCall(function: .lead, arguments: [column($0)], distance: 1, type: fields[$0].type) }
        let over = Plan.over(
            input, partition: partition.map(column), order: [SortKey(expression: column(time), descending: false, nullsFirst: false)], calls: leads,
            limit: nil, fields: fields + reached.map { Field(name: "next", type: fields[$0].type) })
        let type = fields[time].type
        let next = Expression.column(width, type)
        let last = Expression.conditional(
            branches: [ConditionalBranch(condition: .isNull(next), result: column(time))],
            otherwise: .call(.subtract, [next, .literal(.interval(Interval(micros: 1)), .interval)], type), type)
        let series = Expression.call(
            .generateSeries, [column(time), last, .literal(.interval(Interval(micros: step)), .interval)], .array(type))
        let added = [Field(name: "at", type: type), Field(name: "number", type: .bigint)]
        let unnested = Plan.unnested(over, lists: [series], isOuter: true, hasOrdinality: true, fields: over.fields + added)
        let number = Expression.column(over.fields.count + 1, .bigint)
        let one = Expression.literal(.bigint(1), .bigint)
        // The row itself; a row without a time has no series.
        let isOwn = Expression.or([.isNull(number), .call(.equal, [number, one], .boolean)])
        func double(_ expression: Expression) -> Expression { .cast(expression, .double, explicit: true) }
        let columns = fields.indices.map { ordinal -> Expression in
            let own = column(ordinal)
            let ownType = fields[ordinal].type
            if ordinal == time { return .coalesce([.column(over.fields.count, type), own], type) }
            if partition.contains(ordinal) || fillings[ordinal] == .carried { return own }
            var value = Expression.literal(.null, ownType)
            if let place = reached.firstIndex(of: ordinal), fillings[ordinal] == .interpolated {
                let goal = Expression.column(width + place, ownType)
                let share = Expression.call(
                    .divide, [double(.call(.subtract, [number, one], .bigint)), double(.call(.cardinality, [series], .integer))], .double)
                let way = Expression.call(.subtract, [double(goal), double(own)], .double)
                value = .cast(.call(.add, [double(own), .call(.multiply, [way, share], .double)], .double), ownType, explicit: true)
            }
            return .conditional(branches: [ConditionalBranch(condition: isOwn, result: own)], otherwise: value, ownType)
        }
        return .project(unnested, columns, fields)
    }
}
