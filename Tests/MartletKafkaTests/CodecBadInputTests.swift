import MartletCore
import MartletLog
import Testing

@testable import MartletKafka

@Suite("Kafka codec: bytes that are no message")
struct CodecBadInputTests {
    @Test("a truncated message is refused, at every byte", arguments: CodecVector.all)
    func truncations(vector: CodecVector) throws {
        guard let type = CodecVectorTests.types[vector.name] as? any KafkaMessage.Type else { return }
        for version in [vector.versions.lowerBound, vector.versions.upperBound] where type.versions.contains(version) {
            for count in 0..<vector.bytes.count { expectRefused(type, Array(vector.bytes[..<count]), version) }
        }
    }

    private func expectRefused<Message: KafkaMessage>(_ type: Message.Type, _ bytes: [UInt8], _ version: Int16) {
        #expect(throws: KafkaError.self, "\(bytes.count) bytes, version \(version)") {
            try type.decoded(bytes.slice, version: version)
        }
    }

    @Test("garbled messages and garbage are refused or read, in every version", arguments: ApiKey.allCases)
    func garbage(key: ApiKey) {
        var random = Xoshiro256(seed: UInt64(key.rawValue) + 99)
        let vectors = CodecVector.all.filter { $0.name.hasPrefix(key.name + "Re") && !$0.bytes.isEmpty }
        for version in key.versions {
            for isResponse in [false, true] {
                let prefix = [UInt8(key.rawValue), UInt8(version)]
                for _ in 0..<60 {
                    var bytes = (0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    if random.below(2) == 0 {
                        bytes = vectors[random.below(vectors.count)].bytes
                        for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
                    }
                    var head: [UInt8] = [isResponse ? 0x80 : 0, prefix[0], 0, prefix[1]]
                    if !isResponse { head += [0, 0, 0, 1, 0xFF, 0xFF] }
                    (head + bytes).withUnsafeBytes { _ = fuzzKafka($0) }
                }
            }
        }
    }

    /// Every length of the first fields, in both encodings, replaced by one that would exhaust the memory.
    @Test(
        "lengths are compared with what is there before anything is allocated",
        arguments: [
            // Metadata: an array of topics, of 2³¹ − 1, of −2, of more than there are bytes for.
            ("metadata", 1, "7fffffff"), ("metadata", 1, "fffffffe"), ("metadata", 12, "ffffffff07"),
            ("metadata", 12, "ffffffff0f"), ("metadata", 12, "8080808010"), ("metadata", 12, "ffffffffff"),
            ("metadata", 12, "ffffff7f"),
            // Heartbeat: a group's name of 32767, of −2, of more than 32767, of null.
            ("heartbeat", 0, "7fff 61"), ("heartbeat", 0, "fffe"), ("heartbeat", 4, "81800261"), ("heartbeat", 4, "ffffffff07"),
            ("heartbeat", 0, "ffff 00000001 0000"), ("heartbeat", 4, "00 00000001 01 00 00"),
            // SaslAuthenticate: bytes.
            ("saslAuthenticate", 0, "7fffffff 00"), ("saslAuthenticate", 0, "80000000 00"),
            ("saslAuthenticate", 2, "ffffffff07 00"),
            // Produce: records, after a topic and a partition.
            ("produce", 3, "ffff 0001 00000001 00000001 0001 61 00000001 00000000 7fffffff 00"),
            ("produce", 3, "ffff 0001 00000001 00000001 0001 61 00000001 00000000 80000000 00"),
            ("produce", 9, "00 0001 00000001 02 0261 02 00000000 ffffffff07 00"),
            // Tags: how many, and of which size.
            ("heartbeat", 4, "0261 00000001 0262 00 ffffffff0f"), ("heartbeat", 4, "0261 00000001 0262 00 01 00 ffffffff0f"),
            ("heartbeat", 4, "0261 00000001 0262 00 01 ffffffffff0f 00"),
            // Fetch: the tag of the cluster's name is shorter than the name, and longer.
            ("fetch", 12, "ffffffff 00000000 00000000 00000000 00 00000000 00000000 01 01 01 01 00 02 0361"),
            ("fetch", 12, "ffffffff 00000000 00000000 00000000 00 00000000 00000000 01 01 01 01 00 04 0261 00 00"),
        ])
    func bombs(api: String, version: Int16, hex: String) throws {
        let key = try #require(ApiKey.allCases.first { "\($0)" == api })
        let message = bytes(hex: hex)
        expectRefused(key.requestType, message, version)
        // Not for want of bytes behind it.
        expectRefused(key.requestType, message + [UInt8](repeating: 0, count: 1000), version)
    }

    @Test("an array's length is judged by the least that its elements take")
    func arrayBounds() {
        // Five topics, in six bytes: an element has two at least.
        #expect(throws: KafkaError.malformed("length 5 of an array, before offset 4, is not possible")) {
            try MetadataRequest.decoded(bytes(hex: "00000005 0000 0000 0000").slice, version: 1)
        }
    }

    @Test("a frame full of tiny elements takes no more memory than a frame justifies")
    func manyElements() {
        // 3 million topics of 3 bytes in a Produce request: an element takes 24 bytes and more in memory.
        let count = 3_000_000
        let head = bytes(hex: "00 0001 00000001") + varint(count + 1)
        let frame = (head + [UInt8](repeating: 1, count: count * 3)).slice
        #expect(throws: KafkaError.malformed("arrays of more elements than are accepted, at offset 11")) {
            try ProduceRequest.decoded(frame, version: 9)
        }
        let few = (bytes(hex: "00 0001 00000001") + varint(1001) + [UInt8](repeating: 1, count: 3000) + [0]).slice
        #expect(throws: KafkaError.self) { try ProduceRequest.decoded(few, version: 9) }
    }

    private func varint(_ value: Int) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7)
    }
}
