internal import MartletCore
internal import Synchronization

/// The journal thread's work: groups, and what becomes true with them.
extension Log {
    /// Journal thread. Writes what is queued as one group, syncs it, makes it visible, then calls what waits for it; false
    /// if nothing was queued. Throws `outOfSpace` (nothing is lost: call again later) or `fatal`.
    package func writeGroup() throws(LogError) -> Bool {
        let before = surroundings.clock.monotonicNanos()
        let durable: UInt64?
        do throws(LogError) {
            try throwIfFailed()
            durable = try journal.writeGroup()
        } catch {
            throw judge(error)
        }
        guard let durable else { return false }
        figures.groupSeconds.record(surroundings.clock.monotonicNanos() - before)
        publish(durable)
        return true
    }

    /// Journal thread, while there is nothing to write: records the last sync when the time has come. False: not now.
    package func sealIfIdle() throws(LogError) -> Bool {
        do throws(LogError) {
            try throwIfFailed()
            return try journal.sealIfIdle()
        } catch {
            throw judge(error)
        }
    }

    /// Calls `body` once everything up to `sequence` is durable: on the journal thread, in the order of sequences, or at
    /// once and on this thread if it is already. `body` must be short, and is never called after a failure.
    package func whenDurable(_ sequence: UInt64, _ body: @escaping @Sendable () -> Void) {
        let isDurable = state.withLock { state in
            if sequence <= state.publishedSequence { return true }
            if state.failure == nil { state.waiters.insert(sequence, body) }
            return false
        }
        if isDurable { body() }
    }

    /// The highest sequence that is durable and visible.
    package var publishedSequence: UInt64 { state.withLock { $0.publishedSequence } }

    func throwIfFailed() throws(LogError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Everything up to `durable` is durable: first readers see it, then who waits for it is told.
    func publish(_ durable: UInt64) {
        let (moved, waiters) = state.withLock { state in
            var moved: Set<TopicPartition> = []
            figures.groupRecords.record(Int64(clamping: durable - state.publishedSequence))
            while let first = state.effects.first, first.sequence <= durable {
                _ = state.effects.removeFirst()
                state.perform(first.effect, &moved)
            }
            state.publishedSequence = max(state.publishedSequence, durable)
            var waiters: [Waiter] = []
            while let waiter = state.waiters.removeFirst(upTo: durable) { waiters.append(waiter) }
            return (moved, waiters)
        }
        if !moved.isEmpty {
            tellListeners(moved.sorted())
        }
        for waiter in waiters { waiter.body() }
    }
}

extension LogState {
    /// Makes an effect visible, and notes the partitions whose readers may see a difference.
    mutating func perform(_ effect: Effect, _ moved: inout Set<TopicPartition>) {
        switch effect {
        case .end(let partition, let offset):
            if partition.publish(upTo: offset) { moved.insert(partition.id) }
        case .start(let partition, let offset):
            partition.moveVisibleStart(to: offset)
            moved.insert(partition.id)
        case .created(let topic): topic.isVisible = true
        case .deleted(let topic):
            for partition in topic.partitions { moved.insert(partition.id) }
            remove(topic)
        case .partitions(let topic, let total): topic.topic.partitions = max(topic.topic.partitions, total)
        case .altered(let topic, let configuration):
            topic.topic.configuration = configuration
            for partition in topic.partitions { partition.store?.configure(StoreOptions(configuration, partition.id)) }
        }
    }

    /// The topic is no more; its directory is the flusher's to remove.
    mutating func remove(_ topic: TopicState) {
        topics[topic.topic.id] = nil
        if names[topic.topic.name] === topic { names[topic.topic.name] = nil }
        for partition in topic.partitions { drop(partition) }
        doomed.append(topic.topic.id)
    }
}
