internal import MartletColumns
internal import MartletCore
internal import MartletSQL
internal import Synchronization

/// FOR SYSTEM_TIME AS OF: rows as they were, which is the rows there are without what was done to them since.
extension DatabaseSession {
    /// Relations as they were, by the names that a plan has for them: after the last tick whose time is not later. A transaction's
    /// own changes and the tick that it sees have nothing to do with it.
    ///
    /// Takes time by the rows that there are and by what has changed since.
    func past(_ reads: [PastRelation]) throws(SQLError) -> [String: StoreSnapshot] {
        if reads.isEmpty { return [:] }
        let now = database.surroundings.clock.wallMicros()
        let catalog = boundCatalog()
        var found: [(name: String, micros: Int64, object: CatalogObject)] = []
        for read in reads {
            guard let micros = read.micros else {
                throw SQLError(.nullValueNotAllowed, "the time of FOR SYSTEM_TIME AS OF must not be NULL")
            }
            guard micros <= now else {
                throw SQLError(
                    .invalidParameterValue, "\"\(read.relation)\" as of \(shown(micros)) is not known yet", hint: "It is \(shown(now)) now.")
            }
            guard let object = catalog[read.relation] else { throw DatabaseSession.unknown(read.relation) }
            if object.isComing { throw DatabaseSession.coming(object) }
            found.append((read.name, micros, object))
        }
        try awaitStamped()
        let view = database.read(found.map(\.object.id))
        var result: [String: StoreSnapshot] = [:]
        for (name, micros, object) in found { result[name] = try rows(of: object, asOf: micros, view, now: now) }
        return result
    }

    /// A tick may have a time already and not be durable yet. Read before it is, its time would have other rows later.
    private func awaitStamped() throws(SQLError) {
        let tick = database.stamped.load(ordering: .sequentiallyConsistent)
        while database.visible.tick < tick {
            try limits.check()
            // Nobody tells of ticks that become visible without followers; a commit takes about so long.
            signal.wait(after: signal.ticket, timeoutNanos: 500_000)
        }
    }

    private func rows(of object: CatalogObject, asOf micros: Int64, _ view: ReadView, now: Int64) throws(SQLError) -> StoreSnapshot {
        guard let current = view.catalog.objects[object.id], let snapshot = view.snapshots[object.id] else {
            throw DatabaseSession.unknown(object.name)
        }
        guard current.fields == object.fields else { throw ChangeHub.reshaped(at: view.tick) }
        guard let retention = view.catalog.retentions[object.id] else { throw notKept(object) }
        let earliest = now - retention
        guard micros >= earliest else {
            throw tooEarly(object, micros, since: max(earliest, try database.hub.beginning(object.id) ?? earliest))
        }
        var undone = UndoneChanges(limits)
        let later = try database.hub.later(than: micros, object.id, through: view.tick, fields: object.fields, &undone)
        if case .missing(let since) = later { throw tooEarly(object, micros, since: since) }
        return undone.over(snapshot)
    }

    private func shown(_ micros: Int64) -> String { Value.timestamptz(micros).text(in: evaluation.zone) }

    private func tooEarly(_ object: CatalogObject, _ micros: Int64, since: Int64?) -> SQLError {
        SQLError(
            .invalidParameterValue, "\(object.noun) \"\(object.name)\" as of \(shown(micros)) is not kept",
            hint: since.map { "It can be read as of \(shown($0)) and later, since when its changes are kept, of rows with the columns of now." }
                ?? "Ask for a later time.")
    }

    private func notKept(_ object: CatalogObject) -> SQLError {
        let (kind, option) = (object.noun.uppercased(), "(retention_seconds = 3600)")
        return SQLError(
            SQLState("55000"), "the past of \(object.noun) \"\(object.name)\" is not kept",
            hint: "CREATE \(kind) … WITH \(option) keeps it; ALTER \(kind) \(object.name) SET \(option) does from then on.")
    }
}

/// What ticks did to a relation, to be taken back: rows that came go, rows that went come. Columns are those of the rows added
/// last.
struct UndoneChanges {
    private var changes = TableChanges()
    private var bytes = 0
    private let limits: StatementLimits

    init(_ limits: StatementLimits) { self.limits = limits }

    mutating func add(_ batch: Batch) throws(SQLError) {
        try limits.check()
        bytes += batch.memoryBytes
        if bytes > limits.memoryMax { throw StatementLimits.outOfMemory(limits.memoryMax) }
        guard let weights = batch.weights else { return changes.remove(batch) }
        let (came, went) = ((0..<batch.count).filter { weights.int64s[$0] > 0 }, (0..<batch.count).filter { weights.int64s[$0] < 0 })
        if !came.isEmpty { changes.remove(batch.rows(came)) }
        if !went.isEmpty { changes.insert(batch.rows(went)) }
    }

    /// The relation's rows got other columns then: those that came and went before have them too.
    mutating func reshape(_ steps: [ColumnStep]) {
        let (removed, inserted) = changes.net
        changes = TableChanges()
        for batch in removed { changes.remove(steps.reduce(batch) { $1.applied(to: $0) }) }
        for batch in inserted { changes.insert(steps.reduce(batch) { $1.applied(to: $0) }) }
    }

    func over(_ snapshot: StoreSnapshot) -> StoreSnapshot { changes.over(snapshot) }
}
