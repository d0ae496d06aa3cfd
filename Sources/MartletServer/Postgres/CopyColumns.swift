internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPostgres
internal import MartletSQL

/// Rows of COPY … FROM STDIN on their way into columns, handed to the database in batches.
final class CopyColumns: WireReceiver {
    private static let rowsAtOnce = 4_096
    private static let bytesAtOnce = 4 << 20

    private let receiver: any CopyReceiver
    private let fields: [Field]
    private let isBinary: Bool
    private let context: EvaluationContext
    private var columns: [Column] = []
    private var rows = 0
    private var bytes = 0

    init(_ receiver: any CopyReceiver, isBinary: Bool, context: EvaluationContext) {
        self.receiver = receiver
        self.isBinary = isBinary
        self.context = context
        fields = receiver.fields
    }

    var columnCount: Int { fields.count }

    func row(_ row: CopyFields) throws(SQLError) {
        guard row.count == fields.count else { throw wrongCount(row.count) }
        if columns.isEmpty { columns = fields.map { Column($0.type, capacity: 256) } }
        for (index, field) in fields.enumerated() {
            let column = columns[index]
            guard let cell = row[index] else {
                column.append(.null)
                continue
            }
            bytes += cell.count
            do throws(SQLError) {
                column.append(try value(cell, field.type))
            } catch {
                throw located(error, field)
            }
        }
        rows += 1
        if rows >= CopyColumns.rowsAtOnce || bytes >= CopyColumns.bytesAtOnce { try hand() }
    }

    private func value(_ cell: UnsafeRawBufferPointer, _ type: DataType) throws(SQLError) -> Value {
        if isBinary { return try BinaryValue.read(cell, as: type) }
        switch type {
        case .bigint: if let value = CopyColumns.integer(cell) { return .bigint(value) }
        case .integer: if let value = CopyColumns.integer(cell), let exact = Int32(exactly: value) { return .integer(exact) }
        default: break
        }
        let text = try MessageReader.text(cell)
        return type == .text ? .text(text) : try Value.text(text).cast(to: type, context: context)
    }

    /// Up to 18 digits with a sign; nil where it takes a closer look.
    static func integer(_ cell: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = cell.first == UInt8(ascii: "-")
        let digits = isNegative ? UnsafeRawBufferPointer(rebasing: cell.dropFirst()) : cell
        guard digits.count >= 1, digits.count <= 18 else { return nil }
        var value: Int64 = 0
        for byte in digits {
            let digit = byte &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return isNegative ? -value : value
    }

    private func wrongCount(_ count: Int) -> SQLError {
        if isBinary { return SQLError(CopyReader.badFormat, "row field count is \(count), expected \(fields.count)") }
        return count < fields.count
            ? SQLError(CopyReader.badFormat, "missing data for column \"\(fields[count].name)\"")
            : SQLError(CopyReader.badFormat, "extra data after last expected column")
    }

    private func located(_ error: SQLError, _ field: Field) -> SQLError {
        var error = error
        if error.detail == nil { error.detail = "column \(field.name)" }
        return error
    }

    private func hand() throws(SQLError) {
        guard rows > 0 else { return }
        let batch = Batch(count: rows, columns: columns)
        columns = []
        rows = 0
        bytes = 0
        try receiver.insert(batch)
    }

    func finish() throws(SQLError) -> String {
        try hand()
        return try receiver.finish()
    }

    func fail(_ reason: String) { receiver.fail(reason) }
}
