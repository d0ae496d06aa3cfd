import MartletCore
import Testing

@Suite("Metrics")
struct MetricsTests {
    @Test("the page is Prometheus' text format 0.0.4")
    func page() {
        let metrics = MetricsRegistry()
        let rows = metrics.counter("martlet_rows_total", help: "Rows read.\nPer \"source\", \\ all.", [MetricLabel("source", "b\"\\\n")])
        rows.add(3)
        rows.add(UInt64(2))
        rows.add(-7)
        metrics.counter("martlet_rows_total", help: "Rows read.\nPer \"source\", \\ all.", [MetricLabel("source", "a")]).add(1)
        metrics.counter("martlet_busy_seconds_total", help: "Busy.", unit: .nanosecondsAsSeconds).add(1_500_000_000)
        metrics.gauge("martlet_lag_seconds", help: "Lag.", unit: .microsecondsAsSeconds).set(-2_500_000)
        metrics.gauge("martlet_share", help: "Share.", [MetricLabel("a", "1"), MetricLabel("b", "2")]) { 0.25 }
        metrics.gauge("martlet_watermark_seconds", help: "End.") { .infinity }
        #expect(
            metrics.renderPrometheus() == #"""
                # HELP martlet_busy_seconds_total Busy.
                # TYPE martlet_busy_seconds_total counter
                martlet_busy_seconds_total 1.5
                # HELP martlet_lag_seconds Lag.
                # TYPE martlet_lag_seconds gauge
                martlet_lag_seconds -2.5
                # HELP martlet_rows_total Rows read.\nPer "source", \\ all.
                # TYPE martlet_rows_total counter
                martlet_rows_total{source="a"} 1
                martlet_rows_total{source="b\"\\\n"} 5
                # HELP martlet_share Share.
                # TYPE martlet_share gauge
                martlet_share{a="1",b="2"} 0.25
                # HELP martlet_watermark_seconds End.
                # TYPE martlet_watermark_seconds gauge
                martlet_watermark_seconds +Inf

                """#)
        metrics.removeSeries(with: MetricLabel("source", "a"))
        #expect(!metrics.renderPrometheus().contains(#"source="a""#))
        #expect(metrics.renderPrometheus().contains(#"source="b"#))
    }

    @Test("a histogram's buckets are cumulative, exact at their bounds and end at +Inf")
    func histogramPage() {
        let metrics = MetricsRegistry()
        let sizes = metrics.histogram("martlet_batch_rows", help: "Rows.", [MetricLabel("op", "x")])
        for value in [1, 2, 3, 4, 5, 1024, 1025] as [Int64] { sizes.record(value) }
        let lines = metrics.renderPrometheus().split(separator: "\n")
        func bucket(_ bound: String) -> Substring? { lines.first { $0.hasPrefix(#"martlet_batch_rows_bucket{op="x",le="\#(bound)"}"#) }?.split(separator: " ").last }
        #expect(lines.contains("# TYPE martlet_batch_rows histogram"))
        #expect(bucket("1") == "1")
        #expect(bucket("2") == "2")
        #expect(bucket("4") == "4")
        #expect(bucket("8") == "5")
        #expect(bucket("1024") == "6")
        #expect(bucket("2048") == "7")
        #expect(bucket("+Inf") == "7")
        #expect(lines.contains(#"martlet_batch_rows_sum{op="x"} 2064"#))
        #expect(lines.last == #"martlet_batch_rows_count{op="x"} 7"#)

        let other = MetricsRegistry()
        other.histogram("martlet_step_seconds", help: "Time.", unit: .nanosecondsAsSeconds).record(2_000_000)
        #expect(other.renderPrometheus().contains("martlet_step_seconds_bucket{le=\"0.002097152\"} 1\n"))
        #expect(other.renderPrometheus().contains("martlet_step_seconds_bucket{le=\"0.001048576\"} 0\n"))
        #expect(other.renderPrometheus().contains("martlet_step_seconds_sum 0.002\n"))
    }

    @Test("quantiles are never below the true ones and at most 3.2 % above")
    func quantiles() {
        let histogram = Histogram()
        var generator = Xoshiro256(seed: 3)
        var values: [Int64] = (0..<20_000).map { _ in Int64(generator.next() >> (20 + generator.below(40))) }
        values += [0, 1, .max, 31, 32, 33, 63, 64, 65]
        for value in values { histogram.record(value) }
        values.sort()
        let snapshot = histogram.snapshot()
        #expect(snapshot.count == UInt64(values.count))
        #expect(snapshot.largest == .max)
        for quantile in [0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1] {
            let rank = max(1, Int((quantile * Double(values.count)).rounded(.up)))
            let truth = Double(max(values[rank - 1], 1))
            let answer = Double(snapshot.value(atQuantile: quantile))
            #expect(answer >= truth && answer <= truth * 1.032 + 1, "quantile \(quantile): \(answer) for \(truth)")
        }
        #expect(Histogram().snapshot().p99 == 0)
    }

    @Test("asking twice gives the same series")
    func identity() {
        let metrics = MetricsRegistry()
        let one = metrics.counter("martlet_x_total", help: "X.")
        #expect(one === metrics.counter("martlet_x_total", help: "X."))
        #expect(one !== metrics.counter("martlet_x_total", help: "X.", [MetricLabel("a", "b")]))
    }
}
