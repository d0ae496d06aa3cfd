internal import MartletCore

/// Subqueries in expressions and conditions: all of them become joins.
extension Binder {
    /// Binds a query that may read the columns of `outer`.
    mutating func subquery(_ query: QuerySyntax, _ outer: Block) throws(SQLError) -> Subquery {
        let outerGuard = guardDepth
        guardDepth = 0
        outerBlocks.append(outer)
        defer {
            guardDepth = outerGuard
            outerBlocks.removeLast()
        }
        let plan = try self.query(query)
        var subquery = try Decorrelation.subquery(plan, at: query.position)
        if subquery.isCorrelated { subquery.nothing = plan.valuesOfNothing(context) }
        subquery.addMarker()
        return subquery
    }

    // MARK: WHERE

    /// The plan under a WHERE clause. EXISTS and IN among its conjuncts filter by semi-joins and anti-joins; the clock
    /// makes rows come and go.
    mutating func filtered(_ plan: Plan, by condition: ExpressionSyntax, _ block: Block) throws(SQLError) -> Plan {
        var plan = plan
        block.clause = .condition
        let outerUses = block.uses
        let conjuncts = Self.conjuncts(condition)
        var plain: [ExpressionSyntax] = []
        var tests: [ExpressionSyntax] = []
        for conjunct in conjuncts {
            switch Self.withoutDoubleNot(conjunct).kind {
            case .exists, .inSubquery: tests.append(conjunct)
            case .not(let inner):
                if case .exists = inner.kind { tests.append(conjunct) } else { plain.append(conjunct) }
            default: plain.append(conjunct)
            }
        }
        if !plain.isEmpty {
            let syntax = plain.count == conjuncts.count
                ? condition : ExpressionSyntax(kind: .and(plain), position: plain[0].position, depth: condition.depth)
            var bound = try boolean(syntax, "WHERE", block).expression
            plan = try attached(plan, block, at: condition.position)
            bound = block.resolved(bound)
            plan = try temporal(plan, bound, at: condition.position)
        }
        for test in tests {
            plan = try tested(plan, Self.withoutDoubleNot(test), block)
        }
        block.uses = outerUses
        return plan
    }

    private static func conjuncts(_ condition: ExpressionSyntax) -> [ExpressionSyntax] {
        if case .and(let operands) = condition.kind { return operands.flatMap(conjuncts) }
        return [condition]
    }

    private static func withoutDoubleNot(_ condition: ExpressionSyntax) -> ExpressionSyntax {
        if case .not(let inner) = condition.kind, case .not(let operand) = inner.kind { return withoutDoubleNot(operand) }
        if case .not(let inner) = condition.kind, case .inSubquery(let operand, let query, let negated) = inner.kind {
            return ExpressionSyntax(kind: .inSubquery(operand, query, negated: !negated), position: inner.position, depth: inner.depth)
        }
        return condition
    }

    /// `plan`'s rows that pass an EXISTS or IN.
    private mutating func tested(_ plan: Plan, _ test: ExpressionSyntax, _ block: Block) throws(SQLError) -> Plan {
        switch test.kind {
        case .exists(let query): return try joined(plan, try subquery(query, block), .semi, at: test.position)
        case .not(let inner):
            guard case .exists(let query) = inner.kind else { return plan }
            return try joined(plan, try subquery(query, block), .anti, at: test.position)
        case .inSubquery(let operand, let query, let negated):
            return try inSubquery(plan, operand, query, negated, block, at: test.position)
        default: return plan
        }
    }

    private mutating func joined(_ plan: Plan, _ subquery: Subquery, _ type: JoinType, at position: Int, extra: [Expression] = []) throws(SQLError) -> Plan {
        var subquery = subquery
        subquery.ground(on: plan)
        let condition = Simplifier.and(subquery.conditions(plan.fields.count) + extra)
        return try counted(.join(plan, subquery.plan, type, condition: condition, fields: plan.fields), at: position)
    }

    private mutating func inSubquery(
        _ plan: Plan, _ operand: ExpressionSyntax, _ query: QuerySyntax, _ negated: Bool, _ block: Block, at position: Int
    ) throws(SQLError) -> Plan {
        if case .row(let items) = operand.kind { return try inRows(plan, items, query, negated, block, at: position) }
        var value = try bind(operand, block)
        let plan = try attached(plan, block, at: position)
        value.expression = block.resolved(value.expression)
        var subquery = try self.subquery(query, block)
        subquery.ground(on: plan)
        guard subquery.fields.count == 1 else {
            throw SQLError(
                .syntaxError, "subquery has too \(subquery.fields.isEmpty ? "few" : "many") columns", at: position)
        }
        let width = plan.fields.count
        let result = subquery.results(width, isOptional: false)[0]
        let equal = try resolved("=", [value, Bound(result)], [operand.position, query.position], isOperator: true, at: position).expression
        guard negated else { return try joined(plan, subquery, .semi, at: position, extra: [equal]) }
        // NOT IN: a row passes where no value is equal, none is NULL, and (unless there are no values) its own is not NULL.
        var result1 = try joined(plan, subquery, .anti, at: position, extra: [equal])
        if !(value.expression.literalValue.map { !$0.isNull } ?? false) {
            var any = subquery
            if !subquery.isCorrelated { any.plan = Self.presence(of: subquery.plan) }
            result1 = try joined(result1, any, .anti, at: position, extra: [Simplifier.isNull(value.expression)])
        }
        var nulls = subquery
        guard let output = subquery.outputs.first else { return result1 }
        if subquery.isCorrelated {
            return try joined(result1, nulls, .anti, at: position, extra: [Simplifier.isNull(result)])
        }
        nulls.plan = Self.presence(of: .filter(subquery.plan, Simplifier.isNull(output)))
        return try joined(result1, nulls, .anti, at: position)
    }

    /// `(a, b) IN (SELECT x, y …)`.
    private mutating func inRows(
        _ plan: Plan, _ items: [ExpressionSyntax], _ query: QuerySyntax, _ negated: Bool, _ block: Block, at position: Int
    ) throws(SQLError) -> Plan {
        var values: [Bound] = []
        for item in items { values.append(try bind(item, block)) }
        let plan = try attached(plan, block, at: position)
        for at in values.indices { values[at].expression = block.resolved(values[at].expression) }
        var subquery = try self.subquery(query, block)
        subquery.ground(on: plan)
        guard subquery.fields.count == items.count else {
            throw SQLError(.syntaxError, "subquery has too \(subquery.fields.count < items.count ? "few" : "many") columns", at: position)
        }
        let results = subquery.results(plan.fields.count, isOptional: false)
        var equalities: [Expression] = []
        for (at, value) in values.enumerated() {
            let equal = try resolved("=", [value, Bound(results[at])], [items[at].position, query.position], isOperator: true, at: position).expression
            // NOT IN: a row passes where no row of the query might be equal, whatever its NULLs stand for.
            equalities.append(negated ? Self.possibly(equal, value.expression, results[at]) : equal)
        }
        return try joined(plan, subquery, negated ? .anti : .semi, at: position, extra: equalities)
    }

    /// `equal` is not false: true, or unknown since one of the operands is NULL.
    private static func possibly(_ equal: Expression, _ left: Expression, _ right: Expression) -> Expression {
        Simplifier.or([equal, Simplifier.isNull(left), Simplifier.isNull(right)])
    }

    /// One row where `plan` has any.
    private static func presence(of plan: Plan) -> Plan {
        .aggregate(
            .project(plan, [.literal(.boolean(true), .boolean)], [Field(name: "present", type: .boolean)]),
            keys: [.column(0, .boolean)], calls: [], window: nil, fields: [Field(name: "present", type: .boolean)])
    }

    // MARK: In expressions

    /// A scalar subquery, ARRAY(…), EXISTS or IN, as a column that `attached` will put beside the input's.
    @inline(never)
    mutating func pending(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .subquery(let query): return try scalarSubquery(query, block)
        case .arraySubquery(let query): return try arraySubquery(query, block)
        case .exists(let query): return try existence(try plan(of: query, in: block), block, at: query.position)
        case .inSubquery(let operand, let query, let negated):
            let isIn = try membership(operand, query, block, at: syntax.position)
            return negated ? Bound(Simplifier.not(isIn.expression), size: isIn.size + 1) : isIn
        default: throw .notSupported("this subquery", at: syntax.position)
        }
    }

    /// A query that may read the block's columns.
    private mutating func plan(of query: QuerySyntax, in block: Block) throws(SQLError) -> Plan {
        try within(block) { (binder) throws(SQLError) in try binder.query(query) }
    }

    private mutating func within<T>(_ block: Block, _ bind: (inout Binder) throws(SQLError) -> T) throws(SQLError) -> T {
        let outerGuard = guardDepth
        let wanted = wantedTypes
        guardDepth = 0
        wantedTypes = nil
        outerBlocks.append(block)
        defer {
            guardDepth = outerGuard
            wantedTypes = wanted
            outerBlocks.removeLast()
        }
        return try bind(&self)
    }

    mutating func scalarSubquery(_ query: QuerySyntax, _ block: Block) throws(SQLError) -> Bound {
        var plan = try plan(of: query, in: block)
        guard plan.fields.count == 1 else {
            throw SQLError(.syntaxError, "subquery must return only one column", at: query.position)
        }
        if !plan.isSingleRow, !Self.isOneByKey(plan, in: catalog) {
            guard !isContinuous else {
                throw .notSupported(
                    "a subquery that may return more than one row", at: query.position,
                    hint: "Make it one row with an aggregate such as max, or use EXISTS, IN or a join.")
            }
            plan = Self.singleRow(of: plan)
        }
        return try scalar(plan.withoutHaving, block, at: query.position)
    }

    /// A row is asked for by all columns of a key: there is never more than one.
    private static func isOneByKey(_ plan: Plan, in catalog: any CatalogReader) -> Bool {
        switch plan {
        case .project(let input, _, _): return isOneByKey(input, in: catalog)
        case .filter(let input, let condition):
            let fixed = Optimiser.conjuncts(condition).compactMap { conjunct -> Int? in
                guard case .call(.equal, let operands, _) = conjunct else { return nil }
                for (side, other) in [(0, 1), (1, 0)] {
                    guard let ordinal = operands[side].columnOrdinal, !Block.isOuter(ordinal) else { continue }
                    if operands[other].columns.allSatisfy({ Block.isOuter($0) }) { return ordinal }
                }
                return nil
            }
            return input.keys(in: catalog).contains { Set($0).isSubset(of: fixed) } || isOneByKey(input, in: catalog)
        default: return false
        }
    }

    private mutating func scalar(_ plan: Plan, _ block: Block, at position: Int) throws(SQLError) -> Bound {
        var subquery = try Decorrelation.subquery(plan, at: position)
        if subquery.isCorrelated { subquery.nothing = plan.valuesOfNothing(context) }
        subquery.addMarker()
        let type = plan.fields[0].type
        return block.add(PendingSubquery(subquery: subquery, kind: .scalar, clause: block.clause, position: position), type)
    }

    /// The one row of a plan, NULL where it has none, 21000 where it has several.
    private static func singleRow(of plan: Plan) -> Plan {
        let field = plan.fields[0]
        let value = Expression.column(0, field.type)
        let calls = [
            AggregateCall(function: .firstValue, argument: value, filter: nil, type: field.type.withoutModifiers),
            AggregateCall(function: .countAll, argument: nil, filter: nil, type: .bigint),
        ]
        let aggregate = Plan.aggregate(
            plan, keys: [], calls: calls, window: nil,
            fields: [Field(name: field.name, type: field.type.withoutModifiers), Field(name: "count", type: .bigint)])
        let isOne = Expression.call(.oneRow, [.column(1, .bigint)], .boolean)
        let one = ConditionalBranch(condition: isOne, result: .column(0, field.type.withoutModifiers))
        let type = field.type.withoutModifiers
        return .project(
            aggregate, [.conditional(branches: [one], otherwise: .literal(.null, type), type)], [Field(name: field.name, type: type)])
    }

    /// ARRAY(SELECT …): the rows' values, in the query's order.
    private mutating func arraySubquery(_ query: QuerySyntax, _ block: Block) throws(SQLError) -> Bound {
        let ordered = try within(block) { (binder) throws(SQLError) in
            try binder.inCommonTables(query) { (binder) throws(SQLError) in
                var ordered = try binder.ordered(query)
                ordered.plan = try binder.settled(ordered.plan, at: query.position)
                if query.limit != nil || query.offset != nil {
                    let plan = try binder.limited(ordered, query)
                    ordered = Ordered(plan: plan, keys: [], width: plan.fields.count)
                }
                return ordered
            }
        }
        guard ordered.width == 1 else { throw SQLError(.syntaxError, "subquery must return only one column", at: query.position) }
        let element = ordered.plan.fields[0].type.withoutModifiers
        guard element.element == nil else { throw .notSupported("an array of a query's arrays", at: query.position) }
        let type = DataType.array(element)
        var call = AggregateCall(function: .arrayAgg, argument: .column(0, element), filter: nil, type: type)
        if !ordered.keys.isEmpty {
            let parts = [.column(0, element)] + ordered.keys.map(\.expression)
            call.argument = .call(.makeRow, parts, .record(parts.map(\.type)))
            call.options.packed = 1
            call.options.order = ordered.keys.map { AggregateOrder(isDescending: $0.descending, nullsFirst: $0.nullsFirst) }
        }
        let aggregate = Plan.aggregate(ordered.plan, keys: [], calls: [call], window: nil, fields: [Field(name: "array", type: type)])
        let filled = Expression.coalesce([.column(0, type), .literal(.array(ArrayValue(element, [])), type)], type)
        return try scalar(.project(aggregate, [filled], [Field(name: "array", type: type)]), block, at: query.position)
    }

    private mutating func existence(_ plan: Plan, _ block: Block, at position: Int) throws(SQLError) -> Bound {
        var subquery: Subquery
        do throws(SQLError) {
            var pulled = try Decorrelation.subquery(plan, at: position)
            guard pulled.domain.isEmpty else { throw SQLError(.featureNotSupported, "") }
            pulled.addMarker()
            subquery = try marked(pulled, at: position)
        } catch {
            guard error.state == .featureNotSupported, var spread = try Spreading.subquery(plan, at: position) else { throw error }
            // One row for each of the outer values that has any.
            let width = plan.fields.count
            let fields = spread.plan.fields.dropFirst(width)
            let keys = fields.enumerated().map { Expression.column(width + $0.offset, $0.element.type) }
            spread.plan = .aggregate(spread.plan, keys: keys, calls: [], window: nil, fields: Array(fields))
            spread.correlations = spread.correlations.map { $0.renumbered { Block.isOuter($0) ? $0 : $0 - width } }
            spread.outputs = []
            spread.fields = []
            spread.bringNearer()
            spread.addMarker()
            subquery = spread
        }
        return block.add(PendingSubquery(subquery: subquery, kind: .exists, clause: block.clause, position: position), .boolean)
    }

    /// `operand IN (query)` with NULL as unknown: true where a value is equal; else NULL where one might be; else false.
    private mutating func membership(
        _ operand: ExpressionSyntax, _ query: QuerySyntax, _ block: Block, at position: Int
    ) throws(SQLError) -> Bound {
        let rows = try plan(of: query, in: block)
        if case .row(let items) = operand.kind { return try membership(ofRow: items, rows, query, block, at: position) }
        let value = try bind(operand, block)
        guard rows.fields.count == 1 else {
            throw SQLError(.syntaxError, "subquery has too \(rows.fields.isEmpty ? "few" : "many") columns", at: position)
        }
        try checkIsPlain(value, at: position)
        let inner = Bound(.column(0, rows.fields[0].type))
        let places = [operand.position, query.position]
        let equal = try resolved("=", [value, inner], places, isOperator: true, at: position).expression
        // The operand's columns are the outer ones there.
        let asOuter = value.isUntyped ? equal : try self.equal(value, inner, places, at: position)
        let isEqual = try existence(.filter(rows, asOuter), block, at: query.position)
        let hasNull = try existence(.filter(rows, .isNull(.column(0, rows.fields[0].type))), block, at: query.position)
        let hasAny = try existence(rows, block, at: query.position)
        let mayBe = Simplifier.or([hasNull.expression, Simplifier.and([Simplifier.isNull(value.expression), hasAny.expression])])
        let unknown = ConditionalBranch(condition: mayBe, result: .literal(.null, .boolean))
        let isTrue = ConditionalBranch(condition: isEqual.expression, result: .literal(.boolean(true), .boolean))
        return Bound(
            .conditional(branches: [isTrue, unknown], otherwise: .literal(.boolean(false), .boolean), .boolean), size: value.size * 2 + 8)
    }

    /// The operand of an IN inside an expression becomes an outer column of its query, so it must be one.
    private func checkIsPlain(_ value: Bound, at position: Int) throws(SQLError) {
        if value.expression.columns.contains(where: { $0 >= Block.aggregateBase && !Block.isOuter($0) }) {
            throw .notSupported(
                "IN (SELECT …) about an aggregate, a window function, a subquery or a set-returning function", at: position,
                hint: "Compute it in a subquery in FROM.")
        }
    }

    /// `(a, b) IN (query)`, column by column.
    private mutating func membership(
        ofRow items: [ExpressionSyntax], _ rows: Plan, _ query: QuerySyntax, _ block: Block, at position: Int
    ) throws(SQLError) -> Bound {
        guard rows.fields.count == items.count else {
            throw SQLError(.syntaxError, "subquery has too \(rows.fields.count < items.count ? "few" : "many") columns", at: position)
        }
        var equals: [Expression] = []
        var possible: [Expression] = []
        var size = 8
        for (at, item) in items.enumerated() {
            let given = try bind(item, block)
            let value = given.isUntyped ? try coerce(given, to: .text, at: item.position) : given
            try checkIsPlain(value, at: position)
            let inner = Bound(.column(at, rows.fields[at].type))
            let places = [item.position, query.position]
            let equal = given.isUntyped
                ? try resolved("=", [given, inner], places, isOperator: true, at: position).expression : try self.equal(value, inner, places, at: position)
            equals.append(equal)
            possible.append(Self.possibly(equal, outer(value).expression, inner.expression))
            size += value.size * 2
        }
        let isEqual = try existence(.filter(rows, Simplifier.and(equals)), block, at: query.position)
        let mayBe = try existence(.filter(rows, Simplifier.and(possible)), block, at: query.position)
        let isTrue = ConditionalBranch(condition: isEqual.expression, result: .literal(.boolean(true), .boolean))
        let unknown = ConditionalBranch(condition: mayBe.expression, result: .literal(.null, .boolean))
        return Bound(.conditional(branches: [isTrue, unknown], otherwise: .literal(.boolean(false), .boolean), .boolean), size: size)
    }

    /// `value` as a query within the block sees it.
    private func outer(_ value: Bound) -> Bound {
        var outer = value
        outer.expression = value.expression.renumbered { Block.isOuter($0) ? $0 + Block.levelStride : $0 + Block.outerBase }
        return outer
    }

    /// `value = inner`, the value's columns being outer ones.
    private mutating func equal(_ value: Bound, _ inner: Bound, _ places: [Int], at position: Int) throws(SQLError) -> Expression {
        try resolved("=", [outer(value), inner], places, isOperator: true, at: position).expression
    }

    /// A subquery with one row for each value that it is compared with, to tell by a left join whether there is any.
    private mutating func marked(_ subquery: Subquery, at position: Int) throws(SQLError) -> Subquery {
        var outers: [Expression] = []
        var inners: [Expression] = []
        for condition in subquery.correlations {
            guard case .call(.equal, let operands, _) = condition, operands.count == 2,
                let inner = operands.first(where: { $0.columns.allSatisfy { !Block.isOuter($0) } }),
                let outer = operands.first(where: { !$0.columns.isEmpty && $0.columns.allSatisfy { Block.isOuter($0) } })
            else {
                throw .notSupported(
                    "EXISTS inside an expression, correlated other than by equality", at: position,
                    hint: "Write it as a condition of WHERE of its own, joined by AND.")
            }
            outers.append(outer)
            inners.append(inner)
        }
        let keys = inners.isEmpty ? [Expression.literal(.boolean(true), .boolean)] : inners
        let fields = keys.map { Field(name: "key", type: $0.type) }
        var marked = Subquery(
            plan: .aggregate(subquery.plan, keys: keys, calls: [], window: nil, fields: fields), fields: [], outputs: [],
            correlations: zip(outers, inners).enumerated().map { at, pair in
                .call(.equal, [pair.0, .column(at, pair.1.type)], .boolean)
            })
        marked.addMarker()
        return marked
    }

    /// `plan` with the columns of the block's subqueries that are still to be joined (those that `isWanted` accepts).
    /// `outer` maps expressions over the block's columns to the plan's.
    mutating func attached(
        _ given: Plan, _ block: Block, at position: Int, where isWanted: (PendingSubquery) -> Bool = { _ in true },
        outer: (Expression) throws(SQLError) -> Expression = { (expression) throws(SQLError) in expression }
    ) throws(SQLError) -> Plan {
        var plan = given
        for index in block.subqueries.indices where block.subqueries[index].place == nil && isWanted(block.subqueries[index]) {
            let pending = block.subqueries[index]
            var subquery = pending.subquery
            // Conditions over the block's columns, told in the plan's.
            var moved: [Expression] = []
            for condition in subquery.correlations {
                moved.append(try inPlan(condition, block, outer))
            }
            subquery.correlations = moved
            for index in subquery.outputs.indices { subquery.outputs[index] = try inPlan(subquery.outputs[index], block, outer) }
            if let nothing = subquery.nothing {
                subquery.nothing = try nothing.map { (expression) throws(SQLError) in try inPlan(expression, block, outer) }
            }
            try subquery.ground(on: plan) { (ordinal, type) throws(SQLError) in try outer(block.resolved(.column(ordinal, type))) }
            let width = plan.fields.count
            let marker = Expression.column(width + subquery.plan.fields.count - 1, .boolean)
            let isMatched = Simplifier.not(Simplifier.isNull(marker))
            let result = pending.kind == .exists ? isMatched : subquery.resultsOrNothing(width)[0]
            plan = try counted(
                .join(
                    plan, subquery.plan, .left, condition: Simplifier.and(subquery.conditions(width)),
                    fields: plan.fields + subquery.plan.fields), at: position)
            block.subqueries[index].place = result
        }
        return plan
    }

    /// A subquery's expression whose outer columns are the block's, with the plan's in their place.
    private func inPlan(
        _ expression: Expression, _ block: Block, _ outer: (Expression) throws(SQLError) -> Expression
    ) throws(SQLError) -> Expression {
        let asOuter = expression.renumbered {
            if Block.isNear($0) { return $0 - Block.outerBase }
            return Block.isOuter($0) ? $0 : $0 + Block.innerBase
        }
        let mapped = try outer(block.resolved(asOuter))
        return mapped.renumbered {
            if Block.isOuter($0) { return $0 }
            return $0 >= Block.innerBase ? $0 - Block.innerBase : $0 + Block.outerBase
        }
    }
}

/// A subquery of an expression, on its way to become a join.
struct PendingSubquery {
    enum Kind {
        case scalar
        case exists
    }

    var subquery: Subquery
    var kind: Kind
    var clause: Clause
    var position: Int
    /// Its value over the plan's columns, once it is joined.
    var place: Expression?

    init(subquery: Subquery, kind: Kind, clause: Clause, position: Int) {
        self.subquery = subquery
        self.kind = kind
        self.clause = clause
        self.position = position
    }
}

extension Block {
    static let outerBase = 1 << 42
    static let subqueryBase = 1 << 43
    static let groupingBase = 1 << 44
    static let innerBase = 1 << 45
    /// now(), as a column.
    static let now = 1 << 46

    /// Set-returning calls of the select list.
    static let setBase = 1 << 47
    /// The time at which the row is processed.
    static let stampBase = 1 << 48
    /// Between a column of the query around and the same column of the one around that.
    static let levelStride = 1 << 36

    /// A column of any query around.
    static func isOuter(_ ordinal: Int) -> Bool { ordinal >= outerBase && ordinal < subqueryBase }
    /// A column of the query directly around.
    static func isNear(_ ordinal: Int) -> Bool { ordinal >= outerBase && ordinal < outerBase + levelStride }

    func add(_ pending: PendingSubquery, _ type: DataType) -> Binder.Bound {
        subqueries.append(pending)
        return Binder.Bound(.column(Block.subqueryBase + subqueries.count - 1, type))
    }

    /// `expression` with the subqueries that are joined put in.
    func resolved(_ expression: Expression) -> Expression {
        guard !subqueries.isEmpty else { return expression }
        return expression.rewritingColumns { ordinal, type in
            guard ordinal >= Block.subqueryBase, ordinal < Block.groupingBase, let place = subqueries[ordinal - Block.subqueryBase].place else {
                return .column(ordinal, type)
            }
            return place
        }
    }
}
