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
    /// DISTINCT, ORDER BY, further arguments: packed into `argument`, a structure, where there are several.
    package var options: AggregateOptions

    package init(
        function: AggregateFunction, argument: Expression?, filter: Expression?, type: DataType, options: AggregateOptions = AggregateOptions()
    ) {
        self.options = options
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
    /// CUMULATE: windows of up to `size` that share a start and grow by `hop`.
    package var isCumulative: Bool

    package init(size: Int64, hop: Int64, offset: Int64, isCumulative: Bool = false) {
        self.size = size
        self.hop = hop
        self.offset = offset
        self.isCumulative = isCumulative
    }
}

/// SESSION: rows of one partition no further apart than `gap` (microseconds) share a session, which ends `gap` behind its
/// last row.
package struct SessionWindow: Hashable, Sendable {
    /// Ordinals of the input's columns.
    package var partition: [Int]
    package var gap: Int64

    package init(partition: [Int], gap: Int64) {
        self.partition = partition
        self.gap = gap
    }
}

/// Which rows a join gives.
package enum JoinType: String, Hashable, Sendable {
    case inner, left, right, full
    /// Left rows that have, or have not, a match; once each.
    case semi, anti
}

package enum OverFunction: Hashable, Sendable {
    case lag, lead, rowNumber, rank, denseRank, percentRank, cumeDist, ntile, firstValue, lastValue, nthValue
    case aggregate(AggregateFunction)

    /// The result is the row's place in its partition.
    package var isRank: Bool { self == .rowNumber || self == .rank || self == .denseRank }
}

/// The rows of a partition that a function of OVER takes in.
package struct WindowFrame: Hashable, Sendable {
    package enum Unit: String, Hashable, Sendable {
        case rows = "ROWS", range = "RANGE", groups = "GROUPS"
        /// The rows of one's session: each no further than the gap (both bounds, µs) from the one before.
        case session = "SESSION"
    }
    package enum Bound: Hashable, Sendable {
        case unboundedPreceding, currentRow, unboundedFollowing
        /// Rows, groups of peers, or (RANGE) microseconds or units of the sort key.
        case preceding(Int64), following(Int64)
    }

    /// Which rows of it are left out: none, the row itself, it and its peers, or its peers alone.
    package enum Exclusion: String, Hashable, Sendable {
        case noOthers = "NO OTHERS", currentRow = "CURRENT ROW", group = "GROUP", ties = "TIES"
    }

    package var unit: Unit
    package var start: Bound
    package var end: Bound
    package var exclusion: Exclusion

    package init(unit: Unit, start: Bound, end: Bound, exclusion: Exclusion = .noOthers) {
        self.unit = unit
        self.start = start
        self.end = end
        self.exclusion = exclusion
    }

    /// SQL's own: from the partition's first row to the last one that sorts equal to the current one.
    package static let standard = WindowFrame(unit: .range, start: .unboundedPreceding, end: .currentRow)
    package static let whole = WindowFrame(unit: .rows, start: .unboundedPreceding, end: .unboundedFollowing)

    /// From the first row on, to the current one or its peers: what can be told as rows come in order.
    package var isRunning: Bool { start == .unboundedPreceding && end == .currentRow && exclusion == .noOthers }
}

/// One function of an OVER clause.
package struct OverCall: Hashable, Sendable {
    package var function: OverFunction
    /// The operand, where the function has one.
    package var arguments: [Expression]
    package var filter: Expression?
    /// lag's and lead's distance in rows, ntile's parts, nth_value's place.
    package var distance: Int
    package var defaultValue: Value
    package var type: DataType
    package var frame = WindowFrame.standard
    /// IGNORE NULLS: rows whose operand is NULL do not count as places.
    package var ignoresNulls = false

    package init(function: OverFunction, arguments: [Expression], distance: Int = 0, defaultValue: Value = .null, type: DataType) {
        self.function = function
        self.arguments = arguments
        self.distance = distance
        self.defaultValue = defaultValue
        self.type = type
    }
}

/// Only rows whose rank is at most `rank` are wanted: Top-N.
package struct RankLimit: Hashable, Sendable {
    /// row_number, rank or dense_rank; need not be among the calls.
    package var function: OverFunction
    package var rank: Int64

    package init(function: OverFunction, rank: Int64) {
        self.function = function
        self.rank = rank
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
    /// Adds one column per call after the input's columns; rows beyond the limit may be left out.
    case over(Plan, partition: [Expression], order: [SortKey], calls: [OverCall], limit: RankLimit?, fields: [Field])
    /// Adds window_start and window_end of the row's session after the input's columns.
    case session(Plan, time: Int, SessionWindow, fields: [Field])
    /// The condition is over the left side's columns, then the right side's. Output: both, or (semi, anti) the left side's.
    case join(Plan, Plan, JoinType, condition: Expression, fields: [Field])
    /// Rows valid by the clock: from an instant (nil: always) up to another, not included (nil: for ever). TIMESTAMPTZ.
    case temporal(Plan, from: Expression?, until: Expression?)
    /// Each row as often as the expression says (BIGINT, not negative).
    case repeated(Plan, times: Expression)
    /// One row for each element of the arrays, side by side (NULL where one is shorter): the input's columns, the elements, and
    /// with `hasOrdinality` their number from 1 (BIGINT). `isOuter`: a row without elements stays, with NULLs.
    case unnested(Plan, lists: [Expression], isOuter: Bool, hasOrdinality: Bool, fields: [Field])
    /// Left rows with right rows of a certain time. The condition is over the left side's columns, then the right side's.
    case lookup(Plan, Plan, Lookup, condition: Expression, fields: [Field])
    /// The input's changes as rows that stay: its columns, then `changelog_op` (SMALLINT: 1 insert, 2 delete, 3 and 4 the new and
    /// the old row of an update) and `_changelog_row_id` (BIGINT). `key` tells which deletion and insertion are an update.
    case changelog(Plan, key: [Int], fields: [Field])
    /// Adds the time at which the row was processed (TIMESTAMPTZ). The input only grows.
    case stamped(Plan, fields: [Field])
    case unionAll([Plan], fields: [Field])
    case values([[Expression]], fields: [Field])
    /// WITH RECURSIVE: rows that are computed before the query's own, step by step. A leaf: what it reads is its own affair.
    case recursive(Recursion, fields: [Field])
    /// Rows and results leave when the watermark passes them (EMIT ON WINDOW CLOSE); stands at the top of a view's plan.
    case emitOnWindowClose(Plan)
}

/// A common table expression that reads itself. Both parts give the columns of its rows and are optimised already.
package struct Recursion: Hashable, Sendable {
    /// Of its rows, and in `step` (as `Plan.relation`) of those that the step before has added. Not a name that can be written.
    package var name: String
    package var base: Plan
    package var step: Plan
    /// UNION without ALL: a row that was there before is not added.
    package var isDistinct: Bool

    package init(name: String, base: Plan, step: Plan, isDistinct: Bool) {
        self.name = name
        self.base = base
        self.step = step
        self.isDistinct = isDistinct
    }
}

extension Plan {
    /// Those that it reads, each once, inner ones of recursions left out.
    package var recursions: [(recursion: Recursion, fields: [Field])] {
        var found: [(recursion: Recursion, fields: [Field])] = []
        var open = [self]
        while let plan = open.popLast() {
            if case .recursive(let recursion, let fields) = plan, !found.contains(where: { $0.recursion.name == recursion.name }) {
                found.append((recursion, fields))
            }
            open += plan.inputs
        }
        return found
    }

    /// Whether it, or a recursion in it, reads the relation.
    func reads(_ name: String) -> Bool {
        switch self {
        case .relation(name, _): true
        case .recursive(let recursion, _): recursion.base.reads(name) || recursion.step.reads(name)
        default: inputs.contains { $0.reads(name) }
        }
    }
}

/// Which right rows a lookup gives to a left row.
package struct Lookup: Hashable, Sendable {
    /// A left row without a match comes with NULLs.
    package var isOuter: Bool
    /// nil: those that match at the moment when the left row comes; what changes on the right later changes nothing
    /// (FOR SYSTEM_TIME AS OF PROCTIME()).
    package var nearest: Nearest?

    package init(isOuter: Bool, nearest: Nearest? = nil) {
        self.isOuter = isOuter
        self.nearest = nearest
    }
}

/// Of the right rows that match by equality, the one whose value is nearest to the left row's, on one side of it (ASOF JOIN).
package struct Nearest: Hashable, Sendable {
    /// Over the columns of both sides; of one type.
    package var left: Expression
    package var right: Expression
    /// The last one up to the left row's value; else the first from it on.
    package var isBackward: Bool
    /// The very same value does not match.
    package var isStrict: Bool

    package init(left: Expression, right: Expression, isBackward: Bool, isStrict: Bool) {
        self.left = left
        self.right = right
        self.isBackward = isBackward
        self.isStrict = isStrict
    }
}

extension Lookup {
    func mapped(_ transform: (Expression) -> Expression) -> Lookup {
        guard let nearest else { return self }
        var copy = self
        copy.nearest?.left = transform(nearest.left)
        copy.nearest?.right = transform(nearest.right)
        return copy
    }

    /// The columns that it reads besides the condition's.
    var columns: Set<Int> { nearest.map { $0.left.columns.union($0.right.columns) } ?? [] }
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
        case .source(_, _, let fields), .relation(_, let fields), .view(_, let fields), .recursive(_, let fields), .project(_, _, let fields),
            .window(_, _, _, let fields), .aggregate(_, _, _, _, let fields), .over(_, _, _, _, _, let fields),
            .session(_, _, _, let fields), .join(_, _, _, _, let fields), .unionAll(_, let fields), .values(_, let fields),
            .unnested(_, _, _, _, let fields), .lookup(_, _, _, _, let fields), .changelog(_, _, let fields), .stamped(_, let fields):
            fields
        case .filter(let input, _), .temporal(let input, _, _), .repeated(let input, _), .emitOnWindowClose(let input): input.fields
        }
    }

    /// The nodes whose output this node reads, in order.
    package var inputs: [Plan] {
        switch self {
        case .source, .relation, .view, .values, .recursive: []
        case .filter(let input, _), .project(let input, _, _), .window(let input, _, _, _), .aggregate(let input, _, _, _, _),
            .over(let input, _, _, _, _, _), .session(let input, _, _, _), .temporal(let input, _, _), .repeated(let input, _),
            .unnested(let input, _, _, _, _), .changelog(let input, _, _), .stamped(let input, _), .emitOnWindowClose(let input):
            [input]
        case .join(let left, let right, _, _, _), .lookup(let left, let right, _, _, _): [left, right]
        case .unionAll(let inputs, _): inputs
        }
    }
}
