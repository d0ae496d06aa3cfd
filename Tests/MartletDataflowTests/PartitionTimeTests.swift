import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

@Suite("A partition's place in event time")
struct PartitionTimeTests {
    @Test("a row is judged by the rows before it, not by those that share its batch")
    func stamps() throws {
        // Each row is a second later than the one before: late only if it were judged by a later one.
        let rows = (0..<20).map { ScriptedRow(id: Int64($0), time: Int64($0) * 1_000_000, value: 1) }
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows])], views: [ViewSpec(.sliced(.tumble(1))), ViewSpec(.ordered)])
        for batchRows in [1, 7, 4096] {
            let run = try DataflowRun(item, DataflowSettings(shards: 1, batchRows: batchRows, rowsPerTick: 1000))
            run.run()
            #expect(run.outcome.views.map(\.late) == [[], []])
            #expect(run.outcome.views.map(\.counted) == [20, 20])
        }
    }

    @Test("the watermark is the greatest event time so far minus the delay")
    func watermark() {
        var time = PartitionTime(nowNanos: 0)
        #expect(time.watermark(delay: 5) == .start)
        time.rowsArrived(maximum: 100, nowNanos: 1)
        #expect(time.watermark(delay: 5) == 95)
        time.rowsArrived(maximum: 70, nowNanos: 2)
        #expect(time.watermark(delay: 5) == 95, "it never regresses")
        time.rowsArrived(maximum: .min + 1, nowNanos: 2)
        #expect(time.maximum == 100)
    }

    @Test("a watermark held back stops at the beginning, and the ends of time are not moved")
    func delayed() {
        #expect(Watermark.start.delayed(by: 10) == .start)
        #expect(Watermark.end.delayed(by: 10) == .end)
        #expect((Watermark.start + 3).delayed(by: 10) == .start)
        #expect(Watermark(3).delayed(by: 10) == -7)
    }

    @Test("idle after the timeout without rows, counted from the last of them; back with a floor")
    func idleness() {
        var time = PartitionTime(nowNanos: 100)
        time.checkIdle(nowNanos: 149, timeoutNanos: 50)
        #expect(!time.isIdle)
        time.rowsArrived(maximum: 10, nowNanos: 140)
        time.checkIdle(nowNanos: 189, timeoutNanos: 50)
        #expect(!time.isIdle)
        time.checkIdle(nowNanos: 190, timeoutNanos: 50)
        #expect(time.isIdle)
        time.returned(sourceWatermark: 80)
        #expect(!time.isIdle)
        #expect(time.watermark(delay: 0) == 80)
        // One that was not idle is not judged by others.
        time.returned(sourceWatermark: 500)
        #expect(time.watermark(delay: 0) == 80)
        time.isFinished = true
        time.checkIdle(nowNanos: 1_000, timeoutNanos: 50)
        #expect(!time.isIdle, "what is finished is no longer waited for anyhow")
    }
}
