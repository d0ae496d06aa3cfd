internal import Glibc
package import MartletColumns
package import MartletCore

/// Types, values, columns and batches as parts of a saved state.
extension StateWriter {
    package func write(_ type: DataType) {
        switch type {
        case .numeric(let precision, let scale):
            write(TypeCode.numeric)
            write(Int32(precision ?? -1))
            write(Int32(scale ?? -1))
        case .array(let element):
            write(TypeCode.array)
            write(element)
        case .structure(let fields):
            write(TypeCode.structure)
            write(UInt64(fields.count))
            for field in fields {
                write(field.name)
                write(field.type)
            }
        case .unknown: write(TypeCode.unknown)
        default: write(TypeCode.plain.firstIndex(of: type).map { UInt8($0) } ?? TypeCode.unknown)
        }
    }

    /// With its own type.
    package func write(_ value: Value) {
        write(value.type)
        if !value.isNull { write(ValueCodec.encode(value)) }
    }

    package func write(_ value: Value?) {
        write(value != nil)
        if let value { write(value) }
    }

    /// The rows of a column whose type the reader knows.
    package func write(_ column: Column) {
        write(UInt64(column.count))
        var from = 0
        let texts = ByteSink(capacity: 64)
        while from < column.count {
            let count = min(SavedColumn.runRows, column.count - from)
            write(column.validity != nil)
            if let validity = column.validity { writeRaw(UnsafeRawBufferPointer(start: validity + from, count: count)) }
            if let scales = column.scales { writeRaw(UnsafeRawBufferPointer(start: scales + from, count: count)) }
            if column.physical == .view {
                texts.clear()
                for row in from..<from + count { column.views[row].withBytes { texts.append(UnsafeRawBufferPointer($0)) } }
                write(texts.bytes)
                for row in from..<from + count { write(UInt32(truncatingIfNeeded: column.views[row].count)) }
            } else {
                let stride = column.physical.stride
                writeRaw(UnsafeRawBufferPointer(start: column.data + from * stride, count: count * stride))
            }
            from += count
        }
    }

    /// Rows with types, weights and watermarks; where they came from is not kept.
    package func write(_ batch: Batch) {
        write(UInt64(batch.columns.count))
        for column in batch.columns { write(column.type) }
        func rows(_ column: Column) -> Column { column.count == batch.count ? column : column.slice(0, batch.count) }
        for column in batch.columns { write(rows(column)) }
        for column in [batch.weights, batch.watermarks] {
            write(column != nil)
            if let column { write(rows(column)) }
        }
        write(UInt64(batch.count))
    }
}

private enum TypeCode {
    /// By position.
    static let plain: [DataType] = [
        .boolean, .smallint, .integer, .bigint, .real, .double, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval,
        .jsonb, .uuid,
    ]
    static let numeric: UInt8 = 100
    static let array: UInt8 = 101
    static let structure: UInt8 = 102
    static let unknown: UInt8 = 103
    static let depthMax = 64
}

private enum SavedColumn {
    /// Rows of a run: one validity, one run of strings.
    static let runRows = 4096
}

extension StateReader {
    package func readType() throws(StateError) -> DataType { try readType(depth: 0) }

    private func readType(depth: Int) throws(StateError) -> DataType {
        guard depth < TypeCode.depthMax else { throw error("a type within types within types") }
        let code = try read(UInt8.self)
        switch code {
        case TypeCode.numeric:
            let (precision, scale) = (try read(Int32.self), try read(Int32.self))
            return .numeric(precision: precision < 0 ? nil : Int(precision), scale: scale < 0 ? nil : Int(scale))
        case TypeCode.array: return .array(try readType(depth: depth + 1))
        case TypeCode.structure:
            var fields: [StructureField] = []
            for _ in 0..<(try readCount(max: 1 << 16)) {
                fields.append(StructureField(name: try readText(), type: try readType(depth: depth + 1)))
            }
            return .structure(fields)
        case TypeCode.unknown: return .unknown
        default:
            guard code < TypeCode.plain.count else { throw error("no type has the code \(code)") }
            return TypeCode.plain[Int(code)]
        }
    }

    package func readValue() throws(StateError) -> Value {
        let type = try readType()
        if type == .unknown { return .null }
        guard let value = ValueCodec.decode(try readBytes(), as: type) else { throw error("no value of type \(type)") }
        return value
    }

    package func readOptionalValue() throws(StateError) -> Value? { try readFlag() ? try readValue() : nil }

    package func readColumn(_ type: DataType) throws(StateError) -> Column {
        let count = try readCount(max: 1 << 40)
        let column = Column(type, capacity: min(count, SavedColumn.runRows))
        while column.count < count {
            let rows = min(SavedColumn.runRows, count - column.count)
            column.reserve(column.count + rows)
            try readRun(column, rows)
            column.count += rows
        }
        return column
    }

    private func readRun(_ column: Column, _ rows: Int) throws(StateError) {
        let from = column.count
        if try readFlag() {
            let validity = column.mutableValidity() + from
            try readRaw(into: UnsafeMutableRawBufferPointer(start: validity, count: rows))
            guard (0..<rows).allSatisfy({ validity[$0] <= 1 }) else { throw error("neither NULL nor a value") }
        }
        if let scales = column.scales {
            try readRaw(into: UnsafeMutableRawBufferPointer(start: scales + from, count: rows))
            guard (0..<rows).allSatisfy({ scales[from + $0] <= 38 || scales[from + $0] >= 253 }) else {
                throw error("a scale that no number has")
            }
        }
        guard column.physical == .view else {
            let stride = column.physical.stride
            try readRaw(into: UnsafeMutableRawBufferPointer(start: column.data + from * stride, count: rows * stride))
            guard column.physical != .bool || (0..<rows).allSatisfy({ column.bools[from + $0] <= 1 }) else {
                throw error("neither true nor false")
            }
            return
        }
        let heap = ByteHeap(capacity: try readCount(max: 1 << 32))
        try readRaw(into: UnsafeMutableRawBufferPointer(start: heap.base, count: heap.capacity))
        heap.used = heap.capacity
        var at = 0
        for row in from..<from + rows {
            let count = Int(try read(UInt32.self))
            guard count <= heap.used - at else { throw error("a string outside of its bytes") }
            column.views[row] = StringView(heap.base + at, count: count)
            at += count
        }
        if heap.used > 0 { column.heaps.append(heap) }
    }

    package func readBatch() throws(StateError) -> Batch {
        var types: [DataType] = []
        for _ in 0..<(try readCount(max: 1 << 16)) { types.append(try readType()) }
        var columns: [Column] = []
        for type in types { columns.append(try readColumn(type)) }
        let weights = try readFlag() ? try readColumn(.bigint) : nil
        let watermarks = try readFlag() ? try readColumn(.bigint) : nil
        let count = try readCount(max: Int(Int32.max))
        guard (columns + [weights, watermarks].compactMap { $0 }).allSatisfy({ $0.count == count }) else {
            throw error("columns of different lengths")
        }
        return Batch(count: count, columns: columns, weights: weights, watermarks: watermarks)
    }
}
