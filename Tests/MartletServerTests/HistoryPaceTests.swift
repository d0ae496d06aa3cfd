import MartletServer
import Testing

@Suite("The pace of readers of history")
struct HistoryPaceTests {
    /// Producers that write `bytesPerSecond` from second 1 to second 2, in pieces of a millisecond.
    private func pace(bytesPerSecond: Int) -> HistoryPace {
        var pace = HistoryPace()
        for millisecond in 1_000..<2_000 { pace.produced(bytesPerSecond / 1_000, now: Int64(millisecond) * 1_000_000) }
        return pace
    }

    @Test("it is held up only beside producers that write much, and no longer than they write")
    func busy() {
        var quiet = pace(bytesPerSecond: Int(HistoryPace.busyBytesPerSecond) / 2)
        #expect(quiet.pauseNanos(after: 1_000_000, now: 2_000_000_000) == 0)
        var busy = pace(bytesPerSecond: 200_000_000)
        #expect(busy.pauseNanos(after: 1_000_000, now: 2_000_000_000) > 0)
        #expect(busy.pauseNanos(after: 1_000_000, now: 4_000_000_000) == 0)
    }

    @Test("a reader gets more than producers write, so that it catches up")
    func catchesUp() {
        var pace = pace(bytesPerSecond: 200_000_000)
        let nanos = pace.pauseNanos(after: 10_000_000, now: 2_000_000_000)
        let bytesPerSecond = 10_000_000 / (Double(nanos) / 1e9)
        #expect(bytesPerSecond > 220_000_000 && bytesPerSecond < 500_000_000)
    }
}
