internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine

/// One file. A run without a log replaces it; one with a log keeps its length in the commits: after a crash the file is cut
/// to the length that it had durably, and what is missing is written again.
final class FileTarget: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let path: String
    private let format: RowFormat
    private let disk: any Disk
    private var file: (any DiskFile)?
    /// A pipe or a device takes rows one after the other, and cannot be cut: what was taken there is not taken back.
    private var isRegular = true
    /// Up to here the file has been taken; a write that failed may have left more.
    private(set) var length: Int64 = 0
    private var tick: UInt64 = 0
    /// The run has a log, and its promises.
    private var isDurable = false
    private var isNameDurable = false

    /// Opens nothing yet: `resume` does.
    init(_ name: String, path: String, _ format: RowFormat, disk: any Disk) {
        self.disk = disk
        self.name = name
        self.path = path
        self.format = format
    }

    /// A file that begins anew.
    init(beginning path: String, of name: String, _ format: RowFormat, disk: any Disk) throws(SQLError) {
        self.disk = disk
        self.name = name
        self.path = path
        self.format = format
        try begin()
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    private func begin() throws(SQLError) {
        do throws(IOError) {
            let opened = try disk.open(path, .replace)
            isRegular = try opened.facts().kind == .file
            file = opened
        } catch {
            throw failed(error)
        }
        length = 0
        if format.encoding == .csv, format.hasHeader { try write(format.header.bytes) }
    }

    func resume(_ start: SinkStart) throws(SQLError) -> UInt64 {
        isDurable = true
        guard let mark = start.mark else {
            try begin()
            return 0
        }
        try reopen(length: FileTarget.length(in: mark.detail) ?? 0)
        tick = mark.tick
        return mark.tick
    }

    /// Goes on with a file of at least `length` bytes, cut to it.
    func reopen(length: Int64) throws(SQLError) {
        var size: Int64 = 0
        do throws(IOError) {
            if try disk.stat(path) != nil {
                let opened = try disk.open(path, .update)
                let facts = try opened.facts()
                isRegular = facts.kind == .file
                size = facts.size
                if size >= length || !isRegular {
                    if isRegular { try opened.truncate(to: length) }
                    file = opened
                    self.length = length
                    return
                }
            }
        } catch {
            throw failed(error)
        }
        throw SQLError(
            .ioError, "sink \"\(name)\": \(path) has \(size) bytes, and had \(length) when they were last made durable",
            hint: "Give the file back, or begin the pipeline anew (--reset): its rows before this moment are not computed again.")
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(IOError) {
            if isRegular { try file?.write(bytes, at: length) } else { try file?.append(bytes) }
            length += Int64(bytes.count)
        } catch {
            throw failed(error)
        }
    }

    func endTick(_ tick: UInt64, isFollowed: Bool) { self.tick = tick }

    func sync() throws(SQLError) -> SinkMark {
        do throws(IOError) {
            try file?.sync()
            if isDurable, !isNameDurable {
                try disk.syncDirectory(FileTarget.directory(of: path))
                isNameDurable = true
            }
        } catch {
            throw failed(error)
        }
        return SinkMark(tick: tick, detail: FileTarget.detail(length: length))
    }

    func finish() throws(SQLError) { if isDurable { _ = try sync() } }

    private func failed(_ error: IOError) -> SQLError {
        SQLError(error.isOutOfSpace ? .diskFull : .ioError, "sink \"\(name)\": \(error)")
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func detail(length: Int64) -> [UInt8] { withUnsafeBytes(of: length.littleEndian) { Array($0) } }

    static func length(in detail: [UInt8]) -> Int64? {
        guard detail.count == 8 else { return nil }
        return detail.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) }
    }
}

/// A directory (a path that ends in `/`): files named by their first and last tick, a new one at 128 MiB or after a
/// minute. A file is written under a hidden name, `.part-<first tick>`, and appears, durable, as `part-<first>-<last>` when
/// it is complete. So what is visible never changes, and says itself which ticks it has.
final class DirectoryTarget: ExternalTarget {
    static let fileBytesMax: Int64 = 128 << 20
    static let fileNanosMax: Int64 = 60_000_000_000

    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let directory: String
    private let format: RowFormat
    private let clock: any Clock
    private let disk: any Disk
    /// The last tick that ended.
    private var tick: UInt64 = 0
    private var current: (file: FileTarget, first: UInt64, sinceNanos: Int64)?
    /// The run has a log, and its promises.
    private var isDurable = false

    init(_ name: String, directory: String, _ format: RowFormat, clock: any Clock, disk: any Disk) {
        self.disk = disk
        self.name = name
        self.directory = directory
        self.format = format
        self.clock = clock
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    private var suffix: String { format.encoding == .csv ? ".csv" : ".ndjson" }

    private func hidden(_ first: UInt64) -> String { "\(directory).part-\(DirectoryTarget.padded(first))\(suffix)" }

    private static func padded(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    }

    /// The last tick that a visible file's name tells; nil: the name is not one of this target's.
    private func lastTick(of entry: String) -> UInt64? {
        guard entry.hasPrefix("part-"), entry.hasSuffix(suffix) else { return nil }
        let parts = entry.dropFirst(5).dropLast(suffix.count).split(separator: "-")
        return parts.count == 2 ? UInt64(parts[1]) : nil
    }

    func begin() throws(SQLError) { try clear(keeping: nil) { $0.hasPrefix("part-") || $0.hasPrefix(".part-") } }

    func resume(_ start: SinkStart) throws(SQLError) -> UInt64 {
        isDurable = true
        guard let mark = start.mark else {
            try begin()
            return 0
        }
        var visible: UInt64 = 0
        for entry in try entries() { visible = max(visible, lastTick(of: entry) ?? 0) }
        // Its first tick and length, if a file was open when the mark was made and has not become visible since.
        if mark.tick > visible, mark.detail.count == 16, let length = FileTarget.length(in: Array(mark.detail.suffix(8))) {
            let first = mark.detail.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
            let file = FileTarget(name, path: hidden(first), format, disk: disk)
            try file.reopen(length: length)
            current = (file, first, clock.monotonicNanos())
            tick = mark.tick
        } else {
            tick = max(visible, mark.tick)
        }
        let kept = current.map { hidden($0.first) }
        try clear(keeping: kept) { $0.hasPrefix(".part-") }
        return tick
    }

    private func entries() throws(SQLError) -> [String] {
        do throws(IOError) {
            try disk.makeDirectories(directory)
            return try disk.list(directory)
        } catch {
            throw failed(error)
        }
    }

    private func clear(keeping kept: String?, _ isOurs: (String) -> Bool) throws(SQLError) {
        for entry in try entries() where isOurs(entry) && directory + entry != kept {
            do throws(IOError) { try disk.remove(directory + entry) } catch { throw failed(error) }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        if current == nil {
            let first = tick + 1
            current = (try FileTarget(beginning: hidden(first), of: name, format, disk: disk), first, clock.monotonicNanos())
        }
        try current!.file.write(bytes)
    }

    func endTick(_ tick: UInt64, isFollowed: Bool) throws(SQLError) {
        self.tick = max(tick, self.tick)
        guard let open = current else { return }
        if open.file.length >= DirectoryTarget.fileBytesMax
            || clock.monotonicNanos() - open.sinceNanos >= DirectoryTarget.fileNanosMax
        {
            try show()
        }
    }

    func sync() throws(SQLError) -> SinkMark {
        guard let open = current else { return SinkMark(tick: tick) }
        let synced = try open.file.sync()
        do throws(IOError) { try disk.syncDirectory(directory) } catch { throw failed(error) }
        return SinkMark(tick: tick, detail: withUnsafeBytes(of: open.first.littleEndian) { Array($0) } + synced.detail)
    }

    func finish() throws(SQLError) { try show() }

    private func show() throws(SQLError) {
        guard let open = current else { return }
        if isDurable { _ = try open.file.sync() }
        let visible = "\(directory)part-\(DirectoryTarget.padded(open.first))-\(DirectoryTarget.padded(tick))\(suffix)"
        do throws(IOError) {
            try disk.rename(hidden(open.first), to: visible)
            current = nil
            if isDurable { try disk.syncDirectory(directory) }
        } catch {
            throw failed(error)
        }
    }

    private func failed(_ error: IOError) -> SQLError {
        SQLError(error.isOutOfSpace ? .diskFull : .ioError, "sink \"\(name)\": \(error)")
    }
}
