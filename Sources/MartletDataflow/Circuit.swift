package import MartletColumns
package import MartletCore
package import MartletState

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
    /// Where there is more to read than that, ticks grow up to this, as long as they take less than `nanosWanted`.
    package var bytesPerPartitionMax = 1 << 20
    package var nanosWanted: Int64 = 50_000_000
    /// Rows of a batch, at most.
    package var batchRows = 4096

    /// Who reads what others have read already takes so many times as much, to catch up with them.
    static let catchUpShare = 2

    package init() {}
}

/// What one tick did, for whoever commits it.
package struct TickReport {
    package var tick: UInt64
    package var madeProgress: Bool
    package var isFinished: Bool
    package var deadLetters: [DeadLetter]
    package var lateRows: [LateRow]
    /// Of tables that keep theirs.
    package var lateChanges: [LateChange] = []
    /// What the tick took in, to carry it out again; nil: it took nothing and changed nothing, and may be forgotten. A tick
    /// that only rows were fed to names no partition.
    package var inputs: TickInputs?

    package init(
        tick: UInt64, madeProgress: Bool, isFinished: Bool, deadLetters: [DeadLetter], lateRows: [LateRow], inputs: TickInputs? = nil
    ) {
        self.tick = tick
        self.madeProgress = madeProgress
        self.isFinished = isFinished
        self.deadLetters = deadLetters
        self.lateRows = lateRows
        self.inputs = inputs
    }
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
    package internal(set) var tick: UInt64 = 0
    package var limits = TickLimits() {
        didSet { allowance = limits.bytesPerPartition }
    }
    /// Bytes that the next tick takes from each partition.
    private var allowance = TickLimits().bytesPerPartition
    /// Per source; never regress.
    package internal(set) var sourceWatermarks: [Watermark]
    package private(set) var shards: [Shard]

    let executor: any ShardExecutor
    let clock: any Clock
    var setups: [SourceSetup]
    /// By source: another circuit reads it and this one is fed, watermark included (`Circuit+Feeds`).
    var isFed: [Bool]
    /// By source: where its partitions are not to be read any further, at the time; nil: no such place.
    var fences: [[Int64]?]
    /// Of the relations that end by themselves.
    var relationWatermark: Watermark = .start
    /// By relation; counts for the driven ones.
    var drivenWatermarks: [Watermark]
    var nodeWatermarks: [Watermark]
    var pendingRelations: [[Batch]]
    /// By source with all its partitions silent: since when, and how far it was then.
    private var silences: [SourceSilence?]
    /// By source: how many partitions have taken part in a tick.
    package internal(set) var partitionCounts: [Int]
    /// Ticks since the sources ended in which relations brought nothing.
    var quietTicks = 0
    /// How long each phase of the last tick took, all shards together: ingestion, then the stages.
    private var phaseNanos: [Int64]
    /// Whether every partition is finished and every window closed.
    package internal(set) var isFinished = false

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
        drivenWatermarks = Array(repeating: .start, count: graph.relations.count)
        partitionCounts = Array(repeating: 0, count: sources.count)
        isFed = Array(repeating: false, count: sources.count)
        fences = Array(repeating: nil, count: sources.count)
        silences = Array(repeating: nil, count: sources.count)
        phaseNanos = Array(repeating: 0, count: graph.stages + 1)
        shards = []
        for index in 0..<shardCount {
            shards.append(
                try Shard(
                    index: index, of: shardCount, graph: graph, sources: sources, evaluation: evaluation, clock: clock))
        }
    }

    package var failure: SQLError? { shards.lazy.compactMap(\.context.failure).first }

    // MARK: - What is given to it between ticks

    /// Rows for the graph's relation `index`, which enter with the next tick. A driven relation's may have weights.
    package func feed(relation index: Int, _ batch: Batch) {
        pendingRelations[index].append(batch)
    }

    /// Promises that no row fed to the driven relation `index` from now on is earlier than `watermark`; `.end`: none will
    /// come. From the next tick on, which the rows fed before it are part of.
    ///
    /// Answers whether it moved.
    @discardableResult
    package func setWatermark(ofRelation index: Int, _ watermark: Watermark) -> Bool {
        precondition(graph.isDriven[index], "a relation that ends by itself")
        defer { drivenWatermarks[index] = max(drivenWatermarks[index], watermark) }
        return watermark > drivenWatermarks[index]
    }

    /// What the rows that leave a node from now on are not earlier than. Between ticks.
    package func watermark(of node: NodeID) -> Watermark { outgoingWatermark(of: node) }

    /// A partition that the source has got meanwhile; takes part from the next tick on, judged like one that was silent.
    package func addPartition(toSource index: Int, _ reader: any PartitionReader) {
        setups[index].readers.append(reader)
        for shard in shards {
            shard.addPartition(
                setups[index].readers.count - 1, of: index, setups[index], reader, nowNanos: clock.monotonicNanos())
        }
    }

    // MARK: - Ticks

    /// One tick: everything that becomes true together. `wallMicros`: an instant that has passed, which the tick takes for now.
    package func step(at wallMicros: Int64? = nil) -> TickReport {
        take(partitions: setups.map(\.readers.count))
        guard wallMicros == nil, limits.bytesPerPartitionMax > limits.bytesPerPartition else {
            return run(number: tick + 1, wall: wallMicros ?? clock.wallMicros(), replay: nil)
        }
        let (start, read) = (clock.monotonicNanos(), progress.done)
        defer { pace(bytes: progress.done - read, nanos: clock.monotonicNanos() - start) }
        return run(number: tick + 1, wall: clock.wallMicros(), replay: nil)
    }

    /// Under load ticks grow, so that what a tick costs by itself is spread over more rows: up to the time that readers of
    /// results may wait for one.
    private func pace(bytes: Int64, nanos: Int64) {
        if nanos > 2 * limits.nanosWanted {
            allowance = max(limits.bytesPerPartition, allowance / 2)
        } else if bytes >= allowance, nanos < limits.nanosWanted / 2 {
            allowance = min(limits.bytesPerPartitionMax, allowance * 2)
        }
    }

    /// A recorded tick, carried out again: with the same state before it, and the same rows fed, the result is the same. A
    /// record that does not belong here is refused before anything is touched; what cannot be read any more is a `failure`.
    package func step(replaying inputs: TickInputs) throws(StateError) -> TickReport {
        guard inputs.tick > tick else {
            throw StateError("tick record \(inputs.tick) is not one that follows tick \(tick)")
        }
        guard inputs.partitionCounts.count == setups.count else {
            throw StateError("tick record \(inputs.tick) is of \(inputs.partitionCounts.count) sources, not of \(setups.count)")
        }
        for (source, count) in inputs.partitionCounts.enumerated() {
            let (name, now) = (setups[source].name, setups[source].readers.count)
            guard count >= partitionCounts[source], count <= now else {
                throw StateError("tick record \(inputs.tick): source \"\(name)\" had \(count) partitions; now it has \(now)")
            }
        }
        take(partitions: inputs.partitionCounts)
        return run(number: inputs.tick, wall: inputs.wallMicros, replay: inputs)
    }

    /// Partitions that begin to take part are judged by what their source has promised until now.
    private func take(partitions counts: [Int]) {
        for (source, count) in counts.enumerated() where count > partitionCounts[source] {
            for shard in shards {
                for intake in shard.intakes(of: source) where (partitionCounts[source]..<count).contains(intake.partition) {
                    intake.time.join(sourceWatermark: sourceWatermarks[source])
                    intake.sourceWatermark = sourceWatermarks[source]
                    intake.takesPart = true
                }
            }
            partitionCounts[source] = count
        }
    }

    private func run(number: UInt64, wall: Int64, replay: TickInputs?) -> TickReport {
        tick = number
        let now = clock.monotonicNanos()
        let fed = takeRelations()
        graph.clock.advance(to: wall)
        let work = Phase(shards: shards)
        var allowed = self.limits
        allowed.bytesPerPartition = allowance
        let (limits, fences) = (allowed, fences)
        let positions = replay.map { inputs in
            Dictionary(inputs.partitions.map { (PartitionName(source: $0.source, partition: $0.partition), $0.position) }) { $1 }
        }
        runPhase(0, work) { shard in
            shard.ingest(limits, nowNanos: now, wallMicros: wall, fences: fences, replay: positions)
        }
        if !fed.isEmpty { shards[0].feed(fed) }
        settleStanding(nowNanos: now, replay: replay)
        let before = nodeWatermarks
        let advances = agreeOnWatermarks(hadRelations: !fed.isEmpty, nowNanos: now, replay: replay)
        let watermarks = nodeWatermarks
        for stage in 0..<graph.stages {
            runPhase(stage + 1, work) { shard in shard.run(stage: stage, watermarks: watermarks) }
            if stage + 1 < graph.stages { deliver(to: stage + 1) }
        }
        return report(
            wall: wall, hadRelations: !fed.isEmpty, movedWatermarks: before != watermarks, isReplay: replay != nil, advances: advances)
    }

    /// Carries out a phase on all shards; how long it took the last time says whether it is worth waking their threads.
    private func runPhase(_ phase: Int, _ work: Phase, _ body: @escaping @Sendable (Shard) -> Void) {
        let clock = clock
        executor.forEachShard(isShort: phaseNanos[phase] < Circuit.shortNanos) { index in
            let start = clock.monotonicNanos()
            body(work.shards[index])
            work.shards[index].phaseNanos = clock.monotonicNanos() - start
        }
        phaseNanos[phase] = shards.reduce(0) { $0 + $1.phaseNanos }
    }

    /// Of all shards together. To wake a thread and to wait for it takes some 10 µs on an idle machine, and takes the core from
    /// somebody else on a busy one.
    private static let shortNanos: Int64 = 100_000

    private func takeRelations() -> [(relation: Int, batch: Batch)] {
        var fed: [(relation: Int, batch: Batch)] = []
        for (index, batches) in pendingRelations.enumerated() where !batches.isEmpty {
            fed += batches.map { (index, $0) }
            pendingRelations[index] = []
        }
        return fed
    }

    /// Which partitions are idle or finished now: by the clock or, in a replay, as it was.
    private func settleStanding(nowNanos: Int64, replay: TickInputs?) {
        if let replay {
            var standing: [PartitionName: TickInputs.Partition] = [:]
            for partition in replay.partitions {
                standing[PartitionName(source: partition.source, partition: partition.partition)] = partition
            }
            for shard in shards {
                for (_, intake) in shard.partitions {
                    guard let then = standing[intake.name] else { continue }
                    intake.time.isFinished = then.isFinished
                    intake.time.isIdle = then.isIdle
                }
            }
            return
        }
        for shard in shards {
            for (_, intake) in shard.partitions {
                guard let timeout = intake.policy.idleTimeout else { continue }
                let (nanos, overflow) = timeout.multipliedReportingOverflow(by: 1000)
                intake.time.checkIdle(nowNanos: nowNanos, timeoutNanos: overflow ? .max : nanos)
            }
        }
    }

    /// Windows close at the minimum over the active partitions; a source whose partitions are all finished is at its end.
    /// Answers which sources the clock has moved on, as the record is to say.
    private func agreeOnWatermarks(hadRelations: Bool, nowNanos: Int64, replay: TickInputs?) -> [TickInputs.Advance] {
        var advances = replay?.advances ?? []
        for advance in advances { sourceWatermarks[advance.source] = max(sourceWatermarks[advance.source], advance.watermark) }
        for source in setups.indices where !isFed[source] {
            let delay = setups[source].policy.delay
            var minimum = Watermark.end
            var idleMaximum = Watermark.start
            var active = 0
            var finished = 0
            var activeAtNanos: Int64?
            let intakes = shards.flatMap { $0.intakes(of: source) }
            for intake in intakes where intake.takesPart {
                if intake.time.isFinished {
                    finished += 1
                } else if intake.time.isIdle {
                    idleMaximum = max(idleMaximum, intake.time.watermark(delay: delay))
                    activeAtNanos = max(activeAtNanos ?? .min, intake.time.activeAtNanos)
                } else {
                    active += 1
                    minimum = min(minimum, intake.time.watermark(delay: delay))
                }
            }
            if finished == partitionCounts[source] {
                sourceWatermarks[source] = .end
            } else if active > 0 {
                sourceWatermarks[source] = max(sourceWatermarks[source], minimum)
            } else {
                // Nobody holds the watermark back: it moves to the furthest that any silent partition has promised.
                sourceWatermarks[source] = max(sourceWatermarks[source], idleMaximum)
            }
            if active > 0 { activeAtNanos = nil }
            if replay == nil, let advance = goOn(source, silentSince: activeAtNanos, nowNanos: nowNanos) { advances.append(advance) }
            for intake in intakes { intake.sourceWatermark = sourceWatermarks[source] }
        }
        if haveSourcesEnded, !hadRelations, quietTicks >= 1 { relationWatermark = .end }
        for (index, node) in graph.nodes.enumerated() {
            switch node.kind {
            case .source(let source): nodeWatermarks[index] = sourceWatermarks[source]
            case .relation(let relation):
                nodeWatermarks[index] = graph.isDriven[relation] ? drivenWatermarks[relation] : relationWatermark
            case .exchange: nodeWatermarks[index] = nodeWatermarks[node.inputs[0].index]
            case .operation:
                let inputs = node.inputs.map { outgoingWatermark(of: $0) }
                nodeWatermarks[index] = inputs.min() ?? .end
            }
        }
        return advances
    }

    private var haveSourcesEnded: Bool {
        sourceWatermarks.allSatisfy { $0 == .end }
            && drivenWatermarks.indices.allSatisfy { !graph.isDriven[$0] || drivenWatermarks[$0] == .end }
    }

    /// The event time of a source that is silent altogether goes on with the clock. nil: it is not silent, or no step further.
    private func goOn(_ source: Int, silentSince: Int64?, nowNanos: Int64) -> TickInputs.Advance? {
        guard let silentSince, fences[source] == nil else {
            silences[source] = nil
            return nil
        }
        var silence = silences[source] ?? SourceSilence(from: sourceWatermarks[source], sinceNanos: silentSince)
        defer { silences[source] = silence }
        guard let further = silence.advance(nowNanos: nowNanos), further > sourceWatermarks[source] else { return nil }
        sourceWatermarks[source] = further
        return TickInputs.Advance(source: source, watermark: further)
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

    private func report(
        wall: Int64, hadRelations: Bool, movedWatermarks: Bool, isReplay: Bool, advances: [TickInputs.Advance]
    ) -> TickReport {
        var deadLetters: [DeadLetter] = []
        var late: [LateRow] = []
        var changes: [LateChange] = []
        var progressed = hadRelations
        var changed = tick == 1 || movedWatermarks || isReplay
        for shard in shards {
            for letter in shard.context.deadLetters {
                guard let view = letter.view else {
                    deadLetters.append(letter)
                    continue
                }
                for member in graph.members(view) {
                    deadLetters.append(letter)
                    deadLetters[deadLetters.count - 1].view = member
                }
            }
            for row in shard.context.lateRows {
                for member in graph.members(row.view) {
                    late.append(row)
                    late[late.count - 1].view = member
                }
            }
            for change in shard.context.lateChanges {
                for member in graph.members(change.view) {
                    changes.append(change)
                    changes[changes.count - 1].view = member
                }
            }
            shard.context.deadLetters = []
            shard.context.lateChanges = []
            shard.context.lateRows = []
            progressed = progressed || shard.madeProgress
            changed = changed || shard.context.hasMoved
        }
        if haveSourcesEnded, !isFinished {
            if relationWatermark == .end || graph.isDriven.allSatisfy({ $0 }) { isFinished = true }
            quietTicks = hadRelations || !deadLetters.isEmpty || !late.isEmpty ? 0 : quietTicks + 1
            progressed = true
        }
        let standing = takeStanding()
        changed = changed || progressed || !standing.isEmpty || !deadLetters.isEmpty || !late.isEmpty
        let inputs = TickInputs(tick: tick, wallMicros: wall, partitionCounts: partitionCounts, partitions: standing, advances: advances)
        var report = TickReport(
            tick: tick, madeProgress: progressed, isFinished: isFinished, deadLetters: deadLetters, lateRows: late,
            inputs: changed ? inputs : nil)
        report.lateChanges = changes
        return report
    }

    /// The partitions that stand otherwise than after the last tick.
    private func takeStanding() -> [TickInputs.Partition] {
        var changed: [TickInputs.Partition] = []
        for shard in shards {
            for (reader, intake) in shard.partitions where intake.takesPart {
                let now = TickInputs.Partition(
                    source: intake.source, partition: intake.partition, position: reader.position,
                    isFinished: intake.time.isFinished, isIdle: intake.time.isIdle)
                if now != intake.known {
                    intake.known = now
                    changed.append(now)
                }
            }
        }
        return changed.sorted { ($0.source, $0.partition) < ($1.source, $1.partition) }
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

    /// What happened to the rows of a view, over all shards, in operators of its own and shared ones.
    package func counters(of view: Int) -> ViewCounters {
        let ordinals = [view] + graph.groups.indices.filter { graph.groups[$0].contains(view) }.map { graph.views.count + $0 }
        return shards.reduce(ViewCounters()) { sum, shard in ordinals.reduce(sum) { $0 + shard.context.counters[$1] } }
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
