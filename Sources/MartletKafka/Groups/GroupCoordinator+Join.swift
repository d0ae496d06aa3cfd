/// JoinGroup: who may be a member, and when a rebalance begins.
extension GroupCoordinator {
    package func join(_ call: JoinCall, ticket: Ticket, now: CoordinatorTime) {
        func refuse(_ error: ErrorCode) {
            outbox.answer(ticket, .join(JoinAnswer(error: error, memberID: call.memberID)))
        }
        guard !call.groupID.isEmpty else { return refuse(.invalidGroupId) }
        guard (options.sessionTimeoutMillisMin...options.sessionTimeoutMillisMax).contains(call.sessionTimeoutMillis) else {
            return refuse(.invalidSessionTimeout)
        }
        // A name is only known to a group that gave it, except that static members may come first and are known by instance.
        if groups[call.groupID] == nil, !call.memberID.isEmpty { return refuse(.unknownMemberId) }
        guard !call.protocolType.isEmpty, !call.protocols.isEmpty else { return refuse(.inconsistentGroupProtocol) }
        let group = groupCreatedIfMissing(call.groupID, now)
        if case .consumer(let consumer) = group.kind {
            guard consumer.members.isEmpty else { return refuse(.inconsistentGroupProtocol) }
            becomeClassic(group, consumer, now)
        }
        guard case .classic(let classic) = group.kind else { return }
        let knownID = call.instanceID.flatMap { classic.instances[$0] }
        let replacing = call.memberID.isEmpty ? knownID : call.memberID
        guard classic.accepts(protocolType: call.protocolType, protocols: call.protocols, besides: replacing) else {
            return refuse(.inconsistentGroupProtocol)
        }
        let error =
            call.memberID.isEmpty
            ? joinUnnamed(call, ticket, group, classic, knownID: knownID, now)
            : joinNamed(call, ticket, group, classic, knownID: knownID, now)
        if let error { refuse(error) }
        arm(group)
    }

    // MARK: members without a name

    private func joinUnnamed(
        _ call: JoinCall, _ ticket: Ticket, _ group: Group, _ classic: ClassicGroup, knownID: String?, _ now: CoordinatorTime
    ) -> ErrorCode? {
        if let knownID, let known = classic.members[knownID] {
            replaceStatic(known, call, ticket, group, classic, now)
            return nil
        }
        let awaited = classic.state == .preparing ? classic.joiningCount : classic.members.count
        guard awaited + classic.pendingIDs.count < options.groupMembersMax else { return .groupMaxSizeReached }
        let id = newMemberID(call.instanceID ?? call.client.clientID)
        if call.version >= 4, call.instanceID == nil {
            // The member's next join carries the name: one that never comes back leaves nothing behind but this.
            classic.pendingIDs[id] = now.monotonicMillis + Int64(call.sessionTimeoutMillis)
            outbox.answer(ticket, .join(JoinAnswer(error: .memberIdRequired, memberID: id)))
            return nil
        }
        addAndRebalance(id, call, ticket, group, classic, now)
        return nil
    }

    private func addAndRebalance(
        _ id: String, _ call: JoinCall, _ ticket: Ticket, _ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime
    ) {
        let member = ClassicMember(
            id: id, instanceID: call.instanceID, client: call.client, sessionTimeoutMillis: call.sessionTimeoutMillis,
            rebalanceTimeoutMillis: call.effectiveRebalanceTimeoutMillis, protocols: call.protocols, order: classic.takeOrder())
        member.joinTicket = ticket
        member.sessionDeadline = now.monotonicMillis + options.newMemberJoinMillis
        if classic.members.isEmpty { classic.protocolType = call.protocolType }
        classic.add(member)
        if classic.initialDelay != nil { classic.initialDelay?.hasNewMember = true }
        rebalance(group, classic, now)
    }

    // MARK: members with a name

    private func joinNamed(
        _ call: JoinCall, _ ticket: Ticket, _ group: Group, _ classic: ClassicGroup, knownID: String?, _ now: CoordinatorTime
    ) -> ErrorCode? {
        if call.instanceID != nil {
            guard let knownID else { return .unknownMemberId }
            guard knownID == call.memberID else { return .fencedInstanceId }
        } else if classic.pendingIDs.removeValue(forKey: call.memberID) != nil {
            addAndRebalance(call.memberID, call, ticket, group, classic, now)
            return nil
        }
        guard let member = classic.members[call.memberID] else { return .unknownMemberId }
        switch classic.state {
        case .empty: return .unknownMemberId
        case .preparing: break
        case .completing:
            // The answer got lost, or crossed this request: repeat it.
            if member.protocols == call.protocols {
                answerPresentGeneration(member, call, ticket, classic, now)
                return nil
            }
        case .stable:
            // A leader that joins again asks for a new assignment; a follower only if it has something new to say.
            if classic.leaderID != member.id, member.protocols == call.protocols {
                answerPresentGeneration(member, call, ticket, classic, now)
                return nil
            }
        }
        update(member, call, ticket, now)
        rebalance(group, classic, now)
        return nil
    }

    private func answerPresentGeneration(
        _ member: ClassicMember, _ call: JoinCall, _ ticket: Ticket, _ classic: ClassicGroup, _ now: CoordinatorTime
    ) {
        member.client = call.client
        touch(member, now)
        outbox.answer(ticket, .join(joinAnswer(member, classic)))
    }

    private func update(_ member: ClassicMember, _ call: JoinCall, _ ticket: Ticket, _ now: CoordinatorTime) {
        member.client = call.client
        member.protocols = call.protocols
        member.sessionTimeoutMillis = call.sessionTimeoutMillis
        member.rebalanceTimeoutMillis = call.effectiveRebalanceTimeoutMillis
        if let earlier = member.joinTicket {
            outbox.answer(earlier, .join(JoinAnswer(error: .rebalanceInProgress, memberID: member.id)))
        }
        member.joinTicket = ticket
        touch(member, now)
    }

    /// A static member that restarted: it has a new name, keeps its place, and fences whoever still uses the old one.
    private func replaceStatic(
        _ known: ClassicMember, _ call: JoinCall, _ ticket: Ticket, _ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime
    ) {
        let id = newMemberID(call.instanceID ?? call.client.clientID)
        let formerLeader = classic.leaderID
        let wasLeader = formerLeader == known.id
        let formerTopics = classic.protocolName.flatMap { ClassicGroup.topics(inSubscription: known.metadata(for: $0)) }
        let member = ClassicMember(
            id: id, instanceID: call.instanceID, client: call.client, sessionTimeoutMillis: call.sessionTimeoutMillis,
            rebalanceTimeoutMillis: call.effectiveRebalanceTimeoutMillis, protocols: call.protocols, order: known.order)
        member.assignment = known.assignment
        member.isNew = false
        fence(known)
        classic.remove(known)
        classic.add(member)
        if wasLeader { classic.leaderID = id }
        touch(member, now)
        let topics = classic.protocolName.flatMap { ClassicGroup.topics(inSubscription: member.metadata(for: $0)) }
        if classic.state == .stable, classic.selectProtocol() == classic.protocolName, topics == formerTopics {
            outbox.commit([saved(group)])
            var answer = joinAnswer(member, classic)
            if call.version >= 9 {
                answer.skipsAssignment = wasLeader
            } else {
                // Told of another leader, the member asks for its assignment instead of making one.
                answer.leaderID = formerLeader ?? ""
                answer.members = []
            }
            outbox.answer(ticket, .join(answer))
            return
        }
        member.joinTicket = ticket
        rebalance(group, classic, now)
    }

    private func fence(_ member: ClassicMember) {
        if let ticket = member.joinTicket {
            outbox.answer(ticket, .join(JoinAnswer(error: .fencedInstanceId, memberID: member.id)))
        }
        if let ticket = member.syncTicket { outbox.answer(ticket, .sync(SyncAnswer(error: .fencedInstanceId))) }
        member.joinTicket = nil
        member.syncTicket = nil
    }

    // MARK: answers

    func joinAnswer(_ member: ClassicMember, _ classic: ClassicGroup) -> JoinAnswer {
        var answer = JoinAnswer(error: .noError, memberID: member.id)
        answer.generation = classic.generation
        answer.protocolType = classic.protocolType
        answer.protocolName = classic.protocolName
        answer.leaderID = classic.leaderID ?? ""
        if classic.leaderID == member.id {
            answer.members = classic.membersInOrder.map {
                JoinAnswer.Member(memberID: $0.id, instanceID: $0.instanceID, metadata: $0.metadata(for: classic.protocolName))
            }
        }
        return answer
    }

    func touch(_ member: ClassicMember, _ now: CoordinatorTime) {
        let patience = member.isNew ? options.newMemberJoinMillis : Int64(member.sessionTimeoutMillis)
        member.sessionDeadline = now.monotonicMillis + patience
    }
}

extension JoinCall {
    fileprivate var effectiveRebalanceTimeoutMillis: Int32 { rebalanceTimeoutMillis < 0 ? sessionTimeoutMillis : rebalanceTimeoutMillis }
}
