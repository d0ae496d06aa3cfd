internal import MartletCore

/// A topic in memory. See `PartitionState` for why it is sound to share.
final class TopicState: @unchecked Sendable {
    /// As readers see it: of what is durable.
    var topic: Topic
    /// As appended.
    var configuration: TopicConfiguration
    /// All partitions, also those whose creation is not durable.
    var partitions: [PartitionState]
    /// Its creation is durable.
    var isVisible: Bool
    /// Its deletion was appended.
    var isDeleted = false

    init(_ topic: Topic, isVisible: Bool) {
        self.topic = topic
        self.isVisible = isVisible
        configuration = topic.configuration
        partitions = []
        addPartitions(total: topic.partitions)
    }

    func addPartitions(total: Int32) {
        while partitions.count < total {
            partitions.append(PartitionState(id: TopicPartition(topic: topic.id, partition: Int32(partitions.count))))
        }
    }
}

/// What happens to the visible state when a commit is durable.
enum Effect {
    case end(PartitionState, Int64)
    case start(PartitionState, Int64)
    case created(TopicState)
    case deleted(TopicState)
    case partitions(TopicState, Int32)
    case altered(TopicState, TopicConfiguration)
}

/// Somebody who waits for a sequence.
struct Waiter {
    var sequence: UInt64
    /// Among those of one sequence, first come, first go.
    var number: UInt64
    var body: @Sendable () -> Void

    func precedes(_ other: Waiter) -> Bool {
        sequence != other.sequence ? sequence < other.sequence : number < other.number
    }
}

/// A batch in the order of arrival over all partitions, for eviction.
struct TailMark {
    var partition: PartitionState
    var nextOffset: Int64
    var cost: Int
}

/// What the log's lock guards.
///
/// `@unchecked Sendable`: beside values it holds one sink and the state of topics and partitions, all of which are touched
/// under that lock alone, or by `Log.open` before there is a log.
struct LogState: @unchecked Sendable {
    /// Set once, by the first failure or by `close`; every later call throws it.
    var failure: LogError?
    var topics: [TopicID: TopicState] = [:]
    /// Taken names: of topics that are or are about to be.
    var names: [String: TopicState] = [:]
    var fences: [Int64: Int16] = [:]
    var entries: [EntrySpace: [[UInt8]: [UInt8]]] = [:]
    /// The next producer id, and the end of those that the journal knows may be in use.
    var nextProducerID: Int64 = 0
    var reservedProducerID: Int64 = 0
    var reservationSequence: UInt64 = 0
    /// What becomes visible, by sequence.
    var effects = Queue<(sequence: UInt64, effect: Effect)>()
    var waiters = WaiterHeap()
    var publishedSequence: UInt64 = 0
    /// Every batch in a tail.
    var tailOrder = Queue<TailMark>()
    /// Partitions with something to be written to segments, the one that waits longest first.
    var line = Queue<PartitionState>()
    var tailCost = 0
    /// The part of `tailCost` that is not in segments.
    var unwrittenCost = 0
    /// Deleted topics whose directories are still to be removed.
    var doomed: [TopicID] = []
    /// The flusher found the disk full.
    var isOutOfSpace = false
    /// Bytes put into the journal so far, and whether it had no room since the last checkpoint.
    var journalBytes = 0
    var isStarved = false
    /// Where records are put together.
    let sink = ByteSink(capacity: 1 << 14)

    func partition(_ id: TopicPartition) -> PartitionState? {
        guard let topic = topics[id.topic], id.partition >= 0, Int(id.partition) < topic.partitions.count else { return nil }
        return topic.partitions[Int(id.partition)]
    }

    /// As a reader sees it.
    func visiblePartition(_ id: TopicPartition) -> PartitionState? {
        guard let topic = topics[id.topic], topic.isVisible, id.partition < topic.topic.partitions else { return nil }
        return partition(id)
    }

    /// Topics in the order of their ids, so that nothing depends on hash order.
    var topicsByID: [TopicState] { topics.values.sorted { $0.topic.id < $1.topic.id } }

    // MARK: The tail

    /// Keeps an appended batch in memory.
    mutating func keep(_ batch: TailBatch, of partition: PartitionState) {
        precondition(partition.tail.last.map { $0.nextOffset == batch.baseOffset } ?? true, "a tail has no gaps")
        partition.tail.append(batch)
        partition.unwrittenCost += batch.cost
        tailOrder.append(TailMark(partition: partition, nextOffset: batch.nextOffset, cost: batch.cost))
        tailCost += batch.cost
        unwrittenCost += batch.cost
        if !partition.isInLine {
            partition.isInLine = true
            line.append(partition)
        }
    }

    /// The segments of `partition` hold everything before `offset`.
    mutating func markWritten(_ partition: PartitionState, upTo offset: Int64) {
        var at = partition.tail.partitioningIndex { $0.nextOffset <= partition.writtenOffset }
        while at < partition.tail.count, partition.tail[at].nextOffset <= offset {
            partition.unwrittenCost -= partition.tail[at].cost
            if !partition.isDeleted { unwrittenCost -= partition.tail[at].cost }
            at += 1
        }
        partition.writtenOffset = max(partition.writtenOffset, offset)
    }

    /// Lets go of the oldest batches that are in segments until the rest costs at most `bytesMax`. Returns them, so that
    /// their memory is freed outside the lock.
    mutating func evict(downTo bytesMax: Int) -> [TailBatch] {
        var evicted: [TailBatch] = []
        while tailCost > bytesMax, let mark = tailOrder.first {
            let partition = mark.partition
            guard partition.isDeleted || mark.nextOffset <= partition.writtenOffset else { break }
            _ = tailOrder.removeFirst()
            tailCost -= mark.cost
            // A deleted partition's tail is empty already.
            if let first = partition.tail.first, first.nextOffset <= mark.nextOffset {
                evicted.append(partition.tail.removeFirst())
            }
        }
        return evicted
    }

    /// Lets go of a partition's batches before `offset` that are in segments, where compaction has left less of them. In the
    /// order of arrival they still count until their turn. Returns them, so that their memory is freed outside the lock.
    mutating func forgetTail(of partition: PartitionState, before offset: Int64) -> [TailBatch] {
        var forgotten: [TailBatch] = []
        while let first = partition.tail.first, first.nextOffset <= min(offset, partition.writtenOffset) {
            forgotten.append(partition.tail.removeFirst())
        }
        return forgotten
    }

    /// Lets go of everything of a partition that is no more.
    mutating func drop(_ partition: PartitionState) {
        if !partition.isDeleted { unwrittenCost -= partition.unwrittenCost }
        partition.isClosed = true
        partition.isDeleted = true
        partition.store = nil
        partition.unwrittenCost = 0
        partition.tail = Queue()
        partition.producers = [:]
        partition.transactions = []
        partition.aborted = []
    }
}

/// Waiters, the one with the lowest sequence first: a binary heap, since a repeated batch waits for an older sequence.
struct WaiterHeap {
    private var items: [Waiter] = []
    private var counter: UInt64 = 0

    var isEmpty: Bool { items.isEmpty }

    mutating func insert(_ sequence: UInt64, _ body: @escaping @Sendable () -> Void) {
        counter += 1
        items.append(Waiter(sequence: sequence, number: counter, body: body))
        var at = items.count - 1
        while at > 0, items[at].precedes(items[(at - 1) / 2]) {
            items.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// The first, if its sequence is at most `sequence`.
    mutating func removeFirst(upTo sequence: UInt64) -> Waiter? {
        guard let first = items.first, first.sequence <= sequence else { return nil }
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < items.count && items[child].precedes(items[least]) { least = child }
            if least == at { return first }
            items.swapAt(at, least)
            at = least
        }
    }

    mutating func removeAll() { items = [] }
}
