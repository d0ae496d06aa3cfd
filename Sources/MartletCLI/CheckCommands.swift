import MartletConnectors
import MartletEngine
import MartletSQL

/// `martlet validate` and `martlet explain`: what a script means, without running it.
enum CheckCommands {
    static let validateHelp = """
        Usage: martlet validate FILE.sql... [-v NAME=VALUE]...

        Checks the files: syntax, names, types, options, and whether the views can run as streams; warns of state that would grow
        without bound. Reads no data.
        Exit code 0: fine; 78: an error, shown with its place.
        """

    static let explainHelp = """
        Usage: martlet explain FILE.sql... [-v NAME=VALUE]...

        Prints the optimised plan of each view and sink, and of each query, with what is not parsed, what is shared, and what grows
        without bound; of a sink also what its readers may rely on across crashes when the pipeline runs with a data directory. At
        the end: what several views and sinks need, and is computed once for all of them.
        """

    static func validate(_ words: [String]) throws -> Int32 {
        guard let script = try load(words, command: "validate") else { return ExitCode.configuration }
        for warning in script.warnings { printError("WARNING:  \(warning.name): \(warning.text)") }
        let count = script.statements.count
        printError("\(count) statement\(count == 1 ? "" : "s") valid")
        return ExitCode.done
    }

    static func explain(_ words: [String]) throws -> Int32 {
        guard let script = try load(words, command: "explain") else { return ExitCode.configuration }
        var running: [(name: String, plan: Plan)] = []
        for statement in script.statements {
            switch statement {
            case .createMaterializedView(let view):
                show("materialized view \(view.name)", view.plan.explain(in: script.catalog))
                running.append((view.name, view.plan))
            case .createSink(let sink):
                show("sink \(sink.name)", sink.plan.explain(in: script.catalog))
                printOut("  guarantee: \(LocalConnectors.guarantee(of: sink).words)")
                running.append((sink.name, sink.plan))
            case .select(let query): show("query", query.explain(in: script.catalog))
            case .explain(let text): printOut(text)
            case .createSource, .createView, .set, .show, .session, .skipped: break
            }
        }
        let shared = SharedPlans.described(running)
        if !shared.isEmpty {
            printOut("computed once")
            for line in shared { printOut("  \(line)") }
        }
        return ExitCode.done
    }

    private static func show(_ title: String, _ plan: String) {
        printOut(title)
        for line in plan.split(separator: "\n") { printOut("  \(line)") }
    }

    private static func load(_ words: [String], command: String) throws -> LoadedScript? {
        let arguments = try Arguments(
            words, command: command, options: ["variable"], short: ["v": "variable"])
        guard !arguments.positional.isEmpty else { throw UsageError("needs an SQL file") }
        return try ScriptLoader.load(
            arguments.positional, variables: try arguments.variables(), command: command)
    }
}
