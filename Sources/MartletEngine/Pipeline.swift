package import MartletCore
package import MartletDataflow
package import MartletSQL
package import MartletState
package import MartletColumns

package struct PipelineOptions: Sendable {
    package var shards: Int
    package var limits = TickLimits()
    /// Time zones and the like, for expressions.
    package var evaluation = EvaluationContext.utc

    package init(shards: Int) {
        self.shards = shards
    }
}

/// A script's objects as one running circuit: sources opened, views and sinks lowered, late tables and dead letters
/// collected. Driven by one thread, tick by tick.
package final class Pipeline: TickMachine {
    package private(set) var circuit: Circuit
    package let sources: [SourceDefinition]
    package let targets: [any SinkTarget]
    package let pool = BytePool()

    private(set) var partitions: [[any SourcePartition]]
    private let connectors: any ConnectorProvider
    private var lookedNanos: Int64
    private let collectors: [SinkCollector]
    /// By source; none where sources are fed.
    private let sides: [SourceSides]
    /// By view: the first source that it reads.
    private let homes: [Int?]
    /// Late tables and dead letters that its own plans read.
    private let own: [String]
    /// Its sources are read by somebody else, who feeds their rows and keeps what is refused of them.
    package let sourcesAreFed: Bool
    private let clock: any Clock
    /// By source: the columns that its plans want, by their places among the declared.
    let columns: [[Int]]
    let firstInput: Int
    /// The views that are seen from outside, by name.
    package private(set) var taps: [String: PipelineTap] = [:]

    /// - Parameters:
    ///   - executor: with the given number of shards.
    ///   - inputs: relations that plans read and that live outside: their rows come by `feed(input:)`.
    ///   - isTapped: what views change each tick can be seen from outside, by `taps`.
    ///   - sourcesAreFed: the sources are not opened: `circuit` is fed.
    package init(
        _ statements: [BoundStatement], options: PipelineOptions, connectors: any ConnectorProvider,
        executor: any ShardExecutor, clock: any Clock, inputs: [PipelineInput] = [], isTapped: Bool = false,
        sourcesAreFed: Bool = false
    ) throws(SQLError) {
        let script = PipelineScript(statements)
        self.clock = clock
        self.connectors = connectors
        lookedNanos = clock.monotonicNanos()
        sources = script.sources.map(\.definition)
        columns = script.sources.map(\.columns)
        self.sourcesAreFed = sourcesAreFed
        homes = script.firstSources

        let own = script.relationsRead.filter { name in !inputs.contains { $0.name == name } }
        self.own = own
        firstInput = own.count
        var lowering = Lowering(
            sources: script.sources, inputs: own.map { PipelineInput(name: $0, isAppendOnly: true, isDriven: false) } + inputs,
            objects: script.objects.map { object in
                switch object {
                case .view(let name, let plan): (name, plan)
                case .sink(let definition): (definition.name, definition.plan)
                }
            }, shards: options.shards, evaluation: options.evaluation)
        var taps: [String: PipelineTap] = [:]
        var targets: [any SinkTarget] = []
        var collectors: [SinkCollector] = []
        for object in script.objects {
            switch object {
            case .view(let name, let plan):
                let changes = ViewChanges(shards: options.shards)
                let lowered = try lowering.addView(name, plan, tap: isTapped ? { ViewTap(changes, context: $0) } : nil)
                if isTapped { taps[name] = PipelineTap(lowered, changes) }
            case .sink(let definition):
                let pool = pool
                try lowering.addSink(definition.name, definition.plan) { lowered throws(SQLError) in
                    let target = try connectors.openSink(
                        definition, fields: lowered.fields, isAppendOnly: lowered.isAppendOnly)
                    let collector = SinkCollector(name: definition.name, shards: options.shards)
                    targets.append(target)
                    collectors.append(collector)
                    return { SinkBuffer(collector, encoder: target.makeEncoder(), pool: pool, context: $0) }
                }
            }
        }
        var setups: [SourceSetup] = []
        var partitions: [[any SourcePartition]] = []
        for (ordinal, source) in script.sources.enumerated() {
            let opened = sourcesAreFed ? [] : try connectors.openSource(source.definition, ordinal: ordinal, columns: source.columns)
            partitions.append(opened)
            var setup = Pipeline.setup(source.definition, columns: source.columns, readers: opened)
            // What it reads itself to catch up was judged before, as far as somebody wanted the same columns.
            if sourcesAreFed, setup.errors == .fail { setup.errors = .skip }
            setups.append(setup)
        }
        self.partitions = partitions
        var sides: [SourceSides] = []
        for source in sourcesAreFed ? [] : sources {
            let opened = try SourceSides(source, connectors: connectors, firstTarget: targets.count)
            sides.append(opened)
            targets += opened.targets
        }
        self.sides = sides
        self.taps = taps
        self.targets = targets
        self.collectors = collectors
        circuit = try Circuit(
            graph: lowering.graph, sources: setups, shards: options.shards, executor: executor, clock: clock,
            evaluation: options.evaluation)
        circuit.limits = options.limits
        if sourcesAreFed { for source in sources.indices { circuit.beginFeeding(source: source) } }
    }

    static func setup(_ definition: SourceDefinition, columns: [Int], readers: [any SourcePartition]) -> SourceSetup {
        let policy = EventTimePolicy(
            column: definition.watermark.flatMap { columns.firstIndex(of: $0.column) },
            delay: definition.watermark?.delay ?? 0, idleTimeout: definition.idleTimeout,
            maxFutureSkew: definition.maxFutureSkew)
        let errors: BadRecordPolicy =
            switch definition.onError {
            case .deadLetter: .deadLetter
            case .skip: .skip
            case .fail: .fail
            }
        return SourceSetup(name: definition.name, policy: policy, errors: errors, readers: readers)
    }

    /// Names of sinks, in the order of their targets.
    var sinkNames: [String] { collectors.map(\.name) }

    /// Rows of the input `ordinal`, which enter with the next tick.
    package func feed(input ordinal: Int, _ batch: Batch) { circuit.feed(relation: firstInput + ordinal, batch) }

    package var tick: UInt64 { circuit.tick }

    package func step(replaying record: [UInt8]?) throws(SQLError) -> TickStep {
        if record == nil { try lookForPartitions() }
        return try outcome(try record.map { record throws(SQLError) in try replay(record) } ?? circuit.step())
    }

    /// A tick of a pipeline whose sources are fed, as of an instant that has passed: what it did then is done once more.
    func step(at wallMicros: Int64) throws(SQLError) -> TickStep { try outcome(circuit.step(at: wallMicros)) }

    /// Lets go of what the circuit holds; its sources are fed. The same circuit as before its first tick.
    func beginAnew() throws(SQLError) { circuit = try circuit.anew() }

    /// What a tick of the circuit comes to outside of it.
    private func outcome(_ report: TickReport) throws(SQLError) -> TickStep {
        if let failure = circuit.failure { throw failure }
        var output = TickOutput(tick: report.tick, parts: [], pool: pool)
        for (target, collector) in collectors.enumerated() {
            for part in collector.take() { output.parts.append((target, part)) }
        }
        for (source, sides) in sides.enumerated() {
            let refused = refusals(report, of: sources[source].name, number: source)
            guard !refused.isEmpty else { continue }
            let side = try sides.collect(refused, pool: pool) { (block, rows) throws(SQLError) in
                try self.partitions[source][Int(block.partition)].reread(block, rows: rows)
            }
            output.parts += side.parts
            for (name, batch) in side.rows {
                if let relation = own.firstIndex(of: name) { circuit.feed(relation: relation, batch) }
            }
        }
        return TickStep(report: report, record: report.inputs?.encode(), output: output)
    }

    /// What a tick refused of one source, which blocks of rows know by `number`. A letter joins those of its record's source,
    /// or, of a row that is no one record's any more (a group's, a pair's), of the first that its view reads.
    func refusals(_ report: TickReport, of source: String, number: Int) -> Refusals {
        var refused = Refusals(views: circuit.graph.views)
        guard !report.lateRows.isEmpty || !report.deadLetters.isEmpty else { return refused }
        refused.late = report.lateRows.filter { $0.block.source == number }
        refused.letters = report.deadLetters.filter { letter in
            if letter.source >= 0 { return letter.source == number }
            let home = letter.view.flatMap { $0 < homes.count ? homes[$0] : nil }
            return home.map { sources[$0].name == source } ?? false
        }
        return refused
    }

    /// A topic may get more partitions while it is read.
    private func lookForPartitions() throws(SQLError) {
        let now = clock.monotonicNanos()
        guard !sourcesAreFed, now - lookedNanos >= Pipeline.lookNanos else { return }
        lookedNanos = now
        for (ordinal, source) in sources.enumerated() {
            let more = try connectors.openMore(
                source, ordinal: ordinal, columns: columns[ordinal], known: partitions[ordinal].count)
            for partition in more {
                partitions[ordinal].append(partition)
                circuit.addPartition(toSource: ordinal, partition)
            }
        }
    }

    static let lookNanos: Int64 = 1_000_000_000

    /// Records that a source's partitions left out because the pipeline could not keep up.
    package func dropped(from source: Int) -> UInt64 { partitions[source].reduce(0) { $0 + $1.dropped } }

    private func replay(_ record: [UInt8]) throws(SQLError) -> TickReport {
        do throws(StateError) {
            return try circuit.step(replaying: try TickInputs(decoding: record))
        } catch {
            throw error.asSQLError
        }
    }

    /// What a pipeline shows, its targets show.
    package func committed(through tick: UInt64) {}

    package func beginSave() -> StateSave {
        let circuit = circuit
        return { (writer: StateWriter) throws(SQLError) in circuit.save(into: writer) }
    }

    package func restore(from reader: StateReader) throws(SQLError) {
        do throws(StateError) {
            try circuit.restore(from: reader)
        } catch {
            throw error.asSQLError
        }
    }

    /// Ends the sinks of a run without a log. After the last tick, committed and drained.
    package func finish() throws(SQLError) {
        for case let target as any ExternalTarget in targets { try target.finish() }
    }
}

/// What a script asks to run, in order, and what its plans read.
struct PipelineScript {
    enum Object {
        case view(name: String, Plan)
        case sink(SinkDefinition)
    }

    private(set) var sources: [(definition: SourceDefinition, columns: [Int])] = []
    private(set) var objects: [Object] = []
    private(set) var relationsRead: [String] = []
    /// Materialized views, its own as well.
    private(set) var viewsRead: [String] = []
    private(set) var sourcesRead: [String] = []
    /// Types of the columns of the relations read.
    private(set) var types: [String: [DataType]] = [:]
    /// Rows come and go as time passes.
    private(set) var usesClock = false

    init(_ statements: [BoundStatement]) {
        var needed: [String: Set<Int>] = [:]
        var definitions: [SourceDefinition] = []
        for statement in statements {
            switch statement {
            case .createSource(let definition):
                definitions.append(definition)
            case .createMaterializedView(let view):
                objects.append(.view(name: view.name, view.plan))
                collect(view.plan, into: &needed)
            case .createSink(let definition):
                objects.append(.sink(definition))
                collect(definition.plan, into: &needed)
            case .createView, .select, .explain, .set, .show, .session, .skipped:
                break
            }
        }
        // A source that nobody reads is still read: its records are checked and its bad ones kept.
        for definition in definitions {
            var columns = needed[definition.name] ?? []
            if let watermark = definition.watermark { columns.insert(watermark.column) }
            sources.append((definition, columns.sorted()))
        }
    }

    /// Of a query: the sources that it reads, and the views.
    init(query: Plan, sources all: [SourceDefinition]) {
        var needed: [String: Set<Int>] = [:]
        collect(query, into: &needed)
        for definition in all {
            guard var columns = needed[definition.name] else { continue }
            if let watermark = definition.watermark { columns.insert(watermark.column) }
            sources.append((definition, columns.sorted()))
        }
    }

    /// By object: the ordinal of the first source that it reads, directly or through views.
    var firstSources: [Int?] {
        var byView: [String: Int] = [:]
        return objects.map { object in
            let plan: Plan
            switch object {
            case .view(_, let own): plan = own
            case .sink(let definition): plan = definition.plan
            }
            let first = plan.relationNames.lazy.compactMap { name in
                byView[name] ?? sources.firstIndex { $0.definition.name == name }
            }.first
            if case .view(let name, _) = object { byView[name] = first }
            return first
        }
    }

    private mutating func collect(_ plan: Plan, into needed: inout [String: Set<Int>]) {
        switch plan {
        case .relation(let name, let fields), .view(let name, let fields): types[name] = fields.map(\.type)
        case .recursive(let recursion, let fields): types[recursion.name] = fields.map(\.type)
        default: break
        }
        switch plan {
        case .source(let name, let columns, _):
            needed[name, default: []].formUnion(columns)
            if !sourcesRead.contains(name) { sourcesRead.append(name) }
        case .temporal: usesClock = true
        case .relation(let name, _) where !relationsRead.contains(name): relationsRead.append(name)
        case .recursive(let recursion, _) where !relationsRead.contains(recursion.name): relationsRead.append(recursion.name)
        case .view(let name, _) where !viewsRead.contains(name): viewsRead.append(name)
        default: break
        }
        for input in plan.inputs { collect(input, into: &needed) }
    }
}
