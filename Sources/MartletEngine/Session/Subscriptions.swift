internal import MartletColumns
internal import MartletCore
internal import MartletSQL
internal import Synchronization

/// Changes of relations that somebody follows, tick by tick, as far back as they are kept.
///
/// Filled by the thread that makes ticks visible, under the readers' lock, so that a snapshot and what follows it meet
/// without gap or repeat; read by sessions. Kept in memory: a restart begins anew.
final class ChangeHub: Sendable {
    /// Bytes of changes that one relation keeps. A follower that falls behind them is told and ended.
    static let bytesMax = 64 << 20

    struct Change: Sendable {
        var tick: UInt64
        /// When it became visible, microseconds since 1970.
        var micros: Int64
        var batch: Batch
    }

    private struct Feed {
        var changes: [Change] = []
        var bytes = 0
        /// Changes up to this tick are not there any more.
        var forgotten: UInt64
        var followers = 0
        /// Of the subscriptions on it, the longest, microseconds; nil: there is none.
        var retention: Int64?
        var wakers: [@Sendable () -> Void] = []
    }

    private struct State {
        var feeds: [RelationID: Feed] = [:]
        var tick: UInt64 = 0
    }

    private let state = Mutex(State())

    /// A tick has become visible.
    func publish(_ changes: [(relation: RelationID, batch: Batch)], tick: UInt64, micros: Int64) {
        let wakers: [@Sendable () -> Void] = state.withLock { state in
            state.tick = tick
            for (relation, batch) in changes {
                guard var feed = state.feeds[relation] else { continue }
                // What rows point into is shared with much else, and would be kept with them.
                let own = Batch(count: batch.count, columns: batch.columns.map { $0.detached() }, weights: batch.weights)
                feed.changes.append(Change(tick: tick, micros: micros, batch: own))
                feed.bytes += own.memoryBytes
                ChangeHub.trim(&feed, now: micros)
                state.feeds[relation] = feed
            }
            var wakers: [@Sendable () -> Void] = []
            for relation in state.feeds.keys.sorted() {
                wakers += state.feeds[relation]?.wakers ?? []
                state.feeds[relation]?.wakers = []
            }
            return wakers
        }
        for wake in wakers { wake() }
    }

    private static func trim(_ feed: inout Feed, now: Int64) {
        while let first = feed.changes.first {
            let isOld = feed.followers == 0 && now - first.micros > (feed.retention ?? 0)
            guard isOld || feed.bytes > bytesMax else { break }
            feed.bytes -= first.batch.memoryBytes
            feed.forgotten = first.tick
            feed.changes.removeFirst()
        }
    }

    /// Begins to keep a relation's changes behind `tick`. Under the readers' lock.
    func follow(_ relation: RelationID, from tick: UInt64) {
        state.withLock { $0.feeds[relation, default: Feed(forgotten: tick)].followers += 1 }
    }

    func unfollow(_ relation: RelationID) {
        state.withLock { state in
            state.feeds[relation]?.followers -= 1
            if let feed = state.feeds[relation], feed.followers == 0, feed.retention == nil { state.feeds[relation] = nil }
        }
    }

    /// What subscriptions ask to be kept, by relation. Under the readers' lock.
    func retain(_ wanted: [RelationID: Int64], from tick: UInt64) {
        state.withLock { state in
            for (relation, micros) in wanted.sorted(by: { $0.key < $1.key }) {
                state.feeds[relation, default: Feed(forgotten: tick)].retention = micros
            }
            for (relation, feed) in state.feeds where wanted[relation] == nil {
                state.feeds[relation]?.retention = nil
                if feed.followers == 0 { state.feeds[relation] = nil }
            }
        }
    }

    /// The oldest tick behind which nothing is missing; nil: the relation is not kept.
    func oldest(_ relation: RelationID) -> UInt64? { state.withLock { $0.feeds[relation]?.forgotten } }

    /// Changes behind `tick`, and how far they go. Throws where some of them are gone.
    func changes(_ relation: RelationID, after tick: UInt64) throws(SQLError) -> (changes: [Change], through: UInt64) {
        let found: (changes: [Change], through: UInt64)? = state.withLock { state in
            guard let feed = state.feeds[relation], feed.forgotten <= tick else { return nil }
            return (feed.changes.filter { $0.tick > tick }, state.tick)
        }
        guard let found else {
            throw SQLError(
                .configurationLimitExceeded, "the changes behind tick \(tick) are not kept any more",
                hint: "Read faster, keep them longer (CREATE SUBSCRIPTION … WITH (retention = …)), or begin again with a snapshot.")
        }
        return found
    }

    /// Calls `wake` after the next tick that becomes visible. `isReady`: asked first, under the lock.
    func whenMoved(_ relation: RelationID, beyond tick: UInt64, _ wake: @escaping @Sendable () -> Void) {
        let isMoved = state.withLock { state in
            if state.tick > tick || state.feeds[relation] == nil { return true }
            state.feeds[relation]?.wakers.append(wake)
            return false
        }
        if isMoved { wake() }
    }

    /// Relations that are followed: followers, changes and bytes kept.
    var facts: [(relation: RelationID, followers: Int, changes: Int, bytes: Int)] {
        state.withLock { state in
            state.feeds.sorted { $0.key < $1.key }.map { ($0.key, $0.value.followers, $0.value.changes.count, $0.value.bytes) }
        }
    }
}

/// SUBSCRIBE: the rows that are there, if they are wanted, then every change, for as long as the client listens.
final class ChangeCursor: RowCursor {
    let fields: [Field]
    private let hub: ChangeHub
    private let relation: RelationID
    private let limits: StatementLimits
    private let hasProgress: Bool
    private var waiting: [Batch]
    private var position: UInt64
    private var isClosed = false

    init(
        _ database: Database, _ relation: RelationID, _ columns: [Field], snapshot: StoreSnapshot?, from tick: UInt64, hasProgress: Bool,
        limits: StatementLimits
    ) {
        hub = database.hub
        self.relation = relation
        self.limits = limits
        self.hasProgress = hasProgress
        position = tick
        fields = [Field(name: "tick", type: .bigint), Field(name: "weight", type: .bigint)] + columns
        waiting = []
        waiting = (snapshot?.batches ?? []).map { ChangeCursor.shown($0, tick) }
        if hasProgress { waiting.append(progress(tick)) }
    }

    private static func shown(_ batch: Batch, _ tick: UInt64) -> Batch {
        let ticks = Column.constant(.bigint(Int64(clamping: tick)), type: .bigint, count: batch.count)
        let weights = batch.weights ?? Column.constant(.bigint(1), type: .bigint, count: batch.count)
        return Batch(count: batch.count, columns: [ticks, weights] + batch.columns)
    }

    /// A row that says that everything up to the tick has been sent.
    private func progress(_ tick: UInt64) -> Batch {
        Batch(fields, [[.bigint(Int64(clamping: tick))] + fields.dropFirst().map { _ in .null }])
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        if isClosed { return nil }
        try limits.check()
        if waiting.isEmpty {
            let (changes, through) = try hub.changes(relation, after: position)
            waiting = changes.map { ChangeCursor.shown($0.batch, $0.tick) }
            if hasProgress, through > position { waiting.append(progress(through)) }
            position = max(position, through)
        }
        guard let first = waiting.first else { return Batch(fields, []) }
        if first.count <= rowsMax {
            waiting.removeFirst()
            return first
        }
        waiting[0] = first.slice(rowsMax, first.count - rowsMax)
        return first.slice(0, rowsMax)
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) {
        if isClosed || !waiting.isEmpty { return wake() }
        limits.onCancel(wake)
        hub.whenMoved(relation, beyond: position, wake)
    }

    func tag(rows: UInt64) -> String { "SUBSCRIBE \(rows)" }

    func close() {
        if !isClosed { hub.unfollow(relation) }
        isClosed = true
    }

    deinit { if !isClosed { hub.unfollow(relation) } }
}

/// DECLARE … SUBSCRIPTION CURSOR: a place among a relation's changes.
struct SubscriptionPlace {
    var relation: RelationID
    var fields: [Field]
    var waiting: [Batch]
    var position: UInt64
}
