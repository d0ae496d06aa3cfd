internal import Foundation
import MartletCore
import MartletTestKit
import Testing

/// Subqueries, aggregates, windows, set-returning calls and clocks inside each other and in every clause: each statement has an
/// answer or an error. What binding leaves without a place would end the process.
@Suite("Odd queries")
struct OddQueriesTests {
    private static let parts = [
        "generate_series(1, 2)", "unnest(arr)", "unnest(ARRAY[a, b])", "count(*)", "sum(a)", "sum(a) OVER (ORDER BY b)", "row_number() OVER ()",
        "(SELECT max(x) FROM u)", "(SELECT y FROM u WHERE x = a)", "(SELECT count(*) FROM u WHERE x > a)", "EXISTS (SELECT 1 FROM u WHERE x = a)",
        "a IN (SELECT x FROM u)", "PROCTIME()", "grouping(a)", "jsonb_each('{\"p\":1}')", "(SELECT unnest(arr) LIMIT 1)", "array_agg(a ORDER BY b)",
        "now()", "a", "lag(a) OVER (PARTITION BY b ORDER BY a)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "regexp_matches(c, 'x')",
        "ROW(a, b)", "arr[1]", "_pg_expandarray(arr)", "ARRAY(SELECT x FROM u WHERE x = a)", "ARRAY(SELECT unnest(arr))",
    ]
    private static let wraps = [
        "{} + 1", "coalesce({}, 1)", "CASE WHEN true THEN {} ELSE 1 END", "upper({}::TEXT)", "generate_series(1, {})", "unnest(ARRAY[{}])",
        "sum({})", "max({}) OVER (ORDER BY {})", "(SELECT {})", "(SELECT {} FROM u LIMIT 1)", "ARRAY[{}]", "count(*) FILTER (WHERE {} IS NULL)",
        "({} IS NULL)", "lag({}) OVER (ORDER BY a)", "string_agg({}::TEXT, ',' ORDER BY {})", "grouping({})", "ROW({}, 1)",
        "jsonb_build_array({})", "EXISTS (SELECT {})", "({}) IN (SELECT x FROM u)",
    ]
    private static let queries = [
        "SELECT {} FROM t", "SELECT {}, count(*) FROM t GROUP BY 1", "SELECT DISTINCT {} FROM t", "SELECT a FROM t WHERE {} IS NOT NULL",
        "SELECT a FROM t ORDER BY {}", "SELECT a, count(*) FROM t GROUP BY a, {}", "SELECT a, count(*) FROM t GROUP BY a HAVING {} IS NULL",
        "SELECT * FROM t JOIN u ON {} IS NULL", "SELECT * FROM t LEFT JOIN u ON {} IS NULL", "SELECT DISTINCT ON ({}) a FROM t",
        "SELECT a FROM t GROUP BY ROLLUP (a, {})", "SELECT {} FROM t GROUP BY a", "SELECT * FROM u, LATERAL (SELECT {} FROM t WHERE t.a = u.x) s",
        "SELECT (SELECT {} FROM t LIMIT 1) FROM u", "SELECT count(*) FROM (SELECT {} AS k FROM t) s GROUP BY k",
        "SELECT * FROM generate_series(1, 3) g, LATERAL (SELECT {} FROM t) s", "UPDATE t SET b = ({})::INT", "DELETE FROM t WHERE ({}) IS NULL AND false",
        "INSERT INTO u (x) SELECT ({})::INT FROM t ON CONFLICT DO NOTHING",
        "INSERT INTO u VALUES (5, 5) ON CONFLICT (x) DO UPDATE SET y = ({})::INT", "INSERT INTO u VALUES (({})::INT, 1) ON CONFLICT DO NOTHING",
        "UPDATE t SET b = 1 WHERE false RETURNING {}", "CREATE MATERIALIZED VIEW mv AS SELECT {} AS k FROM t",
        "CREATE MATERIALIZED VIEW mv AS SELECT {} AS k, count(*) AS n FROM t GROUP BY 1",
        "CREATE MATERIALIZED VIEW mv AS SELECT a FROM t WHERE {} IS NULL", "SELECT {} FROM t UNION SELECT {} FROM t",
        "WITH w AS (SELECT {} AS k FROM t) SELECT * FROM w a JOIN w b ON a.k = b.k", "SELECT a FROM t LIMIT 1 OFFSET ({})", "VALUES ({})",
        "SELECT * FROM unnest(ARRAY[({})::INT])", "SELECT {}, window_start FROM TUMBLE(t, ts, INTERVAL '1 minute') GROUP BY 1, 2",
        "EXPLAIN SELECT {} FROM t GROUP BY GROUPING SETS ((a), (b), ())",
    ]

    /// MARTLET_SEED and MARTLET_QUERIES make it another and longer.
    @Test("each has an answer or an error")
    func odd() throws {
        let environment = ProcessInfo.processInfo.environment
        var random = SplitMix64(seed: environment["MARTLET_SEED"].flatMap { UInt64($0) } ?? 1)
        func one(of texts: [String]) -> String { texts[Int(random.next() % UInt64(texts.count))] }
        let database = try DatabaseHarness()
        database.run("CREATE TABLE t (a INT, b INT, c TEXT, arr INT[], ts TIMESTAMPTZ); CREATE TABLE u (x INT PRIMARY KEY, y INT)")
        database.run("INSERT INTO t VALUES (1, 2, 'x', '{1,2}', now()), (2, 3, 'y', '{3}', now()), (NULL, NULL, NULL, NULL, NULL)")
        database.run("INSERT INTO u VALUES (1, 2), (2, 3)")
        var answered = 0
        let count = environment["MARTLET_QUERIES"].flatMap { Int($0) } ?? 500
        for _ in 0..<count {
            var part = one(of: Self.parts)
            for _ in 0..<[0, 0, 1, 1, 2][Int(random.next() % 5)] { part = one(of: Self.wraps).replacing("{}", with: part) }
            let statement = one(of: Self.queries).replacing("{}", with: part)
            let answer = database.run(statement)
            #expect(!answer.hasPrefix("XX000"), "\(statement)\n\(answer)")
            if answer.wholeMatch(of: #/[0-9A-Z]{5} .*/#.dotMatchesNewlines()) == nil { answered += 1 }
            if statement.hasPrefix("CREATE") { database.run("DROP MATERIALIZED VIEW IF EXISTS mv") }
        }
        #expect(answered > count / 4)
    }
}
