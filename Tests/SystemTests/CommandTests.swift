internal import Foundation
internal import Testing

/// The command line as a user meets it: words, exit codes, what goes where.
@Suite("Commands")
struct CommandTests {
    @Test func aloneItSaysWhatItCanDo() throws {
        let outcome = try Binary.run()
        #expect(outcome.status == 0)
        for command in ["run", "validate", "explain", "generate", "demo"] {
            #expect(outcome.output.contains("  \(command) "))
        }
    }

    @Test(arguments: ["run", "validate", "explain", "generate", "demo"])
    func eachCommandHasHelpAndVersion(command: String) throws {
        let help = try Binary.run(command, "--help")
        #expect(help.status == 0)
        #expect(help.output.contains("Usage: martlet \(command)"))
        let version = try Binary.run(command, "--version")
        #expect(version.status == 0)
        #expect(version.output.hasPrefix("martlet "))
    }

    @Test func wrongArgumentsAreTwo() throws {
        let unknown = try Binary.run("rum")
        #expect(unknown.status == 2)
        #expect(unknown.errors.contains("did you mean \"run\"?"))
        let option = try Binary.run("run", "--shard", "2", "x.sql")
        #expect(option.status == 2)
        #expect(option.errors.contains("did you mean --shards?"))
        #expect(try Binary.run("run").status == 2)
        #expect(try Binary.run("run", "--shards", "many", "x.sql").status == 2)
        #expect(try Binary.run("generate", "nexmark", "--out", "x").status == 2)
    }

    @Test func invalidSQLIs78AndDrawsTheCaret() throws {
        let scratch = try Scratch()
        let file = scratch.path("bad.sql")
        try Data("CREATE SINK s AS\nSELECT amuont FROM (VALUES (1)) AS v(amount)\nWITH (connector = 'stdout');\n".utf8)
            .write(to: URL(fileURLWithPath: file))
        for command in ["run", "validate", "explain"] {
            let outcome = try Binary.run(command, file)
            #expect(outcome.status == 78)
            #expect(outcome.output.isEmpty)
            #expect(outcome.errors.contains("bad.sql:2:8"))
            #expect(outcome.errors.contains("LINE 2: SELECT amuont"))
            #expect(outcome.errors.contains("               ^"))
        }
    }

    @Test("explain tells what is not parsed, what is computed once, and what grows; validate, run and serve warn of it")
    func explain() throws {
        let scratch = try Scratch()
        let file = scratch.path("shared.sql")
        let text = """
            CREATE SOURCE s (k TEXT, v INT, t TEXT) WITH (connector = 'file', path = 'x.ndjson') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM s GROUP BY k;
            CREATE SINK b AS SELECT k AS kk, count(*) AS m FROM s GROUP BY k WITH (connector = 'blackhole');
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let plans = try Binary.run("explain", file)
        #expect(plans.output.contains("  Not parsed of s: v, t\n"), "\(plans.output)")
        #expect(plans.output.hasSuffix("computed once\n  for a and b: Aggregate count(*) AS n by k\n"), "\(plans.output)")
        let checked = try Binary.run("validate", file)
        #expect(checked.status == 0)
        let warning = "WARNING:  a: state without bound: the aggregation keeps a group for each k, about"
        #expect(checked.errors.contains(warning), "\(checked.errors)")
        let ran = try Binary.run("run", file)
        let told = try objects(ran.errors.split(separator: "\n").filter { $0.hasPrefix("{") })
        #expect(told.count { $0["message"] as? String == "state without bound" && $0["name"] as? String == "a" } == 1, "\(ran.errors)")
        let served = try Binary.run(
            "serve", "--data-dir", scratch.path("data"), "--kafka", "127.0.0.1:0", "--postgres", "127.0.0.1:0", "--no-http", file)
        #expect(served.errors.contains("\"state without bound\"") && served.errors.contains("\"name\":\"a\""), "\(served.errors)")
    }

    @Test("datagen makes the records that its options say, the same ones each time")
    func datagen() throws {
        let scratch = try Scratch()
        let file = scratch.path("datagen.sql")
        func run(_ options: String) throws -> Binary.Outcome {
            let text = """
                CREATE SOURCE d (id INT, "Name" TEXT, v NUMERIC(6, 1), ok BOOLEAN, ts TIMESTAMPTZ)
                WITH (connector = 'datagen', datagen.rows.per.second = '1000', \(options)) FORMAT PLAIN ENCODE JSON;
                CREATE SINK o AS SELECT id, length("Name") AS letters, v BETWEEN 5 AND 6 AS within, ok IS NOT NULL AS known, ts, md5("Name" || v || ok) AS h FROM d
                WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;
                """
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            return try Binary.run("run", file)
        }
        let fields = "fields.id.kind = 'sequence', fields.id.start = '-1', fields.id.end = '1', fields.name.length = '3', fields.v.min = '5', fields.v.max = '6', fields.ts.interval = '1 minute'"
        let outcome = try run(fields)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n").map { $0.replacing(/,"h":.*/, with: "") }
        #expect(
            lines == (0..<3).map { "{\"id\":\($0 - 1),\"letters\":3,\"within\":true,\"known\":true,\"ts\":\"2026-01-01T00:0\($0):00.000Z\"" },
            "\(outcome.output)")
        #expect(try run(fields).output == outcome.output)
        #expect(try run(fields + ", fields.name.seed = '9'").output != outcome.output)
        let wrong = try run("fields.id.kind = 'sequence', fields.idd.end = '3'")
        #expect(wrong.status != 0 && wrong.errors.contains("has no option \"fields.idd.end\""), "\(wrong.errors)")
    }

    @Test func missingFilesAreFailures() throws {
        let outcome = try Binary.run("run", "/nowhere/at/all.sql")
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("/nowhere/at/all.sql"))
        let source = try Pipeline("SELECT a FROM s", path: "/nowhere/at/all.ndjson").run()
        #expect(source.status == 1)
        #expect(source.errors.contains("/nowhere/at/all.ndjson"))
    }

    @Test func variablesAreSubstituted() throws {
        let scratch = try Scratch()
        let file = scratch.path("v.sql")
        try Data("CREATE SINK s AS SELECT :'word' AS a, :number AS b WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;".utf8)
            .write(to: URL(fileURLWithPath: file))
        let outcome = try Binary.run("run", file, "-v", "word=it's", "-vnumber=7")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "{\"a\":\"it's\",\"b\":7}\n")
        let missing = try Binary.run("run", file, "-v", "word=x")
        #expect(missing.status == 78)
        #expect(missing.errors.contains("number"))
    }

    @Test func standardInputIsASource() throws {
        let outcome = try Pipeline("SELECT a + 1 AS b FROM s WHERE a > 1", path: "-")
            .run(input: Data("{\"a\":1}\n{\"a\":2}\n{\"a\":3}".utf8))
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "{\"b\":3}\n{\"b\":4}\n")
    }

    @Test func aPipeShowsNoProgressLine() throws {
        let outcome = try Pipeline("SELECT a FROM s", path: "-").run(input: Data("{\"a\":1}\n".utf8))
        #expect(outcome.errors.isEmpty)
    }

    @Test func aTerminalShowsOneLiveLine() throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/script") else { return }
        let pipeline = try Pipeline("SELECT a FROM s", path: "-", sink: "blackhole")
        let input = pipeline.scratch.path("in.ndjson")
        try Data("{\"a\":1}\n{\"a\":2}\n".utf8).write(to: URL(fileURLWithPath: input))
        let command = "\(Binary.path.path) run \(pipeline.file) -v path=\(input)"
        let outcome = try Binary.run(
            executable: URL(fileURLWithPath: "/usr/bin/script"), ["-qec", command, "/dev/null"])
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("2 rows"))
        #expect(outcome.output.contains("dead letters 0"))
        #expect(outcome.output.filter { $0 == "\n" || $0 == "\r\n" }.count == 1)
    }

    @Test func onErrorFailStopsTheRun() throws {
        let pipeline = try Pipeline("SELECT a FROM s", path: "-", options: ", on_error = 'fail'")
        let outcome = try pipeline.run(input: Data("{\"a\":1}\nnonsense\n".utf8))
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("standard input:2:1"))
    }

    @Test func onErrorSkipLeavesNothingBehind() throws {
        let pipeline = try Pipeline("SELECT a FROM s", path: "-", options: ", on_error = 'skip'")
        let outcome = try pipeline.run(input: Data("{\"a\":1}\nnonsense\n{\"a\":2}\n".utf8))
        #expect(outcome.status == 0)
        #expect(outcome.output == "{\"a\":1}\n{\"a\":2}\n")
        #expect(try pipeline.deadLetters().isEmpty)
    }

    @Test func metricsAreServedWhileItRuns() throws {
        let pipeline = try Pipeline(
            "SELECT a FROM s", path: "unused", sink: "blackhole", options: ", follow = true")
        let input = pipeline.scratch.path("in.ndjson")
        try Data("{\"a\":1}\n{\"a\":2}\nbad\n".utf8).write(to: URL(fileURLWithPath: input))
        let running = try pipeline.start(path: input, "--metrics", "127.0.0.1:0")
        defer { running.terminate() }
        let errors = { String(decoding: (try? Data(contentsOf: running.errors)) ?? Data(), as: UTF8.self) }
        try waitUntil("the address is printed") { errors().contains("/metrics") }
        let address = try #require(errors().split(separator: " ").first { $0.hasPrefix("http://") })
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let page = { (try? Binary.run(executable: URL(fileURLWithPath: "/usr/bin/curl"), ["-s", address]).output) ?? "" }
        try waitUntil("two rows and a dead letter are counted") {
            let text = page()
            return text.contains("martlet_source_rows_total{source=\"s\"} 2")
                && text.contains("martlet_source_dead_letters_total{source=\"s\"} 1")
        }
        running.process.terminate()
        running.process.waitUntilExit()
        #expect(running.process.terminationStatus == 0, "a first SIGTERM is a clean stop")
    }

    @Test func aFollowedFileMayGrowRotateAndShrink() throws {
        let pipeline = try Pipeline("SELECT a FROM s", path: "unused", sink: "file", options: ", follow = true")
        let input = pipeline.scratch.path("in.ndjson")
        let url = URL(fileURLWithPath: input)
        try Data("{\"a\":1}\n{\"a\":".utf8).write(to: url)
        let running = try pipeline.start(path: input)
        defer { running.terminate() }
        let rows = { (try? String(contentsOf: URL(fileURLWithPath: pipeline.output), encoding: .utf8)) ?? "" }
        try waitUntil("the first row") { rows() == "{\"a\":1}\n" }
        let handle = try FileHandle(forWritingTo: url)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("2}\n".utf8))
        try waitUntil("a record cut in two") { rows() == "{\"a\":1}\n{\"a\":2}\n" }
        try FileManager.default.moveItem(atPath: input, toPath: input + ".1")
        try handle.write(contentsOf: Data("{\"a\":3}\n".utf8))
        try waitUntil("what came after the rename, before the new file") { rows().hasSuffix("{\"a\":3}\n") }
        try Data("{\"a\":4}\n{\"a\":5}\n".utf8).write(to: url)
        try waitUntil("the new file") { rows().hasSuffix("{\"a\":4}\n{\"a\":5}\n") }
        try FileHandle(forWritingTo: url).truncate(atOffset: 0)
        try waitUntil("nothing to write yet") { true }
        Thread.sleep(forTimeInterval: 0.1)
        let again = try FileHandle(forWritingTo: url)
        try again.write(contentsOf: Data("{\"a\":6}\n".utf8))
        try waitUntil("the truncated file from its start") { rows().hasSuffix("{\"a\":6}\n") }
    }
}

/// Asks until it is so, for ten seconds.
func waitUntil(_ what: String, _ isSo: () throws -> Bool) throws {
    let deadline = Date().addingTimeInterval(10)
    while Date() < deadline {
        if try isSo() { return }
        Thread.sleep(forTimeInterval: 0.02)
    }
    Issue.record("in vain: \(what)")
}

/// A source `s(a BIGINT, t TEXT, ts TIMESTAMP)` and a sink over a query of it.
struct Pipeline {
    let scratch: Scratch
    let file: String
    let path: String
    var output: String { scratch.path("out.ndjson") }

    init(
        _ query: String, path: String, sink: String = "stdout", encode: String = "JSON", options: String = "",
        columns: String = "a BIGINT, t TEXT, ts TIMESTAMP"
    ) throws {
        scratch = try Scratch()
        file = scratch.path("pipeline.sql")
        self.path = path
        let target = sink == "file" ? "connector = 'file', path = '\(scratch.path("out.ndjson"))'" : "connector = '\(sink)'"
        try Data(
            """
            CREATE SOURCE s (\(columns)) WITH (connector = 'file', path = :'path'\(options)) FORMAT PLAIN ENCODE \(encode);
            CREATE SINK k AS \(query) WITH (\(target)) FORMAT PLAIN ENCODE JSON;
            """.utf8
        ).write(to: URL(fileURLWithPath: file))
    }

    func run(_ more: String..., input: Data = Data()) throws -> Binary.Outcome {
        try Binary.run(
            executable: Binary.path,
            ["run", file, "-v", "path=\(path)", "--out-dir", scratch.path("side")] + more, input: input)
    }

    func deadLetters() throws -> [[String: Any]] { try objects(at: scratch.path("side/s_dlq.ndjson")) }

    struct Running {
        let process: Process
        let errors: URL

        func terminate() {
            if process.isRunning {
                process.terminate()
                process.waitUntilExit()
            }
        }
    }

    func start(path: String, _ more: String...) throws -> Running {
        let process = Process()
        process.executableURL = Binary.path
        process.arguments = ["run", file, "-v", "path=\(path)", "--out-dir", scratch.path("side")] + more
        let errors = URL(fileURLWithPath: scratch.path("err"))
        try Data().write(to: errors)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        return Running(process: process, errors: errors)
    }
}
