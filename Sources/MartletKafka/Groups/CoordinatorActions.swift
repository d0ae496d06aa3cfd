package import MartletLog

/// The coordinators of `MartletKafka`: consumer groups (`GroupCoordinator`) and transactions (`TransactionCoordinator`),
/// as state machines without I/O, threads or clocks.
///
/// **How they are driven.** The owner calls a method with a request, a ticket and the time, then performs what is in the
/// `CoordinatorOutbox`, in order, before it calls again. A change (`commit`, `endTransaction`) goes to the log at once; an
/// answer leaves only when *every change performed before it* is durable, which `Log.whenDurable` of the last sequence
/// says. An answer that merely reads waits likewise, since it may speak of a change that a crash would still undo.
///
/// **If the log refuses a change** (no room, no space), the owner keeps the rest of the list in order and tries again
/// later. Nothing may be skipped: the coordinator's memory is already ahead of the log by these changes.
///
/// **Thread contract.** One caller at a time (the server holds one lock around call and outbox). No method blocks.

/// Names a caller's pending answer. Given by the owner, never interpreted here; each ticket is answered exactly once.
package struct Ticket: Hashable, Sendable, CustomStringConvertible {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package var description: String { "#\(number)" }
}

/// The two clocks a coordinator needs, read once per call by the owner.
package struct CoordinatorTime: Sendable, Equatable {
    /// For deadlines; never goes back.
    package var monotonicMillis: Int64
    /// For what is kept and shown (commit times, starts of transactions): milliseconds since 1970-01-01 UTC.
    package var wallMillis: Int64

    package init(monotonicMillis: Int64, wallMillis: Int64) {
        self.monotonicMillis = monotonicMillis
        self.wallMillis = wallMillis
    }
}

/// What the owner has to do, in this order.
package enum CoordinatorAction: Sendable, Equatable {
    /// One commit of the log (`Log.commit`): all of these or none.
    case commit(entries: [EntryChange], fences: [ProducerFence])
    /// One record of the log (`Log.endTransaction`): markers on the partitions, entries and fences. Once the log has taken it
    /// (has given a sequence), the owner calls `TransactionCoordinator.ended(_:)` before it lets anybody else in.
    case endTransaction(TransactionEnding)
    /// Leaves when every change above it is durable.
    case answer(Ticket, CoordinatorAnswer)
}

/// The end of one transaction.
package struct TransactionEnding: Sendable, Equatable {
    package var transactionalID: String
    package var end: TransactionEnd

    package static func == (left: TransactionEnding, right: TransactionEnding) -> Bool {
        left.transactionalID == right.transactionalID && left.end.producerID == right.end.producerID
            && left.end.producerEpoch == right.end.producerEpoch && left.end.isCommit == right.end.isCommit
            && left.end.partitions == right.end.partitions && left.end.entries == right.end.entries
            && left.end.fences == right.end.fences
    }
}

/// An answer of either coordinator.
package enum CoordinatorAnswer: Sendable, Equatable {
    case join(JoinAnswer)
    case sync(SyncAnswer)
    case heartbeat(ErrorCode)
    case leave(LeaveAnswer)
    case describeGroups([DescribedGroup])
    case listGroups([ListedGroup])
    case deleteGroups([GroupOutcome])
    case commitOffsets(PartitionOutcomes)
    case fetchOffsets([FetchedGroupOffsets])
    case deleteOffsets(PartitionOutcomes)
    case consumerHeartbeat(ConsumerHeartbeatAnswer)
    case describeConsumerGroups([DescribedConsumerGroup])
    case initProducer(InitProducerAnswer)
    case addPartitions([TransactionPartitionOutcome])
    case addOffsets(ErrorCode)
    case endTransaction(EndTransactionAnswer)
    case describeTransactions([DescribedTransaction])
    case listTransactions(ListTransactionsAnswer)
}

/// Where the coordinators put what is to be done. Shared by both, so that there is one order. Not thread-safe: it belongs
/// to whoever holds the coordinators' lock.
package final class CoordinatorOutbox {
    package private(set) var actions: [CoordinatorAction] = []

    package init() {}

    /// Everything since the last call, in order.
    package func take() -> [CoordinatorAction] {
        defer { actions = [] }
        return actions
    }

    func answer(_ ticket: Ticket, _ answer: CoordinatorAnswer) { actions.append(.answer(ticket, answer)) }

    func commit(_ entries: [EntryChange], fences: [ProducerFence] = []) {
        if !entries.isEmpty || !fences.isEmpty { actions.append(.commit(entries: entries, fences: fences)) }
    }

    func add(_ action: CoordinatorAction) { actions.append(action) }
}
