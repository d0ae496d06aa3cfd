import Foundation
import MartletCore
import MartletTestKit
import Testing

/// Views compared, tick by tick, with what DuckDB makes of exactly the rows read until then: random rows in random
/// portions, from several partitions, on one to three shards. A failure names the query, the seed and the rows read.
@Suite("Prefix oracle")
struct PrefixOracleTests {
    static let python = ProcessInfo.processInfo.environment["MARTLET_TEST_PYTHON"].map { URL(fileURLWithPath: $0) }
    static let needsPython: Comment = "MARTLET_TEST_PYTHON names no Python with duckdb; ./dev test prepares one"
    static let oracle = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("SystemTests/Oracle/prefix_oracle.py")

    /// Rows of NULLs and repetitions, of few keys, one of them frequent; times a little out of order.
    static func rows(_ count: Int, first: Int64, seed: UInt64) -> [ScriptedRow] {
        var random = SplitMix64(seed: seed)
        func below(_ bound: UInt64) -> Int64 { Int64(random.next() % bound) }
        var time: Int64 = 1_000
        return (0..<count).map { number in
            time += below(4)
            let key: Int64? = below(8) == 0 ? nil : below(2) == 0 ? 1 : below(5)
            return ScriptedRow(
                id: first + Int64(number), time: (time - below(4)) * 1_000_000, key: key, value: below(7) == 0 ? nil : below(7))
        }
    }

    /// Runs the cases on each seed and hands all to DuckDB at once; answers the problems.
    static func problems(_ cases: [PrefixCase], seeds: Range<UInt64>, rowCount: Int) throws -> [String] {
        var problems: [String] = []
        for seed in seeds {
            let scripts = [
                "a": [rows(rowCount, first: 0, seed: seed * 4), rows(rowCount / 2, first: 1_000, seed: seed * 4 + 1)],
                "b": [rows(rowCount, first: 2_000, seed: seed * 4 + 2), rows(rowCount / 3, first: 3_000, seed: seed * 4 + 3)],
            ]
            var lines = [try json(["tables": scripts.mapValues(table)])]
            for (number, one) in cases.enumerated() {
                let shards = 1 + (number + Int(seed)) % 3
                do {
                    let run = try PrefixRun(
                        one.martlet, scripts, shards: shards, rowsMax: [2, 4, 9][(number / 3 + Int(seed)) % 3], seed: seed,
                        before: one.before)
                    problems += run.problems.prefix(2).map { "\(one.name), seed \(seed): \($0)" }
                    if run.letters > 0 { problems.append("\(one.name), seed \(seed): \(run.letters) dead letters") }
                    if run.late > 0 { problems.append("\(one.name), seed \(seed): \(run.late) late rows") }
                    let ticks = run.ticks.map { ["read": $0.read, "rows": $0.rows] as [String: Any] }
                    lines.append(
                        try json([
                            "name": "\(one.name), seed \(seed), \(shards) shards", "sql": one.duckdb, "sources": ["a", "b"],
                            "ticks": ticks, "final": one.isFinal,
                        ]))
                } catch {
                    problems.append("\(one.name): \(error)")
                }
            }
            problems += try ask(lines)
        }
        return problems
    }

    private static func table(_ partitions: [[ScriptedRow]]) -> [[Any]] {
        partitions.enumerated().flatMap { part, rows in
            rows.enumerated().map { place, row -> [Any] in
                [part, place, (row.time ?? 0) / 1_000_000, row.key ?? NSNull(), row.value ?? NSNull(), row.id]
            }
        }
    }

    private static func json(_ value: [String: Any]) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
    }

    private static func ask(_ lines: [String]) throws -> [String] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-prefix-\(UUID().uuidString).json")
        try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = python
        process.arguments = [oracle.path, file.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        var problems: [String] = process.terminationStatus == 0 ? [] : ["the oracle ended with \(process.terminationStatus)"]
        var checked = 0
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { continue }
            if let problem = object["problem"] { problems.append("\(object["name"] ?? ""): \(problem)") }
            checked += object["checked"] as? Int ?? 0
        }
        if checked == 0 { problems.append("nothing was checked") }
        return problems
    }

    @Test("joins, sets, subqueries, windows and ranks hold at every tick what DuckDB finds", .enabled(if: python != nil, needsPython))
    func everyTick() throws {
        let problems = try Self.problems(PrefixCase.all, seeds: 1..<3, rowCount: 20)
        for problem in problems { Issue.record("\(problem)") }
    }

    @Test("what is shown once it is final is right while much is still to come", .enabled(if: python != nil, needsPython))
    func finalRows() throws {
        let problems = try Self.problems(PrefixCase.all.filter(\.isFinal), seeds: 1..<3, rowCount: 60)
        for problem in problems { Issue.record("\(problem)") }
    }

    /// MARTLET_QUERIES and MARTLET_SEED make it longer and other.
    @Test("random queries hold at every tick what DuckDB finds", .enabled(if: python != nil, needsPython))
    func randomQueries() throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["MARTLET_QUERIES"].flatMap { Int($0) } ?? 40
        let seed = environment["MARTLET_SEED"].flatMap { UInt64($0) } ?? 1
        var generator = RandomQueries(seed: seed)
        let cases = (0..<count).map { number -> PrefixCase in
            let query = generator.query(depth: 1 + number % 4)
            return PrefixCase("query \(number) of seed \(seed): \(query)", query)
        }
        let problems = try Self.problems(cases, seeds: seed..<seed + 1, rowCount: 14)
        for problem in problems { Issue.record("\(problem)") }
    }
}
