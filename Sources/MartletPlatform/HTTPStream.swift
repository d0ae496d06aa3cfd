internal import CMartletEvent
internal import Synchronization

/// An answer without an end, in pieces (chunks of HTTP/1.1). Any thread; pieces leave in the order of the calls.
///
/// What is sent waits in memory until the client takes it: whoever sends asks (`whenDrained`) before there is more.
///
/// Sound: the pointer is used on the listener's thread only, until the end, and not at all once the listener has stopped.
package final class HTTPStream: @unchecked Sendable {
    private struct Shared {
        /// Pieces that were handed over and not all taken.
        var isSending = false
        var isClosed = false
        var isEnded = false
        var onDrained: [@Sendable () -> Void] = []
        var onClosed: (@Sendable () -> Void)?
    }

    private let raw: OpaquePointer
    private let queue: HTTPQueue
    private let shared = Mutex(Shared())

    init(_ raw: OpaquePointer, _ queue: HTTPQueue) {
        self.raw = raw
        self.queue = queue
    }

    fileprivate struct Box: @unchecked Sendable { let raw: OpaquePointer }

    func begin(_ head: HTTPResponse, writeSecondsMax: UInt32) {
        let box = Box(raw: raw)
        queue.post { [self] in
            for (name, value) in head.headers { martlet_http_reply_header(box.raw, name, value) }
            // Released when the stream ends, which it does once, or with the process where the listener stops before.
            var stream = martlet_http_stream(
                on_drained: streamDrained, on_closed: streamClosed, context: Unmanaged.passRetained(self).toOpaque(),
                write_seconds_max: writeSecondsMax)
            if martlet_http_stream_begin(box.raw, Int32(head.status), head.reason, &stream) == 0 { close() }
        }
        send(head.body)
    }

    /// The client is gone, or took nothing for too long: nothing that is sent arrives any more.
    package var isClosed: Bool { shared.withLock { $0.isClosed } }

    package func send(_ bytes: [UInt8]) {
        let isTaken = shared.withLock { shared in
            if shared.isClosed || shared.isEnded || bytes.isEmpty { return false }
            shared.isSending = true
            return true
        }
        guard isTaken else { return }
        let box = Box(raw: raw)
        queue.post {
            bytes.withUnsafeBytes { martlet_http_stream_send(box.raw, $0.baseAddress, $0.count) }
        }
    }

    /// Calls `wake` once everything that was sent is taken, or the stream is closed; at once if that is so. On any thread.
    package func whenDrained(_ wake: @escaping @Sendable () -> Void) {
        let isDrained = shared.withLock { shared in
            if shared.isClosed || !shared.isSending { return true }
            shared.onDrained.append(wake)
            return false
        }
        if isDrained { wake() }
    }

    /// Calls `body` when the client goes; at once if it is gone. Once.
    package func whenClosed(_ body: @escaping @Sendable () -> Void) {
        let isClosed = shared.withLock { shared in
            if !shared.isClosed { shared.onClosed = body }
            return shared.isClosed
        }
        if isClosed { body() }
    }

    /// What was sent still leaves, then the connection closes. To be called whatever happened, once; again changes nothing.
    package func end() {
        let isFirst = shared.withLock { shared in
            defer {
                shared.isEnded = true
                shared.onClosed = nil
            }
            return !shared.isEnded
        }
        guard isFirst else { return }
        let box = Box(raw: raw)
        queue.post { [self] in
            martlet_http_stream_end(box.raw)
            Unmanaged.passUnretained(self).release()
        }
    }

    // MARK: Listener's thread

    fileprivate func drained() {
        let wakes = shared.withLock { shared in
            shared.isSending = false
            defer { shared.onDrained = [] }
            return shared.onDrained
        }
        for wake in wakes { wake() }
    }

    fileprivate func close() {
        let (wakes, onClosed) = shared.withLock { shared in
            shared.isClosed = true
            defer {
                shared.onDrained = []
                shared.onClosed = nil
            }
            return (shared.onDrained, shared.onClosed)
        }
        for wake in wakes { wake() }
        onClosed?()
    }
}

private func streamDrained(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<HTTPStream>.fromOpaque(context).takeUnretainedValue().drained()
}

private func streamClosed(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<HTTPStream>.fromOpaque(context).takeUnretainedValue().close()
}
