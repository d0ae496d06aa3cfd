import MartletKafka
import MartletLog
import Testing

@Suite("Transactions: who a producer is")
struct TransactionInitTests {
    private func introduce(_ bench: CoordinatorBench, _ call: InitProducerCall) -> InitProducerAnswer? {
        let answer = bench.ask { bench.transactions.initProducer(call, ticket: $0, now: $1) }
        if case .initProducer(let introduced)? = answer { return introduced } else { return nil }
    }

    @Test("without a transactional id everybody gets an identity of its own")
    func idempotent() {
        let bench = CoordinatorBench()
        let call = InitProducerCall(version: 4, transactionalID: nil, timeoutMillis: -1)
        let one = introduce(bench, call)
        bench.restart()
        let two = introduce(bench, call)
        #expect(one?.error == .noError && one?.producerEpoch == 0)
        #expect(one?.producerID != two?.producerID)
        #expect(bench.entries(.transaction).isEmpty)
    }

    @Test("each introduction raises the epoch and fences the one before, also over a restart")
    func fencing() {
        let bench = CoordinatorBench()
        var one = Producer(bench: bench)
        one.start()
        #expect(one.epoch == 0)
        bench.restart()
        var two = Producer(bench: bench)
        two.start()
        #expect(two.id == one.id && two.epoch == 1)
        #expect(bench.fences[one.id] == 1)
        #expect(one.add([first]) == .producerFenced)
        #expect(two.add([first]) == .noError)
    }

    @Test("a new producer aborts its predecessor's open transaction, in one record, and is answered at once")
    func abortsPredecessor() {
        let bench = CoordinatorBench()
        var one = Producer(bench: bench)
        one.start()
        one.add([first])
        one.commitOffset(orders0, 7, MemberClaim(groupID: "g"))
        var two = Producer(bench: bench)
        #expect(two.start() == .noError)
        #expect(bench.ends.map(\.isCommit) == [false])
        #expect(bench.ends.last?.producerEpoch == two.epoch)
        #expect(two.epoch == one.epoch + 1)
        #expect(bench.offset("g", orders0, stable: true) == -1)
        #expect(one.end(commits: false) == .producerFenced, "its transaction was aborted, and it is told nothing of its successor")
        #expect(one.end(commits: true, version: 4) == .producerFenced)
        #expect(two.description?.state == "Empty")
        #expect(two.end(commits: true, version: 4) == .invalidTxnState)
    }

    @Test("bounds: INVALID_TRANSACTION_TIMEOUT, INVALID_REQUEST")
    func bounds() {
        let bench = CoordinatorBench()
        func error(_ id: String?, _ timeout: Int32, _ producerID: Int64 = -1, _ epoch: Int16 = -1) -> ErrorCode? {
            let call = InitProducerCall(
                version: 5, transactionalID: id, timeoutMillis: timeout, producerID: producerID, producerEpoch: epoch)
            return introduce(bench, call)?.error
        }
        #expect(error("t", 0) == .invalidTransactionTimeout)
        #expect(error("t", -1) == .invalidTransactionTimeout)
        #expect(error("t", 900_001) == .invalidTransactionTimeout)
        #expect(error("", 60_000) == .invalidRequest)
        #expect(error("t", 60_000, 5, -1) == .invalidRequest)
        #expect(error("t", 60_000, -1, 5) == .invalidRequest)
        #expect(error("t", 900_000) == .noError)
    }

    @Test("KIP-360: a producer continues under its own identity; a repeated request is answered alike")
    func continues() {
        let bench = CoordinatorBench()
        var producer = Producer(bench: bench)
        producer.start()
        producer.add([first])
        var retry = producer
        #expect(producer.start(continues: true) == .noError)
        #expect(producer.epoch == retry.epoch + 1)
        #expect(bench.ends.count == 1, "its open transaction is aborted")
        bench.restart()
        #expect(retry.start(continues: true) == .noError)
        #expect(retry.epoch == producer.epoch, "the answer got lost; nothing is raised twice")
        #expect(bench.ends.count == 1)
        producer.add([first])
        retry.epoch -= 1
        #expect(retry.start(continues: true) == .producerFenced, "something has happened since")
        #expect(producer.description?.state == "Ongoing")
    }

    @Test("KIP-360: who is not the producer any more is PRODUCER_FENCED, INVALID_PRODUCER_EPOCH below version 4")
    func continuesFenced() {
        let bench = CoordinatorBench()
        var zombie = Producer(bench: bench)
        zombie.start()
        var producer = Producer(bench: bench)
        producer.start()
        producer.add([first])
        #expect(zombie.start(continues: true) == .producerFenced)
        #expect(zombie.start(version: 3, continues: true) == .invalidProducerEpoch)
        zombie.id += 77
        #expect(zombie.start(continues: true) == .producerFenced)
        #expect(bench.ends.isEmpty, "a zombie aborts nothing")
        #expect(producer.end(commits: true) == .noError)
    }

    @Test("an unknown transactional id with an identity gets a new one")
    func forgotten() {
        let bench = CoordinatorBench()
        var producer = Producer(bench: bench, id: 5, epoch: 3)
        #expect(producer.start(continues: true) == .noError)
        #expect(producer.id != 5 && producer.epoch == 0)
    }

    @Test("a worn-out epoch: the next identity has a new producer id, by InitProducerId and by EndTxn 5")
    func exhaustion() {
        let bench = CoordinatorBench()
        var producer = Producer(bench: bench)
        producer.start()
        let old = producer.id
        for _ in 0..<Int(Int16.max) - 1 { producer.start() }
        #expect(producer.id == old && producer.epoch == Int16.max - 1)
        var retry = producer
        producer.add([first])
        #expect(producer.end(commits: true) == .noError)
        #expect(producer.id != old && producer.epoch == 0)
        #expect(bench.ends.last?.producerID == old && bench.ends.last?.producerEpoch == .max)
        #expect(bench.fences[old] == nil && bench.fences[producer.id] == 0)
        bench.restart()
        #expect(retry.end(commits: true) == .noError)
        #expect(retry.id == producer.id && retry.epoch == 0)
        for _ in 0..<Int(Int16.max) - 1 { producer.start() }
        let worn = producer
        producer.add([first])
        #expect(producer.start() == .noError)
        #expect(producer.id != worn.id && producer.epoch == 0)
        #expect(bench.ends.last?.producerID == worn.id && bench.ends.last?.isCommit == false)
        #expect(worn.add([first]) == .invalidProducerIdMapping)
    }

    @Test("an abort by the coordinator at the last epoch does not overflow")
    func lastEpoch() {
        let bench = CoordinatorBench()
        var producer = Producer(bench: bench)
        for _ in 0..<Int(Int16.max) { producer.start() }
        #expect(producer.epoch == Int16.max - 1)
        producer.add([first])
        bench.pass(millis: 60_000)
        #expect(bench.ends.last?.producerEpoch == .max)
        // Nobody was given this epoch; who guesses it gains nothing.
        producer.epoch = .max
        producer.add([first])
        bench.pass(millis: 60_000)
        #expect(bench.ends.last?.producerEpoch == .max)
        #expect(producer.start() == .noError)
        #expect(producer.epoch == 0)
    }

    @Test("a transactional id unused for a week is forgotten, an open transaction never")
    func expiry() {
        let week: Int64 = 7 * 24 * 3_600_000
        let bench = CoordinatorBench()
        var producer = Producer(bench: bench)
        producer.start()
        let old = producer.id
        bench.pass(millis: week - 1)
        #expect(producer.description?.error == .noError)
        bench.pass(millis: 3_600_001)
        #expect(producer.description?.error == .transactionalIdNotFound)
        #expect(bench.entries(.transaction).isEmpty)
        #expect(bench.fences[old] == nil)
        #expect(producer.add([first]) == .invalidProducerIdMapping)
    }
}
