package import MartletCore
internal import Synchronization

/// What is to go wrong with a call.
package enum DiskFault: Sendable, Equatable {
    /// The device fails (EIO).
    case broken
    /// No space is left (ENOSPC); of a write nothing is done.
    case outOfSpace
    /// A read gives only a part, as it may anywhere; a write does a part and then has no space; other calls go well.
    case short
}

/// A file system in memory that keeps no promise it did not give.
///
/// - `crash()` goes back to what was synced, plus, of what was not, whatever the seed chooses: each 512-byte sector of a
///   file shows any state it had since the file's last sync (lost, kept or overtaken, so writes are reordered and torn),
///   its length likewise; names created, renamed or removed since their directory's sync are there or not, one by one.
///   Files opened before the crash are dead.
/// - Any call can be made to fail (`fail(call:with:)`, `faultShare`), and the disk can be full (`capacityBytes`).
/// - A failed `sync` loses a part of what it should have made durable for good: a later one does not bring it back,
///   though reads still show it (as Linux' page cache does).
/// - Every call goes into the trace.
///
/// Paths are plain: `/`-separated, relative to one root, no links; "." names the root.
package final class SimulatedDisk: Disk {
    private let state: Mutex<SimulatedVolume>
    package let trace: Trace

    /// The root directory exists. `faultShare` is the probability that a call fails as `faults` chooses.
    package init(seed: UInt64, trace: Trace = Trace()) {
        self.trace = trace
        state = Mutex(SimulatedVolume(seed: seed))
    }

    /// Calls so far, the number of the last one; the first is 1.
    package var callCount: Int { state.withLock { $0.callCount } }

    /// Makes call number `call` (counted over the whole life of the disk) go wrong.
    package func fail(call: Int, with fault: DiskFault) { state.withLock { $0.faults[call] = fault } }

    /// The probability that any call goes wrong in some way; 0 at first.
    package var faultShare: Double {
        get { state.withLock { $0.faultShare } }
        set { state.withLock { $0.faultShare = newValue } }
    }

    /// What all files together may hold; a write beyond is ENOSPC. nil: no end.
    package var capacityBytes: Int? {
        get { state.withLock { $0.capacityBytes } }
        set { state.withLock { $0.capacityBytes = newValue } }
    }

    /// Power is lost and comes back.
    package func crash() {
        trace.note("crash")
        state.withLock { $0.crash() }
    }

    // MARK: Disk

    package func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any DiskFile {
        let (node, epoch) = try call("open \(mode)", path) { volume, _ throws(IOError) in
            (try volume.open(path, mode), volume.epoch)
        }
        return SimulatedFile(disk: self, node: node, epoch: epoch, path: path)
    }

    package func stat(_ path: String) throws(IOError) -> FileFacts? {
        try call("stat", path) { volume, _ throws(IOError) in volume.find(path).map { volume.facts(of: $0) } }
    }

    package func list(_ directory: String) throws(IOError) -> [String] {
        try call("list", directory) { volume, _ throws(IOError) in try volume.list(directory) }
    }

    package func makeDirectory(_ path: String) throws(IOError) {
        try call("make directory", path) { volume, _ throws(IOError) in try volume.makeDirectory(path) }
    }

    package func rename(_ path: String, to target: String) throws(IOError) {
        try call("rename", "\(path) to \(target)") { volume, _ throws(IOError) in try volume.rename(path, to: target) }
    }

    package func remove(_ path: String) throws(IOError) {
        try call("remove", path) { volume, _ throws(IOError) in try volume.remove(path) }
    }

    /// Counts and traces a call, and lets it fail if its turn has come; `body` sees only the fault `short`.
    fileprivate func call<Result>(
        _ operation: String, _ path: String, onFailure: (inout SimulatedVolume) -> Void = { _ in },
        _ body: (inout SimulatedVolume, DiskFault?) throws(IOError) -> Result
    ) throws(IOError) -> Result {
        do throws(IOError) {
            let result = try state.withLock { (volume) throws(IOError) in
                let fault = volume.nextFault()
                if fault == .broken || fault == .outOfSpace {
                    onFailure(&volume)
                    throw IOError(operation, path: path, errno: fault == .broken ? errnoBroken : errnoOutOfSpace)
                }
                return Unshared(value: try body(&volume, fault))
            }.value
            trace.note("\(operation) \(path)")
            return result
        } catch {
            trace.note("\(operation) \(path): error \(error.failure.code)")
            throw error
        }
    }
}

/// Carries a result out of a lock. Sound: the simulation is for one thread at a time, and results are values.
private struct Unshared<Value>: @unchecked Sendable { let value: Value }

/// An open file of a simulated disk; dead once the disk has crashed.
private final class SimulatedFile: DiskFile {
    let disk: SimulatedDisk
    let node: Int
    let epoch: Int
    let path: String

    init(disk: SimulatedDisk, node: Int, epoch: Int, path: String) {
        self.disk = disk
        self.node = node
        self.epoch = epoch
        self.path = path
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
        let bytes = try call("read \(offset) \(buffer.count)") { volume, fault throws(IOError) in
            let wanted = fault == .short ? max(buffer.count / 2, min(buffer.count, 1)) : buffer.count
            return volume.read(self.node, at: offset, count: wanted)
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) {
        let copy = [UInt8](bytes)
        try call("write \(offset) \(bytes.count) \(traceHash(bytes))") { volume, fault throws(IOError) in
            try volume.write(self.node, copy, at: Int(offset), isShort: fault == .short, path: self.path)
        }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(IOError) {
        let copy = [UInt8](bytes)
        try call("append \(bytes.count) \(traceHash(bytes))") { volume, fault throws(IOError) in
            let end = volume.nodes[self.node]!.current.count
            try volume.write(self.node, copy, at: end, isShort: fault == .short, path: self.path)
        }
    }

    func sync() throws(IOError) {
        try disk.call("sync", path, onFailure: { $0.failSync(self.node) }) { volume, _ throws(IOError) in
            try self.check(volume)
            volume.sync(self.node)
        }
    }

    func truncate(to size: Int64) throws(IOError) {
        try call("truncate \(size)") { volume, _ throws(IOError) in volume.truncate(self.node, to: Int(size)) }
    }

    func facts() throws(IOError) -> FileFacts {
        try call("facts") { volume, _ throws(IOError) in volume.facts(of: self.node) }
    }

    private func call<Result>(
        _ operation: String, _ body: (inout SimulatedVolume, DiskFault?) throws(IOError) -> Result
    ) throws(IOError) -> Result {
        try disk.call(operation, path) { volume, fault throws(IOError) in
            try self.check(volume)
            return try body(&volume, fault)
        }
    }

    private func check(_ volume: SimulatedVolume) throws(IOError) {
        if volume.epoch != epoch { throw IOError("use after a crash", path: path, errno: errnoBadDescriptor) }
    }
}
