import MartletCore
import MartletEngine
import MartletTestKit
import Testing

/// Sources that several units read: statements sent one by one, as psql sends them.
@Suite("Shared sources")
struct SharedSourceTests {
    private static let source = """
        CREATE SOURCE s (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
        WITH (connector = 'file', path = 'x', late_table = 'late') FORMAT PLAIN ENCODE JSON
        """
    private static let windows = """
        SELECT window_start, count(*) AS n, sum(value) AS v FROM TUMBLE(s, ts, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE
        """

    /// Two partitions; every eighth record has no event time, every tenth is late.
    private static let rows: [[ScriptedRow]] = (0..<2).map { partition in
        (0..<40).map { at in
            let seconds = Int64(at % 10 == 9 ? max(at - 25, 0) : at)
            return ScriptedRow(
                id: Int64(partition * 1000 + at), time: at % 8 == 7 ? nil : seconds * 1_000_000, key: Int64(at % 3), value: Int64(at))
        }
    }

    private func harness(shards: Int = 1) throws -> DatabaseHarness {
        let database = try DatabaseHarness(shards: shards)
        database.connectors.scripts["s"] = Self.rows
        return database
    }

    private func ticks(_ database: DatabaseHarness, _ count: Int) { for _ in 0..<count { database.tick() } }

    @Test("a source is read once for all views, whenever they are made, and a bad record makes one dead letter", arguments: [1, 2])
    func once(shards: Int) throws {
        let database = try harness(shards: shards)
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n, sum(id) AS ids FROM s GROUP BY key")
        ticks(database, 10)
        // Comes later, wants a column more, and has to catch up.
        database.run("CREATE MATERIALIZED VIEW b AS SELECT key, count(*) AS n, sum(id) AS ids, sum(value) AS v FROM s GROUP BY key")
        database.run("CREATE MATERIALIZED VIEW c AS SELECT id FROM s")
        ticks(database, 60)
        database.run("CREATE MATERIALIZED VIEW d AS SELECT id, key, value FROM s")
        ticks(database, 60)
        #expect(database.connectors.opened["s"] == 1)
        #expect(database.run("SELECT count(*), count(DISTINCT id) FROM c") == "70 70")
        #expect(database.sorted("SELECT key, n, ids FROM a") == database.sorted("SELECT key, n, ids FROM b"))
        #expect(database.sorted("SELECT key, n, ids, v FROM b") == database.sorted("SELECT key, count(*), sum(id), sum(value) FROM d GROUP BY key"))
        #expect(database.run("SELECT count(*), count(DISTINCT partition * 1000 + \"offset\") FROM s_dlq") == "10 10")
    }

    @Test("late rows of a later view, and dead letters, come to who reads them before; each once")
    func sidesOfLaterViews() throws {
        let database = try harness()
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW lates AS SELECT late_for, id FROM late")
        database.run("CREATE MATERIALIZED VIEW letters AS SELECT reason_code, count(*) AS n FROM s_dlq GROUP BY reason_code")
        ticks(database, 100)
        // Nobody reads the rows, but the letters.
        #expect(database.run("SELECT reason_code, n FROM letters") == "null_event_time 10")
        #expect(database.run("SELECT count(*) FROM lates") == "0")
        database.run("CREATE MATERIALIZED VIEW w AS \(Self.windows)")
        ticks(database, 60)
        database.run("CREATE MATERIALIZED VIEW half AS SELECT 1 / (key - 1) AS x FROM s")
        ticks(database, 60)
        #expect(database.run("SELECT reason_code, n FROM letters ORDER BY 1") == "22012 22\nnull_event_time 10")
        #expect(database.run("SELECT count(*) FROM s_dlq") == "32")
        #expect(database.sorted("SELECT * FROM lates") == database.sorted("SELECT late_for, id FROM late"))
        #expect(database.run("SELECT late_for, count(*), count(DISTINCT id) FROM late GROUP BY late_for") == "w 4 4")
        // In = counted + late + letters.
        #expect(database.run("SELECT sum(n) FROM w") == "66")
    }

    @Test("columns come and go while views read a source, also after a restart")
    func columns() throws {
        let database = try harness()
        let beginning = try database.saved()
        database.run("CREATE SOURCE s (ts TIMESTAMPTZ, key BIGINT, WATERMARK FOR ts AS ts - INTERVAL '30 seconds') WITH (connector = 'file', path = 'x') FORMAT PLAIN ENCODE JSON")
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n FROM s GROUP BY key")
        ticks(database, 10)
        #expect(database.run("ALTER SOURCE s ADD COLUMN value BIGINT") == "ALTER SOURCE")
        #expect(database.run("ALTER SOURCE s ADD COLUMN id BIGINT") == "ALTER SOURCE")
        database.run("CREATE MATERIALIZED VIEW b AS SELECT key, count(*) AS n, sum(value) AS v, sum(id) AS ids FROM s GROUP BY key")
        ticks(database, 100)
        let expected = (0..<3).map { key in
            let rows = Self.rows.joined().filter { $0.time != nil && $0.key == Int64(key) }
            return "\(key) \(rows.count) \(rows.reduce(0) { $0 + ($1.value ?? 0) }) \(rows.reduce(0) { $0 + $1.id })"
        }
        #expect(database.sorted("SELECT * FROM b") == expected.joined(separator: "\n"))
        #expect(database.sorted("SELECT key, n FROM a") == database.sorted("SELECT key, n FROM b"))
        #expect(database.run("ALTER SOURCE s DROP COLUMN value").contains("cannot drop column value of source s because other objects depend on it"))
        #expect(database.run("ALTER SOURCE s DROP COLUMN ts").contains("because the watermark needs it"))
        #expect(database.run("ALTER SOURCE s DROP COLUMN id CASCADE") == "ALTER SOURCE")
        #expect(database.run("SELECT * FROM b").contains("does not exist"))
        #expect(database.run("CREATE MATERIALIZED VIEW c AS SELECT id FROM s").contains("does not exist"))
        database.run("CREATE MATERIALIZED VIEW d AS SELECT * FROM s")
        ticks(database, 100)
        #expect(database.run("SELECT sum(key), sum(value) FROM d") == database.run("SELECT sum(key * n), \(Self.rows.joined().filter { $0.time != nil }.reduce(0) { $0 + ($1.value ?? 0) }) FROM a"))
        let back = try DatabaseHarness.broughtBack(beginning, database.records, scripts: ["s": Self.rows])
        #expect(back.sorted("SELECT key, value FROM d") == database.sorted("SELECT key, value FROM d"))
    }

    @Test("a late table keeps its columns while its source gets others, also after a restart")
    func lateColumns() throws {
        let database = try harness()
        let beginning = try database.saved()
        database.run(
            """
            CREATE SOURCE s (ts TIMESTAMPTZ, key BIGINT, value BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
            WITH (connector = 'file', path = 'x', late_table = 'late') FORMAT PLAIN ENCODE JSON
            """)
        #expect(database.run("ALTER SOURCE s ADD COLUMN id BIGINT") == "ALTER SOURCE")
        database.run("CREATE MATERIALIZED VIEW w AS \(Self.windows); CREATE MATERIALIZED VIEW ids AS SELECT count(id) AS n FROM s")
        ticks(database, 30)
        #expect(database.run("ALTER SOURCE s RENAME COLUMN value TO v; ALTER SOURCE s DROP COLUMN key") == "ALTER SOURCE\nALTER SOURCE")
        ticks(database, 60)
        let shown = "SELECT key, value, late_for, partition, \"offset\" FROM late"
        let late = Self.rows.enumerated().flatMap { partition, rows in
            rows.enumerated().filter { $0.offset % 10 == 9 && $0.element.time != nil && $0.offset > 9 }.map { at, row in
                "\(row.key ?? 0) \(row.value ?? 0) w \(partition) \(at)"
            }
        }
        #expect(database.sorted(shown) == late.sorted().joined(separator: "\n"))
        #expect(database.run("SELECT n FROM ids") == "70")
        #expect(database.run("SELECT reason_code, count(*) FROM s_dlq GROUP BY 1") == "null_event_time 10")
        let back = try DatabaseHarness.broughtBack(beginning, database.records, scripts: ["s": Self.rows])
        #expect(back.sorted(shown) == database.sorted(shown))
    }

    @Test("a source that is renamed is read on, and its dead letters stay where they are, also after a restart")
    func renamed() throws {
        let database = try harness()
        let beginning = try database.saved()
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n FROM s GROUP BY key; CREATE VIEW plain AS SELECT id FROM s")
        ticks(database, 10)
        #expect(database.run("ALTER SOURCE s RENAME TO readings") == "ALTER SOURCE")
        database.run("CREATE MATERIALIZED VIEW b AS SELECT key, count(*) AS n FROM readings GROUP BY key")
        let middle = try database.saved()
        let before = database.records.count
        ticks(database, 120)
        func check(_ database: DatabaseHarness) {
            #expect(database.run("SELECT sum(n) FROM a") == "70")
            #expect(database.sorted("SELECT * FROM a") == database.sorted("SELECT * FROM b"))
            #expect(database.run("SELECT count(*) FROM s_dlq") == "10")
            #expect(database.run("SELECT name, state FROM martlet_sources") == "readings finished")
            #expect(database.run("SELECT count(*) FROM s") == "42P01 relation \"s\" does not exist")
        }
        check(database)
        let scripts = ["s": Self.rows, "readings": Self.rows]
        check(try DatabaseHarness.broughtBack(beginning, database.records, scripts: scripts))
        let again = try DatabaseHarness.broughtBack(middle, database.records.dropFirst(before), scripts: scripts)
        check(again)
        #expect(again.run(Self.source) == "42P07 relation \"late\" already exists")
        #expect(again.run("DROP SOURCE readings CASCADE; SELECT count(*) FROM s_dlq").hasSuffix("42P01 relation \"s_dlq\" does not exist"))
    }

    @Test("what is renamed keeps its counts, in the system views and in the metrics, also where two change names with one another")
    func countsFollowNames() throws {
        let database = try harness()
        let registry = MetricsRegistry()
        let metrics = DatabaseMetrics(registry, clock: database.clock)
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n FROM s GROUP BY key")
        database.run("CREATE MATERIALIZED VIEW b AS SELECT id FROM s WHERE key = 1")
        ticks(database, 120)
        metrics.update(database.database)
        func counts(_ name: String) -> String { database.run("SELECT rows_in, counted FROM martlet_views WHERE name = '\(name)'") }
        let (a, b) = (counts("a"), counts("b"))
        #expect(a == "70 70" && a != b)
        database.run("ALTER MATERIALIZED VIEW a RENAME TO c; ALTER MATERIALIZED VIEW c SWAP WITH b; ALTER SOURCE s RENAME TO readings")
        #expect(counts("b") == a && counts("c") == b)
        #expect(database.run("SELECT DISTINCT view FROM martlet_operators WHERE view IS NOT NULL ORDER BY 1") == "b\nc")
        database.clock.advance(nanos: 2_000_000_000)
        metrics.update(database.database)
        let shown = registry.renderPrometheus()
        #expect(shown.contains("martlet_view_counted_total{view=\"b\"} 70\n"))
        #expect(shown.contains("martlet_source_rows_total{source=\"readings\"} 70\n"))
        #expect(shown.contains("view=\"c\"") && !shown.contains("view=\"a\"") && !shown.contains("source=\"s\""))
    }

    @Test("the history that a view has yet to read is told of like other filling, and can be given up")
    func historyIsTold() throws {
        let database = try harness()
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n FROM s GROUP BY key")
        ticks(database, 120)
        database.run("CREATE MATERIALIZED VIEW b AS SELECT key, sum(id) AS n FROM s GROUP BY key")
        ticks(database, 3)
        #expect(database.run("SELECT name, rows_done > 0, rows_done < rows_total, rows_total FROM martlet_ddl_progress") == "b t t 80")
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'b'") == "filling")
        #expect(database.run("SELECT explanation FROM martlet_why WHERE name = 'b'").contains("% of its sources' history"))
        ticks(database, 120)
        #expect(database.run("SELECT count(*) FROM martlet_ddl_progress") == "0")
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'b'") == "running")
        database.run("CREATE MATERIALIZED VIEW c AS SELECT max(id) FROM s")
        #expect(database.run("CANCEL JOBS \(database.run("SELECT ddl_id FROM martlet_ddl_progress"))") == "CANCEL JOBS")
        #expect(database.run("SELECT * FROM c").hasPrefix("42P01"))
    }

    @Test("a database comes back with its sources at any moment, also while views catch up", arguments: [1, 2])
    func comingBack(shards: Int) throws {
        let database = try harness(shards: shards)
        var saved: [(state: [UInt8], records: Int)] = []
        func go(_ count: Int) throws {
            for _ in 0..<count {
                database.tick()
                saved.append((try database.saved(), database.records.count))
            }
        }
        saved.append((try database.saved(), 0))
        database.run(Self.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n FROM s GROUP BY key")
        try go(12)
        database.run("CREATE MATERIALIZED VIEW w AS \(Self.windows)")
        try go(3)
        database.run("CREATE MATERIALIZED VIEW lates AS SELECT late_for, id FROM late")
        try go(50)
        let questions = [
            "SELECT * FROM a", "SELECT * FROM w", "SELECT * FROM lates", "SELECT * FROM late", "SELECT * FROM s_dlq",
        ]
        let expected = questions.map { database.sorted($0) }
        // From every tick in which views catch up, and from some of the others.
        for (at, (state, skipped)) in saved.enumerated() where (11...20).contains(at) || at % 8 == 0 {
            let again = try DatabaseHarness.broughtBack(
                state, database.records.dropFirst(skipped), shards: shards, scripts: ["s": Self.rows])
            #expect(questions.map { again.sorted($0) } == expected)
            // And after a part of the records it goes on by itself.
            let shorter = try DatabaseHarness.broughtBack(
                state, database.records.dropFirst(skipped).prefix(7), shards: shards, scripts: ["s": Self.rows])
            guard shorter.run("SELECT count(*) FROM lates") != "42P01 relation \"lates\" does not exist" else { continue }
            for _ in 0..<80 { shorter.tick() }
            #expect(questions.map { shorter.sorted($0) }.prefix(3) == expected.prefix(3))
        }
    }

    @Test("a view's changes go into a keyed table: of a key's rows the new one stays, on any number of shards", arguments: [1, 2, 3])
    func sinkIntoKeyedTable(shards: Int) throws {
        let database = try DatabaseHarness(shards: shards)
        database.run("CREATE TABLE t (k INT, v INT); CREATE MATERIALIZED VIEW m AS SELECT k, count(*) AS n, sum(v) AS v FROM t GROUP BY k")
        database.run("CREATE TABLE copy (k INT PRIMARY KEY, n BIGINT, v BIGINT); CREATE SINK into_copy INTO copy FROM m")
        for round in 0..<20 {
            database.run("INSERT INTO t SELECT g % 7, g FROM generate_series(1, \(10 + round)) AS s (g)")
            if round % 3 == 2 { database.run("DELETE FROM t WHERE k = \(round % 7)") }
            database.run("FLUSH")
            #expect(database.sorted("SELECT * FROM copy") == database.sorted("SELECT * FROM m"))
        }
    }
}
