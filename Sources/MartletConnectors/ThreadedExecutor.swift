internal import MartletDataflow
package import MartletPlatform
internal import Synchronization

/// A thread per shard; the driver's own thread is shard 0. Threads meet at a barrier before and after each phase. Short
/// phases the driver carries out alone, while the others sleep before the barrier.
package final class ThreadedExecutor: ShardExecutor {
    /// What the phase under way does. Written by the driver before the barrier, read by the workers after it.
    private final class Work: @unchecked Sendable {
        var body: @Sendable (Int) -> Void = { _ in }
        let barrier: Barrier

        init(participants: Int) { barrier = Barrier(participants: participants) }
    }

    private let work: Work
    private var threads: [WorkerThread] = []

    package init(shards: Int) throws(ThreadError) {
        let work = Work(participants: shards)
        self.work = work
        for shard in 1..<max(shards, 1) {
            threads.append(
                try WorkerThread(name: "shard-\(shard)") {
                    while work.barrier.wait() {
                        work.body(shard)
                        guard work.barrier.wait() else { return }
                    }
                })
        }
    }

    deinit {
        work.barrier.abandon()
        for thread in threads { thread.join() }
    }

    package func forEachShard(isShort: Bool, _ body: @escaping @Sendable (Int) -> Void) {
        if isShort || threads.isEmpty {
            for shard in 0...threads.count { body(shard) }
            return
        }
        work.body = body
        _ = work.barrier.wait()
        body(0)
        _ = work.barrier.wait()
    }
}
