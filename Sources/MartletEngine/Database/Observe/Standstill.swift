internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Why a view, sink, table or source shows what it shows, or nothing.
struct Reason: Sendable, Equatable {
    enum Code: String, Sendable {
        case failed, paused, backfilling, sinkAway = "sink_away", blocked, noRecords = "no_records", noRows = "no_rows"
        case deadLetters = "dead_letters", late, filtered, noMatch = "no_match", silentPartition = "silent_partition"
        case windowOpen = "window_open", behind, working
    }

    var code: Code
    /// One plain sentence, with the number.
    var explanation: String
    /// What to do; nil: nothing.
    var advice: String?
}

/// Finds what holds an object up: from the object towards its sources, whatever is nearest to the source first.
struct Standstill {
    let observation: Observation
    let driver: DriverStanding
    let catalog: DatabaseCatalog
    /// Rows that readers see.
    let rows: [RelationID: Int]
    let nowNanos: Int64

    /// The reasons, the weightiest first; never none.
    func reasons(_ object: CatalogObject) -> [Reason] {
        var found = holding(object, depth: 0)
        if found.isEmpty { found = [working(object)] }
        return found
    }

    private static let depthMax = 32
    /// A partition that others have left behind is silent from this time on.
    private static let silentNanos: Int64 = 1_000_000_000
    /// Less than this is the everyday distance of a reader.
    private static let behindMillis: Int64 = 5_000

    /// What holds an object up; none: it works.
    private func holding(_ object: CatalogObject, depth: Int) -> [Reason] {
        guard depth < Standstill.depthMax else { return [] }
        if case .source = object.kind { return source(object.name).map { holding($0, of: object) } ?? [] }
        let unit = observation.unit(of: object.id)
        if let unit, let reason = standing(unit, object) { return [reason] }
        if case .sink = object.kind, let away = away(object) { return [away] }
        let inputs = object.uses.compactMap { catalog.objects[$0] }
        let upstream = inputs.flatMap { input(of: object, $0, depth: depth + 1) }
        if !upstream.isEmpty { return upstream }
        if let unit, let reason = refused(object, unit) ?? waiting(object, unit) ?? passed(object, unit) { return [reason] }
        return blocked.map { [$0] } ?? []
    }

    /// What an input contributes: of a view without rows whatever holds it, of a table whether it is empty.
    private func input(of user: CatalogObject, _ object: CatalogObject, depth: Int) -> [Reason] {
        switch object.kind {
        case .source, .view: return holding(object, depth: depth)
        case .materializedView: return isEmpty(object) ? holding(object, depth: depth) : []
        case .table(let table):
            if table.source != nil, let reasons = source(object.name).map({ holding($0, of: object) }), !reasons.isEmpty { return reasons }
            guard isEmpty(object) else { return [] }
            return [Reason(code: .noRows, explanation: "Table \(object.name) has no rows.", advice: "INSERT INTO \(object.name), or ask what fills it.")]
        case .side(let source):
            guard isEmpty(object) else { return [] }
            return [Reason(code: .noRows, explanation: "\(object.name) is empty: nothing of source \(source) was refused.", advice: nil)]
        case .sink: return []
        }
    }

    private func isEmpty(_ object: CatalogObject) -> Bool { rows[object.id] ?? 0 == 0 }
    private func source(_ name: String) -> Observation.Source? { observation.sources.first { $0.name == name } }

    // MARK: The unit as a whole

    private func standing(_ unit: Observation.Unit, _ object: CatalogObject) -> Reason? {
        if let failure = unit.failure {
            return Reason(
                code: .failed, explanation: "\(object.name) has stopped: \(failure.message) (\(failure.state.code)).",
                advice: failure.hint ?? "DROP it, put right what the message says, and create it anew.")
        }
        if unit.isPaused {
            return Reason(
                code: .paused, explanation: "\(object.name) is paused, and takes in nothing.",
                advice: "ALTER \(object.noun.uppercased()) \(object.name) RESUME lets it go on where it stands.")
        }
        if let job = observation.jobs.first(where: { $0.unit.id == unit.id }) {
            let left = job.secondsLeft.map { ", about \(Standstill.time(Int64($0 * 1e9))) to go" } ?? ""
            // A file's history is told in bytes.
            let share = unit.isReadingHistory
                ? "\(job.total > 0 ? Int(Double(job.done) / Double(job.total) * 100) : 100) % of \(unit.isResuming ? "it" : "its sources' history")"
                : "\(job.done) of \(Standstill.count(job.total, "row"))"
            let what = unit.isResuming ? "catches up with what came while it was paused" : "is still being filled with what was there before it"
            return Reason(
                code: .backfilling, explanation: "\(object.name) \(what): \(share)\(left).",
                advice: unit.isResuming ? "Wait; it shows what it has meanwhile." : "Wait, or CANCEL JOBS \(unit.id).")
        }
        return nil
    }

    private func away(_ sink: CatalogObject) -> Reason? {
        guard let away = driver.away, away.target == sink.name || away.target.hasSuffix("\"\(sink.name)\"") else { return nil }
        let waiting = driver.waiting.first { $0.target == away.target }
        return Reason(
            code: .sinkAway,
            explanation: "Sink \(sink.name) has been away for \(Standstill.time(nowNanos - away.sinceNanos)): \(Standstill.words(away)); "
                + "\(Standstill.count(waiting?.ticks ?? 0, "tick")) with \(waiting?.bytes ?? 0) bytes wait for it.",
            advice: "Bring it back: what waits is written then, and nothing is lost meanwhile.")
    }

    /// Ticks wait: for a sink that is away or slow.
    private var blocked: Reason? {
        // A slow sink takes a little, a tick adds a little: it is not always full.
        guard driver.waitingBytesMax > 0, driver.waitingBytes >= driver.waitingBytesMax / 4 * 3, let slowest = driver.waiting.max(by: { $0.bytes < $1.bytes })
        else { return nil }
        return Reason(
            code: .blocked,
            explanation: "All views stand still, since sink \(slowest.target) has yet to take \(slowest.bytes) bytes"
                + (driver.away.map { ": \(Standstill.words($0))." } ?? "."),
            advice: "Make the sink take them, or drop it; sources keep what has yet to be read.")
    }

    // MARK: Sources

    private func holding(_ source: Observation.Source, of object: CatalogObject) -> [Reason] {
        let name = object.name
        if let failure = source.failure {
            return [
                Reason(
                    code: .failed, explanation: "Source \(name) has stopped: \(failure.message) (\(failure.state.code)).",
                    advice: failure.hint ?? "Put right what the message says, drop it and create it anew.")
            ]
        }
        let refused = source.rejected + source.skipped
        guard source.rows == 0 else { return behind(source, object) }
        if refused > 0 {
            let letters = source.skipped == 0
            let last = refusals.first { $0.object == name }
            return [
                Reason(
                    code: .deadLetters,
                    explanation: "All \(Standstill.count(Int(clamping: refused), "record")) of source \(name) could not be read"
                        + (letters ? " and became dead letters" : " and were left out (on_error = 'skip')")
                        + (last.map { "; the last: \($0.message)." } ?? "."),
                    advice: letters ? "SELECT reason, payload FROM \(object.source?.deadLetterTable ?? "its dead letters") shows them." : "Set on_error = 'dlq' to see them.")
            ]
        }
        let topic = object.source?.options["topic"]?.text
        let place = topic.map { "topic \($0)" } ?? object.source?.options["path"].map { "path \($0.text)" } ?? "connector \(object.source?.connector ?? "?")"
        return [
            Reason(
                code: .noRecords, explanation: "Source \(name) has had no record yet: 0 from \(place), \(Standstill.count(source.partitions.count, "partition")).",
                advice: topic == nil ? "Check the name, and that something is written there." : "Produce to the topic, or check its name.")
        ]
    }

    private func behind(_ source: Observation.Source, _ object: CatalogObject) -> [Reason] {
        let backlogs = source.partitions.compactMap(\.backlog).filter { $0.records > 0 }
        let now = observation.wallMicros / 1000
        // What is so old that it is no longer in memory has no time at hand.
        guard backlogs.contains(where: { $0.oldestMillis.map { $0 < now - Standstill.behindMillis } ?? true }) else { return [] }
        if let blocked { return [blocked] }
        let records = backlogs.reduce(0) { $0 + $1.records }
        let oldest = backlogs.contains { $0.oldestMillis == nil } ? nil : backlogs.compactMap(\.oldestMillis).min()
        return [
            Reason(
                code: .behind,
                explanation: "Source \(object.name) is behind by \(Standstill.count(Int(clamping: records), "record"))"
                    + (oldest.map { ", the oldest written \(Standstill.time((now - $0) * 1_000_000)) ago." } ?? ", more than is in memory."),
                advice: "It is being read; most of the time goes into \(busiest ?? "what martlet_operators shows first").")
        ]
    }

    /// The operator that most of the time goes into, of all that runs; nil: none has done anything yet.
    private var busiest: String? {
        let all = observation.units.filter { $0.failure == nil && !$0.isPaused }.flatMap { unit in unit.operators.map { (unit, $0) } }
        guard let (unit, most) = all.max(by: { $0.1.figures.busyNanos < $1.1.figures.busyNanos }), most.figures.busyNanos > 0 else { return nil }
        let share = Int((unit.shares(of: most.figures).busy * 100).rounded())
        return "\(most.name)\(most.view.map { " of \($0)" } ?? ""), which is busy for \(share) % of its time"
    }

    private var refusals: [Ledger.Refusal] { letters }
    var letters: [Ledger.Refusal] = []

    // MARK: Rows that were refused

    /// Every row that came was refused.
    private func refused(_ object: CatalogObject, _ unit: Observation.Unit) -> Reason? {
        guard let view = unit.views.first(where: { $0.name == object.name }) else { return nil }
        let counters = view.counters
        guard counters.rowsIn > 0, counters.late + counters.deadLetters + counters.filtered == counters.rowsIn else { return nil }
        let all = Standstill.count(Int(clamping: counters.rowsIn), "row")
        if counters.late == counters.rowsIn {
            return Reason(
                code: .late, explanation: "All \(all) that came to \(object.name) were too late for their windows.",
                advice: "Give the source's WATERMARK a longer delay, or set allowed_lateness; a late_table keeps such rows.")
        }
        if counters.deadLetters == counters.rowsIn {
            let last = letters.first { $0.object == object.name }
            return Reason(
                code: .deadLetters,
                explanation: "An expression of \(object.name) failed for all \(all)" + (last.map { "; the last: \($0.message)." } ?? "."),
                advice: "SELECT reason, payload FROM martlet_dead_letters shows them.")
        }
        let condition = filter(object, unit).map { " (\($0))" } ?? ""
        var parts = ["\(counters.filtered) by its filters\(condition)"]
        if counters.late > 0 { parts.append("\(counters.late) as too late") }
        if counters.deadLetters > 0 { parts.append("\(counters.deadLetters) as dead letters") }
        return Reason(
            code: .filtered, explanation: "None of the \(all) that came to \(object.name) passed: \(parts.joined(separator: ", ")) were left out.",
            advice: "Check the conditions against the rows: SELECT from the source without WHERE.")
    }

    /// The filter that lets nothing through.
    private func filter(_ object: CatalogObject, _ unit: Observation.Unit) -> String? {
        unit.operators.first { $0.view == object.name && $0.name == "filter" && $0.figures.rowsIn > 0 && $0.figures.rowsOut == 0 }?.detail
    }

    // MARK: Event time

    /// Rows are kept until the watermark has come further.
    private func waiting(_ object: CatalogObject, _ unit: Observation.Unit) -> Reason? {
        guard isEmpty(object) || unit.operators.contains(where: { $0.view == object.name && $0.awaited != nil }) else { return nil }
        let held = unit.operators.filter { $0.view == object.name && $0.awaited != nil }
        guard let awaited = held.compactMap(\.awaited).min(), let node = held.first(where: { $0.awaited == awaited }), node.watermark < awaited
        else { return nil }
        if let silent = silentPartition(object, awaited) { return silent }
        guard isEmpty(object) else { return nil }
        let missing = node.watermark == .start ? "no row has brought one yet" : "\(Standstill.micros(awaited - node.watermark)) of event time are missing"
        let stands = node.watermark == .start ? "" : "stands at \(Standstill.instant(node.watermark)): "
        return Reason(
            code: .windowOpen,
            explanation: "The first result of \(object.name) leaves when the watermark reaches \(Standstill.instant(awaited)); it \(stands)\(missing).",
            advice: "Records with later event times move it; without EMIT ON WINDOW CLOSE results show at once.")
    }

    /// A partition that holds the watermark back while another has come far enough.
    private func silentPartition(_ object: CatalogObject, _ awaited: Watermark) -> Reason? {
        for name in sourceNames(object, depth: 0) {
            guard let source = source(name), source.watermark < awaited else { continue }
            let active = source.partitions.filter { !$0.standing.isFinished && !$0.standing.isIdle }
            let furthest = source.partitions.map(\.standing.watermark).max() ?? .start
            guard let slowest = active.min(by: { $0.standing.watermark < $1.standing.watermark }), furthest >= awaited,
                slowest.standing.watermark < awaited
            else { continue }
            let place = "Partition \(slowest.standing.partition) of source \(name)"
            let others = "the others have come to \(Standstill.instant(furthest))"
            let silent = Standstill.time(slowest.standing.silentNanos)
            let timeout = "Set idle_timeout on source \(name), so that a silent partition does not count, or send it a record."
            if slowest.standing.newest == nil {
                return Reason(
                    code: .silentPartition,
                    explanation: "\(place) has had no record for \(silent), since it was opened, and holds the watermark; \(others).", advice: timeout)
            }
            guard slowest.standing.silentNanos >= Standstill.silentNanos else { continue }
            return Reason(
                code: .silentPartition,
                explanation: "\(place) has been silent for \(silent) and holds the watermark at \(Standstill.instant(slowest.standing.watermark)); \(others).",
                advice: timeout)
        }
        return nil
    }

    /// The sources behind an object.
    private func sourceNames(_ object: CatalogObject, depth: Int) -> [String] {
        guard depth < Standstill.depthMax else { return [] }
        if object.source != nil { return [object.name] }
        var names: [String] = []
        for input in object.uses.compactMap({ catalog.objects[$0] }) {
            for name in sourceNames(input, depth: depth + 1) where !names.contains(name) { names.append(name) }
        }
        return names
    }

    // MARK: Rows that came to nothing

    /// The first operator, from the source on, that took rows and gave none.
    private func passed(_ object: CatalogObject, _ unit: Observation.Unit) -> Reason? {
        guard isEmpty(object), object.isStored else { return nil }
        guard
            let node = unit.operators.first(where: {
                $0.view == object.name && $0.figures.rowsIn > 0 && $0.figures.rowsOut == 0 && !$0.detail.hasPrefix("Rows of")
            })
        else { return nil }
        let rows = Standstill.count(Int(clamping: node.figures.rowsIn), "row")
        switch node.name {
        case "join", "look up":
            return Reason(
                code: .noMatch, explanation: "\(node.detail) has found no match for \(rows) that came.",
                advice: "Compare the values on both sides of the condition, their types and their event times.")
        case "filter":
            return Reason(
                code: .filtered, explanation: "\(node.detail) lets none of \(rows) pass.", advice: "Check the condition against the rows.")
        default:
            return Reason(code: .noRows, explanation: "\(node.detail) has made nothing of \(rows) yet.", advice: nil)
        }
    }

    private func working(_ object: CatalogObject) -> Reason {
        let unit = observation.unit(of: object.id)
        let shown = object.isStored ? "\(object.name) shows \(Standstill.count(rows[object.id] ?? 0, "row"))" : "\(object.name) works"
        let counted = unit?.views.first { $0.name == object.name }?.counters
        let came = counted.map { $0.rowsIn > 0 ? ", made of \(Standstill.count(Int(clamping: $0.rowsIn), "row")) that came" : "" } ?? ""
        let next = unit?.operators.filter { $0.view == object.name }.compactMap(\.awaited).min()
        let then = next.map { "; more leave when the watermark reaches \(Standstill.instant($0))" } ?? ""
        return Reason(code: .working, explanation: "\(shown)\(came), as of tick \(observation.tick)\(then): nothing holds it up.", advice: nil)
    }
}

// MARK: Words

extension Standstill {
    /// Why a sink is away, in one line: what its server's library says may have several.
    static func words(_ away: SinkAway) -> String {
        var text = away.error.message.split(whereSeparator: \.isNewline).map { $0.drop { $0.isWhitespace } }.joined(separator: " ")
        let prefix = "sink \"\(away.target)\": "
        if text.hasPrefix(prefix) { text.removeFirst(prefix.count) }
        return text
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    static func instant(_ micros: Int64) -> String {
        switch micros {
        case .start: "the beginning"
        case .end: "the end"
        default: Value.timestamptz(micros).text(in: .utc)
        }
    }

    static func micros(_ micros: Int64) -> String {
        let (nanos, overflow) = micros.multipliedReportingOverflow(by: 1000)
        return overflow ? Value.interval(Interval(micros: micros)).text : time(nanos)
    }

    /// With one digit behind the point below ten seconds, else in two units.
    static func time(_ nanos: Int64) -> String {
        let tenths = max(nanos, 0) / 100_000_000
        if tenths < 100 { return "\(tenths / 10).\(tenths % 10) s" }
        let seconds = tenths / 10
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7200 { return "\(seconds / 60) min \(seconds % 60) s" }
        if seconds < 172_800 { return "\(seconds / 3600) h \(seconds / 60 % 60) min" }
        return "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
    }
}

extension Database {
    /// Why every object shows what it shows.
    func reasons(_ observation: Observation, _ catalog: DatabaseCatalog) -> [(CatalogObject, [Reason])] {
        var standstill = Standstill(
            observation: observation, driver: surroundings.driverStanding(), catalog: catalog, rows: sizes().mapValues(\.rows),
            nowNanos: surroundings.clock.monotonicNanos())
        standstill.letters = ledger.refusals
        return catalog.all.map { ($0, standstill.reasons($0)) }
    }
}
