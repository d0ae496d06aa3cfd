import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

@Suite("The outcome depends on the rows alone")
struct SameOutcomeTests {
    /// Four partitions of disorderly rows, every kind of view.
    static func item(seed: UInt64) -> DataflowCase {
        var random = SplitMix64(seed: seed)
        var id: Int64 = 0
        let partitions = (0..<4).map { partition in
            var now: Int64 = Int64(partition) * 5 * second
            return (0..<(300 + partition * 100)).map { _ -> ScriptStep in
                now += random.within(0...second)
                var time = now - random.within(0...(3 * second))
                if random.chance(0.05) { time -= random.within(0...(60 * second)) }
                id += 1
                let key: Int64? = random.chance(0.03) ? nil : Int64(random.below(12))
                return random.chance(0.01)
                    ? .unreadable : .row(ScriptedRow(id: id, time: time, key: key, value: random.within(-3...20)))
            }
        }
        let hop = WindowSpec(size: 20 * second, hop: 6 * second, offset: second)
        return DataflowCase(
            sources: [SourceScript(delay: 2 * second, partitions: partitions)],
            views: [
                ViewSpec(.select, predicate: .valueAtLeast(3)), ViewSpec(.ordered), ViewSpec(.running(byValue: true)),
                ViewSpec(.plain, key: .both), ViewSpec(.sliced(.tumble(10 * second)), key: .label),
                ViewSpec(.sliced(hop), predicate: .quotientAtLeast(60), argument: .quotient, allowedLateness: 4 * second),
                ViewSpec(.grouped(hop, onClose: false)), ViewSpec(.grouped(hop, onClose: true), key: .none),
                ViewSpec(.cascade(hop)),
            ])
    }

    @Test("identical output and late set at batch sizes 1, 7 and 4096, at 1, 2 and 4 shards, in any order of shards",
        arguments: [1, 7, 4096], [1, 2, 4])
    func batchesAndShards(batchRows: Int, shards: Int) throws {
        let item = Self.item(seed: 11)
        for (turn, rowsPerTick) in [batchRows, 1000, 1_000_000].enumerated() {
            let run = try check(
                item, DataflowSettings(shards: shards, batchRows: batchRows, rowsPerTick: rowsPerTick, seed: UInt64(turn)))
            #expect(run.outcome.views.allSatisfy { !$0.rows.isEmpty })
            #expect(run.outcome.views[1].late.count > 10)
        }
    }

    @Test("identical whichever partition is read faster", arguments: 1...20 as ClosedRange<UInt64>)
    func interleavings(seed: UInt64) throws {
        var settings = DataflowSettings(shards: Int(seed % 4) + 1, batchRows: 64, rowsPerTick: 64, seed: seed)
        settings.isErratic = true
        try check(Self.item(seed: 12), settings, "seed \(seed)")
    }

    @Test("identical after moving rows between batches, and two runs of one seed are the same run")
    func replay() throws {
        var settings = DataflowSettings(shards: 3, batchRows: 64, rowsPerTick: 64, seed: 4)
        settings.isErratic = true
        let item = Self.item(seed: 13)
        let one = try check(item, settings)
        let other = try check(item, settings)
        #expect(one.trace.hash == other.trace.hash)
        #expect(one.trace.count > 1000)
    }

    @Test("no final row before its window's end and the allowed lateness have passed")
    func nothingEarly() throws {
        let hop = WindowSpec(size: 10 * second, hop: 4 * second)
        let item = DataflowCase(
            sources: [SourceScript(delay: 2 * second, rows: [rows(Array(0..<60)), rows(Array(0..<60), first: 100)])],
            views: [
                ViewSpec(.sliced(hop), allowedLateness: 3 * second),
                ViewSpec(.grouped(hop, onClose: true), allowedLateness: 3 * second), ViewSpec(.ordered, allowedLateness: second),
                ViewSpec(.running(byValue: false)), ViewSpec(.cascade(hop)),
            ])
        for rowsPerTick in [1, 3] {
            let run = try DataflowRun(item, DataflowSettings(shards: 2, batchRows: 1, rowsPerTick: rowsPerTick))
            var ticksWithRows = Array(repeating: 0, count: item.views.count)
            while !run.isFinished {
                let before = run.outcome.views.map(\.rows.count)
                run.step()
                for view in item.views.indices where run.outcome.views[view].rows.count > before[view] { ticksWithRows[view] += 1 }
                // And none is kept longer than that: what the watermark has passed is out.
                guard let watermark = run.watermarks.first, watermark != .start, watermark != .end else { continue }
                let closed = (-2..<20).filter { Int64($0) * 4 * second + 13 * second <= watermark }.count
                #expect(run.outcome.views[0].rows.count == closed)
                #expect(run.outcome.views[1].rows.count == closed)
            }
            #expect(run.violations.isEmpty, "\(run.violations)")
            #expect(ticksWithRows.allSatisfy { $0 > 5 }, "rows leave as time passes, not all at the end")
        }
    }
}
