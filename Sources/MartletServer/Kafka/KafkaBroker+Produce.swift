internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Produce: every partition of a request is judged on its own; what is accepted is one journal record, and the answer
/// leaves when that is durable.
extension KafkaBroker {
    func produce(_ request: KafkaRequest) throws(KafkaError) {
        let body: ProduceRequest = try request.body()
        let task = ProduceTask(request, body)
        guard request.version >= 3 else { return finish(task, everywhere: .unsupportedVersion) }
        guard (-1...1).contains(body.acks) else { return finish(task, everywhere: .invalidRequiredAcks) }
        examine(task)
        var bytes = 0
        for part in task.parts { bytes += part.recordBytes }
        let now = clock.monotonicNanos()
        historyPace.produced(bytes, now: now)
        let throttle = quotas.record(.produce, client: request.clientID, amount: Double(bytes), now: now)
        request.throttleMillis = max(request.throttleMillis, throttle)
        metrics.bytesIn.add(bytes)
        append(task)
    }

    /// Finds each partition's topic and looks at its batch; what is refused here never reaches the log.
    private func examine(_ task: ProduceTask) {
        for index in task.parts.indices {
            let part = task.parts[index]
            guard let topic = log.topic(named: part.topic), part.partition >= 0, part.partition < topic.partitions else {
                task.refuse(index, isTopicName(part.topic) ? .unknownTopicOrPartition : .invalidTopicException)
                continue
            }
            guard !isOwnTopic(topic.name) else {
                task.refuse(index, .topicAuthorizationFailed, ownTopicText(topic.name))
                continue
            }
            task.parts[index].key = TopicPartition(topic: topic.id, partition: part.partition)
            do throws(BatchError) {
                try examine(part.records, topic.configuration, task, index)
            } catch {
                task.refuse(index, ErrorCode(error), "\(error)", records: error.records)
                metrics.batchesRefused.add()
            }
        }
    }

    private func examine(
        _ records: ByteSlice?, _ configuration: TopicConfiguration, _ task: ProduceTask, _ index: Int
    ) throws(BatchError) {
        guard let records, records.count > 0 else { throw .invalid("a produce request without records") }
        let ranges = try RecordBatch.split(records.bytes)
        guard ranges.count == 1 else { throw .invalid("a partition takes exactly one batch a request, and \(ranges.count) came") }
        let limits = BatchLimits(
            batchBytesMax: configuration.messageBytesMax, decompressedBytesMax: options.decompressedBytesMax,
            recordBytesMax: options.recordBytesMax)
        let nowMillis = clock.wallMicros() / 1_000
        let rules = TopicRules(
            requiresKeys: configuration.isCompacted, usesLogAppendTime: configuration.timestampType == .logAppendTime,
            timestampBeforeMaxMillis: configuration.timestampBeforeMaxMillis,
            timestampAfterMaxMillis: configuration.timestampAfterMaxMillis, nowMillis: nowMillis)
        let valid = try RecordBatch.validate(records.bytes, limits: limits, rules: rules)
        if valid.header.compression == .zstd, task.request.version < 7 { throw .unsupportedCodec(Compression.zstd.rawValue) }
        var slice = records
        if let wanted = configuration.fixedCompression, wanted != valid.header.compression {
            slice = try recompressed(records, to: wanted, level: configuration.compressionLevel)
        }
        task.parts[index].slice = slice
        task.parts[index].timestamps = valid.timestamps
        task.parts[index].header = valid.header
        task.parts[index].recordBytes = records.count
        metrics.recordsIn.add(Int(valid.header.count))
    }

    /// The batch with another codec, as a topic's `compression.type` asks.
    private func recompressed(_ records: ByteSlice, to compression: Compression, level: Int) throws(BatchError) -> ByteSlice {
        defer { withExtendedLifetime(records) {} }
        var reader = try RecordBatchReader(records.bytes, decompressedBytesMax: options.decompressedBytesMax)
        let builder = RecordBatchBuilder(compression: compression, level: level)
        let header = reader.header
        builder.header.producerID = header.producerID
        builder.header.producerEpoch = header.producerEpoch
        builder.header.baseSequence = header.baseSequence
        builder.header.attributes |= header.attributes & BatchAttributes.transactional
        while let view = try reader.next() { builder.append(view) }
        let bytes = try builder.finish()
        return bytes.withUnsafeBytes { ByteSlice(copying: $0) }
    }

    /// Asks the transaction coordinator about what belongs to a transaction; false if its own changes have no room in the log
    /// yet, and the question must be asked again.
    private func admit(_ task: ProduceTask) -> Bool {
        let indices = task.parts.indices.filter { task.parts[$0].slice != nil && task.parts[$0].isTransactional }
        guard let first = indices.first, let header = task.parts[first].header else { return true }
        guard let id = task.body.transactionalId else {
            for index in indices { task.refuse(index, .invalidTxnState, "a transactional batch in a request without transactional id") }
            return true
        }
        guard coordinators.isDrained else { return false }
        var asked: [Int] = []
        for index in indices {
            let own = task.parts[index].header
            if own?.producerID == header.producerID, own?.producerEpoch == header.producerEpoch { asked.append(index) } else {
                task.refuse(index, .invalidProducerIdMapping, "batches of two producers in one request")
            }
        }
        let claim = ProducerClaim(transactionalID: id, producerID: header.producerID, epoch: header.producerEpoch)
        let outcomes = coordinators.admitProduce(claim, asked.map { task.parts[$0].key }, version: task.request.version)
        for (index, outcome) in zip(asked, outcomes) where outcome.error != .noError {
            // Before version 12 clients do not know what CONCURRENT_TRANSACTIONS asks of them here.
            let isOld = outcome.error == .concurrentTransactions && task.request.version < 12
            task.refuse(index, isOld ? .notEnoughReplicas : outcome.error)
        }
        return coordinators.isDrained
    }

    /// Offers what is left of the request to the log. A transaction's end cannot slip in between the coordinator's word and
    /// the append: both happen in this call, on the loop's thread.
    private func append(_ task: ProduceTask) {
        guard admit(task) else { return tryAgain(task) }
        let indices = task.parts.indices.filter { task.parts[$0].slice != nil && task.parts[$0].outcome == nil }
        guard !indices.isEmpty else { return appended(task) }
        let (outcomes, sequence) = log.produce(
            indices.map { Append(task.parts[$0].key, task.parts[$0].slice!, timestamps: task.parts[$0].timestamps) })
        task.sequence = max(task.sequence, sequence)
        var isThrottled = false
        for (index, outcome) in zip(indices, outcomes) {
            if case .refused(.throttled) = outcome {
                isThrottled = true
                continue
            }
            task.parts[index].outcome = outcome
            // What the log has it keeps; what it refused nobody needs.
            task.parts[index].slice = nil
        }
        if isThrottled { tryAgain(task) } else { appended(task) }
    }

    /// No room until the flusher has caught up: the client waits, and with it everything behind this request.
    private func tryAgain(_ task: ProduceTask) {
        metrics.throttledByLog.add()
        guard task.request.connection.isOpen else { return }
        if clock.monotonicNanos() > task.deadlineNanos {
            for index in task.parts.indices where task.parts[index].slice != nil { task.refuse(index, .requestTimedOut) }
            return appended(task)
        }
        task.request.connection.block(by: task.request)
        loop.schedule(afterNanos: 5_000_000) { [weak self] in self?.append(task) }
    }

    /// Everything has its outcome; the answer waits for the disk.
    private func appended(_ task: ProduceTask) {
        let connection = task.request.connection
        if connection.blockedBy === task.request { connection.unblock() }
        if task.body.acks == 0 {
            // The client is told of a failure by the end of its connection, and asks for metadata then.
            return task.hasErrors ? task.request.closeConnection() : task.request.answerNothing()
        }
        guard task.sequence > log.publishedSequence else { return finish(task) }
        produceTasks.append(task)
        log.whenDurable(task.sequence) { [self] in
            loop.post { [self] in finish(task) }
        }
    }

    /// Answers REQUEST_TIMED_OUT where the disk takes longer than the client waits. Called now and then.
    func expireProduceTasks(_ now: Int64) {
        produceTasks.removeAll { task in
            guard !task.request.isAnswered else { return true }
            guard now > task.deadlineNanos else { return false }
            for index in task.parts.indices where task.parts[index].errorCode == .noError { task.refuse(index, .requestTimedOut) }
            finish(task)
            return true
        }
    }

    private func finish(_ task: ProduceTask, everywhere code: ErrorCode) {
        for index in task.parts.indices { task.refuse(index, code) }
        appended(task)
    }

    private func finish(_ task: ProduceTask) {
        guard !task.request.isAnswered else { return }
        task.request.answer(task.response())
    }
}

/// A produce request under way. Loop thread only; `@unchecked Sendable` because closures carry it past the journal's
/// thread, which does not look at it.
final class ProduceTask: @unchecked Sendable {
    struct Part {
        var topic: String
        var partition: Int32
        var records: ByteSlice?
        var key = TopicPartition(topic: .zero, partition: -1)
        /// What is to be appended; nil once it is, or was refused.
        var slice: ByteSlice?
        var header: RecordBatchHeader?
        var timestamps: RecordBatch.TimestampChange = .none
        var recordBytes = 0
        var outcome: AppendOutcome?
        /// Refused before the log saw it.
        var refusal: (code: ErrorCode, text: String?, records: [Int])?

        var isTransactional: Bool { header?.isTransactional ?? false }

        var errorCode: ErrorCode {
            if let refusal { return refusal.code }
            if case .refused(let refusal) = outcome { return ErrorCode(refusal) }
            return .noError
        }
    }

    let request: KafkaRequest
    let body: ProduceRequest
    var parts: [Part] = []
    var sequence: UInt64 = 0
    let deadlineNanos: Int64

    init(_ request: KafkaRequest, _ body: ProduceRequest) {
        self.request = request
        self.body = body
        deadlineNanos = request.receivedNanos &+ Int64(max(body.timeoutMs, 0)) &* 1_000_000
        for topic in body.topicData {
            for partition in topic.partitionData {
                parts.append(Part(topic: topic.name, partition: partition.index, records: partition.records))
            }
        }
    }

    func refuse(_ index: Int, _ code: ErrorCode, _ text: String? = nil, records: [Int] = []) {
        parts[index].refusal = (code, text, records)
        parts[index].slice = nil
    }

    var hasErrors: Bool { parts.contains { $0.errorCode != .noError } }

    func response() -> ProduceResponse {
        var response = ProduceResponse()
        var index = 0
        for topic in body.topicData {
            var answered = ProduceResponse.TopicProduceResponse(name: topic.name)
            for _ in topic.partitionData {
                answered.partitionResponses.append(ProduceTask.response(parts[index]))
                index += 1
            }
            response.responses.append(answered)
        }
        return response
    }

    private static func response(_ part: Part) -> ProduceResponse.PartitionProduceResponse {
        var response = ProduceResponse.PartitionProduceResponse(index: part.partition, errorCode: part.errorCode.rawValue)
        response.baseOffset = -1
        if let refusal = part.refusal {
            response.errorMessage = refusal.text
            // The text is the partition's, and about the first.
            response.recordErrors = refusal.records.map {
                ProduceResponse.BatchIndexAndErrorMessage(batchIndex: Int32(clamping: $0), batchIndexErrorMessage: nil)
            }
            return response
        }
        switch part.outcome {
        case .appended(let baseOffset, let logAppendMillis, let logStartOffset):
            response.baseOffset = baseOffset
            response.logAppendTimeMs = logAppendMillis
            response.logStartOffset = logStartOffset
        case .duplicate(let baseOffset, let logStartOffset):
            response.baseOffset = baseOffset
            response.logStartOffset = logStartOffset
        case .refused(let refusal): response.errorMessage = "\(refusal)"
        case nil: response.errorCode = ErrorCode.unknownServerError.rawValue
        }
        return response
    }
}

extension BatchError {
    /// Which records of the batch are at fault, where it is a matter of single records.
    fileprivate var records: [Int] {
        switch self {
        case .invalid(_, let records), .invalidTimestamp(_, let records): records
        case .corrupt, .unsupportedMagic, .unsupportedCodec, .tooLarge: []
        }
    }
}

extension TopicConfiguration {
    /// The codec that batches are to be in; nil: whatever the producer chose.
    var fixedCompression: Compression? {
        compressionType == "producer" ? nil : Compression.allCases.first { $0.name == compressionType } ?? Compression.none
    }
}

/// Topics in which Martlet keeps what it needs to come back: clients read them, and neither write, change nor make them.
func isOwnTopic(_ name: String) -> Bool { name.hasPrefix("__martlet_") }

/// What a client is told that tries to.
func ownTopicText(_ name: String) -> String { "topic \"\(name)\" is Martlet's own; clients may only read it" }

/// Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, and neither "." nor "..".
func isTopicName(_ name: String) -> Bool {
    guard (1...249).contains(name.utf8.count), name != ".", name != ".." else { return false }
    return name.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
    }
}
