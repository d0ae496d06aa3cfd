import MartletKafka
import MartletLog
import Testing

extension CoordinatorBench {
    /// A member of a consumer group that does as it is told, when it is told to.
    struct Consumer {
        var group = "k"
        var id: String
        var epoch: Int32 = 0
        var instance: String?
        var topics: [String]? = ["orders"]
        var pattern: String?
        var assignor: String?
        var owned: [TopicPartition] = []
        var rebalanceMillis: Int32 = 30_000
    }

    /// `tells` false: only group, member and epoch, as in most heartbeats.
    @discardableResult
    func beat(_ member: inout Consumer, tells: Bool = true, obeys: Bool = true) -> ConsumerHeartbeatAnswer {
        guard let answer = askBeat(member, tells: tells) else { preconditionFailure("a heartbeat is answered at once") }
        if answer.error == .noError, obeys {
            member.epoch = answer.memberEpoch
            if let assignment = answer.assignment { member.owned = assignment }
        }
        return answer
    }

    private func askBeat(_ member: Consumer, tells: Bool) -> ConsumerHeartbeatAnswer? {
        var call = ConsumerHeartbeatCall(
            version: 1, client: ClientFacts(clientID: "c", host: "/127.0.0.1"), groupID: member.group, memberID: member.id,
            memberEpoch: member.epoch)
        call.instanceID = member.instance
        if tells || member.epoch == 0 {
            call.rebalanceTimeoutMillis = member.rebalanceMillis
            call.subscribedTopics = member.topics
            call.subscribedPattern = member.pattern
            call.assignor = member.assignor
            call.ownedPartitions = member.epoch == 0 ? [] : member.owned
        }
        let answer = ask { groups.consumerHeartbeat(call, ticket: $0, now: $1) }
        if case .consumerHeartbeat(let beat)? = answer { return beat } else { return nil }
    }

    /// Everybody beats until nothing changes.
    func settle(_ members: inout [Consumer]) {
        for _ in 0..<8 { for index in members.indices { beat(&members[index]) } }
    }

    func describeConsumers(_ group: String = "k") -> DescribedConsumerGroup? {
        guard case .describeConsumerGroups(let groups)? = ask({ groups.describeConsumerGroups([group], ticket: $0, now: $1) }) else {
            return nil
        }
        return groups.first
    }
}

@Suite("Consumer groups (KIP-848)")
struct ConsumerGroupTests {
    typealias Member = CoordinatorBench.Consumer
    let orders = TopicID(high: 1, low: 1)
    private func parts(_ numbers: Int32...) -> [TopicPartition] { numbers.map { TopicPartition(topic: orders, partition: $0) } }

    @Test("first revoke, then assign: a partition is nobody's before its owner has let go")
    func revokeThenAssign() {
        let bench = CoordinatorBench()
        var first = Member(id: "a")
        #expect(bench.beat(&first).memberEpoch == 1)
        #expect(first.owned == parts(0, 1, 2, 3))
        var second = Member(id: "b")
        let joined = bench.beat(&second)
        #expect(joined.memberEpoch == 2)
        #expect(joined.assignment == [], "everything is still the other's")
        let asked = bench.beat(&first, tells: false, obeys: false)
        #expect(asked.memberEpoch == 1, "it stays in its epoch until it has let go")
        #expect(asked.assignment?.count == 2)
        // It beats on while it commits and closes: nothing moves.
        #expect(bench.beat(&first, tells: false, obeys: false).memberEpoch == 1)
        #expect(bench.beat(&second, tells: false).assignment == nil)
        #expect(bench.describeConsumers()?.state == "Reconciling")
        // It still names what it holds: not yet.
        #expect(bench.beat(&first, obeys: false).memberEpoch == 1)
        first.owned = asked.assignment ?? []
        #expect(bench.beat(&first).memberEpoch == 2)
        let got = bench.beat(&second, tells: false)
        #expect(got.assignment?.count == 2)
        #expect(Set(first.owned).isDisjoint(with: second.owned))
        #expect(Set(first.owned + second.owned).count == 4)
        #expect(bench.describeConsumers()?.state == "Stable")
    }

    @Test("FENCED_MEMBER_EPOCH for an epoch that is not the member's; one answer behind is forgiven")
    func fencedEpoch() {
        let bench = CoordinatorBench()
        var members = [Member(id: "a"), Member(id: "b")]
        bench.settle(&members)
        var wrong = members[0]
        wrong.epoch += 1
        #expect(bench.beat(&wrong).error == .fencedMemberEpoch)
        // The topic grows; a's answer gets lost, and it tells all under its old epoch.
        bench.change(topics: [TopicFacts(name: "orders", id: orders, partitions: 6)])
        #expect(bench.beat(&members[0], obeys: false).memberEpoch == members[0].epoch + 1)
        let again = bench.beat(&members[0])
        #expect(again.error == .noError)
        #expect(again.assignment?.count == 3)
        var ancient = members[0]
        ancient.epoch -= 2
        #expect(bench.beat(&ancient).error == .fencedMemberEpoch)
        var greedy = members[0]
        greedy.epoch -= 1
        greedy.owned = parts(0, 1, 2, 3, 4, 5)
        #expect(bench.beat(&greedy).error == .fencedMemberEpoch, "it has what it was not given")
    }

    @Test("UNKNOWN_MEMBER_ID for strangers; leaving frees at once")
    func leaving() {
        let bench = CoordinatorBench()
        var stranger = Member(id: "x", epoch: 3)
        #expect(bench.beat(&stranger).error == .unknownMemberId)
        var members = [Member(id: "a"), Member(id: "b")]
        bench.settle(&members)
        stranger.epoch = 3
        #expect(bench.beat(&stranger).error == .unknownMemberId)
        members[0].epoch = -1
        let left = bench.beat(&members[0])
        #expect(left.memberEpoch == -1 && left.error == .noError)
        members[0].epoch = -1
        #expect(bench.beat(&members[0]).error == .unknownMemberId)
        #expect(bench.beat(&members[1]).assignment?.count == 4)
    }

    @Test("a silent member is out after the session, one that does not let go after its rebalance timeout")
    func timeouts() {
        let bench = CoordinatorBench()
        var members = [Member(id: "a", rebalanceMillis: 20_000), Member(id: "b")]
        bench.beat(&members[0])
        bench.beat(&members[1])
        bench.beat(&members[0], tells: false, obeys: false)
        for _ in 0..<4 {
            bench.pass(millis: 5_100)
            if members[0].epoch > 0 { _ = bench.beat(&members[0], tells: false, obeys: false) }
            bench.beat(&members[1], tells: false)
        }
        #expect(bench.beat(&members[0], tells: false).error == .unknownMemberId)
        #expect(members[1].owned.count == 4)
        bench.pass(millis: 45_001)
        #expect(bench.beat(&members[1], tells: false).error == .unknownMemberId)
        #expect(bench.describeConsumers()?.state == "Empty")
    }

    @Test("static members leave with -2 and come back to what they had; UNRELEASED_INSTANCE_ID while the old one lives")
    func staticMembers() {
        let bench = CoordinatorBench()
        var members = [Member(id: "a", instance: "i"), Member(id: "b")]
        bench.settle(&members)
        let had = members[0].owned
        var next = Member(id: "a2", instance: "i")
        #expect(bench.beat(&next).error == .unreleasedInstanceId)
        var leaving = members[0]
        leaving.epoch = -2
        #expect(bench.beat(&leaving).memberEpoch == -2)
        #expect(bench.beat(&members[1]).assignment?.count == 2, "nobody gets its share")
        #expect(bench.beat(&next).error == .noError)
        #expect(next.owned == had)
        #expect(bench.beat(&members[0]).error == .fencedInstanceId)
        leaving = next
        leaving.epoch = -2
        bench.beat(&leaving)
        bench.pass(millis: 40_000)
        bench.beat(&members[1])
        bench.pass(millis: 5_001)
        #expect(bench.beat(&members[1]).assignment?.count == 4, "it did not come back within its session")
    }

    @Test("what is wrong with a request is INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, GROUP_MAX_SIZE_REACHED")
    func refusals() {
        let bench = CoordinatorBench { $0.consumerGroupMembersMax = 1 }
        func error(_ change: (inout Member) -> Void) -> ErrorCode {
            var member = Member(id: "a")
            change(&member)
            return bench.beat(&member).error
        }
        #expect(error { $0.group = "" } == .invalidRequest)
        #expect(error { $0.id = "" } == .invalidRequest)
        #expect(error { $0.epoch = -3 } == .invalidRequest)
        #expect(error { $0.epoch = -2 } == .invalidRequest)
        #expect(error { $0.instance = "" } == .invalidRequest)
        #expect(error { $0.rebalanceMillis = -1 } == .invalidRequest)
        #expect(error { $0.topics = nil } == .invalidRequest)
        #expect(error { $0.assignor = "sticky" } == .unsupportedAssignor)
        #expect(error { $0.pattern = "(" } == .invalidRegularExpression)
        #expect(bench.describeConsumers()?.error == .groupIdNotFound, "nothing was made of any of it")
        #expect(error { _ in } == .noError)
        #expect(error { $0.id = "b" } == .groupMaxSizeReached)
    }

    @Test("a topic that grows, appears or goes changes the assignment")
    func topicChanges() {
        let bench = CoordinatorBench()
        var members = [Member(id: "a", topics: ["orders", "later"]), Member(id: "b", topics: ["orders", "later"])]
        bench.settle(&members)
        let later = TopicID(high: 9, low: 9)
        bench.change(topics: bench.topics + [TopicFacts(name: "later", id: later, partitions: 2)])
        bench.settle(&members)
        #expect(Set(members.flatMap(\.owned)).count == 6)
        #expect(members.map(\.owned.count) == [3, 3])
        bench.topics.removeAll { $0.name == "orders" }
        bench.restart()
        bench.settle(&members)
        #expect(Set(members.flatMap(\.owned)) == [TopicPartition(topic: later, partition: 0), TopicPartition(topic: later, partition: 1)])
    }

    @Test("subscription by pattern follows the topics there are")
    func pattern() {
        let bench = CoordinatorBench()
        var member = Member(id: "a", topics: nil, pattern: "pay.*")
        bench.beat(&member)
        #expect(member.owned.count == 2)
        bench.change(topics: bench.topics + [TopicFacts(name: "payback", id: TopicID(high: 5, low: 5), partitions: 3)])
        bench.beat(&member)
        #expect(member.owned.count == 5)
        bench.restart()
        #expect(bench.describeConsumers()?.members.first?.subscribedPattern == "pay.*")
        bench.beat(&member)
        #expect(member.owned.count == 5)
    }

    @Test("everything survives a restart: epochs, assignments, who has yet to let go")
    func restart() {
        let bench = CoordinatorBench()
        var members = [Member(id: "a"), Member(id: "b"), Member(id: "s", instance: "i")]
        bench.settle(&members)
        var newcomer = Member(id: "n")
        bench.beat(&newcomer)
        for index in members.indices { bench.beat(&members[index], tells: false, obeys: false) }
        let before = bench.describeConsumers()
        bench.restart()
        #expect(bench.describeConsumers() == before)
        #expect(before?.state == "Reconciling")
        #expect(bench.beat(&newcomer, tells: false).assignment == nil, "what is not let go is not free after a restart either")
        members.append(newcomer)
        bench.settle(&members)
        #expect(members.map(\.owned.count) == [1, 1, 1, 1])
    }

    @Test("offsets are fenced by the member epoch: STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION")
    func offsets() {
        let bench = CoordinatorBench()
        var member = Member(id: "a")
        bench.beat(&member)
        func claim(_ id: String, _ epoch: Int32) -> MemberClaim { MemberClaim(groupID: "k", memberID: id, generation: epoch) }
        #expect(bench.commit(claim("a", member.epoch), [(orders0, 5)], version: 9) == [.noError])
        #expect(bench.commit(claim("a", member.epoch + 1), [(orders0, 6)], version: 9) == [.staleMemberEpoch])
        #expect(bench.commit(claim("a", member.epoch - 1), [(orders0, 6)], version: 9) == [.staleMemberEpoch])
        #expect(bench.commit(claim("x", member.epoch), [(orders0, 6)], version: 9) == [.unknownMemberId])
        #expect(bench.commit(claim("", -1), [(orders0, 6)], version: 9) == [.unknownMemberId])
        #expect(bench.commit(claim("a", member.epoch), [(orders0, 6)], version: 8) == [.unsupportedVersion])
        #expect(bench.fetch("k", [orders0], memberID: "a", epoch: member.epoch)?.partitions.first?.offset == 5)
        #expect(bench.fetch("k", [orders0], memberID: "a", epoch: member.epoch + 1)?.error == .staleMemberEpoch)
        #expect(bench.fetch("k", [orders0], memberID: "x", epoch: 1)?.error == .unknownMemberId)
        #expect(bench.fetch("k", [orders0])?.partitions.first?.offset == 5)
        let deleted = bench.ask { bench.groups.deleteOffsets(groupID: "k", [orders0, payments0], ticket: $0, now: $1) }
        guard case .deleteOffsets(let outcomes)? = deleted else { return #expect(Bool(false), "no answer") }
        #expect(outcomes.partitions.map(\.error) == [.groupSubscribedToTopic, .noError])
    }

    @Test("an empty group changes its kind and keeps its offsets; one with members refuses the other kind")
    func conversion() {
        let bench = CoordinatorBench()
        let classic = bench.stableGroup(1) { _, member in member.group = "k" }[0]
        _ = bench.commit(classic.claim, [(orders0, 5)])
        var member = Member(id: "a")
        #expect(bench.beat(&member).error == .groupIdNotFound)
        _ = bench.leave("k", [.init(memberID: classic.id)])
        #expect(bench.beat(&member).error == .noError)
        #expect(member.epoch > classic.generation)
        var back = classic
        back.id = ""
        #expect(bench.join(back)?.error == .inconsistentGroupProtocol)
        bench.restart()
        #expect(bench.offset("k", orders0) == 5)
        let epoch = member.epoch
        member.epoch = -1
        bench.beat(&member)
        let named = bench.sendNamedJoin(&back)
        #expect((bench.joinAnswer(named)?.generation ?? 0) > epoch)
        bench.restart()
        #expect(bench.offset("k", orders0) == 5)
        #expect(bench.state("k") == "CompletingRebalance")
    }
}
