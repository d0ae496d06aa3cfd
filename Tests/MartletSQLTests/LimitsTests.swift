import MartletCore
import MartletSQL
import Testing

@Suite("SQL of any size and depth gives a result or an error")
struct LimitsTests {
    private static let source = "CREATE SOURCE p (a INT, b TEXT, ok BOOLEAN, ts TIMESTAMP, WATERMARK FOR ts AS ts) WITH (connector = 'generator');\n"

    /// The SQLSTATE, or nil where the text binds.
    private func state(_ text: String) -> String? {
        var catalog = SQLCatalog()
        do {
            _ = try Script.bind(Self.source + text, into: &catalog)
            return nil
        } catch {
            return error.state.code
        }
    }

    private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    @Test("100,000 ANDs and ORs work")
    func longChains() {
        let conditions = (0..<100_000).map { "a <> \($0)" }
        #expect(state("SELECT a FROM p WHERE " + conditions.joined(separator: " AND ")) == nil)
        #expect(state("SELECT a FROM p WHERE " + conditions.joined(separator: " OR ")) == nil)
    }

    @Test("a 10 MB statement is bound in seconds")
    func tenMegabytes() {
        let rows = (0..<400_000).map { "(\($0), 'row \($0)', \($0).5)" }.joined(separator: ", ")
        #expect(rows.utf8.count > 10_000_000)
        let clock = ContinuousClock()
        let start = clock.now
        #expect(state("VALUES " + rows) == nil)
        #expect(clock.now - start < .seconds(60))
    }

    @Test("1,000 levels of parentheses work, one more is 54001")
    func parentheses() {
        #expect(state("SELECT \(repeated("(", 1000))1\(repeated(")", 1000))") == nil)
        #expect(state("SELECT \(repeated("(", 1001))1\(repeated(")", 1001))") == "54001")
        #expect(state("SELECT \(repeated("(a + ", 999))1\(repeated(")", 999)) FROM p") == nil)
        #expect(state("SELECT \(repeated("abs(", 900))a\(repeated(")", 900)) FROM p") == nil)
    }

    @Test("text beyond 16 MiB is refused")
    func textLimit() {
        #expect(state("SELECT '\(repeated("x", 17 << 20))'") == "54000")
    }

    @Test(
        "whatever nests without end is 54001",
        arguments: [
            ("SELECT ", "NOT ", "true", ""), ("SELECT ", "- ", "a", " FROM p"), ("SELECT ", "(", "", ""), ("SELECT 1", "::int", "", ""),
            ("SELECT 1", " IS NULL", "", ""), ("SELECT a", " + a", "", " FROM p"), ("SELECT a", " || a", "", " FROM p"),
            ("SELECT ", "CASE WHEN ok THEN ", "1", ""), ("SELECT ", "abs(", "a", ""), ("SELECT * FROM ", "(SELECT * FROM ", "p", ""),
            ("SELECT * FROM ", "(", "p", ""), ("SELECT a", " UNION SELECT a FROM p EXCEPT SELECT a", "", ""), ("", "EXPLAIN ", "", ""),
            ("SELECT a FROM p", " JOIN p ON true", "", ""), ("", "(", "SELECT 1", ""), ("SELECT a", "[1", "", ""),
        ])
    func endless(prefix: String, part: String, middle: String, suffix: String) {
        let found = state(prefix + repeated(part, 100_000) + middle + suffix)
        #expect(found == "54001" || (part == "EXPLAIN " && found == "42601"), "\(part): \(found ?? "bound")")
    }

    @Test("views over views stay bounded: in depth, in copies, in the size of folded expressions")
    func views() {
        func chain(_ count: Int, _ body: (String) -> String) -> String {
            "CREATE VIEW v0 AS SELECT a FROM p;" + (1...count).map { "CREATE VIEW v\($0) AS \(body("v\($0 - 1)"));" }.joined()
                + "SELECT * FROM v\(count) WHERE a > 1"
        }
        #expect(state(chain(300) { "SELECT a + 1 AS a FROM \($0)" }) == nil)
        #expect(state(chain(300) { "SELECT a + a AS a FROM \($0)" }) == nil)
        #expect(state(chain(3000) { "SELECT a + 1 AS a FROM \($0)" }) == "54001")
        #expect(state(chain(64) { "SELECT * FROM \($0) UNION ALL SELECT * FROM \($0)" }) == "54001")
        #expect(state("SELECT \(repeated("(", 60))ok\(repeated(" BETWEEN false AND true)", 60)) FROM p") == "54001")
    }

    @Test("thousands of statements are bound in linear time")
    func manyStatements() {
        let text = (0..<5_000).map { "CREATE SOURCE s\($0) (é INT) WITH (connector = 'generator', kind = 'ü');\n" }.joined()
        #expect(state(text) == nil)
    }
}
