import Testing

@Suite("Simulation of commits end to end")
struct CommitSimulationTests {
    @Test("through crashes at any call, outputs are what the input comes to, each record once, and nothing seen goes away")
    func commits() {
        // Seed 2000739 starts with a large tick left open and a journal that has no room for its end; 3505456 with a checkpoint
        // that had been removed, and whose name a crash brought back, beside a damaged one.
        let cycles = Cycles(sample: 60, oneIn: 2, past: [2_000_739, 3_505_456])
        var total = CommitSimulation.Result()
        for seed in cycles {
            let result = CommitSimulation.cycle(seed: seed)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("\(Cycles.replay(seed, result.failures))")
                return
            }
            if seed &- cycles.first < 3 {
                #expect(CommitSimulation.cycle(seed: seed).traceHash == result.traceHash, "seed \(seed)")
            }
        }
        cycles.report(
            "commits",
            [
                "crashes": total.crashes, "ticks": total.ticks, "replayed": total.replayed, "checkpoints": total.checkpoints,
                "records": total.records, "lost before they were durable": total.abandoned, "damaged checkpoints": total.damaged,
                "without room": total.full, "waits of starts for room": total.waits,
            ],
            trace: total.traceHash)
        guard cycles.areMany else { return }
        let seen = [total.crashes, total.ticks, total.replayed, total.checkpoints, total.records, total.abandoned, total.damaged, total.full]
        #expect(seen.allSatisfy { $0 > 0 }, "everything that can happen must have happened: \(seen)")
    }
}
