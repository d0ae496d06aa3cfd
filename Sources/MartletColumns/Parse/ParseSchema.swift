package import MartletCore

/// How a JSON number becomes a TIMESTAMP or TIMESTAMPTZ (`timestamp.handling`).
package enum TimestampHandling: String, Sendable {
    case second, milli, micro
    /// By magnitude, so that any date between 1973 and 5138 is told apart: below 10^11 seconds, below 10^14
    /// milliseconds, else microseconds.
    case guess

    /// Microseconds since 1970; nil on overflow.
    package func micros(_ number: Int64) -> Int64? {
        let scale: Int64
        switch self {
        case .second: scale = 1_000_000
        case .milli: scale = 1000
        case .micro: scale = 1
        case .guess:
            let size = number.magnitude
            scale = size < 100_000_000_000 ? 1_000_000 : size < 100_000_000_000_000 ? 1000 : 1
        }
        let (micros, overflows) = number.multipliedReportingOverflow(by: scale)
        return overflows ? nil : micros
    }
}

/// A column wanted from the records of a source.
package struct ParseColumn: Sendable {
    /// JSON: member names from the outside in (one for a plain member). CSV: one name, that of the header.
    package var path: [String]
    package var type: DataType
    package var timestampHandling: TimestampHandling

    package init(path: [String], type: DataType, timestampHandling: TimestampHandling = .guess) {
        self.path = path
        self.type = type
        self.timestampHandling = timestampHandling
    }

    package init(_ name: String, _ type: DataType, timestampHandling: TimestampHandling = .guess) {
        self.init(path: [name], type: type, timestampHandling: timestampHandling)
    }

    /// As errors name it: "a.b".
    package var name: String { path.joined(separator: ".") }
}

/// What a parser makes of a record: only these columns; everything else in a record is checked and skipped.
package struct ParseSchema: Sendable {
    package var columns: [ParseColumn]
    package init(columns: [ParseColumn]) { self.columns = columns }

    /// Empty columns for a batch of up to `rows` rows.
    package func makeColumns(rows: Int) -> [Column] { columns.map { Column($0.type, capacity: rows) } }
}

package struct ParseLimits: Sendable {
    /// Longest record in bytes, its line end excluded.
    package var recordBytesMax: Int
    /// Deepest nesting of JSON objects and arrays; the record itself is 1.
    package var depthMax: Int

    package init(recordBytesMax: Int = 16 << 20, depthMax: Int = 128) {
        self.recordBytesMax = recordBytesMax
        self.depthMax = min(max(depthMax, 1), ParseLimits.depthLimit)
    }

    /// The parser's stack of open containers is one bit each.
    package static let depthLimit = 1024
}

/// Why a record was refused: the `reason_code` of its dead letter.
package enum RejectReason: String, Sendable {
    case invalidJSON = "invalid_json"
    case invalidCSV = "invalid_csv"
    case invalidUTF8 = "invalid_utf8"
    case tooDeep = "too_deep"
    case tooLong = "too_long"
    /// A JSON value of a kind that the column's type is not read from.
    case wrongType = "wrong_type"
    case outOfRange = "out_of_range"
    /// Text that the column's type cannot be read from.
    case invalidValue = "invalid_value"
    /// A CSV record with more or fewer fields than the header.
    case fieldCount = "field_count"
}

/// A record that did not become a row.
package struct RejectedRecord: Sendable {
    /// Where the record starts in the heap, and its length without the line end.
    package var start: Int
    package var length: Int
    /// Lines (CSV: records) before it in this call; add the call's first line number.
    package var line: Int
    /// 1-based byte within the record at which the trouble was noticed.
    package var column: Int
    /// The column of the schema or field of the record concerned, where there is one.
    package var field: String?
    package var reason: RejectReason
    /// A sentence for people: lower case, no full stop.
    package var message: String
    /// How many rows were accepted before it in the batch: where it stands in the order of the input.
    package var rowsBefore: Int

    package init(
        start: Int, length: Int, line: Int, column: Int, field: String?, reason: RejectReason, message: String,
        rowsBefore: Int
    ) {
        self.start = start
        self.length = length
        self.line = line
        self.column = column
        self.field = field
        self.reason = reason
        self.message = message
        self.rowsBefore = rowsBefore
    }
}

extension RejectedRecord {
    /// A record over the limit: of its bytes the same beginning is kept wherever it was noticed.
    static func tooLong(_ length: Int, _ limits: ParseLimits, start: Int, line: Int, rowsBefore: Int) -> RejectedRecord {
        RejectedRecord(
            start: start, length: min(length, RecordFramer.overlongBytesKept), line: line,
            column: limits.recordBytesMax + 1, field: nil, reason: .tooLong,
            message: tooLongMessage(Int64(length), limits.recordBytesMax), rowsBefore: rowsBefore)
    }

    fileprivate static func tooLongMessage(_ length: Int64, _ limit: Int) -> String {
        "the record has \(length) bytes, more than the limit of \(limit)"
    }
}

extension RecordFramer.Overlong {
    /// The record as a parser would have refused it. `start` is 0, in `head`.
    package func rejected(limit: Int, line: Int, rowsBefore: Int) -> RejectedRecord {
        RejectedRecord(
            start: 0, length: head.used, line: line, column: limit + 1, field: nil, reason: .tooLong,
            message: RejectedRecord.tooLongMessage(length, limit), rowsBefore: rowsBefore)
    }
}

/// What one call of a parser did.
package struct ParseProgress: Sendable {
    /// Where parsing stopped: the next call goes on from here.
    package var position: Int
    /// Lines passed, blank and rejected ones included (CSV: records).
    package var lines: Int
    package var rejected: [RejectedRecord]
}

/// A schema that no parser can be made for.
package struct ParseSchemaError: Error, Sendable {
    package var message: String
    package var hint: String?
}

/// A value's failure to fit its column.
struct FieldFailure: Error {
    var reason: RejectReason
    var message: String
}
