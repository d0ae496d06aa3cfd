internal import MartletCore

/// The files `metadata/snapshot-<sequence>`. They appear whole or not at all: written beside, synced, renamed, and the
/// directory synced. The two newest are kept.
enum SnapshotFiles {
    private static let prefix = "snapshot-"
    private static let temporaryName = "snapshot.new"
    private static let kept = 2

    static func directory(of log: String) -> String { log + "/metadata" }

    static func name(sequence: UInt64) -> String {
        let digits = String(sequence)
        return prefix + String(repeating: "0", count: 20 - digits.count) + digits
    }

    /// The files there are, oldest first; removes what a crash left unfinished.
    static func list(directory log: String, disk: any Disk) throws(LogError) -> [String] {
        do throws(IOError) {
            let folder = directory(of: log)
            var found: [String] = []
            for name in try disk.list(folder) {
                if name == temporaryName {
                    try disk.remove(folder + "/" + name)
                } else if name.hasPrefix(prefix) && name.utf8.count == prefix.utf8.count + 20 {
                    found.append(name)
                }
            }
            return found
        } catch {
            throw LogError(error)
        }
    }

    /// Writes a snapshot and returns its file's name, when it is durable. A failed sync or rename is final; a failed
    /// write can be repeated.
    static func write(
        _ bytes: UnsafeRawBufferPointer, sequence: UInt64, directory log: String, disk: any Disk
    ) throws(LogError) -> String {
        let folder = directory(of: log)
        let name = name(sequence: sequence)
        do {
            let file = try disk.open(folder + "/" + temporaryName, .replace)
            var start = 0
            while start < bytes.count {
                let end = min(start + (1 << 20), bytes.count)
                try file.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                start = end
            }
            try finalSync { () throws(IOError) in try file.sync() }
            try disk.rename(folder + "/" + temporaryName, to: folder + "/" + name)
            try finalSync { () throws(IOError) in try disk.syncDirectory(folder) }
        } catch let error as IOError {
            throw LogError(error)
        } catch {
            throw LogError(error, place: folder)
        }
        return name
    }

    /// After a sync has failed nothing is known of what was to become durable, whatever the reason was.
    static func finalSync(_ body: () throws(IOError) -> Void) throws(LogError) {
        do throws(IOError) {
            try body()
        } catch {
            throw .fatal("\(error)")
        }
    }

    /// Removes all but the newest. What cannot be removed now is left for the next time.
    static func removeOld(_ files: inout [String], directory log: String, disk: any Disk) {
        while files.count > kept {
            do throws(IOError) {
                try disk.remove(directory(of: log) + "/" + files[0])
            } catch {
                if case .missing = error {} else { return }
            }
            files.removeFirst()
        }
    }

    static func read(_ name: String, directory log: String, disk: any Disk) throws(LogError) -> Snapshot {
        let path = directory(of: log) + "/" + name
        let chunk: ByteChunk
        do throws(IOError) {
            let file = try disk.open(path, .read)
            let size = Int(try file.facts().size)
            chunk = try ByteChunk(capacity: size) { (buffer) throws(IOError) in
                var done = 0
                while done < size {
                    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]), at: Int64(done))
                    if count == 0 { break }
                    done += count
                }
                return done
            }
        } catch {
            throw LogError(error)
        }
        return try Snapshot(decoding: chunk.bytes, place: path)
    }
}
