internal import MartletCore
internal import MartletDataflow

/// A case's circuit with what feeds it and what takes its rows.
struct DataflowMachine {
    let circuit: Circuit
    let partitions: [[ScriptedPartition]]
    let collectors: [RowCollector]

    init(_ item: DataflowCase, _ settings: DataflowSettings, clock: SimulatedClock, random: inout SplitMix64) throws {
        let made = DataflowGraph(item, shards: settings.shards)
        collectors = made.collectors
        var partitions: [[ScriptedPartition]] = []
        var setups: [SourceSetup] = []
        for (source, script) in item.sources.enumerated() {
            let stutterShare = settings.isErratic ? [0, 0, 0.3, 0.8][random.below(4)] : 0
            let readers = script.partitions.enumerated().map { partition, steps in
                ScriptedPartition(
                    source: source, partition: partition, steps: steps, finishes: script.finishes, clock: clock,
                    stutterShare: partition == 0 ? 0 : stutterShare, stutterSeed: random.next())
            }
            partitions.append(readers)
            let policy = EventTimePolicy(
                column: 0, delay: script.delay, idleTimeout: script.idleTimeout, maxFutureSkew: script.maxFutureSkew)
            setups.append(SourceSetup(name: "source \(source)", policy: policy, errors: .deadLetter, readers: readers))
        }
        self.partitions = partitions
        circuit = try Circuit(
            graph: made.graph, sources: setups, shards: settings.shards,
            executor: ShuffledExecutor(shards: settings.shards, seed: random.next()), clock: clock)
    }

    /// Draws a tick's limits.
    func drawLimits(_ settings: DataflowSettings, _ random: inout SplitMix64) {
        var rows = settings.rowsPerTick
        circuit.limits.batchRows = settings.batchRows
        if settings.isErratic {
            rows = [1, 2, 5, 17, 100, 5000][random.below(6)]
            circuit.limits.batchRows = [1, 3, 7, 64, 4096][random.below(5)]
        }
        circuit.limits.bytesPerPartition = rows * ScriptedPartition.rowBytes
    }
}
