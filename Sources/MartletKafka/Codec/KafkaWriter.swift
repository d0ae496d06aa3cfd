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
///
/// What is encoded goes into a chunk of the writer's own, which becomes a part of the frame as it is: an array or a sink
/// would be copied at the end, and a class's buffer asked for exclusive access at every number.
package struct KafkaWriter: ~Copyable {
    package private(set) var version: Int16
    package private(set) var isFlexible: Bool
    /// Nobody else sees it before `finish`. Its first four bytes are the frame's length.
    private var chunk: ByteChunk
    /// The chunk's memory, which `chunk` holds.
    private var base: UnsafeMutableRawPointer
    private var used = KafkaWriter.prefixBytes
    /// Slices that stand before the byte `offset` of the chunk, in order.
    private var splices: [(offset: Int, slice: ByteSlice)] = []
    private var splicedBytes = 0

    /// A piece costs the socket's write one more entry, about as much as copying this many bytes.
    static let copiedBytesMax = 512
    private static let prefixBytes = MemoryLayout<Int32>.size

    init(version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
        chunk = Self.makeChunk(256)
        base = Self.memory(of: chunk)
    }

    private static func makeChunk(_ capacity: Int) -> ByteChunk {
        ByteChunk(capacity: capacity) { (memory: UnsafeMutableRawBufferPointer) in
            // What is sent is written first; the rest would only be exposed by a mistake here, and costs little to clear.
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            return memory.count
        }
    }

    private static func memory(of chunk: ByteChunk) -> UnsafeMutableRawPointer {
        guard let memory = chunk.bytesBeforeSharing.baseAddress else { preconditionFailure("a chunk has memory") }
        return memory
    }

    /// Where the next `size` bytes go; the caller writes them all.
    private mutating func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if chunk.count &- used < size { grow(by: size) }
        defer { used &+= size }
        return base + used
    }

    @inline(never) private mutating func grow(by size: Int) {
        let grown = Self.makeChunk(max(used + size, chunk.count * 2))
        let memory = Self.memory(of: grown)
        memory.copyMemory(from: base, byteCount: used)
        chunk = grown
        base = memory
    }

    private mutating func append(_ byte: UInt8) { reserve(1).storeBytes(of: byte, as: UInt8.self) }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count).copyMemory(from: start, byteCount: bytes.count)
    }

    /// What follows is of another version, as a body after its header.
    mutating func go(on version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
    }

    // MARK: numbers

    package mutating func bool(_ value: Bool) { append(value ? 1 : 0) }
    package mutating func int8(_ value: Int8) { append(UInt8(bitPattern: value)) }
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

    private mutating func big<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) {
        reserve(MemoryLayout<Number>.size).storeBytes(of: value.bigEndian, as: Number.self)
    }

    /// Base-128, least significant group first.
    private mutating func unsignedVarint(_ value: Int) {
        var rest = UInt(bitPattern: value)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(rest))
    }

    // MARK: runs of bytes

    package mutating func string(_ value: String) throws(KafkaError) {
        let count = value.utf8.count
        guard count <= KafkaReader.stringBytesMax else { throw .unencodable("a string of \(count) bytes") }
        if isFlexible { unsignedVarint(count &+ 1) } else { big(Int16(count)) }
        let target = reserve(count)
        var copy = value
        copy.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return }
            target.copyMemory(from: UnsafeRawPointer(start), byteCount: min(count, bytes.count))
        }
    }

    package mutating func nullableString(_ value: String?) throws(KafkaError) {
        if let value { try string(value) } else if isFlexible { unsignedVarint(0) } else { int16(-1) }
    }

    package mutating func bytes(_ value: [UInt8]) throws(KafkaError) {
        try length(value.count)
        let target = reserve(value.count)
        value.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { target.copyMemory(from: start, byteCount: bytes.count) }
        }
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
        if slice.count <= Self.copiedBytesMax { return append(slice.bytes) }
        splices.append((used, slice))
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

    private mutating func length(_ count: Int) throws(KafkaError) {
        guard count < Int(Int32.max) else { throw .unencodable("\(count) bytes or elements in one field") }
        if isFlexible { unsignedVarint(count &+ 1) } else { big(Int32(count)) }
    }

    private mutating func null() {
        if isFlexible { unsignedVarint(0) } else { big(Int32(-1)) }
    }

    // MARK: tagged fields

    /// Where a structure's count of tagged fields stands.
    package struct Tags { let position: Int }

    /// Where the content of a tagged field starts.
    package struct Tag { let start: Int }

    /// A structure of a flexible version ends with no tagged field; in other versions nothing is written.
    package mutating func noTags() {
        if isFlexible { append(0) }
    }

    /// The tagged fields of a structure follow, in ascending order and fewer than 128.
    package mutating func openTags() -> Tags {
        append(0)
        return Tags(position: used &- 1)
    }

    package mutating func openTag(_ number: Int, in tags: Tags) -> Tag {
        let count = base.load(fromByteOffset: tags.position, as: UInt8.self)
        base.storeBytes(of: count &+ 1, toByteOffset: tags.position, as: UInt8.self)
        unsignedVarint(number)
        return Tag(start: used)
    }

    /// Puts the size before the content, which is small and moves. Tagged fields hold no records.
    package mutating func close(_ tag: Tag) {
        let end = used
        let size = end &- tag.start
        unsignedVarint(size)
        let width = used &- end
        let content = base + tag.start
        withUnsafeTemporaryAllocation(byteCount: width, alignment: 1) { prefix in
            prefix.copyMemory(from: UnsafeRawBufferPointer(start: content + size, count: width))
            (content + width).copyMemory(from: content, byteCount: size)
            UnsafeMutableRawBufferPointer(start: content, count: width).copyMemory(from: UnsafeRawBufferPointer(prefix))
        }
    }

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
        let length = used - Self.prefixBytes + splicedBytes
        guard length <= Int(Int32.max) else { throw .unencodable("a frame of \(length) bytes") }
        base.storeBytes(of: Int32(length).bigEndian, as: Int32.self)
        return OutgoingFrame(pieces: pieces(from: 0), byteCount: Self.prefixBytes + length)
    }

    /// What was written, without a length before it.
    consuming func finishUnframed() -> [UInt8] {
        OutgoingFrame(pieces: pieces(from: Self.prefixBytes), byteCount: used - Self.prefixBytes + splicedBytes).copied
    }

    /// The parts of the chunk from `start` on, and the slices between them.
    private func pieces(from start: Int) -> [ByteSlice] {
        var pieces: [ByteSlice] = []
        pieces.reserveCapacity(splices.count * 2 + 1)
        var start = start
        for splice in splices {
            if splice.offset > start { pieces.append(ByteSlice(chunk, start..<splice.offset)) }
            pieces.append(splice.slice)
            start = splice.offset
        }
        if start < used { pieces.append(ByteSlice(chunk, start..<used)) }
        return pieces
    }
}
