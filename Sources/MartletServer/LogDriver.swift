package import MartletCore
package import MartletLog
internal import MartletPlatform
internal import Synchronization

/// The threads that drive a `Log`: one that writes and syncs the journal, one that brings data home and lets old data go,
/// one that compacts.
package final class LogDriver: Sendable {
    private let log: Log
    private let logger: StructuredLog
    private let work = WakeSignal()
    private let pause = WakeSignal()
    private let isStopping = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)
    private let threads = Mutex<[WorkerThread]>([])
    private let onFailure: @Sendable (LogError) -> Void

    /// Takes the log's work listener, and begins. `onFailure` is called once, on one of the threads, when the log can no
    /// longer be trusted to write: the process has to end then, and a restart recovers. It must not wait for this object.
    package init(_ log: Log, logger: StructuredLog, onFailure: @escaping @Sendable (LogError) -> Void) throws {
        self.log = log
        self.logger = logger
        self.onFailure = onFailure
        let work = work
        log.setWorkListener { work.notify() }
        let journal = try WorkerThread(name: "journal") { [self] in writeJournal() }
        threads.withLock { $0.append(journal) }
        let flusher = try WorkerThread(name: "flusher") { [self] in bringHome() }
        threads.withLock { $0.append(flusher) }
        let compactor = try WorkerThread(name: "compactor") { [self] in compact() }
        threads.withLock { $0.append(compactor) }
    }

    /// False once the log has failed.
    package var isHealthy: Bool { !hasFailed.load(ordering: .relaxed) }

    /// Writes what is queued, ends the threads and closes the log. No other call to the log may be running or follow.
    package func stop() throws(LogError) {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        work.notify()
        pause.notify()
        for thread in threads.withLock({ $0 }) { thread.join() }
        if isHealthy { try log.close() }
    }

    private func writeJournal() {
        var isSealed = false
        while true {
            let ticket = work.ticket
            do throws(LogError) {
                if try log.writeGroup() {
                    isSealed = false
                    continue
                }
                // Everything that was queued before the stop is written.
                if isStopping.load(ordering: .sequentiallyConsistent) { return }
                if !isSealed { isSealed = try log.sealIfIdle() }
            } catch {
                guard isPassing(error) else { return fail(error) }
                if isStopping.load(ordering: .sequentiallyConsistent) { return }
                pause.wait(after: pause.ticket, timeoutNanos: 50_000_000)
                continue
            }
            work.wait(after: ticket, timeoutNanos: isSealed ? 1_000_000_000 : 10_000_000)
        }
    }

    private func bringHome() {
        while !isStopping.load(ordering: .sequentiallyConsistent), isHealthy {
            let ticket = pause.ticket
            do throws(LogError) {
                if try log.flush() { continue }
                if try log.clean() { continue }
            } catch {
                guard isPassing(error) else { return fail(error) }
                logger.warn("the log could not bring data home, and tries again", ["error": .string("\(error)")])
                pause.wait(after: ticket, timeoutNanos: 500_000_000)
            }
            pause.wait(after: ticket, timeoutNanos: 20_000_000)
        }
    }

    /// A thread of its own: one partition may take minutes, and the journal's files wait for the flusher.
    private func compact() {
        while !isStopping.load(ordering: .sequentiallyConsistent), isHealthy {
            let ticket = pause.ticket
            do throws(LogError) {
                if try log.compact() { continue }
            } catch {
                guard isPassing(error) else { return fail(error) }
                logger.warn("a partition could not be compacted", ["error": .string("\(error)")])
            }
            pause.wait(after: ticket, timeoutNanos: 1_000_000_000)
        }
    }

    /// What the log itself says does not stop it: no space now, a call that failed and may be repeated, damage to a part.
    private func isPassing(_ error: LogError) -> Bool {
        switch error {
        case .outOfSpace, .throttled, .corrupt, .io: true
        case .unsupported, .fatal, .closed, .unknownTopic, .unknownPartition, .offsetOutOfRange, .topicExists, .invalidTopicName,
            .invalidPartitionCount, .invalidConfiguration, .refused:
            false
        }
    }

    private func fail(_ error: LogError) {
        guard hasFailed.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged else { return }
        logger.error("the log has failed: the server ends, and recovers when it is started again", ["error": .string("\(error)")])
        onFailure(error)
    }
}
