import MartletConnectors
import MartletCore
import MartletDataflow
import MartletEngine
@testable import MartletLog
import MartletSQL
import MartletTestKit
import Synchronization

/// One cycle for commits end to end: a real pipeline over a real log on a simulated disk, driven step by step with power
/// failures between any two calls of the disk, compared with what the records of its input come to.
///
/// The pipeline copies its input (`copied`), keeps a count and a sum per key (`sums`, upserts to a topic), the changes of
/// the same in a file, and what is late or broken. What is held: whatever a reader of `copied` once saw stays, each record
/// of the input is there at most once and, once everything has been read, exactly once, in the order of its key; the file's
/// changes come to the same as the input; so do the last values of the upserts; and every record is accounted for.
final class CommitSimulation {
    struct Result {
        var failures: [String] = []
        var crashes = 0
        var replayed = 0
        var checkpoints = 0
        var ticks = 0
        var records = 0
        var abandoned = 0
        var damaged = 0
        /// Checkpoints that the disk had no room for.
        var full = 0
        /// Starts had to wait for room in the journal so many times.
        var waits = 0
        var traceHash: UInt64 = 0

        mutating func add(_ other: Result) {
            crashes += other.crashes
            replayed += other.replayed
            checkpoints += other.checkpoints
            ticks += other.ticks
            records += other.records
            abandoned += other.abandoned
            damaged += other.damaged
            waits += other.waits
            full += other.full
            traceHash = (traceHash ^ other.traceHash) &* 0x100_0000_01B3
        }
    }

    static func cycle(seed: UInt64) -> Result {
        let simulation = CommitSimulation(seed: seed)
        simulation.run()
        simulation.letGo()
        simulation.result.traceHash = simulation.trace.hash
        return simulation.result
    }

    private static let script = """
        CREATE SOURCE s (id BIGINT, key BIGINT, value BIGINT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '3 seconds')
        WITH (connector = 'kafka', topic = 'in', late_table = 'late') FORMAT PLAIN ENCODE JSON;
        CREATE SINK copied AS SELECT id, key FROM s WITH (connector = 'kafka', topic = 'copied', primary_key = 'key') FORMAT PLAIN ENCODE JSON;
        CREATE MATERIALIZED VIEW sums AS SELECT key, count(*) AS n, sum(value) AS total FROM s GROUP BY key;
        CREATE SINK summed FROM sums WITH (connector = 'kafka', topic = 'summed', primary_key = 'key') FORMAT UPSERT ENCODE JSON;
        CREATE SINK filed FROM sums WITH (connector = 'file', path = 'filed.ndjson') FORMAT PLAIN ENCODE JSON;
        CREATE MATERIALIZED VIEW windows AS SELECT window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '10 seconds')
        GROUP BY window_start EMIT ON WINDOW CLOSE;
        CREATE SINK counted AS SELECT n FROM windows WITH (connector = 'kafka', topic = 'counted') FORMAT PLAIN ENCODE JSON;
        """
    private static let partitions: Int32 = 2
    private static let topics = ["in", "late", "s_dlq", "copied", "summed", "counted", TickLog.topicPrefix + "p"]

    private let trace = Trace(keptMax: 60)
    private let disk: SimulatedDisk
    private let clock = SimulatedClock()
    private var random: SplitMix64
    /// When the wall clock leaps, and when the disk is full.
    private var leaps: SplitMix64
    private var options = LogOptions()
    private var durable = DurableOptions()
    private var log: Log?
    private var pipeline: Pipeline?
    private var driver: DurableDriver?
    private var result = Result()
    private let seed: UInt64

    /// Of the input: what was produced, and is durable.
    private var produced: [(id: Int64, key: Int64, value: Int64, sequence: UInt64)] = []
    private var nextID: Int64 = 0
    private var eventSeconds: Int64 = 1_767_225_600
    /// What a reader of `copied` has seen, in its order, by partition.
    private var seen: [[Int64]] = []
    private let durableSequence = Mutex<UInt64>(0)

    private init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed ^ 0xC0_4417)
        leaps = SplitMix64(seed: seed ^ 0x1EA9)
        disk = SimulatedDisk(seed: random.next(), trace: trace)
        options.journalFileBytes = 32 << 10
        options.journalBytesMin = 64 << 10
        options.journalBytesMax = 256 << 10
        options.journalGroupBytesMax = 16 << 10
        options.tailBytesMax = [4, 1_000][random.below(2)] << 10
        options.unwrittenBytesMax = [64, 1_000][random.below(2)] << 10
        options.checkpointBytes = 64 << 10
        // With the smaller one many ticks are too large for one commit.
        options.commitBytesMax = [2, 1_000][random.below(2)] << 10
        durable.ticksInFlightMax = 1 + random.below(4)
        durable.checkpointNanos = 0
        durable.definition = CommitSimulation.script
        seen = Array(repeating: [], count: Int(CommitSimulation.partitions))
    }

    private func run() {
        start(isFirst: true)
        for _ in 0..<(2 + random.below(4)) where result.failures.isEmpty {
            for _ in 0..<(5 + random.below(60)) where result.failures.isEmpty { step() }
            if result.failures.isEmpty { restart() }
        }
        if result.failures.isEmpty { finish() }
        if !result.failures.isEmpty { result.failures += ["the last calls:"] + trace.recent }
    }

    // MARK: Starting and dying

    private func start(isFirst: Bool = false) {
        do {
            let surroundings = LogSurroundings(
                disk: disk, clock: clock, entropy: SeededEntropy(seed: random.next()),
                logger: StructuredLog(clock: clock, sink: NoLines()), metrics: MetricsRegistry())
            let opened = try Log.open(".", surroundings, options)
            log = opened
            if isFirst {
                for topic in CommitSimulation.topics {
                    let isTicks = topic.hasPrefix(TickLog.topicPrefix)
                    _ = try opened.createTopic(
                        topic, partitions: isTicks ? 1 : CommitSimulation.partitions, overrides: isTicks ? TickLog.settings : [:])
                }
                while try opened.writeGroup() {}
            }
            let connectors = LocalConnectors(
                outDirectory: ".", clock: clock, log: opened, topicPartitions: CommitSimulation.partitions, disk: disk)
            var catalog = SQLCatalog()
            let statements = try Script.bind(CommitSimulation.script, into: &catalog)
            var settings = PipelineOptions(shards: 2)
            settings.limits.bytesPerPartition = 1 + random.below(400)
            settings.limits.batchRows = 1 + random.below(8)
            let made = try Pipeline(
                statements, options: settings, connectors: connectors, executor: SequentialExecutor(shards: 2), clock: clock)
            pipeline = made
            guard let topic = opened.topic(named: TickLog.topicPrefix + "p") else { return fail("the ticks topic is gone") }
            let driver = DurableDriver(
                made, ticks: TickLog(opened, topic: topic), checkpoints: CheckpointStore(disk, directory: "checkpoints/p"), clock: clock,
                options: durable, wake: {})
            self.driver = driver
            let report = try driver.recover { (wait) throws(SQLError) in
                if case .target(let away) = wait { throw away }
                if case .journal = wait {
                    result.waits += 1
                    guard CommitSimulation.makeRoom(opened) else { throw SQLError(.internalError, "recovery waits for room that nobody makes") }
                } else if try !driver.deliveries.deliverNext() {
                    throw SQLError(.internalError, "recovery waits for nothing")
                }
            }
            result.replayed += Int(report.ticksReplayed)
            result.damaged += report.damaged.count
            if !isFirst, report.checkpointTick == nil { fail("the pipeline began anew after a crash") }
        } catch {
            fail("it does not start: \(error)")
        }
    }

    /// What the log's threads do; false: they have nothing to do.
    private static func makeRoom(_ log: Log) -> Bool {
        let writes = (try? log.writeGroup()) ?? false
        let flushes = (try? log.flush()) ?? false
        return writes || flushes
    }

    private func restart() {
        letGo()
        switch random.below(3) {
        case 0: break  // As by kill -9: what was written stays.
        default:
            disk.crash()
        }
        result.crashes += 1
        if random.chance(0.2) { damageNewestCheckpoint() }
        let before = produced.count
        start()
        guard let log else { return }
        // Records that were in the journal's queue only are gone with it.
        produced.removeAll { $0.sequence > log.publishedSequence }
        result.abandoned += before - produced.count
        for index in produced.indices { produced[index].sequence = 0 }
        look()
    }

    /// Who waits for a log that has died waits for ever, and holds it: of thousands of lives nothing is to stay.
    private func letGo() { _ = log?.fail(.fatal("the simulated process is gone")) }

    /// One of two may always be lost.
    private func damageNewestCheckpoint() {
        let names = (try? disk.list("checkpoints/p"))?.filter { $0.hasSuffix(".checkpoint") } ?? []
        guard names.count == 2, let file = try? disk.open("checkpoints/p/\(names[1])", .update), let size = try? file.facts().size else {
            return
        }
        let at = Int64(random.below(Int(size)))
        var byte: [UInt8] = [0]
        _ = byte.withUnsafeMutableBytes { try? file.read(into: $0, at: at) }
        byte[0] ^= 1 << UInt8(random.below(8))
        byte.withUnsafeBytes { try? file.write($0, at: at) }
        try? file.sync()
    }

    // MARK: Steps

    private func step() {
        guard let log, let driver else { return }
        do {
            switch random.below(10) {
            case 0, 1: produce(log)
            case 2, 3: if try log.writeGroup() { look() }
            case 4:
                if random.chance(0.2) { while try log.flush() {} } else { clock.advance(nanos: Int64(random.below(2_000_000_000))) }
                // As an administrator or NTP does: event time knows nothing of it.
                if leaps.chance(0.1) { clock.stepWall(micros: leaps.chance(0.5) ? 30 * 86_400_000_000 : -30 * 86_400_000_000) }
            case 5, 6: if try driver.step() != nil { result.ticks += 1 }
            case 7, 8:
                _ = try driver.deliveries.deliverNext()
                if case .failed(let error) = driver.takeCheckpointNews() { noteFailure(of: error) }
            default:
                if random.chance(0.4) {
                    let had = driver.deliveries.hasCheckpoint
                    if leaps.chance(0.1) { disk.capacityBytes = 0 }
                    driver.checkpointIfNeeded()
                    if !had, driver.deliveries.hasCheckpoint { result.checkpoints += 1 }
                    if case .failed(let error) = driver.takeCheckpointNews() { noteFailure(of: error) }
                    disk.capacityBytes = nil
                }
            }
        } catch {
            fail("\(error)")
        }
    }

    /// The disk had no room for a checkpoint: the one before counts, and the next is taken when there is.
    private func noteFailure(of error: SQLError) {
        guard error.state == .diskFull, disk.capacityBytes != nil else { return fail("a checkpoint failed: \(error)") }
        result.full += 1
    }

    /// A batch of records, plain, of a transaction that ends one way or the other, or one that cannot be read.
    private func produce(_ log: Log) {
        guard let topic = log.topic(named: "in") else { return fail("the input is gone") }
        let builder = RecordBatchBuilder()
        var made: [(Int64, Int64, Int64)] = []
        let partition = Int32(random.below(Int(CommitSimulation.partitions)))
        for _ in 0..<(1 + random.below(4)) {
            let key = Int64(random.below(5)) * Int64(CommitSimulation.partitions) + Int64(partition)
            nextID += 1
            eventSeconds += Int64(random.below(3))
            let second = eventSeconds - (random.chance(0.1) ? 40 : 0)
            let value = Int64(random.below(100))
            var text = "{\"id\":\(nextID),\"key\":\(key),\"value\":\(value),\"ts\":\(second)}"
            if random.chance(0.05) { text = "{\"id\":\(nextID)," } else { made.append((nextID, key, value)) }
            text.withUTF8 { builder.append(timestamp: 0, key: nil, value: UnsafeRawBufferPointer($0)) }
        }
        let sink = ByteSink()
        do { try builder.finish(into: sink) } catch { return fail("\(error)") }
        let (outcomes, sequence) = log.produce([
            Append(TopicPartition(topic: topic.id, partition: partition), ByteSlice(copying: sink.bytes))
        ])
        guard case .appended = outcomes[0] else { return }
        produced += made.map { ($0.0, $0.1, $0.2, sequence) }
        result.records += made.count
    }

    // MARK: Looking

    /// Readers of `copied` see what they saw before, and more.
    private func look() {
        guard let log, let topic = log.topic(named: "copied") else { return fail("the output is gone") }
        for partition in 0..<topic.partitions {
            let ids = values(log, topic, partition).map(CommitSimulation.number("id"))
            let before = seen[Int(partition)]
            guard ids.starts(with: before) else {
                return fail("partition \(partition) of the output was \(before.suffix(20)), and is \(ids.suffix(20))")
            }
            seen[Int(partition)] = ids
        }
        let all = seen.flatMap { $0 }
        guard Set(all).count == all.count else { return fail("the output has records twice") }
    }

    private func values(_ log: Log, _ topic: Topic, _ partition: Int32) -> [String] {
        records(log, topic, partition).map { String(decoding: $0.value ?? [], as: UTF8.self) }
    }

    private func records(_ log: Log, _ topic: Topic, _ partition: Int32) -> [Record] {
        var found: [Record] = []
        var next: Int64 = 0
        while true {
            guard let data = try? log.readFromDisk(
                TopicPartition(topic: topic.id, partition: partition), from: next, maxBytes: 1 << 20, isolation: .readCommitted),
                data.nextOffset > next
            else { return found }
            var visible = CommittedBatches(aborted: data.abortedTransactions)
            for slice in data.slices {
                for range in (try? RecordBatch.split(slice.bytes)) ?? [] {
                    let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[range])
                    guard (try? visible.admits(batch)) ?? false, var reader = try? RecordBatchReader(batch) else { continue }
                    while let record = try? reader.next() { if record.offset >= next { found.append(record.copy) } }
                }
            }
            next = data.nextOffset
        }
    }

    private static func number(_ member: String) -> (String) -> Int64 {
        { text in
            guard let start = text.range(ofFirst: "\"\(member)\":") else { return -1 }
            return Int64(text[start...].prefix { $0.isNumber || $0 == "-" }) ?? -1
        }
    }

    /// Everything is read, made durable and delivered; then the outputs are what the input comes to.
    private func finish() {
        guard let log, let driver else { return }
        do {
            for _ in 0..<20_000 {
                let report = try driver.step()
                while try log.writeGroup() {}
                while try log.flush() {}
                while try driver.deliveries.deliverNext() {}
                if let report, !report.madeProgress, driver.isSettled { break }
            }
            // Ticks that take nothing leave nothing behind that a clean stop would wait for.
            _ = try driver.step()
            driver.checkpointIfNeeded()
            while try driver.deliveries.deliverNext() {}
            if !driver.isSettled { return fail("it does not come to rest") }
        } catch {
            return fail("\(error)")
        }
        look()
        let ids = Set(produced.map(\.id))
        let copied = Set(seen.flatMap { $0 })
        guard ids == copied else {
            return fail("lost: \(ids.subtracting(copied).sorted().prefix(10)), made up: \(copied.subtracting(ids).sorted().prefix(10))")
        }
        var expected: [Int64: (n: Int64, total: Int64)] = [:]
        for record in produced {
            let sum = expected[record.key] ?? (0, 0)
            expected[record.key] = (sum.n + 1, sum.total + record.value)
        }
        let wanted = expected.map { "\($0.key) \($0.value.n) \($0.value.total)" }.sorted()
        compare("the file", fileRows(), wanted)
        compare("the upserts", upserts(log), wanted)
        guard let pipeline else { return }
        let intake = pipeline.circuit.intake(of: 0)
        let letters = log.topic(named: "s_dlq").map { topic in (0..<topic.partitions).reduce(0) { $0 + records(log, topic, $1).count } } ?? -1
        if intake.rows != UInt64(produced.count) { fail("\(intake.rows) rows were read of \(produced.count)") }
        if letters != Int(intake.rejected) { fail("\(letters) dead letters, \(intake.rejected) were counted") }
        checkWindows(log, pipeline)
    }

    /// In = counted in closed windows + late + what open windows still hold.
    private func checkWindows(_ log: Log, _ pipeline: Pipeline) {
        let view = pipeline.circuit.graph.views.firstIndex(of: "windows") ?? 0
        let counters = pipeline.circuit.counters(of: view)
        if counters.rowsIn != counters.counted + counters.late + counters.filtered + counters.deadLetters {
            fail("rows of the windows are not accounted for: \(counters)")
        }
        guard let counted = log.topic(named: "counted"), let late = log.topic(named: "late") else { return fail("outputs are gone") }
        let closed = (0..<counted.partitions).reduce(Int64(0)) { sum, partition in
            sum + values(log, counted, partition).reduce(Int64(0)) { $0 + CommitSimulation.number("n")($1) }
        }
        let lateRows = (0..<late.partitions).reduce(0) { $0 + records(log, late, $1).count }
        if closed > Int64(counters.counted) { fail("closed windows have \(closed) rows, \(counters.counted) were counted") }
        if lateRows != Int(counters.late) { fail("\(lateRows) late rows are kept, \(counters.late) were counted") }
    }

    private func compare(_ what: String, _ found: [String], _ wanted: [String]) {
        if found != wanted { fail("\(what): \(found), expected \(wanted)") }
    }

    private static func row(_ text: String) -> String {
        ["key", "n", "total"].map { "\(number($0)(text))" }.joined(separator: " ")
    }

    private func upserts(_ log: Log) -> [String] {
        guard let topic = log.topic(named: "summed") else { return [] }
        var last: [[UInt8]: String?] = [:]
        for partition in 0..<topic.partitions {
            for record in records(log, topic, partition) {
                last[record.key ?? []] = .some(record.value.map { CommitSimulation.row(String(decoding: $0, as: UTF8.self)) })
            }
        }
        return last.values.compactMap { $0 }.sorted()
    }

    private func fileRows() -> [String] {
        guard let file = try? disk.open("filed.ndjson", .read), let size = try? file.facts().size else { return produced.isEmpty ? [] : ["no file"] }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        _ = bytes.withUnsafeMutableBytes { try? file.read(into: $0, at: 0) }
        var counts: [String: Int] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let text = String(line)
            counts[CommitSimulation.row(text), default: 0] += text.contains("\"delete\"") ? -1 : 1
        }
        return counts.flatMap { Array(repeating: $0.value < 0 ? "taken back \(-$0.value): \($0.key)" : $0.key, count: abs($0.value)) }.sorted()
    }

    private func fail(_ text: String) {
        guard result.failures.isEmpty else { return }
        result.failures.append("seed \(seed): \(text)")
    }
}

private struct NoLines: LogSink {
    func write(line: UnsafeRawBufferPointer) {}
}

extension String {
    /// Where the text after the first `part` begins.
    fileprivate func range(ofFirst part: String) -> String.Index? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(part) { return index(at, offsetBy: part.count) }
            at = index(after: at)
        }
        return nil
    }
}
