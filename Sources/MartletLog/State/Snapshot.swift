internal import MartletCore

/// Everything the log keeps in memory apart from batches, as of one sequence of the journal. docs/formats/snapshot.md has
/// the bytes.
struct Snapshot {
    struct Partition {
        var nextOffset: Int64
        var startOffset: Int64
        /// What of its segments is durable; nil: it has none.
        var store: StoreCheckpoint?
        var producers: [Int64: ProducerState]
        var aborted: [AbortedSpan]
    }

    struct TopicPart {
        var topic: Topic
        var partitions: [Partition]
    }

    /// Names the journal this belongs to.
    var identity: JournalIdentity
    /// Everything up to here is in it.
    var sequence: UInt64
    /// When it was taken, milliseconds since 1970-01-01 UTC.
    var millis: Int64
    var nextProducerID: Int64
    var fences: [Int64: Int16]
    /// By topic id.
    var topics: [TopicPart]
    var entries: [EntrySpace: [[UInt8]: [UInt8]]]

    init(identity: JournalIdentity) {
        self.identity = identity
        sequence = 0
        millis = 0
        nextProducerID = 0
        fences = [:]
        topics = []
        entries = [:]
    }
}

/// A file: magic `MLSNAP`, version, body length, body, CRC32C of all before it. Version 1.
extension Snapshot {
    private static let magic: [UInt8] = Array("MLSNAP".utf8)
    private static let version: UInt16 = 1
    /// Magic, version, length.
    private static let headerBytes = 6 + 2 + 8
    private static let checksumBytes = 4

    func encode(into sink: ByteSink) {
        sink.clear()
        Snapshot.magic.withUnsafeBytes { sink.append($0) }
        sink.append(little: Snapshot.version)
        // The body's length is known afterwards; the sink has a fixed place for it.
        let body = ByteSink(capacity: 1 << 16)
        encodeBody(into: body)
        sink.append(little: UInt64(body.count))
        sink.append(body.bytes)
        sink.append(little: crc32c(sink.bytes))
    }

    private func encodeBody(into sink: ByteSink) {
        sink.append(big: identity.high)
        sink.append(big: identity.low)
        sink.append(varint: sequence)
        sink.append(zigzag: millis)
        sink.append(varint: UInt64(nextProducerID))
        sink.append(varint: UInt64(fences.count))
        for (id, epoch) in fences.sorted(by: { $0.key < $1.key }) {
            sink.append(zigzag: id)
            sink.append(zigzag: Int64(epoch))
        }
        sink.append(varint: UInt64(topics.count))
        for part in topics {
            sink.append(part.topic)
            for partition in part.partitions { partition.encode(into: sink) }
        }
        let spaces = entries.filter { !$0.value.isEmpty }.sorted { $0.key.rawValue < $1.key.rawValue }
        sink.append(varint: UInt64(spaces.count))
        for (space, drawer) in spaces {
            sink.append(space.rawValue)
            sink.append(varint: UInt64(drawer.count))
            for (key, value) in drawer.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                sink.append(run: key)
                sink.append(run: value)
            }
        }
    }

    /// Throws `corrupt` for anything but a whole snapshot, `unsupported` for one of a later version.
    init(decoding bytes: UnsafeRawBufferPointer, place: String) throws(LogError) {
        let least = Snapshot.headerBytes + Snapshot.checksumBytes
        guard bytes.count >= least else {
            throw .corrupt(LogDamage(place: place, detail: "\(bytes.count) bytes are too few for a snapshot"))
        }
        guard bytes.prefix(Snapshot.magic.count).elementsEqual(Snapshot.magic) else {
            throw .corrupt(LogDamage(place: place, detail: "this is no snapshot"))
        }
        let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - Snapshot.checksumBytes)])
        let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: content.count, as: UInt32.self))
        guard crc32c(content) == checksum else {
            throw .corrupt(LogDamage(place: place, detail: "the checksum is wrong"))
        }
        do {
            var reader = ByteReader(content)
            try reader.skip(Snapshot.magic.count)
            let version = try reader.readLittle(UInt16.self)
            guard version == Snapshot.version else {
                throw LogError.unsupported(place: place, detail: "snapshot version \(version) is not known")
            }
            guard try reader.readLittle(UInt64.self) == UInt64(reader.remaining) else {
                throw LogError.corrupt(LogDamage(place: place, detail: "the length is wrong"))
            }
            try self.init(body: &reader, place: place)
            guard reader.isAtEnd else {
                throw LogError.corrupt(LogDamage(place: place, detail: "\(reader.remaining) bytes follow the end"))
            }
        } catch {
            throw LogError(error, place: place)
        }
    }

    private init(body reader: inout ByteReader, place: String) throws {
        self.init(identity: JournalIdentity(high: try reader.readBig(), low: try reader.readBig()))
        sequence = try reader.readVarUInt64()
        millis = try reader.readVarInt64()
        nextProducerID = try reader.readOffset()
        for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
            let id = try reader.readVarInt64()
            fences[id] = try reader.readInt16()
        }
        for _ in 0..<(try reader.readCount(ofAtLeast: 20)) {
            let topic = try reader.readTopic()
            var part = TopicPart(topic: topic, partitions: [])
            for _ in 0..<topic.partitions { part.partitions.append(try Partition(reading: &reader)) }
            topics.append(part)
        }
        for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
            let number = try reader.readUInt8()
            guard let space = EntrySpace(rawValue: number) else {
                throw LogError.unsupported(place: place, detail: "entries of drawer \(number) are not known")
            }
            var drawer: [[UInt8]: [UInt8]] = [:]
            for _ in 0..<(try reader.readCount(ofAtLeast: 2)) {
                let key = try reader.readBytes()
                drawer[key] = try reader.readBytes()
            }
            entries[space] = drawer
        }
    }
}

extension Snapshot.Partition {
    fileprivate func encode(into sink: ByteSink) {
        sink.append(varint: UInt64(nextOffset))
        sink.append(varint: UInt64(startOffset))
        sink.append(store == nil ? 0 : 1)
        store?.encode(into: sink)
        sink.append(varint: UInt64(producers.count))
        for (id, state) in producers.sorted(by: { $0.key < $1.key }) {
            sink.append(varint: UInt64(id))
            state.encode(into: sink)
        }
        sink.append(varint: UInt64(aborted.count))
        for span in aborted {
            sink.append(varint: UInt64(span.producerID))
            sink.append(varint: UInt64(span.firstOffset))
            sink.append(varint: UInt64(span.lastOffset))
        }
    }

    fileprivate init(reading reader: inout ByteReader) throws(ByteError) {
        nextOffset = try reader.readOffset()
        startOffset = try reader.readOffset()
        store = try reader.readUInt8() == 0 ? nil : try StoreCheckpoint(reading: &reader)
        producers = [:]
        for _ in 0..<(try reader.readCount(ofAtLeast: 6)) {
            let id = try reader.readOffset()
            producers[id] = try ProducerState(reading: &reader)
        }
        aborted = []
        for _ in 0..<(try reader.readCount(ofAtLeast: 3)) {
            aborted.append(
                AbortedSpan(
                    producerID: try reader.readOffset(), firstOffset: try reader.readOffset(), lastOffset: try reader.readOffset()))
        }
    }
}

extension ProducerState {
    fileprivate func encode(into sink: ByteSink) {
        sink.append(zigzag: Int64(epoch))
        sink.append(zigzag: lastMillis)
        sink.append(zigzag: Int64(coordinatorEpoch))
        sink.append(zigzag: transactionStart)
        sink.append(UInt8(spans.count))
        for span in spans {
            sink.append(varint: UInt64(span.baseSequence))
            sink.append(varint: UInt64(span.lastSequence))
            sink.append(varint: UInt64(span.baseOffset))
        }
    }

    fileprivate init(reading reader: inout ByteReader) throws(ByteError) {
        let epoch = try reader.readInt16()
        self.init(epoch: epoch, lastMillis: try reader.readVarInt64())
        coordinatorEpoch = try reader.readVarInt32()
        transactionStart = try reader.readVarInt64()
        for _ in 0..<(try reader.readUInt8()) {
            let base = try reader.readNatural()
            let last = try reader.readNatural()
            spans.append(Span(baseSequence: base, lastSequence: last, baseOffset: try reader.readOffset(), commit: 0))
        }
    }
}

extension StoreCheckpoint {
    fileprivate func encode(into sink: ByteSink) {
        sink.append(varint: UInt64(startOffset))
        sink.append(varint: UInt64(endOffset))
        sink.append(varint: UInt64(activeBaseOffset))
        sink.append(varint: activeGeneration)
        sink.append(varint: UInt64(activeBytes))
        sink.append(zigzag: activeMaxTimestamp)
        sink.append(varint: manifestSequence)
    }

    fileprivate init(reading reader: inout ByteReader) throws(ByteError) {
        self.init(startOffset: try reader.readOffset())
        endOffset = try reader.readOffset()
        activeBaseOffset = try reader.readOffset()
        activeGeneration = try reader.readVarUInt64()
        activeBytes = try reader.readOffset()
        activeMaxTimestamp = try reader.readVarInt64()
        manifestSequence = try reader.readVarUInt64()
    }
}
