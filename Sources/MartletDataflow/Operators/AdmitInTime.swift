package import MartletColumns
internal import MartletCore

/// Refuses source rows that are earlier than their own partition's watermark, held back by the allowed lateness: what
/// comes behind may take everything below that for complete. A row without a time is filtered, unless it is kept.
package final class AdmitInTime: StatelessOperator {
    private let time: Int
    private let allowedLateness: Int64
    private let keepsTimeless: Bool
    private let view: Int
    private let context: ShardContext

    package init(time: Int, allowedLateness: Int64, keepsTimeless: Bool = false, view: Int, context: ShardContext) {
        self.time = time
        self.allowedLateness = allowedLateness
        self.keepsTimeless = keepsTimeless
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let times = batch.columns[time]
        let stamps = batch.watermarks?.int64s
        let admitted = Selection(capacity: batch.count)
        for row in 0..<batch.count {
            let isTimeless = times.isNull(row)
            if isTimeless, !keepsTimeless {
                context.counters[view].filtered += 1
            } else if !isTimeless, let stamps, times.int64s[row] < stamps[row].delayed(by: allowedLateness) {
                context.addLate(batch, row, eventTime: times.int64s[row], view: view, countsSourceRows: true)
            } else {
                admitted.indexes[admitted.count] = Int32(truncatingIfNeeded: row)
                admitted.count &+= 1
            }
        }
        context.counters[view].counted += UInt64(admitted.count)
        if admitted.count == batch.count {
            output.emit(batch)
        } else if admitted.count > 0 {
            output.emit(batch.gather(admitted))
        }
    }
}
