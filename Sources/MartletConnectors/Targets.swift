internal import MartletColumns
package import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletPlatform

/// How a target's rows become bytes.
package struct RowFormat: Sendable {
    package enum Encoding: Sendable { case json, csv }
    package var encoding: Encoding
    package var names: [String]
    package var types: [DataType]
    /// Rows carry a weight, told as `"op":"insert"` or `"op":"delete"`.
    package var showsOperation: Bool
    package var delimiter: UInt8 = UInt8(ascii: ",")
    package var hasHeader = true

    /// CSV's first line.
    var header: ByteSink {
        let bytes = ByteSink()
        csvWriter.writeHeader(into: bytes)
        return bytes
    }

    fileprivate var csvWriter: CSVRowWriter {
        CSVRowWriter(names: names, types: types, delimiter: delimiter, writesOperation: showsOperation)
    }
}

/// Encodes with the columns' writers.
final class FormatEncoder: RowEncoder {
    private let json: JSONRowWriter?
    private let csv: CSVRowWriter?

    init(_ format: RowFormat) {
        switch format.encoding {
        case .json:
            json = JSONRowWriter(names: format.names, types: format.types, writesOperation: format.showsOperation)
            csv = nil
        case .csv:
            json = nil
            csv = format.csvWriter
        }
    }

    func encode(_ batch: Batch, into bytes: ByteSink) {
        json?.write(batch, into: bytes)
        csv?.write(batch, into: bytes)
    }
}

/// Counts rows and forgets them.
final class BlackholeTarget: SinkTarget {
    func makeEncoder() -> any RowEncoder { NoEncoder() }
    func write(_ bytes: UnsafeRawBufferPointer) {}
    func endTick() {}
    func finish() {}

    private final class NoEncoder: RowEncoder {
        func encode(_ batch: Batch, into bytes: ByteSink) {}
    }
}

/// Standard output. A reader that went away ends the run.
final class StandardOutputTarget: SinkTarget {
    private let name: String
    private let format: RowFormat
    private var headerIsDue: Bool

    init(_ name: String, _ format: RowFormat) {
        self.name = name
        self.format = format
        headerIsDue = format.encoding == .csv && format.hasHeader
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        if headerIsDue {
            headerIsDue = false
            try put(format.header.bytes)
        }
        try put(bytes)
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(IOError) {
            try SystemFile.standardOutput.append(bytes)
        } catch {
            throw SQLError(.ioError, "sink \"\(name)\": \(error)")
        }
    }

    func endTick() {}
    func finish() {}
}

/// One file, replaced at the start of a run.
final class FileTarget: SinkTarget {
    private let name: String
    private let path: String
    private let format: RowFormat
    private let file: SystemFile
    private var offset: Int64 = 0

    init(_ name: String, path: String, _ format: RowFormat) throws(SQLError) {
        self.name = name
        self.path = path
        self.format = format
        do throws(IOError) {
            file = try SystemDisk().openFile(path, .replace)
        } catch {
            throw SQLError(.ioError, "sink \"\(name)\": \(error)")
        }
        if format.encoding == .csv, format.hasHeader {
            try write(format.header.bytes)
        }
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(IOError) {
            try file.append(bytes)
            offset += Int64(bytes.count)
        } catch {
            throw SQLError(error.isOutOfSpace ? .diskFull : .ioError, "sink \"\(name)\": \(error)")
        }
    }

    func endTick() {}
    func finish() {}
}

/// A relation that lands in the output directory: its file appears with its first row, so that a run without late rows
/// or dead letters leaves none behind. What an earlier run left is removed at the start.
final class RelationTarget: SinkTarget {
    private let name: String
    private let directory: String
    private let format: RowFormat
    private var file: FileTarget?

    init(_ name: String, directory: String, _ format: RowFormat) throws(SQLError) {
        self.name = name
        self.directory = directory
        self.format = format
        let disk = SystemDisk()
        do throws(IOError) {
            if try disk.stat(path) != nil { try disk.remove(path) }
        } catch {
            // Another run may share the directory, and have removed it meanwhile.
            if case .missing = error { return }
            throw SQLError(.ioError, "\"\(name)\": \(error)")
        }
    }

    private var path: String { "\(directory)/\(name).ndjson" }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        if file == nil {
            do throws(IOError) {
                try SystemDisk().makeDirectories(directory)
            } catch {
                throw SQLError(.ioError, "\"\(name)\": \(error)")
            }
            file = try FileTarget(name, path: path, format)
        }
        try file!.write(bytes)
    }

    func endTick() {}
    func finish() {}
}

/// A directory (a path that ends in `/`): files named by the tick that began them, a new one at 128 MiB or after a
/// minute. A file is written under a hidden name and appears when it is complete.
final class DirectoryTarget: SinkTarget {
    static let fileBytesMax: Int64 = 128 << 20
    static let fileNanosMax: Int64 = 60_000_000_000

    private let name: String
    private let directory: String
    private let format: RowFormat
    private let clock: any Clock
    private var tick = 0
    private var current: (file: FileTarget, hidden: String, visible: String, bytes: Int64, sinceNanos: Int64)?

    init(_ name: String, directory: String, _ format: RowFormat, clock: any Clock) throws(SQLError) {
        self.name = name
        self.directory = directory
        self.format = format
        self.clock = clock
        do throws(IOError) {
            let disk = SystemDisk()
            try disk.makeDirectories(directory)
            for entry in try disk.list(directory) where entry.hasPrefix("part-") || entry.hasPrefix(".part-") {
                try disk.remove(directory + entry)
            }
        } catch {
            throw SQLError(.ioError, "sink \"\(name)\": \(error)")
        }
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        if current == nil {
            let number = String(tick)
            let padded = String(repeating: "0", count: max(0, 12 - number.count)) + number
            let suffix = format.encoding == .csv ? "csv" : "ndjson"
            let visible = "\(directory)part-\(padded).\(suffix)"
            let hidden = "\(directory).part-\(padded).\(suffix)"
            current = (try FileTarget(name, path: hidden, format), hidden, visible, 0, clock.monotonicNanos())
        }
        try current!.file.write(bytes)
        current!.bytes += Int64(bytes.count)
    }

    func endTick() throws(SQLError) {
        tick += 1
        guard let open = current else { return }
        if open.bytes >= DirectoryTarget.fileBytesMax
            || clock.monotonicNanos() - open.sinceNanos >= DirectoryTarget.fileNanosMax
        {
            try show()
        }
    }

    func finish() throws(SQLError) { try show() }

    private func show() throws(SQLError) {
        guard let open = current else { return }
        current = nil
        do throws(IOError) {
            try SystemDisk().rename(open.hidden, to: open.visible)
        } catch {
            throw SQLError(.ioError, "sink \"\(name)\": \(error)")
        }
    }
}
