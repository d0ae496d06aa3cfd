internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL

/// Statements that came over HTTP, each request in a session of its own. On threads that may block.
struct HTTPSQL {
    let service: any SQLService
    /// An answer beyond this is refused: what is larger is read over PostgreSQL's protocol, row by row.
    let answerBytesMax: Int
    /// What views were asked by their key before.
    let keyed = KeyedViews()

    /// `POST /v1/sql`: the body is SQL, or `{"sql": "…", "parameters": [...]}` as `application/json`.
    func statements(_ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            let (text, parameters) = try question(request)
            let sink = ByteSink()
            sink.append("{\"results\":[")
            try inSession { session throws(SQLError) in
                let parts = try session.split(text)
                if parameters != nil, parts.count != 1 {
                    throw SQLError(.syntaxError, "cannot insert multiple commands into a prepared statement")
                }
                for (index, part) in parts.enumerated() {
                    let statement = try session.prepare(part.text, parameterTypes: [])
                    if statement.isEmpty { continue }
                    if index > 0 { sink.append(",") }
                    let values = try HTTPSQL.values(parameters ?? [], statement.parameterTypes, session.evaluation)
                    try write(try session.execute(statement, parameters: values), session, to: sink)
                }
            }
            sink.append("]}\n")
            return HTTPQuestion.json(sink)
        } catch {
            return HTTPQuestion.response(error)
        }
    }

    /// `GET /v1/views/NAME?column=value&…&key=VALUE&where=CONDITION&limit=N`: the rows where each named column equals its value,
    /// the key its values (behind each other with commas), and the condition of SQL holds.
    func view(_ name: String, _ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            let given = try HTTPQuestion.parameters(request.query)
            let sink = ByteSink()
            try inSession { session throws(SQLError) in
                let relation = session.relations.first { $0.name == name }
                let question = try ViewQuestion(name, given, relation)
                let statement = try session.prepare(question.text, parameterTypes: [])
                let values = try HTTPSQL.values(question.values.map { .text($0) }, statement.parameterTypes, session.evaluation)
                try write(try session.execute(statement, parameters: values), session, to: sink)
                if let relation, question.keyValues != nil { keyed.learn(relation, session) }
            }
            sink.append("\n")
            return HTTPQuestion.json(sink)
        } catch {
            var plain = error
            // The statement is ours, so its places mean nothing to the client.
            plain.position = nil
            return HTTPQuestion.response(plain)
        }
    }

    private func question(_ request: HTTPRequest) throws(SQLError) -> (text: String, parameters: [Value]?) {
        guard let body = String(validating: request.body, as: UTF8.self) else {
            throw SQLError(.characterNotInRepertoire, "the request's body is not UTF-8")
        }
        guard request.header("Content-Type")?.hasPrefix("application/json") == true else { return (body, nil) }
        guard case .object(let members) = try JSONNode(text: body) else {
            throw SQLError(.invalidParameterValue, "the request's body is a JSON object with \"sql\"")
        }
        var text: String?
        var parameters: [Value]?
        for member in members {
            switch (member.key, member.value) {
            case ("sql", .string(let sql)): text = sql
            case ("parameters", .array(let nodes)): parameters = nodes.map(HTTPSQL.value)
            default: throw SQLError(.invalidParameterValue, "a request has \"sql\", a string, and \"parameters\", an array, not \"\(member.key)\"")
            }
        }
        guard let text else { throw SQLError(.invalidParameterValue, "the request's body is a JSON object with \"sql\"") }
        return (text, parameters)
    }

    /// As text, which the statement's types make values of.
    private static func value(_ node: JSONNode) -> Value {
        switch node {
        case .null: .null
        case .boolean(let value): .text(value ? "true" : "false")
        case .number(let digits): .text(digits)
        case .string(let text): .text(text)
        case .array, .object: .text(node.text)
        }
    }

    private static func values(_ given: [Value], _ types: [DataType], _ context: EvaluationContext) throws(SQLError) -> [Value] {
        guard given.count == types.count else {
            throw SQLError(.undefinedParameter, "\(given.count) parameters are given, the statement has \(types.count)")
        }
        var values: [Value] = []
        for (value, type) in zip(given, types) { values.append(try value.cast(to: type, context: context)) }
        return values
    }

    static let client = SessionClient(user: "http", database: "dev", parameters: ["application_name": "http"], processID: 0)

    /// All of `body` is one implicit transaction.
    private func inSession(_ body: (any SQLSession) throws(SQLError) -> Void) throws(SQLError) {
        let session = try service.open(HTTPSQL.client)
        defer { session.close() }
        do throws(SQLError) {
            try body(session)
            try session.endImplicit(failed: false)
        } catch {
            try? session.endImplicit(failed: true)
            throw error
        }
    }

    /// `{"columns":[{"name","type"}],"rows":[{…}],"tag":"SELECT 1"}`.
    private func write(_ outcome: SQLOutcome, _ session: any SQLSession, to sink: ByteSink) throws(SQLError) {
        switch outcome {
        case .done(let tag):
            sink.append("{\"tag\":")
            sink.append(jsonString: tag)
        case .rows(let cursor):
            defer { cursor.close() }
            let fields = cursor.fields
            HTTPSQL.beginRows(fields, to: sink)
            let count = try writeRows(cursor, fields, to: sink)
            sink.append("],\"tag\":")
            sink.append(jsonString: cursor.tag(rows: count))
        case .copyIn(_, let receiver):
            receiver.fail("not over HTTP")
            throw SQLError(.featureNotSupported, "COPY is not possible over HTTP", hint: "Use POST /v1/topics/NAME, or psql.")
        case .copyOut(_, let cursor):
            cursor.close()
            throw SQLError(.featureNotSupported, "COPY and SUBSCRIBE are not possible over HTTP", hint: "Use SELECT.")
        }
        for notice in session.takeNotices() {
            sink.append(",\"notice\":")
            sink.append(jsonString: notice.error.message)
            break
        }
        sink.append("}")
    }

    /// `{"columns":[{"name","type"}],"rows":[`.
    static func beginRows(_ fields: [Field], to sink: ByteSink) {
        sink.append("{\"columns\":[")
        for (index, field) in fields.enumerated() {
            sink.append(index == 0 ? "{\"name\":" : ",{\"name\":")
            sink.append(jsonString: field.name)
            sink.append(",\"type\":")
            sink.append(jsonString: field.type.sqlName)
            sink.append("}")
        }
        sink.append("],\"rows\":[")
    }

    private func writeRows(_ cursor: any RowCursor, _ fields: [Field], to sink: ByteSink) throws(SQLError) -> UInt64 {
        let writer = JSONRowWriter(names: fields.map(\.name), types: fields.map(\.type))
        let lines = ByteSink()
        var count: UInt64 = 0
        while let batch = try cursor.next(rowsMax: 1_024) {
            guard batch.count > 0 else {
                throw SQLError(.featureNotSupported, "a result without an end cannot be one answer", hint: "Read it over PostgreSQL's protocol.")
            }
            lines.clear()
            writer.write(batch, into: lines)
            if count > 0 { sink.append(",") }
            // A line feed is in a row's text only as an escape, so each one ends a row.
            let bytes = lines.bytes
            for (index, byte) in bytes.enumerated() {
                if byte != UInt8(ascii: "\n") { sink.append(byte) } else if index + 1 < bytes.count { sink.append(",") }
            }
            count += UInt64(batch.count)
            if sink.count > answerBytesMax {
                throw SQLError(
                    .programLimitExceeded, "the answer is larger than \(answerBytesMax) bytes", hint: "Add LIMIT, or use psql.")
            }
        }
        return count
    }
}
