internal import MartletCore

/// A member of a group of the classic protocol, in memory.
final class ClassicMember {
    let id: String
    var instanceID: String?
    var client: ClientFacts
    var sessionTimeoutMillis: Int32
    var rebalanceTimeoutMillis: Int32
    var protocols: [GroupProtocol]
    var assignment: [UInt8] = []
    /// The order in which members came, which is the order in which they are listed and become leader.
    var order: Int
    /// Monotonic; when the member is given up unless heard of before. While a join or sync waits it does not count.
    var sessionDeadline: Int64 = .max
    /// The join or sync that waits for the others.
    var joinTicket: Ticket?
    var syncTicket: Ticket?
    /// Until its first rebalance completes. A new member whose join waits may be gone without anybody noticing, so it,
    /// and only it, is given up while waiting.
    var isNew = true

    init(
        id: String, instanceID: String?, client: ClientFacts, sessionTimeoutMillis: Int32, rebalanceTimeoutMillis: Int32,
        protocols: [GroupProtocol], order: Int
    ) {
        self.id = id
        self.instanceID = instanceID
        self.client = client
        self.sessionTimeoutMillis = sessionTimeoutMillis
        self.rebalanceTimeoutMillis = rebalanceTimeoutMillis
        self.protocols = protocols
        self.order = order
    }

    func metadata(for name: String?) -> [UInt8] { protocols.first { $0.name == name }?.metadata ?? [] }
}

/// A group of the classic protocol: who is in it, which generation it is in, and who waits for what. Rules about
/// membership and protocols live here; answers, timers and persistence in `GroupCoordinator`.
///
/// empty → preparing; preparing → completing | empty; completing → stable | preparing; stable → preparing.
final class ClassicGroup {
    enum State: String {
        /// No members; perhaps offsets.
        case empty = "Empty"
        /// Members are asked to join again; ends when all did, or at `rebalanceDeadline`.
        case preparing = "PreparingRebalance"
        /// A generation has begun; the leader's assignment is awaited.
        case completing = "CompletingRebalance"
        case stable = "Stable"
    }

    var state = State.empty
    var generation: Int32 = 0
    /// nil: never had members; such a group holds offsets of consumers that assign themselves.
    var protocolType: String?
    var protocolName: String?
    var leaderID: String?
    var members: [String: ClassicMember] = [:]
    /// Instance → member.
    var instances: [String: String] = [:]
    /// Names given out with MEMBER_ID_REQUIRED, not yet used; monotonic deadlines.
    var pendingIDs: [String: Int64] = [:]
    /// Since when the group is in its state; wall clock.
    var sinceMillis: Int64 = 0

    /// Monotonic; while preparing.
    var rebalanceDeadline: Int64 = .max
    /// While the first rebalance of an empty group waits for more members: how much longer it may be extended.
    var initialDelay: (remainingMillis: Int64, hasNewMember: Bool)?
    /// Members of this generation that have not asked for their assignment, and until when they may.
    var awaitedSyncs: Set<String> = []
    var syncDeadline: Int64 = .max
    private var nextOrder = 0

    var membersInOrder: [ClassicMember] { members.values.sorted { $0.order < $1.order } }
    var joiningCount: Int { members.values.reduce(0) { $0 + ($1.joinTicket == nil ? 0 : 1) } }
    var hasAllJoined: Bool { pendingIDs.isEmpty && members.values.allSatisfy { $0.joinTicket != nil } }
    var rebalanceTimeoutMillis: Int64 { Int64(members.values.map(\.rebalanceTimeoutMillis).max() ?? 0) }

    func takeOrder() -> Int {
        defer { nextOrder += 1 }
        return nextOrder
    }

    func add(_ member: ClassicMember) {
        if members.isEmpty { leaderID = nil }
        members[member.id] = member
        if let instance = member.instanceID { instances[instance] = member.id }
        if leaderID == nil { leaderID = member.id }
        nextOrder = max(nextOrder, member.order + 1)
    }

    func remove(_ member: ClassicMember) {
        members[member.id] = nil
        awaitedSyncs.remove(member.id)
        if let instance = member.instanceID, instances[instance] == member.id { instances[instance] = nil }
        if leaderID == member.id { leaderID = membersInOrder.first?.id }
    }

    /// Whether somebody with these protocols could be a member beside the present ones.
    func accepts(protocolType type: String, protocols: [GroupProtocol], besides memberID: String? = nil) -> Bool {
        guard !type.isEmpty, !protocols.isEmpty else { return false }
        let others = members.values.filter { $0.id != memberID }
        if others.isEmpty { return true }
        guard type == protocolType else { return false }
        return protocols.contains { offered in others.allSatisfy { $0.protocols.contains { $0.name == offered.name } } }
    }

    /// Every member votes for the first of its protocols that all support; the most votes win, and among equals the one
    /// that the oldest member prefers. nil only without members.
    func selectProtocol() -> String? {
        let ordered = membersInOrder
        guard let oldest = ordered.first else { return nil }
        let candidates = oldest.protocols.map(\.name).filter { name in
            ordered.allSatisfy { $0.protocols.contains { $0.name == name } }
        }
        var votes: [String: Int] = [:]
        for member in ordered {
            if let choice = member.protocols.first(where: { candidates.contains($0.name) }) { votes[choice.name, default: 0] += 1 }
        }
        var best: String?
        for name in candidates where votes[name, default: 0] > best.map({ votes[$0, default: 0] }) ?? 0 { best = name }
        return best
    }

    /// Makes sure that the leader is somebody who joined; false if nobody did.
    func electJoinedLeader() -> Bool {
        if let leaderID, members[leaderID]?.joinTicket != nil { return true }
        guard let joined = membersInOrder.first(where: { $0.joinTicket != nil }) else { return false }
        leaderID = joined.id
        return true
    }

    /// The topics all members together subscribe to; nil if it cannot be said (another protocol than the consumers').
    func subscribedTopics() -> Set<String>? {
        guard protocolType == ClassicGroup.consumerProtocolType else { return nil }
        guard let protocolName else { return members.isEmpty ? [] : nil }
        var topics: Set<String> = []
        for member in members.values {
            guard let own = ClassicGroup.topics(inSubscription: member.metadata(for: protocolName)) else { return nil }
            topics.formUnion(own)
        }
        return topics
    }

    static let consumerProtocolType = "consumer"

    /// The topics of a ConsumerProtocolSubscription: version, then an array of strings; what follows does not matter here.
    static func topics(inSubscription bytes: [UInt8]) -> Set<String>? {
        bytes.withUnsafeBytes { raw in
            do throws(ByteError) {
                var reader = ByteReader(raw)
                guard try reader.readBig(Int16.self) >= 0 else { return nil }
                let count = Int(try reader.readBig(Int32.self))
                guard count >= 0, count <= reader.remaining / 2 else { return nil }
                var topics: Set<String> = []
                for _ in 0..<count {
                    let length = Int(try reader.readBig(Int16.self))
                    topics.insert(String(decoding: try reader.read(length), as: UTF8.self))
                }
                return topics
            } catch {
                return nil
            }
        }
    }

    /// The earliest monotonic time at which this group has to be looked at.
    func earliestDeadline() -> Int64 {
        var earliest = Int64.max
        for member in members.values where member.isExpirable { earliest = min(earliest, member.sessionDeadline) }
        for deadline in pendingIDs.values { earliest = min(earliest, deadline) }
        if state == .preparing { earliest = min(earliest, rebalanceDeadline) }
        if !awaitedSyncs.isEmpty { earliest = min(earliest, syncDeadline) }
        return earliest
    }
}

extension ClassicMember {
    /// Whether silence counts against the member: not while we owe it an answer, except for its very first join.
    var isExpirable: Bool { isNew || (joinTicket == nil && syncTicket == nil) }
}
