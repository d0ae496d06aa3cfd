internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// A source of a database: read, parsed and judged once a tick, for all units that read it. Its bad records become dead
/// letters here, once; rows that a unit refuses later (late ones, failed expressions) join them. Driver's thread only.
///
/// Blocks of its rows know it by its relation's number. It is read as long as somebody wants its rows or its letters, and
/// stands still otherwise, keeping its place.
final class SharedSource {
    let id: RelationID
    private(set) var definition: SourceDefinition
    let sides: SourceSides
    /// Where its targets begin among the database's.
    let firstTarget: Int
    /// By partition: where reading began.
    private(set) var starts: [Int64]
    /// The columns that are parsed, by their places among the declared: all that some unit wants.
    private(set) var columns: [Int]
    private(set) var partitions: [any SourcePartition]
    private(set) var circuit: Circuit
    /// It failed for good, and stands still.
    private(set) var failure: SQLError?
    private var isFailureTold = false
    private var isResting = false
    private var rows: SourceRows
    private var lookedNanos: Int64
    /// Of how many partitions a record, or a saved state, says where they begin.
    private var announced = 0
    private let surroundings: DatabaseSurroundings
    private let options: PipelineOptions
    private let pool = BytePool()

    /// - Parameter columns: without the watermark's, which is always read.
    init(
        _ definition: SourceDefinition, id: RelationID, columns: [Int], firstTarget: Int, _ options: PipelineOptions,
        _ surroundings: DatabaseSurroundings
    ) throws(SQLError) {
        self.id = id
        self.definition = definition
        self.firstTarget = firstTarget
        self.options = options
        self.surroundings = surroundings
        self.columns = SharedSource.ordered(columns, definition)
        partitions = try surroundings.connectors.openSource(definition, ordinal: Int(id.raw), columns: self.columns)
        starts = partitions.map(\.position)
        sides = try SourceSides(definition, connectors: surroundings.connectors, firstTarget: firstTarget)
        lookedNanos = surroundings.clock.monotonicNanos()
        (circuit, rows) = try SharedSource.circuit(definition, self.columns, partitions, options, surroundings)
    }

    private static func ordered(_ columns: [Int], _ definition: SourceDefinition) -> [Int] {
        Set(columns + (definition.watermark.map { [$0.column] } ?? [])).sorted()
    }

    /// The source and nothing else.
    private static func circuit(
        _ definition: SourceDefinition, _ columns: [Int], _ partitions: [any SourcePartition], _ options: PipelineOptions,
        _ surroundings: DatabaseSurroundings
    ) throws(SQLError) -> (Circuit, SourceRows) {
        let rows = SourceRows(shards: options.shards)
        var graph = Graph()
        // A saved state knows it by the name that never changes.
        let source = graph.addSource(definition.firstName ?? definition.name)
        _ = graph.addOperator("rows", inputs: [source]) { rows.collector(of: $0.shard) }
        let circuit = try Circuit(
            graph: graph, sources: [Pipeline.setup(definition, columns: columns, readers: partitions)], shards: options.shards,
            executor: surroundings.executor, clock: surroundings.clock, evaluation: options.evaluation)
        circuit.limits = options.limits
        return (circuit, rows)
    }

    // MARK: Who reads

    /// Readers of its partitions from where it began, for a unit that comes later; nil: what was read cannot be read again.
    /// `areMoved`: they are told where they go on before they are asked for anything.
    func history(_ columns: [Int], partitions wanted: Range<Int>, areMoved: Bool = false) throws(SQLError) -> [any SourcePartition]? {
        guard wanted.upperBound <= partitions.count else {
            throw SQLError(.dataCorrupted, "source \"\(definition.name)\" had more partitions than it has now")
        }
        var readers: [any SourcePartition] = []
        for partition in wanted {
            var reader = try partitions[partition].reopened(columns: columns, at: starts[partition])
            if reader == nil, areMoved { reader = try partitions[partition].reopened(columns: columns, at: nil) }
            guard let reader else { return nil }
            readers.append(reader)
        }
        return readers
    }

    /// The same of all of them, for a unit that is not fed while others are.
    func readersAside(_ columns: [Int]) throws(SQLError) -> [any SourcePartition]? {
        try history(columns, partitions: partitions.indices, areMoved: true)
    }

    /// Nothing was read of it yet, or who comes later does not ask for what was.
    var hasNoHistory: Bool {
        zip(partitions, starts).allSatisfy { $0.position == $1 } || surroundings.connectors.beginsAtTheEnd(definition)
    }

    /// Everything that it has read can be read again.
    var keepsHistory: Bool { zip(partitions, starts).allSatisfy { $0.isKept(from: $1) } }

    /// As it is called now.
    private(set) lazy var name = definition.name
    func rename(_ next: String) { name = next }

    var dropped: UInt64 { partitions.reduce(0) { $0 + $1.dropped } }
    var positions: [Int64] { partitions.map(\.position) }

    /// It has columns enough for a reader who wants these.
    func has(_ wanted: [Int]) -> Bool { wanted.allSatisfy(columns.contains) }

    /// The same source at the same place with more columns.
    func prepareWidening(_ wanted: [Int]) throws(SQLError) -> Widened {
        let wider = SharedSource.ordered(columns + wanted, definition)
        return try rebuilt(columns: wider, starts: starts, SharedSource.bringOver)
    }

    /// The same source at the same place, its records read by another definition.
    func prepareRedefining(_ definition: SourceDefinition) throws(SQLError) -> Redefined {
        let opened = try surroundings.connectors.openSource(definition, ordinal: Int(id.raw), columns: columns)
        guard opened.count >= partitions.count else {
            throw SQLError(.dataCorrupted, "source \"\(name)\" had more partitions than it has now")
        }
        let readers = Array(opened.prefix(partitions.count))
        let (next, rows) = try SharedSource.circuit(definition, columns, readers, options, surroundings)
        try SharedSource.bringOver(circuit, next)
        return Redefined(
            definition: definition, reading: Widened(starts: starts, columns: columns, partitions: readers, circuit: next, rows: rows))
    }

    /// A definition that may take the place of the one at work.
    struct Redefined {
        fileprivate var definition: SourceDefinition
        fileprivate var reading: Widened
    }

    func enter(_ redefined: Redefined) {
        definition = redefined.definition
        enter(redefined.reading)
    }

    private static func bringOver(_ old: Circuit, _ next: Circuit) throws(SQLError) {
        let state = ByteSink()
        let writer = StateWriter { (bytes: UnsafeRawBufferPointer) in state.append(bytes) }
        old.save(into: writer)
        try writer.finish()
        var at = 0
        let reader = StateReader { (buffer: UnsafeMutableRawBufferPointer) in
            let count = min(buffer.count, state.count - at)
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: state.bytes[at..<at + count]))
            at += count
            return count
        }
        do throws(StateError) { try next.restore(from: reader) } catch { throw error.asSQLError }
    }

    /// A circuit that may take the place of the one at work.
    struct Widened {
        fileprivate var starts: [Int64]
        fileprivate var columns: [Int]
        fileprivate var partitions: [any SourcePartition]
        fileprivate var circuit: Circuit
        fileprivate var rows: SourceRows
    }

    func enter(_ widened: Widened) {
        (starts, columns, partitions) = (widened.starts, widened.columns, widened.partitions)
        (circuit, rows) = (widened.circuit, widened.rows)
    }

    private func rebuilt(
        columns: [Int], starts: [Int64], _ bringOver: ((Circuit, Circuit) throws(SQLError) -> Void)? = nil
    ) throws(SQLError) -> Widened {
        var readers: [any SourcePartition] = []
        for (partition, start) in zip(partitions, starts) {
            guard let reader = try partition.reopened(columns: columns, at: bringOver == nil ? start : nil) else {
                throw SQLError(
                    .featureNotSupported, "source \"\(definition.name)\" cannot be read again, and is read without a column that is wanted now",
                    hint: "Define what reads it together with it, in one text.")
            }
            readers.append(reader)
        }
        let (next, rows) = try SharedSource.circuit(definition, columns, readers, options, surroundings)
        try bringOver?(circuit, next)
        return Widened(starts: starts, columns: columns, partitions: readers, circuit: next, rows: rows)
    }

    // MARK: Ticks

    /// Input that a tick takes from all partitions, at most about this much, but of each at least a little.
    private static let tickBytesMax = 32 << 20
    private static let partitionBytesMin = 64 << 10

    struct Step {
        var record: [UInt8]?
        var report: TickReport
        /// By shard.
        var rows: [[Batch]]
    }

    var watermark: Watermark { circuit.sourceWatermarks[0] }
    /// It is read to its end, or cannot be read any more.
    var isFinished: Bool { watermark == .end || failure != nil }

    /// Nobody wants its rows in this tick.
    func rest() { isResting = true }

    /// One tick; nil where there is nothing to do. A failure stops the source, not the database.
    func step(replaying record: [UInt8]?) -> Step? {
        guard !isFinished else { return nil }
        if isResting { circuit.countSilenceAfresh() }
        isResting = false
        do throws(SQLError) {
            if record == nil { try lookForPartitions() }
            // A tick's rows are all in memory until the last unit has had them.
            let share = SharedSource.tickBytesMax / max(partitions.count, 1)
            circuit.limits.bytesPerPartition = min(options.limits.bytesPerPartition, max(share, SharedSource.partitionBytesMin))
            let report: TickReport
            if let record {
                do throws(StateError) {
                    report = try circuit.step(replaying: try TickInputs(decoding: record))
                } catch {
                    throw error.asSQLError
                }
            } else {
                report = circuit.step()
            }
            if let failed = circuit.failure { throw failed }
            return Step(record: report.inputs?.encode(), report: report, rows: rows.take())
        } catch {
            failure = error
            return nil
        }
    }

    private func lookForPartitions() throws(SQLError) {
        let now = surroundings.clock.monotonicNanos()
        guard now - lookedNanos >= Pipeline.lookNanos else { return }
        lookedNanos = now
        try openMore()
    }

    private func openMore() throws(SQLError) {
        let more = try surroundings.connectors.openMore(
            definition, ordinal: Int(id.raw), columns: columns, known: partitions.count)
        for partition in more {
            partitions.append(partition)
            starts.append(partition.position)
            circuit.addPartition(toSource: 0, partition)
        }
    }

    /// Where all partitions begin, if that is news since the last call.
    func takeStarts() -> [Int64]? {
        guard starts.count > announced else { return nil }
        announced = starts.count
        return starts
    }

    /// In a replay, or before its state is restored: its partitions were these, and began there. What the source has got since
    /// comes when it is looked for.
    func begin(at starts: [Int64]) throws(SQLError) {
        if circuit.tick > 0 || self.starts == starts {
            if self.starts.count < starts.count { try openMore() }
        } else {
            enter(try rebuilt(columns: columns, starts: starts))
        }
        announced = starts.count
        guard self.starts.count >= starts.count else {
            throw SQLError(
                .dataCorrupted, "source \"\(definition.name)\" had \(starts.count) partitions; now it has \(self.starts.count)")
        }
    }

    /// Rows that were refused, of its own circuit or a unit's, as rows of its late table and its dead letters.
    func collect(_ refused: Refusals) throws(SQLError) -> SourceSides.Collected {
        try sides.collect(refused, pool: pool) { (block, rows) throws(SQLError) in
            try partitions[Int(block.partition)].reread(block, rows: rows)
        }
    }

    func takeFailure() -> SQLError? {
        guard !isFailureTold, let failure else { return nil }
        isFailureTold = true
        return failure
    }

    func fail(_ error: SQLError) { failure = failure ?? error }

    // MARK: Its state

    func save(into writer: StateWriter) {
        writer.write(id.raw)
        writer.write(failure == nil)
        writer.write(starts)
        circuit.save(into: writer)
    }

    /// Into one just opened; `starts` and whether it works were read.
    func restore(from reader: StateReader) throws(StateError) { try circuit.restore(from: reader) }
}

/// The rows of a source in one tick: written by the shards, taken by the driver.
private final class SourceRows {
    private let batches: PerShard<[Batch]>

    init(shards: Int) { batches = PerShard(shards, []) }

    func collector(of shard: Int) -> Collector { Collector(self, shard) }

    func take() -> [[Batch]] {
        (0..<batches.count).map { shard in
            defer { batches[shard] = [] }
            return batches[shard]
        }
    }

    final class Collector: StatelessOperator {
        private let rows: SourceRows
        private let shard: Int

        init(_ rows: SourceRows, _ shard: Int) {
            self.rows = rows
            self.shard = shard
        }

        func process(_ batch: Batch, from input: Int, into output: any Output) { rows.batches[shard].append(batch) }
    }
}
