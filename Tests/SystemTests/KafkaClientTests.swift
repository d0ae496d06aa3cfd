internal import Foundation
internal import Testing

/// Stock Kafka clients against the real binary: see the scripts in Kafka/. Each group of cases has a server of its own.
@Suite("Kafka clients", .serialized)
struct KafkaClientTests {
    private static let scripts = Binary.root.appendingPathComponent("Tests/SystemTests/Kafka")

    @Test(
        "confluent-kafka, kafka-python, aiokafka and kcat find what Kafka would give them",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with Kafka clients; ./dev test prepares one"),
        arguments: ["messages", "consumers", "groups", "transactions", "admin", "bad_input", "pipelines"])
    func clients(group: String) throws {
        let scratch = try Scratch()
        let python = try #require(Binary.python)
        let script = Self.scripts.appendingPathComponent("run.py").path
        let outcome = try Binary.run(
            executable: python, ["-B", script, Binary.path.path, scratch.url.path, group])
        #expect(outcome.status == 0, "\(outcome.errors.suffix(4000))")
        let results = try objects(outcome.lines)
        #expect(results.count > 4)
        for result in results {
            let problems = try #require(result["problems"] as? [String])
            #expect(problems.isEmpty, "\(result["name"] ?? ""): \(problems.joined(separator: "\n"))")
        }
    }

    @Test(
        "a server killed under load keeps what it acknowledged, once and in order; a short run of ./dev crash",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with Kafka clients; ./dev test prepares one"))
    func crashes() throws {
        let python = try #require(Binary.python)
        let outcome = try Binary.run(
            executable: python, ["-B", Binary.root.appendingPathComponent("tools/crash.py").path, "1000", "--seconds", "30", "--seed", "3"])
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors.suffix(4000))")
        let summary = try #require(try objects(outcome.lines).last)
        #expect(summary["cycles"] as? Int ?? 0 >= 5)
        #expect(summary["acknowledged"] as? Int ?? 0 > 1000)
        #expect(summary["problems"] as? Int == 0)
    }

    @Test(
        "a pipeline killed under load loses and repeats nothing, in topics, files and PostgreSQL; a short run of ./dev crash --pipelines",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with Kafka clients; ./dev test prepares one"))
    func crashesOfPipelines() throws {
        let python = try #require(Binary.python)
        var words = [
            "-B", Binary.root.appendingPathComponent("tools/crash.py").path, "1000", "--pipelines", "--seconds", "12", "--seed", "3",
        ]
        // As `./dev test` finds it; without PostgreSQL the other sinks are tried.
        let postgres = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib").contains("postgresql")
            ? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql").sorted().last.map { "/usr/lib/postgresql/\($0)/bin" } : nil
        if let postgres { words += ["--postgres", postgres] }
        let outcome = try Binary.run(executable: python, words)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors.suffix(4000))")
        let summary = try #require(try objects(outcome.lines).last)
        #expect(summary["cycles"] as? Int ?? 0 >= 3)
        #expect(summary["records"] as? Int ?? 0 > 1000)
        #expect(summary["replayed"] as? Int ?? 0 > 0)
        #expect(summary["problems"] as? Int == 0)
    }
}
