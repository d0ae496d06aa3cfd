internal import MartletColumns
internal import MartletCore
internal import MartletSQL

extension DatabaseSession {
    func carryOut(_ copy: CopyStatement) throws(SQLError) -> SQLOutcome {
        let format = CopyFormat(copy.options)
        switch copy.kind {
        case .to(let query): return .copyOut(format, CopyCursor(try cursor(query)))
        case .from(let name, _, let row):
            let (object, table) = try changedTable(name, "COPY FROM")
            current.changingStatements += 1
            current.redo = nil
            return .copyIn(format, try TableCopy(self, object, table, copy.fields, row))
        }
    }
}

extension CopyFormat {
    init(_ options: CopyOptions) {
        self.init()
        switch options.format {
        case .text: kind = .text
        case .binary: kind = .binary
        case .csv:
            kind = .csv
            delimiter = UInt8(ascii: ",")
            null = ""
        }
        delimiter = options.delimiter ?? delimiter
        null = options.null ?? null
        quote = options.quote ?? quote
        escape = options.escape ?? quote
        hasHeader = options.hasHeader
    }
}

/// A query's rows with COPY's tag.
private final class CopyCursor: RowCursor {
    private let inner: any RowCursor

    init(_ inner: any RowCursor) { self.inner = inner }

    var fields: [Field] { inner.fields }
    func next(rowsMax: Int) throws(SQLError) -> Batch? { try inner.next(rowsMax: rowsMax) }
    func whenReady(_ wake: @escaping @Sendable () -> Void) { inner.whenReady(wake) }
    func tag(rows: UInt64) -> String { "COPY \(rows)" }
    func close() { inner.close() }
}

/// COPY … FROM STDIN: an INSERT in pieces, all of it one statement of the session's transaction.
private final class TableCopy: CopyReceiver {
    let fields: [Field]
    private let session: DatabaseSession
    private let object: CatalogObject
    private let table: TableDefinition
    private let row: [ExpressionEvaluator]
    private let before: TableChanges?
    private var count = 0

    init(
        _ session: DatabaseSession, _ object: CatalogObject, _ table: TableDefinition, _ fields: [Field], _ row: [Expression]
    ) throws(SQLError) {
        self.session = session
        self.object = object
        self.table = table
        self.fields = fields
        before = session.current.changes[object.id]
        var compiled: [ExpressionEvaluator] = []
        for expression in row { compiled.append(try ExpressionEvaluator(expression, context: session.evaluation)) }
        self.row = compiled
    }

    func insert(_ rows: Batch) throws(SQLError) {
        guard rows.count > 0 else { return }
        try session.limits.check()
        let errors = RowErrors()
        let columns = row.map { $0.evaluate(rows, errors: errors) }
        if let entry = errors.sorted.first { throw entry.error }
        count += try session.insert(Batch(count: rows.count, columns: columns), into: object, table, nil).count
    }

    func finish() throws(SQLError) -> String { "COPY \(count)" }

    func fail(_ reason: String) {
        session.current.changes[object.id] = before
        if session.current.isExplicit { session.current.isFailed = true }
    }
}
