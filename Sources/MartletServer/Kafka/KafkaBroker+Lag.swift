internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// How far groups are behind, in records and in time, for the metrics page.
extension KafkaBroker {
    /// Partitions whose first unread record is looked up in one round; it may cost a read of the disk each.
    private static let lookupsMax = 500

    /// One round: records at once, times from the pool.
    func measureLags() {
        let offsets = coordinators.groups.committedOffsets()
        guard !offsets.isEmpty else {
            metrics.beginLags()
            return metrics.endLags()
        }
        var lags: [(key: KafkaMetrics.LagKey, partition: TopicPartition, offset: Int64, records: Int64)] = []
        for entry in offsets {
            guard case .success(let key) = partition(entry.partition.topic, entry.partition.partition), let status = log.status(key)
            else { continue }
            let lagKey = KafkaMetrics.LagKey(group: entry.groupID, topic: entry.partition.topic, partition: entry.partition.partition)
            let from = max(entry.offset, status.logStartOffset)
            lags.append((lagKey, key, from, max(0, status.highWatermark - from)))
        }
        let log = log
        let loop = loop
        let nowMillis = clock.wallMicros() / 1_000
        let found = lags
        pool.run { [weak self] in
            var lookups = 0
            let nanos = found.map { lag -> Int64 in
                guard lag.records > 0, lookups < KafkaBroker.lookupsMax else { return 0 }
                lookups += 1
                guard let millis = timestamp(log, lag.partition, lag.offset) else { return 0 }
                return max(0, nowMillis - millis).multipliedReportingOverflow(by: 1_000_000).partialValue
            }
            loop.post { [weak self] in
                guard let self else { return }
                metrics.beginLags()
                for (lag, nanos) in zip(found, nanos) { metrics.setLag(lag.key, records: lag.records, nanos: nanos) }
                metrics.endLags()
            }
        }
    }
}

/// The time of the record at `offset`, or of the first one after it; nil if it cannot be read. May block.
private func timestamp(_ log: Log, _ partition: TopicPartition, _ offset: Int64) -> Int64? {
    var data: FetchedData?
    if case .found(let tail)? = try? log.readTail(partition, from: offset, maxBytes: 1, isolation: .readUncommitted) {
        data = tail
    } else {
        data = try? log.readFromDisk(partition, from: offset, maxBytes: 1, isolation: .readUncommitted)
    }
    guard let slice = data?.slices.first else { return nil }
    defer { withExtendedLifetime(slice) {} }
    guard let header = try? RecordBatchHeader(reading: slice.bytes), header.byteCount <= slice.count else { return nil }
    if header.isLogAppendTime { return header.maxTimestamp }
    let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[..<header.byteCount])
    guard var reader = try? RecordBatchReader(batch) else { return nil }
    while let record = try? reader.next() {
        if record.offset >= offset { return record.timestamp }
    }
    return header.maxTimestamp
}
