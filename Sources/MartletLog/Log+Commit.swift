internal import MartletCore
internal import Synchronization

/// Commits: what comes in together becomes one record of the journal, and true with it.
extension Log {
    /// A produce request. Every append is judged on its own; what is accepted becomes one journal record. The answer may
    /// leave when `sequence` is durable; 0: there is nothing to wait for. A few microseconds.
    package func produce(_ appends: [Append]) -> (outcomes: [AppendOutcome], sequence: UInt64) {
        let millis = nowMillis
        let facts = appends.map(examine)
        var evicted: [TailBatch] = []
        let result = state.withLock { state in
            if let failure = state.failure {
                let refusal = AppendOutcome.refused(.unavailable("\(failure)"))
                return (outcomes: appends.map { _ in refusal }, sequence: UInt64(0), isQueued: false)
            }
            let sequence = nextSequence
            var draft = Draft(sequence: sequence, millis: millis, encoder: CommitEncoder(into: state.sink, millis: millis))
            for (append, facts) in zip(appends, facts) { draft.add(append, facts, &state, options) }
            guard !draft.accepted.isEmpty else { return (draft.outcomes, draft.awaited, false) }
            guard enqueue(draft.encoder, &state, expecting: sequence) else {
                draft.revert(because: fullness(state))
                return (draft.outcomes, draft.awaited, false)
            }
            draft.keep(&state)
            evicted = state.evict(downTo: options.tailBytesMax)
            return (draft.outcomes, sequence, true)
        }
        // Freed here rather than under the lock.
        withExtendedLifetime(evicted) {}
        if result.isQueued { wakeJournal() }
        figures.count(result.outcomes, appends)
        return (result.outcomes, result.sequence)
    }

    /// Appends, entries and fences as one record, all or nothing. Throws `refused` where `produce` refuses; a repeated
    /// batch is refused as out of order. `noting`: an entry more that says which first offsets the appends were given; called
    /// under the log's lock.
    package func commit(_ commit: Commit, noting: (([Int64]) -> EntryChange)? = nil) throws(LogError) -> Committed {
        let millis = nowMillis
        let facts = commit.appends.map(examine)
        var evicted: [TailBatch] = []
        let committed = try state.withLock { (state) throws(LogError) in
            if let failure = state.failure { throw failure }
            let sequence = nextSequence
            var draft = Draft(sequence: sequence, millis: millis, encoder: CommitEncoder(into: state.sink, millis: millis))
            var baseOffsets: [Int64] = []
            for (index, append) in commit.appends.enumerated() {
                draft.add(append, facts[index], &state, options)
                switch draft.outcomes[index] {
                case .appended(let baseOffset, _, _): baseOffsets.append(baseOffset)
                case .duplicate:
                    draft.revert(because: .throttled)
                    let first = (try? facts[index].get())?.baseSequence ?? 0
                    throw .refused(index: index, .outOfOrderSequence(expected: -1, found: first))
                case .refused(let refusal):
                    draft.revert(because: refusal)
                    throw .refused(index: index, refusal)
                }
            }
            let entries = commit.entries + (noting.map { [$0(baseOffsets)] } ?? [])
            for change in entries { draft.encoder.append(change) }
            for fence in commit.fences { draft.encoder.append(fence) }
            guard enqueue(draft.encoder, &state, expecting: sequence) else {
                draft.revert(because: .throttled)
                throw state.isOutOfSpace ? .refused(index: 0, .outOfSpace) : .throttled
            }
            draft.keep(&state)
            state.apply(entries)
            state.apply(commit.fences)
            evicted = state.evict(downTo: options.tailBytesMax)
            return Committed(sequence: sequence, baseOffsets: baseOffsets)
        }
        withExtendedLifetime(evicted) {}
        wakeJournal()
        return committed
    }

    /// A marker on each of the transaction's partitions and the entry changes, one record. The caller (the transaction
    /// coordinator) has checked the epoch.
    package func endTransaction(_ end: TransactionEnd) throws(LogError) -> UInt64 {
        precondition(end.producerID >= 0 && end.producerEpoch >= 0, "a transaction has a producer")
        let millis = nowMillis
        let marker = ControlMarker(commits: end.isCommit, coordinatorEpoch: end.coordinatorEpoch)
        let template = ByteSink(capacity: 128)
        marker.appendBatch(producerID: end.producerID, producerEpoch: end.producerEpoch, timestamp: millis, to: template)
        let sequence = try state.withLock { (state) throws(LogError) in
            if let failure = state.failure { throw failure }
            let sequence = nextSequence
            var encoder = CommitEncoder(into: state.sink, millis: millis)
            var markers: [(partition: PartitionState, slice: ByteSlice)] = []
            for id in Set(end.partitions).sorted() {
                guard let partition = state.partition(id), !partition.isClosed else { continue }
                let slice = ByteSlice(copying: template.bytes)
                RecordBatch.assign(slice.bytesBeforeSharing, baseOffset: partition.nextOffset, leaderEpoch: 0)
                encoder.append(id, slice)
                markers.append((partition, slice))
            }
            for change in end.entries { encoder.append(change) }
            for fence in end.fences { encoder.append(fence) }
            guard enqueue(encoder, &state, expecting: sequence) else { throw .throttled }
            for (partition, slice) in markers {
                let offset = partition.nextOffset
                partition.assignMarker(
                    producerID: end.producerID, epoch: end.producerEpoch, isCommit: end.isCommit,
                    coordinatorEpoch: end.coordinatorEpoch, millis: millis)
                state.keep(
                    TailBatch(baseOffset: offset, nextOffset: offset + 1, commit: sequence, maxTimestamp: millis, slice: slice),
                    of: partition)
                state.effects.append((sequence, .end(partition, offset + 1)))
            }
            state.apply(end.entries)
            state.apply(end.fences)
            return sequence
        }
        wakeJournal()
        return sequence
    }

    /// A producer id nobody has had; it may leave when the sequence is durable (0: at once).
    package func allocateProducerID() throws(LogError) -> (producerID: Int64, sequence: UInt64) {
        let (id, sequence, isQueued) = try state.withLock { (state) throws(LogError) in
            if let failure = state.failure { throw failure }
            var isQueued = false
            if state.nextProducerID == state.reservedProducerID {
                let below = state.reservedProducerID + Log.producerIDBlock
                let sequence = nextSequence
                let encoder = CommitEncoder(into: state.sink, millis: nowMillis)
                encoder.appendReservation(below: below)
                guard enqueue(encoder, &state, expecting: sequence) else { throw .throttled }
                state.reservedProducerID = below
                state.reservationSequence = sequence
                isQueued = true
            }
            state.nextProducerID += 1
            let awaited = state.reservationSequence <= state.publishedSequence ? 0 : state.reservationSequence
            return (state.nextProducerID - 1, awaited, isQueued)
        }
        if isQueued { wakeJournal() }
        return (id, sequence)
    }

    /// How many producer ids one record of the journal reserves; a restart begins after the last reserved one.
    static let producerIDBlock: Int64 = 1_000

    /// Everything in a drawer, by key, as of the last call that changed it, durable or not. For coordinators, at their
    /// start: they keep it from then on.
    package func entries(_ space: EntrySpace) -> [Entry] {
        state.withLock { $0.entries[space] ?? [:] }.map { Entry(key: $0.key, value: $0.value) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    /// One value of a drawer; see `entries`.
    package func entry(_ space: EntrySpace, key: [UInt8]) -> [UInt8]? { state.withLock { $0.entries[space]?[key] } }

    // MARK: Judging a batch

    /// What can be said of a batch without the log's state.
    private func examine(_ append: Append) -> Result<BatchFacts, AppendRefusal> {
        let bytes = append.batch.bytes
        guard bytes.count <= options.commitBytesMax else {
            return .failure(.tooLarge(bytes: bytes.count, bytesMax: options.commitBytesMax))
        }
        do throws(BatchError) {
            let header = try RecordBatchHeader(reading: bytes)
            if let objection = BatchFacts.objection(to: header, bytes: bytes.count) { return .failure(.invalidRecord(objection)) }
            var facts = BatchFacts(header)
            switch append.timestamps {
            case .none: break
            case .maxTimestamp(let millis), .logAppendTime(let millis): facts.maxTimestamp = millis
            }
            return .success(facts)
        } catch {
            return .failure(.invalidRecord("\(error)"))
        }
    }

    private func fullness(_ state: LogState) -> AppendRefusal { state.isOutOfSpace ? .outOfSpace : .throttled }
}

/// A record being put together: offsets are assigned as batches come, and taken back if the journal has no room.
private struct Draft {
    struct Accepted {
        var index: Int
        var append: Append
        var facts: BatchFacts
        var baseOffset: Int64
        var undo: PartitionState.Undo
    }

    let sequence: UInt64
    let millis: Int64
    var encoder: CommitEncoder
    var outcomes: [AppendOutcome] = []
    var accepted: [Accepted] = []
    /// The highest sequence that an original of a repeated batch came with.
    var awaited: UInt64 = 0
    /// Outcomes that name a batch of this very record.
    private var repeats: [Int] = []

    init(sequence: UInt64, millis: Int64, encoder: CommitEncoder) {
        self.sequence = sequence
        self.millis = millis
        self.encoder = encoder
    }

    mutating func add(
        _ append: Append, _ examined: Result<BatchFacts, AppendRefusal>, _ state: inout LogState, _ options: LogOptions
    ) {
        outcomes.append(judge(append, examined, &state, options))
    }

    private mutating func judge(
        _ append: Append, _ examined: Result<BatchFacts, AppendRefusal>, _ state: inout LogState, _ options: LogOptions
    ) -> AppendOutcome {
        let facts: BatchFacts
        switch examined {
        case .failure(let refusal): return .refused(refusal)
        case .success(let found): facts = found
        }
        guard let partition = state.partition(append.partition), !partition.isClosed else { return .refused(.unknownPartition) }
        if facts.hasProducer {
            if let fence = state.fences[facts.producerID], facts.producerEpoch < fence {
                return .refused(.invalidProducerEpoch(current: fence))
            }
            switch ProducerState.judge(facts, known: partition.producers[facts.producerID]) {
            case .accept: break
            case .duplicate(let span):
                // The original may not be durable: whoever repeats it waits as its first sender does.
                if span.commit > state.publishedSequence { awaited = max(awaited, span.commit) }
                if span.commit == sequence { repeats.append(outcomes.count) }
                return .duplicate(baseOffset: span.baseOffset, logStartOffset: partition.visibleStart)
            case .refuse(let refusal): return .refused(refusal)
            }
        }
        guard state.unwrittenCost + append.batch.count <= max(options.unwrittenBytesMax, options.tailBytesMax) else {
            return .refused(state.isOutOfSpace ? .outOfSpace : .throttled)
        }
        guard encoder.byteCount + append.batch.count <= options.commitBytesMax else {
            return .refused(.tooLarge(bytes: encoder.byteCount + append.batch.count, bytesMax: options.commitBytesMax))
        }
        let baseOffset = partition.nextOffset
        RecordBatch.assign(
            append.batch.bytesBeforeSharing, baseOffset: baseOffset, leaderEpoch: 0, timestamps: append.timestamps)
        let undo = partition.assign(facts, millis: millis, commit: sequence)
        accepted.append(
            Accepted(index: outcomes.count, append: append, facts: facts, baseOffset: baseOffset, undo: undo))
        encoder.append(append.partition, append.batch)
        var appendMillis: Int64 = -1
        if case .logAppendTime(let time) = append.timestamps { appendMillis = time }
        return .appended(baseOffset: baseOffset, logAppendMillis: appendMillis, logStartOffset: partition.visibleStart)
    }

    /// Nothing of it happened.
    mutating func revert(because refusal: AppendRefusal) {
        for item in accepted.reversed() {
            item.undo.revert()
            outcomes[item.index] = .refused(refusal)
        }
        for index in repeats { outcomes[index] = .refused(refusal) }
        if awaited == sequence { awaited = 0 }
        accepted = []
    }

    /// The record is in the journal's queue.
    func keep(_ state: inout LogState) {
        for item in accepted {
            let partition = item.undo.partition
            let next = item.baseOffset + Int64(item.facts.recordCount)
            state.keep(
                TailBatch(
                    baseOffset: item.baseOffset, nextOffset: next, commit: sequence, maxTimestamp: item.facts.maxTimestamp,
                    slice: item.append.batch),
                of: partition)
            state.effects.append((sequence, .end(partition, next)))
        }
    }
}

extension ByteSlice {
    /// For `Log`, which sets a batch's offset before anybody else sees the batch.
    package var bytesBeforeSharing: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: chunk.bytesBeforeSharing[range])
    }
}

extension LogState {
    mutating func apply(_ changes: [EntryChange]) {
        for change in changes { entries[change.space, default: [:]][change.key] = change.value }
    }

    mutating func apply(_ changes: [ProducerFence]) {
        for change in changes { fences[change.producerID] = change.epoch }
    }
}
