package import MartletColumns
package import MartletCore

/// Arrays taken apart: one row for each element, the row's own columns beside it. Several arrays go side by side, the shorter
/// ones followed by NULLs. The arrays are the columns behind the row's own, and are not passed on. Keeps no state.
package final class Unnest: StatelessOperator {
    /// Rows of one batch on their way out: a long array leaves in pieces.
    private static let rowsMax = 4096

    private let width: Int
    private let elements: [DataType]
    private let isOuter: Bool
    private let hasOrdinality: Bool

    /// - Parameters:
    ///   - width: the row's own columns, which come first.
    ///   - elements: the types of the arrays' elements.
    ///   - isOuter: a row whose arrays are all empty stays, with NULLs.
    ///   - hasOrdinality: the element's number, from 1, comes last.
    package init(width: Int, elements: [DataType], isOuter: Bool, hasOrdinality: Bool) {
        self.width = width
        self.elements = elements
        self.isOuter = isOuter
        self.hasOrdinality = hasOrdinality
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        var own = batch
        own.columns = Array(batch.columns.prefix(width))
        var pending = Pending(elements, hasOrdinality)
        for row in 0..<batch.count {
            let lists = elements.indices.map { ArrayFunctions.unnest(batch.columns[width + $0].value(at: row)) }
            let count = lists.map(\.count).max() ?? 0
            if count == 0, isOuter { pending.append(row, nil, lists) }
            for at in 0..<count {
                pending.append(row, at, lists)
                if pending.rows.count == Unnest.rowsMax { pending.leave(own, output) }
            }
        }
        if !pending.rows.isEmpty { pending.leave(own, output) }
    }

    /// Rows being gathered.
    private struct Pending {
        var rows: [Int] = []
        private let elements: [DataType]
        private let hasOrdinality: Bool
        private var columns: [Column] = []

        init(_ elements: [DataType], _ hasOrdinality: Bool) {
            self.elements = elements
            self.hasOrdinality = hasOrdinality
            start()
        }

        private mutating func start() {
            rows.removeAll(keepingCapacity: true)
            columns = (elements + (hasOrdinality ? [.bigint] : [])).map { Column($0, capacity: 64) }
        }

        /// `at` nil: NULLs.
        mutating func append(_ row: Int, _ at: Int?, _ lists: [[Value]]) {
            rows.append(row)
            for (column, list) in zip(columns, lists) {
                column.append(at.flatMap { $0 < list.count ? list[$0] : nil } ?? .null)
            }
            if hasOrdinality { columns[elements.count].append(at.map { .bigint(Int64($0) + 1) } ?? .null) }
        }

        mutating func leave(_ own: Batch, _ output: any Output) {
            var batch = own.gather(Selection(rows))
            batch.columns += columns
            output.emit(batch)
            start()
        }
    }
}
