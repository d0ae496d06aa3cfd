import Foundation
import Testing

@Suite("Every file has its place")
struct FileTests {
    @Test("no two paths differ only by case")
    func caseInsensitivelyUnique() {
        var seen: [String: String] = [:]
        for path in Repository.files {
            let parts = path.split(separator: "/")
            for count in 1...parts.count {
                let prefix = parts.prefix(count).joined(separator: "/")
                let other = seen.updateValue(prefix, forKey: prefix.lowercased())
                #expect(other == nil || other == prefix, "\(prefix) and \(other ?? "") are one file on some machines")
            }
        }
        let targets = Manifest.current.dependencies.keys
        #expect(Set(targets.map { $0.lowercased() }).count == targets.count, "two targets differ only by case")
    }

    @Test("every source belongs to a target of the manifest")
    func noOrphanSources() {
        let folders = Set(Manifest.current.dependencies.keys.map { Manifest.current.folder(of: $0) })
        for path in Repository.files where path.hasPrefix("Sources/") || path.hasPrefix("Tests/") && path.hasSuffix(".swift") {
            let folder = path.split(separator: "/").prefix(2).joined(separator: "/")
            #expect(folders.contains(folder), "\(path) is built by nothing")
        }
    }

    /// Scripts, examples and documents live because something names them.
    @Test("every script, example and document is mentioned somewhere")
    func noDeadFiles() {
        let mentioning = Repository.files.compactMap { path in Repository.text(path).map { (path, $0) } }
        for path in Repository.files where ["bench/", "docs/", "examples/", "tools/"].contains(where: path.hasPrefix) {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            // The door calls bench/NAME/run by its folder's name.
            if name == "run" || name == "README.md" { continue }
            let isMentioned = mentioning.contains { $0.0 != path && ($0.1.contains(name) || $0.1.contains(stem(name))) }
            #expect(isMentioned, "\(path) is mentioned by no other file: link it or remove it")
        }
    }

    private func stem(_ name: String) -> String { name.split(separator: ".").first.map(String.init) ?? name }

    @Test("text ends with one newline and has no trailing blanks")
    func whitespace() {
        let kinds = [".swift", ".sh", ".sql", ".py", ".java", ".md", ".h", ".c", ".cpp"]
        for path in Repository.files where kinds.contains(where: path.hasSuffix) {
            guard let text = Repository.text(path), !text.isEmpty else { continue }
            #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"), "\(path) should end with exactly one newline")
            if path.hasSuffix(".md") { continue }
            for (index, line) in Repository.lines(path).enumerated() where line.last == " " || line.last == "\t" {
                Issue.record("\(path):\(index + 1) ends with a blank")
            }
        }
    }
}

@Suite("Mutants")
struct MutantPatchTests {
    static let patches = Repository.files(under: "Tests/Mutants", withExtension: "patch")

    @Test("each patch names the test that must fail, and still applies", arguments: patches)
    func applies(patch: String) throws {
        let header = Repository.lines(patch).prefix { !$0.hasPrefix("---") && !$0.hasPrefix("diff ") }
        let filters = header.compactMap { $0.firstMatch(of: /^Test: (\S+)$/)?.output.1 }
        let filter = try #require(filters.first, "a header line `Test: FILTER` is missing")
        let target = filter.split(whereSeparator: { $0 == "/" || $0 == "." }).first.map(String.init) ?? ""
        #expect(Manifest.current.testTargets.contains(target), "\(filter) names no test target")
        let check = try Command.run("git", "apply", "--check", patch)
        #expect(check.status == 0, "\(patch) no longer applies: \(check.output)")
    }
}
