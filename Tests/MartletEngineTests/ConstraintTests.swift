import MartletCore
import MartletEngine
import Testing

/// UNIQUE and columns that number rows, where ticks, transactions and restarts come between (Tests/SQL/constraints.slt has the
/// rest).
@Suite("Constraints")
struct ConstraintTests {
    @Test("UNIQUE is judged against rows of ticks that nobody sees yet")
    func pending() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT UNIQUE)")
        let other = try database.session()
        var seen: [String] = []
        database.beforeSettling = { seen.append(database.run("INSERT INTO t VALUES (2, 'a')", in: other)) }
        #expect(database.run("INSERT INTO t VALUES (1, 'a')") == "INSERT 0 1")
        #expect(seen == ["INSERT 0 1\n23505 duplicate key value violates unique constraint \"t_name_key\""])
        #expect(database.run("SELECT * FROM t") == "1 a")
    }

    @Test("of two transactions with the same value the second fails at its end")
    func transactions() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT UNIQUE); INSERT INTO t VALUES (1, 'a')")
        let other = try database.session()
        database.run("BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (5, 'a'), (7, 'c')")
        #expect(database.run("UPDATE t SET name = 'b' WHERE id = 7") == "UPDATE 1")
        #expect(database.run("BEGIN; INSERT INTO t VALUES (6, 'b'); COMMIT", in: other) == "BEGIN\nINSERT 0 1\nCOMMIT")
        #expect(database.run("COMMIT") == "23505 duplicate key value violates unique constraint \"t_name_key\"")
        #expect(database.sorted("SELECT * FROM t") == "1 a\n6 b")
    }

    @Test("rows of a unique table are found again whatever has moved them", arguments: [1, 2])
    func manyRows(seed: UInt64) throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, b TEXT, UNIQUE (a, b))")
        #expect(database.run("INSERT INTO t SELECT i, i, 'a text that is not stored inline' || i FROM generate_series(1, 9000) AS g (i)") == "INSERT 0 9000")
        // Pages that are nearly empty give their rows to others.
        #expect(database.run("DELETE FROM t WHERE id % 10 <> \(seed)") == "DELETE 8100")
        #expect(database.run("UPDATE t SET a = -a") == "UPDATE 900")
        for a in [seed, 10 + seed, 8990 + seed] {
            #expect(database.run("INSERT INTO t VALUES (0, -\(a), NULL)") == "23505 duplicate key value violates unique constraint \"t_a_key\"")
        }
        let again = try DatabaseHarness.broughtBack(try database.saved(), [])
        #expect(again.run("INSERT INTO t VALUES (0, -\(seed), NULL)") == "23505 duplicate key value violates unique constraint \"t_a_key\"")
        #expect(again.run("INSERT INTO t VALUES (0, \(seed), NULL)") == "INSERT 0 1")
        #expect(again.run("SELECT count(*), count(DISTINCT a) FROM t") == "901 901")
    }

    @Test("a number of a durable row does not come again after a restart")
    func numbersComeBack() throws {
        let database = try DatabaseHarness()
        let beginning = try database.saved()
        database.run("CREATE TABLE t (id SERIAL PRIMARY KEY, v INT); INSERT INTO t (v) VALUES (1), (2), (3); DELETE FROM t WHERE id = 3")
        let again = try DatabaseHarness.broughtBack(beginning, database.records)
        #expect(again.run("INSERT INTO t (v) VALUES (4) RETURNING id") == "4")
    }

    @Test("what setval or RESTART IDENTITY has set is there after a restart, though no row came behind it")
    func numbersThatWereSet() throws {
        let database = try DatabaseHarness()
        let beginning = try database.saved()
        database.run("CREATE TABLE t (id SERIAL PRIMARY KEY, v INT); INSERT INTO t (v) VALUES (1), (2)")
        func next(_ database: DatabaseHarness) throws -> String {
            let again = try DatabaseHarness.broughtBack(beginning, database.records)
            return again.run("INSERT INTO t (v) VALUES (4) RETURNING id")
        }
        #expect(database.run("SELECT setval('t_id_seq', 100)") == "100")
        #expect(try next(database) == "101")
        #expect(database.run("SELECT setval('t_id_seq', 50, false)") == "50")
        #expect(try next(database) == "50")
        database.run("DELETE FROM t; TRUNCATE t RESTART IDENTITY")
        #expect(try next(database) == "1")
    }

    @Test("a number that nextval has told does not come again after a restart, though no row has it, whatever was saved meanwhile")
    func numbersThatWereDrawn() throws {
        let database = try DatabaseHarness()
        let beginning = try database.saved()
        database.run("CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT BY -1 MINVALUE -3")
        #expect(database.run("SELECT nextval('up')") == "1")
        #expect(database.run("SELECT nextval('down')") == "-1")
        #expect(try DatabaseHarness.broughtBack(beginning, database.records).run("SELECT nextval('up')") == "33")
        // Those that are reserved need no record, as long as none is forgotten.
        let records = database.records.count
        for number in 2...32 { #expect(database.run("SELECT nextval('up')") == "\(number)") }
        #expect(database.records.count == records)
        #expect(database.run("SELECT nextval('up')") == "33")
        #expect(try DatabaseHarness.broughtBack(beginning, database.records).run("SELECT nextval('up')") == "65")
        let (state, before) = (try database.saved(), database.records.count)
        #expect(database.run("SELECT nextval('up')") == "34")
        let again = try DatabaseHarness.broughtBack(state, database.records[before...])
        #expect(again.run("SELECT nextval('up')") == "66")
        #expect(again.run("SELECT nextval('down')") == "-2")
    }

    @Test("a sequence that was altered counts on as it then did, and begins where it was to, after a restart")
    func alteredSequences() throws {
        let database = try DatabaseHarness()
        let beginning = try database.saved()
        database.run("CREATE SEQUENCE s; CREATE TABLE t (id SERIAL PRIMARY KEY, v INT); SELECT nextval('s'); INSERT INTO t (v) VALUES (1)")
        func next(_ state: [UInt8], behind count: Int = 0) throws -> String {
            let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(count))
            return again.run("SELECT nextval('s'); INSERT INTO t (v) VALUES (2) RETURNING id")
        }
        #expect(database.run("ALTER SEQUENCE s INCREMENT BY 3 RESTART WITH 50") == "ALTER SEQUENCE")
        #expect(database.run("ALTER SEQUENCE t_id_seq RESTART 20") == "ALTER SEQUENCE")
        #expect(try next(beginning) == "50\n20")
        #expect(try next(try database.saved(), behind: database.records.count) == "50\n20")
        let (state, count) = (try database.saved(), database.records.count)
        #expect(database.run("SELECT nextval('s')") == "50")
        // 32 numbers are recorded ahead.
        #expect(try next(state, behind: count) == "146\n20")
        #expect(database.run("SELECT nextval('s')") == "53")
    }

    @Test("a saved state says how far the numbers of rows are")
    func numbersAreSaved() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT BY -2), v INT)")
        database.run("INSERT INTO t (v) VALUES (1), (2); DELETE FROM t")
        let again = try DatabaseHarness.broughtBack(try database.saved(), [])
        #expect(again.run("INSERT INTO t (v) VALUES (4) RETURNING id") == "3")
    }

    @Test("constraints that came later are there after a restart")
    func laterConstraints() throws {
        let database = try DatabaseHarness()
        let beginning = try database.saved()
        database.run("CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1), (2, 1), (2, 5); DELETE FROM t WHERE b = 5")
        #expect(database.run("ALTER TABLE t ADD UNIQUE (a), ADD CHECK (a > 0)") == "ALTER TABLE")
        for again in [
            try DatabaseHarness.broughtBack(try database.saved(), []), try DatabaseHarness.broughtBack(beginning, database.records),
        ] {
            #expect(again.run("INSERT INTO t VALUES (2, 2)") == "23505 duplicate key value violates unique constraint \"t_a_key\"")
            #expect(again.run("INSERT INTO t VALUES (0, 2)") == "23514 new row for relation \"t\" violates check constraint \"t_a_check\"")
            #expect(again.run("ALTER TABLE t DROP CONSTRAINT t_a_key; INSERT INTO t VALUES (2, 2)") == "ALTER TABLE\nINSERT 0 1")
        }
    }

    @Test("a statement that has told its rows is not carried out again with others")
    func toldRows() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 0)")
        let other = try database.session()
        var seen: [String] = []
        database.beforeSettling = { seen.append(database.run("UPDATE t SET n = n + 1 RETURNING n", in: other)) }
        #expect(database.run("UPDATE t SET n = n + 1 RETURNING n") == "1")
        #expect(seen == ["1\n40001 could not serialize access due to concurrent update"])
        #expect(database.run("SELECT n FROM t") == "1")
    }
}
