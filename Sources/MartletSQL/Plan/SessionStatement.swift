package import MartletCore

/// A query to be answered once: `plan`'s rows, in order, cut, and its first `fields.count` columns shown.
package struct BoundQuery: Sendable {
    package var plan: Plan
    package var fields: [Field]
    /// Over the plan's columns; those behind `fields` are there for it alone.
    package var order: [SortKey] = []
    package var limit: Int64?
    package var offset: Int64 = 0

    package init(plan: Plan, fields: [Field], order: [SortKey] = [], limit: Int64? = nil, offset: Int64 = 0) {
        self.plan = plan
        self.fields = fields
        self.order = order
        self.limit = limit
        self.offset = offset
    }
}

/// Kinds of objects that statements name.
package enum ObjectKind: String, Hashable, Sendable, CaseIterable {
    case table, view, source, sink, index, sequence, type, schema, database, function, subscription, pipeline, connection, secret, column
    case materializedView = "materialized view"
}

/// What a session carries out besides definitions and queries. Names of relations are canonical (`CatalogReader.relation`).
package indirect enum SessionStatement: Sendable {
    /// `rows`: of CREATE TABLE … AS, in the table's columns.
    case createTable(TableDefinition, rows: Plan?)
    case insert(InsertStatement)
    case update(UpdateStatement)
    case delete(DeleteStatement)
    case truncate([String], restartsIdentity: Bool)
    case drop(DropStatement)
    case alter(AlterStatement)
    case createIndex(IndexDefinition)
    case createSchema(String, ifNotExists: Bool)
    case createDatabase(String, ifNotExists: Bool)
    case createFunction(FunctionDefinition)
    case createPipeline(String, ifNotExists: Bool)
    /// A composite type by another name.
    case createType(String, DataType)
    case createSubscription(SubscriptionDefinition)
    /// `text` nil removes it.
    case comment(ObjectKind, name: String, column: String?, text: String?)
    case transaction(TransactionStatement)
    case show(ShowStatement)
    /// DESCRIBE: the relation's columns.
    case describe(String)
    /// EXPLAIN ANALYZE of what runs already.
    case analyze(ObjectKind, String)
    /// EXPLAIN ANALYZE: the statement is carried out.
    case explainAnalyze(BoundStatement, ExplainOptions)
    case copy(CopyStatement)
    /// PREPARE: to be prepared as a text of its own; types that were given.
    case prepare(name: String, types: [DataType], text: String)
    /// EXECUTE: untyped literals have the type `unknown` and are yet to be read as the parameter's type.
    case execute(name: String, arguments: [TypedValue])
    /// nil: all.
    case deallocate(name: String?)
    case declareCursor(name: String, CursorOptions, BoundQuery)
    case fetch(FetchStatement)
    /// nil: all.
    case closeCursor(name: String?)
    case subscribe(SubscribeStatement)
    case declareSubscriptionCursor(SubscriptionCursor)
    case flush
    /// Waits until what is being created is complete.
    case wait
    case cancelJobs([Int64])
    case discard(DiscardTarget)
    /// Accepted for compatibility; does nothing but say so.
    case accepted(tag: String, notice: String?)
}

extension SessionStatement {
    /// What the statement is called, where it means nothing without somebody who keeps tables and answers sessions.
    package var needsDatabase: String? {
        switch self {
        case .createTable: "CREATE TABLE"
        case .insert: "INSERT"
        case .update: "UPDATE"
        case .delete: "DELETE"
        case .truncate: "TRUNCATE"
        case .alter: "ALTER"
        case .copy: "COPY"
        case .subscribe: "SUBSCRIBE"
        case .createSubscription, .declareSubscriptionCursor: "a subscription"
        case .declareCursor, .fetch, .closeCursor: "a cursor"
        case .prepare, .execute, .deallocate: "a prepared statement"
        case .explainAnalyze, .analyze: "EXPLAIN ANALYZE"
        case .drop, .createIndex, .createSchema, .createDatabase, .createFunction, .createPipeline, .createType, .comment, .transaction, .show, .describe,
            .flush, .wait, .cancelJobs, .discard, .accepted:
            nil
        }
    }
}

package struct TypedValue: Hashable, Sendable {
    package var value: Value
    package var type: DataType

    package init(value: Value, type: DataType) {
        self.value = value
        self.type = type
    }
}

package struct DropStatement: Sendable {
    package var kind: ObjectKind
    /// Those that exist, as far as the binder knows.
    package var names: [String]
    package var ifExists: Bool
    package var isCascade: Bool
    /// What IF EXISTS did not find.
    package var notices: [String]
}

package struct AlterStatement: Sendable {
    package enum Change: Sendable {
        /// The new canonical name.
        case rename(to: String)
        case renameColumn(Int, to: String)
        /// `backfill`: what rows there already have in it.
        case addColumn(TableColumn, backfill: Value)
        /// Ordinal; `isCascade`: also what reads it.
        case dropColumn(Int, isCascade: Bool)
        case addCheck(CheckConstraint)
        case addUnique(UniqueConstraint)
        /// CHECK or UNIQUE, by its name.
        case dropConstraint(String)
        /// nil: NULL.
        case setDefault(Int, Expression?)
        case setNotNull(Int, Bool)
        /// The new canonical name.
        case setSchema(to: String)
        /// Each takes the other's name (canonical).
        case swap(with: String)
        /// Of the column that numbers rows. `next`: what is drawn next; nil: it goes on.
        case setCounter(Int, TableColumn.Identity, next: Int64?)
        /// What computes it goes on, or stands still.
        case setRunning(Bool)
        /// How long changes of a table or materialized view are kept for reads of the past, microseconds; nil: no longer.
        case setRetention(Int64?)
    }
    package var kind: ObjectKind
    package var name: String
    package var changes: [Change]
    package var notices: [String]
}

/// A hint: what is looked up by the columns. The engine chooses its own indexes. A unique one is a constraint of that name, too.
package struct IndexDefinition: Hashable, Sendable {
    package var name: String
    package var table: String
    /// Ordinals into the relation's fields; expressions are left out.
    package var columns: [Int]
    package var isUnique: Bool
    package var ifNotExists: Bool
    package var text: String
}

/// CREATE FUNCTION … LANGUAGE SQL: an expression put in the place of its calls.
package struct FunctionDefinition: Sendable {
    package var name: String
    package var parameterNames: [String?]
    package var parameterTypes: [DataType]
    package var result: DataType
    /// The expression, over `$1`, `$2`, … and the parameters' names.
    package var body: ExpressionSyntax
    package var replaces: Bool
    package var text: String
}

package struct SubscriptionDefinition: Hashable, Sendable {
    package var name: String
    package var relation: String
    /// Microseconds that changes are kept.
    package var retention: Int64
    package var ifNotExists: Bool
    package var text: String
}

package enum TransactionStatement: Hashable, Sendable {
    case begin(isReadOnly: Bool)
    case commit(chain: Bool)
    case rollback(chain: Bool)
    case savepoint(String)
    case release(String)
    case rollbackTo(String)
    /// SET TRANSACTION, SET SESSION CHARACTERISTICS: isolation levels are all one here.
    case characteristics(isReadOnly: Bool?)
}

package enum ShowStatement: Sendable {
    package enum Listing: String, Sendable, CaseIterable {
        case tables, views, sources, sinks, schemas, databases, functions, jobs, subscriptions, indexes, pipelines, connections, secrets
        case parameters, processlist, cursors, cluster
        case materializedViews = "materialized views"
        case internalTables = "internal tables"
        case subscriptionCursors = "subscription cursors"
    }
    /// `schema` nil: the search path's. `pattern`: LIKE.
    case objects(Listing, schema: String?, pattern: String?)
    case columns(String)
    case indexes(String)
    case create(ObjectKind, String)
    /// SHOW ALL.
    case allParameters
}

package struct ExplainOptions: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable { case text, json, xml, yaml }
    package var analyze = false
    package var verbose = false
    package var format = Format.text
    package init() {}
}

package struct CursorOptions: Hashable, Sendable {
    package var isBinary = false
    package var isScrollable = false
    /// WITH HOLD: outlives its transaction.
    package var isHeld = false
}

package struct FetchStatement: Hashable, Sendable {
    package enum Direction: Hashable, Sendable {
        /// Rows ahead; negative: back. nil: all.
        case forward(Int64?)
        case backward(Int64?)
        case absolute(Int64)
        case relative(Int64)
        case first, last
    }
    package var cursor: String
    package var direction: Direction
    /// MOVE: the rows are passed over.
    package var isMove: Bool
    /// WITH (timeout = …) of a subscription's cursor, in microseconds.
    package var timeout: Int64?
}

package struct CopyOptions: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable { case text, csv, binary }
    package var format = Format.text
    /// nil: the format's own (tab, comma).
    package var delimiter: UInt8?
    package var null: String?
    package var quote: UInt8?
    package var escape: UInt8?
    package var hasHeader = false
    /// HEADER MATCH: the names must be the columns'.
    package var headerMustMatch = false
}

package struct CopyStatement: Sendable {
    package enum Kind: Sendable {
        /// `row`: the table's columns, over the copied ones (`columns`, ordinals into the table's, whose types `fields` has).
        case from(table: String, columns: [Int], row: [Expression])
        case to(BoundQuery)
    }
    package var kind: Kind
    package var options: CopyOptions
    package var fields: [Field]
}

package struct SubscribeStatement: Sendable {
    package var relation: String
    package var fields: [Field]
    /// The rows that are there come first.
    package var hasSnapshot: Bool
    /// Rows that only say how far the subscription has come.
    package var hasProgress: Bool
    /// Resume behind this tick.
    package var since: Int64?
}

package struct SubscriptionCursor: Sendable {
    package enum Start: Hashable, Sendable {
        case now
        /// The oldest change kept.
        case begin
        /// Microseconds since 1970.
        case time(Int64)
        /// Behind a tick.
        case tick(Int64)
        /// The relation's rows first, then its changes.
        case full
    }
    package var name: String
    package var subscription: String?
    /// Where there is no subscription: the relation whose changes are followed.
    package var relation: String?
    package var start: Start
}

package enum DiscardTarget: String, Hashable, Sendable { case all, plans, sequences, temp }
