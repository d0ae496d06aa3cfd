import Foundation
import Testing

import MartletCore

/// Core's values and functions against PostgreSQL's answers: those kept in Golden/, and a running server's.
@Suite("Expressions as PostgreSQL has them")
struct PostgresTests {
    static let golden = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
    static let families = [
        "arithmetic", "arrays", "casts", "changes", "comparisons", "decimals", "documents", "everyday", "formats", "jsonpaths", "mathematics", "regexes", "strings", "times", "zones",
    ]

    /// Martlet's own answer by the case's key.
    static let differences: [String: String] = {
        let text = (try? String(contentsOf: golden.appending(path: "differences.txt"), encoding: .utf8)) ?? ""
        var table: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: "\t=>\t", maxSplits: 1)
            if parts.count == 2 { table[String(parts[0])] = String(parts[1]) }
        }
        return table
    }()

    static func cases(_ family: String) throws -> [PostgresCase] {
        PostgresCase.read(try String(contentsOf: golden.appending(path: family + ".cases"), encoding: .utf8))
    }

    @Test("kept answers", arguments: families)
    func kept(family: String) throws {
        let cases = try Self.cases(family)
        #expect(cases.count > 400)
        var contexts: [String: EvaluationContext] = [:]
        var wrong = 0
        let limit = ProcessInfo.processInfo.environment["MARTLET_TEST_SHOWN"].flatMap { Int($0) } ?? 10
        for one in cases {
            if contexts[one.zone] == nil { contexts[one.zone] = PostgresContexts.context(zone: one.zone) }
            let context = try #require(contexts[one.zone], "no time zone database with \(one.zone)")
            let expected = Self.differences[one.key] ?? one.answer
            let ours = one.evaluate(in: context)
            if ours != expected {
                wrong += 1
                if wrong <= limit { Issue.record("\(one.key): expected \(expected), got \(ours)") }
            }
        }
        #expect(wrong == 0, "\(wrong) of \(cases.count) differ")
    }

    @Test("every listed difference is one")
    func listed() throws {
        var answers: [String: String] = [:]
        for family in Self.families { for one in try Self.cases(family) { answers[one.key] = one.answer } }
        #expect(!Self.differences.isEmpty)
        for (key, ours) in Self.differences {
            let answer = try #require(answers[key], "no case \(key)")
            #expect(answer != ours, "no longer a difference: \(key)")
        }
    }

    // MARK: - A running server

    static let host = ProcessInfo.processInfo.environment["MARTLET_TEST_PGHOST"]

    @Test(
        "random decimals and casts, asked now", .enabled(if: host != nil, "MARTLET_TEST_PGHOST names no PostgreSQL server"),
        arguments: [1, 2])
    func random(seed: UInt64) throws {
        let host = try #require(Self.host)
        var values = RandomValues(seed: seed)
        var lines: [String] = []
        func argument(_ type: String, _ value: Value) -> String {
            "\(type):" + (value.isNull ? "\\N" : PostgresCase.escaped(value.text))
        }
        for _ in 0..<400 {
            // Small enough that no result needs more than 38 digits.
            func small() -> Value {
                .numeric(Decimal(coefficient: Int128(values.integer(40)), scale: UInt8(values.below(9))))
            }
            let symbol = values.pick(["+", "-", "*", "/", "%", "<", "="])
            lines.append("op\t\(symbol)\t\t" + argument("numeric", small()) + "\t" + argument("numeric", small()))
            lines.append("fn\tround\t\t" + argument("numeric", small()) + "\tinteger:\(values.below(12))")
            let double = Value.double(Double(bitPattern: values.random.next()))
            lines.append("cast\ttext\t\t" + argument("double precision", double))
            lines.append("cast\tbigint\t\t" + argument("double precision", .double(values.double())))
            let stamp = Value.timestamp(values.integer(54))
            lines.append("op\t-\t\t" + argument("timestamp", stamp) + "\t" + argument("timestamp", .timestamp(values.integer(54))))
            let span = Interval(months: Int32(values.integer(12)), days: Int32(values.integer(14)), micros: values.integer(44))
            lines.append("op\t\(values.pick(["+", "-"]))\t\t" + argument("timestamp", stamp) + "\t" + argument("interval", .interval(span)))
            lines.append("op\t*\t\t" + argument("interval", .interval(span)) + "\tdouble precision:\(values.pick(["0.1", "1.7", "-3", "2.25"]))")
        }
        let cases = lines.compactMap { PostgresCase(line: $0[...], zone: "UTC") }
        #expect(cases.count == lines.count)
        let answers = try ask(host, cases)
        for (one, answer) in zip(cases, answers) {
            let ours = one.evaluate(in: .utc)
            #expect(ours == answer, "\(one.key)")
        }
    }

    private func ask(_ host: String, _ cases: [PostgresCase]) throws -> [String] {
        func quoted(_ text: String) -> String {
            "E'" + text.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
        }
        var script = """
            create function pg_temp.probe(expression text) returns text language plpgsql as $$
            declare answer text;
            begin
                execute 'select pg_typeof(v)::text || ''|'' || case when v is null then E''\\\\\\\\N'' else format(''%s'', v) end from (select '
                    || expression || ' as v offset 0) s' into answer;
                return answer;
            exception when others then
                return '!' || sqlstate || ' ' || sqlerrm;
            end $$;
            set timezone = 'UTC';

            """
        for one in cases {
            let values = one.arguments.map { "\($0.text.map(quoted) ?? "NULL")::\($0.type.sqlName)" }
            let sql: String
            switch one.kind {
            case .cast: sql = "\(values[0])::\(one.name)"
            case .infix: sql = "(\(values.joined(separator: " \(one.name) ")))"
            case .function: sql = "\(one.name)(\(values.joined(separator: ", ")))"
            case .postfix: sql = "(\(values[0]) \(one.name))"
            }
            script += "select pg_temp.probe(\(quoted(sql)));\n"
        }
        // Through a file: nothing here may wait for a task, the threads of the pool being few.
        let file = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).sql")
        try Data(script.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["psql", "-h", host, "-U", "postgres", "-d", "postgres", "-qAtX", "-f", file.path]
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        try process.run()
        let answer = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return answer.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }
}
