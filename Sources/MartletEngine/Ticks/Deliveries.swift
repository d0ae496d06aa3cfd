package import MartletCore
internal import MartletDataflow
internal import MartletState
internal import Synchronization

/// Ticks on their way from the journal's queue to the outside, in order: what waits for its sync, what is durable and waits
/// to be written to targets outside the log, and the checkpoint that waits for both.
///
/// Three threads meet here: the driver pushes, the journal's thread says what is durable, one thread delivers
/// (`deliverNext`). Nothing of a tick reaches a target before its commit is durable.
package final class Deliveries: Sendable {
    /// One tick's rows for targets outside the log.
    struct Tick: @unchecked Sendable {
        // Sendable: buffers and targets are the deliverer's alone once pushed.
        var tick: UInt64
        var parts: [(target: any ExternalTarget, part: SinkCollector.Part)] = []
        var pool: BytePool?

        /// Fixed when the tick is pushed: buffers go back to the pool before it is forgotten.
        let bytes: Int
        let shares: [(target: String, bytes: Int)]

        init(tick: UInt64, parts: [(target: any ExternalTarget, part: SinkCollector.Part)] = [], pool: BytePool? = nil) {
            self.tick = tick
            self.parts = parts
            self.pool = pool
            shares = parts.map { ($0.target.name, $0.part.bytes.count) }
            bytes = shares.reduce(0) { $0 + $1.bytes }
        }
    }

    fileprivate struct State {
        var waiting: [Tick] = []
        var waitingBytes = 0
        /// The last tick pushed, durable, delivered.
        var pushed: UInt64 = 0
        var durable: UInt64 = 0
        var delivered: UInt64 = 0
        /// Ticks pushed and not durable.
        var undurable = 0
        /// For the next tick record, by target.
        var markNews: [(name: String, mark: SinkMark)] = []
        /// The newest of each target, for checkpoints.
        var marks: [String: SinkMark] = [:]
        var draft: CheckpointDraft?
        /// Its state is still being written by a copy of the process.
        var isDraftUnwritten = false
        /// Of the last checkpoint, until the driver asks.
        var news: CheckpointNews?
        /// The last tick that was pushed before the draft: those after it up to the draft's took and gave nothing.
        var draftAfter: UInt64 = 0
        /// Ticks are replayed: the machine is told of them by whoever delivers, while it carries out the next.
        var isReplaying = false
        var failure: SQLError?
        /// The target that could not be written to the last time.
        var away: SinkAway?
    }

    /// Used by whoever delivers.
    private struct Outside: @unchecked Sendable {
        /// By name; those that have rows since their last sync.
        var unsynced: [(name: String, target: any ExternalTarget)] = []
        var lastSyncNanos: Int64 = 0
        /// Of the tick at hand: how many parts its targets have taken, so that a repeated attempt begins after them.
        var progress: (tick: UInt64, parts: Int) = (0, 0)
    }

    private let state = Mutex(State())
    private let outside = Mutex(Outside())
    private let clock: any Clock
    private let ticksMax: Int
    private let bytesMax: Int
    private let onDurable: @Sendable (UInt64) -> Void
    private let onCheckpoint: @Sendable (CheckpointDraft, [(name: String, mark: SinkMark)]) throws(SQLError) -> Void
    /// Somebody may go on: a tick is durable, or delivered.
    private let wake: @Sendable () -> Void
    private let announced = Mutex<UInt64>(0)

    /// With rows that are not synced, targets are synced this often, so that little is written again after a crash.
    private static let syncNanos: Int64 = 1_000_000_000

    init(
        clock: any Clock, ticksMax: Int, bytesMax: Int, wake: @escaping @Sendable () -> Void,
        onDurable: @escaping @Sendable (UInt64) -> Void,
        onCheckpoint: @escaping @Sendable (CheckpointDraft, [(name: String, mark: SinkMark)]) throws(SQLError) -> Void
    ) {
        self.clock = clock
        self.ticksMax = ticksMax
        self.bytesMax = bytesMax
        self.wake = wake
        self.onDurable = onDurable
        self.onCheckpoint = onCheckpoint
    }

    // MARK: The driver's

    /// Whether another tick may begin.
    func hasRoom() throws(SQLError) -> Bool {
        let (failure, hasRoom) = state.withLock { state in
            (state.failure, state.undurable < ticksMax && state.waitingBytes < bytesMax)
        }
        if let failure { throw failure }
        return hasRoom
    }

    package func throwIfFailed() throws(SQLError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// A tick that is in the journal's queue; `isDurable`: it is replayed.
    func push(_ tick: Tick, isDurable: Bool) {
        state.withLock { state in
            state.pushed = tick.tick
            state.waiting.append(tick)
            state.waitingBytes += tick.bytes
            if isDurable { state.durable = tick.tick } else { state.undurable += 1 }
            state.skipEmpty()
        }
        if isDurable { wake() }
    }

    /// Where things stand at the start; until `goOn` ticks are replayed.
    func begin(at tick: UInt64, marks: [String: SinkMark]) {
        state.withLock { state in
            state.isReplaying = true
            state.pushed = tick
            state.durable = tick
            state.delivered = tick
            state.marks = marks
        }
    }

    /// All that is replayed has been pushed.
    func goOn() {
        announce(state.withLock { state in
            state.isReplaying = false
            return state.durable
        })
    }

    func takeMarkNews() -> [(name: String, mark: SinkMark)] {
        state.withLock { state in
            defer { state.markNews = [] }
            return state.markNews
        }
    }

    /// What became of the last checkpoint, once.
    func takeCheckpointNews() -> CheckpointNews? {
        state.withLock { state in
            defer { state.news = nil }
            return state.news
        }
    }

    var isSettled: Bool { state.withLock { $0.undurable == 0 && $0.waiting.isEmpty && $0.draft == nil } }
    package var hasCheckpoint: Bool { state.withLock { $0.draft != nil } }
    /// Ticks not yet delivered, for the metrics.
    package var lag: (undurable: Int, waiting: Int, bytes: Int) {
        state.withLock { ($0.undurable, $0.waiting.count, $0.waitingBytes) }
    }

    /// What waits, target by target. Any thread.
    package var standing: DriverStanding {
        state.withLock { state in
            var standing = DriverStanding()
            standing.ticksInFlight = state.undurable
            standing.waitingBytesMax = bytesMax
            standing.away = state.away
            for tick in state.waiting {
                var counted: Set<String> = []
                for (target, bytes) in tick.shares {
                    let isFirst = counted.insert(target).inserted
                    if let at = standing.waiting.firstIndex(where: { $0.target == target }) {
                        standing.waiting[at].ticks += isFirst ? 1 : 0
                        standing.waiting[at].bytes += bytes
                    } else {
                        standing.waiting.append((target, 1, bytes))
                    }
                }
            }
            return standing
        }
    }

    /// A call to a target; whether it is away is remembered for those who ask.
    private func calling<Result>(_ target: any ExternalTarget, _ body: () throws(SQLError) -> Result) throws(SQLError) -> Result {
        do throws(SQLError) {
            let result = try body()
            state.withLock { if $0.away?.target == target.name { $0.away = nil } }
            return result
        } catch {
            let now = clock.monotonicNanos()
            state.withLock { state in
                let since = state.away.flatMap { $0.target == target.name ? $0.sinceNanos : nil } ?? now
                state.away = SinkAway(target: target.name, error: error, sinceNanos: since)
            }
            throw error
        }
    }

    /// The checkpoint counts when its state is written, and its tick durable and delivered.
    func await(_ draft: CheckpointDraft, isWritten: Bool) {
        state.withLock { state in
            state.draft = draft
            state.isDraftUnwritten = !isWritten
            state.draftAfter = state.pushed
        }
        wake()
    }

    /// A copy of the process has come to its end with the checkpoint at hand. Any thread.
    func written(_ outcome: CopyOutcome, nanos: Int64) {
        guard let draft = state.withLock({ $0.draft }) else { return }
        switch outcome {
        case .written(let bytes, let checksum):
            draft.wasFilled(bytes: bytes, checksum: checksum)
            draft.writeNanos = nanos
            state.withLock { $0.isDraftUnwritten = false }
            wake()
        case .failed(let error): giveUp(draft, .failed(error))
        case .died: giveUp(draft, .copyDied)
        case .canceled: giveUp(draft, nil)
        }
    }

    private func giveUp(_ draft: CheckpointDraft, _ news: CheckpointNews?) {
        draft.discard()
        state.withLock { state in
            state.draft = nil
            state.isDraftUnwritten = false
            state.news = news
        }
        wake()
    }

    /// Nothing is delivered any more: the driver learns of it.
    package func fail(_ error: SQLError) {
        state.withLock { $0.failure = $0.failure ?? error }
        wake()
    }

    // MARK: The journal's thread's

    /// The commit of `tick`, and so of every tick before it, is durable.
    func becameDurable(_ tick: UInt64) {
        let isNews = state.withLock { state in
            guard tick > state.durable else { return false }
            // Ticks without a commit share the one before them.
            state.undurable -= state.waiting.reduce(0) { $0 + ($1.tick > state.durable && $1.tick <= tick ? 1 : 0) }
            state.durable = tick
            state.skipEmpty()
            return true
        }
        announce(tick)
        if isNews { wake() }
    }

    /// Tells the machine, in order, each tick at most once.
    func announce(_ tick: UInt64) {
        announced.withLock { last in
            guard tick > last else { return }
            last = tick
            onDurable(tick)
        }
    }

    // MARK: The deliverer's

    /// Carries out the next thing that can be: a tick's rows, a sync that is due, a checkpoint. False: there is nothing to
    /// do now. Throws what the target says; a transient error may be tried again, and nothing has been passed over.
    package func deliverNext() throws(SQLError) -> Bool {
        if let replayed = state.withLock({ $0.isReplaying ? $0.durable : nil }) { announce(replayed) }
        if let tick = state.withLock({ state in state.waiting.first.flatMap { $0.tick <= state.durable ? $0 : nil } }) {
            try deliver(tick)
            return true
        }
        if let draft = state.withLock({ state in
            let stands = state.durable >= state.draftAfter && state.delivered >= state.draftAfter
            return stands && !state.isDraftUnwritten ? state.draft : nil
        }) {
            try syncTargets()
            complete(draft)
            return true
        }
        let isDue = outside.withLock { !$0.unsynced.isEmpty && clock.monotonicNanos() - $0.lastSyncNanos >= Deliveries.syncNanos }
        if isDue { try syncTargets() }
        return isDue
    }

    /// A checkpoint that cannot be completed costs nothing but itself.
    private func complete(_ draft: CheckpointDraft) {
        let marks = state.withLock { $0.marks }.sorted { $0.key < $1.key }.map { (name: $0.key, mark: $0.value) }
        do throws(SQLError) {
            try onCheckpoint(draft, marks)
        } catch {
            return giveUp(draft, .failed(error))
        }
        state.withLock { state in
            state.draft = nil
            state.news = .taken(writeNanos: draft.writeNanos, bytes: draft.bytes)
        }
        wake()
    }

    private func deliver(_ tick: Tick) throws(SQLError) {
        var written = outside.withLock { $0.progress.tick == tick.tick ? $0.progress.parts : 0 }
        while written < tick.parts.count {
            let (target, part) = tick.parts[written]
            try calling(target) { () throws(SQLError) in try target.write(part.bytes.bytes) }
            written += 1
            let reached = written
            outside.withLock { $0.progress = (tick.tick, reached) }
        }
        let isFollowed = state.withLock { state in
            state.waiting.count > 1 && state.waiting[1].tick <= state.durable && !state.waiting[1].parts.isEmpty
        }
        for (target, _) in tick.parts {
            try calling(target) { () throws(SQLError) in try target.endTick(tick.tick, isFollowed: isFollowed) }
            outside.withLock { outside in
                if !outside.unsynced.contains(where: { $0.target === target }) { outside.unsynced.append((target.name, target)) }
            }
        }
        for (_, part) in tick.parts { tick.pool?.give(part.bytes) }
        state.withLock { state in
            state.waiting.removeFirst()
            state.waitingBytes -= tick.bytes
            state.delivered = tick.tick
            state.skipEmpty()
        }
        wake()
    }

    private func syncTargets() throws(SQLError) {
        for (name, target) in outside.withLock({ $0.unsynced }) {
            let mark = try calling(target) { () throws(SQLError) in try target.sync() }
            state.withLock { state in
                state.marks[name] = mark
                state.markNews.removeAll { $0.name == name }
                state.markNews.append((name, mark))
            }
        }
        outside.withLock { outside in
            outside.unsynced = []
            outside.lastSyncNanos = clock.monotonicNanos()
        }
    }
}

extension Deliveries.State {
    /// Durable ticks without rows for the outside are delivered as they are.
    fileprivate mutating func skipEmpty() {
        while let first = waiting.first, first.tick <= durable, first.parts.isEmpty {
            waiting.removeFirst()
            delivered = first.tick
        }
    }
}
