internal import Foundation
internal import Testing

/// Data directories that earlier versions wrote (Tests/Fixtures/make.sh): what they held is still there, on any number of
/// shards, with what was committed after the last checkpoint.
@Suite("Data directories of earlier versions")
struct FixtureTests {
    private static let answers = [
        ("SELECT count(*) AS c, sum(amount) AS s FROM payments", "300,43912.50"),
        ("SELECT n, total, m FROM spent WHERE card = 'b'", "92,13043.75,the amount was 98.75"),
        ("SELECT count(*) AS c FROM named WHERE holder IS NULL", "116"),
        ("SELECT count(*) AS c, sum(total) AS s FROM minutes", "4,31560.00"),
        ("SELECT id, amount FROM largest WHERE card = 'c' ORDER BY id", "197,246.25\n200,250.00"),
        ("SELECT card FROM cards ORDER BY card", "b\nc"),
    ]

    @Test("open, and go on", arguments: ["1"], [1, 2, 3])
    func opens(number: String, shards: Int) throws {
        let scratch = try Scratch()
        let archive = Binary.root.appendingPathComponent("Tests/Fixtures/data-directory-\(number).tar.gz").path
        #expect(try Binary.run(executable: URL(fileURLWithPath: "/bin/tar"), ["-xzf", archive, "-C", scratch.url.path]).status == 0)
        func ask(_ text: String, of directory: String = "data") throws -> String {
            let outcome = try Binary.run("query", text, "--data-dir", scratch.path(directory), "--shards", "\(shards)", "-o", "csv")
            #expect(outcome.status == 0, "\(text): \(outcome.errors)")
            return outcome.lines.dropFirst().joined(separator: "\n")
        }
        for (question, answer) in Self.answers { #expect(try ask(question) == answer, "\(question)") }
        let largest = "SELECT id, amount FROM largest WHERE card = 'b' ORDER BY amount DESC LIMIT 1"
        for (action, from, to) in [("create", "data", "kept"), ("restore", "kept", "again")] {
            let outcome = try Binary.run("savepoint", action, scratch.path(from), scratch.path(to))
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        // A file that is only there to be written over stays where it is.
        func spares(_ directory: String) throws -> Int {
            try FileManager.default.subpathsOfDirectory(atPath: scratch.path(directory)).count { $0.hasSuffix("/spare") }
        }
        #expect(try (spares("data"), spares("kept")) == (1, 0))
        _ = try ask("INSERT INTO payments VALUES (1000, 'b', 10000, '2026-01-01 01:00:00')")
        #expect(try ask(largest) == "1000,10000")
        // What was kept is as it was.
        for (question, answer) in Self.answers { #expect(try ask(question, of: "again") == answer, "\(question)") }
        let refused = try Binary.run("savepoint", "restore", scratch.path("kept"), scratch.path("again"))
        #expect(refused.status == 2 && refused.errors.contains("is there already"))
    }
}
