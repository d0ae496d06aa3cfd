internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// What of a text runs.
struct UnitPlan {
    var id: UInt32
    var sources: [SourceDefinition] = []
    /// Materialized views and sinks.
    var statements: [BoundStatement] = []
    /// What they define.
    var objects: [RelationID] = []
    /// Relations by the names that the statements have for them.
    var names: [String: RelationID] = [:]
    /// Views, by name, whose changes go to a table.
    var feeds: [(view: String, table: RelationID)] = []

    init(id: UInt32) { self.id = id }
}

/// A source among those that a unit reads.
struct UnitSource {
    let id: RelationID
    /// Its ordinal in the unit's circuit, and the columns that its plans want.
    let ordinal: Int
    let columns: [Int]
    /// What the source has read before is read here, up to where it is; nil: its rows are fed.
    fileprivate(set) var history: [any SourcePartition]?
    /// Of the history: it was fed before, and reads what came while it was paused: from these positions on, as far as this
    /// process knows. Nil: it is new, and reads from where the source began.
    fileprivate(set) var asideSince: [Int64]?
    /// Of the history: columns that the source had when it read it, so that records which do not fit them are dead letters
    /// already. By their places among the declared.
    fileprivate(set) var judged: [Int] = []

    fileprivate func isBehind(_ positions: [Int64]) -> Bool { zip(history ?? [], positions).contains { $0.isBehind($1) } }
}

/// Definitions of one text that run, as one circuit. Driver's thread only.
final class RunningUnit {
    let id: UInt32
    let pipeline: Pipeline
    /// Relations outside that it reads, in the order of the pipeline's inputs.
    let inputs: [RelationID]
    /// Its views, for whom their changes are wanted.
    private(set) var views: [(id: RelationID, tap: PipelineTap)]
    /// Its views whose changes go to a table.
    let feeds: [(table: RelationID, tap: PipelineTap)]
    /// By input: the columns that the plans know.
    private var layouts: [InputLayout]
    /// Views and sinks for whom it runs.
    private(set) var objects: [RelationID]
    /// Where its targets begin among the database's.
    let firstTarget: Int
    /// Its sinks, in the order of its targets.
    private let sinks: [RelationID]
    /// What it defines, by the names of its circuit's views: those that the objects had when it was made.
    private let defined: [String: RelationID]
    /// Ticks may do something though nothing is fed.
    let isSelfMoving: Bool
    /// Since when what it has yet to take in is taken in, in this process, and how much of that was done by then.
    var fillingBegan: (nanos: Int64, done: Int)?
    /// When it was set to work in this process (monotonic), and how long ticks had waited by then.
    var began: (nanos: Int64, blockedNanos: Int64) = (0, 0)
    /// It takes in nothing until it is resumed; rows from other relations wait in its circuit.
    var isPaused = false {
        didSet { if oldValue, !isPaused { pipeline.circuit.countSilenceAfresh() } }
    }
    /// What it has yet to take in of other relations before it joins; nil: it has joined.
    private(set) var backfill: Backfill?
    /// No tick has seen it yet.
    private(set) var isNew = true
    /// By input: how far it has come meanwhile.
    private var heldWatermarks: [Int: Watermark] = [:]
    /// It failed for good: its views stand still.
    private(set) var failure: SQLError?
    private var isFed = true
    /// Rows wait to be taken in.
    private var hasRows = false
    private var isFailureTold = false
    private(set) var sources: [UnitSource]
    /// Tables that are fed by the unit's own source of theirs.
    var feedsOfSources: Set<RelationID> { Set(sources.map(\.id)) }
    /// Everything has come of what was fed, and it reads nothing by itself; or it failed.
    var isSettled: Bool { failure != nil || isPaused || (!isFed && !isCatchingUp && backfill == nil) }
    var isCatchingUp: Bool { sources.contains { $0.history != nil } }
    /// It has yet to take in what was there before it.
    var isNewcomer: Bool { backfill != nil || sources.contains { $0.history != nil && $0.asideSince == nil } }

    init(
        id: UInt32, pipeline: Pipeline, inputs: [RelationID], layouts: [InputLayout], views: [(id: RelationID, tap: PipelineTap)],
        feeds: [(table: RelationID, tap: PipelineTap)], objects: [RelationID], firstTarget: Int, isSelfMoving: Bool, sources: [UnitSource], sinks: [RelationID],
        defined: [String: RelationID]
    ) {
        self.sinks = sinks
        self.defined = defined
        self.id = id
        self.pipeline = pipeline
        self.inputs = inputs
        self.views = views
        self.feeds = feeds
        self.layouts = layouts
        self.objects = objects
        self.firstTarget = firstTarget
        self.isSelfMoving = isSelfMoving
        self.sources = sources
    }

    /// A relation that it may read has lost a column.
    func dropColumn(_ ordinal: Int, of relation: RelationID) {
        for input in inputs.indices where inputs[input] == relation { layouts[input].drop(ordinal) }
    }

    /// The circuit's views and sinks, in its order, as they are called now.
    func viewNames(_ catalog: DatabaseCatalog) -> [String] {
        pipeline.circuit.graph.views.map { name in defined[name].flatMap { catalog.objects[$0]?.name } ?? name }
    }

    func feed(_ ordinal: Int, _ batch: Batch) {
        let batch = layouts[ordinal].known(of: batch)
        if backfill != nil {
            backfill?.add(batch, to: ordinal)
            return
        }
        pipeline.feed(input: ordinal, batch)
        (isFed, hasRows) = (true, true)
    }

    func setWatermark(_ ordinal: Int, _ watermark: Watermark) {
        if backfill != nil {
            heldWatermarks[ordinal] = max(heldWatermarks[ordinal] ?? .start, watermark)
            return
        }
        if pipeline.setWatermark(ofInput: ordinal, watermark) { isFed = true }
    }

    // MARK: Sources

    /// Rows of a source in one tick, by shard, and how far it is now; `columns`: those that the rows have.
    func feed(_ source: UnitSource, _ rows: [[Batch]], columns: [Int], watermark: Watermark) {
        guard failure == nil, source.history == nil else { return }
        let places = source.columns.compactMap { columns.firstIndex(of: $0) }
        for (shard, batches) in rows.enumerated() {
            for batch in batches {
                var narrowed = batch
                narrowed.columns = places.map { batch.columns[$0] }
                pipeline.circuit.feed(source: source.ordinal, shard: shard, narrowed)
                (isFed, hasRows) = (true, true)
            }
        }
        if pipeline.circuit.setWatermark(ofSource: source.ordinal, watermark) { isFed = true }
    }

    /// It reads by itself what the source has read, then it is fed. Before its first tick.
    func beginCatchingUp(_ id: RelationID, _ history: [any SourcePartition], judged: [Int]) {
        for at in sources.indices where sources[at].id == id {
            sources[at].history = history
            sources[at].judged = judged
            pipeline.circuit.beginCatchingUp(source: sources[at].ordinal, with: history)
        }
    }

    /// It is paused while others go on: the source's rows are not fed to it from now on; `readers`, of all its partitions, read
    /// them when it is resumed, and have the place where the source is.
    func stepAside(_ ordinal: Int, from shared: SharedSource, _ readers: [any SourcePartition]) throws(SQLError) {
        for at in sources.indices where sources[at].ordinal == ordinal {
            try pipeline.circuit.beginReading(source: ordinal, with: readers, from: shared.circuit)
            sources[at].history = readers
            sources[at].judged = shared.columns
            sources[at].asideSince = readers.map(\.position)
        }
    }

    /// How far it may read by itself in this tick: where the source is.
    func setFence(_ shared: SharedSource) throws(SQLError) {
        for at in sources.indices where sources[at].id == shared.id {
            guard let history = sources[at].history else { continue }
            let positions = shared.positions
            if positions.count > history.count,
                let more = try shared.history(sources[at].columns, partitions: history.count..<positions.count)
            {
                sources[at].history = history + more
                for partition in more { pipeline.circuit.addPartition(toSource: sources[at].ordinal, partition) }
            }
            pipeline.circuit.setFence(source: sources[at].ordinal, positions)
        }
    }

    /// At the end of a tick: where it has read all that the source has, it is fed from now on.
    func joinIfCaughtUp(_ shared: SharedSource) {
        guard !isPaused else { return }
        for at in sources.indices where sources[at].id == shared.id {
            if sources[at].history != nil, !sources[at].isBehind(shared.positions) { join(at, shared) }
        }
    }

    private func join(_ at: Int, _ shared: SharedSource) {
        (sources[at].history, sources[at].asideSince) = (nil, nil)
        pipeline.circuit.beginFeeding(source: sources[at].ordinal)
        if pipeline.circuit.setWatermark(ofSource: sources[at].ordinal, shared.watermark) { isFed = true }
    }

    // MARK: Backfill

    /// What is fed from now on is taken in piece by piece. Before its first tick.
    func beginBackfill() { backfill = Backfill(inputs: inputs.count) }

    /// Rows that wait leave in an order that lookups would see.
    var mayBackfill: Bool { !pipeline.circuit.graph.nodes.contains { $0.name == "look up" } }

    private func takePiece() {
        guard var left = backfill else { return }
        for (input, batch) in left.take() { pipeline.feed(input: input, batch) }
        backfill = left
    }

    /// At the end of a tick: with nothing left it joins, and is fed from then on.
    func joinIfFilled() {
        guard let backfill, backfill.isDone else { return }
        self.backfill = nil
        for (input, watermark) in heldWatermarks.sorted(by: { $0.key < $1.key }) { setWatermark(input, watermark) }
        heldWatermarks = [:]
    }

    func fail(_ error: SQLError) { failure = failure ?? error }

    func save(into writer: StateWriter) throws(SQLError) {
        // 0: it failed; 1: it works; 2: it works, and is being filled.
        writer.write(failure != nil ? 0 as UInt8 : backfill != nil ? 2 : 1)
        if failure == nil, let backfill {
            backfill.save(into: writer)
            for input in inputs.indices { writer.write(heldWatermarks[input] ?? .start) }
        }
        // By source: partitions that it reads by itself, the highest bit set where it was fed before; all bits set: it is fed.
        writer.write(
            sources.map { source in
                source.history.map { UInt32($0.count) | (source.asideSince == nil ? 0 : RunningUnit.asideBit) } ?? .max
            })
        for source in sources {
            guard let history = source.history else { continue }
            writer.write(source.judged.map { UInt32(truncatingIfNeeded: $0) })
            if source.asideSince != nil { writer.write(history.map(\.position)) }
        }
        try pipeline.save(into: writer)
    }

    private static let asideBit: UInt32 = 1 << 31

    /// How it stood, and what is said of its circuit before the shards'. `history` gives so many readers of a source's
    /// partitions, from where they began.
    func restoreStanding(
        from reader: StateReader, isOfFirstForm: Bool, history: (_ source: UnitSource, _ count: Int, _ isAside: Bool) throws(SQLError) -> [any SourcePartition]?
    ) throws(StateError) -> SavedCircuit {
        switch try reader.read(UInt8.self) {
        case 0: failure = SQLError(.internalError, "failed before the last restart")
        case 1: break
        case 2:
            backfill = try Backfill(inputs: inputs.count, from: reader)
            for input in inputs.indices { heldWatermarks[input] = try reader.read() }
        default: throw reader.error("a unit that stands otherwise than any can")
        }
        if isOfFirstForm, !sources.isEmpty {
            throw reader.error("of version 1, in which sources were read by each view for itself; begin anew (--reset)")
        }
        let counts = isOfFirstForm ? [] : try reader.readNumbers(UInt32.self, max: sources.count)
        guard counts.count == sources.count else { throw reader.error("\(counts.count) sources, not \(sources.count)") }
        for at in sources.indices where counts[at] != .max {
            let isAside = counts[at] & RunningUnit.asideBit != 0
            let judged = try reader.readNumbers(UInt32.self, max: 1 << 16).map { Int($0) }
            let positions = isAside ? try reader.readNumbers(Int64.self, max: 1 << 24) : nil
            guard positions.map({ $0.count == counts[at] & ~RunningUnit.asideBit }) ?? true else {
                throw reader.error("places of other partitions than it reads")
            }
            do throws(SQLError) {
                guard let readers = try history(sources[at], Int(counts[at] & ~RunningUnit.asideBit), isAside) else { continue }
                beginCatchingUp(sources[at].id, readers, judged: judged)
                sources[at].asideSince = positions
            } catch {
                throw reader.error(error.message)
            }
        }
        return try SavedCircuit(from: reader)
    }

    // MARK: Taking in again

    /// Before its first tick: its circuit is a new one, and takes in what there is of its sources and inputs. `rows` of an input
    /// are those that it had taken in, `watermarks` how far it knew them to be.
    func takeInAgain(
        _ histories: [(source: RelationID, readers: [any SourcePartition], judged: [Int])], rows: [[Batch]], watermarks: [Watermark?]
    ) throws(SQLError) {
        for source in sources where source.history != nil { pipeline.circuit.beginFeeding(source: source.ordinal) }
        try pipeline.beginAnew()
        for (source, readers, judged) in histories { beginCatchingUp(source, readers, judged: judged) }
        if mayBackfill { beginBackfill() }
        for (input, batches) in rows.enumerated() { for batch in batches { feed(input, batch) } }
        for (input, watermark) in watermarks.enumerated() { if let watermark { setWatermark(input, watermark) } }
    }

    /// Something is left of what it had taken in: up to where its sources are or, where it had stepped aside, up to where it was.
    var hasMoreToTakeIn: Bool {
        backfill != nil || sources.contains { $0.history != nil && ($0.asideSince.map($0.isBehind) ?? true) }
    }

    /// The next piece, as of an instant that has passed. Whoever takes in again calls it until there is no more, and nothing
    /// changes any more.
    func takeInPiece(_ shared: [RelationID: SharedSource], at wallMicros: Int64) throws(SQLError) -> TickStep {
        for source in sources where source.history != nil {
            pipeline.circuit.setFence(source: source.ordinal, source.asideSince ?? shared[source.id]?.positions ?? [])
        }
        takePiece()
        let step = try pipeline.step(at: wallMicros)
        for at in sources.indices where sources[at].history != nil && sources[at].asideSince == nil {
            if let shared = shared[sources[at].id], !sources[at].isBehind(shared.positions) { join(at, shared) }
        }
        joinIfFilled()
        return step
    }

    /// It has taken in what the saved circuit had, and goes on from there.
    func goOn(as saved: SavedCircuit) {
        pipeline.circuit.goOn(as: saved)
        for (input, batches) in saved.pending.enumerated() { for batch in batches { pipeline.feed(input: input, batch) } }
        (isFed, hasRows, isNew) = (true, false, true)
    }

    /// The object is dropped.
    func forget(_ object: RelationID) {
        views.removeAll { $0.id == object }
        objects.removeAll { $0 == object }
        if let target = sinks.firstIndex(of: object) { (pipeline.targets[target] as? any ExternalTarget)?.abandon() }
    }

    /// The target's sink was dropped while the rest of the unit goes on.
    func isDropped(target: Int) -> Bool { target < sinks.count && !objects.contains(sinks[target]) }

    func takeFailure() -> SQLError? {
        guard !isFailureTold, let failure else { return nil }
        isFailureTold = true
        return failure
    }

    /// A tick, in a replay, in which it did nothing: where it had something to do, it was because it failed then.
    func passOver() {
        if hasRows, !isPaused { fail(SQLError(.internalError, "failed before the last restart")) }
    }

    /// One tick; nil where there is nothing to do. A failure stops the unit, not the database.
    func step(replaying record: [UInt8]?) -> TickStep? {
        guard failure == nil, !isPaused, isFed || isSelfMoving || isCatchingUp || backfill != nil || record != nil else { return nil }
        takePiece()
        (isFed, hasRows, isNew) = (false, false, false)
        do throws(SQLError) {
            return try pipeline.step(replaying: record)
        } catch {
            failure = error
            return nil
        }
    }
}
