import MartletConnectors
import MartletEngine
import MartletSQL

/// `martlet validate` and `martlet explain`: what a script means, without running it.
enum CheckCommands {
    static let validateHelp = """
        Usage: martlet validate FILE.sql... [-v NAME=VALUE]...

        Checks the files: syntax, names, types, options, and whether the views can run as streams. Reads no data.
        Exit code 0: fine; 78: an error, shown with its place.
        """

    static let explainHelp = """
        Usage: martlet explain FILE.sql... [-v NAME=VALUE]...

        Prints the optimised plan of each view and sink, and of each query; of a sink also what its readers may rely on across
        crashes when the pipeline runs with a data directory.
        """

    static func validate(_ words: [String]) throws -> Int32 {
        guard let script = try load(words, command: "validate") else { return ExitCode.configuration }
        let count = script.statements.count
        printError("\(count) statement\(count == 1 ? "" : "s") valid")
        return ExitCode.done
    }

    static func explain(_ words: [String]) throws -> Int32 {
        guard let script = try load(words, command: "explain") else { return ExitCode.configuration }
        for statement in script.statements {
            switch statement {
            case .createMaterializedView(let view): show("materialized view \(view.name)", view.plan)
            case .createSink(let sink):
                show("sink \(sink.name)", sink.plan)
                printOut("  guarantee: \(LocalConnectors.guarantee(of: sink).words)")
            case .select(let query):
                printOut("query")
                for line in query.explain().split(separator: "\n") { printOut("  \(line)") }
            case .explain(let text): printOut(text)
            case .createSource, .createView, .set, .show, .session, .skipped: break
            }
        }
        return ExitCode.done
    }

    private static func show(_ title: String, _ plan: Plan) {
        printOut(title)
        for line in plan.explain().split(separator: "\n") { printOut("  \(line)") }
    }

    private static func load(_ words: [String], command: String) throws -> LoadedScript? {
        let arguments = try Arguments(
            words, command: command, options: ["variable"], short: ["v": "variable"])
        guard !arguments.positional.isEmpty else { throw UsageError("needs an SQL file") }
        return try ScriptLoader.load(
            arguments.positional, variables: try arguments.variables(), command: command)
    }
}
