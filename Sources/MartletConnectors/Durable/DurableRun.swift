package import MartletCore
package import MartletDataflow
package import MartletEngine
package import MartletLog
internal import MartletPlatform
internal import Synchronization

/// Where a machine's past is kept, and what it is called there.
package struct DurablePlace: Sendable {
    package var log: Log
    /// The data directory.
    package var directory: String
    /// Of the pipeline; a part of a topic's name and a directory's.
    package var name: String

    package init(log: Log, directory: String, name: String) {
        self.log = log
        self.directory = directory
        self.name = name
    }

    var checkpoints: CheckpointStore {
        CheckpointStore(SystemDisk(), directory: "\(CheckpointStore.directory(in: directory))/\(name)")
    }

    /// What can be both: letters, digits, `-` and `_`, at most 200 of them; anything else becomes `_`.
    package static func name(of text: String) -> String {
        let name = String(
            text.utf8.prefix(200).map { byte in
                let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 95
                return isPlain ? Character(UnicodeScalar(byte)) : "_"
            })
        return name.isEmpty ? "default" : name
    }
}

/// Drives a machine on this machine's threads, durably: the caller's thread carries out ticks, the log's journal thread
/// makes them durable, one thread of its own delivers them to targets outside the log.
package final class DurableRun: Sendable {
    private let driver: Driver
    private let deliveries: Deliveries
    private let place: DurablePlace
    private let ticks: TickLog
    private let metrics: DurableMetrics
    private let logger: StructuredLog
    /// Wakes the driver, and the deliverer.
    private let signal = WakeSignal()
    private let work = WakeSignal()
    private let copies: ForkedCheckpoints
    private let isStopping = Atomic<Bool>(false)

    /// Used by the driver's thread alone.
    private struct Driver: @unchecked Sendable {
        let durable: DurableDriver
        let machine: any TickMachine
    }

    /// - Parameter resets: what is kept of the pipeline is forgotten first.
    package init(
        _ machine: any TickMachine, _ place: DurablePlace, options: DurableOptions, resets: Bool = false, logger: StructuredLog,
        registry: MetricsRegistry?, latency: Histogram? = nil
    ) throws(SQLError) {
        self.place = place
        self.logger = logger
        metrics = DurableMetrics(registry ?? MetricsRegistry(), pipeline: place.name)
        do throws(LogError) {
            let topic = try place.log.ensureTopic(
                TickLog.topicPrefix + place.name, partitions: 1, overrides: TickLog.settings, isInternal: true)
            ticks = TickLog(place.log, topic: topic)
        } catch {
            throw SQLError(.ioError, "the topic for the ticks of \"\(place.name)\" cannot be made: \(error)")
        }
        if resets { try DurableDriver.forget(ticks, place.checkpoints) }
        let (signal, work) = (signal, work)
        copies = ForkedCheckpoints(wake: { signal.notify() })
        let durable = DurableDriver(
            machine, ticks: ticks, checkpoints: place.checkpoints, clock: SystemClock(), options: options, copies: copies,
            latency: latency,
            wake: {
                signal.notify()
                work.notify()
            })
        driver = Driver(durable: durable, machine: machine)
        deliveries = durable.deliveries
    }

    /// What the driver's time went into, and what waits. Any thread.
    package var standing: DriverStanding {
        var standing = deliveries.standing
        standing.busyNanos = metrics.times.busy.load(ordering: .relaxed)
        standing.idleNanos = metrics.times.idle.load(ordering: .relaxed)
        standing.blockedNanos = metrics.times.blocked.load(ordering: .relaxed)
        return standing
    }

    /// Ends the driver's wait: there is something to be done. Any thread.
    package func wake() { signal.notify() }

    /// Brings the machine back, then drives it until it is finished or `shouldStop` answers true (asked between ticks, and
    /// after `wake`). All on the calling thread, which `betweenTicks` and `afterTick` see as well; `onRecovered` is called
    /// before the first tick.
    ///
    /// A stop takes a checkpoint, so that the next start has nothing to replay. A machine that is finished has its targets
    /// finished, and is forgotten if `forgetsWhenFinished`.
    package func run(
        forgetsWhenFinished: Bool, idleNanosMax: Int64 = 5_000_000, shouldStop: () -> Bool,
        onRecovered: (RecoveryReport) -> Void = { _ in }, betweenTicks: () throws(SQLError) -> Void = {},
        afterTick: (TickReport, Int64) -> Void = { _, _ in }
    ) throws(SQLError) {
        let deliverer: WorkerThread
        do throws(ThreadError) {
            deliverer = try WorkerThread(name: "deliver") { [self] in deliver() }
            try copies.start()
        } catch {
            throw SQLError(.configurationLimitExceeded, "\(error)")
        }
        defer {
            copies.stop()
            isStopping.store(true, ordering: .sequentiallyConsistent)
            work.notify()
            // A server that says nothing must not hold up the end; what it lacks comes with the next start.
            for case let target as any ExternalTarget in driver.machine.targets { target.interrupt() }
            deliverer.join()
        }
        let clock = SystemClock()
        let report: RecoveryReport
        var awaitsJournal = false
        do throws(SQLError) {
            report = try driver.durable.recover { (wait) throws(SQLError) in
                if shouldStop() { throw SQLError.stopped }
                if let failure = place.log.failure { throw SQLError(.ioError, "\(failure)") }
                switch wait {
                case .deliveries: break
                case .journal:
                    if !awaitsJournal { logger.warn("the journal is full; the pipeline waits until it has room", ["pipeline": .string(place.name)]) }
                    awaitsJournal = true
                case .target(let error):
                    logger.warn(
                        "a sink is away; the pipeline waits for it", ["pipeline": .string(place.name), "error": .string(error.message)])
                }
                signal.wait(after: signal.ticket, timeoutNanos: wait.nanos)
            }
        } catch {
            if error == SQLError.stopped { return }
            throw error
        }
        metrics.recovered(report)
        onRecovered(report)
        var idleNanos = DurableRun.idleNanosMin
        var isFinished = false
        var since = clock.monotonicNanos()
        /// The time since the last call.
        func lap() -> Int64 {
            let now = clock.monotonicNanos()
            defer { since = now }
            return now - since
        }
        while !isFinished && !shouldStop() {
            let ticket = signal.ticket
            try betweenTicks()
            let start = clock.monotonicNanos()
            guard let report = try driver.durable.step() else {
                signal.wait(after: ticket, timeoutNanos: DurableRun.retryNanos)
                metrics.spent(blocked: lap())
                continue
            }
            afterTick(report, clock.monotonicNanos() - start)
            metrics.update(driver.durable)
            isFinished = report.isFinished
            if driver.durable.isCheckpointDue { driver.durable.checkpointIfNeeded() }
            if let news = driver.durable.takeCheckpointNews() { tell(news) }
            metrics.spent(busy: lap())
            if report.madeProgress {
                idleNanos = DurableRun.idleNanosMin
            } else if !isFinished {
                signal.wait(after: ticket, timeoutNanos: idleNanos)
                idleNanos = min(idleNanos * 2, idleNanosMax)
                metrics.spent(idle: lap())
            }
        }
        try end(isFinished: isFinished, forgets: forgetsWhenFinished, clock)
    }

    private func tell(_ news: CheckpointNews) {
        metrics.checkpoint(news, pauseNanos: driver.durable.pauseNanos)
        let why: String
        switch news {
        case .taken: return
        case .failed(let error): why = error.message
        case .copyDied: why = "the copy of the process that wrote it ended before its time"
        }
        logger.warn("a checkpoint failed and is tried again", ["pipeline": .string(place.name), "error": .string(why)])
    }

    private func end(isFinished: Bool, forgets: Bool, _ clock: SystemClock) throws(SQLError) {
        // A stop takes its own.
        copies.cancel()
        guard try settle(clock, patienceNanos: isFinished ? .max : DurableRun.stopNanosMax) else {
            logger.warn("stopped while a sink is away: what it lacks is written after the next start", ["pipeline": .string(place.name)])
            return
        }
        if isFinished {
            for case let target as any ExternalTarget in driver.machine.targets { try target.finish() }
            if forgets { return try DurableDriver.forget(ticks, place.checkpoints) }
        }
        driver.durable.checkpointIfNeeded(standsStill: true)
        _ = try settle(clock, patienceNanos: DurableRun.stopNanosMax)
        if let news = driver.durable.takeCheckpointNews() { tell(news) }
    }

    /// Waits until everything is where it belongs; false: not within the time.
    private func settle(_ clock: SystemClock, patienceNanos: Int64) throws(SQLError) -> Bool {
        let start = clock.monotonicNanos()
        while true {
            let ticket = signal.ticket
            if driver.durable.isSettled { return true }
            if clock.monotonicNanos() - start > patienceNanos { return false }
            if try !driver.durable.commitWaiting() { signal.wait(after: ticket, timeoutNanos: DurableRun.retryNanos) }
            try deliveries.throwIfFailed()
            if let failure = place.log.failure { throw SQLError(.ioError, "\(failure)") }
        }
    }

    /// With nothing to read, the driver looks again after this, then twice as long, up to the maximum; `wake` ends it sooner.
    private static let idleNanosMin: Int64 = 200_000
    /// When there is no room in the log, look again after this.
    private static let retryNanos: Int64 = 2_000_000
    /// How long a stop waits for sinks that are away.
    private static let stopNanosMax: Int64 = 10_000_000_000

    // MARK: The deliverer

    private func deliver() {
        var backoff = DurableRun.backoffNanosMin
        var isAway = false
        while true {
            let ticket = work.ticket
            do throws(SQLError) {
                if try deliveries.deliverNext() {
                    if isAway { logger.info("a sink is back", ["pipeline": .string(place.name)]) }
                    (isAway, backoff) = (false, DurableRun.backoffNanosMin)
                    continue
                }
            } catch {
                guard error.isTransient else { return deliveries.fail(error) }
                metrics.retries.add()
                if !isAway {
                    logger.warn("a sink is away; its rows wait", ["pipeline": .string(place.name), "error": .string(error.message)])
                }
                isAway = true
                if isStopping.load(ordering: .sequentiallyConsistent) { return }
                SystemClock().sleep(nanos: backoff)
                backoff = min(backoff * 2, DurableRun.backoffNanosMax)
                continue
            }
            if isStopping.load(ordering: .sequentiallyConsistent) { return }
            work.wait(after: ticket, timeoutNanos: 500_000_000)
        }
    }

    private static let backoffNanosMin: Int64 = 10_000_000
    private static let backoffNanosMax: Int64 = 2_000_000_000
}

extension SQLError {
    /// Somebody asked for the end while the machine came back; the next start begins where this one did.
    fileprivate static let stopped = SQLError(.queryCanceled, "stopped while the pipeline was brought back")
}
