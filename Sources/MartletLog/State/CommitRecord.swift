internal import MartletCore

/// What one record of the journal says, in order. docs/formats/journal.md has the bytes of the journal around it,
/// docs/formats/snapshot.md those of the record.
enum CommitItem {
    /// A batch with its offset in it.
    case append(TopicPartition, UnsafeRawBufferPointer)
    case entry(EntryChange)
    case fence(ProducerFence)
    case topicCreated(Topic)
    case topicDeleted(TopicID)
    case partitionsAdded(TopicID, total: Int32)
    case topicAltered(TopicID, overrides: [String: String])
    case recordsDeleted(TopicPartition, before: Int64)
    /// Producer ids below it may be in use.
    case producerIDsReserved(below: Int64)

    /// The byte that stands before the item.
    enum Kind: UInt8 {
        case append = 1
        case entrySet = 2
        case entryRemoved = 3
        case fenced = 4
        case unfenced = 5
        case topicCreated = 6
        case topicDeleted = 7
        case partitionsAdded = 8
        case topicAltered = 9
        case recordsDeleted = 10
        case producerIDsReserved = 11
    }

    /// Version 1: a byte 1, the time as a zigzag varint, the items.
    static let version: UInt8 = 1
    /// Keys, names and values longer than this are no lengths but damage.
    static let runBytesMax = 1 << 30
}

/// Builds a record. Small things are copied into a sink; batches stay where they are, and are copied once, by the journal.
struct CommitEncoder {
    private let sink: ByteSink
    /// Each batch, and where in the sink it comes.
    private var batches: [(at: Int, slice: ByteSlice)] = []

    /// `sink` is the encoder's until it is done.
    init(into sink: ByteSink, millis: Int64) {
        self.sink = sink
        sink.clear()
        sink.append(CommitItem.version)
        sink.append(zigzag: millis)
    }

    /// Bytes of the record so far.
    var byteCount: Int { sink.count + batches.reduce(0) { $0 + $1.slice.count } }

    mutating func append(_ partition: TopicPartition, _ slice: ByteSlice) {
        sink.append(CommitItem.Kind.append.rawValue)
        sink.append(partition)
        sink.append(varint: UInt64(slice.count))
        batches.append((sink.count, slice))
    }

    func append(_ change: EntryChange) {
        sink.append((change.value == nil ? CommitItem.Kind.entryRemoved : .entrySet).rawValue)
        sink.append(change.space.rawValue)
        sink.append(run: change.key)
        if let value = change.value { sink.append(run: value) }
    }

    func append(_ fence: ProducerFence) {
        sink.append((fence.epoch == nil ? CommitItem.Kind.unfenced : .fenced).rawValue)
        sink.append(zigzag: fence.producerID)
        if let epoch = fence.epoch { sink.append(zigzag: Int64(epoch)) }
    }

    func appendCreated(_ topic: Topic) {
        sink.append(CommitItem.Kind.topicCreated.rawValue)
        sink.append(topic)
    }

    func appendDeleted(_ id: TopicID) {
        sink.append(CommitItem.Kind.topicDeleted.rawValue)
        sink.append(id)
    }

    func appendPartitions(_ id: TopicID, total: Int32) {
        sink.append(CommitItem.Kind.partitionsAdded.rawValue)
        sink.append(id)
        sink.append(varint: UInt64(total))
    }

    func appendAltered(_ id: TopicID, overrides: [String: String]) {
        sink.append(CommitItem.Kind.topicAltered.rawValue)
        sink.append(id)
        sink.append(overrides)
    }

    func appendDeletion(_ partition: TopicPartition, before offset: Int64) {
        sink.append(CommitItem.Kind.recordsDeleted.rawValue)
        sink.append(partition)
        sink.append(varint: UInt64(offset))
    }

    func appendReservation(below producerID: Int64) {
        sink.append(CommitItem.Kind.producerIDsReserved.rawValue)
        sink.append(varint: UInt64(producerID))
    }

    /// The record in pieces; they are valid within `body`.
    func withParts<Result>(_ body: ([UnsafeRawBufferPointer]) -> Result) -> Result {
        let small = sink.bytes
        var parts: [UnsafeRawBufferPointer] = []
        parts.reserveCapacity(batches.count * 2 + 1)
        var start = 0
        for batch in batches {
            parts.append(UnsafeRawBufferPointer(rebasing: small[start..<batch.at]))
            parts.append(batch.slice.bytes)
            start = batch.at
        }
        if start < small.count { parts.append(UnsafeRawBufferPointer(rebasing: small[start...])) }
        return withExtendedLifetime((sink, batches)) { body(parts) }
    }
}

/// Reads a record, item by item.
struct CommitReader {
    let millis: Int64
    private var reader: ByteReader
    private let place: String

    /// `place` names the record for an error's message.
    init(_ payload: UnsafeRawBufferPointer, place: String) throws(LogError) {
        self.place = place
        reader = ByteReader(payload)
        do {
            let version = try reader.readUInt8()
            guard version == CommitItem.version else {
                throw LogError.unsupported(place: place, detail: "commit version \(version) is not known")
            }
            millis = try reader.readVarInt64()
        } catch {
            throw LogError(error, place: place)
        }
    }

    /// The next item; nil at the end. Pointers in it go into the payload.
    mutating func next() throws(LogError) -> CommitItem? {
        if reader.isAtEnd { return nil }
        do {
            let number = try reader.readUInt8()
            guard let kind = CommitItem.Kind(rawValue: number) else {
                throw LogError.unsupported(place: place, detail: "an item of kind \(number) is not known")
            }
            return try read(kind)
        } catch {
            throw LogError(error, place: place)
        }
    }

    private mutating func read(_ kind: CommitItem.Kind) throws -> CommitItem {
        switch kind {
        case .append: return .append(try reader.readPartition(), try reader.readRun(limit: CommitItem.runBytesMax))
        case .entrySet, .entryRemoved:
            let number = try reader.readUInt8()
            guard let space = EntrySpace(rawValue: number) else {
                throw LogError.unsupported(place: place, detail: "an entry of drawer \(number) is not known")
            }
            let key = try reader.readBytes()
            return .entry(EntryChange(space, key: key, value: kind == .entrySet ? try reader.readBytes() : nil))
        case .fenced:
            let id = try reader.readVarInt64()
            return .fence(ProducerFence(producerID: id, epoch: try reader.readInt16()))
        case .unfenced: return .fence(ProducerFence(producerID: try reader.readVarInt64(), epoch: nil))
        case .topicCreated: return .topicCreated(try reader.readTopic())
        case .topicDeleted: return .topicDeleted(try reader.readTopicID())
        case .partitionsAdded: return .partitionsAdded(try reader.readTopicID(), total: try reader.readPartitionNumber())
        case .topicAltered: return .topicAltered(try reader.readTopicID(), overrides: try reader.readOverrides())
        case .recordsDeleted: return .recordsDeleted(try reader.readPartition(), before: try reader.readOffset())
        case .producerIDsReserved: return .producerIDsReserved(below: try reader.readOffset())
        }
    }
}

// MARK: Encodings shared with the snapshot

extension LogError {
    /// What decoding threw, as an error of the log.
    init(_ error: any Error, place: String) {
        self = (error as? LogError) ?? .corrupt(LogDamage(place: place, detail: "\(error)"))
    }
}

extension ByteSink {
    /// Base-128, least significant group first.
    func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(rest))
    }

    func append(zigzag value: Int64) { append(varint: UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))) }

    func append(run bytes: [UInt8]) {
        append(varint: UInt64(bytes.count))
        bytes.withUnsafeBytes { append($0) }
    }

    func append(run text: String) {
        append(varint: UInt64(text.utf8.count))
        append(text: text)
    }

    func append<Number: FixedWidthInteger>(little value: Number) {
        withUnsafeBytes(of: value.littleEndian) { append($0) }
    }

    func append<Number: FixedWidthInteger>(big value: Number) {
        withUnsafeBytes(of: value.bigEndian) { append($0) }
    }

    func append(_ id: TopicID) {
        append(big: id.high)
        append(big: id.low)
    }

    func append(_ partition: TopicPartition) {
        append(partition.topic)
        append(varint: UInt64(partition.partition))
    }

    func append(_ overrides: [String: String]) {
        append(varint: UInt64(overrides.count))
        for (name, value) in overrides.sorted(by: { $0.key < $1.key }) {
            append(run: name)
            append(run: value)
        }
    }

    func append(_ topic: Topic) {
        append(topic.id)
        append(run: topic.name)
        append(varint: UInt64(topic.partitions))
        append(zigzag: topic.createdMillis)
        append(topic.isInternal ? 1 : 0)
        append(topic.configuration.overrides)
    }
}

extension ByteReader {
    mutating func readBytes() throws(ByteError) -> [UInt8] { [UInt8](try readRun(limit: CommitItem.runBytesMax)) }

    mutating func readText() throws(ByteError) -> String {
        String(decoding: try readRun(limit: CommitItem.runBytesMax), as: UTF8.self)
    }

    mutating func readTopicID() throws(ByteError) -> TopicID {
        TopicID(high: try readBig(UInt64.self), low: try readBig(UInt64.self))
    }

    mutating func readInt16() throws(ByteError) -> Int16 {
        let start = offset
        let value = try readVarInt64()
        guard let number = Int16(exactly: value) else { throw .badLength(offset: start, length: value) }
        return number
    }

    /// A number of partitions, or one partition's: never more than there may be.
    mutating func readPartitionNumber() throws(ByteError) -> Int32 {
        let start = offset
        let number = try readNatural()
        guard number <= Log.partitionsMax else { throw .badLength(offset: start, length: Int64(number)) }
        return number
    }

    mutating func readNatural() throws(ByteError) -> Int32 {
        let start = offset
        let value = try readVarUInt64()
        guard let number = Int32(exactly: value) else { throw .badLength(offset: start, length: Int64(clamping: value)) }
        return number
    }

    /// What is never negative.
    mutating func readOffset() throws(ByteError) -> Int64 {
        let start = offset
        let value = try readVarUInt64()
        guard let number = Int64(exactly: value) else { throw .badLength(offset: start, length: .max) }
        return number
    }

    /// How many things follow, each of at least `bytes` bytes: never more than there can be.
    mutating func readCount(ofAtLeast bytes: Int) throws(ByteError) -> Int {
        let start = offset
        let value = try readVarUInt64()
        guard value <= UInt64(remaining / bytes) else { throw .badLength(offset: start, length: Int64(clamping: value)) }
        return Int(value)
    }

    mutating func readPartition() throws(ByteError) -> TopicPartition {
        TopicPartition(topic: try readTopicID(), partition: try readPartitionNumber())
    }

    mutating func readOverrides() throws(ByteError) -> [String: String] {
        var overrides: [String: String] = [:]
        for _ in 0..<(try readCount(ofAtLeast: 2)) {
            let name = try readText()
            overrides[name] = try readText()
        }
        return overrides
    }

    /// The configuration is that of the overrides alone; the log lays its own defaults under it.
    mutating func readTopic() throws -> Topic {
        let id = try readTopicID()
        let name = try readText()
        let partitions = try readPartitionNumber()
        let created = try readVarInt64()
        let isInternal = try readUInt8() != 0
        return Topic(
            id: id, name: name, partitions: partitions, configuration: try TopicConfiguration(overrides: readOverrides()),
            createdMillis: created, isInternal: isInternal)
    }
}
