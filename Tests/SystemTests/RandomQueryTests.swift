internal import Foundation
internal import Testing

/// A sample of what `./dev queries` does at length: random queries against PostgreSQL, also as views while their tables change.
/// A failure prints the seed and a script that can be pasted.
@Suite("Random queries", .serialized)
struct RandomQueryTests {
    private static let scripts = Binary.root.appendingPathComponent("Tests/SystemTests/Queries")
    private static let host = ProcessInfo.processInfo.environment["MARTLET_TEST_PGHOST"]

    @Test(
        "queries and views of random shapes hold what PostgreSQL finds",
        .enabled(if: Binary.python != nil && host != nil, "no Python with psycopg, or no PostgreSQL; ./dev test prepares both"))
    func sample() throws {
        try run("run.py", "--queries", "120", "--seed", "1000", "--problems", "1")
    }

    @Test(
        "views over thousands of rows with long strings hold what PostgreSQL finds while all is written over, and after a kill",
        .enabled(if: Binary.python != nil && host != nil, "no Python with psycopg, or no PostgreSQL; ./dev test prepares both"))
    func longStrings() throws {
        try run("volume.py", "--rows", "12000", "--steps", "9", "--seed", "1", "--shards", "1")
    }

    private func run(_ script: String, _ words: String...) throws {
        let python = try #require(Binary.python)
        let host = try #require(Self.host)
        let scratch = try Scratch()
        let outcome = try Binary.run(
            executable: python, ["-B", Self.scripts.appendingPathComponent(script).path, Binary.path.path, host, scratch.url.path] + words)
        #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors.suffix(8000))")
        #expect(outcome.output.contains("\"compared\""))
    }
}
