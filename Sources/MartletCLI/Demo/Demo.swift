import Glibc
import MartletConnectors
import MartletCore
import MartletPlatform
import MartletSQL

/// `martlet demo`: made-up input with planted trouble, the example's pipeline over it, and what came of it, in under a
/// minute. First a backlog as fast as it goes, then live input at a steady rate.
struct Demo {
    static let help = """
        Usage: martlet demo [fraud|cart|iot] [OPTIONS]

        Makes input with disorder, late, repeated and broken events, runs the pipeline of examples/<kind>.sql over it and
        shows what came in, which alerts fired, what was late, what could not be read and why, and how fast it went.

        Options:
          --events N      events of the backlog (default 500000)
          --live SECONDS  how long input then comes live (default 10; 0: not at all)
          --seed S        other input (default 7)
          --dir DIR       where input and output are kept (default ./martlet-demo)
          --shards N      threads that process (default: one per core)
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(words, command: "demo", options: ["events", "live", "seed", "dir", "shards"])
        let name = arguments.positional.first ?? "fraud"
        guard arguments.positional.count <= 1, let kind = GeneratorKind(rawValue: name), let story = DemoStory.of(kind) else {
            throw UsageError("there are the demos fraud, cart and iot", command: "demo")
        }
        var options = GeneratorOptions(kind: kind)
        options.events = UInt64(try arguments.integer("events", in: 1...1_000_000_000) ?? 500_000)
        options.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 7)
        options.disorder = 2_000_000
        options.late = 0.001
        options.bad = 0.001
        options.duplicates = 0.001
        let demo = Demo(
            story: story, options: options, directory: arguments.value("dir") ?? "martlet-demo",
            liveSeconds: try arguments.integer("live", in: 0...3600) ?? 10,
            shards: try arguments.integer("shards", in: 1...256) ?? min(WorkerThread.coreCount, 256))
        try StopSignals.install()
        return try demo.run()
    }

    let story: DemoStory
    let options: GeneratorOptions
    let directory: String
    let liveSeconds: Int
    let shards: Int
    let screen = DemoScreen()
    let clock = SystemClock()

    private func run() throws -> Int32 {
        screen.line(screen.paint("Martlet demo: \(story.title)", .strong))
        let files = try generate()
        let backlog = try runBacklog(files)
        if let backlog, liveSeconds > 0, !StopSignals.isStopRequested { try runLive(after: backlog) }
        if backlog == nil { return ExitCode.failure }
        showNext()
        return ExitCode.done
    }

    // MARK: Backlog

    private func generate() throws -> [GenerateCommand.WrittenFile] {
        let start = clock.monotonicNanos()
        let files = try GenerateCommand(options: options, directory: "\(directory)/in", files: 2).run(on: SystemDisk(), threads: shards)
        let elapsed = clock.monotonicNanos() - start
        let bytes = files.reduce(0) { $0 + $1.bytes }
        screen.heading("Made")
        screen.fact(
            "\(grouped(options.events ?? 0))",
            "\(story.events), \(size(bytes: bytes)) in \(files.count) files, in \(duration(nanos: elapsed))")
        screen.fact("", screen.paint("up to 2 s out of order; 0.1 % minutes late, 0.1 % broken, 0.1 % sent twice", .faint))
        return files
    }

    private func runBacklog(_ files: [GenerateCommand.WrittenFile]) throws -> DemoOutcome? {
        try write(pipeline: backlogPipeline, to: "\(directory)/\(story.kind.rawValue).sql")
        let outcome = DemoOutcome(story: story, directory: directory, name: "out")
        guard
            let script = try ScriptLoader.load(
                ["\(directory)/\(story.kind.rawValue).sql"],
                variables: ["path": "\(directory)/in/\(story.source)-*.ndjson", "alerts": outcome.alertPath], command: "demo")
        else { return nil }
        try SystemDisk().makeDirectories(outcome.directory)
        var settings = RunOptions(shards: shards)
        settings.outDirectory = outcome.directory
        let start = clock.monotonicNanos()
        let run = try PipelineRun(script.statements, options: settings, registry: nil)
        let progress = Terminal.isTerminal(STDERR_FILENO) ? ProgressLine(run) : nil
        try run.run(shouldStop: { StopSignals.isStopRequested }) { _ in progress?.update() }
        progress?.clear()
        let elapsed = clock.monotonicNanos() - start
        try outcome.collect(from: run)
        showBacklog(outcome, lines: files.reduce(0) { $0 + $1.lines }, nanos: elapsed)
        return outcome
    }

    private static let reasonsShown = 7

    private func showBacklog(_ outcome: DemoOutcome, lines: UInt64, nanos: Int64) {
        screen.heading("Ran")
        let perSecond = UInt64(Double(outcome.read) * 1e9 / Double(max(nanos, 1)))
        screen.fact(
            grouped(outcome.read), "lines in \(duration(nanos: nanos)): \(grouped(perSecond)) a second on \(shards) threads")

        screen.heading("Alerts")
        for alert in story.alerts {
            let count = UInt64(outcome.alerts[alert.name]?.count ?? 0)
            screen.fact(grouped(count), "\(screen.paint(screen.padded(alert.name, 16), .alert))\(alert.meaning)")
        }
        for sample in outcome.samples.prefix(4) { screen.line("      " + screen.paint(screen.clipped(sample, indent: 6), .faint)) }
        for planted in story.planted(options) {
            let found = Set((outcome.alerts[planted.alert] ?? []).map(\.subject)).intersection(planted.subjects).count
            screen.fact(
                "", "\(planted.what): \(grouped(UInt64(planted.subjects.count))) were planted, \(grouped(UInt64(found))) found",
                .good)
        }

        screen.heading("Late")
        screen.fact(
            grouped(outcome.lateRows), "rows came after a view had closed their window; kept in \(outcome.latePath)", .late)
        for (view, count) in outcome.late.sorted(by: { $0.key < $1.key }) {
            screen.line("      " + screen.padded(grouped(count), 8) + "for \(view)")
        }
        if let sample = outcome.lateSample { screen.line("              " + screen.paint(screen.clipped(sample, indent: 14), .faint)) }

        screen.heading("Dead letters")
        screen.fact(grouped(outcome.deadLetters), "could not be read; kept in \(outcome.deadLetterPath)", .dead)
        for reason in outcome.reasons.prefix(Demo.reasonsShown) {
            screen.line("      " + screen.padded(grouped(reason.count), 8) + screen.clipped(reason.text, indent: 14))
            let place = reason.place.isEmpty ? "" : "\(reason.place)  "
            screen.line("              " + screen.paint(screen.clipped(place + reason.payload, indent: 14), .faint))
        }
        if outcome.reasons.count > Demo.reasonsShown {
            screen.line("      " + screen.paint("and \(outcome.reasons.count - Demo.reasonsShown) rarer reasons", .faint))
        }
        let accounted = outcome.accepted + outcome.deadLetters
        screen.fact(
            "", "\(grouped(lines)) lines written = \(grouped(outcome.accepted)) taken + \(grouped(outcome.deadLetters)) dead letters",
            accounted == lines ? .good : .alert)
    }

    // MARK: Live

    private static let livePerSecond: UInt64 = 20_000

    /// The same pipeline over a file that grows by `livePerSecond` lines; events go on where the backlog ended.
    private func runLive(after backlog: DemoOutcome) throws {
        let outcome = DemoOutcome(story: story, directory: directory, name: "live-out")
        try SystemDisk().makeDirectories(outcome.directory)
        let inputPath = "\(directory)/live.ndjson"
        try write(pipeline: livePipeline, to: "\(directory)/\(story.kind.rawValue)-live.sql")
        guard
            let script = try ScriptLoader.load(
                ["\(directory)/\(story.kind.rawValue)-live.sql"],
                variables: ["path": inputPath, "alerts": outcome.alertPath, "results": "\(outcome.directory)/results.ndjson"],
                command: "demo")
        else { return }
        let feeder = try LiveFeeder(
            options, from: options.events ?? 0, perSecond: Demo.livePerSecond, seconds: liveSeconds, to: inputPath)
        let lapse = Demo.livePerSecond / (options.rate ?? options.kind.defaultRate)
        screen.heading("Live")
        screen.fact(
            grouped(Demo.livePerSecond), "\(story.events) a second for \(liveSeconds) s; event time runs \(grouped(lapse)) times as fast")
        var settings = RunOptions(shards: shards)
        settings.outDirectory = outcome.directory
        let run = try PipelineRun(script.statements, options: settings, registry: nil)
        let alerts = NDJSONTail(outcome.alertPath)
        var shown = 0
        let thread = try WorkerThread(name: "demo-live") { feeder.run() }
        defer {
            feeder.stop()
            thread.join()
        }
        var lookedNanos: Int64 = 0
        func look() {
            lookedNanos = clock.monotonicNanos()
            try? alerts.read { line in
                shown += 1
                // What a person can read; the rest is counted.
                if shown <= 12 { screen.line("      " + screen.paint(screen.clipped(DemoOutcome.describe(line, story), indent: 6), .alert)) }
            }
        }
        try run.run(shouldStop: { StopSignals.isStopRequested || feeder.isDone(after: DemoOutcome.taken(run)) }) { _ in
            if clock.monotonicNanos() - lookedNanos > 100_000_000 { look() }
        }
        look()
        if let failure = feeder.failure { throw failure }
        if shown > 12 { screen.line("      " + screen.paint("and \(grouped(UInt64(shown - 12))) more", .faint)) }
        let latency = run.latency.snapshot()
        screen.fact(
            "Latency", "from line read to result written, \(grouped(latency.count)) results: "
                + screen.paint("p50 \(duration(nanos: latency.p50)), p99 \(duration(nanos: latency.p99))", .strong))
    }

    // MARK: The pipelines' texts

    private var backlogPipeline: String {
        story.pipeline.replacing("connector = 'stdout'", with: "connector = 'file', path = :'alerts'")
    }

    private var livePipeline: String {
        backlogPipeline.replacing("path = :'path',", with: "path = :'path',\n  follow = true,") + """

            -- One result per event, to measure the way from a line read to a result written.
            CREATE SINK results AS
            \(story.perEvent)
            WITH (connector = 'file', path = :'results') FORMAT PLAIN ENCODE JSON;

            """
    }

    private func write(pipeline text: String, to path: String) throws {
        let file = try SystemDisk().openFile(path, .replace)
        let sink = ByteSink()
        sink.append(text: text)
        try file.append(sink.bytes)
    }

    private func showNext() {
        let kind = story.kind.rawValue
        screen.heading("What to try next")
        screen.fact("See the SQL", "less \(directory)/\(kind).sql")
        screen.fact(
            "Run it again", "martlet run \(directory)/\(kind).sql -v path='\(directory)/in/\(story.source)-*.ndjson' -v alerts=alerts.ndjson")
        screen.fact("Change a limit", "edit the file, and run it again; 'martlet explain' shows how it runs")
        screen.fact("Read the letters", "head \(directory)/out/\(story.source)_dlq.ndjson")
        screen.fact("Other stories", DemoStory.others(than: story.kind).map { "martlet demo \($0)" }.joined(separator: ", "))
    }
}
