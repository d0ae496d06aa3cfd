internal import MartletCore

/// The name PostgreSQL gives an output column that has no alias (FigureColname).
enum ColumnNames {
    static func name(of expression: ExpressionSyntax) -> String { strong(expression).name }

    /// `isWeak` names give way to those found inside: a cast takes its operand's name if that has one.
    private static func strong(_ expression: ExpressionSyntax) -> (name: String, isWeak: Bool) {
        switch expression.kind {
        case .name(let parts): return (parts.last?.text ?? "?column?", false)
        // SIMILAR TO is an operator in the guise of a call.
        case .call(let call): return call.name.last.text.hasSuffix(" to") ? ("?column?", true) : (call.name.last.text, false)
        case .cast(let operand, let type):
            let inner = strong(operand)
            return inner.isWeak ? (internalName(type.name), true) : inner
        case .typedLiteral(let type, _): return (internalName(type.name), true)
        case .conditional(_, _, let otherwise):
            if let otherwise {
                let inner = strong(otherwise)
                if !inner.isWeak { return inner }
            }
            return ("case", true)
        case .array: return ("array", false)
        case .row: return ("row", false)
        case .exists: return ("exists", true)
        case .subscripted(let operand, _): return strong(operand)
        case .field(_, let name): return (name.text, false)
        default: return ("?column?", true)
        }
    }

    /// pg_type.typname.
    static func internalName(_ name: String) -> String {
        guard let type = DataType(sqlName: name) else { return name }
        return switch type {
        case .boolean: "bool"
        case .smallint: "int2"
        case .integer: "int4"
        case .bigint: "int8"
        case .real: "float4"
        case .double: "float8"
        case .numeric: "numeric"
        case .text: name == "varchar" || name == "character varying" ? "varchar" : "text"
        case .time: "time"
        case .timestamp: "timestamp"
        case .timestamptz: "timestamptz"
        case .bytea, .date, .interval, .jsonb, .uuid, .unknown: type.sqlName
        case .array(let element): "_" + internalName(element.sqlName)
        case .structure: "record"
        }
    }
}
