import MartletColumns
import MartletCore
@testable import MartletDataflow
import MartletState
@testable import MartletTestKit
import Testing

@Suite("Late rows and dead letters as relations")
struct RelationTests {
    private struct Reader {
        var circuit: Circuit
        var changes: RowCollector
        var closed: RowCollector
    }

    /// A windowed view of a source, and two readers of the rows it refused: a count on change, and one at the end.
    private func reader(_ source: SourceScript, shards: Int) throws -> Reader {
        let item = DataflowCase(sources: [source], views: [ViewSpec(.sliced(.tumble(10 * second)))])
        var graph = DataflowGraph(item, shards: shards).graph
        let view = graph.addView("refused")
        let relation = graph.addRelation("late")
        let exchanged = graph.addExchange(relation, keys: [])
        let layout = GroupLayout(
            keys: [], calls: [AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint)], arguments: [nil],
            filters: [nil])
        let collectors = [RowCollector(shards: shards), RowCollector(shards: shards)]
        for (collector, emission) in zip(collectors, [GroupAggregate.Emission.onChange, .onClose]) {
            let node = graph.addOperator("count", inputs: [exchanged]) {
                GroupAggregate(layout, timeKey: nil, emission: emission, view: view, context: $0)
            }
            _ = graph.addOperator("collect", inputs: [node]) { CollectRows(collector, shard: $0.shard) }
        }
        let clock = SimulatedClock()
        let readers = source.partitions.enumerated().map {
            ScriptedPartition(source: 0, partition: $0, steps: $1, finishes: true, clock: clock, stutterShare: 0, stutterSeed: 0)
        }
        let policy = EventTimePolicy(column: 0, delay: source.delay)
        let circuit = try Circuit(
            graph: graph, sources: [SourceSetup(name: "s", policy: policy, errors: .deadLetter, readers: readers)],
            shards: shards, executor: ShuffledExecutor(shards: shards, seed: 1), clock: clock)
        return Reader(circuit: circuit, changes: collectors[0], closed: collectors[1])
    }

    @Test("what a tick refused is read in the next one, each row once, and the end comes after the last of it", arguments: [1, 2, 4])
    func refusedRowsAreRead(shards: Int) throws {
        let source = SourceScript(delay: 0, rows: [rows([100, 1, 2, 101, 3]), rows([50, 4, 51], first: 100)])
        let reader = try reader(source, shards: shards)
        reader.circuit.limits.bytesPerPartition = ScriptedPartition.rowBytes
        var count = 0
        var current: [[Value]: Int64] = [:]
        var ended: [[Value]] = []
        for _ in 0..<100 where !reader.circuit.isFinished {
            let report = reader.circuit.step()
            for (row, weight) in reader.changes.take() { current[row, default: 0] += weight }
            // The row from the tick before is in; those of this tick come with the next one.
            #expect(current.filter { $0.value != 0 } == [[.bigint(Int64(count))]: 1])
            for row in report.lateRows {
                count += 1
                let id = Column(.bigint, [.bigint(row.block.offsets[row.blockRow])])
                reader.circuit.feed(relation: 0, Batch(count: 1, columns: [id]))
            }
            ended += reader.closed.take().map(\.row)
        }
        #expect(reader.circuit.isFinished)
        #expect(count == 4)
        #expect(current.filter { $0.value != 0 } == [[.bigint(4)]: 1])
        #expect(ended == [[.bigint(4)]])
    }
}
