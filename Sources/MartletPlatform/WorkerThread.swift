internal import CMartletLinux
internal import Glibc
internal import Synchronization

/// A thread of the data path: started at once, its own for as long as its body runs, and not the concurrency runtime's.
/// Signals never interrupt it.
package final class WorkerThread: Sendable {
    private let handle: Mutex<pthread_t?>

    /// `name` is what the system's tools show, its first 15 bytes. Threads fail to start only when the system has no
    /// more of them.
    package init(name: String, stackBytes: Int = 8 << 20, _ body: @escaping @Sendable () -> Void) throws(ThreadError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var mask: UInt64 = 0
        martlet_block_signals(&mask)
        defer { martlet_restore_signals(&mask) }
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, run, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw ThreadError(name: name, code: code)
        }
        handle = Mutex(thread)
    }

    deinit {
        if let thread = handle.withLock({ $0 }) { pthread_detach(thread) }
    }

    /// Returns when the body has; at once the second time. Not to be called by the thread itself.
    package func join() {
        let thread = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let thread { pthread_join(thread, nil) }
    }

    /// The calling thread does little at a time, and others wait for it: when it wakes it comes before those who compute.
    static func takeShortTurns() { martlet_take_short_turns(shortTurnNanos) }

    /// The least that Linux grants.
    private static let shortTurnNanos: UInt64 = 100_000

    /// Cores this process may use.
    package static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}

package struct ThreadError: Error, CustomStringConvertible {
    package let name: String
    package let code: Int32
    package var description: String { "cannot start the thread \(name): \(String(cString: strerror(code)))" }
}

private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

private func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    martlet_name_thread(start.name)
    start.body()
    return nil
}
