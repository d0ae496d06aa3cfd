package import MartletCore
internal import Synchronization

extension PartitionStore {
    /// Opens what is in `directory` as of `checkpoint`, the one kept after the last `sync()`; nil for a partition of which
    /// nothing was ever kept. Reads the manifest and looks at the active segment's size, no more.
    ///
    /// What was appended after the checkpoint is forgotten, unless its segment is complete: see `endOffset`.
    package static func open(
        _ partition: TopicPartition, directory: String, disk: any Disk, clock: any Clock, cache: SegmentCache,
        options: StoreOptions,
        checkpoint: StoreCheckpoint?
    ) throws(LogError) -> PartitionStore {
        let checkpoint = checkpoint ?? StoreCheckpoint()
        var manifest = try readManifest(partition, directory, disk, cache, checkpoint)
        var active = manifest.segments.removeLast()
        if active.baseOffset == checkpoint.activeBaseOffset && active.generation == checkpoint.activeGeneration {
            active.bytes = checkpoint.activeBytes
            active.endOffset = checkpoint.endOffset
            active.maxTimestamp = checkpoint.activeMaxTimestamp
        } else {
            // Rolled after the checkpoint: what was written to it since is in the journal too.
            active.bytes = 0
            active.endOffset = active.baseOffset
            active.maxTimestamp = -1
        }
        manifest.startOffset = max(manifest.startOffset, checkpoint.startOffset)
        manifest.segments.append(active)
        let store = PartitionStore(
            partition: partition, directory: directory, disk: disk, clock: clock, cache: cache,
            state: State(
                options: options, manifest: manifest, durableEnd: active.endOffset, durableBytes: active.bytes,
                durableMaxTimestamp: active.maxTimestamp,
                activeIndex: SegmentIndex(
                    startBytes: max(active.bytes, Int64(SegmentFormat.headerBytes)), maxTimestamp: active.maxTimestamp),
                isManifestProven: manifest.sequence <= checkpoint.manifestSequence))
        try store.checkActive(active, checkpoint)
        return store
    }

    /// The manifest on disk; where there is none yet, that of the checkpoint's only segment.
    private static func readManifest(
        _ partition: TopicPartition, _ directory: String, _ disk: any Disk, _ cache: SegmentCache, _ checkpoint: StoreCheckpoint
    ) throws(LogError) -> StoreManifest {
        let path = directory + "/" + StoreManifest.fileName
        let stored = checkpoint.startOffset..<max(checkpoint.endOffset, checkpoint.startOffset)
        func damaged(_ detail: String) -> LogError {
            .corrupt(LogDamage(place: path, partition: partition, offsets: stored, detail: detail))
        }
        let bytes: ByteChunk?
        do throws(IOError) { bytes = try disk.contents(of: path) } catch { throw LogError(error) }
        guard let bytes else {
            guard checkpoint.manifestSequence == 0 else { throw damaged("the list of segments is missing") }
            var manifest = StoreManifest()
            manifest.startOffset = checkpoint.startOffset
            manifest.cleanedOffset = checkpoint.startOffset
            manifest.segments = [
                SegmentFacts(
                    baseOffset: checkpoint.activeBaseOffset, generation: 0, bytes: 0, endOffset: checkpoint.activeBaseOffset,
                    maxTimestamp: -1, sealedMillis: 0, token: cache.nextToken())
            ]
            return manifest
        }
        let read = withExtendedLifetime(bytes) {
            StoreManifest(reading: bytes.bytes, partition: partition, nextToken: cache.nextToken)
        }
        guard let manifest = read else { throw damaged("both copies of the list of segments are damaged") }
        guard manifest.sequence >= checkpoint.manifestSequence else {
            throw damaged("the list of segments is older than the checkpoint")
        }
        return manifest
    }

    /// A durable length that the file does not have is lost data.
    private func checkActive(_ active: SegmentFacts, _ checkpoint: StoreCheckpoint) throws(LogError) {
        guard active.bytes > 0 else { return }
        let facts = try io { () throws(IOError) in try disk.stat(path(active.fileName)) }
        guard let facts, facts.kind == .file else {
            throw damage(active.fileName, active.baseOffset..<active.endOffset, "the file is missing")
        }
        guard facts.size >= active.bytes else {
            throw damage(
                active.fileName, active.baseOffset..<active.endOffset, "\(active.bytes) bytes were synced, \(facts.size) are there")
        }
    }

    // MARK: Writing the manifest

    /// Makes `manifest` true; call with `structure` held. On an error nothing has changed, or (a failed sync) the store is done for.
    func save(_ manifest: inout StoreManifest) throws(LogError) {
        manifest.sequence += 1
        let sink = ByteSink()
        var written = manifest
        // How much of the active segment counts is the checkpoint's to say.
        written.segments[written.segments.count - 1].bytes = 0
        written.append(to: sink, partition: partition)
        try ensureDirectory()
        let file = try io { () throws(IOError) in try disk.open(path(StoreManifest.newFileName), .replace) }
        try io { () throws(IOError) in try file.write(sink.bytes, at: 0) }
        try durably { () throws(IOError) in try file.sync() }
        try syncNewDirectories()
        try io { () throws(IOError) in try disk.rename(path(StoreManifest.newFileName), to: path(StoreManifest.fileName)) }
        // The new name may be durable already or never: only the sync tells, so its failure is final.
        try durably { () throws(IOError) in try disk.syncDirectory(directory) }
        state.withLock { $0.isManifestProven = true }
    }

    /// False while the manifest may be one that an earlier process named and could not sync: a later sync does not bring such
    /// a name to the disk. `sync()` changes that; before, no snapshot may depend on it.
    package var isManifestProven: Bool { state.withLock { $0.isManifestProven } }

    /// Call with `structure` held.
    func proveManifest() throws(LogError) {
        try replace(state.withLock { $0.manifest }, removing: [])
    }

    /// A file of this name, new also where there was one: that one's name may be of a sync that failed, and is then never
    /// made durable by a later one. Nothing depends on what was in it.
    func newFile(_ name: String) throws(LogError) -> any DiskFile {
        try io { () throws(IOError) in
            if try disk.stat(path(name)) != nil { try disk.remove(path(name)) }
            return try disk.open(path(name), .replace)
        }
    }

    /// Creates the directory, and notes whose names must become durable for it.
    func ensureDirectory() throws(LogError) {
        if let facts = try io({ () throws(IOError) in try disk.stat(directory) }), facts.kind == .directory { return }
        var parents: [String] = []
        var path = directory
        repeat {
            path = parent(of: path)
            parents.insert(path, at: 0)
        } while try io({ () throws(IOError) in try disk.stat(path) }) == nil && path.count > 1
        // Noted before they are made: some may be made when a later one fails.
        state.withLock { $0.unsyncedDirectories = parents + $0.unsyncedDirectories }
        try io { () throws(IOError) in try disk.makeDirectories(directory) }
    }

    /// Makes the names of new files and directories durable. Call with `structure` held.
    func syncNewDirectories() throws(LogError) {
        let directories = state.withLock { $0.unsyncedDirectories }
        for directory in directories {
            try durably { () throws(IOError) in try disk.syncDirectory(directory) }
        }
        state.withLock { state in state.unsyncedDirectories.removeFirst(min(directories.count, state.unsyncedDirectories.count)) }
    }
}

private func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

extension Disk {
    /// All of a small file; nil if there is none.
    func contents(of path: String) throws(IOError) -> ByteChunk? {
        guard let facts = try stat(path) else { return nil }
        let size = facts.kind == .file && facts.size < 1 << 30 ? Int(facts.size) : 0
        let file = try open(path, .update)
        return try ByteChunk(capacity: size) { (buffer) throws(IOError) in try file.readFully(into: buffer, at: 0) }
    }
}

extension DiskFile {
    /// As `read`, but gives less than asked for at the end only.
    func readFully(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try read(into: rest, at: offset + Int64(done))
            if count == 0 { break }
            done += count
        }
        return done
    }
}
