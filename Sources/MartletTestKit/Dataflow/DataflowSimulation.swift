package import MartletCore

/// One cycle of `./dev simulate`: a random pipeline over random input with disorder, silence, rows from the future and
/// rows that cannot be used, run under random ticks, batches, shards and orders, and compared with `DataflowModel`.
package enum DataflowSimulation {
    package struct Result: Sendable {
        /// What went wrong, in words; empty where nothing did.
        package var failures: [String] = []
        package var rows = 0
        package var ticks = 0
        package var late = 0
        package var traceHash: UInt64 = 0

        package init() {}

        package mutating func add(_ other: Result) {
            rows += other.rows
            ticks += other.ticks
            late += other.late
            traceHash = (traceHash ^ other.traceHash) &* 0x100_0000_01B3
        }
    }

    /// The same seed gives the same case, the same runs and the same result.
    package static func cycle(seed: UInt64) -> Result {
        var random = SplitMix64(seed: seed)
        let item = randomCase(&random)
        let first = randomSettings(&random)
        let second = randomSettings(&random)
        var result = Result()
        do {
            let run = try check(item, first, &result)
            let again = try check(item, first, &result)
            if run.trace.hash != again.trace.hash {
                result.failures.append("two runs of one seed differ: something depends on an address, a clock or hash order")
            }
            _ = try check(item, second, &result)
            result.traceHash = run.trace.hash
        } catch {
            result.failures.append("\(error)")
        }
        if !result.failures.isEmpty { result.failures.append(describe(item)) }
        return result
    }

    private static func check(_ item: DataflowCase, _ settings: DataflowSettings, _ result: inout Result) throws -> DataflowRun {
        let run = try DataflowRun(item, settings)
        run.run()
        result.rows += run.outcome.sources.reduce(0) { $0 + $1.accepted }
        result.ticks += run.log.count
        result.late += run.outcome.views.reduce(0) { $0 + $1.late.count }
        let found = run.violations.prefix(10) + run.outcome.differences(from: expected(item, run))
        if !found.isEmpty, result.failures.isEmpty { result.failures += ["with \(settings):"] + found }
        return run
    }

    /// By the rows alone where nothing hangs on the clock; else by the ticks as they were.
    package static func expected(_ item: DataflowCase, _ run: DataflowRun) -> DataflowOutcome {
        let dependsOnClock = item.sources.contains { $0.idleTimeout != nil || $0.maxFutureSkew != nil || !$0.finishes }
        return (dependsOnClock ? DataflowModel(item, log: run.log) : DataflowModel(item)).expected()
    }

    private static func describe(_ item: DataflowCase) -> String {
        let sources = item.sources.enumerated().map { at, source in
            "source \(at): delay \(source.delay), idle_timeout \(source.idleTimeout ?? -1), max_future_skew "
                + "\(source.maxFutureSkew ?? -1), \(source.partitions.map(\.count)) steps"
        }
        return (sources + item.views.enumerated().map { "view \($0): \($1)" }).joined(separator: "\n")
    }

    // MARK: Chance

    package static func randomSettings(_ random: inout SplitMix64) -> DataflowSettings {
        var settings = DataflowSettings(
            shards: [1, 1, 2, 3, 4, 7][random.below(6)], batchRows: [1, 7, 4096][random.below(3)],
            rowsPerTick: [1, 10, 100, 10_000][random.below(4)], seed: random.next())
        settings.isErratic = random.chance(0.7)
        settings.tickNanos = [1_000, 1_000_000, 700_000_000][random.below(3)]
        return settings
    }

    package static func randomCase(_ random: inout SplitMix64) -> DataflowCase {
        // Now (the simulated clock's start), the epoch, and long before it.
        let origin: Int64 = [1_767_225_600_000_000, 0, -86_400_000_000_000][random.below(3)]
        let unit: Int64 = [1, 1_000, 1_000_000][random.below(3)]
        let hangsOnClock = random.chance(0.4)
        var nextID: Int64 = 0
        let sources = (0..<(random.chance(0.2) ? 2 : 1)).map { _ in
            randomSource(&random, origin: origin, unit: unit, hangsOnClock: hangsOnClock, nextID: &nextID)
        }
        let views = (0..<(1 + random.below(3))).map { _ in randomView(&random, unit: unit) }
        return DataflowCase(sources: sources, views: views)
    }

    private static func randomSource(
        _ random: inout SplitMix64, origin: Int64, unit: Int64, hangsOnClock: Bool, nextID: inout Int64
    ) -> SourceScript {
        var source = SourceScript(delay: [0, 1, 5, 30][random.below(4)] * unit, partitions: [])
        if hangsOnClock {
            if random.chance(0.7) { source.idleTimeout = [1, 5_000, 1_000_000][random.below(3)] }
            if random.chance(0.4) { source.maxFutureSkew = [0, 100, 50_000_000][random.below(3)] }
            source.finishes = random.chance(0.7)
        }
        for _ in 0..<(1 + random.below(4)) {
            source.partitions.append(
                randomSteps(&random, origin: origin, unit: unit, hasSilence: hangsOnClock, nextID: &nextID))
        }
        return source
    }

    private static func randomSteps(
        _ random: inout SplitMix64, origin: Int64, unit: Int64, hasSilence: Bool, nextID: inout Int64
    ) -> [ScriptStep] {
        let keys = 1 + random.below(8)
        let disorder = [0, 0, 3, 20][random.below(4)]
        let lateShare = [0, 0.02, 0.2][random.below(3)]
        let isClean = random.chance(0.5)
        // Partitions start apart, and go at different speeds.
        var now = origin + random.within(0...50) * unit
        let stride = [0, 1, 2, 10][random.below(4)] * Int(unit)
        var steps: [ScriptStep] = []
        for _ in 0..<[0, 1, 12, 60, 150][random.below(5)] {
            if hasSilence, random.chance(0.05) {
                steps.append(.silence(nanos: [1_000, 10_000_000, 3_000_000_000][random.below(3)]))
            }
            if !isClean, random.chance(0.03) { steps.append(.unreadable) }
            now += random.within(0...Int64(stride))
            var time: Int64? = now - random.within(0...Int64(disorder)) * unit
            if random.chance(lateShare) { time = now - random.within(0...200) * unit }
            if !isClean, random.chance(0.04) {
                time = [nil, .max, .min, now + 86_400_000_000][random.below(hasSilence ? 4 : 3)]
            }
            let key: Int64? = random.chance(0.05) ? nil : Int64(random.below(keys))
            let value: Int64? = random.chance(0.1) ? nil : random.within(-2...9)
            steps.append(.row(ScriptedRow(id: nextID, time: time, key: key, value: value)))
            nextID += 1
        }
        return steps
    }

    private static func randomView(_ random: inout SplitMix64, unit: Int64) -> ViewSpec {
        let size = random.within(1...40)
        let hop = random.chance(0.4) ? size : random.within(max(1, size / 12)...(size + 10))
        let window = WindowSpec(
            size: size * unit, hop: hop * unit, offset: random.chance(0.5) ? 0 : random.within(-50...50) * unit)
        let shapes: [ViewSpec.Shape] = [
            .select, .ordered, .running(byValue: random.chance(0.5)), .plain, .sliced(window), .sliced(window), .sliced(window),
            .grouped(window, onClose: false), .grouped(window, onClose: true), .cascade(window),
        ]
        return ViewSpec(
            shapes[random.below(shapes.count)], key: [.none, .number, .label, .both][random.below(4)],
            predicate: [.all, .all, .valueAtLeast(2), .quotientAtLeast(200)][random.below(4)],
            argument: random.chance(0.7) ? .value : .quotient, allowedLateness: [0, 0, 7, 60][random.below(4)] * unit)
    }
}
