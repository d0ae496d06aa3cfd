package import MartletCore

extension Journal {
    /// Opens the journal in `directory`, or creates one if nothing is there. Hands every surviving record with a sequence
    /// above `after` to `replay`, in order; the bytes are valid during the call. When it returns, all of them are durable.
    ///
    /// `after`: everything up to it has a durable home elsewhere (0 at first). It never goes back, and was at most the
    /// durable sequence of this journal.
    ///
    /// Throws `.corrupt` if a record above `after` was acknowledged and cannot be read; `.unsupported` for a newer format;
    /// `.io`, `.outOfSpace` and `.fatal` as they come. Memory: the largest group, plus the chains that are open at once.
    package static func open(
        directory: String, disk: any Disk, clock: any Clock, entropy: any Entropy, options: JournalOptions, after: UInt64,
        replay: (_ sequence: UInt64, _ payload: UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) -> (Journal, JournalRecovery) {
        options.check()
        var opening = JournalOpening(path: directory, disk: disk, clock: clock, entropy: entropy, options: options, after: after)
        return try opening.run(replay)
    }
}

/// The steps of an opening: look at the files, read from the right place on, make the ring fit for writing, write the
/// first group.
struct JournalOpening {
    let path: String
    let disk: any Disk
    let clock: any Clock
    let entropy: any Entropy
    let options: JournalOptions
    let after: UInt64

    private let window = RingWindow()
    private var files: [ScannedFile] = []
    private var nextNumber = 1

    init(path: String, disk: any Disk, clock: any Clock, entropy: any Entropy, options: JournalOptions, after: UInt64) {
        self.path = path
        self.disk = disk
        self.clock = clock
        self.entropy = entropy
        self.options = options
        self.after = after
    }

    mutating func run(
        _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) -> (Journal, JournalRecovery) {
        try look()
        guard let identity = try findIdentity() else { return try create() }
        let starts = try findStarts()
        // On the way to a start that turns out to be unfinished records may be read that stand there once more.
        var handed = after
        func once(_ sequence: UInt64, _ payload: UnsafeRawBufferPointer) throws(LogError) {
            guard sequence > handed else { return }
            try replay(sequence, payload)
            handed = sequence
        }
        for (index, start) in starts.enumerated().reversed() {
            // A chain that is open at the start began here, or in a file that is gone because nothing needs it any more.
            let first = starts[...index].lastIndex { $0.header.number <= start.header.chainFloor } ?? starts.startIndex
            var reader = JournalReader(
                files: files, identity: identity, after: after, steps: starts[first...index], window: window)
            try reader.run(once)
            if let last = reader.last { return try resume(reader, last, identity) }
            // A file whose first group was never finished: the log ends in the one before.
        }
        guard after == 0, starts.allSatisfy({ $0.header.number <= 1 }) else {
            throw damaged("no group can be read of those that have record \(after + 1)")
        }
        return try create()
    }

    // MARK: What is there

    private mutating func look() throws(LogError) {
        let names = try orLogError { () throws(IOError) in try disk.stat(path) == nil ? [] : try disk.list(path) }
        for name in names where RingDirectory.isUnfinished(name) {
            try orLogError { () throws(IOError) in try disk.remove(path + "/" + name) }
        }
        var identities: Set<UInt64> = []
        for name in names {
            guard let number = RingDirectory.number(of: name) else { continue }
            nextNumber = max(nextNumber, number + 1)
            let filePath = path + "/" + name
            let file = try orLogError { () throws(IOError) in try disk.open(filePath, .update) }
            let facts = try orLogError { () throws(IOError) in try file.facts() }
            guard identities.insert(facts.identity).inserted else {
                // A renaming whose sync failed, and which was then repeated, may leave both names.
                try orLogError { () throws(IOError) in try disk.remove(filePath) }
                continue
            }
            let ring = RingFile(number: number, path: filePath, file: file, bytes: Int(facts.size))
            let head: ScannedFile.Head
            if let header = try window.head(ring) {
                guard header.version == JournalFormat.version else {
                    throw .unsupported(
                        place: filePath, detail: "the journal has format \(header.version), this program knows \(JournalFormat.version)")
                }
                head = header.kind == .blank ? .blank : .group(header)
            } else {
                head = .damaged(try window.headers(ring, index: files.count, from: JournalFormat.blockBytes))
            }
            files.append(ScannedFile(file: ring, head: head))
        }
    }

    /// Whose journal it is; nil if no group was ever finished, that is, there is none.
    private func findIdentity() throws(LogError) -> JournalIdentity? {
        var identity: JournalIdentity?
        for (index, scanned) in files.enumerated() {
            guard let found = scanned.first(index) else { continue }
            if let identity, identity != found.header.identity {
                throw damaged("\(scanned.file.path) is of another journal")
            }
            identity = found.header.identity
        }
        if identity == nil && after > 0 { throw damaged("there is no journal, and the checkpoint is at record \(after)") }
        return identity
    }

    /// The first groups of the files, in the order they were written, up to that of the last file that has nothing but what
    /// is needed before it: there reading starts.
    private func findStarts() throws(LogError) -> ArraySlice<FoundHeader> {
        var starts: [FoundHeader] = []
        for (index, scanned) in files.enumerated() {
            if let found = scanned.first(index) { starts.append(found) }
        }
        starts.sort { $0.header.number < $1.header.number }
        guard let start = starts.lastIndex(where: { $0.header.firstSequence <= after + 1 }) else {
            let first = starts.first?.header.firstSequence ?? 0
            throw damaged("records \(after + 1) to \(first - 1) were durable and cannot be read")
        }
        return starts[...start]
    }

    // MARK: Making it fit for writing

    /// A journal where there is none. What lies there was never finished: an interrupted creation.
    private mutating func create() throws(LogError) -> (Journal, JournalRecovery) {
        let identity = JournalIdentity(high: entropy.next(), low: entropy.next())
        try orLogError { () throws(IOError) in
            for scanned in files { try disk.remove(scanned.file.path) }
            // Made anew: the name of an interrupted creation may never have become durable.
            if try disk.stat(path) != nil, try disk.list(path).isEmpty { try disk.remove(path) }
            try disk.makeDirectory(path)
        }
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        try orFatal { () throws(IOError) in try disk.syncDirectory(parent.isEmpty ? "/" : parent) }
        let directory = RingDirectory(
            path: path, disk: disk, options: options, identity: identity, nextNumber: nextNumber)
        var ring = JournalRing(bytesMax: options.bytesMax)
        try grow(&ring, directory, toBytes: max(options.bytesMin, 2 * options.fileBytes))
        let first = GroupHeader(
            kind: .opening, identity: identity, number: 1, firstSequence: 1, restatedGroup: 1, chainFloor: 1)
        var recovery = JournalRecovery()
        recovery.isNew = true
        return try start(ring, directory, [], first, UnsafeRawBufferPointer(start: nil, count: 0), nextGroup: 1, recovery)
    }

    private mutating func resume(
        _ reader: JournalReader, _ last: FoundHeader, _ identity: JournalIdentity
    ) throws(LogError) -> (Journal, JournalRecovery) {
        let directory = RingDirectory(path: path, disk: disk, options: options, identity: identity, nextNumber: nextNumber)
        let uses = reader.visits.map { visit in
            FileUse(
                file: files[visit.file].file, lap: visit.lap, firstGroup: visit.firstGroup, lastGroup: visit.lastGroup,
                lastSequence: visit.lastSequence)
        }
        // If the last group starts its file and was never durable, a later opening may find the start of an earlier use in
        // its place, and must not have to look further into the file: nothing else goes there.
        var ring = JournalRing(
            uses: uses, free: try freeFiles(except: Set(reader.visits.map(\.file)), lastGroup: last.header.number, directory),
            position: reader.offset, isLastOpen: last.offset > 0 && isWhole(files[last.file].file),
            nextLap: last.header.lap + 1, bytesMax: options.bytesMax)

        var recovery = JournalRecovery()
        recovery.lastSequence = max(reader.expectedSequence - 1, after)
        recovery.replayedRecords = reader.chains.records
        recovery.groups = reader.groups
        recovery.foundTornGroup = reader.foundTornGroup
        recovery.unfinishedChains = reader.chains.unfinished + reader.chains.open.count
        let length = last.header.totalBytes
        var copy = [UInt8]()
        try window.read(files[last.file].file, at: last.offset, length: length) { bytes throws(LogError) in
            guard last.header.isIntact(bytes) else { throw damaged("group \(last.header.number) changed while it was read") }
            copy = [UInt8](bytes[JournalFormat.headerBytes..<length])
        }
        let floor = reader.chains.ended.reduce(UInt64.max) { min($0, $1.firstGroup) }
        ring.recycle(through: after, floorGroup: floor)
        return try withBytes(of: copy, 0..<copy.count) { body throws(LogError) in
            try start(
                ring, directory, reader.chains.ended, last.header, body, nextGroup: reader.highestNumber + 1, recovery)
        }
    }

    /// Files that hold nothing needed, ready for use: blank ones first, then those used longest ago.
    private func freeFiles(
        except used: Set<Int>, lastGroup: UInt64, _ directory: RingDirectory
    ) throws(LogError) -> [RingFile] {
        var free: [(number: UInt64, file: RingFile)] = []
        var isRenamed = false
        for (index, scanned) in files.enumerated() where !used.contains(index) {
            var file = scanned.file
            guard isWhole(file) else {
                // Cut short by whatever befell it; the ring makes another one when it wants to.
                try orLogError { () throws(IOError) in try disk.remove(file.path) }
                continue
            }
            var number: UInt64 = 0
            if case .group(let header) = scanned.head, header.number <= lastGroup {
                number = header.number
            } else {
                // Its first group was never finished, or it has none: the start of the file would mislead a later opening,
                // and its name may not be durable.
                if case .blank = scanned.head {} else { try orFatal { () throws(IOError) in try directory.blank(file) } }
                file = try orLogError { () throws(IOError) in try directory.rename(file) }
                isRenamed = true
            }
            free.append((number, file))
        }
        if isRenamed { try orFatal { () throws(IOError) in try disk.syncDirectory(path) } }
        return free.sorted { ($0.number, $0.file.number) < ($1.number, $1.file.number) }.map(\.file)
    }

    private func isWhole(_ file: RingFile) -> Bool {
        file.bytes >= options.groupBytesMax && file.bytes % JournalFormat.blockBytes == 0
    }

    /// Adds files until the ring has `bytes`.
    private func grow(_ ring: inout JournalRing, _ directory: RingDirectory, toBytes bytes: Int) throws(LogError) {
        while ring.bytes < bytes {
            do throws(RingDirectory.CreationError) {
                ring.add(try directory.create())
            } catch {
                switch error {
                case .survivable(let cause): throw LogError(cause)
                case .broken(let cause): throw .fatal("\(cause)")
                }
            }
        }
    }

    private func start(
        _ ring: JournalRing, _ directory: RingDirectory, _ ended: [JournalQueue.EndedChain], _ last: GroupHeader,
        _ body: UnsafeRawBufferPointer, nextGroup: UInt64, _ recovery: JournalRecovery
    ) throws(LogError) -> (Journal, JournalRecovery) {
        var ring = ring
        // The opening needs a place, also if the journal died with every file in use.
        var cursor = ring.cursor
        if !cursor.take(JournalFormat.padded(last.totalBytes), in: ring) {
            try grow(&ring, directory, toBytes: ring.bytes + 1)
        }
        var recovery = recovery
        recovery.files = ring.fileCount
        let queue = JournalQueue(
            options: options, identity: last.identity, groupBytesMax: options.groupBytesMax, ring: ring,
            nextSequence: max(last.nextSequence, after + 1), nextGroup: nextGroup, endedChains: ended)
        let journal = Journal(queue: queue, directory: directory, clock: clock, syncedGroup: last.restatedGroup - 1)
        try journal.writeOpening(like: last, body: body, durable: max(last.nextSequence - 1, after))
        return (journal, recovery)
    }

    // MARK: Errors

    private func damaged(_ detail: String) -> LogError { .corrupt(LogDamage(place: path, detail: detail)) }
}

/// An I/O error that leaves everything as it was.
private func orLogError<Result>(_ body: () throws(IOError) -> Result) throws(LogError) -> Result {
    do throws(IOError) {
        return try body()
    } catch {
        throw LogError(error)
    }
}

/// An I/O error of a sync, or of what goes with one.
private func orFatal<Result>(_ body: () throws(IOError) -> Result) throws(LogError) -> Result {
    do throws(IOError) {
        return try body()
    } catch {
        throw .fatal("\(error)")
    }
}
