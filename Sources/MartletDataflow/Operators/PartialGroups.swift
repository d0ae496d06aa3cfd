package import MartletColumns
internal import MartletCore
package import MartletState

/// Where the groups that a tick made on each shard wait to be merged by their owners. A slot is written by its shard in one
/// stage, and read by all in a later one.
package final class GroupExchange {
    let parts: PerShard<AggregateTable?>

    package init(shards: Int) { parts = PerShard(shards, nil) }
}

/// The first half of an aggregation in two: a tick's rows are aggregated where they are, so that of a key that many rows have
/// one group a tick and shard crosses, and no owner has more to do than the others. Where most rows have keys of their own,
/// that would be work for nothing: the rows then pass as they are, and every now and then it is looked at again.
///
/// In front of a `GroupAggregate` with the same layout, over rows that only come.
package final class PartialGroups: Operator {
    private let layout: GroupLayout
    private let exchange: GroupExchange
    private let shard: Int
    /// There is nobody to cross to.
    private let isAlone: Bool
    private let table: AggregateTable
    /// Rows that went into the table in this tick.
    private var rows = 0
    /// Ticks for which rows still pass as they are.
    private var passing: UInt32 = 0

    /// Rows for each group below which aggregating early does not pay; a group with objects costs more to make and merge.
    private let rowsPerGroupMin: Int
    /// Of a tick that is too small to judge by.
    private static let rowsMin = 256
    private static let ticksPassed: UInt32 = 32

    package init(_ layout: GroupLayout, exchange: GroupExchange, context: ShardContext) {
        self.layout = layout
        self.exchange = exchange
        shard = context.shard
        isAlone = context.shardCount == 1
        let tableLayout = AggregateLayout(keys: layout.keys, calls: layout.calls)
        table = AggregateTable(tableLayout)
        rowsPerGroupMin = tableLayout.ownsObjects ? 8 : 2
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        if isAlone || passing > 0 {
            output.emit(batch)
            return
        }
        // What the last tick left here was read by its end.
        if rows == 0 { table.clear() }
        rows += batch.count
        table.update(
            keys: layout.keys.indices.map { batch.columns[$0] }, count: batch.count,
            arguments: layout.arguments.map { $0.map { batch.columns[$0] } }, filters: layout.filters.map { $0.map { batch.columns[$0] } })
    }

    package func flush(into output: any Output) {
        exchange.parts[shard] = rows > 0 ? table : nil
        if passing > 0 { passing -= 1 }
        if rows >= PartialGroups.rowsMin, table.groupCount * rowsPerGroupMin > rows { passing = PartialGroups.ticksPassed }
        rows = 0
    }

    package var stateSize: StateSize { StateSize(rows: 0, bytes: table.memoryBytes) }

    /// How rows cross decides about the order in which groups come, which must be the same again.
    package func save(into writer: StateWriter) { writer.write(passing) }

    package func restore(from reader: StateReader) throws(StateError) {
        passing = try reader.read()
        guard passing <= PartialGroups.ticksPassed else { throw reader.error("rows that pass for \(passing) ticks") }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? PartialGroups else { preconditionFailure("another operator") }
        passing = max(passing, other.passing)
    }
}
