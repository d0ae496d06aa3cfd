internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine

/// How rows become records of a topic.
struct TopicFormat {
    var row: RowFormat
    /// Ordinals of the columns that make the key, a JSON object; none: records have no key.
    var key: [Int]
    var kind: Kind
    /// Deletions are left out.
    var ignoresDeletes: Bool

    enum Kind {
        /// A record a row.
        case rows
        /// FORMAT UPSERT: a deletion is a tombstone under the key, and of the changes of a tick only a key's last counts.
        case upsert
        /// FORMAT DEBEZIUM: a change event a key and tick, with the row before and after; a tombstone behind a deletion.
        case debezium
    }
}

/// Encodes rows as frames: a kind (`insert`, `delete`), the key's and the value's length, key, value.
///
///     kind u8 · key length u32 · value length u32 · key · value      (native order: it stays in the process)
final class TopicEncoder: RowEncoder {
    static let headBytes = 9
    static let insert: UInt8 = 1
    static let delete: UInt8 = 0

    private let format: TopicFormat
    private let values: FormatEncoder
    private let keys: JSONRowWriter?
    private let valueLines = ByteSink()
    private let keyLines = ByteSink()

    init(_ format: TopicFormat) {
        self.format = format
        values = FormatEncoder(format.row)
        keys =
            format.key.isEmpty
            ? nil
            : JSONRowWriter(names: format.key.map { format.row.names[$0] }, types: format.key.map { format.row.types[$0] })
    }

    func encode(_ batch: Batch, into bytes: ByteSink) {
        valueLines.clear()
        keyLines.clear()
        values.encode(batch, into: valueLines)
        keys?.write(Batch(count: batch.count, columns: format.key.map { batch.columns[$0] }), into: keyLines)
        var value = valueLines.bytes[...]
        var key = keyLines.bytes[...]
        for row in 0..<batch.count {
            let valueLine = TopicEncoder.line(&value, isLast: row == batch.count - 1)
            let keyLine = keys == nil ? nil : TopicEncoder.line(&key, isLast: row == batch.count - 1)
            let isDeletion = batch.weights.map { $0.int64s[row] < 0 } ?? false
            if isDeletion && format.ignoresDeletes { continue }
            let isTombstone = isDeletion && format.kind == .upsert
            let head = UnsafeMutableRawPointer(bytes.reserve(TopicEncoder.headBytes))
            head.storeBytes(of: isDeletion ? TopicEncoder.delete : TopicEncoder.insert, as: UInt8.self)
            head.storeBytes(of: UInt32(keyLine?.count ?? 0), toByteOffset: 1, as: UInt32.self)
            head.storeBytes(of: UInt32(isTombstone ? 0 : valueLine.count), toByteOffset: 5, as: UInt32.self)
            bytes.commit(TopicEncoder.headBytes)
            if let keyLine { bytes.append(UnsafeRawBufferPointer(rebasing: keyLine)) }
            if !isTombstone { bytes.append(UnsafeRawBufferPointer(rebasing: valueLine)) }
        }
    }

    /// The next row's bytes without the line feed. JSON has no other line feed; the last row's end is the end, so that a
    /// CSV row of a batch of one may hold them.
    private static func line(_ rest: inout Slice<UnsafeRawBufferPointer>, isLast: Bool) -> Slice<UnsafeRawBufferPointer> {
        let end = isLast ? rest.endIndex - 1 : rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex - 1
        defer { rest = rest[(end + 1)...] }
        return rest[..<end]
    }
}
