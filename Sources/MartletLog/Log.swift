internal import MartletCore
internal import Synchronization

/// The durable log: partitioned topics, what their producers and transactions are at, and an ordered map for the
/// coordinators' own state, all behind one journal.
///
/// - One record of the journal is one commit; what is in it becomes true together. A commit's *sequence* says when:
///   nothing of it may leave the process before `whenDurable(sequence)`. Reads show durable data alone.
/// - The log starts no threads. It is driven: one thread (the journal thread) calls `writeGroup` and `sealIfIdle`, one
///   (the flusher) `flush` and `clean`, one more `compact`; every other call may come from any thread and, unless it says
///   otherwise, never waits for the disk.
/// - After a failed sync every call throws `fatal`: the process must end, and a restart recovers what was acknowledged.
///
/// What is where: the journal has every commit since the last checkpoint; memory (the tail) has every batch that is not in
/// a segment, and the newest ones that are; segments have the rest; the metadata snapshot has everything else as of the
/// last checkpoint. `Log+Flush.swift` says in which order things move there.
package final class Log: Sendable {
    package let options: LogOptions
    let directory: String
    let surroundings: LogSurroundings
    let journal: Journal
    let files: TopicFiles
    let figures: LogFigures
    /// Guards what its fields say, and every `TopicState` and `PartitionState`. Held for short: nothing waits under it.
    let state: Mutex<LogState>
    /// The flusher's own; locked by whoever flushes, cleans or closes, for as long as that takes.
    let flusher: Mutex<Flusher>
    /// The compaction's own, for as long as a run takes.
    let compactor = Mutex(Compactor())
    /// `close()` was called: long runs end.
    let isClosing = Atomic<Bool>(false)
    let listeners = Mutex(Listeners())

    struct Listeners {
        var work: @Sendable () -> Void = {}
        /// In the order in which they came.
        var publish: [(id: Int, body: @Sendable ([TopicPartition]) -> Void)] = []
        var nextID = 0
    }

    init(
        directory: String, _ surroundings: LogSurroundings, _ options: LogOptions, journal: Journal, files: TopicFiles,
        state: sending LogState, flusher: sending Flusher
    ) {
        self.directory = directory
        self.surroundings = surroundings
        self.options = options
        self.journal = journal
        self.files = files
        figures = LogFigures(surroundings.metrics)
        self.state = Mutex(state)
        self.flusher = Mutex(flusher)
    }

    var disk: any Disk { surroundings.disk }
    var logger: StructuredLog { surroundings.logger }
    /// Milliseconds since 1970-01-01 UTC.
    var nowMillis: Int64 { surroundings.clock.wallMicros() / 1_000 }

    /// Called, from the appending thread, when something was queued for `writeGroup`. Must be short (wake a thread). Set
    /// before the first append.
    package func setWorkListener(_ body: @escaping @Sendable () -> Void) { listeners.withLock { $0.work = body } }

    /// `body` is called on the journal thread after each sync, before what waits for it, with the partitions whose high
    /// watermark, last stable offset, start or existence changed, in ascending order. Must be short. Listeners are called in
    /// the order in which they were added. Returns what `removePublishListener` takes.
    package func addPublishListener(_ body: @escaping @Sendable ([TopicPartition]) -> Void) -> Int {
        listeners.withLock { listeners in
            listeners.nextID += 1
            listeners.publish.append((listeners.nextID, body))
            return listeners.nextID
        }
    }

    func tellListeners(_ partitions: [TopicPartition]) {
        for listener in listeners.withLock({ $0.publish }) { listener.body(partitions) }
    }

    /// A call that is under way may still end after this.
    package func removePublishListener(_ id: Int) {
        listeners.withLock { listeners in listeners.publish.removeAll { $0.id == id } }
    }

    // MARK: Failure

    /// What ended the log, if it has ended: nothing becomes durable any more, and who waits is never called.
    package var failure: LogError? { state.withLock { $0.failure } }

    /// Remembers the first failure, and gives it back for whoever throws it.
    func fail(_ error: LogError) -> LogError {
        let (failure, isNew) = state.withLock { state in
            let isNew = state.failure == nil
            let failure = state.failure ?? error
            state.failure = failure
            // What waits is never answered.
            state.waiters.removeAll()
            return (failure, isNew)
        }
        if isNew { logger.error("the log has failed", ["error": "\(failure)"]) }
        return failure
    }

    /// An error of the flusher or the journal: what can be survived is thrown as it is, anything else ends the log.
    func judge(_ error: LogError) -> LogError {
        switch error {
        case .outOfSpace: return error
        case .io(let cause) where cause.isRetriable: return error
        case .fatal: return fail(error)
        default: return fail(.fatal("\(error)"))
        }
    }

    // MARK: Putting a record into the journal

    /// Appends what `encoder` holds, as the commit whose sequence the caller has foreseen. False: there is no room now.
    /// Called under the lock, which alone makes the sequence foreseeable.
    func enqueue(_ encoder: CommitEncoder, _ state: inout LogState, expecting sequence: UInt64) -> Bool {
        guard let given = encoder.withParts({ journal.append($0) }) else {
            state.isStarved = true
            figures.refusals.add()
            return false
        }
        precondition(given == sequence, "the journal's sequences are dense, and only the log appends")
        state.journalBytes += encoder.byteCount
        return true
    }

    /// Under the lock: the sequence that the next record has.
    var nextSequence: UInt64 { journal.appendedSequence + 1 }

    func wakeJournal() {
        let work = listeners.withLock { $0.work }
        work()
    }
}
