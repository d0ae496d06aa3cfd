import MartletCore
import MartletLog
import Testing

@testable import MartletKafka

@Suite("Kafka codec: what is written is read")
struct CodecRoundTripTests {
    @Test("every message in every version, with values by chance", arguments: ApiKey.allCases)
    func everyVersion(key: ApiKey) throws {
        try roundTrips(key.requestType)
        try roundTrips(key.responseType)
    }

    private func roundTrips<Message: KafkaMessage>(_ type: Message.Type) throws {
        for version in type.versions {
            for seed in UInt64(1)...40 {
                let message: Message = try random(type, seed: seed &* 1000 &+ UInt64(version), version: version)
                let bytes = try message.encoded(version: version)
                let (read, end) = try type.decodedWithEnd(bytes.slice, version: version)
                #expect(read == message, "\(type) version \(version) seed \(seed)")
                #expect(end == bytes.count, "\(type) version \(version) seed \(seed)")
                #expect(bytes.count >= type.encodedBytesMin)
            }
        }
    }

    private func random<Message: KafkaMessage>(_: Message.Type, seed: UInt64, version: Int16) throws -> Message {
        var values = RandomValues(seed: seed)
        let part = try #require(Message.self as? any RandomPart.Type)
        return try #require(part.init(random: &values, version: version) as? Message)
    }

    /// The sizes that bound arrays before they are allocated.
    @Test("no message is shorter than its least size", arguments: ApiKey.allCases)
    func leastSizes(key: ApiKey) {
        for type in [key.requestType, key.responseType] { expectLeast(type) }
    }

    private func expectLeast<Message: KafkaMessage>(_ type: Message.Type) {
        let sizes = type.versions.compactMap { version -> Int? in
            // Where the default is null and null is not allowed, there is no message of defaults.
            do { return try type.init().encoded(version: version).count } catch { return nil }
        }
        if let least = sizes.min() { #expect(type.encodedBytesMin <= least, "\(type)") }
    }

    @Test("a field that a version lacks is left out where it may be, and refused where it would be missed")
    func missingFields() throws {
        let fetch = FetchRequest(maxBytes: 5, isolationLevel: 1, rackId: "r")
        #expect(try FetchRequest.decoded(fetch.encoded(version: 0).slice, version: 0).maxBytes == Int32.max)
        let forgets = FetchRequest(forgottenTopicsData: [.init(topic: "t")])
        #expect(throws: KafkaError.unencodable("version 6 has no field ForgottenTopicsData")) { try forgets.encoded(version: 6) }
        #expect(try forgets.encoded(version: 7).count > 0)
        let tagged = FetchRequest(replicaState: .init(replicaId: 4))
        #expect(throws: KafkaError.unencodable("version 14 has no field ReplicaState")) { try tagged.encoded(version: 14) }
        #expect(try FetchRequest.decoded(tagged.encoded(version: 15).slice, version: 15) == tagged)
        let everything = MetadataRequest(topics: nil)
        #expect(throws: KafkaError.unencodable("field Topics is null, which version 0 does not allow")) {
            try everything.encoded(version: 0)
        }
        #expect(try MetadataRequest.decoded(everything.encoded(version: 1).slice, version: 1).topics == nil)
    }

    @Test("strings that no version has room for are refused")
    func longStrings() throws {
        let fits = MetadataRequest(topics: [.init(name: String(repeating: "x", count: 0x7FFF))])
        #expect(try MetadataRequest.decoded(fits.encoded(version: 12).slice, version: 12) == fits)
        #expect(try MetadataRequest.decoded(fits.encoded(version: 1).slice, version: 1) == fits)
        let long = MetadataRequest(topics: [.init(name: String(repeating: "x", count: 0x8000))])
        for version: Int16 in [1, 12] {
            #expect(throws: KafkaError.unencodable("a string of 32768 bytes")) { try long.encoded(version: version) }
        }
    }

    @Test("bytes that are not UTF-8 are repaired, not refused")
    func brokenText() throws {
        let request = try HeartbeatRequest.decoded(bytes(hex: "0002 c328 00000001 0000").slice, version: 0)
        #expect(request.groupId == "\u{FFFD}(")
    }

    @Test("tagged fields of later versions are passed over")
    func unknownTags() throws {
        // Name "t", its tag 9 of two bytes, then tag 1 of none and tag 200 of one byte.
        let bytes = bytes(hex: "02 00000000000000000000000000000000 0274 01 09 02 abcd 00 00 02 0100 c80101 ff")
        let (request, end) = try MetadataRequest.decodedWithEnd(bytes.slice, version: 12)
        #expect(request == MetadataRequest(topics: [.init(name: "t")], allowAutoTopicCreation: false))
        #expect(end == bytes.count)
    }

    @Test("what consumers write into a group, also in a version to come")
    func consumerProtocol() throws {
        let subscription = ConsumerProtocolSubscription(topics: ["a", "b"], generationId: 4, rackId: "r")
        #expect(try ConsumerProtocolSubscription(versioned: subscription.versioned(3)) == subscription)
        var later = try subscription.versioned(3)
        later[1] = 9
        #expect(try ConsumerProtocolSubscription(versioned: later + [1, 2, 3]) == subscription)
        later[0] = 0xFF
        #expect(throws: KafkaError.self) { try ConsumerProtocolSubscription(versioned: later) }
        let assignment = ConsumerProtocolAssignment(assignedPartitions: [.init(topic: "t", partitions: [0, 3])], userData: [1])
        #expect(try ConsumerProtocolAssignment(versioned: assignment.versioned(0)) == assignment)
    }
}
