/// What keeps hostile or generated SQL from exhausting memory or stack. Exceeding one is SQLSTATE 54000 or 54001, never a trap.
package enum SQLLimits {
    /// 16 MiB per text (file or query string).
    package static let textBytesMax = 16 << 20
    /// Open parentheses (and other constructs that make the parser recurse) at any point.
    package static let nestingMax = 1_000
    /// Height of an expression tree. Chains of AND and OR are flat, so they do not count; `a + b + c …` does.
    package static let expressionDepthMax = 2_000
    /// Plan nodes of one statement after views and common table expressions have been put in their places.
    package static let planNodesMax = 10_000
    /// Height of a plan after views have been put in their places.
    package static let planDepthMax = 400
    /// Columns of a relation or a select list, as in PostgreSQL.
    package static let columnsMax = 1_664
}
