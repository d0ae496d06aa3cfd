internal import CMartletEvent
internal import Glibc

/// A TCP connection for commands and tests: blocking, one thread at a time.
package final class TCPClient {
    private let descriptor: Int32

    /// `timeoutNanos` bounds each later send and receive; 0: no bound.
    package init(_ address: ListenAddress, timeoutNanos: Int64 = 0) throws(ListenError) {
        var reason = [CChar](repeating: 0, count: 256)
        let host = address.host.isEmpty ? "localhost" : address.host
        descriptor = martlet_tcp_connect(host, address.port, &reason, reason.count)
        guard descriptor >= 0 else {
            let words = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw ListenError(message: "cannot connect to \(address): \(words)")
        }
        if timeoutNanos > 0 { martlet_tcp_set_timeout(descriptor, timeoutNanos / 1_000) }
    }

    deinit { martlet_tcp_close(descriptor) }

    /// All of `bytes`; throws when the other end is gone or the time is up.
    package func send(_ bytes: UnsafeRawBufferPointer) throws(ListenError) {
        var sent = 0
        while sent < bytes.count {
            var piece = martlet_piece(bytes: bytes.baseAddress! + sent, count: bytes.count - sent)
            let count = martlet_tcp_send(descriptor, &piece, 1)
            guard count > 0 else { throw ListenError(message: "the connection broke while sending (error \(-count))") }
            sent += Int(count)
        }
    }

    /// Fills `buffer` as far as there is something; 0 at the end of the stream.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) throws(ListenError) -> Int {
        let count = martlet_tcp_receive(descriptor, buffer.baseAddress, buffer.count, nil, 0)
        guard count >= 0 else {
            throw ListenError(
                message: count == -11 ? "no answer within the time" : "the connection broke while receiving (error \(-count))")
        }
        return Int(count)
    }

    /// Fills `buffer` to its end; false at the end of the stream before that.
    package func receiveAll(into buffer: UnsafeMutableRawBufferPointer) throws(ListenError) -> Bool {
        var filled = 0
        while filled < buffer.count {
            let count = try receive(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            if count == 0 { return false }
            filled += count
        }
        return true
    }

    /// Whether a receive would give something (or the end) within the time.
    package func waitUntilReadable(timeoutMillis: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, timeoutMillis) != 0
    }

    /// Tells the other end that nothing more comes.
    package func finishSending() { martlet_tcp_finish_sending(descriptor) }
}
