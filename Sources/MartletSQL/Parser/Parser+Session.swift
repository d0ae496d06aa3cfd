internal import MartletCore

/// Transactions, parameters, prepared statements, cursors, subscriptions, and the statements that only look or do nothing.
extension Parser {
    /// Any statement that is neither a query nor CREATE, EXPLAIN, SET or SHOW.
    mutating func sessionStatement() throws(SQLError) -> SessionSyntax {
        let start = position
        switch current.keyword {
        case .insert: return .insert(try insert())
        case .update: return .update(try update())
        case .delete: return .delete(try delete())
        case .truncate: return try truncate()
        case .drop: return try drop()
        case .alter: return try alter()
        case .comment: return try comment()
        case .copy: return try copy()
        case .begin, .start, .commit, .end, .rollback: return .plain(.transaction(try transaction()))
        case .fetch: return .plain(.fetch(try fetch(isMove: false)))
        case .close:
            advance()
            return .plain(.closeCursor(name: accept(.all) ? nil : try identifier().text))
        case .flush:
            advance()
            return .plain(.flush)
        case .describe, .desc:
            advance()
            _ = accept(.table)
            return .describe(try objectName())
        case .subscribe: return try subscribe()
        case .grant, .revoke:
            let tag = sourceText(of: current).uppercasedASCII
            skipStatement()
            return .plain(.accepted(tag: tag, notice: Self.usersNotice))
        case .merge, .call, .do, .return:
            let hint = at(.merge) ? "INSERT … ON CONFLICT DO UPDATE does what MERGE is mostly used for." : nil
            throw .notSupported(sourceText(of: current).uppercasedASCII, at: start, hint: hint)
        default: break
        }
        guard current.kind == .identifier, current.keyword == nil || current.keyword?.isReserved == false else { throw unexpected() }
        let word = text(of: current)
        switch word {
        case "abort", "savepoint", "release": return .plain(.transaction(try transaction()))
        case "move": return .plain(.fetch(try fetch(isMove: true)))
        case "declare": return try declare()
        case "prepare": return try prepare()
        case "execute":
            advance()
            let name = try identifier()
            var arguments: [ExpressionSyntax] = []
            if accept(.leftParenthesis), !accept(.rightParenthesis) {
                arguments = try expressionList()
                try expect(.rightParenthesis)
            }
            return .execute(name, arguments)
        case "deallocate":
            advance()
            _ = acceptWords("prepare")
            return .plain(.deallocate(name: accept(.all) ? nil : try identifier().text))
        case "wait":
            advance()
            return .plain(.wait)
        case "cancel": return try cancelJobs()
        case "discard":
            advance()
            let place = position
            let target = try label().text
            guard let known = DiscardTarget(rawValue: target == "temporary" ? "temp" : target) else {
                throw .syntaxError("syntax error at or near \"\(target)\"", at: place)
            }
            return .plain(.discard(known))
        case "unlisten":
            skipStatement()
            return .plain(.accepted(tag: "UNLISTEN", notice: nil))
        case "listen", "notify":
            throw .notSupported(word.uppercasedASCII, at: start, hint: "SUBSCRIBE TO a view gives its changes as they happen.")
        case "vacuum", "analyze", "checkpoint", "reindex", "cluster":
            skipStatement()
            return .plain(.accepted(tag: word.uppercasedASCII, notice: "\(word.uppercasedASCII) has no effect: storage looks after itself"))
        case "use":
            advance()
            return .use(try identifier())
        case "reassign" where isWord(ahead(1), "owned"):
            skipStatement()
            return .plain(.accepted(tag: "REASSIGN OWNED", notice: Self.usersNotice))
        case "lock", "import", "load", "reassign", "security", "recover":
            throw .notSupported(word.uppercasedASCII, at: start)
        default: throw unexpected()
        }
    }

    /// For statements about users and what they may do, which are accepted so that scripts run.
    static let usersNotice = "users and privileges are not enforced: every user may do everything"

    // MARK: Transactions

    private mutating func transaction() throws(SQLError) -> TransactionStatement {
        let word = text(of: current)
        advance()
        switch word {
        case "begin", "start":
            if word == "start" { try expect(.transaction) } else { acceptWork() }
            let modes = try transactionModes()
            return .begin(isReadOnly: modes ?? false)
        case "commit", "end":
            if acceptWords("prepared") { throw .notSupported("COMMIT PREPARED", at: Int(ahead(-2).start)) }
            acceptWork()
            return .commit(chain: try chain())
        case "savepoint": return .savepoint(try identifier().text)
        case "release":
            _ = acceptWords("savepoint")
            return .release(try identifier().text)
        default:
            if acceptWords("prepared") { throw .notSupported("ROLLBACK PREPARED", at: Int(ahead(-2).start)) }
            acceptWork()
            if accept(.to) {
                _ = acceptWords("savepoint")
                return .rollbackTo(try identifier().text)
            }
            return .rollback(chain: try chain())
        }
    }

    private mutating func acceptWork() {
        if !acceptWords("work") { _ = accept(.transaction) }
    }

    private mutating func chain() throws(SQLError) -> Bool {
        guard accept(.and) else { return false }
        let isNo = acceptWords("no")
        try expectWord("chain")
        return !isNo
    }

    /// ISOLATION LEVEL …, READ ONLY | WRITE, [NOT] DEFERRABLE in any order; whether READ ONLY or READ WRITE was said.
    mutating func transactionModes() throws(SQLError) -> Bool? {
        var isReadOnly: Bool?
        while true {
            if acceptWords("isolation", "level") {
                guard acceptWords("serializable") || acceptWords("repeatable", "read") || acceptWords("read", "committed")
                    || acceptWords("read", "uncommitted")
                else { throw unexpected() }
            } else if acceptWords("read", "only") {
                isReadOnly = true
            } else if acceptWords("read", "write") {
                isReadOnly = false
            } else if acceptWords("deferrable") || acceptWords("not", "deferrable") {
                // Nothing is deferred here.
            } else if isReadOnly != nil || ahead(-1).kind == .identifier, accept(.comma) {
                continue
            } else {
                return isReadOnly
            }
        }
    }

    // MARK: Parameters

    /// A parameter's name may be qualified: `SET my.setting = 1`.
    private mutating func parameterName() throws(SQLError) -> Identifier {
        var name = try label()
        while accept(.dot) { name.text += "." + (try label()).text }
        if name.text == "time", accept(.zone) { name.text = "timezone" }
        return name
    }

    mutating func set() throws(SQLError) -> StatementSyntax.Kind {
        try expect(.set)
        if at(.transaction) || (at(.session) && isWord(ahead(1), "characteristics")) {
            if accept(.session) {
                advance()
                try expect(.as)
            }
            try expect(.transaction)
            return .session(.plain(.transaction(.characteristics(isReadOnly: try transactionModes()))))
        }
        if atWord("constraints") {
            skipStatement()
            return .session(.plain(.accepted(tag: "SET CONSTRAINTS", notice: nil)))
        }
        let isLocal = atWord("local") && ahead(1).kind == .identifier
        if isLocal || (at(.session) && ahead(1).kind == .identifier && ahead(1).keyword != .to) { advance() }
        let start = position
        if at(.role) || atWord("authorization") {
            advance()
            if acceptWords("none") || accept(.default) { return .session(.plain(.accepted(tag: "SET", notice: nil))) }
            throw .notSupported("SET ROLE", at: start)
        }
        let name = acceptWords("names") ? Identifier(text: "client_encoding", position: start) : try parameterName()
        let isFree = name.text == "timezone" || name.text == "client_encoding"
        if !accept(.equal), !accept(.to), !isFree { throw unexpected() }
        var values: [String] = []
        repeat {
            if accept(.default) { return .set(SetSyntax(name: name, value: nil, isLocal: isLocal)) }
            if name.text == "timezone", acceptWords("local") { return .set(SetSyntax(name: name, value: nil, isLocal: isLocal)) }
            values.append(try parameterValue())
        } while accept(.comma)
        return .set(SetSyntax(name: name, value: values.joined(separator: ", "), isLocal: isLocal))
    }

    private mutating func parameterValue() throws(SQLError) -> String {
        // SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE.
        if at(.interval), ahead(1).kind == .string {
            advance()
            let value = try string()
            while at(.hour) || at(.to) || at(.minute) { advance() }
            return value
        }
        let sign = accept(.minus) ? "-" : accept(.plus) ? "+" : ""
        if isAtString { return try string() }
        if current.kind == .integer || current.kind == .number {
            let value = numberText(of: current)
            advance()
            return sign + value
        }
        return try label().text
    }

    /// RESET name | ALL.
    mutating func reset() throws(SQLError) -> StatementSyntax.Kind {
        advance()
        if accept(.role) || acceptWords("session", "authorization") { return .session(.plain(.accepted(tag: "RESET", notice: nil))) }
        let start = position
        if accept(.all) { return .set(SetSyntax(name: Identifier(text: "all", position: start), value: nil, isLocal: false)) }
        return .set(SetSyntax(name: try parameterName(), value: nil, isLocal: false))
    }

    // MARK: SHOW

    mutating func show() throws(SQLError) -> StatementSyntax.Kind {
        try expect(.show)
        if accept(.all) { return .session(.plain(.show(.allParameters))) }
        if acceptWords("transaction", "isolation", "level") {
            return .show(Identifier(text: "transaction_isolation", position: Int(ahead(-3).start)))
        }
        if accept(.create) {
            let kind = try objectKind()
            return .session(.show(.create(kind, try objectName())))
        }
        if acceptWords("columns", "from") || acceptWords("columns", "in") { return .session(.show(.columns(try objectName()))) }
        if acceptWords("indexes", "from") || acceptWords("index", "from") || acceptWords("indexes", "on") {
            return .session(.show(.indexes(try objectName())))
        }
        for listing in ShowStatement.Listing.allCases {
            let words = listing.rawValue.split(separator: " ").map(String.init)
            guard words.indices.allSatisfy({ isWord(ahead($0), words[$0]) }), isListingEnd(ahead(words.count)) else { continue }
            for _ in words { advance() }
            var schema: Identifier?
            var pattern: String?
            if accept(.from) || accept(.in) { schema = try identifier() }
            if accept(.like) || accept(.ilike) { pattern = try string() }
            return .session(.show(.objects(listing, schema: schema, pattern: pattern)))
        }
        return .show(try parameterName())
    }

    private func isListingEnd(_ token: Token) -> Bool {
        token.kind == .endOfInput || token.symbol == .semicolon || token.keyword == .from || token.keyword == .in || token.keyword == .like
            || token.keyword == .ilike
    }

    // MARK: Prepared statements and cursors

    private mutating func prepare() throws(SQLError) -> SessionSyntax {
        let start = position
        advance()
        if at(.transaction) { throw .notSupported("PREPARE TRANSACTION", at: start) }
        let name = try identifier()
        var types: [TypeSyntax] = []
        if accept(.leftParenthesis) {
            repeat { types.append(try type()) } while accept(.comma)
            try expect(.rightParenthesis)
        }
        try expect(.as)
        let statement = try nested { (parser) throws(SQLError) in try parser.statement() }
        return .prepare(name, types: types, statement: statement)
    }

    private mutating func declare() throws(SQLError) -> SessionSyntax {
        advance()
        let name = try identifier()
        var options = CursorOptions()
        let optionsStart = index
        while true {
            if acceptWords("binary") {
                options.isBinary = true
            } else if acceptWords("no", "scroll") || acceptWords("insensitive") || acceptWords("asensitive") {
                // As cursors are.
            } else if acceptWords("scroll") {
                options.isScrollable = true
            } else {
                break
            }
        }
        if index == optionsStart, acceptWords("subscription", "cursor") { return try subscriptionCursor(name) }
        guard acceptWords("cursor") else { throw unexpected() }
        if acceptWords("with", "hold") {
            options.isHeld = true
        } else {
            _ = acceptWords("without", "hold")
        }
        try expect(.for)
        return .declareCursor(name, options, try query())
    }

    private mutating func fetch(isMove: Bool) throws(SQLError) -> FetchStatement {
        advance()
        var direction = FetchStatement.Direction.forward(1)
        if acceptWords("next") {
            // One, ahead.
        } else if acceptWords("prior") {
            direction = .backward(1)
        } else if accept(.first) {
            direction = .first
        } else if accept(.last) {
            direction = .last
        } else if acceptWords("absolute") {
            direction = .absolute(try signedCount())
        } else if acceptWords("relative") {
            direction = .relative(try signedCount())
        } else if acceptWords("forward") {
            direction = .forward(try count())
        } else if acceptWords("backward") {
            direction = .backward(try count())
        } else if accept(.all) {
            direction = .forward(nil)
        } else if current.kind == .integer || at(.minus) || at(.plus) {
            direction = .forward(try signedCount())
        }
        if !accept(.from) { _ = accept(.in) }
        var fetch = FetchStatement(cursor: try identifier().text, direction: direction, isMove: isMove, timeout: nil)
        if accept(.with) { fetch.timeout = try fetchTimeout() }
        return fetch
    }

    /// A number, ALL, or nothing, which is one.
    private mutating func count() throws(SQLError) -> Int64? {
        if accept(.all) { return nil }
        return current.kind == .integer || at(.minus) || at(.plus) ? try signedCount() : 1
    }

    private mutating func signedCount() throws(SQLError) -> Int64 {
        let isNegative = accept(.minus)
        if !isNegative { _ = accept(.plus) }
        guard current.kind == .integer, let value = Int64(try integerDigits(of: current)) else { throw unexpected() }
        advance()
        return isNegative ? -value : value
    }

    private mutating func fetchTimeout() throws(SQLError) -> Int64? {
        for option in try options() {
            guard option.name.text == "timeout" else {
                throw SQLError(.invalidParameterValue, "unknown option \"\(option.name.text)\" of FETCH", at: option.name.position, hint: "It takes timeout.")
            }
            guard let interval = try? Interval(text: option.value), let micros = interval.fixedMicros, micros >= 0 else {
                throw SQLError(.invalidParameterValue, "option \"timeout\" must be a length of time, not \"\(option.value)\"", at: option.valuePosition)
            }
            return micros
        }
        return nil
    }

    // MARK: Subscriptions

    private mutating func subscriptionCursor(_ name: Identifier) throws(SQLError) -> SessionSyntax {
        let start = position
        var cursor = SubscriptionCursorSyntax(subscription: nil, relation: nil, start: .now, position: start)
        if accept(.for) {
            cursor.subscription = try objectName()
        } else {
            try expect(.from)
            cursor.relation = try objectName()
        }
        if acceptWords("full") {
            cursor.start = .full
        } else if acceptWords("since") {
            if acceptWords("now") {
                if accept(.leftParenthesis) { try expect(.rightParenthesis) }
            } else if acceptWords("begin") {
                if accept(.leftParenthesis) { try expect(.rightParenthesis) }
                cursor.start = .begin
            } else if acceptWords("proctime") {
                try expect(.leftParenthesis)
                try expect(.rightParenthesis)
                cursor.start = .proctime
            } else if acceptWords("tick") {
                guard current.kind == .integer, let tick = Int64(try integerDigits(of: current)) else { throw unexpected() }
                advance()
                cursor.start = .tick(tick)
            } else {
                guard current.kind == .integer, let millis = Int64(try integerDigits(of: current)), millis <= Int64.max / 1000 else { throw unexpected() }
                advance()
                cursor.start = .since(millis)
            }
        } else {
            cursor.start = .full
        }
        return .declareSubscriptionCursor(name, cursor)
    }

    private mutating func subscribe() throws(SQLError) -> SessionSyntax {
        let start = position
        advance()
        _ = accept(.to)
        var subscribe = SubscribeSyntax(relation: try objectName(), options: [], position: start)
        if accept(.with) { subscribe.options = try options(flags: true) }
        return .subscribe(subscribe)
    }

    private mutating func cancelJobs() throws(SQLError) -> SessionSyntax {
        let start = position
        advance()
        guard acceptWords("jobs") || acceptWords("job") else { throw .syntaxError("CANCEL takes JOBS and their numbers", at: start) }
        var jobs: [Int64] = []
        repeat { jobs.append(try signedCount()) } while accept(.comma)
        return .plain(.cancelJobs(jobs))
    }
}
