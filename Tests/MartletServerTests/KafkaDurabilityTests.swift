import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform
import MartletServer
import Synchronization
import Testing

/// A disk whose syncs wait while the gate is shut.
private final class GatedDisk: Disk {
    private let disk = SystemDisk()
    let gate = Gate()

    final class Gate: Sendable {
        private let isShut = Atomic(false)
        private let signal = WakeSignal()

        func shut() { isShut.store(true, ordering: .sequentiallyConsistent) }

        func open() {
            isShut.store(false, ordering: .sequentiallyConsistent)
            signal.notify()
        }

        func pass() {
            while true {
                let ticket = signal.ticket
                guard isShut.load(ordering: .sequentiallyConsistent) else { return }
                signal.wait(after: ticket)
            }
        }
    }

    private final class GatedFile: DiskFile {
        let file: any DiskFile
        let gate: Gate

        init(_ file: any DiskFile, _ gate: Gate) {
            self.file = file
            self.gate = gate
        }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
            try file.read(into: buffer, at: offset)
        }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) { try file.write(bytes, at: offset) }
        func append(_ bytes: UnsafeRawBufferPointer) throws(IOError) { try file.append(bytes) }
        func truncate(to size: Int64) throws(IOError) { try file.truncate(to: size) }
        func facts() throws(IOError) -> FileFacts { try file.facts() }

        func sync() throws(IOError) {
            gate.pass()
            try file.sync()
        }
    }

    func open(_ path: String, _ mode: OpenMode) throws(IOError) -> any DiskFile { GatedFile(try disk.open(path, mode), gate) }
    func stat(_ path: String) throws(IOError) -> FileFacts? { try disk.stat(path) }
    func list(_ directory: String) throws(IOError) -> [String] { try disk.list(directory) }
    func makeDirectory(_ path: String) throws(IOError) { try disk.makeDirectory(path) }
    func rename(_ path: String, to target: String) throws(IOError) { try disk.rename(path, to: target) }
    func remove(_ path: String) throws(IOError) { try disk.remove(path) }
}

@Suite("Nothing leaves the Kafka server before it is durable")
struct KafkaDurabilityTests {
    /// Asks while no sync completes, sees that no answer comes, lets the disk go on, and takes the answer.
    private func waits<Response: KafkaMessage>(
        _ fixture: KafkaFixture, _ gate: GatedDisk.Gate, _ key: ApiKey, _ version: Int16, _ body: some KafkaMessage
    ) throws -> Response {
        let client = try fixture.client(seconds: 20)
        let impatient = try fixture.client(seconds: 10)
        gate.shut()
        defer { gate.open() }
        let number = try client.send(key, version, body)
        // Others go on meanwhile: the loop never waits for the disk.
        let alive: ApiVersionsResponse = try impatient.ask(.apiVersions, 0, ApiVersionsRequest())
        #expect(alive.errorCode == 0)
        #expect(!client.hasAnswer(withinMillis: 250), "\(key.name) was answered before the disk")
        gate.open()
        return try client.receive(key, version, to: number)
    }

    @Test("produce, topics, offsets and producers are answered when the journal has them, and not before")
    func answersWait() throws {
        let disk = GatedDisk()
        let fixture = try KafkaFixture(disk: disk)
        defer { disk.gate.open() }
        try fixture.createTopic("t")
        let produced: ProduceResponse = try waits(fixture, disk.gate, .produce, 9, produceRequest("t", try batch(["a"])))
        #expect(produced.responses[0].partitionResponses[0].errorCode == 0)
        let leader: ProduceResponse = try waits(fixture, disk.gate, .produce, 9, produceRequest("t", acks: 1, try batch(["b"])))
        #expect(leader.responses[0].partitionResponses[0].baseOffset == 1)
        let created: CreateTopicsResponse = try waits(
            fixture, disk.gate, .createTopics, 7,
            CreateTopicsRequest(topics: [CreateTopicsRequest.CreatableTopic(name: "u", numPartitions: 1, replicationFactor: 1)]))
        #expect(created.topics[0].errorCode == 0)
        let committed: OffsetCommitResponse = try waits(
            fixture, disk.gate, .offsetCommit, 7,
            OffsetCommitRequest(
                groupId: "g",
                topics: [
                    OffsetCommitRequest.OffsetCommitRequestTopic(
                        name: "t", partitions: [OffsetCommitRequest.OffsetCommitRequestPartition(partitionIndex: 0, committedOffset: 1)])
                ]))
        #expect(committed.topics[0].partitions[0].errorCode == 0)
        let begun: InitProducerIdResponse = try waits(
            fixture, disk.gate, .initProducerId, 4, InitProducerIdRequest(transactionalId: "x", transactionTimeoutMs: 60_000))
        #expect(begun.errorCode == 0)
    }

    @Test("a reader does not see what is not durable")
    func readersWait() throws {
        let disk = GatedDisk()
        let fixture = try KafkaFixture(disk: disk)
        defer { disk.gate.open() }
        try fixture.createTopic("t")
        let reader = try fixture.client()
        let writer = try fixture.client()
        disk.gate.shut()
        let number = try writer.send(.produce, 9, produceRequest("t", try batch(["a"])))
        let early = try reader.fetch("t", wait: 200)
        #expect(try early.values.isEmpty)
        #expect(early.highWatermark == 0)
        disk.gate.open()
        let produced: ProduceResponse = try writer.receive(.produce, 9, to: number)
        #expect(produced.responses[0].partitionResponses[0].errorCode == 0)
        #expect(try reader.fetch("t").values == ["a"])
    }

    @Test("a disk that takes longer than a producer waits: REQUEST_TIMED_OUT, and the next request is served")
    func timeout() throws {
        let disk = GatedDisk()
        let fixture = try KafkaFixture(disk: disk)
        defer { disk.gate.open() }
        try fixture.createTopic("t")
        let client = try fixture.client()
        disk.gate.shut()
        var request = produceRequest("t", try batch(["a"]))
        request.timeoutMs = 200
        let late: ProduceResponse = try client.ask(.produce, 9, request)
        #expect(late.responses[0].partitionResponses[0].errorCode == ErrorCode.requestTimedOut.rawValue)
        disk.gate.open()
        #expect(try client.produce("t", try batch(["b"])).baseOffset == 1)
    }

    @Test("a clean stop answers who waits, and keeps what was answered")
    func cleanStop() throws {
        let fixture = try KafkaFixture()
        // The batches' timestamps are long past: a log that reopens would be right to let them go.
        try fixture.createTopic("t", ["retention.ms": "-1"])
        let writer = try fixture.client()
        let poll = try fixture.client()
        let number = try poll.send(.fetch, 12, fetchRequest("t", from: 0, wait: 60_000, minBytes: 1 << 20))
        for index in 0..<20 { try writer.send(.produce, 9, produceRequest("t", try batch(["v\(index)"]))) }
        for _ in 0..<20 {
            let answer: ProduceResponse = try writer.receive(.produce, 9)
            #expect(answer.responses[0].partitionResponses[0].errorCode == 0)
        }
        try fixture.restart()
        let early: FetchResponse = try poll.receive(.fetch, 12, to: number)
        #expect(early.errorCode == 0)
        // An answer may end where segments end and memory begins.
        let reader = try fixture.client()
        var kept: [String] = []
        while kept.count < 20 {
            let more = try reader.fetch("t", from: Int64(kept.count))
            #expect(more.errorCode == 0)
            #expect(more.highWatermark == 20)
            guard try !more.values.isEmpty else { break }
            kept += try more.values
        }
        #expect(kept == (0..<20).map { "v\($0)" })
    }
}
