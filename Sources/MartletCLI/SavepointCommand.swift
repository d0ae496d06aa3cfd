import MartletCore
import MartletEngine
import MartletPlatform

/// `martlet savepoint`: a data directory, as of its last commit, in another place.
enum SavepointCommand {
    static let help = """
        Usage: martlet savepoint create DIR SAVEPOINT
               martlet savepoint restore SAVEPOINT DIR

        create   copies the data directory DIR to SAVEPOINT: log, state, catalog, all as of the last commit
        restore  copies a savepoint to DIR, from where 'serve' or 'run' go on; the savepoint stays as it is

        What is copied must not be in use, so a server is stopped first (a clean stop saves the state, so that nothing is
        replayed). The target must not exist yet, or be empty. It appears under its name when it is complete and durable.
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(words, command: "savepoint", options: [])
        guard arguments.positional.count == 3, let action = arguments.positional.first, ["create", "restore"].contains(action) else {
            throw UsageError("takes create DIR SAVEPOINT, or restore SAVEPOINT DIR")
        }
        let (from, to) = (trimmed(arguments.positional[1]), trimmed(arguments.positional[2]))
        let disk = SystemDisk()
        guard try disk.stat(from)?.kind == .directory, try disk.stat(from + "/LOCK") != nil else {
            throw UsageError("\(from) is no data directory")
        }
        if let there = try disk.stat(to) {
            guard there.kind == .directory, try disk.list(to).isEmpty else { throw UsageError("\(to) is there already") }
        }
        let lock = try DataDirectoryLock(from)
        let bytes = try copying(lock, from, to, disk)
        printError("\(to): \(bytes) bytes")
        return ExitCode.done
    }

    private static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// What is copied stays ours meanwhile. The answer: bytes.
    private static func copying(
        _ lock: borrowing DataDirectoryLock, _ from: String, _ to: String, _ disk: SystemDisk
    ) throws -> Int64 {
        let unfinished = to + ".unfinished"
        // Of an attempt that was cut off.
        try remove(unfinished, disk)
        let bytes = try copy(from, unfinished, disk)
        if try disk.stat(to) != nil { try disk.remove(to) }
        try disk.rename(unfinished, to: to)
        let slash = to.lastIndex(of: "/")
        try disk.syncDirectory(slash.map { $0 == to.startIndex ? "/" : String(to[..<$0]) } ?? ".")
        return bytes
    }

    private static func copy(_ from: String, _ to: String, _ disk: SystemDisk) throws -> Int64 {
        try disk.makeDirectories(to)
        var bytes: Int64 = 0
        for name in try disk.list(from) where name != CheckpointStore.spare {
            let (source, target) = (from + "/" + name, to + "/" + name)
            guard let facts = try disk.stat(source) else { continue }
            switch facts.kind {
            case .directory: bytes += try copy(source, target, disk)
            case .file: bytes += try copyFile(source, target, disk)
            case .other: throw UsageError("\(source) is neither a file nor a directory")
            }
        }
        try disk.syncDirectory(to)
        return bytes
    }

    private static func copyFile(_ from: String, _ to: String, _ disk: SystemDisk) throws -> Int64 {
        let (source, target) = (try disk.open(from, .read), try disk.open(to, .createNew))
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        var copied: Int64 = 0
        while true {
            let count = try piece.withUnsafeMutableBytes { bytes in
                let count = try source.read(into: bytes, at: copied)
                try target.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: copied)
                return count
            }
            if count == 0 { break }
            copied += Int64(count)
        }
        try target.sync()
        return copied
    }

    private static func remove(_ path: String, _ disk: SystemDisk) throws {
        guard let facts = try disk.stat(path) else { return }
        if facts.kind == .directory {
            for name in try disk.list(path) { try remove(path + "/" + name, disk) }
        }
        try disk.remove(path)
    }
}
