import MartletCore
import MartletDataflow
import MartletEngine
import MartletSQL
import MartletState
import MartletTestKit
import Testing

/// Pipelines of all kinds of queries, brought back at some of their ticks: restored from what was saved there, the recorded
/// ticks after it must give the lines they gave, to every sink and side relation, and leave the same state to the byte. On
/// another number of shards they give the same lines, and come to the state that is saved and restored again.
@Suite("Queries that come back")
struct QueryReplayTests {
    /// What the oracle's cases lack: long strings, aggregates that keep objects, rows by the clock, refused rows read again.
    private static let more: [(name: String, query: String, before: String)] = [
        ("long keys", "SELECT 'a label longer than a view ' || key AS k, count(*) AS n, max('another that is long ' || value) AS m FROM a GROUP BY 1", ""),
        ("long strings joined", "SELECT x.l, b.id AS other FROM (SELECT key, 'a label longer than a view ' || id AS l FROM a) x LEFT JOIN b ON x.key = b.key", ""),
        ("text by rank", "SELECT l, n FROM (SELECT l, row_number() OVER (PARTITION BY key ORDER BY l DESC) AS n FROM (SELECT key, 'a label longer than a view ' || id AS l FROM a) x) y WHERE n <= 2", ""),
        ("objects", "SELECT key, count(DISTINCT value) AS d, string_agg('the value ' || value, ', ' ORDER BY id) AS s, array_agg(value ORDER BY id DESC) AS v, mode() WITHIN GROUP (ORDER BY value) AS m, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS p FROM a GROUP BY key", ""),
        ("objects under deletes", "SELECT max(n) AS h, count(DISTINCT n) AS d, array_agg(n ORDER BY key) AS v, stddev_samp(n::NUMERIC) AS s, first_value(key ORDER BY n, key) AS f FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x", ""),
        ("sketches", "SELECT key, approx_count_distinct(id * 7) AS d, approx_percentile(0.5) WITHIN GROUP (ORDER BY value) AS p FROM a GROUP BY key", ""),
        ("moments", "SELECT key, var_pop(value) AS v, stddev_samp(value::DOUBLE PRECISION) AS s, corr(value::DOUBLE PRECISION, id::DOUBLE PRECISION) AS c, avg(value::NUMERIC / 7) AS a, bit_xor(value) AS x, bool_or(value > 3) AS o FROM a GROUP BY key", ""),
        ("text extremes under deletes", "SELECT min(l) AS l, max(l) AS h FROM (SELECT 'the count of this key is ' || count(*) AS l FROM a GROUP BY key) x", ""),
        ("by the clock", "SELECT id FROM a WHERE ts > now() - INTERVAL '10 seconds' AND ts <= now()", ""),
        ("counted by the clock", "SELECT key, count(*) AS n FROM a WHERE ts > now() - INTERVAL '20 seconds' GROUP BY key", ""),
        ("late rows", "SELECT late_for, count(*) AS n, max(late_by) AS m FROM a_late GROUP BY late_for", windowed),
        ("dead letters", "SELECT reason_code, count(*) AS n, min(\"offset\") AS first FROM a_dlq GROUP BY reason_code", "CREATE MATERIALIZED VIEW q AS SELECT id, 10 / value AS x FROM a;"),
        ("constants", "SELECT a.id, v.x FROM a JOIN (VALUES (1, 'one'), (2, 'two')) AS v (n, x) ON a.key = v.n", ""),
        ("running with lag", "SELECT id, lag('the value is ' || value, 2) OVER (PARTITION BY key ORDER BY ts, id) AS l, avg(value) OVER (PARTITION BY key ORDER BY ts, id) AS s FROM a EMIT ON WINDOW CLOSE", ""),
        ("views together", "SELECT q.key, q.n, b.id AS other FROM q JOIN b ON q.key = b.key", windowed),
    ]

    private static let windowed = """
        CREATE MATERIALIZED VIEW q AS SELECT key, window_start, count(*) AS n, string_agg('w' || value, ',' ORDER BY id) AS s
        FROM HOP(a, ts, INTERVAL '2 seconds', INTERVAL '6 seconds') GROUP BY key, window_start EMIT ON WINDOW CLOSE;
        """

    @Test("every kind of query, brought back at any tick, goes on as it would have")
    func everyKind() {
        for (number, one) in PrefixCase.all.enumerated() { check(one.name, one.martlet, before: one.before, seed: UInt64(number)) }
        for (number, one) in Self.more.enumerated() { check(one.name, one.query, before: one.before, seed: UInt64(number)) }
    }

    @Test("random queries, brought back at any tick, go on as they would have")
    func randomQueries() {
        var generator = RandomQueries(seed: 11)
        for number in 0..<40 {
            let query = generator.query(depth: 1 + number % 4)
            check(query, query, before: "", seed: UInt64(number))
        }
    }

    private func check(_ name: String, _ query: String, before: String, seed: UInt64) {
        do {
            let problems = try QueryReplay(query, before: before, seed: seed).problems(cuts: 2)
            #expect(problems.isEmpty, "\(name): \(problems.joined(separator: "\n"))")
        } catch {
            Issue.record("\(name): \(error)")
        }
    }
}

/// One query's pipelines: one that runs to its end, and those that come back to parts of it.
private final class QueryReplay {
    private struct Tick {
        var record: [UInt8]?
        /// Lines by target, sorted.
        var lines: [[String]]
        var saved: [UInt8]
    }

    private let statements: [BoundStatement]
    private let scripts: [String: [[ScriptedRow]]]
    private let shards: Int
    private var random: SplitMix64

    init(_ query: String, before: String, seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        shards = 1 + Int(seed % 3)
        scripts = [
            "a": [PrefixOracleTests.rows(24, first: 0, seed: seed * 4), PrefixOracleTests.rows(12, first: 1_000, seed: seed * 4 + 1)],
            "b": [PrefixOracleTests.rows(18, first: 2_000, seed: seed * 4 + 2)],
        ]
        let sources = ["a", "b"].map { name in
            """
            CREATE SOURCE \(name) (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '1 second')
            WITH (connector = 'file', late_table = '\(name)_late') FORMAT PLAIN ENCODE JSON;
            """
        }
        var catalog = SQLCatalog()
        statements = try Script.bind(
            sources.joined(separator: "\n") + before + "\nCREATE SINK k AS \(query)\nWITH (connector = 'file') FORMAT PLAIN ENCODE JSON;",
            into: &catalog)
    }

    private func machine(_ clock: SimulatedClock, shards other: Int? = nil) throws -> Pipeline {
        let shards = other ?? shards
        return try Pipeline(
            statements, options: PipelineOptions(shards: shards), connectors: RowsConnectors(scripts, seed: random.next()),
            executor: SequentialExecutor(order: (0..<shards).reversed()), clock: clock)
    }

    /// - Parameter cuts: how many times to come back.
    func problems(cuts: Int) throws -> [String] {
        // The rows' times are a quarter of an hour after 1970; so is the clock, for queries that look at it.
        let clock = SimulatedClock(wallMicros: 1_000_000_000)
        let machine = try machine(clock)
        var ticks = [Tick(record: nil, lines: [], saved: try saved(machine))]
        var left = 12
        while left > 0, ticks.count < 400 {
            let step = try machine.step(replaying: nil)
            ticks.append(Tick(record: step.record, lines: lines(step, machine), saved: try saved(machine)))
            if step.report.isFinished { left -= 1 }
            clock.advance(nanos: 2_000_000_000)
        }
        var problems: [String] = []
        for (number, tick) in ticks.enumerated() where number > 0 && tick.record == nil && !tick.lines.allSatisfy(\.isEmpty) {
            problems.append("tick \(number) gave something and would not be kept")
        }
        for _ in 0..<cuts where problems.isEmpty {
            let cut = random.below(ticks.count - 12)
            problems = try comeBack(ticks, at: cut).map { "back at tick \(cut) of \(ticks.count - 1): \($0)" }
            for other in [1, 2, 3, 4] where other != shards && problems.isEmpty {
                problems = try comeBack(ticks, at: cut, shards: other).map {
                    "from \(shards) to \(other) shards at tick \(cut) of \(ticks.count - 1): \($0)"
                }
            }
        }
        return problems
    }

    private func comeBack(_ ticks: [Tick], at cut: Int) throws -> [String] {
        let machine = try machine(SimulatedClock())
        let reader = StateReader(ticks[cut].saved)
        try machine.restore(from: reader)
        try reader.finish()
        if try saved(machine) != ticks[cut].saved { return ["saved again it is not the same"] }
        var last = cut
        for number in (cut + 1)..<ticks.count {
            guard let record = ticks[number].record else { continue }
            last = number
            let step = try machine.step(replaying: record)
            if step.record != record { return ["tick \(number) makes another record"] }
            let found = lines(step, machine)
            if found != ticks[number].lines { return ["tick \(number) gave \(ticks[number].lines), and now \(found)"] }
        }
        return try saved(machine) == ticks[last].saved ? [] : ["in the end its state is another"]
    }

    /// On another number of shards, and half way on the old one again.
    private func comeBack(_ ticks: [Tick], at cut: Int, shards other: Int) throws -> [String] {
        var machine = try machine(SimulatedClock(), shards: other)
        try machine.restore(from: StateReader(ticks[cut].saved))
        for number in (cut + 1)..<ticks.count {
            if number == (cut + ticks.count) / 2 {
                let back = try self.machine(SimulatedClock())
                try back.restore(from: StateReader(try saved(machine)))
                machine = back
            }
            guard let record = ticks[number].record else { continue }
            let found = lines(try machine.step(replaying: record), machine)
            if found != ticks[number].lines { return ["tick \(number) gave \(ticks[number].lines), and now \(found)"] }
        }
        return []
    }

    private func saved(_ machine: Pipeline) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        try machine.save(into: writer)
        try writer.finish()
        return bytes
    }

    private func lines(_ step: TickStep, _ machine: Pipeline) -> [[String]] {
        machine.targets.indices.map { target in
            step.output.parts.filter { $0.target == target }.flatMap { part in
                String(decoding: part.part.bytes.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
            }.sorted()
        }
    }
}

private final class RowsConnectors: ConnectorProvider {
    private let scripts: [String: [[ScriptedRow]]]
    private var seed: SplitMix64

    init(_ scripts: [String: [[ScriptedRow]]], seed: UInt64) {
        self.scripts = scripts
        self.seed = SplitMix64(seed: seed)
    }

    func openSource(_ definition: SourceDefinition, ordinal: Int, columns: [Int]) throws(SQLError) -> [any SourcePartition] {
        (scripts[definition.name] ?? []).enumerated().map { number, rows in
            let source = CountingSource(rows, rowsMax: 3, seed: seed.next())
            source.open(source: ordinal, partition: number, columns: columns)
            return source
        }
    }

    func openSink(_ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool) throws(SQLError) -> any SinkTarget { HeldRows() }

    func openRelation(_ relation: SideRelation) throws(SQLError) -> any SinkTarget { KeptRows(relation.name) }
}
