internal import MartletCore
internal import Synchronization

/// What of a store is durable, to be kept by whoever owns the metadata snapshot and handed back to `PartitionStore.open`.
package struct StoreCheckpoint: Sendable, Equatable {
    /// Readers begin here.
    package var startOffset: Int64
    /// One past the last durable offset.
    package var endOffset: Int64
    /// The segment that was being written, and how many of its bytes count.
    package var activeBaseOffset: Int64
    package var activeGeneration: UInt64
    package var activeBytes: Int64
    package var activeMaxTimestamp: Int64
    /// Of the manifest that was current.
    package var manifestSequence: UInt64

    /// Of a partition that never held anything.
    package init(startOffset: Int64 = 0) {
        self.startOffset = startOffset
        endOffset = startOffset
        activeBaseOffset = startOffset
        activeGeneration = 0
        activeBytes = 0
        activeMaxTimestamp = -1
        manifestSequence = 0
    }
}

/// What a topic's settings say about its segments. Takes effect with the next call.
package struct StoreOptions: Sendable, Equatable {
    /// `segment.bytes`: a new segment begins before this one grows beyond.
    package var segmentBytes: Int64 = 1 << 30
    /// `segment.ms`: …or when the newest record is so much younger than the segment's first.
    package var segmentMillis: Int64 = 7 * 24 * 3_600_000
    /// `retention.ms`; nil: kept whatever its age.
    package var retentionMillis: Int64? = 7 * 24 * 3_600_000
    /// `retention.bytes`; nil: kept whatever the size.
    package var retentionBytes: Int64?
    /// `cleanup.policy` has `delete`, has `compact`.
    package var deletes = true
    package var compacts = false
    /// `delete.retention.ms`: how long tombstones and markers stay after all before them is compacted.
    package var deleteRetentionMillis: Int64 = 24 * 3_600_000
    /// `min.cleanable.dirty.ratio`.
    package var minCleanableDirtyRatio = 0.5
    /// `min.compaction.lag.ms`, `max.compaction.lag.ms`.
    package var minCompactionLagMillis: Int64 = 0
    package var maxCompactionLagMillis: Int64 = .max

    package init() {}
}

/// The batches of one partition on disk: segments of batches stored as they came, behind a frame each, with an offset and a
/// time index that can be made again from them (docs/formats/segment.md).
///
/// - Files: `segments` (the manifest, the only truth about which segments there are), and per segment `BASE-GENERATION.log`,
///   `.index`, `.timeindex`. A directory appears with the first append.
/// - Durable is what `sync()` returned for, and every segment but the last. `open` scans nothing.
/// - Damage is reported as `LogError.corrupt` with the partition and the offsets that are lost; every batch's checksums are
///   verified before it is served. Indexes that are missing or damaged are made again on first use.
///
/// `append`, `sync` and `close` are one thread's, the flusher's. `retain`, `deleteRecords` and `clean` may be that thread's or
/// another's, one call of `clean` at a time. Everything else is for any thread, also while those run.
package final class PartitionStore: Sendable {
    package let partition: TopicPartition
    let directory: String
    let disk: any Disk
    let clock: any Clock
    let cache: SegmentCache
    let state: Mutex<State>
    /// Held while the set of segments changes on disk: the manifest is written by one at a time.
    let structure = Mutex<Void>(())

    struct State: Sendable {
        var options: StoreOptions
        var manifest: StoreManifest
        /// Ends of what is synced. The segments' own ends count what is written.
        var durableEnd: Int64
        var durableBytes: Int64
        var durableMaxTimestamp: Int64
        /// The part of the active segment's index that this process wrote, from where the segment was opened.
        var activeIndex: SegmentIndex
        /// nil: not read from the segment's header yet.
        var activeBirth: SegmentFormat.Birth?
        /// The active segment's file while it has bytes that are not synced: an error of writing back would otherwise be lost
        /// with its descriptor.
        var unsyncedFile: (any DiskFile)?
        /// Directories with new names, deepest last.
        var unsyncedDirectories: [String] = []
        /// How much of the active index was saved; see `saveActiveIndex`.
        var savedIndexBytes: Int64 = 0
        /// A write that may not be repeated failed; nothing is written any more.
        var failure: LogError?
        /// Where sequential readers will go on.
        var positions = ReadPositions()
        var hasRemovedStrangers = false
        /// The manifest's name is durable.
        var isManifestProven = true

        var active: SegmentFacts {
            get { manifest.segments[manifest.segments.count - 1] }
            set { manifest.segments[manifest.segments.count - 1] = newValue }
        }

        /// What was saved is what counts. A generation that was given out meanwhile stays given out.
        mutating func take(_ saved: StoreManifest) {
            let generation = manifest.nextGeneration
            manifest = saved
            manifest.nextGeneration = max(generation, saved.nextGeneration)
        }
    }

    init(
        partition: TopicPartition, directory: String, disk: any Disk, clock: any Clock, cache: SegmentCache, state: State
    ) {
        self.partition = partition
        self.directory = directory
        self.disk = disk
        self.clock = clock
        self.cache = cache
        self.state = Mutex(state)
    }

    // MARK: What there is

    package var options: StoreOptions { state.withLock { $0.options } }
    /// The topic's settings changed.
    package func configure(_ options: StoreOptions) { state.withLock { $0.options = options } }

    /// The first offset that is served.
    package var startOffset: Int64 { state.withLock { $0.manifest.startOffset } }
    /// One past the last offset that was appended, synced or not. After `open`: everything below is here and durable, and is
    /// not to be appended again.
    package var endOffset: Int64 { state.withLock { $0.active.endOffset } }
    /// Of all data files.
    package var byteCount: Int64 { state.withLock { $0.manifest.segments.reduce(0) { $0 + $1.bytes } } }
    package var segmentCount: Int { state.withLock { $0.manifest.segments.count } }
    /// Below it compaction has done its work.
    package var cleanedOffset: Int64 { state.withLock { $0.manifest.cleanedOffset } }
    /// The largest timestamp of what is stored; −1: none.
    package var maxTimestamp: Int64 { state.withLock { $0.manifest.segments.reduce(-1) { max($0, $1.maxTimestamp) } } }

    /// What would be found if power failed now.
    package var checkpoint: StoreCheckpoint {
        state.withLock { state in
            var checkpoint = StoreCheckpoint(startOffset: state.manifest.startOffset)
            checkpoint.endOffset = state.durableEnd
            checkpoint.activeBaseOffset = state.active.baseOffset
            checkpoint.activeGeneration = state.active.generation
            checkpoint.activeBytes = state.durableBytes
            checkpoint.activeMaxTimestamp = state.durableMaxTimestamp
            checkpoint.manifestSequence = state.manifest.sequence
            return checkpoint
        }
    }

    // MARK: Paths and failures

    func path(_ name: String) -> String { directory + "/" + name }

    /// Throws what made the store unusable for writing, if anything did.
    func checkUsable() throws(LogError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// After a failed sync nothing is known of what was written: no write may follow.
    func fail(_ error: IOError) -> LogError {
        let failure = LogError.fatal("\(error); what was written before is in doubt, only a restart can tell")
        state.withLock { $0.failure = failure }
        return failure
    }

    /// Damage in this partition.
    func damage(_ name: String, _ offsets: Range<Int64>?, _ detail: String) -> LogError {
        .corrupt(LogDamage(place: path(name), partition: partition, offsets: offsets, detail: detail))
    }

    /// A file that the list of segments names, and that is not there.
    func missing(_ failure: IOFailure) -> LogError {
        .corrupt(LogDamage(place: failure.path, partition: partition, detail: "the file is missing"))
    }

    /// Runs a call of the disk seam with the log's errors.
    func io<Result>(_ body: () throws(IOError) -> Result) throws(LogError) -> Result {
        do throws(IOError) { return try body() } catch { throw LogError(error) }
    }

    /// A sync: its failure is final.
    func durably(_ body: () throws(IOError) -> Void) throws(LogError) {
        do throws(IOError) { try body() } catch { throw fail(error) }
    }

    func identity(_ segment: SegmentFacts) -> SegmentFormat.Identity {
        SegmentFormat.Identity(partition: partition, baseOffset: segment.baseOffset, generation: segment.generation)
    }

    /// A segment's data file for reading.
    func file(_ segment: SegmentFacts) throws(IOError) -> any DiskFile {
        try cache.file(segment.token) { () throws(IOError) in try disk.open(path(segment.fileName), .update) }
    }
}

/// The last few places where reads ended, so that a reader who goes on from there needs no index.
struct ReadPositions: Sendable {
    struct Place: Sendable {
        var offset: Int64 = -1
        var token = 0
        var position: Int64 = 0
    }

    private var places: InlineArray<4, Place> = .init(repeating: Place())
    private var next = 0

    mutating func note(_ place: Place) {
        for index in places.indices where places[index].offset == place.offset {
            places[index] = place
            return
        }
        places[next] = place
        next = (next + 1) % places.count
    }

    func find(_ offset: Int64, _ token: Int) -> Int64? {
        for index in places.indices where places[index].offset == offset && places[index].token == token {
            return places[index].position
        }
        return nil
    }
}
