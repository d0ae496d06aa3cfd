internal import MartletColumns
internal import MartletCore

/// One shard's instance of the graph: its operators, its share of the partitions, what it sends to other shards.
package final class Shard {
    package let index: Int
    package let context: ShardContext
    package private(set) var madeProgress = false
    /// How long its part of the phase that ended last took.
    var phaseNanos: Int64 = 0

    let graph: Graph
    private(set) var operators: [(any Operator)?]
    private var outputs: [NodeOutput] = []
    private(set) var partitions: [(reader: any PartitionReader, intake: SourceIntake)] = []
    private var exchanges: [ExchangeSender?]
    /// Rows from other shards by the exchange they crossed, in the senders' order.
    private var inbox: [(exchange: NodeID, batch: Batch)] = []
    private var fedSources: [(source: Int, batch: Batch)] = []
    var advanced: [Watermark]

    init(
        index: Int, of count: Int, graph: Graph, sources: [SourceSetup], evaluation: EvaluationContext, clock: any Clock
    ) throws(SQLError) {
        self.index = index
        self.graph = graph
        context = ShardContext(
            shard: index, shardCount: count, views: graph.views.count + graph.groups.count, evaluation: evaluation,
            meter: ShardMeter(nodes: graph.nodes.count, clock: clock))
        operators = Array(repeating: nil, count: graph.nodes.count)
        exchanges = Array(repeating: nil, count: graph.nodes.count)
        advanced = Array(repeating: .start, count: graph.nodes.count)
        for (position, node) in graph.nodes.enumerated() {
            switch node.kind {
            case .operation(let make): operators[position] = try make(context)
            case .exchange(let keys): exchanges[position] = ExchangeSender(keys: keys, shards: count)
            case .source, .relation: break
            }
            outputs.append(NodeOutput(context, node: position))
        }
        for (position, node) in graph.nodes.enumerated() {
            for (consumer, input) in node.consumers {
                if let target = operators[consumer.index] {
                    outputs[position].targets.append(.operation(target, input, outputs[consumer.index]))
                } else if let sender = exchanges[consumer.index] {
                    outputs[position].targets.append(.exchange(sender))
                }
            }
        }
        for (ordinal, setup) in sources.enumerated() {
            for (partition, reader) in setup.readers.enumerated() {
                addPartition(partition, of: ordinal, setup, reader, nowNanos: clock.monotonicNanos())
            }
        }
    }

    /// Takes on a partition, if it is one of this shard's.
    func addPartition(_ partition: Int, of source: Int, _ setup: SourceSetup, _ reader: any PartitionReader, nowNanos: Int64) {
        guard partition % context.shardCount == index else { return }
        let intake = SourceIntake(
            source: source, partition: partition, position: reader.position, policy: setup.policy, errors: setup.errors,
            context: context, output: outputs[graph.sources[source].index], time: PartitionTime(nowNanos: nowNanos))
        partitions.append((reader, intake))
    }

    func intakes(of source: Int) -> [SourceIntake] {
        partitions.lazy.map(\.intake).filter { $0.source == source }
    }

    /// Takes what this shard's partitions have, or what `replay` says they gave (by source and partition), and what was fed
    /// to sources, and pushes it through stage 0. `fences`: by source, how far its partitions may be read.
    func ingest(
        _ limits: TickLimits, nowNanos: Int64, wallMicros: Int64, fences: [[Int64]?], replay: [PartitionName: Int64]?
    ) {
        madeProgress = !fedSources.isEmpty
        context.hasMoved = false
        defer { context.meter.move(to: ShardMeter.outside) }
        for (source, batch) in fedSources { outputs[graph.sources[source].index].emit(batch) }
        fedSources = []
        for (reader, intake) in partitions where !intake.time.isFinished && context.failure == nil {
            context.meter.move(to: graph.sources[intake.source].index)
            intake.nowNanos = nowNanos
            intake.wallMicros = wallMicros
            do throws(SQLError) {
                if let replay {
                    guard let position = replay[intake.name], position != reader.position else { continue }
                    try reader.poll(upTo: position, rows: limits.batchRows, into: intake)
                    guard reader.position == position else {
                        throw SQLError(
                            .dataCorrupted,
                            "a recorded tick ended at \(position) of partition \(intake.partition), reading it again at \(reader.position)")
                    }
                    madeProgress = true
                    continue
                }
                if let fence = fences[intake.source] {
                    let before = reader.position
                    try reader.poll(
                        before: fence[intake.partition], bytes: limits.bytesPerPartition * TickLimits.catchUpShare, rows: limits.batchRows,
                        into: intake)
                    if reader.position != before { madeProgress = true }
                    continue
                }
                switch try reader.poll(bytes: limits.bytesPerPartition, rows: limits.batchRows, into: intake) {
                case .progressed: madeProgress = true
                case .idle: break
                case .finished:
                    intake.time.isFinished = true
                    madeProgress = true
                }
            } catch {
                context.failure = error
            }
        }
    }

    /// Rows of a source that were read and judged elsewhere: they enter with the next `ingest`.
    func feed(source: Int, _ batch: Batch) { fedSources.append((source, batch)) }

    /// Lets go of the partitions of a source.
    func removePartitions(of source: Int) { partitions.removeAll { $0.intake.source == source } }

    /// Rows of late tables and dead letters enter at shard 0 only, so that each counts once.
    func feed(_ fed: [(relation: Int, batch: Batch)]) {
        for (relation, batch) in fed {
            outputs[graph.relations[relation].index].emit(batch)
        }
        context.meter.move(to: ShardMeter.outside)
    }

    /// What waits to cross to other shards, or to the next stage.
    var waitingBytes: Int { exchanges.reduce(0) { $0 + ($1?.waitingBytes ?? 0) } }

    /// Of each node, so far.
    var figures: [NodeFigures] {
        var figures = context.meter.nodes
        for (node, target) in operators.enumerated() { if let target { figures[node].state = target.stateSize } }
        return figures
    }

    /// Completes a stage: what came across, then for each of its nodes, in order, what the watermark passes and what changed.
    func run(stage: Int, watermarks: [Watermark]) {
        let arrived = inbox
        inbox = []
        for (exchange, batch) in arrived {
            outputs[exchange.index].emit(batch)
        }
        defer { context.meter.move(to: ShardMeter.outside) }
        for (position, node) in graph.nodes.enumerated() where node.stage == stage {
            guard let target = operators[position], !context.isStopped else { continue }
            context.meter.move(to: position)
            if watermarks[position] > advanced[position] {
                advanced[position] = watermarks[position]
                target.advance(to: watermarks[position], into: outputs[position])
            }
            target.flush(into: outputs[position])
        }
    }

    func takeOutbox(for target: Int) -> [(exchange: NodeID, batch: Batch)] {
        var taken: [(exchange: NodeID, batch: Batch)] = []
        for (position, sender) in exchanges.enumerated() {
            guard let sender else { continue }
            taken += sender.take(target).map { (NodeID(index: position), $0) }
        }
        return taken
    }

    func accept(_ batches: [(exchange: NodeID, batch: Batch)], stage: Int) {
        inbox += batches
    }
}

/// Passes a node's batches to its consumers, in the graph's order.
final class NodeOutput: Output {
    private let context: ShardContext
    private let node: Int

    init(_ context: ShardContext, node: Int) {
        self.context = context
        self.node = node
    }

    enum Target {
        case operation(any Operator, Int, NodeOutput)
        case exchange(ExchangeSender)
    }

    var targets: [Target] = []

    func emit(_ batch: Batch) {
        guard batch.count > 0, !context.isStopped else { return }
        context.hasMoved = true
        let meter = context.meter
        meter.gave(node, batch.count)
        for target in targets {
            switch target {
            case .operation(let consumer, let input, let output):
                let giver = meter.move(to: output.node)
                meter.took(output.node, batch.count)
                consumer.process(batch, from: input, into: output)
                meter.move(to: giver)
            case .exchange(let sender): sender.send(batch)
            }
        }
    }
}

/// A partition by its ordinals.
struct PartitionName: Hashable, Sendable {
    var source: Int
    var partition: Int
}

extension SourceIntake {
    var name: PartitionName { PartitionName(source: source, partition: partition) }
}
