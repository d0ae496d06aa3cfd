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
        let start = position
        if at(.leftParenthesis) || isAtQuery || at(.table) { return .select(try query()) }
        switch current.keyword {
        case .create: return try create()
        case .explain:
            advance()
            var analyze = false
            if at(.leftParenthesis) {
                while !at(.rightParenthesis), current.kind != .endOfInput { advance() }
                try expect(.rightParenthesis)
            } else if at(word: "analyze") {
                advance()
                analyze = true
            }
            let inner = try nested { (parser) throws(SQLError) in try parser.statement() }
            if case .explain = inner.kind { throw unexpected() }
            return .explain(inner, analyze: analyze)
        case .set: return try set()
        case .show:
            advance()
            return .show(try parameterName())
        case .insert, .update, .delete, .merge, .truncate, .drop, .alter, .grant, .revoke, .copy, .call, .comment, .flush, .subscribe,
            .begin, .commit, .rollback, .start, .describe, .fetch, .return, .close, .do:
            throw .notSupported(sourceText(of: current).uppercasedASCII, at: start)
        default:
            for word in ["declare", "prepare", "execute", "deallocate", "discard", "listen", "notify", "reset", "savepoint", "vacuum", "analyze"]
            where at(word: word) {
                throw .notSupported(word.uppercasedASCII, at: start)
            }
            throw unexpected()
        }
    }

    /// A parameter name may be qualified: `SET my.setting = 1`.
    private mutating func parameterName() throws(SQLError) -> Identifier {
        var name = try label()
        while accept(.dot) { name.text += "." + (try label()).text }
        if name.text == "time", accept(.zone) { name.text = "timezone" }
        return name
    }

    private mutating func set() throws(SQLError) -> StatementSyntax.Kind {
        try expect(.set)
        if at(.session) || at(word: "local"), ahead(1).kind == .identifier { advance() }
        if at(.transaction) || at(.role) || at(.session) { throw .notSupported("SET \(sourceText(of: current).uppercasedASCII)", at: position) }
        let name = try parameterName()
        if name.text != "timezone" || at(.equal) || at(.to) {
            if !accept(.equal) { try expect(.to) }
        }
        var values: [String] = []
        repeat {
            if accept(.default) { return .set(name, value: nil) }
            let sign = accept(.minus) ? "-" : ""
            if isAtString {
                values.append(try string())
            } else if current.kind == .integer || current.kind == .number {
                values.append(sign + numberText(of: current))
                advance()
            } else {
                values.append(try label().text)
            }
        } while accept(.comma)
        return .set(name, value: values.joined(separator: ", "))
    }

    // MARK: CREATE

    private mutating func create() throws(SQLError) -> StatementSyntax.Kind {
        let start = position
        try expect(.create)
        if at(.or) { throw .notSupported("CREATE OR REPLACE", at: position) }
        switch current.keyword {
        case .source:
            advance()
            return .createSource(try createSource(at: start))
        case .materialized:
            advance()
            try expect(.view)
            return .createView(try createView(isMaterialized: true, at: start))
        case .view:
            advance()
            return .createView(try createView(isMaterialized: false, at: start))
        case .sink:
            advance()
            return .createSink(try createSink(at: start))
        case .table, .index, .unique, .schema, .database, .user, .role, .function, .pipeline, .subscription, .connection, .secret, .model:
            throw .notSupported("CREATE \(sourceText(of: current).uppercasedASCII)", at: start)
        case .masking: throw .notSupported("CREATE MASKING POLICY", at: start)
        case .foreign: throw .notSupported("CREATE FOREIGN TABLE", at: start)
        default: throw unexpected()
        }
    }

    private mutating func ifNotExists() throws(SQLError) -> Bool {
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
            } while accept(.comma)
            try expect(.rightParenthesis)
        }
        // RisingWave writes INCLUDE after the parentheses.
        while at(.include) { source.includes.append(try include()) }
        if accept(.with) { source.options = try options() }
        if at(.format) { source.format = try format() }
        return source
    }

    /// `include key` starts a clause; `include TEXT` is a column named include.
    private var isIncludeClause: Bool {
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
                throw .notSupported("a generated column", at: position)
            } else if at(.default) {
                throw .notSupported("DEFAULT of a column", at: position)
            } else if at(.primary) {
                throw .notSupported("PRIMARY KEY of a source", at: position)
            } else {
                return column
            }
        }
    }

    private mutating func watermark() throws(SQLError) -> WatermarkSyntax {
        let start = position
        advance()
        try expect(.for)
        let column = try identifier()
        try expect(.as)
        return WatermarkSyntax(column: column, expression: try expression(), position: start)
    }

    private mutating func include() throws(SQLError) -> IncludeSyntax {
        try expect(.include)
        var include = IncludeSyntax(what: try label(), key: nil, alias: nil)
        if isAtString { include.key = try string() }
        if accept(.as) { include.alias = try label() }
        return include
    }

    /// `(name = value, …)`; names may have dots and need no quotes.
    private mutating func options() throws(SQLError) -> [OptionSyntax] {
        try expect(.leftParenthesis)
        var options: [OptionSyntax] = []
        if accept(.rightParenthesis) { return options }
        repeat {
            if at(.rightParenthesis) { break }
            var name = isAtString ? Identifier(text: try string(), position: Int(ahead(-1).start)) : try label()
            while accept(.dot) { name.text += "." + (try label()).text }
            try expect(.equal)
            let valuePosition = position
            if isAtString {
                let value = try string()
                options.append(OptionSyntax(name: name, value: value, valuePosition: valuePosition, isString: true))
                continue
            }
            let sign = accept(.minus) ? "-" : ""
            guard current.kind == .integer || current.kind == .number || (current.kind == .identifier && sign.isEmpty) else { throw unexpected() }
            let value = current.kind == .identifier ? text(of: current) : sign + numberText(of: current)
            advance()
            options.append(OptionSyntax(name: name, value: value, valuePosition: valuePosition, isString: false))
        } while accept(.comma)
        try expect(.rightParenthesis)
        return options
    }

    private mutating func format() throws(SQLError) -> FormatSyntax {
        let start = position
        try expect(.format)
        let format = try label()
        try expect(.encode)
        let encode = try label()
        var options: [OptionSyntax] = []
        if at(.leftParenthesis) { options = try self.options() }
        return FormatSyntax(format: format, encode: encode, options: options, position: start)
    }

    private mutating func createView(isMaterialized: Bool, at start: Int) throws(SQLError) -> CreateViewSyntax {
        let exists = try ifNotExists()
        let name = try objectName()
        let columns = at(.leftParenthesis) ? try identifierList() : []
        let options = accept(.with) ? try self.options() : []
        if at(.in), ahead(1).keyword == .pipeline { throw .notSupported("IN PIPELINE", at: position) }
        try expect(.as)
        return CreateViewSyntax(
            name: name, ifNotExists: exists, isMaterialized: isMaterialized, columns: columns, options: options, query: try query(),
            position: start)
    }

    private mutating func createSink(at start: Int) throws(SQLError) -> CreateSinkSyntax {
        let exists = try ifNotExists()
        let name = try objectName()
        if at(.into) { throw .notSupported("CREATE SINK … INTO", at: position) }
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
        return CreateSinkSyntax(name: name, ifNotExists: exists, input: input, options: options, format: format, position: start)
    }
}
