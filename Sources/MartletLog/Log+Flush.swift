internal import MartletCore
internal import Synchronization

/// The flusher's work: batches go from memory to segments, and from time to time a checkpoint lets the journal use its
/// space again. In pieces, so that neither a sync of the journal nor a reader waits long for the disk.
extension Log {
    /// Flusher thread. Does a piece of work (at most about `budget` bytes written or one file synced): moves batches to
    /// segments, syncs, writes the metadata snapshot, recycles the journal, prepares its next file. False: nothing to do
    /// for now; call again after 20 ms or so. Throws `outOfSpace` or a retriable `io` (nothing is lost: call again later),
    /// or `fatal`.
    package func flush(budget: Int = 4 << 20) throws(LogError) -> Bool {
        do throws(LogError) {
            try throwIfFailed()
            let isBusy = try flusher.withLock { (flusher) throws(LogError) in try step(&flusher, budget: budget) }
            state.withLock { $0.isOutOfSpace = false }
            return isBusy
        } catch {
            if case .outOfSpace = error { noteOutOfSpace(error) }
            throw judge(error)
        }
    }

    private func noteOutOfSpace(_ error: LogError) {
        let isNew = state.withLock { state in
            defer { state.isOutOfSpace = true }
            return !state.isOutOfSpace
        }
        if isNew { logger.error("no space: reads go on, writes only as far as the journal has room", ["error": "\(error)"]) }
    }

    private func step(_ flusher: inout Flusher, budget: Int) throws(LogError) -> Bool {
        if removeDoomed(&flusher) { return true }
        if isRingShort, try journal.prepareFile(isUrgent: isRingNearlyFull) { return true }
        // Memory first: it is what producers are throttled for.
        if state.withLock({ $0.unwrittenCost > options.tailBytesMax / 4 }), try writeNext(&flusher, budget: budget) { return true }
        if try syncNext(&flusher) { return true }
        if flusher.checkpoint == nil && isCheckpointDue(flusher) { beginCheckpoint(&flusher) }
        if try advanceCheckpoint(&flusher, budget: budget) { return true }
        return try journal.prepareFile(isUrgent: false)
    }

    /// Whether the ring needs another file before anything else. A new file costs as much writing as what it will hold, so
    /// under load the ring grows only until it holds some checkpoints and what comes in meanwhile; further when there is time.
    private var isRingShort: Bool {
        let bytes = journal.ringBytes
        // One file is always kept free for the next start.
        return bytes < 8 * options.checkpointBytes && journal.usedBytes + 2 * options.journalFileBytes >= bytes
    }

    /// Whether appends would soon wait for room.
    private var isRingNearlyFull: Bool { journal.usedBytes + options.journalFileBytes >= journal.ringBytes }

    /// Removes the directory of one deleted topic. What cannot be removed now (a compaction may be about to leave a file
    /// there) is tried again a second later, or after the next start.
    private func removeDoomed(_ flusher: inout Flusher) -> Bool {
        let now = surroundings.clock.monotonicNanos()
        guard now >= flusher.removalNanos, let id = state.withLock({ $0.doomed.first }) else { return false }
        do throws(LogError) {
            try files.remove(id)
        } catch {
            flusher.removalNanos = now + 1_000_000_000
            logger.warn("a deleted topic's files cannot be removed now", ["topic": "\(id)", "error": "\(error)"])
            return false
        }
        state.withLock { $0.doomed.removeAll { $0 == id } }
        logger.info("a deleted topic's files are removed", ["topic": "\(id)"])
        return true
    }

    // MARK: Writing and syncing

    /// Writes batches of the partition that waits longest. False: nothing durable waits.
    private func writeNext(_ flusher: inout Flusher, budget: Int) throws(LogError) -> Bool {
        // At most once around: what waits may all be waiting for the journal.
        let waiting = state.withLock { $0.line.count }
        for _ in 0..<waiting {
            guard let partition = state.withLock({ $0.takeFromLine() }) else { return false }
            let isBusy: Bool
            do throws(LogError) {
                isBusy = try write(partition, upTo: .max, &flusher, budget: budget)
            } catch {
                state.withLock { $0.putInLine(partition) }
                throw error
            }
            state.withLock { state in if partition.writtenOffset < partition.nextOffset { state.putInLine(partition) } }
            if isBusy { return true }
        }
        return false
    }

    /// Writes a partition's durable batches that begin before `end`, about `budget` bytes of them. False: there are none.
    private func write(
        _ partition: PartitionState, upTo end: Int64, _ flusher: inout Flusher, budget: Int
    ) throws(LogError) -> Bool {
        let (batches, store, configuration) = state.withLock { state in
            (
                partition.unwrittenBatches(before: end, bytesMax: budget), partition.store,
                state.topics[partition.id.topic]?.configuration
            )
        }
        guard let last = batches.last, let configuration else { return false }
        let target: PartitionStore
        if let store {
            target = store
        } else {
            target = try files.openStore(partition.id, configuration, checkpoint: nil)
            // Kept whatever comes next: it knows which names are not durable.
            state.withLock { _ in if !partition.isDeleted { partition.store = target } }
        }
        try target.append(batches.map(\.slice), nowMillis: nowMillis)
        let bytes = batches.reduce(0) { $0 + $1.slice.count }
        figures.writtenBytes.add(bytes)
        // What is let go of is freed outside the lock.
        _ = state.withLock { state in
            if !partition.isDeleted { state.markWritten(partition, upTo: last.nextOffset) }
            return state.evict(downTo: options.tailBytesMax)
        }
        let wasSmall = partition.unsyncedBytes < options.syncBytes
        partition.unsyncedBytes += bytes
        if wasSmall && partition.unsyncedBytes >= options.syncBytes { flusher.toSync.append(partition) }
        return true
    }

    private func syncNext(_ flusher: inout Flusher) throws(LogError) -> Bool {
        while let partition = flusher.toSync.first {
            if partition.unsyncedBytes >= options.syncBytes, try sync(partition) { return true }
            _ = flusher.toSync.removeFirst()
        }
        return false
    }

    /// False: there was nothing to be synced.
    private func sync(_ partition: PartitionState) throws(LogError) -> Bool {
        let (store, written) = state.withLock { _ in (partition.isDeleted ? nil : partition.store, partition.writtenOffset) }
        guard let store, partition.syncedOffset < written || partition.unsyncedBytes > 0 || !store.isManifestProven else { return false }
        let before = surroundings.clock.monotonicNanos()
        do throws(LogError) {
            try store.sync()
        } catch {
            throw .fatal("\(error)")
        }
        figures.syncSeconds.record(surroundings.clock.monotonicNanos() - before)
        partition.syncedOffset = store.checkpoint.endOffset
        partition.unsyncedBytes = 0
        return true
    }

    // MARK: Checkpoints

    private func isCheckpointDue(_ flusher: Flusher) -> Bool {
        let (bytes, isStarved) = state.withLock { ($0.journalBytes - flusher.checkpointedBytes, $0.isStarved) }
        guard journal.appendedSequence > flusher.newestSequence else { return false }
        if isStarved || bytes >= min(options.checkpointBytes, journal.ringBytes / 4) { return true }
        return surroundings.clock.monotonicNanos() - flusher.checkpointNanos >= options.checkpointNanos
    }

    private func beginCheckpoint(_ flusher: inout Flusher) {
        let now = surroundings.clock.monotonicNanos()
        flusher.checkpointNanos = now
        flusher.checkpoint = state.withLock { state in
            flusher.checkpointedBytes = state.journalBytes
            state.isStarved = false
            let (snapshot, parts) = state.capture(
                identity: journal.identity, sequence: journal.appendedSequence, millis: nowMillis)
            return Checkpoint(snapshot: snapshot, parts: parts, startNanos: now)
        }
    }

    /// One step; see `Checkpoint` for their order. False: no checkpoint is under way, or it waits for the journal.
    private func advanceCheckpoint(_ flusher: inout Flusher, budget: Int) throws(LogError) -> Bool {
        guard var checkpoint = flusher.checkpoint else { return false }
        flusher.checkpoint = nil
        defer { flusher.checkpoint = checkpoint.isWritten ? nil : checkpoint }
        guard publishedSequence >= checkpoint.snapshot.sequence else { return false }
        while checkpoint.writtenParts < checkpoint.parts.count {
            let part = checkpoint.parts[checkpoint.writtenParts]
            if try write(part.partition, upTo: part.end, &flusher, budget: budget) { return true }
            checkpoint.writtenParts += 1
        }
        while checkpoint.syncedParts < checkpoint.parts.count {
            let part = checkpoint.parts[checkpoint.syncedParts]
            checkpoint.syncedParts += 1
            let isProven = state.withLock { _ in part.partition.store }?.isManifestProven ?? true
            if part.partition.syncedOffset < part.end || !isProven, try sync(part.partition) { return true }
        }
        try write(&checkpoint, &flusher)
        return true
    }

    private func write(_ checkpoint: inout Checkpoint, _ flusher: inout Flusher) throws(LogError) {
        describeStores(in: &checkpoint)
        let sink = ByteSink(capacity: 1 << 16)
        checkpoint.snapshot.encode(into: sink)
        let sequence = checkpoint.snapshot.sequence
        let name = try SnapshotFiles.write(sink.bytes, sequence: sequence, directory: directory, disk: disk)
        checkpoint.isWritten = true
        flusher.previousSequence = flusher.newestSequence
        flusher.newestSequence = sequence
        flusher.snapshotFiles.append(name)
        SnapshotFiles.removeOld(&flusher.snapshotFiles, directory: directory, disk: disk)
        // The snapshot before stays usable as long as the journal has the room: should the newest be damaged, a start takes
        // the older one and replays more.
        let isTight = journal.usedBytes > journal.ringBytes / 2
        try journal.recycle(through: isTight ? sequence : flusher.previousSequence)
        figures.checkpoints.add()
        figures.checkpointSeconds.record(surroundings.clock.monotonicNanos() - checkpoint.startNanos)
        figures.snapshotBytes.set(Int64(sink.count))
        logger.debug(
            "checkpoint",
            ["sequence": LogValue(sequence), "bytes": LogValue(sink.count), "partitions": LogValue(checkpoint.parts.count)])
    }

    /// Notes what the segments are, as far as they are synced. Nothing is written to them between this and the snapshot.
    private func describeStores(in checkpoint: inout Checkpoint) {
        var at = 0
        for topic in checkpoint.snapshot.topics.indices {
            for index in checkpoint.snapshot.topics[topic].partitions.indices {
                let partition = checkpoint.parts[at].partition
                at += 1
                guard let store = state.withLock({ _ in partition.store }) else { continue }
                // A store of which nothing is durable, not even its directory's name, is none.
                let durable = store.checkpoint
                if durable.activeBytes == 0 && durable.manifestSequence == 0 { continue }
                checkpoint.snapshot.topics[topic].partitions[index].store = durable
            }
        }
    }

    // MARK: The end

    /// No call but `compact` may be running, and none may follow. Writes everything home, so that the next start has nothing
    /// to replay.
    package func close() throws(LogError) {
        isClosing.store(true, ordering: .relaxed)
        compactor.withLock { _ in }
        do throws(LogError) {
            try throwIfFailed()
            while try writeGroup() {}
            try flusher.withLock { (flusher) throws(LogError) in
                while flusher.checkpoint != nil || journal.appendedSequence > flusher.newestSequence {
                    if flusher.checkpoint == nil { beginCheckpoint(&flusher) }
                    while try advanceCheckpoint(&flusher, budget: 16 << 20) {}
                }
            }
            try journal.close()
        } catch {
            throw judge(error)
        }
        state.withLock { $0.failure = .closed }
        logger.info("the log is closed", ["sequence": LogValue(journal.durableSequence)])
    }
}

extension LogState {
    fileprivate mutating func takeFromLine() -> PartitionState? {
        while !line.isEmpty {
            let partition = line.removeFirst()
            partition.isInLine = false
            if !partition.isDeleted { return partition }
        }
        return nil
    }

    mutating func putInLine(_ partition: PartitionState) {
        if partition.isInLine || partition.isDeleted { return }
        partition.isInLine = true
        line.append(partition)
    }
}

extension PartitionState {
    /// Durable batches that are not in segments and begin before `end`: at least one if there is one, else at most `bytesMax`.
    func unwrittenBatches(before end: Int64, bytesMax: Int) -> [TailBatch] {
        var at = tail.partitioningIndex { $0.nextOffset <= writtenOffset }
        var batches: [TailBatch] = []
        var bytes = 0
        while at < tail.count {
            let batch = tail[at]
            if batch.nextOffset > highWatermark || batch.baseOffset >= end { break }
            bytes += batch.slice.count
            if !batches.isEmpty && bytes > bytesMax { break }
            batches.append(batch)
            at += 1
        }
        return batches
    }
}
