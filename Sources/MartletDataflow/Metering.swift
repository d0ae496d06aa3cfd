internal import MartletCore

/// What an operator keeps from tick to tick, about.
package struct StateSize: Sendable, Equatable {
    package var rows: Int
    package var bytes: Int

    package static let none = StateSize(rows: 0, bytes: 0)

    package init(rows: Int, bytes: Int) {
        self.rows = rows
        self.bytes = bytes
    }

    package static func + (left: StateSize, right: StateSize) -> StateSize {
        StateSize(rows: left.rows + right.rows, bytes: left.bytes + right.bytes)
    }
}

/// What has come of one node of a graph since its circuit was made.
package struct NodeFigures: Sendable, Equatable {
    /// Rows taken and given, changes of both signs alike.
    package var rowsIn: UInt64 = 0
    package var rowsOut: UInt64 = 0
    /// Processor time of its own, without that of the nodes it gave rows to.
    package var busyNanos: Int64 = 0
    package var state = StateSize.none

    package init() {}

    package static func + (left: NodeFigures, right: NodeFigures) -> NodeFigures {
        var sum = left
        sum.rowsIn += right.rowsIn
        sum.rowsOut += right.rowsOut
        sum.busyNanos += right.busyNanos
        sum.state = left.state + right.state
        return sum
    }
}

/// Counts a shard's rows and time, node by node. It is always at one node (or outside of all), to which the time goes that
/// passes until it is switched: two looks at the clock for each batch that a node takes. Used as `ShardContext` is.
package final class ShardMeter {
    /// Where no node is at work.
    package static let outside = -1

    private let clock: any Clock
    private(set) var nodes: [NodeFigures]
    private var current = ShardMeter.outside
    private var markNanos: Int64 = 0

    init(nodes: Int, clock: any Clock) {
        self.nodes = Array(repeating: NodeFigures(), count: nodes)
        self.clock = clock
    }

    /// From now on time is `node`'s. The answer: whose it was.
    @discardableResult
    func move(to node: Int) -> Int {
        let now = clock.monotonicNanos()
        if current >= 0 { nodes[current].busyNanos += now - markNanos }
        markNanos = now
        defer { current = node }
        return current
    }

    func took(_ node: Int, _ rows: Int) { nodes[node].rowsIn += UInt64(rows) }
    func gave(_ node: Int, _ rows: Int) { nodes[node].rowsOut += UInt64(rows) }
}

extension Circuit {
    /// Rows, time and state of each node, over all shards. Between ticks, or by the thread of a circuit that has one. O(nodes),
    /// and the tables that they keep.
    package var figures: [NodeFigures] {
        var sums = Array(repeating: NodeFigures(), count: graph.nodes.count)
        for shard in shards { for (node, figures) in shard.figures.enumerated() { sums[node] = sums[node] + figures } }
        return sums
    }

    /// About the bytes of rows on their way to another shard or stage. By the thread of a circuit that has one.
    package var waitingBytes: Int { shards.reduce(0) { $0 + $1.waitingBytes } }

    /// By node: how far the watermark is, and how far it must come before something that is kept leaves, if that is so. Between
    /// ticks.
    package var marks: [(watermark: Watermark, awaited: Watermark?)] {
        graph.nodes.indices.map { node in (nodeWatermarks[node], shards.compactMap { $0.operators[node]?.awaited }.min()) }
    }

    /// Where each partition of a source stands, by its ordinal. Between ticks.
    package func standings(of source: Int) -> [PartitionStanding] {
        let delay = setups[source].policy.delay
        let now = clock.monotonicNanos()
        var all: [PartitionStanding] = []
        for shard in shards {
            for (reader, intake) in shard.partitions where intake.source == source {
                all.append(
                    PartitionStanding(
                        partition: intake.partition, rows: intake.rows, rejected: intake.rejected, skipped: intake.skipped,
                        newest: intake.time.maximum, watermark: intake.time.watermark(delay: delay), isIdle: intake.time.isIdle,
                        isFinished: intake.time.isFinished, silentNanos: now - intake.time.activeAtNanos, progress: reader.progress))
            }
        }
        return all.sorted { $0.partition < $1.partition }
    }
}

/// One partition of a source, between two ticks.
package struct PartitionStanding: Sendable {
    package var partition: Int
    package var rows: UInt64
    package var rejected: UInt64
    package var skipped: UInt64
    /// Greatest event time seen, microseconds since 1970.
    package var newest: Int64?
    package var watermark: Watermark
    package var isIdle: Bool
    package var isFinished: Bool
    /// Since its last row with an event time, or since it was opened.
    package var silentNanos: Int64
    /// Bytes read so far, and in all where that is known.
    package var progress: (done: Int64, total: Int64?)
}
