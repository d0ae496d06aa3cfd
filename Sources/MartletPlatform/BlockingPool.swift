internal import CMartletLinux
internal import Synchronization

/// Threads for what may wait on a disk or a name server, so that loops never do. Work begins in the order it comes.
package final class BlockingPool: Sendable {
    private struct Queue {
        var bodies: [@Sendable () -> Void] = []
        var head = 0
        var isStopped = false
    }

    private let queue = Mutex(Queue())
    private let signal = WakeSignal()
    private let threads = Mutex<[WorkerThread]>([])

    /// - Parameters:
    ///   - stackBytes: of each thread; address space until it is used.
    ///   - yields: the threads leave the processor to everybody else's, as work that nobody waits for at once should.
    package init(name: String, threads count: Int, stackBytes: Int = 1 << 20, yields: Bool = false) throws(ThreadError) {
        for _ in 0..<max(count, 1) {
            // Weak would end with the last reference while work waits; `stop` breaks the circle.
            let thread = try WorkerThread(name: name, stackBytes: stackBytes) { [self] in
                if yields { martlet_lower_priority() }
                work()
            }
            threads.withLock { $0.append(thread) }
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
        for thread in threads.withLock({ $0 }) { thread.join() }
        threads.withLock { $0 = [] }
    }

    private func work() {
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
            } else if isStopped {
                return
            } else {
                signal.wait(after: ticket)
            }
        }
    }
}
