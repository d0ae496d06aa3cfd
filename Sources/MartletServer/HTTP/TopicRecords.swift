internal import MartletCore
internal import MartletLog
internal import MartletPlatform

/// `GET /v1/topics/NAME/records`: records as JSON, oldest first, and where the next page begins.
struct TopicRecords {
    let reading: TopicReading

    private static let limitMax = 10_000
    private static let bytesMax = 16 << 20

    private struct Question {
        var partition: String?
        var offset: String?
        var from: String?
        var next: TopicPlace?
        var limit = 100
    }

    /// A record that was read, by what orders it among other partitions' records.
    private struct Found {
        var timestamp: Int64
        var offset: Int64
        var json: Range<Int>
    }

    func answer(_ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            let question = try question(request)
            let partitions = try reading.partitions(question.partition)
            if question.offset != nil, partitions.count > 1 {
                throw SQLError(.invalidParameterValue, "offset needs partition=N: topic \"\(reading.topic.name)\" has \(partitions.count)")
            }
            let sink = ByteSink()
            var found: [[Found]] = []
            var places: [(partition: Int32, next: Int64)] = []
            for partition in partitions {
                let first = try first(partition, question)
                var records: [Found] = []
                // One that says more than its share does not keep the others out.
                let next = try reading.read(
                    partition, from: first, recordsMax: question.limit, bytesMax: TopicRecords.bytesMax / partitions.count
                ) { record in
                    let start = sink.count
                    RecordJSON.append(record, partition: partition, to: sink)
                    records.append(Found(timestamp: record.timestamp, offset: record.offset, json: start..<sink.count))
                }
                found.append(records)
                places.append((partition, next))
            }
            return answer(sink, found, places, limit: question.limit)
        } catch {
            return HTTPQuestion.response(error)
        }
    }

    /// The oldest of the partitions' next records, again and again. `places` are where the partitions were read to.
    private func answer(_ texts: ByteSink, _ found: [[Found]], _ places: [(partition: Int32, next: Int64)], limit: Int) -> HTTPResponse {
        var places = places
        var taken = Array(repeating: 0, count: found.count)
        let sink = ByteSink(capacity: texts.count + 256)
        sink.append("{\"records\":[")
        for count in 0..<limit {
            var oldest: Int?
            for partition in found.indices where taken[partition] < found[partition].count {
                let mine = found[partition][taken[partition]].timestamp
                if oldest.map({ mine < found[$0][taken[$0]].timestamp }) ?? true { oldest = partition }
            }
            guard let oldest else { break }
            if count > 0 { sink.append(",") }
            sink.append(UnsafeRawBufferPointer(rebasing: texts.bytes[found[oldest][taken[oldest]].json]))
            taken[oldest] += 1
        }
        for partition in found.indices where taken[partition] < found[partition].count {
            places[partition].next = found[partition][taken[partition]].offset
        }
        sink.append("],\"next\":\"")
        TopicPlace(places).append(to: sink)
        sink.append("\"}\n")
        return HTTPQuestion.json(sink)
    }

    private func question(_ request: HTTPRequest) throws(SQLError) -> Question {
        var question = Question()
        for (name, value) in try HTTPQuestion.parameters(request.query) {
            switch name {
            case "partition": question.partition = value
            case "offset": question.offset = value
            case "from": question.from = value
            case "limit":
                guard let number = Int(value), number >= 0, number <= TopicRecords.limitMax else {
                    throw SQLError(.invalidParameterValue, "limit is a number up to \(TopicRecords.limitMax), not \"\(value)\"")
                }
                question.limit = number
            case "next":
                guard let place = TopicPlace(value) else {
                    throw SQLError(.invalidParameterValue, "next is what the page before said, such as 0:15,1:7, not \"\(value)\"")
                }
                question.next = place
            default:
                throw SQLError(.invalidParameterValue, "records take partition, offset, from, limit and next, not \"\(name)\"")
            }
        }
        return question
    }

    private func first(_ partition: Int32, _ question: Question) throws(SQLError) -> Int64 {
        let range = try reading.range(partition)
        if let next = question.next {
            return next[partition] ?? range.lowerBound
        }
        if let offset = question.offset {
            guard let number = Int64(offset) else {
                throw SQLError(
                    .invalidParameterValue, "offset is a number, not \"\(offset)\"", hint: "A negative one counts from the end: -10 gives the last ten.")
            }
            return number < 0 ? max(range.lowerBound, range.upperBound + max(number, -range.upperBound)) : number
        }
        return try TopicEvents.first(question.from ?? "earliest", partition, range, reading)
    }
}
