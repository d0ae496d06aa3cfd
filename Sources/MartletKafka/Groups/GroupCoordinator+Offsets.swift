internal import MartletLog

/// OffsetCommit, OffsetFetch, OffsetDelete, the offsets of transactions, and how long offsets are kept.
extension GroupCoordinator {
    package func commitOffsets(_ call: OffsetCommitCall, ticket: Ticket, now: CoordinatorTime) {
        func refuse(_ error: ErrorCode) {
            let refused = call.partitions.map { PartitionOutcomes.Partition(partition: $0.partition, error: error) }
            outbox.answer(ticket, .commitOffsets(PartitionOutcomes(error: error, partitions: refused)))
        }
        guard !call.claim.groupID.isEmpty else { return refuse(.invalidGroupId) }
        let error = admitsCommit(call.claim, version: call.version, inTransaction: false, now)
        guard error == .noError else { return refuse(error) }
        let group = groupCreatedIfMissing(call.claim.groupID, now)
        var outcomes = PartitionOutcomes()
        var changes: [EntryChange] = []
        for asked in call.partitions {
            let error = verdict(asked)
            outcomes.partitions.append(.init(partition: asked.partition, error: error))
            guard error == .noError else { continue }
            var offset = kept(asked, group, now)
            if call.retentionMillis >= 0 { offset.expiryMillis = now.wallMillis.addingClamped(call.retentionMillis) }
            group.offsets.commit(asked.partition, offset)
            changes.append(saved(asked.partition, offset, of: group))
        }
        outbox.commit(changes)
        outbox.answer(ticket, .commitOffsets(outcomes))
    }

    private func verdict(_ asked: OffsetCommitCall.Partition) -> ErrorCode {
        guard let topic = topics[asked.partition.topic], (0..<topic.partitions).contains(asked.partition.partition) else {
            return .unknownTopicOrPartition
        }
        return asked.metadata.utf8.count > options.offsetMetadataBytesMax ? .offsetMetadataTooLarge : .noError
    }

    private func kept(_ asked: OffsetCommitCall.Partition, _ group: Group, _ now: CoordinatorTime) -> CommittedOffset {
        CommittedOffset(
            offset: asked.offset, leaderEpoch: asked.leaderEpoch, metadata: asked.metadata, commitMillis: now.wallMillis,
            expiryMillis: nil, order: group.offsets.takeOrder())
    }

    private func saved(_ partition: NamedPartition, _ offset: CommittedOffset, of group: Group) -> EntryChange {
        EntryChange(.offset, key: GroupOffsets.key(group.id, partition), value: GroupOffsets.value(offset))
    }

    private func removed(_ partition: NamedPartition, of group: Group) -> EntryChange {
        EntryChange(.offset, key: GroupOffsets.key(group.id, partition), value: nil)
    }

    /// Whether this claim may commit. A member's commit counts as a sign of life.
    private func admitsCommit(_ claim: MemberClaim, version: Int16, inTransaction: Bool, _ now: CoordinatorTime) -> ErrorCode {
        let isAnonymous = claim.generation < 0 && claim.memberID.isEmpty && claim.instanceID == nil
        guard let group = groups[claim.groupID] else {
            // From version 9 clients know that a group can be gone.
            return claim.generation < 0 ? .noError : !inTransaction && version >= 9 ? .groupIdNotFound : .illegalGeneration
        }
        switch group.kind {
        case .classic(let classic):
            // Who assigns partitions itself, or administers, commits to groups that nobody is in. A transaction's
            // producer need not say who it is (before version 3 it cannot).
            if claim.generation < 0 && classic.state == .empty || inTransaction && isAnonymous { return .noError }
            if isAnonymous { return .unknownMemberId }
            switch currentMember(claim, classic) {
            case .failure(let error): return error
            case .success(let member): touch(member, now)
            }
            // Between the generation and its assignment a consumer is told to wait. A transaction is not: nobody else has
            // been given its partitions yet, and its client could only abort.
            return classic.state == .completing && !inTransaction ? .rebalanceInProgress : .noError
        case .consumer(let consumer):
            if claim.generation < 0 && consumer.members.isEmpty || inTransaction && isAnonymous { return .noError }
            guard let member = consumer.members[claim.memberID] else { return .unknownMemberId }
            if let instance = claim.instanceID, member.instanceID != instance { return .unknownMemberId }
            guard inTransaction || version >= 9 else { return .unsupportedVersion }
            // TxnOffsetCommit has no word for a stale epoch.
            guard claim.generation == member.epoch else { return inTransaction ? .illegalGeneration : .staleMemberEpoch }
            return .noError
        }
    }

    // MARK: fetch

    package func fetchOffsets(_ call: OffsetFetchCall, ticket: Ticket, now: CoordinatorTime) {
        let answers = call.groups.map { fetch($0, requiresStable: call.requiresStable) }
        outbox.answer(ticket, .fetchOffsets(answers))
    }

    private func fetch(_ asked: OffsetFetchCall.Group, requiresStable: Bool) -> FetchedGroupOffsets {
        var answer = FetchedGroupOffsets(groupID: asked.groupID)
        let isMember = asked.memberID != nil && asked.memberEpoch >= 0
        let group = groups[asked.groupID]
        if group == nil, isMember { answer.error = .groupIdNotFound }
        if isMember, let group, case .consumer(let consumer) = group.kind {
            if let member = consumer.members[asked.memberID ?? ""] {
                if member.epoch != asked.memberEpoch { answer.error = .staleMemberEpoch }
            } else {
                answer.error = .unknownMemberId
            }
        }
        guard answer.error == .noError else { return answer }
        var partitions = asked.partitions
        if partitions == nil, let group {
            var all = Set(group.offsets.committed.keys)
            // Also those that so far only a transaction has spoken of, which a reader that wants stability waits for.
            if requiresStable { for staged in group.offsets.pending.values { all.formUnion(staged.keys) } }
            partitions = all.sorted()
        }
        answer.partitions = (partitions ?? []).map { partition in
            var fetched = FetchedGroupOffsets.Partition(partition: partition)
            guard let group else { return fetched }
            if requiresStable, group.offsets.isPending(partition) {
                fetched.error = .unstableOffsetCommit
            } else if let offset = group.offsets.committed[partition] {
                fetched.offset = offset.offset
                fetched.leaderEpoch = offset.leaderEpoch
                fetched.metadata = offset.metadata
            }
            return fetched
        }
        return answer
    }

    // MARK: delete

    package func deleteOffsets(groupID: String, _ partitions: [NamedPartition], ticket: Ticket, now: CoordinatorTime) {
        func refuse(_ error: ErrorCode) { outbox.answer(ticket, .deleteOffsets(PartitionOutcomes(error: error))) }
        guard !groupID.isEmpty else { return refuse(.invalidGroupId) }
        guard let group = groups[groupID] else { return refuse(.groupIdNotFound) }
        let subscribed: Set<String>
        switch group.kind {
        case .classic(let classic):
            guard let topics = classic.state == .empty ? [] : classic.subscribedTopics() else { return refuse(.nonEmptyGroup) }
            subscribed = topics
        case .consumer(let consumer): subscribed = Set(consumer.members.values.flatMap { subscribedTopics(of: $0) })
        }
        var outcomes = PartitionOutcomes()
        var changes: [EntryChange] = []
        for partition in partitions {
            var error = ErrorCode.noError
            if topics[partition.topic] == nil {
                error = .unknownTopicOrPartition
            } else if subscribed.contains(partition.topic) {
                error = .groupSubscribedToTopic
            } else if group.offsets.committed[partition] != nil {
                group.offsets.forget(partition)
                changes.append(removed(partition, of: group))
            }
            outcomes.partitions.append(.init(partition: partition, error: error))
        }
        outbox.commit(changes)
        outbox.answer(ticket, .deleteOffsets(outcomes))
    }

    /// Every offset of the group, for a commit that removes it.
    func forgetAllOffsets(of group: Group) -> [EntryChange] {
        var changes: [EntryChange] = []
        for partition in group.offsets.committed.keys.sorted() { changes.append(removed(partition, of: group)) }
        for producerID in group.offsets.pending.keys.sorted() {
            for (partition, _) in group.offsets.takePending(producerID) {
                let key = GroupOffsets.pendingKey(group.id, partition, producerID: producerID)
                changes.append(EntryChange(.offset, key: key, value: nil))
            }
        }
        group.offsets = GroupOffsets()
        return changes
    }

    func forgetOffsets(ofTopics names: Set<String>) {
        var changes: [EntryChange] = []
        for group in sortedGroups {
            for partition in group.offsets.committed.keys.sorted() where names.contains(partition.topic) {
                group.offsets.forget(partition)
                changes.append(removed(partition, of: group))
            }
            for producerID in group.offsets.pending.keys.sorted() {
                for partition in (group.offsets.pending[producerID] ?? [:]).keys.sorted() where names.contains(partition.topic) {
                    group.offsets.unstage(partition, producerID: producerID)
                    let key = GroupOffsets.pendingKey(group.id, partition, producerID: producerID)
                    changes.append(EntryChange(.offset, key: key, value: nil))
                }
            }
        }
        outbox.commit(changes)
    }

    // MARK: transactions

    /// Judges a transaction's offsets and stages them. The transaction coordinator, which has checked the producer, commits
    /// the changes and answers.
    func stage(_ call: TxnOffsetCommitCall, _ now: CoordinatorTime) -> (outcomes: PartitionOutcomes, changes: [EntryChange]) {
        var error = call.claim.groupID.isEmpty ? ErrorCode.invalidGroupId : .noError
        if error == .noError { error = admitsCommit(call.claim, version: call.version, inTransaction: true, now) }
        guard error == .noError else {
            let refused = call.partitions.map { PartitionOutcomes.Partition(partition: $0.partition, error: error) }
            return (PartitionOutcomes(error: error, partitions: refused), [])
        }
        let group = groupCreatedIfMissing(call.claim.groupID, now)
        var outcomes = PartitionOutcomes()
        var changes: [EntryChange] = []
        for asked in call.partitions {
            let error = verdict(asked)
            outcomes.partitions.append(.init(partition: asked.partition, error: error))
            guard error == .noError else { continue }
            let offset = kept(asked, group, now)
            group.offsets.stage(asked.partition, offset, producerID: call.producerID)
            let key = GroupOffsets.pendingKey(group.id, asked.partition, producerID: call.producerID)
            changes.append(EntryChange(.offset, key: key, value: GroupOffsets.value(offset)))
        }
        return (outcomes, changes)
    }

    /// What the end of a transaction means for the offsets it staged in `groupIDs`: part of the record that ends it.
    func endTransaction(producerID: Int64, commits: Bool, groupIDs: [String]) -> [EntryChange] {
        var changes: [EntryChange] = []
        for id in groupIDs {
            guard let group = groups[id] else { continue }
            for (partition, offset) in group.offsets.takePending(producerID) {
                let key = GroupOffsets.pendingKey(id, partition, producerID: producerID)
                changes.append(EntryChange(.offset, key: key, value: nil))
                // What was committed after the transaction's offset stays.
                guard commits, (group.offsets.committed[partition]?.order ?? 0) < offset.order else { continue }
                group.offsets.commit(partition, offset)
                changes.append(saved(partition, offset, of: group))
            }
        }
        return changes
    }

    // MARK: retention

    /// Drops offsets that nobody came back for, and groups that have nothing left.
    func expireOffsets(_ now: CoordinatorTime) {
        var changes: [EntryChange] = []
        for group in sortedGroups {
            let (subscribed, sinceMillis) = usage(of: group)
            for partition in group.offsets.committed.keys.sorted() {
                guard let subscribed, !subscribed.contains(partition.topic), !group.offsets.isPending(partition) else { continue }
                guard let offset = group.offsets.committed[partition], isExpired(offset, unusedSince: sinceMillis, now) else { continue }
                group.offsets.forget(partition)
                changes.append(removed(partition, of: group))
            }
            guard group.isEmpty, group.offsets.isEmpty else { continue }
            if case .classic(let classic) = group.kind, !classic.pendingIDs.isEmpty { continue }
            changes += forgetGroup(group)
        }
        outbox.commit(changes)
    }

    /// Which topics somebody reads, nil: it cannot be said; and since when nobody does, nil: each offset ages by itself.
    private func usage(of group: Group) -> (subscribed: Set<String>?, sinceMillis: Int64?) {
        switch group.kind {
        case .classic(let classic):
            guard classic.state == .empty else { return (classic.subscribedTopics(), nil) }
            // A group without protocol type never had members.
            return ([], classic.protocolType == nil ? nil : classic.sinceMillis)
        case .consumer(let consumer):
            let subscribed = Set(consumer.members.values.flatMap { subscribedTopics(of: $0) })
            return (subscribed, consumer.members.isEmpty ? consumer.emptySinceMillis : nil)
        }
    }

    private func isExpired(_ offset: CommittedOffset, unusedSince sinceMillis: Int64?, _ now: CoordinatorTime) -> Bool {
        if let expiryMillis = offset.expiryMillis { return expiryMillis <= now.wallMillis }
        return max(sinceMillis ?? .min, offset.commitMillis).addingClamped(options.offsetsRetentionMillis) <= now.wallMillis
    }
}

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? (other < 0 ? .min : .max) : sum
    }
}
