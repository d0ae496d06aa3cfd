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
            case .addColumn(let column, let backfill):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                table.columns.append(column)
                object.kind = .table(table)
                object.fields = table.fields
                try reshape(object, dropping: nil, adding: (column.type, backfill), &building)
            case .dropColumn(let ordinal, _):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                try checkUnused(object, table, ordinal, building.catalog)
                table.dropColumn(ordinal)
                object.kind = .table(table)
                object.fields = table.fields
                object.key = table.primaryKey
                try reshape(object, dropping: ordinal, adding: nil, &building)
            case .addCheck(let check):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                table.checks = [check]
                try checkHold(table, rows(of: object, building))
                table.checks = (object.table?.checks ?? []) + [check]
                object.kind = .table(table)
            case .addUnique(let unique):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                try checkDiffer(unique, object.fields, rows(of: object, building))
                table.uniques.append(unique)
                object.kind = .table(table)
                try reshape(object, dropping: nil, adding: nil, &building)
            case .dropConstraint(let constraint):
                guard case .table(var table) = object.kind else { throw Database.onlyTables(object) }
                table.checks.removeAll { $0.name == constraint }
                table.uniques.removeAll { $0.name == constraint }
                object.kind = .table(table)
                try reshape(object, dropping: nil, adding: nil, &building)
            }
            building.catalog.sql.remove(object.objectKind, named: name)
            building.catalog.put(object)
            building.catalog.sql.replace(object.entry)
            name = object.name
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
        if let running = units.first(where: { $0.id == unit }) { try checkMeeting(running, paused: !isRunning) }
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
            building.catalog.sql.remove(.index, named: building.catalog.indexes[place].name)
            try building.catalog.sql.add(.index, next)
            building.catalog.indexes[place].name = next
        }
    }

    private func checkIsFree(_ next: String, _ catalog: DatabaseCatalog) throws(SQLError) {
        if catalog[next] != nil || catalog.sql.relation(named: next) != nil {
            throw SQLError(.duplicateTable, "relation \"\(next)\" already exists")
        }
    }

    private func checkUnused(
        _ object: CatalogObject, _ table: TableDefinition, _ ordinal: Int, _ catalog: DatabaseCatalog
    ) throws(SQLError) {
        let column = table.columns[ordinal].name
        if table.primaryKey.contains(ordinal) || table.watermark?.column == ordinal || table.versionColumns.contains(ordinal) {
            throw SQLError(
                .invalidTableDefinition, "column \"\(column)\" is part of the table's key, watermark or version and cannot be dropped")
        }
        let users = catalog.users(of: object.id)
        guard users.isEmpty else {
            throw SQLError(
                SQLState("2BP01"), "cannot drop column \(column) of table \(object.name) because other objects depend on it",
                detail: users.map { "\($0.noun) \($0.name) depends on table \(object.name)" }.joined(separator: "\n"),
                hint: "What reads a table knows it by all its columns: drop these objects first, and make them anew behind the change.")
        }
    }

    // MARK: Constraints that come later

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

    /// The table's rows in its new columns, in a store of their own, which takes the old one's place with the tick.
    private func reshape(
        _ object: CatalogObject, dropping: Int?, adding: (type: DataType, value: Value)?, _ building: inout Building
    ) throws(SQLError) {
        let rows = building.stores[object.id].map { $0.snapshot().batches } ?? current(object.id)
        keep(object, &building)
        for batch in rows {
            var columns = batch.columns
            if let dropping { columns.remove(at: dropping) }
            if let adding { columns.append(Column.constant(adding.value, type: adding.type, count: batch.count)) }
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
            source.columns[ordinal].name = name
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
