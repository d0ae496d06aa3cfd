internal import MartletColumns
internal import MartletCore

/// What ALTER TABLE did to the columns of a table's rows: with it, rows from before become what they would be now. Another name
/// does nothing to them.
enum ColumnStep: Sendable {
    case drop(Int)
    /// At the end, and every row has the same value in it.
    case add(Value, DataType)
    /// Added, and each row has its own value: rows from before cannot be told from others by it.
    case addComputed

    /// Rows as the step leaves them.
    func applied(to batch: Batch) -> Batch {
        var columns = batch.columns
        switch self {
        case .drop(let ordinal): columns.remove(at: ordinal)
        case .add(let value, let type): columns.append(Column.constant(value, type: type, count: batch.count))
        case .addComputed: break
        }
        return Batch(count: batch.count, columns: columns, weights: batch.weights)
    }
}

extension [ColumnStep] {
    /// The types of rows behind all steps; nil: the steps do not fit rows of such types, or say too little of them.
    func applied(to types: [DataType]) -> [DataType]? {
        var types = types
        for step in self {
            switch step {
            case .drop(let ordinal):
                guard types.indices.contains(ordinal) else { return nil }
                types.remove(at: ordinal)
            case .add(_, let type):
                // By its name it is written.
                guard DataType(sqlName: type.sqlName) == type else { return nil }
                types.append(type)
            case .addComputed: return nil
            }
        }
        return types
    }

    /// A varint for how many, then for each a byte (0: dropped, 1: added) and a varint, the place of what was dropped, or two runs:
    /// the name of the type of what was added, and a batch of one row with its value. None of them is computed.
    func encode(into sink: ByteSink) {
        sink.append(varint: UInt64(count))
        for step in self {
            switch step {
            case .drop(let ordinal):
                sink.append(UInt8(0))
                sink.append(varint: UInt64(ordinal))
            case .add(let value, let type):
                sink.append(UInt8(1))
                sink.append(run: [UInt8](type.sqlName.utf8))
                let row = ByteSink()
                BatchCodec.encode(Batch(count: 1, columns: [Column(type, [value])]), into: row)
                sink.append(run: [UInt8](row.bytes))
            case .addComputed: preconditionFailure("steps that are written say what rows become")
            }
        }
    }

    init(_ reader: inout ByteReader) throws(ByteError) {
        self = []
        let count = try reader.readVarUInt64()
        for _ in 0..<count {
            switch try reader.readUInt8() {
            case 0: append(.drop(Int(clamping: try reader.readVarUInt64())))
            case 1:
                let name = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
                let row = [UInt8](try reader.readRun(limit: reader.remaining))
                guard let type = DataType(sqlName: name) else { throw ByteError.badLength(offset: reader.offset, length: 1) }
                let batch = try ByteReader.over(row) { (reader) throws(ByteError) in try BatchCodec.decode(&reader, types: [type]) }
                guard batch.count == 1 else { throw ByteError.badLength(offset: reader.offset, length: Int64(batch.count)) }
                append(.add(batch.row(0)[0], type))
            case let other: throw ByteError.badLength(offset: reader.offset, length: Int64(other))
            }
        }
    }
}
