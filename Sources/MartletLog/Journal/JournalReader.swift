internal import MartletCore

/// Reads a journal forward from a group that has what is needed, and tells its end from damage.
///
/// The next group is where the last one ended, or at the start of the file taken into use next. If it is not there, all
/// later places are searched for headers. A header is *proof* of every group up to its `syncedGroup`: it was written after
/// their sync had returned. So
/// - a missing group that a later header proves was durable and is damaged: `LogError.corrupt`;
/// - an opening that stands for the missing group (it repeats what was not known to be durable) is where to go on;
/// - with neither, the missing group was being written when the journal stopped: the end.
///
/// Numbers grow over the whole life of a journal, so what an earlier use of a file left behind has a lower number than
/// what is expected, and counts for nothing; but for files that an opening set free, which is looked for first.
struct JournalReader {
    /// A file that was read, oldest first.
    struct Visit {
        var file: Int
        var lap: UInt64
        var firstGroup: UInt64
        var lastGroup: UInt64
        var lastSequence: UInt64
    }

    let files: [ScannedFile]
    let identity: JournalIdentity
    /// Records up to this one are not handed over.
    let after: UInt64
    /// From here on everything must be there. What is read before it is only for chains that may be needed: if something is
    /// missing there, it was recycled, and so were the chains that began before it. Those that began after it were not.
    let start: FoundHeader
    /// The first groups of the files up to `start`, which is the last, in the order they were written.
    private let steps: ArraySlice<FoundHeader>

    private let window: RingWindow
    private(set) var expectedGroup: UInt64
    private(set) var expectedSequence: UInt64
    /// Where the next group is expected.
    private(set) var file: Int
    private(set) var offset: Int
    private(set) var visits: [Visit] = []
    /// The last group read without a gap from there to here; nil if not even `start` could be read.
    private(set) var last: FoundHeader?
    /// The highest number of any header seen, also of torn groups.
    private(set) var highestNumber: UInt64
    private(set) var groups = 0
    private(set) var foundTornGroup = false
    private(set) var chains = ChainAssembler()
    private var lap: UInt64

    /// Begins at the first of `steps`, of which there is one at least, and must read from the last of them on; no record
    /// after `after` is before that one.
    init(files: [ScannedFile], identity: JournalIdentity, after: UInt64, steps: ArraySlice<FoundHeader>, window: RingWindow) {
        let first = steps[steps.startIndex]
        self.files = files
        self.identity = identity
        self.after = after
        self.steps = steps
        start = steps[steps.endIndex - 1]
        self.window = window
        expectedGroup = first.header.number
        expectedSequence = first.header.firstSequence
        file = first.file
        offset = first.offset
        lap = first.header.lap
        highestNumber = start.header.number
    }

    /// Hands over every record, to the end.
    mutating func run(_ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void) throws(LogError) {
        while try readNext(replay) {}
    }

    /// False at the end.
    private mutating func readNext(_ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void) throws(LogError) -> Bool {
        if try readHere(replay) { return true }
        if try readNextFile(replay) { return true }
        let isBeforeStart = expectedGroup < start.header.number
        do throws(LogError) {
            if try resume(replay) { return true }
        } catch {
            guard isBeforeStart, case .corrupt = error else { throw error }
        }
        if isBeforeStart { skip() }
        return isBeforeStart
    }

    /// Goes on at the next file, and forgets what came before what is missing.
    private mutating func skip() {
        let step = steps.first { $0.header.number > expectedGroup } ?? start
        chains = ChainAssembler()
        visits = []
        last = nil
        foundTornGroup = false
        expectedGroup = step.header.number
        // An opening repeats records: those handed over already are not again.
        expectedSequence = max(expectedSequence, step.header.firstSequence)
        file = step.file
        offset = step.offset
        lap = step.header.lap
    }

    /// Whether a group that continues the log is at the place where the next one is expected, which is then read.
    private mutating func readHere(_ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void) throws(LogError) -> Bool {
        guard offset + JournalFormat.blockBytes <= files[file].file.bytes,
            let header = try window.header(files[file].file, at: offset), header.lap == lap, continues(header)
        else { return false }
        return try take(FoundHeader(header: header, file: file, offset: offset), replay)
    }

    /// Whether the next group starts the file that was taken into use next.
    private mutating func readNextFile(
        _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) -> Bool {
        for (index, scanned) in files.enumerated() where index != file {
            if case .group(let header) = scanned.head, header.number == expectedGroup, continues(header) {
                return try take(FoundHeader(header: header, file: index, offset: 0), replay)
            }
        }
        return false
    }

    /// The group expected is not there: says whether an opening stands for it, which is then read; throws if it is damaged.
    private mutating func resume(_ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void) throws(LogError) -> Bool {
        var later = try window.headers(files[file].file, index: file, from: offset)
        for (index, scanned) in files.enumerated() where index != file {
            switch scanned.head {
            case .blank: break
            case .damaged(let found): later += found
            case .group(let header):
                // A file of an earlier use has nothing to say; in one that is newer, the first group may be what is damaged.
                if header.number >= expectedGroup { later += try window.headers(scanned.file, index: index, from: 0) }
            }
        }
        later.removeAll { $0.header.identity != identity || $0.header.number < expectedGroup }
        later.sort { $0.header.number < $1.header.number }
        // Before any proof: such an opening made files free again that hold nothing older than what it repeats, and where one
        // of them is in use again, what is left of its earlier use has numbers as high as what is expected.
        for found in later where found.header.kind == .opening && continues(found.header) {
            if try take(found, replay) { return true }
        }
        for found in later {
            highestNumber = max(highestNumber, found.header.number)
            if found.header.syncedGroup >= expectedGroup { throw .corrupt(damage(provenBy: found.header)) }
            foundTornGroup = true
        }
        return false
    }

    private func continues(_ header: GroupHeader) -> Bool {
        guard header.identity == identity, header.version == JournalFormat.version else { return false }
        switch header.kind {
        case .blank: return false
        case .group: return header.number == expectedGroup
        case .opening: return header.number >= expectedGroup && header.restatedGroup <= expectedGroup
        }
    }

    /// Reads a group if its body is what was written; false if not.
    private mutating func take(
        _ found: FoundHeader, _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) -> Bool {
        let header = found.header
        let ring = files[found.file].file
        guard header.totalBytes <= ring.bytes - found.offset else { return false }
        if header.firstSequence > expectedSequence {
            // Where a checkpoint was further than the journal's end, sequences went on from the checkpoint.
            guard header.firstSequence - 1 <= after else { throw .corrupt(damage(provenBy: header)) }
            expectedSequence = header.firstSequence
        }
        let isKnown = header.kind == .opening && header.nextSequence <= expectedSequence
        guard isKnown || header.firstSequence == expectedSequence else { throw .corrupt(damage(provenBy: header)) }
        var chains = self.chains
        self.chains = ChainAssembler()
        let after = after
        let isIntact = try window.read(ring, at: found.offset, length: header.totalBytes) { bytes throws(LogError) -> Bool in
            guard header.isIntact(bytes) else { return false }
            if !isKnown {
                try chains.read(header, bytes, after: after, place: place(found), replay)
            }
            return true
        }
        if isIntact && header.kind == .opening { chains.forgetOpen() }
        self.chains = chains
        guard isIntact else { return false }
        advance(past: found)
        return true
    }

    private mutating func advance(past found: FoundHeader) {
        groups += 1
        last = found
        lap = found.header.lap
        file = found.file
        offset = found.offset + JournalFormat.padded(found.header.totalBytes)
        expectedGroup = found.header.number + 1
        expectedSequence = max(expectedSequence, found.header.nextSequence)
        highestNumber = max(highestNumber, found.header.number)
        foundTornGroup = false
        if visits.last?.file != file {
            visits.append(Visit(file: file, lap: lap, firstGroup: found.header.number, lastGroup: 0, lastSequence: 0))
        }
        visits[visits.count - 1].lastGroup = found.header.number
        visits[visits.count - 1].lastSequence = expectedSequence - 1
    }

    private func place(_ found: FoundHeader) -> String { "\(files[found.file].file.path) at byte \(found.offset)" }

    private func damage(provenBy header: GroupHeader) -> LogDamage {
        let lastLost = max(header.syncedSequence, header.firstSequence &- 1)
        let lost =
            lastLost >= expectedSequence
            ? "records \(expectedSequence) to \(lastLost) were durable and cannot be read" : "a group without records is missing"
        return LogDamage(
            place: "\(files[file].file.path) at byte \(offset)",
            detail: "group \(expectedGroup) is damaged: \(lost) (group \(header.number) follows)")
    }
}

/// Puts chains together and gives records their sequences.
struct ChainAssembler {
    struct Open {
        var firstGroup: UInt64
        var parts: UInt64
        var payload: [UInt8]
    }

    private(set) var open: [UInt64: Open] = [:]
    /// Chains whose record is not behind the checkpoint: their parts are still needed.
    private(set) var ended: [JournalQueue.EndedChain] = []
    private(set) var records = 0
    /// Chains without an end.
    private(set) var unfinished = 0

    /// Hands over the records of a group whose checksum was right, those after `after`.
    mutating func read(
        _ header: GroupHeader, _ group: UnsafeRawBufferPointer, after: UInt64, place: String,
        _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) {
        var sequence = header.firstSequence
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: group[JournalFormat.headerBytes..<header.totalBytes]))
        while !reader.isAtEnd {
            let frame: JournalFrame
            do throws(ByteError) {
                frame = try JournalFrame.read(&reader)
            } catch {
                throw .corrupt(LogDamage(place: place, detail: "group \(header.number) is not what a journal writes: \(error)"))
            }
            guard !frame.isRecord || sequence < header.nextSequence else {
                throw .corrupt(LogDamage(place: place, detail: "group \(header.number) has more records than it says"))
            }
            let isWanted = sequence > after
            switch frame.kind {
            case .whole:
                if isWanted { try hand(sequence, frame.payload, replay) }
            case .part:
                add(frame, group: header.number)
            case .end:
                add(frame, group: header.number)
                guard let chain = open.removeValue(forKey: frame.chain), chain.parts &- 1 == frame.part else {
                    if !isWanted { break }
                    throw .corrupt(LogDamage(place: place, detail: "parts of record \(sequence) are missing"))
                }
                if isWanted {
                    ended.append(JournalQueue.EndedChain(firstGroup: chain.firstGroup, sequence: sequence))
                    try hand(sequence, chain.payload, replay)
                }
            case .abandoned:
                if open.removeValue(forKey: frame.chain) != nil { unfinished += 1 }
            }
            if frame.isRecord { sequence += 1 }
        }
        guard sequence == header.nextSequence else {
            throw .corrupt(LogDamage(place: place, detail: "group \(header.number) has fewer records than it says"))
        }
    }

    /// At an opening: what was open before has no end any more.
    mutating func forgetOpen() {
        unfinished += open.count
        open = [:]
    }

    private mutating func add(_ frame: JournalFrame, group: UInt64) {
        if frame.part == 0 { open[frame.chain] = Open(firstGroup: group, parts: 0, payload: []) }
        // A part without its beginning belongs to a chain that is behind the checkpoint, or is found out at its end.
        guard let chain = open[frame.chain], chain.parts == frame.part else { return }
        open[frame.chain]?.payload.append(contentsOf: frame.payload)
        open[frame.chain]?.parts += 1
    }

    private mutating func hand(
        _ sequence: UInt64, _ payload: UnsafeRawBufferPointer, _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) {
        records += 1
        try replay(sequence, payload)
    }

    private mutating func hand(
        _ sequence: UInt64, _ payload: [UInt8], _ replay: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) {
        records += 1
        try withBytes(of: payload, 0..<payload.count) { bytes throws(LogError) in try replay(sequence, bytes) }
    }
}
