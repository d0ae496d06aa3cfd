internal import MartletColumns
internal import MartletCore
package import MartletState

/// The whole of a circuit between two ticks, as bytes (docs/formats/checkpoint.md). Together with the records of the ticks
/// after it, it is all that a circuit is.
extension Circuit {
    private static let version: UInt32 = 1

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
        precondition(tick == 0, "a circuit that has begun")
        try reader.expect("circuit")
        let savedShards = try readHeader(reader)
        tick = try reader.read()
        graph.clock.advance(to: try reader.read())
        quietTicks = try reader.readCount(max: .max)
        isFinished = try reader.readFlag()
        relationWatermark = try reader.read()
        sourceWatermarks = try marks(reader, setups.count)
        drivenWatermarks = try marks(reader, graph.relations.count)
        nodeWatermarks = try marks(reader, graph.nodes.count)
        let counts = try reader.readNumbers(UInt64.self, max: setups.count)
        guard counts.count == setups.count else { throw reader.error("\(counts.count) sources, not \(setups.count)") }
        for (source, count) in counts.enumerated() {
            guard count <= UInt64(setups[source].readers.count) else {
                throw reader.error("source \"\(setups[source].name)\" had \(count) partitions; now it has \(setups[source].readers.count)")
            }
            partitionCounts[source] = Int(count)
        }
        for relation in pendingRelations.indices {
            pendingRelations[relation] = []
            for _ in 0..<(try reader.readCount(max: 1 << 32)) { pendingRelations[relation].append(try reader.readBatch()) }
        }
        if savedShards == shardCount { try restoreShards(from: reader) } else { try adoptShards(savedShards, from: reader) }
        for shard in shards {
            for (_, intake) in shard.partitions { intake.sourceWatermark = sourceWatermarks[intake.source] }
        }
        try reader.expect("circuit end")
    }

    /// Reads one shard after the other; then they make their indexes side by side.
    private func restoreShards(from reader: StateReader) throws(StateError) {
        reader.collectLater()
        let later = PerShard<[() -> Void]>(shardCount, [])
        for shard in shards {
            try shard.restore(from: reader, partitionCounts: partitionCounts)
            later[shard.index] = reader.takeLater()
        }
        executor.forEachShard { shard in
            for work in later[shard] { work() }
            later[shard] = []
        }
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

    /// The answer: on how many shards it was saved.
    private func readHeader(_ reader: StateReader) throws(StateError) -> Int {
        let version: UInt32 = try reader.read()
        guard version == Circuit.version else {
            throw reader.error("a circuit saved as version \(version); this program reads version \(Circuit.version)")
        }
        guard try reader.read(UInt64.self) == graph.fingerprint else {
            throw reader.error("the state of other statements than these")
        }
        let shards: UInt32 = try reader.read()
        guard shards > 0, shards <= UInt32(Hash.keyGroupCount) else { throw reader.error("the state of \(shards) shards") }
        return Int(shards)
    }

    private func marks(_ reader: StateReader, _ count: Int) throws(StateError) -> [Watermark] {
        let marks = try reader.readNumbers(Int64.self, max: count)
        guard marks.count == count else { throw reader.error("\(marks.count) watermarks, not \(count)") }
        return marks
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
        for (reader, intake) in present where intake.takesPart {
            writer.begin("partition")
            intake.save(into: writer)
            reader.save(into: writer)
        }
        for (position, node) in graph.nodes.enumerated() {
            guard let target = operators[position] else { continue }
            writer.begin(node.name)
            target.save(into: writer)
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
