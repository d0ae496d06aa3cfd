internal import MartletCore
internal import Synchronization

/// Which partitions compaction will look at. Guarded by the compactor's lock, which is held for a whole run.
struct Compactor {
    var line = Queue<PartitionState>()
    var nextNanos: Int64 = 0
}

extension Log {
    /// Compaction thread (one of its own, or the flusher's where nothing big is compacted): compacts one partition whose
    /// time has come. May take minutes; appends, reads and the flusher go on. False: nothing was due. Throws `corrupt` for a
    /// partition whose segments are damaged (others go on), else as `flush`.
    package func compact() throws(LogError) -> Bool {
        try throwIfFailed()
        return try compactor.withLock { (compactor) throws(LogError) in
            if compactor.line.isEmpty {
                let now = surroundings.clock.monotonicNanos()
                guard now >= compactor.nextNanos else { return false }
                compactor.nextNanos = now + options.cleanIntervalMillis * 1_000_000
                let topics = state.withLock { state in state.topicsByID.filter(\.configuration.isCompacted) }
                for partition in topics.flatMap(\.partitions) { compactor.line.append(partition) }
            }
            while !compactor.line.isEmpty && !isClosing.load(ordering: .relaxed) {
                if try compact(compactor.line.removeFirst()) { return true }
            }
            return false
        }
    }

    private func compact(_ partition: PartitionState) throws(LogError) -> Bool {
        let (store, stable, aborted) = state.withLock { _ in
            // What may go is settled for good: every transaction before the last stable offset has ended, visibly.
            (partition.store, min(partition.lastStableOffset, partition.writtenOffset), partition.aborted)
        }
        guard let store else { return false }
        do throws(LogError) {
            guard try store.isCleaningDue(nowMillis: nowMillis, stableEnd: stable) else { return false }
            var request = CleanRequest(
                nowMillis: nowMillis, stableEnd: stable,
                aborted: aborted.filter { $0.firstOffset < stable }.map {
                    AbortedRange(producerID: $0.producerID, firstOffset: $0.firstOffset, lastOffset: $0.lastOffset)
                },
                secret: (surroundings.entropy.next(), surroundings.entropy.next()))
            request.mapBytesMax = options.compactionBytesMax
            request.isCancelled = { [weak self] in
                self?.isClosing.load(ordering: .relaxed) ?? true || self?.state.withLock { _ in partition.isDeleted } ?? true
            }
            let before = surroundings.clock.monotonicNanos()
            guard let result = try store.clean(request) else { return false }
            figures.removedBytes.add(Int(clamping: result.bytesBefore - result.bytesAfter))
            // Or a quiet log would show the old records for ever: memory holds them until others come.
            let forgotten = state.withLock { $0.forgetTail(of: partition, before: result.cleanedOffset) }
            withExtendedLifetime(forgotten) {}
            logger.info(
                "compacted",
                [
                    "partition": "\(partition.id)", "before": LogValue(result.bytesBefore), "after": LogValue(result.bytesAfter),
                    "removed": LogValue(result.removedRecords), "upTo": LogValue(result.cleanedOffset),
                    "millis": LogValue((surroundings.clock.monotonicNanos() - before) / 1_000_000),
                ])
            return true
        } catch {
            // The files of a deleted topic go while it is compacted.
            if state.withLock({ _ in partition.isDeleted }) { return false }
            if case .corrupt = error {
                logger.error("a partition cannot be compacted", ["damage": "\(error)"])
                throw error
            }
            throw judge(error)
        }
    }
}
