internal import MartletCore
internal import Synchronization

/// The directory of a ring: names, and the making of files.
///
/// A file is made as `ring-N.new`, filled with zeros, synced, renamed to `ring-N`, and the directory synced, before a group
/// goes into it. So a file in which there is a group has a durable name and durable blocks; `.new` is waste, and a file
/// without groups is proven by renaming it once more.
final class RingDirectory: Sendable {
    enum CreationError: Error {
        /// There is no space; nothing is left behind that counts.
        case survivable(IOError)
        /// Not to be repeated.
        case broken(IOError)

        var cause: IOError {
            switch self {
            case .survivable(let error), .broken(let error): error
            }
        }
    }

    let path: String
    let disk: any Disk
    private let options: JournalOptions
    private let identity: JournalIdentity
    private let nextNumber: Atomic<Int>

    /// `nextNumber` is above that of every file there.
    init(path: String, disk: any Disk, options: JournalOptions, identity: JournalIdentity, nextNumber: Int) {
        self.path = path
        self.disk = disk
        self.options = options
        self.identity = identity
        self.nextNumber = Atomic(nextNumber)
    }

    private static let prefix = "ring-"
    private static let unfinished = ".new"

    static func isUnfinished(_ name: String) -> Bool { name.hasPrefix(prefix) && name.hasSuffix(unfinished) }

    /// The number of a file that belongs to the ring; nil for any other name.
    static func number(of name: String) -> Int? {
        guard name.hasPrefix(prefix), let number = Int(name.dropFirst(prefix.count)), number > 0, self.name(number) == name else {
            return nil
        }
        return number
    }

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return prefix + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    private func takePath() -> (number: Int, path: String) {
        let number = nextNumber.wrappingAdd(1, ordering: .relaxed).oldValue
        return (number, path + "/" + Self.name(number))
    }

    /// A new file of zeros, with a durable name, that starts with the blank header. One thread at a time. With a clock it
    /// rests between pieces, so that who syncs at the same time waits for one piece at a time.
    func create(restingBy clock: (any Clock)? = nil) throws(CreationError) -> RingFile {
        let (number, target) = takePath()
        let temporary = target + Self.unfinished
        let file: any DiskFile
        do throws(IOError) {
            file = try disk.open(temporary, .replace)
        } catch {
            throw Self.judge(error)
        }
        do throws(CreationError) {
            try fill(file, restingBy: clock)
            do throws(IOError) {
                try disk.rename(temporary, to: target)
            } catch {
                throw Self.judge(error)
            }
            do throws(IOError) {
                try disk.syncDirectory(path)
            } catch {
                throw CreationError.broken(error)
            }
        } catch {
            // Gives back the space; if that fails, the next opening does.
            try? disk.remove(temporary)
            throw error
        }
        return RingFile(number: number, path: target, file: file, bytes: options.fileBytes)
    }

    private func fill(_ file: any DiskFile, restingBy clock: (any Clock)?) throws(CreationError) {
        let zeros = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(JournalFormat.padded(options.zeroPieceBytes), options.fileBytes), alignment: JournalFormat.blockBytes)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        var header = GroupHeader(kind: .blank, identity: identity)
        header.encode(into: zeros, body: UnsafeRawBufferPointer(start: nil, count: 0))
        var offset = 0
        while offset < options.fileBytes {
            let start = clock?.monotonicNanos() ?? 0
            let piece = UnsafeRawBufferPointer(rebasing: zeros[..<min(zeros.count, options.fileBytes - offset)])
            do throws(IOError) {
                try file.write(piece, at: Int64(offset))
            } catch {
                throw Self.judge(error)
            }
            do throws(IOError) {
                try file.sync()
            } catch {
                throw .broken(error)
            }
            if offset == 0 { zeros.initializeMemory(as: UInt8.self, repeating: 0) }
            offset += piece.count
            // A third of the disk's time at the most.
            if let clock { clock.sleep(nanos: 2 &* (clock.monotonicNanos() &- start)) }
        }
    }

    private static func judge(_ error: IOError) -> CreationError {
        error.isOutOfSpace || error.isRetriable ? .survivable(error) : .broken(error)
    }

    /// Gives a file without groups a new name: the old one may never have become durable. The caller syncs the directory.
    func rename(_ file: RingFile) throws(IOError) -> RingFile {
        let (number, target) = takePath()
        try disk.rename(file.path, to: target)
        return RingFile(number: number, path: target, file: file.file, bytes: file.bytes)
    }

    /// Makes a file blank again whose first group was never finished.
    func blank(_ file: RingFile) throws(IOError) {
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalFormat.blockBytes, alignment: JournalFormat.blockBytes)
        defer { block.deallocate() }
        block.initializeMemory(as: UInt8.self, repeating: 0)
        var header = GroupHeader(kind: .blank, identity: identity)
        header.encode(into: block, body: UnsafeRawBufferPointer(start: nil, count: 0))
        try file.file.write(UnsafeRawBufferPointer(block), at: 0)
        try file.file.sync()
    }
}
