internal import MartletCore

/// Rewrites a bound plan into one that does less and means the same:
///
/// 1. conditions move down, to the source where they can, below window nodes in any case, above aggregates never;
/// 2. projections fold into what reads them, so that a window node stands directly under its aggregate;
/// 3. columns nobody reads are not read;
/// 4. inner joins come in an order in which conditions connect them;
/// 5. aggregates learn which of their keys are the window's bounds.
///
/// The output fields (names, types, order) stay as they are. What decides about errors: a condition may be evaluated for a row
/// that another condition of the same AND refuses; the AND's contract (`Expression.and`) makes that unobservable.
struct Optimiser {
    let catalog: any CatalogReader
    let context: EvaluationContext
    /// The plan lives on, and is to be the same whenever its statement is bound: what relations hold just now decides nothing.
    let isContinuous: Bool

    /// Limits for putting one expression into another, so that nested views stay linear in size.
    static let heightMax = 200

    func optimised(_ plan: Plan) throws(SQLError) -> Plan {
        let fields = plan.fields
        var result = Self.simplified(plan, context)
        result = pushed(result, [])
        result = Fusion.fused(result)
        // Fusion brings filters, windows and joins together that projections kept apart.
        result = pushed(result, [])
        result = JoinOrder { [catalog, isContinuous] in isContinuous ? nil : catalog.rowCount(of: $0) }.ordered(result)
        result = Fusion.fused(result)
        result = Pruning.pruned(result)
        result = Fusion.fused(result)
        result = Fusion.withWindows(result)
        result = Fusion.withoutIdentity(result, isTop: true)
        return result.fields == fields ? result : result.renamed(fields)
    }

    /// All expressions simplified; always-true filters removed.
    static func simplified(_ plan: Plan, _ context: EvaluationContext) -> Plan {
        plan.mapExpressions { Simplifier.simplified($0, context) }.removingTrivialFilters()
    }

    // MARK: Conditions

    /// `plan` under `conditions` (over its output), each as far down as it may go.
    func pushed(_ plan: Plan, _ conditions: [Expression]) -> Plan {
        switch plan {
        case .filter(let input, let condition):
            // Inner conditions first: they were written to guard the outer ones.
            return pushed(input, Self.conjuncts(condition) + conditions)
        case .project(let input, let expressions, let fields):
            var below: [Expression] = []
            var above: [Expression] = []
            for condition in conditions {
                if let moved = Fusion.substituted(condition, expressions) {
                    below.append(Simplifier.simplified(moved, context))
                } else {
                    above.append(condition)
                }
            }
            return Self.filtered(.project(pushed(input, below), expressions, fields), above)
        case .window(let input, let time, let hop, let fields):
            let width = fields.count - 2
            let (below, above) = Self.split(conditions) { $0.columns.allSatisfy { $0 < width } }
            return Self.filtered(.window(pushed(input, below), time: time, hop, fields: fields), above)
        case .unionAll(let arms, let fields):
            return .unionAll(arms.map { pushed($0, conditions) }, fields: fields)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            // A condition on the input that reads window bounds alone, all of them keys, is a condition on the groups.
            var conditions = conditions
            var rest = pushed(input, [])
            if case .filter(let below, let condition) = rest, case .window(_, _, let hop, let inputFields) = below, !hop.isCumulative {
                var kept: [Expression] = []
                for conjunct in Self.conjuncts(condition) {
                    if let moved = Self.onGroups(conjunct, keys, inputFields, hop) { conditions.append(moved) } else { kept.append(conjunct) }
                }
                rest = Self.filtered(below, kept)
            }
            return Self.filtered(.aggregate(rest, keys: keys, calls: calls, window: window, fields: fields), conditions)
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            // What holds for whole partitions may go below.
            let owners = Set(partition.compactMap(\.columnOrdinal))
            let (below, rest) = Self.split(conditions) { !$0.columns.isEmpty && $0.columns.isSubset(of: owners) }
            var rank = limit
            let above = Self.withoutRanks(rest, width: fields.count - calls.count, calls, limit: &rank)
            return Self.filtered(
                .over(pushed(input, below), partition: partition, order: order, calls: calls, limit: rank, fields: fields), above)
        case .session(let input, let time, let session, let fields):
            let (below, above) = Self.split(conditions) { !$0.columns.isEmpty && $0.columns.isSubset(of: Set(session.partition)) }
            return Self.filtered(.session(pushed(input, below), time: time, session, fields: fields), above)
        case .join(let left, let right, let type, let condition, let fields):
            return pushedJoin(left, right, type, condition, fields, conditions)
        case .temporal(let input, let from, let until): return .temporal(pushed(input, conditions), from: from, until: until)
        case .repeated(let input, let times): return .repeated(pushed(input, conditions), times: times)
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            let width = input.fields.count
            let (below, above) = Self.split(conditions) { !$0.columns.isEmpty && $0.columns.allSatisfy { $0 < width } }
            return Self.filtered(
                .unnested(pushed(input, below), lists: lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields: fields), above)
        case .lookup(let left, let right, let lookup, let condition, let fields):
            let width = left.fields.count
            let (below, above) = Self.split(conditions) { !$0.columns.isEmpty && $0.columns.allSatisfy { $0 < width } }
            return Self.filtered(
                .lookup(pushed(left, below), pushed(right, []), lookup, condition: condition, fields: fields), above)
        case .changelog(let input, let key, let fields): return Self.filtered(.changelog(pushed(input, []), key: key, fields: fields), conditions)
        case .stamped(let input, let fields):
            let (below, above) = Self.split(conditions) { !$0.columns.isEmpty && $0.columns.allSatisfy { $0 < fields.count - 1 } }
            return Self.filtered(.stamped(pushed(input, below), fields: fields), above)
        case .emitOnWindowClose(let input):
            return Self.filtered(.emitOnWindowClose(pushed(input, [])), conditions)
        case .source, .relation, .view, .recursive, .values: return Self.filtered(plan, conditions)
        }
    }

    /// A condition on a window node's output as a condition on the keys of the aggregate above it; nil where it reads something
    /// else. A bound that is no key follows from the other one.
    private static func onGroups(_ condition: Expression, _ keys: [Expression], _ fields: [Field], _ hop: HopWindow) -> Expression? {
        let start = fields.count - 2
        let end = fields.count - 1
        var replacements: [Int: Expression] = [:]
        for ordinal in condition.columns {
            let type = fields[ordinal].type
            if let key = keys.firstIndex(of: .column(ordinal, type)) {
                replacements[ordinal] = .column(key, type)
            } else if ordinal == start || ordinal == end, let key = keys.firstIndex(of: .column(start + end - ordinal, type)) {
                let size = Expression.literal(.interval(Interval(micros: hop.size)), .interval)
                replacements[ordinal] = .call(ordinal == start ? .subtract : .add, [.column(key, type), size], type)
            } else {
                return nil
            }
        }
        guard !replacements.isEmpty else { return nil }
        return condition.substituting(fields.indices.map { replacements[$0] ?? .column($0, fields[$0].type) })
    }

    static func conjuncts(_ condition: Expression) -> [Expression] {
        if case .and(let operands) = condition { return operands }
        return [condition]
    }

    static func filtered(_ plan: Plan, _ conditions: [Expression]) -> Plan {
        let condition = Simplifier.and(conditions)
        if condition == .literal(.boolean(true), .boolean) { return plan }
        return .filter(plan, condition)
    }

    static func split(_ conditions: [Expression], _ isFirst: (Expression) -> Bool) -> ([Expression], [Expression]) {
        var first: [Expression] = []
        var second: [Expression] = []
        for condition in conditions {
            if isFirst(condition) { first.append(condition) } else { second.append(condition) }
        }
        return (first, second)
    }
}

extension Plan {
    /// The same tree over `transform`ed inputs.
    func mapInputs(_ transform: (Plan) -> Plan) -> Plan {
        switch self {
        case .source, .relation, .view, .recursive, .values: self
        case .filter(let input, let condition): .filter(transform(input), condition)
        case .project(let input, let expressions, let fields): .project(transform(input), expressions, fields)
        case .window(let input, let time, let hop, let fields): .window(transform(input), time: time, hop, fields: fields)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            .aggregate(transform(input), keys: keys, calls: calls, window: window, fields: fields)
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            .over(transform(input), partition: partition, order: order, calls: calls, limit: limit, fields: fields)
        case .session(let input, let time, let session, let fields): .session(transform(input), time: time, session, fields: fields)
        case .join(let left, let right, let type, let condition, let fields):
            .join(transform(left), transform(right), type, condition: condition, fields: fields)
        case .temporal(let input, let from, let until): .temporal(transform(input), from: from, until: until)
        case .repeated(let input, let times): .repeated(transform(input), times: times)
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            .unnested(transform(input), lists: lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields: fields)
        case .lookup(let left, let right, let lookup, let condition, let fields):
            .lookup(transform(left), transform(right), lookup, condition: condition, fields: fields)
        case .changelog(let input, let key, let fields): .changelog(transform(input), key: key, fields: fields)
        case .stamped(let input, let fields): .stamped(transform(input), fields: fields)
        case .unionAll(let arms, let fields): .unionAll(arms.map(transform), fields: fields)
        case .emitOnWindowClose(let input): .emitOnWindowClose(transform(input))
        }
    }

    /// Every expression of every node `transform`ed.
    func mapExpressions(_ transform: (Expression) -> Expression) -> Plan {
        let mapped = mapInputs { $0.mapExpressions(transform) }
        switch mapped {
        case .source, .relation, .view, .recursive, .window, .session, .unionAll, .emitOnWindowClose, .changelog, .stamped: return mapped
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            return .unnested(input, lists: lists.map(transform), isOuter: isOuter, hasOrdinality: hasOrdinality, fields: fields)
        case .lookup(let left, let right, let lookup, let condition, let fields):
            return .lookup(left, right, lookup.mapped(transform), condition: transform(condition), fields: fields)
        case .join(let left, let right, let type, let condition, let fields):
            return .join(left, right, type, condition: transform(condition), fields: fields)
        case .temporal(let input, let from, let until):
            return .temporal(input, from: from.map(transform), until: until.map(transform))
        case .repeated(let input, let times): return .repeated(input, times: transform(times))
        case .filter(let input, let condition): return .filter(input, transform(condition))
        case .project(let input, let expressions, let fields): return .project(input, expressions.map(transform), fields)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            return .aggregate(input, keys: keys.map(transform), calls: calls.map { $0.mapped(transform) }, window: window, fields: fields)
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            return .over(
                input, partition: partition.map(transform), order: order.map { $0.mapped(transform) }, calls: calls.map { $0.mapped(transform) },
                limit: limit, fields: fields)
        case .values(let rows, let fields): return .values(rows.map { $0.map(transform) }, fields: fields)
        }
    }

    func removingTrivialFilters() -> Plan {
        let mapped = mapInputs { $0.removingTrivialFilters() }
        if case .filter(let input, .literal(.boolean(true), _)) = mapped { return input }
        return mapped
    }
}

extension AggregateCall {
    func mapped(_ transform: (Expression) -> Expression) -> AggregateCall {
        var copy = self
        copy.argument = argument.map(transform)
        copy.filter = filter.map(transform)
        return copy
    }

    /// The expressions it evaluates per row.
    var operands: [Expression] { (argument.map { [$0] } ?? []) + (filter.map { [$0] } ?? []) }
}

extension OverCall {
    func mapped(_ transform: (Expression) -> Expression) -> OverCall {
        var copy = self
        copy.arguments = arguments.map(transform)
        copy.filter = filter.map(transform)
        return copy
    }
}

extension OverCall {
    /// The expressions it evaluates per row.
    var operands: [Expression] { arguments + (filter.map { [$0] } ?? []) }
}

extension SortKey {
    func mapped(_ transform: (Expression) -> Expression) -> SortKey {
        var copy = self
        copy.expression = transform(expression)
        return copy
    }
}
