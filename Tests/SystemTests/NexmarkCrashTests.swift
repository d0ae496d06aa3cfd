internal import Foundation
internal import Testing

/// Queries of Nexmark that are disturbed, held to a run that is not: see tools/crash_nexmark.py.
@Suite("Nexmark under disturbance", .serialized)
struct NexmarkCrashTests {
    @Test(
        "killed, stopped, or with a clock that leaps, every query's changes come to what they come to undisturbed",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python; ./dev test prepares one"))
    func disturbed() throws {
        let python = try #require(Binary.python)
        let outcome = try Binary.run(
            executable: python,
            [
                "-B", Binary.root.appendingPathComponent("tools/crash.py").path, "--nexmark", "--events", "600000", "--every", "0.1",
                "--pause", "0.5", "--disturb", "kill,stop,clock",
            ])
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors.suffix(4000))")
        let summaries = try objects(outcome.lines)
        #expect(summaries.count == 3)
        for summary in summaries {
            #expect((summary["wrong"] as? [String]) == [])
            let rows = try #require(summary["rows"] as? [String: Int])
            #expect(rows.count == 7 && rows.values.allSatisfy { $0 > 0 }, "\(rows)")
        }
        #expect(summaries.first?["kills"] as? Int ?? 0 >= 1)
        #expect(summaries.dropFirst().first?["stops"] as? Int ?? 0 >= 1)
        #expect(summaries.last?["steps"] as? Int ?? 0 >= 3)
    }
}
