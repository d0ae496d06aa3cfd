internal import CMartletPQ
internal import Glibc
internal import MartletCore

/// One connection to a PostgreSQL server. Used by one thread at a time; calls wait for the server.
struct PostgresConnection: ~Copyable {
    private let handle: OpaquePointer
    private let subject: String

    /// - Parameters:
    ///   - parameters: libpq's keywords and values.
    ///   - subject: who is connected, for messages.
    init(_ parameters: [(String, String)], subject: String) throws(SQLError) {
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
                        martlet_pq_connect(keywords.baseAddress, values.baseAddress)
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
