import Foundation

import MartletCore
import MartletSQL
import Testing

/// What psql, drivers and reflection ask a server (Golden/psql.sql, Golden/drivers.sql), against catalogs of PostgreSQL's shape.
@Suite("The questions of tools are understood")
struct ToolQueriesTests {
    /// Answers as a server would that has one relation, numbered 16384.
    private struct Catalogs: CatalogFunctions {
        func evaluate(_ name: String, _ arguments: [Value]) throws(SQLError) -> Value {
            name.hasSuffix("in") && name.hasPrefix("reg") ? .bigint(16384) : .null
        }
    }

    static func catalog() throws -> SQLCatalog {
        var catalog = SQLCatalog()
        for line in try StatementsTests.lines("catalogs.tsv") {
            let fields = stride(from: 1, to: line.count - 1, by: 2).map { index in
                Field(name: line[index], type: DataType(sqlName: line[index + 1]) ?? .text)
            }
            try catalog.add(RelationEntry(name: line[0], kind: .system, fields: fields))
        }
        _ = try Script.bind(
            """
            CREATE TABLE t (id INT PRIMARY KEY, name TEXT NOT NULL DEFAULT 'x', amount NUMERIC(12, 2), g INT AS (id * 2));
            CREATE VIEW v AS SELECT id, name FROM t;
            CREATE MATERIALIZED VIEW m AS SELECT name, count(*) AS n FROM t GROUP BY name
            """, into: &catalog)
        return catalog
    }

    @Test("every statement binds, but for those listed in tools.unsupported", arguments: ["psql.sql", "drivers.sql"])
    func binds(file: String) throws {
        let catalog = try Self.catalog()
        let context = EvaluationContext(catalog: Catalogs())
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
        let text = String(decoding: try Data(contentsOf: folder.appending(path: file)), as: UTF8.self)
        let known = String(decoding: try Data(contentsOf: folder.appending(path: "tools.unsupported")), as: UTF8.self).split(separator: "\n")
        let statements = try PreparedText.split(text)
        try #require(statements.count > 60)
        for (_, statement) in statements {
            do {
                let prepared = try PreparedText(statement, catalog: catalog, context: context)
                _ = try prepared.bound(prepared.parameterTypes.map { _ in .null }, catalog: catalog, context: context)
            } catch {
                let line = "\(error.state.code) \(error.message): \(statement.split(separator: "\n").joined(separator: " ").prefix(100))"
                if !known.contains(where: line.hasPrefix) { Issue.record("\(line)\n\(error.render(source: file, text: statement))") }
            }
        }
    }

    @Test("parameters take their types from where they stand", arguments: [
        ("INSERT INTO t (id, name) VALUES ($1, $2)", "integer text"),
        ("INSERT INTO t (id, amount) SELECT $1, $2", "integer numeric"),
        ("SELECT * FROM t WHERE id = $1 AND amount > $2 LIMIT $3", "integer numeric bigint"),
        ("SELECT $1::timestamptz, $2 || 'x', $3", "timestamp with time zone text text"),
        ("UPDATE t SET amount = $1 WHERE name IN ($2, $3)", "numeric text text"),
        ("DELETE FROM t WHERE id = ANY($1)", "integer[]"),
        ("SELECT CASE WHEN $1 THEN 1 ELSE $2 END", "boolean integer"),
        ("SELECT 1", ""),
    ])
    func parameters(query: String, types: String) throws {
        let prepared = try PreparedText(query, catalog: try Self.catalog())
        #expect(prepared.parameterTypes.map(\.sqlName).joined(separator: " ") == types)
    }

    @Test("values are put in when a statement is carried out")
    func values() throws {
        let catalog = try Self.catalog()
        let prepared = try PreparedText("SELECT $1 + 1 AS a, $2 AS b FROM t WHERE id = $1", catalog: catalog)
        #expect(prepared.shape?.resultFields?.map(\.type) == [.integer, .text])
        guard case .select(let query)? = try prepared.bound([.integer(4), .text("x")], catalog: catalog) else {
            Issue.record("no query")
            return
        }
        #expect(query.explain() == "Project 5 AS a, 'x' AS b\n  Filter id = 4\n    Relation t (id integer, name text, amount numeric(12,2), g integer)\n")
        #expect(throws: SQLError.self) { try prepared.bound([.integer(4)], catalog: catalog) }
    }

    /// MARTLET_SEED and MARTLET_QUERIES make it another and longer.
    @Test("statements with words lost, doubled, swapped or put in from elsewhere end in a result or an error with a place")
    func garbled() throws {
        let catalog = try Self.catalog()
        let context = EvaluationContext(catalog: Catalogs())
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
        var words: [[String]] = []
        for file in ["psql.sql", "drivers.sql", "session.script"] {
            let text = String(decoding: try Data(contentsOf: folder.appending(path: file)), as: UTF8.self)
            let statements = file.hasSuffix(".sql") ? try PreparedText.split(text).map(\.text) : text.split(separator: "\n").map(String.init)
            words += statements.map { $0.split(separator: " ").map(String.init) }.filter { !$0.isEmpty }
        }
        let environment = ProcessInfo.processInfo.environment
        var random = SplitMix64(seed: environment["MARTLET_SEED"].flatMap { UInt64($0) } ?? 1)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var bound = 0
        for _ in 0..<(environment["MARTLET_QUERIES"].flatMap { Int($0) } ?? 2_000) {
            var one = words[below(words.count)]
            for _ in 0...below(3) where one.count > 1 {
                let at = below(one.count)
                let other = words[below(words.count)]
                switch below(4) {
                case 0: one.remove(at: at)
                case 1: one.insert(one[below(one.count)], at: at)
                case 2: one.swapAt(at, below(one.count))
                default: one.insert(other[below(other.count)], at: at)
                }
            }
            let text = one.joined(separator: " ")
            do {
                let prepared = try PreparedText(text, catalog: catalog, context: context)
                _ = try prepared.bound(prepared.parameterTypes.map { _ in .null }, catalog: catalog, context: context)
                bound += 1
            } catch {
                if let position = error.position { #expect(position >= 1 && position <= text.unicodeScalars.count + 1, "\(text)") }
            }
        }
        #expect(bound > 50)
    }

    @Test("a text is taken apart at its semicolons")
    func split() throws {
        let pieces = try PreparedText.split(" SELECT ';' ; ;\n/* ; */ SELECT 2 -- ;\n")
        #expect(pieces.map(\.text) == ["SELECT ';'", "SELECT 2"])
        #expect(pieces.map(\.offset) == [1, 24])
    }
}
