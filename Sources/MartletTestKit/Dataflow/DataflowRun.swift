internal import MartletColumns
internal import MartletCore
package import MartletDataflow

/// What happened in one tick, as far as the definitions of lateness and idleness ask: the model's input.
package struct TickLog: Sendable {
    package var nowNanos: Int64
    package var wallMicros: Int64
    /// By source, then partition.
    package var deliveries: [[Delivery]]
}

/// Runs a case on the real dataflow under virtual time, one thread, and watches what must hold at every tick.
package final class DataflowRun {
    package let item: DataflowCase
    package private(set) var outcome: DataflowOutcome
    package private(set) var log: [TickLog] = []
    /// Laws broken on the way; empty if all is well.
    package private(set) var violations: [String] = []
    package let trace = Trace()
    /// Per source, after the last tick.
    package private(set) var watermarks: [Watermark]
    package private(set) var isFinished = false
    package var circuit: Circuit { machine.circuit }

    private let settings: DataflowSettings
    private let clock: SimulatedClock
    private let machine: DataflowMachine
    private var random: SplitMix64
    private var silentTicks = 0

    package init(_ item: DataflowCase, _ settings: DataflowSettings, clock: SimulatedClock = SimulatedClock()) throws {
        self.item = item
        self.settings = settings
        self.clock = clock
        var random = SplitMix64(seed: settings.seed)
        let machine = try DataflowMachine(item, settings, clock: clock, random: &random)
        self.machine = machine
        self.random = random
        outcome = DataflowOutcome(sources: item.sources.count, views: item.views.count)
        watermarks = Array(repeating: .start, count: item.sources.count)
    }

    /// Ticks until the input is at its end, or has been silent for `silentTicksMax`; then settles the accounts.
    package func run() {
        while !isFinished, silentTicks < settings.silentTicksMax { step() }
        settle()
    }

    /// One tick. While nothing comes, each tick takes twice as long as the one before, so that silence passes.
    package func step() {
        machine.drawLimits(settings, &random)
        clock.advance(nanos: min(settings.tickNanos << Int64(min(silentTicks, 30)), 10_000_000_000))
        let now = clock.monotonicNanos()
        let wall = clock.wallMicros()
        let report = circuit.step()
        if let failure = circuit.failure { violations.append("tick \(report.tick) failed: \(failure)") }
        log.append(
            TickLog(nowNanos: now, wallMicros: wall, deliveries: machine.partitions.map { $0.map { $0.takeDelivery() } }))
        let isSilent = log[log.count - 1].deliveries.allSatisfy { $0.allSatisfy { $0.rows.isEmpty && $0.unreadable == 0 } }
        silentTicks = isSilent ? silentTicks + 1 : 0
        for (source, watermark) in circuit.sourceWatermarks.enumerated() {
            if watermark < watermarks[source] {
                violations.append("tick \(report.tick): watermark of source \(source) went back to \(watermark)")
            }
        }
        watermarks = circuit.sourceWatermarks
        for row in report.lateRows { noteLate(row, report.tick) }
        for letter in report.deadLetters { noteDead(letter, report.tick) }
        for view in item.views.indices { collect(view, report.tick) }
        isFinished = report.isFinished || circuit.failure != nil
    }

    // MARK: What came

    private func id(source: Int, partition: Int32, offset: Int64) -> Int64 {
        guard item.sources.indices.contains(source), item.sources[source].partitions.indices.contains(Int(partition)),
            item.sources[source].partitions[Int(partition)].indices.contains(Int(offset)),
            case .row(let row) = item.sources[source].partitions[Int(partition)][Int(offset)]
        else { return -1 }
        return row.id
    }

    private func noteLate(_ row: LateRow, _ tick: UInt64) {
        let id = id(source: row.block.source, partition: row.block.partition, offset: row.block.offsets[row.blockRow])
        if String(decoding: row.block.payload(row.blockRow), as: UTF8.self) != "row \(id)" {
            violations.append("tick \(tick): the late row \(id) has another row's payload")
        }
        outcome.views[row.view].late.append(id)
        trace.note("late \(row.view) \(id) \(row.watermark)")
    }

    private func noteDead(_ letter: DeadLetter, _ tick: UInt64) {
        trace.note("dead \(letter.view ?? -1) \(letter.source) \(letter.partition) \(letter.offset) \(letter.reasonCode)")
        if letter.reasonCode == "unreadable" {
            outcome.sources[letter.source].unreadable += 1
            return
        }
        let id = id(source: letter.source, partition: letter.partition, offset: letter.offset)
        if letter.payload != Array("row \(id)".utf8) {
            violations.append("tick \(tick): the dead letter \(id) has another row's payload")
        }
        if let view = letter.view {
            outcome.views[view].dead.append(id)
        } else {
            outcome.sources[letter.source].refused.append(id)
        }
    }

    private func collect(_ view: Int, _ tick: UInt64) {
        let spec = item.views[view]
        var change: [[Value]: Int64] = [:]
        for (row, weight) in machine.collectors[view].take() {
            trace.note("\(view) \(weight) \(DataflowOutcome.text(row))")
            change[row, default: 0] += weight
            if !spec.isChanging, weight != 1 { violations.append("tick \(tick): view \(view) takes rows back") }
            checkFinal(spec, row, view, tick)
        }
        for (row, weight) in change where weight != 0 { outcome.views[view].add(row, weight) }
        if spec.isChanging, !change.isEmpty { checkRelation(spec, view, tick) }
    }

    /// No final row leaves before the watermark passed its window's end and the allowed lateness.
    private func checkFinal(_ spec: ViewSpec, _ row: [Value], _ view: Int, _ tick: UInt64) {
        let watermark = watermarks.min() ?? .end
        if watermark == .end { return }
        let isEarly: Bool
        switch (spec.shape, row[0], row.count > 1 ? row[1] : .null) {
        case (.sliced, _, .timestamptz(let end)), (.grouped(_, onClose: true), _, .timestamptz(let end)):
            isEarly = watermark == .start || end + spec.allowedLateness > watermark
        case (.cascade, .timestamptz(let time), _), (.ordered, .timestamptz(let time), _), (.running, .timestamptz(let time), _):
            isEarly = watermark == .start || time + spec.allowedLateness >= watermark
        default: isEarly = false
        }
        if isEarly {
            violations.append("tick \(tick): view \(view) let out \(DataflowOutcome.text(row)) at the watermark \(watermark)")
        }
    }

    /// Between ticks a changing view is a relation with one row per key: −old and +new never come apart.
    private func checkRelation(_ spec: ViewSpec, _ view: Int, _ tick: UInt64) {
        var width = spec.key == .none ? 0 : (spec.key == .both ? 2 : 1)
        if case .grouped = spec.shape { width += 2 }
        var seen: Set<[Value]> = []
        for (row, weight) in outcome.views[view].rows {
            if weight != 1 || !seen.insert(Array(row.prefix(width))).inserted {
                violations.append("tick \(tick): view \(view) holds ×\(weight) \(DataflowOutcome.text(row)), or its key twice")
            }
        }
    }

    // MARK: The accounts

    private func settle() {
        for source in item.sources.indices {
            let intake = circuit.intake(of: source)
            outcome.sources[source].accepted = Int(intake.rows)
            outcome.sources[source].refused.sort()
            let refused = outcome.sources[source].refused.count + outcome.sources[source].unreadable
            if Int(intake.rejected) != refused {
                violations.append("source \(source) counts \(intake.rejected) rejected, there are \(refused) letters")
            }
            let delivered = log.reduce(0) { $0 + $1.deliveries[source].reduce(0) { $0 + $1.rows.count + $1.unreadable } }
            if Int(intake.rows) + refused != delivered {
                violations.append("source \(source): \(delivered) delivered, \(intake.rows) accepted, \(refused) refused")
            }
        }
        for view in item.views.indices {
            let counters = circuit.counters(of: view)
            outcome.views[view].rowsIn = Int(counters.rowsIn)
            outcome.views[view].counted = Int(counters.counted)
            outcome.views[view].filtered = Int(counters.filtered)
            outcome.views[view].late.sort()
            outcome.views[view].dead.sort()
            let (late, dead) = (outcome.views[view].late.count, outcome.views[view].dead.count)
            if Int(counters.late) != late || Int(counters.deadLetters) != dead {
                violations.append(
                    "view \(view) counts \(counters.late) late and \(counters.deadLetters) dead, there are \(late) and \(dead)")
            }
            if counters.rowsIn != counters.counted + counters.filtered + counters.late + counters.deadLetters {
                violations.append("view \(view): rows are not conserved: \(counters)")
            }
        }
    }
}
