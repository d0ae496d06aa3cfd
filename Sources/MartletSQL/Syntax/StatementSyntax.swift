/// One statement of a script, as parsed.
package struct StatementSyntax: Sendable {
    package var kind: Kind
    /// UTF-8 offsets of its text, without the semicolon.
    package var start: Int
    package var end: Int

    package enum Kind: Sendable {
        case createSource(CreateSourceSyntax)
        case createView(CreateViewSyntax)
        case createSink(CreateSinkSyntax)
        case select(QuerySyntax)
        indirect case explain(StatementSyntax, ExplainOptions)
        case set(SetSyntax)
        case show(Identifier)
        case session(SessionSyntax)
    }
}

package struct CreateSourceSyntax: Sendable {
    package var name: ObjectName
    package var ifNotExists: Bool
    package var columns: [ColumnSyntax]
    package var includes: [IncludeSyntax]
    package var watermark: WatermarkSyntax?
    package var options: [OptionSyntax]
    package var format: FormatSyntax?
    package var pipeline: Identifier?
    package var position: Int
}

/// SET, RESET: no value is the default.
package struct SetSyntax: Sendable {
    package var name: Identifier
    package var value: String?
    package var isLocal: Bool
}

package struct ColumnSyntax: Sendable {
    package var name: Identifier
    package var type: TypeSyntax
    package var isNotNull: Bool
    package var path: JSONPathSyntax?
    package var generated: ExpressionSyntax?
}

/// `PATH '$.user.name'`.
package struct JSONPathSyntax: Sendable {
    package var text: String
    package var position: Int
}

package struct IncludeSyntax: Sendable {
    package var what: Identifier
    /// INCLUDE HEADER 'name'.
    package var key: String?
    package var alias: Identifier?
}

package struct WatermarkSyntax: Sendable {
    package var column: Identifier
    package var expression: ExpressionSyntax
    package var position: Int
}

/// One `name = value` of a WITH or ENCODE list.
package struct OptionSyntax: Sendable {
    package var name: Identifier
    package var value: String
    package var valuePosition: Int
    /// False for numbers and words.
    package var isString: Bool
}

package struct FormatSyntax: Sendable {
    package var format: Identifier
    package var encode: Identifier
    package var options: [OptionSyntax]
    package var position: Int
}

package struct CreateViewSyntax: Sendable {
    package var name: ObjectName
    package var ifNotExists: Bool
    package var isMaterialized: Bool
    package var columns: [Identifier]
    package var options: [OptionSyntax]
    package var query: QuerySyntax
    package var pipeline: Identifier?
    /// OR REPLACE.
    package var replaces: Bool
    package var position: Int
}

package struct CreateSinkSyntax: Sendable {
    package enum Input: Sendable {
        case relation(ObjectName)
        case query(QuerySyntax)
    }
    package var name: ObjectName
    package var ifNotExists: Bool
    package var input: Input
    package var options: [OptionSyntax]
    package var format: FormatSyntax?
    /// CREATE SINK … INTO table.
    package var table: ObjectName?
    /// Of the table; nil: all, in order.
    package var columns: [Identifier]?
    package var pipeline: Identifier?
    package var position: Int
}
