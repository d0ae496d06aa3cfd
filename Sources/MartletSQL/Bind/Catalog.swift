package import MartletCore

/// A relation that a query can name.
package struct RelationEntry: Sendable {
    package enum Kind: Sendable {
        case source(SourceDefinition)
        case table(TableDefinition)
        /// The plan is put into the query in place of the name.
        case view(ViewDefinition)
        case materializedView(ViewDefinition)
        /// An append-only relation kept by the system for `source`.
        case lateTable(source: String)
        case deadLetters(source: String)
        /// Rows that the engine makes up when they are read: pg_catalog, information_schema, `martlet_*`. Never part of a view.
        case system
        /// Not readable; here so that names do not collide.
        case sink(SinkDefinition)
    }

    /// Canonical: the bare name in schema `public`, `schema.name` elsewhere.
    package var name: String
    package var kind: Kind
    package var fields: [Field]

    package init(name: String, kind: Kind, fields: [Field]) {
        self.name = name
        self.kind = kind
        self.fields = fields
    }

    /// The word for messages.
    package var noun: String {
        switch kind {
        case .source: "source"
        case .table(let table): table.isSequence ? "sequence" : "table"
        case .view: "view"
        case .materializedView: "materialized view"
        case .lateTable: "late table"
        case .deadLetters: "dead letter table"
        case .system: "system view"
        case .sink: "sink"
        }
    }

    /// What DROP and ALTER call it; nil: neither takes it.
    package var objectKind: ObjectKind? {
        switch kind {
        case .source: .source
        case .table(let table): table.isSequence ? .sequence : .table
        case .view: .view
        case .materializedView: .materializedView
        case .sink: .sink
        case .lateTable, .deadLetters, .system: nil
        }
    }
}

/// What the binder asks about existing objects. Names are folded already.
///
/// Relations have one name space per schema. Their *canonical* name is the bare name in schema `public` and `schema.name`
/// elsewhere (`pg_catalog.pg_class`); plans and definitions carry that.
package protocol CatalogReader: Sendable {
    /// By canonical name.
    func relation(named name: String) -> RelationEntry?
    /// Canonical names of what a user may mean, for "did you mean"; any order.
    var relationNames: [String] { get }
    func hasSchema(_ name: String) -> Bool
    /// Where unqualified names are looked for, in order; new objects enter the first. `lastSchemas` come last, unnamed.
    var searchPath: [String] { get }
    var databaseName: String { get }
    /// User-defined functions of that canonical name.
    func functions(named name: String) -> [FunctionDefinition]
    /// There are no user-defined functions at all, so that none need be looked for.
    var functionsAreBuiltIn: Bool { get }
    /// A type that was created, by canonical name.
    func type(named name: String) -> DataType?
    /// How many rows a relation has about now; nil: unknown. What is decided by it must not outlive the statement.
    func rowCount(of name: String) -> Int?
    /// Indexes, subscriptions, pipelines, databases: whether there is one of that canonical name.
    func hasObject(_ kind: ObjectKind, named name: String) -> Bool
}

extension CatalogReader {
    package func hasSchema(_ name: String) -> Bool { CatalogNames.builtInSchemas.contains(name) }
    package var searchPath: [String] { [CatalogNames.defaultSchema] }
    package var databaseName: String { CatalogNames.defaultDatabase }
    package func functions(named name: String) -> [FunctionDefinition] { [] }
    package var functionsAreBuiltIn: Bool { true }
    package func rowCount(of name: String) -> Int? { nil }
    package func type(named name: String) -> DataType? { nil }
    package func hasObject(_ kind: ObjectKind, named name: String) -> Bool { false }
}

package enum CatalogNames {
    package static let defaultSchema = "public"
    package static let defaultDatabase = "dev"
    package static let builtInSchemas: Set<String> = ["public", "pg_catalog", "information_schema"]
    /// Whose relations are found by name, and are in no list.
    package static let unlistedSchema = "rw_catalog"
    /// Where names without a schema are looked for at last.
    package static let lastSchemas = ["pg_catalog", unlistedSchema]

    package static func canonical(schema: String, name: String) -> String { schema == defaultSchema ? name : schema + "." + name }

    /// The parts of a canonical name.
    package static func parts(_ canonical: String) -> (schema: String, name: String) {
        guard let dot = canonical.firstIndex(of: ".") else { return (defaultSchema, canonical) }
        return (String(canonical[..<dot]), String(canonical[canonical.index(after: dot)...]))
    }
}

/// The objects defined so far: a value, so that a failing script leaves its owner's copy untouched.
package struct SQLCatalog: CatalogReader {
    private var entries: [String: RelationEntry] = [:]
    private var systemEntries: [String: RelationEntry] = [:]
    private var userFunctions: [String: [FunctionDefinition]] = [:]
    private var objects: [ObjectKind: Set<String>] = [:]
    private var types: [String: DataType] = [:]
    private var schemas = CatalogNames.builtInSchemas
    package var searchPath = [CatalogNames.defaultSchema]
    package var databaseName = CatalogNames.defaultDatabase

    /// Counts rows, where somebody knows them.
    package var rowCounts: (@Sendable (String) -> Int?)?

    package init() {}

    package func rowCount(of name: String) -> Int? { rowCounts?(name) ?? nil }
    package func type(named name: String) -> DataType? { types[name] }
    package func relation(named name: String) -> RelationEntry? { entries[name] ?? systemEntries[name] }
    package var relationNames: [String] { Array(entries.keys) }
    package func hasSchema(_ name: String) -> Bool { schemas.contains(name) }
    package func functions(named name: String) -> [FunctionDefinition] { userFunctions[name] ?? [] }
    package var functionsAreBuiltIn: Bool { userFunctions.isEmpty }
    package func hasObject(_ kind: ObjectKind, named name: String) -> Bool { objects[kind]?.contains(name) ?? false }

    /// All but the system's, by name.
    package var allRelations: [RelationEntry] { entries.values.sorted { $0.name < $1.name } }
    package var schemaNames: [String] { schemas.sorted() }
    package var databaseNames: [String] { ([databaseName] + (objects[.database] ?? [])).sorted() }
    package var pipelineNames: [String] { (objects[.pipeline] ?? []).sorted() }
    package var allFunctions: [FunctionDefinition] {
        userFunctions.sorted { $0.key < $1.key }.flatMap(\.value)
    }

    /// Enters what the statement defines, takes out what it drops. Throws 42P07 where a name is taken. ALTER is its executor's
    /// business, who knows what else depends on the object.
    package mutating func define(_ statement: BoundStatement) throws(SQLError) {
        switch statement {
        case .createSource(let source):
            try add(RelationEntry(name: source.name, kind: .source(source), fields: source.shownFields))
            try add(
                RelationEntry(
                    name: source.deadLetterTable, kind: .deadLetters(source: source.name), fields: SourceDefinition.deadLetterFields))
            if let late = source.lateTable {
                try add(RelationEntry(name: late, kind: .lateTable(source: source.name), fields: source.lateFields))
            }
        case .createView(let view) where view.replaces, .createMaterializedView(let view) where view.replaces:
            let isMaterialized = if case .createMaterializedView = statement { true } else { false }
            remove(.view, named: view.name)
            try add(RelationEntry(name: view.name, kind: isMaterialized ? .materializedView(view) : .view(view), fields: view.fields))
        case .createView(let view): try add(RelationEntry(name: view.name, kind: .view(view), fields: view.fields))
        case .createMaterializedView(let view): try add(RelationEntry(name: view.name, kind: .materializedView(view), fields: view.fields))
        case .createSink(let sink): try add(RelationEntry(name: sink.name, kind: .sink(sink), fields: sink.fields))
        case .session(let session): try define(session)
        case .select, .explain, .set, .show, .skipped: break
        }
    }

    private mutating func define(_ statement: SessionStatement) throws(SQLError) {
        switch statement {
        case .createTable(let table, _):
            try add(RelationEntry(name: table.name, kind: .table(table), fields: table.fields))
            if let source = table.source {
                let letters = SourceDefinition.deadLetterFields
                try add(RelationEntry(name: source.deadLetterTable, kind: .deadLetters(source: table.name), fields: letters))
                if let late = source.lateTable {
                    try add(RelationEntry(name: late, kind: .lateTable(source: table.name), fields: source.lateFields))
                }
            }
        case .createSchema(let name, _): schemas.insert(name)
        case .createFunction(let function): define(function)
        case .createIndex(let index): try add(.index, index.name)
        case .createSubscription(let subscription): try add(.subscription, subscription.name)
        case .createPipeline(let name, _): try add(.pipeline, name)
        case .createDatabase(let name, _): try add(.database, name)
        case .createType(let name, let type):
            try add(.type, name)
            types[name] = type
        case .drop(let drop):
            for name in drop.names { remove(drop.kind, named: name) }
        default: break
        }
    }

    /// 42P07 where the name is taken.
    package mutating func add(_ entry: RelationEntry) throws(SQLError) {
        if case .system = entry.kind {
            systemEntries[entry.name] = entry
            return
        }
        guard entries[entry.name] == nil else {
            throw SQLError(.duplicateTable, "relation \"\(CatalogNames.parts(entry.name).name)\" already exists")
        }
        entries[entry.name] = entry
    }

    /// In place of the entry of that name.
    package mutating func replace(_ entry: RelationEntry) { entries[entry.name] = entry }

    package mutating func add(_ kind: ObjectKind, _ name: String) throws(SQLError) {
        guard objects[kind, default: []].insert(name).inserted else {
            throw SQLError(.duplicateObject, "\(kind.rawValue) \"\(CatalogNames.parts(name).name)\" already exists")
        }
    }

    private mutating func define(_ function: FunctionDefinition) {
        userFunctions[function.name, default: []].removeAll { $0.parameterTypes == function.parameterTypes }
        userFunctions[function.name, default: []].append(function)
    }

    /// The object and what the system keeps for it.
    package mutating func remove(_ kind: ObjectKind, named name: String) {
        switch kind {
        case .schema: schemas.remove(name)
        case .function: userFunctions.removeValue(forKey: name)
        case .table, .sequence, .view, .materializedView, .source, .sink:
            entries[name] = nil
            for (other, entry) in entries {
                switch entry.kind {
                case .lateTable(let source), .deadLetters(let source): if source == name { entries[other] = nil }
                default: break
                }
            }
        case .type:
            objects[kind]?.remove(name)
            types[name] = nil
        case .index, .subscription, .pipeline, .database, .connection, .secret, .column: objects[kind]?.remove(name)
        }
    }
}
