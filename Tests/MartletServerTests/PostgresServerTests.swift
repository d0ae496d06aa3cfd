import MartletCore
import MartletPlatform
import MartletPostgres
import MartletServer
import Testing

/// The real listener over a fake database, through sockets.
@Suite("The PostgreSQL listener", .timeLimit(.minutes(1)))
struct PostgresServerTests {
    /// Every message of a simple query's answer, in words.
    private func answer(_ client: PostgresClient, _ text: String) throws -> [String] {
        var found: [String] = []
        try client.query(text) { found.append(words($0)) }
        return found
    }

    private func words(_ message: BackendMessage) -> String {
        switch message {
        case .rowDescription(let columns): columns.map { "\($0.name):\($0.type)" }.joined(separator: " ")
        case .dataRow(let cells): cells.map { $0.map { String(decoding: $0, as: UTF8.self) } ?? "NULL" }.joined(separator: "|")
        case .commandComplete(let tag): tag
        case .error(let notice), .notice(let notice): "\(notice.severity) \(notice.error)"
        default: "\(message)"
        }
    }

    private func waitUntil(_ condition: () -> Bool) -> Bool {
        for _ in 0..<2_000 {
            if condition() { return true }
            SystemClock().sleep(nanos: 1_000_000)
        }
        return false
    }

    @Test("a session opens, answers and closes")
    func session() throws {
        let fixture = try PostgresFixture()
        let client = try fixture.client()
        #expect(client.parameters["server_version"] == "17.0")
        #expect(try answer(client, "rows 2") == ["n:23 t:25", "0|row 0", "1|row 1", "SELECT 2"])
        client.close()
        #expect(waitUntil { fixture.service.notes.contains("close ann") })
        #expect(throws: SQLError(.invalidAuthorization, "role \"nobody\" does not exist")) { try fixture.client(user: "nobody") }
    }

    @Test("a session ends too when its connection is closed for what came right behind a query")
    func brokenBehindQuery() throws {
        let fixture = try PostgresFixture()
        let client = try fixture.client()
        client.writer.query("rows 2")
        for byte in [UInt8(ascii: "Q"), 0xFF, 0xFF, 0xFF, 0xFF] { client.writer.sink.append(byte) }
        try client.flush()
        #expect(waitUntil { fixture.service.notes.contains("close ann") })
    }

    @Test("a client that does not read holds no thread, and no more than a bounded output")
    func slowReader() throws {
        let fixture = try PostgresFixture(threads: 1)
        let slow = try fixture.client()
        slow.writer.query("rows 600000")
        try slow.flush()
        // The only thread serves others meanwhile.
        let other = try fixture.client()
        for _ in 0..<3 { #expect(try answer(other, "rows 1").count == 3) }
        SystemClock().sleep(nanos: 100_000_000)
        #expect(fixture.server.outputBytes < 8 << 20)
        var rows = 0
        while true {
            let message = try slow.next()
            if case .dataRow = message { rows += 1 }
            if case .ready = message { break }
        }
        #expect(rows == 600_000)
    }

    @Test("a cancel request ends what is executed, and only with the right key", arguments: [0, 2])
    func cancel(minor: Int) throws {
        let fixture = try PostgresFixture()
        let client = try fixture.client(minor: minor)
        #expect(client.cancelKey.count == (minor == 0 ? 4 : 32))
        client.writer.query("sleep")
        try client.flush()
        let wrong = client.cancelKey.map { ~$0 }
        for key in [wrong, client.cancelKey] {
            SystemClock().sleep(nanos: 50_000_000)
            #expect(!fixture.service.notes.contains("implicit rollback"))
            let request = FrontendWriter(ByteSink())
            request.cancel(processID: client.processID, key: key)
            try TCPClient(fixture.server.address).send(request.sink.bytes)
        }
        #expect(words(try client.next()) == "ERROR 57014: canceling statement due to user request")
    }

    @Test("rows of a subscription come when they are there, and a cancel ends the waiting")
    func subscription() throws {
        let fixture = try PostgresFixture(threads: 1)
        let client = try fixture.client()
        client.writer.query("feed")
        try client.flush()
        #expect(words(try client.next()) == "n:23 t:25")
        // Nothing waits on the only thread.
        let other = try fixture.client()
        #expect(try answer(other, "rows 0") == ["n:23 t:25", "SELECT 0"])
        for number in 0..<20 as Range<Int32> {
            fixture.service.feed([number])
            #expect(words(try client.next()) == "\(number)|fed \(number)")
        }
        let request = FrontendWriter(ByteSink())
        request.cancel(processID: client.processID, key: client.cancelKey)
        try TCPClient(fixture.server.address).send(request.sink.bytes)
        #expect(words(try client.next()) == "ERROR 57014: canceling statement due to user request")
    }

    @Test("who goes away during a statement or a subscription is rolled back")
    func disconnect() throws {
        let fixture = try PostgresFixture()
        for text in ["feed", "begin; rows 500000", "copy in text"] {
            let count = fixture.service.notes.count { $0 == "close ann" }
            do {
                let client = try fixture.client()
                client.writer.query(text)
                try client.flush()
                _ = try client.next()
            }
            #expect(waitUntil { fixture.service.notes.count { $0 == "close ann" } > count }, "\(text)")
        }
        #expect(fixture.service.notes.contains("close feed"))
    }

    @Test("COPY in many pieces, and an error in the middle of it")
    func copyIn() throws {
        let fixture = try PostgresFixture()
        let client = try fixture.client()
        var text = ""
        for number in 0..<10_000 { text += "\(number)\tline \(number)\n" }
        client.writer.query("copy in text")
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: 997) {
            bytes[start..<min(start + 997, bytes.count)].withUnsafeBytes { client.writer.copyData($0) }
        }
        client.writer.copyDone()
        try client.flush()
        #expect(words(try client.next()) == "copyIn(isBinary: false, columns: 2)")
        #expect(words(try client.next()) == "COPY 10000")
        _ = try client.next()
        client.writer.query("copy in text")
        for line in ["1\tone\n", "two\tx\n", "3\tthree\n"] { Array(line.utf8).withUnsafeBytes { client.writer.copyData($0) } }
        client.writer.copyDone()
        try client.flush()
        _ = try client.next()
        guard case .error(let notice) = try client.next() else {
            Issue.record("no error")
            return
        }
        #expect(notice.error.message == "invalid input syntax for type integer: \"two\"")
        #expect(notice.error.detail == "COPY, line 2, column n")
        _ = try client.next()
        #expect(try answer(client, "rows 1").last == "SELECT 1")
        #expect(fixture.service.notes.contains { $0.hasPrefix("copy failed") })
    }

    @Test("a server that stops tells its clients")
    func stop() throws {
        let fixture = try PostgresFixture()
        let idle = try fixture.client()
        let busy = try fixture.client()
        busy.writer.query("sleep")
        try busy.flush()
        SystemClock().sleep(nanos: 50_000_000)
        fixture.server.stop()
        #expect(words(try idle.next()) == "FATAL 57P01: terminating connection due to administrator command")
        #expect(words(try busy.next()) == "ERROR 57014: canceling statement due to user request")
    }

    @Test("garbled streams are told why and closed", arguments: [
        [UInt8]([0, 0, 0, 4]), [0, 0, 0, 9, 0, 2, 0, 0, 0], [255, 255, 255, 255, 255], Array("GET / HTTP/1.1\r\n\r\n".utf8),
    ])
    func garbage(bytes: [UInt8]) throws {
        let fixture = try PostgresFixture()
        let socket = try TCPClient(fixture.server.address, timeoutNanos: 5_000_000_000)
        try (bytes + [0]).withUnsafeBytes { try socket.send($0) }
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = try answer.withUnsafeMutableBytes { try socket.receive(into: $0) }
        #expect(count > 0 && answer[0] == UInt8(ascii: "E"))
        #expect(try answer.withUnsafeMutableBytes { try socket.receive(into: $0) } == 0)
    }
}
