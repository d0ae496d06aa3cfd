package import MartletCore

/// SELECT, VALUES, WITH, set operations and the FROM clause.
extension Parser {
    package mutating func query() throws(SQLError) -> QuerySyntax {
        let start = position
        var tables: [CommonTableSyntax] = []
        if accept(.with) {
            if at(.recursive) { throw .notSupported("WITH RECURSIVE", at: position) }
            repeat { tables.append(try commonTable()) } while accept(.comma)
        }
        let body = try queryBody()
        var orderBy: [OrderSyntax] = []
        if try accept(.order, then: .by) { orderBy = try orderItems() }
        var limit: ExpressionSyntax?
        var offset: ExpressionSyntax?
        while true {
            if at(.limit), limit == nil {
                advance()
                if accept(.all) { continue }
                limit = try expression()
            } else if at(.offset), offset == nil {
                advance()
                offset = try expression()
                if at(.row) || at(.rows) { advance() }
            } else if at(.fetch), limit == nil {
                limit = try fetchClause()
            } else {
                break
            }
        }
        if at(.for) { throw .notSupported("FOR UPDATE and FOR SHARE", at: position) }
        var emit: Int?
        if at(.emit, .on) {
            emit = position
            advance()
            advance()
            try expect(.window)
            try expect(.close)
        }
        return QuerySyntax(
            with: tables, body: body, orderBy: orderBy, limit: limit, offset: offset, emitOnWindowClose: emit, position: start)
    }

    private mutating func commonTable() throws(SQLError) -> CommonTableSyntax {
        let name = try identifier()
        var columns: [Identifier] = []
        if at(.leftParenthesis) { columns = try identifierList() }
        try expect(.as)
        if at(.changelog) { throw .notSupported("WITH … AS CHANGELOG FROM", at: position) }
        if accept(.not) {
            try expect(.materialized)
        } else {
            _ = accept(.materialized)
        }
        try expect(.leftParenthesis)
        let query = try nested { (parser) throws(SQLError) in try parser.query() }
        try expect(.rightParenthesis)
        return CommonTableSyntax(name: name, columns: columns, query: query)
    }

    /// FETCH FIRST n ROWS ONLY.
    private mutating func fetchClause() throws(SQLError) -> ExpressionSyntax {
        advance()
        if !accept(.first), ahead(0).kind == .identifier { advance() }
        let count = at(.row) || at(.rows) ? ExpressionSyntax(kind: .integer("1"), position: position, depth: 1) : try expression()
        if !accept(.row) { try expect(.rows) }
        if at(.with) { throw .notSupported("FETCH … WITH TIES", at: position) }
        try expect(.only)
        return count
    }

    // MARK: Set operations

    /// UNION and EXCEPT associate to the left; INTERSECT binds tighter. Neighbours under one operator become one flat node.
    private mutating func queryBody() throws(SQLError) -> QueryBodySyntax {
        var left = try intersection()
        var changes = 0
        while at(.union) || at(.except) {
            let start = position
            let symbol: SetOperator = at(.union) ? .union : .except
            advance()
            let all = try setQuantifier()
            var arms = [left, try intersection()]
            while at(symbol == .union ? .union : .except), (ahead(1).keyword == .all) == all {
                advance()
                _ = try setQuantifier()
                arms.append(try intersection())
            }
            left = .combined(symbol, all: all, arms, position: start)
            changes += 1
            if changes > SQLLimits.nestingMax / 2 { throw .tooDeep(at: start) }
        }
        return left
    }

    private mutating func intersection() throws(SQLError) -> QueryBodySyntax {
        var left = try queryPrimary()
        var changes = 0
        while at(.intersect) {
            let start = position
            advance()
            let all = try setQuantifier()
            left = .combined(.intersect, all: all, [left, try queryPrimary()], position: start)
            changes += 1
            if changes > SQLLimits.nestingMax / 2 { throw .tooDeep(at: start) }
        }
        return left
    }

    private mutating func setQuantifier() throws(SQLError) -> Bool {
        if accept(.all) { return true }
        _ = accept(.distinct)
        return false
    }

    private mutating func queryPrimary() throws(SQLError) -> QueryBodySyntax {
        if accept(.leftParenthesis) {
            let inner = try nested { (parser) throws(SQLError) in try parser.query() }
            try expect(.rightParenthesis)
            return .parenthesized(inner)
        }
        if at(.select) { return .select(try select()) }
        if at(.values) {
            let start = position
            advance()
            var rows: [[ExpressionSyntax]] = []
            repeat {
                try expect(.leftParenthesis)
                rows.append(try nested { (parser) throws(SQLError) in try parser.expressionList() })
                try expect(.rightParenthesis)
            } while accept(.comma)
            return .values(rows, position: start)
        }
        if at(.table) {
            // TABLE t is SELECT * FROM t.
            let start = position
            advance()
            let name = try objectName()
            return .select(
                SelectSyntax(
                    distinct: .no, items: [.all(position: start)], from: [.relation(name, nil)], condition: nil, groupBy: [], having: nil,
                    windows: [], position: start))
        }
        throw unexpected()
    }

    // MARK: SELECT

    private mutating func select() throws(SQLError) -> SelectSyntax {
        let start = position
        try expect(.select)
        var select = SelectSyntax(
            distinct: .no, items: [], from: [], condition: nil, groupBy: [], having: nil, windows: [], position: start)
        if at(.distinct) {
            let distinctPosition = position
            advance()
            if accept(.on) {
                try expect(.leftParenthesis)
                select.distinct = .on(try nested { (parser) throws(SQLError) in try parser.expressionList() }, position: distinctPosition)
                try expect(.rightParenthesis)
            } else {
                select.distinct = .rows
            }
        } else {
            _ = accept(.all)
        }
        repeat { select.items.append(try selectItem()) } while accept(.comma)
        if at(.into) { throw .notSupported("SELECT INTO", at: position) }
        if accept(.from) {
            repeat { select.from.append(try fromItem()) } while accept(.comma)
        }
        if accept(.where) { select.condition = try expression() }
        if try accept(.group, then: .by) {
            if accept(.distinct) { throw .notSupported("GROUP BY DISTINCT", at: position) }
            _ = accept(.all)
            repeat { select.groupBy.append(try groupItem()) } while accept(.comma)
        }
        if accept(.having) { select.having = try expression() }
        if accept(.window) {
            repeat {
                let name = try identifier()
                try expect(.as)
                select.windows.append((name, try overDefinition(at: name.position)))
            } while accept(.comma)
        }
        return select
    }

    private mutating func groupItem() throws(SQLError) -> ExpressionSyntax {
        let isCall = ahead(1).symbol == .leftParenthesis
        if at(.cube) && isCall || at(.rollup) && isCall || at(.grouping) && ahead(1).keyword == .sets {
            throw .notSupported("\(sourceText(of: current).uppercasedASCII)\(at(.grouping) ? " SETS" : "")", at: position)
        }
        return try expression()
    }

    private mutating func selectItem() throws(SQLError) -> SelectItemSyntax {
        if at(.star) {
            let start = position
            advance()
            return .all(position: start)
        }
        if let name = acceptQualifiedStar() { return .allOf(name) }
        let value = try expression()
        if accept(.as) { return .expression(value, alias: try label()) }
        return .expression(value, alias: acceptBareLabel())
    }

    /// `t.*`, `schema.t.*`; consumes nothing otherwise.
    private mutating func acceptQualifiedStar() -> ObjectName? {
        guard current.kind == .identifier || current.kind == .quotedIdentifier, current.keyword?.isReserved != true else { return nil }
        var count = 0
        while ahead(count + 1).kind == .symbol, ahead(count + 1).symbol == .dot {
            let next = ahead(count + 2)
            if next.kind == .symbol, next.symbol == .star {
                var parts: [Identifier] = []
                for offset in stride(from: 0, through: count, by: 2) {
                    let token = ahead(offset)
                    parts.append(
                        Identifier(text: text(of: token), position: Int(token.start), isQuoted: token.kind == .quotedIdentifier))
                }
                for _ in 0..<count + 3 { advance() }
                return ObjectName(parts: parts)
            }
            guard next.kind == .identifier || next.kind == .quotedIdentifier, count < 6 else { return nil }
            count += 2
        }
        return nil
    }

    /// A name after an expression or a relation that is not the start of the next clause.
    private mutating func acceptBareAlias() -> Identifier? {
        if at(.emit, .on) || at(.asof, .join) || at(.asof, .left) || at(.match_recognize) { return nil }
        if at(.format), ahead(1).kind == .identifier { return nil }
        if at(.filter) || at(.over) || at(.within), ahead(1).symbol == .leftParenthesis { return nil }
        return acceptIdentifier()
    }

    /// A name after an expression without AS: any word but those that could go on with the expression or start a clause
    /// (PostgreSQL's BareColLabel).
    private mutating func acceptBareLabel() -> Identifier? {
        switch current.keyword {
        case .array, .as, .create, .day, .except, .fetch, .filter, .for, .from, .grant, .group, .having, .hour, .intersect, .into, .isnull,
            .limit, .minute, .month, .notnull, .offset, .on, .order, .over, .overlaps, .precision, .returning, .second, .to, .union,
            .varying, .where, .window, .with, .within, .without, .year:
            return nil
        case .some(let keyword) where keyword.isReserved:
            let name = Identifier(text: text(of: current), position: position)
            advance()
            return name
        default: return acceptBareAlias()
        }
    }

    // MARK: FROM

    private mutating func fromItem() throws(SQLError) -> FromSyntax {
        var left = try fromPrimary()
        var joins = 0
        while let kind = try acceptJoin() {
            let start = position
            let right = try nested { (parser) throws(SQLError) in try parser.fromPrimary() }
            var condition = JoinSyntax.Condition.none
            if accept(.on) {
                condition = .on(try expression())
            } else if at(.using) {
                advance()
                condition = .using(try identifierList())
            }
            left = .join(JoinSyntax(kind: kind, left: left, right: right, condition: condition, position: start))
            joins += 1
            if joins > SQLLimits.nestingMax / 2 { throw .tooDeep(at: start) }
        }
        return left
    }

    private mutating func acceptJoin() throws(SQLError) -> JoinSyntax.Kind? {
        if accept(.join) { return .inner }
        if accept(.inner, .join) { return .inner }
        if accept(.cross, .join) { return .cross }
        if accept(.asof) {
            _ = accept(.left)
            try expect(.join)
            return .asof
        }
        let kind: JoinSyntax.Kind
        switch current.keyword {
        case .natural:
            advance()
            return try acceptJoin()
        case .left: kind = .left
        case .right: kind = .right
        case .full: kind = .full
        default: return nil
        }
        advance()
        _ = accept(.outer)
        try expect(.join)
        return kind
    }

    private mutating func fromPrimary() throws(SQLError) -> FromSyntax {
        let start = position
        if at(.lateral) { throw .notSupported("LATERAL", at: start) }
        _ = accept(.only)
        if at(.table), ahead(1).symbol == .leftParenthesis {
            // Flink: TABLE(TUMBLE(TABLE rel, DESCRIPTOR(ts), …)).
            advance()
            advance()
            let call = try nested { (parser) throws(SQLError) in try parser.nameOrCall() }
            try expect(.rightParenthesis)
            guard case .call(let function) = call.kind else {
                throw .syntaxError("TABLE(…) takes a table function", at: call.position)
            }
            return .function(function.name, function.arguments, try tableAlias())
        }
        if at(.leftParenthesis) {
            if leadsToQuery() {
                advance()
                let query = try nested { (parser) throws(SQLError) in try parser.query() }
                try expect(.rightParenthesis)
                return .subquery(query, try tableAlias(), position: start)
            }
            advance()
            let inner = try nested { (parser) throws(SQLError) in try parser.fromItem() }
            try expect(.rightParenthesis)
            return inner
        }
        let name = try relationName()
        if at(.leftParenthesis) {
            let call = try nested { (parser) throws(SQLError) in try parser.tableCall() }
            return .function(name, call, try tableAlias())
        }
        if at(.for), ahead(1).keyword == .system_time || ahead(1).keyword == .system {
            throw .notSupported("FOR SYSTEM_TIME AS OF", at: position)
        }
        let alias = try tableAlias()
        if at(.for), ahead(1).keyword == .system_time { throw .notSupported("FOR SYSTEM_TIME AS OF", at: position) }
        if at(.match_recognize) { throw .notSupported("MATCH_RECOGNIZE", at: position) }
        if at(.tablesample) { throw .notSupported("TABLESAMPLE", at: position) }
        return .relation(name, alias)
    }

    private mutating func relationName() throws(SQLError) -> ObjectName { try objectName() }

    private mutating func tableCall() throws(SQLError) -> [ExpressionSyntax] {
        try expect(.leftParenthesis)
        var arguments: [ExpressionSyntax] = []
        if !at(.rightParenthesis) { arguments = try expressionList() }
        try expect(.rightParenthesis)
        return arguments
    }

    private mutating func tableAlias() throws(SQLError) -> AliasSyntax? {
        let name: Identifier
        if accept(.as) {
            name = try identifier()
        } else if let bare = acceptBareAlias() {
            name = bare
        } else {
            return nil
        }
        return AliasSyntax(name: name, columns: at(.leftParenthesis) ? try identifierList() : [])
    }

    /// True where the parentheses that open here lead to a query rather than to a parenthesised join.
    private mutating func leadsToQuery() -> Bool {
        if !parenthesisRun.contains(index) {
            var end = index
            while tokens[end].kind == .symbol, tokens[end].symbol == .leftParenthesis { end += 1 }
            parenthesisRun = index..<end
        }
        let keyword = tokens[parenthesisRun.upperBound].keyword
        return keyword == .select || keyword == .with || keyword == .values
    }
}

extension String {
    /// ASCII letters in upper case.
    var uppercasedASCII: String { String(decoding: utf8.map { $0 &- 97 < 26 ? $0 & 0xDF : $0 }, as: UTF8.self) }
    /// ASCII letters in lower case.
    var lowercasedASCII: String { String(decoding: utf8.map(lowered), as: UTF8.self) }
}
