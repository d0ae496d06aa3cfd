import MartletKafka
import MartletLog
import Testing

@Suite("Classic groups: joining")
struct GroupJoinTests {
    typealias Member = CoordinatorBench.Classic

    @Test("MEMBER_ID_REQUIRED from JoinGroup v4: the name is given first and used second")
    func memberIDRequired() {
        let bench = CoordinatorBench()
        var member = Member()
        member.version = 4
        let first = bench.join(member)
        #expect(first?.error == .memberIdRequired)
        #expect(first?.memberID.hasPrefix("c-") == true)
        #expect(bench.state("g") == "Empty", "nobody is a member by asking")
        member.id = first?.memberID ?? ""
        let second = bench.join(member)
        #expect(second?.error == .noError)
        #expect(second?.generation == 1)
        #expect(second?.leaderID == member.id)
        #expect(second?.members.map(\.memberID) == [member.id])
        var old = Member(group: "old")
        old.version = 3
        #expect(bench.join(old)?.error == .noError, "version 3 joins at once")
    }

    @Test("a name never used is forgotten after the session timeout")
    func unusedName() {
        let bench = CoordinatorBench()
        var member = Member()
        member.id = bench.join(member)?.memberID ?? ""
        bench.pass(millis: 10_001)
        #expect(bench.join(member)?.error == .unknownMemberId)
    }

    @Test("concurrent joins give no stray UNKNOWN_MEMBER_ID")
    func concurrentJoins() {
        let bench = CoordinatorBench()
        var members = Array(repeating: Member(), count: 5)
        // All ask for names at once; none has joined while the others ask.
        for index in members.indices { members[index].id = bench.join(members[index])?.memberID ?? "" }
        var tickets = members.map { bench.sendJoin($0) }
        // The rebalance waits until all who were given names are here.
        #expect(bench.state("g") == "CompletingRebalance")
        let answers = tickets.compactMap { bench.joinAnswer($0) }
        #expect(answers.count == 5)
        #expect(answers.allSatisfy { $0.error == .noError && $0.generation == 1 })
        // A sixth and a seventh come while everybody rejoins.
        var late = [Member(), Member()]
        late[0].id = bench.join(late[0])?.memberID ?? ""
        let sixth = bench.sendJoin(late[0])
        late[1].id = bench.join(late[1])?.memberID ?? ""
        tickets = members.map { bench.sendJoin($0) }
        #expect(bench.joinAnswer(sixth) == nil, "the seventh is awaited")
        let seventh = bench.sendJoin(late[1])
        for ticket in tickets + [sixth, seventh] {
            #expect(bench.joinAnswer(ticket)?.error == .noError)
            #expect(bench.joinAnswer(ticket)?.generation == 2)
        }
    }

    @Test("a new group waits the initial rebalance delay, extended by newcomers up to the rebalance timeout")
    func initialDelay() {
        let bench = CoordinatorBench { $0.initialRebalanceDelayMillis = 3_000 }
        var first = Member()
        first.rebalanceMillis = 7_000
        let one = bench.sendNamedJoin(&first)
        bench.pass(millis: 2_999)
        #expect(bench.joinAnswer(one) == nil)
        var second = first
        second.id = ""
        let two = bench.sendNamedJoin(&second)
        bench.pass(millis: 2_999)
        #expect(bench.joinAnswer(one) == nil, "the second one extended the wait")
        bench.pass(millis: 2)
        #expect(bench.joinAnswer(one)?.generation == 1)
        #expect(bench.joinAnswer(two)?.generation == 1)
        #expect(bench.joinAnswer(one)?.members.count == 2)
    }

    @Test("the protocol that most vote for wins, of those that all support")
    func votes() {
        func offers(_ names: [String]) -> [GroupProtocol] { names.map { GroupProtocol(name: $0, metadata: subscription(["orders"])) } }
        let bench = CoordinatorBench()
        let members = bench.stableGroup(3) { index, member in
            member.protocols = offers([["range", "sticky", "only-here"], ["sticky", "range"], ["sticky", "range"]][index])
        }
        #expect(bench.syncAnswer(bench.sendSync(members[0]))?.protocolName == "sticky")
    }

    @Test("INCONSISTENT_GROUP_PROTOCOL: no protocol in common, another type, or none at all")
    func inconsistent() {
        let bench = CoordinatorBench()
        _ = bench.stableGroup(1)
        var stranger = Member()
        stranger.protocols = [GroupProtocol(name: "other", metadata: [])]
        #expect(bench.join(stranger)?.error == .inconsistentGroupProtocol)
        stranger = Member()
        stranger.protocolType = "connect"
        #expect(bench.join(stranger)?.error == .inconsistentGroupProtocol)
        stranger = Member(group: "fresh")
        stranger.protocols = []
        #expect(bench.join(stranger)?.error == .inconsistentGroupProtocol)
        stranger = Member(group: "fresh")
        stranger.protocolType = ""
        #expect(bench.join(stranger)?.error == .inconsistentGroupProtocol)
    }

    @Test("bounds: INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID")
    func bounds() {
        let bench = CoordinatorBench { $0.groupMembersMax = 2 }
        #expect(bench.join(Member(group: ""))?.error == .invalidGroupId)
        var member = Member()
        for bad in [5_999, 1_800_001, -1] as [Int32] {
            member.sessionMillis = bad
            #expect(bench.join(member)?.error == .invalidSessionTimeout)
        }
        #expect(bench.join(Member(group: "nowhere", id: "made up"))?.error == .unknownMemberId)
        _ = bench.stableGroup(2)
        #expect(bench.join(Member())?.error == .groupMaxSizeReached)
        #expect(bench.join(Member(id: "made up"))?.error == .unknownMemberId)
    }

    @Test("a repeated join waits in the first one's place, and both are answered")
    func repeatedJoin() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        let first = bench.sendJoin(members[0])
        let second = bench.sendJoin(members[0])
        #expect(bench.joinAnswer(first)?.error == .rebalanceInProgress)
        #expect(bench.joinAnswer(second) == nil)
        let other = bench.sendJoin(members[1])
        #expect(bench.joinAnswer(second)?.generation == bench.joinAnswer(other)?.generation)
    }

    @Test("a follower that joins again unchanged gets the present generation; a leader, or a change, starts a rebalance")
    func rejoin() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        let again = bench.join(members[1])
        #expect(again?.error == .noError)
        #expect(again?.generation == members[1].generation)
        #expect(again?.members.isEmpty == true, "only the leader is told who there is")
        #expect(bench.state("g") == "Stable")
        var changed = members[1]
        changed.protocols = [GroupProtocol(name: "range", metadata: subscription(["payments"]))]
        #expect(bench.join(changed) == nil)
        #expect(bench.state("g") == "PreparingRebalance")
        #expect(bench.heartbeat(members[0]) == .rebalanceInProgress)
        #expect(bench.join(members[0])?.generation == members[0].generation + 1)
    }

    @Test("whoever does not join again within the rebalance timeout is out")
    func absent() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(3)
        let waiting = bench.sendJoin(members[0])
        for _ in 0..<5 {
            bench.pass(millis: 5_900)
            for member in members { #expect(bench.heartbeat(member) == .rebalanceInProgress) }
        }
        bench.pass(millis: 600)
        let answer = bench.joinAnswer(waiting)
        #expect(answer?.members.map(\.memberID) == [members[0].id])
        #expect(bench.heartbeat(members[1]) == .unknownMemberId)
    }

    @Test("a generation is durable before a member learns of it: no number is given out twice")
    func generationSurvives() {
        let bench = CoordinatorBench()
        var member = Member()
        _ = bench.sendNamedJoin(&member)
        member.generation = 1
        bench.restart()
        #expect(bench.state("g") == "CompletingRebalance")
        #expect(bench.syncAnswer(bench.sendSync(member, [(member.id, [9])]))?.assignment == [9])
        bench.restart()
        #expect(bench.state("g") == "Stable")
        #expect(bench.heartbeat(member) == .noError)
        #expect(bench.syncAnswer(bench.sendSync(member))?.assignment == [9])
    }
}
