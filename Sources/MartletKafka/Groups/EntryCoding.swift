package import MartletCore
package import MartletLog

/// The bytes of what coordinators keep in the log's entries: docs/formats/coordinators.md. Numbers are big-endian, texts
/// and runs of bytes follow their length as an unsigned varint, what may be absent follows a byte 0 or 1. Every value
/// begins with a version; a reader refuses versions that it does not know.

/// An entry that does not read back: damage, or a data directory of a later version.
package enum CoordinatorLoadError: Error, Sendable, CustomStringConvertible {
    case unreadable(EntrySpace, key: [UInt8], ByteError)
    case unknownVersion(EntrySpace, key: [UInt8], version: UInt8)

    package var description: String {
        switch self {
        case .unreadable(let space, let key, let error): "entry \(space) \(String(decoding: key, as: UTF8.self)): \(error)"
        case .unknownVersion(let space, let key, let version):
            "entry \(space) \(String(decoding: key, as: UTF8.self)) has version \(version), which this program does not know"
        }
    }
}

struct EntryWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func number<Number: FixedWidthInteger>(_ value: Number) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func count(_ value: Int) {
        var rest = UInt64(value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func run(_ value: [UInt8]) {
        count(value.count)
        bytes.append(contentsOf: value)
    }

    mutating func text(_ value: String) {
        count(value.utf8.count)
        bytes.append(contentsOf: value.utf8)
    }

    mutating func optionalText(_ value: String?) {
        byte(value == nil ? 0 : 1)
        if let value { text(value) }
    }

    mutating func partition(_ value: TopicPartition) {
        number(value.topic.high)
        number(value.topic.low)
        number(value.partition)
    }

    mutating func list<Element>(_ values: [Element], _ write: (inout EntryWriter, Element) -> Void) {
        count(values.count)
        for value in values { write(&self, value) }
    }
}

/// The counterpart of `EntryWriter`, over bytes that may be anything.
struct EntryReader {
    private var reader: ByteReader

    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    var isAtEnd: Bool { reader.isAtEnd }

    mutating func byte() throws(ByteError) -> UInt8 { try reader.readUInt8() }

    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type = Number.self) throws(ByteError) -> Number {
        try reader.readBig()
    }

    /// How many elements follow; each takes at least one byte, so a count beyond the rest is damage.
    mutating func count() throws(ByteError) -> Int {
        let start = reader.offset
        let value = try reader.readVarUInt64()
        guard value <= UInt64(reader.remaining) else { throw .badLength(offset: start, length: Int64(clamping: value)) }
        return Int(value)
    }

    mutating func run() throws(ByteError) -> [UInt8] { [UInt8](try reader.readRun(limit: reader.remaining)) }

    mutating func text() throws(ByteError) -> String {
        String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
    }

    mutating func optionalText() throws(ByteError) -> String? { try byte() == 0 ? nil : try text() }

    mutating func partition() throws(ByteError) -> TopicPartition {
        let high: UInt64 = try number()
        let low: UInt64 = try number()
        return TopicPartition(topic: TopicID(high: high, low: low), partition: try number())
    }

    mutating func list<Element>(_ read: (inout EntryReader) throws(ByteError) -> Element) throws(ByteError) -> [Element] {
        var values: [Element] = []
        for _ in 0..<(try count()) { values.append(try read(&self)) }
        return values
    }
}

/// Reads one entry's value with `body`, after its version, which must be `version`.
func readEntry<Value>(
    _ space: EntrySpace, key: [UInt8], value: [UInt8], version: UInt8, _ body: (inout EntryReader) throws(ByteError) -> Value
) throws(CoordinatorLoadError) -> Value {
    var found: UInt8?
    let result: Result<Value, ByteError> = value.withUnsafeBytes { bytes in
        do throws(ByteError) {
            var reader = EntryReader(bytes)
            found = try reader.byte()
            guard found == version else { throw .badLength(offset: 0, length: 0) }
            return .success(try body(&reader))
        } catch {
            return .failure(error)
        }
    }
    switch result {
    case .success(let value): return value
    case .failure(let error):
        if let found, found != version { throw .unknownVersion(space, key: key, version: found) }
        throw .unreadable(space, key: key, error)
    }
}

/// Reads an entry's key with `body`.
func readKey<Value>(
    _ space: EntrySpace, _ key: [UInt8], _ body: (inout EntryReader) throws(ByteError) -> Value
) throws(CoordinatorLoadError) -> Value {
    let result: Result<Value, ByteError> = key.withUnsafeBytes { bytes in
        do throws(ByteError) {
            var reader = EntryReader(bytes)
            return .success(try body(&reader))
        } catch {
            return .failure(error)
        }
    }
    switch result {
    case .success(let value): return value
    case .failure(let error): throw .unreadable(space, key: key, error)
    }
}
