/// The seams: everything Martlet asks of the outside world goes through one of these four protocols. `MartletPlatform`
/// has the real ones, `MartletTestKit` the simulated ones; code between them never knows which it runs on, so a seed
/// replays a run exactly. Each implementation states its own thread contract; all may be shared between threads.

/// Time. The only way to learn it outside `MartletPlatform`.
package protocol Clock: Sendable {
    /// Nanoseconds on a line that never goes back and has no meaning beyond differences.
    func monotonicNanos() -> Int64
    /// Microseconds since 1970-01-01 UTC. May jump, also backwards.
    func wallMicros() -> Int64
    /// Lets `nanos` pass: a real clock sleeps, a simulated one moves its hand.
    func sleep(nanos: Int64)
}

/// Randomness that may differ from run to run (identifiers, hash seeds, jitter). For repeatable randomness see `SplitMix64`.
package protocol Entropy: Sendable {
    func next() -> UInt64
}

/// How a file is opened.
package enum OpenMode: Sendable, Equatable {
    /// It must exist.
    case read
    /// Read and write; it must exist.
    case update
    /// Read and write; created empty if missing, kept as it is if there.
    case createOrUpdate
    /// Read and write; created if missing, emptied if there.
    case replace
    /// Read and write; refused with `EEXIST` if there.
    case createNew
    /// A directory, for `sync()` alone: makes creations, renames and removals in it durable.
    case directory
}

/// What is known of a path.
package struct FileFacts: Sendable, Equatable {
    package enum Kind: Sendable, Equatable { case file, directory, other }
    package var kind: Kind
    /// Bytes.
    package var size: Int64
    /// The same for two paths (or two moments) exactly if it is the same file; a rotated log has a new one.
    package var identity: UInt64
    /// Microseconds since 1970-01-01 UTC.
    package var modifiedMicros: Int64

    package init(kind: Kind, size: Int64, identity: UInt64, modifiedMicros: Int64) {
        self.kind = kind
        self.size = size
        self.identity = identity
        self.modifiedMicros = modifiedMicros
    }
}

/// A tree of files.
///
/// Durability is POSIX's, no more: written bytes survive a crash only after the file's `sync()`; a created, renamed or
/// removed *name* survives only after the directory's. Between them anything may survive, in any order, torn at
/// 512-byte sectors.
package protocol Disk: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any DiskFile
    /// nil if there is nothing at `path`. Follows symbolic links.
    func stat(_ path: String) throws(IOError) -> FileFacts?
    /// The names in a directory, without `.` and `..`, in ascending byte order.
    func list(_ directory: String) throws(IOError) -> [String]
    /// Creates a directory; parents must exist; fine if it is there already.
    func makeDirectory(_ path: String) throws(IOError)
    /// Atomically replaces what is at `target`.
    func rename(_ path: String, to target: String) throws(IOError)
    /// Removes a file or an empty directory.
    func remove(_ path: String) throws(IOError)
}

extension Disk {
    /// Makes the names in `directory` durable.
    package func syncDirectory(_ directory: String) throws(IOError) {
        try open(directory, .directory).sync()
    }

    /// Creates `path` and whatever is missing above it.
    package func makeDirectories(_ path: String) throws(IOError) {
        var end = path.startIndex
        while end < path.endIndex {
            end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
            let prefix = String(path[..<end])
            if let facts = try stat(prefix), facts.kind == .directory { continue }
            try makeDirectory(prefix)
        }
    }
}

/// An open file; closed when the last reference goes. Reads and writes at offsets are independent of each other and may
/// come from several threads; appends must come from one at a time.
package protocol DiskFile: AnyObject, Sendable {
    /// Fills `buffer` from `offset` as far as there is data; returns how many bytes, 0 at the end. A file that cannot
    /// seek (a pipe) gives what is there and requires `offset` to be the number of bytes read so far.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int
    /// All of `bytes`, or an error (then any part may be written).
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(IOError)
    /// All of `bytes` at the end, or an error (then any part may be written).
    func append(_ bytes: UnsafeRawBufferPointer) throws(IOError)
    /// Returns when everything written before is durable. After an error nothing is known of what was written: never retry.
    func sync() throws(IOError)
    /// Brings what was written to this range to the device, so that a later `sync` finds less to do. Promises nothing.
    func writeBack(from offset: Int64, count: Int)
    /// Asks that writes pass by the operating system's cache from now on: they are then of whole, aligned 4 KiB blocks, from
    /// memory that is aligned likewise. False: not possible here, and nothing changed.
    func bypassCache() -> Bool
    func truncate(to size: Int64) throws(IOError)
    func facts() throws(IOError) -> FileFacts
}

extension DiskFile {
    package func writeBack(from offset: Int64, count: Int) {}
    package func bypassCache() -> Bool { false }
}

/// A party on the network.
package struct Endpoint: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var name: String
    package init(_ name: String) { self.name = name }
    package var description: String { name }
    package static func < (left: Endpoint, right: Endpoint) -> Bool { left.name < right.name }
}

/// One message on its way.
package struct Frame: Sendable, Equatable {
    package var from: Endpoint
    package var to: Endpoint
    package var bytes: [UInt8]
    package init(from: Endpoint, to: Endpoint, bytes: [UInt8]) {
        self.from = from
        self.to = to
        self.bytes = bytes
    }
}

/// Carries whole frames between endpoints, promising the least: a frame may be lost, late, out of order or doubled,
/// never altered. Protocol state machines are sans-IO and meet the network only in this shape; byte streams (sockets)
/// belong to the listeners, which cut them into frames.
package protocol Network: Sendable {
    func send(_ frame: Frame) throws(IOError)
    /// The next frame that has arrived for `endpoint`; nil if none has. Never waits.
    func receive(at endpoint: Endpoint) throws(IOError) -> Frame?
}
