package import MartletLog
internal import Synchronization

/// The topics that a machine's sources read: whoever waits for their records is woken when some become visible. Any thread.
package final class TopicInterest: Sendable {
    private let topics = Mutex<Set<TopicID>>([])

    package init() {}

    func add(_ topic: TopicID) { topics.withLock { _ = $0.insert(topic) } }

    /// Calls `body` on the journal's thread whenever something of these topics became visible. Returns what
    /// `Log.removePublishListener` takes.
    package func listen(to log: Log, _ body: @escaping @Sendable () -> Void) -> Int {
        log.addPublishListener { [self] partitions in
            let isOurs = topics.withLock { topics in partitions.contains { topics.contains($0.topic) } }
            if isOurs { body() }
        }
    }
}
