internal import MartletCore

/// The columns that names in a query block resolve to: the output of its FROM clause, in order.
struct Scope: Sendable {
    struct Column: Sendable {
        /// The alias or name of the relation it comes from.
        var relation: String
        var name: String
        var type: DataType
        /// Not found by name and not part of `*`: covered by a window function's column of the same name.
        var isHidden = false
        /// Merged by USING: found by its relation's name, but not by its own alone, nor part of `*`.
        var isMerged = false
        /// Part of `*`. A catalog's `tableoid` is found by its name only, as PostgreSQL's system columns are.
        var isListed: Bool { !isHidden && name != "tableoid" }
    }

    var columns: [Column] = []
    /// FROM entries in order, for `t.*` and duplicate aliases.
    var relations: [String] = []

    init() {}

    init(relation: String, fields: [Field]) {
        relations = [relation]
        columns = fields.map { Column(relation: relation, name: $0.name, type: $0.type) }
    }

    /// Resolves `name`, `relation.name`, `schema.relation.name`. Throws 42703, 42702 or 42P01 with the position and a suggestion.
    func resolve(_ parts: [Identifier]) throws(SQLError) -> Int {
        guard let name = parts.last, let first = parts.first else { return 0 }
        let qualifier = parts.count > 1 ? parts[parts.count - 2].text : nil
        var found: Int?
        for (ordinal, column) in columns.enumerated() where column.name == name.text && !column.isHidden {
            if let qualifier, column.relation != qualifier { continue }
            if column.isMerged, qualifier == nil { continue }
            if found != nil {
                throw SQLError(.ambiguousColumn, "column reference \"\(name.text)\" is ambiguous", at: first.position)
            }
            found = ordinal
        }
        if let found { return found }
        if let qualifier, !relations.contains(qualifier) {
            let near = Suggestion.nearest(to: qualifier, among: relations)
            throw SQLError(
                .undefinedTable, "missing FROM-clause entry for table \"\(qualifier)\"", at: first.position,
                hint: near.map { "Perhaps you meant to reference the table alias \"\($0)\"." })
        }
        let shown = qualifier.map { "\($0).\(name.text)" } ?? "\"\(name.text)\""
        throw SQLError(.undefinedColumn, "column \(shown) does not exist", at: first.position, hint: suggestion(for: name.text, in: qualifier))
    }

    func contains(_ name: String) -> Bool { columns.contains { $0.name == name && !$0.isHidden } }

    private func suggestion(for name: String, in qualifier: String?) -> String? {
        let visible = columns.filter { !$0.isHidden && (qualifier == nil || $0.relation == qualifier) }
        if let near = Suggestion.nearest(to: name, among: visible.lazy.map(\.name)),
            let column = visible.first(where: { $0.name == near })
        {
            return "Perhaps you meant to reference the column \"\(column.relation.isEmpty ? "" : column.relation + ".")\(near)\"."
        }
        return nil
    }
}
