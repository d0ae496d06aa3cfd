import MartletColumns
import MartletCore
import MartletEngine
import MartletSQL
import MartletTestKit
import Testing

/// Followers of a relation's changes, tick by tick. What the log keeps for them is seen in Tests/SystemTests/Postgres/events.py.
@Suite("Subscriptions")
struct SubscriptionTests {
    private func subscribe(_ harness: DatabaseHarness, _ text: String) throws -> (session: any SQLSession, cursor: any RowCursor) {
        let session = try harness.session()
        guard case .copyOut(_, let cursor) = try session.execute(try session.prepare(text, parameterTypes: []), parameters: []) else {
            throw SQLError(.internalError, "no cursor")
        }
        return (session, cursor)
    }

    /// Rows that are there, a line each; then nothing, or the error's SQLSTATE.
    private func lines(_ cursor: any RowCursor) -> [String] {
        var lines: [String] = []
        do throws(SQLError) {
            while let batch = try cursor.next(rowsMax: 2), batch.count > 0 {
                for row in 0..<batch.count { lines.append(batch.row(row).map { $0.isNull ? "NULL" : $0.text(in: .utc) }.joined(separator: " ")) }
            }
        } catch {
            lines.append(error.state.code)
        }
        return lines
    }

    private func made() throws -> DatabaseHarness {
        let harness = try DatabaseHarness()
        harness.run("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        harness.run("INSERT INTO t VALUES (1, 10)")
        return harness
    }

    @Test("a tick's changes are net: what comes and goes within it is not told, an update is a row less and a row more")
    func net() throws {
        let harness = try made()
        let (_, cursor) = try subscribe(harness, "SUBSCRIBE TO t")
        #expect(lines(cursor).map { $0.split(separator: " ").dropFirst().joined(separator: " ") } == ["1 1 10"])
        harness.run("BEGIN; INSERT INTO t VALUES (2, 20); DELETE FROM t WHERE id = 2; UPDATE t SET n = 11 WHERE id = 1; COMMIT")
        let told = lines(cursor).map { $0.split(separator: " ").map(String.init) }
        #expect(told.map { $0.dropFirst().joined(separator: " ") }.sorted() == ["-1 1 10", "1 1 11"])
        #expect(Set(told.map { $0[0] }).count == 1)
    }

    @Test("progress is told at the beginning and with every tick, whatever it changes")
    func progress() throws {
        let harness = try made()
        harness.run("CREATE TABLE other (id INT)")
        let (_, cursor) = try subscribe(harness, "SUBSCRIBE TO t WITH (snapshot = false, progress)")
        let start = try #require(lines(cursor).first)
        #expect(start.hasSuffix(" NULL NULL NULL"))
        harness.run("INSERT INTO other VALUES (1)")
        let next = try #require(lines(cursor).first)
        #expect(next.hasSuffix(" NULL NULL NULL") && next != start)
    }

    @Test("other columns end a subscription behind the last change before, and nobody goes on across them")
    func otherColumns() throws {
        let harness = try made()
        let (_, cursor) = try subscribe(harness, "SUBSCRIBE TO t WITH (snapshot = false)")
        harness.run("INSERT INTO t VALUES (2, 20)")
        harness.run("ALTER TABLE t ADD COLUMN word TEXT")
        harness.run("INSERT INTO t VALUES (3, 30, 'x')")
        let told = lines(cursor)
        #expect(told.count == 2 && told[0].hasSuffix(" 1 2 20") && told[1] == "0A000", "\(told)")
        let tick = told[0].prefix { $0 != " " }
        #expect(throws: SQLError.self) { try subscribe(harness, "SUBSCRIBE TO t WITH (since = \(tick))") }
        let (_, anew) = try subscribe(harness, "SUBSCRIBE TO t")
        #expect(lines(anew).count == 3)
        harness.run("INSERT INTO t VALUES (4, 40, NULL)")
        #expect(lines(anew).first?.hasSuffix(" 1 4 40 NULL") == true)
        harness.run("ALTER TABLE t RENAME TO u")
        harness.run("INSERT INTO u VALUES (5, 50, NULL)")
        #expect(lines(anew).first?.hasSuffix(" 1 5 50 NULL") == true, "another name is no other relation")
        harness.run("DROP TABLE u")
        #expect(lines(anew) == ["42P01"])
    }

    @Test("whoever comes back soon misses nothing; later, nothing is kept any more")
    func comingBack() throws {
        let harness = try made()
        let (session, cursor) = try subscribe(harness, "SUBSCRIBE TO t")
        let tick = try #require(lines(cursor).last).prefix { $0 != " " }
        cursor.close()
        session.close()
        harness.run("INSERT INTO t VALUES (2, 20)")
        harness.clock.advance(nanos: 60_000_000_000)
        harness.run("INSERT INTO t VALUES (3, 30)")
        let (again, back) = try subscribe(harness, "SUBSCRIBE TO t WITH (since = \(tick))")
        #expect(lines(back).map { String($0.suffix(4)) } == ["2 20", "3 30"])
        back.close()
        again.close()
        harness.clock.advance(nanos: 200_000_000_000)
        harness.run("INSERT INTO t VALUES (4, 40)")
        #expect(throws: SQLError.self) { try subscribe(harness, "SUBSCRIBE TO t WITH (since = \(tick))") }
    }

    @Test("a subscription's cursor goes on behind a tick, from the beginning, or from now")
    func cursors() throws {
        let harness = try made()
        harness.run("CREATE SUBSCRIPTION s FROM t WITH (retention = '1 hour')")
        #expect(harness.run("DROP TABLE t").hasPrefix("2BP01"))
        harness.run("INSERT INTO t VALUES (2, 20)")
        harness.run("INSERT INTO t VALUES (3, 30)")
        harness.run("DECLARE oldest SUBSCRIPTION CURSOR FOR s SINCE begin()")
        let every = harness.run("FETCH 10 FROM oldest").split(separator: "\n").map(String.init)
        #expect(every.count == 2 && every[0].hasPrefix("2 20 Insert ") && every[1].hasPrefix("3 30 Insert "), "\(every)")
        let tick = try #require(every.first?.split(separator: " ").last)
        harness.run("DECLARE behind SUBSCRIPTION CURSOR FOR s SINCE TICK \(tick)")
        #expect(harness.run("FETCH 10 FROM behind") == every.last)
        harness.run("DECLARE now SUBSCRIPTION CURSOR FOR s SINCE now()")
        #expect(harness.run("FETCH NEXT FROM now") == "")
        harness.run("UPDATE t SET n = 31 WHERE id = 3")
        #expect(harness.run("FETCH 10 FROM now").split(separator: "\n").map { $0.prefix(11) } == ["3 30 Delete", "3 31 Insert"])
        #expect(harness.run("SHOW SUBSCRIPTIONS") == "s")
        #expect(harness.run("SHOW SUBSCRIPTION CURSORS") == "behind\nnow\noldest")
        #expect(harness.run("DROP TABLE t CASCADE") == "DROP TABLE")
        #expect(harness.run("SHOW SUBSCRIPTIONS") == "")
    }
}
