internal import MartletCore
internal import MartletLog

/// ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848).
extension GroupCoordinator {
    package func consumerHeartbeat(_ call: ConsumerHeartbeatCall, ticket: Ticket, now: CoordinatorTime) {
        var refusal = ConsumerHeartbeatAnswer()
        do throws(HeartbeatRefusal) {
            let pattern = try checked(call)
            let answer = call.memberEpoch < 0 ? try leave(call, now) : try beat(call, pattern, now)
            outbox.answer(ticket, .consumerHeartbeat(answer))
        } catch {
            refusal.error = error.error
            refusal.message = error.message
            outbox.answer(ticket, .consumerHeartbeat(refusal))
        }
        if let group = groups[call.groupID] { arm(group) }
    }

    private struct HeartbeatRefusal: Error {
        var error: ErrorCode
        var message: String
        init(_ error: ErrorCode, _ message: String) {
            self.error = error
            self.message = message
        }
    }

    /// What can be judged from the request alone. Returns the compiled pattern, if there is one.
    private func checked(_ call: ConsumerHeartbeatCall) throws(HeartbeatRefusal) -> TopicPattern? {
        func require(_ holds: Bool, _ message: String) throws(HeartbeatRefusal) {
            if !holds { throw HeartbeatRefusal(.invalidRequest, message) }
        }
        try require(!call.groupID.isEmpty, "the group's name is empty")
        try require(!call.memberID.isEmpty || call.version == 0 && call.memberEpoch == 0, "the member's name is empty")
        try require(call.memberEpoch >= ConsumerGroup.leftForNow, "there is no member epoch \(call.memberEpoch)")
        try require(call.instanceID != "", "the instance's name is empty")
        try require(call.rackID != "", "the rack's name is empty")
        if call.memberEpoch == ConsumerGroup.leftForNow {
            try require(call.instanceID != nil, "only a static member leaves with epoch -2, and its instance is not given")
        }
        if call.memberEpoch == 0 {
            try require(call.rebalanceTimeoutMillis >= 0, "a member that joins gives its rebalance timeout")
            try require(call.ownedPartitions?.isEmpty ?? true, "a member that joins owns no partitions")
            let isSubscribed = call.subscribedTopics != nil || !(call.subscribedPattern ?? "").isEmpty
            try require(isSubscribed, "a member that joins gives its subscription")
        }
        if let assignor = call.assignor, Assignor(rawValue: assignor) == nil {
            throw HeartbeatRefusal(.unsupportedAssignor, "assignor \(assignor) is not one of uniform, range")
        }
        guard let text = call.subscribedPattern, !text.isEmpty else { return nil }
        do throws(TopicPatternError) {
            return try TopicPattern(text, bytesMax: options.patternBytesMax)
        } catch {
            throw HeartbeatRefusal(.invalidRegularExpression, "\(error)")
        }
    }

    // MARK: joining and staying

    private func beat(
        _ call: ConsumerHeartbeatCall, _ pattern: TopicPattern?, _ now: CoordinatorTime
    ) throws(HeartbeatRefusal) -> ConsumerHeartbeatAnswer {
        let (group, consumer) = try consumerGroup(call, now)
        let count = consumer.members.count
        let member = try member(call, consumer, now)
        let formerAssigned = member.assigned
        member.client = call.client
        member.sessionDeadline = now.monotonicMillis + options.consumerSessionTimeoutMillis
        let isNew = consumer.members.count > count
        if take(call, pattern, into: member) || isNew {
            consumer.changedMembers.insert(member.id)
            consumer.bump()
        }
        assignIfNeeded(consumer)
        // A join says nothing of partitions: it may have been under way for long, and the member has since got some. What
        // was to be given up is free when the member says so in a heartbeat of its epoch.
        consumer.reconcile(member, owned: call.memberEpoch == 0 ? nil : call.ownedPartitions)
        timeRevocation(member, now)
        commitChanges(of: group, consumer)
        var answer = ConsumerHeartbeatAnswer(memberID: member.id, memberEpoch: member.epoch)
        answer.heartbeatIntervalMillis = options.consumerHeartbeatIntervalMillis
        // A member that tells everything about itself has not heard the last answer.
        let tellsAll = call.ownedPartitions != nil && (call.subscribedTopics != nil || call.subscribedPattern != nil)
        if call.memberEpoch == 0 || tellsAll || member.assigned != formerAssigned { answer.assignment = member.assigned.sorted() }
        return answer
    }

    private func consumerGroup(
        _ call: ConsumerHeartbeatCall, _ now: CoordinatorTime
    ) throws(HeartbeatRefusal) -> (Group, ConsumerGroup) {
        if groups[call.groupID] == nil {
            guard call.memberEpoch == 0 else { throw HeartbeatRefusal(.unknownMemberId, "there is no group \(call.groupID)") }
            _ = groupCreatedIfMissing(call.groupID, now)
        }
        guard let group = groups[call.groupID] else { throw HeartbeatRefusal(.groupIdNotFound, "there is no group \(call.groupID)") }
        switch group.kind {
        case .consumer(let consumer): return (group, consumer)
        case .classic(let classic):
            guard classic.members.isEmpty, classic.pendingIDs.isEmpty else {
                let message = "group \(call.groupID) has members that use JoinGroup; it can change when they are gone"
                throw HeartbeatRefusal(.groupIdNotFound, message)
            }
            guard call.memberEpoch == 0 else { throw HeartbeatRefusal(.unknownMemberId, "the member is not in \(call.groupID)") }
            let consumer = ConsumerGroup()
            // Epochs continue the generations, so that nothing old is mistaken for new.
            consumer.epoch = classic.generation
            consumer.assignmentEpoch = classic.generation
            consumer.emptySinceMillis = classic.sinceMillis
            consumer.isChanged = true
            group.kind = .consumer(consumer)
            return (group, consumer)
        }
    }

    func becomeClassic(_ group: Group, _ consumer: ConsumerGroup, _ now: CoordinatorTime) {
        let classic = ClassicGroup()
        classic.generation = consumer.epoch
        classic.sinceMillis = now.wallMillis
        group.kind = .classic(classic)
    }

    /// Who beats: a member as it is known, or a new one.
    private func member(
        _ call: ConsumerHeartbeatCall, _ consumer: ConsumerGroup, _ now: CoordinatorTime
    ) throws(HeartbeatRefusal) -> ConsumerMember {
        var known = consumer.members[call.memberID]
        if let instance = call.instanceID {
            let holder = consumer.instances[instance].flatMap { consumer.members[$0] }
            if call.memberEpoch == 0, let holder, holder.id != call.memberID {
                guard holder.epoch == ConsumerGroup.leftForNow else {
                    throw HeartbeatRefusal(.unreleasedInstanceId, "instance \(instance) is still in use by member \(holder.id)")
                }
                return succeed(holder, call, consumer)
            }
            if call.memberEpoch > 0 {
                guard let holder else { throw HeartbeatRefusal(.unknownMemberId, "instance \(instance) is not in the group") }
                guard holder.id == call.memberID else {
                    throw HeartbeatRefusal(.fencedInstanceId, "instance \(instance) is now member \(holder.id)")
                }
            }
            known = holder ?? known
        }
        if let known {
            if call.memberEpoch > 0 { try requireEpoch(call, known) }
            if call.memberEpoch == 0, known.epoch == ConsumerGroup.leftForNow { restore(known, consumer) }
            return known
        }
        guard call.memberEpoch == 0 else {
            throw HeartbeatRefusal(.unknownMemberId, "member \(call.memberID) is not in group \(call.groupID)")
        }
        guard consumer.members.count < options.consumerGroupMembersMax else {
            throw HeartbeatRefusal(.groupMaxSizeReached, "group \(call.groupID) has \(consumer.members.count) members already")
        }
        let id = call.memberID.isEmpty ? newMemberID("") : call.memberID
        let member = ConsumerMember(id: id, client: call.client, rebalanceTimeoutMillis: call.rebalanceTimeoutMillis)
        member.instanceID = call.instanceID
        consumer.add(member)
        return member
    }

    /// The member may be one answer behind, if it has nothing that it should not have.
    private func requireEpoch(_ call: ConsumerHeartbeatCall, _ member: ConsumerMember) throws(HeartbeatRefusal) {
        if call.memberEpoch == member.epoch { return }
        let isOneBehind = call.memberEpoch == member.previousEpoch && call.memberEpoch < member.epoch
        if isOneBehind, let owned = call.ownedPartitions, member.assigned.isSuperset(of: owned) { return }
        throw HeartbeatRefusal(.fencedMemberEpoch, "member epoch is \(member.epoch), not \(call.memberEpoch): join again")
    }

    /// A static member under a new name takes over what the one that left for now had.
    private func succeed(_ former: ConsumerMember, _ call: ConsumerHeartbeatCall, _ consumer: ConsumerGroup) -> ConsumerMember {
        let id = call.memberID.isEmpty ? newMemberID("") : call.memberID
        let member = ConsumerMember(id: id, client: call.client, rebalanceTimeoutMillis: call.rebalanceTimeoutMillis)
        member.instanceID = former.instanceID
        member.rackID = former.rackID
        member.subscribedTopics = former.subscribedTopics
        member.pattern = former.pattern
        member.assignor = former.assignor
        member.state = former.state
        member.assigned = former.assigned
        member.pendingRevocation = former.pendingRevocation
        member.target = former.target
        consumer.remove(former)
        consumer.add(member)
        return member
    }

    private func restore(_ member: ConsumerMember, _ consumer: ConsumerGroup) {
        member.epoch = 0
        member.previousEpoch = 0
        consumer.changedMembers.insert(member.id)
    }

    /// Takes over what the member says about itself; true if the assignment may have to change.
    private func take(_ call: ConsumerHeartbeatCall, _ pattern: TopicPattern?, into member: ConsumerMember) -> Bool {
        if let rackID = call.rackID { member.rackID = rackID }
        if call.rebalanceTimeoutMillis >= 0 { member.rebalanceTimeoutMillis = call.rebalanceTimeoutMillis }
        var isChanged = false
        if let names = call.subscribedTopics.map({ Set($0).sorted() }), names != member.subscribedTopics {
            member.subscribedTopics = names
            isChanged = true
        }
        if call.subscribedPattern != nil, pattern?.text != member.pattern?.text {
            member.pattern = pattern
            isChanged = true
        }
        if let assignor = call.assignor, assignor != member.assignor {
            member.assignor = assignor
            isChanged = true
        }
        return isChanged
    }

    private func timeRevocation(_ member: ConsumerMember, _ now: CoordinatorTime) {
        if member.state != .unrevoked {
            member.rebalanceDeadline = .max
        } else if member.rebalanceDeadline == .max {
            member.rebalanceDeadline = now.monotonicMillis.addingClamped(Int64(member.rebalanceTimeoutMillis))
        }
    }

    // MARK: leaving

    private func leave(_ call: ConsumerHeartbeatCall, _ now: CoordinatorTime) throws(HeartbeatRefusal) -> ConsumerHeartbeatAnswer {
        guard let group = groups[call.groupID], case .consumer(let consumer) = group.kind else {
            throw HeartbeatRefusal(.unknownMemberId, "member \(call.memberID) is not in group \(call.groupID)")
        }
        if let instance = call.instanceID, let holder = consumer.instances[instance], holder != call.memberID {
            throw HeartbeatRefusal(.fencedInstanceId, "instance \(instance) is now member \(holder)")
        }
        guard let member = consumer.members[call.memberID] else {
            throw HeartbeatRefusal(.unknownMemberId, "member \(call.memberID) is not in group \(call.groupID)")
        }
        if call.memberEpoch == ConsumerGroup.leftForNow {
            // Its partitions wait for it, until its session ends.
            member.epoch = ConsumerGroup.leftForNow
            member.sessionDeadline = now.monotonicMillis + options.consumerSessionTimeoutMillis
            member.rebalanceDeadline = .max
            consumer.changedMembers.insert(member.id)
        } else {
            drop([member], consumer, now)
        }
        commitChanges(of: group, consumer)
        return ConsumerHeartbeatAnswer(memberID: call.memberID, memberEpoch: call.memberEpoch)
    }

    private func drop(_ leaving: [ConsumerMember], _ consumer: ConsumerGroup, _ now: CoordinatorTime) {
        for member in leaving { consumer.remove(member) }
        consumer.bump()
        if consumer.members.isEmpty { consumer.emptySinceMillis = now.wallMillis }
        assignIfNeeded(consumer)
    }

    /// Does what is due in a consumer group: members that were silent, or took too long to give up partitions, are out.
    func expire(_ group: Group, _ consumer: ConsumerGroup, _ now: CoordinatorTime) {
        let late = consumer.membersInOrder.filter { min($0.sessionDeadline, $0.rebalanceDeadline) <= now.monotonicMillis }
        guard !late.isEmpty else { return }
        drop(late, consumer, now)
        commitChanges(of: group, consumer)
    }

    func restart(_ group: Group, _ consumer: ConsumerGroup, _ now: CoordinatorTime) {
        topicsChanged(in: group, consumer, now)
        for member in consumer.members.values {
            member.sessionDeadline = now.monotonicMillis + options.consumerSessionTimeoutMillis
            timeRevocation(member, now)
        }
    }

    // MARK: assignment

    func subscribedTopics(of member: ConsumerMember) -> [String] {
        guard let pattern = member.pattern else { return member.subscribedTopics }
        let matching = topics.keys.filter { pattern.matches($0) }
        return Set(member.subscribedTopics + matching).sorted()
    }

    func topicsChanged(in group: Group, _ consumer: ConsumerGroup, _ now: CoordinatorTime) {
        guard hashOfTopics(consumer) != consumer.topicsHash else { return }
        consumer.bump()
        assignIfNeeded(consumer)
        commitChanges(of: group, consumer)
    }

    /// Of names, identifiers and sizes of all topics the group wants; differs (but for chance, 2⁻⁶⁴) when any does.
    private func hashOfTopics(_ consumer: ConsumerGroup) -> UInt64 {
        let wanted = Set(consumer.members.values.flatMap { subscribedTopics(of: $0) }).sorted()
        var hash: UInt64 = 0
        for name in wanted {
            guard let topic = topics[name] else { continue }
            for word in [topic.id.high, topic.id.low, UInt64(bitPattern: Int64(topic.partitions))] {
                hash = SplitMix64.mix(hash &* 31 &+ word &+ 1)
            }
        }
        return hash
    }

    private func assignIfNeeded(_ consumer: ConsumerGroup) {
        guard consumer.epoch != consumer.assignmentEpoch else { return }
        var votes: [String: Int] = [:]
        for member in consumer.members.values { if let name = member.assignor { votes[name, default: 0] += 1 } }
        let favourite = votes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
        consumer.assignor = favourite.flatMap { Assignor(rawValue: $0) } ?? .uniform
        var facts: [TopicID: TopicFacts] = [:]
        let wishes = consumer.membersInOrder.map { member in
            let wanted = subscribedTopics(of: member).compactMap { topics[$0] }
            for topic in wanted { facts[topic.id] = topic }
            return (id: member.id, topics: Set(wanted.map(\.id)), present: member.target)
        }
        let targets = consumer.assignor.assign(wishes, facts)
        for member in consumer.membersInOrder {
            let target = targets[member.id] ?? []
            if target != member.target {
                member.target = target
                consumer.changedMembers.insert(member.id)
            }
        }
        consumer.assignmentEpoch = consumer.epoch
        consumer.topicsHash = hashOfTopics(consumer)
        consumer.isChanged = true
    }

    // MARK: describe

    package func describeConsumerGroups(_ ids: [String], ticket: Ticket, now: CoordinatorTime) {
        let described = ids.map { id -> DescribedConsumerGroup in
            var answer = DescribedConsumerGroup(groupID: id)
            guard !id.isEmpty else {
                answer.error = .invalidGroupId
                return answer
            }
            guard let group = groups[id], case .consumer(let consumer) = group.kind else {
                answer.error = .groupIdNotFound
                answer.message = "there is no consumer group \(id)"
                return answer
            }
            answer.state = consumer.stateName
            answer.groupEpoch = consumer.epoch
            answer.assignmentEpoch = consumer.assignmentEpoch
            answer.assignor = consumer.assignor.rawValue
            answer.members = consumer.membersInOrder.map { member in
                DescribedConsumerGroup.Member(
                    memberID: member.id, instanceID: member.instanceID, rackID: member.rackID, memberEpoch: member.epoch,
                    client: member.client, subscribedTopics: member.subscribedTopics, subscribedPattern: member.pattern?.text,
                    assignment: member.assigned.sorted(), targetAssignment: member.target.sorted())
            }
            return answer
        }
        outbox.answer(ticket, .describeConsumerGroups(described))
    }
}
