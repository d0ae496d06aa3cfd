internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Definitions carried out within a tick. What a text defines enters together or not at all: the catalog is changed last,
/// and what was built before is let go of where a later step fails.
extension Database {
    /// What a text builds, until it has succeeded.
    struct Building {
        var catalog: DatabaseCatalog
        var tables: [RelationID: TableState] = [:]
        var stores: [RelationID: RelationStore] = [:]
        /// Statements that run, compiled together at the end.
        var running: [BoundStatement] = []
        var dropped: [RelationID] = []
        /// Sources at work that have got columns.
        var redefined: [(source: RelationID, as: SharedSource.Redefined)] = []
        /// What is done to the columns of tables' rows, in order.
        var columnSteps: [RelationID: [ColumnStep]] = [:]
        /// Columns of tables that units at work know, in order of their dropping.
        var lostColumns: [(table: RelationID, ordinal: Int)] = []
        /// Counters that begin anew, and with what.
        var restarted: [(table: RelationID, next: Int64, counter: TableColumn.Identity)] = []
        var plan: UnitPlan?
        var notices: [String] = []
        var tag = ""
    }

    /// - Parameter isNew: it is not a replay; sinks are asked whether they can work.
    func define(_ definition: DefinitionText, _ work: inout Work, isNew: Bool = false) throws(SQLError) -> Answer {
        let building = try fold(definition)
        for case .createSink(let sink) in building.plan?.statements ?? [] where isNew { try surroundings.connectors.check(sink) }
        let unit = try building.plan.flatMap { (plan) throws(SQLError) in try compile(plan, building.catalog) }
        if let unit { try checkMeeting(unit, paused: false) }
        let pausing = try preparePausing(building.catalog)
        let readings = try unit.map { (unit) throws(SQLError) in try prepareReading(unit, building.catalog) }
        if !work.isReplay { try openChanges(building.catalog) }
        // Nothing fails from here on.
        enter(building, definition)
        for (relation, steps) in building.columnSteps {
            kept[relation]?.steps += steps
            carried[relation] = carried[relation]?.map { batch in steps.reduce(batch) { $1.applied(to: $0) } }
        }
        // A replay gets the numbers from the tick's record.
        if isNew { for (table, next, counter) in building.restarted { identities.set(table, next: next, counter) } }
        for each in pausing { stepAside(each) }
        work.stores.merge(building.stores) { $1 }
        work.catalogChanged = true
        if let unit {
            begin(unit)
            beginReading(unit, readings ?? [])
        }
        if building.plan != nil { nextUnit += 1 }
        return Answer(tag: building.tag, notices: building.notices, tick: work.tick)
    }

    /// What a text defines, on top of the catalog as it is. Nothing of it is at work yet.
    private func fold(_ definition: DefinitionText) throws(SQLError) -> Building {
        var building = Building(catalog: catalog)
        building.catalog.sql.searchPath = definition.searchPath
        for piece in try PreparedText.split(definition.text) {
            do throws(SQLError) {
                for statement in try Script.bind(piece.text, into: &building.catalog.sql, context: options.evaluation) {
                    try carryOut(statement, &building)
                }
            } catch {
                guard definition.isRepeatable, error.state == .duplicateTable else { throw error }
                try checkIsSame(piece.text, error)
            }
        }
        building.plan = unitPlan(building)
        for id in building.plan?.objects ?? [] {
            guard var object = building.catalog.objects[id] else { continue }
            object.unit = building.plan?.id
            building.catalog.put(object)
        }
        return building
    }

    /// A statement of a file that was applied before must define the same.
    private func checkIsSame(_ text: String, _ error: SQLError) throws(SQLError) {
        func words(_ text: String) -> [Substring] { text.split(whereSeparator: \.isWhitespace) }
        let wanted = words(text)
        guard !catalog.all.contains(where: { words($0.text) == wanted }) else { return }
        throw SQLError(
            SQLState("55000"), "\(error.message), and is not what the statement says",
            detail: text, hint: "Drop it first; or begin anew, without the state (--reset).")
    }

    private func enter(_ building: Building, _ definition: DefinitionText) {
        catalog = building.catalog
        catalog.touch()
        definitions.append(definition)
        tables.merge(building.tables) { $1 }
        for id in building.dropped { forget(id) }
        for (id, redefined) in building.redefined { sources[id]?.enter(redefined) }
        for (id, ordinal) in building.lostColumns { for unit in units { unit.dropColumn(ordinal, of: id) } }
        for (id, shared) in sources { if let name = catalog.objects[id]?.source?.name { shared.rename(name) } }
        settlePauses()
    }

    private func settlePauses() {
        for unit in units { unit.isPaused = unit.objects.contains { catalog.objects[$0]?.isPaused ?? false } }
    }

    /// Brings back the catalog that definitions made, and what they set to work and was not dropped since: units as they
    /// begin, and empty stores.
    func bringBack(_ texts: [DefinitionText]) throws(SQLError) -> [RelationID: RelationStore] {
        var plans: [UnitPlan] = []
        var stores: [RelationID: RelationStore] = [:]
        for text in texts {
            let building = try fold(text)
            enter(building, text)
            stores.merge(building.stores) { $1 }
            if let plan = building.plan {
                plans.append(plan)
                nextUnit += 1
            }
            for at in plans.indices { plans[at].objects.removeAll { building.dropped.contains($0) } }
        }
        for plan in plans where !plan.objects.isEmpty { begin(try compile(plan, catalog), feeding: false) }
        settlePauses()
        return stores.filter { catalog.objects[$0.key] != nil }
    }

    private func carryOut(_ statement: BoundStatement, _ building: inout Building) throws(SQLError) {
        switch statement {
        case .createSource(let source):
            let id = enter(source.name, .source(source), source.fields, isAppendOnly: true, uses: [], &building)
            enterSides(source, of: id, &building)
            building.running.append(statement)
            building.tag = "CREATE SOURCE"
        case .createView(let view):
            try replace(view, &building)
            enter(view.name, .view(view), view.fields, isAppendOnly: view.isAppendOnly, uses: view.dependencies, &building)
            building.tag = "CREATE VIEW"
        case .createMaterializedView(let view):
            try replace(view, &building)
            let key = view.plan.uniqueColumns
            let id = enter(
                view.name, .materializedView(view), view.fields, key: key, isAppendOnly: view.isAppendOnly, uses: view.dependencies, &building)
            if let made = building.catalog.objects[id] { keep(made, &building) }
            building.running.append(statement)
            building.tag = "CREATE MATERIALIZED VIEW"
        case .createSink(let sink):
            enter(sink.name, .sink(sink), sink.fields, isAppendOnly: sink.isAppendOnly, uses: sink.dependencies, &building)
            building.running.append(statement)
            building.tag = "CREATE SINK"
        case .skipped(let notice): building.notices.append(notice)
        case .session(let session): try carryOut(session, &building)
        // What only asks means nothing among definitions.
        case .select, .explain, .set, .show: break
        }
    }

    private func carryOut(_ statement: SessionStatement, _ building: inout Building) throws(SQLError) {
        switch statement {
        case .createTable(let table, _):
            let id = enter(
                table.name, .table(table), table.fields, key: table.primaryKey, isAppendOnly: table.isAppendOnly, uses: [], &building)
            if let made = building.catalog.objects[id] { keep(made, &building) }
            if let source = table.source {
                enterSides(source, of: id, &building)
                building.running.append(.session(statement))
            }
            building.tag = table.isSequence ? "CREATE SEQUENCE" : "CREATE TABLE"
        case .drop(let drop): try self.drop(drop, &building)
        case .alter(let statement): try alter(statement, &building)
        case .createSchema: building.tag = "CREATE SCHEMA"
        case .createDatabase(let name, _):
            building.tag = "CREATE DATABASE"
            building.notices.append("database \"\(name)\" is a name only: all objects are in the one connected to")
        case .createSubscription(let subscription):
            building.catalog.subscriptions[subscription.name] = subscription
            building.tag = "CREATE SUBSCRIPTION"
        case .createFunction: building.tag = "CREATE FUNCTION"
        case .createPipeline: building.tag = "CREATE PIPELINE"
        case .createType: building.tag = "CREATE TYPE"
        case .createIndex(let index):
            if index.isUnique { try addUniqueIndex(index, &building) }
            building.catalog.indexes.append(index)
            building.tag = "CREATE INDEX"
        case .comment(_, let name, let column, let text):
            building.catalog.setComment(text, on: name, column: column)
            building.tag = "COMMENT"
        case .accepted(let tag, let notice):
            building.tag = tag
            if let notice { building.notices.append(notice) }
        default:
            throw SQLError(.featureNotSupported, "this statement cannot be carried out as a definition")
        }
    }

    @discardableResult
    private func enter(
        _ name: String, _ kind: CatalogObject.Kind, _ fields: [Field], key: [Int] = [], isAppendOnly: Bool, uses: [String],
        _ building: inout Building
    ) -> RelationID {
        let id = building.catalog.makeID()
        let ids = uses.compactMap { building.catalog[$0]?.id }
        building.catalog.put(
            CatalogObject(id: id, name: name, kind: kind, fields: fields, key: key, isAppendOnly: isAppendOnly, uses: ids))
        return id
    }

    /// Late table and dead letters of a source.
    private func enterSides(_ source: SourceDefinition, of id: RelationID, _ building: inout Building) {
        var sides = [(source.deadLetterTable, SourceDefinition.deadLetterFields)]
        if let late = source.lateTable { sides.append((late, source.lateFields)) }
        for (name, fields) in sides {
            let side = enter(name, .side(source: source.name), fields, isAppendOnly: true, uses: [source.name], &building)
            if let made = building.catalog.objects[side] { keep(made, &building) }
        }
    }

    /// Makes the store of a relation, and of a table what judges its writes.
    func keep(_ object: CatalogObject, _ building: inout Building) {
        let id = object.id
        let types = object.fields.map(\.type)
        let all = Array(types.indices)
        let expiry = object.table.flatMap { $0.watermarkHasTTL ? $0.watermark?.column : nil }
        let lookup: [Int]? = object.key.isEmpty ? (object.isAppendOnly && expiry == nil ? nil : all) : object.key
        let uniques = object.table?.uniques.map(\.columns) ?? []
        let store = RelationStore(types: types, lookup: lookup, uniques: uniques, expiry: expiry)
        building.stores[id] = store
        if case .table(let table) = object.kind {
            building.tables[id] = TableState(
                id: id, types: types, key: object.key, uniques: uniques, store: store, watermark: table.watermark)
        }
    }

    // MARK: DROP

    private func drop(_ drop: DropStatement, _ building: inout Building) throws(SQLError) {
        building.notices += drop.notices
        building.tag = "DROP " + drop.kind.rawValue.uppercased()
        for name in drop.names {
            switch drop.kind {
            case .subscription: building.catalog.subscriptions[name] = nil
            case .index:
                for index in building.catalog.indexes where index.name == name && index.isUnique { try dropUniqueIndex(index, &building) }
                building.catalog.indexes.removeAll { $0.name == name }
            case .schema: try emptySchema(name, isCascade: drop.isCascade, &building)
            default: break
            }
            guard let object = building.catalog[name] else { continue }
            try remove(object, isCascade: drop.isCascade, kind: drop.kind.rawValue, &building)
        }
    }

    /// OR REPLACE: the view of that name goes. What reads it has it in its own plan, and would go on reading it.
    private func replace(_ view: ViewDefinition, _ building: inout Building) throws(SQLError) {
        guard view.replaces, let old = building.catalog[view.name] else { return }
        let users = building.catalog.users(of: old.id)
        guard users.isEmpty else {
            throw SQLError(
                SQLState("2BP01"), "cannot replace \(old.noun) \(view.name) because other objects depend on it",
                detail: users.map { "\($0.noun) \($0.name) depends on \(old.noun) \(view.name)" }.joined(separator: "\n"),
                hint: "Use DROP ... CASCADE first, and create them again.")
        }
        try remove(old, isCascade: false, kind: old.noun, &building)
    }

    private func emptySchema(_ name: String, isCascade: Bool, _ building: inout Building) throws(SQLError) {
        let inside = building.catalog.all.filter { CatalogNames.parts($0.name).schema == name }
        if !inside.isEmpty, !isCascade {
            throw SQLError(
                SQLState("2BP01"), "cannot drop schema \(name) because other objects depend on it",
                detail: inside.map { "\($0.noun) \($0.name) depends on schema \(name)" }.joined(separator: "\n"),
                hint: "Use DROP ... CASCADE to drop the dependent objects too.")
        }
        for object in inside where building.catalog.objects[object.id] != nil {
            try remove(object, isCascade: true, kind: object.noun, &building)
            building.catalog.sql.remove(object.objectKind, named: object.name)
        }
    }

    func remove(_ object: CatalogObject, isCascade: Bool, kind: String, _ building: inout Building) throws(SQLError) {
        var users = building.catalog.users(of: object.id)
        let sides = users.filter { if case .side = $0.kind { true } else { false } }
        users.removeAll { user in sides.contains { $0.id == user.id } }
        for side in sides { users += building.catalog.users(of: side.id) }
        if !users.isEmpty, !isCascade {
            throw SQLError(
                SQLState("2BP01"), "cannot drop \(kind) \(object.name) because other objects depend on it",
                detail: users.map { "\($0.noun) \($0.name) depends on \(kind) \(object.name)" }.joined(separator: "\n"),
                hint: "Use DROP ... CASCADE to drop the dependent objects too.")
        }
        for user in users where building.catalog.objects[user.id] != nil {
            building.notices.append("drop cascades to \(user.noun) \(user.name)")
            try remove(user, isCascade: true, kind: user.noun, &building)
            building.catalog.sql.remove(user.objectKind, named: user.name)
        }
        for gone in sides + [object] {
            let subscriptions = building.catalog.subscriptions.values.filter { $0.relation == gone.name }.map(\.name).sorted()
            guard subscriptions.isEmpty || isCascade else {
                throw SQLError(
                    SQLState("2BP01"), "cannot drop \(kind) \(object.name) because other objects depend on it",
                    detail: subscriptions.map { "subscription \($0) depends on \(gone.noun) \(gone.name)" }.joined(separator: "\n"),
                    hint: "Use DROP ... CASCADE to drop the dependent objects too.")
            }
            for name in subscriptions {
                building.notices.append("drop cascades to subscription \(name)")
                building.catalog.subscriptions[name] = nil
                building.catalog.sql.remove(.subscription, named: name)
            }
            building.catalog.remove(gone.id)
            building.dropped.append(gone.id)
        }
    }

    /// Lets go of what a dropped object had at work. A unit ends with its last object.
    private func forget(_ id: RelationID) {
        tables[id] = nil
        sources[id] = nil
        for unit in units { unit.forget(id) }
        units.removeAll { $0.objects.isEmpty }
    }

    // MARK: Units

    /// What of a text runs, and the sources that it reads.
    private func unitPlan(_ building: Building) -> UnitPlan? {
        guard building.running.contains(where: \.runs) else { return nil }
        var plan = UnitPlan(id: nextUnit)
        for statement in building.running {
            switch statement {
            case .createSource(let source): plan.sources.append(source)
            case .createMaterializedView: plan.statements.append(statement)
            case .createSink(let sink):
                if let name = sink.table, let table = building.catalog[name] {
                    plan.addFeed("rows of sink \(sink.name)", sink.plan, into: table.id)
                } else {
                    plan.statements.append(statement)
                }
            case .session(.createTable(let table, _)):
                guard let source = table.source, let object = building.catalog[table.name] else { continue }
                plan.sources.append(source)
                plan.addFeed("rows of table \(table.name)", table.rowsOfSource(source), into: object.id)
            default: break
            }
            if let name = statement.definedName, let object = building.catalog[name] { plan.objects.append(object.id) }
        }
        let script = PipelineScript(plan.statements)
        for object in building.catalog.all {
            if case .source(let source) = object.kind, script.sourcesRead.contains(source.name),
                !plan.sources.contains(where: { $0.name == source.name })
            {
                plan.sources.append(source)
            }
        }
        let defined = plan.statements.compactMap(\.definedName) + plan.sources.map(\.name)
        for name in script.relationsRead + script.viewsRead + defined {
            if let object = building.catalog[name] { plan.names[name] = object.id }
        }
        return plan
    }

    /// Relations that the plan does not define are fed from outside.
    private func compile(_ plan: UnitPlan, _ catalog: DatabaseCatalog) throws(SQLError) -> RunningUnit {
        let script = PipelineScript(plan.statements)
        let own = plan.statements.compactMap(\.definedName)
        var inputs: [PipelineInput] = []
        var relations: [RelationID] = []
        var layouts: [InputLayout] = []
        for name in script.relationsRead + script.viewsRead where !own.contains(name) {
            guard let id = plan.names[name], let object = catalog.objects[id] else { continue }
            var layout = InputLayout(script.types[name] ?? [])
            for dropped in object.dropped where plan.id < dropped.unit { layout.drop(dropped.ordinal) }
            inputs.append(input(object, named: name, layout))
            relations.append(id)
            layouts.append(layout)
        }
        let pipeline = try Pipeline(
            plan.sources.map { .createSource($0) } + plan.statements, options: options, connectors: surroundings.connectors,
            executor: surroundings.executor, clock: surroundings.clock, inputs: inputs, isTapped: true,
            sourcesAreFed: true)
        var views: [(id: RelationID, tap: PipelineTap)] = []
        for (name, tap) in pipeline.taps.sorted(by: { $0.key < $1.key }) {
            if let id = plan.names[name] { views.append((id, tap)) }
        }
        return RunningUnit(
            id: plan.id, pipeline: pipeline, inputs: relations, layouts: layouts, views: views,
            feeds: plan.feeds.compactMap { feed in pipeline.taps[feed.view].map { (feed.table, $0) } }, objects: plan.objects,
            firstTarget: targets.count, isSelfMoving: script.usesClock, sources: unitSources(pipeline, plan.names),
            sinks: pipeline.sinkNames.compactMap { plan.names[$0] }, defined: plan.names.filter { own.contains($0.key) })
    }

    private func input(_ object: CatalogObject, named name: String, _ layout: InputLayout) -> PipelineInput {
        for unit in units {
            if let view = unit.views.first(where: { $0.id == object.id }) { return PipelineInput(name: name, view.tap) }
        }
        var input = PipelineInput(name: name, isAppendOnly: object.isAppendOnly, isDriven: true)
        if let watermark = object.table?.watermark {
            input.eventTime = layout.column(at: watermark.column)
            if !object.isAppendOnly { input.key = object.key.compactMap { layout.column(at: $0) } }
            input.keepsLate = object.source?.lateTable != nil
        }
        return input
    }

    /// Puts a unit to work: it gets what is there of its inputs, then what the tick changes.
    private func begin(_ unit: RunningUnit, feeding: Bool = true) {
        targets += unit.pipeline.targets
        unit.began = (surroundings.clock.monotonicNanos(), surroundings.driverStanding().blockedNanos)
        if feeding {
            let rows = unit.inputs.map { current($0) }
            // A few rows are there at once; many would hold up the others.
            let count = rows.joined().reduce(0) { $0 + $1.count }
            if count > Backfill.rowsPerTick, unit.mayBackfill { unit.beginBackfill() }
            for (ordinal, batches) in rows.enumerated() {
                for batch in batches { unit.feed(ordinal, batch) }
            }
        }
        units.append(unit)
    }
}

extension UnitPlan {
    /// A view that nobody sees, whose changes go to a table.
    mutating func addFeed(_ name: String, _ plan: Plan, into table: RelationID) {
        let view = ViewDefinition(name: name, plan: plan, fields: plan.fields, isAppendOnly: false, eventTimeColumns: [])
        statements.append(.createMaterializedView(view))
        feeds.append((name, table))
    }
}

extension TableDefinition {
    /// The table's rows from its connector's: what the records give, and what is computed from that.
    fileprivate func rowsOfSource(_ source: SourceDefinition) -> Plan {
        let given = columns.indices.filter { columns[$0].generated == nil }
        let plan = Plan.source(name: source.name, columns: Array(source.columns.indices), fields: source.fields)
        let places = Dictionary(uniqueKeysWithValues: given.enumerated().map { ($0.element, $0.offset) })
        let expressions = columns.enumerated().map { at, column -> Expression in
            column.generated.map { $0.renumbered { places[$0] ?? $0 } } ?? .column(places[at] ?? at, column.type)
        }
        return .project(plan, expressions, fields)
    }
}

extension BoundStatement {
    /// It makes something run.
    var runs: Bool {
        switch self {
        case .createMaterializedView, .createSink: true
        case .session(.createTable(let table, _)): table.source != nil
        default: false
        }
    }

    package var definedName: String? {
        switch self {
        case .createSource(let source): source.name
        case .createView(let view), .createMaterializedView(let view): view.name
        case .createSink(let sink): sink.name
        case .session(.createTable(let table, _)): table.name
        default: nil
        }
    }
}

extension CatalogObject {
    var noun: String { objectKind.rawValue }

    var objectKind: ObjectKind {
        switch kind {
        case .table(let table): table.isSequence ? .sequence : .table
        case .side: .table
        case .source: .source
        case .view: .view
        case .materializedView: .materializedView
        case .sink: .sink
        }
    }
}
