internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import Synchronization

/// What ends a statement before its end: a cancel, its deadline, too much memory. Any thread may cancel; the statement's
/// own asks.
final class StatementLimits: Sendable {
    private let isCancelled = Atomic<Bool>(false)
    private let hooks = Mutex<[@Sendable () -> Void]>([])
    private let deadlineNanos = Atomic<Int64>(.max)
    private let clock: any Clock
    /// Bytes that results and operators of one statement may take.
    let memoryMax: Int

    init(clock: any Clock, memoryMax: Int) {
        self.clock = clock
        self.memoryMax = memoryMax
    }

    func begin(timeoutMicros: Int64) {
        isCancelled.store(false, ordering: .relaxed)
        let (nanos, overflow) = timeoutMicros.multipliedReportingOverflow(by: 1000)
        let now = clock.monotonicNanos()
        deadlineNanos.store(timeoutMicros == 0 || overflow ? .max : now.addingReportingOverflow(nanos).partialValue, ordering: .relaxed)
    }

    func cancel() {
        isCancelled.store(true, ordering: .relaxed)
        let hooks = hooks.withLock { hooks in
            defer { hooks = [] }
            return hooks
        }
        for hook in hooks { hook() }
    }

    /// Calls `body` at the next cancel, once.
    func onCancel(_ body: @escaping @Sendable () -> Void) { hooks.withLock { $0 = [body] } }

    /// The error with which the statement ends now; nil: it may go on.
    var reason: SQLError? {
        if isCancelled.load(ordering: .relaxed) { return SQLError(.queryCanceled, "canceling statement due to user request") }
        let deadline = deadlineNanos.load(ordering: .relaxed)
        if deadline != .max, clock.monotonicNanos() >= deadline {
            return SQLError(.queryCanceled, "canceling statement due to statement timeout")
        }
        return nil
    }

    func check() throws(SQLError) {
        if let reason { throw reason }
    }

    static func outOfMemory(_ limit: Int) -> SQLError {
        SQLError(
            .outOfMemory, "the statement needs more than \(limit >> 20) MiB of memory",
            hint: "Read less at once, or raise statement_memory_limit.")
    }
}

extension Batch {
    /// About the memory of its values.
    var memoryBytes: Int {
        columns.reduce(0) { sum, column in
            var bytes = column.count * column.physical.stride
            if column.physical == .view {
                for row in 0..<column.count where !column.views[row].isInline { bytes += column.views[row].count }
            }
            return sum + bytes
        }
    }
}
