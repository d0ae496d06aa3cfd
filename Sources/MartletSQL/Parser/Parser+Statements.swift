internal import MartletCore

/// Statements: those of this slice in full, the rest of the dialect far enough to say what is missing.
extension Parser {
    mutating func statement() throws(SQLError) -> StatementSyntax {
        let start = position
        let kind = try statementKind()
        let end = index > 0 ? Int(tokens[index - 1].end) : start
        return StatementSyntax(kind: kind, start: start, end: end)
    }

    private mutating func statementKind() throws(SQLError) -> StatementSyntax.Kind {
        if isAtChangeBehindWith { return .session(try changeBehindWith()) }
        if at(.leftParenthesis) || isAtQuery || at(.table) { return .select(try query()) }
        switch current.keyword {
        case .create: return try create()
        case .explain: return try explain()
        case .set: return try set()
        case .show: return try show()
        case nil where atWord("reset"): return try reset()
        default: return .session(try sessionStatement())
        }
    }

    /// EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement.
    private mutating func explain() throws(SQLError) -> StatementSyntax.Kind {
        advance()
        var options = ExplainOptions()
        if at(.leftParenthesis), !isExplainedQuery {
            advance()
            repeat { try explainOption(&options) } while accept(.comma)
            try expect(.rightParenthesis)
        } else {
            options.analyze = acceptWords("analyze")
            options.verbose = acceptWords("verbose")
        }
        if options.analyze, isAtRunningObject {
            return .session(.analyze(try objectKind(), try objectName()))
        }
        let inner = try nested { (parser) throws(SQLError) in try parser.statement() }
        if case .explain = inner.kind { throw unexpected() }
        return .explain(inner, options)
    }

    /// EXPLAIN ANALYZE MATERIALIZED VIEW v, SINK s: what runs already.
    private var isAtRunningObject: Bool {
        isWord(current, "materialized") && isWord(ahead(1), "view") || isWord(current, "sink")
            || at(.table) && ahead(1).kind == .identifier && ahead(2).kind == .endOfInput
    }

    private var isExplainedQuery: Bool {
        switch ahead(1).keyword {
        case .select, .with, .values: true
        default: ahead(1).symbol == .leftParenthesis
        }
    }

    private mutating func explainOption(_ options: inout ExplainOptions) throws(SQLError) {
        let name = try label()
        var value = "true"
        if !at(.comma), !at(.rightParenthesis) { value = try optionWord().lowercasedASCII }
        let isOn = ["true", "on", "1"].contains(value)
        switch name.text {
        case "analyze": options.analyze = isOn
        case "verbose": options.verbose = isOn
        case "format":
            guard let format = ExplainOptions.Format(rawValue: value) else {
                throw SQLError(.invalidParameterValue, "unrecognized value for EXPLAIN option \"format\": \"\(value)\"", at: name.position)
            }
            guard format == .text || format == .json else { throw .notSupported("EXPLAIN in \(value.uppercasedASCII)", at: name.position) }
            options.format = format
        // PostgreSQL's and RisingWave's own, which change what is shown, not what it means.
        case "buffers", "costs", "timing", "settings", "wal", "summary", "generic_plan", "memory", "serialize", "trace", "physical", "logical",
            "distsql", "type", "backfill":
            break
        default: throw .syntaxError("unrecognized EXPLAIN option \"\(name.text)\"", at: name.position)
        }
    }

    // MARK: CREATE

    private mutating func create() throws(SQLError) -> StatementSyntax.Kind {
        let start = position
        try expect(.create)
        let replacePosition = position
        let replaces = accept(.or)
        if replaces {
            try expectWord("replace")
            guard at(.function) || at(.view) || at(.materialized) else {
                throw .notSupported("CREATE OR REPLACE", at: replacePosition, hint: "Views and functions can be replaced.")
            }
        }
        let isTemporary = acceptWords("temp") || acceptWords("temporary")
        if isTemporary { throw .notSupported("a temporary \(sourceText(of: current).lowercasedASCII)", at: start, hint: Self.temporaryHint) }
        if acceptWords("unlogged") {}
        switch current.keyword {
        case .source:
            advance()
            return .createSource(try createSource(at: start))
        case .materialized:
            advance()
            try expect(.view)
            return .createView(try createView(isMaterialized: true, replaces: replaces, at: start))
        case .view:
            advance()
            return .createView(try createView(isMaterialized: false, replaces: replaces, at: start))
        case .sink:
            advance()
            return .createSink(try createSink(at: start))
        case .table:
            advance()
            return .session(.createTable(try createTable(at: start)))
        case .index, .unique:
            let isUnique = accept(.unique)
            try expect(.index)
            return .session(.createIndex(try createIndex(isUnique: isUnique, at: start)))
        case .schema:
            advance()
            let exists = try ifNotExists()
            let name = try identifier()
            if acceptWords("authorization") { _ = try label() }
            return .session(.createSchema(name, ifNotExists: exists))
        case .database:
            advance()
            let exists = try ifNotExists()
            let name = try identifier()
            if at(.with) || atWord("owner") { skipStatement() }
            return .session(.createDatabase(name, ifNotExists: exists))
        case .function:
            advance()
            return .session(.createFunction(try createFunction(replaces: replaces, at: start)))
        case .pipeline:
            advance()
            let exists = try ifNotExists()
            return .session(.createPipeline(try identifier(), ifNotExists: exists))
        case .subscription:
            advance()
            return .session(.createSubscription(try createSubscription(at: start)))
        case .user, .role:
            skipStatement()
            return .session(.plain(.accepted(tag: "CREATE ROLE", notice: Self.usersNotice)))
        case .connection, .secret, .model: throw .notSupported("CREATE \(sourceText(of: current).uppercasedASCII)", at: start)
        case .masking: throw .notSupported("CREATE MASKING POLICY", at: start)
        case .foreign: throw .notSupported("CREATE FOREIGN TABLE", at: start)
        default:
            if acceptWords("sequence") { return .session(.createSequence(try createSequence(at: start))) }
            if acceptWords("type") { return .session(try createType(at: start)) }
            for word in ["domain", "trigger", "extension", "aggregate", "procedure", "rule", "cast", "operator", "collation", "policy", "server", "publication", "statistics"]
            where atWord(word) {
                throw .notSupported("CREATE \(word.uppercasedASCII)", at: start)
            }
            throw unexpected()
        }
    }

    private static let temporaryHint =
        "What a schema of one's own holds is apart from others': CREATE SCHEMA mine; SET search_path = mine, public; "
        + "DROP SCHEMA mine CASCADE ends it. Within one statement WITH does."

    /// `CREATE TYPE name AS (field type, …)`.
    private mutating func createType(at start: Int) throws(SQLError) -> SessionSyntax {
        let name = try objectName()
        let isDescribed = accept(.as)
        if isDescribed, atWord("enum") { throw try enumeration(name, at: start) }
        guard isDescribed, accept(.leftParenthesis) else {
            throw .notSupported("CREATE TYPE that is not composite", at: start, hint: "CREATE TYPE name AS (field type, …) is.")
        }
        var fields: [(name: Identifier, type: TypeSyntax)] = []
        repeat {
            let field = try identifier()
            fields.append((field, try type()))
        } while accept(.comma)
        try expect(.rightParenthesis)
        return .createType(name, fields)
    }

    /// `ENUM ('a', 'b')`: the error, with what does the same.
    private mutating func enumeration(_ name: ObjectName, at start: Int) throws(SQLError) -> SQLError {
        advance()
        try expect(.leftParenthesis)
        var labels: [String] = []
        if !at(.rightParenthesis) { repeat { labels.append(Expression.quotedText(try string())) } while accept(.comma) }
        try expect(.rightParenthesis)
        let column = name.last.text
        let list = labels.isEmpty ? "…" : labels.joined(separator: ", ")
        return .notSupported(
            "CREATE TYPE … AS ENUM", at: start,
            hint: "A column \(column) TEXT CHECK (\(column) IN (\(list))) takes the same values; "
                + "ORDER BY array_position(ARRAY[\(list)], \(column)) sorts them as the type would.")
    }

    mutating func ifNotExists() throws(SQLError) -> Bool {
        guard accept(.if) else { return false }
        try expect(.not)
        try expect(.exists)
        return true
    }

    private mutating func createSource(at start: Int) throws(SQLError) -> CreateSourceSyntax {
        let exists = try ifNotExists()
        var source = CreateSourceSyntax(
            name: try objectName(), ifNotExists: exists, columns: [], includes: [], watermark: nil, options: [], format: nil, position: start)
        if accept(.leftParenthesis) {
            if at(.star) { throw .notSupported("taking the columns from a schema registry", at: position) }
            repeat {
                if at(.watermark), ahead(1).keyword == .for {
                    guard source.watermark == nil else { throw .syntaxError("a source has only one watermark", at: position) }
                    source.watermark = try watermark()
                } else if at(.include) && ahead(1).kind == .identifier && isIncludeClause {
                    source.includes.append(try include())
                } else if at(.primary) {
                    throw .notSupported("PRIMARY KEY of a source", at: position)
                } else {
                    source.columns.append(try column())
                }
            } while accept(.comma) && !at(.rightParenthesis)
            try expect(.rightParenthesis)
        }
        // RisingWave writes INCLUDE after the parentheses.
        while at(.include) { source.includes.append(try include()) }
        source.pipeline = try inPipeline()
        if accept(.with) { source.options = try options() }
        if at(.format) { source.format = try format() }
        return source
    }

    /// `include key` starts a clause; `include TEXT` is a column named include.
    var isIncludeClause: Bool {
        switch ahead(1).keyword {
        case .key, .offset, .partition, .timestamp: true
        default: ["header", "headers", "payload"].contains(text(of: ahead(1)))
        }
    }

    private mutating func column() throws(SQLError) -> ColumnSyntax {
        let name = try identifier()
        var column = ColumnSyntax(name: name, type: try type(), isNotNull: false)
        while true {
            if accept(.not) {
                try expect(.null)
                column.isNotNull = true
            } else if accept(.null) {
                continue
            } else if at(word: "path") {
                // As in JSON_TABLE: where the value stands in the document.
                advance()
                column.path = JSONPathSyntax(text: "", position: position)
                column.path?.text = try string()
            } else if at(.as) || at(.generated) {
                column.generated = try generated()
            } else if at(.default) {
                throw .notSupported("DEFAULT of a column", at: position)
            } else if at(.primary) {
                throw .notSupported("PRIMARY KEY of a source", at: position)
            } else {
                return column
            }
        }
    }

    mutating func watermark() throws(SQLError) -> WatermarkSyntax {
        let start = position
        advance()
        try expect(.for)
        let column = try identifier()
        try expect(.as)
        return WatermarkSyntax(column: column, expression: try expression(), position: start)
    }

    mutating func include() throws(SQLError) -> IncludeSyntax {
        try expect(.include)
        var include = IncludeSyntax(what: try label(), key: nil, alias: nil)
        if isAtString { include.key = try string() }
        if accept(.as) { include.alias = try label() }
        return include
    }

    /// `(name = value, …)`; names may have dots and need no quotes.
    ///
    /// `flags`: a name alone is true.
    mutating func options(flags: Bool = false) throws(SQLError) -> [OptionSyntax] {
        try expect(.leftParenthesis)
        var options: [OptionSyntax] = []
        if accept(.rightParenthesis) { return options }
        repeat {
            if at(.rightParenthesis) { break }
            var name = isAtString ? Identifier(text: try string(), position: Int(ahead(-1).start)) : try label()
            while accept(.dot) { name.text += "." + (try label()).text }
            if flags, at(.comma) || at(.rightParenthesis) {
                options.append(OptionSyntax(name: name, value: "true", valuePosition: name.position, isString: false))
                continue
            }
            try expect(.equal)
            let valuePosition = position
            if isAtString {
                let value = try string()
                options.append(OptionSyntax(name: name, value: value, valuePosition: valuePosition, isString: true))
                continue
            }
            let sign = accept(.minus) ? "-" : ""
            guard current.kind == .integer || current.kind == .number || (current.kind == .identifier && sign.isEmpty) else { throw unexpected() }
            if current.kind == .identifier, ahead(1).symbol == .leftParenthesis {
                options.append(OptionSyntax(name: name, value: try optionCall(), valuePosition: valuePosition, isString: false))
                continue
            }
            let value = current.kind == .identifier ? text(of: current) : sign + numberText(of: current)
            advance()
            options.append(OptionSyntax(name: name, value: value, valuePosition: valuePosition, isString: false))
        } while accept(.comma)
        try expect(.rightParenthesis)
        return options
    }

    /// `word(…)` as the value of an option, as it is written.
    private mutating func optionCall() throws(SQLError) -> String {
        let start = position
        advance()
        var depth = 0
        repeat {
            if current.kind == .endOfInput || at(.semicolon) { throw unexpected() }
            if at(.leftParenthesis) { depth += 1 }
            if at(.rightParenthesis) { depth -= 1 }
            advance()
        } while depth > 0
        return String(decoding: bytes[start..<Int(ahead(-1).end)], as: UTF8.self)
    }

    mutating func format() throws(SQLError) -> FormatSyntax {
        let start = position
        try expect(.format)
        let format = try label()
        try expect(.encode)
        let encode = try label()
        var options: [OptionSyntax] = []
        if at(.leftParenthesis) { options = try self.options() }
        return FormatSyntax(format: format, encode: encode, options: options, position: start)
    }

    private mutating func createView(isMaterialized: Bool, replaces: Bool, at start: Int) throws(SQLError) -> CreateViewSyntax {
        let exists = try ifNotExists()
        let name = try objectName()
        let columns = at(.leftParenthesis) ? try identifierList() : []
        let options = accept(.with) ? try self.options() : []
        let pipeline = try inPipeline()
        // RisingWave takes it before AS too.
        let emit = try emitOnWindowClose()
        try expect(.as)
        return CreateViewSyntax(
            name: name, ifNotExists: exists, isMaterialized: isMaterialized, columns: columns, options: options,
            query: try query(emitOnWindowClose: emit), pipeline: pipeline, replaces: replaces, position: start)
    }

    private mutating func createSink(at start: Int) throws(SQLError) -> CreateSinkSyntax {
        let exists = try ifNotExists()
        let name = try objectName()
        let table = accept(.into) ? try objectName() : nil
        let columns = table != nil && at(.leftParenthesis) ? try identifierList() : nil
        let pipeline = try inPipeline()
        let input: CreateSinkSyntax.Input
        if accept(.from) {
            input = .relation(try objectName())
        } else {
            try expect(.as)
            input = .query(try query())
        }
        var options: [OptionSyntax] = []
        if accept(.with) { options = try self.options() }
        let format = at(.format) ? try format() : nil
        return CreateSinkSyntax(
            name: name, ifNotExists: exists, input: input, options: options, format: format, table: table, columns: columns, pipeline: pipeline,
            position: start)
    }
}
