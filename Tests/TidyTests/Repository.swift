import Foundation

/// The working tree as the tidy tests see it: paths relative to its root, sorted, without what git ignores.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Tracked files and new ones that git would track; in an export without git, everything but build folders.
    static let files: [String] = {
        let listed = try? Command.run("git", "ls-files", "--cached", "--others", "--exclude-standard")
        let paths: [String]
        if let listed, listed.status == 0 {
            paths = listed.output.split(separator: "\n").map(String.init)
        } else {
            paths = walk()
        }
        return Set(paths).filter { FileManager.default.fileExists(atPath: root.appending(path: $0).path) }.sorted()
    }()

    static func files(under folder: String, withExtension ext: String) -> [String] {
        files.filter { $0.hasPrefix(folder + "/") && $0.hasSuffix("." + ext) }
    }

    /// The file's text, or nil where it is not UTF-8 (an image, a compressed sample).
    static func text(_ path: String) -> String? {
        guard let bytes = try? Data(contentsOf: root.appending(path: path)) else { return nil }
        return String(data: bytes, encoding: .utf8)
    }

    static func lines(_ path: String) -> [Substring] {
        var lines = (text(path) ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    private static func walk() -> [String] {
        let skipped: Set<String> = [".git", "martlet-out", "__pycache__", ".swiftpm"]
        return (FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []).filter { path in
            let parts = path.split(separator: "/").map(String.init)
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root.appending(path: path).path, isDirectory: &isDirectory)
            return !isDirectory.boolValue && !parts.contains { skipped.contains($0) || $0.hasPrefix(".build") }
        }
    }
}

/// Runs a program in the repository's root and waits for it.
enum Command {
    static func run(_ words: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        process.currentDirectoryURL = Repository.root
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
