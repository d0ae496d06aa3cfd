internal import CMartletLinux
internal import Glibc

/// SIGINT and SIGTERM: the first asks for a clean stop, the second ends the process at once with 1. SIGPIPE is ignored,
/// so that a closed pipe is an error of the write. One per process.
package enum StopSignals {
    /// Begins to listen. `onStop` runs once, on a thread of its own, when the first signal comes; it may block.
    package static func install(onStop: @escaping @Sendable () -> Void = {}) throws(ThreadError) {
        martlet_catch_stop_signals()
        _ = try WorkerThread(name: "stop-signals", stackBytes: 1 << 20) {
            while !isStopRequested { _ = martlet_futex_wait(martlet_stop_signal_count(), 0, -1) }
            onStop()
        }
    }

    /// A load; cheap enough for each turn of a loop.
    package static var isStopRequested: Bool {
        // The handler stores atomically; an aligned 32-bit load through an opaque call cannot tear or be hoisted.
        martlet_stop_signal_count().pointee > 0
    }
}
