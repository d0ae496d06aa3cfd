internal import Foundation
internal import Testing

/// Sources and sinks of the real binary, seen through Kafka and PostgreSQL clients: see the scripts in Sources/.
@Suite("Sources and sinks", .serialized)
struct SourceClientTests {
    @Test(
        "what goes in and out is there once, whenever views are made and whoever is away",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with clients; ./dev test prepares one"),
        arguments: ["changes", "sources", "absent"])
    func clients(group: String) throws {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let script = Binary.root.appendingPathComponent("Tests/SystemTests/Sources/run.py").path
        let outcome = try Binary.run(executable: python, ["-B", script, Binary.path.path, scratch.url.path, group])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(4000))")
        let results = try objects(outcome.lines)
        #expect(!results.isEmpty)
        for result in results {
            let problems = try #require(result["problems"] as? [String])
            #expect(problems.isEmpty, "\(result["name"] ?? ""): \(problems.joined(separator: "\n"))")
        }
    }
}
