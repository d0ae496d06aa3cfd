internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// Units whose saved state this program cannot use, since it runs the same statements by another plan than the one that saved
/// it (docs/decisions/0015-state-of-another-plan.md). Such a unit takes in again what it had taken in: its sources from where
/// they began up to where they stand, the rows of the relations that it reads. That is all of it between two ticks, before
/// anything is replayed: then it stands where it stood, and goes on as if nothing had been.
///
/// What it says meanwhile was said before: rows for sinks, tables and late tables are dropped. Of its views the rows that it
/// comes to take the place of the saved ones, where they are others; who follows such a view is told to begin anew.
extension Database {
    /// What comes of it, while units are brought back in order.
    struct Rebuilding {
        var stores: [RelationID: RelationStore]
        /// Views that have other rows than were saved.
        var changed: Set<RelationID> = []
    }

    /// A start that takes long says how far it is this often.
    private static let tellNanos: Int64 = 5_000_000_000

    func rebuild(_ unit: RunningUnit, as saved: SavedCircuit, because reason: String, _ rebuilding: inout Rebuilding) throws(SQLError) {
        let names = names(of: unit)
        try checkRebuilding(unit, saved, names)
        let start = surroundings.clock.monotonicNanos()
        surroundings.logger?.warn("state is made anew from history", ["objects": .string(names), "because": .string(reason)])
        let histories = try histories(of: unit, names)
        let rows = unit.inputs.enumerated().map { input, relation in
            Database.taken(rebuilding.stores[relation]?.snapshot(), saved.pending[input])
        }
        try unit.takeInAgain(histories, rows: rows, watermarks: unit.inputs.map { watermark(of: $0) })
        var made = Dictionary(uniqueKeysWithValues: unit.views.map { id, _ in (id, emptied(rebuilding.stores[id])) })
        var told = start
        var isQuiet = false
        while !isQuiet {
            let isTakingIn = unit.hasMoreToTakeIn
            let step = try unit.takeInPiece(sources, at: saved.clock)
            keepViews(of: unit, step, &made)
            // Windows that close behind the last rows, and what they set off, take some ticks more.
            isQuiet = !isTakingIn && step.record == nil
            let now = surroundings.clock.monotonicNanos()
            if now - told >= Database.tellNanos {
                told = now
                surroundings.logger?.info("state is being made anew", ["objects": .string(names), "percent": .int(percent(unit))])
            }
        }
        try checkKept(unit, names)
        unit.goOn(as: saved)
        let changed = replace(made, &rebuilding)
        surroundings.logger?.info(
            "state was made anew",
            [
                "objects": .string(names), "seconds": .double(Double(surroundings.clock.monotonicNanos() - start) * 1e-9),
                "views_with_other_rows": .string(changed.compactMap { catalog.objects[$0]?.name }.joined(separator: ", ")),
            ])
    }

    // MARK: Whether it can be

    private func names(of unit: RunningUnit) -> String {
        unit.objects.compactMap { catalog.objects[$0]?.name }.map { "\"\($0)\"" }.joined(separator: ", ")
    }

    /// The state was saved before states had sections: what is behind a unit's cannot be found without reading that.
    func cannotPassOver(_ unit: RunningUnit, _ reason: String) -> SQLError {
        Database.cannotRebuild(names(of: unit), "\(reason), and the version that saved it did not mark what lies behind it", Database.waysOut)
    }

    private func checkRebuilding(_ unit: RunningUnit, _ saved: SavedCircuit, _ names: String) throws(SQLError) {
        var objection: String?
        if unit.isNewcomer { objection = "was still being filled" }
        // What it knew of its inputs, and had not acted on, is not among what is saved of it.
        if unit.isPaused, !unit.inputs.isEmpty { objection = "was paused while others went on" }
        if saved.pending.count != unit.inputs.count || (saved.pending.contains { !$0.isEmpty } && unit.inputs.count > 1) {
            objection = "had rows on their way that cannot be told apart"
        }
        if let table = unit.inputs.first(where: { tables[$0]?.store.expiry != nil && tables[$0]?.newestEventTime != nil }) {
            objection = "reads \"\(catalog.objects[table]?.name ?? "")\", which has forgotten rows (WITH TTL)"
        }
        guard let objection else { return }
        throw Database.cannotRebuild(names, "it \(objection)", "Start the version that wrote the state, let it run until that is over, and stop it.")
    }

    /// Readers of all that the unit's sources had, as of their beginning.
    private func histories(
        of unit: RunningUnit, _ names: String
    ) throws(SQLError) -> [(source: RelationID, readers: [any SourcePartition], judged: [Int])] {
        try checkKept(unit, names)
        var histories: [(source: RelationID, readers: [any SourcePartition], judged: [Int])] = []
        for source in unit.sources {
            guard let shared = sources[source.id] else { continue }
            let count = source.asideSince?.count ?? shared.partitions.count
            guard let readers = try shared.history(source.columns, partitions: 0..<count) else {
                throw Database.cannotRebuild(names, "source \"\(shared.name)\" cannot be read again", Database.waysOut)
            }
            // A unit that was made later began where such a source was then, which nobody noted.
            if surroundings.connectors.beginsAtTheEnd(shared.definition), catalog.objects[source.id]?.unit != unit.id {
                throw Database.cannotRebuild(
                    names, "it began with what source \"\(shared.name)\" got after it was made, and where that was is not kept", Database.waysOut)
            }
            histories.append((source.id, readers, shared.columns))
        }
        return histories
    }

    private func checkKept(_ unit: RunningUnit, _ names: String) throws(SQLError) {
        for source in unit.sources {
            guard let shared = sources[source.id], !shared.keepsHistory else { continue }
            throw Database.cannotRebuild(names, "source \"\(shared.name)\" has not kept its history", Database.waysOut)
        }
    }

    private static let waysOut =
        "Start the version that wrote the state, drop what cannot be made anew, stop it, start this one, and create it again; or begin anew, without the state (--reset)."

    private static func cannotRebuild(_ names: String, _ reason: String, _ hint: String) -> SQLError {
        SQLError(SQLState("55000"), "the state of \(names) is of another plan than this version's, and cannot be made anew: \(reason)", hint: hint)
    }

    // MARK: Rows

    /// The rows of an input that a unit has taken in: those that are there, without those on their way to it.
    private static func taken(_ snapshot: StoreSnapshot?, _ pending: [Batch]) -> [Batch] {
        guard let snapshot else { return [] }
        let rows = snapshot.batches
        guard !pending.isEmpty else { return rows }
        let withdrawn = pending.map { batch in
            var negative = batch.weighted(-1)
            if let weights = batch.weights {
                negative.weights = Column(.bigint, (0..<batch.count).map { .bigint(0 &- weights.int64s[$0]) })
            }
            return negative
        }
        guard var net = Consolidation.net(rows + withdrawn).map({ Consolidation.repeated($0) }) else { return [] }
        // An input that only grows has rows without weights.
        if let weights = net.weights, !(0..<net.count).contains(where: { weights.int64s[$0] < 0 }) { net.weights = nil }
        return [net]
    }

    private func emptied(_ store: RelationStore?) -> RelationStore? { store.map { RelationStore(types: $0.types, lookup: $0.lookup) } }

    /// The rows of views are kept; everything else that a step says is dropped.
    private func keepViews(of unit: RunningUnit, _ step: TickStep, _ made: inout [RelationID: RelationStore?]) {
        for (_, part) in step.output.parts { step.output.pool?.give(part.bytes) }
        for (id, tap) in unit.views { for batch in tap.take() { made[id]??.apply(batch) } }
        for (_, tap) in unit.feeds { _ = tap.take() }
    }

    /// Puts what was made in the place of what was saved where it is not the same. Answers which views these are.
    private func replace(_ made: [RelationID: RelationStore?], _ rebuilding: inout Rebuilding) -> [RelationID] {
        var changed: [RelationID] = []
        for (id, store) in made.sorted(by: { $0.key < $1.key }) {
            guard let store, let saved = rebuilding.stores[id] else { continue }
            let difference = Consolidation.net(saved.snapshot().batches + store.snapshot().batches.map { $0.weighted(-1) })
            guard difference != nil else { continue }
            rebuilding.stores[id] = store
            changed.append(id)
        }
        rebuilding.changed.formUnion(changed)
        remade.formUnion(changed)
        return changed
    }

    /// Of what is to be read and taken in, about how much was.
    private func percent(_ unit: RunningUnit) -> Int64 {
        guard let (done, total) = filling(of: unit), total > 0 else { return 100 }
        return Int64(Double(done) / Double(total) * 100)
    }
}
