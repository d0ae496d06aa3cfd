import MartletColumns
import MartletConnectors
import MartletCore
import MartletEngine
import MartletLog
import MartletPlatform
import MartletSQL
import Synchronization

/// `martlet query`: a statement answered once, over what files define or what a data directory keeps.
enum QueryCommand {
    static let help = """
        Usage: martlet query "SELECT ..." [FILE.sql...] [OPTIONS]

        Carries the statements out and prints what they give. With files, over the tables, views and sources that they define:
        sources are read to their end first. With a data directory, over what it keeps; a server must not have it open (ask
        that one by psql or 'martlet sql').

        Options:
          --data-dir DIR     ask what DIR keeps
          --name NAME        what the database is called in DIR (default: default)
          -o FORMAT          table (default on a terminal), csv or json (one object a line)
          -v NAME=VALUE      :NAME and :'NAME' in the files stand for VALUE (as in psql); may be repeated
          --shards N         threads that views are processed on (default: one per core)
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(
            words, command: "query", options: ["data-dir", "output", "variable", "shards", "name", "checkpoint-seconds"], flags: ["reset"],
            short: ["o": "output", "v": "variable"])
        guard let text = arguments.positional.first else { throw UsageError("needs a query") }
        let output = arguments.value("output") ?? "table"
        guard let format = Listing.Format(rawValue: output) else { throw UsageError("-o takes table, csv or json, not \"\(output)\"") }
        var script: LoadedScript?
        let files = Array(arguments.positional.dropFirst())
        if !files.isEmpty {
            script = try ScriptLoader.load(files, variables: try arguments.variables(), command: "query")
            if script == nil { return ExitCode.configuration }
        }
        var options = RunOptions(shards: try arguments.integer("shards", in: 1...256) ?? min(WorkerThread.coreCount, 256))
        let log = StructuredLog(clock: SystemClock(), sink: StandardErrorLog(), level: .error)
        let metrics = MetricsRegistry()
        guard let directory = arguments.value("data-dir") else {
            return try answer(text, format, script, options, metrics, log)
        }
        let data = DataDirectory(path: directory, command: "query", options: LogOptions(), log: log, metrics: metrics)
        return data.withLog { opened in
            options.durable = try PipelineArguments.settings(arguments, named: "default", opened, directory: directory, logger: log)
            return try answer(text, format, script, options, metrics, log)
        }
    }

    private static func answer(
        _ text: String, _ format: Listing.Format, _ script: LoadedScript?, _ options: RunOptions, _ metrics: MetricsRegistry,
        _ log: StructuredLog
    ) throws -> Int32 {
        let served = try ServedDatabase(options, registry: metrics, log: log, isEnding: { false }, onFailure: {})
        defer { served.stop() }
        guard served.waitUntilRecovered() else { return ExitCode.failure }
        if let script {
            do throws(SQLError) {
                try served.apply(script)
                try served.run.settle()
            } catch {
                printError(script.render(error))
                return error.state == .ioError ? ExitCode.failure : ExitCode.configuration
            }
        }
        do throws(SQLError) {
            try carryOut(text, format, served.run.database)
        } catch {
            var shown = error.render(source: "query", text: text)
            if shown.hasSuffix("\n") { shown.removeLast() }
            printError(shown)
            return ExitCode.failure
        }
        return ExitCode.done
    }

    private static func carryOut(_ text: String, _ format: Listing.Format, _ database: Database) throws(SQLError) {
        let session = try database.open(SessionClient(user: "martlet", database: "dev", parameters: [:], processID: 0))
        defer { session.close() }
        for (_, statement) in try session.split(text) {
            let prepared = try session.prepare(statement, parameterTypes: [])
            let outcome = try session.execute(prepared, parameters: [])
            for notice in session.takeNotices() { printError("\(notice.severity):  \(notice.error.message)") }
            switch outcome {
            case .done(let tag): printError(tag)
            case .rows(let cursor), .copyOut(_, let cursor): try show(cursor, format, session.evaluation.zone)
            case .copyIn(_, let receiver):
                receiver.fail("there is no input")
                throw SQLError(.featureNotSupported, "COPY FROM STDIN is not possible here")
            }
        }
        try session.endImplicit(failed: false)
    }

    private static func show(_ cursor: any RowCursor, _ format: Listing.Format, _ zone: TimeZone) throws(SQLError) {
        var listing = Listing()
        listing.columns = cursor.fields.map(\.name)
        while let batch = try cursor.next(rowsMax: 4096) {
            for row in 0..<batch.count { listing.rows.append(batch.row(row).map { cell($0, zone) }) }
        }
        listing.print(format)
    }

    private static func cell(_ value: Value, _ zone: TimeZone) -> Listing.Cell {
        switch value {
        case .null: .missing
        case .boolean(let flag): .flag(flag)
        case .smallint(let number): .number(Int64(number))
        case .integer(let number): .number(Int64(number))
        case .bigint(let number): .number(number)
        default: .text(value.text(in: zone))
        }
    }
}
