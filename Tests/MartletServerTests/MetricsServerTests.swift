import Foundation
import Glibc
import MartletCore
import MartletPlatform
import MartletServer
import Synchronization
import Testing

@Suite("The metrics page over HTTP")
struct MetricsServerTests {
    static let anyPort = ListenAddress(host: "127.0.0.1", port: 0)

    @Test("curl reads metrics and health")
    func curl() throws {
        let metrics = MetricsRegistry()
        metrics.counter("martlet_rows_total", help: "Rows.").add(12)
        let isHealthy = Flag(true)
        let server = try MetricsServer(Self.anyPort, metrics: metrics) { isHealthy.value }
        defer { server.stop() }
        let base = "http://\(server.address)"

        let page = try run("curl", "-sSi", "\(base)/metrics?x=1")
        #expect(page.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(page.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(page.hasSuffix("\r\n\r\n# HELP martlet_rows_total Rows.\n# TYPE martlet_rows_total counter\nmartlet_rows_total 12\n"))

        let head = try run("curl", "-sSI", "\(base)/metrics")
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(head.contains("Content-Length: 88\r\n"))
        #expect(head.hasSuffix("\r\n\r\n"))

        #expect(try run("curl", "-sS", "-w", "%{http_code}", "\(base)/healthz") == "ok\n200")
        isHealthy.value = false
        #expect(try run("curl", "-sS", "-w", "%{http_code}", "\(base)/healthz") == "not healthy\n503")
        #expect(try run("curl", "-sS", "-o", "-", "-w", "%{http_code}", "\(base)/other") == "nothing at this path\n404")
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let refused = try run("curl", "-sSi", "-X", method, "-d", "x", "\(base)/metrics")
            #expect(refused.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
            #expect(refused.contains("Allow: GET, HEAD\r\n"))
        }
    }

    @Test("a body or header beyond the limit is refused, garbage is not answered as if it were a request, and the server lives on")
    func limits() throws {
        let server = try MetricsServer(Self.anyPort, metrics: MetricsRegistry())
        defer { server.stop() }
        let body = String(repeating: "x", count: 5000)
        #expect(raw(server, "POST /metrics HTTP/1.1\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n\(body)").hasPrefix("HTTP/1.1 413"))
        #expect(!raw(server, "GET /metrics HTTP/1.1\r\nX: \(String(repeating: "y", count: 20_000))\r\n\r\n").contains(" 200 "))
        #expect(!raw(server, "GET /metrics HTTP/1.1\r\nContent-Length: -5\r\n\r\n").contains(" 200 "))
        for garbage in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}", "FOO /metrics HTTP/1.1\r\n\r\n", "GET /%ff%00%zz HTTP/1.1\r\nConnection: close\r\n\r\n"] {
            #expect(!raw(server, garbage).contains(" 200 "))
        }
        #expect(raw(server, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").hasSuffix("ok\n"))
    }

    @Test("an address that is taken or unknown is refused in words")
    func refusals() throws {
        let server = try MetricsServer(Self.anyPort, metrics: MetricsRegistry())
        let taken = #expect(throws: ListenError.self) { try MetricsServer(server.address, metrics: MetricsRegistry()) }
        #expect(taken?.description == "cannot listen on \(server.address): Address already in use")
        let unknown = ListenAddress(host: "256.0.0.1", port: 0)
        let error = #expect(throws: ListenError.self) { try MetricsServer(unknown, metrics: MetricsRegistry()) }
        #expect(error?.message.hasPrefix("cannot listen on 256.0.0.1:0: ") == true)
        // Stopped twice is stopped; the address is free again.
        server.stop()
        server.stop()
        let next = try MetricsServer(server.address, metrics: MetricsRegistry())
        next.stop()
    }

    @Test("a listener gives its handler the whole request")
    func wholeRequest() throws {
        let seen = Mutex<HTTPRequest?>(nil)
        let listener = try HTTPListener(Self.anyPort, name: "test") { request in
            seen.withLock { $0 = request }
            return HTTPResponse(status: 201, headers: [("X-Answer", "a"), ("X-Split", "b\r\nInjected: c")], body: [0, 1, 2])
        }
        defer { listener.stop() }
        let reply = raw(
            listener.address.port,
            "POST /v1/a%20b/%C3%A9?q=1&r=%20 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-two: 2\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\0\u{1}ab")
        #expect(reply.hasPrefix("HTTP/1.1 201 Created\r\n"))
        #expect(reply.contains("X-Answer: a\r\n"))
        #expect(!reply.contains("Injected"))
        #expect(reply.hasSuffix("\r\n\r\n\0\u{1}\u{2}"))
        let request = try #require(seen.withLock { $0 })
        #expect(request.method == "POST")
        #expect(request.path == "/v1/a b/é")
        #expect(request.query == "q=1&r=%20")
        #expect(request.header("X-TWO") == "2")
        #expect(request.headers.map(\.name) == ["Host", "X-One", "x-two", "Content-Length", "Connection"])
        #expect(request.body == [0, 1, 97, 98])
    }

    private final class Flag: Sendable {
        private let state: Mutex<Bool>
        init(_ value: Bool) { state = Mutex(value) }
        var value: Bool {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    private func run(_ command: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    private func raw(_ server: MetricsServer, _ request: String) -> String { raw(server.address.port, request) }

    /// Sends bytes, ends its side, and returns what comes until the other side closes.
    private func raw(_ port: UInt16, _ request: String) -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        guard isConnected else { return "no connection" }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(request.utf8)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        // Not shut down for writing: libevent takes that as the client's leaving.
        var reply: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &block, block.count, 0)
            if count <= 0 { break }
            reply.append(contentsOf: block[..<count])
            if isComplete(reply) { break }
        }
        return String(decoding: reply, as: UTF8.self)
    }

    /// Whether an error page is whole, so that a kept-alive connection need not time out.
    private func isComplete(_ reply: [UInt8]) -> Bool {
        let text = String(decoding: reply, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n"), let field = text.range(of: "Content-Length: ") else { return false }
        let length = Int(text[field.upperBound...].prefix { $0.isNumber }) ?? 0
        return text[end.upperBound...].utf8.count >= length
    }
}
