import MartletColumns
import MartletCore
import MartletDataflow
import MartletEngine
import MartletSQL
import MartletState
import MartletTestKit

/// Sources that deliver scripted rows of (ts, key, value, id), a few at a time; sinks that keep the rows they get.
final class ScriptedConnectors: ConnectorProvider {
    /// By source, then partition.
    var scripts: [String: [[ScriptedRow]]] = [:]
    var rowsPerPoll = 1
    /// Nothing of a source's past can be read again.
    var forgets = false
    /// Sources are read once, like standard input.
    var areReadOnce = false
    /// Sources have nothing for the moment.
    var areSilent = false
    /// More may come behind the last row, though nothing does.
    var staysOpen = false
    /// Reading this row is an error.
    var failsAt: Int?
    private(set) var sinks: [String: KeptRows] = [:]
    /// By source: how often it was opened by name.
    private(set) var opened: [String: Int] = [:]

    static let declaration = "ts TIMESTAMPTZ, key BIGINT, value BIGINT, id BIGINT"

    /// A source with event time and a late table, for `mixedRows`.
    static let source = """
        CREATE SOURCE s (\(declaration), WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
        WITH (connector = 'file', path = 'x', late_table = 'late') FORMAT PLAIN ENCODE JSON
        """
    /// Two partitions of forty rows; every eighth record has no event time, every tenth is late.
    static let mixedRows: [[ScriptedRow]] = (0..<2).map { partition in
        (0..<40).map { at in
            let seconds = Int64(at % 10 == 9 ? max(at - 25, 0) : at)
            return ScriptedRow(
                id: Int64(partition * 1000 + at), time: at % 8 == 7 ? nil : seconds * 1_000_000, key: Int64(at % 3), value: Int64(at))
        }
    }

    func openSource(_ definition: SourceDefinition, ordinal: Int, columns: [Int]) throws(SQLError) -> [any SourcePartition] {
        opened[definition.name, default: 0] += 1
        return (scripts[definition.name] ?? []).enumerated().map {
            ScriptedSource(
                $1, source: ordinal, partition: $0, columns: columns, rowsPerPoll: rowsPerPoll, forgets: forgets, isReadOnce: areReadOnce, self)
        }
    }

    func openSink(_ definition: SinkDefinition, fields: [Field], isAppendOnly: Bool) throws(SQLError) -> any SinkTarget {
        keep(definition.name)
    }

    func openRelation(_ relation: SideRelation) throws(SQLError) -> any SinkTarget { keep(relation.name) }

    private func keep(_ name: String) -> KeptRows {
        let kept = KeptRows(name)
        sinks[name] = kept
        return kept
    }
}

/// One row a line, its values' texts divided by blanks; `-` before a row that is taken back.
final class KeptRows: ExternalTarget {
    let name: String
    let guarantee = DeliveryGuarantee.atLeastOnce
    private(set) var lines: [String] = []
    private var tick: UInt64 = 0

    init(_ name: String) { self.name = name }

    private final class Encoder: RowEncoder {
        func encode(_ batch: Batch, into bytes: ByteSink) {
            for row in 0..<batch.count {
                let isDelete = (batch.weights?.int64s[row] ?? 1) < 0
                let values = batch.row(row).map { value in
                    switch value {
                    case .null: "NULL"
                    case .timestamptz(let micros), .timestamp(let micros): "@\(micros / 1_000_000)"
                    default: value.text(in: .utc)
                    }
                }
                bytes.append(text: (isDelete ? "-" : "") + values.joined(separator: " ") + "\n")
            }
        }
    }

    func makeEncoder() -> any RowEncoder { Encoder() }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        lines += String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func resume(_ start: SinkStart) -> UInt64 { start.mark?.tick ?? 0 }
    func endTick(_ tick: UInt64, isFollowed: Bool) { self.tick = tick }
    func sync() -> SinkMark { SinkMark(tick: tick) }
    func finish() {}

    /// What all changes come to, ascending.
    var rows: [String] {
        var counts: [String: Int] = [:]
        for line in lines {
            if line.hasPrefix("-@") || line.hasPrefix("-"), let row = Optional(String(line.dropFirst())), counts[row] != nil {
                counts[row, default: 0] -= 1
            } else {
                counts[line, default: 0] += 1
            }
        }
        return counts.flatMap { Array(repeating: $0.key, count: max($0.value, 0)) }.sorted()
    }
}

private final class ScriptedSource: SourcePartition {
    private let rows: [ScriptedRow]
    private let source: Int
    private let partition: Int
    private let columns: [Int]
    private let rowsPerPoll: Int
    private let forgets: Bool
    private let isReadOnce: Bool
    private unowned let connectors: ScriptedConnectors
    private var next = 0

    init(
        _ rows: [ScriptedRow], source: Int, partition: Int, columns: [Int], rowsPerPoll: Int, forgets: Bool, isReadOnce: Bool,
        _ connectors: ScriptedConnectors
    ) {
        self.connectors = connectors
        self.forgets = forgets
        self.isReadOnce = isReadOnce
        self.rows = rows
        self.source = source
        self.partition = partition
        self.columns = columns
        self.rowsPerPoll = rowsPerPoll
    }

    var progress: (done: Int64, total: Int64?) { (Int64(next), Int64(rows.count)) }

    var position: Int64 { Int64(next) }

    func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)? {
        guard !isReadOnce else { return nil }
        return ScriptedSource(
            rows, source: source, partition: partition, columns: columns, rowsPerPoll: rowsPerPoll, forgets: forgets, isReadOnce: false, connectors)
    }

    func isKept(from position: Int64) -> Bool { !forgets }

    func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        deliver(min(next + 2 * rowsPerPoll, Int(limit)), into: receiver)
    }

    func save(into writer: StateWriter) { writer.write(Int64(next)) }

    func restore(from reader: StateReader) throws(StateError) { next = Int(try reader.read(Int64.self)) }

    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        deliver(Int(position), into: receiver)
    }

    func poll(bytes: Int, rows limit: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        if connectors.areSilent { return .idle }
        let end = min(next + min(rowsPerPoll, limit), rows.count)
        if let bad = connectors.failsAt, (next..<end).contains(bad) { throw SQLError(.internalError, "the broker is away for a moment") }
        if connectors.staysOpen, next == end { return .idle }
        deliver(end, into: receiver)
        return next == rows.count && !connectors.staysOpen ? .finished : .progressed
    }

    private func deliver(_ end: Int, into receiver: any RecordReceiver) {
        if next < end {
            let block = OriginBlock(
                source: source, partition: Int32(partition), heap: ByteHeap(capacity: 1), capacity: end - next, ingestedAt: 0)
            for at in next..<end {
                block.offsets[at - next] = Int64(at)
                block.starts[at - next] = 0
                block.lengths[at - next] = 0
            }
            block.count = end - next
            receiver.receive(
                Batch(count: end - next, columns: make(columns, Array(next..<end)), origins: RowOrigins(block: block, rows: nil)))
            next = end
        }
    }

    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch {
        Batch(count: rows.count, columns: make([0, 1, 2, 3], rows.map { Int(block.offsets[$0]) }))
    }

    private func make(_ columns: [Int], _ places: [Int]) -> [Column] {
        columns.map { column in
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
    }
}

/// Runs a script to its end, tick by tick in virtual time.
struct EngineRun {
    let connectors = ScriptedConnectors()
    let pipeline: Pipeline

    /// - Parameter options: of the source `s`, such as `allowed_lateness = '2 seconds'`.
    init(
        _ view: String, options: String = "", delay: String = "0 seconds", rows: [[ScriptedRow]], shards: Int = 1, rowsPerPoll: Int = 1
    ) throws {
        connectors.scripts["s"] = rows
        connectors.rowsPerPoll = rowsPerPoll
        let script = """
            CREATE SOURCE s (\(ScriptedConnectors.declaration), WATERMARK FOR ts AS ts - INTERVAL '\(delay)')
            WITH (connector = 'file', late_table = 'late'\(options.isEmpty ? "" : ", " + options)) FORMAT PLAIN ENCODE JSON;
            \(view)
            """
        var catalog = SQLCatalog()
        let statements = try Script.bind(script, into: &catalog)
        let clock = SimulatedClock()
        pipeline = try Pipeline(
            statements, options: PipelineOptions(shards: shards), connectors: connectors,
            executor: SequentialExecutor(order: (0..<shards).reversed()), clock: clock)
        let committer = InlineCommitter(targets: pipeline.targets, clock: clock, latency: Histogram())
        for _ in 0..<10_000 {
            let step = try pipeline.step(replaying: nil)
            try committer.commit(step.output)
            if step.report.isFinished { break }
        }
        try pipeline.finish()
    }

    func rows(_ sink: String) -> [String] { connectors.sinks[sink]?.rows ?? ["there is no sink \(sink)"] }

    /// As they came.
    func lines(_ sink: String) -> [String] { connectors.sinks[sink]?.lines ?? ["there is no sink \(sink)"] }
}
