internal import MartletColumns
internal import MartletCore
internal import MartletSQL
internal import MartletState

/// ALTER. What runs goes on undisturbed: units know relations by their numbers and columns by their places.
extension Database {
    func alter(_ statement: AlterStatement, _ building: inout Building) throws(SQLError) {
        building.notices += statement.notices
        building.tag = "ALTER \(statement.kind.rawValue.uppercased())"
        var name = statement.name
        if statement.kind == .index { return try alterIndex(statement, &building) }
        for change in statement.changes {
            guard var object = building.catalog[name] else { throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist") }
            switch change {
            case .setRunning(let isRunning):
                try setRunning(isRunning, object, &building)
                continue
            case .rename(let next), .setSchema(let next):
                try checkIsFree(next, building.catalog)
                rename(object, to: next, &building)
                name = next
                continue
            case .swap(let other):
                guard let second = building.catalog[other] else { throw SQLError(.undefinedTable, "relation \"\(other)\" does not exist") }
                // No name that can be written holds a line feed.
                let between = name + "\n"
                rename(object, to: between, &building)
                rename(second, to: name, &building)
                guard let first = building.catalog[between] else { continue }
                rename(first, to: other, &building)
                name = other
                continue
            case .renameColumn(let ordinal, let next):
                object.fields[ordinal].name = next
                object.kind = object.kind.renamingColumn(ordinal, next)
            case .addColumn(let column, _) where object.objectKind == .source:
                guard case .source(var source) = object.kind else { continue }
                source.columns.append(SourceColumn(name: column.name, type: column.type, isNotNull: column.isNotNull))
                if let shared = sources[object.id] { building.redefined.append((object.id, try shared.prepareRedefining(source))) }
                object.kind = .source(source)
                object.fields = source.shownFields
            case .dropColumn(let ordinal, let isCascade) where object.objectKind == .source:
                guard case .source(var source) = object.kind else { continue }
                if case .record(let at) = source.shown[ordinal] {
                    try freeColumn(at, called: source.columns[at].name, of: object, isCascade: isCascade, &building)
                }
                source.dropColumn(ordinal)
                object.kind = .source(source)
                object.fields = source.shownFields
            case .addColumn(let column, let backfill):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                try checkIsComputable(column, object)
                object.fillings[table.columns.count] = backfill
                table.columns.append(column)
                object.kind = .table(table)
                object.fields = table.fields
                try reshape(object, dropping: nil, adding: try values(of: column, backfill), &building)
                building.columnSteps[object.id, default: []].append(column.generated == nil ? .add(backfill, column.type) : .addComputed)
            case .dropColumn(let ordinal, let isCascade):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                try freeColumn(object, table, ordinal, isCascade: isCascade, &building)
                table.dropColumn(ordinal)
                object.kind = .table(table)
                object.fields = table.fields
                object.key = table.primaryKey
                object.dropped.append((nextUnit, ordinal))
                building.lostColumns.append((object.id, ordinal))
                building.columnSteps[object.id, default: []].append(.drop(ordinal))
                try reshape(object, dropping: ordinal, adding: nil, &building)
            case .setRetention(let retention): object.kind = object.kind.keeping(retention)
            case .setCounter(let ordinal, let counter, let next):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                table.columns[ordinal].identity = counter
                object.kind = .table(table)
                if let next { building.restarted.append((object.id, next, counter)) }
            case .addCheck, .addUnique, .dropConstraint, .setDefault, .setNotNull: try alterRules(change, &object, &building)
            }
            object.form += 1
            // By its name, which stays, so that what stands beside it (dead letters, late rows) does too.
            building.catalog.put(object)
            building.catalog.sql.replace(object.entry)
            name = object.name
        }
    }

    /// A sink into the table, or its connector, goes on giving rows of the columns that it knows.
    private func checkIsComputable(_ column: TableColumn, _ object: CatalogObject) throws(SQLError) {
        guard column.generated != nil, units.contains(where: { $0.feeds.contains { $0.table == object.id } }) else { return }
        throw SQLError(
            .featureNotSupported, "a generated column that is added to a table with a sink into it",
            hint: "Drop the sink, add the column, and make the sink anew.")
    }

    /// Rows of a feed with the columns that the table has got since the feed was made.
    func filled(_ batch: Batch, for id: RelationID) -> Batch {
        guard let object = catalog.objects[id], batch.columns.count < object.fields.count else { return batch }
        var batch = batch
        for place in batch.columns.count..<object.fields.count {
            batch.columns.append(Column.constant(object.fillings[place] ?? .null, type: object.fields[place].type, count: batch.count))
        }
        return batch
    }

    /// What a table asks of its rows, and puts where they say nothing.
    private func alterRules(
        _ change: AlterStatement.Change, _ object: inout CatalogObject, _ building: inout Building
    ) throws(SQLError) {
        guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
        switch change {
        case .addCheck(let check):
            table.checks = [check]
            try checkHold(table, rows(of: object, building))
            table.checks = (object.table?.checks ?? []) + [check]
            object.kind = .table(table)
        case .addUnique(let unique):
            try checkDiffer(unique, object.fields, rows(of: object, building))
            table.uniques.append(unique)
            object.kind = .table(table)
            try reshape(object, dropping: nil, adding: nil, &building)
        case .setDefault(let ordinal, let value):
            table.columns[ordinal].defaultValue = value
            object.kind = .table(table)
        case .setNotNull(let ordinal, let isNotNull):
            if isNotNull, let column = rows(of: object, building)?.columns[ordinal], column.validity != nil,
                (0..<column.count).contains(where: column.isNull)
            {
                throw SQLError(
                    .notNullViolation, "column \"\(table.columns[ordinal].name)\" of relation \"\(CatalogNames.parts(object.name).name)\" contains null values")
            }
            table.columns[ordinal].isNotNull = isNotNull
            object.kind = .table(table)
        case .dropConstraint(let constraint):
            table.checks.removeAll { $0.name == constraint }
            removeIndex(constraint, of: object, &building)
            table.uniques.removeAll { $0.name == constraint }
            object.kind = .table(table)
            try reshape(object, dropping: nil, adding: nil, &building)
        default: break
        }
    }

    /// What was defined together runs together, and stands still together.
    private func setRunning(_ isRunning: Bool, _ object: CatalogObject, _ building: inout Building) throws(SQLError) {
        guard let unit = object.unit else {
            throw SQLError(
                .wrongObjectType, "\(object.noun) \"\(object.name)\" does not run",
                hint: "Materialized views, sinks, and tables with a connector can be paused.")
        }
        if object.isPaused != isRunning {
            building.notices.append("\"\(object.name)\" is \(isRunning ? "running" : "paused") already")
        }
        // When the catalog is brought back nothing is at work yet, and it was checked then.
        if let running = units.first(where: { $0.id == unit }) {
            try checkMeeting(running, paused: !isRunning)
            if isRunning { building.notices += notices(resuming: running) }
        }
        for var member in building.catalog.all where member.unit == unit {
            if member.id != object.id, member.isPaused == isRunning {
                building.notices.append("\"\(member.name)\" was defined together with it, and \(isRunning ? "goes on" : "pauses") as well")
            }
            member.isPaused = !isRunning
            building.catalog.put(member)
        }
    }

    private static func onlyTables(_ object: CatalogObject) -> SQLError {
        SQLError(
            .featureNotSupported, "columns of \(object.noun) \"\(object.name)\" cannot be added or dropped",
            hint: "Drop it and make it anew.")
    }

    /// Gives the object another name, by which those that read it know it from then on.
    private func rename(_ given: CatalogObject, to next: String, _ building: inout Building) {
        let old = given.name
        var object = given
        object.name = next
        object.kind = object.kind.renamed(next)
        building.catalog.moveComments(from: old, to: next)
        building.catalog.sql.remove(object.objectKind, named: old)
        building.catalog.put(object)
        building.catalog.sql.replace(object.entry)
        for index in building.catalog.indexes.indices where building.catalog.indexes[index].table == old {
            building.catalog.indexes[index].table = next
        }
        for name in building.catalog.subscriptions.keys.sorted() where building.catalog.subscriptions[name]?.relation == old {
            building.catalog.subscriptions[name]?.relation = next
        }
        for var user in building.catalog.users(of: object.id) {
            user.kind = user.kind.reading(next, insteadOf: old)
            building.catalog.put(user)
            building.catalog.sql.replace(user.entry)
        }
    }

    private func alterIndex(_ statement: AlterStatement, _ building: inout Building) throws(SQLError) {
        guard let place = building.catalog.indexes.firstIndex(where: { $0.name == statement.name }) else { return }
        for case .rename(let next) in statement.changes {
            if building.catalog.indexes[place].isUnique { renameConstraint(building.catalog.indexes[place], to: next, &building) }
            building.catalog.sql.remove(.index, named: building.catalog.indexes[place].name)
            try building.catalog.sql.add(.index, next)
            building.catalog.indexes[place].name = next
        }
    }

    private func renameConstraint(_ index: IndexDefinition, to next: String, _ building: inout Building) {
        guard var object = building.catalog[index.table], case .table(var table) = object.kind else { return }
        let old = CatalogNames.parts(index.name).name
        for at in table.uniques.indices where table.uniques[at].name == old {
            table.uniques[at] = UniqueConstraint(name: CatalogNames.parts(next).name, columns: table.uniques[at].columns)
        }
        object.kind = .table(table)
        building.catalog.put(object)
        building.catalog.sql.replace(object.entry)
    }

    private func checkIsFree(_ next: String, _ catalog: DatabaseCatalog) throws(SQLError) {
        if catalog[next] != nil || catalog.sql.relation(named: next) != nil {
            throw SQLError(.duplicateTable, "relation \"\(next)\" already exists")
        }
    }

    /// Sees to it that nothing needs the column: what reads it goes with CASCADE, what reads others stays and never misses it.
    private func freeColumn(
        _ object: CatalogObject, _ table: TableDefinition, _ ordinal: Int, isCascade: Bool, _ building: inout Building
    ) throws(SQLError) {
        let column = table.columns[ordinal].name
        if table.primaryKey.contains(ordinal) || table.watermark?.column == ordinal || table.versionColumns.contains(ordinal) {
            throw SQLError(
                .invalidTableDefinition, "column \"\(column)\" is part of the table's key, watermark or version and cannot be dropped")
        }
        if table.source != nil {
            throw SQLError(
                .featureNotSupported, "columns of table \"\(object.name)\" cannot be dropped, since its connector gives them",
                hint: "Leave the column out in a view, or make the table anew.")
        }
        try freeColumn(ordinal, called: column, of: object, isCascade: isCascade, &building)
        for var user in building.catalog.all where user.kind.plan?.relationNames.contains(object.name) ?? false {
            user.kind = user.kind.withoutColumn(ordinal, of: object.name)
            building.catalog.put(user)
            building.catalog.sql.replace(user.entry)
        }
    }

    /// What reads the column, by its place in the relation, goes with CASCADE; without, it stands in the way.
    private func freeColumn(
        _ ordinal: Int, called column: String, of object: CatalogObject, isCascade: Bool, _ building: inout Building
    ) throws(SQLError) {
        func isIn(_ statement: BoundStatement) -> Bool {
            switch statement {
            case .createMaterializedView(let view): view.dependencies.contains(object.name)
            case .createSink(let sink): sink.dependencies.contains(object.name)
            default: false
            }
        }
        if building.running.contains(where: isIn) {
            throw SQLError(
                .featureNotSupported, "DROP COLUMN of what another statement of the same text reads", hint: "Send it by itself.")
        }
        let users = building.catalog.all.filter { user in
            guard let plan = user.kind.plan else { return false }
            return user.sink?.table == object.name || plan.columnsRead(of: object.name).contains(ordinal)
        }
        if let first = users.first, !isCascade || users.contains(where: { $0.sink?.table == object.name }) {
            throw SQLError(
                SQLState("2BP01"), "cannot drop column \(column) of \(object.noun) \(object.name) because other objects depend on it",
                detail: users.map { "\($0.noun) \($0.name) depends on column \(column) of \(object.noun) \(object.name)" }.joined(separator: "\n"),
                hint: first.sink?.table == object.name
                    ? "Drop the sink first." : "Use DROP ... CASCADE to drop the dependent objects too.")
        }
        for user in users where building.catalog.objects[user.id] != nil {
            building.notices.append("drop cascades to \(user.noun) \(user.name)")
            try remove(user, isCascade: true, kind: user.noun, &building)
            building.catalog.sql.remove(user.objectKind, named: user.name)
        }
    }

    // MARK: Constraints that come later

    /// CREATE UNIQUE INDEX: the constraint that it is.
    func addUniqueIndex(_ index: IndexDefinition, _ building: inout Building) throws(SQLError) {
        guard var object = building.catalog[index.table], case .table(var table) = object.kind else { return }
        let unique = UniqueConstraint(name: CatalogNames.parts(index.name).name, columns: index.columns)
        try checkDiffer(unique, object.fields, rows(of: object, building))
        table.uniques.append(unique)
        try reenter(table, as: &object, &building)
    }

    /// DROP INDEX of a unique index.
    func dropUniqueIndex(_ index: IndexDefinition, _ building: inout Building) throws(SQLError) {
        guard var object = building.catalog[index.table], case .table(var table) = object.kind else { return }
        let name = CatalogNames.parts(index.name).name
        table.uniques.removeAll { $0.name == name }
        try reenter(table, as: &object, &building)
    }

    /// A table with other constraints, in a store that keeps them.
    private func reenter(_ table: TableDefinition, as object: inout CatalogObject, _ building: inout Building) throws(SQLError) {
        object.kind = .table(table)
        try reshape(object, dropping: nil, adding: nil, &building)
        building.catalog.put(object)
        building.catalog.sql.replace(object.entry)
    }

    /// The index that a dropped constraint was, if it was one.
    private func removeIndex(_ constraint: String, of object: CatalogObject, _ building: inout Building) {
        for index in building.catalog.indexes
        where index.isUnique && index.table == object.name && CatalogNames.parts(index.name).name == constraint {
            building.catalog.indexes.removeAll { $0.name == index.name }
            building.catalog.sql.remove(.index, named: index.name)
        }
    }

    /// The rows of a table as of now, without weights.
    private func rows(of object: CatalogObject, _ building: Building) -> Batch? {
        let batches = building.stores[object.id].map { $0.snapshot().batches } ?? current(object.id)
        return Consolidation.net(batches).map { Consolidation.repeated($0) }
    }

    /// Throws unless all rows hold the table's checks.
    private func checkHold(_ table: TableDefinition, _ rows: Batch?) throws(SQLError) {
        guard let rows else { return }
        for (name, condition) in table.conditions(now: surroundings.clock.wallMicros()) where try rows.firstFailing(condition, options.evaluation) != nil {
            throw SQLError(
                .checkViolation, "check constraint \"\(name)\" of relation \"\(CatalogNames.parts(table.name).name)\" is violated by some row")
        }
    }

    /// Throws unless no two rows have the same values in the constraint's columns.
    private func checkDiffer(_ unique: UniqueConstraint, _ fields: [Field], _ rows: Batch?) throws(SQLError) {
        guard let rows = rows?.withoutNulls(unique.columns) else { return }
        let firsts = Set(rows.firsts(unique.columns))
        guard let row = (0..<rows.count).first(where: { !firsts.contains($0) }) else { return }
        throw SQLError.duplicate(unique, fields, rows, row, options.evaluation, isNew: false)
    }

    /// What rows that there are have in a new column.
    private func values(of column: TableColumn, _ backfill: Value) throws(SQLError) -> (Batch) throws(SQLError) -> Column {
        guard let generated = column.generated else {
            return { (rows: Batch) throws(SQLError) in Column.constant(backfill, type: column.type, count: rows.count) }
        }
        let evaluator = try ExpressionEvaluator(generated, context: options.evaluation)
        return { (rows: Batch) throws(SQLError) in
            let errors = RowErrors()
            let values = evaluator.evaluate(rows, errors: errors)
            if let entry = errors.sorted.first { throw entry.error }
            return values
        }
    }

    /// The table's rows in its new columns, in a store of their own, which takes the old one's place with the tick.
    private func reshape(
        _ object: CatalogObject, dropping: Int?, adding: ((Batch) throws(SQLError) -> Column)?, _ building: inout Building
    ) throws(SQLError) {
        let rows = building.stores[object.id].map { $0.snapshot().batches } ?? current(object.id)
        keep(object, &building)
        for batch in rows {
            var columns = batch.columns
            if let dropping { columns.remove(at: dropping) }
            if let adding { columns.append(try adding(batch)) }
            building.stores[object.id]?.apply(Batch(count: batch.count, columns: columns, weights: batch.weights))
        }
        building.tables[object.id]?.newestEventTime = tables[object.id]?.newestEventTime
    }
}

extension CatalogObject.Kind {
    func renamed(_ name: String) -> CatalogObject.Kind {
        switch self {
        case .table(var table):
            table.name = name
            return .table(table)
        case .source(var source):
            source.firstName = source.firstName ?? source.name
            source.name = name
            return .source(source)
        case .view(var view):
            view.name = name
            return .view(view)
        case .materializedView(var view):
            view.name = name
            return .materializedView(view)
        case .sink(var sink):
            sink.name = name
            return .sink(sink)
        case .side: return self
        }
    }

    /// With a past so long, microseconds, where it can have one; nil: without.
    fileprivate func keeping(_ retention: Int64?) -> CatalogObject.Kind {
        switch self {
        case .table(var table):
            table.retention = retention
            return .table(table)
        case .materializedView(var view):
            view.retention = retention
            return .materializedView(view)
        case .source, .view, .sink, .side: return self
        }
    }

    /// What it reads and computes, if it does.
    var plan: Plan? {
        switch self {
        case .view(let view), .materializedView(let view): view.plan
        case .sink(let sink): sink.plan
        case .table, .source, .side: nil
        }
    }

    /// Plans of what reads other columns of a relation that has lost one.
    func withoutColumn(_ ordinal: Int, of relation: String) -> CatalogObject.Kind {
        switch self {
        case .view(var view):
            view.plan = view.plan.withoutColumn(ordinal, of: relation)
            return .view(view)
        case .materializedView(var view):
            view.plan = view.plan.withoutColumn(ordinal, of: relation)
            return .materializedView(view)
        case .sink(var sink):
            sink.plan = sink.plan.withoutColumn(ordinal, of: relation)
            return .sink(sink)
        case .table, .source, .side: return self
        }
    }

    /// Plans of what reads a relation, with the relation's new name.
    func reading(_ new: String, insteadOf old: String) -> CatalogObject.Kind {
        func renamed(_ names: [String]) -> [String] { names.map { $0 == old ? new : $0 } }
        switch self {
        case .view(var view):
            view.plan = view.plan.renaming(old, to: new)
            view.dependencies = renamed(view.dependencies)
            return .view(view)
        case .materializedView(var view):
            view.plan = view.plan.renaming(old, to: new)
            view.dependencies = renamed(view.dependencies)
            return .materializedView(view)
        case .sink(var sink):
            sink.plan = sink.plan.renaming(old, to: new)
            sink.dependencies = renamed(sink.dependencies)
            if sink.table == old { sink.table = new }
            return .sink(sink)
        case .side(let source): return .side(source: source == old ? new : source)
        case .table, .source: return self
        }
    }

    func renamingColumn(_ ordinal: Int, _ name: String) -> CatalogObject.Kind {
        switch self {
        case .table(var table):
            table.columns[ordinal].name = name
            return .table(table)
        case .source(var source):
            source.renameColumn(ordinal, to: name)
            return .source(source)
        case .view(var view):
            view.fields[ordinal].name = name
            return .view(view)
        case .materializedView(var view):
            view.fields[ordinal].name = name
            return .materializedView(view)
        case .sink, .side: return self
        }
    }
}

extension CatalogObject {
    /// As the binder sees it.
    var entry: RelationEntry {
        let kind: RelationEntry.Kind =
            switch kind {
            case .table(let table): .table(table)
            case .source(let source): .source(source)
            case .view(let view): .view(view)
            case .materializedView(let view): .materializedView(view)
            case .sink(let sink): .sink(sink)
            case .side(let source): .deadLetters(source: source)
            }
        return RelationEntry(name: name, kind: kind, fields: fields)
    }
}
