internal import Foundation
internal import Testing

private let sensorData = Binary.root.deletingLastPathComponent().appendingPathComponent("shared/data/nab")
private let sensorDataIsThere = FileManager.default.fileExists(atPath: sensorData.path)

/// `examples/machine-temperature.sql` over the Numenta Anomaly Benchmark's sensor series, which lies beside the
/// repository: not ours to hand on, and so these tests need it there.
@Suite(.enabled(if: sensorDataIsThere, "the sensor series is not in ../shared/data/nab"))
struct MachineTemperatureTests {
    struct Hour: Equatable {
        var start: Date
        var end: Date
        var episode: Int
        var value: Double
    }

    private static func date(_ text: Any?) throws -> Date {
        let style = Date.ISO8601FormatStyle(timeZoneSeparator: .omitted).year().month().day().dateTimeSeparator(.standard).time(includingFractionalSeconds: false)
        return try style.parse(String(try #require(text as? String).prefix(19)).replacing(" ", with: "T"))
    }

    private static func hours(_ rows: [[String: Any]]) throws -> [Hour] {
        try rows.map { row in
            Hour(
                start: try date(row["window_start"]), end: try date(row["window_end"]),
                episode: try #require(row["episode"] as? Int), value: try #require(row["value"] as? Double))
        }
    }

    private static func run(_ file: String, script: String = "examples/machine-temperature.sql") throws -> (hours: [Hour], errors: String, scratch: Scratch) {
        let scratch = try Scratch()
        let outcome = try Binary.run(
            "run", script, "-v", "path=\(sensorData.appendingPathComponent(file).path)", "--out-dir", scratch.path("out"),
            "--log-level", "info")
        #expect(outcome.status == 0, "\(outcome.errors)")
        return (try hours(try objects(outcome.lines)), outcome.errors, scratch)
    }

    /// Alert hours with less than six hours between them, put together by plain code.
    private static func episodes(_ hours: [Hour]) -> [DateInterval] {
        var found: [DateInterval] = []
        for hour in hours {
            if let last = found.last, hour.start.timeIntervalSince(last.end) < 6 * 3600 {
                found[found.count - 1] = DateInterval(start: last.start, end: hour.end)
            } else {
                found.append(DateInterval(start: hour.start, end: hour.end))
            }
        }
        return found
    }

    @Test func episodesMeetTheLabels() throws {
        let hours = try Self.run("machine_temperature_system_failure.csv").hours
        let episodes = Self.episodes(hours)
        #expect(Set(hours.map(\.episode)).count == episodes.count)
        for (number, episode) in episodes.enumerated() {
            let members = hours.filter { $0.start >= episode.start && $0.end <= episode.end }
            #expect(Set(members.map(\.episode)) == [number + 1])
        }

        let labels = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: sensorData.appendingPathComponent("labels.json"))) as? [String: [[String]]])
        let failures = try #require(labels["machine_temperature_system_failure.csv"]).map {
            DateInterval(start: try Self.date($0[0]), end: try Self.date($0[1]))
        }
        #expect(failures.count == 4)
        #expect(failures.filter { failure in episodes.contains { $0.intersects(failure) } }.count >= 3)
        #expect(episodes.filter { episode in !failures.contains { $0.intersects(episode) } }.count <= 3)
    }

    @Test(.enabled(if: Binary.python != nil, "needs ./dev test's Python"), arguments: ["machine", "ambient"])
    func duckDBFindsTheSameHours(series: String) throws {
        let file = "\(series)_temperature_system_failure.csv"
        let oracle = """
            import datetime, duckdb, json, sys
            c = duckdb.connect()
            rows = c.execute('''
            WITH hourly AS (
              SELECT time_bucket(INTERVAL '1 hour', timestamp) AS h, avg(value) AS v FROM read_csv(?) GROUP BY ALL),
            past AS (
              SELECT h, v, count(*) OVER w AS n, avg(v) OVER w AS m, stddev_pop(v) OVER w AS s
              FROM hourly WINDOW w AS (ORDER BY h ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
            verdicts AS (
              SELECT h, v, CASE WHEN abs(v - m) <= 0.5 * s THEN 0 WHEN abs(v - m) >= 3 * s THEN 1 END AS verdict
              FROM past WHERE n >= 72),
            states AS (
              SELECT h, v, last_value(verdict IGNORE NULLS) OVER (ORDER BY h ROWS UNBOUNDED PRECEDING) AS state FROM verdicts)
            SELECT h, v FROM states WHERE state = 1 ORDER BY h''', [sys.argv[1]]).fetchall()
            hour = datetime.timedelta(hours=1)
            episode, end = 0, None
            for start, value in rows:
                if end is None or start - end >= 6 * hour: episode += 1
                end = start + hour
                print(json.dumps({'window_start': start.isoformat(), 'window_end': end.isoformat(), 'episode': episode, 'value': value}))
            """
        let theirs = try Binary.run(
            executable: try #require(Binary.python), ["-c", oracle, sensorData.appendingPathComponent(file).path])
        #expect(theirs.status == 0, "\(theirs.errors)")
        let expected = try Self.hours(try objects(theirs.lines))
        let ours = try Self.run(file).hours
        #expect(ours.map(\.start) == expected.map(\.start) && !ours.isEmpty)
        #expect(ours.map(\.episode) == expected.map(\.episode))
        for (mine, other) in zip(ours, expected) { #expect(abs(mine.value - other.value) < 1e-9) }
    }

    /// The eleven rows behind the maximum lie within the hour that is still open, and count.
    @Test func outOfOrderRowsCountWhileTheirWindowIsOpen() throws {
        let (_, errors, scratch) = try Self.run("machine_temperature_system_failure.csv")
        let hourly = try #require(try objects(errors.split(separator: "\n")).first { $0["view"] as? String == "hourly" })
        #expect(hourly["rows"] as? Int == 22_695 && hourly["counted"] as? Int == 22_695 && hourly["late"] as? Int == 0)
        #expect(try objects(at: scratch.path("out/readings_late.ndjson")).isEmpty)
    }

    /// With windows as short as the readings' distance, and no patience, the same rows are late: all eleven, and kept.
    @Test func theyAreLateWhereWindowsAreShort() throws {
        let source = Binary.root.appendingPathComponent("examples/machine-temperature.sql")
        let text = String(decoding: try Data(contentsOf: source), as: UTF8.self)
            .replacing("\"timestamp\" - INTERVAL '1 hour'", with: "\"timestamp\" - INTERVAL '0 seconds'")
            .replacing("TUMBLE(readings, \"timestamp\", INTERVAL '1 hour')", with: "TUMBLE(readings, \"timestamp\", INTERVAL '5 minutes')")
        let scratch = try Scratch()
        try Data(text.utf8).write(to: URL(fileURLWithPath: scratch.path("short.sql")))
        let (_, errors, out) = try Self.run("machine_temperature_system_failure.csv", script: scratch.path("short.sql"))
        let hourly = try #require(try objects(errors.split(separator: "\n")).first { $0["view"] as? String == "hourly" })
        #expect(hourly["rows"] as? Int == 22_695 && hourly["counted"] as? Int == 22_684 && hourly["late"] as? Int == 11)
        let late = try objects(at: out.path("out/readings_late.ndjson"))
        #expect(late.count == 11)
        #expect(late.allSatisfy { $0["late_for"] as? String == "hourly" })
        let times = try late.map { try Self.date($0["timestamp"]) }
        #expect(times == (0..<11).map { try! Self.date("2014-01-07T02:00:00").addingTimeInterval(Double($0) * 300) })
    }
}
