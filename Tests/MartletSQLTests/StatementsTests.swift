import Foundation

import MartletCore
import MartletSQL
import Testing

/// Queries with PostgreSQL's answers (Golden/statements.cases, written by tools/postgres-statements.py): names and types of the
/// columns, SQLSTATE, place and words of errors, values of constants.
@Suite("Queries are understood as PostgreSQL understands them")
struct StatementsTests {
    struct Case: Sendable {
        var query: String
        var answer: String
    }

    static let source = """
        CREATE SOURCE p (card TEXT, amount NUMERIC(12,2), n INT, big BIGINT, sm SMALLINT, d DOUBLE PRECISION, r REAL, ok BOOLEAN, \
        doc JSONB, day DATE, ts TIMESTAMPTZ, tsn TIMESTAMP, tm TIME, iv INTERVAL, b BYTEA, u UUID, WATERMARK FOR ts AS ts) \
        WITH (connector = 'generator')
        """

    @Test("types, names, values and errors agree, but for the listed differences")
    func agree() throws {
        let cases = try Self.lines("statements.cases").map { Case(query: $0[0], answer: $0[1]) }
        try #require(cases.count > 500)
        var differences: [String: (ours: String, isMet: Bool)] = [:]
        for line in try Self.lines("statements.differences") { differences[line[0]] = (line[1], false) }
        var catalog = SQLCatalog()
        _ = try Script.bind(Self.source, into: &catalog)
        for one in cases {
            let ours = Self.answer(one.query, catalog)
            if Self.agrees(ours, one.answer) { continue }
            if let known = differences[one.query], known.ours == ours {
                differences[one.query]?.isMet = true
                continue
            }
            Issue.record("\(one.query)\n  PostgreSQL: \(one.answer)\n  Martlet:    \(ours)")
        }
        for (query, difference) in differences where !difference.isMet { Issue.record("no longer a difference: \(query)") }
    }

    /// Tab-separated columns of a file beside this one; lines that start with # are comments.
    static func lines(_ name: String) throws -> [[String]] {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
        let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
            $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }

    /// A position of `-` agrees with any; a row is compared where PostgreSQL's answer has one.
    static func agrees(_ ours: String, _ answer: String) -> Bool {
        if ours == answer { return true }
        if answer.hasPrefix("!"), ours.hasPrefix("!") {
            let left = ours.split(separator: " ", maxSplits: 2)
            let right = answer.split(separator: " ", maxSplits: 2)
            return left.count == 3 && right.count == 3 && left[0] == right[0] && left[2] == right[2] && right[1] == "-"
        }
        return !answer.contains(" = ") && ours.hasPrefix(answer + " = ")
    }

    static func answer(_ query: String, _ catalog: SQLCatalog) -> String {
        var copy = catalog
        let statements: [BoundStatement]
        do {
            statements = try Script.bind(query, into: &copy)
        } catch {
            return "!\(error.state.code) \(error.position.map { "\($0)" } ?? "-") \(error.message)"
        }
        guard case .select(let query)? = statements.last else { return "not a query" }
        let types = query.fields.map { "\($0.name) \($0.type.sqlName)" }.joined(separator: ", ")
        guard case .values(let rows, _) = query.plan, rows.count == 1 else { return types }
        return types + " = " + rows[0].map { text($0) }.joined(separator: " | ")
    }

    private static func text(_ expression: MartletCore.Expression) -> String {
        guard case .literal(let value, _) = expression else { return "not constant: " + expression.sql([]) }
        if value.isNull { return "\\N" }
        return value.text.replacing("\\", with: "\\\\").replacing("\t", with: "\\t").replacing("\n", with: "\\n")
    }
}
