/// What the flusher remembers between its steps. Guarded by the flusher's lock.
struct Flusher {
    /// Under way, if any.
    var checkpoint: Checkpoint?
    /// Sequence of the newest metadata snapshot, and of the one before it.
    var newestSequence: UInt64 = 0
    var previousSequence: UInt64 = 0
    /// `LogState.journalBytes` when the last checkpoint began.
    var checkpointedBytes = 0
    var checkpointNanos: Int64 = 0
    /// Partitions whose files have more unsynced bytes than is good for one sync.
    var toSync = Queue<PartitionState>()
    /// Snapshot files that exist, oldest first.
    var snapshotFiles: [String] = []
    /// Partitions still to be looked at in this round, and when the next one begins.
    var toClean = Queue<PartitionState>()
    var cleanNanos: Int64 = 0
    /// Not before this are deleted topics' files to be removed.
    var removalNanos: Int64 = 0
}

/// A checkpoint under way. Its steps, in this order, make it true that everything up to `snapshot.sequence` has a home
/// outside the journal:
///
/// 1. the state is captured in memory, as of the last commit appended;
/// 2. that commit becomes durable (what is not durable must not outlive a crash in a segment);
/// 3. every batch up to it is written to segments;
/// 4. the segments are synced, one by one;
/// 5. the snapshot, with the segments' synced lengths, is written, synced, and renamed into place;
/// 6. only then is the journal told that it may use the space again.
struct Checkpoint {
    struct Part {
        var topic: TopicState
        var partition: PartitionState
        /// The end of what has to be in segments.
        var end: Int64
    }

    var snapshot: Snapshot
    /// In the order of the snapshot's topics and their partitions.
    var parts: [Part]
    var startNanos: Int64
    /// The first part that is not known to be written, and the first that is not known to be synced.
    var writtenParts = 0
    var syncedParts = 0
    /// What became of the topics' files as the snapshot will say.
    var isWritten = false
}

extension LogState {
    /// Everything but batches as it is in memory, which is as of the last commit appended.
    func capture(identity: JournalIdentity, sequence: UInt64, millis: Int64) -> (Snapshot, [Checkpoint.Part]) {
        var snapshot = Snapshot(identity: identity)
        snapshot.sequence = sequence
        snapshot.millis = millis
        snapshot.nextProducerID = reservedProducerID
        snapshot.fences = fences
        snapshot.entries = entries
        var parts: [Checkpoint.Part] = []
        // A topic whose deletion was appended is gone as of this sequence.
        for topic in topicsByID where !topic.isDeleted {
            var described = topic.topic
            described.partitions = Int32(topic.partitions.count)
            described.configuration = topic.configuration
            var part = Snapshot.TopicPart(topic: described, partitions: [])
            for partition in topic.partitions {
                parts.append(Checkpoint.Part(topic: topic, partition: partition, end: partition.nextOffset))
                part.partitions.append(
                    Snapshot.Partition(
                        nextOffset: partition.nextOffset, startOffset: partition.startOffset, store: nil,
                        producers: partition.producers, aborted: partition.aborted))
            }
            snapshot.topics.append(part)
        }
        return (snapshot, parts)
    }
}
