/// DescribeGroups, ListGroups and DeleteGroups.
extension GroupCoordinator {
    package func describeGroups(_ ids: [String], version: Int16, ticket: Ticket, now: CoordinatorTime) {
        let described = ids.map { id -> DescribedGroup in
            var answer = DescribedGroup(groupID: id)
            guard let group = groups[id], case .classic(let classic) = group.kind else {
                answer.error = version >= 6 ? .groupIdNotFound : .noError
                return answer
            }
            answer.state = classic.state.rawValue
            answer.protocolType = classic.protocolType ?? ""
            let isStable = classic.state == .stable
            answer.protocolName = isStable ? classic.protocolName ?? "" : ""
            answer.members = classic.membersInOrder.map { member in
                DescribedGroup.Member(
                    memberID: member.id, instanceID: member.instanceID, client: member.client,
                    metadata: isStable ? member.metadata(for: classic.protocolName) : [], assignment: isStable ? member.assignment : [])
            }
            return answer
        }
        outbox.answer(ticket, .describeGroups(described))
    }

    /// Empty filters admit everything; names are compared without regard to case.
    package func listGroups(states: [String] = [], types: [String] = [], ticket: Ticket, now: CoordinatorTime) {
        let wantedStates = Set(states.map { $0.lowercased() })
        let wantedTypes = Set(types.map { $0.lowercased() })
        let listed = sortedGroups.map { group -> ListedGroup in
            switch group.kind {
            case .classic(let classic):
                ListedGroup(groupID: group.id, protocolType: classic.protocolType ?? "", state: classic.state.rawValue, type: "classic")
            case .consumer(let consumer):
                ListedGroup(
                    groupID: group.id, protocolType: ClassicGroup.consumerProtocolType, state: consumer.stateName, type: "consumer")
            }
        }
        let chosen = listed.filter { group in
            (wantedStates.isEmpty || wantedStates.contains(group.state.lowercased()))
                && (wantedTypes.isEmpty || wantedTypes.contains(group.type))
        }
        outbox.answer(ticket, .listGroups(chosen))
    }

    package func deleteGroups(_ ids: [String], ticket: Ticket, now: CoordinatorTime) {
        let outcomes = ids.map { id -> GroupOutcome in
            guard !id.isEmpty else { return GroupOutcome(groupID: id, error: .invalidGroupId) }
            guard let group = groups[id] else { return GroupOutcome(groupID: id, error: .groupIdNotFound) }
            guard group.isEmpty else { return GroupOutcome(groupID: id, error: .nonEmptyGroup) }
            outbox.commit(forgetAllOffsets(of: group) + forgetGroup(group))
            return GroupOutcome(groupID: id, error: .noError)
        }
        outbox.answer(ticket, .deleteGroups(outcomes))
    }
}

/// One committed offset, for figures of lag.
package struct GroupOffset: Sendable, Equatable {
    package var groupID: String
    package var partition: NamedPartition
    package var offset: Int64
}

extension GroupCoordinator {
    /// All committed offsets, in ascending order.
    package func committedOffsets() -> [GroupOffset] {
        sortedGroups.flatMap { group in
            group.offsets.committed.sorted { $0.key < $1.key }.map {
                GroupOffset(groupID: group.id, partition: $0.key, offset: $0.value.offset)
            }
        }
    }
}
