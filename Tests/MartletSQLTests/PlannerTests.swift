import MartletCore
import MartletSQL
import Testing

@Suite("The planner")
struct PlannerTests {
    private static func catalog() throws -> SQLCatalog {
        var catalog = SQLCatalog()
        let text = """
            CREATE TABLE big (k INT, a INT);
            CREATE TABLE mid (k INT, a INT);
            CREATE TABLE small (k INT);
            """
        _ = try Script.bind(text, into: &catalog)
        return catalog
    }

    /// The relations of an EXPLAIN's text, from the left.
    private static func order(_ statement: String, _ catalog: SQLCatalog) throws -> [String] {
        guard case .explain(let text)? = try PreparedText("EXPLAIN " + statement, catalog: catalog).shape else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.first == "Relation" ? String(words[1]) : nil
        }
    }

    private static let joins = "SELECT big.a, mid.a AS b FROM big JOIN mid ON big.k = mid.k JOIN small ON small.k = mid.k"

    @Test("a query joins what holds little first; a plan that lives on does not depend on what there is just now")
    func rowCounts() throws {
        var catalog = try Self.catalog()
        #expect(try Self.order(Self.joins, catalog) == ["big", "mid", "small"])
        catalog.rowCounts = { ["big": 1_000_000, "mid": 1000, "small": 3][$0] }
        #expect(try Self.order(Self.joins, catalog) == ["small", "mid", "big"])
        #expect(try Self.order("CREATE MATERIALIZED VIEW v AS " + Self.joins, catalog) == ["big", "mid", "small"])
    }

    @Test("EXPLAIN tells how many rows a relation has, where that is known")
    func shownCounts() throws {
        var catalog = try Self.catalog()
        catalog.rowCounts = { $0 == "small" ? 1 : nil }
        guard case .explain(let text)? = try PreparedText("EXPLAIN SELECT 1 FROM small, mid", catalog: catalog).shape else {
            Issue.record("no plan")
            return
        }
        #expect(text.contains("Relation small (k integer), 1 row\n") && text.contains("Relation mid (k integer, a integer)\n"), "\(text)")
    }
}
