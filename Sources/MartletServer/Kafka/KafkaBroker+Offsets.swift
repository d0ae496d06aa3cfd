internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// Questions about where offsets are: ListOffsets, OffsetForLeaderEpoch, DeleteRecords.
extension KafkaBroker {
    /// The partition, or Kafka's error for it.
    func partition(_ name: String, _ number: Int32) -> Result<TopicPartition, KafkaRefusal> {
        guard let topic = log.topic(named: name), number >= 0, number < topic.partitions else {
            return .failure(KafkaRefusal(.unknownTopicOrPartition))
        }
        return .success(TopicPartition(topic: topic.id, partition: number))
    }

    func listOffsets(_ request: KafkaRequest) throws(KafkaError) {
        let body: ListOffsetsRequest = try request.body()
        let isolation: Isolation = body.isolationLevel == 1 ? .readCommitted : .readUncommitted
        var response = ListOffsetsResponse()
        var seen: Set<TopicPartition> = []
        var lookups: [OffsetLookup] = []
        for topic in body.topics {
            var answered = ListOffsetsResponse.ListOffsetsTopicResponse(name: topic.name)
            for asked in topic.partitions {
                var part = ListOffsetsResponse.ListOffsetsPartitionResponse(partitionIndex: asked.partitionIndex)
                switch partition(topic.name, asked.partitionIndex) {
                case .failure(let refusal): part.errorCode = refusal.code.rawValue
                case .success(let key):
                    if !seen.insert(key).inserted {
                        part.errorCode = ErrorCode.invalidRequest.rawValue
                    } else if asked.currentLeaderEpoch > 0 {
                        part.errorCode = ErrorCode.unknownLeaderEpoch.rawValue
                    } else if let question = OffsetQuestion(timestamp: asked.timestamp, version: request.version) {
                        lookups.append(
                            OffsetLookup(
                                topic: response.topics.count, partition: answered.partitions.count, key: key, question: question))
                    } else {
                        part.errorCode = ErrorCode.unsupportedVersion.rawValue
                    }
                }
                answered.partitions.append(part)
            }
            response.topics.append(answered)
        }
        answerOffsets(request, response, lookups, isolation)
    }

    /// Ends and beginnings are known at once; times may need the disk.
    private func answerOffsets(
        _ request: KafkaRequest, _ response: ListOffsetsResponse, _ lookups: [OffsetLookup], _ isolation: Isolation
    ) {
        let mayBlock = lookups.contains { lookup in
            switch lookup.question {
            case .earliest, .latest: false
            case .maxTimestamp, .atOrAfter: true
            }
        }
        let log = log
        let find: @Sendable () -> [Result<OffsetAnswer, LogError>] = {
            lookups.map { lookup in
                do throws(LogError) {
                    return .success(try log.offset(lookup.question, in: lookup.key, isolation: isolation))
                } catch {
                    return .failure(error)
                }
            }
        }
        guard mayBlock else { return answer(request, response, lookups, find()) }
        let loop = loop
        nonisolated(unsafe) let request = request
        pool.run { [weak self] in
            let found = find()
            loop.post { [weak self] in self?.answer(request, response, lookups, found) }
        }
    }

    private func answer(
        _ request: KafkaRequest, _ response: ListOffsetsResponse, _ lookups: [OffsetLookup], _ found: [Result<OffsetAnswer, LogError>]
    ) {
        var response = response
        for (lookup, result) in zip(lookups, found) {
            switch result {
            case .success(let answer):
                response.topics[lookup.topic].partitions[lookup.partition].offset = answer.offset
                response.topics[lookup.topic].partitions[lookup.partition].timestamp = answer.timestamp
                if request.version >= 4, answer.offset >= 0 {
                    response.topics[lookup.topic].partitions[lookup.partition].leaderEpoch = 0
                }
            case .failure(let error):
                response.topics[lookup.topic].partitions[lookup.partition].errorCode = ErrorCode(error).rawValue
            }
        }
        request.answer(response)
    }

    /// There has been one leader, epoch 0, from the beginning: its end is the partition's.
    func offsetForLeaderEpoch(_ request: KafkaRequest) throws(KafkaError) {
        let body: OffsetForLeaderEpochRequest = try request.body()
        var response = OffsetForLeaderEpochResponse()
        for topic in body.topics {
            var answered = OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(topic: topic.topic)
            for asked in topic.partitions {
                var part = OffsetForLeaderEpochResponse.EpochEndOffset(partition: asked.partition)
                switch partition(topic.topic, asked.partition) {
                case .failure(let refusal): part.errorCode = refusal.code.rawValue
                case .success(let key):
                    if asked.currentLeaderEpoch > 0 {
                        part.errorCode = ErrorCode.unknownLeaderEpoch.rawValue
                    } else if asked.leaderEpoch == 0, let status = log.status(key) {
                        part.leaderEpoch = 0
                        part.endOffset = status.highWatermark
                    }
                }
                answered.partitions.append(part)
            }
            response.topics.append(answered)
        }
        request.answer(response)
    }

    func deleteRecords(_ request: KafkaRequest) throws(KafkaError) {
        let body: DeleteRecordsRequest = try request.body()
        var response = DeleteRecordsResponse()
        var durable: UInt64 = 0
        for topic in body.topics {
            var answered = DeleteRecordsResponse.DeleteRecordsTopicResult(name: topic.name)
            for asked in topic.partitions {
                var part = DeleteRecordsResponse.DeleteRecordsPartitionResult(partitionIndex: asked.partitionIndex, lowWatermark: -1)
                switch partition(topic.name, asked.partitionIndex) {
                case .failure(let refusal): part.errorCode = refusal.code.rawValue
                case .success where isOwnTopic(topic.name): part.errorCode = ErrorCode.topicAuthorizationFailed.rawValue
                case .success(let key):
                    do throws(LogError) {
                        let result = try deleteRecords(key, topic.name, asked.offset)
                        part.lowWatermark = result.logStartOffset
                        durable = max(durable, result.sequence)
                    } catch {
                        part.errorCode = ErrorCode(error).rawValue
                    }
                }
                answered.partitions.append(part)
            }
            response.topics.append(answered)
        }
        answer(request, response, whenDurable: durable)
    }

    private func deleteRecords(
        _ key: TopicPartition, _ name: String, _ asked: Int64
    ) throws(LogError) -> (logStartOffset: Int64, sequence: UInt64) {
        guard let status = log.status(key) else { throw .unknownPartition }
        // −1: everything that can be read.
        let offset = asked == -1 ? status.highWatermark : asked
        guard offset >= 0, offset <= status.highWatermark else {
            throw .offsetOutOfRange(requested: asked, start: status.logStartOffset, end: status.highWatermark)
        }
        return try log.deleteRecords(key, before: offset)
    }
}

/// An answer other than success, with words where Kafka's protocol has room for them.
struct KafkaRefusal: Error, Sendable {
    var code: ErrorCode
    var text: String?

    init(_ code: ErrorCode, _ text: String? = nil) {
        self.code = code
        self.text = text
    }

    init(_ error: LogError) {
        code = ErrorCode(error)
        text = "\(error)"
    }
}

/// One partition of a ListOffsets request: where its answer goes, and what is to be found.
private struct OffsetLookup: Sendable {
    var topic: Int
    var partition: Int
    var key: TopicPartition
    var question: OffsetQuestion
}

extension OffsetQuestion {
    /// From ListOffsets' timestamp; nil for a special one that the version does not have.
    fileprivate init?(timestamp: Int64, version: Int16) {
        switch timestamp {
        case -1: self = .latest
        case -2: self = .earliest
        case -3 where version >= 7: self = .maxTimestamp
        case 0...: self = .atOrAfter(timestamp)
        default: return nil
        }
    }
}
