package import MartletCore

/// What a conversation is bounded by.
package struct ConversationLimits: Sendable {
    package var portalsMax = 1_000
    package var statementsMax = 10_000
    /// More output than this is to be taken before there is more.
    package var outputBytes = 256 << 10
    /// Rows that are asked for at a time.
    package var rowsAtOnce = 1_024
    /// Quick statements that are carried out between two looks at other connections.
    package var quickMax = 128
    /// A row of COPY … FROM STDIN.
    package var copyRowBytesMax = 16 << 20

    package init() {}
}

/// One client's conversation: messages in, messages out, on one thread at a time.
///
///     startup ─▶ (sasl) ─▶ ready ─▶ closed
///
/// `receive` takes one frame and answers as far as it can; while there is more to say than `outputBytes`, or rows are
/// awaited, it returns and `resume` goes on. The next frame is taken only after `.idle`. So whoever drives it decides how
/// much output there ever is, and no thread waits for a client or for rows.
package final class Conversation {
    package enum Progress: Equatable {
        /// The next message may come.
        case idle
        /// What was written is to be taken; then `resume`.
        case full
        /// Rows are awaited (`waitingRows`); then `resume`.
        case waiting
        /// Send what was written, and close.
        case closed
    }

    enum Phase {
        case startup
        case saslFirst(StartupRequest, SCRAMExchange)
        case saslFinal(StartupRequest, SCRAMExchange)
        case ready
        case closed
    }

    /// A simple query's text on its way through its statements.
    struct SimpleQuery {
        var text: String
        var parts: [(offset: Int, text: String)]
        var next = 0
        /// The implicit transaction has ended already, with the last statement.
        var isEnded = false
    }

    /// Rows on their way out.
    struct Delivery {
        var rows: any WireRows
        var form: RowForm
        /// 0: none.
        var rowsMax: Int
        var sent = 0
        /// nil: a simple query's.
        var portal: Portal?
    }

    struct CopyIn {
        var reader: CopyReader
        var receiver: any WireReceiver
    }

    final class Portal {
        enum State {
            case ready
            case suspended(any WireRows, RowForm)
            case done
        }

        let statement: any WireStatement
        let parameters: [Value]
        let formats: RowFormats
        var state = State.ready

        init(_ statement: any WireStatement, _ parameters: [Value], _ formats: RowFormats) {
            self.statement = statement
            self.parameters = parameters
            self.formats = formats
        }
    }

    /// Where answers go; taken and cleared by whoever drives.
    package let output: ByteSink
    let writer: MessageWriter
    let limits: ConversationLimits
    private let host: any WireHost
    var phase = Phase.startup
    private(set) var session: (any WireSession)?

    var portals: [String: Portal] = [:]
    /// What clients said the parameters of their statements are, by statement's name.
    var declaredTypes: [String: [UInt32]] = [:]
    var simple: SimpleQuery?
    var delivery: Delivery?
    var copyIn: CopyIn?
    /// After an error in the extended protocol: everything is skipped until Sync.
    var isSkipping = false
    /// An error since the last Sync.
    var hasFailed = false

    package init(_ host: any WireHost, output: ByteSink, limits: ConversationLimits = ConversationLimits()) {
        self.host = host
        self.output = output
        self.limits = limits
        writer = MessageWriter(output)
    }

    /// After `.waiting`: what to ask when to resume.
    package var waitingRows: (any WireRows)? { delivery?.rows }

    package var isReady: Bool { if case .ready = phase { true } else { false } }

    /// One whole frame, as `FrontendMessage.frameLength` cuts them.
    package func receive(_ frame: UnsafeRawBufferPointer) -> Progress {
        do throws(SQLError) {
            switch phase {
            case .closed: return .closed
            case .startup: return try start(frame)
            case .saslFirst, .saslFinal:
                guard case .response(let bytes) = try FrontendMessage(frame: frame) else {
                    throw WireError.malformed("expected SASL response, got message type \(frame[0])")
                }
                return try authenticate(bytes)
            case .ready: break
            }
        } catch {
            return fatal(error)
        }
        let message: FrontendMessage
        do throws(SQLError) {
            message = try FrontendMessage(frame: frame)
        } catch {
            if WireError.isFatal(error) || copyIn != nil { return fatal(error) }
            // What cannot be read is answered like what cannot be done: a query by its end, the rest by Sync.
            if frame[0] == UInt8(ascii: "Q") { failSimple(error) } else if !isSkipping { failExtended(error) }
            return .idle
        }
        return handle(message)
    }

    /// After `.full` and `.waiting`.
    package func resume() -> Progress { advance() }

    /// The connection is gone, or is to go. Not while `receive` or `resume` runs.
    package func close() {
        phase = .closed
        delivery?.rows.close()
        delivery = nil
        copyIn?.receiver.fail("the connection is closed")
        copyIn = nil
        closePortals()
        session?.close()
        session = nil
    }

    /// For the last message of a server that stops, or a stream that cannot be followed: tells the client and closes.
    package func fatal(_ error: SQLError) -> Progress {
        writer.error(error, severity: "FATAL")
        close()
        return .closed
    }

    // MARK: Start-up

    private func start(_ frame: UnsafeRawBufferPointer) throws(SQLError) -> Progress {
        guard frame[0] == 0 else { throw WireError.malformed("expected a startup packet, got message type \(frame[0])") }
        switch try StartupMessage(packet: frame) {
        case .encryptionRequest:
            output.append(UInt8(ascii: "N"))
            return .idle
        case .cancel:
            // Whoever listens deals with it, since it speaks of another session; there is no answer.
            phase = .closed
            return .closed
        case .start(let request):
            if request.needsNegotiation {
                writer.negotiateProtocol(minor: request.minor, unknownOptions: request.unknownOptions)
            }
            switch host.authentication(of: request) {
            case .trust: try open(request)
            case .scram(let verifier, let nonce):
                writer.authenticationSASL([SCRAMExchange.mechanism])
                phase = .saslFirst(request, SCRAMExchange(verifier, nonce: nonce))
            }
            return .idle
        }
    }

    private func authenticate(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> Progress {
        var reader = MessageReader(bytes)
        switch phase {
        case .saslFirst(let request, var exchange):
            let mechanism = try reader.string()
            guard mechanism == SCRAMExchange.mechanism else {
                throw WireError.malformed("client selected an invalid SASL authentication mechanism")
            }
            let length = Int32(bitPattern: try reader.uint32())
            let first = try exchange.first(try MessageReader.text(length == -1 ? reader.rest() : try reader.bytes(Int(length))))
            writer.authenticationSASL(step: 11, first)
            phase = .saslFinal(request, exchange)
        case .saslFinal(let request, let exchange):
            writer.authenticationSASL(step: 12, try exchange.final(try MessageReader.text(reader.rest()), user: request.user))
            try open(request)
        case .startup, .ready, .closed: preconditionFailure("SASL has its own phases")
        }
        return .idle
    }

    private func open(_ request: StartupRequest) throws(SQLError) {
        session = try host.open(request)
        phase = .ready
        writer.authenticationOk()
        reportChanges()
        let key = host.cancelKey
        writer.backendKey(processID: host.processID, key: request.minor >= 2 ? key[...] : key.prefix(4))
        ready()
    }

    // MARK: What every answer needs

    /// Notices come before what they belong to.
    func reportNotices() {
        for notice in session?.takeNotices() ?? [] { writer.notice(notice) }
    }

    private func reportChanges() {
        reportNotices()
        for parameter in session?.takeParameters() ?? [] { writer.parameterStatus(parameter.name, parameter.value) }
    }

    func ready() {
        reportChanges()
        writer.readyForQuery(session?.transaction ?? .idle)
    }

    func closePortals() {
        for portal in portals.values { close(portal) }
        portals = [:]
    }

    func close(_ portal: Portal) {
        if case .suspended(let rows, _) = portal.state { rows.close() }
        portal.state = .done
    }
}
