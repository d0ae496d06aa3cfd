package import MartletLog

/// All transactional producers of a server: who may act under a transactional id, what its transaction touches, and how it
/// ends. How it is driven, and from which thread, is said at `CoordinatorAction`.
///
/// **One record ends a transaction.** In a cluster a coordinator first writes down the decision (prepare), then has markers
/// written to every partition and to the groups' offsets, then notes completion: in between, readers of one partition see
/// the transaction and readers of another do not, and everybody who comes has to be sent away (CONCURRENT_TRANSACTIONS).
/// Here partitions, offsets and this coordinator's own state are one log. Markers on all partitions, the offsets that become
/// true or vanish, and the new state of the id are one record: before its sync none of it is true, after it all of it. No
/// crash can fall between, so no state "prepared" is ever stored, and recovery has nothing to finish.
///
/// What is left is the moment between the decision in memory and the log's taking the record. Usually there is none: the
/// owner submits under the lock it holds. If the log has no room, the owner has to wait with the list, and lets others in
/// meanwhile; produce requests do not pass through that list. So the id is *ending* until `ended(_:)` is called, and whoever
/// acts for it until then gets CONCURRENT_TRANSACTIONS. Once the record is taken, everything later is later in the journal,
/// durable no sooner, and lost in a crash no later: the next transaction may begin before the sync of the previous end.
///
/// **Fencing.** Every end by somebody other than the producer itself (a timeout, a new producer) raises the epoch, and
/// the markers carry the raised epoch, so that the partitions refuse the old one too. With `transaction.version` 2 (EndTxn
/// 5) every end does, and a request under the epoch of an ended transaction is either the repetition of its end, answered
/// alike, or fenced: a delayed EndTxn cannot end the next transaction. Older clients keep their epoch from one
/// transaction to the next, and with it that known weakness of the old protocol.
package final class TransactionCoordinator {
    package let options: TransactionOptions
    let outbox: CoordinatorOutbox
    let groups: GroupCoordinator
    private let allocateProducerID: () -> Int64?
    var transactions: [String: Transaction] = [:]
    private var deadlines = DeadlineQueue()
    private var nextExpiryCheck: Int64 = .max

    /// `allocateProducerID` gives an identifier that was never given before, also not before a crash, or nil if that is
    /// impossible now. `groups` and `outbox` are those that the server uses beside this.
    package init(
        options: TransactionOptions, outbox: CoordinatorOutbox, groups: GroupCoordinator, allocateProducerID: @escaping () -> Int64?
    ) {
        self.options = options
        self.outbox = outbox
        self.groups = groups
        self.allocateProducerID = allocateProducerID
    }

    /// Restores what the log holds (`Log.entries(.transaction)`). Once, before any other call, after the groups'.
    /// An open transaction keeps the time it has left by the wall clock, at most its timeout.
    package func load(
        transactions entries: [Entry], now: CoordinatorTime
    ) throws(CoordinatorLoadError) {
        for entry in entries {
            let transaction = try Transaction.load(key: entry.key, value: entry.value)
            transactions[transaction.id] = transaction
            if transaction.state == .ongoing {
                let timeout = Int64(transaction.timeoutMillis)
                let left = transaction.startMillis.addingClamped(timeout).subtractingClamped(now.wallMillis)
                setDeadline(transaction, now.monotonicMillis + min(max(left, 0), timeout))
            }
        }
        nextExpiryCheck = now.monotonicMillis + options.expirationCheckMillis
    }

    /// Monotonic milliseconds at which `advance` has something to do; nil: never.
    package var nextDeadline: Int64? {
        let next = min(deadlines.earliest ?? .max, nextExpiryCheck)
        return next == .max ? nil : next
    }

    /// Does what is due: aborts transactions that took too long, forgets unused ids. Cheap when nothing is due.
    package func advance(now: CoordinatorTime) {
        while let due = deadlines.pop(dueAt: now.monotonicMillis) {
            guard let transaction = transactions[due.name], transaction.armedAt == due.millis else { continue }
            transaction.armedAt = .max
            guard transaction.state == .ongoing, transaction.ending == nil else { continue }
            if transaction.deadline <= now.monotonicMillis {
                abortByFence(transaction, now)
            } else {
                setDeadline(transaction, transaction.deadline)
            }
        }
        if nextExpiryCheck <= now.monotonicMillis {
            nextExpiryCheck = now.monotonicMillis + options.expirationCheckMillis
            expire(now)
        }
    }

    /// The log has taken this end: the id is free for the next transaction. Called by the owner right after
    /// `Log.endTransaction` gave a sequence, before anybody else calls.
    package func ended(_ ending: TransactionEnding) {
        transactions[ending.transactionalID]?.ending = nil
    }

    /// These topics are gone: their partitions leave the transactions they are in.
    package func topicsRemoved(_ ids: Set<TopicID>) {
        for id in transactions.keys.sorted() {
            guard let transaction = transactions[id], transaction.partitions.contains(where: { ids.contains($0.topic) }) else { continue }
            transaction.partitions = transaction.partitions.filter { !ids.contains($0.topic) }
            outbox.commit([transaction.saved])
        }
    }

    // MARK: what the features share

    func newProducerID() -> Int64? { allocateProducerID() }

    func setDeadline(_ transaction: Transaction, _ deadline: Int64) {
        transaction.deadline = deadline
        if deadline < transaction.armedAt {
            transaction.armedAt = deadline
            deadlines.push(transaction.id, at: deadline)
        }
    }

    /// The transaction this claim may act for; `fenced` is what a stale epoch is told.
    func transaction(of claim: ProducerClaim, fenced: ErrorCode) -> Result<Transaction, ErrorCode> {
        guard !claim.transactionalID.isEmpty else { return .failure(.invalidRequest) }
        guard let transaction = transactions[claim.transactionalID], transaction.producerID == claim.producerID else {
            return .failure(.invalidProducerIdMapping)
        }
        guard transaction.epoch == claim.epoch else { return .failure(fenced) }
        guard transaction.ending == nil else { return .failure(.concurrentTransactions) }
        return .success(transaction)
    }

    /// Begins the transaction if it has not begun.
    func begin(_ transaction: Transaction, _ now: CoordinatorTime) {
        transaction.updateMillis = now.wallMillis
        guard transaction.state != .ongoing else { return }
        transaction.state = .ongoing
        transaction.startMillis = now.wallMillis
        setDeadline(transaction, now.monotonicMillis + Int64(transaction.timeoutMillis))
    }

    /// Ends the open transaction in one record. The caller has set what is to be true afterwards: epoch and producer id.
    /// `startsAnew`: for a producer that has just introduced itself, and has nothing to repeat.
    func end(
        _ transaction: Transaction, commits: Bool, producerID: Int64, markerEpoch: Int16, startsAnew: Bool = false,
        _ now: CoordinatorTime
    ) {
        let partitions = transaction.partitions.sorted()
        let groupIDs = transaction.groupIDs.sorted()
        transaction.state = startsAnew ? .empty : commits ? .committed : .aborted
        transaction.startMillis = -1
        transaction.updateMillis = now.wallMillis
        transaction.deadline = .max
        transaction.partitions = []
        transaction.groupIDs = []
        let entries = [transaction.saved] + groups.endTransaction(producerID: producerID, commits: commits, groupIDs: groupIDs)
        let end = TransactionEnd(
            producerID: producerID, producerEpoch: markerEpoch, isCommit: commits, partitions: partitions, entries: entries,
            fences: fences(of: transaction, formerProducerID: producerID))
        let ending = TransactionEnding(transactionalID: transaction.id, end: end)
        transaction.ending = ending
        outbox.add(.endTransaction(ending))
    }

    /// What the log has to refuse from now on, along with every change of the epoch. An identity that was worn out is
    /// nobody's any more: this coordinator admits none but the present one.
    func fences(of transaction: Transaction, formerProducerID: Int64) -> [ProducerFence] {
        let present = ProducerFence(producerID: transaction.producerID, epoch: transaction.epoch)
        if formerProducerID == transaction.producerID { return [present] }
        return [present, ProducerFence(producerID: formerProducerID, epoch: nil)]
    }

    /// Aborts on behalf of somebody else than the producer, who is out from now on.
    func abortByFence(_ transaction: Transaction, _ now: CoordinatorTime) {
        transaction.epoch = transaction.epoch.next
        transaction.formerEpoch = -1
        transaction.formerProducerID = -1
        end(transaction, commits: false, producerID: transaction.producerID, markerEpoch: transaction.epoch, now)
    }

    private func expire(_ now: CoordinatorTime) {
        var changes: [EntryChange] = []
        var fences: [ProducerFence] = []
        for id in transactions.keys.sorted() {
            guard let transaction = transactions[id], transaction.state != .ongoing, transaction.ending == nil else { continue }
            guard transaction.updateMillis.addingClamped(options.expirationMillis) <= now.wallMillis else { continue }
            transactions[id] = nil
            changes.append(EntryChange(.transaction, key: Array(id.utf8), value: nil))
            fences.append(ProducerFence(producerID: transaction.producerID, epoch: nil))
        }
        outbox.commit(changes, fences: fences)
    }
}

extension Int16 {
    /// The next epoch; the last is its own next, since no producer is ever given it.
    var next: Int16 { self == .max ? .max : self + 1 }
}

extension Int64 {
    func subtractingClamped(_ other: Int64) -> Int64 {
        let (difference, overflows) = subtractingReportingOverflow(other)
        return overflows ? (other > 0 ? .min : .max) : difference
    }
}
