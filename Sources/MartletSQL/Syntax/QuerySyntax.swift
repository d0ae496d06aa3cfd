/// A query with everything that may follow its body.
package final class QuerySyntax: Sendable {
    package let with: [CommonTableSyntax]
    package let body: QueryBodySyntax
    package let orderBy: [OrderSyntax]
    package let limit: ExpressionSyntax?
    package let offset: ExpressionSyntax?
    /// FETCH … WITH TIES: rows that sort equal to the last one too.
    package let hasTies: Bool
    /// Offset of EMIT in `EMIT ON WINDOW CLOSE`.
    package let emitOnWindowClose: Int?
    /// FOR UPDATE and its kin.
    package let locksRows: Bool
    package let position: Int

    init(
        with: [CommonTableSyntax], body: QueryBodySyntax, orderBy: [OrderSyntax] = [], limit: ExpressionSyntax? = nil,
        offset: ExpressionSyntax? = nil, hasTies: Bool = false, emitOnWindowClose: Int? = nil, locksRows: Bool = false,
        position: Int
    ) {
        self.with = with
        self.body = body
        self.orderBy = orderBy
        self.limit = limit
        self.offset = offset
        self.hasTies = hasTies
        self.emitOnWindowClose = emitOnWindowClose
        self.locksRows = locksRows
        self.position = position
    }
}

package struct CommonTableSyntax: Sendable {
    package var name: Identifier
    package var columns: [Identifier]
    package var query: QuerySyntax
    /// It stands behind WITH RECURSIVE, and may read itself.
    package var isRecursive = false
}

package indirect enum QueryBodySyntax: Sendable {
    case select(SelectSyntax)
    case values([[ExpressionSyntax]], position: Int)
    /// A chain of one operator at one level; UNION ALL of many arms is flat.
    case combined(SetOperator, all: Bool, [QueryBodySyntax], position: Int)
    case parenthesized(QuerySyntax)
}

package enum SetOperator: String, Sendable { case union = "UNION", intersect = "INTERSECT", except = "EXCEPT" }

package struct SelectSyntax: Sendable {
    package enum Distinct: Sendable {
        case no, rows
        case on([ExpressionSyntax], position: Int)
    }
    package var distinct: Distinct
    package var items: [SelectItemSyntax]
    package var from: [FromSyntax]
    package var condition: ExpressionSyntax?
    package var groupBy: [ExpressionSyntax]
    /// Where GROUP BY has GROUPING SETS, ROLLUP or CUBE: all its items, in place of `groupBy`.
    package var groupingSets: [GroupingSyntax] = []
    package var having: ExpressionSyntax?
    package var windows: [(name: Identifier, definition: OverSyntax)]
    package var position: Int
}

/// An item of a GROUP BY that makes several groupings.
package indirect enum GroupingSyntax: Sendable {
    /// One expression, or several in parentheses (none: all rows together).
    case columns([ExpressionSyntax])
    case rollup([[ExpressionSyntax]])
    case cube([[ExpressionSyntax]], position: Int)
    case sets([GroupingSyntax])
}

package enum SelectItemSyntax: Sendable {
    /// `except`: columns left out of it, by their names.
    case all(position: Int, except: [[Identifier]] = [])
    case allOf(ObjectName, except: [[Identifier]] = [])
    /// `(value).*`: the fields of a composite value.
    case fields(ExpressionSyntax)
    case expression(ExpressionSyntax, alias: Identifier?)
}

package struct AliasSyntax: Sendable {
    package var name: Identifier
    package var columns: [Identifier]
    /// `AS x (a INT, b TEXT)`, for functions whose rows may have any columns; else empty.
    package var types: [TypeSyntax] = []
}

package indirect enum FromSyntax: Sendable {
    package struct Function: Sendable {
        package var name: ObjectName
        package var arguments: [ExpressionSyntax]
        package var alias: AliasSyntax?
        package var hasOrdinality: Bool
    }

    case relation(ObjectName, AliasSyntax?)
    /// `t FOR SYSTEM_TIME AS OF time`.
    case version(ObjectName, AliasSyntax?, at: ExpressionSyntax)
    /// The changes of a relation, as rows.
    case changelog(ObjectName)
    case subquery(QuerySyntax, AliasSyntax?, position: Int)
    /// May read the columns of what stands to its left.
    case lateral(QuerySyntax, AliasSyntax?, position: Int)
    /// TUMBLE, HOP and other table functions.
    case function(Function)
    case join(JoinSyntax)
}

package struct JoinSyntax: Sendable {
    package enum Kind: String, Sendable {
        case inner = "JOIN", left = "LEFT JOIN", right = "RIGHT JOIN", full = "FULL JOIN", cross = "CROSS JOIN"
        case asof = "ASOF JOIN", asofLeft = "ASOF LEFT JOIN"
    }
    package enum Condition: Sendable {
        case none, natural
        case on(ExpressionSyntax)
        case using([Identifier])
    }
    package var kind: Kind
    package var left: FromSyntax
    package var right: FromSyntax
    package var condition: Condition
    package var position: Int
}
