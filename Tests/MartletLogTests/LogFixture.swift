import MartletCore
import MartletLog
import MartletTestKit
import Synchronization
import Testing

/// Lines of a structured log, for looking at.
final class LogLines: LogSink {
    private let lines = Mutex<[String]>([])
    func write(line: UnsafeRawBufferPointer) {
        let text = String(decoding: line, as: UTF8.self)
        lines.withLock { $0.append(text) }
    }
    var all: [String] { lines.withLock { $0 } }
}

/// A log on a simulated disk, driven by the test: nothing is durable until `group()`.
final class LogFixture {
    let disk: SimulatedDisk
    let clock = SimulatedClock()
    let metrics = MetricsRegistry()
    let lines = LogLines()
    var options = LogOptions()
    private(set) var log: Log

    static func smallOptions() -> LogOptions {
        var options = LogOptions()
        options.journalFileBytes = 16 << 10
        options.journalBytesMin = 128 << 10
        options.journalBytesMax = 128 << 10
        options.journalGroupBytesMax = 8 << 10
        options.tailBytesMax = 64 << 10
        options.unwrittenBytesMax = 256 << 10
        return options
    }

    /// For tests that start a log a thousand times: a ring of a few blocks.
    static func tinyOptions() -> LogOptions {
        var options = smallOptions()
        options.journalFileBytes = 8 << 10
        options.journalBytesMin = 32 << 10
        options.journalBytesMax = 64 << 10
        return options
    }

    /// Call number `call` of the disk fails, if one is given.
    init(
        seed: UInt64 = 1, options: LogOptions = LogFixture.smallOptions(), failing call: Int? = nil, with fault: DiskFault = .broken
    ) throws {
        disk = SimulatedDisk(seed: seed, trace: Trace(keptMax: 30))
        if let call { disk.fail(call: call, with: fault) }
        self.options = options
        log = try LogFixture.open(disk, clock, metrics, lines, options)
    }

    private static func open(
        _ disk: SimulatedDisk, _ clock: SimulatedClock, _ metrics: MetricsRegistry, _ lines: LogLines, _ options: LogOptions
    ) throws(LogError) -> Log {
        let surroundings = LogSurroundings(
            disk: disk, clock: clock, entropy: SeededEntropy(seed: 7), logger: StructuredLog(clock: clock, sink: lines),
            metrics: metrics)
        return try Log.open(".", surroundings, options)
    }

    /// As after `kill -9`, or (`power` lost) with everything gone that was not synced.
    func reopen(power: Bool = true) throws(LogError) {
        if power { disk.crash() }
        log = try LogFixture.open(disk, clock, MetricsRegistry(), lines, options)
    }

    /// Why the log does not open; nil if it does.
    func refusalOfReopening() -> LogError? {
        do throws(LogError) {
            try reopen()
            return nil
        } catch {
            return error
        }
    }

    /// Makes durable what was appended.
    func group() throws { while try log.writeGroup() {} }

    /// Flushes until nothing is left to do, with a checkpoint.
    func checkpoint() throws {
        try group()
        clock.advance(nanos: options.checkpointNanos)
        while try log.flush() {}
    }

    func topic(_ name: String = "t", partitions: Int32 = 1, overrides: [String: String] = [:]) throws -> TopicPartition {
        let made = try log.createTopic(name, partitions: partitions, overrides: overrides)
        try group()
        return TopicPartition(topic: made.topic.id, partition: 0)
    }

    /// Produces one batch and gives its outcome, without making it durable.
    @discardableResult
    func produce(_ partition: TopicPartition, _ batch: ByteSlice) -> AppendOutcome {
        log.produce([Append(partition, batch)]).outcomes[0]
    }

    /// All values a reader sees from `offset` on, through memory and segments.
    func values(
        _ partition: TopicPartition, from offset: Int64 = 0, isolation: Isolation = .readUncommitted, maxBytes: Int = 1 << 20
    ) throws -> [String] {
        try records(partition, from: offset, isolation: isolation, maxBytes: maxBytes).map {
            String(decoding: $0.value ?? [], as: UTF8.self)
        }
    }

    /// Data records as a Kafka consumer would hand them out: control batches dropped, aborted ones too if `readCommitted`.
    func records(
        _ partition: TopicPartition, from offset: Int64 = 0, isolation: Isolation = .readUncommitted, maxBytes: Int = 1 << 20
    ) throws -> [Record] {
        var found: [Record] = []
        var at = offset
        while true {
            let data = try read(partition, from: at, isolation: isolation, maxBytes: maxBytes)
            if data.nextOffset == at { break }
            found += try consume(data, from: at)
            at = data.nextOffset
        }
        return found
    }

    func read(_ partition: TopicPartition, from at: Int64, isolation: Isolation = .readUncommitted, maxBytes: Int = 1 << 20) throws
        -> FetchedData
    {
        switch try log.readTail(partition, from: at, maxBytes: maxBytes, isolation: isolation) {
        case .found(let data), .atEnd(let data): return data
        case .needsDisk: return try log.readFromDisk(partition, from: at, maxBytes: maxBytes, isolation: isolation)
        }
    }
}

/// What a consumer makes of fetched data, by the aborted transactions that came with it.
func consume(_ data: FetchedData, from offset: Int64) throws -> [Record] {
    var aborted: Set<Int64> = []
    var pending = data.abortedTransactions
    var found: [Record] = []
    for slice in data.slices {
        for part in try RecordBatch.split(slice.bytes) {
            let bytes = UnsafeRawBufferPointer(rebasing: slice.bytes[part])
            let header = try RecordBatchHeader(reading: bytes)
            while let first = pending.first, first.firstOffset <= header.lastOffset {
                aborted.insert(first.producerID)
                pending.removeFirst()
            }
            if header.isControl {
                aborted.remove(header.producerID)
                continue
            }
            if header.isTransactional && aborted.contains(header.producerID) { continue }
            var reader = try RecordBatchReader(bytes)
            while let record = try reader.next() { if record.offset >= offset { found.append(record.copy) } }
        }
    }
    return found
}

/// A batch of text values.
func logBatch(
    _ values: [String], producer: Int64 = -1, epoch: Int16 = -1, sequence: Int32 = -1, transactional: Bool = false,
    timestamp: Int64 = 1_767_225_600_000
) -> ByteSlice {
    let builder = RecordBatchBuilder()
    builder.setProducer(id: producer, epoch: epoch, baseSequence: sequence, isTransactional: transactional)
    for (index, value) in values.enumerated() {
        builder.append(Record(timestamp: timestamp + Int64(index), key: nil, value: Array(value.utf8)))
    }
    let sink = ByteSink()
    do { try builder.finish(into: sink) } catch { preconditionFailure("a batch of the test cannot be built: \(error)") }
    return ByteSlice(copying: sink.bytes)
}
