import MartletKafka
import MartletLog
import Testing

@Suite("Groups: offsets")
struct GroupOffsetTests {
    typealias Member = CoordinatorBench.Classic
    let alone = MemberClaim(groupID: "g")

    @Test("OffsetFetch for an unknown group is offset -1 without error")
    func unknownGroup() {
        let bench = CoordinatorBench()
        let fetched = bench.fetch("nowhere", [orders0])
        #expect(fetched?.error == .noError)
        #expect(fetched?.partitions.map(\.partition) == [orders0])
        let first = fetched?.partitions.first
        #expect(first?.offset == -1 && first?.leaderEpoch == -1 && first?.metadata == "" && first?.error == .noError)
        #expect(bench.fetch("nowhere", nil)?.partitions.isEmpty == true)
        #expect(bench.fetch("nowhere", [orders0], memberID: "m", epoch: 3)?.error == .groupIdNotFound)
    }

    @Test("metadata and leader epoch come back, also after a restart; all partitions are listed in order")
    func comesBack() {
        let bench = CoordinatorBench()
        #expect(bench.commit(alone, [(payments0, 6), (orders1, 5), (orders0, 4)], metadata: "note") == [.noError, .noError, .noError])
        for _ in 0..<2 {
            let fetched = bench.fetch("g", nil)
            #expect(fetched?.partitions.map(\.partition) == [orders0, orders1, payments0])
            #expect(fetched?.partitions.map(\.offset) == [4, 5, 6])
            #expect(fetched?.partitions.allSatisfy { $0.metadata == "note" && $0.leaderEpoch == 7 && $0.error == .noError } == true)
            bench.restart()
        }
    }

    @Test("OFFSET_METADATA_TOO_LARGE and UNKNOWN_TOPIC_OR_PARTITION concern their partition alone")
    func perPartition() {
        let bench = CoordinatorBench()
        let long = String(repeating: "x", count: 4_097)
        #expect(bench.commit(alone, [(orders0, 1)], metadata: long) == [.offsetMetadataTooLarge])
        #expect(bench.commit(alone, [(orders0, 1)], metadata: String(long.dropLast())) == [.noError])
        let wrong = [NamedPartition("orders", 4), NamedPartition("nothing", 0), NamedPartition("orders", -1)]
        #expect(bench.commit(alone, wrong.map { ($0, 1) } + [(orders1, 2)]) == [
            .unknownTopicOrPartition, .unknownTopicOrPartition, .unknownTopicOrPartition, .noError,
        ])
        #expect(bench.offset("g", orders1) == 2)
    }

    @Test("consumers outside the group commit only while it is empty; members only in their generation")
    func whoMayCommit() {
        let bench = CoordinatorBench()
        #expect(bench.commit(alone, [(orders0, 1)]) == [.noError])
        let member = bench.stableGroup(1)[0]
        #expect(bench.commit(alone, [(orders0, 2)]) == [.unknownMemberId])
        #expect(bench.commit(member.claim, [(orders0, 3)]) == [.noError])
        var stale = member.claim
        stale.generation -= 1
        #expect(bench.commit(stale, [(orders0, 4)]) == [.illegalGeneration])
        #expect(bench.commit(MemberClaim(groupID: "g", memberID: "x", generation: 1), [(orders0, 4)]) == [.unknownMemberId])
        #expect(bench.commit(MemberClaim(groupID: "none", memberID: "x", generation: 1), [(orders0, 4)]) == [.illegalGeneration])
        #expect(bench.commit(MemberClaim(groupID: "none", memberID: "x", generation: 1), [(orders0, 4)], version: 9) == [.groupIdNotFound])
        #expect(bench.commit(MemberClaim(groupID: ""), [(orders0, 4)]) == [.invalidGroupId])
        #expect(bench.offset("g", orders0) == 3)
    }

    @Test("commits while members rejoin are taken; in a new generation they wait for the assignment")
    func commitWhileRebalancing() {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2)
        let first = bench.sendJoin(members[0])
        #expect(bench.commit(members[1].claim, [(orders0, 8)]) == [.noError])
        bench.sendJoin(members[1])
        var next = members[0]
        next.generation = bench.joinAnswer(first)?.generation ?? -1
        #expect(bench.commit(next.claim, [(orders0, 9)]) == [.rebalanceInProgress])
        #expect(bench.commit(members[1].claim, [(orders0, 9)]) == [.illegalGeneration])
        #expect(bench.offset("g", orders0) == 8)
    }

    @Test("a commit is a sign of life")
    func commitKeepsSession() {
        let bench = CoordinatorBench()
        let member = bench.stableGroup(1)[0]
        for offset in 1...4 {
            bench.pass(millis: 9_000)
            #expect(bench.commit(member.claim, [(orders0, Int64(offset))]) == [.noError])
        }
    }

    @Test("OffsetDelete: GROUP_SUBSCRIBED_TO_TOPIC, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP")
    func delete() {
        let bench = CoordinatorBench()
        func delete(_ group: String, _ partitions: [NamedPartition]) -> PartitionOutcomes? {
            let answer = bench.ask { bench.groups.deleteOffsets(groupID: group, partitions, ticket: $0, now: $1) }
            if case .deleteOffsets(let outcomes)? = answer { return outcomes } else { return nil }
        }
        #expect(delete("nowhere", [orders0])?.error == .groupIdNotFound)
        _ = bench.commit(alone, [(orders0, 1), (payments0, 2)])
        let member = bench.stableGroup(1)[0]
        let outcomes = delete("g", [orders0, payments0, NamedPartition("nothing", 0)])
        #expect(outcomes?.partitions.map(\.error) == [.groupSubscribedToTopic, .noError, .unknownTopicOrPartition])
        #expect(bench.offset("g", orders0) == 1)
        #expect(bench.offset("g", payments0) == -1)
        _ = bench.leave("g", [.init(memberID: member.id)])
        #expect(delete("g", [orders0])?.partitions.map(\.error) == [.noError])
        bench.restart()
        #expect(bench.fetch("g", nil)?.partitions.isEmpty == true)
        _ = bench.stableGroup(1) { _, member in
            member.group = "other"
            member.protocolType = "connect"
        }
        #expect(delete("other", [orders0])?.error == .nonEmptyGroup)
    }

    @Test("offsets of a deleted topic go with it")
    func topicDeleted() {
        let bench = CoordinatorBench()
        _ = bench.commit(alone, [(orders0, 1), (payments0, 2)])
        bench.change(topics: bench.topics.filter { $0.name != "orders" })
        #expect(bench.fetch("g", nil)?.partitions.map(\.partition) == [payments0])
        bench.restart()
        #expect(bench.fetch("g", nil)?.partitions.map(\.partition) == [payments0])
    }

    @Test("offsets live as long as somebody uses them, and the retention after")
    func retention() {
        let day: Int64 = 24 * 3_600_000
        let bench = CoordinatorBench()
        let member = bench.stableGroup(1) { _, member in member.sessionMillis = 1_800_000 }[0]
        _ = bench.commit(member.claim, [(orders0, 1), (payments0, 2)])
        _ = bench.commit(MemberClaim(groupID: "simple"), [(orders0, 3)])
        for _ in 0..<8 * 96 {
            bench.pass(millis: day / 96)
            _ = bench.heartbeat(member)
        }
        #expect(bench.offset("g", orders0) == 1, "subscribed")
        #expect(bench.offset("g", payments0) == -1, "nobody reads it")
        #expect(bench.offset("simple", orders0) == -1)
        _ = bench.leave("g", [.init(memberID: member.id)])
        bench.pass(millis: 6 * day)
        bench.restart()
        #expect(bench.offset("g", orders0) == 1, "empty for six days")
        bench.pass(millis: day + 700_000)
        #expect(bench.offset("g", orders0) == -1)
        #expect(bench.entries(.group).isEmpty, "nothing is left of the group")
    }

    @Test("a retention given with the commit (versions 2 to 4) is that offset's own")
    func ownRetention() {
        let bench = CoordinatorBench()
        let call = OffsetCommitCall(version: 4, claim: alone, retentionMillis: 3_600_000, partitions: [.init(orders0, offset: 1)])
        bench.send { bench.groups.commitOffsets(call, ticket: $0, now: $1) }
        bench.restart()
        bench.pass(millis: 3_500_000)
        #expect(bench.offset("g", orders0) == 1)
        bench.pass(millis: 800_000)
        #expect(bench.offset("g", orders0) == -1)
    }
}
