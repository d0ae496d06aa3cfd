internal import MartletColumns
package import MartletCore
package import MartletDataflow
internal import MartletSQL
internal import MartletState
internal import Synchronization

/// What a database stands on.
package struct DatabaseSurroundings: @unchecked Sendable {
    // Sendable: connectors and executor are used by the driver's thread only.
    package var clock: any Clock
    /// For the driver's thread: sources and sinks of units.
    package var connectors: any ConnectorProvider
    /// Runs the shards of units, one unit at a time.
    package var executor: any ShardExecutor
    package var makeSignal: @Sendable () -> any WaitSignal
    /// Tells the driver that something waits.
    package var wake: @Sendable () -> Void
    /// For a session's thread: sources read to their end as of now.
    package var makeReaders: @Sendable () -> any ConnectorProvider
    /// For a session's thread: what takes long leaves the processor to ticks from now on, until the statement's end.
    package var yield: @Sendable () -> Void = {}
    /// What becomes of ticks once they are carried out. Any thread.
    package var driverStanding: @Sendable () -> DriverStanding = { DriverStanding() }
    /// For `gen_random_uuid()` and the like; nil: they are refused. Any thread.
    package var entropy: (any Entropy)?
    /// Where changes are kept that subscriptions ask for; nil: in memory, for as long as the database runs.
    package var changes: ChangeTopics?
    /// For what operators of the process have to know; nil: nobody reads it.
    package var logger: StructuredLog?

    package init(
        clock: any Clock, connectors: any ConnectorProvider, executor: any ShardExecutor,
        makeSignal: @escaping @Sendable () -> any WaitSignal, wake: @escaping @Sendable () -> Void,
        makeReaders: @escaping @Sendable () -> any ConnectorProvider, changes: ChangeTopics? = nil
    ) {
        self.clock = clock
        self.connectors = connectors
        self.executor = executor
        self.makeSignal = makeSignal
        self.wake = wake
        self.makeReaders = makeReaders
        self.changes = changes
    }
}

/// Tables, views over them and over sources, and sinks, that sessions define, change and ask: a machine whose ticks make
/// everything that happened within them visible at once.
///
/// One thread drives it (`step`); sessions (`Database+Service`) put requests into a queue and read what is durable
/// (`VisibleState`). In a tick: requests enter — writes are judged against the tables as they are then, definitions are
/// carried out —, sources are read, units step in the order of their making, each fed with what the tick changed in what it
/// reads. What changed becomes visible, and requests are answered, when the tick is durable (`committed`).
package final class Database: TickMachine, @unchecked Sendable {
    // Sendable: `queue`, `visible` and `pending` have locks; the rest belongs to the driver's thread.
    package private(set) var tick: UInt64 = 0
    package internal(set) var targets: [any SinkTarget] = []
    let surroundings: DatabaseSurroundings
    let options: PipelineOptions
    let queue = RequestQueue()
    let visible = VisibleState()
    let hub: ChangeHub
    let observer = Observer()
    let ledger = Ledger()
    let identities = Identities()

    /// As of the last tick, durable or not.
    var catalog = DatabaseCatalog()
    var tables: [RelationID: TableState] = [:]
    /// What units read from outside, by the relation of the source or table.
    var sources: [RelationID: SharedSource] = [:]
    /// In the order of their making, so that each comes after those it reads.
    var units: [RunningUnit] = []
    var nextUnit: UInt32 = 1
    /// Every text that defined something, in order: what the catalog is made from again.
    var definitions: [DefinitionText] = []
    /// What feeds made in the last tick, by table: enters with the next.
    var carried: [RelationID: [Batch]] = [:]
    /// Those who wait until what they defined is filled. Driver's thread.
    var creations: [Creation] = []
    /// Some relation cannot be read yet.
    var hasComing = false
    /// Relations whose changes are written with each tick.
    var kept: [RelationID: KeptChanges] = [:]
    var hasOpenedChanges = false
    /// The last tick whose changes were given a time to be kept with; it may not be durable yet. Any thread.
    let stamped = Atomic<UInt64>(0)
    /// That time, microseconds since 1970.
    var lastStamp = Int64.min
    /// The last tick since which a topic of changes is wanted no more; nil: all of them are.
    var unwanted: UInt64?
    /// Views whose rows a start made anew, and otherwise: what was told of them before does not lead to what they have now.
    /// Until the first tick that is no replay.
    var remade: Set<RelationID> = []
    /// Answered once nothing is carried any more.
    private var flushes: [Ticket] = []
    private let pending = Mutex(Pending())

    /// Ticks that are not durable yet, and the last that is.
    private struct Pending: Sendable {
        var ticks: [PendingTick] = []
        var durable: UInt64 = 0

        /// A relation as of the last tick: the store that a tick which is not durable yet has given it (nil: it has the readers'),
        /// and behind its rows what ticks did to them.
        func newest(_ relation: RelationID) -> (store: RelationStore?, later: [Batch]) {
            let from = ticks.lastIndex { $0.stores[relation] != nil }
            let later = ticks[(from ?? 0)...].flatMap { $0.changes.lazy.filter { $0.relation == relation }.map(\.batch) }
            return (from.flatMap { ticks[$0].stores[relation] }, later)
        }
    }

    package init(_ options: PipelineOptions, _ surroundings: DatabaseSurroundings) {
        self.options = options
        self.surroundings = surroundings
        hub = ChangeHub(clock: surroundings.clock, topics: surroundings.changes)
    }

    /// What a tick did, until it is durable.
    struct PendingTick: @unchecked Sendable {
        // Sendable: the driver lets go of the stores when it hands them over.
        var tick: UInt64
        var changes: [(relation: RelationID, batch: Batch)] = []
        /// Made by the tick: nil in readers' state until then.
        var catalog: DatabaseCatalog?
        var stores: [RelationID: RelationStore] = [:]
        var answers: [(Ticket, Verdict)] = []
    }

    /// A tick being carried out.
    struct Work {
        var tick: UInt64
        var changes: [RelationID: [Batch]] = [:]
        /// What tables forgot, which nobody but those who read the tables themselves is told.
        var expired: [RelationID: Batch] = [:]
        /// As they happened, for the record.
        var events: [DatabaseRecord.Event] = []
        var answers: [(Ticket, Verdict)] = []
        var catalogChanged = false
        var isReplay = false
        var stores: [RelationID: RelationStore] = [:]
    }

    /// Whether a tick has something to do at once.
    package var hasWork: Bool { !queue.isEmpty || !carried.isEmpty }

    package var mustStep: Bool { queue.hasDefinition }

    /// Carries out definitions and waits until they are durable. Any thread but the driver's. `isRepeatable`: what is
    /// defined already stays as it is, and must not be defined otherwise.
    package func define(_ text: String, isRepeatable: Bool) throws(SQLError) -> [String] {
        let ticket = Ticket(surroundings.makeSignal())
        var definition = DefinitionText(text: text, searchPath: [CatalogNames.defaultSchema])
        definition.isRepeatable = isRepeatable
        queue.put(.define(definition), ticket)
        surroundings.wake()
        switch ticket.wait() {
        case .done(let answer)?: return answer.notices
        case .refused(let error)?: throw error
        case .conflict?, nil: throw SQLError(.internalError, "a request without an answer")
        }
    }

    /// Ticks so far, and whether the sources of all units are at their end. Any thread; as of the last tick.
    package var progress: (ticks: UInt64, isFinished: Bool) { told.withLock { $0 } }

    private let told = Mutex<(ticks: UInt64, isFinished: Bool)>((0, false))

    /// Ends the driver's wait. Any thread.
    package func wake() { surroundings.wake() }

    /// Nothing more is carried out: who asks from now on, or waits for the next tick, is told so.
    package func close() {
        let stopping = SQLError(SQLState("57P01"), "the server is stopping")
        queue.close(stopping)
        for creation in creations { creation.ticket.answer(.refused(stopping)) }
        creations = []
    }

    /// Units that have failed since last asked. Driver's thread.
    package func takeFailures() -> [SQLError] {
        sources.values.sorted { $0.id < $1.id }.compactMap { $0.takeFailure() } + units.compactMap { $0.takeFailure() }
    }

    // MARK: A tick

    package func step(replaying record: [UInt8]?) throws(SQLError) -> TickStep {
        giveObservation()
        var work = Work(tick: tick + 1)
        var replayed: DatabaseRecord?
        var isCut = false
        if let record {
            let decoded = try DatabaseRecord(decoding: record)
            replayed = decoded
            work.isReplay = true
            // Statements look at what is to be seen.
            if !decoded.events.isEmpty { committed(through: tick) }
            for event in decoded.events { try replay(event, &work) }
            if !decoded.leavesCarried { carried = [:] }
        } else {
            isCut = try resumeChanges()
            // Readers are to see that the tick has been.
            work.catalogChanged = isCut
            try closeChanges()
            let requests = queue.take()
            // Whoever gives a table another form takes its rows as they were before the tick, in which nothing else changes them.
            let mayReshape = requests.contains { if case .define = $0.0 { true } else { false } }
            if !mayReshape {
                expire(&work)
                enterCarried(&work)
            }
            for (request, ticket) in requests { carryOut(request, ticket, &work) }
            // What was refused has given nothing another form.
            if mayReshape, work.events.isEmpty { enterCarried(&work) }
            // Whoever drew a number for a row that has just entered did so before.
            if !work.changes.isEmpty { keepNumbers(&work) }
        }
        var done = try stepUnits(&work, replayed)
        for (table, batch) in work.expired { work.changes[table, default: []].insert(batch, at: 0) }
        settleCreations(&work)
        if carried.isEmpty {
            work.answers += flushes.map { ($0, .done(Answer(tick: work.tick))) }
            flushes = []
        }
        let needsCommit = done.moved || isCut || !work.events.isEmpty
        // A tick without a record has not been: answers alone go with the one before it.
        if needsCommit || replayed != nil { tick = work.tick }
        if needsCommit, replayed == nil { keepChanges(work, into: &done.output) }
        finish(&work, isReplay: replayed != nil)
        let standing = (ticks: tick, isFinished: done.isAtEnd && units.allSatisfy(\.isSettled))
        told.withLock { $0 = standing }
        let report = TickReport(tick: tick, madeProgress: needsCommit, isFinished: false, deadLetters: [], lateRows: [])
        let encoded = needsCommit && replayed == nil ? DatabaseRecord(events: work.events, sources: done.sourceRecords, units: done.records).encoded() : record
        return TickStep(report: report, record: encoded, output: done.output)
    }

    private func carryOut(_ request: Request, _ ticket: Ticket, _ work: inout Work) {
        switch request {
        case .flush: flushes.append(ticket)
        case .keepNumbers:
            keepNumbers(&work)
            work.answers.append((ticket, .done(Answer(tick: work.tick))))
        case .abandon(let abandoned): work.answers.append((ticket, .done(abandon(abandoned, &work))))
        case .write(let writes): work.answers.append((ticket, enter(writes, &work)))
        case .define(let text):
            do throws(SQLError) {
                let answer = try define(text, &work, isNew: true)
                work.events.append(.define(text))
                keepNumbers(&work)
                if let unit = units.last, unit.backfill != nil, unit.isNew, !text.isRepeatable, !text.isBackground {
                    creations.append(Creation(unit: unit.id, ticket: ticket, answer: answer))
                } else {
                    work.answers.append((ticket, .done(answer)))
                }
            } catch {
                work.answers.append((ticket, .refused(error)))
            }
        }
    }

    private func keepNumbers(_ work: inout Work) {
        work.events += identities.takeMoved().map { .drawn($0.table, last: $0.last) }
    }

    /// What feeds made in the tick before.
    private func enterCarried(_ work: inout Work) {
        let entering = carried
        carried = [:]
        for (relation, batches) in entering.sorted(by: { $0.key < $1.key }) {
            guard let table = tables[relation] else { continue }
            for batch in batches {
                let write = visible.locked { content in
                    table.prune(through: content.tick)
                    return table.merged(batch)
                }
                _ = enter([write], &work)
            }
        }
    }

    /// All writes of a transaction, or none.
    private func enter(_ writes: [TableWrite], _ work: inout Work) -> Verdict {
        var staged: [(TableState, TableState.Staged)] = []
        let refusal: Verdict? = visible.locked { content in
            for write in writes {
                guard let table = tables[write.table] else { return .conflict(tick: work.tick - 1) }
                // Rows of another form, or judged by other conditions.
                if let form = write.form, form != catalog.objects[write.table]?.form { return .conflict(tick: work.tick) }
                table.prune(through: content.tick)
                switch table.stage(write) {
                case (let judged?, _): staged.append((table, judged))
                case (nil, .duplicate(let batch, let row, let key)?): return .refused(duplicateKey(table, batch, row, key))
                case (nil, _): return .conflict(tick: work.tick)
                }
            }
            return nil
        }
        if let refusal { return refusal }
        for (table, judged) in staged {
            table.enter(judged, tick: work.tick)
            for batch in judged.changes(together: table.isJudgedByKey) { work.changes[table.id, default: []].append(batch) }
        }
        return .done(Answer(tick: work.tick))
    }

    private func duplicateKey(_ table: TableState, _ batch: Batch, _ row: Int, _ columns: [Int]) -> SQLError {
        guard let object = catalog.objects[table.id], let key = object.table?.uniqueKeys.first(where: { $0.columns == columns }) else {
            return SQLError(.uniqueViolation, "duplicate key value")
        }
        return .duplicate(key, object.fields, batch, row, options.evaluation)
    }

    /// What the units of a tick came to.
    struct UnitWork {
        var moved = false
        var records: [(unit: UInt32, bytes: [UInt8])] = []
        var sourceRecords: [(source: RelationID, bytes: [UInt8])] = []
        var output: TickOutput
        /// Late rows and dead letters, by their relations' names.
        var sideRows: [(name: String, batch: Batch)] = []
        /// No source that is read had anything left before the tick.
        var isAtEnd = true
    }

    /// Sources, then units in order; what tables changed is settled first, and enters the record.
    private func stepUnits(_ work: inout Work, _ replayed: DatabaseRecord?) throws(SQLError) -> UnitWork {
        settle(&work)
        var done = UnitWork(output: TickOutput(tick: work.tick, parts: []))
        try stepSources(&work, replayed, &done)
        for unit in units {
            for (ordinal, relation) in unit.inputs.enumerated() {
                for batch in work.changes[relation] ?? [] { unit.feed(ordinal, batch) }
                if let watermark = watermark(of: relation) { unit.setWatermark(ordinal, watermark) }
            }
            let record = replayed?.units.first { $0.unit == unit.id }?.bytes
            if replayed != nil, record == nil {
                unit.passOver()
                continue
            }
            timeFilling(of: unit)
            guard let step = unit.step(replaying: record) else { continue }
            done.moved = done.moved || step.record != nil
            if let bytes = step.record { done.records.append((unit.id, bytes)) }
            if unit.sources.isEmpty { note(step.report.deadLetters, of: unit) }
            done.output.pool = done.output.pool ?? step.output.pool
            for (target, part) in step.output.parts {
                if unit.isDropped(target: target) { step.output.pool?.give(part.bytes) } else {
                    done.output.parts.append((target + unit.firstTarget, part))
                }
            }
            for (view, tap) in unit.views {
                let batches = tap.take()
                if !batches.isEmpty { work.changes[view, default: []] += batches }
            }
            for (table, tap) in unit.feeds {
                // Records of a connector come in their own order, a key's all on one shard.
                let batches = unit.feedsOfSources.contains(table) ? tap.take() : TableState.ordered(tap.take())
                if !batches.isEmpty { carried[table, default: []] += batches.map { filled($0, for: table) } }
            }
            try keepRefused(by: unit, step.report, &work, &done)
        }
        finishSources(&work, done)
        return done
    }

    /// Reasons of dead letters that no source's record made, for those who ask.
    private func note(_ letters: [DeadLetter], of unit: RunningUnit) {
        guard !letters.isEmpty else { return }
        let views = unit.viewNames(catalog)
        ledger.refused(
            letters.map { letter in
                (letter.view.map { views[$0] } ?? "", letter.reasonCode, letter.reason)
            }, at: surroundings.clock.wallMicros())
    }

    /// How far a relation is: a table by its rows, a view by what its unit has promised.
    func watermark(of relation: RelationID) -> Watermark? {
        if let table = tables[relation] { return table.currentWatermark }
        for unit in units {
            if let view = unit.views.first(where: { $0.id == relation }) { return unit.pipeline.watermark(of: view.tap) }
        }
        return nil
    }

    /// What the tick's statements come to, one batch a table. Where event time counts, each statement's rows stay by
    /// themselves: they are judged by what came before it.
    private func settle(_ work: inout Work) {
        for relation in work.changes.keys.sorted() {
            guard let table = tables[relation] else { continue }
            if table.watermark != nil {
                for batch in work.changes[relation] ?? [] { work.events.append(.change(relation, batch)) }
                work.changes[relation] = work.changes[relation]?.map { table.stamped($0) }
                continue
            }
            let net = Consolidation.net(work.changes[relation] ?? []).map { Consolidation.repeated($0) }
            work.changes[relation] = net.map { [$0] } ?? []
            if let net { work.events.append(.change(relation, net)) }
        }
    }

    private func replay(_ event: DatabaseRecord.Event, _ work: inout Work) throws(SQLError) {
        switch event {
        case .define(let text): _ = try define(text, &work)
        case .starts(let source, let starts): try sources[source]?.begin(at: starts)
        case .drawn(let table, let last): identities.set(table, last: last)
        case .expired(let table, let limit): expireAgain(table, before: limit, &work)
        case .change(let relation, let batch): work.changes[relation, default: []].append(batch)
        case .encodedChange(let relation, let bytes):
            guard let object = catalog.objects[relation] else {
                throw SQLError(.dataCorrupted, "a damaged tick record: it changes a table that is not there")
            }
            do throws(ByteError) {
                let batch = try ByteReader.over(bytes) { (reader) throws(ByteError) in
                    try BatchCodec.decode(&reader, types: object.fields.map(\.type))
                }
                work.changes[relation, default: []].append(batch)
            } catch {
                throw SQLError(.dataCorrupted, "a damaged tick record: \(error)")
            }
        }
    }

    private func finish(_ work: inout Work, isReplay: Bool) {
        var done = PendingTick(tick: tick)
        for relation in work.changes.keys.sorted() where catalog.objects[relation] != nil {
            for batch in work.changes[relation] ?? [] { done.changes.append((relation, batch)) }
        }
        done.catalog = work.catalogChanged ? catalog : nil
        done.stores = work.stores
        done.answers = work.answers
        // What is replayed was durable before, and is shown by whoever delivers, beside the next tick; here where that lags behind.
        defer { if isReplay, work.catalogChanged || pending.withLock({ $0.ticks.count }) > Database.unshownMax { committed(through: tick) } }
        guard !done.changes.isEmpty || done.catalog != nil || !done.answers.isEmpty else { return }
        let isDurable = pending.withLock { pending in
            // Answers alone hang on nothing but the ticks before.
            let isDurable = done.changes.isEmpty && done.catalog == nil && pending.durable >= tick
            if !isDurable { pending.ticks.append(done) }
            return isDurable
        }
        if isDurable { for (ticket, verdict) in done.answers { ticket.answer(verdict) } }
    }

    // MARK: What is durable

    /// Replayed ticks that wait to be shown.
    private static let unshownMax = 64

    package func committed(through tick: UInt64) {
        // One lock over taking and applying: whoever adds pending changes to a snapshot must see each once.
        let answers = pending.withLock { pending in
            let done = pending.ticks.prefix { $0.tick <= tick }
            if !done.isEmpty { show(done) }
            pending.ticks.removeFirst(done.count)
            pending.durable = max(pending.durable, tick)
            return done.flatMap(\.answers)
        }
        for (ticket, verdict) in answers { ticket.answer(verdict) }
    }

    private func show(_ done: ArraySlice<PendingTick>) {
        let now = surroundings.clock.wallMicros()
        visible.locked { content in
            for tick in done {
                if let catalog = tick.catalog {
                    content.catalog = catalog
                    content.stores.merge(tick.stores) { $1 }
                    content.stores = content.stores.filter { catalog.objects[$0.key] != nil }
                }
                for (relation, batch) in tick.changes { content.stores[relation]?.apply(batch) }
                content.tick = tick.tick
                ledger.committed(
                    tick.tick, now, rows: tick.changes.reduce(0) { $0 + $1.batch.count }, relations: tick.changes.count)
                if let catalog = tick.catalog { hub.retain(catalog, from: tick.tick) }
                hub.publish(tick.changes, tick: tick.tick, catalog: tick.catalog)
            }
        }
    }

    /// The earliest time among the rows that ticks which are not durable yet put into a table.
    func earliestPending(_ table: RelationID, column: Int) -> Int64 {
        pending.withLock { pending in
            var earliest = Int64.max
            for batch in pending.newest(table).later {
                let times = batch.columns[column]
                for row in 0..<batch.count where !times.isNull(row) && (batch.weights?.int64s[row] ?? 1) > 0 {
                    earliest = min(earliest, times.int64s[row])
                }
            }
            return earliest
        }
    }

    /// The rows of a relation as of this tick's beginning: those of its store, then what ticks since have changed.
    func current(_ relation: RelationID) -> [Batch] {
        pending.withLock { pending in
            let (store, later) = pending.newest(relation)
            let snapshot = store?.snapshot() ?? visible.locked { $0.stores[relation]?.snapshot() }
            return (snapshot?.batches ?? []) + later
        }
    }

    /// Rows that are durable and, behind them, what later ticks did to them, as of one moment.
    func allRows() -> [(relation: RelationID, snapshot: StoreSnapshot, later: [Batch])] {
        pending.withLock { pending in
            var snapshots = visible.locked { $0.stores.mapValues { $0.snapshot() } }
            // Relations that are new or have another form with a tick that is not durable yet.
            for tick in pending.ticks { for (relation, store) in tick.stores { snapshots[relation] = store.snapshot() } }
            return snapshots.sorted { $0.key < $1.key }.filter { catalog.objects[$0.key] != nil }.map { relation, snapshot in
                (relation, snapshot, pending.newest(relation).later)
            }
        }
    }

    func setTick(_ restored: UInt64) {
        tick = restored
        pending.withLock { $0.durable = restored }
    }
}

extension Batch {
    /// The same rows, all of one weight.
    func weighted(_ weight: Int64) -> Batch {
        var result = self
        result.weights = Column.constant(.bigint(weight), type: .bigint, count: count)
        return result
    }
}
