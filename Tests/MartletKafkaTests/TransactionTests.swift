import MartletKafka
import MartletLog
import Testing

@Suite("Transactions: what they touch and how they end")
struct TransactionTests {
    private func started(_ bench: CoordinatorBench, timeoutMillis: Int32 = 60_000) -> Producer {
        var producer = Producer(bench: bench)
        #expect(producer.start(timeoutMillis: timeoutMillis) == .noError)
        return producer
    }

    @Test("the end is one record: markers on every partition and the new state, at the raised epoch")
    func oneRecord() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        let before = producer
        #expect(producer.add([second, first]) == .noError)
        #expect(producer.end(commits: true) == .noError)
        #expect(bench.ends.count == 1)
        let end = bench.ends[0]
        #expect(end.isCommit && end.partitions == [first, second])
        #expect(end.producerID == before.id && end.producerEpoch == before.epoch + 1)
        #expect(end.entries.contains { $0.space == .transaction })
        #expect(end.fences == [ProducerFence(producerID: before.id, epoch: before.epoch + 1)])
        #expect(producer.epoch == before.epoch + 1)
        #expect(producer.description?.state == "CompleteCommit")
        #expect(bench.commitCount == 2, "one for the id, one for the partitions, none beside the end")
    }

    @Test("below EndTxn 5 the epoch stays, and so do the markers")
    func oldProtocol() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        let epoch = producer.epoch
        producer.add([first])
        #expect(producer.end(commits: false, version: 4) == .noError)
        #expect(bench.ends.last?.producerEpoch == epoch)
        #expect(bench.ends.last?.isCommit == false)
        producer.add([first])
        #expect(producer.end(commits: true, version: 4) == .noError)
        #expect(producer.end(commits: true, version: 4) == .noError, "asked twice, answered alike")
        #expect(producer.end(commits: false, version: 4) == .invalidTxnState)
        #expect(bench.ends.count == 2)
    }

    @Test("an idempotent retry of EndTxn is answered alike, and ends nothing twice")
    func repeatedEnd() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        producer.add([first])
        var retrying = producer
        #expect(retrying.end(commits: true, losesAnswer: true) == .noError)
        #expect(retrying.end(commits: true) == .noError)
        #expect(retrying.epoch == producer.epoch + 1)
        #expect(bench.ends.count == 1)
        #expect(producer.end(commits: false, losesAnswer: true) == .invalidTxnState, "it was committed")
        bench.restart()
        #expect(producer.end(commits: true) == .noError, "also after a restart")
        #expect(bench.ends.count == 1)
    }

    @Test("with transaction.version 2 a delayed EndTxn cannot hit the next transaction")
    func delayedEnd() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        producer.add([first])
        var delayed = producer
        producer.end(commits: true)
        #expect(producer.produce([second], version: 12) == [.noError])
        #expect(delayed.end(commits: false) == .producerFenced)
        #expect(delayed.end(commits: true) == .producerFenced)
        #expect(producer.description?.state == "Ongoing")
        #expect(producer.end(commits: true) == .noError)
        #expect(bench.ends.map(\.partitions) == [[first], [second]])
    }

    @Test("EndTxn while the previous one completes is CONCURRENT_TRANSACTIONS, and so is all else")
    func concurrent() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        producer.add([first])
        var former = producer
        bench.holdsEnds = true
        #expect(producer.end(commits: true) == .noError)
        #expect(producer.description?.state == "PrepareCommit")
        #expect(former.end(commits: true, losesAnswer: true) == .concurrentTransactions)
        #expect(producer.end(commits: true) == .concurrentTransactions)
        #expect(producer.add([first]) == .concurrentTransactions)
        #expect(producer.addOffsets("g") == .concurrentTransactions)
        #expect(producer.produce([first], version: 12) == [.concurrentTransactions])
        #expect(producer.commitOffset(orders0, 1, MemberClaim(groupID: "g")) == .concurrentTransactions)
        var other = producer
        #expect(other.start() == .concurrentTransactions)
        bench.releaseEnds()
        #expect(producer.add([first]) == .noError)
        #expect(producer.end(commits: false) == .noError)
        bench.holdsEnds = true
        producer.add([first])
        #expect(producer.end(commits: false, version: 4) == .noError)
        #expect(producer.end(commits: false, version: 4) == .concurrentTransactions)
    }

    @Test("INVALID_TXN_STATE: committing what was not begun; giving up is always possible with version 5")
    func nothingBegun() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        #expect(producer.end(commits: true) == .invalidTxnState)
        #expect(producer.end(commits: false, version: 4) == .invalidTxnState)
        let epoch = producer.epoch
        #expect(producer.end(commits: false) == .noError)
        #expect(producer.epoch == epoch + 1)
        #expect(producer.end(commits: true) == .invalidTxnState)
    }

    @Test("strangers: INVALID_PRODUCER_ID_MAPPING; stale epochs: fenced, named as the version knows it")
    func strangers() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        var stranger = producer
        stranger.id += 1_000_000
        #expect(stranger.add([first]) == .invalidProducerIdMapping)
        #expect(stranger.end(commits: true) == .invalidProducerIdMapping)
        #expect(stranger.produce([first], version: 12) == [.invalidProducerIdMapping])
        stranger.transactionalID = ""
        #expect(stranger.add([first]) == .invalidRequest)
        var zombie = producer
        producer.start()
        #expect(zombie.add([first]) == .producerFenced)
        #expect(zombie.add([first], version: 1) == .invalidProducerEpoch)
        #expect(zombie.addOffsets("g") == .producerFenced)
        #expect(zombie.addOffsets("g", version: 1) == .invalidProducerEpoch)
        #expect(zombie.end(commits: true, version: 1) == .invalidProducerEpoch)
        #expect(zombie.end(commits: true, version: 4) == .producerFenced)
        #expect(zombie.end(commits: true) == .producerFenced)
        #expect(zombie.produce([first], version: 12) == [.invalidProducerEpoch])
        #expect(zombie.commitOffset(orders0, 1, MemberClaim(groupID: "g")) == .invalidProducerEpoch)
        #expect(producer.add([first]) == .noError)
    }

    @Test("a partition produced to without being added: part of it from version 12, refused below")
    func implicitPartitions() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        #expect(producer.produce([first], version: 10) == [.invalidTxnState])
        #expect(producer.produce([first], version: 11) == [.transactionAbortable])
        producer.add([first])
        #expect(producer.produce([first, second], version: 10) == [.noError, .invalidTxnState])
        #expect(producer.produce([first, second], version: 12) == [.noError, .noError])
        #expect(producer.description?.partitions == [first, second])
        bench.restart()
        #expect(producer.end(commits: true) == .noError)
        #expect(bench.ends.last?.partitions == [first, second], "what was produced to before the crash gets its marker")
    }

    @Test("expired transactions really abort, and their producer is fenced")
    func timeouts() {
        let bench = CoordinatorBench()
        var producer = started(bench, timeoutMillis: 10_000)
        producer.commitOffset(orders0, 9, MemberClaim(groupID: "g"))
        bench.pass(millis: 5_000)
        producer.produce([first], version: 12).forEach { #expect($0 == .noError) }
        bench.pass(millis: 4_999)
        #expect(bench.ends.isEmpty)
        bench.pass(millis: 1)
        #expect(bench.ends.map(\.isCommit) == [false])
        #expect(bench.ends.last?.producerEpoch == producer.epoch + 1)
        #expect(bench.fences[producer.id] == producer.epoch + 1)
        #expect(bench.offset("g", orders0, stable: true) == -1)
        #expect(producer.produce([first], version: 12) == [.invalidProducerEpoch])
        #expect(producer.end(commits: true) == .producerFenced)
        #expect(producer.end(commits: false) == .producerFenced, "its own end did not happen, so it is not repeated")
        #expect(producer.start(continues: true) == .producerFenced)
        #expect(producer.start() == .noError)
    }

    @Test("a restart does not give an open transaction more time")
    func timeoutAfterRestart() {
        let bench = CoordinatorBench()
        let producer = started(bench, timeoutMillis: 10_000)
        producer.add([first])
        bench.pass(millis: 6_000)
        bench.restart()
        #expect(producer.description?.state == "Ongoing")
        bench.pass(millis: 3_999)
        #expect(bench.ends.isEmpty)
        bench.pass(millis: 1)
        #expect(bench.ends.map(\.isCommit) == [false])
    }

    // MARK: offsets

    @Test("pending offsets become visible with the commit, vanish with the abort; UNSTABLE_OFFSET_COMMIT until then")
    func offsets() {
        for commits in [true, false] {
            let bench = CoordinatorBench()
            _ = bench.commit(MemberClaim(groupID: "g"), [(orders0, 3)])
            var producer = started(bench)
            #expect(producer.addOffsets("g") == .noError)
            #expect(producer.commitOffset(orders0, 9, MemberClaim(groupID: "g"), version: 3) == .noError)
            #expect(producer.commitOffset(orders1, 4, MemberClaim(groupID: "g"), version: 3) == .noError)
            bench.restart()
            #expect(bench.offset("g", orders0) == 3)
            let stable = bench.fetch("g", [orders0, payments0], stable: true)
            #expect(stable?.partitions.map(\.error) == [.unstableOffsetCommit, .noError])
            #expect(bench.fetch("g", nil, stable: true)?.partitions.map(\.error) == [.unstableOffsetCommit, .unstableOffsetCommit])
            #expect(producer.end(commits: commits) == .noError)
            #expect(bench.ends.last?.entries.filter { $0.space == .offset }.isEmpty == false, "in the record of the end")
            for _ in 0..<2 {
                #expect(bench.fetch("g", nil, stable: true)?.partitions.map(\.offset) == (commits ? [9, 4] : [3]))
                bench.restart()
            }
        }
    }

    @Test("what is committed after a transaction's offset is not undone by its end")
    func laterCommitStays() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        producer.commitOffset(orders0, 9, MemberClaim(groupID: "g"))
        _ = bench.commit(MemberClaim(groupID: "g"), [(orders0, 12)])
        bench.restart()
        producer.end(commits: true)
        #expect(bench.offset("g", orders0, stable: true) == 12)
    }

    @Test("TxnOffsetCommit v3 checks generation, member and instance")
    func membership() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2) { index, member in if index == 1 { member.instance = "i" } }
        let producer = started(bench)
        func verdict(_ change: (inout MemberClaim) -> Void, of member: Int = 0) -> ErrorCode {
            var claim = members[member].claim
            change(&claim)
            return producer.commitOffset(orders0, 1, claim, version: 5)
        }
        #expect(verdict { $0.generation -= 1 } == .illegalGeneration)
        #expect(verdict { $0.memberID = "stranger" } == .unknownMemberId)
        #expect(verdict({ $0.instanceID = "j" }, of: 1) == .unknownMemberId)
        #expect(verdict({ $0.memberID = members[0].id }, of: 1) == .fencedInstanceId)
        #expect(producer.description?.state == "Empty", "what is refused begins nothing")
        #expect(verdict { _ in } == .noError)
        #expect(producer.commitOffset(orders1, 1, MemberClaim(groupID: "g")) == .noError, "who says nothing is not asked")
        var consumer = CoordinatorBench.Consumer(id: "a")
        bench.beat(&consumer)
        let stale = MemberClaim(groupID: "k", memberID: "a", generation: consumer.epoch + 1)
        #expect(producer.commitOffset(orders0, 1, stale) == .illegalGeneration, "the answer has no word for a stale epoch")
    }

    @Test("a transaction's offsets are taken between a generation and its assignment, a plain commit is not")
    func whileCompleting() {
        let bench = CoordinatorBench()
        var member = CoordinatorBench.Classic()
        _ = bench.sendNamedJoin(&member)
        member.generation = 1
        #expect(bench.state("g") == "CompletingRebalance")
        #expect(bench.commit(member.claim, [(orders0, 1)]) == [.rebalanceInProgress])
        #expect(started(bench).commitOffset(orders0, 1, member.claim) == .noError)
    }

    @Test("TxnOffsetCommit adds its group from version 5; below it has to be added")
    func implicitGroup() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        #expect(producer.commitOffset(orders0, 1, MemberClaim(groupID: "g"), version: 4) == .invalidTxnState)
        #expect(producer.commitOffset(orders0, 2, MemberClaim(groupID: "g"), version: 5) == .noError)
        #expect(producer.addOffsets("") == .invalidGroupId)
        producer.end(commits: true)
        #expect(bench.offset("g", orders0) == 2)
    }

    // MARK: seen from outside

    @Test("DescribeTransactions and ListTransactions with filters by state, producer and duration")
    func listing() {
        let bench = CoordinatorBench()
        var one = Producer(bench: bench, transactionalID: "one")
        var two = Producer(bench: bench, transactionalID: "two")
        one.start()
        two.start()
        one.add([first])
        bench.pass(millis: 5_000)
        #expect(one.description?.state == "Ongoing")
        #expect(one.description?.timeoutMillis == 60_000)
        #expect(one.description?.startMillis == bench.time.wallMillis - 5_000)
        #expect(two.description?.startMillis == -1)
        #expect(Producer(bench: bench, transactionalID: "none").description?.error == .transactionalIdNotFound)
        func list(_ call: ListTransactionsCall) -> (ids: [String], unknown: [String]) {
            let answer = bench.ask { bench.transactions.listTransactions(call, ticket: $0, now: $1) }
            guard case .listTransactions(let listed)? = answer else { return ([], []) }
            return (listed.transactions.map(\.transactionalID), listed.unknownStates)
        }
        #expect(list(ListTransactionsCall()).ids == ["one", "two"])
        #expect(list(ListTransactionsCall(states: ["Ongoing", "Sleeping"])).ids == ["one"])
        #expect(list(ListTransactionsCall(states: ["Ongoing", "Sleeping"])).unknown == ["Sleeping"])
        #expect(list(ListTransactionsCall(producerIDs: [two.id])).ids == ["two"])
        #expect(list(ListTransactionsCall(durationMillis: 5_000)).ids == ["one"])
        #expect(list(ListTransactionsCall(durationMillis: 5_001)).ids.isEmpty)
    }

    @Test("a deleted topic leaves the transaction")
    func topicRemoved() {
        let bench = CoordinatorBench()
        var producer = started(bench)
        producer.add([first, second])
        bench.send { _, _ in bench.transactions.topicsRemoved([ordersID]) }
        producer.end(commits: true)
        #expect(bench.ends.last?.partitions == [second])
    }
}
