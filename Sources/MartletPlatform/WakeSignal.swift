internal import CMartletLinux
internal import Synchronization

/// A 32-bit word in memory that does not move, on which threads can sleep (futex).
///
/// Sound to share: every access is atomic, and the memory lives as long as the owner.
struct FutexWord: ~Copyable, @unchecked Sendable {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    init() {
        // A cache line of its own: two words that are spun on must not share one.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        word = memory.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
        word.initialize(to: Atomic(0))
    }

    deinit {
        word.deinitialize(count: 1)
        UnsafeMutableRawPointer(word).deallocate()
    }

    func load() -> UInt32 { word.pointee.load(ordering: .sequentiallyConsistent) }
    func store(_ value: UInt32) { word.pointee.store(value, ordering: .sequentiallyConsistent) }
    /// Returns the new value.
    func add(_ amount: UInt32) -> UInt32 { word.pointee.wrappingAdd(amount, ordering: .sequentiallyConsistent).newValue }
    func subtract(_ amount: UInt32) { word.pointee.wrappingSubtract(amount, ordering: .sequentiallyConsistent) }

    /// Sleeps while the word is `expected`; may return early.
    func sleep(while expected: UInt32, timeoutNanos: Int64 = -1) {
        _ = martlet_futex_wait(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), expected, timeoutNanos)
    }

    func wakeOne() { martlet_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), 1) }
    func wakeAll() { martlet_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), .max) }
}

/// How often a waiter looks before it sleeps: some 4 µs, about what a futex wake costs. Longer would take the core from
/// whoever is waited for, which on two cores is the common case.
private let spinsBeforeSleep = 100

/// Wakes threads that found nothing to do, without losing a wake-up:
///
///     let ticket = signal.ticket          // 1
///     if queue.isEmpty { signal.wait(after: ticket) }   // 2
///
/// and elsewhere `queue.push(x); signal.notify()`. A notify after (1) ends (2). With no sleeper a notify is one atomic
/// addition and a load. Any number of threads on either side.
package final class WakeSignal: Sendable {
    private let sequence = FutexWord()
    private let sleepers = FutexWord()

    package init() {}

    package var ticket: UInt32 { sequence.load() }

    package func notify() {
        _ = sequence.add(1)
        if sleepers.load() > 0 { sequence.wakeAll() }
    }

    /// Wakes one sleeper, where any of them can do what there is to do. Threads that are about to sleep do not.
    package func notifyOne() {
        _ = sequence.add(1)
        if sleepers.load() > 0 { sequence.wakeOne() }
    }

    /// Returns true once there was a notify after `ticket` was taken; false after `timeoutNanos` (negative: never).
    @discardableResult
    package func wait(after ticket: UInt32, timeoutNanos: Int64 = -1) -> Bool {
        for _ in 0..<spinsBeforeSleep {
            if sequence.load() != ticket { return true }
            martlet_spin_hint()
        }
        let clock = SystemClock()
        let deadline = timeoutNanos < 0 ? 0 : clock.monotonicNanos() &+ timeoutNanos
        _ = sleepers.add(1)
        defer { sleepers.subtract(1) }
        while sequence.load() == ticket {
            if timeoutNanos < 0 {
                sequence.sleep(while: ticket)
            } else {
                let rest = deadline &- clock.monotonicNanos()
                if rest <= 0 { return false }
                sequence.sleep(while: ticket, timeoutNanos: rest)
            }
        }
        return true
    }
}

/// Where the shard threads of a tick meet: nobody passes until all have come. Used again and again by the same
/// participants. Everything written before a thread's `wait` is seen by all after it.
package final class Barrier: Sendable {
    private let participants: UInt32
    private let arrived = FutexWord()
    private let generation = FutexWord()
    private let sleepers = FutexWord()
    private let isBroken = Atomic<Bool>(false)

    package init(participants: Int) {
        precondition(participants > 0 && participants <= 1 << 16, "a barrier has 1 to 65,536 participants")
        self.participants = UInt32(participants)
    }

    /// Returns when all participants have called it, true; or false at once and for ever after `abandon()`. The last to
    /// come runs `alone` before anybody passes: what is to happen once between two phases.
    @discardableResult
    package func wait(alone: () -> Void = {}) -> Bool {
        if isBroken.load(ordering: .sequentiallyConsistent) { return false }
        let mine = generation.load()
        if arrived.add(1) == participants {
            alone()
            arrived.store(0)
            release()
            return !isBroken.load(ordering: .sequentiallyConsistent)
        }
        for _ in 0..<spinsBeforeSleep {
            if generation.load() != mine { return !isBroken.load(ordering: .sequentiallyConsistent) }
            martlet_spin_hint()
        }
        _ = sleepers.add(1)
        defer { sleepers.subtract(1) }
        while generation.load() == mine && !isBroken.load(ordering: .sequentiallyConsistent) {
            generation.sleep(while: mine)
        }
        return !isBroken.load(ordering: .sequentiallyConsistent)
    }

    /// Lets everybody go who waits or will wait, so that a participant that cannot go on holds nobody. Not undone.
    package func abandon() {
        isBroken.store(true, ordering: .sequentiallyConsistent)
        release()
    }

    private func release() {
        _ = generation.add(1)
        if sleepers.load() > 0 { generation.wakeAll() }
    }
}
