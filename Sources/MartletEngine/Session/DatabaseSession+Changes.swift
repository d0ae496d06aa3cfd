internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// INSERT, UPDATE, DELETE, TRUNCATE: computed from what the transaction sees, kept with it, judged again by the tick in
/// which it ends.
extension DatabaseSession {
    /// The table of a statement (`verb`), which may be changed.
    func changedTable(_ name: String, _ verb: String) throws(SQLError) -> (CatalogObject, TableDefinition) {
        guard let object = boundCatalog()[name], case .table(let table) = object.kind else {
            throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist")
        }
        if current.isReadOnly { throw SQLError(SQLState("25006"), "cannot execute \(verb) in a read-only transaction") }
        return (object, table)
    }

    /// Carries a change out, so that an implicit transaction of this statement alone can do it over.
    func changing(_ body: @escaping () throws(SQLError) -> (SQLOutcome, told: Told)) throws(SQLError) -> SQLOutcome {
        current.changingStatements += 1
        current.redo = { () throws(SQLError) in try body().told }
        let (outcome, told) = try body()
        current.told = told
        return outcome
    }

    /// Keeps what a statement does to a table with the transaction; all of it must be of one form.
    func note(_ object: CatalogObject, removed: Batch? = nil, inserted: Batch? = nil) throws(SQLError) {
        try checkForm(of: object)
        if let removed { current.changes[object.id, default: TableChanges(form: object.form)].remove(removed) }
        if let inserted { current.changes[object.id, default: TableChanges(form: object.form)].insert(inserted) }
    }

    /// Throws where the transaction has changed the table while it had another form.
    func checkForm(of object: CatalogObject) throws(SQLError) {
        if let form = current.changes[object.id]?.form, form != object.form { throw outdated() }
    }

    private func outcome(
        _ tag: String, _ returning: Returning?, _ rows: Batch?
    ) throws(SQLError) -> (SQLOutcome, told: Told) {
        guard let returning else { return (.done(tag: tag), Told(tag: tag)) }
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
        let returned = Batch(count: given.count, columns: columns)
        return (.rows(BatchCursor(returning.fields, [returned]) { _ in tag }), Told(tag: tag, rows: returned))
    }

    // MARK: INSERT

    func carryOut(_ insert: InsertStatement) throws(SQLError) -> SQLOutcome {
        let (object, table) = try changedTable(insert.table, "INSERT")
        return try changing { () throws(SQLError) in
            guard let rows = Batch.joined(try self.rows(insert.rows)) else {
                return try self.outcome("INSERT 0 0", insert.returning, nil)
            }
            let placed = try self.insert(rows, into: object, table, insert.conflict)
            return try self.outcome("INSERT 0 \(placed.count)", insert.returning, placed.rows)
        }
    }

    // MARK: UPDATE, DELETE, TRUNCATE

    func carryOut(_ update: UpdateStatement) throws(SQLError) -> SQLOutcome {
        let (object, table) = try changedTable(update.table, "UPDATE")
        return try changing { () throws(SQLError) in
            let width = object.fields.count
            guard let rows = self.once(Batch.joined(try self.rows(update.rows)), object) else {
                return try self.outcome("UPDATE 0", update.returning, nil)
            }
            let old = Batch(count: rows.count, columns: Array(rows.columns[0..<width]))
            let new = Batch(count: rows.count, columns: Array(rows.columns[width..<2 * width]))
            try self.check(new, table)
            try self.checkFree(new, table.uniqueKeys, object, without: old)
            try self.note(object, removed: old, inserted: new)
            return try self.outcome("UPDATE \(rows.count)", update.returning, rows)
        }
    }

    /// Of rows of a keyed table that a plan gives several times, the first.
    private func once(_ rows: Batch?, _ object: CatalogObject) -> Batch? {
        guard let rows, !object.key.isEmpty else { return rows }
        let kept = rows.firsts(object.key)
        return kept.count == rows.count ? rows : rows.rows(kept)
    }

    func carryOut(_ delete: DeleteStatement) throws(SQLError) -> SQLOutcome {
        let (object, _) = try changedTable(delete.table, "DELETE")
        return try changing { () throws(SQLError) in
            guard let rows = self.once(Batch.joined(try self.rows(delete.rows)), object) else {
                return try self.outcome("DELETE 0", delete.returning, nil)
            }
            try self.note(object, removed: rows.prefix(columns: object.fields.count))
            return try self.outcome("DELETE \(rows.count)", delete.returning, rows)
        }
    }

    /// Numbers begin anew at once, as they are drawn: whatever becomes of the transaction.
    func truncate(_ names: [String], restartsIdentity: Bool) throws(SQLError) -> SQLOutcome {
        try changing { () throws(SQLError) in
            for name in names {
                let (object, table) = try self.changedTable(name, "TRUNCATE TABLE")
                if restartsIdentity, let identity = table.columns.lazy.compactMap(\.identity).first {
                    self.database.identities.set(object.id, next: identity.start, identity)
                    try self.database.keepNumbers(self.limits)
                }
                let rows = try self.snapshot(of: object)
                for batch in rows.batches { try self.note(object, removed: batch) }
            }
            return (.done(tag: "TRUNCATE TABLE"), Told(tag: "TRUNCATE TABLE"))
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
