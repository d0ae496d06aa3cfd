/// The durable log: partitioned topics, what their producers and transactions are at, and an ordered map for the
/// coordinators' own state, all behind one journal.
///
/// - One record of the journal is one commit; what is in it becomes true together. A commit's *sequence* says when:
///   nothing of it may leave the process before `whenDurable(sequence)`. Reads show durable data alone.
/// - The log starts no threads. It is driven: one thread (the journal thread) calls `writeGroup` and `sealIfIdle`, one
///   (the flusher) calls `flush` and `clean`; every other call may come from any thread and, unless it says otherwise,
///   never waits for the disk.
/// - After a failed sync every call throws `fatal`: the process must end, and a restart recovers what was acknowledged.
package final class Log: Sendable {
    package let options: LogOptions

    /// Opens the log in `directory`, which exists, or makes one there: reads the newest metadata snapshot, trusts the
    /// segments as far as it says, and rebuilds the rest from the journal. Each step is logged. May take seconds.
    package static func open(
        _ directory: String, _ surroundings: LogSurroundings, _ options: LogOptions = LogOptions()
    ) throws(LogError) -> Log {
        preconditionFailure("\(directory)")
    }

    init(options: LogOptions) { self.options = options }
}

// MARK: Catalog

extension Log {
    /// The topic of that name, as soon as its creation is durable and until its deletion is.
    package func topic(named name: String) -> Topic? { preconditionFailure() }

    package func topic(id: TopicID) -> Topic? { preconditionFailure() }

    /// Every topic, by name.
    package func topics() -> [Topic] { preconditionFailure() }

    /// Makes a topic. Answer the client when the sequence is durable; until then the topic is not to be seen, though its
    /// name is taken.
    package func createTopic(
        _ name: String, partitions: Int32, overrides: [String: String] = [:], id: TopicID? = nil, isInternal: Bool = false
    ) throws(LogError) -> (topic: Topic, sequence: UInt64) { preconditionFailure() }

    /// What `createTopic` would make; throws what it would throw. For validate_only requests.
    package func validateTopic(
        _ name: String, partitions: Int32, overrides: [String: String] = [:]
    ) throws(LogError) -> Topic { preconditionFailure() }

    /// Appends are refused at once; the topic disappears, and its directory after it, when the sequence is durable.
    package func deleteTopic(_ id: TopicID) throws(LogError) -> UInt64 { preconditionFailure() }

    /// `total` partitions from now on, more than before.
    package func addPartitions(_ id: TopicID, total: Int32) throws(LogError) -> UInt64 { preconditionFailure() }

    /// Replaces all settings of a topic. In force when the sequence is durable.
    package func alterTopic(_ id: TopicID, overrides: [String: String]) throws(LogError) -> UInt64 { preconditionFailure() }

    /// Moves the log's start; what is before it can no longer be read and is removed with its segments. Up to the high
    /// watermark; an earlier offset than the present start changes nothing. Returns the start it will have.
    package func deleteRecords(
        _ partition: TopicPartition, before offset: Int64
    ) throws(LogError) -> (logStartOffset: Int64, sequence: UInt64) { preconditionFailure() }
}

// MARK: Commits

extension Log {
    /// A produce request. Every append is judged on its own; what is accepted becomes one journal record. The answer may
    /// leave when `sequence` is durable; 0: there is nothing to wait for. A few microseconds.
    package func produce(_ appends: [Append]) -> (outcomes: [AppendOutcome], sequence: UInt64) { preconditionFailure() }

    /// Appends, entries and fences as one record, all or nothing. Throws `refused` where `produce` refuses; a repeated
    /// batch is refused as out of order.
    package func commit(_ commit: Commit) throws(LogError) -> Committed { preconditionFailure() }

    /// A marker on each of the transaction's partitions and the entry changes, one record. The caller (the transaction
    /// coordinator) has checked the epoch.
    package func endTransaction(_ end: TransactionEnd) throws(LogError) -> UInt64 { preconditionFailure() }

    /// A producer id nobody has had; it may leave when the sequence is durable (0: at once).
    package func allocateProducerID() throws(LogError) -> (producerID: Int64, sequence: UInt64) { preconditionFailure() }

    /// Everything in a drawer, by key, as of the last call that changed it, durable or not. For coordinators, at their
    /// start: they keep it from then on.
    package func entries(_ space: EntrySpace) -> [Entry] { preconditionFailure() }

    /// One value of a drawer; see `entries`.
    package func entry(_ space: EntrySpace, key: [UInt8]) -> [UInt8]? { preconditionFailure() }

    /// Calls `body` once everything up to `sequence` is durable: on the journal thread, in the order of sequences, or at
    /// once and on this thread if it is already. `body` must be short, and is never called after a failure.
    package func whenDurable(_ sequence: UInt64, _ body: @escaping @Sendable () -> Void) { preconditionFailure() }
}

// MARK: Reads

extension Log {
    /// How the partition stands; nil if there is none.
    package func status(_ partition: TopicPartition) -> PartitionStatus? { preconditionFailure() }

    /// From memory. Throws `offsetOutOfRange` for an offset before the start or beyond the high watermark.
    package func readTail(
        _ partition: TopicPartition, from offset: Int64, maxBytes: Int, isolation: Isolation
    ) throws(LogError) -> TailRead { preconditionFailure() }

    /// From segments, and from memory where they end. Blocks on the disk. Throws `corrupt` for a batch whose bytes are
    /// damaged: it is never served nor passed over.
    package func readFromDisk(
        _ partition: TopicPartition, from offset: Int64, maxBytes: Int, isolation: Isolation
    ) throws(LogError) -> FetchedData { preconditionFailure() }

    /// Answers ListOffsets. May block on the disk.
    package func offset(
        _ question: OffsetQuestion, in partition: TopicPartition, isolation: Isolation
    ) throws(LogError) -> OffsetAnswer { preconditionFailure() }

    /// The producers a partition remembers, by producer id.
    package func producers(of partition: TopicPartition) throws(LogError) -> [ProducerFacts] { preconditionFailure() }
}

// MARK: Drives

extension Log {
    /// Journal thread. Writes what is queued as one group, syncs it, makes it visible, then calls what waits for it; false
    /// if nothing was queued. Throws `outOfSpace` (nothing is lost: call again later) or `fatal`.
    package func writeGroup() throws(LogError) -> Bool { preconditionFailure() }

    /// Journal thread, while there is nothing to write: records the last sync when the time has come. False: not now.
    package func sealIfIdle() throws(LogError) -> Bool { preconditionFailure() }

    /// Flusher thread. Does a piece of work (at most about `budget` bytes written or one file synced): moves batches to
    /// segments, syncs, writes the metadata snapshot, recycles the journal, prepares its next file. False: nothing to do
    /// for now; call again after 20 ms or so.
    package func flush(budget: Int = 4 << 20) throws(LogError) -> Bool { preconditionFailure() }

    /// Flusher thread. Looks at one partition whose time has come: retention, compaction, expired producers. False:
    /// nothing was due.
    package func clean() throws(LogError) -> Bool { preconditionFailure() }

    /// No other call may be running or follow. Writes everything home, so that the next start has nothing to replay.
    package func close() throws(LogError) { preconditionFailure() }

    /// Called, from the appending thread, when something was queued for `writeGroup`. Must be short (wake a thread). Set
    /// before the first append.
    package func setWorkListener(_ body: @escaping @Sendable () -> Void) { preconditionFailure() }

    /// Called on the journal thread after each sync, before what waits for it, with the partitions whose high watermark,
    /// last stable offset or existence changed, in ascending order. Must be short. Set before the first append.
    package func setPublishListener(_ body: @escaping @Sendable ([TopicPartition]) -> Void) { preconditionFailure() }

    /// The highest sequence that is durable, visible and answered.
    package var publishedSequence: UInt64 { preconditionFailure() }
}
