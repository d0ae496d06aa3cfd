/// What a partition knows of one of its segments without touching the disk. About 70 bytes.
struct SegmentFacts: Sendable, Equatable {
    /// Offsets from here on; the first batch may have a later one after compaction.
    var baseOffset: Int64
    var generation: UInt64
    /// Bytes of the data file that count, with its header; 0: not created yet.
    var bytes: Int64
    /// One past the last offset. The next segment's base.
    var endOffset: Int64
    /// The largest timestamp of its records in milliseconds; −1: none has one, or there are none.
    var maxTimestamp: Int64
    /// When it was sealed, in milliseconds; 0 while it is active. Retention goes by it where there are no timestamps.
    var sealedMillis: Int64
    /// Names the segment in the cache; never used twice in a process.
    var token: Int

    /// Whether it holds batches.
    var hasData: Bool { bytes > Int64(SegmentFormat.headerBytes) }

    /// The data file's name. Sorted by name they are sorted by offset.
    var fileName: String { SegmentFacts.name(baseOffset, generation) + ".log" }
    var indexName: String { SegmentFacts.name(baseOffset, generation) + ".index" }
    var timeIndexName: String { SegmentFacts.name(baseOffset, generation) + ".timeindex" }

    private static func name(_ baseOffset: Int64, _ generation: UInt64) -> String {
        let digits = String(baseOffset)
        return String(repeating: "0", count: max(20 - digits.count, 0)) + digits + "-" + String(generation)
    }
}
