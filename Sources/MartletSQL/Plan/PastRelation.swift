internal import MartletCore

/// A relation as it was at an instant (FOR SYSTEM_TIME AS OF): what a query that is carried out once reads. In a plan it is a
/// `Plan.relation` of a name that says both.
package struct PastRelation: Hashable, Sendable {
    /// Its canonical name.
    package let relation: String
    /// Microseconds since 1970; nil: the time was NULL.
    package let micros: Int64?

    init(relation: String, micros: Int64?) {
        self.relation = relation
        self.micros = micros
    }

    /// No name that can be written holds a line feed; those of recursions go on with a digit.
    private static let mark = "\n@"

    /// In a plan.
    package var name: String { relation + PastRelation.mark + (micros.map { String($0) } ?? "") }

    /// nil: the name in a plan is another relation's.
    package init?(name: String) {
        guard let line = name.firstIndex(of: "\n"), name[line...].hasPrefix(PastRelation.mark) else { return nil }
        relation = String(name[..<line])
        micros = Int64(name[line...].dropFirst(PastRelation.mark.count))
    }

    /// For EXPLAIN.
    var title: String { "\(quoted(relation)) as of \(micros.map { Value.timestamptz($0).text(in: .utc) } ?? "NULL")" }
}
