internal import MartletCore
internal import Synchronization

/// Virtual time: it stands still until it is moved.
package final class SimulatedClock: Clock {
    private struct State {
        var monotonicNanos: Int64 = 0
        var wallMicrosAtStart: Int64
    }

    private let state: Mutex<State>

    /// 2026-01-01T00:00:00Z unless said otherwise.
    package init(wallMicros: Int64 = 1_767_225_600_000_000) {
        state = Mutex(State(wallMicrosAtStart: wallMicros))
    }

    package func monotonicNanos() -> Int64 { state.withLock { $0.monotonicNanos } }

    package func wallMicros() -> Int64 { state.withLock { $0.wallMicrosAtStart &+ $0.monotonicNanos / 1_000 } }

    package func sleep(nanos: Int64) { advance(nanos: nanos) }

    /// Time only goes forward; a negative step is none.
    package func advance(nanos: Int64) { state.withLock { $0.monotonicNanos &+= max(nanos, 0) } }

    /// Moves the wall clock alone, either way, as an administrator or NTP does.
    package func stepWall(micros: Int64) { state.withLock { $0.wallMicrosAtStart &+= micros } }
}

/// Entropy that repeats.
package final class SeededEntropy: Entropy {
    private let generator: Mutex<SplitMix64>

    package init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }

    package func next() -> UInt64 { generator.withLock { $0.next() } }
}
