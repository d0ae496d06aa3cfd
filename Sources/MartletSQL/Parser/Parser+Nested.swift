internal import MartletCore

/// Arrays and composite values: constructors, subscripts, ANY and ALL, and the types.
extension Parser {
    /// `ARRAY[…]` behind the bracket; inner brackets need no word.
    @inline(never)
    mutating func arrayItems(at start: Int) throws(SQLError) -> ExpressionSyntax {
        var items: [ExpressionSyntax] = []
        if !at(.rightBracket) {
            repeat {
                if at(.leftBracket) {
                    let inner = position
                    advance()
                    items.append(try nested { (parser) throws(SQLError) in try parser.arrayItems(at: inner) })
                } else {
                    items.append(try expression())
                }
            } while accept(.comma)
        }
        try expect(.rightBracket)
        return make(.array(items), at: start, overAll: items)
    }

    /// At the first bracket; takes all that follow one another.
    @inline(never)
    mutating func subscripted(_ left: ExpressionSyntax) throws(SQLError) -> ExpressionSyntax {
        let start = position
        var subscripts: [ExpressionSyntax.Subscript] = []
        var children = [left]
        while accept(.leftBracket) {
            var one = ExpressionSyntax.Subscript(lower: nil, upper: nil, isSlice: false)
            if !at(.colon) { one.lower = try nested { (parser) throws(SQLError) in try parser.expression() } }
            if accept(.colon) {
                one.isSlice = true
                if !at(.rightBracket) { one.upper = try nested { (parser) throws(SQLError) in try parser.expression() } }
            }
            try expect(.rightBracket)
            children += [one.lower, one.upper].compactMap { $0 }
            subscripts.append(one)
        }
        return make(.subscripted(left, subscripts), at: start, overAll: children)
    }

    /// ANY, SOME or ALL behind an operator, with an array in parentheses; nil where none of them stands there.
    @inline(never)
    mutating func quantified(_ name: String, _ left: ExpressionSyntax, at start: Int) throws(SQLError) -> ExpressionSyntax? {
        guard at(word: "any") || at(.some) || at(.all), ahead(1).symbol == .leftParenthesis else { return nil }
        let isAll = at(.all)
        advance()
        advance()
        if isAtQuery {
            let place = position
            let query = try nested { (parser) throws(SQLError) in try parser.query() }
            try expect(.rightParenthesis)
            if name == "=" && !isAll || name == "<>" && isAll { return make(.inSubquery(left, query, negated: isAll), at: start, over: left) }
            let rows = ExpressionSyntax(kind: .arraySubquery(query), position: place, depth: 1)
            return make(.quantified(name, left, rows, isAll: isAll), at: start, over: left)
        }
        let array = try nested { (parser) throws(SQLError) in try parser.expression() }
        try expect(.rightParenthesis)
        return make(.quantified(name, left, array, isAll: isAll), at: start, over: left, array)
    }

    /// SIMILAR TO pattern [ESCAPE character], at SIMILAR.
    @inline(never)
    mutating func similar(_ left: ExpressionSyntax, negated: Bool, at start: Int) throws(SQLError) -> ExpressionSyntax {
        advance()
        try expect(.to)
        var arguments = [left, try expression(above: .range)]
        if accept(.escape) { arguments.append(try expression(above: .range)) }
        let name = Identifier(text: negated ? "not similar to" : "similar to", position: start)
        return make(.call(CallSyntax(name: ObjectName(parts: [name]), arguments: arguments, position: start)), at: start, overAll: arguments)
    }

    /// `<a INT, b STRUCT<c TEXT>>`, at the first `<`.
    @inline(never)
    mutating func structureFields() throws(SQLError) -> [TypeFieldSyntax] {
        try expect(.less)
        var fields: [TypeFieldSyntax] = []
        repeat {
            let name = try label()
            fields.append(TypeFieldSyntax(name: name, type: try nested { (parser) throws(SQLError) in try parser.type() }))
        } while accept(.comma)
        // `>>` closes two.
        if at(.shiftRight), !hasHalfClosed {
            hasHalfClosed = true
        } else if at(.shiftRight) {
            hasHalfClosed = false
            advance()
        } else {
            try expect(.greater)
        }
        return fields
    }
}
