internal import MartletColumns
internal import MartletCore
internal import MartletPostgres

/// Rows of batches as DataRow or CopyData messages: column by column decided once, row by row written.
struct RowEncoder {
    private enum Shape { case data, copyText, copyBinary }

    private let shape: Shape
    private let formats: RowFormats
    private let copy: CopyWriter
    private let zone: TimeZone
    private var hasBegun = false

    init(_ form: RowForm, zone: TimeZone) {
        self.zone = zone
        switch form {
        case .data(let formats):
            shape = .data
            self.formats = formats
            copy = CopyWriter(CopyFormat())
        case .copy(let format):
            shape = format.kind == .binary ? .copyBinary : .copyText
            formats = .text
            copy = CopyWriter(format)
        }
    }

    /// One form serves a result's whole life; its batches come in order.
    mutating func write(_ batch: Batch, _ rows: Range<Int>, to writer: MessageWriter) {
        let cells = batch.columns.map { ColumnCells($0, zone: zone) }
        switch shape {
        case .data:
            for row in rows {
                let start = writer.begin("D")
                writer.sink.append(big: Int16(truncatingIfNeeded: cells.count))
                for (index, cell) in cells.enumerated() {
                    cell.writeSized(row, isBinary: formats.isBinary(index), to: writer.sink)
                }
                writer.end(start)
            }
        case .copyBinary:
            for row in rows {
                let start = writer.begin("d")
                if !hasBegun { CopyWriter.writeSignature(to: writer.sink) }
                hasBegun = true
                writer.sink.append(big: Int16(truncatingIfNeeded: cells.count))
                for cell in cells { cell.writeSized(row, isBinary: true, to: writer.sink) }
                writer.end(start)
            }
        case .copyText:
            for row in rows {
                let start = writer.begin("d")
                writeLine(cells, row, writer.sink)
                writer.end(start)
            }
        }
    }

    private func writeLine(_ cells: [ColumnCells], _ row: Int, _ sink: ByteSink) {
        for (index, cell) in cells.enumerated() {
            copy.divide(index, sink)
            if cell.column.isNull(row) {
                copy.writeNull(to: sink)
            } else {
                let start = sink.count
                cell.writeText(row, to: sink)
                copy.finishCell(start, isOnly: cells.count == 1, in: sink)
            }
        }
        sink.append(UInt8(ascii: "\n"))
    }
}

/// One column's values in the wire's two forms.
struct ColumnCells {
    private enum Kind { case boolean, int16, int32, int64, bytes, timestamp, timestamptz, date, numeric, other }

    let column: Column
    private let kind: Kind
    private let zone: TimeZone

    init(_ column: Column, zone: TimeZone) {
        self.column = column
        self.zone = zone
        kind =
            switch column.type {
            case .boolean: .boolean
            case .smallint: .int16
            case .integer: .int32
            case .bigint: .int64
            case .text, .unknown: .bytes
            case .timestamp: .timestamp
            case .timestamptz: .timestamptz
            case .date: .date
            case .numeric: .numeric
            case .real, .double, .bytea, .time, .interval, .jsonb, .uuid, .array, .structure: .other
            }
    }

    /// Behind its length; −1 alone for NULL.
    @inline(__always)
    func writeSized(_ row: Int, isBinary: Bool, to sink: ByteSink) {
        if column.isNull(row) { return sink.append(big: Int32(-1)) }
        sink.append(big: Int32(0))
        let start = sink.count
        if isBinary { writeBinary(row, to: sink) } else { writeText(row, to: sink) }
        sink.overwrite(big: Int32(clamping: sink.count &- start), at: start &- 4)
    }

    func writeText(_ row: Int, to sink: ByteSink) {
        switch kind {
        case .boolean: sink.append(column.bools[row] != 0 ? UInt8(ascii: "t") : UInt8(ascii: "f"))
        case .int16: sink.append(decimal: Int64(column.int16s[row]))
        case .int32: sink.append(decimal: Int64(column.int32s[row]))
        case .int64: sink.append(decimal: column.int64s[row])
        case .bytes: column.views[row].withBytes { sink.append(UnsafeRawBufferPointer($0)) }
        case .timestamp:
            sink.commit(Timestamps.writeSQL(column.int64s[row], offset: nil, into: sink.reserve(64)))
        case .timestamptz:
            let micros = column.int64s[row]
            sink.commit(Timestamps.writeSQL(micros, offset: zone.offset(at: micros), into: sink.reserve(64)))
        case .date: sink.commit(Timestamps.writeSQLDate(column.int32s[row], into: sink.reserve(64)))
        case .numeric: sink.commit(column.decimal(row).write(into: sink.reserve(64)))
        case .other: sink.append(text: column.value(at: row).text(in: zone))
        }
    }

    private func writeBinary(_ row: Int, to sink: ByteSink) {
        switch kind {
        case .boolean: sink.append(column.bools[row])
        case .int16: sink.append(big: column.int16s[row])
        case .int32: sink.append(big: column.int32s[row])
        case .int64: sink.append(big: column.int64s[row])
        case .bytes: column.views[row].withBytes { sink.append(UnsafeRawBufferPointer($0)) }
        case .timestamp, .timestamptz: sink.append(big: BinaryValue.timestamp(column.int64s[row]))
        case .date: sink.append(big: BinaryValue.date(column.int32s[row]))
        case .numeric, .other: BinaryValue.write(column.value(at: row), to: sink)
        }
    }
}
