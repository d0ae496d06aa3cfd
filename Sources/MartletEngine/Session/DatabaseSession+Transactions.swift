internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// A transaction of a session: explicit (BEGIN), or what one text or pipeline of statements does.
struct Transaction {
    var isExplicit: Bool
    var isReadOnly = false
    var isFailed = false
    /// What it reads: settled by its first statement that reads or changes rows, and the same until its end.
    var view: ReadView?
    var changes: [RelationID: TableChanges] = [:]
    var savepoints: [(name: String, changes: [RelationID: TableChanges])] = []
    /// Of an implicit transaction of one statement, what can be done over where others were faster.
    var redo: (() throws(SQLError) -> Told)?
    var told: Told?
    var changingStatements = 0

    init(isExplicit: Bool) { self.isExplicit = isExplicit }

    /// Nothing was read or changed in it.
    var isUntouched: Bool { view == nil && changes.isEmpty && savepoints.isEmpty && redo == nil && !isFailed && !isReadOnly && changingStatements == 0 }
    var hasChanges: Bool { changes.contains { !$0.value.isUntouched } }
}

/// What a statement's client was told it did.
struct Told {
    var tag: String
    /// Of RETURNING.
    var rows: Batch?

    func isSame(as other: Told?) -> Bool {
        guard let other, tag == other.tag, rows?.count == other.rows?.count else { return false }
        guard let rows, let others = other.rows else { return true }
        return zip(rows.columns, others.columns).allSatisfy { own, other in (0..<rows.count).allSatisfy { own.equals($0, other, $0) } }
    }
}

extension DatabaseSession {
    func carryOut(_ statement: TransactionStatement) throws(SQLError) -> SQLOutcome {
        switch statement {
        case .begin(let isReadOnly):
            if current.isExplicit {
                notice("there is already a transaction in progress", severity: "WARNING", state: SQLState("25001"))
                return .done(tag: "BEGIN")
            }
            try commitChanges()
            current = Transaction(isExplicit: true)
            current.isReadOnly = isReadOnly || parameters["default_transaction_read_only"] == "on"
            now = database.surroundings.clock.wallMicros()
            return .done(tag: "BEGIN")
        case .commit(let chain):
            guard current.isExplicit else {
                notice("there is no transaction in progress", severity: "WARNING", state: SQLState("25P01"))
                return .done(tag: "COMMIT")
            }
            if current.isFailed { return rollBack(chain: chain) }
            let isReadOnly = current.isReadOnly
            defer { endTransaction(chain: chain, isReadOnly: isReadOnly) }
            try commitChanges()
            return .done(tag: "COMMIT")
        case .rollback(let chain):
            if !current.isExplicit { notice("there is no transaction in progress", severity: "WARNING", state: SQLState("25P01")) }
            return rollBack(chain: chain)
        case .savepoint(let name):
            guard current.isExplicit else { throw DatabaseSession.onlyInTransaction("SAVEPOINT") }
            current.savepoints.append((name, current.changes))
            return .done(tag: "SAVEPOINT")
        case .release(let name):
            current.savepoints.removeSubrange(try savepoint(name, "RELEASE SAVEPOINT")...)
            return .done(tag: "RELEASE")
        case .rollbackTo(let name):
            let place = try savepoint(name, "ROLLBACK TO SAVEPOINT")
            current.changes = current.savepoints[place].changes
            current.savepoints.removeSubrange((place + 1)...)
            current.isFailed = false
            return .done(tag: "ROLLBACK")
        case .characteristics(let isReadOnly):
            if let isReadOnly, current.isExplicit { current.isReadOnly = isReadOnly }
            return .done(tag: "SET")
        }
    }

    private static func onlyInTransaction(_ what: String) -> SQLError {
        SQLError(SQLState("25P01"), "\(what) can only be used in transaction blocks")
    }

    private func savepoint(_ name: String, _ what: String) throws(SQLError) -> Int {
        guard current.isExplicit else { throw DatabaseSession.onlyInTransaction(what) }
        guard let place = current.savepoints.lastIndex(where: { $0.name == name }) else {
            throw SQLError(SQLState("3B001"), "savepoint \"\(name)\" does not exist")
        }
        return place
    }

    private func rollBack(chain: Bool) -> SQLOutcome {
        endTransaction(chain: chain, isReadOnly: current.isReadOnly)
        return .done(tag: "ROLLBACK")
    }

    private func endTransaction(chain: Bool, isReadOnly: Bool) {
        let chained = chain && current.isExplicit
        current = Transaction(isExplicit: chained)
        current.isReadOnly = chained && isReadOnly
        cursors = cursors.filter { $0.value.isHeld }
    }

    func endImplicit(failed: Bool) throws(SQLError) {
        defer { rest() }
        // A read by key leaves nothing to be ended.
        if current.isExplicit || current.isUntouched && cursors.isEmpty { return }
        defer {
            current = Transaction(isExplicit: false)
            cursors = cursors.filter { $0.value.isHeld }
        }
        if failed { return }
        try commitChanges()
    }

    /// How often a statement is computed anew where others were faster.
    private static let attemptsMax = 100

    /// Lets the transaction's changes enter a tick, all of them. An implicit transaction of one statement is computed anew
    /// where its rows have changed meanwhile, as long as its result stays what the client was told.
    func commitChanges() throws(SQLError) {
        defer {
            current.changes = [:]
            current.view = nil
            current.savepoints = []
            current.redo = nil
        }
        var attempts = 0
        while true {
            var writes: [TableWrite] = []
            for (table, changes) in current.changes.sorted(by: { $0.key < $1.key }) {
                let (removed, inserted) = changes.net
                if removed.isEmpty, inserted.isEmpty { continue }
                writes.append(TableWrite(table: table, form: changes.form, removed: removed, inserted: inserted))
            }
            if writes.isEmpty { return }
            switch try ask(.write(writes)) {
            case .done: return
            case .refused(let error): throw error
            case .conflict:
                attempts += 1
                guard !current.isExplicit, current.changingStatements == 1, let redo = current.redo,
                    attempts < DatabaseSession.attemptsMax
                else { throw DatabaseSession.conflict }
                // What was in the way has to be seen first.
                _ = try request(.flush)
                current.changes = [:]
                current.view = nil
                let told = current.told
                guard try redo().isSame(as: told) else { throw DatabaseSession.conflict }
            }
        }
    }
}

extension BoundStatement {
    /// Allowed in a transaction that has failed.
    var endsTransaction: Bool {
        switch self {
        case .session(.transaction(.commit)), .session(.transaction(.rollback)), .session(.transaction(.rollbackTo)): true
        default: false
        }
    }
}
