import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

@Suite("Lateness")
struct LatenessTests {
    private let tumble = WindowSpec.tumble(10 * second)

    @Test("a row is late from the moment on at which its partition's watermark reaches its window's end")
    func boundary() throws {
        // Delay 0: after the row at 10 the watermark is 10, the end of the first window.
        let late = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows([3, 10, 4, 11])])], views: [ViewSpec(.sliced(tumble))])
        #expect(try check(late).outcome.views[0].late == [2])
        let inTime = DataflowCase(
            sources: [SourceScript(delay: 0, partitions: [steps(rows([3, 9, 4, 11]))])], views: [ViewSpec(.sliced(tumble))])
        #expect(try check(inTime).outcome.views[0].late == [])
        let delayed = DataflowCase(
            sources: [SourceScript(delay: second, rows: [rows([3, 10, 4, 11, 5])])], views: [ViewSpec(.sliced(tumble))])
        #expect(try check(delayed).outcome.views[0].late == [4])
        let allowed = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows([3, 10, 4, 12, 5])])],
            views: [ViewSpec(.sliced(tumble), allowedLateness: 2 * second)])
        #expect(try check(allowed).outcome.views[0].late == [4])
    }

    @Test("late for one hop slice yet counted in later ones")
    func lateForSome() throws {
        // Windows of 10 s every 2 s. The row at 7 belongs to those that start at -2, 0, 2, 4 and 6; at the watermark 11
        // the first two (which end at 8 and 10) are past.
        let hop = WindowSpec(size: 10 * second, hop: 2 * second)
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows([11, 7])])],
            views: [ViewSpec(.sliced(hop)), ViewSpec(.grouped(hop, onClose: false)), ViewSpec(.grouped(hop, onClose: true))])
        for batchRows in [1, 4096] {
            let run = try check(item, DataflowSettings(shards: 2, batchRows: batchRows, rowsPerTick: batchRows))
            for view in run.outcome.views {
                #expect(view.counts == [2: 2, 4: 2, 6: 2, 8: 1, 10: 1])
                #expect(view.late == [])
                #expect(view.counted == 2, "a row in several windows counts once")
            }
        }
    }

    @Test("lateness is a partition's own: files read at different speeds make nothing late")
    func ownPartition() throws {
        let fast = rows(Array(0..<100), first: 0)
        let slow = rows(Array(0..<100), first: 1000)
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [fast, slow, []])], views: [ViewSpec(.sliced(tumble)), ViewSpec(.ordered)])
        for seed in 1...10 as ClosedRange<UInt64> {
            var settings = DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10, seed: seed)
            settings.isErratic = true
            let run = try check(item, settings)
            #expect(run.outcome.views.map(\.late) == [[], []])
            #expect(run.outcome.views[0].counts.values.allSatisfy { $0 == 20 })
        }
    }

    @Test("each view refuses for itself: late for one, counted in another")
    func perView() throws {
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows([1, 30, 12])])],
            views: [
                ViewSpec(.sliced(tumble)), ViewSpec(.sliced(.tumble(60 * second))), ViewSpec(.ordered), ViewSpec(.select),
                ViewSpec(.plain),
            ])
        #expect(try check(item).outcome.views.map(\.late) == [[2], [], [2], [], []])
    }

    @Test("a row between windows, where the hop is longer than the size, is filtered")
    func gaps() throws {
        let gaps = WindowSpec(size: 2 * second, hop: 10 * second)
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [rows([0, 1, 2, 9, 10, 11, 12, 30, 1, 5])])],
            views: [ViewSpec(.sliced(gaps)), ViewSpec(.grouped(gaps, onClose: false))])
        for view in try check(item).outcome.views {
            #expect((view.counted, view.filtered) == (5, 4))
            #expect(view.late == [8])
        }
    }

    @Test("what a filter drops is not late")
    func filteredFirst() throws {
        var late = rows([100, 1])
        late[1].value = 0
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [late])], views: [ViewSpec(.sliced(tumble), predicate: .valueAtLeast(1))])
        let view = try check(item).outcome.views[0]
        #expect((view.filtered, view.late.count) == (1, 0))
    }

    @Test("an event time that is NULL or infinite is a dead letter, and moves no watermark")
    func unusable() throws {
        var all = rows([0, 1, 2, 3, 4, 5])
        all[1].time = nil
        all[3].time = .max
        all[4].time = .min
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [all])], views: [ViewSpec(.sliced(tumble)), ViewSpec(.ordered)])
        for batchRows in [1, 2, 4096] {
            let run = try check(item, DataflowSettings(shards: 1, batchRows: batchRows, rowsPerTick: 100))
            #expect(run.outcome.sources[0].refused == [1, 3, 4])
            #expect(run.outcome.views.allSatisfy { $0.counted == 3 && $0.late.isEmpty })
        }
    }

    @Test("one row a day in the future: a dead letter with max_future_skew, else it makes its own partition late")
    func future() throws {
        let now = SimulatedClock().wallMicros() / second
        func times(_ first: Int64) -> [ScriptedRow] { rows([now, now + 86_400, now + 1, now + 2], first: first) }
        var source = SourceScript(
            delay: 0, partitions: [steps(times(0)), steps(rows([now, now + 1, now + 2], first: 10))])
        source.maxFutureSkew = 60 * second
        let guarded = try check(DataflowCase(sources: [source], views: [ViewSpec(.sliced(.tumble(second)))]))
        #expect(guarded.outcome.sources[0].refused == [1])
        #expect(guarded.outcome.views[0].late == [])
        source.maxFutureSkew = nil
        let open = try check(DataflowCase(sources: [source], views: [ViewSpec(.sliced(.tumble(second)))]))
        #expect(open.outcome.sources[0].refused == [])
        #expect(open.outcome.views[0].late == [2, 3], "the other partition's rows are in time")
    }

    @Test("a max_future_skew or an idle_timeout beyond all bounds refuses nobody and never ends")
    func boundless() throws {
        var source = SourceScript(delay: 0, rows: [rows([0, 1, 2])])
        source.maxFutureSkew = .max
        source.idleTimeout = .max
        let run = try DataflowRun(DataflowCase(sources: [source], views: [ViewSpec(.select)]), DataflowSettings())
        run.run()
        #expect(run.outcome.views[0].counted == 3)
    }
}
