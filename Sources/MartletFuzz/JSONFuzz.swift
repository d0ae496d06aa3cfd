internal import CMartletSimdjson
internal import Glibc
internal import MartletColumns
internal import MartletCore

/// Differences from simdjson that are meant: a record whose values do not fit its columns is refused at the first such
/// value, so nothing is said about the rest of it; and a number outside simdjson's range is a number all the same. A record
/// with several faults is refused for one of them, which may be another once its structure is predicted.
///
/// Invariants: every line that is not blank becomes a row or a rejection; a record is accepted only if the referee calls it
/// an object, and refused as JSON only if the referee does not; and a parser that has learnt to predict the input's records
/// says the same of them as one that sees them first.
func fuzzJSON(_ input: UnsafeRawBufferPointer) {
    guard let base = input.baseAddress, input.count > 0 else { return }
    let heap = ByteHeap(capacity: input.count + 1)
    _ = heap.append(base.assumingMemoryBound(to: UInt8.self), count: input.count)
    guard let parser = try? JSONRowParser(schema: fuzzSchema, limits: fuzzLimits) else {
        preconditionFailure("the schema is a good one")
    }
    let first = ParsedLines(heap, by: parser)
    let again = ParsedLines(heap, by: parser)
    if !first.agrees(with: again) {
        print("first:", first.summary, "again:", again.summary, separator: "\n")
        preconditionFailure("prediction changes the outcome")
    }
    checkAgainstReferee(heap, first)
}

private let fuzzLimits = ParseLimits(recordBytesMax: 1 << 20, depthMax: 128)

private let fuzzSchema = ParseSchema(columns: [
    ParseColumn("i", .bigint), ParseColumn("n", .integer), ParseColumn("s", .text), ParseColumn("d", .double),
    ParseColumn("b", .boolean), ParseColumn("m", .plainNumeric), ParseColumn("t", .timestamptz), ParseColumn("j", .jsonb),
    ParseColumn(path: ["o", "x"], type: .text), ParseColumn("u", .uuid),
])

/// What a parser made of each line, comparable.
private struct ParsedLines {
    /// By the byte at which the record starts.
    var accepted: [Int: [String]] = [:]
    var refused: [Int: RejectReason] = [:]

    func agrees(with other: ParsedLines) -> Bool {
        accepted == other.accepted && refused.keys == other.refused.keys
    }

    /// In the order of the input.
    var summary: String {
        let outcomes = accepted.map { ($0, "\($1)") } + refused.map { ($0, $1.rawValue) }
        return outcomes.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1)" }.joined(separator: "\n")
    }

    init(_ heap: ByteHeap, by parser: JSONRowParser) {
        let rowsMax = heap.used + 1
        let columns = fuzzSchema.makeColumns(rows: rowsMax)
        let origins = OriginBlock(source: 0, partition: 0, heap: heap, capacity: rowsMax, ingestedAt: 0)
        let progress = parser.parse(
            heap, from: 0, to: heap.used, rowsMax: rowsMax, firstOffset: 0, into: columns, origins: origins)
        precondition(progress.position == heap.used, "the input is read to its end")
        for row in 0..<origins.count {
            accepted[Int(origins.starts[row])] = columns.map { "\($0.value(at: row))" }
        }
        for record in progress.rejected {
            precondition(accepted[record.start] == nil, "a record is a row or a rejection")
            precondition(record.start >= 0 && record.start + record.length <= heap.used, "a rejection lies in the input")
            refused[record.start] = record.reason
        }
        precondition(accepted.count == origins.count && refused.count == progress.rejected.count, "one outcome a record")
    }
}

private func checkAgainstReferee(_ heap: ByteHeap, _ parsed: ParsedLines) {
    let referee = martlet_json_parser_create(fuzzLimits.depthMax)
    defer { martlet_json_parser_destroy(referee) }
    var start = 0
    while start < heap.used {
        let rest = UnsafeRawBufferPointer(start: heap.base + start, count: heap.used - start)
        let length = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
        let isBlank = rest[..<length].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
        let outcomes = (parsed.accepted[start] != nil ? 1 : 0) + (parsed.refused[start] != nil ? 1 : 0)
        precondition(outcomes == (isBlank ? 0 : 1), "every line but a blank one has an outcome")
        if !isBlank { checkLine(heap, start, length, parsed.refused[start], referee) }
        start += length + 1
    }
}

private func checkLine(_ heap: ByteHeap, _ start: Int, _ length: Int, _ refused: RejectReason?, _ referee: OpaquePointer?) {
    // A copy, so that the padding that the referee reads is not the next line.
    let copy = ByteHeap(capacity: length)
    _ = copy.append(heap.base + start, count: length)
    let verdict = martlet_json_check(referee, copy.base, length)
    switch refused {
    case nil:
        precondition(verdict == MARTLET_JSON_OBJECT || verdict == MARTLET_JSON_NUMBER, "accepted against the referee")
    case .invalidJSON, .invalidUTF8:
        precondition(verdict != MARTLET_JSON_OBJECT, "refused against the referee")
    case .tooDeep:
        precondition(verdict == MARTLET_JSON_TOO_DEEP || verdict == MARTLET_JSON_INVALID, "too deep against the referee")
    case .invalidCSV, .tooLong, .wrongType, .outOfRange, .invalidValue, .fieldCount:
        break
    }
}
