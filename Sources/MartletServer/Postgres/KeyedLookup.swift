internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPostgres

/// A session's read of one row by its key, from the bytes of Bind to those of DataRow: nothing is made for it but what is sent.
final class KeyedLookup {
    let read: KeyedRead
    private let zone: TimeZone
    private let parameters: [Int]
    /// The values that are looked for; overwritten by each read.
    private let key: [Column]

    init(_ read: KeyedRead, zone: TimeZone) {
        self.read = read
        self.zone = zone
        parameters = read.keyParameters
        key = read.makeKey()
    }

    /// Rows written, 1 or 0; nil: none was, and the statement is to be carried out with all care.
    func write(_ bind: QuickBind, _ formats: RowFormats, to writer: MessageWriter) -> Int? {
        guard bind.count == parameters.count else { return nil }
        let isTaken = bind.parametersSatisfy { index, bytes, format in
            guard let bytes, let part = parameters.firstIndex(of: index) else { return false }
            return KeyedLookup.put(bytes, format, into: key[part])
        }
        guard isTaken else { return nil }
        let seen = read.see(key) { columns, ordinals, row in
            let start = writer.begin("D")
            writer.sink.append(big: Int16(truncatingIfNeeded: ordinals.count))
            for (index, ordinal) in ordinals.enumerated() {
                ColumnCells(columns[ordinal], zone: zone).writeSized(row, isBinary: formats.isBinary(index), to: writer.sink)
            }
            writer.end(start)
        }
        switch seen {
        case .row: return 1
        case .nothing: return 0
        case .stale: return nil
        }
    }

    /// A parameter as the value of a key; false: it is of another kind, or no such value.
    private static func put(_ bytes: UnsafeRawBufferPointer, _ format: Int16, into column: Column) -> Bool {
        switch (column.type.withoutModifiers, format) {
        case (.bigint, 0):
            guard let value = CopyColumns.integer(bytes) else { return false }
            column.int64s[0] = value
        case (.integer, 0):
            guard let value = CopyColumns.integer(bytes).flatMap({ Int32(exactly: $0) }) else { return false }
            column.int32s[0] = value
        case (.bigint, 1):
            guard bytes.count == 8 else { return false }
            column.int64s[0] = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        case (.integer, 1):
            guard bytes.count == 4 else { return false }
            column.int32s[0] = Int32(bigEndian: bytes.loadUnaligned(as: Int32.self))
        case (.text, 0), (.text, 1):
            // Of ASCII it is certain that it is text. The view is of the frame, which outlives the read.
            guard bytes.allSatisfy({ $0 > 0 && $0 < 0x80 }) else { return false }
            let chars = bytes.bindMemory(to: UInt8.self)
            column.views[0] = chars.baseAddress.map { StringView($0, count: chars.count) } ?? .empty
        default: return false
        }
        return true
    }
}
