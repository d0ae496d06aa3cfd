internal import MartletCore
internal import Synchronization

extension PartitionStore {
    /// One write is at most about so long; longer runs are cut, so that little of them waits before the device at a time.
    private static let writeBytesMax = 512 << 10
    /// Smaller writes are left for the sync.
    private static let writeBackBytesMin = 256 << 10
    /// How much of the active segment may have to be scanned to find its index again after a crash.
    private static let unsavedIndexBytesMax: Int64 = 64 << 20

    /// Writes batches behind the last one, without syncing. Each slice holds one or more whole batches; offsets go on without
    /// a gap from `endOffset`. Batches below it are here already, as after a restart, and are passed over. O(bytes).
    ///
    /// After an error (no space, say) everything up to some batch is here: `endOffset` tells, and the call may be repeated.
    package func append(_ batches: [ByteSlice], nowMillis: Int64) throws(LogError) {
        try checkUsable()
        let sink = cache.takeBuffer()
        defer { cache.giveBuffer(sink) }
        var run = AppendRun(active: state.withLock { $0.active }, seed: 0)
        run.seed = identity(run.active).seed
        for slice in batches {
            var rest = slice.bytes
            while rest.count > 0 {
                let header = try readHeader(rest, run)
                let batch = UnsafeRawBufferPointer(rebasing: rest[..<header.byteCount])
                rest = UnsafeRawBufferPointer(rebasing: rest[header.byteCount...])
                if header.nextOffset <= run.active.endOffset { continue }
                guard header.baseOffset == run.active.endOffset else {
                    throw damage(
                        run.active.fileName, run.active.endOffset..<max(header.baseOffset, run.active.endOffset),
                        "a batch at \(header.baseOffset) was to follow offset \(run.active.endOffset - 1)")
                }
                if try isRollDue(before: header, run, nowMillis) {
                    try write(&run, sink)
                    try roll(nowMillis: nowMillis)
                    run = AppendRun(active: state.withLock { $0.active }, seed: 0)
                    run.seed = identity(run.active).seed
                }
                if run.active.bytes == 0 { begin(&run, header, nowMillis, sink) }
                run.headers.append(header)
                run.active.bytes += Int64(SegmentFormat.frameBytes + header.byteCount)
                run.active.endOffset = header.nextOffset
                run.active.maxTimestamp = max(run.active.maxTimestamp, header.maxTimestamp)
                SegmentFormat.appendFrame(batch, seed: run.seed, to: sink)
                if sink.count >= PartitionStore.writeBytesMax { try write(&run, sink) }
            }
        }
        try write(&run, sink)
    }

    /// What is put together for one write.
    private struct AppendRun {
        /// As it will be once the run is written.
        var active: SegmentFacts
        var seed: UInt32
        var headers: [RecordBatchHeader] = []
        /// Set where the run begins a segment.
        var birth: SegmentFormat.Birth?
    }

    private func readHeader(_ bytes: UnsafeRawBufferPointer, _ run: AppendRun) throws(LogError) -> RecordBatchHeader {
        do throws(BatchError) {
            let header = try RecordBatchHeader(reading: bytes)
            if header.byteCount <= bytes.count && header.lastOffsetDelta >= 0 { return header }
        } catch {}
        throw damage(run.active.fileName, nil, "what was to be appended is no whole batch")
    }

    private func begin(_ run: inout AppendRun, _ header: RecordBatchHeader, _ nowMillis: Int64, _ sink: ByteSink) {
        let birth = SegmentFormat.Birth(createdMillis: nowMillis, firstTimestamp: header.maxTimestamp)
        SegmentFormat.appendHeader(identity(run.active), birth, to: sink)
        run.active.bytes = Int64(SegmentFormat.headerBytes)
        run.birth = birth
    }

    private func write(_ run: inout AppendRun, _ sink: ByteSink) throws(LogError) {
        guard !sink.isEmpty else { return }
        let isNew = run.birth != nil
        let file: any DiskFile
        if let open = state.withLock({ $0.unsyncedFile }) {
            file = open
        } else if isNew {
            try ensureDirectory()
            file = try newFile(run.active.fileName)
            state.withLock { $0.unsyncedDirectories.append(directory) }
        } else {
            file = try io { () throws(IOError) in try self.file(run.active) }
        }
        let position = run.active.bytes - Int64(sink.count)
        // At its place rather than at the end: a write that failed half-way is written over when repeated.
        try io { () throws(IOError) in try file.write(sink.bytes, at: position) }
        // So the sync that comes then is short, and the journal's beside it waits for one piece at the most.
        if sink.count >= PartitionStore.writeBackBytesMin { file.writeBack(from: position, count: sink.count) }
        let written = run
        state.withLock { state in
            state.unsyncedFile = file
            if let birth = written.birth { state.activeBirth = birth }
            for header in written.headers { state.activeIndex.note(header, segmentBase: written.active.baseOffset) }
            state.active = written.active
        }
        run.headers.removeAll(keepingCapacity: true)
        run.birth = nil
        sink.clear()
    }

    // MARK: Rolling

    private func isRollDue(before header: RecordBatchHeader, _ run: AppendRun, _ nowMillis: Int64) throws(LogError) -> Bool {
        guard run.active.bytes > 0 else { return false }
        let options = self.options
        let size = run.active.bytes + Int64(SegmentFormat.frameBytes + header.byteCount)
        // Positions and relative offsets in the index have 32 bits.
        if size > min(options.segmentBytes, Int64(UInt32.max)) && run.active.hasData { return true }
        if header.lastOffset - run.active.baseOffset > Int64(Int32.max) { return true }
        let birth = try birth(run)
        let limit = options.compacts ? min(options.segmentMillis, options.maxCompactionLagMillis) : options.segmentMillis
        let age =
            header.maxTimestamp >= 0 && birth.firstTimestamp >= 0
            ? header.maxTimestamp.subtractingReportingOverflow(birth.firstTimestamp)
            : nowMillis.subtractingReportingOverflow(birth.createdMillis)
        return !age.overflow && age.partialValue > limit
    }

    /// When the active segment began; read from its header once after a restart. A damaged header costs a later roll, no data.
    private func birth(_ run: AppendRun) throws(LogError) -> SegmentFormat.Birth {
        if let birth = run.birth ?? state.withLock({ $0.activeBirth }) { return birth }
        let birth = try birth(of: run.active)
        state.withLock { $0.activeBirth = birth }
        return birth
    }

    /// From a segment's header. A damaged one has no age.
    func birth(of segment: SegmentFacts) throws(LogError) -> SegmentFormat.Birth {
        let header = try io { () throws(IOError) in
            let file = try self.file(segment)
            return try ByteChunk(capacity: SegmentFormat.headerBytes) { (buffer) throws(IOError) in
                try file.readFully(into: buffer, at: 0)
            }
        }
        return withExtendedLifetime(header) { SegmentFormat.readBirth(header.bytes) }
            ?? SegmentFormat.Birth(createdMillis: clock.wallMicros() / 1_000, firstTimestamp: -1)
    }

    /// Seals the active segment and begins another; nothing happens if it holds nothing. The flusher's, as `append`.
    package func roll(nowMillis: Int64) throws(LogError) {
        try checkUsable()
        guard state.withLock({ $0.active.hasData }) else { return }
        try sync()
        try saveActiveIndex()
        try structure.withLock { _ throws(LogError) in
            var manifest = state.withLock { $0.manifest }
            let last = manifest.segments.count - 1
            manifest.segments[last].sealedMillis = nowMillis
            let sealed = manifest.segments[last]
            let next = SegmentFacts(
                baseOffset: sealed.endOffset, generation: 0, bytes: 0, endOffset: sealed.endOffset, maxTimestamp: -1,
                sealedMillis: 0,
                token: cache.nextToken())
            manifest.segments.append(next)
            try save(&manifest)
            let saved = manifest
            state.withLock { state in
                state.take(saved)
                state.durableBytes = 0
                state.durableMaxTimestamp = -1
                state.activeIndex = SegmentIndex()
                state.activeBirth = nil
                state.savedIndexBytes = 0
            }
        }
    }

    // MARK: Durability

    /// Returns once everything appended before is durable, as `checkpoint` then says. The flusher's, as `append`.
    package func sync() throws(LogError) {
        try checkUsable()
        if !isManifestProven { try structure.withLock { _ throws(LogError) in try proveManifest() } }
        let (file, active) = state.withLock { ($0.unsyncedFile, $0.active) }
        guard let file else { return }
        try durably { () throws(IOError) in try file.sync() }
        if state.withLock({ !$0.unsyncedDirectories.isEmpty }) {
            try structure.withLock { _ throws(LogError) in try syncNewDirectories() }
        }
        let isIndexDue = state.withLock { state in
            state.unsyncedFile = nil
            state.durableEnd = active.endOffset
            state.durableBytes = active.bytes
            state.durableMaxTimestamp = active.maxTimestamp
            return active.bytes - state.savedIndexBytes >= PartitionStore.unsavedIndexBytesMax
        }
        if isIndexDue { try saveActiveIndex() }
    }

    /// Syncs, and leaves indexes behind so that the next start need not make them again. The flusher's last call.
    package func close() throws(LogError) {
        try sync()
        try saveActiveIndex()
    }

    /// Writes the active segment's index files, if this process knows all of it. A convenience, not needed to be durable, and
    /// no failure to write it matters.
    private func saveActiveIndex() throws(LogError) {
        let (active, tail, saved) = state.withLock { ($0.active, $0.activeIndex, $0.savedIndexBytes) }
        guard active.hasData, tail.coveredBytes > saved else { return }
        var whole = tail
        if tail.startBytes > Int64(SegmentFormat.headerBytes) {
            guard let base = cache.index(active.token) ?? loadIndexFiles(active, segmentBytes: tail.startBytes),
                base.coveredBytes == tail.startBytes
            else {
                // The part before is not at hand: whoever reads there first makes it. Not to be tried again with every sync.
                state.withLock { $0.savedIndexBytes = tail.coveredBytes }
                return
            }
            whole = base.followed(by: tail)
        }
        writeIndexFiles(whole, active)
        state.withLock { $0.savedIndexBytes = whole.coveredBytes }
    }
}
