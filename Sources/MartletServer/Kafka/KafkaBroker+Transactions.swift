internal import MartletKafka
internal import MartletLog

/// The transaction APIs: the protocol's messages on one side, the coordinator's calls and answers on the other.
extension KafkaBroker {
    func initProducerId(_ request: KafkaRequest) throws(KafkaError) {
        let body: InitProducerIdRequest = try request.body()
        let call = InitProducerCall(
            version: request.version, transactionalID: body.transactionalId, timeoutMillis: body.transactionTimeoutMs,
            producerID: body.producerId, producerEpoch: body.producerEpoch)
        coordinators.ask({ coordinators.transactions.initProducer(call, ticket: $0, now: $1) }) { answer in
            guard case .initProducer(let producer) = answer else { return }
            request.answer(
                InitProducerIdResponse(
                    errorCode: producer.error.rawValue, producerId: producer.producerID, producerEpoch: producer.producerEpoch))
        }
    }

    func addPartitionsToTxn(_ request: KafkaRequest) throws(KafkaError) {
        let body: AddPartitionsToTxnRequest = try request.body()
        var partitions: [TopicPartition] = []
        var outcomes: [ErrorCode] = []
        for topic in body.v3AndBelowTopics {
            for number in topic.partitions {
                switch partition(topic.name, number) {
                case .success(let key):
                    partitions.append(key)
                    outcomes.append(.noError)
                case .failure(let refusal): outcomes.append(refusal.code)
                }
            }
        }
        let topics = body.v3AndBelowTopics
        guard partitions.count == outcomes.count else {
            // All or nothing.
            let told = outcomes.map { $0 == .noError ? ErrorCode.operationNotAttempted : $0 }
            return request.answer(KafkaBroker.response(topics, told))
        }
        let claim = ProducerClaim(
            transactionalID: body.v3AndBelowTransactionalId, producerID: body.v3AndBelowProducerId, epoch: body.v3AndBelowProducerEpoch)
        let version = request.version
        coordinators.ask({
            coordinators.transactions.addPartitions(claim, partitions, version: version, ticket: $0, now: $1)
        }) { answer in
            guard case .addPartitions(let outcomes) = answer else { return }
            request.answer(KafkaBroker.response(topics, outcomes.map(\.error)))
        }
    }

    private static func response(
        _ topics: [AddPartitionsToTxnRequest.AddPartitionsToTxnTopic], _ outcomes: [ErrorCode]
    ) -> AddPartitionsToTxnResponse {
        var rest = outcomes[...]
        return AddPartitionsToTxnResponse(
            resultsByTopicV3AndBelow: topics.map { topic in
                AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult(
                    name: topic.name,
                    resultsByPartition: topic.partitions.map { number in
                        AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult(
                            partitionIndex: number, partitionErrorCode: (rest.popFirst() ?? .unknownServerError).rawValue)
                    })
            })
    }

    func addOffsetsToTxn(_ request: KafkaRequest) throws(KafkaError) {
        let body: AddOffsetsToTxnRequest = try request.body()
        let claim = ProducerClaim(transactionalID: body.transactionalId, producerID: body.producerId, epoch: body.producerEpoch)
        let version = request.version
        coordinators.ask({
            coordinators.transactions.addOffsets(claim, groupID: body.groupId, version: version, ticket: $0, now: $1)
        }) { answer in
            guard case .addOffsets(let error) = answer else { return }
            request.answer(AddOffsetsToTxnResponse(errorCode: error.rawValue))
        }
    }

    func txnOffsetCommit(_ request: KafkaRequest) throws(KafkaError) {
        let body: TxnOffsetCommitRequest = try request.body()
        let claim = MemberClaim(
            groupID: body.groupId, memberID: body.memberId, instanceID: body.groupInstanceId, generation: body.generationId)
        let partitions = body.topics.flatMap { topic in
            topic.partitions.map {
                OffsetCommitCall.Partition(
                    NamedPartition(topic.name, $0.partitionIndex), offset: $0.committedOffset, leaderEpoch: $0.committedLeaderEpoch,
                    metadata: $0.committedMetadata ?? "")
            }
        }
        let call = TxnOffsetCommitCall(
            version: request.version, transactionalID: body.transactionalId, producerID: body.producerId,
            producerEpoch: body.producerEpoch, claim: claim, partitions: partitions)
        coordinators.ask({ coordinators.transactions.commitOffsets(call, ticket: $0, now: $1) }) { answer in
            guard case .commitOffsets(let outcomes) = answer else { return }
            var rest = outcomes.partitions[...]
            request.answer(
                TxnOffsetCommitResponse(
                    topics: body.topics.map { topic in
                        TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
                            name: topic.name,
                            partitions: topic.partitions.map { asked in
                                TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(
                                    partitionIndex: asked.partitionIndex,
                                    errorCode: (rest.popFirst()?.error ?? outcomes.error).rawValue)
                            })
                    }))
        }
    }

    func endTxn(_ request: KafkaRequest) throws(KafkaError) {
        let body: EndTxnRequest = try request.body()
        let claim = ProducerClaim(transactionalID: body.transactionalId, producerID: body.producerId, epoch: body.producerEpoch)
        let version = request.version
        coordinators.ask({
            coordinators.transactions.endTransaction(claim, commits: body.committed, version: version, ticket: $0, now: $1)
        }) { answer in
            guard case .endTransaction(let end) = answer else { return }
            var response = EndTxnResponse(errorCode: end.error.rawValue)
            if version >= 5 {
                response.producerId = end.producerID
                response.producerEpoch = end.producerEpoch
            }
            request.answer(response)
        }
    }

    func describeTransactions(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeTransactionsRequest = try request.body()
        coordinators.ask({
            coordinators.transactions.describeTransactions(body.transactionalIds, ticket: $0, now: $1)
        }) { [weak self] answer in
            guard let self, case .describeTransactions(let transactions) = answer else { return }
            let states = transactions.map { transaction in
                var state = DescribeTransactionsResponse.TransactionState(
                    errorCode: transaction.error.rawValue, transactionalId: transaction.transactionalID,
                    transactionState: transaction.state, transactionTimeoutMs: transaction.timeoutMillis,
                    transactionStartTimeMs: transaction.startMillis, producerId: transaction.producerID,
                    producerEpoch: transaction.producerEpoch)
                state.topics = byTopic(transaction.partitions).compactMap { part in
                    guard let topic = self.log.topic(id: part.topic) else { return nil }
                    return DescribeTransactionsResponse.TopicData(topic: topic.name, partitions: part.partitions)
                }
                return state
            }
            request.answer(DescribeTransactionsResponse(transactionStates: states))
        }
    }

    func listTransactions(_ request: KafkaRequest) throws(KafkaError) {
        let body: ListTransactionsRequest = try request.body()
        let call = ListTransactionsCall(
            states: body.stateFilters, producerIDs: body.producerIdFilters, durationMillis: body.durationFilter)
        coordinators.ask({ coordinators.transactions.listTransactions(call, ticket: $0, now: $1) }) { answer in
            guard case .listTransactions(let list) = answer else { return }
            request.answer(
                ListTransactionsResponse(
                    unknownStateFilters: list.unknownStates,
                    transactionStates: list.transactions.map {
                        ListTransactionsResponse.TransactionState(
                            transactionalId: $0.transactionalID, producerId: $0.producerID, transactionState: $0.state)
                    }))
        }
    }
}
