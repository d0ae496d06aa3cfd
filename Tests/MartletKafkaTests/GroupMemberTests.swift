import MartletKafka
import MartletLog
import Testing

@Suite("Classic groups: membership")
struct GroupMemberTests {
    typealias Member = CoordinatorBench.Classic

    @Test("generations: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS")
    func generations() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        #expect(bench.heartbeat(members[0]) == .noError)
        var stale = members[0]
        stale.generation -= 1
        #expect(bench.heartbeat(stale) == .illegalGeneration)
        #expect(bench.syncAnswer(bench.sendSync(stale))?.error == .illegalGeneration)
        var stranger = members[0]
        stranger.id = "stranger"
        #expect(bench.heartbeat(stranger) == .unknownMemberId)
        #expect(bench.syncAnswer(bench.sendSync(stranger))?.error == .unknownMemberId)
        #expect(bench.heartbeat(Member(group: "nowhere", id: "x")) == .unknownMemberId)
        bench.sendJoin(members[0])
        #expect(bench.heartbeat(members[1]) == .rebalanceInProgress)
        #expect(bench.syncAnswer(bench.sendSync(members[1]))?.error == .rebalanceInProgress)
    }

    @Test("SyncGroup v5 with another protocol is INCONSISTENT_GROUP_PROTOCOL")
    func syncProtocol() {
        let bench = CoordinatorBench()
        let member = bench.stableGroup(1)[0]
        func sync(_ type: String?, _ name: String?) -> ErrorCode? {
            let ticket = bench.send {
                bench.groups.sync(SyncCall(claim: member.claim, protocolType: type, protocolName: name), ticket: $0, now: $1)
            }
            return bench.syncAnswer(ticket)?.error
        }
        #expect(sync("consumer", "range") == .noError)
        #expect(sync("connect", "range") == .inconsistentGroupProtocol)
        #expect(sync("consumer", "sticky") == .inconsistentGroupProtocol)
    }

    @Test("a silent member is given up after its session, and its partitions go to a new generation")
    func sessionTimeout() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        bench.pass(millis: 9_000)
        #expect(bench.heartbeat(members[0]) == .noError)
        bench.pass(millis: 1_500)
        #expect(bench.heartbeat(members[0]) == .rebalanceInProgress)
        #expect(bench.heartbeat(members[1]) == .unknownMemberId)
        #expect(bench.join(members[0])?.members.map(\.memberID) == [members[0].id])
    }

    @Test("a member whose sync waits is not given up; one that never syncs is, after the rebalance timeout")
    func syncTimeout() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        let tickets = members.map { bench.sendJoin($0) }
        var next = members
        for index in next.indices { next[index].generation = bench.joinAnswer(tickets[index])?.generation ?? -1 }
        let follower = bench.sendSync(next[1])
        for _ in 0..<3 {
            bench.pass(millis: 9_000)
            #expect(bench.heartbeat(next[0]) == .noError, "the leader lives, but does not speak")
        }
        #expect(bench.syncAnswer(follower) == nil)
        bench.pass(millis: 4_000)
        #expect(bench.syncAnswer(follower)?.error == .rebalanceInProgress)
        #expect(bench.heartbeat(next[0]) == .unknownMemberId)
        #expect(bench.join(members[1])?.leaderID == members[1].id)
    }

    @Test("a rebalance while syncs wait answers them")
    func syncInterrupted() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        let tickets = members.map { bench.sendJoin($0) }
        var follower = members[1]
        follower.generation = bench.joinAnswer(tickets[1])?.generation ?? -1
        let sync = bench.sendSync(follower)
        var newcomer = Member()
        let joining = bench.sendNamedJoin(&newcomer)
        #expect(bench.syncAnswer(sync)?.error == .rebalanceInProgress)
        for member in members { bench.sendJoin(member) }
        #expect(bench.joinAnswer(joining)?.error == .noError)
    }

    @Test("leaving: one, several, by instance, unknown; the last one leaves an empty group")
    func leaving() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(3) { index, member in if index == 2 { member.instance = "i" } }
        let answer = bench.leave("g", [.init(memberID: members[1].id), .init(memberID: "stranger"), .init(memberID: "", instanceID: "i")])
        #expect(answer?.error == .noError)
        #expect(answer?.members.map(\.error) == [.noError, .unknownMemberId, .noError])
        #expect(bench.leave("nowhere", [.init(memberID: "x")])?.members.map(\.error) == [.unknownMemberId])
        #expect(bench.leave("", [])?.error == .invalidGroupId)
        let rejoined = bench.join(members[0])
        #expect(rejoined?.members.count == 1)
        #expect(bench.leave("g", [.init(memberID: members[0].id)])?.members.map(\.error) == [.noError])
        #expect(bench.state("g") == "Empty")
        bench.restart()
        #expect(bench.state("g") == "Empty")
        var next = Member()
        #expect(bench.joinAnswer(bench.sendNamedJoin(&next))?.generation == (rejoined?.generation ?? 0) + 2, "generations never repeat")
    }

    @Test("a name that was given and is withdrawn no longer holds up the others")
    func withdrawnName() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(1)
        let name = bench.join(Member())?.memberID ?? ""
        let waiting = bench.sendJoin(members[0])
        #expect(bench.joinAnswer(waiting) == nil)
        #expect(bench.leave("g", [.init(memberID: name)])?.members.map(\.error) == [.noError])
        #expect(bench.joinAnswer(waiting)?.error == .noError)
    }

    // MARK: static members

    @Test("static members: a restart keeps assignment and generation, without a rebalance")
    func staticRejoin() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2) { index, member in member.instance = "i\(index)" }
        var follower = members[1]
        follower.id = ""
        let back = bench.join(follower)
        #expect(back?.error == .noError)
        #expect(back?.generation == members[1].generation)
        #expect(back?.memberID != members[1].id)
        #expect(bench.state("g") == "Stable")
        follower.id = back?.memberID ?? ""
        #expect(bench.syncAnswer(bench.sendSync(follower))?.assignment == [1])
        #expect(bench.heartbeat(members[0]) == .noError)
        bench.restart()
        #expect(bench.heartbeat(follower) == .noError, "the new name is durable")
    }

    @Test("static members: FENCED_INSTANCE_ID for the old name, wherever it is used")
    func fencedInstance() {
        let bench = CoordinatorBench()
        let old = bench.stableGroup(2) { index, member in member.instance = "i\(index)" }[1]
        var new = old
        new.id = ""
        _ = bench.join(new)
        #expect(bench.heartbeat(old) == .fencedInstanceId)
        #expect(bench.syncAnswer(bench.sendSync(old))?.error == .fencedInstanceId)
        #expect(bench.join(old)?.error == .fencedInstanceId)
        #expect(bench.commit(old.claim, [(orders0, 1)]) == [.fencedInstanceId])
        #expect(bench.leave("g", [.init(memberID: old.id, instanceID: "i1")])?.members.map(\.error) == [.fencedInstanceId])
    }

    @Test("static members: a join that waits is fenced by its successor")
    func fencedWaiting() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2) { index, member in member.instance = "i\(index)" }
        let waiting = bench.sendJoin(members[0])
        var successor = members[0]
        successor.id = ""
        let next = bench.sendJoin(successor)
        #expect(bench.joinAnswer(waiting)?.error == .fencedInstanceId)
        bench.sendJoin(members[1])
        #expect(bench.joinAnswer(next)?.error == .noError)
    }

    @Test("static members: a returning leader skips the assignment from version 9, and follows itself below")
    func leaderReturns() {
        for version in [8, 9] as [Int16] {
            let bench = CoordinatorBench()
            let members = bench.stableGroup(2) { index, member in
                member.instance = "i\(index)"
                member.version = version
            }
            var leader = members[0]
            leader.id = ""
            let back = bench.join(leader)
            #expect(back?.error == .noError)
            #expect(back?.skipsAssignment == (version == 9))
            #expect((back?.leaderID == back?.memberID) == (version == 9))
            #expect(back?.members.count == (version == 9 ? 2 : 0))
        }
    }

    @Test("static members: absence is no leaving until the session ends; another subscription is a rebalance")
    func staticAbsence() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2) { index, member in
            member.instance = "i\(index)"
            member.sessionMillis = index == 0 ? 10_000 : 60_000
            member.rebalanceMillis = 20_000
        }
        let waiting = bench.sendJoin(members[0])
        bench.pass(millis: 20_001)
        #expect(bench.joinAnswer(waiting)?.members.count == 2, "the absent one is still counted in")
        var other = members[1]
        other.id = ""
        other.protocols = [GroupProtocol(name: "range", metadata: subscription(["payments"]))]
        #expect(bench.join(other) == nil)
        #expect(bench.state("g") == "PreparingRebalance")
    }

    @Test("a static member that only says its name, unknown here, is UNKNOWN_MEMBER_ID")
    func unknownStatic() {
        let bench = CoordinatorBench()
        _ = bench.stableGroup(1)
        var stranger = Member(id: "x")
        stranger.instance = "i"
        #expect(bench.join(stranger)?.error == .unknownMemberId)
    }

    // MARK: seen from outside

    @Test("DescribeGroups, ListGroups with filters, DeleteGroups")
    func administration() {
        let bench = CoordinatorBench()
        let member = bench.stableGroup(1)[0]
        _ = bench.commit(MemberClaim(groupID: "simple"), [(orders0, 5)])
        let answer = bench.ask { bench.groups.describeGroups(["g", "none"], version: 5, ticket: $0, now: $1) }
        guard case .describeGroups(let described)? = answer else { return #expect(Bool(false), "no answer") }
        #expect(described.map(\.state) == ["Stable", "Dead"])
        #expect(described[0].protocolName == "range")
        #expect(described[0].members.first?.client == ClientFacts(clientID: "c", host: "/127.0.0.1"))
        #expect(described[0].members.first?.assignment == [0])
        func list(_ states: [String], _ types: [String]) -> [String] {
            guard case .listGroups(let listed)? = bench.ask({ bench.groups.listGroups(states: states, types: types, ticket: $0, now: $1) })
            else { return [] }
            return listed.map { "\($0.groupID) \($0.protocolType) \($0.state) \($0.type)" }
        }
        #expect(list([], []) == ["g consumer Stable classic", "simple  Empty classic"])
        #expect(list(["stable"], []) == ["g consumer Stable classic"])
        #expect(list([], ["Consumer"]).isEmpty)
        func delete(_ ids: [String]) -> [ErrorCode] {
            guard case .deleteGroups(let outcomes)? = bench.ask({ bench.groups.deleteGroups(ids, ticket: $0, now: $1) }) else { return [] }
            return outcomes.map(\.error)
        }
        #expect(delete(["g", "none", "simple", ""]) == [.nonEmptyGroup, .groupIdNotFound, .noError, .invalidGroupId])
        _ = bench.leave("g", [.init(memberID: member.id)])
        #expect(delete(["g"]) == [.noError])
        bench.restart()
        #expect(list([], []).isEmpty)
        #expect(bench.entries(.group).isEmpty && bench.entries(.offset).isEmpty)
    }
}
