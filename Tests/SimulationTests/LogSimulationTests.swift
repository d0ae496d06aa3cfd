import Foundation
import MartletTestKit
import Testing

/// `./dev simulate [SEED=n] [CYCLES=n]`: cycle i runs the seed SEED + i. In the tests, a short fixed sample.
@Suite("Simulation of the log")
struct LogSimulationTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("whatever fails or crashes, what was acknowledged is there, once, in order, and nothing else is")
    func log() {
        let seed = Self.number("MARTLET_SEED")
        // One cycle replays a seed; without one, the sample.
        let cycles = Self.number("MARTLET_CYCLES") ?? (seed == nil ? 400 : 1)
        let first = seed ?? 1
        var total = LogSimulation.Result()
        for cycle in 0..<cycles {
            let result = LogSimulation.cycle(seed: first &+ cycle)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("./dev simulate SEED=\(first &+ cycle) shows it again:\n\(result.failures.joined(separator: "\n"))")
                return
            }
            // Two runs of a seed take every step alike; a few samples tell.
            if cycle < 5 {
                #expect(LogSimulation.cycle(seed: first &+ cycle).traceHash == result.traceHash, "seed \(first &+ cycle)")
            }
        }
        print(
            "log: \(cycles) cycles from SEED=\(first): \(total.commits) commits, \(total.crashes) crashes, "
                + "\(total.recoveredUnacknowledged) survived unacknowledged, \(total.transactions) transactions, "
                + "\(total.duplicates) repeats, \(total.reads) reads, \(total.throttled) throttled, \(total.failedCalls) failed calls, "
                + "trace \(String(total.traceHash, radix: 16))")
        #expect(total.commits > 0 || cycles < 10, "the workload is empty")
    }
}
