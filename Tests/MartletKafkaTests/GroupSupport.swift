import MartletCore
import MartletKafka
import MartletLog
import Synchronization
import Testing

/// Names that repeat.
final class CountingEntropy: Entropy {
    private let state = Atomic<UInt64>(1)
    func next() -> UInt64 { SplitMix64.mix(state.add(1, ordering: .relaxed).newValue) }
}

/// Both coordinators over a map that stands for the log: performs the outbox at once, and can crash.
final class CoordinatorBench {
    private(set) var time = CoordinatorTime(monotonicMillis: 1_000, wallMillis: 1_767_225_600_000)
    private(set) var store: [EntrySpace: [[UInt8]: [UInt8]]] = [:]
    private(set) var groups: GroupCoordinator
    private(set) var transactions: TransactionCoordinator
    private var outbox = CoordinatorOutbox()
    private var answers: [Ticket: CoordinatorAnswer] = [:]
    private var nextTicket: UInt64 = 0
    private(set) var ends: [TransactionEnd] = []
    private(set) var fences: [Int64: Int16] = [:]
    /// Ends wait, as when the log has no room, until `releaseEnds`.
    var holdsEnds = false
    private var held: [TransactionEnding] = []
    private(set) var commitCount = 0
    private let entropy = CountingEntropy()
    private static let producerIDs = Atomic<Int64>(1_000)
    private let groupOptions: GroupOptions
    private let transactionOptions: TransactionOptions
    var topics = [
        TopicFacts(name: "orders", id: TopicID(high: 1, low: 1), partitions: 4),
        TopicFacts(name: "payments", id: TopicID(high: 2, low: 2), partitions: 2),
    ]

    init(_ configure: (inout GroupOptions) -> Void = { $0.initialRebalanceDelayMillis = 0 }) {
        var options = GroupOptions()
        options.initialRebalanceDelayMillis = 0
        configure(&options)
        groupOptions = options
        transactionOptions = TransactionOptions()
        groups = GroupCoordinator(options: options, outbox: outbox, entropy: entropy)
        transactions = TransactionCoordinator(options: transactionOptions, outbox: outbox, groups: groups) { nil }
        restart()
    }

    /// A crash and a new start from what is in the store; waiting answers are lost.
    func restart() {
        outbox = CoordinatorOutbox()
        answers = [:]
        held = []
        groups = GroupCoordinator(options: groupOptions, outbox: outbox, entropy: entropy)
        transactions = TransactionCoordinator(options: transactionOptions, outbox: outbox, groups: groups) {
            CoordinatorBench.producerIDs.add(1, ordering: .relaxed).newValue
        }
        groups.topicsChanged(topics, now: time)
        do {
            try groups.load(groups: entries(.group), offsets: entries(.offset), now: time)
            try transactions.load(transactions: entries(.transaction), now: time)
        } catch {
            Issue.record("what was committed does not load: \(error)")
        }
        perform()
    }

    func entries(_ space: EntrySpace) -> [Entry] {
        (store[space] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { Entry(key: $0.key, value: $0.value) }
    }

    private func apply(_ changes: [EntryChange]) { for change in changes { store[change.space, default: [:]][change.key] = change.value } }

    private func perform() {
        for action in outbox.take() {
            switch action {
            case .commit(let entries, let fences):
                commitCount += 1
                apply(entries)
                for fence in fences { self.fences[fence.producerID] = fence.epoch }
            case .endTransaction(let ending):
                ends.append(ending.end)
                apply(ending.end.entries)
                for fence in ending.end.fences { fences[fence.producerID] = fence.epoch }
                if holdsEnds { held.append(ending) } else { transactions.ended(ending) }
            case .answer(let ticket, let answer):
                #expect(answers[ticket] == nil, "ticket \(ticket) is answered twice")
                answers[ticket] = answer
            }
        }
    }

    func releaseEnds() {
        holdsEnds = false
        for ending in held { transactions.ended(ending) }
        held = []
    }

    /// Makes a call; its answer is asked for with the ticket, now or later.
    @discardableResult
    func send(_ body: (Ticket, CoordinatorTime) -> Void) -> Ticket {
        nextTicket += 1
        let ticket = Ticket(nextTicket)
        body(ticket, time)
        perform()
        return ticket
    }

    func answer(_ ticket: Ticket) -> CoordinatorAnswer? { answers[ticket] }

    func ask(_ body: (Ticket, CoordinatorTime) -> Void) -> CoordinatorAnswer? { answer(send(body)) }

    /// Lets time pass, stopping at every deadline.
    func pass(millis: Int64) {
        let end = time.monotonicMillis + millis
        while true {
            let next = min(end, max(min(groups.nextDeadline ?? .max, transactions.nextDeadline ?? .max), time.monotonicMillis))
            time.wallMillis += next - time.monotonicMillis
            time.monotonicMillis = next
            groups.advance(now: time)
            transactions.advance(now: time)
            perform()
            if next == end { return }
        }
    }

    func change(topics: [TopicFacts]) {
        self.topics = topics
        groups.topicsChanged(topics, now: time)
        perform()
    }
}

// MARK: classic members

/// ConsumerProtocolSubscription, version 0.
func subscription(_ topics: [String]) -> [UInt8] {
    var bytes: [UInt8] = [0, 0, 0, 0, 0, UInt8(topics.count)]
    for topic in topics { bytes += [0, UInt8(topic.utf8.count)] + Array(topic.utf8) }
    return bytes + [255, 255, 255, 255]
}

extension CoordinatorBench {
    struct Classic {
        var group = "g"
        var id = ""
        var instance: String?
        var version: Int16 = 9
        var generation: Int32 = -1
        var protocols = [GroupProtocol(name: "range", metadata: subscription(["orders"]))]
        var protocolType = "consumer"
        var sessionMillis: Int32 = 10_000
        var rebalanceMillis: Int32 = 30_000
        var client = "c"

        var claim: MemberClaim { MemberClaim(groupID: group, memberID: id, instanceID: instance, generation: generation) }
    }

    @discardableResult
    func sendJoin(_ member: Classic) -> Ticket {
        send { ticket, now in
            groups.join(
                JoinCall(
                    version: member.version, client: ClientFacts(clientID: member.client, host: "/127.0.0.1"), groupID: member.group,
                    memberID: member.id, instanceID: member.instance, sessionTimeoutMillis: member.sessionMillis,
                    rebalanceTimeoutMillis: member.rebalanceMillis, protocolType: member.protocolType, protocols: member.protocols),
                ticket: ticket, now: now)
        }
    }

    func joinAnswer(_ ticket: Ticket) -> JoinAnswer? { if case .join(let answer)? = answer(ticket) { answer } else { nil } }
    func join(_ member: Classic) -> JoinAnswer? { joinAnswer(sendJoin(member)) }

    /// Joins with the name that MEMBER_ID_REQUIRED gives, and returns the ticket of the second request.
    func sendNamedJoin(_ member: inout Classic) -> Ticket {
        let first = join(member)
        #expect(first?.error == .memberIdRequired)
        member.id = first?.memberID ?? ""
        return sendJoin(member)
    }

    @discardableResult
    func sendSync(_ member: Classic, _ assignments: [(memberID: String, assignment: [UInt8])] = []) -> Ticket {
        send { ticket, now in groups.sync(SyncCall(claim: member.claim, assignments: assignments), ticket: ticket, now: now) }
    }

    func syncAnswer(_ ticket: Ticket) -> SyncAnswer? { if case .sync(let answer)? = answer(ticket) { answer } else { nil } }

    func heartbeat(_ member: Classic) -> ErrorCode? {
        if case .heartbeat(let error)? = ask({ groups.heartbeat(member.claim, ticket: $0, now: $1) }) { error } else { nil }
    }

    func leave(_ group: String, _ members: [LeaveCall.Member]) -> LeaveAnswer? {
        let call = LeaveCall(groupID: group, members: members)
        if case .leave(let answer)? = ask({ groups.leave(call, ticket: $0, now: $1) }) { return answer } else { return nil }
    }

    /// A group of `count` dynamic members, stable, the first being leader; member i is assigned the byte i.
    func stableGroup(_ count: Int, _ configure: (Int, inout Classic) -> Void = { _, _ in }) -> [Classic] {
        var members: [Classic] = []
        var tickets: [Ticket] = []
        for index in 0..<count {
            var member = Classic()
            configure(index, &member)
            tickets.append(member.instance == nil && member.version >= 4 ? sendNamedJoin(&member) : sendJoin(member))
            members.append(member)
            // Everybody but the newcomer is asked to join again.
            for earlier in 0..<index { tickets[earlier] = sendJoin(members[earlier]) }
            for known in 0...index {
                guard let answer = joinAnswer(tickets[known]) else { continue }
                #expect(answer.error == .noError)
                members[known].id = answer.memberID
                members[known].generation = answer.generation
            }
        }
        let assignments = members.enumerated().map { (memberID: $1.id, assignment: [UInt8($0)]) }
        let syncs = members.reversed().map { member in
            sendSync(member, member.id == joinAnswer(tickets[0])?.leaderID ? assignments : [])
        }
        for (index, ticket) in syncs.reversed().enumerated() {
            #expect(syncAnswer(ticket)?.assignment == [UInt8(index)], "member \(index)")
        }
        return members
    }

    func state(_ group: String) -> String? {
        let answer = ask { groups.describeGroups([group], version: 5, ticket: $0, now: $1) }
        if case .describeGroups(let described)? = answer { return described.first?.state } else { return nil }
    }
}

// MARK: offsets

extension CoordinatorBench {
    func commit(_ claim: MemberClaim, _ offsets: [(NamedPartition, Int64)], version: Int16 = 8, metadata: String = "") -> [ErrorCode] {
        let call = OffsetCommitCall(
            version: version, claim: claim,
            partitions: offsets.map { OffsetCommitCall.Partition($0.0, offset: $0.1, leaderEpoch: 7, metadata: metadata) })
        guard case .commitOffsets(let outcomes)? = ask({ groups.commitOffsets(call, ticket: $0, now: $1) }) else { return [] }
        return outcomes.partitions.map(\.error)
    }

    func fetch(
        _ group: String, _ partitions: [NamedPartition]?, stable: Bool = false, memberID: String? = nil, epoch: Int32 = -1
    ) -> FetchedGroupOffsets? {
        let asked = OffsetFetchCall.Group(groupID: group, memberID: memberID, memberEpoch: epoch, partitions: partitions)
        let call = OffsetFetchCall(groups: [asked], requiresStable: stable)
        guard case .fetchOffsets(let groups)? = ask({ groups.fetchOffsets(call, ticket: $0, now: $1) }) else { return nil }
        return groups.first
    }

    func offset(_ group: String, _ partition: NamedPartition, stable: Bool = false) -> Int64? {
        fetch(group, [partition], stable: stable)?.partitions.first?.offset
    }
}

let orders0 = NamedPartition("orders", 0)
let orders1 = NamedPartition("orders", 1)
let payments0 = NamedPartition("payments", 0)
