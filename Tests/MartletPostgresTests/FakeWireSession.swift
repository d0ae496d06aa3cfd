import MartletCore
import MartletPostgres

/// A session of a few words for scripts: `rows N`, `echo TYPE…`, `begin`, `commit`, `rollback`, `fail`, `failcommit`, `notice`,
/// `copyin`, `copyout`, `wait`; statements are divided by `;`.
final class FakeWireSession: WireSession {
    private(set) var transaction = TransactionStatus.idle
    let evaluation = EvaluationContext()
    private var statements: [String: FakeWireStatement] = [:]
    private var notices: [SQLNotice] = []
    private var commitFails = false
    /// What the conversation asked for, for scripts to show.
    var trace: [String] = []
    /// Rows of `wait` that may be given.
    var released = 0

    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] {
        if text.contains("'") { throw SQLError(.syntaxError, "unterminated quoted string", position: 1) }
        var offset = 0
        var parts: [(offset: Int, text: String)] = []
        for part in text.split(separator: ";", omittingEmptySubsequences: false) {
            let blanks = part.prefix { $0 == " " }.utf8.count
            if part.utf8.count > blanks { parts.append((offset + blanks, String(part.dropFirst(blanks)))) }
            offset += part.utf8.count + 1
        }
        return parts
    }

    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any WireStatement {
        try FakeWireStatement(text, parameterTypes)
    }

    func keep(_ statement: (any WireStatement)?, named name: String) { statements[name] = statement as? FakeWireStatement }
    func statement(named name: String) -> (any WireStatement)? { statements[name] }
    func statementCount() -> Int { statements.count }

    func execute(_ statement: any WireStatement, parameters: [Value]) throws(SQLError) -> WireOutcome {
        guard let statement = statement as? FakeWireStatement else { preconditionFailure("foreign statement") }
        trace.append("execute \(statement.words.joined(separator: " "))\(parameters.isEmpty ? "" : " \(parameters.map(\.text))")")
        let word = statement.words[0]
        if transaction == .failed, word != "rollback", word != "commit" {
            throw SQLError(SQLState("25P02"), "current transaction is aborted")
        }
        switch word {
        case "rows": return .rows(FakeWireRows(self, statement.columns ?? [], count: Int(statement.words[1]) ?? 0, waits: false))
        case "wait": return .rows(FakeWireRows(self, statement.columns ?? [], count: Int(statement.words[1]) ?? 0, waits: true))
        case "echo": return .rows(FakeWireRows(self, statement.columns ?? [], values: parameters))
        case "copyout": return .copyOut(CopyFormat(), FakeWireRows(self, [WireColumn(name: "n", type: .integer)], count: 2, waits: false))
        case "copyin": return .copyIn(CopyFormat(), FakeWireReceiver(self))
        case "begin": transaction = .open
        case "commit", "rollback": transaction = .idle
        case "notice": notices.append(SQLNotice(severity: "WARNING", SQLError(.warning, "careful", hint: "Or not.")))
        case "failcommit": commitFails = true
        default: throw SQLError(.divisionByZero, "division by zero", detail: "In the fake.", hint: "Do not.", position: 3)
        }
        return .done(tag: word.uppercased())
    }

    func endImplicit(failed: Bool) throws(SQLError) {
        trace.append(failed ? "end, failed" : "end")
        if failed, transaction == .open { transaction = .failed }
        if commitFails {
            commitFails = false
            if !failed { throw SQLError(.serializationFailure, "could not serialize") }
        }
    }

    func takeNotices() -> [SQLNotice] {
        defer { notices = [] }
        return notices
    }

    private var hasReported = false
    func takeParameters() -> [(name: String, value: String)] {
        defer { hasReported = true }
        return hasReported ? [] : [("server_version", "17.0"), ("TimeZone", "UTC")]
    }

    func close() { trace.append("close") }
}

final class FakeWireStatement: WireStatement {
    let words: [String]
    let parameterTypes: [DataType]
    let columns: [WireColumn]?
    var isEmpty: Bool { words.isEmpty }

    init(_ text: String, _ declared: [DataType?]) throws(SQLError) {
        words = text.split(separator: " ").map(String.init)
        var types: [DataType] = []
        switch words.first {
        case "rows", "wait": columns = [WireColumn(name: "n", type: .integer), WireColumn(name: "t", type: .text)]
        case "echo":
            for (index, word) in words.dropFirst().enumerated() {
                types.append((index < declared.count ? declared[index] : nil) ?? DataType(sqlName: word) ?? .text)
            }
            columns = types.enumerated().map { WireColumn(name: "p\($0.offset)", type: $0.element) }
        case "syntax": throw SQLError(.syntaxError, "syntax error at or near \"syntax\"", position: 1)
        default: columns = nil
        }
        parameterTypes = types
    }
}

final class FakeWireRows: WireRows {
    let columns: [WireColumn]
    private let session: FakeWireSession
    private let rows: [[Value]]
    private let waits: Bool
    private var at = 0

    init(_ session: FakeWireSession, _ columns: [WireColumn], count: Int, waits: Bool) {
        self.session = session
        self.columns = columns
        self.waits = waits
        rows = (0..<count).map { index in columns.map { $0.type == .integer ? .integer(Int32(index)) : .text("row \(index)") } }
    }

    init(_ session: FakeWireSession, _ columns: [WireColumn], values: [Value]) {
        self.session = session
        self.columns = columns
        rows = [values]
        waits = false
    }

    func write(rowsMax: Int, as form: RowForm, to writer: MessageWriter) throws(SQLError) -> RowProgress {
        if at == rows.count { return .end }
        let end = min(rows.count, at + rowsMax, waits ? session.released : .max)
        if end <= at { return .waiting }
        for row in rows[at..<end] {
            switch form {
            case .data(let formats):
                writer.message("D") {
                    writer.sink.append(big: Int16(row.count))
                    for (index, value) in row.enumerated() {
                        if formats.isBinary(index) {
                            BinaryValue.writeSized(value, to: writer.sink)
                        } else if value.isNull {
                            writer.sink.append(big: Int32(-1))
                        } else {
                            writer.sink.append(big: Int32(value.text.utf8.count))
                            writer.sink.append(text: value.text)
                        }
                    }
                }
            case .copy: writer.message("d") { writer.sink.append(text: row.map(\.text).joined(separator: "\t") + "\n") }
            }
        }
        defer { at = end }
        return .rows(end - at)
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() { session.trace.append("close rows") }
}

final class FakeWireReceiver: WireReceiver {
    private let session: FakeWireSession
    private var rows = 0
    let columnCount = 2

    init(_ session: FakeWireSession) { self.session = session }

    func row(_ fields: CopyFields) throws(SQLError) {
        let cells = (0..<fields.count).map { fields[$0].map { String(decoding: $0, as: UTF8.self) } ?? "NULL" }
        if cells.first == "bad" { throw SQLError(.invalidTextRepresentation, "bad row") }
        session.trace.append("row \(cells.joined(separator: "|"))")
        rows += 1
    }

    func finish() throws(SQLError) -> String { "COPY \(rows)" }
    func fail(_ reason: String) { session.trace.append("fail: \(reason)") }
}

final class FakeHost: WireHost {
    let processID: Int32 = 42
    let cancelKey = [UInt8](0..<32)
    let session = FakeWireSession()
    var method = WireAuthentication.trust

    func authentication(of request: StartupRequest) -> WireAuthentication { method }

    func open(_ request: StartupRequest) throws(SQLError) -> any WireSession {
        if request.user == "nobody" { throw SQLError(.invalidAuthorization, "role \"nobody\" does not exist") }
        let settings = request.parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        session.trace.append("open \(request.user)@\(request.database)\(settings.isEmpty ? "" : " ")\(settings)")
        return session
    }
}
