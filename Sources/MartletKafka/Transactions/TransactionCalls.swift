package import MartletLog

/// Requests to and answers of `TransactionCoordinator`: the protocol's content without its bytes.

/// What can be configured about transactions; defaults are Kafka's, times in milliseconds.
package struct TransactionOptions: Sendable {
    package var timeoutMillisMax: Int32 = 900_000
    /// A transactional id unused for this long is forgotten.
    package var expirationMillis: Int64 = 7 * 24 * 3_600_000
    package var expirationCheckMillis: Int64 = 3_600_000

    package init() {}
}

package struct InitProducerCall: Sendable {
    package var version: Int16
    /// nil: an idempotent producer without transactions.
    package var transactionalID: String?
    package var timeoutMillis: Int32
    /// From version 3: what the producer has and wants to continue with; −1: nothing.
    package var producerID: Int64 = -1
    package var producerEpoch: Int16 = -1

    package init(version: Int16, transactionalID: String?, timeoutMillis: Int32, producerID: Int64 = -1, producerEpoch: Int16 = -1) {
        self.version = version
        self.transactionalID = transactionalID
        self.timeoutMillis = timeoutMillis
        self.producerID = producerID
        self.producerEpoch = producerEpoch
    }
}

package struct InitProducerAnswer: Sendable, Equatable {
    package var error: ErrorCode
    package var producerID: Int64 = -1
    package var producerEpoch: Int16 = -1
}

/// A producer as it presents itself in a transactional request.
package struct ProducerClaim: Sendable, Equatable {
    package var transactionalID: String
    package var producerID: Int64
    package var epoch: Int16

    package init(transactionalID: String, producerID: Int64, epoch: Int16) {
        self.transactionalID = transactionalID
        self.producerID = producerID
        self.epoch = epoch
    }
}

package struct TransactionPartitionOutcome: Sendable, Equatable {
    package var partition: TopicPartition
    package var error: ErrorCode
}

package struct EndTransactionAnswer: Sendable, Equatable {
    package var error: ErrorCode
    /// From version 5: what the producer continues with; −1 below.
    package var producerID: Int64 = -1
    package var producerEpoch: Int16 = -1
}

package struct DescribedTransaction: Sendable, Equatable {
    package var transactionalID: String
    package var error: ErrorCode = .noError
    /// Kafka's name: "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort".
    package var state = ""
    package var timeoutMillis: Int32 = 0
    /// Milliseconds since 1970-01-01 UTC; −1: no transaction is open.
    package var startMillis: Int64 = -1
    package var producerID: Int64 = -1
    package var producerEpoch: Int16 = -1
    package var partitions: [TopicPartition] = []
}

package struct ListTransactionsCall: Sendable {
    package var states: [String]
    package var producerIDs: [Int64]
    /// Only transactions open for at least this many milliseconds; −1: all.
    package var durationMillis: Int64

    package init(states: [String] = [], producerIDs: [Int64] = [], durationMillis: Int64 = -1) {
        self.states = states
        self.producerIDs = producerIDs
        self.durationMillis = durationMillis
    }
}

package struct ListTransactionsAnswer: Sendable, Equatable {
    package struct Transaction: Sendable, Equatable {
        package var transactionalID: String
        package var producerID: Int64
        package var state: String
    }

    package var unknownStates: [String] = []
    package var transactions: [Transaction] = []
}
