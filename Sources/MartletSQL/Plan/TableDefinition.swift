package import MartletCore

/// A column of a table.
package struct TableColumn: Hashable, Sendable {
    package var name: String
    package var type: DataType
    package var isNotNull: Bool
    /// A value without columns, of the column's type; nil: NULL.
    package var defaultValue: Expression?
    /// `AS (…)`: computed from the table's other columns, of the column's type.
    package var generated: Expression?
    /// `now()` in a default or generated value, as a column: the time at which the row is made.
    package static let now = 1 << 46

    /// SERIAL, or GENERATED … AS IDENTITY: a column that numbers its rows. Its value where none is given is drawn from a
    /// counter of the table, one number a row, also for rows that then do not come to stay.
    package struct Identity: Hashable, Sendable {
        /// Values are given only with OVERRIDING SYSTEM VALUE.
        package var isAlways: Bool
        package var start: Int64 = 1
        package var increment: Int64 = 1
        /// What is beyond is not drawn: 2200H.
        package var bounds: ClosedRange<Int64> = .min ... .max

        package init(isAlways: Bool) { self.isAlways = isAlways }
    }
    package var identity: Identity?

    /// Where a record's value is taken from (tables with a connector).
    package var origin: SourceColumn?

    package init(name: String, type: DataType, isNotNull: Bool = false) {
        self.name = name
        self.type = type
        self.isNotNull = isNotNull
    }
}

/// A table: rows that statements (or a connector's records) insert, change and delete.
///
/// Reads of it are `Plan.relation(name, fields)`: changing, unless it is append-only, and keyed where it has a primary key.
package struct TableDefinition: Hashable, Sendable {
    /// What becomes of a row whose key is there already.
    package enum Conflict: String, Hashable, Sendable {
        /// 23505, as in PostgreSQL.
        case error
        case overwrite = "OVERWRITE"
        case doNothing = "DO NOTHING"
        case updateFull = "DO UPDATE FULL"
        /// Columns that are NULL in the new row keep their old value.
        case updateIfNotNull = "DO UPDATE IF NOT NULL"
    }

    package var name: String
    package var columns: [TableColumn]
    /// Ordinals; empty: rows have no identity, and equal ones may repeat.
    package var primaryKey: [Int] = []
    package var checks: [CheckConstraint] = []
    package var uniques: [UniqueConstraint] = []
    package var isAppendOnly = false
    /// nil: none was written; statements then get `.error`, keyed connectors `.overwrite`.
    package var conflict: Conflict?
    /// A row older than the one there (by these columns) changes nothing.
    package var versionColumns: [Int] = []
    package var watermark: WatermarkDefinition?
    /// Rows below the watermark are forgotten (WATERMARK … WITH TTL).
    package var watermarkHasTTL = false
    /// Microseconds that rows are kept for reads of the past.
    package var retention: Int64?
    /// CREATE SEQUENCE: no rows of its own, but a counter, that of its first column.
    package var isSequence = false
    /// The connector that feeds it; its columns are those of the table that are not generated, in order.
    package var source: SourceDefinition?
    package var pipeline: String?
    package var ifNotExists = false
    /// The statement's text, for SHOW CREATE.
    package var text = ""

    package init(name: String, columns: [TableColumn]) {
        self.name = name
        self.columns = columns
    }

    package var fields: [Field] { columns.map { Field(name: $0.name, type: $0.type) } }

    /// What makes rows unique: the primary key, if there is one, then the UNIQUE constraints.
    package var uniqueKeys: [UniqueConstraint] {
        let own = primaryKey.isEmpty ? [] : [UniqueConstraint(name: CatalogNames.parts(name).name + "_pkey", columns: primaryKey)]
        return own + uniques
    }

    /// The conditions of the checks, at `now` (microseconds since 1970).
    package func conditions(now: Int64) -> [(name: String, condition: Expression)] {
        checks.map { check in
            (
                check.name,
                check.condition.rewritingColumns { ordinal, type in
                    ordinal == TableColumn.now ? .literal(.timestamptz(now), .timestamptz) : .column(ordinal, type)
                }
            )
        }
    }
}

/// CHECK: a condition that no row of the table may make false.
package struct CheckConstraint: Hashable, Sendable {
    package var name: String
    /// Over the table's columns and `TableColumn.now`; boolean.
    package var condition: Expression
}

/// UNIQUE: no two rows have the same values in these columns. NULL is the same as nothing.
package struct UniqueConstraint: Hashable, Sendable {
    package var name: String
    /// Ordinals, at least one.
    package var columns: [Int]

    package init(name: String, columns: [Int]) {
        self.name = name
        self.columns = columns
    }
}

/// What RETURNING gives for each row.
package struct Returning: Hashable, Sendable {
    package var expressions: [Expression]
    package var fields: [Field]
}

/// INSERT: `rows` gives every column of the table, in order and of its type, defaults put in and generated columns computed.
package struct InsertStatement: Sendable {
    package struct Conflict: Hashable, Sendable {
        /// Ordinals of the columns named; empty: any conflict.
        package var target: [Int]
        /// The new row's columns, over the row that is there (first the table's columns) and the one that was to be inserted
        /// (the same again, `excluded`); nil: DO NOTHING. Generated columns are computed anew.
        package var row: [Expression]?
        /// Over the same; the row is changed only where it holds.
        package var condition: Expression?
    }

    package var table: String
    package var rows: Plan
    /// nil: as the table says.
    package var conflict: Conflict?
    /// Over the row as it then is in the table.
    package var returning: Returning?
}

/// UPDATE: `rows` gives, for each row that changes, its old columns, then its new ones, then columns that RETURNING reads.
///
/// With FROM one row may be given several times; the first counts, as PostgreSQL leaves open.
package struct UpdateStatement: Sendable {
    package var table: String
    package var rows: Plan
    /// Over the columns of `rows`.
    package var returning: Returning?
}

/// DELETE: `rows` gives the rows to be deleted, then columns that RETURNING reads. With USING one row may be given several times.
package struct DeleteStatement: Sendable {
    package var table: String
    package var rows: Plan
    /// Over the columns of `rows`.
    package var returning: Returning?
}
