internal import MartletCore
internal import MartletLog
internal import Synchronization

/// Requests that came with an `Idempotency-Key`: what they did is kept in the log, in the same commit, so that the same
/// request again is answered as the first time and writes nothing, whatever happened in between.
///
/// A key is forgotten a day after its request, and the oldest ones when there are more than `requestsMax`.
final class RepeatedRequests: Sendable {
    static let keptMillis: Int64 = 86_400_000
    static let requestsMax = 50_000
    static let keyBytesMax = 255

    /// What a request did.
    ///
    ///     version (1), when, milliseconds (8), partitions of the topic (4), CRC-32C of the request (4), its bytes (8),
    ///     groups (4), of each: partition (4), first offset (8), all little-endian
    struct Done: Equatable {
        var millis: Int64
        /// As many as the topic had: a record's partition depends on it.
        var partitions: Int32
        var checksum: UInt32
        var bytes: UInt64
        var groups: [(partition: Int32, baseOffset: Int64)]

        static let version: UInt8 = 1

        static func == (left: Done, right: Done) -> Bool { left.encoded == right.encoded }

        var encoded: [UInt8] {
            let sink = ByteSink(capacity: 64)
            sink.append(Done.version)
            put(millis, to: sink)
            put(partitions, to: sink)
            put(checksum, to: sink)
            put(bytes, to: sink)
            put(UInt32(groups.count), to: sink)
            for (partition, offset) in groups {
                put(partition, to: sink)
                put(offset, to: sink)
            }
            return [UInt8](sink.bytes)
        }

        private func put(_ number: some FixedWidthInteger, to sink: ByteSink) {
            withUnsafeBytes(of: number.littleEndian) { sink.append($0) }
        }

        init(millis: Int64, partitions: Int32, checksum: UInt32, bytes: UInt64, groups: [(partition: Int32, baseOffset: Int64)]) {
            self.millis = millis
            self.partitions = partitions
            self.checksum = checksum
            self.bytes = bytes
            self.groups = groups
        }

        /// nil: damaged, or of a version that this program does not know.
        init?(decoding bytes: [UInt8]) {
            let decoded: Done? = bytes.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                return try? Done(&reader)
            }
            guard let decoded else { return nil }
            self = decoded
        }

        private init(_ reader: inout ByteReader) throws(ByteError) {
            let found = try reader.readUInt8()
            guard found == Done.version else { throw .badLength(offset: 0, length: Int64(found)) }
            millis = try reader.readLittle()
            partitions = try reader.readLittle()
            checksum = try reader.readLittle()
            bytes = try reader.readLittle()
            groups = []
            var left = try reader.readLittle(UInt32.self)
            // Each takes bytes, so that a count that is not true ends with them.
            while left > 0 {
                left -= 1
                groups.append((try reader.readLittle(), try reader.readLittle()))
            }
        }
    }

    private struct Shared {
        /// Being carried out.
        var busy: Set<[UInt8]> = []
        /// Kept ones, by their time; begins with what the log had.
        var kept: [(millis: Int64, key: [UInt8])] = []
        var head = 0
    }

    private let log: Log
    private let shared: Mutex<Shared>

    init(_ log: Log) {
        self.log = log
        var shared = Shared()
        for entry in log.entries(.request) {
            // What cannot be read goes first.
            shared.kept.append((Done(decoding: entry.value)?.millis ?? 0, entry.key))
        }
        shared.kept.sort { $0.millis < $1.millis }
        self.shared = Mutex(shared)
    }

    /// A key within the log: the topic, a zero, what the client gave.
    static func key(_ given: String, topic: String) throws(SQLError) -> [UInt8] {
        guard !given.isEmpty, given.utf8.count <= keyBytesMax else {
            throw SQLError(.invalidParameterValue, "an Idempotency-Key has 1 to \(keyBytesMax) bytes")
        }
        return Array(topic.utf8) + [0] + Array(given.utf8)
    }

    /// Nobody else carries out a request with this key until `end`. What it did before; nil: nothing. Throws 40001 where it is
    /// being carried out.
    func begin(_ key: [UInt8], nowMillis: Int64) throws(SQLError) -> Done? {
        guard shared.withLock({ $0.busy.insert(key).inserted }) else {
            throw SQLError(.serializationFailure, "a request with this Idempotency-Key is being carried out", hint: "Ask again later.")
        }
        let done = log.entry(.request, key: key).flatMap { Done(decoding: $0) }
        return done.flatMap { nowMillis - $0.millis > RepeatedRequests.keptMillis ? nil : $0 }
    }

    func end(_ key: [UInt8]) { _ = shared.withLock { $0.busy.remove(key) } }

    /// A request with the key is about to be kept: what is to be forgotten in the same commit.
    func make(roomFor key: [UInt8], nowMillis: Int64) -> [EntryChange] {
        shared.withLock { shared in
            var forgotten: [EntryChange] = []
            // Two at a time: they go faster than they come. Where the commit fails they stay until the next start.
            for place in shared.kept[shared.head...].prefix(2) {
                let isTooMany = shared.kept.count - shared.head >= RepeatedRequests.requestsMax
                guard isTooMany || nowMillis - place.millis > RepeatedRequests.keptMillis else { break }
                shared.head += 1
                // The key may have come again since.
                let current = log.entry(.request, key: place.key).map { Done(decoding: $0)?.millis ?? 0 }
                if current == place.millis, place.key != key { forgotten.append(EntryChange(.request, key: place.key, value: nil)) }
            }
            if shared.head > 1024 {
                shared.kept.removeFirst(shared.head)
                shared.head = 0
            }
            shared.kept.append((nowMillis, key))
            return forgotten
        }
    }
}
