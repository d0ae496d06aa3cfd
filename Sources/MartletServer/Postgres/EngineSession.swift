internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPostgres
internal import MartletSQL

/// The database's session as the wire asks for it.
final class EngineSession: WireSession {
    private let session: any SQLSession
    /// Wrappers of the session's named statements, as long as they are the same ones.
    private var wrapped: [String: EngineStatement] = [:]

    init(_ session: any SQLSession) { self.session = session }

    var transaction: TransactionStatus { session.transaction }
    var evaluation: EvaluationContext { session.evaluation }

    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] { try session.split(text) }

    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any WireStatement {
        EngineStatement(try session.prepare(text, parameterTypes: parameterTypes))
    }

    func keep(_ statement: (any WireStatement)?, named name: String) {
        let known = statement as? EngineStatement
        wrapped[name] = known
        if known != nil || session.statements[name] != nil { session.statements[name] = known?.prepared }
    }

    func statement(named name: String) -> (any WireStatement)? {
        // SQL's PREPARE and DEALLOCATE change the session's own.
        guard let prepared = session.statements[name] else {
            wrapped[name] = nil
            return nil
        }
        if let known = wrapped[name], known.prepared === prepared { return known }
        let made = EngineStatement(prepared)
        wrapped[name] = made
        return made
    }

    func statementCount() -> Int { session.statements.count }

    func execute(_ statement: any WireStatement, parameters: [Value]) throws(SQLError) -> WireOutcome {
        guard let statement = statement as? EngineStatement else { preconditionFailure("statements are this session's own") }
        let zone = session.evaluation.zone
        switch try session.execute(statement.prepared, parameters: parameters) {
        case .done(let tag): return .done(tag: tag)
        case .rows(let cursor): return .rows(EngineRows(cursor, zone: zone))
        case .copyIn(let format, let receiver):
            return .copyIn(format, CopyColumns(receiver, isBinary: format.kind == .binary, context: session.evaluation))
        case .copyOut(let format, let cursor): return .copyOut(format, EngineRows(cursor, zone: zone))
        }
    }

    func writeQuickly(_ statement: any WireStatement, _ bind: QuickBind, _ formats: RowFormats, to writer: MessageWriter) -> Int? {
        guard let statement = statement as? EngineStatement, let read = session.quickRead(statement.prepared) else { return nil }
        return statement.lookup(read, session).write(bind, formats, to: writer)
    }

    func endImplicit(failed: Bool) throws(SQLError) { try session.endImplicit(failed: failed) }
    func takeNotices() -> [SQLNotice] { session.takeNotices() }
    func takeParameters() -> [(name: String, value: String)] { session.takeParameters() }
    func close() { session.close() }
}

final class EngineStatement: WireStatement {
    let prepared: any PreparedStatement
    private(set) lazy var columns = prepared.fields?.map { WireColumn(name: $0.name, type: $0.type) }
    private(set) lazy var parameterTypes = prepared.parameterTypes
    var isEmpty: Bool { prepared.isEmpty }
    var isQuick: Bool { prepared.isQuick }
    private var lookup: KeyedLookup?

    init(_ prepared: any PreparedStatement) { self.prepared = prepared }

    /// It as a read of one key, as which it is known at present.
    func lookup(_ read: KeyedRead, _ session: any SQLSession) -> KeyedLookup {
        if let lookup, lookup.read === read { return lookup }
        let made = KeyedLookup(read, zone: session.evaluation.zone)
        lookup = made
        return made
    }
}

/// A cursor's batches, in pieces of any number of rows.
private final class EngineRows: WireRows {
    private let cursor: any RowCursor
    private let zone: TimeZone
    /// What came and has not been written in full.
    private var held: Batch?
    private var at = 0
    private var encoder: RowEncoder?

    init(_ cursor: any RowCursor, zone: TimeZone) {
        self.cursor = cursor
        self.zone = zone
    }

    var columns: [WireColumn] { cursor.fields.map { WireColumn(name: $0.name, type: $0.type) } }

    func write(rowsMax: Int, as form: RowForm, to writer: MessageWriter) throws(SQLError) -> RowProgress {
        if held == nil {
            guard let batch = try cursor.next(rowsMax: rowsMax) else { return .end }
            if batch.count == 0 { return .waiting }
            held = batch
            at = 0
        }
        guard let batch = held else { return .waiting }
        if encoder == nil { encoder = RowEncoder(form, zone: zone) }
        let count = min(rowsMax, batch.count - at)
        encoder?.write(batch, at..<(at + count), to: writer)
        at += count
        if at == batch.count { held = nil }
        return .rows(count)
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { cursor.whenReady(wake) }
    func tag(rows: UInt64) -> String { cursor.tag(rows: rows) }
    func close() { cursor.close() }
}
