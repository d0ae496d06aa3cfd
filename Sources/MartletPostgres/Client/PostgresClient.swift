package import MartletCore

/// Bytes to and from a server. Blocks.
package protocol ClientTransport: AnyObject {
    func send(_ bytes: UnsafeRawBufferPointer) throws(SQLError)
    /// 0: the server has closed.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> Int
}

/// Who connects, and how.
package struct ClientIdentity: Sendable {
    package var user: String
    package var database: String
    package var password: String?
    package var parameters: [(name: String, value: String)]

    package init(user: String, database: String, password: String? = nil, parameters: [(name: String, value: String)] = []) {
        self.user = user
        self.database = database
        self.password = password
        self.parameters = parameters
    }
}

/// A connection to a server that speaks PostgreSQL's protocol. One thread at a time.
package final class PostgresClient {
    /// What the server reports: `server_version`, `TimeZone`, …
    package private(set) var parameters: [String: String] = [:]
    package private(set) var status = TransactionStatus.idle
    package private(set) var processID: Int32 = 0
    package private(set) var cancelKey: [UInt8] = []
    /// What is written here leaves with `flush`.
    package let writer = FrontendWriter(ByteSink())

    private let transport: any ClientTransport
    private let input = ByteSink()
    private var inputOffset = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Connects; throws what the server refuses it with. `nonce`: random bytes.
    package init(_ transport: any ClientTransport, _ identity: ClientIdentity, nonce: [UInt8], minor: Int = 0) throws(SQLError) {
        self.transport = transport
        writer.startup([("user", identity.user), ("database", identity.database)] + identity.parameters, minor: minor)
        try flush()
        var scram: SCRAMClient?
        while true {
            switch try next() {
            case .authentication(0, _): break
            case .authentication(10, _):
                guard let password = identity.password else { throw SQLError(.invalidAuthorization, "the server asks for a password") }
                let client = SCRAMClient(password: password, nonce: nonce)
                writer.saslInitial(SCRAMExchange.mechanism, client.first)
                try flush()
                scram = client
            case .authentication(11, let data):
                guard let answer = scram?.final(String(decoding: data, as: UTF8.self)) else {
                    throw WireError.malformed("the server's SASL message makes no sense")
                }
                writer.saslResponse(answer)
                try flush()
            case .authentication(12, let data):
                guard scram?.accepts(String(decoding: data, as: UTF8.self)) == true else {
                    throw SQLError(.invalidPassword, "the server does not know the password")
                }
            case .authentication(let code, _): throw SQLError(.featureNotSupported, "authentication method \(code) is not known here")
            case .error(let notice): throw notice.error
            case .ready: return
            default: break
            }
        }
    }

    deinit { buffer.deallocate() }

    /// Sends what was written.
    package func flush() throws(SQLError) {
        guard !writer.sink.isEmpty else { return }
        try transport.send(writer.sink.bytes)
        writer.sink.clear()
    }

    /// The next message; 08006 where the connection ends.
    package func next() throws(SQLError) -> BackendMessage {
        let message = try read()
        switch message {
        case .parameterStatus(let name, let value): parameters[name] = value
        case .backendKey(let id, let key):
            processID = id
            cancelKey = key
        case .ready(let status): self.status = status
        default: break
        }
        return message
    }

    private func read() throws(SQLError) -> BackendMessage {
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: input.bytes[inputOffset...])
            if rest.count >= 5 {
                guard let length = BackendMessage.length(rest) else { throw WireError.malformed("the server's message has no length") }
                if rest.count >= length {
                    inputOffset += length
                    return try BackendMessage(UnsafeRawBufferPointer(rebasing: rest[..<length]))
                }
            }
            if inputOffset > 0 {
                let kept = [UInt8](rest)
                input.clear()
                kept.withUnsafeBytes { input.append($0) }
                inputOffset = 0
            }
            let count = try transport.receive(into: buffer)
            guard count > 0 else { throw SQLError(SQLState("08006"), "the server closed the connection") }
            input.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// A simple query: every message of its answer, up to ReadyForQuery, goes to `take`.
    package func query(_ text: String, _ take: (BackendMessage) throws(SQLError) -> Void) throws(SQLError) {
        writer.query(text)
        try flush()
        while true {
            let message = try next()
            if case .ready = message { return }
            try take(message)
        }
    }

    /// Says goodbye.
    package func close() {
        writer.terminate()
        try? flush()
    }
}
