internal import MartletCore
internal import MartletLog

/// A member of a consumer group (KIP-848), in memory.
final class ConsumerMember {
    enum State: UInt8 {
        /// Has what its epoch's target says.
        case stable = 0
        /// Has been asked to give up partitions and has not yet said that it did; stays in its epoch until then.
        case unrevoked = 1
        /// Has all that is free; the rest is still with others.
        case unreleased = 2
    }

    let id: String
    var instanceID: String?
    var rackID: String?
    var client: ClientFacts
    var rebalanceTimeoutMillis: Int32
    /// Ascending, unique.
    var subscribedTopics: [String] = []
    var pattern: TopicPattern?
    var assignor: String?
    /// `ConsumerGroup.leftForNow`: a static member between two lives.
    var epoch: Int32 = 0
    var previousEpoch: Int32 = 0
    var state = State.stable
    var assigned: Set<TopicPartition> = []
    /// Still the member's until it says otherwise: nobody else gets these.
    var pendingRevocation: Set<TopicPartition> = []
    var target: Set<TopicPartition> = []
    /// Monotonic.
    var sessionDeadline: Int64 = .max
    /// Monotonic; while `unrevoked`.
    var rebalanceDeadline: Int64 = .max

    init(id: String, client: ClientFacts, rebalanceTimeoutMillis: Int32) {
        self.id = id
        self.client = client
        self.rebalanceTimeoutMillis = rebalanceTimeoutMillis
    }
}

/// A group of the consumer protocol (KIP-848). The server computes the target assignment; each member is brought there at
/// its own pace, first giving up, then getting. **Invariant:** a partition is in `assigned` or `pendingRevocation` of at
/// most one member, which is its owner.
final class ConsumerGroup {
    /// The member epoch that a heartbeat of a static member leaves with.
    static let leftForNow: Int32 = -2
    static let leaves: Int32 = -1

    /// Rises whenever members, subscriptions or topics change.
    var epoch: Int32 = 0
    /// The group epoch the target was computed for.
    var assignmentEpoch: Int32 = 0
    var assignor = Assignor.uniform
    /// Of the topics (names, ids, partitions) the target was computed for.
    var topicsHash: UInt64 = 0
    /// Wall clock; since when there are no members.
    var emptySinceMillis: Int64 = 0
    private(set) var members: [String: ConsumerMember] = [:]
    private(set) var instances: [String: String] = [:]
    private(set) var owners: [TopicPartition: String] = [:]
    /// What the next commit has to carry.
    var isChanged = false
    var changedMembers: Set<String> = []
    var removedMembers: Set<String> = []

    var membersInOrder: [ConsumerMember] { members.values.sorted { $0.id < $1.id } }

    var stateName: String {
        if members.isEmpty { return "Empty" }
        if epoch > assignmentEpoch { return "Assigning" }
        let isSettled = members.values.allSatisfy { $0.state == .stable && $0.epoch == assignmentEpoch }
        return isSettled ? "Stable" : "Reconciling"
    }

    func add(_ member: ConsumerMember) {
        members[member.id] = member
        if let instance = member.instanceID { instances[instance] = member.id }
        for partition in member.assigned.union(member.pendingRevocation) { owners[partition] = member.id }
        changedMembers.insert(member.id)
        removedMembers.remove(member.id)
    }

    func remove(_ member: ConsumerMember) {
        members[member.id] = nil
        if let instance = member.instanceID, instances[instance] == member.id { instances[instance] = nil }
        for partition in member.assigned.union(member.pendingRevocation) where owners[partition] == member.id { owners[partition] = nil }
        changedMembers.remove(member.id)
        removedMembers.insert(member.id)
    }

    func bump() {
        epoch = epoch == .max ? 1 : epoch + 1
        isChanged = true
    }

    /// Brings a member as near to its target as may be at this moment. `owned` is what it said it has; nil: nothing new.
    ///
    /// stable → unrevoked (it has partitions to give up) | unreleased | stable; unrevoked → the same once it has given
    /// them up; unreleased → the same whenever it asks again.
    func reconcile(_ member: ConsumerMember, owned: [TopicPartition]?) {
        switch member.state {
        case .stable:
            if member.epoch == assignmentEpoch, member.assigned == member.target { return }
        case .unrevoked:
            guard let owned, member.pendingRevocation.isDisjoint(with: owned) else { return }
        case .unreleased: break
        }
        let kept = member.assigned.intersection(member.target)
        let toRevoke = member.assigned.subtracting(member.target)
        // A member that has not told what it has, has everything it was given.
        let stillHeld = owned.map { toRevoke.intersection($0) } ?? toRevoke
        if !stillHeld.isEmpty {
            move(member, epoch: member.epoch, .unrevoked, assigned: kept, pendingRevocation: toRevoke)
            return
        }
        let wanted = member.target.subtracting(kept)
        let free = wanted.filter { owners[$0] == nil || owners[$0] == member.id }
        let state: ConsumerMember.State = free.count == wanted.count ? .stable : .unreleased
        move(member, epoch: assignmentEpoch, state, assigned: kept.union(free), pendingRevocation: [])
    }

    private func move(
        _ member: ConsumerMember, epoch: Int32, _ state: ConsumerMember.State, assigned: Set<TopicPartition>,
        pendingRevocation: Set<TopicPartition>
    ) {
        if member.epoch == epoch, member.state == state, member.assigned == assigned, member.pendingRevocation == pendingRevocation {
            return
        }
        for partition in member.assigned.union(member.pendingRevocation) { owners[partition] = nil }
        if member.epoch != epoch { member.previousEpoch = member.epoch }
        member.epoch = epoch
        member.state = state
        member.assigned = assigned
        member.pendingRevocation = pendingRevocation
        for partition in assigned.union(pendingRevocation) { owners[partition] = member.id }
        changedMembers.insert(member.id)
    }

    func earliestDeadline() -> Int64 {
        members.values.reduce(Int64.max) { min($0, $1.sessionDeadline, $1.rebalanceDeadline) }
    }
}

/// The server's ways of assigning.
enum Assignor: String {
    case uniform
    case range

    /// Who gets what. `members` ascending by name, each with the topics it wants; `facts` says how many partitions they
    /// have. Every partition of a topic somebody wants is given to exactly one member that wants it.
    func assign(
        _ members: [(id: String, topics: Set<TopicID>, present: Set<TopicPartition>)], _ facts: [TopicID: TopicFacts]
    ) -> [String: Set<TopicPartition>] {
        switch self {
        case .uniform: Assignor.assignUniformly(members, facts)
        case .range: Assignor.assignRanges(members, facts)
        }
    }

    /// As even as may be, and of all even assignments one that moves little: everybody keeps up to its share, what is
    /// left goes to whoever has least, and then the fullest give to the emptiest while that evens out.
    /// O(partitions × members) at worst, O(partitions × log) for the usual group.
    private static func assignUniformly(
        _ members: [(id: String, topics: Set<TopicID>, present: Set<TopicPartition>)], _ facts: [TopicID: TopicFacts]
    ) -> [String: Set<TopicPartition>] {
        var subscribers: [TopicID: [Int]] = [:]
        for (index, member) in members.enumerated() {
            for topic in member.topics where facts[topic] != nil { subscribers[topic, default: []].append(index) }
        }
        // Fewest possible takers first, so that the choosy are not left with nothing.
        let topics = subscribers.keys.sorted { left, right in
            let (few, many) = (subscribers[left]?.count ?? 0, subscribers[right]?.count ?? 0)
            return few != many ? few < many : left < right
        }
        let partitions = topics.flatMap { topic in
            (0..<max(facts[topic]?.partitions ?? 0, 0)).map { TopicPartition(topic: topic, partition: $0) }
        }
        var shares = Array(repeating: Set<TopicPartition>(), count: members.count)
        var open: [TopicPartition] = []
        var formerOwner: [TopicPartition: Int] = [:]
        for (index, member) in members.enumerated() { for partition in member.present { formerOwner[partition] = index } }
        let isAlike = members.allSatisfy { $0.topics == members[0].topics }
        var seatsWithOneMore = members.isEmpty ? 0 : partitions.count % members.count
        let share = members.isEmpty ? 0 : partitions.count / members.count
        for partition in partitions {
            guard let owner = formerOwner[partition], members[owner].topics.contains(partition.topic) else {
                open.append(partition)
                continue
            }
            if isAlike, shares[owner].count >= share {
                guard shares[owner].count == share, seatsWithOneMore > 0 else {
                    open.append(partition)
                    continue
                }
                seatsWithOneMore -= 1
            }
            shares[owner].insert(partition)
        }
        for partition in open {
            let takers = subscribers[partition.topic] ?? []
            if let least = takers.min(by: { (shares[$0].count, $0) < (shares[$1].count, $1) }) { shares[least].insert(partition) }
        }
        if !isAlike { even(&shares, partitions, subscribers) }
        return Dictionary(uniqueKeysWithValues: members.indices.map { (members[$0].id, shares[$0]) })
    }

    /// Each move lowers the sum of squares of the shares, so that this ends.
    private static func even(_ shares: inout [Set<TopicPartition>], _ partitions: [TopicPartition], _ subscribers: [TopicID: [Int]]) {
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            for partition in partitions {
                let takers = subscribers[partition.topic] ?? []
                guard let owner = takers.first(where: { shares[$0].contains(partition) }) else { continue }
                guard let least = takers.min(by: { (shares[$0].count, $0) < (shares[$1].count, $1) }) else { continue }
                if shares[owner].count > shares[least].count + 1 {
                    shares[owner].remove(partition)
                    shares[least].insert(partition)
                    hasMoved = true
                }
            }
        }
    }

    /// Neighbouring partitions to one member, the same for every topic with the same subscribers.
    private static func assignRanges(
        _ members: [(id: String, topics: Set<TopicID>, present: Set<TopicPartition>)], _ facts: [TopicID: TopicFacts]
    ) -> [String: Set<TopicPartition>] {
        var result = Dictionary(uniqueKeysWithValues: members.map { ($0.id, Set<TopicPartition>()) })
        for (topic, fact) in facts {
            let takers = members.filter { $0.topics.contains(topic) }
            guard !takers.isEmpty else { continue }
            var next: Int32 = 0
            for (index, taker) in takers.enumerated() {
                let count = fact.partitions / Int32(takers.count) + (index < Int(fact.partitions) % takers.count ? 1 : 0)
                for partition in next..<next + count { result[taker.id]?.insert(TopicPartition(topic: topic, partition: partition)) }
                next += count
            }
        }
        return result
    }
}
