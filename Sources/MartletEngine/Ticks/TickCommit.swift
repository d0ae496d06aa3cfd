internal import MartletCore
internal import MartletLog

/// A tick on its way into the log: its record and what it writes to topics, true together.
///
/// What fits one commit of the log is one. More goes piece by piece, as a transaction of a producer that is made for it: its
/// end, one record of the journal, makes everything visible at once, the tick's record included. A transaction that a crash
/// left open is aborted at the next start (`abandonOpen`), and the tick has never been.
struct TickCommit {
    private let topic: TopicPartition
    private var batches: [Append]
    /// How many of them are the tick's record, at the front.
    private let records: Int
    private let bytesMax: Int
    /// Of a large tick: who writes it, and where to; `batches` are then those that the log has not got yet.
    private var producerID: Int64?
    private var partitions: [TopicPartition] = []
    private var firstOffset: Int64?

    /// - Parameter bytesMax: the most that goes at a time.
    init(_ topic: TopicPartition, record: [Append], _ appends: [Append], bytesMax: Int) {
        self.topic = topic
        batches = record + appends
        records = record.count
        self.bytesMax = bytesMax
    }

    /// Goes on; nil: there is no room in the log now, try again. Then answers when the tick is true, and where the ticks
    /// topic goes on behind its record.
    mutating func advance(_ log: Log) throws(LogError) -> (sequence: UInt64, position: Int64)? {
        if producerID == nil, batches.reduce(0, { $0 + $1.batch.count }) <= bytesMax {
            guard let committed = try TickCommit.patiently({ () throws(LogError) in try log.commit(Commit(appends: batches)) }) else { return nil }
            return (committed.sequence, committed.baseOffsets[0] + Int64(records))
        }
        try enlist(log)
        guard let producerID else { return nil }
        while !batches.isEmpty {
            var count = 0
            var bytes = 0
            while count < batches.count, count == 0 || bytes + batches[count].batch.count <= bytesMax {
                bytes += batches[count].batch.count
                count += 1
            }
            let piece = Array(batches[..<count])
            guard let committed = try TickCommit.patiently({ () throws(LogError) in try log.commit(Commit(appends: piece)) }) else { return nil }
            firstOffset = firstOffset ?? committed.baseOffsets[0]
            batches.removeFirst(count)
        }
        let end = TransactionEnd(producerID: producerID, producerEpoch: 0, isCommit: true, partitions: partitions)
        guard let sequence = try TickCommit.patiently({ () throws(LogError) in try log.endTransaction(end) }) else { return nil }
        return (sequence, (firstOffset ?? 0) + Int64(records))
    }

    private static func patiently<Result>(_ body: () throws(LogError) -> Result) throws(LogError) -> Result? {
        do throws(LogError) {
            return try body()
        } catch {
            if error.isRetriable { return nil }
            throw error
        }
    }

    /// Gives the batches to a producer whom nobody else is.
    private mutating func enlist(_ log: Log) throws(LogError) {
        guard producerID == nil else { return }
        guard let made = try TickCommit.patiently({ () throws(LogError) in try log.allocateProducerID() }) else { return }
        producerID = made.producerID
        partitions = Set(batches.map(\.partition)).sorted()
        var sequences: [TopicPartition: Int32] = [:]
        for append in batches {
            let count = RecordBatchHeader(unchecked: append.batch.bytes).lastOffsetDelta &+ 1
            let first = sequences[append.partition] ?? 0
            RecordBatch.enlist(append.batch.bytesBeforeSharing, producerID: made.producerID, epoch: 0, baseSequence: first)
            sequences[append.partition] = (first &+ count) & Int32.max
        }
    }

    /// Takes back what a crash left unfinished, wherever it was written to. False: there is no room in the log now, try again.
    static func abandonOpen(_ topic: TopicPartition, _ log: Log) throws(LogError) -> Bool {
        for open in try log.producers(of: topic) where open.transactionStartOffset >= 0 {
            var partitions: [TopicPartition] = []
            for other in log.topics() {
                for number in 0..<other.partitions {
                    let partition = TopicPartition(topic: other.id, partition: number)
                    let isIn = try log.producers(of: partition).contains {
                        $0.producerID == open.producerID && $0.transactionStartOffset >= 0
                    }
                    if isIn { partitions.append(partition) }
                }
            }
            let end = TransactionEnd(
                producerID: open.producerID, producerEpoch: open.producerEpoch, isCommit: false, partitions: partitions)
            guard try TickCommit.patiently({ () throws(LogError) in try log.endTransaction(end) }) != nil else { return false }
        }
        return true
    }
}
