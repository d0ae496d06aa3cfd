internal import CMartletLinux
internal import Synchronization

/// Threads for what may wait on a disk or a name server, so that loops never do. Work begins in the order it comes.
package final class BlockingPool: Sendable {
    private struct Queue {
        var bodies: [@Sendable () -> Void] = []
        var head = 0
        var isStopped = false
    }

    /// By number, those that have not left.
    private struct Threads {
        var present: [Int: WorkerThread] = [:]
        var next = 0
        /// Left, and not replaced yet.
        var missing = 0
    }

    private let queue = Mutex(Queue())
    private let signal = WakeSignal()
    private let threads = Mutex(Threads())
    private let name: String
    private let stackBytes: Int
    private let yields: Bool
    /// How far whoever made the pool stands back for others; threads inherit it from whoever makes them.
    private let niceness = martlet_thread_niceness()

    /// - Parameters:
    ///   - stackBytes: of each thread; address space until it is used.
    ///   - yields: the threads leave the processor to everybody else's, as work that nobody waits for at once should.
    package init(name: String, threads count: Int, stackBytes: Int = 1 << 20, yields: Bool = false) throws(ThreadError) {
        self.name = name
        self.stackBytes = stackBytes
        self.yields = yields
        for _ in 0..<max(count, 1) { try addThread() }
    }

    private func addThread() throws(ThreadError) {
        let number = threads.withLock { threads in
            threads.next += 1
            return threads.next
        }
        // Weak would end with the last reference while work waits; `stop` breaks the circle.
        let thread = try WorkerThread(name: name, stackBytes: stackBytes) { [self] in
            if yields { martlet_lower_priority() }
            work(number)
        }
        threads.withLock { $0.present[number] = thread }
    }

    // MARK: Standing back

    /// From one of a pool's threads: the rest of the body leaves the processor to everybody else.
    package static func yieldUntilDone() {
        _ = martlet_set_thread_niceness(max(martlet_thread_niceness(), yieldingNiceness))
    }

    /// A tenth of what a thread beside it gets.
    private static let yieldingNiceness: Int32 = 10

    /// After a body that stood back: false where the system does not let the thread come forward again, and it is to leave,
    /// since `run` can make another one. While work waits it stays as it is.
    private func comesForward(_ number: Int, to niceness: Int32) -> Bool {
        if martlet_thread_niceness() == niceness || martlet_set_thread_niceness(niceness) == 0 { return true }
        guard queue.withLock({ $0.head == $0.bodies.count && !$0.isStopped }) else { return true }
        threads.withLock { threads in
            threads.present[number] = nil
            threads.missing += 1
        }
        return false
    }

    private func replaceMissing() {
        guard threads.withLock({ $0.missing > 0 }), martlet_thread_niceness() == niceness else { return }
        while threads.withLock({ threads in
            guard threads.missing > 0 else { return false }
            threads.missing -= 1
            return true
        }) {
            do throws(ThreadError) {
                try addThread()
            } catch {
                threads.withLock { $0.missing += 1 }
                return
            }
        }
    }

    /// Runs `body` on one of the threads. Any thread. False, and nothing happens, once the pool is stopped.
    @discardableResult
    package func run(_ body: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isStopped else { return false }
            queue.bodies.append(body)
            return true
        }
        if isTaken { replaceMissing() }
        // Every thread takes whatever is next: one is enough.
        if isTaken { signal.notifyOne() }
        return isTaken
    }

    /// Bodies that have not begun.
    package var waiting: Int { queue.withLock { $0.bodies.count - $0.head } }

    /// Returns when everything that was asked for has run. Not from one of the threads.
    package func stop() {
        queue.withLock { $0.isStopped = true }
        signal.notify()
        for (_, thread) in threads.withLock({ $0.present }) { thread.join() }
        threads.withLock { $0.present = [:] }
    }

    private func work(_ number: Int) {
        let niceness = martlet_thread_niceness()
        while true {
            let ticket = signal.ticket
            let (body, isStopped) = queue.withLock { queue -> ((@Sendable () -> Void)?, Bool) in
                guard queue.head < queue.bodies.count else { return (nil, queue.isStopped) }
                let body = queue.bodies[queue.head]
                queue.head += 1
                if queue.head == queue.bodies.count || queue.head > 1024 {
                    queue.bodies.removeFirst(queue.head)
                    queue.head = 0
                }
                return (body, false)
            }
            if let body {
                body()
                guard comesForward(number, to: niceness) else { return }
            } else if isStopped {
                return
            } else {
                signal.wait(after: ticket)
            }
        }
    }
}
