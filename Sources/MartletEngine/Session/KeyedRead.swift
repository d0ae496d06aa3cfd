package import MartletColumns
package import MartletCore
internal import MartletSQL

/// A prepared SELECT of columns of the row that has a key, such as `SELECT name FROM users WHERE id = $1`: what services ask
/// thousands of times a second. It is understood once, and answered with other values without being bound again, as long as
/// the catalog and the search path stay what they were. Any thread, with or without the session it was prepared in.
package final class KeyedRead: Sendable {
    package enum Found {
        case row(Batch)
        case nothing
        /// The catalog is another one by now.
        case stale
    }

    private let relation: RelationID
    /// Of the catalog that it was bound against.
    private let version: UInt64
    /// For each column of the key the parameter that has its value, from 0, and its type.
    private let key: [(parameter: Int, type: DataType)]
    /// Of the relation, in the order of the result.
    private let columns: [Int]
    private let visible: VisibleState

    /// nil: the statement is none, or not so simple. `bind` binds it with values.
    ///
    /// Constants are folded when a statement is bound, so what a parameter became is seen by binding twice, with different
    /// values: each parameter stands in the text once, and that place is found in the comparison with a column of the key.
    init?(_ prepared: PreparedText, _ catalog: DatabaseCatalog, _ visible: VisibleState, bind: ([Value]) -> BoundStatement?) {
        let types = prepared.parameterTypes
        guard !types.isEmpty, prepared.parameterPlaces == types.count else { return nil }
        var found: [[(column: Int, parameter: Int)]] = []
        var seen: (scan: RelationScan, object: CatalogObject)?
        for round in 0..<2 {
            let marks = types.indices.compactMap { KeyedRead.mark(types[$0], 2 * $0 + round) }
            guard marks.count == types.count, case .select(let query)? = bind(marks), query.order.isEmpty, query.limit == nil, query.offset == 0,
                let scan = RelationScan(query.plan), let object = catalog[scan.name], !object.isComing, scan.steps.count <= 2,
                let values = scan.lookup(object.key), values.count == types.count, scan.comparisons == types.count
            else { return nil }
            var pairs: [(column: Int, parameter: Int)] = []
            for (column, value) in zip(object.key, values) {
                guard let parameter = marks.firstIndex(where: { $0 == value }),
                    object.fields[column].type.withoutModifiers == types[parameter].withoutModifiers
                else { return nil }
                pairs.append((column, parameter))
            }
            found.append(pairs)
            seen = (scan, object)
        }
        guard let (scan, object) = seen, zip(found[0], found[1]).allSatisfy({ $0 == $1 }), Set(found[0].map(\.parameter)).count == types.count
        else { return nil }
        var columns = Array(object.fields.indices)
        if case .project(let expressions)? = scan.steps.dropFirst().first {
            columns = []
            for expression in expressions {
                guard case .column(let column, _) = expression else { return nil }
                columns.append(column)
            }
        }
        let count = prepared.shape?.resultFields?.count ?? 0
        guard count > 0, columns.count >= count else { return nil }
        relation = object.id
        version = catalog.version
        self.visible = visible
        key = found[0].map { ($0.parameter, object.fields[$0.column].type) }
        self.columns = Array(columns.prefix(count))
    }

    /// A value that no statement is likely to hold; which two of them are different is all that counts.
    private static func mark(_ type: DataType, _ number: Int) -> Value? {
        switch type.withoutModifiers {
        case .smallint: .smallint(Int16(clamping: 23_117 + number))
        case .integer: .integer(Int32(clamping: 1_604_289_171 + number))
        case .bigint: .bigint(6_158_093_172_840_000_000 + Int64(number))
        case .text: .text("\u{1}\(number)\u{2}")
        case .date: .date(731_904 + Int32(clamping: number))
        case .timestamp: .timestamp(6_158_093_172_840_000_000 + Int64(number))
        case .timestamptz: .timestamptz(6_158_093_172_840_000_000 + Int64(number))
        default: nil
        }
    }

    /// Whether keys of such columns are read so at all.
    package static func takes(_ types: [DataType]) -> Bool { types.allSatisfy { mark($0, 0) != nil } }

    /// The catalog is still the one it was bound against.
    package var isCurrent: Bool { visible.version == version }

    /// Columns of one row each, for the values of a key: whoever asks again and again writes them into the same ones.
    package func makeKey() -> [Column] {
        key.map { part in
            let column = Column(part.type, capacity: 1)
            column.count = 1
            return column
        }
    }

    /// By column of the key, the parameter of the statement that has its value, from 0.
    package var keyParameters: [Int] { key.map(\.parameter) }

    package enum Seen { case row, nothing, stale }

    /// Shows the row that has a key, whose values are no NULLs, where it lies: the relation's columns, which of them the result
    /// has, and the row's place in them. Ticks wait for `body`, which is to do no more than to write the row down.
    package func see(_ key: [Column], _ body: (_ columns: [Column], _ ordinals: [Int], _ row: Int) -> Void) -> Seen {
        visible.locked { content in
            guard content.catalog.version == version, let store = content.stores[relation] else { return .stale }
            guard let (stored, row) = store.place(of: key) else { return .nothing }
            body(stored, columns, row)
            return .row
        }
    }

    /// The row that has the key which `values` name, by the statement's parameters. Waits for no more than the visibility of
    /// a tick.
    package func find(_ values: [Value]) -> Found {
        var keys: [Column] = []
        keys.reserveCapacity(key.count)
        for part in key {
            // NULL equals nothing.
            if values[part.parameter].isNull { return isCurrent ? .nothing : .stale }
            keys.append(Column(part.type, [values[part.parameter]]))
        }
        return visible.locked { content in
            guard content.catalog.version == version, let store = content.stores[relation] else { return .stale }
            guard let row = store.row(of: keys, columns: columns) else { return .nothing }
            return .row(row)
        }
    }
}

extension RelationScan {
    /// How many conditions the first filter has.
    fileprivate var comparisons: Int {
        guard case .filter(let predicate)? = steps.first else { return 0 }
        if case .and(let operands) = predicate { return operands.count }
        return 1
    }
}

extension DatabaseSession {
    /// The answer to a keyed read; nil: the statement is none, or has to be carried out like any other.
    func keyedRows(_ statement: SessionStatementText, _ values: [Value]) -> (any RowCursor)? {
        guard !current.isExplicit, !current.hasChanges, let fields = statement.fields, values.count == statement.parameterTypes.count else { return nil }
        for _ in 0..<2 {
            guard let read = statement.keyed(self) else { return nil }
            switch read.find(values) {
            case .row(let row): return BatchCursor(fields, [row])
            case .nothing: return BatchCursor(fields, [])
            case .stale: statement.forgetKeyed()
            }
        }
        return nil
    }

    func quickRead(_ statement: any PreparedStatement) -> KeyedRead? {
        guard !current.isExplicit, !current.hasChanges, let statement = statement as? SessionStatementText else { return nil }
        return statement.current(parameters.generation)
    }

    func keyedRead(_ statement: any PreparedStatement) -> KeyedRead? {
        guard !current.isExplicit, !current.hasChanges else { return nil }
        return (statement as? SessionStatementText)?.keyed(self)
    }
}
