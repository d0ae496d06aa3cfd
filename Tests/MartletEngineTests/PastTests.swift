import MartletCore
import MartletEngine
import MartletTestKit
import Testing

/// FOR SYSTEM_TIME AS OF a time, of a database that keeps changes in memory; with a log, kills and restarts it is seen in
/// Tests/SystemTests/Postgres/past.py.
@Suite("Reads of the past")
struct PastTests {
    private func time(_ micros: Int64) -> String { "TIMESTAMPTZ '\(Value.timestamptz(micros).text(in: .utc))'" }

    private func made(_ options: String = "WITH (retention_seconds = 3600)") throws -> DatabaseHarness {
        let harness = try DatabaseHarness()
        harness.run("CREATE TABLE t (id INT PRIMARY KEY, n INT) \(options)")
        harness.clock.advance(nanos: 1_000_000)
        return harness
    }

    /// What one statement does to rows by their keys.
    private func change(_ rows: inout [Int: Int], _ random: inout SplitMix64) -> String {
        let (id, n) = (Int.random(in: 0..<40, using: &random), Int.random(in: 0..<5, using: &random))
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<8:
            rows[id] = n
            return "INSERT INTO t VALUES (\(id), \(n)) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n"
        case 8..<11:
            for key in rows.keys where key % 3 == id % 3 { rows[key] = n }
            return "UPDATE t SET n = \(n) WHERE id % 3 = \(id % 3)"
        case 11..<14:
            rows = rows.filter { $0.value != n || $0.key >= id }
            return "DELETE FROM t WHERE n = \(n) AND id < \(id)"
        case 14..<17:
            // Keys move on, a row into the place of the one before it.
            rows = Dictionary(uniqueKeysWithValues: rows.map { ($0.key + 1, $0.value) })
            return "UPDATE t SET id = id + 1"
        case 17..<19:
            let others = rows
            for key in others.keys { rows[key + 100] = others[key] }
            rows = rows.filter { $0.key < 100 || $0.key % 2 == 0 }
            let more = rows.filter { $0.key >= 100 }.map { "(\($0.key), \($0.value))" }.joined(separator: ", ")
            let delete = "DELETE FROM t WHERE id >= 100"
            return more.isEmpty ? delete : "BEGIN; \(delete); INSERT INTO t VALUES \(more); COMMIT"
        default:
            rows = [:]
            return "TRUNCATE t"
        }
    }

    private func lines(_ rows: [Int: Int]) -> String { rows.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n") }

    @Test("a table, and a view whose changes are kept, are at every time what they were then", arguments: [1, 2, 3] as [UInt64])
    func everyVersion(seed: UInt64) throws {
        let harness = try made()
        let view = "AS SELECT n, count(*) AS c FROM t GROUP BY n"
        harness.run("CREATE MATERIALIZED VIEW v WITH (retention_seconds = 3600) \(view); CREATE MATERIALIZED VIEW w \(view)")
        harness.run("CREATE SUBSCRIPTION s FROM w WITH (retention = '1 hour')")
        harness.clock.advance(nanos: 1_000_000)
        var random = SplitMix64(seed: seed)
        var rows: [Int: Int] = [:]
        var versions: [(from: Int64, rows: [Int: Int])] = [(harness.clock.wallMicros(), rows)]
        for _ in 0..<80 {
            let text = change(&rows, &random)
            let answer = harness.run(text)
            #expect(!answer.contains(" duplicate"), "\(text): \(answer)")
            versions.append((harness.clock.wallMicros(), rows))
            #expect(harness.run("SELECT id, n FROM t ORDER BY id") == lines(rows))
            harness.clock.advance(nanos: Int64.random(in: 2_000...900_000_000, using: &random))
        }
        for (at, version) in versions.enumerated() {
            let end = at + 1 < versions.count ? versions[at + 1].from - 1 : harness.clock.wallMicros()
            for instant in [version.from, end] {
                #expect(
                    harness.run("SELECT id, n FROM t FOR SYSTEM_TIME AS OF \(time(instant)) ORDER BY id") == lines(version.rows),
                    "version \(at) at \(instant)")
                let counts = Dictionary(grouping: version.rows.values) { $0 }.mapValues(\.count)
                for view in ["v", "w"] {
                    #expect(harness.run("SELECT n, c FROM \(view) FOR SYSTEM_TIME AS OF \(time(instant)) ORDER BY n") == lines(counts), "\(view) \(at)")
                }
            }
        }
        // Several versions in one query, and a key of one of them, which no index knows.
        let (old, new) = (versions[20], versions[60])
        let both = Set(old.rows.keys).intersection(new.rows.keys)
        let past = "t FOR SYSTEM_TIME AS OF \(time(old.from)) a JOIN t FOR SYSTEM_TIME AS OF \(time(new.from)) b ON a.id = b.id"
        #expect(harness.run("SELECT count(*) FROM \(past)") == "\(both.count)")
        for key in 0..<3 {
            let found = harness.run("SELECT n FROM t FOR SYSTEM_TIME AS OF \(time(old.from)) WHERE id = \(key)")
            #expect(found == (old.rows[key].map { "\($0)" } ?? ""))
        }
    }

    @Test("what is not kept is refused, with the time from which on it is there")
    func refused() throws {
        let harness = try made("")
        harness.run("INSERT INTO t VALUES (1, 10)")
        let early = harness.clock.wallMicros()
        harness.clock.advance(nanos: 1_000_000_000)
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF now()") == "1 10", "now is nothing of the past")
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(early))").hasPrefix("55000"))
        #expect(harness.run("ALTER TABLE t SET (retention_seconds = 100)") == "ALTER TABLE")
        let kept = harness.clock.wallMicros()
        harness.clock.advance(nanos: 1_000_000_000)
        harness.run("UPDATE t SET n = 11")
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(kept))") == "1 10")
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(early))").hasPrefix("22023"))
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF now() + INTERVAL '1 second'").hasPrefix("22023"))
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF NULL").hasPrefix("22004"))
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF now() - INTERVAL '0.5 second'") == "1 10")
        harness.clock.advance(nanos: 200_000_000_000)
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(kept))").hasPrefix("22023"))
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF now() - INTERVAL '99 seconds'") == "1 11")
        let before = harness.clock.wallMicros()
        harness.clock.advance(nanos: 1_000_000_000)
        #expect(harness.run("ALTER TABLE t ADD COLUMN word TEXT DEFAULT 'x'") == "ALTER TABLE")
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(before))").hasPrefix("22023"))
        #expect(harness.run("SELECT * FROM t FOR SYSTEM_TIME AS OF \(time(harness.clock.wallMicros()))") == "1 11 x")
        harness.run("ALTER TABLE t RENAME TO u")
        #expect(harness.run("SELECT n FROM u FOR SYSTEM_TIME AS OF \(time(harness.clock.wallMicros()))") == "11", "another name is no other table")
        harness.run("CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM u; ALTER MATERIALIZED VIEW v SET (retention_seconds = 60)")
        let made = harness.clock.wallMicros()
        harness.clock.advance(nanos: 1_000_000)
        harness.run("UPDATE u SET n = 12")
        #expect(harness.run("SELECT * FROM v FOR SYSTEM_TIME AS OF \(time(made))") == "11" && harness.run("SELECT * FROM v") == "12")
        harness.run("ALTER TABLE u RESET (retention_seconds)")
        #expect(harness.run("SELECT * FROM u FOR SYSTEM_TIME AS OF \(time(harness.clock.wallMicros()))").hasPrefix("55000"))
    }

    @Test("a transaction's own changes, and the tick that it sees, have nothing to do with the past")
    func transactions() throws {
        let harness = try made()
        harness.run("INSERT INTO t VALUES (1, 10)")
        let session = try harness.session()
        harness.run("BEGIN; UPDATE t SET n = 99", in: session)
        let (before, text) = (harness.clock.wallMicros(), "SELECT n FROM t FOR SYSTEM_TIME AS OF ")
        harness.clock.advance(nanos: 1_000_000)
        harness.run("INSERT INTO t VALUES (2, 20)")
        let after = harness.clock.wallMicros()
        #expect(harness.run("SELECT n FROM t", in: session) == "99")
        #expect(harness.run(text + time(before), in: session) == "10")
        #expect(harness.run(text + time(after) + " ORDER BY n", in: session) == "10\n20")
        harness.run("ROLLBACK", in: session)
    }
}
