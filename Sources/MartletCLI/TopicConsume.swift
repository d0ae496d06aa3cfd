import Glibc
import MartletCore
import MartletKafka
import MartletLog
import MartletPlatform

/// `martlet topic consume`: records to standard output.
enum TopicConsume {
    private struct Settings {
        var partitions: [Int32]
        var start: Start
        var max: Int
        var follows: Bool
        var isCommitted: Bool
        var format: String
        var shows: Set<String>
    }

    private enum Start {
        case beginning, end
        case offset(Int64)
        case last(Int64)
        /// Milliseconds since 1970.
        case time(Int64)
    }

    static func run(_ arguments: Arguments) throws -> Int32 {
        guard arguments.positional.count == 1 else { throw UsageError("consume takes one topic") }
        var settings = try settings(arguments)
        let client = try TopicClient(try TopicCommand.server(arguments))
        let topic = try client.topic(arguments.positional[0])
        let known = topic.partitions.map(\.partitionIndex).sorted()
        if settings.partitions.isEmpty { settings.partitions = known }
        for partition in settings.partitions where !known.contains(partition) {
            throw TopicError("topic \"\(topic.name ?? "")\" has no partition \(partition)")
        }
        try StopSignals.install()
        let reader = Reader(client, topic, settings)
        try reader.run()
        return ExitCode.done
    }

    private static func settings(_ arguments: Arguments) throws(UsageError) -> Settings {
        var partitions: [Int32] = []
        for text in arguments.all("partition") {
            guard let number = Int32(text), number >= 0 else { throw UsageError("--partition takes a number, not \"\(text)\"") }
            if !partitions.contains(number) { partitions.append(number) }
        }
        let format = arguments.value("output") ?? "plain"
        guard ["plain", "table", "json", "csv"].contains(format) else { throw UsageError("-o takes table, json or csv, not \"\(format)\"") }
        return Settings(
            partitions: partitions, start: try start(arguments.value("from") ?? "beginning"),
            max: try arguments.integer("max", in: 0...Int.max) ?? .max, follows: arguments.has("follow"),
            isCommitted: !arguments.has("uncommitted"), format: format,
            shows: Set(["keys", "headers", "timestamps", "offsets", "partitions"].filter { arguments.has($0) }))
    }

    private static func start(_ text: String) throws(UsageError) -> Start {
        switch text {
        case "beginning", "start", "earliest": return .beginning
        case "end", "latest": return .end
        default: break
        }
        if let number = Int64(text) { return number < 0 ? .last(number == .min ? .max : -number) : .offset(number) }
        var copy = text
        guard let micros = copy.withUTF8({ Timestamps.parse($0) }) else {
            throw UsageError("--from takes beginning, end, an offset, -N or a time such as 2026-01-01T00:00:00Z, not \"\(text)\"")
        }
        return .time(micros / 1_000)
    }

    /// Fetches, partition by partition as they come, and writes.
    private final class Reader {
        private let client: TopicClient
        private let topic: MetadataResponse.MetadataResponseTopic
        private let settings: Settings
        private var next: [Int32: Int64] = [:]
        /// Where a partition ends for us; none when following.
        private var ends: [Int32: Int64] = [:]
        private var written = 0
        private let sink = ByteSink(capacity: 1 << 16)
        /// Records by partition are shown in the partition's order.
        private var aborted: [Int32: AbortedRecords] = [:]

        init(_ client: TopicClient, _ topic: MetadataResponse.MetadataResponseTopic, _ settings: Settings) {
            self.client = client
            self.topic = topic
            self.settings = settings
        }

        func run() throws {
            try findStart()
            if !settings.follows { ends = try client.offsets(topic, questions(-1), isCommitted: settings.isCommitted) }
            if settings.format == "csv" || settings.format == "table" { writeHeading() }
            while written < settings.max, !StopSignals.isStopRequested {
                let open = settings.partitions.filter { number in ends[number].map { next[number, default: 0] < $0 } ?? true }
                guard !open.isEmpty else { break }
                for (leader, numbers) in byLeader(open) where written < settings.max { try fetch(leader, numbers) }
                flush()
            }
            flush()
        }

        private func questions(_ timestamp: Int64) -> [Int32: Int64] {
            Dictionary(settings.partitions.map { ($0, timestamp) }, uniquingKeysWith: { $1 })
        }

        private func findStart() throws {
            let first = try client.offsets(topic, questions(-2))
            let last = try client.offsets(topic, questions(-1), isCommitted: settings.isCommitted)
            var byTime: [Int32: Int64] = [:]
            if case .time(let millis) = settings.start { byTime = try client.offsets(topic, questions(millis)) }
            for number in settings.partitions {
                let start = first[number] ?? 0
                let end = last[number] ?? 0
                switch settings.start {
                case .beginning: next[number] = start
                case .end: next[number] = end
                case .offset(let offset): next[number] = min(max(offset, start), end)
                case .last(let count): next[number] = max(start, end - min(count, end))
                case .time: next[number] = byTime[number].flatMap { $0 < 0 ? nil : $0 } ?? end
                }
            }
        }

        private func byLeader(_ partitions: [Int32]) -> [(Int32, [Int32])] {
            let leaders = Dictionary(topic.partitions.map { ($0.partitionIndex, $0.leaderId) }, uniquingKeysWith: { $1 })
            return Dictionary(grouping: partitions) { leaders[$0] ?? -1 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }

        private func fetch(_ leader: Int32, _ numbers: [Int32]) throws {
            let response: FetchResponse = try client.ask(leader: leader, .fetch) { version in
                var request = FetchRequest(maxWaitMs: 500, minBytes: 1, maxBytes: 16 << 20)
                request.isolationLevel = settings.isCommitted ? 1 : 0
                request.topics = [
                    FetchRequest.FetchTopic(
                        topic: topic.name ?? "",
                        partitions: numbers.map {
                            FetchRequest.FetchPartition(partition: $0, fetchOffset: next[$0] ?? 0, partitionMaxBytes: 4 << 20)
                        })
                ]
                return request
            }
            guard response.errorCode == 0 else { throw TopicError("fetching \"\(topic.name ?? "")\"", response.errorCode) }
            for part in response.responses.flatMap(\.partitions) {
                guard part.errorCode == 0 else {
                    throw TopicError("partition \(part.partitionIndex) of \"\(topic.name ?? "")\"", part.errorCode)
                }
                try show(part)
            }
        }

        private func show(_ part: FetchResponse.PartitionData) throws {
            var state = AbortedRecords(part.abortedTransactions ?? [], active: aborted[part.partitionIndex]?.active ?? [])
            for slice in part.records ?? [] {
                defer { withExtendedLifetime(slice) {} }
                var rest = slice.bytes
                // What does not hold a whole batch any more is cut off; the next fetch brings it whole.
                while rest.count >= RecordBatchHeader.size {
                    let header = try RecordBatchHeader(reading: rest)
                    guard header.byteCount <= rest.count else { break }
                    try show(UnsafeRawBufferPointer(rebasing: rest[..<header.byteCount]), header, part.partitionIndex, &state)
                    rest = UnsafeRawBufferPointer(rebasing: rest[header.byteCount...])
                    if written >= settings.max { return }
                }
            }
            aborted[part.partitionIndex] = state
        }

        private func show(
            _ batch: UnsafeRawBufferPointer, _ header: RecordBatchHeader, _ partition: Int32, _ state: inout AbortedRecords
        ) throws {
            let start = next[partition] ?? 0
            guard header.nextOffset > start else { return }
            next[partition] = header.nextOffset
            let isAborted = try settings.isCommitted && state.covers(header, batch)
            guard !header.isControl, !isAborted else { return }
            var reader = try RecordBatchReader(batch)
            while let record = try reader.next() {
                guard record.offset >= start else { continue }
                if let end = ends[partition], record.offset >= end { return }
                guard written < settings.max else { return }
                write(record, partition)
                written += 1
            }
        }

        private func writeHeading() {
            let separator = settings.format == "csv" ? "," : "\t"
            sink.append(text: ["partition", "offset", "timestamp", "key", "value", "headers"].joined(separator: separator) + "\n")
        }

        private func flush() {
            guard sink.count > 0 else { return }
            try? SystemFile.standardOutput.append(sink.bytes)
            sink.clear()
        }

        private func write(_ record: RecordView, _ partition: Int32) {
            switch settings.format {
            case "json": TopicRecordText.writeJSON(record, partition, topic.name ?? "", to: sink)
            case "csv": TopicRecordText.writeCSV(record, partition, to: sink)
            case "table":
                let parts = ["partitions", "offsets", "timestamps", "keys", "values", "headers"]
                TopicRecordText.writePlain(record, partition, parts, to: sink)
            default:
                let order = ["partitions", "offsets", "timestamps", "keys", "headers"].filter { settings.shows.contains($0) }
                TopicRecordText.writePlain(record, partition, order + ["values"], to: sink)
            }
            if sink.count > 1 << 16 { flush() }
        }
    }
}

/// Which batches belong to aborted transactions, as a `read_committed` consumer tells from the server's list.
private struct AbortedRecords {
    private var coming: [FetchResponse.AbortedTransaction]
    private(set) var active: Set<Int64>

    init(_ list: [FetchResponse.AbortedTransaction], active: Set<Int64>) {
        coming = list.sorted { $0.firstOffset > $1.firstOffset }
        self.active = active
    }

    /// Whether a batch is to be passed over. To be asked for each batch in order.
    mutating func covers(_ header: RecordBatchHeader, _ batch: UnsafeRawBufferPointer) throws -> Bool {
        while let first = coming.last, first.firstOffset <= header.lastOffset {
            active.insert(first.producerId)
            coming.removeLast()
        }
        guard header.isTransactional else { return false }
        if header.isControl {
            if try ControlMarker(reading: batch)?.commits == false { active.remove(header.producerID) }
            return false
        }
        return active.contains(header.producerID)
    }
}
