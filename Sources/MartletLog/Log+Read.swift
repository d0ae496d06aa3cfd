internal import MartletCore
internal import Synchronization

/// Reads. Only durable data is seen. Nothing is copied: slices of what is in memory, or of what one read of a segment gave.
extension Log {
    /// How the partition stands; nil if there is none.
    package func status(_ id: TopicPartition) -> PartitionStatus? {
        let found: (PartitionStatus, PartitionStore?)? = state.withLock { state in
            guard let partition = state.visiblePartition(id) else { return nil }
            return (
                PartitionStatus(
                    logStartOffset: partition.visibleStart, highWatermark: partition.highWatermark,
                    lastStableOffset: partition.lastStableOffset, bytes: Int64(partition.unwrittenCost), segments: 0,
                    leaderEpoch: 0,
                    openTransactions: partition.transactions.count), partition.store
            )
        }
        guard var status = found?.0 else { return nil }
        if let store = found?.1 {
            status.bytes += store.byteCount
            status.segments = store.segmentCount
        }
        return status
    }

    /// From memory. Throws `offsetOutOfRange` for an offset before the start or beyond the high watermark.
    package func readTail(
        _ id: TopicPartition, from offset: Int64, maxBytes: Int, isolation: Isolation
    ) throws(LogError) -> TailRead {
        let read = try state.withLock { (state) throws(LogError) -> TailRead in
            let partition = try state.readable(id, at: offset)
            return partition.readTail(from: offset, maxBytes: maxBytes, isolation: isolation)
        }
        if case .found(let data) = read { figures.tailReads.add(data.bytes) }
        return read
    }

    /// From segments, and from memory where they end. Blocks on the disk. Throws `corrupt` for a batch whose bytes are
    /// damaged: it is never served nor passed over.
    package func readFromDisk(
        _ id: TopicPartition, from offset: Int64, maxBytes: Int, isolation: Isolation
    ) throws(LogError) -> FetchedData {
        var position = offset
        while true {
            // What may be seen, and what of it is aborted, is settled before the disk is asked: the data is from this view.
            let view = try state.withLock { (state) throws(LogError) in try View(of: state, id, at: position, isolation) }
            if let store = view.store, position < view.writtenOffset {
                let end = min(view.limit, view.writtenOffset)
                let read = try store.read(from: position, upTo: end, maxBytes: maxBytes)
                if !read.slices.isEmpty {
                    figures.diskReads.add(read.byteCount)
                    return view.data(read.slices, from: offset, nextOffset: read.nextOffset)
                }
                // Compaction left nothing there.
                position = max(position, read.nextOffset)
                if read.nextOffset < end { continue }
                if position >= view.limit { return view.data([], from: offset, nextOffset: position) }
            }
            switch try readTail(id, from: position, maxBytes: maxBytes, isolation: isolation) {
            case .found(let data), .atEnd(let data): return data
            case .needsDisk:
                // The tail moved on in between; there is always progress, since what it let go of is in segments now.
                guard view.writtenOffset > position || isWritten(id, beyond: position) else {
                    throw .corrupt(
                        LogDamage(
                            place: "\(directory)/topics/\(id)", partition: id, offsets: position..<max(view.limit, position + 1),
                            detail: "offsets are neither in memory nor in segments"))
                }
            }
        }
    }

    private func isWritten(_ id: TopicPartition, beyond offset: Int64) -> Bool {
        state.withLock { state in state.visiblePartition(id).map { $0.writtenOffset > offset } ?? true }
    }

    /// The producers a partition remembers, by producer id.
    package func producers(of id: TopicPartition) throws(LogError) -> [ProducerFacts] {
        let producers = try state.withLock { (state) throws(LogError) in
            guard let partition = state.visiblePartition(id) else { throw .unknownPartition }
            return partition.producers
        }
        return producers.sorted { $0.key < $1.key }.map { id, state in
            ProducerFacts(
                producerID: id, producerEpoch: state.epoch, lastSequence: state.spans.last?.lastSequence ?? -1,
                lastMillis: state.lastMillis, coordinatorEpoch: state.coordinatorEpoch,
                transactionStartOffset: state.transactionStart)
        }
    }
}

/// What a read of segments may see.
private struct View {
    var store: PartitionStore?
    var writtenOffset: Int64
    var limit: Int64
    var aborted: [AbortedTransaction]
    var highWatermark: Int64
    var lastStableOffset: Int64
    var startOffset: Int64

    init(of state: LogState, _ id: TopicPartition, at offset: Int64, _ isolation: Isolation) throws(LogError) {
        let partition = try state.readable(id, at: offset)
        store = partition.store
        writtenOffset = partition.writtenOffset
        limit = partition.limit(isolation)
        aborted = isolation == .readCommitted ? partition.abortedTransactions(from: offset, to: limit) : []
        highWatermark = partition.highWatermark
        lastStableOffset = partition.lastStableOffset
        startOffset = partition.visibleStart
    }

    func data(_ slices: [ByteSlice], from offset: Int64, nextOffset: Int64) -> FetchedData {
        FetchedData(
            slices: slices, highWatermark: highWatermark, lastStableOffset: lastStableOffset, logStartOffset: startOffset,
            abortedTransactions: slices.isEmpty ? [] : aborted.filter { $0.firstOffset < nextOffset }, nextOffset: nextOffset)
    }
}

extension LogState {
    /// The partition, if a read may begin at `offset`.
    fileprivate func readable(_ id: TopicPartition, at offset: Int64) throws(LogError) -> PartitionState {
        if let failure { throw failure }
        guard let partition = visiblePartition(id) else { throw .unknownPartition }
        guard offset >= partition.visibleStart && offset <= partition.highWatermark else {
            throw .offsetOutOfRange(requested: offset, start: partition.visibleStart, end: partition.highWatermark)
        }
        return partition
    }
}

extension PartitionState {
    /// The answer to a read at an offset between the visible start and the high watermark.
    fileprivate func readTail(from offset: Int64, maxBytes: Int, isolation: Isolation) -> TailRead {
        let limit = limit(isolation)
        var data = FetchedData(
            slices: [], highWatermark: highWatermark, lastStableOffset: lastStableOffset, logStartOffset: visibleStart,
            abortedTransactions: [], nextOffset: offset)
        if offset >= limit { return .atEnd(data) }
        guard let first = tail.first, first.baseOffset <= offset else { return .needsDisk }
        (data.slices, data.nextOffset) = slices(from: offset, limit: limit, maxBytes: maxBytes)
        if data.slices.isEmpty { return .atEnd(data) }
        if isolation == .readCommitted { data.abortedTransactions = abortedTransactions(from: offset, to: data.nextOffset) }
        return .found(data)
    }
}
