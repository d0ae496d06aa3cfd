import Glibc
import MartletConnectors
import MartletCore
import MartletLog
import MartletPlatform
import MartletServer
import Synchronization

/// `martlet serve`: the log on a data directory, and the listeners that serve it, until somebody stops it.
enum ServeCommand {
    static let help = """
        Usage: martlet serve --data-dir DIR [OPTIONS] [FILE.sql...]

        Serves what is in DIR (made if missing): the log to Kafka clients, and the database of tables, views, sources and sinks to
        PostgreSQL clients. One process owns a data directory at a time. Prints a line for each listener once it accepts
        connections. Ctrl-C or SIGTERM stops it cleanly, a second one at once.

        What the files define is made unless it exists; connector = 'kafka' means the topics of this log, and late rows and
        dead letters are topics of their own. Definitions, rows, the state of views and their places in the topics are kept: a
        start goes on where the last one was, whatever ended it, and what readers see is what they would have seen without.

        Options:
          --data-dir DIR          where the log lives
          --kafka ADDR:PORT       where Kafka clients connect (default 127.0.0.1:9092; port 0: any free one)
          --advertised ADDR:PORT  what clients are told to connect to (default: the address they came to)
          --postgres ADDR:PORT    where PostgreSQL clients connect (default 127.0.0.1:4566)
          --http ADDR:PORT        SQL and views as JSON, /metrics, /healthz (default 127.0.0.1:8080)
          --http-origin ORIGIN    a site whose pages may ask over HTTP, such as http://localhost:3000; may be repeated
          --no-kafka, --no-postgres, --no-http
                                  leave a listener out
          --insecure              allow addresses that other machines reach: everybody there may read and write everything
          --set NAME=VALUE        a setting of the server, by Kafka's name, such as num.partitions=8; may be repeated.
                                  The environment may set them too: MARTLET_NUM_PARTITIONS=8
          -v NAME=VALUE           :NAME and :'NAME' in the files stand for VALUE (as in psql); may be repeated
          --name NAME             what the database is called in DIR (default: default)
          --reset                 forget what DIR has of the database, and begin it anew; topics stay
          --checkpoint-seconds N  between two checkpoints of the database's state, at least (default 10)
          --memory-limit SIZE     what memory is limited to, such as 2GB; state beyond it lies in a file in DIR (default: none).
                                  Also: --set memory_limit=SIZE, MARTLET_MEMORY_LIMIT=SIZE
          --shards N              threads that views are processed on (default: one per core)
          --settings              list every setting with its default
          --log-level LEVEL       debug, info (default), warn or error; JSON lines on standard error
        """

    private struct Plan {
        var directory: String
        var kafka: ListenAddress?
        var advertised: ListenAddress?
        var http: ListenAddress?
        var postgres: ListenAddress?
        var configuration: BrokerConfiguration
        var log: StructuredLog
        var script: LoadedScript?
        var pipeline: RunOptions
        var arguments: Arguments
        /// Bytes.
        var memoryLimit: Int64?
    }

    /// A setting that is not of Kafka's: it may stand among them.
    private static let memoryLimitName = "memory_limit"

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "serve",
            options: PipelineArguments.options.union([
                "data-dir", "kafka", "advertised", "http", "http-origin", "postgres", "set", "log-level", "variable", "shards",
            ]),
            flags: PipelineArguments.flags.union(["no-kafka", "no-http", "no-postgres", "insecure", "settings"]), short: ["v": "variable"])
        if arguments.has("settings") {
            listSettings()
            return ExitCode.done
        }
        guard let directory = arguments.value("data-dir"), !directory.isEmpty else { throw UsageError("needs --data-dir DIR") }
        var given = try settings(arguments)
        let limit = given.last { $0.name == memoryLimitName }?.value
        given.removeAll { $0.name == memoryLimitName }
        let configuration: BrokerConfiguration
        do throws(BrokerConfigurationError) {
            configuration = try BrokerConfiguration(given)
        } catch {
            printError("martlet serve: \(error.message)")
            return ExitCode.configuration
        }
        var script: LoadedScript?
        if !arguments.positional.isEmpty {
            script = try ScriptLoader.load(arguments.positional, variables: try arguments.variables(), command: "serve")
            if script == nil { return ExitCode.configuration }
        }
        let pipeline = RunOptions(shards: try arguments.integer("shards", in: 1...256) ?? min(WorkerThread.coreCount, 256))
        let plan = Plan(
            directory: directory, kafka: try address(arguments, "kafka", default: "127.0.0.1:9092"),
            advertised: try arguments.value("advertised").map { try parsed($0, "advertised") },
            http: try address(arguments, "http", default: "127.0.0.1:8080"),
            postgres: try address(arguments, "postgres", default: "127.0.0.1:4566"), configuration: configuration,
            log: try logger(arguments), script: script, pipeline: pipeline, arguments: arguments,
            memoryLimit: try arguments.memoryLimit(or: limit))
        guard plan.kafka != nil || plan.http != nil || plan.postgres != nil else { throw UsageError("has nothing to serve: every listener is left out") }
        return try serve(plan)
    }

    // MARK: Arguments

    private static func address(_ arguments: Arguments, _ name: String, default text: String) throws(UsageError) -> ListenAddress? {
        if arguments.has("no-\(name)") {
            guard arguments.value(name) == nil else { throw UsageError("--\(name) and --no-\(name) contradict each other") }
            return nil
        }
        let address = try parsed(arguments.value(name) ?? text, name)
        guard arguments.has("insecure") || isLoopback(address.host) else {
            throw UsageError(
                "--\(name) \(address) can be reached from other machines, and there is neither encryption nor authentication yet; "
                    + "listen on 127.0.0.1, or say --insecure")
        }
        return address
    }

    private static func parsed(_ text: String, _ name: String) throws(UsageError) -> ListenAddress {
        do throws(ListenError) {
            return try ListenAddress(parsing: text)
        } catch {
            throw UsageError("--\(name): \(error.message)")
        }
    }

    private static func logger(_ arguments: Arguments) throws(UsageError) -> StructuredLog {
        let name = arguments.value("log-level") ?? "info"
        guard let level = LogLevel(name: name) else {
            throw UsageError("--log-level takes debug, info, warn or error, not \"\(name)\"")
        }
        return StructuredLog(clock: SystemClock(), sink: StandardErrorLog(), level: level)
    }

    /// From the environment, then from the command line, which wins. A name may be written with underscores for dots.
    private static func settings(_ arguments: Arguments) throws(UsageError) -> [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        for setting in BrokerSetting.all {
            let variable = "MARTLET_" + setting.name.uppercased().map { $0.isLetter || $0.isNumber ? String($0) : "_" }.joined()
            if let value = environment(variable) { values.append((setting.name, value)) }
        }
        if let value = environment("MARTLET_MEMORY_LIMIT") { values.append((memoryLimitName, value)) }
        for assignment in arguments.all("set") {
            guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
                throw UsageError("--set takes NAME=VALUE, not \"\(assignment)\"")
            }
            let written = String(assignment[..<equals])
            let dotted = String(written.map { $0 == "_" ? "." : $0 })
            let name = BrokerSetting.named(written) == nil && BrokerSetting.named(dotted) != nil ? dotted : written
            values.append((name, String(assignment[assignment.index(after: equals)...])))
        }
        return values
    }

    private static func listSettings() {
        for setting in BrokerSetting.all {
            let value = setting.defaultValue.isEmpty ? "\"\"" : setting.defaultValue
            printOut("\(setting.name)=\(value)\(setting.isDynamic ? "  (may be changed while the server runs)" : "")")
            printOut("    \(setting.documentation)")
        }
        printOut("\(memoryLimitName)=\"\"")
        printOut("    What the process's memory is limited to, such as 2GB; state beyond it lies in a file. Empty: no limit.")
    }

    // MARK: Serving

    private static func serve(_ plan: Plan) throws -> Int32 {
        let end = ServeEnd()
        try StopSignals.install { end.request(.stopped) }
        ProcessFacts.keepFreedMemory()
        let metrics = MetricsRegistry()
        ProcessFacts.register(in: metrics)
        let data = DataDirectory(
            path: plan.directory, command: "serve", options: plan.configuration.logOptions(), log: plan.log, metrics: metrics,
            onFailure: { end.request(.failed) })
        let code = data.withLog { opened in try serve(plan, opened, end) }
        if code == ExitCode.done { plan.log.info("stopped", [:]) }
        return code
    }

    private static func serve(_ plan: Plan, _ opened: DataDirectory.Opened, _ end: ServeEnd) throws -> Int32 {
        if let limit = plan.memoryLimit {
            _ = try MemoryLimit(limit, directory: plan.directory, log: plan.log, metrics: opened.surroundings.metrics)
        }
        let durable = try PipelineArguments.settings(
            plan.arguments, named: "default", opened, directory: plan.directory, logger: plan.log)
        var options = plan.pipeline
        options.durable = durable
        let served: ServedDatabase
        do throws(SQLError) {
            served = try ServedDatabase(
                options, registry: opened.surroundings.metrics, log: plan.log, isEnding: { end.isRequested },
                onFailure: { end.request(.pipelineFailed) })
        } catch {
            printError(CommandLineTool.rendered(error))
            return error.state == .ioError ? ExitCode.failure : ExitCode.configuration
        }
        defer { served.stop() }
        // The log's clients need not wait until state is back, or for a sink that is away.
        let kafka = try plan.kafka.map { address in
            try KafkaServer(
                address, log: opened.log, directory: plan.directory, configuration: plan.configuration,
                surroundings: opened.surroundings, advertised: plan.advertised)
        }
        defer { kafka?.stop() }
        if let kafka { printOut("kafka on \(kafka.address)") }
        guard served.waitUntilRecovered() else { return end.isStop ? ExitCode.done : ExitCode.failure }
        if let script = plan.script {
            script.warn(in: plan.log)
            do throws(SQLError) {
                try served.apply(script)
            } catch {
                printError(script.render(error))
                return error.state == .ioError ? ExitCode.failure : ExitCode.configuration
            }
        }
        switch try listen(plan, opened, served.run, kafka, end) {
        case .stopped: return ExitCode.done
        case .pipelineFailed: return ExitCode.failure
        case .failed:
            // Nothing that is asked from here on can be kept; whoever waits for an answer must not get one.
            _exit(ExitCode.failure)
        }
    }

    private static func listen(
        _ plan: Plan, _ opened: DataDirectory.Opened, _ database: DatabaseRun, _ kafka: KafkaServer?, _ end: ServeEnd
    ) throws -> ServeEnd.Reason {
        let pool = try StatementThreads.make()
        defer { pool.stop() }
        let postgres = try plan.postgres.map { address in
            try PostgresServer(
                address, service: database.database, pool: pool, entropy: opened.surroundings.entropy, metrics: opened.surroundings.metrics)
        }
        defer { postgres?.stop() }
        if let postgres { printOut("postgres on \(postgres.address)") }
        let http = try plan.http.map { address in
            try HTTPServer(
                address, service: database.database, log: opened.log, pool: pool, metrics: opened.surroundings.metrics,
                origins: Set(plan.arguments.all("http-origin")), isHealthy: { opened.driver.isHealthy })
        }
        defer { http?.stop() }
        if let http { printOut("http on http://\(http.address)") }
        plan.log.info(
            "serving",
            [
                "directory": .string(plan.directory), "kafka": .string(kafka.map { "\($0.address)" } ?? "off"),
                "http": .string(http.map { "\($0.address)" } ?? "off"), "postgres": .string(postgres.map { "\($0.address)" } ?? "off"),
                "cluster": .string(kafka?.clusterID ?? ""),
            ])
        let reason = end.wait()
        if reason != .failed { plan.log.info("stopping", [:]) }
        return reason
    }
}

/// Why the server ends; whoever comes first says it.
private final class ServeEnd: Sendable {
    enum Reason: Sendable { case stopped, failed, pipelineFailed }

    private let reason = Mutex<Reason?>(nil)
    private let signal = WakeSignal()

    func request(_ why: Reason) {
        reason.withLock { reason in
            if reason == nil { reason = why }
        }
        signal.notify()
    }

    var isRequested: Bool { reason.withLock { $0 != nil } }
    var isStop: Bool { reason.withLock { $0 == .stopped } }

    func wait() -> Reason {
        while true {
            let ticket = signal.ticket
            if let reason = reason.withLock({ $0 }) { return reason }
            signal.wait(after: ticket)
        }
    }
}
