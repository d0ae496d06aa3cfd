internal import Foundation
internal import Testing

/// Stock PostgreSQL clients against the real binary: see the scripts in Postgres/. Each group of cases has a server of its own.
@Suite("PostgreSQL clients", .serialized)
struct PostgresClientTests {
    private static let scripts = Binary.root.appendingPathComponent("Tests/SystemTests/Postgres")

    @Test(
        "psql, psycopg, asyncpg, SQLAlchemy, martlet sql and HTTP find what PostgreSQL would give them",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with PostgreSQL clients; ./dev test prepares one"),
        arguments: ["drivers", "shells", "events", "tools", "reads", "past"])
    func clients(group: String) throws { try run(group, casesMin: 3) }

    @Test(
        "a browser's EventSource follows a view through restarts and kills of the server, from its own pages and those of guests",
        .enabled(if: Binary.python != nil && Binary.hasBrowser, "there is no chromium; ./dev test installs it where it can"))
    func browser() throws { try run("browser", casesMin: 2) }

    private func run(_ group: String, casesMin: Int) throws {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let script = Self.scripts.appendingPathComponent("run.py").path
        let outcome = try Binary.run(executable: python, ["-B", script, Binary.path.path, scratch.url.path, group])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(4000))")
        let results = try objects(outcome.lines)
        #expect(results.count >= casesMin)
        for result in results {
            let problems = try #require(result["problems"] as? [String])
            #expect(problems.isEmpty, "\(result["name"] ?? ""): \(problems.joined(separator: "\n"))")
        }
    }
}
