internal import MartletColumns
package import MartletCore
package import MartletDataflow
package import MartletState

/// A row of a scripted source. Its columns are time, key, label (a text made from the key), value and id.
package struct ScriptedRow: Hashable, Sendable {
    /// Unique in the case: outcomes are told by it.
    package var id: Int64
    /// Event time in µs; nil: NULL.
    package var time: Int64?
    package var key: Int64?
    package var value: Int64?

    package init(id: Int64, time: Int64?, key: Int64? = 0, value: Int64? = 0) {
        self.id = id
        self.time = time
        self.key = key
        self.value = value
    }

    /// Longer than a string view holds inline for every other key.
    package var label: String? { key.map { $0 % 2 == 0 ? "k\($0)" : "a longer label \($0)" } }

    package static let types: [DataType] = [.timestamptz, .bigint, .text, .bigint, .bigint]

    func values(_ timeType: DataType) -> [Value] {
        [
            time.map { .instant($0, timeType) } ?? .null, key.map { .bigint($0) } ?? .null,
            label.map { .text($0) } ?? .null, value.map { .bigint($0) } ?? .null, .bigint(id),
        ]
    }
}

package enum ScriptStep: Hashable, Sendable {
    case row(ScriptedRow)
    /// A record that cannot be read.
    case unreadable
    /// Nothing there until so much time has passed since it was first asked for.
    case silence(nanos: Int64)
}

/// What a partition handed over in one tick.
package struct Delivery: Sendable {
    package var rows: [ScriptedRow] = []
    package var unreadable = 0
    package var isFinished = false
}

/// A partition that follows a script, as far as each tick's budget allows. A row costs 64 bytes of the budget.
package final class ScriptedPartition: PartitionReader {
    package static let rowBytes = 64

    private let source: Int
    private let partition: Int
    private let steps: [ScriptStep]
    private let finishes: Bool
    private let clock: any Clock
    private var next = 0
    private var wakesAtNanos: Int64?
    private var delivery = Delivery()
    private var stutter: SplitMix64
    private let stutterShare: Double

    /// - Parameters:
    ///   - finishes: the script's end is the partition's; else it is silent from there on.
    ///   - stutterShare: the share of polls that find nothing although there is something.
    package init(
        source: Int, partition: Int, steps: [ScriptStep], finishes: Bool, clock: any Clock, stutterShare: Double,
        stutterSeed: UInt64
    ) {
        self.source = source
        self.partition = partition
        self.steps = steps
        self.finishes = finishes
        self.clock = clock
        self.stutterShare = stutterShare
        stutter = SplitMix64(seed: stutterSeed)
    }

    package var progress: (done: Int64, total: Int64?) {
        (Int64(next * ScriptedPartition.rowBytes), Int64(steps.count * ScriptedPartition.rowBytes))
    }

    /// What was delivered since it was last asked.
    package func takeDelivery() -> Delivery {
        defer { delivery = Delivery() }
        return delivery
    }

    /// Steps of the script that lie behind it.
    package var position: Int64 { Int64(next) }

    package func save(into writer: StateWriter) { writer.write(Int64(next)) }

    package func restore(from reader: StateReader) throws(StateError) {
        let saved: Int64 = try reader.read()
        guard saved >= 0, saved <= steps.count else { throw reader.error("step \(saved) of a script of \(steps.count)") }
        next = Int(saved)
    }

    package func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        var waiting: [(offset: Int, row: ScriptedRow)] = []
        while next < Int(clamping: position), next < steps.count {
            take(steps[next], rows: rows, &waiting, into: receiver)
            next += 1
        }
        hand(&waiting, to: receiver)
    }

    package func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        if stutterShare > 0, stutter.chance(stutterShare) { return .idle }
        var budget = max(bytes / ScriptedPartition.rowBytes, 1)
        var waiting: [(offset: Int, row: ScriptedRow)] = []
        var progressed = false
        read: while budget > 0, next < steps.count {
            if case .silence(let nanos) = steps[next] {
                let wakes = wakesAtNanos ?? clock.monotonicNanos() + nanos
                wakesAtNanos = wakes
                if clock.monotonicNanos() < wakes { break read }
                wakesAtNanos = nil
            }
            take(steps[next], rows: rows, &waiting, into: receiver)
            next += 1
            budget -= 1
            progressed = true
        }
        hand(&waiting, to: receiver)
        if next == steps.count, finishes {
            delivery.isFinished = true
            return .finished
        }
        return progressed ? .progressed : .idle
    }

    private func take(
        _ step: ScriptStep, rows: Int, _ waiting: inout [(offset: Int, row: ScriptedRow)], into receiver: any RecordReceiver
    ) {
        switch step {
        case .row(let row):
            waiting.append((next, row))
            delivery.rows.append(row)
            if waiting.count == rows { hand(&waiting, to: receiver) }
        case .unreadable:
            hand(&waiting, to: receiver)
            delivery.unreadable += 1
            receiver.reject(letter(next, receiver.wallMicros))
        case .silence: break
        }
    }

    private func letter(_ offset: Int, _ wallMicros: Int64) -> DeadLetter {
        DeadLetter(
            source: source, partition: Int32(partition), offset: Int64(offset), ingestedAt: wallMicros,
            reasonCode: "unreadable", reason: "scripted", field: nil, payload: Array("unreadable".utf8))
    }

    private func hand(_ waiting: inout [(offset: Int, row: ScriptedRow)], to receiver: any RecordReceiver) {
        guard !waiting.isEmpty else { return }
        let texts = waiting.map { Array("row \($0.row.id)".utf8) }
        let heap = ByteHeap(capacity: texts.reduce(0) { $0 + $1.count })
        let block = OriginBlock(
            source: source, partition: Int32(partition), heap: heap, capacity: waiting.count, ingestedAt: receiver.wallMicros)
        let columns = ScriptedRow.types.map { Column($0, capacity: waiting.count) }
        for (at, record) in waiting.enumerated() {
            block.offsets[at] = Int64(record.offset)
            block.starts[at] = UInt32(heap.used)
            block.lengths[at] = UInt32(texts[at].count)
            texts[at].withUnsafeBufferPointer { _ = heap.append($0.baseAddress!, count: $0.count) }
            for (column, value) in zip(columns, record.row.values(.timestamptz)) { column.append(value) }
        }
        block.count = waiting.count
        receiver.receive(
            Batch(count: waiting.count, columns: columns, origins: RowOrigins(block: block, rows: nil)))
        waiting = []
    }
}

/// One thread, shard after shard, in another order each time.
package final class ShuffledExecutor: ShardExecutor {
    private var random: SplitMix64
    private var order: [Int]

    package init(shards: Int, seed: UInt64) {
        order = Array(0..<shards)
        random = SplitMix64(seed: seed)
    }

    package func forEachShard(isShort: Bool, _ body: @escaping @Sendable (Int) -> Void) {
        for at in order.indices { order.swapAt(at, at + random.below(order.count - at)) }
        for shard in order { body(shard) }
    }
}
