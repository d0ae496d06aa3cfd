internal import MartletCore
internal import MartletLog
internal import MartletPlatform
internal import Synchronization

/// `GET /v1/topics/NAME/changes`: the records of a topic as events, from its end on unless said otherwise.
///
/// An event's `id` is where to go on in each partition, `0:15,1:7`: whoever comes back with the last one (`Last-Event-ID`)
/// misses nothing and gets nothing twice, as long as the topic keeps its records.
final class TopicEvents: EventSource {
    private let reading: TopicReading
    private let news: TopicNews
    private var place: TopicPlace
    private var isPlaceTold = false
    /// Records that retention had taken before they could be told.
    private var gaps: [(partition: Int32, from: Int64, to: Int64)] = []
    private var turn = 0

    init(_ reading: TopicReading, _ news: TopicNews, _ request: HTTPRequest) throws(SQLError) {
        var partition: String?
        var start: String?
        var since: TopicPlace?
        for (name, value) in try HTTPQuestion.parameters(request.query) {
            switch name {
            case "partition": partition = value
            case "from": start = value
            case "since":
                guard let place = TopicPlace(value) else {
                    throw SQLError(.invalidParameterValue, "since is the id of an event, such as 0:15,1:7, not \"\(value)\"")
                }
                since = place
            default: throw SQLError(.invalidParameterValue, "changes of a topic take partition, from and since, not \"\(name)\"")
            }
        }
        self.reading = reading
        self.news = news
        let resumed = request.header("Last-Event-ID").flatMap { TopicPlace($0) } ?? since
        var offsets: [(partition: Int32, next: Int64)] = []
        for number in try reading.partitions(partition) {
            let range = try reading.range(number)
            guard let next = resumed?[number] else {
                // A partition that came since is told from its beginning.
                let first = resumed == nil ? try TopicEvents.first(start ?? "latest", number, range, reading) : range.lowerBound
                offsets.append((number, first))
                continue
            }
            if next < range.lowerBound { gaps.append((number, next, range.lowerBound)) }
            offsets.append((number, min(max(next, range.lowerBound), range.upperBound)))
        }
        place = TopicPlace(offsets)
    }

    /// `earliest`, `latest`, or an instant.
    static func first(_ text: String, _ partition: Int32, _ range: Range<Int64>, _ reading: TopicReading) throws(SQLError) -> Int64 {
        switch text {
        case "earliest": return range.lowerBound
        case "latest": return range.upperBound
        default: return try reading.offset(since: try HTTPQuestion.instant("from", text), partition)
        }
    }

    func next(into events: ByteSink) throws(SQLError) -> Bool {
        for gap in gaps {
            events.append("event: gap\ndata: {\"partition\":")
            events.append(decimal: Int64(gap.partition))
            events.append(",\"from\":")
            events.append(decimal: gap.from)
            events.append(",\"to\":")
            events.append(decimal: gap.to)
            events.append("}\n\n")
        }
        gaps = []
        // The first thing that a client learns is where it stands.
        if !isPlaceTold { beat(into: events) }
        // Each partition in its turn, so that a busy one does not silence the others.
        for step in 0..<place.offsets.count {
            let index = (turn + step) % place.offsets.count
            let (partition, from) = place.offsets[index]
            guard reading.hasMore(partition, behind: from) else { continue }
            let next = try reading.read(partition, from: from, recordsMax: 256, bytesMax: 64 << 10) { record in
                place.offsets[index].next = record.offset + 1
                events.append("id: ")
                place.append(to: events)
                events.append("\ndata: ")
                RecordJSON.append(record, partition: partition, to: events)
                events.append("\n\n")
            }
            // What was aborted is passed over in silence.
            if next > place.offsets[index].next {
                place.offsets[index].next = next
                isPlaceTold = false
            }
            turn = index + 1
            return true
        }
        return false
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) {
        news.whenWritten(reading.topic.id, ObjectIdentifier(self), wake)
        if place.offsets.contains(where: { reading.hasMore($0.partition, behind: $0.next) }) { wake() }
    }

    func beat(into events: ByteSink) {
        if isPlaceTold { return events.append(": alive\n\n") }
        events.append("id: ")
        place.append(to: events)
        events.append("\n\n")
        isPlaceTold = true
    }

    func close() { news.forget(reading.topic.id, ObjectIdentifier(self)) }
}

/// Tells streams that a topic got records: one listener of the log for all of them.
final class TopicNews: Sendable {
    private let log: Log
    private let waiting = Mutex<[TopicID: [ObjectIdentifier: @Sendable () -> Void]]>([:])
    private let listener = Mutex<Int?>(nil)

    init(_ log: Log) {
        self.log = log
        let id = log.addPublishListener { [weak self] partitions in self?.published(partitions) }
        listener.withLock { $0 = id }
    }

    deinit { stop() }

    func stop() {
        let id = listener.withLock { id in
            defer { id = nil }
            return id
        }
        if let id { log.removePublishListener(id) }
    }

    /// Calls `wake` the next time that something of the topic becomes visible. It may be called when there is nothing for
    /// `owner`, who waits once at a time.
    func whenWritten(_ topic: TopicID, _ owner: ObjectIdentifier, _ wake: @escaping @Sendable () -> Void) {
        waiting.withLock { $0[topic, default: [:]][owner] = wake }
    }

    func forget(_ topic: TopicID, _ owner: ObjectIdentifier) {
        _ = waiting.withLock { $0[topic]?.removeValue(forKey: owner) }
    }

    private func published(_ partitions: [TopicPartition]) {
        let wakes = waiting.withLock { waiting in
            if waiting.isEmpty { return [@Sendable () -> Void]() }
            return partitions.flatMap { Array(waiting.removeValue(forKey: $0.topic)?.values ?? [:].values) }
        }
        for wake in wakes { wake() }
    }
}
