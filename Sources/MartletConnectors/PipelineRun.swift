package import MartletCore
package import MartletDataflow
package import MartletEngine
internal import MartletLog
internal import MartletPlatform
package import MartletSQL

package struct RunOptions: Sendable {
    /// One per core unless said otherwise.
    package var shards: Int
    /// Where late tables and dead letters of a run without a log land.
    package var outDirectory = "./martlet-out"
    package var limits: TickLimits
    /// The log whose topics `connector = 'kafka'` means, and where the pipeline's past is kept. The log is driven by whoever
    /// opened it, for longer than the run.
    package var durable: DurableSettings?

    package init(shards: Int) {
        self.shards = shards
        limits = TickLimits()
        limits.bytesPerPartitionMax = 8 << 20
    }
}

/// How a pipeline is kept.
package struct DurableSettings: Sendable {
    package var place: DurablePlace
    package var options = DurableOptions()
    package var logger: StructuredLog
    /// What is kept of the pipeline is forgotten first.
    package var resets = false
    /// A pipeline whose sources have ended is forgotten, so that the next run begins anew.
    package var forgetsWhenFinished = false

    package init(_ place: DurablePlace, logger: StructuredLog) {
        self.place = place
        self.logger = logger
    }
}

/// A pipeline on this machine's threads, clock and files, from start to end.
package final class PipelineRun {
    package let pipeline: Pipeline
    /// From a record's read to its result's write, nanoseconds.
    package let latency: Histogram
    private let clock = SystemClock()
    private let metrics: PipelineMetrics?
    private let way: Way

    /// Where ticks go.
    private enum Way {
        /// Straight to the targets: nothing is kept.
        case direct(ThreadedCommitter)
        case durable(DurableRun, DurableSettings, TopicInterest)
    }

    package init(_ statements: [BoundStatement], options: RunOptions, registry: MetricsRegistry?) throws(SQLError) {
        for case .session(let statement) in statements {
            guard let word = statement.needsDatabase else { continue }
            throw SQLError(
                .featureNotSupported, "\(word) needs a database", hint: "martlet serve --data-dir DIR keeps tables and answers sessions.")
        }
        let connectors = LocalConnectors(outDirectory: options.outDirectory, clock: clock, log: options.durable?.place.log)
        var settings = PipelineOptions(shards: options.shards)
        settings.limits = options.limits
        settings.evaluation = TimeZoneFiles.context
        do {
            let executor = try ThreadedExecutor(shards: settings.shards)
            pipeline = try Pipeline(
                statements, options: settings, connectors: connectors, executor: executor, clock: clock)
            latency =
                registry?.histogram(
                    "martlet_event_latency_seconds", help: "From a record's read to its result's write.",
                    unit: .nanosecondsAsSeconds) ?? Histogram()
            if var durable = options.durable {
                durable.options.shards = UInt32(clamping: settings.shards)
                let run = try DurableRun(
                    pipeline, durable.place, options: durable.options, resets: durable.resets, logger: durable.logger,
                    registry: registry, latency: latency)
                way = .durable(run, durable, connectors.interest)
            } else {
                way = .direct(try ThreadedCommitter(InlineCommitter(targets: pipeline.targets, clock: clock, latency: latency)))
            }
        } catch let error as SQLError {
            throw error
        } catch {
            throw SQLError(.configurationLimitExceeded, "\(error)")
        }
        let started = pipeline
        metrics = registry.map { PipelineMetrics(started, registry: $0, clock: SystemClock()) }
    }

    /// Runs until every source is at its end, or `shouldStop` answers true (asked between ticks). `afterTick` sees each tick.
    package func run(
        shouldStop: () -> Bool = { false }, afterTick: (TickReport) -> Void = { _ in }
    ) throws(SQLError) {
        switch way {
        case .direct(let committer): try run(committer, shouldStop, afterTick)
        case .durable(let run, let settings, let interest):
            let listening = interest.listen(to: settings.place.log) { run.wake() }
            defer { settings.place.log.removePublishListener(listening) }
            try run.run(
                forgetsWhenFinished: settings.forgetsWhenFinished, shouldStop: shouldStop,
                onRecovered: { report in settings.tell(report) },
                afterTick: { report, nanos in
                    metrics?.update(pipeline, tickNanos: nanos)
                    afterTick(report)
                })
        }
    }

    private func run(
        _ committer: ThreadedCommitter, _ shouldStop: () -> Bool, _ afterTick: (TickReport) -> Void
    ) throws(SQLError) {
        var idleNanos = PipelineRun.idleNanosMin
        while true {
            let start = clock.monotonicNanos()
            let step = try pipeline.step(replaying: nil)
            try committer.commit(step.output)
            metrics?.update(pipeline, tickNanos: clock.monotonicNanos() - start)
            afterTick(step.report)
            if step.report.isFinished || shouldStop() { break }
            if step.report.madeProgress {
                idleNanos = PipelineRun.idleNanosMin
            } else {
                clock.sleep(nanos: idleNanos)
                idleNanos = min(idleNanos * 2, PipelineRun.idleNanosMax)
            }
        }
        try committer.drain()
        try pipeline.finish()
    }

    /// With nothing to read, the driver looks again after this, then twice as long, up to the maximum.
    private static let idleNanosMin: Int64 = 200_000
    private static let idleNanosMax: Int64 = 5_000_000
}

extension DurableSettings {
    /// Logs how the machine came back.
    func tell(_ report: RecoveryReport) {
        for damage in report.damaged {
            logger.warn("a checkpoint is damaged and was passed over", ["pipeline": .string(place.name), "damage": .string(damage)])
        }
        guard let tick = report.checkpointTick else {
            logger.info("pipeline begins", ["pipeline": .string(place.name)])
            return
        }
        logger.info(
            "pipeline resumed",
            [
                "pipeline": .string(place.name), "checkpoint": .int(Int64(clamping: tick)),
                "replayed": .int(Int64(clamping: report.ticksReplayed)), "seconds": .double(Double(report.nanos) * 1e-9),
            ])
    }
}
