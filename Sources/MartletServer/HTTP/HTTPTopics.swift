internal import MartletCore
internal import MartletLog
internal import MartletPlatform

/// `POST /v1/topics/NAME`: a record for each line of the body, which is JSON. On threads that may block.
///
/// What is accepted becomes one commit, and is answered when that is durable. A line that is no JSON, or lacks its key, is
/// refused alone, with its reason in its place. With an `Idempotency-Key` the request is carried out once.
struct HTTPTopics {
    let log: Log
    let clock: any Clock
    let repeated: RepeatedRequests

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

    /// What became of a group: its first offset, or why it was refused.
    private typealias Outcome = (partition: Int32, outcome: Result<Int64, SQLError>)

    /// How a request wants its records.
    private struct Options {
        /// The member whose value is the record's key.
        var keyField: String?
        /// The client's choice.
        var partition: Int32?
        /// Among so many the key chooses.
        var partitions: Int32
        var isCompacted: Bool
        /// The same on every record.
        var headers: [RecordHeader]
        var millis: Int64
    }

    func append(_ name: String, _ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            guard let topic = log.topic(named: name) else { throw TopicReading.unknown(name) }
            guard !topic.isInternal else { throw SQLError(.insufficientPrivilege, "topic \"\(name)\" is Martlet's own") }
            let options = try options(request, topic)
            guard let given = request.header("Idempotency-Key") else {
                let (places, groups) = records(request, options)
                return answer(places, try produce(groups, topic))
            }
            let key = try RepeatedRequests.key(given, topic: topic.name)
            let before = try repeated.begin(key, nowMillis: options.millis)
            defer { repeated.end(key) }
            return try once(key, before, request, topic, options)
        } catch {
            return HTTPQuestion.response(error)
        }
    }

    // MARK: Once

    private func once(
        _ key: [UInt8], _ before: RepeatedRequests.Done?, _ request: HTTPRequest, _ topic: Topic, _ options: Options
    ) throws(SQLError) -> HTTPResponse {
        let (checksum, bytes) = HTTPTopics.fingerprint(request)
        guard let before else {
            let (places, groups) = records(request, options)
            if groups.isEmpty { return answer(places, []) }
            let appends = try appends(groups, topic)
            let forgotten = repeated.make(roomFor: key, nowMillis: options.millis)
            let committed = try commit(Commit(appends: appends, entries: forgotten)) { offsets in
                let done = RepeatedRequests.Done(
                    millis: options.millis, partitions: topic.partitions, checksum: checksum, bytes: bytes,
                    groups: zip(groups, offsets).map { ($0.partition, $1) })
                return EntryChange(.request, key: key, value: done.encoded)
            }
            return answer(places, zip(groups, committed).map { ($0.partition, .success($1)) })
        }
        guard before.checksum == checksum, before.bytes == bytes else {
            return HTTPQuestion.response(
                SQLError(.invalidParameterValue, "the Idempotency-Key came with another request before", hint: "Each request has a key of its own."),
                status: 422)
        }
        var past = options
        past.partitions = before.partitions
        let (places, groups) = records(request, past)
        guard groups.map(\.partition) == before.groups.map(\.partition) else {
            throw SQLError(.internalError, "the request was carried out before, and its answer cannot be given again")
        }
        return answer(places, before.groups.map { ($0.partition, .success($0.baseOffset)) })
    }

    /// Of what was asked: a request with the same key and another fingerprint is not the same request.
    private static func fingerprint(_ request: HTTPRequest) -> (checksum: UInt32, bytes: UInt64) {
        let question = Array((request.query ?? "").utf8) + [0]
        let checksum = (question + request.body).withUnsafeBytes { crc32c($0) }
        return (checksum, UInt64(question.count + request.body.count))
    }

    // MARK: Lines

    private func records(_ request: HTTPRequest, _ options: Options) -> (places: [Place], groups: [Group]) {
        var groups: [Group] = []
        var places: [Place] = []
        for line in request.body.split(separator: UInt8(ascii: "\n")) where line.contains(where: { $0 > 0x20 }) {
            do throws(SQLError) {
                places.append(try add(line, options, &groups))
            } catch {
                places.append(.refused(error))
            }
        }
        return (places, groups)
    }

    private func options(_ request: HTTPRequest, _ topic: Topic) throws(SQLError) -> Options {
        var options = Options(
            partitions: topic.partitions, isCompacted: topic.configuration.isCompacted, headers: TraceContext.headers(request),
            millis: clock.wallMicros() / 1_000)
        for (name, value) in try HTTPQuestion.parameters(request.query) {
            switch name {
            case "key": options.keyField = value
            case "partition": options.partition = try TopicReading.partition(value, of: topic)
            default: throw SQLError(.invalidParameterValue, "a topic takes key and partition, not \"\(name)\"")
            }
        }
        return options
    }

    private func add(_ line: ArraySlice<UInt8>, _ options: Options, _ groups: inout [Group]) throws(SQLError) -> Place {
        guard let text = String(validating: line, as: UTF8.self) else {
            throw SQLError(.characterNotInRepertoire, "the line is not UTF-8")
        }
        let node = try JSONNode(text: text)
        var key: [UInt8]?
        if let keyField = options.keyField {
            guard case .object(let members) = node, let member = members.last(where: { $0.key == keyField }) else {
                throw SQLError(.invalidParameterValue, "the record has no member \"\(keyField)\"")
            }
            switch member.value {
            case .null: break
            case .string(let text): key = Array(text.utf8)
            case .boolean, .number, .array, .object: key = Array(member.value.text.utf8)
            }
        }
        if options.isCompacted, key == nil {
            throw SQLError(.notNullViolation, "a record of a compacted topic needs a key")
        }
        let byKey = key.map { key in key.withUnsafeBytes { MartletCore.partition(ofKey: $0, among: options.partitions) } }
        let chosen = options.partition ?? byKey ?? 0
        let index = groups.firstIndex { $0.partition == chosen } ?? groups.count
        if index == groups.count { groups.append(Group(partition: chosen)) }
        groups[index].builder.append(Record(timestamp: options.millis, key: key, value: Array(line), headers: options.headers))
        defer { groups[index].count += 1 }
        return .accepted(batch: index, delta: groups[index].count)
    }

    // MARK: Into the log

    private func appends(_ groups: [Group], _ topic: Topic) throws(SQLError) -> [Append] {
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
        return appends
    }

    /// Each group on its own; returns when what was accepted is durable.
    private func produce(_ groups: [Group], _ topic: Topic) throws(SQLError) -> [Outcome] {
        let appends = try appends(groups, topic)
        guard !appends.isEmpty else { return [] }
        let (outcomes, sequence) = log.produce(appends)
        try awaitDurable(sequence)
        return zip(groups, outcomes).map { group, outcome in
            switch outcome {
            case .appended(let base, _, _), .duplicate(let base, _): (group.partition, .success(base))
            case .refused(let refusal): (group.partition, .failure(SQLError(.configurationLimitExceeded, "the log refused it: \(refusal)")))
            }
        }
    }

    /// All of it or nothing; returns when it is durable.
    private func commit(_ commit: Commit, noting: @escaping ([Int64]) -> EntryChange) throws(SQLError) -> [Int64] {
        let committed: Committed
        do throws(LogError) {
            committed = try log.commit(commit, noting: noting)
        } catch {
            throw SQLError(
                error.isRetriable ? .configurationLimitExceeded : .ioError, "the log refused it: \(error)",
                hint: error.isRetriable ? "Ask again later." : nil)
        }
        try awaitDurable(committed.sequence)
        return committed.baseOffsets
    }

    private func awaitDurable(_ sequence: UInt64) throws(SQLError) {
        let done = WakeSignal()
        let ticket = done.ticket
        log.whenDurable(sequence) { done.notify() }
        guard done.wait(after: ticket, timeoutNanos: 30_000_000_000) else {
            throw SQLError(.ioError, "the journal does not write", detail: "Whether the records were kept is not known.")
        }
    }

    // MARK: Answers

    /// `{"results":[{"partition":0,"offset":7} | {"error":{…}}],"accepted":1,"refused":0}`.
    private func answer(_ places: [Place], _ outcomes: [Outcome]) -> HTTPResponse {
        let sink = ByteSink()
        var accepted: Int64 = 0
        sink.append("{\"results\":[")
        for (index, place) in places.enumerated() {
            if index > 0 { sink.append(",") }
            switch place {
            case .refused(let error): appendError(error, to: sink)
            case .accepted(let batch, let delta):
                switch outcomes[batch].outcome {
                case .success(let base):
                    accepted += 1
                    sink.append("{\"partition\":")
                    sink.append(decimal: Int64(outcomes[batch].partition))
                    sink.append(",\"offset\":")
                    sink.append(decimal: base + delta)
                    sink.append("}")
                case .failure(let error): appendError(error, to: sink)
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

/// W3C Trace Context: who called, passed on in the headers of records.
enum TraceContext {
    private static let stateBytesMax = 4_096

    /// `traceparent`, and `tracestate` with it; nothing where the first is not as the recommendation has it.
    static func headers(_ request: HTTPRequest) -> [RecordHeader] {
        guard let parent = request.header("traceparent"), isParent(parent) else { return [] }
        var headers = [RecordHeader(key: Array("traceparent".utf8), value: Array(parent.utf8))]
        // Several lines of it are one list.
        let states = request.headers.filter { $0.name.lowercased() == "tracestate" && !$0.value.isEmpty }.map(\.value)
        let state = Array(states.joined(separator: ",").utf8)
        if !state.isEmpty, state.count <= stateBytesMax { headers.append(RecordHeader(key: Array("tracestate".utf8), value: state)) }
        return headers
    }

    /// `00-` 32 digits `-` 16 digits `-` 2 digits; ids of zeros alone, and version `ff`, are nobody's. Later versions may go on.
    static func isParent(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0] != "ff", parts.count == 4 || parts[0] != "00" else { return false }
        for (part, count) in zip(parts, [2, 32, 16, 2]) {
            let isHexadecimal = part.utf8.allSatisfy { $0 &- 0x30 < 10 || $0 &- 0x61 < 6 }
            guard part.utf8.count == count, isHexadecimal else { return false }
        }
        return parts[1].contains { $0 != "0" } && parts[2].contains { $0 != "0" }
    }
}
