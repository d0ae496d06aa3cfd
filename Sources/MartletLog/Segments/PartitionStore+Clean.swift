internal import MartletCore
internal import Synchronization

/// What compaction needs to know besides the data.
package struct CleanRequest: Sendable {
    package var nowMillis: Int64
    /// The last stable offset: nothing from there on is touched, nor is the active segment.
    package var stableEnd: Int64
    /// Every aborted transaction with records below `stableEnd`; those of which nothing is left do no harm.
    package var aborted: [AbortedRange]
    /// Random, drawn per run: see `KeyMap`.
    package var secret: (UInt64, UInt64)
    /// Memory for the keys. What does not fit is done by the next run.
    package var mapBytesMax = 64 << 20
    /// Asked about once a MiB; true ends the run without a result.
    package var isCancelled: @Sendable () -> Bool = { false }

    package init(nowMillis: Int64, stableEnd: Int64, aborted: [AbortedRange], secret: (UInt64, UInt64)) {
        self.nowMillis = nowMillis
        self.stableEnd = stableEnd
        self.aborted = aborted
        self.secret = secret
    }
}

/// What a run of compaction did.
package struct CleanResult: Sendable, Equatable {
    /// Of the segments it looked at.
    package var bytesBefore: Int64 = 0
    package var bytesAfter: Int64 = 0
    package var removedRecords = 0
    /// Below it only the latest record of each key is left.
    package var cleanedOffset: Int64 = 0
}

extension PartitionStore {
    /// Whether the topic's settings ask for a run: enough of what may be compacted is new, or old enough.
    package func isCleaningDue(nowMillis: Int64, stableEnd: Int64) throws(LogError) -> Bool {
        try dirt(nowMillis, stableEnd)?.isDue ?? false
    }

    /// One run of compaction, if it is due: of each key only the latest record stays in the sealed segments, which are written
    /// anew, one group after the other. Offsets never change. nil: nothing was due, or it was cancelled. A crash or an error
    /// leaves each group either as it was or compacted.
    ///
    /// One call at a time; appends, syncs and reads go on meanwhile.
    package func clean(_ request: CleanRequest) throws(LogError) -> CleanResult? {
        try checkUsable()
        guard let dirt = try dirt(request.nowMillis, request.stableEnd), dirt.isDue else { return nil }
        try removeStrangers()
        do throws(LogError) {
            return try compact(dirt, request)
        } catch .io(.missing(let failure)) {
            // Retention was faster; what it did not remove must be there.
            let segments = state.withLock { $0.manifest.segments }
            if dirt.segments.contains(where: { !segments.contains($0) }) { return nil }
            throw missing(failure)
        } catch {
            throw error
        }
    }

    private func compact(_ dirt: Dirt, _ request: CleanRequest) throws(LogError) -> CleanResult? {
        let map = KeyMap(bytesMax: request.mapBytesMax, secret: request.secret)
        guard let mapEnd = try fill(map, dirt, request) else { return nil }
        var filter = CompactionFilter(
            map: map, mapEnd: mapEnd, nowMillis: request.nowMillis, deleteRetentionMillis: options.deleteRetentionMillis,
            transactions: TransactionTrack(request.aborted))
        var result = CleanResult()
        for group in groups(dirt.segments.filter { $0.baseOffset < mapEnd }) {
            guard let written = try rewrite(group, &filter, request) else { return nil }
            guard try swap(group, for: written) else { return nil }
            result.bytesBefore += group.reduce(0) { $0 + $1.bytes }
            result.bytesAfter += written.reduce(0) { $0 + $1.bytes }
        }
        try structure.withLock { _ throws(LogError) in
            var manifest = state.withLock { $0.manifest }
            manifest.cleanedOffset = max(manifest.cleanedOffset, mapEnd)
            try replace(manifest, removing: [])
        }
        result.removedRecords = filter.removedRecords
        result.cleanedOffset = mapEnd
        return result
    }

    // MARK: What is to be done

    private struct Dirt {
        /// What may be compacted, from the first segment on.
        var segments: [SegmentFacts]
        /// Keys below are known to be single.
        var firstDirtyOffset: Int64
        var isDue: Bool
    }

    private func dirt(_ nowMillis: Int64, _ stableEnd: Int64) throws(LogError) -> Dirt? {
        let (options, manifest) = state.withLock { ($0.options, $0.manifest) }
        guard options.compacts else { return nil }
        let segments = manifest.segments.dropLast().prefix { segment in
            let time = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.sealedMillis
            let age = nowMillis.subtractingReportingOverflow(time)
            return segment.endOffset <= stableEnd
                && (options.minCompactionLagMillis <= 0 || !age.overflow && age.partialValue >= options.minCompactionLagMillis)
        }
        let first = max(manifest.cleanedOffset, manifest.startOffset)
        let dirty = segments.filter { $0.endOffset > first }
        guard let oldest = dirty.first else { return nil }
        let dirtyBytes = dirty.reduce(0) { $0 + $1.bytes }
        let allBytes = segments.reduce(0) { $0 + $1.bytes }
        var isDue = Double(dirtyBytes) >= options.minCleanableDirtyRatio * Double(max(allBytes, 1))
        if !isDue && options.maxCompactionLagMillis < .max {
            let birth = try birth(of: oldest)
            let time = birth.firstTimestamp >= 0 ? birth.firstTimestamp : birth.createdMillis
            let age = nowMillis.subtractingReportingOverflow(time)
            isDue = !age.overflow && age.partialValue > options.maxCompactionLagMillis
        }
        return Dirt(segments: Array(segments), firstDirtyOffset: first, isDue: isDue)
    }

    /// Puts the keys from the first dirty offset on into the map, as many as it takes; returns the offset up to which it has
    /// them all.
    private func fill(_ map: KeyMap, _ dirt: Dirt, _ request: CleanRequest) throws(LogError) -> Int64? {
        var transactions = TransactionTrack(request.aborted)
        var end = dirt.firstDirtyOffset
        for segment in dirt.segments where segment.endOffset > dirt.firstDirtyOffset {
            var isFull = false
            let isDone = try walk(segment, request) { header, batch throws(LogError) in
                if header.nextOffset <= dirt.firstDirtyOffset { return true }
                isFull = map.isFull && header.baseOffset > dirt.firstDirtyOffset
                if isFull { return false }
                end = header.nextOffset
                if header.isControl || transactions.isAborted(header) { return true }
                try judged(segment, header) { () throws(BatchError) in
                    var reader = try RecordBatchReader(batch)
                    while let record = try reader.next() {
                        if let key = record.key { map.set(key, record.offset) }
                    }
                }
                return true
            }
            if isFull { return end }
            guard isDone else { return nil }
            end = segment.endOffset
        }
        return end
    }

    /// Hands every batch of a segment, verified, to `body` until that says false. False: it did, or the run was cancelled.
    private func walk(
        _ segment: SegmentFacts, _ request: CleanRequest,
        _ body: (RecordBatchHeader, UnsafeRawBufferPointer) throws(LogError) -> Bool
    ) throws(LogError) -> Bool {
        guard segment.hasData else { return true }
        let file = try io { () throws(IOError) in try self.file(segment) }
        var scan = SegmentScan(
            file, seed: identity(segment).seed, from: Int64(SegmentFormat.headerBytes), end: segment.bytes)
        var expected = segment.baseOffset
        var asked: Int64 = 0
        while true {
            if scan.position - asked >= 1 << 20 {
                asked = scan.position
                if request.isCancelled() { return false }
            }
            switch try io({ () throws(IOError) in try scan.next(verifying: true) }) {
            case .end: return true
            case .damaged(let detail):
                let behind = max(firstOffset(after: scan.position, in: segment), expected + 1)
                throw damage(segment.fileName, expected..<behind, detail)
            case .batch(let header, let batch):
                expected = header.nextOffset
                if try !body(header, batch) { return false }
            }
        }
    }

    /// Runs what reads a batch's records: what is wrong with them is damage to the segment.
    private func judged<Result>(
        _ segment: SegmentFacts, _ header: RecordBatchHeader, _ body: () throws(BatchError) -> Result
    ) throws(LogError) -> Result {
        do throws(BatchError) {
            return try body()
        } catch {
            throw damage(segment.fileName, header.baseOffset..<header.nextOffset, "\(error)")
        }
    }

    /// Neighbours that together are no larger than a segment become one.
    private func groups(_ segments: [SegmentFacts]) -> [[SegmentFacts]] {
        let bytesMax = options.segmentBytes
        var groups: [[SegmentFacts]] = []
        var bytes: Int64 = 0
        for segment in segments {
            let spans = groups.last.map { segment.endOffset - $0[0].baseOffset <= Int64(Int32.max) } ?? false
            if spans && bytes + segment.bytes <= bytesMax {
                groups[groups.count - 1].append(segment)
                bytes += segment.bytes
            } else {
                groups.append([segment])
                bytes = segment.bytes
            }
        }
        return groups
    }

    // MARK: Writing anew

    /// Writes what is left of a group as a segment of the next generation; the same segments if nothing changes, none if nothing
    /// is left. nil: cancelled.
    private func rewrite(
        _ group: [SegmentFacts], _ filter: inout CompactionFilter, _ request: CleanRequest
    ) throws(LogError) -> [SegmentFacts]? {
        let writer = try SegmentWriter(store: self, replacing: group)
        do throws(LogError) {
            var hasChanged = group.count > 1
            for segment in group {
                let isDone = try walk(segment, request) { header, batch throws(LogError) in
                    writer.rewritten.clear()
                    let verdict = try judged(segment, header) { () throws(BatchError) in
                        try filter.apply(header, batch, to: writer.rewritten)
                    }
                    switch verdict {
                    case .keepAll: try writer.append(header, batch)
                    case .drop: hasChanged = true
                    case .rewritten:
                        hasChanged = true
                        try writer.append(RecordBatchHeader(unchecked: writer.rewritten.bytes), writer.rewritten.bytes)
                    }
                    return true
                }
                guard isDone else {
                    writer.discard()
                    return nil
                }
            }
            if !hasChanged {
                writer.discard()
                return group
            }
            return try writer.finish().map { [$0] } ?? []
        } catch {
            writer.discard()
            throw error
        }
    }

    /// Makes `written` true in place of `group`. False if the group is no longer what there is: retention was faster.
    private func swap(_ group: [SegmentFacts], for written: [SegmentFacts]) throws(LogError) -> Bool {
        if written == group { return true }
        return try structure.withLock { _ throws(LogError) in
            var manifest = state.withLock { $0.manifest }
            guard let first = manifest.segments.firstIndex(of: group[0]),
                first + group.count < manifest.segments.count,
                Array(manifest.segments[first..<first + group.count]) == group
            else {
                for segment in written { remove(segment) }
                return false
            }
            manifest.segments.replaceSubrange(first..<first + group.count, with: written)
            try replace(manifest, removing: group[...])
            return true
        }
    }

    /// Removes a segment's files as far as they can be.
    func remove(_ segment: SegmentFacts) {
        cache.forget(segment.token)
        for name in [segment.fileName, segment.indexName, segment.timeIndexName] { try? disk.remove(path(name)) }
    }
}

/// Writes one segment beside those that it will replace. It counts once a manifest names it.
private final class SegmentWriter {
    private let store: PartitionStore
    private var facts: SegmentFacts
    private let seed: UInt32
    private let file: any DiskFile
    private let sink = ByteSink(capacity: 1 << 20)
    private var index = SegmentIndex()
    private var written: Int64 = 0
    private var unsynced = 0
    /// What is written between two syncs: one large sync would stall the journal's.
    private static let syncBytes = 8 << 20
    /// For a batch that is made anew.
    let rewritten = ByteSink()

    init(store: PartitionStore, replacing group: [SegmentFacts]) throws(LogError) {
        self.store = store
        let first = group[0]
        let last = group[group.count - 1]
        let generation = store.state.withLock { state in
            state.manifest.nextGeneration += 1
            return state.manifest.nextGeneration - 1
        }
        let facts = SegmentFacts(
            baseOffset: first.baseOffset, generation: generation, bytes: Int64(SegmentFormat.headerBytes),
            endOffset: last.endOffset,
            maxTimestamp: -1, sealedMillis: last.sealedMillis, token: store.cache.nextToken())
        self.facts = facts
        seed = store.identity(facts).seed
        let birth = try store.birth(of: first)
        file = try store.newFile(facts.fileName)
        SegmentFormat.appendHeader(store.identity(facts), birth, to: sink)
    }

    func append(_ header: RecordBatchHeader, _ batch: UnsafeRawBufferPointer) throws(LogError) {
        SegmentFormat.appendFrame(batch, seed: seed, to: sink)
        index.note(header, segmentBase: facts.baseOffset)
        facts.bytes += Int64(SegmentFormat.frameBytes + batch.count)
        facts.maxTimestamp = max(facts.maxTimestamp, header.maxTimestamp)
        if sink.count >= 1 << 20 { try flush() }
    }

    private func flush() throws(LogError) {
        try store.io { () throws(IOError) in try file.write(sink.bytes, at: written) }
        written += Int64(sink.count)
        unsynced += sink.count
        sink.clear()
        if unsynced >= SegmentWriter.syncBytes { try sync() }
    }

    private func sync() throws(LogError) {
        try store.durably { () throws(IOError) in try file.sync() }
        unsynced = 0
    }

    /// Makes it durable; nil if nothing was appended, and then nothing is left of it.
    func finish() throws(LogError) -> SegmentFacts? {
        guard facts.hasData else {
            discard()
            return nil
        }
        try flush()
        try sync()
        store.writeIndexFiles(index, facts)
        store.state.withLock { $0.unsyncedDirectories.append(store.directory) }
        return facts
    }

    func discard() { store.remove(facts) }
}
