package import MartletColumns
package import MartletCore

/// What a circuit needs to know of one of its sources.
package struct SourceSetup {
    package var name: String
    package var policy: EventTimePolicy
    package var errors: BadRecordPolicy
    package var readers: [any PartitionReader]

    package init(name: String, policy: EventTimePolicy, errors: BadRecordPolicy, readers: [any PartitionReader]) {
        self.name = name
        self.policy = policy
        self.errors = errors
        self.readers = readers
    }
}

package struct TickLimits: Sendable {
    /// Input bytes a tick takes from each partition, at most about this much.
    package var bytesPerPartition = 1 << 20
    /// Rows of a batch, at most.
    package var batchRows = 4096

    package init() {}
}

/// What one tick did, for whoever commits it.
package struct TickReport {
    package var tick: UInt64
    package var madeProgress: Bool
    package var isFinished: Bool
    package var deadLetters: [DeadLetter]
    package var lateRows: [LateRow]
}

/// A graph at work: one set of operators per shard, advanced tick by tick.
///
/// A tick is a sequence of phases; in a phase every shard works alone (`ShardExecutor` runs them side by side), between
/// phases the driver alone touches shared state. Phase 0 takes what the partitions have and pushes it through stage 0;
/// then watermarks are agreed, and each stage closes what they pass, having taken what earlier stages sent across.
/// Hence results do not depend on the number of shards or on who was faster. Driven by one thread.
package final class Circuit {
    package let graph: Graph
    package let shardCount: Int
    package private(set) var tick: UInt64 = 0
    package var limits = TickLimits()
    /// Per source; never regress.
    package private(set) var sourceWatermarks: [Watermark]
    package private(set) var shards: [Shard]

    private let executor: any ShardExecutor
    private let clock: any Clock
    private let setups: [SourceSetup]
    private var relationWatermark: Watermark = .start
    private var nodeWatermarks: [Watermark]
    private var pendingRelations: [[Batch]]

    package init(
        graph: Graph, sources: [SourceSetup], shards shardCount: Int, executor: any ShardExecutor, clock: any Clock,
        evaluation: EvaluationContext = .utc
    ) throws(SQLError) {
        precondition(sources.count == graph.sources.count, "a set-up for each source of the graph")
        self.graph = graph
        self.shardCount = shardCount
        self.executor = executor
        self.clock = clock
        setups = sources
        sourceWatermarks = Array(repeating: .start, count: sources.count)
        nodeWatermarks = Array(repeating: .start, count: graph.nodes.count)
        pendingRelations = Array(repeating: [], count: graph.relations.count)
        shards = []
        let now = clock.monotonicNanos()
        for index in 0..<shardCount {
            shards.append(
                try Shard(
                    index: index, of: shardCount, graph: graph, sources: sources, evaluation: evaluation, nowNanos: now))
        }
    }

    /// Rows for the graph's relation `index`, which its readers see in the next tick.
    package func feed(relation index: Int, _ batch: Batch) {
        pendingRelations[index].append(batch)
    }

    /// Whether every partition is finished and every window closed.
    package private(set) var isFinished = false

    package var failure: SQLError? { shards.lazy.compactMap(\.context.failure).first }

    /// One tick: everything that becomes true together.
    package func step() -> TickReport {
        tick += 1
        let now = clock.monotonicNanos()
        let wall = clock.wallMicros()
        let fed = takeRelations()
        graph.clock.advance(to: wall)
        let work = Phase(shards: shards)
        let limits = limits
        executor.forEachShard { index in
            work.shards[index].ingest(limits, nowNanos: now, wallMicros: wall)
        }
        if !fed.isEmpty { shards[0].feed(fed) }
        agreeOnWatermarks(nowNanos: now, hadRelations: !fed.isEmpty)
        let watermarks = nodeWatermarks
        for stage in 0..<graph.stages {
            executor.forEachShard { index in
                work.shards[index].run(stage: stage, watermarks: watermarks)
            }
            if stage + 1 < graph.stages { deliver(to: stage + 1) }
        }
        return report(hadRelations: !fed.isEmpty)
    }

    private func takeRelations() -> [(relation: Int, batch: Batch)] {
        var fed: [(relation: Int, batch: Batch)] = []
        for (index, batches) in pendingRelations.enumerated() where !batches.isEmpty {
            fed += batches.map { (index, $0) }
            pendingRelations[index] = []
        }
        return fed
    }

    /// Windows close at the minimum over the active partitions; a source whose partitions are all finished is at its end.
    private func agreeOnWatermarks(nowNanos: Int64, hadRelations: Bool) {
        for source in setups.indices {
            let policy = setups[source].policy
            var minimum = Watermark.end
            var idleMaximum = Watermark.start
            var active = 0
            var finished = 0
            var count = 0
            for shard in shards {
                for intake in shard.intakes(of: source) {
                    count += 1
                    if let timeout = policy.idleTimeout {
                        let (nanos, overflow) = timeout.multipliedReportingOverflow(by: 1000)
                        intake.time.checkIdle(nowNanos: nowNanos, timeoutNanos: overflow ? .max : nanos)
                    }
                    if intake.time.isFinished {
                        finished += 1
                    } else if intake.time.isIdle {
                        idleMaximum = max(idleMaximum, intake.time.watermark(delay: policy.delay))
                    } else {
                        active += 1
                        minimum = min(minimum, intake.time.watermark(delay: policy.delay))
                    }
                }
            }
            if finished == count {
                sourceWatermarks[source] = .end
            } else if active > 0 {
                sourceWatermarks[source] = max(sourceWatermarks[source], minimum)
            } else {
                // Nobody holds the watermark back: it moves to the furthest that any silent partition has promised.
                sourceWatermarks[source] = max(sourceWatermarks[source], idleMaximum)
            }
            for shard in shards {
                for intake in shard.intakes(of: source) { intake.sourceWatermark = sourceWatermarks[source] }
            }
        }
        let allEnded = sourceWatermarks.allSatisfy { $0 == .end }
        if allEnded, !hadRelations, quietTicks >= 1 { relationWatermark = .end }
        for (index, node) in graph.nodes.enumerated() {
            switch node.kind {
            case .source(let source): nodeWatermarks[index] = sourceWatermarks[source]
            case .relation: nodeWatermarks[index] = relationWatermark
            case .exchange: nodeWatermarks[index] = nodeWatermarks[node.inputs[0].index]
            case .operation:
                let inputs = node.inputs.map { outgoingWatermark(of: $0) }
                nodeWatermarks[index] = inputs.min() ?? .end
            }
        }
    }

    /// The watermark of what leaves a node: its own, held back by what the operator may still emit.
    private func outgoingWatermark(of id: NodeID) -> Watermark {
        nodeWatermarks[id.index].delayed(by: graph.nodes[id.index].watermarkDelay)
    }

    private func deliver(to stage: Int) {
        for receiver in shards {
            for sender in shards {
                receiver.accept(sender.takeOutbox(for: receiver.index), stage: stage)
            }
        }
    }

    /// Ticks since the sources ended in which relations brought nothing.
    private var quietTicks = 0

    private func report(hadRelations: Bool) -> TickReport {
        var deadLetters: [DeadLetter] = []
        var late: [LateRow] = []
        var progressed = hadRelations
        for shard in shards {
            deadLetters += shard.context.deadLetters
            late += shard.context.lateRows
            shard.context.deadLetters = []
            shard.context.lateRows = []
            progressed = progressed || shard.madeProgress
        }
        if sourceWatermarks.allSatisfy({ $0 == .end }) {
            if relationWatermark == .end || graph.relations.isEmpty { isFinished = true }
            quietTicks = hadRelations || !deadLetters.isEmpty || !late.isEmpty ? 0 : quietTicks + 1
            progressed = true
        }
        return TickReport(
            tick: tick, madeProgress: progressed, isFinished: isFinished, deadLetters: deadLetters, lateRows: late)
    }

    /// Lets a phase's closure carry the shards: each index is touched by one thread at a time, phases are ordered by the executor.
    private struct Phase: @unchecked Sendable {
        let shards: [Shard]
    }
}

extension Circuit {
    /// Rows read, rejected and skipped by a source so far, over all its partitions.
    package func intake(of source: Int) -> (rows: UInt64, rejected: UInt64, skipped: UInt64) {
        var total: (rows: UInt64, rejected: UInt64, skipped: UInt64) = (0, 0, 0)
        for shard in shards {
            for intake in shard.intakes(of: source) {
                total.rows += intake.rows
                total.rejected += intake.rejected
                total.skipped += intake.skipped
            }
        }
        return total
    }

    /// What happened to the rows of a view, over all shards.
    package func counters(of view: Int) -> ViewCounters {
        shards.reduce(ViewCounters()) { $0 + $1.context.counters[view] }
    }

    /// Bytes read and, where known, to be read, over all partitions.
    package var progress: (done: Int64, total: Int64?) {
        var done: Int64 = 0
        var total: Int64? = 0
        for setup in setups {
            for reader in setup.readers {
                let part = reader.progress
                done += part.done
                total = total.flatMap { sum in part.total.map { sum + $0 } }
            }
        }
        return (done, total)
    }
}
