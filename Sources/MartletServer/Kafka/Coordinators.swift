internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Drives the group and transaction coordinators: performs what they ask for, in order, and gives answers out when
/// everything before them is durable. Loop thread only, which is the lock they ask for.
final class Coordinators {
    let groups: GroupCoordinator
    let transactions: TransactionCoordinator
    private let outbox: CoordinatorOutbox
    private let log: Log
    private let loop: EventLoop
    private let clock: any Clock
    private let logger: StructuredLog
    /// What is still to be performed, because the log had no room for the first of it.
    private var pending: [CoordinatorAction] = []
    private var retry: LoopTimer?
    private var ticketNumber: UInt64 = 0
    private var receivers: [Ticket: (CoordinatorAnswer) -> Void] = [:]
    /// The highest sequence of a coordinator's change.
    private let last: LastSequence
    private var timer: LoopTimer?
    private var timerMillis: Int64 = .max
    private var knownTopics: Set<TopicID> = []

    /// Shared with the closure that allocates producer ids.
    private final class LastSequence { var value: UInt64 = 0 }

    init(
        log: Log, loop: EventLoop, clock: any Clock, entropy: any Entropy, logger: StructuredLog, groupOptions: GroupOptions,
        transactionOptions: TransactionOptions
    ) {
        self.log = log
        self.loop = loop
        self.clock = clock
        self.logger = logger
        outbox = CoordinatorOutbox()
        let last = LastSequence()
        self.last = last
        groups = GroupCoordinator(options: groupOptions, outbox: outbox, entropy: entropy)
        transactions = TransactionCoordinator(options: transactionOptions, outbox: outbox, groups: groups) {
            do throws(LogError) {
                let allocated = try log.allocateProducerID()
                last.value = max(last.value, allocated.sequence)
                return allocated.producerID
            } catch {
                logger.warn("no producer id could be given out", ["error": .string("\(error)")])
                return nil
            }
        }
    }

    private var now: CoordinatorTime {
        CoordinatorTime(monotonicMillis: clock.monotonicNanos() / 1_000_000, wallMillis: clock.wallMicros() / 1_000)
    }

    /// Restores what the log holds. Once, first.
    func load() throws(CoordinatorLoadError) {
        let topics = log.topics()
        knownTopics = Set(topics.map(\.id))
        groups.topicsChanged(topics.map { TopicFacts(name: $0.name, id: $0.id, partitions: $0.partitions) }, now: now)
        try groups.load(groups: log.entries(.group), offsets: log.entries(.offset), now: now)
        try transactions.load(transactions: log.entries(.transaction), now: now)
        perform()
    }

    /// Asks a coordinator; `receive` gets the answer, on the loop's thread, now or much later.
    func ask(_ call: (Ticket, CoordinatorTime) -> Void, receive: @escaping (CoordinatorAnswer) -> Void) {
        ticketNumber += 1
        let ticket = Ticket(ticketNumber)
        receivers[ticket] = receive
        call(ticket, now)
        perform()
    }

    /// Whether everything the coordinators asked for is with the log.
    var isDrained: Bool { pending.isEmpty }

    /// Whether all of it is durable, too.
    var isSettled: Bool { pending.isEmpty && last.value <= log.publishedSequence }

    func admitProduce(_ claim: ProducerClaim, _ partitions: [TopicPartition], version: Int16) -> [TransactionPartitionOutcome] {
        let outcomes = transactions.admitProduce(claim, partitions, version: version, now: now)
        perform()
        return outcomes
    }

    /// Tells the coordinators what topics there are now.
    func topicsChanged() {
        let topics = log.topics()
        let present = Set(topics.map(\.id))
        let removed = knownTopics.subtracting(present)
        knownTopics = present
        groups.topicsChanged(topics.map { TopicFacts(name: $0.name, id: $0.id, partitions: $0.partitions) }, now: now)
        if !removed.isEmpty { transactions.topicsRemoved(removed) }
        perform()
    }

    private func perform() {
        pending += outbox.take()
        if retry == nil { work() }
        arm()
    }

    private func work() {
        var done = 0
        defer { pending.removeFirst(done) }
        while done < pending.count {
            do throws(LogError) {
                try perform(pending[done])
                done += 1
            } catch {
                if !error.isRetriable {
                    // The log has failed for good and the process ends; nobody gets an answer that might not be true.
                    logger.error("the log refuses a coordinator's change", ["error": .string("\(error)")])
                }
                retry = loop.schedule(afterNanos: 20_000_000) { [weak self] in
                    guard let self else { return }
                    retry = nil
                    perform()
                }
                return
            }
        }
    }

    private func perform(_ action: CoordinatorAction) throws(LogError) {
        switch action {
        case .commit(let entries, let fences):
            last.value = max(last.value, try log.commit(Commit(entries: entries, fences: fences)).sequence)
        case .endTransaction(let ending):
            last.value = max(last.value, try log.endTransaction(ending.end))
            transactions.ended(ending)
        case .answer(let ticket, let answer):
            guard last.value > log.publishedSequence else { return give(ticket, answer) }
            log.whenDurable(last.value) { [self] in
                loop.post { [self] in give(ticket, answer) }
            }
        }
    }

    private func give(_ ticket: Ticket, _ answer: CoordinatorAnswer) {
        receivers.removeValue(forKey: ticket)?(answer)
    }

    /// Sees to it that the coordinators are called when something is due.
    private func arm() {
        let next = min(groups.nextDeadline ?? .max, transactions.nextDeadline ?? .max)
        guard next < timerMillis else { return }
        timer?.cancel()
        timerMillis = next
        let wait = max(0, next - clock.monotonicNanos() / 1_000_000)
        // A millisecond more, so that the deadline has passed when it rings.
        timer = loop.schedule(afterNanos: (min(wait, 86_400_000) + 1) * 1_000_000) { [weak self] in
            guard let self else { return }
            timerMillis = .max
            groups.advance(now: now)
            transactions.advance(now: now)
            perform()
        }
    }
}

// Sound: everything but the closures that pass through the journal's thread, which do not look at it, is the loop's.
extension Coordinators: @unchecked Sendable {}
