package import MartletCore

/// Binding power, PostgreSQL's table (manual, section 4.1.6) upside down: a larger one binds tighter.
enum Precedence: Int, Comparable {
    case lowest, or, and, not, test, comparison, range, other, sum, product, power, at, collate, sign, subscripted, cast

    static func < (left: Precedence, right: Precedence) -> Bool { left.rawValue < right.rawValue }
}

extension Parser {
    package mutating func expression() throws(SQLError) -> ExpressionSyntax { try expression(above: .lowest) }

    /// An expression whose operators all bind tighter than `limit`. Left-associative chains are this loop; AND and OR chains
    /// become one flat node.
    mutating func expression(above limit: Precedence) throws(SQLError) -> ExpressionSyntax {
        guard recursion < 3 * SQLLimits.nestingMax else { throw .tooDeep(at: position) }
        try checkStack()
        recursion += 1
        defer { recursion -= 1 }
        var left = try prefixed()
        /// `a < b < c` is a syntax error, as in PostgreSQL.
        var lastNonAssociative: Precedence?
        while let precedence = infixPrecedence, precedence > limit {
            if precedence == .comparison || precedence == .range {
                if lastNonAssociative == precedence { throw unexpected() }
                // The list of IN ends in a parenthesis, so another test may follow.
                lastNonAssociative = precedence == .range && (at(.in) || at(.not, .in)) ? nil : precedence
            }
            left = try infix(left, precedence)
            if left.depth > SQLLimits.expressionDepthMax { throw .tooDeep(at: left.position) }
        }
        return left
    }

    /// The current token as an infix or postfix operator; nil ends the expression.
    private var infixPrecedence: Precedence? {
        let token = current
        if token.kind == .symbol {
            switch token.symbol {
            case .plus, .minus: return .sum
            case .star, .slash, .percent: return .product
            case .caret: return .power
            case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return .comparison
            case .doubleColon: return .cast
            case .leftBracket: return .subscripted
            case .concatenate, .jsonGet, .jsonGetText, .jsonPath, .jsonPathText, .contains, .containedBy, .hasKey, .hasAnyKey, .hasAllKeys,
                .tilde, .tildeStar, .notTilde, .notTildeStar, .bitAnd, .bitOr, .bitXor, .shiftLeft, .shiftRight, .unknownOperator:
                return .other
            case .none, .leftParenthesis, .rightParenthesis, .rightBracket, .comma, .semicolon, .colon, .colonEquals, .arrow: return nil
            case .dot: return ahead(1).kind == .identifier || ahead(1).kind == .quotedIdentifier ? .cast : nil
            }
        }
        guard let keyword = token.keyword else {
            return isWord(token, "operator") && ahead(1).symbol == .leftParenthesis ? .other : nil
        }
        switch keyword {
        case .or: return .or
        case .and: return .and
        case .is, .isnull, .notnull: return .test
        case .between, .in, .like, .ilike, .similar: return .range
        case .not:
            switch ahead(1).keyword {
            case .between, .in, .like, .ilike, .similar: return .range
            default: return nil
            }
        case .at: return ahead(1).keyword == .time ? .at : nil
        case .collate: return .collate
        case .overlaps: return .range
        default: return nil
        }
    }

    func make(_ kind: ExpressionSyntax.Kind, at position: Int, over children: ExpressionSyntax...) -> ExpressionSyntax {
        var depth: Int32 = 0
        for child in children { depth = max(depth, child.depth) }
        return ExpressionSyntax(kind: kind, position: position, depth: depth + 1)
    }

    func make(_ kind: ExpressionSyntax.Kind, at position: Int, overAll children: [ExpressionSyntax]) -> ExpressionSyntax {
        ExpressionSyntax(kind: kind, position: position, depth: (children.lazy.map(\.depth).max() ?? 0) + 1)
    }

    /// The symbol before the current token.
    private var symbolBefore: Symbol { index > 0 ? tokens[index - 1].symbol : .none }

    @inline(never)
    private mutating func infix(_ left: ExpressionSyntax, _ precedence: Precedence) throws(SQLError) -> ExpressionSyntax {
        let start = position
        switch precedence {
        case .or, .and:
            let keyword: Keyword = precedence == .or ? .or : .and
            var operands = [left]
            while accept(keyword) { operands.append(try expression(above: precedence)) }
            return make(keyword == .or ? .or(operands) : .and(operands), at: start, overAll: operands)
        case .test: return try test(left)
        case .range: return try rangeTest(left)
        case .cast:
            advance()
            if symbolBefore == .dot { return make(.field(left, try label()), at: start, over: left) }
            return make(.cast(left, try type()), at: start, over: left)
        case .subscripted: return try subscripted(left)
        case .at:
            advance()
            try expect(.time)
            try expect(.zone)
            let zone = try expression(above: .at)
            let call = CallSyntax(
                name: ObjectName(parts: [Identifier(text: "timezone", position: start)]), arguments: [zone, left], position: start)
            return make(.call(call), at: start, over: left, zone)
        case .collate:
            advance()
            try collation()
            return left
        case .comparison, .other, .sum, .product, .power:
            let isQualified = current.kind != .symbol
            if isQualified { try qualifiedOperator() }
            let token = current
            guard token.kind == .symbol else { throw unexpected() }
            let name = token.symbol == .unknownOperator ? sourceText(of: token) : token.symbol.spelling
            advance()
            if isQualified { try expect(.rightParenthesis) }
            if let quantified = try quantified(name, left, at: start) { return quantified }
            let right = try expression(above: precedence)
            return make(.binary(name, left, right), at: start, over: left, right)
        case .lowest, .not, .sign:
            throw unexpected()
        }
    }

    /// `OPERATOR(pg_catalog.` up to the operator itself.
    @inline(never)
    private mutating func qualifiedOperator() throws(SQLError) {
        advance()
        try expect(.leftParenthesis)
        while current.kind != .symbol {
            let schema = try label()
            guard schema.text == "pg_catalog" else {
                throw SQLError(.invalidSchemaName, "schema \"\(schema.text)\" does not exist", at: schema.position)
            }
            try expect(.dot)
        }
    }

    /// Behind COLLATE: strings compare byte by byte, so collations that do are accepted.
    @inline(never)
    private mutating func collation() throws(SQLError) {
        var name = try label()
        while accept(.dot) { name = try label() }
        guard ["default", "C", "c", "POSIX", "posix", "ucs_basic"].contains(name.text) else {
            throw .notSupported("the collation \"\(name.text)\"", at: name.position, hint: "Strings compare byte by byte, as COLLATE \"C\" does.")
        }
    }

    /// IS [NOT] NULL | TRUE | FALSE | UNKNOWN | DISTINCT FROM, ISNULL, NOTNULL.
    @inline(never)
    private mutating func test(_ left: ExpressionSyntax) throws(SQLError) -> ExpressionSyntax {
        let start = position
        if accept(.isnull) { return make(.isTest(left, .null, negated: false), at: start, over: left) }
        if accept(.notnull) { return make(.isTest(left, .null, negated: true), at: start, over: left) }
        try expect(.is)
        let negated = accept(.not)
        if accept(.null) { return make(.isTest(left, .null, negated: negated), at: start, over: left) }
        if accept(.true) { return make(.isTest(left, .isTrue, negated: negated), at: start, over: left) }
        if accept(.false) { return make(.isTest(left, .isFalse, negated: negated), at: start, over: left) }
        if accept(.unknown) { return make(.isTest(left, .unknown, negated: negated), at: start, over: left) }
        if acceptWords("json") {
            let kind = ["value", "object", "array", "scalar"].first { acceptWords($0) } ?? "value"
            if at(.with) || at(.without) { throw .notSupported("IS JSON … UNIQUE", at: position) }
            let word = ExpressionSyntax(kind: .string(kind), position: start, depth: 1)
            let name = ObjectName(parts: [Identifier(text: "is json", position: start)])
            let isJSON = make(.call(CallSyntax(name: name, arguments: [left, word], position: start)), at: start, over: left)
            return negated ? make(.not(isJSON), at: start, over: isJSON) : isJSON
        }
        if accept(.distinct) {
            try expect(.from)
            let right = try expression(above: .test)
            return make(.isDistinct(left, right, negated: negated), at: start, over: left, right)
        }
        throw unexpected()
    }

    /// [NOT] BETWEEN, IN, LIKE, ILIKE.
    @inline(never)
    private mutating func rangeTest(_ left: ExpressionSyntax) throws(SQLError) -> ExpressionSyntax {
        let start = position
        let negated = accept(.not)
        switch current.keyword {
        case .between:
            advance()
            let symmetric = accept(.symmetric)
            if !symmetric { _ = accept(.asymmetric) }
            let low = try expression(above: .range)
            try expect(.and)
            let high = try expression(above: .range)
            return make(.between(left, low, high, negated: negated, symmetric: symmetric), at: start, over: left, low, high)
        case .in:
            advance()
            try expect(.leftParenthesis)
            if isAtQuery {
                let query = try nested { (parser) throws(SQLError) in try parser.query() }
                try expect(.rightParenthesis)
                return make(.inSubquery(left, query, negated: negated), at: start, over: left)
            }
            let items = try nested { (parser) throws(SQLError) in try parser.expressionList() }
            try expect(.rightParenthesis)
            return make(.inList(left, items, negated: negated), at: start, overAll: items + [left])
        case .like, .ilike:
            let caseInsensitive = at(.ilike)
            advance()
            let symbol = (negated ? "!" : "") + (caseInsensitive ? "~~*" : "~~")
            if let quantified = try quantified(symbol, left, at: start) { return quantified }
            let pattern = try expression(above: .range)
            var escape: ExpressionSyntax?
            if accept(.escape) { escape = try expression(above: .range) }
            let kind = ExpressionSyntax.Kind.like(left, pattern, escape: escape, negated: negated, caseInsensitive: caseInsensitive)
            return make(kind, at: start, overAll: [left, pattern] + (escape.map { [$0] } ?? []))
        case .similar: return try similar(left, negated: negated, at: start)
        case .overlaps:
            advance()
            let right = try expression(above: .range)
            guard case .row(let first) = left.kind, case .row(let second) = right.kind, first.count == 2, second.count == 2 else {
                throw .syntaxError("wrong number of parameters on OVERLAPS expression", at: start)
            }
            let call = CallSyntax(
                name: ObjectName(parts: [Identifier(text: "overlaps", position: start)]), arguments: first + second, position: start)
            return make(.call(call), at: start, over: left, right)
        default: throw unexpected()
        }
    }

    package mutating func expressionList() throws(SQLError) -> [ExpressionSyntax] {
        var items = [try expression()]
        while accept(.comma) { items.append(try expression()) }
        return items
    }

    // MARK: Prefix operators and primaries

    @inline(never)
    private mutating func prefixed() throws(SQLError) -> ExpressionSyntax {
        let start = position
        if at(.not) {
            advance()
            let operand = try nested { (parser) throws(SQLError) in try parser.expression(above: .not) }
            return make(.not(operand), at: start, over: operand)
        }
        guard current.kind == .symbol else { return try primary() }
        switch current.symbol {
        case .minus, .plus:
            let isMinus = at(.minus)
            advance()
            let operand = try nested { (parser) throws(SQLError) in try parser.expression(above: .sign) }
            // A sign is part of a number, so that -9223372036854775808 is a bigint.
            switch operand.kind {
            case .integer(let digits) where isMinus && !digits.hasPrefix("-"):
                return ExpressionSyntax(kind: .integer("-" + digits), position: start, depth: 1)
            case .number(let digits) where isMinus && !digits.hasPrefix("-"):
                return ExpressionSyntax(kind: .number("-" + digits), position: start, depth: 1)
            default:
                return make(.unary(isMinus ? "-" : "+", operand), at: start, over: operand)
            }
        case .tilde:
            advance()
            let operand = try nested { (parser) throws(SQLError) in try parser.expression(above: .other) }
            return make(.unary("~", operand), at: start, over: operand)
        default: return try primary()
        }
    }

    @inline(never)
    private mutating func primary() throws(SQLError) -> ExpressionSyntax {
        let start = position
        let token = current
        switch token.kind {
        case .integer:
            advance()
            return leaf(.integer(try integerDigits(of: token)), start)
        case .number:
            advance()
            return leaf(.number(numberText(of: token)), start)
        case .string, .escapeString, .dollarString, .unicodeString:
            advance()
            return leaf(.string(try stringValue(of: token)), start)
        case .hexString:
            advance()
            return leaf(.bytes(try bytesValue(of: token)), start)
        case .bitString: throw .notSupported("a bit string", at: start)
        case .parameter:
            advance()
            guard let number = Int(sourceText(of: token).dropFirst()), number > 0, number <= 65_535 else {
                throw SQLError(.undefinedParameter, "there is no parameter \(sourceText(of: token))", at: start)
            }
            return leaf(.parameter(number), start)
        case .symbol:
            guard token.symbol == .leftParenthesis else { throw unexpected() }
            return try parenthesized()
        case .quotedIdentifier: return try nameOrCall()
        case .identifier:
            if let keyword = token.keyword { return try keywordPrimary(keyword) }
            return try nameOrCall()
        case .endOfInput: throw unexpected()
        }
    }

    private func leaf(_ kind: ExpressionSyntax.Kind, _ position: Int) -> ExpressionSyntax {
        ExpressionSyntax(kind: kind, position: position, depth: 1)
    }

    @inline(never)
    private mutating func parenthesized() throws(SQLError) -> ExpressionSyntax {
        let start = position
        advance()
        if isAtQuery {
            let query = try nested { (parser) throws(SQLError) in try parser.query() }
            try expect(.rightParenthesis)
            return leaf(.subquery(query), start)
        }
        let first = try nested { (parser) throws(SQLError) in try parser.expression() }
        if at(.comma) {
            var items = [first]
            while accept(.comma) { items.append(try nested { (parser) throws(SQLError) in try parser.expression() }) }
            try expect(.rightParenthesis)
            return make(.row(items), at: start, overAll: items)
        }
        try expect(.rightParenthesis)
        return first
    }

    /// True at SELECT, WITH and VALUES (…). Behind a further parenthesis it is an expression first: `((SELECT 1) + 2)`.
    var isAtQuery: Bool {
        switch current.keyword {
        case .select, .with: true
        case .values: ahead(1).symbol == .leftParenthesis
        default: false
        }
    }

    @inline(never)
    private mutating func keywordPrimary(_ keyword: Keyword) throws(SQLError) -> ExpressionSyntax {
        let start = position
        let isCall = ahead(1).kind == .symbol && ahead(1).symbol == .leftParenthesis
        switch keyword {
        case .null:
            advance()
            return leaf(.null, start)
        case .true, .false:
            advance()
            return leaf(.boolean(keyword == .true), start)
        case .case: return try nested { (parser) throws(SQLError) in try parser.caseExpression() }
        case .cast where isCall:
            advance()
            advance()
            let operand = try nested { (parser) throws(SQLError) in try parser.expression() }
            try expect(.as)
            let type = try type()
            try expect(.rightParenthesis)
            return make(.cast(operand, type), at: start, over: operand)
        case .exists where isCall:
            advance()
            advance()
            let query = try nested { (parser) throws(SQLError) in try parser.query() }
            try expect(.rightParenthesis)
            return leaf(.exists(query), start)
        case .array:
            advance()
            if accept(.leftBracket) {
                return try nested { (parser) throws(SQLError) in try parser.arrayItems(at: start) }
            }
            try expect(.leftParenthesis)
            let query = try nested { (parser) throws(SQLError) in try parser.query() }
            try expect(.rightParenthesis)
            return leaf(.arraySubquery(query), start)
        case .row where isCall:
            advance()
            advance()
            var items: [ExpressionSyntax] = []
            if !at(.rightParenthesis) { items = try nested { (parser) throws(SQLError) in try parser.expressionList() } }
            try expect(.rightParenthesis)
            return make(.row(items), at: start, overAll: items)
        case .extract where isCall, .substring where isCall, .position where isCall, .trim where isCall, .overlay where isCall:
            return try nested { (parser) throws(SQLError) in try parser.specialCall(keyword) }
        case .current_date, .current_time, .current_timestamp, .localtime, .localtimestamp, .user:
            advance()
            if accept(.leftParenthesis) {
                guard current.kind == .integer else { throw unexpected() }
                advance()
                try expect(.rightParenthesis)
            }
            let name = ObjectName(parts: [Identifier(text: keyword.rawValue, position: start)])
            return leaf(.call(CallSyntax(name: name, arguments: [], position: start)), start)
        case .interval:
            let next = ahead(1)
            let isLiteral = next.kind == .string || next.kind == .escapeString || next.kind == .dollarString || next.kind == .unicodeString
            if isLiteral || (isCall && ahead(2).kind == .integer && isStringToken(ahead(4))) { return try intervalLiteral() }
            return try nameOrCall()
        case .table where ahead(1).kind == .identifier || ahead(1).kind == .quotedIdentifier:
            // Flink: TABLE rel as an argument.
            advance()
            return leaf(.table(try objectName()), start)
        case .descriptor where isCall:
            advance()
            return leaf(.descriptor(try identifierList()), start)
        default:
            if keyword.isReserved {
                // LEFT(…) and RIGHT(…) are functions too.
                guard keyword.isReservedOutsideFunctions, isCall else { throw unexpected() }
            }
            return try nameOrCall()
        }
    }

    private func isStringToken(_ token: Token) -> Bool {
        token.kind == .string || token.kind == .escapeString || token.kind == .dollarString || token.kind == .unicodeString
    }

    /// INTERVAL '1' DAY, INTERVAL '1 day', INTERVAL(3) '…'.
    @inline(never)
    private mutating func intervalLiteral() throws(SQLError) -> ExpressionSyntax {
        let start = position
        advance()
        if accept(.leftParenthesis) {
            advance()
            try expect(.rightParenthesis)
        }
        let textPosition = position
        let text = try string()
        var type = TypeSyntax(name: "interval", modifiers: [], position: start)
        type.intervalFields = try intervalFields()
        return leaf(.typedLiteral(type, text), textPosition)
    }

    /// YEAR, MONTH, DAY TO SECOND, …; nil where none follow.
    @inline(never)
    private mutating func intervalFields() throws(SQLError) -> String? {
        func isField(_ keyword: Keyword?) -> Bool {
            switch keyword {
            case .year, .month, .day, .hour, .minute, .second: true
            default: false
            }
        }
        guard isField(current.keyword), let first = current.keyword else { return nil }
        advance()
        var fields = first.rawValue
        if at(.to), isField(ahead(1).keyword), let last = ahead(1).keyword {
            advance()
            advance()
            fields += " to " + last.rawValue
        }
        if fields.hasSuffix("second"), at(.leftParenthesis), ahead(1).kind == .integer {
            advance()
            advance()
            try expect(.rightParenthesis)
        }
        return fields
    }

    @inline(never)
    private mutating func caseExpression() throws(SQLError) -> ExpressionSyntax {
        let start = position
        try expect(.case)
        var children: [ExpressionSyntax] = []
        var operand: ExpressionSyntax?
        if !at(.when) {
            let value = try expression()
            operand = value
            children.append(value)
        }
        var branches: [ExpressionSyntax.Branch] = []
        guard at(.when) else { throw unexpected() }
        while accept(.when) {
            let condition = try expression()
            try expect(.then)
            let result = try expression()
            children += [condition, result]
            branches.append(ExpressionSyntax.Branch(condition: condition, result: result))
        }
        var otherwise: ExpressionSyntax?
        if accept(.else) {
            let value = try expression()
            otherwise = value
            children.append(value)
        }
        try expect(.end)
        return make(.conditional(operand: operand, branches: branches, otherwise: otherwise), at: start, overAll: children)
    }
}
