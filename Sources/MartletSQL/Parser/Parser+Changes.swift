internal import MartletCore

/// Statements that change rows: INSERT, UPDATE, DELETE, TRUNCATE, COPY.
extension Parser {
    /// WITH before INSERT, UPDATE or DELETE.
    mutating func changeBehindWith() throws(SQLError) -> SessionSyntax {
        try expect(.with)
        let tables = try commonTables()
        switch current.keyword {
        case .insert: return .insert(try insert(tables))
        case .update: return .update(try update(tables))
        case .delete: return .delete(try delete(tables))
        default: throw unexpected()
        }
    }

    /// True at WITH … INSERT | UPDATE | DELETE: looks for the word behind the last closing parenthesis of the list.
    var isAtChangeBehindWith: Bool {
        guard at(.with) else { return false }
        var depth = 0
        var place = index + 1
        while place < tokens.count {
            let token = tokens[place]
            if token.kind == .endOfInput { return false }
            if token.kind == .symbol {
                if token.symbol == .leftParenthesis { depth += 1 }
                if token.symbol == .rightParenthesis { depth -= 1 }
                if token.symbol == .semicolon, depth == 0 { return false }
            } else if depth == 0 {
                switch token.keyword {
                case .insert, .update, .delete: return true
                case .select, .values, .table: return false
                default: break
                }
            }
            place += 1
        }
        return false
    }

    mutating func insert(_ with: [CommonTableSyntax] = []) throws(SQLError) -> InsertSyntax {
        let start = position
        try expect(.insert)
        try expect(.into)
        var insert = InsertSyntax(with: with, table: try objectName(), rows: .defaultValues, position: start)
        if accept(.as) { insert.alias = try identifier() }
        if at(.leftParenthesis), !(ahead(1).keyword == .select || ahead(1).keyword == .with || ahead(1).keyword == .values) {
            insert.columns = try identifierList()
        }
        if acceptWords("overriding") {
            insert.overridesSystemValue = accept(.system)
            if insert.overridesSystemValue == false { try expect(.user) }
            try expectWord("value")
        }
        if accept(.default) {
            try expect(.values)
        } else if at(.values) {
            let place = position
            advance()
            var rows: [[ExpressionSyntax?]] = []
            repeat {
                try expect(.leftParenthesis)
                rows.append(try nested { (parser) throws(SQLError) in
                    var items: [ExpressionSyntax?] = []
                    repeat {
                        if parser.accept(.default) { items.append(nil) } else { items.append(try parser.expression()) }
                    } while parser.accept(.comma)
                    return items
                })
                try expect(.rightParenthesis)
            } while accept(.comma)
            insert.rows = .values(rows, position: place)
        } else {
            insert.rows = .query(try query())
        }
        if at(.on), isWord(ahead(1), "conflict") { insert.conflict = try insertConflict() }
        insert.returning = try returning()
        return insert
    }

    private mutating func insertConflict() throws(SQLError) -> InsertSyntax.Conflict {
        var conflict = InsertSyntax.Conflict(position: position)
        advance()
        advance()
        if at(.leftParenthesis) { conflict.target = try identifierList() }
        if accept(.on) {
            try expect(.constraint)
            conflict.constraint = try identifier()
        }
        if at(.where) { throw .notSupported("WHERE of a conflict's target", at: position) }
        try expect(.do)
        if acceptWords("nothing") { return conflict }
        try expect(.update)
        conflict.set = try assignments()
        if accept(.where) { conflict.condition = try expression() }
        return conflict
    }

    /// SET a = 1, (b, c) = (2, 3).
    private mutating func assignments() throws(SQLError) -> [AssignmentSyntax] {
        try expect(.set)
        var assignments: [AssignmentSyntax] = []
        repeat {
            if at(.leftParenthesis) {
                let start = position
                let names = try identifierList()
                try expect(.equal)
                _ = accept(.row)
                if ahead(1).keyword == .select || ahead(1).keyword == .with { throw .notSupported("an assignment from a query to several columns", at: position) }
                try expect(.leftParenthesis)
                var values: [ExpressionSyntax?] = []
                repeat { values.append(accept(.default) ? nil : try expression()) } while accept(.comma)
                try expect(.rightParenthesis)
                guard values.count == names.count else {
                    throw .syntaxError("number of columns does not match number of values", at: start)
                }
                assignments += zip(names, values).map { AssignmentSyntax(column: $0, value: $1) }
                continue
            }
            var name = try identifier()
            if at(.dot) {
                // The table's own name or alias may stand before the column, though PostgreSQL has it otherwise.
                advance()
                name = try label()
            }
            if at(.leftBracket) { throw .notSupported("an assignment to an array's element", at: position) }
            try expect(.equal)
            assignments.append(AssignmentSyntax(column: name, value: accept(.default) ? nil : try expression()))
        } while accept(.comma)
        return assignments
    }

    mutating func update(_ with: [CommonTableSyntax] = []) throws(SQLError) -> UpdateSyntax {
        let start = position
        try expect(.update)
        _ = accept(.only)
        let table = try objectName()
        var alias: AliasSyntax?
        if accept(.as) || !at(.set), let name = acceptIdentifier() { alias = AliasSyntax(name: name, columns: []) }
        var update = UpdateSyntax(
            with: with, table: table, alias: alias, set: try assignments(), from: [], condition: nil, returning: nil, position: start)
        if accept(.from) {
            repeat { update.from.append(try fromItem()) } while accept(.comma)
        }
        if accept(.where) { update.condition = try changeCondition() }
        update.returning = try returning()
        return update
    }

    mutating func delete(_ with: [CommonTableSyntax] = []) throws(SQLError) -> DeleteSyntax {
        let start = position
        try expect(.delete)
        try expect(.from)
        _ = accept(.only)
        let table = try objectName()
        var alias: AliasSyntax?
        if accept(.as) || current.kind == .identifier || current.kind == .quotedIdentifier, let name = acceptIdentifier() {
            alias = AliasSyntax(name: name, columns: [])
        }
        var delete = DeleteSyntax(
            with: with, table: table, alias: alias, using: [], condition: nil, returning: nil, position: start)
        if accept(.using) {
            repeat { delete.using.append(try fromItem()) } while accept(.comma)
        }
        if accept(.where) { delete.condition = try changeCondition() }
        delete.returning = try returning()
        return delete
    }

    private mutating func changeCondition() throws(SQLError) -> ExpressionSyntax {
        if at(.current), ahead(1).keyword == .of { throw .notSupported("WHERE CURRENT OF", at: position) }
        return try expression()
    }

    private mutating func returning() throws(SQLError) -> ReturningSyntax? {
        let start = position
        guard accept(.returning) else { return nil }
        var items: [SelectItemSyntax] = []
        repeat { items.append(try selectItem()) } while accept(.comma)
        return ReturningSyntax(items: items, position: start)
    }

    mutating func truncate() throws(SQLError) -> SessionSyntax {
        try expect(.truncate)
        _ = accept(.table)
        _ = accept(.only)
        var names = [try objectName()]
        while accept(.comma) { names.append(try objectName()) }
        let restarts = acceptWords("restart", "identity")
        if !restarts { _ = acceptWords("continue", "identity") }
        // No table's rows depend on another's: CASCADE has nothing to add.
        if !acceptWords("cascade") { _ = acceptWords("restrict") }
        return .truncate(names, restartsIdentity: restarts)
    }

    // MARK: COPY

    mutating func copy() throws(SQLError) -> SessionSyntax {
        let start = position
        try expect(.copy)
        _ = acceptWords("binary")
        let source: CopySyntax.Source
        if accept(.leftParenthesis) {
            source = .query(try nested { (parser) throws(SQLError) in try parser.query() })
            try expect(.rightParenthesis)
        } else {
            let name = try objectName()
            source = .table(name, columns: at(.leftParenthesis) ? try identifierList() : nil)
        }
        var copy = CopySyntax(source: source, isFrom: false, options: CopyOptions(), position: start)
        if accept(.from) {
            if case .query = source { throw .syntaxError("COPY from a query is not possible", at: start) }
            copy.isFrom = true
            guard acceptWords("stdin") else {
                throw .notSupported("COPY from files and programs", at: position, hint: "Use COPY … FROM STDIN, or psql's \\copy.")
            }
        } else {
            try expect(.to)
            guard acceptWords("stdout") else {
                throw .notSupported("COPY to files and programs", at: position, hint: "Use COPY … TO STDOUT, or psql's \\copy.")
            }
        }
        let isListed = at(.with) && ahead(1).symbol == .leftParenthesis || at(.leftParenthesis)
        _ = accept(.with)
        if isListed { try copyOptionList(&copy.options) } else { try copyOptionWords(&copy.options) }
        try check(copy.options, at: start)
        if copy.isFrom, at(.where) { throw .notSupported("COPY … WHERE", at: position) }
        return .copy(copy)
    }

    /// `(FORMAT csv, HEADER, DELIMITER ',')`.
    private mutating func copyOptionList(_ options: inout CopyOptions) throws(SQLError) {
        try expect(.leftParenthesis)
        repeat {
            let name = try label()
            switch name.text {
            case "format":
                let start = position
                let word = try optionWord()
                guard let format = CopyOptions.Format(rawValue: word.lowercasedASCII) else {
                    throw SQLError(.invalidParameterValue, "COPY format \"\(word)\" not recognized", at: start)
                }
                options.format = format
            case "delimiter": options.delimiter = try copyByte("delimiter")
            case "null": options.null = try string()
            case "quote": options.quote = try copyByte("quote")
            case "escape": options.escape = try copyByte("escape")
            case "header":
                if at(.comma) || at(.rightParenthesis) {
                    options.hasHeader = true
                } else {
                    let value = try optionWord().lowercasedASCII
                    options.headerMustMatch = value == "match"
                    options.hasHeader = ["true", "on", "1", "match"].contains(value)
                }
            case "encoding":
                let word = try optionWord()
                guard ["utf8", "utf-8"].contains(word.lowercasedASCII) else { throw .notSupported("COPY in encoding \(word)", at: name.position) }
            case "freeze", "oids", "default", "force_quote", "force_not_null", "force_null", "on_error", "log_verbosity":
                throw .notSupported("COPY option \(name.text.uppercasedASCII)", at: name.position)
            default:
                throw SQLError(.syntaxError, "option \"\(name.text)\" not recognized", at: name.position)
            }
        } while accept(.comma)
        try expect(.rightParenthesis)
    }

    /// `CSV HEADER DELIMITER AS ','`, the syntax before PostgreSQL 9.
    private mutating func copyOptionWords(_ options: inout CopyOptions) throws(SQLError) {
        while true {
            if acceptWords("binary") {
                options.format = .binary
            } else if acceptWords("csv") {
                options.format = .csv
            } else if acceptWords("header") {
                options.hasHeader = true
            } else if acceptWords("delimiter") || acceptWords("delimiters") {
                _ = accept(.as)
                options.delimiter = try copyByte("delimiter")
            } else if accept(.null) {
                _ = accept(.as)
                options.null = try string()
            } else if acceptWords("quote") {
                _ = accept(.as)
                options.quote = try copyByte("quote")
            } else if accept(.escape) {
                _ = accept(.as)
                options.escape = try copyByte("escape")
            } else if atWord("force") || atWord("freeze") || atWord("encoding") {
                throw .notSupported("COPY option \(sourceText(of: current).uppercasedASCII)", at: position)
            } else {
                return
            }
        }
    }

    /// A word, a number or a string.
    mutating func optionWord() throws(SQLError) -> String {
        if isAtString { return try string() }
        guard current.kind == .identifier || current.kind == .integer || current.kind == .quotedIdentifier else { throw unexpected() }
        let word = text(of: current)
        advance()
        return word
    }

    private mutating func copyByte(_ what: String) throws(SQLError) -> UInt8 {
        let start = position
        let text = try string()
        guard text.utf8.count == 1, let byte = text.utf8.first, byte != 10, byte != 13, byte != 0 else {
            throw SQLError(.invalidParameterValue, "COPY \(what) must be a single one-byte character", at: start)
        }
        return byte
    }

    private func check(_ options: CopyOptions, at start: Int) throws(SQLError) {
        if options.format != .csv, options.quote != nil || options.escape != nil {
            throw SQLError(.invalidParameterValue, "COPY \(options.quote != nil ? "QUOTE" : "ESCAPE") requires CSV mode", at: start)
        }
        if options.format == .binary, options.delimiter != nil || options.null != nil || options.hasHeader {
            let what = options.delimiter != nil ? "DELIMITER" : options.null != nil ? "NULL" : "HEADER"
            throw .syntaxError("cannot specify \(what) in BINARY mode", at: start)
        }
    }
}
