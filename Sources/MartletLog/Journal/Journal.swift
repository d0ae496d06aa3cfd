internal import MartletCore
internal import Synchronization

/// The journal: commits, in order, durable by groups in a ring of files that are written once with zeros and used again
/// and again (docs/formats/journal.md).
///
/// - A record is what becomes true together. Its sequence (1, 2, 3 …, dense) is given by `append`; it is durable once
///   `durableSequence` has reached it, and nothing that depends on it may leave the process before.
/// - A group holds whatever was queued: one write, one sync. It is written only after the sync of the one before it
///   returned, so that after a crash only the last can be torn.
/// - After a failed sync, or a failed write for another reason than missing space, nothing is accepted or acknowledged any
///   more: every call throws what was the matter. ENOSPC is survived: the same group is written again by the next call.
///
/// Any thread may call anything; `writeGroup`, `sealIfIdle` and `close` wait for each other, so one thread (the journal's)
/// should call them. `append` and its like hold a lock for the time of a copy and never wait for the disk.
package final class Journal: Sendable {
    private struct Writer: Sendable {
        /// A group that was taken from the queue and is not on the disk yet.
        var pending: GroupBuffer?
        var syncedGroup: UInt64
        /// Whether the last group was a seal: there is nothing to seal.
        var isSealed = false
        var lastSyncNanos: Int64 = 0
    }

    package let options: JournalOptions
    package let identity: JournalIdentity
    private let clock: any Clock
    private let directory: RingDirectory
    private let queue: Mutex<JournalQueue>
    private let writer: Mutex<Writer>
    /// When the ring may next try to grow, in monotonic nanoseconds; held while it grows.
    private let growth = Mutex<Int64>(.min)
    private let durable: Atomic<UInt64>

    init(queue: JournalQueue, directory: RingDirectory, clock: any Clock, syncedGroup: UInt64) {
        options = queue.options
        identity = queue.identity
        self.clock = clock
        self.directory = directory
        durable = Atomic(0)
        self.queue = Mutex(queue)
        writer = Mutex(Writer(syncedGroup: syncedGroup))
    }

    // MARK: Appending

    /// Copies the parts, one after the other, into a record of the next group and returns its sequence. nil: not now (the
    /// ring or the memory for waiting records is full, or the journal has failed or is closed; `failure` tells), nothing
    /// happened. A record of more than `recordBytesMax` bytes is never accepted.
    package func append(_ parts: [UnsafeRawBufferPointer]) -> UInt64? {
        let total = parts.reduce(0) { $0 &+ $1.count }
        return queue.withLock { $0.append(parts, totalBytes: total) }
    }

    /// Starts a record that is appended in parts, other records in between. nil as for `append`.
    package func beginChain() -> JournalChain? { queue.withLock { $0.begin() } }

    /// Adds to a chain; false as nil for `append`. All open chains together have at most `recordBytesMax`: whoever is
    /// refused with a chain of his own open must in the end abandon it.
    package func append(_ parts: [UnsafeRawBufferPointer], to chain: JournalChain) -> Bool {
        let total = parts.reduce(0) { $0 &+ $1.count }
        return queue.withLock { $0.append(parts, totalBytes: total, to: chain, isEnd: false) != nil }
    }

    /// Adds the last part (which may be empty): the chain is now the record whose sequence is returned. nil as for
    /// `append`; the chain is then still open.
    package func endChain(_ chain: JournalChain, _ parts: [UnsafeRawBufferPointer] = []) -> UInt64? {
        let total = parts.reduce(0) { $0 &+ $1.count }
        return queue.withLock { $0.append(parts, totalBytes: total, to: chain, isEnd: true) }
    }

    /// The chain will never be a record, and no longer keeps its files.
    package func abandonChain(_ chain: JournalChain) { queue.withLock { $0.abandon(chain) } }

    // MARK: Writing

    /// Writes one group of what is queued and syncs it. Returns the highest durable sequence, nil if nothing was queued.
    /// `.outOfSpace` and a retriable `.io` leave the group queued; every other error is final.
    package func writeGroup() throws(LogError) -> UInt64? {
        try writer.withLock { (writer) throws(LogError) -> UInt64? in
            try throwIfFailed()
            guard let group = writer.pending ?? queue.withLock({ $0.takeGroup() }) else { return nil }
            try write(group, &writer)
            return durableSequence
        }
    }

    /// Records the last sync in a seal if nothing was written for `sealAfterIdleNanos` and nothing is queued; says whether
    /// it did.
    package func sealIfIdle() throws(LogError) -> Bool {
        try writer.withLock { (writer) throws(LogError) -> Bool in
            try throwIfFailed()
            guard clock.monotonicNanos() &- writer.lastSyncNanos >= options.sealAfterIdleNanos else { return false }
            return try seal(&writer)
        }
    }

    /// Writes what is queued and a last seal; nothing is accepted from then on. Chains that are open are lost.
    package func close() throws(LogError) {
        queue.withLock { $0.isClosed = true }
        try writer.withLock { (writer) throws(LogError) in
            try throwIfFailed()
            while let group = writer.pending ?? queue.withLock({ $0.takeGroup() }) { try write(group, &writer) }
            _ = try seal(&writer)
        }
    }

    /// The first group after an opening: what the last valid one held, durable now whatever became of that one. A seal
    /// follows at once: it proves the opening to the next one, so that openings without work in between need next to no room.
    func writeOpening(like last: GroupHeader, body: UnsafeRawBufferPointer, durable sequence: UInt64) throws(LogError) {
        try writer.withLock { (writer) throws(LogError) in
            guard let group = queue.withLock({ $0.takeOpening(like: last, body: body) }) else {
                throw .fatal("\(directory.path): the journal has no room for its next group")
            }
            try write(group, &writer)
            writer.isSealed = false
            _ = try seal(&writer)
            queue.withLock { $0.ring.release(from: last.restatedGroup) }
            durable.store(sequence, ordering: .releasing)
        }
    }

    private func seal(_ writer: inout Writer) throws(LogError) -> Bool {
        guard !writer.isSealed, writer.pending == nil, let group = queue.withLock({ $0.takeSeal() }) else { return false }
        try write(group, &writer)
        return true
    }

    private func write(_ group: GroupBuffer, _ writer: inout Writer) throws(LogError) {
        guard let place = group.place else { preconditionFailure("a group is written where it was placed") }
        writer.pending = group
        group.header.lap = place.lap
        if group.header.kind == .opening {
            // What it repeats is not known to be durable.
            group.header.syncedGroup = group.header.restatedGroup &- 1
            group.header.syncedSequence = group.header.firstSequence &- 1
        } else {
            group.header.syncedGroup = writer.syncedGroup
            group.header.syncedSequence = durableSequence
        }
        do throws(IOError) {
            try place.file.write(group.finish(), at: Int64(place.offset))
        } catch {
            if error.isOutOfSpace || error.isRetriable { throw LogError(error) }
            throw fail(error)
        }
        do throws(IOError) {
            try place.file.file.sync()
        } catch {
            throw fail(error)
        }
        writer.pending = nil
        writer.syncedGroup = group.header.number
        writer.isSealed = group.header.bodyBytes == 0
        writer.lastSyncNanos = clock.monotonicNanos()
        if group.header.nextSequence > 1 { durable.max(group.header.nextSequence &- 1, ordering: .releasing) }
        queue.withLock { $0.finish(group) }
    }

    // MARK: The ring

    /// Everything up to `sequence` has a durable home elsewhere, and a recovery will say so: files that hold nothing else
    /// may be overwritten. Touches no disk.
    package func recycle(through sequence: UInt64) throws(LogError) {
        try throwIfFailed()
        let known = min(sequence, durableSequence)
        queue.withLock { $0.recycle(through: known) }
    }

    /// Whether the ring should have another file by now: fewer than two are free, and it may grow.
    package var wantsFile: Bool {
        queue.withLock { queue in
            queue.failure == nil && !queue.isClosed && queue.ring.free.count < 2
                && queue.ring.bytes + options.fileBytes <= options.bytesMax
        }
    }

    /// If the ring wants another file, makes one (writes and syncs `fileBytes` of zeros in pieces) and says so. For a thread
    /// other than the journal's. Without space the ring stays as it is: false, and false for `growthRetryNanos`. Where it is
    /// not urgent it takes three times as long, and leaves the disk to others meanwhile.
    package func prepareFile(isUrgent: Bool = true) throws(LogError) -> Bool {
        try growth.withLock { (notBeforeNanos) throws(LogError) -> Bool in
            try throwIfFailed()
            guard wantsFile, clock.monotonicNanos() >= notBeforeNanos else { return false }
            do throws(RingDirectory.CreationError) {
                let file = try directory.create(restingBy: isUrgent ? nil : clock)
                queue.withLock { $0.ring.add(file) }
                return true
            } catch {
                guard case .survivable(_) = error else { throw fail(error.cause) }
                notBeforeNanos = clock.monotonicNanos() &+ options.growthRetryNanos
                return false
            }
        }
    }

    // MARK: State

    /// What ended the journal, if something did.
    package var failure: LogError? { queue.withLock { $0.failure } }
    /// Every record up to this is durable.
    package var durableSequence: UInt64 { durable.load(ordering: .acquiring) }
    /// The last sequence given out.
    package var appendedSequence: UInt64 { queue.withLock { $0.appendedSequence } }
    /// Bytes accepted and not yet durable.
    package var queuedBytes: Int { queue.withLock { $0.queuedBytes } }
    /// Bytes of the ring that hold, or wait to hold, what was not recycled.
    package var usedBytes: Int { queue.withLock { $0.ring.usedBytes } }
    package var ringBytes: Int { queue.withLock { $0.ring.bytes } }

    private func throwIfFailed() throws(LogError) {
        if let failure { throw failure }
    }

    private func fail(_ error: IOError) -> LogError {
        queue.withLock { queue in
            let failure = queue.failure ?? .fatal("\(error); what was not acknowledged may be lost, a restart recovers the rest")
            queue.failure = failure
            return failure
        }
    }
}
