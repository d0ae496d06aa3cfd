package import MartletColumns
internal import MartletCore
package import MartletDataflow

/// A relation that plans of a pipeline read and that lives outside of it.
package struct PipelineInput {
    package var name: String
    /// Its rows are only ever added to; else they carry weights.
    package var isAppendOnly: Bool
    var watermarks: [Int: ColumnWatermark] = [:]

    package init(name: String, isAppendOnly: Bool) {
        self.name = name
        self.isAppendOnly = isAppendOnly
    }

    /// A view of another pipeline.
    package init(name: String, _ tap: PipelineTap) {
        self.name = name
        isAppendOnly = tap.isAppendOnly
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
        // What a row came from is not kept with it: a block of input would live as long as a row of it.
        var own = Batch(count: batch.count, columns: batch.columns.map { $0.physical == .view ? $0.detached() : $0 })
        own.weights = batch.weights
        changes.add(own, shard: context.shard)
    }
}
