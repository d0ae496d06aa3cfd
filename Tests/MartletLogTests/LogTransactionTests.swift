import MartletCore
import MartletLog
import MartletTestKit
import Testing

/// Transactions in a partition, points 3 and 4 of what naive brokers get wrong.
@Suite("Transactions")
struct LogTransactionTests {
    private func write(_ fixture: LogFixture, _ partition: TopicPartition, _ value: String, producer: Int64, sequence: Int32) {
        let outcome = fixture.produce(
            partition, logBatch([value], producer: producer, epoch: 0, sequence: sequence, transactional: true))
        guard case .appended = outcome else {
            Issue.record("\(value): \(outcome)")
            return
        }
    }

    private func end(
        _ fixture: LogFixture, _ partitions: [TopicPartition], producer: Int64, commit: Bool, epoch: Int16 = 0
    ) throws {
        _ = try fixture.log.endTransaction(
            TransactionEnd(producerID: producer, producerEpoch: epoch, isCommit: commit, partitions: partitions))
    }

    @Test("a non-transactional batch inside an open transaction of its producer is refused as an invalid state")
    func nonTransactionalInside() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        write(fixture, partition, "a", producer: 1, sequence: 0)
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 0, sequence: 1)) == .refused(.invalidTransactionState))
        try end(fixture, [partition], producer: 1, commit: true)
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 0, sequence: 1))
                == .appended(baseOffset: 2, logAppendMillis: -1, logStartOffset: 0))
    }

    @Test("a stale epoch is refused after the marker that raised it, and the new epoch starts at 0")
    func markerFences() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        write(fixture, partition, "a", producer: 1, sequence: 0)
        try end(fixture, [partition], producer: 1, commit: true, epoch: 1)
        let late = logBatch(["late"], producer: 1, epoch: 0, sequence: 1, transactional: true)
        #expect(fixture.produce(partition, late) == .refused(.invalidProducerEpoch(current: 1)))
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 1, sequence: 1, transactional: true))
                == .refused(.outOfOrderSequence(expected: 0, found: 1)))
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 1, sequence: 0, transactional: true))
                == .appended(baseOffset: 2, logAppendMillis: -1, logStartOffset: 0))
    }

    @Test("after the end of a transaction its batches are not repeated: their sequences, given out again, are out of order, also after a restart")
    func sequenceGivenOutAgain() throws {
        for commit in [false, true] {
            let fixture = try LogFixture()
            let partition = try fixture.topic()
            for (sequence, value) in ["a", "b"].enumerated() {
                write(fixture, partition, value, producer: 1, sequence: Int32(sequence))
            }
            try end(fixture, [partition], producer: 1, commit: commit)
            for restart in [false, true] {
                if restart {
                    try fixture.checkpoint()
                    try fixture.reopen()
                }
                for sequence in [0, 1] as [Int32] {
                    let next = logBatch(["next"], producer: 1, epoch: 0, sequence: sequence, transactional: true)
                    #expect(
                        fixture.produce(partition, next) == .refused(.outOfOrderSequence(expected: 2, found: sequence)),
                        "commit \(commit), restart \(restart)")
                }
            }
            // What follows goes on, and is repeated as before.
            for sequence in 2..<8 as Range<Int32> { write(fixture, partition, "c", producer: 1, sequence: sequence) }
            let again = logBatch(["c"], producer: 1, epoch: 0, sequence: 3, transactional: true)
            #expect(fixture.produce(partition, again) == .duplicate(baseOffset: 4, logStartOffset: 0))
        }
    }

    @Test("the last stable offset stays at the first open transaction, and passes no end that is not durable")
    func lastStableOffset() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["plain"]))
        write(fixture, partition, "a", producer: 1, sequence: 0)
        write(fixture, partition, "b", producer: 2, sequence: 0)
        fixture.produce(partition, logBatch(["after"]))
        try fixture.group()
        #expect(fixture.log.status(partition)?.lastStableOffset == 1)
        #expect(try fixture.values(partition, isolation: .readCommitted) == ["plain"])
        #expect(try fixture.values(partition) == ["plain", "a", "b", "after"], "read_uncommitted sees all")
        try end(fixture, [partition], producer: 1, commit: true)
        #expect(fixture.log.status(partition)?.lastStableOffset == 1, "the marker is not durable")
        try fixture.group()
        #expect(fixture.log.status(partition)?.lastStableOffset == 2, "the second transaction is open")
        try end(fixture, [partition], producer: 2, commit: false)
        #expect(try fixture.values(partition, isolation: .readCommitted) == ["plain", "a"])
        try fixture.group()
        #expect(fixture.log.status(partition)?.lastStableOffset == 6)
        #expect(try fixture.values(partition, isolation: .readCommitted) == ["plain", "a", "after"])
        #expect(try fixture.values(partition) == ["plain", "a", "b", "after"])
    }

    @Test("aborted transactions come with read_committed data alone, and are those of the data")
    func abortedLists() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        for round in 0..<4 {
            write(fixture, partition, "x\(round)", producer: Int64(round), sequence: 0)
            fixture.produce(partition, logBatch(["p\(round)"]))
            try end(fixture, [partition], producer: Int64(round), commit: round % 2 == 0)
        }
        try fixture.group()
        for place in ["memory", "segments", "after a restart"] {
            let uncommitted = try fixture.read(partition, from: 0)
            #expect(uncommitted.abortedTransactions == [], "\(place)")
            let all = try fixture.read(partition, from: 0, isolation: .readCommitted)
            #expect(
                all.abortedTransactions == [
                    AbortedTransaction(producerID: 1, firstOffset: 3), AbortedTransaction(producerID: 3, firstOffset: 9),
                ],
                "\(place)")
            let first = try fixture.read(partition, from: 0, isolation: .readCommitted, maxBytes: 1)
            #expect(first.nextOffset == 1 && first.abortedTransactions == [], "\(place): nothing of it is in the data")
            let inside = try fixture.read(partition, from: 4, isolation: .readCommitted, maxBytes: 1)
            #expect(
                inside.abortedTransactions == [AbortedTransaction(producerID: 1, firstOffset: 3)], "\(place): its marker is to come"
            )
            let later = try fixture.read(partition, from: 6, isolation: .readCommitted)
            #expect(later.abortedTransactions == [AbortedTransaction(producerID: 3, firstOffset: 9)], "\(place)")
            #expect(try fixture.values(partition, isolation: .readCommitted) == ["x0", "p0", "p1", "x2", "p2", "p3"], "\(place)")
            if place == "memory" { try fixture.checkpoint() } else { try fixture.reopen() }
        }
    }

    @Test("a transaction over partitions and entries ends in all of them or in none")
    func atomicEnd() throws {
        let fixture = try LogFixture()
        let first = try fixture.topic(partitions: 2)
        let second = TopicPartition(topic: first.topic, partition: 1)
        write(fixture, first, "a", producer: 1, sequence: 0)
        write(fixture, second, "b", producer: 1, sequence: 0)
        try fixture.group()
        _ = try fixture.log.endTransaction(
            TransactionEnd(
                producerID: 1, producerEpoch: 0, isCommit: true, partitions: [second, first, first],
                entries: [EntryChange(.offset, key: [1], value: [2])]))
        try fixture.reopen()
        #expect(fixture.log.entry(.offset, key: [1]) == nil)
        #expect(fixture.log.status(first)?.lastStableOffset == 0 && fixture.log.status(second)?.lastStableOffset == 0)
        _ = try fixture.log.endTransaction(
            TransactionEnd(
                producerID: 1, producerEpoch: 0, isCommit: true, partitions: [second, first],
                entries: [EntryChange(.offset, key: [1], value: [2])]))
        try fixture.group()
        try fixture.reopen()
        #expect(fixture.log.entry(.offset, key: [1]) == [2])
        #expect(try fixture.values(first, isolation: .readCommitted) == ["a"])
        #expect(try fixture.values(second, isolation: .readCommitted) == ["b"])
        #expect(fixture.log.status(first)?.highWatermark == 2, "one marker")
    }

    @Test("an open transaction is still open after a restart, from the journal and from the snapshot")
    func openSurvives() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["plain"]))
        write(fixture, partition, "a", producer: 1, sequence: 0)
        try fixture.group()
        for round in ["journal", "snapshot"] {
            try fixture.reopen()
            #expect(fixture.log.status(partition)?.lastStableOffset == 1, "\(round)")
            #expect(try fixture.log.producers(of: partition).map(\.transactionStartOffset) == [1], "\(round)")
            try fixture.checkpoint()
        }
        try end(fixture, [partition], producer: 1, commit: false)
        try fixture.group()
        try fixture.reopen()
        #expect(try fixture.values(partition, isolation: .readCommitted) == ["plain"])
    }

    @Test("a commit of appends and entries is all or nothing")
    func commitIsAtomic() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let before = logBatch(["x"], producer: 3, epoch: 1, sequence: 0)
        fixture.produce(partition, before)
        let stale = logBatch(["stale"], producer: 3, epoch: 0, sequence: 0)
        #expect(throws: LogError.refused(index: 1, .invalidProducerEpoch(current: 1))) {
            try fixture.log.commit(
                Commit(
                    appends: [Append(partition, logBatch(["a"])), Append(partition, stale)],
                    entries: [EntryChange(.pipeline, key: [1], value: [1])]))
        }
        #expect(fixture.log.entry(.pipeline, key: [1]) == nil)
        let done = try fixture.log.commit(
            Commit(
                appends: [Append(partition, logBatch(["a", "b"])), Append(partition, logBatch(["c"]))],
                entries: [EntryChange(.pipeline, key: [1], value: [1]), EntryChange(.pipeline, key: [0], value: [9])]))
        #expect(done.baseOffsets == [1, 3])
        try fixture.group()
        try fixture.reopen()
        #expect(try fixture.values(partition) == ["x", "a", "b", "c"])
        #expect(fixture.log.entries(.pipeline) == [Entry(key: [0], value: [9]), Entry(key: [1], value: [1])])
    }
}
