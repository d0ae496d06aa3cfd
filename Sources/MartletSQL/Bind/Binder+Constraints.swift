internal import MartletCore

/// CHECK and UNIQUE of tables, and columns that number their rows.
extension Binder {
    /// Adds the constraints of CREATE TABLE, those of columns first.
    mutating func setConstraints(_ create: CreateTableSyntax, _ table: inout TableDefinition) throws(SQLError) {
        var numbered: TableColumnSyntax?
        for (ordinal, syntax) in create.columns.enumerated() {
            guard let identity = syntax.identity else { continue }
            let name = syntax.column.name
            if syntax.defaultValue != nil || syntax.generated != nil {
                throw .syntaxError("both identity and a default or generation expression specified for column \"\(name.text)\"", at: name.position)
            }
            guard [.smallint, .integer, .bigint].contains(table.columns[ordinal].type) else {
                throw SQLError(.invalidParameterValue, "identity column type must be smallint, integer, or bigint", at: name.position)
            }
            if let first = numbered {
                throw .notSupported(
                    "a second column that numbers the rows", at: name.position, hint: "Column \"\(first.column.name.text)\" does already.")
            }
            numbered = syntax
            table.columns[ordinal].identity = identity
        }
        for constraint in create.columns.flatMap(\.constraints) + create.constraints {
            try add(constraint, to: &table)
        }
        guard create.isFed else { return }
        if let constraint = (create.columns.flatMap(\.constraints) + create.constraints).first {
            throw .notSupported(
                "CHECK or UNIQUE of a table with a connector", at: constraint.position,
                hint: "What must not be seen is left out by the WHERE of a view; a primary key makes rows unique.")
        }
        if let column = numbered {
            throw .notSupported("a column that numbers the rows of a table with a connector", at: column.column.name.position)
        }
    }

    private func ordinalOfConstraint(_ name: Identifier, _ table: TableDefinition) throws(SQLError) -> Int {
        if let ordinal = table.columns.firstIndex(where: { $0.name == name.text }) { return ordinal }
        let near = Suggestion.nearest(to: name.text, among: table.columns.map(\.name))
        throw SQLError(
            .undefinedColumn, "column \"\(name.text)\" named in key does not exist", at: name.position,
            hint: near.map { "Perhaps you meant the column \"\($0)\"." })
    }

    private mutating func add(_ syntax: ConstraintSyntax, to table: inout TableDefinition) throws(SQLError) {
        switch syntax.kind {
        case .check: table.checks.append(try check(syntax, table))
        case .unique(let names):
            var columns: [Int] = []
            for name in names {
                let ordinal = try ordinalOfConstraint(name, table)
                guard !columns.contains(ordinal) else {
                    throw SQLError(.duplicateColumn, "column \"\(name.text)\" appears twice in unique constraint", at: name.position)
                }
                columns.append(ordinal)
            }
            table.uniques.append(try unique(syntax, columns, table))
        }
    }

    private mutating func check(_ syntax: ConstraintSyntax, _ table: TableDefinition) throws(SQLError) -> CheckConstraint {
        guard case .check(let condition, let column) = syntax.kind else {
            throw SQLError(.internalError, "a check without a condition", at: syntax.position)
        }
        let relation = CatalogNames.parts(table.name).name
        let block = Block(scope: Scope(relation: relation, fields: table.fields))
        block.clause = .check
        clockIsColumn = true
        defer { clockIsColumn = false }
        let bound = try boolean(condition, "CHECK", block)
        guard block.subqueries.isEmpty else {
            throw SQLError(.featureNotSupported, "cannot use subquery in check constraint", at: condition.position)
        }
        let read = Set(block.uses.map(\.ordinal))
        let part = column?.text ?? (read.count == 1 ? read.first.map { table.columns[$0].name } : nil)
        let name = try constraintName(syntax, [relation, part, "check"], table)
        return CheckConstraint(name: name, condition: bound.expression)
    }

    private func unique(_ syntax: ConstraintSyntax, _ columns: [Int], _ table: TableDefinition) throws(SQLError) -> UniqueConstraint {
        let parts = [CatalogNames.parts(table.name).name] + columns.map { table.columns[$0].name } + ["key"]
        return UniqueConstraint(name: try constraintName(syntax, parts, table), columns: columns)
    }

    /// The name given, or PostgreSQL's: relation, columns and kind, with a number where that is taken.
    private func constraintName(_ syntax: ConstraintSyntax, _ parts: [String?], _ table: TableDefinition) throws(SQLError) -> String {
        let taken = Set(table.checks.map(\.name) + table.uniqueKeys.map(\.name))
        if let name = syntax.name {
            guard !taken.contains(name.text) else {
                throw SQLError(
                    .duplicateObject, "constraint \"\(name.text)\" for relation \"\(CatalogNames.parts(table.name).name)\" already exists",
                    at: name.position)
            }
            return name.text
        }
        let base = parts.compactMap(\.self).joined(separator: "_")
        if !taken.contains(base) { return base }
        var number = 1
        while taken.contains("\(base)\(number)") { number += 1 }
        return "\(base)\(number)"
    }

    // MARK: ALTER TABLE

    mutating func addConstraint(_ syntax: ConstraintSyntax, _ entry: RelationEntry) throws(SQLError) -> AlterStatement.Change {
        var table = try constrained(entry, at: syntax.position)
        if table.source != nil {
            throw .notSupported("CHECK or UNIQUE of a table with a connector", at: syntax.position)
        }
        try add(syntax, to: &table)
        if case .check = syntax.kind, let check = table.checks.last { return .addCheck(check) }
        guard let unique = table.uniques.last else { throw SQLError(.internalError, "a constraint of no kind", at: syntax.position) }
        return .addUnique(unique)
    }

    /// nil: there is none of the name, and IF EXISTS says so.
    func dropConstraint(
        _ name: Identifier, ifExists: Bool, _ entry: RelationEntry, _ notices: inout [String]
    ) throws(SQLError) -> AlterStatement.Change? {
        let table = try constrained(entry, at: name.position)
        if table.checks.contains(where: { $0.name == name.text }) || table.uniques.contains(where: { $0.name == name.text }) {
            return .dropConstraint(name.text)
        }
        if table.uniqueKeys.contains(where: { $0.name == name.text }) {
            throw .notSupported("dropping a primary key", at: name.position)
        }
        let message = "constraint \"\(name.text)\" of relation \"\(CatalogNames.parts(table.name).name)\" does not exist"
        guard ifExists else { throw SQLError(.undefinedObject, message, at: name.position) }
        notices.append(message + ", skipping")
        return nil
    }

    func constrained(_ entry: RelationEntry, at position: Int) throws(SQLError) -> TableDefinition {
        if case .table(let table) = entry.kind { return table }
        throw SQLError(.wrongObjectType, "\"\(CatalogNames.parts(entry.name).name)\" is not a table", at: position)
    }
}

extension CreateTableSyntax {
    /// Its rows come by themselves.
    fileprivate var isFed: Bool { format != nil || options.contains { $0.name.text == "connector" } }
}

extension TableDefinition {
    /// Columns at the places they have when one of them has gone; constraints that read it go with it, as in PostgreSQL.
    package mutating func dropColumn(_ ordinal: Int) {
        func moved(_ place: Int) -> Int { place > ordinal ? place - 1 : place }
        columns.remove(at: ordinal)
        primaryKey = primaryKey.map(moved)
        versionColumns = versionColumns.map(moved)
        if let mark = watermark { watermark = WatermarkDefinition(column: moved(mark.column), delay: mark.delay) }
        for at in columns.indices {
            columns[at].generated = columns[at].generated?.renumbered { $0 == TableColumn.now ? $0 : moved($0) }
        }
        uniques = uniques.filter { !$0.columns.contains(ordinal) }.map { UniqueConstraint(name: $0.name, columns: $0.columns.map(moved)) }
        checks = checks.filter { !$0.condition.columns.contains(ordinal) }.map { check in
            CheckConstraint(name: check.name, condition: check.condition.renumbered { $0 == TableColumn.now ? $0 : moved($0) })
        }
    }
}
