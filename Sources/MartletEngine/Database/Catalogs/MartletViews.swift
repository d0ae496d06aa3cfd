internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// `martlet_*`: what the database knows of its own work. Figures are as of the question; they count since the process began,
/// but for those of rows and records, which a restart brings back.
enum MartletViews {
    static let tables: [SystemTable] = objects + progress + work + refused + clients

    // MARK: Objects

    private static let objects: [SystemTable] = [
        SystemTable(
            "pg_catalog.martlet_views", about: "Tables, views and what else keeps rows, with how many.",
            [
                ("name:t", "Name"), ("kind:t", "table, materialized view; late tables and dead letters are tables"),
                ("rows:l", "Rows that a SELECT sees"), ("bytes:l", "About the memory that they take, long texts left out"),
                ("rows_in:l", "Source rows that came to the view"), ("counted:l", "Of those, rows that count in it"),
                ("filtered:l", "Rows that its filters left out"), ("late:l", "Rows too late for all of their windows"),
                ("dead_letters:l", "Rows whose expressions failed"),
                ("watermark:z", "No later row of it is earlier; NULL: it has no event time, or no row yet"),
                ("state:t", "running, filling, paused, failed, or stored where nothing has to run"), ("definition:t", "The statement that made it"),
            ]
        ) { facts in
            let sizes = facts.database.sizes()
            let observation = facts.observation
            return facts.catalog.all.compactMap { object in
                guard object.isStored else { return nil }
                let size = sizes[object.id] ?? (0, 0)
                let unit = observation?.unit(of: object.id)
                let view = unit?.views.first { $0.name == object.name }
                let state = unit.map { $0.failure != nil ? "failed" : $0.isPaused ? "paused" : $0.filling != nil ? "filling" : "running" } ?? "stored"
                return [.text(object.name), .text(object.noun), .bigint(Int64(size.rows)), .bigint(Int64(size.bytes))] + counts(view?.counters) + [
                    instant(view?.watermark), .text(state), .text(object.text),
                ]
            }
        },
        SystemTable(
            "pg_catalog.martlet_sources", about: "Sources, and tables with a connector: what was read of each.",
            [
                ("name:t", "Name"), ("connector:t", "file, kafka, generator, …"), ("partitions:i", "Partitions; NULL: nobody reads it"),
                ("rows:l", "Records read and accepted"), ("dead_letters:l", "Records that could not be read"),
                ("skipped:l", "Bad records left out (on_error = 'skip')"), ("dropped:l", "Records left out since the pipeline could not keep up"),
                ("watermark:z", "Event time up to which it is complete"), ("lag_records:l", "Records yet to be read, where that is known"),
                ("state:t", "reading, idle, finished, failed or unread"), ("columns:i", "Columns"), ("watermark_column:t", "The column of event time"),
                ("definition:t", "The statement that made it"),
            ]
        ) { facts in
            facts.catalog.all.compactMap { object in
                guard let source = object.source else { return nil }
                let read = facts.observation?.sources.first { $0.name == source.name }
                let backlogs = read?.partitions.compactMap(\.backlog) ?? []
                return [
                    .text(object.name), .text(source.connector), read.map { .integer(Int32(clamping: $0.partitions.count)) } ?? .null,
                    count(read?.rows), count(read?.rejected), count(read?.skipped), count(read?.dropped), instant(read?.watermark),
                    backlogs.isEmpty ? .null : .bigint(backlogs.reduce(0) { $0 + $1.records }), .text(state(read)),
                    .integer(Int32(clamping: source.columns.count)),
                    source.watermark.map { .text(source.columns[$0.column].name) } ?? .null, .text(object.text),
                ]
            }
        },
        SystemTable(
            "pg_catalog.martlet_sinks", about: "Sinks: what went out, and what waits for each.",
            [
                ("name:t", "Name"), ("connector:t", "file, kafka, postgres, …"), ("is_append_only:b", "Rows are only ever added"),
                ("rows:l", "Rows, and changes of rows, given to it"), ("waiting_ticks:l", "Ticks that it has yet to take, outside the log"),
                ("waiting_bytes:l", "Their bytes"), ("state:t", "running, paused, away (it is tried again), failed"), ("error:t", "Why it is away or has failed"),
                ("definition:t", "The statement that made it"),
            ]
        ) { facts in
            let driver = facts.database.surroundings.driverStanding()
            return facts.catalog.all.compactMap { object in
                guard case .sink(let sink) = object.kind else { return nil }
                let unit = facts.observation?.unit(of: object.id)
                let waiting = driver.waiting.first { isTarget($0.target, sink.name) }
                let away = driver.away.flatMap { isTarget($0.target, sink.name) ? $0 : nil }
                let end = unit?.operators.last { $0.view == sink.name }
                return [
                    .text(sink.name), .text(sink.connector), .boolean(sink.isAppendOnly), count(end?.figures.rowsIn),
                    .bigint(Int64(waiting?.ticks ?? 0)), .bigint(Int64(waiting?.bytes ?? 0)),
                    .text(unit?.failure != nil ? "failed" : unit?.isPaused == true ? "paused" : away != nil ? "away" : "running"),
                    (unit?.failure ?? away?.error).map { .text($0.message) } ?? .null, .text(sink.text),
                ]
            }
        },
    ]

    // MARK: How far things are

    private static let progress: [SystemTable] = [
        SystemTable(
            "pg_catalog.martlet_watermarks", about: "Event time: how far each partition, source and view has come.",
            [
                ("name:t", "Source or view"), ("kind:t", "partition, source or view"), ("partition:i", "The partition's number"),
                ("watermark:z", "No later row counts that is earlier; NULL: none came yet"), ("newest:z", "The greatest event time seen"),
                ("lag:v", "The clock minus the watermark"), ("silent_seconds:d", "Since the partition's last row"),
                ("state:t", "active, idle (does not count for the source), finished, or holds (it is the one that the source waits for)"),
            ]
        ) { facts in
            guard let observation = facts.observation else { return [] }
            var rows: [[Value]] = []
            for source in observation.sources {
                let active = source.partitions.filter { !$0.standing.isFinished && !$0.standing.isIdle }
                let least = active.map(\.standing.watermark).min()
                for partition in source.partitions {
                    let standing = partition.standing
                    let isHolding = active.count > 1 && standing.watermark == least && active.contains { $0.standing.watermark != least }
                    let state = standing.isFinished ? "finished" : standing.isIdle ? "idle" : isHolding ? "holds" : "active"
                    rows.append([
                        .text(source.name), .text("partition"), .integer(Int32(clamping: standing.partition)), instant(standing.watermark),
                        instant(standing.newest), lag(standing.watermark, observation), .double(Double(standing.silentNanos) / 1e9), .text(state),
                    ])
                }
                let newest = source.partitions.compactMap(\.standing.newest).max()
                rows.append([
                    .text(source.name), .text("source"), .null, instant(source.watermark), instant(newest), lag(source.watermark, observation),
                    .null, .text(source.isFinished ? "finished" : "active"),
                ])
            }
            for view in observation.units.flatMap(\.views) {
                guard let watermark = view.watermark, facts.catalog[view.name] != nil else { continue }
                rows.append([
                    .text(view.name), .text("view"), .null, instant(watermark), .null, lag(watermark, observation), .null,
                    .text(watermark == .end ? "finished" : "active"),
                ])
            }
            return rows
        },
        SystemTable(
            "pg_catalog.martlet_lag", about: "What sources have yet to read, partition by partition, where that is known.",
            [
                ("source:t", "Name"), ("partition:i", "The partition's number"), ("position:l", "Where the next record lies"),
                ("lag_records:l", "Records from there to the end"), ("lag_seconds:d", "How long ago the first of them was written; 0: there is none"),
            ]
        ) { facts in
            guard let observation = facts.observation else { return [] }
            return observation.sources.flatMap { source in
                source.partitions.compactMap { partition -> [Value]? in
                    guard let backlog = partition.backlog else { return nil }
                    let seconds = backlog.oldestMillis.map { Double(max(observation.wallMicros / 1000 - $0, 0)) / 1000 }
                    return [
                        .text(source.name), .integer(Int32(clamping: partition.standing.partition)), .bigint(backlog.position), .bigint(backlog.records),
                        backlog.records == 0 ? .double(0) : seconds.map { .double($0) } ?? .null,
                    ]
                }
            }
        },
        SystemTable(
            "pg_catalog.martlet_commits", about: "The last commits, newest first; at most 256, since the process began.",
            [
                ("tick:l", "Its number"), ("visible_at:z", "When its changes became visible"), ("rows:l", "Rows of tables and views that it changed"),
                ("relations:l", "Changes of how many batches"),
            ]
        ) { facts in
            facts.database.ledger.commits.map {
                [.bigint(Int64(clamping: $0.tick)), .timestamptz($0.micros), .bigint(Int64($0.rows)), .bigint(Int64($0.relations))]
            }
        },
        SystemTable(
            "pg_catalog.martlet_ddl_progress", about: "What is being filled with what was there before it, or with what came while it was paused; what was defined together is one job.",
            [
                ("ddl_id:l", "The job's number, as CANCEL JOBS takes it"), ("name:t", "What is being filled"), ("kind:t", "materialized view or sink"),
                ("rows_done:l", "Rows taken in; of a source's history the records read, of a file's the bytes"),
                ("rows_total:l", "In all; what comes meanwhile counts"), ("progress:d", "The share, 0 to 1"),
                ("running_seconds:d", "Since it began, in this process"), ("eta_seconds:d", "About how long it will take yet; NULL: unknown"),
                ("definition:t", "The statement that made it"),
            ]
        ) { facts in
            (facts.observation?.jobs ?? []).flatMap { job in
                job.unit.objects.compactMap { facts.catalog.objects[$0] }.map { object in
                    [
                        .bigint(Int64(job.unit.id)), .text(object.name), .text(object.noun), .bigint(Int64(job.done)), .bigint(Int64(job.total)),
                        .double(Double(job.done) / Double(max(job.total, 1))), .double(job.seconds),
                        job.secondsLeft.map { .double($0) } ?? .null, .text(object.text),
                    ]
                }
            }
        },
        SystemTable(
            "pg_catalog.martlet_why", about: "Why each object shows what it shows, or nothing.",
            [
                ("name:t", "The object"), ("kind:t", "table, source, view, …"),
                ("code:t", "working, or what holds it: no_records, dead_letters, late, filtered, silent_partition, window_open, sink_away, failed, …"),
                ("explanation:t", "One sentence, with the number"), ("advice:t", "What to do"),
            ]
        ) { facts in
            guard let observation = facts.observation else { return [] }
            return facts.database.reasons(observation, facts.catalog).flatMap { object, reasons in
                reasons.map {
                    [.text(object.name), .text(object.noun), .text($0.code.rawValue), .text($0.explanation), $0.advice.map { .text($0) } ?? .null]
                }
            }
        },
    ]

    // MARK: Operators

    private static let work: [SystemTable] = [
        SystemTable(
            "pg_catalog.martlet_operators", about: "What views and sinks are made of: rows, time and state of each operator, over all shards.",
            [
                ("unit:i", "What was defined together runs together"), ("operator:i", "Its number in the unit"), ("view:t", "The view or sink that it is part of"),
                ("name:t", "What it is"), ("detail:t", "What it computes"), ("stage:i", "Exchanges in front of it"), ("inputs:T", "The operators that it reads"),
                ("rows_in:l", "Rows, and changes of rows, taken"), ("rows_out:l", "Rows given"), ("busy:d", "Share of its time spent computing"),
                ("idle:d", "Share without anything to do; busy, idle and backpressured sum to one"),
                ("backpressured:d", "Share in which ticks waited for the log or a sink"), ("busy_seconds:d", "Processor time"),
                ("state_rows:l", "Rows or groups that it keeps"), ("state_bytes:l", "About the memory that they take"),
            ]
        ) { facts in
            (facts.observation?.units ?? []).flatMap { unit in
                unit.operators.map { node -> [Value] in
                    let shares = unit.shares(of: node.figures)
                    return [
                        .integer(Int32(clamping: unit.id)), .integer(Int32(clamping: node.node)), node.view.map { .text($0) } ?? .null, .text(node.name),
                        .text(node.detail), .integer(Int32(clamping: node.stage)),
                        .array(ArrayValue(.text, node.inputs.map { .text("\($0)") })), count(node.figures.rowsIn), count(node.figures.rowsOut),
                        .double(shares.busy), .double(shares.idle), .double(shares.backpressured), .double(Double(node.figures.busyNanos) / 1e9),
                        .bigint(Int64(node.figures.state.rows)), .bigint(Int64(node.figures.state.bytes)),
                    ]
                }
            }
        },
        SystemTable(
            "pg_catalog.martlet_pipelines", about: "The thread that carries out ticks, and where they wait.",
            [
                ("name:t", "default"), ("tick:l", "The last one carried out"), ("visible_tick:l", "The last one that readers see"),
                ("ticks_in_flight:l", "On their way to the disk"), ("waiting_bytes:l", "What sinks outside the log have yet to get"),
                ("busy:d", "Share of its time spent in ticks"), ("idle:d", "Share without input"), ("backpressured:d", "Share spent waiting for the log or a sink"),
            ]
        ) { facts in
            let driver = facts.database.surroundings.driverStanding()
            let whole = Double(max(driver.busyNanos + driver.idleNanos + driver.blockedNanos, 1))
            let visible = facts.database.visible.tick
            return [
                [
                    .text("default"), .bigint(Int64(clamping: facts.observation?.tick ?? visible)), .bigint(Int64(clamping: visible)),
                    .bigint(Int64(driver.ticksInFlight)), .bigint(Int64(driver.waitingBytes)), .double(Double(driver.busyNanos) / whole),
                    .double(Double(driver.idleNanos) / whole), .double(Double(driver.blockedNanos) / whole),
                ]
            ]
        },
    ]

    // MARK: What was refused

    private static let refused: [SystemTable] = [
        SystemTable(
            "pg_catalog.martlet_errors", about: "What went wrong since the process began, gathered by object and reason.",
            [
                ("object:t", "Source, view or sink"), ("kind:t", "dead letter, failure or sink away"), ("code:t", "SQLSTATE, or a word such as malformed_json"),
                ("message:t", "The last one's"), ("count:l", "How often"), ("first_at:z", "When it was first seen"), ("last_at:z", "When last"),
            ]
        ) { facts in
            var rows = facts.database.ledger.refusals.map { refusal -> [Value] in
                [
                    .text(refusal.object), .text("dead letter"), .text(refusal.code), .text(refusal.message), count(refusal.count),
                    .timestamptz(refusal.firstMicros), .timestamptz(refusal.lastMicros),
                ]
            }
            for unit in facts.observation?.units ?? [] {
                guard let failure = unit.failure else { continue }
                for object in unit.objects.compactMap({ facts.catalog.objects[$0] }) {
                    rows.append([.text(object.name), .text("failure"), .text(failure.state.code), .text(failure.message), .bigint(1), .null, .null])
                }
            }
            if let away = facts.database.surroundings.driverStanding().away {
                rows.append([.text(away.target), .text("sink away"), .text(away.error.state.code), .text(away.error.message), .bigint(1), .null, .null])
            }
            return rows
        },
        SystemTable(
            "pg_catalog.martlet_dead_letters", about: "The dead letters of all sources.",
            SourceDefinition.deadLetterFields.map { ("\($0.name):\(SystemTable.letter(of: $0.type))", "As in the source's own table of dead letters") }
        ) { facts in
            sides(facts, SourceDefinition.deadLetterFields.map(\.name), isLate: false)
        },
        SystemTable(
            "pg_catalog.martlet_late", about: "The late rows of all sources, without the sources' own columns.",
            [
                ("source:t", "The source"), ("late_for:t", "The view for which it was late"), ("late_by:v", "How far behind the watermark"),
                ("watermark:z", "The watermark that it was judged by"), ("partition:i", "Where it lies"), ("offset:l", "Where it lies"),
                ("ingested_at:z", "When it was read"),
            ]
        ) { facts in
            sides(facts, ["late_for", "late_by", "watermark", "partition", "offset", "ingested_at"], isLate: true)
        },
    ]

    /// Some columns of all late tables, behind the source's name, or of all tables of dead letters.
    private static func sides(_ facts: SystemFacts, _ columns: [String], isLate: Bool) -> [[Value]] {
        var rows: [[Value]] = []
        for object in facts.catalog.all {
            guard case .side(let source) = object.kind, object.fields.contains(where: { $0.name == "late_for" }) == isLate else { continue }
            let places = columns.map { name in object.fields.firstIndex { $0.name == name } }
            for batch in facts.database.read([object.id]).snapshots[object.id]?.batches ?? [] {
                for row in 0..<batch.count {
                    rows.append((isLate ? [.text(source)] : []) + places.map { $0.map { batch.columns[$0].value(at: row) } ?? .null })
                }
            }
        }
        return rows
    }

    // MARK: Clients

    private static let clients: [SystemTable] = [
        SystemTable(
            "pg_catalog.martlet_subscriptions", about: "Subscriptions: whose changes are kept, and for how long.",
            [
                ("name:t", "Name"), ("relation:t", "The table or view"), ("retention:v", "How long changes are kept"),
                ("definition:t", "The statement that made it"),
            ]
        ) { facts in
            facts.catalog.subscriptions.values.sorted { $0.name < $1.name }.map {
                [.text($0.name), .text($0.relation), .interval(Interval(micros: $0.retention)), .text($0.text)]
            }
        },
        SystemTable(
            "pg_catalog.martlet_connections", about: "Sessions that are open.",
            [
                ("number:l", "Its number since the process began"), ("pid:i", "As pg_backend_pid() says"), ("user:t", "Who"), ("database:t", "Where"),
                ("application_name:t", "What the client calls itself"), ("opened_at:z", "Since when"),
                ("state:t", "active, idle, idle in transaction"), ("since:z", "When it entered that state"), ("statements:l", "Statements so far"),
                ("statement:t", "The last one"),
            ]
        ) { facts in
            facts.database.ledger.sessions.map { session in
                [
                    .bigint(Int64(session.number)), .integer(session.client.processID), .text(session.client.user), .text(session.client.database),
                    .text(session.client.parameters["application_name"] ?? ""), .timestamptz(session.openedMicros), .text(session.state),
                    .timestamptz(session.sinceMicros), count(session.statements), .text(session.statement),
                ]
            }
        },
    ]

    // MARK: Values

    static func isTarget(_ target: String, _ sink: String) -> Bool { target == sink || target.hasSuffix("\"\(sink)\"") }

    private static func count(_ number: UInt64?) -> Value { number.map { .bigint(Int64(clamping: $0)) } ?? .null }

    private static func counts(_ counters: ViewCounters?) -> [Value] {
        [counters?.rowsIn, counters?.counted, counters?.filtered, counters?.late, counters?.deadLetters].map { count($0) }
    }

    private static func instant(_ micros: Int64?) -> Value {
        guard let micros, micros != .start else { return .null }
        return .timestamptz(micros)
    }

    private static func lag(_ watermark: Watermark, _ observation: Observation) -> Value {
        guard watermark != .start, watermark != .end else { return .null }
        let (micros, overflow) = observation.wallMicros.subtractingReportingOverflow(watermark)
        return overflow ? .null : .interval(Interval(micros: micros))
    }

    private static func state(_ source: Observation.Source?) -> String {
        guard let source else { return "unread" }
        if source.failure != nil { return "failed" }
        if source.isFinished { return "finished" }
        return !source.partitions.isEmpty && source.partitions.allSatisfy(\.standing.isIdle) ? "idle" : "reading"
    }
}

extension SystemFacts {
    /// How the driver's work stands, asked now.
    var observation: Observation? {
        database.observer.ask(database.surroundings.makeSignal()) { database.surroundings.wake() }
    }
}

extension Database {
    /// Rows and about the bytes of each relation that is kept.
    func sizes() -> [RelationID: (rows: Int, bytes: Int)] {
        visible.locked { content in content.stores.mapValues { ($0.rowCount, $0.memoryBytes) } }
    }
}
