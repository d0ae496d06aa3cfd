internal import MartletColumns
internal import MartletCore

/// Batches as bytes, column by column: what tick records and saved states hold of rows.
///
///     batch    rows (varint), has weights (1), weights (1 byte each), columns (varint), each column
///     column   has NULLs (1), validity (1 byte each), then values:
///              fixed width: as in memory; NUMERIC: scales, then coefficients; strings: lengths (varint each), then bytes
///
/// Types are not written: the reader knows the relation.
enum BatchCodec {
    /// Rows of a batch, at most: far more than a tick makes, far fewer than would exhaust memory.
    static let rowsMax = 1 << 28

    static func encode(_ batch: Batch, into sink: ByteSink) {
        sink.append(varint: UInt64(batch.count))
        sink.append(batch.weights == nil ? 0 : 1)
        if let weights = batch.weights {
            for row in 0..<batch.count { sink.append(UInt8(bitPattern: Int8(clamping: weights.int64s[row]))) }
        }
        sink.append(varint: UInt64(batch.columns.count))
        for column in batch.columns { encode(column, batch.count, into: sink) }
    }

    private static func encode(_ column: Column, _ count: Int, into sink: ByteSink) {
        sink.append(column.validity == nil ? 0 : 1)
        if let validity = column.validity { sink.append(UnsafePointer(validity), count) }
        switch column.physical {
        case .view:
            let views = column.views
            for row in 0..<count { sink.append(varint: UInt64(views[row].count)) }
            for row in 0..<count { views[row].withBytes { sink.append(UnsafeRawBufferPointer($0)) } }
        case .decimal:
            if let scales = column.scales { sink.append(UnsafePointer(scales), count) }
            sink.append(UnsafeRawBufferPointer(start: column.data, count: count * column.physical.stride))
        case .bool, .int16, .int32, .int64, .float, .double, .interval, .uuid:
            sink.append(UnsafeRawBufferPointer(start: column.data, count: count * column.physical.stride))
        }
    }

    static func decode(_ reader: inout ByteReader, types: [DataType]) throws(ByteError) -> Batch {
        let count = try reader.readVarUInt64()
        // Every row has a byte at least in each column, or there is no column.
        guard count <= UInt64(rowsMax), types.isEmpty || count <= UInt64(reader.remaining) else {
            throw ByteError.badLength(offset: reader.offset, length: Int64(clamping: count))
        }
        let rows = Int(count)
        let hasWeights = try reader.readUInt8() != 0
        var weights: Column?
        if hasWeights {
            let signs = Column(.bigint, capacity: rows)
            for _ in 0..<rows { signs.append(.bigint(Int64(Int8(bitPattern: try reader.readUInt8())))) }
            weights = signs
        }
        let width = try reader.readVarUInt64()
        guard width == UInt64(types.count) else { throw ByteError.badLength(offset: reader.offset, length: Int64(clamping: width)) }
        var columns: [Column] = []
        for type in types { columns.append(try decode(&reader, type, rows)) }
        return Batch(count: rows, columns: columns, weights: weights)
    }

    private static func decode(_ reader: inout ByteReader, _ type: DataType, _ count: Int) throws(ByteError) -> Column {
        let column = Column(type, capacity: count)
        let hasNulls = try reader.readUInt8() != 0
        if hasNulls {
            let bytes = try reader.read(count)
            let validity = column.mutableValidity()
            for row in 0..<count { validity[row] = bytes[row] == 0 ? 0 : 1 }
        }
        switch column.physical {
        case .view:
            var lengths: [Int] = []
            lengths.reserveCapacity(count)
            for _ in 0..<count { lengths.append(Int(clamping: try reader.readVarUInt64())) }
            for row in 0..<count {
                let bytes = try reader.read(lengths[row]).assumingMemoryBound(to: UInt8.self)
                if type.isNested, !column.isNull(row), ValueCodec.decode(bytes, as: type) == nil {
                    throw ByteError.badLength(offset: reader.offset, length: Int64(bytes.count))
                }
                column.views[row] = column.store(bytes)
            }
        case .decimal:
            let scales = try reader.read(count)
            if let own = column.scales { for row in 0..<count { own[row] = scales[row] } }
            fill(column, try reader.read(count * column.physical.stride))
        case .bool, .int16, .int32, .int64, .float, .double, .interval, .uuid:
            fill(column, try reader.read(count * column.physical.stride))
        }
        column.count = count
        return column
    }

    private static func fill(_ column: Column, _ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress { column.data.copyMemory(from: start, byteCount: bytes.count) }
    }
}

extension ByteReader {
    /// Reads an array's bytes.
    static func over<Result>(
        _ bytes: [UInt8], _ body: (inout ByteReader) throws(ByteError) -> Result
    ) throws(ByteError) -> Result {
        let result: Swift.Result<Result, ByteError> = bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            do throws(ByteError) {
                return .success(try body(&reader))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
