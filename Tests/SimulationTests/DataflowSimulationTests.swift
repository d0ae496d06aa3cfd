import MartletTestKit
import Testing

@Suite("Simulation of the dataflow")
struct DataflowSimulationTests {
    @Test("random pipelines over random input come to what the model says, whatever the ticks, batches, shards and orders")
    func dataflow() {
        let cycles = Cycles(sample: 400, oneIn: 10)
        var total = DataflowSimulation.Result()
        for seed in cycles {
            let result = DataflowSimulation.cycle(seed: seed)
            total.add(result)
            if !result.failures.isEmpty {
                Issue.record("\(Cycles.replay(seed, result.failures))")
                return
            }
        }
        cycles.report("dataflow", ["rows": total.rows, "ticks": total.ticks, "late": total.late], trace: total.traceHash)
        guard cycles.areMany else { return }
        #expect(total.rows > 0 && total.late > 0, "the cases are empty")
    }
}
