/// A query in Martlet's words and, where they differ, in DuckDB's, over sources a and b (ts, key, value, id).
struct PrefixCase: Sendable {
    var name: String
    var martlet: String
    var duckdb: String
    /// Statements before the sink.
    var before = ""
    /// Rows come out once, when they are final.
    var isFinal = false

    init(_ name: String, _ query: String, duckdb: String? = nil, before: String = "", isFinal: Bool = false) {
        self.name = name
        martlet = query
        self.duckdb = duckdb ?? query
        self.before = before
        self.isFinal = isFinal
    }

    static let all = joins + versions + general + subqueries + sets + overs + windows + groups + views

    static let joins = [
        PrefixCase("inner join", "SELECT a.id, b.id AS other, a.key FROM a JOIN b ON a.key = b.key"),
        PrefixCase("left join", "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key"),
        PrefixCase("right join", "SELECT a.id, b.id AS other FROM a RIGHT JOIN b ON a.key = b.key"),
        PrefixCase("full join", "SELECT a.id, b.id AS other, b.key FROM a FULL JOIN b ON a.key = b.key AND a.value = b.value"),
        PrefixCase("left join, residual", "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key AND a.value < b.value"),
        PrefixCase("full join, residual", "SELECT a.id, b.id AS other FROM a FULL JOIN b ON a.key = b.key AND a.value + 1 < b.value AND a.value > 1"),
        PrefixCase("left join, conditions of one side", "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key AND a.value > 3 AND b.value > 2"),
        PrefixCase("join, filtered", "SELECT a.id, b.id AS other FROM a JOIN b ON a.key = b.key WHERE a.value > b.value AND b.value IS NOT NULL"),
        PrefixCase("left join, filtered", "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key WHERE b.value IS NULL"),
        PrefixCase("comma join", "SELECT a.id, b.id AS other FROM a, b WHERE a.key = b.key AND a.value = 2"),
        PrefixCase("join using", "SELECT key, a.id, b.id AS other FROM a JOIN b USING (key)"),
        PrefixCase("full join using", "SELECT key, value, a.id, b.id AS other FROM a FULL JOIN b USING (key, value)"),
        PrefixCase("join on expressions", "SELECT a.id, b.id AS other FROM a JOIN b ON a.key + 1 = b.value AND a.value % 2 = b.key % 2"),
        PrefixCase("cross join of constants", "SELECT a.id, v.x FROM a CROSS JOIN (VALUES (1), (2)) AS v (x)"),
        PrefixCase("join of constants", "SELECT a.id, v.x FROM a JOIN (VALUES (1, 'one'), (2, 'two'), (2, 'zwei')) AS v (n, x) ON a.key = v.n AND a.value > 1"),
        PrefixCase("left join of constants", "SELECT a.id, v.x FROM a LEFT JOIN (VALUES (1, 7), (2, 8), (3, NULL)) AS v (n, x) ON a.key = v.n AND a.value < v.x"),
        PrefixCase("constants joined", "SELECT v.x, a.id FROM (VALUES (1, 7), (2, 8)) AS v (n, x) LEFT JOIN a ON a.key = v.n"),
        PrefixCase(
            "one part twice", "SELECT x.key, x.n, y.key AS other FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x JOIN (SELECT key, count(*) AS n FROM a GROUP BY key) y ON x.n = y.n"),
        PrefixCase("self join", "SELECT x.id, y.id AS other FROM a x JOIN a y ON x.key = y.value AND x.id < y.id"),
        PrefixCase("t left join t", "SELECT x.id, y.id AS other FROM a x LEFT JOIN a y ON x.id = y.id"),
        PrefixCase(
            "three ways", "SELECT a.id, b.id AS other, c.id AS third FROM a JOIN b ON a.key = b.key JOIN b c ON c.key = b.value WHERE c.value < 3"),
        PrefixCase(
            "join with an aggregate", "SELECT a.id, t.n, t.m FROM a JOIN (SELECT key, count(*) AS n, max(value) AS m FROM b GROUP BY key) t ON a.key = t.key"),
        PrefixCase(
            "left join with an aggregate", "SELECT a.id, t.n FROM a LEFT JOIN (SELECT value, count(*) AS n FROM b GROUP BY value) t ON a.key = t.n"),
        PrefixCase(
            "full join of aggregates",
            "SELECT x.key, y.value, x.n, y.m FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x FULL JOIN (SELECT value, max(key) AS m FROM b GROUP BY value) y ON x.n = y.m"),
        PrefixCase(
            "aggregate of a join", "SELECT a.key, count(*) AS n, sum(b.value) AS s, min(b.value) AS l, max(a.value) AS h FROM a LEFT JOIN b ON a.key = b.key GROUP BY a.key"),
    ]

    /// What another relation held, and rows made of rows.
    static let versions = [
        PrefixCase("asof", "SELECT a.id, b.id AS other FROM a ASOF JOIN b ON a.key = b.key AND a.id >= b.id - 2000"),
        PrefixCase("asof left", "SELECT a.id, b.id AS other FROM a ASOF LEFT JOIN b ON a.key = b.key AND a.id >= b.id - 2000"),
        PrefixCase("asof, the next one", "SELECT a.id, b.id AS other FROM a ASOF JOIN b ON a.key = b.key AND a.id < b.id - 2000"),
        PrefixCase("asof, after", "SELECT a.id, b.id AS other FROM a ASOF LEFT JOIN b ON a.key = b.key AND a.id > b.id - 2000"),
        PrefixCase(
            "asof over rows that change",
            "SELECT x.key, x.n, y.m FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x ASOF LEFT JOIN (SELECT key, value, count(*) AS m FROM b GROUP BY key, value) y ON x.key = y.key AND x.n >= y.value"),
        PrefixCase(
            "version by event time", "SELECT a.id, b.ts AS at FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.key = b.key",
            duckdb: "SELECT a.id, CAST(epoch(b.ts) AS BIGINT) AS at FROM a ASOF JOIN b ON a.key = b.key AND a.ts >= b.ts"),
        PrefixCase(
            "elements", "SELECT a.id, u.x, u.n FROM a, unnest(ARRAY[a.key, a.value, 7]) WITH ORDINALITY AS u (x, n)",
            duckdb: "SELECT a.id, v.x, v.n FROM a, LATERAL (VALUES (a.key, 1), (a.value, 2), (7, 3)) v (x, n)"),
        PrefixCase(
            "series", "SELECT a.id, s AS x FROM a CROSS JOIN generate_series(1, a.value) AS s",
            duckdb: "SELECT a.id, unnest(generate_series(1, a.value)) AS x FROM a WHERE a.value IS NOT NULL"),
        PrefixCase(
            "series in the select list", "SELECT key, generate_series(1, max(value)) AS x FROM a GROUP BY key",
            duckdb: "SELECT key, unnest(generate_series(1, m)) AS x FROM (SELECT key, max(value) AS m FROM a GROUP BY key)"),
        PrefixCase(
            "changes add up",
            "WITH c AS CHANGELOG FROM v SELECT key, n FROM c GROUP BY key, n HAVING sum(CASE WHEN changelog_op IN (1, 3) THEN 1 ELSE -1 END) > 0",
            duckdb: "SELECT key, count(*) AS n FROM a GROUP BY key",
            before: "CREATE MATERIALIZED VIEW v AS SELECT key, count(*) AS n FROM a GROUP BY key;"),
        PrefixCase(
            "updates are pairs",
            "WITH c AS CHANGELOG FROM v SELECT key, count(*) FILTER (WHERE changelog_op = 1) AS n, sum(CASE changelog_op WHEN 3 THEN 1 WHEN 4 THEN -1 ELSE 0 END) AS d FROM c GROUP BY key",
            duckdb: "SELECT key, 1 AS n, 0 AS d FROM a GROUP BY key",
            before: "CREATE MATERIALIZED VIEW v AS SELECT key, count(*) AS n FROM a GROUP BY key;"),
        PrefixCase(
            "gaps filled", "SELECT key, ts FROM GAP_FILL(a PARTITION BY key, ts, INTERVAL '1 second')",
            duckdb: """
                SELECT key, CAST(epoch(ts) AS BIGINT) FROM (SELECT key, unnest(generate_series(ts, CASE WHEN nx IS NULL OR nx = ts THEN ts ELSE nx - INTERVAL 1 MICROSECOND END, \
                INTERVAL 1 SECOND)) AS ts FROM (SELECT key, ts, lead(ts) OVER (PARTITION BY key ORDER BY ts) AS nx FROM a))
                """),
        PrefixCase(
            "gaps filled evenly", "SELECT ts, id, x FROM GAP_FILL((SELECT id, ts, extract(epoch FROM ts) AS x FROM (SELECT min(id) AS id, ts FROM a GROUP BY ts) t), ts, INTERVAL '1 second', LOCF(id), INTERPOLATE(x))",
            duckdb: """
                SELECT CAST(epoch(ts) AS BIGINT), id, CAST(epoch(ts) AS BIGINT) AS x FROM (SELECT id, unnest(generate_series(ts, coalesce(nx - INTERVAL 1 MICROSECOND, ts), \
                INTERVAL 1 SECOND)) AS ts FROM (SELECT id, ts, lead(ts) OVER (ORDER BY ts) AS nx FROM (SELECT min(id) AS id, ts FROM a GROUP BY ts)))
                """),
        PrefixCase("first of each", "SELECT DISTINCT ON (key) key, id FROM a ORDER BY key, id DESC"),
    ]

    /// Subqueries whose outer columns no equality tells.
    static let general = [
        PrefixCase("count, by inequality", "SELECT id, (SELECT count(*) FROM b WHERE b.value < a.value) AS n FROM a"),
        PrefixCase("max of what both read", "SELECT id, (SELECT max(b.value + a.value) FROM b WHERE b.key = a.key) AS m FROM a"),
        PrefixCase("exists by inequality, in an expression", "SELECT id, EXISTS (SELECT 1 FROM b WHERE b.value > a.value)::int AS e FROM a"),
        PrefixCase("in, in an expression", "SELECT id, (key IN (SELECT value FROM b))::int AS e FROM a"),
        PrefixCase("not in, correlated, in an expression", "SELECT id, (value NOT IN (SELECT b.value FROM b WHERE b.key = a.key))::int AS e FROM a"),
        PrefixCase("two levels", "SELECT id, (SELECT count(*) FROM b WHERE b.key = a.key AND b.value > (SELECT min(c.value) FROM b c WHERE c.key = a.key)) AS n FROM a"),
        PrefixCase("lateral, the greatest", "SELECT a.id, l.v FROM a, LATERAL (SELECT b.value AS v FROM b WHERE b.value < a.value ORDER BY b.value DESC LIMIT 1) l"),
        PrefixCase("union inside", "SELECT id, (SELECT count(*) FROM (SELECT value FROM b WHERE key = a.key UNION ALL SELECT key FROM b WHERE value = a.value) u) AS n FROM a"),
    ]

    static let subqueries = [
        PrefixCase("in", "SELECT id, key FROM a WHERE key IN (SELECT value FROM b)"),
        PrefixCase("not in", "SELECT id, key FROM a WHERE key NOT IN (SELECT value FROM b WHERE value > 3)"),
        PrefixCase("not in with nulls", "SELECT id, key FROM a WHERE key NOT IN (SELECT value FROM b WHERE id > 2010)"),
        PrefixCase("exists", "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.key = a.key AND b.value > a.value)"),
        PrefixCase("not exists", "SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.key = a.key AND b.value = a.value)"),
        PrefixCase("exists, uncorrelated", "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE value = 6 AND key = 4)"),
        PrefixCase("exists in an expression", "SELECT id FROM a WHERE value = 1 OR EXISTS (SELECT 1 FROM b WHERE b.key = a.value)"),
        PrefixCase("in, correlated", "SELECT id FROM a WHERE value IN (SELECT b.value FROM b WHERE b.key = a.key)"),
        PrefixCase("scalar", "SELECT id, value - (SELECT max(value) FROM b) AS d FROM a"),
        PrefixCase("scalar in where", "SELECT id FROM a WHERE value > (SELECT avg(value) FROM b)"),
        PrefixCase("scalar, correlated", "SELECT id, (SELECT sum(b.value) FROM b WHERE b.key = a.key) AS s FROM a"),
        PrefixCase("count, correlated", "SELECT id, (SELECT count(*) FROM b WHERE b.key = a.key AND b.value > 2) AS n FROM a"),
        PrefixCase("scalar in having", "SELECT key, count(*) AS n FROM a GROUP BY key HAVING count(*) > (SELECT min(value) FROM b)"),
        PrefixCase("scalar of the group", "SELECT key, sum(value) AS s, (SELECT count(*) FROM b WHERE b.key = a.key) AS n FROM a GROUP BY key"),
        PrefixCase("lateral", "SELECT a.id, l.n FROM a, LATERAL (SELECT count(*) AS n FROM b WHERE b.key = a.key) l"),
        PrefixCase("lateral rows", "SELECT a.id, l.other FROM a, LATERAL (SELECT b.id AS other FROM b WHERE b.key = a.key AND b.value < a.value) l"),
        PrefixCase("with", "WITH x AS (SELECT key, count(*) AS n FROM a GROUP BY key), y AS (SELECT max(n) AS m FROM x) SELECT x.key FROM x JOIN y ON x.n = y.m"),
    ]

    static let sets = [
        PrefixCase("union", "SELECT key FROM a UNION SELECT value FROM b"),
        PrefixCase("union all", "SELECT key, value FROM a UNION ALL SELECT value, key FROM b"),
        PrefixCase("intersect", "SELECT key, value FROM a INTERSECT SELECT key, value FROM b"),
        PrefixCase("intersect all", "SELECT key, value FROM a INTERSECT ALL SELECT key, value FROM b"),
        PrefixCase("except", "SELECT key, value FROM a EXCEPT SELECT key, value FROM b"),
        PrefixCase("except all", "SELECT key, value FROM a EXCEPT ALL SELECT key, value FROM b"),
        PrefixCase("distinct", "SELECT DISTINCT key, value FROM a"),
        PrefixCase("distinct of a join", "SELECT DISTINCT a.key, b.value FROM a LEFT JOIN b ON a.value = b.key"),
        PrefixCase("count of distinct", "SELECT count(*) AS n, max(key) AS h FROM (SELECT DISTINCT key FROM a EXCEPT SELECT value FROM b) x"),
    ]

    static let overs = [
        PrefixCase("row_number", "SELECT id, row_number() OVER (PARTITION BY key ORDER BY value, id) AS n FROM a"),
        PrefixCase("ranks", "SELECT id, rank() OVER w AS r, dense_rank() OVER w AS d, percent_rank() OVER w AS p, cume_dist() OVER w AS c FROM a WINDOW w AS (PARTITION BY key ORDER BY value DESC NULLS LAST)"),
        PrefixCase("lag and lead", "SELECT id, lag(value) OVER (PARTITION BY key ORDER BY id) AS l, lead(value, 2, -1) OVER (PARTITION BY key ORDER BY id) AS m FROM a"),
        PrefixCase("first and last", "SELECT id, first_value(value) OVER w AS f, last_value(id) OVER w AS l, nth_value(id, 2) OVER w AS n FROM a WINDOW w AS (PARTITION BY key ORDER BY id)"),
        PrefixCase("running sums", "SELECT id, sum(value) OVER (PARTITION BY key ORDER BY value NULLS FIRST) AS s, count(*) OVER (ORDER BY id) AS n FROM a"),
        PrefixCase("frames of rows", "SELECT id, sum(value) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS s, min(value) OVER (PARTITION BY key ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS m FROM a"),
        PrefixCase("frames of ranges", "SELECT id, count(*) OVER (PARTITION BY key ORDER BY id RANGE BETWEEN 5 PRECEDING AND CURRENT ROW) AS n, avg(value) OVER (PARTITION BY key ORDER BY ts RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND INTERVAL '5 seconds' FOLLOWING) AS m FROM a"),
        PrefixCase("whole partitions", "SELECT id, max(value) OVER (PARTITION BY key) AS m, ntile(3) OVER (ORDER BY id) AS t FROM a"),
        PrefixCase("top by row_number", "SELECT id, key FROM (SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY value DESC NULLS LAST, id) AS n FROM a) x WHERE n <= 2"),
        PrefixCase("top with its rank", "SELECT id, key, n FROM (SELECT id, key, rank() OVER (PARTITION BY key ORDER BY value DESC NULLS LAST) AS n FROM a) x WHERE n <= 2"),
        PrefixCase("top with ties", "SELECT id, n FROM (SELECT id, key, dense_rank() OVER (PARTITION BY key ORDER BY value) AS n FROM a) x WHERE n < 3"),
        PrefixCase("first of each", "SELECT id, key FROM (SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY ts DESC, id) AS n FROM a) x WHERE n = 1"),
        PrefixCase("second of each", "SELECT id, key FROM (SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY id) AS n FROM a) x WHERE n = 2"),
        PrefixCase("top of changing rows", "SELECT key, n FROM (SELECT key, n, rank() OVER (ORDER BY n DESC) AS r FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x) y WHERE r <= 2"),
        PrefixCase("order by and limit", "SELECT id, value FROM a ORDER BY value DESC NULLS LAST, id LIMIT 3 OFFSET 1"),
        PrefixCase("over of aggregates", "SELECT key, count(*) AS n, sum(count(*)) OVER () AS total FROM a GROUP BY key"),
    ]

    static let groups = [
        PrefixCase("all aggregates under deletes", "SELECT n, count(*) AS c, min(key) AS l, max(key) AS h, sum(key) AS s, avg(key) AS m FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x GROUP BY n"),
        PrefixCase("min and max under deletes", "SELECT min(n) AS l, max(n) AS h FROM (SELECT key, value, count(*) AS n FROM a GROUP BY key, value) x"),
        PrefixCase("filters under deletes", "SELECT n % 3 AS g, max(key) FILTER (WHERE key > 1) AS h, count(*) FILTER (WHERE key IS NULL) AS c FROM (SELECT key, count(*) AS n FROM a GROUP BY key) x GROUP BY n % 3"),
        PrefixCase("having", "SELECT key, sum(value) AS s FROM a GROUP BY key HAVING sum(value) % 3 = 0"),
        PrefixCase("rollup", "SELECT key, value, count(*) AS n FROM a GROUP BY ROLLUP (key, value)"),
        PrefixCase("cube", "SELECT key, value % 2 AS v, sum(id) AS n, grouping(key, value % 2) AS g FROM a GROUP BY CUBE (key, value % 2)"),
        PrefixCase("grouping sets", "SELECT key, value, max(id) AS n FROM a GROUP BY GROUPING SETS ((key, value), (value), ())"),
    ]

    private static func tumbled(_ table: String, _ seconds: Int) -> String {
        "(SELECT *, time_bucket(INTERVAL '\(seconds) seconds', ts) AS window_start, "
            + "time_bucket(INTERVAL '\(seconds) seconds', ts) + INTERVAL '\(seconds) seconds' AS window_end FROM \(table))"
    }

    private static func hopped(_ table: String, hop: Int, size: Int) -> String {
        "(SELECT t.*, to_timestamp(s)::TIMESTAMP AS window_start, to_timestamp(s + \(size))::TIMESTAMP AS window_end FROM \(table) t, "
            + "(SELECT unnest(generate_series(0, 2000, \(hop))) AS s) w WHERE epoch(t.ts) >= s AND epoch(t.ts) < s + \(size))"
    }

    private static let cumulated =
        "(SELECT t.*, to_timestamp(s)::TIMESTAMP AS window_start, to_timestamp(s + e)::TIMESTAMP AS window_end FROM a t, "
        + "(SELECT unnest(generate_series(0, 2000, 20)) AS s) w, (SELECT unnest(generate_series(5, 20, 5)) AS e) x "
        + "WHERE epoch(t.ts) >= s AND epoch(t.ts) < s + e)"

    private static let sessions =
        "(SELECT *, min(ts) OVER p AS window_start, max(ts) OVER p + INTERVAL '3 seconds' AS window_end FROM "
        + "(SELECT *, sum(fresh) OVER (PARTITION BY key ORDER BY ts, id) AS session FROM (SELECT *, CASE WHEN ts - lag(ts) OVER "
        + "(PARTITION BY key ORDER BY ts, id) <= INTERVAL '3 seconds' THEN 0 ELSE 1 END AS fresh FROM a) x) y WINDOW p AS (PARTITION BY key, session))"

    /// On change and when windows close.
    private static func both(_ name: String, _ martlet: String, duckdb: String, seconds: Bool = true) -> [PrefixCase] {
        let shown = duckdb
        return [
            PrefixCase(name, martlet, duckdb: shown),
            PrefixCase(name + ", closed", martlet + " EMIT ON WINDOW CLOSE", duckdb: shown, isFinal: true),
        ]
    }

    static let windows =
        both(
            "tumble", "SELECT window_start, key, count(*) AS n, max(value) AS m FROM TUMBLE(a, ts, INTERVAL '10 seconds') GROUP BY window_start, key",
            duckdb: "SELECT epoch(window_start)::BIGINT, key, count(*), max(value) FROM \(tumbled("a", 10)) GROUP BY window_start, key")
        + both(
            "hop that does not divide", "SELECT window_start, window_end, key, sum(value) AS n FROM HOP(a, ts, INTERVAL '4 seconds', INTERVAL '10 seconds') GROUP BY window_start, window_end, key",
            duckdb: "SELECT epoch(window_start)::BIGINT, epoch(window_end)::BIGINT, key, sum(value) FROM \(hopped("a", hop: 4, size: 10)) GROUP BY ALL")
        + both(
            "hop with gaps", "SELECT window_start, count(*) AS n FROM HOP(a, ts, INTERVAL '10 seconds', INTERVAL '4 seconds') GROUP BY window_start",
            duckdb: "SELECT epoch(window_start)::BIGINT, count(*) FROM \(hopped("a", hop: 10, size: 4)) GROUP BY ALL")
        + both(
            "cumulate", "SELECT window_start, window_end, key, count(*) AS n FROM CUMULATE(a, ts, INTERVAL '5 seconds', INTERVAL '20 seconds') GROUP BY window_start, window_end, key",
            duckdb: "SELECT epoch(window_start)::BIGINT, epoch(window_end)::BIGINT, key, count(*) FROM \(cumulated) GROUP BY ALL")
        + both(
            "session", "SELECT key, window_start, window_end, count(*) AS n, sum(value) AS s FROM SESSION(a PARTITION BY key, ts, INTERVAL '3 seconds') GROUP BY key, window_start, window_end",
            duckdb: "SELECT key, epoch(window_start)::BIGINT, epoch(window_end)::BIGINT, count(*), sum(value) FROM \(sessions) GROUP BY ALL")
        + both(
            "session of many aggregates",
            "SELECT window_start, key, count(DISTINCT value) AS d, max(value) AS h, sum(value) AS v, string_agg(id::TEXT, ',' ORDER BY id) AS l, min('a text longer than a view ' || id) AS t FROM SESSION(a PARTITION BY key, ts, INTERVAL '3 seconds') GROUP BY key, window_start, window_end",
            duckdb: "SELECT epoch(window_start)::BIGINT, key, count(DISTINCT value), max(value), sum(value), string_agg(id::TEXT, ',' ORDER BY id), min('a text longer than a view ' || id) FROM \(sessions) GROUP BY window_start, window_end, key")
        + both(
            "session in Flink's words", "SELECT key, window_end, count(*) AS n FROM TABLE(SESSION(TABLE a PARTITION BY (key), DESCRIPTOR(ts), INTERVAL '3' SECOND)) GROUP BY key, window_start, window_end",
            duckdb: "SELECT key, epoch(window_end)::BIGINT, count(*) FROM \(sessions) GROUP BY key, window_start, window_end")
        + both(
            "windowed join", "SELECT x.id, y.id AS other, x.window_start FROM TUMBLE(a, ts, INTERVAL '10 seconds') x JOIN TUMBLE(b, ts, INTERVAL '10 seconds') y ON x.window_start = y.window_start AND x.key = y.key",
            duckdb: "SELECT x.id, y.id, epoch(x.window_start)::BIGINT FROM \(tumbled("a", 10)) x JOIN \(tumbled("b", 10)) y ON x.window_start = y.window_start AND x.key = y.key")
        + both(
            "join of windowed aggregates",
            "SELECT x.window_start, x.n, y.n AS m FROM (SELECT window_start, count(*) AS n FROM TUMBLE(a, ts, INTERVAL '10 seconds') GROUP BY window_start) x JOIN (SELECT window_start, count(*) AS n FROM TUMBLE(b, ts, INTERVAL '10 seconds') GROUP BY window_start) y ON x.window_start = y.window_start",
            duckdb: "SELECT epoch(x.window_start)::BIGINT, x.n, y.n FROM (SELECT window_start, count(*) n FROM \(tumbled("a", 10)) GROUP BY 1) x JOIN (SELECT window_start, count(*) n FROM \(tumbled("b", 10)) GROUP BY 1) y USING (window_start)")
        + both(
            "top of each window",
            "SELECT window_start, id, n FROM (SELECT window_start, id, rank() OVER (PARTITION BY window_start ORDER BY value DESC NULLS LAST) AS n FROM TUMBLE(a, ts, INTERVAL '10 seconds')) x WHERE n <= 2",
            duckdb: "SELECT epoch(window_start)::BIGINT, id, n FROM (SELECT window_start, id, rank() OVER (PARTITION BY window_start ORDER BY value DESC NULLS LAST) AS n FROM \(tumbled("a", 10))) x WHERE n <= 2")
        + both(
            "aggregate of an aggregate",
            "SELECT window_start, max(n) AS m FROM (SELECT window_start, key, count(*) AS n FROM TUMBLE(a, ts, INTERVAL '10 seconds') GROUP BY window_start, key) x GROUP BY window_start",
            duckdb: "SELECT epoch(window_start)::BIGINT, max(n) FROM (SELECT window_start, key, count(*) n FROM \(tumbled("a", 10)) GROUP BY ALL) GROUP BY 1")
        + both(
            "interval join", "SELECT a.id, b.id AS other, a.ts FROM a JOIN b ON a.key = b.key AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '5 seconds'",
            duckdb: "SELECT a.id, b.id, epoch(a.ts)::BIGINT FROM a JOIN b ON a.key = b.key AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '5 seconds'")
        + [
            PrefixCase(
                "interval left join", "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.key = b.key AND b.ts BETWEEN a.ts - INTERVAL '5 seconds' AND a.ts + INTERVAL '2 seconds'", isFinal: true),
            PrefixCase(
                "interval full join", "SELECT a.id, b.id AS other FROM a FULL JOIN b ON a.key = b.key AND b.ts BETWEEN a.ts - INTERVAL '5 seconds' AND a.ts + INTERVAL '2 seconds' AND a.value < b.value", isFinal: true),
            PrefixCase(
                "interval semi join", "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.key = b.key AND b.ts > a.ts AND b.ts < a.ts + INTERVAL '4 seconds')"),
            PrefixCase(
                "interval anti join", "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.key = b.key AND b.ts > a.ts AND b.ts < a.ts + INTERVAL '4 seconds')", isFinal: true),
            PrefixCase(
                "over as rows become final", "SELECT id, sum(value) OVER (PARTITION BY key ORDER BY ts) AS s, rank() OVER (PARTITION BY key ORDER BY ts) AS r, count(*) OVER (PARTITION BY key ORDER BY ts ROWS UNBOUNDED PRECEDING) AS n, last_value(value) OVER (PARTITION BY key ORDER BY ts, id) AS l FROM (SELECT ts, key, value, id FROM a WHERE id < 1000) q EMIT ON WINDOW CLOSE",
                duckdb: "SELECT id, sum(value) OVER (PARTITION BY key ORDER BY ts), rank() OVER (PARTITION BY key ORDER BY ts), count(*) OVER (PARTITION BY key ORDER BY ts, id ROWS UNBOUNDED PRECEDING), last_value(value) OVER (PARTITION BY key ORDER BY ts, id) FROM a WHERE id < 1000",
                isFinal: true),
            PrefixCase(
                "frames that reach ahead, as they become final",
                "SELECT id, lead(value) OVER (PARTITION BY key ORDER BY ts, id) AS n, lead(id, 2, -1) OVER (PARTITION BY key ORDER BY ts, id) AS n2, sum(value) OVER (PARTITION BY key ORDER BY ts, id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS s, count(*) OVER (PARTITION BY key ORDER BY ts, id) AS c, max(value) OVER (PARTITION BY key ORDER BY ts, id ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) AS m FROM a WHERE id < 1000 EMIT ON WINDOW CLOSE",
                duckdb: "SELECT id, lead(value) OVER w, lead(id, 2, -1) OVER w, sum(value) OVER (w ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING), count(*) OVER w, max(value) OVER (w ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) FROM a WHERE id < 1000 WINDOW w AS (PARTITION BY key ORDER BY ts, id)",
                isFinal: true),
            PrefixCase(
                "frames of times ahead, as they become final",
                "SELECT id, count(*) OVER (PARTITION BY key ORDER BY ts RANGE BETWEEN INTERVAL '4 seconds' PRECEDING AND INTERVAL '3 seconds' FOLLOWING) AS n, sum(value) OVER (PARTITION BY key ORDER BY ts RANGE BETWEEN CURRENT ROW AND INTERVAL '6 seconds' FOLLOWING) AS s FROM a EMIT ON WINDOW CLOSE",
                duckdb: "SELECT id, count(*) OVER (PARTITION BY key ORDER BY ts RANGE BETWEEN INTERVAL '4 seconds' PRECEDING AND INTERVAL '3 seconds' FOLLOWING), sum(value) OVER (PARTITION BY key ORDER BY ts RANGE BETWEEN CURRENT ROW AND INTERVAL '6 seconds' FOLLOWING) FROM a",
                isFinal: true),
            PrefixCase(
                "sessions of OVER, as they become final",
                "SELECT id, count(*) OVER (PARTITION BY key ORDER BY ts SESSION WITH GAP '3 seconds') AS n, sum(value) OVER (PARTITION BY key ORDER BY ts SESSION WITH GAP '3 seconds') AS s FROM a EMIT ON WINDOW CLOSE",
                duckdb: "SELECT id, count(*) OVER (PARTITION BY key, g), sum(value) OVER (PARTITION BY key, g) FROM (SELECT *, sum(f) OVER (PARTITION BY key ORDER BY ts, id) AS g FROM (SELECT *, CASE WHEN ts - lag(ts) OVER (PARTITION BY key ORDER BY ts, id) <= INTERVAL '3 seconds' THEN 0 ELSE 1 END AS f FROM a) q) q",
                isFinal: true),
            PrefixCase(
                "groups of times cut off, as they become final",
                "SELECT date_trunc('minute', ts) AS m, key, count(*) AS n FROM a GROUP BY 1, 2 EMIT ON WINDOW CLOSE",
                duckdb: "SELECT epoch(date_trunc('minute', ts))::BIGINT, key, count(*) FROM a GROUP BY date_trunc('minute', ts), key", isFinal: true),
            PrefixCase("plain rows as they become final", "SELECT ts, id FROM a WHERE value > 2 EMIT ON WINDOW CLOSE", duckdb: "SELECT epoch(ts)::BIGINT, id FROM a WHERE value > 2", isFinal: true),
        ]

    static let views = [
        PrefixCase(
            "views over views", "SELECT c.key, c.n, t.s FROM counts c JOIN sums t ON c.key = t.key",
            duckdb: "SELECT c.key, c.n, t.s FROM (SELECT key, count(*) n FROM a GROUP BY key) c JOIN (SELECT key, sum(value) s FROM a WHERE key > 0 GROUP BY key) t ON c.key = t.key",
            before: """
                CREATE MATERIALIZED VIEW counts AS SELECT key, count(*) AS n FROM a GROUP BY key;
                CREATE VIEW positive AS SELECT * FROM a WHERE key > 0;
                CREATE MATERIALIZED VIEW sums AS SELECT key, sum(value) AS s FROM positive GROUP BY key;
                """),
        PrefixCase(
            "sum of balances is equal at every tick", "SELECT sum(amount) AS total FROM moves",
            duckdb: "SELECT CASE WHEN count(*) > 0 THEN 0 END FROM a WHERE key IS NOT NULL OR value IS NOT NULL",
            before: """
                CREATE MATERIALIZED VIEW moves AS SELECT account, sum(amount) AS amount FROM (
                  SELECT key AS account, 10 AS amount FROM a UNION ALL SELECT value AS account, -10 AS amount FROM a) x GROUP BY account;
                """),
    ]
}
