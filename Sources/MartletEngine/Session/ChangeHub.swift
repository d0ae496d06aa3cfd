internal import MartletColumns
internal import MartletCore
internal import MartletSQL
internal import MartletState
internal import Synchronization

/// What one tick did to one relation.
struct RelationChange: Sendable {
    var tick: UInt64
    /// When it became visible, microseconds since 1970.
    var micros: Int64
    /// The relation's columns as of then.
    var fields: [Field]
    /// Weights 1 and −1; nil: all rows came.
    var batch: Batch

    /// A tick's batches of one relation as one, in which nothing comes and goes; nil: nothing is left of them. The same
    /// batches give the same rows in the same order, wherever they are kept.
    static func net(_ batches: [Batch]) -> Batch? {
        Consolidation.net(batches).map { Consolidation.repeated($0) }
    }
}

/// Changes of relations that somebody follows, tick by tick, as far back as they are kept: the newest in memory, older ones
/// of relations with a subscription in the log (`ChangeTopics`).
///
/// Filled by the thread that makes ticks visible, under the readers' lock, so that a snapshot and what follows it meet
/// without gap or repeat; read by sessions.
final class ChangeHub: Sendable {
    /// Bytes of changes that one relation keeps in memory. A follower that falls behind them, and behind what the log has, is
    /// told and ended.
    static let bytesMax = 64 << 20
    /// A relation that nobody follows any more is kept so long for those who come back.
    static let graceMicros: Int64 = 120_000_000

    private struct Feed {
        var changes: [RelationChange] = []
        var bytes = 0
        /// Changes up to this tick are not in memory any more.
        var forgotten: UInt64
        var followers = 0
        /// When the last follower left.
        var leftMicros: Int64 = .max
        /// How long its changes are to be kept, microseconds; nil: nobody has asked for that.
        var retention: Int64?
        /// From this instant on (microseconds since 1970), as long as there is a retention, every change is in `changes`, of rows
        /// with the columns there are now.
        var since: Int64 = .max
        /// The relation's columns now; nil: it was dropped.
        var fields: [Field]?
        /// The tick that it got them with.
        var shapeTick: UInt64 = 0
        /// By who waits.
        var wakers: [ObjectIdentifier: @Sendable () -> Void] = [:]

        /// Changes behind a tick that are in memory, for somebody who knows the relation with these columns. Rows that were
        /// told with other columns are not continued: their owner could not tell which ones go.
        func found(after tick: UInt64, through: UInt64, _ known: [Field]) -> Found {
            var found = Found(changes: Array(changes[changes.firstIndex(behind: tick)...]), through: through)
            if fields == known, tick >= shapeTick { return found }
            found.end = fields == nil ? SQLError(.undefinedTable, "the relation was dropped") : ChangeHub.reshaped(at: shapeTick)
            let other = found.changes.firstIndex { $0.tick >= shapeTick || $0.fields != known } ?? found.changes.count
            found.changes.removeSubrange(other...)
            found.through = max(tick, min(through, shapeTick &- 1))
            return found
        }
    }

    private struct State {
        var feeds: [RelationID: Feed] = [:]
        var tick: UInt64 = 0
        /// Relations that from a tick on have other rows than what was told of them before leads to.
        var cuts: [RelationID: UInt64] = [:]
    }

    /// What was found behind a tick.
    struct Found {
        var changes: [RelationChange]
        /// The last tick of which everything is among them.
        var through: UInt64
        /// Nothing comes behind them: the relation was dropped, or has other columns now.
        var end: SQLError?
    }

    private let state = Mutex(State())
    private let clock: any Clock
    private let topics: ChangeTopics?

    init(clock: any Clock, topics: ChangeTopics?) {
        self.clock = clock
        self.topics = topics
    }

    // MARK: The thread that makes ticks visible

    /// A tick has become visible. `catalog`: where the tick changed it.
    func publish(_ changes: [(relation: RelationID, batch: Batch)], tick: UInt64, catalog: DatabaseCatalog?) {
        let now = clock.wallMicros()
        let wakers: [@Sendable () -> Void] = state.withLock { state in
            state.tick = tick
            if let catalog {
                for (relation, feed) in state.feeds {
                    let fields = catalog.objects[relation]?.fields
                    guard fields != feed.fields else { continue }
                    state.feeds[relation]?.fields = fields
                    state.feeds[relation]?.shapeTick = tick
                    state.feeds[relation]?.since = now
                }
            }
            for relation in state.feeds.keys.sorted() {
                guard var feed = state.feeds.removeValue(forKey: relation) else { continue }
                let batches = changes.lazy.filter { $0.relation == relation }.map(\.batch)
                if let fields = feed.fields, let net = RelationChange.net(Array(batches)) {
                    // What rows point into is shared with much else, and would be kept with them.
                    let own = Batch(count: net.count, columns: net.columns.map { $0.detached() }, weights: net.weights)
                    feed.changes.append(RelationChange(tick: tick, micros: now, fields: fields, batch: own))
                    feed.bytes += own.memoryBytes
                }
                trim(&feed, now: now)
                let isOver = feed.followers == 0 && feed.retention == nil && now - feed.leftMicros > ChangeHub.graceMicros
                if !isOver { state.feeds[relation] = feed }
            }
            var wakers: [@Sendable () -> Void] = []
            for relation in state.feeds.keys.sorted() {
                wakers += state.feeds[relation]?.wakers.values ?? [:].values
                state.feeds[relation]?.wakers = [:]
            }
            return wakers
        }
        for wake in wakers { wake() }
    }

    private func trim(_ feed: inout Feed, now: Int64) {
        // What the log has as well need not stay for those who may come.
        let kept = topics != nil ? ChangeHub.graceMicros : max(feed.retention ?? 0, ChangeHub.graceMicros)
        var count = 0
        while count < feed.changes.count {
            let first = feed.changes[count]
            let isOld = feed.followers == 0 && now - first.micros > kept
            guard isOld || feed.bytes > ChangeHub.bytesMax else { break }
            feed.bytes -= first.batch.memoryBytes
            feed.forgotten = first.tick
            feed.since = max(feed.since, first.micros)
            count += 1
        }
        feed.changes.removeFirst(count)
    }

    /// What is asked to be kept, by relation. Reads of the past find it in the log, where there is one. Under the readers' lock.
    func retain(_ catalog: DatabaseCatalog, from tick: UInt64) {
        let wanted = topics == nil ? catalog.retentions : catalog.subscribed
        let now = clock.wallMicros()
        state.withLock { state in
            for (relation, micros) in wanted.sorted(by: { $0.key < $1.key }) {
                var feed = state.feeds[relation] ?? Feed(forgotten: tick, fields: catalog.objects[relation]?.fields)
                if feed.retention == nil { feed.since = now }
                feed.retention = micros
                state.feeds[relation] = feed
            }
            for (relation, feed) in state.feeds where wanted[relation] == nil && feed.retention != nil {
                state.feeds[relation]?.retention = nil
                if feed.followers == 0 { state.feeds[relation] = nil }
            }
        }
    }

    /// What was told of the relations before the tick is not continued.
    func cut(_ relations: Set<RelationID>, at tick: UInt64) {
        state.withLock { state in
            for relation in relations { state.cuts[relation] = tick }
        }
    }

    // MARK: Sessions

    /// Begins to keep a relation's changes behind `tick`, unless they are. Under the readers' lock.
    func follow(_ relation: RelationID, fields: [Field], from tick: UInt64) {
        state.withLock { $0.feeds[relation, default: Feed(forgotten: tick, fields: fields)].followers += 1 }
    }

    func unfollow(_ relation: RelationID, _ owner: ObjectIdentifier) {
        let now = clock.wallMicros()
        state.withLock { state in
            state.feeds[relation]?.followers -= 1
            state.feeds[relation]?.leftMicros = now
            state.feeds[relation]?.wakers[owner] = nil
        }
    }

    /// The oldest tick behind which nothing is missing; nil: the relation is not kept.
    func oldest(_ relation: RelationID) throws(SQLError) -> UInt64? {
        let inMemory = state.withLock { $0.feeds[relation]?.forgotten }
        let cut = state.withLock { $0.cuts[relation] } ?? 0
        guard let topics, let inMemory, let kept = try topics.oldest(relation) else { return inMemory.map { max($0, cut) } }
        return max(min(inMemory, kept), cut)
    }

    /// Changes behind `tick` of a relation that had `fields` then, at most some MiB of them. Throws where some are gone.
    func changes(_ relation: RelationID, after tick: UInt64, fields: [Field]) throws(SQLError) -> Found {
        let (found, forgotten, cut) = state.withLock { state -> (Found?, UInt64, UInt64?) in
            if let cut = state.cuts[relation], tick < cut { return (nil, 0, cut) }
            guard let feed = state.feeds[relation] else { return (nil, 0, nil) }
            guard feed.forgotten <= tick else { return (nil, feed.forgotten, nil) }
            return (feed.found(after: tick, through: state.tick, fields), 0, nil)
        }
        if let found { return found }
        if let cut { throw ChangeHub.begunAnew(at: cut) }
        if let topics, forgotten > 0, let kept = try topics.changes(relation, after: tick, through: forgotten, fields: fields) {
            return kept
        }
        throw SQLError(
            .configurationLimitExceeded, "the changes behind tick \(tick) are not kept any more",
            hint: "Read faster, keep them longer (CREATE SUBSCRIPTION … WITH (retention = …)), or begin again with a snapshot.")
    }

    /// Adds what ticks up to `tick` did to a relation after an instant, microseconds since 1970, in their order; `fields`: its
    /// columns as of that tick. What was added means nothing if some of it is not kept.
    func later(
        than micros: Int64, _ relation: RelationID, through tick: UInt64, fields: [Field], _ undone: inout UndoneChanges
    ) throws(SQLError) -> Later {
        if let topics { return try topics.later(than: micros, relation, through: tick, fields: fields, &undone) }
        let found = state.withLock { state -> (since: Int64, changes: [RelationChange])? in
            guard let feed = state.feeds[relation], feed.retention != nil else { return nil }
            return (feed.since, feed.changes.filter { $0.micros > micros && $0.tick <= tick })
        }
        guard let found else { return .missing(since: nil) }
        if micros < found.since { return .missing(since: found.since) }
        for change in found.changes { try undone.add(change.batch) }
        return .all
    }

    /// When a relation's changes began to be kept, microseconds since 1970, as far as that is still to be seen.
    func beginning(_ relation: RelationID) throws(SQLError) -> Int64? {
        if let topics { return try topics.beginning(relation) }
        return state.withLock { $0.feeds[relation].flatMap { $0.retention == nil ? nil : $0.since } }
    }

    enum Later {
        case all
        /// Some changes are not kept, or of rows with other columns. `since`: from then on they are; nil: nobody can say.
        case missing(since: Int64?)
    }

    static func reshaped(at tick: UInt64) -> SQLError {
        SQLError(
            SQLState("0A000"), "the relation got other columns with tick \(tick)", hint: "Subscribe again, and begin with a snapshot.")
    }

    static func begunAnew(at tick: UInt64) -> SQLError {
        SQLError(
            SQLState("0A000"), "the relation begins anew with tick \(tick): what was told of it before does not lead to the rows that it has now",
            hint: "Subscribe again, and begin with a snapshot.")
    }

    /// Calls `wake` after the next tick that becomes visible, or at once if there is one behind `tick`. `owner` waits once at
    /// a time.
    func whenMoved(_ relation: RelationID, beyond tick: UInt64, _ owner: ObjectIdentifier, _ wake: @escaping @Sendable () -> Void) {
        let isMoved = state.withLock { state in
            if state.tick > tick || state.feeds[relation] == nil { return true }
            state.feeds[relation]?.wakers[owner] = wake
            return false
        }
        if isMoved { wake() }
    }

    /// Relations that are followed: followers, changes and bytes kept in memory.
    var facts: [(relation: RelationID, followers: Int, changes: Int, bytes: Int)] {
        state.withLock { state in
            state.feeds.sorted { $0.key < $1.key }.map { ($0.key, $0.value.followers, $0.value.changes.count, $0.value.bytes) }
        }
    }
}

/// Where somebody stands among a relation's changes. Belongs to one session, whose relation it follows until `end`.
struct ChangePlace {
    let relation: RelationID
    /// The relation's columns when it was opened.
    let columns: [Field]
    /// Everything up to this tick has been seen.
    private(set) var tick: UInt64

    init(_ relation: RelationID, columns: [Field], behind tick: UInt64) {
        self.relation = relation
        self.columns = columns
        self.tick = tick
    }

    /// The next changes, which are then behind; none: there are none now. Throws where they are gone, or where nothing can
    /// follow.
    mutating func next(_ hub: ChangeHub) throws(SQLError) -> [RelationChange] {
        let found = try hub.changes(relation, after: tick, fields: columns)
        tick = max(tick, found.through)
        if found.changes.isEmpty, let end = found.end { throw end }
        return found.changes
    }
}

extension [RelationChange] {
    /// Where the changes behind a tick begin. O(log n): many ask for the last one.
    fileprivate func firstIndex(behind tick: UInt64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].tick > tick { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
