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

    @Test("is refused where it is no size, or too small for anything", arguments: ["12", "much", "-1GB", "5XB"])
    func sizes(_ text: String) throws {
        let scratch = try Scratch()
        let outcome = try Binary.run("serve", "--data-dir", scratch.path("data"), "--memory-limit=\(text)", "--no-kafka", "--no-http", "--no-postgres")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("64MB"), "\(outcome.errors)")
    }
}
