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
final class BlackholeTarget: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.atLeastOnce
    private var tick: UInt64 = 0

    init(_ name: String) { self.name = name }

    func makeEncoder() -> any RowEncoder { NoEncoder() }
    func resume(_ start: SinkStart) -> UInt64 { start.mark?.tick ?? 0 }
    func write(_ bytes: UnsafeRawBufferPointer) {}
    func endTick(_ tick: UInt64, isFollowed: Bool) { self.tick = tick }
    func sync() -> SinkMark { SinkMark(tick: tick) }
    func finish() {}

    private final class NoEncoder: RowEncoder {
        func encode(_ batch: Batch, into bytes: ByteSink) {}
    }
}

/// Standard output. A reader that went away ends the run. After a crash, rows since the last mark come again.
final class StandardOutputTarget: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.atLeastOnce
    private let format: RowFormat
    private var headerIsDue: Bool
    private var tick: UInt64 = 0

    init(_ name: String, _ format: RowFormat) {
        self.name = name
        self.format = format
        headerIsDue = format.encoding == .csv && format.hasHeader
    }

    func makeEncoder() -> any RowEncoder { FormatEncoder(format) }

    func resume(_ start: SinkStart) -> UInt64 { start.mark?.tick ?? 0 }

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

    func endTick(_ tick: UInt64, isFollowed: Bool) { self.tick = tick }
    func sync() -> SinkMark { SinkMark(tick: tick) }
    func finish() {}
}

/// A relation that lands in the output directory of a run without a log: its file appears with its first row, so that a
/// run without late rows or dead letters leaves none behind. What an earlier run left is removed at the start.
final class RelationTarget: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.atLeastOnce
    private let directory: String
    private let format: RowFormat
    private var file: FileTarget?
    private var tick: UInt64 = 0

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

    func resume(_ start: SinkStart) -> UInt64 { start.mark?.tick ?? 0 }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        if file == nil {
            do throws(IOError) {
                try SystemDisk().makeDirectories(directory)
            } catch {
                throw SQLError(.ioError, "\"\(name)\": \(error)")
            }
            file = try FileTarget(beginning: path, of: name, format, disk: SystemDisk())
        }
        try file!.write(bytes)
    }

    func endTick(_ tick: UInt64, isFollowed: Bool) { self.tick = tick }
    func sync() -> SinkMark { SinkMark(tick: tick) }
    func finish() {}
}
