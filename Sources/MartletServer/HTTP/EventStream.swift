internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import Synchronization

/// Where server-sent events come from. One thread at a time.
protocol EventSource: AnyObject {
    /// Appends some of the events that there are; false: there are none now. Throws where there will be none any more.
    func next(into events: ByteSink) throws(SQLError) -> Bool
    /// After there was none: `wake` is called, from any thread, when asking again may give some; at once if that is so already.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    /// Nothing has happened for a while: something that keeps the connection, and says how far the client has seen everything.
    func beat(into events: ByteSink)
    func close()
}

/// Server-sent events (HTML, section "Server-sent events") on their way to one client, on the pool's threads, none while it
/// waits: for events, or for the client to take them.
///
///     running ─▶ draining ─▶ running      the client is to take what was sent
///             ─▶ waiting  ─▶ running      events are to come, or it is time for a sign of life
///
/// At most `pieceBytes` and one batch of events wait for a client; what comes meanwhile waits where the source keeps it.
///
/// Sound to share: the source is touched by whoever set `running` only; everything else is behind the lock.
final class EventStream: @unchecked Sendable {
    private enum Phase { case running, draining, waiting, ended }

    private struct Shared {
        var phase = Phase.running
        /// The source spoke while it was being asked.
        var isWoken = false
        /// The source will speak.
        var isAwaited = false
        var isBeatDue = false
        var lastNanos: Int64 = 0
    }

    private static let pieceBytes = 64 << 10
    /// Proxies and browsers give up a connection that says nothing for half a minute.
    static let beatNanos: Int64 = 15_000_000_000

    private let stream: HTTPStream
    private let source: any EventSource
    private let pool: BlockingPool
    private let onEnd: @Sendable (EventStream) -> Void
    private let shared = Mutex(Shared())

    static let head = HTTPResponse(
        status: 200,
        headers: [
            ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"),
            // Proxies that gather answers would hold events back.
            ("X-Accel-Buffering", "no"),
        ], body: Array("retry: 1000\n\n".utf8))

    init(_ stream: HTTPStream, _ source: any EventSource, _ pool: BlockingPool, onEnd: @escaping @Sendable (EventStream) -> Void) {
        self.stream = stream
        self.source = source
        self.pool = pool
        self.onEnd = onEnd
    }

    /// Begins; on a thread of the pool.
    func start() {
        stream.whenClosed { self.resume { $0 == .waiting || $0 == .draining } }
        run()
    }

    /// Called from time to time, on any thread.
    func beat(nowNanos: Int64) {
        let isDue = shared.withLock { shared in
            guard shared.phase == .waiting, nowNanos - shared.lastNanos >= EventStream.beatNanos else { return false }
            shared.isBeatDue = true
            return true
        }
        if isDue { resume { $0 == .waiting } }
    }

    private func resume(if isRight: (Phase) -> Bool) {
        let starts = shared.withLock { shared in
            guard isRight(shared.phase) else { return false }
            shared.phase = .running
            return true
        }
        // A pool that is stopped runs nothing, and the process ends.
        if starts { pool.run { self.run() } }
    }

    private func sourceSpoke() {
        let starts = shared.withLock { shared in
            shared.isAwaited = false
            shared.isWoken = true
            guard shared.phase == .waiting else { return false }
            shared.phase = .running
            return true
        }
        if starts { pool.run { self.run() } }
    }

    // MARK: The pool's thread

    private func run() {
        while !stream.isClosed {
            let isBeatDue = shared.withLock { shared in
                defer {
                    shared.isWoken = false
                    shared.isBeatDue = false
                }
                return shared.isBeatDue
            }
            let events = ByteSink(capacity: 1024)
            do throws(SQLError) {
                while events.count < EventStream.pieceBytes, try source.next(into: events) {}
            } catch {
                ServerSentEvent.append("end", error, to: events)
                stream.send([UInt8](events.bytes))
                break
            }
            if events.isEmpty, isBeatDue { source.beat(into: events) }
            if !events.isEmpty { return drain([UInt8](events.bytes)) }
            if wait() { return }
        }
        shared.withLock { $0.phase = .ended }
        source.close()
        stream.end()
        onEnd(self)
    }

    private func drain(_ bytes: [UInt8]) {
        stream.send(bytes)
        let now = SystemClock().monotonicNanos()
        shared.withLock { shared in
            shared.lastNanos = now
            shared.phase = .draining
        }
        // Whoever wakes may run at once: nothing of the source is touched from here on.
        stream.whenDrained { self.resume { $0 == .draining } }
        // The client may have gone before there was somebody to be told.
        if stream.isClosed { resume { $0 == .draining } }
    }

    /// False: the source spoke in between.
    private func wait() -> Bool {
        let arms = shared.withLock { shared in
            defer { shared.isAwaited = true }
            return !shared.isAwaited
        }
        if arms { source.whenReady { [weak self] in self?.sourceSpoke() } }
        let waits = shared.withLock { shared in
            if !shared.isWoken { shared.phase = .waiting }
            return !shared.isWoken
        }
        if waits, stream.isClosed { resume { $0 == .waiting } }
        return waits
    }
}

/// The streams of one server.
final class EventStreams: Sendable {
    /// Beyond it requests for streams are refused.
    static let streamsMax = 10_000

    private let streams = Mutex<[ObjectIdentifier: EventStream]>([:])

    var isFull: Bool { streams.withLock { $0.count >= EventStreams.streamsMax } }
    var count: Int { streams.withLock { $0.count } }

    /// Answers the request with what comes from `source`. On a thread of the pool.
    func begin(_ exchange: HTTPExchange, _ source: any EventSource, _ pool: BlockingPool) {
        guard let stream = exchange.stream(EventStream.head) else { return source.close() }
        let events = EventStream(stream, source, pool) { [self] ended in
            _ = streams.withLock { $0.removeValue(forKey: ObjectIdentifier(ended)) }
        }
        streams.withLock { $0[ObjectIdentifier(events)] = events }
        events.start()
    }

    func beat() {
        let now = SystemClock().monotonicNanos()
        for stream in streams.withLock({ Array($0.values) }) { stream.beat(nowNanos: now) }
    }
}

/// Lines of the format.
enum ServerSentEvent {
    /// An event with a name: `event: NAME`, then an error as JSON.
    static func append(_ name: String, _ error: SQLError, to events: ByteSink) {
        events.append("event: ")
        events.append(text: name)
        events.append("\ndata: {\"error\":")
        HTTPQuestion.append(error, to: events)
        events.append("}\n\n")
    }
}
