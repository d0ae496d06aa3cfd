internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// What becomes of rows whose key may be there already: ON CONFLICT of the statement, or what the table says.
struct KeyMerge {
    let object: CatalogObject
    let table: TableDefinition
    /// Ordinals: the primary key, or the UNIQUE constraint that ON CONFLICT names.
    let key: [Int]
    let conflict: InsertStatement.Conflict?
    let evaluation: EvaluationContext
    /// The first given row whose key was there.
    private(set) var firstConflict: Int?
    private(set) var removed: Batch?
    private(set) var inserted: Batch?

    private enum Rule { case error, doNothing, overwrite, ifNotNull, update([Expression], condition: Expression?) }

    init(
        object: CatalogObject, table: TableDefinition, key: [Int], conflict: InsertStatement.Conflict?, evaluation: EvaluationContext
    ) {
        self.object = object
        self.key = key
        self.table = table
        self.conflict = conflict
        self.evaluation = evaluation
    }

    private var rule: Rule {
        if let conflict {
            guard let row = conflict.row else { return .doNothing }
            return .update(row, condition: conflict.condition)
        }
        switch table.conflict ?? .error {
        case .error: return .error
        case .overwrite, .updateFull: return .overwrite
        case .doNothing: return .doNothing
        case .updateIfNotNull: return .ifNotNull
        }
    }

    var refusesConflicts: Bool { if case .error = rule { true } else { false } }

    /// Gives the rows that were put in or changed, as they then are.
    mutating func merge(_ rows: Batch, _ existing: ExistingRows) throws(SQLError) -> Batch {
        let types = object.fields.map(\.type)
        let hashes = Hash.rows(key.map { rows.columns[$0] }, count: rows.count)
        // Rows of this statement, by key; a later one of the same key finds it.
        let own = KeyedBatch(types: types, key: key)
        var gone: [Int] = []
        var placed: [Int] = []
        for row in 0..<rows.count {
            let mine = rows.hasNull(row, in: key) ? nil : own.find(rows, row, hashes[row])
            if mine == nil, existing.places[row] == nil {
                placed.append(own.count)
                own.add(rows.rows([row]))
                continue
            }
            firstConflict = firstConflict ?? row
            let there = mine.map { own.row($0) } ?? existing.rows.rows([existing.places[row] ?? 0])
            guard let next = try resolved(there, rows.rows([row]), isOwn: mine != nil) else { continue }
            if let mine {
                own.replace(mine, with: next)
            } else {
                gone.append(existing.places[row] ?? 0)
                placed.append(own.count)
                own.add(next)
            }
        }
        if !gone.isEmpty { removed = existing.rows.rows(gone) }
        let result = own.batch
        inserted = result.count > 0 ? result : nil
        return result.rows(placed)
    }

    /// The row that takes the place of the one that is there; nil: it stays.
    private func resolved(_ there: Batch, _ new: Batch, isOwn: Bool) throws(SQLError) -> Batch? {
        switch rule {
        case .error, .doNothing: return nil
        case .overwrite: return isOlder(new, there) ? nil : new
        case .ifNotNull:
            if isOlder(new, there) { return nil }
            return Batch(count: 1, columns: zip(there.columns, new.columns).map { $1.isNull(0) ? $0 : $1 })
        case .update(let expressions, let condition):
            if isOwn {
                throw SQLError(
                    SQLState("21000"), "ON CONFLICT DO UPDATE command cannot affect row a second time",
                    hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
            }
            let both = Batch(count: 1, columns: there.columns + new.columns)
            let errors = RowErrors()
            if let condition {
                let chosen = try ExpressionEvaluator(condition, context: evaluation).select(both, errors: errors)
                if let entry = errors.sorted.first { throw entry.error }
                if chosen.count == 0 { return nil }
            }
            var columns: [Column] = []
            for expression in expressions {
                columns.append(try ExpressionEvaluator(expression, context: evaluation).evaluate(both, errors: errors))
            }
            if let entry = errors.sorted.first { throw entry.error }
            return Batch(count: 1, columns: columns)
        }
    }

    /// By the version columns: an older row changes nothing.
    private func isOlder(_ new: Batch, _ there: Batch) -> Bool {
        for column in table.versionColumns {
            let sign = new.columns[column].compare(0, there.columns[column], 0)
            if sign != 0 { return sign < 0 }
        }
        return false
    }
}
