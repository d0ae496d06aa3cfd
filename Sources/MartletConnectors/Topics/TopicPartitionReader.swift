internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletLog
internal import MartletSQL
internal import MartletState

/// One partition of a topic of the deployment's own log, read in process: what is durable and, where transactions wrote
/// it, committed. Used by one shard's thread.
final class TopicPartitionReader: SourcePartition {
    private let log: Log
    private let partition: TopicPartition
    private let source: String
    private let rows: TopicRows
    /// Where a bounded read stops; nil: never.
    private let end: Int64?
    private var next: Int64
    private var bytesRead: Int64 = 0
    private let backpressure: Backpressure
    /// The last move passed over records instead of delivering them.
    private var hasPassedOver = false
    /// Where records begin to be passed over, and where reading goes on.
    private var gap: Range<Int64>?
    private(set) var dropped: UInt64 = 0
    /// What is left of the last piece that was read for a replay: its ticks are mostly much smaller.
    private var replayed: FetchedBatches?
    /// Another reader of the same partition.
    private let reopen: (_ columns: [Int], _ start: Int64) throws(SQLError) -> TopicPartitionReader

    /// What happens where the pipeline falls behind by more than so many records.
    enum Backpressure {
        /// Nothing is lost: the log keeps what has yet to be read.
        case block
        case dropOldest(lagMax: Int64)
        case dropNewest(lagMax: Int64)
    }

    /// Reads from offset `start`, and up to `end` if there is one.
    init(
        _ log: Log, _ partition: TopicPartition, topic: String, definition: SourceDefinition, ordinal: Int, columns: [Int],
        start: Int64, end: Int64?, backpressure: Backpressure, clock: any Clock
    ) throws(SQLError) {
        self.log = log
        self.partition = partition
        source = definition.name
        next = start
        self.end = end
        self.backpressure = backpressure
        reopen = { (columns, start) throws(SQLError) in
            try TopicPartitionReader(
                log, partition, topic: topic, definition: definition, ordinal: ordinal, columns: columns, start: start, end: end,
                backpressure: backpressure, clock: clock)
        }
        rows = try TopicRows(
            definition, ordinal: ordinal, partition: partition.partition, columns: columns,
            place: "\(topic)[\(partition.partition)]", clock: clock)
    }

    var progress: (done: Int64, total: Int64?) { (bytesRead, nil) }

    /// Twice the offset of the next record, and one more where the last move passed over records: so what lies between two
    /// positions is always the same, records or nothing.
    var position: Int64 { next << 1 | (hasPassedOver ? 1 : 0) }

    /// Records that transactions hide are counted too. The first one's time is read from memory only.
    var backlog: SourceBacklog? {
        guard let status = log.status(partition) else { return nil }
        let records = max(min(status.lastStableOffset, end ?? .max) - max(next, status.logStartOffset), 0)
        var oldest: Int64?
        if records > 0, case .found(let data)? = try? log.readTail(partition, from: next, maxBytes: 1, isolation: .readCommitted),
            let slice = data.slices.first
        {
            oldest = (try? RecordBatchHeader(reading: slice.bytes))?.baseTimestamp
        }
        return SourceBacklog(position: next, records: records, oldestMillis: oldest)
    }

    func save(into writer: StateWriter) { writer.write(position) }

    func restore(from reader: StateReader) throws(StateError) { move(to: try reader.read()) }

    func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)? { try reopen(columns, (start ?? 0) >> 1) }

    func isKept(from position: Int64) -> Bool { log.status(partition).map { $0.logStartOffset <= position >> 1 } ?? false }

    func amount(from start: Int64, to end: Int64) -> Int64 { max(end >> 1 - start >> 1, 0) }

    /// Whether or not records on the way there were passed over.
    func isBehind(_ position: Int64) -> Bool { next < position >> 1 }

    private func move(to position: Int64) {
        next = position >> 1
        hasPassedOver = position & 1 == 1
        replayed = nil
    }

    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        if let end, next >= end { return .finished }
        let data = try read(from: next, bytes: bytes)
        // What retention has deleted is passed over too, and that is recorded.
        if let past = data.logStartOffset > next ? data.logStartOffset : gapAhead(data.lastStableOffset) {
            dropped += UInt64(past - next)
            move(to: past << 1 | 1)
            return .progressed
        }
        guard data.nextOffset > next || !data.slices.isEmpty else { return .idle }
        try take(data, before: min(end ?? .max, gap?.lowerBound ?? .max), rows: rows, into: receiver)
        return .progressed
    }

    private func take(_ data: FetchedData, before limit: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        var batches = FetchedBatches(data, from: next)
        bytesRead += Int64(data.bytes)
        try deliver(&batches, before: limit, rows: rows, into: receiver)
        move(to: min(max(next, data.nextOffset), max(limit, next)) << 1)
    }

    /// Reads what the other reader passed over as well, as far as it is there.
    func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        guard isBehind(limit) else { return }
        let data = try read(from: next, bytes: bytes)
        if data.logStartOffset > next { return move(to: min(data.logStartOffset, limit >> 1) << 1 | 1) }
        try take(data, before: limit >> 1, rows: rows, into: receiver)
    }

    /// Where to go on if records are to be passed over now.
    private func gapAhead(_ newest: Int64) -> Int64? {
        switch backpressure {
        case .block: return nil
        case .dropOldest(let lagMax): return newest - next > lagMax ? newest - lagMax : nil
        case .dropNewest(let lagMax):
            if let gap, next >= gap.lowerBound {
                self.gap = nil
                return gap.upperBound
            }
            if gap == nil, newest - next > lagMax { gap = next + lagMax..<newest }
            return nil
        }
    }

    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        guard position & 1 == 0 else { return move(to: position) }
        let offset = position >> 1
        while next < offset {
            var batches: FetchedBatches
            if let left = replayed, left.covers(next) {
                batches = left
            } else {
                batches = FetchedBatches(try read(from: next, bytes: TopicPartitionReader.replayBytes, mayPassOver: false), from: next)
                bytesRead += Int64(batches.data.bytes)
            }
            guard batches.data.nextOffset > next else {
                throw SQLError(.dataCorrupted, "source \"\(source)\": \(partition) was read up to offset \(offset) before, and now ends at \(next)")
            }
            try deliver(&batches, before: min(offset, end ?? .max), rows: rows, into: receiver)
            next = min(batches.data.nextOffset, offset)
            replayed = batches.covers(next) ? batches : nil
        }
        hasPassedOver = false
    }

    private static let replayBytes = 1 << 20

    /// Hands over the visible records from `next` on and before `limit`.
    private func deliver(
        _ batches: inout FetchedBatches, before limit: Int64, rows rowsMax: Int, into receiver: any RecordReceiver
    ) throws(SQLError) {
        let (start, slices) = (next, batches.data.slices)
        try batches.forEach(from: start, before: limit) { (batch) throws(SQLError) in
            var reader = try corrupted { () throws(BatchError) in try RecordBatchReader(batch) }
            while let record = try corrupted({ () throws(BatchError) in try reader.next() }) {
                guard record.offset >= start, record.offset < limit else { continue }
                if rows.isFull(for: record) { try rows.flush(rowsMax: rowsMax, originals: slices, into: receiver) }
                rows.add(record, into: receiver)
            }
        } failing: { damage($0) }
        try rows.flush(rowsMax: rowsMax, originals: slices, into: receiver)
    }

    /// The log has checked its batches: one that cannot be read is damage.
    private func corrupted<Result>(_ body: () throws(BatchError) -> Result) throws(SQLError) -> Result {
        do throws(BatchError) {
            return try body()
        } catch {
            throw damage(error)
        }
    }

    private func damage(_ error: BatchError) -> SQLError {
        SQLError(.dataCorrupted, "source \"\(source)\": \(partition): \(error)")
    }

    /// The records again, from the log, with all columns; where they have been deleted since, from the bytes at hand.
    func reread(_ block: OriginBlock, rows wanted: [Int]) throws(SQLError) -> Batch {
        var found: [Int64: Record] = [:]
        var left = Set(wanted.map { block.offsets[$0] }).sorted()[...]
        while let first = left.first {
            // At least a whole batch, of which a record is one of many.
            let slices = (try? read(from: first, bytes: 1))?.slices ?? []
            for record in TopicRows.records(at: left, in: slices) { found[record.offset] = record }
            left = left.drop { $0 == first || found[$0] != nil }
        }
        let records = wanted.map { row in
            found[block.offsets[row]]
                ?? Record(offset: block.offsets[row], timestamp: block.ingestedAt / 1000, key: nil, value: Array(block.payload(row)))
        }
        return try rows.reread(records, block: block)
    }

    /// - Parameter mayPassOver: what retention has deleted is passed over; else it is an error.
    private func read(from offset: Int64, bytes: Int, mayPassOver: Bool = true) throws(SQLError) -> FetchedData {
        do throws(LogError) {
            switch try log.readTail(partition, from: offset, maxBytes: max(bytes, 1), isolation: .readCommitted) {
            case .found(let data), .atEnd(let data): return data
            case .needsDisk:
                return try log.readFromDisk(partition, from: offset, maxBytes: max(bytes, 1), isolation: .readCommitted)
            }
        } catch .offsetOutOfRange(_, let start, _) where start > offset && mayPassOver {
            // Retention went past what was never read: the loss was the topic's settings' choice; go on with what is left.
            return try read(from: start, bytes: bytes)
        } catch {
            throw SQLError(.ioError, "source \"\(source)\": \(partition): \(error)")
        }
    }
}
