package import MartletColumns
package import MartletCore
package import MartletSQL

/// What a wire asks of the database: sessions in which texts are prepared and carried out.
package protocol SQLService: AnyObject, Sendable {
    /// Any thread. Throws where the client is refused.
    func open(_ client: SessionClient) throws(SQLError) -> any SQLSession
}

/// Who opens a session.
package struct SessionClient: Sendable {
    package var user: String
    package var database: String
    /// Start-up parameters by lower-case name (`application_name`, `timezone`, …).
    package var parameters: [String: String]
    /// Names the session to others, as `pg_backend_pid()` does.
    package var processID: Int32
    /// Ends the connection, as soon as what it carries out has ended (`pg_terminate_backend`); nil: it is nobody's to end. Any thread.
    package var terminate: (@Sendable () -> Void)?

    package init(
        user: String, database: String, parameters: [String: String], processID: Int32, terminate: (@Sendable () -> Void)? = nil
    ) {
        self.terminate = terminate
        self.user = user
        self.database = database
        self.parameters = parameters
        self.processID = processID
    }
}

/// A relation that can be read, as a description of an interface shows it.
package struct RelationFacts: Sendable {
    /// Without its schema where that is `public`.
    package var name: String
    /// `table`, `view`, `source`, …
    package var kind: String
    package var fields: [Field]
    /// Ordinals of the columns that make a row unique; empty where none is known to.
    package var key: [Int]
    /// Its changes can be followed.
    package var isFollowable: Bool

    package init(name: String, kind: String, fields: [Field], key: [Int], isFollowable: Bool) {
        self.name = name
        self.kind = kind
        self.fields = fields
        self.key = key
        self.isFollowable = isFollowable
    }
}

/// A statement that is bound, with the types of its parameters and result.
package protocol PreparedStatement: AnyObject {
    /// By ordinal: `$1` first.
    var parameterTypes: [DataType] { get }
    /// nil: the statement gives no rows.
    var fields: [Field]? { get }
    /// An empty text: EmptyQueryResponse.
    var isEmpty: Bool { get }
    /// It is known to read one row by its key: nothing is waited for.
    var isQuick: Bool { get }
}

extension PreparedStatement {
    package var isQuick: Bool { false }
}

/// One client's conversation. Calls come one at a time, on threads that may block (`cancel` excepted).
package protocol SQLSession: AnyObject {
    var transaction: TransactionStatus { get }
    /// Statements by name: what the protocol's Parse keeps and what PREPARE, EXECUTE and DEALLOCATE mean are the same. The
    /// wire keeps the unnamed one under "".
    var statements: [String: any PreparedStatement] { get set }
    /// The statements of a text, as (byte offset, text), for the simple protocol. Throws on what the lexer cannot read.
    func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)]
    /// One statement. `parameterTypes`: what the client declared; nil or missing ones are inferred.
    func prepare(_ text: String, parameterTypes: [DataType?]) throws(SQLError) -> any PreparedStatement
    /// Carries out a statement, in the transaction at hand: an explicit one, or the implicit one that `endImplicit` ends.
    func execute(_ statement: any PreparedStatement, parameters: [Value]) throws(SQLError) -> SQLOutcome
    /// The end of a simple query's text, or Sync: commits what no BEGIN began. `failed` comes with every error, also those that
    /// only the wire saw (a parameter that is no number): rolls that back, or marks what a BEGIN began as failed.
    func endImplicit(failed: Bool) throws(SQLError)
    /// What has come up since last asked.
    func takeNotices() -> [SQLNotice]
    /// Reported parameters (`TimeZone`, `DateStyle`, …) that changed since last asked; all of them at first.
    func takeParameters() -> [(name: String, value: String)]
    /// What can be read, in the order of its making.
    var relations: [RelationFacts] { get }
    /// For output: time zone and the like.
    var evaluation: EvaluationContext { get }
    /// The statement as a read of one row by its key, which outlives the session; nil: it is none.
    func keyedRead(_ statement: any PreparedStatement) -> KeyedRead?
    /// The same, where that is known already: nothing is found out, and nothing is waited for.
    func quickRead(_ statement: any PreparedStatement) -> KeyedRead?
    /// Any thread: what is being executed ends with 57014.
    func cancel()
    /// The client is gone: what is open is rolled back.
    func close()
}

extension SQLSession {
    package func quickRead(_ statement: any PreparedStatement) -> KeyedRead? { nil }
}

/// What an execution gives.
package enum SQLOutcome {
    /// Done; the command tag, such as `INSERT 0 3`.
    case done(tag: String)
    /// Rows to be pulled; the tag comes with their end.
    case rows(any RowCursor)
    /// COPY … FROM STDIN: rows are awaited.
    case copyIn(CopyFormat, any CopyReceiver)
    /// COPY … TO STDOUT.
    case copyOut(CopyFormat, any RowCursor)
}

/// Rows on their way out. Pulled by one thread at a time.
package protocol RowCursor: AnyObject {
    var fields: [Field] { get }
    /// At most `rowsMax` rows; nil: there are no more. An empty batch: none yet (a subscription); what was sent so far
    /// should be flushed, and `whenReady` says when to ask again, so that no thread waits.
    func next(rowsMax: Int) throws(SQLError) -> Batch?
    /// After an empty batch: `wake` is called once there is more, or the end, or a `cancel`; at once if that is so already.
    /// Any thread may call it.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    /// For the end: given the rows that were sent.
    func tag(rows: UInt64) -> String
    /// No more will be pulled.
    func close()
}

/// Rows on their way in.
package protocol CopyReceiver: AnyObject {
    var fields: [Field] { get }
    /// Columns as `fields` says, in order.
    func insert(_ rows: Batch) throws(SQLError)
    /// The command tag, `COPY 12`.
    func finish() throws(SQLError) -> String
    func fail(_ reason: String)
}
