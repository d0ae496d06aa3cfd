import Glibc
import MartletCore
import MartletPlatform
import Synchronization
import Testing

@Suite("Threads and how they wait")
struct ThreadTests {
    @Test("a thread runs its body once, under its name, and is joined")
    func thread() throws {
        let name = Mutex("")
        try withThreads(1) { _ in
            let text = try? SystemDisk().open("/proc/thread-self/comm", .read)
            name.withLock { $0 = text.flatMap { try? contents($0) } ?? "" }
        }
        // The kernel keeps 15 bytes.
        #expect(name.withLock { $0 } == "a-thread-named-\n")
        #expect(WorkerThread.coreCount >= 1)
    }

    /// Each thread adds in its phase what all others left in the phase before; a thread that passes early, or one whose
    /// writes are not seen, breaks the sums.
    @Test("nobody passes a barrier before all have come, over many rounds", arguments: [1, 2, 3, 8])
    func barrier(participants: Int) throws {
        let barrier = Barrier(participants: participants)
        let rounds = 3_000
        let cells = Cells(count: participants)
        let aloneCalls = Atomic<Int>(0)
        let mistakes = Atomic<Int>(0)
        try withThreads(participants) { index in
            for round in 0..<rounds {
                cells.values[index] = round
                barrier.wait { aloneCalls.wrappingAdd(1, ordering: .relaxed) }
                for other in 0..<participants where cells.values[other] != round { mistakes.wrappingAdd(1, ordering: .relaxed) }
                barrier.wait()
            }
        }
        #expect(mistakes.load(ordering: .relaxed) == 0)
        #expect(aloneCalls.load(ordering: .relaxed) == rounds)
    }

    @Test("an abandoned barrier holds nobody, sleeping or coming")
    func abandoned() throws {
        let barrier = Barrier(participants: 3)
        let freed = Atomic<Int>(0)
        try withThreads(3) { index in
            if index == 2 {
                SystemClock().sleep(nanos: 5_000_000)
                barrier.abandon()
                return
            }
            for _ in 0..<3 where !barrier.wait() { freed.wrappingAdd(1, ordering: .relaxed) }
        }
        #expect(freed.load(ordering: .relaxed) == 6)
    }

    /// One thread waits for a number to change, the other changes it and waits for the answer: a lost wake-up would hang,
    /// which the time limit turns into a failure.
    @Test("no wake-up is lost", .timeLimit(.minutes(1)))
    func wakeSignal() throws {
        let there = WakeSignal()
        let back = WakeSignal()
        let ball = Atomic<Int>(0)
        let rounds = 20_000
        try withThreads(2) { index in
            for round in 0..<rounds {
                let (mine, other) = index == 0 ? (back, there) : (there, back)
                let awaited = round * 2 + index
                while true {
                    let ticket = mine.ticket
                    if ball.load(ordering: .acquiring) == awaited { break }
                    mine.wait(after: ticket)
                }
                ball.store(awaited + 1, ordering: .releasing)
                other.notify()
            }
        }
        #expect(ball.load(ordering: .relaxed) == rounds * 2)
    }

    @Test("a wait ends at its time")
    func timeout() {
        let signal = WakeSignal()
        let ticket = signal.ticket
        let clock = SystemClock()
        let before = clock.monotonicNanos()
        #expect(!signal.wait(after: ticket, timeoutNanos: 3_000_000))
        #expect(clock.monotonicNanos() - before >= 3_000_000)
        signal.notify()
        #expect(signal.wait(after: ticket, timeoutNanos: 0))
    }

    @Test("the first stop signal asks, on a thread that may block")
    func firstSignal() async {
        await #expect(processExitsWith: .exitCode(42)) {
            try StopSignals.install {
                // By then the flag is up; a closed pipe does not end the process.
                if StopSignals.isStopRequested && raise(SIGPIPE) == 0 { exit(42) }
            }
            if StopSignals.isStopRequested { exit(3) }
            // To the process, since the runtime's threads block signals.
            kill(getpid(), SIGTERM)
            SystemClock().sleep(nanos: 20_000_000_000)
        }
    }

    @Test("the second stop signal ends the process with 1")
    func secondSignal() async {
        await #expect(processExitsWith: .exitCode(1)) {
            try StopSignals.install { SystemClock().sleep(nanos: 20_000_000_000) }
            kill(getpid(), SIGINT)
            while !StopSignals.isStopRequested { SystemClock().sleep(nanos: 1_000_000) }
            kill(getpid(), SIGTERM)
            SystemClock().sleep(nanos: 20_000_000_000)
            exit(3)
        }
    }

    @Test("facts: terminal, process, processor")
    func facts() {
        #expect(ProcessFacts.residentBytes > 1 << 20)
        #expect(ProcessFacts.peakResidentBytes >= ProcessFacts.residentBytes / 2)
        #expect(ProcessFacts.cpuNanos > 0)
        #expect(environment("MARTLET_NO_SUCH_VARIABLE") == nil)
        let descriptor = open("/dev/null", O_RDONLY)
        defer { close(descriptor) }
        #expect(!Terminal.isTerminal(descriptor))
        #expect(Terminal.width(descriptor) == nil)
        #expect(!Terminal.usesColor(descriptor))
    }

    private func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
        let threads = try (0..<count).map { index in try WorkerThread(name: "a-thread-named-\(index)") { body(index) } }
        for thread in threads { thread.join() }
    }
}

/// Plain memory that threads share between barriers. Sound if the barrier is: that is what is tested.
private final class Cells: @unchecked Sendable {
    let values: UnsafeMutablePointer<Int>
    init(count: Int) {
        values = .allocate(capacity: count)
        values.initialize(repeating: -1, count: count)
    }
    deinit { values.deallocate() }
}
