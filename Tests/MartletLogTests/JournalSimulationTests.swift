import Foundation
import MartletTestKit
import Testing

/// `./dev simulate [SEED=n] [CYCLES=n]`: CYCLES lives of a journal, each through ten crashes, the seed SEED + i each. In the
/// tests, a fixed sample.
@Suite("Simulation of the journal")
struct JournalSimulationTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("through any crash, what was acknowledged is there once, in order, whole, and nothing else")
    func lives() {
        let seed = Self.number("MARTLET_SEED")
        let first = seed ?? 1
        let lives = Self.number("MARTLET_CYCLES") ?? (seed == nil ? 25 : 1)
        let crashes = seed == nil ? 60 : 10
        var total = JournalSimulation.Result()
        for life in 0..<lives {
            let result = JournalSimulation.run(seed: first &+ life, crashes: crashes)
            total.crashes += result.crashes
            total.records += result.records
            total.replayed += result.replayed
            total.chains += result.chains
            total.unfinishedChains += result.unfinishedChains
            total.tornGroups += result.tornGroups
            total.grownFiles += result.grownFiles
            total.outOfSpace += result.outOfSpace
            total.refusals += result.refusals
            total.ringsWritten += result.ringsWritten
            total.traceHash = (total.traceHash ^ result.traceHash) &* 0x100_0000_01B3
            if !result.failures.isEmpty {
                Issue.record("seed \(first &+ life) with \(crashes) crashes:\n\(result.failures.joined(separator: "\n"))")
                return
            }
        }
        print(
            "journal: \(total.crashes) crashes from SEED=\(first): \(total.records) records, \(total.replayed) replayed, "
                + "\(total.ringsWritten) groups, \(total.chains) chains and \(total.unfinishedChains) without an end, "
                + "\(total.tornGroups) torn groups, \(total.grownFiles) files grown, \(total.outOfSpace) times no space, "
                + "\(total.refusals) refusals, trace \(String(total.traceHash, radix: 16))")
        guard total.crashes >= 1000 else { return }
        let seen = [
            total.records, total.replayed, total.ringsWritten, total.chains, total.unfinishedChains, total.tornGroups,
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
