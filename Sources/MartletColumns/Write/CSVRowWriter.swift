package import MartletCore

/// Rows as CSV (RFC 4180, lines ending in a line feed): NULL is an empty field, the empty string is `""`, a field is
/// quoted where it must be. Values in PostgreSQL's text forms; what `CSVRowParser` reads back.
package final class CSVRowWriter {
    private let names: [String]
    private let kinds: [ValueKind]
    private let delimiter: UInt8
    private let writesOperation: Bool

    /// `writesOperation`: a last field `op` says `insert` or `delete` by the row's weight.
    package init(
        names: [String], types: [DataType], delimiter: UInt8 = UInt8(ascii: ","), writesOperation: Bool = false
    ) {
        precondition(names.count == types.count, "a name for each type")
        self.names = names + (writesOperation ? ["op"] : [])
        kinds = types.map { ValueKind($0) }
        self.delimiter = delimiter
        self.writesOperation = writesOperation
    }

    package func writeHeader(into sink: ByteSink) {
        for (index, name) in names.enumerated() {
            if index > 0 { sink.append(delimiter) }
            Array(name.utf8).withUnsafeBufferPointer { append($0, sink) }
        }
        sink.append(Ascii.lineFeed)
    }

    /// Appends the rows of `batch` to `sink`: those that `selection` names in its order, or all.
    package func write(_ batch: Batch, selection: Selection? = nil, into sink: ByteSink) {
        let count = selection?.count ?? batch.count
        for at in 0..<count {
            let row = selection.map { Int($0.indexes[at]) } ?? at
            for index in kinds.indices {
                if index > 0 { sink.append(delimiter) }
                writeField(batch.columns[index], kinds[index], row, sink)
            }
            if writesOperation {
                if !kinds.isEmpty { sink.append(delimiter) }
                let isInsert = batch.weights.map { $0.int64s[row] >= 0 } ?? true
                sink.append(isInsert ? "insert" : "delete")
            }
            sink.append(Ascii.lineFeed)
        }
    }

    @inline(__always)
    private func writeField(_ column: Column, _ kind: ValueKind, _ row: Int, _ sink: ByteSink) {
        if column.isNull(row) { return }
        let target = sink.reserve(ValueText.bytesMax)
        let count: Int
        switch kind {
        case .bigint: count = writeInteger(column.int64s[row], target)
        case .integer: count = writeInteger(Int64(column.int32s[row]), target)
        case .smallint: count = writeInteger(Int64(column.int16s[row]), target)
        case .boolean: count = ValueText.write(column.bools[row] != 0, target)
        case .double: count = FloatText.write(column.doubles[row], into: target)
        case .real: count = FloatText.write(column.floats[row], into: target)
        case .numeric, .limitedNumeric:
            let value = column.decimal(row)
            count = value.isSpecial ? value.write(into: target) : ValueText.write(value, target)
        case .timestamp: count = Timestamps.writeSQL(column.int64s[row], offset: nil, into: target)
        case .timestamptz: count = Timestamps.writeSQL(column.int64s[row], offset: 0, into: target)
        case .date: count = Timestamps.writeSQLDate(column.int32s[row], into: target)
        case .time: count = Timestamps.writeTime(column.int64s[row], into: target)
        case .uuid: count = ValueText.write(column.uuids[row].text, target)
        case .text, .jsonb:
            column.views[row].withBytes { append($0, sink) }
            return
        case .bytea, .interval, .nested:
            Array(column.value(at: row).text.utf8).withUnsafeBufferPointer { append($0, sink) }
            return
        }
        sink.commit(count)
    }

    /// A field of text, in quotes where it is empty or holds what would end or open it, or a line would seem blank, or it
    /// begins as a byte order mark does, which readers drop at the start of a file.
    private func append(_ bytes: UnsafeBufferPointer<UInt8>, _ sink: ByteSink) {
        let needsQuotes =
            bytes.isEmpty || bytes[0] == 0xEF
            || bytes.contains {
                $0 == delimiter || $0 == Ascii.quote || $0 == Ascii.lineFeed || $0 == Ascii.carriageReturn
            }
        guard needsQuotes else { return sink.append(UnsafeRawBufferPointer(bytes)) }
        let target = sink.reserve(bytes.count * 2 + 2)
        var at = 1
        target[0] = Ascii.quote
        for byte in bytes {
            target[at] = byte
            at += 1
            if byte == Ascii.quote {
                target[at] = byte
                at += 1
            }
        }
        target[at] = Ascii.quote
        sink.commit(at + 1)
    }
}
