package import MartletColumns
internal import MartletCore
package import MartletState

/// The whole of a circuit between two ticks, as bytes (docs/formats/checkpoint.md). Together with the records of the ticks
/// after it, it is all that a circuit is.
extension Circuit {
    fileprivate static let version: UInt32 = 1

    /// Takes no thread but the driver's, and stops it for as long.
    package func save(into writer: StateWriter) {
        writer.begin("circuit")
        writer.write(Circuit.version)
        writer.write(graph.fingerprint)
        writer.write(UInt32(truncatingIfNeeded: shardCount))
        writer.write(tick)
        writer.write(graph.clock.now)
        writer.write(UInt64(quietTicks))
        writer.write(isFinished)
        writer.write(relationWatermark)
        for marks in [sourceWatermarks, drivenWatermarks, nodeWatermarks] { writer.write(marks) }
        writer.write(partitionCounts.map { UInt64($0) })
        for batches in pendingRelations {
            writer.write(UInt64(batches.count))
            for batch in batches { writer.write(batch) }
        }
        for shard in shards { shard.save(into: writer) }
        writer.begin("circuit end")
    }

    /// Into a circuit of the same graph and sources before its first tick; sources may have got more partitions meanwhile, and
    /// shards may be more or fewer. When it throws, the circuit is good for nothing any more.
    package func restore(from reader: StateReader) throws(StateError) {
        try restore(try SavedCircuit(from: reader), shardsFrom: reader)
    }

    /// The same in two parts: what the saved state says of the whole was read before.
    package func restore(_ saved: SavedCircuit, shardsFrom reader: StateReader) throws(StateError) {
        precondition(tick == 0, "a circuit that has begun")
        guard isOf(saved) else {
            throw StateError(
                SQLError(
                    SQLState("55000"), "the state was saved by another plan than the one by which this version runs the same statements",
                    hint: "Let the version that saved it go on; or begin anew, without the state (--reset)."))
        }
        for (what, count, own) in [
            ("sources", saved.sourceWatermarks.count, setups.count), ("relations", saved.drivenWatermarks.count, graph.relations.count),
            ("nodes", saved.nodeWatermarks.count, graph.nodes.count), ("sources", saved.partitionCounts.count, setups.count),
        ] where count != own {
            throw reader.error("\(count) \(what), not \(own)")
        }
        for (source, count) in saved.partitionCounts.enumerated() where count > setups[source].readers.count {
            throw reader.error("source \"\(setups[source].name)\" had \(count) partitions; now it has \(setups[source].readers.count)")
        }
        goOn(as: saved)
        sourceWatermarks = saved.sourceWatermarks
        drivenWatermarks = saved.drivenWatermarks
        nodeWatermarks = saved.nodeWatermarks
        partitionCounts = saved.partitionCounts
        pendingRelations = saved.pending
        if saved.shards == shardCount {
            try restoreShards(from: reader)
        } else {
            // What is adopted is looked into at once.
            try reader.keepingNothing { () throws(StateError) in try adoptShards(saved.shards, from: reader) }
        }
        for shard in shards {
            for (_, intake) in shard.partitions { intake.sourceWatermark = sourceWatermarks[intake.source] }
        }
        try reader.expect("circuit end")
    }

    /// Whether the state is that of the same graph. Only then its operators can take it.
    package func isOf(_ saved: SavedCircuit) -> Bool { saved.fingerprint == graph.fingerprint }

    /// Ticks are counted on from those of a saved circuit, whatever this one did to come to the same.
    package func goOn(as saved: SavedCircuit) {
        tick = saved.tick
        graph.clock.advance(to: saved.clock)
        quietTicks = saved.quietTicks
        isFinished = saved.isFinished
        relationWatermark = saved.relationWatermark
    }

    /// Reads one shard after the other; then indexes are made side by side, unless whoever reads more than a circuit sees to it.
    private func restoreShards(from reader: StateReader) throws(StateError) {
        try reader.keepingLater { () throws(StateError) in
            for shard in shards { try shard.restore(from: reader, partitionCounts: partitionCounts) }
        }
        if !reader.keepsLater { executor.carryOut(reader.takeLater()) }
    }

    /// The state of another number of shards, operator by operator: keys go to the shards that own them now, partitions to
    /// those that read them now.
    private func adoptShards(_ saved: Int, from reader: StateReader) throws(StateError) {
        for from in 0..<saved {
            try reader.expect("shard \(from)")
            let advanced = try Shard.readAdvanced(reader, graph)
            for shard in shards {
                shard.advanced = from == 0 ? advanced : zip(shard.advanced, advanced).map { min($0, $1) }
            }
            let heir = shards[from % shardCount].context
            for view in heir.counters.indices { heir.counters[view] = heir.counters[view] + (try ViewCounters(from: reader)) }
            for source in setups.indices {
                for partition in 0..<partitionCounts[source] where partition % saved == from {
                    try shards[partition % shardCount].restorePartition(source, partition, from: reader)
                }
            }
            for (position, node) in graph.nodes.enumerated() {
                guard case .operation(let make) = node.kind else { continue }
                try reader.expect(node.name)
                // What keeps nothing has saved nothing.
                if shards[0].operators[position] is any StatelessOperator { continue }
                let other = try restored(make, from, of: saved, reader)
                for shard in shards {
                    let share = KeyShare(shard: shard.index, of: shardCount)
                    shard.operators[position]?.adopt(other, ShardMove(from: from, fromCount: saved, share: share))
                }
            }
        }
    }

    private func restored(_ make: OperatorFactory, _ shard: Int, of count: Int, _ reader: StateReader) throws(StateError) -> any Operator {
        let context = ShardContext(
            shard: shard, shardCount: count, views: graph.views.count + graph.groups.count, evaluation: shards[0].context.evaluation,
            meter: ShardMeter(nodes: graph.nodes.count, clock: clock))
        do throws(SQLError) {
            let made = try make(context)
            do throws(StateError) { try made.restore(from: reader) } catch { throw error.asSQLError }
            return made
        } catch {
            throw StateError(error.message)
        }
    }
}

/// What a saved circuit says of the whole, before its shards. It can be read whatever the graph.
package struct SavedCircuit {
    package let fingerprint: UInt64
    let shards: Int
    package let tick: UInt64
    /// What `now()` was in the last tick.
    package let clock: Int64
    fileprivate let quietTicks: Int
    fileprivate let isFinished: Bool
    fileprivate let relationWatermark: Watermark
    fileprivate let sourceWatermarks: [Watermark]
    fileprivate let drivenWatermarks: [Watermark]
    fileprivate let nodeWatermarks: [Watermark]
    fileprivate let partitionCounts: [Int]
    /// By relation: rows that were fed and that no tick has taken in.
    package let pending: [[Batch]]

    /// Sources, relations and nodes of a graph, each.
    private static let countMax = 1 << 20
    private static let partitionsMax: UInt64 = 1 << 24

    package init(from reader: StateReader) throws(StateError) {
        try reader.expect("circuit")
        let version: UInt32 = try reader.read()
        guard version == Circuit.version else {
            throw reader.error("a circuit saved as version \(version); this program reads version \(Circuit.version)")
        }
        fingerprint = try reader.read()
        let shards: UInt32 = try reader.read()
        guard shards > 0, shards <= UInt32(Hash.keyGroupCount) else { throw reader.error("the state of \(shards) shards") }
        self.shards = Int(shards)
        tick = try reader.read()
        clock = try reader.read()
        quietTicks = try reader.readCount(max: .max)
        isFinished = try reader.readFlag()
        relationWatermark = try reader.read()
        sourceWatermarks = try reader.readNumbers(Int64.self, max: SavedCircuit.countMax)
        drivenWatermarks = try reader.readNumbers(Int64.self, max: SavedCircuit.countMax)
        nodeWatermarks = try reader.readNumbers(Int64.self, max: SavedCircuit.countMax)
        let counts = try reader.readNumbers(UInt64.self, max: SavedCircuit.countMax)
        if let count = counts.first(where: { $0 > SavedCircuit.partitionsMax }) { throw reader.error("a source of \(count) partitions") }
        partitionCounts = counts.map { Int($0) }
        var pending: [[Batch]] = []
        for _ in drivenWatermarks {
            var batches: [Batch] = []
            for _ in 0..<(try reader.readCount(max: 1 << 32)) { batches.append(try reader.readBatch()) }
            pending.append(batches)
        }
        self.pending = pending
    }
}

extension Graph {
    /// What a saved state says of its graph: nodes by name, kind and inputs. Layouts are told by the tables themselves.
    var fingerprint: UInt64 {
        var text = views.joined(separator: "\n")
        for node in nodes {
            let kind =
                switch node.kind {
                case .source(let source): "source \(source)"
                case .relation(let relation): "relation \(relation) \(isDriven[relation])"
                case .exchange(let keys): "exchange \(keys)"
                case .operation: "operation"
                }
            text += "\n\(node.name) \(kind) \(node.inputs.map(\.index)) \(node.stage) \(node.watermarkDelay)"
        }
        let bytes = Array(text.utf8)
        return UInt64(bytes.withUnsafeBytes { crc32c($0) }) << 32 | UInt64(UInt32(truncatingIfNeeded: bytes.count))
    }
}

extension Shard {
    func save(into writer: StateWriter) {
        writer.begin("shard \(index)")
        writer.write(advanced)
        for counters in context.counters { counters.save(into: writer) }
        let present = partitions.sorted { ($0.intake.source, $0.intake.partition) < ($1.intake.source, $1.intake.partition) }
        for (reader, intake) in present where intake.takesPart { savePartition(reader, intake, into: writer) }
        for (position, node) in graph.nodes.enumerated() {
            guard let target = operators[position] else { continue }
            writer.begin(node.name)
            target.save(into: writer)
        }
    }

    private func savePartition(_ partition: any PartitionReader, _ intake: SourceIntake, into writer: StateWriter) {
        writer.begin("partition")
        intake.save(into: writer)
        partition.save(into: writer)
    }

    /// A partition that is one of this shard's.
    func savePartition(_ source: Int, _ partition: Int, into writer: StateWriter) {
        for own in partitions where own.intake.source == source && own.intake.partition == partition {
            savePartition(own.reader, own.intake, into: writer)
        }
    }

    func restore(from reader: StateReader, partitionCounts: [Int]) throws(StateError) {
        try reader.expect("shard \(index)")
        advanced = try Shard.readAdvanced(reader, graph)
        for view in context.counters.indices { context.counters[view] = try ViewCounters(from: reader) }
        let sorted = partitions.sorted { ($0.intake.source, $0.intake.partition) < ($1.intake.source, $1.intake.partition) }
        for (partition, intake) in sorted where intake.partition < partitionCounts[intake.source] {
            try restorePartition(partition, intake, from: reader)
        }
        for (position, node) in graph.nodes.enumerated() {
            guard let target = operators[position] else { continue }
            try reader.expect(node.name)
            try target.restore(from: reader)
        }
    }

    static func readAdvanced(_ reader: StateReader, _ graph: Graph) throws(StateError) -> [Watermark] {
        let advanced = try reader.readNumbers(Int64.self, max: graph.nodes.count)
        guard advanced.count == graph.nodes.count else { throw reader.error("\(advanced.count) nodes, not \(graph.nodes.count)") }
        return advanced
    }

    /// A partition that is one of this shard's.
    func restorePartition(_ source: Int, _ partition: Int, from reader: StateReader) throws(StateError) {
        guard let own = partitions.first(where: { $0.intake.source == source && $0.intake.partition == partition }) else {
            throw reader.error("a partition that is not there")
        }
        try restorePartition(own.reader, own.intake, from: reader)
    }

    private func restorePartition(_ partition: any PartitionReader, _ intake: SourceIntake, from reader: StateReader) throws(StateError) {
        try reader.expect("partition")
        try intake.restore(from: reader)
        try partition.restore(from: reader)
        intake.takesPart = true
        intake.known = TickInputs.Partition(
            source: intake.source, partition: intake.partition, position: partition.position,
            isFinished: intake.time.isFinished, isIdle: intake.time.isIdle)
    }
}
