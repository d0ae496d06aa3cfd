/// One lexical unit: a kind and the byte range it came from. Values of literals are decoded when the parser asks for them.
struct Token: Sendable {
    enum Kind: UInt8, Sendable {
        case identifier, quotedIdentifier
        case string, escapeString, dollarString, unicodeString, hexString, bitString
        case integer, number
        case parameter
        case symbol
        case endOfInput
    }

    var kind: Kind
    /// Set for unquoted identifiers that are words of the grammar.
    var keyword: Keyword?
    /// Set for `.symbol`.
    var symbol: Symbol
    /// UTF-8 offsets into the text.
    var start: Int32
    var end: Int32
}

/// Operators and punctuation.
enum Symbol: UInt8, Sendable, CaseIterable {
    case none
    case leftParenthesis, rightParenthesis, leftBracket, rightBracket, comma, semicolon, dot, colon, doubleColon, colonEquals, arrow
    case plus, minus, star, slash, percent, caret
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case concatenate
    case jsonGet, jsonGetText, jsonPath, jsonPathText, contains, containedBy, hasKey, hasAnyKey, hasAllKeys
    case tilde, tildeStar, notTilde, notTildeStar
    case bitAnd, bitOr, bitXor, shiftLeft, shiftRight
    /// A run of operator characters that names no operator; the parser reports it.
    case unknownOperator

    var spelling: String {
        switch self {
        case .none, .unknownOperator: ""
        case .leftParenthesis: "("
        case .rightParenthesis: ")"
        case .leftBracket: "["
        case .rightBracket: "]"
        case .comma: ","
        case .semicolon: ";"
        case .dot: "."
        case .colon: ":"
        case .doubleColon: "::"
        case .colonEquals: ":="
        case .arrow: "=>"
        case .plus: "+"
        case .minus: "-"
        case .star: "*"
        case .slash: "/"
        case .percent: "%"
        case .caret: "^"
        case .equal: "="
        case .notEqual: "<>"
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        case .concatenate: "||"
        case .jsonGet: "->"
        case .jsonGetText: "->>"
        case .jsonPath: "#>"
        case .jsonPathText: "#>>"
        case .contains: "@>"
        case .containedBy: "<@"
        case .hasKey: "?"
        case .hasAnyKey: "?|"
        case .hasAllKeys: "?&"
        case .tilde: "~"
        case .tildeStar: "~*"
        case .notTilde: "!~"
        case .notTildeStar: "!~*"
        case .bitAnd: "&"
        case .bitOr: "|"
        case .bitXor: "#"
        case .shiftLeft: "<<"
        case .shiftRight: ">>"
        }
    }

    /// Operators by their bytes, packed little-endian into one word (the longest has three).
    static let operators: [UInt32: Symbol] = {
        var table: [UInt32: Symbol] = [:]
        for symbol in Symbol.allCases where symbol.rawValue >= Symbol.plus.rawValue && symbol != .unknownOperator {
            table[pack(Array(symbol.spelling.utf8)[...])] = symbol
        }
        table[pack(Array("!=".utf8)[...])] = .notEqual
        table[pack(Array("=>".utf8)[...])] = .arrow
        return table
    }()

    static func pack(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
