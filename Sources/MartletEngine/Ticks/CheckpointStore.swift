package import MartletCore
package import MartletState

/// The checkpoints of one pipeline: a directory of files named by their ticks. Two are kept, so that damage to one costs
/// nothing but time.
package struct CheckpointStore: Sendable {
    package let disk: any Disk
    package let directory: String

    /// How many are kept; the ticks topic reaches back to the older one.
    static let kept = 2
    private static let suffix = ".checkpoint"
    /// A file that is no longer wanted, kept for the next checkpoint to write over: to give back a gigabyte of disk, and to take
    /// another, makes syncs of the journal wait. Nothing is lost without it.
    package static let spare = "spare"

    /// - Parameter directory: made, with its parents, when the first checkpoint is.
    package init(_ disk: any Disk, directory: String) {
        self.disk = disk
        self.directory = directory
    }

    /// Where a data directory has the checkpoints of all its pipelines.
    package static func directory(in dataDirectory: String) -> String { "\(dataDirectory)/checkpoints" }

    static func name(of tick: UInt64) -> String {
        let digits = String(tick)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + suffix
    }

    /// The files there are, newest first, whether or not they are good.
    package func files() throws(SQLError) -> [String] {
        do throws(IOError) {
            guard try disk.stat(directory) != nil else { return [] }
            return try disk.list(directory).filter { $0.hasSuffix(CheckpointStore.suffix) }.reversed().map { "\(directory)/\($0)" }
        } catch {
            throw SQLError(.ioError, "\(error)")
        }
    }

    /// A file's checkpoint, wholly read and found good if `isVerified`.
    package func open(_ path: String, isVerified: Bool) throws(StateError) -> CheckpointFile {
        let file = try CheckpointFile(disk, path: path)
        if isVerified { try file.verify(disk) }
        return file
    }

    func begin(_ header: CheckpointHeader) throws(SQLError) -> CheckpointDraft {
        do throws(IOError) {
            let isNew = try disk.stat(directory) == nil
            try disk.makeDirectories(directory)
            if isNew { try syncParents() }
        } catch {
            throw SQLError(.ioError, "a checkpoint cannot be written: \(error)")
        }
        let spare = "\(directory)/\(CheckpointStore.spare)"
        return try CheckpointDraft(disk, directory: directory, header, spare: try exists(spare) ? spare : nil)
    }

    private func exists(_ path: String) throws(SQLError) -> Bool {
        do throws(IOError) { return try disk.stat(path) != nil } catch { throw SQLError(.ioError, "\(error)") }
    }

    /// The names of `checkpoints/<pipeline>` become durable with their first use.
    private func syncParents() throws(IOError) {
        let parent = CheckpointStore.parent(of: directory)
        try disk.syncDirectory(CheckpointStore.parent(of: parent))
        try disk.syncDirectory(parent)
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Removes all but the newest; the file of one stays, under another name. Returns where the ticks topic may begin: what the
    /// older of those kept needs. By then the others are gone for good: one whose name a power failure brought back would stand
    /// among the kept without what follows it.
    func prune() throws(SQLError) -> Int64? {
        let all = try files()
        do throws(IOError) {
            var gone = Array(all.dropFirst(CheckpointStore.kept))
            gone += try disk.list(directory).filter { $0.hasSuffix(".unfinished") }.map { "\(directory)/\($0)" }
            let spare = "\(directory)/\(CheckpointStore.spare)"
            for path in gone {
                if try disk.stat(spare) == nil { try disk.rename(path, to: spare) } else { try disk.remove(path) }
            }
            if !gone.isEmpty { try disk.syncDirectory(directory) }
        } catch {
            throw SQLError(.ioError, "an old checkpoint cannot be removed: \(error)")
        }
        // A damaged one tells nothing: then the topic keeps what it has.
        return all.prefix(CheckpointStore.kept).last.flatMap { try? CheckpointFile(disk, path: $0).header.position }
    }

    /// Removes all: the pipeline has no past any more.
    package func removeAll() throws(SQLError) {
        do throws(IOError) {
            guard try disk.stat(directory) != nil else { return }
            for name in try disk.list(directory) { try disk.remove("\(directory)/\(name)") }
            try disk.syncDirectory(directory)
        } catch {
            throw SQLError(.ioError, "checkpoints cannot be removed: \(error)")
        }
    }
}
