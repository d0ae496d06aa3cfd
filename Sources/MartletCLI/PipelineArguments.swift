import MartletConnectors
import MartletCore
import MartletEngine
import MartletPlatform
import MartletSQL

/// What `run` and `serve` are told about how a pipeline is kept.
enum PipelineArguments {
    static let options: Set<String> = ["name", "checkpoint-seconds", "memory-limit"]
    static let flags: Set<String> = ["reset"]
    /// Of the live bench, to show what commits cost (bench/README.md).
    private static let withoutCommits = "MARTLET_BENCH_WITHOUT_COMMITS"

    static func settings(
        _ arguments: Arguments, _ script: LoadedScript, _ opened: DataDirectory.Opened, directory: String, logger: StructuredLog
    ) throws(UsageError) -> DurableSettings {
        var settings = try settings(
            arguments, named: fileName(script.inputs.first?.name ?? ""), opened, directory: directory, logger: logger)
        settings.options.definition = script.definition
        return settings
    }

    /// - Parameter fallback: the name where none is given.
    static func settings(
        _ arguments: Arguments, named fallback: String, _ opened: DataDirectory.Opened, directory: String, logger: StructuredLog
    ) throws(UsageError) -> DurableSettings {
        let name = arguments.value("name") ?? fallback
        guard DurablePlace.name(of: name) == name || arguments.value("name") == nil else {
            throw UsageError("--name takes letters, digits, - and _, not \"\(name)\"")
        }
        var settings = DurableSettings(
            DurablePlace(log: opened.log, directory: directory, name: DurablePlace.name(of: name)), logger: logger)
        if let seconds = try arguments.integer("checkpoint-seconds", in: 1...86_400) {
            settings.options.checkpointNanos = Int64(seconds) * 1_000_000_000
        }
        settings.resets = arguments.has("reset")
        if environment(withoutCommits) == "1" {
            settings.options.isWithoutCommits = true
            logger.warn(
                "commits are disabled: a restart loses state and repeats outputs; this is for measuring only",
                ["variable": .string(withoutCommits)])
        }
        return settings
    }

    /// `pipelines/fraud.sql` is called `fraud`.
    private static func fileName(_ path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        return last.hasSuffix(".sql") ? String(last.dropLast(4)) : last
    }
}

extension LoadedScript {
    /// The texts as far as they say what is computed: without blank lines, lines that are comments, and blanks at the ends.
    var definition: String {
        var lines: [String] = []
        for input in inputs {
            for line in input.text.split(whereSeparator: \.isNewline) {
                let kept = line.drop { $0 == " " || $0 == "\t" }
                if kept.isEmpty || kept.hasPrefix("--") { continue }
                lines.append(String(String(kept.reversed().drop { $0 == " " || $0 == "\t" }.reversed())))
            }
        }
        return lines.joined(separator: "\n")
    }
}
