internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// A simulated client: one request at a time over a connection that is replaced when an answer does not come. Subclasses
/// are kinds of members; each decides in `next` what to ask and in `take` what an answer means.
class GroupClientModel {
    let endpoint: Endpoint
    /// It has its clients, not they it.
    unowned let world: GroupWorld
    var random: SplitMix64
    /// The world's milliseconds at which it next acts of itself.
    var wakeMillis: Int64 = 0
    private(set) var connection = 0
    private(set) var requestNumber = 0
    private var isWaiting = false
    private var patienceMillis: Int64 = 0
    /// It has stopped: crashed, or learnt that somebody else is in its place.
    private(set) var isDead = false
    var now: Int64 { world.millis }

    init(_ name: String, _ world: GroupWorld, seed: UInt64) {
        endpoint = Endpoint(name)
        self.world = world
        random = SplitMix64(seed: seed)
    }

    func die() { isDead = true }

    func ask(_ request: GroupRequest, patienceMillis: Int64 = 3_000) {
        requestNumber += 1
        isWaiting = true
        self.patienceMillis = patienceMillis
        wakeMillis = now + patienceMillis
        world.send(request, from: self)
    }

    func pause(_ range: ClosedRange<Int64>) { wakeMillis = now + random.within(range) }

    /// Its time has come.
    func wake() {
        if isWaiting {
            // The answer is lost, or the request: a new connection, on which nothing of the old one arrives any more.
            isWaiting = false
            connection += 1
            unanswered()
        }
        if !isDead { next() }
    }

    func receive(_ response: GroupResponse, request: Int) {
        guard isWaiting, request == requestNumber, !isDead else { return }
        isWaiting = false
        wakeMillis = now + 1
        take(response)
    }

    /// Asks for the next thing, or pauses.
    func next() {}
    func take(_ response: GroupResponse) {}
    func unanswered() {}

    /// What it believes to own at this moment, by its own clock; empty for kinds whose ownership is by generation.
    var believed: Set<TopicPartition> { [] }
    /// Which group it is in, and what it owns there, for the end of a run.
    var group: String { "" }
    var owned: Set<Int32> { [] }
    /// A successor under the same name or none.
    func successor(_ name: String, seed: UInt64) -> GroupClientModel { preconditionFailure("every kind has a successor") }
}

/// A member of a classic group: joins, assigns if it leads, reads, commits. With an instance it is static.
class ClassicClientModel: GroupClientModel {
    enum Phase { case joining, syncing, fetching, working }

    let groupID: String
    let instance: String?
    let version: Int16
    var phase = Phase.joining
    var memberID = ""
    var generation: Int32 = -1
    private var assignments: [(memberID: String, assignment: [UInt8])] = []
    var assigned: Set<Int32> = []
    var positions: [Int32: Int64] = [:]
    private var fetchFloors: [Int32: Int64] = [:]
    private var committing: [Int32: Int64] = [:]
    private let isCooperative: Bool

    init(_ name: String, _ world: GroupWorld, seed: UInt64, group: String, instance: String?) {
        groupID = group
        self.instance = instance
        var draws = SplitMix64(seed: seed ^ 0xC1A5)
        version = Int16(instance == nil ? draws.within(3...9) : draws.within(5...9))
        isCooperative = draws.chance(0.5)
        super.init(name, world, seed: seed)
    }

    override var group: String { groupID }
    override var owned: Set<Int32> { phase == .working ? assigned : [] }
    var claim: MemberClaim { MemberClaim(groupID: groupID, memberID: memberID, instanceID: instance, generation: generation) }

    override func successor(_ name: String, seed: UInt64) -> GroupClientModel {
        ClassicClientModel(name, world, seed: seed, group: groupID, instance: instance)
    }

    override func next() {
        switch phase {
        case .joining:
            let protocols = [GroupProtocol(name: "range", metadata: ClassicClientModel.subscription)]
            let call = JoinCall(
                version: version, client: ClientFacts(clientID: endpoint.name, host: "/sim"), groupID: groupID, memberID: memberID,
                instanceID: instance, sessionTimeoutMillis: 10_000, rebalanceTimeoutMillis: 20_000, protocolType: "consumer",
                protocols: protocols)
            ask(.join(call), patienceMillis: 25_000)
        case .syncing: ask(.sync(SyncCall(claim: claim, assignments: assignments)), patienceMillis: 25_000)
        case .fetching: fetch()
        case .working: work()
        }
    }

    private func fetch() {
        let partitions = assigned.sorted().map { NamedPartition(GroupWorld.input, $0) }
        fetchFloors = Dictionary(uniqueKeysWithValues: partitions.map { ($0.partition, world.server.toldOffset(groupID, $0)) })
        ask(.fetch(OffsetFetchCall(groups: [.init(groupID: groupID, partitions: partitions)], requiresStable: true)))
    }

    /// Reads a little and commits it, or only shows that it lives.
    func work() {
        committing = [:]
        for partition in assigned.sorted() {
            let from = positions[partition] ?? 0
            let to = min(from + random.within(0...3), world.inputEnd)
            if to > from { committing[partition] = to }
        }
        if committing.isEmpty || random.chance(0.4) {
            committing = [:]
            ask(.heartbeat(claim))
            return
        }
        let partitions = committing.sorted { $0.key < $1.key }.map {
            OffsetCommitCall.Partition(NamedPartition(GroupWorld.input, $0.key), offset: $0.value)
        }
        ask(.commit(OffsetCommitCall(version: 8, claim: claim, partitions: partitions)))
    }

    override func take(_ response: GroupResponse) {
        guard case .answer(let answer) = response else { return }
        switch answer {
        case .join(let joined): take(joined)
        case .sync(let synced):
            if synced.error == .noError {
                assigned = Set(synced.assignment.map { Int32($0) })
                world.note(self, owns: assigned, generation: generation)
                phase = .fetching
            } else {
                react(to: synced.error)
            }
        case .fetchOffsets(let fetched): take(fetched)
        case .heartbeat(let error):
            if error == .noError { pause(500...2_500) } else { react(to: error) }
        case .commitOffsets(let outcomes):
            guard let error = outcomes.partitions.first?.error, error != .noError else {
                for (partition, offset) in committing.sorted(by: { $0.key < $1.key }) {
                    positions[partition] = offset
                    world.server.told(groupID, NamedPartition(GroupWorld.input, partition), offset)
                }
                pause(100...1_500)
                return
            }
            react(to: error)
        default: break
        }
    }

    private func take(_ joined: JoinAnswer) {
        if joined.error == .memberIdRequired {
            memberID = joined.memberID
            return
        }
        guard joined.error == .noError else { return react(to: joined.error) }
        memberID = joined.memberID
        generation = joined.generation
        assignments = []
        if joined.leaderID == memberID, !joined.skipsAssignment {
            var shares = joined.members.map { (memberID: $0.memberID, assignment: [UInt8]()) }
            for partition in 0..<UInt8(world.inputPartitions) where !shares.isEmpty {
                shares[Int(partition) % shares.count].assignment.append(partition)
            }
            assignments = shares
        }
        phase = .syncing
    }

    private func take(_ fetched: [FetchedGroupOffsets]) {
        for partition in fetched.first?.partitions ?? [] {
            if partition.error == .unstableOffsetCommit {
                pause(100...400)
                return
            }
            let number = partition.partition.partition
            let floor = fetchFloors[number] ?? -1
            if partition.offset < floor {
                world.fail("\(endpoint) reads \(partition.offset) of \(groupID)/\(number), and \(floor) was acknowledged before")
            }
            positions[number] = max(partition.offset, 0)
        }
        phase = .working
    }

    /// What a consumer does about an error of its group.
    func react(to error: ErrorCode) {
        switch error {
        case .unknownMemberId:
            memberID = ""
            rejoin()
        case .fencedInstanceId: die()
        case .rebalanceInProgress, .illegalGeneration: rejoin()
        case .coordinatorNotAvailable, .unstableOffsetCommit, .concurrentTransactions: pause(100...500)
        default:
            world.fail("\(endpoint) does not expect \(error)")
            rejoin()
        }
    }

    func rejoin() {
        phase = .joining
        if !isCooperative { assigned = [] }
    }

    override func unanswered() {
        // A commit whose answer is lost may stand or not: where it stands is asked.
        if phase == .working { phase = .fetching }
    }

    /// ConsumerProtocolSubscription of the one input topic.
    private static let subscription: [UInt8] = {
        let name = Array(GroupWorld.input.utf8)
        return [0, 0, 0, 0, 0, 1, 0, UInt8(name.count)] + name + [255, 255, 255, 255]
    }()
}

/// A member of a consumer group (KIP-848). It owns what it was given until it has told that it let go, or until it has
/// heard nothing for a session.
final class ConsumerClientModel: GroupClientModel {
    private let groupID: String
    private let instance: String?
    private let memberID: String
    private var epoch: Int32 = 0
    private var given: Set<TopicPartition> = []
    private var beatMillis: Int64 = 0
    private var heardMillis: Int64 = .min / 2
    private var tellsAll = true
    private var isLeaving = false
    private var positions: [Int32: Int64] = [:]
    private var committing: (partition: Int32, offset: Int64)?
    private var fetching: Int32?
    private var fetchFloor: Int64 = -1

    init(_ name: String, _ world: GroupWorld, seed: UInt64, group: String, instance: String?) {
        groupID = group
        self.instance = instance
        memberID = "m-" + name
        super.init(name, world, seed: seed)
    }

    override var group: String { groupID }
    override var owned: Set<Int32> { Set(believed.map(\.partition)) }
    override var believed: Set<TopicPartition> { isDead || now - heardMillis >= 45_000 ? [] : given }

    override func successor(_ name: String, seed: UInt64) -> GroupClientModel {
        ConsumerClientModel(name, world, seed: seed, group: groupID, instance: instance)
    }

    override func next() {
        if epoch > 0, now - heardMillis >= 45_000 { startAnew() }
        let unread = given.map(\.partition).sorted().filter { positions[$0] ?? -1 < world.inputEnd }
        if epoch > 0, !tellsAll, !unread.isEmpty, random.chance(0.6) { return progress(unread[random.below(unread.count)]) }
        var call = ConsumerHeartbeatCall(
            version: 1, client: ClientFacts(clientID: endpoint.name, host: "/sim"), groupID: groupID, memberID: memberID,
            memberEpoch: epoch)
        call.instanceID = instance
        if tellsAll || epoch == 0 {
            call.rebalanceTimeoutMillis = 300_000
            call.subscribedTopics = [GroupWorld.input]
            call.ownedPartitions = epoch == 0 ? [] : given.sorted()
        }
        beatMillis = now
        ask(.consumerHeartbeat(call))
    }

    private func startAnew() {
        epoch = 0
        given = []
        positions = [:]
        tellsAll = true
    }

    private func progress(_ partition: Int32) {
        let name = NamedPartition(GroupWorld.input, partition)
        guard let position = positions[partition] else {
            fetching = partition
            fetchFloor = world.server.toldOffset(groupID, name)
            let asked = OffsetFetchCall.Group(groupID: groupID, memberID: memberID, memberEpoch: epoch, partitions: [name])
            return ask(.fetch(OffsetFetchCall(groups: [asked], requiresStable: true)))
        }
        let offset = min(position + random.within(1...4), world.inputEnd)
        committing = (partition, offset)
        let claim = MemberClaim(groupID: groupID, memberID: memberID, instanceID: instance, generation: epoch)
        ask(.commit(OffsetCommitCall(version: 9, claim: claim, partitions: [.init(name, offset: offset)])))
    }

    override func take(_ response: GroupResponse) {
        guard case .answer(let answer) = response else { return }
        switch answer {
        case .consumerHeartbeat(let beat): take(beat)
        case .fetchOffsets(let fetched):
            guard let first = fetched.first, first.error == .noError, let partition = first.partitions.first else {
                tellsAll = true
                return
            }
            if partition.offset < fetchFloor {
                world.fail("\(endpoint) reads \(partition.offset) of \(groupID), and \(fetchFloor) was acknowledged before")
            }
            if let fetching { positions[fetching] = max(partition.offset, 0) }
        case .commitOffsets(let outcomes):
            guard let committing, outcomes.partitions.first?.error == .noError else {
                tellsAll = true
                return
            }
            positions[committing.partition] = committing.offset
            world.server.told(groupID, NamedPartition(GroupWorld.input, committing.partition), committing.offset)
            pause(100...1_000)
        default: break
        }
    }

    private func take(_ beat: ConsumerHeartbeatAnswer) {
        switch beat.error {
        case .noError:
            heardMillis = beatMillis
            epoch = beat.memberEpoch
            tellsAll = false
            if let assignment = beat.assignment {
                let next = Set(assignment)
                // It stops reading before it says so, in the next heartbeat.
                tellsAll = next != given
                given = next
                positions = positions.filter { position in next.contains { $0.partition == position.key } }
            }
            pause(tellsAll ? 1...50 : 500...2_500)
        case .fencedMemberEpoch, .unknownMemberId: startAnew()
        case .fencedInstanceId: die()
        case .unreleasedInstanceId: pause(1_000...5_000)
        default: world.fail("\(endpoint) does not expect \(beat.error)")
        }
    }

    override func unanswered() {
        tellsAll = true
        positions = [:]
    }
}
