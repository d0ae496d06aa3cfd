/// SyncGroup, Heartbeat and LeaveGroup.
extension GroupCoordinator {
    package func sync(_ call: SyncCall, ticket: Ticket, now: CoordinatorTime) {
        func refuse(_ error: ErrorCode) { outbox.answer(ticket, .sync(SyncAnswer(error: error))) }
        guard !call.claim.groupID.isEmpty else { return refuse(.invalidGroupId) }
        guard let group = groups[call.claim.groupID], case .classic(let classic) = group.kind else { return refuse(.unknownMemberId) }
        let member: ClassicMember
        switch currentMember(call.claim, classic) {
        case .success(let found): member = found
        case .failure(let error): return refuse(error)
        }
        let isSameType = call.protocolType == nil || call.protocolType == classic.protocolType
        let isSameName = call.protocolName == nil || call.protocolName == classic.protocolName
        guard isSameType, isSameName else { return refuse(.inconsistentGroupProtocol) }
        switch classic.state {
        case .empty: refuse(.unknownMemberId)
        case .preparing: refuse(.rebalanceInProgress)
        case .completing:
            if let earlier = member.syncTicket { outbox.answer(earlier, .sync(SyncAnswer(error: .rebalanceInProgress))) }
            member.syncTicket = ticket
            classic.awaitedSyncs.remove(member.id)
            touch(member, now)
            if member.id == classic.leaderID { becomeStable(call, group, classic, now) }
        case .stable:
            classic.awaitedSyncs.remove(member.id)
            touch(member, now)
            outbox.answer(ticket, .sync(syncAnswer(member, classic)))
        }
        arm(group)
    }

    /// The leader has spoken: whoever it did not mention gets nothing.
    private func becomeStable(_ call: SyncCall, _ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        for (memberID, assignment) in call.assignments { classic.members[memberID]?.assignment = assignment }
        enter(.stable, classic, now)
        outbox.commit([saved(group)])
        for member in classic.membersInOrder {
            guard let ticket = member.syncTicket else { continue }
            member.syncTicket = nil
            touch(member, now)
            outbox.answer(ticket, .sync(syncAnswer(member, classic)))
        }
    }

    private func syncAnswer(_ member: ClassicMember, _ classic: ClassicGroup) -> SyncAnswer {
        SyncAnswer(
            error: .noError, protocolType: classic.protocolType, protocolName: classic.protocolName, assignment: member.assignment)
    }

    package func heartbeat(_ claim: MemberClaim, ticket: Ticket, now: CoordinatorTime) {
        outbox.answer(ticket, .heartbeat(beat(claim, now)))
    }

    private func beat(_ claim: MemberClaim, _ now: CoordinatorTime) -> ErrorCode {
        guard !claim.groupID.isEmpty else { return .invalidGroupId }
        guard let group = groups[claim.groupID], case .classic(let classic) = group.kind else { return .unknownMemberId }
        switch currentMember(claim, classic) {
        case .failure(let error): return error
        case .success(let member):
            touch(member, now)
            return classic.state == .preparing ? .rebalanceInProgress : classic.state == .empty ? .unknownMemberId : .noError
        }
    }

    /// Who claims, if it is a member, under its present name, in the present generation.
    func currentMember(_ claim: MemberClaim, _ classic: ClassicGroup) -> Result<ClassicMember, ErrorCode> {
        if let instance = claim.instanceID {
            guard let known = classic.instances[instance] else { return .failure(.unknownMemberId) }
            guard known == claim.memberID else { return .failure(.fencedInstanceId) }
        }
        guard let member = classic.members[claim.memberID] else { return .failure(.unknownMemberId) }
        guard claim.generation == classic.generation else { return .failure(.illegalGeneration) }
        return .success(member)
    }

    package func leave(_ call: LeaveCall, ticket: Ticket, now: CoordinatorTime) {
        guard !call.groupID.isEmpty else { return outbox.answer(ticket, .leave(LeaveAnswer(error: .invalidGroupId))) }
        var answer = LeaveAnswer(error: .noError)
        guard let group = groups[call.groupID], case .classic(let classic) = group.kind else {
            answer.members = call.members.map {
                LeaveAnswer.Member(memberID: $0.memberID, instanceID: $0.instanceID, error: .unknownMemberId)
            }
            return outbox.answer(ticket, .leave(answer))
        }
        var hasRemoved = false
        for leaving in call.members {
            let error: ErrorCode
            switch memberToRemove(leaving, classic) {
            case .success(let member?):
                forget(member, .unknownMemberId, classic)
                hasRemoved = true
                error = .noError
            case .success(nil): error = .noError
            case .failure(let failure): error = failure
            }
            answer.members.append(LeaveAnswer.Member(memberID: leaving.memberID, instanceID: leaving.instanceID, error: error))
        }
        if hasRemoved { afterRemoval(group, classic, now) } else { completeIfAllJoined(group, classic, now) }
        outbox.answer(ticket, .leave(answer))
        arm(group)
    }

    /// nil: a name that was given out and not yet used, which is withdrawn here.
    private func memberToRemove(_ leaving: LeaveCall.Member, _ classic: ClassicGroup) -> Result<ClassicMember?, ErrorCode> {
        if let instance = leaving.instanceID {
            guard let known = classic.instances[instance], let member = classic.members[known] else { return .failure(.unknownMemberId) }
            // An administrator removes by instance alone.
            guard leaving.memberID.isEmpty || leaving.memberID == known else { return .failure(.fencedInstanceId) }
            return .success(member)
        }
        if classic.pendingIDs.removeValue(forKey: leaving.memberID) != nil { return .success(nil) }
        guard let member = classic.members[leaving.memberID] else { return .failure(.unknownMemberId) }
        return .success(member)
    }
}
