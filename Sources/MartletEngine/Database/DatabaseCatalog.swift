internal import MartletCore
internal import MartletSQL

/// An object of the catalog, as the engine knows it.
struct CatalogObject: Sendable {
    enum Kind: Sendable {
        case table(TableDefinition)
        case source(SourceDefinition)
        case view(ViewDefinition)
        case materializedView(ViewDefinition)
        case sink(SinkDefinition)
        /// A late table or dead letters of a source.
        case side(source: String)
    }

    var id: RelationID
    var name: String
    var kind: Kind
    var fields: [Field]
    /// What makes a row unique, where that is known: ordinals.
    var key: [Int]
    var isAppendOnly: Bool
    /// What its definition names.
    var uses: [RelationID]
    /// What computes it stands still until it is resumed; what it would have taken in waits.
    var isPaused = false
    /// Its rows are being made of what was there before it, and cannot be read yet.
    var isComing = false
    /// Columns that it had, by their places when they were dropped, in order: units below the number knew them.
    var dropped: [(unit: UInt32, ordinal: Int)] = []
    /// With what else it runs, if it does.
    var unit: UInt32?
    /// Grows whenever a table's rows get other columns, or other conditions: rows that a statement has made for another form
    /// must not enter.
    var form: UInt32 = 0
    /// What rows had in columns that came later, by their places: those who were made before give nothing for them.
    var fillings: [Int: Value] = [:]

    /// How long its own definition says that its changes are kept, microseconds; nil: it does not.
    var retention: Int64? {
        switch kind {
        case .table(let table): table.retention
        case .materializedView(let view): view.retention
        case .source, .view, .sink, .side: nil
        }
    }

    /// Rows are kept for it.
    var isStored: Bool {
        switch kind {
        case .table, .materializedView, .side: true
        case .source, .view, .sink: false
        }
    }
}

/// What is defined, and who depends on whom. A value: readers keep theirs while a tick changes the next.
struct DatabaseCatalog: Sendable {
    /// What statements are bound against.
    var sql = SQLCatalog()
    private(set) var objects: [RelationID: CatalogObject] = [:]
    private var names: [String: RelationID] = [:]
    /// Grows with every change.
    private(set) var version: UInt64 = 0
    private(set) var nextID: UInt32 = 1
    /// Hints only: what is looked up is found by keys.
    var indexes: [IndexDefinition] = []
    var subscriptions: [String: SubscriptionDefinition] = [:]
    /// By relation's name, and column's behind a line feed.
    private var comments: [String: String] = [:]

    init() {
        // A system entry is never refused.
        for entry in SystemTable.entries { try? sql.add(entry) }
    }

    subscript(name: String) -> CatalogObject? { names[name].flatMap { objects[$0] } }

    /// In the order of their making.
    var all: [CatalogObject] { objects.values.sorted { $0.id < $1.id } }

    mutating func makeID() -> RelationID {
        defer { nextID += 1 }
        return RelationID(nextID)
    }

    mutating func put(_ object: CatalogObject) {
        if let old = objects[object.id] { names[old.name] = nil }
        objects[object.id] = object
        names[object.name] = object.id
        version += 1
    }

    mutating func remove(_ id: RelationID) {
        guard let object = objects.removeValue(forKey: id) else { return }
        if names[object.name] == id { names[object.name] = nil }
        version += 1
    }

    /// How long the changes of relations are kept for subscriptions, microseconds.
    var subscribed: [RelationID: Int64] {
        var longest: [RelationID: Int64] = [:]
        for subscription in subscriptions.values {
            if let object = self[subscription.relation] { longest[object.id] = max(longest[object.id] ?? 0, subscription.retention) }
        }
        return longest
    }

    /// How long the changes of relations are kept, for subscriptions or for reads of the past, microseconds.
    var retentions: [RelationID: Int64] {
        var longest = subscribed
        for object in objects.values {
            if let retention = object.retention { longest[object.id] = max(longest[object.id] ?? 0, retention) }
        }
        return longest
    }

    func comment(on name: String, column: String?) -> String? { comments[name + (column.map { "\n" + $0 } ?? "")] }

    mutating func setComment(_ text: String?, on name: String, column: String?) {
        comments[name + (column.map { "\n" + $0 } ?? "")] = text
    }

    /// Of a relation that is renamed.
    mutating func moveComments(from old: String, to new: String) {
        for (key, text) in comments where key == old || key.hasPrefix(old + "\n") {
            comments[key] = nil
            comments[new + key.dropFirst(old.count)] = text
        }
    }

    /// Something else than objects changed.
    mutating func touch() { version += 1 }

    /// Who names the object in its definition, in order of making.
    func users(of id: RelationID) -> [CatalogObject] { all.filter { $0.uses.contains(id) } }
}
