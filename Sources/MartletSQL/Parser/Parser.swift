package import MartletCore

/// Recursive descent over the tokens of one text, with PostgreSQL's precedences (Parser+Expressions.swift).
///
/// Pure and total: any text gives statements or one `SQLError` with a position. Recursion is bounded by
/// `SQLLimits.nestingMax`, chains of operators are loops.
package struct Parser {
    let bytes: [UInt8]
    let tokens: ContiguousArray<Token>
    private let stack = StackGuard()
    var index = 0
    /// Open parentheses, CASEs, subqueries, prefix operators.
    var nesting = 0
    /// Active calls of `expression(above:)`; several per nesting level.
    var recursion = 0
    /// Of a `>>` behind two types, the first half is taken.
    var hasHalfClosed = false
    /// The run of opening parentheses last looked through, so that each is read once.
    var parenthesisRun = 0..<0

    package init(_ text: String) throws(SQLError) {
        self.bytes = Array(text.utf8)
        self.tokens = try bytes.withUnsafeBufferPointer { (buffer) throws(SQLError) in try Lexer.tokens(of: buffer) }
    }

    /// All statements of the text; empty ones (`;;`) are skipped.
    package mutating func statements() throws(SQLError) -> [StatementSyntax] {
        var statements: [StatementSyntax] = []
        while let statement = try nextStatement() { statements.append(statement) }
        return statements
    }

    /// The next statement with its semicolon, nil at the end of the text.
    package mutating func nextStatement() throws(SQLError) -> StatementSyntax? {
        while accept(.semicolon) {}
        if current.kind == .endOfInput { return nil }
        let statement = try statement()
        if current.kind != .endOfInput { try expect(.semicolon) }
        return statement
    }

    // MARK: Cursor

    var current: Token { tokens[index] }
    var position: Int { Int(tokens[index].start) }

    /// The last token is `.endOfInput`, which is never passed.
    func ahead(_ count: Int) -> Token { tokens[max(0, min(index + count, tokens.count - 1))] }

    @inline(__always)
    mutating func advance() { if index < tokens.count - 1 { index += 1 } }

    func at(_ symbol: Symbol) -> Bool { current.kind == .symbol && current.symbol == symbol }
    func at(_ keyword: Keyword) -> Bool { current.keyword == keyword }
    func at(_ first: Keyword, _ second: Keyword) -> Bool { current.keyword == first && ahead(1).keyword == second }

    mutating func accept(_ symbol: Symbol) -> Bool {
        guard at(symbol) else { return false }
        advance()
        return true
    }

    mutating func accept(_ keyword: Keyword) -> Bool {
        guard at(keyword) else { return false }
        advance()
        return true
    }

    mutating func accept(_ first: Keyword, _ second: Keyword) -> Bool {
        guard at(first, second) else { return false }
        advance()
        advance()
        return true
    }

    /// `second` must follow `first`; the error points at what stands in its place.
    mutating func accept(_ first: Keyword, then second: Keyword) throws(SQLError) -> Bool {
        guard accept(first) else { return false }
        try expect(second)
        return true
    }

    /// A word that is not in the keyword list.
    func at(word: String) -> Bool {
        current.kind == .identifier && current.keyword == nil && self.text(of: current).utf8.elementsEqual(word.utf8)
    }

    mutating func expect(_ symbol: Symbol) throws(SQLError) {
        guard accept(symbol) else { throw unexpected() }
    }

    mutating func expect(_ keyword: Keyword) throws(SQLError) {
        guard accept(keyword) else { throw unexpected() }
    }

    /// PostgreSQL's words for a token that does not fit the grammar.
    func unexpected(hint: String? = nil) -> SQLError {
        if current.kind == .endOfInput { return .syntaxError("syntax error at end of input", at: bytes.count, hint: hint) }
        var hint = hint
        if hint == nil, at(.colon), ahead(1).kind == .identifier || ahead(1).kind == .string {
            hint = "\":name\" is a psql variable; give it a value, for example with -v name=value."
        }
        return .syntaxError("syntax error at or near \"\(sourceText(of: current))\"", at: position, hint: hint)
    }

    mutating func nested<T>(_ body: (inout Parser) throws(SQLError) -> T) throws(SQLError) -> T {
        try checkStack()
        guard nesting < SQLLimits.nestingMax else { throw .tooDeep(at: position) }
        nesting += 1
        defer { nesting -= 1 }
        return try body(&self)
    }

    /// Recursion ends before the thread's stack does.
    @inline(__always)
    func checkStack() throws(SQLError) {
        if !stack.hasRoom { throw .tooDeep(at: position) }
    }

    // MARK: Text of tokens

    /// As written, shortened for messages.
    func sourceText(of token: Token) -> String {
        let end = min(Int(token.end), Int(token.start) + 120)
        return String(decoding: bytes[Int(token.start)..<end], as: UTF8.self)
    }

    /// An identifier's name: folded to lower case, or unquoted.
    func text(of token: Token) -> String {
        let range = bytes[Int(token.start)..<Int(token.end)]
        if token.kind == .quotedIdentifier {
            return String(decoding: unescapedQuotes(range.dropFirst().dropLast(), quote: UInt8(ascii: "\"")), as: UTF8.self)
        }
        return String(decoding: range.lazy.map(lowered), as: UTF8.self)
    }

    /// Any identifier that may name a column or a relation.
    mutating func identifier() throws(SQLError) -> Identifier {
        guard let identifier = acceptIdentifier() else { throw unexpected() }
        return identifier
    }

    mutating func acceptIdentifier(functionNamesToo: Bool = false) -> Identifier? {
        switch current.kind {
        case .quotedIdentifier: break
        case .identifier:
            if let keyword = current.keyword, keyword.isReserved {
                guard functionNamesToo, keyword.isReservedOutsideFunctions else { return nil }
            }
        default: return nil
        }
        let result = Identifier(text: text(of: current), position: position, isQuoted: current.kind == .quotedIdentifier)
        advance()
        return result
    }

    /// After a dot and after AS any word is a name.
    mutating func label() throws(SQLError) -> Identifier {
        guard current.kind == .identifier || current.kind == .quotedIdentifier else { throw unexpected() }
        let result = Identifier(text: text(of: current), position: position, isQuoted: current.kind == .quotedIdentifier)
        advance()
        return result
    }

    mutating func objectName() throws(SQLError) -> ObjectName {
        var parts = [try identifier()]
        while accept(.dot) {
            parts.append(try label())
            if parts.count > 3 {
                throw .syntaxError("improper qualified name (too many dotted names): \(ObjectName(parts: parts).text)", at: parts[0].position)
            }
        }
        return ObjectName(parts: parts)
    }

    mutating func identifierList() throws(SQLError) -> [Identifier] {
        try expect(.leftParenthesis)
        var names = [try identifier()]
        while accept(.comma) { names.append(try identifier()) }
        try expect(.rightParenthesis)
        return names
    }

    var isAtString: Bool {
        switch current.kind {
        case .string, .escapeString, .dollarString, .unicodeString: true
        default: false
        }
    }

    mutating func string() throws(SQLError) -> String {
        guard isAtString else { throw unexpected() }
        let value = try stringValue(of: current)
        advance()
        return value
    }
}
