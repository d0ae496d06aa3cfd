internal import MartletCore

/// CREATE TABLE and ALTER TABLE: columns, keys, defaults, generated values.
extension Binder {
    mutating func table(_ create: CreateTableSyntax, text: String) throws(SQLError) -> SessionStatement {
        var create = create
        var rows: Plan?
        if let query = create.query {
            let plan = try self.query(query)
            create.columns = try columns(of: plan, as: create)
            rows = plan
        }
        try takeColumns(&create)
        var table = TableDefinition(name: try objectName(create.name), columns: [])
        try addColumns(create, to: &table)
        table.primaryKey = try primaryKey(create, table.columns)
        for ordinal in table.primaryKey { table.columns[ordinal].isNotNull = true }
        try setConstraints(create, &table)
        try setConflict(create, &table)
        table.watermark = try create.watermark.map { (watermark) throws(SQLError) in
            try self.watermark(watermark, table.columns.map { ($0.name, $0.type) })
        }
        table.watermarkHasTTL = create.watermarkHasTTL
        try setOptions(create, &table, text: text)
        table.pipeline = create.pipeline?.text
        table.ifNotExists = create.ifNotExists
        table.text = text
        if create.isEmpty {
            rows = nil
        } else if let plan = rows {
            let names = create.columns.map(\.column.name)
            rows = try optimised(try self.rows(plan, into: table, columns: names, at: create.position), at: create.position)
        }
        return .createTable(table, rows: rows)
    }

    /// Puts in the columns of the relations that LIKE names: names, types, NOT NULL.
    private mutating func takeColumns(_ create: inout CreateTableSyntax) throws(SQLError) {
        for (place, name, takesKey) in create.likes.reversed() {
            let entry = try entry(name)
            var key: [Int] = []
            var notNull: [Int] = []
            if case .table(let table) = entry.kind {
                key = table.primaryKey
                notNull = table.columns.indices.filter { table.columns[$0].isNotNull }
            }
            let taken = entry.fields.enumerated().map { at, field in
                TableColumnSyntax(
                    column: ColumnSyntax(
                        name: Identifier(text: field.name, position: name.position), type: TypeSyntax(field.type, at: name.position),
                        isNotNull: notNull.contains(at)))
            }
            create.columns.insert(contentsOf: taken, at: place)
            if takesKey, !key.isEmpty, create.primaryKey == nil { create.primaryKey = key.map { taken[$0].column.name } }
        }
    }

    /// Of CREATE TABLE … AS: the query's columns under the names given.
    private func columns(of plan: Plan, as create: CreateTableSyntax) throws(SQLError) -> [TableColumnSyntax] {
        var fields = plan.fields
        guard create.columns.count <= fields.count else {
            throw SQLError(.syntaxError, "too many column names were specified", at: create.columns[fields.count].column.name.position)
        }
        for (index, column) in create.columns.enumerated() {
            guard column.column.type.name.isEmpty else {
                throw .syntaxError("CREATE TABLE AS takes the columns' types from the query", at: column.column.type.position)
            }
            fields[index].name = column.column.name.text
        }
        try checkColumnNames(fields, at: create.name.position)
        return fields.map { field in
            let name = Identifier(text: field.name, position: create.name.position)
            return TableColumnSyntax(
                column: ColumnSyntax(name: name, type: TypeSyntax(field.type, at: create.name.position), isNotNull: false))
        }
    }

    private mutating func addColumns(_ create: CreateTableSyntax, to table: inout TableDefinition) throws(SQLError) {
        var seen: Set<String> = []
        for syntax in create.columns {
            let column = syntax.column
            guard seen.insert(column.name.text).inserted else {
                throw SQLError(.duplicateColumn, "column \"\(column.name.text)\" specified more than once", at: column.name.position)
            }
            if column.type.name.isEmpty { throw .syntaxError("column \"\(column.name.text)\" needs a type", at: column.name.position) }
            let type = try columnType(column.type, of: column.name.text)
            table.columns.append(TableColumn(name: column.name.text, type: type, isNotNull: column.isNotNull))
        }
        for include in create.includes {
            let origin = try self.include(include)
            guard seen.insert(origin.name).inserted else {
                throw SQLError(.duplicateColumn, "column \"\(origin.name)\" specified more than once", at: (include.alias ?? include.what).position)
            }
            var column = TableColumn(name: origin.name, type: origin.type)
            column.origin = origin
            table.columns.append(column)
        }
        guard table.columns.count <= SQLLimits.columnsMax else {
            throw SQLError(.tooManyColumns, "tables can have at most \(SQLLimits.columnsMax) columns", at: create.name.position)
        }
        for (ordinal, syntax) in create.columns.enumerated() {
            table.columns[ordinal] = try computed(syntax, table.columns[ordinal], among: table.columns, generated: create.columns.map { $0.generated != nil })
        }
    }

    /// `column` with its default or generated value bound.
    private mutating func computed(
        _ syntax: TableColumnSyntax, _ column: TableColumn, among columns: [TableColumn], generated isGenerated: [Bool]
    ) throws(SQLError) -> TableColumn {
        var column = column
        clockIsColumn = true
        defer { clockIsColumn = false }
        if let value = syntax.defaultValue {
            let block = Block(scope: Scope())
            block.clause = .columnDefault
            let bound = try bind(value, block)
            guard block.subqueries.isEmpty else {
                throw SQLError(.featureNotSupported, "cannot use subquery in DEFAULT expression", at: value.position)
            }
            column.defaultValue = try assigned(bound, to: column, at: value.position)
        }
        if let value = syntax.generated {
            guard syntax.defaultValue == nil else {
                throw .syntaxError("both default and generation expression specified for column \"\(column.name)\"", at: value.position)
            }
            let block = Block(scope: Scope(relation: "", fields: columns.map { Field(name: $0.name, type: $0.type) }))
            block.clause = .generated
            let bound = try bind(value, block)
            guard block.subqueries.isEmpty else {
                throw SQLError(.featureNotSupported, "cannot use subquery in column generation expression", at: value.position)
            }
            if let use = block.uses.first(where: { $0.ordinal < isGenerated.count && isGenerated[$0.ordinal] }) {
                throw SQLError(
                    SQLState("42P17"), "cannot use generated column \"\(columns[use.ordinal].name)\" in column generation expression",
                    at: use.position)
            }
            column.generated = try assigned(bound, to: column, at: value.position)
        }
        return column
    }

    /// A value put into a column: implicit and assignment casts, or PostgreSQL's 42804.
    func assigned(_ bound: Bound, to column: TableColumn, at position: Int) throws(SQLError) -> Expression {
        if !bound.isUntyped, bound.type.withoutModifiers != column.type.withoutModifiers,
            !Cast.isAllowed(from: bound.type, to: column.type, context: .assignment), !itemsFit(bound.items ?? [], column.type, .assignment)
        {
            throw SQLError(
                .datatypeMismatch, "column \"\(column.name)\" is of type \(column.type.withoutModifiers.sqlName) but expression is of type \(bound.type.withoutModifiers.sqlName)",
                at: position, hint: "You will need to rewrite or cast the expression.")
        }
        return try coerce(bound, to: column.type, at: position, context: .assignment).expression
    }

    private func primaryKey(_ create: CreateTableSyntax, _ columns: [TableColumn]) throws(SQLError) -> [Int] {
        let names = create.primaryKey ?? create.columns.filter(\.isPrimaryKey).map(\.column.name)
        var key: [Int] = []
        for name in names {
            let ordinal = try ordinal(name, columns, inKey: true)
            guard !key.contains(ordinal) else {
                throw SQLError(.duplicateColumn, "column \"\(name.text)\" appears twice in primary key constraint", at: name.position)
            }
            key.append(ordinal)
        }
        return key
    }

    private func ordinal(_ name: Identifier, _ columns: [TableColumn], inKey: Bool = false) throws(SQLError) -> Int {
        if let ordinal = columns.firstIndex(where: { $0.name == name.text }) { return ordinal }
        let near = Suggestion.nearest(to: name.text, among: columns.map(\.name))
        throw SQLError(
            .undefinedColumn, "column \"\(name.text)\" \(inKey ? "named in key " : "")does not exist", at: name.position,
            hint: near.map { "Perhaps you meant the column \"\($0)\"." })
    }

    private func setConflict(_ create: CreateTableSyntax, _ table: inout TableDefinition) throws(SQLError) {
        table.isAppendOnly = create.isAppendOnly
        table.conflict = create.conflict
        if create.conflict != nil, table.primaryKey.isEmpty {
            throw SQLError(.invalidTableDefinition, "ON CONFLICT of a table needs a primary key", at: create.name.position)
        }
        if create.isAppendOnly, !table.primaryKey.isEmpty, let conflict = create.conflict, conflict != .doNothing {
            throw SQLError(
                .invalidTableDefinition, "an append-only table with a primary key can only have ON CONFLICT DO NOTHING", at: create.name.position)
        }
        for name in create.versionColumns { table.versionColumns.append(try ordinal(name, table.columns)) }
        if let name = create.versionColumns.first, create.conflict == nil || create.conflict == .doNothing {
            throw SQLError(
                .invalidTableDefinition, "a version column needs ON CONFLICT OVERWRITE, DO UPDATE FULL or DO UPDATE IF NOT NULL", at: name.position)
        }
    }

    /// WITH (…): the table's own options, and its connector with those of a source.
    private mutating func setOptions(_ create: CreateTableSyntax, _ table: inout TableDefinition, text: String) throws(SQLError) {
        var given = create.options
        for index in given.indices.reversed() {
            let option = given[index]
            switch option.name.text {
            case "retention_seconds":
                table.retention = try Self.retention(option)
                given.remove(at: index)
            case "append_only", "appendonly":
                table.isAppendOnly = option.value.lowercasedASCII == "true"
                given.remove(at: index)
            default: break
            }
        }
        guard !given.isEmpty || create.format != nil else {
            if let origin = create.includes.first {
                throw SQLError(.invalidTableDefinition, "INCLUDE needs a connector", at: origin.what.position)
            }
            return
        }
        var source = CreateSourceSyntax(
            name: create.name, ifNotExists: false, columns: create.columns.filter { $0.generated == nil }.map(\.column), includes: create.includes,
            watermark: nil, options: given, format: create.format, position: create.position)
        source.watermark = create.watermark
        var definition = try self.source(source, text: text, ofTable: true)
        isContinuous = false
        if definition.format != .plain, table.primaryKey.isEmpty {
            throw SQLError(
                .invalidTableDefinition, "FORMAT \(definition.format.rawValue.uppercasedASCII) needs a primary key", at: create.name.position)
        }
        definition.key = table.primaryKey.compactMap { key in definition.columns.firstIndex { $0.name == table.columns[key].name } }
        if definition.format != .plain, definition.key.count < table.primaryKey.count {
            throw SQLError(.invalidTableDefinition, "a column of the primary key is computed, and deletions do not say it", at: create.name.position)
        }
        definition.pipeline = create.pipeline?.text
        table.source = definition
    }

    /// Microseconds that `retention_seconds` asks for.
    static func retention(_ option: OptionSyntax) throws(SQLError) -> Int64 {
        guard let seconds = Int64(option.value), seconds > 0 else {
            throw SQLError(.invalidParameterValue, "retention_seconds must be a positive number", at: option.valuePosition)
        }
        return min(seconds, Self.retentionSecondsMax) * 1_000_000
    }

    /// A century, which is as good as for ever: sums of it and of times stay far from the end of numbers.
    private static let retentionSecondsMax: Int64 = 100 * 366 * 86_400

    // MARK: ALTER

    mutating func alter(_ syntax: AlterSyntax) throws(SQLError) -> SessionStatement {
        if let other = try alterOther(syntax) { return other }
        if let owned = try alterOwned(syntax) { return owned }
        guard let entry = try found(syntax.name), let kind = entry.objectKind else {
            let shown = syntax.name.text
            guard syntax.ifExists else {
                throw SQLError(.undefinedTable, "relation \"\(shown)\" does not exist", at: syntax.name.position)
            }
            return .accepted(tag: "ALTER \(syntax.kind.rawValue.uppercasedASCII)", notice: "relation \"\(shown)\" does not exist, skipping")
        }
        // ALTER TABLE takes any relation, as in PostgreSQL.
        guard syntax.kind == kind || syntax.kind == .table else {
            throw SQLError(.wrongObjectType, "\"\(syntax.name.last.text)\" is not a \(syntax.kind.rawValue)", at: syntax.name.position)
        }
        var alter = AlterStatement(kind: kind, name: entry.name, changes: [], notices: [])
        for change in syntax.changes {
            if let bound = try alteration(change, entry, &alter.notices) { alter.changes.append(bound) }
        }
        return .alter(alter)
    }

    /// What has a name but is no relation: an index may be renamed; owners and settings mean nothing. nil: a relation.
    private func alterOther(_ syntax: AlterSyntax) throws(SQLError) -> SessionStatement? {
        let name = syntax.name
        let canonical: String
        switch syntax.kind {
        case .table, .sequence, .view, .materializedView, .source, .sink, .column: return nil
        case .schema, .database, .pipeline: canonical = name.text
        case .index, .function, .type, .subscription, .connection, .secret: canonical = try objectName(name)
        }
        let exists: Bool
        switch syntax.kind {
        case .schema: exists = catalog.hasSchema(canonical)
        case .function: exists = !catalog.functions(named: canonical).isEmpty
        default: exists = catalog.hasObject(syntax.kind, named: canonical) || syntax.kind == .database && canonical == catalog.databaseName
        }
        let tag = "ALTER \(syntax.kind.rawValue.uppercasedASCII)"
        guard exists else {
            let message = "\(syntax.kind.rawValue) \"\(name.text)\" does not exist"
            if syntax.ifExists { return .accepted(tag: tag, notice: message + ", skipping") }
            throw SQLError(.undefinedObject, message, at: name.position)
        }
        var alter = AlterStatement(kind: syntax.kind, name: canonical, changes: [], notices: [])
        for change in syntax.changes {
            switch change {
            case .withoutEffect(let what): alter.notices.append("\(what) has no effect")
            case .rename(let next) where syntax.kind == .index:
                let renamed = CatalogNames.canonical(schema: CatalogNames.parts(canonical).schema, name: next.text)
                guard !catalog.hasObject(.index, named: renamed) else {
                    throw SQLError(.duplicateTable, "relation \"\(next.text)\" already exists", at: next.position)
                }
                alter.changes.append(.rename(to: renamed))
            default: throw .notSupported("this change of a \(syntax.kind.rawValue)", at: syntax.position)
            }
        }
        return .alter(alter)
    }

    private mutating func alteration(
        _ change: AlterSyntax.Change, _ entry: RelationEntry, _ notices: inout [String]
    ) throws(SQLError) -> AlterStatement.Change? {
        func column(_ name: Identifier) throws(SQLError) -> Int { try ordinal(of: name, entry) }
        let own = CatalogNames.parts(entry.name)
        switch change {
        case .rename(let name):
            let canonical = CatalogNames.canonical(schema: own.schema, name: name.text)
            guard catalog.relation(named: canonical) == nil else {
                throw SQLError(.duplicateTable, "relation \"\(name.text)\" already exists", at: name.position)
            }
            return .rename(to: canonical)
        case .renameColumn(let old, let new):
            let ordinal = try column(old)
            try checkIsFree(new, entry)
            return .renameColumn(ordinal, to: new.text)
        case .addColumn(let syntax, let ifNotExists):
            return try addedColumn(syntax, ifNotExists: ifNotExists, entry, &notices)
        case .dropColumn(let name, let ifExists, let isCascade):
            guard entry.objectKind == .table || entry.objectKind == .source else {
                throw SQLError(.wrongObjectType, "\"\(own.name)\" is not a table", at: name.position)
            }
            if ifExists, !entry.fields.contains(where: { $0.name == name.text }) {
                notices.append("column \"\(name.text)\" of relation \"\(own.name)\" does not exist, skipping")
                return nil
            }
            let ordinal = try column(name)
            switch entry.kind {
            case .table(let table): try checkMayGo(ordinal, table, name)
            case .source(let source): try checkMayGo(ordinal, source, name)
            default: break
            }
            return .dropColumn(ordinal, isCascade: isCascade)
        case .setDefault(let name, let value): return try newDefault(value, of: try column(name), name, entry)
        case .setNotNull(let name, let isNotNull): return try newNotNull(isNotNull, of: try column(name), name, entry)
        case .addConstraint(let syntax): return try addConstraint(syntax, entry)
        case .dropConstraint(let name, let ifExists): return try dropConstraint(name, ifExists: ifExists, entry, &notices)
        case .setSchema(let name):
            guard catalog.hasSchema(name.text) else {
                throw SQLError(.invalidSchemaName, "schema \"\(name.text)\" does not exist", at: name.position)
            }
            return .setSchema(to: CatalogNames.canonical(schema: name.text, name: own.name))
        case .swap(let name):
            let other = try self.entry(name)
            guard other.objectKind == entry.objectKind else {
                throw SQLError(.wrongObjectType, "\"\(name.last.text)\" is not a \(entry.noun)", at: name.position)
            }
            return other.name == entry.name ? nil : .swap(with: other.name)
        case .setCounter(let name, let options): return try newCounter(options, of: name, entry)
        case .setRunning(let isRunning): return .setRunning(isRunning)
        case .setOptions(let options, let isReset):
            var found: AlterStatement.Change?
            for option in options {
                // Nothing else has a past.
                if option.name.text == "retention_seconds", entry.objectKind == .table || entry.objectKind == .materializedView {
                    found = .setRetention(isReset ? nil : try Self.retention(option))
                } else {
                    notices.append("\(option.name.text) has no effect")
                }
            }
            return found
        case .withoutEffect(let what):
            notices.append("\(what) has no effect")
            return nil
        }
    }

    func ordinal(of name: Identifier, _ entry: RelationEntry) throws(SQLError) -> Int {
        if let ordinal = entry.fields.firstIndex(where: { $0.name == name.text }) { return ordinal }
        let near = Suggestion.nearest(to: name.text, among: entry.fields.map(\.name))
        throw SQLError(
            .undefinedColumn, "column \"\(name.text)\" of relation \"\(CatalogNames.parts(entry.name).name)\" does not exist",
            at: name.position, hint: near.map { "Perhaps you meant the column \"\($0)\"." })
    }

    /// ADD COLUMN; nil: it is there, and IF NOT EXISTS says so.
    private mutating func addedColumn(
        _ syntax: TableColumnSyntax, ifNotExists: Bool, _ entry: RelationEntry, _ notices: inout [String]
    ) throws(SQLError) -> AlterStatement.Change? {
        guard entry.objectKind == .table || entry.objectKind == .source else {
            throw SQLError(.wrongObjectType, "\"\(CatalogNames.parts(entry.name).name)\" is not a table", at: syntax.column.name.position)
        }
        if ifNotExists, entry.fields.contains(where: { $0.name == syntax.column.name.text }) {
            notices.append("column \"\(syntax.column.name.text)\" of relation \"\(CatalogNames.parts(entry.name).name)\" already exists, skipping")
            return nil
        }
        try checkIsFree(syntax.column.name, entry)
        if syntax.isPrimaryKey { throw .notSupported("a primary key that is added later", at: syntax.column.name.position) }
        if syntax.identity != nil || !syntax.constraints.isEmpty {
            throw .notSupported(
                "a column with these constraints that is added later", at: syntax.column.name.position,
                hint: "Add the column, then ALTER TABLE … ADD CONSTRAINT.")
        }
        if case .source(let source) = entry.kind { try checkMayGrow(source, syntax) }
        let type = try columnType(syntax.column.type, of: syntax.column.name.text)
        let plain = TableColumn(name: syntax.column.name.text, type: type, isNotNull: syntax.column.isNotNull)
        var columns: [TableColumn] = []
        if case .table(let table) = entry.kind, let generated = syntax.generated {
            if table.source != nil { throw .notSupported("a generated column that a table with a connector gets later", at: generated.position) }
            columns = table.columns + [plain]
        } else if let generated = syntax.generated {
            throw .notSupported("a generated column that a source gets later", at: generated.position)
        }
        let added = try computed(syntax, plain, among: columns, generated: columns.map { $0.generated != nil })
        if let generated = added.generated, generated.columns.contains(TableColumn.now) {
            throw .notSupported("a generated column that reads the clock and is added later", at: syntax.column.name.position)
        }
        var backfill = Value.null
        if let value = added.defaultValue.map(atNow) {
            let computed = try Simplifier.constantValue(of: value, context)
            backfill = value.literalValue ?? computed ?? .null
        }
        return .addColumn(added, backfill: backfill)
    }

    private mutating func newDefault(
        _ value: ExpressionSyntax?, of ordinal: Int, _ name: Identifier, _ entry: RelationEntry
    ) throws(SQLError) -> AlterStatement.Change {
        let table = try constrained(entry, at: name.position)
        if table.columns[ordinal].generated != nil || table.columns[ordinal].identity != nil {
            throw SQLError(
                .syntaxError, "column \"\(name.text)\" of relation \"\(CatalogNames.parts(entry.name).name)\" is computed", at: name.position,
                hint: "It has no default.")
        }
        guard let value else { return .setDefault(ordinal, nil) }
        let syntax = ColumnSyntax(name: name, type: TypeSyntax(table.columns[ordinal].type, at: name.position), isNotNull: false)
        var given = TableColumnSyntax(column: syntax)
        given.defaultValue = value
        return .setDefault(ordinal, try computed(given, table.columns[ordinal], among: [], generated: []).defaultValue)
    }

    private func newNotNull(
        _ isNotNull: Bool, of ordinal: Int, _ name: Identifier, _ entry: RelationEntry
    ) throws(SQLError) -> AlterStatement.Change {
        let table = try constrained(entry, at: name.position)
        if table.source != nil { throw .notSupported("NOT NULL of a table with a connector that is added later", at: name.position) }
        if !isNotNull, table.primaryKey.contains(ordinal) || table.columns[ordinal].identity != nil {
            throw SQLError(
                .invalidTableDefinition,
                table.primaryKey.contains(ordinal)
                    ? "column \"\(name.text)\" is in a primary key" : "column \"\(name.text)\" of relation \"\(CatalogNames.parts(entry.name).name)\" is an identity column",
                at: name.position)
        }
        return .setNotNull(ordinal, isNotNull)
    }

    private func checkIsFree(_ name: Identifier, _ entry: RelationEntry) throws(SQLError) {
        guard entry.fields.contains(where: { $0.name == name.text }) else { return }
        throw SQLError(
            .duplicateColumn, "column \"\(name.text)\" of relation \"\(CatalogNames.parts(entry.name).name)\" already exists", at: name.position)
    }

    /// A column of a source is read from where its records have it.
    private func checkMayGrow(_ source: SourceDefinition, _ syntax: TableColumnSyntax) throws(SQLError) {
        let position = syntax.column.name.position
        if syntax.defaultValue != nil { throw .notSupported("DEFAULT of a source's column", at: position) }
        guard source.encode.encoding == .json || source.encode.encoding == .csv else {
            throw SQLError(
                .invalidTableDefinition, "records of ENCODE \(source.encode.encoding.rawValue.uppercasedASCII) have one column", at: position)
        }
    }

    private func checkMayGo(_ ordinal: Int, _ source: SourceDefinition, _ name: Identifier) throws(SQLError) {
        if source.shown.count == 1 { throw SQLError(.invalidTableDefinition, "a source needs columns", at: name.position) }
        guard case .record(let at) = source.shown[ordinal] else { return }
        let isUsed = source.computed.contains { $0.expression.columns.contains(at) }
        guard source.watermark?.column != at, !isUsed else {
            throw SQLError(
                SQLState("2BP01"),
                "cannot drop column \"\(name.text)\" because \(isUsed ? "a generated column" : "the watermark") needs it", at: name.position)
        }
    }

    private func checkMayGo(_ ordinal: Int, _ table: TableDefinition, _ name: Identifier) throws(SQLError) {
        let use: String? =
            if table.primaryKey.contains(ordinal) {
                "the primary key"
            } else if table.watermark?.column == ordinal {
                "the watermark"
            } else if table.columns.contains(where: { $0.generated?.columns.contains(ordinal) ?? false }) {
                "a generated column"
            } else {
                nil
            }
        guard let use else { return }
        throw SQLError(
            SQLState("2BP01"), "cannot drop column \"\(name.text)\" because \(use) needs it", at: name.position)
    }
}

extension TypeSyntax {
    /// The type as if it had been written.
    init(_ type: DataType, at position: Int) {
        self.init(name: "", modifiers: [], position: position)
        switch type {
        case .array(let element):
            self = TypeSyntax(element, at: position)
            isArray = true
        case .structure(let fields):
            name = "struct"
            self.fields = fields.map {
                TypeFieldSyntax(name: Identifier(text: $0.name, position: position), type: TypeSyntax($0.type, at: position))
            }
        case .numeric(let precision, let scale):
            name = "numeric"
            if let precision { modifiers = [precision, scale ?? 0] }
        default: name = type.sqlName
        }
    }
}
