import MartletCore
import MartletLog
import MartletPlatform
import MartletServer
import Testing

/// The HTTP interface over a fake database, through sockets.
@Suite("The HTTP interface", .timeLimit(.minutes(1)))
struct HTTPServerTests {
    private final class Fixture {
        let pool: BlockingPool
        let server: HTTPServer

        init(log: Log? = nil, origins: Set<String> = []) throws {
            pool = try StatementThreads.make(2)
            server = try HTTPServer(
                ListenAddress(host: "127.0.0.1", port: 0), service: FakeService(), log: log, pool: pool, metrics: MetricsRegistry(),
                answerBytesMax: 1 << 20, origins: origins)
        }

        deinit {
            pool.stop()
            server.stop()
        }

        /// Status and body.
        func ask(_ line: String, _ headers: [String] = [], body: String = "") throws -> (status: Int, body: String) {
            let text = try answer(line, headers, body: body)
            let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            return (Int(text.split(separator: " ")[1]) ?? 0, parts.count > 1 ? String(parts[1]) : "")
        }

        /// All of it.
        func answer(_ line: String, _ headers: [String] = [], body: String = "") throws -> String {
            let socket = try TCPClient(server.address, timeoutNanos: 10_000_000_000)
            let host = headers.contains { $0.hasPrefix("Host") } ? [] : ["Host: localhost"]
            let head = ["\(line) HTTP/1.1", "Connection: close", "Content-Length: \(body.utf8.count)"] + host + headers
            try Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8).withUnsafeBytes { try socket.send($0) }
            var answer: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = try buffer.withUnsafeMutableBytes { try socket.receive(into: $0) }
                if count == 0 { break }
                answer += buffer[..<count]
            }
            return String(decoding: answer, as: UTF8.self)
        }
    }

    @Test("statements give rows as JSON, and errors with their SQLSTATE")
    func statements() throws {
        let fixture = try Fixture()
        let rows = try fixture.ask("POST /v1/sql", body: "begin; rows 2; commit")
        #expect(rows.status == 200)
        #expect(
            rows.body
                == #"{"results":[{"tag":"BEGIN"},{"columns":[{"name":"n","type":"integer"},{"name":"t","type":"text"}],"rows":[{"n":0,"t":"row 0"},{"n":1,"t":"row 1"}],"tag":"SELECT 2"},{"tag":"COMMIT"}]}"#
                + "\n")
        let echo = try fixture.ask(
            "POST /v1/sql", ["Content-Type: application/json"],
            body: #"{"sql": "echo integer text jsonb numeric", "parameters": [7, "a\"b\n", {"k": [1]}, null]}"#)
        #expect(echo.body.contains(#""rows":[{"p1":7,"p2":"a\"b\n","p3":{"k": [1]},"p4":null}]"#), "\(echo.body)")
        let failed = try fixture.ask("POST /v1/sql", body: "bogus")
        #expect(failed.status == 400)
        #expect(
            failed.body
                == #"{"error":{"sqlstate":"42601","message":"syntax error at or near \"bogus\"","hint":"This is a fake.","position":1}}"# + "\n")
        for (text, status) in [("copy in text", 400), ("feed", 400), ("rows 60000", 413), ("echo integer", 400)] {
            #expect(try fixture.ask("POST /v1/sql", body: text).status == status, "\(text)")
        }
        #expect(try fixture.ask("POST /v1/sql", ["Content-Type: application/json"], body: "{").status == 400)
    }

    @Test("each path takes its methods; others are told which")
    func paths() throws {
        let fixture = try Fixture()
        #expect(try fixture.ask("GET /v1/sql").status == 405)
        #expect(try fixture.ask("POST /v1/views/x").status == 405)
        #expect(try fixture.ask("GET /nothing").status == 404)
        #expect(try fixture.ask("GET /healthz").body == "ok\n")
        #expect(try fixture.ask("GET /readyz").status == 200)
        #expect(try fixture.ask("GET /metrics").status == 200)
        #expect(try fixture.ask("GET /v1/openapi.json").body.contains("\"/v1/views/x\": {\"get\""))
        #expect(try fixture.ask("GET /v1/views/x?limit=many").body.contains("\"sqlstate\":\"22023\""))
        #expect(try fixture.ask("GET /v1/views/x?a=%zz").body.contains("hexadecimal"))
    }

    @Test("lines become records of a topic once they are durable; bad ones are refused alone")
    func topics() throws {
        let kafka = try KafkaFixture()
        try kafka.createTopic("lines", partitions: 2)
        let fixture = try Fixture(log: kafka.log)
        let first = try fixture.ask("POST /v1/topics/lines?partition=1", body: "{\"a\": 1}\n\nnonsense\n2\n")
        #expect(first.status == 200)
        #expect(first.body.hasPrefix(#"{"results":[{"partition":1,"offset":0},{"error":{"sqlstate":"22P02""#), "\(first.body)")
        #expect(first.body.hasSuffix(#",{"partition":1,"offset":1}],"accepted":2,"refused":1}"# + "\n"), "\(first.body)")
        let keyed = try fixture.ask("POST /v1/topics/lines?key=k", body: "{\"k\": \"x\"}\n{}\n")
        #expect(keyed.body.contains("the record has no member") && keyed.body.contains("\"accepted\":1"), "\(keyed.body)")
        #expect(try fixture.ask("POST /v1/topics/nowhere", body: "1").status == 404)
        let once = ["Idempotency-Key: 1"]
        let original = try fixture.ask("POST /v1/topics/lines", once, body: "1")
        #expect(original.status == 200)
        #expect(try fixture.ask("POST /v1/topics/lines", once, body: "1").body == original.body)
        #expect(try fixture.ask("POST /v1/topics/lines", once, body: "2").status == 422)
        #expect(try fixture.ask("POST /v1/topics/lines", body: "x").status == 400)
        #expect(try fixture.ask("GET /v1/topics/lines").status == 405)
    }

    @Test("pages of other sites reach nothing")
    func otherSites() throws {
        let fixture = try Fixture()
        #expect(try fixture.ask("POST /v1/sql", ["Origin: http://evil.example"], body: "rows 1").status == 403)
        #expect(try fixture.ask("POST /v1/sql", ["Host: evil.example", "Origin: http://evil.example"], body: "rows 1").status == 403)
        #expect(try fixture.ask("GET /v1/views/x", ["Host: evil.example"]).status == 403)
        #expect(try fixture.ask("POST /v1/sql", ["Host: localhost:8080", "Origin: http://localhost:8080"], body: "rows 1").status == 200)
    }

    @Test("pages of sites that are allowed to ask are told so by every answer, and no others")
    func allowedSites() throws {
        let fixture = try Fixture(origins: ["http://app.example:3000"])
        let guest = ["Host: 127.0.0.1:8080", "Origin: http://app.example:3000"]
        let told = "Access-Control-Allow-Origin: http://app.example:3000\r\n"
        for (line, body) in [("POST /v1/sql", "rows 1"), ("POST /v1/sql", "bogus"), ("GET /v1/views/x", ""), ("GET /v1/nothing", "")] {
            #expect(try fixture.answer(line, guest, body: body).contains(told), "\(line)")
        }
        let preflight = try fixture.answer("OPTIONS /v1/sql", guest + ["Access-Control-Request-Method: POST"])
        #expect(preflight.hasPrefix("HTTP/1.1 204") && preflight.contains(told) && preflight.contains("Access-Control-Allow-Methods: GET, HEAD, POST"))
        for origin in ["http://app.example", "https://app.example:3000", "null"] {
            let answer = try fixture.answer("OPTIONS /v1/sql", [guest[0], "Origin: \(origin)", "Access-Control-Request-Method: POST"])
            #expect(answer.hasPrefix("HTTP/1.1 403") && !answer.contains("Access-Control"), "\(origin)")
        }
        #expect(try fixture.answer("GET /v1/views/x", ["Host: app.example:3000", guest[1]]).hasPrefix("HTTP/1.1 403"))
        #expect(try !fixture.answer("POST /v1/sql", body: "rows 1").contains("Access-Control"))
    }

    @Test("an answer that takes long delays nobody else's")
    func concurrent() throws {
        let fixture = try Fixture()
        let slow = try TCPClient(fixture.server.address, timeoutNanos: 10_000_000_000)
        try Array("POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nsleep".utf8).withUnsafeBytes { try slow.send($0) }
        let clock = SystemClock()
        let start = clock.monotonicNanos()
        #expect(try fixture.ask("POST /v1/sql", body: "rows 1").status == 200)
        #expect(clock.monotonicNanos() - start < 1_500_000_000)
    }
}
