/// A name as written, folded to lower case unless it was quoted.
package struct Identifier: Hashable, Sendable {
    package var text: String
    /// UTF-8 offset into the text.
    package var position: Int
    package var isQuoted = false
}

/// `relation`, `schema.relation` or `database.schema.relation`.
package struct ObjectName: Hashable, Sendable {
    package var parts: [Identifier]
    package var position: Int { parts.first?.position ?? 0 }
    package var last: Identifier { parts.last ?? Identifier(text: "", position: 0) }
    package var text: String { parts.map(\.text).joined(separator: ".") }
}

/// An expression as parsed; nothing is resolved. `depth` is the height of the tree, bounded by `SQLLimits.expressionDepthMax`,
/// so that recursion over it (also its release) is bounded.
package struct ExpressionSyntax: Sendable {
    package var kind: Kind
    /// UTF-8 offset of the token an error about this expression should point at, as PostgreSQL chooses it.
    package var position: Int
    package var depth: Int32

    package indirect enum Kind: Sendable {
        /// One to four names: column, table.column, …
        case name([Identifier])
        case null
        case boolean(Bool)
        /// Digits as written without separators: type by size (integer, bigint, numeric).
        case integer(String)
        /// With a fraction or an exponent: numeric.
        case number(String)
        case string(String)
        case bytes([UInt8])
        case parameter(Int)
        /// `DATE '…'`, `INTERVAL '…' [fields]`: a string read as that type.
        case typedLiteral(TypeSyntax, String)
        case unary(String, ExpressionSyntax)
        case binary(String, ExpressionSyntax, ExpressionSyntax)
        case and([ExpressionSyntax])
        case or([ExpressionSyntax])
        case not(ExpressionSyntax)
        case isTest(ExpressionSyntax, IsTest, negated: Bool)
        case isDistinct(ExpressionSyntax, ExpressionSyntax, negated: Bool)
        case between(ExpressionSyntax, ExpressionSyntax, ExpressionSyntax, negated: Bool, symmetric: Bool)
        case inList(ExpressionSyntax, [ExpressionSyntax], negated: Bool)
        case inSubquery(ExpressionSyntax, QuerySyntax, negated: Bool)
        case like(ExpressionSyntax, ExpressionSyntax, escape: ExpressionSyntax?, negated: Bool, caseInsensitive: Bool)
        case conditional(operand: ExpressionSyntax?, branches: [Branch], otherwise: ExpressionSyntax?)
        case cast(ExpressionSyntax, TypeSyntax)
        case call(CallSyntax)
        case subquery(QuerySyntax)
        case exists(QuerySyntax)
        case arraySubquery(QuerySyntax)
        case row([ExpressionSyntax])
        case array([ExpressionSyntax])
        /// `a[1][2:3]`: all brackets in a row.
        case subscripted(ExpressionSyntax, [Subscript])
        /// `(x).field`
        case field(ExpressionSyntax, Identifier)
        /// `x = ANY (array)`, `x < ALL (array)`
        case quantified(String, ExpressionSyntax, ExpressionSyntax, isAll: Bool)
        /// `name => value` and Flink's `TABLE rel`, `DESCRIPTOR(ts)`: arguments of table functions only.
        case named(Identifier, ExpressionSyntax)
        case table(ObjectName)
        case descriptor([Identifier])
    }

    var isNamed: Bool { if case .named = kind { true } else { false } }

    /// `[n]`, or `[lower:upper]` with either bound left out.
    package struct Subscript: Sendable {
        package var lower: ExpressionSyntax?
        package var upper: ExpressionSyntax?
        package var isSlice: Bool
    }

    package enum IsTest: Sendable { case null, isTrue, isFalse, unknown }

    package struct Branch: Sendable {
        package var condition: ExpressionSyntax
        package var result: ExpressionSyntax
    }
}

/// A type as written: its words in lower case and the numbers in parentheses.
package struct TypeSyntax: Sendable {
    package var name: String
    package var modifiers: [Int]
    package var position: Int
    package var isArray = false
    /// Written in quotes: `"char"` is another type than `char`.
    package var isQuoted = false
    /// `INTERVAL '1' DAY`: the unit of a bare number, and the fields kept.
    package var intervalFields: String?
    /// The fields of `STRUCT<a INT, b TEXT>`.
    package var fields: [TypeFieldSyntax]?
}

extension TypeSyntax {
    /// Characters at most: VARCHAR(n), CHAR(n), CHAR alone; nil where there is no limit.
    var lengthLimit: Int? {
        guard !isArray, !isQuoted else { return nil }
        switch name {
        case "varchar", "character varying", "bpchar": return modifiers.count == 1 ? modifiers[0] : nil
        case "char", "character": return modifiers.count <= 1 ? modifiers.first ?? 1 : nil
        default: return nil
        }
    }
}

package struct TypeFieldSyntax: Sendable {
    package var name: Identifier
    package var type: TypeSyntax
}

package struct CallSyntax: Sendable {
    package var name: ObjectName
    package var arguments: [ExpressionSyntax]
    /// count(*).
    package var isStar = false
    package var isDistinct = false
    package var orderBy: [OrderSyntax] = []
    /// WITHIN GROUP (ORDER BY …).
    package var withinGroup: [OrderSyntax] = []
    package var filter: ExpressionSyntax?
    package var over: OverSyntax?
    package var ignoresNulls = false
    package var position: Int
}

package struct OrderSyntax: Sendable {
    package var expression: ExpressionSyntax
    package var descending: Bool
    /// nil: last when ascending, first when descending, as PostgreSQL has it.
    package var nullsFirst: Bool?
}

package struct OverSyntax: Sendable {
    package var name: Identifier?
    package var partition: [ExpressionSyntax]
    package var order: [OrderSyntax]
    package var frame: FrameSyntax?
    package var position: Int
}

package struct FrameSyntax: Sendable {
    package enum Unit: Sendable { case rows, range, groups, session }
    package enum Bound: Sendable {
        case unboundedPreceding, currentRow, unboundedFollowing
        case preceding(ExpressionSyntax)
        case following(ExpressionSyntax)
    }
    package var unit: Unit
    package var start: Bound
    package var end: Bound?
    package var exclusion = WindowFrame.Exclusion.noOthers
    package var position: Int
}
