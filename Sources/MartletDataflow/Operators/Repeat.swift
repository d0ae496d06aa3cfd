package import MartletColumns
internal import MartletCore
internal import MartletState

/// Each row as often as one of its columns says: INTERSECT ALL and EXCEPT ALL. A deletion takes back as many.
package final class Repeat: StatelessOperator {
    private let times: Int

    /// - Parameter times: a BIGINT column, not NULL and not negative.
    package init(times: Int) {
        self.times = times
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let counts = batch.columns[times].int64s
        let weights = Column(.bigint, capacity: batch.count)
        weights.count = batch.count
        for row in 0..<batch.count { weights.int64s[row] = counts[row] &* (batch.weights?.int64s[row] ?? 1) }
        var repeated = batch
        repeated.weights = weights
        repeated = Consolidation.repeated(repeated)
        if batch.weights == nil { repeated.weights = nil }
        if repeated.count > 0 { output.emit(repeated) }
    }
}
