internal import MartletColumns
package import MartletCore
internal import MartletDataflow
package import MartletLog
internal import MartletSQL

/// The changes of relations with subscriptions, and of tables whose past is kept, in the log: a topic of one partition for
/// each relation, written within the commits of the ticks that made them, so that they are there exactly when the tick is
/// (docs/formats/changes.md has the bytes). Clients see the topics marked as internal.
///
/// Topics are made and deleted by the driver's thread; reading may block, on a session's.
package final class ChangeTopics: Sendable {
    private static let prefix = "__martlet_changes_"
    /// Bytes that one answer gathers before it ends with a tick.
    private static let answerBytes = 4 << 20
    static let readBytes = 1 << 20

    let log: Log
    private let database: String
    private let makeSignal: @Sendable () -> any WaitSignal

    /// - Parameter database: its name among those of the same log.
    package init(_ log: Log, database: String, makeSignal: @escaping @Sendable () -> any WaitSignal) {
        self.log = log
        self.database = database
        self.makeSignal = makeSignal
    }

    private var namePrefix: String { "\(ChangeTopics.prefix)\(database)_" }
    func name(_ relation: RelationID) -> String { "\(namePrefix)\(relation.raw)" }

    // MARK: Topics

    /// The relation's topic, made if it is not there, which has the changes of the last `retention` microseconds at least.
    func open(_ relation: RelationID, retention: Int64) throws(SQLError) -> (topic: Topic, isNew: Bool) {
        let overrides = ChangeTopics.settings(retention)
        do throws(LogError) {
            if let topic = log.topic(named: name(relation)) {
                try settle(topic.name) { () throws(LogError) in try log.alterTopic(topic.id, overrides: overrides) }
                return (topic, false)
            }
            var topic: Topic?
            try settle(name(relation)) { () throws(LogError) in
                let made = try log.createTopic(name(relation), partitions: 1, overrides: overrides, isInternal: true)
                topic = made.topic
                return made.sequence
            }
            guard let topic else { throw LogError.unknownTopic }
            return (topic, true)
        } catch {
            throw SQLError(.ioError, "the topic for the changes of a relation cannot be made: \(error)")
        }
    }

    /// Retention takes whole segments: an eighth of it in each, so that little more is kept than was asked for. A minute more
    /// is, so that a reader who asks for the oldest that may be there finds it.
    private static func settings(_ retention: Int64) -> [String: String] {
        let millis = retention / 1000 + 60_000
        return [
            "retention.ms": "\(millis)", "retention.bytes": "-1", "segment.bytes": "16777216",
            "segment.ms": "\(min(max(millis / 8, 10_000), 86_400_000))",
        ]
    }

    /// Deletes the topics of relations that `isWanted` does not name.
    func close(unless isWanted: (RelationID) -> Bool) throws(SQLError) {
        do throws(LogError) {
            for topic in log.topics() where topic.isInternal && topic.name.hasPrefix(namePrefix) {
                guard let raw = UInt32(topic.name.dropFirst(namePrefix.count)), !isWanted(RelationID(raw)) else { continue }
                try settle(topic.name) { () throws(LogError) in try log.deleteTopic(topic.id) }
            }
        } catch {
            throw SQLError(.ioError, "the topic for the changes of a relation cannot be deleted: \(error)")
        }
    }

    /// The database begins anew.
    package func forgetAll() throws(SQLError) { try close { _ in false } }

    /// Returns when a change of a topic is durable; waits for room in the journal.
    private func settle(_ topic: String, _ change: () throws(LogError) -> UInt64) throws(LogError) {
        let sequence = try log.whenThereIsRoom(for: "topic \(topic)", change)
        let done = makeSignal()
        let ticket = done.ticket
        log.whenDurable(sequence) { done.notify() }
        // A log that failed answers nobody: look from time to time.
        while !done.wait(after: ticket, timeoutNanos: 1_000_000_000) {
            if let failure = log.failure { throw failure }
        }
    }

    // MARK: Reading

    /// The tick behind which nothing is missing; nil: nothing is kept.
    func oldest(_ relation: RelationID) throws(SQLError) -> UInt64? {
        guard let range = range(relation) else { return nil }
        return try head(relation, at: range.start, in: range.id)?.floor
    }

    /// The last tick before an instant, microseconds since 1970, as far as changes show; nil: none is kept that is later.
    func tick(before micros: Int64, _ relation: RelationID) throws(SQLError) -> UInt64? {
        guard let range = range(relation) else { return nil }
        let offset: Int64
        do throws(LogError) {
            offset = try log.offset(.atOrAfter(micros / 1000), in: range.id, isolation: .readCommitted).offset
        } catch {
            throw SQLError(.ioError, "the changes of a relation cannot be read: \(error)")
        }
        return offset < 0 ? nil : try head(relation, at: offset, in: range.id)?.floor
    }

    /// Changes behind a tick and not behind `through`; nil: some of them are not kept any more.
    func changes(
        _ relation: RelationID, after tick: UInt64, through: UInt64, fields: [Field]
    ) throws(SQLError) -> ChangeHub.Found? {
        guard let range = range(relation), let first = try head(relation, at: range.start, in: range.id), first.floor <= tick else { return nil }
        let columns = ChangeRecord.columns(fields)
        let start = try firstOffset(behind: tick, relation, range)
        var gathering = Gathering(through: through)
        var offset = start
        while offset < range.end, !gathering.isFull {
            guard let read = try read(range.id, from: offset, ChangeTopics.readBytes) else { return nil }
            for (_, record) in read.records {
                try gathering.add(record, columns, fields)
                if gathering.isFull { break }
            }
            guard read.next > offset else { break }
            offset = read.next
        }
        return gathering.found
    }

    /// What an answer has so far.
    private struct Gathering {
        private(set) var found: ChangeHub.Found
        private(set) var isFull = false
        private var bytes = 0

        init(through: UInt64) { found = ChangeHub.Found(changes: [], through: through) }

        mutating func add(_ record: ChangeRecord, _ columns: String, _ fields: [Field]) throws(SQLError) {
            if record.tick > found.through { return isFull = true }
            let isNewTick = found.changes.last?.tick != record.tick
            if isNewTick, bytes > ChangeTopics.answerBytes {
                found.through = record.tick - 1
                return isFull = true
            }
            let layout: String
            let rows: [UInt8]
            switch record.kind {
            case .begin: return end(record, ChangeHub.begunAnew(at: record.tick))
            case .reshaped: return end(record, ChangeHub.reshaped(at: record.tick))
            case .longer: return
            case .rows(_, let given, let bytes):
                layout = given
                rows = bytes
            }
            guard layout == columns else { return end(record, ChangeHub.reshaped(at: record.tick)) }
            let batch = try ChangeRecord.decode(rows, fields.map(\.type))
            bytes += rows.count
            if !isNewTick, let last = found.changes.last, let whole = Batch.joined([last.batch, batch]) {
                found.changes[found.changes.count - 1].batch = whole
            } else {
                found.changes.append(RelationChange(tick: record.tick, micros: record.micros, fields: fields, batch: batch))
            }
        }

        /// Nothing can follow what came before the record.
        private mutating func end(_ record: ChangeRecord, _ reason: SQLError) {
            found.through = record.tick - 1
            found.end = reason
            isFull = true
        }
    }

    struct Range {
        var id: TopicPartition
        var start: Int64
        var end: Int64
    }

    func range(_ relation: RelationID) -> Range? {
        guard let topic = log.topic(named: name(relation)) else { return nil }
        let id = TopicPartition(topic: topic.id, partition: 0)
        guard let status = log.status(id), status.logStartOffset < status.highWatermark else { return nil }
        return Range(id: id, start: status.logStartOffset, end: status.highWatermark)
    }

    /// The first record of a later tick: records are in the order of ticks.
    private func firstOffset(behind tick: UInt64, _ relation: RelationID, _ range: Range) throws(SQLError) -> Int64 {
        var (low, high) = (range.start, range.end)
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try head(relation, at: middle, in: range.id) else {
                high = middle
                continue
            }
            if found.tick > tick { high = middle } else { low = found.offset + 1 }
        }
        return low
    }

    /// The first record at an offset or behind it; nil: there is none.
    private func head(
        _ relation: RelationID, at offset: Int64, in id: TopicPartition
    ) throws(SQLError) -> (offset: Int64, tick: UInt64, floor: UInt64)? {
        var offset = offset
        while let read = try read(id, from: offset, 1) {
            if let (offset, record) = read.records.first { return (offset, record.tick, record.floor) }
            // Of a transaction there may be nothing but its end.
            guard read.next > offset else { return nil }
            offset = read.next
        }
        return nil
    }

    /// Records from an offset on, and where to go on; nil: retention has taken them meanwhile.
    func read(
        _ id: TopicPartition, from offset: Int64, _ bytesMax: Int
    ) throws(SQLError) -> (records: [(offset: Int64, record: ChangeRecord)], next: Int64)? {
        let data: FetchedData
        do throws(LogError) {
            data = try log.readFromDisk(id, from: offset, maxBytes: bytesMax, isolation: .readCommitted)
        } catch .offsetOutOfRange, .unknownTopic, .unknownPartition {
            return nil
        } catch {
            throw SQLError(.ioError, "the changes of a relation cannot be read: \(error)")
        }
        var records: [(offset: Int64, record: ChangeRecord)] = []
        // A tick too large for one commit comes as a transaction; where a crash cut it, the same tick comes again behind it.
        var committed = CommittedBatches(aborted: data.abortedTransactions)
        do throws(BatchError) {
            for slice in data.slices {
                for part in try RecordBatch.split(slice.bytes) {
                    let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[part])
                    guard try committed.admits(batch) else { continue }
                    var reader = try RecordBatchReader(batch)
                    while let record = try reader.next() {
                        guard record.offset >= offset, let value = record.value else { continue }
                        records.append((record.offset, try ChangeRecord(value, writtenMillis: record.timestamp)))
                    }
                }
            }
        } catch {
            throw SQLError(.dataCorrupted, "the changes of a relation: \(error)")
        }
        return (records, data.nextOffset)
    }
}

/// A record of such a topic.
struct ChangeRecord {
    enum Kind {
        /// From the tick on the topic is complete, and what came before is not to be continued with it.
        case begin
        /// Rows of a tick: how many of the tick come before them, the columns they have, and `BatchCodec`'s bytes.
        case rows(first: UInt64, columns: String, bytes: [UInt8])
        /// From the tick on changes are kept for longer than before, when some may have gone that would be kept now.
        case longer
        /// The relation's rows have other columns from the tick on, which did nothing else to them: what was done, and the columns
        /// there are now.
        case reshaped([ColumnStep], columns: String)
    }

    /// The first version says when of rows only.
    static let version: UInt8 = 2

    var tick: UInt64
    /// When the tick was, microseconds since 1970: behind all that it took in, and before anybody saw it. Later ticks have no
    /// earlier one, as long as the process lives.
    var micros: Int64
    var kind: Kind

    /// The tick behind which nothing is missing where this is the first record that is left.
    var floor: UInt64 {
        switch kind {
        case .begin, .reshaped: tick
        case .rows(let first, _, _): first == 0 ? tick &- 1 : tick
        case .longer: tick &- 1
        }
    }

    /// Names and types, a line each.
    static func columns(_ fields: [Field]) -> String {
        fields.map { "\($0.name) \($0.type.sqlName)" }.joined(separator: "\n")
    }

    /// The types that such lines tell; nil: some cannot be read from them.
    static func types(_ columns: String) -> [DataType]? {
        var types: [DataType] = []
        for line in columns.split(separator: "\n", omittingEmptySubsequences: false) {
            // Names may have blanks too: the type is the longest end that is one.
            var rest = line[...]
            var found: DataType?
            while found == nil, let blank = rest.firstIndex(of: " ") {
                rest = rest[rest.index(after: blank)...]
                found = DataType(sqlName: String(rest))
            }
            guard let found else { return nil }
            types.append(found)
        }
        return types
    }

    init(tick: UInt64, micros: Int64, kind: Kind) {
        self.tick = tick
        self.micros = micros
        self.kind = kind
    }

    func encode(into sink: ByteSink) {
        sink.append(ChangeRecord.version)
        sink.append(little: tick)
        let code: UInt8 = switch kind {
        case .begin: 0
        case .rows: 1
        case .longer: 2
        case .reshaped: 3
        }
        sink.append(code)
        sink.append(little: micros)
        switch kind {
        case .begin, .longer: break
        case .rows(let first, let columns, let bytes):
            sink.append(varint: first)
            sink.append(run: Array(columns.utf8))
            sink.append(run: bytes)
        case .reshaped(let steps, let columns):
            sink.append(run: Array(columns.utf8))
            steps.encode(into: sink)
        }
    }

    /// - Parameter writtenMillis: the timestamp of the log's record, milliseconds since 1970.
    init(_ bytes: UnsafeRawBufferPointer, writtenMillis: Int64) throws(BatchError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let version = try reader.readUInt8()
            guard (1...ChangeRecord.version).contains(version) else { throw .badLength(offset: 0, length: Int64(version)) }
            tick = try reader.readLittle()
            let code = try reader.readUInt8()
            micros = version == 1 && code == 0 ? writtenMillis.multipliedReportingOverflow(by: 1000).partialValue : try reader.readLittle(Int64.self)
            switch code {
            case 0: kind = .begin
            case 1:
                let first = try reader.readVarUInt64()
                let columns = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
                kind = .rows(first: first, columns: columns, bytes: Array(try reader.readRun(limit: reader.remaining)))
            case 2: kind = .longer
            case 3:
                let columns = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
                kind = .reshaped(try [ColumnStep](&reader), columns: columns)
            case let other: throw .badLength(offset: 9, length: Int64(other))
            }
        } catch {
            throw .corrupt("a damaged record of changes: \(error)")
        }
    }

    static func decode(_ bytes: [UInt8], _ types: [DataType]) throws(SQLError) -> Batch {
        do throws(ByteError) {
            return try ByteReader.over(bytes) { (reader) throws(ByteError) in try BatchCodec.decode(&reader, types: types) }
        } catch {
            throw SQLError(.dataCorrupted, "a damaged record of changes: \(error)")
        }
    }
}

/// A relation's topic, for what ticks write to it. Used by the driver.
final class ChangeTarget: CommittedTarget {
    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let topic: Topic
    private let builder = RecordBatchBuilder()
    private var appends: [Append] = []

    private static let batchBytesMax = 512 << 10
    /// Rows of a record: a reader has it whole in memory.
    private static let recordRowsMax = 4_096

    init(_ topic: Topic) {
        name = "changes \(topic.name)"
        self.topic = topic
    }

    /// Rows as `BatchCodec` has them; what a tick does to a relation is written by `put`.
    func makeEncoder() -> any RowEncoder { Encoder() }

    private final class Encoder: RowEncoder {
        func encode(_ batch: Batch, into bytes: ByteSink) { BatchCodec.encode(batch, into: bytes) }
    }

    /// The records of a tick, for `write`.
    static func put(_ change: RelationChange, into bytes: ByteSink) {
        let columns = ChangeRecord.columns(change.fields)
        for start in stride(from: 0, to: change.batch.count, by: recordRowsMax) {
            let rows = ByteSink()
            BatchCodec.encode(change.batch.slice(start, min(recordRowsMax, change.batch.count - start)), into: rows)
            let kind = ChangeRecord.Kind.rows(first: UInt64(start), columns: columns, bytes: [UInt8](rows.bytes))
            put(ChangeRecord(tick: change.tick, micros: change.micros, kind: kind), into: bytes)
        }
    }

    /// Behind its time, which the log's record is to have.
    static func put(_ record: ChangeRecord, into bytes: ByteSink) {
        let encoded = ByteSink()
        record.encode(into: encoded)
        bytes.append(little: record.micros)
        bytes.append(run: [UInt8](encoded.bytes))
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            guard let micros = try? reader.readLittle(Int64.self), let record = try? reader.readRun(limit: reader.remaining) else {
                throw SQLError(.internalError, "\(name): half a record")
            }
            builder.append(timestamp: micros / 1000, key: nil, value: record)
            if builder.byteCount >= ChangeTarget.batchBytesMax { try close() }
        }
    }

    func takeAppends() throws(SQLError) -> [Append] {
        try close()
        defer { appends = [] }
        return appends
    }

    private func close() throws(SQLError) {
        guard !builder.isEmpty else { return }
        do throws(BatchError) {
            let batch = try builder.finish()
            appends.append(Append(TopicPartition(topic: topic.id, partition: 0), batch.withUnsafeBytes { ByteSlice(copying: $0) }))
        } catch {
            throw SQLError(.programLimitExceeded, "\(name): \(error)")
        }
    }
}
