internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// What rows of a system table are made from.
struct SystemFacts {
    var catalog: DatabaseCatalog
    var client: SessionClient
    var parameters: SessionParameters
    var database: Database
    /// What only the session that asks has; nil where functions ask.
    var session: SessionFacts?
}

/// What a session has open.
struct SessionFacts: Sendable {
    struct Cursor: Sendable {
        var name: String
        var text: String
        var isHeld: Bool
        var madeMicros: Int64
    }

    struct Statement: Sendable {
        var name: String
        var text: String
        var parameterTypes: [DataType]
        var madeMicros: Int64
        /// By PREPARE, not by the protocol.
        var isFromSQL: Bool
    }

    var cursors: [Cursor]
    var statements: [Statement]
}

/// A relation whose rows are made up when it is read: pg_catalog, information_schema, `martlet_*`.
struct SystemTable: Sendable {
    /// Canonical.
    var name: String
    var fields: [Field]
    /// One value a field. nil: known to clients, and empty here.
    var rows: (@Sendable (SystemFacts) -> [[Value]])?
    /// What it is, and what each column is: shown by `\d+`. Empty: nothing to say.
    var comment = ""
    var columnComments: [String] = []

    /// - Parameter columns: names, each with its type behind a colon (`o`: see `types`), separated by blanks.
    init(_ name: String, _ columns: String, rows: (@Sendable (SystemFacts) -> [[Value]])? = nil) {
        self.name = name
        fields = columns.split(separator: " ").map { column in
            let parts = column.split(separator: ":")
            return Field(name: String(parts[0]), type: SystemTable.types[String(parts[1])] ?? .text)
        }
        self.rows = rows
    }

    /// - Parameter columns: each as above, with what it is.
    init(_ name: String, about comment: String, _ columns: [(column: String, comment: String)], rows: @escaping @Sendable (SystemFacts) -> [[Value]]) {
        self.init(name, columns.map(\.column).joined(separator: " "), rows: rows)
        self.comment = comment
        columnComments = columns.map(\.comment)
    }

    /// How the list of columns names a type.
    static func letter(of type: DataType) -> String { types.filter { $0.value == type }.keys.sorted().last ?? "t" }

    /// The system table of an object id.
    static func table(_ oid: Int32) -> SystemTable? {
        let at = Int(oid) - Int(SystemOID.systemTable)
        return all.indices.contains(at) ? all[at] : nil
    }

    /// Tables without rows: a line each, name and columns.
    static func listed(_ text: String) -> [SystemTable] {
        text.split(separator: "\n").map { line in
            let name = line.prefix { $0 != " " }
            return SystemTable(String(name), String(line.dropFirst(name.count)))
        }
    }

    /// o: object id, t: text, b: boolean, s, i, l: integers of 2, 4, 8 bytes, f: real, d: double, z: time stamp, v: interval,
    /// j: document, y: bytes, n: numeric; capitals: arrays.
    private static let types: [String: DataType] = [
        "o": .bigint, "t": .text, "b": .boolean, "s": .smallint, "i": .integer, "l": .bigint, "f": .real, "d": .double, "z": .timestamptz,
        "v": .interval, "j": .jsonb, "y": .bytea, "n": .plainNumeric,
        "F": .array(.real), "B": .array(.boolean), "D": .array(.double), "T": .array(.text), "S": .array(.smallint), "O": .array(.bigint),
    ]

    static let all: [SystemTable] = {
        let more = Dictionary(uniqueKeysWithValues: PostgresCatalog.emptyColumns.map { ($0.name, $0.fields) })
        let filled = (PostgresCatalog.tables + InformationSchema.tables + Sequences.tables).map { table in
            var whole = table
            whole.fields += more[table.name] ?? []
            return whole
        }
        return (filled + PostgresCatalog.emptyTables).map { table in
            var whole = table
            if table.name.hasPrefix("pg_catalog.") { whole.fields.append(Field(name: ownColumn, type: .bigint)) }
            return whole
        } + InformationSchema.emptyTables + MartletViews.tables + RisingWaveCatalog.tables
    }()

    /// The catalog that a row is of: every one of PostgreSQL's has it, and `*` does not show it.
    static let ownColumn = "tableoid"

    static let byName: [String: SystemTable] = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// As the binder sees them.
    static let entries: [RelationEntry] = all.map { RelationEntry(name: $0.name, kind: .system, fields: $0.fields) }
}

extension DatabaseSession {
    /// The rows of a system table; nil: there is none of that name.
    func systemRows(_ name: String, _ catalog: DatabaseCatalog) throws(SQLError) -> StoreSnapshot? {
        guard let table = SystemTable.byName[name] else { return nil }
        let facts = SystemFacts(catalog: catalog, client: client, parameters: parameters, database: database, session: facts)
        let own = PostgresCatalog.oid(ofRelation: name, catalog).map { Value.bigint(Int64($0)) } ?? .null
        let rows = (table.rows?(facts) ?? []).map { row in
            table.fields.enumerated().map { at, field in
                if at < row.count { return row[at].widened(to: field.type) }
                return field.name == SystemTable.ownColumn ? own : .null
            }
        }
        return StoreSnapshot([Batch(table.fields, rows)])
    }
}

extension Value {
    /// Object ids are given as INT and shown as BIGINT.
    fileprivate func widened(to type: DataType) -> Value {
        switch (self, type) {
        case (.integer(let number), .bigint): .bigint(Int64(number))
        case (.array(let array), .array(.bigint)): .array(ArrayValue(.bigint, array.values.map { $0.widened(to: .bigint) }))
        default: self
        }
    }
}

extension CatalogObject {
    /// As clients see it: beyond the numbers that PostgreSQL uses for its own.
    var oid: Int32 { Int32(truncatingIfNeeded: CatalogObject.firstOID + id.raw) }
    static let firstOID: UInt32 = 16_384
}

/// Object ids of things that are always there.
enum SystemOID {
    static let publicSchema: Int32 = 2200
    static let catalogSchema: Int32 = 11
    static let informationSchema: Int32 = 13_000
    static let database: Int32 = 1
    static let owner: Int32 = 10
    static let heap: Int32 = 2
    static let btree: Int32 = 403
    static let sql: Int32 = 14
    /// Indexes that stand for primary keys, above those of relations.
    static let keyIndex: Int32 = 1 << 24
    static let systemTable: Int32 = 1 << 25
    static let schema: Int32 = 1 << 26
    static let function: Int32 = 1 << 27
    static let subscription: Int32 = 3 << 26

    /// A declared index, by its place among them.
    static func index(_ place: Int) -> Int32 { keyIndex * 3 + Int32(truncatingIfNeeded: place) }

    /// UNIQUE (and its index) or CHECK: `place` among the table's constraints of all kinds, which share 64 numbers a table.
    static func constraint(of table: CatalogObject, _ place: Int) -> Int32 {
        1 << 28 &+ table.oid &* 64 &+ Int32(truncatingIfNeeded: place % 64)
    }

    static func schema(_ name: String, _ catalog: DatabaseCatalog) -> Int32 {
        switch name {
        case "public": return publicSchema
        case "pg_catalog": return catalogSchema
        case "information_schema": return informationSchema
        default: return schema + Int32(truncatingIfNeeded: catalog.sql.schemaNames.firstIndex(of: name) ?? 0)
        }
    }
}
