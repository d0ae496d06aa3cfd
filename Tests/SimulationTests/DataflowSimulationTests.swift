import Foundation
import MartletTestKit
import Testing

/// `./dev simulate [SEED=n] [CYCLES=n]`: cycle i runs the seed SEED + i. In the tests, a short fixed sample.
@Suite("Simulation")
struct DataflowSimulationTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("random pipelines over random input come to what the model says, whatever the ticks, batches, shards and orders")
    func dataflow() {
        let seed = Self.number("MARTLET_SEED")
        // One cycle replays a seed; without one, the sample.
        let cycles = Self.number("MARTLET_CYCLES") ?? (seed == nil ? 400 : 1)
        let first = seed ?? 1
        var total = DataflowSimulation.Result()
        for cycle in 0..<cycles {
            let result = DataflowSimulation.cycle(seed: first &+ cycle)
            total.rows += result.rows
            total.ticks += result.ticks
            total.late += result.late
            total.traceHash = (total.traceHash ^ result.traceHash) &* 0x100_0000_01B3
            if !result.failures.isEmpty {
                Issue.record(
                    "./dev simulate SEED=\(first &+ cycle) shows it again:\n\(result.failures.joined(separator: "\n"))")
                return
            }
        }
        print(
            "dataflow: \(cycles) cycles from SEED=\(first): \(total.rows) rows, \(total.ticks) ticks, \(total.late) late, "
                + "trace \(String(total.traceHash, radix: 16))")
        #expect(total.rows > 0 || cycles < 10, "the cases are empty")
    }
}
