package import MartletColumns
package import MartletCore
package import MartletDataflow
package import MartletSQL

/// One partition of a source, which can also read a record again, in full: late rows are kept with all their columns.
package protocol SourcePartition: PartitionReader {
    /// All columns that the source declares, for rows of a block this partition delivered. Called between ticks.
    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch
}

/// Where a sink's bytes go. Encoders belong to the shards; everything else is called by the thread that commits.
package protocol SinkTarget: AnyObject {
    /// A fresh encoder for rows of this sink.
    func makeEncoder() -> any RowEncoder
    /// Takes the bytes of one shard's rows; in the order of ticks, then shards.
    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError)
    /// The tick is complete: what was written may be shown.
    func endTick() throws(SQLError)
    /// No more will come.
    func finish() throws(SQLError)
}

/// What the engine asks of the outside: opened sources and sinks. Errors name the object and what is wrong with it.
package protocol ConnectorProvider: AnyObject {
    /// The partitions of a source, in a stable order; they deliver the declared columns at the ordinals `columns`.
    func openSource(_ definition: SourceDefinition, ordinal: Int, columns: [Int]) throws(SQLError) -> [any SourcePartition]
    /// - Parameter isAppendOnly: rows carry no weights.
    func openSink(_ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool) throws(SQLError) -> any SinkTarget
    /// Where a late table or dead letters land, one JSON object a line.
    func openRelation(_ name: String, fields: [Field]) throws(SQLError) -> any SinkTarget
}

/// What one tick wants to become true.
package struct TickOutput: @unchecked Sendable {
    // Sendable: the driver lets go of it, buffers included, when it commits.
    package var tick: UInt64
    /// By target: the bytes of the shards, in order.
    package var parts: [(target: Int, part: SinkCollector.Part)]
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
    private let pool: BytePool
    private let clock: any Clock
    /// From a record's read to its result's write, nanoseconds; for sinks fed straight from a source.
    package let latency: Histogram

    package init(targets: [any SinkTarget], pool: BytePool, clock: any Clock, latency: Histogram) {
        self.targets = targets
        self.pool = pool
        self.clock = clock
        self.latency = latency
    }

    package func commit(_ output: TickOutput) throws(SQLError) {
        for (target, part) in output.parts { try targets[target].write(part.bytes.bytes) }
        for target in targets { try target.endTick() }
        let now = clock.monotonicNanos()
        for (_, part) in output.parts {
            for read in part.reads { latency.record(now - read.nanos, count: UInt64(read.rows)) }
            pool.give(part.bytes)
        }
    }

    package func drain() throws(SQLError) {}
}
