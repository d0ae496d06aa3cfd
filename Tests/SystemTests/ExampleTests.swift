internal import Foundation
internal import MartletConnectors
internal import Testing

/// The example pipelines over generated input: what was planted is found, and nothing is lost on the way.
@Suite struct ExampleTests {
    struct Run {
        var alerts: [[String: Any]]
        var late: [[String: Any]]
        var dead: [[String: Any]]
        /// Rows the source took, and its dead letters.
        var taken: Int
        var lettersCounted: Int
        var views: [[String: Any]]
        var scratch: Scratch
    }

    private static func options(_ kind: GeneratorKind, events: UInt64, late: Double = 0.002) -> GeneratorOptions {
        var options = GeneratorOptions(kind: kind)
        options.events = events
        options.seed = 11
        options.disorder = 2_000_000
        options.late = late
        options.bad = 0.003
        options.duplicates = 0.002
        return options
    }

    /// `martlet generate`, then `martlet run` of the kind's example.
    private static func run(_ options: GeneratorOptions, source: String) throws -> Run {
        let scratch = try Scratch()
        let kind = options.kind.rawValue
        let made = try Binary.run(
            "generate", kind, "--events", "\(options.events ?? 0)", "--seed", "\(options.seed)", "--out", scratch.path("in"),
            "--files", "2", "--disorder", "\(options.disorder / 1_000_000)s", "--late", "\(options.late)", "--bad",
            "\(options.bad)", "--duplicates", "\(options.duplicates)")
        #expect(made.status == 0, "\(made.errors)")
        let outcome = try Binary.run(
            "run", "examples/\(kind).sql", "-v", "path=\(scratch.path("in"))/*.ndjson", "--out-dir", scratch.path("out"),
            "--log-level", "info")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let log = try objects(outcome.errors.split(separator: "\n"))
        let intake = try #require(log.first { $0["source"] as? String == source && $0["rows"] != nil })
        return Run(
            alerts: try objects(outcome.lines), late: try objects(at: scratch.path("out/\(source)_late.ndjson")),
            dead: try objects(at: scratch.path("out/\(source)_dlq.ndjson")), taken: try #require(intake["rows"] as? Int),
            lettersCounted: try #require(intake["dead_letters"] as? Int), views: log.filter { $0["view"] != nil },
            scratch: scratch)
    }

    /// Rows in = counted + filtered + late + dead letters, per source and per view; and the files agree with the counts.
    private static func conserves(_ run: Run, _ options: GeneratorOptions, views: [String]) throws {
        let generator = try Generators.make(options)
        var lines = 0
        var bad = 0
        for event in 0..<(options.events ?? 0) {
            let fate = generator.fate(of: event).fate
            lines += fate.isRepeated ? 2 : 1
            bad += fate.damage == nil ? 0 : 1
        }
        #expect(run.lettersCounted == bad && run.dead.count == bad)
        #expect(run.taken + run.lettersCounted == lines)
        for view in views {
            let figures = try #require(run.views.first { $0["view"] as? String == view })
            func figure(_ name: String) -> Int { figures[name] as? Int ?? -1 }
            #expect(figure("rows") == run.taken, "\(view)")
            #expect(figure("rows") == figure("counted") + figure("filtered") + figure("late") + figure("dead_letters"), "\(view)")
            #expect(figure("late") == run.late.filter { $0["late_for"] as? String == view }.count, "\(view)")
        }
    }

    private static func subjects(_ run: Run, _ alert: String, _ column: String) -> Set<String> {
        Set(run.alerts.filter { $0["alert"] as? String == alert }.compactMap { $0[column] as? String })
    }

    @Test func fraudIsFound() throws {
        let options = Self.options(.fraud, events: 200_000)
        let run = try Self.run(options, source: "payments")
        try Self.conserves(run, options, views: ["velocity", "large_amounts", "journeys"])
        let planted = Generators.plantedFraud(options)
        func cards(_ kind: PlantedFraud.Kind) -> Set<String> { Set(planted.filter { $0.kind == kind }.map(\.card)) }
        // The last burst may be cut off by the end.
        let whole = planted.filter { $0.kind == .velocity && $0.events.count >= 12 }.map(\.card)
        let fast = Self.subjects(run, "velocity", "card")
        #expect(fast.isSubset(of: cards(.velocity)) && fast.isSuperset(of: whole))
        #expect(Self.subjects(run, "amount", "card") == cards(.amount))
        #expect(run.alerts.filter { $0["alert"] as? String == "amount" }.count == planted.filter { $0.kind == .amount }.count)
        #expect(Self.subjects(run, "journey", "card") == cards(.travel))
    }

    @Test func abandonedCartsAreFound() throws {
        let options = Self.options(.cart, events: 51_200, late: 0)
        let run = try Self.run(options, source: "activity")
        try Self.conserves(run, options, views: ["popular"])
        #expect(Self.subjects(run, "abandoned cart", "visitor") == Set(Generators.abandonedCarts(options).map(\.visitor)))
        #expect(run.alerts.count > 1000)
    }

    @Test func troubledMachinesAreFound() throws {
        let options = Self.options(.iot, events: 240_000)
        let run = try Self.run(options, source: "readings")
        try Self.conserves(run, options, views: ["minutes", "pauses"])
        let planted = Generators.machineTroubles(options)
        func machines(_ kind: MachineTrouble.Kind) -> Set<String> { Set(planted.filter { $0.kind == kind }.map(\.machine)) }
        #expect(Self.subjects(run, "too hot", "machine_id") == machines(.overheating))
        #expect(Self.subjects(run, "cooled down", "machine_id") == machines(.overheating))
        #expect(Self.subjects(run, "was silent", "machine_id") == machines(.silence))
    }

    /// PostgreSQL's kind of query over the same lines in DuckDB, with lateness worked out line by line in Python.
    @Test(.enabled(if: Binary.python != nil, "needs ./dev test's Python"))
    func duckDBCountsTheSamePayments() throws {
        let options = Self.options(.fraud, events: 100_000)
        let run = try Self.run(options, source: "payments")
        let oracle = """
            import csv, datetime, decimal, duckdb, glob, json, sys, tempfile
            rows, late = [], 0
            for path in sorted(glob.glob(sys.argv[1] + '/*.ndjson')):
                latest = None
                for line in open(path, 'rb'):
                    try:
                        row = json.loads(line.decode('utf-8'), parse_float=decimal.Decimal)
                        ts = datetime.datetime.fromisoformat(row['ts'].replace('Z', ''))
                        decimal.Decimal(row['amount']).quantize(decimal.Decimal('0.01'))
                    except Exception:
                        continue
                    end = ts.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
                    if latest is not None and end <= latest - datetime.timedelta(seconds=5):
                        late += 1
                    else:
                        rows.append((row['card'], str(row['amount']), ts))
                    latest = ts if latest is None else max(latest, ts)
            c = duckdb.connect()
            c.execute('CREATE TABLE p (card VARCHAR, amount DECIMAL(12, 2), ts TIMESTAMP)')
            with tempfile.NamedTemporaryFile('w', suffix='.csv', newline='') as f:
                csv.writer(f).writerows(rows)
                f.flush()
                c.execute("COPY p FROM '" + f.name + "' (HEADER false)")
            found = c.execute('''SELECT card, time_bucket(INTERVAL '1 minute', ts) w, count(*) n, sum(amount) s, max(ts) l
              FROM p GROUP BY ALL HAVING count(*) > 5''').fetchall()
            print(json.dumps({'late': late, 'alerts': [
              [card, last.isoformat(timespec='milliseconds'), f'{n} payments, {s} in all'] for card, w, n, s, last in found]}))
            """
        let theirs = try Binary.run(executable: try #require(Binary.python), ["-c", oracle, run.scratch.path("in")])
        #expect(theirs.status == 0, "\(theirs.errors)")
        let expected = try #require(try objects(theirs.lines).first)
        let alerts = run.alerts.filter { $0["alert"] as? String == "velocity" }.map { row in
            [row["card"] as? String ?? "", String((row["ts"] as? String ?? "").prefix(23)), row["detail"] as? String ?? ""]
        }
        let order: ([String], [String]) -> Bool = { $0.joined() < $1.joined() }
        #expect(alerts.sorted(by: order) == (expected["alerts"] as? [[String]])?.sorted(by: order))
        #expect(run.late.filter { $0["late_for"] as? String == "velocity" }.count == expected["late"] as? Int)
    }
}
