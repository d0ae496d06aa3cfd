internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import Synchronization

/// Changes that are kept for subscriptions and for reads of the past: written with the ticks that make them. Driver's thread.
extension Database {
    /// Of one relation.
    struct KeptChanges {
        let target: ChangeTarget
        /// Among the database's targets.
        let ordinal: Int
        var retention: Int64
        /// The columns of what was written last; nil: nothing was.
        var fields: [Field]?
        /// The retention has become longer, and nothing written says so.
        var isLonger = false
        /// What leads from `fields` to the columns that there are now.
        var steps: [ColumnStep] = []
    }

    /// Opens the topics of what a catalog wants kept. Throws where one cannot be made, and nothing has changed.
    func openChanges(_ catalog: DatabaseCatalog) throws(SQLError) {
        guard let topics = surroundings.changes else { return }
        for (relation, retention) in catalog.retentions.sorted(by: { $0.key < $1.key }) where kept[relation]?.retention != retention {
            let (topic, isNew) = try topics.open(relation, retention: retention)
            if var known = kept[relation] {
                known.isLonger = known.isLonger || retention > known.retention
                known.retention = retention
                kept[relation] = known
            } else {
                let target = ChangeTarget(topic)
                targets.append(target)
                // One that was there, of a database that has come back, goes on.
                let fields = isNew || hasOpenedChanges ? nil : catalog.objects[relation]?.fields
                kept[relation] = KeptChanges(target: target, ordinal: targets.count - 1, retention: retention, fields: fields)
            }
        }
    }

    /// Before the first tick that is no replay: what a crash left over goes, and who followed a view that has other rows than
    /// it was said to have cannot go on. Answers whether the tick has to be there for that: the same view as of the tick before
    /// it was another one. What was not kept by the version that wrote the database is from that tick on.
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
        return !cut.isEmpty || kept.contains { $0.value.fields == nil }
    }

    /// Adds to a tick's output what it did to relations whose changes are kept.
    func keepChanges(_ work: Work, into output: inout TickOutput) {
        if work.catalogChanged, !kept.isEmpty {
            let wanted = catalog.retentions
            for relation in kept.keys.sorted() where wanted[relation] == nil {
                kept[relation] = nil
                unwanted = work.tick
            }
        }
        let touched = kept.keys.sorted().filter { touches($0, work) }
        guard !touched.isEmpty else { return }
        // First the number, then the time: whoever reads the past and finds a lower number has a time before this tick's.
        stamped.store(work.tick, ordering: .sequentiallyConsistent)
        lastStamp = max(lastStamp, surroundings.clock.wallMicros())
        for relation in touched {
            guard let keeping = kept[relation], let fields = catalog.objects[relation]?.fields else { continue }
            let bytes = ByteSink(capacity: 256)
            let changes = work.changes[relation] ?? []
            var kinds: [ChangeRecord.Kind] = keeping.isLonger ? [.longer] : []
            if keeping.isReshaped(fields) { kinds.append(changes.isEmpty ? keeping.reshaping(to: fields) ?? .begin : .begin) }
            for kind in kinds { ChangeTarget.put(ChangeRecord(tick: work.tick, micros: lastStamp, kind: kind), into: bytes) }
            if !keeping.isReshaped(fields), let net = RelationChange.net(changes) {
                ChangeTarget.put(RelationChange(tick: work.tick, micros: lastStamp, fields: fields, batch: net), into: bytes)
            }
            kept[relation]?.fields = fields
            kept[relation]?.isLonger = false
            kept[relation]?.steps = []
            if bytes.count > 0 { output.parts.append((keeping.ordinal, SinkCollector.Part(bytes: bytes, rows: 0))) }
        }
    }

    /// Whether a tick, which is then sure to become visible, does something that is to be kept of a relation.
    private func touches(_ relation: RelationID, _ work: Work) -> Bool {
        guard let keeping = kept[relation], let fields = catalog.objects[relation]?.fields else { return false }
        if work.catalogChanged, keeping.isReshaped(fields) || keeping.isLonger { return true }
        return !keeping.isReshaped(fields) && !(work.changes[relation] ?? []).isEmpty
    }

    /// Deletes topics that no subscription wants since a tick that is durable.
    func closeChanges() throws(SQLError) {
        guard let tick = unwanted, visible.tick >= tick else { return }
        unwanted = nil
        let wanted = catalog.retentions
        try surroundings.changes?.close { wanted[$0] != nil }
    }
}

extension Database.KeptChanges {
    /// Rows written before are not like those of now.
    fileprivate func isReshaped(_ now: [Field]) -> Bool { fields != now || !steps.isEmpty }

    /// How rows written before become rows of now; nil: it cannot be said.
    fileprivate func reshaping(to now: [Field]) -> ChangeRecord.Kind? {
        guard let types = fields.flatMap({ steps.applied(to: $0.map(\.type)) }), types == now.map(\.type) else { return nil }
        return .reshaped(steps, columns: ChangeRecord.columns(now))
    }
}
