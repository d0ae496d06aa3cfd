import MartletCore
import MartletPlatform
import MartletPostgres

/// `martlet why`: what holds a view up, in a sentence.
enum WhyCommand {
    static let help = """
        Usage: martlet why VIEW [OPTIONS]

        Asks a running server (martlet serve) why a view, sink, table or source shows what it shows, or nothing: which source,
        partition, watermark, error or sink holds it, with the number and what to do. The same stands in SQL in martlet_why.

        Options:
          --server ADDR:PORT    where the server listens (default 127.0.0.1:4566)
          -o text|json          how it is printed (default text)
          --user NAME, --database NAME    default martlet, dev
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "why", options: ["server", "output", "user", "database"], flags: [], short: ["o": "output"])
        guard arguments.positional.count == 1, let name = arguments.positional.first else { throw UsageError("needs the name of one view") }
        let output = arguments.value("output") ?? "text"
        guard ["text", "json"].contains(output) else { throw UsageError("-o takes text or json, not \"\(output)\"") }
        let client = try SQLCommand.connect(arguments, command: "why")
        guard let client else { return ExitCode.failure }
        defer { client.close() }
        let plain = name.hasPrefix("public.") ? String(name.dropFirst("public.".count)) : name
        let literal = plain.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        var listing = Listing("name", "kind", "code", "explanation", "advice")
        var failure: SQLError?
        try client.query("SELECT name, kind, code, explanation, advice FROM martlet_why WHERE name = '\(literal)'") { message in
            switch message {
            case .dataRow(let cells):
                listing.rows.append(cells.map { cell in cell.map { .text(String(decoding: $0, as: UTF8.self)) } ?? .missing })
            case .error(let notice): failure = notice.error
            default: break
            }
        }
        if let failure { throw failure }
        guard !listing.rows.isEmpty else {
            printError("martlet why: relation \"\(name)\" does not exist")
            return ExitCode.failure
        }
        if output == "json" {
            listing.print(.json)
        } else {
            for row in listing.rows {
                printOut(row[3].text)
                if !row[4].text.isEmpty { printOut("  " + row[4].text) }
            }
        }
        return ExitCode.done
    }
}
