/// How fast readers of history may go while producers need the machine. Loop thread only.
///
/// A reader of history can take all the processors and the disk give, on both sides of the connection, and does so from
/// those who write. While producers write much, each such reader therefore gets a multiple of what they write: enough
/// that whoever fell behind comes nearer again, and little enough that the producers do not notice. Otherwise it is not
/// held up at all.
package struct HistoryPace {
    /// Below this producers leave room enough for everybody.
    package static let busyBytesPerSecond: Double = 48e6
    /// Of what producers write; above 1, so that a reader that fell behind catches up.
    package static let multiple: Double = 1.5
    package static let windowNanos: Int64 = 100_000_000

    package init() {}

    private var windowStart: Int64 = 0
    private var windowBytes = 0
    /// Of the last whole window.
    private var bytesPerSecond: Double = 0

    /// Producers wrote `bytes` at `now`, monotonic.
    package mutating func produced(_ bytes: Int, now: Int64) {
        turn(now)
        windowBytes += bytes
    }

    /// For how long a reader that took `bytes` leaves the disk to others.
    package mutating func pauseNanos(after bytes: Int, now: Int64) -> Int64 {
        turn(now)
        guard bytesPerSecond >= Self.busyBytesPerSecond else { return 0 }
        return Int64(Double(bytes) / (bytesPerSecond * Self.multiple) * 1e9)
    }

    private mutating func turn(_ now: Int64) {
        let elapsed = now &- windowStart
        guard elapsed >= Self.windowNanos else { return }
        // Where nobody wrote for long, the window is as long as that, and its rate as low.
        bytesPerSecond = Double(windowBytes) / Double(elapsed) * 1e9
        windowStart = now
        windowBytes = 0
    }
}
