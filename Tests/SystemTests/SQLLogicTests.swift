internal import Foundation
internal import MartletCore
internal import MartletPlatform
internal import MartletPostgres
internal import MartletTestKit
internal import Testing

/// Tests/SQL/*.slt over the wire, each file against a server of its own. `UPDATE_GOLDEN=1` rewrites the rows.
@Suite("SQL over the wire")
struct SQLLogicTests {
    private static let folder = Binary.root.appendingPathComponent("Tests/SQL")

    static let files: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".slt") }.sorted()
    }()

    @Test("statements and queries give what the files say", arguments: files)
    func script(name: String) throws {
        let url = Self.folder.appendingPathComponent(name)
        let script = try LogicScript(parsing: String(decoding: Data(contentsOf: url), as: UTF8.self), path: "Tests/SQL/\(name)")
        let server = try ServedBinary()
        defer { server.stop() }
        let run = LogicRun(
            connect: { _ throws(SQLError) in try WireConnection(server.address) },
            sleep: { Thread.sleep(forTimeInterval: Double($0) / 1_000) },
            include: { try String(decoding: Data(contentsOf: Self.folder.appendingPathComponent($0)), as: UTF8.self) })
        try run.run(script)
        #expect(run.recordsRun > 0)
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1", !run.replacements.isEmpty {
            var lines = script.lines
            for replacement in run.replacements.reversed() { lines.replaceSubrange(replacement.lines, with: replacement.rows) }
            try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(run.differences.isEmpty, "\(run.differences.joined(separator: "\n\n"))")
        }
    }
}

/// `martlet serve` with PostgreSQL's listener on a free port, for the time of a test.
private final class ServedBinary {
    let address: ListenAddress
    private let process = Process()
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        process.executableURL = Binary.path
        process.arguments = ["serve", "--data-dir", scratch.path("data"), "--no-kafka", "--no-http", "--postgres", "127.0.0.1:0"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var said = ""
        while !said.contains("\n") {
            let piece = output.fileHandleForReading.availableData
            if piece.isEmpty { break }
            said += String(decoding: piece, as: UTF8.self)
        }
        let words = said.split { $0 == " " || $0 == "\n" }
        address = try ListenAddress(parsing: String(try #require(words.count >= 3 ? words[2] : nil, "the server said: \(said)")))
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }
}

private final class WireConnection: LogicConnection {
    private let client: PostgresClient

    init(_ address: ListenAddress) throws(SQLError) {
        client = try PostgresClient(WireTransport(address), ClientIdentity(user: "logic", database: "dev"), nonce: [])
    }

    deinit { client.close() }

    func carryOut(_ sql: String) throws(SQLError) -> LogicAnswer {
        var answer = LogicAnswer(rows: [], count: 0)
        var failure: SQLError?
        try client.query(sql) { message throws(SQLError) in
            switch message {
            case .dataRow(let cells): answer.rows.append(cells.map { $0.map { String(decoding: $0, as: UTF8.self) } })
            case .commandComplete(let tag): answer.count = tag.split(separator: " ").last.flatMap { UInt64($0) } ?? 0
            case .error(let notice): failure = notice.error
            default: break
            }
        }
        if let failure { throw failure }
        return answer
    }
}

private final class WireTransport: ClientTransport {
    private let socket: TCPClient

    init(_ address: ListenAddress) throws(SQLError) {
        do throws(ListenError) {
            socket = try TCPClient(address, timeoutNanos: 60_000_000_000)
        } catch {
            throw SQLError(.connectionException, error.message)
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(ListenError) { try socket.send(bytes) } catch { throw SQLError(.connectionException, error.message) }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> Int {
        do throws(ListenError) {
            return try socket.receive(into: buffer)
        } catch {
            throw SQLError(.connectionException, error.message)
        }
    }
}
