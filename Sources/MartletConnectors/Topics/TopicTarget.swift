internal import Glibc
internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletLog
internal import MartletPlatform
internal import MartletSQL

/// How rows become records of a topic.
struct TopicFormat {
    var row: RowFormat
    /// Ordinals of the columns that make the key, a JSON object; none: records have no key.
    var key: [Int]
    /// FORMAT UPSERT: a deletion is a tombstone under the key, and of the changes of a tick only a key's last counts.
    var isUpsert: Bool
    /// Deletions are left out.
    var ignoresDeletes: Bool
}

/// Encodes rows as frames: a kind (`insert`, `delete`), the key's and the value's length, key, value.
///
///     kind u8 · key length u32 · value length u32 · key · value      (native order: it stays in the process)
final class TopicEncoder: RowEncoder {
    static let headBytes = 9
    static let insert: UInt8 = 1
    static let delete: UInt8 = 0

    private let format: TopicFormat
    private let values: FormatEncoder
    private let keys: JSONRowWriter?
    private let valueLines = ByteSink()
    private let keyLines = ByteSink()

    init(_ format: TopicFormat) {
        self.format = format
        values = FormatEncoder(format.row)
        keys =
            format.key.isEmpty
            ? nil
            : JSONRowWriter(names: format.key.map { format.row.names[$0] }, types: format.key.map { format.row.types[$0] })
    }

    func encode(_ batch: Batch, into bytes: ByteSink) {
        valueLines.clear()
        keyLines.clear()
        values.encode(batch, into: valueLines)
        keys?.write(Batch(count: batch.count, columns: format.key.map { batch.columns[$0] }), into: keyLines)
        var value = valueLines.bytes[...]
        var key = keyLines.bytes[...]
        for row in 0..<batch.count {
            let valueLine = TopicEncoder.line(&value, isLast: row == batch.count - 1)
            let keyLine = keys == nil ? nil : TopicEncoder.line(&key, isLast: row == batch.count - 1)
            let isDeletion = batch.weights.map { $0.int64s[row] < 0 } ?? false
            if isDeletion && format.ignoresDeletes { continue }
            let isTombstone = isDeletion && format.isUpsert
            let head = UnsafeMutableRawPointer(bytes.reserve(TopicEncoder.headBytes))
            head.storeBytes(of: isDeletion ? TopicEncoder.delete : TopicEncoder.insert, as: UInt8.self)
            head.storeBytes(of: UInt32(keyLine?.count ?? 0), toByteOffset: 1, as: UInt32.self)
            head.storeBytes(of: UInt32(isTombstone ? 0 : valueLine.count), toByteOffset: 5, as: UInt32.self)
            bytes.commit(TopicEncoder.headBytes)
            if let keyLine { bytes.append(UnsafeRawBufferPointer(rebasing: keyLine)) }
            if !isTombstone { bytes.append(UnsafeRawBufferPointer(rebasing: valueLine)) }
        }
    }

    /// The next row's bytes without the line feed. JSON has no other line feed; the last row's end is the end, so that a
    /// CSV row of a batch of one may hold them.
    private static func line(_ rest: inout Slice<UnsafeRawBufferPointer>, isLast: Bool) -> Slice<UnsafeRawBufferPointer> {
        let end = isLast ? rest.endIndex - 1 : rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex - 1
        defer { rest = rest[(end + 1)...] }
        return rest[..<end]
    }
}

/// A topic of the deployment's own log. What a tick wrote becomes one commit of the log, over all partitions at once, and
/// the tick is over when that is durable. Used by the committing thread.
final class TopicTarget: SinkTarget {
    private let name: String
    private let log: Log
    private let topic: Topic
    private let format: TopicFormat
    private let clock: any Clock
    private let builders: [RecordBatchBuilder]
    private var appends: [Append] = []
    /// Of the tick so far, for upserts: each key's last frame, in the order in which the keys came.
    private var order: [[UInt8]] = []
    private var last: [[UInt8]: [UInt8]?] = [:]
    /// Where records without a key go, a different one each tick.
    private var keyless: Int32 = 0
    /// The partition that was written to last.
    private var chosen = 0

    private static let batchBytesMax = 512 << 10
    private static let retryNanos: Int64 = 2_000_000

    init(_ name: String, _ log: Log, topic: Topic, format: TopicFormat, clock: any Clock) {
        self.name = name
        self.log = log
        self.topic = topic
        self.format = format
        self.clock = clock
        builders = (0..<Int(topic.partitions)).map { _ in RecordBatchBuilder(compression: .none) }
    }

    func makeEncoder() -> any RowEncoder { TopicEncoder(format) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        var rest = bytes
        while rest.count >= TopicEncoder.headBytes {
            let isDeletion = rest[0] == TopicEncoder.delete
            let keyCount = Int(rest.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
            let valueCount = Int(rest.loadUnaligned(fromByteOffset: 5, as: UInt32.self))
            let keyStart = TopicEncoder.headBytes
            let end = keyStart + keyCount + valueCount
            let key = format.key.isEmpty ? nil : UnsafeRawBufferPointer(rebasing: rest[keyStart..<keyStart + keyCount])
            let value = UnsafeRawBufferPointer(rebasing: rest[keyStart + keyCount..<end])
            if format.isUpsert, let key {
                let owned = Array(key)
                if last.updateValue(isDeletion ? nil : Array(value), forKey: owned) == nil { order.append(owned) }
            } else {
                add(key: key, value: value)
                try closeFull()
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[end...])
        }
    }

    func endTick() throws(SQLError) {
        for key in order {
            guard let value = last[key] else { continue }
            key.withUnsafeBytes { key in
                guard let value else { return add(key: key, value: nil) }
                value.withUnsafeBytes { add(key: key, value: $0) }
            }
            try closeFull()
        }
        order.removeAll(keepingCapacity: true)
        last.removeAll(keepingCapacity: true)
        keyless = (keyless + 1) % topic.partitions
        for partition in builders.indices { try close(partition) }
        guard !appends.isEmpty else { return }
        let commit = Commit(appends: appends)
        appends.removeAll(keepingCapacity: true)
        try carryOut(commit)
    }

    func finish() throws(SQLError) { try endTick() }

    private func add(key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?) {
        chosen = Int(key.map { partition(ofKey: $0, among: topic.partitions) } ?? keyless)
        builders[chosen].append(timestamp: clock.wallMicros() / 1000, key: key, value: value)
    }

    private func closeFull() throws(SQLError) {
        if builders[chosen].byteCount >= TopicTarget.batchBytesMax { try close(chosen) }
    }

    private func close(_ partition: Int) throws(SQLError) {
        guard !builders[partition].isEmpty else { return }
        do throws(BatchError) {
            let batch = try builders[partition].finish()
            let slice = batch.withUnsafeBytes { ByteSlice(copying: $0) }
            appends.append(Append(TopicPartition(topic: topic.id, partition: Int32(partition)), slice))
        } catch {
            throw SQLError(.programLimitExceeded, "sink \"\(name)\": \(error)")
        }
    }

    /// Returns when the commit is durable. A full ring or disk is waited for: the driver waits in turn, and so do the sources.
    private func carryOut(_ commit: Commit) throws(SQLError) {
        while true {
            do throws(LogError) {
                let committed = try log.commit(commit)
                let done = WakeSignal()
                let ticket = done.ticket
                log.whenDurable(committed.sequence) { done.notify() }
                // A log that failed answers nobody: look from time to time.
                while !done.wait(after: ticket, timeoutNanos: 1_000_000_000) {
                    if let failure = log.failure { throw failure }
                }
                return
            } catch {
                guard error.isRetriable else { throw SQLError(.ioError, "sink \"\(name)\": topic \(topic.name): \(error)") }
                clock.sleep(nanos: TopicTarget.retryNanos)
            }
        }
    }
}
