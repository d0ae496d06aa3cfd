internal import MartletColumns
internal import MartletCore
internal import MartletSQL

extension DatabaseSession {
    // MARK: What is seen

    static func coming(_ object: CatalogObject) -> SQLError {
        SQLError(
            SQLState("55000"), "\(object.noun) \"\(CatalogNames.parts(object.name).name)\" is still being filled with what was there before it",
            hint: "martlet_ddl_progress tells how far it is.")
    }

    /// The relation as the transaction sees it, its own changes included.
    func snapshot(of object: CatalogObject) throws(SQLError) -> StoreSnapshot {
        if object.isComing { throw DatabaseSession.coming(object) }
        if let table = object.table, table.isSequence, let counter = table.columns[0].identity {
            let last = database.identities.last(object.id)
            return StoreSnapshot([Batch(table.fields, [[.bigint(last ?? counter.start), .bigint(0), .boolean(last != nil)]])])
        }
        let view = try currentView(needing: [object])
        guard let snapshot = view.snapshots[object.id] else {
            throw SQLError(.undefinedTable, "relation \"\(object.name)\" does not exist")
        }
        try checkForm(of: object)
        return current.changes[object.id]?.over(snapshot) ?? snapshot
    }

    /// An explicit transaction sees one tick until its end, all relations; any other takes what a statement needs, anew each
    /// time as long as it has changed nothing. The relations must be what the statement was bound to.
    private func currentView(needing objects: [CatalogObject]) throws(SQLError) -> ReadView {
        let ids = objects.map(\.id)
        if let view = current.view, current.isExplicit || current.hasChanges {
            if ids.allSatisfy({ view.snapshots[$0] != nil }) { return view }
            let extended = view.merging(try read(objects, ids))
            current.view = extended
            return extended
        }
        let view = try read(objects, current.isExplicit ? nil : ids)
        if current.isExplicit { current.view = view }
        return view
    }

    private func read(_ objects: [CatalogObject], _ ids: [RelationID]?) throws(SQLError) -> ReadView {
        let view = database.read(ids)
        if objects.contains(where: { view.catalog.objects[$0.id]?.form != $0.form }) { throw outdated() }
        return view
    }

    /// Snapshots of everything that a plan names, as of one tick; `given`: rows of recursions around it.
    func inputs(of plan: Plan, given: [String: StoreSnapshot] = [:]) throws(SQLError) -> QueryInputs {
        var known = given
        for (recursion, fields) in plan.recursions { known[recursion.name] = try rows(of: recursion, fields, given: known) }
        let catalog = boundCatalog()
        let script = PipelineScript(query: plan, sources: catalog.sources)
        var objects: [CatalogObject] = []
        var inputs = QueryInputs(snapshots: [:])
        known.merge(try past(script.relationsRead.compactMap { PastRelation(name: $0) })) { $1 }
        for name in script.relationsRead + script.viewsRead {
            if let rows = known[name] {
                inputs.snapshots[name] = rows
            } else if let object = catalog[name] {
                objects.append(object)
            } else if let rows = try systemRows(name, catalog) {
                inputs.snapshots[name] = rows
            } else {
                throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist")
            }
        }
        _ = try currentView(needing: objects)
        for object in objects { inputs.snapshots[object.name] = try snapshot(of: object) }
        if !script.sourcesRead.isEmpty {
            inputs.sources = catalog.sources
            inputs.connectors = database.surroundings.makeReaders()
        }
        return inputs
    }

    // MARK: Queries

    func run(_ inputs: QueryInputs) -> QueryRun {
        QueryRun(
            inputs: inputs, evaluation: evaluation, limits: limits, clock: database.surroundings.clock, yield: database.surroundings.yield)
    }

    func rows(_ plan: Plan, given: [String: StoreSnapshot] = [:]) throws(SQLError) -> [Batch] {
        try run(try inputs(of: plan, given: given)).rows(plan)
    }

    /// The base's rows, then those that each step makes of the rows before it, until none come. Bounded by the statement's
    /// time and memory.
    private func rows(of recursion: Recursion, _ fields: [Field], given: [String: StoreSnapshot]) throws(SQLError) -> StoreSnapshot {
        let types = fields.map(\.type)
        let seen = recursion.isDistinct ? KeyedBatch(types: types, key: Array(types.indices)) : nil
        var all: [Batch] = []
        var bytes = 0
        var known = given
        var batch = Batch.joined(try rows(recursion.base, given: given))
        while let found = batch {
            try limits.check()
            guard let new = seen?.addingNew(found) ?? (seen == nil ? found : nil) else { break }
            bytes += new.memoryBytes
            if bytes > limits.memoryMax { throw StatementLimits.outOfMemory(limits.memoryMax) }
            all.append(new)
            known[recursion.name] = StoreSnapshot([new])
            batch = Batch.joined(try rows(recursion.step, given: known))
        }
        return StoreSnapshot(all)
    }

    func cursor(_ query: BoundQuery) throws(SQLError) -> any RowCursor {
        if query.order.isEmpty, let scan = RelationScan(query.plan), let object = boundCatalog()[scan.name] {
            if let row = try lookedUp(scan, object) {
                let rows = try ScanEvaluator(scan, context: evaluation).evaluate(row)
                let shown = QueryRun.cut([rows], offset: query.offset, limit: query.limit)
                return BatchCursor(query.fields, shown.map { $0.prefix(columns: query.fields.count) })
            }
            let pages = try snapshot(of: object)
            return ScanCursor(
                query, try ScanEvaluator(scan, context: evaluation), pages, limits: limits, yield: database.surroundings.yield)
        }
        return BatchCursor(query.fields, try run(try inputs(of: query.plan)).rows(query))
    }

    /// The row (or none) of a scan that names a key's values, where the transaction has nothing of its own to see.
    private func lookedUp(_ scan: RelationScan, _ object: CatalogObject) throws(SQLError) -> Batch? {
        guard !current.isExplicit, !current.hasChanges, !object.isComing, let values = scan.lookup(object.key) else { return nil }
        let key = zip(object.key, values).map { Column(object.fields[$0].type, [$1]) }
        return database.lookUp(object, key)
    }
}

extension Database {
    /// Relations as of the newest durable tick; nil: all.
    func read(_ ids: [RelationID]?) -> ReadView {
        visible.locked { content in
            var snapshots: [RelationID: StoreSnapshot] = [:]
            for id in ids ?? Array(content.stores.keys) { snapshots[id] = content.stores[id]?.snapshot() }
            return ReadView(tick: content.tick, catalog: content.catalog, snapshots: snapshots)
        }
    }

    /// The row of one key, or no row; nil: there is no such relation, or it has another form.
    func lookUp(_ object: CatalogObject, _ key: [Column]) -> Batch? {
        visible.locked { content in
            guard let store = content.stores[object.id], content.catalog.objects[object.id]?.form == object.form else { return nil }
            return store.row(of: key) ?? Batch(count: 0, columns: store.types.map { Column($0, capacity: 1) })
        }
    }

    /// Of a table, the rows there are of the keys of `rows`, and for each row where its own stands among them; nil: it has another
    /// form.
    func storedRows(_ object: CatalogObject, _ rows: Batch, key: [Int]) -> (rows: Batch, places: [Int?])? {
        visible.locked { content in
            guard content.catalog.objects[object.id]?.form == object.form else { return nil }
            return content.stores[object.id]?.rows(like: rows, by: key) ?? (rows.slice(0, 0), Array(repeating: nil, count: rows.count))
        }
    }
}

extension ReadView {
    func merging(_ other: ReadView) -> ReadView {
        ReadView(tick: tick, catalog: catalog, snapshots: snapshots.merging(other.snapshots) { mine, _ in mine })
    }
}

extension DatabaseCatalog {
    var sources: [SourceDefinition] {
        all.compactMap { if case .source(let source) = $0.kind { source } else { nil } }
    }
}
