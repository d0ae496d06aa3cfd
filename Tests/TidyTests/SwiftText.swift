/// What can be read from Swift files line by line, relying on the layout that `./dev fmt` gives them.
enum SwiftText {
    struct Function {
        var name: String
        var line: Int
        var length: Int
    }

    static func imports(_ path: String) -> Set<String> {
        let line = /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var)\s+)?(\w+)/
        let candidates = Repository.lines(path).filter { $0.contains("import ") }
        return Set(candidates.compactMap { $0.firstMatch(of: line).map { String($0.output.1) } })
    }

    /// A function ends at the closing brace that stands under its first letter.
    static func functions(_ path: String) -> [Function] {
        let start = /^( *)(?:@\w+(?:\([^)]*\))? )*(?:(?!let |var |case |return |if |guard )[a-z]+(?:\(\w+\))? )*(?:func (\S+?)[(<]|(init|deinit|subscript)[?!]?[(< ])/
        let lines = Repository.lines(path)
        var found: [Function] = []
        for (index, line) in lines.enumerated() {
            guard mayStartFunction(line), let match = line.firstMatch(of: start) else { continue }
            let name = String(match.output.2 ?? match.output.3 ?? "")
            if let end = end(ofFunctionAt: index, indent: match.output.1.count, in: lines) {
                found.append(Function(name: name, line: index + 1, length: end - index + 1))
            }
        }
        return found
    }

    /// Cheaper than the expression, and true for few lines.
    private static func mayStartFunction(_ line: Substring) -> Bool {
        line.last == "{" || line.last == "(" || line.last == ","
    }

    /// Nil for a function without a body (a protocol's requirement) or with all of it on one line.
    private static func end(ofFunctionAt start: Int, indent: Int, in lines: [Substring]) -> Int? {
        for index in (start + 1)..<max(start + 1, lines.count) {
            let text = lines[index].drop { $0 == " " }
            if text.isEmpty || text.hasPrefix("#") || lines[index].count - text.count > indent { continue }
            if lines[index].count - text.count == indent, text.hasPrefix("}") { return index }
            let continuesSignature = text.hasPrefix(")") && text.hasSuffix("{") || text.hasPrefix("where ") || text == "{"
            if !continuesSignature { return nil }
        }
        return nil
    }
}
