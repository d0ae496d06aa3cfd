import MartletConnectors
import MartletCore
import MartletEngine
import MartletPlatform
import MartletSQL
import Synchronization

/// The database behind the listeners of `martlet serve`, on a thread of its own until it is stopped or fails.
final class ServedDatabase: Sendable {
    let run: DatabaseRun
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<WorkerThread?>(nil)
    private let standing = Mutex(Standing.recovering)
    private let changed = WakeSignal()

    private enum Standing { case recovering, running, ended }

    /// Begins at once. `onFailure` is called on the database's thread; what failed has been told by then. `isEnding`: somebody
    /// has asked for the server's end, which a start that waits for a sink must not hold up.
    init(
        _ options: RunOptions, registry: MetricsRegistry, log: StructuredLog, isEnding: @escaping @Sendable () -> Bool,
        onFailure: @escaping @Sendable () -> Void
    ) throws(SQLError) {
        run = try DatabaseRun(options, registry: registry)
        do throws(ThreadError) {
            let started = try WorkerThread(name: "database") { [self] in drive(log, isEnding, onFailure) }
            thread.withLock { $0 = started }
        } catch {
            throw SQLError(.configurationLimitExceeded, "\(error)")
        }
    }

    private func drive(_ log: StructuredLog, _ isEnding: () -> Bool, _ onFailure: @Sendable () -> Void) {
        do throws(SQLError) {
            try run.run(
                shouldStop: {
                    isStopping.load(ordering: .relaxed) || (isEnding() && standing.withLock { $0 } == .recovering)
                },
                onRecovered: { become(.running) },
                onUnitFailure: { error in
                    log.error("pipeline failed", ["state": .string(error.state.code), "message": .string(error.message)])
                    printError(CommandLineTool.rendered(error))
                    onFailure()
                })
        } catch {
            log.error("database failed", ["state": .string(error.state.code), "message": .string(error.message)])
            printError(CommandLineTool.rendered(error))
            onFailure()
        }
        become(.ended)
    }

    private func become(_ next: Standing) {
        standing.withLock { $0 = next }
        changed.notify()
    }

    /// Returns once requests are answered; false: it has ended before.
    func waitUntilRecovered() -> Bool {
        while true {
            let ticket = changed.ticket
            switch standing.withLock({ $0 }) {
            case .recovering: changed.wait(after: ticket)
            case .running: return true
            case .ended: return false
            }
        }
    }

    /// Applies the files' definitions, unless they are in force already.
    func apply(_ script: LoadedScript) throws(SQLError) {
        let text = script.inputs.map(\.text).joined(separator: ";\n")
        for message in try run.database.define(text, isRepeatable: true) { printError("NOTICE:  \(message)") }
    }

    /// Returns when the tick at hand is committed and a checkpoint is taken.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        run.database.wake()
        thread.withLock { $0 }?.join()
    }
}
