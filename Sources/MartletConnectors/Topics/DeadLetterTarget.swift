internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletLog
internal import MartletSQL

/// A source's dead letters as a topic: key and payload as they came, what is wrong in headers, named as Kafka Streams names
/// them where it has a name (KIP-1034). Used by the driver.
final class DeadLetterTarget: CommittedTarget {
    let name: String
    let guarantee = DeliveryGuarantee.transactional
    private let writer: TopicWriter
    private let fields: [Field]

    /// - Parameters:
    ///   - fields: `SourceDefinition.deadLetterFields`.
    ///   - origin: what the header for the topic says: the source's topic, or the source.
    init(_ name: String, topic: Topic, fields: [Field], origin: String, clock: any Clock) {
        self.name = name
        self.fields = fields
        self.origin = origin
        writer = TopicWriter(topic, clock: clock)
    }

    private let origin: String

    func makeEncoder() -> any RowEncoder { DeadLetterEncoder(fields, origin: origin) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd {
                let key = try DeadLetterEncoder.run(&reader)
                let value = try DeadLetterEncoder.run(&reader)
                var headers: [RecordHeader] = []
                for _ in 0..<Int(try reader.readLittle(UInt32.self)) {
                    let name = try DeadLetterEncoder.run(&reader) ?? []
                    headers.append(RecordHeader(key: name, value: try DeadLetterEncoder.run(&reader)))
                }
                pending.append((key, value, headers))
            }
        } catch {
            throw SQLError(.internalError, "dead letters of \"\(name)\": \(error)")
        }
    }

    private var pending: [(key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader])] = []

    func takeAppends() throws(SQLError) -> [Append] {
        for (key, value, headers) in pending { try writer.add(key: key, value: value, headers: headers) }
        pending = []
        return try writer.take()
    }
}

/// Encodes dead letters as frames: key, value, number of headers, headers; each run of bytes behind its length u32, which
/// is 2³² − 1 for null. The frames stay in the process.
private final class DeadLetterEncoder: RowEncoder {
    private let origin: String
    private let places: [String: Int]

    init(_ fields: [Field], origin: String) {
        self.origin = origin
        places = Dictionary(uniqueKeysWithValues: fields.enumerated().map { ($1.name, $0) })
    }

    func encode(_ batch: Batch, into bytes: ByteSink) {
        for row in 0..<batch.count {
            func value(_ name: String) -> Value { places[name].map { batch.columns[$0].value(at: row) } ?? .null }
            put(raw(value("key")), into: bytes)
            let code = raw(value("reason_code"))
            // A tombstone has no bytes, which is not the same as none.
            put(code == Array("null_value".utf8) ? nil : raw(value("payload")), into: bytes)
            let headers: [(String, [UInt8]?)] = [
                ("__streams.errors.exception", code), ("__streams.errors.message", raw(value("reason"))),
                ("__streams.errors.topic", Array(origin.utf8)), ("__streams.errors.partition", raw(value("partition"))),
                ("__streams.errors.offset", raw(value("offset"))), ("martlet.reason", code),
                ("martlet.attempts", raw(value("attempts"))), ("martlet.fingerprint", raw(value("fingerprint"))),
                ("martlet.source", raw(value("source"))), ("martlet.field", raw(value("field"))),
                ("martlet.headers", raw(value("headers"))),
            ].filter { $0.1 != nil }
            withUnsafeBytes(of: UInt32(headers.count).littleEndian) { bytes.append($0) }
            for (name, value) in headers {
                put(Array(name.utf8), into: bytes)
                put(value, into: bytes)
            }
        }
    }

    private func raw(_ value: Value) -> [UInt8]? {
        switch value {
        case .null: nil
        case .bytea(let bytes): bytes
        case .text(let text), .jsonb(let text): Array(text.utf8)
        case .integer(let number): Array("\(number)".utf8)
        case .bigint(let number): Array("\(number)".utf8)
        default: Array("\(value)".utf8)
        }
    }

    private func put(_ run: [UInt8]?, into bytes: ByteSink) {
        withUnsafeBytes(of: (run.map { UInt32($0.count) } ?? .max).littleEndian) { bytes.append($0) }
        run?.withUnsafeBytes { bytes.append($0) }
    }

    static func run(_ reader: inout ByteReader) throws(ByteError) -> [UInt8]? {
        let count = try reader.readLittle(UInt32.self)
        return count == .max ? nil : Array(try reader.read(Int(count)))
    }
}
