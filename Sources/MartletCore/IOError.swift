#if canImport(Glibc)
internal import Glibc
#endif

/// What failed at the edge to the operating system, sorted by what the caller can do about it.
package enum IOError: Error, Sendable, Equatable {
    /// There is nothing at the path.
    case missing(IOFailure)
    /// It is there, and may not be touched, or is of the wrong kind.
    case refused(IOFailure)
    /// The disk or the quota is full: wait for space, then repeat.
    case outOfSpace(IOFailure)
    /// Momentary: repeat.
    case transient(IOFailure)
    /// The device or the descriptor failed: stop using it.
    case broken(IOFailure)

    package init(_ operation: String, path: String, errno code: Int32) {
        let failure = IOFailure(operation: operation, path: path, code: code)
        switch code {
        case ENOENT: self = .missing(failure)
        case EACCES, EPERM, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EROFS, ELOOP, ENAMETOOLONG, ETXTBSY, EADDRINUSE, EADDRNOTAVAIL:
            self = .refused(failure)
        case ENOSPC, EDQUOT, EFBIG: self = .outOfSpace(failure)
        case EINTR, EAGAIN, ENOMEM, EMFILE, ENFILE, EBUSY: self = .transient(failure)
        default: self = .broken(failure)
        }
    }

    package var failure: IOFailure {
        switch self {
        case .missing(let failure), .refused(let failure), .outOfSpace(let failure), .transient(let failure), .broken(let failure):
            failure
        }
    }

    /// Repeating the same call may succeed without anybody doing anything.
    package var isRetriable: Bool {
        if case .transient = self { true } else { false }
    }

    package var isOutOfSpace: Bool {
        if case .outOfSpace = self { true } else { false }
    }
}

/// The call, the path and the system's reason.
package struct IOFailure: Sendable, Equatable {
    /// In words that complete "cannot …": "open", "write to".
    package var operation: String
    package var path: String
    /// The `errno`.
    package var code: Int32

    package init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// The system's text for the code, in the C locale ("No space left on device").
    package var reason: String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }
}

extension IOError: CustomStringConvertible {
    package var description: String { "cannot \(failure.operation) \(failure.path): \(failure.reason)" }
}
