internal import MartletKafka
internal import MartletLog

/// Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete.
extension KafkaBroker {
    func offsetCommit(_ request: KafkaRequest) throws(KafkaError) {
        let body: OffsetCommitRequest = try request.body()
        let claim = MemberClaim(
            groupID: body.groupId, memberID: body.memberId, instanceID: body.groupInstanceId,
            generation: body.generationIdOrMemberEpoch)
        let partitions = body.topics.flatMap { topic in
            topic.partitions.map {
                OffsetCommitCall.Partition(
                    NamedPartition(topic.name, $0.partitionIndex), offset: $0.committedOffset, leaderEpoch: $0.committedLeaderEpoch,
                    metadata: $0.committedMetadata ?? "")
            }
        }
        let call = OffsetCommitCall(
            version: request.version, claim: claim, retentionMillis: body.retentionTimeMs, partitions: partitions)
        coordinators.ask({ coordinators.groups.commitOffsets(call, ticket: $0, now: $1) }) { answer in
            guard case .commitOffsets(let outcomes) = answer else { return }
            var rest = outcomes.partitions[...]
            request.answer(
                OffsetCommitResponse(
                    topics: body.topics.map { topic in
                        OffsetCommitResponse.OffsetCommitResponseTopic(
                            name: topic.name,
                            partitions: topic.partitions.map { asked in
                                OffsetCommitResponse.OffsetCommitResponsePartition(
                                    partitionIndex: asked.partitionIndex,
                                    errorCode: (rest.popFirst()?.error ?? outcomes.error).rawValue)
                            })
                    }))
        }
    }

    func offsetFetch(_ request: KafkaRequest) throws(KafkaError) {
        let body: OffsetFetchRequest = try request.body()
        let groups: [OffsetFetchCall.Group]
        if request.version >= 8 {
            groups = body.groups.map { group in
                OffsetFetchCall.Group(
                    groupID: group.groupId, memberID: group.memberId, memberEpoch: group.memberEpoch,
                    partitions: group.topics.map { $0.flatMap { topic in topic.partitionIndexes.map { NamedPartition(topic.name, $0) } } })
            }
        } else {
            // Version 1 has no null for "all".
            let partitions = body.topics.map { $0.flatMap { topic in topic.partitionIndexes.map { NamedPartition(topic.name, $0) } } }
            groups = [OffsetFetchCall.Group(groupID: body.groupId, partitions: partitions)]
        }
        let call = OffsetFetchCall(groups: groups, requiresStable: body.requireStable)
        coordinators.ask({ coordinators.groups.fetchOffsets(call, ticket: $0, now: $1) }) { answer in
            guard case .fetchOffsets(let fetched) = answer else { return }
            request.version >= 8
                ? request.answer(KafkaBroker.response(fetched, body.groups))
                : request.answer(KafkaBroker.response(fetched.first, body, request.version))
        }
    }

    private static func response(
        _ fetched: [FetchedGroupOffsets], _ asked: [OffsetFetchRequest.OffsetFetchRequestGroup]
    ) -> OffsetFetchResponse {
        OffsetFetchResponse(
            groups: fetched.map { group in
                var answered = OffsetFetchResponse.OffsetFetchResponseGroup(groupId: group.groupID)
                answered.errorCode = group.error.rawValue
                answered.topics = byName(group.partitions).map { topic in
                    OffsetFetchResponse.OffsetFetchResponseTopics(
                        name: topic.name,
                        partitions: topic.partitions.map {
                            OffsetFetchResponse.OffsetFetchResponsePartitions(
                                partitionIndex: $0.partition.partition, committedOffset: $0.offset,
                                committedLeaderEpoch: $0.leaderEpoch, metadata: $0.metadata, errorCode: $0.error.rawValue)
                        })
                }
                return answered
            })
    }

    private static func response(
        _ fetched: FetchedGroupOffsets?, _ body: OffsetFetchRequest, _ version: Int16
    ) -> OffsetFetchResponse {
        let error = fetched?.error ?? .noError
        var response = OffsetFetchResponse()
        if version >= 2 {
            response.errorCode = error.rawValue
        } else if error != .noError {
            // Before version 2 an error has its place at each partition only.
            response.topics = (body.topics ?? []).map { topic in
                OffsetFetchResponse.OffsetFetchResponseTopic(
                    name: topic.name,
                    partitions: topic.partitionIndexes.map {
                        var part = OffsetFetchResponse.OffsetFetchResponsePartition(partitionIndex: $0)
                        part.committedOffset = -1
                        part.errorCode = error.rawValue
                        return part
                    })
            }
            return response
        }
        response.topics = byName(fetched?.partitions ?? []).map { topic in
            OffsetFetchResponse.OffsetFetchResponseTopic(
                name: topic.name,
                partitions: topic.partitions.map {
                    var part = OffsetFetchResponse.OffsetFetchResponsePartition(partitionIndex: $0.partition.partition)
                    part.committedOffset = $0.offset
                    part.committedLeaderEpoch = $0.leaderEpoch
                    part.metadata = $0.metadata
                    part.errorCode = $0.error.rawValue
                    return part
                })
        }
        return response
    }

    private static func byName(
        _ partitions: [FetchedGroupOffsets.Partition]
    ) -> [(name: String, partitions: [FetchedGroupOffsets.Partition])] {
        var gathered: [(name: String, partitions: [FetchedGroupOffsets.Partition])] = []
        for partition in partitions {
            if gathered.last?.name == partition.partition.topic {
                gathered[gathered.count - 1].partitions.append(partition)
            } else {
                gathered.append((partition.partition.topic, [partition]))
            }
        }
        return gathered
    }

    func offsetDelete(_ request: KafkaRequest) throws(KafkaError) {
        let body: OffsetDeleteRequest = try request.body()
        let partitions = body.topics.flatMap { topic in topic.partitions.map { NamedPartition(topic.name, $0.partitionIndex) } }
        coordinators.ask({
            coordinators.groups.deleteOffsets(groupID: body.groupId, partitions, ticket: $0, now: $1)
        }) { answer in
            guard case .deleteOffsets(let outcomes) = answer else { return }
            guard outcomes.error == .noError else {
                return request.answer(OffsetDeleteResponse(errorCode: outcomes.error.rawValue))
            }
            var rest = outcomes.partitions[...]
            request.answer(
                OffsetDeleteResponse(
                    topics: body.topics.map { topic in
                        OffsetDeleteResponse.OffsetDeleteResponseTopic(
                            name: topic.name,
                            partitions: topic.partitions.map { asked in
                                OffsetDeleteResponse.OffsetDeleteResponsePartition(
                                    partitionIndex: asked.partitionIndex, errorCode: (rest.popFirst()?.error ?? .noError).rawValue)
                            })
                    }))
        }
    }
}
