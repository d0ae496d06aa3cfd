import MartletCore
import MartletPlatform
import MartletPostgres
import MartletTestKit
import Testing

/// Golden/*.script: what a client says, a message a line; what it is told, and what the database was asked for (`·`).
@Suite("Conversations")
struct ConversationTests {
    static let golden = Golden(disk: SystemDisk(), update: environment("UPDATE_GOLDEN"))

    @Test("clients are told what the scripts say", arguments: try golden.files(".script"))
    func script(path: String) throws {
        try Self.golden.check(path) { input in ScriptedClient().play(input) }
    }

    @Test("a conversation never says more at a time than it may, and goes on where it stood")
    func bounded() {
        var limits = ConversationLimits()
        limits.outputBytes = 100
        limits.rowsAtOnce = 3
        let client = ScriptedClient(limits: limits)
        _ = client.play("startup user=ann")
        var pieces = 0
        var rows = 0
        client.writer.query("rows 500; rows 7")
        var progress = client.deliver()
        while progress == .full {
            pieces += 1
            #expect(client.conversation.output.count < 300)
            rows += client.takeMessages().count { if case .dataRow = $0 { true } else { false } }
            progress = client.conversation.resume()
        }
        rows += client.takeMessages().count { if case .dataRow = $0 { true } else { false } }
        #expect(progress == .idle && rows == 507 && pieces > 50)
    }

    @Test("a session keeps a bounded number of statements and portals")
    func limits() {
        var limits = ConversationLimits()
        limits.portalsMax = 2
        limits.statementsMax = 2
        let client = ScriptedClient(limits: limits)
        _ = client.play("startup user=ann")
        let statements = client.play("parse a rows 1\nparse b rows 1\nparse c rows 1\nsync")
        #expect(statements.contains("error ERROR 54000: a session has at most 2 prepared statements"))
        let portals = client.play("query begin\nbind p a\nbind q a\nbind r a\nsync")
        #expect(portals.contains("error ERROR 54000: a session has at most 2 portals"))
    }

    @Test("SCRAM-SHA-256 lets in who knows the password, and nobody else", arguments: ["pencil", "pencils", nil])
    func scram(password: String?) throws {
        let host = FakeHost()
        let verifier = password == nil ? nil : SCRAMVerifier(password: "pencil", salt: Array(0..<16), iterations: 64)
        if let verifier { #expect(SCRAMVerifier(text: verifier.text) == verifier) }
        host.method = .scram(verifier, nonce: Array(0..<18))
        let transport = LoopTransport(host)
        let identity = ClientIdentity(user: "ann", database: "dev", password: password ?? "pencil")
        if password == "pencil" {
            let client = try PostgresClient(transport, identity, nonce: [9, 8, 7])
            #expect(client.parameters["server_version"] == "17.0")
        } else {
            #expect(throws: SQLError(.invalidPassword, "password authentication failed for user \"ann\"")) {
                try PostgresClient(transport, identity, nonce: [9, 8, 7])
            }
        }
    }

    @Test("SCRAM gives what RFC 7677, section 3, shows")
    func rfc7677() throws {
        // Salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 iterations, password "pencil"; keys computed with Python's hashlib.
        let salt: [UInt8] = [0x5B, 0x6D, 0x99, 0x68, 0x9D, 0x12, 0x35, 0x8E, 0xEC, 0xA0, 0x4B, 0x14, 0x12, 0x36, 0xFA, 0x81]
        let verifier = SCRAMVerifier(password: "pencil", salt: salt)
        #expect(
            verifier.text
                == "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        )
    }
}

/// A client that shares memory with the conversation.
final class LoopTransport: ClientTransport {
    private let conversation: Conversation
    private var input: [UInt8] = []

    init(_ host: FakeHost) { conversation = Conversation(host, output: ByteSink()) }

    func send(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        input += bytes
        while let length = input.withUnsafeBytes({ FrontendMessage.frameLength($0) }), input.count >= length {
            let frame = Array(input[..<length])
            input.removeFirst(length)
            _ = frame.withUnsafeBytes { conversation.receive($0) }
        }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> Int {
        let count = min(buffer.count, conversation.output.count)
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: conversation.output.bytes[..<count]))
        conversation.output.clear()
        return count
    }
}
