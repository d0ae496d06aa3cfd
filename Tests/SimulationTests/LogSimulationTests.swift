import MartletTestKit
import Testing

@Suite("Simulation of the log")
struct LogSimulationTests {
    @Test("whatever fails or crashes, what was acknowledged is there, once, in order, and nothing else is")
    func log() {
        let cycles = Cycles(sample: 400, oneIn: 1, past: [62_177])
        var total = LogSimulation.Result()
        for seed in cycles {
            let result = LogSimulation.cycle(seed: seed)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("\(Cycles.replay(seed, result.failures))")
                return
            }
            // Two runs of a seed take every step alike; a few samples tell.
            if seed &- cycles.first < 5 {
                #expect(LogSimulation.cycle(seed: seed).traceHash == result.traceHash, "seed \(seed)")
            }
        }
        cycles.report(
            "log",
            [
                "crashes": total.crashes, "commits": total.commits, "survived unacknowledged": total.recoveredUnacknowledged,
                "transactions": total.transactions, "repeats": total.duplicates, "reads": total.reads,
                "checkpoints": total.checkpoints, "throttled": total.throttled, "failed calls": total.failedCalls,
            ],
            trace: total.traceHash)
        guard cycles.areMany else { return }
        let seen = [
            total.crashes, total.commits, total.recoveredUnacknowledged, total.transactions, total.duplicates, total.reads,
            total.checkpoints, total.throttled, total.failedCalls,
        ]
        #expect(seen.allSatisfy { $0 > 0 }, "everything that can happen must have happened: \(seen)")
    }
}
