internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// The parser of a source's encoding.
enum RecordParser {
    case json(JSONRowParser)
    case csv(CSVRowParser, delimiter: UInt8)

    init(_ definition: SourceDefinition, schema: ParseSchema, limits: ParseLimits) throws(SQLError) {
        let fields = definition.columns.filter { $0.role == .field }.map(\.name)
        try self.init(definition, schema: schema, limits: limits, header: definition.encode.hasHeader ? nil : fields)
    }

    /// For records that come one by one, as from a topic: the fields of CSV are the declared ones, in their order.
    init(headless definition: SourceDefinition, schema: ParseSchema, limits: ParseLimits) throws(SQLError) {
        let fields = definition.columns.filter { $0.role == .field }.map(\.name)
        try self.init(definition, schema: schema, limits: limits, header: fields)
    }

    /// - Parameter header: the names of a CSV record's fields, where the input does not begin with them.
    init(
        _ definition: SourceDefinition, schema: ParseSchema, limits: ParseLimits, header: [String]?
    ) throws(SQLError) {
        do throws(ParseSchemaError) {
            switch definition.encode.encoding {
            case .json:
                self = .json(try JSONRowParser(schema: schema, limits: limits))
                return
            case .csv:
                let options = CSVOptions(
                    delimiter: definition.encode.delimiter, hasHeader: header == nil, fieldNames: header ?? [])
                self = .csv(
                    try CSVRowParser(schema: schema, options: options, limits: limits), delimiter: options.delimiter)
                return
            case .bytes, .avro, .protobuf:
                break
            }
        } catch {
            throw RecordParser.failure(error, definition.name)
        }
        throw SQLError(
            .featureNotSupported,
            "source \"\(definition.name)\": ENCODE \(definition.encode.encoding.rawValue.uppercased()) is not supported yet",
            hint: "Use ENCODE JSON or CSV.")
    }

    private static func failure(_ error: ParseSchemaError, _ place: String) -> SQLError {
        SQLError(.invalidTableDefinition, "\(place): \(error.message)", hint: error.hint)
    }

    /// A CSV parser's names of fields, once it knows them; JSON: none.
    var fieldNames: [String] {
        switch self {
        case .json: []
        case .csv(let parser, _): parser.fieldNames
        }
    }

    var framing: RecordFramer.Format {
        switch self {
        case .json: .lines
        case .csv(_, let delimiter): .csv(delimiter: delimiter)
        }
    }

    /// What a record without any content is refused as.
    var emptyReason: RejectReason {
        switch self {
        case .json: .invalidJSON
        case .csv: .invalidCSV
        }
    }

    /// Makes a record that came whole fit for a parser that reads line by line. JSON: line feeds between tokens become
    /// blanks; one within a string, which JSON forbids, becomes another control character, which JSON forbids as well.
    /// CSV: nothing, a quoted field may hold line feeds.
    func joinLines(_ record: UnsafeMutableBufferPointer<UInt8>) {
        guard case .json = self else { return }
        var isInString = false
        var at = 0
        while at < record.count {
            switch record[at] {
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "\\") where isInString: at += 1
            case UInt8(ascii: "\n"): record[at] = isInString ? 1 : UInt8(ascii: " ")
            default: break
            }
            at += 1
        }
        // A line feed behind a backslash was stepped over.
        for at in record.indices where record[at] == UInt8(ascii: "\n") { record[at] = 1 }
    }

    /// A parser for other columns of records that this one has read: it knows the header that this one found.
    func again(_ definition: SourceDefinition, schema: ParseSchema, limits: ParseLimits) throws(SQLError) -> RecordParser {
        switch self {
        case .json: try RecordParser(definition, schema: schema, limits: limits)
        case .csv(let parser, _): try RecordParser(definition, schema: schema, limits: limits, header: parser.fieldNames)
        }
    }

    func parse(
        _ heap: ByteHeap, from start: Int, to end: Int, rowsMax: Int, firstOffset: Int64, into columns: [Column],
        origins: OriginBlock, place: String
    ) throws(SQLError) -> ParseProgress {
        switch self {
        case .json(let parser):
            return parser.parse(
                heap, from: start, to: end, rowsMax: rowsMax, firstOffset: firstOffset, into: columns, origins: origins)
        case .csv(let parser, _):
            do throws(ParseSchemaError) {
                return try parser.parse(
                    heap, from: start, to: end, rowsMax: rowsMax, firstOffset: firstOffset, into: columns,
                    origins: origins)
            } catch {
                throw RecordParser.failure(error, place)
            }
        }
    }
}
