/// Statements of a session as parsed: tables and their rows, objects' lives, cursors, subscriptions. What needs no names resolved
/// (transactions, parameters, prepared statements) is in its final form already.
package indirect enum SessionSyntax: Sendable {
    case createTable(CreateTableSyntax)
    case createSequence(CreateSequenceSyntax)
    case insert(InsertSyntax)
    case update(UpdateSyntax)
    case delete(DeleteSyntax)
    case truncate([ObjectName], restartsIdentity: Bool)
    case drop(DropSyntax)
    case alter(AlterSyntax)
    case createIndex(CreateIndexSyntax)
    case createSchema(Identifier, ifNotExists: Bool)
    case createDatabase(Identifier, ifNotExists: Bool)
    case createFunction(CreateFunctionSyntax)
    case createPipeline(Identifier, ifNotExists: Bool)
    /// CREATE TYPE … AS (…).
    case createType(ObjectName, [(name: Identifier, type: TypeSyntax)])
    case createSubscription(CreateSubscriptionSyntax)
    case comment(ObjectKind?, ObjectName, column: Identifier?, text: String?)
    case show(ShowSyntax)
    case describe(ObjectName)
    case use(Identifier)
    /// EXPLAIN ANALYZE of what runs.
    case analyze(ObjectKind, ObjectName)
    case copy(CopySyntax)
    case prepare(Identifier, types: [TypeSyntax], statement: StatementSyntax)
    case execute(Identifier, [ExpressionSyntax])
    case declareCursor(Identifier, CursorOptions, QuerySyntax)
    case declareSubscriptionCursor(Identifier, SubscriptionCursorSyntax)
    case subscribe(SubscribeSyntax)
    /// Carried out as it stands.
    case plain(SessionStatement)
}

package struct CreateTableSyntax: Sendable {
    package var name: ObjectName
    package var ifNotExists: Bool
    package var columns: [TableColumnSyntax] = []
    /// LIKE: whose columns stand where, by the number of own columns before them; with INCLUDING ALL or INDEXES its key, too.
    package var likes: [(place: Int, relation: ObjectName, takesKey: Bool)] = []
    /// CHECK and UNIQUE that stand beside the columns.
    package var constraints: [ConstraintSyntax] = []
    package var includes: [IncludeSyntax] = []
    package var watermark: WatermarkSyntax?
    package var watermarkHasTTL = false
    /// PRIMARY KEY (a, b) of the table, or the one column's own.
    package var primaryKey: [Identifier]?
    package var isAppendOnly = false
    package var conflict: TableDefinition.Conflict?
    package var versionColumns: [Identifier] = []
    package var options: [OptionSyntax] = []
    package var optionsPosition: Int?
    package var format: FormatSyntax?
    package var query: QuerySyntax?
    /// WITH NO DATA: of the query only its columns.
    package var isEmpty = false
    package var pipeline: Identifier?
    package var position: Int
}

package struct CreateSequenceSyntax: Sendable {
    package var name: ObjectName
    package var ifNotExists: Bool
    package var options: SequenceOptionsSyntax
    package var position: Int
}

/// What CREATE or ALTER says of a counter; nil: nothing.
package struct SequenceOptionsSyntax: Sendable {
    package enum Number: Sendable {
        case given(Int64)
        /// NO MINVALUE, NO MAXVALUE, RESTART alone: as the direction, the type and the start have it.
        case usual
    }
    package var increment: Int64?
    package var start: Int64?
    package var least: Number?
    package var most: Number?
    package var type: TypeSyntax?
    /// RESTART: what is drawn next.
    package var restart: Number?
    package var position: Int
}

package struct TableColumnSyntax: Sendable {
    package var column: ColumnSyntax
    package var defaultValue: ExpressionSyntax?
    package var generated: ExpressionSyntax?
    /// SERIAL, or GENERATED … AS IDENTITY.
    package var identity: TableColumn.Identity?
    package var constraints: [ConstraintSyntax] = []
    package var isPrimaryKey = false
}

/// CHECK or UNIQUE of a table.
package struct ConstraintSyntax: Sendable {
    package enum Kind: Sendable {
        /// `of`: the column that it stands with; its name becomes part of the constraint's.
        case check(ExpressionSyntax, of: Identifier?)
        case unique([Identifier])
    }
    package var name: Identifier?
    package var kind: Kind
    package var position: Int
}

package struct ReturningSyntax: Sendable {
    package var items: [SelectItemSyntax]
    package var position: Int
}

package struct InsertSyntax: Sendable {
    package enum Rows: Sendable {
        case defaultValues
        /// nil: DEFAULT.
        case values([[ExpressionSyntax?]], position: Int)
        case query(QuerySyntax)
    }

    package struct Conflict: Sendable {
        package var target: [Identifier]?
        /// ON CONSTRAINT.
        package var constraint: Identifier?
        /// nil: DO NOTHING.
        package var set: [AssignmentSyntax]?
        package var condition: ExpressionSyntax?
        package var position: Int
    }

    package var with: [CommonTableSyntax] = []
    package var table: ObjectName
    package var alias: Identifier?
    package var columns: [Identifier]?
    /// OVERRIDING SYSTEM VALUE (true): values given for GENERATED ALWAYS columns count; USER VALUE (false): those given for
    /// any column that numbers its rows do not.
    package var overridesSystemValue: Bool?
    package var rows: Rows
    package var conflict: Conflict?
    package var returning: ReturningSyntax?
    package var position: Int
}

/// `column = value` of UPDATE; nil: DEFAULT. `(a, b) = (x, y)` is two of them.
package struct AssignmentSyntax: Sendable {
    package var column: Identifier
    package var value: ExpressionSyntax?
}

package struct UpdateSyntax: Sendable {
    package var with: [CommonTableSyntax] = []
    package var table: ObjectName
    package var alias: AliasSyntax?
    package var set: [AssignmentSyntax]
    package var from: [FromSyntax]
    package var condition: ExpressionSyntax?
    package var returning: ReturningSyntax?
    package var position: Int
}

package struct DeleteSyntax: Sendable {
    package var with: [CommonTableSyntax] = []
    package var table: ObjectName
    package var alias: AliasSyntax?
    package var using: [FromSyntax]
    package var condition: ExpressionSyntax?
    package var returning: ReturningSyntax?
    package var position: Int
}

package struct DropSyntax: Sendable {
    package var kind: ObjectKind
    package var names: [ObjectName]
    package var ifExists: Bool
    package var isCascade: Bool
    package var position: Int
}

package struct AlterSyntax: Sendable {
    package enum Change: Sendable {
        case rename(Identifier)
        case renameColumn(Identifier, to: Identifier)
        case addColumn(TableColumnSyntax, ifNotExists: Bool)
        case dropColumn(Identifier, ifExists: Bool, isCascade: Bool)
        case addConstraint(ConstraintSyntax)
        case dropConstraint(Identifier, ifExists: Bool)
        /// nil: DROP DEFAULT.
        case setDefault(Identifier, ExpressionSyntax?)
        /// SET NOT NULL, DROP NOT NULL.
        case setNotNull(Identifier, Bool)
        case setSchema(Identifier)
        case swap(with: ObjectName)
        /// Of a sequence, or of a column that numbers rows.
        case setCounter(of: Identifier?, SequenceOptionsSyntax)
        /// RESUME, PAUSE.
        case setRunning(Bool)
        /// SET (retention_seconds = …, …), RESET (retention_seconds, …): what stands in the parentheses.
        case setOptions([OptionSyntax], isReset: Bool)
        /// OWNER TO, SET PARALLELISM and the like: accepted, without effect.
        case withoutEffect(String)
    }
    package var kind: ObjectKind
    package var name: ObjectName
    package var ifExists: Bool
    package var changes: [Change]
    package var position: Int
}

package struct CreateIndexSyntax: Sendable {
    package var name: Identifier?
    package var table: ObjectName
    package var columns: [ExpressionSyntax]
    package var isUnique: Bool
    package var ifNotExists: Bool
    package var position: Int
}

package struct CreateFunctionSyntax: Sendable {
    package var name: ObjectName
    package var parameters: [(name: Identifier?, type: TypeSyntax)]
    package var result: TypeSyntax
    package var language: String
    package var body: String
    package var bodyPosition: Int
    package var replaces: Bool
    package var ifNotExists = false
    package var position: Int
}

package struct CreateSubscriptionSyntax: Sendable {
    package var name: ObjectName
    package var relation: ObjectName
    package var options: [OptionSyntax]
    package var ifNotExists: Bool
    package var position: Int
}

package enum ShowSyntax: Sendable {
    case objects(ShowStatement.Listing, schema: Identifier?, pattern: String?)
    case columns(ObjectName)
    case indexes(ObjectName)
    case create(ObjectKind, ObjectName)
}

package struct CopySyntax: Sendable {
    package enum Source: Sendable {
        case table(ObjectName, columns: [Identifier]?)
        case query(QuerySyntax)
    }
    package var source: Source
    package var isFrom: Bool
    package var options: CopyOptions
    package var position: Int
}

package struct SubscriptionCursorSyntax: Sendable {
    package enum Start: Sendable {
        case now, begin, proctime
        /// Milliseconds since 1970, as `SINCE` takes them.
        case since(Int64)
        /// TICK n.
        case tick(Int64)
        /// Without SINCE: the relation's rows first, then its changes.
        case full
    }
    /// nil: of `relation` itself, without a subscription.
    package var subscription: ObjectName?
    package var relation: ObjectName?
    package var start: Start
    package var position: Int
}

package struct SubscribeSyntax: Sendable {
    package var relation: ObjectName
    package var options: [OptionSyntax]
    package var position: Int
}
