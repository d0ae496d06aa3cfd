internal import MartletKafka
internal import MartletLog

extension ErrorCode {
    /// What a client is told of a refused append.
    init(_ refusal: AppendRefusal) {
        switch refusal {
        case .unknownPartition: self = .unknownTopicOrPartition
        case .outOfOrderSequence: self = .outOfOrderSequenceNumber
        case .invalidProducerEpoch: self = .invalidProducerEpoch
        case .invalidTransactionState: self = .invalidTxnState
        case .invalidRecord: self = .invalidRecord
        case .tooLarge: self = .messageTooLarge
        case .throttled: self = .requestTimedOut
        case .outOfSpace, .unavailable: self = .kafkaStorageError
        }
    }

    /// What a client is told of a batch that was not even offered to the log.
    init(_ error: BatchError) {
        switch error {
        case .corrupt: self = .corruptMessage
        case .unsupportedMagic: self = .unsupportedForMessageFormat
        case .unsupportedCodec: self = .unsupportedCompressionType
        case .invalid: self = .invalidRecord
        case .invalidTimestamp: self = .invalidTimestamp
        case .tooLarge: self = .messageTooLarge
        }
    }

    /// What a client is told of a call to the log that failed.
    init(_ error: LogError) {
        switch error {
        case .corrupt, .unsupported, .io, .outOfSpace, .fatal, .closed: self = .kafkaStorageError
        case .throttled: self = .requestTimedOut
        case .unknownTopic, .unknownPartition: self = .unknownTopicOrPartition
        case .offsetOutOfRange: self = .offsetOutOfRange
        case .topicExists: self = .topicAlreadyExists
        case .invalidTopicName: self = .invalidTopicException
        case .invalidPartitionCount: self = .invalidPartitions
        case .invalidConfiguration: self = .invalidConfig
        case .refused(_, let refusal): self.init(refusal)
        }
    }
}
