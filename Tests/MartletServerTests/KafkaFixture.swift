import Foundation
import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform
import MartletServer
import Synchronization
import Testing

/// A Kafka server in this process, on a free port, over a log in a folder of its own.
final class KafkaFixture {
    let directory: String
    let metrics = MetricsRegistry()
    private(set) var server: KafkaServer
    private(set) var driver: LogDriver
    private(set) var log: Log
    private let settings: [(name: String, value: String)]
    private let disk: any Disk
    private var isRunning = true

    init(_ settings: [(name: String, value: String)] = [], disk: any Disk = SystemDisk()) throws {
        self.disk = disk
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-kafka-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        self.settings =
            [
                ("group.initial.rebalance.delay.ms", "0"), ("journal.file.bytes", "1048576"), ("journal.bytes.min", "4194304"),
                ("journal.bytes.max", "67108864"),
            ] + settings
        (server, driver, log) = try KafkaFixture.open(directory, self.settings, metrics, disk)
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    private static func open(
        _ directory: String, _ settings: [(name: String, value: String)], _ metrics: MetricsRegistry, _ disk: any Disk
    ) throws -> (KafkaServer, LogDriver, Log) {
        let configuration = try BrokerConfiguration(settings)
        let logger = StructuredLog(clock: SystemClock(), sink: NoLog(), level: .error)
        let surroundings = LogSurroundings(
            disk: disk, clock: SystemClock(), entropy: SystemEntropy(), logger: logger, metrics: metrics)
        let log = try Log.open(directory, surroundings, configuration.logOptions())
        let driver = try LogDriver(log, logger: logger) { error in Issue.record("the log failed: \(error)") }
        let server = try KafkaServer(
            ListenAddress(host: "127.0.0.1", port: 0), log: log, directory: directory, configuration: configuration,
            surroundings: surroundings)
        return (server, driver, log)
    }

    func stop() {
        guard isRunning else { return }
        isRunning = false
        server.stop()
        do { try driver.stop() } catch { Issue.record("the log did not close: \(error)") }
    }

    /// As a new process would.
    func restart() throws {
        stop()
        (server, driver, log) = try KafkaFixture.open(directory, settings, MetricsRegistry(), disk)
        isRunning = true
    }

    func client(seconds: Int64 = 20, id: String = "test") throws -> KafkaTestClient {
        KafkaTestClient(try TCPClient(server.address, timeoutNanos: seconds * 1_000_000_000), id: id)
    }

    @discardableResult
    func createTopic(_ name: String, partitions: Int32 = 1, _ configs: [String: String] = [:]) throws -> CreateTopicsResponse {
        let response: CreateTopicsResponse = try client().ask(
            .createTopics, 7,
            CreateTopicsRequest(
                topics: [
                    CreateTopicsRequest.CreatableTopic(
                        name: name, numPartitions: partitions, replicationFactor: 1,
                        configs: configs.sorted { $0.key < $1.key }.map {
                            CreateTopicsRequest.CreatableTopicConfig(name: $0.key, value: $0.value)
                        })
                ]))
        #expect(response.topics.allSatisfy { $0.errorCode == 0 })
        return response
    }
}

private final class NoLog: LogSink {
    func write(line: UnsafeRawBufferPointer) {}
}

/// A client that does exactly what it is told.
final class KafkaTestClient {
    let stream: TCPClient
    private let id: String
    private var correlation: Int32 = 0

    init(_ stream: TCPClient, id: String) {
        self.stream = stream
        self.id = id
    }

    /// Sends a request and does not wait; returns its number.
    @discardableResult
    func send(_ key: ApiKey, _ version: Int16, _ body: some KafkaMessage) throws -> Int32 {
        correlation += 1
        let header = RequestHeader(apiKey: key.rawValue, apiVersion: version, correlationId: correlation, clientId: id)
        try send(try encodeRequest(body, header: header).copied)
        return correlation
    }

    func send(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { bytes throws in try stream.send(bytes) } }

    /// The next frame without its length; throws where the connection ends.
    func receive() throws -> ByteSlice {
        var prefix = [UInt8](repeating: 0, count: 4)
        guard try prefix.withUnsafeMutableBytes({ bytes throws in try stream.receiveAll(into: bytes) }) else { throw Closed() }
        let length = prefix.reduce(0) { $0 << 8 | Int($1) }
        let chunk = ByteChunk(capacity: length) { (memory: UnsafeMutableRawBufferPointer) in memory.count }
        guard try stream.receiveAll(into: chunk.bytesBeforeSharing) else { throw Closed() }
        return ByteSlice(chunk)
    }

    struct Closed: Error {}

    /// The next answer, which must be to `number`.
    func receive<Response: KafkaMessage>(
        _ key: ApiKey, _ version: Int16, to number: Int32? = nil, as _: Response.Type = Response.self
    ) throws -> Response {
        let response = try ReceivedResponse(try receive())
        if let number { #expect(response.correlationId == number) }
        return try response.body(to: key, version: version)
    }

    func ask<Response: KafkaMessage>(_ key: ApiKey, _ version: Int16, _ body: some KafkaMessage) throws -> Response {
        let number = try send(key, version, body)
        return try receive(key, version, to: number)
    }

    /// Whether the server closes the connection, without another answer.
    func isClosed() -> Bool {
        var byte: [UInt8] = [0]
        do {
            return try byte.withUnsafeMutableBytes { bytes throws in try stream.receive(into: bytes) } == 0
        } catch {
            // The end may come as a reset; that nothing came in time is no end.
            return !"\(error)".hasPrefix("no answer")
        }
    }

    /// Whether there is something to receive within the time. Takes nothing.
    func hasAnswer(withinMillis millis: Int32) -> Bool { stream.waitUntilReadable(timeoutMillis: millis) }

    // MARK: The usual

    func produce(
        _ topic: String, to partition: Int32 = 0, version: Int16 = 9, acks: Int16 = -1, _ batch: ByteSlice
    ) throws -> ProduceResponse.PartitionProduceResponse {
        let response: ProduceResponse = try ask(.produce, version, produceRequest(topic, to: partition, acks: acks, batch))
        return try #require(response.responses.first?.partitionResponses.first)
    }

    func fetch(
        _ topic: String, _ partition: Int32 = 0, from offset: Int64 = 0, version: Int16 = 12, wait: Int32 = 0, minBytes: Int32 = 1,
        maxBytes: Int32 = 1 << 20, isolation: Int8 = 0
    ) throws -> FetchResponse.PartitionData {
        let response: FetchResponse = try ask(
            .fetch, version,
            fetchRequest(topic, [partition], from: offset, wait: wait, minBytes: minBytes, maxBytes: maxBytes, isolation: isolation))
        #expect(response.errorCode == 0)
        return try #require(response.responses.first?.partitions.first)
    }
}

func produceRequest(_ topic: String, to partition: Int32 = 0, acks: Int16 = -1, _ batch: ByteSlice?) -> ProduceRequest {
    ProduceRequest(
        acks: acks, timeoutMs: 10_000,
        topicData: [
            ProduceRequest.TopicProduceData(
                name: topic, partitionData: [ProduceRequest.PartitionProduceData(index: partition, records: batch)])
        ])
}

func fetchRequest(
    _ topic: String, _ partitions: [Int32] = [0], from offset: Int64 = 0, wait: Int32 = 0, minBytes: Int32 = 1,
    maxBytes: Int32 = 1 << 20, isolation: Int8 = 0
) -> FetchRequest {
    FetchRequest(
        maxWaitMs: wait, minBytes: minBytes, maxBytes: maxBytes, isolationLevel: isolation,
        topics: [
            FetchRequest.FetchTopic(
                topic: topic,
                partitions: partitions.map {
                    FetchRequest.FetchPartition(partition: $0, fetchOffset: offset, partitionMaxBytes: maxBytes)
                })
        ])
}

/// One batch.
func batch(
    _ values: [String], key: String? = nil, compression: Compression = .none, producer: (id: Int64, epoch: Int16, sequence: Int32)? = nil,
    isTransactional: Bool = false, timestamp: Int64 = 1_700_000_000_000
) throws -> ByteSlice {
    let builder = RecordBatchBuilder(compression: compression)
    if let producer {
        builder.setProducer(id: producer.id, epoch: producer.epoch, baseSequence: producer.sequence, isTransactional: isTransactional)
    }
    for value in values {
        builder.append(Record(timestamp: timestamp, key: key.map { Array($0.utf8) }, value: Array(value.utf8)))
    }
    return try builder.finish().withUnsafeBytes { ByteSlice(copying: $0) }
}

func copied(_ slice: ByteSlice) -> [UInt8] {
    defer { withExtendedLifetime(slice) {} }
    return Array(slice.bytes)
}

extension FetchResponse.PartitionData {
    /// The values of all records, in order.
    var values: [String] {
        get throws {
            var values: [String] = []
            for slice in records ?? [] {
                for range in try RecordBatch.split(slice.bytes) {
                    let records = try RecordBatchReader.records(UnsafeRawBufferPointer(rebasing: slice.bytes[range]))
                    values += records.map { String(decoding: $0.value ?? [], as: UTF8.self) }
                }
                withExtendedLifetime(slice) {}
            }
            return values
        }
    }
}

func eventually(seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let clock = SystemClock()
    let deadline = clock.monotonicNanos() + Int64(seconds * 1e9)
    while clock.monotonicNanos() < deadline {
        if try condition() { return true }
        clock.sleep(nanos: 5_000_000)
    }
    return try condition()
}
