package import MartletCore

/// An expression compiled for batches: hot combinations of function and types run as kernels over whole columns, all
/// others through `ScalarFunction.evaluate` row by row, with the same results.
///
/// One thread at a time. A row that cannot be computed is noted in `RowErrors` and is NULL in the result.
package final class ExpressionEvaluator {
    /// What functions may depend on besides their arguments; a tick sets `now`.
    package var context: EvaluationContext
    package let type: DataType
    private let root: Node

    /// Nesting beyond this is refused (54001), so that evaluation never runs out of stack.
    package static let depthMax = 2_000

    package init(_ expression: Expression, context: EvaluationContext = .utc) throws(SQLError) {
        self.context = context
        type = expression.type
        root = try Compiler(context: context).node(expression, depth: 0)
    }

    /// The expression's value for every row of `batch`.
    package func evaluate(_ batch: Batch, errors: RowErrors) -> Column {
        let frame = Frame(batch, errors: errors, context: context)
        return root.evaluate(frame).expanded(batch.count)
    }

    /// The rows for which the (boolean) expression is true and without error.
    package func select(_ batch: Batch, errors: RowErrors) -> Selection {
        let frame = Frame(batch, errors: errors, context: context)
        let condition = root.evaluate(frame)
        if condition.isConstant {
            let isTrue = condition.column.bools[0] == 1
            return isTrue ? errors.survivors(of: batch.count) ?? .all(batch.count) : Selection(capacity: 0)
        }
        let selection = Selection.where(condition.column)
        guard !errors.isEmpty else { return selection }
        var kept = 0
        for at in 0..<selection.count where !errors.contains(Int(selection.indexes[at])) {
            selection.indexes[kept] = selection.indexes[at]
            kept += 1
        }
        selection.count = kept
        return selection
    }
}

/// A compiled expression node.
class Node {
    /// About how much a row costs, in units of a simple kernel.
    var cost: Int { 0 }
    func evaluate(_ frame: Frame) -> Vector { preconditionFailure("a node without evaluation") }
    /// The value where it is the same for all rows and batches.
    var constant: Column? { nil }
}

final class ColumnNode: Node {
    let index: Int
    let type: DataType

    init(_ index: Int, _ type: DataType) {
        self.index = index
        self.type = type
    }

    override func evaluate(_ frame: Frame) -> Vector {
        let column = frame.column(index)
        precondition(column.physical == PhysicalType(type), "column \(index) is \(column.type), not \(type)")
        return Vector(column)
    }
}

final class ConstantNode: Node {
    let column: Column

    init(_ column: Column) { self.column = column }

    override var constant: Column? { column }
    override func evaluate(_ frame: Frame) -> Vector { Vector(constant: column) }
}

struct Compiler {
    let context: EvaluationContext

    func node(_ expression: Expression, depth: Int) throws(SQLError) -> Node {
        if depth > ExpressionEvaluator.depthMax {
            throw SQLError(
                .statementTooComplex, "expression is nested too deeply",
                detail: "At most \(ExpressionEvaluator.depthMax) levels are evaluated.")
        }
        switch expression {
        case .column(let index, let type): return ColumnNode(index, type)
        case .literal(let value, let type): return ConstantNode(.constant(value, type: type, count: 1))
        case .call(let function, let arguments, let type): return try call(function, arguments, type, depth)
        case .cast(let operand, let type, let explicit):
            return CastNode(try node(operand, depth: depth + 1), from: operand.type, to: type, explicit: explicit)
        case .and(let operands): return JunctionNode(try nodes(operands, depth), isAnd: true)
        case .or(let operands): return JunctionNode(try nodes(operands, depth), isAnd: false)
        case .not(let operand): return NotNode(try node(operand, depth: depth + 1))
        case .isNull(let operand): return NullTestNode(try node(operand, depth: depth + 1), isNull: true)
        case .conditional(let branches, let otherwise, let type):
            var compiled: [ConditionalNode.Branch] = []
            for branch in branches {
                compiled.append(
                    ConditionalNode.Branch(
                        condition: try node(branch.condition, depth: depth + 1),
                        result: try node(branch.result, depth: depth + 1)))
            }
            return ConditionalNode(compiled, otherwise: try node(otherwise, depth: depth + 1), type: type)
        case .coalesce(let operands, let type): return CoalesceNode(try nodes(operands, depth), type: type)
        case .inList(let operand, let values):
            return InListNode(try node(operand, depth: depth + 1), type: operand.type, values)
        }
    }

    /// `(regexp_match(text, 'pattern'))[n]`, without the array in between; nil: it is something else.
    private func regexGroup(_ arguments: [Expression], _ depth: Int) throws(SQLError) -> Node? {
        guard arguments.count == 2, case .call(.regexpMatch, let inner, _) = arguments[0], inner.count == 2,
            case .literal(.text(let pattern), _) = inner[1], case .literal(.integer(let group), _) = arguments[1],
            let regex = try? Regex.cached(pattern, RegexOptions())
        else { return nil }
        return RegexGroupNode(try node(inner[0], depth: depth + 2), regex, group: Int(group))
    }

    private func nodes(_ operands: [Expression], _ depth: Int) throws(SQLError) -> [Node] {
        var nodes: [Node] = []
        for operand in operands { nodes.append(try node(operand, depth: depth + 1)) }
        return nodes
    }

    private func call(
        _ function: ScalarFunction, _ arguments: [Expression], _ type: DataType, _ depth: Int
    ) throws(SQLError) -> Node {
        if function == .arrayGet, let node = try regexGroup(arguments, depth) { return node }
        let operands = try nodes(arguments, depth)
        switch function {
        case .and: return JunctionNode(operands, isAnd: true)
        case .or: return JunctionNode(operands, isAnd: false)
        case .coalesce: return CoalesceNode(operands, type: type)
        case .not where operands.count == 1: return NotNode(operands[0])
        case .isNull where operands.count == 1: return NullTestNode(operands[0], isNull: true)
        case .isNotNull where operands.count == 1: return NullTestNode(operands[0], isNull: false)
        default: return CallNode(Call(function, arguments.map(\.type), type), operands)
        }
    }
}
