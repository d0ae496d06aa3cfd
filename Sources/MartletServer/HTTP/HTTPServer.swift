package import MartletCore
package import MartletEngine
package import MartletLog
package import MartletPlatform

/// The HTTP interface: SQL, views and topics as JSON, health, and metrics. What asks the database or waits for the log runs on
/// the statements' pool.
package final class HTTPServer: Sendable {
    private let listener: HTTPListener

    /// With the real port where 0 was asked for.
    package var address: ListenAddress { listener.address }

    /// Serves on return. `isHealthy` answers `/healthz` and `isReady` `/readyz`, on the listener's thread: they must not block.
    /// `service` or `log` nil: there is none, and its paths are unknown.
    package init(
        _ address: ListenAddress, service: (any SQLService)?, log: Log? = nil, pool: BlockingPool, metrics: MetricsRegistry,
        answerBytesMax: Int = 64 << 20, isHealthy: @escaping @Sendable () -> Bool = { true }, isReady: @escaping @Sendable () -> Bool = { true }
    ) throws(ListenError) {
        let quick = HTTPRouter([
            HTTPRouter.Route("GET", "/metrics") { _ in
                HTTPResponse(text: metrics.renderPrometheus(), type: "text/plain; version=0.0.4; charset=utf-8")
            },
            HTTPRouter.Route("GET", "/healthz") { _ in
                isHealthy() ? HTTPResponse(text: "ok\n") : HTTPResponse(status: 503, text: "not healthy\n")
            },
            HTTPRouter.Route("GET", "/readyz") { _ in
                isReady() ? HTTPResponse(text: "ok\n") : HTTPResponse(status: 503, text: "not ready\n")
            },
            HTTPRouter.Route("GET", "/v1/openapi.json") { _ in HTTPResponse(text: OpenAPI.document, type: "application/json") },
        ])
        let limits = HTTPLimits(headerBytesMax: 32 << 10, bodyBytesMax: 16 << 20)
        let isLocal = isLoopback(address.host)
        listener = try HTTPListener(address, name: "http", limits: limits) { request, exchange in
            if request.path.hasPrefix("/v1/"), !HTTPServer.isOwn(request, isLocal: isLocal) { return exchange.respond(HTTPServer.foreign()) }
            let sql = service.map { HTTPSQL(service: $0, answerBytesMax: answerBytesMax) }
            guard let work = HTTPServer.work(request, sql, log.map { HTTPTopics(log: $0, clock: SystemClock()) }) else {
                return exchange.respond(quick.respond(request))
            }
            if pool.waiting > HTTPServer.waitingMax || !pool.run({ exchange.respond(work()) }) {
                exchange.respond(HTTPQuestion.response(SQLError(.configurationLimitExceeded, "too many requests are waiting")))
            }
        }
    }

    /// Requests beyond this are refused rather than queued.
    private static let waitingMax = 1_000

    /// What a request asks of database or log; nil where it asks nothing of them.
    private static func work(_ request: HTTPRequest, _ sql: HTTPSQL?, _ topics: HTTPTopics?) -> (@Sendable () -> HTTPResponse)? {
        if let topics, let name = rest(of: request.path, behind: "/v1/topics/") {
            guard request.method == "POST" else { return { refused("POST") } }
            return { topics.append(name, request) }
        }
        guard let sql else { return nil }
        if request.path == "/v1/sql" {
            guard request.method == "POST" else { return { refused("POST") } }
            return { sql.statements(request) }
        }
        if let name = rest(of: request.path, behind: "/v1/views/") {
            guard request.method == "GET" || request.method == "HEAD" else { return { refused("GET, HEAD") } }
            return { sql.view(name, request) }
        }
        return nil
    }

    private static func rest(of path: String, behind prefix: String) -> String? {
        path.hasPrefix(prefix) && path.utf8.count > prefix.utf8.count ? String(path.dropFirst(prefix.count)) : nil
    }

    private static func refused(_ allowed: String) -> HTTPResponse {
        var response = HTTPQuestion.response(SQLError(.featureNotSupported, "this path takes \(allowed)"))
        response.status = 405
        response.headers.append(("Allow", allowed))
        return response
    }

    /// A page of another site that a user of this machine looks at may send a POST here, and, where its name is made to mean
    /// this machine, read answers as well. Its browser says where it comes from (`Origin`) and what it asked for (`Host`).
    /// On loopback only numbers and localhost are this machine's names.
    private static func isOwn(_ request: HTTPRequest, isLocal: Bool) -> Bool {
        guard let host = request.header("Host") else { return request.header("Origin") == nil }
        if isLocal, !host.hasPrefix("localhost"), !host.hasPrefix("["), host.utf8.first.map({ $0 &- 0x30 < 10 }) != true { return false }
        guard let origin = request.header("Origin") else { return true }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    private static func foreign() -> HTTPResponse {
        HTTPQuestion.response(SQLError(.insufficientPrivilege, "requests are not taken from pages of other sites"))
    }

    package func stop() { listener.stop() }
}
