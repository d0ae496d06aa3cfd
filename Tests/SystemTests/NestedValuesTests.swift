internal import Foundation
internal import Testing

/// Arrays, structures and the aggregates that make them, from a file's JSON to the output's.
@Suite("Nested values end to end")
struct NestedValuesTests {
    private static let input = """
        {"id": 1, "k": "a", "tags": ["x", "y"], "at": {"lat": 1.5, "name": "A"}, "grid": [[1, 2], [3, 4]]}
        {"id": 2, "k": "b", "tags": [], "at": null, "grid": null}
        {"id": 3, "k": "a", "tags": ["y", null], "at": {"name": "C"}, "grid": [[5, 6]]}
        {"id": 4, "k": "a", "tags": {"not": "an array"}, "at": {"lat": 0}, "grid": []}
        {"id": 5, "k": "b", "tags": "{p,\\"q r\\"}", "at": {"lat": 2, "name": "E"}, "grid": [[7], [8, 9]]}

        """

    private func run(_ select: String, shards: Int = 2) throws -> Binary.Outcome {
        let scratch = try Scratch()
        try Data(Self.input.utf8).write(to: URL(fileURLWithPath: scratch.path("in.ndjson")))
        let sql = """
            CREATE SOURCE s (id INT, k TEXT, tags TEXT[], at STRUCT<lat DOUBLE, name TEXT>, grid INT[])
            WITH (connector = 'file', path = '\(scratch.path("in.ndjson"))') FORMAT PLAIN ENCODE JSON;
            CREATE MATERIALIZED VIEW v AS \(select);
            CREATE SINK o FROM v WITH (connector = 'stdout');
            """
        try Data(sql.utf8).write(to: URL(fileURLWithPath: scratch.path("q.sql")))
        return try Binary.run("run", "--shards", String(shards), "--out-dir", scratch.path("out"), scratch.path("q.sql"))
    }

    @Test func columnsPassThrough() throws {
        let outcome = try run("SELECT id, tags, at, grid FROM s")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(
            Set(outcome.lines) == [
                #"{"id":1,"tags":["x","y"],"at":{"lat":1.5,"name":"A"},"grid":[[1,2],[3,4]]}"#,
                #"{"id":2,"tags":[],"at":null,"grid":null}"#,
                #"{"id":3,"tags":["y",null],"at":{"lat":null,"name":"C"},"grid":[[5,6]]}"#,
            ], "\(outcome.output) \(outcome.errors)")
    }

    @Test func expressionsReachInside() throws {
        let outcome = try run("SELECT id, (at).name AS n, tags[1] AS t, grid[2][1] AS g, cardinality(tags) AS c FROM s WHERE 'y' = ANY (tags)")
        #expect(
            Set(outcome.lines) == [
                #"{"id":1,"n":"A","t":"x","g":3,"c":2}"#, #"{"id":3,"n":"C","t":"y","g":null,"c":2}"#,
            ], "\(outcome.output) \(outcome.errors)")
    }

    @Test(arguments: [1, 2]) func aggregatesCollect(shards: Int) throws {
        let outcome = try run(
            """
            SELECT k, count(*) AS n, array_agg(id ORDER BY id DESC) AS ids, string_agg(DISTINCT k, '') AS ks, bool_and(id > 0) AS ok,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY id) AS mid, max_by((at).name, id) AS last, count(DISTINCT tags) AS d,
                jsonb_object_agg(id, tags) AS o
            FROM s GROUP BY k
            """, shards: shards)
        #expect(
            Set(outcome.lines) == [
                #"{"k":"a","n":2,"ids":[3,1],"ks":"a","ok":true,"mid":2,"last":"C","d":2,"o":{"1": ["x", "y"], "3": ["y", null]},"op":"insert"}"#,
                #"{"k":"b","n":2,"ids":[5,2],"ks":"b","ok":true,"mid":3.5,"last":"E","d":2,"o":{"2": [], "5": ["p", "q r"]},"op":"insert"}"#,
            ], "\(outcome.output) \(outcome.errors)")
    }

    @Test(arguments: [1, 2]) func arraysAreKeys(shards: Int) throws {
        let outcome = try run("SELECT grid, at, count(*) AS n FROM s WHERE grid IS NULL GROUP BY grid, at", shards: shards)
        #expect(outcome.output.contains(#""grid":null,"at":null,"n":1"#), "\(outcome.output) \(outcome.errors)")
    }
}
