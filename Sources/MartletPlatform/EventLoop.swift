internal import CMartletEvent
internal import Synchronization

/// One thread that waits for descriptors, timers and what other threads post, and never blocks otherwise.
///
/// Everything marked "loop thread" is called by bodies that this loop runs. A *turn* is one round of events; what was put
/// off to the end of the turn (`atEndOfTurn`) runs once after it, so that the answers of many requests leave in one
/// system call.
package final class EventLoop: Sendable {
    private let box = PostBox()
    /// Sound: after `init` only the loop's thread touches it, and `stop` once that thread is joined.
    private nonisolated(unsafe) let state: LoopState
    private let thread: WorkerThread

    /// Runs at once. `name` is the thread's. `isPrompt`: it does little at a time and is waited for meanwhile, so that it comes
    /// before those who compute (docs/decisions/0017-reads-by-key.md).
    package init(name: String, isPrompt: Bool = false) throws(ThreadError) {
        let state = LoopState(box)
        self.state = state
        guard let raw = martlet_loop_new(loopWoke, loopTimerRang, loopTurned, Unmanaged.passUnretained(state).toOpaque()) else {
            throw ThreadError(name: name, code: 12 /* ENOMEM */)
        }
        state.raw = raw
        box.setLoop(raw)
        nonisolated(unsafe) let shared = raw
        do {
            // `stop` joins the thread before it lets go of the state.
            thread = try WorkerThread(name: name) {
                if isPrompt { WorkerThread.takeShortTurns() }
                martlet_loop_run(shared)
            }
        } catch {
            martlet_loop_free(raw)
            throw error
        }
    }

    deinit { stop() }

    /// Has the loop's thread run `body`, after everything posted before. Any thread. False, and nothing happens, once the
    /// loop is stopped; what was posted before still runs.
    @discardableResult
    package func post(_ body: @escaping @Sendable () -> Void) -> Bool { box.post(body) }

    /// As `post`, and returns when it ran. Not from the loop's own thread, which would wait for itself.
    package func run(_ body: @escaping @Sendable () -> Void) {
        let done = WakeSignal()
        let ticket = done.ticket
        let isPosted = post {
            body()
            done.notify()
        }
        if isPosted { done.wait(after: ticket) }
    }

    /// Ends the thread when what it is doing and what was posted is done, and returns then. Everything that watches
    /// descriptors must be closed before. Not from the loop's own thread.
    package func stop() {
        guard let raw = box.close() else { return }
        martlet_loop_stop(raw.pointer)
        thread.join()
        state.raw = nil
        martlet_loop_free(raw.pointer)
    }

    /// Loop thread: runs `body` once, `nanos` from now.
    @discardableResult
    package func schedule(afterNanos nanos: Int64, _ body: @escaping () -> Void) -> LoopTimer {
        state.schedule(afterNanos: nanos, body)
    }

    /// Loop thread: runs `body` when the events of this turn are handled.
    package func atEndOfTurn(_ body: @escaping () -> Void) {
        state.endings.append(body)
    }

    /// Loop thread. Negative only when memory or descriptors are out.
    func watch(_ descriptor: Int32, _ handler: martlet_watch_handler, _ context: UnsafeMutableRawPointer) -> OpaquePointer? {
        guard let raw = state.raw else { return nil }
        return martlet_watch_new(raw, descriptor, handler, context)
    }

    /// Loop thread: memory that a handler may use until it returns; its content means nothing to the next.
    var scratch: UnsafeMutableRawBufferPointer { state.scratch }
}

/// What other threads hand to the loop.
private final class PostBox: Sendable {
    private struct Content {
        var loop: Loop?
        var bodies: [@Sendable () -> Void] = []
    }

    /// Sound: `wake` and `stop` may come from any thread.
    struct Loop: @unchecked Sendable { let pointer: OpaquePointer }

    private let content = Mutex(Content())

    func setLoop(_ raw: OpaquePointer) {
        let loop = Loop(pointer: raw)
        content.withLock { $0.loop = loop }
    }

    /// Wakes under the lock, so that the loop is not freed meanwhile; only the first of a batch makes a system call.
    func post(_ body: @escaping @Sendable () -> Void) -> Bool {
        content.withLock { content in
            guard let loop = content.loop else { return false }
            content.bodies.append(body)
            if content.bodies.count == 1 { martlet_loop_wake(loop.pointer) }
            return true
        }
    }

    func take() -> [@Sendable () -> Void] {
        content.withLock { content in
            defer { content.bodies = [] }
            return content.bodies
        }
    }

    /// The loop, the first time.
    func close() -> Loop? {
        content.withLock { content in
            defer { content.loop = nil }
            return content.loop
        }
    }
}

/// A body that waits for its time; `cancel` makes it not run.
package final class LoopTimer {
    fileprivate let deadlineNanos: Int64
    /// Decides between equal deadlines, so that they run in the order they were asked for.
    fileprivate let number: UInt64
    fileprivate var body: (() -> Void)?

    fileprivate init(deadlineNanos: Int64, number: UInt64, body: @escaping () -> Void) {
        self.deadlineNanos = deadlineNanos
        self.number = number
        self.body = body
    }

    /// Loop thread. Its place in the queue is given back when its time comes.
    package func cancel() { body = nil }

    fileprivate func isBefore(_ other: LoopTimer) -> Bool {
        deadlineNanos != other.deadlineNanos ? deadlineNanos < other.deadlineNanos : number < other.number
    }
}

/// What belongs to the loop's thread alone.
private final class LoopState {
    /// nil before it runs and after it stopped.
    var raw: OpaquePointer?
    private let box: PostBox
    var endings: [() -> Void] = []
    /// A binary heap, the earliest first.
    private var timers: [LoopTimer] = []
    private var timerNumber: UInt64 = 0
    private var armedNanos: Int64?
    private let clock = SystemClock()
    /// Large enough that a socket's whole receive buffer comes with one call.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    init(_ box: PostBox) { self.box = box }

    deinit { scratch.deallocate() }

    func schedule(afterNanos nanos: Int64, _ body: @escaping () -> Void) -> LoopTimer {
        timerNumber &+= 1
        let (deadline, overflows) = clock.monotonicNanos().addingReportingOverflow(max(nanos, 0))
        let timer = LoopTimer(deadlineNanos: overflows ? .max : deadline, number: timerNumber, body: body)
        timers.append(timer)
        var index = timers.count - 1
        while index > 0, timers[index].isBefore(timers[(index - 1) / 2]) {
            timers.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
        return timer
    }

    func runPosted() {
        for body in box.take() { body() }
    }

    /// Ends a turn: what is due, what was put off, and the timer for what comes next.
    func finishTurn() {
        let now = clock.monotonicNanos()
        while let first = timers.first, first.body == nil || first.deadlineNanos <= now {
            let body = popTimer().body
            body?()
        }
        while !endings.isEmpty {
            let bodies = endings
            endings = []
            for body in bodies { body() }
        }
        let next = timers.first?.deadlineNanos
        guard next != armedNanos, let raw else { return }
        armedNanos = next
        martlet_loop_set_timer(raw, next.map { max(0, $0 &- now) / 1_000 &+ 1 } ?? -1)
    }

    /// The kernel's timer rang: `finishTurn`, which follows, looks for what is due and arms anew.
    func timerRang() { armedNanos = nil }

    private func popTimer() -> LoopTimer {
        timers.swapAt(0, timers.count - 1)
        let first = timers.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < timers.count && timers[child].isBefore(timers[least]) {
                least = child
            }
            if least == index { return first }
            timers.swapAt(index, least)
            index = least
        }
    }
}

private func state(_ context: UnsafeMutableRawPointer?) -> LoopState {
    // Never nil: it is what `EventLoop.init` handed over.
    Unmanaged<LoopState>.fromOpaque(context!).takeUnretainedValue()
}

private func loopWoke(_ context: UnsafeMutableRawPointer?) { state(context).runPosted() }
private func loopTimerRang(_ context: UnsafeMutableRawPointer?) { state(context).timerRang() }
private func loopTurned(_ context: UnsafeMutableRawPointer?) { state(context).finishTurn() }
