internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Changes that subscriptions keep: written with the ticks that make them. Driver's thread.
extension Database {
    /// Of one relation.
    struct KeptChanges {
        let target: ChangeTarget
        /// Among the database's targets.
        let ordinal: Int
        let retention: Int64
        /// The columns of what was written last; nil: nothing was.
        var fields: [Field]?
    }

    /// Opens the topics of what a catalog's subscriptions follow. Throws where one cannot be made, and nothing has changed.
    func openChanges(_ catalog: DatabaseCatalog) throws(SQLError) {
        guard let topics = surroundings.changes else { return }
        for (relation, retention) in catalog.retentions.sorted(by: { $0.key < $1.key }) where kept[relation]?.retention != retention {
            let (topic, isNew) = try topics.open(relation, retention: retention)
            if let known = kept[relation] {
                kept[relation] = KeptChanges(target: known.target, ordinal: known.ordinal, retention: retention, fields: known.fields)
            } else {
                let target = ChangeTarget(topic, clock: surroundings.clock)
                targets.append(target)
                // One that was there, of a database that has come back, goes on.
                let fields = isNew || hasOpenedChanges ? nil : catalog.objects[relation]?.fields
                kept[relation] = KeptChanges(target: target, ordinal: targets.count - 1, retention: retention, fields: fields)
            }
        }
    }

    /// Before the first tick that is no replay: what a crash left over goes, and who followed a view that has other rows than
    /// it was said to have cannot go on. Answers whether the tick has to be there for that: the same view as of the tick before
    /// it was another one.
    func resumeChanges() throws(SQLError) -> Bool {
        guard !hasOpenedChanges else { return false }
        let wanted = catalog.retentions
        try surroundings.changes?.close { wanted[$0] != nil }
        try openChanges(catalog)
        hasOpenedChanges = true
        let cut = remade.filter { catalog.objects[$0] != nil }
        remade = []
        for relation in cut { kept[relation]?.fields = nil }
        hub.cut(cut, at: tick + 1)
        return !cut.isEmpty
    }

    /// Adds to a tick's output what it did to relations with subscriptions.
    func keepChanges(_ work: Work, into output: inout TickOutput) {
        if work.catalogChanged, !kept.isEmpty {
            let wanted = catalog.retentions
            for relation in kept.keys.sorted() where wanted[relation] == nil {
                kept[relation] = nil
                unwanted = work.tick
            }
        }
        let now = surroundings.clock.wallMicros()
        for relation in kept.keys.sorted() {
            guard let keeping = kept[relation], let fields = catalog.objects[relation]?.fields else { continue }
            let bytes = ByteSink(capacity: 256)
            if keeping.fields != fields {
                ChangeTarget.put(ChangeRecord(tick: work.tick, kind: .begin), into: bytes)
                kept[relation]?.fields = fields
            } else if let batches = work.changes[relation], let net = RelationChange.net(batches) {
                ChangeTarget.put(RelationChange(tick: work.tick, micros: now, fields: fields, batch: net), into: bytes)
            }
            if bytes.count > 0 { output.parts.append((keeping.ordinal, SinkCollector.Part(bytes: bytes, rows: 0))) }
        }
    }

    /// Deletes topics that no subscription wants since a tick that is durable.
    func closeChanges() throws(SQLError) {
        guard let tick = unwanted, visible.tick >= tick else { return }
        unwanted = nil
        let wanted = catalog.retentions
        try surroundings.changes?.close { wanted[$0] != nil }
    }
}
