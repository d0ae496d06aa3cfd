/// What a dataflow test is made of: sources with their scripts, and views over them. Says nothing of batches, ticks,
/// shards or threads: whatever those are, the outcome must be the same (`DataflowSettings`).
package struct DataflowCase: Sendable {
    package var sources: [SourceScript]
    package var views: [ViewSpec]

    package init(sources: [SourceScript], views: [ViewSpec]) {
        self.sources = sources
        self.views = views
    }
}

/// A source: its policy, and what each of its partitions delivers. Durations in µs unless they say otherwise.
package struct SourceScript: Sendable {
    package var delay: Int64
    package var idleTimeout: Int64?
    package var maxFutureSkew: Int64?
    package var partitions: [[ScriptStep]]
    /// Whether the end of the scripts is the end of the input.
    package var finishes: Bool

    package init(
        delay: Int64, idleTimeout: Int64? = nil, maxFutureSkew: Int64? = nil, partitions: [[ScriptStep]],
        finishes: Bool = true
    ) {
        self.delay = delay
        self.idleTimeout = idleTimeout
        self.maxFutureSkew = maxFutureSkew
        self.partitions = partitions
        self.finishes = finishes
    }

    /// Partitions of rows alone.
    package init(delay: Int64, rows: [[ScriptedRow]], finishes: Bool = true) {
        self.init(delay: delay, partitions: rows.map { $0.map { .row($0) } }, finishes: finishes)
    }
}

package struct WindowSpec: Hashable, Sendable {
    package var size: Int64
    package var hop: Int64
    package var offset: Int64

    package init(size: Int64, hop: Int64, offset: Int64 = 0) {
        self.size = size
        self.hop = hop
        self.offset = offset
    }

    package static func tumble(_ size: Int64) -> WindowSpec { WindowSpec(size: size, hop: size) }
}

/// A view over all sources of the case (their union, where there are several).
package struct ViewSpec: Hashable, Sendable {
    package enum Shape: Hashable, Sendable {
        /// SELECT time, key, value, id.
        case select
        /// The same EMIT ON WINDOW CLOSE: in order of time, late rows apart.
        case ordered
        /// SELECT time, key, value, id, and running functions OVER (PARTITION BY key ORDER BY time[, value DESC]).
        case running(byValue: Bool)
        /// Aggregates per key.
        case plain
        /// Aggregates per window and key, EMIT ON WINDOW CLOSE, aggregated before the exchange.
        case sliced(WindowSpec)
        /// Aggregates per window and key after the exchange, on change or when closed.
        case grouped(WindowSpec, onClose: Bool)
        /// Over `sliced`: number of rows and their sum per window end, and the previous window's sum.
        case cascade(WindowSpec)
    }

    package enum Key: Hashable, Sendable { case none, number, label, both }

    package enum Predicate: Hashable, Sendable {
        case all
        /// value >= n: unknown for NULL.
        case valueAtLeast(Int64)
        /// 1000 / value >= n: a dead letter for 0.
        case quotientAtLeast(Int64)
    }

    package enum Argument: Hashable, Sendable {
        case value
        /// 1000 / value: a dead letter for 0.
        case quotient
    }

    package var shape: Shape
    package var key: Key
    package var predicate: Predicate
    package var argument: Argument
    /// µs.
    package var allowedLateness: Int64

    package init(
        _ shape: Shape, key: Key = .number, predicate: Predicate = .all, argument: Argument = .value, allowedLateness: Int64 = 0
    ) {
        self.shape = shape
        self.key = key
        self.predicate = predicate
        self.argument = argument
        self.allowedLateness = allowedLateness
    }

    /// Whether rows are taken back and replaced.
    package var isChanging: Bool {
        switch shape {
        case .plain, .grouped(_, onClose: false): true
        case .select, .ordered, .running, .sliced, .grouped(_, onClose: true), .cascade: false
        }
    }

    /// The threshold of the aggregates' FILTER (WHERE value > …).
    package static let filterAbove: Int64 = 3
    /// What lag answers where there is no earlier row.
    package static let lagDefault: Int64 = -1
}

/// How a case is run. None of it may show in the outcome.
package struct DataflowSettings: Sendable {
    package var shards = 1
    package var batchRows = 4096
    package var rowsPerTick = 16384
    /// How far the clocks move between ticks.
    package var tickNanos: Int64 = 1_000_000
    /// Shuffles the shards, and with `isErratic` also draws each tick's limits and lets partitions stutter.
    package var seed: UInt64 = 0
    package var isErratic = false
    /// Ends a run of scripts that do not finish: so many ticks in a row in which nothing came.
    package var silentTicksMax = 60

    package init() {}

    package init(shards: Int, batchRows: Int, rowsPerTick: Int, seed: UInt64 = 0) {
        self.shards = shards
        self.batchRows = batchRows
        self.rowsPerTick = rowsPerTick
        self.seed = seed
    }
}
