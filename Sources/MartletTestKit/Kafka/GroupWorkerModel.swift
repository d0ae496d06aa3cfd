internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// A member of a classic group that consumes, transforms and produces exactly once: results and offsets in one
/// transaction, by the old protocol or by `transaction.version` 2.
final class GroupWorkerModel: ClassicClientModel {
    private enum Step: Equatable { case begin, addPartitions, produce, addOffsets, commitOffsets, end(commits: Bool) }

    private let transactionalID: String
    private let raisesEpoch: Bool
    private var producerID: Int64 = -1
    private var epoch: Int16 = -1
    private var step = Step.begin
    private var batch: GroupProduce?
    private var batchNumber = 0
    private var hasBegun = false

    init(_ name: String, _ world: GroupWorld, seed: UInt64, group: String, transactionalID: String) {
        self.transactionalID = transactionalID
        raisesEpoch = SplitMix64.at(seed, 7) % 3 != 0
        super.init(name, world, seed: seed, group: group, instance: nil)
    }

    override func successor(_ name: String, seed: UInt64) -> GroupClientModel {
        GroupWorkerModel(name, world, seed: seed, group: groupID, transactionalID: transactionalID)
    }

    private var producer: ProducerClaim { ProducerClaim(transactionalID: transactionalID, producerID: producerID, epoch: epoch) }

    override func next() {
        guard producerID >= 0 else {
            let call = InitProducerCall(version: raisesEpoch ? 5 : 4, transactionalID: transactionalID, timeoutMillis: 20_000)
            return ask(.initProducer(call))
        }
        // An open transaction is ended before anything else.
        if hasBegun { transact() } else { super.next() }
    }

    override func work() {
        let candidates = assigned.sorted().filter { positions[$0] ?? 0 < world.inputEnd }
        guard !candidates.isEmpty, random.chance(0.7) else { return ask(.heartbeat(claim)) }
        let input = candidates[random.below(candidates.count)]
        let from = positions[input] ?? 0
        let to = min(from + random.within(1...3), world.inputEnd)
        batchNumber += 1
        batch = GroupProduce(
            claim: producer, version: raisesEpoch ? 12 : 11, partition: TopicPartition(topic: world.output, partition: input),
            number: batchNumber, input: input, offsets: from..<to)
        hasBegun = true
        step = raisesEpoch ? .produce : .addPartitions
        transact()
    }

    private func transact() {
        guard let batch else { return }
        switch step {
        case .begin: break
        case .addPartitions: ask(.addPartitions(producer, [batch.partition], 3))
        case .produce: ask(.produce(batch))
        case .addOffsets: ask(.addOffsets(producer, groupID, 3))
        case .commitOffsets:
            let call = TxnOffsetCommitCall(
                version: raisesEpoch ? 5 : 3, transactionalID: transactionalID, producerID: producerID, producerEpoch: epoch,
                claim: claim, partitions: [.init(NamedPartition(GroupWorld.input, batch.input), offset: batch.offsets.upperBound)])
            ask(.commitInTransaction(call))
        case .end(let commits): ask(.endTransaction(producer, commits, raisesEpoch ? 5 : 4))
        }
    }

    override func take(_ response: GroupResponse) {
        switch response {
        case .produced(let error): advance(error, to: raisesEpoch ? .commitOffsets : .addOffsets)
        case .answer(.initProducer(let answer)):
            if answer.error == .noError {
                (producerID, epoch) = (answer.producerID, answer.producerEpoch)
            } else {
                pause(100...500)
            }
        case .answer(.addPartitions(let outcomes)): advance(outcomes.first?.error ?? .noError, to: .produce)
        case .answer(.addOffsets(let error)): advance(error, to: .commitOffsets)
        case .answer(.commitOffsets(let outcomes)) where hasBegun:
            let error = outcomes.partitions.first?.error ?? .noError
            advance(error, to: .end(commits: !random.chance(0.15)))
        case .answer(.endTransaction(let answer)): take(answer)
        default: super.take(response)
        }
    }

    private func advance(_ error: ErrorCode, to next: Step) {
        switch error {
        case .noError: step = next
        case .concurrentTransactions: pause(50...300)
        case .invalidProducerEpoch, .producerFenced, .invalidProducerIdMapping: die()
        default:
            // Not in the group any more as it was: give up what was begun.
            step = .end(commits: false)
        }
    }

    private func take(_ answer: EndTransactionAnswer) {
        guard case .end(let commits) = step else { return }
        switch answer.error {
        case .noError:
            if raisesEpoch { (producerID, epoch) = (answer.producerID, answer.producerEpoch) }
        case .invalidTxnState where !commits: break
        case .concurrentTransactions: return pause(50...300)
        case .invalidProducerEpoch, .producerFenced, .invalidProducerIdMapping: return die()
        default: world.fail("\(endpoint): ending a transaction gave \(answer.error)")
        }
        hasBegun = false
        step = .begin
        if commits, let batch {
            world.server.told(groupID, NamedPartition(GroupWorld.input, batch.input), batch.offsets.upperBound)
        }
        batch = nil
        // Where the group stands is asked again: after an abort it is where it was.
        phase = phase == .working ? .fetching : phase
    }

    override func unanswered() { if !hasBegun { super.unanswered() } }
}
