internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Fetch: long polls over many partitions. The tail is read from memory on the loop's thread; what is older comes from the
/// disk on the blocking pool, so that a reader of history holds up nobody.
extension KafkaBroker {
    func fetch(_ request: KafkaRequest) throws(KafkaError) {
        let body: FetchRequest = try request.body()
        // Sessions are not kept: a client that asks for one (epoch 0) is told 0 and sends its whole list again, as does one
        // that gives its session up (epoch −1); see KIP-227.
        guard body.sessionEpoch <= 0 else {
            return request.answer(FetchResponse(errorCode: ErrorCode.fetchSessionIdNotFound.rawValue))
        }
        let task = FetchTask(request, body, bytesMax: configuration.int(.fetchMaxBytes), startNanos: request.receivedNanos)
        request.connection.fetchTurn &+= 1
        for index in task.parts.indices {
            let part = task.parts[index]
            guard let topic = log.topic(named: part.topic), part.partition >= 0, part.partition < topic.partitions else {
                task.parts[index].error = .unknownTopicOrPartition
                continue
            }
            task.parts[index].key = TopicPartition(topic: topic.id, partition: part.partition)
            if part.leaderEpoch > 0 { task.parts[index].error = .unknownLeaderEpoch }
        }
        read(task, all: true)
    }

    /// Reads the partitions that may have something, first from memory, then, if need be, from the disk.
    private func read(_ task: FetchTask, all: Bool) {
        let count = task.parts.count
        // Where the last answer had no room for the rest, this one begins further on.
        let first = count > 0 ? Int(task.request.connection.fetchTurn % UInt64(count)) : 0
        var needsDisk: [Int] = []
        for step in 0..<count {
            let index = (first + step) % count
            guard task.parts[index].error == nil, all || task.parts[index].isChanged else { continue }
            guard task.bytes < task.bytesMax || task.parts[index].data == nil else { continue }
            if !readTail(task, index) { needsDisk.append(index) }
        }
        guard !needsDisk.isEmpty else { return decide(task) }
        readDisk(task, needsDisk)
    }

    /// False if memory does not have it.
    private func readTail(_ task: FetchTask, _ index: Int) -> Bool {
        let part = task.parts[index]
        task.bytes -= part.data?.bytes ?? 0
        task.parts[index].isChanged = false
        task.parts[index].data = nil
        do throws(LogError) {
            switch try log.readTail(part.key, from: part.offset, maxBytes: task.room(index), isolation: task.isolation) {
            case .found(let data): task.take(index, data)
            case .atEnd(let data): task.take(index, data)
            case .needsDisk: return false
            }
        } catch {
            fail(task, index, error)
        }
        return true
    }

    private func fail(_ task: FetchTask, _ index: Int, _ error: LogError) {
        task.parts[index].error = ErrorCode(error)
        task.parts[index].data = nil
        switch error {
        case .corrupt, .io, .fatal, .unsupported:
            metrics.readFailures.add()
            logger.error("a partition cannot be read", ["partition": .string("\(task.parts[index].key)"), "error": .string("\(error)")])
        case .outOfSpace, .closed, .throttled, .unknownTopic, .unknownPartition, .offsetOutOfRange, .topicExists, .invalidTopicName,
            .invalidPartitionCount, .invalidConfiguration, .refused:
            break
        }
    }

    /// One job for all partitions of the request that need the disk, within what room there is.
    private func readDisk(_ task: FetchTask, _ indices: [Int]) {
        guard outputHasRoom else {
            // Answers that nobody takes hold enough memory: wait for some of it to leave.
            return readDisk(task, indices, afterNanos: 20_000_000)
        }
        let pause = task.request.connection.historyNotBeforeNanos &- clock.monotonicNanos()
        guard pause <= 0 else { return readDisk(task, indices, afterNanos: pause) }
        let log = log
        let loop = loop
        let reads = indices.map { (index: $0, key: task.parts[$0].key, offset: task.parts[$0].offset, most: task.parts[$0].maxBytes) }
        let isolation = task.isolation
        let room = task.bytesMax - task.bytes
        let isFirst = task.bytes == 0
        metrics.diskReads.add(reads.count)
        task.usedDisk = true
        let claimed = min(room, reads.reduce(0) { $0 + $1.most })
        diskReadBytes += claimed
        let isTaken = pool.run { [weak self] in
            var results: [(Int, Result<FetchedData, LogError>)] = []
            var left = room
            var isFirst = isFirst
            for read in reads where left > 0 || isFirst {
                do throws(LogError) {
                    let data = try log.readFromDisk(
                        read.key, from: read.offset, maxBytes: max(min(left, read.most), isFirst ? 1 : 0), isolation: isolation)
                    left -= data.bytes
                    if data.bytes > 0 { isFirst = false }
                    results.append((read.index, .success(data)))
                } catch {
                    results.append((read.index, .failure(error)))
                }
            }
            let done = results
            let bytes = room - left
            loop.post { [weak self] in
                guard let self else { return }
                diskReadBytes -= claimed
                let now = clock.monotonicNanos()
                task.request.connection.historyNotBeforeNanos = now &+ historyPace.pauseNanos(after: bytes, now: now)
                for (index, result) in done {
                    switch result {
                    case .success(let data): task.take(index, data)
                    case .failure(let error): fail(task, index, error)
                    }
                }
                decide(task)
            }
        }
        if !isTaken {
            diskReadBytes -= claimed
            finish(task)
        }
    }

    private func readDisk(_ task: FetchTask, _ indices: [Int], afterNanos nanos: Int64) {
        loop.schedule(afterNanos: nanos) { [weak self] in
            guard let self, task.request.connection.isOpen else { return }
            if task.isExpired(clock.monotonicNanos()) { finish(task) } else { readDisk(task, indices) }
        }
    }

    /// Answers, or waits for more.
    private func decide(_ task: FetchTask) {
        guard task.request.connection.isOpen else { return }
        let now = clock.monotonicNanos()
        if task.isSatisfied || task.isExpired(now) || isStopping { return finish(task) }
        guard !task.isWaiting else { return }
        task.isWaiting = true
        for (index, part) in task.parts.enumerated() where part.error == nil {
            fetchWaits[part.key, default: []].append(FetchWait(task: task, index: index))
        }
        task.request.connection.waitingFetch = task
        task.timer = loop.schedule(afterNanos: task.deadlineNanos &- now) { [weak self] in self?.finish(task) }
        guard task.usedDisk else { return }
        // What became visible while the disk was read has told nobody. (What becomes visible from here on is posted.)
        for (index, part) in task.parts.enumerated() where part.error == nil {
            if let status = log.status(part.key), status.end(task.isolation) > (part.data?.nextOffset ?? part.offset) {
                task.parts[index].isChanged = true
            }
        }
        if task.parts.contains(where: { $0.isChanged }) { read(task, all: false) }
    }

    /// The journal's thread says what moved; here the polls that wait for it look again.
    func published(_ partitions: [TopicPartition]) {
        var woken: [FetchTask] = []
        for partition in partitions {
            for wait in fetchWaits[partition] ?? [] where !wait.task.request.isAnswered {
                if !wait.task.parts.contains(where: { $0.isChanged }) { woken.append(wait.task) }
                wait.task.parts[wait.index].isChanged = true
            }
        }
        for task in woken where !task.request.isAnswered { read(task, all: false) }
    }

    private func finish(_ task: FetchTask) {
        guard !task.request.isAnswered else { return }
        stopWaiting(task)
        let throttle = quotas.record(.fetch, client: task.request.clientID, amount: Double(task.bytes), now: clock.monotonicNanos())
        task.request.throttleMillis = max(task.request.throttleMillis, throttle)
        metrics.bytesOut.add(task.bytes)
        for index in task.parts.indices where task.parts[index].data == nil && task.parts[index].error == nil {
            // There was no room to read it; its watermarks are told all the same.
            task.parts[index].status = log.status(task.parts[index].key)
        }
        task.request.answer(task.response())
    }

    /// Answers a waiting poll with what there is.
    func finishEarly(_ task: FetchTask) { finish(task) }

    /// Forgets a poll: it is answered, or its client is gone.
    func stopWaiting(_ task: FetchTask) {
        task.timer?.cancel()
        task.timer = nil
        guard task.isWaiting else { return }
        task.isWaiting = false
        task.request.connection.waitingFetch = nil
        for part in task.parts where part.error == nil || part.key.partition >= 0 {
            fetchWaits[part.key]?.removeAll { $0.task === task }
            if fetchWaits[part.key]?.isEmpty == true { fetchWaits[part.key] = nil }
        }
    }
}

/// A poll that is to be woken when its partition moves.
struct FetchWait {
    let task: FetchTask
    let index: Int
}

/// A fetch request under way. Loop thread only; `@unchecked Sendable` because closures carry it past the pool's threads,
/// which do not look at it.
final class FetchTask: @unchecked Sendable {
    struct Part {
        var topic: String
        var partition: Int32
        var key = TopicPartition(topic: .zero, partition: -1)
        var offset: Int64
        var maxBytes: Int
        var leaderEpoch: Int32
        var error: ErrorCode?
        var data: FetchedData?
        /// How the partition stands, where there was no room to read it.
        var status: PartitionStatus?
        /// It moved since it was read.
        var isChanged = false
    }

    let request: KafkaRequest
    let body: FetchRequest
    var parts: [Part] = []
    /// All data read so far.
    var bytes = 0
    let bytesMax: Int
    let bytesMin: Int
    let isolation: Isolation
    let deadlineNanos: Int64
    var isWaiting = false
    var usedDisk = false
    var timer: LoopTimer?

    init(_ request: KafkaRequest, _ body: FetchRequest, bytesMax: Int, startNanos: Int64) {
        self.request = request
        self.body = body
        self.bytesMax = max(0, min(Int(body.maxBytes), bytesMax))
        bytesMin = min(Int(body.minBytes), self.bytesMax)
        isolation = body.isolationLevel == 1 ? .readCommitted : .readUncommitted
        deadlineNanos = startNanos &+ Int64(max(body.maxWaitMs, 0)) &* 1_000_000
        for topic in body.topics {
            for partition in topic.partitions {
                parts.append(
                    Part(
                        topic: topic.topic, partition: partition.partition, offset: partition.fetchOffset,
                        maxBytes: max(0, Int(partition.partitionMaxBytes)), leaderEpoch: partition.currentLeaderEpoch))
            }
        }
    }

    /// How much may be read of a partition. The first batch of the whole answer comes even if it is larger.
    func room(_ index: Int) -> Int { max(0, min(parts[index].maxBytes, bytesMax - bytes)) }

    func take(_ index: Int, _ data: FetchedData) {
        var data = data
        // The log gives a first batch whatever its size; only one such batch may stretch an answer.
        if bytes > 0, data.bytes > bytesMax - bytes || data.bytes > parts[index].maxBytes && data.slices.count <= 1 {
            data.slices = []
            data.abortedTransactions = []
            data.nextOffset = parts[index].offset
            isCut = true
        }
        parts[index].data = data
        bytes += data.bytes
    }

    /// Something was readable and had no room.
    private(set) var isCut = false

    var isSatisfied: Bool {
        bytes >= bytesMin || isCut || parts.isEmpty || parts.contains { $0.error != nil }
    }

    func isExpired(_ now: Int64) -> Bool { now >= deadlineNanos }

    func response() -> FetchResponse {
        var response = FetchResponse()
        var index = 0
        for topic in body.topics {
            var answered = FetchResponse.FetchableTopicResponse(topic: topic.topic)
            answered.partitions.reserveCapacity(topic.partitions.count)
            for _ in topic.partitions {
                answered.partitions.append(partitionResponse(parts[index]))
                index += 1
            }
            response.responses.append(answered)
        }
        return response
    }

    private func partitionResponse(_ part: Part) -> FetchResponse.PartitionData {
        var answer = FetchResponse.PartitionData(partitionIndex: part.partition)
        answer.records = []
        answer.abortedTransactions = nil
        if let status = part.status {
            answer.highWatermark = status.highWatermark
            answer.lastStableOffset = status.lastStableOffset
            answer.logStartOffset = status.logStartOffset
            if isolation == .readCommitted { answer.abortedTransactions = [] }
            return answer
        }
        guard part.error == nil, let data = part.data else {
            answer.errorCode = (part.error ?? .noError).rawValue
            answer.highWatermark = -1
            return answer
        }
        answer.highWatermark = data.highWatermark
        answer.lastStableOffset = data.lastStableOffset
        answer.logStartOffset = data.logStartOffset
        answer.records = data.slices
        if isolation == .readCommitted {
            answer.abortedTransactions = data.abortedTransactions.map {
                FetchResponse.AbortedTransaction(producerId: $0.producerID, firstOffset: $0.firstOffset)
            }
        }
        return answer
    }
}

extension PartitionStatus {
    /// Where a reader's view ends.
    func end(_ isolation: Isolation) -> Int64 { isolation == .readCommitted ? lastStableOffset : highWatermark }
}
