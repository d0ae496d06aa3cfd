package import MartletColumns
package import MartletCore

/// Turns rows into the bytes of a sink's format. One per shard.
package protocol RowEncoder: AnyObject {
    func encode(_ batch: Batch, into bytes: ByteSink)
}

/// What one sink got in one tick, in the shards' order; filled by the shards, emptied by the driver.
package final class SinkCollector {
    package struct Part {
        package var bytes: ByteSink
        package var rows: UInt64
        /// For the latency of rows that come straight from a source: when each batch was read (monotonic ns), and its rows.
        package var reads: [(nanos: Int64, rows: Int)]

        package init(bytes: ByteSink, rows: UInt64) {
            self.bytes = bytes
            self.rows = rows
            reads = []
        }
    }

    package let name: String
    private let parts: PerShard<Part?>

    package init(name: String, shards: Int) {
        self.name = name
        parts = PerShard(shards, nil)
    }

    func put(_ part: Part, shard: Int) { parts[shard] = part }

    package func take() -> [Part] {
        var taken: [Part] = []
        for shard in 0..<parts.count {
            if let part = parts[shard] { taken.append(part) }
            parts[shard] = nil
        }
        return taken
    }
}

/// The end of a sink's plan on one shard: encodes rows as they come, hands the bytes over when the tick is complete.
package final class SinkBuffer: StatelessOperator {
    private let collector: SinkCollector
    private let encoder: any RowEncoder
    private let context: ShardContext
    private let pool: BytePool
    private var current: SinkCollector.Part?

    package init(_ collector: SinkCollector, encoder: any RowEncoder, pool: BytePool, context: ShardContext) {
        self.collector = collector
        self.encoder = encoder
        self.pool = pool
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        var part = current ?? SinkCollector.Part(bytes: pool.take(), rows: 0)
        encoder.encode(batch, into: part.bytes)
        part.rows += UInt64(batch.count)
        if let origins = batch.origins { part.reads.append((origins.block.readAtNanos, batch.count)) }
        current = part
    }

    package func flush(into output: any Output) {
        guard let part = current else { return }
        collector.put(part, shard: context.shard)
        current = nil
    }
}
