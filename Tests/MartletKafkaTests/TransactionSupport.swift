import MartletKafka
import MartletLog
import Testing

/// A transactional producer, and calls in its name.
struct Producer {
    let bench: CoordinatorBench
    var transactionalID = "t"
    var id: Int64 = -1
    var epoch: Int16 = -1

    var claim: ProducerClaim { ProducerClaim(transactionalID: transactionalID, producerID: id, epoch: epoch) }

    /// InitProducerId; `continues`: with the identity it has (KIP-360).
    @discardableResult
    mutating func start(version: Int16 = 5, timeoutMillis: Int32 = 60_000, continues: Bool = false) -> ErrorCode {
        let call = InitProducerCall(
            version: version, transactionalID: transactionalID, timeoutMillis: timeoutMillis, producerID: continues ? id : -1,
            producerEpoch: continues ? epoch : -1)
        guard case .initProducer(let answer)? = bench.ask({ bench.transactions.initProducer(call, ticket: $0, now: $1) }) else {
            return .unknownServerError
        }
        if answer.error == .noError { (id, epoch) = (answer.producerID, answer.producerEpoch) }
        return answer.error
    }

    @discardableResult
    func add(_ partitions: [TopicPartition], version: Int16 = 3) -> ErrorCode {
        let answer = bench.ask { bench.transactions.addPartitions(claim, partitions, version: version, ticket: $0, now: $1) }
        if case .addPartitions(let outcomes)? = answer { return outcomes.first?.error ?? .noError } else { return .unknownServerError }
    }

    func produce(_ partitions: [TopicPartition], version: Int16) -> [ErrorCode] {
        var errors: [ErrorCode] = []
        bench.send { _, now in errors = bench.transactions.admitProduce(claim, partitions, version: version, now: now).map(\.error) }
        return errors
    }

    @discardableResult
    func addOffsets(_ group: String, version: Int16 = 3) -> ErrorCode {
        let answer = bench.ask { bench.transactions.addOffsets(claim, groupID: group, version: version, ticket: $0, now: $1) }
        if case .addOffsets(let error)? = answer { return error } else { return .unknownServerError }
    }

    @discardableResult
    func commitOffset(_ partition: NamedPartition, _ offset: Int64, _ claim: MemberClaim, version: Int16 = 5) -> ErrorCode {
        let call = TxnOffsetCommitCall(
            version: version, transactionalID: transactionalID, producerID: id, producerEpoch: epoch, claim: claim,
            partitions: [.init(partition, offset: offset)])
        guard case .commitOffsets(let outcomes)? = bench.ask({ bench.transactions.commitOffsets(call, ticket: $0, now: $1) }) else {
            return .unknownServerError
        }
        return outcomes.partitions.first?.error ?? .noError
    }

    /// EndTxn; from version 5 the producer goes on under what it is told, unless the answer gets lost.
    @discardableResult
    mutating func end(commits: Bool, version: Int16 = 5, losesAnswer: Bool = false) -> ErrorCode {
        let answer = bench.ask { bench.transactions.endTransaction(claim, commits: commits, version: version, ticket: $0, now: $1) }
        guard case .endTransaction(let end)? = answer else { return .unknownServerError }
        if version >= 5, end.error == .noError, !losesAnswer { (id, epoch) = (end.producerID, end.producerEpoch) }
        return end.error
    }

    var description: DescribedTransaction? {
        let answer = bench.ask { bench.transactions.describeTransactions([transactionalID], ticket: $0, now: $1) }
        if case .describeTransactions(let described)? = answer { return described.first } else { return nil }
    }
}

let ordersID = TopicID(high: 1, low: 1)
let paymentsID = TopicID(high: 2, low: 2)
let first = TopicPartition(topic: ordersID, partition: 0)
let second = TopicPartition(topic: paymentsID, partition: 1)
