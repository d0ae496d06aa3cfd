import MartletConnectors
import MartletPlatform

/// `martlet generate`: the command line of the generators.
enum GenerateArguments {
    static let help = """
        Usage: martlet generate KIND --events N --out DIR [OPTIONS]

        Writes made-up events as DIR/<stream>-<k>.ndjson, the same for the same options every time.
        Kinds: nexmark (person, auction, bid), fraud (payments), cart, iot.

        Options:
          --events N            how many events, over all streams
          --out DIR             where the files go
          --seed S              another seed, other events (default 0)
          --files K             files per stream, with equal parts of it (default 1)
          --rate R              events per second of event time
          --disorder DURATION   lines stand up to this far from their place in event time, such as 2s
          --late SHARE          share of events that come much later than that, such as 0.01
          --bad SHARE           share of events whose line is damaged
          --duplicates SHARE    share of events whose line comes twice
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "generate", options: Set(GeneratorOptions.names).union(["out", "files"]))
        guard arguments.positional.count == 1 else {
            throw UsageError("needs one kind: nexmark, fraud, cart or iot")
        }
        guard let directory = arguments.value("out") else { throw UsageError("needs --out DIR") }
        guard arguments.value("events") != nil else { throw UsageError("needs --events N") }
        let command: GenerateCommand
        do throws(GeneratorError) {
            var options = try GeneratorOptions(kind: arguments.positional[0])
            for name in GeneratorOptions.names {
                if let text = arguments.value(name) { try options.set(name, to: text) }
            }
            try options.validate()
            let files = arguments.value("files").map { Int($0) ?? 0 } ?? 1
            guard files >= 1 && files <= 10_000 else { throw GeneratorError("files is between 1 and 10000") }
            command = GenerateCommand(options: options, directory: directory, files: files)
        } catch {
            throw UsageError(error.description)
        }
        for file in try command.run(on: SystemDisk()) {
            printError("\(file.path): \(grouped(file.lines)) lines, \(grouped(UInt64(file.bytes))) bytes")
        }
        return ExitCode.done
    }
}
