internal import MartletCore

/// A transaction that was aborted in a partition.
package struct AbortedRange: Sendable, Equatable {
    package var producerID: Int64
    package var firstOffset: Int64
    /// That of the marker.
    package var lastOffset: Int64

    package init(producerID: Int64, firstOffset: Int64, lastOffset: Int64) {
        self.producerID = producerID
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
    }
}

/// Which batches belong to aborted transactions, and which markers still have records of theirs before them. Batches come in
/// order of their offsets.
struct TransactionTrack {
    private var aborted: [Int64: [AbortedRange]] = [:]
    /// Producers with records since their last marker.
    private var withRecords: Set<Int64> = []

    init(_ ranges: [AbortedRange]) {
        for range in ranges.sorted(by: { $0.firstOffset < $1.firstOffset }) { aborted[range.producerID, default: []].append(range) }
    }

    /// Whether the batch, not a control batch, is part of an aborted transaction.
    mutating func isAborted(_ header: RecordBatchHeader) -> Bool {
        guard header.isTransactional else { return false }
        withRecords.insert(header.producerID)
        return aborted[header.producerID]?.contains { $0.firstOffset <= header.baseOffset && header.baseOffset <= $0.lastOffset }
            ?? false
    }

    /// Whether records of the transaction that this marker ends were seen before it.
    mutating func endsWithRecords(_ header: RecordBatchHeader) -> Bool { withRecords.remove(header.producerID) != nil }
}

/// Decides what compaction leaves of a batch, by Kafka's rules:
///
/// - Of each key, the record with the highest offset below `mapEnd` stays; records at or behind `mapEnd` all stay, and those
///   without a key go.
/// - A tombstone (null value) that is its key's latest stays until its batch's delete horizon. The horizon, `delete.retention.ms`
///   from now, is given to the batch by the first pass that sees it (KIP-534: in place of the base timestamp).
/// - Records of aborted transactions go. A marker stays as long as records of its transaction were seen before it, then gets a
///   horizon like a tombstone.
struct CompactionFilter {
    let map: KeyMap
    /// One past the last offset whose key is in the map.
    let mapEnd: Int64
    let nowMillis: Int64
    let deleteRetentionMillis: Int64
    var transactions: TransactionTrack
    private(set) var removedRecords = 0

    init(map: KeyMap, mapEnd: Int64, nowMillis: Int64, deleteRetentionMillis: Int64, transactions: TransactionTrack) {
        self.map = map
        self.mapEnd = mapEnd
        self.nowMillis = nowMillis
        self.deleteRetentionMillis = deleteRetentionMillis
        self.transactions = transactions
    }

    enum Verdict {
        case keepAll
        case drop
        /// Appended to the target.
        case rewritten
    }

    /// Appends to `target` what is left of the batch where that is something else than all or nothing.
    mutating func apply(_ header: RecordBatchHeader, _ batch: UnsafeRawBufferPointer, to target: ByteSink) throws(BatchError)
        -> Verdict
    {
        if header.isControl { return try applyToMarker(header, batch, to: target) }
        if transactions.isAborted(header) && header.baseOffset < mapEnd {
            removedRecords += Int(header.count)
            return .drop
        }
        if header.baseOffset >= mapEnd { return .keepAll }
        let isPastHorizon = header.hasDeleteHorizon && header.baseTimestamp <= nowMillis
        var kept: Int32 = 0
        var needsHorizon = false
        var reader = try RecordBatchReader(batch)
        while let record = try reader.next() {
            guard keeps(record, isPastHorizon) else { continue }
            kept += 1
            if record.value == nil && !header.hasDeleteHorizon { needsHorizon = true }
        }
        if kept == header.count && !needsHorizon { return .keepAll }
        removedRecords += Int(header.count - kept)
        if kept == 0 { return .drop }
        let builder = RecordBatchBuilder(replacing: needsHorizon ? withHorizon(header) : header)
        var again = try RecordBatchReader(batch)
        while let record = try again.next() {
            if keeps(record, isPastHorizon) { builder.append(record) }
        }
        try builder.finish(into: target)
        return .rewritten
    }

    private func keeps(_ record: RecordView, _ isPastHorizon: Bool) -> Bool {
        guard let key = record.key else { return false }
        if let latest = map.latest(key), latest > record.offset { return false }
        return record.value != nil || !isPastHorizon
    }

    private mutating func applyToMarker(
        _ header: RecordBatchHeader, _ batch: UnsafeRawBufferPointer, to target: ByteSink
    ) throws(BatchError) -> Verdict {
        let hasRecords = transactions.endsWithRecords(header)
        if header.baseOffset >= mapEnd || hasRecords { return .keepAll }
        if header.hasDeleteHorizon {
            if header.baseTimestamp > nowMillis { return .keepAll }
            removedRecords += Int(header.count)
            return .drop
        }
        let builder = RecordBatchBuilder(replacing: withHorizon(header))
        var reader = try RecordBatchReader(batch)
        while let record = try reader.next() { builder.append(record) }
        try builder.finish(into: target)
        return .rewritten
    }

    private func withHorizon(_ header: RecordBatchHeader) -> RecordBatchHeader {
        var changed = header
        changed.attributes |= BatchAttributes.deleteHorizon
        let horizon = nowMillis.addingReportingOverflow(deleteRetentionMillis)
        changed.baseTimestamp = horizon.overflow ? .max : horizon.partialValue
        return changed
    }
}
