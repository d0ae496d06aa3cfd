internal import MartletCore
internal import MartletEngine
internal import MartletSQL

/// What a request asks of a view, as a statement and its parameters.
struct ViewQuestion {
    /// The statement's parameters, as text.
    var values: [String] { equalities.map(\.value) }
    /// `column = $n` each.
    private var equalities: [(column: String, value: String)] = []
    private var conditions: [String] = []
    private var limit: UInt32 = 1_000
    private let name: String
    /// The key's columns.
    private let key: [String]

    /// - Parameter relation: nil where there is none of that name, which the statement then says.
    init(_ name: String, _ given: [(name: String, value: String)], _ relation: RelationFacts?) throws(SQLError) {
        self.name = name
        key = relation.map { relation in relation.key.map { relation.fields[$0].name } } ?? []
        for (option, value) in given {
            let isColumn = relation?.fields.contains { $0.name == option } ?? false
            switch option {
            case "limit" where !isColumn:
                guard let number = UInt32(value), number <= 1_000_000 else {
                    throw SQLError(.invalidParameterValue, "limit is a number up to 1000000, not \"\(value)\"")
                }
                limit = number
            case "where" where !isColumn: conditions.append("(\(value)\n)")
            case "key" where !isColumn: if relation != nil { try addKey(value) }
            default: equalities.append((option, value))
            }
        }
    }

    private mutating func addKey(_ value: String) throws(SQLError) {
        guard !key.isEmpty else {
            throw SQLError(
                .undefinedColumn, "\"\(name)\" has no key, and no column \"key\"", hint: "Ask by column: COLUMN=VALUE.")
        }
        let parts = key.count == 1 ? [value] : value.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count == key.count else {
            throw SQLError(
                .invalidParameterValue, "the key of \"\(name)\" is (\(key.joined(separator: ", "))): \(parts.count) values are given",
                hint: "Write them with commas, or ask by column: COLUMN=VALUE.")
        }
        for (column, part) in zip(key, parts) { equalities.append((column, part)) }
    }

    var text: String {
        let terms = equalities.enumerated().map { "\(HTTPQuestion.quoted($1.column)) = $\($0 + 1)" } + conditions
        let filter = terms.isEmpty ? "" : " WHERE " + terms.joined(separator: " AND ")
        return "SELECT * FROM \(HTTPQuestion.place(name))\(filter) LIMIT \(limit)"
    }

    /// The key's values, in its columns' order, where nothing but they decide what the answer is.
    var keyValues: [String]? {
        guard !key.isEmpty, conditions.isEmpty, limit > 0, equalities.count == key.count else { return nil }
        var values: [String] = []
        for column in key {
            guard let equality = equalities.first(where: { $0.column == column }) else { return nil }
            values.append(equality.value)
        }
        return values
    }

    /// The statement that gives the row of a key.
    static func keyedText(_ relation: RelationFacts) -> String {
        let terms = relation.key.enumerated().map { "\(HTTPQuestion.quoted(relation.fields[$1].name)) = $\($0 + 1)" }
        return "SELECT * FROM \(HTTPQuestion.place(relation.name)) WHERE \(terms.joined(separator: " AND "))"
    }
}
