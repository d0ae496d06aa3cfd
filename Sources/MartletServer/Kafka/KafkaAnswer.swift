internal import MartletKafka

/// An answer as metrics and quotas see it.
protocol KafkaAnswer: KafkaMessage {
    /// Tells the client how long it will not be read from; nothing where the message has no place for it.
    mutating func setThrottle(millis: Int32)
    /// Every error code in it that is not success.
    func forEachError(_ body: (Int16) -> Void)
}

extension KafkaAnswer {
    mutating func setThrottle(millis: Int32) {}
    func forEachError(_ body: (Int16) -> Void) {}
}

/// Passes on what is no success.
private func tell(_ code: Int16, _ body: (Int16) -> Void) {
    if code != 0 { body(code) }
}

extension AddOffsetsToTxnResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension AddPartitionsToTxnResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in resultsByTransaction {
            for inner in outer.topicResults {
                for innermost in inner.resultsByPartition { tell(innermost.partitionErrorCode, body) }
            }
        }
        for outer in resultsByTopicV3AndBelow {
            for inner in outer.resultsByPartition { tell(inner.partitionErrorCode, body) }
        }
    }
}

extension AlterClientQuotasResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in entries { tell(outer.errorCode, body) } }
}

extension AlterConfigsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in responses { tell(outer.errorCode, body) } }
}

extension ApiVersionsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension ConsumerGroupDescribeResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in groups { tell(outer.errorCode, body) } }
}

extension ConsumerGroupHeartbeatResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension CreateAclsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in results { tell(outer.errorCode, body) } }
}

extension CreatePartitionsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in results { tell(outer.errorCode, body) } }
}

extension CreateTopicsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in topics { tell(outer.errorCode, body) } }
}

extension DeleteAclsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in filterResults {
            tell(outer.errorCode, body)
            for inner in outer.matchingAcls { tell(inner.errorCode, body) }
        }
    }
}

extension DeleteGroupsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in results { tell(outer.errorCode, body) } }
}

extension DeleteRecordsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension DeleteTopicsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in responses { tell(outer.errorCode, body) } }
}

extension DescribeAclsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension DescribeClientQuotasResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension DescribeClusterResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension DescribeConfigsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in results { tell(outer.errorCode, body) } }
}

extension DescribeGroupsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in groups { tell(outer.errorCode, body) } }
}

extension DescribeLogDirsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in results { tell(outer.errorCode, body) }
    }
}

extension DescribeProducersResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension DescribeTransactionsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in transactionStates { tell(outer.errorCode, body) } }
}

extension EndTxnResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension FetchResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in responses {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension FindCoordinatorResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in coordinators { tell(outer.errorCode, body) }
    }
}

extension HeartbeatResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension IncrementalAlterConfigsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { for outer in responses { tell(outer.errorCode, body) } }
}

extension InitProducerIdResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension JoinGroupResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension LeaveGroupResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in members { tell(outer.errorCode, body) }
    }
}

extension ListGroupsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension ListOffsetsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension ListTransactionsResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension MetadataResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            tell(outer.errorCode, body)
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension OffsetCommitResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension OffsetDeleteResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        tell(errorCode, body)
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension OffsetFetchResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
        tell(errorCode, body)
        for outer in groups {
            for inner in outer.topics {
                for innermost in inner.partitions { tell(innermost.errorCode, body) }
            }
            tell(outer.errorCode, body)
        }
    }
}

extension OffsetForLeaderEpochResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}

extension ProduceResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in responses {
            for inner in outer.partitionResponses { tell(inner.errorCode, body) }
        }
    }
}

extension SaslAuthenticateResponse: KafkaAnswer {
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension SaslHandshakeResponse: KafkaAnswer {
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension SyncGroupResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) { tell(errorCode, body) }
}

extension TxnOffsetCommitResponse: KafkaAnswer {
    mutating func setThrottle(millis: Int32) { throttleTimeMs = millis }
    func forEachError(_ body: (Int16) -> Void) {
        for outer in topics {
            for inner in outer.partitions { tell(inner.errorCode, body) }
        }
    }
}
