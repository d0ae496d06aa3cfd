import MartletCore
import MartletLog
import MartletTestKit
import Testing

@Suite("Offsets by time")
struct LogTimeTests {
    /// Offsets 0 … 9, times 1000, 1010 …, but offset 4 has 5000.
    private func filled(_ fixture: LogFixture) throws -> TopicPartition {
        let partition = try fixture.topic()
        for index in 0..<10 {
            fixture.produce(partition, logBatch(["\(index)"], timestamp: index == 4 ? 5_000 : 1_000 + Int64(index) * 10))
        }
        try fixture.group()
        return partition
    }

    @Test("earliest, latest, the largest timestamp, and the first at or after a time; from memory and from segments")
    func questions() throws {
        let fixture = try LogFixture()
        let partition = try filled(fixture)
        func ask(_ question: OffsetQuestion) throws -> OffsetAnswer {
            try fixture.log.offset(question, in: partition, isolation: .readUncommitted)
        }
        for place in ["memory", "segments", "both"] {
            #expect(try ask(.earliest) == OffsetAnswer(offset: 0, timestamp: -1), "\(place)")
            #expect(try ask(.latest) == OffsetAnswer(offset: 10, timestamp: -1), "\(place)")
            #expect(try ask(.maxTimestamp) == OffsetAnswer(offset: 4, timestamp: 5_000), "\(place)")
            #expect(try ask(.atOrAfter(0)) == OffsetAnswer(offset: 0, timestamp: 1_000), "\(place)")
            #expect(try ask(.atOrAfter(1_010)) == OffsetAnswer(offset: 1, timestamp: 1_010), "\(place)")
            #expect(try ask(.atOrAfter(1_031)) == OffsetAnswer(offset: 4, timestamp: 5_000), "\(place)")
            #expect(try ask(.atOrAfter(5_001)) == OffsetAnswer.none, "\(place)")
            if place == "memory" { try fixture.checkpoint() } else { try fixture.reopen() }
        }
        fixture.produce(partition, logBatch(["new"], timestamp: 9_000))
        #expect(try ask(.atOrAfter(5_001)) == OffsetAnswer.none, "it is not durable")
        #expect(try ask(.maxTimestamp).offset == 4)
        try fixture.group()
        #expect(try ask(.atOrAfter(5_001)) == OffsetAnswer(offset: 10, timestamp: 9_000))
        #expect(try ask(.maxTimestamp) == OffsetAnswer(offset: 10, timestamp: 9_000))
    }

    @Test("deleted records answer no question about time, though their segment is still there")
    func deleted() throws {
        let fixture = try LogFixture()
        let partition = try filled(fixture)
        try fixture.checkpoint()
        _ = try fixture.log.deleteRecords(partition, before: 6)
        try fixture.group()
        #expect(
            try fixture.log.offset(.atOrAfter(0), in: partition, isolation: .readUncommitted)
                == OffsetAnswer(offset: 6, timestamp: 1_060))
        #expect(try fixture.log.offset(.earliest, in: partition, isolation: .readUncommitted).offset == 6)
        #expect(
            try fixture.log.offset(.maxTimestamp, in: partition, isolation: .readUncommitted)
                == OffsetAnswer(offset: 9, timestamp: 1_090))
    }

    @Test("for read_committed the end is the last stable offset")
    func committed() throws {
        let fixture = try LogFixture()
        let partition = try filled(fixture)
        fixture.produce(partition, logBatch(["open"], producer: 1, epoch: 0, sequence: 0, transactional: true, timestamp: 8_000))
        try fixture.group()
        #expect(try fixture.log.offset(.latest, in: partition, isolation: .readCommitted).offset == 10)
        #expect(try fixture.log.offset(.latest, in: partition, isolation: .readUncommitted).offset == 11)
        #expect(try fixture.log.offset(.atOrAfter(7_000), in: partition, isolation: .readCommitted) == OffsetAnswer.none)
        #expect(try fixture.log.offset(.atOrAfter(7_000), in: partition, isolation: .readUncommitted).offset == 10)
    }

    @Test("log append time is set in the batch and told")
    func logAppendTime() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        let outcome = fixture.log.produce([Append(partition, logBatch(["a", "b"]), timestamps: .logAppendTime(77_000))]).outcomes[0]
        #expect(outcome == .appended(baseOffset: 0, logAppendMillis: 77_000, logStartOffset: 0))
        try fixture.group()
        #expect(try fixture.records(partition).map(\.timestamp) == [77_000, 77_000])
        #expect(
            try fixture.log.offset(.atOrAfter(77_000), in: partition, isolation: .readUncommitted)
                == OffsetAnswer(offset: 0, timestamp: 77_000))
        let data = try fixture.read(partition, from: 0)
        #expect(RecordBatch.isIntact(data.slices[0].bytes))
    }
}
