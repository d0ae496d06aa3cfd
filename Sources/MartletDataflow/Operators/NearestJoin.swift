package import MartletColumns
package import MartletCore
package import MartletState

/// ASOF JOIN at the shard that owns the key: each left row with the nearest right row of its key, as both sides' rows come and go.
/// What leaves in a tick is what all of the tick's changes come to.
package final class NearestJoin: Operator {
    package struct Layout: Sendable {
        package struct Side: Sendable {
            package var types: [DataType]
            package var keys: [Int]
            /// The column of the value by which rows are near; the same type on both sides.
            package var by: Int
            package var isChanging: Bool

            package init(types: [DataType], keys: [Int], by: Int, isChanging: Bool) {
                self.types = types
                self.keys = keys
                self.by = by
                self.isChanging = isChanging
            }
        }

        package var left: Side
        package var right: Side
        /// The last right row up to the left one; else the first from it on.
        package var isBackward: Bool
        /// The very same value does not match.
        package var isStrict: Bool
        /// A left row without a match comes with NULLs.
        package var isOuter: Bool

        package init(left: Side, right: Side, isBackward: Bool, isStrict: Bool, isOuter: Bool) {
            self.left = left
            self.right = right
            self.isBackward = isBackward
            self.isStrict = isStrict
            self.isOuter = isOuter
        }
    }

    private let layout: Layout
    private let table: NearestTable
    private var pending: [[Batch]] = [[], []]

    package init(_ layout: Layout) {
        self.layout = layout
        func side(_ side: Layout.Side) -> NearestTable.Side {
            NearestTable.Side(types: side.types, by: side.by, isChanging: side.isChanging)
        }
        table = NearestTable(
            keys: layout.left.keys.map { layout.left.types[$0] }, left: side(layout.left), right: side(layout.right),
            isBackward: layout.isBackward, isStrict: layout.isStrict)
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) { pending[input].append(batch) }

    package func flush(into output: any Output) {
        guard !pending[0].isEmpty || !pending[1].isEmpty else { return }
        var found: [Batch] = []
        for side in [1, 0] {
            let batches = pending[side]
            pending[side] = []
            guard let delta = Consolidation.net(batches) else { continue }
            let keys = side == 0 ? layout.left : layout.right
            let needed = (keys.keys + [keys.by]).map { delta.columns[$0] }.filter { $0.validity != nil }
            let isWhole = (0..<delta.count).map { row in !needed.contains { $0.isNull(row) } }
            if side == 0, layout.isOuter {
                // Rows that can match nothing.
                let alone = delta.gather(Selection((0..<delta.count).filter { !isWhole[$0] }))
                if alone.count > 0 { found.append(lonely(alone)) }
            }
            let rows = needed.isEmpty ? delta : delta.gather(Selection((0..<delta.count).filter { isWhole[$0] }))
            if rows.count > 0 {
                table.apply(side, rows.columns, keys: keys.keys.map { rows.columns[$0] }, count: rows.count, weights: rows.weights)
            }
        }
        let changes = table.changes()
        take(changes, isMatched: true, into: &found)
        if layout.isOuter { take(changes, isMatched: false, into: &found) }
        table.settle()
        if let net = Consolidation.net(found) { output.emit(net) }
    }

    private func lonely(_ lefts: Batch) -> Batch {
        let nulls = layout.right.types.map { Column.nulls($0, count: lefts.count) }
        return Batch(
            count: lefts.count, columns: lefts.columns + nulls,
            weights: lefts.weights ?? .constant(.bigint(1), type: .bigint, count: lefts.count))
    }

    private func take(_ changes: NearestTable.Changes, isMatched: Bool, into found: inout [Batch]) {
        let places = changes.lefts.indices.filter { (changes.rights[$0] != 0) == isMatched }
        guard !places.isEmpty else { return }
        let lefts = Batch(
            count: places.count, columns: table.gather(0, places.map { changes.lefts[$0] }),
            weights: Column(.bigint, places.map { .bigint(changes.weights[$0]) }))
        if isMatched {
            let rights = table.gather(1, places.map { changes.rights[$0] - 1 })
            found.append(Batch(count: lefts.count, columns: lefts.columns + rights, weights: lefts.weights))
        } else {
            found.append(lonely(lefts))
        }
    }

    package var stateSize: StateSize { StateSize(rows: table.rowCount, bytes: table.memoryBytes) }

    package func save(into writer: StateWriter) { table.save(into: writer) }

    package func restore(from reader: StateReader) throws(StateError) { try table.restore(from: reader) }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? NearestJoin else { preconditionFailure("another operator") }
        table.adopt(other.table, move.share)
    }
}
