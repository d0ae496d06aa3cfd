package import MartletCore

/// What a script's statements are put to.
package protocol LogicConnection: AnyObject {
    /// Rows as text (nil: NULL) and the count that the command's tag names. Throws what the server answers.
    func carryOut(_ sql: String) throws(SQLError) -> LogicAnswer
}

package struct LogicAnswer: Sendable {
    package var rows: [[String?]]
    package var count: UInt64

    package init(rows: [[String?]], count: UInt64) {
        self.rows = rows
        self.count = count
    }
}

/// Runs scripts and says what differs.
package final class LogicRun {
    private let connect: (String) throws(SQLError) -> any LogicConnection
    private let sleep: (Int) -> Void
    private let include: (String) throws -> String
    private var connections: [String: any LogicConnection] = [:]
    package private(set) var differences: [String] = []
    package private(set) var recordsRun = 0
    /// Lines of the script and what is to stand there instead, for whoever rewrites it.
    package private(set) var replacements: [(lines: Range<Int>, rows: [String])] = []

    /// `connect` opens a session, by its name in the script; `sleep` takes milliseconds; `include` gives a file's text.
    package init(
        connect: @escaping (String) throws(SQLError) -> any LogicConnection, sleep: @escaping (Int) -> Void,
        include: @escaping (String) throws -> String
    ) {
        self.connect = connect
        self.sleep = sleep
        self.include = include
    }

    package func run(_ script: LogicScript) throws {
        for step in script.steps {
            switch step {
            case .halt: return
            case .sleep(let millis): sleep(millis)
            case .include(let path): try run(LogicScript(parsing: try include(path), path: path))
            case .record(let record): try run(record, of: script)
            }
        }
    }

    private func run(_ record: LogicScript.Record, of script: LogicScript) throws {
        recordsRun += 1
        var difference = try check(record)
        var retries = record.retries
        while difference != nil, retries > 0 {
            sleep(record.backoffMillis)
            difference = try check(record)
            retries -= 1
        }
        if let difference { differences.append("\(script.path):\(record.line): \(record.sql)\n\(difference)") }
    }

    private func connection(_ name: String) throws(SQLError) -> any LogicConnection {
        if let known = connections[name] { return known }
        let made = try connect(name)
        connections[name] = made
        return made
    }

    /// nil: as expected.
    private func check(_ record: LogicScript.Record) throws -> String? {
        let answer: LogicAnswer
        do throws(SQLError) {
            answer = try connection(record.connection).carryOut(record.sql)
        } catch {
            guard case .error(let pattern) = record.expectation else { return "failed: \(error)" + (error.hint.map { "\nhint: \($0)" } ?? "") }
            return LogicRun.matches(error, pattern) ? nil : "expected an error like: \(pattern ?? "")\nfound: \(error)"
        }
        switch record.expectation {
        case .ok: return nil
        case .count(let count): return answer.count == count ? nil : "expected \(count) rows, found \(answer.count)"
        case .error(let pattern): return "expected an error\(pattern.map { " like: \($0)" } ?? ""), found none"
        case .rows(let expected, let sort):
            let found = LogicRun.lines(answer.rows, sort)
            let wanted = LogicRun.sorted(expected.map(LogicRun.collapsed), sort)
            if found == wanted { return nil }
            replacements.append((record.expectedLines, found))
            return lineDifference(wanted.joined(separator: "\n"), found.joined(separator: "\n"))
        }
    }

    private static func matches(_ error: SQLError, _ pattern: String?) -> Bool {
        guard let pattern else { return true }
        let text = "\(error.state.code): \(error.message)" + (error.detail.map { "\n\($0)" } ?? "")
        if text.contains(pattern) { return true }
        return (try? Regex(pattern, RegexOptions()).matches(text)) ?? false
    }

    private static func lines(_ rows: [[String?]], _ sort: LogicScript.Sort) -> [String] {
        let cells = rows.map { $0.map { cell in cell.map { $0.isEmpty ? "(empty)" : $0 } ?? "NULL" } }
        if sort == .valuesort { return sorted(cells.flatMap { $0 }.map(collapsed), sort) }
        return sorted(cells.map { collapsed($0.joined(separator: " ")) }, sort)
    }

    private static func sorted(_ lines: [String], _ sort: LogicScript.Sort) -> [String] {
        sort == .nosort ? lines : lines.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// One blank where there are several, none at the ends.
    private static func collapsed(_ line: String) -> String {
        line.split { $0 == " " || $0 == "\t" || $0 == "\n" }.joined(separator: " ")
    }
}
