internal import Foundation
internal import Testing

/// A sample of what `./dev queries` does at length: random queries against PostgreSQL, also as views while their tables change.
/// A failure prints the seed and a script that can be pasted.
@Suite("Random queries", .serialized)
struct RandomQueryTests {
    private static let script = Binary.root.appendingPathComponent("Tests/SystemTests/Queries/run.py").path
    private static let host = ProcessInfo.processInfo.environment["MARTLET_TEST_PGHOST"]

    @Test(
        "queries and views of random shapes hold what PostgreSQL finds",
        .enabled(if: Binary.python != nil && host != nil, "no Python with psycopg, or no PostgreSQL; ./dev test prepares both"))
    func sample() throws {
        let python = try #require(Binary.python)
        let host = try #require(Self.host)
        let scratch = try Scratch()
        let outcome = try Binary.run(
            executable: python, ["-B", Self.script, Binary.path.path, host, scratch.url.path, "--queries", "120", "--seed", "1000", "--problems", "1"])
        #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors.suffix(8000))")
        #expect(outcome.output.contains("\"compared\""))
    }
}
