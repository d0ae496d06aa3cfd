package import MartletColumns
internal import MartletCore

/// Adds the tick's clock to each row (`PROCTIME()`), as a TIMESTAMPTZ column. Keeps no state: the clock is in the tick's record.
package final class Stamp: StatelessOperator {
    private let clock: TickClock

    package init(clock: TickClock) {
        self.clock = clock
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        var stamped = batch
        stamped.columns.append(.constant(.timestamptz(clock.now), type: .timestamptz, count: batch.count))
        output.emit(stamped)
    }
}
