internal import Glibc
internal import MartletCore

/// A data directory that belongs to another process.
package struct DataDirectoryError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

/// Ownership of a data directory: the kernel's lock on its file `LOCK`, in which the owner's process id stands for people
/// and for the one who is refused. The kernel lets go of the lock when the process ends, however it ends, so a `LOCK` left
/// behind means nothing.
package struct DataDirectoryLock: ~Copyable {
    private let descriptor: Int32

    /// Makes the directory if it is missing (not its parents), and takes it.
    package init(_ directory: String) throws(DataDirectoryError) {
        if mkdir(directory, 0o777) != 0, errno != EEXIST {
            throw DataDirectoryError(message: "cannot make the data directory \(directory): \(DataDirectoryLock.reason)")
        }
        let path = directory + "/LOCK"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw DataDirectoryError(message: "cannot open \(path): \(DataDirectoryLock.reason)")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let owner = DataDirectoryLock.owner(descriptor)
            close(descriptor)
            guard code == EWOULDBLOCK else {
                throw DataDirectoryError(message: "cannot lock \(path): \(String(cString: strerror(code)))")
            }
            throw DataDirectoryError(
                message: "the data directory \(directory) is in use by process \(owner.isEmpty ? "(unknown)" : owner)")
        }
        let text = Array("\(getpid())\n".utf8)
        // For people only: the lock holds without it.
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    private static func owner(_ descriptor: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 24)
        let count = pread(descriptor, &text, text.count, 0)
        return String(decoding: text.prefix(max(count, 0)).prefix { (48...57).contains($0) }, as: UTF8.self)
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
