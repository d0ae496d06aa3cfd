internal import MartletCore

/// CREATE TABLE and what else defines, changes and drops objects.
extension Parser {
    /// Any spelling of an unquoted word, whether the grammar knows it or not. `word` in lower case.
    func atWord(_ word: String) -> Bool { isWord(current, word) }

    func isWord(_ token: Token, _ word: String) -> Bool {
        guard token.kind == .identifier, Int(token.end - token.start) == word.utf8.count else { return false }
        return zip(bytes[Int(token.start)..<Int(token.end)], word.utf8).allSatisfy { lowered($0) == $1 }
    }

    /// `words`, one behind the other; consumes all or nothing.
    mutating func acceptWords(_ words: String...) -> Bool {
        for (index, word) in words.enumerated() where !isWord(ahead(index), word) { return false }
        for _ in words { advance() }
        return true
    }

    mutating func expectWord(_ word: String) throws(SQLError) {
        guard acceptWords(word) else { throw unexpected() }
    }

    mutating func ifExists() throws(SQLError) -> Bool {
        guard accept(.if) else { return false }
        try expect(.exists)
        return true
    }

    // MARK: CREATE TABLE

    mutating func createTable(at start: Int) throws(SQLError) -> CreateTableSyntax {
        let exists = try ifNotExists()
        var table = CreateTableSyntax(name: try objectName(), ifNotExists: exists, position: start)
        if at(.leftParenthesis) { try tableElements(&table) }
        while true {
            if acceptWords("append", "only") {
                table.isAppendOnly = true
            } else if at(.on), isWord(ahead(1), "conflict") {
                advance()
                advance()
                try tableConflict(&table)
            } else if at(.include) {
                table.includes.append(try include())
            } else if at(.watermark), ahead(1).keyword == .for {
                try tableWatermark(&table)
            } else if at(.with), isWord(ahead(1), "version") {
                advance()
                advance()
                try expectWord("column")
                table.versionColumns = try identifierList()
            } else if at(.with), ahead(1).symbol == .leftParenthesis {
                table.optionsPosition = position
                advance()
                table.options = try options()
            } else if at(.format) {
                table.format = try format()
            } else if at(.in), ahead(1).keyword == .pipeline {
                table.pipeline = try inPipeline()
            } else if at(.on), ahead(1).keyword == .commit {
                throw .notSupported("ON COMMIT of a temporary table", at: position)
            } else if at(.partition) {
                throw .notSupported("PARTITION BY of a table", at: position)
            } else if acceptWords("inherits") {
                throw .notSupported("INHERITS", at: Int(ahead(-1).start))
            } else {
                break
            }
        }
        if accept(.as) {
            table.query = try query()
            table.isEmpty = acceptWords("with", "no", "data")
            if !table.isEmpty { _ = acceptWords("with", "data") }
        }
        return table
    }

    mutating func inPipeline() throws(SQLError) -> Identifier? {
        guard at(.in), ahead(1).keyword == .pipeline else { return nil }
        advance()
        advance()
        return try identifier()
    }

    private mutating func tableElements(_ table: inout CreateTableSyntax) throws(SQLError) {
        try expect(.leftParenthesis)
        if at(.star) { throw .notSupported("taking the columns from a schema registry", at: position) }
        if accept(.rightParenthesis) { return }
        repeat {
            let start = position
            if at(.watermark), ahead(1).keyword == .for {
                try tableWatermark(&table)
            } else if at(.include), ahead(1).kind == .identifier, isIncludeClause {
                table.includes.append(try include())
            } else if at(.constraint) || at(.primary) || at(.unique) || at(.check) || at(.foreign) {
                let name = accept(.constraint) ? try identifier() : nil
                if let constraint = try constraint(name, of: nil) {
                    table.constraints.append(constraint)
                    continue
                }
                try expect(.primary)
                try expect(.key)
                guard table.primaryKey == nil, !table.columns.contains(where: \.isPrimaryKey) else { throw multipleKeys(table, at: start) }
                table.primaryKey = try identifierList()
            } else if at(.like) {
                advance()
                let relation = try objectName()
                var takesKey = false
                while let isTaken = acceptWords("including") ? true : acceptWords("excluding") ? false : nil {
                    if atWord("all") || atWord("indexes") { takesKey = isTaken }
                    advance()
                }
                table.likes.append((table.columns.count, relation, takesKey))
            } else if table.name.parts.isEmpty == false, ahead(1).symbol == .comma || ahead(1).symbol == .rightParenthesis, ahead(1).kind == .symbol {
                // CREATE TABLE t (a, b) AS …: names alone.
                let name = try identifier()
                let type = TypeSyntax(name: "", modifiers: [], position: name.position)
                table.columns.append(TableColumnSyntax(column: ColumnSyntax(name: name, type: type, isNotNull: false)))
            } else {
                let column = try tableColumn()
                if column.isPrimaryKey, table.primaryKey != nil || table.columns.contains(where: \.isPrimaryKey) { throw multipleKeys(table, at: start) }
                table.columns.append(column)
            }
            // A comma behind the last is let pass, as in RisingWave.
        } while accept(.comma) && !at(.rightParenthesis)
        try expect(.rightParenthesis)
    }

    private func multipleKeys(_ table: CreateTableSyntax, at position: Int) -> SQLError {
        SQLError(.invalidTableDefinition, "multiple primary keys for table \"\(table.name.last.text)\" are not allowed", at: position)
    }

    /// Name, type and constraints, in any order.
    mutating func tableColumn() throws(SQLError) -> TableColumnSyntax {
        let name = try identifier()
        var result = TableColumnSyntax(column: ColumnSyntax(name: name, type: try type(), isNotNull: false))
        if let type = Self.serialType(result.column.type) {
            result.column.type.name = type
            result.column.isNotNull = true
            result.identity = TableColumn.Identity(isAlways: false)
        }
        while true {
            let constraintName = accept(.constraint) ? try identifier() : nil
            if let constraint = try constraint(constraintName, of: name) {
                result.constraints.append(constraint)
            } else if accept(.not) {
                try expect(.null)
                result.column.isNotNull = true
            } else if accept(.null) {
                continue
            } else if try accept(.primary, then: .key) {
                result.isPrimaryKey = true
            } else if accept(.default) {
                // `b_expr` in PostgreSQL, so that NOT NULL may follow.
                result.defaultValue = try expression(above: .not)
            } else if isAtIdentity {
                guard result.identity == nil else {
                    throw .syntaxError("multiple identity specifications for column \"\(name.text)\"", at: position)
                }
                result.identity = try identity()
                result.column.isNotNull = true
            } else if at(.generated) || at(.as) {
                result.generated = try generated()
            } else if atWord("path") {
                advance()
                result.column.path = JSONPathSyntax(text: "", position: position)
                result.column.path?.text = try string()
            } else if at(.collate) {
                advance()
                _ = try objectName()
            } else if constraintName != nil {
                throw unexpected()
            } else {
                return result
            }
        }
    }

    /// `AS expression`, `GENERATED ALWAYS AS (expression) STORED`.
    mutating func generated() throws(SQLError) -> ExpressionSyntax {
        if accept(.generated) {
            try expectWord("always")
            try expect(.as)
        } else {
            try expect(.as)
        }
        let value = try expression(above: .not)
        _ = acceptWords("stored") || acceptWords("virtual")
        return value
    }

    private mutating func tableWatermark(_ table: inout CreateTableSyntax) throws(SQLError) {
        guard table.watermark == nil else { throw .syntaxError("a table has only one watermark", at: position) }
        table.watermark = try watermark()
        table.watermarkHasTTL = acceptWords("with", "ttl")
    }

    /// Behind ON CONFLICT.
    private mutating func tableConflict(_ table: inout CreateTableSyntax) throws(SQLError) {
        if acceptWords("overwrite") {
            table.conflict = .overwrite
        } else if acceptWords("ignore") || acceptWords("do", "nothing") {
            table.conflict = .doNothing
        } else if acceptWords("do", "update", "full") {
            table.conflict = .updateFull
        } else if acceptWords("do", "update", "if", "not", "null") {
            table.conflict = .updateIfNotNull
        } else {
            throw unexpected(hint: "ON CONFLICT takes OVERWRITE, DO NOTHING, DO UPDATE FULL or DO UPDATE IF NOT NULL.")
        }
    }

    // MARK: Other CREATE statements

    /// CREATE [UNIQUE] INDEX, behind INDEX.
    mutating func createIndex(isUnique: Bool, at start: Int) throws(SQLError) -> CreateIndexSyntax {
        _ = acceptWords("concurrently")
        let exists = try ifNotExists()
        let name = at(.on) ? nil : try identifier()
        try expect(.on)
        _ = accept(.only)
        var index = CreateIndexSyntax(
            name: name, table: try objectName(), columns: [], isUnique: isUnique, ifNotExists: exists, position: start)
        if accept(.using) { _ = try identifier() }
        try expect(.leftParenthesis)
        index.columns = try orderItems().map(\.expression)
        try expect(.rightParenthesis)
        // What INCLUDE, DISTRIBUTED BY and WITH ask for is the engine's own affair.
        while true {
            if acceptWords("include") {
                _ = try identifierList()
            } else if acceptWords("distributed", "by") {
                try expect(.leftParenthesis)
                _ = try expressionList()
                try expect(.rightParenthesis)
            } else if accept(.with) {
                _ = try options()
            } else {
                break
            }
        }
        if at(.where) { throw .notSupported("a partial index", at: position) }
        return index
    }

    /// CREATE [OR REPLACE] FUNCTION f(a INT, …) RETURNS type LANGUAGE SQL AS $$ SELECT … $$ | RETURN expression.
    mutating func createFunction(replaces: Bool, at start: Int) throws(SQLError) -> CreateFunctionSyntax {
        let exists = try ifNotExists()
        var function = CreateFunctionSyntax(
            name: try objectName(), parameters: [], result: TypeSyntax(name: "", modifiers: [], position: start), language: "sql", body: "",
            bodyPosition: -1, replaces: replaces, ifNotExists: exists, position: start)
        try expect(.leftParenthesis)
        if !accept(.rightParenthesis) {
            repeat {
                _ = accept(.in)
                // A name stands before a type; a type may stand alone.
                var name: Identifier?
                if ahead(1).kind == .identifier, !isWord(ahead(1), "precision"), !isWord(ahead(1), "varying"), !isWord(ahead(1), "with") {
                    name = try identifier()
                }
                function.parameters.append((name, try type()))
                if at(.default) || at(.equal) { throw .notSupported("DEFAULT of a parameter", at: position) }
            } while accept(.comma)
            try expect(.rightParenthesis)
        }
        guard acceptWords("returns") else { throw unexpected() }
        if at(.table) || atWord("setof") { throw .notSupported("a function that returns a set", at: position) }
        function.result = try type()
        while true {
            if acceptWords("language") {
                function.language = isAtString ? try string() : try label().text
            } else if accept(.as) {
                function.bodyPosition = position
                function.body = try string()
            } else if accept(.return) {
                let begin = position
                _ = try expression()
                function.bodyPosition = begin
                function.body = "SELECT " + String(decoding: bytes[begin..<Int(ahead(-1).end)], as: UTF8.self)
            } else if acceptWords("immutable") || acceptWords("stable") || acceptWords("volatile") || acceptWords("strict")
                || acceptWords("leakproof") || acceptWords("parallel", "safe") || acceptWords("called", "on", "null", "input")
                || acceptWords("returns", "null", "on", "null", "input")
            {
                continue
            } else if accept(.using) || at(.with) {
                throw .notSupported("a function in another language", at: position, hint: "LANGUAGE SQL functions are supported.")
            } else {
                break
            }
        }
        return function
    }

    mutating func createSubscription(at start: Int) throws(SQLError) -> CreateSubscriptionSyntax {
        let exists = try ifNotExists()
        let name = try objectName()
        try expect(.from)
        var subscription = CreateSubscriptionSyntax(
            name: name, relation: try objectName(), options: [], ifNotExists: exists, position: start)
        if accept(.with) { subscription.options = try options() }
        return subscription
    }

    // MARK: DROP, ALTER, COMMENT

    /// The kind of object a statement names, in one word or two.
    mutating func objectKind() throws(SQLError) -> ObjectKind {
        if accept(.materialized) {
            try expect(.view)
            return .materializedView
        }
        for kind in ObjectKind.allCases where kind != .materializedView && kind != .column && atWord(kind.rawValue) {
            advance()
            return kind
        }
        throw unexpected()
    }

    mutating func drop() throws(SQLError) -> SessionSyntax {
        let start = position
        try expect(.drop)
        for word in ["user", "role", "owned"] where atWord(word) {
            skipStatement()
            return .plain(.accepted(tag: word == "owned" ? "DROP OWNED" : "DROP ROLE", notice: Self.usersNotice))
        }
        for word in ["model", "policy", "trigger", "aggregate", "extension", "foreign", "server"]
        where atWord(word) {
            throw .notSupported("DROP \(word.uppercasedASCII)", at: start)
        }
        let kind = try objectKind()
        _ = kind == .index && acceptWords("concurrently")
        var drop = DropSyntax(kind: kind, names: [], ifExists: try ifExists(), isCascade: false, position: start)
        repeat {
            drop.names.append(try objectName())
            if kind == .function, accept(.leftParenthesis) {
                while !at(.rightParenthesis) {
                    _ = try type()
                    if !accept(.comma) { break }
                }
                try expect(.rightParenthesis)
            }
        } while accept(.comma)
        drop.isCascade = acceptWords("cascade")
        if !drop.isCascade { _ = acceptWords("restrict") }
        return .drop(drop)
    }

    mutating func alter() throws(SQLError) -> SessionSyntax {
        let start = position
        try expect(.alter)
        if atWord("system") {
            advance()
            try expect(.set)
            skipStatement()
            return .plain(.accepted(tag: "ALTER SYSTEM", notice: "ALTER SYSTEM has no effect"))
        }
        for word in ["user", "role", "default"] where atWord(word) {
            skipStatement()
            return .plain(.accepted(tag: word == "default" ? "ALTER DEFAULT PRIVILEGES" : "ALTER ROLE", notice: Self.usersNotice))
        }
        for word in ["model", "policy", "type", "extension"] where atWord(word) {
            throw .notSupported("ALTER \(word.uppercasedASCII)", at: start)
        }
        let kind = try objectKind()
        var alter = AlterSyntax(kind: kind, name: ObjectName(parts: []), ifExists: try ifExists(), changes: [], position: start)
        _ = accept(.only)
        alter.name = try objectName()
        if kind == .sequence, isAtSequenceOption {
            alter.changes = [.setCounter(of: nil, try sequenceOptions(isAltered: true, at: position))]
            return .alter(alter)
        }
        repeat { alter.changes.append(try alteration()) } while accept(.comma)
        return .alter(alter)
    }

    private var isAtSequenceOption: Bool {
        at(.as) || ["restart", "increment", "start", "minvalue", "maxvalue", "no", "cache", "cycle", "owned"].contains(where: atWord)
    }

    /// To the end of the statement, for what is accepted whatever it says.
    mutating func skipStatement() {
        while current.kind != .endOfInput, !at(.semicolon) { advance() }
    }

    private mutating func alteration() throws(SQLError) -> AlterSyntax.Change {
        let start = position
        if acceptWords("rename", "to") { return .rename(try identifier()) }
        if acceptWords("rename") {
            _ = acceptWords("column")
            let name = try identifier()
            try expect(.to)
            return .renameColumn(name, to: try identifier())
        }
        if acceptWords("add") {
            if at(.constraint) || at(.primary) || at(.unique) || at(.check) || at(.foreign) {
                let name = accept(.constraint) ? try identifier() : nil
                guard let constraint = try constraint(name, of: nil) else {
                    throw .notSupported("ADD PRIMARY KEY", at: start, hint: "Name the primary key in CREATE TABLE.")
                }
                if acceptWords("not", "valid") { throw .notSupported("NOT VALID", at: start) }
                return .addConstraint(constraint)
            }
            _ = acceptWords("column")
            let exists = try ifNotExists()
            return .addColumn(try tableColumn(), ifNotExists: exists)
        }
        if accept(.drop) {
            if accept(.constraint) {
                let exists = try ifExists()
                let name = try identifier()
                if !acceptWords("cascade") { _ = acceptWords("restrict") }
                return .dropConstraint(name, ifExists: exists)
            }
            _ = acceptWords("column")
            let exists = try ifExists()
            let name = try identifier()
            let isCascade = acceptWords("cascade")
            if !isCascade { _ = acceptWords("restrict") }
            return .dropColumn(name, ifExists: exists, isCascade: isCascade)
        }
        if acceptWords("pause") { return .setRunning(false) }
        if acceptWords("resume") { return .setRunning(true) }
        if acceptWords("set", "schema") { return .setSchema(try identifier()) }
        if acceptWords("owner", "to") {
            _ = try label()
            return .withoutEffect("OWNER")
        }
        if at(.set) || atWord("swap") || atWord("reset") {
            if acceptWords("swap", "with") { return .swap(with: try objectName()) }
            let isReset = atWord("reset")
            advance()
            if leadsToRetention() { return .setOptions(try options(flags: isReset), isReset: isReset) }
            let what = sourceText(of: current).uppercasedASCII
            while current.kind != .endOfInput, !at(.semicolon) { advance() }
            return .withoutEffect(what)
        }
        if accept(.alter) { return try columnAlteration(at: start) }
        if atWord("refresh") || at(.format) || at(.as) { throw .notSupported("ALTER … \(sourceText(of: current).uppercasedASCII)", at: start) }
        throw unexpected()
    }

    /// Whether options in parentheses follow, `retention_seconds` among them.
    private func leadsToRetention() -> Bool {
        guard at(.leftParenthesis) else { return false }
        var place = 1
        while ahead(place).kind != .endOfInput, ahead(place).symbol != .rightParenthesis {
            if isWord(ahead(place), "retention_seconds") { return true }
            place += 1
        }
        return false
    }

    /// Behind ALTER.
    private mutating func columnAlteration(at start: Int) throws(SQLError) -> AlterSyntax.Change {
        _ = acceptWords("column")
        let name = try identifier()
        if acceptWords("set", "default") { return .setDefault(name, try expression()) }
        if acceptWords("drop", "default") { return .setDefault(name, nil) }
        if atWord("restart") { return .setCounter(of: name, try sequenceOptions(isAltered: true, at: position)) }
        if acceptWords("set", "not", "null") { return .setNotNull(name, true) }
        if acceptWords("drop", "not", "null") { return .setNotNull(name, false) }
        if acceptWords("set", "statistics") || acceptWords("set", "storage") || acceptWords("set", "compression") {
            advance()
            return .withoutEffect("ALTER COLUMN … SET")
        }
        throw .notSupported(
            "changing a column's type", at: start, hint: "Add a column of that type, fill it by UPDATE, drop this one and rename the other.")
    }

    /// COMMENT ON kind name IS 'text' | NULL.
    mutating func comment() throws(SQLError) -> SessionSyntax {
        try expect(.comment)
        try expect(.on)
        let kind: ObjectKind
        if acceptWords("column") { kind = .column } else { kind = try objectKind() }
        var name = try objectName()
        var column: Identifier?
        if kind == .column {
            guard name.parts.count > 1 else { throw .syntaxError("column name must be qualified", at: name.position) }
            column = name.parts.removeLast()
        }
        if kind == .function, accept(.leftParenthesis) {
            while !at(.rightParenthesis), current.kind != .endOfInput { advance() }
            try expect(.rightParenthesis)
        }
        try expect(.is)
        let text = accept(.null) ? nil : try string()
        return .comment(kind == .column ? nil : kind, name, column: column, text: text)
    }
}
