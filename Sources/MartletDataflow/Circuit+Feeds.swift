package import MartletColumns
package import MartletCore
internal import MartletState

/// Sources that several circuits have in common: one circuit reads and judges the records, the others are fed its rows and
/// told its watermark. One that comes later first reads by itself what the others have had, up to where they are (a
/// *fence*, which moves on), and is fed from then on. So does one that stood still for a while, with what the others had
/// meanwhile. All between ticks, by the driver.
extension Circuit {
    /// A circuit of the same graph and sources that has not begun.
    package func anew() throws(SQLError) -> Circuit {
        let fresh = try Circuit(
            graph: graph, sources: setups, shards: shardCount, executor: executor, clock: clock, evaluation: shards[0].context.evaluation)
        fresh.limits = limits
        for source in isFed.indices where isFed[source] { fresh.beginFeeding(source: source) }
        return fresh
    }

    /// From now on the source's rows come by `feed`; whatever partitions it had are let go of.
    package func beginFeeding(source: Int) {
        setups[source].readers = []
        partitionCounts[source] = 0
        fences[source] = nil
        isFed[source] = true
        for shard in shards { shard.removePartitions(of: source) }
    }

    /// The source reads by itself, to catch up with who reads it already. Before its first tick.
    package func beginCatchingUp(source: Int, with readers: [any PartitionReader]) {
        isFed[source] = false
        for reader in readers { addPartition(toSource: source, reader) }
    }

    /// A source that was fed reads by itself from now on, from where `other`, which reads that source alone, stands: its partitions
    /// judge event time as they do there. `readers`: of all partitions there are, not polled yet.
    package func beginReading(source: Int, with readers: [any PartitionReader], from other: Circuit) throws(SQLError) {
        beginCatchingUp(source: source, with: readers)
        var state: [UInt8] = []
        let writer = StateWriter { state += $0 }
        let count = other.partitionCounts[0]
        for partition in 0..<count { other.shards[partition % other.shardCount].savePartition(0, partition, into: writer) }
        try writer.finish()
        let reader = StateReader(state)
        do throws(StateError) {
            for partition in 0..<count { try shards[partition % shardCount].restorePartition(source, partition, from: reader) }
        } catch {
            throw error.asSQLError
        }
        partitionCounts[source] = count
    }

    /// Who stood still was not silent: for how long partitions have had no rows is counted from now on.
    package func countSilenceAfresh() {
        let now = clock.monotonicNanos()
        for shard in shards { for (_, intake) in shard.partitions { intake.time.countSilenceAfresh(nowNanos: now) } }
    }

    /// No partition of the source is read beyond these positions, one for each, until they are given anew.
    package func setFence(source: Int, _ positions: [Int64]) { fences[source] = positions }

    /// Rows of a source at the shard that read them, judged; they enter with the next tick.
    package func feed(source: Int, shard: Int, _ batch: Batch) { shards[shard].feed(source: source, batch) }

    /// How far a source is that is fed: from the next tick on, which the rows fed before are part of. Answers whether it moved.
    package func setWatermark(ofSource source: Int, _ watermark: Watermark) -> Bool {
        precondition(isFed[source], "the watermark of a source that is read here")
        defer { sourceWatermarks[source] = max(sourceWatermarks[source], watermark) }
        return watermark > sourceWatermarks[source]
    }
}
