package import MartletCore

/// A relation that a query can name.
package struct RelationEntry: Sendable {
    package enum Kind: Sendable {
        case source(SourceDefinition)
        /// The plan is put into the query in place of the name.
        case view(ViewDefinition)
        case materializedView(ViewDefinition)
        /// An append-only relation kept by the system for `source`.
        case lateTable(source: String)
        case deadLetters(source: String)
        /// Not readable; here so that names do not collide.
        case sink(SinkDefinition)
    }

    package var name: String
    package var kind: Kind
    package var fields: [Field]

    package init(name: String, kind: Kind, fields: [Field]) {
        self.name = name
        self.kind = kind
        self.fields = fields
    }

    /// The word for messages.
    var noun: String {
        switch kind {
        case .source: "source"
        case .view: "view"
        case .materializedView: "materialized view"
        case .lateTable: "late table"
        case .deadLetters: "dead letter table"
        case .sink: "sink"
        }
    }
}

/// What the binder asks about existing objects. Names are folded already.
package protocol CatalogReader: Sendable {
    func relation(named name: String) -> RelationEntry?
    /// For "did you mean"; any order.
    var relationNames: [String] { get }
}

/// The objects defined by a script so far: a value, so that a failing script leaves its owner's copy untouched.
package struct SQLCatalog: CatalogReader {
    private var entries: [String: RelationEntry] = [:]

    package init() {}

    package func relation(named name: String) -> RelationEntry? { entries[name] }
    package var relationNames: [String] { Array(entries.keys) }

    /// Enters what the statement defines. Throws 42P07 where a name is taken.
    package mutating func define(_ statement: BoundStatement) throws(SQLError) {
        switch statement {
        case .createSource(let source):
            try add(RelationEntry(name: source.name, kind: .source(source), fields: source.fields))
            try add(
                RelationEntry(
                    name: source.deadLetterTable, kind: .deadLetters(source: source.name), fields: SourceDefinition.deadLetterFields))
            if let late = source.lateTable {
                try add(RelationEntry(name: late, kind: .lateTable(source: source.name), fields: source.lateFields))
            }
        case .createView(let view): try add(RelationEntry(name: view.name, kind: .view(view), fields: view.fields))
        case .createMaterializedView(let view): try add(RelationEntry(name: view.name, kind: .materializedView(view), fields: view.fields))
        case .createSink(let sink): try add(RelationEntry(name: sink.name, kind: .sink(sink), fields: sink.fields))
        case .select, .explain, .set, .show, .skipped: break
        }
    }

    private mutating func add(_ entry: RelationEntry) throws(SQLError) {
        guard entries[entry.name] == nil else {
            throw SQLError(.duplicateTable, "relation \"\(entry.name)\" already exists")
        }
        entries[entry.name] = entry
    }
}
