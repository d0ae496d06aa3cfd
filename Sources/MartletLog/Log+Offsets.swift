internal import MartletCore
internal import Synchronization

/// ListOffsets: offsets by place and by time.
extension Log {
    /// Answers ListOffsets. May block on the disk.
    package func offset(
        _ question: OffsetQuestion, in id: TopicPartition, isolation: Isolation
    ) throws(LogError) -> OffsetAnswer {
        let view = try state.withLock { (state) throws(LogError) in try TimeView(of: state, id, isolation) }
        switch question {
        case .earliest: return OffsetAnswer(offset: view.start, timestamp: -1)
        case .latest: return OffsetAnswer(offset: view.limit, timestamp: -1)
        case .atOrAfter(let timestamp): return try first(since: timestamp, in: view) ?? .none
        case .maxTimestamp:
            let newest = max(view.store?.maxTimestamp ?? -1, view.tail.map(\.maxTimestamp).max() ?? -1)
            guard newest >= 0 else { return .none }
            if let found = try first(since: newest, in: view) { return found }
            return try latestVisible(in: view)
        }
    }

    /// The first record a reader of the view may see with that timestamp or a later one.
    private func first(since timestamp: Int64, in view: TimeView) throws(LogError) -> OffsetAnswer? {
        if let store = view.store, view.start < view.written {
            let end = min(view.limit, view.written)
            if let found = try store.firstRecord(since: timestamp, upTo: end) {
                if found.offset >= view.start { return OffsetAnswer(offset: found.offset, timestamp: found.timestamp) }
                // Records were deleted, and their segment is still there: what is left is looked through one by one.
                if let found = try scan(store, from: view.start, to: end, since: timestamp) { return found }
            }
        }
        for batch in view.tail where batch.maxTimestamp >= timestamp {
            if let found = try first(since: timestamp, in: batch.slice.bytes, from: view.start, view) { return found }
        }
        return nil
    }

    private func scan(
        _ store: PartitionStore, from start: Int64, to end: Int64, since timestamp: Int64
    ) throws(LogError) -> OffsetAnswer? {
        var position = start
        while position < end {
            let read = try store.read(from: position, upTo: end, maxBytes: 1 << 20)
            for slice in read.slices {
                for part in try parts(of: slice.bytes, store.partition) {
                    let bytes = UnsafeRawBufferPointer(rebasing: slice.bytes[part])
                    let found = try withExtendedLifetime(slice) { () throws(LogError) in
                        try firstRecord(since: timestamp, in: bytes, from: start, store.partition)
                    }
                    if let found { return found }
                }
            }
            guard read.nextOffset > position else { return nil }
            position = read.nextOffset
        }
        return nil
    }

    private func first(
        since timestamp: Int64, in batch: UnsafeRawBufferPointer, from start: Int64, _ view: TimeView
    ) throws(LogError) -> OffsetAnswer? {
        try withExtendedLifetime(view) { () throws(LogError) in
            try firstRecord(since: timestamp, in: batch, from: start, view.id)
        }
    }

    private func firstRecord(
        since timestamp: Int64, in batch: UnsafeRawBufferPointer, from start: Int64, _ id: TopicPartition
    ) throws(LogError) -> OffsetAnswer? {
        do throws(BatchError) {
            var reader = try RecordBatchReader(batch)
            while let record = try reader.next() {
                if record.timestamp >= timestamp && record.offset >= start {
                    return OffsetAnswer(offset: record.offset, timestamp: record.timestamp)
                }
            }
            return nil
        } catch {
            throw .corrupt(LogDamage(place: files.directory(of: id), partition: id, detail: "\(error)"))
        }
    }

    private func parts(of bytes: UnsafeRawBufferPointer, _ id: TopicPartition) throws(LogError) -> [Range<Int>] {
        do throws(BatchError) {
            return try RecordBatch.split(bytes)
        } catch {
            throw .corrupt(LogDamage(place: files.directory(of: id), partition: id, detail: "\(error)"))
        }
    }

    /// The largest timestamp lies beyond what may be seen: the largest of what may.
    private func latestVisible(in view: TimeView) throws(LogError) -> OffsetAnswer {
        var best = OffsetAnswer.none
        var since: Int64 = 0
        // Each step finds a later timestamp; they end at the largest.
        while let found = try first(since: since, in: view) {
            best = found
            if found.timestamp == .max { break }
            since = found.timestamp + 1
        }
        return best
    }
}

/// What a question about time may look at.
private struct TimeView {
    var id: TopicPartition
    var store: PartitionStore?
    var start: Int64
    var written: Int64
    var limit: Int64
    /// Visible batches that are not in segments.
    var tail: [TailBatch]

    init(of state: LogState, _ id: TopicPartition, _ isolation: Isolation) throws(LogError) {
        if let failure = state.failure { throw failure }
        guard let partition = state.visiblePartition(id) else { throw .unknownPartition }
        self.id = id
        store = partition.store
        start = partition.visibleStart
        written = partition.writtenOffset
        limit = partition.limit(isolation)
        tail = partition.batches(from: max(written, start), to: limit)
    }
}

extension PartitionState {
    /// The tail's batches that end after `offset` and not after `end`.
    fileprivate func batches(from offset: Int64, to end: Int64) -> [TailBatch] {
        var at = tail.partitioningIndex { $0.nextOffset <= offset }
        var batches: [TailBatch] = []
        while at < tail.count, tail[at].nextOffset <= end {
            batches.append(tail[at])
            at += 1
        }
        return batches
    }
}
