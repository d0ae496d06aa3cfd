internal import MartletCore
internal import MartletLog
internal import MartletPlatform

/// `POST /v1/topics/NAME`: a record for each line of the body, which is JSON. On threads that may block.
///
/// What is accepted becomes one commit, and is answered when that is durable. A line that is no JSON, or lacks its key, is
/// refused alone, with its reason in its place.
struct HTTPTopics {
    let log: Log
    let clock: any Clock

    private enum Place {
        case accepted(batch: Int, delta: Int64)
        case refused(SQLError)
    }

    /// Records on their way to one partition.
    private struct Group {
        var partition: Int32
        var builder = RecordBatchBuilder()
        var count: Int64 = 0
    }

    func append(_ name: String, _ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            guard request.header("Idempotency-Key") == nil else {
                throw SQLError(.featureNotSupported, "Idempotency-Key is not kept yet", hint: "Use a Kafka client with enable.idempotence.")
            }
            guard let topic = log.topic(named: name) else { throw SQLError(.undefinedTable, "topic \"\(name)\" does not exist") }
            guard !topic.isInternal else { throw SQLError(.insufficientPrivilege, "topic \"\(name)\" is Martlet's own") }
            let (keyField, partition) = try options(request, topic)
            var groups: [Group] = []
            var places: [Place] = []
            for line in request.body.split(separator: UInt8(ascii: "\n")) where line.contains(where: { $0 > 0x20 }) {
                do throws(SQLError) {
                    places.append(try add(line, keyField, partition, topic, &groups))
                } catch {
                    places.append(.refused(error))
                }
            }
            return try answer(places, try produce(groups, topic))
        } catch {
            return HTTPQuestion.response(error)
        }
    }

    /// `key=FIELD` names the member whose value is the record's key; `partition=N` leaves the choice to the client.
    private func options(_ request: HTTPRequest, _ topic: Topic) throws(SQLError) -> (keyField: String?, partition: Int32?) {
        var keyField: String?
        var partition: Int32?
        for (name, value) in try HTTPQuestion.parameters(request.query) {
            switch name {
            case "key": keyField = value
            case "partition":
                guard let number = Int32(value), number >= 0, number < topic.partitions else {
                    throw SQLError(.invalidParameterValue, "topic \"\(topic.name)\" has partitions 0 to \(topic.partitions - 1), not \"\(value)\"")
                }
                partition = number
            default: throw SQLError(.invalidParameterValue, "a topic takes key and partition, not \"\(name)\"")
            }
        }
        return (keyField, partition)
    }

    private func add(
        _ line: ArraySlice<UInt8>, _ keyField: String?, _ partition: Int32?, _ topic: Topic, _ groups: inout [Group]
    ) throws(SQLError) -> Place {
        guard let text = String(validating: line, as: UTF8.self) else {
            throw SQLError(.characterNotInRepertoire, "the line is not UTF-8")
        }
        let node = try JSONNode(text: text)
        var key: [UInt8]?
        if let keyField {
            guard case .object(let members) = node, let member = members.last(where: { $0.key == keyField }) else {
                throw SQLError(.invalidParameterValue, "the record has no member \"\(keyField)\"")
            }
            switch member.value {
            case .null: break
            case .string(let text): key = Array(text.utf8)
            case .boolean, .number, .array, .object: key = Array(member.value.text.utf8)
            }
        }
        if topic.configuration.isCompacted, key == nil {
            throw SQLError(.notNullViolation, "a record of the compacted topic \"\(topic.name)\" needs a key")
        }
        let chosen = partition ?? key.map { key in key.withUnsafeBytes { MartletCore.partition(ofKey: $0, among: topic.partitions) } } ?? 0
        let index = groups.firstIndex { $0.partition == chosen } ?? groups.count
        if index == groups.count { groups.append(Group(partition: chosen)) }
        groups[index].builder.append(Record(timestamp: clock.wallMicros() / 1_000, key: key, value: Array(line), headers: []))
        defer { groups[index].count += 1 }
        return .accepted(batch: index, delta: groups[index].count)
    }

    /// Each group's first offset, or why it was refused; returns when what was accepted is durable.
    private func produce(_ groups: [Group], _ topic: Topic) throws(SQLError) -> [(partition: Int32, outcome: AppendOutcome)] {
        var appends: [Append] = []
        for group in groups {
            let batch: [UInt8]
            do throws(BatchError) {
                batch = try group.builder.finish()
            } catch {
                throw SQLError(.programLimitExceeded, "\(error)")
            }
            let limit = topic.configuration.messageBytesMax
            guard batch.count <= limit else {
                throw SQLError(
                    .programLimitExceeded, "\(batch.count) bytes for one partition are more than the topic's max.message.bytes, \(limit)",
                    hint: "Send fewer lines at a time.")
            }
            let slice = batch.withUnsafeBytes { ByteSlice(copying: $0) }
            appends.append(Append(TopicPartition(topic: topic.id, partition: group.partition), slice))
        }
        guard !appends.isEmpty else { return [] }
        let (outcomes, sequence) = log.produce(appends)
        let done = WakeSignal()
        let ticket = done.ticket
        log.whenDurable(sequence) { done.notify() }
        guard done.wait(after: ticket, timeoutNanos: 30_000_000_000) else {
            throw SQLError(.ioError, "the journal does not write", detail: "Whether the records were kept is not known.")
        }
        return zip(groups, outcomes).map { ($0.partition, $1) }
    }

    /// `{"results":[{"partition":0,"offset":7} | {"error":{…}}],"accepted":1,"refused":0}`.
    private func answer(_ places: [Place], _ outcomes: [(partition: Int32, outcome: AppendOutcome)]) throws(SQLError) -> HTTPResponse {
        let sink = ByteSink()
        var accepted: Int64 = 0
        sink.append("{\"results\":[")
        for (index, place) in places.enumerated() {
            if index > 0 { sink.append(",") }
            switch place {
            case .refused(let error): appendError(error, to: sink)
            case .accepted(let batch, let delta):
                switch outcomes[batch].outcome {
                case .appended(let base, _, _), .duplicate(let base, _):
                    accepted += 1
                    sink.append("{\"partition\":")
                    sink.append(decimal: Int64(outcomes[batch].partition))
                    sink.append(",\"offset\":")
                    sink.append(decimal: base + delta)
                    sink.append("}")
                case .refused(let refusal): appendError(SQLError(.configurationLimitExceeded, "the log refused it: \(refusal)"), to: sink)
                }
            }
        }
        sink.append("],\"accepted\":")
        sink.append(decimal: accepted)
        sink.append(",\"refused\":")
        sink.append(decimal: Int64(places.count) - accepted)
        sink.append("}\n")
        return HTTPQuestion.json(sink, status: accepted == 0 && !places.isEmpty ? 400 : 200)
    }

    private func appendError(_ error: SQLError, to sink: ByteSink) {
        sink.append("{\"error\":")
        HTTPQuestion.append(error, to: sink)
        sink.append("}")
    }
}
