import Glibc
import MartletCore
import MartletPlatform
import MartletPostgres

/// Statements and the shell's own commands on their way to a server, and what comes back.
final class SQLShell {
    private let client: PostgresClient
    private var printer: ResultPrinter
    private var splitter = StatementSplitter()
    private var showsTiming = false
    private var isTerminal = false
    private var isOver = false
    private let clock = SystemClock()
    /// Where the rows of COPY … FROM STDIN come from: the lines behind the statement.
    private var nextLine: () -> String? = { nil }
    /// The rows of a COPY were given up.
    private var isAbandoned = false
    /// What the server has, until a statement may have changed that.
    private var completion: ShellCompletion?

    init(_ client: PostgresClient, _ printer: ResultPrinter) {
        self.client = client
        self.printer = printer
    }

    /// Everything in `lines`; false at the first error.
    func run(_ lines: LineSource) -> Bool {
        nextLine = lines.next
        while let line = lines.next() {
            if !take(line) { return false }
            if isOver { return true }
        }
        return splitter.finish().map(carryOut) ?? true
    }

    /// A person at a terminal, until they leave; false where the connection was lost.
    func converse(_ editor: LineEditor) -> Bool {
        isTerminal = true
        printOut("martlet \(CommandLineTool.version), server \(client.parameters["server_version"] ?? "?"). \\? for help, \\q to leave.")
        // The editor asks the shell for names, and keeps its history when it is let go of.
        defer { nextLine = { nil } }
        nextLine = { [self] in
            switch editor.line(prompt: ">> ") {
            case .line(let line): return line
            case .interrupted:
                isAbandoned = true
                return nil
            case .end: return nil
            }
        }
        editor.complete { [self] before, word in candidates(before, word) }
        while !isOver {
            let status = client.status == .idle ? "" : client.status == .open ? "*" : "!"
            let line: String
            switch editor.line(prompt: "martlet\(splitter.mark)\(status)> ") {
            case .line(let read): line = read
            case .interrupted:
                splitter = StatementSplitter()
                continue
            case .end: return true
            }
            if line.utf8.contains(where: { $0 > 0x20 }) { editor.remember(line) }
            if !take(line), isLost { return false }
        }
        return true
    }

    private var isLost = false

    private func take(_ line: String) -> Bool {
        let words = line.split(separator: " ").map(String.init)
        if splitter.isEmpty, let word = words.first, word.hasPrefix("\\") {
            return command(word, Array(words.dropFirst()))
        }
        for statement in splitter.add(line + "\n") where !carryOut(statement) { return false }
        return true
    }

    private func candidates(_ before: String, _ word: String) -> [String] {
        // In a transaction that has failed the server answers nothing.
        if completion == nil, client.status != .failed { completion = known() }
        return (completion ?? ShellCompletion()).candidates(splitter.pending + before, word)
    }

    private func known() -> ShellCompletion {
        var known = ShellCompletion()
        _ = try? client.query(SQLShell.knownColumns) { message throws(SQLError) in
            guard case .dataRow(let cells) = message, cells.count == 3 else { return }
            let texts = cells.map { $0.map { String(decoding: $0, as: UTF8.self) } ?? "" }
            if known.relations.last.map({ $0.schema == texts[0] && $0.name == texts[1] }) != true {
                known.relations.append(ShellCompletion.Relation(schema: texts[0], name: texts[1], columns: []))
            }
            known.relations[known.relations.count - 1].columns.append(ShellCompletion.quoted(texts[2]))
        }
        _ = try? client.query("SHOW FUNCTIONS") { message throws(SQLError) in
            if case .dataRow(let cells) = message, let name = cells.first?.map({ $0 }) { known.functions.append(String(decoding: name, as: UTF8.self) + "(") }
        }
        return known
    }

    private static let knownColumns = """
        SELECT table_schema, table_name, column_name FROM information_schema.columns
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') OR table_name LIKE 'martlet%' ORDER BY 1, 2, ordinal_position
        """

    // MARK: Statements

    private func carryOut(_ given: String) -> Bool {
        // Lines are counted from the statement's first.
        let text = String(given.drop(while: \.isWhitespace))
        completion = nil
        let start = clock.monotonicNanos()
        var isGood = true
        do throws(SQLError) {
            try client.query(text) { message throws(SQLError) in
                if case .error(let notice) = message {
                    isGood = false
                    show(notice, text)
                } else {
                    try show(message, text)
                }
            }
        } catch {
            printError(CommandLineTool.rendered(error))
            isLost = true
            isOver = true
            return false
        }
        if showsTiming {
            let micros = (clock.monotonicNanos() - start) / 1_000
            let digits = String(micros % 1_000)
            printError("Time: \(micros / 1_000).\(String(repeating: "0", count: 3 - digits.count))\(digits) ms")
        }
        return isGood
    }

    private func show(_ message: BackendMessage, _ text: String) throws(SQLError) {
        switch message {
        case .rowDescription(let columns): printer.begin(columns)
        case .dataRow(let cells): printer.row(cells)
        case .commandComplete(let tag):
            // Rows speak for themselves.
            let isRows = ["SELECT", "SHOW", "FETCH", "EXPLAIN"].contains { tag.hasPrefix($0) } && !tag.hasPrefix("SELECT INTO")
            if isRows {
                printer.end()
            } else if printer.format == .table || isTerminal {
                printOut(tag)
            }
        case .notice(let notice): show(notice, text)
        case .copyIn: try sendCopy()
        case .copyData(let bytes): writeAll(String(decoding: bytes, as: UTF8.self), to: STDOUT_FILENO)
        default: break
        }
    }

    /// The lines up to `\.`.
    private func sendCopy() throws(SQLError) {
        isAbandoned = false
        while let line = nextLine(), line != "\\." {
            Array((line + "\n").utf8).withUnsafeBytes { client.writer.copyData($0) }
            if client.writer.sink.count > 64 << 10 { try client.flush() }
        }
        if isAbandoned { client.writer.copyFail("canceled by user") } else { client.writer.copyDone() }
        try client.flush()
    }

    /// As psql shows it: the line, and a caret under the place.
    private func show(_ notice: SQLNotice, _ text: String) {
        let error = notice.error
        var lines = ["\(notice.severity):  \(error.message)"]
        if let position = error.position {
            let scalars = Array(text.unicodeScalars)
            let at = min(max(position - 1, 0), scalars.count)
            let start = scalars[..<at].lastIndex(of: "\n").map { $0 + 1 } ?? 0
            let end = scalars[at...].firstIndex(of: "\n") ?? scalars.count
            let prefix = "LINE \(scalars[..<at].count { $0 == "\n" } + 1): "
            var line = String.UnicodeScalarView()
            line.append(contentsOf: scalars[start..<end])
            lines.append(prefix + String(line))
            lines.append(String(repeating: " ", count: prefix.count + at - start) + "^")
        }
        if let detail = error.detail { lines.append("DETAIL:  \(detail)") }
        if let hint = error.hint { lines.append("HINT:  \(hint)") }
        printError(lines.joined(separator: "\n"))
    }

    // MARK: The shell's own commands

    private static let commandHelp = """
        \\q             leave
        \\d [NAME]      what there is, or the columns of NAME
        \\dt \\dv \\dm \\ds    tables, views, materialized views, sources
        \\df [NAME]     functions
        \\x             a line per column, or per row
        \\timing        how long statements take
        \\o FORMAT      print rows as table, csv or json
        \\i FILE        carry out a file
        \\? help
        """

    private func command(_ word: String, _ arguments: [String]) -> Bool {
        let argument = arguments.first.map { $0.hasSuffix(";") ? String($0.dropLast()) : $0 }
        switch word {
        case "\\q": isOver = true
        case "\\?", "\\h": printOut(SQLShell.commandHelp)
        case "\\x":
            printer.isExpanded.toggle()
            printError("Expanded display is \(printer.isExpanded ? "on" : "off").")
        case "\\timing":
            showsTiming.toggle()
            printError("Timing is \(showsTiming ? "on" : "off").")
        case "\\o":
            guard let format = ResultPrinter.Format(rawValue: argument ?? "") else { return refuse("\\o takes table, csv or json") }
            printer.format = format
        case "\\i":
            guard let path = argument else { return refuse("\\i takes a file's name") }
            return include(path)
        case "\\d" where argument != nil: return carryOut(SQLShell.columns(of: argument ?? ""))
        case "\\d": return carryOut(SQLShell.everything)
        case "\\dt", "\\dv", "\\dm", "\\ds", "\\di", "\\df", "\\dn", "\\l": return carryOut(SQLShell.listings[word] ?? "")
        default: return refuse("unknown command \(word); \\? lists what there is")
        }
        return true
    }

    private static let everything = """
        SELECT table_schema AS schema, table_name AS name, table_type AS type FROM information_schema.tables
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
        """

    private static let listings = [
        "\\dt": "SHOW TABLES", "\\dv": "SHOW VIEWS", "\\dm": "SHOW MATERIALIZED VIEWS", "\\ds": "SHOW SOURCES", "\\di": "SHOW INDEXES",
        "\\df": "SHOW FUNCTIONS", "\\dn": "SHOW SCHEMAS", "\\l": "SHOW DATABASES",
    ]

    /// `name` or `schema.name`, as it would be written in SQL.
    private static func columns(of name: String) -> String { "DESCRIBE \(name)" }

    private func include(_ path: String) -> Bool {
        do {
            let lines = try LineSource(path: path)
            let outer = nextLine
            defer { nextLine = outer }
            return run(lines)
        } catch {
            return refuse("\(error)")
        }
    }

    private func refuse(_ reason: String) -> Bool {
        printError(reason)
        return false
    }
}
