package import MartletCore
package import MartletEngine
package import MartletPlatform
internal import Synchronization

/// Commits on a thread of its own, so that the next tick computes while the last is being written. At most
/// `ticksMax` wait; then the driver does, which slows the sources: memory stays bounded.
package final class ThreadedCommitter: Committer {
    package static let ticksMax = 3

    private struct Queue {
        var waiting: [TickOutput] = []
        var isBusy = false
        var isClosed = false
        var failure: SQLError?
    }

    private final class Shared: Sendable {
        let queue = Mutex(Queue())
        let arrived = WakeSignal()
        let done = WakeSignal()
    }

    /// The committer moves to its thread and is used there alone.
    private struct Carried: @unchecked Sendable { let committer: InlineCommitter }

    private let shared = Shared()
    private var thread: WorkerThread?

    package init(_ committer: InlineCommitter) throws(ThreadError) {
        let shared = shared
        let carried = Carried(committer: committer)
        thread = try WorkerThread(name: "commit") {
            while let output = ThreadedCommitter.next(shared) {
                do throws(SQLError) {
                    try carried.committer.commit(output)
                    shared.queue.withLock { $0.isBusy = false }
                } catch {
                    shared.queue.withLock {
                        $0.isBusy = false
                        $0.failure = $0.failure ?? error
                        $0.waiting = []
                    }
                }
                shared.done.notify()
            }
        }
    }

    deinit {
        shared.queue.withLock { $0.isClosed = true }
        shared.arrived.notify()
        thread?.join()
    }

    private static func next(_ shared: Shared) -> TickOutput? {
        while true {
            let ticket = shared.arrived.ticket
            let (output, isClosed) = shared.queue.withLock { queue -> (TickOutput?, Bool) in
                guard !queue.waiting.isEmpty else { return (nil, queue.isClosed) }
                queue.isBusy = true
                return (queue.waiting.removeFirst(), false)
            }
            if let output { return output }
            if isClosed { return nil }
            shared.arrived.wait(after: ticket)
        }
    }

    package func commit(_ output: TickOutput) throws(SQLError) {
        while true {
            let ticket = shared.done.ticket
            let state = shared.queue.withLock { queue -> (failure: SQLError?, isIn: Bool) in
                if let failure = queue.failure { return (failure, false) }
                guard queue.waiting.count < ThreadedCommitter.ticksMax else { return (nil, false) }
                queue.waiting.append(output)
                return (nil, true)
            }
            if let failure = state.failure { throw failure }
            if state.isIn {
                shared.arrived.notify()
                return
            }
            shared.done.wait(after: ticket)
        }
    }

    package func drain() throws(SQLError) {
        while true {
            let ticket = shared.done.ticket
            let state = shared.queue.withLock { ($0.failure, $0.waiting.isEmpty && !$0.isBusy) }
            if let failure = state.0 { throw failure }
            if state.1 { return }
            shared.done.wait(after: ticket)
        }
    }
}
