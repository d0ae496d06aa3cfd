internal import MartletCore

/// A group header found on disk, and where.
struct FoundHeader: Sendable {
    var header: GroupHeader
    /// Index among the scanned files.
    var file: Int
    var offset: Int
}

/// A file of the ring as an opening meets it.
struct ScannedFile: Sendable {
    enum Head: Sendable {
        /// Never used.
        case blank
        /// It starts with this group, of its present use or of an earlier one.
        case group(GroupHeader)
        /// Its first block is no header. The headers found further in, in order of their place.
        case damaged([FoundHeader])
    }

    var file: RingFile
    var head: Head

    /// The first header in it.
    func first(_ index: Int) -> FoundHeader? {
        switch head {
        case .blank: nil
        case .group(let header): FoundHeader(header: header, file: index, offset: 0)
        case .damaged(let found): found.first
        }
    }
}

/// Reads pieces of the ring's files through one window of memory, so that small groups cost no call each. For one thread.
final class RingWindow {
    private var memory: [UInt8] = []
    private var path = ""
    private var start = 0
    private var count = 0

    /// Read at once, unless more is asked for.
    static let windowBytes = 1 << 20

    /// Calls `body` with `length` bytes from `offset`; with fewer if the file ends before. `length` is at most what the file
    /// was found to hold, which bounds the memory. `aheadBytes` are read at once if it is less.
    func read<Result>(
        _ file: RingFile, at offset: Int, length: Int, aheadBytes: Int = windowBytes,
        _ body: (UnsafeRawBufferPointer) throws(LogError) -> Result
    ) throws(LogError) -> Result {
        let isInside = path == file.path && offset >= start && offset + length <= start + count
        if !isInside {
            let wanted = min(max(length, aheadBytes), max(file.bytes - offset, 0))
            if memory.count < wanted { memory = [UInt8](repeating: 0, count: wanted) }
            count = try Self.fill(&memory, count: wanted, from: file, at: offset)
            start = offset
            path = file.path
        }
        let from = offset - start
        let end = min(from + length, count)
        return try withBytes(of: memory, from..<max(from, end), body)
    }

    private static func fill(_ memory: inout [UInt8], count: Int, from file: RingFile, at offset: Int) throws(LogError) -> Int {
        var done = 0
        while done < count {
            let step = try readOnce(&memory, done..<count, file, offset + done)
            if step == 0 { break }
            done += step
        }
        return done
    }

    private static func readOnce(
        _ memory: inout [UInt8], _ range: Range<Int>, _ file: RingFile, _ offset: Int
    ) throws(LogError) -> Int {
        var outcome: Swift.Result<Int, LogError> = .success(0)
        memory.withUnsafeMutableBytes { bytes in
            do throws(IOError) {
                let target = UnsafeMutableRawBufferPointer(rebasing: bytes[range])
                outcome = .success(try file.file.read(into: target, at: Int64(offset)))
            } catch {
                outcome = .failure(LogError(error))
            }
        }
        return try outcome.get()
    }
}

func withBytes<Result>(
    of memory: [UInt8], _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Result
) throws(LogError) -> Result {
    var outcome: Swift.Result<Result, LogError>?
    memory.withUnsafeBytes { bytes in
        do throws(LogError) {
            outcome = .success(try body(UnsafeRawBufferPointer(rebasing: bytes[range])))
        } catch {
            outcome = .failure(error)
        }
    }
    return try outcome!.get()  // The closure has run.
}

extension RingWindow {
    /// The header at a block, whoever's and whenever it was written.
    func header(_ file: RingFile, at offset: Int) throws(LogError) -> GroupHeader? {
        try read(file, at: offset, length: JournalFormat.headerBytes) { bytes throws(LogError) in GroupHeader.decode(bytes) }
    }

    /// The header of the file's first block, read alone.
    func head(_ file: RingFile) throws(LogError) -> GroupHeader? {
        try read(file, at: 0, length: JournalFormat.headerBytes, aheadBytes: JournalFormat.blockBytes) {
            bytes throws(LogError) in GroupHeader.decode(bytes)
        }
    }

    /// Every group header from `offset` to the file's end, block by block.
    func headers(_ file: RingFile, index: Int, from offset: Int) throws(LogError) -> [FoundHeader] {
        var found: [FoundHeader] = []
        var offset = offset
        while offset + JournalFormat.blockBytes <= file.bytes {
            if let header = try header(file, at: offset), header.kind != .blank {
                found.append(FoundHeader(header: header, file: index, offset: offset))
            }
            offset += JournalFormat.blockBytes
        }
        return found
    }
}
