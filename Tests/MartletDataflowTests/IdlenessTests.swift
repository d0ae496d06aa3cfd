import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

@Suite("Silent partitions")
struct IdlenessTests {
    private let views = [ViewSpec(.sliced(.tumble(10 * second)))]
    private let settings: DataflowSettings = {
        var settings = DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 7)
        settings.tickNanos = 1_000_000
        return settings
    }()

    private func source(_ partitions: [[ScriptStep]], idleMillis: Int64?, finishes: Bool = false) -> SourceScript {
        SourceScript(delay: 0, idleTimeout: idleMillis.map { $0 * 1_000 }, partitions: partitions, finishes: finishes)
    }

    @Test("a silent partition holds every window open; with idle_timeout only so long")
    func silent() throws {
        let partitions = [steps(rows(Array(0..<100))), steps(rows([0, 1], first: 1000))]
        let held = try check(DataflowCase(sources: [source(partitions, idleMillis: nil)], views: views), settings)
        #expect(held.watermarks == [second])
        #expect(held.outcome.views[0].rows.isEmpty)
        let released = try check(DataflowCase(sources: [source(partitions, idleMillis: 5)], views: views), settings)
        // Then everybody is silent, and the clock goes on to the end of the last window.
        #expect(released.watermarks[0] > 100 * second)
        #expect(released.outcome.views[0].counts.count == 10)
    }

    @Test("a partition that never started holds every window open; with idle_timeout only so long")
    func neverStarted() throws {
        let partitions = [steps(rows(Array(0..<100))), []]
        let held = try check(DataflowCase(sources: [source(partitions, idleMillis: nil)], views: views), settings)
        #expect(held.watermarks == [.start])
        let released = try check(DataflowCase(sources: [source(partitions, idleMillis: 5)], views: views), settings)
        // Then everybody is silent, and the clock goes on to the end of the last window.
        #expect(released.watermarks[0] > 100 * second)
        #expect(released.outcome.views[0].counts.count == 10)
    }

    @Test("a partition that is finished is not waited for")
    func finished() throws {
        let partitions = [steps(rows(Array(0..<50))), steps(rows([0, 1], first: 1000)), []]
        let run = try check(DataflowCase(sources: [source(partitions, idleMillis: nil, finishes: true)], views: views), settings)
        #expect(run.isFinished && run.watermarks == [.end])
        #expect(run.outcome.views[0].counts == [0: 12, 10: 10, 20: 10, 30: 10, 40: 10])
    }

    @Test("one that returns with old data is judged by the watermark that moved on without it, one that stayed is not")
    func returns() throws {
        // Partition 1 falls silent for 50 ms after two rows, and then returns with rows from long ago, and a new one.
        let back = rows([5, 6, 70], first: 2000)
        let partitions: [[ScriptStep]] = [
            steps(rows(Array(0..<70))) + [.silence(nanos: 300_000_000)] + steps(rows([71], first: 500)),
            steps(rows([0, 1], first: 1000)) + [.silence(nanos: 50_000_000)] + steps(back),
        ]
        let idle = try check(
            DataflowCase(sources: [source(partitions, idleMillis: 5, finishes: true)], views: views), settings)
        #expect(idle.outcome.views[0].late == [2000, 2001])
        #expect(idle.outcome.views[0].counts[70] == 2)
        let waiting = try check(
            DataflowCase(sources: [source(partitions, idleMillis: nil, finishes: true)], views: views), settings)
        #expect(waiting.outcome.views[0].late == [], "without idle_timeout everybody waited for it")
        #expect(waiting.outcome.views[0].counts[0] == 14)
    }

    @Test("rows that cannot be used do not wake a partition")
    func unusableDoNotWake() throws {
        var refused = rows([50, 51], first: 1000)
        refused[0].time = nil
        refused[1].time = .max
        let partitions: [[ScriptStep]] = [
            steps(rows(Array(0..<40))) + [.silence(nanos: 100_000_000)] + steps(rows(Array(40..<80), first: 500)),
            [.silence(nanos: 50_000_000)] + steps(refused),
        ]
        let run = try check(DataflowCase(sources: [source(partitions, idleMillis: 5)], views: views), settings)
        #expect(run.watermarks[0] > 79 * second)
    }

    @Test("watermarks never go back, whoever idles, returns or ends", arguments: 1...40 as ClosedRange<UInt64>)
    func neverBack(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var id: Int64 = 0
        let partitions = (0..<3).map { _ in
            (0..<60).map { _ -> ScriptStep in
                if random.chance(0.1) { return .silence(nanos: random.within(0...20) * 1_000_000) }
                id += 1
                return .row(ScriptedRow(id: id, time: random.within(0...200) * second, key: id % 3, value: id))
            }
        }
        var settings = settings
        settings.isErratic = true
        settings.seed = seed
        try check(
            DataflowCase(
                sources: [source(partitions, idleMillis: 4, finishes: seed % 2 == 0)],
                views: views + [ViewSpec(.ordered), ViewSpec(.grouped(.tumble(7 * second), onClose: false))]), settings,
            "seed \(seed)")
    }
}
