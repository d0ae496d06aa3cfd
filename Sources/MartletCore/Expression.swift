/// What SQL binds to and columns evaluate: scalar expressions, and the names of aggregate functions.

/// A typed scalar expression over one input row. Column references are ordinals into the input's fields.
package indirect enum Expression: Hashable, Sendable {
    case column(Int, DataType)
    case literal(Value, DataType)
    case call(ScalarFunction, [Expression], DataType)
    case cast(Expression, DataType, explicit: Bool)
    /// Three-valued logic; operands may be evaluated in any order, but an operand's error counts only where the others do not decide.
    case and([Expression])
    case or([Expression])
    case not(Expression)
    case isNull(Expression)
    /// Branches in order; a branch is evaluated only for the rows that reach it (so its errors count only there). No match: `otherwise`.
    case conditional(branches: [ConditionalBranch], otherwise: Expression, DataType)
    /// The first operand that is not NULL; later ones are evaluated only where needed.
    case coalesce([Expression], DataType)
    /// `operand IN (constants)`, folded to a set.
    case inList(Expression, [Value])
}

package struct ConditionalBranch: Hashable, Sendable {
    package var condition: Expression
    package var result: Expression

    package init(condition: Expression, result: Expression) {
        self.condition = condition
        self.result = result
    }
}

extension Expression {
    package var type: DataType {
        switch self {
        case .column(_, let type), .literal(_, let type), .call(_, _, let type), .cast(_, let type, _),
            .conditional(_, _, let type), .coalesce(_, let type):
            type
        case .and, .or, .not, .isNull, .inList: .boolean
        }
    }
}

extension Expression {
    /// Ordinals of the input columns that the expression reads.
    package var columnsUsed: Set<Int> {
        var found: Set<Int> = []
        var rest = [self]
        while let next = rest.popLast() {
            switch next {
            case .column(let ordinal, _): found.insert(ordinal)
            case .literal: break
            case .call(_, let operands, _), .and(let operands), .or(let operands), .coalesce(let operands, _):
                rest += operands
            case .cast(let operand, _, _), .not(let operand), .isNull(let operand), .inList(let operand, _):
                rest.append(operand)
            case .conditional(let branches, let otherwise, _):
                for branch in branches { rest += [branch.condition, branch.result] }
                rest.append(otherwise)
            }
        }
        return found
    }
}
