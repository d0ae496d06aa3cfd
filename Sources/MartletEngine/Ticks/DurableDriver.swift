package import MartletCore
package import MartletDataflow
internal import MartletLog
internal import MartletState

package struct DurableOptions: Sendable {
    /// Ticks that may be on their way to the disk while the next one computes.
    package var ticksInFlightMax = 8
    /// Bytes for targets outside the log that may wait; beyond it the machine waits, and its sources with it.
    package var waitingBytesMax = 64 << 20
    /// A checkpoint is due when this much time has passed since the last, and ticks with it …
    package var checkpointNanos: Int64 = 10_000_000_000
    /// … but no sooner than this many times the pause that the last one caused: pauses cost at most 2 % …
    package var pauseShare: Int64 = 50
    /// … and this many times what it took to write: what a copy of the process costs is borne a sixth of the time at most.
    package var writeShare: Int64 = 5
    /// The statements that the state belongs to. A checkpoint of other statements is refused.
    package var definition: String?
    /// On how many shards the machine runs, for the checkpoint's header.
    package var shards: UInt32 = 0
    /// For measuring what commits cost, and nothing else: outputs go to their topics, but ticks leave no records and the state
    /// is not saved, so that a restart repeats.
    package var isWithoutCommits = false

    package init() {}
}

/// What a machine that is being brought back waits for.
package enum RecoveryWait {
    /// The first checkpoint of a new machine has yet to count.
    case deliveries
    /// The log's journal is full until its flusher has caught up.
    case journal
    /// A target outside is away for the moment, and why.
    case target(SQLError)

    /// How long to wait before it is looked at again, nanoseconds.
    package var nanos: Int64 {
        switch self {
        case .deliveries, .journal: 2_000_000
        case .target: 500_000_000
        }
    }
}

/// What bringing a machine back took.
package struct RecoveryReport: Sendable {
    /// The tick of the checkpoint that was good; nil: there was none, the machine begins.
    package var checkpointTick: UInt64?
    package var ticksReplayed: UInt64 = 0
    /// Checkpoints that were damaged and passed over, and why.
    package var damaged: [String] = []
    package var nanos: Int64 = 0
}

/// Makes a machine's ticks durable: a tick's record and its outputs to topics are one commit of the log; state is saved in
/// checkpoints; a restart restores the newest good one and replays the records after it.
///
/// The order of things is the guarantee:
/// 1. A tick is carried out, then committed. Until its commit is durable nothing outside this process can see anything of
///    it: topics show it with the commit, `TickMachine.committed` and targets outside the log are called afterwards.
/// 2. A checkpoint counts when its tick is durable and every target outside the log durably has the rows up to it. So the
///    rows that a target lacks after a crash are always among those that replay computes again.
/// 3. Tick records go when two checkpoints stand after them.
///
/// It starts no thread and waits for nothing: `step` says when there is no room, `deliveries` is driven by whoever likes.
/// All calls by the driver's thread.
package final class DurableDriver {
    package let deliveries: Deliveries
    private let machine: any TickMachine
    private let ticks: TickLog
    private let checkpoints: CheckpointStore
    private let clock: any Clock
    private let options: DurableOptions
    private let copies: (any CheckpointCopies)?

    /// A tick that is carried out and that the log had no room for.
    private struct Uncommitted {
        var commit: TickCommit
        var tick: Deliveries.Tick
        var report: TickReport
        var reads: [(nanos: Int64, rows: Int)]
    }

    private var uncommitted: Uncommitted?
    /// The offset that the next tick record gets, as far as is known: only this driver writes to the topic.
    private var position: Int64 = 0
    /// Of the last commit; ticks without a commit are as durable as it is.
    private var sequence: UInt64 = 0
    /// The tick of the last one begun, and since when for how long none is due.
    private var lastCheckpoint: (tick: UInt64, nanos: Int64, restNanos: Int64) = (0, 0, 0)
    private var checkpointNews: CheckpointNews?
    /// The last copy of the process failed: the next checkpoint does without.
    private var mistrustsCopies = false
    private var resumed: [String: UInt64] = [:]
    private let latency: Histogram?

    /// - Parameters:
    ///   - copies: who writes checkpoints while the machine goes on.
    ///   - latency: takes, for rows that come straight from a source, the time from their reading to their tick's sync.
    ///   - wake: called from any thread when `step` may have room again.
    package init(
        _ machine: any TickMachine, ticks: TickLog, checkpoints: CheckpointStore, clock: any Clock, options: DurableOptions,
        copies: (any CheckpointCopies)? = nil, latency: Histogram? = nil, wake: @escaping @Sendable () -> Void
    ) {
        self.latency = latency
        self.machine = machine
        self.ticks = ticks
        self.checkpoints = checkpoints
        self.clock = clock
        self.options = options
        self.copies = copies
        let told = Told(machine: machine)
        deliveries = Deliveries(
            clock: clock, ticksMax: options.ticksInFlightMax, bytesMax: options.waitingBytesMax, wake: wake,
            onDurable: { told.machine.committed(through: $0) },
            onCheckpoint: { (draft, marks) throws(SQLError) in
                try draft.complete(marks)
                if let start = try checkpoints.prune() { try ticks.delete(before: start) }
            })
    }

    /// `TickMachine.committed` may be called from any thread.
    private struct Told: @unchecked Sendable { let machine: any TickMachine }

    // MARK: Coming back

    /// Brings the machine to where its last durable tick left it, and targets outside the log with it. Before the first
    /// `step`, once. `wait` is called when something else has to go on first; it throws to give up.
    package func recover(wait: (RecoveryWait) throws(SQLError) -> Void) throws(SQLError) -> RecoveryReport {
        let start = clock.monotonicNanos()
        var report = RecoveryReport()
        while try !ticks.abandonOpen() { try wait(.journal) }
        let range = try ticks.range()
        position = range.upperBound
        var marks: [String: SinkMark] = [:]
        let found = try newestCheckpoint(&report)
        if let found {
            try check(found, against: range)
            for (name, mark) in found.marks { marks[name] = mark }
            // A record's news may be older than what the checkpoint waited for.
            try ticks.forEach(from: found.header.position) { record in
                for (name, mark) in record.marks where mark.tick >= marks[name]?.tick ?? 0 { marks[name] = mark }
            }
            try restore(found)
            report.checkpointTick = found.header.tick
        } else if !range.isEmpty || !report.damaged.isEmpty {
            throw SQLError(
                .dataCorrupted, "no checkpoint in \(checkpoints.directory) can be used, and the past of the pipeline cannot be brought back without one",
                detail: report.damaged.isEmpty ? "There is none." : report.damaged.joined(separator: "; "),
                hint: "Give the directory back from a copy, or begin the pipeline anew (--reset).")
        }
        deliveries.begin(at: machine.tick, marks: marks)
        try resumePatiently(marks, isNew: found == nil, wait)
        if let found {
            try replay(from: found.header.position, marks, &report, wait)
            try discardDamaged(newerThan: found)
        } else {
            // Where sources begin is part of the state: it is kept before anything is read.
            try checkpointStandingStill()
            while !deliveries.isSettled { try wait(.deliveries) }
            noteNews()
            if case .failed(let error) = checkpointNews { throw error }
        }
        deliveries.goOn()
        lastCheckpoint.nanos = clock.monotonicNanos()
        report.nanos = clock.monotonicNanos() - start
        return report
    }

    private func newestCheckpoint(_ report: inout RecoveryReport) throws(SQLError) -> CheckpointFile? {
        for path in try checkpoints.files() {
            do throws(StateError) {
                return try checkpoints.open(path, isVerified: true)
            } catch {
                report.damaged.append("\(error)")
            }
        }
        return nil
    }

    private func check(_ found: CheckpointFile, against range: Range<Int64>) throws(SQLError) {
        let header = found.header
        guard header.topic == "\(ticks.topic.id)", header.position >= range.lowerBound, header.position <= range.upperBound else {
            throw SQLError(
                .dataCorrupted, "\(found.path) belongs to another log: topic \(ticks.topic.name) does not have what follows it",
                hint: "Give checkpoints and log back from the same copy, or begin the pipeline anew (--reset).")
        }
        if let expected = options.definition, let has = header.definition, expected != has {
            throw SQLError(
                SQLState("55000"), "the pipeline's statements are not those that its state in \(checkpoints.directory) belongs to",
                detail: DurableDriver.difference(has, expected),
                hint: "Run the statements as they were; or give the changed pipeline a name of its own (--name); or begin anew, without the state (--reset).")
        }
    }

    /// The first line that is not the same, for people.
    private static func difference(_ old: String, _ new: String) -> String {
        let old = old.split(separator: "\n", omittingEmptySubsequences: false)
        let new = new.split(separator: "\n", omittingEmptySubsequences: false)
        for line in 0..<max(old.count, new.count) {
            let before = line < old.count ? String(old[line]) : "nothing"
            let now = line < new.count ? String(new[line]) : "nothing"
            if before != now { return "Line \(line + 1) was: \(before)  Now it is: \(now)" }
        }
        return "Their lengths differ."
    }

    private func restore(_ found: CheckpointFile) throws(SQLError) {
        do throws(StateError) {
            let reader = try found.reader(checkpoints.disk)
            do throws(SQLError) { try machine.restore(from: reader) } catch { throw StateError(error) }
            try reader.finish()
        } catch {
            throw error.asSQLError
        }
        guard machine.tick == found.header.tick else {
            throw SQLError(.dataCorrupted, "\(found.path): its state is that of tick \(machine.tick), not \(found.header.tick)")
        }
        lastCheckpoint.tick = machine.tick
    }

    /// A pipeline that has run before waits for targets that are away; one that begins says so at once.
    private func resumePatiently(
        _ marks: [String: SinkMark], isNew: Bool, _ wait: (RecoveryWait) throws(SQLError) -> Void
    ) throws(SQLError) {
        while true {
            do throws(SQLError) {
                return try resume(marks, isNew: isNew)
            } catch {
                guard error.isTransient, !isNew else { throw error }
                try wait(.target(error))
            }
        }
    }

    /// Targets that are new to this driver say where they are.
    private func resume(_ marks: [String: SinkMark], isNew: Bool) throws(SQLError) {
        for case let target as any ExternalTarget in machine.targets where resumed[target.name] == nil {
            resumed[target.name] = try target.resume(
                SinkStart(pipeline: "\(ticks.topic.id)", mark: marks[target.name], isNew: isNew))
        }
    }

    private func replay(
        from offset: Int64, _ marks: [String: SinkMark], _ report: inout RecoveryReport,
        _ wait: (RecoveryWait) throws(SQLError) -> Void
    ) throws(SQLError) {
        var replayed: UInt64 = 0
        try ticks.forEach(from: offset) { record throws(SQLError) in
            let step = try machine.step(replaying: record.machine)
            guard machine.tick == record.tick else {
                throw SQLError(.dataCorrupted, "the record of tick \(record.tick) follows tick \(machine.tick - 1): the records have a gap")
            }
            replayed += 1
            try resumePatiently(marks, isNew: false, wait)
            let targets = machine.targets
            var tick = Deliveries.Tick(tick: record.tick, pool: step.output.pool)
            var parts: [(target: any ExternalTarget, part: SinkCollector.Part)] = []
            for (ordinal, part) in step.output.parts {
                if let target = targets[ordinal] as? any ExternalTarget, record.tick > resumed[target.name] ?? 0 {
                    parts.append((target, part))
                } else {
                    step.output.pool?.give(part.bytes)
                }
            }
            tick = Deliveries.Tick(tick: record.tick, parts: parts, pool: step.output.pool)
            // There is room: it fitted in once, but for what targets had taken and whose sync no later tick had told of. So a start
            // waits for nobody who is away.
            deliveries.push(tick, isDurable: true)
            try deliveries.throwIfFailed()
        }
        report.ticksReplayed = replayed
    }

    /// So that they do not count among those that are kept.
    private func discardDamaged(newerThan found: CheckpointFile) throws(SQLError) {
        for path in try checkpoints.files() where path > found.path {
            do throws(IOError) { try checkpoints.disk.remove(path) } catch { throw SQLError(.ioError, "\(error)") }
        }
    }

    // MARK: Going on

    /// One tick, committed. Nil: there is no room (too much is on its way, or the log is full); try again after a wake-up.
    package func step() throws(SQLError) -> TickReport? {
        if uncommitted != nil { return try commit() }
        let hasRoom = try deliveries.hasRoom()
        guard hasRoom || machine.mustStep else { return nil }
        let step = try machine.step(replaying: nil)
        try resume([:], isNew: true)
        let (appends, parts) = try sort(step.output)
        guard let record = step.record, !options.isWithoutCommits || !appends.isEmpty else {
            precondition(appends.isEmpty && (parts.isEmpty || options.isWithoutCommits), "a tick with outputs has a record")
            let (tick, deliveries) = (machine.tick, deliveries)
            ticks.log.whenDurable(sequence) { deliveries.announce(tick) }
            return step.report
        }
        let envelope = TickRecord(tick: machine.tick, marks: deliveries.takeMarkNews(), machine: record)
        uncommitted = Uncommitted(
            commit: options.isWithoutCommits ? ticks.outputs(appends) : try ticks.commit(envelope, appends, millis: clock.wallMicros() / 1000),
            tick: Deliveries.Tick(tick: machine.tick, parts: parts, pool: step.output.pool), report: step.report,
            reads: latency == nil ? [] : step.output.parts.flatMap(\.part.reads))
        return try commit()
    }

    /// What goes with the commit, and what after it.
    private func sort(
        _ output: TickOutput
    ) throws(SQLError) -> ([Append], [(target: any ExternalTarget, part: SinkCollector.Part)]) {
        let targets = machine.targets
        var appends: [Append] = []
        var parts: [(target: any ExternalTarget, part: SinkCollector.Part)] = []
        var committed: [Int] = []
        for (ordinal, part) in output.parts {
            if let target = targets[ordinal] as? any ExternalTarget {
                parts.append((target, part))
            } else {
                try targets[ordinal].write(part.bytes.bytes)
                if !committed.contains(ordinal) { committed.append(ordinal) }
                output.pool?.give(part.bytes)
            }
        }
        for ordinal in committed {
            if let target = targets[ordinal] as? any CommittedTarget { appends += try target.takeAppends() }
        }
        return (appends, parts)
    }

    private func commit() throws(SQLError) -> TickReport? {
        guard var waiting = uncommitted else { return nil }
        // The state of its going on is kept whether or not it came to its end.
        uncommitted = nil
        guard let committed = try ticks.advance(&waiting.commit) else {
            uncommitted = waiting
            return nil
        }
        position = committed.position
        sequence = committed.sequence
        deliveries.push(waiting.tick, isDurable: false)
        let (tick, deliveries, latency, clock) = (waiting.tick.tick, deliveries, latency, clock)
        let reads = waiting.reads
        ticks.log.whenDurable(sequence) {
            deliveries.becameDurable(tick)
            guard let latency, !reads.isEmpty else { return }
            let now = clock.monotonicNanos()
            for read in reads { latency.record(now - read.nanos, count: UInt64(read.rows)) }
        }
        return waiting.report
    }

    /// Tries again to commit a tick for which there was no room. False: there is still none.
    package func commitWaiting() throws(SQLError) -> Bool {
        guard uncommitted != nil else { return false }
        return try commit() != nil
    }

    /// Whether everything carried out is durable and delivered, and no checkpoint is on its way.
    package var isSettled: Bool { uncommitted == nil && deliveries.isSettled }

    // MARK: Checkpoints

    package var isCheckpointDue: Bool {
        clock.monotonicNanos() - lastCheckpoint.nanos >= max(options.checkpointNanos, lastCheckpoint.restNanos)
    }

    /// Begins a checkpoint of the state as it is, unless there is nothing new or the last one is still on its way. A copy of
    /// the process writes it; without one, or if `standsStill`, the machine stands still meanwhile. The rest is `deliveries`'.
    /// One that fails is tried again when the next is due; until then the one before counts.
    package func checkpointIfNeeded(standsStill: Bool = false) {
        noteNews()
        guard uncommitted == nil, !deliveries.hasCheckpoint, machine.tick > lastCheckpoint.tick, !options.isWithoutCommits else { return }
        let copies = standsStill || mistrustsCopies ? nil : copies
        if let copies, !copies.isReady() { return }
        do throws(SQLError) {
            if let copies, try beginCheckpoint(copies) { return }
            try checkpointStandingStill()
        } catch {
            note(.failed(error))
            lastCheckpoint.nanos = clock.monotonicNanos()
        }
    }

    /// False: there is no copy.
    private func beginCheckpoint(_ copies: any CheckpointCopies) throws(SQLError) -> Bool {
        let start = clock.monotonicNanos()
        let draft = try begin()
        let save = machine.beginSave()
        let (deliveries, clock) = (deliveries, clock)
        // It is awaited before the copy can end.
        deliveries.await(draft, isWritten: false)
        let isCopied = copies.copy(keeping: draft.file) { progress in
            draft.fillPaced(save, progress)
        } ended: { outcome in
            deliveries.written(outcome, nanos: clock.monotonicNanos() - start)
        }
        pauseNanos = clock.monotonicNanos() - start
        lastCheckpoint = (machine.tick, start, 0)
        if !isCopied { deliveries.written(.canceled, nanos: 0) }
        return isCopied
    }

    private func checkpointStandingStill() throws(SQLError) {
        let start = clock.monotonicNanos()
        let draft = try begin()
        do throws(SQLError) {
            try draft.fill(machine.beginSave())
        } catch {
            draft.discard()
            throw error
        }
        let end = clock.monotonicNanos()
        pauseNanos = end - start
        draft.writeNanos = end - start
        lastCheckpoint = (machine.tick, end, 0)
        deliveries.await(draft, isWritten: true)
    }

    private func begin() throws(SQLError) -> CheckpointDraft {
        try checkpoints.begin(
            CheckpointHeader(
                tick: machine.tick, position: position, topic: "\(ticks.topic.id)", takenAt: clock.wallMicros(),
                shards: options.shards, definition: options.definition))
    }

    private func noteNews() {
        if let news = deliveries.takeCheckpointNews() { note(news) }
    }

    /// Draws the consequences of what became of a checkpoint.
    private func note(_ news: CheckpointNews) {
        checkpointNews = news
        switch news {
        case .taken(let writeNanos, _):
            let (pauses, _) = pauseNanos.multipliedReportingOverflow(by: options.pauseShare)
            let (writes, _) = writeNanos.multipliedReportingOverflow(by: options.writeShare)
            lastCheckpoint.restNanos = max(pauses, writes)
            mistrustsCopies = false
        case .failed: lastCheckpoint.tick = 0
        case .copyDied:
            lastCheckpoint.tick = 0
            mistrustsCopies = true
        }
    }

    /// How long the machine stood still for the last checkpoint, nanoseconds.
    package private(set) var pauseNanos: Int64 = 0

    /// What became of the last checkpoint, once.
    package func takeCheckpointNews() -> CheckpointNews? {
        noteNews()
        defer { checkpointNews = nil }
        return checkpointNews
    }

    /// Forgets the past of a machine that has come to its end: a later start begins anew. Everything is settled. Waits for room
    /// in the log.
    package static func forget(_ ticks: TickLog, _ checkpoints: CheckpointStore) throws(SQLError) {
        try checkpoints.removeAll()
        try ticks.deleteAll()
    }
}
