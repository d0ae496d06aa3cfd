import MartletColumns
import MartletCore
import MartletDataflow
import MartletEngine
import MartletSQL
import MartletState
import MartletTestKit

/// The rows that a sink holds, tick by tick: what all its changes so far come to. A row that is taken back without having
/// been there, or that comes and goes within one tick, is a problem of its own.
final class HeldRows: ExternalTarget {
    let name = "k"
    let guarantee = DeliveryGuarantee.atLeastOnce
    private var tick: UInt64 = 0
    private var counts: [String: Int] = [:]
    private var changes: [String: Set<Bool>] = [:]
    private(set) var problems: [String] = []

    private final class Encoder: RowEncoder {
        func encode(_ batch: Batch, into bytes: ByteSink) {
            for row in 0..<batch.count {
                let isDelete = (batch.weights?.int64s[row] ?? 1) < 0
                let values = batch.row(row).map { value in
                    switch value {
                    case .null: "NULL"
                    case .timestamptz(let micros), .timestamp(let micros): "\(micros / 1_000_000)"
                    default: value.text(in: .utc)
                    }
                }
                bytes.append(text: (isDelete ? "-" : "+") + values.joined(separator: "\t") + "\n")
            }
        }
    }

    func makeEncoder() -> any RowEncoder { Encoder() }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let row = String(line.dropFirst())
            let isDelete = line.hasPrefix("-")
            counts[row, default: 0] += isDelete ? -1 : 1
            changes[row, default: []].insert(isDelete)
        }
    }

    func resume(_ start: SinkStart) -> UInt64 { start.mark?.tick ?? 0 }

    func endTick(_ tick: UInt64, isFollowed: Bool) {
        self.tick = tick
        for (row, count) in counts where count < 0 { problems.append("taken back without having been there: \(row)") }
        for (row, signs) in changes where signs.count == 2 { problems.append("came and went within a tick: \(row)") }
        changes = [:]
        counts = counts.filter { $0.value != 0 }
    }

    func sync() -> SinkMark { SinkMark(tick: tick) }
    func finish() {}

    var rows: [String] { counts.flatMap { Array(repeating: $0.key, count: max($0.value, 0)) }.sorted() }
}

/// Two sources, `a` and `b`, of rows (ts, key, value, id), and one view into a sink, with what the sink holds after each tick.
final class PrefixRun: ConnectorProvider {
    struct Tick {
        /// Rows read so far, by source and partition.
        var read: [[Int]]
        var rows: [String]
    }

    private var scripts: [String: [[ScriptedRow]]]
    private var partitions: [String: [CountingSource]] = [:]
    private let held = HeldRows()
    private var seed: SplitMix64
    private(set) var ticks: [Tick] = []
    private(set) var letters = 0
    private(set) var late = 0

    var problems: [String] { held.problems }

    /// - Parameters:
    ///   - rowsMax: what a partition hands over in a tick, at most.
    ///   - tickMicros: by how much the clock moves on after each tick.
    ///   - ticksAfter: ticks to go on for when everything is read.
    init(
        _ query: String, _ scripts: [String: [[ScriptedRow]]], shards: Int, rowsMax: Int, seed: UInt64, delay: Int = 5,
        before: String = "", options: String = "", tickMicros: Int64 = 0, ticksAfter: Int = 0
    ) throws {
        self.scripts = scripts
        self.seed = SplitMix64(seed: seed)
        for (name, parts) in scripts.sorted(by: { $0.key < $1.key }) {
            partitions[name] = parts.map { rows in CountingSource(rows, rowsMax: rowsMax, seed: self.seed.next()) }
        }
        let sources = scripts.keys.sorted().map { name in
            """
            CREATE SOURCE \(name) (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '\(delay) seconds')
            WITH (connector = 'file', late_table = '\(name)_late'\(options)) FORMAT PLAIN ENCODE JSON;
            """
        }
        let script = sources.joined(separator: "\n") + before + "\nCREATE SINK k AS \(query)\nWITH (connector = 'file') FORMAT PLAIN ENCODE JSON;"
        var catalog = SQLCatalog()
        let statements = try Script.bind(script, into: &catalog)
        let clock = SimulatedClock()
        let pipeline = try Pipeline(
            statements, options: PipelineOptions(shards: shards), connectors: self,
            executor: SequentialExecutor(order: (0..<shards).reversed()), clock: clock)
        let committer = InlineCommitter(targets: pipeline.targets, clock: clock, latency: Histogram())
        var left = ticksAfter
        for _ in 0..<5_000 {
            let step = try pipeline.step(replaying: nil)
            try committer.commit(step.output)
            let report = step.report
            letters += report.deadLetters.count
            late += report.lateRows.count
            ticks.append(Tick(read: scripts.keys.sorted().map { partitions[$0]!.map(\.count) }, rows: held.rows))
            if tickMicros > 0 { clock.advance(nanos: tickMicros * 1_000) }
            if report.isFinished {
                if left == 0 { break }
                left -= 1
            }
        }
        try pipeline.finish()
    }

    func openSource(_ definition: SourceDefinition, ordinal: Int, columns: [Int]) throws(SQLError) -> [any SourcePartition] {
        let parts = partitions[definition.name] ?? []
        for (number, part) in parts.enumerated() { part.open(source: ordinal, partition: number, columns: columns) }
        return parts
    }

    func openSink(_ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool) throws(SQLError) -> any SinkTarget { held }

    func openRelation(_ relation: SideRelation) throws(SQLError) -> any SinkTarget { KeptRows(relation.name) }
}

/// A partition that hands over a random number of its rows at a time, and says how many so far.
final class CountingSource: SourcePartition {
    private let rows: [ScriptedRow]
    private let rowsMax: Int
    private var random: SplitMix64
    private var inner: RowMaker?
    private(set) var count = 0

    init(_ rows: [ScriptedRow], rowsMax: Int, seed: UInt64) {
        self.rows = rows
        self.rowsMax = rowsMax
        random = SplitMix64(seed: seed)
    }

    func open(source: Int, partition: Int, columns: [Int]) {
        inner = RowMaker(rows: rows, source: source, partition: partition, columns: columns)
    }

    var progress: (done: Int64, total: Int64?) { (Int64(count), Int64(rows.count)) }

    var position: Int64 { Int64(count) }

    func save(into writer: StateWriter) { writer.write(Int64(count)) }

    func restore(from reader: StateReader) throws(StateError) { count = Int(try reader.read(Int64.self)) }

    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        if count < Int(position), let inner { receiver.receive(inner.batch(Array(count..<Int(position)))) }
        count = Int(position)
    }

    func poll(bytes: Int, rows limit: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        let end = min(count + Int(random.next() % UInt64(rowsMax + 1)), rows.count)
        if count < end, let inner { receiver.receive(inner.batch(Array(count..<end))) }
        count = end
        return count == rows.count ? .finished : .progressed
    }

    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch {
        var all = inner
        all?.columns = [0, 1, 2, 3]
        return all?.batch(rows.map { Int(block.offsets[$0]) }) ?? Batch(count: 0, columns: [])
    }
}

/// Rows as batches of some of their columns.
private struct RowMaker {
    let rows: [ScriptedRow]
    let source: Int
    let partition: Int
    var columns: [Int]

    func batch(_ places: [Int]) -> Batch {
        let block = OriginBlock(
            source: source, partition: Int32(partition), heap: ByteHeap(capacity: 1), capacity: places.count, ingestedAt: 0)
        for (at, place) in places.enumerated() {
            block.offsets[at] = Int64(place)
            block.starts[at] = 0
            block.lengths[at] = 0
        }
        block.count = places.count
        let made = columns.map { column in
            Column(
                [.timestamptz, .bigint, .bigint, .bigint][column],
                places.map { place -> Value in
                    let row = rows[place]
                    switch column {
                    case 0: return row.time.map { .timestamptz($0) } ?? .null
                    case 1: return row.key.map { .bigint($0) } ?? .null
                    case 2: return row.value.map { .bigint($0) } ?? .null
                    default: return .bigint(row.id)
                    }
                })
        }
        return Batch(count: places.count, columns: made, origins: RowOrigins(block: block, rows: nil))
    }
}
