internal import MartletCore
internal import MartletEngine
internal import Synchronization

/// Figures of a durable run in the metrics registry. Any thread.
final class DurableMetrics: Sendable {
    let retries: Counter
    private let busy: Counter
    private let idle: Counter
    private let blocked: Counter
    private let recoverySeconds: Gauge
    private let replayed: Counter
    private let pause: Histogram
    private let writing: Histogram
    private let checkpoints: Counter
    private let failures: Counter
    private let stateBytes: Gauge
    private let undurable: Gauge
    private let waitingTicks: Gauge
    private let waitingBytes: Gauge
    /// Nanoseconds so far.
    let times = Times()

    /// What the driver's time went into. Any thread.
    final class Times: Sendable {
        let busy = Atomic<Int64>(0)
        let idle = Atomic<Int64>(0)
        let blocked = Atomic<Int64>(0)
    }

    init(_ registry: MetricsRegistry, pipeline: String) {
        let label = [MetricLabel("pipeline", pipeline)]
        retries = registry.counter("martlet_sink_retries_total", help: "Attempts that a sink outside refused for the moment.", label)
        func time(_ state: String) -> Counter {
            registry.counter(
                "martlet_pipeline_time_seconds_total",
                help: "What the pipeline's time went into: ticks (busy), waiting for input (idle), waiting for the log or a sink (blocked).",
                unit: .nanosecondsAsSeconds, label + [MetricLabel("state", state)])
        }
        busy = time("busy")
        idle = time("idle")
        blocked = time("blocked")
        recoverySeconds = registry.gauge(
            "martlet_recovery_seconds", help: "How long the last start took until the first new tick.", unit: .microsecondsAsSeconds, label)
        replayed = registry.counter("martlet_recovery_ticks_total", help: "Ticks carried out again at the start.", label)
        pause = registry.histogram(
            "martlet_checkpoint_pause_seconds", help: "How long the pipeline stood still for a checkpoint.", unit: .nanosecondsAsSeconds,
            label)
        writing = registry.histogram(
            "martlet_checkpoint_write_seconds", help: "How long a checkpoint's state took to be written.", unit: .nanosecondsAsSeconds, label)
        checkpoints = registry.counter("martlet_checkpoints_total", help: "Checkpoints taken.", label)
        failures = registry.counter("martlet_checkpoint_failures_total", help: "Checkpoints that failed and are tried again.", label)
        stateBytes = registry.gauge("martlet_checkpoint_bytes", help: "Size of the last checkpoint.", label)
        undurable = registry.gauge("martlet_ticks_in_flight", help: "Ticks on their way to the disk.", label)
        waitingTicks = registry.gauge("martlet_sink_waiting_ticks", help: "Ticks that sinks outside have yet to get.", label)
        waitingBytes = registry.gauge("martlet_sink_waiting_bytes", help: "Bytes that sinks outside have yet to get.", label)
    }

    func recovered(_ report: RecoveryReport) {
        recoverySeconds.set(report.nanos / 1000)
        replayed.add(report.ticksReplayed)
    }

    /// The driver's time since the last call, in nanoseconds, one of them above 0.
    func spent(busy busyNanos: Int64 = 0, idle idleNanos: Int64 = 0, blocked blockedNanos: Int64 = 0) {
        times.busy.wrappingAdd(max(busyNanos, 0), ordering: .relaxed)
        times.idle.wrappingAdd(max(idleNanos, 0), ordering: .relaxed)
        times.blocked.wrappingAdd(max(blockedNanos, 0), ordering: .relaxed)
        busy.add(UInt64(max(busyNanos, 0)))
        idle.add(UInt64(max(idleNanos, 0)))
        blocked.add(UInt64(max(blockedNanos, 0)))
    }

    /// Called by the driver's thread after each tick.
    func update(_ driver: DurableDriver) {
        let lag = driver.deliveries.lag
        undurable.set(Int64(lag.undurable))
        waitingTicks.set(Int64(lag.waiting))
        waitingBytes.set(Int64(lag.bytes))
    }

    func checkpoint(_ news: CheckpointNews, pauseNanos: Int64) {
        guard case .taken(let writeNanos, let bytes) = news else { return failures.add() }
        checkpoints.add()
        pause.record(pauseNanos)
        writing.record(writeNanos)
        stateBytes.set(bytes)
    }
}
