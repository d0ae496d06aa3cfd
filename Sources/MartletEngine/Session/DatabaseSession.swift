internal import MartletColumns
package import MartletCore
internal import MartletSQL

extension Database: SQLService {
    package func open(_ client: SessionClient) throws(SQLError) -> any SQLSession { DatabaseSession(self, client) }
}

/// A text that was prepared: parsed, its types settled; it is bound anew, with values, each time it is carried out.
final class SessionStatementText: PreparedStatement {
    let text: String
    let prepared: PreparedText
    let fields: [Field]?
    let madeMicros: Int64
    /// By PREPARE.
    var isFromSQL = false

    init(_ text: String, _ prepared: PreparedText, fields: [Field]?, madeMicros: Int64) {
        self.text = text
        self.prepared = prepared
        self.fields = fields
        self.madeMicros = madeMicros
    }

    var parameterTypes: [DataType] { prepared.parameterTypes }
    var isEmpty: Bool { prepared.shape == nil }

    /// nil inside: it was looked at, and is no keyed read.
    private var known: (read: KeyedRead?, generation: Int)?

    /// It as a read of one key, if it is one.
    func keyed(_ session: DatabaseSession) -> KeyedRead? {
        let generation = session.parameters.generation
        if let known, known.generation == generation { return known.read }
        let catalog = session.boundCatalog()
        let context = session.evaluation
        let read = KeyedRead(prepared, catalog, session.database.visible) { values in (try? prepared.bound(values, catalog: catalog.sql, context: context)) ?? nil }
        known = (read, generation)
        return read
    }

    /// The keyed read that it is known to be, under these settings and as long as the catalog is the same.
    func current(_ generation: Int) -> KeyedRead? {
        guard let known, known.generation == generation, let read = known.read, read.isCurrent else { return nil }
        return read
    }

    func forgetKeyed() { known = nil }
    var isQuick: Bool { known?.read?.isCurrent == true }
}

/// One client's conversation with a database.
///
/// What it changes is computed from snapshots on the session's own thread, kept beside them (`Transaction`), and enters one
/// tick when the transaction ends; the tick judges whether the rows it was computed from still stand.
/// Calls come one at a time; `cancel` from any thread touches only `limits`.
final class DatabaseSession: SQLSession {
    let database: Database
    let client: SessionClient
    let limits: StatementLimits
    let signal: any WaitSignal
    let drawn = DrawnNumbers()
    var parameters: SessionParameters
    var current = Transaction(isExplicit: false)
    var cursors: [String: HeldCursor] = [:]
    var places: [String: SubscriptionPlace] = [:]
    var statements: [String: any PreparedStatement] = [:]
    private var notices: [SQLNotice] = []
    /// What `evaluation` made last, and of what.
    private var seenEvaluation: (version: UInt64, generation: Int, context: EvaluationContext)?
    /// What the parameters bound a statement to.
    private var seenLimits: (generation: Int, timeoutMicros: Int64, memoryMax: Int)?
    /// What the ledger was told last.
    private var told: (state: String, micros: Int64)?
    private let number: Int
    /// What the statement that is being carried out is bound to, so that all of it sees one catalog.
    private var bound: DatabaseCatalog?
    /// The statement has met a relation of another form than it is bound to.
    private var isOutdated = false
    /// The instant that now() means: the transaction's beginning.
    var now: Int64 = 0

    init(_ database: Database, _ client: SessionClient) {
        self.database = database
        self.client = client
        limits = StatementLimits(clock: database.surroundings.clock)
        signal = database.surroundings.makeSignal()
        let (limits, signal) = (limits, signal)
        number = database.ledger.opened(client, at: database.surroundings.clock.wallMicros()) {
            limits.cancel()
            signal.notify()
        }
        parameters = SessionParameters(user: client.user)
        for (name, value) in client.parameters.sorted(by: { $0.key < $1.key }) where SessionParameters.defaults[name] != nil {
            parameters.begin(name, value)
        }
    }

    // MARK: SQLSession

    var transaction: TransactionStatus {
        if !current.isExplicit { return .idle }
        return current.isFailed ? .failed : .open
    }

    var evaluation: EvaluationContext {
        let version = current.view?.catalog.version ?? database.visible.version
        if let seen = seenEvaluation, seen.version == version, seen.generation == parameters.generation {
            var context = seen.context
            context.now = now
            return context
        }
        let context = makeEvaluation()
        seenEvaluation = (version, parameters.generation, context)
        return context
    }

    private func makeEvaluation() -> EvaluationContext {
        var context = database.options.evaluation
        context.zone = context.zone(named: parameters["timezone"] ?? "UTC") ?? .utc
        context.now = now
        context.catalog = SessionFunctions(
            facts: SystemFacts(catalog: boundCatalog(), client: client, parameters: parameters, database: database), limits: limits, drawn: drawn)
        return context
    }

    var relations: [RelationFacts] {
        boundCatalog().all.compactMap { object in
            var isFollowable = true
            switch object.kind {
            case .sink: return nil
            case .source, .view, .side: isFollowable = false
            case .table, .materializedView: break
            }
            return RelationFacts(
                name: object.name, kind: object.noun, fields: object.fields, key: object.key, isFollowable: isFollowable)
        }
    }

    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] { try PreparedText.split(text) }

    func takeNotices() -> [SQLNotice] {
        defer { notices = [] }
        return notices
    }

    func takeParameters() -> [(name: String, value: String)] { parameters.takeReports() }

    func cancel() {
        limits.cancel()
        signal.notify()
    }

    func close() {
        database.ledger.closed(number)
        for place in places.values { unfollow(place.place.relation) }
        places = [:]
        current = Transaction(isExplicit: false)
        cursors = [:]
        statements = [:]
    }

    /// The client is to speak next.
    func rest() {
        let state = !current.isExplicit ? "idle" : current.isFailed ? "idle in transaction (aborted)" : "idle in transaction"
        let micros = database.surroundings.clock.wallMicros()
        // Of reads by key, one after the other, the ledger hears from time to time.
        if let told, told.state == state, micros - told.micros < DatabaseSession.restMicros { return }
        tell(state, at: micros)
    }

    /// Tells the ledger what the session is doing. `statement` nil: the last one stays what it was.
    private func tell(_ state: String, statement: String? = nil, at micros: Int64) {
        told = (state, micros)
        database.ledger.entered(number, state, statement: statement, at: micros)
    }

    private static let restMicros: Int64 = 100_000

    func notice(_ message: String, severity: String = "NOTICE", state: SQLState = .successfulCompletion) {
        notices.append(SQLNotice(severity: severity, SQLError(state, message)))
    }

    /// For `pg_cursors` and `pg_prepared_statements`.
    var facts: SessionFacts {
        SessionFacts(
            cursors: cursors.sorted { $0.key < $1.key }.map {
                SessionFacts.Cursor(name: $0.key, text: $0.value.text, isHeld: $0.value.isHeld, madeMicros: $0.value.madeMicros)
            },
            statements: statements.sorted { $0.key < $1.key }.compactMap { name, statement in
                guard !name.isEmpty, let statement = statement as? SessionStatementText else { return nil }
                return SessionFacts.Statement(
                    name: name, text: statement.text, parameterTypes: statement.parameterTypes, madeMicros: statement.madeMicros,
                    isFromSQL: statement.isFromSQL)
            })
    }

    // MARK: Preparing

    /// What statements are bound against: the catalog that the transaction sees.
    func boundCatalog() -> DatabaseCatalog {
        var catalog = current.view?.catalog ?? bound ?? database.visible.catalog
        catalog.sql.searchPath = parameters.searchPath
        let visible = database.visible
        catalog.sql.rowCounts = { name in
            visible.locked { content in content.catalog[name].flatMap { content.stores[$0.id]?.rowCount } }
        }
        return catalog
    }

    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any PreparedStatement {
        do {
            return try prepared(text, parameterTypes: parameterTypes)
        } catch {
            if current.isExplicit { current.isFailed = true }
            throw error
        }
    }

    private func prepared(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> SessionStatementText {
        startClock()
        let prepared = try PreparedText(text, catalog: boundCatalog().sql, context: evaluation, parameterTypes: parameterTypes)
        for message in prepared.notices { notice(message) }
        for message in prepared.warnings { notice(message, severity: "WARNING", state: .warning) }
        if current.isFailed, let shape = prepared.shape, !shape.endsTransaction { throw DatabaseSession.failedTransaction }
        var fields: [Field]?
        if let shape = prepared.shape { fields = try self.fields(of: shape) }
        return SessionStatementText(text, prepared, fields: fields, madeMicros: database.surroundings.clock.wallMicros())
    }

    func startClock() {
        if current.isExplicit, current.view != nil { return }
        now = database.surroundings.clock.wallMicros()
    }

    static let failedTransaction = SQLError(
        SQLState("25P02"), "current transaction is aborted, commands ignored until end of transaction block")

    // MARK: Carrying out

    func execute(_ statement: any PreparedStatement, parameters values: [Value]) throws(SQLError) -> SQLOutcome {
        guard let prepared = statement as? SessionStatementText else {
            throw SQLError(.internalError, "a statement of another session")
        }
        startClock()
        beginLimits()
        if let rows = keyedRows(prepared, values) { return .rows(rows) }
        tell("active", statement: prepared.text, at: now)
        do throws(SQLError) {
            let outcome = try carryOut(prepared, values)
            if current.redo != nil, !current.isExplicit { doOverWhole(prepared, values) }
            return outcome
        } catch {
            if current.isExplicit { current.isFailed = true }
            throw error
        }
    }

    /// What is done over is bound anew: meanwhile a table may have got another form.
    private func doOverWhole(_ prepared: SessionStatementText, _ values: [Value]) {
        current.redo = { [unowned self] () throws(SQLError) in
            current.changingStatements = 0
            _ = try carryOut(prepared, values)
            doOverWhole(prepared, values)
            return current.told ?? Told(tag: "")
        }
    }

    /// Binds a statement and carries it out; again where a table has got another form between the two.
    private func carryOut(_ prepared: SessionStatementText, _ values: [Value]) throws(SQLError) -> SQLOutcome {
        defer { bound = nil }
        let changing = current.changingStatements
        for _ in 1..<DatabaseSession.bindingsMax {
            isOutdated = false
            do throws(SQLError) {
                return try carryOutOnce(prepared, values)
            } catch {
                guard isOutdated else { throw error }
                current.changingStatements = changing
            }
        }
        return try carryOutOnce(prepared, values)
    }

    private static let bindingsMax = 10

    private func carryOutOnce(_ prepared: SessionStatementText, _ values: [Value]) throws(SQLError) -> SQLOutcome {
        bound = database.visible.catalog
        guard let statement = try prepared.prepared.bound(values, catalog: boundCatalog().sql, context: evaluation) else {
            return .done(tag: "")
        }
        if current.isFailed, !statement.endsTransaction { throw DatabaseSession.failedTransaction }
        return try carryOut(statement, text: prepared.text)
    }

    /// What to throw where a relation has another form than the statement is bound to.
    func outdated() -> SQLError {
        isOutdated = true
        return DatabaseSession.conflict
    }

    private func beginLimits() {
        let given: (generation: Int, timeoutMicros: Int64, memoryMax: Int)
        if let known = seenLimits, known.generation == parameters.generation {
            given = known
        } else {
            given = (
                parameters.generation, SessionParameters.micros(parameters["statement_timeout"] ?? "0") ?? 0,
                SessionParameters.bytes(parameters["statement_memory_limit"] ?? "") ?? .max
            )
            seenLimits = given
        }
        limits.begin(timeoutMicros: given.timeoutMicros, memoryMax: given.memoryMax)
    }

    func carryOut(_ statement: BoundStatement, text: String) throws(SQLError) -> SQLOutcome {
        switch statement {
        case .select(let query): return .rows(try cursor(query))
        case .createSource, .createView, .createMaterializedView, .createSink: return try define(text)
        case .skipped(let message):
            notice(message, state: .duplicateTable)
            return .done(tag: DatabaseSession.tag(of: text))
        case .explain(let plan): return .rows(explanation(plan))
        case .set(let set): return try self.set(set)
        case .show(let name): return .rows(try show(name))
        case .session(let session): return try carryOut(session, text: text)
        }
    }

    /// Definitions take effect at once: they are no part of a transaction.
    func define(_ text: String) throws(SQLError) -> SQLOutcome {
        if current.isExplicit {
            notice("definitions take effect at once and are not undone by ROLLBACK", severity: "WARNING", state: .warning)
        }
        try commitChanges()
        bound = nil
        let answer = try request(.define(DefinitionText(text: text, searchPath: parameters.searchPath, isBackground: parameters["background_ddl"] == "true")))
        for message in answer.notices { notice(message) }
        return .done(tag: answer.tag)
    }

    /// Asks the next tick and waits for its answer.
    func request(_ request: Request) throws(SQLError) -> Answer {
        switch try ask(request) {
        case .done(let answer): return answer
        case .refused(let error): throw error
        case .conflict: throw DatabaseSession.conflict
        }
    }

    func ask(_ request: Request) throws(SQLError) -> Verdict {
        let ticket = Ticket(signal)
        database.queue.put(request, ticket)
        database.surroundings.wake()
        if case .define = request {
            // Filling may take long: who no longer wants it says so, and learns what became of it.
            while true {
                if let verdict = ticket.wait(timeoutNanos: 20_000_000, while: { limits.reason == nil }) { return verdict }
                guard let reason = limits.reason else { continue }
                database.queue.put(.abandon(.creation(ticket)), Ticket(database.surroundings.makeSignal()))
                database.surroundings.wake()
                guard let verdict = ticket.wait() else { throw reason }
                if case .refused = verdict { throw reason }
                return verdict
            }
        }
        if case .flush = request {
            // It changes nothing: whoever no longer wants to wait may go.
            while true {
                try limits.check()
                if let verdict = ticket.wait(timeoutNanos: 20_000_000, while: { limits.reason == nil }) { return verdict }
            }
        }
        // Once it is on its way nobody can call it back: the answer tells what became of it.
        guard let verdict = ticket.wait() else { throw SQLError(.internalError, "a request without an answer") }
        return verdict
    }

    static let conflict = SQLError(
        .serializationFailure, "could not serialize access due to concurrent update", hint: "The transaction might succeed if retried.")
}
