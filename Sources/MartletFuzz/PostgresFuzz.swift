internal import MartletCore
internal import MartletPostgres

/// Invariants: whatever a client sends, the conversation answers with whole messages or closes; after it closed it says
/// nothing; and what COPY takes does not depend on how the bytes are cut.
func fuzzPostgres(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    if choice & 1 == 0 { converse(bytes, startsOpen: choice & 2 != 0) } else { copy(bytes, choice) }
}

private func converse(_ bytes: UnsafeRawBufferPointer, startsOpen: Bool) {
    let host = FuzzHost()
    var limits = ConversationLimits()
    limits.outputBytes = 512
    let conversation = Conversation(host, output: ByteSink(), limits: limits)
    if startsOpen {
        let writer = FrontendWriter(ByteSink())
        writer.startup([("user", "fuzz")])
        precondition(conversation.receive(writer.sink.bytes) == .idle && conversation.isReady, "a good start opens a session")
        takeOutput(conversation)
    }
    var rest = bytes
    while let length = FrontendMessage.frameLength(rest), length <= rest.count {
        var progress = conversation.receive(UnsafeRawBufferPointer(rebasing: rest[..<length]))
        var turns = 0
        while progress == .full {
            takeOutput(conversation)
            progress = conversation.resume()
            turns += 1
            precondition(turns < 1_000, "an answer ends")
        }
        takeOutput(conversation)
        if progress == .closed {
            precondition(conversation.receive(rest) == .closed && conversation.output.isEmpty, "who closed says nothing more")
            break
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
    }
    conversation.close()
    precondition(host.session.isClosed || !host.session.isOpen, "a session is closed with its conversation")
}

/// The answers are whole messages that a client can read.
private func takeOutput(_ conversation: Conversation) {
    var rest = conversation.output.bytes
    if rest.count == 1, rest[0] == UInt8(ascii: "N") { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
    while rest.count > 0 {
        guard let length = BackendMessage.length(rest), length <= rest.count,
            (try? BackendMessage(UnsafeRawBufferPointer(rebasing: rest[..<length]))) != nil
        else { preconditionFailure("answers are whole messages") }
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
    }
    conversation.output.clear()
}

private func copy(_ bytes: UnsafeRawBufferPointer, _ choice: UInt8) {
    var format = CopyFormat()
    switch choice >> 1 & 3 {
    case 0: break
    case 1:
        format.kind = .csv
        format.delimiter = UInt8(ascii: ",")
        format.null = ""
    case 2:
        format.kind = .csv
        format.escape = UInt8(ascii: "\\")
    default: format.kind = .binary
    }
    let whole = rows(bytes, format, piece: max(bytes.count, 1))
    precondition(whole == rows(bytes, format, piece: Int(choice >> 3) + 1), "the size of the pieces changes nothing")
}

private struct CopyRun: Equatable {
    var rows: [[[UInt8]?]] = []
    var error: SQLError?
}

private func rows(_ bytes: UnsafeRawBufferPointer, _ format: CopyFormat, piece: Int) -> CopyRun {
    let target = FuzzReceiver()
    let reader = CopyReader(format, rowBytesMax: 1 << 20)
    var run = CopyRun()
    do throws(SQLError) {
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try reader.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]), to: target)
        }
        try reader.finish(to: target)
    } catch {
        run.error = error
    }
    run.rows = target.rows
    return run
}

private final class FuzzHost: WireHost {
    let processID: Int32 = 1
    let cancelKey = [UInt8](repeating: 7, count: 32)
    let session = FuzzSession()

    func authentication(of request: StartupRequest) -> WireAuthentication {
        request.user == "scram" ? .scram(nil, nonce: Array(0..<18)) : .trust
    }

    func open(_ request: StartupRequest) throws(SQLError) -> any WireSession {
        session.isOpen = true
        return session
    }
}

/// Gives something of everything: the text's length decides.
private final class FuzzSession: WireSession {
    var isOpen = false
    var isClosed = false
    private(set) var transaction = TransactionStatus.idle
    let evaluation = EvaluationContext.utc
    private var statements: [String: FuzzStatement] = [:]

    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] {
        if text.utf8.count % 11 == 10 { throw SQLError(.syntaxError, "syntax error", position: 1) }
        return text.split(separator: ";").map { (0, String($0)) }
    }

    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any WireStatement {
        if text.utf8.count % 13 == 12 { throw SQLError(.syntaxError, "syntax error", position: 1) }
        return FuzzStatement(text.utf8.count, parameterTypes)
    }

    func keep(_ statement: (any WireStatement)?, named name: String) { statements[name] = statement as? FuzzStatement }
    func statement(named name: String) -> (any WireStatement)? { statements[name] }
    func statementCount() -> Int { statements.count }

    func execute(_ statement: any WireStatement, parameters: [Value]) throws(SQLError) -> WireOutcome {
        guard let statement = statement as? FuzzStatement else { preconditionFailure("statements are the session's own") }
        switch statement.number % 8 {
        case 0: transaction = .open
        case 1: transaction = .idle
        case 2: return .rows(FuzzRows(statement.columns ?? [], [parameters]))
        case 3: return .copyIn(CopyFormat(), FuzzReceiver())
        case 4: return .copyOut(CopyFormat(), FuzzRows([WireColumn(name: "a", type: .text)], [[.text("a\tb")]]))
        case 5: throw SQLError(.divisionByZero, "division by zero")
        default: return .rows(FuzzRows(statement.columns ?? [], Array(repeating: [], count: 100)))
        }
        return .done(tag: "DONE")
    }

    func endImplicit(failed: Bool) throws(SQLError) { if failed, transaction == .open { transaction = .failed } }
    func takeNotices() -> [SQLNotice] { [] }
    func takeParameters() -> [(name: String, value: String)] { [] }

    func close() {
        precondition(!isClosed, "a session is closed once")
        isClosed = true
    }
}

private final class FuzzStatement: WireStatement {
    let number: Int
    let parameterTypes: [DataType]
    let columns: [WireColumn]?
    var isEmpty: Bool { number == 0 }

    init(_ number: Int, _ declared: [DataType?]) {
        self.number = number
        parameterTypes = declared.map { $0 ?? .text }
        switch number % 8 {
        case 2: columns = parameterTypes.map { WireColumn(name: "p", type: $0) }
        case 6, 7: columns = []
        default: columns = nil
        }
    }
}

private final class FuzzRows: WireRows {
    let columns: [WireColumn]
    private var rest: ArraySlice<[Value]>

    init(_ columns: [WireColumn], _ rows: [[Value]]) {
        self.columns = columns
        rest = rows[...]
    }

    func write(rowsMax: Int, as form: RowForm, to writer: MessageWriter) throws(SQLError) -> RowProgress {
        precondition(rowsMax > 0, "rows are asked for")
        if rest.isEmpty { return .end }
        let piece = rest.prefix(min(rowsMax, 7))
        rest = rest.dropFirst(piece.count)
        for row in piece {
            switch form {
            case .data(let formats):
                writer.message("D") {
                    writer.sink.append(big: Int16(row.count))
                    for (index, value) in row.enumerated() {
                        if formats.isBinary(index) {
                            BinaryValue.writeSized(value, to: writer.sink)
                        } else {
                            writer.sink.append(big: Int32(value.text.utf8.count))
                            writer.sink.append(text: value.text)
                        }
                    }
                }
            case .copy: writer.message("d")
            }
        }
        return .rows(piece.count)
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() {}
}

private final class FuzzReceiver: WireReceiver {
    let columnCount = 2
    var rows: [[[UInt8]?]] = []

    func row(_ fields: CopyFields) throws(SQLError) { rows.append((0..<fields.count).map { index in fields[index].map { [UInt8]($0) } }) }
    func finish() throws(SQLError) -> String { "COPY \(rows.count)" }
    func fail(_ reason: String) {}
}
