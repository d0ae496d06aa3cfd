import Foundation
import Testing

/// Every command and query that README.md and docs/ show is run, and its output compared with what they say.
@Suite("Documents")
struct DocsTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let environment = ProcessInfo.processInfo.environment

    @Test(
        "what the documents show is true",
        .enabled(if: environment["MARTLET_BINARY"] != nil, "MARTLET_BINARY names no binary; ./dev test sets it"))
    func documentsAreTrue() throws {
        let (status, output) = try run(arguments: [])
        #expect(status == 0, "\(output)")
    }

    /// A checker that never failed proves nothing.
    @Test("the checker notices what is false", arguments: [
        ("sh run", "echo one", "two"), ("sh run", "echo one; echo two", "one"), ("sh run", "exit 3", ""), ("sh", "echo one", "one"),
    ])
    func checkerNotices(fence: String, command: String, output: String) throws {
        let document = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).md")
        defer { try? FileManager.default.removeItem(at: document) }
        try "```\(fence)\n\(command)\n```\n\n```output\n\(output)\n```\n".write(to: document, atomically: true, encoding: .utf8)
        #expect(try run(arguments: [document.path]).status == 1)
    }

    private func run(arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [Self.environment["MARTLET_TEST_PYTHON"] ?? "python3", Self.root.appending(path: "tools/docs.py").path]
        process.arguments? += arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
