import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform
import MartletServer
import Synchronization
import Testing

@Suite("The Kafka server speaks every API in every version")
struct KafkaProtocolTests {
    /// All versions that are offered, of the APIs that are asked with nothing but their defaults.
    @Test("every version of every API is answered", arguments: ApiKey.allCases)
    func everyVersion(key: ApiKey) throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        for version in key.advertised where !(key == .produce && version < 3) {
            try exchange(client, key, version, key.requestType)
        }
    }

    /// Opens the existential: sends a request of that type with its defaults, and decodes the answer.
    private func exchange<Request: KafkaMessage>(
        _ client: KafkaTestClient, _ key: ApiKey, _ version: Int16, _: Request.Type
    ) throws {
        var body = Request()
        if var produce = body as? ProduceRequest {
            produce.acks = 1
            body = try #require(produce as? Request)
        }
        let number = try client.send(key, version, body)
        try decode(try client.receive(), key, version, number, key.responseType)
    }

    private func decode<Response: KafkaMessage>(
        _ frame: ByteSlice, _ key: ApiKey, _ version: Int16, _ number: Int32, _: Response.Type
    ) throws {
        let response = try ReceivedResponse(frame)
        #expect(response.correlationId == number)
        let body: Response = try response.body(to: key, version: version)
        // Nothing is left over: what is encoded anew is as long as what came.
        let header = key.hasFlexibleResponseHeader(version) ? 5 : 4
        #expect(try body.encoded(version: version).count + header == frame.count, "\(key.name) \(version)")
    }

    @Test("ApiVersions tells exactly what is served, and the features")
    func apiVersions() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        let request = ApiVersionsRequest(clientSoftwareName: "test", clientSoftwareVersion: "1")
        let response: ApiVersionsResponse = try client.ask(.apiVersions, 4, request)
        #expect(response.errorCode == 0)
        for key in ApiKey.allCases {
            let told = response.apiKeys.first { $0.apiKey == key.rawValue }
            #expect(told?.minVersion == key.advertised.lowerBound && told?.maxVersion == key.advertised.upperBound, "\(key.name)")
        }
        #expect(response.finalizedFeatures.contains { $0.name == "transaction.version" && $0.maxVersionLevel == 2 })
        #expect(response.supportedFeatures.contains { $0.name == "transaction.version" && $0.maxVersion == 2 })
        // A minimum of 0 has no place before version 4.
        let third: ApiVersionsResponse = try client.ask(.apiVersions, 3, request)
        #expect(third.supportedFeatures.isEmpty)
        let unnamed: ApiVersionsResponse = try client.ask(
            .apiVersions, 3, ApiVersionsRequest(clientSoftwareName: "-", clientSoftwareVersion: ""))
        #expect(unnamed.errorCode == ErrorCode.invalidRequest.rawValue)
    }

    @Test("an unknown version of ApiVersions is answered in version 0 with error 35 and the ranges; the connection lives on")
    func futureApiVersions() throws {
        let fixture = try KafkaFixture()
        let client = try fixture.client()
        // Key 18, version 99, correlation 7, client "x", and a body nobody knows.
        try client.send([0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 7, 0, 1, 0x78, 9, 9, 9])
        let response = try ReceivedResponse(try client.receive())
        #expect(response.correlationId == 7)
        let body: ApiVersionsResponse = try response.body(to: .apiVersions, version: 0)
        #expect(body.errorCode == 35)
        #expect(body.apiKeys.count == ApiKey.allCases.count)
        let next: ApiVersionsResponse = try client.ask(.apiVersions, 0, ApiVersionsRequest())
        #expect(next.errorCode == 0)
    }

    @Test("answers come in the order of requests, however long each takes")
    func order() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let client = try fixture.client()
        var numbers: [(Int32, ApiKey, Int16)] = []
        for index in 0..<40 {
            numbers.append((try client.send(.produce, 9, produceRequest("t", try batch(["v\(index)"]))), .produce, 9))
            if index % 10 == 4 {
                // Waits 50 ms for what cannot come, and everything behind it waits too.
                let poll = fetchRequest("t", from: Int64(index + 1), wait: 50, minBytes: 1 << 20)
                numbers.append((try client.send(.fetch, 12, poll), .fetch, 12))
                numbers.append((try client.send(.metadata, 9, MetadataRequest()), .metadata, 9))
            }
        }
        var offsets: [Int64] = []
        for (number, key, version) in numbers {
            let frame = try client.receive()
            let response = try ReceivedResponse(frame)
            #expect(response.correlationId == number)
            if key == .produce {
                let body: ProduceResponse = try response.body(to: key, version: version)
                offsets += body.responses.flatMap(\.partitionResponses).map(\.baseOffset)
            }
        }
        #expect(offsets == Array(0..<40))
    }

    // MARK: Bad input

    @Test("what cannot be read closes its connection, and nobody else's", arguments: ApiKey.allCases)
    func garbage(key: ApiKey) throws {
        let fixture = try KafkaFixture()
        let other = try fixture.client()
        var random = SplitMix64(seed: UInt64(key.rawValue) + 7)
        for version in [key.advertised.lowerBound, key.advertised.upperBound] {
            for length in [0, 1, 3, 9, 40] {
                let client = try fixture.client(seconds: 5)
                var body: [UInt8] = []
                for _ in 0..<length { body.append(UInt8(truncatingIfNeeded: random.next())) }
                let header = RequestHeader(apiKey: key.rawValue, apiVersion: version, correlationId: 1, clientId: "g")
                try client.send(framed(header, isFlexible: key.isFlexible(version), body))
                // Garbage may happen to make sense; then it is answered. What it must not do is to hang or to harm others.
                _ = try? client.receive()
            }
        }
        let response: MetadataResponse = try other.ask(.metadata, 9, MetadataRequest())
        #expect(response.brokers.count == 1)
    }

    @Test("truncated requests, unknown keys and versions, and impossible lengths close the connection")
    func refusals() throws {
        let fixture = try KafkaFixture()
        let header = { (key: Int16, version: Int16) in RequestHeader(apiKey: key, apiVersion: version, correlationId: 1, clientId: "x") }
        let whole = framed(header(3, 9), isFlexible: true, [2, 2, 0x61, 0, 1, 0, 0])
        var cases: [[UInt8]] = [
            framed(header(999, 0), isFlexible: false, []), framed(header(3, 99), isFlexible: false, []),
            framed(header(-1, 0), isFlexible: false, []), framed(header(1, 13), isFlexible: true, [UInt8](repeating: 0, count: 40)),
            [0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0], [0, 0, 0, 1, 0],
            // An array of 2³¹−1 topics, and one of 2³² − 2 in the variable-length form.
            framed(header(3, 1), isFlexible: false, [0x7F, 0xFF, 0xFF, 0xFF]),
            framed(header(3, 9), isFlexible: true, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0, 0]),
            // A varint that never ends.
            framed(header(3, 9), isFlexible: true, [UInt8](repeating: 0xFF, count: 30)),
        ]
        for end in [whole.count - 1, whole.count - 3, whole.count - 6] {
            var cut = Array(whole[..<end])
            let length = UInt32(end - 4).bigEndian
            withUnsafeBytes(of: length) { cut.replaceSubrange(0..<4, with: $0) }
            cases.append(cut)
        }
        for bytes in cases {
            let client = try fixture.client(seconds: 5)
            try client.send(bytes)
            #expect(client.isClosed(), "\(bytes.prefix(40))")
        }
        let alive: MetadataResponse = try fixture.client().ask(.metadata, 9, MetadataRequest())
        #expect(alive.brokers.count == 1)
        #expect(fixture.metrics.renderPrometheus().contains("martlet_kafka_malformed_frames_total \(cases.count)\n"))
    }

    private func framed(_ header: RequestHeader, isFlexible: Bool, _ body: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in [header.apiKey, header.apiVersion] { bytes += withUnsafeBytes(of: number.bigEndian) { Array($0) } }
        bytes += withUnsafeBytes(of: header.correlationId.bigEndian) { Array($0) }
        let id = Array((header.clientId ?? "").utf8)
        bytes += withUnsafeBytes(of: Int16(id.count).bigEndian) { Array($0) } + id
        if isFlexible { bytes.append(0) }
        bytes += body
        return withUnsafeBytes(of: Int32(bytes.count).bigEndian) { Array($0) } + bytes
    }

    @Test("a burst of clients is served whole")
    func burst() throws {
        let fixture = try KafkaFixture()
        let address = fixture.server.address
        let answered = Atomic(0)
        let threads = try (0..<4).map { _ in
            try WorkerThread(name: "burst") {
                for _ in 0..<250 {
                    guard let stream = try? TCPClient(address, timeoutNanos: 20_000_000_000) else { continue }
                    let client = KafkaTestClient(stream, id: "burst")
                    let response: ApiVersionsResponse? = try? client.ask(.apiVersions, 0, ApiVersionsRequest())
                    if response?.errorCode == 0 { answered.wrappingAdd(1, ordering: .relaxed) }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(answered.load(ordering: .relaxed) == 1000)
    }

    @Test("a client that asks and does not read is not served without bound")
    func slowReader() throws {
        let fixture = try KafkaFixture()
        try fixture.createTopic("t")
        let writer = try fixture.client()
        let value = String(repeating: "x", count: 900_000)
        for _ in 0..<5 { #expect(try writer.produce("t", try batch([value])).errorCode == 0) }
        let slow = try fixture.client(seconds: 1)
        for _ in 0..<2000 {
            guard (try? slow.send(.fetch, 12, fetchRequest("t", maxBytes: 4 << 20))) != nil else { break }
        }
        let waiting = try #require(number("martlet_kafka_waiting_output_bytes", fixture.metrics))
        #expect(waiting < 16e6)
        #expect(try writer.fetch("t").values.count == 1)
    }

    private func number(_ name: String, _ metrics: MetricsRegistry) -> Double? {
        metrics.renderPrometheus().split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap {
            Double($0.dropFirst(name.count + 1))
        }
    }
}
