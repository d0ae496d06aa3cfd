package import MartletLog

/// What can be configured about groups; defaults are Kafka's, times in milliseconds.
package struct GroupOptions: Sendable {
    /// How long a new group waits for more members before its first rebalance; each that joins extends it by as much, up
    /// to the members' rebalance timeout. 0 in tests.
    package var initialRebalanceDelayMillis: Int64 = 3_000
    package var sessionTimeoutMillisMin: Int32 = 6_000
    package var sessionTimeoutMillisMax: Int32 = 1_800_000
    package var groupMembersMax = Int(Int32.max)
    package var offsetMetadataBytesMax = 4_096
    /// After a group became empty (without subscription: after the commit) its offsets are kept this long.
    package var offsetsRetentionMillis: Int64 = 7 * 24 * 3_600_000
    package var offsetsRetentionCheckMillis: Int64 = 600_000
    /// A member that joins for the first time and is never heard of again while its join waits, is dropped after this.
    package var newMemberJoinMillis: Int64 = 300_000
    /// KIP-848: fixed by the server rather than by the member.
    package var consumerSessionTimeoutMillis: Int64 = 45_000
    package var consumerHeartbeatIntervalMillis: Int32 = 5_000
    package var consumerGroupMembersMax = Int(Int32.max)
    /// Longest accepted topic pattern, in bytes, and the states its automaton may have.
    package var patternBytesMax = 4_096

    package init() {}
}

/// What groups need to know of a topic.
package struct TopicFacts: Sendable, Equatable {
    package var name: String
    package var id: TopicID
    package var partitions: Int32

    package init(name: String, id: TopicID, partitions: Int32) {
        self.name = name
        self.id = id
        self.partitions = partitions
    }
}
