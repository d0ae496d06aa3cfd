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
        "a pipeline killed and paused under load loses and repeats nothing, in topics, files and PostgreSQL; a short run of ./dev crash --pipelines",
        .enabled(if: Binary.python != nil, "MARTLET_TEST_PYTHON names no Python with Kafka clients; ./dev test prepares one"))
    func crashesOfPipelines() throws {
        let python = try #require(Binary.python)
        var words = [
            "-B", Binary.root.appendingPathComponent("tools/crash.py").path, "1000", "--pipelines", "--seconds", "12", "--seed", "3",
        ]
        // Without PostgreSQL the other sinks are tried.
        if let postgres = Self.postgres { words += ["--postgres", postgres] }
        let outcome = try Binary.run(executable: python, words)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors.suffix(4000))")
        let summary = try #require(try objects(outcome.lines).last)
        #expect(summary["cycles"] as? Int ?? 0 >= 3)
        #expect(summary["records"] as? Int ?? 0 > 1000)
        #expect(summary["replayed"] as? Int ?? 0 > 0)
        #expect(summary["pauses"] as? Int ?? 0 > 5)
        #expect(summary["problems"] as? Int == 0)
    }

    /// Where PostgreSQL's programs are, as `./dev test` finds them.
    private static let postgres: String? = {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        return versions.sorted().last.map { "/usr/lib/postgresql/\($0)/bin" }
    }()

    @Test(
        "while PostgreSQL is stopped memory stays where it was, and afterwards each row is there once; a short run of ./dev crash --sink-stops",
        .enabled(if: Binary.python != nil && postgres != nil, "there is no Python with Kafka clients, or no PostgreSQL"))
    func sinkStops() throws {
        let python = try #require(Binary.python)
        let outcome = try Binary.run(
            executable: python,
            [
                "-B", Binary.root.appendingPathComponent("tools/crash.py").path, "--sink-stops", "4", "--rate", "5000",
                "--postgres", try #require(Self.postgres),
            ])
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors.suffix(4000))")
        let summary = try #require(try objects(outcome.lines).last)
        #expect(summary["rows"] as? Int ?? 0 > 10_000)
        #expect(summary["problems"] as? Int == 0)
    }
}
