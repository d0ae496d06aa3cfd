internal import CMartletLinux
internal import Glibc
internal import MartletCore

/// The machine's clocks. Any thread.
package struct SystemClock: Clock {
    package init() {}

    package func monotonicNanos() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    package func wallMicros() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000 &+ Int64(time.tv_nsec) / 1_000
    }

    package func sleep(nanos: Int64) {
        guard nanos > 0 else { return }
        var rest = timespec(tv_sec: Int(nanos / 1_000_000_000), tv_nsec: Int(nanos % 1_000_000_000))
        var left = timespec()
        while nanosleep(&rest, &left) != 0 && errno == EINTR { rest = left }
    }
}

/// The kernel's generator. Any thread; a system call each (about 0.2 µs).
package struct SystemEntropy: Entropy {
    package init() {}

    package func next() -> UInt64 {
        martlet_random()
    }
}
