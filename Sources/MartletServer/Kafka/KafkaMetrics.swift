internal import MartletCore
internal import MartletKafka
internal import Synchronization

/// What the Kafka server counts. Loop thread, except where a metric is computed when the page is made.
final class KafkaMetrics {
    private struct API {
        let requests: Counter
        let latency: Histogram
        let throttled: Counter
    }

    private let registry: MetricsRegistry
    private var apis: [ApiKey: API] = [:]
    private var errors: [ErrorKey: Counter] = [:]
    private var lags: [LagKey: Lag] = [:]

    private struct ErrorKey: Hashable {
        var api: ApiKey
        var code: Int16
    }

    struct LagKey: Hashable {
        var group: String
        var topic: String
        var partition: Int32
    }

    private struct Lag {
        let records: Gauge
        let nanos: Gauge
        var isSeen: Bool
    }

    let malformed: Counter
    let bytesIn: Counter
    let bytesOut: Counter
    let recordsIn: Counter
    let batchesRefused: Counter
    let throttledByLog: Counter
    let diskReads: Counter
    let readFailures: Counter
    private let throttleTime: Histogram

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        malformed = registry.counter(
            "martlet_kafka_malformed_frames_total", help: "Frames that were no request; their connections were closed.")
        bytesIn = registry.counter("martlet_kafka_produced_bytes_total", help: "Bytes of record batches that clients produced.")
        bytesOut = registry.counter("martlet_kafka_fetched_bytes_total", help: "Bytes of record batches that were given to clients.")
        recordsIn = registry.counter("martlet_kafka_produced_records_total", help: "Records that clients produced.")
        batchesRefused = registry.counter(
            "martlet_kafka_refused_batches_total", help: "Record batches that were refused for what is in them.")
        throttledByLog = registry.counter(
            "martlet_kafka_log_full_waits_total", help: "How often a produce request waited since the journal or its memory was full.")
        diskReads = registry.counter("martlet_kafka_disk_reads_total", help: "Partitions of fetch requests that were read from the disk.")
        readFailures = registry.counter("martlet_kafka_read_failures_total", help: "Partitions of fetch requests that could not be read.")
        throttleTime = registry.histogram(
            "martlet_kafka_throttle_seconds", help: "How long clients were told to be quiet by their quotas.", unit: .nanosecondsAsSeconds)
    }

    /// A request has got its answer, after `nanos`.
    func finished(_ key: ApiKey, nanos: Int64, throttleMillis: Int32) {
        let api = api(key)
        api.requests.add()
        api.latency.record(nanos)
        guard throttleMillis > 0 else { return }
        api.throttled.add()
        throttleTime.record(Int64(throttleMillis) * 1_000_000)
    }

    func failed(_ key: ApiKey, _ code: Int16, count: Int) {
        let errorKey = ErrorKey(api: key, code: code)
        let counter =
            errors[errorKey]
            ?? registry.counter(
                "martlet_kafka_errors_total", help: "Error codes given to clients, by API.",
                [MetricLabel("api", key.name), MetricLabel("error", ErrorCode(rawValue: code)?.name ?? "\(code)")])
        errors[errorKey] = counter
        counter.add(count)
    }

    private func api(_ key: ApiKey) -> API {
        if let api = apis[key] { return api }
        let labels = [MetricLabel("api", key.name)]
        let api = API(
            requests: registry.counter("martlet_kafka_requests_total", help: "Requests answered, by API.", labels),
            latency: registry.histogram(
                "martlet_kafka_request_seconds", help: "From a request's last byte to its answer's first, by API.",
                unit: .nanosecondsAsSeconds, labels),
            throttled: registry.counter("martlet_kafka_throttled_requests_total", help: "Requests whose client was throttled.", labels))
        apis[key] = api
        return api
    }

    // MARK: Lag of groups

    /// A round of lags begins; those that are not set in it are forgotten at its end.
    func beginLags() {
        for key in lags.keys { lags[key]!.isSeen = false }
    }

    func setLag(_ key: LagKey, records: Int64, nanos: Int64) {
        let lag =
            lags[key]
            ?? Lag(
                records: registry.gauge(
                    "kafka_consumergroup_lag", help: "Records of the partition that a group has not committed.", labels(key)),
                nanos: registry.gauge(
                    "kafka_consumergroup_lag_seconds", help: "How long ago the first record that a group has not committed was written.",
                    unit: .nanosecondsAsSeconds, labels(key)),
                isSeen: true)
        lag.records.set(records)
        lag.nanos.set(nanos)
        lags[key] = Lag(records: lag.records, nanos: lag.nanos, isSeen: true)
    }

    func endLags() {
        let gone = lags.filter { !$0.value.isSeen }.keys
        for group in Set(gone.map(\.group)) {
            registry.removeSeries(with: MetricLabel("group", group))
            // What the group still has comes back with the next round.
            lags = lags.filter { $0.key.group != group }
        }
    }

    /// A topic is deleted.
    func forget(topic: String) {
        registry.removeSeries(with: MetricLabel("topic", topic))
        lags = lags.filter { $0.key.topic != topic }
    }

    private func labels(_ key: LagKey) -> [MetricLabel] {
        [MetricLabel("group", key.group), MetricLabel("topic", key.topic), MetricLabel("partition", "\(key.partition)")]
    }
}
