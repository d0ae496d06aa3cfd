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
    /// Views and sinks for whom it runs.
    private(set) var objects: [RelationID]
    /// Where its targets begin among the database's.
    let firstTarget: Int
    /// Ticks may do something though nothing is fed.
    let isSelfMoving: Bool
    /// It failed for good: its views stand still.
    private(set) var failure: SQLError?
    private var isFed = true

    init(
        id: UInt32, pipeline: Pipeline, inputs: [RelationID], views: [(id: RelationID, tap: PipelineTap)],
        objects: [RelationID], firstTarget: Int, isSelfMoving: Bool
    ) {
        self.id = id
        self.pipeline = pipeline
        self.inputs = inputs
        self.views = views
        self.objects = objects
        self.firstTarget = firstTarget
        self.isSelfMoving = isSelfMoving
    }

    func feed(_ ordinal: Int, _ batch: Batch) {
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
