internal import MartletCore

/// Names, function calls with their clauses, and the calls that have a grammar of their own.
extension Parser {
    /// A column name, a call, or a type name before a string (`date '2026-01-01'`).
    @inline(never)
    mutating func nameOrCall() throws(SQLError) -> ExpressionSyntax {
        let start = position
        if let literal = try typedLiteral() { return literal }
        guard let first = acceptIdentifier(functionNamesToo: true) else { throw unexpected() }
        var parts = [first]
        while at(.dot) {
            if ahead(1).symbol == .star, ahead(1).kind == .symbol { break }
            advance()
            parts.append(try label())
            if parts.count > 4 {
                throw .syntaxError("improper qualified name (too many dotted names): \(ObjectName(parts: parts).text)", at: start)
            }
        }
        if at(.leftParenthesis) { return try nested { (parser) throws(SQLError) in try parser.call(ObjectName(parts: parts)) } }
        if at(.arrow), parts.count == 1 {
            advance()
            let value = try nested { (parser) throws(SQLError) in try parser.expression() }
            return make(.named(first, value), at: start, overAll: [value])
        }
        return ExpressionSyntax(kind: .name(parts), position: start, depth: 1)
    }

    /// `typename 'text'`; nil (and nothing consumed) where it is something else.
    @inline(never)
    private mutating func typedLiteral() throws(SQLError) -> ExpressionSyntax? {
        guard current.kind == .identifier else { return nil }
        let start = index
        let isMultiword: Bool
        switch current.keyword {
        case .timestamp, .time: isMultiword = true
        case nil: isMultiword = at(word: "double") || at(word: "character")
        default: isMultiword = false
        }
        func isString(_ token: Token) -> Bool {
            switch token.kind {
            case .string, .escapeString, .dollarString, .unicodeString: true
            default: false
            }
        }
        guard isMultiword || isString(ahead(1)) else { return nil }
        if isMultiword, ahead(1).kind == .symbol, ahead(1).symbol != .leftParenthesis { return nil }
        guard let type = try? type(), isAtString else {
            index = start
            return nil
        }
        let position = position
        return ExpressionSyntax(kind: .typedLiteral(type, try string()), position: position, depth: 1)
    }

    @inline(never)
    private mutating func call(_ name: ObjectName) throws(SQLError) -> ExpressionSyntax {
        try expect(.leftParenthesis)
        var call = CallSyntax(name: name, arguments: [], position: name.position)
        if at(.star) {
            advance()
            call.isStar = true
        } else if !at(.rightParenthesis) {
            call.isDistinct = accept(.distinct)
            if !call.isDistinct { _ = accept(.all) }
            if isAtQuery { throw unexpected(hint: "Put the subquery in parentheses of its own.") }
            if let relation = acceptQualifiedStar() {
                // count(t.*): the whole row.
                call.arguments = [ExpressionSyntax(kind: .name(relation.parts), position: relation.position, depth: 1)]
            } else {
                call.arguments = try callArguments()
            }
            if try accept(.order, then: .by) { call.orderBy = try orderItems() }
            acceptNulls(&call)
        }
        try expect(.rightParenthesis)
        if at(.filter) || at(.over) || at(.within) || at(.ignore) || at(.respect) { return try callSuffix(call) }
        return make(.call(call), at: name.position, overAll: call.arguments)
    }

    /// Expressions; the last may be `VARIADIC ARRAY[…]`, whose items are as many arguments.
    private mutating func callArguments() throws(SQLError) -> [ExpressionSyntax] {
        var arguments: [ExpressionSyntax] = []
        repeat {
            let start = position
            let isSpread = atWord("variadic") && ahead(1).kind != .symbol
            if isSpread { advance() }
            let argument = try expression()
            guard isSpread else {
                arguments.append(argument)
                continue
            }
            guard case .array(let items) = argument.kind, !at(.comma) else {
                throw .notSupported("VARIADIC other than ARRAY[…] as the last argument", at: start)
            }
            arguments += items
        } while accept(.comma)
        return arguments
    }

    /// FILTER, IGNORE NULLS and OVER behind a call.
    @inline(never)
    private mutating func callSuffix(_ given: CallSyntax) throws(SQLError) -> ExpressionSyntax {
        var call = given
        var children = call.arguments
        if accept(.within) {
            try expect(.group)
            try expect(.leftParenthesis)
            try expect(.order)
            try expect(.by)
            call.withinGroup = try orderItems()
            try expect(.rightParenthesis)
            children += call.withinGroup.map(\.expression)
        }
        if at(.filter), ahead(1).symbol == .leftParenthesis {
            advance()
            advance()
            try expect(.where)
            let filter = try expression()
            try expect(.rightParenthesis)
            call.filter = filter
            children.append(filter)
        }
        acceptNulls(&call)
        if at(.over), ahead(1).symbol == .leftParenthesis || ahead(1).kind == .identifier || ahead(1).kind == .quotedIdentifier {
            let start = position
            advance()
            let over: OverSyntax
            if at(.leftParenthesis) {
                over = try overDefinition(at: start)
            } else {
                over = OverSyntax(name: try identifier(), partition: [], order: [], frame: nil, position: start)
            }
            children += over.partition + over.order.map(\.expression)
            call.over = over
        }
        return make(.call(call), at: call.position, overAll: children)
    }

    /// IGNORE NULLS or RESPECT NULLS, inside of the parentheses or behind them.
    private mutating func acceptNulls(_ call: inout CallSyntax) {
        guard at(.ignore) || at(.respect), ahead(1).keyword == .nulls else { return }
        call.ignoresNulls = at(.ignore)
        advance()
        advance()
    }

    /// `([name] [PARTITION BY …] [ORDER BY …] [frame])`.
    mutating func overDefinition(at start: Int) throws(SQLError) -> OverSyntax {
        try expect(.leftParenthesis)
        var over = OverSyntax(name: nil, partition: [], order: [], frame: nil, position: start)
        if !at(.partition), !at(.order), !at(.rows), !at(.range), !at(.groups), !at(.session) { over.name = acceptIdentifier() }
        if try accept(.partition, then: .by) { over.partition = try expressionList() }
        if try accept(.order, then: .by) { over.order = try orderItems() }
        let unit: FrameSyntax.Unit? =
            switch current.keyword {
            case .rows: .rows
            case .range: .range
            case .groups: .groups
            case .session: .session
            default: nil
            }
        if let unit {
            let framePosition = position
            advance()
            if unit == .session {
                try expect(.with)
                try expectWord("gap")
                let gap = try expression()
                over.frame = FrameSyntax(unit: unit, start: .preceding(gap), end: .following(gap), position: framePosition)
            } else if accept(.between) {
                let first = try frameBound()
                try expect(.and)
                over.frame = FrameSyntax(unit: unit, start: first, end: try frameBound(), position: framePosition)
            } else {
                over.frame = FrameSyntax(unit: unit, start: try frameBound(), end: nil, position: framePosition)
            }
            if unit != .session, let exclusion = try frameExclusion() { over.frame?.exclusion = exclusion }
        }
        try expect(.rightParenthesis)
        return over
    }

    /// `EXCLUDE NO OTHERS | CURRENT ROW | GROUP | TIES`.
    private mutating func frameExclusion() throws(SQLError) -> WindowFrame.Exclusion? {
        guard acceptWords("exclude") else { return nil }
        if accept(.group) { return .group }
        if accept(.ties) { return .ties }
        if accept(.current, .row) { return .currentRow }
        try expectWord("no")
        try expect(.others)
        return .noOthers
    }

    private mutating func frameBound() throws(SQLError) -> FrameSyntax.Bound {
        if accept(.unbounded, .preceding) { return .unboundedPreceding }
        if accept(.unbounded, .following) { return .unboundedFollowing }
        if at(.current), ahead(1).keyword == .row {
            advance()
            advance()
            return .currentRow
        }
        let distance = try expression()
        if accept(.preceding) { return .preceding(distance) }
        try expect(.following)
        return .following(distance)
    }

    @inline(never)
    mutating func orderItems() throws(SQLError) -> [OrderSyntax] {
        var items: [OrderSyntax] = []
        repeat {
            let expression = try expression()
            var descending = false
            if accept(.desc) {
                descending = true
            } else {
                _ = accept(.asc)
            }
            var nullsFirst: Bool?
            if accept(.nulls) {
                nullsFirst = accept(.first)
                if nullsFirst == false { try expect(.last) }
            }
            items.append(OrderSyntax(expression: expression, descending: descending, nullsFirst: nullsFirst))
        } while accept(.comma)
        return items
    }

    // MARK: Calls with words between the arguments

    /// EXTRACT, SUBSTRING, POSITION, TRIM, OVERLAY: rewritten to the function PostgreSQL maps them to.
    @inline(never)
    mutating func specialCall(_ keyword: Keyword) throws(SQLError) -> ExpressionSyntax {
        let start = position
        advance()
        try expect(.leftParenthesis)
        var name = keyword.rawValue
        var arguments: [ExpressionSyntax] = []
        switch keyword {
        case .extract:
            if isAtString {
                let fieldPosition = position
                arguments.append(ExpressionSyntax(kind: .string(try string()), position: fieldPosition, depth: 1))
            } else {
                let field = try label()
                arguments.append(ExpressionSyntax(kind: .string(field.text), position: field.position, depth: 1))
            }
            try expect(.from)
            arguments.append(try expression())
        case .position:
            let part = try expression(above: .range)
            if accept(.in) {
                arguments = [try expression(), part]
            } else {
                arguments = [part]
                while accept(.comma) { arguments.append(try expression()) }
            }
        case .substring:
            arguments = [try expression()]
            if at(.from) || at(.for) {
                let first: ExpressionSyntax
                if accept(.from) {
                    first = try expression()
                } else {
                    first = ExpressionSyntax(kind: .integer("1"), position: position, depth: 1)
                }
                arguments.append(first)
                if accept(.for) { arguments.append(try expression()) }
            } else if at(.similar) {
                throw .notSupported("SUBSTRING … SIMILAR", at: position)
            } else {
                while accept(.comma) { arguments.append(try expression()) }
            }
        case .overlay:
            arguments = [try expression()]
            if accept(.placing) {
                arguments.append(try expression())
                try expect(.from)
                arguments.append(try expression())
                if accept(.for) { arguments.append(try expression()) }
            } else {
                while accept(.comma) { arguments.append(try expression()) }
            }
        default:
            // TRIM([BOTH | LEADING | TRAILING] [characters] FROM text) or TRIM(text, characters).
            name = "btrim"
            if accept(.leading) {
                name = "ltrim"
            } else if accept(.trailing) {
                name = "rtrim"
            } else {
                _ = accept(.both)
            }
            if accept(.from) {
                arguments = try expressionList()
            } else {
                let first = try expression()
                if accept(.from) {
                    arguments = try expressionList() + [first]
                } else {
                    arguments = [first]
                    while accept(.comma) { arguments.append(try expression()) }
                }
            }
        }
        try expect(.rightParenthesis)
        let call = CallSyntax(
            name: ObjectName(parts: [Identifier(text: name, position: start)]), arguments: arguments, position: start)
        return make(.call(call), at: start, overAll: arguments)
    }

    // MARK: Types

    /// A type name with its modifiers: `numeric(10, 2)`, `timestamp(3) with time zone`, `double precision`, `text[]`.
    @inline(never)
    mutating func type() throws(SQLError) -> TypeSyntax {
        let start = position
        guard current.kind == .identifier || current.kind == .quotedIdentifier, current.keyword?.isReserved != true else {
            throw unexpected()
        }
        var type = TypeSyntax(name: text(of: current), modifiers: [], position: start)
        type.isQuoted = current.kind == .quotedIdentifier
        let isTime = at(.timestamp) || at(.time)
        let isInterval = at(.interval)
        advance()
        if at(.dot) {
            advance()
            let isCatalog = type.name == "pg_catalog"
            type.isQuoted = current.kind == .quotedIdentifier
            let name = try label().text
            type.name = isCatalog ? name : type.name + "." + name
            if isCatalog, name == "char" { type.isQuoted = true }
            if isCatalog, name == "timestamp" || name == "time", at(.with) || at(.without) {
                type.name += at(.with) ? " with time zone" : " without time zone"
                advance()
                advance()
                advance()
            }
        }
        if type.name == "double", at(.precision) {
            advance()
            type.name = "double precision"
        } else if type.name == "character", accept(.varying) {
            type.name = "character varying"
        } else if type.name == "struct" || type.name == "map", at(.less) || at(.leftParenthesis) {
            guard type.name == "struct", at(.less) else { throw .notSupported("the type \(type.name)", at: start) }
            type.fields = try structureFields()
        }
        if accept(.leftParenthesis) {
            repeat {
                guard current.kind == .integer, let number = Int(try integerDigits(of: current)) else { throw unexpected() }
                type.modifiers.append(number)
                advance()
            } while accept(.comma)
            try expect(.rightParenthesis)
        }
        if isTime, at(.with) || at(.without), ahead(1).keyword == .time, ahead(2).keyword == .zone {
            type.name += at(.with) ? " with time zone" : " without time zone"
            advance()
            advance()
            advance()
        }
        if isInterval { type.intervalFields = try typeIntervalFields() }
        if at(.leftBracket) {
            type.isArray = true
            while accept(.leftBracket) {
                if current.kind == .integer { advance() }
                try expect(.rightBracket)
            }
        }
        return type
    }

    private mutating func typeIntervalFields() throws(SQLError) -> String? {
        switch current.keyword {
        case .year, .month, .day, .hour, .minute, .second: throw .notSupported("an interval type with fields", at: position)
        default: return nil
        }
    }
}
