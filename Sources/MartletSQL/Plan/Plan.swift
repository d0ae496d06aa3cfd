package import MartletCore

/// A named, typed column of a relation's output.
package struct Field: Hashable, Sendable {
    package var name: String
    package var type: DataType
    package init(name: String, type: DataType) {
        self.name = name
        self.type = type
    }
}

package struct AggregateCall: Hashable, Sendable {
    package var function: AggregateFunction
    /// nil for count(*).
    package var argument: Expression?
    package var filter: Expression?
    package var type: DataType

    package init(function: AggregateFunction, argument: Expression?, filter: Expression?, type: DataType) {
        self.function = function
        self.argument = argument
        self.filter = filter
        self.type = type
    }
}

/// TUMBLE is a hop whose `hop` equals `size`. Microseconds; aligned to 1970-01-01 plus `offset`.
package struct HopWindow: Hashable, Sendable {
    package var size: Int64
    package var hop: Int64
    package var offset: Int64

    package init(size: Int64, hop: Int64, offset: Int64) {
        self.size = size
        self.hop = hop
        self.offset = offset
    }
}

package enum OverFunction: String, Hashable, Sendable {
    case lag, rowNumber, sum, count, min, max
}

/// One function of an OVER clause. Running aggregates go from the first row of the partition to the current one.
package struct OverCall: Hashable, Sendable {
    package var function: OverFunction
    /// lag, sum, min, max: the operand; count: the operand, none for count(*); rowNumber: none.
    package var arguments: [Expression]
    /// lag's distance in rows.
    package var distance: Int
    package var defaultValue: Value
    package var type: DataType
    /// Running aggregates: rows that sort equal to the current one count too (RANGE, SQL's default frame; false for ROWS).
    package var includesPeers = false

    package init(function: OverFunction, arguments: [Expression], distance: Int, defaultValue: Value, type: DataType) {
        self.function = function
        self.arguments = arguments
        self.distance = distance
        self.defaultValue = defaultValue
        self.type = type
    }
}

package struct SortKey: Hashable, Sendable {
    package var expression: Expression
    package var descending: Bool
    package var nullsFirst: Bool

    package init(expression: Expression, descending: Bool, nullsFirst: Bool) {
        self.expression = expression
        self.descending = descending
        self.nullsFirst = nullsFirst
    }
}

/// A relational plan, bound and typed. `fields` of each node are given by `Plan.fields`.
package indirect enum Plan: Hashable, Sendable {
    /// A source read as a stream. `columns` are ordinals into the source's columns (projection pushdown), in output order.
    case source(name: String, columns: [Int], fields: [Field])
    /// An append-only system relation: the late table or dead letters of a source; or (later) a table.
    case relation(name: String, fields: [Field])
    /// Output of a materialized view, read by another object.
    case view(name: String, fields: [Field])
    case filter(Plan, Expression)
    case project(Plan, [Expression], [Field])
    /// Adds window_start and window_end (type of `time`) after the input's columns; one row per window the row belongs to.
    case window(Plan, time: Int, HopWindow, fields: [Field])
    /// Output: keys, then aggregates. `window` says which of `keys` are window_start and window_end, where the input is a window
    /// node and the keys contain at least one of them.
    case aggregate(Plan, keys: [Expression], calls: [AggregateCall], window: AggregateWindow?, fields: [Field])
    /// Adds one column per call after the input's columns.
    case over(Plan, partition: [Expression], order: [SortKey], calls: [OverCall], fields: [Field])
    case unionAll([Plan], fields: [Field])
    case values([[Expression]], fields: [Field])
    /// Rows and results leave when the watermark passes them (EMIT ON WINDOW CLOSE); stands at the top of a view's plan.
    case emitOnWindowClose(Plan)
}

/// Which keys of an aggregate are the window's bounds.
package struct AggregateWindow: Hashable, Sendable {
    package var startKey: Int?
    package var endKey: Int?

    package init(startKey: Int?, endKey: Int?) {
        self.startKey = startKey
        self.endKey = endKey
    }
}

extension Plan {
    /// The output columns of the node.
    package var fields: [Field] {
        switch self {
        case .source(_, _, let fields), .relation(_, let fields), .view(_, let fields), .project(_, _, let fields),
            .window(_, _, _, let fields), .aggregate(_, _, _, _, let fields), .over(_, _, _, _, let fields),
            .unionAll(_, let fields), .values(_, let fields):
            fields
        case .filter(let input, _), .emitOnWindowClose(let input): input.fields
        }
    }

    /// The nodes whose output this node reads, in order.
    package var inputs: [Plan] {
        switch self {
        case .source, .relation, .view, .values: []
        case .filter(let input, _), .project(let input, _, _), .window(let input, _, _, _), .aggregate(let input, _, _, _, _),
            .over(let input, _, _, _, _), .emitOnWindowClose(let input):
            [input]
        case .unionAll(let inputs, _): inputs
        }
    }
}
