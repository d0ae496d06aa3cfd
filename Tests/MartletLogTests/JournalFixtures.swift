import MartletCore
import MartletLog
import MartletTestKit
import Synchronization

/// A disk that keeps everything it is told, as cheap as can be: for tests that open the same few kilobytes with one bit
/// changed, a hundred thousand times.
final class MemoryDisk: Disk {
    private final class File: DiskFile {
        let disk: MemoryDisk
        let path: String
        let identity: UInt64

        init(disk: MemoryDisk, path: String, identity: UInt64) {
            self.disk = disk
            self.path = path
            self.identity = identity
        }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
            disk.files.withLock { files in
                guard let bytes = files[path], offset < bytes.count else { return 0 }
                let count = min(buffer.count, bytes.count - Int(offset))
                bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(count))) }
                return count
            }
        }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) {
            disk.files.withLock { files in
                let end = Int(offset) + bytes.count
                if files[path, default: []].count < end {
                    files[path, default: []] += [UInt8](repeating: 0, count: end - files[path, default: []].count)
                }
                files[path]?.withUnsafeMutableBytes {
                    UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)..<end]).copyMemory(from: bytes)
                }
            }
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws(IOError) { try write(bytes, at: facts().size) }
        func sync() throws(IOError) {}
        func truncate(to size: Int64) throws(IOError) { disk.files.withLock { $0[path] = Array($0[path, default: []].prefix(Int(size))) } }

        func facts() throws(IOError) -> FileFacts {
            let size = disk.files.withLock { $0[path]?.count ?? 0 }
            return FileFacts(kind: .file, size: Int64(size), identity: identity, modifiedMicros: 0)
        }
    }

    let files: Mutex<[String: [UInt8]]>

    init(_ files: [String: [UInt8]]) { self.files = Mutex(files) }

    func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any DiskFile {
        if mode == .replace { files.withLock { $0[path] = [] } }
        let identity = UInt64(crc32c(Array(path.utf8)))
        return File(disk: self, path: path, identity: identity)
    }

    func stat(_ path: String) throws(IOError) -> FileFacts? {
        FileFacts(kind: .directory, size: 0, identity: 1, modifiedMicros: 0)
    }

    func list(_ directory: String) throws(IOError) -> [String] {
        files.withLock { files in files.keys.map { String($0.dropFirst(directory.utf8.count + 1)) }.sorted() }
    }

    func makeDirectory(_ path: String) throws(IOError) {}

    func rename(_ path: String, to target: String) throws(IOError) {
        files.withLock { files in
            files[target] = files[path]
            files[path] = nil
        }
    }

    func remove(_ path: String) throws(IOError) { files.withLock { $0[path] = nil } }
}

private func crc32c(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { MartletCore.crc32c($0) } }

/// What an opening handed over.
struct Opened {
    var journal: Journal
    var recovery: JournalRecovery
    var records: [UInt64: [UInt8]] = [:]
}

enum JournalFixture {
    static let directory = "journal"
    /// Three files of four blocks and more, groups of two blocks and more.
    static let small = JournalOptions(
        fileBytes: 16 << 10, bytesMin: 48 << 10, bytesMax: 48 << 10, groupBytesMax: 8 << 10, queuedBytesMax: 64 << 10,
        recordBytesMax: 64 << 10, zeroPieceBytes: 16 << 10)

    /// Six files of sixteen blocks.
    static let medium = JournalOptions(
        fileBytes: 64 << 10, bytesMin: 384 << 10, bytesMax: 384 << 10, groupBytesMax: 8 << 10, queuedBytesMax: 64 << 10,
        recordBytesMax: 64 << 10, zeroPieceBytes: 32 << 10)

    static func open(
        _ disk: any Disk, _ options: JournalOptions = small, clock: any Clock = SimulatedClock(), after: UInt64 = 0
    ) throws(LogError) -> Opened {
        var records: [UInt64: [UInt8]] = [:]
        let (journal, recovery) = try Journal.open(
            directory: directory, disk: disk, clock: clock, entropy: SeededEntropy(seed: 7), options: options, after: after
        ) { sequence, payload in records[sequence] = [UInt8](payload) }
        return Opened(journal: journal, recovery: recovery, records: records)
    }

    /// A directory's files.
    static func image(_ disk: any Disk) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in try disk.list(directory) {
            let path = directory + "/" + name
            let file = try disk.open(path, .read)
            var bytes = [UInt8](repeating: 0, count: Int(try file.facts().size))
            _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
            files[path] = bytes
        }
        return files
    }

    /// Recognisable, and different for every number and length.
    static func payload(_ number: Int, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 &* 7) }
    }
}

extension Journal {
    func add(_ bytes: [UInt8]) -> UInt64? { bytes.withUnsafeBytes { append([$0]) } }
    func add(_ bytes: [UInt8], to chain: JournalChain) -> Bool { bytes.withUnsafeBytes { append([$0], to: chain) } }
    func end(_ chain: JournalChain, _ bytes: [UInt8]) -> UInt64? { bytes.withUnsafeBytes { endChain(chain, [$0]) } }

    /// Writes until nothing is queued.
    func writeAll() throws(LogError) {
        while try writeGroup() != nil {}
    }
}
