// The codec: Kafka's protocol as Swift values, and back, with no socket and no state. The structures themselves are in
// ../Generated, written by tools/kafka-codec.py from Kafka's schemas; this folder is what they call.
//
//     connection's bytes ─ FrameReader ─ ReceivedRequest ─ body() ─▶ ProduceRequest …
//     FetchResponse … ─ encodeResponse ─ OutgoingFrame ─▶ connection's bytes
//
// Records are never copied: in a request they are slices of its frame, into a response the log's slices are spliced. Bytes
// off the wire are refused with a `KafkaError`; no length in them is believed before it is compared with what is there.

package import MartletLog

/// What an array may hold: a number, a string, or a structure.
package protocol KafkaElement: Sendable {
    init(from reader: inout KafkaReader) throws(KafkaError)
    func encode(into writer: inout KafkaWriter) throws(KafkaError)
    /// No version encodes it in fewer bytes. At least 1, so that a number of elements is bounded by the bytes at hand.
    static var encodedBytesMin: Int { get }
}

/// A structure of the protocol. A field that a version lacks keeps its default on reading. On writing in such a version, a
/// field that the schema calls ignorable is left out, and any other must have its default.
package protocol KafkaPart: KafkaElement, Equatable {
    init()
}

/// A request or a response.
package protocol KafkaMessage: KafkaPart {
    /// The versions that can be encoded and decoded; what is offered to clients is `ApiKey.advertised`.
    static var versions: ClosedRange<Int16> { get }
    /// The first version with compact lengths and tagged fields, if there is one.
    static var flexibleFrom: Int16? { get }
}

extension KafkaMessage {
    package static func isFlexible(_ version: Int16) -> Bool {
        if let flexibleFrom { version >= flexibleFrom } else { false }
    }

    /// The message of `version` without header or frame.
    package func encoded(version: Int16) throws(KafkaError) -> [UInt8] {
        var writer = KafkaWriter(version: version, isFlexible: Self.isFlexible(version))
        try encode(into: &writer)
        return writer.finishUnframed()
    }

    /// The message of `version` that starts at `start` of `frame`. Bytes behind it are none of its business, as in Kafka.
    package static func decoded(_ frame: ByteSlice, from start: Int = 0, version: Int16) throws(KafkaError) -> Self {
        try decodedWithEnd(frame, from: start, version: version).message
    }

    /// Also tells where in `frame` the message ends.
    static func decodedWithEnd(
        _ frame: ByteSlice, from start: Int = 0, version: Int16
    ) throws(KafkaError) -> (message: Self, end: Int) {
        // The reader points into the frame without holding it.
        defer { withExtendedLifetime(frame) {} }
        var reader = try KafkaReader(frame, from: start, version: version, isFlexible: isFlexible(version))
        let message = try Self(from: &reader)
        return (message, reader.offset)
    }
}

extension Int8: KafkaElement {
    package init(from reader: inout KafkaReader) throws(KafkaError) { self = try reader.int8() }
    package func encode(into writer: inout KafkaWriter) throws(KafkaError) { writer.int8(self) }
    package static var encodedBytesMin: Int { 1 }
}

extension Int16: KafkaElement {
    package init(from reader: inout KafkaReader) throws(KafkaError) { self = try reader.int16() }
    package func encode(into writer: inout KafkaWriter) throws(KafkaError) { writer.int16(self) }
    package static var encodedBytesMin: Int { 2 }
}

extension Int32: KafkaElement {
    package init(from reader: inout KafkaReader) throws(KafkaError) { self = try reader.int32() }
    package func encode(into writer: inout KafkaWriter) throws(KafkaError) { writer.int32(self) }
    package static var encodedBytesMin: Int { 4 }
}

extension Int64: KafkaElement {
    package init(from reader: inout KafkaReader) throws(KafkaError) { self = try reader.int64() }
    package func encode(into writer: inout KafkaWriter) throws(KafkaError) { writer.int64(self) }
    package static var encodedBytesMin: Int { 8 }
}

extension String: KafkaElement {
    package init(from reader: inout KafkaReader) throws(KafkaError) { self = try reader.string() }
    package func encode(into writer: inout KafkaWriter) throws(KafkaError) { try writer.string(self) }
    package static var encodedBytesMin: Int { 1 }
}

/// Equal bytes, wherever they are.
extension ByteSlice: Equatable {
    package static func == (left: ByteSlice, right: ByteSlice) -> Bool {
        defer { withExtendedLifetime((left, right)) {} }
        return left.bytes.elementsEqual(right.bytes)
    }
}

/// What consumers tell each other through the opaque bytes of a group: its version of two bytes, then a structure.
package protocol KafkaData: KafkaPart {
    static var versions: ClosedRange<Int16> { get }
}

extension KafkaData {
    /// Of a version later than is known, the part that is known.
    package init(versioned bytes: [UInt8]) throws(KafkaError) {
        let slice = bytes.withUnsafeBytes { ByteSlice(copying: $0) }
        defer { withExtendedLifetime(slice) {} }
        var prefix = try KafkaReader(slice, version: 0, isFlexible: false)
        let version = try prefix.int16()
        guard version >= Self.versions.lowerBound else { throw .malformed("version \(version) of what a consumer wrote") }
        var reader = try KafkaReader(
            slice, from: prefix.offset, version: min(version, Self.versions.upperBound), isFlexible: false)
        self = try Self(from: &reader)
    }

    package func versioned(_ version: Int16) throws(KafkaError) -> [UInt8] {
        var writer = KafkaWriter(version: version, isFlexible: false)
        writer.int16(version)
        try encode(into: &writer)
        return writer.finishUnframed()
    }
}
