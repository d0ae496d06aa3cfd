import MartletCore
import MartletTestKit
import Testing

/// Tables whose rows are updated while their windows close.
@Suite("Late updates")
struct LateUpdateTests {
    private static let table = """
        CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMPTZ, v INT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
        """
    private static func windows(_ summed: String = "v") -> String {
        "SELECT window_start, count(*) AS n, sum(\(summed)) AS s FROM TUMBLE(t, ts, INTERVAL '10 seconds') GROUP BY window_start"
    }

    @Test("an update that moves a row from a closed window into an open one counts in one of them")
    func countsOnce() throws {
        let database = try DatabaseHarness()
        database.run("\(Self.table); CREATE MATERIALIZED VIEW closed AS \(Self.windows()) EMIT ON WINDOW CLOSE; CREATE MATERIALIZED VIEW live AS \(Self.windows())")
        func at(_ seconds: Int) -> String { "'2026-01-01 00:00:\(seconds < 10 ? "0" : "")\(seconds)Z'" }
        database.run("INSERT INTO t VALUES (1, \(at(1)), 1), (2, \(at(2)), 2)")
        database.run("INSERT INTO t VALUES (3, \(at(30)), 3)")
        // Its window is closed; the new row's is not.
        database.run("UPDATE t SET ts = \(at(31)), v = 100 WHERE id = 1")
        #expect(database.run("SELECT n, s FROM live ORDER BY window_start") == "2 3\n1 3")
        // The row that was refused is replaced, then deleted: it was never counted.
        database.run("UPDATE t SET v = 200 WHERE id = 1")
        database.run("DELETE FROM t WHERE id = 1")
        // One that is deleted, and comes back by a statement of its own, is another row.
        database.run("DELETE FROM t WHERE id = 2")
        database.run("INSERT INTO t VALUES (2, \(at(32)), 20)")
        database.run("INSERT INTO t VALUES (9, \(at(59)), 0)")
        #expect(database.run("SELECT n, s FROM closed ORDER BY window_start") == "2 3\n2 23")
        #expect(database.run("SELECT n, s FROM live ORDER BY window_start") == "2 3\n2 23\n1 0")
    }

    @Test("a late update of a table with a connector is in its late table, both halves with their operation", arguments: [1, 2])
    func lateTable(shards: Int) throws {
        func row(_ id: Int64, at seconds: Int64, value: Int64) -> ScriptedRow {
            ScriptedRow(id: id, time: seconds * 1_000_000, key: 0, value: value)
        }
        let database = try DatabaseHarness(shards: shards)
        database.connectors.scripts["t"] = [[row(1, at: 1, value: 1), row(3, at: 30, value: 3), row(1, at: 31, value: 100), row(9, at: 2, value: 9)]]
        database.run(
            """
            CREATE TABLE t (\(ScriptedConnectors.declaration), PRIMARY KEY (id), WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
            WITH (connector = 'file', path = 'x', late_table = 'late') FORMAT PLAIN ENCODE JSON
            """)
        database.run("CREATE MATERIALIZED VIEW w AS \(Self.windows("value")) EMIT ON WINDOW CLOSE")
        for _ in 0..<20 { database.tick() }
        #expect(database.run("SELECT n, s FROM w ORDER BY window_start") == "1 1")
        #expect(database.run("SELECT id, value, late_for, op FROM late ORDER BY id, value") == "1 1 w delete\n1 100 w insert\n9 9 w insert")
    }

    /// What a view of windows holds: the rows that it counts, each key's at most once.
    private struct Model {
        struct Row: Equatable {
            var time: Int
            var value: Int
            var window: Int { time / 10 * 10 }
        }
        var rows: [Int: Row] = [:]
        /// What the view counts of each row of the table.
        var counted: [Int: Row] = [:]
        /// What it counts for good of rows that are gone.
        var left: [Row] = []
        var newest: Int?
        var watermark: Int { newest.map { $0 - 5 } ?? .min }

        func isLate(_ row: Row?) -> Bool { row.map { $0.window + 10 <= watermark } ?? false }

        /// One statement: what each key's row becomes.
        mutating func apply(_ changes: [Int: Row?]) {
            for (id, next) in changes {
                let isInStep = counted[id] == rows[id]
                let isRefused = !isInStep || isLate(rows[id]) || isLate(next)
                if !isRefused { counted[id] = next }
                if next == nil, let stays = counted.removeValue(forKey: id) { left.append(stays) }
                rows[id] = next
            }
            newest = changes.values.compactMap { $0?.time }.reduce(newest) { max($0 ?? .min, $1) }
        }

        func lines(isClosed: Bool) -> String {
            let all = Dictionary(grouping: Array(counted.values) + left, by: \.window).filter { !isClosed || $0.key + 10 <= watermark }
            return all.sorted { $0.key < $1.key }.map { window, rows in
                "\(window) \(rows.count) \(rows.reduce(0) { $0 + $1.value })"
            }.joined(separator: "\n")
        }
    }

    @Test("whatever is updated when, each row counts once, where it was when its window closed", arguments: 1...12 as ClosedRange<UInt64>)
    func modelled(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let shards = 1 + Int(seed) % 3
        var database = try DatabaseHarness(shards: shards)
        database.run(Self.table)
        let start = "extract(epoch FROM window_start)::int AS w, n, s"
        database.run("CREATE MATERIALIZED VIEW closed AS \(Self.windows()) EMIT ON WINDOW CLOSE; CREATE MATERIALIZED VIEW live AS \(Self.windows())")
        var (state, since) = (try database.saved(), 0)
        var model = Model()
        var time = 1_000
        for step in 0..<120 {
            time += below(4)
            var changes: [Int: Model.Row?] = [:]
            var texts: [String] = []
            let id = below(12)
            func moment() -> Int { time - below(8) - (below(4) == 0 ? 20 : 0) }
            switch below(6) {
            case 0 where model.rows[id] != nil:
                changes[id] = .some(nil)
                texts = ["DELETE FROM t WHERE id = \(id)"]
            case 1 where !model.rows.isEmpty:
                let (by, rest) = (below(15), below(3))
                for (id, row) in model.rows where id % 3 == rest { changes[id] = Model.Row(time: row.time + by, value: row.value + 1) }
                texts = ["UPDATE t SET ts = ts + INTERVAL '\(by) seconds', v = v + 1 WHERE id % 3 = \(rest)"]
            default:
                let row = Model.Row(time: moment(), value: below(100))
                changes[id] = row
                let (ts, v) = ("to_timestamp(\(row.time))", row.value)
                texts = model.rows[id] == nil
                    ? ["INSERT INTO t VALUES (\(id), \(ts), \(v))"] : ["UPDATE t SET ts = \(ts), v = \(v) WHERE id = \(id)"]
            }
            for text in texts { database.run(text) }
            model.apply(changes)
            for (view, isClosed) in [("closed", true), ("live", false)] {
                let held = database.run("SELECT \(start) FROM \(view) ORDER BY w")
                try #require(held == model.lines(isClosed: isClosed), "\(view), step \(step), seed \(seed), \(shards) shards: \(texts)")
            }
            if step == 40 { (state, since) = (try database.saved(), database.records.count) }
            // It comes back from what was saved and the records since, at another number of shards.
            if step == 80 { database = try DatabaseHarness.broughtBack(state, database.records.dropFirst(since), shards: 1 + shards % 3) }
        }
    }
}
