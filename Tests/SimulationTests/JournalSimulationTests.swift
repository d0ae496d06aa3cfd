import MartletTestKit
import Testing

@Suite("Simulation of the journal")
struct JournalSimulationTests {
    /// A cycle is a journal's life through so many crashes.
    private static let crashes = 20

    @Test("through any crash, what was acknowledged is there once, in order, whole, and nothing else")
    func lives() {
        let cycles = Cycles(sample: 75, oneIn: 10, past: [19_858, 3_125_814])
        var total = JournalSimulation.Result()
        for seed in cycles {
            let result = JournalSimulation.run(seed: seed, crashes: Self.crashes)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("\(Cycles.replay(seed, result.failures))")
                return
            }
        }
        cycles.report(
            "journal",
            [
                "crashes": total.crashes, "records": total.records, "replayed": total.replayed, "groups": total.groupsWritten,
                "chains": total.chains, "chains without an end": total.unfinishedChains, "torn groups": total.tornGroups,
                "files grown": total.grownFiles, "times no space": total.outOfSpace, "refusals": total.refusals,
            ],
            trace: total.traceHash)
        guard cycles.areMany else { return }
        let seen = [
            total.records, total.replayed, total.groupsWritten, total.chains, total.unfinishedChains, total.tornGroups,
            total.grownFiles, total.outOfSpace, total.refusals,
        ]
        #expect(seen.allSatisfy { $0 > 10 }, "everything that can happen must have happened: \(seen)")
    }

    @Test("a seed replays exactly")
    func repeats() {
        for seed in 100..<103 as Range<UInt64> {
            let one = JournalSimulation.run(seed: seed, crashes: 20)
            let two = JournalSimulation.run(seed: seed, crashes: 20)
            #expect(one.traceHash == two.traceHash, "seed \(seed)")
        }
        #expect(JournalSimulation.run(seed: 100, crashes: 20).traceHash != JournalSimulation.run(seed: 101, crashes: 20).traceHash)
    }
}
