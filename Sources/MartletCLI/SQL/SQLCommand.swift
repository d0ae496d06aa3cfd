import Glibc
import MartletCore
import MartletPlatform
import MartletPostgres

/// `martlet sql`: asks a running server, from a terminal, a pipe, files or the command line.
enum SQLCommand {
    static let help = """
        Usage: martlet sql [OPTIONS] [FILE.sql...]

        Asks a running server (martlet serve). Without files and -c it reads statements from the terminal or from a pipe.
        Files and pipes end at the first error, with exit code 1.

        Options:
          --server ADDR:PORT    where the server listens (default 127.0.0.1:4566)
          -c TEXT               carry out TEXT and end; may be repeated
          -o table|csv|json     how rows are printed (default table)
          -x                    a line per column instead of a line per row
          --user NAME, --database NAME    default martlet, dev

        In a terminal: Tab completes, Ctrl-C cancels what runs or gives up the line, \\? lists the shell's own commands.
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "sql", options: ["server", "command", "output", "user", "database"], flags: ["x"],
            short: ["c": "command", "o": "output"])
        var printer = ResultPrinter()
        if let name = arguments.value("output") {
            guard let format = ResultPrinter.Format(rawValue: name) else {
                throw UsageError("-o takes table, csv or json, not \"\(name)\"")
            }
            printer.format = format
        }
        printer.isExpanded = arguments.has("x")
        guard let client = try connect(arguments, command: "sql") else { return ExitCode.failure }
        let shell = SQLShell(client, printer)
        defer { client.close() }
        let commands = arguments.all("command")
        if !commands.isEmpty || !arguments.positional.isEmpty {
            for text in commands where !shell.run(LineSource(text: text)) { return ExitCode.failure }
            for path in arguments.positional where !shell.run(try LineSource(path: path)) { return ExitCode.failure }
            return ExitCode.done
        }
        if Terminal.isTerminal(STDIN_FILENO) {
            let home = environment("HOME")
            let editor = LineEditor(historyPath: home.map { $0 + "/.martlet_history" })
            let cancel = FrontendWriter(ByteSink())
            cancel.cancel(processID: client.processID, key: client.cancelKey)
            editor.interruptsSend(cancel.sink.bytes, to: try address(arguments))
            return shell.converse(editor) ? ExitCode.done : ExitCode.failure
        }
        return shell.run(try LineSource(path: "-")) ? ExitCode.done : ExitCode.failure
    }

    private static func address(_ arguments: Arguments) throws -> ListenAddress {
        do throws(ListenError) {
            return try ListenAddress(parsing: arguments.value("server") ?? "127.0.0.1:4566")
        } catch {
            throw UsageError("--server: \(error.message)")
        }
    }

    /// A connection to the server that the arguments name; nil: it refused, and that was said.
    static func connect(_ arguments: Arguments, command: String) throws -> PostgresClient? {
        let address = try address(arguments)
        let identity = ClientIdentity(
            user: arguments.value("user") ?? "martlet", database: arguments.value("database") ?? "dev",
            password: environment("PGPASSWORD"), parameters: [("application_name", "martlet \(command)"), ("client_encoding", "UTF8")])
        let transport = try SQLTransport(address)
        let entropy = SystemEntropy()
        let nonce = (0..<3).flatMap { _ in withUnsafeBytes(of: entropy.next()) { Array($0) } }
        do throws(SQLError) {
            return try PostgresClient(transport, identity, nonce: nonce)
        } catch {
            printError("martlet \(command): \(error.message)")
            return nil
        }
    }
}

/// A socket, for the client.
final class SQLTransport: ClientTransport {
    private let socket: TCPClient

    init(_ address: ListenAddress) throws {
        do throws(ListenError) {
            socket = try TCPClient(address)
        } catch {
            throw SQLError(.connectionException, error.message, hint: "Is the server running? 'martlet serve --data-dir DIR' starts one.")
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(ListenError) { try socket.send(bytes) } catch { throw SQLError(.connectionException, error.message) }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> Int {
        do throws(ListenError) {
            return try socket.receive(into: buffer)
        } catch {
            throw SQLError(.connectionException, error.message)
        }
    }
}

/// Lines of a text, a file or standard input, without their ends.
final class LineSource {
    private var rest: [Substring]
    private var at = 0

    init(text: String) { rest = text.split(separator: "\n", omittingEmptySubsequences: false) }

    /// `-`: standard input.
    init(path: String) throws {
        let text = try ScriptLoader.read(path)
        rest = text.split(separator: "\n", omittingEmptySubsequences: false)
        if rest.last == "" { rest.removeLast() }
    }

    func next() -> String? {
        guard at < rest.count else { return nil }
        defer { at += 1 }
        return String(rest[at])
    }
}
