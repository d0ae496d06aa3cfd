internal import Foundation
internal import Testing

/// State larger than memory: see Database/memory.py.
@Suite("A limit to memory", .serialized)
struct MemoryLimitTests {
    @Test(
        "holds, and changes nothing that is shown, also after SIGKILL and a restart",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with psycopg; ./dev test prepares one"))
    func views() throws {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let script = Binary.root.appendingPathComponent("Tests/SystemTests/Database/memory.py").path
        let limit = 160
        let outcome = try Binary.run(executable: python, ["-B", script, Binary.path.path, scratch.url.path, "400000", "\(limit)"])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(4000))")
        let facts = try #require(try objects(outcome.lines).last)
        // Without the limit there is far more than the limit has room for.
        #expect(facts["free_peak_mb"] as? Int ?? 0 > limit * 3 / 2, "\(facts)")
        #expect(facts["bound_peak_mb"] as? Int ?? .max <= limit + limit / 16, "\(facts)")
        #expect(facts["restart_peak_mb"] as? Int ?? .max <= limit + limit / 16, "\(facts)")
        #expect(facts["page_outs_total"] as? Double ?? 0 > 1000, "\(facts)")
        #expect(facts["page_ins_total"] as? Double ?? 0 > 100, "\(facts)")
        #expect(facts["same"] as? Bool == true, "\(facts)")
        #expect(facts["same_after_restart"] as? Bool == true, "\(facts)")
        #expect(facts["code"] as? Int == 0)
    }

    private static let keys = """
        CREATE SOURCE bids (auction BIGINT, bidder BIGINT, price BIGINT, url TEXT, date_time TIMESTAMP,
          WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds')
        WITH (connector = 'generator', kind = 'nexmark', stream = 'bid', events = '250000', seed = '7') FORMAT PLAIN ENCODE JSON;
        CREATE MATERIALIZED VIEW by_key AS SELECT url || '/' || price AS key, auction, count(*) AS n, sum(price) AS total, max(url) AS last
        FROM bids GROUP BY url || '/' || price, auction;
        CREATE SINK sums AS SELECT count(*) AS keys, sum(n) AS bids, sum(total) AS total FROM by_key
        WITH (connector = 'file', path = :'sums') FORMAT PLAIN ENCODE JSON;
        """

    @Test(
        "a full disk keeps state in memory beyond the limit, says so, leaves room to others, and loses nothing", .enabled(if: getuid() == 0))
    func fullDisk() throws {
        let scratch = try Scratch()
        let place = scratch.path("small")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let mounted = try Binary.run(executable: URL(fileURLWithPath: "/bin/mount"), ["-t", "tmpfs", "-o", "size=32m", "none", place])
        // A container's root may not mount anything.
        if mounted.status != 0 { return }
        defer { _ = try? Binary.run(executable: URL(fileURLWithPath: "/bin/umount"), ["-l", place]) }
        try Data(Self.keys.utf8).write(to: URL(fileURLWithPath: scratch.path("p.sql")))
        func sums(_ name: String, _ more: [String]) throws -> (last: Substring?, log: String) {
            let words = ["run", scratch.path("p.sql"), "-v", "sums=\(scratch.path(name))", "--log-level", "info"] + more
            let outcome = try Binary.run(executable: Binary.path, words)
            #expect(outcome.status == 0, "\(outcome.errors.suffix(2000))")
            let written = String(decoding: try Data(contentsOf: URL(fileURLWithPath: scratch.path(name))), as: UTF8.self)
            return (written.split(separator: "\n").last, outcome.errors)
        }
        let free = try sums("free.ndjson", ["--out-dir", scratch.path("out")])
        let bound = try sums("bound.ndjson", ["--out-dir", place, "--memory-limit", "64MB"])
        #expect(free.last != nil && free.last == bound.last)
        #expect(bound.log.contains("what is touched least goes into a file"), "\(bound.log)")
        #expect(bound.log.contains("state cannot be written to its file") && bound.log.contains("No space left on device"), "\(bound.log)")
        #expect(!free.log.contains("state cannot be written"))
    }

    @Test("is refused where it is no size, or too small for anything", arguments: ["12", "much", "-1GB", "5XB"])
    func sizes(_ text: String) throws {
        let scratch = try Scratch()
        let outcome = try Binary.run("serve", "--data-dir", scratch.path("data"), "--memory-limit=\(text)", "--no-kafka", "--no-http", "--no-postgres")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("64MB"), "\(outcome.errors)")
    }
}
