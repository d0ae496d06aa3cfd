package import MartletCore

/// Golden files: `Golden/*.script` or `*.slt` beside a test. A file is a row of blocks divided by blank lines:
///
///     # Comments and blank lines before a block stay as they are.
///     input, one or more lines
///     ---
///     output, as the program gave it
///
/// An output that holds a blank line is written with `> ` before each line, so that the block does not end there.
/// `UPDATE_GOLDEN=1` rewrites the outputs with what came; the review is `git diff`.
///
///     let golden = Golden(disk: SystemDisk(), update: environment("UPDATE_GOLDEN"))
///
///     @Test(arguments: try golden.files(".script")) func script(path: String) throws {
///         try golden.check(path) { input in … }
///     }
package struct Golden: Sendable {
    private let disk: any Disk
    private let isUpdating: Bool

    /// `update` is the value of UPDATE_GOLDEN.
    package init(disk: any Disk, update: String?) {
        self.disk = disk
        isUpdating = update == "1"
    }

    /// Runs every block of the file through `evaluate` and throws one `GoldenMismatch` that shows all differences.
    /// `evaluate` gets the input without its last line feed; whether its output ends with one does not matter.
    package func check(_ path: String, evaluate: (String) throws -> String) throws {
        let file = try GoldenFile(parsing: try read(path), path: path)
        var rewritten = ""
        var differences: [String] = []
        for block in file.blocks {
            let output = trimmed(try evaluate(block.input))
            rewritten += block.preamble + block.input + "\n---\n" + encoded(output) + "\n"
            if output != block.output {
                differences.append("\(path):\(block.line):\n\(block.input)\n---\n\(lineDifference(block.output, output))")
            }
        }
        if differences.isEmpty { return }
        if isUpdating {
            // The blank line after the last block divides it from nothing.
            if file.rest.isEmpty && rewritten.hasSuffix("\n\n") { rewritten.removeLast() }
            try write(path, rewritten + file.rest)
        } else {
            throw GoldenMismatch(description: differences.joined(separator: "\n\n") + "\n(UPDATE_GOLDEN=1 accepts what came.)")
        }
    }

    /// The files in the `Golden` folder beside the calling test whose names end in `suffix`, in ascending order.
    package func files(_ suffix: String, beside test: String = #filePath) throws -> [String] {
        let folder = test.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/Golden"
        return try disk.list(folder).filter { $0.hasSuffix(suffix) }.map { "\(folder)/\($0)" }
    }

    private func read(_ path: String) throws -> String {
        let file = try disk.open(path, .read)
        var bytes = [UInt8](repeating: 0, count: Int(try file.facts().size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private func write(_ path: String, _ text: String) throws {
        let file = try disk.open(path, .replace)
        try Array(text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
    }

    private func trimmed(_ text: String) -> String {
        var text = text
        while text.last == "\n" { text.removeLast() }
        return text
    }

    private func encoded(_ output: String) -> String {
        if output.isEmpty { return "" }
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        let needsMarks = lines.contains { $0.isEmpty || $0.hasPrefix(">") }
        return lines.map { needsMarks ? ($0.isEmpty ? ">" : "> \($0)") : String($0) }.joined(separator: "\n") + "\n"
    }
}

/// What differs, in words for a person.
package struct GoldenMismatch: Error, CustomStringConvertible {
    package let description: String
}

struct GoldenFile {
    struct Block {
        /// Comments and blank lines before it, with their line feeds.
        var preamble = ""
        var input = ""
        var output = ""
        /// Where the input begins, from 1.
        var line = 0
    }

    var blocks: [Block] = []
    /// Comments and blank lines after the last block.
    var rest = ""

    init(parsing text: String, path: String) throws(GoldenMismatch) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        var at = 0
        while at < lines.count {
            var block = Block()
            while at < lines.count && (lines[at].isEmpty || lines[at].hasPrefix("#")) {
                block.preamble += lines[at] + "\n"
                at += 1
            }
            if at == lines.count {
                rest = block.preamble
                return
            }
            block.line = at + 1
            var input: [String] = []
            while at < lines.count && lines[at] != "---" {
                input.append(lines[at])
                at += 1
            }
            if at == lines.count { throw GoldenMismatch(description: "\(path):\(block.line): the block has no line ---") }
            at += 1
            var output: [String] = []
            while at < lines.count && !lines[at].isEmpty {
                output.append(lines[at])
                at += 1
            }
            // The blank line that ends the block belongs to it, and is written again with it.
            at += 1
            if !output.isEmpty && output.allSatisfy({ $0 == ">" || $0.hasPrefix("> ") }) {
                output = output.map { String($0.dropFirst(2)) }
            }
            block.input = input.joined(separator: "\n")
            block.output = output.joined(separator: "\n")
            blocks.append(block)
        }
    }
}

/// The lines of both, those only expected behind "-", those only found behind "+", in the order of a longest common
/// subsequence. Quadratic; beyond 2,000 lines both are shown whole.
func lineDifference(_ expected: String, _ found: String) -> String {
    let old = expected.split(separator: "\n", omittingEmptySubsequences: false)
    let new = found.split(separator: "\n", omittingEmptySubsequences: false)
    guard old.count <= 2_000 && new.count <= 2_000 else {
        return old.map { "- \($0)\n" }.joined() + new.map { "+ \($0)\n" }.joined()
    }
    // common[i][j]: how long a common subsequence of old[i...] and new[j...] gets.
    var common = [[Int]](repeating: [Int](repeating: 0, count: new.count + 1), count: old.count + 1)
    for i in old.indices.reversed() {
        for j in new.indices.reversed() {
            common[i][j] = old[i] == new[j] ? common[i + 1][j + 1] + 1 : max(common[i + 1][j], common[i][j + 1])
        }
    }
    var result: [String] = []
    var i = 0
    var j = 0
    while i < old.count || j < new.count {
        if i < old.count && j < new.count && old[i] == new[j] {
            result.append("  \(old[i])")
            i += 1
            j += 1
        } else if j == new.count || (i < old.count && common[i + 1][j] >= common[i][j + 1]) {
            result.append("- \(old[i])")
            i += 1
        } else {
            result.append("+ \(new[j])")
            j += 1
        }
    }
    return result.joined(separator: "\n")
}
