package import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// The figures of one source. Used by the driver's thread.
final class SourceFigures {
    private let rows: Counter
    private let deadLetters: Counter
    private let skipped: Counter
    private let dropped: Counter
    private let watermark: Gauge
    private let watermarkLag: Gauge
    private var last: (rows: UInt64, rejected: UInt64, skipped: UInt64) = (0, 0, 0)
    private var lastDropped: UInt64 = 0

    init(_ name: String, registry: MetricsRegistry) {
        let label = [MetricLabel("source", name)]
        rows = registry.counter("martlet_source_rows_total", help: "Records read and accepted.", label)
        deadLetters = registry.counter("martlet_source_dead_letters_total", help: "Records that could not be read.", label)
        skipped = registry.counter("martlet_source_skipped_total", help: "Bad records left out (on_error = 'skip').", label)
        dropped = registry.counter(
            "martlet_source_dropped_total", help: "Records left out because the pipeline could not keep up.", label)
        watermark = registry.gauge(
            "martlet_source_watermark_timestamp_seconds", help: "Event time up to which the source is complete.",
            unit: .microsecondsAsSeconds, label)
        watermarkLag = registry.gauge(
            "martlet_source_watermark_lag_seconds", help: "The clock minus the watermark.", unit: .microsecondsAsSeconds, label)
    }

    /// What source `index` of a circuit has counted; `passedOver`: by its partitions.
    func update(_ circuit: Circuit, _ index: Int, passedOver: UInt64, wallMicros: Int64) {
        let now = circuit.intake(of: index)
        rows.add(now.rows &- last.rows)
        deadLetters.add(now.rejected &- last.rejected)
        skipped.add(now.skipped &- last.skipped)
        last = now
        // Partitions that are opened anew count from nothing.
        if passedOver > lastDropped { dropped.add(passedOver - lastDropped) }
        lastDropped = passedOver
        let mark = circuit.sourceWatermarks[index]
        if mark != .start, mark != .end {
            watermark.set(mark)
            watermarkLag.set(wallMicros - mark)
        }
    }
}

/// A pipeline's figures in the metrics registry, brought up to date after each tick. Called by the driver's thread.
package final class PipelineMetrics {
    private struct ViewFigures {
        let rows: Counter
        let counted: Counter
        let filtered: Counter
        let late: Counter
        let deadLetters: Counter
        var last = ViewCounters()
    }

    private let clock: any Clock
    private let ticks: Counter
    private let tickDuration: Histogram
    private var sources: [SourceFigures] = []
    private var views: [ViewFigures] = []

    /// - Parameter names: what its views and sinks are called, in its circuit's order; nil: as when it was made.
    package init(_ pipeline: Pipeline, registry: MetricsRegistry, clock: any Clock, names: [String]? = nil) {
        self.clock = clock
        ticks = registry.counter("martlet_ticks_total", help: "Ticks committed.")
        tickDuration = registry.histogram(
            "martlet_tick_seconds", help: "How long a tick took, without its commit.", unit: .nanosecondsAsSeconds)
        if !pipeline.sourcesAreFed { sources = pipeline.sources.map { SourceFigures($0.name, registry: registry) } }
        for view in names ?? pipeline.circuit.graph.views {
            let label = [MetricLabel("view", view)]
            views.append(
                ViewFigures(
                    rows: registry.counter("martlet_view_rows_total", help: "Rows that entered the view.", label),
                    counted: registry.counter("martlet_view_counted_total", help: "Rows that count in the view.", label),
                    filtered: registry.counter("martlet_view_filtered_total", help: "Rows that its filters left out.", label),
                    late: registry.counter("martlet_view_late_total", help: "Rows too late for all of their windows.", label),
                    deadLetters: registry.counter(
                        "martlet_view_dead_letters_total", help: "Rows whose expressions failed.", label)))
        }
    }

    package func update(_ pipeline: Pipeline, tickNanos: Int64) {
        ticks.add(1)
        tickDuration.record(tickNanos)
        update(pipeline)
    }

    /// What its sources and views have counted, without a tick of its own.
    func update(_ pipeline: Pipeline) {
        for index in sources.indices {
            sources[index].update(pipeline.circuit, index, passedOver: pipeline.dropped(from: index), wallMicros: clock.wallMicros())
        }
        for index in views.indices {
            let now = pipeline.circuit.counters(of: index)
            let last = views[index].last
            views[index].rows.add(now.rowsIn - last.rowsIn)
            views[index].counted.add(now.counted - last.counted)
            views[index].filtered.add(now.filtered - last.filtered)
            views[index].late.add(now.late - last.late)
            views[index].deadLetters.add(now.deadLetters - last.deadLetters)
            views[index].last = now
        }
    }
}
