import MartletCore
import MartletEngine
import Testing

/// Tables that forget what their watermark has passed.
@Suite("Tables that forget")
struct ExpiryTests {
    private static let definitions = """
        CREATE TABLE t (k INT PRIMARY KEY, u INT UNIQUE, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '10 seconds' WITH TTL);
        CREATE TABLE heap (k INT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '10 seconds' WITH TTL);
        CREATE TABLE grows (k INT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '10 seconds' WITH TTL) APPEND ONLY;
        CREATE TABLE keeps (k INT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '10 seconds');
        CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, sum(k) AS s FROM t;
        CREATE MATERIALIZED VIEW grown AS SELECT count(*) AS n FROM grows;
        CREATE MATERIALIZED VIEW minutes AS SELECT window_start, count(*) AS n FROM TUMBLE(heap, ts, INTERVAL '1 minute')
        GROUP BY window_start EMIT ON WINDOW CLOSE
        """
    private static let questions = [
        "SELECT k, u FROM t ORDER BY k", "SELECT k FROM heap ORDER BY k", "SELECT k FROM grows ORDER BY k", "SELECT count(*) FROM keeps",
        "SELECT n, s FROM counted", "SELECT n FROM grown", "SELECT window_start, n FROM minutes ORDER BY 1",
    ]

    private func time(_ seconds: Int) -> String { "'2026-01-01 00:00:00+00'::timestamptz + \(seconds) * INTERVAL '1 second'" }

    @Test("rows leave when the watermark has passed them, and not before; views keep what they made of them; a restart comes to the same")
    func forgets() throws {
        let database = try DatabaseHarness()
        var saved: [(state: [UInt8], records: Int)] = [(try database.saved(), 0)]
        func say(_ text: String) throws {
            let answer = database.run(text)
            #expect(!answer.contains("000 ") && !answer.hasPrefix("2") && !answer.hasPrefix("4"), "\(text): \(answer)")
            // What is said is answered when it is durable; a tick later the watermark counts.
            for _ in 0..<2 { database.tick() }
            saved.append((try database.saved(), database.records.count))
        }
        for statement in Self.definitions.split(separator: ";") { try say(String(statement)) }
        try say("INSERT INTO t SELECT i, i, \(time(0)) + i * INTERVAL '1 second' FROM generate_series(0, 29) i")
        #expect(database.run("SELECT min(k), max(k), count(*) FROM t") == "19 29 11")
        try say("INSERT INTO t VALUES (100, NULL, NULL)")
        // The key and the unique value of what was forgotten are free; late rows leave at once.
        try say("INSERT INTO t VALUES (3, 4, \(time(30)))")
        try say("INSERT INTO t VALUES (5, 5, \(time(1)))")
        #expect(database.run("SELECT k FROM t ORDER BY k LIMIT 1") == "3")
        try say("UPDATE t SET ts = \(time(60)) WHERE k = 25")
        #expect(database.run("SELECT k, u FROM t ORDER BY k") == "25 25\n100 NULL")
        #expect(database.run("SELECT n, s FROM counted") == "33 \((0..<30).reduce(0, +) + 100 + 3 + 5)")
        // Equal rows; one of them is deleted before.
        try say("INSERT INTO heap VALUES (1, \(time(0))), (1, \(time(0))), (1, \(time(0))), (2, \(time(5)))")
        try say("DELETE FROM heap WHERE k = 2; INSERT INTO heap VALUES (2, \(time(8)))")
        try say("INSERT INTO heap VALUES (3, \(time(75)))")
        #expect(database.run("SELECT k FROM heap") == "3")
        #expect(database.run("SELECT n FROM minutes") == "4")
        try say("INSERT INTO grows SELECT i, \(time(0)) + i * INTERVAL '1 second' FROM generate_series(0, 9999) i")
        try say("INSERT INTO grows VALUES (0, \(time(10_000)))")
        #expect(database.run("SELECT count(*), min(k), max(k) FROM grows") == "11 0 9999")
        #expect(database.run("SELECT n FROM grown") == "10001")
        try say("INSERT INTO keeps VALUES (1, \(time(0))), (2, \(time(100)))")
        let expected = Self.questions.map { database.run($0) }
        #expect(expected[3] == "2")
        for (state, records) in saved {
            let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(records))
            #expect(Self.questions.map { again.run($0) } == expected, "after \(records) ticks")
        }
    }

    @Test("a table takes another form, and its rows go on leaving")
    func reshaped() throws {
        let database = try DatabaseHarness()
        for statement in Self.definitions.split(separator: ";") { database.run(String(statement)) }
        database.run("INSERT INTO heap SELECT i, \(time(0)) + i * INTERVAL '1 second' FROM generate_series(0, 19) i; ALTER TABLE heap ADD COLUMN more INT")
        for _ in 0..<3 { database.tick() }
        #expect(database.run("SELECT count(*), min(k) FROM heap") == "11 9")
        database.run("INSERT INTO heap VALUES (50, \(time(50)), 7)")
        for _ in 0..<3 { database.tick() }
        #expect(database.run("SELECT k, more FROM heap") == "50 7")
    }
}
