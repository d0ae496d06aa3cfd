import MartletCore
import MartletEngine
import Testing

@Suite("A database answers sessions")
struct DatabaseTests {
    @Test("tables take rows, and give them")
    func tables() throws {
        let database = try DatabaseHarness()
        #expect(database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)") == "CREATE TABLE")
        #expect(database.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)") == "INSERT 0 3")
        #expect(database.run("SELECT * FROM t ORDER BY id") == "1 a\n2 b\n3 NULL")
        #expect(database.run("INSERT INTO t VALUES (2, 'again')") == "23505 duplicate key value violates unique constraint \"t_pkey\"")
        #expect(database.run("UPDATE t SET name = name || '!' WHERE id < 3 RETURNING id, name") == "1 a!\n2 b!")
        #expect(database.run("DELETE FROM t WHERE name IS NULL") == "DELETE 1")
        #expect(database.run("SELECT count(*), min(name) FROM t") == "2 a!")
        #expect(database.run("SELECT name FROM t WHERE id = 2") == "b!")
        #expect(database.run("SELECT 1 + 1") == "2")
    }

    @Test("materialized views follow tables, and views follow views")
    func views() throws {
        let database = try DatabaseHarness(shards: 2)
        database.run("CREATE TABLE t (k INT, v INT); INSERT INTO t VALUES (1, 10), (1, 5), (2, 7)")
        #expect(database.run("CREATE MATERIALIZED VIEW sums AS SELECT k, sum(v) AS s FROM t GROUP BY k") == "CREATE MATERIALIZED VIEW")
        #expect(database.sorted("SELECT * FROM sums") == "1 15\n2 7")
        database.run("CREATE MATERIALIZED VIEW total AS SELECT sum(s) AS t, count(*) AS n FROM sums")
        database.run("CREATE VIEW big AS SELECT k FROM sums WHERE s > 10")
        #expect(database.run("SELECT * FROM total") == "22 2")
        database.run("INSERT INTO t VALUES (3, 100); DELETE FROM t WHERE k = 2")
        #expect(database.run("SELECT * FROM total") == "115 2")
        #expect(database.sorted("SELECT k FROM big") == "1\n3")
        #expect(database.run("SELECT s FROM sums WHERE k = 3") == "100")
        #expect(database.run("DROP TABLE t").hasPrefix("2BP01"))
        #expect(database.run("DROP MATERIALIZED VIEW total; DROP VIEW big; DROP MATERIALIZED VIEW sums; DROP TABLE t").hasSuffix("DROP TABLE"))
        #expect(database.run("SELECT * FROM t").hasPrefix("42P01"))
    }

    @Test("a transaction sees its own rows, others see them at its end")
    func transactions() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)")
        let other = try database.session()
        database.run("BEGIN; INSERT INTO t VALUES (3, 3); UPDATE t SET v = 10 WHERE id = 1; DELETE FROM t WHERE id = 2")
        #expect(database.run("SELECT * FROM t ORDER BY id") == "1 10\n3 3")
        #expect(database.run("SELECT * FROM t ORDER BY id", in: other) == "1 1\n2 2")
        database.run("SAVEPOINT a; DELETE FROM t; ROLLBACK TO a")
        #expect(database.run("COMMIT") == "COMMIT")
        #expect(database.run("SELECT * FROM t ORDER BY id", in: other) == "1 10\n3 3")
        database.run("BEGIN; UPDATE t SET v = v + 1")
        database.run("UPDATE t SET v = 0 WHERE id = 1", in: other)
        #expect(database.run("COMMIT").hasPrefix("40001"))
        #expect(database.run("SELECT v FROM t WHERE id = 1") == "0")
        #expect(database.run("BEGIN; SELECT nonsense").hasPrefix("BEGIN\n42703"))
        #expect(database.run("SELECT 1").hasPrefix("25P02"))
        #expect(database.run("ROLLBACK; SELECT 1") == "ROLLBACK\n1")
    }

    @Test("keys that a transaction took, freed and took again are known to it, back to its savepoints")
    func keysInTransactions() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3); BEGIN")
        for id in 10..<40 { #expect(database.run("INSERT INTO t VALUES (\(id), 0)") == "INSERT 0 1") }
        database.run("SAVEPOINT a; DELETE FROM t WHERE id IN (2, 20); INSERT INTO t VALUES (2, 22), (40, 0)")
        #expect(database.run("UPDATE t SET id = id + 1 WHERE id >= 38") == "UPDATE 3")
        #expect(database.run("INSERT INTO t VALUES (38, 1) ON CONFLICT (id) DO UPDATE SET v = 100; SELECT v FROM t WHERE id IN (2, 38)") == "INSERT 0 1\n22\n1")
        database.run("ROLLBACK TO a; DELETE FROM t WHERE id = 12; SAVEPOINT b")
        #expect(database.run("INSERT INTO t VALUES (20, 1), (40, 1) ON CONFLICT (id) DO UPDATE SET v = 7") == "INSERT 0 2")
        #expect(database.run("INSERT INTO t VALUES (12, 5)") == "INSERT 0 1")
        #expect(database.run("INSERT INTO t VALUES (12, 5)").hasPrefix("23505"))
        #expect(database.run("ROLLBACK TO b; INSERT INTO t VALUES (12, 6), (3, 0)").hasPrefix("ROLLBACK\n23505"))
        database.run("ROLLBACK TO b; INSERT INTO t VALUES (50, 0); INSERT INTO t VALUES (51, 0); ROLLBACK TO b")
        #expect(database.run("DELETE FROM t WHERE id = 13; INSERT INTO t VALUES (50, 0)") == "DELETE 1\nINSERT 0 1")
        #expect(database.run("ROLLBACK TO b; UPDATE t SET id = 3 WHERE id = 1").hasPrefix("ROLLBACK\n23505"))
        #expect(database.run("ROLLBACK TO b; UPDATE t SET id = 4 - id WHERE id IN (1, 3); COMMIT").hasSuffix("COMMIT"))
        #expect(database.run("SELECT count(*), sum(id), sum(v) FROM t") == "32 729 6")
        #expect(database.sorted("SELECT * FROM t WHERE id < 10") == "1 3\n2 2\n3 1")
    }

    @Test("a change of one statement is computed anew where another was faster")
    func redo() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)")
        let other = try database.session()
        let statement = try other.prepare("UPDATE t SET v = v + 100 WHERE id = 1", parameterTypes: [])
        _ = try other.execute(statement, parameters: [])
        database.run("UPDATE t SET v = v + 1 WHERE id = 1")
        try other.endImplicit(failed: false)
        #expect(database.run("SELECT v FROM t") == "102")
    }

    @Test("ON CONFLICT does what it says", arguments: [
        ("ON CONFLICT DO NOTHING", "1 old\n2 new"), ("ON CONFLICT (id) DO UPDATE SET v = excluded.v || t.v", "1 newold\n2 new"),
    ])
    func conflicts(clause: String, expected: String) throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'old')")
        database.run("INSERT INTO t VALUES (1, 'new'), (2, 'new') \(clause)")
        #expect(database.run("SELECT * FROM t ORDER BY id") == expected)
    }

    @Test("tables may say themselves what becomes of a key that is there")
    func tableConflicts() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, w TEXT) ON CONFLICT DO UPDATE IF NOT NULL")
        database.run("INSERT INTO t VALUES (1, 'a', 'b'); INSERT INTO t VALUES (1, NULL, 'c'), (1, 'd', NULL)")
        #expect(database.run("SELECT * FROM t") == "1 d c")
    }

    @Test("what is not durable is not seen, and not answered")
    func durable() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY); CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t")
        let other = try database.session()
        var seen: [String] = []
        var state: [UInt8] = []
        var count = 0
        database.beforeSettling = {
            seen.append(database.run("SELECT count(*) FROM t", in: other))
            seen.append(database.run("SELECT n FROM m", in: other))
            state = (try? database.saved()) ?? []
            count = database.records.count
            // Judged against the row that nobody sees yet.
            seen.append(database.run("INSERT INTO t VALUES (1)", in: other))
        }
        #expect(database.run("INSERT INTO t VALUES (1)") == "INSERT 0 1")
        #expect(seen == ["0", "0", "INSERT 0 1\n23505 duplicate key value violates unique constraint \"t_pkey\""])
        #expect(database.run("SELECT count(*), (SELECT n FROM m) FROM t") == "1 1")
        let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(count))
        #expect(again.run("SELECT count(*), (SELECT n FROM m) FROM t") == "1 1")
    }

    @Test("system catalogs show what is there")
    func catalogs() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        #expect(database.run("SELECT relname FROM pg_class WHERE relname LIKE 't%' AND relnamespace = 2200 ORDER BY 1") == "t\nt_pkey")
        #expect(database.run("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position")
            == "id integer\nv text")
        #expect(database.run("SHOW TABLES") == "t")
        #expect(database.run("SELECT count(*) FROM pg_catalog.pg_inherits") == "0")
    }

    @Test("a database comes back from its saved state and what followed", arguments: [1, 2])
    func comingBack(shards: Int) throws {
        let database = try DatabaseHarness(shards: shards)
        let beginning = try database.saved()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, k TEXT, v NUMERIC); CREATE TABLE log (line TEXT, at TIMESTAMP)")
        database.run("INSERT INTO t VALUES (1, 'a', 1.50), (2, 'b', NULL), (3, 'a long text that is not stored inline', 3)")
        database.run("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, sum(v) AS s FROM t GROUP BY k")
        database.run("CREATE MATERIALIZED VIEW w AS SELECT max(n) AS m, sum(s) AS s FROM v; CREATE VIEW plain AS SELECT k FROM v")
        database.run("CREATE MATERIALIZED VIEW gone AS SELECT * FROM t; DROP MATERIALIZED VIEW gone")
        database.run("INSERT INTO log VALUES ('x', '2026-01-01'), ('x', '2026-01-01')")
        let (middle, count) = (try database.saved(), database.records.count)
        database.run("UPDATE t SET v = v + 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'a', 7); DELETE FROM log")
        let questions = ["SELECT * FROM t", "SELECT * FROM v", "SELECT * FROM w", "SELECT * FROM plain", "SELECT * FROM log", "SHOW TABLES"]
        let expected = questions.map { database.sorted($0) }
        for (state, skipped, shards) in [(beginning, 0, shards), (middle, count, shards), (middle, count, 3), (middle, count, 3 - shards)] {
            let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(skipped), shards: shards)
            #expect(questions.map { again.sorted($0) } == expected)
            #expect(again.run("INSERT INTO t VALUES (4, 'twice', 0)").hasPrefix("23505"))
            again.run("INSERT INTO t VALUES (5, 'a', 100)")
            #expect(again.run("SELECT n, s FROM v WHERE k = 'a'") == "3 109.50")
        }
    }

    @Test("a table with a watermark closes windows, and views over such views do")
    func watermarks() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (ts TIMESTAMP, v INT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') APPEND ONLY")
        database.run(
            """
            CREATE MATERIALIZED VIEW w AS SELECT window_start, count(*) AS n FROM TUMBLE(t, ts, INTERVAL '10 seconds')
            GROUP BY window_start EMIT ON WINDOW CLOSE
            """)
        database.run("INSERT INTO t VALUES ('2026-01-01 00:00:01', 1), ('2026-01-01 00:00:12', 2); FLUSH")
        #expect(database.run("SELECT count(*) FROM w") == "0")
        database.run("INSERT INTO t VALUES ('2026-01-01 00:00:03', 3); INSERT INTO t VALUES ('2026-01-01 00:00:15', 4); FLUSH")
        #expect(database.run("SELECT n FROM w") == "2")
        database.run("INSERT INTO t VALUES ('2026-01-01 00:00:04', 5), ('2026-01-01 00:00:40', 6); FLUSH")
        #expect(database.run("SELECT n FROM w ORDER BY window_start") == "2\n2")
    }

    @Test("tables change their shape under views that go on")
    func altering() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)")
        database.run("CREATE MATERIALIZED VIEW m AS SELECT * FROM t")
        #expect(database.run("ALTER TABLE t ADD COLUMN w TEXT") == "ALTER TABLE")
        database.run("INSERT INTO t VALUES (2, 2, 'two')")
        #expect(database.sorted("SELECT * FROM t") == "1 1 NULL\n2 2 two")
        #expect(database.sorted("SELECT * FROM m") == "1 1\n2 2")
        #expect(database.run("ALTER TABLE t RENAME TO s; ALTER MATERIALIZED VIEW m RENAME TO n; SELECT count(*) FROM n").hasSuffix("2"))
        database.run("ALTER TABLE s RENAME COLUMN v TO x; UPDATE s SET x = 10 WHERE id = 1")
        #expect(database.sorted("SELECT * FROM n") == "1 10\n2 2")
        let again = try DatabaseHarness.broughtBack(try database.saved(), [])
        #expect(again.sorted("SELECT id, x, w FROM s") == "1 10 NULL\n2 2 two")
        again.run("DELETE FROM s WHERE id = 2")
        #expect(again.run("SELECT * FROM n") == "1 10")
    }

    @Test("a sink's rows go into a table, whose views follow")
    func sinkIntoTable() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE a (k INT, v INT); CREATE TABLE b (k INT PRIMARY KEY, s BIGINT)")
        database.run("CREATE MATERIALIZED VIEW m AS SELECT max(s) AS top FROM b")
        #expect(database.run("CREATE SINK into_b INTO b AS SELECT k, sum(v) AS s FROM a GROUP BY k") == "CREATE SINK")
        database.run("INSERT INTO a VALUES (1, 1), (1, 2), (2, 5); FLUSH")
        #expect(database.sorted("SELECT * FROM b") == "1 3\n2 5")
        database.run("INSERT INTO a VALUES (1, 10); FLUSH")
        #expect(database.sorted("SELECT * FROM b") == "1 13\n2 5")
        #expect(database.run("SELECT * FROM m") == "13")
        database.run("DELETE FROM a WHERE k = 1; FLUSH")
        #expect(database.sorted("SELECT * FROM b") == "2 5")
    }
}
