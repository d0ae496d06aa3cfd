package import MartletColumns
internal import MartletCore
package import MartletDataflow

/// A relation that plans of a pipeline read and that lives outside of it.
package struct PipelineInput {
    package var name: String
    /// Its rows are only ever added to; else they carry weights.
    package var isAppendOnly: Bool
    /// Its watermark and its end are told by whoever feeds it; else it ends when the sources do.
    var isDriven: Bool
    var watermarks: [Int: ColumnWatermark] = [:]
    /// Of a table with a watermark: the column; its rows carry the watermark before them and are judged like a source's.
    var eventTime: Int?
    /// Of such a table: its key, by which changes are judged; empty: it has none, or its rows only come.
    var key: [Int] = []
    /// Its late rows have a table.
    var keepsLate = false

    package init(name: String, isAppendOnly: Bool, isDriven: Bool) {
        self.name = name
        self.isAppendOnly = isAppendOnly
        self.isDriven = isDriven
    }

    /// A view of another pipeline.
    package init(name: String, _ tap: PipelineTap) {
        self.name = name
        isAppendOnly = tap.isAppendOnly
        isDriven = true
        watermarks = tap.watermarks
    }
}

/// A view of a pipeline, seen from outside. Used by the thread that drives the pipeline, between ticks.
package struct PipelineTap {
    package let isAppendOnly: Bool
    /// Where the view's rows come from, for its watermark.
    package let node: NodeID
    let watermarks: [Int: ColumnWatermark]
    private let changes: ViewChanges

    init(_ lowered: Lowered, _ changes: ViewChanges) {
        isAppendOnly = lowered.isAppendOnly
        node = lowered.node
        watermarks = lowered.watermarks
        self.changes = changes
    }

    /// What the last tick changed, in the shards' order.
    package func take() -> [Batch] { changes.take() }
}

extension Pipeline {
    /// Answers whether it moved.
    func setWatermark(ofInput ordinal: Int, _ watermark: Watermark) -> Bool {
        circuit.setWatermark(ofRelation: firstInput + ordinal, watermark)
    }

    func watermark(of tap: PipelineTap) -> Watermark { circuit.watermark(of: tap.node) }
}

/// The changes of one view in one tick: written by the shards, taken by the driver.
final class ViewChanges {
    private let batches: PerShard<[Batch]>

    init(shards: Int) { batches = PerShard(shards, []) }

    func add(_ batch: Batch, shard: Int) { batches[shard].append(batch) }

    func take() -> [Batch] {
        var taken: [Batch] = []
        for shard in 0..<batches.count {
            taken += batches[shard]
            batches[shard] = []
        }
        return taken
    }
}

/// The end of a view's plan on one shard, where its changes are handed out.
final class ViewTap: StatelessOperator {
    private let changes: ViewChanges
    private let context: ShardContext

    init(_ changes: ViewChanges, context: ShardContext) {
        self.changes = changes
        self.context = context
    }

    func process(_ batch: Batch, from input: Int, into output: any Output) {
        // What a row came from is not kept with it.
        changes.add(Batch(count: batch.count, columns: batch.columns, weights: batch.weights), shard: context.shard)
    }
}
