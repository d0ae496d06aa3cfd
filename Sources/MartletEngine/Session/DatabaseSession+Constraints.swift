internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// Rows of a table, and for each row that is to be inserted, which of them has its key.
struct ExistingRows {
    var rows: Batch
    var places: [Int?]
}

/// What a table asks of its rows. The tick in which a transaction ends asks again what other transactions may have changed.
extension DatabaseSession {
    /// Puts rows in; gives those that are then there, in the order given.
    func insert(
        _ rows: Batch, into object: CatalogObject, _ table: TableDefinition, _ conflict: InsertStatement.Conflict?
    ) throws(SQLError) -> (count: Int, rows: Batch) {
        try check(rows, table)
        let keys = table.uniqueKeys
        if let conflict, conflict.target.isEmpty, conflict.row == nil, keys.count > 1 || object.key.isEmpty {
            // DO NOTHING, whatever is in the way.
            let refused = try refusals(rows, keys, object, leaving: nil)
            let free = rows.rows(refused.indices.filter { refused[$0] == nil })
            try note(object, inserted: free)
            return (free.count, free)
        }
        let named = conflict.flatMap { conflict in keys.first { Set($0.columns) == Set(conflict.target) }?.columns }
        let arbiter = named ?? object.key
        let others = keys.filter { $0.columns != arbiter }
        guard !arbiter.isEmpty else {
            try checkFree(rows, others, object, without: nil)
            try note(object, inserted: rows)
            return (rows.count, rows)
        }
        let existing = try existingRows(object, rows, by: arbiter)
        if existing.rows.count == 0, !rows.repeats(arbiter) {
            try checkFree(rows, others, object, without: nil)
            try note(object, inserted: rows)
            return (rows.count, rows)
        }
        var merge = KeyMerge(object: object, table: table, key: arbiter, conflict: conflict, evaluation: evaluation)
        let placed = try merge.merge(rows, existing)
        if merge.refusesConflicts, let row = merge.firstConflict, let key = keys.first(where: { $0.columns == arbiter }) {
            throw SQLError.duplicate(key, object.fields, rows, row, evaluation)
        }
        if let changed = merge.inserted {
            try check(changed, table)
            try checkFree(changed, others, object, without: merge.removed)
        }
        try note(object, removed: merge.removed, inserted: merge.inserted)
        return (placed.count, placed)
    }

    // MARK: One row by itself

    /// NOT NULL, then CHECK.
    func check(_ rows: Batch, _ table: TableDefinition) throws(SQLError) {
        func failing(_ row: Int) -> String {
            let values = rows.row(row).map { $0.isNull ? "null" : $0.text(in: evaluation.zone) }
            return "Failing row contains (\(values.joined(separator: ", ")))."
        }
        for (ordinal, column) in table.columns.enumerated() where column.isNotNull || table.primaryKey.contains(ordinal) {
            guard rows.columns[ordinal].validity != nil else { continue }
            for row in 0..<rows.count where rows.columns[ordinal].isNull(row) {
                throw SQLError(
                    .notNullViolation, "null value in column \"\(column.name)\" of relation \"\(table.name)\" violates not-null constraint",
                    detail: failing(row))
            }
        }
        for (name, condition) in table.conditions(now: evaluation.now) {
            if let row = try rows.firstFailing(condition, evaluation) {
                throw SQLError(
                    .checkViolation, "new row for relation \"\(CatalogNames.parts(table.name).name)\" violates check constraint \"\(name)\"",
                    detail: failing(row))
            }
        }
    }

    // MARK: Rows among each other

    /// 23505 unless rows may come, as far as these keys are concerned, once the leaving ones are gone.
    func checkFree(
        _ rows: Batch, _ keys: [UniqueConstraint], _ object: CatalogObject, without leaving: Batch?
    ) throws(SQLError) {
        guard !keys.isEmpty else { return }
        let refused = try refusals(rows, keys, object, leaving: leaving)
        guard let row = refused.firstIndex(where: { $0 != nil }), let key = refused[row] else { return }
        throw SQLError.duplicate(key, object.fields, rows, row, evaluation)
    }

    /// For each row the key of which there is a row already: one that the transaction sees and that is not leaving, or an
    /// earlier one of `rows` that may come itself.
    private func refusals(
        _ rows: Batch, _ keys: [UniqueConstraint], _ object: CatalogObject, leaving: Batch?
    ) throws(SQLError) -> [UniqueConstraint?] {
        let types = object.fields.map(\.type)
        var refused = [UniqueConstraint?](repeating: nil, count: rows.count)
        for key in keys {
            let existing = try existingRows(object, rows, by: key.columns)
            let gone = KeyedBatch(types: types, key: key.columns)
            if let leaving { gone.add(leaving) }
            let hashes = Hash.rows(key.columns.map { rows.columns[$0] }, count: rows.count)
            for row in 0..<rows.count where refused[row] == nil && existing.places[row] != nil && !rows.hasNull(row, in: key.columns) {
                if gone.find(rows, row, hashes[row]) == nil { refused[row] = key }
            }
        }
        let seen = keys.map { key in
            (KeyedBatch(types: types, key: key.columns), Hash.rows(key.columns.map { rows.columns[$0] }, count: rows.count))
        }
        for row in 0..<rows.count where refused[row] == nil {
            for (key, (earlier, hashes)) in zip(keys, seen) where !rows.hasNull(row, in: key.columns) {
                if earlier.find(rows, row, hashes[row]) != nil { refused[row] = refused[row] ?? key }
            }
            if refused[row] == nil { for (earlier, _) in seen { earlier.add(rows.rows([row])) } }
        }
        return refused
    }

    /// The rows that the transaction sees with the same values in `key`: its own first, then stored ones that it has not removed.
    private func existingRows(_ object: CatalogObject, _ rows: Batch, by key: [Int]) throws(SQLError) -> ExistingRows {
        try checkForm(of: object)
        guard let stored = database.storedRows(object, rows, key: key) else { throw outdated() }
        guard let changes = current.changes[object.id], !changes.isUntouched else {
            return ExistingRows(rows: stored.rows, places: stored.places)
        }
        let types = object.fields.map(\.type)
        let keyed = changes.keyed(key, types)
        let hashes = Hash.rows(key.map { rows.columns[$0] }, count: rows.count)
        let found = KeyedBatch(types: types, key: key)
        var places: [Int?] = []
        for row in 0..<rows.count {
            if rows.hasNull(row, in: key) {
                places.append(nil)
            } else if let at = keyed.own.find(rows, row, hashes[row]) {
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
}

extension SQLError {
    /// 23505, as PostgreSQL says it.
    static func duplicate(
        _ key: UniqueConstraint, _ fields: [Field], _ batch: Batch, _ row: Int, _ context: EvaluationContext, isNew: Bool = true
    ) -> SQLError {
        let names = key.columns.map { fields[$0].name }.joined(separator: ", ")
        let values = key.columns.map { batch.columns[$0].value(at: row).text(in: context.zone) }.joined(separator: ", ")
        return SQLError(
            .uniqueViolation,
            isNew ? "duplicate key value violates unique constraint \"\(key.name)\"" : "could not create unique index \"\(key.name)\"",
            detail: "Key (\(names))=(\(values)) \(isNew ? "already exists" : "is duplicated").")
    }
}

extension Batch {
    /// The first row for which the condition is false; NULL is not. Throws where it cannot be computed.
    func firstFailing(_ condition: Expression, _ context: EvaluationContext) throws(SQLError) -> Int? {
        let errors = RowErrors()
        let column = try ExpressionEvaluator(condition, context: context).evaluate(self, errors: errors)
        let failing = (0..<count).first { !column.isNull($0) && column.bools[$0] == 0 }
        if let entry = errors.sorted.first, failing.map({ entry.row < $0 }) ?? true { throw entry.error }
        return failing
    }
}
