internal import MartletCore

/// Cuts SQL text into tokens with PostgreSQL's rules: nested comments, longest-match operators that never swallow a comment,
/// `E''`, `U&''`, `B''`, `X''` and dollar-quoted strings, string continuation over a newline.
///
/// One pass over raw bytes, no String per token; about 100 MB/s. The text is at most `SQLLimits.textBytesMax`, so offsets fit Int32.
struct Lexer {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let keywords = KeywordTable.shared
    private let operators = Symbol.operators
    private var position = 0
    private var tokens: ContiguousArray<Token> = []

    static func tokens(of bytes: UnsafeBufferPointer<UInt8>) throws(SQLError) -> ContiguousArray<Token> {
        guard bytes.count <= SQLLimits.textBytesMax else {
            throw .programLimit("SQL text of \(bytes.count) bytes exceeds the limit of \(SQLLimits.textBytesMax) bytes", at: 0)
        }
        var lexer = Lexer(bytes: bytes)
        lexer.tokens.reserveCapacity(bytes.count / 5 + 16)
        while try lexer.next() {}
        return lexer.tokens
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// 0 past the end, which is no token's byte.
    @inline(__always)
    private func byte(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    private mutating func add(_ kind: Token.Kind, from start: Int, keyword: Keyword? = nil, symbol: Symbol = .none) {
        tokens.append(Token(kind: kind, keyword: keyword, symbol: symbol, start: Int32(start), end: Int32(position)))
    }

    /// False once the end of the text has been added.
    private mutating func next() throws(SQLError) -> Bool {
        try skipSpaceAndComments()
        let start = position
        guard start < bytes.count else {
            add(.endOfInput, from: start)
            return false
        }
        let first = bytes[start]
        let second = byte(start + 1)
        switch first {
        case UInt8(ascii: "'"):
            try string(.string, from: start)
        case UInt8(ascii: "e"), UInt8(ascii: "E"):
            if second == UInt8(ascii: "'") {
                position += 1
                try string(.escapeString, from: start)
            } else {
                identifier(from: start)
            }
        case UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "x"), UInt8(ascii: "X"):
            if second == UInt8(ascii: "'") {
                position += 1
                try string(lowered(first) == UInt8(ascii: "x") ? .hexString : .bitString, from: start)
            } else {
                identifier(from: start)
            }
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            if second == UInt8(ascii: "&"), byte(start + 2) == UInt8(ascii: "'") {
                position += 2
                try string(.unicodeString, from: start)
            } else {
                identifier(from: start)
            }
        case UInt8(ascii: "\""):
            try quotedIdentifier(from: start)
        case UInt8(ascii: "$"):
            try dollar(from: start)
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            try number(from: start)
        case UInt8(ascii: "."):
            if isDigit(second) {
                try number(from: start)
            } else {
                position += 1
                add(.symbol, from: start, symbol: .dot)
            }
        case UInt8(ascii: "("): punctuation(.leftParenthesis)
        case UInt8(ascii: ")"): punctuation(.rightParenthesis)
        case UInt8(ascii: "["): punctuation(.leftBracket)
        case UInt8(ascii: "]"): punctuation(.rightBracket)
        case UInt8(ascii: ","): punctuation(.comma)
        case UInt8(ascii: ";"): punctuation(.semicolon)
        case UInt8(ascii: ":"):
            position += 1
            if second == UInt8(ascii: ":") {
                position += 1
                add(.symbol, from: start, symbol: .doubleColon)
            } else if second == UInt8(ascii: "=") {
                position += 1
                add(.symbol, from: start, symbol: .colonEquals)
            } else {
                add(.symbol, from: start, symbol: .colon)
            }
        default:
            if isIdentifierStart(first) {
                identifier(from: start)
            } else if isOperator(first) {
                operatorToken(from: start)
            } else {
                throw .syntaxError("syntax error at or near \"\(printable(first))\"", at: start)
            }
        }
        return true
    }

    private mutating func punctuation(_ symbol: Symbol) {
        let start = position
        position += 1
        add(.symbol, from: start, symbol: symbol)
    }

    private func printable(_ byte: UInt8) -> String {
        if byte > 32 && byte < 127 { return String(UnicodeScalar(byte)) }
        let digits = Array("0123456789abcdef".utf8)
        return "\\x" + String(decoding: [digits[Int(byte >> 4)], digits[Int(byte & 15)]], as: UTF8.self)
    }

    // MARK: Space and comments

    private mutating func skipSpaceAndComments() throws(SQLError) {
        while position < bytes.count {
            let current = bytes[position]
            if isSpace(current) {
                position += 1
            } else if current == UInt8(ascii: "-"), byte(position + 1) == UInt8(ascii: "-") {
                while position < bytes.count, bytes[position] != 10, bytes[position] != 13 { position += 1 }
            } else if current == UInt8(ascii: "/"), byte(position + 1) == UInt8(ascii: "*") {
                try blockComment()
            } else {
                return
            }
        }
    }

    /// Comments nest, as in the SQL standard; counted, so depth costs nothing.
    private mutating func blockComment() throws(SQLError) {
        let start = position
        var depth = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "/"), byte(position + 1) == UInt8(ascii: "*") {
                depth += 1
                position += 2
            } else if bytes[position] == UInt8(ascii: "*"), byte(position + 1) == UInt8(ascii: "/") {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
        position = bytes.count
        throw unterminated("/* comment", from: start)
    }

    // MARK: Identifiers and strings

    private mutating func identifier(from start: Int) {
        var end = start + 1
        while end < bytes.count, isIdentifierPart(bytes[end]) { end += 1 }
        position = end
        let keyword = keywords.find(UnsafeBufferPointer(rebasing: bytes[start..<end]))
        add(.identifier, from: start, keyword: keyword)
    }

    private mutating func quotedIdentifier(from start: Int) throws(SQLError) {
        position = start + 1
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\"") {
                if byte(position + 1) != UInt8(ascii: "\"") {
                    position += 1
                    if position == start + 2 { throw .syntaxError("zero-length delimited identifier at or near \"\"\"\"", at: start) }
                    add(.quotedIdentifier, from: start)
                    return
                }
                position += 1
            }
            position += 1
        }
        throw unterminated("quoted identifier", from: start)
    }

    /// `position` stands on the opening quote. Adjacent strings separated by white space with a newline are one literal.
    private mutating func string(_ kind: Token.Kind, from start: Int) throws(SQLError) {
        while true {
            position += 1
            var isClosed = false
            while position < bytes.count {
                let current = bytes[position]
                if current == UInt8(ascii: "'") {
                    position += 1
                    if byte(position) != UInt8(ascii: "'") {
                        isClosed = true
                        break
                    }
                } else if current == UInt8(ascii: "\\"), kind == .escapeString {
                    position += 1
                }
                position += 1
            }
            guard isClosed else {
                position = bytes.count
                throw unterminated("quoted string", from: start)
            }
            // Continuation: 'a'<newline>'b'.
            var ahead = position
            var hasNewline = false
            while ahead < bytes.count, isSpace(bytes[ahead]) {
                if bytes[ahead] == 10 || bytes[ahead] == 13 { hasNewline = true }
                ahead += 1
            }
            guard hasNewline, byte(ahead) == UInt8(ascii: "'") else { break }
            position = ahead
        }
        add(kind, from: start)
    }

    /// `$1` or `$tag$ … $tag$`.
    private mutating func dollar(from start: Int) throws(SQLError) {
        if isDigit(byte(start + 1)) {
            position = start + 1
            while isDigit(byte(position)) { position += 1 }
            if isIdentifierPart(byte(position)) {
                throw .syntaxError("trailing junk after parameter at or near \"\(text(start, position + 1))\"", at: start)
            }
            add(.parameter, from: start)
            return
        }
        var tagEnd = start + 1
        if isIdentifierStart(byte(tagEnd)) {
            while isIdentifierPart(byte(tagEnd)), byte(tagEnd) != UInt8(ascii: "$") { tagEnd += 1 }
        }
        guard byte(tagEnd) == UInt8(ascii: "$") else {
            throw .syntaxError("syntax error at or near \"$\"", at: start)
        }
        let length = tagEnd + 1 - start
        position = tagEnd + 1
        while position + length <= bytes.count {
            if bytes[position] == UInt8(ascii: "$"), matches(start, position, length) {
                position += length
                add(.dollarString, from: start)
                return
            }
            position += 1
        }
        position = bytes.count
        throw unterminated("dollar-quoted string", from: start)
    }

    private func matches(_ left: Int, _ right: Int, _ length: Int) -> Bool {
        for index in 0..<length where bytes[left + index] != bytes[right + index] { return false }
        return true
    }

    private func unterminated(_ what: String, from start: Int) -> SQLError {
        var end = bytes.count
        // The rest of the text, shortened at a character.
        if end - start > 60 {
            end = start + 60
            while end > start, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        }
        return .syntaxError("unterminated \(what) at or near \"\(text(start, end))\"", at: start)
    }

    private func text(_ start: Int, _ end: Int) -> String {
        String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<min(end, bytes.count)]), as: UTF8.self)
    }

    // MARK: Numbers and operators

    private mutating func number(from start: Int) throws(SQLError) {
        var kind = Token.Kind.integer
        position = start
        let radixMark = lowered(byte(start + 1))
        if bytes[start] == UInt8(ascii: "0"),
            radixMark == UInt8(ascii: "x") || radixMark == UInt8(ascii: "o") || radixMark == UInt8(ascii: "b")
        {
            position = start + 2
            while isIdentifierPart(byte(position)) { position += 1 }
            add(.integer, from: start)
            return
        }
        digits()
        // `1..2` is two tokens and a dot pair; only a single dot belongs to the number.
        if byte(position) == UInt8(ascii: "."), byte(position + 1) != UInt8(ascii: ".") {
            kind = .number
            position += 1
            digits()
        }
        if lowered(byte(position)) == UInt8(ascii: "e") {
            var ahead = position + 1
            if byte(ahead) == UInt8(ascii: "+") || byte(ahead) == UInt8(ascii: "-") { ahead += 1 }
            if isDigit(byte(ahead)) {
                kind = .number
                position = ahead
                digits()
            }
        }
        if isIdentifierStart(byte(position)) {
            var end = position
            while isIdentifierPart(byte(end)) { end += 1 }
            throw .syntaxError("trailing junk after numeric literal at or near \"\(text(start, end))\"", at: start)
        }
        add(kind, from: start)
    }

    private mutating func digits() {
        while isDigit(byte(position)) || (byte(position) == UInt8(ascii: "_") && isDigit(byte(position + 1))) { position += 1 }
    }

    /// Longest run of operator characters, cut before a comment; a run of several may end in + or - only if it holds one of ~ ! @ # % ^ & | ` ?.
    private mutating func operatorToken(from start: Int) {
        var end = start
        while end < bytes.count, isOperator(bytes[end]) {
            if end > start {
                let isComment =
                    (bytes[end] == UInt8(ascii: "-") && byte(end + 1) == UInt8(ascii: "-"))
                    || (bytes[end] == UInt8(ascii: "/") && byte(end + 1) == UInt8(ascii: "*"))
                if isComment { break }
            }
            end += 1
        }
        while end - start > 1, bytes[end - 1] == UInt8(ascii: "+") || bytes[end - 1] == UInt8(ascii: "-") {
            let mayEndSigned = bytes[start..<end].contains { byte in
                switch byte {
                case UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "@"), UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "^"),
                    UInt8(ascii: "&"), UInt8(ascii: "|"), UInt8(ascii: "`"), UInt8(ascii: "?"):
                    true
                default: false
                }
            }
            if mayEndSigned { break }
            end -= 1
        }
        position = end
        var symbol = Symbol.unknownOperator
        if end - start <= 3 {
            var packed: UInt32 = 0
            for index in stride(from: end - 1, through: start, by: -1) { packed = packed << 8 | UInt32(bytes[index]) }
            symbol = operators[packed] ?? .unknownOperator
        }
        add(.symbol, from: start, symbol: symbol)
    }
}

// MARK: Byte classes

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

@inline(__always)
func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

@inline(__always)
func isIdentifierStart(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 || byte == UInt8(ascii: "_") || byte >= 0x80 }

@inline(__always)
func isIdentifierPart(_ byte: UInt8) -> Bool { isIdentifierStart(byte) || isDigit(byte) || byte == UInt8(ascii: "$") }

@inline(__always)
private func isOperator(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "="),
        UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "@"), UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "^"), UInt8(ascii: "&"),
        UInt8(ascii: "|"), UInt8(ascii: "`"), UInt8(ascii: "?"):
        true
    default: false
    }
}
