/// InitProducerId: who a producer is, and that nobody else is it any more.
extension TransactionCoordinator {
    package func initProducer(_ call: InitProducerCall, ticket: Ticket, now: CoordinatorTime) {
        let answer = introduce(call, now)
        outbox.answer(ticket, .initProducer(answer))
    }

    private func introduce(_ call: InitProducerCall, _ now: CoordinatorTime) -> InitProducerAnswer {
        let hasExpectation = call.producerID >= 0
        guard hasExpectation == (call.producerEpoch >= 0) else { return InitProducerAnswer(error: .invalidRequest) }
        guard let id = call.transactionalID else {
            // Without transactions an identity is good for one life: whoever asks gets a new one.
            guard let producerID = newProducerID() else { return InitProducerAnswer(error: .coordinatorNotAvailable) }
            return InitProducerAnswer(error: .noError, producerID: producerID, producerEpoch: 0)
        }
        guard !id.isEmpty else { return InitProducerAnswer(error: .invalidRequest) }
        guard (1...options.timeoutMillisMax).contains(call.timeoutMillis) else {
            return InitProducerAnswer(error: .invalidTransactionTimeout)
        }
        guard let transaction = transactions[id] else { return introduceNew(id, call, now) }
        guard transaction.ending == nil else { return InitProducerAnswer(error: .concurrentTransactions) }
        if hasExpectation {
            switch expectation(call, transaction) {
            case .present: break
            case .former: return answer(transaction)
            case .neither: return InitProducerAnswer(error: call.version >= 4 ? .producerFenced : .invalidProducerEpoch)
            }
        }
        return renew(transaction, call, keepsFormer: hasExpectation, now)
    }

    private func introduceNew(_ id: String, _ call: InitProducerCall, _ now: CoordinatorTime) -> InitProducerAnswer {
        guard let producerID = newProducerID() else { return InitProducerAnswer(error: .coordinatorNotAvailable) }
        let transaction = Transaction(
            id: id, producerID: producerID, epoch: 0, timeoutMillis: call.timeoutMillis, updateMillis: now.wallMillis)
        transactions[id] = transaction
        outbox.commit([transaction.saved], fences: fences(of: transaction, formerProducerID: producerID))
        return answer(transaction)
    }

    private enum Expectation { case present, former, neither }

    /// KIP-360: a producer that has got stuck continues under its own identity, if it is still its own. That it asks under
    /// the former epoch means that the answer got lost, unless something has happened since.
    private func expectation(_ call: InitProducerCall, _ transaction: Transaction) -> Expectation {
        if call.producerID == transaction.producerID, call.producerEpoch == transaction.epoch { return .present }
        let isFormer = call.producerID == transaction.formerProducerID && call.producerEpoch == transaction.formerEpoch
        return isFormer && transaction.state != .ongoing ? .former : .neither
    }

    /// The next epoch, which fences all earlier; an open transaction is aborted with it, in the same record.
    private func renew(
        _ transaction: Transaction, _ call: InitProducerCall, keepsFormer: Bool, _ now: CoordinatorTime
    ) -> InitProducerAnswer {
        let former = (producerID: transaction.producerID, epoch: transaction.epoch)
        let isOngoing = transaction.state == .ongoing
        if former.epoch >= Transaction.epochMax {
            guard let producerID = newProducerID() else { return InitProducerAnswer(error: .coordinatorNotAvailable) }
            transaction.producerID = producerID
            transaction.epoch = 0
        } else {
            transaction.epoch += 1
        }
        transaction.formerProducerID = keepsFormer ? former.producerID : -1
        transaction.formerEpoch = keepsFormer ? former.epoch : -1
        transaction.timeoutMillis = call.timeoutMillis
        transaction.updateMillis = now.wallMillis
        if isOngoing {
            // Kafka makes the client ask again (CONCURRENT_TRANSACTIONS) while it aborts; one record needs no waiting.
            end(transaction, commits: false, producerID: former.producerID, markerEpoch: former.epoch.next, startsAnew: true, now)
        } else {
            transaction.state = .empty
            outbox.commit([transaction.saved], fences: fences(of: transaction, formerProducerID: former.producerID))
        }
        return answer(transaction)
    }

    private func answer(_ transaction: Transaction) -> InitProducerAnswer {
        InitProducerAnswer(error: .noError, producerID: transaction.producerID, producerEpoch: transaction.epoch)
    }
}
