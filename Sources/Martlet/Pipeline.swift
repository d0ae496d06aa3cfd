internal import MartletConnectors
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL

/// Martlet inside a program: SQL text becomes a pipeline over files and generators, run on this process's threads.
///
/// ```swift
/// let pipeline = try Pipeline(sql: text, variables: ["path": "payments.ndjson"])
/// let outcome = try pipeline.run()
/// print(outcome.views["velocity"]?.late ?? 0)
/// ```
///
/// Not thread-safe: create, run and read from one thread.
public final class Pipeline {
    /// What is wrong with a text, its objects, or the run.
    public struct Failure: Error, CustomStringConvertible {
        /// PostgreSQL's five-character code.
        public let sqlState: String
        /// For people: message, place, hint.
        public let description: String
    }

    /// What became of a source's records.
    public struct SourceOutcome: Sendable, Equatable {
        public let rows: UInt64
        public let deadLetters: UInt64
        public let skipped: UInt64
    }

    /// What became of the rows that entered a view or sink: `rows` = `counted` + `filtered` + `late` + `deadLetters`.
    public struct ViewOutcome: Sendable, Equatable {
        public let rows: UInt64
        public let counted: UInt64
        public let filtered: UInt64
        public let late: UInt64
        public let deadLetters: UInt64
    }

    public struct Outcome: Sendable {
        /// By name.
        public let sources: [String: SourceOutcome]
        public let views: [String: ViewOutcome]
    }

    private let run: PipelineRun

    /// Binds `sql` and opens its sources and sinks.
    /// - Parameters:
    ///   - variables: what `:name` and `:'name'` in the text stand for.
    ///   - shards: threads that process; one per core unless said otherwise.
    ///   - outDirectory: where late tables and dead letters land.
    public init(
        sql: String, variables: [String: String] = [:], shards: Int? = nil, outDirectory: String = "./martlet-out"
    ) throws(Failure) {
        do throws(SQLError) {
            let text = try Substitution.applied(to: sql, variables: variables)
            var catalog = SQLCatalog()
            let statements = try Script.bind(text, into: &catalog, context: TimeZoneFiles.context)
            var options = RunOptions(shards: max(shards ?? WorkerThread.coreCount, 1))
            options.outDirectory = outDirectory
            run = try PipelineRun(statements, options: options, registry: nil)
        } catch {
            throw Failure(sqlState: error.state.code, description: error.render(source: "sql", text: sql))
        }
    }

    /// Runs until every source is at its end, or `shouldStop` answers true (asked between ticks).
    @discardableResult
    public func run(until shouldStop: () -> Bool = { false }) throws(Failure) -> Outcome {
        do throws(SQLError) {
            try run.run(shouldStop: shouldStop)
        } catch {
            throw Failure(sqlState: error.state.code, description: error.message)
        }
        let circuit = run.pipeline.circuit
        var sources: [String: SourceOutcome] = [:]
        for (index, source) in run.pipeline.sources.enumerated() {
            let intake = circuit.intake(of: index)
            sources[source.name] = SourceOutcome(
                rows: intake.rows, deadLetters: intake.rejected, skipped: intake.skipped)
        }
        var views: [String: ViewOutcome] = [:]
        for (index, name) in circuit.graph.views.enumerated() {
            let counters = circuit.counters(of: index)
            views[name] = ViewOutcome(
                rows: counters.rowsIn, counted: counters.counted, filtered: counters.filtered, late: counters.late,
                deadLetters: counters.deadLetters)
        }
        return Outcome(sources: sources, views: views)
    }
}
