/// How a classic group gets from one generation to the next.
extension GroupCoordinator {
    /// Asks all members to join again, unless they have been asked; completes at once if all have.
    func rebalance(_ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        if classic.state != .preparing {
            for member in classic.membersInOrder {
                member.assignment = []
                guard let ticket = member.syncTicket else { continue }
                member.syncTicket = nil
                touch(member, now)
                outbox.answer(ticket, .sync(SyncAnswer(error: .rebalanceInProgress)))
            }
            classic.awaitedSyncs = []
            classic.syncDeadline = .max
            let isFirst = classic.state == .empty && options.initialRebalanceDelayMillis > 0
            if isFirst {
                let remaining = max(classic.rebalanceTimeoutMillis - options.initialRebalanceDelayMillis, 0)
                classic.initialDelay = (remaining, false)
                classic.rebalanceDeadline = now.monotonicMillis + options.initialRebalanceDelayMillis
            } else {
                classic.rebalanceDeadline = now.monotonicMillis + classic.rebalanceTimeoutMillis
            }
            enter(.preparing, classic, now)
        }
        completeIfAllJoined(group, classic, now)
    }

    func completeIfAllJoined(_ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        if classic.state == .preparing, classic.initialDelay == nil || classic.members.isEmpty, classic.hasAllJoined {
            completeJoins(group, classic, now)
        }
    }

    /// Begins the next generation with whoever joined; static members stay also if they did not.
    private func completeJoins(_ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        for absent in classic.membersInOrder where absent.joinTicket == nil && absent.instanceID == nil {
            classic.remove(absent)
        }
        classic.initialDelay = nil
        if !classic.members.isEmpty, !classic.electJoinedLeader() {
            // Only static members are left and none is there: their sessions decide.
            classic.rebalanceDeadline = now.monotonicMillis + classic.rebalanceTimeoutMillis
            return
        }
        classic.rebalanceDeadline = .max
        classic.generation = classic.generation == .max ? 0 : classic.generation + 1
        classic.protocolName = classic.selectProtocol()
        guard !classic.members.isEmpty else {
            classic.leaderID = nil
            enter(.empty, classic, now)
            outbox.commit([saved(group)])
            return
        }
        enter(.completing, classic, now)
        let joined = classic.membersInOrder.filter { $0.joinTicket != nil }
        classic.awaitedSyncs = Set(joined.map(\.id))
        classic.syncDeadline = now.monotonicMillis + classic.rebalanceTimeoutMillis
        outbox.commit([saved(group)])
        for member in joined {
            guard let ticket = member.joinTicket else { continue }
            member.joinTicket = nil
            member.isNew = false
            touch(member, now)
            outbox.answer(ticket, .join(joinAnswer(member, classic)))
        }
    }

    /// Takes a member out; what it still waits for is answered with `error`.
    func remove(_ member: ClassicMember, _ error: ErrorCode, _ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        forget(member, error, classic)
        afterRemoval(group, classic, now)
    }

    func forget(_ member: ClassicMember, _ error: ErrorCode, _ classic: ClassicGroup) {
        if let ticket = member.joinTicket { outbox.answer(ticket, .join(JoinAnswer(error: error, memberID: member.id))) }
        if let ticket = member.syncTicket { outbox.answer(ticket, .sync(SyncAnswer(error: error))) }
        member.joinTicket = nil
        member.syncTicket = nil
        classic.remove(member)
    }

    func afterRemoval(_ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        switch classic.state {
        case .empty: break
        case .preparing: completeIfAllJoined(group, classic, now)
        case .completing, .stable: rebalance(group, classic, now)
        }
    }

    func enter(_ state: ClassicGroup.State, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        classic.state = state
        classic.sinceMillis = now.wallMillis
    }

    // MARK: time

    /// Does what is due in a classic group.
    func expire(_ group: Group, _ classic: ClassicGroup, _ now: CoordinatorTime) {
        let time = now.monotonicMillis
        for (id, deadline) in classic.pendingIDs where deadline <= time { classic.pendingIDs[id] = nil }
        var hasRemoved = false
        for member in classic.membersInOrder where member.isExpirable && member.sessionDeadline <= time {
            forget(member, .unknownMemberId, classic)
            hasRemoved = true
        }
        if classic.syncDeadline <= time, !classic.awaitedSyncs.isEmpty {
            for member in classic.membersInOrder where classic.awaitedSyncs.contains(member.id) {
                forget(member, .unknownMemberId, classic)
                hasRemoved = true
            }
            classic.awaitedSyncs = []
        }
        if hasRemoved { afterRemoval(group, classic, now) }
        guard classic.state == .preparing else { return }
        completeIfAllJoined(group, classic, now)
        guard classic.state == .preparing, classic.rebalanceDeadline <= time else { return }
        if let delay = classic.initialDelay, delay.hasNewMember, delay.remainingMillis > 0 {
            let step = min(options.initialRebalanceDelayMillis, delay.remainingMillis)
            classic.initialDelay = (delay.remainingMillis - step, false)
            classic.rebalanceDeadline = time + step
        } else {
            completeJoins(group, classic, now)
        }
    }

    /// After a restart every member has its full session before it, and syncs are awaited anew.
    func restart(_ classic: ClassicGroup, _ now: CoordinatorTime) {
        for member in classic.members.values {
            member.isNew = false
            touch(member, now)
        }
        if classic.state == .completing {
            classic.awaitedSyncs = Set(classic.members.keys)
            classic.syncDeadline = now.monotonicMillis + classic.rebalanceTimeoutMillis
        }
    }
}
