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
    /// By input: columns that the plans know; a table may have got more since.
    private let inputWidths: [Int]
    /// Views and sinks for whom it runs.
    private(set) var objects: [RelationID]
    /// Where its targets begin among the database's.
    let firstTarget: Int
    /// Ticks may do something though nothing is fed.
    let isSelfMoving: Bool
    /// It failed for good: its views stand still.
    private(set) var failure: SQLError?
    private var isFed = true
    private var isFailureTold = false
    let readsSources: Bool
    /// The sources are at their end and everything has come of them, or nothing will.
    var isFinished: Bool { failure != nil || pipeline.circuit.sourceWatermarks.allSatisfy { $0 == .end } }

    init(
        id: UInt32, pipeline: Pipeline, inputs: [RelationID], inputWidths: [Int], views: [(id: RelationID, tap: PipelineTap)],
        feeds: [(table: RelationID, tap: PipelineTap)], objects: [RelationID], firstTarget: Int, isSelfMoving: Bool
    ) {
        self.id = id
        self.pipeline = pipeline
        self.inputs = inputs
        self.views = views
        self.feeds = feeds
        self.inputWidths = inputWidths
        self.objects = objects
        self.firstTarget = firstTarget
        self.isSelfMoving = isSelfMoving
        readsSources = !pipeline.sources.isEmpty
    }

    func feed(_ ordinal: Int, _ batch: Batch) {
        var batch = batch
        if batch.columns.count > inputWidths[ordinal] { batch.columns.removeSubrange(inputWidths[ordinal]...) }
        pipeline.feed(input: ordinal, batch)
        isFed = true
    }

    func setWatermark(_ ordinal: Int, _ watermark: Watermark) {
        if pipeline.setWatermark(ofInput: ordinal, watermark) { isFed = true }
    }

    func save(into writer: StateWriter) throws(SQLError) {
        writer.write(failure == nil)
        try pipeline.save(into: writer)
    }

    func restore(from reader: StateReader) throws(StateError) {
        if try !reader.readFlag() { failure = SQLError(.internalError, "failed before the last restart") }
        try pipeline.circuit.restore(from: reader)
    }

    /// The object is dropped.
    func forget(_ object: RelationID) {
        views.removeAll { $0.id == object }
        objects.removeAll { $0 == object }
    }

    func takeFailure() -> SQLError? {
        guard !isFailureTold, let failure else { return nil }
        isFailureTold = true
        return failure
    }

    /// One tick; nil where there is nothing to do. A failure stops the unit, not the database.
    func step(replaying record: [UInt8]?) -> TickStep? {
        guard failure == nil, isFed || isSelfMoving || record != nil else { return nil }
        isFed = false
        do throws(SQLError) {
            return try pipeline.step(replaying: record)
        } catch {
            failure = error
            return nil
        }
    }
}
