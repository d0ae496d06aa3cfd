import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform

/// `martlet topic produce`: a record for each line.
enum TopicProduce {
    /// A batch leaves when it is this large; the server's default limit is 1 MiB.
    private static let batchBytes = 512 << 10
    private static let lineBytesMax = 64 << 20

    private struct Settings {
        var isNDJSON: Bool
        var separator: [UInt8]?
        var headers: [RecordHeader]
        var partition: Int32?
        var compression: Compression
    }

    /// One record on its way.
    private struct Outgoing {
        var record: Record
        var partition: Int32?
    }

    static func run(_ arguments: Arguments) throws -> Int32 {
        guard (1...2).contains(arguments.positional.count) else { throw UsageError("produce takes a topic and, if you like, a file") }
        let settings = try settings(arguments)
        let path = arguments.positional.count == 2 ? arguments.positional[1] : "-"
        let input = path == "-" ? SystemFile.standardInput : try SystemDisk().openFile(path, .read)
        let client = try TopicClient(try TopicCommand.server(arguments))
        let sender = Sender(client, try destination(client, arguments.positional[0]), settings)
        var number = 0
        try forEachLine(of: input) { line in
            number += 1
            do {
                try sender.add(try outgoing(line, settings))
            } catch let error as TopicError {
                throw TopicError("line \(number): \(error.message)")
            }
        }
        try sender.finish()
        return ExitCode.done
    }

    private static func settings(_ arguments: Arguments) throws(UsageError) -> Settings {
        let format = arguments.value("format") ?? "lines"
        guard format == "lines" || format == "ndjson" else { throw UsageError("--format takes lines or ndjson, not \"\(format)\"") }
        let separator = arguments.value("key-separator")
        guard separator == nil || format == "lines" else { throw UsageError("--key-separator goes with lines") }
        guard separator?.isEmpty != true else { throw UsageError("--key-separator is empty") }
        let codec = arguments.value("compression") ?? "none"
        guard let compression = Compression.allCases.first(where: { $0.name == codec }) else {
            throw UsageError("--compression takes \(Compression.allCases.map(\.name).joined(separator: ", ")), not \"\(codec)\"")
        }
        return Settings(
            isNDJSON: format == "ndjson", separator: separator.map { Array($0.utf8) },
            headers: try TopicCommand.assignments(arguments, "header").map {
                RecordHeader(key: Array($0.name.utf8), value: Array($0.value.utf8))
            },
            partition: try arguments.integer("partition", in: 0...Int(Int32.max)).map { Int32($0) }, compression: compression)
    }

    /// The topic; created, as by any producer, if the server does so.
    private static func destination(_ client: TopicClient, _ name: String) throws -> MetadataResponse.MetadataResponseTopic {
        let response: MetadataResponse = try client.ask(.metadata) { _ in
            MetadataRequest(topics: [MetadataRequest.MetadataRequestTopic(name: name)])
        }
        guard let topic = response.topics.first, topic.errorCode == 0 else {
            throw TopicError("topic \"\(name)\"", response.topics.first?.errorCode ?? -1)
        }
        return try client.topic(topic.name ?? name)
    }

    private static func forEachLine(of input: SystemFile, _ body: ([UInt8]) throws -> Void) throws {
        var line: [UInt8] = []
        var offset: Int64 = 0
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try chunk.withUnsafeMutableBytes { bytes throws in try input.read(into: bytes, at: offset) }
            if count == 0 { break }
            offset += Int64(count)
            var rest = chunk[..<count]
            while let end = rest.firstIndex(of: 0x0A) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                if line.last == 0x0D { line.removeLast() }
                try body(line)
                line.removeAll(keepingCapacity: true)
            }
            line += rest
            guard line.count <= lineBytesMax else { throw TopicError("a line has more than \(lineBytesMax) bytes") }
        }
        if !line.isEmpty { try body(line) }
    }

    private static func outgoing(_ line: [UInt8], _ settings: Settings) throws -> Outgoing {
        var outgoing = Outgoing(record: Record(timestamp: SystemClock().wallMicros() / 1_000, key: nil, value: line), partition: nil)
        if settings.isNDJSON {
            outgoing = try parsed(line)
        } else if let separator = settings.separator {
            guard let at = position(of: separator, in: line) else { throw TopicError("the key separator is missing") }
            outgoing.record.key = Array(line[..<at])
            outgoing.record.value = Array(line[(at + separator.count)...])
        }
        outgoing.record.headers += settings.headers
        outgoing.partition = settings.partition ?? outgoing.partition
        return outgoing
    }

    private static func position(of needle: [UInt8], in line: [UInt8]) -> Int? {
        guard line.count >= needle.count else { return nil }
        return (0...(line.count - needle.count)).first { line[$0..<($0 + needle.count)].elementsEqual(needle) }
    }

    private static func parsed(_ line: [UInt8]) throws -> Outgoing {
        guard let text = String(validating: line, as: UTF8.self) else { throw TopicError("the line is not UTF-8") }
        let node: JSONNode
        do throws(SQLError) {
            node = try JSONNode(text: text)
        } catch {
            throw TopicError("not JSON: \(error.message)")
        }
        guard case .object(let members) = node else { throw TopicError("the line is no JSON object") }
        var outgoing = Outgoing(record: Record(timestamp: SystemClock().wallMicros() / 1_000, key: nil, value: nil), partition: nil)
        for member in members {
            switch member.key {
            case "key": outgoing.record.key = bytes(member.value)
            case "value": outgoing.record.value = bytes(member.value)
            case "timestamp":
                guard case .number(let digits) = member.value, let millis = Int64(digits) else {
                    throw TopicError("\"timestamp\" is no whole number of milliseconds")
                }
                outgoing.record.timestamp = millis
            case "partition":
                guard case .number(let digits) = member.value, let number = Int32(digits), number >= 0 else {
                    throw TopicError("\"partition\" is no number of a partition")
                }
                outgoing.partition = number
            case "headers":
                guard case .object(let headers) = member.value else { throw TopicError("\"headers\" is no object") }
                outgoing.record.headers = headers.map { RecordHeader(key: Array($0.key.utf8), value: bytes($0.value)) }
            // What consume writes beside the record.
            case "offset", "topic": break
            default: throw TopicError("there is no member \"\(member.key)\" of a record")
            }
        }
        return outgoing
    }

    /// A string's own bytes; nothing for null; JSON for the rest.
    private static func bytes(_ node: JSONNode) -> [UInt8]? {
        switch node {
        case .null: nil
        case .string(let text): Array(text.utf8)
        case .boolean, .number, .array, .object: Array(node.text.utf8)
        }
    }

    /// Gathers records by partition and sends batches.
    private final class Sender {
        private let client: TopicClient
        private let topic: MetadataResponse.MetadataResponseTopic
        private let settings: Settings
        private var builders: [Int32: RecordBatchBuilder] = [:]
        private var turn: Int32 = 0

        init(_ client: TopicClient, _ topic: MetadataResponse.MetadataResponseTopic, _ settings: Settings) {
            self.client = client
            self.topic = topic
            self.settings = settings
        }

        func add(_ outgoing: Outgoing) throws {
            let count = Int32(topic.partitions.count)
            let number: Int32
            if let chosen = outgoing.partition {
                guard chosen < count else { throw TopicError("topic \"\(topic.name ?? "")\" has \(count) partitions, 0 to \(count - 1)") }
                number = chosen
            } else if let key = outgoing.record.key {
                number = key.withUnsafeBytes { partition(ofKey: $0, among: count) }
            } else {
                // A batch's worth to one partition, then to the next.
                number = turn % count
            }
            let builder = builders[number] ?? RecordBatchBuilder(compression: settings.compression)
            builders[number] = builder
            builder.append(outgoing.record)
            if builder.byteCount >= TopicProduce.batchBytes {
                try send(number, builder)
                turn = (turn + 1) % count
            }
        }

        func finish() throws {
            for (number, builder) in builders.sorted(by: { $0.key < $1.key }) where !builder.isEmpty { try send(number, builder) }
        }

        private func send(_ number: Int32, _ builder: RecordBatchBuilder) throws {
            let batch = try builder.finish().withUnsafeBytes { ByteSlice(copying: $0) }
            let leader = topic.partitions.first { $0.partitionIndex == number }?.leaderId ?? -1
            let name = topic.name ?? ""
            let response: ProduceResponse = try client.ask(leader: leader, .produce) { _ in
                ProduceRequest(
                    acks: -1, timeoutMs: 30_000,
                    topicData: [
                        ProduceRequest.TopicProduceData(
                            name: name, partitionData: [ProduceRequest.PartitionProduceData(index: number, records: batch)])
                    ])
            }
            for part in response.responses.flatMap(\.partitionResponses) where part.errorCode != 0 {
                throw TopicError("partition \(part.index) of \"\(name)\"", part.errorCode, part.errorMessage)
            }
        }
    }
}
