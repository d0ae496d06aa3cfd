internal import CMartletPQ
internal import Glibc
internal import MartletCore

/// One connection to a PostgreSQL server. Used by one thread at a time; calls wait for the server.
struct PostgresConnection: ~Copyable {
    private let handle: OpaquePointer
    private let subject: String
    private let gate: PostgresGate?

    /// - Parameters:
    ///   - parameters: libpq's keywords and values.
    ///   - subject: who is connected, for messages.
    ///   - gate: whoever shuts it ends the waiting for answers.
    init(_ parameters: [(String, String)], subject: String, gate: PostgresGate? = nil) throws(SQLError) {
        var keywords: [UnsafeMutablePointer<CChar>?] = []
        var values: [UnsafeMutablePointer<CChar>?] = []
        for (keyword, value) in parameters {
            keywords.append(strdup(keyword))
            values.append(strdup(value))
        }
        keywords.append(nil)
        values.append(nil)
        defer {
            for text in keywords + values { free(text) }
        }
        let opened = keywords.withUnsafeBufferPointer { keywords in
            values.withUnsafeBufferPointer { values in
                keywords.withMemoryRebound(to: UnsafePointer<CChar>?.self) { keywords in
                    values.withMemoryRebound(to: UnsafePointer<CChar>?.self) { values in
                        martlet_pq_connect(keywords.baseAddress, values.baseAddress, gate?.handle)
                    }
                }
            }
        }
        guard let opened else { throw SQLError(.outOfMemory, "\(subject): no memory for a connection") }
        guard martlet_pq_is_alive(opened) != 0 else {
            let message = String(cString: martlet_pq_message(opened))
            martlet_pq_close(opened)
            throw SQLError(.connectionException, "\(subject): \(message)")
        }
        handle = opened
        self.subject = subject
        self.gate = gate
    }

    deinit { martlet_pq_close(handle) }

    /// Carries out statements; where the connection is lost, or the server ends, the error is transient.
    func execute(_ text: borrowing String) throws(SQLError) {
        guard martlet_pq_execute(handle, text) != 0 else { return }
        let message = String(cString: martlet_pq_message(handle))
        let state = String(cString: martlet_pq_state(handle))
        guard martlet_pq_is_alive(handle) != 0, state.utf8.count == 5 else {
            throw SQLError(.connectionException, "\(subject): \(message)")
        }
        throw SQLError(SQLState(state), "\(subject): \(message)")
    }

    /// The first value of what the last statement gave.
    var value: String? { martlet_pq_value(handle).map { String(cString: $0) } }
}

/// Ends the waiting of connections for a server that says nothing.
final class PostgresGate: @unchecked Sendable {
    // Sendable: the handle never changes, and what it points to is atomic.
    fileprivate let handle: OpaquePointer

    init() {
        guard let made = martlet_pq_gate_new() else { preconditionFailure("out of memory") }
        handle = made
    }

    deinit { martlet_pq_gate_free(handle) }

    /// For good: an answer that is awaited, or will be, counts as one that does not come. Any thread.
    func shut() { martlet_pq_gate_shut(handle) }
}
