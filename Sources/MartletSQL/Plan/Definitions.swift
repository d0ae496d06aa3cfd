package import MartletCore

/// What statements define, bound and validated: the Engine and the connectors build from these and never see text again.

/// The value of an option with the place it was written at, for errors that only the connector can find.
package struct OptionValue: Hashable, Sendable {
    package var text: String
    /// 1-based character offset of the value in its text.
    package var position: Int
    /// 1-based character offset of the option's name.
    package var namePosition: Int

    package init(text: String, position: Int, namePosition: Int) {
        self.text = text
        self.position = position
        self.namePosition = namePosition
    }
}

package struct SourceColumn: Hashable, Sendable {
    package enum Role: Hashable, Sendable {
        /// Parsed from the record's value.
        case field
        /// Taken from the record's frame by an INCLUDE clause.
        case include(Include)
    }

    package enum Include: String, Hashable, Sendable { case key, offset, partition, timestamp, header }

    package var name: String
    package var type: DataType
    package var isNotNull: Bool
    package var role: Role
    /// Keys from the document's root to the value, where they differ from `[name]`.
    package var jsonPath: [String]?
    /// INCLUDE HEADER 'name' AS c: that header's value alone (BYTEA); nil: all headers (JSONB).
    package var headerName: String?
    /// ALTER SOURCE … DROP COLUMN: it keeps its place, so that others keep theirs, and is neither shown nor read any more.
    package var isDropped = false

    package init(
        name: String, type: DataType, isNotNull: Bool = false, role: Role = .field, jsonPath: [String]? = nil, headerName: String? = nil
    ) {
        self.name = name
        self.type = type
        self.isNotNull = isNotNull
        self.role = role
        self.jsonPath = jsonPath
        self.headerName = headerName
    }
}

/// A source's `column type AS (expression)`.
package struct ComputedColumn: Hashable, Sendable {
    package var name: String
    package var type: DataType
    /// Over the record's columns; the clock is column `TableColumn.now`.
    package var expression: Expression
    package var place: Int
}

package struct WatermarkDefinition: Hashable, Sendable {
    /// Ordinal of a TIMESTAMP or TIMESTAMPTZ column.
    package var column: Int
    /// Microseconds subtracted from the maximum; at least 0.
    package var delay: Int64

    package init(column: Int, delay: Int64) {
        self.column = column
        self.delay = delay
    }
}

package enum RecordFormat: String, Hashable, Sendable, CaseIterable { case plain, upsert, debezium }

package enum RecordEncoding: String, Hashable, Sendable, CaseIterable { case json, csv, bytes, avro, protobuf }

/// FORMAT … ENCODE … (…), validated as far as it does not depend on the connector.
package struct EncodeDefinition: Hashable, Sendable {
    package enum TimestampHandling: String, Hashable, Sendable, CaseIterable { case milli, micro, second, guess }

    package var encoding: RecordEncoding
    /// CSV: one ASCII byte.
    package var delimiter: UInt8 = UInt8(ascii: ",")
    /// CSV: the first line names the columns.
    package var hasHeader = false
    /// JSON: how numbers are read as timestamps.
    package var timestampHandling = TimestampHandling.guess
    /// All options as given, lower-case names.
    package var options: [String: OptionValue] = [:]

    package init(encoding: RecordEncoding) { self.encoding = encoding }
}

package enum ErrorPolicy: String, Hashable, Sendable, CaseIterable {
    case deadLetter = "dlq"
    case skip
    case fail
}

package enum Backpressure: String, Hashable, Sendable, CaseIterable {
    case block, buffer
    case dropOldest = "drop_oldest"
    case dropNewest = "drop_newest"
}

/// A source: where records come from, how they become rows, and what happens to those that are late or wrong.
package struct SourceDefinition: Hashable, Sendable {
    package var name: String
    /// That which it was made under, where it has been renamed since: relations and files beside it keep theirs.
    package var firstName: String?
    package var columns: [SourceColumn]
    package var watermark: WatermarkDefinition?
    package var connector: String
    /// The connector's own options, by lower-case name; the common ones below are taken out.
    package var options: [String: OptionValue] = [:]
    package var format = RecordFormat.plain
    package var encode = EncodeDefinition(encoding: .json)
    package var lateTable: String?
    /// The columns that it has of the source: those that the source had first, by the names that they had.
    package var lateColumns: [Field] = []
    /// Microseconds, at least 0.
    package var allowedLateness: Int64 = 0
    /// Microseconds; nil: a silent partition holds the watermark back.
    package var idleTimeout: Int64?
    /// Microseconds; nil: no record is too far in the future.
    package var maxFutureSkew: Int64?
    package var onError = ErrorPolicy.deadLetter
    package var backpressure = Backpressure.block
    /// Of a table's connector: the columns of the table's primary key.
    package var key: [Int] = []
    /// Microseconds; nil: the engine's own choice.
    package var latencyTarget: Int64?
    package var pipeline: String?
    /// Columns computed from the record's where the source is read, by their places among all.
    package var computed: [ComputedColumn] = []
    package var ifNotExists = false
    /// The statement's text, for SHOW CREATE.
    package var text = ""

    package init(name: String, columns: [SourceColumn], watermark: WatermarkDefinition?, connector: String) {
        self.name = name
        self.columns = columns
        self.watermark = watermark
        self.connector = connector
    }

    /// The columns that records have.
    package var fields: [Field] { columns.map { Field(name: $0.name, type: $0.type) } }

    /// What the relation shows at a place.
    package enum ShownColumn: Hashable, Sendable {
        /// A column of the records, by its place among them.
        case record(Int)
        /// By its place among the computed ones.
        case computed(Int)
    }

    package var shown: [ShownColumn] {
        var shown = columns.indices.filter { !columns[$0].isDropped }.map { ShownColumn.record($0) }
        for (at, column) in computed.enumerated() { shown.insert(.computed(at), at: min(column.place, shown.count)) }
        return shown
    }

    /// All columns, as the relation shows them.
    package var shownFields: [Field] {
        shown.map { column in
            switch column {
            case .record(let at): Field(name: columns[at].name, type: columns[at].type)
            case .computed(let at): Field(name: computed[at].name, type: computed[at].type)
            }
        }
    }

    /// With another name for a shown column. Its values stay those that records have under the old one.
    package mutating func renameColumn(_ ordinal: Int, to name: String) {
        switch shown[ordinal] {
        case .record(let at):
            if columns[at].role == .field, columns[at].jsonPath == nil, encode.encoding == .json { columns[at].jsonPath = [columns[at].name] }
            columns[at].name = name
        case .computed(let at): computed[at].name = name
        }
    }

    /// Without a shown column that nothing else needs.
    package mutating func dropColumn(_ ordinal: Int) {
        let gone = shown[ordinal]
        for at in computed.indices where computed[at].place > ordinal { computed[at].place -= 1 }
        switch gone {
        case .record(let at): columns[at].isDropped = true
        case .computed(let at): computed.remove(at: at)
        }
    }

    /// Called after the source's first name.
    package var deadLetterTable: String { (firstName ?? name) + "_dlq" }

    /// The columns of `<source>_dlq`.
    package static let deadLetterFields = [
        Field(name: "source", type: .text), Field(name: "partition", type: .integer), Field(name: "offset", type: .bigint),
        Field(name: "ingested_at", type: .timestamptz), Field(name: "reason_code", type: .text), Field(name: "reason", type: .text),
        Field(name: "field", type: .text), Field(name: "payload", type: .bytea), Field(name: "key", type: .bytea),
        Field(name: "headers", type: .jsonb), Field(name: "attempts", type: .integer), Field(name: "fingerprint", type: .text),
    ]

    /// The columns of the late table: the source's own, as they were first, then what is known about the lateness.
    package var lateFields: [Field] {
        let time = watermark.map { columns[$0.column].type } ?? .timestamptz
        return lateColumns + [
            Field(name: "late_for", type: .text), Field(name: "late_by", type: .interval), Field(name: "watermark", type: time),
            Field(name: "partition", type: .integer), Field(name: "offset", type: .bigint), Field(name: "ingested_at", type: .timestamptz),
            Field(name: "op", type: .text),
        ]
    }
}

package enum SinkType: String, Hashable, Sendable, CaseIterable {
    case appendOnly = "append-only"
    case upsert
}

/// A sink: a query's changes, and where and how they are written.
package struct SinkDefinition: Hashable, Sendable {
    package var name: String
    /// `CREATE SINK … FROM v` reads `.view(v)` (or the source or relation of that name).
    package var plan: Plan
    package var connector: String
    /// The connector's own options, by lower-case name.
    package var options: [String: OptionValue] = [:]
    /// nil: as the connector has it.
    package var type: SinkType?
    /// Ordinals into the plan's fields.
    package var primaryKey: [Int] = []
    package var ignoresDeletes = false
    package var format = RecordFormat.plain
    package var encode = EncodeDefinition(encoding: .json)
    /// True where the plan never takes a row back, so that files need no "op".
    package var isAppendOnly: Bool
    /// CREATE SINK … INTO: the table (connector `table`) whose columns the plan gives, in order.
    package var table: String?
    package var pipeline: String?
    /// Relations that the statement names, canonical, each once: also plain views, which the plan no longer shows.
    package var dependencies: [String] = []
    package var ifNotExists = false
    package var text = ""

    package init(name: String, plan: Plan, connector: String, isAppendOnly: Bool) {
        self.name = name
        self.plan = plan
        self.connector = connector
        self.isAppendOnly = isAppendOnly
    }

    package var fields: [Field] { plan.fields }
}

/// A view: `plan` is optimised; `fields` carries the view's column names.
package struct ViewDefinition: Hashable, Sendable {
    package var name: String
    package var plan: Plan
    package var fields: [Field]
    /// True where rows are only ever added.
    package var isAppendOnly: Bool
    /// Ordinals of the columns that carry event time (`Plan.eventTimeColumns`), ascending.
    package var eventTimeColumns: [Int]
    package var pipeline: String?
    /// Relations that the statement names, canonical, each once: also plain views, which the plan no longer shows.
    package var dependencies: [String] = []
    package var ifNotExists = false
    /// It takes the place of the view of that name, if there is one.
    package var replaces = false
    /// Microseconds that changes are kept for reads of the past; nil: they are not.
    package var retention: Int64?
    package var text = ""

    package init(name: String, plan: Plan, fields: [Field], isAppendOnly: Bool, eventTimeColumns: [Int]) {
        self.name = name
        self.plan = plan
        self.fields = fields
        self.isAppendOnly = isAppendOnly
        self.eventTimeColumns = eventTimeColumns
    }
}

/// A statement ready to be carried out.
package enum BoundStatement: Sendable {
    case createSource(SourceDefinition)
    /// A plain view: nothing to run; queries that name it contain its plan.
    case createView(ViewDefinition)
    case createMaterializedView(ViewDefinition)
    case createSink(SinkDefinition)
    case select(BoundQuery)
    /// The text to show.
    case explain(String)
    case set(SetStatement)
    /// The value of a parameter.
    case show(name: String)
    case session(SessionStatement)
    /// IF NOT EXISTS found an object of that name; carries the notice.
    case skipped(notice: String)
}

/// SET and RESET.
package struct SetStatement: Hashable, Sendable {
    /// `all`: RESET ALL.
    package var name: String
    /// nil: the default.
    package var value: String?
    /// SET LOCAL: until the transaction's end.
    package var isLocal = false
    /// The parameter has no meaning here and was accepted for compatibility.
    package var notice: String?

    package init(name: String, value: String?, isLocal: Bool = false, notice: String? = nil) {
        self.name = name
        self.value = value
        self.isLocal = isLocal
        self.notice = notice
    }
}
