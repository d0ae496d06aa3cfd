internal import Foundation
internal import Testing

private let oracles = Binary.root.appendingPathComponent("Tests/SystemTests/Oracle")
private let server = ProcessInfo.processInfo.environment["MARTLET_TEST_PGHOST"]

/// Results against independent engines, over the same input: see the scripts in Oracle/.
@Suite("Oracles")
struct OracleTests {
    private func run(_ script: String, _ arguments: [String]) throws -> [[String: Any]] {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let outcome = try Binary.run(
            executable: python, [oracles.appendingPathComponent(script).path, Binary.path.path, scratch.url.path] + arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try objects(outcome.lines)
    }

    @Test(
        "pipelines over disorderly files come to what DuckDB makes of the admitted rows",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with duckdb; ./dev test prepares one"))
    func duckdb() throws {
        let results = try run("duckdb_oracle.py", [])
        #expect(results.count > 50)
        for result in results {
            let problems = try #require(result["problems"] as? [String])
            #expect(problems.isEmpty, "\(result["name"] ?? ""): \(problems.joined(separator: "\n"))")
        }
        let late = results.compactMap { $0["late"] as? Int }.reduce(0, +)
        let dead = results.compactMap { $0["dead"] as? Int }.reduce(0, +)
        #expect(late > 100 && dead > 100, "an input without late and bad rows shows little")
    }

    @Test(
        "Nexmark's queries on a small input come to what DuckDB says",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with duckdb; ./dev test prepares one"))
    func nexmark() throws {
        let results = try run("nexmark_oracle.py", [Binary.root.appendingPathComponent("bench/nexmark").path])
        #expect(results.count >= 20)
        for result in results {
            #expect(result["problem"] is NSNull, "\(result["query"] ?? ""): \(result["problem"] ?? "")")
            #expect(result["rows"] as? Int ?? 0 > 0, "\(result["query"] ?? "") has no rows, which shows nothing")
        }
    }

    @Test(
        "expressions over NULLs, extremes and changes of clock come to what PostgreSQL says, errors as dead letters",
        .enabled(
            if: Binary.python != nil && server != nil,
            "needs MARTLET_TEST_PYTHON with psycopg and a PostgreSQL at MARTLET_TEST_PGHOST; ./dev test prepares both"))
    func postgres() throws {
        var results = try run("postgres_oracle.py", [server ?? ""])
        let last = results.popLast()
        let summary = try #require(last)
        #expect(summary["expressions"] as? Int ?? 0 > 200)
        for result in results { Issue.record("\(result)") }
    }
}
