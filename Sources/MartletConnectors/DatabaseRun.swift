package import MartletCore
internal import MartletDataflow
package import MartletEngine
internal import MartletLog
package import MartletPlatform
internal import Synchronization

extension WakeSignal: WaitSignal {}

/// A database on this machine's threads, clock and files: durable in a log, or, without one, for as long as it runs.
package final class DatabaseRun: Sendable {
    package let database: Database
    private let way: Way
    private let registry: MetricsRegistry?

    private enum Way: Sendable {
        case durable(DurableRun, DurableSettings, TopicInterest)
        /// Nothing is kept; ticks are true at once.
        case fleeting(WakeSignal)
    }

    /// Wakes the driver, once there is one.
    private final class Wake: Sendable {
        private let body = Mutex<(@Sendable () -> Void)?>(nil)

        func set(_ given: @escaping @Sendable () -> Void) { body.withLock { $0 = given } }
        func callAsFunction() { body.withLock { $0 }?() }
    }

    /// Says what becomes of ticks, once there is somebody who knows.
    private final class Standing: Sendable {
        private let body = Mutex<(@Sendable () -> DriverStanding)?>(nil)

        func set(_ given: @escaping @Sendable () -> DriverStanding) { body.withLock { $0 = given } }
        func callAsFunction() -> DriverStanding { body.withLock { $0 }?() ?? DriverStanding() }
    }

    package init(_ options: RunOptions, registry: MetricsRegistry?) throws(SQLError) {
        self.registry = registry
        let clock = SystemClock()
        let log = options.durable?.place.log
        let outDirectory = options.outDirectory
        let connectors = LocalConnectors(outDirectory: outDirectory, clock: clock, log: log, isPatient: true)
        var settings = PipelineOptions(shards: options.shards)
        settings.limits = options.limits
        settings.evaluation = TimeZoneFiles.context
        let executor: ThreadedExecutor
        do {
            executor = try ThreadedExecutor(shards: options.shards)
        } catch {
            throw SQLError(.configurationLimitExceeded, "\(error)")
        }
        let wake = Wake()
        var surroundings = DatabaseSurroundings(
            clock: clock, connectors: connectors, executor: executor, makeSignal: { WakeSignal() }, wake: { wake() },
            makeReaders: { LocalConnectors(outDirectory: outDirectory, clock: SystemClock(), log: log, readsToNow: true) })
        surroundings.yield = { BlockingPool.yieldUntilDone() }
        surroundings.entropy = SystemEntropy()
        let standing = Standing()
        surroundings.driverStanding = { standing() }
        surroundings.changes = options.durable.map { ChangeTopics($0.place.log, database: $0.place.name, makeSignal: { WakeSignal() }) }
        surroundings.logger = options.durable?.logger
        if options.durable?.resets == true { try surroundings.changes?.forgetAll() }
        database = Database(settings, surroundings)
        if let durable = options.durable {
            let run = try DurableRun(
                database, durable.place, options: durable.options, resets: durable.resets, logger: durable.logger, registry: registry)
            wake.set { run.wake() }
            standing.set { run.standing }
            way = .durable(run, durable, connectors.interest)
        } else {
            let signal = WakeSignal()
            wake.set { signal.notify() }
            way = .fleeting(signal)
        }
    }

    /// Drives it on the calling thread until `shouldStop` answers true (asked between ticks, and after `wake`).
    /// `onRecovered` is called before the first tick; from then on requests are answered.
    package func run(shouldStop: () -> Bool, onRecovered: () -> Void, onUnitFailure: (SQLError) -> Void) throws(SQLError) {
        defer { database.close() }
        let metrics = registry.map { DatabaseMetrics($0, clock: SystemClock()) }
        switch way {
        case .durable(let run, let settings, let interest):
            let listening = interest.listen(to: settings.place.log) { run.wake() }
            defer { settings.place.log.removePublishListener(listening) }
            try run.run(
                forgetsWhenFinished: false, idleNanosMax: DatabaseRun.idleNanosMax, shouldStop: shouldStop,
                onRecovered: { report in
                    settings.tell(report)
                    onRecovered()
                },
                betweenTicks: { () throws(SQLError) in
                    database.giveObservation()
                    for failure in database.takeFailures() { onUnitFailure(failure) }
                    metrics?.update(database)
                })
        case .fleeting(let signal):
            onRecovered()
            try drive(signal, shouldStop, onUnitFailure)
        }
    }

    private func drive(_ signal: WakeSignal, _ shouldStop: () -> Bool, _ onUnitFailure: (SQLError) -> Void) throws(SQLError) {
        while !shouldStop() {
            let ticket = signal.ticket
            let step = try database.step(replaying: nil)
            let targets = database.targets
            for (target, part) in step.output.parts { try targets[target].write(part.bytes.bytes) }
            for case let target as any ExternalTarget in targets { try target.endTick(step.output.tick, isFollowed: database.hasWork) }
            for (_, part) in step.output.parts { step.output.pool?.give(part.bytes) }
            database.committed(through: database.tick)
            for failure in database.takeFailures() { onUnitFailure(failure) }
            if !step.report.madeProgress, !database.hasWork { signal.wait(after: ticket, timeoutNanos: DatabaseRun.idleNanosMax) }
        }
    }

    /// Returns when the sources of all units are at their end, or `patience` has passed without anything new.
    package func settle(patienceNanos: Int64 = 300_000_000) throws(SQLError) {
        let clock = SystemClock()
        var before = database.progress
        var quietSince = clock.monotonicNanos()
        while true {
            if before.isFinished { return }
            clock.sleep(nanos: 2_000_000)
            let now = database.progress
            if now.ticks != before.ticks { quietSince = clock.monotonicNanos() }
            before = now
            if clock.monotonicNanos() - quietSince > patienceNanos { return }
        }
    }

    /// Sources are looked at this often when nobody wakes the driver.
    private static let idleNanosMax: Int64 = 5_000_000
}
