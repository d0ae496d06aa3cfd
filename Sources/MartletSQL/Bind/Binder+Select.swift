internal import MartletCore

/// One SELECT: FROM → WHERE → GROUP BY and aggregates → HAVING → OVER → select list → DISTINCT.
extension Binder {
    struct Output {
        var name: String
        var expression: Expression
        var position: Int
        /// The alias as written, which GROUP BY may name.
        var alias: String?
    }

    /// Its rows, and the keys of the query's ORDER BY over them.
    mutating func select(_ syntax: SelectSyntax, orderBy: [OrderSyntax]) throws(SQLError) -> Ordered {
        var (plan, scope) = try from(syntax.from, at: syntax.position)
        let block = Block(scope: scope)
        for window in syntax.windows { block.windows[window.name.text] = window.definition }
        if let condition = syntax.condition { plan = try filtered(plan, by: condition, block) }
        block.input = plan
        var outputs = try outputs(syntax, block)
        let shown = outputs.count
        let (firsts, keys) = try sorting(syntax, orderBy, &outputs, block)
        let sets = try groupingSets(syntax, outputs, block)
        var groups = sets?.keys ?? []
        if sets == nil { groups = try groupKeys(syntax.groupBy, outputs, block) }
        var having: Expression?
        if let condition = syntax.having {
            block.clause = .having
            having = try boolean(condition, "HAVING", block).expression
        }
        if block.usesClock {
            let ordinal = plan.fields.count
            plan = try counted(.stamped(plan, fields: plan.fields + [Field(name: "proctime", type: .timestamptz)]), at: syntax.position)
            func stamped(_ expression: Expression) -> Expression { expression.renumbered { $0 == Block.stampBase ? ordinal : $0 } }
            for index in outputs.indices { outputs[index].expression = stamped(outputs[index].expression) }
            groups = groups.map(stamped)
            block.aggregates = block.aggregates.map { call in call.mapped(stamped) }
            block.sets = block.sets.map(stamped)
        }
        let isGrouped = !syntax.groupBy.isEmpty || sets != nil || having != nil || !block.aggregates.isEmpty
        plan = try attached(plan, block, at: syntax.position) { !isGrouped || !$0.clause.isAfterGrouping }
        var setPlaces: [Int: Int] = [:]
        if isGrouped {
            // Rows of set-returning calls that GROUP BY names come before the grouping, all others behind it.
            let early = block.setCalls(in: groups)
            setPlaces = try unnested(&plan, early, block, at: syntax.position) { block.resolved($0) }
            let places = setPlaces
            func placed(_ expression: Expression) -> Expression { Block.placingSets(expression, places) }
            groups = groups.map(placed)
            for index in outputs.indices { outputs[index].expression = placed(outputs[index].expression) }
            for index in block.sets.indices { block.sets[index] = early.contains(index) ? .literal(.null, .unknown) : placed(block.sets[index]) }
            plan = try grouped(plan, groups, sets?.sets, &outputs, having, block, at: syntax.position)
        } else {
            if let call = block.groupings.first {
                throw SQLError(.groupingError, "arguments to GROUPING must be grouping expressions of the associated query level", at: call.position)
            }
            for index in block.overs.indices { block.overs[index] = block.overs[index].mapped(block.resolved) }
        }
        let overOrdinals = try addOvers(block.overs, names(of: Block.overBase..<Block.outerBase, outputs), to: &plan, at: syntax.position)
        func placed(_ expression: Expression) -> Expression {
            block.resolved(expression).renumbered { $0 >= Block.overBase && $0 < Block.outerBase ? overOrdinals[$0 - Block.overBase] : $0 }
        }
        let late = block.sets.indices.filter { setPlaces[$0] == nil }
        setPlaces = try unnested(&plan, late, block, at: syntax.position, placed)
        let expressions = outputs.map { Block.placingSets(placed($0.expression), setPlaces) }
        let fields = zip(outputs, expressions).map { Field(name: $0.name, type: $1.type) }
        let order = zip(keys, orderBy).map {
            SortKey(
                expression: .column($0, fields[$0].type == .unknown ? .text : fields[$0].type), descending: $1.descending,
                nullsFirst: $1.nullsFirst ?? $1.descending)
        }
        if case .values(let rows, _) = plan, rows == [[]] {
            plan = .values([expressions], fields: fields)
        } else {
            plan = try counted(.project(plan, expressions, fields), at: syntax.position)
        }
        switch syntax.distinct {
        case .no: break
        case .rows: plan = try distinct(try typedProject(plan), at: syntax.position)
        case .on(_, let position): plan = try firstRows(try typedProject(plan), on: firsts, order, at: position)
        }
        return Ordered(plan: plan, keys: order, width: shown)
    }

    /// The outputs that DISTINCT ON and ORDER BY mean, which gain what is not among them.
    private mutating func sorting(
        _ syntax: SelectSyntax, _ orderBy: [OrderSyntax], _ outputs: inout [Output], _ block: Block
    ) throws(SQLError) -> (firsts: [Int], keys: [Int]) {
        let shown = outputs.count
        var isDistinct = false
        var firsts: [Int] = []
        switch syntax.distinct {
        case .no: break
        case .rows: isDistinct = true
        case .on(let items, _):
            for item in items {
                let index = try outputIndex(item, "DISTINCT ON", &outputs, shown: shown, mayAdd: true, block)
                if !firsts.contains(index) { firsts.append(index) }
            }
        }
        var keys: [Int] = []
        for item in orderBy {
            keys.append(try outputIndex(item.expression, "ORDER BY", &outputs, shown: shown, mayAdd: !isDistinct, block))
        }
        // The order decides which row of a group is the first, so it must begin with what makes the groups.
        for (place, key) in keys.prefix(firsts.count).enumerated() where !firsts.contains(key) {
            throw SQLError(
                .invalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                at: orderBy[place].expression.position)
        }
        return (firsts, keys)
    }

    /// The plan behind GROUP BY and HAVING; outputs and OVER calls come to read its columns.
    private mutating func grouped(
        _ input: Plan, _ keys: [Expression], _ sets: [[Int]]?, _ outputs: inout [Output], _ having: Expression?, _ block: Block,
        at position: Int
    ) throws(SQLError) -> Plan {
        for index in block.aggregates.indices { block.aggregates[index] = block.aggregates[index].mapped(block.resolved) }
        let names = names(of: Block.aggregateBase..<Block.overBase, outputs)
        let grouping = Grouping(keys: keys.map(block.resolved), plan: input, block: block, names: names)
        var plan = grouping.plan(over: input)
        // GROUPING without sets tells that nothing is left out.
        if let sets = sets ?? (block.groupings.isEmpty ? nil : [grouping.allKeys]) { plan = try grouping.plan(over: input, sets: sets) }
        plan = try counted(plan, sets?.count ?? 1, at: position)
        plan = try attached(plan, block, at: position, where: { $0.clause.isAfterGrouping }, outer: grouping.rewritten)
        for index in outputs.indices { outputs[index].expression = try grouping.rewritten(outputs[index].expression) }
        for index in block.sets.indices { block.sets[index] = try grouping.rewritten(block.sets[index]) }
        for index in block.overs.indices {
            try grouping.rewrite(&block.overs[index])
            block.overs[index] = block.overs[index].mapped(block.resolved)
        }
        if let having {
            let bound = block.resolved(try grouping.rewritten(having))
            plan = try counted(.filter(plan, bound), at: position)
        }
        return plan
    }

    /// DISTINCT compares, so its literals need a type.
    private func typedProject(_ plan: Plan) throws(SQLError) -> Plan {
        func texts(_ expressions: [Expression]) -> [Expression] {
            expressions.map { if case .literal(let value, .unknown) = $0 { .literal(value, .text) } else { $0 } }
        }
        let fields = plan.fields.map { Field(name: $0.name, type: $0.type == .unknown ? .text : $0.type) }
        switch plan {
        case .project(let input, let expressions, _): return .project(input, texts(expressions), fields)
        case .values(let rows, _): return .values(rows.map(texts), fields: fields)
        default: return plan
        }
    }

    /// Calls take the names of the outputs they are, so that plans read well and need no projection for names alone.
    private func names(of calls: Range<Int>, _ outputs: [Output]) -> [Int: String] {
        var names: [Int: String] = [:]
        for output in outputs {
            if let ordinal = output.expression.columnOrdinal, calls.contains(ordinal), names[ordinal] == nil { names[ordinal] = output.name }
        }
        return names
    }

    // MARK: Select list

    mutating func outputs(_ syntax: SelectSyntax, _ block: Block, clause: Clause = .select) throws(SQLError) -> [Output] {
        block.clause = clause
        let wanted = wantedTypes
        wantedTypes = nil
        var outputs: [Output] = []
        for item in syntax.items {
            switch item {
            case .all(let position, let except):
                guard !syntax.from.isEmpty else {
                    throw .syntaxError("SELECT * with no tables specified is not valid", at: position)
                }
                try expand(nil, except, at: position, block, into: &outputs)
            case .allOf(let name, let except):
                let relation = name.last.text
                guard block.scope.relations.contains(relation) else {
                    let near = Suggestion.nearest(to: relation, among: block.scope.relations)
                    throw SQLError(
                        .undefinedTable, "missing FROM-clause entry for table \"\(relation)\"", at: name.position,
                        hint: near.map { "Perhaps you meant to reference the table alias \"\($0)\"." })
                }
                try expand(relation, except, at: name.position, block, into: &outputs)
            case .fields(let value): outputs += try fieldOutputs(value, block)
            case .expression(let expression, let alias):
                var bound = try bind(expression, block)
                if bound.registered != nil { bound = try shown(bound, at: expression.position) }
                if let wanted, outputs.count < wanted.count, bound.isUntyped {
                    bound = try coerce(bound, to: wanted[outputs.count], at: expression.position, context: .assignment)
                }
                let name = alias?.text ?? ColumnNames.name(of: expression)
                outputs.append(Output(name: name, expression: bound.expression, position: expression.position, alias: alias?.text ?? name))
            }
            if outputs.count > SQLLimits.columnsMax { throw tooManyColumns(at: syntax.position) }
        }
        return outputs
    }

    private func expand(
        _ relation: String?, _ except: [[Identifier]], at position: Int, _ block: Block, into outputs: inout [Output]
    ) throws(SQLError) {
        var excepted: Set<Int> = []
        for name in except { excepted.insert(try block.scope.resolve(name)) }
        for (ordinal, column) in block.scope.columns.enumerated()
        where column.isListed && (relation == nil ? !column.isMerged : column.relation == relation) && !excepted.contains(ordinal) {
            block.uses.append((ordinal, position))
            outputs.append(Output(name: column.name, expression: .column(ordinal, column.type), position: position, alias: column.name))
        }
    }

    /// `(value).*`.
    private mutating func fieldOutputs(_ value: ExpressionSyntax, _ block: Block) throws(SQLError) -> [Output] {
        let bound = try bind(value, block)
        guard case .structure(let fields) = bound.type else {
            throw SQLError(.wrongObjectType, "type \(bound.type.sqlName) is not composite", at: value.position)
        }
        var outputs: [Output] = []
        for (place, field) in fields.enumerated() {
            let part = try self.field(bound, place, at: value.position)
            outputs.append(Output(name: field.name, expression: part.expression, position: value.position, alias: field.name))
        }
        return outputs
    }

    // MARK: GROUP BY

    /// Keys in order without repetitions. An integer is a place in the select list; a bare name is a column of the input first and
    /// an output's alias second, as in PostgreSQL.
    private mutating func groupKeys(_ items: [ExpressionSyntax], _ outputs: [Output], _ block: Block) throws(SQLError) -> [Expression] {
        guard items.count <= SQLLimits.columnsMax else { throw tooManyColumns(at: items[0].position) }
        var keys: [Expression] = []
        for item in items {
            var key = try groupKey(item, outputs, block)
            if case .literal(let value, .unknown) = key { key = .literal(value, .text) }
            for column in key.columns where column >= Block.aggregateBase && column < Block.setBase {
                let position = outputs.first { $0.expression == key }?.position ?? item.position
                if column >= Block.outerBase {
                    throw .notSupported(
                        "a subquery in GROUP BY", at: position, hint: "Compute it in a subquery in FROM, and group by its column.")
                }
                if column >= Block.overBase {
                    throw SQLError(.windowingError, "window functions are not allowed in GROUP BY", at: position)
                }
                throw SQLError(.groupingError, "aggregate functions are not allowed in GROUP BY", at: position)
            }
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    private mutating func groupKey(_ item: ExpressionSyntax, _ outputs: [Output], _ block: Block) throws(SQLError) -> Expression {
        if case .integer(let digits) = item.kind {
            guard let place = Int(digits), place >= 1, place <= outputs.count else {
                throw SQLError(.invalidColumnReference, "GROUP BY position \(digits) is not in select list", at: item.position)
            }
            return outputs[place - 1].expression
        }
        if case .name(let parts) = item.kind, parts.count == 1, !block.scope.contains(parts[0].text) {
            let matches = outputs.filter { $0.alias == parts[0].text }
            if let first = matches.first {
                guard matches.allSatisfy({ $0.expression == first.expression }) else {
                    throw SQLError(.ambiguousColumn, "GROUP BY \"\(parts[0].text)\" is ambiguous", at: item.position)
                }
                return first.expression
            }
        }
        switch item.kind {
        case .string, .null, .number, .boolean:
            throw SQLError(.syntaxError, "non-integer constant in GROUP BY", at: item.position)
        default: break
        }
        block.clause = .groupBy
        return try bind(item, block).expression
    }

    /// The keys of all grouping sets, and each set as places among them; nil: GROUP BY has no sets.
    private mutating func groupingSets(
        _ syntax: SelectSyntax, _ outputs: [Output], _ block: Block
    ) throws(SQLError) -> (keys: [Expression], sets: [[Int]])? {
        guard !syntax.groupingSets.isEmpty else { return nil }
        var lists: [[ExpressionSyntax]] = [[]]
        for item in syntax.groupingSets {
            let choices = try Self.expanded(item)
            guard lists.count * choices.count <= 4096 else {
                throw SQLError(.statementTooComplex, "too many grouping sets present (maximum 4096)", at: syntax.position)
            }
            lists = lists.flatMap { list in choices.map { list + $0 } }
        }
        var keys: [Expression] = []
        var sets: [[Int]] = []
        for list in lists {
            var set: [Int] = []
            for key in try groupKeys(list, outputs, block) {
                let place = keys.firstIndex(of: key) ?? keys.count
                if place == keys.count { keys.append(key) }
                if !set.contains(place) { set.append(place) }
            }
            sets.append(set)
        }
        return (keys, sets)
    }

    private static func expanded(_ item: GroupingSyntax) throws(SQLError) -> [[ExpressionSyntax]] {
        switch item {
        case .columns(let columns): return [columns]
        case .rollup(let lists): return (0...lists.count).reversed().map { Array(lists.prefix($0).joined()) }
        case .cube(let lists, let position):
            guard lists.count <= 12 else {
                throw SQLError(.tooManyColumns, "CUBE is limited to 12 elements", at: position)
            }
            return (0..<(1 << lists.count)).map { mask in
                Array(lists.indices.filter { mask & (1 << (lists.count - 1 - $0)) == 0 }.map { lists[$0] }.joined())
            }
        case .sets(let items):
            var all: [[ExpressionSyntax]] = []
            for item in items { all += try expanded(item) }
            return all
        }
    }

    // MARK: OVER

    /// Adds one node per different PARTITION BY and ORDER BY; answers the ordinal of each call's column.
    private mutating func addOvers(_ overs: [BoundOver], _ names: [Int: String], to plan: inout Plan, at position: Int) throws(SQLError) -> [Int] {
        guard overs.count <= SQLLimits.columnsMax else { throw tooManyColumns(at: position) }
        var ordinals = [Int](repeating: 0, count: overs.count)
        var isDone = [Bool](repeating: false, count: overs.count)
        for first in overs.indices where !isDone[first] {
            var fields = plan.fields
            var calls: [OverCall] = []
            for index in first..<overs.count
            where !isDone[index] && overs[index].partition == overs[first].partition && overs[index].order == overs[first].order {
                isDone[index] = true
                ordinals[index] = fields.count
                calls.append(overs[index].call)
                let name = names[Block.overBase + index] ?? overs[index].call.function.sqlName
                fields.append(Field(name: name, type: overs[index].call.type))
            }
            plan = try counted(
                .over(plan, partition: overs[first].partition, order: overs[first].order, calls: calls, limit: nil, fields: fields), at: position)
        }
        return ordinals
    }
}

/// The change of columns at a GROUP BY: expressions over the input become expressions over keys and aggregates.
struct Grouping {
    private let keys: [Expression]
    /// Ordinals of the keys that are plain columns.
    private let columnKeys: [Int: Int]
    private let hasOtherKeys: Bool
    private let block: Block
    private let names: [Int: String]

    init(keys given: [Expression], plan: Plan, block: Block, names: [Int: String]) {
        var keys = given
        // A window's end follows from its start and the other way round.
        let bounds: (start: Int?, end: Int?) = plan.hasFixedWindows ? plan.windowBounds : (nil, nil)
        if let start = bounds.start, let end = bounds.end {
            let types = plan.fields
            for (ordinal, partner) in [(start, end), (end, start)] {
                if keys.contains(.column(partner, types[partner].type)), !keys.contains(.column(ordinal, types[ordinal].type)),
                    block.uses.contains(where: { $0.ordinal == ordinal })
                {
                    keys.append(.column(ordinal, types[ordinal].type))
                }
            }
        }
        var columnKeys: [Int: Int] = [:]
        for (index, key) in keys.enumerated() {
            if case .column(let ordinal, _) = key { columnKeys[ordinal] = index }
        }
        self.keys = keys
        self.columnKeys = columnKeys
        self.hasOtherKeys = columnKeys.count < keys.count
        self.block = block
        self.names = names
    }

    var allKeys: [Int] { Array(keys.indices) }

    func plan(over input: Plan) -> Plan {
        let inputs = input.fields
        let keyFields = keys.map { key in
            if case .column(let ordinal, let type) = key { Field(name: inputs[ordinal].name, type: type) } else { Field(name: "key", type: key.type) }
        }
        let callFields = block.aggregates.enumerated().map { index, call in
            Field(name: names[Block.aggregateBase + index] ?? call.function.sqlName, type: call.type)
        }
        return .aggregate(input, keys: keys, calls: block.aggregates, window: nil, fields: keyFields + callFields)
    }

    /// One aggregation for each grouping set, over the same input: keys (NULL where the set leaves them out), aggregates, and
    /// the values of the calls of GROUPING.
    func plan(over input: Plan, sets: [[Int]]) throws(SQLError) -> Plan {
        var masks: [[Int]] = []
        for call in block.groupings {
            var places: [Int] = []
            for argument in call.arguments {
                guard let key = keys.firstIndex(of: argument) else {
                    throw SQLError(
                        .groupingError, "arguments to GROUPING must be grouping expressions of the associated query level", at: call.position)
                }
                places.append(key)
            }
            masks.append(places)
        }
        let whole = plan(over: input).fields
        let fields = whole + masks.map { _ in Field(name: "grouping", type: .integer) }
        let arms = sets.map { set -> Plan in
            let own = set.map { keys[$0] }
            let names = set.map { whole[$0] } + whole.dropFirst(keys.count)
            let aggregate = Plan.aggregate(input, keys: own, calls: block.aggregates, window: nil, fields: names)
            var columns: [Expression] = keys.indices.map { key in
                set.firstIndex(of: key).map { .column($0, keys[key].type) } ?? .literal(.null, keys[key].type)
            }
            columns += block.aggregates.indices.map { .column(own.count + $0, block.aggregates[$0].type) }
            columns += masks.map { places in
                let bits = places.reduce(Int32(0)) { $0 << 1 | (set.contains($1) ? 0 : 1) }
                return .literal(.integer(bits), .integer)
            }
            return .project(aggregate, columns, fields)
        }
        return arms.count == 1 ? arms[0] : .unionAll(arms, fields: fields)
    }

    /// Throws 42803 for a column that is neither.
    func rewritten(_ expression: Expression) throws(SQLError) -> Expression {
        switch expression {
        case .literal: return expression
        case .column(let ordinal, let type):
            if ordinal >= Block.groupingBase, ordinal < Block.innerBase {
                return .column(keys.count + block.aggregates.count + ordinal - Block.groupingBase, type)
            }
            if ordinal >= Block.overBase { return expression }
            if ordinal >= Block.aggregateBase { return .column(keys.count + ordinal - Block.aggregateBase, type) }
            if let key = columnKeys[ordinal] { return .column(key, type) }
            guard ordinal < block.scope.columns.count else {
                if !block.sets.isEmpty {
                    throw SQLError(.groupingError, "set-returning functions that GROUP BY names must not be used in another way beside it")
                }
                throw SQLError(.groupingError, "PROCTIME() must appear in the GROUP BY clause or be used in an aggregate function")
            }
            let column = block.scope.columns[ordinal]
            throw SQLError(
                .groupingError,
                "column \"\(column.relation.isEmpty ? "" : column.relation + ".")\(column.name)\" must appear in the GROUP BY clause or be used in an aggregate function",
                at: block.uses.first { $0.ordinal == ordinal }?.position ?? 0)
        default:
            if hasOtherKeys, let key = keys.firstIndex(of: expression) { return .column(key, expression.type) }
            return try expression.mapChildren(rewritten)
        }
    }

    func rewrite(_ over: inout BoundOver) throws(SQLError) {
        for index in over.partition.indices { over.partition[index] = try rewritten(over.partition[index]) }
        for index in over.order.indices { over.order[index].expression = try rewritten(over.order[index].expression) }
        for index in over.call.arguments.indices { over.call.arguments[index] = try rewritten(over.call.arguments[index]) }
        if let filter = over.call.filter { over.call.filter = try rewritten(filter) }
    }
}

extension BoundOver {
    func mapped(_ transform: (Expression) -> Expression) -> BoundOver {
        var copy = self
        copy.call = call.mapped(transform)
        copy.partition = partition.map(transform)
        copy.order = order.map { $0.mapped(transform) }
        return copy
    }
}

extension Clause {
    /// Expressions of this clause see groups, where there are any.
    var isAfterGrouping: Bool { self == .select || self == .having || self == .orderBy || self == .over }
}

extension OverFunction {
    package var sqlName: String {
        switch self {
        case .lag: "lag"
        case .lead: "lead"
        case .rowNumber: "row_number"
        case .rank: "rank"
        case .denseRank: "dense_rank"
        case .percentRank: "percent_rank"
        case .cumeDist: "cume_dist"
        case .ntile: "ntile"
        case .firstValue: "first_value"
        case .lastValue: "last_value"
        case .nthValue: "nth_value"
        case .aggregate(let function): function.sqlName
        }
    }
}

extension AggregateFunction {
    package var sqlName: String { self == .countAll ? "count" : rawValue }
}
