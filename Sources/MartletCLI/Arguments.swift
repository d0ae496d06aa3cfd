import MartletCore

/// A command line that cannot be taken: exit code 2.
struct UsageError: Error {
    var message: String
    var command: String?

    init(_ message: String, command: String? = nil) {
        self.message = message
        self.command = command
    }
}

/// What stands on a command line: options with values, flags, and the rest in order. `--name=value` and `--name value`
/// are the same; `--` ends the options.
struct Arguments {
    private(set) var positional: [String] = []
    private var values: [String: [String]] = [:]
    private var flags: Set<String> = []
    let command: String

    /// - Parameters:
    ///   - options: names (without dashes) that take a value.
    ///   - flags: names that take none.
    ///   - short: one-letter names, by the long name they stand for.
    init(
        _ words: [String], command: String, options: Set<String>, flags known: Set<String> = [],
        short: [Character: String] = [:]
    ) throws(UsageError) {
        self.command = command
        var rest = words[...]
        var onlyPositional = false
        while let word = rest.popFirst() {
            if onlyPositional || word == "-" || !word.hasPrefix("-") {
                positional.append(word)
            } else if word == "--" {
                onlyPositional = true
            } else {
                var (name, inline) = Arguments.split(word, short: short)
                if known.contains(name) || name == "help" {
                    guard inline == nil else { throw UsageError("--\(name) takes no value", command: command) }
                    flags.insert(name)
                } else if options.contains(name) {
                    if inline == nil { inline = rest.popFirst() }
                    guard let value = inline else { throw UsageError("--\(name) needs a value", command: command) }
                    values[name, default: []].append(value)
                } else {
                    let near = nearest(name, among: options.union(known).sorted())
                    throw UsageError(
                        "unknown option \(word)" + (near.map { "; did you mean --\($0)?" } ?? ""), command: command)
                }
            }
        }
    }

    private static func split(_ word: String, short: [Character: String]) -> (String, String?) {
        if word.hasPrefix("--") {
            let body = word.dropFirst(2)
            guard let equals = body.firstIndex(of: "=") else { return (String(body), nil) }
            return (String(body[..<equals]), String(body[body.index(after: equals)...]))
        }
        let letter = word[word.index(after: word.startIndex)]
        let value = word.dropFirst(2)
        guard let long = short[letter] else { return (String(word.dropFirst()), nil) }
        return (long, value.isEmpty ? nil : String(value))
    }

    func has(_ flag: String) -> Bool { flags.contains(flag) }
    func value(_ name: String) -> String? { values[name]?.last }
    func all(_ name: String) -> [String] { values[name] ?? [] }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = value(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                "--\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"",
                command: command)
        }
        return number
    }

    /// `-v name=value` as in psql.
    func variables() throws(UsageError) -> [String: String] {
        var found: [String: String] = [:]
        for assignment in all("variable") {
            guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
                throw UsageError("-v takes name=value, not \"\(assignment)\"", command: command)
            }
            found[String(assignment[..<equals])] = String(assignment[assignment.index(after: equals)...])
        }
        return found
    }
}

/// The known name that differs from `name` by the fewest edits, if by few.
func nearest(_ name: String, among known: [String]) -> String? {
    let ranked = known.map { ($0, editDistance(Array(name.utf8), Array($0.utf8))) }.min { $0.1 < $1.1 }
    guard let (best, distance) = ranked, distance <= max(1, name.utf8.count / 3) else { return nil }
    return best
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
            diagonal = above
        }
    }
    return row[b.count]
}
