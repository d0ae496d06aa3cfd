/// What goes into the log and what comes out: the values of `Log`'s calls.

/// A topic as the catalog shows it.
package struct Topic: Sendable, Equatable {
    package var id: TopicID
    package var name: String
    /// Partitions are numbered 0 ..< partitions.
    package var partitions: Int32
    package var configuration: TopicConfiguration
    /// Milliseconds since 1970-01-01 UTC.
    package var createdMillis: Int64
    /// Made by Martlet for itself; clients see it marked so.
    package var isInternal: Bool
}

/// Drawers of the ordered, durable map that coordinators and the server keep their state in. The number is on disk and
/// never changes its meaning.
package enum EntrySpace: UInt8, Sendable, CaseIterable {
    /// Facts of the deployment: cluster id, format switches.
    case meta = 0
    /// Consumer groups.
    case group = 1
    /// Committed offsets.
    case offset = 2
    /// Transactional ids.
    case transaction = 3
    /// Client quotas.
    case quota = 4
    /// Users and access rules.
    case access = 5
    /// Where pipelines' sources stand.
    case pipeline = 6
    /// Broker-level dynamic configuration.
    case configuration = 7
    /// Requests that are carried out once, by the key that came with them.
    case request = 8
}

/// Sets or removes one entry.
package struct EntryChange: Sendable, Equatable {
    package var space: EntrySpace
    package var key: [UInt8]
    /// nil removes the entry.
    package var value: [UInt8]?

    package init(_ space: EntrySpace, key: [UInt8], value: [UInt8]?) {
        self.space = space
        self.key = key
        self.value = value
    }
}

/// One entry as it stands.
package struct Entry: Sendable, Equatable {
    package var key: [UInt8]
    package var value: [UInt8]

    package init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// A batch on its way into a partition.
package struct Append: Sendable {
    package var partition: TopicPartition
    /// One whole record batch (magic 2) that `RecordBatch.validate` has accepted. The log takes the bytes over and writes
    /// the assigned offset into them: nobody else may hold the slice's bytes for reading or hand them in twice.
    package var batch: ByteSlice
    /// What validation found has to change in the batch (`ValidatedBatch.timestamps`).
    package var timestamps: RecordBatch.TimestampChange

    package init(_ partition: TopicPartition, _ batch: ByteSlice, timestamps: RecordBatch.TimestampChange = .none) {
        self.partition = partition
        self.batch = batch
        self.timestamps = timestamps
    }
}

/// What became of one `Append` of a produce request.
package enum AppendOutcome: Sendable, Equatable {
    /// `logAppendMillis` is −1 where the topic keeps the producer's timestamps.
    case appended(baseOffset: Int64, logAppendMillis: Int64, logStartOffset: Int64)
    /// An exact repeat of one of the producer's last five batches: the original's offset.
    case duplicate(baseOffset: Int64, logStartOffset: Int64)
    case refused(AppendRefusal)
}

/// A producer id and the lowest epoch that may still write with it.
package struct ProducerFence: Sendable, Equatable {
    package var producerID: Int64
    /// nil forgets the producer id.
    package var epoch: Int16?

    package init(producerID: Int64, epoch: Int16?) {
        self.producerID = producerID
        self.epoch = epoch
    }
}

/// Everything that becomes true together.
package struct Commit: Sendable {
    package var appends: [Append]
    package var entries: [EntryChange]
    package var fences: [ProducerFence]

    package init(appends: [Append] = [], entries: [EntryChange] = [], fences: [ProducerFence] = []) {
        self.appends = appends
        self.entries = entries
        self.fences = fences
    }
}

/// A commit that is in the journal's queue.
package struct Committed: Sendable, Equatable {
    /// When this is durable the commit is true for the world (`Log.whenDurable`).
    package var sequence: UInt64
    /// The first offset of each append, in order.
    package var baseOffsets: [Int64]
}

/// How a transaction ends.
package struct TransactionEnd: Sendable {
    package var producerID: Int64
    /// The epoch the markers carry: under transaction.version 2 the one after the transaction's own. The partitions refuse
    /// lower ones from then on.
    package var producerEpoch: Int16
    /// Committed, or aborted.
    package var isCommit: Bool
    /// Where markers go. Partitions that do not exist (any more) are passed over.
    package var partitions: [TopicPartition]
    /// Becomes true with the markers.
    package var entries: [EntryChange]
    package var fences: [ProducerFence]
    package var coordinatorEpoch: Int32

    package init(
        producerID: Int64, producerEpoch: Int16, isCommit: Bool, partitions: [TopicPartition], entries: [EntryChange] = [],
        fences: [ProducerFence] = [], coordinatorEpoch: Int32 = 0
    ) {
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.isCommit = isCommit
        self.partitions = partitions
        self.entries = entries
        self.fences = fences
        self.coordinatorEpoch = coordinatorEpoch
    }
}

/// What a reader sees.
package enum Isolation: Sendable, Equatable {
    /// Everything durable.
    case readUncommitted
    /// Everything durable before the first transaction that is still open. Records of aborted transactions are in it;
    /// `FetchedData.abortedTransactions` says which.
    case readCommitted
}

package struct AbortedTransaction: Sendable, Equatable {
    package var producerID: Int64
    package var firstOffset: Int64

    package init(producerID: Int64, firstOffset: Int64) {
        self.producerID = producerID
        self.firstOffset = firstOffset
    }
}

/// What a read gave.
package struct FetchedData: Sendable {
    /// Whole batches in offset order. The first may begin before the offset asked for, and is given even if it alone is
    /// larger than asked.
    package var slices: [ByteSlice]
    package var highWatermark: Int64
    package var lastStableOffset: Int64
    package var logStartOffset: Int64
    /// For `readCommitted` only: every aborted transaction with records in `slices`, by first offset. From the same view
    /// as the slices.
    package var abortedTransactions: [AbortedTransaction]
    /// Where the next read continues.
    package var nextOffset: Int64

    package var bytes: Int { slices.reduce(0) { $0 + $1.count } }
}

/// What memory has for a read.
package enum TailRead: Sendable {
    case found(FetchedData)
    /// Older than what is in memory: call `readFromDisk` on a thread that may block.
    case needsDisk
    /// Nothing (visible) is at the offset yet; `FetchedData` without slices, for its watermarks.
    case atEnd(FetchedData)
}

/// Which offset `Log.offset` is to find.
package enum OffsetQuestion: Sendable, Equatable {
    case earliest
    /// The high watermark; for `readCommitted` the last stable offset.
    case latest
    /// Of the record with the largest timestamp.
    case maxTimestamp
    /// Of the first record whose timestamp (milliseconds) is not less.
    case atOrAfter(Int64)
}

/// An offset and, where a record stands behind the answer, its timestamp.
package struct OffsetAnswer: Sendable, Equatable {
    /// −1: no such record.
    package var offset: Int64
    /// Milliseconds; −1 where the question was not about a time.
    package var timestamp: Int64

    package init(offset: Int64, timestamp: Int64) {
        self.offset = offset
        self.timestamp = timestamp
    }

    package static let none = OffsetAnswer(offset: -1, timestamp: -1)
}

/// How a partition stands, as of what is durable.
package struct PartitionStatus: Sendable, Equatable {
    package var logStartOffset: Int64
    package var highWatermark: Int64
    package var lastStableOffset: Int64
    /// Size in segments and in what is still only in the journal.
    package var bytes: Int64
    package var segments: Int
    /// Always 0: one server, one leader for good.
    package var leaderEpoch: Int32
    package var openTransactions: Int
}

/// A producer's standing in a partition, for DescribeProducers.
package struct ProducerFacts: Sendable, Equatable {
    package var producerID: Int64
    package var producerEpoch: Int16
    /// Of the last batch; −1 if there was none in this epoch.
    package var lastSequence: Int32
    /// When it last wrote, milliseconds since 1970-01-01 UTC.
    package var lastMillis: Int64
    /// Of the last marker; −1 if there was none.
    package var coordinatorEpoch: Int32
    /// The first offset of its open transaction; −1 without one.
    package var transactionStartOffset: Int64
}
