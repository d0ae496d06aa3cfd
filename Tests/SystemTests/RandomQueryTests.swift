internal import Foundation
internal import Testing

/// Samples of what `./dev queries` and `./dev histories` do at length: random queries against PostgreSQL, also as views while their
/// tables change, and random histories of a database.
/// A failure prints the seed and a script that can be pasted.
@Suite("Random queries", .serialized)
struct RandomQueryTests {
    private static let folder = Binary.root.appendingPathComponent("Tests/SystemTests/Queries").path
    private static let host = ProcessInfo.processInfo.environment["MARTLET_TEST_PGHOST"]
    private static let canAsk = Binary.python != nil && host != nil
    private static let unasked: Comment = "no Python with psycopg, or no PostgreSQL; ./dev test prepares both"

    @Test("queries and views of random shapes hold what PostgreSQL finds", .enabled(if: canAsk, unasked))
    func queries() throws {
        try sample("run.py", ["--queries", "120", "--seed", "1000", "--problems", "1"])
    }

    @Test("what happens to tables and views in any order comes to what PostgreSQL has", .enabled(if: canAsk, unasked))
    func histories() throws {
        try sample("histories.py", ["--histories", "4", "--events", "40", "--seed", "1000", "--problems", "1"])
    }

    @Test(
        "views over thousands of rows with long strings hold what PostgreSQL finds while all is written over, and after a kill",
        .enabled(if: canAsk, unasked))
    func longStrings() throws {
        try sample("volume.py", ["--rows", "12000", "--steps", "9", "--seed", "1", "--shards", "1"])
    }

    private func sample(_ script: String, _ arguments: [String]) throws {
        let python = try #require(Binary.python)
        let host = try #require(Self.host)
        let scratch = try Scratch()
        let outcome = try Binary.run(
            executable: python, ["-B", "\(Self.folder)/\(script)", Binary.path.path, host, scratch.url.path] + arguments)
        #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors.suffix(8000))")
        #expect(outcome.output.contains("\"compared\""))
    }
}
