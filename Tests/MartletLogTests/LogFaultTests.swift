import MartletCore
import MartletLog
import MartletTestKit
import Synchronization
import Testing

@Suite("A log whose disk fails")
struct LogFaultTests {
    /// A short life that touches every kind of call: topics, batches, checkpoints, rolls, deletions, a clean end.
    private func life(_ fixture: LogFixture, _ acknowledged: Acknowledged) throws {
        let partition = try fixture.topic(overrides: ["segment.bytes": "400"])
        for round in 0..<6 {
            let values = ["\(round)a", "\(round)b" + String(repeating: "x", count: 150)]
            let (outcomes, sequence) = fixture.log.produce([Append(partition, logBatch(values))])
            guard case .appended(let offset, _, _) = outcomes[0] else { throw LogError.throttled }
            fixture.log.whenDurable(sequence) { acknowledged.add(offset, values) }
            try fixture.group()
            if round % 2 == 1 { try fixture.checkpoint() }
        }
        _ = try fixture.log.deleteRecords(partition, before: 2)
        try fixture.group()
        while try fixture.log.clean() {}
        try fixture.log.close()
    }

    final class Acknowledged: Sendable {
        private let batches = Mutex<[(offset: Int64, values: [String])]>([])
        func add(_ offset: Int64, _ values: [String]) { batches.withLock { $0.append((offset, values)) } }
        var all: [(offset: Int64, values: [String])] { batches.withLock { $0 } }
    }

    @Test(
        "whichever call fails, and however, nothing is acknowledged that a restart does not find",
        arguments: [DiskFault.broken, .outOfSpace, .short])
    func everyCall(fault: DiskFault) throws {
        let whole = try LogFixture(seed: 3, options: LogFixture.tinyOptions())
        try life(whole, Acknowledged())
        let calls = whole.disk.callCount
        #expect(calls > 100)
        for call in 1...calls {
            let acknowledged = Acknowledged()
            var fixture: LogFixture?
            do {
                let made = try LogFixture(seed: 3, options: LogFixture.tinyOptions(), failing: call, with: fault)
                fixture = made
                try life(made, acknowledged)
            } catch {}
            guard let fixture else { continue }
            do {
                try fixture.reopen()
            } catch {
                Issue.record("call \(call) \(fault): the log does not open again: \(error)")
                continue
            }
            guard let topic = fixture.log.topic(named: "t") else {
                #expect(acknowledged.all.isEmpty, "call \(call) \(fault): the topic is gone")
                continue
            }
            let partition = TopicPartition(topic: topic.id, partition: 0)
            let start = try #require(fixture.log.status(partition)).logStartOffset
            let records = Dictionary(
                uniqueKeysWithValues: try fixture.records(partition, from: start).map {
                    ($0.offset, String(decoding: $0.value ?? [], as: UTF8.self))
                })
            for (offset, values) in acknowledged.all {
                for (delta, value) in values.enumerated() where offset + Int64(delta) >= start {
                    #expect(records[offset + Int64(delta)] == value, "call \(call) \(fault)")
                }
            }
        }
    }

    @Test("after a failed sync every call throws, nobody who waits is called, and a restart goes on")
    func failedSync() throws {
        let fixture = try LogFixture()
        let partition = try fixture.topic()
        fixture.produce(partition, logBatch(["a"]))
        try fixture.group()
        let told = Mutex(false)
        let (_, sequence) = fixture.log.produce([Append(partition, logBatch(["b"]))])
        fixture.log.whenDurable(sequence) { told.withLock { $0 = true } }
        // The next call writes the group, the one after it syncs.
        fixture.disk.fail(call: fixture.disk.callCount + 2, with: .broken)
        #expect(throws: LogError.self) { try fixture.log.writeGroup() }
        guard case .fatal = fixture.log.failure else {
            Issue.record("\(String(describing: fixture.log.failure))")
            return
        }
        #expect(throws: LogError.self) { try fixture.log.writeGroup() }
        #expect(throws: LogError.self) { try fixture.log.flush() }
        #expect(throws: LogError.self) { try fixture.log.createTopic("u", partitions: 1) }
        #expect(throws: LogError.self) { try fixture.read(partition, from: 0) }
        guard case .refused(.unavailable) = fixture.produce(partition, logBatch(["c"])) else {
            Issue.record("a batch is accepted")
            return
        }
        fixture.log.whenDurable(sequence) { told.withLock { $0 = true } }
        #expect(!told.withLock { $0 })
        try fixture.reopen()
        #expect(try fixture.values(partition).first == "a")
    }

    @Test("a full disk stops acknowledgements when the ring is full, keeps serving reads, and is resumed from")
    func outOfSpace() throws {
        var options = LogFixture.smallOptions()
        options.checkpointBytes = 32 << 10
        let fixture = try LogFixture(options: options)
        let partition = try fixture.topic()
        fixture.disk.capacityBytes = 150 << 10
        var accepted: [String] = []
        var refused = 0
        var sawOutOfSpace = false
        for round in 0..<120 {
            let value = "\(round)-" + String(repeating: "v", count: 4_000)
            switch fixture.produce(partition, logBatch([value])) {
            case .appended: accepted.append(value)
            case .refused(.throttled), .refused(.outOfSpace): refused += 1
            case let other: Issue.record("\(other)")
            }
            do { try fixture.group() } catch LogError.outOfSpace { sawOutOfSpace = true }
            do { while try fixture.log.flush() {} } catch LogError.outOfSpace { sawOutOfSpace = true }
            #expect(fixture.log.failure == nil)
            if round == 60 { #expect(try fixture.values(partition).count > 0, "reads go on") }
        }
        #expect(refused > 0 && sawOutOfSpace)
        fixture.disk.capacityBytes = nil
        fixture.clock.advance(nanos: 2_000_000_000)
        try fixture.group()
        while try fixture.log.flush() {}
        fixture.produce(partition, logBatch(["again"]))
        try fixture.group()
        #expect(try fixture.values(partition) == accepted + ["again"])
        try fixture.reopen()
        #expect(try fixture.values(partition) == accepted + ["again"])
    }
}
