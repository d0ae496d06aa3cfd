internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import Synchronization

/// Checkpoints written by copies of the process, one at a time. A thread of its own makes ready and waits for the copy; the
/// driver's thread forks.
final class ForkedCheckpoints: CheckpointCopies {
    private enum Stage {
        case idle
        /// Memory is being moved into huge pages, so that the fork takes little time.
        case gathering
        case ready
        case writing(ForkedCopy, ended: @Sendable (CopyOutcome) -> Void)
    }

    private struct State {
        var stage = Stage.idle
        var isCanceled = false
        var isStopping = false
    }

    private let state = Mutex(State())
    private let work = WakeSignal()
    private let thread = Mutex<WorkerThread?>(nil)
    private let wake: @Sendable () -> Void

    /// A copy that says nothing for so long hangs: it tells of every MiB.
    private static let patienceMillis: Int32 = 30_000
    /// The longest rest of a copy between two MiB.
    private static let restNanosMax: Int64 = 50_000_000

    /// `wake` ends the driver's wait.
    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    func start() throws(ThreadError) {
        let started = try WorkerThread(name: "checkpoint") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Ends the copy there is, and the thread.
    func stop() {
        cancel()
        state.withLock { $0.isStopping = true }
        work.notify()
        thread.withLock { $0 }?.join()
    }

    /// Ends the copy there is: nobody wants its checkpoint.
    func cancel() {
        state.withLock { state in
            guard case .writing(let copy, _) = state.stage else { return }
            state.isCanceled = true
            copy.cancel()
        }
    }

    func isReady() -> Bool {
        let isReady = state.withLock { state in
            switch state.stage {
            case .ready: return true
            case .idle: state.stage = .gathering
            case .gathering, .writing: break
            }
            return false
        }
        if !isReady { work.notify() }
        return isReady
    }

    func copy(
        keeping file: any DiskFile, _ write: (_ progress: @escaping () -> Void) -> CopyOutcome, ended: @escaping @Sendable (CopyOutcome) -> Void
    ) -> Bool {
        state.withLock { $0.stage = .idle }
        guard let file = file as? SystemFile,
            let copy = try? ForkedCopy(keeping: file, { channel in write(ForkedCheckpoints.paced(channel)).encoded })
        else { return false }
        state.withLock { $0.stage = .writing(copy, ended: ended) }
        work.notify()
        return true
    }

    /// Tells of each piece, and rests for as long as it took: the other half of the disk and of a core is left to the pipeline.
    private static func paced(_ channel: ForkedCopy.Channel) -> () -> Void {
        let clock = SystemClock()
        var start = clock.monotonicNanos()
        return {
            channel.progress()
            clock.sleep(nanos: min(clock.monotonicNanos() - start, restNanosMax))
            start = clock.monotonicNanos()
        }
    }

    private func run() {
        while true {
            let ticket = work.ticket
            switch state.withLock({ $0.stage }) {
            case .gathering:
                HugePages.gather()
                state.withLock { $0.stage = .ready }
                wake()
            case .writing(let copy, let ended):
                let message = copy.wait(patienceMillis: ForkedCheckpoints.patienceMillis)
                let wasCanceled = state.withLock { state in
                    defer { (state.stage, state.isCanceled) = (.idle, false) }
                    return state.isCanceled
                }
                ended(message.map { CopyOutcome(decoding: $0) } ?? (wasCanceled ? .canceled : .died))
            case .idle, .ready:
                if state.withLock({ $0.isStopping }) { return }
                work.wait(after: ticket)
            }
        }
    }
}
