package import MartletLog

/// What a transaction touches, how it ends, and what there is.
extension TransactionCoordinator {
    // MARK: AddPartitionsToTxn, and Produce

    /// `partitions` exist. (If one asked for does not, the server answers UNKNOWN_TOPIC_OR_PARTITION for it and
    /// OPERATION_NOT_ATTEMPTED for the rest, and does not call.)
    package func addPartitions(
        _ claim: ProducerClaim, _ partitions: [TopicPartition], version: Int16, ticket: Ticket, now: CoordinatorTime
    ) {
        var error = ErrorCode.noError
        switch transaction(of: claim, fenced: version >= 2 ? .producerFenced : .invalidProducerEpoch) {
        case .success(let transaction): add(partitions, to: transaction, now)
        case .failure(let failure): error = failure
        }
        outbox.answer(ticket, .addPartitions(partitions.map { TransactionPartitionOutcome(partition: $0, error: error) }))
    }

    private func add(_ partitions: [TopicPartition], to transaction: Transaction, _ now: CoordinatorTime) {
        if transaction.state == .ongoing, transaction.partitions.isSuperset(of: partitions) { return }
        begin(transaction, now)
        transaction.partitions.formUnion(partitions)
        outbox.commit([transaction.saved])
    }

    /// Whether a transactional Produce may append to these partitions; asked before every one, under the coordinators'
    /// lock, and the outbox performed before the append. From version 12 a partition that is not yet part of the
    /// transaction becomes one (KIP-890); below it has to be one already. What is refused is not appended.
    ///
    /// Clients below version 12 do not retry CONCURRENT_TRANSACTIONS: they get NOT_ENOUGH_REPLICAS from the server.
    package func admitProduce(
        _ claim: ProducerClaim, _ partitions: [TopicPartition], version: Int16, now: CoordinatorTime
    ) -> [TransactionPartitionOutcome] {
        func all(_ error: ErrorCode) -> [TransactionPartitionOutcome] {
            partitions.map { TransactionPartitionOutcome(partition: $0, error: error) }
        }
        let transaction: Transaction
        switch self.transaction(of: claim, fenced: .invalidProducerEpoch) {
        case .success(let found): transaction = found
        case .failure(let error): return all(error)
        }
        if version >= 12 {
            add(partitions, to: transaction, now)
            return all(.noError)
        }
        // Version 11 is the first whose clients know what TRANSACTION_ABORTABLE asks of them.
        let refusal: ErrorCode = version >= 11 ? .transactionAbortable : .invalidTxnState
        return partitions.map { partition in
            let isMember = transaction.state == .ongoing && transaction.partitions.contains(partition)
            return TransactionPartitionOutcome(partition: partition, error: isMember ? .noError : refusal)
        }
    }

    // MARK: offsets

    package func addOffsets(_ claim: ProducerClaim, groupID: String, version: Int16, ticket: Ticket, now: CoordinatorTime) {
        func answer(_ error: ErrorCode) { outbox.answer(ticket, .addOffsets(error)) }
        guard !groupID.isEmpty else { return answer(.invalidGroupId) }
        switch transaction(of: claim, fenced: version >= 2 ? .producerFenced : .invalidProducerEpoch) {
        case .failure(let error): answer(error)
        case .success(let transaction):
            if transaction.state != .ongoing || !transaction.groupIDs.contains(groupID) {
                begin(transaction, now)
                transaction.groupIDs.insert(groupID)
                outbox.commit([transaction.saved])
            }
            answer(.noError)
        }
    }

    package func commitOffsets(_ call: TxnOffsetCommitCall, ticket: Ticket, now: CoordinatorTime) {
        func refuse(_ error: ErrorCode) {
            let refused = call.partitions.map { PartitionOutcomes.Partition(partition: $0.partition, error: error) }
            outbox.answer(ticket, .commitOffsets(PartitionOutcomes(error: error, partitions: refused)))
        }
        let claim = ProducerClaim(transactionalID: call.transactionalID, producerID: call.producerID, epoch: call.producerEpoch)
        let transaction: Transaction
        switch self.transaction(of: claim, fenced: .invalidProducerEpoch) {
        case .success(let found): transaction = found
        case .failure(let error): return refuse(error)
        }
        let isAdded = transaction.state == .ongoing && transaction.groupIDs.contains(call.claim.groupID)
        guard isAdded || call.version >= 5 else { return refuse(.invalidTxnState) }
        let (outcomes, changes) = groups.stage(call, now)
        var all = changes
        if !isAdded, outcomes.error == .noError {
            begin(transaction, now)
            transaction.groupIDs.insert(call.claim.groupID)
            all.insert(transaction.saved, at: 0)
        }
        outbox.commit(all)
        outbox.answer(ticket, .commitOffsets(outcomes))
    }

    // MARK: EndTxn

    package func endTransaction(_ claim: ProducerClaim, commits: Bool, version: Int16, ticket: Ticket, now: CoordinatorTime) {
        let answer = version >= 5 ? endRaisingEpoch(claim, commits, now) : endKeepingEpoch(claim, commits, version, now)
        outbox.answer(ticket, .endTransaction(answer))
    }

    private func endKeepingEpoch(
        _ claim: ProducerClaim, _ commits: Bool, _ version: Int16, _ now: CoordinatorTime
    ) -> EndTransactionAnswer {
        let transaction: Transaction
        switch self.transaction(of: claim, fenced: version >= 2 ? .producerFenced : .invalidProducerEpoch) {
        case .success(let found): transaction = found
        case .failure(let error): return EndTransactionAnswer(error: error)
        }
        switch transaction.state {
        case .ongoing:
            end(transaction, commits: commits, producerID: transaction.producerID, markerEpoch: transaction.epoch, now)
            return EndTransactionAnswer(error: .noError)
        // Asked twice: the first answer got lost.
        case .committed: return EndTransactionAnswer(error: commits ? .noError : .invalidTxnState)
        case .aborted: return EndTransactionAnswer(error: commits ? .invalidTxnState : .noError)
        case .empty: return EndTransactionAnswer(error: .invalidTxnState)
        }
    }

    /// `transaction.version` 2: the producer goes on under the next epoch.
    private func endRaisingEpoch(_ claim: ProducerClaim, _ commits: Bool, _ now: CoordinatorTime) -> EndTransactionAnswer {
        if let transaction = transactions[claim.transactionalID], isRepetition(claim, of: transaction) {
            guard transaction.ending == nil else { return EndTransactionAnswer(error: .concurrentTransactions) }
            guard commits == (transaction.state == .committed) else { return EndTransactionAnswer(error: .invalidTxnState) }
            return answer(transaction)
        }
        let transaction: Transaction
        switch self.transaction(of: claim, fenced: .producerFenced) {
        case .success(let found): transaction = found
        case .failure(let error): return EndTransactionAnswer(error: error)
        }
        // A producer that gives up may not know whether anything it sent has begun a transaction.
        guard transaction.state == .ongoing || !commits else { return EndTransactionAnswer(error: .invalidTxnState) }
        let former = (producerID: transaction.producerID, epoch: transaction.epoch)
        if former.epoch >= Transaction.epochMax {
            guard let producerID = newProducerID() else { return EndTransactionAnswer(error: .coordinatorNotAvailable) }
            transaction.producerID = producerID
            transaction.epoch = 0
        } else {
            transaction.epoch += 1
        }
        transaction.formerProducerID = former.producerID
        transaction.formerEpoch = former.epoch
        end(transaction, commits: commits, producerID: former.producerID, markerEpoch: former.epoch.next, now)
        return answer(transaction)
    }

    /// Whether the claim is that of the producer before its last end. After anything else has happened it is not.
    private func isRepetition(_ claim: ProducerClaim, of transaction: Transaction) -> Bool {
        guard transaction.state == .committed || transaction.state == .aborted else { return false }
        return claim.producerID == transaction.formerProducerID && claim.epoch == transaction.formerEpoch
    }

    private func answer(_ transaction: Transaction) -> EndTransactionAnswer {
        EndTransactionAnswer(error: .noError, producerID: transaction.producerID, producerEpoch: transaction.epoch)
    }

    // MARK: describe

    package func describeTransactions(_ ids: [String], ticket: Ticket, now: CoordinatorTime) {
        let described = ids.map { id -> DescribedTransaction in
            var answer = DescribedTransaction(transactionalID: id)
            guard !id.isEmpty else {
                answer.error = .invalidRequest
                return answer
            }
            guard let transaction = transactions[id] else {
                answer.error = .transactionalIdNotFound
                return answer
            }
            answer.state = transaction.stateName
            answer.timeoutMillis = transaction.timeoutMillis
            answer.startMillis = transaction.startMillis
            answer.producerID = transaction.producerID
            answer.producerEpoch = transaction.epoch
            answer.partitions = transaction.partitions.sorted()
            return answer
        }
        outbox.answer(ticket, .describeTransactions(described))
    }

    package func listTransactions(_ call: ListTransactionsCall, ticket: Ticket, now: CoordinatorTime) {
        var answer = ListTransactionsAnswer()
        answer.unknownStates = call.states.filter { !Transaction.stateNames.contains($0) }
        let states = Set(call.states)
        let producerIDs = Set(call.producerIDs)
        for id in transactions.keys.sorted() {
            guard let transaction = transactions[id] else { continue }
            guard states.isEmpty || states.contains(transaction.stateName) else { continue }
            guard producerIDs.isEmpty || producerIDs.contains(transaction.producerID) else { continue }
            if call.durationMillis >= 0 {
                let isOpen = transaction.startMillis >= 0
                guard isOpen, now.wallMillis - transaction.startMillis >= call.durationMillis else { continue }
            }
            answer.transactions.append(
                ListTransactionsAnswer.Transaction(
                    transactionalID: id, producerID: transaction.producerID, state: transaction.stateName))
        }
        outbox.answer(ticket, .listTransactions(answer))
    }
}
