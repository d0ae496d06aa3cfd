internal import MartletCore
internal import Synchronization

extension PartitionStore {
    /// Removes whole segments that are too old, that the size allowed does not need, or that lie before the start offset, oldest
    /// first, as the topic's settings say. A segment is as old as its newest record, or as its sealing where records have no
    /// time. An active segment that is too old in full is sealed first. Returns the new start offset if it moved.
    ///
    /// The flusher's, where it may seal; see the type.
    package func retain(nowMillis: Int64) throws(LogError) -> Int64? {
        try checkUsable()
        try removeStrangers()
        let options = self.options
        let active = state.withLock { $0.active }
        if active.hasData && (isExpired(active, options, nowMillis) || active.endOffset <= startOffset) {
            try roll(nowMillis: nowMillis)
        }
        return try structure.withLock { _ throws(LogError) in
            var manifest = state.withLock { $0.manifest }
            let start = manifest.startOffset
            var total = manifest.segments.reduce(0) { $0 + $1.bytes }
            var count = 0
            // The active segment stays whatever it is.
            for segment in manifest.segments.dropLast() {
                let exceedsSize = options.deletes && options.retentionBytes.map { total - segment.bytes >= $0 } ?? false
                guard segment.endOffset <= start || isExpired(segment, options, nowMillis) || exceedsSize else { break }
                total -= segment.bytes
                count += 1
            }
            guard count > 0 else { return nil }
            let removed = manifest.segments[..<count]
            manifest.segments.removeFirst(count)
            manifest.startOffset = max(start, manifest.segments[0].baseOffset)
            try replace(manifest, removing: removed)
            return manifest.startOffset > start ? manifest.startOffset : nil
        }
    }

    private func isExpired(_ segment: SegmentFacts, _ options: StoreOptions, _ nowMillis: Int64) -> Bool {
        guard options.deletes, let limit = options.retentionMillis else { return false }
        let time = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.sealedMillis
        // An active segment without times has no age.
        guard segment.maxTimestamp >= 0 || segment.sealedMillis > 0 else { return false }
        let age = nowMillis.subtractingReportingOverflow(time)
        return !age.overflow && age.partialValue > limit
    }

    /// Nothing before `offset` is served any more; whole segments before it go with the next `retain`. Never goes back. What
    /// exists is the caller's to know: `offset` may lie beyond what was appended here so far.
    package func deleteRecords(before offset: Int64) throws(LogError) {
        try checkUsable()
        try structure.withLock { _ throws(LogError) in
            var manifest = state.withLock { $0.manifest }
            guard offset > manifest.startOffset else { return }
            manifest.startOffset = offset
            try replace(manifest, removing: [])
        }
    }

    /// Makes `manifest` true, then removes what it no longer names. Call with `structure` held. Appends may go on meanwhile:
    /// the active segment and its end are left as they are.
    func replace(_ manifest: StoreManifest, removing removed: ArraySlice<SegmentFacts>) throws(LogError) {
        var next = manifest
        try save(&next)
        let saved = next
        state.withLock { state in
            let active = state.active
            state.take(saved)
            state.active = active
        }
        // What cannot be removed now is a stranger at the next start.
        for segment in removed { remove(segment) }
    }

    /// Once after a start: removes files that no segment owns, as a crash may leave them.
    func removeStrangers() throws(LogError) {
        // With the lock held throughout: a file that compaction is about to write must not be taken for one.
        try structure.withLock { _ throws(LogError) in
            let (isDone, segments) = state.withLock { ($0.hasRemovedStrangers, $0.manifest.segments) }
            if isDone { return }
            if let facts = try io({ () throws(IOError) in try disk.stat(directory) }), facts.kind == .directory {
                let known = Set(segments.flatMap { [$0.fileName, $0.indexName, $0.timeIndexName] })
                for name in try io({ () throws(IOError) in try disk.list(directory) }) where !known.contains(name) && isOurs(name) {
                    try io { () throws(IOError) in try disk.remove(path(name)) }
                }
            }
            state.withLock { $0.hasRemovedStrangers = true }
        }
    }

    private func isOurs(_ name: String) -> Bool {
        name == StoreManifest.newFileName || [".log", ".index", ".timeindex"].contains { name.hasSuffix($0) }
    }
}
