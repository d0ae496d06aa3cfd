package import MartletColumns
package import MartletCore
package import MartletState

/// A promise about event time, in microseconds since 1970: no later row is earlier than this.
package typealias Watermark = Int64

extension Watermark {
    /// Before any row: promises nothing.
    package static let start = Int64.min
    /// After the last row of a bounded input: everything may close.
    package static let end = Int64.max

    /// This watermark held back by `delay` ≥ 0; the ends stay where they are.
    @inline(__always)
    package func delayed(by delay: Int64) -> Watermark {
        if self == .start || self == .end { return self }
        let (moved, overflow) = subtractingReportingOverflow(delay)
        return overflow ? .start : moved
    }
}

extension Value {
    /// A TIMESTAMP or TIMESTAMPTZ from microseconds since 1970.
    package static func instant(_ micros: Int64, _ type: DataType) -> Value {
        type == .timestamptz ? .timestamptz(micros) : .timestamp(micros)
    }
}

/// One step of a running query. Called by its shard's thread only, never concurrently.
/// Must not block, do I/O, or throw for a bad row: those go to `ShardContext.deadLetters`.
package protocol Operator: AnyObject {
    func process(_ batch: Batch, from input: Int, into output: any Output)
    /// Promises that no later row on any input is earlier than `watermark`; called only when it moved.
    func advance(to watermark: Watermark, into output: any Output)
    /// The tick's input is complete: emit what changed.
    func flush(into output: any Output)
    /// Everything that a later tick's results hang on, between ticks. What keeps nothing is a `StatelessOperator`.
    func save(into writer: StateWriter)
    /// What it keeps, about, for people and limits: between ticks and, by its own thread, within one. O(tables), not O(rows).
    var stateSize: StateSize { get }
    /// How far the watermark must come before something that it keeps leaves; nil: nothing waits for that. Between ticks.
    var awaited: Watermark? { get }
    /// Into one just made from the same definition. When it throws, the operator is good for nothing any more.
    func restore(from reader: StateReader) throws(StateError)
    /// Takes over what this shard is to have of `other`, an operator of the same definition restored as one of another number
    /// of shards. Called on one just made, with each of the others in turn, which are good for nothing afterwards.
    func adopt(_ other: any Operator, _ move: ShardMove)
}

/// From one of some shards to one of others.
package struct ShardMove: Sendable {
    package let from: Int
    package let fromCount: Int
    /// The keys of the shard that takes over.
    package let share: KeyShare

    /// Before anything has come.
    package var isFirst: Bool { from == 0 }
    /// What is not kept by key goes to one shard.
    package var isHeir: Bool { from % share.shards == share.shard }
}

/// Keeps nothing from one tick to the next.
package protocol StatelessOperator: Operator {}

extension StatelessOperator {
    package func save(into writer: StateWriter) {}
    package func restore(from reader: StateReader) throws(StateError) {}
    package func adopt(_ other: any Operator, _ move: ShardMove) {}
    package var stateSize: StateSize { .none }
}

extension Operator {
    package func advance(to watermark: Watermark, into output: any Output) {}
    package func flush(into output: any Output) {}
    package var awaited: Watermark? { nil }
}

/// Makes an operator for one shard.
package typealias OperatorFactory = (ShardContext) throws(SQLError) -> any Operator

/// Where an operator's batches go.
package protocol Output: AnyObject {
    func emit(_ batch: Batch)
}

/// What happened to the rows of one view on one shard. After a run, rows in = counted + filtered + late + dead letters.
package struct ViewCounters: Sendable, Equatable {
    package var rowsIn: UInt64 = 0
    package var counted: UInt64 = 0
    package var filtered: UInt64 = 0
    package var late: UInt64 = 0
    package var deadLetters: UInt64 = 0

    package init() {}

    package static func + (left: ViewCounters, right: ViewCounters) -> ViewCounters {
        var sum = left
        sum.rowsIn += right.rowsIn
        sum.counted &+= right.counted
        sum.filtered += right.filtered
        sum.late += right.late
        sum.deadLetters += right.deadLetters
        return sum
    }
}

extension ViewCounters {
    func save(into writer: StateWriter) {
        for count in [rowsIn, counted, filtered, late, deadLetters] { writer.write(count) }
    }

    init(from reader: StateReader) throws(StateError) {
        rowsIn = try reader.read()
        counted = try reader.read()
        filtered = try reader.read()
        late = try reader.read()
        deadLetters = try reader.read()
    }
}

/// A record or row that could not be processed, with where it came from and why.
package struct DeadLetter: Sendable {
    /// Ordinal of the source in the circuit.
    package var source: Int
    package var partition: Int32
    package var offset: Int64
    /// Microseconds since 1970.
    package var ingestedAt: Int64
    /// An SQLSTATE or a word such as `malformed_json`.
    package var reasonCode: String
    package var reason: String
    package var field: String?
    /// The original bytes.
    package var payload: [UInt8]
    /// The view whose expression failed; nil where the record itself could not be read.
    package var view: Int?
    /// A topic record's key, and its headers as a JSON document.
    package var key: [UInt8]?
    package var headers: String?

    package init(
        source: Int, partition: Int32, offset: Int64, ingestedAt: Int64, reasonCode: String, reason: String,
        field: String?, payload: [UInt8], view: Int? = nil
    ) {
        self.source = source
        self.partition = partition
        self.offset = offset
        self.ingestedAt = ingestedAt
        self.reasonCode = reasonCode
        self.reason = reason
        self.field = field
        self.payload = payload
        self.view = view
    }
}

/// A row that came too late for every window it belongs to.
package struct LateRow: Sendable {
    package var view: Int
    package var block: OriginBlock
    package var blockRow: Int
    package var eventTime: Int64
    /// The watermark by which it was judged.
    package var watermark: Watermark
}

/// A change of a keyed table that came too late: a row that comes, or one that goes.
package struct LateChange: Sendable {
    package var view: Int
    /// As many rows as the batch had, of which it is one.
    package var rows: TableRows
    package var row: Int
    package var isRemoval: Bool
    package var eventTime: Int64
    /// The watermark by which it was judged.
    package var watermark: Watermark
}

/// What the operators of one shard share. Touched by that shard's thread during a phase, by the driver between phases.
package final class ShardContext {
    package let shard: Int
    package let shardCount: Int
    /// Time zones and the like, for expressions.
    package let evaluation: EvaluationContext
    /// Indexed by view.
    package var counters: [ViewCounters]
    /// This tick's, taken by the driver.
    package var deadLetters: [DeadLetter] = []
    package var lateRows: [LateRow] = []
    package var lateChanges: [LateChange] = []
    /// Whether a batch moved between operators in this tick.
    var hasMoved = false
    /// A failure that stops the pipeline (`on_error = 'fail'`, state limits).
    package var failure: SQLError?
    /// Asked now and then within a tick: why it is not to be finished. nil in a pipeline, which nobody interrupts.
    package var interruption: (() -> SQLError?)?
    package let meter: ShardMeter

    package init(shard: Int, shardCount: Int, views: Int, evaluation: EvaluationContext = .utc, meter: ShardMeter) {
        self.shard = shard
        self.meter = meter
        self.shardCount = shardCount
        self.evaluation = evaluation
        counters = Array(repeating: ViewCounters(), count: views)
    }

    /// Whether nothing that is still computed in this tick will be looked at. Operators ask within work that may take longer
    /// than a millisecond without giving rows, and leave off; what they give is dropped anyway.
    package var isStopped: Bool {
        if failure != nil { return true }
        guard let interruption else { return false }
        failure = interruption()
        return failure != nil
    }

    /// Turns the rows of `batch` that `errors` names into dead letters of `view`. A source row that stands in the batch
    /// once for each of its windows makes one letter; if it was counted already, it no longer is.
    package func reject(_ errors: RowErrors, of batch: Batch, view: Int, countsSourceRows: Bool) {
        var last = -1
        for entry in errors.sorted {
            // Taking back a row that failed fails no second time.
            if let weights = batch.weights, weights.int64s[entry.row] < 0 { continue }
            if let origins = batch.origins {
                let row = origins.blockRow(entry.row)
                if row == last { continue }
                last = row
                counters[view].deadLetters += 1
                // Counted by this shard or another: the sum over the shards is right.
                if !countsSourceRows { counters[view].counted &-= 1 }
            }
            var letter = DeadLetter(
                source: -1, partition: -1, offset: -1, ingestedAt: 0, reasonCode: entry.error.state.code,
                reason: entry.error.message, field: nil, payload: [], view: view)
            if let origins = batch.origins {
                let block = origins.block
                let at = origins.blockRow(entry.row)
                letter.source = block.source
                letter.partition = block.partition
                letter.offset = block.offsets[at]
                letter.ingestedAt = block.ingestedAt
                letter.payload = Array(block.payload(at))
            }
            deadLetters.append(letter)
        }
    }

    /// Notes a row that is late for every window of `view`.
    package func addLate(_ batch: Batch, _ row: Int, eventTime: Int64, view: Int, countsSourceRows: Bool) {
        if countsSourceRows { counters[view].late += 1 }
        guard let watermarks = batch.watermarks else { return }
        if let rows = batch.tableRows, rows.isWhole {
            lateChanges.append(
                LateChange(
                    view: view, rows: rows, row: row, isRemoval: (batch.weights?.int64s[row] ?? 1) < 0, eventTime: eventTime,
                    watermark: watermarks.int64s[row]))
        }
        guard let origins = batch.origins else { return }
        lateRows.append(
            LateRow(
                view: view, block: origins.block, blockRow: origins.blockRow(row), eventTime: eventTime,
                watermark: watermarks.int64s[row]))
    }
}

extension Batch {
    /// The rows that have no error.
    func without(_ errors: RowErrors) -> Batch {
        errors.survivors(of: count).map { gather($0) } ?? self
    }
}
