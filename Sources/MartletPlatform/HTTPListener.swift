internal import CMartletEvent
internal import Synchronization

/// A request as it came, whole.
package struct HTTPRequest: Sendable {
    /// In capitals.
    package var method: String
    /// Percent-decoded, begins with "/"; bytes that are not UTF-8 are replaced.
    package var path: String
    /// What follows "?", not decoded; nil without one.
    package var query: String?
    /// In the order they came.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(method: String, path: String, query: String? = nil, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The first header of that name, whatever its case.
    package func header(_ name: String) -> String? {
        headers.first { HTTPRequest.isSame($0.name, name) }?.value
    }

    /// Whatever the case of their ASCII letters; others have no case in names.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        func small(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
        return left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { small($0) == small($1) }
    }
}

package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Text as UTF-8, `text/plain` unless said otherwise.
    package init(status: Int = 200, text: String, type: String = "text/plain; charset=utf-8") {
        self.init(status: status, headers: [("Content-Type", type)], body: Array(text.utf8))
    }

    /// The standard phrase of the status.
    package var reason: String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Status \(status)"
        }
    }
}

/// What a listener takes before it refuses, so that no client decides how much memory it uses.
package struct HTTPLimits: Sendable {
    package var headerBytesMax: UInt32
    package var bodyBytesMax: UInt32
    package var idleSecondsMax: UInt32

    package init(headerBytesMax: UInt32 = 16 << 10, bodyBytesMax: UInt32 = 1 << 20, idleSecondsMax: UInt32 = 30) {
        self.headerBytesMax = headerBytesMax
        self.bodyBytesMax = bodyBytesMax
        self.idleSecondsMax = idleSecondsMax
    }
}

/// HTTP/1.1 on one address, parsed and written by libevent, on one thread of its own.
///
/// The handler runs on that thread, one request at a time, and must not block. It answers at once (`Handler`), or hands the
/// exchange to somebody who answers later (`Responder`).
package final class HTTPListener: Sendable {
    package typealias Handler = @Sendable (HTTPRequest) -> HTTPResponse
    package typealias Responder = @Sendable (HTTPRequest, HTTPExchange) -> Void

    /// The address with the port that is really listened on.
    package let address: ListenAddress
    private let thread: WorkerThread
    /// nil once stopped. Sound: only `stop` touches it besides the thread, and the thread is joined before it is freed.
    private let server: Mutex<ServerPointer?>
    private let queue: HTTPQueue

    /// Listens and serves at once. Throws in words for a user when the address is taken, unknown or not allowed.
    package convenience init(
        _ address: ListenAddress, name: String, limits: HTTPLimits = HTTPLimits(), handler: @escaping Handler
    ) throws(ListenError) {
        try self.init(address, name: name, limits: limits) { request, exchange in exchange.respond(handler(request)) }
    }

    /// As the other, with answers that may come later and from any thread. `atOnce` is asked first, and answers what waits for
    /// nobody without more ado; nil: the responder is asked. `onTimer` is called on the listener's thread about once a second.
    /// None of them may block.
    package init(
        _ address: ListenAddress, name: String, limits: HTTPLimits = HTTPLimits(), onTimer: (@Sendable () -> Void)? = nil,
        atOnce: (@Sendable (HTTPRequest) -> HTTPResponse?)? = nil, responder: @escaping Responder
    ) throws(ListenError) {
        var bounds = martlet_http_limits(
            header_bytes_max: limits.headerBytesMax, body_bytes_max: limits.bodyBytesMax,
            idle_seconds_max: limits.idleSecondsMax)
        // Owned by the thread's closure, which outlives every call of the handler.
        let queue = HTTPQueue()
        self.queue = queue
        let box = HandlerBox(responder, queue, onTimer, atOnce)
        var reason = [CChar](repeating: 0, count: 256)
        guard
            let raw = martlet_http_listen(
                address.host, address.port, &bounds, answer, Unmanaged.passUnretained(box).toOpaque(), &reason, reason.count)
        else {
            let words = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw ListenError(message: "cannot listen on \(address): \(words)")
        }
        let pointer = ServerPointer(raw: raw)
        martlet_http_on_wake(raw, runPosted)
        if onTimer != nil, martlet_http_set_timer(raw, 1_000, runTimer) == 0 {
            martlet_http_free(raw)
            throw ListenError(message: "cannot listen on \(address): out of memory")
        }
        queue.open(pointer)
        self.address = ListenAddress(host: address.host, port: martlet_http_port(raw))
        do {
            thread = try WorkerThread(name: name, stackBytes: 1 << 20) {
                WorkerThread.takeShortTurns()
                martlet_http_run(pointer.raw)
                withExtendedLifetime(box) {}
            }
        } catch {
            queue.close()
            martlet_http_free(raw)
            throw ListenError(message: "cannot listen on \(address): \(error)")
        }
        server = Mutex(pointer)
    }

    deinit { stop() }

    /// Closes the address and all connections; returns when the last handler has. Not to be called by a handler.
    package func stop() {
        server.withLock { server in
            guard let pointer = server else { return }
            server = nil
            queue.close()
            martlet_http_stop(pointer.raw)
            thread.join()
            martlet_http_free(pointer.raw)
        }
    }
}

/// Sound: `stop` may come from any thread, and everything else is the server thread's until it is joined.
struct ServerPointer: @unchecked Sendable { let raw: OpaquePointer }

private final class HandlerBox: Sendable {
    let responder: HTTPListener.Responder
    let queue: HTTPQueue
    let onTimer: (@Sendable () -> Void)?
    let atOnce: (@Sendable (HTTPRequest) -> HTTPResponse?)?

    init(
        _ responder: @escaping HTTPListener.Responder, _ queue: HTTPQueue, _ onTimer: (@Sendable () -> Void)?,
        _ atOnce: (@Sendable (HTTPRequest) -> HTTPResponse?)?
    ) {
        self.responder = responder
        self.queue = queue
        self.onTimer = onTimer
        self.atOnce = atOnce
    }
}

/// What other threads have the listener's thread do.
final class HTTPQueue: Sendable {
    private struct Content {
        var server: ServerPointer?
        var bodies: [@Sendable () -> Void] = []
    }

    private let content = Mutex(Content())

    func open(_ server: ServerPointer) { content.withLock { $0.server = server } }

    /// Under the lock, so that the server is not freed meanwhile. After `close` nothing happens.
    func post(_ body: @escaping @Sendable () -> Void) {
        content.withLock { content in
            guard let server = content.server else { return }
            content.bodies.append(body)
            if content.bodies.count == 1 { martlet_http_wake(server.raw) }
        }
    }

    func run() {
        let bodies = content.withLock { content in
            defer { content.bodies = [] }
            return content.bodies
        }
        for body in bodies { body() }
    }

    func close() { content.withLock { $0 = Content() } }
}

/// A request that waits for its answer. Any thread; one answer.
///
/// Sound: the pointer is used on the listener's thread only, until the reply, and not at all once the listener has stopped.
package final class HTTPExchange: @unchecked Sendable {
    private let raw: OpaquePointer
    private let queue: HTTPQueue
    private let isAnswered = Atomic<Bool>(false)

    fileprivate init(_ raw: OpaquePointer, _ queue: HTTPQueue) {
        self.raw = raw
        self.queue = queue
    }

    deinit {
        // Nobody answered: the client is not left waiting.
        respond(HTTPResponse(status: 500, text: "no answer\n"))
    }

    /// The answer is a stream of pieces: status and headers leave at once. nil: there was an answer already.
    package func stream(_ head: HTTPResponse, writeSecondsMax: UInt32 = 60) -> HTTPStream? {
        guard !isAnswered.exchange(true, ordering: .relaxed) else { return nil }
        let stream = HTTPStream(raw, queue)
        stream.begin(head, writeSecondsMax: writeSecondsMax)
        return stream
    }

    /// Goes with the answer, whoever gives it. Within the responder's call only, before an answer.
    package func addHeader(_ name: String, _ value: String) { martlet_http_reply_header(raw, name, value) }

    /// The first answer counts.
    package func respond(_ response: HTTPResponse) {
        guard !isAnswered.exchange(true, ordering: .relaxed) else { return }
        nonisolated(unsafe) let raw = raw
        queue.post { reply(raw, response) }
    }
}

/// Listener's thread.
private func reply(_ exchange: OpaquePointer, _ response: HTTPResponse) {
    for (name, value) in response.headers { martlet_http_reply_header(exchange, name, value) }
    response.body.withUnsafeBytes { bytes in
        martlet_http_reply(exchange, Int32(response.status), response.reason, bytes.baseAddress, bytes.count)
    }
}

private func runPosted(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<HandlerBox>.fromOpaque(context).takeUnretainedValue().queue.run()
}

private func runTimer(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<HandlerBox>.fromOpaque(context).takeUnretainedValue().onTimer?()
}

private func answer(_ context: UnsafeMutableRawPointer?, _ exchange: OpaquePointer?) {
    guard let context, let exchange else { return }
    let box = Unmanaged<HandlerBox>.fromOpaque(context).takeUnretainedValue()
    let request = request(from: exchange)
    if let response = box.atOnce?(request) { return reply(exchange, response) }
    guard let kept = martlet_http_defer(exchange) else {
        martlet_http_reply(exchange, 503, "Service Unavailable", nil, 0)
        return
    }
    box.responder(request, HTTPExchange(kept, box.queue))
    // What was answered at once leaves at once.
    box.queue.run()
}

private func request(from exchange: OpaquePointer) -> HTTPRequest {
    var length = 0
    let path = martlet_http_path(exchange, &length)
    let pathBytes = UnsafeRawBufferPointer(start: path, count: length)
    var request = HTTPRequest(
        method: String(cString: martlet_http_method(exchange)), path: String(decoding: pathBytes, as: UTF8.self),
        query: martlet_http_query(exchange).map { String(cString: $0) })
    var name: UnsafePointer<CChar>?
    var value: UnsafePointer<CChar>?
    var cursor: UnsafeRawPointer?
    while martlet_http_header(exchange, &cursor, &name, &value) != 0, let name, let value {
        request.headers.append((String(cString: name), String(cString: value)))
    }
    let body = martlet_http_body(exchange, &length)
    request.body = Array(UnsafeRawBufferPointer(start: body, count: length))
    return request
}
