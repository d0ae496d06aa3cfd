/// The protocol's error codes.
package enum ErrorCode: Int16, CaseIterable, Sendable, Hashable, Error {
    case unknownServerError = -1
    case noError = 0
    case offsetOutOfRange = 1
    case corruptMessage = 2
    case unknownTopicOrPartition = 3
    case invalidFetchSize = 4
    case leaderNotAvailable = 5
    case notLeaderOrFollower = 6
    case requestTimedOut = 7
    case brokerNotAvailable = 8
    case replicaNotAvailable = 9
    case messageTooLarge = 10
    case staleControllerEpoch = 11
    case offsetMetadataTooLarge = 12
    case networkException = 13
    case coordinatorLoadInProgress = 14
    case coordinatorNotAvailable = 15
    case notCoordinator = 16
    case invalidTopicException = 17
    case recordListTooLarge = 18
    case notEnoughReplicas = 19
    case notEnoughReplicasAfterAppend = 20
    case invalidRequiredAcks = 21
    case illegalGeneration = 22
    case inconsistentGroupProtocol = 23
    case invalidGroupId = 24
    case unknownMemberId = 25
    case invalidSessionTimeout = 26
    case rebalanceInProgress = 27
    case invalidCommitOffsetSize = 28
    case topicAuthorizationFailed = 29
    case groupAuthorizationFailed = 30
    case clusterAuthorizationFailed = 31
    case invalidTimestamp = 32
    case unsupportedSaslMechanism = 33
    case illegalSaslState = 34
    case unsupportedVersion = 35
    case topicAlreadyExists = 36
    case invalidPartitions = 37
    case invalidReplicationFactor = 38
    case invalidReplicaAssignment = 39
    case invalidConfig = 40
    case notController = 41
    case invalidRequest = 42
    case unsupportedForMessageFormat = 43
    case policyViolation = 44
    case outOfOrderSequenceNumber = 45
    case duplicateSequenceNumber = 46
    case invalidProducerEpoch = 47
    case invalidTxnState = 48
    case invalidProducerIdMapping = 49
    case invalidTransactionTimeout = 50
    case concurrentTransactions = 51
    case transactionCoordinatorFenced = 52
    case transactionalIdAuthorizationFailed = 53
    case securityDisabled = 54
    case operationNotAttempted = 55
    case kafkaStorageError = 56
    case logDirNotFound = 57
    case saslAuthenticationFailed = 58
    case unknownProducerId = 59
    case reassignmentInProgress = 60
    case delegationTokenAuthDisabled = 61
    case delegationTokenNotFound = 62
    case delegationTokenOwnerMismatch = 63
    case delegationTokenRequestNotAllowed = 64
    case delegationTokenAuthorizationFailed = 65
    case delegationTokenExpired = 66
    case invalidPrincipalType = 67
    case nonEmptyGroup = 68
    case groupIdNotFound = 69
    case fetchSessionIdNotFound = 70
    case invalidFetchSessionEpoch = 71
    case listenerNotFound = 72
    case topicDeletionDisabled = 73
    case fencedLeaderEpoch = 74
    case unknownLeaderEpoch = 75
    case unsupportedCompressionType = 76
    case staleBrokerEpoch = 77
    case offsetNotAvailable = 78
    case memberIdRequired = 79
    case preferredLeaderNotAvailable = 80
    case groupMaxSizeReached = 81
    case fencedInstanceId = 82
    case eligibleLeadersNotAvailable = 83
    case electionNotNeeded = 84
    case noReassignmentInProgress = 85
    case groupSubscribedToTopic = 86
    case invalidRecord = 87
    case unstableOffsetCommit = 88
    case throttlingQuotaExceeded = 89
    case producerFenced = 90
    case resourceNotFound = 91
    case duplicateResource = 92
    case unacceptableCredential = 93
    case inconsistentVoterSet = 94
    case invalidUpdateVersion = 95
    case featureUpdateFailed = 96
    case principalDeserializationFailure = 97
    case snapshotNotFound = 98
    case positionOutOfRange = 99
    case unknownTopicId = 100
    case duplicateBrokerRegistration = 101
    case brokerIdNotRegistered = 102
    case inconsistentTopicId = 103
    case inconsistentClusterId = 104
    case transactionalIdNotFound = 105
    case fetchSessionTopicIdError = 106
    case ineligibleReplica = 107
    case newLeaderElected = 108
    case offsetMovedToTieredStorage = 109
    case fencedMemberEpoch = 110
    case unreleasedInstanceId = 111
    case unsupportedAssignor = 112
    case staleMemberEpoch = 113
    case mismatchedEndpointType = 114
    case unsupportedEndpointType = 115
    case unknownControllerId = 116
    case unknownSubscriptionId = 117
    case telemetryTooLarge = 118
    case invalidRegistration = 119
    case transactionAbortable = 120
    case invalidRecordState = 121
    case shareSessionNotFound = 122
    case invalidShareSessionEpoch = 123
    case fencedStateEpoch = 124
    case invalidVoterKey = 125
    case duplicateVoter = 126
    case voterNotFound = 127
    case invalidRegularExpression = 128
    case rebootstrapRequired = 129

    /// The protocol's name, as in `UNKNOWN_TOPIC_OR_PARTITION`.
    package var name: String {
        if self == .noError { return "NONE" }
        var name = ""
        for character in "\(self)" {
            if character.isUppercase { name.append("_") }
            name.append(character.uppercased())
        }
        return name
    }

    /// The client's library may repeat the request without anybody doing anything. Which codes these are is fixed by Kafka's
    /// clients, which act on the code alone.
    package var isRetriable: Bool {
        switch self {
        case .corruptMessage, .unknownTopicOrPartition, .leaderNotAvailable, .notLeaderOrFollower, .requestTimedOut,
            .replicaNotAvailable, .networkException, .coordinatorLoadInProgress, .coordinatorNotAvailable, .notCoordinator,
            .notEnoughReplicas, .notEnoughReplicasAfterAppend, .notController, .concurrentTransactions, .kafkaStorageError,
            .fetchSessionIdNotFound, .invalidFetchSessionEpoch, .listenerNotFound, .fencedLeaderEpoch, .unknownLeaderEpoch,
            .offsetNotAvailable, .preferredLeaderNotAvailable, .eligibleLeadersNotAvailable, .electionNotNeeded,
            .unstableOffsetCommit, .throttlingQuotaExceeded, .unknownTopicId, .inconsistentTopicId, .fetchSessionTopicIdError,
            .shareSessionNotFound, .invalidShareSessionEpoch:
            true
        default: false
        }
    }

    /// A sentence for the message fields of responses and for the command line; empty for `noError`.
    package var message: String {
        switch self {
        case .unknownServerError: "The server met an error that it did not expect."
        case .noError: ""
        case .offsetOutOfRange: "The partition has no such offset."
        case .corruptMessage: "The records fail their checksum, have an impossible size, or lack a key on a compacted topic."
        case .unknownTopicOrPartition: "This server has no such topic or partition."
        case .invalidFetchSize: "The size to fetch is not possible."
        case .leaderNotAvailable: "The partition has no leader at the moment."
        case .notLeaderOrFollower: "The partition is led elsewhere."
        case .requestTimedOut: "The request took longer than its time limit."
        case .brokerNotAvailable: "The broker cannot be reached."
        case .replicaNotAvailable: "The replica cannot be read at the moment."
        case .messageTooLarge: "The records are larger than the topic's max.message.bytes."
        case .staleControllerEpoch: "The controller has been replaced by a newer one."
        case .offsetMetadataTooLarge: "The metadata of an offset is larger than the server accepts."
        case .networkException: "The connection ended before the answer came."
        case .coordinatorLoadInProgress: "The coordinator is still loading."
        case .coordinatorNotAvailable: "There is no coordinator at the moment."
        case .notCoordinator: "This server does not coordinate the group or the transaction."
        case .invalidTopicException: "The topic's name is not valid, or the operation is not allowed on it."
        case .recordListTooLarge: "The request holds more records than a segment has room for."
        case .notEnoughReplicas: "Fewer replicas are in sync than the topic demands."
        case .notEnoughReplicasAfterAppend: "The records were written, to fewer replicas than the topic demands."
        case .invalidRequiredAcks: "The acknowledgements asked for are none of 0, 1 and -1."
        case .illegalGeneration: "The generation is not the group's."
        case .inconsistentGroupProtocol: "The member shares no protocol with the group."
        case .invalidGroupId: "The group's name is not valid."
        case .unknownMemberId: "The group has no such member."
        case .invalidSessionTimeout: "The session timeout is outside of what the server allows."
        case .rebalanceInProgress: "The group is rebalancing: join again."
        case .invalidCommitOffsetSize: "The committed offsets are more than the server accepts at once."
        case .topicAuthorizationFailed: "Not allowed on this topic."
        case .groupAuthorizationFailed: "Not allowed on this group."
        case .clusterAuthorizationFailed: "Not allowed on the cluster."
        case .invalidTimestamp: "A timestamp is outside of what the topic accepts."
        case .unsupportedSaslMechanism: "The server does not speak this SASL mechanism."
        case .illegalSaslState: "The request does not fit the state of the authentication."
        case .unsupportedVersion: "The server does not speak this version of the request."
        case .topicAlreadyExists: "There is a topic of this name."
        case .invalidPartitions: "The number of partitions is not possible."
        case .invalidReplicationFactor: "The replication factor is not possible with this number of brokers."
        case .invalidReplicaAssignment: "The assignment of replicas is not possible."
        case .invalidConfig: "The setting or its value is not valid."
        case .notController: "This server is not the controller."
        case .invalidRequest: "The request contradicts itself or lacks something."
        case .unsupportedForMessageFormat: "The format of the stored records cannot do this."
        case .policyViolation: "A policy of the server forbids the request."
        case .outOfOrderSequenceNumber: "A producer's sequence number does not follow the one before."
        case .duplicateSequenceNumber: "A producer's sequence number was seen before."
        case .invalidProducerEpoch: "A newer producer with this identity has begun."
        case .invalidTxnState: "The operation does not fit the state of the transaction."
        case .invalidProducerIdMapping: "The producer id is not the one of this transactional id."
        case .invalidTransactionTimeout: "The transaction timeout is above transaction.max.timeout.ms."
        case .concurrentTransactions: "The producer's previous transaction is still being completed."
        case .transactionCoordinatorFenced: "The transaction coordinator has been replaced by a newer one."
        case .transactionalIdAuthorizationFailed: "Not allowed on this transactional id."
        case .securityDisabled: "The server runs without this part of security."
        case .operationNotAttempted: "Nothing was tried, since another part of the request failed."
        case .kafkaStorageError: "The server's disk failed."
        case .logDirNotFound: "The server has no such log directory."
        case .saslAuthenticationFailed: "Authentication failed."
        case .unknownProducerId: "The partition knows nothing of the producer any more."
        case .reassignmentInProgress: "The partition is being reassigned."
        case .delegationTokenAuthDisabled: "Delegation tokens are not enabled."
        case .delegationTokenNotFound: "There is no such delegation token."
        case .delegationTokenOwnerMismatch: "The delegation token belongs to somebody else."
        case .delegationTokenRequestNotAllowed: "Delegation tokens are not handed out on this connection."
        case .delegationTokenAuthorizationFailed: "Not allowed on this delegation token."
        case .delegationTokenExpired: "The delegation token has expired."
        case .invalidPrincipalType: "The type of principal is not supported."
        case .nonEmptyGroup: "The group has members."
        case .groupIdNotFound: "There is no such group."
        case .fetchSessionIdNotFound: "The server has no such fetch session."
        case .invalidFetchSessionEpoch: "The epoch does not follow that of the fetch session."
        case .listenerNotFound: "The leader does not listen where the request came in."
        case .topicDeletionDisabled: "Topics cannot be deleted on this server."
        case .fencedLeaderEpoch: "The leader epoch is older than the server's."
        case .unknownLeaderEpoch: "The leader epoch is newer than the server's."
        case .unsupportedCompressionType: "The client cannot read the compression of these records."
        case .staleBrokerEpoch: "The broker has been registered anew."
        case .offsetNotAvailable: "The leader does not know its high watermark yet."
        case .memberIdRequired: "Join again with the member id of this answer."
        case .preferredLeaderNotAvailable: "The preferred leader is not available."
        case .groupMaxSizeReached: "The group has as many members as it may have."
        case .fencedInstanceId: "Another member has taken over this instance id."
        case .eligibleLeadersNotAvailable: "No replica can become the leader."
        case .electionNotNeeded: "The partition has the leader it should have."
        case .noReassignmentInProgress: "The partition is not being reassigned."
        case .groupSubscribedToTopic: "A member of the group subscribes to the topic."
        case .invalidRecord: "A record breaks a rule of the topic or of the format."
        case .unstableOffsetCommit: "A transaction that commits offsets of the group is still open."
        case .throttlingQuotaExceeded: "A quota is used up."
        case .producerFenced: "A newer producer with this transactional id has begun."
        case .resourceNotFound: "There is no such resource."
        case .duplicateResource: "There is such a resource already."
        case .unacceptableCredential: "The credential is not one that the server accepts."
        case .inconsistentVoterSet: "The voters differ from those the receiver knows."
        case .invalidUpdateVersion: "The version of the update is not possible."
        case .featureUpdateFailed: "The features could not be updated."
        case .principalDeserializationFailure: "The forwarded principal cannot be read."
        case .snapshotNotFound: "There is no such snapshot."
        case .positionOutOfRange: "The snapshot has no such position."
        case .unknownTopicId: "This server has no topic with this id."
        case .duplicateBrokerRegistration: "The broker is registered already."
        case .brokerIdNotRegistered: "The broker is not registered."
        case .inconsistentTopicId: "The topic's id is not that of its log."
        case .inconsistentClusterId: "The request is meant for another cluster."
        case .transactionalIdNotFound: "There is no such transactional id."
        case .fetchSessionTopicIdError: "The fetch session names topics both by name and by id."
        case .ineligibleReplica: "The replica cannot be in sync."
        case .newLeaderElected: "The change led to a new leader."
        case .offsetMovedToTieredStorage: "The offset is in tiered storage."
        case .fencedMemberEpoch: "The member's epoch is not the group's: join again."
        case .unreleasedInstanceId: "The instance id is still held by another member."
        case .unsupportedAssignor: "The group has no such assignor."
        case .staleMemberEpoch: "The member's epoch is out of date: repeat after the next heartbeat."
        case .mismatchedEndpointType: "The request was sent to the wrong kind of endpoint."
        case .unsupportedEndpointType: "The kind of endpoint is not supported."
        case .unknownControllerId: "There is no such controller."
        case .unknownSubscriptionId: "The telemetry subscription is out of date."
        case .telemetryTooLarge: "The telemetry is larger than the server accepts."
        case .invalidRegistration: "The registration is not valid."
        case .transactionAbortable: "The transaction can only be aborted."
        case .invalidRecordState: "The state of the record does not allow this."
        case .shareSessionNotFound: "The server has no such share session."
        case .invalidShareSessionEpoch: "The epoch does not follow that of the share session."
        case .fencedStateEpoch: "The state's epoch is older than the server's."
        case .invalidVoterKey: "The key is not that of the voter."
        case .duplicateVoter: "The voter is one already."
        case .voterNotFound: "There is no such voter."
        case .invalidRegularExpression: "The regular expression is not valid."
        case .rebootstrapRequired: "The client must find the cluster anew."
        }
    }
}
