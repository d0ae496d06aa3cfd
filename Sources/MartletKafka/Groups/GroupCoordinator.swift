package import MartletCore
package import MartletLog

/// All consumer groups of a server: classic groups, consumer groups (KIP-848), and the offsets of both and of consumers
/// outside any group. How it is driven, and from which thread, is said at `CoordinatorAction`.
///
/// **What survives a restart** is what was committed: of a classic group each generation with its members and, once the
/// leader has said it, their assignment; of a consumer group every epoch and every member's assignment; offsets, also
/// those that an open transaction will make true. Sessions start anew. Waiting joins are lost with their connections.
///
/// **Where it differs from Kafka.** A generation is committed before any member learns of it, so that after a crash no
/// generation number is given out twice. Every ticket is answered: where a member joins or syncs a second time, the first
/// request gets REBALANCE_IN_PROGRESS, since clients read answers of one connection in order. A static member that
/// returns with another subscription starts a rebalance. A group whose members speak one protocol is not open to the
/// other while it has members: consumers joining with ConsumerGroupHeartbeat get GROUP_ID_NOT_FOUND, those with JoinGroup
/// INCONSISTENT_GROUP_PROTOCOL; an empty group changes its kind and keeps its offsets.
package final class GroupCoordinator {
    package let options: GroupOptions
    let outbox: CoordinatorOutbox
    private let entropy: any Entropy
    var groups: [String: Group] = [:]
    private(set) var topics: [String: TopicFacts] = [:]
    private(set) var topicsByID: [TopicID: TopicFacts] = [:]
    private var deadlines = DeadlineQueue()
    private var nextExpiryCheck: Int64 = .max

    /// `outbox` is shared with the transaction coordinator; `entropy` makes members' names.
    package init(options: GroupOptions, outbox: CoordinatorOutbox, entropy: any Entropy) {
        self.options = options
        self.outbox = outbox
        self.entropy = entropy
    }

    /// Restores what the log holds (`Log.entries(.group)`, `Log.entries(.offset)`). Once, before any other call, after
    /// `topicsChanged`.
    package func load(
        groups groupEntries: [Entry], offsets: [Entry], now: CoordinatorTime
    ) throws(CoordinatorLoadError) {
        for entry in groupEntries { try loadGroupEntry(key: entry.key, value: entry.value) }
        for entry in offsets { try loadOffsetEntry(key: entry.key, value: entry.value) }
        nextExpiryCheck = now.monotonicMillis + options.offsetsRetentionCheckMillis
        for group in sortedGroups {
            switch group.kind {
            case .classic(let classic): restart(classic, now)
            case .consumer(let consumer): restart(group, consumer, now)
            }
            arm(group)
        }
    }

    /// Tells all topics that exist; at the start, and whenever the catalog has changed. Offsets of topics that are gone go
    /// too; consumer groups whose topics changed get new assignments with their members' next heartbeats.
    package func topicsChanged(_ all: [TopicFacts], now: CoordinatorTime) {
        let former = topics
        topics = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        topicsByID = Dictionary(all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let gone = former.values.filter { topics[$0.name]?.id != $0.id }.map(\.name)
        if !gone.isEmpty { forgetOffsets(ofTopics: Set(gone)) }
        for group in sortedGroups {
            guard case .consumer(let consumer) = group.kind else { continue }
            topicsChanged(in: group, consumer, now)
        }
    }

    /// Monotonic milliseconds at which `advance` has something to do; nil: never.
    package var nextDeadline: Int64? {
        let next = min(deadlines.earliest ?? .max, nextExpiryCheck)
        return next == .max ? nil : next
    }

    /// Does what is due: gives up silent members, ends rebalances, drops old offsets. Cheap when nothing is due.
    package func advance(now: CoordinatorTime) {
        while let due = deadlines.pop(dueAt: now.monotonicMillis) {
            guard let group = groups[due.name], group.armedAt == due.millis else { continue }
            group.armedAt = .max
            switch group.kind {
            case .classic(let classic): expire(group, classic, now)
            case .consumer(let consumer): expire(group, consumer, now)
            }
            arm(group)
        }
        if nextExpiryCheck <= now.monotonicMillis {
            nextExpiryCheck = now.monotonicMillis + options.offsetsRetentionCheckMillis
            expireOffsets(now)
        }
    }

    // MARK: what the features share

    var sortedGroups: [Group] { groups.values.sorted { $0.id < $1.id } }

    /// Makes sure that the group comes up no later than its earliest deadline.
    func arm(_ group: Group) {
        guard groups[group.id] === group else { return }
        let deadline: Int64
        switch group.kind {
        case .classic(let classic): deadline = classic.earliestDeadline()
        case .consumer(let consumer): deadline = consumer.earliestDeadline()
        }
        if deadline < group.armedAt {
            group.armedAt = deadline
            deadlines.push(group.id, at: deadline)
        }
    }

    /// The group, created (classic, empty) if there is none.
    func groupCreatedIfMissing(_ id: String, _ now: CoordinatorTime) -> Group {
        if let group = groups[id] { return group }
        let classic = ClassicGroup()
        classic.sinceMillis = now.wallMillis
        let group = Group(id: id, kind: .classic(classic))
        groups[id] = group
        return group
    }

    /// `prefix`, a dash and a random (version 4) UUID.
    func newMemberID(_ prefix: String) -> String {
        let id = TopicID.random(entropy).hexadecimal
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { part in
            String(decoding: Array(id.utf8)[part], as: UTF8.self)
        }
        return (prefix.isEmpty ? "" : prefix + "-") + parts.joined(separator: "-")
    }

    func saved(_ group: Group) -> EntryChange {
        EntryChange(.group, key: Group.key(group.id), value: group.encoded())
    }
}

/// A group of either kind, with its offsets.
final class Group {
    enum Kind {
        case classic(ClassicGroup)
        case consumer(ConsumerGroup)
    }

    let id: String
    var kind: Kind
    var offsets = GroupOffsets()
    /// The deadline this group is queued for; `.max`: none.
    var armedAt: Int64 = .max

    init(id: String, kind: Kind) {
        self.id = id
        self.kind = kind
    }

    var isEmpty: Bool {
        switch kind {
        case .classic(let classic): classic.state == .empty
        case .consumer(let consumer): consumer.members.isEmpty
        }
    }
}
