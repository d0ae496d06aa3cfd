internal import Foundation
import MartletCore
import MartletEngine
import MartletTestKit
import Testing

@Suite("A database says what it does")
struct InspectionTests {
    /// A session that another thread cancels, again and again, until it is told to end.
    private final class Canceller: @unchecked Sendable {
        // Sendable: `cancel` may be called from any thread; the rest is guarded.
        private let session: any SQLSession
        private let condition = NSCondition()
        private var isOver = false
        private var hasEnded = false

        init(_ session: any SQLSession) {
            self.session = session
            Thread.detachNewThread { self.run() }
        }

        private func run() {
            condition.lock()
            while !isOver {
                _ = condition.wait(until: Date().addingTimeInterval(0.1))
                if !isOver { session.cancel() }
            }
            hasEnded = true
            condition.broadcast()
            condition.unlock()
        }

        /// Returns when no cancel comes any more.
        func end() {
            condition.lock()
            isOver = true
            condition.broadcast()
            while !hasEnded { condition.wait() }
            condition.unlock()
        }
    }

    private static let heavy = [
        "SELECT count(*) FROM t x, t y, t z, t u",
        "SELECT count(*) FROM t x JOIN t y ON x.b = y.b JOIN t z ON z.b = y.b JOIN t u ON u.b = z.b WHERE x.a + u.a = -1",
        "SELECT x.a, y.a, count(*) FROM t x, t y, t z GROUP BY x.a, y.a",
        "SELECT count(*) FROM generate_series(1, 2000000000)",
        "SELECT count(*) FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '3026-01-01', INTERVAL '1 second')",
        "SELECT i FROM generate_series(1, 2000000000) i ORDER BY i % 7, i",
        "SELECT i, sum(i) OVER (ORDER BY i % 100 ROWS BETWEEN 1000 PRECEDING AND 1000 FOLLOWING) FROM generate_series(1, 20000) i",
        "INSERT INTO t SELECT x.a, y.a FROM t x, t y, t z WHERE x.a + y.a + z.a < 0",
    ]

    @Test("a cancelled statement ends at once, whatever it is at", arguments: heavy)
    func cancel(statement: String) throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (a INT, b INT); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 500) i")
        let session = try database.session()
        let canceller = Canceller(session)
        let start = Date()
        #expect(database.run(statement, in: session) == "57014 canceling statement due to user request")
        canceller.end()
        // Milliseconds of work, and what a busy machine adds.
        #expect(Date().timeIntervalSince(start) < 5)
        #expect(database.run("SELECT 1", in: session) == "1")
    }

    @Test("a join that gives no rows looks for a cancel too", .timeLimit(.minutes(1)))
    func cancelJoin() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (a INT, b INT); INSERT INTO t SELECT i, 1 FROM generate_series(1, 15000) i")
        let session = try database.session()
        let canceller = Canceller(session)
        let answer = database.run("SELECT count(*) FROM t x JOIN t y ON x.b = y.b AND x.a * y.a = -1", in: session)
        canceller.end()
        #expect(answer == "57014 canceling statement due to user request")
    }

    @Test("who reads many pages leaves the processor to others; who reads few does not")
    func standingBack() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t SELECT i FROM generate_series(1, 30000) i")
        let before = database.yieldCount
        #expect(database.run("SELECT a FROM t LIMIT 10000").split(separator: "\n").count == 10_000)
        #expect(database.run("SELECT a FROM t WHERE a = 29999") == "29999")
        #expect(database.yieldCount == before)
        #expect(database.run("SELECT a FROM t WHERE a % 29999 = 0") == "29999")
        #expect(database.yieldCount > before)
    }

    @Test(
        "a statement that takes too much memory ends with 53200",
        arguments: [
            "SELECT i FROM generate_series(1, 2000000000) i",
            "SELECT i, count(*) FROM generate_series(1, 2000000000) i GROUP BY i",
            "SELECT x.a, y.a FROM t x, t y, t z",
            "SELECT count(*) FROM (SELECT DISTINCT x.a, y.a, z.a FROM t x, t y, t z) AS d",
        ])
    func memory(statement: String) throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (a INT, b INT); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 300) i")
        #expect(database.run("SET statement_memory_limit = '4MB'") == "SET")
        #expect(database.run(statement) == "53200 the statement needs more than 4096 kB of memory")
        #expect(database.run("SET statement_memory_limit = 'much'").hasPrefix("22023"))
    }

    @Test("a series is as long as somebody reads it, beside others and with numbers")
    func series() throws {
        let database = try DatabaseHarness()
        #expect(database.run("SELECT count(*), sum(i) FROM generate_series(1, 100000) i") == "100000 5000050000")
        #expect(database.run("SELECT i, o FROM generate_series(3, -3, -3) WITH ORDINALITY AS s(i, o)") == "3 1\n0 2\n-3 3")
        #expect(database.run("SELECT a, b FROM unnest(ARRAY[1, 2, 3], ARRAY['x']) AS u(a, b)") == "1 x\n2 NULL\n3 NULL")
        #expect(database.run("SELECT count(*) FROM generate_series(1, NULL)") == "0")
        #expect(database.run("SELECT * FROM generate_series(1, 3, 0)").hasPrefix("22023 step size cannot equal zero"))
        #expect(database.run("SELECT * FROM (VALUES (1)) v LEFT JOIN LATERAL generate_series(2, 1) g ON true") == "1 NULL")
    }

    @Test("operators count their rows, time and state; shares of time sum to one")
    func operators() throws {
        let database = try DatabaseHarness(shards: 2)
        database.run("CREATE TABLE t (k INT, v INT)")
        database.run("CREATE MATERIALIZED VIEW big AS SELECT k, count(*) AS n FROM t WHERE v > 10 GROUP BY k")
        database.run("INSERT INTO t SELECT i % 5, i FROM generate_series(1, 100) i")
        database.clock.advance(nanos: 1_000_000_000)
        #expect(database.run("SELECT rows_in, rows_out FROM martlet_operators WHERE view = 'big' AND name = 'filter'") == "100 90")
        #expect(database.run("SELECT sum(state_rows) FROM martlet_operators WHERE view = 'big'") == "5")
        #expect(database.run("SELECT bool_and(state_bytes > 0) FROM martlet_operators WHERE view = 'big' AND state_rows > 0") == "t")
        #expect(database.run("SELECT bool_and(abs(busy + idle + backpressured - 1) < 0.000001), count(*) > 3 FROM martlet_operators") == "t t")
        #expect(database.run("SELECT detail FROM martlet_operators WHERE view = 'big' AND name = 'filter'") == "Filter v > 10")
    }

    @Test("system views say what they are, for describe commands")
    func described() throws {
        let database = try DatabaseHarness()
        for name in [
            "sources", "views", "sinks", "operators", "watermarks", "lag", "commits", "errors", "dead_letters", "late", "subscriptions", "connections",
            "why", "pipelines",
        ] {
            #expect(
                database.run("SELECT obj_description('martlet_\(name)'::regclass) <> ''") == "t", "martlet_\(name)")
            let undescribed = database.run(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'martlet_\(name)'::regclass AND attnum > 0 AND col_description(attrelid, attnum) IS NULL")
            #expect(undescribed == "", "martlet_\(name): \(undescribed)")
            #expect(!database.run("SELECT * FROM martlet_\(name)").contains("XX000"))
        }
    }

    @Test("sources, watermarks, late rows and dead letters are told as they are")
    func sources() throws {
        let database = try DatabaseHarness()
        database.connectors.scripts["s"] = [
            [ScriptedRow(id: 1, time: 10_000_000, key: 1, value: 1), ScriptedRow(id: 2, time: 20_000_000, key: 2, value: 2)],
            [ScriptedRow(id: 3, time: 15_000_000, key: 1, value: 0)],
        ]
        database.run(
            """
            CREATE SOURCE s (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '1 second') WITH (connector = 'file', path = 's') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW v AS SELECT key, 10 / value AS q FROM s;
            """)
        for _ in 0..<4 { database.tick() }
        #expect(database.run("SELECT name, partitions, rows, dead_letters FROM martlet_sources") == "s 2 3 0")
        #expect(database.run("SELECT name, rows, rows_in, counted, dead_letters, state FROM martlet_views WHERE name = 'v'") == "v 2 3 2 1 running")
        #expect(database.run("SELECT object, kind, code, count FROM martlet_errors") == "v dead letter 22012 1")
        #expect(database.run("SELECT source, partition, reason_code FROM martlet_dead_letters") == "s 1 22012")
        #expect(database.run("SELECT count(*) FROM martlet_watermarks WHERE kind = 'partition' AND state = 'finished'") == "2")
        #expect(database.run("SELECT state, statements > 1 FROM martlet_connections") == "active t")
        #expect(database.run("SELECT count(*) > 0, max(tick) > 0 FROM martlet_commits") == "t t")
    }

    @Test("EXPLAIN ANALYZE tells what each operator took, of a query and of what runs")
    func analyze() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (k INT, v INT); INSERT INTO t SELECT i % 5, i FROM generate_series(1, 100) i")
        database.run("CREATE MATERIALIZED VIEW sums AS SELECT k, sum(v) AS s FROM t GROUP BY k")
        let query = database.run("EXPLAIN ANALYZE SELECT k, count(*) FROM t WHERE v > 10 GROUP BY k")
        #expect(query.hasPrefix("Operators, the busiest first:"))
        let heading = query.split(separator: "\n")[1].split(separator: " ", omittingEmptySubsequences: true)
        #expect(heading == ["share", "time", "rows", "in", "rows", "out", "state", "operator"])
        let filter = query.split(separator: "\n").first { $0.hasSuffix("  Filter v > 10") }.map { $0.split(separator: " ", omittingEmptySubsequences: true) } ?? []
        #expect(filter.count == 10 && filter[4] == "100" && filter[5] == "90", "\(query)")
        #expect(query.contains("Filter v > 10") && query.contains("Rows: 5") && query.contains("Execution Time:"))
        let view = database.run("EXPLAIN ANALYZE MATERIALIZED VIEW sums")
        #expect(view.contains(" 5 rows, ") && view.contains("Aggregate sum(v)") && view.contains("busy"))
        #expect(database.run("EXPLAIN ANALYZE TABLE t").hasPrefix("42809"))
        #expect(database.run("EXPLAIN ANALYZE MATERIALIZED VIEW nobody").hasPrefix("42P01"))
    }

    @Test("why a view is empty: the nearest cause to its sources")
    func why() throws {
        let database = try DatabaseHarness()
        func code(_ name: String) -> String { database.run("SELECT code FROM martlet_why WHERE name = '\(name)'") }
        database.run("CREATE TABLE t (k INT, v INT); CREATE MATERIALIZED VIEW v AS SELECT k FROM t WHERE v > 10")
        #expect(code("v") == "no_rows")
        database.run("INSERT INTO t VALUES (1, 1), (2, 2)")
        #expect(code("v") == "filtered")
        #expect(database.run("SELECT explanation FROM martlet_why WHERE name = 'v'") == "Filter v > 10 lets none of 2 rows pass.")
        database.run("CREATE MATERIALIZED VIEW j AS SELECT a.k FROM t a JOIN t b ON a.k = b.v + 100")
        #expect(code("j") == "no_match")
        database.run("CREATE MATERIALIZED VIEW behind AS SELECT * FROM v")
        #expect(code("behind") == "filtered")
        database.run("INSERT INTO t VALUES (3, 30)")
        #expect(code("v") == "working")
        #expect(database.run("SELECT explanation FROM martlet_why WHERE name = 'v'").hasPrefix("v shows 1 row"))
    }

    @Test("a paused view stands still, also through a restart, and goes on where it stood")
    func pause() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (k INT); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t; INSERT INTO t VALUES (1)")
        #expect(database.run("ALTER MATERIALIZED VIEW v PAUSE") == "ALTER MATERIALIZED VIEW")
        database.run("INSERT INTO t VALUES (2), (3)")
        #expect(database.run("SELECT n FROM v") == "1")
        #expect(database.run("SELECT code FROM martlet_why WHERE name = 'v'") == "paused")
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'v'") == "paused")
        let again = try DatabaseHarness.broughtBack(try database.saved(), [])
        again.run("INSERT INTO t VALUES (4)")
        #expect(again.run("SELECT n FROM v") == "1")
        #expect(again.run("ALTER MATERIALIZED VIEW v RESUME; FLUSH; SELECT n FROM v").hasSuffix("4"))
        #expect(again.run("DELETE FROM t WHERE k > 1") == "DELETE 3")
        #expect(again.run("SELECT n FROM v") == "1")
        #expect(database.run("ALTER TABLE t PAUSE").hasPrefix("42809"))
        let replayed = try DatabaseHarness.broughtBack(try DatabaseHarness().saved(), database.records)
        #expect(replayed.run("SELECT n FROM v") == "1")
        #expect(replayed.run("ALTER MATERIALIZED VIEW v RESUME; FLUSH; SELECT n FROM v").hasSuffix("3"))
    }

    private func manyRows() throws -> DatabaseHarness {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (k INT, v INT); INSERT INTO t SELECT i % 100, i FROM generate_series(1, 60000) i")
        return database
    }

    @Test("a view of many rows is filled in pieces while the stream goes on, and appears as a whole")
    func backfill() throws {
        let database = try manyRows()
        #expect(database.run("SET background_ddl = true") == "SET")
        #expect(database.run("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, max(v) AS m FROM t GROUP BY k") == "CREATE MATERIALIZED VIEW")
        #expect(database.run("SELECT * FROM v") == "55000 materialized view \"v\" is still being filled with what was there before it")
        database.run("INSERT INTO t VALUES (0, 100000)")
        database.run("CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n FROM v")
        let midway = try database.saved()
        #expect(database.run("SELECT name, rows_total, rows_done < rows_total FROM martlet_ddl_progress") == "v 60001 t")
        #expect(database.run("SELECT code FROM martlet_why WHERE name = 'v'") == "backfilling" || database.run("SELECT n FROM w") == "100")
        for _ in 0..<6 { database.tick() }
        let replayed = try DatabaseHarness.broughtBack(try DatabaseHarness().saved(), database.records)
        let restored = try DatabaseHarness.broughtBack(midway, [])
        for _ in 0..<6 { restored.tick() }
        for each in [database, replayed, restored] {
            #expect(each.run("SELECT count(*), sum(n), max(m) FROM v") == "100 60001 100000")
            #expect(each.run("SELECT n FROM w") == "100")
            #expect(each.run("SELECT count(*) FROM martlet_ddl_progress") == "0")
            each.run("DELETE FROM t WHERE k > 0")
            #expect(each.run("SELECT * FROM v") == "0 601 100000")
        }
    }

    @Test("who defines waits until it is filled; a cancel gives it up, and so does CANCEL JOBS")
    func abandon() throws {
        let database = try manyRows()
        #expect(database.run("CREATE MATERIALIZED VIEW v AS SELECT max(v) AS m FROM t") == "CREATE MATERIALIZED VIEW")
        #expect(database.run("SELECT m FROM v") == "60000")
        let session = try database.session()
        database.beforeSettling = { session.cancel() }
        #expect(
            database.run("CREATE MATERIALIZED VIEW x AS SELECT min(v) AS m FROM t", in: session) == "57014 canceling statement due to user request")
        #expect(database.run("SELECT m FROM x").hasPrefix("42P01"))
        database.run("SET background_ddl = true; CREATE MATERIALIZED VIEW y AS SELECT min(v) AS m FROM t")
        let job = database.run("SELECT ddl_id FROM martlet_ddl_progress")
        #expect(database.run("CANCEL JOBS \(job)") == "CANCEL JOBS")
        #expect(database.run("SELECT m FROM y").hasPrefix("42P01"))
        database.run("CREATE MATERIALIZED VIEW z AS SELECT min(v) AS m FROM t")
        #expect(database.run("SHOW JOBS").contains("CREATE MATERIALIZED VIEW z"))
        #expect(database.run("CREATE MATERIALIZED VIEW x AS SELECT min(v) AS m FROM t; DROP MATERIALIZED VIEW x").hasSuffix("DROP MATERIALIZED VIEW"))
    }

    @Test("CREATE warns of state without bound, with an estimate; EXPLAIN says it too")
    func unbounded() throws {
        let database = try DatabaseHarness()
        database.connectors.scripts["s"] = [[]]
        database.run("CREATE SOURCE s (\(ScriptedConnectors.declaration)) WITH (connector = 'file', path = 's') FORMAT PLAIN ENCODE JSON")
        let session = try database.session()
        database.run("CREATE MATERIALIZED VIEW g AS SELECT key, count(*) AS n FROM s GROUP BY key", in: session)
        let warnings = session.takeNotices()
        #expect(warnings.map(\.error.message) == ["state without bound: the aggregation keeps a group for each key, about 56 bytes each"])
        #expect(warnings.map(\.severity) == ["WARNING"])
        let plan = database.run("EXPLAIN CREATE MATERIALIZED VIEW j AS SELECT a.id FROM s a JOIN s b ON a.key = b.key", in: session)
        #expect(session.takeNotices().isEmpty)
        #expect(plan.contains("State without bound: the join keeps every row of both inputs, about 56 and 48 bytes each"), "\(plan)")
    }

    @Test("SHOW answers as people know it")
    func show() throws {
        let database = try DatabaseHarness(shards: 2)
        database.run("CREATE TABLE t (k INT PRIMARY KEY); CREATE INDEX byk ON t (k); CREATE MATERIALIZED VIEW v AS SELECT k FROM t")
        database.run("CREATE SUBSCRIPTION sub FROM v WITH (retention = '1 day')")
        #expect(database.run("SHOW SUBSCRIPTIONS") == "sub")
        #expect(database.run("SHOW JOBS") == "")
        #expect(database.run("SHOW CLUSTER") == "1 localhost RUNNING 2 true true")
        #expect(database.run("SHOW CREATE INDEX byk").contains("CREATE INDEX byk ON t (k)"))
        #expect(database.run("SHOW CREATE SUBSCRIPTION sub").contains("CREATE SUBSCRIPTION sub FROM v"))
        #expect(database.run("SHOW PIPELINES") == "default")
        #expect(database.run("SHOW PROCESSLIST").contains("SHOW PROCESSLIST"))
    }
}
