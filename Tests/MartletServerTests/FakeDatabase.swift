import MartletColumns
import MartletCore
import MartletEngine
import MartletPlatform
import MartletSQL
import Synchronization

/// A database of a few words, for tests of the wires:
///
///     rows N            N rows (n INT, t TEXT)
///     echo T …          the parameters $1 …, of types T …, as one row
///     types             one row with a value of every type
///     begin, commit, rollback, fail, notice, sleep
///     copy in|out FORMAT    into or out of rows (n INT, t TEXT)
///     feed              rows that come with `FakeService.feed`, for ever
final class FakeService: SQLService {
    let log = Mutex<[String]>([])
    let fed = Mutex<(rows: [Int32], wakes: [@Sendable () -> Void])>(([], []))

    func open(_ client: SessionClient) throws(SQLError) -> any SQLSession {
        guard client.user != "nobody" else { throw SQLError(.invalidAuthorization, "role \"nobody\" does not exist") }
        note("open \(client.user) \(client.database)")
        return FakeSession(self, client)
    }

    func note(_ text: String) { log.withLock { $0.append(text) } }
    var notes: [String] { log.withLock { $0 } }

    /// More rows for whoever reads `feed`.
    func feed(_ rows: [Int32]) {
        let wakes = fed.withLock { fed in
            fed.rows += rows
            defer { fed.wakes = [] }
            return fed.wakes
        }
        for wake in wakes { wake() }
    }
}

final class FakeStatement: PreparedStatement {
    let words: [Substring]
    let parameterTypes: [DataType]
    let fields: [Field]?
    var isEmpty: Bool { words.isEmpty }

    init(_ text: String) throws(SQLError) {
        words = text.split { $0 == " " || $0 == "\n" }
        var types: [DataType] = []
        switch words.first {
        case "rows", "feed": fields = [Field(name: "n", type: .integer), Field(name: "t", type: .text)]
        case "types": fields = DataType.all.map { Field(name: "\($0)", type: $0) }
        case "echo":
            for word in words.dropFirst() { types.append(DataType(sqlName: String(word)) ?? .text) }
            fields = types.enumerated().map { Field(name: "p\($0.offset + 1)", type: $0.element) }
        case nil, "begin", "commit", "rollback", "fail", "notice", "sleep", "copy": fields = nil
        case let word?:
            throw SQLError(.syntaxError, "syntax error at or near \"\(word)\"", hint: "This is a fake.", position: 1)
        }
        parameterTypes = types
    }
}

final class FakeSession: SQLSession {
    let service: FakeService
    private let client: SessionClient
    private(set) var transaction = TransactionStatus.idle
    var statements: [String: any PreparedStatement] = [:]
    private var notices: [SQLNotice] = []
    private var reported = false
    let isCancelled = Mutex<(isCancelled: Bool, wakes: [@Sendable () -> Void])>((false, []))
    let evaluation = EvaluationContext()
    let relations = [
        RelationFacts(
            name: "x", kind: "table", fields: [Field(name: "a", type: .integer), Field(name: "é", type: .text)], key: [0], isFollowable: true)
    ]

    init(_ service: FakeService, _ client: SessionClient) {
        self.service = service
        self.client = client
    }

    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] {
        var parts: [(offset: Int, text: String)] = []
        var offset = 0
        for part in text.split(separator: ";", omittingEmptySubsequences: false) {
            let blanks = part.prefix { $0 == " " || $0 == "\n" }.utf8.count
            let words = String(part.dropFirst(blanks))
            if !words.isEmpty { parts.append((offset + blanks, words)) }
            offset += part.utf8.count + 1
        }
        return parts
    }

    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any PreparedStatement { try FakeStatement(text) }
    func keyedRead(_ statement: any PreparedStatement) -> KeyedRead? { nil }

    func execute(_ statement: any PreparedStatement, parameters: [Value]) throws(SQLError) -> SQLOutcome {
        guard let statement = statement as? FakeStatement, let word = statement.words.first else { return .done(tag: "") }
        isCancelled.withLock { $0 = (false, []) }
        if transaction == .failed, word != "rollback", word != "commit" {
            throw SQLError(SQLState("25P02"), "current transaction is aborted, commands ignored until end of transaction block")
        }
        switch word {
        case "rows": return .rows(FakeRows(self, statement.fields!, Array(0..<(Int32(statement.words[1]) ?? 0))))
        case "feed": return .rows(FeedCursor(self, statement.fields!))
        case "types": return .rows(ValueRows(statement.fields!, [sampleValues]))
        case "echo": return .rows(ValueRows(statement.fields!, [parameters]))
        case "copy": return copy(statement.words)
        case "begin":
            transaction = .open
            return .done(tag: "BEGIN")
        case "commit", "rollback":
            let tag = word == "commit" && transaction == .open ? "COMMIT" : "ROLLBACK"
            transaction = .idle
            service.note(tag)
            return .done(tag: tag)
        case "notice":
            notices.append(SQLNotice(severity: "NOTICE", SQLError(.successfulCompletion, "take note")))
            return .done(tag: "NOTICE")
        case "sleep":
            for _ in 0..<2_000 {
                if isCancelled.withLock({ $0.isCancelled }) {
                    throw SQLError(.queryCanceled, "canceling statement due to user request")
                }
                SystemClock().sleep(nanos: 1_000_000)
            }
            return .done(tag: "SLEEP")
        default: throw SQLError(.divisionByZero, "division by zero")
        }
    }

    private func copy(_ words: [Substring]) -> SQLOutcome {
        var format = CopyFormat()
        if words.last == "csv" {
            format.kind = .csv
            format.delimiter = UInt8(ascii: ",")
            format.null = ""
            format.hasHeader = true
        }
        if words.last == "binary" { format.kind = .binary }
        let fields = [Field(name: "n", type: .integer), Field(name: "t", type: .text)]
        if words[1] == "in" { return .copyIn(format, FakeReceiver(service, fields)) }
        let rows: [[Value]] = [[.integer(1), .text("a\tb,\"c\"")], [.integer(-2), .null], [.null, .text("\\")]]
        return .copyOut(format, ValueRows(fields, rows))
    }

    func endImplicit(failed: Bool) throws(SQLError) {
        if failed, transaction == .open { transaction = .failed }
        if transaction == .idle { service.note(failed ? "implicit rollback" : "implicit commit") }
    }

    func takeNotices() -> [SQLNotice] {
        defer { notices = [] }
        return notices
    }

    func takeParameters() -> [(name: String, value: String)] {
        if reported { return [] }
        reported = true
        return [("server_version", "17.0"), ("server_encoding", "UTF8"), ("client_encoding", "UTF8"), ("TimeZone", "UTC"),
            ("DateStyle", "ISO, MDY"), ("integer_datetimes", "on"), ("standard_conforming_strings", "on")]
    }

    func cancel() {
        let wakes = isCancelled.withLock { state in
            defer { state = (true, []) }
            return state.wakes
        }
        for wake in wakes { wake() }
    }

    func close() { service.note("close \(client.user)") }
}

let sampleValues: [Value] = [
    .boolean(true), .smallint(-2), .integer(3), .bigint(1 << 40), .real(1.5), .double(-0.1), .numeric(Decimal(text: "12345.6780")!),
    .text("é"), .bytea([0, 255]), .date(20_000), .time(1), .timestamp(1_700_000_000_123_456), .timestamptz(-1),
    .interval(Interval(months: 14, days: -3, micros: 5_000_000)), .jsonb("{\"a\": 1}"), .uuid(UUIDValue(high: 1, low: 2)),
]

/// Rows made as they are asked for.
private final class FakeRows: RowCursor {
    let session: FakeSession
    let fields: [Field]
    var rest: ArraySlice<Int32>

    init(_ session: FakeSession, _ fields: [Field], _ rows: [Int32]) {
        self.session = session
        self.fields = fields
        rest = rows[...]
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        if session.isCancelled.withLock({ $0.isCancelled }) {
            throw SQLError(.queryCanceled, "canceling statement due to user request")
        }
        let piece = rest.prefix(rowsMax)
        rest = rest.dropFirst(piece.count)
        return piece.isEmpty ? nil : batch(Array(piece))
    }

    func batch(_ rows: [Int32]) -> Batch {
        Batch(count: rows.count, columns: [
            Column(.integer, rows.map { .integer($0) }), Column(.text, rows.map { $0 % 7 == 6 ? .null : .text("row \($0)") }),
        ])
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() { session.service.note("close rows") }
}

private final class FeedCursor: RowCursor {
    let session: FakeSession
    let fields: [Field]
    private var seen = 0

    init(_ session: FakeSession, _ fields: [Field]) {
        self.session = session
        self.fields = fields
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        if session.isCancelled.withLock({ $0.isCancelled }) {
            throw SQLError(.queryCanceled, "canceling statement due to user request")
        }
        let rows = session.service.fed.withLock { Array($0.rows.dropFirst(seen).prefix(rowsMax)) }
        seen += rows.count
        return Batch(count: rows.count, columns: [
            Column(.integer, rows.map { .integer($0) }), Column(.text, rows.map { .text("fed \($0)") }),
        ])
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) {
        let isCancelled = session.isCancelled.withLock { state in
            if !state.isCancelled { state.wakes.append(wake) }
            return state.isCancelled
        }
        let isThere = session.service.fed.withLock { fed in
            if fed.rows.count == seen { fed.wakes.append(wake) }
            return fed.rows.count > seen
        }
        if isCancelled || isThere { wake() }
    }

    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() { session.service.note("close feed") }
}

private final class ValueRows: RowCursor {
    let fields: [Field]
    private var rows: [[Value]]

    init(_ fields: [Field], _ rows: [[Value]]) {
        self.fields = fields
        self.rows = rows
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        guard !rows.isEmpty else { return nil }
        defer { rows = [] }
        return Batch(count: rows.count, columns: fields.enumerated().map { index, field in Column(field.type, rows.map { $0[index] }) })
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() {}
}

private final class FakeReceiver: CopyReceiver {
    let service: FakeService
    let fields: [Field]
    private var rows = 0

    init(_ service: FakeService, _ fields: [Field]) {
        self.service = service
        self.fields = fields
    }

    func insert(_ batch: Batch) throws(SQLError) {
        for row in 0..<min(batch.count, 4) { service.note("insert \(batch.row(row).map { $0.isNull ? "NULL" : $0.text })") }
        rows += batch.count
    }

    func finish() throws(SQLError) -> String { "COPY \(rows)" }
    func fail(_ reason: String) { service.note("copy failed: \(reason)") }
}
