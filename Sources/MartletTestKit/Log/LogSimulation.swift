internal import MartletCore
internal import MartletLog
internal import Synchronization

/// One cycle of `./dev simulate` for the log: a random workload on a simulated disk, with faults, power failures and
/// restarts at any call, compared with `LogModel` at every read and after every restart.
///
/// What is held: an acknowledged commit survives, whole, at its offsets; what survives is a prefix of what was appended;
/// nothing that is not durable is read; a repeated batch gets its original's offset; transactions are atomic for
/// `readCommitted`; entries never go back; after a failure nothing is acknowledged.
package final class LogSimulation {
    package struct Result: Sendable {
        /// What went wrong, in words; empty where nothing did.
        package var failures: [String] = []
        package var commits = 0
        package var crashes = 0
        package var recoveredUnacknowledged = 0
        package var duplicates = 0
        package var transactions = 0
        package var reads = 0
        package var checkpoints = 0
        package var throttled = 0
        package var failedCalls = 0
        package var traceHash: UInt64 = 0

        package init() {}

        package mutating func add(_ other: Result) {
            commits += other.commits
            crashes += other.crashes
            recoveredUnacknowledged += other.recoveredUnacknowledged
            duplicates += other.duplicates
            transactions += other.transactions
            reads += other.reads
            checkpoints += other.checkpoints
            throttled += other.throttled
            failedCalls += other.failedCalls
            traceHash = (traceHash ^ other.traceHash) &* 0x100_0000_01B3
        }
    }

    /// The same seed gives the same workload, the same faults and the same result.
    package static func cycle(seed: UInt64) -> Result {
        let simulation = LogSimulation(seed: seed)
        simulation.run()
        simulation.result.traceHash = simulation.trace.hash
        return simulation.result
    }

    let trace: Trace
    let disk: SimulatedDisk
    let clock = SimulatedClock()
    var random: SplitMix64
    var options = LogOptions()
    var log: Log?
    private var checkpoints: Counter?
    var model = LogModel()
    var result = Result()
    /// The highest sequence that was reported durable.
    let acknowledged = Acknowledgements()
    var nextValue = 0
    var nextName = 0
    var usedProducers: Set<Int64> = []
    /// Epochs by producer id, of those that write.
    var producers: [(id: Int64, epoch: Int16)] = []
    var unconfirmedProducers: [(id: Int64, sequence: UInt64)] = []
    private let seed: UInt64

    private init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        trace = Trace(keptMax: 60)
        disk = SimulatedDisk(seed: random.next(), trace: trace)
        options.journalFileBytes = [8, 16, 32][random.below(3)] << 10
        options.journalBytesMin = 2 * options.journalFileBytes
        options.journalBytesMax = [2, 3, 6][random.below(3)] * options.journalFileBytes
        options.journalGroupBytesMax = 8 << 10
        options.tailBytesMax = [1, 4, 1_000][random.below(3)] << 10
        options.unwrittenBytesMax = [16, 1_000][random.below(2)] << 10
        options.checkpointBytes = [2, 8, 64][random.below(3)] << 10
        options.syncBytes = [1, 1_000][random.below(2)] << 10
        options.checkpointNanos = 60_000_000_000
        options.commitBytesMax = 1 << 20
        options.producerExpirationMillis = .max / 4
    }

    private func run() {
        // One in three runs has a disk that fails now and then.
        let isFaulty = random.chance(0.33)
        open(faulty: false)
        for _ in 0..<(2 + random.below(3)) where result.failures.isEmpty {
            for _ in 0..<(8 + random.below(30)) where result.failures.isEmpty {
                if isFaulty && random.chance(0.1) { plantFault() }
                step()
                if let failure = log?.failure, failure != .closed { break }
            }
            if result.failures.isEmpty { restart(faulty: isFaulty) }
        }
        leave()
        if !result.failures.isEmpty { result.failures += ["the last calls:"] + trace.recent }
    }

    /// Some call soon fails.
    private func plantFault() {
        disk.fail(call: disk.callCount + 1 + random.below(12), with: [.broken, .outOfSpace, .short][random.below(3)])
    }

    // MARK: Opening and crashing

    private func open(faulty: Bool) {
        for attempt in 0..<20 {
            if faulty && attempt < 3 { plantFault() }
            if attempt == 10 { disk.capacityBytes = nil }
            do throws(LogError) {
                let metrics = MetricsRegistry()
                let surroundings = LogSurroundings(
                    disk: disk, clock: clock, entropy: SeededEntropy(seed: random.next()),
                    logger: StructuredLog(clock: clock, sink: NoLines()), metrics: metrics)
                log = try Log.open(".", surroundings, options)
                checkpoints = metrics.counter("martlet_log_checkpoints_total", help: "")
                return
            } catch {
                result.failedCalls += 1
                switch error {
                case .corrupt, .unsupported: return fail("recovery refuses: \(error)")
                default: break
                }
                // Opening failed half-way: whatever it did, power may fail now and it must open the next time.
                if random.chance(0.5) { crash() }
            }
        }
        fail("the log does not open")
    }

    private func crash() {
        disk.crash()
        result.crashes += 1
    }

    private func leave() {
        log = nil
        result.checkpoints += Int(checkpoints?.value ?? 0)
        checkpoints = nil
    }

    private func restart(faulty: Bool) {
        let published = log?.publishedSequence ?? 0
        let appended = model.commits.last?.sequence ?? 0
        switch random.below(4) {
        case 0:
            // A clean stop, where it works.
            do throws(LogError) {
                try log?.close()
                // Everything was written; the model learns of it below.
            } catch {
                result.failedCalls += 1
            }
            if random.chance(0.5) { crash() }
        case 1:
            // As by kill -9: what was written stays.
            break
        default: crash()
        }
        leave()
        open(faulty: faulty)
        guard let log else { return }
        let survived = log.publishedSequence
        let acknowledged = acknowledged.highest
        if survived < acknowledged || survived < published {
            return fail("commits up to \(max(acknowledged, published)) were acknowledged, \(survived) survived")
        }
        if survived > max(appended, acknowledged) {
            return fail("commit \(survived) was never made, \(appended) is the last")
        }
        if survived > acknowledged { result.recoveredUnacknowledged += Int(survived - acknowledged) }
        self.acknowledged.note(survived)
        model.restart(at: survived)
        confirmProducers()
        checkEverything()
    }

    func fail(_ text: String) {
        guard result.failures.isEmpty else { return }
        result.failures.append("seed \(seed): \(text)")
    }

    // MARK: Producer ids

    /// Ids whose reservation is durable are nobody else's, ever.
    func confirmProducers() {
        let durable = acknowledged.highest
        for (id, sequence) in unconfirmedProducers where sequence <= durable {
            if !usedProducers.insert(id).inserted { fail("producer id \(id) was given out twice") }
            producers.append((id, 0))
        }
        // A crash takes the others with it.
        unconfirmedProducers.removeAll { $0.sequence <= durable || $0.sequence > (model.commits.last?.sequence ?? 0) }
    }
}

/// What the log said is durable.
final class Acknowledgements: Sendable {
    private let sequence = Mutex<UInt64>(0)
    var highest: UInt64 { sequence.withLock { $0 } }
    func note(_ acknowledged: UInt64) { sequence.withLock { $0 = max($0, acknowledged) } }
}

/// The simulation reads no log lines.
private struct NoLines: LogSink {
    func write(line: UnsafeRawBufferPointer) {}
}
