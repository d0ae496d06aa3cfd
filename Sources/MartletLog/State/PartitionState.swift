/// A batch in memory.
struct TailBatch {
    var baseOffset: Int64
    /// The offset after its last record.
    var nextOffset: Int64
    /// The journal's sequence of its commit.
    var commit: UInt64
    var maxTimestamp: Int64
    var slice: ByteSlice

    /// What it costs in memory: the bytes, and the objects around them.
    var cost: Int { slice.count + 160 }
}

/// A transaction that was aborted, in the order of markers.
struct AbortedSpan: Equatable {
    var producerID: Int64
    var firstOffset: Int64
    /// That of the marker.
    var lastOffset: Int64
}

/// A transaction that is open, or whose marker nobody can see yet.
struct OpenTransaction: Equatable {
    var producerID: Int64
    var firstOffset: Int64
    /// `Int64.max` while it is open.
    var markerOffset = Int64.max
}

/// Everything the log keeps in memory about one partition.
///
/// Offsets: `visibleStart` ≤ `lastStableOffset` ≤ `highWatermark` (durable) ≤ `nextOffset` (appended); segments hold what is
/// before `writtenOffset`, which never passes `highWatermark`; the tail holds everything from `writtenOffset` on, and as much
/// before it as memory allows.
final class PartitionState: @unchecked Sendable {
    // Sound: every field but the constants is touched under the log's lock only, or by `Log.open` before anybody else
    // sees the log.

    let id: TopicPartition
    /// The offset that the next record gets.
    var nextOffset: Int64 = 0
    /// What is before it is durable.
    var highWatermark: Int64 = 0
    /// Where the log begins, as appended, and as readers may know.
    var startOffset: Int64 = 0
    var visibleStart: Int64 = 0
    var producers: [Int64: ProducerState] = [:]
    /// By first offset: what is open, and what is closed by markers that are not visible.
    var transactions: [OpenTransaction] = []
    var aborted: [AbortedSpan] = []
    var tail = Queue<TailBatch>()
    /// The sum of the costs of the tail's batches from `writtenOffset` on.
    var unwrittenCost = 0
    /// Segments hold everything before it.
    var writtenOffset: Int64 = 0
    /// The deletion of its topic was appended: it takes nothing more.
    var isClosed = false
    /// The deletion is durable: it holds nothing any more, and its files are about to go.
    var isDeleted = false
    /// Its files; nil until the first batch is written. Only the flusher changes which, and what is in them.
    var store: PartitionStore?
    /// It stands in the flusher's line.
    var isInLine = false

    // The flusher's own, under its lock.

    /// Segments are durable up to here.
    var syncedOffset: Int64 = 0
    /// Bytes written and not synced.
    var unsyncedBytes = 0

    init(id: TopicPartition) { self.id = id }

    /// min(first offset of a transaction that is open or not visibly ended, high watermark).
    var lastStableOffset: Int64 { min(transactions.first?.firstOffset ?? highWatermark, highWatermark) }

    // MARK: Appending

    /// What takes an append back that the journal had no room for.
    struct Undo {
        var partition: PartitionState
        var nextOffset: Int64
        var producerID: Int64
        var producer: ProducerState?
        var startedTransaction: Bool

        func revert() {
            partition.nextOffset = nextOffset
            if producerID >= 0 { partition.producers[producerID] = producer }
            if startedTransaction { partition.transactions.removeLast() }
        }
    }

    /// Gives an accepted batch its offset. `commit` is the sequence its record will have.
    func assign(_ batch: BatchFacts, millis: Int64, commit: UInt64) -> Undo {
        var undo = Undo(
            partition: self, nextOffset: nextOffset, producerID: batch.producerID, producer: nil, startedTransaction: false)
        if batch.hasProducer {
            undo.producer = producers[batch.producerID]
            var state = undo.producer ?? ProducerState(epoch: batch.producerEpoch, lastMillis: millis)
            let hadTransaction = state.transactionStart >= 0
            state.record(batch, baseOffset: nextOffset, millis: millis, commit: commit)
            if !hadTransaction && state.transactionStart >= 0 {
                // Offsets grow, so that this one is the last by first offset.
                transactions.append(OpenTransaction(producerID: batch.producerID, firstOffset: nextOffset))
                undo.startedTransaction = true
            }
            producers[batch.producerID] = state
        }
        nextOffset += Int64(batch.recordCount)
        return undo
    }

    /// Takes a marker in, which has the offset `nextOffset`.
    func assignMarker(producerID: Int64, epoch: Int16, isCommit: Bool, coordinatorEpoch: Int32, millis: Int64) {
        var state = producers[producerID] ?? ProducerState(epoch: epoch, lastMillis: millis)
        if state.transactionStart >= 0 {
            let at = transactions.firstIndex { $0.producerID == producerID && $0.markerOffset == .max }
            if let at { transactions[at].markerOffset = nextOffset }
            if !isCommit {
                aborted.append(AbortedSpan(producerID: producerID, firstOffset: state.transactionStart, lastOffset: nextOffset))
            }
        }
        state.recordMarker(epoch: epoch, coordinatorEpoch: coordinatorEpoch, millis: millis)
        producers[producerID] = state
        nextOffset += 1
    }

    /// Everything before `offset` is durable now; true if a reader can see a difference.
    func publish(upTo offset: Int64) -> Bool {
        guard offset > highWatermark else { return false }
        highWatermark = offset
        transactions.removeAll { $0.markerOffset < offset }
        return true
    }

    // MARK: Reading

    /// What a reader may see the end of.
    func limit(_ isolation: Isolation) -> Int64 { isolation == .readCommitted ? lastStableOffset : highWatermark }

    /// The tail's part of the answer to a read at `offset`, which the tail covers: whole batches up to `maxBytes`, at least one.
    func slices(from offset: Int64, limit: Int64, maxBytes: Int) -> (slices: [ByteSlice], nextOffset: Int64) {
        var at = tail.partitioningIndex { $0.nextOffset <= offset }
        var slices: [ByteSlice] = []
        var bytes = 0
        var next = offset
        while at < tail.count {
            let batch = tail[at]
            if batch.nextOffset > limit || (!slices.isEmpty && bytes + batch.slice.count > maxBytes) { break }
            slices.append(batch.slice)
            bytes += batch.slice.count
            next = batch.nextOffset
            at += 1
        }
        return (slices, next)
    }

    /// Every aborted transaction that may have records from `offset` up to, not including, `end`.
    func abortedTransactions(from offset: Int64, to end: Int64) -> [AbortedTransaction] {
        let first = aborted.partition { $0.lastOffset >= offset }
        return aborted[first...].filter { $0.firstOffset < end }
            .map { AbortedTransaction(producerID: $0.producerID, firstOffset: $0.firstOffset) }
            .sorted { ($0.firstOffset, $0.producerID) < ($1.firstOffset, $1.producerID) }
    }

    // MARK: Forgetting

    /// The log begins at `offset` from now on: forgets aborted transactions that nobody can read any more.
    func moveVisibleStart(to offset: Int64) {
        guard offset > visibleStart else { return }
        visibleStart = offset
        startOffset = max(startOffset, offset)
        aborted.removeAll { $0.lastOffset < offset }
    }
}

extension Array {
    /// As `Queue.partitioningIndex`, for the opposite claim: the first index where `isAbove` is true.
    fileprivate func partition(where isAbove: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isAbove(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
