internal import MartletCore
internal import MartletLog

/// One journal's life under a seed: appends, chains, groups, seals, checkpoints, growth, a full disk, failing calls; cut
/// short again and again by a power loss or the death of the process, at any call to the disk; and compared at every
/// recovery with what was appended and what was acknowledged.
///
/// The model: after a recovery the records above the checkpoint are exactly those appended up to some sequence, in order,
/// whole; that sequence is no less than the highest ever acknowledged, and no more than was appended.
package final class JournalSimulation {
    package struct Result: Sendable {
        /// What went wrong, in words; empty where nothing did.
        package var failures: [String] = []
        package var crashes = 0
        package var records = 0
        package var replayed = 0
        package var chains = 0
        package var unfinishedChains = 0
        package var tornGroups = 0
        package var grownFiles = 0
        package var outOfSpace = 0
        package var refusals = 0
        package var groupsWritten = 0
        package var traceHash: UInt64 = 0

        package init() {}

        package mutating func add(_ other: Result) {
            crashes += other.crashes
            records += other.records
            replayed += other.replayed
            chains += other.chains
            unfinishedChains += other.unfinishedChains
            tornGroups += other.tornGroups
            grownFiles += other.grownFiles
            outOfSpace += other.outOfSpace
            refusals += other.refusals
            groupsWritten += other.groupsWritten
            traceHash = (traceHash ^ other.traceHash) &* 0x100_0000_01B3
        }
    }

    /// Small, so that the ring wraps every few dozen groups.
    private static let options = JournalOptions(
        fileBytes: 48 << 10, bytesMin: 96 << 10, bytesMax: 240 << 10, groupBytesMax: 16 << 10, queuedBytesMax: 24 << 10,
        recordBytesMax: 90 << 10, zeroPieceBytes: 32 << 10)

    private struct Fingerprint: Equatable {
        var count: Int
        var hash: UInt64

        init(_ bytes: UnsafeRawBufferPointer) {
            count = bytes.count
            hash = UInt64(crc32c(bytes)) << 32 | UInt64(crc32c(bytes, seed: 0x1234_5678))
        }
    }

    private var random: SplitMix64
    private let disk: SimulatedDisk
    private let trace = Trace(keptMax: 40)
    private let clock = SimulatedClock()
    private let entropy: SeededEntropy
    private var journal: Journal?
    private var result = Result()

    /// What was appended and not yet found lost, by sequence; without what is behind the checkpoint.
    private var model: [UInt64: Fingerprint] = [:]
    private var appended: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var checkpoint: UInt64 = 0
    private var chain: (handle: JournalChain, bytes: [UInt8])?
    private var isBroken = false

    /// Lives through `crashes` crashes. The same arguments give the same result.
    package static func run(seed: UInt64, crashes: Int) -> Result {
        let simulation = JournalSimulation(seed: seed)
        while simulation.result.crashes < crashes && simulation.result.failures.isEmpty { simulation.live() }
        simulation.result.traceHash = simulation.trace.hash
        if !simulation.result.failures.isEmpty { simulation.result.failures += simulation.trace.recent }
        return simulation.result
    }

    private init(seed: UInt64) {
        random = SplitMix64(seed: SplitMix64.mix(seed))
        disk = SimulatedDisk(seed: seed, trace: trace)
        entropy = SeededEntropy(seed: seed)
    }

    /// From an opening to the next crash.
    private func live() {
        // Most lives end inside some call, soon (in the opening) or later; the others between two.
        if random.chance(0.7) {
            let faults: [DiskFault] = [.broken, .broken, .outOfSpace, .short]
            disk.fail(call: disk.callCount + 1 + random.below(random.chance(0.3) ? 30 : 120), with: faults[random.below(4)])
        }
        if open() {
            for _ in 0..<random.below(120) {
                guard step() else { break }
            }
        }
        die()
    }

    private func die() {
        journal = nil
        chain = nil
        isBroken = false
        disk.capacityBytes = nil
        result.crashes += 1
        if random.chance(0.7) { disk.crash() } else { trace.note("killed") }
    }

    private func fail(_ text: String) {
        trace.note("FAILURE \(text)")
        result.failures.append("crash \(result.crashes): \(text)")
    }

    // MARK: Recovery

    private func open() -> Bool {
        var next = checkpoint + 1
        do throws(LogError) {
            let (journal, recovery) = try Journal.open(
                directory: "journal", disk: disk, clock: clock, entropy: entropy, options: Self.options, after: checkpoint
            ) { sequence, payload in
                if sequence != next { self.fail("record \(sequence) came where \(next) was due") }
                if self.model[sequence] != Fingerprint(payload) { self.fail("record \(sequence) is not what was appended") }
                next = sequence + 1
            }
            check(journal, recovery, next: next)
            self.journal = journal
            return result.failures.isEmpty
        } catch {
            trace.note("open: \(error)")
            if case .corrupt = error { fail("\(error)") }
            return false
        }
    }

    private func check(_ journal: Journal, _ recovery: JournalRecovery, next: UInt64) {
        let last = recovery.lastSequence
        trace.note("recovered \(last), acknowledged \(acknowledged), appended \(appended), \(recovery.files) files")
        if last != next - 1 { fail("the last record is \(last), handed over were those below \(next)") }
        if last < acknowledged { fail("acknowledged \(acknowledged), recovered \(last)") }
        if last > appended { fail("appended \(appended), recovered \(last)") }
        if journal.durableSequence != last || journal.appendedSequence != last { fail("an opened journal is durable as it is") }
        for lost in stride(from: last + 1, through: appended, by: 1) { model[lost] = nil }
        appended = last
        // What was handed over may be shown to the world.
        acknowledged = last
        result.replayed += recovery.replayedRecords
        result.unfinishedChains += recovery.unfinishedChains
        if recovery.foundTornGroup { result.tornGroups += 1 }
    }

    // MARK: Steps

    /// False when the life is over: something failed for good.
    private func step() -> Bool {
        guard let journal else { return false }
        clock.advance(nanos: Int64(random.below(4_000_000)))
        switch random.below(100) {
        case 0..<45: append(journal)
        case 45..<55: chainStep(journal)
        case 55..<82: return write(journal)
        case 82..<85: return attempt(journal) { () throws(LogError) in if try journal.sealIfIdle() { self.trace.note("sealed") } }
        case 85..<91: return moveCheckpoint(journal)
        case 91..<96: return grow(journal)
        case 96: disk.capacityBytes = random.chance(0.5) ? nil : 200 << 10
        case 97: return close(journal)
        default: clock.advance(nanos: 20_000_000)
        }
        return result.failures.isEmpty
    }

    private func payload() -> [UInt8] {
        let count =
            switch random.below(20) {
            case 0: 0
            case 1: random.below(60_000)
            case 2..<5: random.below(12_000)
            default: random.below(900)
            }
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: count)
        // Enough to tell any two apart, and cheap.
        var at = 0
        while at < count {
            bytes[at] = UInt8(truncatingIfNeeded: random.next())
            at += 61
        }
        return bytes
    }

    private func append(_ journal: Journal) {
        let bytes = payload()
        let cut = bytes.isEmpty ? 0 : random.below(bytes.count)
        let sequence = bytes.withUnsafeBytes { all in
            journal.append([UnsafeRawBufferPointer(rebasing: all[..<cut]), UnsafeRawBufferPointer(rebasing: all[cut...])])
        }
        record(sequence, bytes)
    }

    private func record(_ sequence: UInt64?, _ bytes: [UInt8]) {
        trace.note("append \(bytes.count): \(sequence ?? 0)")
        guard let sequence else {
            result.refusals += 1
            return
        }
        if isBroken { fail("a broken journal accepted record \(sequence)") }
        if sequence != appended + 1 { fail("record \(sequence) follows \(appended)") }
        appended = sequence
        model[sequence] = bytes.withUnsafeBytes { Fingerprint($0) }
        result.records += 1
    }

    private func chainStep(_ journal: Journal) {
        guard let open = chain else {
            if let handle = journal.beginChain() { chain = (handle, []) }
            return
        }
        let bytes = payload()
        switch random.below(8) {
        case 0:
            journal.abandonChain(open.handle)
            trace.note("abandon")
            chain = nil
        case 1, 2:
            if let sequence = bytes.withUnsafeBytes({ journal.endChain(open.handle, [$0]) }) {
                record(sequence, open.bytes + bytes)
                result.chains += 1
                chain = nil
            }
        default:
            if bytes.withUnsafeBytes({ journal.append([$0], to: open.handle) }) {
                trace.note("part \(bytes.count)")
                chain?.bytes += bytes
            }
        }
    }

    private func write(_ journal: Journal) -> Bool {
        let before = journal.durableSequence
        let isAlive = attempt(journal) { () throws(LogError) in
            if let durable = try journal.writeGroup() {
                self.trace.note("durable \(durable)")
                self.result.groupsWritten += 1
            }
        }
        let now = journal.durableSequence
        if now < before || now > self.appended { fail("durable went from \(before) to \(now), appended \(appended)") }
        if isBroken && now != before { fail("something became durable in a call that failed") }
        acknowledged = max(acknowledged, now)
        return isAlive && result.failures.isEmpty
    }

    private func moveCheckpoint(_ journal: Journal) -> Bool {
        let durable = journal.durableSequence
        let target = random.chance(0.6) ? durable : checkpoint + random.below(durable - checkpoint + 1)
        for sequence in stride(from: checkpoint + 1, through: target, by: 1) { model[sequence] = nil }
        checkpoint = target
        trace.note("checkpoint \(target)")
        return attempt(journal) { () throws(LogError) in try journal.recycle(through: target) }
    }

    private func grow(_ journal: Journal) -> Bool {
        attempt(journal) { () throws(LogError) in
            if try journal.prepareFile() { self.result.grownFiles += 1 }
            if journal.ringBytes > Self.options.bytesMax + 3 * Self.options.fileBytes { self.fail("the ring outgrew its limit") }
        }
    }

    private func close(_ journal: Journal) -> Bool {
        _ = attempt(journal) { () throws(LogError) in
            try journal.close()
            if journal.durableSequence != self.appended { self.fail("closed without writing everything") }
        }
        acknowledged = max(acknowledged, journal.durableSequence)
        return false
    }

    /// Runs a call; after a failure for good sees to it that the journal is dead, and says false.
    private func attempt(_ journal: Journal, _ body: () throws(LogError) -> Void) -> Bool {
        do throws(LogError) {
            try body()
            return true
        } catch {
            trace.note("error: \(error)")
            if case .outOfSpace = error {
                result.outOfSpace += 1
                return true
            }
            isBroken = true
            expectDead(journal)
            return false
        }
    }

    private func expectDead(_ journal: Journal) {
        let durable = journal.durableSequence
        disk.capacityBytes = nil
        append(journal)
        expectFailure("writeGroup") { () throws(LogError) in _ = try journal.writeGroup() }
        expectFailure("sealIfIdle") { () throws(LogError) in _ = try journal.sealIfIdle() }
        expectFailure("prepareFile") { () throws(LogError) in _ = try journal.prepareFile() }
        expectFailure("recycle") { () throws(LogError) in try journal.recycle(through: durable) }
        expectFailure("close") { () throws(LogError) in try journal.close() }
        if journal.durableSequence != durable { fail("something became durable after a failure") }
    }

    private func expectFailure(_ name: String, _ call: () throws(LogError) -> Void) {
        do throws(LogError) {
            try call()
            fail("\(name) went well after a failed sync or write")
        } catch {
            if case .fatal = error { return }
            fail("\(name) after a failure: \(error)")
        }
    }
}
