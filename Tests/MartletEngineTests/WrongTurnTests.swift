import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

/// Mistakes that other engines are known for, each by its name (the rows and views of `PrefixRun`).
@Suite("Wrong turns")
struct WrongTurnTests {
    private func row(_ id: Int64, at seconds: Int64, key: Int64? = 1, value: Int64? = 0) -> ScriptedRow {
        ScriptedRow(id: id, time: seconds * 1_000_000, key: key, value: value)
    }

    /// Alternating sums that must stay at zero whatever a tick holds.
    @Test("the sum of balances is equal at every read while transfers stream", arguments: [1, 2, 3], [1, 7])
    func balances(shards: Int, rowsMax: Int) throws {
        let moves = PrefixOracleTests.rows(60, first: 0, seed: 5)
        let run = try PrefixRun(
            "SELECT sum(amount) AS total FROM balances", ["a": [moves], "b": [[]]], shards: shards, rowsMax: rowsMax, seed: 3,
            before: """
                CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS amount FROM (
                  SELECT key AS account, id AS amount FROM a UNION ALL SELECT value AS account, -id AS amount FROM a) x GROUP BY account;
                """)
        #expect(run.problems == [])
        let sums = Set(run.ticks.drop { $0.read[0][0] == 0 }.flatMap(\.rows))
        #expect(sums == ["0"])
    }

    @Test("t LEFT JOIN t is never NULL at a tick", arguments: [1, 2, 3], [1, 7])
    func selfJoin(shards: Int, rowsMax: Int) throws {
        let run = try PrefixRun(
            "SELECT x.id, y.id AS other FROM a x LEFT JOIN a y ON x.id = y.id", ["a": [PrefixOracleTests.rows(40, first: 0, seed: 6)], "b": [[]]],
            shards: shards, rowsMax: rowsMax, seed: 4)
        #expect(run.problems == [])
        for tick in run.ticks {
            #expect(tick.rows.count == tick.read[0][0])
            #expect(!tick.rows.contains { $0.contains("NULL") })
        }
    }

    /// The view joins a changing aggregate with itself: each key's two counts are the same number at every tick.
    @Test("-old and +new are never visible apart", arguments: [1, 2, 3])
    func updatesStayTogether(shards: Int) throws {
        let run = try PrefixRun(
            "SELECT x.key, x.n, y.n AS m FROM counts x JOIN counts y ON x.key = y.key",
            ["a": [PrefixOracleTests.rows(50, first: 0, seed: 8)], "b": [[]]], shards: shards, rowsMax: 3, seed: 5,
            before: "CREATE MATERIALIZED VIEW counts AS SELECT key, count(*) AS n FROM a WHERE key IS NOT NULL GROUP BY key;")
        #expect(run.problems == [])
        for tick in run.ticks {
            let parts = tick.rows.map { $0.split(separator: "\t") }
            #expect(parts.allSatisfy { $0[1] == $0[2] })
            #expect(Set(parts.map { $0[0] }).count == parts.count)
        }
    }

    private let counts =
        "SELECT window_start, window_end, count(*) AS n FROM SESSION(a PARTITION BY key, ts, INTERVAL '10 seconds') GROUP BY key, window_start, window_end"

    @Test("a bridging event merges sessions", arguments: ["", " EMIT ON WINDOW CLOSE"])
    func bridge(emission: String) throws {
        let rows = [row(1, at: 0), row(2, at: 16), row(3, at: 8), row(4, at: 100)]
        let run = try PrefixRun(counts + emission, ["a": [rows], "b": [[]]], shards: 2, rowsMax: 1, seed: 1, delay: 20)
        #expect(run.problems == [])
        #expect(run.ticks.last?.rows == ["0\t26\t3", "100\t110\t1"])
        if emission.isEmpty {
            #expect(run.ticks.contains { $0.rows == ["0\t10\t1", "16\t26\t1"] })
        } else {
            #expect(run.ticks.allSatisfy { tick in tick.rows.allSatisfy { $0 == "0\t26\t3" || $0 == "100\t110\t1" } })
        }
    }

    @Test("a session is final when its end is passed, not its start")
    func sessionEnds() throws {
        let rows = [row(1, at: 0), row(2, at: 5), row(3, at: 14), row(4, at: 100)]
        let run = try PrefixRun(
            counts + " EMIT ON WINDOW CLOSE", ["a": [rows], "b": [[]]], shards: 1, rowsMax: 1, seed: 1, delay: 4)
        #expect(run.problems == [])
        #expect(run.ticks.last?.rows == ["0\t24\t3", "100\t110\t1"])
        let plain = try PrefixRun(
            "SELECT id, window_start, window_end FROM SESSION(a PARTITION BY key, ts, INTERVAL '10 seconds') EMIT ON WINDOW CLOSE",
            ["a": [rows], "b": [[]]], shards: 1, rowsMax: 1, seed: 1, delay: 4)
        #expect(plain.problems == [])
        #expect(plain.ticks.last?.rows == ["1\t0\t24", "2\t0\t24", "3\t0\t24", "4\t100\t110"])
    }

    @Test("a session waits for the row at its very end, which is its own")
    func sessionsVeryEnd() throws {
        // The row of the other key takes the watermark to 10, where the session ends; one at 10 is not late.
        let rows = [row(1, at: 0), row(2, at: 14, key: 9), row(3, at: 10), row(4, at: 100)]
        let run = try PrefixRun(
            counts + " EMIT ON WINDOW CLOSE", ["a": [rows], "b": [[]]], shards: 1, rowsMax: 1, seed: 1, delay: 4)
        #expect(run.problems == [])
        #expect(run.ticks.last?.rows == ["0\t20\t2", "100\t110\t1", "14\t24\t1"])
    }

    @Test("a row of an interval join waits as long as the interval reaches", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func intervalReaches(seed: UInt64) throws {
        let left = [row(1, at: 0), row(2, at: 50)]
        let right = [row(11, at: 1, key: 9), row(12, at: 2, key: 9), row(13, at: 4), row(14, at: 60, key: 9)]
        let run = try PrefixRun(
            "SELECT a.id, b.id AS other FROM a JOIN b ON a.key = b.key AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5 seconds'",
            ["a": [left], "b": [right]], shards: 1, rowsMax: 1, seed: seed, delay: 0)
        #expect(run.problems == [])
        #expect(run.ticks.last?.rows == ["1\t13"])
    }

    @Test("a session that touches the one before joins it; one a little later does not")
    func touching() throws {
        let rows = [row(1, at: 0), row(2, at: 10), row(3, at: 21), row(4, at: 100)]
        let run = try PrefixRun(counts, ["a": [rows], "b": [[]]], shards: 1, rowsMax: 1, seed: 1)
        #expect(run.ticks.last?.rows == ["0\t20\t2", "100\t110\t1", "21\t31\t1"])
    }

    /// The first row of `b` comes when the watermark of `a` is far beyond: only then may `a`'s row be without a match.
    @Test("an outer join emits NULLs only after both watermarks pass")
    func outerJoinWaits() throws {
        let left = [row(1, at: 0), row(2, at: 100), row(3, at: 200)]
        let right = [row(11, at: 0, key: 9), row(12, at: 4), row(13, at: 300, key: 9)]
        let run = try PrefixRun(
            "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5 seconds'",
            ["a": [left], "b": [right]], shards: 1, rowsMax: 1, seed: 2, delay: 0)
        #expect(run.problems == [])
        #expect(run.ticks.last?.rows == ["1\t12", "2\tNULL", "3\tNULL"])
        for tick in run.ticks where tick.rows.contains("2\tNULL") {
            // Beyond 105 on both sides.
            #expect(tick.read[0][0] == 3 && tick.read[1][0] == 3)
        }
        #expect(!run.ticks.contains { $0.rows.contains("1\tNULL") })
    }

    @Test("min and max under deletes", arguments: [1, 2, 3])
    func extremes(shards: Int) throws {
        // The greatest count falls when its key's rows become another key's: counts of counts, whose extremes go away.
        let rows = [1, 1, 1, 2, 2, 2, 2, 1, 1, 3].enumerated().map { row(Int64($0.offset), at: Int64($0.offset), key: Int64($0.element)) }
        let run = try PrefixRun(
            "SELECT min(key) AS l, max(key) AS h, n FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x GROUP BY n",
            ["a": [rows], "b": [[]]], shards: shards, rowsMax: 1, seed: 1)
        #expect(run.problems == [])
        #expect(run.letters == 0)
        #expect(run.ticks.last?.rows == ["1\t1\t5", "2\t2\t4", "3\t3\t1"])
    }

    /// Three rows share the second place: all of them stay, and all go when a better one comes.
    @Test("Top-N keeps ties, and gives them up together", arguments: [1, 2])
    func ties(shards: Int) throws {
        let rows = [
            row(1, at: 0, value: 9), row(2, at: 1, value: 5), row(3, at: 2, value: 5), row(4, at: 3, value: 5), row(5, at: 4, value: 7),
            row(6, at: 5, value: 9),
        ]
        let run = try PrefixRun(
            "SELECT id, n FROM (SELECT id, rank() OVER (PARTITION BY key ORDER BY value DESC) AS n FROM a) x WHERE n <= 2",
            ["a": [rows], "b": [[]]], shards: shards, rowsMax: 1, seed: 1)
        #expect(run.problems == [])
        let states = run.ticks.map(\.rows)
        #expect(states.contains(["1\t1", "2\t2", "3\t2", "4\t2"]))
        #expect(states.contains(["1\t1", "5\t2"]))
        #expect(states.last == ["1\t1", "6\t1"])
    }

    @Test("groups that lose all rows go, and start afresh")
    func emptiedGroups() throws {
        // Each key's count moves from group to group: most groups of counts are empty again.
        let rows = (0..<200).map { row(Int64($0), at: Int64($0), key: 1) }
        let run = try PrefixRun(
            "SELECT n, count(*) AS c, sum(key) AS s FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x GROUP BY n",
            ["a": [rows], "b": [[]]], shards: 1, rowsMax: 1, seed: 1)
        #expect(run.problems == [])
        #expect(run.ticks.allSatisfy { $0.rows.count <= 1 })
        #expect(run.ticks.last?.rows == ["200\t1\t1"])
    }

    /// key + n fails for the sum that is out of range, in a view over groups: the letter is kept, once.
    @Test("an error behind an aggregation is a dead letter of the source that the view reads")
    func lettersOfGroups() throws {
        let run = try EngineRun(
            "CREATE SINK k AS SELECT key, 10 / (3 - n) AS q FROM (SELECT key, count(*) AS n FROM s GROUP BY key) x"
                + " WITH (connector = 'file') FORMAT PLAIN ENCODE JSON;",
            rows: [(0..<5).map { row($0, at: $0) }])
        #expect(run.rows("k") == ["1 -5"])
        let letters = run.lines("s_dlq")
        #expect(letters.count == 1)
        #expect(letters.first?.hasPrefix("s NULL NULL NULL 22012 division by zero") == true)
    }

    @Test("rows leave a temporal filter as time passes")
    func temporal() throws {
        // The simulated clock starts at 2026-01-01; these rows live for ten seconds, from −3, +0 and +4 seconds on.
        let start: Int64 = SimulatedClock().wallMicros() / 1_000_000
        let rows = [row(1, at: start - 3), row(2, at: start), row(3, at: start + 4), row(4, at: start - 60)]
        let run = try PrefixRun(
            "SELECT id FROM a WHERE ts > now() - INTERVAL '10 seconds' AND ts <= now()", ["a": [rows], "b": [[]]], shards: 2, rowsMax: 4,
            seed: 1, tickMicros: 1_000_000, ticksAfter: 20)
        #expect(run.problems == [])
        let states = run.ticks.map(\.rows)
        #expect(states.contains(["1", "2"]))
        #expect(states.contains(["1", "2", "3"]))
        #expect(states.contains(["3"]))
        #expect(states.last == [])
        #expect(!states.contains { $0.contains("4") })
    }

    // MARK: Of a database

    /// The only row is at 100, its session ends at 110; the watermark of the row is 99.
    @Test("a single-event session closes when its source is idle", arguments: [1, 2])
    func lonelySession(shards: Int) throws {
        let database = try DatabaseHarness(shards: shards)
        database.connectors.scripts["s"] = [[row(1, at: 100)], []]
        database.connectors.staysOpen = true
        let beginning = try database.saved()
        database.run(
            """
            CREATE SOURCE s (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '1 second')
            WITH (connector = 'file', path = 'x', idle_timeout = '2 seconds') FORMAT PLAIN ENCODE JSON
            """)
        database.run("CREATE MATERIALIZED VIEW k AS \(counts.replacing("a PARTITION", with: "s PARTITION")) EMIT ON WINDOW CLOSE")
        func pass(_ seconds: Int) {
            for _ in 0..<seconds {
                database.clock.advance(nanos: 1_000_000_000)
                database.tick()
            }
        }
        let shown = "SELECT extract(epoch FROM window_start)::int, extract(epoch FROM window_end)::int, n FROM k"
        pass(8)
        #expect(database.run(shown) == "")
        pass(8)
        #expect(database.run(shown) == "100 110 1")
        let recorded = database.records.count
        pass(3_600)
        #expect(database.records.count - recorded < 60, "an hour of silence is a few ticks")
        let again = try DatabaseHarness.broughtBack(beginning, database.records, shards: shards, scripts: ["s": [[row(1, at: 100)], []]])
        #expect(again.run(shown) == "100 110 1")
    }

    @Test("a consumer loop that meets an error for a moment commits nothing past it")
    func transientError() throws {
        let rows = [(0..<20).map { row($0, at: $0) }]
        let database = try DatabaseHarness()
        database.connectors.scripts["s"] = rows
        database.connectors.failsAt = 7
        let beginning = try database.saved()
        database.run(
            """
            CREATE SOURCE s (\(ScriptedConnectors.declaration)) WITH (connector = 'file', path = 'x') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW k AS SELECT count(*) AS n, sum(id) AS s FROM s
            """)
        for _ in 0..<30 { database.tick() }
        #expect(database.run("SELECT * FROM k") == "7 21")
        let again = try DatabaseHarness.broughtBack(beginning, database.records, scripts: ["s": rows])
        for _ in 0..<30 { again.tick() }
        #expect(again.run("SELECT * FROM k") == "20 190")
    }

    @Test("a late upsert does not delete: what its window was closed with stays", arguments: [1, 2])
    func lateUpsert(shards: Int) throws {
        let database = try DatabaseHarness(shards: shards)
        // A connector's records: the second of id 1 and that of id 3 come when the window is closed.
        database.connectors.scripts["t"] = [[row(1, at: 1, value: 1), row(2, at: 40, value: 2), row(1, at: 3, value: 100), row(3, at: 4, value: 3)]]
        database.run(
            """
            CREATE TABLE t (\(ScriptedConnectors.declaration), PRIMARY KEY (id), WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
            WITH (connector = 'file', path = 'x') FORMAT PLAIN ENCODE JSON
            """)
        let sums = "SELECT window_start, count(*) AS n, sum(value) AS s FROM TUMBLE(t, ts, INTERVAL '10 seconds') GROUP BY window_start"
        database.run("CREATE MATERIALIZED VIEW k AS \(sums) EMIT ON WINDOW CLOSE; CREATE MATERIALIZED VIEW live AS \(sums)")
        for _ in 0..<20 { database.tick() }
        #expect(database.run("SELECT id, value FROM t ORDER BY id") == "1 100\n2 2\n3 3")
        #expect(database.run("SELECT n, s FROM k") == "1 1")
        #expect(database.run("SELECT n, s FROM live ORDER BY window_start") == "1 1\n1 2")
    }
}
