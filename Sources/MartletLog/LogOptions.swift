package import MartletCore

/// The outside world of a log. Everything in it may be shared between threads.
package struct LogSurroundings: Sendable {
    package var disk: any Disk
    package var clock: any Clock
    package var entropy: any Entropy
    package var logger: StructuredLog
    package var metrics: MetricsRegistry

    package init(disk: any Disk, clock: any Clock, entropy: any Entropy, logger: StructuredLog, metrics: MetricsRegistry) {
        self.disk = disk
        self.clock = clock
        self.entropy = entropy
        self.logger = logger
        self.metrics = metrics
    }
}

/// Sizes and times of a log. None of them is on disk: any may change from one start to the next.
package struct LogOptions: Sendable {
    /// The ring's files, and how many bytes of them there are at the least and at the most.
    package var journalFileBytes = 32 << 20
    package var journalBytesMin = 256 << 20
    package var journalGroupBytesMax = 4 << 20
    package var journalBytesMax = 4 << 30
    /// How long the journal must be idle before a seal records its last sync.
    package var sealAfterIdleNanos: Int64 = 10_000_000
    /// Memory for the newest batches of all partitions. Those that are in segments already leave it first come, first go.
    package var tailBytesMax = 128 << 20
    /// What may wait in memory for the flusher to write it to segments; beyond it appends are throttled. At least
    /// `tailBytesMax`.
    package var unwrittenBytesMax = 256 << 20
    /// A checkpoint begins when the journal holds this much since the last one, or a quarter of its ring (so that at a moderate
    /// rate the ring need not grow: zeroing a new file costs the disk as much as filling it) …
    package var checkpointBytes = 128 << 20
    /// … or when this much time has passed and there is something to be checkpointed.
    package var checkpointNanos: Int64 = 60_000_000_000
    /// A segment file is synced after this many bytes were written to it, so that no sync is long.
    package var syncBytes = 2 << 20
    /// A commit larger than this is refused.
    package var commitBytesMax = 128 << 20
    /// A producer that has not written to a partition for this long is forgotten there.
    package var producerExpirationMillis: Int64 = 86_400_000
    /// Between two looks at a partition for retention and compaction.
    package var cleanIntervalMillis: Int64 = 30_000
    /// Memory for the keys of one compaction.
    package var compactionBytesMax = 64 << 20
    /// The server's own defaults of topic settings, by the topic's names.
    package var topicDefaults: [String: String] = [:]

    package init() {}

    var journalOptions: JournalOptions {
        JournalOptions(
            fileBytes: journalFileBytes, bytesMin: journalBytesMin, bytesMax: journalBytesMax, groupBytesMax: journalGroupBytesMax,
            recordBytesMax: commitBytesMax + (1 << 20), sealAfterIdleNanos: sealAfterIdleNanos)
    }
}
