import MartletCore
import MartletEngine
import Testing

/// Tables that get other columns and conditions while others write them, and while ticks are not durable yet.
@Suite("Tables that change their form")
struct ReshapingTests {
    /// A table with a row, and a second session.
    private func table() throws -> (DatabaseHarness, any SQLSession) {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT); INSERT INTO t VALUES (1, 10, 100)")
        return (database, try database.session())
    }

    @Test("a saved state holds rows of the form that a tick has given them which is not durable yet", arguments: [
        "ALTER TABLE t ADD COLUMN z INT DEFAULT 7", "ALTER TABLE t DROP COLUMN v",
    ])
    func saved(alter: String) throws {
        let (database, other) = try table()
        var state: [UInt8] = []
        var count = 0
        database.beforeSettling = {
            database.beforeSettling = {
                state = (try? database.saved()) ?? []
                count = database.records.count
            }
            database.run("CREATE MATERIALIZED VIEW m AS SELECT id, w FROM t", in: other)
        }
        database.run(alter)
        #expect(database.run("SELECT * FROM m") == "1 100")
        let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(count))
        #expect(again.run("SELECT * FROM t") == database.run("SELECT * FROM t"))
        #expect(again.run("SELECT * FROM m") == "1 100")
    }

    @Test("a statement that was bound to a table's old form is bound again")
    func boundAgain() throws {
        let (database, other) = try table()
        var answers: [String] = []
        func during(_ alter: String, _ statement: String) {
            database.beforeSettling = { answers.append(database.run(statement, in: other)) }
            database.run(alter)
        }
        during("ALTER TABLE t ADD COLUMN z INT DEFAULT 7", "INSERT INTO t VALUES (2, 20, 200)")
        during("ALTER TABLE t DROP COLUMN v", "UPDATE t SET w = w + 1 RETURNING id, w")
        during("ALTER TABLE t ADD CHECK (w < 300)", "INSERT INTO t VALUES (3, 300, 3)")
        during("ALTER TABLE t DROP COLUMN z", "INSERT INTO t VALUES (4, 4, 4)")
        #expect(answers[0] == "INSERT 0 1")
        #expect(answers[1].split(separator: "\n").sorted() == ["1 101", "2 201"])
        #expect(answers[2].contains("23514"))
        #expect(answers[3].contains("42601"))
        #expect(database.sorted("SELECT * FROM t") == "1 101\n2 201")
    }

    @Test("a transaction that has changed a table does not enter when that has another form")
    func transaction() throws {
        let (database, other) = try table()
        database.run("BEGIN; INSERT INTO t VALUES (2, 20, 200)", in: other)
        database.run("ALTER TABLE t DROP COLUMN v")
        #expect(database.run("COMMIT", in: other).hasPrefix("40001"))
        database.run("BEGIN; INSERT INTO t VALUES (2, 200)", in: other)
        database.run("ALTER TABLE t ADD COLUMN z INT")
        #expect(database.run("INSERT INTO t VALUES (3, 300)", in: other).hasPrefix("40001"))
        database.run("ROLLBACK", in: other)
        #expect(database.run("SELECT * FROM t") == "1 100 NULL")
    }

    @Test("a table with a sink into it may get columns, and rows on their way are not lost")
    func fed() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE given (id INT PRIMARY KEY, v INT); CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        database.run("CREATE SINK s INTO t AS SELECT id, v FROM given; INSERT INTO given VALUES (1, 10)")
        let state = try database.saved()
        let count = database.records.count
        let other = try database.session()
        // The row is on its way from one table to the other when that gets another form.
        var later: [UInt8] = []
        var reshaped = 0
        database.beforeSettling = {
            database.beforeSettling = {
                later = (try? database.saved()) ?? []
                reshaped = database.records.count
            }
            database.run("ALTER TABLE t ADD COLUMN z INT DEFAULT 7", in: other)
        }
        database.run("INSERT INTO given VALUES (2, 20)")
        database.run("INSERT INTO given VALUES (3, 30); UPDATE given SET v = 11 WHERE id = 1; FLUSH")
        let all = "1 11 7\n2 20 7\n3 30 7"
        #expect(database.sorted("SELECT * FROM t") == all)
        for (state, from) in [(state, count), (later, reshaped)] {
            let again = try DatabaseHarness.broughtBack(state, database.records.dropFirst(from))
            #expect(again.sorted("SELECT * FROM t") == all)
        }
        // The log may end with the tick that gave it the form.
        let early = try DatabaseHarness.broughtBack(state, database.records[count..<reshaped])
        early.run("FLUSH")
        #expect(early.sorted("SELECT * FROM t") == "1 10 7\n2 20 7")
        #expect(database.run("ALTER TABLE t ADD COLUMN g INT AS (v + 1)").hasPrefix("0A000"))
    }
}
