import MartletTestKit
import Testing

@Suite("Simulation of the coordinators")
struct GroupSimulationTests {
    @Test("groups and transactions keep their promises through crashes, zombies and bad weather, and come to rest")
    func groups() {
        let cycles = Cycles(sample: 60, oneIn: 50)
        var total = GroupSimulation.Result()
        for seed in cycles {
            let result = GroupSimulation.cycle(seed: seed, twice: (seed &- cycles.first) % 8 == 0)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("\(Cycles.replay(seed, result.failures))")
                return
            }
        }
        cycles.report(
            "groups", ["crashes": total.crashes, "requests": total.requests, "transactions": total.transactions],
            trace: total.traceHash)
        guard cycles.areMany else { return }
        #expect(total.transactions > 0 && total.crashes > 0, "nothing happens")
    }
}
