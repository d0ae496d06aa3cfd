import MartletCore
import MartletDataflow
import MartletEngine
import MartletTestKit
import Testing

/// Rows at the given seconds; ids from 0, values 1.
private func at(_ seconds: Int64...) -> [ScriptedRow] {
    seconds.enumerated().map { ScriptedRow(id: Int64($0), time: $1 * 1_000_000, key: $1 % 2, value: 1) }
}

/// How plans carry lateness and watermarks from operator to operator: each case is one tick per row, so that whatever
/// may be forgotten too early is forgotten.
@Suite("Watermarks through plans")
struct WatermarkPlanTests {
    private let sink = " WITH (connector = 'file') FORMAT PLAIN ENCODE JSON;"

    @Test("groups by raw event time are never complete: a row as late as it likes joins its group", arguments: [1, 2, 4])
    func groupedByTime(shards: Int) throws {
        let run = try EngineRun(
            "CREATE SINK k AS SELECT ts, count(*) FROM s GROUP BY ts" + sink, rows: [at(0, 100, 0, 50, 0, 200, 50)], shards: shards)
        #expect(run.rows("k") == ["@0 3", "@100 1", "@200 1", "@50 2"])
        #expect(run.rows("late") == [])
    }

    @Test("with EMIT ON WINDOW CLOSE such a group leaves once, and later rows are late", arguments: [1, 2, 4])
    func groupedByTimeWhenClosed(shards: Int) throws {
        let view = "CREATE MATERIALIZED VIEW v AS SELECT ts, count(*) AS n FROM s GROUP BY ts EMIT ON WINDOW CLOSE;"
        let run = try EngineRun(view + "CREATE SINK k FROM v" + sink, rows: [at(0, 0, 100, 0, 100, 50)], shards: shards)
        #expect(run.lines("k").sorted() == ["@0 2", "@100 2"])
        #expect(run.lines("late").count == 2)
        let counters = run.pipeline.circuit.counters(of: 0)
        #expect((counters.rowsIn, counters.counted, counters.late) == (6, 4, 2))
        let lenient = try EngineRun(
            view + "CREATE SINK k FROM v" + sink, options: "allowed_lateness = '60 seconds'", rows: [at(0, 0, 100, 0, 100, 50)],
            shards: shards)
        #expect(lenient.lines("k").sorted() == ["@0 2", "@100 2", "@50 1"])
        #expect(lenient.lines("late").count == 1)
    }

    @Test("windows over rows in order wait as long as the rows do", arguments: ["0 seconds", "30 seconds"])
    func windowsOverOrderedRows(lateness: String) throws {
        let run = try EngineRun(
            """
            CREATE MATERIALIZED VIEW o AS SELECT ts, lag(ts) OVER (PARTITION BY key ORDER BY ts) AS before FROM s EMIT ON WINDOW CLOSE;
            CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) AS n, count(before) AS m
            FROM TUMBLE(o, ts, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE;
            CREATE SINK k FROM v\(sink)
            """, options: "allowed_lateness = '\(lateness)'", rows: [at(0, 2, 4, 6, 8, 10, 12, 14, 31, 33, 60, 61)])
        #expect(run.lines("k") == ["@0 5 4", "@10 3 3", "@30 2 1", "@60 2 2"])
    }

    @Test("windows over the rows of windows are not late by the inner window's age")
    func windowsOverWindowRows() throws {
        let run = try EngineRun(
            """
            CREATE SINK k AS SELECT outer_start, count(*) FROM (
              SELECT window_start AS outer_start FROM TUMBLE(
                (SELECT window_start AS started, value FROM TUMBLE(s, ts, INTERVAL '10 seconds')), started, INTERVAL '1 second')
            ) AS w GROUP BY outer_start\(sink)
            """, rows: [at(0, 5, 9, 11, 19, 25)])
        #expect(run.rows("k") == ["@0 3", "@10 2", "@20 1"])
        #expect(run.rows("late") == [])
    }

    @Test("windows of windows close in turn: each minute's rows are in the hour", arguments: [1, 3])
    func cascades(shards: Int) throws {
        let run = try EngineRun(
            """
            CREATE MATERIALIZED VIEW small AS SELECT key, window_start, window_end, count(*) AS n
            FROM TUMBLE(s, ts, INTERVAL '2 seconds') GROUP BY key, window_start, window_end EMIT ON WINDOW CLOSE;
            CREATE MATERIALIZED VIEW large AS SELECT window_start, sum(n) AS n, count(*) AS parts
            FROM TUMBLE(small, window_start, INTERVAL '10 seconds') GROUP BY window_start EMIT ON WINDOW CLOSE;
            CREATE SINK k FROM large\(sink)
            CREATE SINK partly AS SELECT window_start, sum(n) FROM TUMBLE(small, window_start, INTERVAL '10 seconds') GROUP BY window_start\(sink)
            """, options: "allowed_lateness = '3 seconds'", delay: "1 second", rows: [at(0, 1, 3, 2, 7, 9, 8, 12, 11, 30, 31), at(0, 5, 10, 15, 31)],
            shards: shards)
        #expect(run.lines("k").sorted() == ["@0 9 8", "@10 4 4", "@30 3 2"])
        #expect(run.rows("partly") == ["@0 9", "@10 4", "@30 3"])
    }

    @Test("a part that several views have runs once, and each view has its counts and late rows", arguments: [1, 2])
    func sharedParts(shards: Int) throws {
        let windowed = "(SELECT key, window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '10 seconds') GROUP BY key, window_start)"
        let run = try EngineRun(
            """
            CREATE MATERIALIZED VIEW one AS SELECT window_start, sum(n) AS n FROM \(windowed) x GROUP BY window_start EMIT ON WINDOW CLOSE;
            CREATE MATERIALIZED VIEW two AS SELECT window_start, max(n) AS m FROM \(windowed) y GROUP BY window_start EMIT ON WINDOW CLOSE;
            CREATE SINK k FROM one\(sink)
            CREATE SINK l FROM two\(sink)
            """, rows: [at(0, 1, 30, 2, 31, 40)], shards: shards)
        let graph = run.pipeline.circuit.graph
        #expect(graph.nodes.count { $0.name == "aggregate slices" } == 1)
        #expect(run.lines("k").sorted() == ["@0 2", "@30 2", "@40 1"])
        #expect(run.lines("l").sorted() == ["@0 1", "@30 1", "@40 1"])
        #expect(run.lines("late").count == 2)
        for view in 0...1 {
            let counters = run.pipeline.circuit.counters(of: view)
            #expect((counters.rowsIn, counters.counted, counters.late, counters.deadLetters) == (6, 5, 1, 0))
        }
    }

    @Test("groups are the same whether rows cross as they are or as a tick's groups", arguments: [1, 3], [1, 40, 1500] as [Int64])
    func groupsInHalves(shards: Int, keys: Int64) throws {
        let rows = (0..<6000).map { ScriptedRow(id: Int64($0), time: Int64($0) * 1_000, key: Int64($0) % keys, value: Int64($0)) }
        let run = try EngineRun(
            "CREATE SINK k AS SELECT key, count(*) AS n, count(DISTINCT value % 7) AS d, sum(value) AS s FROM s GROUP BY key" + sink,
            rows: [Array(rows.prefix(4000)), Array(rows.suffix(2000))], shards: shards, rowsPerPoll: 700)
        let expected = (0..<keys).map { key in
            let values = rows.filter { $0.key == key }.compactMap(\.value)
            return "\(key) \(values.count) \(Set(values.map { $0 % 7 }).count) \(values.reduce(0, +))"
        }
        #expect(run.rows("k") == expected.sorted())
    }

    @Test("late rows and dead letters can be read, with all of their columns, one tick later")
    func sideRelations() throws {
        let run = try EngineRun(
            """
            CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '10 seconds')
            GROUP BY window_start EMIT ON WINDOW CLOSE;
            CREATE SINK refused AS SELECT late_for, "offset", id, key FROM late\(sink)
            CREATE SINK failed AS SELECT 10 / (id - 2) FROM s\(sink)
            CREATE SINK letters AS SELECT reason_code, "offset", count(*) FROM s_dlq GROUP BY reason_code, "offset"\(sink)
            """, rows: [at(0, 30, 1, 31, 2, 3)])
        #expect(run.rows("refused") == ["v 2 2 1", "v 4 4 0", "v 5 5 1"])
        #expect(run.rows("letters") == ["22012 2 1"])
    }

    @Test("an expression that fails makes one dead letter on change as well, in however many windows the row lies")
    func oneLetter() throws {
        let run = try EngineRun(
            """
            CREATE SINK k AS SELECT window_start, sum(10 / (id - 2)) FROM HOP(s, ts, INTERVAL '1 second', INTERVAL '5 seconds')
            GROUP BY window_start\(sink)
            CREATE SINK letters AS SELECT reason_code, "offset" FROM s_dlq\(sink)
            """, rows: [at(10, 11, 12, 13)])
        #expect(run.rows("letters") == ["22012 2"])
        let counters = run.pipeline.circuit.counters(of: 0)
        #expect((counters.rowsIn, counters.counted, counters.deadLetters) == (4, 3, 1))
    }
}
