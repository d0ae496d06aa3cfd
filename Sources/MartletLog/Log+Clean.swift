internal import MartletCore
internal import Synchronization

/// What time does to a log: old segments go, silent producers are forgotten.
extension Log {
    /// Flusher thread. Looks at one partition whose time has come: retention, deleted records, expired producers. False:
    /// nothing was due. Throws as `flush`.
    package func clean() throws(LogError) -> Bool {
        do throws(LogError) {
            try throwIfFailed()
            return try flusher.withLock { (flusher) throws(LogError) in
                guard let partition = nextToClean(&flusher) else { return false }
                try clean(partition)
                return true
            }
        } catch {
            throw judge(error)
        }
    }

    /// The next of the partitions that are looked at once in `cleanIntervalMillis`.
    private func nextToClean(_ flusher: inout Flusher) -> PartitionState? {
        if flusher.toClean.isEmpty {
            let now = surroundings.clock.monotonicNanos()
            guard now >= flusher.cleanNanos else { return nil }
            flusher.cleanNanos = now + options.cleanIntervalMillis * 1_000_000
            for partition in state.withLock({ $0.topicsByID.flatMap(\.partitions) }) { flusher.toClean.append(partition) }
        }
        return flusher.toClean.isEmpty ? nil : flusher.toClean.removeFirst()
    }

    private func clean(_ partition: PartitionState) throws(LogError) {
        let now = nowMillis
        let (store, start) = state.withLock { state in
            partition.forgetProducers(silentSince: now - options.producerExpirationMillis)
            return (partition.store, partition.visibleStart)
        }
        guard let store else { return }
        if store.startOffset < start { try store.deleteRecords(before: min(start, store.endOffset)) }
        let bytes = store.byteCount
        _ = try store.retain(nowMillis: now)
        if store.byteCount < bytes { figures.removedBytes.add(Int(bytes - store.byteCount)) }
        moveStart(of: partition, to: store.startOffset)
    }

    /// What retention removed is not there for readers any more.
    private func moveStart(of partition: PartitionState, to offset: Int64) {
        let isMoved = state.withLock { _ in
            guard !partition.isDeleted, offset > partition.visibleStart else { return false }
            partition.moveVisibleStart(to: offset)
            return true
        }
        guard isMoved else { return }
        logger.info("old records are removed", ["partition": "\(partition.id)", "start": LogValue(offset)])
        tellListeners([partition.id])
    }
}

extension PartitionState {
    /// Producers that wrote nothing after `millis` and have no transaction open are as good as gone.
    fileprivate func forgetProducers(silentSince millis: Int64) {
        guard producers.contains(where: { $0.value.lastMillis < millis && $0.value.transactionStart < 0 }) else { return }
        producers = producers.filter { $0.value.lastMillis >= millis || $0.value.transactionStart >= 0 }
    }
}
