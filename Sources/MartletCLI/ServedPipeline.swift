import MartletConnectors
import MartletCore
import MartletPlatform
import Synchronization

/// A pipeline that runs beside the listeners of `martlet serve`, on a thread of its own, until it is stopped, its sources
/// end, or it fails.
final class ServedPipeline: Sendable {
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<WorkerThread?>(nil)

    /// Only the thread uses the run once it has begun.
    private struct Carried: @unchecked Sendable { let run: PipelineRun }

    /// Begins at once. `onFailure` is called on the pipeline's thread; what failed has been told by then.
    init(_ run: PipelineRun, log: StructuredLog, onFailure: @escaping @Sendable () -> Void) throws(ThreadError) {
        let carried = Carried(run: run)
        let started = try WorkerThread(name: "pipeline") { [self] in
            do throws(SQLError) {
                try carried.run.run(shouldStop: { self.isStopping.load(ordering: .relaxed) })
                log.info("pipeline ended", [:])
            } catch {
                log.error("pipeline failed", ["state": .string(error.state.code), "message": .string(error.message)])
                printError(CommandLineTool.rendered(error))
                onFailure()
            }
        }
        thread.withLock { $0 = started }
    }

    /// Returns when the tick at hand is committed.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        thread.withLock { $0 }?.join()
    }
}
