package import MartletCore
package import MartletEngine
package import MartletLog
package import MartletPlatform

/// The HTTP interface: SQL, views and topics as JSON, health, and metrics. What asks the database or waits for the log runs on
/// the statements' pool.
package final class HTTPServer: Sendable {
    private let listener: HTTPListener
    private let news: TopicNews?

    /// With the real port where 0 was asked for.
    package var address: ListenAddress { listener.address }

    /// Serves on return. `isHealthy` answers `/healthz` and `isReady` `/readyz`, on the listener's thread: they must not block.
    /// `service` or `log` nil: there is none, and its paths are unknown. `origins`: sites whose pages may ask, besides its own.
    package init(
        _ address: ListenAddress, service: (any SQLService)?, log: Log? = nil, pool: BlockingPool, metrics: MetricsRegistry,
        answerBytesMax: Int = 64 << 20, origins: Set<String> = [], isHealthy: @escaping @Sendable () -> Bool = { true }, isReady: @escaping @Sendable () -> Bool = { true }
    ) throws(ListenError) {
        let index = HTTPServer.index(hasDatabase: service != nil, hasTopics: log != nil)
        let quick = HTTPRouter([
            HTTPRouter.Route("GET", "/") { _ in HTTPResponse(text: index) },
            HTTPRouter.Route("GET", "/metrics") { _ in
                HTTPResponse(text: metrics.renderPrometheus(), type: "text/plain; version=0.0.4; charset=utf-8")
            },
            HTTPRouter.Route("GET", "/healthz") { _ in
                isHealthy() ? HTTPResponse(text: "ok\n") : HTTPResponse(status: 503, text: "not healthy\n")
            },
            HTTPRouter.Route("GET", "/readyz") { _ in
                isReady() ? HTTPResponse(text: "ok\n") : HTTPResponse(status: 503, text: "not ready\n")
            },
        ])
        let limits = HTTPLimits(headerBytesMax: 32 << 10, bodyBytesMax: 16 << 20)
        let origins = HTTPOrigins(allowed: origins, isLocal: isLoopback(address.host))
        let streams = EventStreams()
        let sql = service.map { HTTPSQL(service: $0, answerBytesMax: answerBytesMax) }
        let topics = log.map { HTTPTopics(log: $0, clock: SystemClock(), repeated: RepeatedRequests($0)) }
        let news = log.map { TopicNews($0) }
        self.news = news
        let paths = Paths(sql: sql, topics: topics, news: news)
        let atOnce: @Sendable (HTTPRequest) -> HTTPResponse? = { request in
            guard request.path.hasPrefix("/v1/") else { return quick.respond(request) }
            switch origins.verdict(request) {
            case .own: return paths.answerAtOnce(request)
            case .foreign: return HTTPOrigins.refusal
            case .guest(let origin):
                var response = HTTPOrigins.preflight(request) ?? paths.answerAtOnce(request)
                response?.headers += HTTPOrigins.headers(for: origin)
                return response
            }
        }
        listener = try HTTPListener(address, name: "http", limits: limits, onTimer: { streams.beat() }, atOnce: atOnce) { request, exchange in
            if case .guest(let origin) = origins.verdict(request) {
                for (name, value) in HTTPOrigins.headers(for: origin) { exchange.addHeader(name, value) }
            }
            guard let work = paths.work(request) else { return exchange.respond(quick.respond(request)) }
            let full = SQLError(.configurationLimitExceeded, "too many requests are waiting")
            if pool.waiting > HTTPServer.waitingMax { return exchange.respond(HTTPQuestion.response(full)) }
            let isTaken = pool.run { HTTPServer.carryOut(work, exchange, streams, pool) }
            if !isTaken { exchange.respond(HTTPQuestion.response(full)) }
        }
        metrics.gauge("martlet_http_event_streams", help: "Streams of server-sent events that are open.") { Double(streams.count) }
    }

    /// For people who open the address: what can be asked.
    private static func index(hasDatabase: Bool, hasTopics: Bool) -> String {
        let database = """
            GET  /v1/openapi.json            all of this, with every view's columns and a line for curl
            POST /v1/sql                     SQL
            GET  /v1/views/NAME              rows: key=, COLUMN=, where=, limit=
            GET  /v1/views/NAME/changes      its changes, as server-sent events

            """
        let topics = """
            POST /v1/topics/NAME             appends a record for each line
            GET  /v1/topics/NAME/records     records
            GET  /v1/topics/NAME/changes     records as they come, as server-sent events

            """
        return "Martlet\n\n" + (hasDatabase ? database : "") + (hasTopics ? topics : "") + "GET  /healthz /readyz /metrics\n"
    }

    /// Requests beyond this are refused rather than queued.
    private static let waitingMax = 1_000

    /// On a thread of the pool.
    private static func carryOut(_ work: Paths.Work, _ exchange: HTTPExchange, _ streams: EventStreams, _ pool: BlockingPool) {
        switch work {
        case .answer(let answer): exchange.respond(answer())
        case .events(let open):
            guard !streams.isFull else {
                let error = SQLError(.configurationLimitExceeded, "there are too many streams of events")
                return exchange.respond(HTTPQuestion.response(error))
            }
            do throws(SQLError) {
                streams.begin(exchange, try open(), pool)
            } catch {
                // Changes that are not kept any more are gone for good: there is no use in asking again.
                exchange.respond(HTTPQuestion.response(error, status: error.state == .configurationLimitExceeded ? 410 : nil))
            }
        }
    }

    package func stop() {
        listener.stop()
        news?.stop()
    }
}

/// Which path is whose, of those that ask database or log.
private struct Paths: Sendable {
    enum Work: Sendable {
        case answer(@Sendable () -> HTTPResponse)
        case events(@Sendable () throws(SQLError) -> any EventSource)
    }

    let sql: HTTPSQL?
    let topics: HTTPTopics?
    let news: TopicNews?

    /// The answer to what waits for nothing.
    func answerAtOnce(_ request: HTTPRequest) -> HTTPResponse? {
        let views = "/v1/views/"
        guard let sql, request.path.hasPrefix(views) else { return nil }
        let name = request.path.dropFirst(views.count)
        return name.isEmpty || name.utf8.contains(UInt8(ascii: "/")) ? nil : sql.keyed.answer(String(name), request)
    }

    /// What a request asks of database or log; nil where it asks nothing of them.
    func work(_ request: HTTPRequest) -> Work? {
        let parts = request.path.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count >= 3, parts[0].isEmpty, parts[1] == "v1" else { return nil }
        switch (parts[2], parts.count) {
        case ("sql", 3): return sql.map { sql in only("POST", request) { sql.statements(request) } }
        case ("openapi.json", 3): return sql.map { sql in only("GET, HEAD", request) { OpenAPI.answer(sql, request) } }
        case ("views", 4...5) where !parts[3].isEmpty: return sql.flatMap { view($0, parts, request) }
        case ("topics", 4...5) where !parts[3].isEmpty: return topics.flatMap { topic($0, parts, request) }
        default: return nil
        }
    }

    private func view(_ sql: HTTPSQL, _ parts: [String], _ request: HTTPRequest) -> Work? {
        let name = parts[3]
        if parts.count == 4 { return only("GET, HEAD", request) { sql.view(name, request) } }
        guard parts[4] == "changes" else { return nil }
        guard request.method == "GET" else { return .answer { Paths.refused("GET") } }
        return .events { () throws(SQLError) in try ViewEvents(sql.service, name, request) }
    }

    private func topic(_ topics: HTTPTopics, _ parts: [String], _ request: HTTPRequest) -> Work? {
        let name = parts[3]
        if parts.count == 4 { return only("POST", request) { topics.append(name, request) } }
        switch parts[4] {
        case "records":
            return only("GET, HEAD", request) {
                do throws(SQLError) {
                    return TopicRecords(reading: try TopicReading(topics.log, name)).answer(request)
                } catch {
                    return HTTPQuestion.response(error)
                }
            }
        case "changes":
            guard request.method == "GET", let news else { return .answer { Paths.refused("GET") } }
            return .events { () throws(SQLError) in try TopicEvents(try TopicReading(topics.log, name), news, request) }
        default: return nil
        }
    }

    private func only(_ methods: String, _ request: HTTPRequest, _ answer: @escaping @Sendable () -> HTTPResponse) -> Work {
        methods.split(separator: ", ").contains { $0 == request.method } ? .answer(answer) : .answer { Paths.refused(methods) }
    }

    private static func refused(_ allowed: String) -> HTTPResponse {
        var response = HTTPQuestion.response(SQLError(.featureNotSupported, "this path takes \(allowed)"), status: 405)
        response.headers.append(("Allow", allowed))
        return response
    }
}
