internal import Glibc
internal import MartletConnectors
internal import MartletDataflow
internal import Testing

/// Phases on threads: each shard's part is carried out once, and what it wrote is seen by the next, whoever carries that out.
@Suite("Shards on threads", .timeLimit(.minutes(1)))
struct ThreadedExecutorTests {
    @Test("short phases and long ones, in any order")
    func mixed() throws {
        let executor = try ThreadedExecutor(shards: 3)
        let counts = UnsafeMutableBufferPointer<Int>.allocate(capacity: 3)
        defer { counts.deallocate() }
        counts.initialize(repeating: 0)
        // Sound: a shard's element is touched by its part of a phase only, and phases follow each other.
        nonisolated(unsafe) let shared = counts
        for phase in 0..<20_000 {
            executor.forEachShard(isShort: phase % 3 != 0) { shard in shared[shard] += phase }
        }
        #expect(Array(counts) == [Int](repeating: 19_999 * 10_000, count: 3))
    }

    @Test("short phases wake nobody")
    func short() throws {
        let executor = try ThreadedExecutor(shards: 3)
        let threads = UnsafeMutableBufferPointer<pthread_t>.allocate(capacity: 3)
        defer { threads.deallocate() }
        threads.initialize(repeating: 0)
        nonisolated(unsafe) let shared = threads
        executor.forEachShard(isShort: true) { shard in shared[shard] = pthread_self() }
        #expect(threads.allSatisfy { $0 == pthread_self() })
        executor.forEachShard { shard in shared[shard] = pthread_self() }
        #expect(threads[0] == pthread_self() && Set(threads).count == 3)
    }
}
