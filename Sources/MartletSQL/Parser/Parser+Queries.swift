package import MartletCore

/// SELECT, VALUES, WITH, set operations and the FROM clause.
extension Parser {
    package mutating func query() throws(SQLError) -> QuerySyntax { try query(emitOnWindowClose: nil) }

    /// `emitOnWindowClose`: where the words stood before the query.
    mutating func query(emitOnWindowClose given: Int?) throws(SQLError) -> QuerySyntax {
        let start = position
        var tables: [CommonTableSyntax] = []
        if accept(.with) { tables = try commonTables() }
        let body = try queryBody()
        var orderBy: [OrderSyntax] = []
        if try accept(.order, then: .by) { orderBy = try orderItems() }
        var limit: ExpressionSyntax?
        var offset: ExpressionSyntax?
        var hasTies = false
        while true {
            if at(.limit), limit == nil {
                advance()
                if accept(.all) { continue }
                limit = try expression()
                // RisingWave's spelling of FETCH FIRST … WITH TIES.
                if at(.with), ahead(1).keyword == .ties { hasTies = accept(.with, .ties) }
            } else if at(.offset), offset == nil {
                advance()
                offset = try expression()
                if at(.row) || at(.rows) { advance() }
            } else if at(.fetch), limit == nil {
                (limit, hasTies) = try fetchClause()
            } else {
                break
            }
        }
        let locks = try rowLocks()
        var emit = given
        if emit == nil { emit = try emitOnWindowClose() }
        return QuerySyntax(
            with: tables, body: body, orderBy: orderBy, limit: limit, offset: offset, hasTies: hasTies, emitOnWindowClose: emit,
            locksRows: locks, position: start)
    }

    /// FOR UPDATE | NO KEY UPDATE | SHARE | KEY SHARE [OF t, …] [NOWAIT | SKIP LOCKED], any number of them.
    private mutating func rowLocks() throws(SQLError) -> Bool {
        var hasAny = false
        while at(.for) {
            advance()
            guard acceptWords("no", "key", "update") || acceptWords("update") || acceptWords("key", "share") || acceptWords("share") else { throw unexpected() }
            if accept(.of) { repeat { _ = try objectName() } while accept(.comma) }
            _ = acceptWords("nowait") || acceptWords("skip", "locked")
            hasAny = true
        }
        return hasAny
    }

    /// EMIT ON WINDOW CLOSE, and where it stands.
    mutating func emitOnWindowClose() throws(SQLError) -> Int? {
        guard at(.emit, .on) else { return nil }
        let start = position
        advance()
        advance()
        try expect(.window)
        try expect(.close)
        return start
    }

    /// Behind WITH.
    mutating func commonTables() throws(SQLError) -> [CommonTableSyntax] {
        let isRecursive = accept(.recursive)
        var tables: [CommonTableSyntax] = []
        repeat {
            var table = try commonTable()
            table.isRecursive = isRecursive
            tables.append(table)
        } while accept(.comma)
        return tables
    }

    private mutating func commonTable() throws(SQLError) -> CommonTableSyntax {
        let name = try identifier()
        var columns: [Identifier] = []
        if at(.leftParenthesis) { columns = try identifierList() }
        try expect(.as)
        if at(.changelog), ahead(1).keyword == .from {
            let start = position
            advance()
            advance()
            let select = SelectSyntax(
                distinct: .no, items: [.all(position: start)], from: [.changelog(try objectName())], condition: nil, groupBy: [], having: nil,
                windows: [], position: start)
            return CommonTableSyntax(name: name, columns: columns, query: QuerySyntax(with: [], body: .select(select), position: start))
        }
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

    /// FETCH FIRST n ROWS ONLY | WITH TIES.
    private mutating func fetchClause() throws(SQLError) -> (ExpressionSyntax, hasTies: Bool) {
        advance()
        if !accept(.first), ahead(0).kind == .identifier { advance() }
        let count = at(.row) || at(.rows) ? ExpressionSyntax(kind: .integer("1"), position: position, depth: 1) : try expression()
        if !accept(.row) { try expect(.rows) }
        if accept(.with) {
            try expect(.ties)
            return (count, true)
        }
        try expect(.only)
        return (count, false)
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
        // EXISTS (SELECT FROM t …): rows without columns.
        if !at(.from) { repeat { select.items.append(try selectItem()) } while accept(.comma) }
        if at(.into) { throw .notSupported("SELECT INTO", at: position) }
        if accept(.from) {
            repeat { select.from.append(try fromItem()) } while accept(.comma)
        }
        if accept(.where) { select.condition = try expression() }
        if try accept(.group, then: .by) {
            if accept(.distinct) { throw .notSupported("GROUP BY DISTINCT", at: position) }
            _ = accept(.all)
            try groupBy(&select)
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

    /// Plain expressions, or a mixture with GROUPING SETS, ROLLUP and CUBE.
    private mutating func groupBy(_ select: inout SelectSyntax) throws(SQLError) {
        var items: [GroupingSyntax] = []
        var isPlain = true
        repeat {
            let item = try groupItem()
            if case .columns(let columns) = item, columns.count == 1 { select.groupBy += columns } else { isPlain = false }
            items.append(item)
        } while accept(.comma)
        if isPlain { return }
        select.groupBy = []
        select.groupingSets = items
    }

    private mutating func groupItem() throws(SQLError) -> GroupingSyntax {
        let isCall = ahead(1).symbol == .leftParenthesis
        if at(.rollup) && isCall {
            advance()
            return .rollup(try groupLists())
        }
        if at(.cube) && isCall {
            let start = position
            advance()
            return .cube(try groupLists(), position: start)
        }
        if at(.grouping) && ahead(1).keyword == .sets {
            advance()
            advance()
            try expect(.leftParenthesis)
            let items = try nested { (parser) throws(SQLError) in
                var items: [GroupingSyntax] = []
                repeat { items.append(try parser.groupItem()) } while parser.accept(.comma)
                return items
            }
            try expect(.rightParenthesis)
            return .sets(items)
        }
        if at(.leftParenthesis), ahead(1).symbol == .rightParenthesis {
            advance()
            advance()
            return .columns([])
        }
        return .columns(Self.listed(try expression()))
    }

    /// `(a, b)` is a list, `(a)` is `a`.
    private static func listed(_ expression: ExpressionSyntax) -> [ExpressionSyntax] {
        if case .row(let items) = expression.kind { return items }
        return [expression]
    }

    private mutating func groupLists() throws(SQLError) -> [[ExpressionSyntax]] {
        try expect(.leftParenthesis)
        let items = try nested { (parser) throws(SQLError) in try parser.expressionList() }
        try expect(.rightParenthesis)
        return items.map(Self.listed)
    }

    mutating func selectItem() throws(SQLError) -> SelectItemSyntax {
        if at(.star) {
            let start = position
            advance()
            return .all(position: start, except: try exceptedColumns())
        }
        if let name = acceptQualifiedStar() { return .allOf(name, except: try exceptedColumns()) }
        let value = try expression()
        if at(.dot), ahead(1).symbol == .star {
            advance()
            advance()
            return .fields(value)
        }
        if accept(.as) { return .expression(value, alias: try label()) }
        return .expression(value, alias: acceptBareLabel())
    }

    /// `EXCEPT (a, t.b)` behind a star; a query there is the other EXCEPT's.
    private mutating func exceptedColumns() throws(SQLError) -> [[Identifier]] {
        guard at(.except), ahead(1).symbol == .leftParenthesis, ahead(2).kind == .identifier || ahead(2).kind == .quotedIdentifier else { return [] }
        switch ahead(2).keyword {
        case .select, .with, .values, .table: return []
        default: break
        }
        advance()
        advance()
        var names: [[Identifier]] = []
        repeat { names.append(try objectName().parts) } while accept(.comma)
        try expect(.rightParenthesis)
        return names
    }

    /// `t.*`, `schema.t.*`; consumes nothing otherwise.
    mutating func acceptQualifiedStar() -> ObjectName? {
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

    mutating func fromItem() throws(SQLError) -> FromSyntax {
        var left = try fromPrimary()
        var joins = 0
        while true {
            let isNatural = accept(.natural)
            guard let kind = try acceptJoin() else {
                if isNatural { throw unexpected() }
                break
            }
            let start = position
            let right = try nested { (parser) throws(SQLError) in try parser.fromPrimary() }
            var condition = isNatural ? JoinSyntax.Condition.natural : .none
            if isNatural || kind == .cross {
                // Nothing follows.
            } else if accept(.on) {
                condition = .on(try expression())
            } else if at(.using) {
                advance()
                condition = .using(try identifierList())
            } else {
                throw unexpected()
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
        if at(.asof), ahead(1).keyword == .join || ahead(1).keyword == .left || ahead(1).keyword == .inner {
            advance()
            let isLeft = accept(.left)
            if isLeft { _ = accept(.outer) } else { _ = accept(.inner) }
            try expect(.join)
            return isLeft ? .asofLeft : .asof
        }
        let kind: JoinSyntax.Kind
        switch current.keyword {
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
        let isLateral = accept(.lateral)
        _ = accept(.only)
        if at(.table), ahead(1).symbol == .leftParenthesis {
            // Flink: TABLE(TUMBLE(TABLE rel, DESCRIPTOR(ts), …)).
            advance()
            advance()
            let function = try relationName()
            guard at(.leftParenthesis) else { throw .syntaxError("TABLE(…) takes a table function", at: function.position) }
            let arguments = try nested { (parser) throws(SQLError) in try parser.tableCall() }
            try expect(.rightParenthesis)
            return .function(FromSyntax.Function(name: function, arguments: arguments, alias: try tableAlias(), hasOrdinality: false))
        }
        if at(.leftParenthesis) {
            if leadsToQuery() {
                advance()
                let query = try nested { (parser) throws(SQLError) in try parser.query() }
                try expect(.rightParenthesis)
                let alias = try tableAlias()
                return isLateral ? .lateral(query, alias, position: start) : .subquery(query, alias, position: start)
            }
            advance()
            let inner = try nested { (parser) throws(SQLError) in try parser.fromItem() }
            try expect(.rightParenthesis)
            guard let alias = try tableAlias() else { return inner }
            // A joined table under one name is a query of all its columns.
            let all = SelectSyntax(
                distinct: .no, items: [.all(position: start)], from: [inner], condition: nil, groupBy: [], having: nil, windows: [], position: start)
            return .subquery(QuerySyntax(with: [], body: .select(all), position: start), alias, position: start)
        }
        let name = try relationName()
        if at(.leftParenthesis) {
            let call = try nested { (parser) throws(SQLError) in try parser.tableCall() }
            let hasOrdinality = acceptWords("with", "ordinality")
            return .function(FromSyntax.Function(name: name, arguments: call, alias: try functionAlias(), hasOrdinality: hasOrdinality))
        }
        if isLateral { throw unexpected() }
        var time = try systemTime()
        let alias = try tableAlias()
        if time == nil { time = try systemTime() }
        if let time { return .version(name, alias, at: time) }
        if at(.match_recognize) { throw .notSupported("MATCH_RECOGNIZE", at: position) }
        if at(.tablesample) { throw .notSupported("TABLESAMPLE", at: position) }
        return .relation(name, alias)
    }

    /// FOR SYSTEM_TIME AS OF expression.
    private mutating func systemTime() throws(SQLError) -> ExpressionSyntax? {
        guard at(.for), ahead(1).keyword == .system_time else { return nil }
        advance()
        advance()
        try expect(.as)
        try expect(.of)
        return try nested { (parser) throws(SQLError) in try parser.expression() }
    }

    private mutating func relationName() throws(SQLError) -> ObjectName { try objectName() }

    private mutating func tableCall() throws(SQLError) -> [ExpressionSyntax] {
        try expect(.leftParenthesis)
        var arguments: [ExpressionSyntax] = []
        if !at(.rightParenthesis) {
            repeat {
                if at(.partition) {
                    // At the end: all the rest are keys.
                    arguments.append(try partition(isLast: true))
                    break
                }
                arguments.append(try expression())
                if at(.partition) { arguments.append(try partition(isLast: false)) }
            } while accept(.comma)
        }
        try expect(.rightParenthesis)
        return arguments
    }

    /// PARTITION BY inside a table function, as an argument named `partition`: one key, or several in parentheses, or (at
    /// the end) a list. Which of the arguments that follow are keys too is for `PartitionedCall` to say.
    private mutating func partition(isLast: Bool) throws(SQLError) -> ExpressionSyntax {
        let start = position
        advance()
        try expect(.by)
        let keys = isLast ? try expressionList().flatMap(Self.listed) : Self.listed(try expression())
        let row = make(.row(keys), at: start, overAll: keys)
        return make(.named(Identifier(text: "partition", position: start), row), at: start, overAll: [row])
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

    /// An alias whose columns may have types: `AS x (a INT, b TEXT)`, `AS (a INT)`.
    private mutating func functionAlias() throws(SQLError) -> AliasSyntax? {
        guard at(.as) || current.kind == .quotedIdentifier || current.kind == .identifier && current.keyword?.isReserved != true else { return nil }
        var columns = index
        if at(.as) { columns += 1 }
        if tokens[columns].symbol != .leftParenthesis { columns += 1 }
        guard columns + 2 < tokens.count, tokens[columns].symbol == .leftParenthesis, tokens[columns + 2].kind != .symbol,
            tokens[columns + 2].kind != .endOfInput
        else { return try tableAlias() }
        _ = accept(.as)
        let name = at(.leftParenthesis) ? Identifier(text: "", position: position) : try identifier()
        var alias = AliasSyntax(name: name, columns: [])
        try expect(.leftParenthesis)
        repeat {
            alias.columns.append(try identifier())
            alias.types.append(try type())
        } while accept(.comma)
        try expect(.rightParenthesis)
        return alias
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
