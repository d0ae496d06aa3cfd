internal import Foundation
internal import Testing

/// `martlet why`, against a server with topics: what holds a view up, and the sentence that says so.
@Suite("martlet why", .serialized)
struct WhyTests {
    private static let window = "SELECT window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE"

    @Test("names what holds a view up, with the number and what to do")
    func reasons() throws {
        let server = try RunningServer()
        defer { server.stop() }
        try server.sql(
            """
            CREATE SOURCE s (id BIGINT, v BIGINT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
            WITH (connector = 'kafka', topic = 'events', late_table = 's_late', on_error = 'dlq') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW w AS \(Self.window);
            CREATE MATERIALIZED VIEW f AS SELECT id FROM s WHERE v > 1000;
            """, before: { try server.run("topic", "create", "events", "--partitions", "2") })

        let empty = try server.why("w")
        #expect(empty.contains("Source s has had no record yet: 0 from topic events, 2 partitions."), "\(empty)")

        try server.produce("events", partition: 0, ["no json", "{\"id\": \"x\"}"])
        let letters = try server.why("w", until: "dead letters")
        #expect(letters.contains("All 2 records of source s could not be read and became dead letters"), "\(letters)")
        #expect(letters.contains("s_dlq"), "\(letters)")

        try server.produce("events", partition: 0, [event(1, "12:00:10"), event(2, "12:00:20")])
        try server.produce("events", partition: 1, [event(3, "12:00:15")])
        let open = try server.why("w", until: "watermark reaches")
        #expect(open.contains("when the watermark reaches 2026-01-01 12:01:00+00; it stands at 2026-01-01 12:00:10+00: 50 s of event time are missing"), "\(open)")
        let filtered = try server.why("f", until: "left out")
        #expect(filtered.contains("None of the 3 rows that came to f passed: 3 by its filters (Filter v > 1000) were left out."), "\(filtered)")

        // One partition goes on, the other is silent.
        try server.produce("events", partition: 0, [event(4, "12:03:00")])
        let silent = try server.why("w", until: "silent")
        #expect(silent.contains("Partition 1 of source s has been silent for"), "\(silent)")
        #expect(silent.contains("holds the watermark at 2026-01-01 12:00:10+00; the others have come to 2026-01-01 12:02:55+00"), "\(silent)")
        #expect(silent.contains("idle_timeout"), "\(silent)")
        let watermarks = try server.sql("SELECT partition, state FROM martlet_watermarks WHERE kind = 'partition' ORDER BY partition")
        #expect(watermarks.contains("1,holds"), "\(watermarks)")

        try server.produce("events", partition: 1, [event(5, "12:03:00")])
        let works = try server.why("w", until: "nothing holds it up")
        #expect(works.contains("w shows 1 row, made of 5 rows that came"), "\(works)")

        #expect(try server.run("why", "nobody", "--server", server.postgres).status == 1)
        let lag = try server.sql("SELECT source, sum(position), sum(lag_records) FROM martlet_lag GROUP BY source")
        #expect(lag.contains("s,7,0"), "\(lag)")
    }

    @Test("tells late rows, and a partition that never had a record")
    func late() throws {
        let server = try RunningServer()
        defer { server.stop() }
        try server.sql(
            """
            CREATE SOURCE s (id BIGINT, v BIGINT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
            WITH (connector = 'kafka', topic = 'events', late_table = 's_late', scan.startup.mode = 'earliest') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW everything AS SELECT id FROM s;
            CREATE MATERIALIZED VIEW w AS \(Self.window);
            """, before: { try server.run("topic", "create", "events", "--partitions", "2") })
        try server.produce("events", partition: 0, [event(1, "12:00:10"), event(2, "12:05:00")])
        let never = try server.why("w", until: "has had no record for")
        #expect(never.contains("Partition 1 of source s has had no record for"), "\(never)")
        #expect(never.contains("idle_timeout"), "\(never)")
        try server.produce("events", partition: 1, [event(3, "13:00:00")])
        try server.produce("events", partition: 0, [event(4, "13:00:00"), event(5, "12:10:00")])
        _ = try server.why("w", until: "nothing holds it up")
        try server.sql("CREATE MATERIALIZED VIEW old AS SELECT window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '1 second') WHERE id = 5 GROUP BY window_start EMIT ON WINDOW CLOSE")
        let late = try server.why("old", until: "late")
        #expect(late.contains("1 as too late") || late.contains("too late for their windows"), "\(late)")
        let rows = try server.sql("SELECT source, late_for, partition FROM martlet_late WHERE late_for = 'w'")
        #expect(rows.contains("s,w,0"), "\(rows)")
    }

    private func event(_ id: Int, _ time: String) -> String { "{\"id\": \(id), \"v\": 1, \"ts\": \"2026-01-01T\(time)Z\"}" }
}

/// `martlet serve` with its log and PostgreSQL's listener on free ports, for the time of a test.
private final class RunningServer {
    let kafka: String
    let postgres: String
    private let process = Process()
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        process.executableURL = Binary.path
        process.arguments = ["serve", "--data-dir", scratch.path("data"), "--kafka", "127.0.0.1:0", "--no-http", "--postgres", "127.0.0.1:0"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var said = ""
        while said.split(separator: "\n").count < 2 {
            let piece = output.fileHandleForReading.availableData
            if piece.isEmpty { break }
            said += String(decoding: piece, as: UTF8.self)
        }
        func address(_ name: String) -> String? {
            said.split(separator: "\n").first { $0.hasPrefix(name + " on ") }.map { String($0.dropFirst(name.count + 4)) }
        }
        kafka = try #require(address("kafka"), "the server said: \(said)")
        postgres = try #require(address("postgres"), "the server said: \(said)")
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    @discardableResult
    func run(_ arguments: String..., input: Data = Data()) throws -> Binary.Outcome {
        let all = arguments.first == "topic" ? arguments + ["--server", kafka] : arguments
        return try Binary.run(executable: Binary.path, all, input: input)
    }

    @discardableResult
    func sql(_ text: String, before: (() throws -> Binary.Outcome)? = nil) throws -> String {
        if let before {
            let made = try before()
            #expect(made.status == 0, "\(made.errors)")
        }
        let outcome = try run("sql", "--server", postgres, "-o", "csv", "-c", text.split(separator: "\n").joined(separator: " "))
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.output
    }

    func produce(_ topic: String, partition: Int, _ records: [String]) throws {
        let outcome = try run("topic", "produce", topic, "--partition", "\(partition)", input: Data((records.joined(separator: "\n") + "\n").utf8))
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    /// What `martlet why` says, asked until it says `words`, or ten seconds have passed.
    func why(_ view: String, until words: String = "") throws -> String {
        let end = Date().addingTimeInterval(10)
        while true {
            let outcome = try run("why", view, "--server", postgres)
            #expect(outcome.status == 0, "\(outcome.errors)")
            if outcome.output.contains(words) || Date() > end { return outcome.output }
            Thread.sleep(forTimeInterval: 0.1)
        }
    }
}
