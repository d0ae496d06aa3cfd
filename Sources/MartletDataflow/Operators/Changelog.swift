package import MartletColumns
internal import MartletCore
package import MartletState

/// Changes as rows that stay (`WITH x AS CHANGELOG FROM v`): the row, what happened to it, and a number of its own.
///
/// A tick's changes are taken together. A deletion and an insertion of one key are an update: its old row, then its new one.
/// Equal rows meet at one shard, and so do the rows of a key. State: the number of the next change.
package final class Changelog: Operator {
    /// What `changelog_op` says.
    package enum Change: Int16 { case insert = 1, delete, updateInsert, updateDelete }

    private let key: [Int]
    private let context: ShardContext
    private var pending: [Batch] = []
    /// Of this shard's changes, from 0; with the shard it makes the row's number.
    private var next: Int64 = 0

    /// - Parameter key: columns that tell rows of the input apart; empty: nothing is an update.
    package init(key: [Int], context: ShardContext) {
        self.key = key
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) { pending.append(batch) }

    package func flush(into output: any Output) {
        let batches = pending
        pending = []
        guard let net = Consolidation.net(batches) else { return }
        let batch = Consolidation.repeated(net)
        let weights = batch.weights
        func isDeletion(_ row: Int) -> Bool { (weights?.int64s[row] ?? 1) < 0 }
        var order: [(row: Int, change: Change)] = []
        order.reserveCapacity(batch.count)
        var deletions: [[Value]: [Int]] = [:]
        if !key.isEmpty, weights != nil {
            for row in 0..<batch.count where isDeletion(row) { deletions[keyValues(batch, row), default: []].append(row) }
        }
        var updates: [Int: Int] = [:]
        var isPaired = Set<Int>()
        if !deletions.isEmpty {
            for row in 0..<batch.count where !isDeletion(row) {
                let values = keyValues(batch, row)
                guard var old = deletions[values], !old.isEmpty else { continue }
                updates[row] = old.removeFirst()
                isPaired.insert(updates[row] ?? 0)
                deletions[values] = old
            }
        }
        for row in 0..<batch.count {
            if isDeletion(row) {
                if !isPaired.contains(row) { order.append((row, .delete)) }
            } else if let old = updates[row] {
                order.append((old, .updateDelete))
                order.append((row, .updateInsert))
            } else {
                order.append((row, .insert))
            }
        }
        var result = batch.gather(Selection(order.map(\.row)))
        result.weights = nil
        let operations = Column(.smallint, capacity: order.count)
        let numbers = Column(.bigint, capacity: order.count)
        for entry in order {
            operations.append(.smallint(entry.change.rawValue))
            numbers.append(.bigint(next &* Int64(context.shardCount) &+ Int64(context.shard)))
            next &+= 1
        }
        result.columns += [operations, numbers]
        if result.count > 0 { output.emit(result) }
    }

    package func save(into writer: StateWriter) { writer.write(next) }

    package var stateSize: StateSize { .none }

    package func restore(from reader: StateReader) throws(StateError) { next = try reader.read() }

    /// Beyond every number that any of the shards has given.
    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? Changelog else { preconditionFailure("another operator") }
        let given = other.next &* Int64(move.fromCount)
        next = max(next, given / Int64(context.shardCount) &+ 1)
    }

    private func keyValues(_ batch: Batch, _ row: Int) -> [Value] { key.map { batch.columns[$0].value(at: row) } }
}
