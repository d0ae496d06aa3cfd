/// A path of the SQL/JSON path language, as PostgreSQL has it, parsed.
///
/// Everything in everyday use: lax and strict, members, wildcards, `**`, subscripts with `to` and `last`, filters,
/// comparisons, `exists`, `starts with`, `like_regex`, `is unknown`, arithmetic, variables, and the methods type, size,
/// double, ceiling, floor, abs and keyvalue. `datetime()` is 0A000.
package struct JSONPath: Sendable {
    indirect enum Node: Sendable {
        case root
        case current
        case last
        case variable(String)
        case literal(JSONNode)
        /// Steps are applied to the base one after the other.
        case steps(Node, [Step])
        case arithmetic(String, Node, Node)
        case sign(isMinus: Bool, Node)
        case predicate(Predicate)
    }

    enum Step: Sendable {
        case member(String)
        case anyMember
        /// `.**{from to to}`, nil: without end.
        case descend(from: Int, to: Int?)
        case anyElement
        case elements([Subscript])
        case filter(Predicate)
        case method(String)
    }

    struct Subscript: Sendable {
        let from: Node
        let to: Node?
    }

    indirect enum Predicate: Sendable {
        case compare(String, Node, Node)
        case and(Predicate, Predicate)
        case or(Predicate, Predicate)
        case not(Predicate)
        case isUnknown(Predicate)
        case exists(Node)
        case startsWith(Node, Node)
        case likeRegex(Node, Regex)
        /// A path where a condition is wanted, as `@.flag` never is but a parenthesised predicate may be.
        case value(Node)
    }

    let isStrict: Bool
    let expression: Node

    /// 42601 where the text is no path.
    package init(_ text: String) throws(SQLError) {
        var parser = try JSONPathParser(text)
        (isStrict, expression) = try parser.parse()
    }
}

private struct JSONPathParser {
    private enum Token: Equatable {
        case symbol(String)
        case word(String)
        case string(String)
        case number(String)
        case variable(String)
        case end
    }

    private var tokens: [Token] = []
    private var at = 0
    private var depth = 0
    private static let depthMax = 100
    /// Inside of how many filters and subscripts the parser is: where `@` and `last` mean something.
    private var filters = 0
    private var subscripts = 0

    private static func syntax(_ token: Token) -> SQLError {
        let shown: String
        switch token {
        case .end: return SQLError(.syntaxError, "syntax error at end of jsonpath input")
        case .symbol(let text), .word(let text), .string(let text), .number(let text): shown = text
        case .variable(let name): shown = "$" + name
        }
        return SQLError(.syntaxError, "syntax error at or near \"\(shown)\" of jsonpath input")
    }

    init(_ text: String) throws(SQLError) {
        let input = Array(text.unicodeScalars)
        var at = 0
        func isWord(_ scalar: Unicode.Scalar) -> Bool {
            scalar == "_" || scalar == "$" || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
        }
        while at < input.count {
            let scalar = input[at]
            if scalar.properties.isWhitespace {
                at += 1
            } else if scalar == "/", at + 1 < input.count, input[at + 1] == "*" {
                at += 2
                while at + 1 < input.count, !(input[at] == "*" && input[at + 1] == "/") { at += 1 }
                at += 2
            } else if scalar == "\"" {
                var end = at + 1
                while end < input.count, input[end] != "\"" { end += input[end] == "\\" ? 2 : 1 }
                guard end < input.count else { throw SQLError(.syntaxError, "unterminated quoted string at end of jsonpath input") }
                // The escapes are JSON's.
                guard case .string(let value) = try JSONNode(text: String(String.UnicodeScalarView(input[at...end]))) else {
                    throw Self.syntax(.symbol("\""))
                }
                tokens.append(.string(value))
                at = end + 1
            } else if ("0"..."9").contains(scalar) || (scalar == "." && at + 1 < input.count && ("0"..."9").contains(input[at + 1])) {
                var end = at
                func digits() { while end < input.count, ("0"..."9").contains(input[end]) { end += 1 } }
                digits()
                if end < input.count, input[end] == ".", end + 1 >= input.count || input[end + 1] != "*" {
                    end += 1
                    digits()
                }
                if end + 1 < input.count, input[end] == "e" || input[end] == "E" {
                    end += 1
                    if input[end] == "+" || input[end] == "-" { end += 1 }
                    digits()
                }
                if end < input.count, isWord(input[end]) {
                    throw SQLError(.syntaxError, "trailing junk after numeric literal at or near \"\(String(String.UnicodeScalarView(input[at...end])))\" of jsonpath input")
                }
                tokens.append(.number(String(String.UnicodeScalarView(input[at..<end]))))
                at = end
            } else if scalar == "$", at + 1 < input.count, isWord(input[at + 1]) || input[at + 1] == "\"" {
                at += 1
                if input[at] == "\"" {
                    var end = at + 1
                    while end < input.count, input[end] != "\"" { end += 1 }
                    tokens.append(.variable(String(String.UnicodeScalarView(input[at + 1..<min(end, input.count)]))))
                    at = end + 1
                } else {
                    let start = at
                    while at < input.count, isWord(input[at]) { at += 1 }
                    tokens.append(.variable(String(String.UnicodeScalarView(input[start..<at]))))
                }
            } else if isWord(scalar), scalar != "$" {
                let start = at
                while at < input.count, isWord(input[at]) { at += 1 }
                tokens.append(.word(String(String.UnicodeScalarView(input[start..<at]))))
            } else {
                let two = at + 1 < input.count ? String(String.UnicodeScalarView(input[at...at + 1])) : ""
                let symbol = ["&&", "||", "==", "!=", "<>", "<=", ">=", "**"].contains(two) ? two : String(scalar)
                guard symbol.unicodeScalars.count == 2 || "$@.,[](){}?*+-/%<>!".unicodeScalars.contains(scalar) else {
                    throw Self.syntax(.symbol(symbol))
                }
                tokens.append(.symbol(symbol))
                at += symbol.unicodeScalars.count
            }
        }
        tokens.append(.end)
    }

    private var current: Token { tokens[at] }
    private func ahead(_ distance: Int) -> Token { at + distance < tokens.count ? tokens[at + distance] : .end }

    private mutating func accept(_ symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        at += 1
        return true
    }

    private mutating func accept(word: String) -> Bool {
        guard current == .word(word) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ symbol: String) throws(SQLError) {
        guard accept(symbol) else { throw Self.syntax(current) }
    }

    mutating func parse() throws(SQLError) -> (Bool, JSONPath.Node) {
        guard current != .end else { throw SQLError(.invalidTextRepresentation, "invalid input syntax for type jsonpath: \"\"") }
        let isStrict = accept(word: "strict")
        if !isStrict { _ = accept(word: "lax") }
        let node = try top()
        guard current == .end else { throw Self.syntax(current) }
        return (isStrict, node)
    }

    /// A predicate or a value.
    private mutating func top() throws(SQLError) -> JSONPath.Node {
        let predicate = try disjunction()
        if case .value(let node) = predicate { return node }
        return .predicate(predicate)
    }

    private mutating func nested<Answer>(_ body: (inout JSONPathParser) throws(SQLError) -> Answer) throws(SQLError) -> Answer {
        guard depth < Self.depthMax else { throw SQLError(.statementTooComplex, "jsonpath is nested too deeply") }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }

    private mutating func disjunction() throws(SQLError) -> JSONPath.Predicate {
        var left = try conjunction()
        while accept("||") { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(SQLError) -> JSONPath.Predicate {
        var left = try condition()
        while accept("&&") { left = .and(left, try condition()) }
        return left
    }

    private mutating func condition() throws(SQLError) -> JSONPath.Predicate {
        if accept("!") { return .not(try nested { (parser) throws(SQLError) in try parser.condition() }) }
        if current == .word("exists"), ahead(1) == .symbol("(") {
            at += 2
            let node = try nested { (parser) throws(SQLError) in try parser.sum() }
            try expect(")")
            return .exists(node)
        }
        let left = try sum()
        switch current {
        case .symbol(let name) where ["==", "!=", "<>", "<", "<=", ">", ">="].contains(name):
            at += 1
            return .compare(name == "<>" ? "!=" : name, left, try sum())
        case .word("starts"):
            at += 1
            guard accept(word: "with") else { throw Self.syntax(current) }
            return .startsWith(left, try sum())
        case .word("like_regex"):
            at += 1
            guard case .string(let pattern) = current else { throw Self.syntax(current) }
            at += 1
            var options = RegexOptions()
            if accept(word: "flag") {
                guard case .string(let flags) = current else { throw Self.syntax(current) }
                at += 1
                options = try Self.flags(flags)
            }
            return .likeRegex(left, try Regex.cached(pattern, options))
        default: break
        }
        // A parenthesised predicate stands where a value would.
        let predicate: JSONPath.Predicate = if case .predicate(let inner) = left { inner } else { .value(left) }
        if current == .word("is"), ahead(1) == .word("unknown") {
            at += 2
            return .isUnknown(predicate)
        }
        return predicate
    }

    private static func flags(_ letters: String) throws(SQLError) -> RegexOptions {
        var options = RegexOptions()
        options.isNewlineExcluded = true
        for letter in letters.unicodeScalars {
            switch letter {
            case "i": options.ignoresCase = true
            case "s": options.isNewlineExcluded = false
            case "m": options.isMultiline = true
            case "q": options.isLiteral = true
            default:
                throw SQLError(
                    .syntaxError, "invalid input syntax for type jsonpath",
                    detail: "Unrecognized flag character \"\(letter)\" in LIKE_REGEX predicate.")
            }
        }
        return options
    }

    private mutating func sum() throws(SQLError) -> JSONPath.Node {
        var left = try product()
        while case .symbol(let name) = current, name == "+" || name == "-" {
            at += 1
            left = .arithmetic(name, left, try product())
        }
        return left
    }

    private mutating func product() throws(SQLError) -> JSONPath.Node {
        var left = try signed()
        while case .symbol(let name) = current, name == "*" || name == "/" || name == "%" {
            at += 1
            left = .arithmetic(name, left, try signed())
        }
        return left
    }

    private mutating func signed() throws(SQLError) -> JSONPath.Node {
        if current == .symbol("-") || current == .symbol("+") {
            let isMinus = accept("-")
            if !isMinus { at += 1 }
            return .sign(isMinus: isMinus, try nested { (parser) throws(SQLError) in try parser.signed() })
        }
        let base = try primary()
        var steps: [JSONPath.Step] = []
        while let step = try step() { steps.append(step) }
        return steps.isEmpty ? base : .steps(base, steps)
    }

    private mutating func primary() throws(SQLError) -> JSONPath.Node {
        let token = current
        at = min(at + 1, tokens.count - 1)
        switch token {
        case .symbol("$"): return .root
        case .symbol("@"):
            guard filters > 0 else { throw SQLError(.syntaxError, "@ is not allowed in root expressions") }
            return .current
        case .variable(let name): return .variable(name)
        case .string(let text): return .literal(.string(text))
        case .number(let digits):
            guard let value = Decimal(text: digits) else { throw Self.syntax(token) }
            return .literal(.number(value.text))
        case .word("true"): return .literal(.boolean(true))
        case .word("false"): return .literal(.boolean(false))
        case .word("null"): return .literal(.null)
        case .word("last"):
            guard subscripts > 0 else { throw SQLError(.syntaxError, "LAST is allowed only in array subscripts") }
            return .last
        case .symbol("("):
            let inner = try nested { (parser) throws(SQLError) in try parser.top() }
            try expect(")")
            return inner
        // A word that is no beginning is noticed at what follows it.
        case .word: throw Self.syntax(current)
        case .symbol, .end: throw Self.syntax(token)
        }
    }

    private mutating func step() throws(SQLError) -> JSONPath.Step? {
        if accept(".") {
            if accept("*") { return .anyMember }
            if accept("**") { return try descent() }
            switch current {
            case .string(let name):
                at += 1
                return .member(name)
            case .word(let name), .variable(let name):
                at += 1
                guard current == .symbol("("), case .word = tokens[at - 1] else { return .member(name) }
                let isMethod = ["type", "size", "double", "ceiling", "floor", "abs", "keyvalue", "datetime"].contains(name)
                guard isMethod else { throw Self.syntax(current) }
                at += 1
                try expect(")")
                guard ["type", "size", "double", "ceiling", "floor", "abs", "keyvalue"].contains(name) else {
                    throw SQLError(.featureNotSupported, "the jsonpath method datetime() is not supported")
                }
                return .method(name)
            default: throw Self.syntax(current)
            }
        }
        if accept("[") {
            if accept("*") {
                try expect("]")
                return .anyElement
            }
            var found: [JSONPath.Subscript] = []
            subscripts += 1
            defer { subscripts -= 1 }
            repeat {
                let from = try nested { (parser) throws(SQLError) in try parser.sum() }
                let to: JSONPath.Node? = accept(word: "to") ? try nested { (parser) throws(SQLError) in try parser.sum() } : nil
                found.append(JSONPath.Subscript(from: from, to: to))
            } while accept(",")
            try expect("]")
            return .elements(found)
        }
        if accept("?") {
            try expect("(")
            filters += 1
            defer { filters -= 1 }
            let predicate = try nested { (parser) throws(SQLError) in try parser.disjunction() }
            try expect(")")
            return .filter(predicate)
        }
        return nil
    }

    /// Behind `.**`: `{n}`, `{n to m}`, `{n to last}`.
    private mutating func descent() throws(SQLError) -> JSONPath.Step {
        guard accept("{") else { return .descend(from: 0, to: nil) }
        func level() throws(SQLError) -> Int? {
            if accept(word: "last") { return nil }
            guard case .number(let digits) = current, let value = Int(digits) else { throw Self.syntax(current) }
            at += 1
            return value
        }
        let from = try level()
        var to = from
        if accept(word: "to") { to = try level() }
        try expect("}")
        return .descend(from: from ?? Int.max, to: to)
    }
}
