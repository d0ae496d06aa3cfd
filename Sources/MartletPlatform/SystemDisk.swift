internal import CMartletLinux
internal import Glibc
package import MartletCore
internal import Synchronization

/// The machine's file system. Any thread.
package struct SystemDisk: Disk {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any DiskFile {
        try openFile(path, mode)
    }

    /// As `open`, with what only a real file can do.
    package func openFile(_ path: String, _ mode: OpenMode) throws(IOError) -> SystemFile {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .createOrUpdate: O_RDWR | O_CREAT
            case .replace: O_RDWR | O_CREAT | O_TRUNC
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            case .directory: O_RDONLY | O_DIRECTORY
            }
        var descriptor = martlet_open(path, flags)
        // A pipe that is only written to cannot be opened for both by name (/dev/stdout).
        if descriptor == -EACCES || descriptor == -ENXIO, mode == .replace || mode == .update || mode == .createOrUpdate {
            let writable = martlet_open(path, flags & ~O_RDWR | O_WRONLY)
            if writable >= 0 { descriptor = writable }
        }
        guard descriptor >= 0 else { throw IOError("open", path: path, errno: -descriptor) }
        let file = SystemFile(owned: descriptor, path: path, isDirectory: mode == .directory)
        let facts = try file.facts()
        if facts.kind == .directory && mode != .directory { throw IOError("open", path: path, errno: EISDIR) }
        file.setAccess(isPositional: facts.kind == .file, size: facts.size)
        return file
    }

    package func stat(_ path: String) throws(IOError) -> FileFacts? {
        var status = Glibc.stat()
        guard fstatat(AT_FDCWD, path, &status, 0) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw IOError("look at", path: path, errno: errno)
        }
        return FileFacts(status)
    }

    package func list(_ directory: String) throws(IOError) -> [String] {
        guard let stream = opendir(directory) else { throw IOError("list", path: directory, errno: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw IOError("list", path: directory, errno: errno) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func makeDirectory(_ path: String) throws(IOError) {
        if mkdir(path, 0o777) == 0 { return }
        let code = errno
        if code == EEXIST, try stat(path)?.kind == .directory { return }
        throw IOError("create directory", path: path, errno: code)
    }

    package func rename(_ path: String, to target: String) throws(IOError) {
        guard Glibc.rename(path, target) == 0 else { throw IOError("rename", path: "\(path) to \(target)", errno: errno) }
    }

    package func remove(_ path: String) throws(IOError) {
        guard Glibc.remove(path) == 0 else { throw IOError("remove", path: path, errno: errno) }
    }
}

/// A descriptor. Regular files are read and written at offsets; everything else (pipe, terminal, socket, the standard
/// streams whatever they are) in sequence, where `sync` has nothing to promise and returns.
package final class SystemFile: DiskFile {
    private let descriptor: Int32
    /// The descriptor's number, for who must name it to the kernel while the file is open.
    var number: Int32 { descriptor }
    private let isOwned: Bool
    private let isDirectory: Bool
    package let path: String
    /// Set before anyone else sees the file.
    private let isPositional = Atomic<Bool>(false)
    /// Where the next append goes, where positional.
    private let end = Atomic<Int64>(0)
    /// How much was read, where sequential.
    private let consumed = Atomic<Int64>(0)

    fileprivate init(owned descriptor: Int32, path: String, isDirectory: Bool) {
        self.descriptor = descriptor
        self.path = path
        self.isDirectory = isDirectory
        isOwned = true
    }

    private init(standard descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
        isDirectory = false
        isOwned = false
    }

    deinit { if isOwned { close(descriptor) } }

    package static let standardInput = SystemFile(standard: 0, path: "standard input")
    package static let standardOutput = SystemFile(standard: 1, path: "standard output")
    package static let standardError = SystemFile(standard: 2, path: "standard error")

    fileprivate func setAccess(isPositional: Bool, size: Int64) {
        self.isPositional.store(isPositional, ordering: .relaxed)
        end.store(size, ordering: .relaxed)
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
        guard let start = buffer.baseAddress, buffer.count > 0 else { return 0 }
        guard isPositional.load(ordering: .relaxed) else {
            guard offset == consumed.load(ordering: .relaxed) else { throw failure("read", ESPIPE) }
            let count = try retried("read") { Glibc.read(descriptor, start, buffer.count) }
            consumed.wrappingAdd(Int64(count), ordering: .relaxed)
            return count
        }
        var done = 0
        while done < buffer.count {
            let count = try retried("read") { pread(descriptor, start + done, buffer.count - done, Int(offset) + done) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) {
        guard isPositional.load(ordering: .relaxed) else { throw failure("write at an offset of", ESPIPE) }
        var done = 0
        while let start = bytes.baseAddress, done < bytes.count {
            done += try retried("write to") {
                pwrite(descriptor, start + done, bytes.count - done, Int(offset) + done)
            }
        }
        end.max(offset + Int64(bytes.count), ordering: .relaxed)
    }

    package func append(_ bytes: UnsafeRawBufferPointer) throws(IOError) {
        if isPositional.load(ordering: .relaxed) { return try write(bytes, at: end.load(ordering: .relaxed)) }
        var done = 0
        while let start = bytes.baseAddress, done < bytes.count {
            let count = try retried("write to", waitingFor: POLLOUT) {
                Glibc.write(descriptor, start + done, bytes.count - done)
            }
            done += count
        }
    }

    package func sync() throws(IOError) {
        // Not repeated on EINTR: after any error it is unknown what was written.
        let result = isDirectory ? fsync(descriptor) : fdatasync(descriptor)
        guard result != 0 else { return }
        let code = errno
        if !isPositional.load(ordering: .relaxed) && !isDirectory && (code == EINVAL || code == EROFS) { return }
        throw failure("sync", code)
    }

    package func writeBack(from offset: Int64, count: Int) {
        guard isPositional.load(ordering: .relaxed) else { return }
        _ = martlet_write_back(descriptor, offset, Int64(count))
    }

    package func bypassCache() -> Bool {
        isPositional.load(ordering: .relaxed) && martlet_bypass_cache(descriptor) == 0
    }

    package func truncate(to size: Int64) throws(IOError) {
        _ = try retried("truncate") { Int(ftruncate(descriptor, Int(size))) }
        end.store(size, ordering: .relaxed)
    }

    package func facts() throws(IOError) -> FileFacts {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("look at", errno) }
        return FileFacts(status)
    }

    /// Whether a read would give something (or the end) within the time. For a thread that must also notice a stop.
    package func waitUntilReadable(timeoutMillis: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, timeoutMillis) != 0
    }

    private func failure(_ operation: String, _ code: Int32) -> IOError { IOError(operation, path: path, errno: code) }

    /// Repeats an interrupted call; where the descriptor is not blocking (inherited so), waits until it is ready.
    private func retried(
        _ operation: String, waitingFor events: Int32 = POLLIN, _ call: () -> Int
    ) throws(IOError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
                _ = poll(&request, 1, 1000)
            case let code: throw failure(operation, code)
            }
        }
    }
}

extension FileFacts {
    fileprivate init(_ status: stat) {
        let kind: Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            default: .other
            }
        self.init(
            kind: kind, size: Int64(status.st_size),
            identity: SplitMix64.mix(UInt64(status.st_dev)) ^ UInt64(status.st_ino),
            modifiedMicros: Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1_000)
    }
}

/// Log lines to standard error, one system call a line. Any thread: the kernel keeps writes up to 4 KiB to a pipe whole,
/// the lock keeps longer ones so.
package final class StandardErrorLog: LogSink {
    private let turn = Mutex<Void>(())

    package init() {}

    package func write(line: UnsafeRawBufferPointer) {
        turn.withLock { _ in try? SystemFile.standardError.append(line) }
    }
}
