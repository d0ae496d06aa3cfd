internal import MartletCore
internal import Synchronization

/// The tree `topics/<topic id>/<partition>/`.
final class TopicFiles: Sendable {
    let path: String
    let disk: any Disk
    let clock: any Clock
    let cache = SegmentCache()
    /// Topics whose directories this process has made, looked through, or knows from a snapshot.
    private let adopted = Mutex<Set<TopicID>>([])

    init(directory log: String, disk: any Disk, clock: any Clock) {
        path = log + "/topics"
        self.disk = disk
        self.clock = clock
    }

    func directory(of topic: TopicID) -> String { "\(path)/\(topic.hexadecimal)" }
    func directory(of partition: TopicPartition) -> String { "\(directory(of: partition.topic))/\(partition.partition)" }

    /// The store as a checkpoint describes it; nil: of a partition of which nothing was ever kept. Creates no file.
    func openStore(
        _ partition: TopicPartition, _ configuration: TopicConfiguration, checkpoint: StoreCheckpoint?
    ) throws(LogError) -> PartitionStore {
        if checkpoint == nil { try adoptDirectory(of: partition) }
        return try PartitionStore.open(
            partition, directory: directory(of: partition), disk: disk, clock: clock, cache: cache,
            options: StoreOptions(configuration, partition), checkpoint: checkpoint)
    }

    /// Whatever is in the topic's directory, its name is durable: a snapshot knows it.
    func noteDurable(_ topic: TopicID) { adopted.withLock { _ = $0.insert(topic) } }

    /// Makes the topic's directory, durably: its partitions' stores take it for given.
    ///
    /// Directories and files that were made before their names were durable (by a process that was killed, or that ended
    /// because a sync failed) are there and may yet go, whatever is synced now. So what nothing depends on, since the journal
    /// has it all, is removed first and made anew.
    private func adoptDirectory(of partition: TopicPartition) throws(LogError) {
        let topic = directory(of: partition.topic)
        do {
            if !adopted.withLock({ $0.contains(partition.topic) }) {
                if try disk.stat(topic) != nil, try !disk.list(topic).contains(where: { try hasManifest(topic + "/" + $0) }) {
                    try remove(partition.topic)
                }
                try disk.makeDirectory(topic)
                try SnapshotFiles.finalSync { () throws(IOError) in try disk.syncDirectory(path) }
                noteDurable(partition.topic)
            }
            let folder = directory(of: partition)
            guard try disk.stat(folder) != nil else { return }
            if try hasManifest(folder) {
                try SnapshotFiles.finalSync { () throws(IOError) in try disk.syncDirectory(topic) }
            } else {
                for file in try disk.list(folder) { try disk.remove(folder + "/" + file) }
                try disk.remove(folder)
            }
        } catch {
            throw (error as? IOError).map { LogError($0) } ?? LogError(error, place: topic)
        }
    }

    /// Segments were sealed there: they are durable, also where no snapshot names them.
    private func hasManifest(_ folder: String) throws(IOError) -> Bool {
        try disk.stat(folder + "/" + StoreManifest.fileName) != nil
    }

    /// The topics that have a directory.
    func topics() throws(LogError) -> [TopicID] {
        do throws(IOError) {
            return try disk.list(path).compactMap { TopicID(hexadecimal: $0) }
        } catch {
            throw LogError(error)
        }
    }

    /// Removes a topic's directory and everything in it. What is missing is as good as removed.
    func remove(_ topic: TopicID) throws(LogError) {
        do throws(IOError) {
            let folder = directory(of: topic)
            guard try disk.stat(folder) != nil else { return }
            for partition in try disk.list(folder) {
                for file in try disk.list(folder + "/" + partition) { try disk.remove(folder + "/" + partition + "/" + file) }
                try disk.remove(folder + "/" + partition)
            }
            try disk.remove(folder)
        } catch {
            throw LogError(error)
        }
    }
}

extension StoreOptions {
    /// What a topic's configuration says to one of its partitions' files.
    init(_ configuration: TopicConfiguration, _ partition: TopicPartition) {
        self.init()
        segmentBytes = Int64(configuration.segmentBytes)
        segmentMillis = configuration.segmentMillis
        if configuration.segmentJitterMillis > 0 {
            // Earlier by a time that is the partition's own, the same at every start.
            let spread = SplitMix64.mix(partition.topic.low ^ UInt64(truncatingIfNeeded: partition.partition))
            segmentMillis -= Int64(spread % UInt64(min(configuration.segmentJitterMillis, segmentMillis)))
        }
        retentionMillis = configuration.retentionMillis
        retentionBytes = configuration.retentionBytes
        deletes = configuration.dropsOldSegments
        compacts = configuration.isCompacted
        deleteRetentionMillis = configuration.deleteRetentionMillis
        minCleanableDirtyRatio = configuration.minCleanableDirtyRatio
        minCompactionLagMillis = configuration.minCompactionLagMillis
        maxCompactionLagMillis = configuration.maxCompactionLagMillis
    }
}
