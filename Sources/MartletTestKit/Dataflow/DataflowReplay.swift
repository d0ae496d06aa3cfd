internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletState

/// Brings circuits back: a case runs to its end, undisturbed but for being saved on the way; then, for some of its ticks, a
/// new circuit is restored from what was saved there and the recorded ticks after it are carried out again. Each must give
/// what it gave, and the end must be the same, to the byte.
package enum DataflowReplay {
    /// What a tick gave out: rows with what their weights come to, late rows and dead letters.
    typealias Given = [String: Int64]

    private struct Tick {
        /// As a log would have kept it; nil: not worth keeping.
        var record: [UInt8]?
        var given: Given
        var saved: [UInt8]
    }

    /// What went wrong; empty if nothing did.
    ///
    /// - Parameter cuts: ticks to come back at.
    package static func problems(_ item: DataflowCase, _ settings: DataflowSettings, cuts: Int) -> [String] {
        do {
            var random = SplitMix64(seed: settings.seed)
            let clock = SimulatedClock()
            let machine = try DataflowMachine(item, settings, clock: clock, random: &random)
            var ticks = [Tick(record: nil, given: [:], saved: try saved(machine))]
            var silent = 0
            while silent < settings.silentTicksMax, !machine.circuit.isFinished {
                var given: Given = [:]
                let report = tick(machine, settings, clock, silent: silent, &random) { given = $0 }
                silent = report.madeProgress ? 0 : silent + 1
                ticks.append(Tick(record: report.inputs?.encode(), given: given, saved: try saved(machine)))
            }
            var problems: [String] = []
            for (number, tick) in ticks.enumerated() where number > 0 && tick.record == nil && !tick.given.isEmpty {
                problems.append("tick \(number) gave \(tick.given.count) rows and would not be kept")
            }
            for _ in 0..<cuts where problems.isEmpty {
                let cut = random.below(ticks.count)
                problems = try comeBack(item, settings, ticks, at: cut, &random)
                if problems.isEmpty, item.isIndependentOfClock { problems = try goOn(item, settings, ticks, at: cut, &random) }
                problems = problems.map { "back at tick \(cut) of \(ticks.count - 1): \($0)" }
            }
            return problems
        } catch {
            return ["\(error)"]
        }
    }

    /// One tick; while nothing comes, each takes twice as long as the one before, so that silence passes.
    private static func tick(
        _ machine: DataflowMachine, _ settings: DataflowSettings, _ clock: SimulatedClock, silent: Int, _ random: inout SplitMix64,
        _ given: (Given) -> Void
    ) -> TickReport {
        machine.drawLimits(settings, &random)
        clock.advance(nanos: min(settings.tickNanos << Int64(min(silent, 30)), 10_000_000_000))
        let report = machine.circuit.step()
        given(take(report, machine))
        return report
    }

    /// Every tick after the cut is carried out again.
    private static func comeBack(
        _ item: DataflowCase, _ settings: DataflowSettings, _ ticks: [Tick], at cut: Int, _ random: inout SplitMix64
    ) throws -> [String] {
        let machine = try restored(item, settings, ticks[cut].saved, &random)
        if try saved(machine) != ticks[cut].saved { return ["saved again it is not the same"] }
        var last = cut
        for number in (cut + 1)..<max(ticks.count, cut + 1) {
            guard let record = ticks[number].record else { continue }
            last = number
            machine.circuit.limits.batchRows = [1, 3, 7, 64, 4096][random.below(5)]
            let report = try machine.circuit.step(replaying: try TickInputs(decoding: record))
            if let failure = machine.circuit.failure { return ["tick \(number): \(failure)"] }
            if report.inputs?.encode() != record { return ["tick \(number) makes another record"] }
            let given = take(report, machine)
            if given != ticks[number].given { return differences(given, ticks[number].given).map { "tick \(number): \($0)" } }
        }
        return try saved(machine) == ticks[last].saved ? [] : ["in the end its state is another"]
    }

    /// From the cut on the circuit goes its own way; all in all it gives what the undisturbed run gave.
    private static func goOn(
        _ item: DataflowCase, _ settings: DataflowSettings, _ ticks: [Tick], at cut: Int, _ random: inout SplitMix64
    ) throws -> [String] {
        let clock = SimulatedClock()
        var total: Given = [:]
        for tick in ticks[...cut] { total.merge(tick.given, uniquingKeysWith: +) }
        var expected = total
        for tick in ticks[(cut + 1)...] { expected.merge(tick.given, uniquingKeysWith: +) }
        let machine = try restored(item, settings, ticks[cut].saved, &random, clock: clock)
        var silent = 0
        while !machine.circuit.isFinished, silent < settings.silentTicksMax {
            let report = tick(machine, settings, clock, silent: silent, &random) { total.merge($0, uniquingKeysWith: +) }
            silent = report.madeProgress ? 0 : silent + 1
        }
        let (mine, theirs) = (total.filter { $0.value != 0 }, expected.filter { $0.value != 0 })
        return mine == theirs ? [] : differences(mine, theirs).map { "going on: \($0)" }
    }

    private static func restored(
        _ item: DataflowCase, _ settings: DataflowSettings, _ bytes: [UInt8], _ random: inout SplitMix64,
        clock: SimulatedClock = SimulatedClock()
    ) throws -> DataflowMachine {
        let machine = try DataflowMachine(item, settings, clock: clock, random: &random)
        let reader = StateReader(bytes)
        try machine.circuit.restore(from: reader)
        try reader.finish()
        return machine
    }

    private static func saved(_ machine: DataflowMachine) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let writer = StateWriter { piece in bytes += piece }
        machine.circuit.save(into: writer)
        try writer.finish()
        return bytes
    }

    private static func take(_ report: TickReport, _ machine: DataflowMachine) -> Given {
        var given: Given = [:]
        for (view, collector) in machine.collectors.enumerated() {
            for (row, weight) in collector.take() { given["view \(view): \(DataflowOutcome.text(row))", default: 0] += weight }
        }
        for row in report.lateRows {
            let (block, at) = (row.block, row.blockRow)
            let place = "\(block.source)/\(block.partition)/\(block.offsets[at])"
            given["late for \(row.view): \(place) \(row.eventTime) \(row.watermark)", default: 0] += 1
        }
        for letter in report.deadLetters {
            let place = "\(letter.source)/\(letter.partition)/\(letter.offset)"
            given["dead: \(letter.view ?? -1) \(place) \(letter.reasonCode)", default: 0] += 1
        }
        return given.filter { $0.value != 0 }
    }

    private static func differences(_ found: Given, _ expected: Given) -> [String] {
        Set(found.keys).union(expected.keys).sorted().filter { found[$0] != expected[$0] }.prefix(6).map {
            "\($0): expected ×\(expected[$0] ?? 0), found ×\(found[$0] ?? 0)"
        }
    }

    // MARK: - Damage

    /// A state of a case with every byte changed, one at a time, and cut off behind every byte: all must be refused. The
    /// answer: how many bytes that were, and what was not refused.
    package static func damaged(_ item: DataflowCase, _ settings: DataflowSettings, ticks: Int) throws -> (bytes: Int, problems: [String]) {
        let state = try state(item, settings, ticks: ticks)
        var problems: [String] = []
        func mustFail(_ bytes: [UInt8], _ what: String) {
            var random = SplitMix64(seed: 1)
            do {
                _ = try restored(item, settings, bytes, &random)
                problems.append("\(what) was taken")
            } catch {
                if !(error is StateError) { problems.append("\(what): \(error)") }
            }
        }
        for at in state.indices {
            var changed = state
            changed[at] ^= UInt8(1 << (at % 8))
            mustFail(changed, "byte \(at) of \(state.count), changed,")
            mustFail(Array(state[..<at]), "the first \(at) bytes of \(state.count)")
        }
        return (state.count, problems)
    }

    /// A state whose content is changed at random behind right checksums, as no damage but only a foreign hand does it: it is
    /// refused, or taken for what it then is, and never ends the process. The answer: how many were taken.
    package static func forged(_ item: DataflowCase, _ settings: DataflowSettings, ticks: Int, tries: Int) throws -> Int {
        var random = SplitMix64(seed: settings.seed)
        let reader = StateReader(try state(item, settings, ticks: ticks))
        var payload: [UInt8] = []
        while let byte = try? reader.read(UInt8.self) { payload.append(byte) }
        var taken = 0
        for _ in 0..<tries {
            var changed = payload
            for _ in 0...random.below(3) {
                let at = random.below(changed.count)
                changed[at] = random.chance(0.5) ? UInt8(truncatingIfNeeded: random.next()) : changed[at] ^ UInt8(1 << random.below(8))
            }
            var bytes: [UInt8] = []
            let writer = StateWriter { piece in bytes += piece }
            changed.withUnsafeBytes { writer.writeRaw($0) }
            try writer.finish()
            let clock = SimulatedClock()
            guard let machine = try? restored(item, settings, bytes, &random, clock: clock) else { continue }
            taken += 1
            _ = try saved(machine)
        }
        return taken
    }

    private static func state(_ item: DataflowCase, _ settings: DataflowSettings, ticks: Int) throws -> [UInt8] {
        var random = SplitMix64(seed: settings.seed)
        let clock = SimulatedClock()
        let machine = try DataflowMachine(item, settings, clock: clock, random: &random)
        machine.circuit.limits.bytesPerPartition = settings.rowsPerTick * ScriptedPartition.rowBytes
        machine.circuit.limits.batchRows = settings.batchRows
        for _ in 0..<ticks {
            clock.advance(nanos: settings.tickNanos)
            _ = take(machine.circuit.step(), machine)
        }
        return try saved(machine)
    }
}

extension DataflowCase {
    fileprivate var isIndependentOfClock: Bool {
        sources.allSatisfy { $0.idleTimeout == nil && $0.maxFutureSkew == nil && $0.finishes }
    }
}
