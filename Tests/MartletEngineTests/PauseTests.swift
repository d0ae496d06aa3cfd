import MartletCore
import MartletEngine
import MartletTestKit
import Testing

/// Views and sinks that are paused while others read their source on.
@Suite("Pausing")
struct PauseTests {
    /// Each by itself: groups, windows that close once, an expression that fails, a sink, and one that joins a table.
    private static let statements = [
        ScriptedConnectors.source,
        "CREATE TABLE names (key BIGINT PRIMARY KEY, name TEXT)", "INSERT INTO names VALUES (0, 'zero'), (1, 'one')",
        "CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n, sum(id) AS ids FROM s GROUP BY key",
        """
        CREATE MATERIALIZED VIEW w AS SELECT window_start, count(*) AS n, sum(value) AS v FROM TUMBLE(s, ts, INTERVAL '10 seconds')
        GROUP BY window_start EMIT ON WINDOW CLOSE
        """,
        "CREATE MATERIALIZED VIEW half AS SELECT id, 1 / (key - 1) AS x FROM s",
        "CREATE SINK k AS SELECT id, key FROM s WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON",
        "CREATE MATERIALIZED VIEW named AS SELECT name, count(*) AS n FROM s JOIN names ON s.key = names.key GROUP BY name",
        "CREATE SINK named_out FROM named WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON",
    ]
    private static let questions = ["a", "w", "half", "named", "late", "s_dlq"].map { "SELECT * FROM \($0)" }
    private static let sinks = ["k", "named_out"]

    private struct Moment {
        var state: [UInt8]
        var records: Int
        /// Of each sink, how many lines it had.
        var lines: [Int]
    }

    private static func lines(_ database: DatabaseHarness, _ sink: String) -> [String] { database.connectors.sinks[sink]?.lines ?? [] }

    /// A run to its end. `pauses`: before which tick which statements are said.
    private func run(_ said: [Int: [String]] = [:], shards: Int) throws -> (database: DatabaseHarness, moments: [Moment]) {
        let database = try DatabaseHarness(shards: shards)
        database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        var moments = [Moment(state: try database.saved(), records: 0, lines: Self.sinks.map { _ in 0 })]
        for statement in Self.statements { database.run(statement) }
        for round in 0..<110 {
            database.connectors.areSilent = (5...6).contains(round)
            for statement in said[round] ?? [] { #expect(database.run(statement).hasPrefix("ALTER"), "\(statement)") }
            if round == 25 { database.run("INSERT INTO names VALUES (2, 'two')") }
            database.tick()
            moments.append(
                Moment(state: try database.saved(), records: database.records.count, lines: Self.sinks.map { Self.lines(database, $0).count }))
        }
        return (database, moments)
    }

    /// At once and apart; once while it catches up; over the source's end.
    private static let said = [
        5: ["ALTER MATERIALIZED VIEW w PAUSE", "ALTER SINK k PAUSE"],
        8: ["ALTER MATERIALIZED VIEW half PAUSE", "ALTER MATERIALIZED VIEW named PAUSE"],
        13: ["ALTER SINK k RESUME"],
        15: ["ALTER MATERIALIZED VIEW w RESUME", "ALTER SINK k PAUSE"],
        16: ["ALTER MATERIALIZED VIEW w PAUSE"],
        18: ["ALTER SINK k RESUME", "ALTER MATERIALIZED VIEW named RESUME"],
        24: ["ALTER MATERIALIZED VIEW w RESUME"],
        60: ["ALTER MATERIALIZED VIEW half RESUME"],
    ]

    @Test("what is paused while others read its source comes to the same in the end: views, late rows, dead letters, sinks", arguments: [1, 2])
    func sameInTheEnd(shards: Int) throws {
        let (calm, _) = try run(shards: shards)
        let (database, moments) = try run(Self.said, shards: shards)
        let expected = Self.questions.map { calm.sorted($0) }
        #expect(Self.questions.map { database.sorted($0) } == expected)
        #expect(Self.lines(database, "k").sorted() == Self.lines(calm, "k").sorted())
        #expect(database.connectors.sinks["named_out"]?.rows == calm.connectors.sinks["named_out"]?.rows)
        #expect(database.connectors.opened["s"] == 1)
        // It comes back from every moment, with the records behind it, and with a few of them.
        for (at, moment) in moments.enumerated() where at < 28 || at % 9 == 0 {
            let again = try DatabaseHarness.broughtBack(
                moment.state, database.records.dropFirst(moment.records), shards: shards, scripts: ["s": ScriptedConnectors.mixedRows])
            #expect(Self.questions.map { again.sorted($0) } == expected, "from tick \(at)")
            for (sink, before) in zip(Self.sinks, moment.lines) {
                let all = Self.lines(database, sink)
                #expect((all.prefix(before) + Self.lines(again, sink)).sorted() == all.sorted(), "\(sink), from tick \(at)")
            }
        }
    }

    @Test("rows are late, or not, as if there had been no pause, wherever it begins")
    func eventTime() throws {
        func answers(pausing round: Int?) throws -> [String] {
            let database = try DatabaseHarness()
            database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
            for statement in Self.statements.prefix(5) { database.run(statement) }
            for tick in 0..<60 {
                if tick == round { database.run("ALTER MATERIALIZED VIEW w PAUSE") }
                if tick == round.map({ $0 + 3 }) { database.run("ALTER MATERIALIZED VIEW w RESUME") }
                database.tick()
            }
            return ["w", "late"].map { database.sorted("SELECT * FROM \($0)") }
        }
        let calm = try answers(pausing: nil)
        #expect(!calm[1].isEmpty)
        for round in 0..<45 { #expect(try answers(pausing: round) == calm, "before tick \(round)") }
    }

    @Test("it goes on by itself after a restart, on another number of shards too, and by another plan")
    func goesOn() throws {
        let (calm, _) = try run(shards: 2)
        let (_, moments) = try run(Self.said, shards: 2)
        let expected = Self.questions.map { calm.sorted($0) }
        for at in [10, 14, 17, 20, 40] {
            var content = SavedContent(moments[at].state)
            for shards in [1, 2] {
                let again = try DatabaseHarness.broughtBack(content.state, [], shards: shards, scripts: ["s": ScriptedConnectors.mixedRows])
                if at < 26 { again.run("INSERT INTO names VALUES (2, 'two')") }
                for _ in 0..<30 { again.tick() }
                for view in ["w", "half", "named"] { again.run("ALTER MATERIALIZED VIEW \(view) RESUME") }
                again.run("ALTER SINK k RESUME")
                for _ in 0..<100 { again.tick() }
                #expect(Self.questions.map { again.sorted($0) } == expected, "from tick \(at), \(shards) shards")
                let before = moments[at].lines[0]
                #expect(before + Self.lines(again, "k").count == Self.lines(calm, "k").count, "from tick \(at), \(shards) shards")
                // What reads a table as well cannot be told what it had taken in of that.
                content.alterPlans(of: [0, 1, 2, 3])
            }
        }
    }

    @Test("it shows what it has, tells how far it is, and can be paused again by CANCEL JOBS")
    func told() throws {
        let database = try DatabaseHarness()
        database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        for statement in Self.statements { database.run(statement) }
        for _ in 0..<4 { database.tick() }
        database.run("ALTER MATERIALIZED VIEW a PAUSE")
        let before = database.sorted("SELECT * FROM a")
        for _ in 0..<20 { database.tick() }
        #expect(database.sorted("SELECT * FROM a") == before)
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'a'") == "paused")
        #expect(database.run("SELECT code FROM martlet_why WHERE name = 'a'") == "paused")
        #expect(database.run("SELECT count(*) FROM martlet_ddl_progress") == "0")
        database.run("ALTER MATERIALIZED VIEW a RESUME")
        database.tick()
        let job = database.run("SELECT ddl_id FROM martlet_ddl_progress WHERE name = 'a' AND rows_done < rows_total AND rows_total BETWEEN 40 AND 60")
        #expect(database.run("SELECT explanation FROM martlet_why WHERE name = 'a'").hasPrefix("a catches up with what came while it was paused: "))
        #expect(database.run("SELECT count(*) > 0 FROM a") == "t")
        #expect(database.run("CANCEL JOBS \(job)") == "CANCEL JOBS")
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'a'") == "paused")
        // A second time there is nothing to be given up.
        #expect(database.run("CANCEL JOBS \(job)") == "CANCEL JOBS")
        database.run("ALTER MATERIALIZED VIEW a RESUME")
        for _ in 0..<60 { database.tick() }
        #expect(database.run("SELECT state FROM martlet_views WHERE name = 'a'") == "running")
        #expect(database.sorted("SELECT * FROM a") == database.sorted("SELECT key, count(*), sum(id) FROM s WHERE ts IS NOT NULL GROUP BY key"))
    }

    @Test("a source that is read once stands still with whoever is paused, or is not paused for one of its readers")
    func readOnce() throws {
        let database = try DatabaseHarness()
        database.connectors.areReadOnce = true
        database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        database.run(ScriptedConnectors.source)
        database.run("CREATE MATERIALIZED VIEW a AS SELECT id FROM s; CREATE MATERIALIZED VIEW b AS SELECT id, key FROM late")
        database.tick()
        #expect(database.run("ALTER MATERIALIZED VIEW a PAUSE").hasPrefix("0A000 source \"s\" cannot be read again"))
        database.run("DROP MATERIALIZED VIEW b")
        #expect(database.run("ALTER MATERIALIZED VIEW a PAUSE") == "ALTER MATERIALIZED VIEW")
        let count = database.run("SELECT count(*) FROM a")
        for _ in 0..<5 { database.tick() }
        #expect(database.run("SELECT count(*) FROM a") == count)
        #expect(database.run("CREATE MATERIALIZED VIEW c AS SELECT key FROM s").hasPrefix("55000 source \"s\" stands still, since \"a\" is paused"))
        database.run("ALTER MATERIALIZED VIEW a RESUME")
        for _ in 0..<50 { database.tick() }
        #expect(database.run("SELECT count(*) FROM a") == "70")
    }
}
