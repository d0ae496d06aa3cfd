import Glibc
import MartletConnectors
import MartletCore
import MartletPlatform

func printError(_ text: String) {
    writeAll(text + "\n", to: STDERR_FILENO)
}

func printOut(_ text: String) {
    writeAll(text + "\n", to: STDOUT_FILENO)
}

func writeAll(_ text: String, to descriptor: Int32) {
    var copy = text
    copy.withUTF8 { bytes in
        var written = 0
        while written < bytes.count {
            let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                return
            }
            written += count
        }
    }
}

/// The commands and what they say of themselves.
enum CommandLineTool {
    static let version = "0.1.0"

    struct Command {
        var name: String
        var summary: String
        var help: String
        var run: @Sendable ([String]) throws -> Int32
    }

    static let commands: [Command] = [
        Command(name: "run", summary: "run the pipeline in SQL files", help: RunCommand.help, run: RunCommand.run),
        Command(
            name: "serve", summary: "serve log and database to Kafka and PostgreSQL clients", help: ServeCommand.help,
            run: ServeCommand.run),
        Command(name: "sql", summary: "ask a running server", help: SQLCommand.help, run: SQLCommand.run),
        Command(
            name: "why", summary: "say why a view shows nothing or stands still", help: WhyCommand.help, run: WhyCommand.run),
        Command(
            name: "query", summary: "ask once: files, or what a data directory keeps", help: QueryCommand.help, run: QueryCommand.run),
        Command(
            name: "topic", summary: "make, list, change, write and read topics of a server", help: TopicCommand.help,
            run: TopicCommand.run),
        Command(
            name: "checkpoint", summary: "list and verify the states that a data directory keeps", help: CheckpointCommand.help,
            run: CheckpointCommand.run),
        Command(
            name: "savepoint", summary: "copy a data directory, or a savepoint back", help: SavepointCommand.help,
            run: SavepointCommand.run),
        Command(
            name: "validate", summary: "check SQL files without running them", help: CheckCommands.validateHelp,
            run: CheckCommands.validate),
        Command(
            name: "explain", summary: "show how the views and sinks of SQL files would run", help: CheckCommands.explainHelp,
            run: CheckCommands.explain),
        Command(
            name: "generate", summary: "write made-up events to files", help: GenerateArguments.help,
            run: GenerateArguments.run),
        Command(name: "demo", summary: "watch a pipeline find fraud", help: Demo.help, run: Demo.run),
    ]

    static func run(_ words: [String]) -> Int32 {
        guard let name = words.first else {
            printOut(usage)
            return ExitCode.done
        }
        switch name {
        case "--help", "-h", "help":
            if words.count > 1, let command = commands.first(where: { $0.name == words[1] }) {
                printOut(command.help)
            } else {
                printOut(usage)
            }
            return ExitCode.done
        case "--version", "version":
            printOut("martlet \(version)")
            return ExitCode.done
        default:
            break
        }
        guard let command = commands.first(where: { $0.name == name }) else {
            let near = nearest(name, among: commands.map(\.name))
            printError("martlet: unknown command \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
            printError("Try 'martlet --help'.")
            return ExitCode.usage
        }
        let rest = Array(words.dropFirst())
        let options = rest.prefix { $0 != "--" }
        if options.contains("--help") || options.contains("-h") {
            printOut(command.help)
            return ExitCode.done
        }
        if options.contains("--version") {
            printOut("martlet \(version)")
            return ExitCode.done
        }
        do {
            return try command.run(rest)
        } catch let error as UsageError {
            printError("martlet \(name): \(error.message)")
            printError("Try 'martlet \(name) --help'.")
            return ExitCode.usage
        } catch let error as SQLError {
            printError(rendered(error))
            return ExitCode.failure
        } catch {
            printError("martlet \(name): \(error)")
            return ExitCode.failure
        }
    }

    /// An error without a place in a text.
    static func rendered(_ error: SQLError) -> String {
        var text = "ERROR:  \(error.message)"
        if let detail = error.detail { text += "\nDETAIL:  \(detail)" }
        if let hint = error.hint { text += "\nHINT:  \(hint)" }
        return text
    }

    static var usage: String {
        let width = commands.map(\.name.count).max() ?? 0
        let list = commands.map { command in
            "  \(command.name)\(String(repeating: " ", count: width - command.name.count))  \(command.summary)"
        }
        return """
            Martlet: one SQL file becomes a running event-time pipeline.

            Usage: martlet COMMAND [ARGUMENTS]

            Commands:
            \(list.joined(separator: "\n"))

            'martlet COMMAND --help' says more; 'martlet --version' names the version.
            """
    }
}
