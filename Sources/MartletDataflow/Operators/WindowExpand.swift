package import MartletColumns
package import MartletCore

/// Adds window_start and window_end: one row for each window that a row belongs to and is not late for.
/// A row late for all of them goes to the late rows.
package final class WindowExpand: StatelessOperator {
    private let shape: WindowShape
    private let time: Int
    private let timeType: DataType
    private let allowedLateness: Int64
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext

    package init(
        _ shape: WindowShape, time: Int, timeType: DataType, allowedLateness: Int64, view: Int, countsSourceRows: Bool,
        context: ShardContext
    ) {
        self.shape = shape
        self.time = time
        self.timeType = timeType
        self.allowedLateness = allowedLateness
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let times = batch.columns[time].int64s
        let stamps = batch.watermarks?.int64s
        var rows: [Int32] = []
        var starts: [Int64] = []
        var ends: [Int64] = []
        rows.reserveCapacity(batch.count)
        starts.reserveCapacity(batch.count)
        ends.reserveCapacity(batch.count)
        var counted: UInt64 = 0
        var outside: UInt64 = 0
        for row in 0..<batch.count {
            if batch.columns[time].isNull(row) || !shape.isCovered(times[row]) {
                outside += 1
                continue
            }
            let judged = (stamps?[row] ?? .start).delayed(by: allowedLateness)
            if shape.lastEnd(times[row]) <= judged {
                context.addLate(batch, row, eventTime: times[row], view: view, countsSourceRows: countsSourceRows)
                continue
            }
            counted += 1
            shape.forEachWindow(of: times[row]) { start, end in
                guard end > judged else { return }
                rows.append(Int32(truncatingIfNeeded: row))
                starts.append(start)
                ends.append(end)
            }
        }
        if countsSourceRows {
            context.counters[view].counted += counted
            context.counters[view].filtered += outside
        }
        guard !rows.isEmpty else { return }
        let selection = Selection(capacity: rows.count)
        selection.count = rows.count
        let startColumn = Column(timeType, capacity: rows.count)
        let endColumn = Column(timeType, capacity: rows.count)
        startColumn.count = rows.count
        endColumn.count = rows.count
        for at in rows.indices {
            selection.indexes[at] = rows[at]
            startColumn.int64s[at] = starts[at]
            endColumn.int64s[at] = ends[at]
        }
        var judged = batch
        judged.tableRows = nil
        var expanded = judged.gather(selection)
        expanded.columns += [startColumn, endColumn]
        output.emit(expanded)
    }
}
