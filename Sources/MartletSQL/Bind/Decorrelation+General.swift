internal import MartletCore

/// The general way to make a correlated plan into one that stands alone: it is run beside its *domain*, the different values of the
/// outer columns that it reads. Each of its rows then carries the values it belongs to, by which it is joined to the outer rows.
/// (Neumann and Kemper, "Unnesting Arbitrary Queries", 2015.)
struct Spreading {
    /// Stands for the domain until the outer plan is known (`Subquery.ground`).
    static let placeholder = "correlated values"

    /// Outer ordinals, without `Block.outerBase`, ascending.
    let ordinals: [Int]
    let fields: [Field]
    let position: Int

    /// nil: the plan reads no outer column.
    init?(_ plan: Plan, at position: Int) {
        var types: [Int: DataType] = [:]
        _ = plan.mapExpressions { expression in
            _ = expression.rewritingColumns { ordinal, type in
                if Block.isNear(ordinal) { types[ordinal - Block.outerBase] = type }
                return .column(ordinal, type)
            }
            return expression
        }
        guard !types.isEmpty else { return nil }
        ordinals = types.keys.sorted()
        fields = ordinals.map { Field(name: "outer", type: types[$0] ?? .text) }
        self.position = position
    }

    static func subquery(_ plan: Plan, at position: Int) throws(SQLError) -> Subquery? {
        guard let spreading = Spreading(plan, at: position) else { return nil }
        let spread = try spreading.spread(plan)
        let width = plan.fields.count
        let correlations = zip(spreading.ordinals, spreading.fields).enumerated().map { at, pair in
            same(.column(Block.outerBase + pair.0, pair.1.type), .column(width + at, pair.1.type))
        }
        var subquery = Subquery(
            plan: spread, fields: plan.fields, outputs: plan.fields.enumerated().map { .column($0.offset, $0.element.type) },
            correlations: correlations)
        subquery.domain = spreading.ordinals.enumerated().map { ($0.element, spreading.fields[$0.offset].type) }
        return subquery
    }

    /// IS NOT DISTINCT FROM as equalities, which joins can look up by.
    static func same(_ left: Expression, _ right: Expression) -> Expression {
        let type = left.type
        func equal(_ left: Expression, _ right: Expression) -> Expression { .call(.equal, [left, right], .boolean) }
        guard let zero = Value.zero(type) else { return equal(left, right) }
        func filled(_ operand: Expression) -> Expression { .coalesce([operand, .literal(zero, type)], type) }
        return .and([equal(.isNull(left), .isNull(right)), equal(filled(left), filled(right))])
    }

    private var domain: Plan { .relation(name: Self.placeholder, fields: fields) }
    private var count: Int { fields.count }

    private func reads(_ plan: Plan) -> Bool { Spreading(plan, at: position) != nil }

    /// Outer columns as those of the domain, which begin at `start`.
    private func moved(_ expression: Expression, _ start: Int) -> Expression {
        expression.rewritingColumns { ordinal, type in
            guard Block.isNear(ordinal), let place = ordinals.firstIndex(of: ordinal - Block.outerBase) else { return .column(ordinal, type) }
            return .column(start + place, type)
        }
    }

    private func domainColumns(at start: Int) -> [Expression] { fields.indices.map { .column(start + $0, fields[$0].type) } }

    /// `plan`'s columns at `own`, then the domain's at `start`.
    private func arranged(_ plan: Plan, own: [Int], domain start: Int, _ names: [Field]) -> Plan {
        let given = plan.fields
        return .project(plan, own.map { .column($0, given[$0].type) } + domainColumns(at: start), names + fields)
    }

    /// The plan beside the domain: its own columns, then the domain's.
    private func spread(_ plan: Plan) throws(SQLError) -> Plan {
        let width = plan.fields.count
        guard reads(plan) else {
            return .join(plan, domain, .inner, condition: .literal(.boolean(true), .boolean), fields: plan.fields + fields)
        }
        switch plan {
        case .filter(let input, let condition): return .filter(try spread(input), moved(condition, width))
        case .project(let input, let expressions, let names):
            let start = input.fields.count
            return .project(try spread(input), expressions.map { moved($0, start) } + domainColumns(at: start), names + fields)
        case .aggregate(let input, let keys, let calls, _, let names): return try spreadAggregate(input, keys, calls, names)
        case .over(let input, let partition, let order, let calls, let limit, let names):
            let start = input.fields.count
            let below = try spread(input)
            let over = Plan.over(
                below, partition: partition.map { moved($0, start) } + domainColumns(at: start),
                order: order.map { key in key.mapped { moved($0, start) } }, calls: calls.map { call in call.mapped { moved($0, start) } },
                limit: limit, fields: below.fields + names.suffix(calls.count))
            let own = Array(0..<start) + calls.indices.map { start + count + $0 }
            return arranged(over, own: own, domain: start, names)
        case .join(let left, let right, let type, let condition, let names):
            return try spreadJoin(left, right, type, condition, names)
        case .unionAll(let arms, let names):
            var spreads: [Plan] = []
            for arm in arms { spreads.append(try spread(arm)) }
            return .unionAll(spreads, fields: names + fields)
        case .values(let rows, let names):
            let arms = rows.map { row in Plan.project(domain, row.map { moved($0, 0) } + domainColumns(at: 0), names + fields) }
            return arms.count == 1 ? arms[0] : .unionAll(arms, fields: names + fields)
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let names):
            let start = input.fields.count
            let below = try spread(input)
            let added = names.count - start
            let unnested = Plan.unnested(
                below, lists: lists.map { moved($0, start) }, isOuter: isOuter, hasOrdinality: hasOrdinality,
                fields: below.fields + names.suffix(added))
            return arranged(unnested, own: Array(0..<start) + (0..<added).map { start + count + $0 }, domain: start, names)
        case .temporal(let input, let from, let until):
            return .temporal(try spread(input), from: from.map { moved($0, width) }, until: until.map { moved($0, width) })
        case .repeated(let input, let times): return .repeated(try spread(input), times: moved(times, width))
        case .source, .relation, .view, .recursive, .window, .session, .lookup, .changelog, .stamped, .emitOnWindowClose:
            throw .notSupported(
                "a correlated subquery with outer columns below a window or the like", at: position,
                hint: "Compare columns of both queries in the subquery's WHERE, or write it as a join.")
        }
    }

    private func spreadAggregate(
        _ input: Plan, _ keys: [Expression], _ calls: [AggregateCall], _ names: [Field]
    ) throws(SQLError) -> Plan {
        let start = input.fields.count
        let moved = keys.map { self.moved($0, start) }
        let own = Array(names.prefix(keys.count))
        let aggregate = Plan.aggregate(
            try spread(input), keys: moved + domainColumns(at: start), calls: calls.map { call in call.mapped { self.moved($0, start) } },
            window: nil, fields: own + fields + names.suffix(calls.count))
        let results = calls.indices.map { keys.count + count + $0 }
        if !keys.isEmpty {
            return arranged(aggregate, own: Array(0..<keys.count) + results, domain: keys.count, names)
        }
        // Without keys there is a row even where nothing came.
        let same = Simplifier.and(
            fields.indices.map { Self.same(.column($0, fields[$0].type), .column(count + $0, fields[$0].type)) })
        let join = Plan.join(domain, aggregate, .left, condition: same, fields: fields + aggregate.fields)
        let columns = calls.enumerated().map { at, call -> Expression in
            let result = Expression.column(2 * count + at, call.type)
            return call.function.countsNothing ? .coalesce([result, .literal(.bigint(0), .bigint)], .bigint) : result
        }
        return .project(join, columns + domainColumns(at: 0), names + fields)
    }

    private func spreadJoin(
        _ left: Plan, _ right: Plan, _ type: JoinType, _ condition: Expression, _ names: [Field]
    ) throws(SQLError) -> Plan {
        let (width, rightWidth) = (left.fields.count, right.fields.count)
        let isLeftOnly = type == .semi || type == .anti
        let readsRight = reads(right)
        let newLeft = try spread(left)
        if !readsRight, type == .inner || type == .left || isLeftOnly {
            // left, domain, right.
            let shifted = moved(condition.renumbered { $0 >= width && !Block.isOuter($0) ? $0 + count : $0 }, width)
            let all = newLeft.fields + (isLeftOnly ? [] : right.fields)
            let join = Plan.join(newLeft, right, type, condition: shifted, fields: all)
            let own = Array(0..<width) + (isLeftOnly ? [] : (0..<rightWidth).map { width + count + $0 })
            return arranged(join, own: own, domain: width, names)
        }
        let newRight = try spread(right)
        let shifted = moved(condition.renumbered { $0 >= width && !Block.isOuter($0) ? $0 + count : $0 }, width)
        let second = width + count + rightWidth
        let meets = fields.indices.map { Self.same(.column(width + $0, fields[$0].type), .column(second + $0, fields[$0].type)) }
        let all = newLeft.fields + (isLeftOnly ? [] : newRight.fields)
        let join = Plan.join(newLeft, newRight, type, condition: Simplifier.and([shifted] + meets), fields: all)
        let own = Array(0..<width) + (isLeftOnly ? [] : (0..<rightWidth).map { width + count + $0 })
        guard type == .right || type == .full else { return arranged(join, own: own, domain: width, names) }
        // The domain of a row that is there on one side only.
        let domains = fields.indices.map { at in
            Expression.coalesce([.column(width + at, fields[at].type), .column(second + at, fields[at].type)], fields[at].type)
        }
        return .project(join, own.map { .column($0, all[$0].type) } + domains, names + fields)
    }
}

extension Subquery {
    /// Puts the outer plan's different values in the place of the domain. `column` gives an outer column over `plan`.
    mutating func ground(on plan: Plan, _ column: (Int, DataType) throws(SQLError) -> Expression) throws(SQLError) {
        guard !domain.isEmpty else { return }
        var values: [Expression] = []
        for (ordinal, type) in domain { values.append(try column(ordinal, type)) }
        let fields = domain.map { Field(name: "outer", type: $0.type) }
        let distinct = Plan.aggregate(
            .project(plan, values, fields), keys: fields.enumerated().map { .column($0.offset, $0.element.type) }, calls: [], window: nil,
            fields: fields)
        self.plan = self.plan.replacingRelation(Spreading.placeholder, with: distinct)
        domain = []
    }

    /// Over a plan that begins with the outer block's columns.
    mutating func ground(on plan: Plan) {
        // A column is always there.
        try? ground(on: plan) { (ordinal, type) throws(SQLError) in .column(ordinal, type) }
    }
}

extension Plan {
    fileprivate func replacingRelation(_ name: String, with plan: Plan) -> Plan {
        if case .relation(name, _) = self { return plan }
        return mapInputs { $0.replacingRelation(name, with: plan) }
    }
}

extension Value {
    /// Some value of the type, to stand for NULL beside a mark that it does; nil: none is made for it.
    fileprivate static func zero(_ type: DataType) -> Value? {
        switch type {
        case .boolean: .boolean(false)
        case .smallint: .smallint(0)
        case .integer: .integer(0)
        case .bigint: .bigint(0)
        case .real: .real(0)
        case .double: .double(0)
        case .numeric: .numeric(Decimal(0))
        case .text: .text("")
        case .bytea: .bytea([])
        case .date: .date(0)
        case .time: .time(0)
        case .timestamp: .timestamp(0)
        case .timestamptz: .timestamptz(0)
        case .interval: .interval(Interval())
        case .jsonb: .jsonb("null")
        case .array(let element): .array(ArrayValue(element, []))
        case .uuid, .structure, .unknown: nil
        }
    }
}
