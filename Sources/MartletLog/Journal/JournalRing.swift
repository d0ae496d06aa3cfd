internal import MartletCore
internal import Synchronization

/// A file of the ring, open as long as the journal is.
final class RingFile: Sendable {
    /// Unique in the directory; part of the name, without further meaning.
    let number: Int
    let path: String
    let file: any DiskFile
    let bytes: Int
    private let isPrepared = Atomic<Bool>(false)

    init(number: Int, path: String, file: any DiskFile, bytes: Int) {
        self.number = number
        self.path = path
        self.file = file
        self.bytes = bytes
    }

    /// Writes a group past the cache, where the file system can: what is in a cache has to be copied, found again and written at
    /// the sync, and others' writes get in between.
    func write(_ group: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) {
        // Not before the first group: whoever reads the file at an opening uses memory of any kind.
        if !isPrepared.exchange(true, ordering: .relaxed) { _ = file.bypassCache() }
        try file.write(group, at: offset)
    }
}

/// A file while it holds groups that may still be needed.
struct FileUse: Sendable {
    var file: RingFile
    var lap: UInt64
    var firstGroup: UInt64
    var lastGroup: UInt64 = 0
    /// The highest sequence in it; 0 if it has no record.
    var lastSequence: UInt64 = 0
    /// Groups that have their place here and are not durable yet.
    var waitingGroups = 0
}

/// Which file is used for what, and where the next group goes. Pure bookkeeping; part of the journal's locked state.
///
/// Files are taken from `free` front first and come back when everything in them has a durable home elsewhere, oldest
/// first. Records leave one file free for the next opening: what a recovery must write has a place even if the journal died
/// full. Only if it dies again in the middle of that may the ring grow beyond its limit by a file, of which one more is then
/// kept free.
struct JournalRing: Sendable {
    /// Oldest first; the last is the one being filled.
    private(set) var uses: [FileUse]
    /// The next one first.
    private(set) var free: [RingFile]
    /// Of all files.
    private(set) var bytes: Int
    /// Where the next group goes in the file being filled.
    private var position: Int
    /// Whether the file being filled takes more groups.
    private var isLastOpen: Bool
    private var nextLap: UInt64
    private let bytesMax: Int

    /// A new ring, without files.
    init(bytesMax: Int) {
        self.init(uses: [], free: [], position: 0, isLastOpen: false, nextLap: 1, bytesMax: bytesMax)
    }

    init(uses: [FileUse], free: [RingFile], position: Int, isLastOpen: Bool, nextLap: UInt64, bytesMax: Int) {
        self.uses = uses
        self.free = free
        self.position = position
        self.isLastOpen = isLastOpen
        self.nextLap = nextLap
        self.bytesMax = bytesMax
        bytes = uses.reduce(0) { $0 + $1.file.bytes } + free.reduce(0) { $0 + $1.bytes }
    }

    /// A new file of zeros.
    mutating func add(_ file: RingFile) {
        free.append(file)
        bytes += file.bytes
    }

    var freeBytes: Int { free.reduce(0) { $0 + $1.bytes } }
    var fileCount: Int { uses.count + free.count }
    /// Bytes that cannot be used for new groups before something is recycled.
    var usedBytes: Int { bytes - freeBytes - roomInLast }

    private var roomInLast: Int { isLastOpen && !uses.isEmpty ? uses[uses.count - 1].file.bytes &- position : 0 }

    /// A walk over places not yet taken, to ask whether groups would fit.
    struct Cursor {
        fileprivate var room: Int
        fileprivate var next = 0

        /// Claims a place for a group of `bytes`, a multiple of a block.
        mutating func take(_ bytes: Int, in ring: borrowing JournalRing) -> Bool {
            if bytes <= room {
                room &-= bytes
                return true
            }
            guard next < ring.free.count, bytes <= ring.free[next].bytes else { return false }
            room = ring.free[next].bytes &- bytes
            next &+= 1
            return true
        }

        /// Whether enough whole files stay free.
        func leavesReserve(in ring: borrowing JournalRing) -> Bool {
            ring.free.count &- next >= (ring.bytes > ring.bytesMax ? 2 : 1)
        }

        /// What need not be written, and costs a block at most, may go to the file being filled but take no new one.
        func sparesReserve(in ring: borrowing JournalRing) -> Bool { next == 0 || leavesReserve(in: ring) }
    }

    var cursor: Cursor { Cursor(room: roomInLast) }

    /// Gives a group of `bytes` its place; nil if there is none.
    mutating func place(bytes: Int, group: UInt64, nextSequence: UInt64) -> GroupPlace? {
        if bytes > roomInLast {
            guard let file = free.first, bytes <= file.bytes else { return nil }
            free.removeFirst()
            uses.append(FileUse(file: file, lap: nextLap, firstGroup: group))
            nextLap &+= 1
            position = 0
            isLastOpen = true
        }
        let last = uses.count - 1
        uses[last].lastGroup = group
        uses[last].lastSequence = max(uses[last].lastSequence, nextSequence &- 1)
        uses[last].waitingGroups += 1
        defer { position &+= bytes }
        return GroupPlace(file: uses[last].file, offset: position, lap: uses[last].lap)
    }

    /// A group of the file is durable.
    mutating func settle(_ place: GroupPlace) {
        if let index = uses.firstIndex(where: { $0.lap == place.lap }) { uses[index].waitingGroups -= 1 }
    }

    /// An opening, durable in the last file, repeats everything from `group` on: files that hold nothing else are
    /// free. So openings one after the other, each in a file of its own, do not use up the ring.
    mutating func release(from group: UInt64) {
        let last = uses.count - 1
        let superseded = uses[..<last].filter { $0.firstGroup >= group && $0.waitingGroups == 0 }
        uses.removeAll { use in superseded.contains { $0.lap == use.lap } }
        free += superseded.map(\.file)
    }

    /// Frees the files that hold nothing after `sequence` and no group from `floorGroup` on, oldest first.
    mutating func recycle(through sequence: UInt64, floorGroup: UInt64) {
        while uses.count > 1, let first = uses.first, first.waitingGroups == 0, first.lastSequence <= sequence,
            first.lastGroup < floorGroup
        {
            free.append(uses.removeFirst().file)
        }
    }
}
