internal import MartletCore
package import MartletLog

/// Bytes ready for a socket, its length prefix included: `pieces` one after the other. What was encoded is in one chunk;
/// records are the log's own slices between its parts.
package struct OutgoingFrame: Sendable {
    package let pieces: [ByteSlice]
    /// Of all pieces.
    package let byteCount: Int

    /// The pieces in one run, for tests and small messages.
    package var copied: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for piece in pieces { bytes.append(contentsOf: piece.bytes) }
        return bytes
    }
}

/// Writes the primitive types of Kafka's protocol. The generated messages call it; others call `encodeRequest` and
/// `encodeResponse`.
///
/// For one thread at a time. Records of more than `copiedBytesMax` bytes are not copied, but spliced into the outgoing frame.
package struct KafkaWriter {
    package private(set) var version: Int16
    package private(set) var isFlexible: Bool
    private let sink: ByteSink
    /// Slices that stand before the byte `offset` of the sink, in order.
    private var splices: [(offset: Int, slice: ByteSlice)] = []
    private var splicedBytes = 0

    /// A piece costs the socket's write one more entry, about as much as copying this many bytes.
    static let copiedBytesMax = 512

    init(version: Int16, isFlexible: Bool, sink: ByteSink = ByteSink(capacity: 512)) {
        self.version = version
        self.isFlexible = isFlexible
        self.sink = sink
    }

    /// What follows is of another version, as a body after its header.
    mutating func go(on version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
    }

    // MARK: numbers

    package mutating func bool(_ value: Bool) { sink.append(value ? 1 : 0) }
    package mutating func int8(_ value: Int8) { sink.append(UInt8(bitPattern: value)) }
    package mutating func int16(_ value: Int16) { big(value) }
    package mutating func uint16(_ value: UInt16) { big(value) }
    package mutating func int32(_ value: Int32) { big(value) }
    package mutating func uint32(_ value: UInt32) { big(value) }
    package mutating func int64(_ value: Int64) { big(value) }
    package mutating func float64(_ value: Double) { big(value.bitPattern) }

    package mutating func uuid(_ value: TopicID) {
        big(value.high)
        big(value.low)
    }

    private func big<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) {
        let size = MemoryLayout<Number>.size
        UnsafeMutableRawPointer(sink.reserve(size)).storeBytes(of: value.bigEndian, as: Number.self)
        sink.commit(size)
    }

    /// Base-128, least significant group first.
    private func unsignedVarint(_ value: Int) {
        var rest = UInt(bitPattern: value)
        while rest >= 0x80 {
            sink.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        sink.append(UInt8(rest))
    }

    // MARK: runs of bytes

    package mutating func string(_ value: String) throws(KafkaError) {
        var copy = value
        let fits = copy.withUTF8 { bytes in
            if bytes.count > KafkaReader.stringBytesMax { return false }
            if isFlexible { unsignedVarint(bytes.count &+ 1) } else { big(Int16(bytes.count)) }
            sink.append(UnsafeRawBufferPointer(bytes))
            return true
        }
        if !fits { throw .unencodable("a string of \(value.utf8.count) bytes") }
    }

    package mutating func nullableString(_ value: String?) throws(KafkaError) {
        if let value { try string(value) } else if isFlexible { unsignedVarint(0) } else { int16(-1) }
    }

    package mutating func bytes(_ value: [UInt8]) throws(KafkaError) {
        try length(value.count)
        value.withUnsafeBytes { sink.append($0) }
    }

    package mutating func nullableBytes(_ value: [UInt8]?) throws(KafkaError) {
        if let value { try bytes(value) } else { null() }
    }

    package mutating func records(_ value: ByteSlice) throws(KafkaError) {
        try length(value.count)
        splice(value)
    }

    package mutating func nullableRecords(_ value: ByteSlice?) throws(KafkaError) {
        if let value { try records(value) } else { null() }
    }

    package mutating func records(_ value: [ByteSlice]) throws(KafkaError) {
        var total = 0
        for slice in value { total += slice.count }
        try length(total)
        for slice in value { splice(slice) }
    }

    package mutating func nullableRecords(_ value: [ByteSlice]?) throws(KafkaError) {
        if let value { try records(value) } else { null() }
    }

    private mutating func splice(_ slice: ByteSlice) {
        if slice.count <= Self.copiedBytesMax { return sink.append(slice.bytes) }
        splices.append((sink.count, slice))
        splicedBytes += slice.count
    }

    // MARK: structures

    package mutating func part<Part: KafkaPart>(_ value: Part) throws(KafkaError) { try value.encode(into: &self) }

    package mutating func nullablePart<Part: KafkaPart>(_ value: Part?) throws(KafkaError) {
        guard let value else { return int8(-1) }
        int8(1)
        try value.encode(into: &self)
    }

    package mutating func array<Element: KafkaElement>(_ value: [Element]) throws(KafkaError) {
        try length(value.count)
        for element in value { try element.encode(into: &self) }
    }

    package mutating func nullableArray<Element: KafkaElement>(_ value: [Element]?) throws(KafkaError) {
        if let value { try array(value) } else { null() }
    }

    private func length(_ count: Int) throws(KafkaError) {
        guard count < Int(Int32.max) else { throw .unencodable("\(count) bytes or elements in one field") }
        if isFlexible { unsignedVarint(count &+ 1) } else { big(Int32(count)) }
    }

    private func null() {
        if isFlexible { unsignedVarint(0) } else { big(Int32(-1)) }
    }

    // MARK: tagged fields

    /// Where a structure's count of tagged fields stands.
    package struct Tags { let position: Int }

    /// Where the content of a tagged field starts.
    package struct Tag { let start: Int }

    /// A structure of a flexible version ends with no tagged field; in other versions nothing is written.
    package func noTags() {
        if isFlexible { sink.append(0) }
    }

    /// The tagged fields of a structure follow, in ascending order and fewer than 128.
    package func openTags() -> Tags {
        sink.append(0)
        return Tags(position: sink.count &- 1)
    }

    package func openTag(_ number: Int, in tags: Tags) -> Tag {
        written(tags.position).pointee &+= 1
        unsignedVarint(number)
        return Tag(start: sink.count)
    }

    /// Puts the size before the content, which is small and moves. Tagged fields hold no records.
    package func close(_ tag: Tag) {
        let size = sink.count &- tag.start
        unsignedVarint(size)
        let width = sink.count &- tag.start &- size
        let content = written(tag.start)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: width) { prefix in
            for index in 0..<width { prefix[index] = content[size &+ index] }
            UnsafeMutableRawPointer(content + width).copyMemory(from: UnsafeRawPointer(content), byteCount: size)
            for index in 0..<width { content[index] = prefix[index] }
        }
    }

    /// A byte already written. Sound: `reserve` points behind the last of `count` bytes, of which this is one.
    private func written(_ offset: Int) -> UnsafeMutablePointer<UInt8> { sink.reserve(0) - (sink.count &- offset) }

    // MARK: faults

    /// A field without a place in this version has a value that the reader would miss.
    package func unavailable(_ field: StaticString) -> KafkaError {
        .unencodable("version \(version) has no field \(field)")
    }

    /// The value of a field that must not be null in this version.
    package func required<Value>(_ value: Value?, _ field: StaticString) throws(KafkaError) -> Value {
        guard let value else { throw .unencodable("field \(field) is null, which version \(version) does not allow") }
        return value
    }

    // MARK: the frame

    /// The frame of what was written, behind its length. The writer is done with.
    consuming func finish() throws(KafkaError) -> OutgoingFrame {
        let prefix = MemoryLayout<Int32>.size
        let length = sink.count + splicedBytes
        guard length <= Int(Int32.max) else { throw .unencodable("a frame of \(length) bytes") }
        let encoded = ByteSlice(
            ByteChunk(capacity: prefix + sink.count) { (memory: UnsafeMutableRawBufferPointer) in
                memory.storeBytes(of: Int32(length).bigEndian, as: Int32.self)
                UnsafeMutableRawBufferPointer(rebasing: memory[prefix...]).copyMemory(from: sink.bytes)
                return memory.count
            })
        var pieces: [ByteSlice] = []
        pieces.reserveCapacity(splices.count * 2 + 1)
        var start = 0
        for splice in splices {
            let end = prefix + splice.offset
            if end > start { pieces.append(encoded[start..<end]) }
            pieces.append(splice.slice)
            start = end
        }
        if start < encoded.count { pieces.append(encoded[start..<encoded.count]) }
        return OutgoingFrame(pieces: pieces, byteCount: prefix + length)
    }

    /// What was written, without a length before it.
    var copied: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sink.count + splicedBytes)
        var start = 0
        for splice in splices {
            bytes.append(contentsOf: sink.bytes[start..<splice.offset])
            bytes.append(contentsOf: splice.slice.bytes)
            start = splice.offset
        }
        bytes.append(contentsOf: sink.bytes[start...])
        return bytes
    }
}
