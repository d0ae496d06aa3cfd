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
        let (bytes, problems) = try DataflowReplay.damaged(Self.small(view), DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10), ticks: 1)
        #expect(bytes > 500)
        #expect(problems.isEmpty, "\(problems.prefix(5).joined(separator: "\n"))")
    }

    @Test("a forged state with right checksums ends no process", arguments: smallViews)
    func forgery(view: ViewSpec) throws {
        let taken = try DataflowReplay.forged(
            Self.small(view), DataflowSettings(shards: 2, batchRows: 7, rowsPerTick: 10, seed: 3), ticks: 1, tries: 1_500)
        #expect(taken > 0, "every change was refused: the forger changes nothing that matters")
    }

    @Test("another graph's state, another number of shards and records out of turn are refused with what is wrong")
    func refusals() throws {
        func machine(_ view: ViewSpec, shards: Int) throws -> Circuit {
            var random = SplitMix64(seed: 1)
            return try DataflowMachine(Self.small(view), DataflowSettings(shards: shards, batchRows: 7, rowsPerTick: 10), clock: SimulatedClock(), random: &random).circuit
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
        #expect(refusal(try machine(ViewSpec(.ordered), shards: 1)).hasSuffix("the state of other statements than these"))
        #expect(refusal(try machine(ViewSpec(.plain, key: .label), shards: 1)).hasSuffix("other aggregates than these"))
        #expect(refusal(try machine(ViewSpec(.plain), shards: 2)).hasSuffix("the state of 1 shards, and this run has 2"))
        let inputs = try #require(report.inputs)
        #expect(throws: StateError.self) { try one.step(replaying: inputs) }
        var foreign = inputs
        foreign.tick = 9
        foreign.partitionCounts = [7]
        #expect(throws: StateError.self) { try one.step(replaying: foreign) }
    }

    @Test("a tick record is small, and is what it was or nothing")
    func records() throws {
        func inputs(_ named: Range<Int>) -> TickInputs {
            TickInputs(
                tick: 1 << 40, wallMicros: 1_767_225_600_000_000, partitionCounts: [4, 0, 12],
                partitions: named.map {
                    TickInputs.Partition(
                        source: $0 < 4 ? 0 : 2, partition: $0 < 4 ? $0 : $0 - 4, position: 1 << 50 + Int64($0), isFinished: $0 % 3 == 0, isIdle: $0 % 2 == 0)
                })
        }
        #expect(inputs(0..<0).encode().count <= 24)
        #expect(inputs(0..<16).encode().count < 180)
        for named in [0..<0, 0..<16, 3..<5, 15..<16] {
            let bytes = inputs(named).encode()
            #expect(try TickInputs(decoding: bytes) == inputs(named))
            for count in bytes.indices { #expect(throws: StateError.self) { try TickInputs(decoding: Array(bytes[..<count])) } }
            #expect(throws: StateError.self) { try TickInputs(decoding: bytes + [0]) }
        }
        var random = SplitMix64(seed: 5)
        for _ in 0..<20_000 {
            var bytes = inputs(0..<16).encode()
            for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
            if let read = try? TickInputs(decoding: bytes) { #expect(try TickInputs(decoding: read.encode()) == read) }
        }
    }
}
