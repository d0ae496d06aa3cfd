internal import MartletCore
package import MartletLog

/// Reads the primitive types of Kafka's protocol, front to back, from one frame. The generated messages call it; others
/// start at `ReceivedRequest` and `ReceivedResponse`, which keep the frame alive meanwhile.
///
/// Nothing in a frame can make it trap, read outside of the frame, or allocate more than the frame justifies:
/// - a length is compared with the bytes that remain before anything is allocated;
/// - an array of `n` elements needs `n` times the smallest encoding of one, and all arrays of a message together get at most
///   `arrayBytesMax` of memory, since an element of 3 bytes on the wire may take 50 in memory;
/// - messages nest as deep as their schemas, which do not recurse.
///
/// `records` are slices of the frame; strings and other bytes are copied.
package struct KafkaReader {
    package let version: Int16
    /// Lengths are variable-length numbers, and every struct ends with tagged fields (KIP-482).
    package let isFlexible: Bool
    private let frame: ByteSlice
    private var reader: ByteReader
    private var arrayBytesLeft: Int

    /// A string of Kafka's is never longer, in either encoding.
    static let stringBytesMax = 0x7FFF
    /// The least memory that a message's arrays may take, whatever the frame's size.
    static let arrayBytesFloor = 8 << 20

    /// The message of `version` that starts at `start` of `frame`. Whoever calls holds `frame` until the reader is gone.
    init(_ frame: ByteSlice, from start: Int = 0, version: Int16, isFlexible: Bool) throws(KafkaError) {
        self.version = version
        self.isFlexible = isFlexible
        self.frame = frame
        reader = ByteReader(frame.bytes)
        arrayBytesLeft = Self.arrayBytesFloor + 4 * frame.count
        try reading { reader throws(ByteError) in try reader.seek(to: start) }
    }

    var offset: Int { reader.offset }
    var remaining: Int { reader.remaining }

    // MARK: numbers

    package mutating func bool() throws(KafkaError) -> Bool { try uint8() != 0 }
    package mutating func int8() throws(KafkaError) -> Int8 { Int8(bitPattern: try uint8()) }
    package mutating func int16() throws(KafkaError) -> Int16 { try big() }
    package mutating func uint16() throws(KafkaError) -> UInt16 { try big() }
    package mutating func int32() throws(KafkaError) -> Int32 { try big() }
    package mutating func uint32() throws(KafkaError) -> UInt32 { try big() }
    package mutating func int64() throws(KafkaError) -> Int64 { try big() }
    package mutating func float64() throws(KafkaError) -> Double { Double(bitPattern: try big()) }
    package mutating func uuid() throws(KafkaError) -> TopicID { TopicID(high: try big(), low: try big()) }

    private mutating func uint8() throws(KafkaError) -> UInt8 {
        try reading { reader throws(ByteError) in try reader.readUInt8() }
    }

    private mutating func big<Number: FixedWidthInteger & BitwiseCopyable>() throws(KafkaError) -> Number {
        try reading { reader throws(ByteError) in try reader.readBig() }
    }

    private mutating func unsignedVarint() throws(KafkaError) -> Int {
        Int(try reading { reader throws(ByteError) in try reader.readVarUInt32() })
    }

    // MARK: runs of bytes

    package mutating func nullableString() throws(KafkaError) -> String? {
        let length = isFlexible ? try unsignedVarint() &- 1 : Int(try int16())
        guard length != -1 else { return nil }
        guard length >= 0 && length <= Self.stringBytesMax else { throw badLength("a string", length) }
        let bytes = try reading { reader throws(ByteError) in try reader.read(length) }
        // What is not UTF-8 is repaired, as Kafka's own reader does.
        return String(decoding: bytes, as: UTF8.self)
    }

    package mutating func string() throws(KafkaError) -> String {
        guard let value = try nullableString() else { throw unexpectedNull() }
        return value
    }

    package mutating func nullableBytes() throws(KafkaError) -> [UInt8]? {
        guard let length = try nullableLength("bytes") else { return nil }
        return [UInt8](try reading { reader throws(ByteError) in try reader.read(length) })
    }

    package mutating func bytes() throws(KafkaError) -> [UInt8] {
        guard let value = try nullableBytes() else { throw unexpectedNull() }
        return value
    }

    package mutating func nullableRecords() throws(KafkaError) -> ByteSlice? {
        guard let length = try nullableLength("records") else { return nil }
        let start = offset
        try reading { reader throws(ByteError) in try reader.skip(length) }
        return frame[start..<start &+ length]
    }

    /// Of a response, which the server puts together from several slices.
    package mutating func nullableRecords() throws(KafkaError) -> [ByteSlice]? {
        guard let slice: ByteSlice = try nullableRecords() else { return nil }
        return slice.count == 0 ? [] : [slice]
    }

    // MARK: structures

    package mutating func nullablePart<Part: KafkaPart>() throws(KafkaError) -> Part? {
        try int8() < 0 ? nil : try Part(from: &self)
    }

    package mutating func part<Part: KafkaPart>() throws(KafkaError) -> Part { try Part(from: &self) }

    package mutating func nullableArray<Element: KafkaElement>() throws(KafkaError) -> [Element]? {
        guard let count = try nullableCount(elementBytesMin: Element.encodedBytesMin, stride: MemoryLayout<Element>.stride) else {
            return nil
        }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try Element(from: &self)) }
        return elements
    }

    package mutating func array<Element: KafkaElement>() throws(KafkaError) -> [Element] {
        guard let value: [Element] = try nullableArray() else { throw unexpectedNull() }
        return value
    }

    private mutating func nullableLength(_ what: StaticString) throws(KafkaError) -> Int? {
        let length = isFlexible ? try unsignedVarint() &- 1 : Int(try int32())
        guard length != -1 else { return nil }
        guard length >= 0 && length <= remaining else { throw badLength(what, length) }
        return length
    }

    private mutating func nullableCount(elementBytesMin: Int, stride: Int) throws(KafkaError) -> Int? {
        guard let count = try nullableLength("an array") else { return nil }
        guard count <= remaining / elementBytesMin else { throw badLength("an array", count) }
        // count ≤ 100 MiB and stride < 1 KiB: no overflow.
        arrayBytesLeft &-= count &* stride
        guard arrayBytesLeft >= 0 else { throw .malformed("arrays of more elements than are accepted, at offset \(offset)") }
        return count
    }

    // MARK: tagged fields

    /// A tagged field about to be read.
    package struct Tag {
        package let number: Int
        let end: Int
    }

    /// How many tagged fields follow; none where the version is not flexible.
    package mutating func tagCount() throws(KafkaError) -> Int { isFlexible ? try unsignedVarint() : 0 }

    package mutating func nextTag() throws(KafkaError) -> Tag {
        let number = try unsignedVarint()
        let size = try unsignedVarint()
        guard size <= remaining else { throw badLength("a tagged field", size) }
        return Tag(number: number, end: offset &+ size)
    }

    /// Passes over a field that this version does not know.
    package mutating func skip(_ tag: Tag) throws(KafkaError) {
        try reading { reader throws(ByteError) in try reader.seek(to: tag.end) }
    }

    package func finish(_ tag: Tag) throws(KafkaError) {
        guard offset == tag.end else { throw .malformed("tagged field \(tag.number) does not end at offset \(tag.end)") }
    }

    /// The tagged fields of a structure that has none of its own.
    package mutating func skipTags() throws(KafkaError) {
        var tags = try tagCount()
        while tags > 0 {
            tags &-= 1
            try skip(try nextTag())
        }
    }

    // MARK: faults

    private mutating func reading<Value>(_ body: (inout ByteReader) throws(ByteError) -> Value) throws(KafkaError) -> Value {
        do throws(ByteError) {
            return try body(&reader)
        } catch {
            throw .malformed(error.description)
        }
    }

    private func badLength(_ what: StaticString, _ length: Int) -> KafkaError {
        .malformed("length \(length) of \(what), before offset \(offset), is not possible")
    }

    private func unexpectedNull() -> KafkaError { .malformed("null before offset \(offset), where a value must be") }
}
