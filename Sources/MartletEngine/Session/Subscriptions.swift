internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// SUBSCRIBE: the rows that are there, if they are wanted, then every change, for as long as the client listens.
final class ChangeCursor: RowCursor {
    let fields: [Field]
    private let hub: ChangeHub
    private let limits: StatementLimits
    private let hasProgress: Bool
    private var waiting: [Batch]
    private var place: ChangePlace
    /// The last tick that a row of progress told of.
    private var told: UInt64
    private var isClosed = false

    init(
        _ database: Database, _ relation: RelationID, _ columns: [Field], snapshot: StoreSnapshot?, from tick: UInt64, hasProgress: Bool,
        limits: StatementLimits
    ) {
        hub = database.hub
        self.limits = limits
        self.hasProgress = hasProgress
        place = ChangePlace(relation, columns: columns, behind: tick)
        told = tick
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
            waiting = try place.next(hub).map { ChangeCursor.shown($0.batch, $0.tick) }
            if hasProgress, place.tick > told {
                told = place.tick
                waiting.append(progress(told))
            }
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
        hub.whenMoved(place.relation, beyond: place.tick, ObjectIdentifier(self), wake)
    }

    func tag(rows: UInt64) -> String { "SUBSCRIBE \(rows)" }

    func close() {
        if !isClosed { hub.unfollow(place.relation, ObjectIdentifier(self)) }
        isClosed = true
    }

    deinit { if !isClosed { hub.unfollow(place.relation, ObjectIdentifier(self)) } }
}

/// DECLARE … SUBSCRIPTION CURSOR: a place among a relation's changes, and what was read ahead of FETCH.
struct SubscriptionPlace {
    var place: ChangePlace
    var fields: [Field]
    var waiting: [Batch]
}
