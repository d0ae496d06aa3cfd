/// Several runs of bytes read as one, front to back.
struct PartsCursor {
    private let parts: [UnsafeRawBufferPointer]
    private var index = 0
    private var offset = 0

    init(_ parts: [UnsafeRawBufferPointer]) { self.parts = parts }

    /// Copies the next `count` bytes, which are there.
    mutating func copy(_ count: Int, to target: UnsafeMutableRawPointer) {
        var done = 0
        while done < count {
            let part = parts[index]
            let step = min(part.count &- offset, count &- done)
            if step > 0, let base = part.baseAddress {
                (target + done).copyMemory(from: base + offset, byteCount: step)
            }
            done &+= step
            offset &+= step
            if offset == part.count {
                index &+= 1
                offset = 0
            }
        }
    }
}

/// Where a group goes.
struct GroupPlace: Sendable {
    var file: RingFile
    var offset: Int
    var lap: UInt64
}

/// The memory of one group, aligned to blocks, so that it goes to the disk as it is. Reused.
///
/// `@unchecked Sendable`: it has one owner at a time. While it is filled and queued it belongs to the journal's locked
/// state; once taken from the queue to the thread that writes it.
final class GroupBuffer: @unchecked Sendable {
    let capacity: Int
    private let base: UnsafeMutableRawPointer
    /// Header and frames, without padding.
    private(set) var used = JournalFormat.headerBytes
    /// `number`, `firstSequence`, `recordCount` and `chainFloor` are kept here; the rest is filled in before the write.
    var header: GroupHeader
    var place: GroupPlace?

    /// `capacity` is a multiple of a block.
    init(capacity: Int, identity: JournalIdentity) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: JournalFormat.blockBytes)
        header = GroupHeader(kind: .group, identity: identity)
    }

    deinit { base.deallocate() }

    var isEmpty: Bool { used == JournalFormat.headerBytes }

    /// Starts anew as the group `number`.
    func reset(number: UInt64, firstSequence: UInt64, chainFloor: UInt64) {
        used = JournalFormat.headerBytes
        header = GroupHeader(kind: .group, identity: header.identity)
        header.number = number
        header.restatedGroup = number
        header.firstSequence = firstSequence
        header.chainFloor = chainFloor
        place = nil
    }

    /// Bytes of a frame around `payloadBytes`.
    static func frameBytes(_ kind: JournalFrame.Kind, chain: UInt64, part: UInt64, payloadBytes: Int) -> Int {
        let head = varintBytes(UInt64(payloadBytes) &<< 2)
        return head &+ (kind == .whole ? 0 : varintBytes(chain) &+ varintBytes(part)) &+ payloadBytes
    }

    /// Adds a frame with the next `payloadBytes` of `payload`; the caller has made sure that it fits.
    func add(
        _ kind: JournalFrame.Kind, chain: UInt64 = 0, part: UInt64 = 0, payloadBytes: Int, from payload: inout PartsCursor
    ) {
        let total = Self.frameBytes(kind, chain: chain, part: part, payloadBytes: payloadBytes)
        precondition(total <= capacity &- used, "a frame fits the group it is added to")
        put(UInt64(payloadBytes) &<< 2 | kind.rawValue)
        if kind != .whole {
            put(chain)
            put(part)
        }
        payload.copy(payloadBytes, to: base + used)
        used &+= payloadBytes
        if kind == .whole || kind == .end { header.recordCount &+= 1 }
    }

    /// Takes over a whole body as it is.
    func adopt(body: UnsafeRawBufferPointer) {
        precondition(isEmpty && body.count <= capacity &- used, "a body fits the group that repeats it")
        if let start = body.baseAddress { (base + used).copyMemory(from: start, byteCount: body.count) }
        used &+= body.count
    }

    /// Writes the header and the padding, and gives the blocks as they are to be on disk.
    func finish() -> UnsafeRawBufferPointer {
        let end = JournalFormat.padded(used)
        (base + used).initializeMemory(as: UInt8.self, repeating: 0, count: end &- used)
        header.bodyBytes = UInt32(used &- JournalFormat.headerBytes)
        let body = UnsafeRawBufferPointer(start: base + JournalFormat.headerBytes, count: Int(header.bodyBytes))
        header.encode(into: UnsafeMutableRawBufferPointer(start: base, count: end), body: body)
        return UnsafeRawBufferPointer(start: base, count: end)
    }

    private func put(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: used, as: UInt8.self)
            used &+= 1
            rest &>>= 7
        }
        base.storeBytes(of: UInt8(rest), toByteOffset: used, as: UInt8.self)
        used &+= 1
    }
}
