internal import MartletCore
internal import Synchronization

/// What the log counts, by name on the metrics page. Sizes of the journal, tails and flush lag are computed when asked for
/// (`Log.registerFigures`).
struct LogFigures: Sendable {
    /// From taking a group to its being durable.
    let groupSeconds: Histogram
    let groupRecords: Histogram
    let appendedBatches: Counter
    let appendedBytes: Counter
    let duplicates: Counter
    let refusals: Counter
    let refusedBatches: Counter
    let tailReads: Counter
    let diskReads: Counter
    let writtenBytes: Counter
    let syncSeconds: Histogram
    let checkpoints: Counter
    let checkpointSeconds: Histogram
    let snapshotBytes: Gauge
    let removedBytes: Counter
    let recoveryNanos: Gauge

    init(_ metrics: MetricsRegistry) {
        groupSeconds = metrics.histogram(
            "martlet_log_group_seconds", help: "Time from taking a journal group to its being durable.", unit: .nanosecondsAsSeconds
        )
        groupRecords = metrics.histogram("martlet_log_group_commits", help: "Commits in a journal group.")
        appendedBatches = metrics.counter("martlet_log_appended_batches_total", help: "Record batches accepted.")
        appendedBytes = metrics.counter("martlet_log_appended_bytes_total", help: "Bytes of record batches accepted.")
        duplicates = metrics.counter("martlet_log_duplicate_batches_total", help: "Repeated batches answered with their original.")
        refusals = metrics.counter("martlet_log_throttled_commits_total", help: "Commits the journal had no room for.")
        refusedBatches = metrics.counter("martlet_log_refused_batches_total", help: "Record batches refused.")
        tailReads = metrics.counter("martlet_log_tail_read_bytes_total", help: "Bytes read from memory.")
        diskReads = metrics.counter("martlet_log_disk_read_bytes_total", help: "Bytes read from segments.")
        writtenBytes = metrics.counter("martlet_log_segment_written_bytes_total", help: "Bytes written to segments.")
        syncSeconds = metrics.histogram(
            "martlet_log_segment_sync_seconds", help: "Time of a segment's sync.", unit: .nanosecondsAsSeconds)
        checkpoints = metrics.counter("martlet_log_checkpoints_total", help: "Metadata snapshots written.")
        checkpointSeconds = metrics.histogram(
            "martlet_log_checkpoint_seconds", help: "Time from a checkpoint's begin to its end.", unit: .nanosecondsAsSeconds)
        snapshotBytes = metrics.gauge("martlet_log_snapshot_bytes", help: "Size of the newest metadata snapshot.")
        removedBytes = metrics.counter(
            "martlet_log_removed_bytes_total", help: "Bytes of segments that retention and compaction removed.")
        recoveryNanos = metrics.gauge(
            "martlet_log_recovery_seconds", help: "Time the last start took to recover.", unit: .nanosecondsAsSeconds)
    }

    func count(_ outcomes: [AppendOutcome], _ appends: [Append]) {
        for (outcome, append) in zip(outcomes, appends) {
            switch outcome {
            case .appended:
                appendedBatches.add()
                appendedBytes.add(append.batch.count)
            case .duplicate: duplicates.add()
            case .refused: refusedBatches.add()
            }
        }
    }
}

extension Log {
    /// Figures that are asked for when the page is made.
    func registerFigures() {
        let metrics = surroundings.metrics
        func gauge(_ name: String, _ help: String, _ value: @escaping @Sendable (Log) -> Int) {
            metrics.gauge(name, help: help) { [weak self] in self.map { Double(value($0)) } ?? 0 }
        }
        gauge("martlet_journal_ring_bytes", "Size of the journal's ring.") { $0.journal.ringBytes }
        gauge("martlet_journal_used_bytes", "Bytes of the ring that a recovery would read.") { $0.journal.usedBytes }
        gauge("martlet_journal_queued_bytes", "Bytes waiting for the next group.") { $0.journal.queuedBytes }
        gauge("martlet_log_tail_bytes", "Memory of the newest batches.") { log in log.state.withLock { $0.tailCost } }
        gauge("martlet_log_unwritten_bytes", "Memory of batches that are not in segments: how far the flusher is behind.") { log in
            log.state.withLock { $0.unwrittenCost }
        }
        gauge("martlet_log_topics", "Topics.") { log in log.state.withLock { $0.topics.count } }
        gauge("martlet_log_partitions", "Partitions.") { log in
            log.state.withLock { $0.topics.values.reduce(0) { $0 + $1.partitions.count } }
        }
        gauge("martlet_log_segments", "Segments of all partitions.") { log in
            let stores = log.state.withLock { state in state.topics.values.flatMap { $0.partitions.compactMap(\.store) } }
            return stores.reduce(0) { $0 + $1.segmentCount }
        }
    }
}
