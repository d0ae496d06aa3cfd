internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletLog

/// A topic of the deployment's own log: what a tick writes becomes batches of the tick's own commit. Used by the driver.
final class TopicTarget: CommittedTarget {
    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let format: TopicFormat
    private let writer: TopicWriter
    /// Of the tick so far, for changes by key: what each came to, in the order in which the keys came.
    private var order: [[UInt8]] = []
    private var changes: [[UInt8]: Change] = [:]

    /// The row of a key before the tick, as far as it left, and after it.
    private struct Change {
        var before: [UInt8]?
        var after: [UInt8]?
    }

    init(_ name: String, topic: Topic, format: TopicFormat, clock: any Clock) {
        self.name = name
        self.format = format
        writer = TopicWriter(topic, clock: clock)
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
            if format.kind != .rows, let key {
                take(Array(key), value, isDeletion: isDeletion)
            } else {
                try writer.add(key: key, value: value)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[end...])
        }
    }

    /// What left may be told of before or after what came in its place: they are different rows of one key.
    private func take(_ key: [UInt8], _ value: UnsafeRawBufferPointer, isDeletion: Bool) {
        if changes[key] == nil { order.append(key) }
        var change = changes[key] ?? Change()
        if isDeletion {
            if format.kind == .debezium, change.after?.elementsEqual(value) ?? false { change.after = nil } else {
                change.before = change.before ?? Array(value)
            }
        } else {
            change.after = Array(value)
        }
        changes[key] = change
    }

    func takeAppends() throws(SQLError) -> [Append] {
        for key in order {
            guard let change = changes[key] else { continue }
            switch format.kind {
            case .rows, .upsert: try writer.add(key: key, value: change.after)
            case .debezium:
                guard change.before != nil || change.after != nil else { continue }
                try writer.add(key: key, value: TopicTarget.event(change))
                if change.after == nil { try writer.add(key: key, value: nil) }
            }
        }
        order.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
        return try writer.take()
    }

    private static func event(_ change: Change) -> [UInt8] {
        let null = Array("null".utf8)
        var event = Array("{\"before\":".utf8)
        event += change.before ?? null
        event += Array(",\"after\":".utf8)
        event += change.after ?? null
        let operation = change.before == nil ? "c" : change.after == nil ? "d" : "u"
        event += Array(",\"op\":\"\(operation)\"}".utf8)
        return event
    }
}

/// Records on their way into a topic: batches by partition, by the key's murmur2 hash as Kafka's own clients have it.
final class TopicWriter {
    private let topic: Topic
    private let clock: any Clock
    private let builders: [RecordBatchBuilder]
    private var appends: [Append] = []
    /// Where records without a key go, a different one each tick.
    private var keyless: Int32 = 0

    private static let batchBytesMax = 512 << 10

    init(_ topic: Topic, clock: any Clock) {
        self.topic = topic
        self.clock = clock
        builders = (0..<Int(topic.partitions)).map { _ in RecordBatchBuilder(compression: .none) }
    }

    func add(
        key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, headers: [RecordHeader] = []
    ) throws(SQLError) {
        let chosen = Int(key.map { partition(ofKey: $0, among: topic.partitions) } ?? keyless)
        builders[chosen].append(timestamp: clock.wallMicros() / 1000, key: key, value: value, headers: headers)
        if builders[chosen].byteCount >= TopicWriter.batchBytesMax { try close(chosen) }
    }

    /// The same for bytes in arrays.
    func add(key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader] = []) throws(SQLError) {
        let chosen = Int(
            key.map { key in key.withUnsafeBytes { partition(ofKey: $0, among: topic.partitions) } } ?? keyless)
        builders[chosen].append(Record(timestamp: clock.wallMicros() / 1000, key: key, value: value, headers: headers))
        if builders[chosen].byteCount >= TopicWriter.batchBytesMax { try close(chosen) }
    }

    /// What was added since the last call.
    func take() throws(SQLError) -> [Append] {
        for partition in builders.indices { try close(partition) }
        keyless = (keyless + 1) % topic.partitions
        defer { appends = [] }
        return appends
    }

    private func close(_ partition: Int) throws(SQLError) {
        guard !builders[partition].isEmpty else { return }
        do throws(BatchError) {
            let batch = try builders[partition].finish()
            let slice = batch.withUnsafeBytes { ByteSlice(copying: $0) }
            appends.append(Append(TopicPartition(topic: topic.id, partition: Int32(partition)), slice))
        } catch {
            throw SQLError(.programLimitExceeded, "topic \"\(topic.name)\": \(error)")
        }
    }
}
