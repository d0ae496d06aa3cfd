internal import MartletCore

/// CREATE SEQUENCE: a counter, kept as a table that has nothing but it; and ALTER SEQUENCE, also of what numbers a table's rows.
extension Binder {
    mutating func sequence(_ create: CreateSequenceSyntax, text: String) throws(SQLError) -> TableDefinition {
        var last = TableColumn(name: "last_value", type: .bigint, isNotNull: true)
        last.identity = try counter(create.options, changing: nil)
        let others = [TableColumn(name: "log_cnt", type: .bigint, isNotNull: true), TableColumn(name: "is_called", type: .boolean, isNotNull: true)]
        var table = TableDefinition(name: try objectName(create.name), columns: [last] + others)
        table.isSequence = true
        table.ifNotExists = create.ifNotExists
        table.text = text
        return table
    }

    /// What is said of a counter, and where nothing is, what was (`old`) or is usual: upwards from 1, downwards from -1.
    private mutating func counter(
        _ options: SequenceOptionsSyntax, changing old: TableColumn.Identity?
    ) throws(SQLError) -> TableColumn.Identity {
        let position = options.position
        var type = DataType.bigint
        if let given = options.type { type = try dataType(given) }
        let whole: ClosedRange<Int64>
        switch type {
        case .smallint: whole = Int64(Int16.min)...Int64(Int16.max)
        case .integer: whole = Int64(Int32.min)...Int64(Int32.max)
        case .bigint: whole = .min ... .max
        default: throw SQLError(.invalidParameterValue, "sequence type must be smallint, integer, or bigint", at: position)
        }
        var counter = old ?? TableColumn.Identity(isAlways: false)
        counter.increment = options.increment ?? counter.increment
        let isUpwards = counter.increment > 0
        func limit(_ given: SequenceOptionsSyntax.Number?, _ old: Int64?, usual: Int64) -> Int64 {
            switch given {
            case .given(let number): number
            case .usual: usual
            case nil: old ?? usual
            }
        }
        let least = limit(options.least, old?.bounds.lowerBound, usual: isUpwards ? 1 : whole.lowerBound)
        let most = limit(options.most, old?.bounds.upperBound, usual: isUpwards ? whole.upperBound : -1)
        guard whole.contains(least), whole.contains(most) else {
            throw SQLError(.invalidParameterValue, "MINVALUE or MAXVALUE is out of range for sequence data type \(type.sqlName)", at: position)
        }
        guard least < most else {
            throw SQLError(.invalidParameterValue, "MINVALUE (\(least)) must be less than MAXVALUE (\(most))", at: position)
        }
        counter.bounds = least...most
        counter.start = options.start ?? old?.start ?? (isUpwards ? least : most)
        try check("START", counter.start, counter, at: position)
        return counter
    }

    private func check(_ what: String, _ number: Int64, _ counter: TableColumn.Identity, at position: Int) throws(SQLError) {
        let (least, most) = (counter.bounds.lowerBound, counter.bounds.upperBound)
        guard !counter.bounds.contains(number) else { return }
        let bound = number < least ? "less than MINVALUE (\(least))" : "greater than MAXVALUE (\(most))"
        throw SQLError(.invalidParameterValue, "\(what) value (\(number)) cannot be \(bound)", at: position)
    }

    // MARK: ALTER

    /// ALTER SEQUENCE of what numbers a table's rows, by the name that PostgreSQL gives to it (`table_column_seq`); nil: it is
    /// something else.
    mutating func alterOwned(_ syntax: AlterSyntax) throws(SQLError) -> SessionStatement? {
        guard syntax.kind == .sequence, try found(syntax.name) == nil, let owner = numbered(by: syntax.name) else { return nil }
        var alter = AlterStatement(kind: .sequence, name: owner.name, changes: [], notices: [])
        for change in syntax.changes {
            switch change {
            case .setCounter(nil, let options): alter.changes.append(try newCounter(options, of: nil, owner))
            case .withoutEffect(let what): alter.notices.append("\(what) has no effect")
            default: throw .notSupported("this change of a column's own sequence", at: syntax.position)
            }
        }
        return .alter(alter)
    }

    /// The table with a column that the sequence of this name belongs to.
    private func numbered(by name: ObjectName) -> RelationEntry? {
        let schemas = name.parts.count > 1 ? [name.parts[name.parts.count - 2].text] : catalog.searchPath
        for canonical in catalog.relationNames.sorted() {
            guard let entry = catalog.relation(named: canonical), case .table(let table) = entry.kind, !table.isSequence else { continue }
            let own = CatalogNames.parts(canonical)
            guard schemas.contains(own.schema), let column = table.columns.first(where: { $0.identity != nil }) else { continue }
            if "\(own.name)_\(column.name)_seq" == name.last.text { return entry }
        }
        return nil
    }

    /// - Parameter column: nil: the one that numbers rows.
    mutating func newCounter(
        _ options: SequenceOptionsSyntax, of column: Identifier?, _ entry: RelationEntry
    ) throws(SQLError) -> AlterStatement.Change {
        let ordinal = try column.map { (name) throws(SQLError) in try self.ordinal(of: name, entry) } ?? 0
        guard case .table(let table) = entry.kind,
            let place = column == nil ? table.columns.firstIndex(where: { $0.identity != nil }) : ordinal, let old = table.columns[place].identity
        else {
            let own = CatalogNames.parts(entry.name).name
            throw SQLError(
                SQLState("55000"),
                column.map { "column \"\($0.text)\" of relation \"\(own)\" is not an identity column" } ?? "\"\(own)\" has no counter", at: options.position)
        }
        let counter = try counter(options, changing: old)
        var next: Int64?
        switch options.restart {
        case .given(let number):
            try check("RESTART", number, counter, at: options.position)
            next = number
        case .usual: next = counter.start
        case nil: break
        }
        return .setCounter(place, counter, next: next)
    }
}
