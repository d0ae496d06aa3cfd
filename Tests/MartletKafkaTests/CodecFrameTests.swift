import MartletLog
import Testing

@testable import MartletKafka

@Suite("Kafka codec: frames and headers")
struct CodecFrameTests {
    /// Cuts `bytes` into `pieces` of one size and collects what comes out.
    private func frames(_ bytes: [UInt8], piece: Int, limit: Int = FrameReader.frameBytesMax) throws -> [[UInt8]] {
        var reader = FrameReader(limit: limit)
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try Array(bytes[start..<min(start + piece, bytes.count)]).withUnsafeBytes { part in
                try reader.receive(part) { found.append(Array($0.bytes)) }
            }
        }
        let isWithinFrame = reader.isWithinFrame
        #expect(!isWithinFrame)
        return found
    }

    private func framed(_ body: [UInt8]) -> [UInt8] {
        let count = UInt32(body.count)
        return [UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + body
    }

    @Test("frames come out whole, however the bytes come in", arguments: [1, 2, 3, 5, 1000, 70_000, 1_000_000])
    func cuts(piece: Int) throws {
        let bodies: [[UInt8]] = [[1, 2, 3], [], [UInt8](repeating: 9, count: 100_000), [4]]
        #expect(try frames(bodies.flatMap(framed), piece: piece) == bodies)
    }

    @Test("a length is judged before anything is allocated", arguments: ["7fffffff", "80000000", "ffffffff", "06400001"])
    func lengths(prefix: String) {
        var reader = FrameReader()
        #expect(throws: KafkaError.self) {
            try bytes(hex: prefix).withUnsafeBytes { try reader.receive($0) { _ in } }
        }
    }

    @Test("a peer that claims 100 MiB and sends nothing costs little")
    func claims() throws {
        var reader = FrameReader()
        try bytes(hex: "06400000").withUnsafeBytes { try reader.receive($0) { _ in } }
        let isWithinFrame = reader.isWithinFrame
        #expect(isWithinFrame)
        let space = reader.space().count
        #expect(space == FrameReader.chunkBytesMin)
    }

    @Test("a socket can be read straight into the frame under way")
    func space() throws {
        let body = (0..<90_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var reader = FrameReader()
        var isEmpty = reader.space().isEmpty
        #expect(isEmpty)
        try framed(body)[..<10].withUnsafeBytes { try reader.receive($0) { _ in } }
        var at = 6
        var done: ByteSlice?
        while done == nil {
            let space = reader.space()
            try #require(!space.isEmpty && at + space.count <= body.count)
            for index in 0..<space.count { space[index] = body[at + index] }
            done = reader.filled(space.count)
            at += space.count
        }
        #expect(done.map { Array($0.bytes) } == body)
        isEmpty = reader.space().isEmpty && !reader.isWithinFrame
        #expect(isEmpty)
    }

    /// The bytes of Kafka's protocol guide: API key, version, correlation id, client id, and tags where flexible.
    @Test("request headers, with and without tagged fields")
    func requestHeaders() throws {
        let old = RequestHeader(apiKey: 3, apiVersion: 1, correlationId: 7, clientId: "me")
        let request = MetadataRequest(topics: nil)
        let frame = try encodeRequest(request, header: old)
        #expect(frame.copied == bytes(hex: "00000010 0003 0001 00000007 0002 6d65 ffffffff"))
        let received = try ReceivedRequest(Array(frame.copied[4...]).slice)
        #expect(received.header == old && received.header.key == .metadata)
        #expect(try received.body() == request)

        let new = RequestHeader(apiKey: 18, apiVersion: 3, correlationId: 7)
        let versions = ApiVersionsRequest(clientSoftwareName: "a", clientSoftwareVersion: "b")
        let flexible = try encodeRequest(versions, header: new)
        #expect(flexible.copied == bytes(hex: "00000010 0012 0003 00000007 ffff 00 0261 0262 00"))
        #expect(try ReceivedRequest(Array(flexible.copied[4...]).slice).body() == versions)
        // A header's tagged field is passed over.
        let tagged = bytes(hex: "0012 0003 00000007 ffff 01 05 01 ff 0261 0262 00")
        #expect(try ReceivedRequest(tagged.slice).body() == versions)
    }

    @Test("the header of an unknown version or API can be read, its body not")
    func unknownVersions() throws {
        let later = try ReceivedRequest(bytes(hex: "0012 0063 00000007 0001 78 ff ff ff").slice)
        #expect(later.header == RequestHeader(apiKey: 18, apiVersion: 99, correlationId: 7, clientId: "x"))
        #expect(throws: KafkaError.unsupportedVersion(key: 18, version: 99)) { try later.body(ApiVersionsRequest.self) }
        let unknown = try ReceivedRequest(bytes(hex: "03e8 0000 00000007 ffff").slice)
        #expect(unknown.header.key == nil)
        #expect(throws: KafkaError.self) { try ReceivedRequest(bytes(hex: "0012 0003 0000").slice) }
    }

    @Test("ApiVersions is answered behind the oldest header in every version")
    func apiVersionsHeader() throws {
        let response = ApiVersionsResponse(errorCode: 35, apiKeys: [.init(apiKey: 18, minVersion: 0, maxVersion: 4)])
        let old = try encodeResponse(response, to: .apiVersions, version: 0, correlationId: 5)
        #expect(old.copied == bytes(hex: "00000010 00000005 0023 00000001 0012 0000 0004"))
        let new = try encodeResponse(response, to: .apiVersions, version: 3, correlationId: 5)
        #expect(new.copied == bytes(hex: "00000013 00000005 0023 02 0012 0000 0004 00 00000000 00"))
        for (frame, version) in [(old, Int16(0)), (new, 3)] {
            let received = try ReceivedResponse(Array(frame.copied[4...]).slice)
            #expect(received.correlationId == 5)
            #expect(try received.body(to: .apiVersions, version: version) == response)
        }
    }

    @Test("other flexible responses have tagged fields in the header")
    func responseHeaders() throws {
        let response = HeartbeatResponse(throttleTimeMs: 1, errorCode: 27)
        let old = try encodeResponse(response, to: .heartbeat, version: 3, correlationId: 5)
        #expect(old.copied == bytes(hex: "0000000a 00000005 00000001 001b"))
        let new = try encodeResponse(response, to: .heartbeat, version: 4, correlationId: 5)
        #expect(new.copied == bytes(hex: "0000000c 00000005 00 00000001 001b 00"))
        #expect(try ReceivedResponse(Array(new.copied[4...]).slice).body(to: .heartbeat, version: 4) == response)
    }

    @Test("records are spliced into a response and cut out of a request, not copied")
    func splices() throws {
        let first = [UInt8](repeating: 1, count: 5000).slice
        let second = [UInt8](repeating: 2, count: 3000).slice
        let small = [UInt8](repeating: 3, count: 100).slice
        let response = FetchResponse(responses: [
            .init(
                topic: "t",
                partitions: [
                    .init(partitionIndex: 0, records: [first, small, second]), .init(partitionIndex: 1, records: []),
                    .init(partitionIndex: 2, records: [first]),
                ])
        ])
        for version: Int16 in [4, 11, 12] {
            let frame = try encodeResponse(response, to: .fetch, version: version, correlationId: 1)
            let shared = frame.pieces.filter { $0.chunk === first.chunk || $0.chunk === second.chunk }
            #expect(shared.map(\.count) == [5000, 3000, 5000])
            #expect(!frame.pieces.contains { $0.chunk === small.chunk })
            #expect(frame.byteCount == frame.pieces.reduce(0) { $0 + $1.count })
            #expect(Array(frame.copied[..<4]) == Array(framed([UInt8](repeating: 0, count: frame.byteCount - 4))[..<4]))
            let received = Array(frame.copied[4...]).slice
            let read: FetchResponse = try ReceivedResponse(received).body(to: .fetch, version: version)
            let partitions = read.responses[0].partitions
            #expect(partitions[0].records?.count == 1 && partitions[0].records?.first?.chunk === received.chunk)
            let expected = [UInt8](first.bytes) + [UInt8](small.bytes) + [UInt8](second.bytes)
            #expect(partitions[0].records?.first == expected.slice)
            #expect(partitions[1].records == [] && partitions[2].records == [first])
        }
        let produce = ProduceRequest(topicData: [.init(name: "t", partitionData: [.init(index: 0, records: first)])])
        let sent = try encodeRequest(produce, header: RequestHeader(apiKey: 0, apiVersion: 9, correlationId: 1))
        let frame = Array(sent.copied[4...]).slice
        let body: ProduceRequest = try ReceivedRequest(frame).body()
        #expect(body == produce && body.topicData[0].partitionData[0].records?.chunk === frame.chunk)
    }
}
