internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// The group APIs: the protocol's messages on one side, the coordinator's calls and answers on the other.
extension KafkaBroker {
    private func client(_ request: KafkaRequest) -> ClientFacts {
        ClientFacts(clientID: request.clientID, host: "/" + request.connection.stream.peerAddress.host)
    }

    func joinGroup(_ request: KafkaRequest) throws(KafkaError) {
        let body: JoinGroupRequest = try request.body()
        let call = JoinCall(
            version: request.version, client: client(request), groupID: body.groupId, memberID: body.memberId,
            instanceID: body.groupInstanceId, sessionTimeoutMillis: body.sessionTimeoutMs,
            rebalanceTimeoutMillis: body.rebalanceTimeoutMs, protocolType: body.protocolType,
            protocols: body.protocols.map { GroupProtocol(name: $0.name, metadata: $0.metadata) })
        coordinators.ask({ coordinators.groups.join(call, ticket: $0, now: $1) }) { answer in
            guard case .join(let join) = answer else { return }
            var response = JoinGroupResponse(errorCode: join.error.rawValue)
            response.generationId = join.generation
            response.protocolType = join.protocolType
            // Before version 7 there is no null.
            response.protocolName = join.protocolName ?? (request.version < 7 ? "" : nil)
            response.leader = join.leaderID
            response.memberId = join.memberID
            if request.version >= 9 { response.skipAssignment = join.skipsAssignment }
            response.members = join.members.map {
                JoinGroupResponse.JoinGroupResponseMember(
                    memberId: $0.memberID, groupInstanceId: $0.instanceID, metadata: $0.metadata)
            }
            request.answer(response)
        }
    }

    func syncGroup(_ request: KafkaRequest) throws(KafkaError) {
        let body: SyncGroupRequest = try request.body()
        let claim = MemberClaim(
            groupID: body.groupId, memberID: body.memberId, instanceID: body.groupInstanceId, generation: body.generationId)
        let call = SyncCall(
            claim: claim, protocolType: body.protocolType, protocolName: body.protocolName,
            assignments: body.assignments.map { (memberID: $0.memberId, assignment: $0.assignment) })
        coordinators.ask({ coordinators.groups.sync(call, ticket: $0, now: $1) }) { answer in
            guard case .sync(let sync) = answer else { return }
            request.answer(
                SyncGroupResponse(
                    errorCode: sync.error.rawValue, protocolType: sync.protocolType, protocolName: sync.protocolName,
                    assignment: sync.assignment))
        }
    }

    func heartbeat(_ request: KafkaRequest) throws(KafkaError) {
        let body: HeartbeatRequest = try request.body()
        let claim = MemberClaim(
            groupID: body.groupId, memberID: body.memberId, instanceID: body.groupInstanceId, generation: body.generationId)
        coordinators.ask({ coordinators.groups.heartbeat(claim, ticket: $0, now: $1) }) { answer in
            guard case .heartbeat(let error) = answer else { return }
            request.answer(HeartbeatResponse(errorCode: error.rawValue))
        }
    }

    func leaveGroup(_ request: KafkaRequest) throws(KafkaError) {
        let body: LeaveGroupRequest = try request.body()
        let members =
            request.version >= 3
            ? body.members.map { LeaveCall.Member(memberID: $0.memberId, instanceID: $0.groupInstanceId) }
            : [LeaveCall.Member(memberID: body.memberId)]
        let call = LeaveCall(groupID: body.groupId, members: members)
        coordinators.ask({ coordinators.groups.leave(call, ticket: $0, now: $1) }) { answer in
            guard case .leave(let leave) = answer else { return }
            guard request.version >= 3 else {
                let error = leave.error == .noError ? leave.members.first?.error ?? .noError : leave.error
                return request.answer(LeaveGroupResponse(errorCode: error.rawValue))
            }
            request.answer(
                LeaveGroupResponse(
                    errorCode: leave.error.rawValue,
                    members: leave.members.map {
                        LeaveGroupResponse.MemberResponse(
                            memberId: $0.memberID, groupInstanceId: $0.instanceID, errorCode: $0.error.rawValue)
                    }))
        }
    }

    func describeGroups(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeGroupsRequest = try request.body()
        let includesOperations = body.includeAuthorizedOperations
        let version = request.version
        coordinators.ask({ coordinators.groups.describeGroups(body.groups, version: version, ticket: $0, now: $1) }) { answer in
            guard case .describeGroups(let groups) = answer else { return }
            let described = groups.map { group in
                var answered = DescribeGroupsResponse.DescribedGroup(
                    errorCode: group.error.rawValue, groupId: group.groupID, groupState: group.state,
                    protocolType: group.protocolType, protocolData: group.protocolName)
                answered.members = group.members.map {
                    DescribeGroupsResponse.DescribedGroupMember(
                        memberId: $0.memberID, groupInstanceId: $0.instanceID, clientId: $0.client.clientID,
                        clientHost: $0.client.host, memberMetadata: $0.metadata, memberAssignment: $0.assignment)
                }
                if includesOperations { answered.authorizedOperations = KafkaBroker.groupOperations }
                return answered
            }
            request.answer(DescribeGroupsResponse(groups: described))
        }
    }

    func listGroups(_ request: KafkaRequest) throws(KafkaError) {
        let body: ListGroupsRequest = try request.body()
        coordinators.ask(
            { coordinators.groups.listGroups(states: body.statesFilter, types: body.typesFilter, ticket: $0, now: $1) }
        ) { answer in
            guard case .listGroups(let groups) = answer else { return }
            let version = request.version
            request.answer(
                ListGroupsResponse(
                    groups: groups.map {
                        ListGroupsResponse.ListedGroup(
                            groupId: $0.groupID, protocolType: $0.protocolType, groupState: version >= 4 ? $0.state : "",
                            groupType: version >= 5 ? $0.type : "")
                    }))
        }
    }

    func deleteGroups(_ request: KafkaRequest) throws(KafkaError) {
        let body: DeleteGroupsRequest = try request.body()
        coordinators.ask({ coordinators.groups.deleteGroups(body.groupsNames, ticket: $0, now: $1) }) { answer in
            guard case .deleteGroups(let outcomes) = answer else { return }
            request.answer(
                DeleteGroupsResponse(
                    results: outcomes.map {
                        DeleteGroupsResponse.DeletableGroupResult(groupId: $0.groupID, errorCode: $0.error.rawValue)
                    }))
        }
    }

    // MARK: KIP-848

    func consumerGroupHeartbeat(_ request: KafkaRequest) throws(KafkaError) {
        let body: ConsumerGroupHeartbeatRequest = try request.body()
        var call = ConsumerHeartbeatCall(
            version: request.version, client: client(request), groupID: body.groupId, memberID: body.memberId,
            memberEpoch: body.memberEpoch)
        call.instanceID = body.instanceId
        call.rackID = body.rackId
        call.rebalanceTimeoutMillis = body.rebalanceTimeoutMs
        call.subscribedTopics = body.subscribedTopicNames
        call.subscribedPattern = body.subscribedTopicRegex
        call.assignor = body.serverAssignor
        call.ownedPartitions = body.topicPartitions.map { topics in
            topics.flatMap { topic in topic.partitions.map { TopicPartition(topic: topic.topicId, partition: $0) } }
        }
        coordinators.ask({ coordinators.groups.consumerHeartbeat(call, ticket: $0, now: $1) }) { answer in
            guard case .consumerHeartbeat(let beat) = answer else { return }
            var response = ConsumerGroupHeartbeatResponse(errorCode: beat.error.rawValue, errorMessage: beat.message)
            response.memberId = beat.memberID
            response.memberEpoch = beat.memberEpoch
            response.heartbeatIntervalMs = beat.heartbeatIntervalMillis
            response.assignment = beat.assignment.map { partitions in
                ConsumerGroupHeartbeatResponse.Assignment(
                    topicPartitions: byTopic(partitions).map {
                        ConsumerGroupHeartbeatResponse.TopicPartitions(topicId: $0.topic, partitions: $0.partitions)
                    })
            }
            request.answer(response)
        }
    }

    func consumerGroupDescribe(_ request: KafkaRequest) throws(KafkaError) {
        let body: ConsumerGroupDescribeRequest = try request.body()
        coordinators.ask({ coordinators.groups.describeConsumerGroups(body.groupIds, ticket: $0, now: $1) }) { [weak self] answer in
            guard let self, case .describeConsumerGroups(let groups) = answer else { return }
            let described = groups.map { group in
                var answered = ConsumerGroupDescribeResponse.DescribedGroup(
                    errorCode: group.error.rawValue, errorMessage: group.message, groupId: group.groupID, groupState: group.state,
                    groupEpoch: group.groupEpoch, assignmentEpoch: group.assignmentEpoch, assignorName: group.assignor)
                answered.members = group.members.map { self.described($0, version: request.version) }
                if body.includeAuthorizedOperations { answered.authorizedOperations = KafkaBroker.groupOperations }
                return answered
            }
            request.answer(ConsumerGroupDescribeResponse(groups: described))
        }
    }

    private func described(_ member: DescribedConsumerGroup.Member, version: Int16) -> ConsumerGroupDescribeResponse.Member {
        var answered = ConsumerGroupDescribeResponse.Member(
            memberId: member.memberID, instanceId: member.instanceID, rackId: member.rackID, memberEpoch: member.memberEpoch,
            clientId: member.client.clientID, clientHost: member.client.host, subscribedTopicNames: member.subscribedTopics,
            subscribedTopicRegex: member.subscribedPattern)
        answered.assignment = assignment(member.assignment)
        answered.targetAssignment = assignment(member.targetAssignment)
        // 1: it speaks the consumer protocol.
        if version >= 1 { answered.memberType = 1 }
        return answered
    }

    private func assignment(_ partitions: [TopicPartition]) -> ConsumerGroupDescribeResponse.Assignment {
        ConsumerGroupDescribeResponse.Assignment(
            topicPartitions: byTopic(partitions).compactMap { part in
                guard let topic = log.topic(id: part.topic) else { return nil }
                return ConsumerGroupDescribeResponse.TopicPartitions(
                    topicId: part.topic, topicName: topic.name, partitions: part.partitions)
            })
    }
}

/// Partitions gathered by topic, in the order given.
func byTopic(_ partitions: [TopicPartition]) -> [(topic: TopicID, partitions: [Int32])] {
    var gathered: [(topic: TopicID, partitions: [Int32])] = []
    for partition in partitions {
        if gathered.last?.topic == partition.topic {
            gathered[gathered.count - 1].partitions.append(partition.partition)
        } else {
            gathered.append((partition.topic, [partition.partition]))
        }
    }
    return gathered
}
