internal import MartletCore
internal import MartletPlatform

/// The bytes of one path, in order: a file, a pipe, or standard input (`-`). With `follows`, the end of a file is only
/// where it ends now: it may grow, be truncated, or be replaced by another of the same name (rotation), whose bytes
/// then follow the last of the old one.
final class FileInput {
    enum Outcome: Equatable {
        case bytes(Int)
        /// Nothing there now.
        case idle
        /// Nothing there, nor will there be.
        case ended
        /// The file was replaced or truncated: the next bytes begin another one.
        case restarted
    }

    /// As messages name it.
    let path: String
    private(set) var bytesRead: Int64 = 0
    private let follows: Bool
    private var file: SystemFile
    private let isRegular: Bool
    private var identity: UInt64
    private var position: Int64 = 0
    /// Bytes of earlier files of the name.
    private(set) var earlierBytes: Int64 = 0

    init(_ path: String, follows: Bool) throws(IOError) {
        self.follows = follows
        self.path = path == "-" ? "standard input" : path
        file = path == "-" ? SystemFile.standardInput : try SystemDisk().openFile(path, .read)
        let facts = try file.facts()
        isRegular = facts.kind == .file && path != "-"
        identity = facts.identity
    }

    /// The size now, where it is known.
    var totalBytes: Int64? {
        isRegular ? try? file.facts().size : nil
    }

    /// Whether what was read can be read again.
    var isRepeatable: Bool { isRegular }

    /// Goes on at byte `offset` of the file, of `earlier` bytes of files before it.
    func seek(to offset: Int64, earlier: Int64) {
        position = offset
        earlierBytes = earlier
        bytesRead = earlier + offset
    }

    /// Where the next read starts.
    var offset: Int64 { position }

    /// Fills `buffer` as far as there is data; waits for no pipe.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(IOError) -> Outcome {
        if !isRegular, !file.waitUntilReadable(timeoutMillis: 0) { return .idle }
        let got = try file.read(into: buffer, at: position)
        if got == 0 { return follows && isRegular ? try lookAgain() : .ended }
        position += Int64(got)
        bytesRead += Int64(got)
        return .bytes(got)
    }

    /// At the end of a followed file: has it been truncated, or has another taken its name?
    private func lookAgain() throws(IOError) -> Outcome {
        guard let facts = try SystemDisk().stat(path) else { return .idle }
        if facts.identity != identity {
            file = try SystemDisk().openFile(path, .read)
            identity = facts.identity
            earlierBytes += position
            position = 0
            return .restarted
        }
        if facts.size < position {
            earlierBytes += position
            position = 0
            return .restarted
        }
        return .idle
    }
}
