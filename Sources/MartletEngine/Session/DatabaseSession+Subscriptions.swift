internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// SUBSCRIBE and cursors over subscriptions.
extension DatabaseSession {
    private func followed(_ name: String) throws(SQLError) -> CatalogObject {
        guard let object = boundCatalog()[name] else { throw DatabaseSession.unknown(name) }
        guard object.isStored else {
            throw SQLError(.wrongObjectType, "\(object.noun) \"\(name)\" keeps no rows whose changes could be followed")
        }
        return object
    }

    /// From now on the relation's changes are kept; answers what it has now, and as of when.
    private func follow(_ object: CatalogObject) -> (tick: UInt64, snapshot: StoreSnapshot) {
        database.visible.locked { content in
            database.hub.follow(object.id, from: content.tick)
            return (content.tick, content.stores[object.id]?.snapshot() ?? StoreSnapshot([]))
        }
    }

    /// Where to go on behind a tick that the client has seen.
    private func checkKept(_ object: CatalogObject, since tick: UInt64) throws(SQLError) {
        do throws(SQLError) {
            _ = try database.hub.changes(object.id, after: tick)
        } catch {
            database.hub.unfollow(object.id)
            throw error
        }
    }

    func subscribe(_ statement: SubscribeStatement) throws(SQLError) -> SQLOutcome {
        let object = try followed(statement.relation)
        let (tick, snapshot) = follow(object)
        var start = tick
        if let since = statement.since {
            start = UInt64(clamping: since)
            try checkKept(object, since: start)
        }
        let cursor = ChangeCursor(
            database, object.id, object.fields, snapshot: statement.hasSnapshot && statement.since == nil ? snapshot : nil, from: start,
            hasProgress: statement.hasProgress, limits: limits)
        return .copyOut(CopyFormat(), cursor)
    }

    // MARK: Cursors

    private static let changeFields = [Field(name: "op", type: .text), Field(name: "tick", type: .bigint)]

    func declare(_ cursor: SubscriptionCursor) throws(SQLError) -> SQLOutcome {
        if places[cursor.name] != nil || cursors[cursor.name] != nil {
            throw SQLError(SQLState("42P03"), "cursor \"\(cursor.name)\" already exists")
        }
        let name: String
        if let subscription = cursor.subscription {
            guard let found = boundCatalog().subscriptions[subscription] else {
                throw SQLError(.undefinedObject, "subscription \"\(subscription)\" does not exist")
            }
            name = found.relation
        } else {
            name = cursor.relation ?? ""
        }
        let object = try followed(name)
        let (tick, snapshot) = follow(object)
        var place = SubscriptionPlace(
            relation: object.id, fields: object.fields + DatabaseSession.changeFields, waiting: [], position: tick)
        switch cursor.start {
        case .now: break
        case .full: place.waiting = snapshot.batches.map { DatabaseSession.changed($0, tick) }
        case .begin: place.position = database.hub.oldest(object.id) ?? tick
        case .time(let micros): place.position = try tickBefore(micros, object)
        }
        places[cursor.name] = place
        return .done(tag: "DECLARE SUBSCRIPTION CURSOR")
    }

    /// The last tick that was visible before an instant.
    private func tickBefore(_ micros: Int64, _ object: CatalogObject) throws(SQLError) -> UInt64 {
        let oldest = database.hub.oldest(object.id) ?? 0
        let (changes, through) = try database.hub.changes(object.id, after: oldest)
        guard let first = changes.first(where: { $0.micros >= micros }) else { return through }
        return max(oldest, first.tick - 1)
    }

    private static func changed(_ batch: Batch, _ tick: UInt64) -> Batch {
        let operations = Column(.text, capacity: batch.count)
        for row in 0..<batch.count { operations.append(.text((batch.weights?.int64s[row] ?? 1) < 0 ? "Delete" : "Insert")) }
        let ticks = Column.constant(.bigint(Int64(clamping: tick)), type: .bigint, count: batch.count)
        return Batch(count: batch.count, columns: batch.columns + [operations, ticks])
    }

    /// The next changes: as many as are asked for and there, waiting for the first one for as long as the statement says.
    func fetchChanges(_ fetch: FetchStatement) throws(SQLError) -> SQLOutcome {
        guard var place = places[fetch.cursor] else { return .done(tag: "FETCH 0") }
        let wanted: Int
        switch fetch.direction {
        case .forward(let number): wanted = Int(clamping: max(number ?? .max, 0))
        case .relative(1): wanted = 1
        default: throw SQLError(.featureNotSupported, "a subscription's cursor only goes forward")
        }
        let clock = database.surroundings.clock
        let (nanos, overflow) = (fetch.timeout ?? 0).multipliedReportingOverflow(by: 1000)
        let deadline = overflow ? Int64.max : clock.monotonicNanos().addingReportingOverflow(nanos).partialValue
        while place.waiting.isEmpty {
            try limits.check()
            let ticket = signal.ticket
            let (changes, through) = try database.hub.changes(place.relation, after: place.position)
            place.waiting = changes.map { DatabaseSession.changed($0.batch, $0.tick) }
            place.position = max(place.position, through)
            if !place.waiting.isEmpty { break }
            let left = deadline - clock.monotonicNanos()
            if fetch.timeout == nil || left <= 0 { break }
            let signal = signal
            database.hub.whenMoved(place.relation, beyond: place.position) { signal.notify() }
            signal.wait(after: ticket, timeoutNanos: left)
        }
        var given: [Batch] = []
        var left = wanted
        while left > 0, let first = place.waiting.first {
            given.append(first.slice(0, min(left, first.count)))
            if first.count > left { place.waiting[0] = first.slice(left, first.count - left) } else { place.waiting.removeFirst() }
            left -= given[given.count - 1].count
        }
        places[fetch.cursor] = place
        if fetch.isMove { return .done(tag: "MOVE \(given.reduce(0) { $0 + $1.count })") }
        return .rows(BatchCursor(place.fields, given) { "FETCH \($0)" })
    }
}
