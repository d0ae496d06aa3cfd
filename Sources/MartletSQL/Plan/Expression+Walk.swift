package import MartletCore

/// Structural access to expressions. Recursion is bounded: the parser limits the height of what it makes, and the optimiser
/// checks `height` before it puts one expression into another.
extension Expression {
    /// Operands in order of evaluation.
    package var children: [Expression] {
        switch self {
        case .column, .literal: []
        case .call(_, let arguments, _), .and(let arguments), .or(let arguments), .coalesce(let arguments, _): arguments
        case .cast(let operand, _, _), .not(let operand), .isNull(let operand), .inList(let operand, _): [operand]
        case .conditional(let branches, let otherwise, _): branches.flatMap { [$0.condition, $0.result] } + [otherwise]
        }
    }

    /// The same node over `transform`ed operands.
    func mapChildren(_ transform: (Expression) throws(SQLError) -> Expression) throws(SQLError) -> Expression {
        func all(_ operands: [Expression]) throws(SQLError) -> [Expression] {
            var result: [Expression] = []
            result.reserveCapacity(operands.count)
            for operand in operands { result.append(try transform(operand)) }
            return result
        }
        switch self {
        case .column, .literal: return self
        case .call(let function, let arguments, let type): return .call(function, try all(arguments), type)
        case .and(let operands): return .and(try all(operands))
        case .or(let operands): return .or(try all(operands))
        case .coalesce(let operands, let type): return .coalesce(try all(operands), type)
        case .cast(let operand, let type, let explicit): return .cast(try transform(operand), type, explicit: explicit)
        case .not(let operand): return .not(try transform(operand))
        case .isNull(let operand): return .isNull(try transform(operand))
        case .inList(let operand, let values): return .inList(try transform(operand), values)
        case .conditional(let branches, let otherwise, let type):
            var mapped: [ConditionalBranch] = []
            for branch in branches {
                mapped.append(ConditionalBranch(condition: try transform(branch.condition), result: try transform(branch.result)))
            }
            return .conditional(branches: mapped, otherwise: try transform(otherwise), type)
        }
    }

    /// Calls `visit` for every column reference, left to right.
    package func forEachColumn(_ visit: (Int) -> Void) {
        if case .column(let ordinal, _) = self {
            visit(ordinal)
        } else {
            for child in children { child.forEachColumn(visit) }
        }
    }

    /// Ordinals of the columns it reads.
    package var columns: Set<Int> {
        var result: Set<Int> = []
        forEachColumn { result.insert($0) }
        return result
    }

    /// Some column is `limit` or beyond.
    func readsColumns(from limit: Int) -> Bool {
        if case .column(let ordinal, _) = self { return ordinal >= limit }
        return children.contains { $0.readsColumns(from: limit) }
    }

    /// Column `n` becomes `replacements[n]`.
    func substituting(_ replacements: [Expression]) -> Expression {
        rewritingColumns { ordinal, type in
            ordinal < replacements.count ? replacements[ordinal] : .column(ordinal, type)
        }
    }

    /// Column `n` becomes column `mapping(n)`.
    package func renumbered(_ mapping: (Int) -> Int) -> Expression {
        rewritingColumns { ordinal, type in .column(mapping(ordinal), type) }
    }

    func rewritingColumns(_ replace: (Int, DataType) -> Expression) -> Expression {
        if case .column(let ordinal, let type) = self { return replace(ordinal, type) }
        // The transform throws nothing.
        return (try? mapChildren { (child) throws(SQLError) in child.rewritingColumns(replace) }) ?? self
    }

    /// Nodes in the tree, counted up to `limit`.
    func size(limit: Int) -> Int {
        var count = 1
        for child in children {
            if count >= limit { return limit }
            count += child.size(limit: limit - count)
        }
        return count
    }

    /// Height of the tree.
    var height: Int { 1 + (children.lazy.map(\.height).max() ?? 0) }

    var isTrivial: Bool {
        switch self {
        case .column, .literal: true
        default: false
        }
    }

    /// Each evaluation is another: it may not be copied, left out or done in advance.
    var isVolatile: Bool {
        if case .call(.volatile, _, _) = self { return true }
        return children.contains(where: \.isVolatile)
    }

    var columnOrdinal: Int? { if case .column(let ordinal, _) = self { ordinal } else { nil } }

    var literalValue: Value? { if case .literal(let value, _) = self { value } else { nil } }

    /// True where evaluating it can end in an error for some row (cast, overflow, division, …).
    package var canFail: Bool {
        switch self {
        case .column, .literal: return false
        case .and, .or, .not, .isNull, .inList, .conditional, .coalesce: break
        case .cast(let operand, let type, _): if !Expression.isLosslessCast(from: operand.type, to: type) { return true }
        case .call(let function, _, _): if !function.isTotal { return true }
        }
        return children.contains(where: \.canFail)
    }

    private static func isLosslessCast(from: DataType, to: DataType) -> Bool {
        if to == .text { return true }
        switch (from, to) {
        case (.smallint, .integer), (.smallint, .bigint), (.integer, .bigint), (.smallint, .double), (.integer, .double), (.bigint, .double),
            (.real, .double), (.smallint, .real), (.integer, .real), (.bigint, .real):
            return true
        case (.smallint, .numeric(nil, nil)), (.integer, .numeric(nil, nil)), (.bigint, .numeric(nil, nil)),
            (.numeric, .numeric(nil, nil)):
            return true
        default: return from == to
        }
    }
}

extension ScalarFunction {
    /// Functions that give a result for every value of their argument types.
    var isTotal: Bool {
        switch self {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .isDistinctFrom, .isNotDistinctFrom, .and, .or, .not,
            .isNull, .isNotNull, .isTrue, .isNotTrue, .isFalse, .isNotFalse, .coalesce, .nullif, .greatest, .least, .concatenate, .length,
            .octetLength, .lower, .upper, .trim, .trimLeft, .trimRight, .startsWith, .jsonField, .jsonFieldText, .identity:
            true
        default: false
        }
    }
}
