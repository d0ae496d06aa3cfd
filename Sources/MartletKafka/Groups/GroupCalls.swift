package import MartletLog

/// Requests to and answers of `GroupCoordinator`: the protocol's content without its bytes. A `version` is the API's
/// version on the wire, where behaviour depends on it.

/// A partition as the offset APIs name it.
package struct NamedPartition: Hashable, Sendable, Comparable {
    package var topic: String
    package var partition: Int32

    package init(_ topic: String, _ partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    package static func < (left: NamedPartition, right: NamedPartition) -> Bool {
        left.topic != right.topic ? left.topic < right.topic : left.partition < right.partition
    }
}

/// Who sends a request, for descriptions and names of members.
package struct ClientFacts: Sendable, Equatable {
    package var clientID: String
    package var host: String

    package init(clientID: String, host: String) {
        self.clientID = clientID
        self.host = host
    }
}

/// Who claims to commit, sync, beat or leave: `memberID` is empty and `generation` −1 for a consumer outside the group.
package struct MemberClaim: Sendable, Equatable {
    package var groupID: String
    package var memberID: String
    package var instanceID: String?
    /// Generation of a classic group, member epoch of a consumer group.
    package var generation: Int32

    package init(groupID: String, memberID: String = "", instanceID: String? = nil, generation: Int32 = -1) {
        self.groupID = groupID
        self.memberID = memberID
        self.instanceID = instanceID
        self.generation = generation
    }
}

/// One way of assigning that a classic member can follow, with what it tells the leader.
package struct GroupProtocol: Sendable, Equatable {
    package var name: String
    package var metadata: [UInt8]

    package init(name: String, metadata: [UInt8]) {
        self.name = name
        self.metadata = metadata
    }
}

package struct JoinCall: Sendable {
    package var version: Int16
    package var client: ClientFacts
    package var groupID: String
    package var memberID: String
    package var instanceID: String?
    package var sessionTimeoutMillis: Int32
    /// −1 (version 0): the session timeout.
    package var rebalanceTimeoutMillis: Int32
    package var protocolType: String
    package var protocols: [GroupProtocol]

    package init(
        version: Int16, client: ClientFacts, groupID: String, memberID: String, instanceID: String?, sessionTimeoutMillis: Int32,
        rebalanceTimeoutMillis: Int32, protocolType: String, protocols: [GroupProtocol]
    ) {
        self.version = version
        self.client = client
        self.groupID = groupID
        self.memberID = memberID
        self.instanceID = instanceID
        self.sessionTimeoutMillis = sessionTimeoutMillis
        self.rebalanceTimeoutMillis = rebalanceTimeoutMillis
        self.protocolType = protocolType
        self.protocols = protocols
    }
}

package struct JoinAnswer: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var memberID: String
        package var instanceID: String?
        package var metadata: [UInt8]
    }

    package var error: ErrorCode
    package var generation: Int32 = -1
    package var protocolType: String?
    package var protocolName: String?
    package var leaderID = ""
    /// Version 9: the leader need not compute an assignment.
    package var skipsAssignment = false
    package var memberID: String
    /// For the leader only.
    package var members: [Member] = []

    package init(error: ErrorCode, memberID: String) {
        self.error = error
        self.memberID = memberID
    }
}

package struct SyncCall: Sendable {
    package var claim: MemberClaim
    /// Version 5; nil where the request has none.
    package var protocolType: String?
    package var protocolName: String?
    package var assignments: [(memberID: String, assignment: [UInt8])]

    package init(
        claim: MemberClaim, protocolType: String? = nil, protocolName: String? = nil,
        assignments: [(memberID: String, assignment: [UInt8])] = []
    ) {
        self.claim = claim
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignments = assignments
    }
}

package struct SyncAnswer: Sendable, Equatable {
    package var error: ErrorCode
    package var protocolType: String?
    package var protocolName: String?
    package var assignment: [UInt8] = []
}

package struct LeaveCall: Sendable {
    package struct Member: Sendable {
        package var memberID: String
        package var instanceID: String?

        package init(memberID: String, instanceID: String? = nil) {
            self.memberID = memberID
            self.instanceID = instanceID
        }
    }

    package var groupID: String
    /// One below version 3; its error is then the answer's own.
    package var members: [Member]

    package init(groupID: String, members: [Member]) {
        self.groupID = groupID
        self.members = members
    }
}

package struct LeaveAnswer: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var memberID: String
        package var instanceID: String?
        package var error: ErrorCode
    }

    package var error: ErrorCode
    /// As many as asked for, in their order; below version 3 the server takes the error of the first.
    package var members: [Member] = []
}

package struct OffsetCommitCall: Sendable {
    package struct Partition: Sendable {
        package var partition: NamedPartition
        package var offset: Int64
        package var leaderEpoch: Int32
        package var metadata: String

        package init(_ partition: NamedPartition, offset: Int64, leaderEpoch: Int32 = -1, metadata: String = "") {
            self.partition = partition
            self.offset = offset
            self.leaderEpoch = leaderEpoch
            self.metadata = metadata
        }
    }

    package var version: Int16
    package var claim: MemberClaim
    /// Milliseconds, versions 2 to 4; −1: as configured.
    package var retentionMillis: Int64 = -1
    package var partitions: [Partition]

    package init(version: Int16, claim: MemberClaim, retentionMillis: Int64 = -1, partitions: [Partition]) {
        self.version = version
        self.claim = claim
        self.retentionMillis = retentionMillis
        self.partitions = partitions
    }
}

/// An error per partition, in the order asked for; or one for the whole request.
package struct PartitionOutcomes: Sendable, Equatable {
    package struct Partition: Sendable, Equatable {
        package var partition: NamedPartition
        package var error: ErrorCode
    }

    /// For OffsetDelete, which has a place for it. OffsetCommit and TxnOffsetCommit repeat it at every partition.
    package var error: ErrorCode = .noError
    package var partitions: [Partition] = []
}

package struct OffsetFetchCall: Sendable {
    package struct Group: Sendable {
        package var groupID: String
        /// Version 9.
        package var memberID: String?
        package var memberEpoch: Int32 = -1
        /// nil: every partition with an offset.
        package var partitions: [NamedPartition]?

        package init(groupID: String, memberID: String? = nil, memberEpoch: Int32 = -1, partitions: [NamedPartition]?) {
            self.groupID = groupID
            self.memberID = memberID
            self.memberEpoch = memberEpoch
            self.partitions = partitions
        }
    }

    package var groups: [Group]
    package var requiresStable: Bool

    package init(groups: [Group], requiresStable: Bool = false) {
        self.groups = groups
        self.requiresStable = requiresStable
    }
}

package struct FetchedGroupOffsets: Sendable, Equatable {
    package struct Partition: Sendable, Equatable {
        package var partition: NamedPartition
        /// −1: none.
        package var offset: Int64 = -1
        package var leaderEpoch: Int32 = -1
        package var metadata = ""
        package var error: ErrorCode = .noError
    }

    package var groupID: String
    package var error: ErrorCode = .noError
    package var partitions: [Partition] = []
}

package struct TxnOffsetCommitCall: Sendable {
    package var version: Int16
    package var transactionalID: String
    package var producerID: Int64
    package var producerEpoch: Int16
    package var claim: MemberClaim
    package var partitions: [OffsetCommitCall.Partition]

    package init(
        version: Int16, transactionalID: String, producerID: Int64, producerEpoch: Int16, claim: MemberClaim,
        partitions: [OffsetCommitCall.Partition]
    ) {
        self.version = version
        self.transactionalID = transactionalID
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.claim = claim
        self.partitions = partitions
    }
}

/// DescribeGroups. `state` is one of Kafka's names; an unknown group is "Dead" (and GROUP_ID_NOT_FOUND from version 6).
package struct DescribedGroup: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var memberID: String
        package var instanceID: String?
        package var client: ClientFacts
        package var metadata: [UInt8]
        package var assignment: [UInt8]
    }

    package var groupID: String
    package var error: ErrorCode = .noError
    package var state = "Dead"
    package var protocolType = ""
    package var protocolName = ""
    package var members: [Member] = []
}

package struct ListedGroup: Sendable, Equatable {
    package var groupID: String
    package var protocolType: String
    package var state: String
    /// "classic" or "consumer".
    package var type: String
}

package struct GroupOutcome: Sendable, Equatable {
    package var groupID: String
    package var error: ErrorCode
}

/// ConsumerGroupHeartbeat (KIP-848). nil: not said, unchanged since the last heartbeat.
package struct ConsumerHeartbeatCall: Sendable {
    package var version: Int16
    package var client: ClientFacts
    package var groupID: String
    package var memberID: String
    /// 0 joins, −1 leaves, −2 leaves for now (static member).
    package var memberEpoch: Int32
    package var instanceID: String?
    package var rackID: String?
    /// −1: not said.
    package var rebalanceTimeoutMillis: Int32 = -1
    package var subscribedTopics: [String]?
    /// Version 1; "" ends a subscription by pattern.
    package var subscribedPattern: String?
    package var assignor: String?
    package var ownedPartitions: [TopicPartition]?

    package init(version: Int16, client: ClientFacts, groupID: String, memberID: String, memberEpoch: Int32) {
        self.version = version
        self.client = client
        self.groupID = groupID
        self.memberID = memberID
        self.memberEpoch = memberEpoch
    }
}

package struct ConsumerHeartbeatAnswer: Sendable, Equatable {
    package var error: ErrorCode = .noError
    package var message: String?
    package var memberID: String?
    package var memberEpoch: Int32 = 0
    package var heartbeatIntervalMillis: Int32 = 0
    /// nil: unchanged. Ascending.
    package var assignment: [TopicPartition]?
}

package struct DescribedConsumerGroup: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var memberID: String
        package var instanceID: String?
        package var rackID: String?
        package var memberEpoch: Int32
        package var client: ClientFacts
        package var subscribedTopics: [String]
        package var subscribedPattern: String?
        package var assignment: [TopicPartition]
        package var targetAssignment: [TopicPartition]
    }

    package var groupID: String
    package var error: ErrorCode = .noError
    package var message: String?
    package var state = ""
    package var groupEpoch: Int32 = 0
    package var assignmentEpoch: Int32 = 0
    package var assignor = ""
    package var members: [Member] = []
}
