internal import MartletCore

/// INSERT, UPDATE and DELETE as plans that give the rows they concern.
extension Binder {
    /// The table that a statement changes; `verb` for the error that it is none.
    func changedTable(_ name: ObjectName, _ verb: String) throws(SQLError) -> TableDefinition {
        let entry = try entry(name)
        if case .table(let table) = entry.kind, !table.isSequence { return table }
        if entry.objectKind == .sequence {
            throw SQLError(
                .wrongObjectType, "cannot change sequence \"\(name.last.text)\"", at: name.position,
                hint: "nextval('\(name.last.text)') draws a number, setval sets what comes next.")
        }
        throw SQLError(
            .wrongObjectType, "cannot \(verb) \(entry.noun) \"\(name.last.text)\"", at: name.position,
            hint: entry.objectKind == .source ? "Rows come to a source through its connector; a table takes both." : nil)
    }

    /// `expression` with the clock read.
    func atNow(_ expression: Expression) -> Expression {
        expression.rewritingColumns { ordinal, type in
            ordinal == TableColumn.now ? .literal(.timestamptz(context.now), .timestamptz) : .column(ordinal, type)
        }
    }

    // MARK: INSERT

    mutating func insert(_ syntax: InsertSyntax) throws(SQLError) -> InsertStatement {
        let table = try changedTable(syntax.table, "insert into")
        return try inCommonTables(syntax.with) { (binder) throws(SQLError) in
            let rows: Plan
            switch syntax.rows {
            case .defaultValues:
                rows = try binder.filled(.values([[]], fields: []), [], table, at: syntax.position)
            case .values(let items, let position):
                let targets = try binder.targets(syntax.columns, table, given: items[0].count, at: items[0].first.flatMap { $0?.position } ?? position)
                rows = try binder.insertedValues(items, targets, table, syntax.overridesSystemValue, at: position)
            case .query(let query):
                let plan = try binder.insertedQuery(query, syntax.columns, table)
                rows = try binder.rows(plan, into: table, columns: syntax.columns, syntax.overridesSystemValue, at: query.position)
            }
            var insert = InsertStatement(
                table: table.name, rows: try binder.optimised(rows, at: syntax.position), conflict: nil, returning: nil)
            let name = syntax.alias?.text ?? syntax.table.last.text
            if let conflict = syntax.conflict { insert.conflict = try binder.conflict(conflict, table, name) }
            if let returning = syntax.returning {
                insert.returning = try binder.returning(returning, Scope(relation: name, fields: table.fields))
            }
            return insert
        }
    }

    /// Ordinals of the columns that values are given for.
    private func targets(_ names: [Identifier]?, _ table: TableDefinition, given: Int, at position: Int) throws(SQLError) -> [Int] {
        guard let names else {
            let all = table.columns.indices.filter { table.columns[$0].generated == nil }
            guard given <= all.count else {
                throw SQLError(.syntaxError, "INSERT has more expressions than target columns", at: position)
            }
            return Array(all.prefix(given))
        }
        var targets: [Int] = []
        for name in names {
            let ordinal = try ordinal(of: name, table)
            guard !targets.contains(ordinal) else {
                throw SQLError(.duplicateColumn, "column \"\(name.text)\" specified more than once", at: name.position)
            }
            targets.append(ordinal)
        }
        if given < targets.count {
            throw SQLError(.syntaxError, "INSERT has more target columns than expressions", at: names[given].position)
        }
        if given > targets.count { throw SQLError(.syntaxError, "INSERT has more expressions than target columns", at: position) }
        return targets
    }

    private func ordinal(of name: Identifier, _ table: TableDefinition) throws(SQLError) -> Int {
        if let ordinal = table.columns.firstIndex(where: { $0.name == name.text }) { return ordinal }
        let near = Suggestion.nearest(to: name.text, among: table.columns.map(\.name))
        throw SQLError(
            .undefinedColumn, "column \"\(name.text)\" of relation \"\(CatalogNames.parts(table.name).name)\" does not exist", at: name.position,
            hint: near.map { "Perhaps you meant the column \"\($0)\"." })
    }

    private func generatedColumnError(_ column: TableColumn, verb: String, at position: Int) -> SQLError {
        SQLError(
            SQLState("428C9"), verb == "insert" ? "cannot insert a non-DEFAULT value into column \"\(column.name)\"" : "column \"\(column.name)\" can only be updated to DEFAULT",
            at: position, detail: "Column \"\(column.name)\" is a generated column.")
    }

    /// The value of a column that a statement says nothing about.
    private func standing(_ column: TableColumn, _ table: TableDefinition, at position: Int) throws(SQLError) -> Expression {
        let value: Expression
        if column.identity != nil {
            let arguments = [CatalogFunctionTable.nextIdentity, table.name].map { Expression.literal(.text($0), .text) }
            let number = Expression.call(.volatile, arguments, .bigint)
            value = column.type == .bigint ? number : .cast(number, column.type, explicit: false)
        } else {
            value = column.defaultValue.map(atNow) ?? .literal(.null, column.type)
        }
        if isContinuous, value.isVolatile {
            throw .notSupported(
                "rows of a continuous query for a table whose column \"\(column.name)\" makes up its own values", at: position,
                hint: "Let the query give the column's value.")
        }
        return value
    }

    private func standing(_ table: TableDefinition, at position: Int) throws(SQLError) -> [Expression] {
        var row: [Expression] = []
        for column in table.columns { row.append(try standing(column, table, at: position)) }
        return row
    }

    /// 428C9 where a value is given for a column that makes its own.
    private func checkMayBeGiven(_ column: TableColumn, _ overridesSystemValue: Bool?, at position: Int) throws(SQLError) {
        if column.generated != nil { throw generatedColumnError(column, verb: "insert", at: position) }
        if column.identity?.isAlways == true, overridesSystemValue != true {
            throw SQLError(
                SQLState("428C9"), "cannot insert a non-DEFAULT value into column \"\(column.name)\"", at: position,
                detail: "Column \"\(column.name)\" is an identity column defined as GENERATED ALWAYS.",
                hint: "Use OVERRIDING SYSTEM VALUE to override.")
        }
    }

    /// `row` (a value for each column) with the generated columns computed.
    private func completed(_ row: [Expression], _ table: TableDefinition) -> [Expression] {
        guard table.columns.contains(where: { $0.generated != nil }) else { return row }
        return zip(table.columns, row).map { column, value in
            column.generated.map { atNow($0).substituting(row) } ?? value
        }
    }

    /// Rows of the table (`row` over `input`) with the generated columns computed. What a value is drawn for is computed from
    /// the value drawn, in a step of its own.
    private mutating func completed(_ input: Plan, _ row: [Expression], _ table: TableDefinition, at position: Int) throws(SQLError) -> Plan {
        guard row.contains(where: \.isVolatile) else { return try counted(.project(input, completed(row, table), table.fields), at: position) }
        return try completedRows(try counted(.project(input, row, table.fields), at: position), table, at: position)
    }

    /// Where there is no such step, a generated column must not read what rows draw for themselves.
    private func checkIsDrawnOnce(_ row: [Expression], _ table: TableDefinition, _ verb: String, at position: Int) throws(SQLError) {
        let drawn = Set(row.indices.filter { row[$0].isVolatile })
        guard let column = table.columns.first(where: { $0.generated.map { !$0.columns.isDisjoint(with: drawn) } ?? false }) else { return }
        throw .notSupported(
            "\(verb) where generated column \"\(column.name)\" is computed from a value that the row makes up", at: position, hint: "INSERT does it.")
    }

    private mutating func completedRows(_ rows: Plan, _ table: TableDefinition, at position: Int) throws(SQLError) -> Plan {
        guard table.columns.contains(where: { $0.generated != nil }) else { return rows }
        let columns = table.columns.enumerated().map { Expression.column($0.offset, $0.element.type) }
        return try counted(.project(rows, completed(columns, table), table.fields), at: position)
    }

    private mutating func insertedValues(
        _ rows: [[ExpressionSyntax?]], _ targets: [Int], _ table: TableDefinition, _ overridesSystemValue: Bool?, at position: Int
    ) throws(SQLError) -> Plan {
        var constant: [[Expression]] = []
        constant.reserveCapacity(rows.count)
        var arms: [Plan] = []
        let standing = try standing(table, at: position)
        // What rows draw for themselves is drawn once, and then computed with.
        let draws = standing.contains(where: \.isVolatile)
        for row in rows {
            guard row.count == targets.count else {
                throw SQLError(.syntaxError, "VALUES lists must all be the same length", at: row.first.flatMap { $0?.position } ?? position)
            }
            let block = Block(scope: Scope())
            block.clause = .values
            var values = standing
            for (ordinal, item) in zip(targets, row) {
                guard let item else { continue }
                let column = table.columns[ordinal]
                if column.identity != nil, overridesSystemValue == false { continue }
                try checkMayBeGiven(column, overridesSystemValue, at: item.position)
                values[ordinal] = try assigned(try bind(item, block), to: column, at: item.position)
            }
            if block.subqueries.isEmpty {
                constant.append(draws ? values : completed(values, table))
            } else {
                let input = try attached(.values([[]], fields: []), block, at: position)
                arms.append(try completed(input, values.map(block.resolved), table, at: position))
            }
        }
        if !constant.isEmpty {
            let given = Plan.values(constant, fields: table.fields)
            arms.insert(draws ? try completedRows(given, table, at: position) : given, at: 0)
        }
        return try counted(arms.count == 1 ? arms[0] : .unionAll(arms, fields: table.fields), arms.count, at: position)
    }

    /// The rows of INSERT … SELECT; literals and parameters without a type take the column's.
    private mutating func insertedQuery(_ query: QuerySyntax, _ names: [Identifier]?, _ table: TableDefinition) throws(SQLError) -> Plan {
        var wanted = table.columns.filter { $0.generated == nil }
        if let names {
            wanted = []
            for name in names { wanted.append(table.columns[try ordinal(of: name, table)]) }
        }
        wantedTypes = wanted.map(\.type)
        defer { wantedTypes = nil }
        return try self.query(query)
    }

    /// The rows of `plan` as rows of the table, its columns being `columns` (nil: the table's first ones, in order).
    mutating func rows(
        _ plan: Plan, into table: TableDefinition, columns: [Identifier]?, _ overridesSystemValue: Bool? = nil, at position: Int
    ) throws(SQLError) -> Plan {
        let targets = try targets(columns, table, given: plan.fields.count, at: position)
        return try filled(plan, targets, table, overridesSystemValue, at: position)
    }

    private mutating func filled(
        _ plan: Plan, _ targets: [Int], _ table: TableDefinition, _ overridesSystemValue: Bool? = nil, at position: Int
    ) throws(SQLError) -> Plan {
        var given: [Int: Expression] = [:]
        for (place, ordinal) in targets.enumerated() {
            let column = table.columns[ordinal]
            if column.identity != nil, overridesSystemValue == false { continue }
            try checkMayBeGiven(column, overridesSystemValue, at: position)
            given[ordinal] = try assigned(Bound(.column(place, plan.fields[place].type)), to: column, at: position)
        }
        var row: [Expression] = []
        for (ordinal, column) in table.columns.enumerated() {
            if let value = given[ordinal] { row.append(value) } else { row.append(try standing(column, table, at: position)) }
        }
        return try completed(plan, row, table, at: position)
    }

    /// COPY: the columns that are copied, and the table's row over them.
    func copiedRow(_ table: TableDefinition, _ names: [Identifier]?, at position: Int) throws(SQLError) -> (targets: [Int], row: [Expression]) {
        let count = names?.count ?? table.columns.count { $0.generated == nil }
        let targets = try targets(names, table, given: count, at: position)
        var row = try standing(table, at: position)
        for (place, ordinal) in targets.enumerated() {
            if table.columns[ordinal].generated != nil {
                throw SQLError(
                    .invalidColumnReference, "column \"\(table.columns[ordinal].name)\" is a generated column", at: names?[place].position ?? position,
                    detail: "Generated columns cannot be used in COPY.")
            }
            row[ordinal] = .column(place, table.columns[ordinal].type)
        }
        try checkIsDrawnOnce(row, table, "COPY", at: position)
        return (targets, completed(row, table))
    }

    private mutating func conflict(
        _ syntax: InsertSyntax.Conflict, _ table: TableDefinition, _ name: String
    ) throws(SQLError) -> InsertStatement.Conflict {
        var target: [Int] = []
        for column in syntax.target ?? [] { target.append(try ordinal(of: column, table)) }
        if let name = syntax.constraint {
            guard let key = table.uniqueKeys.first(where: { $0.name == name.text }) else {
                throw SQLError(
                    .undefinedObject, "constraint \"\(name.text)\" for table \"\(CatalogNames.parts(table.name).name)\" does not exist",
                    at: name.position)
            }
            target = key.columns
        }
        if let first = syntax.target?.first, !table.uniqueKeys.contains(where: { Set($0.columns) == Set(target) }) {
            throw SQLError(
                .invalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification", at: first.position)
        }
        guard let set = syntax.set else { return InsertStatement.Conflict(target: target, row: nil, condition: nil) }
        guard !target.isEmpty else {
            throw .syntaxError("ON CONFLICT DO UPDATE requires inference specification or constraint name", at: syntax.position)
        }
        var scope = Scope(relation: name, fields: table.fields)
        scope.relations.append("excluded")
        scope.columns += table.fields.map { Scope.Column(relation: "excluded", name: $0.name, type: $0.type) }
        let block = Block(scope: scope)
        block.clause = .update
        let next = try changed(set, table, block)
        try checkIsDrawnOnce(next, table, "ON CONFLICT DO UPDATE", at: syntax.position)
        let row = completed(next, table)
        var condition: Expression?
        if let syntax = syntax.condition {
            block.clause = .condition
            condition = try boolean(syntax, "ON CONFLICT DO UPDATE WHERE", block).expression
        }
        guard block.subqueries.isEmpty else { throw .notSupported("a subquery in ON CONFLICT", at: syntax.position) }
        return InsertStatement.Conflict(target: target, row: row, condition: condition)
    }

    /// The new row of an assignment list, over the block's columns, of which the table's are the first.
    private mutating func changed(_ set: [AssignmentSyntax], _ table: TableDefinition, _ block: Block) throws(SQLError) -> [Expression] {
        var row = table.columns.enumerated().map { Expression.column($0.offset, $0.element.type) }
        var seen: Set<Int> = []
        for assignment in set {
            let ordinal = try ordinal(of: assignment.column, table)
            guard seen.insert(ordinal).inserted else {
                throw SQLError(.syntaxError, "multiple assignments to same column \"\(assignment.column.text)\"", at: assignment.column.position)
            }
            let column = table.columns[ordinal]
            guard let value = assignment.value else {
                row[ordinal] = try standing(column, table, at: assignment.column.position)
                continue
            }
            if column.identity?.isAlways == true {
                throw SQLError(
                    SQLState("428C9"), "column \"\(column.name)\" can only be updated to DEFAULT", at: assignment.column.position,
                    detail: "Column \"\(column.name)\" is an identity column defined as GENERATED ALWAYS.")
            }
            if column.generated != nil { throw generatedColumnError(column, verb: "update", at: assignment.column.position) }
            row[ordinal] = try assigned(try bind(value, block), to: column, at: value.position)
        }
        return row
    }

    // MARK: UPDATE and DELETE

    mutating func update(_ syntax: UpdateSyntax) throws(SQLError) -> UpdateStatement {
        let table = try changedTable(syntax.table, "update")
        guard !table.isAppendOnly else { throw appendOnly(table, "updated", at: syntax.table.position) }
        return try inCommonTables(syntax.with) { (binder) throws(SQLError) in
            var (plan, scope) = try binder.target(table, syntax.alias, syntax.table, syntax.from)
            let block = Block(scope: scope)
            if let condition = syntax.condition { plan = try binder.filtered(plan, by: condition, block) }
            block.clause = .update
            let row = try binder.changed(syntax.set, table, block)
            try binder.checkIsDrawnOnce(row, table, "UPDATE", at: syntax.position)
            plan = try binder.attached(plan, block, at: syntax.position)
            let new = binder.completed(row.map(block.resolved), table)
            let width = table.columns.count
            let old = table.columns.enumerated().map { Expression.column($0.offset, $0.element.type) }
            var extras: [Expression] = []
            if syntax.returning != nil {
                extras = scope.columns.indices.dropFirst(width).map { .column($0, scope.columns[$0].type) }
            }
            let fields = table.fields + table.fields + scope.columns.dropFirst(width).prefix(extras.count).map { Field(name: $0.name, type: $0.type) }
            let rows = try binder.counted(.project(plan, old + new + extras, fields), at: syntax.position)
            var update = UpdateStatement(table: table.name, rows: try binder.optimised(rows, at: syntax.position), returning: nil)
            if let returning = syntax.returning {
                // The old columns are out of sight; the table's name means the new ones.
                var hidden = Array(scope.columns.prefix(width))
                for index in hidden.indices { hidden[index].isHidden = true }
                scope.columns = hidden + scope.columns
                update.returning = try binder.returning(returning, scope)
            }
            return update
        }
    }

    mutating func delete(_ syntax: DeleteSyntax) throws(SQLError) -> DeleteStatement {
        let table = try changedTable(syntax.table, "delete from")
        guard !table.isAppendOnly else { throw appendOnly(table, "deleted", at: syntax.table.position) }
        return try inCommonTables(syntax.with) { (binder) throws(SQLError) in
            var (plan, scope) = try binder.target(table, syntax.alias, syntax.table, syntax.using)
            let block = Block(scope: scope)
            if let condition = syntax.condition { plan = try binder.filtered(plan, by: condition, block) }
            let kept = syntax.returning == nil ? table.columns.count : scope.columns.count
            let fields = scope.columns.prefix(kept).map { Field(name: $0.name, type: $0.type) }
            let columns = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
            let rows = try binder.counted(.project(plan, columns, fields), at: syntax.position)
            var delete = DeleteStatement(table: table.name, rows: try binder.optimised(rows, at: syntax.position), returning: nil)
            if let returning = syntax.returning { delete.returning = try binder.returning(returning, scope) }
            return delete
        }
    }

    private func appendOnly(_ table: TableDefinition, _ verb: String, at position: Int) -> SQLError {
        SQLError(
            .wrongObjectType, "rows of append-only table \"\(CatalogNames.parts(table.name).name)\" cannot be \(verb)", at: position,
            hint: "Create it without APPEND ONLY.")
    }

    /// The table, crossed with what FROM or USING adds.
    private mutating func target(
        _ table: TableDefinition, _ alias: AliasSyntax?, _ name: ObjectName, _ others: [FromSyntax]
    ) throws(SQLError) -> (Plan, Scope) {
        depend(on: table.name)
        let plan = try counted(.relation(name: table.name, fields: table.fields), at: name.position)
        var result = try aliased(plan, alias, default: name.last.text)
        for other in others { result = try crossed(result, try item(other), at: name.position) }
        return result
    }

    /// RETURNING, over the columns of `scope`.
    private mutating func returning(_ syntax: ReturningSyntax, _ scope: Scope) throws(SQLError) -> Returning {
        let block = Block(scope: scope)
        let name = ObjectName(parts: [Identifier(text: "", position: syntax.position)])
        let select = SelectSyntax(
            distinct: .no, items: syntax.items, from: [.relation(name, nil)], condition: nil, groupBy: [], having: nil, windows: [],
            position: syntax.position)
        let outputs = try outputs(select, block, clause: .returning)
        guard block.subqueries.isEmpty else { throw .notSupported("a subquery in RETURNING", at: syntax.position) }
        let expressions = outputs.map { output -> Expression in
            if case .literal(let value, .unknown) = output.expression { return .literal(value, .text) }
            return output.expression
        }
        return Returning(
            expressions: expressions, fields: zip(outputs, expressions).map { Field(name: $0.name, type: $1.type) })
    }
}
