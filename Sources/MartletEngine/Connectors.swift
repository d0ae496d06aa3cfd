package import MartletColumns
package import MartletCore
package import MartletDataflow
package import MartletLog
package import MartletSQL

/// One partition of a source, which can also read a record again, in full: late rows are kept with all their columns.
package protocol SourcePartition: PartitionReader {
    /// All columns that the source declares, for rows of a block this partition delivered. Called between ticks.
    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch
    /// Records that were left out because the pipeline could not keep up (`backpressure`), since it was opened.
    var dropped: UInt64 { get }
    /// Another reader of the same partition, at `start`, where one of it began, or (nil) for `restore` to say where; it delivers
    /// other columns. Nil: what was read cannot be read again.
    func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)?
    /// What it has yet to read; nil: nobody knows. By the thread that polls, between ticks.
    var backlog: SourceBacklog? { get }
    /// Whether nothing of what came from `position` on, where a reader of this partition once stood, is gone.
    func isKept(from position: Int64) -> Bool
    /// How much lies between two positions: records, or bytes where those are not counted.
    func amount(from start: Int64, to end: Int64) -> Int64
}

extension SourcePartition {
    package var dropped: UInt64 { 0 }
    package func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)? { nil }
    package var backlog: SourceBacklog? { nil }
    package func isKept(from position: Int64) -> Bool { true }
    package func amount(from start: Int64, to end: Int64) -> Int64 { max(end - start, 0) }
}

/// What a sink's reader may rely on across crashes.
package enum DeliveryGuarantee: String, Sendable {
    /// A tick's rows become true once, as one piece.
    case transactional
    /// Rows may come again after a crash; their key makes the second time change nothing.
    case idempotent
    /// Rows of the last ticks may come again after a crash.
    case atLeastOnce = "at-least-once"

    /// The same for people.
    package var words: String {
        switch self {
        case .transactional: "\(rawValue): each tick's rows come once, as one piece"
        case .idempotent: "\(rawValue): rows may come again after a crash, and change nothing then"
        case .atLeastOnce: "\(rawValue): rows of the last ticks may come again after a crash"
        }
    }
}

/// Where a sink's bytes go. Encoders belong to the shards; everything else is called by one thread at a time, in the order
/// of ticks. A call that throws a transient error (`SQLError.isTransient`) has taken nothing and may be repeated.
package protocol SinkTarget: AnyObject {
    /// As messages and tick records name it; no other target of the same machine has it.
    var name: String { get }
    var guarantee: DeliveryGuarantee { get }
    /// A fresh encoder for rows of this sink.
    func makeEncoder() -> any RowEncoder
    /// Takes the bytes of one shard's rows; in the order of ticks, then shards.
    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError)
}

/// A target outside the log: a file, another database. It gets a tick's rows when the tick's commit is durable (or, in a
/// run without a log, at once).
package protocol ExternalTarget: SinkTarget {
    /// Once, before the first row of a run with a log. Afterwards the target has the rows of no tick after the one it answers.
    func resume(_ start: SinkStart) throws(SQLError) -> UInt64
    /// The tick's rows are complete: what was written may be shown. Again for the same tick changes nothing. Where another
    /// tick follows at once, both may be shown together, with that one or with `sync`.
    func endTick(_ tick: UInt64, isFollowed: Bool) throws(SQLError)
    /// Makes everything up to the last ended tick durable, and shows it.
    func sync() throws(SQLError) -> SinkMark
    /// No more will come, ever.
    func finish() throws(SQLError)
    /// The sink is dropped: what it has not shown yet is nobody's any more. Any thread.
    func abandon()
    /// The process stops: who waits for the other side gives up, as if it were away. Any thread.
    func interrupt()
}

extension ExternalTarget {
    package func abandon() {}
    package func interrupt() {}
}

/// Where a target outside the log is to go on.
package struct SinkStart: Sendable {
    /// The pipeline, by a name that no other pipeline in the world has.
    package var pipeline: String
    /// The newest that is known of this target; nil: no row of it was made durable.
    package var mark: SinkMark?
    /// The pipeline begins: what the target has is not of its making.
    package var isNew: Bool
}

/// A target within the log: what a tick writes to it is part of the tick's commit.
package protocol CommittedTarget: SinkTarget {
    /// What was written since the last call, as batches.
    func takeAppends() throws(SQLError) -> [Append]
}

extension SQLError {
    /// Whether trying again may succeed without anybody's doing anything here: the other side is away, full or busy.
    package var isTransient: Bool {
        switch state.code.prefix(2) {
        case "08", "53": true
        default: ["40001", "40P01", "55P03", "57P01", "57P02", "57P03"].contains(state.code)
        }
    }
}

/// A relation that fills beside a source's views.
package struct SideRelation {
    package enum Kind: Sendable { case late, deadLetters }

    package var name: String
    package var kind: Kind
    package var fields: [Field]
    package var source: SourceDefinition
}

/// What the engine asks of the outside: opened sources and sinks. Errors name the object and what is wrong with it.
package protocol ConnectorProvider: AnyObject {
    /// The partitions of a source, in a stable order; they deliver the declared columns at the ordinals `columns`.
    func openSource(_ definition: SourceDefinition, ordinal: Int, columns: [Int]) throws(SQLError) -> [any SourcePartition]
    /// Partitions that the source has got since it had `known` of them.
    func openMore(_ definition: SourceDefinition, ordinal: Int, columns: [Int], known: Int) throws(SQLError) -> [any SourcePartition]
    /// Whether a reader who comes later begins with what comes from then on, instead of with what there is.
    func beginsAtTheEnd(_ definition: SourceDefinition) -> Bool
    /// - Parameter isAppendOnly: rows carry no weights.
    func openSink(_ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool) throws(SQLError) -> any SinkTarget
    /// Throws if the sink, about to be made, cannot work whatever comes; not if its other side is away for the moment.
    func check(_ definition: SinkDefinition) throws(SQLError)
    /// Where a late table or dead letters land.
    func openRelation(_ relation: SideRelation) throws(SQLError) -> any SinkTarget
}

extension ConnectorProvider {
    package func beginsAtTheEnd(_ definition: SourceDefinition) -> Bool { false }
    package func check(_ definition: SinkDefinition) throws(SQLError) {}

    package func openMore(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int], known: Int
    ) throws(SQLError) -> [any SourcePartition] { [] }
}

/// What one tick wants to become true.
package struct TickOutput: @unchecked Sendable {
    // Sendable: the driver lets go of it, buffers included, when it commits.
    package var tick: UInt64
    /// By target: the bytes of the shards, in order.
    package var parts: [(target: Int, part: SinkCollector.Part)]
    /// Where the parts' buffers go back to.
    package var pool: BytePool?
}

/// Makes ticks true, in order. Called by the driver; may work behind its back, within bounds.
package protocol Committer: AnyObject {
    func commit(_ output: TickOutput) throws(SQLError)
    /// Returns when everything committed so far is true.
    func drain() throws(SQLError)
}

/// Carries out each commit before returning. The threads' version (`MartletConnectors`) calls it from a thread of its own.
package final class InlineCommitter: Committer {
    package let targets: [any SinkTarget]
    private let clock: any Clock
    /// From a record's read to its result's write, nanoseconds; for sinks fed straight from a source.
    package let latency: Histogram

    package init(targets: [any SinkTarget], clock: any Clock, latency: Histogram) {
        self.targets = targets
        self.clock = clock
        self.latency = latency
    }

    package func commit(_ output: TickOutput) throws(SQLError) {
        for (target, part) in output.parts { try targets[target].write(part.bytes.bytes) }
        for target in targets { try (target as? any ExternalTarget)?.endTick(output.tick, isFollowed: false) }
        let now = clock.monotonicNanos()
        for (_, part) in output.parts {
            for read in part.reads { latency.record(now - read.nanos, count: UInt64(read.rows)) }
            output.pool?.give(part.bytes)
        }
    }

    package func drain() throws(SQLError) {}
}
