import MartletCore
import MartletEngine
import MartletTestKit
import Testing

/// States that were saved by another plan than the one by which their statements run now: as after an upgrade.
@Suite("State of another plan")
struct RebuildTests {
    private static let windows = """
        SELECT window_start, count(*) AS n, sum(value) AS v FROM TUMBLE(s, ts, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE
        """
    /// What reads a source, with a sink of its changes; windows that close once, with theirs; late rows, as they come: each
    /// defined in one text. Then a view of a view, one that joins a table, and a sink, each by itself.
    private static let texts = [
        ScriptedConnectors.source,
        """
        CREATE MATERIALIZED VIEW a AS SELECT key, count(*) AS n, sum(id) AS ids FROM s WHERE value > 10 GROUP BY key;
        CREATE SINK a_out FROM a WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON
        """,
        "CREATE MATERIALIZED VIEW w AS \(windows); CREATE SINK w_out FROM w WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON",
        """
        CREATE MATERIALIZED VIEW lates AS SELECT late_for, id FROM late;
        CREATE SINK lates_out FROM lates WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON
        """,
    ]
    private static let statements = [
        "CREATE MATERIALIZED VIEW top AS SELECT max(n) AS most, sum(n) AS all_of_them FROM a",
        "CREATE TABLE names (key BIGINT PRIMARY KEY, name TEXT); INSERT INTO names VALUES (0, 'zero'), (1, 'one')",
        "CREATE MATERIALIZED VIEW named AS SELECT name, n FROM a JOIN names ON a.key = names.key",
        "CREATE SINK named_out FROM named WITH (connector = 'blackhole') FORMAT PLAIN ENCODE JSON",
        "CREATE SUBSCRIPTION of_top FROM top WITH (retention = '1 day'); CREATE SUBSCRIPTION of_w FROM w WITH (retention = '1 day')",
    ]
    private static let questions = ["a", "w", "lates", "late", "s_dlq", "top", "named"].map { "SELECT * FROM \($0)" }
    private static let sinks = ["a_out", "w_out", "lates_out", "named_out", "late", "s_dlq"]

    private struct Moment {
        var state: [UInt8]
        var records: Int
        /// Of each sink, how many lines it had.
        var lines: [String: Int]
    }

    /// A run to the end of the source, and what was saved after each of its ticks.
    private func run(shards: Int) throws -> (database: DatabaseHarness, moments: [Moment]) {
        let database = try DatabaseHarness(shards: shards)
        database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        for text in Self.texts { _ = try database.database.define(text, isRepeatable: true) }
        for text in Self.statements { database.run(text) }
        var moments: [Moment] = []
        for round in 0..<60 {
            database.tick()
            if round == 20 { database.run("INSERT INTO names VALUES (2, 'two'); DELETE FROM names WHERE key = 0") }
            let lines = Dictionary(uniqueKeysWithValues: Self.sinks.map { ($0, database.connectors.sinks[$0]?.lines.count ?? 0) })
            moments.append(Moment(state: try database.saved(), records: database.records.count, lines: lines))
        }
        return (database, moments)
    }

    @Test("a database whose views run by other plans comes back from any tick: views as they were, sinks neither lack a row nor have one twice", arguments: [1, 2])
    func comesBack(shards: Int) throws {
        let (database, moments) = try run(shards: shards)
        let expected = Self.questions.map { database.sorted($0) }
        for (at, moment) in moments.enumerated() where at < 24 || at % 6 == 0 {
            var content = SavedContent(moment.state)
            content.alterPlans()
            let again = try DatabaseHarness.broughtBack(
                content.state, database.records.dropFirst(moment.records), shards: shards, scripts: ["s": ScriptedConnectors.mixedRows], rowsPerPoll: 7)
            for _ in 0..<3 { again.tick() }
            #expect(Self.questions.map { again.sorted($0) } == expected, "from tick \(at)")
            for sink in Self.sinks {
                let all = database.connectors.sinks[sink]?.lines ?? []
                let before = all.prefix(moment.lines[sink] ?? 0)
                let after = again.connectors.sinks[sink]?.lines ?? []
                #expect((before + after).sorted() == all.sorted(), "\(sink), from tick \(at)")
            }
        }
    }

    @Test("without records behind it, it goes on by itself")
    func goesOn() throws {
        let (database, moments) = try run(shards: 2)
        let expected = Self.questions.map { database.sorted($0) }
        for at in [3, 11, 21, 30, 44] {
            var content = SavedContent(moments[at].state)
            content.alterPlans()
            let again = try DatabaseHarness.broughtBack(content.state, [], shards: 2, scripts: ["s": ScriptedConnectors.mixedRows])
            // What was inserted later than that is not in its records.
            if at < 20 { again.run("INSERT INTO names VALUES (2, 'two'); DELETE FROM names WHERE key = 0") }
            for _ in 0..<80 { again.tick() }
            #expect(Self.questions.map { again.sorted($0) } == expected, "from tick \(at)")
        }
    }

    @Test("a plan that makes other rows gives them to its view, and to all that read it")
    func otherRows() throws {
        let (_, moments) = try run(shards: 1)
        var content = SavedContent(moments[30].state)
        content.replace("value > 10", with: "value > 30")
        content.alterPlans(of: [0])
        let again = try DatabaseHarness.broughtBack(content.state, [], scripts: ["s": ScriptedConnectors.mixedRows])
        let fresh = "SELECT key, count(*), sum(id) FROM s WHERE value > 30 GROUP BY key"
        for _ in 0..<80 { again.tick() }
        #expect(again.sorted("SELECT * FROM a") == again.sorted(fresh))
        #expect(again.run("SELECT all_of_them FROM top") == again.run("SELECT sum(n) FROM a"))
        #expect(again.sorted("SELECT * FROM named") == again.sorted("SELECT name, n FROM a JOIN names ON a.key = names.key"))
    }

    @Test("who followed a view that comes back with other rows is told to begin anew; who followed another goes on")
    func followers() throws {
        let (_, moments) = try run(shards: 1)
        var content = SavedContent(moments[30].state)
        content.replace("value > 10", with: "value > 30")
        content.alterPlans(of: [0])
        let again = try DatabaseHarness.broughtBack(content.state, [], scripts: ["s": ScriptedConnectors.mixedRows])
        let before = again.database.tick
        func goOn(_ subscription: String, behind tick: UInt64) -> String {
            again.run("DECLARE \(subscription)_\(tick) SUBSCRIPTION CURSOR FOR \(subscription) SINCE TICK \(tick)")
        }
        again.tick()
        // Of the tick before there are two views of that name; from the first tick on there is one.
        #expect(again.database.tick == before + 1)
        #expect(goOn("of_top", behind: before).hasPrefix("0A000 the relation begins anew with tick \(before + 1)"))
        #expect(goOn("of_w", behind: before) == "DECLARE SUBSCRIPTION CURSOR")
        #expect(goOn("of_top", behind: before + 1) == "DECLARE SUBSCRIPTION CURSOR")
        #expect(again.run("DECLARE all_of_it SUBSCRIPTION CURSOR FOR of_top SINCE begin()") == "DECLARE SUBSCRIPTION CURSOR")
    }

    @Test("where history is gone it is refused, with the view's name and what to do")
    func withoutHistory() throws {
        let (_, moments) = try run(shards: 1)
        var content = SavedContent(moments[30].state)
        content.alterPlans(of: [1])
        let database = try DatabaseHarness()
        database.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        database.connectors.forgets = true
        let error = #expect(throws: SQLError.self) { try database.restore(content.state) }
        #expect(error?.state.code == "55000")
        #expect(error?.message.contains("\"w\", \"w_out\"") == true && error?.message.contains("source \"s\" has not kept its history") == true)
        #expect(error?.hint?.contains("--reset") == true)
        // What fits needs no history.
        let other = try DatabaseHarness()
        other.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        other.connectors.forgets = true
        try other.restore(moments[30].state)
    }

    @Test("a state without sections is read, and where a plan does not fit it is refused")
    func withoutSections() throws {
        let (database, moments) = try run(shards: 1)
        var content = SavedContent(moments[30].state)
        content.forgetSections()
        let again = try DatabaseHarness.broughtBack(content.state, database.records.dropFirst(moments[30].records), scripts: ["s": ScriptedConnectors.mixedRows])
        #expect(Self.questions.map { again.sorted($0) } == Self.questions.map { database.sorted($0) })
        var other = SavedContent(moments[30].state)
        other.alterPlans()
        other.forgetSections()
        let refused = try DatabaseHarness()
        refused.connectors.scripts["s"] = ScriptedConnectors.mixedRows
        let error = #expect(throws: SQLError.self) { try refused.restore(other.state) }
        #expect(error?.state.code == "55000" && error?.message.contains("the state of \"a\", \"a_out\"") == true)
    }
}
