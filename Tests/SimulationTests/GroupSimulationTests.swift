import Foundation
import MartletTestKit
import Testing

/// `./dev simulate [SEED=n] [CYCLES=n]`: cycle i runs the seed SEED + i. In the tests, a short fixed sample.
@Suite("Simulation of the coordinators")
struct GroupSimulationTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("groups and transactions keep their promises through crashes, zombies and bad weather, and come to rest")
    func groups() {
        let seed = Self.number("MARTLET_SEED")
        // One cycle replays a seed; without one, the sample.
        let cycles = Self.number("MARTLET_CYCLES") ?? (seed == nil ? 60 : 1)
        let first = seed ?? 1
        var total = GroupSimulation.Result()
        for cycle in 0..<cycles {
            let result = GroupSimulation.cycle(seed: first &+ cycle, twice: cycle % 8 == 0)
            total.requests += result.requests
            total.crashes += result.crashes
            total.transactions += result.transactions
            total.traceHash = (total.traceHash ^ result.traceHash) &* 0x100_0000_01B3
            if !result.failures.isEmpty {
                Issue.record(
                    "./dev simulate SEED=\(first &+ cycle) shows it again:\n\(result.failures.joined(separator: "\n"))")
                return
            }
        }
        print(
            "groups: \(cycles) cycles from SEED=\(first): \(total.requests) requests, \(total.crashes) crashes, "
                + "\(total.transactions) transactions, trace \(String(total.traceHash, radix: 16))")
        #expect(total.transactions > 0 && total.crashes > 0 || cycles < 10, "nothing happens")
    }
}
