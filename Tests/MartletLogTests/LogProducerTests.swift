import MartletCore
import MartletLog
import MartletTestKit
import Testing

/// The rules of idempotent producers, point 2 of what naive brokers get wrong.
@Suite("Idempotent producers")
struct LogProducerTests {
    private func appended(_ offset: Int64) -> AppendOutcome {
        .appended(baseOffset: offset, logAppendMillis: -1, logStartOffset: 0)
    }
    private func duplicate(_ offset: Int64) -> AppendOutcome { .duplicate(baseOffset: offset, logStartOffset: 0) }

    @Test("an exact repeat of one of the last five batches returns the original offset, and is not appended")
    func duplicateWindow() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        for index in 0..<6 {
            let batch = logBatch(["\(index)a", "\(index)b"], producer: 9, epoch: 0, sequence: Int32(index * 2))
            #expect(fixture.produce(partition, batch) == appended(Int64(index * 2)))
        }
        try fixture.group()
        for index in 1..<6 {
            let again = logBatch(["\(index)a", "\(index)b"], producer: 9, epoch: 0, sequence: Int32(index * 2))
            #expect(fixture.produce(partition, again) == duplicate(Int64(index * 2)), "batch \(index) is one of the last five")
        }
        #expect(
            fixture.produce(partition, logBatch(["0a", "0b"], producer: 9, epoch: 0, sequence: 0))
                == .refused(.outOfOrderSequence(expected: 12, found: 0)), "the sixth last is forgotten")
        #expect(
            fixture.produce(partition, logBatch(["half"], producer: 9, epoch: 0, sequence: 10))
                == .refused(.outOfOrderSequence(expected: 12, found: 10)), "half a batch is no repeat")
        try fixture.group()
        #expect(fixture.log.status(partition)?.highWatermark == 12)
    }

    @Test("the duplicate window and the epochs survive a restart, from the journal and from the snapshot")
    func windowSurvives() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        for index in 0..<5 { fixture.produce(partition, logBatch(["\(index)"], producer: 4, epoch: 3, sequence: Int32(index))) }
        try fixture.group()
        for round in ["journal", "snapshot"] {
            try fixture.reopen()
            for index in 0..<5 {
                #expect(
                    fixture.produce(partition, logBatch(["\(index)"], producer: 4, epoch: 3, sequence: Int32(index)))
                        == duplicate(Int64(index)), "\(round)")
            }
            #expect(
                fixture.produce(partition, logBatch(["old"], producer: 4, epoch: 2, sequence: 5))
                    == .refused(.invalidProducerEpoch(current: 3)), "\(round)")
            try fixture.checkpoint()
        }
        #expect(fixture.produce(partition, logBatch(["5"], producer: 4, epoch: 3, sequence: 5)) == appended(5))
    }

    @Test("a repeat whose original is not durable waits for the original")
    func repeatWaits() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let first = fixture.log.produce([Append(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0))])
        let again = fixture.log.produce([Append(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0))])
        #expect(again.outcomes == [duplicate(0)])
        #expect(again.sequence == first.sequence, "the answer waits for the original's sync")
        try fixture.group()
        let later = fixture.log.produce([Append(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0))])
        #expect(later.sequence == 0, "there is nothing to wait for any more")
    }

    @Test("sequences wrap from 2^31 - 1 to 0, inside a batch and between batches")
    func wrap() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        #expect(fixture.produce(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: .max - 2)) == appended(0))
        #expect(fixture.produce(partition, logBatch(["b", "c", "d"], producer: 1, epoch: 0, sequence: .max - 1)) == appended(1))
        #expect(
            fixture.produce(partition, logBatch(["b", "c", "d"], producer: 1, epoch: 0, sequence: .max - 1)) == duplicate(1))
        #expect(fixture.produce(partition, logBatch(["e"], producer: 1, epoch: 0, sequence: 1)) == appended(4), "d had 0")
        #expect(fixture.produce(partition, logBatch(["a"], producer: 2, epoch: 0, sequence: .max)) == appended(5))
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 2, epoch: 0, sequence: 1))
                == .refused(.outOfOrderSequence(expected: 0, found: 1)))
        #expect(fixture.produce(partition, logBatch(["b"], producer: 2, epoch: 0, sequence: 0)) == appended(6))
    }

    @Test("a new epoch starts at sequence 0")
    func newEpoch() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        #expect(fixture.produce(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0)) == appended(0))
        #expect(
            fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 1, sequence: 1))
                == .refused(.outOfOrderSequence(expected: 0, found: 1)))
        #expect(fixture.produce(partition, logBatch(["b"], producer: 1, epoch: 1, sequence: 0)) == appended(1))
        #expect(
            fixture.produce(partition, logBatch(["c"], producer: 1, epoch: 0, sequence: 1))
                == .refused(.invalidProducerEpoch(current: 1)), "a stale epoch")
    }

    @Test("where nothing is known of a producer any sequence is accepted")
    func unknownProducer() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        #expect(fixture.produce(partition, logBatch(["a"], producer: 1, epoch: 7, sequence: 4711)) == appended(0))
        #expect(
            fixture.produce(partition, logBatch(["c"], producer: 1, epoch: 7, sequence: 4713))
                == .refused(.outOfOrderSequence(expected: 4712, found: 4713)))
    }

    @Test("a silent producer is forgotten after its time, one with an open transaction is not")
    func expiration() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["a"], producer: 1, epoch: 0, sequence: 0))
        fixture.produce(partition, logBatch(["b"], producer: 2, epoch: 0, sequence: 0, transactional: true))
        try fixture.group()
        fixture.clock.advance(nanos: 86_401_000_000_000)
        while try fixture.log.clean() {}
        #expect(try fixture.log.producers(of: partition).map(\.producerID) == [2])
    }

    @Test("a fence refuses lower epochs in every partition, also where the producer never wrote")
    func fences() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        _ = try fixture.log.commit(Commit(fences: [ProducerFence(producerID: 5, epoch: 2)]))
        for round in ["now", "from the journal", "from the snapshot"] {
            #expect(
                fixture.produce(partition, logBatch(["a"], producer: 5, epoch: 1, sequence: 0))
                    == .refused(.invalidProducerEpoch(current: 2)), "\(round)")
            if round == "from the journal" { try fixture.checkpoint() } else { try fixture.group() }
            try fixture.reopen()
        }
        #expect(fixture.produce(partition, logBatch(["a"], producer: 5, epoch: 2, sequence: 0)) == appended(0))
    }

    @Test("producer ids are never given out twice, whatever crashes")
    func producerIDs() throws {
        let fixture = try LogFixture()
        var given: Set<Int64> = []
        for round in 0..<4 {
            for _ in 0..<3 {
                let (id, sequence) = try fixture.log.allocateProducerID()
                #expect(given.insert(id).inserted, "\(id) was given out before, round \(round)")
                if sequence > fixture.log.publishedSequence { try fixture.group() }
            }
            if round == 1 { try fixture.checkpoint() }
            try fixture.reopen()
        }
        #expect(try fixture.log.allocateProducerID().sequence > 0, "the first of a block waits for its reservation")
        try fixture.group()
        #expect(try fixture.log.allocateProducerID().sequence == 0)
    }

    @Test("bytes that are no acceptable batch are refused, and the rest of the request is accepted")
    func invalid() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let whole = logBatch(["a"])
        let sink = ByteSink()
        ControlMarker(commits: true, coordinatorEpoch: 0).appendBatch(producerID: 1, producerEpoch: 0, timestamp: 0, to: sink)
        let refused = [
            whole[0..<20], whole[0..<(whole.count - 1)], ByteSlice(copying: sink.bytes),
            logBatch(["a"], producer: 1, epoch: -1, sequence: 0), logBatch(["a"], producer: 1, epoch: 0, sequence: -1),
            logBatch(["a"], transactional: true),
        ]
        let (outcomes, _) = fixture.log.produce(refused.map { Append(partition, $0) } + [Append(partition, logBatch(["good"]))])
        for outcome in outcomes.dropLast() {
            guard case .refused(.invalidRecord) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(outcomes.last == appended(0))
        #expect(
            fixture.produce(TopicPartition(topic: partition.topic, partition: 9), logBatch(["a"])) == .refused(.unknownPartition))
        #expect(
            fixture.produce(TopicPartition(topic: partition.topic, partition: -1), logBatch(["a"])) == .refused(.unknownPartition))
    }
}
