import MartletColumns
import MartletCore
@testable import MartletDataflow
import MartletState
@testable import MartletTestKit
import Testing

@Suite("Circuits that come back")
struct ReplayTests {
    @Test("saved at any tick and restored, the recorded ticks after it give what they gave, and leave the same state")
    func randomCases() {
        for seed in UInt64(1)...60 {
            var random = SplitMix64(seed: seed)
            let item = DataflowSimulation.randomCase(&random)
            let problems = DataflowReplay.problems(item, DataflowSimulation.randomSettings(&random), cuts: 4)
            #expect(problems.isEmpty, "seed \(seed): \(problems.joined(separator: "\n"))")
            if !problems.isEmpty { return }
        }
    }

    /// Silence, return and end, several times in one case.
    @Test("partitions that fell silent or ended before the save are so after it")
    func silentPartitions() {
        let source = SourceScript(
            delay: 2 * second, idleTimeout: 3 * second,
            partitions: [
                steps(rows([1, 5, 20])) + [.silence(nanos: 9_000_000_000)] + steps(rows([30, 90], first: 10)),
                steps(rows([1, 2], first: 20)) + [.silence(nanos: 20_000_000_000)] + steps(rows([8, 60, 95], first: 30)),
                [.unreadable] + steps(rows([3], first: 40)),
            ])
        let views = [ViewSpec(.sliced(.tumble(10 * second))), ViewSpec(.grouped(.tumble(10 * second), onClose: false)), ViewSpec(.ordered)]
        for shards in [1, 2, 3] {
            var settings = DataflowSettings(shards: shards, batchRows: 2, rowsPerTick: 1)
            settings.tickNanos = 700_000_000
            let problems = DataflowReplay.problems(DataflowCase(sources: [source], views: views), settings, cuts: 30)
            #expect(problems.isEmpty, "\(shards) shards: \(problems.joined(separator: "\n"))")
        }
    }

    private static let smallViews: [ViewSpec] = [
        ViewSpec(.sliced(WindowSpec(size: 10 * second, hop: 5 * second)), key: .label), ViewSpec(.running(byValue: true)),
        ViewSpec(.grouped(.tumble(10 * second), onClose: true), key: .both), ViewSpec(.plain, key: .label),
    ]

    private static func small(_ view: ViewSpec) -> DataflowCase {
        let rows = [1, 3, 8, 12, 4, 15].enumerated().map {
            ScriptedRow(id: Int64($0.offset), time: $0.element * second, key: Int64($0.offset % 3), value: 5)
        }
        return DataflowCase(sources: [SourceScript(delay: 20 * second, rows: [rows, []])], views: [view])
    }

    @Test("a saved state with a byte changed, or cut off anywhere, is refused", arguments: smallViews)
    func damage(view: ViewSpec) throws {
        let settings = DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10)
        let (bytes, problems) = try DataflowReplay.damaged(Self.small(view), settings, ticks: 1)
        #expect(bytes > 500)
        #expect(problems.isEmpty, "\(problems.prefix(5).joined(separator: "\n"))")
    }

    @Test("a forged state with right checksums ends no process", arguments: smallViews)
    func forgery(view: ViewSpec) throws {
        let taken = try DataflowReplay.forged(
            Self.small(view), DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10, seed: 3), ticks: 1, tries: 1_500)
        #expect(taken > 0, "every change was refused: the forger changes nothing that matters")
    }

    @Test("another graph's state and records out of turn are refused with what is wrong")
    func refusals() throws {
        func machine(_ view: ViewSpec, shards: Int) throws -> Circuit {
            var random = SplitMix64(seed: 1)
            let settings = DataflowSettings(shards: shards, batchRows: 7, rowsPerTick: 10)
            return try DataflowMachine(Self.small(view), settings, clock: SimulatedClock(), random: &random).circuit
        }
        let one = try machine(ViewSpec(.plain), shards: 1)
        let report = one.step()
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        one.save(into: writer)
        try writer.finish()
        func refusal(_ circuit: Circuit) -> String {
            do {
                try circuit.restore(from: StateReader(bytes))
                return "taken"
            } catch {
                return error.description
            }
        }
        #expect(refusal(try machine(ViewSpec(.ordered), shards: 1)).contains("the state was saved by another plan"))
        #expect(refusal(try machine(ViewSpec(.plain, key: .label), shards: 1)).hasSuffix("other aggregates than these"))
        let inputs = try #require(report.inputs)
        #expect(throws: StateError.self) { try one.step(replaying: inputs) }
        var foreign = inputs
        foreign.tick = 9
        foreign.partitionCounts = [7]
        #expect(throws: StateError.self) { try one.step(replaying: foreign) }
    }

    /// A driven relation: rows with weights and a watermark come from outside, in the very tick, and again in a replay.
    @Test("a driven relation's rows enter in the tick they are fed for, and its end is the driver's", arguments: [1, 3])
    func drivenRelation(shards: Int) throws {
        func machine() throws -> (Circuit, RowCollector) {
            var graph = Graph()
            let view = graph.addView("v")
            let relation = graph.addRelation("r", isDriven: true)
            let exchanged = graph.addExchange(relation, keys: [0])
            let layout = GroupLayout(
                keys: [.timestamptz], calls: [AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint)],
                arguments: [nil], filters: [nil])
            let timeKey = GroupAggregate.TimeKey(key: 0, allowedLateness: 0, isExclusive: false)
            let node = graph.addOperator("count", inputs: [exchanged]) {
                GroupAggregate(layout, timeKey: timeKey, emission: .onClose, isChanging: true, view: view, context: $0)
            }
            let collector = RowCollector(shards: shards)
            _ = graph.addOperator("collect", inputs: [node]) { CollectRows(collector, shard: $0.shard) }
            let circuit = try Circuit(
                graph: graph, sources: [], shards: shards, executor: ShuffledExecutor(shards: shards, seed: 4), clock: SimulatedClock())
            return (circuit, collector)
        }
        func rows(_ times: [Int64], _ weights: [Int64]) -> Batch {
            Batch(
                count: times.count, columns: [Column(.timestamptz, times.map { .timestamptz($0) })],
                weights: Column(.bigint, weights.map { .bigint($0) }))
        }
        let (circuit, collector) = try machine()
        circuit.feed(relation: 0, rows([10, 10, 20, 30], [1, 2, 1, 1]))
        let first = circuit.step()
        #expect(first.inputs?.partitions == [] && collector.take().isEmpty && !circuit.isFinished)
        // Nothing came, nothing changed: nothing to keep, and nothing that would end it.
        for _ in 0..<4 { #expect(circuit.step().inputs == nil) }
        #expect(!circuit.isFinished)
        circuit.setWatermark(ofRelation: 0, 11)
        circuit.feed(relation: 0, rows([20], [-1]))
        let second = circuit.step()
        #expect(collector.take().map(\.row) == [[.timestamptz(10), .bigint(3)]])
        circuit.feed(relation: 0, rows([40], [1]))

        func saved(_ circuit: Circuit) throws -> [UInt8] {
            var bytes: [UInt8] = []
            let writer = StateWriter { bytes += $0 }
            circuit.save(into: writer)
            try writer.finish()
            return bytes
        }
        let (back, rowsBack) = try machine()
        try back.restore(from: StateReader(try saved(circuit)))
        #expect(try saved(back) == saved(circuit))
        for (circuit, collector) in [(circuit, collector), (back, rowsBack)] {
            circuit.setWatermark(ofRelation: 0, 5)
            let third = circuit.step()
            #expect(third.tick == second.tick + 1 && third.inputs != nil && collector.take().isEmpty)
            circuit.setWatermark(ofRelation: 0, .end)
            _ = circuit.step()
            let closed = collector.take().map(\.row).sorted { "\($0)" < "\($1)" }
            #expect(closed == [[.timestamptz(30), .bigint(1)], [.timestamptz(40), .bigint(1)]])
            #expect(circuit.isFinished)
        }

        let (replayed, rowsReplayed) = try machine()
        replayed.feed(relation: 0, rows([10, 10, 20, 30], [1, 2, 1, 1]))
        _ = try replayed.step(replaying: try #require(first.inputs))
        replayed.setWatermark(ofRelation: 0, 11)
        replayed.feed(relation: 0, rows([20], [-1]))
        #expect(try replayed.step(replaying: try #require(second.inputs)).tick == second.tick)
        #expect(rowsReplayed.take().map(\.row) == [[.timestamptz(10), .bigint(3)]])
    }

    @Test("a partition that joins later is judged by how far its source was, in a replay too")
    func laterPartition() throws {
        func machine(_ partitions: Int) throws -> DataflowMachine {
            var random = SplitMix64(seed: 1)
            let scripts = [rows([10, 50]), rows([20, 60], first: 10)]
            let source = SourceScript(delay: 0, rows: Array(scripts.prefix(partitions)), finishes: false)
            let item = DataflowCase(sources: [source], views: [ViewSpec(.sliced(.tumble(10 * second)))])
            let settings = DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10)
            return try DataflowMachine(item, settings, clock: SimulatedClock(), random: &random)
        }
        let machine1 = try machine(1)
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        let ticks = [machine1.circuit.step()]
        machine1.circuit.save(into: writer)
        try writer.finish()
        let other = try machine(2).partitions[0][1]
        machine1.circuit.addPartition(toSource: 0, other)
        let joined = machine1.circuit.step()
        // The second row is in time for the source; the first came when its window was closed.
        #expect(joined.lateRows.map(\.eventTime) == [20 * second])
        #expect(ticks[0].inputs?.partitionCounts == [1] && joined.inputs?.partitionCounts == [2])
        let back = try machine(2)
        try back.circuit.restore(from: StateReader(bytes))
        #expect(back.circuit.partitionCounts == [1])
        let again = try back.circuit.step(replaying: try #require(joined.inputs))
        #expect(again.lateRows.map(\.eventTime) == [20 * second] && again.inputs == joined.inputs)
    }

    @Test("a tick record is small, and is what it was or nothing")
    func records() throws {
        func inputs(_ named: Range<Int>, advanced: [Int] = []) -> TickInputs {
            TickInputs(
                tick: 1 << 40, wallMicros: 1_767_225_600_000_000, partitionCounts: [4, 0, 12],
                partitions: named.map {
                    TickInputs.Partition(
                        source: $0 < 4 ? 0 : 2, partition: $0 < 4 ? $0 : $0 - 4, position: 1 << 50 + Int64($0), isFinished: $0 % 3 == 0,
                        isIdle: $0 % 2 == 0)
                }, advances: advanced.map { TickInputs.Advance(source: $0, watermark: 1_767_225_600_000_000 - Int64($0)) })
        }
        #expect(inputs(0..<0).encode().count <= 24)
        #expect(inputs(0..<16).encode().count < 180)
        for (named, advanced) in [(0..<0, []), (0..<16, []), (3..<5, [0]), (15..<16, [0, 2])] {
            let bytes = inputs(named, advanced: advanced).encode()
            #expect(try TickInputs(decoding: bytes) == inputs(named, advanced: advanced))
            for count in bytes.indices { #expect(throws: StateError.self) { try TickInputs(decoding: Array(bytes[..<count])) } }
            #expect(throws: StateError.self) { try TickInputs(decoding: bytes + [0]) }
        }
        var random = SplitMix64(seed: 5)
        for _ in 0..<20_000 {
            var bytes = inputs(0..<16, advanced: [1]).encode()
            for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
            if let read = try? TickInputs(decoding: bytes) { #expect(try TickInputs(decoding: read.encode()) == read) }
        }
    }
}
