import Glibc
import MartletConnectors
import MartletCore
import MartletDataflow
import MartletEngine
import MartletLog
import MartletPlatform
import MartletSQL
import MartletServer

/// `martlet run`: a pipeline from SQL files, until its sources end or somebody stops it.
enum RunCommand {
    static let help = """
        Usage: martlet run FILE.sql... [OPTIONS]

        Runs the pipeline that the files define. Ends when all sources are bounded and drained; Ctrl-C stops it cleanly,
        a second one at once. Late rows and dead letters land in the output directory as <late_table>.ndjson and
        <source>_dlq.ndjson.

        With a data directory, connector = 'kafka' reads and writes the topics of the log in it, late rows and dead letters
        are topics of their own, and the pipeline is kept: whatever ends the run before its sources do, the next run of the
        same files goes on where it was. A run that came to its end is forgotten.

        Options:
          -v NAME=VALUE         :NAME and :'NAME' in the files stand for VALUE (as in psql); may be repeated
          --out-dir DIR         where late rows and dead letters land (default ./martlet-out)
          --data-dir DIR        where the log lives (made if missing); no other process may have it open
          --name NAME           what the pipeline is called in it (default: the first file's name without .sql)
          --reset               forget what the data directory has of the pipeline's state, and begin anew
          --checkpoint-seconds N  between two checkpoints of the state, at least (default 10)
          --memory-limit SIZE   what memory is limited to, such as 2GB; state beyond it lies in a file in the data directory, or
                                else in the output directory (default: none)
          --shards N            threads that process (default: one per core)
          --metrics ADDR:PORT   serve Prometheus metrics at http://ADDR:PORT/metrics
          --batch-rows N        rows of a batch, at most (default 4096)
          --tick-bytes N        input bytes a tick takes from each partition, about (default 1048576)
          --log-level LEVEL     debug, info, warn (default) or error; JSON lines on standard error
          -q, --quiet           no progress line on a terminal
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "run",
            options: PipelineArguments.options.union([
                "variable", "out-dir", "shards", "metrics", "data-dir", "batch-rows", "tick-bytes", "log-level",
            ]),
            flags: PipelineArguments.flags.union(["quiet"]), short: ["v": "variable", "q": "quiet"])
        guard !arguments.positional.isEmpty else { throw UsageError("needs an SQL file") }
        var options = RunOptions(
            shards: try arguments.integer("shards", in: 1...256) ?? min(WorkerThread.coreCount, 256))
        options.outDirectory = arguments.value("out-dir") ?? options.outDirectory
        options.limits.batchRows = try arguments.integer("batch-rows", in: 1...65_536) ?? options.limits.batchRows
        if let bytes = try arguments.integer("tick-bytes", in: 1...(256 << 20)) {
            options.limits.bytesPerPartition = bytes
            options.limits.bytesPerPartitionMax = bytes
        }
        let log = try logger(arguments)
        let address = try arguments.value("metrics").map { try listenAddress($0) }
        guard
            let script = try ScriptLoader.load(
                arguments.positional, variables: try arguments.variables(), command: "run")
        else { return ExitCode.configuration }
        script.warn(in: log)
        let registry = MetricsRegistry()
        ProcessFacts.register(in: registry)
        try StopSignals.install()
        let isQuiet = arguments.has("quiet")
        let limit = try arguments.memoryLimit()
        guard let directory = arguments.value("data-dir") else {
            if let limit { _ = try MemoryLimit(limit, directory: options.outDirectory, log: log, metrics: registry) }
            return try run(script, options, log: log, registry: registry, metrics: address, isQuiet: isQuiet)
        }
        let data = DataDirectory(path: directory, command: "run", options: LogOptions(), log: log, metrics: registry)
        return data.withLog { opened in
            if let limit { _ = try MemoryLimit(limit, directory: directory, log: log, metrics: registry) }
            var durable = try PipelineArguments.settings(arguments, script, opened, directory: directory, logger: log)
            durable.forgetsWhenFinished = true
            options.durable = durable
            return try run(script, options, log: log, registry: registry, metrics: address, isQuiet: isQuiet)
        }
    }

    private static func logger(_ arguments: Arguments) throws(UsageError) -> StructuredLog {
        let name = arguments.value("log-level") ?? "warn"
        guard let level = LogLevel(name: name) else {
            throw UsageError("--log-level takes debug, info, warn or error, not \"\(name)\"")
        }
        return StructuredLog(clock: SystemClock(), sink: StandardErrorLog(), level: level)
    }

    private static func listenAddress(_ text: String) throws(UsageError) -> ListenAddress {
        do throws(ListenError) {
            return try ListenAddress(parsing: text)
        } catch {
            throw UsageError("--metrics: \(error.message)")
        }
    }

    private static func run(
        _ script: LoadedScript, _ options: RunOptions, log: StructuredLog, registry: MetricsRegistry,
        metrics address: ListenAddress?, isQuiet: Bool
    ) throws -> Int32 {
        let run: PipelineRun
        do throws(SQLError) {
            run = try PipelineRun(script.statements, options: options, registry: registry)
        } catch {
            printError(script.render(error))
            return error.state == .ioError || error.state == .undefinedFile || error.state == .diskFull
                ? ExitCode.failure : ExitCode.configuration
        }
        let server = try address.map { try MetricsServer($0, metrics: registry) }
        defer { server?.stop() }
        if let server { printError("metrics on http://\(server.address)/metrics") }
        log.info("pipeline started", ["shards": .int(Int64(options.shards)), "sources": .int(Int64(run.pipeline.sources.count))])
        let progress = !isQuiet && Terminal.isTerminal(STDERR_FILENO) ? ProgressLine(run) : nil
        do throws(SQLError) {
            try run.run(shouldStop: { StopSignals.isStopRequested }) { _ in progress?.update() }
        } catch {
            progress?.clear()
            printError(CommandLineTool.rendered(error))
            log.error("pipeline failed", ["state": .string(error.state.code), "message": .string(error.message)])
            return ExitCode.failure
        }
        progress?.finish()
        logOutcome(run, log)
        return ExitCode.done
    }

    /// One line per source and per view: what came in and what became of it.
    private static func logOutcome(_ run: PipelineRun, _ log: StructuredLog) {
        let circuit = run.pipeline.circuit
        for (index, source) in run.pipeline.sources.enumerated() {
            let intake = circuit.intake(of: index)
            log.info(
                "source done",
                [
                    "source": .string(source.name), "rows": .int(Int64(intake.rows)),
                    "dead_letters": .int(Int64(intake.rejected)), "skipped": .int(Int64(intake.skipped)),
                ])
        }
        for (index, view) in circuit.graph.views.enumerated() {
            let counters = circuit.counters(of: index)
            log.info(
                "view done",
                [
                    "view": .string(view), "rows": .int(Int64(counters.rowsIn)), "counted": .int(Int64(counters.counted)),
                    "filtered": .int(Int64(counters.filtered)), "late": .int(Int64(counters.late)),
                    "dead_letters": .int(Int64(counters.deadLetters)),
                ])
        }
    }
}
