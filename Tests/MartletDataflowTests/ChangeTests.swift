import MartletColumns
import MartletCore
@testable import MartletDataflow
import MartletState
@testable import MartletTestKit
import Testing

@Suite("Emit on change")
struct ChangeTests {
    @Test("the old row goes and the new one comes in one tick; all changes together are the result")
    func changes() throws {
        for seed in 1...10 as ClosedRange<UInt64> {
            var random = SplitMix64(seed: seed)
            let all = (0..<200).map {
                ScriptedRow(id: Int64($0), time: random.within(0...50) * second, key: random.within(0...4), value: random.within(-2...9))
            }
            let item = DataflowCase(
                sources: [SourceScript(delay: 20 * second, rows: [all])],
                views: [
                    ViewSpec(.plain), ViewSpec(.plain, key: .none), ViewSpec(.plain, key: .both, predicate: .valueAtLeast(4)),
                    ViewSpec(.grouped(WindowSpec(size: 20 * second, hop: 5 * second), onClose: false)),
                ])
            for rowsPerTick in [1, 10, 1000] {
                try check(item, DataflowSettings(shards: 3, batchRows: 4, rowsPerTick: rowsPerTick, seed: seed), "seed \(seed)")
            }
        }
    }

    @Test("without GROUP BY there is one row from the beginning")
    func global() throws {
        let item = DataflowCase(sources: [SourceScript(delay: 0, rows: [[], []])], views: [ViewSpec(.plain, key: .none)])
        for shards in [1, 2, 4] {
            #expect(try check(item, DataflowSettings(shards: shards, batchRows: 1, rowsPerTick: 1)).outcome.views[0].rows.count == 1)
        }
    }

    @Test("an expression that fails makes one dead letter, in however many windows the row would have counted")
    func failures() throws {
        let hop = WindowSpec(size: 20 * second, hop: 5 * second)
        let all = (0..<40).map { ScriptedRow(id: $0, time: $0 * second, key: $0 % 3, value: $0 % 4) }
        for shape in [ViewSpec.Shape.select, .plain, .sliced(hop), .grouped(hop, onClose: false), .running(byValue: false)] {
            let item = DataflowCase(
                sources: [SourceScript(delay: 0, rows: [all])],
                views: [ViewSpec(shape, argument: .quotient), ViewSpec(shape, predicate: .quotientAtLeast(400))])
            for view in try check(item).outcome.views {
                #expect(view.dead == Array(stride(from: 0, to: 40, by: 4)))
            }
        }
    }

    /// A graph of one double column, summed: the sum of two large numbers is no number.
    @Test("a result that fails takes the old row back and is a dead letter, each time it is asked for")
    func failingResults() throws {
        var graph = Graph()
        let view = graph.addView("sums")
        let relation = graph.addRelation("numbers")
        let layout = GroupLayout(
            keys: [.bigint], calls: [AggregateSpec(function: .sum, argumentType: .double, resultType: .double)], arguments: [1],
            filters: [nil])
        let node = graph.addOperator("aggregate", inputs: [relation]) {
            GroupAggregate(layout, timeKey: nil, emission: .onChange, view: view, context: $0)
        }
        let collector = RowCollector(shards: 1)
        _ = graph.addOperator("collect", inputs: [node]) { CollectRows(collector, shard: $0.shard) }
        let circuit = try Circuit(
            graph: graph, sources: [], shards: 1, executor: SequentialExecutor(shards: 1), clock: SimulatedClock())
        var relationRows: [[Value]: Int64] = [:]
        for (value, weight, expected) in [(1e308, 1, [1e308]), (1e308, 1, []), (1, 1, [])] as [(Double, Int64, [Double])] {
            circuit.feed(
                relation: 0,
                Batch(
                    count: 1, columns: [Column(.bigint, [.bigint(7)]), Column(.double, [.double(value)])],
                    weights: Column(.bigint, [.bigint(weight)])))
            let report = circuit.step()
            for (row, weight) in collector.take() { relationRows[row, default: 0] += weight }
            #expect(relationRows.filter { $0.value != 0 } == Dictionary(uniqueKeysWithValues: expected.map { ([.bigint(7), .double($0)], 1) }))
            #expect(report.deadLetters.count == (expected.isEmpty ? 1 : 0))
        }
    }
}

@Suite("Rows in the order of event time")
struct OrderTests {
    @Test("ties leave in the order of their place in the source, whatever the batches")
    func ties() throws {
        // Five times, each many times over, in two partitions: lag, row_number and the running sum tell the order.
        func tied(_ first: Int64) -> [ScriptedRow] {
            (0..<60).map { ScriptedRow(id: first + $0, time: ($0 / 12) * second, key: $0 % 2, value: $0 % 5 == 0 ? nil : ($0 * 7) % 10) }
        }
        let item = DataflowCase(
            sources: [SourceScript(delay: 0, rows: [tied(0), tied(100)])],
            views: [ViewSpec(.running(byValue: false)), ViewSpec(.running(byValue: true)), ViewSpec(.ordered)])
        for batchRows in [1, 7, 4096] {
            for shards in [1, 2, 4] {
                try check(item, DataflowSettings(shards: shards, batchRows: batchRows, rowsPerTick: 13, seed: UInt64(shards)))
            }
        }
    }

    @Test("rows of two sources that tie keep the sources' order")
    func sources() throws {
        let item = DataflowCase(
            sources: [
                SourceScript(delay: 0, rows: [rows([0, 0, 1, 1], first: 100)]), SourceScript(delay: 0, rows: [rows([0, 0, 1, 1])]),
            ],
            views: [ViewSpec(.running(byValue: false))])
        for seed in 1...8 as ClosedRange<UInt64> {
            var settings = DataflowSettings(shards: 2, batchRows: 1, rowsPerTick: 1, seed: seed)
            settings.isErratic = true
            try check(item, settings)
        }
    }

    @Test("rows leave in order: never an earlier one after a later one")
    func ascending() throws {
        var random = SplitMix64(seed: 3)
        let all = (0..<300).map { ScriptedRow(id: $0, time: ($0 * second / 2) - random.within(0...(20 * second))) }
        let item = DataflowCase(sources: [SourceScript(delay: 8 * second, rows: [all])], views: [ViewSpec(.ordered)])
        let run = try check(item, DataflowSettings(shards: 1, batchRows: 7, rowsPerTick: 7))
        let order = run.trace.recent.compactMap { line -> Int64? in
            guard let at = line.firstIndex(of: "@") else { return nil }
            return Int64(line[line.index(after: at)...].prefix { $0 != "," })
        }
        #expect(order.count > 20 && order == order.sorted())
    }
}
