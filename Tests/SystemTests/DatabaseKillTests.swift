internal import Foundation
internal import Testing

/// A database under SIGKILL, seen by a driver: see Database/kill.py.
@Suite("A database under SIGKILL", .serialized)
struct DatabaseKillTests {
    @Test(
        "keeps what it acknowledged, once, and shows no transfer by halves",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with psycopg; ./dev test prepares one"))
    func transfers() throws {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let script = Binary.root.appendingPathComponent("Tests/SystemTests/Database/kill.py").path
        let outcome = try Binary.run(executable: python, ["-B", script, Binary.path.path, scratch.url.path, "10", "3"])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(4000))")
        let summary = try #require(try objects(outcome.lines).last)
        #expect(summary["cycles"] as? Int ?? 0 >= 3)
        #expect(summary["acknowledged"] as? Int ?? 0 > 100)
        let problems = try #require(summary["problems"] as? [String])
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
    }
}
