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

    /// What a follower begins with.
    private struct Beginning {
        var tick: UInt64
        /// As of that tick: it may have other columns since the statement was bound.
        var object: CatalogObject
        var snapshot: StoreSnapshot
    }

    /// From now on the relation's changes are kept.
    private func follow(_ name: String) throws(SQLError) -> Beginning {
        let bound = try followed(name)
        let beginning: Beginning? = database.visible.locked { content in
            guard let object = content.catalog.objects[bound.id] else { return nil }
            database.hub.follow(object.id, fields: object.fields, from: content.tick)
            return Beginning(tick: content.tick, object: object, snapshot: content.stores[object.id]?.snapshot() ?? StoreSnapshot([]))
        }
        guard let beginning else { throw DatabaseSession.unknown(name) }
        if beginning.object.isComing {
            unfollow(beginning.object.id)
            throw DatabaseSession.coming(beginning.object)
        }
        return beginning
    }

    /// Whether a client that has seen everything up to a tick can go on behind it.
    private func checkKept(_ object: CatalogObject, since tick: UInt64, now: UInt64) throws(SQLError) {
        do throws(SQLError) {
            guard tick <= now else {
                throw SQLError(
                    .configurationLimitExceeded, "there is no tick \(tick) yet: the last one is \(now)",
                    hint: "A database that began anew counts from 1 again; begin with a snapshot.")
            }
            let found = try database.hub.changes(object.id, after: tick, fields: object.fields)
            if found.changes.isEmpty, let end = found.end { throw end }
        } catch {
            unfollow(object.id)
            throw error
        }
    }

    func unfollow(_ relation: RelationID) { database.hub.unfollow(relation, ObjectIdentifier(self)) }

    func subscribe(_ statement: SubscribeStatement) throws(SQLError) -> SQLOutcome {
        let beginning = try follow(statement.relation)
        let object = beginning.object
        var start = beginning.tick
        if let since = statement.since {
            start = UInt64(clamping: since)
            try checkKept(object, since: start, now: beginning.tick)
        }
        let cursor = ChangeCursor(
            database, object.id, object.fields, snapshot: statement.hasSnapshot && statement.since == nil ? beginning.snapshot : nil, from: start,
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
        let beginning = try follow(name)
        let (tick, object) = (beginning.tick, beginning.object)
        var waiting: [Batch] = []
        var behind = tick
        do throws(SQLError) {
            switch cursor.start {
            case .now: break
            case .full: waiting = beginning.snapshot.batches.map { DatabaseSession.changed($0, tick) }
            case .begin: behind = try database.hub.oldest(object.id) ?? tick
            case .time(let micros): behind = try tickBefore(micros, object) ?? tick
            case .tick(let since): behind = UInt64(clamping: since)
            }
        } catch {
            unfollow(object.id)
            throw error
        }
        if behind != tick { try checkKept(object, since: behind, now: tick) }
        places[cursor.name] = SubscriptionPlace(
            place: ChangePlace(object.id, columns: object.fields, behind: behind), fields: object.fields + DatabaseSession.changeFields,
            waiting: waiting)
        return .done(tag: "DECLARE SUBSCRIPTION CURSOR")
    }

    /// The last tick that was visible before an instant; nil: nothing has come since.
    private func tickBefore(_ micros: Int64, _ object: CatalogObject) throws(SQLError) -> UInt64? {
        if let topics = database.surroundings.changes, let tick = try topics.tick(before: micros, object.id) { return tick }
        let oldest = try database.hub.oldest(object.id) ?? 0
        let found = try database.hub.changes(object.id, after: oldest, fields: object.fields)
        return found.changes.first { $0.micros >= micros }.map { max(oldest, $0.tick - 1) }
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
            place.waiting = try place.place.next(database.hub).map { DatabaseSession.changed($0.batch, $0.tick) }
            if !place.waiting.isEmpty { break }
            let left = deadline - clock.monotonicNanos()
            if fetch.timeout == nil || left <= 0 { break }
            let signal = signal
            database.hub.whenMoved(place.place.relation, beyond: place.place.tick, ObjectIdentifier(self)) { signal.notify() }
            signal.wait(after: ticket, timeoutNanos: left)
        }
        var given: [Batch] = []
        var left = wanted
        while left > 0 {
            // What the log has and what is in memory come one after the other.
            if place.waiting.isEmpty {
                do throws(SQLError) {
                    place.waiting = try place.place.next(database.hub).map { DatabaseSession.changed($0.batch, $0.tick) }
                } catch {
                    // What came before the end is given first.
                    if given.isEmpty { throw error }
                }
            }
            guard let first = place.waiting.first else { break }
            given.append(first.slice(0, min(left, first.count)))
            if first.count > left { place.waiting[0] = first.slice(left, first.count - left) } else { place.waiting.removeFirst() }
            left -= given[given.count - 1].count
        }
        places[fetch.cursor] = place
        if fetch.isMove { return .done(tag: "MOVE \(given.reduce(0) { $0 + $1.count })") }
        return .rows(BatchCursor(place.fields, given) { "FETCH \($0)" })
    }
}
