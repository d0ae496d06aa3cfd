internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// INSERT, UPDATE, DELETE, TRUNCATE: computed from what the transaction sees, kept with it, judged again by the tick in
/// which it ends.
extension DatabaseSession {
    /// The table of a statement, which may be changed.
    func changedTable(_ name: String) throws(SQLError) -> (CatalogObject, TableDefinition) {
        guard let object = boundCatalog()[name], case .table(let table) = object.kind else {
            throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist")
        }
        if current.isReadOnly { throw SQLError(SQLState("25006"), "cannot change rows in a read-only transaction") }
        return (object, table)
    }

    /// Carries a change out, so that an implicit transaction of this statement alone can do it over.
    func changing(_ body: @escaping () throws(SQLError) -> (SQLOutcome, tag: String)) throws(SQLError) -> SQLOutcome {
        current.changingStatements += 1
        current.redo = { () throws(SQLError) in try body().tag }
        let (outcome, tag) = try body()
        current.tag = tag
        return outcome
    }

    private func outcome(
        _ tag: String, _ returning: Returning?, _ rows: Batch?
    ) throws(SQLError) -> (SQLOutcome, tag: String) {
        guard let returning else { return (.done(tag: tag), tag) }
        var columns: [Column] = []
        let given = rows ?? Batch(count: 0, columns: [])
        let errors = RowErrors()
        for expression in returning.expressions {
            if given.count == 0 {
                columns.append(Column(expression.type, capacity: 1))
            } else {
                columns.append(try ExpressionEvaluator(expression, context: evaluation).evaluate(given, errors: errors))
            }
        }
        if let entry = errors.sorted.first { throw entry.error }
        let cursor = BatchCursor(returning.fields, [Batch(count: given.count, columns: columns)]) { _ in tag }
        return (.rows(cursor), tag)
    }

    // MARK: INSERT

    func carryOut(_ insert: InsertStatement) throws(SQLError) -> SQLOutcome {
        let (object, table) = try changedTable(insert.table)
        return try changing { () throws(SQLError) in
            guard let rows = Batch.joined(try self.rows(insert.rows)) else {
                return try self.outcome("INSERT 0 0", insert.returning, nil)
            }
            let placed = try self.insert(rows, into: object, table, insert.conflict)
            return try self.outcome("INSERT 0 \(placed.count)", insert.returning, placed.rows)
        }
    }

    /// Puts rows in; gives those that are then there, in the order given.
    func insert(
        _ rows: Batch, into object: CatalogObject, _ table: TableDefinition, _ conflict: InsertStatement.Conflict?
    ) throws(SQLError) -> (count: Int, rows: Batch) {
        try checkNotNull(rows, table)
        guard !object.key.isEmpty else {
            current.changes[object.id, default: TableChanges()].insert(rows)
            return (rows.count, rows)
        }
        let existing = existingRows(object, rows)
        if existing.rows.count == 0, !rows.repeats(object.key) {
            current.changes[object.id, default: TableChanges()].insert(rows)
            return (rows.count, rows)
        }
        var merge = KeyMerge(object: object, table: table, conflict: conflict, evaluation: evaluation)
        let placed = try merge.merge(rows, existing)
        if merge.refusesConflicts, let row = merge.firstConflict { throw DatabaseSession.duplicateKey(object, rows, row, evaluation) }
        if let changed = merge.inserted { try checkNotNull(changed, table) }
        if let removed = merge.removed { current.changes[object.id, default: TableChanges()].remove(removed) }
        if let inserted = merge.inserted { current.changes[object.id, default: TableChanges()].insert(inserted) }
        return (placed.count, placed)
    }

    static func duplicateKey(_ object: CatalogObject, _ batch: Batch, _ row: Int, _ context: EvaluationContext) -> SQLError {
        let names = object.key.map { object.fields[$0].name }
        let values = object.key.map { batch.columns[$0].value(at: row).text(in: context.zone) }
        return SQLError(
            .uniqueViolation, "duplicate key value violates unique constraint \"\(object.name)_pkey\"",
            detail: "Key (\(names.joined(separator: ", ")))=(\(values.joined(separator: ", "))) already exists.")
    }

    func checkNotNull(_ rows: Batch, _ table: TableDefinition) throws(SQLError) {
        for (ordinal, column) in table.columns.enumerated() where column.isNotNull || table.primaryKey.contains(ordinal) {
            guard rows.columns[ordinal].validity != nil else { continue }
            for row in 0..<rows.count where rows.columns[ordinal].isNull(row) {
                let values = rows.row(row).map { $0.isNull ? "null" : $0.text(in: evaluation.zone) }
                throw SQLError(
                    .notNullViolation, "null value in column \"\(column.name)\" of relation \"\(table.name)\" violates not-null constraint",
                    detail: "Failing row contains (\(values.joined(separator: ", "))).")
            }
        }
    }

    /// The rows that the transaction sees of the keys of `rows`: its own first, then stored ones that it has not removed.
    private func existingRows(_ object: CatalogObject, _ rows: Batch) -> ExistingRows {
        let stored = database.storedRows(object.id, rows, key: object.key)
        guard let changes = current.changes[object.id], !changes.isUntouched else {
            return ExistingRows(rows: stored.rows, places: stored.places)
        }
        let types = object.fields.map(\.type)
        let keyed = changes.keyed(object.key, types)
        let hashes = Hash.rows(object.key.map { rows.columns[$0] }, count: rows.count)
        let found = KeyedBatch(types: types, key: object.key)
        var places: [Int?] = []
        for row in 0..<rows.count {
            if let at = keyed.own.find(rows, row, hashes[row]) {
                places.append(found.count)
                found.add(keyed.own.row(at))
            } else if let at = stored.places[row], keyed.gone.find(rows, row, hashes[row]) == nil {
                places.append(found.count)
                found.add(stored.rows.rows([at]))
            } else {
                places.append(nil)
            }
        }
        return ExistingRows(rows: found.batch, places: places)
    }

    // MARK: UPDATE, DELETE, TRUNCATE

    func carryOut(_ update: UpdateStatement) throws(SQLError) -> SQLOutcome {
        let (object, table) = try changedTable(update.table)
        return try changing { () throws(SQLError) in
            let width = object.fields.count
            guard let rows = self.once(Batch.joined(try self.rows(update.rows)), object) else {
                return try self.outcome("UPDATE 0", update.returning, nil)
            }
            let old = Batch(count: rows.count, columns: Array(rows.columns[0..<width]))
            let new = Batch(count: rows.count, columns: Array(rows.columns[width..<2 * width]))
            try self.checkNotNull(new, table)
            if !object.key.isEmpty { try self.checkFree(new, object, without: old) }
            self.current.changes[object.id, default: TableChanges()].remove(old)
            self.current.changes[object.id, default: TableChanges()].insert(new)
            return try self.outcome("UPDATE \(rows.count)", update.returning, rows)
        }
    }

    /// Of rows of a keyed table that a plan gives several times, the first.
    private func once(_ rows: Batch?, _ object: CatalogObject) -> Batch? {
        guard let rows, !object.key.isEmpty else { return rows }
        let kept = rows.firsts(object.key)
        return kept.count == rows.count ? rows : rows.rows(kept)
    }

    /// Changed keys must be free once the old rows are gone.
    private func checkFree(_ new: Batch, _ object: CatalogObject, without old: Batch) throws(SQLError) {
        let existing = existingRows(object, new)
        let types = object.fields.map(\.type)
        let seen = KeyedBatch(types: types, key: object.key)
        let leaving = KeyedBatch(types: types, key: object.key)
        leaving.add(old)
        let hashes = Hash.rows(object.key.map { new.columns[$0] }, count: new.count)
        for row in 0..<new.count {
            let isTaken = existing.places[row] != nil && leaving.find(new, row, hashes[row]) == nil
            if isTaken || seen.find(new, row, hashes[row]) != nil {
                throw DatabaseSession.duplicateKey(object, new, row, evaluation)
            }
            seen.add(new.rows([row]))
        }
    }

    func carryOut(_ delete: DeleteStatement) throws(SQLError) -> SQLOutcome {
        let (object, _) = try changedTable(delete.table)
        return try changing { () throws(SQLError) in
            guard let rows = self.once(Batch.joined(try self.rows(delete.rows)), object) else {
                return try self.outcome("DELETE 0", delete.returning, nil)
            }
            self.current.changes[object.id, default: TableChanges()].remove(rows.prefix(columns: object.fields.count))
            return try self.outcome("DELETE \(rows.count)", delete.returning, rows)
        }
    }

    func truncate(_ names: [String]) throws(SQLError) -> SQLOutcome {
        try changing { () throws(SQLError) in
            for name in names {
                let (object, _) = try self.changedTable(name)
                let rows = try self.snapshot(of: object)
                for batch in rows.batches { self.current.changes[object.id, default: TableChanges()].remove(batch) }
            }
            return (.done(tag: "TRUNCATE TABLE"), "TRUNCATE TABLE")
        }
    }
}

extension Batch {
    /// The first row of each key.
    func firsts(_ key: [Int]) -> [Int] {
        let keys = key.map { columns[$0] }
        let hashes = Hash.rows(keys, count: count)
        let index = RowIndex()
        var kept: [Int] = []
        for row in 0..<count {
            let isThere = index.first(hashes[row]) { other in keys.allSatisfy { $0.equals(row, $0, Int(other)) } } != nil
            if isThere { continue }
            index.insert(hashes[row], row: UInt32(truncatingIfNeeded: row))
            kept.append(row)
        }
        return kept
    }

    /// Two rows have one key.
    func repeats(_ key: [Int]) -> Bool { firsts(key).count < count }
}

/// Rows of a table, and for each row that is to be inserted, which of them has its key.
struct ExistingRows {
    var rows: Batch
    var places: [Int?]
}
