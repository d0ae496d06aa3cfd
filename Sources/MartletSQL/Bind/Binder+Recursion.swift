internal import MartletCore

/// WITH RECURSIVE: a common table expression of the form `base UNION [ALL] step`, whose step reads it.
extension Binder {
    /// The rows of a common table expression under the names it gives them.
    mutating func named(_ plan: Plan, as table: CommonTableSyntax) throws(SQLError) -> Plan {
        try renamed(plan, table.columns, what: "WITH query \"\(table.name.text)\"", at: table.name.position)
    }

    /// nil: it does not read itself.
    mutating func recursion(_ table: CommonTableSyntax) throws(SQLError) -> Plan? {
        guard table.isRecursive, case .combined(.union, let all, let arms, let position) = table.query.body, let last = arms.last,
            arms.count > 1
        else { return nil }
        return try inCommonTables(table.query.with) { (binder) throws(SQLError) in
            let first = arms.count == 2 ? arms[0] : QueryBodySyntax.combined(.union, all: all, Array(arms.dropLast()), position: position)
            let base = try binder.named(try binder.settled(try binder.body(first), at: position), as: table)
            let fields = base.fields
            binder.recursionCount += 1
            // No name that can be written holds a line feed.
            let name = "\(table.name.text)\n\(binder.recursionCount)"
            binder.commonTables.insert(CommonTable(name: table.name.text, plan: .relation(name: name, fields: fields), nodes: 1), at: 0)
            let step = try binder.settled(try binder.body(last), at: position)
            binder.commonTables.removeFirst()
            guard step.reads(name) else { return nil }
            try binder.checkRecursion(table, base, step, at: position)
            let columns = zip(step.fields, fields).enumerated().map { ordinal, pair in
                pair.0.type == pair.1.type ? Expression.column(ordinal, pair.0.type) : .cast(.column(ordinal, pair.0.type), pair.1.type, explicit: false)
            }
            let recursion = Recursion(
                name: name, base: try binder.optimised(base, at: position),
                step: try binder.optimised(.project(step, columns, fields), at: position), isDistinct: !all)
            return try binder.counted(.recursive(recursion, fields: fields), at: position)
        }
    }

    private func checkRecursion(_ table: CommonTableSyntax, _ base: Plan, _ step: Plan, at position: Int) throws(SQLError) {
        let name = table.name.text
        if isContinuous {
            throw .notSupported(
                "WITH RECURSIVE in a continuous query", at: table.name.position,
                hint: "Ask for it by SELECT; a view can hold what each step joins.")
        }
        if !table.query.orderBy.isEmpty || table.query.limit != nil || table.query.offset != nil {
            throw .notSupported("ORDER BY, LIMIT or OFFSET in a recursive query", at: position, hint: "They may follow the query that reads it.")
        }
        guard base.fields.count == step.fields.count else {
            throw SQLError(.syntaxError, "each UNION query must have the same number of columns", at: position)
        }
        for (at, (first, next)) in zip(base.fields, step.fields).enumerated() where first.type.withoutModifiers != next.type.withoutModifiers {
            guard !Cast.isAllowed(from: next.type, to: first.type, context: .implicit) else { continue }
            throw SQLError(
                .datatypeMismatch,
                "recursive query \"\(name)\" column \(at + 1) has type \(first.type.sqlName) in non-recursive term but type \(next.type.sqlName) overall",
                at: position, hint: "Cast the output of the non-recursive term to the correct type.")
        }
        var readsOuter = false
        for plan in [base, step] {
            _ = plan.mapExpressions { expression in
                readsOuter = readsOuter || expression.columns.contains(where: Block.isOuter)
                return expression
            }
        }
        if readsOuter { throw .notSupported("a recursive query that reads columns of a query around it", at: position) }
    }
}
