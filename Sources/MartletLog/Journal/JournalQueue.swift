/// A chain that is being appended. A value without a life of its own: whoever drops it leaves the chain open, so end it or
/// abandon it.
package struct JournalChain: Sendable, Hashable {
    let id: UInt64
}

/// What appends change, under the journal's lock: the group being filled, full groups that wait, chains, and the ring's
/// bookkeeping. Touches no disk.
struct JournalQueue: Sendable {
    private struct OpenChain: Sendable {
        var firstGroup: UInt64
        var parts: UInt64
        var bytes: Int
    }

    /// A chain whose parts recovery needs until its record has a home elsewhere.
    struct EndedChain: Sendable {
        var firstGroup: UInt64
        var sequence: UInt64
    }

    let options: JournalOptions
    let identity: JournalIdentity
    /// Bytes of a group, all files of the ring considered.
    let groupBytesMax: Int
    var ring: JournalRing
    /// Of the next record.
    var nextSequence: UInt64
    /// Of the group being filled.
    var nextGroup: UInt64
    var endedChains: [EndedChain]
    private(set) var queuedBytes = 0
    var failure: LogError?
    var isClosed = false

    private var filling: GroupBuffer?
    private var full: [GroupBuffer] = []
    private var spare: [GroupBuffer] = []
    private var openChains: [UInt64: OpenChain] = [:]
    private var nextChain: UInt64 = 1

    /// Buffers kept for reuse: one being written, one being filled, one in between.
    private static let spareMax = 3

    init(
        options: JournalOptions, identity: JournalIdentity, groupBytesMax: Int, ring: JournalRing, nextSequence: UInt64,
        nextGroup: UInt64, endedChains: [EndedChain]
    ) {
        self.options = options
        self.identity = identity
        self.groupBytesMax = groupBytesMax
        self.ring = ring
        self.nextSequence = nextSequence
        self.nextGroup = nextGroup
        self.endedChains = endedChains
    }

    var appendedSequence: UInt64 { nextSequence &- 1 }
    var isEmpty: Bool { full.isEmpty && filling?.isEmpty ?? true }

    /// The most payload that one frame holds.
    private var pieceBytesMax: Int { groupBytesMax &- JournalFormat.headerBytes &- JournalFormat.frameBytesMax }
    private var accepts: Bool { failure == nil && !isClosed && queuedBytes <= options.queuedBytesMax }

    // MARK: Records

    mutating func append(_ parts: [UnsafeRawBufferPointer], totalBytes: Int) -> UInt64? {
        guard accepts && totalBytes <= options.recordBytesMax else { return nil }
        var payload = PartsCursor(parts)
        if totalBytes <= pieceBytesMax {
            guard admits(payloadBytes: totalBytes, pieces: 1) else { return nil }
            add(.whole, payloadBytes: totalBytes, from: &payload)
        } else {
            // Longer than a group: a chain that is queued in one go.
            let pieces = piecesOf(totalBytes)
            guard admits(payloadBytes: totalBytes, pieces: pieces), let chain = begin() else { return nil }
            addPieces(to: chain.id, payloadBytes: totalBytes, pieces: pieces, isEnd: true, from: &payload)
        }
        return takeSequence()
    }

    mutating func begin() -> JournalChain? {
        guard accepts else { return nil }
        let id = nextChain
        nextChain += 1
        openChains[id] = OpenChain(firstGroup: nextGroup, parts: 0, bytes: 0)
        return JournalChain(id: id)
    }

    /// Adds to a chain; with `isEnd` it becomes a record. nil if there is no room: nothing happened. A part that is no end
    /// gives the last sequence there is.
    mutating func append(
        _ parts: [UnsafeRawBufferPointer], totalBytes: Int, to chain: JournalChain, isEnd: Bool
    ) -> UInt64? {
        guard accepts, openChains[chain.id] != nil else { return nil }
        let held = openChains.values.reduce(0) { $0 + $1.bytes }
        guard totalBytes <= options.recordBytesMax, held <= options.recordBytesMax &- totalBytes else { return nil }
        let pieces = piecesOf(totalBytes)
        guard admits(payloadBytes: totalBytes, pieces: pieces) else { return nil }
        var payload = PartsCursor(parts)
        addPieces(to: chain.id, payloadBytes: totalBytes, pieces: pieces, isEnd: isEnd, from: &payload)
        return isEnd ? takeSequence() : appendedSequence
    }

    /// Forgets a chain. Recovery is told if there is room to: it would otherwise hold the parts until the next opening.
    mutating func abandon(_ chain: JournalChain) {
        guard let open = openChains.removeValue(forKey: chain.id), open.parts > 0, failure == nil, !isClosed else { return }
        var cursor = ring.cursor
        let needed = (filling?.used ?? JournalFormat.headerBytes) &+ JournalFormat.frameBytesMax
        guard needed <= groupBytesMax, cursor.take(JournalFormat.padded(needed), in: ring), cursor.sparesReserve(in: ring) else {
            return
        }
        var nothing = PartsCursor([])
        add(.abandoned, chain: chain.id, part: open.parts, payloadBytes: 0, from: &nothing)
    }

    private mutating func takeSequence() -> UInt64 {
        defer { nextSequence &+= 1 }
        return nextSequence
    }

    private func piecesOf(_ bytes: Int) -> Int { max(1, (bytes &+ pieceBytesMax &- 1) / pieceBytesMax) }

    /// Whether so many frames find places. Walks as `add` will.
    private func admits(payloadBytes: Int, pieces: Int) -> Bool {
        var cursor = ring.cursor
        var used = filling?.used ?? JournalFormat.headerBytes
        var rest = payloadBytes
        for _ in 0..<pieces {
            let piece = min(rest, pieceBytesMax)
            rest &-= piece
            let frame = piece &+ JournalFormat.frameBytesMax
            if used &+ frame > groupBytesMax {
                guard cursor.take(JournalFormat.padded(used), in: ring) else { return false }
                used = JournalFormat.headerBytes
            }
            used &+= frame
        }
        return cursor.take(JournalFormat.padded(used), in: ring) && cursor.leavesReserve(in: ring)
    }

    private mutating func addPieces(
        to id: UInt64, payloadBytes: Int, pieces: Int, isEnd: Bool, from payload: inout PartsCursor
    ) {
        var open = openChains[id]!  // Both callers have just looked.
        var rest = payloadBytes
        for index in 0..<pieces {
            let piece = min(rest, pieceBytesMax)
            rest &-= piece
            let isLast = isEnd && index == pieces - 1
            // Room first: if the group being filled is full, the first part goes to the next one.
            makeRoom(for: piece &+ JournalFormat.frameBytesMax)
            if open.parts == 0 { open.firstGroup = nextGroup }
            add(isLast ? .end : .part, chain: id, part: open.parts, payloadBytes: piece, from: &payload)
            open.parts += 1
            open.bytes += piece
            // Kept up to date piece by piece: a group that starts in between must know its chain.
            openChains[id] = open
        }
        if isEnd {
            openChains[id] = nil
            endedChains.append(EndedChain(firstGroup: open.firstGroup, sequence: nextSequence))
        }
    }

    private mutating func add(
        _ kind: JournalFrame.Kind, chain: UInt64 = 0, part: UInt64 = 0, payloadBytes: Int, from payload: inout PartsCursor
    ) {
        makeRoom(for: payloadBytes &+ JournalFormat.frameBytesMax)
        let buffer = filling ?? startGroup()
        let before = buffer.used
        buffer.add(kind, chain: chain, part: part, payloadBytes: payloadBytes, from: &payload)
        queuedBytes &+= buffer.used &- before
    }

    /// The group being filled is closed if it has less room than `frameBytes`.
    private mutating func makeRoom(for frameBytes: Int) {
        if let filling, filling.used &+ frameBytes > groupBytesMax { closeGroup() }
    }

    // MARK: Groups

    private mutating func startGroup() -> GroupBuffer {
        let buffer = spare.popLast() ?? GroupBuffer(capacity: groupBytesMax, identity: identity)
        let floor = openChains.values.reduce(nextGroup) { $1.parts > 0 ? min($0, $1.firstGroup) : $0 }
        buffer.reset(number: nextGroup, firstSequence: nextSequence, chainFloor: floor)
        filling = buffer
        return buffer
    }

    private mutating func closeGroup() {
        guard let buffer = filling else { return }
        filling = nil
        place(buffer)
        full.append(buffer)
    }

    private mutating func place(_ buffer: GroupBuffer) {
        nextGroup = buffer.header.number &+ 1
        buffer.place = ring.place(
            bytes: JournalFormat.padded(buffer.used), group: buffer.header.number, nextSequence: buffer.header.nextSequence)
        precondition(buffer.place != nil, "a record was accepted for which the ring has no place")
    }

    /// The next group to write; nil if nothing is queued. It stays counted as queued until `finish`.
    mutating func takeGroup() -> GroupBuffer? {
        if full.isEmpty {
            guard let filling, !filling.isEmpty else { return nil }
            closeGroup()
        }
        return full.removeFirst()
    }

    /// An empty group; nil if something is queued or there is no room.
    mutating func takeSeal() -> GroupBuffer? {
        var cursor = ring.cursor
        guard isEmpty, cursor.take(JournalFormat.blockBytes, in: ring), cursor.sparesReserve(in: ring) else { return nil }
        let buffer = startGroup()
        filling = nil
        place(buffer)
        return buffer
    }

    /// The first group after an opening, with the body it repeats.
    mutating func takeOpening(like last: GroupHeader, body: UnsafeRawBufferPointer) -> GroupBuffer? {
        let buffer = GroupBuffer(
            capacity: max(groupBytesMax, JournalFormat.padded(last.totalBytes)), identity: identity)
        let floor = last.chainFloor < last.number ? last.chainFloor : nextGroup
        buffer.reset(number: nextGroup, firstSequence: last.firstSequence, chainFloor: floor)
        buffer.header.kind = .opening
        buffer.header.recordCount = last.recordCount
        buffer.header.restatedGroup = last.restatedGroup
        buffer.adopt(body: body)
        buffer.place = ring.place(
            bytes: JournalFormat.padded(buffer.used), group: buffer.header.number, nextSequence: buffer.header.nextSequence)
        guard buffer.place != nil else { return nil }
        nextGroup = buffer.header.number &+ 1
        queuedBytes &+= buffer.used &- JournalFormat.headerBytes
        return buffer
    }

    /// A group is durable.
    mutating func finish(_ buffer: GroupBuffer) {
        queuedBytes &-= buffer.used &- JournalFormat.headerBytes
        if let place = buffer.place { ring.settle(place) }
        if spare.count < Self.spareMax && buffer.capacity == groupBytesMax { spare.append(buffer) }
    }

    // MARK: Recycling

    mutating func recycle(through sequence: UInt64) {
        endedChains.removeAll { $0.sequence <= sequence }
        var floor = endedChains.reduce(UInt64.max) { min($0, $1.firstGroup) }
        for chain in openChains.values where chain.parts > 0 { floor = min(floor, chain.firstGroup) }
        ring.recycle(through: sequence, floorGroup: floor)
    }
}
