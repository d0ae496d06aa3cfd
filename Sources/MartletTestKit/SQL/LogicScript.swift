/// A file in sqllogictest's form, as the suites of PostgreSQL-like streaming engines are written:
///
///     statement ok | count N | error [REGEX]        query TYPES [rowsort | valuesort] [LABEL] | error [REGEX]
///     SQL, up to a blank line                       SQL, up to ---- or a blank line
///                                                   ----
///                                                   a row a line, up to a blank line
///
/// besides `sleep 2s`, `halt`, `include`d files (left to the caller), `control sortmode MODE`, `skipif NAME`, `onlyif NAME`,
/// `connection NAME`, and ` retry N backoff 1s` behind a record's first line.
package struct LogicScript {
    package enum Sort: String, Sendable { case nosort, rowsort, valuesort }

    package enum Expectation: Sendable {
        case ok
        case count(UInt64)
        /// nil: any error.
        case error(String?)
        case rows([String], Sort)
    }

    package struct Record: Sendable {
        /// Of its first line, from 1.
        package var line: Int
        package var connection: String
        package var sql: String
        package var expectation: Expectation
        package var retries: Int
        package var backoffMillis: Int
        /// The lines of the expected rows, from 0.
        package var expectedLines: Range<Int>
    }

    package enum Step: Sendable {
        case record(Record)
        case sleep(millis: Int)
        case include(String)
        case halt
    }

    package let path: String
    package let lines: [String]
    package private(set) var steps: [Step] = []

    /// `engine`: what `skipif` and `onlyif` are asked about.
    package init(parsing text: String, path: String, engine: String = "martlet") throws(GoldenMismatch) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var at = 0
        var connection = ""
        var sort = Sort.nosort
        var isSkipped = false
        while at < lines.count {
            let words = lines[at].split(separator: " ").map(String.init)
            guard let verb = words.first, !verb.hasPrefix("#") else {
                at += 1
                continue
            }
            func argument() -> String { words.count > 1 ? words[1] : "" }
            switch verb {
            case "halt": steps.append(.halt)
            case "sleep": steps.append(.sleep(millis: LogicScript.millis(argument())))
            case "include": steps.append(.include(argument()))
            case "connection": connection = argument()
            case "control": if words.count == 3, words[1] == "sortmode" { sort = Sort(rawValue: words[2]) ?? sort }
            case "hash-threshold", "subtest", "system": break
            case "skipif": isSkipped = isSkipped || argument() == engine
            case "onlyif": isSkipped = isSkipped || argument() != engine
            case "statement", "query":
                let record = try record(at, words, connection: connection, sort: sort)
                if !isSkipped { steps.append(.record(record.0)) }
                isSkipped = false
                connection = ""
                at = record.end
                continue
            default: throw GoldenMismatch(description: "\(path):\(at + 1): what is \"\(verb)\"?")
            }
            at += 1
        }
    }

    private func record(
        _ start: Int, _ words: [String], connection: String, sort: Sort
    ) throws(GoldenMismatch) -> (Record, end: Int) {
        var words = words
        var record = Record(
            line: start + 1, connection: connection, sql: "", expectation: .ok, retries: 0, backoffMillis: 0, expectedLines: 0..<0)
        if let retry = words.firstIndex(of: "retry"), retry + 3 < words.count, words[retry + 2] == "backoff" {
            record.retries = Int(words[retry + 1]) ?? 0
            record.backoffMillis = LogicScript.millis(words[retry + 3])
            words.removeSubrange(retry...)
        }
        var at = start + 1
        var sql: [String] = []
        while at < lines.count, !lines[at].isEmpty, lines[at] != "----" {
            sql.append(lines[at])
            at += 1
        }
        record.sql = sql.joined(separator: "\n")
        var expected: [String] = []
        if at < lines.count, lines[at] == "----" {
            let first = at + 1
            at = first
            while at < lines.count, !lines[at].isEmpty {
                expected.append(lines[at])
                at += 1
            }
            record.expectedLines = first..<at
        }
        let kind = words.count > 1 ? words[1] : ""
        if kind == "error" {
            let pattern = words.count > 2 ? words[2...].joined(separator: " ") : expected.joined(separator: "\n")
            record.expectation = .error(pattern.isEmpty ? nil : pattern)
        } else if words[0] == "query" {
            record.expectation = .rows(expected, words.dropFirst(2).compactMap(Sort.init(rawValue:)).first ?? sort)
        } else if kind == "count" {
            guard words.count > 2, let count = UInt64(words[2]) else {
                throw GoldenMismatch(description: "\(path):\(start + 1): statement count takes a number")
            }
            record.expectation = .count(count)
        } else if kind != "ok" {
            throw GoldenMismatch(description: "\(path):\(start + 1): a statement is ok, error or count, not \"\(kind)\"")
        }
        return (record, at)
    }

    /// `500ms`, `2s`.
    private static func millis(_ text: String) -> Int {
        if text.hasSuffix("ms") { return Int(text.dropLast(2)) ?? 0 }
        return (Int(text.hasSuffix("s") ? String(text.dropLast()) : text) ?? 0) * 1_000
    }
}
