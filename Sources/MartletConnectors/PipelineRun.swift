package import MartletCore
package import MartletDataflow
package import MartletEngine
package import MartletLog
internal import MartletPlatform
package import MartletSQL

package struct RunOptions: Sendable {
    /// One per core unless said otherwise.
    package var shards: Int
    /// Where late tables and dead letters land.
    package var outDirectory = "./martlet-out"
    package var limits = TickLimits()
    /// The log whose topics `connector = 'kafka'` means; it is driven by whoever opened it, for longer than the run.
    package var log: Log?

    package init(shards: Int) { self.shards = shards }
}

/// A pipeline on this machine's threads, clock and files, from start to end.
package final class PipelineRun {
    package let pipeline: Pipeline
    /// From a record's read to its result's write, nanoseconds.
    package let latency: Histogram
    private let committer: ThreadedCommitter
    private let clock = SystemClock()
    private let metrics: PipelineMetrics?

    package init(_ statements: [BoundStatement], options: RunOptions, registry: MetricsRegistry?) throws(SQLError) {
        let connectors = LocalConnectors(outDirectory: options.outDirectory, clock: clock, log: options.log)
        var settings = PipelineOptions(shards: options.shards)
        settings.limits = options.limits
        settings.evaluation = TimeZoneFiles.context
        do {
            let executor = try ThreadedExecutor(shards: options.shards)
            pipeline = try Pipeline(
                statements, options: settings, connectors: connectors, executor: executor, clock: clock)
            latency =
                registry?.histogram(
                    "martlet_event_latency_seconds", help: "From a record's read to its result's write.",
                    unit: .nanosecondsAsSeconds) ?? Histogram()
            committer = try ThreadedCommitter(
                InlineCommitter(targets: pipeline.targets, pool: pipeline.pool, clock: clock, latency: latency))
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
        var idleNanos = PipelineRun.idleNanosMin
        while true {
            let start = clock.monotonicNanos()
            let report = try pipeline.step(committer)
            metrics?.update(pipeline, tickNanos: clock.monotonicNanos() - start)
            afterTick(report)
            if report.isFinished || shouldStop() { break }
            if report.madeProgress {
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
