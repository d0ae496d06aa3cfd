internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// A database's sources: each is opened with the first unit that wants it, read once a tick, and its rows are fed to all
/// units that read it. A unit made later first reads by itself what was there before it, up to where the source is, and
/// joins at the end of a tick.
extension Database {
    /// How a unit that begins comes to a source.
    enum Reading {
        /// It is opened for it.
        case opened(SharedSource)
        /// It is at work: `widened` where it lacks columns, `history` where it has read something.
        case joined(RelationID, widened: SharedSource.Widened?, history: [any SourcePartition]?, judged: [Int])
    }

    func unitSources(_ pipeline: Pipeline, _ names: [String: RelationID]) -> [UnitSource] {
        pipeline.sources.enumerated().compactMap { ordinal, source in
            names[source.name].map { UnitSource(id: $0, ordinal: ordinal, columns: pipeline.columns[ordinal]) }
        }
    }

    /// The source or table beside which a late table or dead letters fill; nil: the relation is something else.
    static func home(of side: RelationID, _ catalog: DatabaseCatalog) -> RelationID? {
        guard let object = catalog.objects[side], case .side = object.kind else { return nil }
        return object.uses.first
    }

    /// The sources whose rows, late rows or dead letters the unit reads, by what it wants of them.
    private func wanted(_ unit: RunningUnit, _ catalog: DatabaseCatalog) -> [(id: RelationID, definition: SourceDefinition, columns: [Int])] {
        var wanted = zip(unit.sources, unit.pipeline.sources).map { (id: $0.id, definition: $1, columns: $0.columns) }
        for input in unit.inputs {
            guard let id = Database.home(of: input, catalog), let source = catalog.objects[id]?.source,
                !wanted.contains(where: { $0.id == id })
            else { continue }
            wanted.append((id, source, []))
        }
        return wanted
    }

    /// What has to be opened for a unit. Nothing is changed yet.
    func prepareReading(_ unit: RunningUnit, _ catalog: DatabaseCatalog) throws(SQLError) -> [Reading] {
        var readings: [Reading] = []
        var firstTarget = unit.firstTarget + unit.pipeline.targets.count
        for (id, definition, columns) in wanted(unit, catalog) {
            guard let shared = sources[id] else {
                let opened = try SharedSource(
                    definition, id: id, columns: columns, firstTarget: firstTarget, options, surroundings)
                firstTarget += opened.sides.targets.count
                readings.append(.opened(opened))
                continue
            }
            let widened = try shared.has(columns) ? nil : shared.prepareWidening(columns)
            let readsRows = unit.sources.contains { $0.id == id }
            let history = try readsRows && !shared.hasNoHistory ? shared.history(columns, partitions: shared.partitions.indices) : nil
            readings.append(.joined(id, widened: widened, history: history, judged: shared.columns))
        }
        return readings
    }

    func beginReading(_ unit: RunningUnit, _ readings: [Reading]) {
        for reading in readings {
            switch reading {
            case .opened(let shared):
                targets += shared.sides.targets
                sources[shared.id] = shared
            case .joined(let id, let widened, let history, let judged):
                if let widened { sources[id]?.enter(widened) }
                if let history { unit.beginCatchingUp(id, history, judged: judged) }
            }
        }
    }

    /// Opens a source for the units there are, as a saved state or a record says it was: before anything is read of it.
    func bringBackSource(_ id: RelationID, at starts: [Int64]) throws(SQLError) -> SharedSource {
        guard let definition = catalog.objects[id]?.source else {
            throw SQLError(.dataCorrupted, "the state of a source that is not there")
        }
        let columns = units.flatMap(\.sources).filter { $0.id == id }.flatMap(\.columns)
        let opened = try SharedSource(definition, id: id, columns: columns, firstTarget: targets.count, options, surroundings)
        try opened.begin(at: starts)
        targets += opened.sides.targets
        sources[id] = opened
        return opened
    }

    // MARK: Ticks

    /// The sources whose rows or letters a unit at work wants.
    private func wantedSources() -> Set<RelationID> {
        var wanted: Set<RelationID> = []
        for unit in units where unit.failure == nil && !unit.isPaused {
            wanted.formUnion(unit.sources.map(\.id))
            wanted.formUnion(unit.inputs.compactMap { Database.home(of: $0, catalog) })
        }
        return wanted
    }

    /// One tick of each source that is wanted; its rows are fed to the units.
    func stepSources(_ work: inout Work, _ replayed: DatabaseRecord?, _ done: inout UnitWork) throws(SQLError) {
        let wanted = wantedSources()
        done.isAtEnd = sources.values.allSatisfy { $0.isFinished || !wanted.contains($0.id) }
        for shared in sources.values.sorted(by: { $0.id < $1.id }) {
            let record = replayed?.sources.first { $0.source == shared.id }?.bytes
            if replayed == nil, !wanted.contains(shared.id) { shared.rest() }
            // In a replay a source without a record did nothing.
            if replayed == nil ? wanted.contains(shared.id) : record != nil, let step = shared.step(replaying: record) {
                done.moved = done.moved || step.record != nil
                if let bytes = step.record { done.sourceRecords.append((shared.id, bytes)) }
                if let starts = replayed == nil ? shared.takeStarts() : nil { work.events.append(.starts(shared.id, starts)) }
                for unit in units {
                    for source in unit.sources where source.id == shared.id {
                        unit.feed(source, step.rows, columns: shared.columns, watermark: shared.watermark)
                    }
                }
                var own = Refusals(views: [])
                own.letters = step.report.deadLetters
                try keep(own, of: shared, &work, &done)
            }
            for unit in units {
                do throws(SQLError) { try unit.setFence(shared) } catch { unit.fail(error) }
            }
        }
    }

    /// What a unit refused of its sources' rows becomes rows of their late tables and dead letters.
    func keepRefused(by unit: RunningUnit, _ report: TickReport, _ work: inout Work, _ done: inout UnitWork) throws(SQLError) {
        for (ordinal, relation) in unit.inputs.enumerated() where !report.lateChanges.isEmpty {
            guard let shared = sources[relation], let table = catalog.objects[relation]?.table else { continue }
            var refused = Refusals(views: unit.viewNames(catalog))
            refused.changes = report.lateChanges.filter { $0.rows.relation == unit.pipeline.firstInput + ordinal }
            refused.given = table.columns.indices.filter { table.columns[$0].generated == nil }
            try keep(refused, of: shared, &work, &done)
        }
        guard !report.lateRows.isEmpty || !report.deadLetters.isEmpty else { return }
        for source in unit.sources {
            guard let shared = sources[source.id] else { continue }
            let definition = unit.pipeline.sources[source.ordinal]
            var refused = unit.pipeline.refusals(report, of: definition.name, number: Int(source.id.raw))
            refused.views = unit.viewNames(catalog)
            // Of records read to catch up, those that fail by what nobody looked at before.
            let judged = source.judged.map { definition.columns[$0] }.map { ($0.jsonPath ?? [$0.name]).joined(separator: ".") }
            refused.letters.removeAll { letter in letter.view == nil && letter.field.map { judged.contains($0) } ?? true }
            try keep(refused, of: shared, &work, &done)
        }
    }

    private func keep(_ refused: Refusals, of shared: SharedSource, _ work: inout Work, _ done: inout UnitWork) throws(SQLError) {
        guard !refused.isEmpty else { return }
        ledger.refused(
            refused.letters.map { ($0.view.map { refused.views[$0] } ?? shared.name, $0.reasonCode, $0.reason) },
            at: surroundings.clock.wallMicros())
        let collected = try shared.collect(refused)
        done.output.parts += collected.parts
        done.sideRows += collected.rows
    }

    /// The end of a tick: late rows and dead letters enter those who read them with the next one, and who has read all that
    /// was there before it is fed from then on.
    func finishSources(_ work: inout Work, _ done: UnitWork) {
        for (name, batch) in done.sideRows {
            guard let relation = catalog[name] else { continue }
            work.changes[relation.id, default: []].append(batch)
            for unit in units {
                for (ordinal, input) in unit.inputs.enumerated() where input == relation.id { unit.feed(ordinal, batch) }
            }
        }
        for shared in sources.values {
            for unit in units { unit.joinIfCaughtUp(shared) }
        }
    }
}

extension CatalogObject {
    /// What its records come from: a source's own, or a table's connector.
    var source: SourceDefinition? {
        switch kind {
        case .source(let source): source
        case .table(let table): table.source
        case .view, .materializedView, .sink, .side: nil
        }
    }
}
