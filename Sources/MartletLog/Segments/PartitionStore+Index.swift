internal import MartletCore
internal import Synchronization

/// How a place in a segment is found. Indexes are loaded on first use, and made again from the data where they are missing,
/// damaged or behind.
extension PartitionStore {
    /// A place to start looking for something in a segment.
    enum Target {
        /// The batch that holds this offset, or the first after it.
        case offset(Int64)
        /// The first record that is as late as this.
        case timestamp(Int64)
    }

    /// A frame's position from which scanning forward finds the target. Whether it came from an index file.
    func locate(_ target: Target, in segment: SegmentFacts) throws(LogError) -> (position: Int64, fromIndex: Bool) {
        let start = Int64(SegmentFormat.headerBytes)
        if case .offset(let offset) = target {
            if offset <= segment.baseOffset { return (start, false) }
            if let position = state.withLock({ $0.positions.find(offset, segment.token) }) { return (position, false) }
        }
        // What this process wrote it knows.
        let (isActive, known, loadedEnd): (Bool, IndexEntry?, Int64) = state.withLock { state in
            let isActive = state.active.token == segment.token
            return (isActive, isActive ? entry(target, state.activeIndex, segment) : nil, state.activeIndex.startBytes)
        }
        if let known { return (Int64(known.position), false) }
        let loaded = try index(segment, bytes: isActive ? loadedEnd : segment.bytes)
        return (entry(target, loaded, segment).map { Int64($0.position) } ?? start, true)
    }

    private func entry(_ target: Target, _ index: SegmentIndex, _ segment: SegmentFacts) -> IndexEntry? {
        switch target {
        case .offset(let offset): index.floor(relativeOffset: offset - segment.baseOffset)
        case .timestamp(let timestamp): index.floor(timestamp: timestamp)
        }
    }

    /// The index of the first `bytes` bytes of a segment, from memory, its files or its data.
    func index(_ segment: SegmentFacts, bytes: Int64) throws(LogError) -> SegmentIndex {
        if let held = cache.index(segment.token), held.coveredBytes >= bytes || held.isCut { return held }
        let loaded = loadIndexFiles(segment, segmentBytes: bytes)
        if let loaded, loaded.coveredBytes == bytes {
            cache.keep(loaded, segment.token)
            return loaded
        }
        let made = try makeIndex(segment, bytes: bytes, from: loaded ?? SegmentIndex())
        cache.keep(made, segment.token)
        if made.coveredBytes == bytes { writeIndexFiles(made, segment) }
        return made
    }

    /// Makes the segment's index again from its data alone, as when the files name a place where there is no frame.
    func rebuildIndex(_ segment: SegmentFacts) throws(LogError) {
        let isActive = state.withLock { $0.active.token == segment.token }
        let bytes = isActive ? state.withLock { $0.activeIndex.startBytes } : segment.bytes
        let made = try makeIndex(segment, bytes: bytes, from: SegmentIndex())
        cache.keep(made, segment.token)
        if made.coveredBytes == bytes { writeIndexFiles(made, segment) }
    }

    /// Goes on from `index` to `bytes`, or to the first damage: what lies behind that cannot be found anyway.
    private func makeIndex(_ segment: SegmentFacts, bytes: Int64, from index: SegmentIndex) throws(LogError) -> SegmentIndex {
        var made = index
        let seed = identity(segment).seed
        try io { () throws(IOError) in
            var scan = SegmentScan(try file(segment), seed: seed, from: made.coveredBytes, end: bytes)
            scanning: while true {
                switch try scan.next(verifying: false) {
                case .batch(let header, _): made.note(header, segmentBase: segment.baseOffset)
                case .damaged:
                    made.isCut = true
                    break scanning
                case .end: break scanning
                }
            }
        }
        return made
    }

    /// The offset from which data can be read again behind a damaged place.
    func firstOffset(after position: Int64, in segment: SegmentFacts) -> Int64 {
        var entries: [IndexEntry] = []
        let (isActive, tail) = state.withLock { state in (state.active.token == segment.token, state.activeIndex) }
        if let loaded = cache.index(segment.token)
            ?? loadIndexFiles(segment, segmentBytes: isActive ? tail.startBytes : segment.bytes),
            let entry = loaded.next(after: position)
        {
            entries.append(entry)
        }
        if isActive, let entry = tail.next(after: position) { entries.append(entry) }
        return entries.first.map { segment.baseOffset + Int64($0.relativeOffset) } ?? segment.endOffset
    }

    /// nil unless both files are there and whole.
    func loadIndexFiles(_ segment: SegmentFacts, segmentBytes: Int64) -> SegmentIndex? {
        guard let offsets = try? disk.contents(of: path(segment.indexName)),
            let times = try? disk.contents(of: path(segment.timeIndexName))
        else { return nil }
        let seed = identity(segment).seed
        return withExtendedLifetime((offsets, times)) {
            SegmentIndex(offsetFile: offsets.bytes, timeFile: times.bytes, seed: seed, segmentBytes: segmentBytes)
        }
    }

    /// Not synced and not needed: a failure leaves the index to be made again.
    func writeIndexFiles(_ index: SegmentIndex, _ segment: SegmentFacts) {
        let seed = identity(segment).seed
        let sink = ByteSink()
        do throws(IOError) {
            index.appendOffsetFile(seed: seed, to: sink)
            try disk.open(path(segment.indexName), .replace).write(sink.bytes, at: 0)
            sink.clear()
            index.appendTimeFile(seed: seed, to: sink)
            try disk.open(path(segment.timeIndexName), .replace).write(sink.bytes, at: 0)
        } catch {}
    }
}
