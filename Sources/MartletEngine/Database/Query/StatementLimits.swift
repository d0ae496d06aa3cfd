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
    private let memoryLimit = Atomic<Int>(.max)
    private let clock: any Clock

    init(clock: any Clock) { self.clock = clock }

    /// Bytes that results and operators of the statement may take.
    var memoryMax: Int { memoryLimit.load(ordering: .relaxed) }

    func begin(timeoutMicros: Int64, memoryMax: Int) {
        isCancelled.store(false, ordering: .relaxed)
        memoryLimit.store(memoryMax, ordering: .relaxed)
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
            .outOfMemory, "the statement needs more than \(max(limit >> 10, 1)) kB of memory",
            hint: "Read less at once, or raise statement_memory_limit.")
    }
}

/// Looks after a statement's circuit from within: whether it is to go on, and whether it has been at it for so long that it
/// should leave the processor to ticks. Asked after every batch and every millisecond of other work. One thread.
final class StatementWatch {
    private let limits: StatementLimits
    private let clock: any Clock
    private let startNanos: Int64
    private let yield: @Sendable () -> Void
    private var hasYielded = false
    private var asked = 0
    /// What the answer takes so far, and what the operators do.
    private let memory: () -> Int

    /// Statements that take longer are not what somebody waits for with a key in his hand.
    private static let yieldNanos: Int64 = 3_000_000
    /// Memory is summed up over all operators, which takes longer than a look at a flag.
    private static let memoryPeriod = 16

    init(_ limits: StatementLimits, clock: any Clock, yield: @escaping @Sendable () -> Void, memory: @escaping () -> Int) {
        self.limits = limits
        self.clock = clock
        self.yield = yield
        self.memory = memory
        startNanos = clock.monotonicNanos()
    }

    /// The error with which the statement ends now; nil: it may go on.
    var reason: SQLError? {
        if let reason = limits.reason { return reason }
        if !hasYielded, clock.monotonicNanos() - startNanos > StatementWatch.yieldNanos {
            hasYielded = true
            yield()
        }
        asked &+= 1
        guard asked % StatementWatch.memoryPeriod == 1 else { return nil }
        return memory() > limits.memoryMax ? StatementLimits.outOfMemory(limits.memoryMax) : nil
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
