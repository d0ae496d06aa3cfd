import MartletColumns
import MartletCore
import MartletEngine
import Testing

/// Reads by key are carried out without being bound again; what they answer is what the same text with constants does.
@Suite("Reads by key")
struct KeyedReadTests {
    private func answer(_ session: any SQLSession, _ statement: any PreparedStatement, _ values: [Value]) -> String {
        do throws(SQLError) {
            let lines = try DatabaseHarness.lines(try session.execute(statement, parameters: values))
            try session.endImplicit(failed: false)
            return lines.joined(separator: "\n")
        } catch {
            return error.state.code
        }
    }

    @Test("they are known by their text", arguments: [
        ("SELECT name FROM t WHERE id = $1", true), ("SELECT * FROM t WHERE $1 = id", true), ("SELECT name, id FROM t WHERE id = $1", true),
        ("SELECT v FROM pairs WHERE b = $1 AND a = $2", true), ("SELECT v FROM named WHERE name = $1", true),
        ("SELECT v FROM pairs WHERE b = $1", false), ("SELECT name FROM t WHERE id = $1 AND name = $2", false),
        ("SELECT name, $1::int FROM t WHERE id = $1", false), ("SELECT upper(name) FROM t WHERE id = $1", false),
        ("SELECT name FROM t WHERE id = $1 + 1", false), ("SELECT name FROM t WHERE id = 1", false), ("SELECT name FROM t WHERE id > $1", false),
        ("SELECT name FROM t WHERE id = $1 LIMIT 0", false), ("SELECT name FROM t WHERE id = $1 OR id = $2", false),
        ("SELECT count(*) FROM t WHERE id = $1", false), ("UPDATE t SET name = '' WHERE id = $1", false),
    ])
    func known(text: String, isKeyed: Bool) throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT); CREATE TABLE pairs (a INT, b BIGINT, v INT, PRIMARY KEY (a, b))")
        database.run("CREATE TABLE named (name TEXT PRIMARY KEY, v INT)")
        let session = try database.session()
        let statement = try session.prepare(text, parameterTypes: [])
        #expect(!statement.isQuick)
        _ = answer(session, statement, statement.parameterTypes.map { $0 == .text ? .text("a") : $0 == .bigint ? .bigint(1) : .integer(1) })
        #expect(statement.isQuick == isKeyed)
    }

    @Test("they see what is there: rows that change, that go, that never were")
    func rows() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, NULL)")
        let session = try database.session()
        let statement = try session.prepare("SELECT name, id FROM t WHERE id = $1", parameterTypes: [])
        #expect(answer(session, statement, [.integer(1)]) == "a 1")
        #expect(answer(session, statement, [.integer(2)]) == "NULL 2")
        #expect(answer(session, statement, [.integer(3)]) == "")
        #expect(answer(session, statement, [.null]) == "")
        database.run("UPDATE t SET name = 'b' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c')")
        #expect([1, 2, 3].map { answer(session, statement, [.integer($0)]) } == ["b 1", "", "c 3"])
    }

    @Test("a transaction sees its own changes, and nobody else's")
    func transactions() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a')")
        let session = try database.session()
        let statement = try session.prepare("SELECT name FROM t WHERE id = $1", parameterTypes: [])
        #expect(answer(session, statement, [.integer(1)]) == "a")
        database.run("BEGIN; UPDATE t SET name = 'own' WHERE id = 1", in: session)
        database.run("INSERT INTO t VALUES (2, 'other')")
        #expect(answer(session, statement, [.integer(1)]) == "own")
        #expect(answer(session, statement, [.integer(2)]) == "")
        database.run("ROLLBACK", in: session)
        #expect(answer(session, statement, [.integer(1)]) == "a")
        #expect(answer(session, statement, [.integer(2)]) == "other")
    }

    @Test("they are understood anew when what they name is another relation")
    func definitions() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a')")
        let session = try database.session()
        let statement = try session.prepare("SELECT name FROM t WHERE id = $1", parameterTypes: [])
        #expect(answer(session, statement, [.integer(1)]) == "a")
        #expect(statement.isQuick)
        database.run("DROP TABLE t; CREATE TABLE t (name TEXT, id INT); INSERT INTO t VALUES ('x', 1), ('y', 1)")
        #expect(!statement.isQuick)
        #expect(answer(session, statement, [.integer(1)]) == "x\ny")
        database.run("DROP TABLE t")
        #expect(answer(session, statement, [.integer(1)]) == "42P01")
    }

    @Test("they outlive the session, and say when the catalog is another one")
    func withoutSession() throws {
        let database = try DatabaseHarness()
        database.run("CREATE TABLE w (a TEXT, s TIMESTAMPTZ, d DATE, n INT, PRIMARY KEY (a, s, d)); INSERT INTO w VALUES ('a', 'epoch', '2026-01-02', 7)")
        let session = try database.session()
        let read = try #require(session.keyedRead(try session.prepare("SELECT n, a FROM w WHERE d = $1 AND a = $2 AND s = $3", parameterTypes: [])))
        session.close()
        func answer(_ values: [Value]) -> String {
            switch read.find(values) {
            case .row(let row): "\(row.row(0))"
            case .nothing: "nothing"
            case .stale: "stale"
            }
        }
        #expect(answer([.date(20_455), .text("a"), .timestamptz(0)]) == "\([Value.integer(7), .text("a")])")
        #expect(answer([.date(20_455), .text("a"), .timestamptz(1)]) == "nothing")
        #expect(answer([.date(20_455), .null, .timestamptz(0)]) == "nothing")
        database.run("UPDATE w SET n = 8")
        #expect(answer([.date(20_455), .text("a"), .timestamptz(0)]) == "\([Value.integer(8), .text("a")])")
        #expect(read.isCurrent)
        database.run("CREATE TABLE other (n INT)")
        #expect(!read.isCurrent)
        #expect(answer([.date(20_455), .text("a"), .timestamptz(0)]) == "stale")
        #expect(answer([.date(20_455), .null, .timestamptz(0)]) == "stale")
    }
}
