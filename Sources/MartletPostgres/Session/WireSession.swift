package import MartletCore

/// What a conversation asks of whoever has the database. Calls come one at a time.
package protocol WireSession: AnyObject {
    var transaction: TransactionStatus { get }
    /// Time zone and clock, for parameters in text.
    var evaluation: EvaluationContext { get }
    /// The statements of a simple query's text, each with its byte offset.
    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)]
    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any WireStatement
    /// Keeps `statement` under a name ("" is the unnamed one), or forgets what was there.
    func keep(_ statement: (any WireStatement)?, named name: String)
    func statement(named name: String) -> (any WireStatement)?
    func statementCount() -> Int
    func execute(_ statement: any WireStatement, parameters: [Value]) throws(SQLError) -> WireOutcome
    /// Of a statement that reads one row by its key, writes the row as a DataRow message, if there is one: 1 or 0 rows. nil, and
    /// nothing is written: it is to be carried out like any other.
    func writeQuickly(_ statement: any WireStatement, _ bind: QuickBind, _ formats: RowFormats, to writer: MessageWriter) -> Int?
    /// Sync, or the end of a simple query: commits what no BEGIN began. After an error: rolls that back, or marks what a BEGIN
    /// began as failed.
    func endImplicit(failed: Bool) throws(SQLError)
    func takeNotices() -> [SQLNotice]
    /// What is to be reported with ParameterStatus: everything at first, then what changed.
    func takeParameters() -> [(name: String, value: String)]
    func close()
}

extension WireSession {
    package func writeQuickly(_ statement: any WireStatement, _ bind: QuickBind, _ formats: RowFormats, to writer: MessageWriter) -> Int? { nil }
}

package protocol WireStatement: AnyObject {
    var parameterTypes: [DataType] { get }
    /// nil: no rows.
    var columns: [WireColumn]? { get }
    var isEmpty: Bool { get }
    /// To carry it out takes no longer than to wake a thread, and waits for nothing.
    var isQuick: Bool { get }
}

extension WireStatement {
    package var isQuick: Bool { false }
}

package enum WireOutcome {
    case done(tag: String)
    case rows(any WireRows)
    case copyIn(CopyFormat, any WireReceiver)
    case copyOut(CopyFormat, any WireRows)
}

/// How rows are written.
package enum RowForm {
    case data(RowFormats)
    case copy(CopyFormat)
}

package enum RowProgress: Equatable {
    case rows(Int)
    /// None yet: `whenReady` says when to ask again.
    case waiting
    case end
}

/// Rows on their way to the client.
package protocol WireRows: AnyObject {
    var columns: [WireColumn] { get }
    /// Appends at most `rowsMax` rows, each a whole message (`D`, or `d` for COPY). After a throw nothing is left half written.
    func write(rowsMax: Int, as form: RowForm, to writer: MessageWriter) throws(SQLError) -> RowProgress
    /// After `.waiting`: calls `wake` once when there is more; any thread.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    func tag(rows: UInt64) -> String
    func close()
}

/// Rows of COPY … FROM STDIN on their way in.
package protocol WireReceiver: CopyRowTarget {
    var columnCount: Int { get }
    /// The command tag.
    func finish() throws(SQLError) -> String
    func fail(_ reason: String)
}

/// Who lets clients in.
package protocol WireHost: AnyObject {
    /// Names the connection to CancelRequest; the key's first 4 bytes count with protocol 3.0, all of them with 3.2.
    var processID: Int32 { get }
    var cancelKey: [UInt8] { get }
    func authentication(of request: StartupRequest) -> WireAuthentication
    func open(_ request: StartupRequest) throws(SQLError) -> any WireSession
}

package enum WireAuthentication {
    case trust
    /// nil: no such user; `nonce`: random bytes.
    case scram(SCRAMVerifier?, nonce: [UInt8])
}
