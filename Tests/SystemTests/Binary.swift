internal import Foundation
internal import Testing

/// The built `martlet`, as a user calls it.
enum Binary {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
        var lines: [Substring] { output.split(separator: "\n") }
    }

    /// The package's folder; relative paths in arguments start there.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Named by `./dev test`; otherwise the one that was built beside these tests.
    static let path: URL = {
        if let named = ProcessInfo.processInfo.environment["MARTLET_BINARY"] { return URL(fileURLWithPath: named) }
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent("martlet")
    }()

    /// Runs to the end. Output and errors go through files, which never fill up as pipes do.
    static func run(_ arguments: String..., input: Data = Data()) throws -> Outcome {
        try run(executable: path, arguments, input: input)
    }

    /// The Python that `./dev test` prepares, with DuckDB and psycopg; nil without it.
    static let python: URL? = ProcessInfo.processInfo.environment["MARTLET_TEST_PYTHON"].map { URL(fileURLWithPath: $0) }

    /// A browser that needs no display is there; Postgres/browser.py looks for the same names.
    static let hasBrowser = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"].contains { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
    }

    static func run(executable: URL, _ arguments: [String], input: Data = Data()) throws -> Outcome {
        let folder = try Scratch()
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.currentDirectoryURL = root
        let files = try ["in", "out", "err"].map { name in
            let url = folder.url.appendingPathComponent(name)
            try (name == "in" ? input : Data()).write(to: url)
            return url
        }
        process.standardInput = try FileHandle(forReadingFrom: files[0])
        process.standardOutput = try FileHandle(forWritingTo: files[1])
        process.standardError = try FileHandle(forWritingTo: files[2])
        try process.run()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: try Data(contentsOf: files[1]), as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
    }
}

/// A folder for the time of a test.
final class Scratch {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

/// The objects of NDJSON text.
func objects(_ lines: [Substring]) throws -> [[String: Any]] {
    try lines.map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
}

func objects(at path: String) throws -> [[String: Any]] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try objects(String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self).split(separator: "\n"))
}
