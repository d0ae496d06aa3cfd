internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL
internal import Synchronization

/// What a PostgreSQL sink writes to, and how.
struct PostgresSettings {
    /// libpq's keywords and values.
    var connection: [(String, String)]
    var schema: String
    var table: String
    /// In the order of the sink's fields.
    var columns: [String]
    /// Ordinals of the columns whose values name a row; empty: rows are only added.
    var key: [Int]
    var ignoresDeletes: Bool
}

/// A table of a PostgreSQL server. The rows of one or more ticks and the last one's number are one transaction there, so that
/// PostgreSQL itself says what it has, whichever side dies when: the number stands in the table `martlet_sinks` beside the
/// target.
///
/// With a key, rows replace those of the same key, and rows that a view takes back are deleted; of a transaction's changes to
/// one key only the last counts. Used by one thread at a time, but for `abandon`.
///
/// Rows are taken whether or not the server is there; what it has is asked before the first of them goes, and ticks that it
/// has are left out, so that a sink whose server is away at the start costs nobody else anything.
final class PostgresTarget: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let settings: PostgresSettings
    /// Rows that the server refuses for what is in them go there.
    private let refused: RefusedRows?
    /// Waits for a server that is away, or that refuses the rows, however long; else the machine learns of it.
    private let isPatient: Bool
    private let isAbandoned = Atomic<Bool>(false)
    private let gate = PostgresGate()
    /// Nothing that the server has under this name is of this sink's making.
    private var isNew = false
    private var connection: PostgresConnection?
    /// Whose ticks are counted: the pipeline's own name in the world.
    private var owner = ""
    /// The last tick that PostgreSQL has, as far as was asked.
    private var durable: UInt64 = 0
    private var ended: UInt64 = 0
    /// Of the tick under way.
    private var staged: [(row: [String], isDeletion: Bool)] = []
    /// Since the last commit: the rows, as literals in parentheses without the parentheses, and about their bytes.
    private var added: [String] = []
    private var bytes = 0
    /// With a key: the last change of each, in the order in which the keys came. nil: the row is gone.
    private var keys: [String] = []
    private var changes: [String: String?] = [:]

    /// A statement is sent when it has about this many bytes.
    private static let statementBytesMax = 1 << 20
    /// No tick joins a transaction of this many bytes.
    private static let transactionBytesMax = 4 << 20

    init(_ name: String, _ settings: PostgresSettings, isPatient: Bool, refused: RefusedRows?) {
        self.refused = refused
        self.isPatient = isPatient
        self.name = name
        self.settings = settings
    }

    func makeEncoder() -> any RowEncoder { PostgresEncoder() }

    // MARK: Where it stands

    func resume(_ start: SinkStart) throws(SQLError) -> UInt64 {
        owner = start.pipeline
        isNew = start.isNew
        do throws(SQLError) {
            try connect()
        } catch {
            guard isPatient else { throw error }
            return start.isNew ? 0 : start.mark?.tick ?? 0
        }
        ended = durable
        return durable
    }

    func abandon() {
        isAbandoned.store(true, ordering: .relaxed)
        gate.shut()
    }

    func interrupt() { gate.shut() }

    /// Throws what a server that is there says against this sink: no such table, wrong password. One that is away may come.
    func check(timeoutSeconds: Int) throws(SQLError) {
        var parameters = settings.connection.filter { $0.0 != "connect_timeout" }
        parameters.append(("connect_timeout", "\(timeoutSeconds)"))
        do throws(SQLError) {
            connection = try PostgresConnection(parameters, subject: "sink \"\(name)\"")
        } catch {
            // libpq gives no SQLSTATE for a connection that was refused by the server itself.
            let passing = ["starting up", "shutting down", "recovery", "too many", "slots are reserved"]
            guard error.message.contains("FATAL: "), !passing.contains(where: error.message.contains) else { return }
            throw SQLError(SQLState("08004"), error.message)
        }
        do throws(SQLError) {
            try withConnection { connection throws(SQLError) in try connection.execute(readable) }
        } catch {
            if !error.isTransient { throw error }
        }
    }

    private var ticks: String { "\(PostgresTarget.quoted(settings.schema)).martlet_sinks" }
    private var target: String { "\(PostgresTarget.quoted(settings.schema)).\(PostgresTarget.quoted(settings.table))" }
    private var readable: String {
        "SELECT \(settings.columns.map(PostgresTarget.quoted).joined(separator: ", ")) FROM \(target) LIMIT 0"
    }
    private var isOurs: String { "pipeline = \(PostgresTarget.literal(owner)) AND sink = \(PostgresTarget.literal(name))" }

    /// Connects if there is no connection, and learns what the server has: after a lost one a commit may or may not have
    /// been carried out.
    private func connect() throws(SQLError) {
        guard connection == nil else { return }
        let opened = try PostgresConnection(settings.connection, subject: "sink \"\(name)\"", gate: gate)
        // A session that turned it off would acknowledge what a crash of the server loses.
        try opened.execute(
            """
            SET synchronous_commit = on; SET client_min_messages = error; SET datestyle = ISO; SET intervalstyle = postgres; \
            SET timezone = 'UTC'
            """)
        try opened.execute(
            "CREATE TABLE IF NOT EXISTS \(ticks) (pipeline text, sink text, tick bigint NOT NULL, PRIMARY KEY (pipeline, sink))")
        // Fails here, at the start, if there is no such table or column.
        try opened.execute(readable)
        if isNew { try opened.execute("DELETE FROM \(ticks) WHERE \(isOurs)") }
        isNew = false
        try opened.execute("SELECT tick FROM \(ticks) WHERE \(isOurs)")
        durable = max(durable, opened.value.flatMap { UInt64($0) } ?? 0)
        connection = consume opened
    }

    private func withConnection(_ body: (borrowing PostgresConnection) throws(SQLError) -> Void) throws(SQLError) {
        try connect()
        do throws(SQLError) {
            try body(connection!)
        } catch {
            // Whatever it was, what is left of the transaction goes with the connection.
            connection = nil
            throw error
        }
    }

    // MARK: Rows

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd {
                let isDeletion = try reader.readUInt8() == PostgresEncoder.delete
                var literals: [String] = []
                for _ in settings.columns {
                    let count = try reader.readLittle(UInt32.self)
                    literals.append(
                        count == .max ? "NULL" : PostgresTarget.literal(String(decoding: try reader.read(Int(count)), as: UTF8.self)))
                }
                if !(isDeletion && settings.ignoresDeletes) { staged.append((literals, isDeletion)) }
            }
        } catch {
            throw SQLError(.internalError, "sink \"\(name)\": \(error)")
        }
    }

    private func take(_ literals: [String], isDeletion: Bool) {
        let row = literals.joined(separator: ", ")
        bytes += row.utf8.count
        guard !settings.key.isEmpty else { return added.append(row) }
        let key = settings.key.map { literals[$0] }.joined(separator: ", ")
        if changes.updateValue(isDeletion ? nil : row, forKey: key) == nil { keys.append(key) }
    }

    func endTick(_ tick: UInt64, isFollowed: Bool) throws(SQLError) {
        if isAbandoned.load(ordering: .relaxed) { return forget() }
        try connectPatiently()
        // After an absence the server may have more than was known.
        if tick > durable {
            // Of a key's rows the one that stays counts, whichever shard told of it first.
            for leaves in [true, false] { for (row, isDeletion) in staged where isDeletion == leaves { take(row, isDeletion: isDeletion) } }
        }
        staged = []
        ended = max(ended, tick)
        // Behind, several ticks go in one transaction: PostgreSQL's sync is then shared by them.
        if isFollowed && bytes < PostgresTarget.transactionBytesMax { return }
        try commit()
    }

    private func connectPatiently() throws(SQLError) {
        do throws(SQLError) {
            try connect()
        } catch {
            guard isPatient, !error.isTransient else { throw error }
            throw SQLError(.connectionException, "the server refuses the sink: \(error.message) (\(error.state.code))")
        }
    }

    private func commit() throws(SQLError) {
        if ended > durable { try connectPatiently() }
        if ended > durable {
            do throws(SQLError) {
                try withConnection { connection throws(SQLError) in
                    try connection.execute("BEGIN")
                    for statement in statements(bytesMax: PostgresTarget.statementBytesMax) { try connection.execute(statement) }
                    try connection.execute(noteAndCommit)
                }
            } catch {
                guard refused != nil, error.isOfARow else { throw patiently(error) }
                try sendOneByOne()
            }
            durable = ended
        }
        forget()
    }

    private var noteAndCommit: String {
        """
        INSERT INTO \(ticks) VALUES (\(PostgresTarget.literal(owner)), \(PostgresTarget.literal(name)), \(ended)) \
        ON CONFLICT (pipeline, sink) DO UPDATE SET tick = EXCLUDED.tick; COMMIT
        """
    }

    /// Who is patient waits, too, until somebody has mended what the server objects to.
    private func patiently(_ error: SQLError) -> SQLError {
        guard isPatient, !error.isTransient else { return error }
        return SQLError(.connectionException, "the server refuses the rows: \(error.message) (\(error.state.code))")
    }

    /// The same changes, each by itself; those that the server refuses become dead letters, which are kept before the rest is
    /// true. (A crash in between makes them twice; the rows never.)
    private func sendOneByOne() throws(SQLError) {
        var letters: [(statement: String, error: SQLError)] = []
        do throws(SQLError) {
            try withConnection { connection throws(SQLError) in
                try connection.execute("BEGIN")
                for statement in statements(bytesMax: 0) {
                    try connection.execute("SAVEPOINT row")
                    do throws(SQLError) {
                        try connection.execute(statement)
                        try connection.execute("RELEASE SAVEPOINT row")
                    } catch {
                        guard error.isOfARow else { throw error }
                        try connection.execute("ROLLBACK TO SAVEPOINT row")
                        letters.append((statement, error))
                    }
                }
                try refused?.keep(letters)
                try connection.execute(noteAndCommit)
            }
        } catch {
            throw patiently(error)
        }
    }

    private func forget() {
        staged = []
        added = []
        keys = []
        changes = [:]
        bytes = 0
    }

    /// - Parameter bytesMax: a statement is complete when it has so many; 0: each row is one.
    private func statements(bytesMax: Int) -> [String] {
        var statements: [String] = []
        let columns = settings.columns.map(PostgresTarget.quoted)
        let insert = "INSERT INTO \(target) (\(columns.joined(separator: ", "))) VALUES "
        if settings.key.isEmpty {
            batched(added, into: &statements, insert, "", bytesMax)
            return statements
        }
        let keyColumns = settings.key.map { columns[$0] }.joined(separator: ", ")
        let others = columns.indices.filter { !settings.key.contains($0) }
        let update =
            others.isEmpty
            ? "DO NOTHING" : "DO UPDATE SET " + others.map { "\(columns[$0]) = EXCLUDED.\(columns[$0])" }.joined(separator: ", ")
        let gone = keys.filter { changes[$0] == .some(nil) }
        let present = keys.compactMap { changes[$0] ?? nil }
        batched(gone, into: &statements, "DELETE FROM \(target) WHERE (\(keyColumns)) IN (", ")", bytesMax)
        batched(present, into: &statements, insert, " ON CONFLICT (\(keyColumns)) \(update)", bytesMax)
        return statements
    }

    private func batched(_ rows: [String], into statements: inout [String], _ head: String, _ tail: String, _ bytesMax: Int) {
        var text = ""
        for row in rows {
            text += text.isEmpty ? head : ", "
            text += "(\(row))"
            if text.utf8.count >= bytesMax {
                statements.append(text + tail)
                text = ""
            }
        }
        if !text.isEmpty { statements.append(text + tail) }
    }

    func sync() throws(SQLError) -> SinkMark {
        if isAbandoned.load(ordering: .relaxed) { forget() } else { try commit() }
        return SinkMark(tick: ended)
    }

    func finish() {}

    // MARK: SQL text

    /// Standard strings: only the quote itself is special.
    static func literal(_ text: String) -> String { "'" + doubled(text, "'") + "'" }
    static func quoted(_ name: String) -> String { "\"" + doubled(name, "\"") + "\"" }

    private static func doubled(_ text: String, _ quote: Character) -> String {
        guard text.contains(quote) else { return text }
        return text.split(separator: quote, omittingEmptySubsequences: false).joined(separator: "\(quote)\(quote)")
    }
}

extension SQLError {
    /// The values of a row are at fault (data exceptions, violated constraints): another row may be taken.
    fileprivate var isOfARow: Bool { ["22", "23"].contains(state.code.prefix(2)) }
}

/// Encodes rows as frames: a kind, then each column's text behind its length u32, which is 2³² − 1 for NULL.
private final class PostgresEncoder: RowEncoder {
    static let insert: UInt8 = 1
    static let delete: UInt8 = 0

    func encode(_ batch: Batch, into bytes: ByteSink) {
        for row in 0..<batch.count {
            let weight = batch.weights?.int64s[row] ?? 1
            // Of what stands in a batch more than once, each is a row.
            for _ in 0..<weight.magnitude {
                bytes.append(weight < 0 ? PostgresEncoder.delete : PostgresEncoder.insert)
                for column in batch.columns {
                    let value = column.value(at: row)
                    if case .null = value {
                        withUnsafeBytes(of: UInt32.max.littleEndian) { bytes.append($0) }
                        continue
                    }
                    let text = Array(value.text(in: .utc).utf8)
                    withUnsafeBytes(of: UInt32(text.count).littleEndian) { bytes.append($0) }
                    text.withUnsafeBytes { bytes.append($0) }
                }
            }
        }
    }
}
